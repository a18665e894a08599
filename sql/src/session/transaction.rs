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
//! Outside of a block each statement opens and ends a transaction by itself.

use std::sync::Arc;

use client::{Isolation, Transaction};

use crate::catalog::CatalogSnapshot;
use crate::execute::context::FreshIndexes;
use crate::execute::memory::Memory;

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
    pub(super) read_only: bool,
}

/// A transaction that is open in the cluster.
pub(super) struct Open {
    pub(super) kv: Transaction,
    /// What it holds, accounted for.
    pub(super) memory: Memory,
    pub(super) isolation: Isolation,
    pub(super) read_only: bool,
    /// Statements that were completed in it.
    pub(super) statements: u64,
    /// Whether those before the one under way have left locks or writes behind. An error may have taken them away.
    pub(super) has_effects: bool,
    /// What its statements are planned under: pinned by the first of them, changed by its own DDL.
    pub(super) catalog: Arc<CatalogSnapshot>,
    /// Whether its DDL has raised the catalog version.
    pub(super) raised: bool,
    /// The indexes that it created.
    pub(super) fresh: FreshIndexes,
}

/// A savepoint by name.
pub(super) struct NamedSavepoint {
    pub(super) name: String,
    pub(super) settings_mark: usize,
    /// `None`: nothing was open when it was made.
    pub(super) open: Option<OpenMark>,
}

/// How an open transaction was when a savepoint was made.
pub(super) struct OpenMark {
    pub(super) kv: client::Savepoint,
    pub(super) catalog: Arc<CatalogSnapshot>,
    pub(super) raised: bool,
    pub(super) fresh: usize,
}

/// A session's transaction.
#[derive(Default)]
pub(super) struct TransactionState {
    pub(super) block: Block,
    pub(super) modes: Option<Modes>,
    pub(super) open: Option<Open>,
    pub(super) savepoints: Vec<NamedSavepoint>,
    /// Rises with every transaction that ends: portals of an earlier one are gone.
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

    /// Takes the open transaction out and forgets the block.
    pub(super) fn end(&mut self, block: Block) -> Option<Open> {
        self.block = block;
        self.modes = None;
        self.savepoints.clear();
        self.generation = self.generation.wrapping_add(1);
        self.open.take()
    }
}
