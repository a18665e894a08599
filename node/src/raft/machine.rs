//! The state machine of one group: entries go through [`Apply`] into the engine, in one batch with the applied id.
//!
//! # Invariants
//!
//! - The engine holds the applied id and the membership that belong to exactly what else it holds of the range: they
//!   are written in the same batch, and in the same edit as a snapshot.
//! - What is reported as a snapshot to openraft is flushed, so that the log is never purged past durable state.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use env::watch;
use futures::{Stream, StreamExt};
use lsm::{Db, Sequence, WriteBatch, WriteOptions};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use parking_lot::Mutex;
use prost::Message;
use proto::v1;

use super::apply::{Apply, ApplyEntry, LogPoint, state_key};
use super::group_log::GroupLog;
use super::snapshot::{Outgoing, SnapshotData};
use super::types::{Entry, LogId, SnapshotMeta, StoredMembership, Types, membership, point};
use super::wire::{
    FORMAT, log_id_from_wire, log_id_to_wire, membership_to_wire, stored_membership_from_wire,
};

/// Entries are applied in batches of about this many bytes of commands.
const BATCH_BYTES: usize = 4 << 20;

/// What was applied is remembered with its sequence once in so many entries, to know later what is flushed.
const SAMPLE_EVERY: u64 = 64;

/// What a range's state stands for: the log up to here.
#[derive(Debug, Clone, Default)]
pub(super) struct Applied {
    pub(super) id: Option<LogId>,
    pub(super) membership: Arc<StoredMembership>,
}

impl Applied {
    /// The value under [`state_key`].
    pub(super) fn encode(&self, replica_id: u64) -> Vec<u8> {
        v1::RaftApplied {
            format: FORMAT,
            replica_id,
            applied: self.id.as_ref().map(log_id_to_wire),
            membership_log_id: self.membership.log_id().as_ref().map(log_id_to_wire),
            membership: Some(membership_to_wire(self.membership.membership())),
        }
        .encode_to_vec()
    }

    /// The replica id and the state of a value under [`state_key`].
    pub(super) fn decode(bytes: &[u8]) -> Result<(u64, Self), String> {
        let stored = v1::RaftApplied::decode(bytes).map_err(|error| format!("applied state: {error}"))?;
        if stored.format > FORMAT {
            return Err(format!(
                "applied state has format {}, the newest known here is {FORMAT}",
                stored.format
            ));
        }
        let membership =
            stored_membership_from_wire(stored.membership_log_id.as_ref(), stored.membership.as_ref())
                .map_err(|error| format!("applied state: {error}"))?;
        let id = stored.applied.as_ref().map(log_id_from_wire);
        Ok((stored.replica_id, Self { id, membership: Arc::new(membership) }))
    }

    pub(super) fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.id, last_membership: (*self.membership).clone() }
    }
}

struct Sample {
    sequence: Sequence,
    applied: Applied,
}

/// What others see of a state machine.
pub(super) struct Progress {
    current: Mutex<Current>,
    applied: watch::Sender<Option<LogPoint>>,
}

struct Current {
    newest: Sample,
    /// Older states, ascending, the newest that is flushed among them or `flushed`.
    samples: VecDeque<Sample>,
    flushed: Applied,
}

impl Progress {
    fn new(applied: Applied) -> Self {
        let point = applied.id.as_ref().map(point);
        Self {
            current: Mutex::new(Current {
                newest: Sample { sequence: 0, applied: applied.clone() },
                samples: VecDeque::new(),
                flushed: applied,
            }),
            applied: watch::Sender::new(point),
        }
    }

    /// Follows what can be read.
    pub(super) fn subscribe(&self) -> watch::Receiver<Option<LogPoint>> {
        self.applied.subscribe()
    }

    /// The newest state that can be read.
    pub(super) fn applied(&self) -> Option<LogPoint> {
        *self.applied.borrow()
    }

    /// The newest state that survives a crash, where all writes up to `durable` do.
    pub(super) fn flushed(&self, durable: Sequence) -> Applied {
        let mut current = self.current.lock();
        while current.samples.front().is_some_and(|sample| sample.sequence <= durable) {
            if let Some(sample) = current.samples.pop_front() {
                current.flushed = sample.applied;
            }
        }
        if current.newest.sequence <= durable {
            current.flushed = current.newest.applied.clone();
        }
        current.flushed.clone()
    }

    fn advance(&self, sequence: Sequence, applied: Applied) {
        let Some(id) = applied.id else { return };
        {
            let mut current = self.current.lock();
            let since = current.samples.back().map(|sample| &sample.applied).unwrap_or(&current.flushed);
            let distance = id.index().saturating_sub(since.id.map_or(0, |id| id.index()));
            let newest = std::mem::replace(&mut current.newest, Sample { sequence, applied });
            if distance >= SAMPLE_EVERY && newest.sequence > 0 {
                current.samples.push_back(newest);
            }
        }
        self.applied.send_replace(Some(point(&id)));
    }

    fn replace(&self, applied: Applied) {
        let point = applied.id.as_ref().map(point);
        *self.current.lock() = Current {
            newest: Sample { sequence: 0, applied: applied.clone() },
            samples: VecDeque::new(),
            flushed: applied,
        };
        self.applied.send_replace(point);
    }
}

/// The state machine that openraft drives.
pub(super) struct Machine {
    range_id: u64,
    replica_id: u64,
    db: Db,
    apply: Arc<dyn Apply>,
    log: Arc<GroupLog>,
    applied: Applied,
    progress: Arc<Progress>,
}

impl Machine {
    /// The state machine of the replica that owns `log`, as the engine holds it.
    pub(super) fn open(db: Db, apply: Arc<dyn Apply>, log: Arc<GroupLog>) -> Result<Self, String> {
        let (range_id, replica_id) = (log.range_id(), log.replica_id());
        let applied = match db.get(&state_key(range_id)).map_err(|error| error.to_string())? {
            None => Applied::default(),
            Some(stored) => match Applied::decode(&stored)? {
                (owner, applied) if owner == replica_id => applied,
                (owner, _) => {
                    return Err(format!("the engine holds state of replica {owner}, not of {replica_id}"));
                }
            },
        };
        let progress = Arc::new(Progress::new(applied.clone()));
        Ok(Self { range_id, replica_id, db, apply, log, applied, progress })
    }

    /// What others see of it.
    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// What it has applied.
    pub(super) fn applied(&self) -> Option<LogId> {
        self.applied.id
    }

    fn apply_batch(
        &mut self,
        entries: Vec<Entry>,
        responders: Vec<Option<ApplyResponder<Types>>>,
    ) -> io::Result<()> {
        let entries: Vec<ApplyEntry> = entries.into_iter().map(|entry| self.observe(entry)).collect();
        let Some(last) = self.applied.id else { return Ok(()) };
        let mut batch = WriteBatch::new();
        let replies = self.apply.apply(self.range_id, &entries, &mut batch)?;
        if replies.len() != entries.len() {
            return Err(io::Error::other(format!("{} replies to {} entries", replies.len(), entries.len())));
        }
        batch.put(&state_key(self.range_id), &self.applied.encode(self.replica_id));
        let sequence = self.db.write(batch, WriteOptions::UNLOGGED).map_err(io::Error::other)?;
        self.apply.applied(self.range_id, &entries);
        self.progress.advance(sequence, self.applied.clone());
        self.log.applied(last.index());
        for (responder, reply) in responders.into_iter().zip(replies) {
            if let Some(responder) = responder {
                responder.send(reply);
            }
        }
        Ok(())
    }

    /// Notes the entry as applied and turns it into what the range layer takes.
    fn observe(&mut self, entry: Entry) -> ApplyEntry {
        let LogPoint { term, index } = point(&entry.log_id);
        self.applied.id = Some(entry.log_id);
        let (command, changed) = match entry.payload {
            EntryPayload::Blank => (None, None),
            EntryPayload::Normal(command) => (Some(command.0), None),
            EntryPayload::Membership(changed) => {
                let seen = membership(&changed);
                self.applied.membership = Arc::new(StoredMembership::new(Some(entry.log_id), changed));
                (None, Some(seen))
            }
        };
        ApplyEntry { index, term, command, membership: changed }
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
                self.apply_batch(std::mem::take(&mut batch), std::mem::take(&mut responders))?;
            }
        }
        if batch.is_empty() { Ok(()) } else { self.apply_batch(batch, responders) }
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<FlushedState> {
        let flushed = self.progress.flushed(self.db.sequence_durable());
        (force || flushed.id.is_some()).then_some(FlushedState(flushed))
    }

    async fn get_snapshot_builder(&mut self) -> FlushedState {
        FlushedState(self.progress.flushed(self.db.sequence_durable()))
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
        let mut batch = WriteBatch::new();
        batch.put(&state_key(self.range_id), &applied.encode(self.replica_id));
        let (spans, tables) = incoming.into_parts();
        let spans: Vec<(Bytes, Bytes)> = spans.into_iter().map(|span| (span.start, span.end)).collect();
        let db = self.db.clone();
        env::task::blocking(move || {
            db.flush()?;
            db.excise_and_ingest(&spans, tables, batch)
        })
        .await
        .map_err(io::Error::other)?
        .map_err(io::Error::other)?;
        self.applied = applied.clone();
        self.apply.snapshot_installed(self.range_id);
        self.progress.replace(applied);
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<openraft::alias::SmSnapshotOf<Types, Self>>, io::Error> {
        if self.applied.id.is_none() {
            return Ok(None);
        }
        let snapshot = self.db.snapshot().map_err(io::Error::other)?;
        let spans = self.apply.snapshot_spans(self.range_id);
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
