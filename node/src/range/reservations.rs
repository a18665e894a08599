//! Keys that are about to be prewritten at exactly one timestamp.
//!
//! A transaction that has read outside of what it writes proves at a timestamp T that nothing of it has changed, and commits
//! at T or not at all. Had anybody read what it is about to write at or above T meanwhile, it could not. So the keys are
//! reserved first: latched, and marked as a commit's at T, which reads at or above T wait for. That none has read them at or
//! above T by then is found after that, and holds until the prewrite comes, whatever the transaction itself reads in between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::inflight::{InFlight, Mark};
use super::key_list::KeyList;
use super::latches::LatchGuard;
use super::locks::TxnId;

/// Keys that nobody else reads at or above a timestamp, or writes, as long as this is there.
pub(crate) struct Reserved {
    keys: KeyList,
    mark: Arc<Mark>,
    latch: Option<LatchGuard>,
    inflight: Arc<InFlight>,
}

impl Reserved {
    /// Keys that are latched for `owner`: marks them, undecided still.
    pub(crate) fn new(owner: TxnId, keys: KeyList, latch: LatchGuard, inflight: Arc<InFlight>) -> Self {
        let mark = inflight.enter_as(Mark::owned(owner), &keys);
        Self { keys, mark, latch: Some(latch), inflight }
    }

    /// The keys, ascending.
    pub(crate) fn keys(&self) -> &[Bytes] {
        &self.keys
    }

    /// Their mark.
    pub(crate) fn mark(&self) -> &Arc<Mark> {
        &self.mark
    }

    /// Keys, mark and latches, for whom they were reserved: that one gives them up.
    pub(crate) fn into_parts(mut self) -> (KeyList, Arc<Mark>, Option<LatchGuard>) {
        let latch = self.latch.take();
        (std::mem::take(&mut self.keys), self.mark.clone(), latch)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.keys.is_empty() {
            self.inflight.leave(&self.keys, &self.mark);
        }
    }
}

/// What one request has reserved, with its number.
type Numbered = (u64, Reserved);

/// What is reserved in one term of a range, by transaction and timestamp, numbered.
#[derive(Default)]
pub(crate) struct Reservations {
    reserved: Mutex<BTreeMap<(TxnId, u64), Vec<Numbered>>>,
    numbers: AtomicU64,
}

impl Reservations {
    /// Keeps keys for a transaction; the number of that.
    pub(crate) fn put(&self, txn: TxnId, at: u64, reserved: Reserved) -> u64 {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.reserved.lock().entry((txn, at)).or_default().push((number, reserved));
        number
    }

    /// Whether nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.reserved.lock().is_empty()
    }

    /// What is kept for the transaction along with `key`.
    pub(crate) fn take(&self, txn: TxnId, at: u64, key: &Bytes) -> Option<Reserved> {
        self.take_where(txn, at, |_, reserved| reserved.keys.binary_search(key).is_ok())
    }

    /// It is kept no longer, if it is still.
    pub(crate) fn drop_late(&self, txn: TxnId, at: u64, number: u64) {
        let late = self.take_where(txn, at, |known, _| known == number);
        drop(late);
    }

    fn take_where(&self, txn: TxnId, at: u64, is: impl Fn(u64, &Reserved) -> bool) -> Option<Reserved> {
        let mut all = self.reserved.lock();
        let of_txn = all.get_mut(&(txn, at))?;
        let place = of_txn.iter().position(|(number, reserved)| is(*number, reserved))?;
        let (_, taken) = of_txn.swap_remove(place);
        if of_txn.is_empty() {
            all.remove(&(txn, at));
        }
        Some(taken)
    }

    /// Keeps nothing any more that reaches up to `from` or beyond: no prewrite of it comes to this range any more, for who
    /// learns that a range is another begins another attempt.
    pub(crate) fn give_away(&self, from: &[u8]) {
        let mut gone = Vec::new();
        self.reserved.lock().retain(|_, of_txn| {
            let reaches = |(_, reserved): &mut (u64, Reserved)| {
                reserved.keys.last().is_some_and(|last| **last >= *from)
            };
            gone.extend(of_txn.extract_if(.., reaches));
            !of_txn.is_empty()
        });
        drop(gone);
    }

    /// Ends the term: nothing of this will be prewritten in it.
    pub(crate) fn end(&self) {
        let reserved = std::mem::take(&mut *self.reserved.lock());
        drop(reserved);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::range::latches::{Footprint, Latches};
    use crate::range::memory::Slot;

    #[tokio::test]
    async fn a_reserved_key_is_read_below_and_waited_for_above() {
        let (inflight, latches) = (Arc::new(InFlight::new()), Arc::new(Latches::default()));
        let keys = KeyList::ascending([Bytes::from_static(b"da")]);
        let footprint = Footprint { writes: keys.clone(), reads: Vec::new() };
        let latch = latches.acquire(footprint.clone()).await.unwrap();
        let reserved = Reserved::new([1; 16], keys.clone(), latch, inflight.clone());
        reserved.mark().decide(10);
        let reservations = Reservations::default();
        reservations.put([1; 16], 10, reserved);
        let read = |at| inflight.settle_key(Slot::of(b"da"), b"da", at).now_or_never().is_some();
        assert!(read(9) && !read(10));
        assert!(latches.acquire(footprint.clone()).now_or_never().is_none());
        assert!(reservations.take([1; 16], 11, &keys[0]).is_none());
        assert!(reservations.take([1; 16], 10, &Bytes::from_static(b"db")).is_none());
        let own = inflight.settle_span_but(b"d", b"e", 10, Some(&[1; 16])).now_or_never();
        assert_eq!(own, Some(Ok(false)));
        let by = |id| inflight.settle_key_but(Slot::of(b"da"), b"da", 10, Some(id)).now_or_never();
        assert_eq!((by(&[1; 16]), by(&[2; 16])), (Some(Ok(false)), None));
        assert!(inflight.settle_span_but(b"d", b"e", 10, Some(&[2; 16])).now_or_never().is_none());
        drop(reservations.take([1; 16], 10, &keys[0]).unwrap());
        assert!(read(10) && latches.acquire(footprint).now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_reaches_into_keys_that_were_given_away_is_kept_no_longer() {
        let (inflight, latches) = (Arc::new(InFlight::new()), Arc::new(Latches::default()));
        let reservations = Reservations::default();
        for (place, names) in [&["da"][..], &["db", "dy"], &["dz"]].into_iter().enumerate() {
            let keys = KeyList::ascending(names.iter().map(|name| Bytes::from_static(name.as_bytes())));
            let footprint = Footprint { writes: keys.clone(), reads: Vec::new() };
            let latch = latches.acquire(footprint).await.unwrap();
            let reserved = Reserved::new([1; 16], keys, latch, inflight.clone());
            reserved.mark().decide(10);
            assert_eq!(reservations.put([1; 16], 10, reserved), place as u64);
        }
        reservations.give_away(b"dm");
        let read = |key: &'static [u8]| inflight.settle_key(Slot::of(key), key, 10).now_or_never().is_some();
        assert!(!read(b"da") && read(b"db") && read(b"dy") && read(b"dz"));
        assert!(reservations.take([1; 16], 10, &Bytes::from_static(b"dz")).is_none());
        assert!(reservations.take([1; 16], 10, &Bytes::from_static(b"da")).is_some());
    }
}
