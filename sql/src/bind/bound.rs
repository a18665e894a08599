//! Bound queries, and those of WITH that can be seen.

use std::collections::HashMap;

use expr::{Expr, Type, TypeKind};

use super::scope::ScopeColumn;
use crate::catalog::Oid;
use crate::plan::budget::PlanSize;
use crate::plan::{Common, Node, OutputColumn, Values};

/// A query that is bound. Columns may still be of unknown type: whoever uses the query decides.
#[derive(Debug, Clone)]
pub(super) struct BoundQuery {
    pub(super) node: Node,
    pub(super) columns: Vec<QueryColumn>,
}

/// A column of a query's result.
#[derive(Debug, Clone)]
pub(super) struct QueryColumn {
    pub(super) name: String,
    pub(super) origin: Option<(Oid, i16)>,
    /// Where its expression stands.
    pub(super) at: usize,
}

/// A query of WITH. Each mention of it is a copy, until it is planned which of them are computed once.
#[derive(Debug, Clone)]
pub(super) struct CommonTable {
    pub(super) name: String,
    /// Its number in the statement.
    pub(super) id: usize,
    pub(super) materialized: Option<bool>,
    pub(super) bound: BoundQuery,
    /// What a mention of it adds to the plan.
    pub(super) size: PlanSize,
    /// How many of its columns, the last ones, `*` sees in the query alone that has it.
    pub(super) hidden: usize,
    /// It is being bound, and may read itself.
    pub(super) recursion: Option<Recursion>,
}

impl CommonTable {
    /// A mention of it.
    pub(super) fn mention(&self) -> Node {
        Node::Common(Common {
            id: self.id,
            name: self.name.clone(),
            materialized: self.materialized,
            is_shared: true,
            input: Box::new(self.bound.node.clone()),
        })
    }

    /// Whether it changes rows and returns none.
    pub(super) fn returns_nothing(&self) -> bool {
        matches!(&self.bound.node, Node::Modify(plan) if plan.returning().is_none())
    }
}

/// The queries of WITH that can be seen, the innermost last.
///
/// Invariant: `places` has the places of each name in `list`, ascending.
#[derive(Debug, Default)]
pub(super) struct CommonTables {
    list: Vec<CommonTable>,
    places: HashMap<String, Vec<usize>>,
}

impl CommonTables {
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// The innermost of this name.
    pub(super) fn find(&self, name: &str) -> Option<&CommonTable> {
        self.place(name).and_then(|place| self.list.get(place))
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name)?.last().copied()
    }

    pub(super) fn push(&mut self, common: CommonTable) {
        self.places.entry(common.name.clone()).or_default().push(self.list.len());
        self.list.push(common);
    }

    /// A query that is being bound and may read itself.
    pub(super) fn open(&mut self, name: &str, recursion: Recursion) {
        self.push(CommonTable {
            name: name.to_owned(),
            id: recursion.id,
            materialized: None,
            bound: BoundQuery { node: Node::Values(Values::one_row()), columns: Vec::new() },
            size: PlanSize::default(),
            hidden: 0,
            recursion: Some(recursion),
        });
    }

    /// The query of this place, if it is being bound and may read itself.
    pub(super) fn recursion(&mut self, place: usize) -> Option<&mut Recursion> {
        self.list.get_mut(place)?.recursion.as_mut()
    }

    /// Hides all but the first so many.
    pub(super) fn truncate(&mut self, len: usize) {
        for common in self.list.drain(len.min(self.list.len())..) {
            if let Some(places) = self.places.get_mut(&common.name) {
                places.pop();
                if places.is_empty() {
                    self.places.remove(&common.name);
                }
            }
        }
    }
}

impl BoundQuery {
    /// The type of a column.
    pub(super) fn ty(&self, column: usize) -> Type {
        self.node.types().get(column).copied().unwrap_or(Type::plain(TypeKind::Unknown))
    }

    /// What clients are told of the columns.
    pub(super) fn output_columns(&self) -> Vec<OutputColumn> {
        let described = self.columns.iter().zip(self.node.types());
        described.map(|(column, ty)| output_column(&column.name, ty, column.origin)).collect()
    }

    /// The columns as FROM sees them.
    pub(super) fn scope_columns(&self) -> Vec<ScopeColumn> {
        let numbered = self.columns.iter().zip(self.node.types()).enumerate();
        numbered
            .map(|(index, (column, ty))| ScopeColumn {
                name: column.name.clone(),
                value: Expr::Column { index, ty },
                origin: column.origin,
            })
            .collect()
    }
}

/// What clients are told of a column.
pub(super) fn output_column(name: &str, ty: Type, origin: Option<(Oid, i16)>) -> OutputColumn {
    let (table_oid, column_number) = origin.unwrap_or((0, 0));
    // What shapes of records are numbered by is nobody else's business.
    let ty = if ty.kind == TypeKind::Record { Type::plain(ty.kind) } else { ty };
    OutputColumn { name: name.to_owned(), ty, table_oid, column_number }
}

/// A query of WITH RECURSIVE that is being bound.
#[derive(Debug, Clone)]
pub(super) struct Recursion {
    /// The number of the query.
    pub(super) id: usize,
    /// Where its name stands.
    pub(super) at: usize,
    pub(super) phase: Phase,
    pub(super) columns: Vec<QueryColumn>,
    pub(super) types: Vec<Type>,
    /// How many of the columns, the last ones, are found by name alone.
    pub(super) hidden: usize,
    /// How often it was named.
    pub(super) references: usize,
}

/// Which part of it is being bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is no UNION.
    Whole,
    /// It changes rows.
    Changing,
    /// What stands before UNION.
    First,
    /// What stands behind.
    Round,
}
