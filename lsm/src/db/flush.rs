//! Flushing: a sealed memtable becomes tables of level 0, one set for all keyspaces in one edit. What retentions let go
//! is left out.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::engine::Engine;
use crate::compaction::retention::{Retentions, retain};
use crate::compaction::run::Sorted;
use crate::error::Result;
use crate::memtable::{MemCursor, Memtable};
use crate::options::Sequence;
use crate::table::cursor::Window;
use crate::table::file::Table;
use crate::tree::{Added, Edit};

impl Engine {
    /// Flushes all that was written before; returns when it is durable.
    pub(crate) fn flush(&self) -> Result<()> {
        self.check()?;
        {
            let mut writing = self.write.lock();
            self.seal(&mut writing);
        }
        let target = self.view().sealed.first().map_or(0, |memtable| memtable.last_sequence());
        while self.flushed.load(Ordering::Acquire) < target {
            self.flush_oldest()?;
        }
        Ok(())
    }

    /// Flushes the oldest sealed memtable; false if there is none. A failure stops the database.
    pub(crate) fn flush_oldest(&self) -> Result<bool> {
        let _flushing = self.flushing.lock();
        self.check()?;
        let view = self.view();
        let Some(memtable) = view.sealed.last().cloned() else { return Ok(false) };
        self.wait_published(memtable.last_sequence())?;
        self.flush_memtable(&memtable)
            .map_err(|error| if self.check().is_ok() { self.poison(error) } else { error })?;
        self.compacting.lock().failed.clear();
        self.signal();
        self.progressed();
        Ok(true)
    }

    fn flush_memtable(&self, memtable: &Arc<Memtable>) -> Result<()> {
        let begun = env::clock::now();
        let tables = self.write_memtable(memtable, memtable.last_sequence(), &self.retentions())?;
        let view = self.view();
        let later = view.memtables().take_while(|other| !Arc::ptr_eq(other, memtable)).last();
        let log_start = later.map_or(memtable.log_start, |later| later.log_start);
        let bytes: u64 = tables.iter().map(|table| table.summary.bytes).sum();
        let edit = Edit {
            added: added(&tables, 0),
            flushed: Some(memtable.last_sequence()),
            log_segment: Some(log_start.segment),
            ..Edit::default()
        };
        self.install(edit, &tables, |view| view.sealed.retain(|other| !Arc::ptr_eq(other, memtable)))?;
        self.counters.flushes.fetch_add(1, Ordering::Relaxed);
        self.counters.flush_bytes.fetch_add(bytes, Ordering::Relaxed);
        metrics::counter!("lsm_flushes_total").increment(1);
        metrics::counter!("lsm_flush_bytes_total").increment(bytes);
        metrics::histogram!("lsm_flush_seconds").record(begun.elapsed().as_secs_f64());
        if let Err(error) = self.wal.drop_segments_before(log_start) {
            if self.wal.failure().is_some() {
                return Err(error);
            }
            tracing::warn!(%error, source = ?error, "cannot remove old segments of the write-ahead log");
        }
        Ok(())
    }

    /// Writes what a memtable holds as of `sequence`, but for what `retentions` let go, into tables, keyspace by keyspace.
    pub(crate) fn write_memtable(
        &self,
        memtable: &Arc<Memtable>,
        sequence: Sequence,
        retentions: &Retentions,
    ) -> Result<Vec<Arc<Table>>> {
        let mut tables = Vec::new();
        for keyspace in 0..self.keyspaces.all().len() {
            let deletes =
                memtable.deletes(keyspace).map(|deletes| deletes.spans(sequence)).unwrap_or_default();
            if memtable.entries(keyspace) == 0 && deletes.is_empty() {
                continue;
            }
            let options = self.table_options(keyspace)?;
            let (prefix, versioned) = ([options.keyspace], options.versioned);
            let mut sorted = Sorted::new(self.tables.clone(), options, u64::MAX, deletes);
            let mut cursor = MemCursor::new(memtable.clone(), keyspace, sequence, Window::ALL, false);
            let mut versions = Vec::new();
            cursor.seek(&prefix);
            while let Some(newest) = cursor.entry() {
                if versioned {
                    versions.clear();
                    cursor.collect(&mut versions);
                    // Tables may hold older versions, so deletions stay.
                    retain(&mut versions, retentions.of(newest.key()), |_| false);
                    sorted.add(newest.key(), &versions)?;
                } else {
                    sorted.add_plain(newest.key(), newest.value())?;
                }
                cursor.advance();
            }
            tables.extend(sorted.finish()?);
        }
        Ok(tables)
    }
}

/// Tables as an edit adds them.
pub(crate) fn added(tables: &[Arc<Table>], level: usize) -> Vec<Added> {
    tables.iter().map(|table| Added { level, id: table.id, summary: table.summary.clone() }).collect()
}
