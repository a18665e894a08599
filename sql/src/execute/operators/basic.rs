//! Operators that look at one row at a time: filter, project, limit.

use async_trait::async_trait;
use expr::{Datum, Expr, Row};

use super::{BATCH_BYTES, BoxOperator, Operator};
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::memory::row_bytes;

/// Keeps the rows of which a condition holds.
pub(super) struct FilterOperator {
    pub(super) input: BoxOperator,
    pub(super) predicate: Expr,
}

#[async_trait]
impl Operator for FilterOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        while let Some(rows) = self.input.next(cx).await? {
            let mut kept = Vec::with_capacity(rows.len());
            for row in rows {
                if cx.settled(|cx| cx.holds(&self.predicate, &row)).await? {
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
        self.input.rewind(cx);
    }
}

/// Computes other columns.
pub(super) struct ProjectOperator {
    pub(super) input: BoxOperator,
    pub(super) expressions: Vec<Expr>,
    /// Rows of the input for which there was no room in the batch before.
    pub(super) rest: Vec<Row>,
}

#[async_trait]
impl Operator for ProjectOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let mut rows = std::mem::take(&mut self.rest);
        if rows.is_empty() {
            let Some(input) = self.input.next(cx).await? else { return Ok(None) };
            rows = input;
        }
        let (mut bytes, mut made) = (0usize, 0usize);
        for row in &mut rows {
            *row = cx.settled(|cx| cx.evaluate_all(&self.expressions, row)).await?;
            bytes = bytes.saturating_add(row_bytes(row));
            made += 1;
            if bytes >= BATCH_BYTES {
                break;
            }
            cx.tick(1).await?;
        }
        self.rest = rows.split_off(made);
        Ok(Some(rows))
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.rest.clear();
        self.input.rewind(cx);
    }
}

/// Skips, then stops.
pub(super) struct LimitOperator {
    pub(super) input: BoxOperator,
    pub(super) limit: Option<Expr>,
    pub(super) offset: Option<Expr>,
    /// Rows still to skip and to answer, once they are known.
    pub(super) left: Option<(u64, u64)>,
}

#[async_trait]
impl Operator for LimitOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let (mut skip, mut take) = match self.left {
            Some(left) => left,
            None => {
                let skip = count(cx, self.offset.as_ref(), "2201X", "OFFSET")?.unwrap_or(0);
                (skip, count(cx, self.limit.as_ref(), "2201W", "LIMIT")?.unwrap_or(u64::MAX))
            }
        };
        self.left = Some((skip, take));
        while take > 0 {
            let Some(mut rows) = self.input.next(cx).await? else { break };
            let skipped = skip.min(rows.len() as u64);
            rows.drain(..skipped as usize);
            skip -= skipped;
            rows.truncate(usize::try_from(take).unwrap_or(usize::MAX));
            take -= rows.len() as u64;
            self.left = Some((skip, take));
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
        self.left = Some((0, 0));
        Ok(None)
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.left = None;
        self.input.rewind(cx);
    }
}

/// The value of LIMIT or OFFSET; `None` if it is absent or NULL.
pub(crate) fn count(
    cx: &Context<'_>,
    expression: Option<&Expr>,
    sqlstate: &'static str,
    clause: &str,
) -> Result<Option<u64>> {
    let Some(expression) = expression else { return Ok(None) };
    match cx.evaluate(expression, &[])? {
        Datum::Null => Ok(None),
        value => match value.as_i64().map(u64::try_from) {
            Some(Ok(count)) => Ok(Some(count)),
            Some(Err(_)) => Err(Error::new(sqlstate, format!("{clause} must not be negative"))),
            None => Err(Error::internal(format!("{clause} is not a number"))),
        },
    }
}
