//! INSERT, and the sink that COPY shares with it.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use expr::{Datum, Expr, Row};

use super::changes::{Change, write_changes};
use super::constraint::{complete_guarded_row, duplicate};
use super::{
    Changed, Guards, KeyState, Outcome, References, Source, WRITE_BATCH_ROWS, is_changed, misfit, note_seen,
    reads_other_tables_only,
};
use crate::catalog::IndexId;
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::key_block::KeyBlock;
use crate::execute::operators::BoxOperator;
use crate::execute::rows::{Entry, IndexFormat, RowReader, TableFormat};
use crate::execute::writers::{Writers, own_number};
use crate::plan::{Assignment, ConflictAction, Insert, OnConflict, RowGuard, RowRules};

/// An INSERT under way.
pub(crate) struct InsertExecution {
    source: Source,
    sink: InsertSink,
}

impl InsertExecution {
    pub(crate) fn new(insert: &Insert, source: BoxOperator) -> Result<Self> {
        let streamed = reads_other_tables_only(&insert.source, &insert.table);
        let format = TableFormat::new(&insert.table)?;
        let all: Vec<usize> = (0..insert.table.columns.len()).collect();
        Ok(Self {
            source: Source::new(source, streamed),
            sink: InsertSink {
                writers: Writers::new(&format, &all)?,
                tells_changer: insert.tells_changer(),
                format,
                row_id: insert.table.row_id(),
                rules: insert.rules.clone(),
                guards: Guards::new(&insert.guards)?,
                conflict_guards: Guards::new(conflict_guards(insert))?,
                linked: insert.linked,
                references: None,
                on_conflict: insert.on_conflict.clone(),
                returning: insert.returning.clone(),
                touched: HashSet::new(),
            },
        })
    }

    /// Writes all rows.
    pub(crate) async fn run(&mut self, cx: &mut Context<'_>) -> Result<Outcome> {
        self.change(cx).await?.settled(cx).await
    }

    /// The same, with what it owes to other tables left to be settled.
    pub(super) async fn change(&mut self, cx: &mut Context<'_>) -> Result<Changed> {
        self.sink.touched.clear();
        let mut outcome = Outcome::default();
        self.sink.begin(cx)?;
        while let Some(rows) = self.source.next(cx).await? {
            self.sink.write(cx, rows, &mut outcome).await?;
        }
        Ok(Changed { outcome, owed: self.sink.references.take() })
    }

    pub(crate) fn rewind(&mut self, cx: &mut Context<'_>) {
        self.sink.touched = HashSet::new();
        self.sink.references = None;
        self.source.rewind(cx);
    }
}

/// Writes new rows.
pub(crate) struct InsertSink {
    pub(crate) format: TableFormat,
    row_id: Option<usize>,
    rules: Arc<RowRules>,
    /// Of new rows.
    guards: Guards,
    /// Of rows that ON CONFLICT changes.
    conflict_guards: Guards,
    linked: bool,
    references: Option<References>,
    on_conflict: Option<OnConflict>,
    returning: Option<Vec<Expr>>,
    /// Whether RETURNING asks who has changed a row.
    tells_changer: bool,
    /// Who has written the rows that are there, if ON CONFLICT asks for that.
    writers: Option<Writers>,
    /// Keys of the rows that this statement inserted or changed; kept for ON CONFLICT DO UPDATE alone.
    touched: HashSet<Bytes>,
}

/// A new row with its keys.
struct NewRow {
    row: Row,
    key: Bytes,
    /// One per secondary index, if that has one.
    entries: Vec<Option<Entry>>,
}

impl InsertSink {
    /// The same, of rows that are judged.
    pub(super) fn guarded(self, guards: Guards) -> Self {
        Self { guards, ..self }
    }

    /// A sink that takes rows as they are and refuses duplicates.
    pub(crate) fn plain(format: TableFormat, rules: Arc<RowRules>) -> Self {
        let row_id = format.table.row_id();
        Self {
            format,
            row_id,
            rules,
            guards: Guards::default(),
            conflict_guards: Guards::default(),
            linked: true,
            references: None,
            on_conflict: None,
            returning: None,
            tells_changer: false,
            writers: None,
            touched: HashSet::new(),
        }
    }

    /// Before the first row.
    pub(crate) fn begin(&mut self, cx: &Context<'_>) -> Result<()> {
        self.references = if self.linked { References::new(cx, &self.format.table)? } else { None };
        Ok(())
    }

    /// After the last row: what they owe to other tables.
    pub(crate) async fn settle(&mut self, cx: &mut Context<'_>) -> Result<()> {
        match self.references.take() {
            Some(references) => references.settle(cx).await,
            None => Ok(()),
        }
    }

    /// What the rows so far owe to other tables.
    pub(super) fn references(&mut self) -> &mut Option<References> {
        &mut self.references
    }

    /// Writes rows: all columns of the table each, a NULL in place of a hidden row id.
    pub(crate) async fn write(
        &mut self,
        cx: &mut Context<'_>,
        rows: Vec<Row>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let mut rows = rows.into_iter();
        loop {
            let batch: Vec<Row> = rows.by_ref().take(WRITE_BATCH_ROWS).collect();
            if batch.is_empty() {
                return Ok(());
            }
            self.write_batch(cx, batch, outcome).await?;
        }
    }

    async fn write_batch(
        &mut self,
        cx: &mut Context<'_>,
        mut rows: Vec<Row>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        if let Some(place) = self.row_id {
            let first = cx.row_ids.take(cx.client, cx.catalog.version(), rows.len() as u64).await?;
            for (id, row) in (first..).zip(&mut rows) {
                *row.get_mut(place).ok_or_else(misfit)? = Datum::Int8(id);
            }
        }
        let pieces = self.format.secondary.len().saturating_add(1).saturating_mul(2);
        let mut block = KeyBlock::for_pieces(rows.len().saturating_mul(pieces));
        let mut new = Vec::with_capacity(rows.len());
        let mut keys = Vec::with_capacity(rows.len());
        for mut row in rows {
            let (table, rules) = (&self.format.table, &self.rules);
            complete_guarded_row(cx, table, rules, &mut self.guards, &mut row).await?;
            let row = self.new_row(row, &mut block)?;
            if self.row_id.is_none() {
                keys.push(row.key.clone());
            }
            let exclusive = row.entries.iter().flatten().filter(|entry| entry.exclusive);
            keys.extend(exclusive.map(|entry| entry.key.clone()));
            new.push(row);
            cx.tick(1).await?;
        }
        let mut state = KeyState::default();
        state.lock(cx, keys).await?;
        for row in new {
            self.write_row(cx, &mut state, &mut block, row, outcome).await?;
            cx.tick(1).await?;
        }
        cx.account_writes().await
    }

    fn new_row(&self, row: Row, block: &mut KeyBlock) -> Result<NewRow> {
        if row.len() != self.format.table.columns.len() {
            return Err(misfit());
        }
        let format = &self.format;
        let key = block.row_key(format, &row)?;
        let columns = format.primary.columns_of(&key)?;
        let entries = format
            .secondary
            .iter()
            .map(|index| block.entry(format, index, &row, columns))
            .collect::<Result<Vec<_>>>()?;
        Ok(NewRow { row, key, entries })
    }

    async fn write_row(
        &mut self,
        cx: &mut Context<'_>,
        state: &mut KeyState,
        block: &mut KeyBlock,
        new: NewRow,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let conflict = self.conflict(state, &new)?;
        if let Some((index, existing)) = conflict {
            let Some(on_conflict) = self.on_conflict.as_ref().filter(|clause| is_meant(clause, index.id))
            else {
                return Err(duplicate(cx, &self.format.table, index, &new.row));
            };
            return match &on_conflict.action {
                ConflictAction::Nothing => Ok(()),
                ConflictAction::Update { assignments, filter, .. } => {
                    let (assignments, filter) = (assignments.clone(), filter.clone());
                    self.update_existing(cx, state, new, existing, &assignments, filter.as_ref(), outcome)
                        .await
                }
            };
        }
        let value = block.value(&self.format, &new.row)?;
        if self.updates_on_conflict() {
            note_seen(cx, &mut self.touched, &new.key)?;
        }
        if let Some(references) = &mut self.references {
            references.inserted(cx, &new.row)?;
        }
        state.put(cx, new.key, value);
        for entry in new.entries.into_iter().flatten() {
            state.put(cx, entry.key, entry.value);
        }
        self.guards.judge_written(cx, &self.format.table, &new.row).await?;
        cx.used.of(self.format.table.oid).inserted += 1;
        let mut row = new.row;
        if self.tells_changer {
            row.push(Datum::Oid(0));
        }
        outcome.note(cx, self.returning.as_deref(), &row).await
    }

    fn updates_on_conflict(&self) -> bool {
        matches!(&self.on_conflict, Some(OnConflict { action: ConflictAction::Update { .. }, .. }))
    }

    /// The unique index in which the row collides, and the primary key's columns of the row that is there. Those that
    /// ON CONFLICT means are judged first: what it does may leave nothing to collide in the others. Else the first of
    /// the table's, its primary key before all.
    fn conflict(&self, state: &KeyState, new: &NewRow) -> Result<Option<(&IndexFormat, Vec<u8>)>> {
        let mut first = None;
        let own = &self.format.primary;
        let primary = match self.row_id.is_none() && state.get(&new.key).is_some() {
            true => Some((own, own.columns_of(&new.key)?)),
            false => None,
        };
        let secondary = self.format.secondary.iter().zip(&new.entries).filter_map(|(index, entry)| {
            let entry = entry.as_ref().filter(|entry| entry.exclusive)?;
            let value = state.get(&entry.key)?;
            Some((index, value.as_ref()))
        });
        for (index, existing) in primary.into_iter().chain(secondary) {
            if self.on_conflict.as_ref().is_some_and(|clause| is_meant(clause, index.id)) {
                return Ok(Some((index, existing.to_vec())));
            }
            first = first.or(Some((index, existing)));
        }
        Ok(first.map(|(index, existing)| (index, existing.to_vec())))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one ON CONFLICT clause")]
    async fn update_existing(
        &mut self,
        cx: &mut Context<'_>,
        state: &mut KeyState,
        new: NewRow,
        existing: Vec<u8>,
        assignments: &[Assignment],
        filter: Option<&Expr>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let key = self.format.primary.row_key(&existing);
        if self.touched.contains(&key) || is_changed(cx, &key) {
            return Err(Error::new(
                "21000",
                "ON CONFLICT DO UPDATE command cannot affect row a second time",
            )
            .hint(
                "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
            ));
        }
        state.lock(cx, vec![key.clone()]).await?;
        let Some(value) = state.get(&key) else {
            return Err(Error::new("XX001", "an index entry does not lead to a row"));
        };
        let mut old = RowReader::whole(&self.format)?.read(&key, value)?;
        if let Some(writers) = &self.writers {
            writers.put_locked(cx, &key, value, &mut old)?;
        }
        let mut pair = old.clone();
        pair.extend(new.row);
        if !cx.settled(|cx| cx.holds_if_any(filter, &pair)).await? {
            return Ok(());
        }
        self.conflict_guards.judge_old(cx, &self.format.table, &old).await?;
        let mut row = old.clone();
        for assignment in assignments {
            *row.get_mut(assignment.column).ok_or_else(misfit)? =
                cx.settled(|cx| cx.evaluate(&assignment.value, &pair)).await?;
        }
        let (table, rules) = (&self.format.table, &self.rules);
        complete_guarded_row(cx, table, rules, &mut self.conflict_guards, &mut row).await?;
        let change = Change { old, new: row };
        let new_key = self.format.primary.row_key(&self.format.primary_columns(&change.new)?);
        write_changes(cx, &self.format, state, std::slice::from_ref(&change)).await?;
        self.conflict_guards.judge_written(cx, &self.format.table, &change.new).await?;
        if let Some(references) = &mut self.references {
            references.updated(cx, &change.old, &change.new)?;
        }
        note_seen(cx, &mut self.touched, &new_key)?;
        let mut row = change.new;
        if self.tells_changer {
            row.push(own_number(cx));
        }
        outcome.note(cx, self.returning.as_deref(), &row).await
    }
}

/// What judges the rows that ON CONFLICT changes.
fn conflict_guards(insert: &Insert) -> &[RowGuard] {
    match insert.on_conflict.as_ref().map(|clause| &clause.action) {
        Some(ConflictAction::Update { guards, .. }) => guards,
        Some(ConflictAction::Nothing) | None => &[],
    }
}

/// Whether ON CONFLICT speaks of this index.
fn is_meant(clause: &OnConflict, index: IndexId) -> bool {
    clause.arbiters.as_ref().is_none_or(|arbiters| arbiters.contains(&index))
}
