//! UPDATE.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use expr::{Expr, Row};

use super::changes::{Change, write_changes};
use super::constraint::complete_guarded_row;
use super::{
    Changed, Guards, KeyState, Outcome, References, Source, is_changed, is_streamed, misfit, note_seen,
};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::row_bytes;
use crate::execute::operators::BoxOperator;
use crate::execute::rows::{IndexFormat, TableFormat};
use crate::plan::{Assignment, RowRules, Update};

/// An UPDATE under way.
pub(crate) struct UpdateExecution {
    source: Source,
    format: TableFormat,
    assignments: Vec<Assignment>,
    rules: Arc<RowRules>,
    guards: Guards,
    returning: Option<Vec<Expr>>,
    /// Whether the source may answer a row more than once.
    repeats: bool,
    /// Whether columns of unique keys are assigned: then all changes are gathered before the first is written, and keys
    /// are judged at the end of the statement, however many rows it has.
    passes_keys_on: bool,
    linked: bool,
}

impl UpdateExecution {
    pub(crate) fn new(update: &Update, source: BoxOperator) -> Result<Self> {
        let format = TableFormat::new(&update.table)?;
        let assigns = |index: &IndexFormat| {
            let changed = || update.assignments.iter().chain(&update.rules.generated);
            let assigned = |place: usize| changed().any(|assignment| assignment.column == place);
            index.decided_by().any(assigned)
        };
        let moves_rows = assigns(&format.primary);
        let passes_keys_on =
            moves_rows || format.secondary.iter().any(|index| index.unique && assigns(index));
        Ok(Self {
            passes_keys_on,
            source: Source::new(source, is_streamed(&update.source, moves_rows)),
            repeats: update.source.width() > update.table.columns.len(),
            format,
            assignments: update.assignments.clone(),
            rules: update.rules.clone(),
            guards: Guards::new(&update.guards)?,
            linked: update.linked,
            returning: update.returning.clone(),
        })
    }

    /// Changes all rows.
    pub(crate) async fn run(&mut self, cx: &mut Context<'_>) -> Result<Outcome> {
        self.change(cx).await?.settled(cx).await
    }

    /// The same, with what it owes to other tables left to be settled.
    pub(super) async fn change(&mut self, cx: &mut Context<'_>) -> Result<Changed> {
        let mut outcome = Outcome::default();
        let mut seen: HashSet<Bytes> = HashSet::new();
        let mut gathered = (Vec::new(), Vec::new());
        let mut references = match self.linked {
            true => References::new(cx, &self.format.table)?,
            false => None,
        };
        let width = self.format.table.columns.len();
        while let Some(rows) = self.source.next(cx).await? {
            let mut changes = Vec::with_capacity(rows.len());
            let mut beside: Vec<Row> = Vec::new();
            for mut row in rows {
                if self.repeats || cx.held_back.is_some() {
                    let key = self.format.primary.row_key(&self.format.primary_columns(&row)?);
                    if is_changed(cx, &key) || !note_seen(cx, &mut seen, &key)? {
                        continue;
                    }
                }
                let mut new = row.get(..width).ok_or_else(misfit)?.to_vec();
                for assignment in &self.assignments {
                    *new.get_mut(assignment.column).ok_or_else(misfit)? =
                        cx.settled(|cx| cx.evaluate(&assignment.value, &row)).await?;
                }
                let (table, rules) = (&self.format.table, &self.rules);
                complete_guarded_row(cx, table, rules, &mut self.guards, &mut new).await?;
                if self.returning.is_some() {
                    beside.push(row.split_off(width));
                } else {
                    row.truncate(width);
                }
                changes.push(Change { old: row, new });
                cx.tick(1).await?;
            }
            if !self.passes_keys_on {
                self.write(cx, changes, beside, references.as_mut(), &mut outcome).await?;
                continue;
            }
            let bytes = |change: &Change| row_bytes(&change.old).saturating_add(row_bytes(&change.new));
            cx.memory.reserve(changes.iter().map(bytes).sum())?;
            cx.memory.reserve(beside.iter().map(|row| row_bytes(row)).sum())?;
            gathered.0.extend(changes);
            gathered.1.extend(beside);
        }
        if self.passes_keys_on {
            let (changes, beside) = gathered;
            self.write(cx, changes, beside, references.as_mut(), &mut outcome).await?;
        }
        Ok(Changed { outcome, owed: references })
    }

    async fn write(
        &mut self,
        cx: &mut Context<'_>,
        changes: Vec<Change>,
        beside: Vec<Row>,
        references: Option<&mut References>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let mut state = KeyState::default();
        write_changes(cx, &self.format, &mut state, &changes).await?;
        cx.account_writes().await?;
        if !self.guards.is_empty() {
            for change in &changes {
                self.guards.judge_written(cx, &self.format.table, &change.new).await?;
            }
        }
        if let Some(references) = references {
            for change in &changes {
                references.updated(cx, &change.old, &change.new)?;
            }
        }
        if self.returning.is_none() {
            outcome.count = outcome.count.saturating_add(changes.len() as u64);
            return Ok(());
        }
        for (change, beside) in changes.into_iter().zip(beside) {
            let mut row = change.new;
            row.extend(beside);
            outcome.note(cx, self.returning.as_deref(), &row).await?;
        }
        Ok(())
    }

    pub(crate) fn rewind(&mut self, cx: &mut Context<'_>) {
        self.source.rewind(cx);
    }
}
