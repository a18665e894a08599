//! Looking into tables: what there is, block by block and entry by entry, and whether it is as it should be.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::engine::Engine;
use super::inspect::verify_table;
use crate::block::BlockCursor;
use crate::entry::{Versioned, VersionedEntry};
use crate::error::{Error, Result};
use crate::table::ahead::Ahead;
use crate::table::cursor::{RunCursor, Window};
use crate::table::file::{Section, Table};

/// A table, as the manifest and its own properties describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// Its number.
    pub id: u64,
    /// Its file.
    pub path: PathBuf,
    /// The name of its keyspace.
    pub keyspace: &'static str,
    /// Its level.
    pub level: usize,
    /// Length of the file.
    pub bytes: u64,
    /// No key or range delete lies before.
    pub start: Bytes,
    /// No key or range delete lies at or after.
    pub end: Bytes,
    /// Entries, history and deletions included.
    pub entries: u64,
    /// Entries that are not the newest of their key in the table.
    pub history: u64,
    /// Entries that delete.
    pub deletes: u64,
    /// Spans that it deletes from older tables.
    pub range_deletes: Vec<(Bytes, Bytes)>,
    /// The least and the largest timestamp, if it has entries.
    pub timestamps: Option<(u64, u64)>,
    /// The data key that seals it; None: it is not encrypted.
    pub data_key: Option<u64>,
}

/// A block of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    /// Whether it holds history: versions that are not the newest of their key in the table.
    pub history: bool,
    /// Its place in the file.
    pub offset: u64,
    /// Its length there, as it is compressed and sealed.
    pub length: u64,
    /// Its length in memory.
    pub memory_bytes: u64,
    /// Its entries.
    pub entries: u64,
    /// The first key.
    pub first: Bytes,
    /// The last key.
    pub last: Bytes,
}

impl Engine {
    pub(crate) fn table_infos(&self) -> Result<Vec<TableInfo>> {
        self.check()?;
        let view = self.view();
        Ok(view.version.tables().map(|(level, table)| self.table_info(level, table)).collect())
    }

    fn table_info(&self, level: usize, table: &Table) -> TableInfo {
        let summary = &table.summary;
        let keyspace = self.keyspaces.index(summary.keyspace).and_then(|at| self.keyspaces.all().get(at));
        TableInfo {
            id: table.id,
            path: table.path().to_owned(),
            keyspace: keyspace.map_or("", |keyspace| keyspace.name),
            level,
            bytes: summary.bytes,
            start: summary.start.clone(),
            end: summary.end.clone(),
            entries: summary.entries,
            history: summary.history,
            deletes: summary.deletes,
            range_deletes: table.range_deletes.iter().map(|s| (s.start.clone(), s.end.clone())).collect(),
            timestamps: (summary.entries > 0).then_some((summary.timestamp_min, summary.timestamp_max)),
            data_key: summary.envelope.map(|envelope| envelope.data_key),
        }
    }

    fn table(&self, id: u64) -> Result<Arc<Table>> {
        self.check()?;
        let view = self.view();
        let table = view.version.tables().find(|(_, table)| table.id == id).map(|(_, table)| table.clone());
        table.ok_or_else(|| Error::Invalid(format!("no table has the number {id}")))
    }

    pub(crate) fn table_blocks(&self, id: u64) -> Result<Vec<BlockInfo>> {
        let table = self.table(id)?;
        let mut blocks = Vec::new();
        for (section, history) in [(&table.current, false), (&table.history, true)] {
            describe_blocks(&table, section, history, &mut blocks)?;
        }
        Ok(blocks)
    }

    pub(crate) fn table_entries(
        &self,
        id: u64,
        span: Option<(&[u8], &[u8])>,
        mut take: impl FnMut(VersionedEntry) -> bool,
    ) -> Result<()> {
        let table = self.table(id)?;
        let start = span.map_or(&table.summary.start[..], |(start, _)| start);
        let mut cursor = RunCursor::over(vec![table.clone()], Window::ALL, false, false);
        let mut versions = Vec::new();
        cursor.seek(start)?;
        while let Some(key) = cursor.key().map(Bytes::copy_from_slice) {
            if span.is_some_and(|(_, end)| *key >= *end) {
                break;
            }
            versions.clear();
            cursor.collect(&mut versions)?;
            for version in versions.drain(..) {
                let Versioned { timestamp, value, note } = version;
                let entry = VersionedEntry { key: key.clone(), timestamp, value, note };
                if !take(entry) {
                    return Ok(());
                }
            }
            cursor.advance()?;
        }
        Ok(())
    }

    /// Reads every block of every table and checks checksums, order, filters, and what the manifest claims.
    pub(crate) fn verify(&self) -> Result<()> {
        let mut first = Ok(());
        self.verify_tables(|_, verified| {
            if first.is_ok() {
                first = verified;
            }
        })?;
        first
    }

    pub(crate) fn verify_tables(&self, mut report: impl FnMut(&TableInfo, Result<()>)) -> Result<()> {
        self.check()?;
        let view = self.view();
        for (level, table) in view.version.tables() {
            report(&self.table_info(level, table), self.verify_one(table));
        }
        Ok(())
    }

    fn verify_one(&self, table: &Arc<Table>) -> Result<()> {
        let again = self.tables.open(table.id)?;
        if again.summary != table.summary {
            let what = "the table is not the one that the manifest names";
            return Err(Error::corrupt(table.path(), 0, what));
        }
        verify_table(table)
    }
}

fn describe_blocks(
    table: &Table,
    section: &Section,
    history: bool,
    blocks: &mut Vec<BlockInfo>,
) -> Result<()> {
    let malformed = |_| table.malformed();
    let mut ahead = Ahead::whole();
    for partition in 0..section.partitions() {
        let index = table.index_block_uncached(section, partition)?;
        for at in 0..index.count() {
            let handle = table.index_value(&index, at)?.handle;
            let block = table.block_uncached(handle, &mut ahead)?;
            let (memory_bytes, entries) = (block.bytes() as u64, block.count() as u64);
            let mut cursor = BlockCursor::new(block);
            cursor.seek_first().map_err(malformed)?;
            let first = Bytes::copy_from_slice(cursor.key());
            cursor.seek_last().map_err(malformed)?;
            blocks.push(BlockInfo {
                history,
                offset: handle.offset,
                length: handle.length,
                memory_bytes,
                entries,
                first,
                last: Bytes::copy_from_slice(cursor.key()),
            });
        }
    }
    Ok(())
}
