//! FROM.

use sqlparser::ast as sp;

use super::super::ast::{Alias, Function, JoinCondition, JoinKind, QualifiedName, TableExpr};
use super::{Adapter, refuse, refuse_if};
use crate::error::Result;

impl Adapter<'_, '_> {
    pub(super) fn table_with_joins(&self, table: sp::TableWithJoins) -> Result<TableExpr> {
        let sp::TableWithJoins { relation, joins } = table;
        let mut joined = self.table(relation)?;
        for (depth, join) in joins.into_iter().enumerate() {
            if depth >= super::DEPTH_MAX {
                return Err(super::too_deep());
            }
            joined = self.join(joined, join)?;
        }
        Ok(joined)
    }

    fn join(&self, left: TableExpr, join: sp::Join) -> Result<TableExpr> {
        let sp::Join { relation, global, join_operator } = join;
        refuse_if(global, "GLOBAL JOIN")?;
        let (kind, condition) = match join_operator {
            sp::JoinOperator::Join(condition) | sp::JoinOperator::Inner(condition) => {
                (JoinKind::Inner, condition)
            }
            sp::JoinOperator::Left(condition) | sp::JoinOperator::LeftOuter(condition) => {
                (JoinKind::Left, condition)
            }
            sp::JoinOperator::Right(condition) | sp::JoinOperator::RightOuter(condition) => {
                (JoinKind::Right, condition)
            }
            sp::JoinOperator::FullOuter(condition) => (JoinKind::Full, condition),
            sp::JoinOperator::CrossJoin(condition) => {
                refuse_if(!matches!(condition, sp::JoinConstraint::None), "a condition of CROSS JOIN")?;
                (JoinKind::Inner, sp::JoinConstraint::None)
            }
            _ => return refuse("this kind of join"),
        };
        let condition = match condition {
            sp::JoinConstraint::On(expr) => JoinCondition::On(self.expr(expr)?),
            sp::JoinConstraint::Using(columns) => JoinCondition::Using(
                columns
                    .into_iter()
                    .map(|name| self.simple(name, "a column of USING"))
                    .collect::<Result<_>>()?,
            ),
            sp::JoinConstraint::Natural => JoinCondition::Natural,
            sp::JoinConstraint::None => JoinCondition::None,
        };
        let right = self.table(relation)?;
        let at = right.at();
        Ok(TableExpr::Join { left: Box::new(left), right: Box::new(right), kind, condition, at })
    }

    pub(super) fn table(&self, table: sp::TableFactor) -> Result<TableExpr> {
        self.deeper(|| match table {
            sp::TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                refuse_if(!with_hints.is_empty(), "a table hint")?;
                refuse_if(version.is_some(), "FOR SYSTEM_TIME")?;
                refuse_if(!partitions.is_empty(), "PARTITION")?;
                refuse_if(json_path.is_some(), "a path into a table")?;
                refuse_if(sample.is_some(), "TABLESAMPLE")?;
                refuse_if(!index_hints.is_empty(), "an index hint")?;
                let name = self.qualified(name)?;
                let alias = alias.map(|alias| self.alias(alias)).transpose()?;
                let Some(sp::TableFunctionArgs { args, settings }) = args else {
                    refuse_if(with_ordinality, "WITH ORDINALITY of a table")?;
                    return Ok(TableExpr::Table { name, alias });
                };
                refuse_if(settings.is_some(), "SETTINGS")?;
                self.table_function(name, args, with_ordinality, alias)
            }
            sp::TableFactor::Derived { lateral, subquery, alias, sample } => {
                refuse_if(sample.is_some(), "TABLESAMPLE")?;
                let query = self.query(*subquery)?;
                let at = self.source.before(query.at, 1);
                let alias = alias.map(|alias| self.alias(alias)).transpose()?;
                Ok(TableExpr::Subquery { query: Box::new(query), alias, lateral, at })
            }
            sp::TableFactor::Function { lateral: _, name, args, with_ordinality, alias } => {
                // A function may name what stands before it, with or without LATERAL.
                let name = self.qualified(name)?;
                let alias = alias.map(|alias| self.alias(alias)).transpose()?;
                self.table_function(name, args, with_ordinality, alias)
            }
            sp::TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset,
                with_offset_alias,
                with_ordinality,
            } => {
                refuse_if(with_offset || with_offset_alias.is_some(), "WITH OFFSET")?;
                let arguments = self.exprs(array_exprs)?;
                let at = arguments.first().map_or(1, |argument| self.source.before(argument.at, 2));
                let name = super::super::ast::Name { value: "unnest".into(), at };
                let call = Function::plain(QualifiedName { schema: None, name }, arguments);
                let alias = alias.map(|alias| self.alias(alias)).transpose()?;
                Ok(TableExpr::Function { call: Box::new(call), ordinality: with_ordinality, alias, at })
            }
            sp::TableFactor::NestedJoin { table_with_joins, alias } => {
                refuse_if(alias.is_some(), "an alias of a join between parentheses")?;
                self.table_with_joins(*table_with_joins)
            }
            _ => refuse("this item of FROM"),
        })
    }

    fn table_function(
        &self,
        name: QualifiedName,
        args: Vec<sp::FunctionArg>,
        ordinality: bool,
        alias: Option<Alias>,
    ) -> Result<TableExpr> {
        let at = name.schema.as_ref().unwrap_or(&name.name).at;
        let mut arguments = Vec::new();
        for arg in args {
            match arg {
                sp::FunctionArg::Unnamed(sp::FunctionArgExpr::Expr(expr)) => arguments.push(self.expr(expr)?),
                _ => return refuse("a named argument or * of a function in FROM"),
            }
        }
        Ok(TableExpr::Function { call: Box::new(Function::plain(name, arguments)), ordinality, alias, at })
    }

    pub(super) fn alias(&self, alias: sp::TableAlias) -> Result<Alias> {
        let sp::TableAlias { explicit: _, name, columns, at } = alias;
        refuse_if(at.is_some(), "AT after an alias")?;
        let columns = columns.into_iter().map(|column| {
            let sp::TableAliasColumnDef { name, data_type } = column;
            refuse_if(data_type.is_some(), "types in a column definition list")?;
            Ok(self.name(name))
        });
        Ok(Alias { name: self.name(name), columns: columns.collect::<Result<_>>()? })
    }
}
