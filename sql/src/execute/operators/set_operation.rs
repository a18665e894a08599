//! UNION ALL; INTERSECT and EXCEPT, each with and without ALL.

use std::collections::HashMap;

use async_trait::async_trait;
use expr::Row;

use super::group::{ENTRY_BYTES, GroupKey, Padded};
use super::{BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::row_bytes;

/// The rows of inputs one after the other.
pub(super) struct AppendOperator {
    inputs: Vec<BoxOperator>,
    /// The input that is being read.
    at: usize,
}

impl AppendOperator {
    pub(super) fn new(inputs: Vec<BoxOperator>) -> Self {
        Self { inputs, at: 0 }
    }
}

#[async_trait]
impl Operator for AppendOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        while let Some(input) = self.inputs.get_mut(self.at) {
            if let Some(rows) = input.next(cx).await? {
                return Ok(Some(rows));
            }
            // What it holds is of no use any more.
            input.rewind(cx);
            self.at = self.at.saturating_add(1);
        }
        Ok(None)
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.at = 0;
        self.inputs.iter_mut().for_each(|input| input.rewind(cx));
    }
}

/// Combines the rows of two inputs.
pub(super) struct SetOperator {
    left: BoxOperator,
    right: BoxOperator,
    padded: Padded,
    intersect: bool,
    all: bool,
    /// How often each row is on the right; without ALL: what was given (0).
    counts: HashMap<GroupKey, u64>,
    bytes: usize,
    right_read: bool,
}

impl SetOperator {
    pub(super) fn new(
        left: BoxOperator,
        right: BoxOperator,
        padded: Padded,
        intersect: bool,
        all: bool,
    ) -> Self {
        Self { left, right, padded, intersect, all, counts: HashMap::new(), bytes: 0, right_read: false }
    }

    async fn read_right(&mut self, cx: &mut Context<'_>) -> Result<()> {
        while let Some(rows) = self.right.next(cx).await? {
            for row in rows {
                cx.tick(1).await?;
                let bytes = row_bytes(&row).saturating_add(ENTRY_BYTES);
                let count = self.counts.entry(self.padded.key(row)).or_insert(0);
                if *count == 0 {
                    cx.memory.reserve(bytes)?;
                    self.bytes = self.bytes.saturating_add(bytes);
                }
                *count = count.saturating_add(1);
            }
        }
        self.right_read = true;
        Ok(())
    }

    /// Whether a row that was not given before is to be given now; notes that it was.
    fn is_first(&mut self, cx: &mut Context<'_>, row: &Row) -> Result<bool> {
        let bytes = row_bytes(row).saturating_add(ENTRY_BYTES);
        if self.counts.insert(self.padded.key(row.clone()), 0).is_some() {
            return Ok(false);
        }
        cx.memory.reserve(bytes)?;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(true)
    }

    /// INTERSECT and EXCEPT: whether a left row is given.
    fn takes(&mut self, cx: &mut Context<'_>, row: Row) -> Result<Option<Row>> {
        let key = self.padded.key(row.clone());
        let count = self.counts.get_mut(&key);
        let taken = match (self.intersect, self.all, count) {
            // A row on both sides is given as often as it is on the side where it is rarer.
            (true, true, Some(count)) if *count > 0 => {
                *count -= 1;
                true
            }
            // Given once, then used up.
            (true, false, Some(count)) if *count > 0 => {
                *count = 0;
                true
            }
            (true, _, _) => false,
            // Each row on the right takes one on the left away.
            (false, true, Some(count)) if *count > 0 => {
                *count -= 1;
                false
            }
            (false, true, _) => true,
            (false, false, Some(_)) => false,
            (false, false, None) => return Ok(self.is_first(cx, &row)?.then_some(row)),
        };
        Ok(taken.then_some(row))
    }
}

#[async_trait]
impl Operator for SetOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        if !self.right_read {
            self.read_right(cx).await?;
        }
        while let Some(rows) = self.left.next(cx).await? {
            let mut kept = Vec::new();
            for row in rows {
                kept.extend(self.takes(cx, row)?);
                cx.tick(1).await?;
            }
            if !kept.is_empty() {
                return Ok(Some(kept));
            }
        }
        Ok(None)
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.counts.clear();
        cx.memory.release(std::mem::take(&mut self.bytes));
        self.right_read = false;
        self.left.rewind(cx);
        self.right.rewind(cx);
    }
}
