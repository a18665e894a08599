//! A query of one row by a unique key, with or without a lock on it.

use bytes::Bytes;
use expr::{Expr, Row};

use super::PointOutcome;
use super::key::PointKey;
use crate::catalog::Oid;
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::lock::lock_row;
use crate::execute::rows::{IndexFormat, RowReader};
use crate::plan::{PointScan, RowLock};

/// A query of one row.
pub(crate) struct PointRead {
    key: PointKey,
    /// The row's index, and the secondary one whose entry leads to it, where `key` is that entry's.
    entry: Option<(IndexFormat, IndexFormat)>,
    reader: RowReader,
    filter: Option<Expr>,
    lock: Option<RowLock>,
    /// The index that it is looked up in.
    index: Oid,
    /// The table's name.
    relation: String,
    /// What is made of the row, one after the other.
    projections: Vec<Vec<Expr>>,
}

impl PointRead {
    pub(super) fn new(point: &PointScan<'_>, projections: &[&[Expr]]) -> Result<Self> {
        let scan = point.scan;
        let primary =
            scan.table.primary().ok_or_else(|| Error::internal("a table that is made up stores no rows"))?;
        let primary = IndexFormat::new(&scan.table, primary)?;
        let reader = RowReader::new(&primary, &scan.table, &scan.columns)?;
        let (key, entry) = if point.index.primary {
            (PointKey::new(primary, &point.key), None)
        } else {
            let secondary = IndexFormat::new(&scan.table, point.index)?;
            (PointKey::new(secondary.clone(), &point.key), Some((primary, secondary)))
        };
        let copies = |expressions: &[Expr]| {
            expressions.len() == scan.columns.len()
                && expressions
                    .iter()
                    .enumerate()
                    .all(|(place, part)| matches!(part, Expr::Column { index, .. } if *index == place))
        };
        let projections = projections.iter().skip_while(|expressions| copies(expressions));
        Ok(Self {
            key,
            entry,
            reader,
            filter: scan.filter.clone(),
            lock: scan.lock,
            index: point.index.oid,
            relation: scan.table.name.clone(),
            projections: projections.map(|expressions| expressions.to_vec()).collect(),
        })
    }

    /// The row, if there is one.
    pub(super) async fn run(&self, cx: &mut Context<'_>) -> Result<PointOutcome> {
        let Some(mut row) = self.found(cx).await? else { return Ok(PointOutcome::default()) };
        for expressions in &self.projections {
            row = cx.settled_all(expressions, &row).await?;
        }
        Ok(PointOutcome { count: 1, row: Some(row) })
    }

    async fn found(&self, cx: &mut Context<'_>) -> Result<Option<Row>> {
        let Some(mut key) = self.key.of(cx)? else { return Ok(None) };
        cx.used.of(self.index).scans += 1;
        if let Some((primary, secondary)) = &self.entry {
            let Some(entry) = cx.transaction.get(key.clone()).await? else { return Ok(None) };
            key = primary.row_key(secondary.primary_columns(&key, &entry)?);
        }
        let Some(value) = self.value(cx, &key).await? else { return Ok(None) };
        let used = cx.used.of(self.index);
        (used.read, used.fetched) = (used.read + 1, used.fetched + 1);
        let row = self.reader.read(&key, &value)?;
        let holds = cx.settled(|cx| cx.holds_if_any(self.filter.as_ref(), &row)).await?;
        Ok(holds.then_some(row))
    }

    async fn value(&self, cx: &mut Context<'_>, key: &Bytes) -> Result<Option<Bytes>> {
        let Some(lock) = self.lock else { return Ok(cx.transaction.get(key.clone()).await?) };
        let value = lock_row(cx, lock, &self.relation, key).await?;
        cx.account_writes().await?;
        Ok(value)
    }
}
