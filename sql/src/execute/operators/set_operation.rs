//! UNION, INTERSECT, EXCEPT, each with and without ALL.

use std::collections::HashMap;

use async_trait::async_trait;
use expr::Row;

use super::group::{ENTRY_BYTES, GroupKey};
use super::{BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::row_bytes;
use crate::plan::SetOperationKind;

/// Combines the rows of two inputs.
pub(super) struct SetOperator {
    left: BoxOperator,
    right: BoxOperator,
    kind: SetOperationKind,
    all: bool,
    /// INTERSECT and EXCEPT: how often each row is on the right; without ALL and for UNION: what was given (0).
    counts: HashMap<GroupKey, u64>,
    bytes: usize,
    right_read: bool,
    left_done: bool,
}

impl SetOperator {
    pub(super) fn new(left: BoxOperator, right: BoxOperator, kind: SetOperationKind, all: bool) -> Self {
        Self { left, right, kind, all, counts: HashMap::new(), bytes: 0, right_read: false, left_done: false }
    }

    async fn read_right(&mut self, cx: &mut Context<'_>) -> Result<()> {
        while let Some(rows) = self.right.next(cx).await? {
            for row in rows {
                cx.tick(1).await?;
                let bytes = row_bytes(&row).saturating_add(ENTRY_BYTES);
                let count = self.counts.entry(GroupKey(row)).or_insert(0);
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
        if self.counts.insert(GroupKey(row.clone()), 0).is_some() {
            return Ok(false);
        }
        cx.memory.reserve(bytes)?;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(true)
    }

    async fn next_union(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        loop {
            let rows = if self.left_done {
                self.right.next(cx).await?
            } else {
                match self.left.next(cx).await? {
                    Some(rows) => Some(rows),
                    None => {
                        self.left_done = true;
                        continue;
                    }
                }
            };
            let Some(rows) = rows else { return Ok(None) };
            if self.all {
                return Ok(Some(rows));
            }
            let mut kept = Vec::new();
            for row in rows {
                if self.is_first(cx, &row)? {
                    kept.push(row);
                }
                cx.tick(1).await?;
            }
            if !kept.is_empty() {
                return Ok(Some(kept));
            }
        }
    }

    /// INTERSECT and EXCEPT: whether a left row is given.
    fn takes(&mut self, cx: &mut Context<'_>, row: Row) -> Result<Option<Row>> {
        let key = GroupKey(row);
        let count = self.counts.get_mut(&key);
        let taken = match (self.kind, self.all, count) {
            // A row on both sides is given as often as it is on the side where it is rarer.
            (SetOperationKind::Intersect, true, Some(count)) if *count > 0 => {
                *count -= 1;
                true
            }
            // Given once, then used up.
            (SetOperationKind::Intersect, false, Some(count)) if *count > 0 => {
                *count = 0;
                true
            }
            (SetOperationKind::Intersect, _, _) => false,
            // Each row on the right takes one on the left away.
            (_, true, Some(count)) if *count > 0 => {
                *count -= 1;
                false
            }
            (_, true, _) => true,
            (_, false, Some(_)) => false,
            (_, false, None) => return Ok(self.is_first(cx, &key.0)?.then_some(key.0)),
        };
        Ok(taken.then_some(key.0))
    }
}

#[async_trait]
impl Operator for SetOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        if self.kind == SetOperationKind::Union {
            return self.next_union(cx).await;
        }
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
        self.left_done = false;
        self.left.rewind(cx);
        self.right.rewind(cx);
    }
}
