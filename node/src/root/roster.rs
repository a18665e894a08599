//! The nodes as the root range's leader sees them, and what an operator wants of them.
//!
//! What an operator wants is replicated; whether a node lives, each leader finds by itself, and writes down since when one is
//! silent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proto::Status;
use proto::v1::root_command::Kind;
use proto::v1::{
    DecommissionRequest, DrainRequest, NodeDescriptor, NodeRow, NodeState, NodeStateResponse,
    RangeDescriptor, SetNodeCommand, SilenceCommand,
};

use super::ROOT_RANGE;
use super::placement::REPLICAS;
use super::state::is_draining;
use super::term::RootTerm;
use super::view::{Holding, View};
use crate::raft::ProposeError;

/// After how long without a sign of life a node counts as not live.
pub(super) const LIVE: Duration = Duration::from_secs(5);

/// After how long without one that is written down.
const SILENT: Duration = Duration::from_secs(10);

/// Within what time every node that lives is heard by a new leader.
const HEARD_WITHIN: Duration = Duration::from_secs(15);

/// For how long it counts what nodes hold at least, where that need not be exact, and as a multiple of what it took to find.
const HELD: Duration = Duration::from_millis(500);
const HELD_PART: u32 = 100;

/// So many nodes each answer to a heartbeat tells of, in turn, whoever knows the others.
const TOLD: u64 = 32;

impl RootTerm {
    /// The nodes as this leader sees them.
    pub(crate) fn nodes(&self) -> Vec<NodeDescriptor> {
        let held = self.find_held();
        self.describe_all(&held)
    }

    /// The same, but for what they hold, which may have been so a moment ago: it looks at no range.
    pub(crate) fn nodes_lately(&self) -> Vec<NodeDescriptor> {
        let held = self.held_lately();
        self.describe_all(&held)
    }

    /// Some of the nodes, likewise, for one that knows the others: itself, those whose disks are almost full, and others in turn.
    pub(super) fn some_nodes(&self, node_id: u64) -> Vec<NodeDescriptor> {
        let held = self.held_lately();
        let turns = env::clock::now().duration_since(self.started).as_secs();
        let view = self.view.lock();
        let state = self.state.lock();
        let first = turns.wrapping_mul(TOLD) % state.newest_node().max(1);
        let in_turn = state.nodes_from(first + 1).take(TOLD as usize).map(|node| node.node_id);
        let told: BTreeSet<u64> = view.low.keys().copied().chain([node_id]).chain(in_turn).collect();
        let told = told.into_iter().filter_map(|node_id| state.node(node_id));
        told.map(|node| self.describe(&view, node, &held)).collect()
    }

    /// Some nodes.
    pub(crate) fn nodes_of(&self, ids: &BTreeSet<u64>) -> Vec<NodeDescriptor> {
        let held = self.held_lately();
        let view = self.view.lock();
        let state = self.state.lock();
        let nodes = ids.iter().filter_map(|node_id| state.node(*node_id));
        nodes.map(|node| self.describe(&view, node, &held)).collect()
    }

    fn describe_all(&self, held: &BTreeMap<u64, Holding>) -> Vec<NodeDescriptor> {
        let view = self.view.lock();
        let state = self.state.lock();
        state.nodes().map(|node| self.describe(&view, node, held)).collect()
    }

    fn describe(&self, view: &View, node: &NodeRow, held: &BTreeMap<u64, Holding>) -> NodeDescriptor {
        let now = env::clock::now();
        let seen = view.seen.get(&node.node_id);
        let held = held.get(&node.node_id).copied().unwrap_or_default();
        NodeDescriptor {
            node_id: node.node_id,
            address: node.address.clone(),
            locality: node.locality.clone(),
            last_seen_ms: seen.map_or(0, |seen| seen.wall_ms),
            live: match seen {
                Some(seen) => now.duration_since(seen.at) < LIVE,
                None => now.duration_since(self.started) < LIVE,
            },
            version: node.version.clone(),
            generation: node.generation,
            state: state_of(node, self.is_dead(view, node.node_id), held).into(),
            replicas: held.replicas,
            leaders: held.leaders,
            bytes: held.bytes,
            disk: seen.and_then(|seen| seen.disk),
            newest_command_format: seen.map_or(0, |seen| seen.newest_format),
            data_keys: seen.and_then(|seen| seen.data_keys),
        }
    }

    /// What nodes hold, found not long ago.
    fn held_lately(&self) -> Arc<BTreeMap<u64, Holding>> {
        let now = env::clock::now();
        if let Some((until, held)) = &self.view.lock().held
            && now < *until
        {
            return held.clone();
        }
        let held = Arc::new(self.find_held());
        let ended = env::clock::now();
        let counts = HELD.max(ended.duration_since(now) * HELD_PART);
        self.view.lock().held = Some((ended + counts, held.clone()));
        held
    }

    /// What nodes hold. It looks at all ranges.
    fn find_held(&self) -> BTreeMap<u64, Holding> {
        self.note_walk();
        let root = self.root_descriptor();
        let view = self.view.lock();
        let state = self.state.lock();
        let mut holdings: BTreeMap<u64, Holding> = BTreeMap::new();
        for row in state.ranges() {
            let range = if row.range_id == ROOT_RANGE { &root } else { view.told(row) };
            let bytes = view.bytes.get(&range.range_id).copied().unwrap_or(0);
            for replica in &range.replicas {
                let held = holdings.entry(replica.node_id).or_default();
                held.replicas += 1;
                held.leaders += u64::from(range.leader_node_id == replica.node_id);
                held.bytes += bytes;
            }
        }
        holdings
    }

    /// Whether a node has said nothing for so long that its replicas count as lost.
    pub(super) fn is_dead(&self, view: &View, node_id: u64) -> bool {
        let dead_after = self.nodes.dead_after;
        let now = env::clock::now();
        if let Some(seen) = view.seen.get(&node_id) {
            return now.duration_since(seen.at) > dead_after;
        }
        // It has not been heard of in this term. Since when it has been silent, earlier leaders have written down; but it must have
        // had the time to say a word to this one.
        let waited = now.duration_since(self.started);
        let silent_ms = self.silent.get(&node_id).copied().unwrap_or(0);
        waited > dead_after
            || (waited > HEARD_WITHIN && waited + Duration::from_millis(silent_ms) > dead_after)
    }

    /// Writes down who has fallen silent, and who is heard of again, so that the next leader need not wait all that time anew.
    pub(super) async fn note_silence(&self) -> Result<(), ProposeError> {
        let now = env::clock::now();
        let changed: Vec<SilenceCommand> = {
            let view = self.view.lock();
            let state = self.state.lock();
            let changed = state.nodes().filter_map(|node| {
                let node_id = node.node_id;
                // Of whom it has not heard it knows what the row says.
                let seen = view.seen.get(&node_id)?;
                let is_silent = now.duration_since(seen.at) > SILENT;
                let since_ms = if is_silent { seen.oracle_ms.max(1) } else { 0 };
                ((node.silent_since_ms != 0) != is_silent).then_some(SilenceCommand { node_id, since_ms })
            });
            changed.collect()
        };
        for command in changed {
            self.propose(Kind::Silence(command)).await?;
        }
        Ok(())
    }

    /// Writes down whom an operator has given up, so that every later leader refuses them too, on whatever store.
    pub(super) async fn note_given_up(&self) -> Result<(), ProposeError> {
        let unknown: Vec<u64> = {
            let state = self.state.lock();
            let lost = state.nodes().filter(|node| self.nodes.lost.contains(&node.node_id) && !node.given_up);
            lost.map(|node| node.node_id).collect()
        };
        for node_id in unknown {
            let command = SetNodeCommand { node_id, given_up: Some(true), ..SetNodeCommand::default() };
            self.propose(Kind::SetNode(command)).await?;
        }
        Ok(())
    }

    /// Has a node lead nothing, or lead again.
    pub(crate) async fn drain(&self, request: DrainRequest) -> Result<NodeStateResponse, Status> {
        let draining = Some(!request.cancel);
        let node_id = request.node_id;
        self.set_node(SetNodeCommand { node_id, draining, ..SetNodeCommand::default() }).await
    }

    /// Has a node's replicas go elsewhere, or has them stay.
    pub(crate) async fn decommission(
        &self,
        request: DecommissionRequest,
    ) -> Result<NodeStateResponse, Status> {
        let node_id = request.node_id;
        if !request.cancel {
            self.check_left(node_id)?;
        }
        let decommissioning = Some(!request.cancel);
        let command = SetNodeCommand { node_id, decommissioning, ..SetNodeCommand::default() };
        let mut answer = self.set_node(command).await?;
        answer.stuck = self.stuck(node_id);
        Ok(answer)
    }

    async fn set_node(&self, command: SetNodeCommand) -> Result<NodeStateResponse, Status> {
        let node_id = command.node_id;
        self.prove_leadership().await?;
        let is_so = |node: &NodeRow| {
            command.draining.is_none_or(|draining| is_draining(node) == draining)
                && command
                    .decommissioning
                    .is_none_or(|decommissioning| node.decommissioning == decommissioning)
        };
        // Whoever asks how far it has come writes nothing.
        let mut already = self.state.lock().node(node_id).is_some_and(is_so);
        if !already {
            already = self.run(Kind::SetNode(command)).await.map_err(known_nodes)?.already;
            // What is decided from now on is decided by the new state.
            self.view.lock().planned = None;
        }
        let node = self.nodes().into_iter().find(|node| node.node_id == node_id);
        Ok(NodeStateResponse { node, already, stuck: 0 })
    }

    /// Refuses to take away a node if those that would be left could not hold what there is.
    fn check_left(&self, node_id: u64) -> Result<(), Status> {
        let ranges = self.ranges();
        let view = self.view.lock();
        let state = self.state.lock();
        if state.node(node_id).is_some_and(|node| node.decommissioning) {
            return Ok(());
        }
        let stays = |node: &&NodeRow| {
            node.node_id != node_id && !node.decommissioning && !self.is_dead(&view, node.node_id)
        };
        let left = state.nodes().filter(stays).count();
        let voters =
            |range: &RangeDescriptor| range.replicas.iter().filter(|replica| !replica.learner).count();
        let needed = ranges.iter().map(voters).max().unwrap_or(0).clamp(1, REPLICAS);
        if left >= needed {
            return Ok(());
        }
        Err(Status::invalid_argument(format!(
            "node {node_id} cannot be decommissioned: {left} other nodes would be left, and ranges have {needed} replicas; start \
             another node first (`nunatak node --join ADDR`)"
        )))
    }

    /// How many replicas of a node that is to be taken away have nowhere to go; 0 as long as one of them goes.
    fn stuck(&self, node_id: u64) -> u64 {
        let plan = self.plan();
        let moves: BTreeSet<u64> = plan.plan.repairs.iter().map(|found| found.range_id).collect();
        let is_here =
            |range: &RangeDescriptor| range.replicas.iter().any(|replica| replica.node_id == node_id);
        let goes = |range: &RangeDescriptor| {
            range.joint
                || range.replicas.iter().any(|replica| replica.learner)
                || moves.contains(&range.range_id)
        };
        let held: Vec<RangeDescriptor> = self.ranges().into_iter().filter(is_here).collect();
        if held.iter().any(goes) { 0 } else { held.len() as u64 }
    }
}

/// The refusal of a node that there is not, with what to do.
fn known_nodes(status: Status) -> Status {
    match status.code() {
        proto::Code::InvalidArgument => Status::invalid_argument(format!(
            "{}: `nunatak admin nodes` lists those there are",
            status.message()
        )),
        _ => status,
    }
}

fn state_of(node: &NodeRow, is_dead: bool, held: Holding) -> NodeState {
    match (node.decommissioning, held.replicas, is_dead, is_draining(node)) {
        (true, 0, ..) => NodeState::Decommissioned,
        (true, ..) => NodeState::Decommissioning,
        (_, _, true, _) => NodeState::Dead,
        (.., true) => NodeState::Draining,
        _ => NodeState::Serving,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_what_its_operator_wants_unless_it_is_dead() {
        let node = |decommissioning, draining_generation| NodeRow {
            generation: 3,
            decommissioning,
            draining_generation,
            ..NodeRow::default()
        };
        let some = Holding { replicas: 1, ..Holding::default() };
        assert_eq!(state_of(&node(false, 0), false, some), NodeState::Serving);
        assert_eq!(state_of(&node(false, 3), false, some), NodeState::Draining);
        assert_eq!(
            state_of(&node(false, 2), false, some),
            NodeState::Serving,
            "another process of it drained"
        );
        assert_eq!(state_of(&node(false, 3), true, some), NodeState::Dead);
        assert_eq!(state_of(&node(true, 0), true, some), NodeState::Decommissioning);
        assert_eq!(state_of(&node(true, 0), true, Holding::default()), NodeState::Decommissioned);
    }
}
