//! What placement wants, told to those who do it: the leader of each range hears of it in the answer to its heartbeat.
//!
//! Nothing that is told is remembered but for its pace: whoever has not heard it, or has failed, is told again by the same
//! view of the cluster. What is done on condition of a configuration is not done to another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use env::clock::Instant;
use proto::v1::{LeaderMove, NodeRow, RangeDescriptor, RangeMerge, ReplicaDescriptor, ReplicaMove};

use super::ROOT_RANGE;
use super::placement::{ClusterView, Extent, NodeView, Plan, RangeView, Vanishing, plan, shrink};
use super::roster::LIVE;
use super::state::{epochs, is_draining};
use super::term::RootTerm;
use super::view::{Planned, Seen, View};
use crate::range::state::FORMAT_MERGES;

/// How long a plan holds at least, and as a multiple of what it took to find.
const PLAN: Duration = Duration::from_millis(500);
const PLAN_PART: u32 = 30;

/// How often it is looked for borders that are to go.
const SHRINKING: Duration = Duration::from_secs(2);

/// How long a leader knows too little of the cluster to balance it.
const SETTLING: Duration = Duration::from_secs(10);

/// How long a move for balance may take to begin; after that another one may be found better.
const BEGINNING: Duration = Duration::from_secs(60);

/// How long a range keeps its leader after it was changed for balance.
const LEADER_REST: Duration = Duration::from_secs(30);

/// How long a range's replicas are left where they are once they were changed: whoever has them moved one after the other, as a merge
/// does, is not undone meanwhile.
const REPLICAS_REST: Duration = Duration::from_secs(20);

/// How long it may take to bring the replicas of two ranges together.
const MERGING: Duration = Duration::from_secs(90);

impl RootTerm {
    /// What placement wants of the ranges that a node leads.
    pub(super) fn wanted_of(&self, node_id: u64) -> (Vec<ReplicaMove>, Vec<LeaderMove>) {
        let planned = self.plan();
        let Some(plan) = planned.by_leader.get(&node_id) else { return (Vec::new(), Vec::new()) };
        let changes = || plan.repairs.iter().chain(&plan.balancing);
        let nodes = self.nodes_of(&changes().flat_map(|found| found.add.iter().copied()).collect());
        let now = env::clock::now();
        let mut view = self.view.lock();
        let View { led, sent, handed_over, .. } = &mut *view;
        let leads = |range_id: u64, config_epoch: u64| {
            led.get(&range_id)
                .is_some_and(|range| range.leader_node_id == node_id && range.config_epoch == config_epoch)
        };
        let mut moves = Vec::new();
        for (found, is_repair) in plan
            .repairs
            .iter()
            .map(|found| (found, true))
            .chain(plan.balancing.iter().map(|found| (found, false)))
        {
            if !leads(found.range_id, found.config_epoch) {
                continue;
            }
            if !is_repair {
                sent.entry(found.range_id).or_insert_with(|| (now, found.clone()));
            }
            moves.push(ReplicaMove {
                range_id: found.range_id,
                config_epoch: found.config_epoch,
                add: nodes.iter().filter(|node| found.add.contains(&node.node_id)).cloned().collect(),
                remove: found.remove.clone(),
            });
        }
        let rests = |range_id: u64| handed_over.get(&range_id).is_some_and(|at| now - *at < LEADER_REST);
        let transfers = plan.transfers.iter();
        let transfers =
            transfers.filter(|found| leads(found.range_id, found.config_epoch) && !rests(found.range_id));
        let transfers: Vec<LeaderMove> = transfers
            .map(|found| LeaderMove {
                range_id: found.range_id,
                config_epoch: found.config_epoch,
                to_node_id: found.to,
            })
            .collect();
        handed_over.extend(transfers.iter().map(|found| (found.range_id, now)));
        (moves, transfers)
    }

    /// The borders that are to go, of ranges that a node leads. They are looked for every few seconds, and each is told once.
    pub(super) fn merges_of(&self, node_id: u64) -> Vec<RangeMerge> {
        let Some(rest) = self.nodes.rest.filter(|_| self.nodes.limits.bytes_max > 0) else {
            return Vec::new();
        };
        let now = env::clock::now();
        let mut view = self.view.lock();
        let is_due = view.shrinking.is_none_or(|due| now >= due);
        if !(is_due || view.vanishing.contains_key(&node_id)) || !self.all_can_merge(&view) {
            return Vec::new();
        }
        if is_due {
            view.merging.retain(|_, at| now.duration_since(*at) < rest.max(MERGING));
            let extents = self.extents(&view, now, rest);
            let found = shrink(extents, self.nodes.limits, &mut view.small, now, rest);
            let ended = env::clock::now();
            view.shrinking = Some(now + SHRINKING.max(ended.duration_since(now) * PLAN_PART));
            view.vanishing.clear();
            for Vanishing { range_id, right_id, span_epoch, key } in found {
                let leader = view.led.get(&range_id).map_or(0, |range| range.leader_node_id);
                let wanted = RangeMerge { range_id, span_epoch, key };
                view.vanishing.entry(leader).or_default().push((right_id, wanted));
            }
        }
        let wanted = view.vanishing.remove(&node_id).unwrap_or_default();
        view.merging
            .extend(wanted.iter().flat_map(|(right_id, left)| [(*right_id, now), (left.range_id, now)]));
        wanted.into_iter().map(|(_, wanted)| wanted).collect()
    }

    /// Whether every node that may apply a merge can, as far as it has said so: an older program among them would have to stop.
    fn all_can_merge(&self, view: &View) -> bool {
        let state = self.state.lock();
        state.nodes().all(|node| {
            let can = |seen: &Seen| seen.newest_format >= FORMAT_MERGES;
            view.seen.get(&node.node_id).is_some_and(can) || self.is_dead(view, node.node_id)
        })
    }

    /// The ranges of data that are known as they are.
    fn extents(&self, view: &View, now: Instant, rest: Duration) -> Vec<Extent> {
        self.note_walk();
        let state = self.state.lock();
        let serves = |node_id: u64| {
            let recent = |seen: &Seen| now.duration_since(seen.at) < LIVE;
            let stays = |node: &NodeRow| !is_draining(node) && !node.decommissioning;
            view.seen.get(&node_id).is_some_and(recent) && state.node(node_id).is_some_and(stays)
        };
        // A merge needs every one of the replicas, and none of them on its way.
        let is_whole = |range: &RangeDescriptor| {
            let settled = |replica: &ReplicaDescriptor| !replica.learner && serves(replica.node_id);
            !range.joint && range.replicas.iter().all(settled)
        };
        let extents = state.ranges().filter(|range| range.range_id != ROOT_RANGE).filter_map(|row| {
            let led = view.led.get(&row.range_id).filter(|led| epochs(led) == epochs(row))?;
            let span = led.span.clone()?;
            let tried = view.merging.get(&row.range_id);
            let may_merge =
                is_whole(led) && tried.is_none_or(|at| now.duration_since(*at) >= rest.max(MERGING));
            Some(Extent {
                range_id: led.range_id,
                start: span.start,
                end: span.end,
                span_epoch: led.span_epoch,
                bytes: view.bytes.get(&row.range_id).copied(),
                requests_per_second: view.requests.get(&row.range_id).copied().unwrap_or(0),
                may_merge,
                by_hand: led.by_hand,
            })
        });
        extents.collect()
    }

    /// What placement wants, found not long ago.
    pub(super) fn plan(&self) -> Arc<Planned> {
        let now = env::clock::now();
        if let Some((until, plan)) = &self.view.lock().planned
            && now < *until
        {
            return plan.clone();
        }
        let view = self.cluster_view();
        let found = Arc::new(Planned::new(plan(&view), &view));
        let ended = env::clock::now();
        let holds = PLAN.max(ended.duration_since(now) * PLAN_PART);
        self.view.lock().planned = Some((ended + holds, found.clone()));
        found
    }

    /// The cluster as placement sees it.
    fn cluster_view(&self) -> ClusterView {
        self.note_walk();
        let now = env::clock::now();
        let mut view = self.view.lock();
        view.sent.retain(|_, (at, _)| now.duration_since(*at) < BEGINNING);
        view.handed_over.retain(|_, at| now.duration_since(*at) < LEADER_REST);
        let state = self.state.lock();
        let View { led, bytes, requests, configured, .. } = &mut *view;
        led.retain(|range_id, _| state.range(*range_id).is_some());
        bytes.retain(|range_id, _| state.range(*range_id).is_some());
        requests.retain(|range_id, _| state.range(*range_id).is_some());
        configured.retain(|range_id, _| state.range(*range_id).is_some());
        let nodes = state.nodes().map(|row| {
            let seen = view.seen.get(&row.node_id);
            let disk = seen.and_then(|seen| seen.disk);
            NodeView {
                node_id: row.node_id,
                // A new leader waits for a node's own word before it puts replicas there.
                live: seen.is_some_and(|seen| now.duration_since(seen.at) < LIVE),
                dead: self.is_dead(&view, row.node_id),
                draining: is_draining(row),
                leaving: row.decommissioning,
                // Twice what it is to keep free: nobody should have to stop writing soon after a replica came.
                room: disk.map_or(u64::MAX, |disk| {
                    disk.bytes_available.saturating_sub(disk.bytes_reserved.saturating_mul(2))
                }),
                locality: row.locality.clone(),
            }
        });
        let nodes: Vec<NodeView> = nodes.collect();
        let mut settled = now.duration_since(self.started) > SETTLING;
        settled &= nodes.iter().all(|node| node.live || node.dead);
        let ranges = state.ranges().map(|row| {
            let led = view.led.get(&row.range_id).filter(|led| epochs(led) >= epochs(row));
            let range = led.unwrap_or(row);
            let pending = view.sent.get(&row.range_id).map(|(_, found)| found);
            let configured = view.configured.get(&row.range_id).map(|(_, since)| *since);
            let is_new = |since: Instant| since > self.started && now.duration_since(since) < REPLICAS_REST;
            let merges = |at: &Instant| now.duration_since(*at) < MERGING;
            RangeView {
                range_id: range.range_id,
                config_epoch: range.config_epoch,
                joint: range.joint,
                known: led.is_some(),
                leader: led.map_or(0, |led| led.leader_node_id),
                led_apart: range.range_id == ROOT_RANGE,
                rests: view.handed_over.contains_key(&row.range_id),
                stays: configured.is_some_and(is_new) || view.merging.get(&row.range_id).is_some_and(merges),
                bytes: view.bytes.get(&row.range_id).copied().unwrap_or(0),
                replicas: view.replicas(range),
                pending: pending.filter(|found| found.config_epoch == range.config_epoch).cloned(),
            }
        });
        let ranges: Vec<RangeView> = ranges.collect();
        settled &= ranges.iter().all(|range| range.known);
        ClusterView { nodes, ranges, settled }
    }
}

impl Planned {
    /// A plan, dealt out to those who lead the ranges.
    fn new(plan: Plan, view: &ClusterView) -> Self {
        let leader = |range_id: u64| {
            let place = view.ranges.binary_search_by_key(&range_id, |range| range.range_id).ok();
            place.and_then(|place| view.ranges.get(place)).map_or(0, |range| range.leader)
        };
        let mut by_leader: BTreeMap<u64, Plan> = BTreeMap::new();
        for found in &plan.repairs {
            by_leader.entry(leader(found.range_id)).or_default().repairs.push(found.clone());
        }
        for found in &plan.balancing {
            by_leader.entry(leader(found.range_id)).or_default().balancing.push(found.clone());
        }
        for found in &plan.transfers {
            by_leader.entry(leader(found.range_id)).or_default().transfers.push(found.clone());
        }
        Self { plan, by_leader }
    }
}
