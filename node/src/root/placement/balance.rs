//! Whole ranges, where they had better be: spread over places, then even over nodes; and who leads them.
//!
//! A node's load is its part of all replicas and its part of all bytes, each as a multiple of the mean. A replica goes from
//! one node to another where that makes the two more alike by more than a tenth of the mean; a leadership, where the two
//! differ by more than two ranges.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{ClusterView, NodeView, RangeView, ReplicaView};
use super::{Move, Transfer};

/// By so much more than the move itself changes, in multiples of the mean, loads must differ.
const SLACK: f64 = 0.1;

/// Where nodes hold less than this on the mean, bytes are not balanced.
const BYTES_MIN: f64 = (64 << 20) as f64;

/// So many replicas at a time move for balance in the whole cluster.
const MOVES_MAX: usize = 8;

/// So many ranges more than another must a node lead to give one away.
const LEADERS_MIN: usize = 3;

/// Moves of replicas, each node taking part in one at most.
pub(super) fn pick_replicas(view: &ClusterView, repaired: &BTreeSet<u64>) -> Vec<Move> {
    let mut balance = Balance::new(view, repaired);
    let mut moves = balance.go_on();
    while moves.len() < MOVES_MAX {
        let Some(step) = balance.spread().or_else(|| balance.even()) else { break };
        moves.push(balance.take(&step));
    }
    moves
}

/// A replica that moves.
struct Step<'a> {
    range: &'a RangeView,
    from: ReplicaView,
    to: u64,
}

struct Balance<'a> {
    view: &'a ClusterView,
    nodes: BTreeMap<u64, &'a NodeView>,
    /// Ranges that something is done to already.
    changing: BTreeSet<u64>,
    /// Takes part in a move.
    busy: BTreeSet<u64>,
    load: BTreeMap<u64, f64>,
    /// What one replica and one byte add to a load.
    per_replica: f64,
    per_byte: f64,
}

impl<'a> Balance<'a> {
    fn new(view: &'a ClusterView, repaired: &'a BTreeSet<u64>) -> Self {
        let nodes: BTreeMap<u64, &NodeView> = view.nodes.iter().map(|node| (node.node_id, node)).collect();
        let (mut replicas, mut bytes) = (0.0, 0.0);
        for range in &view.ranges {
            replicas += range.replicas.len() as f64;
            bytes += range.replicas.len() as f64 * range.bytes as f64;
        }
        let able = view.nodes.iter().filter(|node| !node.dead && !node.leaving).count().max(1) as f64;
        let per_replica = if replicas > 0.0 { able / replicas } else { 0.0 };
        let per_byte = if bytes / able >= BYTES_MIN { able / bytes } else { 0.0 };
        let mut load: BTreeMap<u64, f64> = view.nodes.iter().map(|node| (node.node_id, 0.0)).collect();
        let mut busy = BTreeSet::new();
        for range in &view.ranges {
            for replica in &range.replicas {
                *load.entry(replica.node_id).or_default() += per_replica + per_byte * range.bytes as f64;
                if replica.learner || range.joint || repaired.contains(&range.range_id) {
                    busy.insert(replica.node_id);
                }
            }
        }
        Self { view, nodes, changing: repaired.clone(), busy, load, per_replica, per_byte }
    }

    /// What was begun, where nothing has come in its way.
    fn go_on(&mut self) -> Vec<Move> {
        let mut moves = Vec::new();
        for range in self.view.ranges.iter().filter(|range| !self.changing.contains(&range.range_id)) {
            let takes = |pending: &&Move| {
                let mut targets = pending.add.iter().map(|to| self.nodes.get(to));
                range.known && !range.joint && targets.all(|to| to.is_some_and(|to| to.takes(range.bytes)))
            };
            let Some(pending) = range.pending.as_ref().filter(takes) else { continue };
            let from = range.replicas.iter().filter(|replica| pending.remove.contains(&replica.replica_id));
            self.busy.extend(from.map(|replica| replica.node_id).chain(pending.add.iter().copied()));
            moves.push(pending.clone());
        }
        moves
    }

    /// A move that makes a range's replicas less alike in where they are.
    fn spread(&self) -> Option<Step<'a>> {
        let steps = self.steps().filter(|(_, alike)| *alike < 0);
        let best = steps.min_by(|(a, alike_a), (b, alike_b)| {
            let load = |step: &Step| self.load_of(step.to);
            alike_a.cmp(alike_b).then(load(a).total_cmp(&load(b)))
        });
        best.map(|(step, _)| step)
    }

    /// A move that makes loads more even.
    fn even(&self) -> Option<Step<'a>> {
        let loads =
            || self.load.iter().filter(|(node_id, _)| !self.busy.contains(node_id)).map(|(_, load)| *load);
        if loads().fold(0.0, f64::max) - loads().fold(f64::INFINITY, f64::min) <= self.per_replica + SLACK {
            return None;
        }
        let gain = |step: &Step| {
            let difference = self.load_of(step.from.node_id) - self.load_of(step.to);
            difference - self.weight(step.range) - SLACK
        };
        let steps = self.steps().filter(|(step, alike)| *alike <= 0 && gain(step) > 0.0);
        // That of the largest range that fits, of those that are equally needed: fewer moves.
        let best = steps.max_by(|(a, _), (b, _)| {
            let needed = |step: &Step| self.load_of(step.from.node_id) - self.load_of(step.to);
            let weight = |step: &Step| self.weight(step.range);
            let leads = |step: &Step| step.from.node_id == step.range.leader;
            needed(a)
                .total_cmp(&needed(b))
                .then(weight(a).total_cmp(&weight(b)))
                .then(b.range.range_id.cmp(&a.range.range_id))
                // A leader would have to hand over first.
                .then(leads(b).cmp(&leads(a)))
                .then(b.from.node_id.cmp(&a.from.node_id))
                .then(b.to.cmp(&a.to))
        });
        best.map(|(step, _)| step)
    }

    /// All moves of one replica that could be, with what each adds to how much alike the range's replicas are.
    fn steps(&self) -> impl Iterator<Item = (Step<'a>, isize)> {
        let ranges = self.view.ranges.iter().filter(|range| self.is_whole(range));
        ranges.flat_map(move |range| {
            let sources = range.replicas.iter().filter(|replica| !self.busy.contains(&replica.node_id));
            sources.flat_map(move |from| {
                let targets = self.view.nodes.iter().filter(|node| {
                    node.takes(range.bytes)
                        && !self.busy.contains(&node.node_id)
                        && !range.is_on(node.node_id)
                });
                targets.map(move |to| {
                    (Step { range, from: *from, to: to.node_id }, self.likening(range, from.node_id, to))
                })
            })
        })
    }

    /// Whether all its replicas vote, live and stay, and nothing is done to it.
    fn is_whole(&self, range: &RangeView) -> bool {
        let works = |replica: &ReplicaView| {
            !replica.learner
                && !replica.stopped
                && self
                    .nodes
                    .get(&replica.node_id)
                    .is_some_and(|node| node.live && !node.dead && !node.leaving)
        };
        range.known
            && !range.joint
            && range.pending.is_none()
            && !self.changing.contains(&range.range_id)
            && range.replicas.iter().all(works)
    }

    fn likening(&self, range: &RangeView, from: u64, to: &NodeView) -> isize {
        let others = range.replicas.iter().filter(|replica| replica.node_id != from);
        let nodes = others.filter_map(|replica| self.nodes.get(&replica.node_id));
        let likeness =
            |one: Option<&&NodeView>, other: &NodeView| one.map_or(0, |one| one.likeness(other)) as isize;
        nodes.map(|other| likeness(Some(&to), other) - likeness(self.nodes.get(&from), other)).sum()
    }

    fn take(&mut self, step: &Step) -> Move {
        let weight = self.weight(step.range);
        *self.load.entry(step.from.node_id).or_default() -= weight;
        *self.load.entry(step.to).or_default() += weight;
        self.busy.extend([step.from.node_id, step.to]);
        self.changing.insert(step.range.range_id);
        Move {
            range_id: step.range.range_id,
            config_epoch: step.range.config_epoch,
            add: vec![step.to],
            remove: vec![step.from.replica_id],
        }
    }

    fn weight(&self, range: &RangeView) -> f64 {
        self.per_replica + self.per_byte * range.bytes as f64
    }

    fn load_of(&self, node_id: u64) -> f64 {
        self.load.get(&node_id).copied().unwrap_or(0.0)
    }
}

/// Changes of leaders, each node giving one away at most.
pub(super) fn pick_leaders(view: &ClusterView, moving: &BTreeSet<u64>) -> Vec<Transfer> {
    let mut led: BTreeMap<u64, usize> = BTreeMap::new();
    let free = || view.ranges.iter().filter(|range| range.known && range.leader != 0 && !range.led_apart);
    for range in free() {
        *led.entry(range.leader).or_default() += 1;
    }
    let mut gave = BTreeSet::new();
    let mut transfers = Vec::new();
    for range in free() {
        if range.joint || range.rests || moving.contains(&range.range_id) || gave.contains(&range.leader) {
            continue;
        }
        let leads = |node_id: u64| led.get(&node_id).copied().unwrap_or(0);
        let others = range.voters().filter(|replica| replica.node_id != range.leader && !replica.stopped);
        let others = others.filter(|replica| view.node(replica.node_id).is_some_and(NodeView::may_lead));
        let Some(to) =
            others.map(|replica| replica.node_id).min_by_key(|node_id| (leads(*node_id), *node_id))
        else {
            continue;
        };
        if leads(range.leader) < leads(to) + LEADERS_MIN {
            continue;
        }
        *led.entry(range.leader).or_default() -= 1;
        *led.entry(to).or_default() += 1;
        gave.insert(range.leader);
        transfers.push(Transfer { range_id: range.range_id, config_epoch: range.config_epoch, to });
    }
    transfers
}
