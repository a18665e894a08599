//! WITH RECURSIVE: a query that may read itself.
//!
//! While it is bound, its name stands for the rows of its last round. What PostgreSQL's rules refuse is noticed where the name
//! is found.

use super::Binder;
use super::bound::{BoundQuery, Phase, QueryColumn, Recursion};
use super::from::{Source, relation};
use super::query::Retyped;
use super::scope::ScopeColumn;
use super::traversal::{self, Places, Traversal};
use crate::error::{Error, Result};
use crate::parse::ast::{self, QueryBody, SetOperationKind};
use crate::plan::{Node, Recursive, Working};

/// The two sides of UNION.
struct Union<'a> {
    /// What the first rows are.
    left: BoundQuery,
    /// They are those of several queries.
    of_several: bool,
    /// What a round makes.
    branch: &'a ast::SetBranch,
}

impl Binder<'_> {
    /// Binds a query that may read itself under a name.
    pub(super) fn recursive_query(
        &mut self,
        common: &ast::CommonTable,
        query: &ast::Query,
    ) -> Result<BoundQuery> {
        let traversal = self.traversal(common)?;
        let id = self.common_count;
        self.common_count = id.saturating_add(1);
        let visible = self.common_tables.len();
        let (phase, parts) = match &query.body {
            QueryBody::Modify(_) => (Phase::Changing, None),
            QueryBody::SetOperation { first, rest } => match rest.split_last() {
                Some((last, before)) if last.kind == SetOperationKind::Union => {
                    (Phase::First, Some((first, before, last)))
                }
                _ => (Phase::Whole, None),
            },
            _ => (Phase::Whole, None),
        };
        let recursion = Recursion {
            id,
            at: common.name.at,
            phase,
            columns: Vec::new(),
            types: Vec::new(),
            hidden: traversal::added(common),
            references: 0,
        };
        self.common_tables.open(&common.name.value, recursion);
        let bound = match parts {
            None if traversal.is_some() => {
                self.query_in(query, false).and_then(|_| Err(traversal::not_recursive(common)))
            }
            None => self.query_in(query, false),
            Some((first, before, last)) => self.with(&query.with, false).and_then(|()| {
                let left = if before.is_empty() {
                    self.query_body(first, false)?
                } else {
                    self.set_operations(first, before, false)?
                };
                let of_several = !before.is_empty() || traversal::is_set(first);
                let union = Union { left, of_several, branch: last };
                self.rounds(common, query, visible, union, traversal.as_ref())
            }),
        };
        self.common_tables.truncate(visible);
        bound
    }

    fn rounds(
        &mut self,
        common: &ast::CommonTable,
        query: &ast::Query,
        place: usize,
        union: Union<'_>,
        traversal: Option<&Traversal<'_>>,
    ) -> Result<BoundQuery> {
        let Union { left, of_several, branch } = union;
        let mut left = self.settle_outputs(left)?;
        let mut columns = left.columns.clone();
        for (column, name) in columns.iter_mut().zip(&common.columns) {
            column.name.clone_from(&name.value);
        }
        let own = columns.clone();
        let mut places: Result<Places> = Ok(Places::default());
        if let Some(traversal) = traversal {
            places = traversal.places(&own);
            let known = places.as_ref().ok();
            let none = Places::default();
            let named = BoundQuery { columns, ..left };
            left = self.traversal_begun(traversal, known.unwrap_or(&none), named);
            columns = left.columns.clone();
        }
        let types = left.node.types();
        if let Some(recursion) = self.common_tables.recursion(place) {
            recursion.phase = Phase::Round;
            recursion.columns =
                columns.into_iter().map(|column| QueryColumn { origin: None, ..column }).collect();
            recursion.types.clone_from(&types);
        }
        let handed_on = match (traversal, &places) {
            (Some(traversal), Ok(_)) => traversal.handed_on(&branch.body, &common.name.value)?,
            _ => None,
        };
        let right = self.query_body(handed_on.as_ref().unwrap_or(&branch.body), false)?;
        let Some(recursion) = self.common_tables.recursion(place) else {
            return Err(Error::internal("a recursive query was lost"));
        };
        let (id, is_recursive) = (recursion.id, recursion.references > 0);
        if traversal.is_some() {
            let side = |sqlstate, side: &str| {
                let message =
                    format!("with a SEARCH or CYCLE clause, the {side} side of the UNION must be a SELECT");
                Err(Error::new(sqlstate, message))
            };
            if !is_recursive {
                return Err(traversal::not_recursive(common));
            }
            if of_several {
                return side("0A000", "left");
            }
            if traversal::is_set(&branch.body) {
                return side("42601", "right");
            }
        }
        let places = places?;
        if traversal.is_some() && handed_on.is_none() {
            let message = format!(
                "with a SEARCH or CYCLE clause, the recursive reference to WITH query \"{}\" must be at the top level of its right-hand SELECT",
                common.name.value
            );
            return Err(Error::unsupported_as(message));
        }
        if !is_recursive {
            let bound = self.union_of(left, branch, right)?;
            let sorted = self.sort_outputs(bound, &query.order_by, true)?;
            return self.limited(sorted, query, super::scope::Scope::default(), false);
        }
        let order = query.order_by.first().map(|order| ("ORDER BY", Some(order.expr.at)));
        let offset = query.offset.as_ref().map(|offset| ("OFFSET", Some(offset.at)));
        let limit = query.limit.as_ref().map(|limit| ("LIMIT", Some(limit.at)));
        let lock = query.locks.first().map(|_| ("FOR UPDATE/SHARE", None));
        if let Some((what, at)) = order.or(offset).or(limit).or(lock) {
            let error = Error::unsupported_as(format!("{what} in a recursive query is not implemented"));
            return Err(match at {
                Some(at) => error.at(at),
                None => error,
            });
        }
        let common_types = self.common_types(&left, SetOperationKind::Union, &right)?;
        for (number, (own, common_type)) in (1_usize..).zip(types.iter().zip(&common_types)) {
            // Records know their own fields: those of one round may be others than those of another.
            let element = own.kind.element().unwrap_or(own.kind);
            let is_record = element == expr::TypeKind::Record && own.kind == common_type.kind;
            if own != common_type && !is_record {
                let message = format!(
                    "recursive query \"{}\" column {number} has type {} in non-recursive term but type {} overall",
                    common.name.value,
                    own.display_name(),
                    common_type.display_name()
                );
                let at = left.columns.get(number.saturating_sub(1)).map_or(0, |column| column.at);
                return Err(Error::new("42804", message)
                    .hint("Cast the output of the non-recursive term to the correct type.")
                    .at(at));
            }
        }
        if !branch.all {
            for (ty, column) in types.iter().zip(&left.columns) {
                super::types::comparable(*ty, "an equality", column.at)?;
            }
        }
        let mut right = right;
        let changes: Vec<Retyped> =
            types.iter().enumerate().map(|(column, to)| Retyped { column, to: *to, at: 0 }).collect();
        self.retype_columns(&mut right.node, &changes, expr::casts::CastContext::Implicit)?;
        if let Some(traversal) = traversal {
            right.node = self.traversal_continued(traversal, &places, right.node, &own)?;
        }
        let columns = left.columns.into_iter().map(|column| QueryColumn { origin: None, ..column }).collect();
        let node = Node::Recursive(Recursive {
            id,
            all: branch.all,
            first: Box::new(left.node),
            round: Box::new(right.node),
        });
        Ok(BoundQuery { node, columns })
    }

    /// The rows of the last round of the query of this place in WITH.
    pub(super) fn working_rows(
        &mut self,
        place: usize,
        name: &ast::Name,
        alias: Option<&ast::Alias>,
    ) -> Result<Source> {
        let barrier = self.barriers.iter().find(|(from, _)| *from > place).map(|(_, reason)| *reason);
        let Some(recursion) = self.common_tables.recursion(place) else {
            return Err(Error::internal("a recursive query was lost"));
        };
        recursion.references = recursion.references.saturating_add(1);
        let refused = |message: String| Err(Error::new("42P19", message).at(name.at));
        let reference = format!("recursive reference to query \"{}\" must not appear", name.value);
        match (recursion.phase, barrier) {
            (Phase::Whole, _) => {
                let message = format!(
                    "recursive query \"{}\" does not have the form non-recursive-term UNION [ALL] recursive-term",
                    name.value
                );
                return Err(Error::new("42P19", message).at(recursion.at));
            }
            (Phase::Changing, _) => {
                let message =
                    format!("recursive query \"{}\" must not contain data-modifying statements", name.value);
                return Err(Error::new("42P19", message).at(recursion.at));
            }
            (Phase::First, _) => return refused(format!("{reference} within its non-recursive term")),
            (Phase::Round, Some(reason)) => return refused(format!("{reference} within {reason}")),
            (Phase::Round, None) if recursion.references > 1 => {
                return refused(format!("{reference} more than once"));
            }
            (Phase::Round, None) => {}
        }
        let working = Working { id: recursion.id, name: name.value.clone(), types: recursion.types.clone() };
        let named = recursion.columns.iter().zip(recursion.types.iter().copied()).enumerate();
        let mut columns: Vec<ScopeColumn> = named
            .map(|(index, (column, ty))| ScopeColumn {
                name: column.name.clone(),
                value: expr::Expr::Column { index, ty },
                origin: None,
            })
            .collect();
        let unseen = columns.split_off(columns.len().saturating_sub(recursion.hidden));
        let called = alias.map_or(&name.value, |alias| &alias.name.value);
        let mut relation = relation(called, None, columns, None, alias)?;
        relation.unseen = unseen;
        relation.is_working = true;
        Ok(Source { node: Node::Working(working), scope: relation.into_scope() })
    }

    /// Binds what no recursive query around may be read in.
    pub(super) fn barred<T>(
        &mut self,
        reason: &'static str,
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.barriers.push((self.common_tables.len(), reason));
        let bound = bind(self);
        self.barriers.pop();
        bound
    }
}
