//! Rows without duplicates: by a hash table, the rows for which it has no room aside in partitions; of DISTINCT ON, whose rows
//! come in the order of what is compared, the first of those that are alike.

use std::hash::Hasher;

use async_trait::async_trait;
use expr::{Row, Type};

use super::group::{GroupKey, Padded};
use super::key_table::{KeyKinds, KeyTable, SLOT_BYTES};
use super::overflow::Overflow;
use super::{Batch, BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::row_bytes;

/// Rows of which no two are alike in all columns.
pub(super) struct DistinctOperator {
    input: BoxOperator,
    /// Of the rows.
    kinds: KeyKinds,
    /// The first row of each kind, and their places.
    seen: Vec<Row>,
    places: KeyTable,
    bytes: usize,
    share: Option<Option<usize>>,
    overflow: Overflow,
    /// The input has come to its end.
    is_whole: bool,
}

impl DistinctOperator {
    pub(super) fn new(input: BoxOperator, types: &[Type]) -> Self {
        Self {
            input,
            kinds: KeyKinds::of_types(types),
            seen: Vec::new(),
            places: KeyTable::new(),
            bytes: 0,
            share: None,
            overflow: Overflow::default(),
            is_whole: false,
        }
    }

    /// The row, if it is the first of its kind; one that cannot be kept in mind goes aside.
    async fn first(&mut self, cx: &mut Context<'_>, row: Row) -> Result<Option<Row>> {
        let Some(hash) = self.hash_of_new(&row) else { return Ok(None) };
        let share = *self.share.get_or_insert_with(|| cx.memory.share());
        let bytes = row_bytes(&row).saturating_add(size_of::<Row>() + SLOT_BYTES);
        // What has gone aside stays with those of its kind.
        if self.overflow.has_begun() || !cx.memory.reserve_within(bytes, self.bytes, share)? {
            self.overflow.push(cx, &self.kinds.key(row.clone()), &row).await?;
            return Ok(None);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.places.insert(hash, self.seen.len());
        self.seen.push(row.clone());
        Ok(Some(row))
    }

    /// The hash of a row, unless one of its kind was seen.
    fn hash_of_new(&self, row: &Row) -> Option<u64> {
        let mut hasher = self.places.hasher();
        self.kinds.hash(row.iter(), &mut hasher);
        let hash = hasher.finish();
        let is_same = |seen: &Row| self.kinds.is_same(seen.iter(), &self.kinds, row.iter());
        let known = self.places.find(hash, |place| self.seen.get(place).is_some_and(is_same));
        if known.is_some() { None } else { Some(hash) }
    }

    /// New rows of the input, as far as there are some in a batch.
    async fn of_input(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        while let Some(rows) = self.input.next(cx).await? {
            let mut kept = Vec::with_capacity(rows.len());
            for row in rows {
                kept.extend(self.first(cx, row).await?);
                cx.tick(1).await?;
            }
            cx.tally(|truth| truth.note_held(self.bytes));
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
            cx.tally(|truth| truth.note_held(self.bytes));
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
        self.seen = Vec::new();
        self.places.clear();
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
