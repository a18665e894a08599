//! What a state machine has applied, and how much of that would survive a crash.

use std::collections::VecDeque;
use std::sync::Arc;

use env::watch;
use lsm::{Db, Sequence, WriteBatch};
use parking_lot::Mutex;
use prost::Message;
use proto::v1;

use super::apply::{LogPoint, replica_key, state_key};
use super::role::RaftError;
use super::types::{LogId, RaftMembership, SnapshotMeta, StoredMembership, log_id, point};
use super::wire::{
    FORMAT, log_id_from_wire, log_id_to_wire, membership_to_wire, stored_membership_from_wire,
};

/// What was applied is remembered with its sequence once in so many entries, to know later what is flushed.
const SAMPLE_EVERY: u64 = 64;

/// What a range's state stands for: the log up to here.
#[derive(Debug, Clone, Default)]
pub(super) struct Applied {
    pub(super) id: Option<LogId>,
    pub(super) membership: Arc<StoredMembership>,
}

/// Where the log of a range begins that was not received from another replica. It is taken for purged up to here, so that
/// whoever is added later, and has nothing of what the first replicas began with, is sent a snapshot.
pub(super) const SEED: LogPoint = LogPoint { term: 0, index: FIRST_INDEX };

/// The index of the entry that the first replicas of a range count as come from.
pub(crate) const FIRST_INDEX: u64 = 10;

impl Applied {
    /// What the first replicas of a range begin with.
    pub(super) fn seed(membership: RaftMembership) -> Self {
        let id = Some(log_id(SEED));
        Self { id, membership: Arc::new(StoredMembership::new(id, membership)) }
    }

    /// Whether nothing has come after [`Applied::seed`].
    pub(super) fn is_seed(&self) -> bool {
        self.id == Some(log_id(SEED))
    }

    /// Adds to a batch what the engine holds of it: `before` is what it holds already. The membership is written with the
    /// first entry that was applied, and with each that changes it.
    pub(super) fn put(&self, range_id: u64, replica_id: u64, before: &Applied, batch: &mut WriteBatch) {
        let applied = v1::RaftApplied { format: FORMAT, applied: self.id.as_ref().map(log_id_to_wire) };
        batch.put(&state_key(range_id), &applied.encode_to_vec());
        if before.id.is_some() && before.membership.log_id() == self.membership.log_id() {
            return;
        }
        let replica = v1::RaftReplica {
            format: FORMAT,
            replica_id,
            membership_log_id: self.membership.log_id().as_ref().map(log_id_to_wire),
            membership: Some(membership_to_wire(self.membership.membership())),
        };
        batch.put(&replica_key(range_id), &replica.encode_to_vec());
    }

    /// Adds to a batch that the engine shall hold nothing of it.
    pub(super) fn delete(range_id: u64, batch: &mut WriteBatch) {
        batch.delete(&state_key(range_id));
        batch.delete(&replica_key(range_id));
    }

    /// What the engine holds of a range's state, and of which replica it is.
    pub(super) fn load(range_id: u64, db: &Db) -> Result<Option<(u64, Self)>, RaftError> {
        let Some(applied) = db.get(&state_key(range_id))? else { return Ok(None) };
        let Some(replica) = db.get(&replica_key(range_id))? else {
            return Err(RaftError::Corrupt(format!(
                "the engine does not say whose state it holds of range {range_id}"
            )));
        };
        let unreadable =
            |what: String| RaftError::Corrupt(format!("the applied state of range {range_id}: {what}"));
        Self::decode(&applied, &replica).map(Some).map_err(unreadable)
    }

    fn decode(applied: &[u8], replica: &[u8]) -> Result<(u64, Self), String> {
        let applied = v1::RaftApplied::decode(applied).map_err(|error| error.to_string())?;
        let replica = v1::RaftReplica::decode(replica).map_err(|error| error.to_string())?;
        let format = applied.format.max(replica.format);
        if format > FORMAT {
            return Err(format!("it has format {format}, the newest known here is {FORMAT}"));
        }
        let membership =
            stored_membership_from_wire(replica.membership_log_id.as_ref(), replica.membership.as_ref())
                .map_err(|error| error.to_string())?;
        let id = applied.applied.as_ref().map(log_id_from_wire);
        Ok((replica.replica_id, Self { id, membership: Arc::new(membership) }))
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
    pub(super) fn new(applied: Applied) -> Self {
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

    /// The newest state, with its membership.
    pub(super) fn newest(&self) -> Applied {
        self.current.lock().newest.applied.clone()
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

    pub(super) fn advance(&self, sequence: Sequence, applied: Applied) {
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

    pub(super) fn replace(&self, applied: Applied) {
        let point = applied.id.as_ref().map(point);
        *self.current.lock() = Current {
            newest: Sample { sequence: 0, applied: applied.clone() },
            samples: VecDeque::new(),
            flushed: applied,
        };
        self.applied.send_replace(point);
    }
}
