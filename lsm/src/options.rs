//! What a database is opened with, and what single reads and writes are told.

use std::path::PathBuf;
use std::sync::Arc;

use env::disk::Disk;

use crate::encryption::KeySource;

/// The number of a write. Later writes have larger ones; 0 is before all writes.
pub type Sequence = u64;

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the files are kept.
    pub disk: Arc<dyn Disk>,
    /// The directory of this database; it is made if it does not exist.
    pub dir: PathBuf,
    /// The keyspaces, in any order. What a keyspace is (its prefix, versioned or not) never changes.
    pub keyspaces: Vec<Keyspace>,
    /// A memtable past this size is flushed.
    pub memtable_bytes_max: usize,
    /// Bound of the block cache.
    pub cache_bytes: u64,
    /// Who does flushes and compactions.
    pub background: Background,
    /// A block of a table is closed at about this size, before compression: where it fills a page of the disk.
    pub block_bytes: usize,
    /// A table is closed past this size.
    pub table_bytes: u64,
    /// Number of level-0 tables from which on they may be compacted: once they are three fifths of what they will be merged
    /// with, or reads over them have cost as much as merging would, and at the latest at three times so many.
    pub level0_tables: usize,
    /// About the bytes of the first level below level 0, from a third of this to three times: each further one holds ten
    /// times as many, and the last all the data.
    pub level1_bytes: u64,
    /// Compactions write no more than this per second, what flushes write counted in; None is as fast as it goes. With
    /// [`Background::Manual`] it has no effect.
    pub background_bytes_per_second: Option<u64>,
    /// A compaction that would leave less than this on the disk is given up, and tried again after the next flush; 0 = it
    /// may take all.
    pub disk_reserve_bytes: u64,
    /// Segments of the write-ahead log are closed past this size.
    pub log_segment_bytes: u64,
    /// Encrypts all files. A database that was not encrypted becomes so, old files in the background; one that is cannot
    /// be opened without.
    pub encryption: Option<KeySource>,
    /// Whether a database is made if there is none.
    pub create_if_missing: bool,
}

impl Options {
    /// Defaults for a server: 64 MiB memtable, 256 MiB cache, two background threads.
    pub fn new(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>, keyspaces: Vec<Keyspace>) -> Self {
        Self {
            disk,
            dir: dir.into(),
            keyspaces,
            memtable_bytes_max: 64 << 20,
            cache_bytes: 256 << 20,
            background: Background::Threads(2),
            block_bytes: 8 << 10,
            table_bytes: 64 << 20,
            level0_tables: 4,
            level1_bytes: 256 << 20,
            background_bytes_per_second: None,
            disk_reserve_bytes: 0,
            log_segment_bytes: 64 << 20,
            encryption: None,
            create_if_missing: true,
        }
    }
}

/// Keys that share their first byte and are kept in tables of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyspace {
    /// The first byte of every key in it.
    pub prefix: u8,
    /// For people: it appears in statistics.
    pub name: &'static str,
    /// Whether keys have versions (`put_at`, `get_at`, `scan_at`) or one value (`put`, `get`, `scan`).
    pub versioned: bool,
    /// Bits of filter per key; 0 is no filter.
    pub filter_bits: u8,
    /// How its blocks are compressed.
    pub compression: Compression,
}

impl Keyspace {
    /// A keyspace without versions, 10 filter bits, lz4.
    pub fn plain(prefix: u8, name: &'static str) -> Self {
        Self { prefix, name, versioned: false, filter_bits: 10, compression: Compression::Lz4 }
    }

    /// A keyspace with versions, 10 filter bits, lz4.
    pub fn versioned(prefix: u8, name: &'static str) -> Self {
        Self { versioned: true, ..Self::plain(prefix, name) }
    }
}

/// How blocks are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not.
    None,
    /// lz4, where that saves at least an eighth.
    Lz4,
    /// zstd, where that saves at least an eighth: for what is kept long and read seldom.
    Zstd,
}

/// Who does flushes and compactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// This many threads of the database's own.
    Threads(usize),
    /// The caller, by [`crate::Db::step`]: simulations and tests have no threads.
    Manual,
}

/// How one batch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// Write it to the write-ahead log. Without, it survives a crash only once it is flushed
    /// ([`crate::Db::sequence_durable`] tells).
    pub wal: bool,
    /// Return only when the write-ahead log is synced.
    pub sync: bool,
    /// Wait where background work is behind. Without, the caller has waited by itself ([`crate::Db::write_delay`]), and
    /// is held back here only where that work is so far behind that it might never catch up.
    pub paced: bool,
}

impl WriteOptions {
    /// In memory until flushed: for callers with a log of their own.
    pub const UNLOGGED: Self = Self { wal: false, sync: false, paced: true };
    /// Logged, not yet synced: the operating system has it after the next 4 KiB or 10 ms, and the sync that is under way then
    /// (with [`Background::Manual`] after those 4 KiB, or the next [`crate::Db::step`]). A crash of the process loses what it
    /// does not have yet; one of the machine, what is not synced.
    pub const LOGGED: Self = Self { wal: true, sync: false, paced: true };
    /// Logged and synced.
    pub const SYNCED: Self = Self { wal: true, sync: true, paced: true };
    /// As [`WriteOptions::UNLOGGED`], by a caller that paces itself.
    pub const UNLOGGED_UNPACED: Self = Self { wal: false, sync: false, paced: false };
}

/// What a scan of a versioned keyspace returns, and in which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanOptions {
    /// Descending keys. Versions of one key come newest first in either direction.
    pub reverse: bool,
    /// Only versions with a timestamp above this one.
    pub since: Option<u64>,
    /// All versions up to the timestamp of the scan, not only the newest of each key.
    pub all_versions: bool,
    /// Also deletions, as entries without a value.
    pub tombstones: bool,
}
