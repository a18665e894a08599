//! DELETE.

use std::collections::HashSet;

use bytes::Bytes;
use expr::Expr;

use super::removal::delete_rows;
use super::{Changed, Outcome, References, Source, is_changed, is_streamed, misfit, note_seen};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::operators::BoxOperator;
use crate::execute::rows::TableFormat;
use crate::execute::writers::own_number;
use crate::plan::Delete;

/// A DELETE under way.
pub(crate) struct DeleteExecution {
    source: Source,
    format: TableFormat,
    returning: Option<Vec<Expr>>,
    /// Whether RETURNING asks who deletes the rows.
    tells_deleter: bool,
    /// Whether the source may answer a row more than once.
    repeats: bool,
    linked: bool,
}

impl DeleteExecution {
    pub(crate) fn new(delete: &Delete, source: BoxOperator) -> Result<Self> {
        Ok(Self {
            source: Source::new(source, is_streamed(&delete.source, false)),
            format: TableFormat::new(&delete.table)?,
            returning: delete.returning.clone(),
            tells_deleter: delete.tells_deleter(),
            repeats: delete.source.width() > delete.table.columns.len(),
            linked: delete.linked,
        })
    }

    /// Removes all rows.
    pub(crate) async fn run(&mut self, cx: &mut Context<'_>) -> Result<Outcome> {
        self.change(cx).await?.settled(cx).await
    }

    /// The same, with what it owes to other tables left to be settled.
    pub(super) async fn change(&mut self, cx: &mut Context<'_>) -> Result<Changed> {
        let mut outcome = Outcome::default();
        let mut seen: HashSet<Bytes> = HashSet::new();
        let width = self.format.table.columns.len();
        let mut references = match self.linked {
            true => References::new(cx, &self.format.table)?,
            false => None,
        };
        while let Some(rows) = self.source.next(cx).await? {
            let mut gone = Vec::with_capacity(rows.len());
            for mut row in rows {
                let own = row.get(..width).ok_or_else(misfit)?;
                if self.repeats || cx.held_back.is_some() {
                    let key = self.format.primary.row_key(&self.format.primary_columns(own)?);
                    if is_changed(cx, &key) || !note_seen(cx, &mut seen, &key)? {
                        continue;
                    }
                }
                if self.tells_deleter {
                    row.push(own_number(cx));
                }
                outcome.note(cx, self.returning.as_deref(), &row).await?;
                row.truncate(width);
                if let Some(references) = &mut references {
                    references.deleted(cx, &row)?;
                }
                gone.push(row);
                cx.tick(1).await?;
            }
            delete_rows(cx, &self.format, &gone).await?;
            cx.account_writes().await?;
        }
        Ok(Changed { outcome, owed: references })
    }

    pub(crate) fn rewind(&mut self, cx: &mut Context<'_>) {
        self.source.rewind(cx);
    }
}
