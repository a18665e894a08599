//! Operators that look at one row at a time: filter, project, limit.

use std::collections::HashSet;

use async_trait::async_trait;
use expr::{Datum, Expr, Row};

use super::key_table::columns_of;
use super::{BATCH_BYTES, BoxOperator, Operator};
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::memory::row_bytes;

/// Keeps the rows of which a condition holds.
pub(super) struct FilterOperator {
    input: BoxOperator,
    predicate: Expr,
    /// It is the same for all rows and cannot fail: it is asked once, before there are any.
    is_gate: bool,
    /// What was found of it then.
    is_open: Option<bool>,
}

impl FilterOperator {
    pub(super) fn new(input: BoxOperator, predicate: Expr) -> Self {
        Self { input, is_gate: is_gate(&predicate), predicate, is_open: None }
    }
}

fn is_gate(predicate: &Expr) -> bool {
    let mut is_gate = true;
    predicate.walk(&mut |part| {
        is_gate &= match part {
            Expr::Literal { .. }
            | Expr::Parameter { .. }
            | Expr::And(_)
            | Expr::Or(_)
            | Expr::Not(_)
            | Expr::IsNull { .. }
            | Expr::IsBool { .. }
            | Expr::Case { .. }
            | Expr::Coalesce { .. } => true,
            Expr::Call { function, .. } => expr::operators::comparison(*function).is_some(),
            Expr::Cast { explicit, .. } => !explicit,
            _ => false,
        };
    });
    is_gate
}

#[async_trait]
impl Operator for FilterOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        if self.is_gate {
            let is_open = match self.is_open {
                Some(is_open) => is_open,
                None => cx.settled(|cx| cx.holds(&self.predicate, &[])).await?,
            };
            self.is_open = Some(is_open);
            return if is_open { self.input.next(cx).await } else { Ok(None) };
        }
        while let Some(rows) = self.input.next(cx).await? {
            let mut kept = Vec::with_capacity(rows.len());
            let mut removed = 0_u64;
            for row in rows {
                let attempt = cx.attempt(|cx| cx.holds(&self.predicate, &row));
                let holds = match attempt {
                    Ok(holds) => holds?,
                    Err(question) => cx.answered(question, |cx| cx.holds(&self.predicate, &row)).await?,
                };
                if holds {
                    kept.push(row);
                } else {
                    removed = removed.saturating_add(1);
                }
                if cx.spend(1) {
                    cx.rest().await?;
                }
            }
            cx.tally(|truth| truth.removed = truth.removed.saturating_add(removed));
            if !kept.is_empty() {
                return Ok(Some(kept));
            }
        }
        Ok(None)
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.is_open = None;
        self.input.rewind(cx);
    }
}

/// Computes other columns.
pub(super) struct ProjectOperator {
    input: BoxOperator,
    expressions: Vec<Expr>,
    /// Where the values of all expressions stand, none of them twice, if they do: then they are moved.
    columns: Option<Vec<usize>>,
    /// Rows of the input for which there was no room in the batch before.
    rest: Vec<Row>,
}

impl ProjectOperator {
    pub(super) fn new(input: BoxOperator, expressions: Vec<Expr>) -> Self {
        let columns = columns_of(&expressions);
        let columns = columns.filter(|columns| columns.iter().collect::<HashSet<_>>().len() == columns.len());
        Self { input, expressions, columns, rest: Vec::new() }
    }
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
            match &self.columns {
                Some(columns) if columns.iter().all(|column| *column < row.len()) => {
                    let mut moved = Row::with_capacity(columns.len());
                    moved
                        .extend(columns.iter().filter_map(|column| row.get_mut(*column).map(std::mem::take)));
                    *row = moved;
                }
                _ => {
                    *row = match cx.attempt_all(&self.expressions, row)? {
                        (values, None) => values,
                        (values, Some(question)) => {
                            cx.answered_all(question, &self.expressions, row, values).await?
                        }
                    };
                }
            }
            bytes = bytes.saturating_add(row_bytes(row));
            made += 1;
            if bytes >= BATCH_BYTES {
                break;
            }
            if cx.spend(1) {
                cx.rest().await?;
            }
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
