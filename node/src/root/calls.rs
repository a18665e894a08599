//! What a node asks of the root range's leader: of itself by a call, of another over the network.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use proto::v1::{
    AllocateIdsRequest, AllocateIdsResponse, AskGatewaysRequest, AskGatewaysResponse, AttendRequest,
    AttendResponse, DecommissionRequest, DirectoryRequest, DirectoryResponse, DrainRequest,
    GatewayHeartbeatRequest, GatewayHeartbeatResponse, JoinRequest, JoinResponse, KeepHistoryRequest,
    KeepHistoryResponse, NodeHeartbeatRequest, NodeHeartbeatResponse, NodeStateResponse,
};
use proto::{NodeService, Status};

use super::link::RootLink;

/// How long the root range of this very node may take to answer.
const HERE: Duration = Duration::from_secs(2);

impl RootLink {
    /// Says what this node is by now, and lets it in if it does not belong to the cluster yet.
    pub(crate) async fn join(&self, request: JoinRequest) -> Result<JoinResponse, Status> {
        if let Some(root) = self.local() {
            return here(root.admit(request)).await;
        }
        let ask = |leader: Arc<dyn NodeService>| {
            let request = request.clone();
            async move { leader.join(request).await }
        };
        self.ask(ask).await
    }

    /// Says that this node lives and what it leads.
    pub(crate) async fn heartbeat(
        &self,
        request: NodeHeartbeatRequest,
    ) -> Result<NodeHeartbeatResponse, Status> {
        if let Some(root) = self.local() {
            return here(root.own_heartbeat(request)).await;
        }
        let ask = |leader: Arc<dyn NodeService>| {
            let request = request.clone();
            async move { leader.node_heartbeat(request).await }
        };
        self.ask(ask).await
    }

    /// Where ranges and nodes are.
    pub(crate) async fn directory(&self, request: DirectoryRequest) -> Result<DirectoryResponse, Status> {
        if let Some(root) = self.local() {
            return Ok(root.directory_since(&request).unwrap_or_else(|| root.directory()));
        }
        let ask = |leader: Arc<dyn NodeService>| {
            let request = request.clone();
            async move { leader.directory(request).await }
        };
        self.ask(ask).await
    }

    /// Passes on what a gateway says that does not reach the leader.
    pub(crate) async fn gateway_heartbeat(
        &self,
        request: GatewayHeartbeatRequest,
    ) -> Result<GatewayHeartbeatResponse, Status> {
        let request = GatewayHeartbeatRequest { forward: false, ..request };
        let ask = |leader: Arc<dyn NodeService>| {
            let request = request.clone();
            async move { leader.gateway_heartbeat(request).await }
        };
        self.ask(ask).await
    }

    /// The same of what it wants kept for longer.
    pub(crate) async fn keep_history(
        &self,
        request: KeepHistoryRequest,
    ) -> Result<KeepHistoryResponse, Status> {
        let request = KeepHistoryRequest { forward: false, ..request };
        let ask = |leader: Arc<dyn NodeService>| {
            let request = request.clone();
            async move { leader.keep_history(request).await }
        };
        self.ask(ask).await
    }

    /// The same of a gateway that attends.
    pub(crate) async fn attend(&self, request: AttendRequest) -> Result<AttendResponse, Status> {
        let request = AttendRequest { forward: false, ..request };
        let ask = |leader: Arc<dyn NodeService>| {
            let request = request.clone();
            async move { leader.attend(request).await }
        };
        self.ask(ask).await
    }

    /// The same of a gateway that asks others.
    pub(crate) async fn ask_gateways(
        &self,
        request: AskGatewaysRequest,
    ) -> Result<AskGatewaysResponse, Status> {
        let request = AskGatewaysRequest { forward: false, ..request };
        let ask = |leader: Arc<dyn NodeService>| {
            let request = request.clone();
            async move { leader.ask_gateways(request).await }
        };
        self.ask(ask).await
    }

    /// Has a node lead nothing, or lead again.
    pub(crate) async fn drain(&self, request: DrainRequest) -> Result<NodeStateResponse, Status> {
        if let Some(root) = self.local() {
            return here(root.drain(request)).await;
        }
        if request.passed_on {
            return Err(Status::failed_precondition(self.leader_address()));
        }
        let request = DrainRequest { passed_on: true, ..request };
        self.ask(|leader: Arc<dyn NodeService>| async move { leader.drain(request).await }).await
    }

    /// Has a node's replicas go elsewhere, or has them stay.
    pub(crate) async fn decommission(
        &self,
        request: DecommissionRequest,
    ) -> Result<NodeStateResponse, Status> {
        if let Some(root) = self.local() {
            return here(root.decommission(request)).await;
        }
        if request.passed_on {
            return Err(Status::failed_precondition(self.leader_address()));
        }
        let request = DecommissionRequest { passed_on: true, ..request };
        self.ask(|leader: Arc<dyn NodeService>| async move { leader.decommission(request).await }).await
    }

    /// Ids that are never given twice.
    pub(crate) async fn allocate_ids(
        &self,
        request: AllocateIdsRequest,
    ) -> Result<AllocateIdsResponse, Status> {
        if let Some(root) = self.local() {
            return here(root.allocate_ids(request)).await;
        }
        let ask = |leader: Arc<dyn NodeService>| {
            let request = request.clone();
            async move { leader.allocate_ids(request).await }
        };
        self.ask(ask).await
    }
}

async fn here<T>(answer: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let answer = env::clock::timeout(HERE, answer).await;
    answer.unwrap_or_else(|_| Err(Status::unavailable("the root range has no quorum")))
}
