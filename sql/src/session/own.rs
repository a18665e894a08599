//! The session's temporary objects: beside the catalog that everybody sees, through transactions, until the session ends.
//!
//! ```text
//!                  statement begins                       its DDL
//! committed ──────────────────────▶ open transaction's ───────────▶ open transaction's
//!     ▲                                                                 │ commit
//!     └─────────────────────────────────────────────────────────────────┘
//! ```
//!
//! What a transaction, or a savepoint, gives up is simply not looked at any more. Plans are good for the very catalog that they
//! were made under: one that is put together is kept as long as nothing of it changes.

use std::sync::Arc;

use env::clock::Instant;
use futures::FutureExt as _;

use super::Session;
use super::run::guard;
use super::transaction::{Block, Open};
use crate::activity::{Lost, Signals};
use crate::catalog::{CatalogSnapshot, Temporary};
use crate::error::{Cause, Result};
use crate::execute::ddl;
use crate::keeper::Holder;
use crate::plan::Ddl;

/// A session's temporary objects.
#[derive(Default)]
pub(super) struct OwnObjects {
    committed: Option<Arc<Temporary>>,
    /// What was put together last.
    beside: Option<Together>,
    /// Under whom their keys are kept, once there were any.
    holder: Option<Holder>,
}

/// A catalog that everybody sees, temporary objects, and both.
struct Together {
    shared: Arc<CatalogSnapshot>,
    own: Arc<Temporary>,
    both: Arc<CatalogSnapshot>,
}

impl OwnObjects {
    /// What the session sees of a catalog of everybody: with its temporary objects, as the open transaction has them, if one is.
    pub(super) fn beside(
        &mut self,
        shared: &Arc<CatalogSnapshot>,
        open: Option<&Open>,
    ) -> Arc<CatalogSnapshot> {
        let own = match open {
            Some(open) => &open.own,
            None => &self.committed,
        };
        let Some(own) = own else { return shared.clone() };
        if let Some(known) = &self.beside
            && Arc::ptr_eq(&known.shared, shared)
            && Arc::ptr_eq(&known.own, own)
        {
            return known.both.clone();
        }
        let (shared, own) = (shared.clone(), own.clone());
        let both = Arc::new(shared.with_temporary(&own));
        self.beside = Some(Together { shared, own, both: both.clone() });
        both
    }

    /// Those that there are outside of transactions.
    pub(super) fn committed(&self) -> Option<Arc<Temporary>> {
        self.committed.clone()
    }

    /// Whether a transaction has changed nothing of them.
    pub(super) fn is_as_committed(&self, open: &Open) -> bool {
        match (&self.committed, &open.own) {
            (None, None) => true,
            (Some(committed), Some(own)) => Arc::ptr_eq(committed, own),
            _ => false,
        }
    }

    /// A transaction has committed.
    pub(super) fn keep(&mut self, open: &Open) {
        if !self.is_as_committed(open) {
            self.committed.clone_from(&open.own);
            let put_together = open.own.clone().filter(|_| !open.raised);
            self.beside = put_together.map(|own| Together {
                shared: open.shared.clone(),
                own,
                both: open.catalog.clone(),
            });
        }
    }

    /// A transaction is about to commit.
    pub(super) fn begin_commit(&self, open: &Open) {
        if let Some(holder) = self.holder.as_ref().filter(|_| !self.is_as_committed(open)) {
            holder.commits(true);
        }
    }

    /// It has, or it has not.
    pub(super) fn end_commit(&self) {
        if let Some(holder) = &self.holder {
            holder.commits(false);
        }
    }

    /// Under whom their keys are kept.
    pub(super) fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }
}

impl Session {
    /// Before a statement that makes something temporary: somebody has to know of it.
    pub(super) async fn hold_own(&mut self, ddl: &Ddl, deadline: Option<Instant>) -> Result<()> {
        if self.own.holder.is_none() && ddl.makes_temporary() {
            let holding = self.engine.keeper().hold(self.engine.client());
            self.own.holder = Some(guard(&self.cancel, deadline, holding).await?);
        }
        Ok(())
    }

    /// Whether somebody may have given up what the session keeps.
    pub(super) fn doubts_own(&self) -> bool {
        self.own.holder.as_ref().is_some_and(|holder| !holder.is_trusted())
    }

    /// Before a statement of a session with temporary objects, if there is a doubt: makes sure that they are still its own.
    ///
    /// # Errors
    /// 57P01, and the session ends: they are not. The cluster cannot be asked.
    pub(super) async fn attest_own(&mut self, deadline: Option<Instant>) -> Result<()> {
        let Some(holder) = &self.own.holder else { return Ok(()) };
        let attested = guard(&self.cancel, deadline, holder.attest(self.engine.client())).await;
        if attested.as_ref().is_err_and(|error| error.sqlstate == "57P01") {
            self.cancel.lose(Lost::Temporary);
        }
        attested
    }

    /// Before a commit, if there is a doubt: what it would keep, or write to what is kept, may be nobody's any more.
    ///
    /// # Errors
    /// As [`Session::attest_own`].
    pub(super) async fn attest_effects(&mut self) -> Result<()> {
        let has_effects = |open: &Open| open.kv.has_effects() || !self.own.is_as_committed(open);
        if self.doubts_own() && self.transaction.open.as_ref().is_some_and(has_effects) {
            // Boxed: few have any doubt.
            self.attest_own(self.statement_deadline()).boxed().await?;
        }
        Ok(())
    }

    /// What has become of a change of temporary objects is not known: nor, then, what there is of them.
    pub(super) fn doubt_own(&self, error: &client::Error, open: &Open) {
        if matches!(error, client::Error::Ambiguous { .. }) && !self.own.is_as_committed(open) {
            self.cancel.lose(Lost::Temporary);
        }
    }

    /// Whether anything is due about temporary tables at the commit.
    pub(super) fn ends_own(&self) -> bool {
        self.transaction.open.as_ref().is_some_and(|open| {
            open.own.as_ref().is_some_and(|own| own.ends_at_commit()) || open.fresh.dropped().next().is_some()
        })
    }

    /// Does what is due about temporary tables at the commit.
    pub(super) async fn end_own(&mut self) -> Result<()> {
        let raised = self.transaction.open.as_ref().is_some_and(|open| open.raised);
        let (cancel, deadline) = (self.cancel.clone(), self.statement_deadline());
        let (mut values, mut memory) = (Vec::new(), self.statement_memory());
        let mut cx = self.make_context(&mut values, &mut memory)?;
        let outcome = guard(&cancel, deadline, ddl::end_at_commit(&mut cx, raised)).await?;
        if let Some(outcome) = outcome {
            self.take_ddl(outcome);
        }
        Ok(())
    }

    /// DISCARD TEMP. Outside of blocks it is tried again as any statement is.
    pub(super) async fn discard_own(&mut self) -> Result<()> {
        if self.transaction.block == Block::Idle && self.transaction.open.is_some() {
            // A portal was left before its end.
            self.rollback(Block::Idle).await;
        }
        let there = match &self.transaction.open {
            Some(open) => open.own.is_some(),
            None => self.own.committed.is_some(),
        };
        if !there {
            return Ok(());
        }
        let deadline = self.statement_deadline();
        let mut attempt = 0_u32;
        loop {
            let error = match self.drop_own(deadline).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let may_retry = self.transaction.block == Block::Idle
                && error.cause() != Cause::Statement
                && attempt < self.engine.options().retries_max;
            if !may_retry {
                return Err(error);
            }
            tracing::debug!(%error, attempt, "dropping temporary objects again");
            attempt = attempt.saturating_add(1);
            let (cancel, engine, database) = (self.cancel.clone(), self.engine.clone(), self.database);
            guard(&cancel, deadline, async {
                if error.cause() == Cause::StaleCatalog {
                    engine.refresh_catalog(database).await?;
                }
                Ok(())
            })
            .await?;
            self.reopen().await?;
        }
    }

    async fn drop_own(&mut self, deadline: Option<Instant>) -> Result<()> {
        self.open(self.modes(), 0).await?;
        if self.doubts_own() {
            self.attest_own(deadline).await?;
        }
        let raised = self.transaction.open.as_ref().is_some_and(|open| open.raised);
        let (mut values, mut memory) = (Vec::new(), self.statement_memory());
        let mut cx = self.make_context(&mut values, &mut memory)?;
        let outcome = ddl::drop_own(&mut cx, raised)?;
        self.take_ddl(outcome);
        self.complete_statement().await
    }
}
