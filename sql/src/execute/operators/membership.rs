//! `x IN (SELECT …)` where the subquery does not depend on the row: its values are hashed once.

use std::hash::Hasher;

use expr::operators::{Comparison, comparison};
use expr::types::Order;
use expr::{Datum, Expr, Row};

use super::key_table::{KeyTable, SLOT_BYTES};
use crate::error::Result;
use crate::execute::context::Context;

/// What equality of a hash table decides: `test` is `left = right`, `right` being the subquery's only column and
/// `left` of the same type, over the outer row alone.
pub(super) fn hashable(test: &Expr, outer_width: usize) -> Option<&Expr> {
    let Expr::Call { function, args, .. } = test else { return None };
    let [left, Expr::Column { index, ty }] = args.as_slice() else { return None };
    let is_equality = comparison(*function) == Some(Comparison::Equal) && left.ty().kind == ty.kind;
    let is_over_outer = left.columns().iter().all(|column| *column < outer_width);
    // Blanks at the end of char(n) do not count for equality; they would for the hash.
    let is_hashable = matches!(ty.kind.order(), Order::Natural | Order::Hashed);
    (is_equality && is_hashable && is_over_outer && *index == outer_width).then_some(left)
}

/// The values of a subquery.
pub(super) struct Members {
    /// Each once, and their places.
    values: Vec<Datum>,
    places: KeyTable,
    has_null: bool,
    bytes: usize,
}

impl Members {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { values: Vec::new(), places: KeyTable::new(), has_null: false, bytes: 0 }
    }

    /// Adds the subquery's rows, each of one value.
    pub(super) async fn add(&mut self, cx: &mut Context<'_>, rows: Vec<Row>) -> Result<()> {
        for value in rows.into_iter().flatten() {
            cx.tick(1).await?;
            if value.is_null() {
                self.has_null = true;
                continue;
            }
            let bytes = value.size_bytes().saturating_add(size_of::<Datum>() + SLOT_BYTES);
            if self.insert(value) {
                cx.memory.reserve(bytes)?;
                self.bytes = self.bytes.saturating_add(bytes);
            }
        }
        Ok(())
    }

    /// Adds a value; false if it is there.
    fn insert(&mut self, value: Datum) -> bool {
        let hash = self.hash(&value);
        if self.find(hash, &value) {
            return false;
        }
        self.places.insert(hash, self.values.len());
        self.values.push(value);
        true
    }

    fn hash(&self, value: &Datum) -> u64 {
        let mut hasher = self.places.hasher();
        expr::group_hash(value, &mut hasher);
        hasher.finish()
    }

    fn find(&self, hash: u64, value: &Datum) -> bool {
        let is_same = |place| self.values.get(place).is_some_and(|known| expr::group_eq(known, value));
        self.places.find(hash, is_same).is_some()
    }

    /// Whether a value is among them: NULL if that cannot be known.
    pub(super) fn contains(&self, value: &Datum) -> Datum {
        if self.values.is_empty() && !self.has_null {
            return Datum::Bool(false);
        }
        if value.is_null() {
            return Datum::Null;
        }
        match (self.find(self.hash(value), value), self.has_null) {
            (true, _) => Datum::Bool(true),
            (false, true) => Datum::Null,
            (false, false) => Datum::Bool(false),
        }
    }

    /// Drops the values.
    pub(super) fn release(self, cx: &mut Context<'_>) {
        cx.memory.release(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(values: &[Option<i32>]) -> Members {
        let mut members = Members::new();
        for value in values {
            match value {
                Some(value) => drop(members.insert(Datum::Int4(*value))),
                None => members.has_null = true,
            }
        }
        members
    }

    #[test]
    fn null_among_the_members_makes_absence_unknown() {
        let with_null = members(&[Some(1), None]);
        assert!(matches!(with_null.contains(&Datum::Int4(1)), Datum::Bool(true)));
        assert!(with_null.contains(&Datum::Int4(2)).is_null());
        let without = members(&[Some(1)]);
        assert!(matches!(without.contains(&Datum::Int4(2)), Datum::Bool(false)));
        assert!(without.contains(&Datum::Null).is_null());
        assert!(matches!(members(&[]).contains(&Datum::Null), Datum::Bool(false)));
    }

    #[test]
    fn values_that_are_alike_are_kept_once() {
        let mut members = members(&[Some(1), Some(1), Some(2)]);
        assert!(!members.insert(Datum::Int8(2)));
        assert!(members.insert(Datum::Int8(3)));
        assert_eq!(members.values.len(), 3);
        assert!(matches!(members.contains(&Datum::Int2(3)), Datum::Bool(true)));
    }
}
