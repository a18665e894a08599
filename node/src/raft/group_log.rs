//! One group's part of the shared log: openraft's log storage and log reader.
//!
//! In memory: for every entry its term, size and place, and for the newest the entry itself; the others are read from
//! the disk, on threads that may block. An append is readable when it returns; its callback comes when the writer has
//! synced it. Only a vote waits.
//!
//! # Invariants
//!
//! - The group's records enter the shared log in the order of the changes made here: both happen under one lock.
//! - An entry is in memory until it is durable. What is durable leaves it once it is applied, or before, where all groups
//!   of the store together hold too much: a replica that applies slowly costs no memory.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::{Stream, stream};
use lsm::log::Position;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{EntryPayload, OptionalSend, RaftLogReader};
use parking_lot::Mutex;
use proto::v1::raft_record::Record;
use tokio::sync::oneshot;

use super::apply::LogPoint;
use super::followed::Followed;
use super::record::{EncodedEntry, Placed, Replayed, decode, encode};
use super::shared_log::SharedLog;
use super::types::{Entry, LogId, Types, Vote, log_id};
use super::wire::{entry_from_wire, log_id_to_wire, vote_to_wire};

/// Applied entries that stay in memory for followers a little behind, in bytes per group.
const CACHE_BYTES: u64 = 1 << 20;

/// The most that all groups of a store keep in memory but for what is not durable yet, in bytes.
const CACHES_BYTES_MAX: u64 = 64 << 20;

/// The most that one read returns, in bytes, and one entry: small beside what a link has on its way, so that a stream
/// goes on while it waits for answers.
const READ_BYTES_MAX: u64 = 256 << 10;

struct Slot {
    term: u64,
    bytes: u32,
    position: Position,
    entry: Option<Entry>,
}

struct State {
    vote: Option<Vote>,
    vote_at: Option<Position>,
    purged: Option<LogId>,
    purged_at: Option<Position>,
    /// The index of the first slot; of the next entry when there is none.
    first: u64,
    slots: VecDeque<Slot>,
    /// The index of the next entry to apply.
    unapplied: u64,
    /// No slot before this index has its entry in memory.
    cached_from: u64,
    cached_bytes: u64,
    /// The same of all groups of the store.
    caches_bytes: Arc<AtomicU64>,
    log_bytes: u64,
}

impl State {
    fn new(caches_bytes: Arc<AtomicU64>) -> Self {
        Self {
            vote: None,
            vote_at: None,
            purged: None,
            purged_at: None,
            first: 0,
            slots: VecDeque::new(),
            unapplied: 0,
            cached_from: 0,
            cached_bytes: 0,
            caches_bytes,
            log_bytes: 0,
        }
    }

    fn push(&mut self, slot: Slot) {
        self.log_bytes += u64::from(slot.bytes);
        if slot.entry.is_some() {
            self.cached_bytes += u64::from(slot.bytes);
            self.caches_bytes.fetch_add(u64::from(slot.bytes), Ordering::Relaxed);
        }
        self.slots.push_back(slot);
    }

    fn uncache(&mut self, bytes: u64) {
        self.cached_bytes = self.cached_bytes.saturating_sub(bytes);
        self.caches_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Lets entries go from memory, oldest first; those that are not applied only if they are durable.
    fn evict(&mut self, is_durable: impl Fn(Position) -> bool) {
        loop {
            let crowded = self.caches_bytes.load(Ordering::Relaxed) > CACHES_BYTES_MAX;
            let Some(slot) = self.slot(self.cached_from) else { return };
            let may_go = if self.cached_from < self.unapplied {
                crowded || self.cached_bytes > CACHE_BYTES
            } else {
                crowded && is_durable(slot.position)
            };
            if !may_go {
                return;
            }
            let (index, bytes) = (self.cached_from, u64::from(slot.bytes));
            if self.slot_mut(index).is_some_and(|slot| slot.entry.take().is_some()) {
                self.uncache(bytes);
            }
            self.cached_from += 1;
        }
    }

    fn next(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    fn slot(&self, index: u64) -> Option<&Slot> {
        self.slots.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    fn slot_mut(&mut self, index: u64) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    fn forget(&mut self, slot: &Slot) {
        self.log_bytes = self.log_bytes.saturating_sub(u64::from(slot.bytes));
        if slot.entry.is_some() {
            self.uncache(u64::from(slot.bytes));
        }
    }

    fn truncate_from(&mut self, index: u64) {
        while self.next() > index {
            match self.slots.pop_back() {
                Some(slot) => self.forget(&slot),
                None => break,
            }
        }
        self.cached_from = self.cached_from.min(self.next());
    }

    fn purge(&mut self, upto: LogId) {
        while self.first <= upto.index() {
            match self.slots.pop_front() {
                Some(slot) => {
                    self.forget(&slot);
                    self.first += 1;
                }
                None => break,
            }
        }
        self.first = self.first.max(upto.index() + 1);
        self.cached_from = self.cached_from.max(self.first);
        self.purged = Some(upto);
    }

    fn last(&self) -> Option<LogId> {
        match self.slots.back() {
            Some(slot) => Some(log_id(LogPoint { term: slot.term, index: self.next() - 1 })),
            None => self.purged,
        }
    }
}

/// One group's part of the shared log.
pub(super) struct GroupLog {
    range_id: u64,
    replica_id: u64,
    shared: Arc<SharedLog>,
    state: Mutex<State>,
}

/// Where a read finds an entry.
enum Source {
    Memory(Entry),
    Disk { index: u64, term: u64, position: Position },
}

impl GroupLog {
    /// An empty log.
    pub(super) fn new(range_id: u64, replica_id: u64, shared: Arc<SharedLog>) -> Self {
        let state = Mutex::new(State::new(shared.caches_bytes()));
        Self { range_id, replica_id, shared, state }
    }

    /// The log that replay found.
    pub(super) fn replayed(range_id: u64, replayed: Replayed, shared: Arc<SharedLog>) -> Self {
        let log = Self::new(range_id, replayed.replica_id, shared);
        {
            let mut state = log.state.lock();
            (state.vote, state.vote_at) = replayed.vote.unzip();
            (state.purged, state.purged_at) = replayed.purged.unzip();
            state.first = match (replayed.entries.keys().next(), state.purged) {
                (Some(first), _) => *first,
                (None, Some(purged)) => purged.index() + 1,
                (None, None) => 0,
            };
            for placed in replayed.entries.into_values() {
                let Placed { term, bytes, position } = placed;
                state.push(Slot { term, bytes, position, entry: None });
            }
            state.cached_from = state.next();
        }
        log
    }

    /// The range.
    pub(super) fn range_id(&self) -> u64 {
        self.range_id
    }

    /// The store's proposals that traces follow.
    pub(super) fn followed(&self) -> &Arc<Followed> {
        self.shared.followed()
    }

    /// This replica.
    pub(super) fn replica_id(&self) -> u64 {
        self.replica_id
    }

    /// How many bytes of entries the group has in the log.
    pub(super) fn log_bytes(&self) -> u64 {
        self.state.lock().log_bytes
    }

    /// The term of the entry at `index`, if the log holds it.
    pub(super) fn term_at(&self, index: u64) -> Option<u64> {
        let state = self.state.lock();
        match state.slot(index) {
            Some(slot) => Some(slot.term),
            None => state
                .purged
                .filter(|purged| purged.index() == index)
                .map(|purged| **purged.committed_leader_id()),
        }
    }

    /// The last purged log id and the last log id.
    pub(super) fn bounds(&self) -> (Option<LogId>, Option<LogId>) {
        let state = self.state.lock();
        (state.purged, state.last())
    }

    /// The newest vote that was given here.
    pub(super) fn vote(&self) -> Option<Vote> {
        self.state.lock().vote
    }

    /// Whether its last entry, and so all before it, and its vote are known to be durable.
    pub(super) fn is_durable(&self) -> bool {
        let state = self.state.lock();
        let last = state.slots.back().map(|slot| slot.position);
        last.into_iter().chain(state.vote_at).all(|position| self.shared.is_durable(position))
    }

    /// Forgets the whole log: the state begins after `applied`, which did not come out of it.
    pub(super) fn reset(&self, applied: LogId) -> io::Result<()> {
        let mut state = self.state.lock();
        let from = state.first;
        state.truncate_from(from);
        state.purge(applied);
        self.append_quietly(Record::TruncateFrom(from))?;
        state.purged_at = Some(self.append_quietly(Record::Purged(log_id_to_wire(&applied)))?);
        Ok(())
    }

    /// The entries up to `index` are applied: their memory may go.
    pub(super) fn applied(&self, index: u64) {
        let mut state = self.state.lock();
        state.unapplied = index + 1;
        state.evict(|position| self.shared.is_durable(position));
    }

    /// How many bytes of entries are in memory.
    #[cfg(test)]
    pub(super) fn cached_bytes(&self) -> u64 {
        self.state.lock().cached_bytes
    }

    /// Purges by itself up to `index`, which is flushed: for a group that has stopped, whose entries nobody reads again.
    pub(super) fn purge_flushed(&self, index: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        let Some(slot) = state.slot(index) else { return Ok(()) };
        let upto = log_id(LogPoint { term: slot.term, index });
        state.purge(upto);
        state.purged_at = Some(self.append_quietly(Record::Purged(log_id_to_wire(&upto)))?);
        Ok(())
    }

    /// How many bytes of entries the group has only before `cutoff`.
    pub(super) fn bytes_before(&self, cutoff: Position) -> u64 {
        let state = self.state.lock();
        state.slots.iter().filter(|slot| slot.position < cutoff).map(|slot| u64::from(slot.bytes)).sum()
    }

    /// Copies to the end of the log what the group needs and has only before `cutoff`. Blocks.
    pub(super) fn rewrite_before(&self, cutoff: Position) -> io::Result<()> {
        let old: Vec<(u64, u64, Position)> = {
            let mut state = self.state.lock();
            if let Some(vote) = state.vote
                && state.vote_at.is_some_and(|at| at < cutoff)
            {
                state.vote_at = Some(self.append_rewritten(Record::Vote(vote_to_wire(&vote)))?);
            }
            if let Some(purged) = state.purged
                && state.purged_at.is_some_and(|at| at < cutoff)
            {
                state.purged_at = Some(self.append_rewritten(Record::Purged(log_id_to_wire(&purged)))?);
            }
            (state.first..)
                .zip(&state.slots)
                .filter(|(_, slot)| slot.position < cutoff)
                .map(|(index, slot)| (index, slot.term, slot.position))
                .collect()
        };
        for (index, term, position) in old {
            let record = decode(&self.shared.read(position)?).map_err(io::Error::other)?;
            let Some(record @ Record::Entry(_)) = record.record else {
                return Err(io::Error::other(format!("no entry at {position:?} of the raft log")));
            };
            let mut state = self.state.lock();
            if let Some(slot) = state.slot_mut(index)
                && slot.term == term
                && slot.position == position
            {
                slot.position = self.append_rewritten(record)?;
            }
        }
        Ok(())
    }

    fn encode(&self, record: Record) -> Vec<u8> {
        encode(self.range_id, self.replica_id, false, record)
    }

    fn append_quietly(&self, record: Record) -> io::Result<Position> {
        self.shared.append_quietly(&self.encode(record))
    }

    fn append_rewritten(&self, record: Record) -> io::Result<Position> {
        self.shared.append_quietly(&encode(self.range_id, self.replica_id, true, record))
    }

    /// The entries of `[start, end)` that there are, at least one of them, up to about `bytes_max`. What is not in memory
    /// is read on a thread that may block.
    async fn read(self: &Arc<Self>, start: u64, end: u64, bytes_max: u64) -> io::Result<Vec<Entry>> {
        let sources = self.sources(start, end, bytes_max);
        if sources.iter().all(|source| matches!(source, Source::Memory(_))) {
            return sources.into_iter().map(|source| self.entry(source)).collect();
        }
        let log = Arc::clone(self);
        let reading = move || sources.into_iter().map(|source| log.entry(source)).collect();
        env::task::blocking(reading).await.map_err(io::Error::other)?
    }

    /// Where the entries of `[start, end)` are found, up to about `bytes_max`.
    fn sources(&self, start: u64, end: u64, bytes_max: u64) -> Vec<Source> {
        let state = self.state.lock();
        let mut bytes = 0;
        (start.max(state.first)..end.min(state.next()))
            .map_while(|index| {
                let slot = state.slot(index)?;
                if bytes > bytes_max {
                    return None;
                }
                bytes += u64::from(slot.bytes);
                Some(match &slot.entry {
                    Some(entry) => Source::Memory(entry.clone()),
                    None => Source::Disk { index, term: slot.term, position: slot.position },
                })
            })
            .collect()
    }

    fn entry(&self, source: Source) -> io::Result<Entry> {
        match source {
            Source::Memory(entry) => Ok(entry),
            Source::Disk { index, term, position } => self.read_disk(index, term, position),
        }
    }

    /// The entry at `position`, or at its new place if it was moved in the meantime. Blocks.
    fn read_disk(&self, index: u64, term: u64, mut position: Position) -> io::Result<Entry> {
        loop {
            let error = match self.shared.read(position).and_then(|bytes| entry_of(&bytes)) {
                Ok(entry) if entry.log_id == log_id(LogPoint { term, index }) => return Ok(entry),
                Ok(entry) => io::Error::other(format!("entry {} lies where {index} should", entry.log_id)),
                Err(error) => error,
            };
            let state = self.state.lock();
            match state.slot(index).filter(|slot| slot.term == term).map(|slot| (slot.position, &slot.entry))
            {
                Some((_, Some(entry))) => return Ok(entry.clone()),
                Some((moved, None)) if moved != position => position = moved,
                _ => return Err(error),
            }
        }
    }
}

impl Drop for GroupLog {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        state.uncache(state.cached_bytes);
    }
}

/// The first index of a range, and the one after its last.
fn bounds_of(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last + 1,
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

fn entry_of(bytes: &[u8]) -> io::Result<Entry> {
    match decode(bytes).map_err(io::Error::other)?.record {
        Some(Record::Entry(entry)) => entry_from_wire(entry).map_err(io::Error::other),
        _ => Err(io::Error::other("a record that is not an entry lies where one should")),
    }
}

/// What was proposed with an entry.
fn command(entry: &Entry) -> Option<&Bytes> {
    match &entry.payload {
        EntryPayload::Normal(command) => Some(&command.0),
        EntryPayload::Blank | EntryPayload::Membership(_) => None,
    }
}

/// What openraft holds of a [`GroupLog`].
#[derive(Clone)]
pub(super) struct LogStore(pub(super) Arc<GroupLog>);

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let (start, end) = bounds_of(&range);
        self.0.read(start, end, u64::MAX).await
    }

    /// What apply reads: a part at a time, however much there is.
    async fn entries_stream<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = io::Result<Entry>> + OptionalSend {
        let (start, end) = bounds_of(&range);
        let first = (Arc::clone(&self.0), start, VecDeque::new());
        stream::try_unfold(
            first,
            move |(log, next, mut ready): (Arc<GroupLog>, u64, VecDeque<Entry>)| async move {
                if next == end {
                    return Ok(None);
                }
                if ready.is_empty() {
                    ready = log.read(next, end, READ_BYTES_MAX).await?.into();
                }
                match ready.pop_front() {
                    Some(entry) if entry.log_id.index() == next => Ok(Some((entry, (log, next + 1, ready)))),
                    Some(entry) => {
                        let found = entry.log_id;
                        Err(io::Error::other(format!("entry {next} is not in the log, but {found}")))
                    }
                    None => Ok(None),
                }
            },
        )
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.0.state.lock().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        self.0.read(start, end, READ_BYTES_MAX).await
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let (last_purged_log_id, last_log_id) = self.0.bounds();
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.0.state.lock();
            let record = self.0.encode(Record::Vote(vote_to_wire(vote)));
            let positions = self.0.shared.append(&[record], move |result| drop(sender.send(result)))?;
            state.vote = Some(*vote);
            state.vote_at = positions.first().copied();
        }
        receiver.await.map_err(|_| io::Error::other("the log is closed"))?
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let encode = |entry| EncodedEntry::new(self.0.range_id, self.0.replica_id, entry);
        let records: Vec<EncodedEntry> = entries.iter().map(encode).collect();
        let mut state = self.0.state.lock();
        if let Some(first) = entries.first() {
            let index = first.log_id.index();
            if state.slots.is_empty() && state.purged.is_none() {
                state.first = index;
                state.cached_from = index;
            }
            if index != state.next() {
                return Err(io::Error::other(format!(
                    "entry {index} appended where {} is next",
                    state.next()
                )));
            }
        }
        let followers = self.0.followed().followers(entries.iter().filter_map(command));
        let positions = self.0.shared.append(&records, move |result| {
            followers.done("log");
            callback.io_completed(result);
        })?;
        for ((entry, record), position) in entries.into_iter().zip(&records).zip(positions) {
            let bytes = record.len() as u32;
            let term = **entry.log_id.committed_leader_id();
            state.push(Slot { term, bytes, position, entry: Some(entry) });
        }
        state.evict(|position| self.0.shared.is_durable(position));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let from = last.map_or(0, |last| last.index() + 1);
        let mut state = self.0.state.lock();
        state.truncate_from(from);
        self.0.append_quietly(Record::TruncateFrom(from))?;
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        let mut state = self.0.state.lock();
        state.purge(upto);
        state.purged_at = Some(self.0.append_quietly(Record::Purged(log_id_to_wire(&upto)))?);
        Ok(())
    }
}
