//! Whole ranges, where they had better be: spread over places, then even over nodes; and who leads them.
//!
//! A node's load is its part of all replicas and its part of all bytes, each as a multiple of the mean. A replica goes from
//! one node to another where that makes the two more alike by more than a tenth of the mean; a leadership, where the two
//! differ by more than two ranges.

use std::collections::{BTreeMap, BTreeSet};

use super::places::Places;
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

/// Of what a node leads more than another it gives this part away at a time, one at least: until all have told who leads what now, the
/// next plan is of what was.
const GIVEN_PART: usize = 8;

/// So many at most.
const GIVEN_MAX: usize = 16;

/// So many ranges that could be spread better are looked at for one move.
const SPREAD_MAX: usize = 64;

/// Of so many nodes all pairs are looked at that could be made more alike; of more, those of this many at each end.
const ENDS: usize = 32;

/// So many replicas at most are looked at for one move.
const LOOKED_AT_MAX: usize = 200_000;

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
    places: Places,
    /// Ranges that something is done to already.
    changing: BTreeSet<u64>,
    /// Takes part in a move.
    busy: BTreeSet<u64>,
    load: BTreeMap<u64, f64>,
    /// By node, the ranges that it holds a replica of.
    held: BTreeMap<u64, Vec<&'a RangeView>>,
    /// Ranges whose replicas could be less alike in where they are, once that was looked for.
    unspread: Option<Vec<&'a RangeView>>,
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
        let mut held: BTreeMap<u64, Vec<&RangeView>> = BTreeMap::new();
        let mut busy = BTreeSet::new();
        for range in &view.ranges {
            for replica in &range.replicas {
                *load.entry(replica.node_id).or_default() += per_replica + per_byte * range.bytes as f64;
                held.entry(replica.node_id).or_default().push(range);
                if replica.learner || range.joint || repaired.contains(&range.range_id) {
                    busy.insert(replica.node_id);
                }
            }
        }
        let (places, changing) = (Places::new(view), repaired.clone());
        Self { view, nodes, places, changing, busy, load, held, unspread: None, per_replica, per_byte }
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
    fn spread(&mut self) -> Option<Step<'a>> {
        let unspread = match self.unspread.take() {
            Some(unspread) => unspread,
            None => self.find_unspread(),
        };
        let left = unspread.iter().copied().filter(|range| self.is_whole(range)).take(SPREAD_MAX);
        let steps = left.flat_map(|range| self.steps(range));
        let best = steps.filter(|(_, alike)| *alike < 0).min_by(|(a, alike_a), (b, alike_b)| {
            let load = |step: &Step| self.load_of(step.to);
            alike_a.cmp(alike_b).then(load(a).total_cmp(&load(b)))
        });
        self.unspread = Some(unspread);
        best.map(|(step, _)| step)
    }

    /// The ranges whose replicas could be less alike in where they are, as far as places go; those in the same places are looked at
    /// once.
    fn find_unspread(&self) -> Vec<&'a RangeView> {
        let takes = |node: &&NodeView| node.takes(0) && !self.busy.contains(&node.node_id);
        let free: BTreeSet<usize> =
            self.view.nodes.iter().filter(takes).map(|node| self.places.of(node.node_id)).collect();
        let mut known: BTreeMap<Vec<usize>, bool> = BTreeMap::new();
        let mut could = |range: &&RangeView| {
            let mut places: Vec<usize> =
                range.replicas.iter().map(|replica| self.places.of(replica.node_id)).collect();
            places.sort_unstable();
            if let Some(known) = known.get(&places) {
                return *known;
            }
            let better = |from: usize| {
                let mut others = places.clone();
                let from = others.remove(from);
                free.iter().any(|to| self.places.likening(&others, from, *to) < 0)
            };
            let found = (0..places.len()).any(better);
            known.insert(places, found);
            found
        };
        self.view.ranges.iter().filter(|range| self.is_whole(range)).filter(|range| could(range)).collect()
    }

    /// A move that makes loads more even.
    fn even(&self) -> Option<Step<'a>> {
        let loads =
            || self.load.iter().filter(|(node_id, _)| !self.busy.contains(node_id)).map(|(_, load)| *load);
        if loads().fold(0.0, f64::max) - loads().fold(f64::INFINITY, f64::min) <= self.per_replica + SLACK {
            return None;
        }
        let mut best: Option<(f64, Step)> = None;
        let mut looked_at = 0;
        for (needed, from, to) in self.pairs() {
            // All that follow are less needed.
            if best.as_ref().is_some_and(|(found, _)| needed < *found) || looked_at > LOOKED_AT_MAX {
                break;
            }
            let Some(to) = self.nodes.get(&to) else { continue };
            let held = self.held.get(&from).map_or(&[][..], Vec::as_slice);
            looked_at += held.len();
            let steps = held.iter().copied().filter(|range| {
                needed - self.weight(range) - SLACK > 0.0
                    && to.takes(range.bytes)
                    && !range.is_on(to.node_id)
                    && self.is_whole(range)
                    && self.likening(range, from, to.node_id) <= 0
            });
            let from_replica = |range: &RangeView| range.replicas.iter().find(|r| r.node_id == from).copied();
            let found =
                steps.filter_map(|range| Some(Step { range, from: from_replica(range)?, to: to.node_id }));
            // That of the largest range that fits, of those that are equally needed: fewer moves.
            let found = found.chain(best.take().map(|(_, step)| step)).max_by(|a, b| {
                let weight = |step: &Step| self.weight(step.range);
                let leads = |step: &Step| step.from.node_id == step.range.leader;
                weight(a)
                    .total_cmp(&weight(b))
                    .then(b.range.range_id.cmp(&a.range.range_id))
                    // A leader would have to hand over first.
                    .then(leads(b).cmp(&leads(a)))
                    .then(b.from.node_id.cmp(&a.from.node_id))
                    .then(b.to.cmp(&a.to))
            });
            best = found.map(|step| (needed, step));
        }
        best.map(|(_, step)| step)
    }

    /// Pairs of nodes of which the first may give the second a replica, with the difference of their loads, which a move of the smallest
    /// range makes smaller; the most different first. In a large cluster not all, but those of the ends: of all nodes, and of
    /// those in each place, where a move is never in the way of spread.
    fn pairs(&self) -> Vec<(f64, u64, u64)> {
        let mut nodes: Vec<(f64, u64)> = self
            .load
            .iter()
            .filter(|(node_id, _)| !self.busy.contains(node_id))
            .map(|(node_id, load)| (*load, *node_id))
            .collect();
        nodes.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut groups = vec![nodes.clone()];
        if nodes.len() > ENDS {
            let mut by_place: BTreeMap<usize, Vec<(f64, u64)>> = BTreeMap::new();
            for node in nodes {
                by_place.entry(self.places.of(node.1)).or_default().push(node);
            }
            groups.extend(by_place.into_values());
        }
        let mut pairs = Vec::new();
        for group in groups {
            for (load, from) in group.iter().rev().take(ENDS) {
                for (other, to) in group.iter().take(ENDS) {
                    if load - other > self.per_replica + SLACK {
                        pairs.push((load - other, *from, *to));
                    }
                }
            }
        }
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        pairs.dedup();
        pairs
    }

    /// All moves of one of the range's replicas that could be, with what each adds to how much alike they are.
    fn steps(&self, range: &'a RangeView) -> impl Iterator<Item = (Step<'a>, isize)> {
        let whole = self.is_whole(range);
        let sources =
            range.replicas.iter().filter(move |replica| whole && !self.busy.contains(&replica.node_id));
        sources.flat_map(move |from| {
            let targets = self.view.nodes.iter().filter(|node| {
                node.takes(range.bytes) && !self.busy.contains(&node.node_id) && !range.is_on(node.node_id)
            });
            targets.map(move |to| {
                let likening = self.likening(range, from.node_id, to.node_id);
                (Step { range, from: *from, to: to.node_id }, likening)
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
            && !range.stays
            && range.pending.is_none()
            && !self.changing.contains(&range.range_id)
            && range.replicas.iter().all(works)
    }

    fn likening(&self, range: &RangeView, from: u64, to: u64) -> isize {
        let others = range.replicas.iter().filter(|replica| replica.node_id != from);
        let others: Vec<usize> = others.map(|replica| self.places.of(replica.node_id)).collect();
        self.places.likening(&others, self.places.of(from), self.places.of(to))
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

/// Changes of leaders, each node giving away a part of what it leads too many.
pub(super) fn pick_leaders(view: &ClusterView, moving: &BTreeSet<u64>) -> Vec<Transfer> {
    let mut led: BTreeMap<u64, usize> = BTreeMap::new();
    let free = || view.ranges.iter().filter(|range| range.known && range.leader != 0 && !range.led_apart);
    for range in free() {
        *led.entry(range.leader).or_default() += 1;
    }
    let mut given: BTreeMap<u64, usize> = BTreeMap::new();
    let mut transfers = Vec::new();
    for range in free() {
        if range.joint || range.rests || moving.contains(&range.range_id) {
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
        let more = leads(range.leader).saturating_sub(leads(to));
        let gave = given.entry(range.leader).or_default();
        if more < LEADERS_MIN || *gave >= (more / GIVEN_PART).clamp(1, GIVEN_MAX) {
            continue;
        }
        *led.entry(range.leader).or_default() -= 1;
        *led.entry(to).or_default() += 1;
        *gave += 1;
        transfers.push(Transfer { range_id: range.range_id, config_epoch: range.config_epoch, to });
    }
    transfers
}
