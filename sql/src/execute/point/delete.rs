//! DELETE of one row by its primary key, and of its index entries.

use std::collections::BTreeSet;

use expr::Expr;

use super::PointOutcome;
use super::target::{LockedRow, Target};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::rows::{IndexFormat, TableFormat};
use crate::execute::write::KeyState;
use crate::plan::{Delete, PointScan};

/// A DELETE of one row.
pub(crate) struct PointDelete {
    target: Target,
    format: TableFormat,
    returning: Option<Vec<Expr>>,
}

impl PointDelete {
    pub(super) fn new(point: &PointScan<'_>, delete: &Delete) -> Result<Self> {
        let format = TableFormat::new(&delete.table)?;
        let returning = delete.returning.iter().flatten();
        let mut needed: BTreeSet<usize> = returning.flat_map(Expr::columns).collect();
        needed.extend(format.secondary.iter().flat_map(IndexFormat::decided_by));
        let target = Target::new(point, &format, needed)?;
        Ok(Self { target, returning: delete.returning.clone(), format })
    }

    /// Removes the row, if there is one.
    pub(super) async fn run(&self, cx: &mut Context<'_>) -> Result<PointOutcome> {
        let Some(locked) = self.target.lock(cx, &self.format).await? else {
            return Ok(PointOutcome::default());
        };
        let LockedRow { key, row, .. } = locked;
        if !self.format.secondary.is_empty() {
            let columns = self.format.primary.columns_of(&key)?;
            let entry = |index| self.format.entry(index, &row, columns).transpose();
            let entries = self.format.secondary.iter().filter_map(entry).collect::<Result<Vec<_>>>()?;
            let mut state = KeyState::default();
            let exclusive = entries.iter().filter(|entry| entry.exclusive);
            state.lock(cx, exclusive.map(|entry| entry.key.clone()).collect()).await?;
            for entry in entries {
                state.delete(cx, entry.key);
            }
        }
        cx.transaction.delete(key);
        cx.account_writes().await?;
        cx.used.of(self.format.table.oid).deleted += 1;
        PointOutcome::written(cx, self.returning.as_deref(), &row).await
    }
}
