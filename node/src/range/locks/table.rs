//! The state machine of locks and their queues, told the time.
//!
//! Nothing here takes longer the more others wait: a request, a wait, its end and a release cost a search in ordered
//! maps each, and a release what it wakes.

use std::collections::btree_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use bytes::Bytes;
use env::clock::Instant;
use proto::v1::Strength;
use tokio::sync::oneshot;

/// The id of a transaction.
pub(crate) type TxnId = [u8; 16];

/// How long a transaction keeps its locks, and its places in queues, without a sign of life.
pub(crate) const EXPIRY: Duration = Duration::from_secs(5);

/// The most bytes that one transaction's locks may take up, and a quarter of what all of a range's may.
pub(crate) const LOCKS_BYTES_MAX: usize = 256 << 20;

/// What one lock takes up beside its key.
const LOCK_BYTES: usize = 200;

/// Who asks for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The transaction.
    pub(crate) id: TxnId,
    /// The start timestamp of its first attempt: the larger is the younger.
    pub(crate) priority: u64,
}

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

#[derive(Debug, Default)]
struct Entry {
    holders: BTreeMap<TxnId, Strength>,
    queue: BTreeMap<Turn, Waiter>,
    /// Those of `queue` who want the key for themselves.
    exclusive: BTreeSet<Turn>,
}

impl Entry {
    /// Whether `txn` could hold the key with `strength` beside those who hold it.
    fn admits(&self, txn: &TxnId, strength: Strength) -> bool {
        match (self.holders.len(), self.holders.first_key_value()) {
            (0, _) => true,
            (1, Some((holder, held))) => holder == txn || compatible(*held, strength),
            // Several holders share.
            _ => strength == Strength::Shared,
        }
    }

    fn grant(&mut self, txn: TxnId, strength: Strength) {
        let held = self.holders.entry(txn).or_insert(strength);
        if strength == Strength::Exclusive {
            *held = strength;
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
    /// The keys held, each with how many requests have got it: what one of them gives back the others keep.
    keys: BTreeMap<Bytes, u32>,
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
/// - `txns` lists exactly the transactions that hold or wait for something, with exactly the keys that they hold and the
///   waits that they have in `waits`.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: BTreeMap<Bytes, Entry>,
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
        let held = self.entries.get(key).and_then(|entry| entry.holders.get(&owner.id)).copied();
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
        let turn = Turn { ordinary: !entry.holders.contains_key(&owner.id), number };
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
            .filter(|(holder, held)| **holder != waiter.owner.id && !compatible(**held, waiter.strength));
        conflicting.map(|(holder, _)| *holder).collect()
    }

    /// Takes back what one request of a transaction has got. What another one has got too, before or meanwhile, stays.
    pub(crate) fn give_back(&mut self, now: Instant, txn: &TxnId, keys: &[Bytes]) {
        for key in keys {
            let Some(requests) = self.txns.get_mut(txn).and_then(|txn| txn.keys.get_mut(key)) else {
                continue;
            };
            *requests -= 1;
            if *requests == 0 {
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
        let held = gone.flat_map(|(key, entry)| entry.holders.keys().map(|holder| (*holder, key.clone())));
        for (holder, key) in held.collect::<Vec<_>>() {
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
        let is_dead = |holder: &&TxnId| {
            *holder != asking && self.txns.get(*holder).is_some_and(|txn| txn.is_expired(now))
        };
        // Of many holders the sweep takes care: to look at them all for each request would be dear.
        let dead: Vec<TxnId> = entry.holders.keys().take(4).filter(is_dead).copied().collect();
        for txn in &dead {
            self.release_all(now, txn);
        }
    }

    /// A key to keep: it must not keep alive the whole message that it came in.
    fn own_key(&self, key: &Bytes) -> Bytes {
        match self.entries.get_key_value(key) {
            Some((key, _)) => key.clone(),
            None => Bytes::copy_from_slice(key),
        }
    }

    fn txn(&mut self, now: Instant, id: TxnId) -> &mut Txn {
        let new = || Txn { keys: BTreeMap::new(), waits: BTreeSet::new(), bytes: 0, seen: now };
        self.txns.entry(id).or_insert_with(new)
    }

    fn grant(&mut self, now: Instant, id: TxnId, key: &Bytes, strength: Strength) {
        let key = self.own_key(key);
        self.grant_key(now, id, key, strength);
    }

    /// Grants a key, which is kept.
    fn grant_key(&mut self, now: Instant, id: TxnId, key: Bytes, strength: Strength) {
        self.entries.entry(key.clone()).or_default().grant(id, strength);
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
        if self.txns.get(id).is_some_and(|txn| txn.keys.is_empty() && txn.waits.is_empty()) {
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
        (self.txns.len(), self.entries.len(), self.waits.len())
    }
}
