//! The database: its public face over the engine's parts.
//!
//! A write goes [`write`](Db::write) → log → memtable → published → synced, if it asks for it; a full memtable is sealed,
//! flushed into level 0 (`flush`), and what lies there is compacted downwards (`compact`). Reads take the current view,
//! one immutable value of memtables and tables, and never wait for either.

mod checkpoint;
mod compact;
mod engine;
mod figures;
mod flush;
mod ingest;
mod inspect;
mod open;
mod rekey;
mod size;
mod tables;
mod write;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

pub use ingest::{TableBuilder, TableFile};
pub use inspect::{KeyspaceStats, LevelStats, Stats};
pub use tables::{BlockInfo, TableInfo};

use crate::batch::WriteBatch;
use crate::compaction::retention::{Retention, Retentions};
use crate::encryption::{EncryptionStatus, KeySource, Keys};
use crate::entry::{KeyRange, Versioned, VersionedEntry};
use crate::error::{Error, Result};
use crate::keyspaces::Keyspaces;
use crate::options::{Background, Options, ScanOptions, Sequence, WriteOptions};
use crate::read::{Reader, Scan, ScanAt};
use crate::spans::Span;
use crate::tree::View;
use compact::Duty;
use engine::Engine;

/// A database. Clones are the same database; it is closed when the last is dropped.
#[derive(Clone)]
pub struct Db {
    handle: Arc<Handle>,
}

struct Handle {
    engine: Arc<Engine>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The database as it was at one moment. Holds its files and memory until dropped.
#[derive(Clone)]
pub struct Snapshot {
    engine: Arc<Engine>,
    reader: Reader,
}

impl Db {
    /// Opens or creates a database.
    pub fn open(options: Options) -> Result<Self> {
        let background = options.background;
        let engine = Arc::new(Engine::open(options)?);
        let handle = Handle { engine, threads: Mutex::default() };
        let count = match background {
            Background::Manual => 0,
            Background::Threads(count) => count.max(1),
        };
        for number in 0..count {
            let engine = handle.engine.clone();
            let (name, duty) = match number {
                0 if count == 1 => ("lsm-background", Duty::Both),
                0 => ("lsm-flush", Duty::Flush),
                _ => ("lsm-compact", Duty::Compact),
            };
            let thread = env::task::thread(name, move || engine.serve(duty));
            let dir = &handle.engine.options.dir;
            handle.threads.lock().push(thread.map_err(Error::io("start a thread for", dir))?);
        }
        handle.engine.signal();
        Ok(Self { handle: Arc::new(handle) })
    }

    fn engine(&self) -> &Arc<Engine> {
        &self.handle.engine
    }

    /// Writes a batch and returns the sequence of its last operation. It is readable at return.
    ///
    /// A synced one is durable at return, and readable a little earlier. What somebody has written after reading it is
    /// logged behind it, so a crash never keeps the one and loses the other.
    ///
    /// With and without the write-ahead log may be mixed, but then what survives a crash is not a prefix: of the unlogged
    /// batches all up to some point, of the logged ones all that were synced.
    pub fn write(&self, batch: WriteBatch, options: WriteOptions) -> Result<Sequence> {
        self.engine().write(batch, options)
    }

    /// How long a writer of so many bytes should wait before it writes them, because flushes and compactions are behind:
    /// at most 200 ms, and nothing while they keep up. For callers who wait by themselves, in a place of their own choice,
    /// and write with [`WriteOptions::UNLOGGED_UNPACED`]. A database that is closed delays nobody.
    pub fn write_delay(&self, bytes: usize) -> Duration {
        self.engine().write_delay(bytes)
    }

    /// Whether flushes and compactions keep up with what is written, and no tables are being taken in: then no writer is
    /// slowed, and one that does not sync waits for memory alone. It may be different in the next moment.
    pub fn keeps_up(&self) -> bool {
        self.engine().keeps_up()
    }

    /// The value of a key of an unversioned keyspace.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.engine().get(key)
    }

    /// The newest version at or below `at` of a key of a versioned keyspace, deletions included.
    pub fn get_at(&self, key: &[u8], at: u64) -> Result<Option<Versioned>> {
        self.engine().get_at(key, at)
    }

    /// The entries of a range of an unversioned keyspace, ascending or descending.
    pub fn scan(&self, range: KeyRange<'_>, reverse: bool) -> Result<Scan> {
        self.engine().reader()?.scan(&self.engine().keyspaces, range, reverse)
    }

    /// The versions at or below `at` in a range of a versioned keyspace.
    pub fn scan_at(&self, range: KeyRange<'_>, at: u64, options: ScanOptions) -> Result<ScanAt> {
        self.engine().reader()?.scan_at(&self.engine().keyspaces, range, at, options)
    }

    /// The database as it is now, for many reads.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot { engine: self.engine().clone(), reader: self.engine().reader()? })
    }

    /// Writes all that is in memory to tables; returns when it would survive a crash.
    pub fn flush(&self) -> Result<()> {
        self.engine().flush()
    }

    /// Every write with at most this sequence survives a crash.
    pub fn sequence_durable(&self) -> Sequence {
        self.engine().sequence_durable()
    }

    /// The sequence of the newest readable write.
    pub fn sequence(&self) -> Sequence {
        self.engine().visible.load(Ordering::Acquire)
    }

    /// Makes every logged write durable; unlogged ones need a [`Self::flush`].
    pub fn sync(&self) -> Result<()> {
        let engine = self.engine();
        engine.check()?;
        let sequence = engine.visible.load(Ordering::Acquire);
        engine.wal.sync().map_err(|error| engine.poison(error))?;
        engine.wal_synced.fetch_max(sequence, Ordering::AcqRel);
        Ok(())
    }

    /// Replaces the retention of all spans: they must not overlap. It lets history go once everything that was written
    /// before this call is durable; what it keeps is kept from now on. Not kept across [`Db::open`]: until it is set again,
    /// everything is kept.
    pub fn set_retention(&self, retention: Vec<Retention>) -> Result<()> {
        let engine = self.engine();
        let retentions = Retentions::new(retention)?;
        if engine.retentions.lock().give(retentions, self.sequence()) {
            engine.compacting.lock().settled.clear();
        }
        engine.signal();
        Ok(())
    }

    /// Starts writing tables for [`Self::ingest`] and [`Self::excise_and_ingest`] into the keyspace with this prefix.
    pub fn table_builder(&self, keyspace: u8) -> Result<TableBuilder> {
        self.engine().check()?;
        TableBuilder::new(self.engine(), keyspace)
    }

    /// Adds finished tables in one durable step, newer than all that was written before, which is flushed first: of equal
    /// versions, and of keys without versions, theirs hold; of several tables the later ones are newer.
    pub fn ingest(&self, tables: Vec<TableFile>) -> Result<Sequence> {
        self.excise_and_ingest(&[], tables, WriteBatch::new())
    }

    /// In one durable step: removes all keys of the spans (start, end), adds the tables, and writes the batch, which may
    /// also touch keys elsewhere. Everything written before is flushed first; other writers wait meanwhile.
    pub fn excise_and_ingest(
        &self,
        spans: &[(Bytes, Bytes)],
        tables: Vec<TableFile>,
        batch: WriteBatch,
    ) -> Result<Sequence> {
        self.engine().excise_and_ingest(spans, tables, batch)
    }

    /// With [`Background::Manual`]: one unit of background work; false if there was none to do.
    pub fn step(&self) -> Result<bool> {
        self.engine().step()
    }

    /// Flushes, and compacts everything as far down as it goes.
    pub fn compact(&self) -> Result<()> {
        self.engine().compact_all(None)
    }

    /// Flushes, and compacts what overlaps the span from `start` up to and without `end` as far down as it goes.
    pub fn compact_span(&self, start: &[u8], end: &[u8]) -> Result<()> {
        let span = Span { start: Bytes::copy_from_slice(start), end: Bytes::copy_from_slice(end) };
        self.engine().compact_all(Some(&span))
    }

    /// The tables, by keyspace and level, of level 0 the newest first.
    pub fn tables(&self) -> Result<Vec<TableInfo>> {
        self.engine().table_infos()
    }

    /// About how many bytes the keys from `start` up to and without `end` take: on disk, compressed, history and what was
    /// deleted and not yet compacted away included, and in memtables. Walks through what of these lies within.
    pub fn span_bytes(&self, start: &[u8], end: &[u8]) -> Result<u64> {
        self.engine().span_bytes(start, end)
    }

    /// About how many of these bytes are taken by versions that have a newer one: those that lie apart in tables, and those in
    /// memtables. One whose newer version is in another table counts once the two are compacted together.
    pub fn span_history_bytes(&self, start: &[u8], end: &[u8]) -> Result<u64> {
        self.engine().span_history_bytes(start, end)
    }

    /// A key about in the middle of what [`Db::span_bytes`] measures, not always one that is there: as much lies before it
    /// as behind it, within a thousandth of it for each table and a block. None: the span is too small to tell. Costs about twice what
    /// measuring does.
    pub fn span_middle(&self, start: &[u8], end: &[u8]) -> Result<Option<Bytes>> {
        self.engine().span_middle(start, end)
    }

    /// The blocks of entries of a table, current ones first; an error if there is no such table.
    pub fn table_blocks(&self, id: u64) -> Result<Vec<BlockInfo>> {
        self.engine().table_blocks(id)
    }

    /// Gives `take` every version in a table whose key lies in [start, end), deletions included, until it answers false.
    pub fn table_entries(
        &self,
        id: u64,
        span: Option<(&[u8], &[u8])>,
        take: impl FnMut(VersionedEntry) -> bool,
    ) -> Result<()> {
        self.engine().table_entries(id, span, take)
    }

    /// As [`Self::verify`], table by table: `report` is told of each what was found, and all are read whatever that is.
    pub fn verify_tables(&self, report: impl FnMut(&TableInfo, Result<()>)) -> Result<()> {
        self.engine().verify_tables(report)
    }

    /// Makes a copy of the database in an empty or new directory of the same file system, by hard links, while writing goes
    /// on: cheap, whole, synced, and a database of its own. Returns the sequence that it reaches, at least that of the
    /// newest write at the call. A copy that was not finished refuses to be opened.
    pub fn checkpoint(&self, dir: &Path) -> Result<Sequence> {
        self.engine().checkpoint(dir)
    }

    /// Makes a new data key for all new files and returns its number. What is under older keys is rewritten in the
    /// background; [`Self::encryption`] tells how much that still is. Old keys go when nothing uses them any more.
    pub fn rotate_data_key(&self) -> Result<u64> {
        self.engine().rotate_data_key()
    }

    /// Seals the key store under another master key, the only one that opens the database from then on.
    pub fn set_master_key(&self, source: &KeySource) -> Result<()> {
        self.engine().set_master_key(source)
    }

    /// Which data keys are in use, from the files on disk; None if the database is not encrypted.
    pub fn encryption(&self) -> Result<Option<EncryptionStatus>> {
        self.engine().encryption()
    }

    /// Does here what the background would do bit by bit: encrypts anew all that is under an old key, or under none.
    pub fn encrypt_anew(&self) -> Result<()> {
        self.engine().rekey_all()
    }

    /// The keys, for logs that live beside the database ([`crate::log::LogOptions::keys`]).
    pub fn keys(&self) -> Option<Keys> {
        self.engine().tables.keys.clone()
    }

    /// Reads every block of every table and checks checksums, order, filters, and what the manifest claims.
    pub fn verify(&self) -> Result<()> {
        self.engine().verify()
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        self.engine().stats()
    }

    /// Ends background work and syncs the log; every later call answers [`Error::Closed`]. Unlogged writes that are not
    /// flushed are lost: flush first if they matter. The directory is free once the last clone is dropped.
    pub fn close(&self) -> Result<()> {
        self.handle.stop();
        let engine = self.engine();
        engine.check()?;
        let synced = engine.wal.sync();
        let _ = engine.poison.set(Arc::new(Error::Closed));
        synced
    }

    /// The failure that stopped the database, if one did.
    pub fn failure(&self) -> Option<Error> {
        self.engine().check().err()
    }
}

impl Snapshot {
    /// See [`Db::get`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.engine.check()?;
        get(&self.engine.keyspaces, &self.reader.view, self.reader.sequence, key)
    }

    /// See [`Db::get_at`].
    pub fn get_at(&self, key: &[u8], at: u64) -> Result<Option<Versioned>> {
        self.engine.check()?;
        get_at(&self.engine.keyspaces, &self.reader.view, self.reader.sequence, key, at)
    }

    /// See [`Db::scan`].
    pub fn scan(&self, range: KeyRange<'_>, reverse: bool) -> Result<Scan> {
        self.engine.check()?;
        self.reader.scan(&self.engine.keyspaces, range, reverse)
    }

    /// See [`Db::scan_at`].
    pub fn scan_at(&self, range: KeyRange<'_>, at: u64, options: ScanOptions) -> Result<ScanAt> {
        self.engine.check()?;
        self.reader.scan_at(&self.engine.keyspaces, range, at, options)
    }

    /// The sequence of the newest write it sees.
    pub fn sequence(&self) -> Sequence {
        self.reader.sequence
    }
}

impl Engine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.check()?;
        // The view first: a write that is visible afterwards and not in this view is newer than all that is in it.
        let view = self.view.load();
        get(&self.keyspaces, &view, self.visible.load(Ordering::Acquire), key)
    }

    fn get_at(&self, key: &[u8], at: u64) -> Result<Option<Versioned>> {
        self.check()?;
        let view = self.view.load();
        get_at(&self.keyspaces, &view, self.visible.load(Ordering::Acquire), key, at)
    }
}

fn get(keyspaces: &Keyspaces, view: &View, sequence: Sequence, key: &[u8]) -> Result<Option<Bytes>> {
    let keyspace = keyspaces.of_key(key, false)?;
    Ok(view.get(sequence, keyspace, false, key, u64::MAX)?.and_then(|version| version.value))
}

fn get_at(
    keyspaces: &Keyspaces,
    view: &View,
    sequence: Sequence,
    key: &[u8],
    at: u64,
) -> Result<Option<Versioned>> {
    let keyspace = keyspaces.of_key(key, true)?;
    view.get(sequence, keyspace, true, key, at)
}

impl Handle {
    fn stop(&self) {
        self.engine.signal.lock().stop = true;
        self.engine.tables.pace.stop();
        self.engine.wake.notify_all();
        self.engine.progress.notify_all();
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db").field("dir", &self.engine().options.dir).finish_non_exhaustive()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("sequence", &self.reader.sequence).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
