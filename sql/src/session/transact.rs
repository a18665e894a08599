//! Beginning and ending the session's transaction.

use std::pin::pin;
use std::sync::Arc;

use client::{Isolation, TransactionOptions};
use env::trace;
use expr::EvalContext;
use futures::FutureExt as _;

use super::Session;
use super::run::guard;
use super::transaction::{Block, Modes, NamedSavepoint, Open};
use crate::catalog::CatalogSnapshot;
use crate::error::{Error, Notice, Result};
use crate::execute::context::FreshIndexes;
use crate::execute::settle_deferred;
use crate::moment;
use crate::parse::Dialect;
use crate::plan;

impl Session {
    /// The modes that a transaction beginning now has.
    pub(super) fn default_modes(&self) -> Modes {
        let hot = self.settings.hot();
        Modes {
            isolation: hot.default_isolation,
            uncommitted: hot.default_uncommitted,
            read_only: hot.default_read_only,
            deferrable: hot.default_deferrable,
            only_reads: false,
        }
    }

    /// The modes of the current transaction.
    pub(super) fn modes(&self) -> Modes {
        self.transaction.modes.unwrap_or_else(|| self.default_modes())
    }

    /// Opens a transaction in the cluster, unless one is. `wanted`: the modes for this statement alone, where it is
    /// not in a block. `priority` is that of the attempt before, after a conflict.
    pub(super) async fn open(&mut self, wanted: Modes, priority: u64) -> Result<()> {
        if self.transaction.open.is_none() {
            let shared = self.engine.catalog(&mut self.newest, self.database).await?;
            self.open_under(shared, wanted, priority);
        }
        Ok(())
    }

    /// The same under this catalog of everybody; none is open.
    pub(super) fn open_under(&mut self, shared: Arc<CatalogSnapshot>, wanted: Modes, priority: u64) {
        let catalog = self.own.beside(&shared, None);
        let own = self.own.committed();
        let options = TransactionOptions {
            isolation: wanted.isolation,
            // Temporary tables are written in any.
            read_only: wanted.read_only && (own.is_none() || wanted.only_reads),
            lock_timeout: self.settings.hot().lock_timeout,
            catalog_version: catalog.version(),
            priority,
            shown: Some(self.shown_id.clone()),
            ..TransactionOptions::default()
        };
        let mut open = Open {
            kv: self.engine.client().begin(options),
            memory: self.engine.transaction_memory(),
            modes: wanted,
            answered: false,
            suspended: false,
            has_effects: false,
            catalog,
            shared,
            own,
            raised: false,
            holds_catalog: false,
            fresh: FreshIndexes::default(),
        };
        for savepoint in &mut self.transaction.savepoints {
            savepoint.open = Some(open.mark());
        }
        self.transaction.open = Some(open);
    }

    /// Opens the transaction anew for another attempt at its first statement. What has run in it is gone.
    pub(super) async fn reopen(&mut self) -> Result<()> {
        let Some(mut open) = self.transaction.open.take() else { return Ok(()) };
        self.transaction.deferred.forget_owed();
        self.transaction.generation = self.transaction.generation.wrapping_add(1);
        for savepoint in &mut self.transaction.savepoints {
            savepoint.open = None;
        }
        let priority = open.kv.priority();
        open.kv.rollback().await;
        self.advisory.end_transaction().await;
        self.open(open.modes, priority).await
    }

    /// Takes the open transaction out, with all that ends with it.
    fn end_transaction(&mut self, after: Block) -> Option<Open> {
        self.registry.end_portals(after == Block::Failed);
        if self.transaction.open.is_some() {
            self.shown_id.clear();
        }
        // What the same message does afterwards is of another transaction, which begins with the message.
        self.context.transaction_timestamp = self.context.statement_timestamp;
        self.clock_stands = false;
        if self.transaction.modes.is_some() {
            self.settings.shared().leave_transaction();
        }
        self.transaction.end(after)
    }

    /// Commits what is open; the session is then in `after`.
    pub(super) async fn commit(&mut self, after: Block) -> Result<()> {
        if self.transaction.open.is_some()
            && let Err(error) = self.finish_work().await
        {
            self.rollback(after).boxed().await;
            return Err(error);
        }
        let mut outgoing = None;
        if let Some(wanted) = self.listening.wanted() {
            // Boxed: few transactions have any.
            match self.prepare_notifications(wanted).boxed().await {
                Ok(prepared) => outgoing = Some(prepared),
                Err(error) => {
                    self.rollback(after).boxed().await;
                    return Err(error);
                }
            }
        }
        let portals_mark = self.registry.transaction_mark();
        let Some(mut open) = self.end_transaction(after) else {
            self.settings.commit(&mut self.context);
            if let Some(outgoing) = outgoing {
                self.finish_notifications(outgoing).boxed().await;
            }
            return Ok(());
        };
        self.own.begin_commit(&open);
        let committed = trace::within(trace::child("commit"), pin!(open.kv.commit())).await;
        if !matches!(committed, Err(client::Error::Ambiguous { .. })) {
            self.own.end_commit();
        }
        self.advisory.end_transaction().await;
        match &committed {
            Ok(_) => self.used.of_database().commits += 1,
            Err(_) => self.used.of_database().rollbacks += 1,
        }
        match committed {
            Ok(_) => {
                self.settings.commit(&mut self.context);
                if open.raised {
                    let version = open.catalog.version().saturating_add(1);
                    let shared = open.catalog.without_temporary().with_version(version);
                    self.engine.publish_catalog(Arc::new(shared));
                }
                self.own.keep(&open);
                if let Some(outgoing) = outgoing {
                    self.finish_notifications(outgoing).boxed().await;
                }
                Ok(())
            }
            Err(error) => {
                self.doubt_own(&error, &open);
                // What is left of its portals is cursors that were to be held: their rows were never committed.
                self.registry.end_portals_since(portals_mark);
                self.settings.rollback_to(0, &mut self.context);
                self.abandon_notifications(outgoing);
                if matches!(error, client::Error::StaleCatalog { .. }) {
                    // The next statement is to be planned under the new one.
                    let _ = self.engine.refresh_catalog(self.database).boxed().await;
                }
                Err(error.into())
            }
        }
    }

    /// What is still to be done before the transaction can commit.
    async fn finish_work(&mut self) -> Result<()> {
        if self.transaction.deferred.owes() {
            self.settle_deferred(true).boxed().await?;
        }
        let cursors = self.registry.cursors_to_hold();
        if !cursors.is_empty() {
            self.hold_cursors(cursors).boxed().await?;
        }
        if self.ends_own() {
            // Boxed: few transactions have any.
            self.end_own().boxed().await?;
        }
        self.attest_effects().await
    }

    /// Judges what is owed to foreign keys: all of it, or what is not deferred any more. Once judged it is owed no more, but
    /// where going back to a savepoint may take away what it was judged by.
    pub(super) async fn settle_deferred(&mut self, all: bool) -> Result<()> {
        if !self.transaction.deferred.owes() {
            return Ok(());
        }
        let (cancel, deadline) = (self.cancel.clone(), self.statement_deadline());
        let (mut values, mut memory) = (Vec::new(), self.statement_memory());
        let mut cx = self.make_context(&mut values, &mut memory)?;
        guard(&cancel, deadline, settle_deferred(&mut cx, all)).await?;
        if self.transaction.savepoints.is_empty() {
            self.transaction.deferred.judged();
        }
        Ok(())
    }

    /// Rolls back what is open; the session is then in `after`.
    pub(super) async fn rollback(&mut self, after: Block) {
        self.registry.hold_none_since(self.registry.transaction_mark());
        let open = self.end_transaction(after);
        self.settings.rollback_to(0, &mut self.context);
        self.listening.pending().forget();
        if let Some(mut open) = open {
            self.used.of_database().rollbacks += 1;
            open.kv.rollback().await;
            self.advisory.end_transaction().await;
        }
    }

    /// What has been done of a query string of DriftQL is committed, before a statement of it that is to begin anew: its scripts put no
    /// semicolons where lines end, so that clients send many statements as one string. Whether there is such a string.
    pub(super) async fn end_script(&mut self) -> Result<bool> {
        let is_script =
            self.transaction.block == Block::Implicit && self.settings.hot().dialect == Dialect::DriftQl;
        if is_script && self.transaction.open.is_some() {
            let committed = self.commit(Block::Implicit).await;
            self.audit_implicit_end("COMMIT", &committed);
            committed?;
        }
        Ok(is_script)
    }

    /// BEGIN
    pub(super) fn begin_block(&mut self, modes: &plan::TransactionModes) -> Result<()> {
        match self.transaction.block {
            Block::Explicit | Block::Failed => {
                self.notify(Notice::warning("25001", "there is already a transaction in progress"));
            }
            Block::Idle | Block::Implicit => {
                self.transaction.block = Block::Explicit;
            }
        }
        self.set_modes(modes)
    }

    /// Before a statement is planned or run, as long as the transaction has read nothing: where it only reads, and the session's
    /// settings say so, it is about a moment that any replica can answer, counted from its beginning. Whatever has made it one that
    /// only reads, or no more: BEGIN, SET, a chain, a default.
    pub(super) fn choose_moment(&mut self) {
        let is_said = self.transaction.as_of.is_some() && !self.transaction.is_behind;
        if is_said || self.transaction.open.is_some() {
            return;
        }
        let is_behind = self.settings.hot().use_follower_reads && self.modes().read_only;
        let at = self.context.follower_read_timestamp(self.context.transaction_timestamp);
        self.transaction.as_of = is_behind.then(|| moment::of_clock(at));
        self.transaction.is_behind = is_behind;
    }

    /// BEGIN … AS OF SYSTEM TIME: all that the block reads is as it was then, and it only reads.
    pub(super) async fn begin_as_of(
        &mut self,
        modes: &plan::TransactionModes,
        as_of: &plan::Moment,
    ) -> Result<()> {
        if self.transaction.in_block() || self.transaction.open.is_some() {
            let message = "AS OF SYSTEM TIME of a transaction must be said before any query";
            return Err(Error::new("25001", message));
        }
        if modes.access == Some(plan::AccessMode::ReadWrite) {
            return Err(only_reads());
        }
        let value = as_of.value.evaluate(&EvalContext::new(&[], &[], &self.context))?;
        let placed = |error| moment::placed(error, as_of.at);
        let wanted = moment::meant(&value, &self.context).map_err(placed)?.last;
        let (cancel, deadline) = (self.cancel.clone(), self.statement_deadline());
        let at = guard(&cancel, deadline, moment::reached(self.engine.client(), wanted)).await;
        let at = at.map_err(placed)?;
        self.begin_block(&plan::TransactionModes { access: Some(plan::AccessMode::ReadOnly), ..*modes })?;
        (self.transaction.as_of, self.transaction.is_behind) = (Some(at), false);
        Ok(())
    }

    /// SET TRANSACTION, and what BEGIN says of modes.
    pub(super) fn set_modes(&mut self, asked: &plan::TransactionModes) -> Result<()> {
        let is_said = self.transaction.as_of.is_some() && !self.transaction.is_behind;
        if is_said && asked.access == Some(plan::AccessMode::ReadWrite) {
            return Err(only_reads());
        }
        let current = self.modes();
        let mut modes = current;
        if let Some(isolation) = asked.isolation {
            modes.isolation = isolation_of(isolation);
            modes.uncommitted = isolation == plan::Isolation::ReadUncommitted;
        }
        if let Some(access) = asked.access {
            modes.read_only = access == plan::AccessMode::ReadOnly;
        }
        if let Some(deferrable) = asked.deferrable {
            if !self.transaction.savepoints.is_empty() {
                let message = "SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction";
                return Err(Error::new("25001", message));
            }
            if self.transaction.open.is_some() {
                let message = "SET TRANSACTION [NOT] DEFERRABLE must be called before any query";
                return Err(Error::new("25001", message));
            }
            modes.deferrable = deferrable;
        }
        if modes == current {
            self.put_modes(modes);
            return Ok(());
        }
        if modes.isolation != current.isolation {
            if !self.transaction.savepoints.is_empty() {
                return Err(Error::new(
                    "25001",
                    "SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction",
                ));
            }
            if self.transaction.open.is_some() {
                return Err(Error::new(
                    "25001",
                    "SET TRANSACTION ISOLATION LEVEL must be called before any query",
                ));
            }
        }
        if let Some(open) = &mut self.transaction.open {
            if open.modes.read_only && !modes.read_only {
                return Err(Error::new("25001", "transaction read-write mode must be set before any query"));
            }
            open.modes.read_only = modes.read_only;
        }
        self.put_modes(modes);
        Ok(())
    }

    fn put_modes(&mut self, modes: Modes) {
        self.transaction.modes = Some(modes);
        self.settings.shared().enter_transaction(modes.level(), modes.read_only, modes.deferrable);
    }

    /// COMMIT. Answers whether it was one: a failed block is rolled back.
    pub(super) async fn commit_block(&mut self, chain: bool) -> Result<bool> {
        let modes = self.modes();
        let outside = self.transaction.outside();
        let committed = match self.transaction.block {
            Block::Failed => {
                self.rollback(outside).await;
                false
            }
            Block::Explicit => {
                self.commit(outside).await?;
                true
            }
            block @ (Block::Idle | Block::Implicit) => {
                if chain {
                    return Err(no_block("COMMIT AND CHAIN"));
                }
                self.notify(Notice::warning("25P01", "there is no transaction in progress"));
                self.commit(block).await?;
                return Ok(true);
            }
        };
        self.chain(chain, modes);
        Ok(committed)
    }

    /// ROLLBACK
    pub(super) async fn rollback_block(&mut self, chain: bool) -> Result<()> {
        let modes = self.modes();
        match self.transaction.block {
            Block::Explicit | Block::Failed => self.rollback(self.transaction.outside()).await,
            block @ (Block::Idle | Block::Implicit) => {
                if chain {
                    return Err(no_block("ROLLBACK AND CHAIN"));
                }
                self.notify(Notice::warning("25P01", "there is no transaction in progress"));
                self.rollback(block).await;
                return Ok(());
            }
        }
        self.chain(chain, modes);
        Ok(())
    }

    fn chain(&mut self, chain: bool, modes: Modes) {
        if chain {
            self.transaction.block = Block::Explicit;
            self.put_modes(modes);
        }
    }

    /// SAVEPOINT
    pub(super) fn savepoint(&mut self, name: &str) -> Result<()> {
        if self.transaction.block != Block::Explicit {
            return Err(no_block("SAVEPOINT"));
        }
        let open = self.transaction.open.as_mut().map(Open::mark);
        self.transaction.savepoints.push(NamedSavepoint {
            name: name.to_owned(),
            settings_mark: self.settings.mark(),
            portals_mark: self.registry.portals_mark(),
            deferred_mark: self.transaction.deferred.mark(),
            advisory_mark: self.advisory.mark(),
            pending_mark: self.listening.pending().mark(),
            open,
        });
        Ok(())
    }

    /// RELEASE SAVEPOINT
    pub(super) fn release(&mut self, name: &str) -> Result<()> {
        if self.transaction.block != Block::Explicit {
            return Err(no_block("RELEASE SAVEPOINT"));
        }
        let place = self.transaction.find_savepoint(name).ok_or_else(|| no_savepoint(name))?;
        let mut released = self.transaction.savepoints.split_off(place).into_iter();
        if let (Some(NamedSavepoint { open: Some(mark), .. }), Some(open)) =
            (released.next(), &mut self.transaction.open)
        {
            open.kv.release(mark.kv);
        }
        Ok(())
    }

    /// An error was answered in a block with savepoints: what stands behind the last of them is given up at once, its
    /// locks with it.
    pub(super) async fn fail_to_savepoint(&mut self) {
        self.transaction.block = Block::Failed;
        let Some(savepoint) = self.transaction.savepoints.last() else { return };
        let (Some(mark), Some(open)) = (&savepoint.open, &mut self.transaction.open) else { return };
        open.answered = true;
        self.advisory.rollback_to(savepoint.advisory_mark).await;
        if let Err(error) = open.rollback_to(mark).await {
            tracing::debug!(%error, "the transaction is over in spite of its savepoints");
        }
    }

    /// ROLLBACK TO SAVEPOINT
    ///
    /// # Errors
    /// 40001, and the block stays failed, if the transaction cannot go on in spite of the savepoint: what it has read
    /// has changed.
    pub(super) async fn rollback_to(&mut self, name: &str) -> Result<()> {
        if !self.transaction.in_block() {
            return Err(no_block("ROLLBACK TO SAVEPOINT"));
        }
        let place = self.transaction.find_savepoint(name).ok_or_else(|| no_savepoint(name))?;
        self.transaction.savepoints.truncate(place.saturating_add(1));
        let Some(savepoint) = self.transaction.savepoints.last() else { return Err(no_savepoint(name)) };
        self.registry.end_portals_since(savepoint.portals_mark);
        self.settings.rollback_to(savepoint.settings_mark, &mut self.context);
        self.transaction.deferred.rollback_to(&savepoint.deferred_mark);
        self.listening.pending().rollback_to(savepoint.pending_mark);
        self.advisory.rollback_to(savepoint.advisory_mark).await;
        if let (Some(mark), Some(open)) = (&savepoint.open, &mut self.transaction.open)
            && let Err(error) = open.rollback_to(mark).await
        {
            let ended = matches!(error, client::Error::Finished);
            return Err(if ended { cannot_go_on() } else { error.into() });
        }
        self.transaction.block = Block::Explicit;
        Ok(())
    }
}

fn isolation_of(isolation: plan::Isolation) -> Isolation {
    match isolation {
        plan::Isolation::ReadUncommitted | plan::Isolation::ReadCommitted => Isolation::ReadCommitted,
        plan::Isolation::RepeatableRead => Isolation::RepeatableRead,
        plan::Isolation::Serializable => Isolation::Serializable,
    }
}

fn cannot_go_on() -> Error {
    Error::new("40001", "could not serialize access: the transaction cannot go on from its savepoint")
        .detail("What it relied on has changed since it began.")
        .hint("Roll the whole transaction back and run it again.")
}

fn only_reads() -> Error {
    Error::new("25001", "a transaction AS OF SYSTEM TIME cannot be in read-write mode")
}

fn no_block(command: &str) -> Error {
    Error::new("25P01", format!("{command} can only be used in transaction blocks"))
}

fn no_savepoint(name: &str) -> Error {
    Error::new("3B001", format!("savepoint \"{name}\" does not exist"))
}
