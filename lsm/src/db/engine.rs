//! What all parts of an open database share, and how a new set of tables takes the place of the old one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use env::disk::DirectoryLock;

use super::figures::Figures;
use super::write::{Published, Writing};
use crate::compaction::retention::{GivenRetentions, Retentions};
use crate::compaction::run::Tables;
use crate::error::{Error, Result};
use crate::keyspaces::Keyspaces;
use crate::log::Log;
use crate::manifest::Manifest;
use crate::options::{Background, Options, Sequence};
use crate::read::Reader;
use crate::sync::{AtomicU64, Condvar, Mutex};
use crate::table::builder::TableOptions;
use crate::table::file::Table;
use crate::tree::{Edit, Version, View};

/// An open database.
///
/// # Invariants
/// - Lock order: `write`, `flushing`, `manifest`, `view_change`; `compacting`, `published` and `signal` are taken last and alone.
/// - Sequences are given out under `write` and published in order: a reader sees all writes up to `visible`, none above.
/// - `view.version` changes only under `manifest`, after the record that tells of it is durable.
/// - Once `poison` is set every call answers it.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) options: Options,
    pub(crate) keyspaces: Keyspaces,
    pub(crate) tables: Tables,
    pub(crate) view: ArcSwap<View>,
    /// Held by who replaces the view.
    pub(crate) view_change: Mutex<()>,
    /// How far background work is behind, as the bits of an f32: 0 is not at all, 1 and above very far.
    pub(crate) pressure: AtomicU32,
    pub(crate) write: Mutex<Writing>,
    /// How many hold `write`, or wait for it, who write to the disk under it.
    pub(crate) ingesting: AtomicU32,
    pub(crate) published: Mutex<Published>,
    pub(crate) published_changed: Condvar,
    pub(crate) visible: AtomicU64,
    pub(crate) wal: Log,
    /// Every logged write up to here is synced.
    pub(crate) wal_synced: AtomicU64,
    /// Every write up to here is in tables.
    pub(crate) flushed: AtomicU64,
    pub(crate) manifest: Mutex<Manifest>,
    pub(crate) flushing: Mutex<()>,
    pub(crate) compacting: Mutex<Compacting>,
    pub(crate) retentions: Mutex<GivenRetentions>,
    pub(crate) poison: OnceLock<Arc<Error>>,
    pub(crate) signal: Mutex<Signal>,
    pub(crate) wake: Condvar,
    pub(crate) progress: Condvar,
    pub(crate) counters: Counters,
    pub(crate) figures: Figures,
    /// Microseconds that writers still have to wait, because background work is behind.
    pub(crate) delay_us: AtomicU64,
    pub(crate) _lock: Box<dyn DirectoryLock>,
}

/// Which tables compactions work on.
#[derive(Debug, Default)]
pub(crate) struct Compacting {
    pub(crate) busy: BTreeSet<u64>,
    /// Tables whose compaction failed; left alone until the next flush.
    pub(crate) failed: BTreeSet<u64>,
    /// Tables that have been rewritten for their garbage, in vain: something still needs it.
    pub(crate) settled: BTreeSet<u64>,
}

/// What background threads wait for.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    /// Rises whenever there may be something to do.
    pub(crate) generation: u64,
    pub(crate) stop: bool,
}

/// What has been done since the database was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) written_bytes: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) flush_bytes: AtomicU64,
    pub(crate) compactions: AtomicU64,
    pub(crate) compaction_bytes_read: AtomicU64,
    pub(crate) compaction_bytes_written: AtomicU64,
    pub(crate) tables_dropped: AtomicU64,
    pub(crate) delayed_us: AtomicU64,
}

impl Counters {
    pub(crate) fn count_compaction(&self, read: u64, written: u64) {
        self.compactions.fetch_add(1, Ordering::Relaxed);
        self.compaction_bytes_read.fetch_add(read, Ordering::Relaxed);
        self.compaction_bytes_written.fetch_add(written, Ordering::Relaxed);
    }
}

impl Compacting {
    /// Forgets tables that are gone.
    pub(crate) fn forget_settled(&mut self, version: &Version) {
        if !self.settled.is_empty() {
            let there: BTreeSet<u64> = version.tables().map(|(_, table)| table.id).collect();
            self.settled.retain(|id| there.contains(id));
        }
    }
}

impl Engine {
    /// The error that stopped the database, if one did.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        match self.poison.get() {
            None => Ok(()),
            Some(cause) if matches!(**cause, Error::Closed) => Err(Error::Closed),
            Some(cause) => Err(Error::Poisoned(cause.clone())),
        }
    }

    /// Stops the database for good.
    pub(crate) fn poison(&self, error: Error) -> Error {
        if self.poison.set(Arc::new(error.clone())).is_ok() {
            tracing::error!(dir = %self.options.dir.display(), %error, source = ?error, "the database has stopped");
        }
        // Who has checked and not begun to wait yet holds the lock.
        drop(self.published.lock());
        self.published_changed.notify_all();
        self.progress.notify_all();
        error
    }

    pub(crate) fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// A reader of all that is published now.
    #[inline]
    pub(crate) fn reader(&self) -> Result<Reader> {
        self.check()?;
        // The view first: a write that is visible afterwards and not in this view is newer than all that is in it.
        let view = self.view();
        Ok(Reader { view, sequence: self.visible.load(Ordering::Acquire) })
    }

    pub(crate) fn update_view(&self, update: impl FnOnce(&mut View)) {
        let _changing = self.view_change.lock();
        let mut next = View::clone(&self.view.load());
        update(&mut next);
        self.pressure.store(self.pressure_of(&next).to_bits(), Ordering::Relaxed);
        self.view.store(Arc::new(next));
    }

    pub(crate) fn table_options(&self, keyspace: usize) -> Result<TableOptions> {
        let known = self.keyspaces.all().get(keyspace);
        let known = known.ok_or_else(|| Error::Invalid("no such keyspace".to_owned()))?;
        Ok(TableOptions {
            keyspace: known.prefix,
            versioned: known.versioned,
            filter_bits: known.filter_bits,
            compression: known.compression,
            block_bytes: self.options.block_bytes,
        })
    }

    /// Makes an edit with these new tables durable, then readable, together with a change of the view. An edit that does
    /// not fit any more is refused and changes nothing; a failure to write stops the database.
    pub(crate) fn install(
        &self,
        mut edit: Edit,
        new: &[Arc<Table>],
        change_view: impl FnOnce(&mut View),
    ) -> Result<()> {
        let mut manifest = self.manifest.lock();
        self.check()?;
        let by_id: BTreeMap<u64, Arc<Table>> = new.iter().map(|table| (table.id, table.clone())).collect();
        let (version, gone) = self
            .view()
            .version
            .apply(&edit, |prefix| self.keyspaces.index(prefix), &by_id)
            .map_err(|misfit| Error::Invalid(misfit.0))?;
        let dir = &self.tables.dir;
        if !new.is_empty() {
            self.tables.disk.sync_dir(dir).map_err(Error::io("sync", dir)).map_err(|e| self.poison(e))?;
        }
        // From here on the files may be named by a durable record: they stay even if what follows fails.
        new.iter().for_each(|table| table.mark_installed());
        edit.table_next = Some(self.tables.next.load(Ordering::Relaxed));
        manifest.append(&edit).map_err(|error| self.poison(error))?;
        let version = Arc::new(version);
        self.update_view(|view| {
            view.version = version.clone();
            change_view(view);
        });
        gone.iter().for_each(|table| table.mark_obsolete());
        for added in edit.added.iter().filter(|added| by_id.contains_key(&added.id)) {
            if let Some(keyspace) = self.keyspaces.index(added.summary.keyspace) {
                self.figures.wrote(keyspace, added.level, added.summary.bytes);
            }
        }
        self.figures.show(&version);
        if let Some(flushed) = edit.flushed {
            self.flushed.fetch_max(flushed, Ordering::AcqRel);
        }
        if manifest.has_grown() {
            let log_segment = self.view().memtables().map(|m| m.log_start.segment).min();
            let everything = Edit {
                flushed: Some(self.flushed.load(Ordering::Acquire)),
                log_segment,
                table_next: edit.table_next,
                ..version.as_edit()
            };
            manifest.rewrite(self.keyspaces.all(), &everything).map_err(|error| self.poison(error))?;
        }
        Ok(())
    }

    /// Tells background threads that there may be something to do.
    pub(crate) fn signal(&self) {
        if self.options.background != Background::Manual {
            self.signal.lock().generation += 1;
            self.wake.notify_all();
        }
    }

    /// Tells delayed writers that something has been done.
    pub(crate) fn progressed(&self) {
        self.progress.notify_all();
    }

    /// What compaction may let go now.
    pub(crate) fn retentions(&self) -> Retentions {
        let durable = self.sequence_durable();
        self.retentions.lock().usable(durable)
    }

    /// Every write up to here survives a crash.
    pub(crate) fn sequence_durable(&self) -> Sequence {
        // First: unlogged writes before it are known to the memtables of any later view, or flushed.
        let synced = self.wal_synced.load(Ordering::Acquire);
        let view = self.view();
        let unlogged = view.memtables().map(|memtable| memtable.unlogged_from()).min().unwrap_or(u64::MAX);
        let logged = synced.min(unlogged.saturating_sub(1));
        self.flushed.load(Ordering::Acquire).max(logged)
    }
}
