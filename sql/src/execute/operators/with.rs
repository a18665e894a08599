//! Queries of WITH that are computed once: as far as anybody asks, and kept for all who do, in memory and beyond it.

use std::sync::Arc;

use async_trait::async_trait;
use expr::Row;
use parking_lot::Mutex;

use super::{BoxOperator, Operator};
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::spill::{Cursor, StoredRows};

/// The rows of a query of WITH, for all that name it.
pub(super) type SharedRows = Arc<Mutex<Shared>>;

/// What was computed so far, and what computes the rest.
pub(super) struct Shared {
    /// Away while it makes rows.
    operator: Option<BoxOperator>,
    rows: StoredRows,
    is_whole: bool,
}

/// Nothing yet of what an operator makes.
pub(super) fn shared(operator: BoxOperator) -> SharedRows {
    Arc::new(Mutex::new(Shared { operator: Some(operator), rows: StoredRows::default(), is_whole: false }))
}

/// One that names the query.
pub(super) struct CommonOperator {
    pub(super) shared: SharedRows,
    /// How many rows it has had.
    pub(super) given: Cursor,
}

impl CommonOperator {
    /// Those of the rows that are there which come next.
    async fn there(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        // Away for as long as they are read: nobody else of the statement asks meanwhile.
        let mut rows = std::mem::take(&mut self.shared.lock().rows);
        let read = rows.read(cx.memory, &mut self.given).await;
        self.shared.lock().rows = rows;
        read
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
        let mut rows = {
            let mut shared = self.shared.lock();
            shared.operator = Some(operator);
            std::mem::take(&mut shared.rows)
        };
        let stored = match made {
            Ok(Some(made)) => store(cx, &mut rows, made).await.map(|()| true),
            Ok(None) => Ok(false),
            Err(error) => Err(error),
        };
        let mut shared = self.shared.lock();
        shared.rows = rows;
        shared.is_whole = matches!(stored, Ok(false));
        stored
    }
}

async fn store(cx: &mut Context<'_>, rows: &mut StoredRows, made: Vec<Row>) -> Result<()> {
    for row in made {
        rows.push(cx.memory, row).await?;
    }
    Ok(())
}

#[async_trait]
impl Operator for CommonOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        loop {
            if let Some(rows) = self.there(cx).await? {
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
        self.given = Cursor::default();
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
            shared.rows.clear(cx.memory);
            shared.is_whole = false;
            if let Some(operator) = &mut shared.operator {
                operator.rewind(cx);
            }
        }
    }
}
