//! Where replicas should be: a pure pick from a view of the cluster to a list of moves.
//!
//! A range has three replicas where three nodes live, and one where fewer do: two voters would have to agree on
//! everything and survive the loss of neither. A replica whose node is dead for good is replaced where a spare node
//! lives. One move per range and call; the next call sees what came of it.

use std::collections::{BTreeMap, BTreeSet};

/// How many replicas a range should have.
pub(crate) const REPLICAS: usize = 3;

/// A node as placement sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeView {
    /// The node.
    pub(crate) node_id: u64,
    /// It answers: replicas may be put there.
    pub(crate) live: bool,
    /// It has not answered for so long that its replicas count as lost.
    pub(crate) dead: bool,
    /// Its disk has no more room than its reserve: no replicas are put there.
    pub(crate) full: bool,
    /// Where it is.
    pub(crate) locality: BTreeMap<String, String>,
}

/// A range as placement sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RangeView {
    /// The range.
    pub(crate) range_id: u64,
    /// Its configuration's number.
    pub(crate) config_epoch: u64,
    /// A change of its voters is under way: whoever leads it brings it to an end.
    pub(crate) joint: bool,
    /// Its replicas.
    pub(crate) replicas: Vec<ReplicaView>,
}

/// A replica as placement sees it.
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

/// What to do now, at most one move per range.
pub(crate) fn pick(nodes: &[NodeView], ranges: &[RangeView]) -> Vec<Move> {
    let mut load: BTreeMap<u64, usize> = nodes.iter().map(|node| (node.node_id, 0)).collect();
    for replica in ranges.iter().flat_map(|range| &range.replicas) {
        *load.entry(replica.node_id).or_default() += 1;
    }
    let mut moves = Vec::new();
    for range in ranges {
        if let Some(found) = pick_for(nodes, range, &load) {
            for node_id in &found.add {
                *load.entry(*node_id).or_default() += 1;
            }
            moves.push(found);
        }
    }
    moves
}

fn pick_for(nodes: &[NodeView], range: &RangeView, load: &BTreeMap<u64, usize>) -> Option<Move> {
    if range.joint {
        return None;
    }
    let change = |add, remove: Vec<u64>| Move {
        range_id: range.range_id,
        config_epoch: range.config_epoch,
        add,
        remove,
    };
    // A store takes no other replica of the range while it holds one that has stopped.
    let stopped: Vec<u64> =
        range.replicas.iter().filter(|r| r.learner && r.stopped).map(|r| r.replica_id).collect();
    if !stopped.is_empty() {
        return Some(change(Vec::new(), stopped));
    }
    let dead: BTreeSet<u64> = nodes.iter().filter(|node| node.dead).map(|node| node.node_id).collect();
    let live = nodes.iter().filter(|node| node.live).count();
    let target = if live >= REPLICAS { REPLICAS } else { 1 };
    let voters = range.replicas.iter().filter(|replica| !replica.learner);
    let (lost, kept): (Vec<&ReplicaView>, Vec<&ReplicaView>) =
        voters.partition(|replica| dead.contains(&replica.node_id) || replica.stopped);
    if kept.len() >= target {
        // Who learns although nobody waits for it was left behind by a move that did not come about.
        let orphans: Vec<u64> = range.replicas.iter().filter(|r| r.learner).map(|r| r.replica_id).collect();
        return (!orphans.is_empty()).then(|| change(Vec::new(), orphans));
    }
    let mut holders: BTreeSet<u64> = kept.iter().map(|replica| replica.node_id).collect();
    holders.extend(lost.iter().map(|replica| replica.node_id));
    let mut add = Vec::new();
    while kept.len() + add.len() < target {
        let Some(node_id) = best_node(nodes, range, &holders, load) else { break };
        holders.insert(node_id);
        add.push(node_id);
    }
    // Only whole steps: an even number of voters is worse than the odd number below it.
    if kept.len() + add.len() < target {
        // But one that has stopped does not vote either: without it its own node has room for another.
        let stopped = lost.iter().filter(|r| r.stopped && !dead.contains(&r.node_id));
        let stopped: Vec<u64> = stopped.map(|replica| replica.replica_id).collect();
        return (!stopped.is_empty() && kept.len() > 1).then(|| change(Vec::new(), stopped));
    }
    Some(change(add, lost.iter().map(|replica| replica.replica_id).collect()))
}

/// A live node without a voter: one that holds a learner already, else the one that differs most in locality, then
/// the one that holds least.
fn best_node(
    nodes: &[NodeView],
    range: &RangeView,
    holders: &BTreeSet<u64>,
    load: &BTreeMap<u64, usize>,
) -> Option<u64> {
    let held: Vec<&NodeView> = nodes.iter().filter(|node| holders.contains(&node.node_id)).collect();
    let candidates =
        nodes.iter().filter(|node| node.live && !node.dead && !node.full && !holders.contains(&node.node_id));
    candidates
        .min_by_key(|node| {
            let learns = range.replicas.iter().any(|r| r.learner && r.node_id == node.node_id);
            let alike: usize = held.iter().map(|other| shared_tiers(node, other)).sum();
            (!learns, alike, load.get(&node.node_id).copied().unwrap_or(0), node.node_id)
        })
        .map(|node| node.node_id)
}

fn shared_tiers(a: &NodeView, b: &NodeView) -> usize {
    a.locality.iter().filter(|(tier, value)| b.locality.get(*tier) == Some(value)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(node_id: u64, zone: &str) -> NodeView {
        let locality = BTreeMap::from([("zone".to_owned(), zone.to_owned())]);
        NodeView { node_id, live: true, dead: false, full: false, locality }
    }

    fn range(replicas: &[(u64, u64)]) -> RangeView {
        let replicas = replicas
            .iter()
            .map(|&(replica_id, node_id)| ReplicaView { replica_id, node_id, ..ReplicaView::default() })
            .collect();
        RangeView { range_id: 2, config_epoch: 7, joint: false, replicas }
    }

    fn adds(nodes: &[NodeView], range: RangeView) -> Vec<u64> {
        pick(nodes, &[range]).into_iter().flat_map(|found| found.add).collect()
    }

    #[test]
    fn two_nodes_keep_one_replica() {
        assert_eq!(pick(&[node(1, "a"), node(2, "a")], &[range(&[(1, 1)])]), vec![]);
    }

    #[test]
    fn the_third_node_brings_replication_to_three_at_once() {
        let nodes = [node(1, "a"), node(2, "a"), node(3, "a")];
        let expected = Move { range_id: 2, config_epoch: 7, add: vec![2, 3], remove: vec![] };
        assert_eq!(pick(&nodes, &[range(&[(1, 1)])]), vec![expected]);
        assert_eq!(pick(&nodes, &[range(&[(1, 1), (2, 2), (3, 3)])]), vec![]);
    }

    #[test]
    fn other_zones_come_first_then_emptier_nodes() {
        let nodes = [node(1, "a"), node(2, "a"), node(3, "b"), node(4, "c")];
        assert_eq!(adds(&nodes, range(&[(1, 1)])), [3, 4]);
        let nodes = [node(1, "a"), node(2, "a"), node(3, "a"), node(4, "a")];
        let busy = RangeView { range_id: 1, ..range(&[(1, 1), (2, 2), (3, 3)]) };
        let moves = pick(&nodes, &[busy, range(&[(1, 1)])]);
        assert_eq!(moves.first().map(|found| found.add.clone()), Some(vec![4, 2]));
    }

    #[test]
    fn a_learner_left_behind_is_promoted_before_another_is_made() {
        let nodes = [node(1, "a"), node(2, "b"), node(3, "b"), node(4, "a")];
        let mut with_learner = range(&[(1, 1)]);
        with_learner.replicas.push(ReplicaView { replica_id: 9, node_id: 4, learner: true, stopped: false });
        assert_eq!(adds(&nodes, with_learner), [4, 2]);
    }

    #[test]
    fn a_node_that_is_only_silent_loses_nothing_and_gains_nothing() {
        let mut nodes = [node(1, "a"), node(2, "a"), node(3, "a"), node(4, "a")];
        nodes[2].live = false;
        assert_eq!(pick(&nodes, &[range(&[(1, 1), (2, 2), (3, 3)])]), vec![]);
        assert_eq!(adds(&nodes, range(&[(1, 1)])), [2, 4]);
    }

    #[test]
    fn a_dead_nodes_replica_is_replaced_where_a_spare_lives() {
        let mut nodes = vec![node(1, "a"), node(2, "a"), node(3, "a"), node(4, "a")];
        nodes[2].live = false;
        nodes[2].dead = true;
        let expected = Move { range_id: 2, config_epoch: 7, add: vec![4], remove: vec![3] };
        assert_eq!(pick(&nodes, &[range(&[(1, 1), (2, 2), (3, 3)])]), vec![expected]);
        nodes.pop();
        assert_eq!(pick(&nodes, &[range(&[(1, 1), (2, 2), (3, 3)])]), vec![]);
    }

    #[test]
    fn a_change_under_way_is_left_to_the_ranges_leader() {
        let nodes = [node(1, "a"), node(2, "a"), node(3, "a"), node(4, "a")];
        let joint = RangeView { joint: true, ..range(&[(1, 1)]) };
        assert_eq!(pick(&nodes, &[joint]), vec![]);
    }

    #[test]
    fn a_learner_that_nobody_waits_for_goes() {
        let nodes = [node(1, "a"), node(2, "a"), node(3, "a"), node(4, "a")];
        let mut orphaned = range(&[(1, 1), (2, 2), (3, 3)]);
        orphaned.replicas.push(ReplicaView { replica_id: 9, node_id: 4, learner: true, stopped: false });
        let expected = Move { range_id: 2, config_epoch: 7, add: vec![], remove: vec![9] };
        assert_eq!(pick(&nodes, &[orphaned]), vec![expected]);
    }

    #[test]
    fn a_replica_that_has_stopped_is_replaced_elsewhere_or_else_makes_room_at_home() {
        let mut nodes = vec![node(1, "a"), node(2, "a"), node(3, "a"), node(4, "a")];
        let mut sick = range(&[(1, 1), (2, 2), (3, 3)]);
        sick.replicas[2].stopped = true;
        let expected = Move { range_id: 2, config_epoch: 7, add: vec![4], remove: vec![3] };
        assert_eq!(pick(&nodes, &[sick.clone()]), vec![expected]);
        nodes.pop();
        let expected = Move { range_id: 2, config_epoch: 7, add: vec![], remove: vec![3] };
        assert_eq!(pick(&nodes, &[sick]), vec![expected]);
        assert_eq!(adds(&nodes, range(&[(1, 1), (2, 2)])), [3]);
    }

    #[test]
    fn a_full_disk_gets_no_replicas() {
        let mut nodes = [node(1, "a"), node(2, "a"), node(3, "a"), node(4, "a")];
        nodes[1].full = true;
        assert_eq!(adds(&nodes, range(&[(1, 1)])), [3, 4]);
    }
}
