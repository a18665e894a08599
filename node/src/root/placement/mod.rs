//! Where replicas and leaders should be: a pure function from a view of the cluster to a list of changes.
//!
//! In this order: ranges are repaired (`repair`), then those that are whole are spread over places and balanced over nodes
//! (`balance`), then their leaders. One change a range, and few at a time for a node; the next call sees what came of it.
//!
//! # Invariants
//!
//! - No change takes a voter away that a majority needs, or lets a range have fewer voters than before for a node that works.
//! - Nothing that is done for balance makes a range's replicas more alike in where they are.
//! - Each change for balance makes a sum of squares smaller, of loads or of leaders, by at least a fixed part: so they end,
//!   and then nothing is done.

mod balance;
mod places;
mod repair;
mod shrink;
mod view;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use shrink::{Extent, Limits, Small, Vanishing, shrink};
pub(crate) use view::{ClusterView, NodeView, RangeView, ReplicaView};

/// How many replicas a range should have.
pub(crate) const REPLICAS: usize = 3;

/// A change of one range's replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    /// The range.
    pub(crate) range_id: u64,
    /// The configuration that the move was decided upon.
    pub(crate) config_epoch: u64,
    /// Nodes that get a voting replica (a learner there becomes one).
    pub(crate) add: Vec<u64>,
    /// Replicas that go.
    pub(crate) remove: Vec<u64>,
}

/// A change of one range's leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    /// The range.
    pub(crate) range_id: u64,
    /// The configuration that it was decided upon.
    pub(crate) config_epoch: u64,
    /// The node that is to lead.
    pub(crate) to: u64,
}

/// What to do now, at most one change a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Replicas that are missing, or stand where they cannot stay.
    pub(crate) repairs: Vec<Move>,
    /// Replicas that had better be elsewhere.
    pub(crate) balancing: Vec<Move>,
    /// Ranges that had better be led elsewhere.
    pub(crate) transfers: Vec<Transfer>,
}

/// What to do now. What a range has `pending` it goes on with, as long as nothing is to be repaired there.
pub(crate) fn plan(view: &ClusterView) -> Plan {
    let repairs = repair::pick(view);
    let repaired: BTreeSet<u64> = repairs.iter().map(|found| found.range_id).collect();
    let mut plan = Plan { repairs, ..Plan::default() };
    if view.settled {
        plan.balancing = balance::pick_replicas(view, &repaired);
        let moving: BTreeSet<u64> =
            plan.balancing.iter().map(|found| found.range_id).chain(repaired).collect();
        plan.transfers = balance::pick_leaders(view, &moving);
    }
    plan
}

/// How many replicas each node has.
fn counts(view: &ClusterView) -> BTreeMap<u64, usize> {
    let mut counts: BTreeMap<u64, usize> = view.nodes.iter().map(|node| (node.node_id, 0)).collect();
    for replica in view.ranges.iter().flat_map(|range| &range.replicas) {
        *counts.entry(replica.node_id).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests;
