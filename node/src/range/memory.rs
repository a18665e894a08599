//! Read memory: up to which timestamp each key and span of a range was read or validated.
//!
//! Nothing commits at or below what is remembered for a key it writes. Remembering too much is harmless (a commit
//! gets a larger timestamp than it needs), so the memory is bounded in two ways that only ever err upwards: point
//! reads share a fixed number of slots by the hash of their key, and spans are a step function over the key space
//! whose lowest steps are folded into its floor when there are too many.
//!
//! The idea is CockroachDB's timestamp cache; the slots replace its per-key entries, so that a point read costs two
//! atomic operations. They come to be as they are used ([`Sparse`]).

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_64;

use super::sparse::Sparse;

/// How many slots point reads share; a power of two.
pub(crate) const SLOTS: usize = 1 << 13;

/// How many steps the memory of spans keeps before it folds.
const STEPS_MAX: usize = 4096;

/// The slot of a key, here and wherever else point operations are counted by slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(usize);

impl Slot {
    /// The slot of `key`.
    pub(crate) fn of(key: &[u8]) -> Self {
        Self(xxh3_64(key) as usize & (SLOTS - 1))
    }

    /// Its place in an array of [`SLOTS`].
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// What one term of a range remembers of its reads.
///
/// # Invariants
///
/// - [`ReadMemory::newest`] of a key is at least every timestamp raised for it or for a span around it, and at least
///   the floor that the memory was made with.
/// - All operations on a slot are sequentially consistent: see [`super::inflight`] for the protocol they are part of.
pub(crate) struct ReadMemory {
    slots: Sparse<AtomicU64>,
    spans: Mutex<Steps>,
}

impl ReadMemory {
    /// A memory in which everything was read at `floor`.
    pub(crate) fn new(floor: u64) -> Self {
        Self { slots: Sparse::new(SLOTS), spans: Mutex::new(Steps::new(floor, STEPS_MAX)) }
    }

    /// Remembers that the key of `slot` was read at `at`.
    pub(crate) fn raise_slot(&self, slot: Slot, at: u64) {
        if let Some(newest) = self.slots.make(slot.index()) {
            newest.fetch_max(at, Ordering::SeqCst);
        }
    }

    /// Remembers that `start <= key < end` (an empty end: without end) was read at `at`.
    pub(crate) fn raise_span(&self, start: &[u8], end: &[u8], at: u64) {
        self.spans.lock().raise(start, end, at);
    }

    /// Remembers that every key was read at `at`. It makes the memory smaller.
    pub(crate) fn raise_all(&self, at: u64) {
        self.spans.lock().raise_floor(at);
    }

    /// The largest timestamp that `key` may have been read at.
    pub(crate) fn newest(&self, key: &[u8]) -> u64 {
        let point = self.slots.get(Slot::of(key).index()).map_or(0, |slot| slot.load(Ordering::SeqCst));
        point.max(self.spans.lock().at(key))
    }

    /// The largest of what these keys, which ascend, may have been read at.
    pub(crate) fn newest_of(&self, keys: &[Bytes]) -> u64 {
        /// So many keys are looked at among the spans before others have their turn.
        const KEYS_AT_ONCE: usize = 1024;
        let slots = keys.iter().filter_map(|key| self.slots.get(Slot::of(key).index()));
        let points = slots.map(|slot| slot.load(Ordering::SeqCst)).max().unwrap_or(0);
        let spans = keys.chunks(KEYS_AT_ONCE).map(|keys| self.spans.lock().at_any(keys)).max();
        points.max(spans.unwrap_or(0))
    }
}

impl std::fmt::Debug for ReadMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadMemory").field("steps", &self.spans.lock().steps.len()).finish_non_exhaustive()
    }
}

/// A step function from keys to timestamps: each step holds from its key up to the next step's key.
struct Steps {
    steps: BTreeMap<Bytes, u64>,
    floor: u64,
    steps_max: usize,
}

impl Steps {
    fn new(floor: u64, steps_max: usize) -> Self {
        Self { steps: BTreeMap::new(), floor, steps_max }
    }

    fn at(&self, key: &[u8]) -> u64 {
        let below = self.steps.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back();
        below.map_or(self.floor, |(_, &value)| value.max(self.floor))
    }

    /// The largest that holds at one of these keys, which ascend.
    fn at_any(&self, keys: &[Bytes]) -> u64 {
        let Some(first) = keys.first() else { return 0 };
        let mut value = self.at(first);
        let mut newest = value;
        let above = self.steps.range::<[u8], _>((Bound::Excluded(first.as_ref()), Bound::Unbounded));
        let mut steps = above.peekable();
        for key in keys {
            while let Some((_, step)) = steps.next_if(|(start, _)| *start <= key) {
                value = (*step).max(self.floor);
            }
            newest = newest.max(value);
        }
        newest
    }

    fn raise(&mut self, start: &[u8], end: &[u8], at: u64) {
        if at <= self.floor || (!end.is_empty() && start >= end) {
            return;
        }
        let (value_at_start, value_at_end) = (self.at(start), self.at(end));
        let upper = if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(end) };
        let mut value = value_at_start.max(at);
        let mut last = self
            .steps
            .range::<[u8], _>((Bound::Unbounded, Bound::Excluded(start)))
            .next_back()
            .map_or(self.floor, |(_, &value)| value);
        let mut within: Vec<(Bytes, u64)> = Vec::new();
        if value != last {
            within.push((Bytes::copy_from_slice(start), value));
            last = value;
        }
        let inside: Vec<(Bytes, u64)> = self
            .steps
            .range::<[u8], _>((Bound::Included(start), upper))
            .map(|(key, &value)| (key.clone(), value))
            .collect();
        for (key, old) in inside {
            self.steps.remove(&key);
            value = old.max(at);
            if key.as_ref() != start && value != last {
                within.push((key, value));
                last = value;
            }
        }
        self.steps.extend(within);
        if !end.is_empty() {
            if last == value_at_end {
                self.steps.remove(end);
            } else {
                self.steps.entry(Bytes::copy_from_slice(end)).or_insert(value_at_end);
            }
        }
        if self.steps.len() > self.steps_max {
            self.fold();
        }
    }

    /// Raises the floor to the median step.
    fn fold(&mut self) {
        let mut values: Vec<u64> = self.steps.values().copied().collect();
        let middle = values.len() / 2;
        let (_, &mut median, _) = values.select_nth_unstable(middle);
        self.raise_floor(median);
    }

    /// Raises the floor and drops the steps that it swallows.
    fn raise_floor(&mut self, at: u64) {
        if at <= self.floor {
            return;
        }
        self.floor = at;
        let floor = self.floor;
        let mut last = floor;
        self.steps.retain(|_, value| {
            *value = (*value).max(floor);
            let kept = *value != last;
            last = *value;
            kept
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_remembers_its_largest_read() {
        let memory = ReadMemory::new(5);
        assert_eq!(memory.newest(b"a"), 5);
        memory.raise_slot(Slot::of(b"a"), 9);
        memory.raise_slot(Slot::of(b"a"), 7);
        assert_eq!(memory.newest(b"a"), 9);
    }

    #[test]
    fn a_span_covers_its_start_and_not_its_end() {
        let memory = ReadMemory::new(0);
        memory.raise_span(b"b", b"d", 10);
        let read: Vec<u64> = [b"a", b"b", b"c", b"d"].iter().map(|key| memory.newest(*key)).collect();
        assert_eq!(read, [0, 10, 10, 0]);
        memory.raise_span(b"c", b"", 7);
        let read: Vec<u64> = [b"a", b"b", b"c", b"d"].iter().map(|key| memory.newest(*key)).collect();
        assert_eq!(read, [0, 10, 10, 7]);
    }

    #[test]
    fn many_keys_were_read_when_one_of_them_was() {
        let memory = ReadMemory::new(3);
        let names = |names: &[&'static str]| -> Vec<Bytes> {
            names.iter().map(|name| Bytes::from_static(name.as_bytes())).collect()
        };
        assert_eq!(memory.newest_of(&[]), 0);
        assert_eq!(memory.newest_of(&names(&["a", "f"])), 3);
        memory.raise_span(b"b", b"d", 10);
        memory.raise_span(b"e", b"f", 20);
        assert_eq!(memory.newest_of(&names(&["a", "d", "dz", "f"])), 3, "between them does not count");
        assert_eq!(memory.newest_of(&names(&["a", "c", "d"])), 10);
        assert_eq!(memory.newest_of(&names(&["b"])), 10);
        assert_eq!(memory.newest_of(&names(&["c", "e", "f"])), 20);
        memory.raise_slot(Slot::of(b"a"), 30);
        assert_eq!(memory.newest_of(&names(&["a", "c"])), 30);
        let many: Vec<Bytes> =
            (0..5000_u32).map(|number| Bytes::copy_from_slice(&number.to_be_bytes())).collect();
        memory.raise_span(&many[4321], &many[4322], 40);
        let each = many.iter().map(|key| memory.newest(key)).max();
        assert_eq!((memory.newest_of(&many), each), (40, Some(40)));
    }

    #[test]
    fn what_counts_as_read_as_a_whole_takes_no_room() {
        let memory = ReadMemory::new(5);
        for key in 0..100u8 {
            memory.raise_span(&[key], &[key + 1], 10 + u64::from(key));
        }
        memory.raise_slot(Slot::of(b"a"), 40);
        memory.raise_all(60);
        memory.raise_all(7);
        assert_eq!((memory.newest(b"a"), memory.newest(&[49]), memory.newest(&[99])), (107, 60, 109));
        assert_eq!((memory.newest(&[200]), memory.newest_of(&[Bytes::from_static(b"z")])), (60, 60));
        assert_eq!(memory.spans.lock().steps.len(), 50, "49 steps above it, and where they end");
    }

    #[test]
    fn an_empty_or_inverted_span_is_nothing() {
        let memory = ReadMemory::new(0);
        memory.raise_span(b"b", b"b", 10);
        memory.raise_span(b"c", b"b", 10);
        assert_eq!(memory.newest(b"b"), 0);
    }

    /// Against the plainest model there is: a timestamp for each of a few keys.
    #[test]
    fn steps_agree_with_a_table_of_keys() {
        for steps_max in [8, 1000] {
            let mut steps = Steps::new(0, steps_max);
            let mut model = [0u64; 64];
            let mut random = 12345u64;
            for at in 1..2000u64 {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let (a, b) = ((random >> 33) as usize % 64, (random >> 45) as usize % 65);
                let jitter = at + (random >> 57);
                let end = if b == 64 { vec![] } else { vec![b as u8] };
                steps.raise(&[a as u8], &end, jitter);
                for value in model.iter_mut().take(b).skip(a) {
                    *value = (*value).max(jitter);
                }
                for (key, &value) in model.iter().enumerate() {
                    let remembered = steps.at(&[key as u8]);
                    if steps_max == 1000 {
                        assert_eq!(remembered, value, "key {key} at {at}");
                    } else {
                        assert!(remembered >= value, "key {key} at {at}");
                    }
                }
                assert!(steps.steps.len() <= steps_max);
            }
        }
    }

    #[test]
    fn equal_neighbours_become_one_step() {
        let mut steps = Steps::new(0, 100);
        for key in 0..50u8 {
            steps.raise(&[key], &[key + 1], 10);
        }
        assert_eq!(steps.steps.len(), 2);
    }
}
