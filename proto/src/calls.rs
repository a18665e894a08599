//! The calls that carry one message each way, in one table: every network's forwarding is made from it.
//!
//! A row reads: the call's name in its gRPC service and as what it stands in [`NodeService`](crate::NodeService), its messages, the
//! [lane](crate::lane::Lane) that it takes, and the way it goes there over gRPC: as a call of its own (`alone`), or on
//! one [stream](crate::grpc) with others (`together`).

/// Hands the table to the macro `$each`.
macro_rules! calls {
    ($each:ident) => {
        $each! {
            Kv of kv {
                /// Key-value operations on one range.
                batch as batch(BatchRequest) -> BatchResponse, Requests, together;
            }
            Cluster of cluster {
                /// Timestamps from the oracle; answered by the root leader alone.
                timestamp as timestamp(TimestampRequest) -> TimestampResponse, Control, together;
                /// A node joins; answered by the root leader alone.
                join as join(JoinRequest) -> JoinResponse, Control, alone;
                /// A node lives; answered by the root leader alone.
                node_heartbeat as node_heartbeat(NodeHeartbeatRequest) -> NodeHeartbeatResponse, Control, alone;
                /// The range directory; any node answers with what it knows.
                directory as directory(DirectoryRequest) -> DirectoryResponse, Control, alone;
                /// Ids that are never given twice; answered by the root leader alone.
                allocate_ids as allocate_ids(AllocateIdsRequest) -> AllocateIdsResponse, Control, alone;
                /// An edge of the deadlock detector; answered by the root leader alone.
                wait as wait(WaitRequest) -> WaitResponse, Control, together;
                /// The digest of one replica of a range.
                digest as digest(DigestRequest) -> DigestResponse, Control, alone;
                /// Who answers here; any process does, whether it belongs to a cluster or not.
                hello as hello(HelloRequest) -> HelloResponse, Control, alone;
                /// A gateway says what its open transactions need; answered by the root leader alone.
                gateway_heartbeat as gateway_heartbeat(GatewayHeartbeatRequest) -> GatewayHeartbeatResponse, Control, alone;
                /// A gateway says which history is kept for longer, or asks; answered by the root leader alone.
                keep_history as keep_history(KeepHistoryRequest) -> KeepHistoryResponse, Control, alone;
                /// A gateway hears what other gateways ask; answered by the root leader alone.
                attend as attend(AttendRequest) -> AttendResponse, Control, alone;
                /// A gateway asks all others; answered by the root leader alone.
                ask_gateways as ask_gateways(AskGatewaysRequest) -> AskGatewaysResponse, Control, alone;
                /// A change of a range's replicas or of its leader; answered by its leader alone.
                change_replicas as change_replicas(ChangeReplicasRequest) -> ReplicasResponse, Control, alone;
                /// One step of a merge, asked by the leader of the range on the left.
                subsume as subsume(SubsumeRequest) -> SubsumeResponse, Control, alone;
            }
            Admin of admin {
                /// Initialises the cluster.
                init as init(InitRequest) -> InitResponse, Control, alone;
                /// The nodes of the cluster.
                nodes as nodes(NodesRequest) -> NodesResponse, Control, alone;
                /// The ranges of the cluster.
                ranges as ranges(RangesRequest) -> RangesResponse, Control, alone;
                /// Compares the replicas of every range.
                check_consistency as check_consistency(CheckConsistencyRequest) -> CheckConsistencyResponse, Control, alone;
                /// Divides a range.
                split as split(SplitRequest) -> SplitResponse, Control, alone;
                /// Has a range taken over by its left neighbour.
                merge as merge(MergeRequest) -> MergeResponse, Control, alone;
                /// Has a node lead a range.
                transfer_leader as transfer_leader(TransferLeaderRequest) -> ReplicasResponse, Control, alone;
                /// Has a node hold a replica of a range.
                add_replica as add_replica(AddReplicaRequest) -> ReplicasResponse, Control, alone;
                /// Has a node hold no replica of a range.
                remove_replica as remove_replica(RemoveReplicaRequest) -> ReplicasResponse, Control, alone;
                /// Has one node hold the replica of a range in another one's place.
                move_replica as move_replica(MoveReplicaRequest) -> ReplicasResponse, Control, alone;
                /// Has a node give up what it leads.
                drain as drain(DrainRequest) -> NodeStateResponse, Control, alone;
                /// Has a node's replicas go elsewhere.
                decommission as decommission(DecommissionRequest) -> NodeStateResponse, Control, alone;
                /// Gives the node that is asked a new data key.
                rotate_key as rotate_key(RotateKeyRequest) -> RotateKeyResponse, Control, alone;
                /// How long history is kept, and for how long from now on.
                history as history(HistoryRequest) -> HistoryResponse, Control, alone;
            }
            Raft of raft {
                /// A candidate asks for a vote.
                vote as raft_vote(RaftVoteRequest) -> RaftVoteResponse, Urgent, alone;
                /// A leader hands its leadership over.
                transfer as raft_transfer(RaftTransferRequest) -> RaftTransferResponse, Urgent, alone;
                /// A store lives, and some of the groups that it leads may sleep.
                sleep as raft_sleep(RaftSleepRequest) -> RaftSleepResponse, Urgent, alone;
            }
        }
    };
}

pub(crate) use calls;
