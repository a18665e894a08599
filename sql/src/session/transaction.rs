//! A session's transaction: whether it is in a block, and what stands open in the cluster.
//!
//! ```text
//!            BEGIN                      error
//!   Idle ───────────▶ Block ──────────────────────▶ Failed ──ROLLBACK, COMMIT──▶ Idle
//!    │ ▲                │ ▲                            │
//!    │ └──COMMIT────────┘ └────ROLLBACK TO SAVEPOINT───┘
//!    │ begin_implicit
//!    └───────────────▶ Implicit (a string of statements, or all up to a Sync) ──BEGIN──▶ Block
//! ```
//!
//! Where a block ends within a string or a series, what follows is Implicit again.
//!
//! Outside of a block each statement opens and ends a transaction by itself.

use std::sync::Arc;

use client::{Isolation, Transaction};

use crate::catalog::{CatalogSnapshot, Temporary};
use crate::execute::context::FreshIndexes;
use crate::execute::memory::Memory;
use crate::execute::{Deferred, DeferredMark};
use crate::notify::PendingMark;

/// Whether the session is in a transaction block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Block {
    /// Statements commit by themselves.
    #[default]
    Idle,
    /// Statements share a transaction that the session ends.
    Implicit,
    /// Statements share a transaction that the client ends.
    Explicit,
    /// An error was answered in an explicit block.
    Failed,
}

/// How the transaction of a block is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Modes {
    pub(super) isolation: Isolation,
    /// READ COMMITTED was asked for as READ UNCOMMITTED: SHOW says so.
    pub(super) uncommitted: bool,
    pub(super) read_only: bool,
    /// It is kept and shown: a transaction that only reads never waits.
    pub(super) deferrable: bool,
    /// The statement is alone in its transaction, and writes nothing at all.
    pub(super) only_reads: bool,
}

impl Modes {
    /// The isolation level in PostgreSQL's words.
    pub(super) fn level(self) -> &'static str {
        match self.isolation {
            Isolation::Serializable => "serializable",
            Isolation::RepeatableRead => "repeatable read",
            Isolation::ReadCommitted if self.uncommitted => "read uncommitted",
            Isolation::ReadCommitted => "read committed",
        }
    }
}

/// A transaction that is open in the cluster.
pub(super) struct Open {
    pub(super) kv: Transaction,
    /// What it holds, accounted for.
    pub(super) memory: Memory,
    pub(super) modes: Modes,
    /// Whether the client knows something of what it has seen or done: the end of a statement, a row, an error. From
    /// then on it is not begun anew behind the client's back.
    pub(super) answered: bool,
    /// Whether a portal may have been left in the middle of its rows.
    pub(super) suspended: bool,
    /// Whether those before the one under way have left locks or writes behind. An error may have taken them away.
    pub(super) has_effects: bool,
    /// What its statements are planned under: pinned by the first of them, changed by its own DDL; the session's temporary
    /// objects among it.
    pub(super) catalog: Arc<CatalogSnapshot>,
    /// What of it everybody sees, unless its own DDL has changed that.
    pub(super) shared: Arc<CatalogSnapshot>,
    /// The session's temporary objects, as it sees them.
    pub(super) own: Option<Arc<Temporary>>,
    /// Whether its DDL has raised the catalog version.
    pub(super) raised: bool,
    /// Whether it may have locked the catalog version, which no savepoint gives back.
    pub(super) holds_catalog: bool,
    /// The indexes that it created.
    pub(super) fresh: FreshIndexes,
}

impl Open {
    /// How it is now.
    pub(super) fn mark(&mut self) -> OpenMark {
        OpenMark {
            kv: self.kv.savepoint(),
            catalog: self.catalog.clone(),
            shared: self.shared.clone(),
            own: self.own.clone(),
            raised: self.raised,
            fresh: self.fresh.len(),
        }
    }

    /// Goes on under a catalog that its own DDL has made.
    pub(super) fn take(&mut self, catalog: CatalogSnapshot, raised: bool) {
        let own = catalog.temporary();
        if self.own.as_deref() != own.as_ref() {
            self.own = own.map(Arc::new);
        }
        self.catalog = Arc::new(catalog);
        self.raised = raised;
    }

    /// Goes back to how it was.
    ///
    /// # Errors
    /// It cannot go on, whatever is taken back.
    pub(super) async fn rollback_to(&mut self, mark: &OpenMark) -> Result<(), client::Error> {
        self.kv.rollback_to(&mark.kv).await?;
        self.catalog = mark.catalog.clone();
        self.shared = mark.shared.clone();
        self.own.clone_from(&mark.own);
        self.raised = mark.raised;
        self.fresh.truncate(mark.fresh);
        Ok(())
    }
}

/// A savepoint by name.
pub(super) struct NamedSavepoint {
    pub(super) name: String,
    pub(super) settings_mark: usize,
    /// Portals of this age and younger were made behind it.
    pub(super) portals_mark: u64,
    pub(super) deferred_mark: DeferredMark,
    /// How many advisory locks the transaction had taken.
    pub(super) advisory_mark: usize,
    /// How much of notifications was pending.
    pub(super) pending_mark: PendingMark,
    /// `None`: nothing is open yet; what is opened is marked at once for all savepoints that stand before it.
    pub(super) open: Option<OpenMark>,
}

/// How an open transaction was when a savepoint was made.
pub(super) struct OpenMark {
    pub(super) kv: client::Savepoint,
    pub(super) catalog: Arc<CatalogSnapshot>,
    pub(super) shared: Arc<CatalogSnapshot>,
    pub(super) own: Option<Arc<Temporary>>,
    pub(super) raised: bool,
    pub(super) fresh: usize,
}

/// A session's transaction.
#[derive(Default)]
pub(super) struct TransactionState {
    pub(super) block: Block,
    pub(super) modes: Option<Modes>,
    /// The moment that the block is about, if that is not now.
    pub(super) as_of: Option<u64>,
    /// The session's settings say so, not the statement that began it.
    pub(super) is_behind: bool,
    pub(super) open: Option<Open>,
    pub(super) savepoints: Vec<NamedSavepoint>,
    /// What it owes foreign keys at its end.
    pub(super) deferred: Deferred,
    /// Whether a query string or a series of messages is under way: outside of blocks its statements share a transaction.
    pub(super) in_series: bool,
    /// Rises with every transaction that ends or is begun anew: what ran in an earlier one is gone.
    pub(super) generation: u64,
}

impl TransactionState {
    /// Whether a transaction block is open, failed or not.
    pub(super) fn in_block(&self) -> bool {
        matches!(self.block, Block::Explicit | Block::Failed)
    }

    /// The place of the newest savepoint of this name.
    pub(super) fn find_savepoint(&self, name: &str) -> Option<usize> {
        self.savepoints.iter().rposition(|savepoint| savepoint.name == name)
    }

    /// Where the session is once a block has ended.
    pub(super) fn outside(&self) -> Block {
        if self.in_series { Block::Implicit } else { Block::Idle }
    }

    /// Takes the open transaction out and forgets the block.
    pub(super) fn end(&mut self, block: Block) -> Option<Open> {
        self.block = block;
        self.modes = None;
        self.as_of = None;
        self.is_behind = false;
        self.savepoints.clear();
        self.deferred = Deferred::default();
        self.generation = self.generation.wrapping_add(1);
        self.open.take()
    }
}
