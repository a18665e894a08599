//! The row that a statement by primary key changes: locked, read, and kept if the statement's filter wants it.

use std::collections::BTreeSet;

use bytes::Bytes;
use expr::{Expr, Row};

use super::key::PointKey;
use crate::catalog::Oid;
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::lock::lock_row;
use crate::execute::rows::{RowReader, TableFormat};
use crate::execute::write::misfit;
use crate::plan::{PointScan, RowLock};

/// Which row it is, and what of it is read.
pub(super) struct Target {
    key: PointKey,
    /// Reads the columns that somebody looks at; the others of the table stay NULL.
    reader: RowReader,
    filter: Option<Expr>,
    lock: RowLock,
    /// The index that it is looked up in.
    index: Oid,
}

/// A row that is to be changed.
pub(super) struct LockedRow {
    pub(super) key: Bytes,
    pub(super) stored: Bytes,
    pub(super) row: Row,
}

impl Target {
    /// The row of `point`, of which the statement itself needs these columns.
    pub(super) fn new(
        point: &PointScan<'_>,
        format: &TableFormat,
        mut needed: BTreeSet<usize>,
    ) -> Result<Self> {
        needed.extend(point.scan.filter.iter().flat_map(Expr::columns));
        Ok(Self {
            key: PointKey::new(format.primary.clone(), &point.key),
            reader: RowReader::some(format, |place| needed.contains(&place))?,
            filter: point.scan.filter.clone(),
            lock: point.scan.lock.ok_or_else(misfit)?,
            index: point.index.oid,
        })
    }

    /// The locked row, if there is one that is wanted.
    pub(super) async fn lock(&self, cx: &mut Context<'_>, format: &TableFormat) -> Result<Option<LockedRow>> {
        let Some(key) = self.key.of(cx)? else { return Ok(None) };
        let stored = lock_row(cx, self.lock, &format.table.name, &key).await?;
        let used = cx.used.of(self.index);
        used.scans += 1;
        let Some(stored) = stored else { return Ok(None) };
        (used.read, used.fetched) = (used.read + 1, used.fetched + 1);
        let row = self.reader.read(&key, &stored)?;
        if !cx.settled(|cx| cx.holds_if_any(self.filter.as_ref(), &row)).await? {
            // The lock stays.
            cx.account_writes().await?;
            return Ok(None);
        }
        Ok(Some(LockedRow { key, stored, row }))
    }
}
