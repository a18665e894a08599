//! What all arms of an OR have in common is asked once: `(a AND b) OR (a AND c)` is `a AND (b OR c)`.
//!
//! So an equality between two tables that stands in every arm can be hashed.

use expr::Expr;

use super::condition::{conjuncts, may_move};
use crate::logical::Node;
use crate::logical::walk::children_mut;
use crate::plan::same::same;

/// Arms of more comparisons with each other than this are left as they are.
const LOOKS_MAX: usize = 100_000;

/// Takes common factors out of the conditions of a tree.
pub(super) fn factor(node: &mut Node) {
    for child in children_mut(node) {
        factor(child);
    }
    let conditions = match node {
        Node::Filter(filter) => &mut filter.conditions,
        Node::Join(join) => &mut join.conditions,
        _ => return,
    };
    if conditions.iter().any(|condition| matches!(condition, Expr::Or(_))) {
        *conditions = std::mem::take(conditions).into_iter().flat_map(factored).collect();
    }
}

/// The conditions that one is.
fn factored(condition: Expr) -> Vec<Expr> {
    let Expr::Or(arms) = condition else { return vec![condition] };
    let parts = |arm: &Expr| match arm {
        Expr::And(parts) => parts.len(),
        _ => 1,
    };
    let first = arms.first().map_or(0, parts);
    let looks = arms.iter().map(parts).fold(0, usize::saturating_add).saturating_mul(first);
    if arms.len() < 2 || looks > LOOKS_MAX || !arms.iter().any(|arm| matches!(arm, Expr::And(_))) {
        return vec![Expr::Or(arms)];
    }
    let mut arms: Vec<Vec<Expr>> = arms.into_iter().map(conjuncts).collect();
    let first = arms.first().cloned().unwrap_or_default();
    let mut common = Vec::new();
    for part in first {
        let in_all = arms.iter().all(|arm| arm.iter().any(|other| same(other, &part)));
        if in_all && may_move(&part) && !common.iter().any(|other| same(other, &part)) {
            common.push(part);
        }
    }
    if common.is_empty() {
        return vec![Expr::Or(arms.into_iter().map(Expr::all).collect())];
    }
    for arm in &mut arms {
        arm.retain(|part| !common.iter().any(|other| same(other, part)));
    }
    // An arm that is nothing but the common factor makes the rest true.
    if arms.iter().all(|arm| !arm.is_empty()) {
        common.push(Expr::Or(arms.into_iter().map(Expr::all).collect()));
    }
    common
}
