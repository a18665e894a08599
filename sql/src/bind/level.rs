//! The queries around an expression: the row that each has, and what binding over that row leaves to be computed.

use expr::Expr;

use super::scope::Scope;
use crate::plan::{AggregateCall, ApplyKind, Binding, FunctionScan, Subquery};

/// Whether aggregates may stand in a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregates {
    Allowed,
    Refused,
    /// Within an aggregate's arguments.
    Nested,
}

/// The clause that is being bound; for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clause {
    pub(super) name: &'static str,
    pub(super) aggregates: Aggregates,
}

impl Clause {
    pub(super) const fn plain(name: &'static str) -> Self {
        Self { name, aggregates: Aggregates::Refused }
    }

    pub(super) const fn grouped(name: &'static str) -> Self {
        Self { name, aggregates: Aggregates::Allowed }
    }
}

/// A query around the expression at hand, or the left side of a join that LATERAL may look at.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) kind: LevelKind,
    pub(super) scope: Scope,
    pub(super) clause: Clause,
    /// Slots that the subquery which is being bound below reads from this level's row.
    pub(super) pending: Vec<Binding>,
    /// What was put aside while binding expressions over this level's row.
    pub(super) subqueries: Vec<PutAside>,
    /// The same within the arguments of aggregates and in GROUP BY: over the row before it is grouped.
    pub(super) argument_subqueries: Vec<PutAside>,
    pub(super) aggregates: Vec<AggregateCall>,
    /// Columns that were named outside of aggregates, and where.
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
            clause,
            pending: Vec::new(),
            subqueries: Vec::new(),
            argument_subqueries: Vec::new(),
            aggregates: Vec::new(),
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
    Rows { function: FunctionScan, bindings: Vec<Binding> },
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
            Self::Rows { bindings, .. } => bindings.iter_mut().map(|binding| &mut binding.value).collect(),
        }
    }
}
