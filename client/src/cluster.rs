//! What people ask about the cluster through a client: its nodes and ranges, and to divide a range.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::clock;
use env::task::boxed;
use keys::Span;
use proto::v1::{
    self, NodeDescriptor, NodeState, NodesRequest, RangeStatus, RangesRequest, ReplicaDescriptor,
    SplitRequest,
};
use proto::{NodeService, Status};

use crate::sender::definite;
use crate::{Client, Error, Result};

/// How long one node may take to answer.
const CALL: Duration = Duration::from_secs(5);

/// How long before all are asked again.
const AGAIN: Duration = Duration::from_millis(100);

/// A node, as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its id.
    pub node_id: u64,
    /// Where others reach it.
    pub address: String,
    /// Whether it has shown a sign of life lately.
    pub live: bool,
    /// Where it is: tier and value, ascending.
    pub locality: Vec<(String, String)>,
    /// Its version.
    pub version: String,
    /// How many replicas it holds that are to go elsewhere, if it is to be decommissioned.
    pub leaving: Option<u64>,
    /// How many bytes it has yet to encrypt anew, as far as it has said.
    pub stale_bytes: u64,
}

/// A range, as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeInfo {
    /// Its id.
    pub range_id: u64,
    /// Its keys; an empty end is the end of the key space.
    pub span: Span,
    /// The node that leads it, if that is known.
    pub leader: Option<u64>,
    /// The nodes of its replicas that vote.
    pub voters: Vec<u64>,
    /// The nodes of those that do not yet.
    pub learners: Vec<u64>,
    /// What its leader has measured lately, if that was asked for, and told in time.
    pub load: Option<RangeLoad>,
}

/// What a range takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeLoad {
    /// On the disk of each node that holds it.
    pub bytes: u64,
    /// Of its leader.
    pub requests_per_second: u64,
}

impl Client {
    /// The nodes of the cluster, by id.
    #[boxed]
    pub async fn nodes(&self) -> Result<Vec<NodeInfo>> {
        let ask = |node: Arc<dyn NodeService>| async move { Ok(node.nodes(NodesRequest {}).await?.nodes) };
        let mut nodes: Vec<NodeInfo> = self.ask_any(ask).await?.into_iter().map(node).collect();
        nodes.sort_by_key(|node| node.node_id);
        Ok(nodes)
    }

    /// The ranges that hold keys of the span, in the order of their keys.
    #[boxed]
    pub async fn ranges(&self, span: &Span) -> Result<Vec<RangeInfo>> {
        self.listed(RangesRequest::default(), span).await
    }

    /// The same of all ranges, with what their leaders have measured.
    #[boxed]
    pub async fn ranges_with_loads(&self) -> Result<Vec<RangeInfo>> {
        let all = Span { start: Bytes::new(), end: Bytes::new() };
        self.listed(RangesRequest { loads: true, ..RangesRequest::default() }, &all).await
    }

    async fn listed(&self, request: RangesRequest, span: &Span) -> Result<Vec<RangeInfo>> {
        let ask = |node: Arc<dyn NodeService>| async move { Ok(node.ranges(request).await?.ranges) };
        let mut ranges: Vec<RangeInfo> = self.ask_any(ask).await?.into_iter().filter_map(range).collect();
        ranges.retain(|range| {
            (span.end.is_empty() || range.span.start < span.end)
                && (range.span.end.is_empty() || span.start < range.span.end)
        });
        ranges.sort_by(|a, b| a.span.start.cmp(&b.span.start));
        Ok(ranges)
    }

    /// Has a range begin at `key`; false: one did.
    #[boxed]
    pub async fn split(&self, key: Bytes) -> Result<bool> {
        self.ask_any(|node| {
            let request = SplitRequest { key: key.clone(), passed_on: false };
            async move { Ok(!node.split(request).await?.already) }
        })
        .await
    }

    /// Asks one node after the other, again and again, until one answers.
    async fn ask_any<T, F>(&self, ask: impl Fn(Arc<dyn NodeService>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let until = clock::now() + self.options().timeout;
        loop {
            let mut last = Status::unavailable("no node is known");
            for peer in self.sender.router.directory_peers() {
                match clock::timeout(CALL, ask(peer.handle.clone())).await {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(status)) => {
                        if let Some(error) = definite(&status) {
                            return Err(error);
                        }
                        last = status;
                    }
                    Err(_) => last = Status::deadline_exceeded(format!("{} did not answer", peer.address)),
                }
            }
            if clock::now() >= until {
                return Err(Error::Unavailable {
                    message: last.message().to_owned(),
                    source: Some(Box::new(last)),
                });
            }
            clock::sleep(AGAIN).await;
        }
    }
}

fn node(node: NodeDescriptor) -> NodeInfo {
    let leaving = (node.state() == NodeState::Decommissioning).then_some(node.replicas);
    let NodeDescriptor { node_id, address, live, locality, version, data_keys, .. } = node;
    let stale_bytes = data_keys.map_or(0, |keys| keys.stale_bytes);
    let mut locality: Vec<(String, String)> = locality.into_iter().collect();
    locality.sort();
    NodeInfo { node_id, address, live, locality, version, leaving, stale_bytes }
}

fn range(status: RangeStatus) -> Option<RangeInfo> {
    let range = status.descriptor?;
    let load =
        |load: v1::RangeLoad| RangeLoad { bytes: load.bytes, requests_per_second: load.requests_per_second };
    let (learners, voters): (Vec<_>, Vec<_>) = range.replicas.iter().partition(|replica| replica.learner);
    let nodes = |replicas: Vec<&ReplicaDescriptor>| replicas.iter().map(|replica| replica.node_id).collect();
    let span = range.span.unwrap_or_default();
    Some(RangeInfo {
        range_id: range.range_id,
        span: Span { start: span.start, end: span.end },
        leader: Some(range.leader_node_id).filter(|leader| *leader != 0),
        voters: nodes(voters),
        learners: nodes(learners),
        load: status.load.map(load),
    })
}
