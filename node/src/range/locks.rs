//! The lock table: who may change a key next.
//!
//! Locks are held by transactions from a statement to its transaction's end, in the memory of the range's leader.
//! Losing them (with the leader) costs waiting in the right order, never correctness: commit checks what was locked.
//! Waiters queue fairly, for as long as their transaction lives. The holder of a shared lock that wants it exclusively
//! goes before the queue.
//!
//! The `table` is the pure state machine, told the time; [`Locks`] puts it behind a mutex and lets waiters sleep.

mod owner;
mod runs;
mod table;

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use proto::v1::Strength;
use tokio::sync::oneshot;

pub(crate) use self::owner::{Owner, TxnId};
use self::table::Table;
pub(crate) use self::table::{LOCKS_BYTES_MAX, Requested, WaitEnd};

/// The lock table of one term of a range.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    table: Mutex<Table>,
}

/// The answer to a request that waits if it must.
#[derive(Debug)]
pub(crate) enum Asked {
    /// The lock is held.
    Granted,
    /// Others hold it; a place in their queue.
    Queued(Ticket),
    /// There is no room for one more lock.
    Full,
}

impl Locks {
    /// See [`Table::request`].
    pub(crate) fn request(&self, owner: Owner, key: &Bytes, strength: Strength) -> Requested {
        self.table.lock().request(env::clock::now(), owner, key, strength)
    }

    /// As [`Locks::request`], and queues if blocked.
    pub(crate) fn request_or_queue(self: &Arc<Self>, owner: Owner, key: &Bytes, strength: Strength) -> Asked {
        let now = env::clock::now();
        let mut table = self.table.lock();
        match table.request(now, owner, key, strength) {
            Requested::Granted { .. } => Asked::Granted,
            Requested::Full => Asked::Full,
            Requested::Blocked => {
                let (number, ended) = table.enqueue(now, owner, key, strength);
                let key = key.clone();
                Asked::Queued(Ticket { locks: self.clone(), txn: owner.id, key, number, ended, over: false })
            }
        }
    }

    /// See [`Table::request_run`].
    pub(crate) fn request_run(&self, owner: Owner, keys: &[Bytes]) -> usize {
        self.table.lock().request_run(env::clock::now(), owner, keys)
    }

    /// A number for a wait that is in no queue, unique within the term.
    pub(crate) fn number_wait(&self) -> u64 {
        self.table.lock().number_wait()
    }

    /// See [`Table::end_wait`].
    pub(crate) fn end_wait(&self, txn: &TxnId, number: u64, end: WaitEnd) -> bool {
        self.table.lock().end_wait(env::clock::now(), txn, number, end)
    }

    /// See [`Table::give_back`].
    pub(crate) fn give_back<'a>(&self, txn: &TxnId, keys: impl IntoIterator<Item = &'a Bytes>) {
        self.table.lock().give_back(env::clock::now(), txn, keys);
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

    /// See [`Table::give_away`].
    pub(crate) fn give_away(&self, from: &[u8]) {
        self.table.lock().give_away(env::clock::now(), from);
    }

    /// How many transactions hold locks or wait for some.
    pub(crate) fn transactions(&self) -> usize {
        self.table.lock().transactions()
    }

    /// Ends the term: whoever waits is told, and nothing is held any more.
    pub(crate) fn end(&self) {
        let table = std::mem::take(&mut *self.table.lock());
        table.end();
    }
}

/// A place in a queue. Given up when dropped, and with it a lock that was granted meanwhile and nobody took.
#[derive(Debug)]
pub(crate) struct Ticket {
    locks: Arc<Locks>,
    txn: TxnId,
    key: Bytes,
    number: u64,
    ended: oneshot::Receiver<Result<(), WaitEnd>>,
    /// The end of the wait was taken note of.
    over: bool,
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
        let ended = (&mut self.ended).await.unwrap_or(Err(WaitEnd::TermEnded));
        self.over = true;
        ended
    }

    /// Stops waiting; `Ok` if the lock had been granted in the meantime.
    pub(crate) fn give_up(&mut self) -> Result<(), Option<WaitEnd>> {
        self.locks.table.lock().cancel(env::clock::now(), self.number);
        self.over = true;
        match self.ended.try_recv() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(end)) => Err(Some(end)),
            Err(_) => Err(None),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.over && self.give_up() == Ok(()) {
            self.locks.give_back(&self.txn, std::slice::from_ref(&self.key));
        }
    }
}

#[cfg(test)]
mod tests;
