//! The queries around an expression: the row that each has, and what binding over that row leaves to be computed.

use std::collections::HashMap;

use expr::Expr;

use super::group_keys::GroupingCall;
use super::placeholder::Stands;
use super::query_windows::QueryWindows;
use super::scope::Scope;
use crate::plan::{AggregateCall, ApplyKind, Binding, SetFunction, Subquery};

/// Whether aggregates may stand in a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregates {
    Allowed,
    Refused,
    /// Within an aggregate's arguments.
    Nested,
}

/// Whether window functions may stand in a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Windows {
    Allowed,
    Refused,
    /// Within a window function's arguments.
    Nested,
    /// Within an aggregate's.
    Aggregated,
}

/// The clause that is being bound; for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clause {
    pub(super) name: &'static str,
    pub(super) aggregates: Aggregates,
    pub(super) windows: Windows,
    /// Whether functions that make rows may stand there.
    pub(super) sets: bool,
    /// What it is called where no query may stand in it.
    pub(super) without_queries: Option<&'static str>,
    /// What it is where system columns may not be named.
    pub(super) without_system_columns: Option<WithoutSystemColumns>,
}

/// A clause in which system columns may not be named, each in words of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WithoutSystemColumns {
    Check,
    Generation,
    Index,
    MergeWhen,
}

impl Clause {
    pub(super) const fn plain(name: &'static str) -> Self {
        Self {
            name,
            aggregates: Aggregates::Refused,
            windows: Windows::Refused,
            sets: false,
            without_queries: None,
            without_system_columns: None,
        }
    }

    /// A clause of which one is called `one`: no query may stand in it.
    pub(super) const fn without_queries(name: &'static str, one: &'static str) -> Self {
        Self { without_queries: Some(one), ..Self::plain(name) }
    }

    pub(super) const fn without_system_columns(self, what: WithoutSystemColumns) -> Self {
        Self { without_system_columns: Some(what), ..self }
    }

    pub(super) const fn grouped(name: &'static str) -> Self {
        Self { aggregates: Aggregates::Allowed, windows: Windows::Allowed, sets: true, ..Self::plain(name) }
    }

    /// Of groups, before anything is computed of windows.
    pub(super) const fn having() -> Self {
        Self { aggregates: Aggregates::Allowed, ..Self::plain("HAVING") }
    }
}

/// A query around the expression at hand, or the left side of a join that LATERAL may look at.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) kind: LevelKind,
    pub(super) scope: Scope,
    /// What the columns of the row are called where expressions over it are printed; empty: they cannot be named.
    pub(super) names: Vec<String>,
    pub(super) clause: Clause,
    /// Slots that the subquery which is being bound below reads from this level's row.
    pub(super) pending: Vec<Binding>,
    /// What was put aside while binding expressions over this level's row.
    pub(super) subqueries: Vec<PutAside>,
    /// The same within the arguments of aggregates and in GROUP BY: over the row before it is grouped.
    pub(super) argument_subqueries: Vec<PutAside>,
    /// What their numbers begin with, where they are bound.
    pub(super) asides_from: usize,
    /// The construct around that may leave what is in it uncomputed.
    pub(super) conditional: Option<&'static str>,
    pub(super) aggregates: Vec<AggregateCall>,
    pub(super) groupings: Vec<GroupingCall>,
    /// Where the first aggregate stands.
    pub(super) aggregate_at: Option<usize>,
    pub(super) windows: QueryWindows,
    /// Columns that were named outside of what aggregates are over, and where.
    pub(super) references: Vec<(usize, usize)>,
}

/// What a level is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LevelKind {
    /// A query, or something else whose expressions are over one row.
    Query {
        /// Whether it sees the [`LevelKind::Lateral`] levels right around it.
        lateral: bool,
    },
    /// What stands before an item of FROM.
    Lateral,
}

impl Level {
    pub(super) fn query(scope: Scope, clause: Clause, lateral: bool) -> Self {
        Self::new(LevelKind::Query { lateral }, scope, clause)
    }

    pub(super) fn lateral(scope: Scope) -> Self {
        Self::new(LevelKind::Lateral, scope, Clause::plain("FROM"))
    }

    fn new(kind: LevelKind, scope: Scope, clause: Clause) -> Self {
        Self {
            kind,
            scope,
            names: Vec::new(),
            clause,
            pending: Vec::new(),
            subqueries: Vec::new(),
            argument_subqueries: Vec::new(),
            asides_from: 0,
            conditional: None,
            aggregates: Vec::new(),
            groupings: Vec::new(),
            aggregate_at: None,
            windows: QueryWindows::default(),
            references: Vec::new(),
        }
    }
}

/// What was put aside: it adds one column to the row.
#[derive(Debug, Clone)]
pub(super) enum PutAside {
    /// A subquery's answer.
    Subquery(Box<Subquery>),
    /// The rows of a function in the select list.
    Rows(Box<SetFunction>),
    /// Nothing any more: it is computed before groups are made, under this number.
    Moved(usize),
}

impl PutAside {
    /// The expressions over the row that it is added to.
    pub(super) fn expressions(&mut self) -> Vec<&mut Expr> {
        match self {
            Self::Subquery(subquery) => {
                let Subquery { bindings, kind, .. } = subquery.as_mut();
                let test = match kind {
                    ApplyKind::Any { test } => Some(test),
                    ApplyKind::Scalar(_) | ApplyKind::Exists | ApplyKind::Array(_) => None,
                };
                bindings.iter_mut().map(|binding| &mut binding.value).chain(test).collect()
            }
            Self::Rows(function) => function.arguments.iter_mut().collect(),
            Self::Moved(_) => Vec::new(),
        }
    }

    /// When it can be computed: none if before window functions, else after so many levels of functions that make rows.
    /// `late`: when others are.
    pub(super) fn turn(&mut self, late: &HashMap<usize, usize>) -> Option<usize> {
        let own = matches!(self, Self::Rows(_)).then_some(1);
        let mut after: Option<usize> = None;
        for expression in self.expressions() {
            expression.walk(&mut |part| {
                if let Expr::Column { index, .. } = part {
                    after = after.max(match Stands::of(*index) {
                        Stands::Window(_) => Some(0),
                        Stands::Subquery(number) => late.get(&number).copied(),
                        Stands::Column(_)
                        | Stands::Aggregate(_)
                        | Stands::Grouping(_)
                        | Stands::SubqueryRow(_) => None,
                    });
                }
            });
        }
        match (own, after) {
            (Some(_), after) => Some(after.unwrap_or(0).saturating_add(1)),
            (None, after) => after,
        }
    }
}
