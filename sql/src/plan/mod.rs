//! Plans: what a statement does, typed and free of names.
//!
//! [`Plan`] is one statement. The part of it that makes rows is a tree of [`Node`]s; [`Modify`] writes rows;
//! [`Ddl`] changes the catalog; the rest is for the session.
//!
//! How expressions name things (`expr::Expr`):
//! - `Column(i)` is the i-th column of the node's input row (for joins: of the left row followed by the right row).
//! - `Parameter(i)` with i below [`Bound::parameters`] is the statement's `$i+1`. From there up to [`Bound::slots`]
//!   they are **slots**: values of an outer row, set by the [`Binding`]s of the [`Apply`] or dependent [`Join`] that
//!   runs the subtree once per outer row. So the values of a statement's parameters are a vector of `slots` datums.
//!
//! Plans come out of `bind` naive: scans of whole tables under filters.

pub mod audited;
mod backup;
pub(crate) mod budget;
mod ddl;
mod explain;
mod identity;
pub(crate) mod implied;
mod modify;
mod need;
mod node;
mod object;
mod past;
mod point;
pub(crate) mod same;
pub(crate) mod sequence;
mod session;
mod span;
pub mod walk;
mod window;

pub use self::backup::{BackupCommand, BackupOf, BackupOrder};
pub use budget::STACK_BYTES;
pub use ddl::{
    AccessChange, AlterTable, CreateIndex, CreateTable, CreateTableAs, Ddl, IdentityChange, NO_OID,
    NewComment, NewIndex, NewIndexKind, Refresh, Reindex, Truncate, Verify,
};
pub use explain::{ExplainFormat, ExplainOptions};
pub(crate) use identity::NodeId;
pub use modify::{
    Assignment, Command, Compound, ConflictAction, CopyFrom, CopyTo, Delete, GuardCondition, GuardKind,
    Insert, Merge, MergeAction, MergeGuards, MergeWhen, Modify, OnConflict, RowCheck, RowGuard, RowRules,
    Update,
};
pub use need::{Acting, Call, Need, Needs};
pub use node::{
    Aggregate, AggregateCall, Append, Apply, ApplyKind, Binding, Common, Distinct, Filter, FunctionScan,
    GroupingSet, Join, JoinKind, JoinStrategy, Limit, LockRows, LockTarget, Node, PastScan, Project,
    ProjectSet, Recursive, RowLock, Scan, SetFunction, SetOperation, Sort, SortKey, Subquery, TableFunction,
    Values, VirtualScan, Window, Working,
};
pub use object::{DomainColumns, FunctionChange, ObjectChange, Target, TypeChange};
pub use past::{Moment, Versions, WayBack, When};
pub(crate) use point::{Point, PointScan};
pub use session::{EraseHistory, ErasedRows, KeepHistory, KeepOf, Maintain, SessionCommand};
pub(crate) use span::{Fit, fit};
pub use span::{KeyBound, KeyPart, KeySpan};
pub use window::{Exclude, Frame, FrameBound, FrameMode, WindowCall, WindowKind};

pub use crate::parse::ast::{
    AccessMode, CopyColumns, CopyFormat, CopyOptions, CursorOptions, Declare, Discard, Fetch, Isolation,
    LockStrength, LockWait, Motion, Notifying, SettingValue, TransactionModes,
};

use std::sync::Arc;

use expr::Type;

use crate::catalog::{ColumnId, TableDescriptor};
use crate::error::{Error, Notice};

/// A statement, bound.
#[derive(Debug, Clone)]
pub struct Bound {
    /// What to do.
    pub plan: Plan,
    /// The types of `$1`, `$2` …
    pub parameters: Vec<Type>,
    /// How many values expressions may name by `Parameter`: the parameters, then slots for outer rows.
    pub slots: usize,
    /// The columns of the rows that the statement returns; `None` if it returns none.
    pub columns: Option<Vec<OutputColumn>>,
    /// What to tell the client whenever the statement runs.
    pub notices: Vec<Notice>,
    /// The rights that it takes.
    pub needs: Needs,
    /// WHERE CURRENT OF
    pub current_of: Option<CurrentOf>,
    /// The error that it is if it changes no row.
    pub expects: Option<Box<Error>>,
    /// FLASHBACK TABLE
    pub way_back: Option<Box<WayBack>>,
}

/// The row that a cursor is on, as WHERE CURRENT OF names it.
#[derive(Debug, Clone)]
pub struct CurrentOf {
    /// The cursor.
    pub cursor: String,
    /// The table whose row is meant.
    pub table: Arc<TableDescriptor>,
    /// The columns of its primary key.
    pub columns: Vec<ColumnId>,
    /// The slots of their values begin here.
    pub slot: usize,
}

/// One column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// The oid of the table it comes from; 0 if it is computed.
    pub table_oid: u32,
    /// Its number in that table, from 1; 0 if it is computed.
    pub column_number: i16,
}

/// What a statement does.
#[derive(Debug, Clone)]
pub enum Plan {
    /// Nothing: the statement was empty.
    Empty,
    /// Returns rows.
    Query(Box<Node>),
    /// Writes rows, or moves them in or out by COPY.
    Modify(Box<Modify>),
    /// Changes the catalog.
    Ddl(Box<Ddl>),
    /// EXPLAIN: the plan's text, with what really happened if `analyze`.
    Explain {
        /// The statement explained.
        plan: Box<Plan>,
        /// Whether to run it.
        analyze: bool,
        /// What is shown of it.
        options: ExplainOptions,
    },
    /// Transactions, settings, prepared statements: what the session does by itself.
    Session(Box<SessionCommand>),
}

impl Plan {
    /// What is done: EXPLAIN ANALYZE does what it explains.
    pub fn done(&self) -> &Self {
        match self {
            Self::Explain { plan, analyze: true, .. } => plan.done(),
            plan => plan,
        }
    }

    /// What it returns of each row that it changes.
    pub fn returning(&self) -> Option<&[expr::Expr]> {
        match self {
            Self::Modify(modify) => modify.returning(),
            _ => None,
        }
    }
}
