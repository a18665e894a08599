//! The state machine of locks and their queues, told the time.
//!
//! Nothing here takes longer the more others wait: a request, a wait, its end and a release cost a search in ordered
//! maps each, and a release what it wakes. Many keys in a row, none of which anybody has, are taken with one search
//! ([`runs`](super::runs)).

use std::collections::btree_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use bytes::Bytes;
use env::clock::Instant;
use proto::v1::Strength;
use tokio::sync::oneshot;

use super::owner::{Owner, TxnId};
use super::runs::{Runs, TakenOut};

/// How long a transaction keeps its locks, and its places in queues, without a sign of life.
pub(crate) const EXPIRY: Duration = Duration::from_secs(5);

/// The most bytes that one transaction's locks may take up, and a quarter of what all of a range's may.
pub(crate) const LOCKS_BYTES_MAX: usize = 256 << 20;

/// What one lock takes up beside its key; in a run it takes less, as long as nobody else wants it.
const LOCK_BYTES: usize = 200;

/// Fewer keys make no run.
const RUN_KEYS_MIN: usize = 16;

/// The most bytes of locks in one run.
const RUN_BYTES_MAX: usize = 1 << 20;

/// Why a wait ended without the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WaitEnd {
    /// The waiter is the victim of a deadlock.
    Deadlock {
        /// The cycle, for a person.
        cycle: String,
    },
    /// The transaction gave up all it holds here while one of its requests still waited, or showed no sign of life.
    Released,
    /// The leader's term is over.
    TermEnded,
}

/// The answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Requested {
    /// The lock is held.
    Granted {
        /// It was not held (as strongly) before.
        new: bool,
    },
    /// Others hold it.
    Blocked,
    /// The transaction, or the range, has as many locks as fit into their bounds.
    Full,
}

/// A place in a queue: upgrades go first, all else by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    ordinary: bool,
    number: u64,
}

#[derive(Debug)]
struct Waiter {
    owner: Owner,
    strength: Strength,
    outcome: oneshot::Sender<Result<(), WaitEnd>>,
}

/// Who holds a key: mostly one, which takes no memory of its own.
///
/// Invariant: where there are others there is `one`.
#[derive(Debug, Default)]
struct Holders {
    one: Option<(TxnId, Strength)>,
    others: BTreeMap<TxnId, Strength>,
}

impl Holders {
    fn is_empty(&self) -> bool {
        self.one.is_none()
    }

    fn get(&self, txn: &TxnId) -> Option<Strength> {
        match self.one {
            Some((one, held)) if one == *txn => Some(held),
            _ => self.others.get(txn).copied(),
        }
    }

    fn iter(&self) -> impl Iterator<Item = (TxnId, Strength)> {
        self.one.into_iter().chain(self.others.iter().map(|(txn, held)| (*txn, *held)))
    }

    /// It holds the key as strongly as before at least.
    fn add(&mut self, txn: TxnId, strength: Strength) {
        let held = match &mut self.one {
            None => {
                self.one = Some((txn, strength));
                return;
            }
            Some((one, held)) if *one == txn => held,
            Some(_) => self.others.entry(txn).or_insert(strength),
        };
        if strength == Strength::Exclusive {
            *held = strength;
        }
    }

    fn remove(&mut self, txn: &TxnId) {
        if self.one.is_some_and(|(one, _)| one == *txn) {
            self.one = self.others.pop_first();
        } else {
            self.others.remove(txn);
        }
    }
}

#[derive(Debug, Default)]
struct Entry {
    holders: Holders,
    queue: BTreeMap<Turn, Waiter>,
    /// Those of `queue` who want the key for themselves.
    exclusive: BTreeSet<Turn>,
}

impl Entry {
    /// Whether `txn` could hold the key with `strength` beside those who hold it.
    fn admits(&self, txn: &TxnId, strength: Strength) -> bool {
        match self.holders.one {
            None => true,
            Some((holder, held)) if self.holders.others.is_empty() => {
                holder == *txn || compatible(held, strength)
            }
            // Several holders share.
            Some(_) => strength == Strength::Shared,
        }
    }

    fn insert(&mut self, turn: Turn, waiter: Waiter) {
        if waiter.strength == Strength::Exclusive {
            self.exclusive.insert(turn);
        }
        self.queue.insert(turn, waiter);
    }

    fn remove(&mut self, turn: Turn) -> Option<Waiter> {
        self.exclusive.remove(&turn);
        self.queue.remove(&turn)
    }

    /// The nearest waiter of another transaction before `turn` that could not hold the key together with it.
    fn predecessor(&self, turn: Turn, waiter: &Waiter) -> Option<TxnId> {
        let other = |id: &TxnId| *id != waiter.owner.id;
        if waiter.strength == Strength::Exclusive {
            let mut before = self.queue.range(..turn).rev().map(|(_, before)| before.owner.id);
            before.find(|id| other(id))
        } else {
            let before = self.exclusive.range(..turn).rev();
            before.filter_map(|turn| self.queue.get(turn)).map(|before| before.owner.id).find(|id| other(id))
        }
    }
}

fn compatible(a: Strength, b: Strength) -> bool {
    a == Strength::Shared && b == Strength::Shared
}

/// What a transaction has here.
#[derive(Debug)]
struct Txn {
    /// The keys held, but for those of its runs, each with how many requests have got it: what one of them gives back the
    /// others keep.
    keys: BTreeMap<Bytes, u32>,
    /// The names of its runs, whose keys one request each has got.
    runs: BTreeSet<Bytes>,
    waits: BTreeSet<u64>,
    bytes: usize,
    seen: Instant,
}

impl Txn {
    fn is_expired(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.seen) >= EXPIRY
    }
}

#[derive(Debug)]
struct Wait {
    key: Bytes,
    turn: Turn,
    txn: TxnId,
}

/// Locks and their queues.
///
/// # Invariants
///
/// - An exclusive holder of a key is its only holder.
/// - The head of a queue conflicts with a holder: whenever holders or the queue change, [`Table::promote`] runs.
/// - `txns` lists exactly the transactions that hold or wait for something, with exactly the keys and runs that they hold
///   and the waits that they have in `waits`.
/// - A key that is held by a run has no entry: whoever asks for it first takes it out of the run.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: BTreeMap<Bytes, Entry>,
    runs: Runs,
    txns: BTreeMap<TxnId, Txn>,
    waits: BTreeMap<u64, Wait>,
    next_number: u64,
    bytes: usize,
}

impl Table {
    /// Asks for a lock without waiting.
    pub(crate) fn request(
        &mut self,
        now: Instant,
        owner: Owner,
        key: &Bytes,
        strength: Strength,
    ) -> Requested {
        self.part(key);
        let used = self.txns.get(&owner.id).map_or(0, |txn| txn.bytes);
        let is_full = used >= LOCKS_BYTES_MAX || self.bytes >= LOCKS_BYTES_MAX * 4;
        if !self.entries.contains_key(key) {
            // Most keys nobody else has asked for.
            if is_full {
                return Requested::Full;
            }
            self.grant_key(now, owner.id, Bytes::copy_from_slice(key), strength);
            return Requested::Granted { new: true };
        }
        self.expire_holders(now, &owner.id, key);
        let held = self.entries.get(key).and_then(|entry| entry.holders.get(&owner.id));
        if held.is_some_and(|held| held == Strength::Exclusive || strength == Strength::Shared) {
            if let Some(requests) = self.txns.get_mut(&owner.id).and_then(|txn| txn.keys.get_mut(key)) {
                *requests = requests.saturating_add(1);
            }
            return Requested::Granted { new: false };
        }
        if held.is_none() && is_full {
            return Requested::Full;
        }
        let admitted = self.entries.get(key).is_none_or(|entry| {
            (held.is_some() || entry.queue.is_empty()) && entry.admits(&owner.id, strength)
        });
        if !admitted {
            return Requested::Blocked;
        }
        self.grant(now, owner.id, key, strength);
        Requested::Granted { new: true }
    }

    /// Asks for exclusive locks on the first of these keys, which ascend, as long as nobody has or wants any of them: how
    /// many of them are held now. 0: each is to be asked for by itself.
    pub(crate) fn request_run(&mut self, now: Instant, owner: Owner, keys: &[Bytes]) -> usize {
        let Some(first) = keys.first().filter(|first| !self.runs.reach_over(first)) else { return 0 };
        let above = self.entries.range::<[u8], _>((Bound::Included(first.as_ref()), Bound::Unbounded));
        let entry = above.map(|(key, _)| key.as_ref()).next();
        let taken_next: Option<&[u8]> = entry.into_iter().chain(self.runs.next_start(first)).min();
        let free = taken_next.map_or(keys.len(), |next| keys.partition_point(|key| key.as_ref() < next));
        let used = self.txns.get(&owner.id).map_or(0, |txn| txn.bytes);
        let room = LOCKS_BYTES_MAX.saturating_sub(used);
        let room = room.min((LOCKS_BYTES_MAX * 4).saturating_sub(self.bytes)).min(RUN_BYTES_MAX);
        let (mut count, mut bytes) = (0, 0);
        for key in keys.iter().take(free) {
            if bytes >= room {
                break;
            }
            count += 1;
            bytes += key.len() + LOCK_BYTES;
        }
        let Some(run) = keys.get(..count).filter(|run| run.len() >= RUN_KEYS_MIN) else { return 0 };
        let name = self.runs.add(owner.id, run);
        let txn = self.txn(now, owner.id);
        txn.seen = now;
        txn.runs.insert(name);
        txn.bytes += bytes;
        self.bytes += bytes;
        count
    }

    /// Queues for a lock that [`Table::request`] found blocked; the number of the wait, and how it ends.
    pub(crate) fn enqueue(
        &mut self,
        now: Instant,
        owner: Owner,
        key: &Bytes,
        strength: Strength,
    ) -> (u64, oneshot::Receiver<Result<(), WaitEnd>>) {
        let (outcome, ended) = oneshot::channel();
        let number = self.number_wait();
        let key = self.own_key(key);
        let entry = self.entries.entry(key.clone()).or_default();
        let turn = Turn { ordinary: entry.holders.get(&owner.id).is_none(), number };
        entry.insert(turn, Waiter { owner, strength, outcome });
        self.waits.insert(number, Wait { key, turn, txn: owner.id });
        let txn = self.txn(now, owner.id);
        txn.seen = now;
        txn.waits.insert(number);
        (number, ended)
    }

    /// The number of the next wait.
    pub(crate) fn number_wait(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Takes a waiter out of its queue; false if it is there no more.
    pub(crate) fn cancel(&mut self, now: Instant, number: u64) -> bool {
        self.take_waiter(now, number).is_some()
    }

    /// Ends a wait of the transaction with an error for the waiter; false if it waits no more.
    pub(crate) fn end_wait(&mut self, now: Instant, txn: &TxnId, number: u64, end: WaitEnd) -> bool {
        if self.waits.get(&number).is_none_or(|wait| wait.txn != *txn) {
            return false;
        }
        match self.take_waiter(now, number) {
            Some(waiter) => waiter.outcome.send(Err(end)).is_ok(),
            None => false,
        }
    }

    /// Whom a waiter waits for: the nearest conflicting waiter before it, else the conflicting holders. Who waits
    /// further ahead, that one waits for.
    pub(crate) fn blockers(&self, number: u64) -> Vec<TxnId> {
        let Some(wait) = self.waits.get(&number) else { return Vec::new() };
        let Some(entry) = self.entries.get(&wait.key) else { return Vec::new() };
        let Some(waiter) = entry.queue.get(&wait.turn) else { return Vec::new() };
        if let Some(predecessor) = entry.predecessor(wait.turn, waiter) {
            return vec![predecessor];
        }
        let conflicting = entry
            .holders
            .iter()
            .filter(|(holder, held)| *holder != waiter.owner.id && !compatible(*held, waiter.strength));
        conflicting.map(|(holder, _)| holder).collect()
    }

    /// Takes back what one request of a transaction has got. What another one has got too, before or meanwhile, stays.
    pub(crate) fn give_back<'a>(
        &mut self,
        now: Instant,
        txn: &TxnId,
        keys: impl IntoIterator<Item = &'a Bytes>,
    ) {
        for key in keys {
            let requests = self.txns.get_mut(txn).and_then(|txn| txn.keys.get_mut(key));
            let is_last = match requests {
                Some(requests) => {
                    *requests = requests.saturating_sub(1);
                    *requests == 0
                }
                // What is in a run one request has got.
                None => true,
            };
            if is_last {
                self.release(now, txn, std::slice::from_ref(key));
            }
        }
    }

    /// Gives up some locks of a transaction.
    pub(crate) fn release(&mut self, now: Instant, txn: &TxnId, keys: &[Bytes]) {
        for key in keys {
            let held = self.txns.get_mut(txn).is_some_and(|held| held.keys.remove(key).is_some());
            if held {
                self.returned(txn, key);
                self.release_key(now, txn, key);
            } else if self.take_out(key, Some(txn)).is_some() {
                // Nobody waits for it.
                self.returned(txn, key);
            }
        }
        self.forget_if_idle(txn);
    }

    /// Gives up all locks of a transaction, and its waits.
    pub(crate) fn release_all(&mut self, now: Instant, txn: &TxnId) {
        let Some(had) = self.txns.remove(txn) else { return };
        self.bytes = self.bytes.saturating_sub(had.bytes);
        for number in had.waits {
            if let Some(waiter) = self.take_waiter(now, number) {
                // Who has gone away need not be told.
                let _ = waiter.outcome.send(Err(WaitEnd::Released));
            }
        }
        for name in &had.runs {
            self.runs.remove(name);
        }
        for key in had.keys.keys() {
            self.release_key(now, txn, key);
        }
    }

    /// A sign of life; false if the transaction has nothing here.
    pub(crate) fn heartbeat(&mut self, now: Instant, txn: &TxnId) -> bool {
        match self.txns.get_mut(txn) {
            Some(txn) => {
                txn.seen = now;
                true
            }
            None => false,
        }
    }

    /// Takes all away from transactions without a sign of life for [`EXPIRY`]; how many transactions.
    pub(crate) fn expire(&mut self, now: Instant) -> usize {
        let dead: Vec<TxnId> =
            self.txns.iter().filter(|(_, txn)| txn.is_expired(now)).map(|(id, _)| *id).collect();
        for txn in &dead {
            self.release_all(now, txn);
        }
        dead.len()
    }

    /// Another range takes over the keys from `from` on: nothing is held there any more, and whoever waits is told.
    pub(crate) fn give_away(&mut self, now: Instant, from: &[u8]) {
        let waits = self.waits.iter().filter(|(_, wait)| wait.key.as_ref() >= from);
        for number in waits.map(|(number, _)| *number).collect::<Vec<_>>() {
            if let Some(waiter) = self.take_waiter(now, number) {
                // Who has gone away need not be told.
                let _ = waiter.outcome.send(Err(WaitEnd::TermEnded));
            }
        }
        let gone = self.entries.range::<[u8], _>((Bound::Included(from), Bound::Unbounded));
        let held =
            gone.flat_map(|(key, entry)| entry.holders.iter().map(|(holder, _)| (holder, key.clone())));
        for (holder, key) in held.chain(self.runs.held_from(from)).collect::<Vec<_>>() {
            self.release(now, &holder, std::slice::from_ref(&key));
        }
    }

    /// Tells all who wait that the term is over.
    pub(crate) fn end(self) {
        for waiter in self.entries.into_values().flat_map(|entry| entry.queue.into_values()) {
            // Who has gone away need not be told.
            let _ = waiter.outcome.send(Err(WaitEnd::TermEnded));
        }
    }

    fn expire_holders(&mut self, now: Instant, asking: &TxnId, key: &Bytes) {
        let Some(entry) = self.entries.get(key) else { return };
        let is_dead =
            |holder: &TxnId| holder != asking && self.txns.get(holder).is_some_and(|txn| txn.is_expired(now));
        // Of many holders the sweep takes care: to look at them all for each request would be dear.
        let dead: Vec<TxnId> =
            entry.holders.iter().take(4).map(|(holder, _)| holder).filter(is_dead).collect();
        for txn in &dead {
            self.release_all(now, txn);
        }
    }

    /// Takes a key out of the run that it is in, by which anybody, or the transaction that is named, holds it; who does.
    fn take_out(&mut self, key: &[u8], of: Option<&TxnId>) -> Option<TxnId> {
        let TakenOut { holder, ended } = self.runs.take_out(key, of)?;
        if let Some(name) = ended
            && let Some(txn) = self.txns.get_mut(&holder)
        {
            txn.runs.remove(&name);
        }
        Some(holder)
    }

    /// Gives a key that is in a run an entry of its own.
    fn part(&mut self, key: &[u8]) {
        if self.runs.is_empty() {
            return;
        }
        let Some(holder) = self.take_out(key, None) else { return };
        let key = Bytes::copy_from_slice(key);
        if let Some(txn) = self.txns.get_mut(&holder) {
            txn.keys.insert(key.clone(), 1);
        }
        self.entries.entry(key).or_default().holders.add(holder, Strength::Exclusive);
    }

    /// A key to keep: it must not keep alive the whole message that it came in.
    fn own_key(&self, key: &Bytes) -> Bytes {
        match self.entries.get_key_value(key) {
            Some((key, _)) => key.clone(),
            None => Bytes::copy_from_slice(key),
        }
    }

    fn txn(&mut self, now: Instant, id: TxnId) -> &mut Txn {
        let new = || Txn {
            keys: BTreeMap::new(),
            runs: BTreeSet::new(),
            waits: BTreeSet::new(),
            bytes: 0,
            seen: now,
        };
        self.txns.entry(id).or_insert_with(new)
    }

    fn grant(&mut self, now: Instant, id: TxnId, key: &Bytes, strength: Strength) {
        let key = self.own_key(key);
        self.grant_key(now, id, key, strength);
    }

    /// Grants a key, which is kept.
    fn grant_key(&mut self, now: Instant, id: TxnId, key: Bytes, strength: Strength) {
        self.entries.entry(key.clone()).or_default().holders.add(id, strength);
        let bytes = key.len() + LOCK_BYTES;
        let txn = self.txn(now, id);
        txn.seen = now;
        let requests = txn.keys.entry(key).or_insert(0);
        *requests = requests.saturating_add(1);
        if *requests == 1 {
            txn.bytes += bytes;
            self.bytes += bytes;
        }
    }

    fn returned(&mut self, txn: &TxnId, key: &Bytes) {
        let bytes = key.len() + LOCK_BYTES;
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(txn) = self.txns.get_mut(txn) {
            txn.bytes = txn.bytes.saturating_sub(bytes);
        }
    }

    fn forget_if_idle(&mut self, id: &TxnId) {
        let is_idle = |txn: &Txn| txn.keys.is_empty() && txn.runs.is_empty() && txn.waits.is_empty();
        if self.txns.get(id).is_some_and(is_idle) {
            self.txns.remove(id);
        }
    }

    fn release_key(&mut self, now: Instant, txn: &TxnId, key: &Bytes) {
        let MapEntry::Occupied(mut entry) = self.entries.entry(key.clone()) else { return };
        entry.get_mut().holders.remove(txn);
        if entry.get().holders.is_empty() && entry.get().queue.is_empty() {
            entry.remove();
        } else {
            self.promote(now, key);
        }
    }

    fn take_waiter(&mut self, now: Instant, number: u64) -> Option<Waiter> {
        let wait = self.forget_wait(number)?;
        let waiter = self.entries.get_mut(&wait.key)?.remove(wait.turn);
        self.promote(now, &wait.key);
        self.forget_if_idle(&wait.txn);
        waiter
    }

    fn forget_wait(&mut self, number: u64) -> Option<Wait> {
        let wait = self.waits.remove(&number)?;
        if let Some(txn) = self.txns.get_mut(&wait.txn) {
            txn.waits.remove(&number);
        }
        Some(wait)
    }

    /// Grants the key to as much of its queue's head as the holders admit.
    fn promote(&mut self, now: Instant, key: &Bytes) {
        while let Some(entry) = self.entries.get_mut(key) {
            let head = entry.queue.first_key_value();
            let admitted = head
                .filter(|(_, waiter)| entry.admits(&waiter.owner.id, waiter.strength))
                .map(|(turn, _)| *turn);
            let Some(turn) = admitted else {
                if entry.queue.is_empty() && entry.holders.is_empty() {
                    self.entries.remove(key);
                }
                return;
            };
            let Some(waiter) = entry.remove(turn) else { return };
            self.forget_wait(turn.number);
            if waiter.outcome.send(Ok(())).is_ok() {
                self.grant(now, waiter.owner.id, key, waiter.strength);
            } else {
                self.forget_if_idle(&waiter.owner.id);
            }
        }
    }

    /// How many transactions hold or wait.
    pub(crate) fn transactions(&self) -> usize {
        self.txns.len()
    }

    /// How many transactions hold or wait, how many keys are locked or waited for, how many waits there are.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        (self.txns.len(), self.entries.len() + self.runs.keys(), self.waits.len())
    }
}
