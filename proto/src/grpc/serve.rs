//! A node's service on a port.
//!
//! A peer that sends what is not HTTP/2 loses its connection; one whose message is too large or cannot be decoded is
//! answered with a status. On shutdown no new connection is taken, replication streams end, requests under way are
//! given [`DRAIN`] to finish.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use env::watch;
use futures::StreamExt as _;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use super::aborting::run_on;
use super::{
    CONNECTION_WINDOW_BYTES, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT_BULK, MESSAGE_BYTES_MAX,
    STREAM_WINDOW_BYTES, Tls,
};
use crate::service::{NodeService, RequestStream, ResponseStream};
use crate::v1::admin_server::{Admin, AdminServer};
use crate::v1::cluster_server::{Cluster, ClusterServer};
use crate::v1::kv_server::{Kv, KvServer};
use crate::v1::raft_server::{Raft, RaftServer};
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

/// How long requests under way may take after the shutdown began.
const DRAIN: Duration = Duration::from_secs(3);

/// Requests wait for locks on their stream: a connection carries as many as there are sessions behind it.
const STREAMS_PER_CONNECTION_MAX: u32 = 1 << 16;

/// How a node's port behaves.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    /// Mutual TLS; `None`: plain text.
    pub tls: Option<Tls>,
    /// Where batches of reads and writes are answered; `None`: where the connections are served.
    pub batches: Option<Handle>,
}

/// The port could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There are no threads for it, or the listener cannot be handed to them.
    #[error("starting to serve gRPC: {0}")]
    Start(#[source] std::io::Error),
    /// The certificates are unusable.
    #[error("TLS: {0}")]
    Tls(#[source] tonic::transport::Error),
    /// The listener failed.
    #[error("serving gRPC: {0}")]
    Serve(#[source] tonic::transport::Error),
}

/// Serves `service` on `listener` until `shutdown` completes.
pub async fn serve(
    service: Arc<dyn NodeService>,
    listener: TcpListener,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let (closing, closed) = watch::channel(false);
    let port = Port { service, closed: closed.clone(), batches: options.batches.clone() };
    let mut server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT_BULK))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX);
    if let Some(tls) = &options.tls {
        server = server.tls_config(tls.server()).map_err(ServeError::Tls)?;
    }
    let router = server
        .add_service(KvServer::new(port.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(ClusterServer::new(port.clone()))
        .add_service(AdminServer::new(port.clone()))
        .add_service(RaftServer::new(port).max_decoding_message_size(MESSAGE_BYTES_MAX));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let serving = router.serve_with_incoming_shutdown(incoming, async move {
        shutdown.await;
        closing.send_replace(true);
    });
    tokio::select! {
        biased;
        served = serving => served.map_err(ServeError::Serve),
        () = async { wait(closed).await; env::clock::sleep(DRAIN).await } => Ok(()),
    }
}

async fn wait(mut closed: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the server.
    let _ = closed.wait_for(|closed| *closed).await;
}

/// What tonic calls.
#[derive(Clone)]
struct Port {
    service: Arc<dyn NodeService>,
    closed: watch::Receiver<bool>,
    batches: Option<Handle>,
}

impl Port {
    /// The messages of a stream, until its sender, an error or the shutdown ends it.
    fn requests<T: Send + 'static>(&self, stream: Streaming<T>) -> RequestStream<T> {
        let messages = stream.scan((), |(), message| {
            let message =
                message.inspect_err(|error| tracing::debug!(%error, "a stream of requests broke off"));
            futures::future::ready(message.ok())
        });
        Box::pin(messages.take_until(Box::pin(wait(self.closed.clone()))))
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl Kv for Port {
    async fn batch(&self, request: Request<BatchRequest>) -> Answer<BatchResponse> {
        let request = request.into_inner();
        let answered = match &self.batches {
            None => self.service.batch(request).await,
            Some(runtime) => {
                let service = self.service.clone();
                run_on(runtime, async move { service.batch(request).await }).await
            }
        };
        answered.map(Response::new)
    }
}

#[async_trait]
impl Cluster for Port {
    async fn timestamp(&self, request: Request<TimestampRequest>) -> Answer<TimestampResponse> {
        self.service.timestamp(request.into_inner()).await.map(Response::new)
    }

    async fn join(&self, request: Request<JoinRequest>) -> Answer<JoinResponse> {
        self.service.join(request.into_inner()).await.map(Response::new)
    }

    async fn node_heartbeat(&self, request: Request<NodeHeartbeatRequest>) -> Answer<NodeHeartbeatResponse> {
        self.service.node_heartbeat(request.into_inner()).await.map(Response::new)
    }

    async fn directory(&self, request: Request<DirectoryRequest>) -> Answer<DirectoryResponse> {
        self.service.directory(request.into_inner()).await.map(Response::new)
    }

    async fn allocate_ids(&self, request: Request<AllocateIdsRequest>) -> Answer<AllocateIdsResponse> {
        self.service.allocate_ids(request.into_inner()).await.map(Response::new)
    }

    async fn wait(&self, request: Request<WaitRequest>) -> Answer<WaitResponse> {
        self.service.wait(request.into_inner()).await.map(Response::new)
    }

    async fn digest(&self, request: Request<DigestRequest>) -> Answer<DigestResponse> {
        self.service.digest(request.into_inner()).await.map(Response::new)
    }

    async fn hello(&self, request: Request<HelloRequest>) -> Answer<HelloResponse> {
        self.service.hello(request.into_inner()).await.map(Response::new)
    }

    async fn gateway_heartbeat(
        &self,
        request: Request<GatewayHeartbeatRequest>,
    ) -> Answer<GatewayHeartbeatResponse> {
        self.service.gateway_heartbeat(request.into_inner()).await.map(Response::new)
    }
}

#[async_trait]
impl Admin for Port {
    async fn init(&self, request: Request<InitRequest>) -> Answer<InitResponse> {
        self.service.init(request.into_inner()).await.map(Response::new)
    }

    async fn nodes(&self, request: Request<NodesRequest>) -> Answer<NodesResponse> {
        self.service.nodes(request.into_inner()).await.map(Response::new)
    }

    async fn ranges(&self, request: Request<RangesRequest>) -> Answer<RangesResponse> {
        self.service.ranges(request.into_inner()).await.map(Response::new)
    }

    async fn check_consistency(
        &self,
        request: Request<CheckConsistencyRequest>,
    ) -> Answer<CheckConsistencyResponse> {
        self.service.check_consistency(request.into_inner()).await.map(Response::new)
    }

    async fn history(&self, request: Request<HistoryRequest>) -> Answer<HistoryResponse> {
        self.service.history(request.into_inner()).await.map(Response::new)
    }
}

#[async_trait]
impl Raft for Port {
    type AppendStream = ResponseStream<RaftAppendResponse>;

    async fn vote(&self, request: Request<RaftVoteRequest>) -> Answer<RaftVoteResponse> {
        self.service.raft_vote(request.into_inner()).await.map(Response::new)
    }

    async fn append(&self, request: Request<Streaming<RaftAppendRequest>>) -> Answer<Self::AppendStream> {
        let requests = self.requests(request.into_inner());
        self.service.raft_append(requests).await.map(Response::new)
    }

    async fn snapshot(&self, request: Request<Streaming<RaftSnapshotChunk>>) -> Answer<RaftSnapshotResponse> {
        let chunks = self.requests(request.into_inner());
        self.service.raft_snapshot(chunks).await.map(Response::new)
    }

    async fn transfer(&self, request: Request<RaftTransferRequest>) -> Answer<RaftTransferResponse> {
        self.service.raft_transfer(request.into_inner()).await.map(Response::new)
    }
}
