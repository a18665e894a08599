//! A query: WITH, and what stands behind SELECT, VALUES or a set operation.

use expr::TypeKind;
use expr::functions::quote::identifier;
use expr::print::Style;

use super::layout::{INDENT, Place, line};
use super::names::{Called, column_names};
use super::words;
use crate::bind::Binder;
use crate::bind::from::Source;
use crate::bind::level::{Clause, Level};
use crate::bind::query::lock_verb;
use crate::bind::scope::Scope;
use crate::error::{Error, Result};
use crate::parse::ast::{self, ExprKind, QueryBody};

/// A query without parentheses around all of it.
pub(super) struct Parts<'q> {
    pub(super) with: &'q [ast::CommonTable],
    pub(super) body: &'q QueryBody,
    pub(super) order_by: &'q [ast::OrderBy],
    pub(super) limit: Option<&'q ast::Expr>,
    pub(super) offset: Option<&'q ast::Expr>,
    pub(super) ties: bool,
    pub(super) locks: &'q [ast::Locking],
}

impl<'q> Parts<'q> {
    /// # Errors
    /// 0A000: what stands within parentheses has a clause of its own that stands behind them, too.
    pub(super) fn of(query: &'q ast::Query) -> Result<Self> {
        let own = Self {
            with: &query.with,
            body: &query.body,
            order_by: &query.order_by,
            limit: query.limit.as_ref(),
            offset: query.offset.as_ref(),
            ties: query.ties,
            locks: &query.locks,
        };
        let QueryBody::Query(inner) = &query.body else { return Ok(own) };
        let inner = Self::of(inner)?;
        match (own.is_bare(), inner.is_bare()) {
            (true, _) => Ok(inner),
            (false, true) => Ok(Self { body: inner.body, ..own }),
            (false, false) => Err(Error::unsupported("to print clauses within and behind parentheses")),
        }
    }

    /// A body without anything around it.
    fn alone(body: &'q QueryBody) -> Self {
        Self { with: &[], body, order_by: &[], limit: None, offset: None, ties: false, locks: &[] }
    }

    /// Whether there is nothing around its body.
    pub(super) fn is_bare(&self) -> bool {
        self.with.is_empty()
            && self.order_by.is_empty()
            && self.limit.is_none()
            && self.offset.is_none()
            && self.locks.is_empty()
    }
}

/// What FROM is.
pub(super) struct Named {
    pub(super) scope: Scope,
    /// What its relations are called.
    pub(super) relations: Vec<String>,
    /// What the columns of its rows are called.
    pub(super) columns: Vec<String>,
}

impl Binder<'_> {
    /// A query as text, with the space that it begins with. `lateral` says whether it sees the items of FROM before it.
    ///
    /// # Errors
    /// It is of a form that is not printed.
    pub(super) fn query_text(
        &mut self,
        query: &ast::Query,
        place: Place,
        called: Called<'_>,
        lateral: bool,
    ) -> Result<String> {
        self.apart_text(&Parts::of(query)?, place, called, lateral)
    }

    /// A query of a set operation.
    pub(super) fn body_text(
        &mut self,
        body: &QueryBody,
        place: Place,
        called: Called<'_>,
        lateral: bool,
    ) -> Result<String> {
        let parts = match body {
            QueryBody::Query(query) => Parts::of(query)?,
            body => Parts::alone(body),
        };
        self.apart_text(&parts, place, called, lateral)
    }

    /// A query, of which nothing is known afterwards.
    fn apart_text(
        &mut self,
        parts: &Parts<'_>,
        place: Place,
        called: Called<'_>,
        lateral: bool,
    ) -> Result<String> {
        let (visible, named, own) = (self.common_tables.len(), self.naming.len(), self.own_with);
        let text = self.parts_text(parts, place, called, lateral);
        self.own_with = own;
        self.common_tables.truncate(visible);
        self.naming.truncate(named);
        self.budget.note_text(text.as_ref().map_or(0, String::len));
        self.budget.check_texts()?;
        text
    }

    fn parts_text(
        &mut self,
        parts: &Parts<'_>,
        place: Place,
        called: Called<'_>,
        lateral: bool,
    ) -> Result<String> {
        let visible = self.common_tables.len();
        // What FROM names is found, and named, before what stands in WITH.
        self.with(parts.with, lateral)?;
        let around = self.queries_around();
        self.own_with = match parts.body {
            QueryBody::SetOperation { .. } => None,
            _ => Some((visible, around.saturating_add(1))),
        };
        let named = match parts.body {
            QueryBody::Select(select) => Some(self.named_from(select, lateral)?),
            _ => None,
        };
        let mut out = String::new();
        if !parts.with.is_empty() {
            self.common_tables.truncate(visible);
            out = self.with_text(parts.with, place, lateral)?;
        }
        let is_set = matches!(parts.body, QueryBody::SetOperation { .. });
        match (parts.body, &named) {
            (QueryBody::Select(select), Some(named)) => {
                let text = self.select_text(select, parts, named, (place, called), lateral)?;
                out.push_str(&text);
            }
            (QueryBody::SetOperation { first, rest }, _) => {
                out.push_str(&self.sets_text(first, rest, (place, called), lateral)?);
                self.order_by_columns(&mut out, parts, place, lateral)?;
            }
            (QueryBody::Values(rows), _) if parts.order_by.is_empty() => {
                out.push_str(&self.values_text(rows, place, called, lateral)?);
            }
            _ => return Err(Error::unsupported("to print such a query")),
        }
        let level = if is_set { place.start.saturating_sub(INDENT) } else { place.start };
        self.limits_text(&mut out, parts, place, level)?;
        self.locks_text(&mut out, parts, named.as_ref(), level)?;
        Ok(out)
    }

    /// FROM, and what is called how in it.
    fn named_from(&mut self, select: &ast::Select, lateral: bool) -> Result<Named> {
        let level = Level::query(Scope::default(), Clause::grouped("SELECT"), lateral);
        let (Source { node, scope }, _) = self.at_level(level, |binder| binder.sources(&select.from))?;
        let relations = self.name_relations(&scope);
        let columns = column_names(&scope, &relations, node.width());
        Ok(Named { scope, relations, columns })
    }

    /// WITH; its queries are visible afterwards.
    fn with_text(&mut self, with: &[ast::CommonTable], place: Place, lateral: bool) -> Result<String> {
        let mut out = String::from(" WITH ");
        if with.iter().any(|common| common.recursive) {
            out.push_str("RECURSIVE ");
        }
        for (number, common) in with.iter().enumerate() {
            if number > 0 {
                out.push_str(", ");
            }
            // What reads itself finds itself.
            if common.recursive {
                self.with(std::slice::from_ref(common), lateral)?;
            }
            let sees = lateral && !common.recursive;
            let inner = place.within();
            let called = Called { given: None, seen: true };
            let text = self.query_text(&common.query, inner, called, sees)?;
            if !common.recursive {
                self.with(std::slice::from_ref(common), lateral)?;
            }
            out.push_str(&identifier(&common.name.value));
            if !common.columns.is_empty() {
                out.push_str(&format!("({})", listed(&common.columns)));
            }
            out.push_str(match common.materialized {
                None => " AS (",
                Some(true) => " AS MATERIALIZED (",
                Some(false) => " AS NOT MATERIALIZED (",
            });
            line(&mut out, inner.start, 0);
            out.push_str(&text);
            line(&mut out, inner.start, 0);
            out.push(')');
            out.push_str(&self.traversal_text(common)?);
        }
        line(&mut out, place.start, 0);
        Ok(out)
    }

    /// SEARCH and CYCLE.
    fn traversal_text(&mut self, common: &ast::CommonTable) -> Result<String> {
        let mut out = String::new();
        if let Some(search) = &common.search {
            let word = if search.breadth_first { "BREADTH" } else { "DEPTH" };
            let sequence = identifier(&search.sequence.value);
            out.push_str(&format!(" SEARCH {word} FIRST BY {} SET {sequence}", listed(&search.by)));
        }
        if let Some(cycle) = &common.cycle {
            let mark = identifier(&cycle.mark.value);
            out.push_str(&format!(" CYCLE {} SET {mark}", listed(&cycle.by)));
            if let Some((repeated, fresh)) = &cycle.values {
                let [repeated, fresh] = [self.alone_text(repeated)?, self.alone_text(fresh)?];
                if (repeated.as_str(), fresh.as_str()) != ("true", "false") {
                    out.push_str(&format!(" TO {repeated} DEFAULT {fresh}"));
                }
            }
            out.push_str(&format!(" USING {}", identifier(&cycle.path.value)));
        }
        Ok(out)
    }

    /// An expression over no row.
    pub(super) fn alone_text(&mut self, expression: &ast::Expr) -> Result<String> {
        let place = Place { style: Style::Full, start: 0 };
        let level = Level::query(Scope::default(), Clause::plain("functions in FROM"), false);
        let (text, _) = self.at_level(level, |binder| {
            binder.printed(place, |binder| binder.settled_expression(expression), words::text)
        })?;
        Ok(text)
    }

    /// OFFSET and LIMIT, whose lines are set in so far.
    fn limits_text(&mut self, out: &mut String, parts: &Parts<'_>, place: Place, at: usize) -> Result<()> {
        if let Some(offset) = parts.offset {
            line(out, at, 0);
            out.push_str(&format!(" OFFSET {}", self.count_text(offset, place)?));
        }
        let Some(limit) = parts.limit else { return Ok(()) };
        line(out, at, 0);
        if parts.ties {
            out.push_str(&format!(" FETCH FIRST ({}) ROWS WITH TIES", self.count_text(limit, place)?));
        } else if matches!(limit.kind, ExprKind::Null) {
            out.push_str(" LIMIT ALL");
        } else {
            out.push_str(&format!(" LIMIT {}", self.count_text(limit, place)?));
        }
        Ok(())
    }

    /// A number of rows.
    fn count_text(&mut self, count: &ast::Expr, place: Place) -> Result<String> {
        let level = Level::query(Scope::default(), Clause::plain("LIMIT"), false);
        let (text, _) = self.at_level(level, |binder| {
            let bind = |binder: &mut Self| {
                let bound = binder.expression(count)?;
                binder.implicit(bound, TypeKind::Int8, count.at)
            };
            binder.printed(place, bind, words::text)
        })?;
        Ok(text)
    }

    /// FOR UPDATE and its like: each table by its name.
    fn locks_text(
        &mut self,
        out: &mut String,
        parts: &Parts<'_>,
        named: Option<&Named>,
        at: usize,
    ) -> Result<()> {
        let Some(named) = named else { return Ok(()) };
        for lock in parts.locks {
            let is_meant = |name: &str| lock.of.as_ref().is_none_or(|of| of.value == name);
            let relations = named.scope.relations.iter().zip(&named.relations);
            for (_, called) in relations.filter(|(relation, _)| is_meant(&relation.name)) {
                line(out, at, 0);
                let verb = lock_verb(lock.strength);
                out.push_str(&format!(" {verb} OF {}", identifier(called)));
                out.push_str(match lock.wait {
                    ast::LockWait::Block => "",
                    ast::LockWait::Error => " NOWAIT",
                    ast::LockWait::Skip => " SKIP LOCKED",
                });
            }
        }
        Ok(())
    }
}

/// Names as a list.
pub(super) fn listed(names: &[ast::Name]) -> String {
    names.iter().map(|name| identifier(&name.value)).collect::<Vec<_>>().join(", ")
}
