//! Handles on remote nodes: connections that open on first use and again after they broke, one for each lane.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use prost::Message as _;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::stream::Calls;
use super::tls::{MutualTls, Opening};
use super::{
    CONNECTION_WINDOW_BYTES, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, KEEPALIVE_TIMEOUT_BULK,
    MESSAGE_BYTES_MAX, STREAM_WINDOW_BYTES, mark,
};
use crate::calls::calls;
use crate::lane::Lane;
use crate::service::{Network, NodeService, RequestStream, ResponseStream};
use crate::v1::admin_client::AdminClient;
use crate::v1::cluster_client::ClusterClient;
use crate::v1::kv_client::KvClient;
use crate::v1::raft_client::RaftClient;
use crate::v1::{self, RaftAppendRequest, RaftAppendResponse, RaftSnapshotChunk, RaftSnapshotResponse};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Addresses whose connections are kept although nobody uses them: addresses come and go, and some are hearsay.
const ADDRESSES_MAX: usize = 256;

/// Reaches nodes over gRPC. Clones share the connections.
#[derive(Clone, Default)]
pub struct GrpcNetwork {
    tls: Option<MutualTls>,
    nodes: Arc<Mutex<BTreeMap<String, Arc<Channels>>>>,
}

impl GrpcNetwork {
    /// A network in plain text, or with mutual TLS.
    pub fn new(tls: Option<MutualTls>) -> Self {
        Self { tls, nodes: Arc::default() }
    }

    fn channels(&self, address: &str) -> Arc<Channels> {
        let mut nodes = self.nodes.lock();
        match nodes.get(address) {
            Some(channels) => channels.clone(),
            None => {
                if nodes.len() >= ADDRESSES_MAX {
                    nodes.retain(|_, channels| Arc::strong_count(channels) > 1);
                }
                let channels = Arc::new(Channels::new(address, self.tls.clone()));
                nodes.insert(address.to_owned(), channels.clone());
                channels
            }
        }
    }
}

impl Network for GrpcNetwork {
    fn connect(&self, address: &str) -> Arc<dyn NodeService> {
        Arc::new(GrpcNode { channels: self.channels(address), appends: Lane::Replication })
    }

    fn connect_urgent(&self, address: &str) -> Arc<dyn NodeService> {
        Arc::new(GrpcNode { channels: self.channels(address), appends: Lane::Urgent })
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

/// The connections to one remote node. Each channel is one HTTP/2 connection at a time.
struct Channels {
    address: String,
    tls: Option<MutualTls>,
    control: OnceLock<Channel>,
    requests: OnceLock<Channel>,
    bulk: OnceLock<Channel>,
    replication: OnceLock<Channel>,
    urgent: OnceLock<Channel>,
    snapshots: OnceLock<Channel>,
    /// What goes together on [`Lane::Control`] and [`Lane::Requests`].
    control_calls: Calls,
    request_calls: Calls,
}

impl Channels {
    fn new(address: &str, tls: Option<MutualTls>) -> Self {
        Self {
            address: address.to_owned(),
            tls,
            control: OnceLock::new(),
            requests: OnceLock::new(),
            bulk: OnceLock::new(),
            replication: OnceLock::new(),
            urgent: OnceLock::new(),
            snapshots: OnceLock::new(),
            control_calls: Calls::default(),
            request_calls: Calls::default(),
        }
    }

    /// The calls that go together on `lane`, if it has such.
    fn calls(&self, lane: Lane) -> Option<&Calls> {
        match lane {
            Lane::Control => Some(&self.control_calls),
            Lane::Requests => Some(&self.request_calls),
            Lane::Bulk | Lane::Replication | Lane::Urgent | Lane::Snapshots => None,
        }
    }

    fn get(&self, lane: Lane) -> Result<Channel, Status> {
        let slot = match lane {
            Lane::Control => &self.control,
            Lane::Requests => &self.requests,
            Lane::Bulk => &self.bulk,
            Lane::Replication => &self.replication,
            Lane::Urgent => &self.urgent,
            Lane::Snapshots => &self.snapshots,
        };
        if let Some(channel) = slot.get() {
            return Ok(channel.clone());
        }
        let channel = self
            .open(lane)
            .map_err(|error| Status::unavailable(format!("nobody can be at {:?}: {error}", self.address)))?;
        Ok(slot.get_or_init(|| channel).clone())
    }

    fn open(&self, lane: Lane) -> Result<Channel, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address))?
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(match lane {
                Lane::Control | Lane::Requests | Lane::Urgent => KEEPALIVE_TIMEOUT,
                Lane::Bulk | Lane::Replication | Lane::Snapshots => KEEPALIVE_TIMEOUT_BULK,
            })
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_max_header_list_size(mark::of(lane));
        let Some(tls) = self.tls.clone() else {
            return Ok(endpoint.connect_timeout(CONNECT_TIMEOUT).connect_lazy());
        };
        // Requests tell that they came encrypted; what encrypts them is not the endpoint's, which has it for good.
        let origin = Endpoint::from_shared(format!("https://{}", self.address))?.uri().clone();
        Ok(endpoint.origin(origin).connect_with_connector_lazy(Opening { tls, tcp: CONNECT_TIMEOUT }))
    }
}

/// A handle on a remote node.
struct GrpcNode {
    channels: Arc<Channels>,
    /// The lane of appended entries.
    appends: Lane,
}

impl GrpcNode {
    fn kv(&self, lane: Lane) -> Result<KvClient<Channel>, Status> {
        let client = KvClient::new(self.channels.get(lane)?);
        Ok(client.max_decoding_message_size(MESSAGE_BYTES_MAX))
    }

    fn cluster(&self, lane: Lane) -> Result<ClusterClient<Channel>, Status> {
        let client = ClusterClient::new(self.channels.get(lane)?);
        // The directory of many ranges is large.
        Ok(client.max_decoding_message_size(MESSAGE_BYTES_MAX))
    }

    fn admin(&self, lane: Lane) -> Result<AdminClient<Channel>, Status> {
        let client = AdminClient::new(self.channels.get(lane)?);
        Ok(client.max_decoding_message_size(MESSAGE_BYTES_MAX))
    }

    fn raft(&self, lane: Lane) -> Result<RaftClient<Channel>, Status> {
        let client = RaftClient::new(self.channels.get(lane)?);
        Ok(client.max_decoding_message_size(MESSAGE_BYTES_MAX))
    }
}

/// What a call comes to: by itself, or on the lane's stream if it goes there.
macro_rules! ask {
    (alone $node:ident $client:ident $call:ident $lane:ident $request:ident) => {
        Ok($node.$client($lane)?.$call($request).await?.into_inner())
    };
    (together $node:ident $client:ident $call:ident $lane:ident $request:ident) => {{
        let bytes = $request.encoded_len();
        let lane = $lane.for_bytes(bytes);
        let request = match $node.channels.calls(lane) {
            Some(calls) => match calls.ask($request, bytes, || $node.channels.get(lane)).await {
                Ok(answer) => return answer,
                Err(request) => request,
            },
            None => $request,
        };
        ask!(alone $node $client $call lane request)
    }};
}

macro_rules! grpc_node {
    ($($service:ident of $client:ident { $(
        $(#[$doc:meta])*
        $call:ident as $name:ident($request:ident) -> $response:ident, $lane:ident, $way:ident;
    )* })*) => {
        #[async_trait]
        impl NodeService for GrpcNode {
            $($(async fn $name(&self, request: v1::$request) -> Result<v1::$response, Status> {
                let (node, lane) = (self, Lane::$lane.beside(self.appends));
                ask!($way node $client $call lane request)
            })*)*

            async fn raft_append(
                &self,
                requests: RequestStream<RaftAppendRequest>,
            ) -> Result<ResponseStream<RaftAppendResponse>, Status> {
                let mut raft = self.raft(self.appends)?;
                // Boxed here: the compiler cannot prove the inner future's lifetimes through the trait's own box.
                let answered: BoxFuture<'_, _> = Box::pin(raft.append(Request::new(requests)));
                Ok(answered.await?.into_inner().boxed())
            }

            async fn raft_snapshot(
                &self,
                chunks: RequestStream<RaftSnapshotChunk>,
            ) -> Result<RaftSnapshotResponse, Status> {
                let mut raft = self.raft(Lane::Snapshots)?;
                let answered: BoxFuture<'_, _> = Box::pin(raft.snapshot(Request::new(chunks)));
                Ok(answered.await?.into_inner())
            }
        }
    };
}

calls!(grpc_node);
