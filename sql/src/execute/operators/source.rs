//! Operators that read no table: rows written out, set-returning functions, system views.

use std::sync::Arc;

use async_trait::async_trait;
use expr::series::Series;
use expr::{Datum, Expr, Row};

use super::{Batch, Operator};
use crate::catalog::TableDescriptor;
use crate::error::Result;
use crate::execute::context::Context;
use crate::plan::TableFunction;
use crate::system;

/// Rows written out.
pub(super) struct ValuesOperator {
    pub(super) rows: Vec<Vec<Expr>>,
    pub(super) given: usize,
}

#[async_trait]
impl Operator for ValuesOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let mut batch = Batch::default();
        for row in self.rows.iter().skip(self.given) {
            batch.push(cx.settled(|cx| cx.evaluate_all(row, &[])).await?);
            cx.tick(1).await?;
            if batch.is_full() {
                break;
            }
        }
        self.given = self.given.saturating_add(batch.rows.len());
        Ok(batch.into_rows())
    }

    fn rewind(&mut self, _cx: &mut Context<'_>) {
        self.given = 0;
    }
}

/// Calls a function once for its rows.
pub(super) struct FunctionOperator {
    pub(super) function: TableFunction,
    pub(super) arguments: Vec<Expr>,
    pub(super) ordinality: bool,
    pub(super) state: FunctionState,
}

/// How far a set-returning function is.
pub(super) enum FunctionState {
    Pending,
    Running { series: Series, given: i64 },
    Done,
}

#[async_trait]
impl Operator for FunctionOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        if matches!(self.state, FunctionState::Pending) {
            let arguments = cx.settled(|cx| cx.evaluate_all(&self.arguments, &[])).await?;
            match &self.function {
                TableFunction::Scalar => {
                    self.state = FunctionState::Done;
                    let mut row = arguments;
                    if self.ordinality {
                        row.push(Datum::Int8(1));
                    }
                    return Ok(Some(vec![row]));
                }
                TableFunction::Series(function, shape) => {
                    let series = Series::start(*function, &arguments, shape, cx.session)?;
                    cx.memory.reserve(series.size_bytes())?;
                    self.state = FunctionState::Running { series, given: 0 };
                }
            }
        }
        let FunctionState::Running { series, given } = &mut self.state else { return Ok(None) };
        let mut batch = Batch::default();
        while !batch.is_full()
            && let Some(row) = series.next()
        {
            cx.tick(1).await?;
            *given = given.saturating_add(1);
            let mut row = row?;
            if self.ordinality {
                row.push(Datum::Int8(*given));
            }
            batch.push(row);
        }
        let rows = batch.into_rows();
        if rows.is_none() {
            cx.memory.release(series.size_bytes());
            self.state = FunctionState::Done;
        }
        Ok(rows)
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        if let FunctionState::Running { series, .. } = &self.state {
            cx.memory.release(series.size_bytes());
        }
        self.state = FunctionState::Pending;
    }
}

/// Reads a system view, or a sequence.
pub(super) struct VirtualOperator {
    pub(super) table: Arc<TableDescriptor>,
    pub(super) columns: Vec<usize>,
    pub(super) filter: Option<Expr>,
    pub(super) done: bool,
}

#[async_trait]
impl Operator for VirtualOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        let mut kept = Vec::new();
        for row in rows(cx, &self.table).await? {
            let row: Row =
                self.columns.iter().map(|place| row.get(*place).cloned().unwrap_or_default()).collect();
            if cx.settled(|cx| cx.holds_if_any(self.filter.as_ref(), &row)).await? {
                kept.push(row);
            }
            cx.tick(1).await?;
        }
        Ok((!kept.is_empty()).then_some(kept))
    }

    fn rewind(&mut self, _cx: &mut Context<'_>) {
        self.done = false;
    }
}

/// The rows of what is made up, or the one of a sequence.
async fn rows(cx: &mut Context<'_>, table: &TableDescriptor) -> Result<Vec<Row>> {
    if let Some(sequence) = cx.catalog.objects().get(table.oid).and_then(|object| object.sequence()) {
        return Ok(vec![cx.sequences.row(cx.client, sequence, cx.catalog_version).await?]);
    }
    let asked = system::Informants {
        client: cx.client,
        roster: cx.roster,
        sequences: cx.sequences,
        catalog: cx.catalog,
        version: cx.catalog_version,
        session: cx.session,
    };
    let memory = &mut *cx.memory;
    let gathered = system::Gathered::of(table, asked, &mut |bytes| memory.reserve(bytes)).await?;
    let world = system::World {
        catalog: cx.catalog,
        settings: cx.settings,
        session: cx.session,
        shown: cx.shown,
        gathered,
    };
    let rows = system::rows(table, &world);
    cx.memory.release(world.gathered.held());
    rows
}
