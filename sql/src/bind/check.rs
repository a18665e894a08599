//! CHECK: conditions over a row of one table, as they are declared, kept, shown, and asked of new rows.

use std::sync::Arc;

use expr::Expr;

use super::level::{Clause, Level, WithoutSystemColumns};
use super::row_expression::sparing_over_row;
use super::{Binder, SessionSettings};
use crate::catalog::{CatalogSnapshot, Check, Column, RowExpression, SearchPath, TableDescriptor};
use crate::error::{Error, Result};
use crate::parse::{self, ast};
use crate::plan::{RowCheck, RowRules};

/// The condition of a check, less parentheses that make no difference; `None`: it is no condition over the table.
pub(crate) fn sparing_condition(
    table: &TableDescriptor,
    kept: &str,
    catalog: &CatalogSnapshot,
    search_path: &SearchPath,
) -> Option<String> {
    sparing_over_row(table, kept, catalog, search_path, |binder, expression| {
        binder.check_condition(&table.name, &table.columns, expression)
    })
}

/// What rows of a table have to be that no statement names.
pub(crate) fn rules_of(table: &TableDescriptor, catalog: &CatalogSnapshot) -> Result<Arc<RowRules>> {
    apart(catalog, |binder| binder.row_rules(table))
}

/// The value of a column that is given none.
pub(crate) fn default_of(
    table: &TableDescriptor,
    column: &Column,
    catalog: &CatalogSnapshot,
) -> Result<Expr> {
    apart(catalog, |binder| binder.default_of(table, column))
}

/// Binds what is kept, which means the same in every session.
pub(super) fn apart<T>(
    catalog: &CatalogSnapshot,
    bind: impl FnOnce(&mut Binder<'_>) -> Result<T>,
) -> Result<T> {
    let (search_path, context) = (SearchPath::default(), catalog.plain_session());
    let settings = SessionSettings {
        search_path: &search_path,
        context: &context,
        row_security: true,
        as_of: None,
        tables_then: None,
    };
    Binder::new(catalog, &settings).of_kept(bind)
}

impl Binder<'_> {
    /// The condition of a check over these columns of its table.
    pub(super) fn check_condition(
        &mut self,
        table: &str,
        columns: &[Column],
        condition: &ast::Expr,
    ) -> Result<Expr> {
        self.columns_given.clear();
        let clause = Clause::without_queries("check constraints", "check constraint")
            .without_system_columns(WithoutSystemColumns::Check);
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
        match definition.is_kept {
            true => self.of_kept(|binder| binder.check_as_kept(table, columns, definition)),
            false => self.check_as_kept(table, columns, definition),
        }
    }

    fn check_as_kept(
        &mut self,
        table: &str,
        columns: &[Column],
        definition: &ast::CheckDefinition,
    ) -> Result<Check> {
        let kept = self.kept_condition(table, columns, columns, &definition.condition)?;
        Ok(Check {
            oid: 0,
            name: definition.name.as_ref().map(|name| name.value.clone()).unwrap_or_default(),
            expression: kept.text,
            columns: kept.columns,
            validated: !definition.not_valid,
            no_inherit: definition.no_inherit,
        })
    }

    /// What is kept of a condition, once its columns are called as in `renamed`.
    pub(super) fn kept_condition(
        &mut self,
        table: &str,
        columns: &[Column],
        renamed: &[Column],
        condition: &ast::DefaultDefinition,
    ) -> Result<RowExpression> {
        let what = "renaming a column that this check constraint names";
        self.kept_over_row(columns, renamed, condition, what, |binder, columns, expr| {
            binder.check_condition(table, columns, expr)
        })
    }

    /// The condition that is kept of a check, over the table's row.
    pub(super) fn bound_check(&mut self, table: &str, columns: &[Column], check: &Check) -> Result<RowCheck> {
        let parsed = parse::parse_expression(&check.expression)?;
        let condition = self.of_kept(|binder| binder.check_condition(table, columns, &parsed))?;
        Ok(RowCheck { name: check.name.clone(), condition })
    }

    /// What new rows of a table are made to be, and have to be.
    pub(super) fn row_rules(&mut self, table: &TableDescriptor) -> Result<Arc<RowRules>> {
        let mut checks: Vec<&Check> = table.constraints.checks.iter().collect();
        checks.sort_by(|left, right| left.name.cmp(&right.name));
        let checks = checks.into_iter().map(|check| self.bound_check(&table.name, &table.columns, check));
        let checks = checks.collect::<Result<_>>()?;
        Ok(Arc::new(RowRules { generated: self.generated_columns(table, |_| true)?, checks }))
    }
}
