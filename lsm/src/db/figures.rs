//! What each level has had written and read, and holds: counted here, shown as metrics.
//!
//! Metrics of all open databases of a process add up: `lsm_level_bytes` and `lsm_level_tables` are gauges,
//! `lsm_level_written_bytes_total` and `lsm_level_read_bytes_total` counters, all by keyspace and level;
//! `lsm_keyspace_runs` is how many sorted runs a scan of a keyspace merges.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::inspect::LevelStats;
use crate::options::Keyspace;
use crate::table::file::Table;
use crate::tree::{LEVELS, Tree, Version};

/// Figures by keyspace, in the order of the keyspaces.
#[derive(Debug)]
pub(crate) struct Figures {
    keyspaces: Vec<KeyspaceFigures>,
}

#[derive(Debug)]
struct KeyspaceFigures {
    name: &'static str,
    levels: Vec<LevelFigures>,
    /// What the gauges have been told.
    shown: Mutex<Shown>,
}

#[derive(Debug, Default)]
struct LevelFigures {
    written: AtomicU64,
    read: AtomicU64,
}

#[derive(Debug, Default)]
struct Shown {
    levels: Vec<(u64, usize)>,
    runs: usize,
}

impl Figures {
    pub(crate) fn new(keyspaces: &[Keyspace]) -> Self {
        let of = |keyspace: &Keyspace| KeyspaceFigures {
            name: keyspace.name,
            levels: (0..LEVELS).map(|_| LevelFigures::default()).collect(),
            shown: Mutex::default(),
        };
        // Where it was not there before its first event, nobody would see that as a change.
        metrics::counter!("lsm_compaction_failures_total").increment(0);
        Self { keyspaces: keyspaces.iter().map(of).collect() }
    }

    /// Tables were written into a level: by a flush, an ingest or a compaction, not by a mere move.
    pub(crate) fn wrote(&self, keyspace: usize, level: usize, bytes: u64) {
        let Some(figures) = self.keyspaces.get(keyspace) else { return };
        if let Some(level) = figures.levels.get(level) {
            level.written.fetch_add(bytes, Ordering::Relaxed);
        }
        metrics::counter!("lsm_level_written_bytes_total", "keyspace" => figures.name, "level" => level.to_string())
            .increment(bytes);
    }

    /// A compaction read tables of a level.
    pub(crate) fn read(&self, keyspace: usize, level: usize, tables: &[Arc<Table>]) {
        let Some(figures) = self.keyspaces.get(keyspace).filter(|_| !tables.is_empty()) else { return };
        let bytes = tables.iter().map(|table| table.summary.bytes).sum();
        if let Some(level) = figures.levels.get(level) {
            level.read.fetch_add(bytes, Ordering::Relaxed);
        }
        metrics::counter!("lsm_level_read_bytes_total", "keyspace" => figures.name, "level" => level.to_string())
            .increment(bytes);
    }

    /// What a level of a keyspace holds, and what it has had.
    pub(crate) fn level(&self, keyspace: usize, level: usize, tables: &[Arc<Table>]) -> LevelStats {
        let figures = self.keyspaces.get(keyspace).and_then(|figures| figures.levels.get(level));
        let count = |counter: fn(&LevelFigures) -> &AtomicU64| {
            figures.map_or(0, |figures| counter(figures).load(Ordering::Relaxed))
        };
        let mut stats = LevelStats {
            tables: tables.len(),
            written_bytes: count(|figures| &figures.written),
            read_bytes: count(|figures| &figures.read),
            ..LevelStats::default()
        };
        for table in tables {
            stats.bytes += table.summary.bytes;
            stats.entries += table.summary.entries;
            stats.history += table.summary.history;
            stats.deletes += table.summary.deletes + table.summary.range_deletes;
        }
        stats
    }

    /// Tells the gauges what there is.
    pub(crate) fn show(&self, version: &Version) {
        for (figures, tree) in self.keyspaces.iter().zip(&version.trees) {
            let bytes = |tables: &[Arc<Table>]| tables.iter().map(|table| table.summary.bytes).sum();
            let levels = tree.levels.iter().map(|tables| (bytes(tables), tables.len())).collect();
            figures.tell(Shown { levels, runs: runs(tree) });
        }
    }
}

/// Sorted runs: tables of level 0, and other levels with tables.
fn runs(tree: &Tree) -> usize {
    let levels = || tree.levels.iter().map(|tables| tables.len());
    levels().next().unwrap_or(0) + levels().skip(1).filter(|tables| *tables > 0).count()
}

impl KeyspaceFigures {
    fn tell(&self, now: Shown) {
        let mut shown = self.shown.lock();
        for level in 0..LEVELS {
            let at = |shown: &Shown| shown.levels.get(level).copied().unwrap_or_default();
            let (before, after) = (at(&shown), at(&now));
            if before != after {
                let label = level.to_string();
                metrics::gauge!("lsm_level_bytes", "keyspace" => self.name, "level" => label.clone())
                    .increment(after.0 as f64 - before.0 as f64);
                metrics::gauge!("lsm_level_tables", "keyspace" => self.name, "level" => label)
                    .increment(after.1 as f64 - before.1 as f64);
            }
        }
        if shown.runs != now.runs {
            metrics::gauge!("lsm_keyspace_runs", "keyspace" => self.name)
                .increment(now.runs as f64 - shown.runs as f64);
        }
        *shown = now;
    }
}

impl Drop for Figures {
    fn drop(&mut self) {
        self.keyspaces.iter().for_each(|figures| figures.tell(Shown::default()));
    }
}
