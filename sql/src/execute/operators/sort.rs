//! Sort: rows in memory, or only as many of the first as will be asked for; sorted runs of them outside, merged at the end.
//! What comes behind as many as will be asked for is left out as it comes.
//!
//! ```text
//! rows ─▶ held ─▶ sorted ─────────────────────────────▶ rows in order
//!          └─ beyond the share: sorted, a run ─▶ merge ─┘
//! ```

use async_trait::async_trait;
use expr::{Datum, Expr, Row};

use super::basic::count;
use super::key_table::columns_of;
use super::merge::Merge;
use super::order::{compare_values, sort};
use super::{BATCH_ROWS, Batch, BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::HeldRows;
use crate::execute::spill::{Stream, StreamWriter, create_file};
use crate::execute::temporary::TemporaryFile;
use crate::plan::SortKey;

/// Rows in order.
pub(super) struct SortOperator {
    input: BoxOperator,
    limit: Option<Expr>,
    /// Where the values of all keys stand in the rows, if they do.
    columns: Option<Vec<usize>>,
    sorter: Sorter,
    sorted: bool,
}

impl SortOperator {
    pub(super) fn new(input: BoxOperator, keys: Vec<SortKey>, limit: Option<Expr>) -> Self {
        let columns = columns_of(keys.iter().map(|key| &key.expression));
        Self { input, limit, columns, sorter: Sorter::new(keys), sorted: false }
    }

    async fn fill(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let limit = count(cx, self.limit.as_ref(), "2201W", "LIMIT")?;
        self.sorter.begin(cx, limit.and_then(|limit| usize::try_from(limit).ok()));
        while let Some(rows) = self.input.next(cx).await? {
            for row in rows {
                if cx.spend(1) {
                    cx.rest().await?;
                }
                let columns = self.columns.as_deref().unwrap_or_default();
                let values = columns.iter().filter_map(|column| row.get(*column));
                let stand = values.clone().count() == self.sorter.keys.len();
                if stand && self.sorter.leaves_out(values.clone()) {
                    continue;
                }
                let mut keyed = Vec::with_capacity(self.sorter.keys.len().saturating_add(row.len()));
                if stand {
                    keyed.extend(values.cloned());
                } else {
                    for key in &self.sorter.keys {
                        keyed.push(cx.settled(|cx| cx.evaluate(&key.expression, &row)).await?);
                    }
                    // All keys are computed first: any of them may be an error.
                    if self.sorter.leaves_out(keyed.iter()) {
                        continue;
                    }
                }
                keyed.extend(row);
                self.sorter.push(cx, keyed).await?;
            }
        }
        // What it holds is of no use any more.
        self.input.rewind(cx);
        self.sorter.finish(cx).await
    }
}

/// Puts rows that begin with the values of keys in order, those that are alike in the order in which they come.
pub(super) struct Sorter {
    keys: Vec<SortKey>,
    /// How many of the first are asked for.
    wanted: Option<usize>,
    share: Option<usize>,
    held: HeldRows,
    /// Whether the first of them are as many as are asked for, in order.
    is_full: bool,
    /// What was put aside: the runs and the file that new ones go to.
    runs: Vec<Stream>,
    file: Option<TemporaryFile>,
    merge: Option<Merge>,
    /// How many of those in memory were handed out.
    given: usize,
}

impl Sorter {
    /// By these keys.
    pub(super) fn new(keys: Vec<SortKey>) -> Self {
        Self {
            keys,
            wanted: None,
            share: None,
            held: HeldRows::default(),
            is_full: false,
            runs: Vec::new(),
            file: None,
            merge: None,
            given: 0,
        }
    }

    /// Makes ready for rows, of which only the first so many will be asked for.
    pub(super) fn begin(&mut self, cx: &mut Context<'_>, wanted: Option<usize>) {
        self.wanted = wanted;
        self.share = cx.memory.share();
    }

    /// Whether a row with these values of the keys, which comes now, is none of those that are asked for.
    fn leaves_out<'a>(&self, values: impl Iterator<Item = &'a Datum>) -> bool {
        let last = self.wanted.filter(|_| self.is_full).and_then(|wanted| wanted.checked_sub(1));
        let last = last.and_then(|last| self.held.rows.get(last));
        last.is_some_and(|last| compare_values(&self.keys, values, last.iter()).is_ge())
    }

    /// Adds a row.
    pub(super) async fn push(&mut self, cx: &mut Context<'_>, keyed: Row) -> Result<()> {
        if let Some(wanted) = self.wanted
            && self.held.rows.len() > wanted.saturating_mul(2).saturating_add(BATCH_ROWS)
        {
            self.note_held(cx);
            self.order(cx).await?;
        }
        if let Some(keyed) = self.held.push_within(keyed, self.share, cx.memory)? {
            self.note_held(cx);
            self.put_aside(cx).await?;
            self.held.push(keyed, cx.memory)?;
        }
        Ok(())
    }

    /// There are no more rows.
    pub(super) async fn finish(&mut self, cx: &mut Context<'_>) -> Result<()> {
        self.note_held(cx);
        if self.runs.is_empty() {
            return self.order(cx).await;
        }
        if !self.held.rows.is_empty() {
            self.put_aside(cx).await?;
        }
        self.file = None;
        let runs = std::mem::take(&mut self.runs);
        self.merge = Some(Merge::of(cx, &self.keys, runs, self.share).await?);
        Ok(())
    }

    fn note_held(&self, cx: &Context<'_>) {
        cx.tally(|truth| truth.note_held(self.held.bytes()));
    }

    async fn order(&mut self, cx: &mut Context<'_>) -> Result<()> {
        sort(cx, &self.keys, &mut self.held.rows).await?;
        if let Some(wanted) = self.wanted {
            self.held.truncate(wanted, cx.memory);
            self.is_full = self.held.rows.len() == wanted;
        }
        Ok(())
    }

    /// Makes a run of what is held.
    async fn put_aside(&mut self, cx: &mut Context<'_>) -> Result<()> {
        self.order(cx).await?;
        let file = match self.file.take() {
            Some(file) => file,
            None => create_file(cx.memory).await?,
        };
        let mut run = StreamWriter::new(&file);
        self.is_full = false;
        for row in self.held.take(cx.memory) {
            run.push(cx.memory, &row).await?;
            cx.tick(1).await?;
        }
        self.runs.push(run.finish(cx.memory).await?);
        self.file = Some(file);
        Ok(())
    }

    /// The next rows in order, with their keys in front; `None` at the end.
    pub(super) async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let mut batch = Batch::default();
        if let Some(merge) = &mut self.merge {
            while !batch.is_full()
                && let Some(row) = merge.next(cx).await?
            {
                batch.push(row);
                cx.tick(1).await?;
            }
        } else {
            for row in self.held.rows.iter_mut().skip(self.given).take(BATCH_ROWS) {
                batch.push(std::mem::take(row));
                if batch.is_full() {
                    break;
                }
            }
            self.given = self.given.saturating_add(batch.rows.len());
        }
        let rows = batch.into_rows();
        if rows.is_none() {
            self.clear(cx);
        }
        Ok(rows)
    }

    /// Forgets all rows.
    pub(super) fn clear(&mut self, cx: &mut Context<'_>) {
        self.held.clear(cx.memory);
        self.is_full = false;
        self.runs.clear();
        self.file = None;
        if let Some(mut merge) = self.merge.take() {
            merge.release(cx.memory);
        }
        self.given = 0;
    }
}

#[async_trait]
impl Operator for SortOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        if !self.sorted {
            self.fill(cx).await?;
            self.sorted = true;
        }
        let width = self.sorter.keys.len();
        let rows = self.sorter.next(cx).await?;
        Ok(rows.map(|mut rows| {
            rows.iter_mut().for_each(|row| drop(row.drain(..width.min(row.len()))));
            rows
        }))
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.sorter.clear(cx);
        self.sorted = false;
        self.input.rewind(cx);
    }
}
