//! How much room a span takes: blocks of tables on disk, and what is still in memory.
//!
//! A table that lies within is its file; of one that sticks out, the index tells which blocks lie within. Blocks that two
//! spans share count for both. History, and what was deleted and not yet compacted away, takes room and counts.

use std::sync::Arc;

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
    let mut bytes = 0;
    let Some(first) = table.partition_of(section, start, u64::MAX)? else { return Ok(0) };
    for partition in first..section.partitions() {
        let index = table.index_block(section, partition)?;
        let mut cursor = BlockCursor::new(index.clone());
        cursor.seek_first().map_err(|_| table.malformed())?;
        for at in 0..index.count() {
            // No key of the block lies behind the one in its index.
            let ends_before = cursor.key() < start;
            let ends_behind = cursor.key() >= end;
            if !ends_before {
                bytes += table.index_value(&index, at)?.handle.length;
            }
            if ends_behind {
                return Ok(bytes);
            }
            cursor.next().map_err(|_| table.malformed())?;
        }
    }
    Ok(bytes)
}

fn memory_bytes(memtable: &Arc<Memtable>, keyspace: usize, start: &[u8], end: &[u8]) -> u64 {
    let mut cursor = MemCursor::new(memtable.clone(), keyspace, Sequence::MAX, Window::ALL, false);
    let (mut bytes, mut versions) = (0, Vec::new());
    cursor.seek(start);
    while let Some(entry) = cursor.entry()
        && entry.key() < end
    {
        let key = entry.key().len();
        cursor.collect(&mut versions);
        let content = |version: &Versioned| match version.content() {
            Content::Value(bytes) | Content::Deletion(bytes) => bytes.len(),
        };
        let values = versions.iter().map(|version| key + content(version));
        bytes += values.sum::<usize>() as u64;
        versions.clear();
        cursor.advance();
    }
    bytes
}
