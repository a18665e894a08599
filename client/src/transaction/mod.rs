//! A transaction: reads at one timestamp, a buffer of writes, locks, and what it relied on.

use bytes::Bytes;

use crate::client::unsupported;
use crate::{
    Client, CommitTimestamp, Locked, Result, ScanOptions, ScanPage, Span, Strength, TransactionOptions,
    WaitPolicy,
};

/// A transaction. After an error of [`Transaction::commit`], or one that [`crate::Error::is_retryable`], it is over.
/// Dropping it rolls it back in the background.
#[derive(Debug)]
pub struct Transaction {
    #[expect(dead_code, reason = "the skeleton")]
    client: Client,
    options: TransactionOptions,
}

/// A point to roll back to, of the transaction that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint {
    pub(crate) depth: usize,
}

impl Transaction {
    pub(crate) fn new(client: Client, options: TransactionOptions) -> Self {
        Self { client, options }
    }

    /// What the transaction was begun with.
    pub fn options(&self) -> &TransactionOptions {
        &self.options
    }

    /// The timestamp that plain reads see; taken from the oracle on first use.
    pub async fn read_timestamp(&mut self) -> Result<u64> {
        Err(unsupported())
    }

    /// The catalog version that came with the read timestamp; 0 = not known.
    pub fn oracle_catalog_version(&self) -> u64 {
        0
    }

    /// From now on requests carry `version`: a range where another schema is in force answers
    /// [`crate::Error::StaleCatalog`] and does nothing. 0 = depends on none.
    pub fn set_catalog_version(&mut self, version: u64) {
        self.options.catalog_version = version;
    }

    /// The start timestamp of the first attempt, see [`TransactionOptions::priority`]; 0 = none taken yet.
    pub fn priority(&self) -> u64 {
        self.options.priority
    }

    /// The value of `key`; `None`: no such key.
    pub async fn get(&mut self, _key: Bytes) -> Result<Option<Bytes>> {
        Err(unsupported())
    }

    /// The values of `keys`, in their order.
    pub async fn get_many(&mut self, _keys: Vec<Bytes>) -> Result<Vec<Option<Bytes>>> {
        Err(unsupported())
    }

    /// One page of the rows of `span`, own writes included.
    pub async fn scan(&mut self, _span: Span, _options: ScanOptions) -> Result<ScanPage> {
        Err(unsupported())
    }

    /// Locks `keys` until the end of the transaction and reads their newest values.
    pub async fn lock(
        &mut self,
        _keys: Vec<Bytes>,
        _strength: Strength,
        _wait: WaitPolicy,
    ) -> Result<Vec<Locked>> {
        Err(unsupported())
    }

    /// Buffers a write.
    pub fn put(&mut self, _key: Bytes, _value: Bytes) {}

    /// Buffers a deletion.
    pub fn delete(&mut self, _key: Bytes) {}

    /// The bytes of all buffered keys and values.
    pub fn buffered_bytes(&self) -> usize {
        0
    }

    /// Marks a point to roll back to.
    pub fn savepoint(&mut self) -> Savepoint {
        Savepoint { depth: 0 }
    }

    /// Takes back the writes since `savepoint`, which stays; later savepoints go. Locks stay.
    pub fn rollback_to(&mut self, _savepoint: &Savepoint) {}

    /// Forgets `savepoint` and later ones; the writes since stay.
    pub fn release(&mut self, _savepoint: Savepoint) {}

    /// A statement begins: under READ COMMITTED its reads take a fresh timestamp.
    pub fn begin_statement(&mut self) {}

    /// Whether nothing was read, locked or written yet.
    pub fn is_pristine(&self) -> bool {
        true
    }

    /// Whether the transaction holds locks or has buffered writes.
    pub fn has_effects(&self) -> bool {
        false
    }

    /// Commits. On success every later transaction of any client sees the writes.
    pub async fn commit(&mut self) -> Result<CommitTimestamp> {
        Err(unsupported())
    }

    /// Gives everything up.
    pub async fn rollback(&mut self) {}
}
