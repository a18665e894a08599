//! How much room a span takes: blocks of tables on disk, and what is still in memory.
//!
//! A table that lies within is its file; of one that sticks out, the index tells which blocks lie within. Blocks that two
//! spans share count for both. History, and what was deleted and not yet compacted away, takes room and counts.
//!
//! From the same parts follows where a span's middle is: as much of it lies on either side as the parts are fine. Where there are
//! many, some that follow each other count as one ([`Parts`]).

use std::slice;
use std::sync::Arc;

use bytes::Bytes;

use super::engine::Engine;
use crate::block::BlockCursor;
use crate::entry::{Content, Versioned};
use crate::error::{Error, Result};
use crate::memtable::{MemCursor, Memtable};
use crate::options::Sequence;
use crate::table::cursor::Window;
use crate::table::file::{Section, Table};

impl Engine {
    /// See [`crate::Db::span_bytes`].
    pub(crate) fn span_bytes(&self, start: &[u8], end: &[u8]) -> Result<u64> {
        self.check()?;
        let Some(keyspace) = start.first().and_then(|prefix| self.keyspaces.index(*prefix)) else {
            return Err(Error::Invalid("a span outside of all keyspaces".to_owned()));
        };
        let view = self.view();
        let mut bytes = 0;
        for table in
            view.version.trees.get(keyspace).iter().flat_map(|tree| &tree.levels).flat_map(|l| l.iter())
        {
            bytes += table_bytes(table, start, end)?;
        }
        for memtable in view.memtables() {
            bytes += memory_bytes(memtable, keyspace, start, end);
        }
        Ok(bytes)
    }

    /// See [`crate::Db::span_history_bytes`].
    pub(crate) fn span_history_bytes(&self, start: &[u8], end: &[u8]) -> Result<u64> {
        self.check()?;
        let Some(keyspace) = start.first().and_then(|prefix| self.keyspaces.index(*prefix)) else {
            return Err(Error::Invalid("a span outside of all keyspaces".to_owned()));
        };
        let view = self.view();
        let mut bytes = 0;
        let levels = view.version.trees.get(keyspace).into_iter().flat_map(|tree| &tree.levels);
        for table in levels.flat_map(|level| level.iter()) {
            if *table.summary.end > *start && *table.summary.start < *end && table.summary.history > 0 {
                bytes += section_bytes(table, &table.history, start, end)?;
            }
        }
        for memtable in view.memtables() {
            versions(memtable, keyspace, start, end, &mut |key: &[u8], versions: &[Versioned]| {
                let newest = versions.iter().max_by_key(|version| version.timestamp);
                bytes += versions_bytes(key, versions)
                    - versions_bytes(key, newest.map(slice::from_ref).unwrap_or_default());
            });
        }
        Ok(bytes)
    }

    /// See [`crate::Db::span_middle`].
    pub(crate) fn span_middle(&self, start: &[u8], end: &[u8]) -> Result<Option<Bytes>> {
        self.check()?;
        let Some(keyspace) = start.first().and_then(|prefix| self.keyspaces.index(*prefix)) else {
            return Err(Error::Invalid("a span outside of all keyspaces".to_owned()));
        };
        let mut parts = Parts::of(self.span_bytes(start, end)?);
        let view = self.view();
        let levels = view.version.trees.get(keyspace).into_iter().flat_map(|tree| &tree.levels);
        for table in levels.flat_map(|level| level.iter()) {
            if *table.summary.end > *start && *table.summary.start < *end {
                for section in [&table.current, &table.history] {
                    blocks(table, section, start, end, &mut |key: &[u8], bytes| parts.add(key, bytes))?;
                    parts.next_source();
                }
            }
        }
        for memtable in view.memtables() {
            entries(memtable, keyspace, start, end, &mut |key: &[u8], bytes| parts.add(key, bytes));
            parts.next_source();
        }
        Ok(parts.middle().filter(|key| **key > *start && **key < *end))
    }
}

/// What a span's middle is found from: keys, each with how much lies right before it. What follows each other in one source, a
/// section of a table or a memtable, is one part as long as it is less than [`PARTS`] of the whole.
struct Parts {
    /// Of so many bytes a part is at least, but for the last of a source.
    bytes_min: u64,
    parts: Vec<(Bytes, u64)>,
    open: Vec<u8>,
    open_bytes: u64,
}

/// About how many parts a span is looked at in, and one more for each source.
const PARTS: u64 = 1024;

impl Parts {
    /// Nothing yet of about so many bytes.
    fn of(bytes: u64) -> Self {
        Self { bytes_min: bytes / PARTS, parts: Vec::new(), open: Vec::new(), open_bytes: 0 }
    }

    /// Adds what lies before a key, behind what was added before.
    fn add(&mut self, key: &[u8], bytes: u64) {
        self.open_bytes += bytes;
        self.open.clear();
        self.open.extend_from_slice(key);
        if self.open_bytes >= self.bytes_min {
            self.next_source();
        }
    }

    /// What is added from now on does not lie behind what was before.
    fn next_source(&mut self) {
        if self.open_bytes > 0 {
            self.parts.push((Bytes::copy_from_slice(&self.open), self.open_bytes));
            self.open_bytes = 0;
        }
    }

    /// The key that half of it all lies before.
    fn middle(mut self) -> Option<Bytes> {
        self.parts.sort_unstable();
        let half = self.parts.iter().map(|(_, bytes)| bytes).sum::<u64>() / 2;
        let mut before = 0;
        let middle = self.parts.into_iter().find(|(_, bytes)| {
            before += bytes;
            before >= half
        });
        middle.map(|(key, _)| key)
    }
}

fn table_bytes(table: &Table, start: &[u8], end: &[u8]) -> Result<u64> {
    let summary = &table.summary;
    if *summary.end <= *start || *summary.start >= *end {
        return Ok(0);
    }
    if *summary.start >= *start && *summary.end <= *end {
        return Ok(summary.bytes);
    }
    Ok(section_bytes(table, &table.current, start, end)? + section_bytes(table, &table.history, start, end)?)
}

/// The bytes of the blocks that may hold keys of the span.
fn section_bytes(table: &Table, section: &Section, start: &[u8], end: &[u8]) -> Result<u64> {
    let mut all = 0;
    blocks(table, section, start, end, &mut |_, bytes| all += bytes)?;
    Ok(all)
}

/// Gives `take` the blocks that may hold keys of the span: a key that none of the block lies behind, and its bytes.
fn blocks(
    table: &Table,
    section: &Section,
    start: &[u8],
    end: &[u8],
    take: &mut impl FnMut(&[u8], u64),
) -> Result<()> {
    let Some(first) = table.partition_of(section, start, u64::MAX)? else { return Ok(()) };
    for partition in first..section.partitions() {
        let index = table.index_block(section, partition)?;
        let mut cursor = BlockCursor::new(index.clone());
        cursor.seek_first().map_err(|_| table.malformed())?;
        for at in 0..index.count() {
            // No key of the block lies behind the one in its index.
            let ends_before = cursor.key() < start;
            let ends_behind = cursor.key() >= end;
            if !ends_before {
                take(cursor.key(), table.index_value(&index, at)?.handle.length);
            }
            if ends_behind {
                return Ok(());
            }
            cursor.next().map_err(|_| table.malformed())?;
        }
    }
    Ok(())
}

fn memory_bytes(memtable: &Arc<Memtable>, keyspace: usize, start: &[u8], end: &[u8]) -> u64 {
    let mut all = 0;
    entries(memtable, keyspace, start, end, &mut |_, bytes| all += bytes);
    all
}

/// Gives `take` the keys of the span, each with the bytes of all its versions.
fn entries(
    memtable: &Arc<Memtable>,
    keyspace: usize,
    start: &[u8],
    end: &[u8],
    take: &mut impl FnMut(&[u8], u64),
) {
    versions(memtable, keyspace, start, end, &mut |key: &[u8], versions: &[Versioned]| {
        take(key, versions_bytes(key, versions));
    });
}

/// The bytes of versions of a key.
fn versions_bytes(key: &[u8], versions: &[Versioned]) -> u64 {
    let content = |version: &Versioned| match version.content() {
        Content::Value(bytes) | Content::Deletion(bytes) => bytes.len(),
    };
    versions.iter().map(|version| key.len() + content(version)).sum::<usize>() as u64
}

/// Gives `take` the keys of the span, each with all its versions.
fn versions(
    memtable: &Arc<Memtable>,
    keyspace: usize,
    start: &[u8],
    end: &[u8],
    take: &mut impl FnMut(&[u8], &[Versioned]),
) {
    let mut cursor = MemCursor::new(memtable.clone(), keyspace, Sequence::MAX, Window::ALL, false);
    let mut versions = Vec::new();
    cursor.seek(start);
    while let Some(entry) = cursor.entry()
        && entry.key() < end
    {
        let key = entry.key().to_vec();
        cursor.collect(&mut versions);
        take(&key, &versions);
        versions.clear();
        cursor.advance();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_middle_is_found_from_few_parts_of_several_sources() {
        let keys_per_source = 100_000u32;
        let mut parts = Parts::of(3 * u64::from(keys_per_source) * 10);
        for source in 0..3 {
            for number in 0..keys_per_source {
                parts.add(&(number * 3 + source).to_be_bytes(), 10);
            }
            parts.next_source();
        }
        assert!(parts.parts.len() as u64 <= PARTS + 3, "{}", parts.parts.len());
        let middle = parts.middle().unwrap();
        let middle = u32::from_be_bytes(middle.as_ref().try_into().unwrap());
        let half = keys_per_source * 3 / 2;
        assert!(middle.abs_diff(half) < keys_per_source * 3 / 100, "{middle} of {half}");
        assert_eq!(Parts::of(0).middle(), None);
    }
}
