//! Queries of WITH that are computed once: as far as anybody asks, and kept for all who do.

use std::sync::Arc;

use async_trait::async_trait;
use expr::Row;
use parking_lot::Mutex;

use super::{Batch, BoxOperator, Operator};
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::memory::HeldRows;

/// The rows of a query of WITH, for all that name it.
pub(super) type SharedRows = Arc<Mutex<Shared>>;

/// What was computed so far, and what computes the rest.
pub(super) struct Shared {
    /// Away while it makes rows.
    operator: Option<BoxOperator>,
    held: HeldRows,
    is_whole: bool,
}

/// Nothing yet of what an operator makes.
pub(super) fn shared(operator: BoxOperator) -> SharedRows {
    Arc::new(Mutex::new(Shared { operator: Some(operator), held: HeldRows::default(), is_whole: false }))
}

/// One that names the query.
pub(super) struct CommonOperator {
    pub(super) shared: SharedRows,
    /// How many rows it has had.
    pub(super) given: usize,
}

impl CommonOperator {
    /// Those of the rows that are there which come next.
    fn there(&self) -> Option<Vec<Row>> {
        let shared = self.shared.lock();
        let mut batch = Batch::default();
        for row in shared.held.rows.iter().skip(self.given) {
            batch.push(row.clone());
            if batch.is_full() {
                break;
            }
        }
        batch.into_rows()
    }

    /// Computes more of them; false if there are no more.
    async fn compute(&self, cx: &mut Context<'_>) -> Result<bool> {
        let (operator, is_whole) = {
            let mut shared = self.shared.lock();
            if shared.is_whole { (None, true) } else { (shared.operator.take(), false) }
        };
        if is_whole {
            return Ok(false);
        }
        let mut operator = operator.ok_or_else(|| Error::internal("a query of WITH that reads itself"))?;
        let made = operator.next(cx).await;
        let mut shared = self.shared.lock();
        shared.operator = Some(operator);
        match made? {
            Some(rows) => {
                for row in rows {
                    shared.held.push(row, cx.memory)?;
                }
                Ok(true)
            }
            None => {
                shared.is_whole = true;
                Ok(false)
            }
        }
    }
}

#[async_trait]
impl Operator for CommonOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        loop {
            if let Some(rows) = self.there() {
                self.given = self.given.saturating_add(rows.len());
                cx.tick(rows.len()).await?;
                return Ok(Some(rows));
            }
            if !self.compute(cx).await? {
                return Ok(None);
            }
        }
    }

    /// What was computed stays: it depends on no row.
    fn rewind(&mut self, _: &mut Context<'_>) {
        self.given = 0;
    }
}

/// A statement that has such queries. They are forgotten when the whole of it is run again.
pub(super) struct WithOperator {
    pub(super) root: BoxOperator,
    pub(super) common: Vec<SharedRows>,
}

#[async_trait]
impl Operator for WithOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        self.root.next(cx).await
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.root.rewind(cx);
        for shared in &self.common {
            let mut shared = shared.lock();
            shared.held.clear(cx.memory);
            shared.is_whole = false;
            if let Some(operator) = &mut shared.operator {
                operator.rewind(cx);
            }
        }
    }
}
