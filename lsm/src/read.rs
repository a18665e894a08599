//! Reading a [`View`] as of a sequence: single keys and scans.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::entry::{KeyRange, Versioned, VersionedEntry, normalize};
use crate::error::Result;
use crate::keyspaces::Keyspaces;
use crate::memtable::{Known, MemCursor};
use crate::merge::{Merge, Source};
use crate::options::{ScanOptions, Sequence};
use crate::spans::{Span, Spans};
use crate::table::cursor::{RunCursor, Window};
use crate::table::file::Table;
use crate::table::filter;
use crate::tree::{Tree, View};

/// Keys given out by a scan are cut from chunks of this size.
const ARENA_BYTES: usize = 4 << 10;

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
        let mut hash = None;
        for (level, tables) in tree.levels.iter().enumerate() {
            if level == 0 {
                for table in tables.iter().filter(|t| *t.summary.start <= *key && *key < *t.summary.end) {
                    if probe(table, key, at, versioned, &mut hash, &mut best)? {
                        return Ok(best);
                    }
                }
            } else if let Some(table) = Tree::table_for(tables, key)
                && probe(table, key, at, versioned, &mut hash, &mut best)?
            {
                return Ok(best);
            }
        }
        Ok(best)
    }
}

impl Reader {
    /// A merge over all sources of a keyspace that may hold something of [start, end).
    fn merge(&self, keyspace: usize, start: &Bytes, end: &Bytes, window: Window, reverse: bool) -> Merge {
        let mut sources = Vec::new();
        for memtable in self.view.memtables() {
            let deletes = memtable.deletes(keyspace).map(|deletes| deletes.spans(self.sequence));
            let cursor = MemCursor::new(memtable.clone(), keyspace, self.sequence, window, reverse);
            sources.push((Source::Memory(cursor), deletes.unwrap_or_default()));
        }
        let Some(tree) = self.view.version.trees.get(keyspace) else {
            return Merge::new(sources, window, reverse);
        };
        for (level, tables) in tree.levels.iter().enumerate() {
            if level == 0 {
                for table in tables.iter().filter(|table| table.summary.overlaps(start, end)) {
                    push_run(&mut sources, std::slice::from_ref(table), window, reverse);
                }
            } else {
                push_run(&mut sources, Tree::overlapping(tables, start, end), window, reverse);
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
        Ok(Walk { merge, start, end, reverse, versions: Vec::new(), arena: BytesMut::new(), failed: None })
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

fn push_run(sources: &mut Vec<(Source, Spans)>, tables: &[Arc<Table>], window: Window, reverse: bool) {
    if tables.is_empty() {
        return;
    }
    let deletes: Vec<Span> = tables.iter().flat_map(|table| table.range_deletes.iter().cloned()).collect();
    let wanted = |table: &&Arc<Table>| {
        let summary = &table.summary;
        let entries = summary.entries > 0 && summary.timestamp_min <= window.at;
        entries && window.since.is_none_or(|since| summary.timestamp_max > since)
    };
    let tables: Vec<_> = tables.iter().filter(wanted).cloned().collect();
    sources.push((
        Source::Tables(Box::new(RunCursor::new(tables, window, reverse, true))),
        Spans::union(deletes),
    ));
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
}

impl Walk {
    /// Steps to the next key within the bounds that has versions in the window.
    fn next(&mut self) -> Result<bool> {
        loop {
            let Some(key) = self.merge.peek() else { return Ok(false) };
            if self.failed.is_some() || if self.reverse { *key < *self.start } else { *key >= *self.end } {
                return Ok(false);
            }
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

    fn key(&mut self) -> Bytes {
        let key = self.merge.key();
        if self.arena.capacity() < key.len() {
            self.arena = BytesMut::with_capacity(ARENA_BYTES.max(key.len()));
        }
        self.arena.extend_from_slice(key);
        self.arena.split().freeze()
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        if self.reverse {
            self.merge.seek(if *key < *self.end { key } else { &self.end })
        } else {
            self.merge.seek(if *key > *self.start { key } else { &self.start })
        }
    }
}

/// Iterator over an unversioned range: (key, value).
#[derive(Debug)]
pub struct Scan {
    walk: Walk,
}

impl Scan {
    /// Goes on from the first key at or after `key`; descending, from the last key before it.
    pub fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.walk.seek(key)
    }
}

impl Iterator for Scan {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.walk.next() {
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
                Ok(true) => {}
            }
            if let Some(Versioned { value: Some(value), .. }) = self.walk.versions.first() {
                let value = value.clone();
                return Some(Ok((self.walk.key(), value)));
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
                let timestamp = version.timestamp;
                if value.is_some() || self.tombstones {
                    if self.key.is_empty() {
                        self.key = self.walk.key();
                    }
                    return Some(Ok(VersionedEntry { key: self.key.clone(), timestamp, value }));
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
