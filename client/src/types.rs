//! The values that callers and the client exchange.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use keys::Span;
use parking_lot::Mutex;
use proto::v1::TimestampResponse;
pub use proto::v1::{Strength, WaitPolicy};

/// A timestamp of the cluster's oracle: 46 bits of milliseconds since the Unix epoch, then 18 bits logical.
pub type CommitTimestamp = u64;

/// A timestamp, and what the oracle said beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// The timestamp; never handed out before, and above every acknowledged commit.
    pub timestamp: u64,
    /// The catalog version in force at it; 0 = not known to the oracle.
    pub catalog_version: u64,
}

impl From<TimestampResponse> for Timestamp {
    fn from(answer: TimestampResponse) -> Self {
        Self { timestamp: answer.first, catalog_version: answer.catalog_version }
    }
}

/// How far a transaction is kept apart from the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// As if transactions ran one after the other, in an order that agrees with real time.
    #[default]
    Serializable,
    /// One snapshot for all reads; what is written must not have changed since.
    RepeatableRead,
    /// A fresh snapshot for each statement.
    ReadCommitted,
}

/// How a transaction is to run.
#[derive(Clone, Debug)]
pub struct TransactionOptions {
    /// The isolation level.
    pub isolation: Isolation,
    /// Refuses writes and locks; such a transaction never waits for locks, validates or aborts.
    pub read_only: bool,
    /// How long one wait for locks may last; `None`: as long as the transaction lives.
    pub lock_timeout: Option<Duration>,
    /// How long one call may go on trying to reach the cluster; waits for locks do not count.
    pub timeout: Duration,
    /// The schema that the transaction was planned under, see [`crate::Transaction::set_catalog_version`].
    pub catalog_version: u64,
    /// What [`crate::Transaction::priority`] said of the attempt that this one repeats; 0 = a first attempt. Of two
    /// transactions in a deadlock the one with the larger priority goes.
    pub priority: u64,
    /// Where the transaction shows its id once it has one, for others to see whom they wait for.
    pub shown: Option<ShownId>,
}

/// The id of a transaction, as others may look at it while it runs. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ShownId(Arc<Mutex<Bytes>>);

impl ShownId {
    /// The id; empty: it has neither locked nor written anything.
    pub fn get(&self) -> Bytes {
        self.0.lock().clone()
    }

    /// There is no such transaction any more.
    pub fn clear(&self) {
        *self.0.lock() = Bytes::new();
    }

    pub(crate) fn show(&self, id: &Bytes) {
        *self.0.lock() = id.clone();
    }
}

impl Default for TransactionOptions {
    fn default() -> Self {
        Self {
            isolation: Isolation::Serializable,
            read_only: false,
            lock_timeout: None,
            timeout: Duration::from_secs(30),
            catalog_version: 0,
            priority: 0,
            shown: None,
        }
    }
}

/// How much one page of a scan may hold, and its direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScanOptions {
    /// At most so many rows; 0 = no bound.
    pub rows_max: usize,
    /// The page ends with the row that passes this many bytes; 0 = the range's own bound.
    pub bytes_max: usize,
    /// In descending order of keys.
    pub reverse: bool,
}

/// Rows in the order that was asked for.
#[derive(Clone, Debug, Default)]
pub struct ScanPage {
    /// Keys with their values.
    pub rows: Vec<(Bytes, Bytes)>,
    /// What is left to scan; `None`: nothing. A page may be empty and yet leave something.
    pub resume: Option<Span>,
}

/// One key after [`crate::Transaction::lock`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locked {
    /// The newest value, the transaction's own write included; `None`: no such key.
    pub value: Option<Bytes>,
    /// With `SKIP_LOCKED`: another transaction holds it, so it was not locked.
    pub skipped: bool,
    /// A version newer than the transaction's read timestamp was found: what was read of this key before is out of
    /// date. Under READ COMMITTED the caller evaluates its predicate again.
    pub changed: bool,
    /// When the committed version was written that the lock has found; 0 where there is none, or none was looked for.
    pub newest: u64,
}
