//! Commits that have been proposed and not yet applied, as reads see them.
//!
//! A read at a timestamp must see every commit at or below it, those under way included; a commit must get a timestamp
//! above every read of its keys that did not wait for it. Both follow from an order of steps:
//!
//! ```text
//! commit: 1 enter its keys here        read: 1 raise the read memory to `at`
//!         2 look at the read memory          2 look here: wait for what is at or below `at`, or undecided
//!         3 decide its timestamp             3 read the engine
//!         4 propose, apply, leave
//! ```
//!
//! Whatever way the two interleave, either the commit sees the read (its timestamp is larger, so the read need not
//! see it) or the read sees the commit (and waits). For points both sides are sequentially consistent atomics of the
//! key's [`Slot`] ([`Sparse`]), so that a read of a key that nobody commits takes no lock; for spans both are mutexes. A commit of many
//! keys counts in no slot but as one of those ([`KeyList`]): as long as there is one, reads of all keys look at its list.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::key_list::KeyList;
use super::locks::TxnId;
use super::memory::{SLOTS, Slot};
use super::sparse::Sparse;

/// The term is over; what was in flight will be decided by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TermEnded;

/// One commit under way.
#[derive(Debug, Default)]
pub(crate) struct Mark {
    /// 0 until decided.
    timestamp: AtomicU64,
    finished: AtomicBool,
    changed: Notify,
    /// The transaction that has reserved the keys, and does not wait for itself.
    owner: Option<TxnId>,
}

impl Mark {
    /// The commit's timestamp is `timestamp`.
    pub(crate) fn decide(&self, timestamp: u64) {
        self.timestamp.store(timestamp, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Of keys that a transaction has reserved.
    pub(crate) fn owned(owner: TxnId) -> Self {
        Self { owner: Some(owner), ..Self::default() }
    }

    fn finish(&self) {
        self.finished.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Whether a read at `at` need not wait.
    pub(crate) fn is_past(&self, at: u64) -> bool {
        let timestamp = self.timestamp.load(Ordering::SeqCst);
        self.finished.load(Ordering::SeqCst) || (timestamp != 0 && timestamp > at)
    }
}

/// The commits under way in one term of a range.
///
/// # Invariants
///
/// - A key has at most one mark (its commit holds the key's latch exclusively).
/// - A mark stands until its commit is applied here, or certain never to be.
/// - The keys of a commit are in `marks`, or, where they are many, its list is: which of the two the list itself says.
pub(crate) struct InFlight {
    counts: Sparse<AtomicU32>,
    /// How many lists there are.
    lists: AtomicU32,
    marks: Mutex<Marks>,
    ended: AtomicBool,
}

#[derive(Default)]
struct Marks {
    by_key: BTreeMap<Bytes, Arc<Mark>>,
    lists: Vec<(KeyList, Arc<Mark>)>,
}

impl Marks {
    /// Those on a key: one, but for what the end of the term has left undecided.
    fn on(&self, key: &[u8]) -> Vec<Arc<Mark>> {
        let listed = self.lists.iter().filter(|(keys, _)| keys.has(key)).map(|(_, mark)| mark);
        self.by_key.get(key).into_iter().chain(listed).cloned().collect()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Mark>> {
        self.by_key.values().chain(self.lists.iter().map(|(_, mark)| mark))
    }
}

impl InFlight {
    /// Nothing in flight.
    pub(crate) fn new() -> Self {
        Self {
            counts: Sparse::new(SLOTS),
            lists: AtomicU32::new(0),
            marks: Mutex::default(),
            ended: AtomicBool::new(false),
        }
    }

    /// Marks `keys`, their timestamp undecided.
    pub(crate) fn enter(&self, keys: &KeyList) -> Arc<Mark> {
        self.enter_as(Mark::default(), keys)
    }

    /// The same with a mark of the caller's.
    pub(crate) fn enter_as(&self, mark: Mark, keys: &KeyList) -> Arc<Mark> {
        let mark = Arc::new(mark);
        let mut marks = self.marks.lock();
        if keys.is_long() {
            marks.lists.push((keys.clone(), mark.clone()));
            self.lists.fetch_add(1, Ordering::SeqCst);
            drop(marks);
            return mark;
        }
        for key in keys.iter() {
            // One that stands (of a commit that the end of the term has left undecided) hides nothing by staying.
            if let Entry::Vacant(entry) = marks.by_key.entry(key.clone()) {
                entry.insert(mark.clone());
                if let Some(count) = self.counts.make(Slot::of(key).index()) {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
        drop(marks);
        mark
    }

    /// Takes `mark` away from `keys` and wakes who waits for it. A mark of another commit on one of them stays: after the
    /// term's end latches keep nobody apart any more.
    pub(crate) fn leave(&self, keys: &KeyList, mark: &Arc<Mark>) {
        let mut marks = self.marks.lock();
        if keys.is_long() {
            if let Some(place) = marks.lists.iter().position(|(_, found)| Arc::ptr_eq(found, mark)) {
                marks.lists.swap_remove(place);
                self.lists.fetch_sub(1, Ordering::SeqCst);
            }
        } else {
            for key in keys.iter() {
                if let Entry::Occupied(found) = marks.by_key.entry(key.clone())
                    && Arc::ptr_eq(found.get(), mark)
                {
                    found.remove();
                    if let Some(count) = self.counts.get(Slot::of(key).index()) {
                        count.fetch_sub(1, Ordering::SeqCst);
                    }
                }
            }
        }
        drop(marks);
        mark.finish();
    }

    /// Whether no commit is under way on any key of a slot. The read memory was raised before.
    pub(crate) fn is_quiet(&self, slot: Slot) -> bool {
        let is_none = |count: &AtomicU32| count.load(Ordering::SeqCst) == 0;
        self.counts.get(slot.index()).is_none_or(is_none) && is_none(&self.lists)
    }

    /// As [`InFlight::settle_key_but`], whoever has reserved the key.
    #[cfg(test)]
    pub(crate) async fn settle_key(&self, slot: Slot, key: &[u8], at: u64) -> Result<bool, TermEnded> {
        self.settle_key_but(slot, key, at, None).await
    }

    /// Waits until no commit at or below `at` is under way on `key`, whose slot is `slot`, unless the transaction itself has
    /// reserved the key; whether it had to. The read memory was raised before.
    pub(crate) async fn settle_key_but(
        &self,
        slot: Slot,
        key: &[u8],
        at: u64,
        own: Option<&TxnId>,
    ) -> Result<bool, TermEnded> {
        if self.is_quiet(slot) {
            return Ok(false);
        }
        let marks = self.marks.lock().on(key);
        let mut waited = false;
        for mark in marks {
            if own.is_none() || mark.owner.as_ref() != own {
                waited |= self.settled(&mark, at).await?;
            }
        }
        Ok(waited)
    }

    /// Those that a read of all keys at `at` waits for. The read memory was raised before.
    pub(crate) fn in_the_way(&self, at: u64) -> Vec<Arc<Mark>> {
        let marks = self.marks.lock();
        let mut found: Vec<Arc<Mark>> = Vec::new();
        for mark in marks.all() {
            let is_last = found.last().is_some_and(|last| Arc::ptr_eq(last, mark));
            if !is_last && !mark.is_past(at) {
                found.push(mark.clone());
            }
        }
        found
    }

    /// Waits until no commit at or below `at` is under way within `start <= key < end` (an empty end: without end);
    /// whether it had to. The read memory was raised before.
    pub(crate) async fn settle_span(&self, start: &[u8], end: &[u8], at: u64) -> Result<bool, TermEnded> {
        self.settle_span_but(start, end, at, None).await
    }

    /// As [`InFlight::settle_span`], without what the transaction itself has reserved.
    pub(crate) async fn settle_span_but(
        &self,
        start: &[u8],
        end: &[u8],
        at: u64,
        own: Option<&TxnId>,
    ) -> Result<bool, TermEnded> {
        let upper = if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(end) };
        if !end.is_empty() && start >= end {
            return Ok(false);
        }
        let mut waited_for: Vec<Arc<Mark>> = Vec::new();
        {
            let marks = self.marks.lock();
            let within = marks.by_key.range::<[u8], _>((Bound::Included(start), upper)).map(|(_, mark)| mark);
            let listed = marks.lists.iter().filter(|(keys, _)| keys.has_within(start, end));
            for mark in within.chain(listed.map(|(_, mark)| mark)) {
                let is_own = own.is_some() && mark.owner.as_ref() == own;
                let is_last = waited_for.last().is_some_and(|last| Arc::ptr_eq(last, mark));
                if !is_own && !is_last && !mark.is_past(at) {
                    waited_for.push(mark.clone());
                }
            }
        }
        let mut waited = false;
        for mark in waited_for {
            waited |= self.settled(&mark, at).await?;
        }
        Ok(waited)
    }

    async fn settled(&self, mark: &Mark, at: u64) -> Result<bool, TermEnded> {
        let mut waited = false;
        loop {
            let mut changed = pin!(mark.changed.notified());
            changed.as_mut().enable();
            if self.ended.load(Ordering::SeqCst) {
                return Err(TermEnded);
            }
            if mark.is_past(at) {
                return Ok(waited);
            }
            waited = true;
            changed.await;
        }
    }

    /// Ends the term: whoever waits is told.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        for mark in self.marks.lock().all() {
            mark.changed.notify_waiters();
        }
    }
}

impl std::fmt::Debug for InFlight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InFlight").field("commits", &self.marks.lock().all().count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn keys(names: &[&'static str]) -> KeyList {
        KeyList::ascending(names.iter().map(|name| Bytes::from_static(name.as_bytes())))
    }

    #[test]
    fn a_read_waits_for_an_undecided_commit_and_not_for_a_later_one() {
        let inflight = InFlight::new();
        let keys = keys(&["a", "b"]);
        let mark = inflight.enter(&keys);
        let slot = Slot::of(b"a");
        assert!(inflight.settle_key(slot, b"a", 10).now_or_never().is_none());
        mark.decide(11);
        assert_eq!(inflight.settle_key(slot, b"a", 10).now_or_never(), Some(Ok(false)));
        assert!(inflight.settle_key(slot, b"a", 11).now_or_never().is_none());
        inflight.leave(&keys, &mark);
        assert_eq!(inflight.settle_key(slot, b"a", 11).now_or_never(), Some(Ok(false)));
    }

    #[test]
    fn a_scan_waits_for_commits_within_its_span_only() {
        let inflight = InFlight::new();
        let keys = keys(&["b", "d"]);
        let mark = inflight.enter(&keys);
        mark.decide(5);
        assert_eq!(inflight.settle_span(b"c", b"d", 9).now_or_never(), Some(Ok(false)));
        assert!(inflight.settle_span(b"c", b"", 9).now_or_never().is_none());
        assert!(inflight.settle_span(b"a", b"c", 9).now_or_never().is_none());
        assert_eq!(inflight.settle_span(b"a", b"c", 4).now_or_never(), Some(Ok(false)));
    }

    #[test]
    fn what_is_in_the_way_of_all_keys_is_named_once() {
        let inflight = InFlight::new();
        let (first, second) = (keys(&["a", "b"]), keys(&["c"]));
        let (undecided, later) = (inflight.enter(&first), inflight.enter(&second));
        later.decide(11);
        let found = inflight.in_the_way(10);
        assert!(found.len() == 1 && Arc::ptr_eq(&found[0], &undecided));
        undecided.decide(10);
        assert!(!found[0].is_past(10));
        inflight.leave(&first, &undecided);
        assert!(found[0].is_past(10) && inflight.in_the_way(10).is_empty());
        assert_eq!(inflight.in_the_way(11).len(), 1);
    }

    #[test]
    fn a_commit_takes_no_other_commits_mark_away() {
        let inflight = InFlight::new();
        let keys = keys(&["a"]);
        let first = inflight.enter(&keys);
        // Only after the end of the term, when latches keep nobody apart.
        let second = inflight.enter(&keys);
        inflight.leave(&keys, &second);
        assert!(inflight.settle_key(Slot::of(b"a"), b"a", 10).now_or_never().is_none());
        inflight.leave(&keys, &first);
        assert_eq!(inflight.settle_key(Slot::of(b"a"), b"a", 10).now_or_never(), Some(Ok(false)));
    }

    #[test]
    fn a_commit_of_many_keys_is_waited_for_like_one_of_few() {
        let inflight = InFlight::new();
        let names = (0..200).map(|number| Bytes::from(format!("a{:03}", number * 2)));
        let keys = KeyList::ascending(names);
        assert!(keys.is_long());
        let mark = inflight.enter_as(Mark::owned([1; 16]), &keys);
        let waits = |key: &[u8], at, own| {
            inflight.settle_key_but(Slot::of(key), key, at, own).now_or_never().is_none()
        };
        let waits_within =
            |start: &[u8], end: &[u8], at| inflight.settle_span(start, end, at).now_or_never().is_none();
        assert!(waits(b"a000", 10, None) && waits(b"a398", 10, Some(&[2; 16])));
        assert!(!waits(b"a200", 10, Some(&[1; 16])) && !waits(b"a001", 10, None) && !waits(b"b", 10, None));
        assert!(waits_within(b"a001", b"a003", 10) && waits_within(b"", b"", 10));
        assert!(!waits_within(b"a001", b"a002", 10) && !waits_within(b"a399", b"", 10));
        mark.decide(11);
        assert!(!waits(b"a000", 10, None) && waits(b"a000", 11, None));
        let few = self::keys(&["a001"]);
        let other = inflight.enter(&few);
        inflight.leave(&keys, &mark);
        assert!(!waits(b"a000", 11, None) && waits(b"a001", 11, None));
        inflight.leave(&few, &other);
        assert!(!waits(b"a001", 11, None) && !waits_within(b"", b"", 11));
        assert_eq!(inflight.lists.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn the_end_of_the_term_wakes_who_waits() {
        let inflight = Arc::new(InFlight::new());
        let keys = keys(&["a"]);
        let _mark = inflight.enter(&keys);
        let waiting = {
            let inflight = inflight.clone();
            env::task::spawn(async move { inflight.settle_key(Slot::of(b"a"), b"a", 1).await })
        };
        tokio::task::yield_now().await;
        inflight.end();
        assert_eq!(waiting.await.unwrap(), Err(TermEnded));
    }
}
