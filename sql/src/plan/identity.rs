//! Which node is which: what is known of a plan's nodes beside the plan is kept by it.

use super::Node;

/// Tells a node from all others of a plan, as long as that stays where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(usize);

impl NodeId {
    /// The node's.
    pub(crate) fn of(node: &Node) -> Self {
        Self(std::ptr::from_ref(node).addr())
    }
}
