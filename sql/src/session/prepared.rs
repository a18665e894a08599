//! Statements: parsed, and prepared with types and a plan.

use std::sync::Arc;
use std::time::Duration;

use env::clock::Instant;
use expr::{Type, TypeKind};
use parking_lot::Mutex;

use crate::activity::statements::Counted;
use crate::catalog::CatalogSnapshot;
use crate::error::Error;
use crate::execute::memory::Memory;
use crate::execute::{Execution, PointExecution, Traits};
use crate::optimise::TableSizes;
use crate::parse;
use crate::plan::audited::Audited;
use crate::plan::{Bound, Ddl, Discard, Modify, Plan, SessionCommand};

pub use crate::plan::OutputColumn;

/// One parsed statement of a query string.
#[derive(Debug, Clone)]
pub struct Statement(pub(crate) Arc<parse::Statement>);

impl Statement {
    /// Its text.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Whether it ends a transaction block, or goes back to one of its savepoints: what gives back what a block holds.
    pub fn ends_block(&self) -> bool {
        use parse::ast::Body;
        matches!(self.0.body, Body::Commit { .. } | Body::Rollback { .. } | Body::RollbackTo(_))
    }
}

/// What the protocol has to know of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementKind {
    /// COMMIT, ROLLBACK, BEGIN and the like: a failed transaction block takes those that end it.
    Transaction,
    /// COPY FROM STDIN or TO STDOUT: the simple protocol switches to the copy sub-protocol.
    Copy,
    /// Returns rows.
    Query,
    /// Anything else.
    Command,
}

/// A statement that is bound: the types of its parameters and of its rows are settled.
///
/// Its plan is made anew when the catalog or the search path has changed since.
pub struct Prepared {
    pub(super) statement: Statement,
    /// The types that the client gave its parameters; `None`: it has none.
    pub(super) declared: Option<Vec<Option<TypeKind>>>,
    pub(super) parameters: Vec<Type>,
    pub(super) columns: Option<Vec<OutputColumn>>,
    pub(super) kind: StatementKind,
    /// Whether it is for the session alone: it opens no transaction of its own.
    pub(super) is_command: bool,
    /// Whether the client may have been told its columns: then they must stay.
    pub(super) is_described: bool,
    /// What its plan took when it was first made.
    pub(super) plan_bytes: usize,
    pub(super) planned: Mutex<Arc<Planned>>,
    /// What its runs have taken is counted there.
    pub(super) counted: Mutex<Option<Arc<Counted>>>,
}

/// A plan, and what it was made under.
pub(super) struct Planned {
    pub(super) bound: Bound,
    pub(super) traits: Traits,
    /// When its runs are recorded.
    pub(super) audited: Audited,
    pub(super) catalog: Arc<CatalogSnapshot>,
    pub(super) search_path_generation: u64,
    /// The moment that the transaction was about.
    pub(super) as_of: Option<u64>,
    /// How large the tables were that it depends on how it is best made.
    pub(super) sizes: TableSizes,
    /// When that was last looked at.
    pub(super) weighed: Mutex<Instant>,
    /// How long it took to be made.
    pub(super) took: Duration,
    /// About what it takes, its operators included.
    pub(super) plan_bytes: usize,
    /// That much of the gateway's memory.
    pub(super) _memory: Memory,
    /// How it runs if it is over one row.
    pub(super) point: Option<PointExecution>,
    /// The operators of the last run, ready for the next.
    pub(super) idle: Mutex<Option<Execution>>,
}

impl Prepared {
    /// The types of the parameters, in order (ParameterDescription).
    pub fn parameters(&self) -> &[Type] {
        &self.parameters
    }

    /// The columns of the rows that it returns (RowDescription), or `None` if it returns none (NoData).
    pub fn columns(&self) -> Option<&[OutputColumn]> {
        self.columns.as_deref()
    }

    /// Whether it runs in no transaction block, and commits before whatever follows it.
    pub fn is_always_alone(&self) -> bool {
        let planned = self.planned.lock();
        if let Plan::Ddl(ddl) = &planned.bound.plan
            && let Ddl::Access(change) = ddl.as_ref()
        {
            return change.is_always_alone();
        }
        let Plan::Session(command) = &planned.bound.plan else { return false };
        match command.as_ref() {
            SessionCommand::Maintain(maintain) => maintain.vacuum,
            command => matches!(command, SessionCommand::Discard(Discard::All)),
        }
    }

    /// The statement.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// What sort of statement it is.
    pub fn kind(&self) -> StatementKind {
        self.kind
    }
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("kind", &self.kind)
            .field("parameters", &self.parameters)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

/// Whether rows of these columns are what a client expects that was told those.
pub(super) fn same_columns(told: Option<&[OutputColumn]>, now: Option<&[OutputColumn]>) -> bool {
    match (told, now) {
        (Some(told), Some(now)) => {
            told.len() == now.len()
                && told.iter().zip(now).all(|(told, now)| told.ty.is_same(&now.ty) && told.name == now.name)
        }
        (None, None) => true,
        _ => false,
    }
}

/// Whether parameters have the types that they had.
pub(super) fn same_types(had: &[Type], have: &[Type]) -> bool {
    had.len() == have.len() && had.iter().zip(have).all(|(had, have)| had.is_same(have))
}

/// 0A000: rows of other columns than the client was told. Drivers that prepare by themselves tell it by the routine, and
/// prepare anew.
pub(super) fn changed_columns() -> Error {
    Error::new("0A000", "cached plan must not change result type").routine("RevalidateCachedQuery")
}

/// What sort of statement a plan is.
pub(super) fn kind_of(bound: &Bound) -> StatementKind {
    match &bound.plan {
        Plan::Session(command) => match command.as_ref() {
            SessionCommand::Begin(..)
            | SessionCommand::Commit { .. }
            | SessionCommand::Rollback { .. }
            | SessionCommand::Savepoint(_)
            | SessionCommand::Release(_)
            | SessionCommand::RollbackTo(_) => StatementKind::Transaction,
            _ if bound.columns.is_some() => StatementKind::Query,
            _ => StatementKind::Command,
        },
        Plan::Modify(modify) if matches!(**modify, Modify::CopyFrom(_) | Modify::CopyTo(_)) => {
            StatementKind::Copy
        }
        _ if bound.columns.is_some() => StatementKind::Query,
        _ => StatementKind::Command,
    }
}
