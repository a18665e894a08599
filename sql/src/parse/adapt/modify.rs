//! INSERT, UPDATE, DELETE.

use sqlparser::ast as sp;

use super::super::ast::{
    Assignment, CommonTable, ConflictTarget, ConflictUpdate, Delete, Expr, Insert, Name, OnConflict,
    QualifiedName, TableExpr, Update,
};
use super::{Adapter, refuse, refuse_if};
use crate::error::{Error, Result};

impl Adapter<'_, '_> {
    pub(super) fn insert(&self, insert: sp::Insert, with: Vec<CommonTable>) -> Result<Insert> {
        let sp::Insert {
            insert_token,
            optimizer_hints,
            or,
            ignore,
            into,
            table,
            table_alias,
            columns,
            overwrite,
            source,
            assignments,
            partitioned,
            after_columns,
            has_table_keyword,
            on,
            returning,
            output,
            replace_into,
            priority,
            insert_alias,
            settings,
            format_clause,
            multi_table_insert_type,
            multi_table_into_clauses,
            multi_table_when_clauses,
            multi_table_else_clause,
        } = insert;
        let _ = optimizer_hints;
        let at = self.source.sequence_from(self.source.at(insert_token.0.span.start), &["on", "conflict"]);
        refuse_if(or.is_some(), "INSERT OR")?;
        refuse_if(ignore, "INSERT IGNORE")?;
        refuse_if(!into, "INSERT without INTO")?;
        refuse_if(overwrite, "INSERT OVERWRITE")?;
        refuse_if(!assignments.is_empty(), "INSERT … SET")?;
        refuse_if(partitioned.is_some(), "INSERT … PARTITION")?;
        refuse_if(!after_columns.is_empty(), "columns after PARTITION")?;
        refuse_if(has_table_keyword, "INSERT INTO TABLE")?;
        refuse_if(output.is_some(), "OUTPUT")?;
        refuse_if(replace_into, "REPLACE INTO")?;
        refuse_if(priority.is_some(), "a priority of INSERT")?;
        refuse_if(insert_alias.is_some(), "an alias of the inserted row")?;
        refuse_if(settings.is_some(), "SETTINGS")?;
        refuse_if(format_clause.is_some(), "FORMAT")?;
        let multi = multi_table_insert_type.is_some() || !multi_table_into_clauses.is_empty();
        let multi = multi || !multi_table_when_clauses.is_empty() || multi_table_else_clause.is_some();
        refuse_if(multi, "INSERT into several tables")?;
        let table = match table {
            sp::TableObject::TableName(name) => self.qualified(name)?,
            _ => return refuse("INSERT into something other than a table"),
        };
        let alias = table_alias.map(|alias| {
            let sp::TableAliasWithoutColumns { explicit: _, alias } = alias;
            self.name(alias)
        });
        let columns = columns
            .into_iter()
            .map(|name| self.simple(name, "a column of INSERT"))
            .collect::<Result<Vec<_>>>()?;
        Ok(Insert {
            with,
            table,
            alias,
            columns: if columns.is_empty() { None } else { Some(columns) },
            source: source.map(|query| self.query(*query)).transpose()?,
            on_conflict: on.map(|on| self.on_conflict(on, at)).transpose()?,
            returning: returning.map(|items| self.select_items(items)).transpose()?,
        })
    }

    fn on_conflict(&self, on: sp::OnInsert, at: usize) -> Result<OnConflict> {
        let sp::OnInsert::OnConflict(sp::OnConflict { conflict_target, action }) = on else {
            return refuse("ON DUPLICATE KEY UPDATE");
        };
        let target = match conflict_target {
            None => ConflictTarget::Any,
            Some(sp::ConflictTarget::Columns(columns)) => ConflictTarget::Columns(self.simple_names(columns)),
            Some(sp::ConflictTarget::OnConstraint(name)) => {
                ConflictTarget::Constraint(self.simple(name, "a constraint")?)
            }
        };
        let update = match action {
            sp::OnConflictAction::DoNothing => None,
            sp::OnConflictAction::DoUpdate(sp::DoUpdate { assignments, selection }) => Some(ConflictUpdate {
                assignments: self.assignments(assignments)?,
                filter: selection.map(|expr| self.expr(expr)).transpose()?,
            }),
        };
        if update.is_some() && matches!(target, ConflictTarget::Any) {
            let message = "ON CONFLICT DO UPDATE requires inference specification or constraint name";
            return Err(Error::new("42601", message).hint("For example, ON CONFLICT (column_name).").at(at));
        }
        Ok(OnConflict { target, update, at })
    }

    fn assignments(&self, assignments: Vec<sp::Assignment>) -> Result<Vec<Assignment>> {
        let mut flat = Vec::new();
        for sp::Assignment { target, value } in assignments {
            match (target, value) {
                (sp::AssignmentTarget::ColumnName(name), value) => {
                    let column = self.simple(name, "the target of an assignment")?;
                    flat.push(Assignment { column, value: self.expr(value)? });
                }
                (sp::AssignmentTarget::Tuple(names), sp::Expr::Tuple(values)) => {
                    let (columns, values) = (self.targets(names)?, self.exprs(values)?);
                    if columns.len() != values.len() {
                        let message = "number of columns does not match number of values";
                        let at = values.first().map_or(1, |value| self.source.before(value.at, 1));
                        return Err(Error::new("42601", message).at(at));
                    }
                    flat.extend(
                        columns.into_iter().zip(values).map(|(column, value)| Assignment { column, value }),
                    );
                }
                (sp::AssignmentTarget::Tuple(_), _) => return refuse("SET (…) = a query"),
            }
        }
        Ok(flat)
    }

    fn targets(&self, names: Vec<sp::ObjectName>) -> Result<Vec<Name>> {
        names.into_iter().map(|name| self.simple(name, "the target of an assignment")).collect()
    }

    pub(super) fn update(&self, update: sp::Update, with: Vec<CommonTable>) -> Result<Update> {
        let sp::Update {
            update_token: _,
            optimizer_hints,
            table,
            assignments,
            from,
            selection,
            returning,
            output,
            or,
            order_by,
            limit,
        } = update;
        let _ = optimizer_hints;
        refuse_if(output.is_some(), "OUTPUT")?;
        refuse_if(or.is_some(), "UPDATE OR")?;
        refuse_if(!order_by.is_empty(), "UPDATE … ORDER BY")?;
        refuse_if(limit.is_some(), "UPDATE … LIMIT")?;
        let (table, alias) = self.target_table(table, "UPDATE")?;
        let from = match from {
            None => Vec::new(),
            Some(sp::UpdateTableFromKind::AfterSet(tables)) => self.tables(tables)?,
            Some(sp::UpdateTableFromKind::BeforeSet(_)) => return refuse("FROM before SET"),
        };
        Ok(Update {
            with,
            table,
            alias,
            assignments: self.assignments(assignments)?,
            from,
            filter: self.filter(selection)?,
            returning: returning.map(|items| self.select_items(items)).transpose()?,
        })
    }

    pub(super) fn delete(&self, delete: sp::Delete, with: Vec<CommonTable>) -> Result<Delete> {
        let sp::Delete {
            delete_token: _,
            optimizer_hints,
            tables,
            from,
            using,
            selection,
            returning,
            output,
            order_by,
            limit,
        } = delete;
        let _ = optimizer_hints;
        refuse_if(!tables.is_empty(), "DELETE from several tables")?;
        refuse_if(output.is_some(), "OUTPUT")?;
        refuse_if(!order_by.is_empty(), "DELETE … ORDER BY")?;
        refuse_if(limit.is_some(), "DELETE … LIMIT")?;
        let sp::FromTable::WithFromKeyword(from) = from else { return refuse("DELETE without FROM") };
        let mut from = from.into_iter();
        let (Some(table), None) = (from.next(), from.next()) else {
            return refuse("DELETE from several tables");
        };
        let (table, alias) = self.target_table(table, "DELETE")?;
        Ok(Delete {
            with,
            table,
            alias,
            using: using.map(|tables| self.tables(tables)).transpose()?.unwrap_or_default(),
            filter: self.filter(selection)?,
            returning: returning.map(|items| self.select_items(items)).transpose()?,
        })
    }

    fn tables(&self, tables: Vec<sp::TableWithJoins>) -> Result<Vec<TableExpr>> {
        tables.into_iter().map(|table| self.table_with_joins(table)).collect()
    }

    fn filter(&self, selection: Option<sp::Expr>) -> Result<Option<Expr>> {
        selection.map(|expr| self.expr(expr)).transpose()
    }

    fn target_table(&self, table: sp::TableWithJoins, verb: &str) -> Result<(QualifiedName, Option<Name>)> {
        match self.table_with_joins(table)? {
            TableExpr::Table { name, alias: None } => Ok((name, None)),
            TableExpr::Table { name, alias: Some(alias) } if alias.columns.is_empty() => {
                Ok((name, Some(alias.name)))
            }
            _ => refuse(format!("{verb} of something other than a table")),
        }
    }
}
