//! A view's query as PostgreSQL shows it (`ruleutils.c`): columns with their tables, one a line, all parentheses or those that make
//! a difference.
//!
//! What is shown is one SELECT over tables and joins of tables, with aggregates. It is shown only if it is bound to the very plan
//! that the query is bound to, and with the view's own names; anything else stays as it was written.

use expr::functions::quote::identifier;
use expr::print::Style;
use expr::{Expr, TypeKind};

use super::level::{Clause, Level};
use super::scope::Scope;
use super::{Binder, SessionSettings};
use crate::catalog::object::ViewDescriptor;
use crate::catalog::{CatalogSnapshot, SearchPath, called};
use crate::error::Result;
use crate::parse;
use crate::parse::ast::{self, ExprKind, JoinCondition, JoinKind, SelectItem, TableExpr};

/// A view's query, of which `text` is what has to be written to make it again; `None`: it is of another form.
pub(super) fn shown(
    text: &str,
    view: &ViewDescriptor,
    catalog: &CatalogSnapshot,
    search_path: &SearchPath,
    style: Style,
) -> Option<String> {
    let context = catalog.plain_session();
    let settings = SessionSettings {
        search_path,
        context: &context,
        row_security: true,
        as_of: None,
        tables_then: None,
    };
    let query = parse::parse_query(text).ok()?;
    let names: Vec<&str> = view.columns.iter().map(|column| column.name.as_str()).collect();
    let shown = Binder::new(catalog, &settings).shown_query(&query, &names, style).ok()??;
    let shown = called::by_name(catalog, search_path, &shown);
    let again = parse::parse_query(&shown).ok()?;
    let bound = |query: &ast::Query| Binder::new(catalog, &settings).new_view_rows(query).ok();
    let (one, other) = (bound(&query)?, bound(&again)?);
    let is_same = format!("{:?}", one.node) == format!("{:?}", other.node)
        && other.columns.iter().map(|column| column.name.as_str()).eq(names.iter().copied());
    is_same.then_some(shown)
}

/// An item of a select list, and the name that it has by itself.
type ShownItem = (String, Option<String>);

/// What an expression is shown within.
struct Place<'p> {
    /// What the columns of the row are called.
    columns: &'p [String],
    style: Style,
}

impl Place<'_> {
    fn saves_parentheses(&self) -> bool {
        self.style == Style::Sparing
    }
}

impl Binder<'_> {
    fn shown_query(&mut self, query: &ast::Query, names: &[&str], style: Style) -> Result<Option<String>> {
        let ast::QueryBody::Select(select) = &query.body else { return Ok(None) };
        let is_on = matches!(select.distinct, ast::Distinct::On(_));
        let has_more = !query.with.is_empty() || !query.locks.is_empty() || query.ties || is_on;
        let groups_once = select.group_by.as_ref().is_some_and(|group| group.distinct);
        if has_more || groups_once || select.as_of.is_some() || !select.windows.is_empty() {
            return Ok(None);
        }
        let source = self.sources(&select.from)?;
        let columns = names_of(&source.scope, source.node.width());
        let level = Level::query(source.scope, Clause::grouped("SELECT"), false);
        let place = Place { columns: &columns, style };
        let (shown, _) = self.at_level(level, |binder| binder.shown_select(select, query, names, &place))?;
        Ok(shown)
    }

    fn shown_select(
        &mut self,
        select: &ast::Select,
        query: &ast::Query,
        names: &[&str],
        place: &Place<'_>,
    ) -> Result<Option<String>> {
        let Some(items) = self.shown_items(&select.items, place)? else { return Ok(None) };
        if items.len() != names.len() {
            return Ok(None);
        }
        let named = items.iter().zip(names).map(|((text, own), name)| match own.as_deref() == Some(*name) {
            true => text.clone(),
            false => format!("{text} AS {}", identifier(name)),
        });
        let distinct = if matches!(select.distinct, ast::Distinct::All) { "DISTINCT " } else { "" };
        let mut shown = format!("SELECT {distinct}");
        for (number, item) in named.enumerate() {
            // What begins with a line of its own needs none before it.
            let begins_line = item.starts_with('\n');
            if begins_line && number == 0 {
                shown.truncate(shown.trim_end().len());
            }
            shown.push_str(match (number, begins_line) {
                (0, _) => "",
                (_, true) => ",",
                (_, false) => ",\n    ",
            });
            shown.push_str(&item);
        }
        for (number, item) in select.from.iter().enumerate() {
            let Some(item) = self.shown_source(item, place)? else { return Ok(None) };
            shown.push_str(if number == 0 { "\n   FROM " } else { ",\n    " });
            shown.push_str(&item);
        }
        if let Some(filter) = &select.filter {
            let Some(filter) = self.shown_expression(filter, place)? else { return Ok(None) };
            shown.push_str(&format!("\n  WHERE {filter}"));
        }
        for (number, item) in select.group_by.iter().flat_map(|group| &group.items).enumerate() {
            let ast::GroupItem::Key(key) = item else { return Ok(None) };
            let Some(key) = self.shown_key(key, select, place)? else { return Ok(None) };
            shown.push_str(if number == 0 { "\n  GROUP BY " } else { ", " });
            shown.push_str(&key);
        }
        if let Some(having) = &select.having {
            let Some(having) = self.shown_expression(having, place)? else { return Ok(None) };
            shown.push_str(&format!("\n HAVING {having}"));
        }
        for (number, item) in query.order_by.iter().enumerate() {
            let Some(key) = self.shown_key(&item.expr, select, place)? else { return Ok(None) };
            shown.push_str(if number == 0 { "\n  ORDER BY " } else { ", " });
            shown.push_str(&key);
            shown.push_str(match (item.descending, item.nulls_first.unwrap_or(item.descending)) {
                (false, false) => "",
                (false, true) => " NULLS FIRST",
                (true, true) => " DESC",
                (true, false) => " DESC NULLS LAST",
            });
        }
        for (word, count) in [("OFFSET", &query.offset), ("LIMIT", &query.limit)] {
            match count.as_ref().map(|count| &count.kind) {
                None => {}
                Some(ExprKind::Number(number)) => shown.push_str(&format!("\n {word} {number}")),
                Some(_) => return Ok(None),
            }
        }
        Ok(Some(shown))
    }

    /// The select list.
    fn shown_items(&mut self, items: &[SelectItem], place: &Place<'_>) -> Result<Option<Vec<ShownItem>>> {
        let mut shown = Vec::new();
        for item in items {
            let columns = match item {
                SelectItem::Expr { expr, .. } => {
                    let Some(text) = self.shown_expression(expr, place)? else { return Ok(None) };
                    let own = match &expr.kind {
                        ExprKind::Column(names) => names.last().map(|name| name.value.clone()),
                        _ => None,
                    };
                    shown.push((text, own));
                    continue;
                }
                SelectItem::Wildcard { .. } => self.level()?.scope.columns.clone(),
                SelectItem::TableWildcard(name) => self.wildcard_of(name)?,
            };
            for column in columns {
                let Expr::Column { index, .. } = column.value else { return Ok(None) };
                let Some(text) = place.columns.get(index).cloned() else { return Ok(None) };
                shown.push((text, Some(column.name)));
            }
        }
        Ok(Some(shown))
    }

    fn shown_expression(&mut self, expression: &ast::Expr, place: &Place<'_>) -> Result<Option<String>> {
        let text = self.as_written_of_groups(place.style, place.columns, |binder| {
            Ok(match binder.expression(expression)? {
                Expr::Literal { value, ty } if ty.kind == TypeKind::Unknown => {
                    Expr::Literal { value, ty: TypeKind::Text.into() }
                }
                bound => bound,
            })
        })?;
        // Lines of CASE are set in; a literal with a line's end is then another, and the query is not shown so.
        Ok(text.map(|text| text.replace('\n', "\n        ")))
    }

    /// A key of GROUP BY or ORDER BY: by what it is, not by its number or name in the result.
    fn shown_key(
        &mut self,
        key: &ast::Expr,
        select: &ast::Select,
        place: &Place<'_>,
    ) -> Result<Option<String>> {
        let is_named = |item: &SelectItem| match (item, &key.kind) {
            (SelectItem::Expr { alias: Some(alias), .. }, ExprKind::Column(names)) => {
                matches!(names.as_slice(), [only] if only.value == alias.value)
            }
            _ => false,
        };
        let item = match &key.kind {
            ExprKind::Number(number) => {
                number.parse::<usize>().ok().and_then(|number| select.items.get(number.checked_sub(1)?))
            }
            _ => select.items.iter().find(|item| is_named(item)),
        };
        let key = match item {
            Some(SelectItem::Expr { expr, .. }) => expr,
            _ => key,
        };
        let text = self.shown_expression(key, place)?;
        let is_call = matches!(key.kind, ExprKind::Function(_));
        Ok(text.map(|text| if is_call { format!("({text})") } else { text }))
    }

    /// An item of FROM.
    fn shown_source(&mut self, item: &TableExpr, place: &Place<'_>) -> Result<Option<String>> {
        match item {
            TableExpr::Table { name, system_time: None, alias, sample: None } => {
                let table = self.table(name)?;
                let own = self.shown_name(&table);
                Ok(match alias {
                    None => Some(own),
                    Some(alias) if alias.columns.is_empty() => {
                        Some(format!("{own} {}", identifier(&alias.name.value)))
                    }
                    Some(_) => None,
                })
            }
            TableExpr::Join { left, right, kind, condition, .. } => {
                let is_nested = matches!(**right, TableExpr::Join { .. });
                if is_nested && place.saves_parentheses() {
                    return Ok(None);
                }
                let Some(left) = self.shown_source(left, place)? else { return Ok(None) };
                let Some(right) = self.shown_source(right, place)? else { return Ok(None) };
                self.shown_join((left.as_str(), right.as_str()), *kind, condition, place)
            }
            TableExpr::Table { .. } | TableExpr::Subquery { .. } | TableExpr::Function { .. } => Ok(None),
        }
    }

    fn shown_join(
        &mut self,
        (left, right): (&str, &str),
        kind: JoinKind,
        condition: &JoinCondition,
        place: &Place<'_>,
    ) -> Result<Option<String>> {
        let word = match (kind, condition) {
            (JoinKind::Inner, JoinCondition::None) => "CROSS JOIN",
            (JoinKind::Inner, _) => "JOIN",
            (JoinKind::Left, _) => "LEFT JOIN",
            (JoinKind::Right, _) => "RIGHT JOIN",
            (JoinKind::Full, _) => "FULL JOIN",
        };
        let condition = match condition {
            JoinCondition::None => String::new(),
            JoinCondition::Natural => return Ok(None),
            JoinCondition::Using(names) => {
                let names: Vec<String> = names.iter().map(|name| identifier(&name.value)).collect();
                format!(" USING ({})", names.join(", "))
            }
            JoinCondition::On(condition) => {
                let Some(text) = self.shown_expression(condition, place)? else { return Ok(None) };
                if place.saves_parentheses() { format!(" ON {text}") } else { format!(" ON ({text})") }
            }
        };
        let joined = format!("{left}\n     {word} {right}{condition}");
        Ok(Some(if place.saves_parentheses() { joined } else { format!("({joined})") }))
    }
}

/// What the columns of a row are called, by their places in it; empty: they cannot be named.
fn names_of(scope: &Scope, width: usize) -> Vec<String> {
    let mut names = vec![String::new(); width];
    for relation in &scope.relations {
        for column in &relation.columns {
            if let Expr::Column { index, .. } = column.value
                && let Some(name) = names.get_mut(index)
            {
                *name = format!("{}.{}", identifier(&relation.name), identifier(&column.name));
            }
        }
    }
    names
}
