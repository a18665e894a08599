//! Rows without duplicates: by a hash table, the rows for which it has no room aside in partitions; of DISTINCT ON, whose rows
//! come in the order of what is compared, the first of those that are alike.

use std::collections::HashSet;

use async_trait::async_trait;
use expr::Row;

use super::group::{ENTRY_BYTES, GroupKey, Padded};
use super::overflow::Overflow;
use super::{Batch, BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::row_bytes;

/// Rows of which no two are alike in all columns.
pub(super) struct DistinctOperator {
    input: BoxOperator,
    /// Of the rows.
    padded: Padded,
    seen: HashSet<GroupKey>,
    bytes: usize,
    share: Option<Option<usize>>,
    overflow: Overflow,
    /// The input has come to its end.
    is_whole: bool,
}

impl DistinctOperator {
    pub(super) fn new(input: BoxOperator, padded: Padded) -> Self {
        Self {
            input,
            padded,
            seen: HashSet::new(),
            bytes: 0,
            share: None,
            overflow: Overflow::default(),
            is_whole: false,
        }
    }

    /// The row, if it is the first of its kind; one that cannot be kept in mind goes aside.
    async fn first(&mut self, cx: &mut Context<'_>, row: Row) -> Result<Option<Row>> {
        let key = self.padded.key(row.clone());
        if self.seen.contains(&key) {
            return Ok(None);
        }
        let share = *self.share.get_or_insert_with(|| cx.memory.share());
        let bytes = row_bytes(&key.0).saturating_add(ENTRY_BYTES);
        // What has gone aside stays with those of its kind.
        if self.overflow.has_begun() || !cx.memory.reserve_within(bytes, self.bytes, share)? {
            self.overflow.push(cx, &key, &row).await?;
            return Ok(None);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.seen.insert(key);
        Ok(Some(row))
    }

    /// New rows of the input, as far as there are some in a batch.
    async fn of_input(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        while let Some(rows) = self.input.next(cx).await? {
            let mut kept = Vec::with_capacity(rows.len());
            for row in rows {
                kept.extend(self.first(cx, row).await?);
                cx.tick(1).await?;
            }
            if !kept.is_empty() {
                return Ok(Some(kept));
            }
        }
        Ok(None)
    }

    /// New rows of what went aside.
    async fn of_overflow(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let mut batch = Batch::default();
        loop {
            while !batch.is_full()
                && let Some(row) = self.overflow.next_row(cx).await?
            {
                if let Some(row) = self.first(cx, row).await? {
                    batch.push(row);
                }
                cx.tick(1).await?;
            }
            if let Some(rows) = batch.into_rows() {
                return Ok(Some(rows));
            }
            self.forget(cx);
            if self.overflow.is_empty() || !self.overflow.next_partition(cx).await? {
                return Ok(None);
            }
            batch = Batch::default();
        }
    }

    fn forget(&mut self, cx: &mut Context<'_>) {
        self.seen.clear();
        self.share = None;
        cx.memory.release(std::mem::take(&mut self.bytes));
    }
}

#[async_trait]
impl Operator for DistinctOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        if !self.is_whole {
            if let Some(rows) = self.of_input(cx).await? {
                return Ok(Some(rows));
            }
            self.is_whole = true;
        }
        self.of_overflow(cx).await
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.forget(cx);
        self.overflow.clear(cx);
        self.is_whole = false;
        self.input.rewind(cx);
    }
}

/// The first row of those that are alike in some columns, where such rows come one after the other.
pub(super) struct DistinctOnOperator {
    input: BoxOperator,
    columns: Vec<usize>,
    /// Of what is compared.
    padded: Padded,
    last: Option<GroupKey>,
}

impl DistinctOnOperator {
    pub(super) fn new(input: BoxOperator, columns: Vec<usize>, padded: Padded) -> Self {
        Self { input, columns, padded, last: None }
    }
}

#[async_trait]
impl Operator for DistinctOnOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        while let Some(rows) = self.input.next(cx).await? {
            let mut kept = Vec::with_capacity(rows.len());
            for row in rows {
                let values = self.columns.iter().map(|column| row.get(*column).cloned().unwrap_or_default());
                let key = self.padded.key(values.collect());
                if self.last.as_ref() != Some(&key) {
                    self.last = Some(key);
                    kept.push(row);
                }
                cx.tick(1).await?;
            }
            if !kept.is_empty() {
                return Ok(Some(kept));
            }
        }
        Ok(None)
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.last = None;
        self.input.rewind(cx);
    }
}
