//! One term of the root range's leader: the services that only it gives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::clock::Instant;
use parking_lot::Mutex;
use prost::Message;
use proto::Status;
use proto::v1::range_command::Kind as CommandKind;
use proto::v1::root_command::Kind;
use proto::v1::{
    AllocateCommand, AllocateIdsRequest, AllocateIdsResponse, DigestCommand, DirectoryResponse, JoinCommand,
    JoinRequest, JoinResponse, NodeDescriptor, NodeHeartbeatRequest, NodeHeartbeatResponse, NodeRow,
    PutRangeCommand, RangeCommand, RangeDescriptor, ReplicaMove, ReserveWindowCommand, RootCommand,
    RootReply, WaitRequest, WaitResponse,
};
use tokio::sync::Notify;

use super::ROOT_RANGE;
use super::deadlock::{Detector, Place, Wait};
use super::oracle::{COUNT_MAX, Oracle};
use super::placement::{NodeView, RangeView, ReplicaView, pick};
use super::state::RootState;
use crate::raft::{Group, ProposeError};
use crate::range::RangeCell;
use crate::range::state::{FORMAT, descriptor};

/// After how long without a sign of life a node counts as not live.
const LIVE: Duration = Duration::from_secs(5);

/// How long a leader whose lease has run out waits for its quorum.
const QUORUM_PATIENCE: Duration = Duration::from_secs(2);

/// How long a request waits for a window of timestamps.
const WINDOW_PATIENCE: Duration = Duration::from_secs(2);

/// How often the window is looked at when nobody asks.
const WINDOW_TICK: Duration = Duration::from_millis(500);

/// One term of the root range's leader.
///
/// # Invariants
///
/// - It is made only after the term's blank entry is applied, and holds a window reserved in this very term.
/// - It answers only while its lease holds, checked after the request arrived.
pub(crate) struct RootTerm {
    /// The term.
    pub(crate) term: u64,
    group: Arc<Group>,
    cell: Arc<RangeCell>,
    state: Arc<Mutex<RootState>>,
    oracle: Oracle,
    detector: Mutex<Detector>,
    view: Mutex<View>,
    started: Instant,
    dead_after: Duration,
    window_wanted: Notify,
    window_reserved: Notify,
}

/// What nodes have told this leader.
#[derive(Default)]
struct View {
    seen: BTreeMap<u64, (Instant, u64)>,
    led: BTreeMap<u64, RangeDescriptor>,
}

impl RootTerm {
    /// Begins a term: waits for its blank entry and its lease, and reserves the first window.
    pub(crate) async fn begin(
        group: Arc<Group>,
        cell: Arc<RangeCell>,
        state: Arc<Mutex<RootState>>,
        term: u64,
        dead_after: Duration,
    ) -> Result<Arc<Self>, ProposeError> {
        group.wait_term_applied(term).await?;
        let floor = state.lock().window_end();
        let root = Self {
            term,
            group,
            cell,
            state,
            oracle: Oracle::new(floor),
            detector: Mutex::default(),
            view: Mutex::default(),
            started: env::clock::now(),
            dead_after,
            window_wanted: Notify::new(),
            window_reserved: Notify::new(),
        };
        root.reserve().await?;
        Ok(Arc::new(root))
    }

    /// Keeps a window reserved, until the term is over.
    pub(crate) async fn keep_window(&self) -> ProposeError {
        loop {
            // Whether there was a wish or a tick, what to do is the oracle's to say.
            let _ = env::clock::timeout(WINDOW_TICK, self.window_wanted.notified()).await;
            if let Err(error) = self.reserve().await {
                return error;
            }
        }
    }

    async fn reserve(&self) -> Result<(), ProposeError> {
        if let Some(end) = self.oracle.wanted(env::clock::wall_ms()) {
            self.propose(Kind::ReserveWindow(ReserveWindowCommand { end })).await?;
            self.oracle.reserved(end);
        }
        self.window_reserved.notify_waiters();
        Ok(())
    }

    /// The first of `count` timestamps.
    pub(crate) async fn timestamp(&self, count: u32) -> Result<u64, Status> {
        if !(1..=COUNT_MAX).contains(&count) {
            return Err(Status::invalid_argument(format!(
                "between 1 and {COUNT_MAX} timestamps can be asked for"
            )));
        }
        let mut first = self.oracle.next(env::clock::wall_ms(), count);
        if first.is_err() {
            let until = env::clock::now() + WINDOW_PATIENCE;
            while first.is_err() {
                let reserved = self.window_reserved.notified();
                self.window_wanted.notify_one();
                let remaining = until.saturating_duration_since(env::clock::now());
                if env::clock::timeout(remaining, reserved).await.is_err() {
                    return Err(Status::unavailable(
                        "the timestamp oracle could not reserve a window in time",
                    ));
                }
                first = self.oracle.next(env::clock::wall_ms(), count);
            }
        }
        match first {
            Ok(first) => {
                self.prove_leadership().await?;
                Ok(first)
            }
            Err(_) => Err(Status::unavailable("the timestamp oracle has no window")),
        }
    }

    /// The largest timestamp handed out, if this is certainly the oracle still.
    pub(crate) fn newest_timestamp(&self) -> Option<u64> {
        let newest = self.oracle.last();
        self.group.lease_valid(self.term).then_some(newest)
    }

    /// A store joins, or says where it is now.
    pub(crate) async fn join(&self, request: JoinRequest) -> Result<JoinResponse, Status> {
        if request.store_id.len() != 16 || request.address.is_empty() {
            return Err(Status::invalid_argument("a store has an id of 16 bytes and an address"));
        }
        if request.format_version > u64::from(FORMAT) {
            return Err(Status::invalid_argument("the store has a newer format than the cluster"));
        }
        let Some(cluster_id) = self.state.lock().cluster_id() else {
            return Err(Status::unavailable("the cluster is being initialised"));
        };
        let command = JoinCommand {
            store_id: request.store_id,
            address: request.address,
            locality: request.locality,
            version: request.version,
        };
        let reply = self.run(Kind::Join(command)).await?;
        Ok(JoinResponse { cluster_id, node_id: reply.node_id, root: vec![self.root_descriptor()] })
    }

    /// A node lives; what it should do.
    pub(crate) async fn heartbeat(
        &self,
        request: NodeHeartbeatRequest,
    ) -> Result<NodeHeartbeatResponse, Status> {
        self.prove_leadership().await?;
        let Some(known) = self.state.lock().node(request.node_id).cloned() else {
            return Err(Status::not_found("no such node"));
        };
        if known.address != request.address && !request.address.is_empty() {
            let NodeRow { store_id, locality, version, .. } = known;
            let command = JoinCommand { store_id, address: request.address, locality, version };
            self.run(Kind::Join(command)).await?;
        }
        let mut newer = Vec::new();
        {
            let mut view = self.view.lock();
            view.seen.insert(request.node_id, (env::clock::now(), env::clock::wall_ms()));
            let state = self.state.lock();
            for range in &request.led {
                let epochs = |range: &RangeDescriptor| (range.span_epoch, range.config_epoch);
                if state.range(range.range_id).is_none_or(|known| epochs(known) < epochs(range)) {
                    newer.push(range.clone());
                }
                view.led.insert(range.range_id, range.clone());
            }
        }
        for range in newer {
            self.run(Kind::PutRange(PutRangeCommand { range: Some(range) })).await?;
        }
        let moves = self.moves_for(&request.led);
        Ok(NodeHeartbeatResponse { nodes: self.nodes(), moves })
    }

    /// Where ranges and nodes are.
    pub(crate) fn directory(&self) -> DirectoryResponse {
        let cluster_id = self.state.lock().cluster_id().unwrap_or_default();
        DirectoryResponse { cluster_id, ranges: self.ranges(), nodes: self.nodes() }
    }

    /// Ids that are never given twice.
    pub(crate) async fn allocate_ids(
        &self,
        request: AllocateIdsRequest,
    ) -> Result<AllocateIdsResponse, Status> {
        let command = AllocateCommand { counter: request.counter, count: request.count };
        let reply = self.run(Kind::Allocate(command)).await?;
        Ok(AllocateIdsResponse { first: reply.first })
    }

    /// A transaction waits, or waits no more.
    pub(crate) fn wait(&self, request: WaitRequest) -> Result<WaitResponse, Status> {
        let txn = |id: &Bytes| {
            id.as_ref().try_into().map_err(|_| Status::invalid_argument("a transaction id has 16 bytes"))
        };
        let wait = Wait {
            waiter: txn(&request.waiter)?,
            priority: request.waiter_priority,
            place: Place { range_id: request.range_id, term: request.term, number: request.wait_number },
            holders: request.holders.iter().map(txn).collect::<Result<_, _>>()?,
        };
        Ok(match self.detector.lock().report(env::clock::now(), wait) {
            Some(victim) => WaitResponse { victim: Bytes::copy_from_slice(&victim.txn), cycle: victim.cycle },
            None => WaitResponse::default(),
        })
    }

    /// Has every replica of the root range take its digest; the index of that entry.
    pub(crate) async fn take_digest(&self, number: u64) -> Result<u64, Status> {
        let proposed = self.propose(Kind::Digest(DigestCommand { number })).await;
        proposed.map(|proposed| proposed.index).map_err(|error| refused(&error))
    }

    /// The nodes as this leader sees them.
    pub(crate) fn nodes(&self) -> Vec<NodeDescriptor> {
        let now = env::clock::now();
        let grace = now.duration_since(self.started) < LIVE;
        let view = self.view.lock();
        let state = self.state.lock();
        let nodes = state.nodes().map(|node| {
            let seen = view.seen.get(&node.node_id);
            NodeDescriptor {
                node_id: node.node_id,
                address: node.address.clone(),
                locality: node.locality.clone(),
                last_seen_ms: seen.map_or(0, |(_, wall_ms)| *wall_ms),
                live: seen.map_or(grace, |(at, _)| now.duration_since(*at) < LIVE),
                version: node.version.clone(),
            }
        });
        nodes.collect()
    }

    /// The ranges as this leader sees them.
    pub(crate) fn ranges(&self) -> Vec<RangeDescriptor> {
        let view = self.view.lock();
        let state = self.state.lock();
        let ranges = state.ranges().map(|range| match view.led.get(&range.range_id) {
            _ if range.range_id == ROOT_RANGE => self.root_descriptor(),
            Some(led) => led.clone(),
            None => range.clone(),
        });
        ranges.collect()
    }

    fn root_descriptor(&self) -> RangeDescriptor {
        let leader = self.group.role().leader.map_or(0, |leader| leader.store.node_id);
        descriptor(&self.cell.state(), leader)
    }

    /// What placement wants of the ranges that a node leads.
    fn moves_for(&self, led: &[RangeDescriptor]) -> Vec<ReplicaMove> {
        let now = env::clock::now();
        let nodes = self.nodes();
        let view = self.view.lock();
        let silent = |node_id: u64| {
            let seen = view.seen.get(&node_id).map_or(self.started, |(at, _)| *at);
            now.duration_since(seen)
        };
        let node_views: Vec<NodeView> = nodes
            .iter()
            .map(|node| NodeView {
                node_id: node.node_id,
                // A new leader waits for a node's own word before it puts replicas there.
                live: node.live && view.seen.contains_key(&node.node_id),
                dead: silent(node.node_id) > self.dead_after,
                locality: node.locality.clone(),
            })
            .collect();
        let range_views: Vec<RangeView> = view.led.values().map(range_view).collect();
        drop(view);
        let moves = pick(&node_views, &range_views).into_iter();
        let moves = moves.filter(|found| led.iter().any(|range| range.range_id == found.range_id));
        let described = moves.map(|found| ReplicaMove {
            range_id: found.range_id,
            config_epoch: found.config_epoch,
            add: nodes.iter().filter(|node| found.add.contains(&node.node_id)).cloned().collect(),
            remove: found.remove,
        });
        described.collect()
    }

    async fn prove_leadership(&self) -> Result<(), Status> {
        if self.group.lease_valid(self.term) {
            return Ok(());
        }
        match env::clock::timeout(QUORUM_PATIENCE, self.group.read_index()).await {
            Ok(proven) => proven.map_err(|error| refused(&error))?,
            Err(_) => return Err(refused(&ProposeError::NotLeader { leader: None })),
        }
        let role = self.group.role();
        if role.is_leader && role.term == self.term {
            Ok(())
        } else {
            Err(refused(&ProposeError::NotLeader { leader: role.leader }))
        }
    }

    async fn propose(&self, kind: Kind) -> Result<crate::raft::Proposed, ProposeError> {
        self.group.propose_in(self.term, root_command(kind)).await
    }

    async fn run(&self, kind: Kind) -> Result<RootReply, Status> {
        let proposed = self.propose(kind).await.map_err(|error| refused(&error))?;
        let reply = RootReply::decode(proposed.reply).map_err(|error| Status::internal(error.to_string()))?;
        if reply.error.is_empty() { Ok(reply) } else { Err(Status::invalid_argument(reply.error)) }
    }
}

impl std::fmt::Debug for RootTerm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootTerm").field("term", &self.term).finish_non_exhaustive()
    }
}

/// A command of the root range as it is logged.
pub(crate) fn root_command(kind: Kind) -> Bytes {
    let command = RangeCommand {
        format: FORMAT,
        kind: Some(CommandKind::Root(RootCommand { kind: Some(kind) })),
        ..RangeCommand::default()
    };
    command.encode_to_vec().into()
}

fn refused(error: &ProposeError) -> Status {
    match error {
        ProposeError::NotLeader { leader } => {
            let address = leader.as_ref().map(|leader| leader.store.address.clone());
            Status::failed_precondition(address.unwrap_or_default())
        }
        ProposeError::Ambiguous | ProposeError::Fatal(_) => Status::unavailable(error.to_string()),
    }
}

fn range_view(range: &RangeDescriptor) -> RangeView {
    RangeView {
        range_id: range.range_id,
        config_epoch: range.config_epoch,
        replicas: range
            .replicas
            .iter()
            .map(|replica| ReplicaView {
                replica_id: replica.replica_id,
                node_id: replica.node_id,
                learner: replica.learner,
            })
            .collect(),
    }
}
