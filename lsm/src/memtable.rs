//! The memtable: what was written and is not in a table yet, in one skip list per keyspace.
//!
//! Entries are ordered by key ascending, timestamp descending, sequence descending, so that the first entry at or after
//! (key, timestamp, sequence) is what a reader at that timestamp and sequence sees. Writers and readers share it
//! without locks; only range deletes, which are rare, replace a shared list.

use std::sync::Arc;
use std::sync::atomic::Ordering as Atomic;

use bytes::Bytes;

use crate::entry::Versioned;
use crate::log::Position;
use crate::options::Sequence;
use crate::skiplist::{Entry, NONE, Node, Place, SkipList};
use crate::spans::{SequencedSpans, Span};
use crate::sync::{AtomicU64, AtomicUsize, RwLock};
use crate::table::cursor::Window;

/// Memory of an entry beside its key and value: its node of the skip list, and what frames it in its batch.
const ENTRY_BYTES: usize = 106;
/// Entries of one key that a walk passes one by one before it seeks.
const STEPS_MAX: usize = 8;
/// Keys without anything in its window that a walk passes before it looks for what came lately; few in tests.
const KEYS_MAX: usize = if cfg!(test) { 4 } else { 128 };

/// A memtable.
///
/// # Invariants
/// - All of a batch is in one memtable.
/// - It is sealed under the write lock, with `last_sequence` the newest it was given; who flushes it waits until that
///   one is published.
#[derive(Debug)]
pub(crate) struct Memtable {
    parts: Vec<Part>,
    bytes: AtomicUsize,
    /// The newest sequence, once sealed.
    last_sequence: AtomicU64,
    /// The first write that is not in the write-ahead log; `u64::MAX` if all are.
    unlogged_from: AtomicU64,
    /// Records of older memtables stand before this position of the write-ahead log.
    pub(crate) log_start: Position,
}

#[derive(Debug)]
struct Part {
    entries: SkipList,
    deletes: RwLock<Arc<SequencedSpans>>,
    any_deletes: AtomicUsize,
    timestamp_min: AtomicU64,
    timestamp_max: AtomicU64,
}

/// What a memtable knows of a key.
pub(crate) enum Known {
    /// This version; older sources matter only if they may hold a newer timestamp.
    Version(Versioned),
    /// Whatever older sources hold of it is deleted, and here is nothing newer.
    Deleted,
    /// The version, and whatever older sources hold is deleted.
    Last(Versioned),
    /// Nothing.
    Nothing,
}

impl Memtable {
    pub(crate) fn new(keyspaces: usize, log_start: Position) -> Self {
        let part = || Part {
            entries: SkipList::new(),
            deletes: RwLock::default(),
            any_deletes: AtomicUsize::new(0),
            timestamp_min: AtomicU64::new(u64::MAX),
            timestamp_max: AtomicU64::new(0),
        };
        Self {
            parts: (0..keyspaces).map(|_| part()).collect(),
            bytes: AtomicUsize::new(0),
            last_sequence: AtomicU64::new(0),
            unlogged_from: AtomicU64::new(u64::MAX),
            log_start,
        }
    }

    pub(crate) fn put(&self, keyspace: usize, entry: Entry) {
        let Some(part) = self.parts.get(keyspace) else { return };
        let bytes = entry.key().len() + entry.content_bytes() + ENTRY_BYTES;
        part.timestamp_min.fetch_min(entry.timestamp, Atomic::Relaxed);
        part.timestamp_max.fetch_max(entry.timestamp, Atomic::Release);
        part.entries.insert(entry);
        self.bytes.fetch_add(bytes, Atomic::Relaxed);
    }

    pub(crate) fn delete_range(&self, keyspace: usize, span: Span, sequence: Sequence) {
        let Some(part) = self.parts.get(keyspace) else { return };
        if span.start >= span.end {
            return;
        }
        self.bytes.fetch_add(span.start.len() + span.end.len() + ENTRY_BYTES, Atomic::Relaxed);
        let mut deletes = part.deletes.write();
        *deletes = Arc::new(deletes.with(span, sequence));
        part.any_deletes.fetch_add(1, Atomic::Release);
    }

    /// Memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Atomic::Relaxed)
    }

    pub(crate) fn entries(&self, keyspace: usize) -> usize {
        self.parts.get(keyspace).map_or(0, |part| part.entries.len())
    }

    pub(crate) fn seal(&self, last_sequence: Sequence) {
        self.last_sequence.store(last_sequence, Atomic::Release);
    }

    pub(crate) fn last_sequence(&self) -> Sequence {
        self.last_sequence.load(Atomic::Acquire)
    }

    pub(crate) fn note_unlogged(&self, sequence: Sequence) {
        self.unlogged_from.fetch_min(sequence, Atomic::AcqRel);
    }

    pub(crate) fn unlogged_from(&self) -> Sequence {
        self.unlogged_from.load(Atomic::Acquire)
    }

    /// No entry of the keyspace has a larger timestamp.
    pub(crate) fn timestamp_max(&self, keyspace: usize) -> u64 {
        self.parts.get(keyspace).map_or(0, |part| part.timestamp_max.load(Atomic::Acquire))
    }

    /// No entry of the keyspace has a smaller timestamp; `u64::MAX` without entries.
    pub(crate) fn timestamp_min(&self, keyspace: usize) -> u64 {
        self.parts.get(keyspace).map_or(u64::MAX, |part| part.timestamp_min.load(Atomic::Acquire))
    }

    /// Whether no entry of the keyspace can lie in a window.
    pub(crate) fn is_outside(&self, keyspace: usize, window: &Window) -> bool {
        self.timestamp_min(keyspace) > window.at
            || window.since.is_some_and(|since| self.timestamp_max(keyspace) <= since)
    }

    /// The range deletes of a keyspace, if there are any.
    pub(crate) fn deletes(&self, keyspace: usize) -> Option<Arc<SequencedSpans>> {
        let part = self.parts.get(keyspace)?;
        if part.any_deletes.load(Atomic::Acquire) == 0 { None } else { Some(part.deletes.read().clone()) }
    }

    /// The newest version of a key at or below `at`, as of `sequence`.
    pub(crate) fn get(&self, keyspace: usize, key: &[u8], at: u64, sequence: Sequence) -> Known {
        let Some(part) = self.parts.get(keyspace) else { return Known::Nothing };
        let deleted = self.deletes(keyspace).map_or(0, |deletes| deletes.covering(key, sequence));
        let place = Place::new(key, at, Sequence::MAX);
        let mut node = part.entries.at_or_after(&place);
        let mut steps = 0;
        while let Some(found) = part.entries.entry(node)
            && found.key() == key
        {
            let (timestamp, written) = (found.timestamp, found.sequence);
            if written <= sequence && written > deleted {
                let version = found.version();
                return if deleted > 0 { Known::Last(version) } else { Known::Version(version) };
            }
            steps += 1;
            node = if steps % STEPS_MAX != 0 {
                part.entries.next(node)
            } else if written > sequence {
                part.entries.onward(node, &place.at(timestamp, sequence))
            } else {
                // Deleted: of this timestamp all that is older is, too.
                part.entries.onward(node, &place.at(timestamp, 0))
            };
        }
        if deleted > 0 { Known::Deleted } else { Known::Nothing }
    }
}

/// Walks the keys of one keyspace of a memtable as of a sequence.
#[derive(Debug)]
pub(crate) struct MemCursor {
    memtable: Arc<Memtable>,
    keyspace: usize,
    sequence: Sequence,
    deletes: Option<Arc<SequencedSpans>>,
    window: Window,
    reverse: bool,
    /// Ascending: keys from here on are not wanted. Descending: those before it.
    bound: Option<Bytes>,
    /// The newest entry in the window of the key it stands on.
    at: Node,
}

impl MemCursor {
    pub(crate) fn new(
        memtable: Arc<Memtable>,
        keyspace: usize,
        sequence: Sequence,
        window: Window,
        reverse: bool,
    ) -> Self {
        let deletes = memtable.deletes(keyspace);
        Self { memtable, keyspace, sequence, deletes, window, reverse, bound: None, at: NONE }
    }

    /// Passes over nothing beyond a bound: ascending from it on, descending before it. There it may stand on any key, or
    /// on none.
    pub(crate) fn until(self, bound: Bytes) -> Self {
        Self { bound: Some(bound), ..self }
    }

    #[inline]
    fn entries(&self) -> Option<&SkipList> {
        self.memtable.parts.get(self.keyspace).map(|part| &part.entries)
    }

    /// The entry it stands on: the newest of its key in the window.
    #[inline]
    pub(crate) fn entry(&self) -> Option<&Entry> {
        self.entries()?.entry(self.at)
    }

    /// Adds the versions of the key it stands on that lie in the window, newest first.
    pub(crate) fn collect(&self, versions: &mut Vec<Versioned>) {
        let (Some(entries), Some(newest)) = (self.entries(), self.entry()) else { return };
        let (mut node, mut previous) = (self.at, None);
        while let Some(entry) = entries.entry(node)
            && entry.key() == newest.key()
            && self.window.since.is_none_or(|since| entry.timestamp > since)
        {
            if previous != Some(entry.timestamp) && self.is_visible(entry) {
                previous = Some(entry.timestamp);
                versions.push(entry.version());
                if !self.window.all {
                    return;
                }
            }
            node = entries.next(node);
        }
    }

    /// Steps to the next key in its direction.
    pub(crate) fn advance(&mut self) {
        let (Some(entries), Some(entry)) = (self.entries(), self.entry()) else { return };
        self.at = if self.reverse {
            self.settle_down(entries, entries.last_before(&Place::before(entry.key())))
        } else {
            self.settle_up(entries, Self::behind(entries, self.at, entry))
        };
    }

    /// Ascending: the first key at or after `key`. Descending: the last key before `key`.
    pub(crate) fn seek(&mut self, key: &[u8]) {
        let Some(entries) = self.entries() else { return };
        self.at = if self.reverse {
            self.settle_down(entries, entries.last_before(&Place::before(key)))
        } else {
            self.settle_up(entries, entries.at_or_after(&Place::before(key)))
        };
    }

    #[inline]
    fn is_visible(&self, entry: &Entry) -> bool {
        entry.sequence <= self.sequence
            && self.window.contains(entry.timestamp)
            && self
                .deletes
                .as_ref()
                .is_none_or(|deletes| deletes.covering(entry.key(), self.sequence) < entry.sequence)
    }

    /// The first node behind all entries of the key of this one.
    fn behind(entries: &SkipList, node: Node, entry: &Entry) -> Node {
        let next = entries.next(node);
        if entries.entry(next).is_none_or(|other| other.key() != entry.key()) {
            return next;
        }
        entries.onward(next, &Place::after(entry.key()))
    }

    fn is_beyond(&self, key: &[u8]) -> bool {
        let bound = self.bound.as_ref();
        bound.is_some_and(|bound| if self.reverse { *key < **bound } else { *key >= **bound })
    }

    /// The newest visible entry of the first key from `node` on that has one.
    fn settle_up(&self, entries: &SkipList, mut node: Node) -> Node {
        let mut passed = 0;
        while let Some(first) = entries.entry(node) {
            let newest = self.newest_of(entries, node, first);
            if newest != NONE {
                return newest;
            }
            node = Self::behind(entries, node, first);
            node = self.pass(entries, node, &mut passed);
        }
        NONE
    }

    /// The newest visible entry of the last key up to `node` that has one.
    fn settle_down(&self, entries: &SkipList, mut node: Node) -> Node {
        let mut passed = 0;
        while let Some(last) = entries.entry(node) {
            let (before, first) = entries.around(&Place::before(last.key()));
            let newest = self.newest_of(entries, first, last);
            if newest != NONE {
                return newest;
            }
            node = self.pass(entries, before, &mut passed);
        }
        NONE
    }

    /// Where a walk goes on that has passed one more key without anything in the window, and would go on at `node`: at the
    /// end where that lies beyond its bound; after many, at the next key of which something came lately.
    fn pass(&self, entries: &SkipList, node: Node, passed: &mut usize) -> Node {
        let Some(entry) = entries.entry(node) else { return NONE };
        if self.is_beyond(entry.key()) {
            return NONE;
        }
        *passed += 1;
        if !passed.is_multiple_of(KEYS_MAX) {
            return node;
        }
        let Some(recent) = self.window.since.and_then(|since| entries.recent(since)) else { return node };
        let is_ahead = |key: &[u8]| if self.reverse { key <= entry.key() } else { key >= entry.key() };
        let wanted = recent.filter(|recent| {
            is_ahead(recent.key()) && !self.is_beyond(recent.key()) && self.is_visible(recent)
        });
        let next = match self.reverse {
            true => wanted.map(Entry::key).max(),
            false => wanted.map(Entry::key).min(),
        };
        next.map_or(NONE, |key| entries.at_or_after(&Place::before(key)))
    }

    /// From `node` on, the newest visible entry of the key of `entry`.
    fn newest_of(&self, entries: &SkipList, mut node: Node, entry: &Entry) -> Node {
        let mut steps = 0;
        while let Some(found) = entries.entry(node)
            && found.key() == entry.key()
        {
            if self.is_visible(found) {
                return node;
            }
            steps += 1;
            if self.window.since.is_some_and(|since| found.timestamp <= since) {
                return NONE;
            }
            node = if steps == STEPS_MAX && found.timestamp > self.window.at {
                entries.onward(node, &Place::new(entry.key(), self.window.at, Sequence::MAX))
            } else {
                entries.next(node)
            };
        }
        NONE
    }
}
