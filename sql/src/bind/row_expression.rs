//! Expressions over a row of one table that depend on nothing else: what generated columns are made of.

use expr::casts::CastContext;
use expr::print::Style;
use expr::volatility::Volatility;
use expr::{Expr, Type, resolve};

use super::coerce::placed;
use super::level::{Clause, Level, WithoutSystemColumns};
use super::scope::{Relation, Scope, ScopeColumn};
use super::{Binder, SessionSettings};
use crate::catalog::{CatalogSnapshot, Column, ColumnId, RowExpression, SearchPath, TableDescriptor};
use crate::error::{Error, Result};
use crate::parse::{self, ast};
use crate::plan::Assignment;

/// The clause that a generated column's expression stands in.
const GENERATION: Clause =
    Clause::without_queries("column generation expressions", "column generation expression")
        .without_system_columns(WithoutSystemColumns::Generation);

/// An expression over a row of a table that is kept, less parentheses that make no difference; `None`: `bind` cannot make
/// sense of it.
pub(super) fn sparing_over_row(
    table: &TableDescriptor,
    kept: &str,
    catalog: &CatalogSnapshot,
    search_path: &SearchPath,
    bind: impl FnOnce(&mut Binder<'_>, &ast::Expr) -> Result<Expr>,
) -> Option<String> {
    let expression = parse::parse_expression(kept).ok()?;
    let context = catalog.plain_session();
    let settings = SessionSettings {
        search_path,
        context: &context,
        row_security: true,
        as_of: None,
        tables_then: None,
    };
    let mut binder = Binder::new(catalog, &settings);
    let printed = binder.of_kept(|binder| {
        let names = quoted_names(&table.columns);
        binder.as_written(Style::Sparing, names, |binder| bind(binder, &expression))
    });
    Some(printed.ok()?.1)
}

/// What a generated column of a table is made of, less parentheses that make no difference; `None`: it is no expression
/// over the table.
pub(crate) fn sparing_generation(
    table: &TableDescriptor,
    column: &Column,
    kept: &str,
    catalog: &CatalogSnapshot,
    search_path: &SearchPath,
) -> Option<String> {
    sparing_over_row(table, kept, catalog, search_path, |binder, expression| {
        binder.generation(&table.name, &table.columns, (column.ty, &column.name), expression)
    })
}

/// The names of columns, as SQL would have to write them.
pub(super) fn quoted_names(columns: &[Column]) -> Vec<String> {
    columns.iter().map(|column| expr::functions::quote::identifier(&column.name)).collect()
}

/// The columns that an expression over a row of them names, those among them that made functions are given.
fn named_columns(bound: &Expr, given: &[usize], columns: &[Column]) -> Vec<ColumnId> {
    let mut named: Vec<usize> = Vec::new();
    bound.walk(&mut |part| {
        if let Expr::Column { index, .. } = part
            && !named.contains(index)
        {
            named.push(*index);
        }
    });
    for place in given {
        if !named.contains(place) {
            named.push(*place);
        }
    }
    named.iter().filter_map(|place| columns.get(*place)).map(|column| column.id).collect()
}

/// Whether a record has fields with names of their own, as a row of a table that is named as a whole has.
pub(super) fn has_named_fields(bound: &Expr) -> bool {
    let mut found = false;
    bound.walk(&mut |part| {
        if let Expr::Row { shape, ty, .. } = part
            && !ty.kind.is_composite()
        {
            let names = shape.fields().zip(1..);
            found |= names.into_iter().any(|((name, _), number)| name != format!("f{number}"));
        }
    });
    found
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
            beside: Vec::new(),
            unseen: Vec::new(),
            nullable: false,
            is_working: false,
        }
        .into_scope()
    }

    /// An expression over a row of these columns, and where it names which of them.
    pub(super) fn over_row(
        &mut self,
        table: &str,
        columns: &[Column],
        clause: Clause,
        expression: &ast::Expr,
    ) -> Result<(Expr, Vec<(usize, usize)>)> {
        let scope = self.own_row(table, columns);
        self.over_scope(scope, clause, expression, |binder| binder.expression(expression))
    }

    /// The same over other names of the row's columns, bound as the caller says.
    pub(super) fn over_scope(
        &mut self,
        scope: Scope,
        clause: Clause,
        expression: &ast::Expr,
        bind: impl FnOnce(&mut Self) -> Result<Expr>,
    ) -> Result<(Expr, Vec<(usize, usize)>)> {
        self.columns_given.clear();
        let level = Level::query(scope, clause, false);
        let bound = self.without_parameters(|binder| binder.at_level(level, bind));
        let (bound, level) = bound?;
        if !level.subqueries.is_empty() {
            let message = format!("set-returning functions are not allowed in {}", clause.name);
            return Err(Error::new("0A000", message).at(expression.at));
        }
        Ok((bound, level.references))
    }

    /// What is kept of an expression over a row, once its columns are called as in `renamed`; `bind` makes sense of it over a
    /// row of columns, or says why there is none. 0A000, naming `what`, if it cannot be said then.
    pub(super) fn kept_over_row(
        &mut self,
        columns: &[Column],
        renamed: &[Column],
        written: &ast::DefaultDefinition,
        what: &str,
        bind: impl Fn(&mut Self, &[Column], &ast::Expr) -> Result<Expr>,
    ) -> Result<RowExpression> {
        let plain = bind(self, columns, &written.expr)?;
        let mut named = named_columns(&plain, &std::mem::take(&mut self.columns_given), columns);
        let (bound, text) = self
            .as_written(Style::Full, quoted_names(renamed), |binder| bind(binder, columns, &written.expr))?;
        if has_named_fields(&plain) || has_named_fields(&bound) {
            return Err(Error::unsupported(format!("a row as a whole in {what}")));
        }
        // What the answer does not hang on is named as well: a field of a row leaves the others out of what is computed.
        for column in named_columns(&bound, &[], columns) {
            if !named.contains(&column) {
                named.push(column);
            }
        }
        let means_the_same = parse::parse_expression(&text)
            .and_then(|again| self.of_kept(|binder| bind(binder, renamed, &again)))
            .is_ok();
        let text = match means_the_same {
            true => self.by_oid(&text),
            // It cannot be said in PostgreSQL's way: then as it was said.
            false if quoted_names(columns) == quoted_names(renamed) => self.as_it_was_said(&written.text)?,
            false => return Err(Error::unsupported(what)),
        };
        Ok(RowExpression { text, columns: named })
    }

    /// The value of a generated column over its row.
    pub(super) fn generation(
        &mut self,
        table: &str,
        columns: &[Column],
        (ty, name): (Type, &str),
        expression: &ast::Expr,
    ) -> Result<Expr> {
        let scope = self.own_row(table, columns);
        let (bound, references) = self.over_scope(scope, GENERATION, expression, |binder| {
            binder.expression_as(expression, ty, CastContext::Assignment, expression.at)
        })?;
        for (place, at) in references {
            let Some(column) = columns.get(place).filter(|column| column.generated.is_some()) else {
                continue;
            };
            let message =
                format!("cannot use generated column \"{}\" in column generation expression", column.name);
            return Err(Error::new("42P17", message)
                .detail("A generated column cannot reference another generated column.")
                .at(at));
        }
        let from = bound.ty().kind;
        if !resolve::can_coerce(from, ty.kind, CastContext::Assignment) {
            let message = format!(
                "column \"{name}\" is of type {} but default expression is of type {}",
                ty.kind.display_name(),
                from.display_name()
            );
            return Err(Error::new("42804", message).hint("You will need to rewrite or cast the expression."));
        }
        let value = self.convert(bound, ty, CastContext::Assignment).map_err(placed(expression.at))?;
        if value.volatility() != Volatility::Immutable {
            return Err(Error::new("42P17", "generation expression is not immutable"));
        }
        Ok(value)
    }

    /// What is kept of a generated column's expression, once the columns are called as in the second list; they tell which
    /// others are generated.
    pub(super) fn kept_generation(
        &mut self,
        table: &str,
        (columns, renamed): (&[Column], &[Column]),
        (ty, name): (Type, &str),
        written: &ast::DefaultDefinition,
    ) -> Result<RowExpression> {
        let what = "renaming a column that this generated column is made of";
        self.kept_over_row(columns, renamed, written, what, |binder, columns, expr| {
            binder.generation(table, columns, (ty, name), expr)
        })
    }

    /// Generated columns of a table, over its row.
    pub(super) fn generated_columns(
        &mut self,
        table: &TableDescriptor,
        wanted: impl Fn(ColumnId) -> bool,
    ) -> Result<Vec<Assignment>> {
        let mut bound = Vec::new();
        for (place, column) in table.columns.iter().enumerate().filter(|(_, column)| wanted(column.id)) {
            let Some(generated) = &column.generated else { continue };
            let parsed = parse::parse_expression(&generated.text)?;
            let value = self.of_kept(|binder| {
                binder.generation(&table.name, &table.columns, (column.ty, &column.name), &parsed)
            })?;
            bound.push(Assignment { column: place, value });
        }
        Ok(bound)
    }
}
