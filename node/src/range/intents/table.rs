//! What a term has of its range's intents in memory, and who waits for them to go.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use env::clock::Instant;
use parking_lot::Mutex;
use proto::v1::Span;
use tokio::sync::Notify;

use super::large::{EXPIRY, Flushed, Large, LargeTxns, Met};
use super::look::Look;
use super::rows::{Intent, read_decision, read_intent};
use crate::range::inflight::TermEnded;
use crate::range::locks::TxnId;
use crate::range::refusal::Refusal;

/// So many intents of others are looked at for one of those that are in the way.
const LOOKED_MAX: usize = 64;

/// For so long a coordinator that lives resolves what it has committed by itself.
const RESOLVING: Duration = Duration::from_secs(2);

/// An intent that stands.
#[derive(Debug)]
pub(crate) struct Standing {
    /// The key that it stands on; empty where it is not known to stand on one.
    pub(crate) key: Bytes,
    /// Its transaction.
    pub(crate) txn: TxnId,
    /// When that began.
    pub(crate) start_timestamp: u64,
    /// The transaction commits at this timestamp, or above it.
    pub(crate) minimum: u64,
    /// What says what becomes of it.
    pub(crate) primary: Bytes,
    /// On the primary: every other key.
    pub(crate) others: Vec<Bytes>,
    /// Its transaction, if that is a large one.
    pub(crate) met: Option<Met>,
    gone: AtomicBool,
    changed: Notify,
}

impl Standing {
    /// An intent on `key`.
    pub(crate) fn new(
        key: Bytes,
        txn: TxnId,
        start_timestamp: u64,
        minimum: u64,
        primary: Bytes,
        others: Vec<Bytes>,
    ) -> Self {
        let (gone, changed) = (AtomicBool::new(false), Notify::new());
        Self { key, txn, start_timestamp, minimum, primary, others, met: None, gone, changed }
    }

    /// One of a large transaction, found on disk.
    pub(crate) fn of_large(met: Met, key: Bytes, minimum: u64) -> Self {
        let Large { txn, start_timestamp, primary, .. } = &*met.large;
        let standing = Self::new(key, *txn, *start_timestamp, minimum, primary.clone(), Vec::new());
        Self { met: Some(met), ..standing }
    }

    /// Completes when it stands no more.
    pub(crate) async fn gone(&self) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.gone.load(Ordering::SeqCst) {
                return;
            }
            changed.await;
        }
    }

    fn go(&self) {
        self.gone.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }
}

/// A transaction that was committed here, on its primary, and has keys elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    /// The primary.
    pub(crate) primary: Bytes,
    /// The transaction.
    pub(crate) txn: TxnId,
    /// When it was committed.
    pub(crate) commit_timestamp: u64,
    /// Its keys in other ranges.
    pub(crate) others: Vec<Bytes>,
    /// All that it has written, if it is a large one.
    pub(crate) spans: Vec<Span>,
    since: Instant,
}

impl Decided {
    /// A transaction that was committed just now.
    pub(crate) fn new(primary: Bytes, txn: TxnId, commit_timestamp: u64, others: Vec<Bytes>) -> Self {
        Self { primary, txn, commit_timestamp, others, spans: Vec::new(), since: env::clock::now() }
    }

    /// A large one.
    pub(crate) fn large(primary: Bytes, txn: TxnId, commit_timestamp: u64, spans: Vec<Span>) -> Self {
        Self { spans, ..Self::new(primary, txn, commit_timestamp, Vec::new()) }
    }
}

/// What a command that was applied changes.
#[derive(Debug)]
pub(crate) enum Change {
    /// An intent stands from now on.
    Intent(Standing),
    /// Intents of a large transaction do.
    Flushed(Flushed),
    /// Some of those of the one that began then do not any more.
    Resolved(u64),
    /// The intent of the transaction that began then stands on the key no more.
    Gone(Bytes, u64),
    /// The transaction that began then is committed.
    Decided(u64, Decided),
    /// Its record is gone.
    Forgotten(u64),
}

/// A transaction with intents here.
#[derive(Debug)]
struct Txn {
    id: TxnId,
    keys: BTreeSet<Bytes>,
    seen: Instant,
}

#[derive(Debug, Default)]
struct Table {
    keys: BTreeMap<Bytes, Arc<Standing>>,
    /// By start timestamp.
    txns: BTreeMap<u64, Txn>,
    ids: BTreeMap<TxnId, BTreeSet<u64>>,
    decisions: BTreeMap<u64, Decided>,
    chased: BTreeSet<u64>,
    ended: bool,
}

/// The intents of a range in one term of its leader.
#[derive(Debug, Default)]
pub(crate) struct Intents {
    /// How many intents stand.
    count: AtomicUsize,
    table: Mutex<Table>,
    /// Large transactions, whose intents are looked up on disk.
    pub(crate) large: LargeTxns,
    db: Option<lsm::Db>,
}

impl Intents {
    /// What the engine holds within `span`.
    pub(crate) fn load(db: &lsm::Db, span: &keys::Span) -> Result<Self, Refusal> {
        let intents = Self { db: Some(db.clone()), ..Self::default() };
        let rows = keys::range::intents(span);
        let within = (Bound::Included(rows.start.as_ref()), Bound::Excluded(rows.end.as_ref()));
        for row in db.scan(within, false)? {
            let (key, value) = row?;
            let Some((key, kind)) = keys::range::intent_row(&key) else {
                return Err(super::rows::RowError.into());
            };
            match kind {
                keys::range::IntentRow::Intent => {
                    let intent = read_intent(value)?;
                    if intent.flush != 0 {
                        let keys = keys::Span { end: keys::span::successor(&key), start: key };
                        let Intent { txn, start_timestamp, primary, minimum, .. } = intent;
                        let flushed = Flushed { txn, start_timestamp, primary, keys, minimum };
                        intents.change(Change::Flushed(flushed));
                        continue;
                    }
                    intents.change(Change::Intent(Standing::new(
                        key,
                        intent.txn,
                        intent.start_timestamp,
                        intent.minimum,
                        intent.primary,
                        intent.others,
                    )));
                }
                keys::range::IntentRow::Decision(start) => {
                    let (txn, commit_timestamp, others, spans) = read_decision(value)?;
                    let decided = Decided { spans, ..Decided::new(key, txn, commit_timestamp, others) };
                    intents.change(Change::Decided(start, decided));
                }
                keys::range::IntentRow::Rollback(_) => {}
            }
        }
        Ok(intents)
    }

    /// Follows what was applied.
    pub(crate) fn change(&self, change: Change) {
        let mut table = self.table.lock();
        match change {
            Change::Intent(standing) => {
                let standing = Arc::new(standing);
                let start = standing.start_timestamp;
                let txn = table.txns.entry(start).or_insert_with(|| Txn {
                    id: standing.txn,
                    keys: BTreeSet::new(),
                    seen: env::clock::now(),
                });
                txn.keys.insert(standing.key.clone());
                table.ids.entry(standing.txn).or_default().insert(start);
                if let Some(before) = table.keys.insert(standing.key.clone(), standing) {
                    before.go();
                } else {
                    self.count.fetch_add(1, Ordering::SeqCst);
                }
            }
            Change::Gone(key, start) => {
                if let Entry::Occupied(entry) = table.keys.entry(key)
                    && entry.get().start_timestamp == start
                {
                    let (key, standing) = entry.remove_entry();
                    table.left(&key, start);
                    self.count.fetch_sub(1, Ordering::SeqCst);
                    standing.go();
                }
            }
            Change::Flushed(flushed) => self.large.flushed(flushed),
            Change::Resolved(start) => {
                if let Some(large) = self.large.get(start) {
                    large.resolved();
                }
            }
            Change::Decided(start, decided) => {
                if let Some(large) = self.large.get(start) {
                    large.decided(super::large::Outcome::Committed(decided.commit_timestamp));
                }
                table.decisions.insert(start, decided);
            }
            Change::Forgotten(start) => {
                table.decisions.remove(&start);
            }
        }
    }

    /// Whether none stands.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0 && self.large.is_empty()
    }

    /// An intent on the key, of another transaction than the one that began at `own`, which is in the way.
    pub(crate) fn in_the_way(
        &self,
        key: &[u8],
        look: Look,
        own: u64,
    ) -> Result<Option<Arc<Standing>>, Refusal> {
        if self.is_empty() {
            return Ok(None);
        }
        let found = self.table.lock().keys.get(key).cloned();
        match found {
            Some(found) => {
                Ok(Some(found).filter(|found| look.minds(found.minimum) && found.start_timestamp != own))
            }
            None => self.large_in_the_way(key, look, own),
        }
    }

    fn large_in_the_way(&self, key: &[u8], look: Look, own: u64) -> Result<Option<Arc<Standing>>, Refusal> {
        let met = self.large.in_the_way(key, None, look, own);
        if met.is_empty() {
            return Ok(None);
        }
        let Some(intent) = self.row(key)? else { return Ok(None) };
        let of = met.into_iter().find(|met| met.large.start_timestamp == intent.start_timestamp);
        Ok(of
            .filter(|met| met.large.outcome().is_some() || look.minds(intent.minimum))
            .map(|met| Arc::new(Standing::of_large(met, Bytes::copy_from_slice(key), intent.minimum))))
    }

    /// The same within a span; an empty end is the end of the key space.
    pub(crate) fn in_the_way_within(
        &self,
        start: &[u8],
        end: &[u8],
        look: Look,
        own: u64,
    ) -> Result<Option<Arc<Standing>>, Refusal> {
        if self.is_empty() || (!end.is_empty() && start >= end) {
            return Ok(None);
        }
        let upper = if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(end) };
        {
            let table = self.table.lock();
            let mut within = table.keys.range::<[u8], _>((Bound::Included(start), upper));
            let found = within.find(|(_, found)| look.minds(found.minimum) && found.start_timestamp != own);
            if let Some((_, found)) = found {
                return Ok(Some(found.clone()));
            }
        }
        let met = self.large.in_the_way(start, Some(end), look, own);
        if met.is_empty() {
            return Ok(None);
        }
        let span = keys::Span::new(Bytes::copy_from_slice(start), Bytes::copy_from_slice(end));
        for (looked, found) in self.rows(&span, false)?.enumerate() {
            let (key, intent) = found?;
            let of = met.iter().find(|met| met.large.start_timestamp == intent.start_timestamp);
            if let Some(met) = of {
                return Ok(Some(Arc::new(Standing::of_large(met.clone(), key, intent.minimum))));
            }
            if looked >= LOOKED_MAX {
                // Whether it has one here or not: to wait for it, or to push it, does no harm. It stands on no key.
                let any = met.into_iter().next();
                return Ok(any.map(|met| Arc::new(Standing::of_large(met, Bytes::new(), intent.minimum))));
            }
        }
        Ok(None)
    }

    /// The intent on a key as it is stored.
    pub(crate) fn row(&self, key: &[u8]) -> Result<Option<Intent>, Refusal> {
        let Some(db) = &self.db else { return Ok(None) };
        match db.get(&keys::range::intent(key))? {
            Some(row) => Ok(Some(read_intent(row)?)),
            None => Ok(None),
        }
    }

    /// The intents of a span as they are stored, with their keys.
    pub(crate) fn rows(
        &self,
        span: &keys::Span,
        reverse: bool,
    ) -> Result<impl Iterator<Item = Result<(Bytes, Intent), Refusal>> + use<>, Refusal> {
        let rows = keys::range::intents(span);
        let within = (Bound::Included(rows.start.as_ref()), Bound::Excluded(rows.end.as_ref()));
        let stored = match &self.db {
            Some(db) => Some(db.scan(within, reverse)?),
            None => None,
        };
        Ok(stored.into_iter().flatten().filter_map(|row| {
            let read = || -> Result<Option<(Bytes, Intent)>, Refusal> {
                let (row, value) = row?;
                match keys::range::intent_row(&row) {
                    Some((key, keys::range::IntentRow::Intent)) => Ok(Some((key, read_intent(value)?))),
                    Some(_) => Ok(None),
                    None => Err(super::rows::RowError.into()),
                }
            };
            read().transpose()
        }))
    }

    /// The intent on a key.
    pub(crate) fn on(&self, key: &[u8]) -> Result<Option<Arc<Standing>>, Refusal> {
        if self.is_empty() {
            return Ok(None);
        }
        let found = self.table.lock().keys.get(key).cloned();
        if found.is_some() {
            return Ok(found);
        }
        self.large_in_the_way(key, Look::Write, 0)
    }

    /// Whether the transaction that began then has intents here.
    pub(crate) fn stands(&self, start: u64) -> bool {
        self.large.get(start).is_some() || self.table.lock().txns.contains_key(&start)
    }

    /// The keys here on which the transaction that began then has intents.
    pub(crate) fn keys_of(&self, start: u64) -> Vec<Bytes> {
        let table = self.table.lock();
        table.txns.get(&start).map(|txn| txn.keys.iter().cloned().collect()).unwrap_or_default()
    }

    /// The earliest start of a transaction that has an intent or a decision here.
    pub(crate) fn oldest(&self) -> Option<u64> {
        let table = self.table.lock();
        let oldest = [table.txns.keys().next(), table.decisions.keys().next()];
        oldest.into_iter().flatten().copied().chain(self.large.oldest()).min()
    }

    /// A sign of life; false if the transaction has no intent here.
    pub(crate) fn heartbeat(&self, txn: &TxnId) -> bool {
        if self.is_empty() {
            return false;
        }
        let is_large = self.large.heartbeat(txn);
        let mut table = self.table.lock();
        let Some(starts) = table.ids.get(txn).cloned() else { return is_large };
        let now = env::clock::now();
        for start in starts {
            if let Some(txn) = table.txns.get_mut(&start) {
                txn.seen = now;
            }
        }
        true
    }

    /// Whether the transaction that began then has shown no sign of life here for long. One that has nothing here has not.
    pub(crate) fn is_expired(&self, start: u64) -> bool {
        if let Some(expired) = self.large.is_expired(start) {
            return expired;
        }
        let table = self.table.lock();
        table.txns.get(&start).is_none_or(|txn| env::clock::now().duration_since(txn.seen) >= EXPIRY)
    }

    /// One intent of each transaction that must be settled by somebody else than its coordinator.
    pub(crate) fn expired(&self) -> Vec<Arc<Standing>> {
        if self.is_empty() {
            return Vec::new();
        }
        let (table, now) = (self.table.lock(), env::clock::now());
        let expired = table.txns.values().filter(|txn| now.duration_since(txn.seen) >= EXPIRY);
        let small = expired.filter_map(|txn| table.keys.get(txn.keys.first()?).cloned());
        let large = self.large.expired().into_iter();
        small.chain(large.map(|met| Arc::new(Standing::of_large(met, Bytes::new(), 0)))).collect()
    }

    /// What was committed so long ago that its coordinator does not resolve it any more, by start timestamp.
    pub(crate) fn unresolved(&self) -> Vec<(u64, Decided)> {
        let (table, now) = (self.table.lock(), env::clock::now());
        let late = table.decisions.iter().filter(|(start, decided)| {
            // The coordinator of a large one may be at it for long.
            let is_at_it = self.large.is_expired(**start) == Some(false);
            now.duration_since(decided.since) >= RESOLVING && !is_at_it
        });
        late.map(|(start, decided)| (*start, decided.clone())).collect()
    }

    /// Whether nobody else settles the transaction that began then, and so the caller may. At most `max` are settled at a
    /// time.
    pub(crate) fn chase(&self, start: u64, max: usize) -> bool {
        let mut table = self.table.lock();
        table.chased.len() < max && !table.ended && table.chased.insert(start)
    }

    /// The caller settles it no more.
    pub(crate) fn chased(&self, start: u64) {
        self.table.lock().chased.remove(&start);
    }

    /// Waits until an intent stands no more; of a large transaction, until anything about that has changed.
    pub(crate) async fn outlast(&self, standing: &Standing) -> Result<(), TermEnded> {
        match &standing.met {
            Some(met) => met.changes().await,
            None => standing.gone().await,
        }
        if self.table.lock().ended { Err(TermEnded) } else { Ok(()) }
    }

    /// Forgets what stands on keys from `from` on: another range serves them. Whoever waits finds that out.
    pub(crate) fn give_away(&self, from: &[u8]) {
        let mut table = self.table.lock();
        let behind = table.keys.range::<[u8], _>((Bound::Included(from), Bound::Unbounded));
        let keys: Vec<Bytes> = behind.map(|(key, _)| key.clone()).collect();
        for key in keys {
            let Some(standing) = table.keys.remove(&key) else { continue };
            table.left(&key, standing.start_timestamp);
            self.count.fetch_sub(1, Ordering::SeqCst);
            standing.go();
        }
        table.decisions.retain(|_, decided| decided.primary.as_ref() < from);
        self.large.give_away(from);
    }

    /// Ends the term: whoever waits is told.
    pub(crate) fn end(&self) {
        let mut table = self.table.lock();
        table.ended = true;
        table.keys.values().for_each(|standing| standing.go());
        self.large.end();
    }

    /// How many intents, those of a large transaction being one, and decisions stand.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let table = self.table.lock();
        (table.keys.len().saturating_add(self.large.count()), table.decisions.len())
    }
}

impl Table {
    fn left(&mut self, key: &Bytes, start: u64) {
        let Some(txn) = self.txns.get_mut(&start) else { return };
        txn.keys.remove(key);
        if !txn.keys.is_empty() {
            return;
        }
        let id = txn.id;
        self.txns.remove(&start);
        if let Entry::Occupied(mut starts) = self.ids.entry(id) {
            starts.get_mut().remove(&start);
            if starts.get().is_empty() {
                starts.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn key(name: &'static str) -> Bytes {
        Bytes::from_static(name.as_bytes())
    }

    fn standing(name: &'static str, start: u64, minimum: u64) -> Change {
        Change::Intent(Standing::new(key(name), [1; 16], start, minimum, key("da"), Vec::new()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_below_an_intents_minimum_ignores_it() {
        let intents = Intents::default();
        assert!(intents.in_the_way(b"da", Look::Write, 0).unwrap().is_none());
        intents.change(standing("da", 10, 20));
        assert!(
            intents.in_the_way(b"da", Look::Read(19), 0).unwrap().is_none()
                && intents.in_the_way(b"db", Look::Read(30), 0).unwrap().is_none()
        );
        assert!(intents.in_the_way(b"da", Look::Read(20), 10).unwrap().is_none());
        let found = intents.in_the_way(b"da", Look::Read(20), 0).unwrap().unwrap();
        assert!(
            intents.in_the_way_within(b"d", b"e", Look::Read(20), 0).unwrap().is_some()
                && intents.in_the_way_within(b"d", b"", Look::Read(20), 0).unwrap().is_some()
        );
        assert!(
            intents.in_the_way_within(b"db", b"e", Look::Read(20), 0).unwrap().is_none()
                && intents.in_the_way_within(b"e", b"d", Look::Read(20), 0).unwrap().is_none()
        );
        assert!(intents.outlast(&found).now_or_never().is_none());
        intents.change(Change::Gone(key("da"), 11));
        assert!(intents.in_the_way(b"da", Look::Read(20), 0).unwrap().is_some());
        intents.change(Change::Gone(key("da"), 10));
        assert_eq!(intents.outlast(&found).now_or_never(), Some(Ok(())));
        assert!(
            intents.in_the_way(b"da", Look::Read(20), 0).unwrap().is_none() && intents.oldest().is_none()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_shows_no_sign_of_life_is_settled_by_others() {
        let intents = Intents::default();
        intents.change(standing("da", 10, 20));
        intents.change(standing("db", 10, 20));
        assert!(intents.expired().is_empty() && !intents.is_expired(10) && intents.is_expired(11));
        env::clock::sleep(EXPIRY / 2).await;
        assert!(intents.heartbeat(&[1; 16]) && !intents.heartbeat(&[2; 16]));
        env::clock::sleep(EXPIRY / 2).await;
        assert!(intents.expired().is_empty());
        env::clock::sleep(EXPIRY).await;
        assert_eq!(intents.expired().len(), 1);
        assert!(intents.chase(10, 1) && !intents.chase(10, 1) && !intents.chase(11, 1));
        intents.chased(10);
        assert!(intents.chase(11, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_committed_is_kept_in_mind_until_all_of_it_is_resolved() {
        let intents = Intents::default();
        let decided = Decided::new(key("da"), [1; 16], 20, vec![key("db")]);
        intents.change(Change::Decided(10, decided));
        assert_eq!(intents.oldest(), Some(10));
        assert!(intents.unresolved().is_empty());
        env::clock::sleep(RESOLVING).await;
        assert_eq!(intents.unresolved().len(), 1);
        intents.change(Change::Forgotten(10));
        assert_eq!((intents.oldest(), intents.counts()), (None, (0, 0)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_given_away_is_forgotten_and_holds_nothing_back() {
        let intents = Intents::default();
        intents.change(standing("da", 10, 20));
        intents.change(standing("dy", 10, 20));
        intents.change(standing("dz", 7, 20));
        intents.change(Change::Decided(5, Decided::new(key("dx"), [1; 16], 20, vec![key("db")])));
        let waited_for = intents.on(b"dz").unwrap().unwrap();
        assert_eq!(intents.oldest(), Some(5));
        intents.give_away(b"dm");
        assert_eq!(intents.outlast(&waited_for).now_or_never(), Some(Ok(())));
        assert_eq!(
            (intents.keys_of(10), intents.oldest(), intents.counts()),
            (vec![key("da")], Some(10), (1, 0))
        );
        assert!(
            intents.in_the_way_within(b"d", b"", Look::Write, 0).unwrap().is_some()
                && intents.on(b"dy").unwrap().is_none()
        );
        intents.change(Change::Gone(key("da"), 10));
        assert!(intents.is_empty() && !intents.heartbeat(&[1; 16]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_term_wakes_who_waits() {
        let intents = Intents::default();
        intents.change(standing("da", 10, 20));
        let found = intents.on(b"da").unwrap().unwrap();
        intents.end();
        assert_eq!(intents.outlast(&found).now_or_never(), Some(Err(TermEnded)));
    }
}
