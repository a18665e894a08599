//! The database: its public face.

use std::ops::Bound;

use bytes::Bytes;

use crate::batch::WriteBatch;
use crate::error::{Error, Result};
use crate::options::{Options, ScanOptions, Sequence, WriteOptions};

/// A range of keys inside one keyspace.
pub type KeyRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// A version of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// When it was written.
    pub timestamp: u64,
    /// Its value; `None` says 'deleted'.
    pub value: Option<Bytes>,
}

/// A version of a key, with the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionedEntry {
    /// The key.
    pub key: Bytes,
    /// When the version was written.
    pub timestamp: u64,
    /// Its value; `None` says 'deleted'.
    pub value: Option<Bytes>,
}

/// Which versions compaction may drop in a span of a versioned keyspace: of every key those older than its newest
/// version at or below the safe point. Spans without retention keep everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// First key of the span.
    pub start: Bytes,
    /// First key after the span.
    pub end: Bytes,
    /// Reads at or above this timestamp stay exact. No version at or below it may be written any more.
    pub safe_point: u64,
}

/// Figures about a database.
#[derive(Clone, Debug, Default)]
pub struct Stats {}

/// A database. Clones are the same database; it is closed when the last is dropped.
#[derive(Clone, Debug)]
pub struct Db {}

/// The database as it was at one moment. Holds its files and memory until dropped.
#[derive(Clone, Debug)]
pub struct Snapshot {}

/// Iterator over an unversioned range: (key, value).
#[derive(Debug)]
pub struct Scan {}

/// Iterator over a versioned range.
#[derive(Debug)]
pub struct ScanAt {}

/// Writes tables for [`Db::excise_and_ingest`]: entries of one keyspace in order, cut into tables as needed.
#[derive(Debug)]
pub struct TableBuilder {}

/// A finished table, not yet part of the database; its file is removed when it is dropped before it has become so.
#[derive(Debug)]
pub struct TableFile {}

fn unfinished<T>() -> Result<T> {
    Err(Error::Invalid("the engine's body is not built yet".to_owned()))
}

impl Db {
    /// Opens or creates a database.
    pub fn open(_options: Options) -> Result<Self> {
        unfinished()
    }

    /// Writes a batch and returns the sequence of its last operation. Readable at return.
    pub fn write(&self, _batch: WriteBatch, _options: WriteOptions) -> Result<Sequence> {
        unfinished()
    }

    /// The value of a key of an unversioned keyspace.
    pub fn get(&self, _key: &[u8]) -> Result<Option<Bytes>> {
        unfinished()
    }

    /// The newest version at or below `at` of a key of a versioned keyspace, deletions included.
    pub fn get_at(&self, _key: &[u8], _at: u64) -> Result<Option<Versioned>> {
        unfinished()
    }

    /// The entries of a range of an unversioned keyspace, ascending or descending.
    pub fn scan(&self, _range: KeyRange<'_>, _reverse: bool) -> Result<Scan> {
        unfinished()
    }

    /// The versions at or below `at` in a range of a versioned keyspace.
    pub fn scan_at(&self, _range: KeyRange<'_>, _at: u64, _options: ScanOptions) -> Result<ScanAt> {
        unfinished()
    }

    /// The database as it is now, for many reads.
    pub fn snapshot(&self) -> Result<Snapshot> {
        unfinished()
    }

    /// Writes all that is in memory to tables; returns when it would survive a crash.
    pub fn flush(&self) -> Result<()> {
        unfinished()
    }

    /// Every write with at most this sequence survives a crash.
    pub fn sequence_durable(&self) -> Sequence {
        0
    }

    /// The sequence of the newest readable write.
    pub fn sequence(&self) -> Sequence {
        0
    }

    /// Replaces the retention of all spans: they must not overlap. Not kept across [`Db::open`].
    pub fn set_retention(&self, _retention: Vec<Retention>) -> Result<()> {
        unfinished()
    }

    /// Starts writing tables for [`Self::excise_and_ingest`] into the keyspace with this prefix.
    pub fn table_builder(&self, _keyspace: u8) -> Result<TableBuilder> {
        unfinished()
    }

    /// In one durable step: removes all keys of the spans (start, end), adds the tables, and writes the batch.
    pub fn excise_and_ingest(
        &self,
        _spans: &[(Bytes, Bytes)],
        _tables: Vec<TableFile>,
        _batch: WriteBatch,
    ) -> Result<Sequence> {
        unfinished()
    }

    /// With [`crate::Background::Manual`]: one unit of background work, if there is one to do.
    pub fn step(&self) -> Result<bool> {
        unfinished()
    }

    /// Compacts everything as far as it goes.
    pub fn compact(&self) -> Result<()> {
        unfinished()
    }

    /// Reads every block of every table and checks checksums, order and what the manifest claims.
    pub fn verify(&self) -> Result<()> {
        unfinished()
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        Stats::default()
    }

    /// Ends background work. Unflushed, unlogged writes are lost: flush first if they matter.
    pub fn close(&self) -> Result<()> {
        unfinished()
    }
}

impl Snapshot {
    /// See [`Db::get`].
    pub fn get(&self, _key: &[u8]) -> Result<Option<Bytes>> {
        unfinished()
    }

    /// See [`Db::get_at`].
    pub fn get_at(&self, _key: &[u8], _at: u64) -> Result<Option<Versioned>> {
        unfinished()
    }

    /// See [`Db::scan`].
    pub fn scan(&self, _range: KeyRange<'_>, _reverse: bool) -> Result<Scan> {
        unfinished()
    }

    /// See [`Db::scan_at`].
    pub fn scan_at(&self, _range: KeyRange<'_>, _at: u64, _options: ScanOptions) -> Result<ScanAt> {
        unfinished()
    }

    /// The sequence of the newest write it sees.
    pub fn sequence(&self) -> Sequence {
        0
    }
}

impl Iterator for Scan {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

impl Iterator for ScanAt {
    type Item = Result<VersionedEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

impl TableBuilder {
    /// Adds a value; keys ascend strictly.
    pub fn put(&mut self, _key: &[u8], _value: &[u8]) -> Result<()> {
        unfinished()
    }

    /// Adds a version or, without a value, a deletion; keys ascend, timestamps of one key descend strictly.
    pub fn put_at(&mut self, _key: &[u8], _timestamp: u64, _value: Option<&[u8]>) -> Result<()> {
        unfinished()
    }

    /// Closes the last table; all are synced.
    pub fn finish(self) -> Result<Vec<TableFile>> {
        unfinished()
    }
}
