//! The keys of one side of a hash join: where they are columns they stay in their rows, else they are kept beside them.

use std::hash::Hasher;

use expr::{Datum, Expr, Row};

use super::group::GroupKey;
use super::key_table::{KeyKinds, KeyTable, columns_of};

/// How the keys of a side's rows are told. Of a row whose keys stand in it what is beside it is empty.
#[derive(Debug, Clone)]
pub(super) struct SideKeys {
    count: usize,
    kinds: KeyKinds,
    /// Where the values stand in the rows, if they do.
    columns: Option<Vec<usize>>,
}

impl SideKeys {
    /// Of the values of these expressions.
    pub(super) fn of(keys: &[Expr]) -> Self {
        Self { count: keys.len(), kinds: KeyKinds::of(keys), columns: columns_of(keys) }
    }

    /// The same, kept beside rows that are not kept themselves.
    pub(super) fn without_rows(self) -> Self {
        Self { columns: None, ..self }
    }

    /// Of keys of so many values that were made before, see [`SideKeys::key`].
    pub(super) fn made(count: usize) -> Self {
        Self { count, kinds: KeyKinds::made(count), columns: None }
    }

    /// Whether a row's key stands in it.
    pub(super) fn stand_in(&self, row: &Row) -> bool {
        self.columns.as_ref().is_some_and(|columns| columns.iter().all(|column| *column < row.len()))
    }

    /// Whether keys are kept beside their rows.
    pub(super) fn stand_beside(&self) -> bool {
        self.columns.is_none()
    }

    /// The values of a row's key.
    pub(super) fn values<'a>(
        &'a self,
        beside: &'a [Datum],
        row: &'a [Datum],
    ) -> impl Iterator<Item = &'a Datum> + Clone {
        (0..self.count).map(move |number| {
            let value = match &self.columns {
                Some(columns) => columns.get(number).and_then(|column| row.get(*column)),
                None => beside.get(number),
            };
            value.unwrap_or(&Datum::Null)
        })
    }

    /// The hash of a row's key; `None` if a NULL is in it: then nothing equals it.
    pub(super) fn hash(&self, table: &KeyTable, beside: &[Datum], row: &[Datum]) -> Option<u64> {
        let values = self.values(beside, row);
        if values.clone().any(Datum::is_null) {
            return None;
        }
        let mut hasher = table.hasher();
        self.kinds.hash(values, &mut hasher);
        Some(hasher.finish())
    }

    /// Whether a row's key is the same as that of a row of the other side.
    pub(super) fn is_same<'a, 'b>(
        &self,
        values: impl Iterator<Item = &'a Datum>,
        other: &Self,
        others: impl Iterator<Item = &'b Datum>,
    ) -> bool {
        self.kinds.is_same(values, &other.kinds, others)
    }

    /// A row's key, to be kept by itself.
    pub(super) fn key(&self, beside: Row, row: &Row) -> GroupKey {
        let values = match &self.columns {
            Some(_) => self.values(&[], row).cloned().collect(),
            None => beside,
        };
        self.kinds.key(values)
    }
}
