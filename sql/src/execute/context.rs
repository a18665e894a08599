//! What a running statement works with: its transaction, its parameters, its session, its memory account.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use client::{Client, Transaction};
use expr::{Datum, EvalContext, Expr, Row, SessionContext};
use futures::FutureExt as _;

use super::advisory::AdvisoryLocks;
use super::cancel::CancelHandle;
use super::deferred::Deferred;
use super::held_back::{HeldBack, Write};
use super::memory::Memory;
use super::row_ids::RowIds;
use super::truth::{Analysis, Truth};
use crate::activity::Roster;
use crate::activity::usage::Used;
use crate::catalog::CatalogSnapshot;
use crate::error::{Error, Notice, Result};
use crate::keeper::Holder;
use crate::questions::{Question, Questions};
use crate::sequence::SessionSequences;
use crate::settings::Settings;
use crate::system::Shown;

/// After the work of so many rows a statement looks up: a fraction of a millisecond.
const WORK_BETWEEN_RESTS: usize = 128;

/// What a request to ranges is worth, and each span in it, in rows: as the optimiser takes them to cost.
const WORK_OF_A_REQUEST: usize = 25;
const WORK_OF_A_SPAN: usize = 15;

/// In a simulation one rest in so many lets others run.
const REST_TURNS: u64 = 4;

/// What a running statement works with.
pub(crate) struct Context<'a> {
    /// The cluster's client, for what is in no transaction.
    pub(crate) client: &'a Client,
    /// The transaction it runs in.
    pub(crate) transaction: &'a mut Transaction,
    /// Parameters, then the slots of outer rows: what `Expr::Parameter` names.
    pub(crate) values: &'a mut Vec<Datum>,
    /// What functions may depend on.
    pub(crate) session: &'a SessionContext,
    /// The bytes of rows that it holds.
    pub(crate) memory: &'a mut Memory,
    /// The bytes that its transaction holds.
    pub(crate) transaction_memory: &'a mut Memory,
    /// The work since the last look at the clock, in rows.
    pub(crate) work: usize,
    /// The catalog that it was planned under.
    pub(crate) catalog: &'a Arc<CatalogSnapshot>,
    /// The session's settings, for `pg_settings`.
    pub(crate) settings: &'a Settings,
    /// Whether it is to end.
    pub(crate) cancel: &'a CancelHandle,
    /// Where hidden row ids come from.
    pub(crate) row_ids: &'a RowIds,
    /// What functions have left to be answered.
    pub(crate) questions: &'a Questions,
    /// The session's advisory locks.
    pub(crate) advisory: &'a mut AdvisoryLocks,
    /// What views show of the session.
    pub(crate) shown: &'a Shown,
    /// The gateway's sessions.
    pub(crate) roster: &'a Arc<Roster>,
    /// What it does to tables.
    pub(crate) used: &'a mut Used,
    /// What the client is to be warned of.
    pub(crate) warnings: &'a mut Vec<Notice>,
    /// Where numbers of sequences come from.
    pub(crate) sequences: &'a SessionSequences,
    /// The version of the catalog that must be in force for what is in no transaction; 0: the transaction has changed the
    /// catalog itself, so that nobody else does.
    pub(crate) catalog_version: u64,
    /// Under whom temporary keys are kept, once there are any.
    pub(crate) holder: Option<&'a Holder>,
    /// The indexes that this transaction created: nobody else can see their keys, so nobody's have to be locked.
    pub(crate) fresh_indexes: &'a FreshIndexes,
    /// What its transaction owes foreign keys at the commit.
    pub(crate) deferred: &'a mut Deferred,
    /// How far the transaction is kept apart from others.
    pub(crate) isolation: client::Isolation,
    /// Indexes of which more bytes of entries have to be made are filled by ingesting them.
    pub(crate) ingest_bytes_min: usize,
    /// What a statement of several parts has written, which none of them is to see.
    pub(crate) held_back: Option<HeldBack>,
    /// Who counts what it does.
    pub(crate) analysis: Analysis,
}

/// The ids of the indexes that a transaction created, and of the temporary ones among them that it has dropped again, in the
/// order of that: the positions of its savepoints are among them.
#[derive(Debug, Clone, Default)]
pub(crate) struct FreshIndexes(Vec<Noted>);

/// What became of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noted {
    Created(u64),
    Dropped(u64),
}

impl FreshIndexes {
    /// Whether this transaction created the index.
    pub(crate) fn contains(&self, index: u64) -> bool {
        self.0.contains(&Noted::Created(index))
    }

    /// Notes a new index.
    pub(crate) fn insert(&mut self, index: u64) {
        self.0.push(Noted::Created(index));
    }

    /// Notes that a temporary index is dropped, if this transaction created it: nobody else has ever known of it.
    pub(crate) fn note_dropped(&mut self, index: u64) {
        if self.contains(index) {
            self.0.push(Noted::Dropped(index));
        }
    }

    /// Those that were created and dropped.
    pub(crate) fn dropped(&self) -> impl Iterator<Item = u64> {
        self.0.iter().filter_map(|noted| match noted {
            Noted::Created(_) => None,
            Noted::Dropped(index) => Some(*index),
        })
    }

    /// How much is noted: a mark for [`FreshIndexes::truncate`].
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets what was noted after `mark`.
    pub(crate) fn truncate(&mut self, mark: usize) {
        self.0.truncate(mark);
    }
}

impl Context<'_> {
    /// The same, but what functions depend on is another's.
    pub(crate) fn within<'b>(&'b mut self, session: &'b SessionContext) -> Context<'b> {
        Context {
            client: self.client,
            transaction: &mut *self.transaction,
            values: &mut *self.values,
            session,
            memory: &mut *self.memory,
            transaction_memory: &mut *self.transaction_memory,
            work: self.work,
            catalog: self.catalog,
            settings: self.settings,
            cancel: self.cancel,
            row_ids: self.row_ids,
            questions: self.questions,
            advisory: &mut *self.advisory,
            shown: self.shown,
            roster: self.roster,
            used: &mut *self.used,
            warnings: &mut *self.warnings,
            sequences: self.sequences,
            catalog_version: self.catalog_version,
            holder: self.holder,
            fresh_indexes: self.fresh_indexes,
            deferred: &mut *self.deferred,
            isolation: self.isolation,
            ingest_bytes_min: self.ingest_bytes_min,
            held_back: None,
            analysis: self.analysis.clone(),
        }
    }

    /// Notes what the operator has done whose turn it is, if anybody counts.
    #[inline]
    pub(crate) fn tally(&self, note: impl FnOnce(&mut Truth)) {
        if let Some(counted) = &self.analysis.at_hand {
            note(&mut counted.lock());
        }
    }

    /// The same, but it reads in another transaction.
    pub(crate) fn at<'b>(&'b mut self, transaction: &'b mut Transaction) -> Context<'b> {
        let session = self.session;
        Context { transaction, ..self.within(session) }
    }

    /// The value of an expression over a row.
    pub(crate) fn evaluate(&self, expression: &Expr, row: &[Datum]) -> Result<Datum> {
        Ok(expression.evaluate(&EvalContext::new(row, self.values, self.session))?)
    }

    /// The value of an expression over a row, borrowed where it stands ready.
    #[inline]
    pub(crate) fn evaluate_ref<'b>(
        &'b self,
        expression: &'b Expr,
        row: &'b [Datum],
    ) -> Result<Cow<'b, Datum>> {
        Ok(expression.evaluate_ref(&EvalContext::new(row, self.values, self.session))?)
    }

    /// The values of expressions over a row.
    pub(crate) fn evaluate_all(&self, expressions: &[Expr], row: &[Datum]) -> Result<Row> {
        let context = EvalContext::new(row, self.values, self.session);
        let mut values = Row::with_capacity(expressions.len());
        for expression in expressions {
            values.push(expression.evaluate(&context)?);
        }
        Ok(values)
    }

    /// Goes on with the values of expressions over a row after those that there are. Each is an evaluation of its own.
    fn go_on(&self, expressions: &[Expr], row: &[Datum], values: &mut Row) -> Result<()> {
        let context = EvalContext::new(row, self.values, self.session);
        for expression in expressions.iter().skip(values.len()) {
            values.push(expression.evaluate(&context)?);
            if self.questions.is_used() {
                self.questions.settle();
            }
        }
        Ok(())
    }

    /// The values of expressions over a row, once the questions that they leave are answered: what one of them asks has none
    /// before it computed again, as functions may have effects.
    #[inline]
    pub(crate) async fn settled_all(&mut self, expressions: &[Expr], row: &[Datum]) -> Result<Row> {
        let (values, question) = self.attempt_all(expressions, row)?;
        match question {
            None => Ok(values),
            Some(question) => self.answered_all(question, expressions, row, values).await,
        }
    }

    /// The values of expressions over a row at once; or those before the one that leaves a question, with which it goes on in
    /// [`Context::answered_all`].
    #[inline]
    pub(crate) fn attempt_all(&self, expressions: &[Expr], row: &[Datum]) -> Result<(Row, Option<Question>)> {
        let mut values = Row::with_capacity(expressions.len());
        match self.attempt(|cx| cx.go_on(expressions, row, &mut values)) {
            Ok(outcome) => outcome.map(|()| (values, None)),
            Err(question) => Ok((values, Some(question))),
        }
    }

    /// The values of expressions over a row, of which there are those before the one that has left a question.
    pub(crate) async fn answered_all(
        &mut self,
        mut question: Question,
        expressions: &[Expr],
        row: &[Datum],
        mut values: Row,
    ) -> Result<Row> {
        loop {
            let outcome = self.told(question, |cx| cx.go_on(expressions, row, &mut values)).await?;
            match self.question(outcome.is_err()) {
                Some(next) => question = next,
                None => return outcome.map(|()| values),
            }
        }
    }

    /// Runs an evaluation again that has left a question.
    async fn told<T>(
        &mut self,
        question: Question,
        evaluate: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<Result<T>> {
        // Hardly any evaluation asks: what it takes to answer is in nobody else's future.
        let answer = self.answer(question).boxed().await?;
        self.questions.tell(answer);
        self.questions.repeat_all();
        Ok(evaluate(self))
    }

    /// What an evaluation comes to, once the questions that it leaves are answered.
    #[inline]
    pub(crate) async fn settled<T>(&mut self, evaluate: impl Fn(&Self) -> Result<T>) -> Result<T> {
        let attempt = self.attempt(&evaluate);
        match attempt {
            Ok(outcome) => outcome,
            Err(question) => self.answered(question, evaluate).await,
        }
    }

    /// What an evaluation comes to at once, for loops that wait for nothing else; or the question that it leaves, with which
    /// it goes on in [`Context::answered`].
    #[inline]
    pub(crate) fn attempt<'b, T>(
        &'b self,
        evaluate: impl FnOnce(&'b Self) -> Result<T>,
    ) -> std::result::Result<Result<T>, Question> {
        if self.questions.is_used() {
            self.questions.settle();
        }
        let outcome = evaluate(self);
        match self.question(outcome.is_err()) {
            Some(question) => Err(question),
            None => Ok(outcome),
        }
    }

    /// What an evaluation that has left a question comes to.
    pub(crate) async fn answered<T>(
        &mut self,
        mut question: Question,
        evaluate: impl Fn(&Self) -> Result<T>,
    ) -> Result<T> {
        loop {
            let outcome = self.told(question, &evaluate).await?;
            match self.question(outcome.is_err()) {
                Some(next) => question = next,
                None => return outcome,
            }
        }
    }

    /// The question that an evaluation has left, if it is one that has come to an end for it; else it is over.
    #[inline]
    fn question(&self, has_failed: bool) -> Option<Question> {
        if !self.questions.is_used() {
            return None;
        }
        let asked = if has_failed { self.questions.take() } else { None };
        if asked.is_none() {
            self.questions.settle();
        }
        asked
    }

    /// Whether a condition holds of a row; NULL counts as false.
    pub(crate) fn holds(&self, condition: &Expr, row: &[Datum]) -> Result<bool> {
        Ok(condition.evaluate_condition(&EvalContext::new(row, self.values, self.session))?)
    }

    /// Whether an optional condition holds of a row.
    pub(crate) fn holds_if_any(&self, condition: Option<&Expr>, row: &[Datum]) -> Result<bool> {
        condition.map_or(Ok(true), |condition| self.holds(condition, row))
    }

    /// Sets a slot.
    pub(crate) fn set_slot(&mut self, slot: usize, value: Datum) -> Result<()> {
        match self.values.get_mut(slot) {
            Some(place) => {
                *place = value;
                Ok(())
            }
            None => Err(Error::internal("a plan names a slot that it does not have")),
        }
    }

    /// Counts work: about so many rows were looked at. True when it is time to [`Context::rest`].
    #[inline]
    pub(crate) fn spend(&mut self, rows: usize) -> bool {
        self.work = self.work.saturating_add(rows).saturating_add(expr::work::take());
        self.work >= WORK_BETWEEN_RESTS
    }

    /// Ends the statement if it was cancelled or its time is up, and lets others run if it has worked for long.
    pub(crate) async fn rest(&mut self) -> Result<()> {
        self.cancel.note_work(std::mem::take(&mut self.work));
        self.cancel.check()?;
        let yields = match env::pool::turn_is_over() {
            Some(over) => over,
            // In the order of the seed, not of the clock.
            None if env::simulation::is_active() => env::random::below(REST_TURNS) == 0,
            None => true,
        };
        if yields {
            env::task::yield_now().await;
        }
        Ok(())
    }

    /// Counts a request to ranges for so many spans, or lists of keys, as work.
    #[inline]
    pub(crate) fn note_request(&self, spans: usize) {
        self.cancel.note_work(spans.saturating_mul(WORK_OF_A_SPAN).saturating_add(WORK_OF_A_REQUEST));
    }

    /// Counts work and rests when it is time. Every loop over rows, in every operator and writer, comes by here.
    #[inline]
    pub(crate) async fn tick(&mut self, rows: usize) -> Result<()> {
        if self.spend(rows) { self.rest().await } else { Ok(()) }
    }

    /// Writes a key: now, or at the end of the statement.
    pub(crate) fn write(&mut self, key: Bytes, write: Write) {
        match &mut self.held_back {
            Some(held_back) => held_back.push(key, write),
            None => write.to(self.transaction, key),
        }
    }

    /// Accounts for what the transaction holds by now. What takes too much memory goes to its ranges before the commit.
    ///
    /// # Errors
    /// 54000 if that is more than may be committed and a savepoint keeps it here, 53200 if there is no memory for it.
    pub(crate) async fn account_writes(&mut self) -> Result<()> {
        self.transaction.flush_if_large().await?;
        let held_back = self.held_back.as_ref().map_or(0, HeldBack::bytes);
        let bytes =
            self.transaction.memory_bytes().saturating_add(self.deferred.bytes()).saturating_add(held_back);
        self.transaction_memory.hold(bytes)
    }
}
