//! Who locks rows: the scan that reads them, where all that it reads is answered, or what stands above all conditions.
//!
//! A scan that locks rows does so as it reads, for points in the same request. Where more is asked of its rows above, or fewer of
//! them than there are, or where they are sorted (a portal may ask for the first alone, and locks are taken in the order of
//! the answer), it only reads, and [`LockRows`](crate::plan::LockRows) locks what is left.

use super::lookup::rows_max;
use super::take;
use crate::plan::walk::children_mut;
use crate::plan::{JoinKind, JoinStrategy, LockWait, Node};

/// Decides it for a whole tree, from the top: what locks rows within what locks rows is still to be seen there, and its scans
/// are none of those that the outer one locks.
pub(super) fn settle(node: &mut Node) {
    if let Node::LockRows(lock) = node {
        if lock.targets.len() == 1 && all_are_answered(&lock.input, !lock.wanted.is_empty()) {
            *node = take(&mut lock.input);
        } else {
            only_read(&mut lock.input);
        }
    }
    children_mut(node).into_iter().for_each(settle);
}

/// Whether all rows that the one scan with a lock reads are answered. `bounded`: perhaps fewer are asked for than there are.
fn all_are_answered(node: &Node, bounded: bool) -> bool {
    match node {
        Node::Project(project) => all_are_answered(&project.input, bounded),
        Node::Apply(apply) => !bounded && all_are_answered(&apply.input, bounded),
        Node::Scan(scan) => scan.lock.is_some() && (!bounded || scan.limit.is_some()),
        // What is looked up for each row of the left side, by conditions that are the scan's own.
        Node::Join(join) => {
            join.kind == JoinKind::Inner
                && matches!(join.strategy, JoinStrategy::Dependent { .. })
                && join.condition.is_none()
                && (!bounded || rows_max(node).is_some_and(|rows| rows <= 1))
                && all_are_answered(&join.right, false)
        }
        _ => false,
    }
}

/// The scans whose rows are locked above lock none.
fn only_read(node: &mut Node) {
    match node {
        Node::Scan(scan) => {
            if let Some(lock) = scan.lock.take() {
                scan.passing = lock.wait == LockWait::Skip;
                scan.recheck = None;
            }
            scan.limit = None;
        }
        Node::Filter(filter) => only_read(&mut filter.input),
        Node::Project(project) => only_read(&mut project.input),
        Node::Sort(sort) => {
            sort.limit = None;
            only_read(&mut sort.input);
        }
        Node::Apply(apply) => only_read(&mut apply.input),
        Node::Join(join) => {
            let (left, right) = join.kind.answers();
            if left {
                only_read(&mut join.left);
            }
            if right {
                only_read(&mut join.right);
            }
        }
        _ => {}
    }
}
