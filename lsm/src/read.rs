//! Reading a [`View`] as of a sequence: single keys and scans.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::coding::key_head;
use crate::entry::{KeyRange, Versioned, VersionedEntry, normalize};
use crate::error::Result;
use crate::keyspaces::Keyspaces;
use crate::memtable::{Known, MemCursor};
use crate::merge::{Merge, Source};
use crate::options::{ScanOptions, Sequence};
use crate::spans::Spans;
use crate::table::cursor::{Level, RunCursor, Window};
use crate::table::file::Table;
use crate::table::filter;
use crate::tree::{LEVELS, Level0Reads, Tree, View};

/// Keys given out by a scan are cut from chunks of this size.
const ARENA_BYTES: usize = 4 << 10;

/// What a probe of a table in level 0 costs, a scan's beginning in one, and each of its steps, in bytes that a compaction
/// merges in the same time: an estimate, of 60 ns, 1 us and 20 ns at 300 MB a second.
const PROBE_BYTES: u64 = 20;
const SEEK_BYTES: u64 = 300;
const STEP_BYTES: u64 = 6;
/// One in so many keys is counted, for all of them.
const PROBES_SAMPLED: u64 = 64;

/// What is readable at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) view: Arc<View>,
    pub(crate) sequence: Sequence,
}

impl View {
    /// The newest version of `key` at or below `at`, as of `sequence`.
    pub(crate) fn get(
        &self,
        sequence: Sequence,
        keyspace: usize,
        versioned: bool,
        key: &[u8],
        at: u64,
    ) -> Result<Option<Versioned>> {
        let mut best: Option<Versioned> = None;
        for memtable in self.memtables() {
            // Without versions the first that knows the key is right; with them an older source may hold a newer one.
            if best.as_ref().is_some_and(|best| memtable.timestamp_max(keyspace) <= best.timestamp) {
                let deletes = memtable.deletes(keyspace);
                if deletes.is_some_and(|deletes| deletes.covering(key, sequence) > 0) {
                    return Ok(best);
                }
                continue;
            }
            match memtable.get(keyspace, key, at, sequence) {
                Known::Nothing => {}
                Known::Deleted => return Ok(best),
                Known::Last(version) => return Ok(newer(best, version)),
                Known::Version(version) if !versioned => return Ok(Some(version)),
                Known::Version(version) => best = newer(best, version),
            }
        }
        let Some(tree) = self.version.trees.get(keyspace) else { return Ok(best) };
        let (mut hash, head) = (None, key_head(key));
        for level in 0..LEVELS {
            if best.as_ref().is_some_and(|best| tree.newest_from(level) <= best.timestamp) {
                return Ok(best);
            }
            for table in tree.tables_for(level, head, key) {
                if probe(table, key, at, versioned, &mut hash, &mut best)? {
                    return Ok(best);
                }
            }
            if level == 0 && hash.is_some_and(|hash| hash % PROBES_SAMPLED == 0) {
                tree.level0_reads().count(PROBES_SAMPLED * PROBE_BYTES);
            }
        }
        Ok(best)
    }
}

impl Reader {
    /// A merge over all sources of a keyspace that may hold something of [start, end).
    fn merge(&self, keyspace: usize, start: &Bytes, end: &Bytes, window: Window, reverse: bool) -> Merge {
        let mut sources = Vec::new();
        let bound = if reverse { start } else { end };
        for memtable in self.view.memtables() {
            let deletes = memtable.deletes(keyspace).map(|deletes| deletes.spans(self.sequence));
            if deletes.is_none() && memtable.is_outside(keyspace, &window) {
                continue;
            }
            let cursor = MemCursor::new(memtable.clone(), keyspace, self.sequence, window, reverse);
            sources.push((Source::Memory(cursor.until(bound.clone())), deletes.unwrap_or_default()));
        }
        let Some(tree) = self.view.version.trees.get(keyspace) else {
            return Merge::new(sources, window, reverse);
        };
        for (level, tables) in tree.levels.iter().enumerate() {
            if level == 0 {
                for (at, table) in tables.iter().enumerate() {
                    if table.summary.overlaps(start, end) {
                        sources.push(run(tree, tables, at..at + 1, window, reverse, bound));
                    }
                }
            } else {
                let overlapping = Tree::overlapping_range(tables, start, end);
                if !overlapping.is_empty() {
                    sources.push(run(tree, tables, overlapping, window, reverse, bound));
                }
            }
        }
        Merge::new(sources, window, reverse)
    }

    pub(crate) fn scan(&self, keyspaces: &Keyspaces, range: KeyRange<'_>, reverse: bool) -> Result<Scan> {
        let (prefix, start, end) = normalize(range)?;
        let keyspace = keyspaces.plain(prefix)?;
        Ok(Scan { walk: self.walk(keyspace, start, end, Window::NEWEST, reverse)? })
    }

    pub(crate) fn scan_at(
        &self,
        keyspaces: &Keyspaces,
        range: KeyRange<'_>,
        at: u64,
        options: ScanOptions,
    ) -> Result<ScanAt> {
        let (prefix, start, end) = normalize(range)?;
        let keyspace = keyspaces.versioned(prefix)?;
        let window = Window { at, since: options.since, all: options.all_versions };
        let walk = self.walk(keyspace, start, end, window, options.reverse)?;
        Ok(ScanAt { walk, tombstones: options.tombstones, next: 0, key: Bytes::new() })
    }

    fn walk(&self, keyspace: usize, start: Bytes, end: Bytes, window: Window, reverse: bool) -> Result<Walk> {
        let mut merge = self.merge(keyspace, &start, &end, window, reverse);
        merge.seek(if reverse { &end } else { &start })?;
        let (versions, arena) = (Vec::new(), BytesMut::new());
        let level0 = self.view.version.trees.get(keyspace).map(Tree::level0_reads).unwrap_or_default();
        Ok(Walk { merge, start, end, reverse, versions, arena, failed: None, steps: 0, level0 })
    }
}

fn newer(best: Option<Versioned>, version: Versioned) -> Option<Versioned> {
    match best {
        Some(best) if best.timestamp >= version.timestamp => Some(best),
        _ => Some(version),
    }
}

/// Looks into one table; true if nothing older matters any more.
#[inline]
fn probe(
    table: &Table,
    key: &[u8],
    at: u64,
    versioned: bool,
    hash: &mut Option<u64>,
    best: &mut Option<Versioned>,
) -> Result<bool> {
    let deletes = !table.range_deletes.is_empty() && table.range_deletes.covering(key).is_some();
    let newest = table.summary.timestamp_max.min(at);
    if best.as_ref().is_some_and(|best| newest <= best.timestamp) || table.summary.timestamp_min > at {
        return Ok(deletes);
    }
    let hash = *hash.get_or_insert_with(|| filter::hash(key));
    if table.may_contain(hash)
        && let Some(version) = table.get(key, at)?
    {
        *best = newer(best.take(), version);
        return Ok(!versioned || deletes);
    }
    Ok(deletes)
}

/// Some tables of a level as a source up to a bound, with what they delete of older ones.
fn run(
    tree: &Tree,
    level: &Level,
    tables: Range<usize>,
    window: Window,
    reverse: bool,
    bound: &Bytes,
) -> (Source, Spans) {
    let deletes = if tree.range_deletes {
        let tables = level.get(tables.clone()).unwrap_or_default();
        Spans::union(tables.iter().flat_map(|table| table.range_deletes.iter().cloned()).collect())
    } else {
        Spans::default()
    };
    let cursor = RunCursor::new(level.clone(), tables, window, reverse, true).until(bound.clone());
    (Source::Tables(Box::new(cursor)), deletes)
}

/// A merge between bounds, that ends for good at its first error.
#[derive(Debug)]
struct Walk {
    merge: Merge,
    start: Bytes,
    end: Bytes,
    reverse: bool,
    versions: Vec<Versioned>,
    arena: BytesMut,
    failed: Option<()>,
    /// Keys that the merge has passed.
    steps: u64,
    level0: Level0Reads,
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.level0.count(SEEK_BYTES + STEP_BYTES * self.steps);
    }
}

impl Walk {
    /// Steps to the next key within the bounds that exists, in a keyspace without versions.
    #[inline]
    fn step(&mut self) -> Result<bool> {
        loop {
            if self.failed.is_some() {
                return Ok(false);
            }
            self.steps += 1;
            match self.merge.step() {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => {
                    self.failed = Some(());
                    return Err(error);
                }
            }
            let Some(key) = self.merge.peek() else { return Ok(false) };
            if if self.reverse { *key < *self.start } else { *key >= *self.end } {
                return Ok(false);
            }
            if self.merge.value().is_some() {
                return Ok(true);
            }
        }
    }

    /// Steps to the next key within the bounds that has versions in the window.
    fn next(&mut self) -> Result<bool> {
        loop {
            let Some(key) = self.merge.peek() else { return Ok(false) };
            if self.failed.is_some() || if self.reverse { *key < *self.start } else { *key >= *self.end } {
                return Ok(false);
            }
            self.steps += 1;
            match self.merge.next(&mut self.versions) {
                Ok(true) if self.versions.is_empty() => {}
                Ok(more) => return Ok(more),
                Err(error) => {
                    self.failed = Some(());
                    return Err(error);
                }
            }
        }
    }

    /// The key that [`Self::next`] has passed.
    fn key(&mut self) -> Bytes {
        shared(&mut self.arena, self.merge.key())
    }

    /// The key that [`Self::step`] stands on.
    fn standing_key(&mut self) -> Bytes {
        shared(&mut self.arena, self.merge.peek().unwrap_or_default())
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        if self.reverse {
            self.merge.seek(if *key < *self.end { key } else { &self.end })
        } else {
            self.merge.seek(if *key > *self.start { key } else { &self.start })
        }
    }
}

/// Cuts a copy of a key from a chunk that many share.
fn shared(arena: &mut BytesMut, key: &[u8]) -> Bytes {
    if arena.capacity() < key.len() {
        *arena = BytesMut::with_capacity(ARENA_BYTES.max(key.len()));
    }
    arena.extend_from_slice(key);
    arena.split().freeze()
}

/// A walk over an unversioned range.
///
/// As an iterator it gives (key, value), to be kept as long as one likes. [`Self::advance`], [`Self::key`] and
/// [`Self::value`] show the same entries in place, which costs less.
#[derive(Debug)]
pub struct Scan {
    walk: Walk,
}

impl Scan {
    /// Goes on from the first key at or after `key`; descending, from the last key before it.
    pub fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.walk.seek(key)
    }

    /// Steps to the next entry, at first to the first one; false if there is none. After an error there is none.
    #[inline]
    pub fn advance(&mut self) -> Result<bool> {
        self.walk.step()
    }

    /// The key of the entry that [`Self::advance`] has stepped to.
    #[inline]
    pub fn key(&self) -> &[u8] {
        self.walk.merge.peek().unwrap_or_default()
    }

    /// The value of the entry that [`Self::advance`] has stepped to.
    #[inline]
    pub fn value(&self) -> &[u8] {
        self.walk.merge.value().unwrap_or_default()
    }
}

impl Iterator for Scan {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.walk.step() {
            Ok(false) => None,
            Err(error) => Some(Err(error)),
            Ok(true) => {
                let value = self.walk.merge.shared_value()?;
                Some(Ok((self.walk.standing_key(), value)))
            }
        }
    }
}

/// Iterator over a versioned range.
#[derive(Debug)]
pub struct ScanAt {
    walk: Walk,
    tombstones: bool,
    /// Which version of the current key comes next.
    next: usize,
    key: Bytes,
}

impl ScanAt {
    /// Goes on from the first key at or after `key`; descending, from the last key before it.
    pub fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.walk.versions.clear();
        self.walk.seek(key)
    }
}

impl Iterator for ScanAt {
    type Item = Result<VersionedEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while let Some(version) = self.walk.versions.get_mut(self.next) {
                self.next += 1;
                let value = version.value.take();
                let (timestamp, note) = (version.timestamp, version.note);
                if value.is_some() || self.tombstones {
                    if self.key.is_empty() {
                        self.key = self.walk.key();
                    }
                    return Some(Ok(VersionedEntry { key: self.key.clone(), timestamp, value, note }));
                }
            }
            self.key = Bytes::new();
            self.next = 0;
            match self.walk.next() {
                Ok(true) => {}
                Ok(false) => {
                    self.walk.versions.clear();
                    return None;
                }
                Err(error) => {
                    self.walk.versions.clear();
                    return Some(Err(error));
                }
            }
        }
    }
}
