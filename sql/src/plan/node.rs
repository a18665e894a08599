//! The tree that makes rows.

use std::sync::Arc;

use expr::FunctionId;
use expr::aggregate::Aggregate as AggregateFunction;
use expr::{Expr, Shape, Type};

use super::window::WindowCall;
use super::{KeySpan, LockStrength, LockWait, Plan, When};
use crate::catalog::{IndexId, TableDescriptor};

/// Makes rows. [`Node::types`] tells their shape.
#[derive(Debug, Clone)]
pub enum Node {
    /// Rows of a stored table.
    Scan(Box<Scan>),
    /// Rows of a stored table as they were.
    Past(Box<PastScan>),
    /// Rows of a system view.
    VirtualScan(VirtualScan),
    /// Rows of a set-returning function.
    FunctionScan(FunctionScan),
    /// Rows written out. One row without columns where there is no FROM.
    Values(Values),
    /// The rows that satisfy a condition.
    Filter(Filter),
    /// Other columns.
    Project(Project),
    /// More rows of each row.
    ProjectSet(ProjectSet),
    /// Pairs of rows.
    Join(Join),
    /// Subqueries' answers added to each row as more columns.
    Apply(Apply),
    /// One row per group.
    Aggregate(Aggregate),
    /// What is computed of the rows around each.
    Window(Window),
    /// Rows in order.
    Sort(Sort),
    /// Some of the rows.
    Limit(Limit),
    /// Rows that are locked.
    LockRows(Box<LockRows>),
    /// Rows without duplicates.
    Distinct(Distinct),
    /// The rows of several inputs.
    Append(Append),
    /// INTERSECT, EXCEPT.
    SetOperation(SetOperation),
    /// A query of WITH.
    Common(Common),
    /// A query of WITH RECURSIVE that reads itself.
    Recursive(Recursive),
    /// What it reads.
    Working(Working),
    /// What a query of WITH returns that changes rows ([`Plan::Modify`]). It reads no outer row.
    Modify(Box<Plan>),
}

/// Reads a stored table through one index.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// The name it goes by in the statement; for EXPLAIN.
    pub alias: String,
    /// The index: the primary, or a secondary one that leads to the rows.
    pub index: IndexId,
    /// Which keys to read. They may overlap; a row is answered once. `None`: all of them.
    pub spans: Option<Vec<KeySpan>>,
    /// The output: places in `table.columns`.
    pub columns: Vec<usize>,
    /// Over the output row; rows for which it is not true are left out. What `spans` guarantee is not repeated.
    pub filter: Option<Expr>,
    /// Lock the rows, and answer their newest version if `recheck` holds of it.
    pub lock: Option<RowLock>,
    /// It reads for a [`LockRows`] that passes over rows which others hold: nothing of what it reads is relied on.
    pub passing: bool,
    /// Policies hide rows of it, and their conditions come first: rows are locked once those hold of them.
    pub shielded: bool,
    /// They hide some of the rows that it answers, too: what they ask is more than a scan can tell.
    pub veiled: bool,
    /// The whole condition, over the output row: what `filter` and `spans` say together. Set where there is a lock
    /// and a condition.
    pub recheck: Option<Expr>,
    /// Against the index's order.
    pub reverse: bool,
    /// Whether somebody counts on the rows coming in that order.
    pub ordered: bool,
    /// Where the optimiser knows that no more rows will be asked for than this many (a literal or parameter of type
    /// int8, NULL = all; offset included).
    pub limit: Option<Expr>,
}

impl Scan {
    /// Whether it answers who has written its rows.
    pub fn tells_writer(&self) -> bool {
        self.table.tells_writer() && self.table.writer().is_some_and(|place| self.columns.contains(&place))
    }
}

/// Reads a stored table as it was.
#[derive(Debug, Clone)]
pub struct PastScan {
    /// How it is read as far as it was made then as it is now: else all rows of then are, of which `filter` is true. The
    /// filter is the whole condition.
    pub scan: Scan,
    /// Of when.
    pub when: When,
}

/// How rows are locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowLock {
    /// How strongly.
    pub strength: LockStrength,
    /// What if another holds it.
    pub wait: LockWait,
}

impl RowLock {
    /// What two clauses ask for together, as in PostgreSQL: the stronger lock, for which nobody waits if one of them does not.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let strength = match self.strength {
            LockStrength::Exclusive => LockStrength::Exclusive,
            LockStrength::Shared => other.strength,
        };
        let wait = match (self.wait, other.wait) {
            (LockWait::Error, _) | (_, LockWait::Error) => LockWait::Error,
            (LockWait::Skip, _) | (_, LockWait::Skip) => LockWait::Skip,
            (LockWait::Block, LockWait::Block) => LockWait::Block,
        };
        Self { strength, wait }
    }
}

/// Locks the rows of tables that the rows of its input are made of, and answers those that it has locked.
///
/// A row of which a table's part had changed is made anew by `again`, of that part's newest version and of everything
/// else as it was; it is answered if it still comes out there.
///
/// What the binder makes says only where rows are locked; which ones do the marks of the scans below ([`Scan::lock`]).
#[derive(Debug, Clone)]
pub struct LockRows {
    /// Input.
    pub input: Box<Node>,
    /// What is locked of each row, in this order.
    pub targets: Vec<LockTarget>,
    /// No more rows will be asked for than the sum of these (LIMIT and OFFSET, as in [`Limit`]). Empty: all.
    pub wanted: Vec<Expr>,
    /// Makes one row like the input's of what the slots hold, or none.
    pub again: Box<Node>,
    /// Sets the slots that it reads, from a row of the input.
    pub bindings: Vec<Binding>,
}

/// A table of whose row each row of an input holds the key.
#[derive(Debug, Clone)]
pub struct LockTarget {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// How its rows are locked.
    pub lock: RowLock,
    /// Where the columns of its primary key stand in the input's rows.
    pub key: Vec<usize>,
    /// Its columns: where each stands in the input's rows, and its place in `table.columns`.
    pub columns: Vec<(usize, usize)>,
}

impl LockRows {
    /// Locks what the scans below it are marked to lock.
    pub fn over(input: Node) -> Self {
        Self {
            input: Box::new(input),
            targets: Vec::new(),
            wanted: Vec::new(),
            again: Box::new(Node::Values(Values::one_row())),
            bindings: Vec::new(),
        }
    }
}

/// Reads a system view.
#[derive(Debug, Clone)]
pub struct VirtualScan {
    /// The view.
    pub table: Arc<TableDescriptor>,
    /// The name it goes by in the statement; for EXPLAIN.
    pub alias: String,
    /// The output: places in `table.columns`.
    pub columns: Vec<usize>,
    /// Over the output row.
    pub filter: Option<Expr>,
}

/// Calls a set-returning function once; its arguments name no columns.
#[derive(Debug, Clone)]
pub struct FunctionScan {
    /// Which.
    pub function: TableFunction,
    /// Its arguments.
    pub arguments: Vec<Expr>,
    /// The types of the output, `ordinality` excluded.
    pub types: Vec<Type>,
    /// WITH ORDINALITY: a last column of type int8 that counts from 1.
    pub ordinality: bool,
}

/// Functions in FROM.
#[derive(Debug, Clone)]
pub enum TableFunction {
    /// A set-returning function (`expr::series`): one column, or the fields of records of this shape.
    Series(FunctionId, Arc<Shape>),
    /// Any other expression: one row with its value. The only argument is the expression.
    Scalar,
}

/// Rows written out; the expressions name no columns.
#[derive(Debug, Clone)]
pub struct Values {
    /// The rows.
    pub rows: Vec<Vec<Expr>>,
    /// The types of their columns.
    pub types: Vec<Type>,
}

impl Values {
    /// One row without columns.
    pub fn one_row() -> Self {
        Self { rows: vec![Vec::new()], types: Vec::new() }
    }
}

/// Keeps the rows for which `predicate` is true.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Input.
    pub input: Box<Node>,
    /// Of type bool.
    pub predicate: Expr,
    /// It hides rows: what is asked from above, and might tell of them, stays above.
    pub barrier: bool,
}

/// Computes other columns.
#[derive(Debug, Clone)]
pub struct Project {
    /// Input.
    pub input: Box<Node>,
    /// The output columns.
    pub expressions: Vec<Expr>,
}

/// What a join answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    /// The pairs that match.
    Inner,
    /// And each left row without match, with NULLs for the right.
    Left,
    /// And each right row without match, with NULLs for the left.
    Right,
    /// Both.
    Full,
    /// The left rows that have a match, each once.
    Semi,
    /// The left rows that have none.
    Anti,
    /// The right rows that have a match, each once.
    RightSemi,
    /// The right rows that have none.
    RightAnti,
}

impl JoinKind {
    /// Which sides' columns the rows have that are answered.
    pub fn answers(self) -> (bool, bool) {
        match self {
            Self::Inner | Self::Left | Self::Right | Self::Full => (true, true),
            Self::Semi | Self::Anti => (true, false),
            Self::RightSemi | Self::RightAnti => (false, true),
        }
    }
}

/// Pairs of rows: the left row's columns followed by the right row's, or those of the side that is answered.
#[derive(Debug, Clone)]
pub struct Join {
    /// Which pairs.
    pub kind: JoinKind,
    /// Left input.
    pub left: Box<Node>,
    /// Right input.
    pub right: Box<Node>,
    /// How.
    pub strategy: JoinStrategy,
    /// What has to hold of a pair beyond what the strategy guarantees.
    pub condition: Option<Expr>,
    /// About how many left rows there are.
    pub left_rows: f64,
}

/// How a join finds its pairs.
#[derive(Debug, Clone)]
pub enum JoinStrategy {
    /// Every left row with every right row; the right side is read once and kept.
    NestedLoop,
    /// Those with equal keys. NULL equals nothing.
    Hash {
        /// Over the left row.
        left_keys: Vec<Expr>,
        /// Over the right row alone (its first column is `Column(0)`); of the same types as `left_keys`.
        right_keys: Vec<Expr>,
    },
    /// The right side is run for each left row: an index lookup with the left row's values, or LATERAL.
    Dependent {
        /// Slots to set from the left row before the right side runs.
        bindings: Vec<Binding>,
    },
}

/// Sets a slot from an outer row.
#[derive(Debug, Clone)]
pub struct Binding {
    /// Which `Parameter`.
    pub slot: usize,
    /// Its value, over the outer row.
    pub value: Expr,
}

/// Adds the answers of subqueries to each input row, one column for each, from the left.
#[derive(Debug, Clone)]
pub struct Apply {
    /// Input.
    pub input: Box<Node>,
    /// The subqueries, at least one.
    pub subqueries: Vec<Subquery>,
}

/// A subquery whose answer becomes a column. What it reads of the row are the input's columns and the answers before
/// its own.
#[derive(Debug, Clone)]
pub struct Subquery {
    /// Its rows.
    pub node: Node,
    /// Slots that it reads, set from each row. Without any it runs at most once.
    pub bindings: Vec<Binding>,
    /// What is added.
    pub kind: ApplyKind,
}

/// What a subquery answers.
#[derive(Debug, Clone)]
pub enum ApplyKind {
    /// `(SELECT …)`: its only row's only column, NULL without rows; 21000 if there are more.
    Scalar(Type),
    /// `EXISTS (SELECT …)`: bool.
    Exists,
    /// `x op ANY (SELECT …)`, `x IN (SELECT …)`: true if `test`, over the input row followed by a row of the
    /// subquery, is true for one; else NULL if it was NULL for one; else false.
    Any {
        /// The comparison.
        test: Expr,
    },
    /// `ARRAY (SELECT …)`: the values of its only column as an array, of this type.
    Array(Type),
}

/// One row per group: the keys, what GROUPING tells of its set, then the aggregates. Without keys: exactly one row.
#[derive(Debug, Clone)]
pub struct Aggregate {
    /// Input.
    pub input: Box<Node>,
    /// What rows of a group have in common (NULLs are alike).
    pub keys: Vec<Expr>,
    /// Which of them make groups together: each set groups all rows by itself. Empty: all of them do.
    pub sets: Vec<GroupingSet>,
    /// What is computed of a group.
    pub calls: Vec<AggregateCall>,
}

/// Some of the keys of groups; the others are NULL. Without any there is one group, of no rows, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupingSet {
    /// Their places.
    pub keys: Vec<usize>,
    /// The value of each call of GROUPING in its groups.
    pub marks: Vec<i32>,
}

impl GroupingSet {
    /// How many calls of GROUPING there are.
    pub fn marks_of(sets: &[Self]) -> usize {
        sets.first().map_or(0, |set| set.marks.len())
    }
}

/// One aggregate.
#[derive(Debug, Clone)]
pub struct AggregateCall {
    /// Which, resolved for its argument's type.
    pub function: AggregateFunction,
    /// Over the input row; at most one. Empty for `count(*)`.
    pub arguments: Vec<Expr>,
    /// DISTINCT
    pub distinct: bool,
    /// FILTER (WHERE …)
    pub filter: Option<Expr>,
    /// The order in which rows are fed (`string_agg(x, ',' ORDER BY y)`); over the input row.
    pub order_by: Vec<SortKey>,
    /// The result's type.
    pub ty: Type,
}

/// Rows in order; stable only by accident.
#[derive(Debug, Clone)]
pub struct Sort {
    /// Input.
    pub input: Box<Node>,
    /// Over the input row, the most significant first.
    pub keys: Vec<SortKey>,
    /// As in [`Scan::limit`]: only so many of the first rows will be asked for.
    pub limit: Option<Expr>,
}

/// One key of an order.
#[derive(Debug, Clone)]
pub struct SortKey {
    /// What to compare.
    pub expression: Expr,
    /// DESC
    pub descending: bool,
    /// NULLS FIRST
    pub nulls_first: bool,
}

/// Skips, then stops.
#[derive(Debug, Clone)]
pub struct Limit {
    /// Input.
    pub input: Box<Node>,
    /// How many; int8, names no columns. NULL: all. Negative: 2201W.
    pub limit: Option<Expr>,
    /// How many to skip; int8, names no columns. NULL: none. Negative: 2201X.
    pub offset: Option<Expr>,
}

/// Rows without duplicates (NULLs are alike).
#[derive(Debug, Clone)]
pub struct Distinct {
    /// Input.
    pub input: Box<Node>,
    /// DISTINCT ON: only these columns are compared, the first row of each kind stays; the input is sorted by them.
    /// `None`: all columns.
    pub on: Option<Vec<usize>>,
}

/// The rows of inputs with equal types, one after the other: UNION ALL. UNION is [`Distinct`] of it.
#[derive(Debug, Clone)]
pub struct Append {
    /// The inputs, at least one.
    pub inputs: Vec<Node>,
}

/// INTERSECT, EXCEPT of inputs with equal types.
#[derive(Debug, Clone)]
pub struct SetOperation {
    /// INTERSECT rather than EXCEPT.
    pub intersect: bool,
    /// ALL: duplicates count.
    pub all: bool,
    /// Left input.
    pub left: Box<Node>,
    /// Right input.
    pub right: Box<Node>,
}

/// A query of WITH: every mention of it has a copy, of which the first that is asked is run, once for all.
#[derive(Debug, Clone)]
pub struct Common {
    /// Its number in the statement.
    pub id: usize,
    /// Its name; for EXPLAIN.
    pub name: String,
    /// MATERIALIZED, NOT MATERIALIZED.
    pub materialized: Option<bool>,
    /// Whether others name it, too.
    pub is_shared: bool,
    /// Its rows.
    pub input: Box<Node>,
}

/// Makes of each row of its input as many as the function of most rows answers: the input's columns, and one for each
/// function, NULL where it has no more rows. None if no function answers any.
#[derive(Debug, Clone)]
pub struct ProjectSet {
    /// Input.
    pub input: Box<Node>,
    /// The functions, at least one.
    pub functions: Vec<SetFunction>,
    /// WITH ORDINALITY: a last column of type int8 that counts the rows of each input row from 1.
    pub ordinality: bool,
}

/// A function that makes rows.
#[derive(Debug, Clone)]
pub struct SetFunction {
    /// Which.
    pub function: TableFunction,
    /// Over the input row.
    pub arguments: Vec<Expr>,
    /// Of its column.
    pub ty: Type,
    /// The fields, if that is a record.
    pub shape: Option<Arc<Shape>>,
}

/// The rows of `first`, then those that `round` makes of what was made last, until it makes none.
#[derive(Debug, Clone)]
pub struct Recursive {
    /// Its number in the statement.
    pub id: usize,
    /// UNION ALL; else rows that there were already are left out.
    pub all: bool,
    /// What it begins with.
    pub first: Box<Node>,
    /// Reads the rows of the last round by a [`Working`] of the same number.
    pub round: Box<Node>,
}

/// The rows of the last round of a recursive query.
#[derive(Debug, Clone)]
pub struct Working {
    /// Which one's.
    pub id: usize,
    /// Its name; for EXPLAIN.
    pub name: String,
    /// The types of its columns.
    pub types: Vec<Type>,
}

/// Adds a column for each call to the rows of its input, which come in the order of `partition_by`, then `order_by`.
#[derive(Debug, Clone)]
pub struct Window {
    /// Input.
    pub input: Box<Node>,
    /// What the rows of a partition have in common (NULLs are alike).
    pub partition_by: Vec<Expr>,
    /// Their order.
    pub order_by: Vec<SortKey>,
    /// What is computed.
    pub calls: Vec<WindowCall>,
}

impl Window {
    /// All expressions.
    pub(crate) fn expressions_mut(&mut self) -> Vec<&mut Expr> {
        let keys = self.order_by.iter_mut().map(|key| &mut key.expression);
        let calls = self.calls.iter_mut().flat_map(WindowCall::expressions_mut);
        self.partition_by.iter_mut().chain(keys).chain(calls).collect()
    }
}

impl Node {
    /// The types of the columns of its rows.
    pub fn types(&self) -> Vec<Type> {
        match self {
            Self::Scan(scan) => table_types(&scan.table, &scan.columns),
            Self::Past(past) => table_types(&past.scan.table, &past.scan.columns),
            Self::VirtualScan(scan) => table_types(&scan.table, &scan.columns),
            Self::FunctionScan(scan) => {
                let mut types = scan.types.clone();
                if scan.ordinality {
                    types.push(expr::TypeKind::Int8.into());
                }
                types
            }
            Self::Values(values) => values.types.clone(),
            Self::Filter(filter) => filter.input.types(),
            Self::Project(project) => project.expressions.iter().map(Expr::ty).collect(),
            Self::ProjectSet(set) => {
                let mut types = set.input.types();
                types.extend(set.functions.iter().map(|function| function.ty));
                types.extend(set.ordinality.then_some(Type::plain(expr::TypeKind::Int8)));
                types
            }
            Self::Join(join) => {
                let (left, right) = join.kind.answers();
                let mut types = if left { join.left.types() } else { Vec::new() };
                if right {
                    types.extend(join.right.types());
                }
                types
            }
            Self::Apply(apply) => {
                let mut types = apply.input.types();
                types.extend(apply.subqueries.iter().map(|subquery| subquery.kind.ty()));
                types
            }
            Self::Aggregate(aggregate) => {
                let keys = aggregate.keys.iter().map(Expr::ty);
                let marks = GroupingSet::marks_of(&aggregate.sets);
                keys.chain(std::iter::repeat_n(expr::TypeKind::Int4.into(), marks))
                    .chain(aggregate.calls.iter().map(|call| call.ty))
                    .collect()
            }
            Self::Window(window) => {
                let mut types = window.input.types();
                types.extend(window.calls.iter().map(|call| call.ty));
                types
            }
            Self::Sort(sort) => sort.input.types(),
            Self::Limit(limit) => limit.input.types(),
            Self::LockRows(lock) => lock.input.types(),
            Self::Distinct(distinct) => distinct.input.types(),
            Self::Append(append) => append.inputs.first().map(Self::types).unwrap_or_default(),
            Self::SetOperation(operation) => operation.left.types(),
            Self::Common(common) => common.input.types(),
            Self::Recursive(recursive) => recursive.first.types(),
            Self::Working(working) => working.types.clone(),
            Self::Modify(plan) => plan.returning().unwrap_or_default().iter().map(Expr::ty).collect(),
        }
    }

    /// How many columns its rows have.
    pub fn width(&self) -> usize {
        match self {
            Self::Scan(scan) => scan.columns.len(),
            Self::Past(past) => past.scan.columns.len(),
            Self::VirtualScan(scan) => scan.columns.len(),
            Self::FunctionScan(scan) => scan.types.len().saturating_add(usize::from(scan.ordinality)),
            Self::Values(values) => values.types.len(),
            Self::Filter(filter) => filter.input.width(),
            Self::Project(project) => project.expressions.len(),
            Self::ProjectSet(set) => {
                let own = set.functions.len().saturating_add(usize::from(set.ordinality));
                set.input.width().saturating_add(own)
            }
            Self::Join(join) => {
                let (left, right) = join.kind.answers();
                let width = if left { join.left.width() } else { 0 };
                width.saturating_add(if right { join.right.width() } else { 0 })
            }
            Self::Apply(apply) => apply.input.width().saturating_add(apply.subqueries.len()),
            Self::Aggregate(aggregate) => {
                let marks = GroupingSet::marks_of(&aggregate.sets);
                aggregate.keys.len().saturating_add(marks).saturating_add(aggregate.calls.len())
            }
            Self::Window(window) => window.input.width().saturating_add(window.calls.len()),
            Self::Sort(sort) => sort.input.width(),
            Self::Limit(limit) => limit.input.width(),
            Self::LockRows(lock) => lock.input.width(),
            Self::Distinct(distinct) => distinct.input.width(),
            Self::Append(append) => append.inputs.first().map_or(0, Self::width),
            Self::SetOperation(operation) => operation.left.width(),
            Self::Common(common) => common.input.width(),
            Self::Recursive(recursive) => recursive.first.width(),
            Self::Working(working) => working.types.len(),
            Self::Modify(plan) => plan.returning().map_or(0, <[Expr]>::len),
        }
    }
}

impl ApplyKind {
    /// The type of the column that is added.
    pub fn ty(&self) -> Type {
        match self {
            Self::Scalar(ty) | Self::Array(ty) => *ty,
            Self::Exists | Self::Any { .. } => expr::TypeKind::Bool.into(),
        }
    }
}

fn table_types(table: &TableDescriptor, columns: &[usize]) -> Vec<Type> {
    columns.iter().filter_map(|place| table.columns.get(*place)).map(|column| column.ty).collect()
}
