//! A subquery that does not depend on the row is answered first where its answer leads to rows through an index.
//!
//! ```text
//! FROM t WHERE id = (SELECT …)      the one row of the answer, joined with t on id
//! ```
//!
//! So the rows are looked up, and where they are locked, no others are.

use expr::Expr;

use super::condition::may_move;
use super::estimate::{equal_columns, has_index};
use crate::logical::walk::{children_mut, columns_free, columns_made, columns_read};
use crate::logical::{Apply, ColumnSet, Join, Node, Subquery};
use crate::plan::{ApplyKind, JoinKind};

/// Answers what subqueries of a tree it can first; whether it has.
pub(super) fn answer_first(node: &mut Node) -> bool {
    let mut has_changed = false;
    for child in children_mut(node) {
        has_changed |= answer_first(child);
    }
    let Node::Filter(filter) = node else { return has_changed };
    let Node::Apply(apply) = filter.input.as_mut() else { return has_changed };
    let first = leading(apply, &filter.conditions);
    if first.iter().next().is_none() {
        return has_changed;
    }
    let (conditions, barrier) = (std::mem::take(&mut filter.conditions), filter.barrier);
    let (first, rest): (Vec<Subquery>, Vec<Subquery>) = std::mem::take(&mut apply.subqueries)
        .into_iter()
        .partition(|subquery| first.contains(subquery.column));
    let answers: ColumnSet = first.iter().map(|subquery| subquery.column).collect();
    let mut right = apply.input.take();
    if !rest.is_empty() {
        right = Node::Apply(Apply { input: Box::new(right), subqueries: rest });
    }
    let asks = |condition: &Expr| {
        may_move(condition) && condition.columns().into_iter().any(|column| answers.contains(column))
    };
    let (asking, others): (Vec<_>, Vec<_>) = conditions.into_iter().partition(asks);
    let left = Node::Apply(Apply { input: Box::new(Node::one_row()), subqueries: first });
    let join = Join { kind: JoinKind::Inner, left, right, lateral: false, asked: false, conditions: asking };
    *node = Node::Join(Box::new(join)).refiltered(others, barrier);
    true
}

/// The answers that lead to rows, if none of the other subqueries asks for them.
fn leading(apply: &Apply, conditions: &[Expr]) -> ColumnSet {
    let answers: ColumnSet = apply.subqueries.iter().map(|subquery| subquery.column).collect();
    let made = columns_made(&apply.input);
    let depends = |subquery: &Subquery, on: &ColumnSet| {
        let test = match &subquery.kind {
            ApplyKind::Any { test } => columns_read([test]),
            ApplyKind::Scalar(_) | ApplyKind::Exists | ApplyKind::Array(_) => Vec::new(),
        };
        columns_free(&subquery.rows.node).iter().chain(test).any(|column| on.contains(column))
    };
    let leads = |subquery: &&Subquery| {
        let reads = |condition: &Expr| {
            may_move(condition)
                && equal_columns(condition)
                    .is_some_and(|(one, other)| one == subquery.column || other == subquery.column)
                && has_index(&apply.input, &[condition])
        };
        matches!(subquery.kind, ApplyKind::Scalar(_))
            && !depends(subquery, &made)
            && !depends(subquery, &answers)
            && conditions.iter().any(reads)
    };
    let first: ColumnSet = apply.subqueries.iter().filter(leads).map(|subquery| subquery.column).collect();
    if apply.subqueries.iter().any(|subquery| depends(subquery, &first)) {
        ColumnSet::default()
    } else {
        first
    }
}
