//! Doing a compaction, and writing sorted output into tables: flushes and ingests write through here, too.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use env::disk::Disk;

use super::pace::Pace;
use super::retention::{Retentions, retain};
use super::split::borders;
use crate::cache::BlockCache;
use crate::encryption::Keys;
use crate::entry::{Versioned, successor};
use crate::error::{Error, Result};
use crate::merge::{Merge, Source};
use crate::spans::Spans;
use crate::sync::AtomicU64;
use crate::table::builder::{TableOptions, TableWriter, table_path};
use crate::table::cursor::{RunCursor, Window};
use crate::table::file::{FILE_KIND, Table};
use crate::tree::{LEVELS, Tree, View};

/// Output is counted in steps of this size for the pace of background work.
const COUNT_BYTES: u64 = 64 << 10;

/// Where new tables come from.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) cache: Arc<BlockCache>,
    pub(crate) next: Arc<AtomicU64>,
    /// None: tables are not encrypted.
    pub(crate) keys: Option<Keys>,
    pub(crate) pace: Arc<Pace>,
    /// What compactions leave on the disk.
    pub(crate) reserve_bytes: u64,
}

impl Tables {
    /// Opens a table that is there.
    pub(crate) fn open(&self, id: u64) -> Result<Table> {
        let path = table_path(&self.dir, id);
        Table::open(&self.disk, &path, id, &self.cache, self.keys.as_ref())
    }
}

/// Writes sorted keys into as many tables as their size asks for. What it has finished is removed again unless it is
/// installed.
#[derive(Debug)]
pub(crate) struct Sorted {
    tables: Tables,
    options: TableOptions,
    table_bytes: u64,
    range_deletes: Spans,
    open: Option<(u64, PathBuf, TableWriter)>,
    /// The first key that the open table may hold; None: any.
    from: Option<Bytes>,
    finished: Vec<Arc<Table>>,
    /// Whether it waits for the pace of background work.
    waits: bool,
    /// What of the open table is counted there.
    counted: u64,
}

impl Sorted {
    pub(crate) fn new(tables: Tables, options: TableOptions, table_bytes: u64, range_deletes: Spans) -> Self {
        Self {
            tables,
            options,
            table_bytes,
            range_deletes,
            open: None,
            from: None,
            finished: Vec::new(),
            waits: false,
            counted: 0,
        }
    }

    /// Writes no faster than background work may.
    pub(crate) fn at_pace(mut self) -> Self {
        self.waits = true;
        self
    }

    /// Gives a compaction up before the disk is full: what it has written goes, and its inputs are still there.
    fn check_reserve(&self) -> Result<()> {
        if !self.waits || self.tables.reserve_bytes == 0 {
            return Ok(());
        }
        match self.tables.disk.available_bytes(&self.tables.dir) {
            Ok(available) if available < self.tables.reserve_bytes => {
                Err(Error::io("compact within", &self.tables.dir)(io::ErrorKind::StorageFull.into()))
            }
            // A disk that does not tell says so when it is written to.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Counts what has been written of the open table.
    fn count(&mut self, written: u64) {
        let bytes = written.saturating_sub(self.counted);
        self.counted = written;
        if self.waits { self.tables.pace.wait(bytes) } else { self.tables.pace.spend(bytes) }
    }

    /// Adds a key above all before it, with its versions from the newest to the oldest.
    pub(crate) fn add(&mut self, key: &[u8], versions: &[Versioned]) -> Result<()> {
        if versions.is_empty() {
            return Ok(());
        }
        self.make_room()?.map_or(Ok(()), |writer| writer.add(key, versions))
    }

    /// Adds a key without versions above all before it, or its deletion.
    pub(crate) fn add_plain(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        self.make_room()?.map_or(Ok(()), |writer| writer.add_plain(key, value))
    }

    /// The open table, a new one if the last is full.
    fn make_room(&mut self) -> Result<Option<&mut TableWriter>> {
        if let Some((_, _, writer)) = &self.open
            && writer.bytes() >= self.table_bytes
            && let Some(last) = writer.last_key()
        {
            let cut = successor(last);
            self.close(Some(cut))?;
        }
        if self.open.is_none() {
            self.check_reserve()?;
            self.open = Some(self.create()?);
        }
        let written = self.open.as_ref().map_or(0, |(_, _, writer)| writer.bytes());
        if written >= self.counted + COUNT_BYTES {
            self.check_reserve()?;
            self.count(written);
        }
        Ok(self.open.as_mut().map(|(_, _, writer)| writer))
    }

    fn create(&self) -> Result<(u64, PathBuf, TableWriter)> {
        let id = self.tables.next.fetch_add(1, Ordering::Relaxed);
        let path = table_path(&self.tables.dir, id);
        let cipher = self.tables.keys.as_ref().map(|keys| keys.new_file(FILE_KIND, id)).transpose()?;
        let writer = TableWriter::create(&self.tables.disk, path.clone(), self.options.clone(), cipher)?;
        Ok((id, path, writer))
    }

    /// Finishes the open table; it ends at `cut`, the next one begins there.
    fn close(&mut self, cut: Option<Bytes>) -> Result<()> {
        let deletes = self.range_deletes.clip(self.from.as_ref(), cut.as_ref());
        self.from = cut;
        if self.open.is_none() && !deletes.is_empty() {
            self.open = Some(self.create()?);
        }
        let Some((id, path, writer)) = self.open.take() else { return Ok(()) };
        self.count(writer.bytes());
        self.counted = 0;
        let finished = writer.finish(&deletes).and_then(|_| self.tables.open(id));
        match finished {
            Ok(table) => {
                table.mark_obsolete();
                self.finished.push(Arc::new(table));
                Ok(())
            }
            Err(error) => {
                let _ = self.tables.disk.remove(&path);
                Err(error)
            }
        }
    }

    /// All tables, synced, their names not yet. They remove themselves unless they are marked as installed.
    pub(crate) fn finish(mut self) -> Result<Vec<Arc<Table>>> {
        self.close(None)?;
        Ok(std::mem::take(&mut self.finished))
    }
}

impl Drop for Sorted {
    fn drop(&mut self) {
        if let Some((_, path, writer)) = self.open.take() {
            drop(writer);
            // If this fails, too, the file is removed when the database is opened next.
            let _ = self.tables.disk.remove(&path);
        }
    }
}

/// A compaction with its tables at hand.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) keyspace: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Of level 0 from the newest to the oldest.
    pub(crate) inputs: Vec<Arc<Table>>,
    pub(crate) overlapped: Vec<Arc<Table>>,
}

impl Task {
    /// Whether the inputs can be moved down as they are: they overlap nothing, not even each other, and hold no
    /// deletes that would free something on the way.
    pub(crate) fn is_move(&self) -> bool {
        let mut bounds: Vec<_> = self.inputs.iter().map(|t| (&t.summary.start, &t.summary.end)).collect();
        bounds.sort();
        let disjoint = bounds.windows(2).all(|pair| matches!(pair, [a, b] if a.1 <= b.0));
        self.from != self.to
            && self.overlapped.is_empty()
            && disjoint
            && self.inputs.iter().all(|t| t.summary.deletes == 0 && t.summary.range_deletes == 0)
    }

    /// All tables that it reads.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &Arc<Table>> + Clone {
        self.inputs.iter().chain(&self.overlapped)
    }

    /// Keys that divide it into so many parts, or fewer.
    pub(crate) fn borders(&self, parts: u64) -> Result<Vec<Bytes>> {
        let mut samples = Vec::new();
        for table in self.tables() {
            let keys = table.sample_keys()?;
            let bytes = table.summary.bytes / (keys.len() as u64).max(1);
            samples.extend(keys.into_iter().map(|key| (key, bytes)));
        }
        Ok(borders(samples, parts))
    }

    fn merge(&self) -> Merge {
        let run = |tables: Vec<Arc<Table>>| {
            let deletes = tables.iter().flat_map(|table| table.range_deletes.iter().cloned()).collect();
            let cursor = RunCursor::over(tables, Window::ALL, false, false);
            (Source::Tables(Box::new(cursor)), Spans::union(deletes))
        };
        let mut sources: Vec<_> = if self.from == 0 {
            self.inputs.iter().map(|table| run(vec![table.clone()])).collect()
        } else {
            vec![run(self.inputs.clone())]
        };
        sources.push(run(self.overlapped.clone()));
        Merge::new(sources, Window::ALL, false)
    }
}

/// A compaction that writes, with all that it needs; threads may share it, each with a part of the keys.
#[derive(Debug)]
pub(crate) struct Merging {
    pub(crate) task: Task,
    /// As the tree stood when it began.
    pub(crate) view: Arc<View>,
    pub(crate) tables: Tables,
    pub(crate) options: TableOptions,
    pub(crate) table_bytes: u64,
    pub(crate) retentions: Retentions,
}

impl Merging {
    /// Merges the keys from `from` (None: the first) up to and without `until` (None: the end) into new tables.
    pub(crate) fn run(&self, from: Option<&Bytes>, until: Option<&Bytes>) -> Result<Vec<Arc<Table>>> {
        let rest = Rest::new(&self.task, &self.view);
        let all = self.task.tables();
        let deletes = all.clone().flat_map(|table| table.range_deletes.iter().cloned());
        let deletes = deletes.filter(|span| rest.is_deeper(&span.start, &span.end)).collect();
        let deletes = Spans::union(deletes).clip(from, until);
        let options = self.options.clone();
        let mut output = Sorted::new(self.tables.clone(), options, self.table_bytes, deletes).at_pace();
        let mut merge = self.task.merge();
        let first = all.map(|table| &table.summary.start).min();
        merge.seek(from.or(first).map_or(&[][..], |first| first))?;
        let goes_on =
            |merge: &Merge| merge.peek().filter(|key| until.is_none_or(|until| **key < **until)).is_some();
        if !self.options.versioned {
            while merge.step()? && goes_on(&merge) {
                let Some(key) = merge.peek() else { break };
                let value = merge.value();
                if value.is_some() || rest.is_deeper(key, &successor(key)) {
                    output.add_plain(key, value)?;
                }
            }
            return output.finish();
        }
        let mut versions = Vec::new();
        while goes_on(&merge) && merge.next(&mut versions)? {
            let key = merge.key();
            let retention = self.retentions.of(key);
            retain(&mut versions, retention, |timestamp| rest.has_nothing_under(key, timestamp));
            output.add(key, &versions)?;
        }
        output.finish()
    }
}

/// What the tree holds outside of a compaction.
struct Rest<'a> {
    tree: Option<&'a Tree>,
    to: usize,
    inputs: Vec<u64>,
    /// No memtable holds a smaller timestamp.
    memory_timestamp_min: u64,
}

impl<'a> Rest<'a> {
    fn new(task: &Task, view: &'a View) -> Self {
        Self {
            tree: view.version.trees.get(task.keyspace),
            to: task.to,
            inputs: task.inputs.iter().chain(&task.overlapped).map(|table| table.id).collect(),
            memory_timestamp_min: view
                .memtables()
                .map(|memtable| memtable.timestamp_min(task.keyspace))
                .min()
                .unwrap_or(u64::MAX),
        }
    }

    /// Whether a level below the output may hold something of [start, end).
    fn is_deeper(&self, start: &[u8], end: &[u8]) -> bool {
        let Some(tree) = self.tree else { return false };
        tree.levels.iter().skip(self.to + 1).any(|tables| !Tree::overlapping(tables, start, end).is_empty())
    }

    /// Whether nothing outside of the compaction can hold a version of `key` below `timestamp`.
    fn has_nothing_under(&self, key: &[u8], timestamp: u64) -> bool {
        if self.memory_timestamp_min < timestamp || self.is_deeper(key, &successor(key)) {
            return false;
        }
        let Some(tree) = self.tree else { return true };
        let mut above = tree.levels.iter().take((self.to + 1).min(LEVELS)).flat_map(|level| level.iter());
        !above.any(|table| {
            *table.summary.start <= *key
                && *key < *table.summary.end
                && table.summary.timestamp_min < timestamp
                && !self.inputs.contains(&table.id)
        })
    }
}
