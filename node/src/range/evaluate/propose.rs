//! The second half of a commit, once its checks hold: from its latches to its effect.
//!
//! A commit that fits into one entry of the log marks its keys, decides its timestamp and is proposed. A larger one first
//! has its [`Pieces`] put aside by all replicas, a few at a time, so that others' commits go between them; only then it
//! marks its keys and decides. Until then its latches keep other writers off its keys and off what it relied on, while
//! reads go on, for nothing is decided yet.
//!
//! What is proposed goes on if the caller goes away, so that its next attempt finds the outcome: no task waits for it, what
//! it leaves behind is settled where its outcome is known first. A commit in pieces is a task of its own; one that has not
//! decided by the caller's deadline is taken back, and its pieces are forgotten.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::canary::{Canary, sings};
use env::clock::Instant;
use env::task::JoinHandle;
use env::trace;
use futures::{StreamExt, TryStreamExt};
use lsm::WriteBatch;
use prost::Message;
use proto::v1::range_command::Kind;
use proto::v1::{
    Check, Commit, CommitCommand, ForgetCommand, IntentsCommand, RangeCommand, StageCommand, Staged, Write,
};
use tokio::sync::oneshot;

use super::Evaluation;
use crate::raft::{Group, ProposeError, Proposed};
use crate::range::admission::Admitted;
use crate::range::apply::{APPLIED, FORGOTTEN, STALE_EPOCH};
use crate::range::closing::give_time;
use crate::range::effect;
use crate::range::inflight::Mark;
use crate::range::intents::Change;
use crate::range::key_list::KeyList;
use crate::range::latches::LatchGuard;
use crate::range::locks::TxnId;
use crate::range::memory::Slot;
use crate::range::pieces::{PIECE_BYTES, Pieces};
use crate::range::refusal::Refusal;
use crate::range::replica::Context;
use crate::range::reservations::Reserved;
use crate::range::room::Taken;
use crate::range::serving::{Proposal, ProposalGuard, Serving};
use crate::range::state::FORMAT;

/// Pieces of one commit that are on their way at a time; [`Room`](crate::range::room::Room) bounds all commits' together.
const PIECES_UNDER_WAY: usize = 8;

/// How much longer than its deadline the caller of a commit in pieces waits to hear that it was taken back.
const TAKING_BACK: Duration = Duration::from_millis(100);

/// How long after a refusal the pieces of a commit that was given up are forgotten again.
const FORGET_AGAIN: Duration = Duration::from_millis(200);

/// The latches of what a commit touches.
pub(super) enum Latched {
    /// Taken for it.
    Anew(LatchGuard),
    /// What was reserved for it, with the mark.
    Reserved(Reserved),
}

/// All that a commit needs once its checks hold; its own, so that it can go on without its caller.
#[derive(Clone)]
pub(super) struct Proposer {
    group: Arc<Group>,
    serving: Arc<Serving>,
    context: Arc<Context>,
    span_epoch: u64,
    start_timestamp: u64,
    catalog_version: u64,
    txn: TxnId,
}

impl Proposer {
    /// Of the transaction that is being evaluated.
    pub(super) fn new(evaluation: &Evaluation<'_>, txn: TxnId) -> Self {
        Self {
            group: evaluation.replica.group.clone(),
            serving: evaluation.serving.clone(),
            context: evaluation.replica.context.clone(),
            span_epoch: evaluation.state.span_epoch,
            start_timestamp: evaluation.header.start_timestamp,
            catalog_version: evaluation.header.catalog_version,
            txn,
        }
    }

    /// Commits above `known` what was found to be right under `latch`; the timestamp. `bytes` is what the writes take in the log: headers and all, so that
    /// no entry is larger than a piece.
    pub(super) async fn commit(
        self,
        commit: Commit,
        bytes: u64,
        known: u64,
        latch: Latched,
        admitted: Admitted,
        deadline: Option<Instant>,
    ) -> Result<u64, Refusal> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let unknown = || Refusal::Ambiguous("the deadline passed before the commit was applied".to_owned());
        if bytes > PIECE_BYTES {
            let tasks = self.context.tasks.clone();
            let proposed = tasks.spawn(self.commit_in_pieces(commit, known, latch, admitted, deadline));
            let deadline = deadline.map(|deadline| deadline + TAKING_BACK);
            return within(deadline, joined(proposed), unknown).await??;
        }
        let room = within(deadline, self.serving.room.take(bytes), taken_back).await??;
        let (commit_timestamp, guard) = self.decide(&commit, known, latch, admitted).await?;
        let proposed = self.propose(commit_timestamp, Effect::Whole(commit.writes), guard, room);
        within(deadline, proposed, unknown).await?
    }

    async fn commit_in_pieces(
        self,
        commit: Commit,
        known: u64,
        latch: Latched,
        admitted: Admitted,
        deadline: Option<Instant>,
    ) -> Result<u64, Refusal> {
        let staging = Staging { number: self.serving.number_staged(), proposer: Some(self.clone()) };
        let stopping = |_| Refusal::Unavailable("the node is stopping; nothing was done".to_owned());
        let start_timestamp = self.start_timestamp;
        // Up to 64 MiB to encode and to sum up.
        let cutting = move || {
            let pieces = Pieces::cut(&commit.writes, start_timestamp);
            (pieces, commit)
        };
        let (pieces, commit) = env::task::blocking(cutting).await.map_err(stopping)?;
        let staged = staging.stage(self.clone(), pieces, deadline).await?;
        let (commit_timestamp, guard) = self.decide(&commit, known, latch, admitted).await?;
        let proposed = self.propose(commit_timestamp, Effect::Aside(staged), guard, Taken::nothing()).await;
        // Who does not lead has logged nothing that takes the pieces.
        if !matches!(proposed, Err(Refusal::NotLeader(_))) {
            staging.proposed();
        }
        proposed
    }

    /// Marks the keys, so that from now on reads of them wait for the commit's timestamp, and decides it.
    async fn decide(
        &self,
        commit: &Commit,
        known: u64,
        latch: Latched,
        admitted: Admitted,
    ) -> Result<(u64, ProposalGuard), Refusal> {
        let catalog = self.serving.gate.key();
        let changes_catalog = commit.writes.binary_search_by(|write| write.key.cmp(catalog)).is_ok();
        let (mark, latch, read_at) = self.mark_all(latch);
        let proposal = Proposal {
            keys: mark.keys,
            mark: mark.mark.clone(),
            _latch: latch,
            txn: self.txn,
            releases: true,
            changes_catalog,
            begins: None,
            changes: Vec::new(),
            _admitted: Some(admitted),
        };
        let guard = self.serving.stand(proposal)?;
        let at = self.choose(&commit.checks, commit.commit_at, known, read_at).await?;
        mark.mark.decide(at);
        Ok((at, guard))
    }

    /// Marks all keys that are latched exclusively, as [`Proposer::mark`].
    fn mark_all(&self, latch: Latched) -> (Marked, Option<LatchGuard>, u64) {
        let keys = match &latch {
            Latched::Reserved(_) => KeyList::default(),
            Latched::Anew(latch) => latch.writes().clone(),
        };
        self.mark(keys, latch)
    }

    /// Marks `keys`, unless they are reserved and so marked already; up to when they may have been read by whoever has not
    /// waited for the mark. Whoever reads later waits.
    fn mark(&self, keys: KeyList, latch: Latched) -> (Marked, Option<LatchGuard>, u64) {
        match latch {
            Latched::Reserved(reserved) => {
                let (keys, mark, latch) = reserved.into_parts();
                (Marked { keys, mark }, latch, 0)
            }
            Latched::Anew(latch) => {
                let mark = self.serving.inflight.enter(&keys);
                let read_at = self.serving.memory.newest_of(&keys);
                let read_at = if sings(Canary::CommitBelowRead) { 0 } else { read_at };
                (Marked { keys, mark }, Some(latch), read_at)
            }
        }
    }

    /// When to commit what must come after `known`, and after `read_at`: at exactly `commit_at`, or one above what was
    /// handed out. What was checked counts as read until then.
    async fn choose(
        &self,
        checks: &[Check],
        commit_at: u64,
        known: u64,
        read_at: u64,
    ) -> Result<u64, Refusal> {
        let least = known.max(read_at);
        if commit_at != 0 {
            if least >= commit_at {
                give_time(&self.context, &self.serving, commit_at);
                return Err(Refusal::Pushed(least));
            }
            self.remember(checks, commit_at);
            return Ok(commit_at);
        }
        let base = self.handed_out(least).await?;
        self.remember(checks, base);
        Ok(base + 1)
    }

    /// Writes the intents of `rows` and reports the least timestamp that they can be committed at: `rows` makes them once
    /// that is known, and says how memory changes.
    pub(super) async fn prewrite(
        self,
        commit: &Commit,
        known: u64,
        latch: Latched,
        admitted: Admitted,
        rows: impl FnOnce(u64) -> (WriteBatch, Vec<Change>),
    ) -> Result<u64, Refusal> {
        let (mark, latch, read_at) = self.mark_all(latch);
        let proposal = Proposal {
            keys: mark.keys,
            mark: mark.mark.clone(),
            _latch: latch,
            txn: self.txn,
            releases: false,
            changes_catalog: false,
            begins: Some(self.start_timestamp),
            changes: Vec::new(),
            _admitted: Some(admitted),
        };
        let guard = self.serving.stand(proposal)?;
        if self.serving.is_barred(self.start_timestamp) {
            return Err(Refusal::Forgotten);
        }
        let minimum = self.choose(&commit.checks, commit.commit_at, known, read_at).await?;
        mark.mark.decide(minimum);
        let (batch, changes) = rows(minimum);
        self.serving.will_change(guard.sequence(), changes);
        let command =
            IntentsCommand { start_timestamp: self.start_timestamp, commit_timestamp: 0, begins: true };
        self.propose_intents(command, batch, guard).await?;
        Ok(minimum)
    }

    /// Commits a large transaction at its command's time, by what is written down on its primary.
    pub(super) async fn commit_large(
        self,
        primary: &Bytes,
        command: IntentsCommand,
        batch: WriteBatch,
        changes: Vec<Change>,
        changes_catalog: bool,
        latch: Latched,
    ) -> Result<(), Refusal> {
        let (mark, latch, read_at) = self.mark(KeyList::ascending([primary.clone()]), latch);
        let proposal = Proposal {
            keys: mark.keys,
            mark: mark.mark.clone(),
            _latch: latch,
            txn: self.txn,
            releases: true,
            changes_catalog,
            begins: None,
            changes,
            _admitted: None,
        };
        let guard = self.serving.stand(proposal)?;
        if read_at >= command.commit_timestamp {
            give_time(&self.context, &self.serving, command.commit_timestamp);
            return Err(Refusal::Pushed(read_at));
        }
        mark.mark.decide(command.commit_timestamp);
        self.propose_intents(command, batch, guard).await
    }

    /// Has something about intents applied that is right under `latch`, whatever the transaction that it is about.
    pub(super) async fn settle(
        self,
        command: IntentsCommand,
        batch: WriteBatch,
        changes: Vec<Change>,
        changes_catalog: bool,
        latch: LatchGuard,
    ) -> Result<(), Refusal> {
        let proposal = Proposal {
            keys: KeyList::default(),
            mark: Arc::new(Mark::default()),
            _latch: Some(latch),
            txn: self.txn,
            releases: command.start_timestamp != 0,
            changes_catalog,
            begins: None,
            changes,
            _admitted: None,
        };
        let guard = self.serving.stand(proposal)?;
        self.propose_intents(command, batch, guard).await
    }

    async fn propose_intents(
        &self,
        command: IntentsCommand,
        batch: WriteBatch,
        guard: ProposalGuard,
    ) -> Result<(), Refusal> {
        let entry = effect::entry(&self.command(guard.sequence(), Kind::Intents(command)), batch);
        self.propose_entry(entry, guard, Taken::nothing()).await
    }

    /// A timestamp that was handed out and is at least `timestamp`.
    pub(super) async fn handed_out(&self, timestamp: u64) -> Result<u64, Refusal> {
        let time = &self.context.time;
        if timestamp <= time.observed() {
            return Ok(timestamp);
        }
        let fresh = time.fresh().await?;
        if timestamp <= fresh {
            return Ok(fresh);
        }
        // A check from the future; no transaction that the oracle's time orders can have read there.
        Err(Refusal::Invalid("a check starts above every timestamp that was handed out".to_owned()))
    }

    /// What was checked counts as read at `at`.
    pub(super) fn remember(&self, checks: &[Check], at: u64) {
        for check in checks {
            if check.end.is_empty() {
                self.serving.memory.raise_slot(Slot::of(&check.start), at);
            } else {
                self.serving.memory.raise_span(&check.start, &check.end, at);
            }
        }
        if self.catalog_version != 0 {
            self.serving.memory.raise_slot(Slot::of(self.serving.gate.key()), at);
        }
    }

    /// Proposes the effect and waits until it is applied here; the commit's timestamp. Once proposed it is settled by
    /// whoever hears of it first, whether anybody waits here still or not: apply, the end of the term, or its refusal.
    async fn propose(
        &self,
        commit_timestamp: u64,
        effect: Effect,
        guard: ProposalGuard,
        room: Taken,
    ) -> Result<u64, Refusal> {
        let sequence = guard.sequence();
        let commit = |staged| {
            Kind::Commit(CommitCommand {
                commit_timestamp,
                start_timestamp: self.start_timestamp,
                txn_id: Bytes::copy_from_slice(&self.txn),
                staged,
            })
        };
        let entry = match effect {
            Effect::Whole(writes) => {
                let batch = effect::of_writes(&writes, self.start_timestamp, commit_timestamp);
                effect::entry(&self.command(sequence, commit(None)), batch)
            }
            Effect::Aside(staged) => self.command(sequence, commit(Some(staged))).encode_to_vec().into(),
        };
        self.propose_entry(entry, guard, room).await?;
        Ok(commit_timestamp)
    }

    async fn propose_entry(&self, entry: Bytes, guard: ProposalGuard, room: Taken) -> Result<(), Refusal> {
        let proposed = pin!(self.propose_and_wait(entry, guard, room));
        trace::within(trace::child("propose"), proposed).await
    }

    async fn propose_and_wait(&self, entry: Bytes, guard: ProposalGuard, room: Taken) -> Result<(), Refusal> {
        let sequence = guard.sequence();
        let begun = env::clock::now();
        let (answer, answered) = oneshot::channel();
        let serving = self.serving.clone();
        let settle = move |proposed: Result<Proposed, ProposeError>| {
            if let Err(ProposeError::NotLeader { .. }) = proposed {
                serving.abandon(sequence);
            }
            drop(room);
            // Whoever has gone away needs no answer.
            let _ = answer.send(proposed);
        };
        self.group.propose_with(Some(self.serving.term), entry, settle).await?;
        guard.disarm();
        let stopping = |_| Refusal::Ambiguous("the node is stopping".to_owned());
        let reply = answered.await.map_err(stopping)??.reply;
        let took = begun.elapsed();
        self.context.metrics.proposal_seconds.record(took.as_secs_f64());
        self.context.exports.note_proposal(took);
        if reply != APPLIED {
            return Err(refused(&reply));
        }
        Ok(())
    }

    /// A command of this term, without a batch.
    fn command(&self, sequence: u64, kind: Kind) -> RangeCommand {
        RangeCommand {
            format: FORMAT,
            span_epoch: self.span_epoch,
            proposer_term: self.serving.term,
            sequence,
            kind: Some(kind),
            ..RangeCommand::default()
        }
    }

    /// Has a command logged and applied for which no commit stands, unless the term is over.
    async fn log(&self, kind: Kind) -> Result<Proposed, ProposeError> {
        self.group.propose_in(self.serving.term, self.command(0, kind).encode_to_vec().into()).await
    }

    /// Has one piece put aside. A piece whose fate is unknown is as good as one that was not proposed: its term is over,
    /// and the next one forgets it.
    async fn stage(&self, number: u64, piece: u32, bytes: Bytes) -> Result<(), Refusal> {
        let _room = self.serving.room.take(bytes.len()).await?;
        match self.log(Kind::Stage(StageCommand { number, piece, bytes })).await {
            Ok(staged) if staged.reply == APPLIED => Ok(()),
            Ok(staged) => Err(refused(&staged.reply)),
            Err(ProposeError::NotLeader { leader }) => Err(Refusal::NotLeader(leader)),
            Err(ProposeError::Ambiguous) => Err(Refusal::NotLeader(None)),
            Err(ProposeError::Fatal(why)) => {
                Err(Refusal::Unavailable(format!("the replica has stopped: {why}; nothing was done")))
            }
        }
    }
}

/// Keys with their mark.
struct Marked {
    keys: KeyList,
    mark: Arc<Mark>,
}

/// What the last entry of a commit carries.
enum Effect {
    /// All that it writes.
    Whole(Vec<Write>),
    /// The name of what was put aside.
    Aside(Staged),
}

/// Pieces that are aside or on their way there. Unless the commit that takes them is proposed, they are forgotten.
struct Staging {
    number: u64,
    proposer: Option<Proposer>,
}

impl Staging {
    /// Puts all pieces aside.
    async fn stage(
        &self,
        proposer: Proposer,
        pieces: Pieces,
        deadline: Option<Instant>,
    ) -> Result<Staged, Refusal> {
        let staging = futures::stream::iter(pieces.iter())
            .map(|(piece, bytes)| proposer.stage(self.number, piece, bytes))
            .buffer_unordered(PIECES_UNDER_WAY)
            .try_collect::<()>();
        within(deadline, staging, taken_back).await??;
        Ok(pieces.staged(self.number))
    }

    /// The commit that takes them was proposed, or may have been.
    fn proposed(mut self) {
        self.proposer = None;
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let Some(proposer) = self.proposer.take() else { return };
        let (number, tasks) = (self.number, proposer.context.tasks.clone());
        drop(tasks.spawn(async move {
            let forget = || proposer.log(Kind::Forget(ForgetCommand { number }));
            let forgotten = until_the_term_ends(&proposer.serving, forget).await;
            tracing::debug!(number, ?forgotten, "the pieces of a commit that was given up");
        }));
    }
}

/// Has something logged; again as long as it is refused and the term goes on, for a leader that has not heard of its quorum
/// for a while refuses everything, and may hear of it again. The next term forgets the pieces of this one by itself.
async fn until_the_term_ends<T, F>(serving: &Serving, log: impl Fn() -> F) -> Result<T, ProposeError>
where
    F: Future<Output = Result<T, ProposeError>>,
{
    loop {
        match log().await {
            Err(ProposeError::NotLeader { .. }) if !serving.is_over() => {
                env::clock::sleep(FORGET_AGAIN).await;
            }
            logged => return logged,
        }
    }
}

/// The output of `work`, or what is to be said if the deadline passes before.
pub(super) async fn within<T>(
    deadline: Option<Instant>,
    work: impl Future<Output = T>,
    late: impl Fn() -> Refusal,
) -> Result<T, Refusal> {
    let Some(deadline) = deadline else { return Ok(work.await) };
    let patience = deadline.saturating_duration_since(env::clock::now());
    env::clock::timeout(patience, work).await.map_err(|_| late())
}

pub(super) fn taken_back() -> Refusal {
    Refusal::Unavailable("the deadline passed before the commit was proposed; nothing was done".to_owned())
}

/// The task's output, where only its end can be lost.
async fn joined<T>(task: JoinHandle<T>) -> Result<T, Refusal> {
    task.await.map_err(|_| Refusal::Ambiguous("the node is stopping".to_owned()))
}

pub(super) fn refused(reply: &[u8]) -> Refusal {
    if reply == STALE_EPOCH {
        Refusal::Retry("the range's span has changed; nothing was done".to_owned())
    } else if reply == FORGOTTEN {
        Refusal::Forgotten
    } else {
        Refusal::Unavailable("the range could not read its own command; nothing was done".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Refuses the first `refusals` times; how often it was asked.
    async fn logged(serving: &Serving, refusals: u32, then: impl Fn(u32)) -> (bool, u32) {
        let asked = AtomicU32::new(0);
        let log = || {
            let times = asked.fetch_add(1, Ordering::Relaxed) + 1;
            then(times);
            async move { if times <= refusals { Err(ProposeError::NotLeader { leader: None }) } else { Ok(()) } }
        };
        let logged = until_the_term_ends(serving, log).await.is_ok();
        (logged, asked.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn what_must_be_forgotten_is_proposed_until_a_term_that_goes_on_takes_it() {
        let serving = Serving::new(7, 1);
        assert_eq!(logged(&serving, 0, |_| ()).await, (true, 1));
        assert_eq!(logged(&serving, 10, |_| ()).await, (true, 11));
        let ends = |times| {
            if times == 3 {
                serving.end();
            }
        };
        assert_eq!(logged(&serving, 10, ends).await, (false, 3));
    }
}
