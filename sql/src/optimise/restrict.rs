//! What a condition over both sides of a join says of each of them alone.
//!
//! ```text
//! (a.x = 1 AND b.y = 2) OR (a.x = 3 AND b.y = 4)      also: a.x = 1 OR a.x = 3, and b.y = 2 OR b.y = 4
//! ```
//!
//! The condition itself stays, but fewer rows come to it. PostgreSQL does the same (`orclauses.c`).

use expr::Expr;

use super::condition::may_move;
use super::pushdown::push_into;
use crate::logical::walk::{children_mut, columns_made};
use crate::logical::{ColumnSet, Join, Node};
use crate::plan::JoinKind;

/// An OR of more arms says too little.
const ARMS_MAX: usize = 64;

/// Gives the inputs of a tree's joins what the joins' conditions say of them.
pub(super) fn restrict(node: &mut Node) {
    if let Node::Join(join) = node {
        let (of_left, of_right) = match join.kind {
            JoinKind::Inner | JoinKind::Semi | JoinKind::RightSemi => (true, true),
            JoinKind::Left | JoinKind::Anti => (false, true),
            JoinKind::Right | JoinKind::RightAnti => (true, false),
            JoinKind::Full => (false, false),
        };
        let restrictions = |join: &Join, side: &Node| -> Vec<Expr> {
            if !join.conditions.iter().any(|condition| matches!(condition, Expr::Or(_))) {
                return Vec::new();
            }
            let made = columns_made(side);
            join.conditions.iter().filter_map(|condition| restriction(condition, &made)).collect()
        };
        if of_left {
            let restrictions = restrictions(join, &join.left);
            push(&mut join.left, restrictions);
        }
        if of_right {
            let restrictions = restrictions(join, &join.right);
            push(&mut join.right, restrictions);
        }
    }
    children_mut(node).into_iter().for_each(restrict);
}

fn push(node: &mut Node, conditions: Vec<Expr>) {
    if !conditions.is_empty() {
        push_into(node, conditions);
    }
}

/// What a condition says of the rows with these columns, if every arm of it says anything.
fn restriction(condition: &Expr, made: &ColumnSet) -> Option<Expr> {
    let Expr::Or(arms) = condition else { return None };
    if arms.len() > ARMS_MAX {
        return None;
    }
    let is_of = |part: &&Expr| {
        let read = part.columns();
        !read.is_empty() && read.into_iter().all(|column| made.contains(column)) && may_move(part)
    };
    let mut restricted = Vec::with_capacity(arms.len());
    for arm in arms {
        let parts: Vec<Expr> = match arm {
            Expr::And(parts) => parts.iter().filter(is_of).cloned().collect(),
            arm => Some(arm).filter(is_of).into_iter().cloned().collect(),
        };
        if parts.is_empty() {
            return None;
        }
        restricted.push(Expr::all(parts));
    }
    Some(Expr::Or(restricted))
}
