//! Which tables there are: levels of each keyspace, as one immutable value that readers share.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::coding::key_head;
use crate::memtable::Memtable;
use crate::options::Sequence;
use crate::sync::AtomicU64;
use crate::table::cursor::Level;
use crate::table::file::Table;
use crate::table::properties::Summary;

/// Levels of a keyspace, level 0 included.
pub(crate) const LEVELS: usize = 7;

/// The tables of one keyspace.
///
/// # Invariants
/// - Level 0 is ordered from the newest table to the oldest; they may overlap.
/// - Tables of any other level are ordered by key and do not overlap.
/// - What a key has in a level is newer than what it has in any deeper one.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) levels: Vec<Level>,
    /// Where the tables lie, side by side for searches.
    fences: [Vec<Fence>; LEVELS],
    /// The largest timestamp of each level and all below it.
    newest_from: [u64; LEVELS],
    /// Whether any table has range deletes.
    pub(crate) range_deletes: bool,
    /// See [`Level0Reads`]. Versions with the same tables, and more, in level 0 share it.
    level0_reads: Arc<AtomicU64>,
}

impl Default for Tree {
    fn default() -> Self {
        let levels = vec![Level::default(); LEVELS];
        Self {
            levels,
            fences: Default::default(),
            newest_from: [0; LEVELS],
            range_deletes: false,
            level0_reads: Arc::default(),
        }
    }
}

/// The heads of a table's first key and of the end of its last.
#[derive(Clone, Copy, Debug)]
struct Fence {
    start: u128,
    end: u128,
}

impl Fence {
    fn of(table: &Table) -> Self {
        Self { start: key_head(&table.summary.start), end: key_head(&table.summary.end) }
    }

    /// Whether a key with this head lies in the span of the table, whose keys are looked at only if their heads are the same.
    #[inline]
    fn surrounds(&self, table: &Table, head: u128, key: &[u8]) -> bool {
        (self.start < head || self.start == head && *table.summary.start <= *key)
            && (head < self.end || head == self.end && *key < *table.summary.end)
    }
}

/// What reads have spent on looking into several tables of level 0, since some of them were merged: in bytes that could have
/// been merged meanwhile, and roughly.
#[derive(Clone, Debug, Default)]
pub(crate) struct Level0Reads {
    bytes: Arc<AtomicU64>,
    tables: u64,
}

impl Level0Reads {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// A read has spent so much on each table; one table alone costs what any level does.
    pub(crate) fn count(&self, bytes: u64) {
        if self.tables > 1 {
            self.bytes.fetch_add(self.tables * bytes, Ordering::Relaxed);
        }
    }
}

/// All tables, by index of their keyspace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Version {
    pub(crate) trees: Vec<Tree>,
}

/// All that a reader reads: memtables and tables of one moment.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) active: Arc<Memtable>,
    /// Sealed memtables, newest first.
    pub(crate) sealed: Vec<Arc<Memtable>>,
    pub(crate) version: Arc<Version>,
}

impl View {
    /// Memtables, newest first.
    pub(crate) fn memtables(&self) -> impl Iterator<Item = &Arc<Memtable>> {
        std::iter::once(&self.active).chain(&self.sealed)
    }
}

/// A change of the set of tables, durable as one record of the manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) removed: Vec<Removed>,
    /// In order: into level 0 each goes before those already there.
    pub(crate) added: Vec<Added>,
    /// Every write up to here is in tables.
    pub(crate) flushed: Option<Sequence>,
    /// Segments of the write-ahead log before this one are not needed.
    pub(crate) log_segment: Option<u64>,
    /// Table numbers below this one may be taken.
    pub(crate) table_next: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) keyspace: u8,
    pub(crate) level: usize,
    pub(crate) id: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) level: usize,
    pub(crate) id: u64,
    /// Knows the keyspace.
    pub(crate) summary: Summary,
}

/// An edit does not fit the tables that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit(pub(crate) String);

impl Tree {
    /// The tables of a level that may hold `key`, whose head is given: of level 0 any number, of another one at most.
    #[inline]
    pub(crate) fn tables_for<'a>(
        &'a self,
        level: usize,
        head: u128,
        key: &'a [u8],
    ) -> impl Iterator<Item = &'a Arc<Table>> {
        let tables = self.levels.get(level).map(|level| level.as_slice()).unwrap_or_default();
        let fences = self.fences.get(level).map(Vec::as_slice).unwrap_or_default();
        let span = if level == 0 { 0..tables.len() } else { Self::nearest(tables, fences, head, key) };
        let near =
            tables.get(span.clone()).unwrap_or_default().iter().zip(fences.get(span).unwrap_or_default());
        near.filter(move |(table, fence)| fence.surrounds(table, head, key)).map(|(table, _)| table)
    }

    /// Of a level below 0, the first table that ends behind `key`.
    #[inline]
    fn nearest(tables: &[Arc<Table>], fences: &[Fence], head: u128, key: &[u8]) -> Range<usize> {
        let mut at = fences.partition_point(|fence| fence.end < head);
        if fences.get(at).is_some_and(|fence| fence.end == head) {
            let same = tables.get(at..).unwrap_or_default();
            at += same.partition_point(|table| *table.summary.end <= *key);
        }
        at..(at + 1).min(tables.len()).max(at)
    }

    /// What reads over level 0 have cost so far, to be counted on.
    pub(crate) fn level0_reads(&self) -> Level0Reads {
        let tables = self.levels.first().map_or(0, |level| level.len() as u64);
        Level0Reads { bytes: self.level0_reads.clone(), tables }
    }

    /// Nothing in this level or below it has a larger timestamp.
    #[inline]
    pub(crate) fn newest_from(&self, level: usize) -> u64 {
        self.newest_from.get(level).copied().unwrap_or(0)
    }

    /// Finds out what follows from the tables.
    fn settle(&mut self) {
        let mut newest = 0;
        for (level, slot) in self.levels.iter().zip(&mut self.newest_from).rev() {
            newest = level.iter().map(|table| table.summary.timestamp_max).fold(newest, u64::max);
            *slot = newest;
        }
        for (level, fences) in self.levels.iter().zip(&mut self.fences) {
            *fences = level.iter().map(|table| Fence::of(table)).collect();
        }
        let mut tables = self.levels.iter().flat_map(|level| level.iter());
        self.range_deletes = tables.any(|table| table.summary.range_deletes > 0);
    }

    /// Of a level below 0, which tables overlap a span.
    pub(crate) fn overlapping_range(level: &[Arc<Table>], start: &[u8], end: &[u8]) -> Range<usize> {
        let first = level.partition_point(|table| *table.summary.end <= *start);
        let last = level.partition_point(|table| *table.summary.start < *end);
        first..last.max(first)
    }

    /// Of a level below 0, the tables that overlap a span.
    pub(crate) fn overlapping<'a>(level: &'a [Arc<Table>], start: &[u8], end: &[u8]) -> &'a [Arc<Table>] {
        level.get(Self::overlapping_range(level, start, end)).unwrap_or_default()
    }

    fn add(&mut self, level: usize, table: Arc<Table>) -> Result<(), Misfit> {
        let tables = self.levels.get_mut(level).map(Arc::make_mut);
        let tables = tables.ok_or_else(|| Misfit(format!("level {level} does not exist")))?;
        if level == 0 {
            tables.insert(0, table);
            return Ok(());
        }
        let at = tables.partition_point(|other| other.summary.start < table.summary.start);
        let before = at.checked_sub(1).and_then(|at| tables.get(at));
        if before.is_some_and(|before| before.summary.end > table.summary.start)
            || tables.get(at).is_some_and(|after| after.summary.start < table.summary.end)
        {
            return Err(Misfit(format!("table {} overlaps others of level {level}", table.id)));
        }
        tables.insert(at, table);
        Ok(())
    }
}

impl Version {
    pub(crate) fn new(keyspaces: usize) -> Self {
        Self { trees: (0..keyspaces).map(|_| Tree::default()).collect() }
    }

    /// The version after an edit whose new tables are given, and the tables that it no longer has.
    pub(crate) fn apply(
        &self,
        edit: &Edit,
        keyspace_index: impl Fn(u8) -> Option<usize>,
        tables: &BTreeMap<u64, Arc<Table>>,
    ) -> Result<(Self, Vec<Arc<Table>>), Misfit> {
        let mut version = self.clone();
        let mut gone = Vec::new();
        let unknown = |prefix: u8| Misfit(format!("keyspace {prefix} does not exist"));
        for removed in &edit.removed {
            let index = keyspace_index(removed.keyspace).ok_or_else(|| unknown(removed.keyspace))?;
            let tree = version.trees.get_mut(index).ok_or_else(|| unknown(removed.keyspace))?;
            if removed.level == 0 {
                tree.level0_reads = Arc::default();
            }
            let level = tree.levels.get_mut(removed.level).map(Arc::make_mut);
            let at = level.as_ref().and_then(|level| level.iter().position(|table| table.id == removed.id));
            match (level, at) {
                (Some(level), Some(at)) => gone.push(level.remove(at)),
                _ => return Err(Misfit(format!("table {} is not in level {}", removed.id, removed.level))),
            }
        }
        for added in &edit.added {
            let prefix = added.summary.keyspace;
            let index = keyspace_index(prefix).ok_or_else(|| unknown(prefix))?;
            let kept = gone.iter().position(|table| table.id == added.id).map(|at| gone.swap_remove(at));
            let table = kept.or_else(|| tables.get(&added.id).cloned());
            let table = table.ok_or_else(|| Misfit(format!("table {} is not open", added.id)))?;
            let tree = version.trees.get_mut(index).ok_or_else(|| unknown(prefix))?;
            tree.add(added.level, table)?;
        }
        version.trees.iter_mut().for_each(Tree::settle);
        Ok((version, gone))
    }

    /// An edit that makes this version from nothing.
    pub(crate) fn as_edit(&self) -> Edit {
        let mut edit = Edit::default();
        for tree in &self.trees {
            for (level, tables) in tree.levels.iter().enumerate() {
                // Level 0 is added at its front.
                for table in tables.iter().rev() {
                    edit.added.push(Added { level, id: table.id, summary: table.summary.clone() });
                }
            }
        }
        edit
    }

    /// All tables with their levels.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (usize, &Arc<Table>)> {
        self.trees.iter().flat_map(|tree| {
            tree.levels.iter().enumerate().flat_map(|(level, tables)| tables.iter().map(move |t| (level, t)))
        })
    }
}
