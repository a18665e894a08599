//! Pairs of rows: which columns they have, and whether they are found by hashing.

use super::unlike::may_be_unlike_pair;
use super::{Placed, Placement};
use crate::error::Result;
use crate::logical::walk::{columns_free, columns_read};
use crate::logical::{ColumnId, ColumnSet, Join, Node};
use crate::optimise::condition::all;
use crate::optimise::equality::equal_sides;
use crate::plan::{self, JoinKind, JoinStrategy};
use expr::Expr;

impl Placement<'_> {
    pub(super) fn join(&mut self, join: Join) -> Result<Placed> {
        let left_rows = self.estimates.rows(&join.left);
        let read = columns_read(&join.conditions);
        if join.lateral {
            return self.below(&read, |placement| placement.lateral(join.left, join.right)).and_then(
                |(left, right, strategy)| {
                    self.pairs(join.kind, (left, left_rows), right, strategy, join.conditions)
                },
            );
        }
        let (left, right) = self.below(&read, |placement| {
            let left = placement.node(join.left)?;
            let right = placement.node(join.right)?;
            Ok((left, placement.narrow(right)?))
        })?;
        let (strategy, conditions) = self.hashed(&left.row, &right.row, join.conditions)?;
        self.pairs(join.kind, (left, left_rows), right, strategy, conditions)
    }

    fn lateral(&mut self, left: Node, right: Node) -> Result<(Placed, Placed, JoinStrategy)> {
        let free: Vec<ColumnId> = columns_free(&right).iter().collect();
        let left = self.below(&free, |placement| placement.node(left))?;
        self.enter(&left.row);
        let (right, bindings) = self.beside(&free, |placement| placement.node(right))?;
        Ok((left, right, JoinStrategy::Dependent { bindings }))
    }

    fn pairs(
        &mut self,
        kind: JoinKind,
        (left, left_rows): (Placed, f64),
        right: Placed,
        strategy: JoinStrategy,
        conditions: Vec<Expr>,
    ) -> Result<Placed> {
        let width = left.row.len();
        let mut row = left.row;
        row.extend(right.row);
        let condition = if conditions.is_empty() {
            None
        } else {
            self.enter(&row);
            all(self.all_over(conditions)?)
        };
        match kind.answers() {
            (true, true) => {}
            (true, false) => row.truncate(width),
            (false, _) => drop(row.drain(..width)),
        }
        let (left, right) = (Box::new(left.node), Box::new(right.node));
        Ok(Placed {
            node: plan::Node::Join(plan::Join { kind, left, right, strategy, condition, left_rows }),
            row,
        })
    }

    /// How to find pairs by equal keys, and what remains to be looked at of each pair.
    fn hashed(
        &mut self,
        left: &[ColumnId],
        right: &[ColumnId],
        conditions: Vec<Expr>,
    ) -> Result<(JoinStrategy, Vec<Expr>)> {
        if conditions.is_empty() {
            return Ok((JoinStrategy::NestedLoop, conditions));
        }
        let (mut left_keys, mut right_keys, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        let (is_left, is_right): (ColumnSet, ColumnSet) =
            (left.iter().copied().collect(), right.iter().copied().collect());
        for condition in conditions {
            match equal_sides(&condition, &is_left, &is_right) {
                // A hash would tell them apart without a word.
                Some((left, right)) if may_be_unlike_pair(left.ty(), right.ty()) => rest.push(condition),
                Some((left, right)) => {
                    left_keys.push(left);
                    right_keys.push(right);
                }
                None => rest.push(condition),
            }
        }
        if left_keys.is_empty() {
            return Ok((JoinStrategy::NestedLoop, rest));
        }
        self.enter(left);
        let left_keys = self.all_over(left_keys)?;
        self.enter(right);
        let right_keys = self.all_over(right_keys)?;
        Ok((JoinStrategy::Hash { left_keys, right_keys }, rest))
    }
}
