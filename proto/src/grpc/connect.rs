//! Handles on remote nodes: connections that open on first use and again after they broke.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::{
    CONNECTION_WINDOW_BYTES, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, MESSAGE_BYTES_MAX, STREAM_WINDOW_BYTES,
    Tls,
};
use crate::service::{Network, NodeService, RequestStream, ResponseStream};
use crate::v1::admin_client::AdminClient;
use crate::v1::cluster_client::ClusterClient;
use crate::v1::kv_client::KvClient;
use crate::v1::raft_client::RaftClient;
use crate::v1::{
    AllocateIdsRequest, AllocateIdsResponse, BatchRequest, BatchResponse, CheckConsistencyRequest,
    CheckConsistencyResponse, DigestRequest, DigestResponse, DirectoryRequest, DirectoryResponse,
    InitRequest, InitResponse, JoinRequest, JoinResponse, NodeHeartbeatRequest, NodeHeartbeatResponse,
    NodesRequest, NodesResponse, RaftAppendRequest, RaftAppendResponse, RaftSnapshotChunk,
    RaftSnapshotResponse, RaftTransferRequest, RaftTransferResponse, RaftVoteRequest, RaftVoteResponse,
    RangesRequest, RangesResponse, TimestampRequest, TimestampResponse, WaitRequest, WaitResponse,
};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Reaches nodes over gRPC. Clones share the connections.
#[derive(Clone, Default)]
pub struct GrpcNetwork {
    tls: Option<Tls>,
    nodes: Arc<Mutex<BTreeMap<String, Arc<GrpcNode>>>>,
}

impl GrpcNetwork {
    /// A network in plain text, or with mutual TLS.
    pub fn new(tls: Option<Tls>) -> Self {
        Self { tls, nodes: Arc::default() }
    }
}

impl Network for GrpcNetwork {
    fn connect(&self, address: &str) -> Arc<dyn NodeService> {
        let mut nodes = self.nodes.lock();
        match nodes.get(address) {
            Some(node) => node.clone(),
            None => {
                let node = Arc::new(GrpcNode::new(address, self.tls.clone()));
                nodes.insert(address.to_owned(), node.clone());
                node
            }
        }
    }
}

impl std::fmt::Debug for GrpcNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrpcNetwork")
            .field("tls", &self.tls)
            .field("nodes", &self.nodes.lock().keys())
            .finish()
    }
}

/// One remote node. Each channel is one HTTP/2 connection at a time.
struct GrpcNode {
    address: String,
    tls: Option<Tls>,
    requests: OnceLock<Channel>,
    replication: OnceLock<Channel>,
    snapshots: OnceLock<Channel>,
}

impl GrpcNode {
    fn new(address: &str, tls: Option<Tls>) -> Self {
        Self {
            address: address.to_owned(),
            tls,
            requests: OnceLock::new(),
            replication: OnceLock::new(),
            snapshots: OnceLock::new(),
        }
    }

    fn channel(&self, slot: &OnceLock<Channel>) -> Result<Channel, Status> {
        if let Some(channel) = slot.get() {
            return Ok(channel.clone());
        }
        let channel = self
            .open()
            .map_err(|error| Status::invalid_argument(format!("address {:?}: {error}", self.address)))?;
        Ok(slot.get_or_init(|| channel).clone())
    }

    fn open(&self) -> Result<Channel, tonic::transport::Error> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{}", self.address))?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        if let Some(tls) = &self.tls {
            endpoint = endpoint.tls_config(tls.client())?;
        }
        Ok(endpoint.connect_lazy())
    }

    fn kv(&self) -> Result<KvClient<Channel>, Status> {
        let client = KvClient::new(self.channel(&self.requests)?);
        Ok(client.max_decoding_message_size(MESSAGE_BYTES_MAX))
    }

    fn cluster(&self) -> Result<ClusterClient<Channel>, Status> {
        Ok(ClusterClient::new(self.channel(&self.requests)?))
    }

    fn admin(&self) -> Result<AdminClient<Channel>, Status> {
        Ok(AdminClient::new(self.channel(&self.requests)?))
    }

    fn raft(&self, slot: &OnceLock<Channel>) -> Result<RaftClient<Channel>, Status> {
        let client = RaftClient::new(self.channel(slot)?);
        Ok(client.max_decoding_message_size(MESSAGE_BYTES_MAX))
    }
}

#[async_trait]
impl NodeService for GrpcNode {
    async fn batch(&self, request: BatchRequest) -> Result<BatchResponse, Status> {
        Ok(self.kv()?.batch(request).await?.into_inner())
    }

    async fn timestamp(&self, request: TimestampRequest) -> Result<TimestampResponse, Status> {
        Ok(self.cluster()?.timestamp(request).await?.into_inner())
    }

    async fn join(&self, request: JoinRequest) -> Result<JoinResponse, Status> {
        Ok(self.cluster()?.join(request).await?.into_inner())
    }

    async fn node_heartbeat(&self, request: NodeHeartbeatRequest) -> Result<NodeHeartbeatResponse, Status> {
        Ok(self.cluster()?.node_heartbeat(request).await?.into_inner())
    }

    async fn directory(&self, request: DirectoryRequest) -> Result<DirectoryResponse, Status> {
        Ok(self.cluster()?.directory(request).await?.into_inner())
    }

    async fn allocate_ids(&self, request: AllocateIdsRequest) -> Result<AllocateIdsResponse, Status> {
        Ok(self.cluster()?.allocate_ids(request).await?.into_inner())
    }

    async fn wait(&self, request: WaitRequest) -> Result<WaitResponse, Status> {
        Ok(self.cluster()?.wait(request).await?.into_inner())
    }

    async fn digest(&self, request: DigestRequest) -> Result<DigestResponse, Status> {
        Ok(self.cluster()?.digest(request).await?.into_inner())
    }

    async fn init(&self, request: InitRequest) -> Result<InitResponse, Status> {
        Ok(self.admin()?.init(request).await?.into_inner())
    }

    async fn nodes(&self, request: NodesRequest) -> Result<NodesResponse, Status> {
        Ok(self.admin()?.nodes(request).await?.into_inner())
    }

    async fn ranges(&self, request: RangesRequest) -> Result<RangesResponse, Status> {
        Ok(self.admin()?.ranges(request).await?.into_inner())
    }

    async fn check_consistency(
        &self,
        request: CheckConsistencyRequest,
    ) -> Result<CheckConsistencyResponse, Status> {
        Ok(self.admin()?.check_consistency(request).await?.into_inner())
    }

    async fn raft_vote(&self, request: RaftVoteRequest) -> Result<RaftVoteResponse, Status> {
        Ok(self.raft(&self.replication)?.vote(request).await?.into_inner())
    }

    async fn raft_append(
        &self,
        requests: RequestStream<RaftAppendRequest>,
    ) -> Result<ResponseStream<RaftAppendResponse>, Status> {
        let mut raft = self.raft(&self.replication)?;
        // Boxed here: the compiler cannot prove the inner future's lifetimes through the trait's own box.
        let answered: BoxFuture<'_, _> = Box::pin(raft.append(Request::new(requests)));
        Ok(answered.await?.into_inner().boxed())
    }

    async fn raft_snapshot(
        &self,
        chunks: RequestStream<RaftSnapshotChunk>,
    ) -> Result<RaftSnapshotResponse, Status> {
        let mut raft = self.raft(&self.snapshots)?;
        let answered: BoxFuture<'_, _> = Box::pin(raft.snapshot(Request::new(chunks)));
        Ok(answered.await?.into_inner())
    }

    async fn raft_transfer(&self, request: RaftTransferRequest) -> Result<RaftTransferResponse, Status> {
        Ok(self.raft(&self.replication)?.transfer(request).await?.into_inner())
    }
}
