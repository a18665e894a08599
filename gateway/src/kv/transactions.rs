//! The transactions that clients have begun, by their ids.
//!
//! # Invariants
//! - A transaction is one session. Whoever works in it holds its place and has taken the session out: if that work is
//!   dropped half way, the session goes with it, and what it had done is rolled back. Half a statement is never committed.
//! - Each has an end: after so long without a call, after so long in all, and with the gateway.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use env::clock::Instant;
use parking_lot::Mutex;
use sql::CancelHandle;
use tokio::sync::OwnedMutexGuard;

use crate::door::{Guest, Work};

/// So many are open at once, and so many of one role.
pub(super) const OPEN_MAX: usize = 1000;
const OPEN_OF_ROLE_MAX: usize = 500;

/// A transaction is rolled back after so long without a call, and after so long in all.
pub(super) const IDLE: Duration = Duration::from_secs(60);
pub(super) const LIFETIME: Duration = Duration::from_secs(300);

/// How long a call waits for another of its transaction.
const PATIENCE: Duration = Duration::from_secs(30);

type Slot = Arc<tokio::sync::Mutex<Option<Work>>>;

struct Entry {
    user: String,
    slot: Slot,
    cancel: CancelHandle,
    begun: Instant,
    used: Arc<Mutex<Instant>>,
}

/// All of a gateway.
#[derive(Default)]
pub(super) struct Transactions(Mutex<HashMap<u64, Entry>>);

/// A transaction that somebody works in.
pub(super) struct Held {
    place: OwnedMutexGuard<Option<Work>>,
    used: Arc<Mutex<Instant>>,
    /// Its session, taken out of its place.
    pub(super) work: Work,
}

impl Held {
    /// Lets others work in it.
    pub(super) fn give_back(mut self) {
        *self.used.lock() = env::clock::now();
        *self.place = Some(self.work);
    }
}

impl Held {
    /// Its session, for its end: who waits for the place finds that it has ended.
    pub(super) fn into_work(self) -> Work {
        self.work
    }
}

impl Transactions {
    /// Whether one more of this role may be begun.
    pub(super) fn have_room(&self, guest: &Guest) -> bool {
        has_room(&self.0.lock(), guest)
    }

    /// Keeps a transaction that was begun; its id. Given back if there are too many by now.
    pub(super) fn add(&self, guest: &Guest, work: Work) -> Result<u64, Box<Work>> {
        let mut open = self.0.lock();
        if !has_room(&open, guest) {
            return Err(Box::new(work));
        }
        let now = env::clock::now();
        let entry = Entry {
            user: guest.parameters.user.clone(),
            cancel: work.cancel_handle(),
            slot: Arc::new(tokio::sync::Mutex::new(Some(work))),
            begun: now,
            used: Arc::new(Mutex::new(now)),
        };
        loop {
            // Random: nobody is to find those of others by counting, though they could not use them.
            let id = env::random::next_u64();
            if id != 0 && !open.contains_key(&id) {
                open.insert(id, entry);
                return Ok(id);
            }
        }
    }

    /// The transaction of this id, if it is one of the client's role and has not ended.
    ///
    /// # Errors
    /// 25P01: there is none. 57014: others work in it for too long.
    pub(super) async fn hold(&self, id: u64, guest: &Guest) -> Result<Held, sql::Error> {
        let found = self.0.lock().get(&id).filter(|entry| entry.user == guest.parameters.user).map(|entry| {
            *entry.used.lock() = env::clock::now();
            (entry.slot.clone(), entry.used.clone())
        });
        let (slot, used) = found.ok_or_else(|| none(id))?;
        let mut place = env::clock::timeout(PATIENCE, slot.lock_owned())
            .await
            .map_err(|_elapsed| sql::Error::new("57014", "another call of the transaction is under way"))?;
        match place.take() {
            Some(work) => Ok(Held { place, used, work }),
            None => {
                self.0.lock().remove(&id);
                Err(none(id))
            }
        }
    }

    /// Forgets a transaction that is about to end.
    pub(super) fn forget(&self, id: u64) {
        self.0.lock().remove(&id);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Rolls back those that are over; all of them if everything ends.
    pub(super) async fn sweep(&self, everything: bool) {
        let now = env::clock::now();
        let mut over = Vec::new();
        self.0.lock().retain(|id, entry| {
            let is_old = everything || now.saturating_duration_since(entry.begun) >= LIFETIME;
            let is_idle = now.saturating_duration_since(*entry.used.lock()) >= IDLE;
            match entry.slot.clone().try_lock_owned() {
                // Its session went with a call that was given up.
                Ok(place) if place.is_none() => false,
                Ok(mut place) if is_old || is_idle => {
                    over.extend(place.take().map(|work| (*id, work)));
                    false
                }
                Ok(_) => true,
                // Somebody works in it. What has had its time is cancelled, and swept the next time.
                Err(_) => {
                    if is_old {
                        entry.cancel.cancel();
                    }
                    true
                }
            }
        });
        // In an order that a simulation lives again.
        over.sort_unstable_by_key(|(id, _)| *id);
        for (_, work) in over {
            work.close().await;
        }
    }
}

fn has_room(open: &HashMap<u64, Entry>, guest: &Guest) -> bool {
    let of_role = open.values().filter(|entry| entry.user == guest.parameters.user).count();
    open.len() < OPEN_MAX && of_role < OPEN_OF_ROLE_MAX
}

/// 25P01: there is no such transaction.
fn none(id: u64) -> sql::Error {
    sql::Error::new("25P01", format!("there is no transaction {id}: it has ended, or is another role's"))
}
