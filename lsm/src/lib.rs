//! A log-structured merge engine with native versions.
//!
//! The first byte of a key chooses its [`Keyspace`]. A keyspace keeps one value per key ([`Db::get`], [`Db::scan`]) or
//! versions by timestamp ([`Db::get_at`], [`Db::scan_at`]). A [`WriteBatch`] is atomic over all of them, with or
//! without the write-ahead log; all keyspaces are flushed together, so that what survives a crash is a prefix of
//! what was written. [`log`] is the append-only file beneath, usable alone.

mod batch;
mod block;
mod cache;
mod coding;
mod compaction;
mod db;
mod encryption;
mod entry;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod keyspaces;
pub mod log;
mod manifest;
mod memtable;
mod merge;
mod options;
mod read;
mod skiplist;
mod spans;
mod sync;
mod table;
mod tree;

pub use batch::{EncodedBatch, Operation, OperationRef, Operations, WriteBatch};
pub use compaction::retention::Retention;
pub use db::{BlockInfo, Db, KeyspaceStats, LevelStats, Snapshot, Stats, TableBuilder, TableFile, TableInfo};
pub use encryption::{EncryptionStatus, KeySource, KeyUse, Keys, MasterKey};
pub use entry::{KeyRange, Note, Versioned, VersionedEntry};
pub use error::{Error, Result};
pub use options::{Background, Compression, Keyspace, Options, ScanOptions, Sequence, WriteOptions};
pub use read::{Scan, ScanAt};
