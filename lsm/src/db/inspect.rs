//! Looking at a database: figures, and checking every block of every table.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use env::disk::DiskCounters;

use super::engine::Engine;
use crate::error::{Error, Result};
use crate::log::LogStats;
use crate::options::Sequence;
use crate::sync::AtomicU64;
use crate::table::cursor::{RunCursor, Window};
use crate::table::file::Table;
use crate::table::filter;

/// Figures about a database. Counters are since it was opened.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// The newest readable write.
    pub sequence: Sequence,
    /// Every write up to here survives a crash.
    pub sequence_durable: Sequence,
    /// Memory of the active memtable.
    pub memtable_bytes: u64,
    /// Memtables that wait to be flushed.
    pub memtables_sealed: usize,
    /// By keyspace.
    pub keyspaces: Vec<KeyspaceStats>,
    /// Blocks in the cache.
    pub cache_bytes: u64,
    /// Blocks found in the cache.
    pub cache_hits: u64,
    /// Blocks read from disk.
    pub cache_misses: u64,
    /// Filters and top indexes of open tables, outside of the cache.
    pub resident_bytes: u64,
    /// Bytes of batches written.
    pub written_bytes: u64,
    /// Memtables flushed.
    pub flushes: u64,
    /// Bytes of tables that flushes wrote.
    pub flush_bytes: u64,
    /// Compactions that wrote tables.
    pub compactions: u64,
    /// Bytes of tables that they read.
    pub compaction_bytes_read: u64,
    /// Bytes of tables that they wrote.
    pub compaction_bytes_written: u64,
    /// Tables that went unread, since range deletes covered them.
    pub tables_dropped: u64,
    /// How long writers were held back because background work was behind.
    pub delayed_us: u64,
    /// The write-ahead log.
    pub log: LogStats,
    /// The disk, with whatever else uses it.
    pub disk: DiskCounters,
}

/// Figures about a keyspace.
#[derive(Clone, Debug, Default)]
pub struct KeyspaceStats {
    /// Its prefix.
    pub prefix: u8,
    /// Its name.
    pub name: &'static str,
    /// From level 0 down.
    pub levels: Vec<LevelStats>,
}

/// Figures about a level of a keyspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelStats {
    /// Tables in it.
    pub tables: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Their entries.
    pub entries: u64,
    /// Those that are not the newest of their key in the table.
    pub history: u64,
    /// Those that delete, range deletes included.
    pub deletes: u64,
    /// Bytes of tables written into it since the database was opened: by flushes and ingests, by compactions.
    pub written_bytes: u64,
    /// Bytes of its tables that compactions have read since then.
    pub read_bytes: u64,
}

impl KeyspaceStats {
    /// Bytes written to tables for each byte that flushes and ingests brought, since the database was opened; the
    /// write-ahead log comes on top. 1 if nothing was written.
    pub fn write_amplification(&self) -> f64 {
        let written: u64 = self.levels.iter().map(|level| level.written_bytes).sum();
        ratio(written, self.levels.first().map_or(0, |level| level.written_bytes))
    }

    /// How many sorted runs a scan merges, memtables aside: tables of level 0, and other levels with tables. A read of a
    /// key asks as many at most, each behind its filter.
    pub fn read_amplification(&self) -> usize {
        let level0 = self.levels.first().map_or(0, |level| level.tables);
        level0 + self.levels.iter().skip(1).filter(|level| level.tables > 0).count()
    }

    /// Bytes of all tables for each byte in the last level, where a key has one place: an estimate from above of what is
    /// obsolete. History counts as wanted. 1 without tables there.
    pub fn space_amplification(&self) -> f64 {
        let all: u64 = self.levels.iter().map(|level| level.bytes).sum();
        ratio(all, self.levels.last().map_or(0, |level| level.bytes))
    }
}

/// 1 without anything to compare with.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

impl Stats {
    /// Bytes of all tables.
    pub fn table_bytes(&self) -> u64 {
        self.keyspaces.iter().flat_map(|keyspace| &keyspace.levels).map(|level| level.bytes).sum()
    }
}

impl Engine {
    pub(crate) fn stats(&self) -> Stats {
        let view = self.view();
        let keyspaces = self.keyspaces.all().iter().zip(&view.version.trees);
        let (cache_hits, cache_misses) = self.tables.cache.counts();
        let counter = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            sequence: counter(&self.visible),
            sequence_durable: self.sequence_durable(),
            memtable_bytes: view.active.bytes() as u64,
            memtables_sealed: view.sealed.len(),
            keyspaces: keyspaces
                .enumerate()
                .map(|(index, (keyspace, tree))| {
                    let levels = tree.levels.iter().enumerate();
                    let levels =
                        levels.map(|(level, tables)| self.figures.level(index, level, tables)).collect();
                    KeyspaceStats { prefix: keyspace.prefix, name: keyspace.name, levels }
                })
                .collect(),
            cache_bytes: self.tables.cache.bytes(),
            cache_hits,
            cache_misses,
            resident_bytes: view.version.tables().map(|(_, table)| table.resident_bytes()).sum(),
            written_bytes: counter(&self.counters.written_bytes),
            flushes: counter(&self.counters.flushes),
            flush_bytes: counter(&self.counters.flush_bytes),
            compactions: counter(&self.counters.compactions),
            compaction_bytes_read: counter(&self.counters.compaction_bytes_read),
            compaction_bytes_written: counter(&self.counters.compaction_bytes_written),
            tables_dropped: counter(&self.counters.tables_dropped),
            delayed_us: counter(&self.counters.delayed_us),
            log: self.wal.stats(),
            disk: self.tables.disk.counters(),
        }
    }
}

/// Reads every block of a table and checks order, filter and bounds, and what it says about itself.
pub(super) fn verify_table(table: &Arc<Table>) -> Result<()> {
    let wrong = |what: &str| Err(Error::corrupt(table.path(), 0, what));
    let summary = &table.summary;
    let mut cursor = RunCursor::over(vec![table.clone()], Window::ALL, false, false);
    let mut previous: Option<Vec<u8>> = None;
    let mut versions = Vec::new();
    let (mut entries, mut deletes) = (0, 0);
    cursor.seek(&summary.start)?;
    while let Some(key) = cursor.key().map(<[u8]>::to_vec) {
        if previous.as_ref().is_some_and(|previous| *previous >= key) {
            return wrong("its keys do not ascend");
        }
        if *key < *summary.start || *key >= *summary.end || key.first() != Some(&summary.keyspace) {
            return wrong("it has a key outside of its bounds");
        }
        if !table.may_contain(filter::hash(&key)) {
            return wrong("its filter denies one of its keys");
        }
        versions.clear();
        cursor.collect(&mut versions)?;
        if versions.is_sorted_by(|a, b| a.timestamp > b.timestamp) {
            entries += versions.len() as u64;
            deletes += versions.iter().filter(|version| version.value.is_none()).count() as u64;
        } else {
            return wrong("the versions of a key do not descend");
        }
        let in_bounds = |timestamp| (summary.timestamp_min..=summary.timestamp_max).contains(&timestamp);
        if !versions.iter().all(|version| in_bounds(version.timestamp)) {
            return wrong("it has a timestamp outside of its bounds");
        }
        cursor.advance()?;
        previous = Some(key);
    }
    if (entries, deletes) == (summary.entries, summary.deletes) {
        return Ok(());
    }
    wrong("it has another number of entries than it says")
}
