//! The memtable: what was written and is not in a table yet, in one skip list per keyspace.
//!
//! Entries are ordered by key ascending, timestamp descending, sequence descending, so that the first entry at or after
//! (key, timestamp, sequence) is what a reader at that timestamp and sequence sees. Writers and readers share it
//! without locks; only range deletes, which are rare, replace a shared list.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering as Atomic;

use bytes::Bytes;
use crossbeam_skiplist::SkipMap;

use crate::entry::Versioned;
use crate::log::Position;
use crate::options::Sequence;
use crate::spans::{SequencedSpans, Span};
use crate::sync::{AtomicU64, AtomicUsize, RwLock};
use crate::table::cursor::Window;

/// Memory of an entry beside its key and value: the nodes and handles of the skip list.
const ENTRY_BYTES: usize = 160;
/// Entries of one key that a walk passes one by one before it seeks.
const STEPS_MAX: usize = 8;
/// Keys that a walk gathers at a time.
const CHUNK_FIRST: usize = 8;
const CHUNK_MAX: usize = 256;

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
    entries: SkipMap<EntryKey, Option<Bytes>>,
    deletes: RwLock<Arc<SequencedSpans>>,
    any_deletes: AtomicUsize,
    timestamp_min: AtomicU64,
    timestamp_max: AtomicU64,
}

#[derive(Clone, Debug)]
struct EntryKey {
    /// The key's first bytes as a number: most comparisons end here, in the node itself.
    head: u128,
    key: Bytes,
    timestamp: u64,
    sequence: Sequence,
}

/// The first sixteen bytes, padded with zeros.
#[inline]
fn head_of(key: &[u8]) -> u128 {
    if let Some(head) = key.first_chunk::<16>() {
        return u128::from_be_bytes(*head);
    }
    let mut head = [0; 16];
    head.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    u128::from_be_bytes(head)
}

/// A place in a skip list; what it is searched for need not own its key.
trait Place {
    fn head(&self) -> u128;
    /// (key, timestamp, sequence)
    fn rest(&self) -> (&[u8], u64, Sequence);
}

/// A place to search for.
struct Target<'a> {
    head: u128,
    key: &'a [u8],
    timestamp: u64,
    sequence: Sequence,
}

impl<'a> Target<'a> {
    fn new(key: &'a [u8], timestamp: u64, sequence: Sequence) -> Self {
        Self { head: head_of(key), key, timestamp, sequence }
    }
}

impl Place for EntryKey {
    #[inline]
    fn head(&self) -> u128 {
        self.head
    }

    #[inline]
    fn rest(&self) -> (&[u8], u64, Sequence) {
        (&self.key, self.timestamp, self.sequence)
    }
}

impl Place for Target<'_> {
    #[inline]
    fn head(&self) -> u128 {
        self.head
    }

    #[inline]
    fn rest(&self) -> (&[u8], u64, Sequence) {
        (self.key, self.timestamp, self.sequence)
    }
}

#[inline]
fn order(a: &(impl Place + ?Sized), b: &(impl Place + ?Sized)) -> Ordering {
    a.head().cmp(&b.head()).then_with(|| {
        let (a, b) = (a.rest(), b.rest());
        a.0.cmp(b.0).then(b.1.cmp(&a.1)).then(b.2.cmp(&a.2))
    })
}

impl<'a> Borrow<dyn Place + 'a> for EntryKey {
    fn borrow(&self) -> &(dyn Place + 'a) {
        self
    }
}

impl PartialEq for dyn Place + '_ {
    fn eq(&self, other: &Self) -> bool {
        order(self, other).is_eq()
    }
}
impl Eq for dyn Place + '_ {}
impl PartialOrd for dyn Place + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for dyn Place + '_ {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        order(self, other)
    }
}
impl PartialEq for EntryKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for EntryKey {}
impl PartialOrd for EntryKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for EntryKey {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        order(self, other)
    }
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
            entries: SkipMap::new(),
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

    pub(crate) fn put(
        &self,
        keyspace: usize,
        key: Bytes,
        timestamp: u64,
        sequence: Sequence,
        value: Option<Bytes>,
    ) {
        let Some(part) = self.parts.get(keyspace) else { return };
        let bytes = key.len() + value.as_ref().map_or(0, Bytes::len) + ENTRY_BYTES;
        part.timestamp_min.fetch_min(timestamp, Atomic::Relaxed);
        part.timestamp_max.fetch_max(timestamp, Atomic::Release);
        part.entries.insert(EntryKey { head: head_of(&key), key, timestamp, sequence }, value);
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

    /// The range deletes of a keyspace, if there are any.
    pub(crate) fn deletes(&self, keyspace: usize) -> Option<Arc<SequencedSpans>> {
        let part = self.parts.get(keyspace)?;
        if part.any_deletes.load(Atomic::Acquire) == 0 { None } else { Some(part.deletes.read().clone()) }
    }

    /// The newest version of a key at or below `at`, as of `sequence`.
    pub(crate) fn get(&self, keyspace: usize, key: &[u8], at: u64, sequence: Sequence) -> Known {
        let Some(part) = self.parts.get(keyspace) else { return Known::Nothing };
        let deleted = self.deletes(keyspace).map_or(0, |deletes| deletes.covering(key, sequence));
        let mut place = Target::new(key, at, Sequence::MAX);
        let target: &(dyn Place + '_) = &place;
        let mut entry = part.entries.lower_bound(Bound::Included(target));
        let mut steps = 0;
        while let Some(found) = &entry
            && *found.key().key == *key
        {
            let (timestamp, written) = (found.key().timestamp, found.key().sequence);
            if written <= sequence && written > deleted {
                let version = Versioned { timestamp, value: found.value().clone() };
                return if deleted > 0 { Known::Last(version) } else { Known::Version(version) };
            }
            steps += 1;
            entry = if steps % STEPS_MAX != 0 {
                found.next()
            } else if written > sequence {
                place = Target { timestamp, sequence, ..place };
                let target: &(dyn Place + '_) = &place;
                part.entries.lower_bound(Bound::Included(target))
            } else {
                // Deleted: of this timestamp all that is older is, too.
                place = Target { timestamp, sequence: 0, ..place };
                let target: &(dyn Place + '_) = &place;
                part.entries.lower_bound(Bound::Excluded(target))
            };
        }
        if deleted > 0 { Known::Deleted } else { Known::Nothing }
    }
}

/// Walks the keys of one keyspace of a memtable as of a sequence. Gathers a chunk of them at a time, so that it holds
/// no reference into the skip list between calls.
#[derive(Debug)]
pub(crate) struct MemCursor {
    memtable: Arc<Memtable>,
    keyspace: usize,
    sequence: Sequence,
    deletes: Option<Arc<SequencedSpans>>,
    window: Window,
    reverse: bool,
    /// (key, version) in the order of the walk; the versions of a key newest first and never split over chunks.
    chunk: Vec<(Bytes, Versioned)>,
    at: usize,
    chunk_keys: usize,
    exhausted: bool,
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
        Self {
            memtable,
            keyspace,
            sequence,
            deletes,
            window,
            reverse,
            chunk: Vec::new(),
            at: 0,
            chunk_keys: CHUNK_FIRST,
            exhausted: true,
        }
    }

    #[inline]
    pub(crate) fn key(&self) -> Option<&Bytes> {
        self.chunk.get(self.at).map(|(key, _)| key)
    }

    pub(crate) fn collect(&self, versions: &mut Vec<Versioned>) {
        let Some(key) = self.key() else { return };
        let same = self.chunk.iter().skip(self.at).take_while(|(other, _)| other == key);
        versions.extend(same.map(|(_, version)| version.clone()));
    }

    pub(crate) fn advance(&mut self) {
        let Some(key) = self.key().cloned() else { return };
        while self.key() == Some(&key) {
            self.at += 1;
        }
        if self.key().is_none() && !self.exhausted {
            self.chunk_keys = (self.chunk_keys * 2).min(CHUNK_MAX);
            self.fill(&key, false);
        }
    }

    /// Ascending: the first key at or after `key`. Descending: the last key before `key`.
    pub(crate) fn seek(&mut self, key: &[u8]) {
        self.chunk_keys = CHUNK_FIRST;
        self.fill(key, true);
    }

    /// Gathers the next chunk. Ascending: from `key` on, with or without it. Descending: from before `key` on.
    fn fill(&mut self, key: &[u8], inclusive: bool) {
        self.chunk.clear();
        self.at = 0;
        self.exhausted = true;
        let memtable = self.memtable.clone();
        let Some(part) = memtable.parts.get(self.keyspace) else { return };
        if self.reverse { self.fill_descending(part, key) } else { self.fill_ascending(part, key, inclusive) }
    }

    fn visible(&self, entry: &EntryKey) -> bool {
        entry.sequence <= self.sequence
            && self.window.contains(entry.timestamp)
            && self
                .deletes
                .as_ref()
                .is_none_or(|deletes| deletes.covering(&entry.key, self.sequence) < entry.sequence)
    }

    fn fill_ascending(&mut self, part: &Part, key: &[u8], inclusive: bool) {
        let first = Target::new(key, u64::MAX, Sequence::MAX);
        let last = Target::new(key, 0, 0);
        let target: &(dyn Place + '_) = if inclusive { &first } else { &last };
        let bound = if inclusive { Bound::Included(target) } else { Bound::Excluded(target) };
        let mut entry = part.entries.lower_bound(bound);
        let mut keys = 0;
        let mut steps = 0;
        // The key whose entries are being passed, and whether anything more of it is wanted.
        let mut current: Option<Bytes> = None;
        let mut done = false;
        while let Some(found) = entry {
            let place = found.key();
            if current.as_ref() != Some(&place.key) {
                if keys == self.chunk_keys {
                    self.exhausted = false;
                    return;
                }
                current = Some(place.key.clone());
                done = false;
                steps = 0;
            }
            steps += 1;
            let repeated = self
                .chunk
                .last()
                .is_some_and(|(key, version)| *key == place.key && version.timestamp == place.timestamp);
            if !done && !repeated && self.visible(place) {
                let fresh = self.chunk.last().is_none_or(|(key, _)| *key != place.key);
                keys += usize::from(fresh);
                let version = Versioned { timestamp: place.timestamp, value: found.value().clone() };
                self.chunk.push((place.key.clone(), version));
                done = !self.window.all;
            }
            entry = if done && steps >= STEPS_MAX {
                let last = Target::new(&place.key, 0, 0);
                let target: &(dyn Place + '_) = &last;
                part.entries.lower_bound(Bound::Excluded(target))
            } else if !done && steps >= STEPS_MAX && place.timestamp > self.window.at {
                let at = Target::new(&place.key, self.window.at, Sequence::MAX);
                let target: &(dyn Place + '_) = &at;
                part.entries.lower_bound(Bound::Included(target))
            } else {
                found.next()
            };
        }
    }

    fn fill_descending(&mut self, part: &Part, key: &[u8]) {
        let first = Target::new(key, u64::MAX, Sequence::MAX);
        let target: &(dyn Place + '_) = &first;
        let mut entry = part.entries.upper_bound(Bound::Excluded(target));
        let mut keys = 0;
        while let Some(found) = entry {
            if keys == self.chunk_keys {
                self.exhausted = false;
                return;
            }
            // The last entry of a key: gather the key ascending, then go before its first entry.
            let key = found.key().key.clone();
            let before = self.chunk.len();
            self.gather(part, &key);
            keys += usize::from(self.chunk.len() > before);
            let first = Target::new(&key, u64::MAX, Sequence::MAX);
            let target: &(dyn Place + '_) = &first;
            entry = part.entries.upper_bound(Bound::Excluded(target));
        }
    }

    /// Adds the visible versions of one key, newest first.
    fn gather(&mut self, part: &Part, key: &Bytes) {
        let first = Target::new(key, self.window.at, Sequence::MAX);
        let target: &(dyn Place + '_) = &first;
        let mut entry = part.entries.lower_bound(Bound::Included(target));
        let mut previous = None;
        while let Some(found) = entry
            && found.key().key == *key
        {
            let place = found.key();
            if previous != Some(place.timestamp) && self.visible(place) {
                previous = Some(place.timestamp);
                let version = Versioned { timestamp: place.timestamp, value: found.value().clone() };
                self.chunk.push((key.clone(), version));
                if !self.window.all {
                    return;
                }
            }
            entry = found.next();
        }
    }
}
