//! Nodes of this process, reached by a function call: messages move, nothing is encoded.
//!
//! A node registers under its address and may go and come back; whoever connected to the address reaches the one that
//! stands there at the moment of the call.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use tonic::Status;

use crate::service::{Network, NodeService, RequestStream, ResponseStream};
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

/// The nodes of this process. Clones share the registry.
#[derive(Clone, Default)]
pub struct InProcess {
    slots: Arc<Mutex<BTreeMap<String, Arc<Slot>>>>,
}

impl InProcess {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// `service` now answers at `address`.
    pub fn register(&self, address: &str, service: Arc<dyn NodeService>) {
        *self.slot(address).service.write() = Some(service);
    }

    /// Nobody answers at `address` any more.
    pub fn unregister(&self, address: &str) {
        *self.slot(address).service.write() = None;
    }

    fn slot(&self, address: &str) -> Arc<Slot> {
        let mut slots = self.slots.lock();
        match slots.get(address) {
            Some(slot) => slot.clone(),
            None => {
                let slot = Arc::new(Slot { address: address.to_owned(), service: RwLock::new(None) });
                slots.insert(address.to_owned(), slot.clone());
                slot
            }
        }
    }
}

impl Network for InProcess {
    fn connect(&self, address: &str) -> Arc<dyn NodeService> {
        self.slot(address)
    }

    fn is_in_process(&self) -> bool {
        true
    }
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcess").field("addresses", &self.slots.lock().keys()).finish()
    }
}

/// An address, and who answers there.
struct Slot {
    address: String,
    service: RwLock<Option<Arc<dyn NodeService>>>,
}

impl Slot {
    fn service(&self) -> Result<Arc<dyn NodeService>, Status> {
        self.service
            .read()
            .clone()
            .ok_or_else(|| Status::unavailable(format!("no node at {} in this process", self.address)))
    }
}

/// The methods of [`NodeService`] that pass one message to the service of the same name.
macro_rules! forward {
    ($($name:ident($request:ty) -> $response:ty;)*) => {
        #[async_trait]
        impl NodeService for Slot {
            $(async fn $name(&self, request: $request) -> Result<$response, Status> {
                self.service()?.$name(request).await
            })*
        }
    };
}

forward! {
    batch(BatchRequest) -> BatchResponse;
    timestamp(TimestampRequest) -> TimestampResponse;
    join(JoinRequest) -> JoinResponse;
    node_heartbeat(NodeHeartbeatRequest) -> NodeHeartbeatResponse;
    directory(DirectoryRequest) -> DirectoryResponse;
    allocate_ids(AllocateIdsRequest) -> AllocateIdsResponse;
    wait(WaitRequest) -> WaitResponse;
    digest(DigestRequest) -> DigestResponse;
    hello(HelloRequest) -> HelloResponse;
    init(InitRequest) -> InitResponse;
    nodes(NodesRequest) -> NodesResponse;
    ranges(RangesRequest) -> RangesResponse;
    check_consistency(CheckConsistencyRequest) -> CheckConsistencyResponse;
    gateway_heartbeat(GatewayHeartbeatRequest) -> GatewayHeartbeatResponse;
    history(HistoryRequest) -> HistoryResponse;
    raft_vote(RaftVoteRequest) -> RaftVoteResponse;
    raft_append(RequestStream<RaftAppendRequest>) -> ResponseStream<RaftAppendResponse>;
    raft_snapshot(RequestStream<RaftSnapshotChunk>) -> RaftSnapshotResponse;
    raft_transfer(RaftTransferRequest) -> RaftTransferResponse;
}
