//! Rows of a table as they were: a scan of what the table was then, in a transaction of then.
//!
//! The condition of the statement is asked of what the rows are now.
//!
//! # Invariants
//!
//! - No row is read before the rights and policies of the plan are known to be those in force where the statement's transaction reads,
//!   and no row that was committed later is seen by others than those in force then.

use async_trait::async_trait;
use client::Transaction;
use expr::{Expr, Row};

use super::Operator;
use super::scan::ScanOperator;
use crate::catalog::{TableDescriptor, stored};
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::past::{Then, table_then};
use crate::moment::{self, Meant};
use crate::plan::{Moment, Scan};

/// Rows of a stored table at a moment.
pub(super) struct PastOperator {
    scan: Scan,
    moment: Moment,
    /// What the table was at the timestamp that was wanted last.
    known: Option<(u64, Then)>,
    /// The timestamp of the statement's transaction at which the plan was last found to hold.
    proven: Option<u64>,
    reading: Option<Box<Reading>>,
}

/// A scan under way.
struct Reading {
    transaction: Transaction,
    rows: ScanOperator,
}

impl PastOperator {
    pub(super) fn new(scan: &Scan, moment: &Moment) -> Self {
        Self { scan: scan.clone(), moment: moment.clone(), known: None, proven: None, reading: None }
    }

    async fn start(&mut self, cx: &mut Context<'_>) -> Result<Box<Reading>> {
        let mut now = None;
        if self.proven.is_some() {
            now = Some(cx.transaction.read_timestamp().await?).filter(|now| self.proven == Some(*now));
        }
        let now = match now {
            Some(now) => now,
            None => proven_now(cx, &self.scan.table).await?,
        };
        self.proven = Some(now);
        let at = timestamp_of(cx, &self.moment).await?;
        let mut transaction = cx.client.past(at);
        if at > now {
            // What was committed since must not be seen by rights and policies of before.
            transaction.set_catalog_version(cx.transaction.options().catalog_version);
        }
        let then = match self.known.take() {
            Some((known, then)) if known == at => then,
            _ => {
                let table = &self.scan.table;
                let then = table_then(&mut transaction, cx.catalog, table).await?;
                let then = then.ok_or_else(|| missing(&table.name))?;
                Then::new(then, &self.scan)?
            }
        };
        let (_, then) = self.known.insert((at, then));
        let rows = ScanOperator::new(then.scan())?;
        Ok(Box::new(Reading { transaction, rows }))
    }
}

/// The timestamp at which the statement's transaction reads, once the plan is known to hold there, with the rights and the
/// policies that it was made under. What is read of the past asks for neither: this reads what the catalog says of the table now, as
/// any read of now would that the ranges let pass.
///
/// # Errors
/// 40001: the catalog has changed since.
pub(super) async fn proven_now(cx: &mut Context<'_>, table: &TableDescriptor) -> Result<u64> {
    cx.transaction.get(stored::table_key(cx.catalog.home(), table.oid)).await?;
    Ok(cx.transaction.read_timestamp().await?)
}

/// The timestamp that a moment is.
async fn timestamp_of(cx: &mut Context<'_>, moment: &Moment) -> Result<u64> {
    let wanted = meant_by(cx, moment).await?.last;
    moment::reached(cx.client, wanted).await.map_err(|error| moment::placed(error, moment.at))
}

/// What a moment means.
pub(super) async fn meant_by(cx: &mut Context<'_>, moment: &Moment) -> Result<Meant> {
    let value = cx.settled(|cx| cx.evaluate(&moment.value, &[])).await?;
    moment::meant(&value, cx.session).map_err(|error| moment::placed(error, moment.at))
}

fn missing(table: &str) -> Error {
    Error::new("42P01", format!("relation \"{table}\" did not exist at that moment"))
}

#[async_trait]
impl Operator for PastOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => self.start(cx).await?,
        };
        let answer = match &self.known {
            Some((_, then)) => step(cx, then, self.scan.filter.as_ref(), &mut reading).await,
            None => Err(Error::internal("a table of then is read that is not known")),
        };
        self.reading = Some(reading);
        answer
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        if let Some(mut reading) = self.reading.take() {
            reading.rows.rewind(cx);
        }
    }
}

/// The next rows of which the condition is true.
async fn step(
    cx: &mut Context<'_>,
    then: &Then,
    filter: Option<&Expr>,
    reading: &mut Reading,
) -> Result<Option<Vec<Row>>> {
    loop {
        let mut of_then = cx.at(&mut reading.transaction);
        let batch = reading.rows.next(&mut of_then).await;
        let work = of_then.work;
        cx.work = work;
        let Some(batch) = batch? else { return Ok(None) };
        let mut kept = Vec::with_capacity(batch.len());
        let mut removed = 0_u64;
        for row in batch {
            cx.tick(1).await?;
            let row = then.row(row, cx.session)?;
            if cx.settled(|cx| cx.holds_if_any(filter, &row)).await? {
                kept.push(row);
            } else {
                removed = removed.saturating_add(1);
            }
        }
        cx.tally(|truth| truth.removed = truth.removed.saturating_add(removed));
        if !kept.is_empty() {
            return Ok(Some(kept));
        }
    }
}
