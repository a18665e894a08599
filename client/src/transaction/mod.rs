//! A transaction: reads at one timestamp, a buffer of writes, locks, and what it relied on.
//!
//! 1. The first use takes a timestamp S (`start`): the leader of the range that it goes to asks the oracle for it, so that
//!    it costs no round trip of its own. Plain reads (`read`) see what was committed up to S, and the transaction's own
//!    buffered writes; what it has locked they see without asking.
//! 2. `lock` locks keys at their range's leader and reads their newest versions. If one of them is newer than S, the
//!    transaction moves to a fresh timestamp by proving that nothing it has read has changed since (`refresh`); it
//!    fails if something has. READ COMMITTED does not move: each of its statements has a timestamp of its own.
//! 3. `commit` sends the writes together with what they rely on: at every level that no locked key has changed since
//!    it was locked (the lock may have been lost with its leader), and under SERIALIZABLE that nothing read has changed
//!    since S. Where all of that lies in one range this is one request; where it does not, see `many`; where it is too much
//!    to be held in memory, see `large`.

mod buffer;
mod commit;
mod large;
mod layers;
mod lock;
mod many;
mod merge;
mod past;
mod ranges;
mod read;
mod read_set;
mod resolve;
mod savepoint;
mod scan;
mod sorted;
mod start;
mod view;
mod written;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::{random, task};
use keys::Span;
use keys::sql::branch_of;
use proto::v1::{Release, operation};

use self::buffer::WriteBuffer;
use self::large::Flushed;
use self::lock::Held;
use self::read_set::ReadSet;
use self::savepoint::AskedLocks;
pub use self::savepoint::Savepoint;
use self::scan::Ahead;
use self::sorted::SortedMap;
use self::view::Looking;
pub use self::view::ReadView;
pub use self::written::Written;
use crate::heartbeat::Holding;
use crate::horizon::Generation;
use crate::sender::{Call, Failure, Kind};
use crate::{Client, Error, Isolation, Result, TransactionOptions, branch};

/// How long a transaction that is over tries to give its locks back before it lets them expire.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the end of a transaction is held up by that.
const RELEASE_WAIT: Duration = Duration::from_millis(500);

/// So many times in a row may ranges answer one request with new bounds.
const REROUTES_MAX: u32 = 50;

/// A transaction. After [`Transaction::commit`], and after an error that [`Error::is_retryable`], it is over and
/// answers [`Error::Finished`]; while savepoints are open it may outlive such an error, see [`Transaction::is_over`]. Dropping it rolls it back in the background.
///
/// Invariants: every key in `reads` was read at `timestamp` (or has been proven unchanged up to it); every key in
/// `held` had no version newer than its own between that version and `locked_at`; a range is in `holding` before the
/// first lock is asked of it; `holds` is there before a timestamp is asked for, by whomever.
pub struct Transaction {
    client: Client,
    options: TransactionOptions,
    state: State,
    /// Empty until the first lock or the commit needs it.
    id: Bytes,
    /// What plain reads see, and what a retry of the commit is recognised by; 0 = none yet.
    timestamp: u64,
    /// What it gives up takes more room than what it writes.
    frees_space: bool,
    /// It is about a moment of the past.
    of_past: bool,
    /// What it reads whoever is nearest may answer.
    from_followers: bool,
    /// Has history kept from its first timestamp on while it is open.
    holds: Option<Arc<Generation>>,
    /// READ COMMITTED: the next use takes a fresh timestamp.
    stale: bool,
    /// The catalog version that came with `timestamp`.
    oracle_catalog_version: u64,
    pristine: bool,
    buffer: WriteBuffer,
    /// The view that reads go through, if they do not see everything.
    looking: Option<Looking>,
    /// What left the buffer before the commit.
    flushed: Option<Flushed>,
    reads: ReadSet,
    /// What is relied on whatever the isolation level, each by the timestamp that it was read at, ascending.
    relied: Vec<(u64, ReadSet)>,
    /// Pages that a scan will come to.
    ahead: Ahead,
    /// What reads the layers below branches, each at a moment of its own.
    below: Vec<Transaction>,
    /// The timestamp and the catalog version that were found to go together last, by the range that keeps the latter.
    gated: (u64, u64),
    held: SortedMap<Held>,
    asked: AskedLocks,
    /// About how many bytes of memory `held` takes.
    held_bytes: usize,
    /// How many of those are values.
    held_values_bytes: usize,
    /// The ranges that were asked for locks.
    holding: Option<Arc<Holding>>,
    /// What gives back what a transaction that is over had.
    releasing: Vec<task::JoinHandle<()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Over,
}

impl Client {
    /// A transaction that has not done anything yet; costs nothing until it does.
    pub fn begin(&self, options: TransactionOptions) -> Transaction {
        Transaction::new(self.clone(), options)
    }
}

impl Transaction {
    pub(crate) fn new(client: Client, options: TransactionOptions) -> Self {
        Self {
            client,
            options,
            state: State::Open,
            id: Bytes::new(),
            timestamp: 0,
            frees_space: false,
            of_past: false,
            from_followers: false,
            holds: None,
            stale: false,
            oracle_catalog_version: 0,
            pristine: true,
            buffer: WriteBuffer::default(),
            looking: None,
            flushed: None,
            reads: ReadSet::default(),
            relied: Vec::new(),
            ahead: Ahead::default(),
            below: Vec::new(),
            gated: (0, 0),
            held: SortedMap::default(),
            asked: AskedLocks::default(),
            held_bytes: 0,
            held_values_bytes: 0,
            holding: None,
            releasing: Vec::new(),
        }
    }

    /// What the transaction was begun with.
    pub fn options(&self) -> &TransactionOptions {
        &self.options
    }

    /// How long a wait for locks may last from now on, see [`TransactionOptions::lock_timeout`].
    pub fn set_lock_timeout(&mut self, timeout: Option<Duration>) {
        self.options.lock_timeout = timeout;
    }

    /// The catalog version that came with the read timestamp; 0 = not known.
    pub fn oracle_catalog_version(&self) -> u64 {
        self.oracle_catalog_version
    }

    /// From now on requests carry `version`: a range where another schema is in force answers
    /// [`Error::StaleCatalog`] and does nothing. 0 = depends on none.
    pub fn set_catalog_version(&mut self, version: u64) {
        self.options.catalog_version = version;
    }

    /// About when the first attempt began, see [`TransactionOptions::priority`]; 0 = none taken yet.
    pub fn priority(&self) -> u64 {
        self.options.priority
    }

    /// Buffers a write.
    pub fn put(&mut self, key: Bytes, value: Bytes) {
        self.pristine = false;
        self.buffer.write(key, Some(value));
    }

    /// Buffers a write of a row that stays where it is, with every column of its unique keys as it stands there now. Who
    /// relies on the row's keys alone need not heed it.
    pub fn put_keeping_key(&mut self, key: Bytes, value: Bytes) {
        self.pristine = false;
        self.buffer.write_keeping_key(key, value);
    }

    /// Buffers a deletion.
    pub fn delete(&mut self, key: Bytes) {
        self.pristine = false;
        // What lies below must not come to light.
        let mark = branch_of(&key).map(|_| branch::mark());
        self.buffer.write(key, mark);
    }

    /// Forgets what was written to a span, and every savepoint: of keys that were not there before this transaction nothing is
    /// left. False: some of what it has written has left its buffer, and nothing is forgotten.
    pub fn forget_writes(&mut self, span: &Span) -> bool {
        if self.flushed.is_some() {
            return false;
        }
        let keys: Vec<Bytes> = self.buffer.span(span, None).map(|(key, _)| key.clone()).collect();
        if !keys.is_empty() {
            self.buffer.forget(&keys);
        }
        true
    }

    /// The transaction gives up more room than its writes take, as a statement that drops a table does: it is committed on
    /// a full disk, too.
    pub fn frees_space(&mut self) {
        self.frees_space = true;
    }

    /// The bytes of all buffered keys and values.
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.bytes()
    }

    /// About how many bytes of memory the transaction's writes and locks take.
    pub fn memory_bytes(&self) -> usize {
        self.buffer.memory_bytes().saturating_add(self.held_bytes)
    }

    /// A statement begins: under READ COMMITTED its reads take a fresh timestamp.
    pub fn begin_statement(&mut self) {
        self.look_at_all();
        self.stale = self.options.isolation == Isolation::ReadCommitted;
    }

    /// Whether nothing was read, locked or written yet.
    pub fn is_pristine(&self) -> bool {
        self.pristine
    }

    /// Whether the transaction holds locks or has buffered writes.
    pub fn has_effects(&self) -> bool {
        !self.buffer.is_empty()
            || self.flushed.is_some()
            || self.holding.as_ref().is_some_and(|holding| !holding.is_empty())
    }

    /// Whether the transaction has written or locked any key. Names that it has locked do not count.
    pub fn has_keys(&self) -> bool {
        !self.buffer.is_empty() || self.flushed.is_some() || !self.held.is_empty()
    }

    /// Gives everything up. Others can have its locks then, also those of one that an error has ended, as far as that does not
    /// take long.
    pub async fn rollback(&mut self) {
        self.end_and_release().await;
    }

    fn open(&self) -> Result<()> {
        if self.state == State::Open { Ok(()) } else { Err(Error::Finished) }
    }

    /// Whether what is read has to be remembered.
    fn tracks_reads(&self) -> bool {
        !self.options.read_only && self.options.isolation != Isolation::ReadCommitted
    }

    fn id(&mut self) -> Bytes {
        if self.id.is_empty() {
            self.id = Bytes::from_owner(random::id());
            if let Some(shown) = &self.options.shown {
                shown.show(&self.id);
            }
        }
        self.id.clone()
    }

    /// What requests that do not wait say about the transaction.
    fn call(&self) -> Call {
        Call {
            txn_id: self.id.clone(),
            start_timestamp: self.flushed.as_ref().map_or(self.timestamp, |flushed| flushed.start_timestamp),
            sees_intents: self.flushed.is_some(),
            priority: self.options.priority,
            catalog_version: self.options.catalog_version,
            timeout: self.options.timeout,
            kind: Kind::Read,
            from_follower: self.from_followers,
        }
    }

    /// The error of a request that was no check. One that ends the transaction does so here.
    fn fail(&mut self, failure: Failure) -> Error {
        let error = match failure.into_error() {
            // It does not ask for the past: begun anew it finds what is there now.
            Error::HistoryErased { before } if !self.of_past && self.timestamp < before => {
                Error::Serialization { key: Bytes::new() }
            }
            error => error,
        };
        if error.is_retryable() && !self.survives(&error) {
            self.end();
        }
        error
    }

    /// The transaction is over: forgets everything and gives its locks back, in tasks of their own.
    fn end(&mut self) {
        self.state = State::Over;
        if let Some(settlement) = self.settlement() {
            self.flushed = None;
            self.releasing.extend(settlement.roll_back());
        }
        self.buffer.clear();
        self.reads = ReadSet::default();
        self.relied.clear();
        self.ahead = Ahead::default();
        self.below.clear();
        self.held.clear();
        self.asked.clear();
        (self.held_bytes, self.held_values_bytes) = (0, 0);
        self.holds = None;
        if let Some(holding) = self.holding.take() {
            let locked = holding.keys();
            if !locked.is_empty() {
                self.releasing.extend(self.give_back(locked));
            }
        }
    }

    /// The transaction is over; waits until others can have what it had, as long as that does not take long.
    async fn end_and_release(&mut self) {
        self.end();
        if self.releasing.is_empty() {
            return;
        }
        let released = async {
            while let Some(releasing) = self.releasing.last_mut() {
                let _ended = releasing.await;
                self.releasing.pop();
            }
        };
        if env::clock::timeout(RELEASE_WAIT, released).await.is_err() {
            tracing::debug!("the locks of a finished transaction are given back later");
        }
    }

    /// Gives back all locks in the ranges of these keys.
    fn give_back(&self, locked: Vec<Bytes>) -> Option<task::JoinHandle<()>> {
        // Outside of a runtime, as when a process ends, the locks expire.
        if tokio::runtime::Handle::try_current().is_err() {
            return None;
        }
        let sender = self.client.sender.clone();
        let call = Call { timeout: RELEASE_TIMEOUT, catalog_version: 0, ..self.call() };
        Some(task::spawn(async move {
            let mut told: Vec<u64> = Vec::new();
            // Of those whose range is divided meanwhile each is asked for once more.
            let mut left: VecDeque<(Bytes, bool)> = locked.into_iter().map(|key| (key, true)).collect();
            while let Some((key, again)) = left.pop_front() {
                let Some(route) = sender.router.route(&key).filter(|route| !told.contains(&route.range_id()))
                else {
                    continue;
                };
                let build = || operation::Operation::Release(Release { keys: Vec::new() });
                match sender.send(&route, &call, build).await {
                    Ok(_) => told.push(route.range_id()),
                    Err(Failure::Rerouted) if again => left.push_back((key, false)),
                    Err(failure) => {
                        tracing::debug!(range = route.range_id(), ?failure, "locks are left to expire");
                    }
                }
            }
        }))
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.state == State::Open {
            self.end();
        }
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction")
            .field("id", &self.id)
            .field("state", &self.state)
            .field("timestamp", &self.timestamp)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A span as the protocol has it.
fn to_wire(span: &Span) -> proto::v1::Span {
    proto::v1::Span { start: span.start.clone(), end: span.end.clone() }
}
