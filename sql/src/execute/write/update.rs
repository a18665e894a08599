//! UPDATE: rows that change, and their index entries.

use std::collections::HashSet;

use bytes::Bytes;
use expr::{Expr, Row};

use super::constraint::{check_not_null, duplicate};
use super::{KeyState, Outcome, Source, WRITE_BATCH_ROWS, is_streamed, misfit, note_seen};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::row_bytes;
use crate::execute::operators::build;
use crate::execute::rows::{Entry, IndexFormat, TableFormat};
use crate::plan::{Assignment, Update};

/// An UPDATE under way.
pub(crate) struct UpdateExecution {
    source: Source,
    format: TableFormat,
    assignments: Vec<Assignment>,
    returning: Option<Vec<Expr>>,
    /// Whether the source may answer a row more than once.
    repeats: bool,
    /// Whether columns of unique keys are assigned: then all changes are gathered before the first is written, and keys
    /// are judged at the end of the statement, however many rows it has.
    passes_keys_on: bool,
}

/// A row before and after.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) old: Row,
    pub(crate) new: Row,
}

impl UpdateExecution {
    pub(crate) fn new(update: &Update) -> Result<Self> {
        let format = TableFormat::new(&update.table)?;
        let assigns = |index: &IndexFormat| {
            let assigned =
                |place: usize| update.assignments.iter().any(|assignment| assignment.column == place);
            index.columns.iter().any(|key| assigned(key.place))
        };
        let moves_rows = assigns(&format.primary);
        let passes_keys_on =
            moves_rows || format.secondary.iter().any(|index| index.unique && assigns(index));
        Ok(Self {
            passes_keys_on,
            source: Source::new(build(&update.source)?, is_streamed(&update.source, moves_rows)),
            repeats: update.source.width() > update.table.columns.len(),
            format,
            assignments: update.assignments.clone(),
            returning: update.returning.clone(),
        })
    }

    /// Changes all rows.
    pub(crate) async fn run(&mut self, cx: &mut Context<'_>) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut seen: HashSet<Bytes> = HashSet::new();
        let mut gathered = (Vec::new(), Vec::new());
        let width = self.format.table.columns.len();
        while let Some(rows) = self.source.next(cx).await? {
            let mut changes = Vec::with_capacity(rows.len());
            let mut beside: Vec<Row> = Vec::new();
            for mut row in rows {
                if self.repeats {
                    let key = self.format.primary.row_key(&self.format.primary_columns(&row)?);
                    if !note_seen(cx, &mut seen, &key)? {
                        continue;
                    }
                }
                let mut new = row.get(..width).ok_or_else(misfit)?.to_vec();
                for assignment in &self.assignments {
                    *new.get_mut(assignment.column).ok_or_else(misfit)? =
                        cx.evaluate(&assignment.value, &row)?;
                }
                check_not_null(cx, &self.format.table, &new)?;
                if self.returning.is_some() {
                    beside.push(row.split_off(width));
                } else {
                    row.truncate(width);
                }
                changes.push(Change { old: row, new });
                cx.tick(1).await?;
            }
            if !self.passes_keys_on {
                self.write(cx, changes, beside, &mut outcome).await?;
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
            self.write(cx, changes, beside, &mut outcome).await?;
        }
        Ok(outcome)
    }

    async fn write(
        &self,
        cx: &mut Context<'_>,
        changes: Vec<Change>,
        beside: Vec<Row>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let mut state = KeyState::default();
        write_changes(cx, &self.format, &mut state, &changes).await?;
        cx.account_writes().await?;
        if self.returning.is_none() {
            outcome.count = outcome.count.saturating_add(changes.len() as u64);
            return Ok(());
        }
        for (change, beside) in changes.into_iter().zip(beside) {
            let mut row = change.new;
            row.extend(beside);
            outcome.note(cx, self.returning.as_deref(), &row)?;
        }
        Ok(())
    }

    pub(crate) fn rewind(&mut self, cx: &mut Context<'_>) {
        self.source.rewind(cx);
    }
}

/// What one change does to keys.
#[derive(Default)]
struct KeyChanges {
    /// The row's key and value, if it stays where it is and its unique keys are what they were.
    kept: Option<(Bytes, Bytes)>,
    deletes: Vec<Bytes>,
    /// Key, value, and the index (0 = primary, from 1 the secondary ones) in which it must not be taken.
    puts: Vec<(Bytes, Bytes, Option<usize>)>,
}

impl KeyChanges {
    /// What they take, with what is noted of their keys when they are written.
    fn bytes(&self) -> usize {
        /// What a key takes beside its bytes: in the list of changes, in the state of the keys.
        const KEY_BYTES: usize = 160;
        let deletes = self.deletes.iter().map(Bytes::len);
        let puts = self.puts.iter().map(|(key, value, _)| key.len().saturating_add(value.len()));
        let kept = self.kept.iter().map(|(key, value)| key.len().saturating_add(value.len()));
        deletes
            .chain(puts)
            .chain(kept)
            .fold(0, |sum, bytes| sum.saturating_add(KEY_BYTES).saturating_add(bytes))
    }
}

/// Writes changed rows whose old versions are locked: first everything old goes, then everything new comes, so that
/// values may be passed around within the statement.
pub(crate) async fn write_changes(
    cx: &mut Context<'_>,
    format: &TableFormat,
    state: &mut KeyState,
    changes: &[Change],
) -> Result<()> {
    let mut planned = Vec::with_capacity(changes.len());
    let mut locks = Vec::new();
    let mut bytes = 0_usize;
    for change in changes {
        let keys = key_changes(format, change, &mut locks)?;
        cx.memory.reserve(keys.bytes())?;
        bytes = bytes.saturating_add(keys.bytes());
        planned.push(keys);
        cx.tick(1).await?;
    }
    state.lock(cx, locks).await?;
    let mut written = 0_usize;
    for keys in &mut planned {
        for key in std::mem::take(&mut keys.deletes) {
            state.delete(cx, key);
            cx.tick(1).await?;
        }
        written = written.saturating_add(1);
        if written.is_multiple_of(WRITE_BATCH_ROWS) {
            cx.account_writes().await?;
        }
    }
    for (change, keys) in changes.iter().zip(planned) {
        if let Some((key, value)) = keys.kept {
            state.put_keeping_key(cx, key, value);
            cx.tick(1).await?;
        }
        for (key, value, exclusive) in keys.puts {
            if let Some(index) = exclusive
                && state.get(&key).is_some()
            {
                let index = match index.checked_sub(1) {
                    None => &format.primary,
                    Some(place) => format.secondary.get(place).ok_or_else(misfit)?,
                };
                return Err(duplicate(cx, &format.table, index, &change.new));
            }
            state.put(cx, key, value);
            cx.tick(1).await?;
        }
        written = written.saturating_add(1);
        if written.is_multiple_of(WRITE_BATCH_ROWS) {
            cx.account_writes().await?;
        }
    }
    cx.memory.release(bytes);
    Ok(())
}

fn key_changes(format: &TableFormat, change: &Change, locks: &mut Vec<Bytes>) -> Result<KeyChanges> {
    let mut keys = KeyChanges::default();
    let old_columns = format.primary_columns(&change.old)?;
    let moved = format.primary.differs(&change.old, &change.new);
    let new_columns = if moved { format.primary_columns(&change.new)? } else { old_columns.clone() };
    let new_key = format.primary.row_key(&new_columns);
    if moved {
        keys.deletes.push(format.primary.row_key(&old_columns));
        locks.push(new_key.clone());
    }
    let value = format.value(&change.new)?;
    let changes = |index: &IndexFormat| index.unique && index.differs(&change.old, &change.new);
    if moved || format.secondary.iter().any(changes) {
        keys.puts.push((new_key, value, moved.then_some(0)));
    } else {
        keys.kept = Some((new_key, value));
    }
    for (place, index) in format.secondary.iter().enumerate() {
        if !moved && !index.differs(&change.old, &change.new) {
            continue;
        }
        let old = format.entry(index, &change.old, &old_columns)?;
        let Entry { key, value, exclusive } = format.entry(index, &change.new, &new_columns)?;
        if old.key == key {
            // The row moved and its entry stays: it leads elsewhere now.
            keys.puts.push((key, value, None));
            continue;
        }
        if old.exclusive {
            locks.push(old.key.clone());
        }
        keys.deletes.push(old.key);
        if exclusive {
            locks.push(key.clone());
        }
        keys.puts.push((key, value, exclusive.then_some(place.saturating_add(1))));
    }
    Ok(keys)
}
