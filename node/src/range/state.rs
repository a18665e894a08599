//! What a replica knows of its range: the replicated state, and the term that it serves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use prost::Message;
use proto::v1::{RangeDescriptor, RangeState, ReplicaDescriptor, Span};

use super::load::Load;
use super::serving::Serving;
use crate::raft::Membership;

/// The format of commands and rows that this program writes, unless they say what programs of that format do not know.
pub(crate) const FORMAT: u32 = 2;

/// The format of the steps of merges, and of the state of a range that stands in one: a program that takes a frozen range for one
/// that serves must not read it. None is begun before all nodes can.
pub(crate) const FORMAT_MERGES: u32 = 3;

/// The format of what says that some history is kept for longer: a program that did not heed it would forget that. Nobody says
/// so before all nodes can read it.
pub(crate) const FORMAT_KEPT: u32 = 4;

/// The format of what says that some history was erased: a program that did not heed it would go on to show that. Nobody says so before
/// all nodes can read it.
pub(crate) const FORMAT_ERASED: u32 = 5;

/// The format of what says that some of the history that is kept for longer lies below branches: a program that did not heed it would
/// have it forgotten by somebody who knows of none. Nobody says so before all nodes can read it.
pub(crate) const FORMAT_BRANCHES: u32 = 6;

/// The newest format of commands and rows that this program reads.
pub(crate) const FORMAT_NEWEST: u32 = FORMAT_BRANCHES;

/// The oldest format of commands that it reads.
pub(crate) const FORMAT_MIN: u32 = 2;

/// The kind of the row that holds a [`RangeState`] ([`keys::range::state`]); 0 is replication's own.
const KIND_STATE: u8 = 1;

/// The kind of the row that holds the replicas that a frozen range has got since.
const KIND_LATE: u8 = 2;

/// The kind of the rows that hold the pieces of large commits, aside until the last one decides.
const KIND_STAGED: u8 = 9;

/// The key of a range's state.
pub(crate) fn state_key(range_id: u64) -> Bytes {
    keys::range::state(range_id, KIND_STATE)
}

/// The key of what a frozen range's replicas have become since: a [`RangeState`] that says nothing else.
pub(crate) fn late_key(range_id: u64) -> Bytes {
    keys::range::state(range_id, KIND_LATE)
}

/// What a frozen range's replicas have become since, as the engine has it.
pub(crate) fn load_late(range_id: u64, db: &lsm::Db) -> Result<Option<RangeState>, lsm::Error> {
    let row = db.get(&late_key(range_id))?;
    row.map(|row| read_state(range_id, &row).map_err(lsm::Error::Invalid)).transpose()
}

/// All state keys of a range but replication's own: start, end.
pub(crate) fn state_span(range_id: u64) -> (Bytes, Bytes) {
    (state_key(range_id), keys::range::states(range_id).end)
}

/// The key of one piece of a large commit: the commit's number within its term, and the piece's place.
pub(crate) fn staged_key(range_id: u64, term: u64, number: u64, piece: u32) -> Bytes {
    let name = [&term.to_be_bytes()[..], &number.to_be_bytes(), &piece.to_be_bytes()].concat();
    keys::range::state_of(range_id, KIND_STAGED, &name)
}

/// The keys of all pieces of a large commit: start, end.
pub(crate) fn staged_span(range_id: u64, term: u64, number: u64) -> (Bytes, Bytes) {
    let start = staged_key(range_id, term, number, 0);
    let end = keys::span::successor(&staged_key(range_id, term, number, u32::MAX));
    (start, end)
}

/// What the batch that apply is making comes to.
#[derive(Debug, Default)]
struct Coming {
    state: Option<RangeState>,
    /// Whether who serves the range as it was ends.
    ends: bool,
    swallowed: Vec<u64>,
}

/// One replica of a range: what all parts of the store know it by.
///
/// # Invariants
///
/// - The state that it says is in the engine: what apply makes of it is said once that is written. So the keys that a split
///   gives away are this range's until those of the new one's state can be read.
/// - A term is served by what was made for the state as it is: who serves ends when the range freezes, or takes another one
///   over, before the state says so; and nobody begins to serve it who was made for the state before.
#[derive(Debug)]
pub(crate) struct RangeCell {
    range_id: u64,
    state: RwLock<Arc<RangeState>>,
    /// What the state is once the batch that apply is making is written.
    coming: Mutex<Coming>,
    serving: RwLock<Option<Arc<Serving>>>,
    /// The safe point or the span has moved, and the engine was not told.
    raised: AtomicBool,
    /// The index of the newest entry that was applied since the start and can be read.
    applied: AtomicU64,
    /// What this replica is asked.
    pub(crate) load: Load,
}

impl RangeCell {
    /// The replica as the engine knows it; blank if it is new.
    pub(crate) fn load(range_id: u64, db: &lsm::Db) -> Result<Self, lsm::Error> {
        let state = load_state(range_id, db)?;
        let state = RwLock::new(Arc::new(state));
        let (coming, serving, raised) = (Mutex::default(), RwLock::new(None), AtomicBool::new(false));
        let applied = AtomicU64::new(0);
        Ok(Self { range_id, state, coming, serving, raised, applied, load: Load::default() })
    }

    /// Reads the state anew.
    pub(crate) fn reload(&self, db: &lsm::Db) -> Result<(), lsm::Error> {
        *self.coming.lock() = Coming::default();
        *self.state.write() = Arc::new(load_state(self.range_id, db)?);
        Ok(())
    }

    /// The range.
    pub(crate) fn range_id(&self) -> u64 {
        self.range_id
    }

    /// What is replicated.
    pub(crate) fn state(&self) -> Arc<RangeState> {
        self.state.read().clone()
    }

    /// What the state is once the batch is written that apply has made; none: it stays as it is. `ends`: the range freezes on
    /// the way there, or takes another one over.
    pub(crate) fn prepare(&self, state: Option<RangeState>, swallowed: Vec<u64>, ends: bool) {
        *self.coming.lock() = Coming { state, ends, swallowed };
    }

    /// Another range has taken over what this one had, as the engine says by now.
    pub(crate) fn swallow(&self, by: u64) {
        self.stop_serving();
        let mut state = self.state.write();
        *state = Arc::new(swallowed(&state, by));
    }

    /// The ranges that this one takes over by that.
    pub(crate) fn swallows(&self) -> Vec<u64> {
        self.coming.lock().swallowed.clone()
    }

    /// That batch can be read.
    pub(crate) fn publish(&self) {
        let Coming { state, ends, .. } = std::mem::take(&mut *self.coming.lock());
        let Some(state) = state else { return };
        let mut serving = self.serving.write();
        let ended = serving.take_if(|_| ends);
        let mut current = self.state.write();
        let moved = state.safe_point != current.safe_point || state.kept != current.kept;
        // What was erased the engine may drop as transactions are forgotten.
        let erased = state.erased != current.erased
            || (!state.erased.is_empty() && state.forgotten != current.forgotten);
        if moved || erased || state.span != current.span {
            self.raised.store(true, Ordering::Release);
        }
        *current = Arc::new(state);
        drop(current);
        drop(serving);
        if let Some(ended) = ended {
            ended.end();
        }
    }

    /// All up to the entry at `index` can be read, and whoever waits for that is told next.
    pub(crate) fn note_applied(&self, index: u64) {
        self.applied.fetch_max(index, Ordering::AcqRel);
    }

    /// The newest entry of those; 0: none since the start. It is known here before those are told who wait for it, and so
    /// before replication says so.
    pub(crate) fn applied_index(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// Whether the safe point or the span has moved since this was asked.
    pub(crate) fn take_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire) && self.raised.swap(false, Ordering::AcqRel)
    }

    /// The term that this replica serves, if it leads.
    pub(crate) fn serving(&self) -> Option<Arc<Serving>> {
        self.serving.read().clone()
    }

    /// Starts to serve a term with what was made for this state; false if the range is another by now.
    pub(crate) fn begin(&self, made_for: &RangeState, serving: &Arc<Serving>) -> bool {
        let mut slot = self.serving.write();
        let state = self.state();
        if state.span_epoch != made_for.span_epoch || is_still(&state) {
            return false;
        }
        let before = slot.replace(serving.clone());
        drop(slot);
        if let Some(before) = before {
            before.end();
        }
        true
    }

    /// Stops serving.
    pub(crate) fn stop_serving(&self) {
        let before = self.serving.write().take();
        if let Some(before) = before {
            before.end();
        }
    }
}

/// A range's state as the engine has it; blank if there is none.
pub(crate) fn load_state(range_id: u64, db: &lsm::Db) -> Result<RangeState, lsm::Error> {
    state_of(range_id, db.get(&state_key(range_id))?)
}

/// The same as a snapshot of the engine has it.
pub(crate) fn load_state_of(range_id: u64, snapshot: &lsm::Snapshot) -> Result<RangeState, lsm::Error> {
    state_of(range_id, snapshot.get(&state_key(range_id))?)
}

fn state_of(range_id: u64, row: Option<Bytes>) -> Result<RangeState, lsm::Error> {
    match row {
        Some(row) => read_state(range_id, &row).map_err(lsm::Error::Invalid),
        None => Ok(RangeState { format: FORMAT, range_id, ..RangeState::default() }),
    }
}

/// Whether a merge keeps the range as it is: it is neither divided nor taken over, and keeps no less.
pub(crate) fn is_held(state: &RangeState) -> bool {
    state.merging.is_some() || state.frozen.is_some() || state.swallowed_by != 0
}

/// The least format that says all of a state.
pub(crate) fn format_of(state: &RangeState) -> u32 {
    if !state.erased.is_empty() {
        return FORMAT_ERASED;
    }
    match (state.kept.is_empty(), is_held(state)) {
        (false, _) => FORMAT_KEPT,
        (true, true) => FORMAT_MERGES,
        (true, false) => FORMAT,
    }
}

/// Whether the range serves nothing.
pub(crate) fn is_still(state: &RangeState) -> bool {
    state.frozen.is_some() || state.swallowed_by != 0
}

/// A range with the replicas that `late` has.
pub(crate) fn reconfigured(state: &RangeState, late: RangeState) -> RangeState {
    let RangeState { replicas, joint, config_epoch, .. } = late;
    RangeState { replicas, joint, config_epoch, ..state.clone() }
}

/// What is left of a range that another has taken over.
pub(crate) fn swallowed(state: &RangeState, by: u64) -> RangeState {
    RangeState {
        format: FORMAT_MERGES,
        range_id: state.range_id,
        span: None,
        span_epoch: state.span_epoch,
        config_epoch: state.config_epoch,
        replicas: state.replicas.clone(),
        swallowed_by: by,
        ..RangeState::default()
    }
}

/// Reads a range's state as it is stored.
pub(crate) fn read_state(range_id: u64, row: &[u8]) -> Result<RangeState, String> {
    let state = RangeState::decode(row).map_err(|error| format!("the state of range {range_id}: {error}"))?;
    if state.format > FORMAT_NEWEST {
        let found = state.format;
        return Err(format!(
            "the state of range {range_id} has format {found}, the newest known here is {FORMAT_NEWEST}"
        ));
    }
    if state.range_id != range_id {
        return Err(format!(
            "the state of range {} lies where that of range {range_id} should",
            state.range_id
        ));
    }
    Ok(state)
}

/// A range's state as a descriptor; `leader_node_id` is a hint.
pub(crate) fn descriptor(state: &RangeState, leader_node_id: u64) -> RangeDescriptor {
    RangeDescriptor {
        range_id: state.range_id,
        span: state.span.clone(),
        span_epoch: state.span_epoch,
        config_epoch: state.config_epoch,
        replicas: state.replicas.clone(),
        leader_node_id,
        joint: state.joint,
        by_hand: state.by_hand,
    }
}

/// A membership as descriptors. Addresses are left out: see [`crate::addresses`].
pub(crate) fn replicas(membership: &Membership) -> Vec<ReplicaDescriptor> {
    let (first, last) = (membership.configs.first(), membership.configs.last());
    let votes = |config: Option<&BTreeSet<u64>>, id| config.is_some_and(|config| config.contains(&id));
    let replicas = membership.replicas().map(|replica| ReplicaDescriptor {
        replica_id: replica.replica_id,
        node_id: replica.store.node_id,
        learner: !replica.voter,
        incoming: replica.voter && !votes(first, replica.replica_id),
        outgoing: replica.voter && !votes(last, replica.replica_id),
        ..ReplicaDescriptor::default()
    });
    replicas.collect()
}

/// Whether a key lies in a span; an empty end is the end of the key space.
pub(crate) fn contains(span: &Span, key: &[u8]) -> bool {
    span.start.as_ref() <= key && (span.end.is_empty() || key < span.end.as_ref())
}

/// Whether all of `start <= key < end` lies in a span, where an empty end is the end of the key space.
pub(crate) fn covers(span: &Span, start: &[u8], end: &[u8]) -> bool {
    span.start.as_ref() <= start && (span.end.is_empty() || (!end.is_empty() && end <= span.end.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_covers_what_lies_in_it_whole() {
        let span = Span { start: Bytes::from_static(b"d"), end: Bytes::from_static(b"e") };
        assert!(covers(&span, b"da", b"db") && covers(&span, b"d", b"e"));
        assert!(!covers(&span, b"da", b"") && !covers(&span, b"c", b"db") && !covers(&span, b"d", b"e\0"));
        assert!(contains(&span, b"d") && !contains(&span, b"e") && !contains(&span, b"c"));
    }
}
