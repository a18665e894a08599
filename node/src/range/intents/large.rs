//! Large transactions: what a term has of them in memory is one entry each, however many intents they have. Those are looked
//! up on disk, by whoever comes to keys between the least and the greatest of them.
//!
//! A reader does not wait for a large transaction to end: it has it commit above what the reader reads at (it is *pushed*), or,
//! once it is decided, reads its intents as what they are to become. Who writes has such an intent resolved first.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use env::clock::Instant;
use keys::Span;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::look::Look;
use crate::range::locks::TxnId;

/// After so long without a sign of life of its coordinator a transaction with intents is settled by whoever finds them.
pub(crate) const EXPIRY: Duration = Duration::from_secs(5);

/// A transaction with flushed intents in this range.
#[derive(Debug)]
pub(crate) struct Large {
    /// Its id.
    pub(crate) txn: TxnId,
    /// When it began.
    pub(crate) start_timestamp: u64,
    /// What says what becomes of it.
    pub(crate) primary: Bytes,
    state: Mutex<State>,
    /// What its primary's range is to be asked for: that it commits above this.
    wanted: AtomicU64,
    asked: Notify,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    /// Its intents stand from here on.
    start: Bytes,
    /// And below this.
    end: Bytes,
    /// It commits at this timestamp, or above it.
    minimum: u64,
    outcome: Option<Outcome>,
    seen: Instant,
    /// Counts what has changed: more intents, an outcome, a minimum.
    version: u64,
    /// How often it has flushed.
    flushes: u64,
}

/// What has become of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Committed then.
    Committed(u64),
    /// It has never been.
    Aborted,
}

/// Intents that have come to stand.
#[derive(Debug)]
pub(crate) struct Flushed {
    /// Their transaction.
    pub(crate) txn: TxnId,
    /// When that began.
    pub(crate) start_timestamp: u64,
    /// Its primary.
    pub(crate) primary: Bytes,
    /// The keys lie between these two.
    pub(crate) keys: Span,
    /// The least timestamp that they can be committed at.
    pub(crate) minimum: u64,
}

impl Large {
    fn new(flushed: Flushed) -> Self {
        let Flushed { txn, start_timestamp, primary, keys: Span { start, end }, minimum } = flushed;
        let (seen, outcome) = (env::clock::now(), None);
        let state = State { start, end, minimum, outcome, seen, version: 0, flushes: 1 };
        let (asked, changed) = (Notify::new(), Notify::new());
        let (state, wanted) = (Mutex::new(state), AtomicU64::new(0));
        Self { txn, start_timestamp, primary, state, wanted, asked, changed }
    }

    fn flush(&self, flushed: Flushed) {
        self.change(|state| {
            state.flushes += 1;
            state.seen = env::clock::now();
            if flushed.keys.start < state.start {
                state.start = flushed.keys.start;
            }
            if flushed.keys.end > state.end {
                state.end = flushed.keys.end;
            }
        });
    }

    /// What became of it, as far as that is known here.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.state.lock().outcome
    }

    /// That is known now.
    pub(crate) fn decided(&self, outcome: Outcome) {
        self.change(|state| state.outcome = Some(outcome));
    }

    /// It commits at `minimum` or above, if it does.
    pub(crate) fn pushed(&self, minimum: u64) {
        // Who waits need not look again where nothing has changed.
        if self.state.lock().minimum < minimum {
            self.change(|state| state.minimum = state.minimum.max(minimum));
        }
    }

    /// Some of its intents are gone.
    pub(crate) fn resolved(&self) {
        self.change(|_| ());
    }

    /// The span that all its intents here stand in, and how often it had flushed then.
    pub(crate) fn keys(&self) -> (Span, u64) {
        let state = self.state.lock();
        (Span { start: state.start.clone(), end: state.end.clone() }, state.flushes)
    }

    /// Asks for it to commit above `at`.
    pub(crate) fn want(&self, at: u64) {
        self.wanted.fetch_max(at, Ordering::SeqCst);
        self.asked.notify_one();
    }

    /// What it is to commit above, if it is not known to do so.
    pub(crate) fn wanted(&self) -> u64 {
        let wanted = self.wanted.load(Ordering::SeqCst);
        if self.state.lock().minimum > wanted { 0 } else { wanted }
    }

    /// Completes once somebody has [`want`](Self::want)ed something.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    fn is_in_the_way(&self, look: Look) -> bool {
        self.state.lock().is_in_the_way(look)
    }

    fn is_expired(&self) -> bool {
        env::clock::now().duration_since(self.state.lock().seen) >= EXPIRY
    }

    /// Whether an intent of it may stand on the key `start`, or, if there is an `end`, on one from there on and below that.
    fn reaches(&self, start: &[u8], end: Option<&[u8]>) -> bool {
        let state = self.state.lock();
        let begins_before = match end {
            None => state.start.as_ref() <= start,
            Some(end) => end.is_empty() || state.start.as_ref() < end,
        };
        begins_before && start < state.end.as_ref()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        state.version += 1;
        drop(state);
        self.changed.notify_waiters();
    }

    fn version(&self) -> u64 {
        self.state.lock().version
    }

    /// Completes once something is another than at `version`.
    async fn changes(&self, version: u64) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.version() != version {
                return;
            }
            changed.await;
        }
    }
}

impl State {
    fn is_in_the_way(&self, look: Look) -> bool {
        match (look, self.outcome) {
            (Look::Write, _) => true,
            (Look::Read(at) | Look::Check { at, .. }, None) => self.minimum <= at,
            (Look::Check { since, at }, Some(Outcome::Committed(timestamp))) => {
                since < timestamp && timestamp <= at
            }
            (Look::Read(_), Some(_)) | (Look::Check { .. }, Some(Outcome::Aborted)) => false,
        }
    }
}

/// The large transactions with intents in a range, by start timestamp.
#[derive(Debug, Default)]
pub(crate) struct LargeTxns {
    any: AtomicBool,
    by_start: Mutex<BTreeMap<u64, Arc<Large>>>,
}

/// A large transaction that is met.
#[derive(Clone, Debug)]
pub(crate) struct Met {
    /// The transaction.
    pub(crate) large: Arc<Large>,
    version: u64,
}

impl Met {
    /// Completes once the transaction is another than when it was met.
    pub(crate) async fn changes(&self) {
        self.large.changes(self.version).await;
    }
}

impl LargeTxns {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::SeqCst)
    }

    /// Intents have come to stand.
    pub(crate) fn flushed(&self, flushed: Flushed) {
        let mut by_start = self.by_start.lock();
        match by_start.get(&flushed.start_timestamp) {
            Some(large) => large.flush(flushed),
            None => {
                self.any.store(true, Ordering::SeqCst);
                by_start.insert(flushed.start_timestamp, Arc::new(Large::new(flushed)));
            }
        }
    }

    /// The one that began then.
    pub(crate) fn get(&self, start: u64) -> Option<Arc<Large>> {
        if self.is_empty() {
            return None;
        }
        self.by_start.lock().get(&start).cloned()
    }

    /// No intents of it are left here, if it has not flushed more than so often.
    pub(crate) fn done(&self, start: u64, flushes: u64) {
        let mut by_start = self.by_start.lock();
        if by_start.get(&start).is_some_and(|large| large.keys().1 == flushes)
            && let Some(large) = by_start.remove(&start)
        {
            large.resolved();
        }
        self.any.store(!by_start.is_empty(), Ordering::SeqCst);
    }

    /// The earliest start.
    pub(crate) fn oldest(&self) -> Option<u64> {
        if self.is_empty() {
            return None;
        }
        self.by_start.lock().keys().next().copied()
    }

    /// Of those that did not begin at `own` the ones that are in the way of `look` and may have an intent there.
    pub(crate) fn in_the_way(&self, start: &[u8], end: Option<&[u8]>, look: Look, own: u64) -> Vec<Met> {
        if self.is_empty() {
            return Vec::new();
        }
        let by_start = self.by_start.lock();
        let others = by_start.values().filter(|large| large.start_timestamp != own);
        let met = others.filter_map(|large| {
            // In this order, so that no change goes unnoticed.
            let version = large.version();
            let is = large.is_in_the_way(look) && large.reaches(start, end);
            is.then(|| Met { large: large.clone(), version })
        });
        met.collect()
    }

    /// Those whose intents a read at `at` sees: what it has itself flushed, and what is committed up to then, with when.
    pub(crate) fn seen(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
        at: u64,
        own: Option<u64>,
    ) -> Vec<(u64, Option<u64>)> {
        if self.is_empty() {
            return Vec::new();
        }
        let by_start = self.by_start.lock();
        let there = by_start.values().filter(|large| large.reaches(start, end));
        let seen = there.filter_map(|large| match large.outcome() {
            _ if Some(large.start_timestamp) == own => Some((large.start_timestamp, None)),
            Some(Outcome::Committed(timestamp)) if timestamp <= at => {
                Some((large.start_timestamp, Some(timestamp)))
            }
            _ => None,
        });
        seen.collect()
    }

    /// A sign of life; false if it has no intents here.
    pub(crate) fn heartbeat(&self, txn: &TxnId) -> bool {
        if self.is_empty() {
            return false;
        }
        let by_start = self.by_start.lock();
        let mut is_known = false;
        for large in by_start.values().filter(|large| large.txn == *txn) {
            large.state.lock().seen = env::clock::now();
            is_known = true;
        }
        is_known
    }

    /// Whether the one that began then has shown no sign of life for long; None if there is none.
    pub(crate) fn is_expired(&self, start: u64) -> Option<bool> {
        Some(self.get(start)?.is_expired())
    }

    /// Those that have shown no sign of life for long.
    pub(crate) fn expired(&self) -> Vec<Met> {
        if self.is_empty() {
            return Vec::new();
        }
        let by_start = self.by_start.lock();
        let expired = by_start.values().filter(|large| large.is_expired());
        expired.map(|large| Met { large: large.clone(), version: large.version() }).collect()
    }

    /// Forgets what stands from `from` on.
    pub(crate) fn give_away(&self, from: &[u8]) {
        let mut by_start = self.by_start.lock();
        by_start.retain(|_, large| {
            let reaches = large.state.lock().end.as_ref() > from;
            if reaches {
                large.change(|state| state.end = Bytes::copy_from_slice(from));
            }
            large.state.lock().start.as_ref() < from
        });
        self.any.store(!by_start.is_empty(), Ordering::SeqCst);
    }

    /// Whoever waits is told that something is over.
    pub(crate) fn end(&self) {
        self.by_start.lock().values().for_each(|large| large.resolved());
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.by_start.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn flushed(start_timestamp: u64, least: &'static str, greatest: &'static str, minimum: u64) -> Flushed {
        let key = |name: &'static str| Bytes::from_static(name.as_bytes());
        let keys = Span { start: key(least), end: keys::span::successor(&key(greatest)) };
        Flushed { txn: [1; 16], start_timestamp, primary: key("da"), keys, minimum }
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_has_it_pushed_or_sees_what_it_has_committed() {
        let txns = LargeTxns::default();
        assert!(txns.in_the_way(b"da", None, Look::Write, 0).is_empty());
        txns.flushed(flushed(10, "dc", "dd", 20));
        txns.flushed(flushed(10, "da", "db", 30));
        let meets = |key: &[u8], look| !txns.in_the_way(key, None, look, 0).is_empty();
        assert!(meets(b"da", Look::Read(20)) && meets(b"dd", Look::Write) && !meets(b"da", Look::Read(19)));
        assert!(!meets(b"d", Look::Write) && !meets(b"de", Look::Write));
        assert!(txns.in_the_way(b"da", None, Look::Write, 10).is_empty());
        let met = txns.in_the_way(b"d", Some(b""), Look::Read(25), 0).remove(0);
        met.large.want(25);
        assert_eq!(met.large.wanted(), 25);
        assert!(met.changes().now_or_never().is_none());
        met.large.pushed(26);
        assert!(met.changes().now_or_never().is_some() && met.large.wanted() == 0);
        assert!(!meets(b"da", Look::Read(25)) && meets(b"da", Look::Read(26)));
        assert!(txns.seen(b"da", None, 40, None).is_empty());
        assert_eq!(txns.seen(b"da", None, 5, Some(10)), [(10, None)]);
        met.large.decided(Outcome::Committed(30));
        assert!(!meets(b"da", Look::Read(40)) && meets(b"da", Look::Write));
        assert!(meets(b"da", Look::Check { since: 29, at: 30 }));
        assert!(!meets(b"da", Look::Check { since: 30, at: 40 }));
        assert!(!meets(b"da", Look::Check { since: 20, at: 29 }));
        assert_eq!(txns.seen(b"d", Some(b"e"), 30, None), [(10, Some(30))]);
        assert!(txns.seen(b"da", None, 29, None).is_empty());
        txns.done(10, 1);
        assert_eq!(txns.oldest(), Some(10), "it has flushed since");
        txns.done(10, 2);
        assert!(txns.is_empty() && txns.oldest().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_given_away_is_out_of_reach() {
        let txns = LargeTxns::default();
        txns.flushed(flushed(10, "da", "dz", 20));
        txns.flushed(flushed(11, "dn", "do", 20));
        txns.give_away(b"dm");
        assert_eq!((txns.count(), txns.oldest()), (1, Some(10)));
        assert!(txns.in_the_way(b"dn", None, Look::Write, 0).is_empty());
        assert_eq!(txns.in_the_way(b"dl", None, Look::Write, 0).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn signs_of_life_keep_it_from_being_settled() {
        let txns = LargeTxns::default();
        txns.flushed(flushed(10, "da", "db", 20));
        env::clock::sleep(EXPIRY / 2).await;
        assert!(txns.heartbeat(&[1; 16]) && !txns.heartbeat(&[2; 16]));
        env::clock::sleep(EXPIRY / 2).await;
        assert!(txns.expired().is_empty() && txns.is_expired(10) == Some(false));
        env::clock::sleep(EXPIRY / 2).await;
        assert_eq!(txns.expired().len(), 1);
        assert_eq!(txns.is_expired(11), None);
    }
}
