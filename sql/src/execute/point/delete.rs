//! DELETE of one row by its primary key, and of its index entries.

use std::collections::BTreeSet;

use expr::Expr;

use super::PointOutcome;
use super::key::PointKey;
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::lock::lock_row;
use crate::execute::rows::{RowReader, TableFormat};
use crate::execute::write::{KeyState, misfit};
use crate::plan::{Delete, PointScan, RowLock};

/// A DELETE of one row.
pub(crate) struct PointDelete {
    key: PointKey,
    format: TableFormat,
    /// Reads the columns that somebody looks at; the others of the table stay NULL.
    reader: RowReader,
    filter: Option<Expr>,
    lock: RowLock,
    returning: Option<Vec<Expr>>,
}

impl PointDelete {
    pub(super) fn new(point: &PointScan<'_>, delete: &Delete) -> Result<Self> {
        let format = TableFormat::new(&delete.table)?;
        let readers = point.scan.filter.iter().chain(delete.returning.iter().flatten());
        let mut needed: BTreeSet<usize> = readers.flat_map(Expr::columns).collect();
        needed.extend(format.secondary.iter().flat_map(|index| index.columns.iter().map(|key| key.place)));
        Ok(Self {
            key: PointKey::new(format.primary.clone(), point.key),
            reader: RowReader::some(&format, |place| needed.contains(&place)),
            filter: point.scan.filter.clone(),
            lock: point.scan.lock.ok_or_else(misfit)?,
            returning: delete.returning.clone(),
            format,
        })
    }

    /// Removes the row, if there is one.
    pub(super) async fn run(&self, cx: &mut Context<'_>) -> Result<PointOutcome> {
        let none = PointOutcome::default();
        let Some(key) = self.key.of(cx)? else { return Ok(none) };
        let stored = lock_row(cx, self.lock, &self.format.table.name, &key).await?;
        let Some(stored) = stored else { return Ok(none) };
        let row = self.reader.read(&key, &stored)?;
        if !cx.holds_if_any(self.filter.as_ref(), &row)? {
            cx.account_writes()?;
            return Ok(none);
        }
        if !self.format.secondary.is_empty() {
            let columns = self.format.primary.columns_of(&key)?;
            let entries = self.format.secondary.iter().map(|index| self.format.entry(index, &row, columns));
            let entries = entries.collect::<Result<Vec<_>>>()?;
            let mut state = KeyState::default();
            let exclusive = entries.iter().filter(|entry| entry.exclusive);
            state.lock(cx, exclusive.map(|entry| entry.key.clone()).collect()).await?;
            for entry in entries {
                state.delete(cx, entry.key);
            }
        }
        cx.transaction.delete(key);
        cx.account_writes()?;
        PointOutcome::written(cx, self.returning.as_deref(), &row)
    }
}
