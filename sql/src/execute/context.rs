//! What a running statement works with: its transaction, its parameters, its session, its memory account.

use std::sync::Arc;
use std::task::Poll;

use client::Transaction;
use expr::{Datum, EvalContext, Expr, Row, SessionContext};

use super::cancel::CancelHandle;
use super::memory::Memory;
use super::row_ids::RowIds;
use crate::catalog::CatalogSnapshot;
use crate::error::{Error, Result};
use crate::settings::Settings;

/// What a running statement works with.
pub(crate) struct Context<'a> {
    /// The transaction it runs in.
    pub(crate) transaction: &'a mut Transaction,
    /// Parameters, then the slots of outer rows: what `Expr::Parameter` names.
    pub(crate) values: &'a mut Vec<Datum>,
    /// What functions may depend on.
    pub(crate) session: &'a SessionContext,
    /// The bytes of rows that it holds.
    pub(crate) memory: &'a mut Memory,
    /// The catalog that it was planned under.
    pub(crate) catalog: &'a Arc<CatalogSnapshot>,
    /// The session's settings, for `pg_settings`.
    pub(crate) settings: &'a Settings,
    /// Whether it is to end.
    pub(crate) cancel: &'a CancelHandle,
    /// Where hidden row ids come from.
    pub(crate) row_ids: &'a RowIds,
    /// The indexes that this transaction created: nobody else can see their keys, so nobody's have to be locked.
    pub(crate) fresh_indexes: &'a FreshIndexes,
    /// How far the transaction is kept apart from others.
    pub(crate) isolation: client::Isolation,
}

/// The ids of the indexes that a transaction created, and the positions of its savepoints among them.
#[derive(Debug, Clone, Default)]
pub(crate) struct FreshIndexes(Vec<u64>);

impl FreshIndexes {
    /// Whether this transaction created the index.
    pub(crate) fn contains(&self, index: u64) -> bool {
        self.0.contains(&index)
    }

    /// Notes a new index.
    pub(crate) fn insert(&mut self, index: u64) {
        self.0.push(index);
    }

    /// How many there are: a mark for [`FreshIndexes::truncate`].
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets those after `mark`.
    pub(crate) fn truncate(&mut self, mark: usize) {
        self.0.truncate(mark);
    }
}

impl Context<'_> {
    /// The value of an expression over a row.
    pub(crate) fn evaluate(&self, expression: &Expr, row: &[Datum]) -> Result<Datum> {
        Ok(expression.evaluate(&EvalContext::new(row, self.values, self.session))?)
    }

    /// The values of expressions over a row.
    pub(crate) fn evaluate_all(&self, expressions: &[Expr], row: &[Datum]) -> Result<Row> {
        let context = EvalContext::new(row, self.values, self.session);
        expressions.iter().map(|expression| Ok(expression.evaluate(&context)?)).collect()
    }

    /// Whether a condition holds of a row; NULL counts as false.
    pub(crate) fn holds(&self, condition: &Expr, row: &[Datum]) -> Result<bool> {
        Ok(condition.evaluate_condition(&EvalContext::new(row, self.values, self.session))?)
    }

    /// Whether an optional condition holds of a row.
    pub(crate) fn holds_if_any(&self, condition: Option<&Expr>, row: &[Datum]) -> Result<bool> {
        condition.map_or(Ok(true), |condition| self.holds(condition, row))
    }

    /// Sets a slot.
    pub(crate) fn set_slot(&mut self, slot: usize, value: Datum) -> Result<()> {
        match self.values.get_mut(slot) {
            Some(place) => {
                *place = value;
                Ok(())
            }
            None => Err(Error::internal("a plan names a slot that it does not have")),
        }
    }

    /// Lets other tasks run, and ends the statement if it was cancelled. Work that does not wait for the network
    /// calls it once per batch.
    pub(crate) async fn breathe(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(cancelled());
        }
        let mut yielded = false;
        std::future::poll_fn(|cx| {
            if yielded {
                return Poll::Ready(());
            }
            yielded = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        Ok(())
    }
}

/// 57014: a CancelRequest came.
pub(crate) fn cancelled() -> Error {
    Error::new("57014", "canceling statement due to user request")
}
