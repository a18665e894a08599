//! CHECK: conditions over a row of one table, as they are declared, kept, shown, and asked of new rows.

use std::sync::Arc;

use expr::print::Style;
use expr::{Expr, SessionContext};

use super::level::{Clause, Level};
use super::scope::{Relation, Scope, ScopeColumn};
use super::{Binder, SessionSettings};
use crate::catalog::{CatalogSnapshot, Check, Column, SearchPath, TableDescriptor};
use crate::error::{Error, Result};
use crate::parse::{self, ast};
use crate::plan::RowCheck;

/// The names of columns, as SQL would have to write them.
pub(super) fn quoted_names(columns: &[Column]) -> Vec<String> {
    columns.iter().map(|column| expr::functions::quote::identifier(&column.name)).collect()
}

/// The condition of a check, less parentheses that make no difference; `None`: it is no condition over the table.
pub(crate) fn sparing_condition(
    table: &TableDescriptor,
    kept: &str,
    catalog: &CatalogSnapshot,
    search_path: &SearchPath,
) -> Option<String> {
    let expression = parse::parse_expression(kept).ok()?;
    let context = SessionContext::default();
    let settings = SessionSettings { search_path, context: &context };
    let mut binder = Binder::new(catalog, &settings);
    let names = quoted_names(&table.columns);
    let printed = binder.as_written(Style::Sparing, names, |binder| {
        binder.check_condition(&table.name, &table.columns, &expression)
    });
    Some(printed.ok()?.1)
}

/// The checks of a table, for rows that no statement names.
pub(crate) fn checks_of(table: &TableDescriptor, catalog: &CatalogSnapshot) -> Result<Arc<[RowCheck]>> {
    apart(catalog, |binder| binder.row_checks(table))
}

/// The value of a column that is given none.
pub(crate) fn default_of(
    table: &TableDescriptor,
    column: &Column,
    catalog: &CatalogSnapshot,
) -> Result<Expr> {
    apart(catalog, |binder| binder.default_of(table, column))
}

/// Binds what means the same in every session.
fn apart<T>(catalog: &CatalogSnapshot, bind: impl FnOnce(&mut Binder<'_>) -> Result<T>) -> Result<T> {
    let (search_path, context) = (SearchPath::default(), SessionContext::default());
    let settings = SessionSettings { search_path: &search_path, context: &context };
    bind(&mut Binder::new(catalog, &settings))
}

impl Binder<'_> {
    /// The names of a row that is to be judged. No right is needed to judge it.
    pub(super) fn own_row(&self, table: &str, columns: &[Column]) -> Scope {
        let named = columns.iter().enumerate().filter(|(_, column)| !column.hidden);
        let columns = named.map(|(index, column)| ScopeColumn {
            name: column.name.clone(),
            value: Expr::Column { index, ty: column.ty },
            origin: None,
        });
        Relation {
            name: table.to_owned(),
            schema: None,
            columns: columns.collect(),
            table: None,
            nullable: false,
            is_working: false,
        }
        .into_scope()
    }

    /// The condition of a check over these columns of its table.
    pub(super) fn check_condition(
        &mut self,
        table: &str,
        columns: &[Column],
        condition: &ast::Expr,
    ) -> Result<Expr> {
        let clause = Clause::without_queries("check constraints", "check constraint");
        let level = Level::query(self.own_row(table, columns), clause, false);
        let bound = self.without_parameters(|binder| {
            binder.at_level(level, |binder| {
                let bound = binder.expression(condition)?;
                binder.condition(bound, "CHECK", condition.at)
            })
        });
        let (bound, level) = bound?;
        if !level.subqueries.is_empty() {
            let message = "set-returning functions are not allowed in check constraints";
            return Err(Error::new("0A000", message).at(condition.at));
        }
        Ok(bound)
    }

    /// A check as it is kept, without an oid; its name is still to be chosen where none is given.
    pub(super) fn new_check(
        &mut self,
        table: &str,
        columns: &[Column],
        definition: &ast::CheckDefinition,
    ) -> Result<Check> {
        let condition = &definition.condition;
        let bound = self.check_condition(table, columns, &condition.expr)?;
        let expression = self.kept_condition(table, columns, columns, condition)?;
        let mut named: Vec<usize> = Vec::new();
        bound.walk(&mut |part| {
            if let Expr::Column { index, .. } = part
                && !named.contains(index)
            {
                named.push(*index);
            }
        });
        let columns = named.iter().filter_map(|place| columns.get(*place)).map(|column| column.id);
        Ok(Check {
            oid: 0,
            name: definition.name.as_ref().map(|name| name.value.clone()).unwrap_or_default(),
            expression,
            columns: columns.collect(),
            validated: !definition.not_valid,
            no_inherit: definition.no_inherit,
        })
    }

    /// What is kept of a condition that has been found to be right, once its columns are called as in `renamed`.
    pub(super) fn kept_condition(
        &mut self,
        table: &str,
        columns: &[Column],
        renamed: &[Column],
        condition: &ast::DefaultDefinition,
    ) -> Result<String> {
        let (_, text) = self.as_written(Style::Full, quoted_names(renamed), |binder| {
            binder.check_condition(table, columns, &condition.expr)
        })?;
        let means_the_same = parse::parse_expression(&text)
            .and_then(|again| self.check_condition(table, renamed, &again))
            .is_ok();
        match means_the_same {
            true => Ok(text),
            // It cannot be said in PostgreSQL's way: then as it was said.
            false if quoted_names(columns) == quoted_names(renamed) => Ok(condition.text.clone()),
            false => Err(Error::unsupported("renaming a column that this check constraint names")),
        }
    }

    /// The condition that is kept of a check, over the table's row.
    pub(super) fn bound_check(&mut self, table: &str, columns: &[Column], check: &Check) -> Result<RowCheck> {
        let parsed = parse::parse_expression(&check.expression)?;
        let condition = self.check_condition(table, columns, &parsed)?;
        Ok(RowCheck { name: check.name.clone(), condition })
    }

    /// The checks of a table, in the order in which they are judged.
    pub(super) fn row_checks(&mut self, table: &TableDescriptor) -> Result<Arc<[RowCheck]>> {
        let mut checks: Vec<&Check> = table.constraints.checks.iter().collect();
        checks.sort_by(|left, right| left.name.cmp(&right.name));
        checks.into_iter().map(|check| self.bound_check(&table.name, &table.columns, check)).collect()
    }
}
