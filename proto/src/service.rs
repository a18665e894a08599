//! The one interface between processes: what a node answers, and how it is reached.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use futures::Stream;
use tonic::Status;

use crate::v1::{
    AllocateIdsRequest, AllocateIdsResponse, BatchRequest, BatchResponse, CheckConsistencyRequest,
    CheckConsistencyResponse, DigestRequest, DigestResponse, DirectoryRequest, DirectoryResponse,
    GatewayHeartbeatRequest, GatewayHeartbeatResponse, HelloRequest, HelloResponse, HistoryRequest,
    HistoryResponse, InitRequest, InitResponse, JoinRequest, JoinResponse, NodeHeartbeatRequest,
    NodeHeartbeatResponse, NodesRequest, NodesResponse, RaftAppendRequest, RaftAppendResponse,
    RaftSnapshotChunk, RaftSnapshotResponse, RaftTransferRequest, RaftTransferResponse, RaftVoteRequest,
    RaftVoteResponse, RangesRequest, RangesResponse, TimestampRequest, TimestampResponse, WaitRequest,
    WaitResponse,
};

/// A stream of requests, ended by the sender.
pub type RequestStream<T> = Pin<Box<dyn Stream<Item = T> + Send + 'static>>;

/// A stream of answers, ended by the receiver or by a [`Status`].
pub type ResponseStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

/// What a node answers: key-value requests, the cluster's services, the operator's calls, replication.
///
/// A [`Status`] speaks of the transport or of the node as a whole (unavailable, deadline exceeded, wrong cluster,
/// not the root leader: `FailedPrecondition`, with the leader's address as its message); what a range has to say
/// about a key-value request stands in the [`BatchResponse`].
#[async_trait]
pub trait NodeService: Send + Sync + 'static {
    /// Key-value operations on one range.
    async fn batch(&self, request: BatchRequest) -> Result<BatchResponse, Status>;

    /// Timestamps from the oracle; answered by the root leader alone.
    async fn timestamp(&self, request: TimestampRequest) -> Result<TimestampResponse, Status>;
    /// A node joins; answered by the root leader alone.
    async fn join(&self, request: JoinRequest) -> Result<JoinResponse, Status>;
    /// A node lives; answered by the root leader alone.
    async fn node_heartbeat(&self, request: NodeHeartbeatRequest) -> Result<NodeHeartbeatResponse, Status>;
    /// The range directory; any node answers with what it knows.
    async fn directory(&self, request: DirectoryRequest) -> Result<DirectoryResponse, Status>;
    /// Ids that are never given twice; answered by the root leader alone.
    async fn allocate_ids(&self, request: AllocateIdsRequest) -> Result<AllocateIdsResponse, Status>;
    /// An edge of the deadlock detector; answered by the root leader alone.
    async fn wait(&self, request: WaitRequest) -> Result<WaitResponse, Status>;
    /// The digest of one replica of a range.
    async fn digest(&self, request: DigestRequest) -> Result<DigestResponse, Status>;
    /// Who answers here; any process does, whether it belongs to a cluster or not.
    async fn hello(&self, request: HelloRequest) -> Result<HelloResponse, Status>;

    /// A gateway says what its open transactions need; answered by the root leader alone.
    async fn gateway_heartbeat(
        &self,
        request: GatewayHeartbeatRequest,
    ) -> Result<GatewayHeartbeatResponse, Status>;

    /// Initialises the cluster.
    async fn init(&self, request: InitRequest) -> Result<InitResponse, Status>;
    /// The nodes of the cluster.
    async fn nodes(&self, request: NodesRequest) -> Result<NodesResponse, Status>;
    /// The ranges of the cluster.
    async fn ranges(&self, request: RangesRequest) -> Result<RangesResponse, Status>;
    /// Compares the replicas of every range.
    async fn check_consistency(
        &self,
        request: CheckConsistencyRequest,
    ) -> Result<CheckConsistencyResponse, Status>;

    /// How long history is kept, and for how long from now on.
    async fn history(&self, request: HistoryRequest) -> Result<HistoryResponse, Status>;

    /// A candidate asks for a vote.
    async fn raft_vote(&self, request: RaftVoteRequest) -> Result<RaftVoteResponse, Status>;
    /// The long-lived append stream of one (range, follower); answers come in the order of the requests.
    async fn raft_append(
        &self,
        requests: RequestStream<RaftAppendRequest>,
    ) -> Result<ResponseStream<RaftAppendResponse>, Status>;
    /// Streams a snapshot to a follower that fell behind.
    async fn raft_snapshot(
        &self,
        chunks: RequestStream<RaftSnapshotChunk>,
    ) -> Result<RaftSnapshotResponse, Status>;
    /// A leader hands its leadership over.
    async fn raft_transfer(&self, request: RaftTransferRequest) -> Result<RaftTransferResponse, Status>;
}

/// Reaches nodes by address.
pub trait Network: Send + Sync + 'static {
    /// A handle on the node at `address` (host:port). Connects lazily and reconnects by itself; a node that cannot
    /// be reached shows in the calls' [`Status`].
    fn connect(&self, address: &str) -> Arc<dyn NodeService>;

    /// As [`Network::connect`], for what must not wait behind others' bytes: appended entries that are heartbeats, which
    /// are empty, and [`NodeService::hello`] where replication asks. They take the connection that votes take.
    fn connect_urgent(&self, address: &str) -> Arc<dyn NodeService> {
        self.connect(address)
    }

    /// Whether a call to `address` is a function call, so that gathering several into one gains nothing, and whoever is
    /// slow to answer is busy, not out of reach.
    fn is_in_process(&self, address: &str) -> bool {
        let _ = address;
        false
    }
}
