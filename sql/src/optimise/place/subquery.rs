//! Subqueries whose answers are columns: those that nobody asks for are left out.

use super::{Placed, Placement};
use crate::error::Result;
use crate::logical::walk::{columns_free, columns_read, is_pure};
use crate::logical::{Apply, ColumnId, ColumnSet, Subquery};
use crate::optimise::condition::may_move;
use crate::plan::{self, ApplyKind};

impl Placement<'_> {
    pub(super) fn apply(&mut self, apply: Apply) -> Result<Placed> {
        let is_asked = |subquery: &Subquery| {
            let test_moves = match &subquery.kind {
                ApplyKind::Any { test } => may_move(test),
                ApplyKind::Scalar(_) | ApplyKind::Exists | ApplyKind::Array(_) => true,
            };
            self.is_wanted(subquery.column) || !test_moves || !is_pure(&subquery.rows.node)
        };
        // A later subquery may read the answer of an earlier one.
        let mut subqueries: Vec<(Subquery, Vec<ColumnId>)> = Vec::with_capacity(apply.subqueries.len());
        let mut read_later = ColumnSet::default();
        for subquery in apply.subqueries.into_iter().rev() {
            if !is_asked(&subquery) && !read_later.contains(subquery.column) {
                continue;
            }
            let free: Vec<ColumnId> = columns_free(&subquery.rows.node).iter().collect();
            read_later.extend(free.iter().copied());
            if let ApplyKind::Any { test } = &subquery.kind {
                read_later.extend(columns_read([test]));
            }
            subqueries.push((subquery, free));
        }
        let read: Vec<ColumnId> = read_later.iter().collect();
        let Placed { node, mut row } = self.below(&read, |placement| placement.node(*apply.input))?;
        if subqueries.is_empty() {
            return Ok(Placed { node, row });
        }
        let number = self.enter(&row);
        let mut placed = Vec::with_capacity(subqueries.len());
        for (subquery, free) in subqueries.into_iter().rev() {
            let column = subquery.column;
            placed.push(self.subquery(subquery, &free, row.len())?);
            self.row = number;
            self.stand(&[column], row.len());
            row.push(column);
        }
        Ok(Placed { node: plan::Node::Apply(plan::Apply { input: Box::new(node), subqueries: placed }), row })
    }

    /// A subquery beside the row at hand, which is so wide.
    fn subquery(&mut self, subquery: Subquery, free: &[ColumnId], width: usize) -> Result<plan::Subquery> {
        let Subquery { rows, kind, .. } = subquery;
        let kind = match kind {
            ApplyKind::Any { test } => {
                self.stand(&rows.columns, width);
                ApplyKind::Any { test: self.over(test)? }
            }
            kind => kind,
        };
        // Whatever the rows of EXISTS have, they are there or not.
        let exists = matches!(kind, ApplyKind::Exists);
        let (node, bindings) = self.beside(free, |placement| {
            if exists { Ok(placement.node(rows.node)?.node) } else { placement.output(rows) }
        })?;
        Ok(plan::Subquery { node, bindings, kind })
    }
}
