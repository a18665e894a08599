//! Where ranges and nodes are, as far as this node knows.
//!
//! The root range's leader is asked with every heartbeat, and tells what has changed. With that replicas go that were removed while
//! this node did not hear of it. Who wants to know of a key is told of that key; all of it is for those who begin, and for people.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proto::v1::{
    DirectoryRequest, DirectoryResponse, NodeDescriptor, NodeHeartbeatResponse, RangeDescriptor, Span,
};

use super::Member;
use super::relevant::overlap;
use crate::range::map::{RangeMap, holds, touches};
use crate::range::merge;
use crate::range::state::descriptor;
use crate::root::ROOT_RANGE;

/// How often it is looked for replicas of ranges that are no more, where the directory has not changed.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What the root range's leader has said.
#[derive(Debug, Default)]
pub(super) struct Known {
    told_by: u64,
    changes: u64,
    ranges: RangeMap,
    nodes: BTreeMap<u64, NodeDescriptor>,
}

impl Known {
    fn take_in(&mut self, answer: DirectoryResponse) {
        if answer.since && answer.told_by != self.told_by {
            // It is of what this node does not know any more: all is asked for next time.
            self.told_by = 0;
            return;
        }
        if !answer.since {
            *self = Self { told_by: answer.told_by, ..Self::default() };
            self.take_in_nodes(answer.nodes);
        }
        self.changes = answer.changes;
        answer.gone.iter().for_each(|range_id| self.ranges.remove(*range_id));
        answer.ranges.into_iter().for_each(|range| self.ranges.insert(range));
    }

    fn take_in_nodes(&mut self, nodes: impl IntoIterator<Item = NodeDescriptor>) {
        self.nodes.extend(nodes.into_iter().map(|node| (node.node_id, node)));
    }

    /// The ranges.
    pub(super) fn ranges(&self) -> &RangeMap {
        &self.ranges
    }

    fn nodes(&self) -> Vec<NodeDescriptor> {
        self.nodes.values().cloned().collect()
    }

    /// All of it, of nobody who counts what changes.
    fn all(&self) -> DirectoryResponse {
        let (ranges, nodes) = (self.ranges.values().cloned().collect(), self.nodes());
        DirectoryResponse { ranges, nodes, ..DirectoryResponse::default() }
    }
}

impl Member {
    /// Takes in what a heartbeat's answer says of nodes, where it says something of some.
    pub(super) fn know_nodes(&self, answer: &NodeHeartbeatResponse) {
        // Otherwise the directory has them all.
        if answer.some_nodes {
            self.known.write().take_in_nodes(answer.nodes.iter().cloned());
        }
    }

    /// Asks what has become of the directory, and drops the replicas that this node should not have any more.
    pub(super) async fn follow_directory(&self) {
        let request = {
            let Known { told_by, changes, .. } = *self.known.read();
            DirectoryRequest { cluster_id: self.cluster_id.clone(), told_by, changes, ..Default::default() }
        };
        let Ok(answer) = self.link.directory(request).await else { return };
        // The root range is told each time.
        let is_new = !answer.since || answer.ranges.len() > 1 || !answer.gone.is_empty();
        let told: Vec<u64> = answer.ranges.iter().map(|range| range.range_id).collect();
        self.known.write().take_in(answer);
        let now = env::clock::now();
        let is_due = self.looked_for_past.lock().is_none_or(|at| now.duration_since(at) >= LOOK_AGAIN);
        let looks_at_all = is_new || is_due;
        let replicas = match looks_at_all {
            true => self.replicas(),
            false => told.into_iter().filter_map(|range_id| self.replica(range_id)).collect(),
        };
        for replica in replicas {
            let range_id = replica.cell.range_id();
            let newer = {
                let known = self.known.read();
                let newer = |range: &&RangeDescriptor| range.config_epoch > replica.group.membership_index();
                known.ranges.get(range_id).filter(newer).cloned()
            };
            let Some(range) = newer else { continue };
            if let Err(error) = self.leave_if_removed(&range).await {
                tracing::error!(range = range_id, %error, "a replica that was removed is still here");
            }
        }
        if looks_at_all {
            *self.looked_for_past.lock() = Some(now);
            self.leave_if_past().await;
        }
    }

    /// What somebody is answered who knows the directory as he says, or wants to know of a key alone.
    pub(crate) fn directory_since(&self, request: &DirectoryRequest) -> DirectoryResponse {
        if !request.at.is_empty() {
            return self.directory_at(&request.at);
        }
        let since = self.link.local().and_then(|root| root.directory_since(request));
        let Some(mut directory) = since else { return self.directory() };
        directory.cluster_id = self.cluster_id.clone();
        directory.ranges.iter_mut().for_each(|range| self.refine(range));
        directory
    }

    /// The root range, the ranges that hold a key or end with it, and the nodes that hold these.
    fn directory_at(&self, key: &[u8]) -> DirectoryResponse {
        let mut ranges = self.ranges_at(key);
        ranges.extend(self.range(ROOT_RANGE));
        let holders = ranges.iter().flat_map(|range| &range.replicas).map(|replica| replica.node_id);
        let holders: BTreeSet<u64> = holders.collect();
        let mut nodes: Vec<NodeDescriptor> = match self.link.local() {
            Some(root) => root.nodes_of(&holders),
            None => {
                let known = self.known.read();
                holders.iter().filter_map(|node_id| known.nodes.get(node_id).cloned()).collect()
            }
        };
        nodes.iter_mut().for_each(|node| self.find_node(node));
        DirectoryResponse { cluster_id: self.cluster_id.clone(), ranges, nodes, ..Default::default() }
    }

    /// Where ranges and nodes are, as far as this node knows: what the root leader said last, and what its own
    /// replicas have heard since. It looks at all of them.
    pub(crate) fn directory(&self) -> DirectoryResponse {
        let mut directory = match self.link.local() {
            Some(root) => root.directory(),
            None => self.known.read().all(),
        };
        directory.cluster_id = self.cluster_id.clone();
        let known: BTreeSet<u64> = directory.ranges.iter().map(|range| range.range_id).collect();
        for replica in self.replicas() {
            let state = replica.cell.state();
            // The root range hears of a new range from its leader, which it may not have yet.
            if state.span.is_some() && !known.contains(&state.range_id) && !directory.ranges.is_empty() {
                directory.ranges.push(descriptor(&state, 0));
            }
        }
        directory.ranges.iter_mut().for_each(|range| self.refine(range));
        merge::retain_present(&mut directory.ranges);
        directory.nodes.iter_mut().for_each(|node| self.find_node(node));
        directory
    }

    /// Whether this node has heard of any range.
    pub(crate) fn knows_ranges(&self) -> bool {
        match self.link.local() {
            Some(root) => root.knows_ranges(),
            None => !self.known.read().ranges.is_empty(),
        }
    }

    /// The nodes.
    pub(super) fn nodes(&self) -> Vec<NodeDescriptor> {
        let mut nodes = match self.link.local() {
            Some(root) => root.nodes_lately(),
            None => self.known.read().nodes(),
        };
        nodes.iter_mut().for_each(|node| self.find_node(node));
        nodes
    }

    /// One range.
    pub(super) fn range(&self, range_id: u64) -> Option<RangeDescriptor> {
        let mut ranges =
            self.pick(|known| known.get(range_id).map(|range| range.range_id).into_iter().collect());
        let here = || self.replica(range_id).map(|replica| descriptor(&replica.cell.state(), 0));
        let mut range = ranges.pop().or_else(|| here().filter(|range| range.span.is_some()))?;
        self.refine(&mut range);
        Some(range)
    }

    /// The ranges that hold a key or end with it, as far as is known.
    pub(super) fn ranges_at(&self, key: &[u8]) -> Vec<RangeDescriptor> {
        let known = self.pick(|known| known.touching(key).iter().map(|range| range.range_id).collect());
        self.with_own(known, |own| touches(own, key))
    }

    /// So many of those that reach into a span, from its beginning.
    pub(super) fn ranges_in(&self, span: &Span, most: usize) -> Vec<RangeDescriptor> {
        let known =
            self.pick(|known| known.reaching_into(span).map(|range| range.range_id).take(most).collect());
        self.with_own(known, |own| overlap(own, span))
    }

    /// The range that holds a key.
    pub(super) fn range_holding(&self, key: &[u8]) -> Option<RangeDescriptor> {
        let mut known =
            self.pick(|known| known.holding(key).map(|range| range.range_id).into_iter().collect());
        known.iter_mut().for_each(|range| self.refine(range));
        // What has been divided here holds less than the root range has heard.
        let found = known.into_iter().find(|range| holds(range, key));
        found.or_else(|| self.ranges_at(key).into_iter().find(|range| holds(range, key)))
    }

    /// What the root range's leader has said of the ranges that `pick` names.
    fn pick(&self, pick: impl FnOnce(&RangeMap) -> Vec<u64>) -> Vec<RangeDescriptor> {
        if let Some(root) = self.link.local() {
            return root.ranges_of(pick);
        }
        let known = self.known.read();
        let ids = pick(&known.ranges);
        ids.into_iter().filter_map(|range_id| known.ranges.get(range_id).cloned()).collect()
    }

    /// These, those here that are wanted, too, of which the root range has not heard, and each as it is known here.
    fn with_own(
        &self,
        mut ranges: Vec<RangeDescriptor>,
        is_wanted: impl Fn(&Span) -> bool,
    ) -> Vec<RangeDescriptor> {
        for replica in self.replicas() {
            let state = replica.cell.state();
            if state.span.as_ref().is_some_and(&is_wanted)
                && !ranges.iter().any(|range| range.range_id == state.range_id)
            {
                ranges.push(descriptor(&state, 0));
            }
        }
        ranges.iter_mut().for_each(|range| self.refine(range));
        merge::retain_present(&mut ranges);
        ranges
    }

    fn refine(&self, range: &mut RangeDescriptor) {
        let Some(replica) = self.replica(range.range_id) else { return self.addresses.describe(range) };
        let state = replica.cell.state();
        if (state.span_epoch, state.config_epoch) >= (range.span_epoch, range.config_epoch)
            && state.span.is_some()
        {
            *range = descriptor(&state, range.leader_node_id);
        }
        if let Some(leader) = replica.group.role().leader {
            range.leader_node_id = leader.store.node_id;
        }
        self.addresses.describe(range);
    }

    /// Whoever has moved is found by its peers before the root range hears of it.
    fn find_node(&self, node: &mut NodeDescriptor) {
        if let Some(found) = self.addresses.find(node.node_id)
            && found.generation >= node.generation
        {
            node.address = found.address;
            node.generation = found.generation;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_takes_the_place_of_what_was() {
        let range = |range_id, config_epoch| RangeDescriptor { range_id, config_epoch, ..Default::default() };
        let mut known = Known::default();
        let ranges = vec![range(1, 1), range(3, 1), range(4, 1)];
        known.take_in(DirectoryResponse { ranges, told_by: 7, changes: 3, ..Default::default() });
        let ranges = vec![range(1, 2), range(2, 1), range(4, 5)];
        let answer = DirectoryResponse {
            ranges,
            told_by: 7,
            changes: 9,
            gone: vec![3],
            since: true,
            ..Default::default()
        };
        known.take_in(answer.clone());
        assert_eq!((known.told_by, known.changes), (7, 9));
        assert_eq!(known.all().ranges, [range(1, 2), range(2, 1), range(4, 5)]);
        known.take_in(DirectoryResponse { told_by: 8, ..answer });
        assert_eq!((known.told_by, known.all().ranges.len()), (0, 3), "another one has counted that");
    }
}
