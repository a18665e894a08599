//! LockRows: the rows that all conditions have let through are locked, and no more of them than are asked for.
//!
//! What was changed by the time that it is locked is made anew of its newest version; everything else of the row is what it was.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use client::Locked;
use expr::{Datum, Expr, Row};

use super::apply::bind;
use super::basic::count;
use super::{BATCH_BYTES, BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::lock::lock_rows;
use crate::execute::rows::{RowReader, TableFormat};
use crate::execute::writers::Writers;
use crate::plan::{Binding, LockRows, LockTarget, LockWait, RowLock};

/// Rows whose locks the first request asks for: whoever reads through a portal may never ask for more.
const ROWS_FIRST: usize = 1;
/// Rows whose locks a later one asks for, at most.
const ROWS_MAX: usize = 1024;

/// Locks the rows of its input.
pub(super) struct LockRowsOperator {
    input: BoxOperator,
    /// Makes a row anew of what the slots hold.
    again: BoxOperator,
    bindings: Vec<Binding>,
    targets: Vec<Target>,
    wanted: Vec<Expr>,
    /// How many more rows will be asked for, once that is known.
    left: Option<usize>,
    /// Rows that are still to be locked.
    rows: std::vec::IntoIter<Row>,
    /// How many of them the next request asks for.
    batch: usize,
    /// When the first of them were read, where the transaction does not rely on that.
    read_at: Option<u64>,
}

/// A table whose rows are locked.
struct Target {
    lock: RowLock,
    format: TableFormat,
    /// Where the columns of its key stand in a row, each with its place in the table.
    key: Vec<(usize, usize)>,
    /// Reads the columns that stand at `places` of a row.
    reader: RowReader,
    places: Vec<usize>,
    /// Who has written the rows, if that is asked for.
    writers: Option<Writers>,
}

impl Target {
    fn new(target: &LockTarget) -> Result<Self> {
        let format = TableFormat::new(&target.table)?;
        let (places, columns): (Vec<usize>, Vec<usize>) = target.columns.iter().copied().unzip();
        let reader = RowReader::new(&format.primary, &target.table, &columns)?;
        let writers = Writers::new(&format, &columns)?;
        let own = target.table.primary().into_iter().flat_map(|primary| target.table.key_columns(primary));
        let key = target.key.iter().copied().zip(own).collect();
        Ok(Self { lock: target.lock, format, key, reader, places, writers })
    }

    /// The key of the table's row in a row.
    fn key(&self, row: &Row) -> Result<Bytes> {
        let mut own = vec![Datum::Null; self.format.table.columns.len()];
        for (stands, place) in &self.key {
            if let (Some(own), Some(value)) = (own.get_mut(*place), row.get(*stands)) {
                own.clone_from(value);
            }
        }
        Ok(self.format.primary.row_key(&self.format.primary_columns(&own)?))
    }

    /// Puts a newer version of the table's row into a row.
    fn renew(&self, cx: &Context<'_>, row: &mut Row, key: &Bytes, value: &Bytes) -> Result<()> {
        let mut newest = self.reader.read(key, value)?;
        if let Some(writers) = &self.writers {
            writers.put_locked(cx, key, value, &mut newest)?;
        }
        for (stands, value) in self.places.iter().zip(newest) {
            if let Some(place) = row.get_mut(*stands) {
                *place = value;
            }
        }
        Ok(())
    }
}

/// A row on its way: whether a part of it has changed.
struct Candidate {
    row: Row,
    changed: bool,
}

impl LockRowsOperator {
    pub(super) fn new(input: BoxOperator, again: BoxOperator, lock: &LockRows) -> Result<Self> {
        Ok(Self {
            input,
            again,
            bindings: lock.bindings.clone(),
            targets: lock.targets.iter().map(Target::new).collect::<Result<_>>()?,
            wanted: lock.wanted.clone(),
            left: None,
            rows: Vec::new().into_iter(),
            batch: ROWS_FIRST,
            read_at: None,
        })
    }

    /// How many more rows will be asked for.
    fn left(&mut self, cx: &Context<'_>) -> Result<usize> {
        if let Some(left) = self.left {
            return Ok(left);
        }
        let mut clauses = [("2201W", "LIMIT"), ("2201X", "OFFSET")].into_iter().zip(&self.wanted);
        let mut wanted = None;
        if let Some(((state, clause), rows)) = clauses.next() {
            wanted = count(cx, Some(rows), state, clause)?;
        }
        if let (Some(rows), Some(((state, clause), offset))) = (wanted, clauses.next()) {
            wanted = Some(rows.saturating_add(count(cx, Some(offset), state, clause)?.unwrap_or(0)));
        }
        let left = wanted.map_or(usize::MAX, |rows| usize::try_from(rows).unwrap_or(usize::MAX));
        self.left = Some(left);
        Ok(left)
    }

    /// Up to which timestamp a version is what was read. Each lock may move the transaction forward, past changes of rows
    /// that were read and are not relied on.
    async fn read_at(&mut self, cx: &mut Context<'_>) -> Result<u64> {
        if let Some(read_at) = self.read_at {
            return Ok(read_at);
        }
        let passes_over = self.targets.iter().any(|target| target.lock.wait == LockWait::Skip);
        let read_at = if passes_over { cx.transaction.read_timestamp().await? } else { u64::MAX };
        self.read_at = Some(read_at);
        Ok(read_at)
    }

    /// Locks the parts of rows, one table after the other; what is left of them, and how many bytes the parts have.
    async fn lock(
        &self,
        cx: &mut Context<'_>,
        rows: Vec<Row>,
        read_at: u64,
    ) -> Result<(Vec<Candidate>, usize)> {
        let mut candidates: Vec<Candidate> =
            rows.into_iter().map(|row| Candidate { row, changed: false }).collect();
        let mut read_bytes = 0_usize;
        for target in &self.targets {
            // Several rows may share one.
            let (mut keys, mut known) = (Vec::new(), HashMap::new());
            let mut asked = Vec::with_capacity(candidates.len());
            for candidate in &candidates {
                cx.tick(1).await?;
                let key = target.key(&candidate.row)?;
                asked.push(*known.entry(key.clone()).or_insert_with(|| {
                    keys.push(key);
                    keys.len().saturating_sub(1)
                }));
            }
            let locked = lock_rows(cx, target.lock, &target.format.table.name, keys.clone()).await?;
            let bytes: usize = locked.iter().filter_map(|locked| locked.value.as_ref()).map(Bytes::len).sum();
            cx.memory.reserve(bytes)?;
            read_bytes = read_bytes.saturating_add(bytes);
            cx.account_writes().await?;
            let mut kept = Vec::with_capacity(candidates.len());
            for (mut candidate, place) in candidates.into_iter().zip(asked) {
                let (Some(key), Some(locked)) = (keys.get(place), locked.get(place)) else { continue };
                let Locked { value, skipped, changed, newest } = locked;
                if *skipped {
                    cx.tally(|truth| truth.skipped = truth.skipped.saturating_add(1));
                    continue;
                }
                if *changed || *newest > read_at {
                    let Some(value) = value else { continue };
                    target.renew(cx, &mut candidate.row, key, value)?;
                    candidate.changed = true;
                }
                kept.push(candidate);
            }
            candidates = kept;
            cx.memory.release(bytes);
        }
        Ok((candidates, read_bytes))
    }

    /// A row whose parts have changed, if it still is one.
    async fn made_anew(&mut self, cx: &mut Context<'_>, row: &Row) -> Result<Option<Row>> {
        bind(cx, &self.bindings, row).await?;
        self.again.rewind(cx);
        let made = self.again.next(cx).await?;
        Ok(made.and_then(|rows| rows.into_iter().next()))
    }
}

#[async_trait]
impl Operator for LockRowsOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let read_at = self.read_at(cx).await?;
        loop {
            let left = self.left(cx)?;
            if left == 0 {
                return Ok(None);
            }
            if self.rows.as_slice().is_empty() {
                match self.input.next(cx).await? {
                    Some(rows) => self.rows = rows.into_iter(),
                    None => return Ok(None),
                }
            }
            let rows: Vec<Row> = self.rows.by_ref().take(left.min(self.batch)).collect();
            let mut answered = Vec::with_capacity(rows.len());
            let (candidates, bytes) = self.lock(cx, rows, read_at).await?;
            self.batch = next_batch(self.batch, bytes);
            for Candidate { row, changed } in candidates {
                if changed {
                    let made = self.made_anew(cx, &row).await?;
                    cx.tally(|truth| {
                        truth.outdated = truth.outdated.saturating_add(u64::from(made.is_none()));
                    });
                    answered.extend(made);
                } else {
                    answered.push(row);
                }
            }
            self.left = Some(left.saturating_sub(answered.len()));
            if !answered.is_empty() {
                return Ok(Some(answered));
            }
        }
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.left = None;
        self.rows = Vec::new().into_iter();
        self.batch = ROWS_FIRST;
        self.read_at = None;
        self.input.rewind(cx);
        self.again.rewind(cx);
    }
}

/// How many rows the next request asks for, after one for so many, whose rows have so many bytes.
fn next_batch(rows: usize, bytes: usize) -> usize {
    if bytes > BATCH_BYTES { (rows / 2).max(ROWS_FIRST) } else { rows.saturating_mul(4).min(ROWS_MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_begin_small_and_grow_as_long_as_little_is_read() {
        let batches: Vec<usize> =
            std::iter::successors(Some(ROWS_FIRST), |rows| Some(next_batch(*rows, 100))).take(7).collect();
        assert_eq!(batches, [1, 4, 16, 64, 256, 1024, 1024]);
        assert_eq!(next_batch(16, 2 * BATCH_BYTES), 8);
        assert_eq!(next_batch(1, 2 * BATCH_BYTES), 1);
    }
}
