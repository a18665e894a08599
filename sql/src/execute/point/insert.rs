//! INSERT of one row.

use std::sync::Arc;

use expr::{Datum, Expr};

use super::PointOutcome;
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::rows::{IndexFormat, TableFormat};
use crate::execute::write::{KeyState, complete_row, duplicate, misfit};
use crate::execute::writers::sign;
use crate::plan::{Insert, RowRules};

/// An INSERT of one row.
pub(crate) struct PointInsert {
    format: TableFormat,
    /// The place of a hidden row id.
    row_id: Option<usize>,
    row: Vec<Expr>,
    rules: Arc<RowRules>,
    returning: Option<Vec<Expr>>,
}

impl PointInsert {
    pub(super) fn new(insert: &Insert, row: &[Expr]) -> Result<Self> {
        Ok(Self {
            format: TableFormat::new(&insert.table)?,
            row_id: insert.table.row_id(),
            row: row.to_vec(),
            rules: insert.rules.clone(),
            returning: insert.returning.clone(),
        })
    }

    /// Writes the row, unless a unique index has its key already.
    pub(super) async fn run(&self, cx: &mut Context<'_>) -> Result<PointOutcome> {
        let mut row = cx.settled_all(&self.row, &[]).await?;
        if let Some(place) = self.row_id {
            let id = cx.row_ids.take(cx.client, cx.catalog.version(), 1).await?;
            *row.get_mut(place).ok_or_else(misfit)? = Datum::Int8(id);
        }
        sign(cx, &self.format.table, &mut row)?;
        complete_row(cx, &self.format.table, &self.rules, &mut row)?;
        let columns = self.format.primary_columns(&row)?;
        let key = self.format.primary.row_key(&columns);
        let entries = self
            .format
            .secondary
            .iter()
            .filter_map(|index| {
                let entry = self.format.entry(index, &row, &columns).transpose()?;
                Some(entry.map(|entry| (index, entry)))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut locks = Vec::new();
        if self.row_id.is_none() {
            locks.push((&self.format.primary, key.clone()));
        }
        let exclusive = entries.iter().filter(|(_, entry)| entry.exclusive);
        locks.extend(exclusive.map(|(index, entry)| (*index, entry.key.clone())));
        if let Some(taken) = first_taken(cx, &locks).await? {
            return Err(duplicate(cx, &self.format.table, taken, &row));
        }
        cx.transaction.put(key, self.format.value(&row)?);
        for (_, entry) in entries {
            cx.transaction.put(entry.key, entry.value);
        }
        cx.account_writes().await?;
        cx.used.of(self.format.table.oid).inserted += 1;
        PointOutcome::written(cx, self.returning.as_deref(), &row).await
    }
}

/// Locks the keys and tells the first under which something stands.
async fn first_taken<'a>(
    cx: &mut Context<'_>,
    keys: &[(&'a IndexFormat, bytes::Bytes)],
) -> Result<Option<&'a IndexFormat>> {
    if keys.is_empty() {
        return Ok(None);
    }
    let mut state = KeyState::default();
    state.lock(cx, keys.iter().map(|(_, key)| key.clone()).collect()).await?;
    Ok(keys.iter().find(|(_, key)| state.get(key).is_some()).map(|(index, _)| *index))
}
