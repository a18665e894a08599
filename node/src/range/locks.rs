//! The lock table: who may change a key next.
//!
//! Locks are held by transactions from a statement to its transaction's end, in the memory of the range's leader.
//! Losing them (with the leader) costs waiting in the right order, never correctness: commit checks what was locked.
//! Waiters queue fairly. The holder of a shared lock that wants it exclusively goes before the queue.
//!
//! [`Table`] is the pure state machine, told the time; [`Locks`] puts it behind a mutex and lets waiters sleep.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::clock::Instant;
use parking_lot::Mutex;
use proto::v1::Strength;
use tokio::sync::oneshot;

/// The id of a transaction.
pub(crate) type TxnId = [u8; 16];

/// How long a transaction keeps its locks without a sign of life.
pub(crate) const EXPIRY: Duration = Duration::from_secs(5);

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
    /// The transaction gave up all it holds here while one of its requests still waited.
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
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    owner: Owner,
    strength: Strength,
    outcome: oneshot::Sender<Result<(), WaitEnd>>,
}

#[derive(Debug, Default)]
struct Entry {
    holders: Vec<(TxnId, Strength)>,
    queue: VecDeque<Waiter>,
}

impl Entry {
    fn held_by(&self, txn: &TxnId) -> Option<Strength> {
        self.holders.iter().find(|(holder, _)| holder == txn).map(|(_, strength)| *strength)
    }

    /// Whether `txn` could hold the key with `strength` beside those who hold it.
    fn admits(&self, txn: &TxnId, strength: Strength) -> bool {
        self.holders.iter().all(|(holder, held)| holder == txn || compatible(*held, strength))
    }

    fn grant(&mut self, txn: TxnId, strength: Strength) {
        match self.holders.iter_mut().find(|(holder, _)| *holder == txn) {
            Some((_, held)) if strength == Strength::Exclusive => *held = strength,
            Some(_) => {}
            None => self.holders.push((txn, strength)),
        }
    }
}

fn compatible(a: Strength, b: Strength) -> bool {
    a == Strength::Shared && b == Strength::Shared
}

#[derive(Debug)]
struct Held {
    keys: BTreeSet<Bytes>,
    seen: Instant,
}

/// Locks and their queues.
///
/// # Invariants
///
/// - An exclusive holder of a key is its only holder.
/// - The head of a queue conflicts with a holder: whenever holders or the queue change, [`Table::promote`] runs.
/// - `txns` lists exactly the transactions that hold something, with exactly the keys that they hold.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: BTreeMap<Bytes, Entry>,
    txns: BTreeMap<TxnId, Held>,
    waits: BTreeMap<u64, Bytes>,
    next_number: u64,
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
        self.expire_holders(now, &owner.id, key);
        let entry = match self.entries.get_mut(key) {
            Some(entry) => entry,
            // Long-lived, so the key must not keep alive the whole message that it came in.
            None => self.entries.entry(Bytes::copy_from_slice(key)).or_default(),
        };
        let held = entry.held_by(&owner.id);
        if held.is_some_and(|held| held == Strength::Exclusive || strength == Strength::Shared) {
            return Requested::Granted { new: false };
        }
        let goes_first = held.is_some() || entry.queue.is_empty();
        if !goes_first || !entry.admits(&owner.id, strength) {
            return Requested::Blocked;
        }
        self.grant(now, owner.id, key, strength);
        Requested::Granted { new: true }
    }

    /// Queues for a lock that [`Table::request`] found blocked; the number of the wait, and how it ends.
    pub(crate) fn enqueue(
        &mut self,
        owner: Owner,
        key: &Bytes,
        strength: Strength,
    ) -> (u64, oneshot::Receiver<Result<(), WaitEnd>>) {
        let (outcome, ended) = oneshot::channel();
        let number = self.next_number;
        self.next_number += 1;
        let entry = self.entries.entry(key.clone()).or_default();
        let waiter = Waiter { number, owner, strength, outcome };
        if entry.held_by(&owner.id).is_some() {
            let upgrades = entry
                .queue
                .iter()
                .take_while(|waiter| entry.holders.iter().any(|(holder, _)| *holder == waiter.owner.id));
            let place = upgrades.count();
            entry.queue.insert(place, waiter);
        } else {
            entry.queue.push_back(waiter);
        }
        self.waits.insert(number, key.clone());
        (number, ended)
    }

    /// Takes a waiter out of its queue; false if it is there no more.
    pub(crate) fn cancel(&mut self, now: Instant, number: u64) -> bool {
        self.take_waiter(now, number).is_some()
    }

    /// Ends a wait with an error for the waiter; false if it waits no more.
    pub(crate) fn end_wait(&mut self, now: Instant, number: u64, end: WaitEnd) -> bool {
        match self.take_waiter(now, number) {
            Some(waiter) => waiter.outcome.send(Err(end)).is_ok(),
            None => false,
        }
    }

    /// Ends all waits of a transaction with an error; how many there were.
    pub(crate) fn end_waits_of(&mut self, now: Instant, txn: &TxnId, end: &WaitEnd) -> usize {
        let numbers: Vec<u64> = self
            .waits
            .iter()
            .filter(|(number, key)| {
                let queue = self.entries.get(*key).map(|entry| &entry.queue);
                queue.into_iter().flatten().any(|waiter| waiter.number == **number && waiter.owner.id == *txn)
            })
            .map(|(number, _)| *number)
            .collect();
        numbers.into_iter().filter(|number| self.end_wait(now, *number, end.clone())).count()
    }

    /// Whom a waiter waits for: conflicting holders, and conflicting waiters before it.
    pub(crate) fn blockers(&self, number: u64) -> Vec<TxnId> {
        let Some(entry) = self.waits.get(&number).and_then(|key| self.entries.get(key)) else {
            return Vec::new();
        };
        let Some(waiter) = entry.queue.iter().find(|waiter| waiter.number == number) else {
            return Vec::new();
        };
        let holders = entry.holders.iter().map(|(holder, held)| (*holder, *held));
        let before = entry.queue.iter().take_while(|other| other.number != number);
        let mut blockers: Vec<TxnId> = holders
            .chain(before.map(|other| (other.owner.id, other.strength)))
            .filter(|(txn, strength)| *txn != waiter.owner.id && !compatible(*strength, waiter.strength))
            .map(|(txn, _)| txn)
            .collect();
        blockers.sort_unstable();
        blockers.dedup();
        blockers
    }

    /// Gives up some locks of a transaction.
    pub(crate) fn release(&mut self, now: Instant, txn: &TxnId, keys: &[Bytes]) {
        for key in keys {
            let held = self.txns.get_mut(txn).is_some_and(|held| held.keys.remove(key));
            if held {
                self.release_key(now, txn, key);
            }
        }
        if self.txns.get(txn).is_some_and(|held| held.keys.is_empty()) {
            self.txns.remove(txn);
        }
    }

    /// Gives up all locks of a transaction, and its waits.
    pub(crate) fn release_all(&mut self, now: Instant, txn: &TxnId) {
        if !self.waits.is_empty() {
            self.end_waits_of(now, txn, &WaitEnd::Released);
        }
        let Some(held) = self.txns.remove(txn) else { return };
        for key in &held.keys {
            self.release_key(now, txn, key);
        }
    }

    /// A sign of life; false if the transaction holds nothing here.
    pub(crate) fn heartbeat(&mut self, now: Instant, txn: &TxnId) -> bool {
        match self.txns.get_mut(txn) {
            Some(held) => {
                held.seen = now;
                true
            }
            None => false,
        }
    }

    /// Releases the locks of transactions without a sign of life for [`EXPIRY`]; how many transactions.
    pub(crate) fn expire(&mut self, now: Instant) -> usize {
        let dead: Vec<TxnId> =
            self.txns.iter().filter(|(_, held)| is_expired(held, now)).map(|(txn, _)| *txn).collect();
        for txn in &dead {
            self.release_all(now, txn);
        }
        dead.len()
    }

    fn expire_holders(&mut self, now: Instant, asking: &TxnId, key: &Bytes) {
        let Some(entry) = self.entries.get(key) else { return };
        let dead: Vec<TxnId> = entry
            .holders
            .iter()
            .map(|(holder, _)| *holder)
            .filter(|holder| {
                holder != asking && self.txns.get(holder).is_some_and(|held| is_expired(held, now))
            })
            .collect();
        for txn in &dead {
            self.release_all(now, txn);
        }
    }

    fn grant(&mut self, now: Instant, txn: TxnId, key: &Bytes, strength: Strength) {
        let Some((key, _)) = self.entries.get_key_value(key) else { return };
        let key = key.clone();
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.grant(txn, strength);
        }
        let held = self.txns.entry(txn).or_insert_with(|| Held { keys: BTreeSet::new(), seen: now });
        held.seen = now;
        held.keys.insert(key);
    }

    fn release_key(&mut self, now: Instant, txn: &TxnId, key: &Bytes) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.holders.retain(|(holder, _)| holder != txn);
            self.promote(now, key);
        }
    }

    fn take_waiter(&mut self, now: Instant, number: u64) -> Option<Waiter> {
        let key = self.waits.remove(&number)?;
        let entry = self.entries.get_mut(&key)?;
        let place = entry.queue.iter().position(|waiter| waiter.number == number)?;
        let waiter = entry.queue.remove(place);
        self.promote(now, &key);
        waiter
    }

    /// Grants the key to as much of its queue's head as the holders admit.
    fn promote(&mut self, now: Instant, key: &Bytes) {
        while let Some(entry) = self.entries.get_mut(key) {
            let admitted =
                entry.queue.front().is_some_and(|waiter| entry.admits(&waiter.owner.id, waiter.strength));
            if !admitted {
                if entry.queue.is_empty() && entry.holders.is_empty() {
                    self.entries.remove(key);
                }
                return;
            }
            let Some(waiter) = entry.queue.pop_front() else { return };
            self.waits.remove(&waiter.number);
            if waiter.outcome.send(Ok(())).is_ok() {
                self.grant(now, waiter.owner.id, key, waiter.strength);
            }
        }
    }
}

fn is_expired(held: &Held, now: Instant) -> bool {
    now.saturating_duration_since(held.seen) >= EXPIRY
}

/// The lock table of one term of a range.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    table: Mutex<Table>,
}

impl Locks {
    /// See [`Table::request`].
    pub(crate) fn request(&self, owner: Owner, key: &Bytes, strength: Strength) -> Requested {
        self.table.lock().request(env::clock::now(), owner, key, strength)
    }

    /// As [`Locks::request`], and queues if blocked.
    pub(crate) fn request_or_queue(
        self: &Arc<Self>,
        owner: Owner,
        key: &Bytes,
        strength: Strength,
    ) -> Result<bool, Ticket> {
        let mut table = self.table.lock();
        match table.request(env::clock::now(), owner, key, strength) {
            Requested::Granted { new } => Ok(new),
            Requested::Blocked => {
                let (number, ended) = table.enqueue(owner, key, strength);
                Err(Ticket { locks: self.clone(), number, ended })
            }
        }
    }

    /// See [`Table::end_waits_of`].
    pub(crate) fn end_waits_of(&self, txn: &TxnId, end: &WaitEnd) -> usize {
        self.table.lock().end_waits_of(env::clock::now(), txn, end)
    }

    /// See [`Table::release`].
    pub(crate) fn release(&self, txn: &TxnId, keys: &[Bytes]) {
        self.table.lock().release(env::clock::now(), txn, keys);
    }

    /// See [`Table::release_all`].
    pub(crate) fn release_all(&self, txn: &TxnId) {
        self.table.lock().release_all(env::clock::now(), txn);
    }

    /// See [`Table::heartbeat`].
    pub(crate) fn heartbeat(&self, txn: &TxnId) -> bool {
        self.table.lock().heartbeat(env::clock::now(), txn)
    }

    /// See [`Table::expire`].
    pub(crate) fn expire(&self) -> usize {
        self.table.lock().expire(env::clock::now())
    }

    /// Ends the term: whoever waits is told, and nothing is held any more.
    pub(crate) fn end(&self) {
        let table = std::mem::take(&mut *self.table.lock());
        for waiter in table.entries.into_values().flat_map(|entry| entry.queue) {
            // Who has gone away need not be told.
            let _ = waiter.outcome.send(Err(WaitEnd::TermEnded));
        }
    }
}

/// A place in a queue, given up when dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    locks: Arc<Locks>,
    number: u64,
    ended: oneshot::Receiver<Result<(), WaitEnd>>,
}

impl Ticket {
    /// The number of the wait, unique within the term.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whom this waits for now.
    pub(crate) fn blockers(&self) -> Vec<TxnId> {
        self.locks.table.lock().blockers(self.number)
    }

    /// Waits for the lock.
    pub(crate) async fn granted(&mut self) -> Result<(), WaitEnd> {
        (&mut self.ended).await.unwrap_or(Err(WaitEnd::TermEnded))
    }

    /// Stops waiting; `Ok` if the lock had been granted in the meantime.
    pub(crate) fn give_up(&mut self) -> Result<(), Option<WaitEnd>> {
        self.locks.table.lock().cancel(env::clock::now(), self.number);
        match self.ended.try_recv() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(end)) => Err(Some(end)),
            Err(_) => Err(None),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.locks.table.lock().cancel(env::clock::now(), self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Owner = Owner { id: [1; 16], priority: 10 };
    const B: Owner = Owner { id: [2; 16], priority: 20 };
    const C: Owner = Owner { id: [3; 16], priority: 30 };
    const GRANTED: Requested = Requested::Granted { new: true };
    const HELD: Requested = Requested::Granted { new: false };

    /// How many transactions hold locks, how many keys are locked or waited for, how many waits there are.
    fn counts(table: &Table) -> (usize, usize, usize) {
        (table.txns.len(), table.entries.len(), table.waits.len())
    }

    fn key(name: &'static str) -> Bytes {
        Bytes::from_static(name.as_bytes())
    }

    fn request(table: &mut Table, owner: Owner, name: &'static str, strength: Strength) -> Requested {
        table.request(env::clock::now(), owner, &key(name), strength)
    }

    type Wait = oneshot::Receiver<Result<(), WaitEnd>>;

    fn wait(table: &mut Table, owner: Owner, name: &'static str, strength: Strength) -> (u64, Wait) {
        assert_eq!(request(table, owner, name, strength), Requested::Blocked);
        table.enqueue(owner, &key(name), strength)
    }

    fn is_granted(wait: &mut Wait) -> bool {
        matches!(wait.try_recv(), Ok(Ok(())))
    }

    #[test]
    fn an_exclusive_lock_excludes_and_is_reentrant() {
        let mut table = Table::default();
        assert_eq!(request(&mut table, A, "k", Strength::Exclusive), GRANTED);
        assert_eq!(request(&mut table, A, "k", Strength::Exclusive), HELD);
        assert_eq!(request(&mut table, A, "k", Strength::Shared), HELD);
        assert_eq!(request(&mut table, B, "k", Strength::Shared), Requested::Blocked);
        assert_eq!(request(&mut table, B, "l", Strength::Shared), GRANTED);
    }

    #[test]
    fn waiters_are_served_in_order_and_readers_together() {
        let now = env::clock::now();
        let mut table = Table::default();
        assert_eq!(request(&mut table, A, "k", Strength::Exclusive), GRANTED);
        let (_, mut b) = wait(&mut table, B, "k", Strength::Shared);
        let (_, mut c) = wait(&mut table, C, "k", Strength::Shared);
        let (_, mut a) = {
            let d = Owner { id: [4; 16], priority: 40 };
            wait(&mut table, d, "k", Strength::Exclusive)
        };
        table.release_all(now, &A.id);
        assert!(is_granted(&mut b) && is_granted(&mut c) && !is_granted(&mut a));
        table.release_all(now, &B.id);
        assert!(!is_granted(&mut a));
        table.release_all(now, &C.id);
        assert!(is_granted(&mut a));
    }

    #[test]
    fn a_reader_does_not_overtake_a_waiting_writer() {
        let mut table = Table::default();
        assert_eq!(request(&mut table, A, "k", Strength::Shared), GRANTED);
        let (_, mut b) = wait(&mut table, B, "k", Strength::Exclusive);
        let (_, mut c) = wait(&mut table, C, "k", Strength::Shared);
        table.release_all(env::clock::now(), &A.id);
        assert!(is_granted(&mut b) && !is_granted(&mut c));
    }

    #[test]
    fn an_upgrade_goes_before_the_queue() {
        let now = env::clock::now();
        let mut table = Table::default();
        assert_eq!(request(&mut table, A, "k", Strength::Shared), GRANTED);
        assert_eq!(request(&mut table, B, "k", Strength::Shared), GRANTED);
        let (_, mut c) = wait(&mut table, C, "k", Strength::Exclusive);
        let (number, mut a) = wait(&mut table, A, "k", Strength::Exclusive);
        assert_eq!(table.blockers(number), vec![B.id]);
        table.release_all(now, &B.id);
        assert!(is_granted(&mut a) && !is_granted(&mut c));
        assert_eq!(request(&mut table, A, "k", Strength::Exclusive), HELD);
        table.release_all(now, &A.id);
        assert!(is_granted(&mut c));
    }

    #[test]
    fn a_sole_shared_holder_upgrades_at_once() {
        let mut table = Table::default();
        assert_eq!(request(&mut table, A, "k", Strength::Shared), GRANTED);
        assert_eq!(request(&mut table, A, "k", Strength::Exclusive), GRANTED);
        assert_eq!(request(&mut table, B, "k", Strength::Shared), Requested::Blocked);
    }

    #[test]
    fn giving_up_a_wait_lets_those_behind_through() {
        let now = env::clock::now();
        let mut table = Table::default();
        assert_eq!(request(&mut table, A, "k", Strength::Shared), GRANTED);
        let (b, _) = wait(&mut table, B, "k", Strength::Exclusive);
        let (_, mut c) = wait(&mut table, C, "k", Strength::Shared);
        assert!(table.cancel(now, b));
        assert!(is_granted(&mut c));
        assert!(!table.cancel(now, b));
    }

    #[test]
    fn a_waiter_names_holders_and_those_before_it() {
        let mut table = Table::default();
        assert_eq!(request(&mut table, A, "k", Strength::Exclusive), GRANTED);
        let (_, _b) = wait(&mut table, B, "k", Strength::Exclusive);
        let (c, _c) = wait(&mut table, C, "k", Strength::Exclusive);
        assert_eq!(table.blockers(c), vec![A.id, B.id]);
    }

    #[test]
    fn locks_without_a_sign_of_life_expire() {
        let start = env::clock::now();
        let mut table = Table::default();
        assert_eq!(table.request(start, A, &key("k"), Strength::Exclusive), GRANTED);
        let (_, mut b) = wait(&mut table, B, "k", Strength::Exclusive);
        assert_eq!(table.expire(start + EXPIRY / 2), 0);
        assert!(table.heartbeat(start + EXPIRY / 2, &A.id));
        assert_eq!(table.expire(start + EXPIRY), 0);
        assert_eq!(table.expire(start + EXPIRY * 2), 1);
        assert!(is_granted(&mut b));
        assert!(!table.heartbeat(start, &A.id));
        // Asking is enough to take over what has expired.
        assert_eq!(table.request(start + EXPIRY * 9, C, &key("k"), Strength::Shared), GRANTED);
    }

    #[test]
    fn a_released_transaction_stops_waiting_elsewhere() {
        let now = env::clock::now();
        let mut table = Table::default();
        assert_eq!(request(&mut table, A, "k", Strength::Exclusive), GRANTED);
        let (_, mut b) = wait(&mut table, B, "k", Strength::Exclusive);
        table.release_all(now, &B.id);
        assert_eq!(b.try_recv(), Ok(Err(WaitEnd::Released)));
        table.release_all(now, &A.id);
        assert_eq!(counts(&table), (0, 0, 0));
    }

    #[test]
    fn releasing_some_keys_keeps_the_others() {
        let now = env::clock::now();
        let mut table = Table::default();
        assert_eq!(request(&mut table, A, "k", Strength::Exclusive), GRANTED);
        assert_eq!(request(&mut table, A, "l", Strength::Exclusive), GRANTED);
        table.release(now, &A.id, &[key("k"), key("m")]);
        assert_eq!(request(&mut table, B, "k", Strength::Exclusive), GRANTED);
        assert_eq!(request(&mut table, B, "l", Strength::Exclusive), Requested::Blocked);
    }

    #[test]
    fn a_lock_granted_to_nobody_goes_to_the_next() {
        let now = env::clock::now();
        let mut table = Table::default();
        assert_eq!(request(&mut table, A, "k", Strength::Exclusive), GRANTED);
        let (_, b) = wait(&mut table, B, "k", Strength::Exclusive);
        let (_, mut c) = wait(&mut table, C, "k", Strength::Exclusive);
        drop(b);
        table.release_all(now, &A.id);
        assert!(is_granted(&mut c));
    }
}
