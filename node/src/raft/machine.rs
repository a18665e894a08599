//! The state machine of one group: entries go through [`Apply`] into the engine, in one batch with the applied id.
//!
//! openraft drives it from a task of the raft runtime, which waits for no disk: what is small and prompt is applied there,
//! to the engine's memory, while the engine keeps up with what is written. All else, and installing, reads and writes the
//! engine on threads that may block ([`env::task::blocking`]).
//!
//! # Invariants
//!
//! - The engine holds the applied id and the membership that belong to exactly what else it holds of the range: they
//!   are written in the same batch, and in the same edit as a snapshot.
//! - What is reported as a snapshot to openraft is flushed, so that the log is never purged past durable state.
//! - Once its [`Tenure`] has ended a replica writes nothing, whatever is queued for it.
//! - What a range takes over it takes over in the same batch in which the other one says that it has no data any more, or with
//!   the same edit as a snapshot.
//! - What a split gives away is here either as the state of a replica of the new range, written in the same batch as the split,
//!   or not at all.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use lsm::{Db, WriteBatch, WriteOptions};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use parking_lot::Mutex;

use super::apply::{Apply, ApplyEntry, Child, LogPoint, Outcome};
use super::claims::{Born, Claims};
use super::group_log::GroupLog;
use super::progress::{Applied, Progress};
use super::snapshot::{Incoming, Outgoing, SnapshotData};
use super::types::{Entry, LogId, SnapshotMeta, StoredMembership, Types, membership, point, raft_membership};

/// Entries are applied in batches of about this many bytes of commands.
const BATCH_BYTES: usize = 4 << 20;

/// So many bytes of commands, in so many entries, are applied where openraft's task runs: two wake-ups cost more.
const PROMPT_BYTES: usize = 16 << 10;
const PROMPT_ENTRIES: usize = 64;

/// Whether a replica still writes to the engine. openraft's worker goes on for a while after its group was stopped.
#[derive(Default)]
pub(super) struct Tenure {
    ended: Mutex<bool>,
}

impl Tenure {
    /// Runs what writes, unless the tenure has ended.
    fn write<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let ended = self.ended.lock();
        if *ended {
            return Err(io::Error::other("the replica was given up"));
        }
        work()
    }

    /// Whether it has ended.
    #[cfg(test)]
    pub(super) fn has_ended(&self) -> bool {
        *self.ended.lock()
    }

    /// Ends it, and returns once what is being written is. Blocks.
    pub(super) fn end(&self) {
        *self.ended.lock() = true;
    }
}

/// What writes for a state machine.
struct Applier {
    range_id: u64,
    replica_id: u64,
    db: Db,
    apply: Arc<dyn Apply>,
    log: Arc<GroupLog>,
    progress: Arc<Progress>,
    tenure: Arc<Tenure>,
    claims: Arc<Claims>,
}

impl Applier {
    /// Applies what follows on `before`; what is applied then. `is_prompt`: these are commits alone ([`Applier::is_prompt`]).
    fn apply(
        &self,
        before: &Applied,
        entries: Vec<Entry>,
        responders: Vec<Option<ApplyResponder<Types>>>,
        is_prompt: bool,
    ) -> io::Result<Applied> {
        let mut applied = before.clone();
        let entries: Vec<ApplyEntry> =
            entries.into_iter().map(|entry| observe(&mut applied, entry)).collect();
        let Some(last) = applied.id else { return Ok(applied) };
        let commands = entries.iter().filter_map(|entry| entry.command.as_ref());
        let followers = self.log.followed().followers(commands);
        let replies = self.tenure.write(|| {
            let mut batch = WriteBatch::new();
            // Who removes another range's replica, or brings its state from elsewhere, has done so before we look at that, or waits
            // until all of it is written.
            let reshapes =
                |entry: &ApplyEntry| entry.command.as_ref().is_some_and(|it| self.apply.reshapes(it));
            let _replacing = (!is_prompt && entries.iter().any(reshapes)).then(|| self.claims.replacing());
            let outcome = self.apply.apply(self.range_id, &entries, &mut batch).map_err(io::Error::other)?;
            let Outcome { replies, children } = outcome;
            if replies.len() != entries.len() {
                let what = format!("{} replies to {} entries", replies.len(), entries.len());
                return Err(io::Error::other(what));
            }
            applied.put(self.range_id, self.replica_id, before, &mut batch);
            let mut born = Vec::new();
            for child in children {
                born.extend(self.beget(child, &mut batch)?);
            }
            let sequence = self.db.write(batch, WriteOptions::UNLOGGED_UNPACED).map_err(io::Error::other)?;
            self.apply.applied(self.range_id, &entries);
            for born in born {
                self.apply.state_replaced(born.range_id).map_err(io::Error::other)?;
                self.claims.born(born);
            }
            self.progress.advance(sequence, applied.clone());
            Ok(replies)
        })?;
        self.log.applied(last.index());
        followers.done("apply");
        for (responder, reply) in responders.into_iter().zip(replies) {
            if let Some(responder) = responder {
                responder.send(reply);
            }
        }
        Ok(applied)
    }

    /// Whether applying these waits for no disk and is soon done. A simulation takes either way, so that it sees both.
    fn is_prompt(&self, entries: &[Entry]) -> bool {
        let mut bytes = 0;
        let mut prompt = |entry: &Entry| match &entry.payload {
            EntryPayload::Normal(command) => {
                bytes += command.0.len();
                bytes <= PROMPT_BYTES && self.apply.is_prompt(&command.0)
            }
            EntryPayload::Blank | EntryPayload::Membership(_) => false,
        };
        entries.len() <= PROMPT_ENTRIES
            && entries.iter().all(&mut prompt)
            && self.db.keeps_up()
            && !(env::simulation::is_active() && env::random::below(2) == 0)
    }

    /// Adds to the batch the replica of a new range that stands beside this one; else what it would have taken over goes.
    fn beget(&self, child: Child, batch: &mut WriteBatch) -> io::Result<Option<Born>> {
        let range_id = child.range_id;
        if Applied::load(range_id, &self.db).map_err(io::Error::other)?.is_some() {
            // Its leader has sent it all already, and more.
            return Ok(None);
        }
        let heir = child.heirs.get(&self.replica_id).copied();
        let Some(replica_id) = heir.filter(|heir| self.claims.claim(range_id, *heir).is_ok()) else {
            child.spans.iter().for_each(|(start, end)| batch.delete_range(start, end));
            return Ok(None);
        };
        let membership = raft_membership(&child.membership).map_err(io::Error::other)?;
        Applied::seed(membership).put(range_id, replica_id, &Applied::default(), batch);
        child.rows.iter().for_each(|(key, value)| batch.put(key, value));
        Ok(Some(Born { range_id, replica_id, beside: self.range_id }))
    }

    /// Replaces the range's state. What it was may have reached further: all of that goes.
    fn install(&self, applied: &Applied, incoming: Incoming) -> io::Result<()> {
        let mut batch = WriteBatch::new();
        applied.put(self.range_id, self.replica_id, &Applied::default(), &mut batch);
        let (spans, tables, reservation) = incoming.into_parts();
        self.tenure.write(|| {
            self.db.flush().map_err(io::Error::other)?;
            let _replacing = self.claims.replacing();
            let swallowed = self.apply.swallowed_by_snapshot(self.range_id, &spans);
            let swallowed = swallowed.map_err(io::Error::other)?;
            swallowed.iter().for_each(|(_, key, row)| batch.put(key, row));
            let spans = spans.into_iter().chain(self.apply.snapshot_spans(self.range_id));
            let spans: Vec<(Bytes, Bytes)> = spans.map(|span| (span.start, span.end)).collect();
            self.db.excise_and_ingest(&spans, tables, batch).map_err(io::Error::other)?;
            for (gone, ..) in swallowed {
                self.apply.state_replaced(gone).map_err(io::Error::other)?;
            }
            self.apply.state_replaced(self.range_id).map_err(io::Error::other)?;
            // From now on the range's own state keeps others out.
            drop(reservation);
            self.progress.replace(applied.clone());
            Ok(())
        })
    }
}

/// Notes the entry as applied and turns it into what the range layer takes.
fn observe(applied: &mut Applied, entry: Entry) -> ApplyEntry {
    let LogPoint { term, index } = point(&entry.log_id);
    applied.id = Some(entry.log_id);
    let (command, changed) = match entry.payload {
        EntryPayload::Blank => (None, None),
        EntryPayload::Normal(command) => (Some(command.0), None),
        EntryPayload::Membership(changed) => {
            let seen = membership(&changed);
            applied.membership = Arc::new(StoredMembership::new(Some(entry.log_id), changed));
            (None, Some(seen))
        }
    };
    ApplyEntry { index, term, command, membership: changed }
}

/// The state machine that openraft drives.
pub(super) struct Machine {
    applier: Arc<Applier>,
    applied: Applied,
}

impl Machine {
    /// The state machine of the replica that owns `log`, as the engine holds it.
    pub(super) fn open(
        db: Db,
        apply: Arc<dyn Apply>,
        log: Arc<GroupLog>,
        claims: Arc<Claims>,
    ) -> Result<Self, String> {
        let (range_id, replica_id) = (log.range_id(), log.replica_id());
        let applied = match Applied::load(range_id, &db).map_err(|error| error.to_string())? {
            None => Applied::default(),
            Some((owner, applied)) if owner == replica_id => applied,
            Some((owner, _)) => {
                return Err(format!("the engine holds state of replica {owner}, not of {replica_id}"));
            }
        };
        let progress = Arc::new(Progress::new(applied.clone()));
        let tenure = Arc::default();
        let applier = Applier { range_id, replica_id, db, apply, log, progress, tenure, claims };
        Ok(Self { applier: Arc::new(applier), applied })
    }

    /// The state machine that goes on where another one of the same replica, which has ended, has come to, in the life of the process:
    /// what is in the engine, and how much of that is flushed, is known.
    pub(super) fn resume(
        db: Db,
        apply: Arc<dyn Apply>,
        log: Arc<GroupLog>,
        claims: Arc<Claims>,
        progress: Arc<Progress>,
    ) -> Self {
        let (range_id, replica_id, applied) = (log.range_id(), log.replica_id(), progress.newest());
        let tenure = Arc::default();
        let applier = Applier { range_id, replica_id, db, apply, log, progress, tenure, claims };
        Self { applier: Arc::new(applier), applied }
    }

    /// What others see of it.
    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.applier.progress)
    }

    /// Whether it still writes.
    pub(super) fn tenure(&self) -> Arc<Tenure> {
        Arc::clone(&self.applier.tenure)
    }

    /// What it has applied.
    pub(super) fn applied(&self) -> Option<LogId> {
        self.applied.id
    }

    /// Whether it has nothing but what the range's first replicas began with.
    pub(super) fn is_seed(&self) -> bool {
        self.applied.is_seed()
    }

    /// Applies, and tells the replies: here if that is prompt, or on a thread that may block.
    async fn apply_batch(
        &mut self,
        entries: Vec<Entry>,
        responders: Vec<Option<ApplyResponder<Types>>>,
    ) -> io::Result<()> {
        if self.applier.is_prompt(&entries) {
            self.applied = self.applier.apply(&self.applied, entries, responders, true)?;
            return Ok(());
        }
        let (applier, applied) = (Arc::clone(&self.applier), self.applied.clone());
        let applying = env::task::blocking(move || applier.apply(&applied, entries, responders, false));
        self.applied = applying.await.map_err(io::Error::other)??;
        Ok(())
    }

    fn flushed(&self) -> Applied {
        self.applier.progress.flushed(self.applier.db.sequence_durable())
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = FlushedState;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.applied.id, (*self.applied.membership).clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        let (mut batch, mut responders, mut bytes) = (Vec::new(), Vec::new(), 0);
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            if let EntryPayload::Normal(command) = &entry.payload {
                bytes += command.0.len();
            }
            batch.push(entry);
            responders.push(responder);
            if bytes >= BATCH_BYTES {
                bytes = 0;
                self.apply_batch(std::mem::take(&mut batch), std::mem::take(&mut responders)).await?;
            }
        }
        if batch.is_empty() { Ok(()) } else { self.apply_batch(batch, responders).await }
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<FlushedState> {
        let flushed = self.flushed();
        (force || flushed.id.is_some()).then_some(FlushedState(flushed))
    }

    async fn get_snapshot_builder(&mut self) -> FlushedState {
        FlushedState(self.flushed())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotData,
    ) -> Result<(), io::Error> {
        let SnapshotData::Incoming(incoming) = snapshot else {
            return Err(io::Error::other("only a snapshot that was received can be installed"));
        };
        let applied = Applied { id: meta.last_log_id, membership: Arc::new(meta.last_membership.clone()) };
        let (applier, installed) = (Arc::clone(&self.applier), applied.clone());
        let installing = env::task::blocking(move || applier.install(&installed, incoming));
        installing.await.map_err(io::Error::other)??;
        self.applied = applied;
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<openraft::alias::SmSnapshotOf<Types, Self>>, io::Error> {
        if self.applied.id.is_none() {
            return Ok(None);
        }
        let snapshot = self.applier.db.snapshot().map_err(io::Error::other)?;
        let spans = self.applier.apply.snapshot_spans(self.applier.range_id);
        Ok(Some(openraft::Snapshot {
            meta: self.applied.meta(),
            snapshot: SnapshotData::Outgoing(Box::new(Outgoing::new(snapshot, spans))),
        }))
    }
}

/// 'Builds' the snapshot that is there already: the flushed state.
pub(super) struct FlushedState(Applied);

impl RaftSnapshotBuilder<Types> for FlushedState {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(
        &mut self,
    ) -> Result<openraft::alias::SnapshotOf<Types, SnapshotData>, io::Error> {
        Ok(openraft::Snapshot { meta: self.0.meta(), snapshot: SnapshotData::Marker })
    }
}
