//! UPDATE of one row by its primary key: the encoded row is patched, index entries follow where their columns changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use expr::{Datum, Expr, Row};

use super::PointOutcome;
use super::target::{LockedRow, Target};
use crate::catalog::writer::WRITER_COLUMN;
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::rows::{IndexFormat, RowReader, TableFormat};
use crate::execute::write::{KeyState, check_row, duplicate, misfit};
use crate::plan::{Assignment, PointScan, RowRules, Update};

/// An UPDATE of one row.
pub(crate) struct PointUpdate {
    target: Target,
    format: TableFormat,
    assignments: Vec<Assigned>,
    rules: Arc<RowRules>,
    /// Which secondary indexes name assigned columns.
    indexes: Vec<usize>,
    returning: Option<Vec<Expr>>,
}

/// A column that gets a new value.
struct Assigned {
    place: usize,
    id: u32,
    not_null: bool,
    /// Whether a NULL is stored.
    keeps_null: bool,
    value: Expr,
}

impl PointUpdate {
    pub(super) fn new(point: &PointScan<'_>, update: &Update) -> Result<Self> {
        let format = TableFormat::new(&update.table)?;
        let assigned = |place: usize| update.assignments.iter().any(|assignment| assignment.column == place);
        let indexes: Vec<usize> = (0..)
            .zip(&format.secondary)
            .filter(|(_, index)| index.decided_by().any(assigned))
            .map(|(which, _)| which)
            .collect();
        let values = update.assignments.iter().map(|assignment| &assignment.value);
        let readers = values.chain(update.returning.iter().flatten());
        let mut needed: BTreeSet<usize> = readers.flat_map(Expr::columns).collect();
        needed.extend(update.rules.checks.iter().flat_map(|check| check.condition.columns()));
        let entries = indexes.iter().filter_map(|which| format.secondary.get(*which));
        needed.extend(entries.flat_map(IndexFormat::decided_by));
        let assignments = update
            .assignments
            .iter()
            .map(|Assignment { column, value }| {
                let described = update.table.columns.get(*column).ok_or_else(misfit)?;
                Ok(Assigned {
                    place: *column,
                    id: described.id,
                    not_null: described.not_null,
                    keeps_null: described.missing.is_some(),
                    value: value.clone(),
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            target: Target::new(point, &format, needed)?,
            assignments,
            rules: update.rules.clone(),
            indexes,
            returning: update.returning.clone(),
            format,
        })
    }

    /// Changes the row, if there is one.
    pub(super) async fn run(&self, cx: &mut Context<'_>) -> Result<PointOutcome> {
        let Some(locked) = self.target.lock(cx, &self.format).await? else {
            return Ok(PointOutcome::default());
        };
        let LockedRow { key, stored, row: old } = locked;
        let assignments = &self.assignments;
        let evaluate = |cx: &Context<'_>| {
            assignments.iter().map(|assigned| cx.evaluate(&assigned.value, &old)).collect::<Result<Vec<_>>>()
        };
        let values = cx.settled(evaluate).await?;
        self.check_row(cx, &key, &stored, &old, &values)?;
        let mut changes: Vec<(u32, Option<&Datum>)> = (self.assignments.iter().zip(&values))
            .map(|(assigned, value)| {
                (assigned.id, Some(value).filter(|value| assigned.keeps_null || !value.is_null()))
            })
            // Who has written the row so far is not who writes it now.
            .chain(std::iter::once((WRITER_COLUMN, None)))
            .collect();
        changes.sort_unstable_by_key(|(id, _)| *id);
        let patched = expr::row::patch_row(&stored, self.format.table.schema_version, &changes)?;
        let new = match self.indexes.is_empty() && self.returning.is_none() {
            true => Row::new(),
            false => self.assign(old.clone(), values)?,
        };
        if self.change_entries(cx, &key, &stored, &old, &new).await? {
            cx.transaction.put(key, patched.into());
        } else {
            cx.transaction.put_keeping_key(key, patched.into());
        }
        cx.account_writes().await?;
        cx.used.of(self.format.table.oid).updated += 1;
        PointOutcome::written(cx, self.returning.as_deref(), &new).await
    }

    fn assign(&self, mut row: Row, values: Vec<Datum>) -> Result<Row> {
        for (assigned, value) in self.assignments.iter().zip(values) {
            *row.get_mut(assigned.place).ok_or_else(misfit)? = value;
        }
        Ok(row)
    }

    /// 23502 if a column is to become NULL that must not, 23514 if a check is false; the message tells the whole row.
    fn check_row(
        &self,
        cx: &Context<'_>,
        key: &Bytes,
        stored: &Bytes,
        old: &Row,
        values: &[Datum],
    ) -> Result<()> {
        let refused = |(assigned, value): (&Assigned, &Datum)| assigned.not_null && value.is_null();
        let mut fails = self.assignments.iter().zip(values).any(refused);
        if !fails && !self.rules.checks.is_empty() {
            let new = self.assign(old.clone(), values.to_vec())?;
            for check in &self.rules.checks {
                fails |= matches!(cx.evaluate(&check.condition, &new)?, Datum::Bool(false));
            }
        }
        if !fails {
            return Ok(());
        }
        let row = RowReader::whole(&self.format)?.read(key, stored)?;
        check_row(cx, &self.format.table, &self.rules, &self.assign(row, values.to_vec())?)
    }

    /// Moves the entries of indexes whose columns changed; whether a unique one's did.
    async fn change_entries(
        &self,
        cx: &mut Context<'_>,
        key: &Bytes,
        stored: &Bytes,
        old: &[Datum],
        new: &[Datum],
    ) -> Result<bool> {
        let mut moved = Vec::new();
        let mut locks = Vec::new();
        for which in &self.indexes {
            let index = self.format.secondary.get(*which).ok_or_else(misfit)?;
            if !index.differs(old, new) {
                continue;
            }
            let columns = self.format.primary.columns_of(key)?;
            let gone = self.format.entry(index, old, columns)?;
            let come = self.format.entry(index, new, columns)?;
            if matches!((&gone, &come), (Some(gone), Some(come)) if gone.key == come.key) {
                continue;
            }
            let exclusive = [&gone, &come].into_iter().flatten().filter(|entry| entry.exclusive);
            locks.extend(exclusive.map(|entry| entry.key.clone()));
            moved.push((index, gone, come));
        }
        if moved.is_empty() {
            return Ok(false);
        }
        let changes_key = moved.iter().any(|(index, ..)| index.is_referable());
        let mut state = KeyState::default();
        state.lock(cx, locks).await?;
        for (_, gone, _) in &moved {
            if let Some(gone) = gone {
                state.delete(cx, gone.key.clone());
            }
        }
        for (index, _, come) in moved {
            let Some(come) = come else { continue };
            if come.exclusive && state.get(&come.key).is_some() {
                let mut whole = RowReader::whole(&self.format)?.read(key, stored)?;
                for assigned in &self.assignments {
                    let value = new.get(assigned.place).ok_or_else(misfit)?;
                    whole.get_mut(assigned.place).ok_or_else(misfit)?.clone_from(value);
                }
                return Err(duplicate(cx, &self.format.table, index, &whole));
            }
            state.put(cx, come.key, come.value);
        }
        Ok(changes_key)
    }
}
