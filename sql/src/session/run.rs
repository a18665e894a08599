//! Running portals.
//!
//! A statement that is alone in its transaction commits before its tag is answered, and what it returns by RETURNING
//! is held until then; so it can be run again after a conflict, under a new transaction, without the client noticing.
//! The same holds of the first statement of a block. Rows of a plain query are handed out as they are read: reading
//! conflicts with nothing.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use client::Isolation;
use env::clock::Instant;
use expr::{Datum, Row};
use futures::FutureExt as _;

use super::Session;
use super::portal::{CommandTag, CopyFormat, CopyHeader, Fetched, Portal, Running, State};
use super::prepared::Planned;
use super::transaction::{Block, Modes};
use crate::error::{Cause, Error, Result};
use crate::execute::context::Context;
use crate::execute::ddl::DdlOutcome;
use crate::execute::memory::Memory;
use crate::execute::truth::Analysis;
use crate::execute::{self, Execution};
use crate::plan::{self, Command, Modify, Plan};

/// How long the second attempt waits at most; later ones wait longer.
const RETRY_DELAY_MS: u64 = 2;

/// Operators that have held more than this are not kept for the next run.
const IDLE_BYTES_MAX: usize = 1 << 20;

/// So many of the rows that are all there are handed out at once.
const HELD_ROWS_MAX: usize = 1024;

impl Session {
    /// One step of a portal. What a statement over one row does not come through is in boxes.
    pub(super) async fn advance(&mut self, portal: &mut Portal, rows_max: usize) -> Result<Fetched> {
        match std::mem::replace(&mut portal.state, State::Finished) {
            State::Pending => self.start(portal, rows_max).await,
            State::Streaming(running) => self.stream(portal, running, rows_max).boxed().await,
            State::Held { rows, tag, memory } => Ok(hold(portal, rows, tag, memory, rows_max)),
            State::Fetching(fetching) => self.fetch_rows(portal, fetching, rows_max).boxed().await,
            State::CopyOut(running) => self.copy_out(portal, running).boxed().await,
            State::CopyIn(_) => Err(Error::new("08P01", "COPY FROM STDIN waits for data")),
            State::Finished => Err(Error::new("34000", "portal cannot be run again")),
        }
    }

    async fn start(&mut self, portal: &mut Portal, rows_max: usize) -> Result<Fetched> {
        self.auditing.begin();
        if portal.prepared.is_command {
            return self.start_command(portal, rows_max).await;
        }
        if self.transaction.block == Block::Idle && self.transaction.open.is_some() {
            // A portal was left before its end.
            self.rollback(Block::Idle).boxed().await;
        }
        let mut attempt = 0u32;
        let notices = self.notices.len();
        self.advisory.begin_statement();
        self.used.settle();
        self.listening.begin_statement();
        loop {
            let error = match self.attempt(portal, rows_max).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => error,
            };
            if !self.may_retry(&error, attempt) {
                if error.cause() == Cause::StaleCatalog {
                    // Whatever the client does next is to be planned under the new one.
                    let _ = self.engine.refresh_catalog(self.database).boxed().await;
                }
                return Err(error);
            }
            tracing::debug!(%error, attempt, "running a statement again");
            self.wait_to_retry(&error, attempt, portal.deadline).boxed().await?;
            attempt = attempt.saturating_add(1);
            self.notices.truncate(notices);
            self.used.forget();
            self.settings.forget_requests();
            self.listening.forget_statement();
            self.reopen().boxed().await?;
        }
    }

    /// What stands between an attempt that has met this and the next.
    pub(super) async fn wait_to_retry(
        &mut self,
        error: &Error,
        attempt: u32,
        deadline: Option<Instant>,
    ) -> Result<()> {
        let (cancel, engine, database) = (self.cancel.clone(), self.engine.clone(), self.database);
        guard(&cancel, deadline, async {
            if error.cause() == Cause::StaleCatalog {
                engine.refresh_catalog(database).await?;
            }
            if attempt > 0 {
                let bound = RETRY_DELAY_MS << attempt.min(6);
                env::clock::sleep(Duration::from_millis(env::random::below(bound))).await;
            }
            Ok(())
        })
        .await
    }

    /// Whether the transaction may be begun anew with this very statement: the client has seen nothing of it; or what
    /// it has seen left nothing behind, neither a snapshot nor locks nor writes nor a portal with rows to come.
    fn may_retry(&self, error: &Error, attempt: u32) -> bool {
        let first = self.transaction.open.as_ref().is_none_or(|open| {
            !open.answered
                || open.modes.isolation == Isolation::ReadCommitted && !open.has_effects && !open.suspended
        });
        let first = first && !self.advisory.has_acted();
        error.cause() != Cause::Statement && attempt < self.engine.options().retries_max && first
    }

    /// The modes for a statement: those of the block, or the best for a statement by itself.
    fn modes_for(&self, planned: &Planned) -> Modes {
        let mut modes = self.modes();
        if self.transaction.block == Block::Idle {
            modes.read_only |= planned.traits.read_only;
            modes.only_reads = planned.traits.read_only;
            let raises = matches!(planned.bound.plan.done(), Plan::Ddl(ddl) if execute::ddl::raises(ddl));
            if raises || planned.bound.way_back.is_some() {
                modes.isolation = Isolation::Serializable;
            }
        }
        modes
    }

    /// 25006 if the transaction only reads and the statement does more than that, to more than temporary tables.
    pub(super) fn check_writable(&self, planned: &Planned) -> Result<()> {
        if self.modes().read_only
            && let Some(command) = execute::refused_when_read_only(&planned.bound)
        {
            return Err(Error::new("25006", format!("cannot execute {command} in a read-only transaction")));
        }
        Ok(())
    }

    /// What stands before every run of a statement: its plan under the transaction's catalog, whether it may run, and the
    /// transaction, told that a statement begins.
    pub(super) async fn make_ready(&mut self, portal: &mut Portal) -> Result<Arc<Planned>> {
        let mut planned = portal.prepared.planned.lock().clone();
        self.audit_seen(&planned);
        let (cancel, deadline) = (self.cancel.clone(), portal.deadline);
        self.choose_moment();
        let modes = self.modes_for(&planned);
        if self.transaction.open.is_none() {
            let shared = match self.engine.cached_catalog(&mut self.newest, self.database) {
                Some(shared) => shared,
                None => guard(&cancel, deadline, self.engine.refresh_catalog(self.database).boxed()).await?,
            };
            self.open_under(shared, modes, 0);
        }
        if let Some(open) = &mut self.transaction.open {
            open.has_effects = open.kv.has_effects() || !self.own.is_as_committed(open);
        }
        if self.doubts_own() {
            self.attest_own(deadline).boxed().await?;
        }
        if planned.traits.reads_catalog {
            self.shown.locks = self.engine.held_locks().shown();
            self.shown.cursors = self.registry.cursors().map(|(name, cursor)| cursor.shown(name)).collect();
            self.shown.statements = self.registry.shown_statements();
            guard(&cancel, deadline, self.refresh_pinned().boxed()).await?;
        }
        if portal.text.is_some() && !self.is_current(&planned) {
            planned = self.bind_text(portal).boxed().await?;
        }
        planned = self.permitted(portal, planned).await?;
        self.audit_reserve().await?;
        if planned.traits.tells_sizes {
            let with_history = planned.traits.tells_history;
            self.sizes.measure(self.engine.client(), &planned.catalog, with_history).boxed().await;
        }
        if planned.traits.makes_long_values {
            env::pool::go_to_pool().await;
        }
        for notice in &planned.bound.notices {
            self.notify(notice.clone());
        }
        if let Some(open) = &mut self.transaction.open {
            open.kv.begin_statement();
        }
        Ok(planned)
    }

    async fn attempt(&mut self, portal: &mut Portal, rows_max: usize) -> Result<Fetched> {
        let planned = self.make_ready(portal).await?;
        if !portal.prepared.is_described {
            portal.undescribed = Some(planned.clone());
        }
        // A row limit of one makes a portal wait behind its row.
        if let Some(point) = planned.point.as_ref().filter(|_| rows_max != 1) {
            return self.run_point(portal, point).await;
        }
        let values = self.values_of(portal, &planned)?;
        if let Some(way) = &planned.bound.way_back
            && let Some(tag) = self.go_back(portal, way, &values).boxed().await?
        {
            self.complete_statement().await?;
            return Ok(Fetched::Done(tag));
        }
        match &planned.bound.plan {
            Plan::Ddl(ddl) => {
                let (tag, _) = self.run_ddl(portal, ddl, values, Analysis::default()).boxed().await?;
                self.complete_statement().await?;
                Ok(Fetched::Done(tag))
            }
            Plan::Explain { .. } => {
                let (mut rows, memory) = self.explain(portal, &planned, values).boxed().await?;
                self.try_answer(portal, rows.make_contiguous(), rows_max).await?;
                self.complete_statement().await?;
                Ok(hold(portal, rows, CommandTag::Plain("EXPLAIN"), memory, rows_max))
            }
            _ => {
                let idle = planned.idle.lock().take();
                let execution = match idle {
                    Some(execution) => execution,
                    None => Execution::build(&planned.bound.plan)?
                        .ok_or_else(|| Error::internal("a plan without rows is run for its rows"))?,
                };
                let (memory, generation) = (self.statement_memory(), self.transaction.generation);
                let running = Running::new(execution, planned, values, memory, generation);
                self.run(portal, running, rows_max).boxed().await
            }
        }
    }

    /// The values that a plan's expressions name: parameters, and slots.
    pub(super) fn values_of(&self, portal: &Portal, planned: &Planned) -> Result<Vec<Datum>> {
        let mut values = portal.parameters.clone();
        values.resize(planned.bound.slots.max(values.len()), Datum::Null);
        if let Some(current) = &planned.bound.current_of {
            let found = self.current_values(current)?;
            let slots = values.iter_mut().skip(current.slot);
            slots.zip(found).for_each(|(slot, value)| *slot = value);
        }
        Ok(values)
    }

    /// Runs what has been made ready: up to its first rows, or to its end.
    async fn run(
        &mut self,
        portal: &mut Portal,
        mut running: Box<Running>,
        rows_max: usize,
    ) -> Result<Fetched> {
        let planned = running.planned.clone();
        let Plan::Modify(modify) = &planned.bound.plan else {
            return self.stream(portal, running, rows_max).await;
        };
        let header = |options: &plan::CopyOptions, columns| CopyHeader {
            format: match options.format {
                plan::CopyFormat::Text => CopyFormat::Text,
                plan::CopyFormat::Csv => CopyFormat::Csv,
                plan::CopyFormat::Binary => CopyFormat::Binary,
            },
            columns,
        };
        let tag = match (modify.as_ref(), &running.execution) {
            (Modify::CopyFrom(copy), Execution::CopyFrom(execution)) => {
                let header = header(&copy.options, execution.columns());
                portal.state = State::CopyIn(running);
                return Ok(Fetched::CopyIn(header));
            }
            (Modify::CopyTo(copy), Execution::CopyTo(execution)) => {
                let header = header(&copy.options, execution.columns());
                portal.state = State::CopyOut(running);
                return Ok(Fetched::CopyOutStart(header));
            }
            (Modify::Insert(_), _) => CommandTag::Insert,
            (Modify::Update(_), _) => CommandTag::Update,
            (Modify::Delete(_), _) => CommandTag::Delete,
            (Modify::Merge(_), _) => CommandTag::Merge,
            (Modify::Compound(compound), _) => match compound.command {
                Command::Select => CommandTag::Select,
                Command::Insert => CommandTag::Insert,
                Command::Update => CommandTag::Update,
                Command::Delete => CommandTag::Delete,
                Command::Merge => CommandTag::Merge,
            },
            (Modify::CopyFrom(_) | Modify::CopyTo(_), _) => {
                return Err(Error::internal("a COPY was made ready as something else"));
            }
        };
        let (execution, mut cx) = self.context_for(&mut running)?;
        let deadline = portal.deadline;
        let cancel = cx.cancel.clone();
        let written = guard(&cancel, deadline, execution.write(&mut cx)).await?;
        if let Some(error) = planned.bound.expects.as_deref().filter(|_| written.count == 0) {
            return Err(error.clone());
        }
        self.settings.hot().limits.check_rows(written.count.max(written.returned.len() as u64))?;
        let memory = self.keep(running);
        self.try_answer(portal, &written.returned, rows_max).await?;
        self.complete_statement().await?;
        Ok(hold(portal, written.returned.into(), tag(written.count), memory, rows_max))
    }

    /// The next rows of a query.
    async fn stream(
        &mut self,
        portal: &mut Portal,
        mut running: Box<Running>,
        rows_max: usize,
    ) -> Result<Fetched> {
        if running.generation != self.transaction.generation {
            return Err(Error::new("34000", "portal cannot be run: its transaction has ended"));
        }
        if running.ready.is_empty() {
            let deadline = portal.deadline;
            if let (Some(open), Some(view)) = (&mut self.transaction.open, &running.view) {
                open.kv.look_through(view);
            }
            let (execution, mut cx) = self.context_for(&mut running)?;
            let cancel = cx.cancel.clone();
            let rows = guard(&cancel, deadline, execution.next(&mut cx)).await;
            if let Some(open) = &mut self.transaction.open {
                open.kv.look_at_all();
            }
            let Some(rows) = rows? else {
                let tag = CommandTag::Select(running.count);
                self.keep(running);
                self.complete_statement().await?;
                return Ok(Fetched::Done(tag));
            };
            self.note_answer(&mut running, rows_max).await?;
            if rows_max == 0 || rows.len() <= rows_max {
                running.count = running.count.saturating_add(rows.len() as u64);
                portal.state = State::Streaming(running);
                return Ok(Fetched::Rows(rows));
            }
            running.ready = rows.into();
        }
        let rows = take_front(&mut running.ready, rows_max);
        running.count = running.count.saturating_add(rows.len() as u64);
        portal.state = State::Streaming(running);
        Ok(Fetched::Rows(rows))
    }

    /// Rows of a query leave the session before it has come to its end. What the transaction does before it goes on it is
    /// not to see.
    async fn note_answer(&mut self, running: &mut Running, rows_max: usize) -> Result<()> {
        if let Some(open) = &mut self.transaction.open {
            open.answered = true;
            if rows_max != 0 {
                open.suspended = true;
                if running.view.is_none() && self.transaction.block != Block::Idle {
                    running.view = Some(open.kv.view().await?);
                }
            }
        }
        Ok(())
    }

    async fn copy_out(&mut self, portal: &mut Portal, mut running: Box<Running>) -> Result<Fetched> {
        let deadline = portal.deadline;
        let (execution, mut cx) = self.context_for(&mut running)?;
        let Execution::CopyTo(copy) = execution else {
            return Err(Error::internal("a COPY was made ready as something else"));
        };
        let cancel = cx.cancel.clone();
        match guard(&cancel, deadline, copy.next(&mut cx)).await? {
            Some(bytes) => {
                let answered = copy.count();
                self.settings.hot().limits.check_rows(answered)?;
                portal.state = State::CopyOut(running);
                Ok(Fetched::CopyOut(bytes))
            }
            None => {
                let tag = CommandTag::Copy(copy.count());
                self.complete_statement().await?;
                Ok(Fetched::Done(tag))
            }
        }
    }

    /// Changes the catalog; also answers how many bytes went to temporary files.
    pub(super) async fn run_ddl(
        &mut self,
        portal: &Portal,
        ddl: &plan::Ddl,
        mut values: Vec<Datum>,
        analysis: Analysis,
    ) -> Result<(CommandTag, u64)> {
        if let Some(statement) = ddl.apart()
            && self.transaction.block != Block::Idle
        {
            let message = format!("{statement} cannot run inside a transaction block");
            return Err(Error::new("25001", message));
        }
        let made = match ddl {
            plan::Ddl::CreateIndex(create) => Some((create.clone(), "CREATE INDEX")),
            plan::Ddl::AlterTable(alter) => alter.adds_unique_alone().map(|create| (create, alter.tag)),
            _ => None,
        };
        if let Some((create, tag)) = made
            && self.builds_beside(portal, &create).await?
        {
            // Boxed: few statements do.
            let tag = self.build_beside(portal, &create, tag).boxed().await?;
            return Ok((tag, 0));
        }
        let mut memory = self.statement_memory();
        let raised = self.transaction.open.as_ref().is_some_and(|open| open.raised);
        self.hold_own(ddl, portal.deadline).await?;
        if let Some(open) = &mut self.transaction.open {
            open.holds_catalog |= execute::ddl::raises(ddl);
        }
        let mut cx = self.make_context(&mut values, &mut memory)?;
        cx.analysis = analysis;
        let cancel = cx.cancel.clone();
        let run = execute::ddl::run(&mut cx, ddl, raised);
        let outcome = guard(&cancel, portal.deadline, run).await;
        let outcome = outcome?;
        let tag = outcome.rows.map_or(CommandTag::Plain(outcome.tag), CommandTag::Select);
        match ddl {
            plan::Ddl::Nothing { .. } => outcome.notices.into_iter().for_each(|notice| self.notify(notice)),
            _ => self.take_ddl(outcome),
        }
        Ok((tag, memory.spilled()))
    }

    /// The transaction goes on under what a change of the catalog has made of it.
    pub(super) fn take_ddl(&mut self, outcome: DdlOutcome) {
        if let Some(open) = &mut self.transaction.open {
            open.take(outcome.catalog, outcome.raised);
            open.fresh = outcome.fresh;
        }
        for notice in outcome.notices {
            self.notify(notice);
        }
    }

    /// A statement has done its work: commits it, unless it is in a block.
    pub(super) async fn complete_statement(&mut self) -> Result<()> {
        match self.transaction.block {
            Block::Idle => self.commit_or_keep().await,
            Block::Implicit | Block::Explicit | Block::Failed => {
                if let Some(open) = &mut self.transaction.open {
                    open.answered = true;
                }
                Ok(())
            }
        }
    }

    /// Commits a statement by itself; after a conflict its transaction is kept, so that it can be begun anew.
    async fn commit_or_keep(&mut self) -> Result<()> {
        let modes = self.transaction.open.as_ref().map(|open| (open.modes, open.kv.priority()));
        let committed = self.commit(Block::Idle).await;
        if let Err(error) = &committed
            && error.cause() != Cause::Statement
            && let Some((modes, priority)) = modes
        {
            self.choose_moment();
            self.open(modes, priority).boxed().await?;
        }
        committed
    }

    /// Puts the operators of a run that ended well back, for the next, unless they have become large: what they held is
    /// given back, but not all of the room for it. The account of what the run has answered goes on.
    fn keep(&mut self, mut running: Box<Running>) -> Memory {
        let Ok((execution, mut cx)) = self.context_for(&mut running) else { return running.memory };
        let is_ready = execution.rewind(&mut cx);
        let Running { execution, planned, memory, .. } = *running;
        if is_ready && memory.most() <= IDLE_BYTES_MAX {
            *planned.idle.lock() = Some(execution);
        }
        memory
    }

    /// What a running statement works with, beside its execution.
    pub(super) fn context_for<'a>(
        &'a mut self,
        running: &'a mut Running,
    ) -> Result<(&'a mut Execution, Context<'a>)> {
        let cx = self.make_context(&mut running.values, &mut running.memory)?;
        Ok((&mut running.execution, cx))
    }

    pub(super) fn make_context<'a>(
        &'a mut self,
        values: &'a mut Vec<Datum>,
        memory: &'a mut Memory,
    ) -> Result<Context<'a>> {
        let open = self
            .transaction
            .open
            .as_mut()
            .ok_or_else(|| Error::new("34000", "the transaction of the statement has ended"))?;
        Ok(Context {
            client: self.engine.client(),
            transaction: &mut open.kv,
            values,
            session: &self.context,
            memory,
            transaction_memory: &mut open.memory,
            work: 0,
            catalog: &open.catalog,
            settings: &self.settings,
            cancel: &self.cancel,
            row_ids: self.engine.row_ids(),
            questions: &self.questions,
            advisory: &mut self.advisory,
            shown: &self.shown,
            roster: self.engine.roster(),
            used: &mut self.used,
            warnings: &mut self.warnings,
            sequences: &self.sequences,
            catalog_version: if open.raised { 0 } else { open.catalog.version() },
            holder: self.own.holder(),
            fresh_indexes: &open.fresh,
            deferred: &mut self.transaction.deferred,
            isolation: open.modes.isolation,
            ingest_bytes_min: self.engine.options().ingest_bytes_min,
            held_back: None,
            analysis: Analysis::default(),
        })
    }
}

/// Runs work until it is done, cancelled, or out of time. What was under way is dropped; its transaction is then to be
/// rolled back.
pub(super) async fn guard<T>(
    cancel: &super::CancelHandle,
    deadline: Option<Instant>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    cancel.set_deadline(deadline);
    if env::pool::turn_is_over() == Some(true) {
        env::task::yield_now().await;
    }
    cancel.check()?;
    let mut work = std::pin::pin!(work);
    // Functions that take long ask, too.
    let mut step = |cx: &mut TaskContext<'_>| {
        // Nothing that others have counted on this thread.
        expr::work::take();
        expr::work::under(cancel.interrupt(), || work.as_mut().poll(cx))
    };
    // What never waits is neither woken nor timed.
    if let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(step(cx))).await {
        return done;
    }
    let mut is_begun = false;
    let _waiting = cancel.note_wait();
    let mut cancellation = std::pin::pin!(cancel.cancelled());
    let mut timer = std::pin::pin!(async {
        match deadline {
            Some(deadline) => env::clock::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    });
    poll_fn(|cx| {
        if std::mem::replace(&mut is_begun, true)
            && let Poll::Ready(done) = step(cx)
        {
            return Poll::Ready(done);
        }
        if cancellation.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(cancel.why()));
        }
        timer.as_mut().poll(cx).map(|()| Err(cancel.timed_out()))
    })
    .await
}

fn take_front(rows: &mut VecDeque<Row>, rows_max: usize) -> Vec<Row> {
    let count = if rows_max == 0 { rows.len() } else { rows_max.min(rows.len()) };
    rows.drain(..count).collect()
}

/// Rows that are all there, a batch at a time, then the tag. `memory` is the account that they are in.
pub(super) fn hold(
    portal: &mut Portal,
    mut rows: VecDeque<Row>,
    tag: CommandTag,
    memory: Memory,
    rows_max: usize,
) -> Fetched {
    if rows.is_empty() {
        portal.state = State::Finished;
        return Fetched::Done(tag);
    }
    let batch = if rows_max == 0 { HELD_ROWS_MAX } else { rows_max.min(HELD_ROWS_MAX) };
    let front = take_front(&mut rows, batch);
    portal.state = State::Held { rows, tag, memory };
    Fetched::Rows(front)
}
