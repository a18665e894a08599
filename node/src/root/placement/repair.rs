//! What a range lacks: voters, or better ones.
//!
//! A range has three replicas where three nodes can hold them, and one where fewer can: two voters would have to agree on
//! everything and survive the loss of neither. A replica whose node is dead for good, or whose store cannot run it, is
//! replaced where a spare node lives; then one whose node is to be taken away. More voters than three an operator has made,
//! and they stay.

use std::collections::{BTreeMap, BTreeSet};

use super::places::Places;
use super::view::{ClusterView, RangeView, ReplicaView};
use super::{Move, REPLICAS, counts};

/// So many replicas at a time begin on a node.
const INCOMING_MAX: usize = 4;

/// What is to be repaired now, at most one move a range.
pub(super) fn pick(view: &ClusterView) -> Vec<Move> {
    let mut incoming = BTreeMap::new();
    for replica in view.ranges.iter().flat_map(|range| &range.replicas).filter(|replica| replica.learner) {
        *incoming.entry(replica.node_id).or_default() += 1;
    }
    let able = view.nodes.iter().filter(|node| node.live && !node.leaving).count();
    let has_turn = |node_id: u64| incoming.get(&node_id).copied().unwrap_or(0) < INCOMING_MAX;
    let open = view.nodes.iter().filter(|node| node.takes(0) && has_turn(node.node_id));
    let open = open.map(|node| node.node_id).collect();
    let (places, load) = (Places::new(view), counts(view));
    let mut repair = Repair { view, able, places, load, incoming, open };
    let mut moves = Vec::new();
    for range in view.ranges.iter().filter(|range| range.known && !range.joint) {
        if let Some(found) = repair.pick_for(range) {
            for node_id in &found.add {
                *repair.load.entry(*node_id).or_default() += 1;
                if !range.is_on(*node_id) {
                    let incoming = repair.incoming.entry(*node_id).or_default();
                    *incoming += 1;
                    if *incoming >= INCOMING_MAX {
                        repair.open.remove(node_id);
                    }
                }
            }
            moves.push(found);
        }
    }
    moves
}

struct Repair<'a> {
    view: &'a ClusterView,
    /// How many nodes live and stay.
    able: usize,
    places: Places,
    /// By node, its replicas.
    load: BTreeMap<u64, usize>,
    /// By node, its replicas that do not vote yet.
    incoming: BTreeMap<u64, usize>,
    /// The nodes that take another replica now.
    open: BTreeSet<u64>,
}

impl Repair<'_> {
    fn pick_for(&self, range: &RangeView) -> Option<Move> {
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
        let is_dead = |node_id: u64| self.view.node(node_id).is_some_and(|node| node.dead);
        let (lost, kept): (Vec<&ReplicaView>, Vec<&ReplicaView>) =
            range.voters().partition(|replica| is_dead(replica.node_id) || replica.stopped);
        let target = if self.able >= REPLICAS { REPLICAS } else { 1 };
        let mut holders: BTreeSet<u64> = range.voters().map(|replica| replica.node_id).collect();
        if kept.len() >= target {
            let surplus: Vec<u64> = lost.iter().map(|replica| replica.replica_id).collect();
            if kept.len() >= REPLICAS && !surplus.is_empty() {
                return Some(change(Vec::new(), surplus));
            }
            if let Some((add, remove)) = self.replace_leaving(range, &kept, target, holders) {
                return Some(change(add, remove));
            }
            // Who learns although nobody waits for it was left behind by a move that did not come about.
            let orphans = range.replicas.iter().filter(|r| r.learner);
            let orphans: Vec<u64> = orphans.map(|replica| replica.replica_id).collect();
            return (!orphans.is_empty()).then(|| change(Vec::new(), orphans));
        }
        let mut add = Vec::new();
        while kept.len() + add.len() < target {
            let Some(node_id) = self.best_node(range, &holders) else { break };
            holders.insert(node_id);
            add.push(node_id);
        }
        // Only whole steps: an even number of voters is worse than the odd number below it.
        if kept.len() + add.len() < target {
            // But one that has stopped does not vote either: without it its own node has room for another.
            let stopped = lost.iter().filter(|r| r.stopped && !is_dead(r.node_id));
            let stopped: Vec<u64> = stopped.map(|replica| replica.replica_id).collect();
            return (!stopped.is_empty() && kept.len() > 1).then(|| change(Vec::new(), stopped));
        }
        Some(change(add, lost.iter().map(|replica| replica.replica_id).collect()))
    }

    /// What takes the place of a replica whose node is to be taken away: a new one, or none where there are too many.
    fn replace_leaving(
        &self,
        range: &RangeView,
        kept: &[&ReplicaView],
        target: usize,
        mut holders: BTreeSet<u64>,
    ) -> Option<(Vec<u64>, Vec<u64>)> {
        let leaves =
            |replica: &&&ReplicaView| self.view.node(replica.node_id).is_some_and(|node| node.leaving);
        // The leader goes last: until then it need not be handed over.
        let leaving = kept.iter().filter(leaves).min_by_key(|replica| replica.node_id == range.leader)?;
        let stays = |replica: &&&ReplicaView| {
            self.view.node(replica.node_id).is_some_and(|node| node.live && !node.leaving)
        };
        let stay = kept.iter().filter(stays).count();
        // Of two voters, which survive the loss of neither, one is as good: they are what a move from one to the other began with.
        if stay >= REPLICAS || (stay >= target && range.voters().count() == 2) {
            return Some((Vec::new(), vec![leaving.replica_id]));
        }
        holders.remove(&leaving.node_id);
        let node_id = self.best_node(range, &holders)?;
        Some((vec![node_id], vec![leaving.replica_id]))
    }

    /// A node without a voter that takes one: one that holds a learner already, else the one that differs most in where it
    /// is from those that hold one, then the one that holds least.
    fn best_node(&self, range: &RangeView, holders: &BTreeSet<u64>) -> Option<u64> {
        let voters: BTreeSet<u64> = range.voters().map(|replica| replica.node_id).collect();
        let learns = |node_id: u64| range.replicas.iter().any(|r| r.learner && r.node_id == node_id);
        let learners = range.replicas.iter().filter(|r| r.learner && !self.open.contains(&r.node_id));
        let candidates = self.open.iter().copied().chain(learners.map(|replica| replica.node_id));
        let candidates = candidates.filter(|node_id| {
            self.view.node(*node_id).is_some_and(|node| node.takes(range.bytes))
                && !holders.contains(node_id)
                && !voters.contains(node_id)
        });
        candidates.min_by_key(|node_id| {
            let place = self.places.of(*node_id);
            let alike: usize =
                holders.iter().map(|other| self.places.alike(place, self.places.of(*other))).sum();
            let load = self.load.get(node_id).copied().unwrap_or(0);
            (!learns(*node_id), alike, load, *node_id)
        })
    }
}
