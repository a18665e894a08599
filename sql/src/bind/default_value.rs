//! Defaults: expressions that stand by themselves, and what a column holds that is given nothing.

use expr::casts::CastContext;
use expr::{Datum, Expr, Type, resolve};

use super::Binder;
use super::coerce::placed;
use super::level::{Clause, Level};
use super::scope::Scope;
use crate::catalog::{Column, TableDescriptor};
use crate::error::{Error, Result};
use crate::parse::{self, ast};

impl Binder<'_> {
    /// An expression without columns, parameters and queries, as a column's default is.
    pub(super) fn closed_expression(&mut self, expr: &ast::Expr) -> Result<Expr> {
        self.closed(expr, |binder| binder.expression(expr))
    }

    fn closed(&mut self, expr: &ast::Expr, bind: impl FnOnce(&mut Self) -> Result<Expr>) -> Result<Expr> {
        self.alone(expr, bind).map_err(|error| {
            let is_column = error.sqlstate == "42703" || error.sqlstate == "42P01";
            if is_column {
                let message = "cannot use column reference in DEFAULT expression";
                return Error::new("0A000", message).at(error.position.unwrap_or(expr.at));
            }
            error
        })
    }

    /// An expression where there are no columns, as a parameter's default is.
    pub(super) fn expression_alone(&mut self, expr: &ast::Expr) -> Result<Expr> {
        self.alone(expr, |binder| binder.expression(expr))
    }

    fn alone(&mut self, expr: &ast::Expr, bind: impl FnOnce(&mut Self) -> Result<Expr>) -> Result<Expr> {
        let clause = Clause::without_queries("DEFAULT expressions", "DEFAULT expression");
        let level = Level::query(Scope::default(), clause, false);
        let (bound, level) = self.without_parameters(|binder| binder.at_level(level, bind))?;
        if !level.subqueries.is_empty() {
            return Err(Error::new("0A000", "cannot use subquery in DEFAULT expression").at(expr.at));
        }
        Ok(bound)
    }

    /// A default's value, of the column's type.
    pub(super) fn default_expression(&mut self, expr: &ast::Expr, ty: Type, column: &str) -> Result<Expr> {
        let bound =
            self.closed(expr, |binder| binder.expression_as(expr, ty, CastContext::Assignment, expr.at))?;
        let from = bound.ty().kind;
        if !resolve::can_coerce(from, ty.kind, CastContext::Assignment) {
            let message = format!(
                "column \"{column}\" is of type {} but default expression is of type {}",
                ty.kind.display_name(),
                from.display_name()
            );
            return Err(Error::new("42804", message).hint("You will need to rewrite or cast the expression."));
        }
        self.convert(bound, ty, CastContext::Assignment).map_err(placed(expr.at))
    }

    /// The value of a column that is given none: its default, or NULL.
    pub(super) fn default_of(&mut self, table: &TableDescriptor, column: &Column) -> Result<Expr> {
        // An identity column has a default through a view alone.
        if column.default.is_none()
            && let Some((_, sequence)) = self.catalog.objects().identity(table.oid, column.id)
        {
            let sequence = sequence.oid;
            return self.identity_value(sequence, column.ty);
        }
        match &column.default {
            None if column.ty.kind.is_domain() => self.domain_default(column.ty),
            None => Ok(Expr::Literal { value: Datum::Null, ty: column.ty }),
            Some(sql) => {
                let parsed = parse::parse_expression(sql)?;
                self.of_kept(|binder| binder.default_expression(&parsed, column.ty, &column.name))
            }
        }
    }
}
