//! Background work: choosing compactions, running them, and the threads that do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::engine::Engine;
use super::flush::added;
use crate::compaction::pick::{Candidate, Pick, Shape, pick, pick_any};
use crate::compaction::retention::Retentions;
use crate::compaction::run::Task;
use crate::error::{Error, Result};
use crate::table::file::Table;
use crate::tree::{Edit, LEVELS, Removed, Tree};

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
        Ok(self.flush_oldest()? || self.compact_once()?)
    }

    /// The most urgent compaction, or else a piece that is to be encrypted anew; false if nothing is due.
    pub(crate) fn compact_once(&self) -> Result<bool> {
        self.check()?;
        match self.choose(pick)? {
            Some(task) => self.run(task),
            None => self.rekey_once(),
        }
    }

    /// Flushes, then moves everything down as far as it goes.
    pub(crate) fn compact_all(&self) -> Result<()> {
        self.flush()?;
        for level in 0..LEVELS - 1 {
            let mut left: usize =
                self.view().version.trees.iter().filter_map(|tree| Some(tree.levels.get(level)?.len())).sum();
            while left > 0 {
                let task = self.choose(|levels, shape| {
                    pick_any(levels, shape, level).map(|picked| Pick { score: u64::MAX, ..picked })
                })?;
                let Some(task) = task else { break };
                left = left.saturating_sub(task.inputs.len());
                self.run(task)?;
            }
        }
        self.rewrite_last()
    }

    /// Rewrites the tables of the last level that may hold something to drop.
    fn rewrite_last(&self) -> Result<()> {
        let last = LEVELS - 1;
        let view = self.view();
        for (keyspace, tree) in view.version.trees.iter().enumerate() {
            for table in tree.levels.get(last).into_iter().flat_map(|level| level.iter()) {
                if table.summary.history + table.summary.deletes + table.summary.range_deletes == 0 {
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

    /// Asks `pick` for every keyspace, takes the most urgent answer and marks its tables as busy.
    pub(super) fn choose(
        &self,
        pick: impl Fn(&[Vec<Candidate>], &Shape) -> Option<Pick>,
    ) -> Result<Option<Task>> {
        let mut compacting = self.compacting.lock();
        let view = self.view();
        let shape =
            Shape { level0_tables: self.options.level0_tables, level1_bytes: self.options.level1_bytes };
        let busy: BTreeSet<u64> = compacting.busy.union(&compacting.failed).copied().collect();
        let retentions = self.retentions.read().clone();
        let picks = view.version.trees.iter().enumerate();
        let picks = picks.filter_map(|(keyspace, tree)| {
            Some((keyspace, pick(&candidates(tree, &busy, &retentions), &shape)?))
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
        let result = self.run_task(&task);
        let ids: Vec<u64> = task.inputs.iter().chain(&task.overlapped).map(|table| table.id).collect();
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
            tracing::error!(%error, source = ?error, tables = ?ids, "a compaction has failed");
            metrics::counter!("lsm_compaction_failures_total").increment(1);
            if let Error::Invalid(_) = error {
                return Ok(true);
            }
            return Err(error);
        }
        self.signal();
        Ok(true)
    }

    fn run_task(&self, task: &Task) -> Result<()> {
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
        let retentions = self.retentions.read().clone();
        let view = self.view();
        let output =
            task.run(&view, self.tables.clone(), options.clone(), self.options.table_bytes, &retentions)?;
        let read: u64 = task.inputs.iter().chain(&task.overlapped).map(|table| table.summary.bytes).sum();
        let written: u64 = output.iter().map(|table| table.summary.bytes).sum();
        edit.added = added(&output, task.to);
        self.install(edit, &output, |_| {})?;
        self.counters.compactions.fetch_add(1, Ordering::Relaxed);
        self.counters.compaction_bytes_read.fetch_add(read, Ordering::Relaxed);
        self.counters.compaction_bytes_written.fetch_add(written, Ordering::Relaxed);
        metrics::counter!("lsm_compactions_total").increment(1);
        metrics::counter!("lsm_compaction_bytes_total").increment(written);
        Ok(())
    }

    /// A background thread, until it is told to stop.
    pub(crate) fn serve(&self, duty: Duty) {
        let mut seen = 0;
        loop {
            {
                let mut signal = self.signal.lock();
                while signal.generation == seen && !signal.stop {
                    self.wake.wait(&mut signal);
                }
                if signal.stop {
                    return;
                }
                seen = signal.generation;
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

/// Rewriting for garbage is worth it when a tenth of a table goes: half of a history that is a fifth.
fn has_garbage(table: &Table, retentions: &Retentions) -> bool {
    let summary = &table.summary;
    let safe_point = retentions.safe_point_over(&summary.start, &summary.end);
    summary.history * 5 >= summary.entries && safe_point.is_some_and(|safe| summary.superseded_median <= safe)
}

fn candidates(tree: &Tree, busy: &BTreeSet<u64>, retentions: &Retentions) -> Vec<Vec<Candidate>> {
    let candidate = |table: &Arc<Table>| Candidate {
        id: table.id,
        start: table.summary.start.clone(),
        end: table.summary.end.clone(),
        bytes: table.summary.bytes,
        deletes_percent: (table.summary.deletes + table.summary.range_deletes) * 100
            / (table.summary.entries + table.summary.range_deletes).max(1),
        garbage: has_garbage(table, retentions),
        busy: busy.contains(&table.id),
    };
    tree.levels.iter().map(|tables| tables.iter().map(candidate).collect()).collect()
}

fn by_id(tree: &Tree, level: usize, ids: &[u64]) -> Vec<Arc<Table>> {
    let tables = tree.levels.get(level).map(|level| level.as_slice()).unwrap_or_default();
    tables.iter().filter(|table| ids.contains(&table.id)).cloned().collect()
}
