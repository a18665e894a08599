//! Background work: choosing compactions, running them, and the threads that do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use bytes::Bytes;

use super::engine::Engine;
use super::flush::added;
use crate::compaction::covered::{Extent, covered};
use crate::compaction::pick::{Candidate, Pick, Shape, pick, pick_any};
use crate::compaction::retention::Retentions;
use crate::compaction::run::{Merging, Task};
use crate::error::{Error, Result};
use crate::options::{Background, Options};
use crate::spans::Span;
use crate::table::file::Table;
use crate::tree::{Edit, LEVELS, Removed, Tree};

/// How long reads may have made a compaction due before it is begun.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What a background thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    Flush,
    Compact,
    Both,
}

impl Engine {
    /// One unit of background work; false if there is none.
    pub(crate) fn step(&self) -> Result<bool> {
        self.check()?;
        if self.options.background == Background::Manual {
            self.wal.write_out().map_err(|error| self.poison(error))?;
        }
        Ok(self.flush_oldest()? || self.compact_once()?)
    }

    /// The most urgent compaction, or else a piece that is to be encrypted anew; false if nothing is due.
    pub(crate) fn compact_once(&self) -> Result<bool> {
        self.check()?;
        if self.drop_covered()? {
            return Ok(true);
        }
        match self.choose(pick)? {
            Some(task) => self.run(task),
            None => self.rekey_once(),
        }
    }

    /// Flushes, then moves all that overlaps a span (None: everything) down as far as it goes.
    pub(crate) fn compact_all(&self, span: Option<&Span>) -> Result<()> {
        self.flush()?;
        while self.drop_covered()? {}
        let within =
            |start: &[u8], end: &[u8]| span.is_none_or(|span| *start < *span.end && *span.start < *end);
        for level in 0..LEVELS - 1 {
            let view = self.view();
            let tables = view
                .version
                .tables()
                .filter(|(at, t)| *at == level && within(&t.summary.start, &t.summary.end));
            let mut left = tables.count();
            while left > 0 {
                let task = self.choose(|levels, shape| {
                    let mut levels = levels.to_vec();
                    let tables = levels.get_mut(level)?;
                    if !tables.iter().any(|table| within(&table.start, &table.end)) {
                        return None;
                    }
                    if level > 0 {
                        tables.iter_mut().for_each(|table| table.busy |= !within(&table.start, &table.end));
                    }
                    pick_any(&levels, shape, level).map(|picked| Pick { score: u64::MAX, ..picked })
                })?;
                let Some(task) = task else { break };
                left = left.saturating_sub(task.inputs.len());
                self.run(task)?;
            }
        }
        self.rewrite_last(within)
    }

    /// Rewrites the tables of the last level, those that `within` names, that may hold something to drop.
    fn rewrite_last(&self, within: impl Fn(&[u8], &[u8]) -> bool) -> Result<()> {
        let last = LEVELS - 1;
        let view = self.view();
        for (keyspace, tree) in view.version.trees.iter().enumerate() {
            for table in tree.levels.get(last).into_iter().flat_map(|level| level.iter()) {
                let summary = &table.summary;
                if summary.history + summary.deletes + summary.range_deletes == 0
                    || !within(&summary.start, &summary.end)
                {
                    continue;
                }
                {
                    let mut compacting = self.compacting.lock();
                    let there =
                        self.view().version.tables().any(|(level, t)| level == last && t.id == table.id);
                    if !there || !compacting.busy.insert(table.id) {
                        continue;
                    }
                }
                let inputs = vec![table.clone()];
                self.run(Task { keyspace, from: last, to: last, inputs, overlapped: Vec::new() })?;
            }
        }
        Ok(())
    }

    /// Removes, by an edit alone, the tables that range deletes of newer tables cover whole; false if there are none.
    fn drop_covered(&self) -> Result<bool> {
        let removed: Vec<Removed> = {
            let mut compacting = self.compacting.lock();
            let view = self.view();
            let found = view.version.trees.iter().flat_map(|tree| {
                let found = if tree.range_deletes { covered(&extents(tree)) } else { Vec::new() };
                let keyspace = |id| {
                    tree.levels
                        .iter()
                        .flat_map(|level| level.iter())
                        .find(|t| t.id == id)
                        .map(|t| t.summary.keyspace)
                };
                let removed = found.into_iter().filter(|(_, id)| !compacting.busy.contains(id));
                removed
                    .filter_map(|(level, id)| Some(Removed { keyspace: keyspace(id)?, level, id }))
                    .collect::<Vec<_>>()
            });
            let removed: Vec<_> = found.collect();
            compacting.busy.extend(removed.iter().map(|removed| removed.id));
            removed
        };
        if removed.is_empty() {
            return Ok(false);
        }
        let ids: BTreeSet<u64> = removed.iter().map(|removed| removed.id).collect();
        let installed = self.install(Edit { removed, ..Edit::default() }, &[], |_| {});
        self.compacting.lock().busy.retain(|id| !ids.contains(id));
        self.progressed();
        installed?;
        self.counters.tables_dropped.fetch_add(ids.len() as u64, Ordering::Relaxed);
        metrics::counter!("lsm_tables_dropped_total").increment(ids.len() as u64);
        Ok(true)
    }

    /// Asks `pick` for every keyspace, takes the most urgent answer and marks its tables as busy.
    pub(super) fn choose(
        &self,
        pick: impl Fn(&[Vec<Candidate>], &Shape) -> Option<Pick>,
    ) -> Result<Option<Task>> {
        let mut compacting = self.compacting.lock();
        let view = self.view();
        let Options { level0_tables, level1_bytes, .. } = self.options;
        let busy: BTreeSet<u64> = compacting.busy.union(&compacting.failed).copied().collect();
        let retentions = self.retentions();
        let picks = view.version.trees.iter().enumerate();
        compacting.forget_settled(&view.version);
        let picks = picks.filter_map(|(keyspace, tree)| {
            let candidates = candidates(tree, &busy, &compacting.settled, &retentions);
            let shape = Shape { level0_tables, level1_bytes, level0_reads: tree.level0_reads().bytes() };
            Some((keyspace, pick(&candidates, &shape)?))
        });
        let Some((keyspace, picked)) = picks.max_by_key(|(_, picked)| picked.score) else { return Ok(None) };
        let Some(tree) = view.version.trees.get(keyspace) else { return Ok(None) };
        let task = Task {
            keyspace,
            from: picked.from,
            to: picked.to,
            inputs: by_id(tree, picked.from, &picked.inputs),
            overlapped: by_id(tree, picked.to, &picked.overlapped),
        };
        compacting.busy.extend(picked.inputs.iter().chain(&picked.overlapped));
        Ok(Some(task))
    }

    /// Runs a compaction. One that fails is put aside, since its inputs are still there; only a failure to record its
    /// result stops the database.
    pub(super) fn run(&self, task: Task) -> Result<bool> {
        let ids: Vec<u64> = task.inputs.iter().chain(&task.overlapped).map(|table| table.id).collect();
        let result = self.run_task(task);
        {
            let mut compacting = self.compacting.lock();
            for id in &ids {
                compacting.busy.remove(id);
            }
            if result.is_err() {
                compacting.failed.extend(&ids);
            }
        }
        self.progressed();
        if let Err(error) = result {
            self.check()?;
            if error.is_disk_full() {
                tracing::warn!(%error, tables = ?ids, "a compaction waits for room");
            } else {
                tracing::error!(%error, source = ?error, tables = ?ids, "a compaction has failed");
            }
            metrics::counter!("lsm_compaction_failures_total").increment(1);
            if let Error::Invalid(_) = error {
                return Ok(true);
            }
            return Err(error);
        }
        self.signal();
        Ok(true)
    }

    fn run_task(&self, task: Task) -> Result<()> {
        let begun = env::clock::now();
        let options = self.table_options(task.keyspace)?;
        let removed = |tables: &[Arc<Table>], level: usize| -> Vec<Removed> {
            tables.iter().map(|table| Removed { keyspace: options.keyspace, level, id: table.id }).collect()
        };
        let mut edit = Edit { removed: removed(&task.inputs, task.from), ..Edit::default() };
        if task.is_move() {
            edit.added = added(&task.inputs, task.to);
            return self.install(edit, &[], |_| {});
        }
        edit.removed.extend(removed(&task.overlapped, task.to));
        let retentions = self.retentions();
        let (to, in_place) = (task.to, task.from == task.to);
        let garbage = task.inputs.iter().any(|table| in_place && garbage_percent(table, &retentions) > 0);
        let read: u64 = task.tables().map(|table| table.summary.bytes).sum();
        let merging = Arc::new(Merging {
            view: self.view(),
            tables: self.tables.clone(),
            options,
            table_bytes: self.options.table_bytes,
            retentions,
            task,
        });
        let output = self.merge(&merging)?;
        let written: u64 = output.iter().map(|table| table.summary.bytes).sum();
        edit.added = added(&output, to);
        self.install(edit, &output, |_| {})?;
        if garbage && written > read / 10 * 9 {
            self.compacting.lock().settled.extend(output.iter().map(|table| table.id));
        }
        let task = &merging.task;
        self.figures.read(task.keyspace, task.from, &task.inputs);
        self.figures.read(task.keyspace, task.to, &task.overlapped);
        self.counters.count_compaction(read, written);
        metrics::counter!("lsm_compactions_total").increment(1);
        metrics::counter!("lsm_compaction_bytes_total").increment(written);
        metrics::histogram!("lsm_compaction_seconds").record(begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// Merges in as many parts, by key, as there are threads for compactions and tables to write: one here, the others on
    /// threads that end with it. So one that must rewrite much does not hold up all others for long.
    fn merge(&self, merging: &Arc<Merging>) -> Result<Vec<Arc<Table>>> {
        let bytes: u64 = merging.task.tables().map(|table| table.summary.bytes).sum();
        let threads = match self.options.background {
            Background::Threads(threads) => threads.saturating_sub(1) as u64,
            // One after another, so that tests divide, too.
            Background::Manual => 3,
        };
        let parts = threads.min(bytes / self.options.table_bytes.max(1)).max(1);
        let borders = if parts == 1 { Vec::new() } else { merging.task.borders(parts)? };
        let mut from = None;
        let mut begun = Vec::new();
        for until in borders {
            begun.push(self.merge_aside(merging.clone(), from, until.clone()));
            from = Some(until);
        }
        let last = merging.run(from.as_ref(), None);
        // All have ended before the first error is told.
        let done: Vec<_> = begun.into_iter().map(|part| part.and_then(Aside::finish)).chain([last]).collect();
        let mut output = Vec::new();
        for tables in done {
            output.extend(tables?);
        }
        Ok(output)
    }

    /// Merges a part on a thread of its own, or here if there are to be no threads.
    fn merge_aside(&self, merging: Arc<Merging>, from: Option<Bytes>, until: Bytes) -> Result<Aside> {
        if self.options.background == Background::Manual {
            return Ok(Aside::Done(merging.run(from.as_ref(), Some(&until))?));
        }
        let work = move || merging.run(from.as_ref(), Some(&until));
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let thread = env::task::thread("lsm-compact", move || drop(sender.send(work())));
        thread.map_err(Error::io("start a thread for", &self.options.dir))?;
        Ok(Aside::Running(receiver))
    }

    /// A background thread, until it is told to stop.
    pub(crate) fn serve(&self, duty: Duty) {
        let mut seen = 0;
        loop {
            {
                let mut signal = self.signal.lock();
                if signal.generation == seen && !signal.stop {
                    match duty {
                        Duty::Flush => self.wake.wait(&mut signal),
                        // Reads make compactions due, and tell nobody.
                        Duty::Compact | Duty::Both => {
                            self.wake.wait_for(&mut signal, LOOK_AGAIN_AFTER);
                        }
                    }
                }
                if signal.stop {
                    return;
                }
                seen = signal.generation;
            }
            // Its thread has nobody to tell.
            if let Some(error) = self.wal.failure() {
                self.poison(error);
            }
            loop {
                let worked = match duty {
                    Duty::Flush => self.flush_oldest(),
                    Duty::Compact => self.compact_once(),
                    Duty::Both => self.step(),
                };
                match worked {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(_) => {
                        // Told where it happened. Not at once again.
                        let mut signal = self.signal.lock();
                        if !signal.stop {
                            self.wake.wait_for(&mut signal, Duration::from_millis(500));
                        }
                        break;
                    }
                }
                if self.signal.lock().stop {
                    return;
                }
            }
        }
    }
}

/// A part of a compaction.
enum Aside {
    Done(Vec<Arc<Table>>),
    Running(Receiver<Result<Vec<Arc<Table>>>>),
}

impl Aside {
    fn finish(self) -> Result<Vec<Arc<Table>>> {
        match self {
            Self::Done(tables) => Ok(tables),
            Self::Running(receiver) => receiver.recv().unwrap_or_else(|_| {
                Err(Error::Invalid("a thread of a compaction has ended early".to_owned()))
            }),
        }
    }
}

/// At least this share of a table's entries would go if it were rewritten, but for what protected timestamps or older
/// versions elsewhere hold on to.
fn garbage_percent(table: &Table, retentions: &Retentions) -> u64 {
    let summary = &table.summary;
    if summary.history + summary.deletes == 0 {
        return 0;
    }
    let Some(safe) = retentions.safe_point_over(&summary.start, &summary.end) else { return 0 };
    let history = if summary.superseded_median <= safe { summary.history / 2 } else { 0 };
    let deletes = if summary.deletes_median <= safe { summary.deletes / 2 } else { 0 };
    history.max(deletes) * 100 / summary.entries.max(1)
}

fn candidates(
    tree: &Tree,
    busy: &BTreeSet<u64>,
    settled: &BTreeSet<u64>,
    retentions: &Retentions,
) -> Vec<Vec<Candidate>> {
    let candidate = |table: &Arc<Table>| Candidate {
        id: table.id,
        start: table.summary.start.clone(),
        end: table.summary.end.clone(),
        bytes: table.summary.bytes,
        deletes_percent: (table.summary.deletes + table.summary.range_deletes) * 100
            / (table.summary.entries + table.summary.range_deletes).max(1),
        range_deletes: table.summary.range_deletes > 0,
        garbage_percent: if settled.contains(&table.id) { 0 } else { garbage_percent(table, retentions) },
        busy: busy.contains(&table.id),
    };
    tree.levels.iter().map(|tables| tables.iter().map(candidate).collect()).collect()
}

fn extents(tree: &Tree) -> Vec<Vec<Extent>> {
    let extent = |table: &Arc<Table>| Extent {
        id: table.id,
        start: table.summary.start.clone(),
        end: table.summary.end.clone(),
        deletes: table.range_deletes.clone(),
    };
    tree.levels.iter().map(|tables| tables.iter().map(extent).collect()).collect()
}

fn by_id(tree: &Tree, level: usize, ids: &[u64]) -> Vec<Arc<Table>> {
    let tables = tree.levels.get(level).map(|level| level.as_slice()).unwrap_or_default();
    tables.iter().filter(|table| ids.contains(&table.id)).cloned().collect()
}
