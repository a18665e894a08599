//! An operator, who has the cluster moved about by admin calls, and finds out by asking what has become of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::{clock, random};
use proto::NodeService;
use proto::v1::{
    AddReplicaRequest, DecommissionRequest, DirectoryRequest, DirectoryResponse, DrainRequest, MergeRequest,
    MoveReplicaRequest, NodeDescriptor, NodeState, NodeStateResponse, RangeDescriptor, RemoveReplicaRequest,
    ReplicasResponse, TransferLeaderRequest,
};

use super::cluster::{Cluster, REPLICAS};

/// How long one call may take.
const CALL: Duration = Duration::from_secs(8);

/// How long a node may take to lead nothing.
const DRAINING: Duration = Duration::from_secs(10);

/// How long it may take until a node holds nothing.
const EMPTYING: Duration = Duration::from_secs(40);

/// How long the operator tries to have everything as it was.
const RESTORING: Duration = Duration::from_secs(60);

/// How often it is asked how far something has come.
const TICK: Duration = Duration::from_millis(100);

/// How many nodes must be left to hold what there is, and one to spare.
const NODES_MIN: usize = 4;

/// An operator.
pub(super) struct Operator {
    nodes: Vec<Arc<dyn NodeService>>,
}

impl Operator {
    pub(super) fn of(cluster: &Cluster) -> Self {
        let network = cluster.network().for_endpoint("operator");
        Self { nodes: cluster.addresses().iter().map(|address| network.connect(address)).collect() }
    }

    /// The node that is asked: any.
    fn node(&self) -> &dyn NodeService {
        let place = random::below(self.nodes.len() as u64) as usize;
        self.nodes[place].as_ref()
    }

    async fn directory(&self) -> Option<DirectoryResponse> {
        answered(self.node().directory(DirectoryRequest::default())).await
    }

    /// Has a range led by another of its nodes; whether that is known to have come about.
    pub(super) async fn transfer(&self) -> bool {
        let Some(directory) = self.directory().await else { return false };
        let Some(range) = any(&directory.ranges) else { return false };
        let others: Vec<u64> = range
            .replicas
            .iter()
            .filter(|replica| !replica.learner && replica.node_id != range.leader_node_id)
            .map(|replica| replica.node_id)
            .collect();
        let Some(node_id) = any(&others).copied() else { return false };
        let request = TransferLeaderRequest { range_id: range.range_id, node_id };
        self.change(|| self.node().transfer_leader(request)).await
    }

    /// Has something done, sometimes by two nodes at once, as who is not sure that it was heard; whether it is known to have come
    /// about.
    async fn change<'a, F>(&'a self, ask: impl Fn() -> F) -> bool
    where
        F: Future<Output = Result<ReplicasResponse, proto::Status>> + 'a,
    {
        let again = async { if random::below(3) == 0 { answered(ask()).await } else { None } };
        let (one, other) = futures::join!(answered(ask()), again);
        [one, other].into_iter().flatten().any(|answer| !answer.already)
    }

    /// Has a range hold one replica more or one less; whether that is known to have come about.
    pub(super) async fn resize(&self) -> bool {
        let Some(directory) = self.directory().await else { return false };
        let Some(range) = any(&directory.ranges) else { return false };
        let (held, free): (Vec<_>, Vec<_>) =
            directory.nodes.iter().filter(is_here).partition(|node| holds(range, node));
        let range_id = range.range_id;
        if range.replicas.len() <= REPLICAS && random::below(3) > 0 {
            let Some(node_id) = any(&free).map(|node| node.node_id) else { return false };
            let request = AddReplicaRequest { range_id, node_id };
            return self.change(|| self.node().add_replica(request)).await;
        }
        let Some(node_id) = any(&held).map(|node| node.node_id) else { return false };
        let request = RemoveReplicaRequest { range_id, node_id };
        self.change(|| self.node().remove_replica(request)).await
    }

    /// Takes away what replicas an operator has had made beyond those that a range has by itself; what keeps one from it.
    pub(super) async fn trim(&self) -> Vec<String> {
        let until = clock::now() + RESTORING;
        loop {
            let directory = self.directory().await.unwrap_or_default();
            let voters =
                |range: &RangeDescriptor| range.replicas.iter().filter(|replica| !replica.learner).count();
            let large: Vec<_> = directory.ranges.iter().filter(|range| voters(range) > REPLICAS).collect();
            if !directory.ranges.is_empty() && large.is_empty() {
                return Vec::new();
            }
            if clock::now() >= until {
                return vec![format!("ranges still have more than {REPLICAS} replicas: {large:?}")];
            }
            for range in large {
                let Some(replica) = any(&range.replicas) else { continue };
                let request = RemoveReplicaRequest { range_id: range.range_id, node_id: replica.node_id };
                answered(self.node().remove_replica(request)).await;
            }
            clock::sleep(TICK).await;
        }
    }

    /// Where a range of data begins, the first one apart.
    pub(super) async fn any_border(&self) -> Option<Bytes> {
        let directory = self.directory().await?;
        let first = keys::sql::data_span().start;
        let starts = directory.ranges.into_iter().filter_map(|range| Some(range.span?.start));
        let borders: Vec<Bytes> =
            starts.filter(|start| *start > first && keys::sql::data_span().contains(start)).collect();
        any(&borders).cloned()
    }

    /// Has two ranges merged; whether that is known to have come about.
    pub(super) async fn merge(&self, key: Bytes) -> bool {
        let asked = self.node().merge(MergeRequest { key, passed_on: false });
        answered(asked).await.is_some_and(|answer| !answer.already)
    }

    /// Has a replica of a range move to another node; whether that is known to have come about.
    pub(super) async fn shift(&self) -> bool {
        let Some(directory) = self.directory().await else { return false };
        let Some(range) = any(&directory.ranges) else { return false };
        let (from, to): (Vec<_>, Vec<_>) =
            directory.nodes.iter().filter(is_here).partition(|node| holds(range, node));
        let (Some(from), Some(to)) = (any(&from), any(&to)) else { return false };
        let (range_id, from_node_id, to_node_id) = (range.range_id, from.node_id, to.node_id);
        let request = MoveReplicaRequest { range_id, from_node_id, to_node_id };
        self.change(|| self.node().move_replica(request)).await
    }

    /// Has a node lead nothing for a while; whether it came so far.
    pub(super) async fn drain(&self) -> bool {
        let Some(node) = self.some_node(2).await else { return false };
        let drained = self.until(DRAINING, |node| node.leaders == 0, || self.ask_drain(node, false)).await;
        clock::sleep(Duration::from_millis(random::below(4_000))).await;
        answered(self.ask_drain(node, true)).await;
        drained
    }

    /// Has a node hold nothing for a while; whether it came so far, and where it is.
    pub(super) async fn decommission(&self) -> Option<String> {
        let node = self.some_node(NODES_MIN).await?;
        let emptied = |node: &NodeDescriptor| node.state() == NodeState::Decommissioned;
        let decommissioned = self.until(EMPTYING, emptied, || self.ask_decommission(node, false)).await;
        let address = self.directory().await?.nodes.into_iter().find(|known| known.node_id == node)?.address;
        decommissioned.then_some(address)
    }

    /// Has all nodes lead and hold again; what keeps one from it.
    pub(super) async fn restore(&self) -> Vec<String> {
        let until = clock::now() + RESTORING;
        loop {
            let mut left = Vec::new();
            match self.directory().await {
                None => left.push("the directory is not answered".to_owned()),
                Some(directory) => {
                    for node in directory.nodes {
                        let (drains, leaves) = match node.state() {
                            NodeState::Draining => (true, false),
                            NodeState::Decommissioning | NodeState::Decommissioned => (true, true),
                            NodeState::Serving | NodeState::Dead => continue,
                        };
                        left.push(format!("node {} is {:?}", node.node_id, node.state()));
                        if leaves {
                            answered(self.ask_decommission(node.node_id, true)).await;
                        }
                        if drains {
                            answered(self.ask_drain(node.node_id, true)).await;
                        }
                    }
                }
            }
            if left.is_empty() || clock::now() >= until {
                return left;
            }
            clock::sleep(TICK).await;
        }
    }

    /// A node of the cluster that works, if there are so many.
    async fn some_node(&self, least: usize) -> Option<u64> {
        let directory = self.directory().await?;
        let here: Vec<_> = directory.nodes.iter().filter(is_here).collect();
        any(&here).filter(|_| here.len() >= least).map(|node| node.node_id)
    }

    async fn ask_drain(&self, node_id: u64, cancel: bool) -> Result<NodeStateResponse, proto::Status> {
        self.node().drain(DrainRequest { node_id, cancel, passed_on: false }).await
    }

    async fn ask_decommission(&self, node_id: u64, cancel: bool) -> Result<NodeStateResponse, proto::Status> {
        self.node().decommission(DecommissionRequest { node_id, cancel, passed_on: false }).await
    }

    /// Asks again and again until a node is as it should be.
    async fn until<F>(
        &self,
        patience: Duration,
        is_so: impl Fn(&NodeDescriptor) -> bool,
        ask: impl Fn() -> F,
    ) -> bool
    where
        F: Future<Output = Result<NodeStateResponse, proto::Status>>,
    {
        let until = clock::now() + patience;
        while clock::now() < until {
            if answered(ask()).await.and_then(|answer| answer.node).is_some_and(|node| is_so(&node)) {
                return true;
            }
            clock::sleep(TICK).await;
        }
        false
    }
}

/// An answer, if it comes.
async fn answered<T>(asked: impl Future<Output = Result<T, proto::Status>>) -> Option<T> {
    match clock::timeout(CALL, asked).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(status)) => {
            tracing::info!(%status, "the operator is refused");
            None
        }
        Err(_) => None,
    }
}

fn any<T>(list: &[T]) -> Option<&T> {
    list.get(random::below(list.len().max(1) as u64) as usize)
}

fn holds(range: &RangeDescriptor, node: &NodeDescriptor) -> bool {
    range.replicas.iter().any(|replica| replica.node_id == node.node_id)
}

fn is_here(node: &&NodeDescriptor) -> bool {
    node.live && node.state() == NodeState::Serving
}
