//! Sort: all rows in memory, or only as many of the first as will be asked for.

use std::cmp::Ordering;

use async_trait::async_trait;
use expr::compare::compare_of;
use expr::{Datum, Expr, Row};

use super::basic::count;
use super::{BATCH_ROWS, BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::HeldRows;
use crate::plan::SortKey;

/// Rows in order.
pub(super) struct SortOperator {
    pub(super) input: BoxOperator,
    pub(super) keys: Vec<SortKey>,
    pub(super) limit: Option<Expr>,
    /// Rows with their keys put in front.
    held: HeldRows,
    /// Once sorted: how many were handed out.
    given: Option<usize>,
}

impl SortOperator {
    pub(super) fn new(input: BoxOperator, keys: Vec<SortKey>, limit: Option<Expr>) -> Self {
        Self { input, keys, limit, held: HeldRows::default(), given: None }
    }

    async fn fill(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let limit = count(cx, self.limit.as_ref(), "2201W", "LIMIT")?;
        let wanted = limit.and_then(|limit| usize::try_from(limit).ok());
        while let Some(rows) = self.input.next(cx).await? {
            for row in rows {
                let mut keyed = Vec::with_capacity(self.keys.len().saturating_add(row.len()));
                for key in &self.keys {
                    keyed.push(cx.settled(|cx| cx.evaluate(&key.expression, &row)).await?);
                }
                keyed.extend(row);
                self.held.push(keyed, cx.memory)?;
                cx.tick(1).await?;
            }
            if let Some(wanted) = wanted
                && self.held.rows.len() > wanted.saturating_mul(2).saturating_add(BATCH_ROWS)
            {
                sort(cx, &self.keys, &mut self.held.rows).await?;
                self.held.truncate(wanted, cx.memory);
            }
        }
        sort(cx, &self.keys, &mut self.held.rows).await?;
        if let Some(wanted) = wanted {
            self.held.truncate(wanted, cx.memory);
        }
        Ok(())
    }
}

/// How many rows are sorted between two looks up.
const RUN_ROWS: usize = 512;

/// Sorts rows that begin with the values of these keys, and keeps the order of equal ones: runs first, then pairs of
/// runs, so that others have their turns meanwhile.
pub(super) async fn sort(cx: &mut Context<'_>, keys: &[SortKey], rows: &mut Vec<Row>) -> Result<()> {
    for run in rows.chunks_mut(RUN_ROWS) {
        run.sort_by(|left, right| compare_keys(keys, left, right));
        cx.tick(run.len()).await?;
    }
    let mut run_rows = RUN_ROWS;
    while run_rows < rows.len() {
        let mut merged = Vec::with_capacity(rows.len());
        let mut runs = std::mem::take(rows).into_iter();
        while runs.len() > 0 {
            let left: Vec<Row> = runs.by_ref().take(run_rows).collect();
            merge(cx, keys, left, runs.by_ref().take(run_rows), &mut merged).await?;
        }
        *rows = merged;
        run_rows = run_rows.saturating_mul(2);
    }
    Ok(())
}

async fn merge(
    cx: &mut Context<'_>,
    keys: &[SortKey],
    left: Vec<Row>,
    right: impl Iterator<Item = Row>,
    merged: &mut Vec<Row>,
) -> Result<()> {
    let (mut left, mut right) = (left.into_iter().peekable(), right.peekable());
    loop {
        let row = match (left.peek(), right.peek()) {
            (None, None) => return Ok(()),
            (Some(first), Some(second)) if compare_keys(keys, first, second).is_gt() => right.next(),
            (Some(_), _) => left.next(),
            (None, Some(_)) => right.next(),
        };
        merged.extend(row);
        cx.tick(1).await?;
    }
}

/// The order of two rows that begin with the values of these keys.
pub(crate) fn compare_keys(keys: &[SortKey], left: &[Datum], right: &[Datum]) -> Ordering {
    for (key, (left, right)) in keys.iter().zip(left.iter().zip(right)) {
        let order = match (left.is_null(), right.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if key.nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if key.nulls_first => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) if key.descending => compare_of(key.expression.ty().kind, right, left),
            (false, false) => compare_of(key.expression.ty().kind, left, right),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

#[async_trait]
impl Operator for SortOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let given = match self.given {
            Some(given) => given,
            None => {
                self.fill(cx).await?;
                0
            }
        };
        let width = self.keys.len();
        let batch: Vec<Row> =
            self.held.rows.iter_mut().skip(given).take(BATCH_ROWS).map(|row| row.split_off(width)).collect();
        self.given = Some(given.saturating_add(batch.len()));
        if batch.is_empty() {
            self.held.clear(cx.memory);
            return Ok(None);
        }
        Ok(Some(batch))
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.held.clear(cx.memory);
        self.given = None;
        self.input.rewind(cx);
    }
}
