//! DELETE: rows that go, and their index entries.

use std::collections::HashSet;

use bytes::Bytes;
use expr::Expr;

use super::{KeyState, Outcome, Source, is_streamed, misfit, note_seen};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::operators::build;
use crate::execute::rows::TableFormat;
use crate::plan::Delete;

/// A DELETE under way.
pub(crate) struct DeleteExecution {
    source: Source,
    format: TableFormat,
    returning: Option<Vec<Expr>>,
    /// Whether the source may answer a row more than once.
    repeats: bool,
}

impl DeleteExecution {
    pub(crate) fn new(delete: &Delete) -> Result<Self> {
        Ok(Self {
            source: Source::new(build(&delete.source)?, is_streamed(&delete.source, false)),
            format: TableFormat::new(&delete.table)?,
            returning: delete.returning.clone(),
            repeats: delete.source.width() > delete.table.columns.len(),
        })
    }

    /// Removes all rows.
    pub(crate) async fn run(&mut self, cx: &mut Context<'_>) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut seen: HashSet<Bytes> = HashSet::new();
        let width = self.format.table.columns.len();
        while let Some(rows) = self.source.next(cx).await? {
            let mut locks = Vec::new();
            let mut deletes = Vec::with_capacity(rows.len());
            for row in rows {
                let own = row.get(..width).ok_or_else(misfit)?;
                let columns = self.format.primary_columns(own)?;
                let key = self.format.primary.row_key(&columns);
                if self.repeats && !note_seen(cx, &mut seen, &key)? {
                    continue;
                }
                deletes.push(key);
                for index in &self.format.secondary {
                    let entry = self.format.entry(index, own, &columns)?;
                    if entry.exclusive {
                        locks.push(entry.key.clone());
                    }
                    deletes.push(entry.key);
                }
                outcome.note(cx, self.returning.as_deref(), &row)?;
                cx.tick(1).await?;
            }
            let mut state = KeyState::default();
            state.lock(cx, locks).await?;
            for key in deletes {
                state.delete(cx, key);
                cx.tick(1).await?;
            }
            cx.account_writes().await?;
        }
        Ok(outcome)
    }

    pub(crate) fn rewind(&mut self, cx: &mut Context<'_>) {
        self.source.rewind(cx);
    }
}
