//! Looking at every node of a plan's tree.

use crate::plan::{Node, walk::children};

/// Calls `look` on the node and on all below it, subqueries included.
pub(crate) fn walk(node: &Node, look: &mut impl FnMut(&Node)) {
    look(node);
    for child in children(node) {
        walk(child, look);
    }
}
