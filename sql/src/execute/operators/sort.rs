//! Sort: all rows in memory, or only as many of the first as will be asked for.

use std::cmp::Ordering;

use async_trait::async_trait;
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
                    keyed.push(cx.evaluate(&key.expression, &row)?);
                }
                keyed.extend(row);
                self.held.push(keyed, cx.memory)?;
            }
            if let Some(wanted) = wanted
                && self.held.rows.len() > wanted.saturating_mul(2).saturating_add(BATCH_ROWS)
            {
                self.sort();
                self.held.truncate(wanted, cx.memory);
            }
        }
        self.sort();
        if let Some(wanted) = wanted {
            self.held.truncate(wanted, cx.memory);
        }
        Ok(())
    }

    fn sort(&mut self) {
        let keys = &self.keys;
        self.held.rows.sort_by(|left, right| compare_keys(keys, left, right));
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
            (false, false) if key.descending => expr::compare(right, left),
            (false, false) => expr::compare(left, right),
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
