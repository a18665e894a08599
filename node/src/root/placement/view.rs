//! The cluster as placement sees it.

use std::collections::BTreeMap;

use super::Move;

/// The tiers of a locality that matter most, the widest first; others come after them in the order of their names.
const TIERS: [&str; 2] = ["region", "zone"];

/// The cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClusterView {
    /// The nodes, ascending.
    pub(crate) nodes: Vec<NodeView>,
    /// The ranges, ascending.
    pub(crate) ranges: Vec<RangeView>,
    /// Enough is known to move what need not be moved.
    pub(crate) settled: bool,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeView {
    /// The node.
    pub(crate) node_id: u64,
    /// It answers: replicas may be put there.
    pub(crate) live: bool,
    /// It has not answered for so long that its replicas count as lost.
    pub(crate) dead: bool,
    /// It leads nothing new.
    pub(crate) draining: bool,
    /// Its replicas go elsewhere.
    pub(crate) leaving: bool,
    /// The bytes that its disk has left, beyond what it is to keep free.
    pub(crate) room: u64,
    /// Where it is.
    pub(crate) locality: BTreeMap<String, String>,
}

/// A range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RangeView {
    /// The range.
    pub(crate) range_id: u64,
    /// Its configuration's number.
    pub(crate) config_epoch: u64,
    /// A change of its voters is under way: whoever leads it brings it to an end.
    pub(crate) joint: bool,
    /// Its leader has said that it is like this; if not, nothing is done.
    pub(crate) known: bool,
    /// The node that leads it; 0: unknown.
    pub(crate) leader: u64,
    /// Who leads it is chosen otherwise, and does not count for the balance of leaders.
    pub(crate) led_apart: bool,
    /// Its leader was changed for balance not long ago.
    pub(crate) rests: bool,
    /// Its replicas were changed not long ago, or a merge brings them together: balance does not move them.
    pub(crate) stays: bool,
    /// What each of its replicas takes.
    pub(crate) bytes: u64,
    /// Its replicas.
    pub(crate) replicas: Vec<ReplicaView>,
    /// What its leader was told to do for balance, and may be about to.
    pub(crate) pending: Option<Move>,
}

/// A replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReplicaView {
    /// The replica.
    pub(crate) replica_id: u64,
    /// Where it is.
    pub(crate) node_id: u64,
    /// It does not vote.
    pub(crate) learner: bool,
    /// Its store cannot run it any more.
    pub(crate) stopped: bool,
}

impl ClusterView {
    /// A node.
    pub(super) fn node(&self, node_id: u64) -> Option<&NodeView> {
        let place = self.nodes.binary_search_by_key(&node_id, |node| node.node_id).ok()?;
        self.nodes.get(place)
    }
}

impl NodeView {
    /// Whether it may be given a replica of so many bytes.
    pub(super) fn takes(&self, bytes: u64) -> bool {
        self.live && !self.dead && !self.draining && !self.leaving && self.room > bytes
    }

    /// Whether it may be given a range to lead.
    pub(super) fn may_lead(&self) -> bool {
        self.live && !self.dead && !self.draining && !self.leaving
    }

    /// How much alike two nodes are in where they are: in how many tiers, from the widest on.
    pub(super) fn likeness(&self, other: &NodeView) -> usize {
        let named = self.locality.keys().chain(other.locality.keys()).map(String::as_str);
        let mut others: Vec<&str> = named.filter(|tier| !TIERS.contains(tier)).collect();
        others.sort_unstable();
        others.dedup();
        let mut alike = 0;
        for tier in TIERS.into_iter().chain(others) {
            match (self.locality.get(tier), other.locality.get(tier)) {
                (Some(here), Some(there)) if here == there => alike += 1,
                (None, None) => {}
                _ => break,
            }
        }
        alike
    }
}

impl RangeView {
    /// The nodes that hold a voter.
    pub(super) fn voters(&self) -> impl Iterator<Item = &ReplicaView> {
        self.replicas.iter().filter(|replica| !replica.learner)
    }

    /// Whether a node holds a replica of it, voting or not.
    pub(super) fn is_on(&self, node_id: u64) -> bool {
        self.replicas.iter().any(|replica| replica.node_id == node_id)
    }
}
