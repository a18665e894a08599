//! The logical plan: which rows a statement makes, and nothing of how.
//!
//! Every column that a node makes has a number of its own in the whole statement, its [`ColumnId`], under which
//! `Expr::Column` names it wherever it is read: above the node, and in the subqueries and LATERAL items that look at the
//! row from within. So a rule moves nodes and expressions without renumbering anything.
//!
//! A node passes the columns of its input on, unless it says which ones it makes. Which of them anybody reads, and in
//! which place of a row they stand, is decided when the physical plan ([`crate::plan::Node`]) is made of it.
//!
//! # Invariants
//! - A column is made by one node, and is read only above that node, or in the subqueries and LATERAL items beside it.
//! - A node that is copied gets new numbers, but in a tree that stands by itself: what is asked again of rows that have
//!   changed by the time that they are locked.

mod set;
pub(crate) mod walk;

pub(crate) use set::ColumnSet;

use std::sync::Arc;

use expr::{Expr, Type};

use crate::catalog::TableDescriptor;
use crate::plan::{
    self, AggregateCall, ApplyKind, GroupingSet, JoinKind, RowLock, SetFunction, SortKey, TableFunction,
    When, WindowCall,
};

/// The number of a column in its statement.
pub(crate) type ColumnId = usize;

/// The columns of a statement.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    types: Vec<Type>,
}

impl Columns {
    /// A new column.
    pub(crate) fn add(&mut self, ty: Type) -> ColumnId {
        self.types.push(ty);
        self.types.len().saturating_sub(1)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.types.len()
    }

    /// The type of a column.
    pub(crate) fn ty(&self, column: ColumnId) -> Type {
        self.types.get(column).copied().unwrap_or(Type::plain(expr::TypeKind::Unknown))
    }

    /// The column as an expression.
    pub(crate) fn read(&self, column: ColumnId) -> Expr {
        Expr::Column { index: column, ty: self.ty(column) }
    }
}

/// Makes rows.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// Rows of a stored table or a system view.
    Get(Box<Get>),
    /// Rows of a function.
    Function(Box<Function>),
    /// Rows written out.
    Values(Box<Values>),
    /// The rows of which conditions hold.
    Filter(Filter),
    /// More columns.
    Compute(Compute),
    /// More rows of each row.
    ProjectSet(Box<ProjectSet>),
    /// Pairs of rows.
    Join(Box<Join>),
    /// Subqueries' answers as more columns.
    Apply(Apply),
    /// One row per group.
    Aggregate(Box<Aggregate>),
    /// More columns, of the rows around each.
    Window(Box<Window>),
    /// Rows in order.
    Sort(Sort),
    /// Some of the rows.
    Limit(Box<Limit>),
    /// Here the rows are locked that the tables below are marked to lock.
    LockRows(Box<Node>),
    /// Rows without duplicates.
    Distinct(Box<Distinct>),
    /// The rows of several inputs.
    Append(Append),
    /// INTERSECT, EXCEPT.
    SetOperation(Box<SetOperation>),
    /// A query of WITH that is computed once.
    Common(Box<Common>),
    /// A query of WITH RECURSIVE.
    Recursive(Box<Recursive>),
    /// The rows of its last round.
    Working(Box<Working>),
    /// What a query of WITH returns that changes rows.
    Modify(Box<Modify>),
}

/// The rows of a node, of which these columns are meant, in this order.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) node: Node,
    pub(crate) columns: Vec<ColumnId>,
}

/// Rows of a table.
#[derive(Debug, Clone)]
pub(crate) struct Get {
    pub(crate) table: Arc<TableDescriptor>,
    /// The name it goes by in the statement.
    pub(crate) alias: String,
    /// What is made, and the places in the table's columns where it comes from.
    pub(crate) columns: Vec<(ColumnId, usize)>,
    /// Rows for which not all of these are true are left out.
    pub(crate) filter: Vec<Expr>,
    /// The rows are locked: where a [`Node::LockRows`] stands above, else as they are read.
    pub(crate) lock: Option<RowLock>,
    /// Policies hide rows of it.
    pub(crate) shielded: bool,
    /// They hide some of the rows that it answers, too, by what stood above it.
    pub(crate) veiled: bool,
    /// Of when the rows are, if not of now. It reads no columns.
    pub(crate) past: Option<When>,
}

/// Calls a function once.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    pub(crate) function: TableFunction,
    pub(crate) arguments: Vec<Expr>,
    pub(crate) types: Vec<Type>,
    pub(crate) ordinality: bool,
    pub(crate) columns: Vec<ColumnId>,
}

/// Rows written out.
#[derive(Debug, Clone)]
pub(crate) struct Values {
    pub(crate) rows: Vec<Vec<Expr>>,
    pub(crate) columns: Vec<ColumnId>,
}

/// The rows of which all conditions hold; there is at least one, unless it is a barrier.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) input: Box<Node>,
    pub(crate) conditions: Vec<Expr>,
    /// It hides rows, itself or by what is below it. What is asked from above and might tell of them does not pass.
    pub(crate) barrier: bool,
}

/// The input's columns and more of them.
#[derive(Debug, Clone)]
pub(crate) struct Compute {
    pub(crate) input: Box<Node>,
    /// Over the input's columns.
    pub(crate) computed: Vec<(ColumnId, Expr)>,
}

/// The input's columns and one for each function, for as many rows as that of most answers.
#[derive(Debug, Clone)]
pub(crate) struct ProjectSet {
    pub(crate) input: Node,
    /// Over the input's columns.
    pub(crate) functions: Vec<(ColumnId, SetFunction)>,
    /// What counts the rows of each input row.
    pub(crate) ordinality: Option<ColumnId>,
}

/// Pairs of rows.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    pub(crate) kind: JoinKind,
    pub(crate) left: Node,
    pub(crate) right: Node,
    /// The right side reads columns of the left: it is made anew for each left row.
    pub(crate) lateral: bool,
    /// The right side is what a subquery answers, one row at most for each of the left, by which it is asked again if that
    /// changes.
    pub(crate) asked: bool,
    /// What has to hold of a pair.
    pub(crate) conditions: Vec<Expr>,
}

/// Subqueries' answers added to each row.
#[derive(Debug, Clone)]
pub(crate) struct Apply {
    pub(crate) input: Box<Node>,
    pub(crate) subqueries: Vec<Subquery>,
}

/// A subquery whose answer is a column. It may read the input's columns and the answers before its own.
#[derive(Debug, Clone)]
pub(crate) struct Subquery {
    pub(crate) rows: Output,
    /// What is made of the rows. The test of ANY reads the input's columns and those of the rows.
    pub(crate) kind: ApplyKind,
    pub(crate) column: ColumnId,
}

/// One row per group: only the keys and the calls remain. Without keys: exactly one row.
#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    pub(crate) input: Node,
    pub(crate) keys: Vec<(ColumnId, Expr)>,
    /// Which of the keys make groups together, if not all of them do.
    pub(crate) sets: Vec<GroupingSet>,
    /// What tells the sets apart: one column for each of their marks.
    pub(crate) marks: Vec<ColumnId>,
    pub(crate) calls: Vec<(ColumnId, AggregateCall)>,
}

/// The input's columns and more of them, made of the rows around each. The input comes in the order of `partition_by`, then
/// `order_by`.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) input: Node,
    pub(crate) partition_by: Vec<Expr>,
    pub(crate) order_by: Vec<SortKey>,
    pub(crate) calls: Vec<(ColumnId, WindowCall)>,
}

/// Rows in order.
#[derive(Debug, Clone)]
pub(crate) struct Sort {
    pub(crate) input: Box<Node>,
    pub(crate) keys: Vec<SortKey>,
}

/// Skips, then stops.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    pub(crate) input: Node,
    pub(crate) limit: Option<Expr>,
    pub(crate) offset: Option<Expr>,
}

/// Rows without duplicates.
#[derive(Debug, Clone)]
pub(crate) struct Distinct {
    pub(crate) input: Node,
    pub(crate) kind: DistinctKind,
}

/// What is compared, and what remains.
#[derive(Debug, Clone)]
pub(crate) enum DistinctKind {
    /// These columns; only they remain.
    All(Vec<ColumnId>),
    /// These columns, by which the input is sorted; all of the first row of each kind remains.
    On(Vec<ColumnId>),
}

/// The rows of inputs one after the other. Only `columns` remain.
#[derive(Debug, Clone)]
pub(crate) struct Append {
    pub(crate) inputs: Vec<Output>,
    pub(crate) columns: Vec<ColumnId>,
}

/// INTERSECT, EXCEPT. Only `columns` remain.
#[derive(Debug, Clone)]
pub(crate) struct SetOperation {
    pub(crate) intersect: bool,
    pub(crate) all: bool,
    pub(crate) left: Output,
    pub(crate) right: Output,
    pub(crate) columns: Vec<ColumnId>,
}

/// A query of WITH that is computed once, however often it is named. Only `columns` remain.
///
/// Nothing of what is asked above goes into it: all its copies stay alike.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    /// Its number in the statement.
    pub(crate) id: usize,
    pub(crate) name: String,
    /// Whether the statement names it more than once.
    pub(crate) is_shared: bool,
    pub(crate) rows: Output,
    pub(crate) columns: Vec<ColumnId>,
}

/// A query that reads itself. Only `columns` remain.
///
/// Nothing of what is asked above goes into it.
#[derive(Debug, Clone)]
pub(crate) struct Recursive {
    pub(crate) id: usize,
    pub(crate) all: bool,
    pub(crate) first: Output,
    pub(crate) round: Output,
    pub(crate) columns: Vec<ColumnId>,
}

/// The rows of the last round of such a query.
#[derive(Debug, Clone)]
pub(crate) struct Working {
    pub(crate) id: usize,
    pub(crate) name: String,
    pub(crate) columns: Vec<ColumnId>,
}

/// What changes rows, planned apart: nothing of what is asked above goes into it.
#[derive(Debug, Clone)]
pub(crate) struct Modify {
    pub(crate) plan: Box<plan::Plan>,
    pub(crate) columns: Vec<ColumnId>,
}

impl Aggregate {
    /// Whether it makes one row, whatever comes in.
    pub(crate) fn is_one_row(&self) -> bool {
        self.keys.is_empty() && self.sets.is_empty()
    }
}

impl Node {
    /// One row without columns.
    pub(crate) fn one_row() -> Self {
        Self::Values(Box::new(Values { rows: vec![Vec::new()], columns: Vec::new() }))
    }

    /// The node, with one row without columns left in its place.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::one_row())
    }

    /// The rows of which these conditions hold, if there are any.
    pub(crate) fn filtered(self, conditions: Vec<Expr>) -> Self {
        if conditions.is_empty() {
            return self;
        }
        Self::Filter(Filter { input: Box::new(self), conditions, barrier: false })
    }

    /// The same, as it was where the conditions have come from.
    pub(crate) fn refiltered(self, conditions: Vec<Expr>, barrier: bool) -> Self {
        if !barrier {
            return self.filtered(conditions);
        }
        Self::Filter(Filter { input: Box::new(self), conditions, barrier })
    }
}
