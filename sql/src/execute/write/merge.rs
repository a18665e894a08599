//! MERGE.
//!
//! Rows of the source come with the row of the table that goes with them. What is to be changed is locked, which reads its
//! newest version: where that is another one, it is judged anew whether the two go together, and what is to be done.

use std::collections::HashSet;

use bytes::Bytes;
use expr::{Datum, Row};

use super::changes::{Change, write_changes};
use super::constraint::complete_guarded_row;
use super::removal::delete_rows;
use super::{
    Changed, Guards, InsertSink, KeyState, Outcome, References, Source, is_changed, misfit, note_seen,
};
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::lock::lock_rows;
use crate::execute::operators::BoxOperator;
use crate::execute::rows::{RowReader, TableFormat};
use crate::execute::writers::Writers;
use crate::plan::{LockStrength, LockWait, Merge, MergeAction, MergeWhen, RowLock};

/// A MERGE under way.
pub(crate) struct MergeExecution {
    source: Source,
    merge: Merge,
    format: TableFormat,
    reader: RowReader,
    /// Who has written the table's rows, if that is asked for.
    writers: Option<Writers>,
    sink: InsertSink,
    guards: Judges,
}

/// What judges the rows of the table.
struct Judges {
    update: Guards,
    delete: Guards,
    seen: Guards,
}

/// What a batch does to the table.
#[derive(Default)]
struct Batch {
    gone: Vec<Row>,
    changes: Vec<Change>,
    new: Vec<Row>,
}

impl MergeExecution {
    pub(crate) fn new(merge: &Merge, source: BoxOperator) -> Result<Self> {
        let format = TableFormat::new(&merge.table)?;
        let all: Vec<usize> = (0..merge.table.columns.len()).collect();
        Ok(Self {
            writers: Writers::new(&format, &all)?,
            source: Source::new(source, false),
            merge: merge.clone(),
            reader: RowReader::whole(&format)?,
            sink: InsertSink::plain(TableFormat::new(&merge.table)?, merge.rules.clone())
                .guarded(Guards::new(&merge.guards.insert)?),
            guards: Judges {
                update: Guards::new(&merge.guards.update)?,
                delete: Guards::new(&merge.guards.delete)?,
                seen: Guards::new(&merge.guards.seen)?,
            },
            format,
        })
    }

    /// Does all of it.
    pub(crate) async fn run(&mut self, cx: &mut Context<'_>) -> Result<Outcome> {
        self.change(cx).await?.settled(cx).await
    }

    /// The same, with what it owes to other tables left to be settled.
    pub(super) async fn change(&mut self, cx: &mut Context<'_>) -> Result<Changed> {
        let mut outcome = Outcome::default();
        let mut seen: HashSet<Bytes> = HashSet::new();
        self.sink.begin(cx)?;
        while let Some(rows) = self.source.next(cx).await? {
            let batch = self.decided(cx, rows, &mut seen).await?;
            self.write(cx, batch, &mut outcome).await?;
        }
        Ok(Changed { outcome, owed: self.sink.references().take() })
    }

    /// What is to be done with rows.
    async fn decided(
        &mut self,
        cx: &mut Context<'_>,
        rows: Vec<Row>,
        seen: &mut HashSet<Bytes>,
    ) -> Result<Batch> {
        let mut batch = Batch::default();
        let mut locking: Vec<(Bytes, Row)> = Vec::new();
        for row in rows {
            match Self::action(&self.merge, cx, &row).await? {
                Some(MergeAction::Update(_) | MergeAction::Delete) => {
                    let own = self.target(&row)?;
                    let key = self.format.primary.row_key(&self.format.primary_columns(own)?);
                    locking.push((key, row));
                }
                Some(MergeAction::Insert(_)) => self.act(cx, &row, &mut batch).await?,
                Some(MergeAction::Nothing) | None => {}
            }
            cx.tick(1).await?;
        }
        let lock = RowLock { strength: LockStrength::Exclusive, wait: LockWait::Block };
        let keys: Vec<Bytes> = locking.iter().map(|(key, _)| key.clone()).collect();
        let locked = lock_rows(cx, lock, &self.merge.table.name, keys).await?;
        cx.account_writes().await?;
        for ((key, mut row), locked) in locking.into_iter().zip(locked) {
            if is_changed(cx, &key) {
                return Err(a_second_time());
            }
            if locked.changed {
                self.renew(cx, &mut row, &key, locked.value.as_ref()).await?;
            }
            let changes = matches!(
                Self::action(&self.merge, cx, &row).await?,
                Some(MergeAction::Update(_) | MergeAction::Delete)
            );
            if changes && !note_seen(cx, seen, &key)? {
                return Err(a_second_time());
            }
            self.act(cx, &row, &mut batch).await?;
            cx.tick(1).await?;
        }
        Ok(batch)
    }

    /// Puts the newest version of the table's row in the place of the one that was read, or none.
    async fn renew(
        &mut self,
        cx: &mut Context<'_>,
        row: &mut Row,
        key: &Bytes,
        value: Option<&Bytes>,
    ) -> Result<()> {
        if self.merge.asks {
            // What its subqueries were asked about is not there any more.
            return Err(client::Error::Serialization { key: key.clone() }.into());
        }
        let width = self.format.table.columns.len();
        let mut newest = match value {
            Some(value) => Some(self.reader.read(key, value)?),
            None => None,
        };
        if let (Some(writers), Some(value), Some(newest)) = (&self.writers, value, &mut newest) {
            writers.put_locked(cx, key, value, newest)?;
        }
        let places = row.iter_mut().skip(self.merge.target_at).take(width.saturating_add(1));
        let none = vec![Datum::Null; width];
        let values = newest.as_ref().unwrap_or(&none).iter().cloned();
        let flag = if newest.is_some() { Datum::Bool(true) } else { Datum::Null };
        for (place, value) in places.zip(values.chain([flag])) {
            *place = value;
        }
        let Some(newest) = newest else { return Ok(()) };
        let is_seen = self.guards.seen.hold(cx, &newest).await?;
        if !is_seen || !cx.settled(|cx| cx.holds(&self.merge.condition, row)).await? {
            for place in row.iter_mut().skip(self.merge.target_at).take(width.saturating_add(1)) {
                *place = Datum::Null;
            }
        }
        Ok(())
    }

    fn target<'r>(&self, row: &'r Row) -> Result<&'r [Datum]> {
        let from = self.merge.target_at;
        row.get(from..from.saturating_add(self.format.table.columns.len())).ok_or_else(misfit)
    }

    /// What the first WHEN says whose condition holds.
    async fn action<'m>(
        merge: &'m Merge,
        cx: &mut Context<'_>,
        row: &Row,
    ) -> Result<Option<&'m MergeAction>> {
        let flag = merge.target_at.saturating_add(merge.table.columns.len());
        let is_matched = row.get(flag).is_some_and(|flag| !flag.is_null());
        for MergeWhen { matched, condition, action } in &merge.whens {
            if *matched == is_matched && cx.settled(|cx| cx.holds_if_any(condition.as_ref(), row)).await? {
                return Ok(Some(action));
            }
        }
        Ok(None)
    }

    async fn act(&mut self, cx: &mut Context<'_>, row: &Row, batch: &mut Batch) -> Result<()> {
        let table = &self.format.table;
        match Self::action(&self.merge, cx, row).await? {
            Some(MergeAction::Update(assignments)) => {
                let old = self.target(row)?.to_vec();
                self.guards.update.judge_old(cx, table, &old).await?;
                let mut new = old.clone();
                for assignment in assignments {
                    *new.get_mut(assignment.column).ok_or_else(misfit)? =
                        cx.settled(|cx| cx.evaluate(&assignment.value, row)).await?;
                }
                let rules = &self.merge.rules;
                complete_guarded_row(cx, table, rules, &mut self.guards.update, &mut new).await?;
                batch.changes.push(Change { old, new });
            }
            Some(MergeAction::Delete) => {
                let old = self.target(row)?.to_vec();
                self.guards.delete.judge_old(cx, table, &old).await?;
                batch.gone.push(old);
            }
            Some(MergeAction::Insert(values)) => {
                batch.new.push(cx.settled_all(values, row).await?);
            }
            Some(MergeAction::Nothing) | None => {}
        }
        Ok(())
    }

    async fn write(&mut self, cx: &mut Context<'_>, batch: Batch, outcome: &mut Outcome) -> Result<()> {
        let Batch { gone, changes, new } = batch;
        let count = gone.len().saturating_add(changes.len());
        outcome.count = outcome.count.saturating_add(count as u64);
        if let Some(references) = self.sink.references() {
            note(cx, references, &gone, &changes)?;
        }
        delete_rows(cx, &self.format, &gone).await?;
        write_changes(cx, &self.format, &mut KeyState::default(), &changes).await?;
        cx.account_writes().await?;
        self.sink.write(cx, new, outcome).await
    }

    pub(crate) fn rewind(&mut self, cx: &mut Context<'_>) {
        *self.sink.references() = None;
        self.source.rewind(cx);
    }
}

/// 21000: a row is to be changed that this statement has changed, by another row of the source or in another part of it.
fn a_second_time() -> Error {
    Error::new("21000", "MERGE command cannot affect row a second time")
        .hint("Ensure that not more than one source row matches any one target row.")
}

fn note(cx: &mut Context<'_>, references: &mut References, gone: &[Row], changes: &[Change]) -> Result<()> {
    for row in gone {
        references.deleted(cx, row)?;
    }
    for change in changes {
        references.updated(cx, &change.old, &change.new)?;
    }
    Ok(())
}
