//! Looking at every node of a plan's tree.

use crate::plan::Node;

/// Calls `look` on the node and on all below it, subqueries included.
pub(crate) fn walk(node: &Node, look: &mut impl FnMut(&Node)) {
    look(node);
    match node {
        Node::Scan(_) | Node::VirtualScan(_) | Node::FunctionScan(_) | Node::Values(_) => {}
        Node::Filter(filter) => walk(&filter.input, look),
        Node::Project(project) => walk(&project.input, look),
        Node::Join(join) => {
            walk(&join.left, look);
            walk(&join.right, look);
        }
        Node::Apply(apply) => {
            walk(&apply.input, look);
            walk(&apply.subquery, look);
        }
        Node::Aggregate(aggregate) => walk(&aggregate.input, look),
        Node::Sort(sort) => walk(&sort.input, look),
        Node::Limit(limit) => walk(&limit.input, look),
        Node::Distinct(distinct) => walk(&distinct.input, look),
        Node::SetOperation(operation) => {
            walk(&operation.left, look);
            walk(&operation.right, look);
        }
    }
}
