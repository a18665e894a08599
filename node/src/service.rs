//! What a node answers. What makes no sense is refused here, before it reaches a range.

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use env::trace;
use proto::v1::*;
use proto::{NodeService, RequestStream, ResponseStream, Status};

use crate::consistency;
use crate::member::Member;
use crate::node::{Inner, Node};
use crate::raft;
use crate::range::{Refusal, Replica};
use crate::root::{ROOT_RANGE, RootTerm, check_history};

/// How many operations one batch may hold.
const OPERATIONS_MAX: usize = 1024;

impl Inner {
    fn a_member(&self) -> Result<Arc<Member>, Status> {
        self.member().ok_or_else(|| Status::unavailable("the node belongs to no cluster yet"))
    }

    /// The node as a member of the cluster that a request is meant for; an empty id is any.
    fn member_of(&self, cluster_id: &Bytes) -> Result<Arc<Member>, Status> {
        let member = self.a_member()?;
        if cluster_id.is_empty() || *cluster_id == member.cluster_id {
            Ok(member)
        } else {
            Err(Status::permission_denied("the request is meant for another cluster"))
        }
    }

    fn root(&self, cluster_id: &Bytes) -> Result<Arc<RootTerm>, Status> {
        let member = self.member_of(cluster_id)?;
        member.link.local().ok_or_else(|| Status::failed_precondition(self.root_leader()))
    }
}

/// The leader to pass a batch on to, if its sender wants that and this node does not lead.
fn elsewhere(replica: &Replica, header: &Header) -> Option<raft::Replica> {
    let role = replica.group.role();
    if header.forward && !role.is_leader { role.leader } else { None }
}

impl Node {
    async fn answer_batch(&self, request: BatchRequest) -> Result<BatchResponse, Status> {
        let inner = self.inner();
        let started = env::clock::now();
        let refuse =
            |refusal: Refusal| BatchResponse { results: Vec::new(), error: Some(refusal.into_wire()) };
        let Some(header) = &request.header else {
            return Ok(refuse(Refusal::Invalid("a batch has a header".to_owned())));
        };
        if header.cluster_id.is_empty() {
            return Ok(refuse(Refusal::Invalid("a batch names its cluster".to_owned())));
        }
        let member = inner.member_of(&header.cluster_id)?;
        if request.operations.len() > OPERATIONS_MAX {
            return Ok(refuse(Refusal::Invalid(format!("a batch has at most {OPERATIONS_MAX} operations"))));
        }
        let replica = match member.replica(header.range_id) {
            Some(replica) if header.range_id != ROOT_RANGE && replica.cell.state().swallowed_by == 0 => {
                replica
            }
            _ => return Ok(refuse(Refusal::StaleRange(member.relevant(&request)))),
        };
        replica.cell.load.count(|| Member::touched(&request));
        let mut response = match elsewhere(&replica, header) {
            Some(leader) => member.forward_batch(&replica, &leader, request).await,
            None => replica.batch(request).await,
        };
        member.say_where(&mut response);
        inner.metrics.batches.increment(1);
        inner.metrics.batch_seconds.record(env::clock::now().duration_since(started).as_secs_f64());
        Ok(response)
    }
}

#[async_trait]
impl NodeService for Node {
    async fn batch(&self, request: BatchRequest) -> Result<BatchResponse, Status> {
        let header = request.header.as_ref();
        let mut span = trace::served(header.map_or(&[][..], |header| &header.trace[..]), "batch");
        if let (Some(span), Some(header)) = (&mut span, header) {
            span.note("nunatak.range", header.range_id);
        }
        trace::within(span, pin!(self.answer_batch(request))).await
    }

    async fn timestamp(&self, request: TimestampRequest) -> Result<TimestampResponse, Status> {
        let inner = self.inner();
        let member = inner.member_of(&request.cluster_id)?;
        if member.link.local().is_none() && !request.forward {
            return Err(Status::failed_precondition(inner.root_leader()));
        }
        let first = member.link.timestamp(request.count).await?;
        inner.metrics.timestamps.increment(u64::from(request.count));
        Ok(TimestampResponse { first, catalog_version: 0 })
    }

    async fn join(&self, request: JoinRequest) -> Result<JoinResponse, Status> {
        self.inner().root(&Bytes::new())?.join(request).await
    }

    async fn node_heartbeat(&self, request: NodeHeartbeatRequest) -> Result<NodeHeartbeatResponse, Status> {
        self.inner().root(&request.cluster_id)?.heartbeat(request).await
    }

    async fn directory(&self, request: DirectoryRequest) -> Result<DirectoryResponse, Status> {
        Ok(self.inner().member_of(&request.cluster_id)?.directory_since(&request))
    }

    async fn allocate_ids(&self, request: AllocateIdsRequest) -> Result<AllocateIdsResponse, Status> {
        let member = self.inner().member_of(&request.cluster_id)?;
        match member.link.local() {
            Some(root) => root.allocate_ids(request).await,
            None if request.forward => {
                member.link.allocate_ids(AllocateIdsRequest { forward: false, ..request }).await
            }
            None => Err(Status::failed_precondition(self.inner().root_leader())),
        }
    }

    async fn wait(&self, request: WaitRequest) -> Result<WaitResponse, Status> {
        self.inner().root(&request.cluster_id)?.wait(request)
    }

    async fn digest(&self, request: DigestRequest) -> Result<DigestResponse, Status> {
        let member = self.inner().member_of(&request.cluster_id)?;
        let _permit = member.permit_digest()?;
        consistency::digest(&member, request).await
    }

    async fn hello(&self, request: HelloRequest) -> Result<HelloResponse, Status> {
        Ok(self.inner().hello(&request))
    }

    async fn gateway_heartbeat(
        &self,
        request: GatewayHeartbeatRequest,
    ) -> Result<GatewayHeartbeatResponse, Status> {
        let inner = self.inner();
        let member = inner.member_of(&request.cluster_id)?;
        match member.link.local() {
            Some(root) => root.gateway_heartbeat(request).await,
            None if request.forward => member.link.gateway_heartbeat(request).await,
            None => Err(Status::failed_precondition(inner.root_leader())),
        }
    }

    async fn keep_history(&self, request: KeepHistoryRequest) -> Result<KeepHistoryResponse, Status> {
        let inner = self.inner();
        let member = inner.member_of(&request.cluster_id)?;
        match member.link.local() {
            Some(root) => root.keep_history(request).await,
            None if request.forward => member.link.keep_history(request).await,
            None => Err(Status::failed_precondition(inner.root_leader())),
        }
    }

    async fn attend(&self, request: AttendRequest) -> Result<AttendResponse, Status> {
        let inner = self.inner();
        let member = inner.member_of(&request.cluster_id)?;
        match member.link.local() {
            Some(root) => root.attend(request).await,
            None if request.forward => member.link.attend(request).await,
            None => Err(Status::failed_precondition(inner.root_leader())),
        }
    }

    async fn ask_gateways(&self, request: AskGatewaysRequest) -> Result<AskGatewaysResponse, Status> {
        let inner = self.inner();
        let member = inner.member_of(&request.cluster_id)?;
        match member.link.local() {
            Some(root) => root.ask_gateways(request).await,
            None if request.forward => member.link.ask_gateways(request).await,
            None => Err(Status::failed_precondition(inner.root_leader())),
        }
    }

    async fn init(&self, request: InitRequest) -> Result<InitResponse, Status> {
        if let Some(history_ms) = request.history_ms {
            check_history(history_ms, request.short_history)?;
        }
        let made = self.inner().init(request.history_ms).await.map_err(|error| {
            tracing::error!(%error, "the cluster was not initialised");
            Status::unavailable(error.to_string())
        })?;
        let member = self.inner().a_member()?;
        Ok(InitResponse { cluster_id: member.cluster_id.clone(), already_initialised: !made })
    }

    async fn nodes(&self, _request: NodesRequest) -> Result<NodesResponse, Status> {
        Ok(NodesResponse { nodes: self.inner().a_member()?.directory().nodes })
    }

    async fn ranges(&self, request: RangesRequest) -> Result<RangesResponse, Status> {
        Ok(self.inner().a_member()?.list(request).await)
    }

    async fn check_consistency(
        &self,
        _request: CheckConsistencyRequest,
    ) -> Result<CheckConsistencyResponse, Status> {
        let member = self.inner().a_member()?;
        let _permit = member.permit_check()?;
        Ok(consistency::check(&member).await)
    }

    async fn split(&self, request: SplitRequest) -> Result<SplitResponse, Status> {
        self.inner().a_member()?.split(request).await
    }

    async fn merge(&self, request: MergeRequest) -> Result<MergeResponse, Status> {
        self.inner().a_member()?.merge(request).await
    }

    async fn subsume(&self, request: SubsumeRequest) -> Result<SubsumeResponse, Status> {
        self.inner().member_of(&request.cluster_id)?.subsume(request).await
    }

    async fn change_replicas(&self, request: ChangeReplicasRequest) -> Result<ReplicasResponse, Status> {
        self.inner().member_of(&request.cluster_id)?.change_replicas(request).await
    }

    async fn transfer_leader(&self, request: TransferLeaderRequest) -> Result<ReplicasResponse, Status> {
        let (range_id, lead_node_id) = (request.range_id, request.node_id);
        let wanted = ChangeReplicasRequest { range_id, lead_node_id, ..ChangeReplicasRequest::default() };
        self.inner().a_member()?.have_changed(wanted).await
    }

    async fn add_replica(&self, request: AddReplicaRequest) -> Result<ReplicasResponse, Status> {
        let (range_id, add_node_id) = (request.range_id, request.node_id);
        let wanted = ChangeReplicasRequest { range_id, add_node_id, ..ChangeReplicasRequest::default() };
        self.inner().a_member()?.have_changed(wanted).await
    }

    async fn remove_replica(&self, request: RemoveReplicaRequest) -> Result<ReplicasResponse, Status> {
        let (range_id, remove_node_id) = (request.range_id, request.node_id);
        let wanted = ChangeReplicasRequest { range_id, remove_node_id, ..ChangeReplicasRequest::default() };
        self.inner().a_member()?.have_changed(wanted).await
    }

    async fn move_replica(&self, request: MoveReplicaRequest) -> Result<ReplicasResponse, Status> {
        let wanted = ChangeReplicasRequest {
            range_id: request.range_id,
            add_node_id: request.to_node_id,
            remove_node_id: request.from_node_id,
            ..ChangeReplicasRequest::default()
        };
        if wanted.add_node_id == 0 || wanted.remove_node_id == 0 {
            return Err(Status::invalid_argument("a replica moves from one node to another"));
        }
        self.inner().a_member()?.have_changed(wanted).await
    }

    async fn drain(&self, request: DrainRequest) -> Result<NodeStateResponse, Status> {
        self.inner().a_member()?.link.drain(request).await
    }

    async fn decommission(&self, request: DecommissionRequest) -> Result<NodeStateResponse, Status> {
        self.inner().a_member()?.link.decommission(request).await
    }

    async fn rotate_key(&self, _request: RotateKeyRequest) -> Result<RotateKeyResponse, Status> {
        self.inner().a_member()?.rotate_key().await
    }

    async fn history(&self, request: HistoryRequest) -> Result<HistoryResponse, Status> {
        let member = self.inner().a_member()?;
        if let Some(root) = member.link.local() {
            return root.history(request).await;
        }
        if request.passed_on {
            return Err(Status::failed_precondition(self.inner().root_leader()));
        }
        let request = HistoryRequest { passed_on: true, ..request };
        let ask = |leader: Arc<dyn NodeService>| async move { leader.history(request).await };
        member.link.ask(ask).await
    }

    async fn raft_vote(&self, request: RaftVoteRequest) -> Result<RaftVoteResponse, Status> {
        self.inner().a_member()?.host.on_vote(request).await
    }

    async fn raft_append(
        &self,
        requests: RequestStream<RaftAppendRequest>,
    ) -> Result<ResponseStream<RaftAppendResponse>, Status> {
        self.inner().a_member()?.host.on_append(requests).await
    }

    async fn raft_snapshot(
        &self,
        chunks: RequestStream<RaftSnapshotChunk>,
    ) -> Result<RaftSnapshotResponse, Status> {
        self.inner().a_member()?.host.on_snapshot(chunks).await
    }

    async fn raft_transfer(&self, request: RaftTransferRequest) -> Result<RaftTransferResponse, Status> {
        self.inner().a_member()?.host.on_transfer(request).await
    }

    async fn raft_sleep(&self, request: RaftSleepRequest) -> Result<RaftSleepResponse, Status> {
        self.inner().a_member()?.host.on_sleep(&request)
    }
}
