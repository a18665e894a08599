//! The sorted list inside a memtable: a skip list that many threads fill and read at once, without locks and in safe
//! code.
//!
//! Nodes lie in pages and are named by their numbers, in the order of their insertion. Nothing is removed before the
//! whole list is, so a number stays good and a walk needs no more than the one it stands on. What a search looks at lies
//! apart from the entries, half a cache line each: the *head* of the key (its first sixteen bytes as a number) and the
//! numbers of the next nodes on the lowest levels.
//!
//! ```text
//! node  := head u128 | next u32 * 3 | tower u32
//! tower := next u32 * 9          for one node in 64
//! ```
//! Linking is by compare-and-swap from the lowest level up (Herlihy and Shavit, "The Art of Multiprocessor Programming",
//! chapter 14, without removal). Where the last entry went is remembered: ascending keys find their place without a search.
//!
//! Of each page of entries the newest timestamp is known, so that what came lately is found by when it came, too.

use std::cmp::Ordering;
use std::sync::OnceLock;
use std::sync::atomic::Ordering as Atomic;

use bytes::Bytes;

use crate::coding::{KEY_HEAD_BYTES, key_head};
use crate::entry::{Content, Versioned};
use crate::options::Sequence;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64};

/// Levels whose links lie in the node itself.
const LOW: usize = 3;
/// Levels in all: of four nodes of a level one is on the next.
const LEVELS: usize = 12;

/// Number of a node; 0 is the list's head, before all entries, and stands for 'none' behind them.
pub(crate) type Node = u32;

/// None, or the head.
pub(crate) const NONE: Node = 0;

/// Pages of entries in which what came lately is looked for.
const PAGES_RECENT_MAX: usize = 4;

/// What is kept of a write. Key and value lie one behind the other in the batch that brought them, and stay there.
#[derive(Debug)]
pub(crate) struct Entry {
    /// From the key to the end of the value, or of a deletion's note.
    bytes: Bytes,
    key_length: u32,
    /// Where the value or the note begins, and [`DELETED`].
    content_at: u32,
    pub(crate) timestamp: u64,
    pub(crate) sequence: Sequence,
}

/// The bit that says that it is a note: keys are far shorter.
const DELETED: u32 = 1 << 31;

impl Entry {
    /// Of a key and what it says, which are slices of `batch`, the key first.
    pub(crate) fn new(
        batch: &Bytes,
        key: &[u8],
        content: Content<'_>,
        timestamp: u64,
        sequence: Sequence,
    ) -> Self {
        let at = |slice: &[u8]| slice.as_ptr().addr() - batch.as_ptr().addr();
        let start = at(key);
        let (slice, mark) = match content {
            Content::Value(value) => (value, 0),
            Content::Deletion(note) => (note, DELETED),
        };
        Self {
            bytes: batch.slice(start..at(slice) + slice.len()),
            key_length: key.len() as u32,
            content_at: (at(slice) - start) as u32 | mark,
            timestamp,
            sequence,
        }
    }

    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        self.bytes.get(..self.key_length as usize).unwrap_or_default()
    }

    /// How its key is ordered to one with the same head.
    #[inline]
    fn order_of_key(&self, key: &[u8]) -> Ordering {
        let length = self.key_length as usize;
        if length <= KEY_HEAD_BYTES && key.len() <= KEY_HEAD_BYTES {
            // They differ in zeros at the end at most, and the key itself, far away in its batch, is not looked at.
            return length.cmp(&key.len());
        }
        self.key().cmp(key)
    }

    /// None: deleted.
    #[inline]
    pub(crate) fn value(&self) -> Option<&[u8]> {
        self.bytes.get(self.content_at as usize..)
    }

    /// The same, to be kept.
    #[inline]
    pub(crate) fn shared_value(&self) -> Option<Bytes> {
        (self.content_at & DELETED == 0).then(|| self.bytes.slice(self.content_at as usize..))
    }

    /// Bytes of its value or note.
    pub(crate) fn content_bytes(&self) -> usize {
        self.bytes.len() - (self.content_at & !DELETED) as usize
    }

    /// As it is given out.
    #[inline]
    pub(crate) fn version(&self) -> Versioned {
        match self.shared_value() {
            Some(value) => Versioned::value(self.timestamp, value),
            None => {
                let note = self.bytes.get((self.content_at & !DELETED) as usize..);
                Versioned::deletion(self.timestamp, note.unwrap_or_default())
            }
        }
    }
}

/// A place in the order: key ascending, timestamp descending, sequence descending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    head: u128,
    key: &'a [u8],
    timestamp: u64,
    sequence: Sequence,
}

impl<'a> Place<'a> {
    pub(crate) fn new(key: &'a [u8], timestamp: u64, sequence: Sequence) -> Self {
        Self { head: key_head(key), key, timestamp, sequence }
    }

    /// Before all entries of a key.
    pub(crate) fn before(key: &'a [u8]) -> Self {
        Self::new(key, u64::MAX, Sequence::MAX)
    }

    /// After all entries of a key: none has sequence 0.
    pub(crate) fn after(key: &'a [u8]) -> Self {
        Self::new(key, 0, 0)
    }

    /// Another place of the same key.
    pub(crate) fn at(self, timestamp: u64, sequence: Sequence) -> Self {
        Self { timestamp, sequence, ..self }
    }
}

#[repr(align(32))]
#[derive(Debug, Default)]
struct Slot {
    head: [AtomicU64; 2],
    next: [AtomicU32; LOW],
    /// Number of its tower from 1, if it has one.
    tower: AtomicU32,
}

/// Links of the levels from `LOW` up.
type Tower = [AtomicU32; LEVELS - LOW];

/// The list.
///
/// # Invariants
/// - A node is linked on a level only after its entry is set, and on a higher one only after the lower ones.
/// - `hints` of a level is the head or a node of that level.
/// - `newest` of a page covers an entry before that is linked.
#[derive(Debug)]
pub(crate) struct SkipList {
    first: Slot,
    first_tower: Tower,
    nodes: Pages<Slot>,
    entries: Pages<OnceLock<Entry>>,
    /// The newest timestamp of each page of entries.
    newest: Pages<AtomicU64>,
    towers: Pages<Tower>,
    len: AtomicU32,
    towers_len: AtomicU32,
    /// Levels in use.
    levels: AtomicU32,
    /// Where the last insertion was, on each level.
    hints: [AtomicU32; LEVELS],
    /// Whether the last insertion came right behind the one before it.
    ascending: AtomicBool,
}

impl SkipList {
    pub(crate) fn new() -> Self {
        Self {
            first: Slot::default(),
            first_tower: Tower::default(),
            nodes: Pages::new(),
            entries: Pages::new(),
            newest: Pages::new(),
            towers: Pages::new(),
            len: AtomicU32::new(0),
            towers_len: AtomicU32::new(0),
            levels: AtomicU32::new(1),
            hints: Default::default(),
            ascending: AtomicBool::new(false),
        }
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Atomic::Relaxed) as usize
    }

    /// The entry of a node that this list has given out; none of [`NONE`].
    #[inline]
    pub(crate) fn entry(&self, node: Node) -> Option<&Entry> {
        visit();
        self.entries.get(node.checked_sub(1)?)?.get()
    }

    /// The node behind this one.
    #[inline]
    pub(crate) fn next(&self, node: Node) -> Node {
        self.link(self.slot(node), 0).load(Atomic::Acquire)
    }

    /// The first node at or after a place.
    #[inline]
    pub(crate) fn at_or_after(&self, place: &Place<'_>) -> Node {
        self.search(place, &mut [NONE; LEVELS]).1
    }

    /// The last node before a place.
    #[inline]
    pub(crate) fn last_before(&self, place: &Place<'_>) -> Node {
        self.search(place, &mut [NONE; LEVELS]).0
    }

    /// The last node before a place, and the one behind it.
    #[inline]
    pub(crate) fn around(&self, place: &Place<'_>) -> (Node, Node) {
        self.search(place, &mut [NONE; LEVELS])
    }

    /// The first node at or after a place behind `node`: the nearer it lies, the sooner it is found.
    pub(crate) fn onward(&self, node: Node, place: &Place<'_>) -> Node {
        let (mut at, mut level, mut behind) = (self.slot(node), 0, NONE);
        // Up, as far as the nodes on the way have links that do not lead beyond the place; then down.
        loop {
            if let Some(next) = self.link_before(at, level + 1, place, &mut behind) {
                (at, level) = (next, level + 1);
            } else if let Some(next) = self.link_before(at, level, place, &mut behind) {
                at = next;
            } else {
                break;
            }
        }
        for level in (0..level).rev() {
            while let Some(next) = self.link_before(at, level, place, &mut behind) {
                at = next;
            }
        }
        self.link(at, 0).load(Atomic::Acquire)
    }

    /// Where the link of a level leads to, if that lies before a place; else it is `behind`, which is known to lie there.
    #[inline]
    fn link_before<'a>(
        &'a self,
        at: &'a Slot,
        level: usize,
        place: &Place<'_>,
        behind: &mut Node,
    ) -> Option<&'a Slot> {
        if level >= LEVELS || (level >= LOW && at.tower.load(Atomic::Relaxed) == 0) {
            return None;
        }
        let next = self.link(at, level).load(Atomic::Acquire);
        if next == NONE || next == *behind {
            return None;
        }
        let slot = self.slot(next);
        if self.is_before(next, slot, place) {
            return Some(slot);
        }
        *behind = next;
        None
    }

    /// All entries above a timestamp, among others, in the order in which they came; None if they may be many.
    pub(crate) fn recent(&self, since: u64) -> Option<impl Iterator<Item = &Entry>> {
        let pages = 0..self.len.load(Atomic::Relaxed).div_ceil(PAGE);
        let is_recent =
            |page: &u32| self.newest.get(*page).is_some_and(|at| at.load(Atomic::Relaxed) > since);
        let recent: Vec<u32> = pages.rev().filter(is_recent).take(PAGES_RECENT_MAX + 1).collect();
        if recent.len() > PAGES_RECENT_MAX {
            return None;
        }
        let nodes = recent.into_iter().rev().flat_map(|page| page * PAGE + 1..=(page + 1) * PAGE);
        Some(nodes.filter_map(|node| self.entry(node)))
    }

    /// Adds an entry. Its place is not taken: sequences differ.
    pub(crate) fn insert(&self, entry: Entry) {
        let node = self.len.fetch_add(1, Atomic::Relaxed) + 1;
        let head = key_head(entry.key());
        let levels = levels_of(entry.sequence);
        let slot = self.nodes.ensure(node - 1);
        for (to, from) in slot.head.iter().zip([(head >> 64) as u64, head as u64]) {
            to.store(from, Atomic::Relaxed);
        }
        if levels > LOW {
            let tower = self.towers_len.fetch_add(1, Atomic::Relaxed) + 1;
            self.towers.ensure(tower - 1);
            slot.tower.store(tower, Atomic::Relaxed);
        }
        self.newest.ensure((node - 1) >> PAGE_BITS).fetch_max(entry.timestamp, Atomic::Relaxed);
        let entry = self.entries.ensure(node - 1).get_or_init(|| entry);
        let place = Place { head, key: entry.key(), timestamp: entry.timestamp, sequence: entry.sequence };
        self.levels.fetch_max(levels as u32, Atomic::Relaxed);
        let mut before = [NONE; LEVELS];
        if !self.follow_hints(&place, levels, &mut before) {
            self.search(&place, &mut before);
        }
        for (level, before) in before.iter_mut().enumerate().take(levels) {
            self.link_in(node, slot, level, &place, before);
        }
        self.remember(node, levels, &before);
    }

    /// Puts a node behind `before` on one level, or further on where others have come between.
    fn link_in(&self, node: Node, slot: &Slot, level: usize, place: &Place<'_>, before: &mut Node) {
        let mut at = self.slot(*before);
        loop {
            let link = self.link(at, level);
            let next = link.load(Atomic::Acquire);
            if next != NONE && self.is_before(next, self.slot(next), place) {
                *before = next;
                at = self.slot(next);
                continue;
            }
            self.link(slot, level).store(next, Atomic::Relaxed);
            if link.compare_exchange(next, node, Atomic::Release, Atomic::Relaxed).is_ok() {
                return;
            }
        }
    }

    /// Ascending keys: the place is right behind the last insertion. False if it is not.
    fn follow_hints(&self, place: &Place<'_>, levels: usize, before: &mut [Node; LEVELS]) -> bool {
        if !self.ascending.load(Atomic::Relaxed) {
            return false;
        }
        for (level, (before, hint)) in before.iter_mut().zip(&self.hints).enumerate() {
            *before = hint.load(Atomic::Acquire);
            // Above the new node's own levels hints are only carried over.
            if level < levels && *before != NONE && !self.is_before(*before, self.slot(*before), place) {
                self.ascending.store(false, Atomic::Relaxed);
                *before = NONE;
                return false;
            }
        }
        let next = before.first().map_or(NONE, |before| self.next(*before));
        let follows = next == NONE || !self.is_before(next, self.slot(next), place);
        if !follows {
            self.ascending.store(false, Atomic::Relaxed);
        }
        follows
    }

    fn remember(&self, node: Node, levels: usize, before: &[Node; LEVELS]) {
        if let (Some(before), Some(hint)) = (before.first(), self.hints.first()) {
            let ascending = *before == hint.load(Atomic::Relaxed);
            if ascending != self.ascending.load(Atomic::Relaxed) {
                self.ascending.store(ascending, Atomic::Relaxed);
            }
        }
        for (level, (hint, before)) in self.hints.iter().zip(before).enumerate() {
            let place = if level < levels { node } else { *before };
            if hint.load(Atomic::Relaxed) != place {
                hint.store(place, Atomic::Release);
            }
        }
    }

    /// The last node before a place, and the one behind it; `before` tells the former for each level.
    #[inline]
    fn search(&self, place: &Place<'_>, before: &mut [Node; LEVELS]) -> (Node, Node) {
        let mut at = (NONE, &self.first);
        let mut behind = NONE;
        let levels = self.levels.load(Atomic::Relaxed) as usize;
        for (level, before) in before.iter_mut().enumerate().take(levels).rev() {
            loop {
                let next = self.link(at.1, level).load(Atomic::Acquire);
                // The one behind has been compared on a higher level already.
                if next == NONE || next == behind {
                    break;
                }
                let slot = self.slot(next);
                if !self.is_before(next, slot, place) {
                    behind = next;
                    break;
                }
                at = (next, slot);
            }
            *before = at.0;
        }
        // A level may end before its lower one does.
        let next = self.link(at.1, 0).load(Atomic::Acquire);
        if next == behind || next == NONE || !self.is_before(next, self.slot(next), place) {
            return (at.0, next);
        }
        self.search_on(next, place)
    }

    /// Walks the lowest level: others have inserted meanwhile.
    #[cold]
    fn search_on(&self, mut at: Node, place: &Place<'_>) -> (Node, Node) {
        loop {
            let next = self.next(at);
            if next == NONE || !self.is_before(next, self.slot(next), place) {
                return (at, next);
            }
            at = next;
        }
    }

    #[inline]
    fn is_before(&self, node: Node, slot: &Slot, place: &Place<'_>) -> bool {
        let [high, low] = &slot.head;
        let head = u128::from(high.load(Atomic::Relaxed)) << 64 | u128::from(low.load(Atomic::Relaxed));
        match head.cmp(&place.head) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => self.entry(node).is_some_and(|entry| {
                entry
                    .order_of_key(place.key)
                    .then(place.timestamp.cmp(&entry.timestamp))
                    .then(place.sequence.cmp(&entry.sequence))
                    .is_lt()
            }),
        }
    }

    #[inline]
    fn slot(&self, node: Node) -> &Slot {
        match node.checked_sub(1) {
            Some(index) => self.nodes.get(index).unwrap_or(&self.first),
            None => &self.first,
        }
    }

    /// The link of a node on a level that it is on.
    #[inline]
    fn link<'a>(&'a self, slot: &'a Slot, level: usize) -> &'a AtomicU32 {
        if let Some(link) = slot.next.get(level) {
            return link;
        }
        let tower = match slot.tower.load(Atomic::Relaxed).checked_sub(1) {
            Some(index) => self.towers.get(index).unwrap_or(&self.first_tower),
            None => &self.first_tower,
        };
        tower.get(level - LOW).unwrap_or(&self.first.tower)
    }
}

/// How many levels the entry of a sequence is on: by chance, and the same in every run.
pub(crate) fn levels_of(sequence: Sequence) -> usize {
    let mut mixed = sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^= mixed >> 32;
    mixed = mixed.wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^= mixed >> 32;
    (1 + mixed.trailing_zeros() as usize / 2).min(LEVELS)
}

const PAGE_BITS: u32 = 9;
const PAGE: u32 = 1 << PAGE_BITS;
const FIRST_BLOCK_BITS: u32 = 4;
const BLOCKS: usize = (32 - PAGE_BITS - FIRST_BLOCK_BITS) as usize + 1;

/// An array that grows page by page and never moves. Pages are found by blocks of page pointers, each block twice as long
/// as the one before.
#[derive(Debug)]
struct Pages<T> {
    blocks: [OnceLock<Box<[Page<T>]>>; BLOCKS],
}

type Page<T> = OnceLock<Box<[T]>>;

impl<T: Default> Pages<T> {
    fn new() -> Self {
        Self { blocks: std::array::from_fn(|_| OnceLock::new()) }
    }

    #[inline]
    fn locate(index: u32) -> (usize, usize, usize) {
        let page = (index >> PAGE_BITS) + (1 << FIRST_BLOCK_BITS);
        let block = page.ilog2() - FIRST_BLOCK_BITS;
        let first = 1 << (block + FIRST_BLOCK_BITS);
        (block as usize, (page - first) as usize, (index & (PAGE - 1)) as usize)
    }

    /// An element that [`Self::ensure`] was called for.
    #[inline]
    fn get(&self, index: u32) -> Option<&T> {
        let (block, page, slot) = Self::locate(index);
        self.blocks.get(block)?.get()?.get(page)?.get()?.get(slot)
    }

    /// An element, made if it is not there yet.
    #[expect(clippy::indexing_slicing, reason = "locate stays within bounds for every index")]
    fn ensure(&self, index: u32) -> &T {
        let (block, page, slot) = Self::locate(index);
        let pages = self.blocks[block].get_or_init(|| {
            let pages = 1 << (block as u32 + FIRST_BLOCK_BITS);
            (0..pages).map(|_| OnceLock::new()).collect()
        });
        &pages[page].get_or_init(|| (0..PAGE).map(|_| T::default()).collect())[slot]
    }
}

/// Tests count what is looked at.
#[cfg(not(test))]
#[inline]
fn visit() {}

#[cfg(test)]
use visited::visit;

/// How many entries this thread has looked at: what a walk costs.
#[cfg(test)]
pub(crate) mod visited {
    use std::cell::Cell;

    thread_local! {
        static ENTRIES: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn visit() {
        ENTRIES.set(ENTRIES.get() + 1);
    }

    /// How many it looks at while it does something, and what comes of that.
    pub(crate) fn during<T>(work: impl FnOnce() -> T) -> (usize, T) {
        let before = ENTRIES.get();
        let outcome = work();
        (ENTRIES.get() - before, outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, timestamp: u64, sequence: u64) -> Entry {
        let key = Bytes::copy_from_slice(key.as_bytes());
        Entry::new(&key, &key, Content::Deletion(&key[key.len()..]), timestamp, sequence)
    }

    fn walk(list: &SkipList) -> Vec<(String, u64, u64)> {
        let mut found = Vec::new();
        let mut node = list.next(NONE);
        while let Some(entry) = list.entry(node) {
            let key = String::from_utf8(entry.key().to_vec()).unwrap();
            found.push((key, entry.timestamp, entry.sequence));
            node = list.next(node);
        }
        found
    }

    #[test]
    fn a_node_is_half_a_cache_line_and_an_entry_one() {
        assert_eq!(size_of::<Slot>(), 32);
        assert_eq!(size_of::<OnceLock<Entry>>(), 64);
    }

    #[test]
    fn entries_are_sorted_however_they_come() {
        let list = SkipList::new();
        let mut expected = Vec::new();
        for sequence in 1..=20_000u64 {
            // Runs of ascending keys, here and there, some longer than a head.
            let number = (sequence / 50 * 7919) % 1000 * 50 + sequence % 50;
            let key = format!("a long common prefix {}{number:06}", if number % 3 == 0 { "" } else { "x" });
            list.insert(entry(&key, sequence % 5, sequence));
            expected.push((key, sequence % 5, sequence));
        }
        expected.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)).then(b.2.cmp(&a.2)));
        assert_eq!(list.len(), expected.len());
        assert_eq!(walk(&list), expected);
    }

    #[test]
    fn both_neighbours_of_a_place_are_found() {
        let list = SkipList::new();
        for (sequence, key) in (1..).zip(["b", "d", "c", "a"]) {
            list.insert(entry(key, 7, sequence));
        }
        let key = |node| list.entry(node).map(|entry| entry.key().to_vec());
        assert_eq!(key(list.at_or_after(&Place::before(b"b"))).as_deref(), Some(&b"b"[..]));
        assert_eq!(key(list.at_or_after(&Place::after(b"b"))).as_deref(), Some(&b"c"[..]));
        assert_eq!(key(list.last_before(&Place::before(b"b"))).as_deref(), Some(&b"a"[..]));
        assert_eq!(key(list.last_before(&Place::after(b"d"))).as_deref(), Some(&b"d"[..]));
        assert_eq!(key(list.last_before(&Place::before(b"a"))), None);
        assert_eq!(key(list.at_or_after(&Place::after(b"d"))), None);
    }

    #[test]
    fn a_walk_passes_over_near_entries_and_finds_what_a_search_finds() {
        let list = SkipList::new();
        let keys = ["a", "a\0", "b", "b, and more than a head", "b, and more than a head\0", "c", "d"];
        for sequence in 1..=7_000u64 {
            // Of "c" many versions.
            let key = if sequence % 2 == 0 { "c" } else { keys[(sequence / 2 % 7) as usize] };
            list.insert(entry(key, sequence * 7919 % 1000, sequence));
        }
        for from in (1..=7_000).step_by(13) {
            let from = list.entry(from).map(|entry| Place::new(entry.key(), entry.timestamp, entry.sequence));
            let from = list.at_or_after(&from.unwrap());
            let entry = list.entry(from).unwrap();
            let of_key = [Place::after(entry.key()), Place::new(entry.key(), entry.timestamp / 2, 0)];
            for place in of_key.into_iter().chain(keys.iter().map(|key| Place::before(key.as_bytes()))) {
                let expected = list.at_or_after(&place);
                let lies_behind = list.entry(expected).is_none_or(|found| {
                    (found.key(), entry.timestamp, entry.sequence)
                        > (entry.key(), found.timestamp, found.sequence)
                });
                if lies_behind {
                    assert_eq!(list.onward(from, &place), expected);
                }
            }
        }
    }

    #[test]
    fn what_came_lately_is_found_by_when_it_came() {
        let list = SkipList::new();
        for sequence in 1..=10_000u64 {
            list.insert(entry(&format!("{:05}", sequence * 7919 % 10_000), sequence, sequence));
        }
        let (visits, recent) = visited::during(|| list.recent(9_990).map(Iterator::collect::<Vec<_>>));
        let recent = recent.unwrap();
        assert_eq!(recent.iter().filter(|entry| entry.timestamp > 9_990).count(), 10);
        assert!(visits <= 2 * PAGE as usize, "{visits}");
        assert!(list.recent(10_000).is_some_and(|mut recent| recent.next().is_none()));
        assert!(list.recent(5_000).is_none(), "many");
    }

    #[test]
    fn threads_fill_it_together() {
        let list = SkipList::new();
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let list = &list;
                scope.spawn(move || {
                    for n in 0..5_000u64 {
                        let sequence = n * 4 + thread + 1;
                        let key = format!("{:08}", if thread == 0 { n } else { n * 7919 % 5_000 });
                        list.insert(entry(&key, 0, sequence));
                        let found = list.at_or_after(&Place::new(key.as_bytes(), 0, sequence));
                        assert_eq!(list.entry(found).map(|entry| entry.sequence), Some(sequence));
                    }
                });
            }
        });
        let found = walk(&list);
        assert_eq!(found.len(), 20_000);
        assert!(found.is_sorted_by(|a, b| a.0 < b.0 || (a.0 == b.0 && a.2 > b.2)));
    }

    #[test]
    fn pages_are_found_again() {
        let pages = Pages::<AtomicU32>::new();
        for index in (0..100_000).chain([1 << 20]) {
            pages.ensure(index).store(index, Atomic::Relaxed);
        }
        for index in (0..100_000).chain([1 << 20]) {
            assert_eq!(pages.get(index).unwrap().load(Atomic::Relaxed), index);
        }
        assert!(Pages::<AtomicU32>::locate(u32::MAX).0 < BLOCKS);
    }
}
