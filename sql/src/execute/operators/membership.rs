//! `x IN (SELECT …)` where the subquery does not depend on the row: its values are hashed once.

use std::collections::HashSet;

use expr::operators::{Comparison, comparison};
use expr::types::Order;
use expr::{Datum, Expr, Row};

use super::group::{ENTRY_BYTES, GroupKey};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::row_bytes;

/// What equality of a hash table decides: `test` is `left = right`, `right` being the subquery's only column and
/// `left` of the same type, over the outer row alone.
pub(super) fn hashable(test: &Expr, outer_width: usize) -> Option<&Expr> {
    let Expr::Call { function, args, .. } = test else { return None };
    let [left, Expr::Column { index, ty }] = args.as_slice() else { return None };
    let is_equality = comparison(*function) == Some(Comparison::Equal) && left.ty().kind == ty.kind;
    let is_over_outer = left.columns().iter().all(|column| *column < outer_width);
    // Blanks at the end of char(n) do not count for equality; they would for the hash.
    let is_hashable = ty.kind.order() == Order::Natural;
    (is_equality && is_hashable && is_over_outer && *index == outer_width).then_some(left)
}

/// The values of a subquery.
#[derive(Default)]
pub(super) struct Members {
    values: HashSet<GroupKey>,
    has_null: bool,
    bytes: usize,
}

impl Members {
    /// Adds the subquery's rows.
    pub(super) async fn add(&mut self, cx: &mut Context<'_>, rows: Vec<Row>) -> Result<()> {
        for row in rows {
            let key = GroupKey(row);
            if key.has_null() {
                self.has_null = true;
                continue;
            }
            cx.tick(1).await?;
            let bytes = row_bytes(&key.0).saturating_add(ENTRY_BYTES);
            if self.values.insert(key) {
                cx.memory.reserve(bytes)?;
                self.bytes = self.bytes.saturating_add(bytes);
            }
        }
        Ok(())
    }

    /// Whether a value is among them: NULL if that cannot be known.
    pub(super) fn contains(&self, value: Datum) -> Datum {
        if self.values.is_empty() && !self.has_null {
            return Datum::Bool(false);
        }
        if value.is_null() {
            return Datum::Null;
        }
        match (self.values.contains(&GroupKey(vec![value])), self.has_null) {
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
        let mut members = Members::default();
        for value in values {
            match value {
                Some(value) => drop(members.values.insert(GroupKey(vec![Datum::Int4(*value)]))),
                None => members.has_null = true,
            }
        }
        members
    }

    #[test]
    fn null_among_the_members_makes_absence_unknown() {
        let with_null = members(&[Some(1), None]);
        assert!(matches!(with_null.contains(Datum::Int4(1)), Datum::Bool(true)));
        assert!(with_null.contains(Datum::Int4(2)).is_null());
        let without = members(&[Some(1)]);
        assert!(matches!(without.contains(Datum::Int4(2)), Datum::Bool(false)));
        assert!(without.contains(Datum::Null).is_null());
        assert!(matches!(members(&[]).contains(Datum::Null), Datum::Bool(false)));
    }
}
