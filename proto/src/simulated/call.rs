//! One endpoint's handle on another: all its methods.

use std::sync::Arc;

use async_trait::async_trait;
use tonic::Status;

use super::remote::Remote;
use super::stream;
use crate::lane::Lane;
use crate::service::{NodeService, RequestStream, ResponseStream};
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

/// The methods that carry one message each way.
macro_rules! remote {
    ($($name:ident($request:ty) -> $response:ty, $lane:ident;)*) => {
        #[async_trait]
        impl NodeService for Remote {
            $(async fn $name(&self, request: $request) -> Result<$response, Status> {
                let handler = |node: Arc<dyn NodeService>, request| async move { node.$name(request).await };
                self.unary(stringify!($name), Lane::$lane, request, handler).await
            })*

            async fn hello(&self, request: HelloRequest) -> Result<HelloResponse, Status> {
                let handler = |node: Arc<dyn NodeService>, request| async move { node.hello(request).await };
                self.unary("hello", self.appends.of_hello(), request, handler).await
            }

            async fn raft_append(
                &self,
                requests: RequestStream<RaftAppendRequest>,
            ) -> Result<ResponseStream<RaftAppendResponse>, Status> {
                stream::append(self, requests).await
            }

            async fn raft_snapshot(
                &self,
                chunks: RequestStream<RaftSnapshotChunk>,
            ) -> Result<RaftSnapshotResponse, Status> {
                stream::snapshot(self, chunks).await
            }
        }
    };
}

remote! {
    batch(BatchRequest) -> BatchResponse, Requests;
    timestamp(TimestampRequest) -> TimestampResponse, Control;
    join(JoinRequest) -> JoinResponse, Control;
    node_heartbeat(NodeHeartbeatRequest) -> NodeHeartbeatResponse, Control;
    directory(DirectoryRequest) -> DirectoryResponse, Control;
    allocate_ids(AllocateIdsRequest) -> AllocateIdsResponse, Control;
    wait(WaitRequest) -> WaitResponse, Control;
    digest(DigestRequest) -> DigestResponse, Control;
    init(InitRequest) -> InitResponse, Control;
    nodes(NodesRequest) -> NodesResponse, Control;
    ranges(RangesRequest) -> RangesResponse, Control;
    check_consistency(CheckConsistencyRequest) -> CheckConsistencyResponse, Control;
    gateway_heartbeat(GatewayHeartbeatRequest) -> GatewayHeartbeatResponse, Control;
    history(HistoryRequest) -> HistoryResponse, Control;
    raft_vote(RaftVoteRequest) -> RaftVoteResponse, Urgent;
    raft_transfer(RaftTransferRequest) -> RaftTransferResponse, Urgent;
}
