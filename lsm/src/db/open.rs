//! Opening: lock, manifest, tables, write-ahead log, threads.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use bytes::Bytes;
use env::disk::{DirectoryLock, Disk};

use super::checkpoint::refuse_incomplete;
use super::engine::{Compacting, Counters, Engine, Signal};
use super::figures::Figures;
use super::write::{Published, Writing, insert_part};
use crate::batch::{self, EncodedBatch};
use crate::cache::BlockCache;
use crate::compaction::pace::Pace;
use crate::compaction::run::Tables;
use crate::encryption::{Keys, Placement};
use crate::error::{Error, Result};
use crate::keyspaces::Keyspaces;
use crate::log::{self, Log, LogOptions, Position, Writer};
use crate::manifest::{Manifest, State, expected_tables};
use crate::memtable::Memtable;
use crate::options::{Background, Keyspace, Options, Sequence};
use crate::sync::{AtomicU64, Condvar, Mutex};
use crate::table::builder::{parse_table_name, table_path};
use crate::table::file;
use crate::tree::{Edit, Version, View};

impl Engine {
    /// Opens or creates the database; no background work runs yet.
    pub(crate) fn open(options: Options) -> Result<Self> {
        let (disk, dir) = (options.disk.clone(), options.dir.clone());
        if options.create_if_missing {
            disk.create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        }
        let lock = lock(&disk, &dir)?;
        if !options.create_if_missing && !holds_manifest(&disk, &dir)? {
            return Err(Error::Invalid(format!("{} holds no database", dir.display())));
        }
        refuse_incomplete(&disk, &dir)?;
        let keys = Keys::open(&disk, &dir, options.encryption.as_ref(), &DIRECTORIES)?;
        let tables_dir = dir.join("tables");
        disk.create_dir_all(&tables_dir).map_err(Error::io("create", &tables_dir))?;
        let (mut manifest, state) = Manifest::open(&disk, &dir, keys.as_ref())?;
        let (keyspaces, all_new) = reconcile(&options.keyspaces, &state)?;
        let keyspaces = Keyspaces::new(keyspaces)?;
        let cache = Arc::new(BlockCache::new(options.cache_bytes, options.block_bytes));
        let tables = Tables {
            disk: disk.clone(),
            dir: tables_dir.clone(),
            cache,
            next: Arc::new(AtomicU64::new(state.table_next.max(1))),
            keys: keys.clone(),
            pace: Arc::new(Pace::new(match options.background {
                Background::Manual => None,
                Background::Threads(_) => options.background_bytes_per_second,
            })),
            reserve_bytes: options.disk_reserve_bytes,
        };
        let version = open_tables(&tables, &keyspaces, &state)?;
        ask_for_indexes(&version, tables.cache.pinnable());

        let memtable = Arc::new(Memtable::new(
            keyspaces.all().len(),
            Position { segment: state.log_segment, offset: 0 },
        ));
        let mut replay = Replay::new(&state);
        let wal_dir = dir.join("wal");
        let log_options = LogOptions {
            segment_bytes: options.log_segment_bytes,
            writer: match options.background {
                Background::Manual => Writer::Caller,
                Background::Threads(_) => Writer::Thread,
            },
            mark_synced: false,
            name: "wal",
            keys,
        };
        let wal = Log::open(disk.clone(), &wal_dir, log_options, |position, record| {
            let replayed = replay.take(&keyspaces, &memtable, position, &record);
            replayed.map_err(|error| Error::corrupt(&wal_dir, position.offset, error.to_string()))?;
            Ok(())
        })?;
        if let Some(first) = wal.segments().first()
            && state.exists
            && first.number > state.log_segment.max(1)
        {
            return Err(Error::corrupt(&wal_dir, 0, format!("segment {} is missing", state.log_segment)));
        }
        let everything = Edit {
            flushed: Some(state.flushed),
            log_segment: Some(state.log_segment),
            table_next: Some(tables.next.load(Ordering::Relaxed)),
            ..version.as_edit()
        };
        debug_assert!(state.exists || all_new);
        manifest.rewrite(keyspaces.all(), &everything)?;

        let newest = replay.newest;
        let full = memtable.bytes() >= options.memtable_bytes_max;
        let figures = Figures::new(keyspaces.all());
        figures.show(&version);
        let view = View { active: memtable, sealed: Vec::new(), version: Arc::new(version) };
        let engine = Self {
            options,
            keyspaces,
            tables,
            view: ArcSwap::new(Arc::new(view)),
            view_change: Mutex::new(()),
            pressure: AtomicU32::new(0),
            write: Mutex::new(Writing::new(newest + 1)),
            ingesting: AtomicU32::new(0),
            published: Mutex::new(Published::new(newest)),
            published_changed: Condvar::new(),
            visible: AtomicU64::new(newest),
            wal,
            wal_synced: AtomicU64::new(newest),
            flushed: AtomicU64::new(state.flushed),
            manifest: Mutex::new(manifest),
            flushing: Mutex::new(()),
            compacting: Mutex::new(Compacting::default()),
            retentions: Mutex::default(),
            poison: OnceLock::new(),
            signal: Mutex::new(Signal::default()),
            wake: Condvar::new(),
            progress: Condvar::new(),
            counters: Counters::default(),
            figures,
            delay_us: AtomicU64::new(0),
            _lock: lock,
        };
        engine.update_view(|_| {});
        if full {
            engine.flush()?;
        }
        Ok(engine)
    }
}

/// Where there are files to encrypt, and how they tell of their key.
const DIRECTORIES: [(&str, Placement); 3] =
    [("manifest", log::PLACEMENT), ("wal", log::PLACEMENT), ("tables", file::PLACEMENT)];

/// Whether anything was ever written to the manifest of the database in `dir`.
fn holds_manifest(disk: &Arc<dyn Disk>, dir: &Path) -> Result<bool> {
    let dir = dir.join("manifest");
    match disk.list(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        listed => Ok(!listed.map_err(Error::io("list", &dir))?.is_empty()),
    }
}

fn lock(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Box<dyn DirectoryLock>> {
    disk.lock_dir(dir).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => Error::Locked { path: dir.to_owned() },
        _ => Error::io("lock", dir)(error),
    })
}

/// The keyspaces asked for, which must contain what the manifest knows, as it knows it. True if it knows none.
fn reconcile(asked: &[Keyspace], state: &State) -> Result<(Vec<Keyspace>, bool)> {
    for known in &state.keyspaces {
        match asked.iter().find(|keyspace| keyspace.prefix == known.prefix) {
            Some(keyspace) if keyspace.versioned == known.versioned => {}
            Some(keyspace) => {
                let kind = if known.versioned { "with" } else { "without" };
                return Err(Error::Invalid(format!("keyspace {} was made {kind} versions", keyspace.name)));
            }
            None => return Err(Error::Invalid(format!("keyspace {} exists and is not opened", known.name))),
        }
    }
    Ok((asked.to_vec(), state.keyspaces.is_empty()))
}

/// Opens the tables that the manifest names and removes all others.
fn open_tables(tables: &Tables, keyspaces: &Keyspaces, state: &State) -> Result<Version> {
    let names = tables.disk.list(&tables.dir).map_err(Error::io("list", &tables.dir))?;
    let expected = expected_tables(state);
    let found: Vec<u64> = names.iter().filter_map(|name| parse_table_name(name)).collect();
    if !state.exists && !found.is_empty() {
        return Err(Error::corrupt(&tables.dir, 0, "there are tables but no manifest"));
    }
    let mut open = BTreeMap::new();
    for (&id, &summary) in &expected {
        let path = table_path(&tables.dir, id);
        if !found.contains(&id) {
            return Err(Error::corrupt(&path, 0, "the table is missing"));
        }
        let table = tables.open(id)?;
        if table.summary != *summary {
            return Err(Error::corrupt(&path, 0, "the table is not the one that the manifest names"));
        }
        open.insert(id, Arc::new(table));
    }
    let everything = Edit { added: state.tables.clone(), ..Edit::default() };
    let (version, _) = Version::new(keyspaces.all().len())
        .apply(&everything, |prefix| keyspaces.index(prefix), &open)
        .map_err(|misfit| {
            Error::corrupt(&tables.dir, 0, format!("the manifest makes no sense: {}", misfit.0))
        })?;
    for id in found.into_iter().filter(|id| !expected.contains_key(id)) {
        let path = table_path(&tables.dir, id);
        tracing::info!(path = %path.display(), "removing a table that never became part of the database");
        tables.disk.remove(&path).map_err(Error::io("remove", &path))?;
        tables.next.fetch_max(id + 1, Ordering::Relaxed);
    }
    Ok(version)
}

/// Asks the disk for the indexes of tables, newer levels first, about as many as may stay in memory.
fn ask_for_indexes(version: &Version, bytes_max: u64) {
    let mut tables: Vec<_> = version.tables().collect();
    tables.sort_by_key(|(level, _)| *level);
    let mut left = bytes_max;
    for (_, table) in tables {
        left -= table.ask_for_index(&table.current, left);
    }
}

/// Reading the write-ahead log.
struct Replay {
    /// Every batch up to here is in tables.
    flushed: Sequence,
    /// All records before this segment are. There may be some whose beginning is gone.
    log_segment: u64,
    newest: Sequence,
    /// The sequence that a batch has which does not say it; None before the first that does.
    next: Option<Sequence>,
}

impl Replay {
    fn new(state: &State) -> Self {
        let State { flushed, log_segment, .. } = *state;
        Self { flushed, log_segment, newest: flushed, next: None }
    }

    /// Puts a record into the memtable, if it is not in tables already.
    fn take(
        &mut self,
        keyspaces: &Keyspaces,
        memtable: &Memtable,
        position: Position,
        record: &Bytes,
    ) -> Result<()> {
        let head = batch::head(record)?;
        let Some(first) = head.sequence.or(self.next) else {
            if position.segment < self.log_segment {
                return Ok(());
            }
            let lost = format!("segment {}, or its beginning, is missing", self.log_segment);
            return Err(Error::Invalid(lost));
        };
        let next = first.checked_add(u64::from(head.count)).filter(|_| self.next <= Some(first));
        let next = next.ok_or_else(|| Error::Invalid(format!("a write batch of sequence {first}")))?;
        self.next = Some(next);
        let last = next.saturating_sub(1);
        if last > self.flushed {
            // A copy: the memtable must not hold the whole segment in memory.
            let (_, batch) = EncodedBatch::of_record(Bytes::copy_from_slice(record))?;
            insert_part(keyspaces, memtable, &batch, first)?;
        }
        self.newest = self.newest.max(last);
        Ok(())
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;
    use crate::batch::WriteBatch;

    #[test]
    fn only_what_is_not_needed_may_lack_its_sequence() {
        let keyspaces = Keyspaces::new(vec![Keyspace::plain(b'p', "plain")]).unwrap();
        let memtable = Memtable::new(1, Position { segment: 5, offset: 0 });
        let state = State { flushed: 10, log_segment: 5, ..State::default() };
        let record = |sequence| {
            let mut batch = WriteBatch::new();
            batch.put(b"pk", b"v");
            batch.put(b"pl", b"v");
            batch.into_bytes(sequence)
        };
        let mut replay = Replay::new(&state);
        let mut take = |segment, sequence| {
            replay
                .take(&keyspaces, &memtable, Position { segment, offset: 0 }, &record(sequence))
                .map(|()| replay.newest)
        };
        assert_eq!(take(4, None).unwrap(), 10);
        assert!(take(5, None).unwrap_err().to_string().contains("segment 5, or its beginning, is missing"));
        assert_eq!(take(5, Some(11)).unwrap(), 12);
        assert_eq!(take(5, None).unwrap(), 14);
        assert_eq!(take(6, Some(20)).unwrap(), 21);
        assert!(take(6, Some(21)).is_err(), "sequences never go back");
        assert!(take(6, Some(u64::MAX)).is_err());
        assert_eq!(memtable.entries(0), 6);
    }
}
