//! Operators that read no table: rows written out, set-returning functions, system views.

use std::sync::Arc;

use async_trait::async_trait;
use expr::series::Series;
use expr::{Datum, Expr, Row};

use super::{Batch, Operator};
use crate::catalog::{TableDescriptor, TableKind};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::HeldRows;
use crate::plan::{TableFunction, VirtualScan};
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
            batch.push(cx.settled_all(row, &[]).await?);
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
            let arguments = cx.settled_all(&self.arguments, &[]).await?;
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
///
/// A view that is read again, as below a subquery that is run for each row, is made up twice at most: it tells of one moment.
pub(super) struct VirtualOperator {
    table: Arc<TableDescriptor>,
    columns: Vec<usize>,
    filter: Option<Expr>,
    done: bool,
    /// How often it was read.
    reads: u8,
    kept: Option<HeldRows>,
}

impl VirtualOperator {
    pub(super) fn new(scan: &VirtualScan) -> Self {
        Self {
            table: scan.table.clone(),
            columns: scan.columns.clone(),
            filter: scan.filter.clone(),
            done: false,
            reads: 0,
            kept: None,
        }
    }

    /// The columns that are asked for of all rows; kept if they are asked for again.
    async fn all(&mut self, cx: &mut Context<'_>) -> Result<Vec<Row>> {
        let columns = &self.columns;
        let asked = |row: Row| -> Row {
            columns.iter().map(|place| row.get(*place).cloned().unwrap_or_default()).collect()
        };
        let rows: Vec<Row> = rows(cx, &self.table).await?.into_iter().map(asked).collect();
        self.reads = self.reads.saturating_add(1);
        if self.reads > 1 && self.table.kind == TableKind::Virtual {
            let mut kept = HeldRows::default();
            for row in &rows {
                kept.push(row.clone(), cx.memory)?;
            }
            self.kept = Some(kept);
        }
        Ok(rows)
    }
}

#[async_trait]
impl Operator for VirtualOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        let mut kept = Vec::new();
        let mut removed = 0_u64;
        if self.kept.is_none() {
            for row in self.all(cx).await? {
                if cx.settled(|cx| cx.holds_if_any(self.filter.as_ref(), &row)).await? {
                    kept.push(row);
                } else {
                    removed = removed.saturating_add(1);
                }
                cx.tick(1).await?;
            }
            cx.tally(|truth| truth.removed = truth.removed.saturating_add(removed));
            return Ok((!kept.is_empty()).then_some(kept));
        }
        for row in self.kept.iter().flat_map(|kept| &kept.rows) {
            if cx.settled(|cx| cx.holds_if_any(self.filter.as_ref(), row)).await? {
                kept.push(row.clone());
            } else {
                removed = removed.saturating_add(1);
            }
            cx.tick(1).await?;
        }
        cx.tally(|truth| truth.removed = truth.removed.saturating_add(removed));
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
    // What the session itself has done is shown, too.
    cx.used.settle();
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
