//! Adding finished tables, as a bulk load does, and replacing spans by them, as an installed snapshot does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::{Bytes, BytesMut};

use super::engine::Engine;
use super::flush::added;
use super::write::{insert, validate};
use crate::batch::WriteBatch;
use crate::compaction::retention::Retentions;
use crate::compaction::run::Sorted;
use crate::entry::{Note, Versioned};
use crate::error::{Error, Result};
use crate::memtable::Memtable;
use crate::options::Sequence;
use crate::spans::{Span, Spans};
use crate::table::file::Table;
use crate::tree::{Edit, Removed};

/// Writes tables for [`crate::Db::ingest`] and [`crate::Db::excise_and_ingest`]: entries of one keyspace in order, cut into tables as needed.
/// Their files are removed if they are dropped before they have become part of the database.
#[derive(Debug)]
pub struct TableBuilder {
    engine: Arc<Engine>,
    keyspace: usize,
    versioned: bool,
    sorted: Sorted,
    key: Vec<u8>,
    versions: Vec<Versioned>,
}

/// A finished table, not yet part of the database; its file is removed when it is dropped before it has become so.
#[derive(Debug)]
pub struct TableFile {
    table: Arc<Table>,
}

impl TableFile {
    /// Length of the file.
    pub fn bytes(&self) -> u64 {
        self.table.summary.bytes
    }
}

impl TableBuilder {
    pub(crate) fn new(engine: &Arc<Engine>, prefix: u8) -> Result<Self> {
        let index = engine.keyspaces.index(prefix);
        let keyspace = index.ok_or_else(|| Error::Invalid(format!("no keyspace has prefix {prefix}")))?;
        let options = engine.table_options(keyspace)?;
        let versioned = options.versioned;
        let sorted =
            Sorted::new(engine.tables.clone(), options, engine.options.table_bytes, Spans::default());
        Ok(Self {
            engine: engine.clone(),
            keyspace,
            versioned,
            sorted,
            key: Vec::new(),
            versions: Vec::new(),
        })
    }

    /// Adds a value to an unversioned keyspace; keys ascend strictly.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if self.versioned {
            return Err(Error::Invalid(
                "a value without a timestamp for a keyspace with versions".to_owned(),
            ));
        }
        self.add(key, Versioned::value(0, Bytes::copy_from_slice(value)))
    }

    /// Adds a version; keys ascend, timestamps of one key descend strictly.
    pub fn put_at(&mut self, key: &[u8], timestamp: u64, value: &[u8]) -> Result<()> {
        self.check_versioned()?;
        self.add(key, Versioned::value(timestamp, Bytes::copy_from_slice(value)))
    }

    /// The same for a version that says 'deleted', with a note.
    pub fn delete_at(&mut self, key: &[u8], timestamp: u64, note: Note) -> Result<()> {
        self.check_versioned()?;
        self.add(key, Versioned { timestamp, value: None, note })
    }

    fn check_versioned(&self) -> Result<()> {
        if self.versioned {
            return Ok(());
        }
        Err(Error::Invalid("a version for a keyspace without".to_owned()))
    }

    fn add(&mut self, key: &[u8], version: Versioned) -> Result<()> {
        let (timestamp, bytes) = (version.timestamp, version.value.as_ref().map_or(0, Bytes::len));
        let found = self.engine.keyspaces.check(key, self.versioned, bytes)?;
        if found != self.keyspace {
            return Err(Error::Invalid("a key of another keyspace".to_owned()));
        }
        if *key == *self.key {
            if self.versions.last().is_some_and(|last| last.timestamp <= timestamp) {
                return Err(Error::Invalid("timestamps of a key must descend".to_owned()));
            }
        } else {
            if *key < *self.key {
                return Err(Error::Invalid("keys of a table must ascend".to_owned()));
            }
            self.sorted.add(&self.key, &self.versions)?;
            self.versions.clear();
            self.key.clear();
            self.key.extend_from_slice(key);
        }
        self.versions.push(version);
        Ok(())
    }

    /// Closes the last table; all are synced.
    pub fn finish(mut self) -> Result<Vec<TableFile>> {
        self.sorted.add(&self.key, &self.versions)?;
        Ok(self.sorted.finish()?.into_iter().map(|table| TableFile { table }).collect())
    }
}

/// While it lives, writers may have to wait for the disk.
struct Ingesting<'e>(&'e AtomicU32);

impl<'e> Ingesting<'e> {
    fn begin(count: &'e AtomicU32) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Ingesting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Engine {
    /// In one durable step: removes all keys of the spans, adds the tables, and writes the batch. Other writers wait.
    pub(crate) fn excise_and_ingest(
        &self,
        spans: &[(Bytes, Bytes)],
        tables: Vec<TableFile>,
        batch: WriteBatch,
    ) -> Result<Sequence> {
        self.check()?;
        validate(&self.keyspaces, &batch)?;
        if tables.iter().any(|file| file.table.path().parent() != Some(&self.tables.dir)) {
            return Err(Error::Invalid("a table that was built for another database".to_owned()));
        }
        let _ingesting = Ingesting::begin(&self.ingesting);
        let mut writing = self.write.lock();
        self.seal(&mut writing);
        while !self.view().sealed.is_empty() {
            self.flush_oldest()?;
        }
        let first = writing.next;
        let last = first + batch.len() as u64;
        let mut new = self.excising_tables(spans)?;
        new.extend(tables.into_iter().map(|file| file.table));
        // The batch goes through a memtable of its own; its writes are newer than the tables.
        let memtable = Arc::new(Memtable::new(self.keyspaces.all().len(), self.wal.end()));
        insert(&self.keyspaces, &memtable, &batch.lay(&mut BytesMut::new(), 0), first)?;
        new.extend(self.write_memtable(&memtable, last, &Retentions::default())?);
        let removed = self.claim_covered(spans);
        let ids: Vec<u64> = removed.iter().map(|removed| removed.id).collect();
        let edit = Edit { removed, added: added(&new, 0), flushed: Some(last), ..Edit::default() };
        // What tables hold is visible whatever the sequence: readers see all of it from the new view on.
        let installed = self.wait_published(first - 1).and_then(|()| self.install(edit, &new, |_| {}));
        self.compacting.lock().busy.retain(|id| !ids.contains(id));
        installed?;
        writing.next = last + 1;
        self.publish(first, last)?;
        drop(writing);
        self.signal();
        Ok(last)
    }

    /// Tables that delete the spans, and hold nothing.
    fn excising_tables(&self, spans: &[(Bytes, Bytes)]) -> Result<Vec<Arc<Table>>> {
        let mut tables = Vec::new();
        let mut by_keyspace: Vec<Vec<Span>> = self.keyspaces.all().iter().map(|_| Vec::new()).collect();
        for (start, end) in spans {
            let keyspace = self.keyspaces.check_span(start, end)?;
            if let Some(spans) = by_keyspace.get_mut(keyspace) {
                spans.push(Span { start: start.clone(), end: end.clone() });
            }
        }
        for (keyspace, spans) in by_keyspace.into_iter().enumerate() {
            let deletes = Spans::union(spans);
            if !deletes.is_empty() {
                let options = self.table_options(keyspace)?;
                tables.extend(Sorted::new(self.tables.clone(), options, u64::MAX, deletes).finish()?);
            }
        }
        Ok(tables)
    }

    /// The tables that lie wholly in one of the spans and that no compaction works on; none will from here on.
    fn claim_covered(&self, spans: &[(Bytes, Bytes)]) -> Vec<Removed> {
        let mut compacting = self.compacting.lock();
        let view = self.view();
        let covered = view.version.tables().filter(|(_, table)| {
            !compacting.busy.contains(&table.id)
                && spans.iter().any(|(start, end)| *start <= table.summary.start && table.summary.end <= *end)
        });
        let removed: Vec<Removed> = covered
            .map(|(level, table)| Removed { keyspace: table.summary.keyspace, level, id: table.id })
            .collect();
        compacting.busy.extend(removed.iter().map(|removed| removed.id));
        removed
    }
}
