//! SELECT (`get_basic_select_query`).

use expr::Expr;
use expr::functions::quote::identifier;

use super::layout::{Place, line, put, put_listed};
use super::names::Called;
use super::query::{Named, Parts};
use super::words;
use crate::bind::Binder;
use crate::bind::label::label;
use crate::bind::level::{Clause, Level};
use crate::bind::query_windows::QueryWindows;
use crate::bind::scope::ScopeColumn;
use crate::error::{Error, Result};
use crate::parse::ast::{self, Distinct, ExprKind, SelectItem};

/// An item of a select list.
pub(super) struct Listed<'s> {
    /// What it is; a column of `*` has no expression.
    pub(super) expr: Option<&'s ast::Expr>,
    text: String,
    /// The name that it has by itself, if it is a column.
    own: Option<String>,
    /// What it is called.
    pub(super) name: String,
}

impl Listed<'_> {
    /// A column of `*` as a key.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl Binder<'_> {
    /// SELECT with ORDER BY.
    pub(super) fn select_text(
        &mut self,
        select: &ast::Select,
        parts: &Parts<'_>,
        named: &Named,
        (place, called): (Place, Called<'_>),
        lateral: bool,
    ) -> Result<String> {
        if select.as_of.is_some() {
            return Err(Error::unsupported("to print AS OF SYSTEM TIME"));
        }
        let mut level = Level::query(named.scope.clone(), Clause::grouped("SELECT"), lateral);
        level.names.clone_from(&named.columns);
        level.windows = QueryWindows::of(&select.windows);
        let (text, _) =
            self.at_level(level, |binder| binder.clauses_text(select, parts, named, (place, called)))?;
        Ok(text)
    }

    fn clauses_text(
        &mut self,
        select: &ast::Select,
        parts: &Parts<'_>,
        named: &Named,
        (place, called): (Place, Called<'_>),
    ) -> Result<String> {
        let items = self.listed_items(&select.items, place)?;
        let mut out = String::from(" SELECT");
        match &select.distinct {
            Distinct::No => {}
            Distinct::All => out.push_str(" DISTINCT"),
            Distinct::On(keys) => {
                let mut texts = Vec::with_capacity(keys.len());
                for key in keys {
                    texts.push(self.order_key(key, &items, place)?);
                }
                out.push_str(&format!(" DISTINCT ON ({})", texts.join(", ")));
            }
        }
        items_text(&mut out, &items, place, called)?;
        if !select.from.is_empty() {
            line(&mut out, place.start, 2);
            out.push_str(" FROM ");
            self.items_text(&mut out, &select.from, named, place)?;
        }
        if let Some(filter) = &select.filter {
            line(&mut out, place.start, 1);
            out.push_str(" WHERE ");
            put(&mut out, &self.condition_text(filter, place)?);
        }
        if let Some(group_by) = &select.group_by {
            let groups = self.groups_text(group_by, &items, place)?;
            if !groups.is_empty() {
                line(&mut out, place.start, 1);
                out.push_str(" GROUP BY ");
                put(&mut out, &groups);
            }
        }
        if let Some(having) = &select.having {
            line(&mut out, place.start, 0);
            out.push_str(" HAVING ");
            put(&mut out, &self.condition_text(having, place)?);
        }
        self.windows_text(&mut out, &select.windows, place)?;
        for (number, order) in parts.order_by.iter().enumerate() {
            if number == 0 {
                line(&mut out, place.start, 1);
                out.push_str(" ORDER BY ");
            } else {
                out.push_str(", ");
            }
            let key = self.order_key(&order.expr, &items, place)?;
            put(&mut out, &key);
            let nulls_first = order.nulls_first.unwrap_or(order.descending);
            out.push_str(words::direction(order.descending, nulls_first));
        }
        Ok(out)
    }

    /// A condition.
    pub(super) fn condition_text(&mut self, condition: &ast::Expr, place: Place) -> Result<String> {
        let bind = |binder: &mut Self| {
            let bound = binder.expression(condition)?;
            binder.condition(bound, "WHERE", condition.at)
        };
        self.printed(place, bind, words::text)
    }

    /// The select list, `*` as what it stands for.
    fn listed_items<'s>(&mut self, items: &'s [SelectItem], place: Place) -> Result<Vec<Listed<'s>>> {
        let mut listed = Vec::with_capacity(items.len());
        for item in items {
            let columns = match item {
                SelectItem::Expr { expr, alias } => {
                    if matches!(expr.kind, ExprKind::AllFields(_)) {
                        return Err(Error::unsupported("to print the fields of a row"));
                    }
                    let text = self.printed(place, |binder| binder.settled_expression(expr), words::text)?;
                    let own = match &expr.kind {
                        ExprKind::Column(names) => names.last().map(|name| name.value.clone()),
                        _ => None,
                    };
                    let name = match alias {
                        Some(alias) => alias.value.clone(),
                        None => label(expr, &self.subquery_names),
                    };
                    listed.push(Listed { expr: Some(expr), text, own, name });
                    continue;
                }
                SelectItem::Wildcard { .. } => self.level()?.scope.columns.clone(),
                SelectItem::TableWildcard(name) => self.wildcard_of(name)?,
            };
            for column in columns {
                let text = self.column_text(&column)?;
                listed.push(Listed { expr: None, text, own: Some(column.name.clone()), name: column.name });
            }
        }
        Ok(listed)
    }

    /// A column of `*`; what a join has merged of two has no table.
    fn column_text(&mut self, column: &ScopeColumn) -> Result<String> {
        let Expr::Column { index, .. } = column.value else { return Ok(identifier(&column.name)) };
        let name = self.level()?.names.get(index).filter(|name| !name.is_empty()).cloned();
        name.ok_or_else(|| Error::unsupported("to print a column without a name"))
    }
}

/// The items, each with the name that it is to have (`get_target_list`).
fn items_text(out: &mut String, items: &[Listed<'_>], place: Place, called: Called<'_>) -> Result<()> {
    if called.given.is_some_and(|given| given.len() != items.len()) {
        return Err(Error::unsupported("to print a query of other columns"));
    }
    for (number, item) in items.iter().enumerate() {
        let name = called.given.and_then(|given| given.get(number)).unwrap_or(&item.name);
        let own = match &item.own {
            Some(own) => Some(own.as_str()),
            None if called.seen => None,
            None => Some("?column?"),
        };
        let text = match own == Some(name.as_str()) {
            true => item.text.clone(),
            false => format!("{} AS {}", item.text, identifier(name)),
        };
        if number == 0 {
            out.push(' ');
        }
        put_listed(out, &text, number == 0, place.start);
    }
    Ok(())
}
