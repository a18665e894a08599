//! Commands of the session itself, and those that are accepted without effect.

use std::sync::Arc;

use expr::TypeKind;

use super::Binder;
use super::level::{Clause, Level};
use super::query::output_column;
use super::scope::Scope;
use crate::catalog::{Column, ColumnId, IndexColumn, TableDescriptor, TableKind};
use crate::error::{Error, Result};
use crate::parse::ast::{self, Body, HistoryStatement, QualifiedName, TableLock};
use crate::plan::{Maintain, OutputColumn, Plan, SessionCommand};

impl Binder<'_> {
    /// A command of the session.
    pub(super) fn session_command(&mut self, body: &Body) -> Result<(Plan, Option<Vec<OutputColumn>>)> {
        let text = |name: &str| output_column(name, TypeKind::Text.into(), None);
        let number = |name: &str| output_column(name, TypeKind::Int8.into(), None);
        let columns = match body {
            Body::Show(name) => Some(vec![text(shown_name(name))]),
            Body::ShowAll => Some(vec![text("name"), text("setting"), text("description")]),
            Body::History(statement) if matches!(**statement, HistoryStatement::Show) => {
                Some(vec![text("of"), text("history"), text("hold_until"), text("begins")])
            }
            Body::History(statement) if matches!(**statement, HistoryStatement::Clones) => {
                Some(vec![text("table_name"), text("clone_of"), text("as_of")])
            }
            Body::Backup(statement) => super::backup::columns(statement),
            Body::ShowNodes => Some(vec![
                number("node_id"),
                text("address"),
                output_column("live", TypeKind::Bool.into(), None),
                text("locality"),
                text("version"),
            ]),
            Body::ShowRanges(_) => Some(vec![
                number("range_id"),
                text("start_key"),
                text("end_key"),
                number("leader"),
                text("replicas"),
            ]),
            _ => None,
        };
        let command = match body {
            Body::Begin(modes, as_of, tag) => {
                let moment = as_of.as_ref();
                let moment = moment.map(|own| self.without_parameters(|binder| binder.moment(own)));
                SessionCommand::Begin(*modes, moment.transpose()?.map(Box::new), tag)
            }
            Body::Commit { chain } => SessionCommand::Commit { chain: *chain },
            Body::Rollback { chain } => SessionCommand::Rollback { chain: *chain },
            Body::Savepoint(name) => SessionCommand::Savepoint(name.clone()),
            Body::Release(name) => SessionCommand::Release(name.clone()),
            Body::RollbackTo(name) => SessionCommand::RollbackTo(name.clone()),
            Body::SetConstraints { names, deferred } => {
                let keys = names.as_ref().map(|names| self.deferrable_keys(names)).transpose()?;
                SessionCommand::SetConstraints { keys, deferred: *deferred }
            }
            Body::SetTransaction(modes) => SessionCommand::SetTransaction(*modes),
            Body::SetSessionCharacteristics(modes) => SessionCommand::SetSessionCharacteristics(*modes),
            Body::Set { name, value, local } => {
                SessionCommand::Set { name: name.clone(), value: value.clone(), local: *local }
            }
            Body::SetRole { role, local } => SessionCommand::SetRole { role: role.clone(), local: *local },
            Body::SetSessionAuthorization { role, local } => {
                SessionCommand::SetSessionAuthorization { role: role.clone(), local: *local }
            }
            Body::Reset(name) => SessionCommand::Reset(name.clone()),
            Body::Show(name) => SessionCommand::Show(name.clone()),
            Body::ShowAll => SessionCommand::ShowAll,
            Body::ShowNodes => SessionCommand::ShowNodes,
            Body::ShowRanges(table) => {
                SessionCommand::ShowRanges(table.as_ref().map(|name| self.table(name)).transpose()?)
            }
            Body::History(statement) => match statement.as_ref() {
                HistoryStatement::Erase(erase) => self.erase_history(erase)?,
                other => self.history(other)?,
            },
            Body::Backup(statement) => self.backup(statement)?,
            Body::SplitAt { table, rows } => self.split_at(table, rows)?,
            Body::Prepare { name, types, statement } => SessionCommand::Prepare {
                name: name.clone(),
                types: types.iter().map(|ty| self.type_of(ty)).collect::<Result<_>>()?,
                statement: statement.clone(),
            },
            Body::Execute { name, arguments } => {
                let level = Level::query(Scope::default(), Clause::plain("EXECUTE parameters"), false);
                let (bound, level) = self.without_parameters(|binder| {
                    binder.at_level(level, |binder| binder.arguments(arguments))
                })?;
                self.without_subqueries(&level, "an argument of EXECUTE")?;
                SessionCommand::Execute { name: name.clone(), arguments: bound }
            }
            Body::Deallocate(name) => SessionCommand::Deallocate(name.clone()),
            Body::Declare(declare) => self.declare(declare)?,
            Body::Fetch(fetch) => SessionCommand::Fetch(fetch.clone()),
            Body::Close(name) => SessionCommand::Close(name.clone()),
            Body::Notifying(notifying) => SessionCommand::Notifying(notifying.clone()),
            Body::Discard(what) => SessionCommand::Discard(*what),
            Body::Maintain(maintain) => SessionCommand::Maintain(self.maintain(maintain)?),
            Body::LockTable { tables, mode } => self.lock_tables(tables, *mode)?,
            Body::Checkpoint => SessionCommand::NoEffect { tag: "CHECKPOINT" },
            _ => return Err(Error::internal("a statement that the session does not know")),
        };
        Ok((Plan::Session(Box::new(command)), columns))
    }

    /// DECLARE … CURSOR: the types of its query's parameters are learnt here; it is bound again when it begins to run.
    fn declare(&mut self, declare: &ast::Declare) -> Result<SessionCommand> {
        let bound = self.query(Self::query_of_cursor(declare)?)?;
        self.settle_outputs(bound)?;
        Ok(SessionCommand::Declare(Box::new(declare.clone())))
    }

    /// The query of a cursor, which may not lock rows where that does not go with what else it is to be.
    pub(super) fn query_of_cursor(declare: &ast::Declare) -> Result<&ast::Query> {
        let Body::Query(query) = &declare.query.body else {
            return Err(Error::internal("a cursor over what is no query"));
        };
        if !query.locks.is_empty() {
            let refused = |what: &str, detail: &str| {
                Err(Error::new("0A000", format!("DECLARE {what} is not supported")).detail(detail))
            };
            if declare.options.hold {
                let detail = "Holdable cursors must be READ ONLY.";
                return refused("CURSOR WITH HOLD ... FOR UPDATE", detail);
            }
            if declare.options.scroll == Some(true) {
                return refused("SCROLL CURSOR ... FOR UPDATE", "Scrollable cursors must be READ ONLY.");
            }
            if declare.options.insensitive {
                let message = "DECLARE INSENSITIVE CURSOR ... FOR UPDATE is not valid";
                return Err(Error::new("42P11", message).detail("Insensitive cursors must be READ ONLY."));
            }
        }
        Ok(query.as_ref())
    }

    /// ALTER TABLE … SPLIT AT VALUES
    fn split_at(&mut self, name: &QualifiedName, rows: &[Vec<ast::Expr>]) -> Result<SessionCommand> {
        let table = self.table(name)?;
        let columns = primary_columns(&table, name, "SPLIT AT")?;
        let mut bound = Vec::with_capacity(rows.len());
        for row in rows {
            bound.push(self.key_values(&table, &columns, row, "SPLIT AT")?);
        }
        Ok(SessionCommand::SplitAt { table, rows: bound })
    }

    /// The first values of a primary key, of its columns' types.
    pub(super) fn key_values(
        &mut self,
        table: &TableDescriptor,
        columns: &[Column],
        row: &[ast::Expr],
        what: &'static str,
    ) -> Result<Vec<expr::Expr>> {
        if let Some(beyond) = row.get(columns.len()) {
            let message = format!("the primary key of \"{}\" has {} columns", table.name, columns.len());
            return Err(Error::new("42601", message).at(beyond.at));
        }
        let level = Level::query(Scope::default(), Clause::plain(what), false);
        let (values, level) =
            self.without_parameters(|binder| binder.at_level(level, |binder| binder.arguments(row)))?;
        self.without_subqueries(&level, what)?;
        let values = values.into_iter().zip(columns);
        values.map(|((value, at), column)| self.assign(value, column.ty, &column.name, at)).collect()
    }

    /// LOCK TABLE.
    fn lock_tables(&self, names: &[QualifiedName], mode: TableLock) -> Result<SessionCommand> {
        let mut tables = Vec::with_capacity(names.len());
        for name in names {
            let mut table = self.table(name);
            if let Err(error) = &mut table {
                error.position = None;
            }
            let table = table?;
            if !matches!(table.kind, TableKind::Base | TableKind::View | TableKind::Virtual) {
                let message = format!("cannot lock relation \"{}\"", table.name);
                let detail = format!("This operation is not supported for {}s.", table.kind.word());
                return Err(Error::new("42809", message).detail(detail));
            }
            tables.push(table);
        }
        if !matches!(mode, TableLock::AccessShare | TableLock::RowShare | TableLock::RowExclusive) {
            let mode = mode.words().join(" ").to_uppercase();
            return Err(Error::unsupported(format!("LOCK TABLE IN {mode} MODE")));
        }
        Ok(SessionCommand::LockTable { tables, mode })
    }

    /// VACUUM and ANALYZE: the tables, and the columns that are looked at.
    fn maintain(&self, maintain: &ast::Maintain) -> Result<Maintain> {
        // PostgreSQL names no place in errors about tables that it looks after.
        let unplaced = |mut error: Error| {
            error.position = None;
            error
        };
        let named = |named: &ast::MaintainedTable| -> Result<(Arc<TableDescriptor>, Vec<ColumnId>)> {
            let table = self.table(&named.name).map_err(unplaced)?;
            let Some(names) = &named.columns else {
                let columns = table.visible().map(|(_, column)| column.id).collect();
                return Ok((table, columns));
            };
            let mut columns = Vec::with_capacity(names.len());
            for name in names {
                let place = self.place(&table, name).map_err(unplaced)?;
                let id = table.columns.get(place).map_or(0, |column| column.id);
                if columns.contains(&id) {
                    let message = format!(
                        "column \"{}\" of relation \"{}\" appears more than once",
                        name.value, table.name
                    );
                    return Err(Error::new("42701", message));
                }
                columns.push(id);
            }
            Ok((table, columns))
        };
        let tables = maintain.tables.iter().map(named).collect::<Result<Vec<_>>>()?;
        let ast::Maintain { vacuum, analyze, .. } = *maintain;
        Ok(Maintain { vacuum, analyze, tables: (!tables.is_empty()).then_some(tables) })
    }
}

/// The columns of a table's primary key. 0A000 if it has none.
pub(super) fn primary_columns(
    table: &TableDescriptor,
    name: &QualifiedName,
    what: &str,
) -> Result<Vec<Column>> {
    let Some(key) = table.primary_key() else {
        let message = format!("{what} of a table without a primary key");
        return Err(Error::unsupported(message).at(name.name.at));
    };
    let column = |part: &IndexColumn| {
        let place = part.column().and_then(|id| table.column_by_id(id));
        let column = place.and_then(|place| table.columns.get(place)).cloned();
        column.ok_or_else(|| Error::internal("a key names a column that is not there"))
    };
    key.columns.iter().map(column).collect()
}

/// The setting's name as SHOW spells it.
fn shown_name(name: &str) -> &str {
    match name {
        "timezone" => "TimeZone",
        "datestyle" => "DateStyle",
        "intervalstyle" => "IntervalStyle",
        name => name,
    }
}
