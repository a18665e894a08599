//! Plans that write rows, and COPY.

use std::sync::Arc;

use expr::{Expr, Type};

use super::{CopyOptions, Node, Plan};
use crate::catalog::{IndexId, TableDescriptor};

/// Writes rows.
#[derive(Debug, Clone)]
pub enum Modify {
    /// INSERT
    Insert(Insert),
    /// UPDATE
    Update(Update),
    /// DELETE
    Delete(Delete),
    /// MERGE
    Merge(Merge),
    /// A statement that changes rows in parts of it.
    Compound(Compound),
    /// COPY … FROM STDIN
    CopyFrom(CopyFrom),
    /// COPY … TO STDOUT
    CopyTo(CopyTo),
}

/// A statement whose queries of WITH change rows, or that asks more than once about the rows that it has changed. All of
/// its parts see what was there before it; what they write comes to be at its end.
#[derive(Debug, Clone)]
pub struct Compound {
    /// What it is called.
    pub command: Command,
    /// The statement itself: a query, INSERT, UPDATE or DELETE.
    pub main: Box<Plan>,
    /// The queries of WITH that change rows, each a [`Node::Common`]: they are run to their ends, named or not.
    pub effects: Vec<Node>,
}

/// What a statement is called that answers how many rows it was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// SELECT
    Select,
    /// INSERT
    Insert,
    /// UPDATE
    Update,
    /// DELETE
    Delete,
    /// MERGE
    Merge,
}

impl Command {
    /// Its keyword.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Merge => "MERGE",
        }
    }
}

impl Modify {
    /// What judges the rows that it writes.
    pub fn guards_mut(&mut self) -> Vec<&mut RowGuard> {
        match self {
            Self::Insert(insert) => {
                let mut guards: Vec<&mut RowGuard> = insert.guards.iter_mut().collect();
                guards.extend(insert.on_conflict.iter_mut().flat_map(OnConflict::guards_mut));
                guards
            }
            Self::Update(update) => update.guards.iter_mut().collect(),
            Self::Merge(merge) => merge.guards.iter_mut().collect(),
            Self::Delete(_) | Self::Compound(_) | Self::CopyFrom(_) | Self::CopyTo(_) => Vec::new(),
        }
    }

    /// The same to look at.
    pub fn guards(&self) -> Vec<&RowGuard> {
        match self {
            Self::Insert(insert) => {
                let mut guards: Vec<&RowGuard> = insert.guards.iter().collect();
                if let Some(OnConflict { action: ConflictAction::Update { guards: more, .. }, .. }) =
                    &insert.on_conflict
                {
                    guards.extend(more);
                }
                guards
            }
            Self::Update(update) => update.guards.iter().collect(),
            Self::Merge(merge) => {
                let MergeGuards { update, delete, insert, seen } = &merge.guards;
                update.iter().chain(delete).chain(insert).chain(seen).collect()
            }
            Self::Delete(_) | Self::Compound(_) | Self::CopyFrom(_) | Self::CopyTo(_) => Vec::new(),
        }
    }

    /// What it returns of each row.
    pub fn returning(&self) -> Option<&[Expr]> {
        match self {
            Self::Insert(insert) => insert.returning.as_deref(),
            Self::Update(update) => update.returning.as_deref(),
            Self::Delete(delete) => delete.returning.as_deref(),
            Self::Merge(_) | Self::Compound(_) | Self::CopyFrom(_) | Self::CopyTo(_) => None,
        }
    }
}

/// What every new row of a table is made to be, and has to be.
#[derive(Debug, Clone, Default)]
pub struct RowRules {
    /// The generated columns, over the row: all columns of the table. They name no generated column.
    pub generated: Vec<Assignment>,
    /// Its checks, in the order in which they are judged.
    pub checks: Vec<RowCheck>,
}

/// A condition that must not be false of any new row.
#[derive(Debug, Clone)]
pub struct RowCheck {
    /// The constraint's name.
    pub name: String,
    /// Over the row: all columns of the table.
    pub condition: Expr,
}

/// What a policy of row-level security, or several together, ask of a row that is written, where who acts is bound by them; or
/// what a view WITH CHECK OPTION asks of one that is written through it.
#[derive(Debug, Clone)]
pub struct RowGuard {
    /// The restrictive policy, or the view, that it is of.
    pub of: Option<String>,
    /// Of which rows.
    pub kind: GuardKind,
    /// What has to be true: NULL is not.
    pub condition: GuardCondition,
    /// The columns that the statement gives values to: what a view's error may tell whoever acts of the row.
    pub given: Vec<usize>,
}

impl RowGuard {
    /// The query that answers it, if one does.
    pub fn node(&self) -> Option<&Node> {
        match &self.condition {
            GuardCondition::Plain(_) => None,
            GuardCondition::Asked { node, .. } => Some(node),
        }
    }

    /// The same to be changed.
    pub fn node_mut(&mut self) -> Option<&mut Node> {
        match &mut self.condition {
            GuardCondition::Plain(_) => None,
            GuardCondition::Asked { node, .. } => Some(node),
        }
    }

    /// What is evaluated over the row, if that is all.
    pub fn plain_mut(&mut self) -> Option<&mut Expr> {
        match &mut self.condition {
            GuardCondition::Plain(condition) => Some(condition),
            GuardCondition::Asked { .. } => None,
        }
    }
}

/// Which rows a guard judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardKind {
    /// As they become.
    New,
    /// As they are, where ON CONFLICT is to change them.
    Conflict,
    /// As they are, where MERGE is to change or remove them.
    Target,
    /// As they have become, once nothing else is in the way: those that are written through a view.
    View,
}

/// A condition of a row: of all columns of its table.
#[derive(Debug, Clone)]
pub enum GuardCondition {
    /// Over the row.
    Plain(Expr),
    /// A query of one row whose only column it is. It reads the row in slots: so many from the first on.
    Asked {
        /// The query.
        node: Box<Node>,
        /// The first slot.
        slot: usize,
        /// How many there are.
        width: usize,
    },
}

/// Adds rows. Values are already of their columns' types, modifiers applied; NOT NULL is for the executor to check.
#[derive(Debug, Clone)]
pub struct Insert {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// One column per column of the table, in order; NULL for a hidden row id and generated columns, which the executor
    /// makes up.
    pub source: Node,
    /// What the new rows are made to be, and have to be.
    pub rules: Arc<RowRules>,
    /// What new rows are judged by.
    pub guards: Vec<RowGuard>,
    /// Whether the table has a part in foreign keys.
    pub linked: bool,
    /// ON CONFLICT
    pub on_conflict: Option<OnConflict>,
    /// RETURNING, over the new row (all columns of the table); where ON CONFLICT changes rows, followed by the number of
    /// the transaction that has changed the row which was there, 0 where none was.
    pub returning: Option<Vec<Expr>>,
}

impl Insert {
    /// Whether RETURNING asks who has changed a row.
    pub fn tells_changer(&self) -> bool {
        names(self.returning.as_deref(), self.table.columns.len())
    }
}

/// Whether RETURNING names the column at a place.
fn names(returning: Option<&[Expr]>, place: usize) -> bool {
    returning.into_iter().flatten().any(|expression| expression.columns().contains(&place))
}

/// What to do about a row whose key is taken.
#[derive(Debug, Clone)]
pub struct OnConflict {
    /// The unique indexes whose conflicts are meant; the others' are errors (23505). `None`: any.
    pub arbiters: Option<Vec<IndexId>>,
    /// What to do.
    pub action: ConflictAction,
}

impl OnConflict {
    /// What judges the rows that it changes.
    pub fn guards_mut(&mut self) -> &mut [RowGuard] {
        match &mut self.action {
            ConflictAction::Nothing => &mut [],
            ConflictAction::Update { guards, .. } => guards,
        }
    }
}

/// DO NOTHING or DO UPDATE.
#[derive(Debug, Clone)]
pub enum ConflictAction {
    /// Leave the new row out.
    Nothing,
    /// Change the row that is there; 21000 if this statement inserted or changed it before.
    Update {
        /// Over the existing row (all columns of the table) followed by `excluded`, the new one.
        assignments: Vec<Assignment>,
        /// WHERE, over the same pair: where it is not true the row is locked and left as it is.
        filter: Option<Expr>,
        /// What the row is judged by, as it is and as it becomes.
        guards: Vec<RowGuard>,
    },
}

/// A new value for a column.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// Its place in the table's columns.
    pub column: usize,
    /// Of the column's type, modifier applied.
    pub value: Expr,
}

/// Changes rows.
#[derive(Debug, Clone)]
pub struct Update {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// The old row (all columns of the table, locked by its scan), then the columns of FROM's tables.
    /// A row of the table that comes more than once is changed once.
    pub source: Node,
    /// Over the source's row.
    pub assignments: Vec<Assignment>,
    /// What the new rows are made to be, and have to be.
    pub rules: Arc<RowRules>,
    /// What new rows are judged by.
    pub guards: Vec<RowGuard>,
    /// Whether the table has a part in foreign keys.
    pub linked: bool,
    /// RETURNING, over the new row followed by the source's columns after the old row.
    pub returning: Option<Vec<Expr>>,
}

/// Removes rows.
#[derive(Debug, Clone)]
pub struct Delete {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// The row (all columns of the table, locked by its scan), then the columns of USING's tables.
    pub source: Node,
    /// Whether the table has a part in foreign keys.
    pub linked: bool,
    /// RETURNING, over the source's row, followed by the number of the transaction.
    pub returning: Option<Vec<Expr>>,
}

impl Delete {
    /// Whether RETURNING asks who deletes the rows.
    pub fn tells_deleter(&self) -> bool {
        names(self.returning.as_deref(), self.source.width())
    }
}

/// Changes a table by the rows of another.
#[derive(Debug, Clone)]
pub struct Merge {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// Rows of the source; from `target_at` on the row of the table that goes with it (all columns), and behind it TRUE:
    /// NULLs where there is none.
    pub source: Node,
    /// Where the row of the table begins.
    pub target_at: usize,
    /// What makes rows go with each other, over such a row.
    pub condition: Expr,
    /// What is done: the first whose condition holds. All expressions are over such a row.
    pub whens: Vec<MergeWhen>,
    /// Whether subqueries are asked about rows, behind the flag: a row that has changed since is not asked about again.
    pub asks: bool,
    /// What new rows of the table are made to be.
    pub rules: Arc<RowRules>,
    /// What rows are judged by.
    pub guards: MergeGuards,
    /// Whether the table has a part in foreign keys.
    pub linked: bool,
}

impl Merge {
    /// The expressions.
    pub(crate) fn expressions_mut(&mut self) -> Vec<&mut Expr> {
        let mut expressions = vec![&mut self.condition];
        expressions.extend(self.guards.iter_mut().filter_map(RowGuard::plain_mut));
        for when in &mut self.whens {
            expressions.extend(&mut when.condition);
            match &mut when.action {
                MergeAction::Nothing | MergeAction::Delete => {}
                MergeAction::Update(assignments) => {
                    expressions.extend(assignments.iter_mut().map(|assignment| &mut assignment.value));
                }
                MergeAction::Insert(values) => expressions.extend(values),
            }
        }
        expressions
    }
}

/// What MERGE judges rows by.
#[derive(Debug, Clone, Default)]
pub struct MergeGuards {
    /// Of rows that it changes, as they are and as they become.
    pub update: Vec<RowGuard>,
    /// Of rows that it removes.
    pub delete: Vec<RowGuard>,
    /// Of rows that it adds.
    pub insert: Vec<RowGuard>,
    /// Of rows that have changed since they were read: the others are not there.
    pub seen: Vec<RowGuard>,
}

impl MergeGuards {
    /// All of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut RowGuard> {
        self.update.iter_mut().chain(&mut self.delete).chain(&mut self.insert).chain(&mut self.seen)
    }
}

/// One WHEN.
#[derive(Debug, Clone)]
pub struct MergeWhen {
    /// Of rows that go with one of the table, or of those that do not.
    pub matched: bool,
    /// AND
    pub condition: Option<Expr>,
    /// THEN
    pub action: MergeAction,
}

/// What MERGE does.
#[derive(Debug, Clone)]
pub enum MergeAction {
    /// Nothing.
    Nothing,
    /// Changes the row.
    Update(Vec<Assignment>),
    /// Removes the row.
    Delete,
    /// Adds a row: a value for each column of the table.
    Insert(Vec<Expr>),
}

/// Rows from the client.
#[derive(Debug, Clone)]
pub struct CopyFrom {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// The columns that the data has: places in the table's columns.
    pub columns: Vec<usize>,
    /// How their values are read, and what they have to be if they are of domains.
    pub types: Vec<(Type, Vec<Arc<expr::tree::Domain>>)>,
    /// Defaults of the other columns, by place; those not named here become NULL. They name no columns.
    pub defaults: Vec<Assignment>,
    /// What the new rows are made to be, and have to be.
    pub rules: Arc<RowRules>,
    /// The data's form.
    pub options: CopyOptions,
    /// For each of the columns whether the NULL string is no NULL of it, and whether it is one quoted, too.
    pub forced: Vec<(bool, bool)>,
}

/// Rows to the client.
#[derive(Debug, Clone)]
pub struct CopyTo {
    /// The rows.
    pub source: Node,
    /// The columns' names, for HEADER.
    pub names: Vec<String>,
    /// The data's form.
    pub options: CopyOptions,
    /// For each of the columns whether its values are quoted, whatever they are.
    pub quoted: Vec<bool>,
}
