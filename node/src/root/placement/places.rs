//! The places that nodes are in: those whose localities are the same. How much alike two are is found once, for nodes are many and places
//! are few.

use std::collections::BTreeMap;

use super::view::ClusterView;

/// The places of a cluster's nodes.
pub(super) struct Places {
    by_node: BTreeMap<u64, usize>,
    /// How much alike each two places are; of each node that is not known with any other: not at all.
    alike: Vec<Vec<usize>>,
}

impl Places {
    pub(super) fn new(view: &ClusterView) -> Self {
        let mut names = BTreeMap::new();
        let mut first = Vec::new();
        let mut by_node = BTreeMap::new();
        for node in &view.nodes {
            let place = *names.entry(&node.locality).or_insert_with(|| {
                first.push(node);
                first.len() - 1
            });
            by_node.insert(node.node_id, place);
        }
        let alike = first.iter().map(|one| first.iter().map(|other| one.likeness(other)).collect());
        Self { by_node, alike: alike.collect() }
    }

    /// The place of a node; one that there is not for a node that is not known.
    pub(super) fn of(&self, node_id: u64) -> usize {
        self.by_node.get(&node_id).copied().unwrap_or(usize::MAX)
    }

    /// What a move from one place to another adds to how much alike a range's replicas are, of which the others are there.
    pub(super) fn likening(&self, others: &[usize], from: usize, to: usize) -> isize {
        let alike = |one: usize, other: usize| self.alike(one, other) as isize;
        others.iter().map(|other| alike(to, *other) - alike(from, *other)).sum()
    }

    /// How much alike two places are.
    pub(super) fn alike(&self, one: usize, other: usize) -> usize {
        self.alike.get(one).and_then(|places| places.get(other)).copied().unwrap_or(0)
    }
}
