//! Advisory locks: locks on numbers, which only those heed who agree on them.
//!
//! ```text
//! key = index key of ADVISORY, at the database's home: 1 and a bigint, or 2 and two integers, big-endian; nothing is ever
//!       stored under it
//! ```
//!
//! One that lasts until the end of the transaction is the transaction's lock, as a row's is. One that lasts as long as the
//! session, or until it is given back as often as it was taken, is held by the session beside its transactions. A session does
//! not wait for itself: where it holds a number already it counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::{NameLocks, Strength, Transaction, WaitPolicy};
use parking_lot::Mutex;

use crate::catalog::Oid;
use crate::catalog::home::Home;
use crate::error::{Error, Notice, Result};
use crate::questions::{Advisory, AdvisoryAct, AdvisoryName};
use crate::system::ShownLock;

/// The index id of the keys.
const ADVISORY: u64 = 20;

/// So many warnings a step of a statement sends at most.
const WARNINGS_MAX: usize = 1000;

/// What is known of one number.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    /// How often the session has taken it alone, and with others.
    exclusive: u32,
    shared: u32,
    /// Whether the transaction under way holds it, by its own lock or the session's, and whether alone.
    by_transaction: Option<bool>,
}

impl Held {
    fn by_session(&self) -> bool {
        self.exclusive > 0 || self.shared > 0
    }

    fn is_idle(&self) -> bool {
        !self.by_session() && self.by_transaction.is_none()
    }
}

/// The advisory locks of a session.
///
/// Invariants: the session's holder has locked what `by_session` is true of, and what it keeps for the transaction (`kept`).
#[derive(Debug)]
pub(crate) struct AdvisoryLocks {
    names: NameLocks,
    held: BTreeMap<AdvisoryName, Held>,
    /// What the transaction under way has taken, in order.
    taken: Vec<AdvisoryName>,
    /// Whether the statement under way has taken or given back what outlives its transaction.
    has_acted: bool,
    /// What was to be given back and was not held: alone, or shared.
    not_held: Vec<bool>,
    all: Arc<HeldLocks>,
    pid: i32,
    database: Oid,
}

/// Whose lock on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    pid: i32,
    database: Oid,
    name: AdvisoryName,
    is_exclusive: bool,
}

/// What the sessions of a gateway hold, and wait for: whether each is granted.
#[derive(Debug, Default)]
pub(crate) struct HeldLocks(Mutex<BTreeMap<Place, bool>>);

impl HeldLocks {
    /// All of them, by session.
    pub(crate) fn shown(&self) -> Vec<ShownLock> {
        let held = self.0.lock();
        let shown = held.iter().map(|(place, is_granted)| ShownLock {
            database: place.database,
            name: place.name,
            pid: place.pid,
            is_exclusive: place.is_exclusive,
            is_granted: *is_granted,
        });
        shown.collect()
    }
}

/// A wait that is shown as long as it lasts.
struct Waiting<'a> {
    all: &'a HeldLocks,
    place: Place,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut all = self.all.0.lock();
        if all.get(&self.place) == Some(&false) {
            all.remove(&self.place);
        }
    }
}

fn key(database: Oid, name: AdvisoryName) -> Bytes {
    let mut key = Home::of(database).prefix(ADVISORY);
    match name {
        AdvisoryName::One(number) => {
            key.push(1);
            key.extend_from_slice(&number.to_be_bytes());
        }
        AdvisoryName::Two(first, second) => {
            key.push(2);
            key.extend_from_slice(&first.to_be_bytes());
            key.extend_from_slice(&second.to_be_bytes());
        }
    }
    key.push(keys::sql::SUFFIX_ROW);
    key.into()
}

impl AdvisoryLocks {
    pub(crate) fn new(names: NameLocks, all: Arc<HeldLocks>, database: Oid) -> Self {
        Self {
            names,
            held: BTreeMap::new(),
            taken: Vec::new(),
            has_acted: false,
            not_held: Vec::new(),
            all,
            pid: 0,
            database,
        }
    }

    /// The number that the session goes by.
    pub(crate) fn set_pid(&mut self, pid: i32) {
        self.pid = pid;
    }

    /// What to tell the client of the statement that was run.
    pub(crate) fn take_warnings(&mut self) -> Vec<Notice> {
        let warnings = std::mem::take(&mut self.not_held).into_iter().map(|shared| {
            let mode = if shared { "ShareLock" } else { "ExclusiveLock" };
            Notice::warning("01000", format!("you don't own a lock of type {mode}"))
        });
        warnings.collect()
    }

    /// A statement begins.
    pub(crate) fn begin_statement(&mut self) {
        self.has_acted = false;
    }

    /// Whether the statement under way has done what is not undone with its transaction: it cannot be run again.
    pub(crate) fn has_acted(&self) -> bool {
        self.has_acted
    }

    /// How much the transaction has taken: a mark for [`AdvisoryLocks::rollback_to`].
    pub(crate) fn mark(&self) -> usize {
        self.taken.len()
    }

    /// The transaction has gone back to a savepoint, and given back what it has taken since.
    pub(crate) async fn rollback_to(&mut self, mark: usize) {
        while self.taken.len() > mark
            && let Some(name) = self.taken.pop()
        {
            self.forget(name).await;
        }
    }

    /// Takes or gives back a lock; whether that succeeded.
    ///
    /// # Errors
    /// 55P03 after the lock timeout, 40P01.
    pub(crate) async fn act(
        &mut self,
        transaction: &mut Transaction,
        timeout: Option<Duration>,
        advisory: Advisory,
    ) -> Result<bool> {
        let Advisory { name, act } = advisory;
        match act {
            AdvisoryAct::Take { shared, waits, for_transaction } => {
                let taken = match for_transaction {
                    true => self.take_for_transaction(transaction, name, shared, waits).await,
                    false => self.take_for_session(name, shared, waits, timeout).await,
                };
                self.show(name);
                match taken {
                    Ok(()) => Ok(true),
                    Err(Failed::Taken) if !waits => Ok(false),
                    Err(Failed::Taken) => Err(Error::new("55P03", "canceling statement due to lock timeout")),
                    Err(Failed::Error(error)) => Err(error),
                }
            }
            AdvisoryAct::GiveBack { shared } => {
                self.has_acted = true;
                let was_held = self.give_back(name, shared).await;
                if !was_held && self.not_held.len() < WARNINGS_MAX {
                    self.not_held.push(shared);
                }
                Ok(was_held)
            }
            AdvisoryAct::GiveAllBack => {
                self.has_acted = true;
                self.give_all_back().await;
                Ok(true)
            }
        }
    }

    async fn take_for_session(
        &mut self,
        name: AdvisoryName,
        shared: bool,
        waits: bool,
        timeout: Option<Duration>,
    ) -> Result<(), Failed> {
        let held = self.held.get(&name).copied().unwrap_or_default();
        if held.by_transaction.is_some() && !held.by_session() {
            let message = "an advisory lock of the session on what the transaction has locked already";
            return Err(Failed::Error(Error::unsupported(message)));
        }
        self.lock_name(name, shared, waits, timeout).await?;
        self.has_acted = true;
        let held = self.held.entry(name).or_default();
        let count = if shared { &mut held.shared } else { &mut held.exclusive };
        *count = count.saturating_add(1);
        Ok(())
    }

    async fn take_for_transaction(
        &mut self,
        transaction: &mut Transaction,
        name: AdvisoryName,
        shared: bool,
        waits: bool,
    ) -> Result<(), Failed> {
        let held = self.held.get(&name).copied().unwrap_or_default();
        if held.by_transaction.is_some_and(|alone| alone || shared) {
            return Ok(());
        }
        if held.by_session() {
            // The session keeps it until the transaction has ended, too.
            self.lock_name(name, shared, waits, transaction.options().lock_timeout).await?;
        } else {
            let waiting = show_waiting(&self.all, self.place(name, !shared));
            let is_held = held.by_transaction.is_some();
            let key = key(self.database, name);
            transaction.lock_name(&key, strength(shared), policy(waits), is_held).await?;
            drop(waiting);
        }
        if held.by_transaction.is_none() {
            self.taken.push(name);
        }
        let held = self.held.entry(name).or_default();
        held.by_transaction = Some(held.by_transaction == Some(true) || !shared);
        Ok(())
    }

    async fn lock_name(
        &mut self,
        name: AdvisoryName,
        shared: bool,
        waits: bool,
        timeout: Option<Duration>,
    ) -> Result<(), Failed> {
        let place = self.place(name, !shared);
        let Self { names, all, database, .. } = self;
        let _waiting = show_waiting(all, place);
        let locked = names.lock(&key(*database, name), strength(shared), policy(waits), timeout).await;
        locked.map_err(|error| match error {
            // What is held beside transactions no new attempt at one gives back.
            client::Error::Deadlock { cycle } => {
                Failed::Error(Error::new("40P01", "deadlock detected").detail(cycle))
            }
            other => other.into(),
        })
    }

    fn place(&self, name: AdvisoryName, is_exclusive: bool) -> Place {
        Place { pid: self.pid, database: self.database, name, is_exclusive }
    }

    /// Gives a lock of the session back once; whether it had it.
    async fn give_back(&mut self, name: AdvisoryName, shared: bool) -> bool {
        let Some(held) = self.held.get_mut(&name) else { return false };
        let count = if shared { &mut held.shared } else { &mut held.exclusive };
        let Some(left) = count.checked_sub(1) else { return false };
        *count = left;
        self.settle(name).await;
        true
    }

    /// Gives all locks of the session back.
    pub(crate) async fn give_all_back(&mut self) {
        let names: Vec<AdvisoryName> = self.held.keys().copied().collect();
        for name in names {
            if let Some(held) = self.held.get_mut(&name) {
                (held.exclusive, held.shared) = (0, 0);
            }
            self.settle(name).await;
        }
    }

    /// The transaction has ended, and its own locks with it.
    pub(crate) async fn end_transaction(&mut self) {
        self.rollback_to(0).await;
    }

    /// The transaction holds this no more.
    async fn forget(&mut self, name: AdvisoryName) {
        if let Some(held) = self.held.get_mut(&name) {
            held.by_transaction = None;
        }
        self.settle(name).await;
    }

    /// Lets go of what nobody holds any more.
    async fn settle(&mut self, name: AdvisoryName) {
        if self.held.get(&name).is_some_and(Held::is_idle) {
            self.held.remove(&name);
            self.names.unlock(&key(self.database, name)).await;
        }
        self.show(name);
    }

    fn show(&self, name: AdvisoryName) {
        let held = self.held.get(&name).copied().unwrap_or_default();
        let mut all = self.all.0.lock();
        for is_exclusive in [true, false] {
            let by_session = if is_exclusive { held.exclusive } else { held.shared } > 0;
            let place = self.place(name, is_exclusive);
            if by_session || held.by_transaction == Some(is_exclusive) {
                all.insert(place, true);
            } else {
                all.remove(&place);
            }
        }
    }
}

impl Drop for AdvisoryLocks {
    fn drop(&mut self) {
        if !self.held.is_empty() {
            self.all.0.lock().retain(|place, _| place.pid != self.pid);
        }
    }
}

fn show_waiting(all: &HeldLocks, place: Place) -> Waiting<'_> {
    all.0.lock().entry(place).or_insert(false);
    Waiting { all, place }
}

/// Why a lock was not taken.
enum Failed {
    /// Others hold it.
    Taken,
    Error(Error),
}

impl From<client::Error> for Failed {
    fn from(error: client::Error) -> Self {
        match error {
            client::Error::LockNotAvailable { .. } => Self::Taken,
            other => Self::Error(other.into()),
        }
    }
}

fn strength(shared: bool) -> Strength {
    if shared { Strength::Shared } else { Strength::Exclusive }
}

fn policy(waits: bool) -> WaitPolicy {
    if waits { WaitPolicy::Block } else { WaitPolicy::Nowait }
}
