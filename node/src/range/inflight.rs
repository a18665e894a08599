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
//! key's [`Slot`], so that a read of a key that nobody commits takes no lock; for spans both are mutexes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::locks::TxnId;
use super::memory::{SLOTS, Slot};

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
    fn is_past(&self, at: u64) -> bool {
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
pub(crate) struct InFlight {
    counts: Box<[AtomicU32]>,
    marks: Mutex<BTreeMap<Bytes, Arc<Mark>>>,
    ended: AtomicBool,
}

impl InFlight {
    /// Nothing in flight.
    pub(crate) fn new() -> Self {
        Self {
            counts: (0..SLOTS).map(|_| AtomicU32::new(0)).collect(),
            marks: Mutex::new(BTreeMap::new()),
            ended: AtomicBool::new(false),
        }
    }

    /// Marks `keys`, their timestamp undecided.
    pub(crate) fn enter<'a>(&self, keys: impl Iterator<Item = &'a Bytes>) -> Arc<Mark> {
        self.enter_as(Mark::default(), keys)
    }

    /// The same with a mark of the caller's.
    pub(crate) fn enter_as<'a>(&self, mark: Mark, keys: impl Iterator<Item = &'a Bytes>) -> Arc<Mark> {
        let mark = Arc::new(mark);
        let mut marks = self.marks.lock();
        for key in keys {
            // One that stands (of a commit that the end of the term has left undecided) hides nothing by staying.
            if let Entry::Vacant(entry) = marks.entry(key.clone()) {
                entry.insert(mark.clone());
                if let Some(count) = self.counts.get(Slot::of(key).index()) {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
        drop(marks);
        mark
    }

    /// Takes `mark` away from `keys` and wakes who waits for it. A mark of another commit on one of them stays: after the
    /// term's end latches keep nobody apart any more.
    pub(crate) fn leave<'a>(&self, keys: impl Iterator<Item = &'a Bytes>, mark: &Arc<Mark>) {
        let mut marks = self.marks.lock();
        for key in keys {
            if let Entry::Occupied(found) = marks.entry(key.clone())
                && Arc::ptr_eq(found.get(), mark)
            {
                found.remove();
                if let Some(count) = self.counts.get(Slot::of(key).index()) {
                    count.fetch_sub(1, Ordering::SeqCst);
                }
            }
        }
        drop(marks);
        mark.finish();
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
        if self.counts.get(slot.index()).is_none_or(|count| count.load(Ordering::SeqCst) == 0) {
            return Ok(false);
        }
        let mark = self.marks.lock().get(key).cloned();
        match mark {
            Some(mark) if own.is_none() || mark.owner.as_ref() != own => self.settled(&mark, at).await,
            _ => Ok(false),
        }
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
        for (_, mark) in self.marks.lock().range::<[u8], _>((Bound::Included(start), upper)) {
            let is_own = own.is_some() && mark.owner.as_ref() == own;
            if !is_own && !mark.is_past(at) && waited_for.last().is_none_or(|last| !Arc::ptr_eq(last, mark)) {
                waited_for.push(mark.clone());
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
        for mark in self.marks.lock().values() {
            mark.changed.notify_waiters();
        }
    }
}

impl std::fmt::Debug for InFlight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InFlight").field("keys", &self.marks.lock().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn keys(names: &[&'static str]) -> Vec<Bytes> {
        names.iter().map(|name| Bytes::from_static(name.as_bytes())).collect()
    }

    #[test]
    fn a_read_waits_for_an_undecided_commit_and_not_for_a_later_one() {
        let inflight = InFlight::new();
        let keys = keys(&["a", "b"]);
        let mark = inflight.enter(keys.iter());
        let slot = Slot::of(b"a");
        assert!(inflight.settle_key(slot, b"a", 10).now_or_never().is_none());
        mark.decide(11);
        assert_eq!(inflight.settle_key(slot, b"a", 10).now_or_never(), Some(Ok(false)));
        assert!(inflight.settle_key(slot, b"a", 11).now_or_never().is_none());
        inflight.leave(keys.iter(), &mark);
        assert_eq!(inflight.settle_key(slot, b"a", 11).now_or_never(), Some(Ok(false)));
    }

    #[test]
    fn a_scan_waits_for_commits_within_its_span_only() {
        let inflight = InFlight::new();
        let keys = keys(&["b", "d"]);
        let mark = inflight.enter(keys.iter());
        mark.decide(5);
        assert_eq!(inflight.settle_span(b"c", b"d", 9).now_or_never(), Some(Ok(false)));
        assert!(inflight.settle_span(b"c", b"", 9).now_or_never().is_none());
        assert!(inflight.settle_span(b"a", b"c", 9).now_or_never().is_none());
        assert_eq!(inflight.settle_span(b"a", b"c", 4).now_or_never(), Some(Ok(false)));
    }

    #[test]
    fn a_commit_takes_no_other_commits_mark_away() {
        let inflight = InFlight::new();
        let keys = keys(&["a"]);
        let first = inflight.enter(keys.iter());
        // Only after the end of the term, when latches keep nobody apart.
        let second = inflight.enter(keys.iter());
        inflight.leave(keys.iter(), &second);
        assert!(inflight.settle_key(Slot::of(b"a"), b"a", 10).now_or_never().is_none());
        inflight.leave(keys.iter(), &first);
        assert_eq!(inflight.settle_key(Slot::of(b"a"), b"a", 10).now_or_never(), Some(Ok(false)));
    }

    #[tokio::test]
    async fn the_end_of_the_term_wakes_who_waits() {
        let inflight = Arc::new(InFlight::new());
        let keys = keys(&["a"]);
        let _mark = inflight.enter(keys.iter());
        let waiting = {
            let inflight = inflight.clone();
            env::task::spawn(async move { inflight.settle_key(Slot::of(b"a"), b"a", 1).await })
        };
        tokio::task::yield_now().await;
        inflight.end();
        assert_eq!(waiting.await.unwrap(), Err(TermEnded));
    }
}
