//! Windows: what is computed of the rows around each, partition by partition.
//!
//! The input comes partition by partition and, within each, in order. One partition is held at a time; of it each call makes
//! a column, row by row. Where no call sees what follows its row, nothing has to be held ([`running`]).

mod aggregate;
mod frame;
mod function;
mod running;

use async_trait::async_trait;
use expr::{Datum, Row};

use self::frame::{Ends, Partition};
pub(super) use self::running::RunningOperator;
use super::group::GroupKey;
use super::order::compare_keys;
use super::{Batch, BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::HeldRows;
use crate::plan::{SortKey, Window, WindowCall, WindowKind};

/// Adds columns that are computed of the rows around.
pub(super) struct WindowOperator {
    input: BoxOperator,
    partition_by: Vec<expr::Expr>,
    order_by: Vec<SortKey>,
    calls: Vec<WindowCall>,
    /// The ends of their frames, once they are known.
    ends: Vec<Ends>,
    /// Rows of the input that were not looked at.
    ahead: std::vec::IntoIter<Row>,
    /// The first row of the next partition.
    first: Option<(GroupKey, Row)>,
    /// The partition at hand.
    held: HeldRows,
    /// What the calls have made of it.
    columns: Vec<Vec<Datum>>,
    /// What those take.
    bytes: usize,
    /// How many of its rows were handed out.
    given: usize,
}

impl WindowOperator {
    pub(super) fn new(input: BoxOperator, window: &Window) -> Self {
        Self {
            input,
            partition_by: window.partition_by.clone(),
            order_by: window.order_by.clone(),
            calls: window.calls.clone(),
            ends: Vec::new(),
            ahead: Vec::new().into_iter(),
            first: None,
            held: HeldRows::default(),
            columns: Vec::new(),
            bytes: 0,
            given: 0,
        }
    }

    fn forget(&mut self, cx: &mut Context<'_>) {
        self.held.clear(cx.memory);
        self.columns.clear();
        cx.memory.release(std::mem::take(&mut self.bytes));
        self.given = 0;
    }

    async fn row(&mut self, cx: &mut Context<'_>) -> Result<Option<(GroupKey, Row)>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        loop {
            if let Some(row) = self.ahead.next() {
                let values = cx.evaluate_all(&self.partition_by, &row)?;
                return Ok(Some((GroupKey::of(&self.partition_by, values), row)));
            }
            match self.input.next(cx).await? {
                Some(rows) => self.ahead = rows.into_iter(),
                None => return Ok(None),
            }
        }
    }

    /// Reads the next partition and computes its columns; false if there is none.
    async fn partition(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        self.forget(cx);
        // They have to make sense even where nobody looks at them.
        if self.ends.is_empty() {
            self.ends = self.calls.iter().map(|call| Ends::of(cx, &call.frame)).collect::<Result<_>>()?;
        }
        let Some((common, first)) = self.row(cx).await? else { return Ok(false) };
        self.held.push(first, cx.memory)?;
        let mut groups = vec![0];
        let keys: Vec<expr::Expr> = self.order_by.iter().map(|key| key.expression.clone()).collect();
        let mut before = match self.held.rows.first() {
            Some(first) => cx.evaluate_all(&keys, first)?,
            None => Vec::new(),
        };
        while let Some((key, row)) = self.row(cx).await? {
            if key != common {
                self.first = Some((key, row));
                break;
            }
            if !keys.is_empty() {
                let values = cx.evaluate_all(&keys, &row)?;
                if compare_keys(&self.order_by, &before, &values).is_ne() {
                    groups.push(self.held.rows.len());
                    before = values;
                }
            }
            self.held.push(row, cx.memory)?;
            cx.tick(1).await?;
        }
        let bytes = groups.len().saturating_mul(size_of::<usize>());
        cx.memory.reserve(bytes)?;
        self.bytes = self.bytes.saturating_add(bytes);
        let partition = Partition { rows: &self.held.rows, order_by: &self.order_by, groups };
        for (call, ends) in self.calls.iter().zip(&self.ends) {
            let (column, bytes) = match &call.function {
                WindowKind::Aggregate(function) => {
                    aggregate::column(cx, call, *function, ends, &partition).await
                }
                WindowKind::Function(_, function) => {
                    function::column(cx, call, *function, ends, &partition).await
                }
            }?;
            self.bytes = self.bytes.saturating_add(bytes);
            self.columns.push(column);
        }
        Ok(true)
    }
}

/// A column of results and what it takes, which is accounted for as it grows.
#[derive(Default)]
struct Column {
    values: Vec<Datum>,
    bytes: usize,
}

impl Column {
    fn push(&mut self, cx: &mut Context<'_>, value: Datum) -> Result<()> {
        let bytes = value.size_bytes();
        cx.memory.reserve(bytes)?;
        self.bytes = self.bytes.saturating_add(bytes);
        self.values.push(value);
        Ok(())
    }

    /// The value of the row before once more.
    fn push_again(&mut self, cx: &mut Context<'_>, value: Datum) -> Result<()> {
        let bytes = size_of::<Datum>();
        cx.memory.reserve(bytes)?;
        self.bytes = self.bytes.saturating_add(bytes);
        self.values.push(value);
        Ok(())
    }

    fn into_parts(self) -> (Vec<Datum>, usize) {
        (self.values, self.bytes)
    }
}

#[async_trait]
impl Operator for WindowOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        if self.given >= self.held.rows.len() && !self.partition(cx).await? {
            return Ok(None);
        }
        let mut batch = Batch::default();
        for place in self.given..self.held.rows.len() {
            let mut row = self.held.rows.get_mut(place).map(std::mem::take).unwrap_or_default();
            for column in &mut self.columns {
                row.push(column.get_mut(place).map(std::mem::take).unwrap_or_default());
            }
            batch.push(row);
            cx.tick(1).await?;
            if batch.is_full() {
                break;
            }
        }
        self.given = self.given.saturating_add(batch.rows.len());
        Ok(batch.into_rows())
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.forget(cx);
        self.first = None;
        self.ends.clear();
        self.ahead = Vec::new().into_iter();
        self.input.rewind(cx);
    }
}
