//! A node as a member of its cluster: the replicas it holds, and its life with the root range's leader.

mod ask;
mod collect;
mod drain;
mod find;
mod forward;
mod grow;
mod merging;
mod moves;
mod relevant;
mod replicas;
mod split;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use proto::v1::error::Kind;
use proto::v1::{
    BatchResponse, DirectoryRequest, DirectoryResponse, Horizon, JoinRequest, NodeHeartbeatRequest,
    NodeHeartbeatResponse, RangeDescriptor, RangeLoad, RangeStatus, ReplicaFailure, Unfinished,
};
use proto::{Code, Network, Status};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::addresses::{Addresses, Whereabouts};
use crate::error::NodeError;
use crate::machine::Machine;
use crate::metrics::Metrics;
use crate::options::NodeOptions;
use crate::raft::{self, Group, RaftHost, RaftOptions, Role};
use crate::range::state::descriptor;
use crate::range::{Admission, Context, Replica, merge};
use crate::root::{Limits, Nodes, ROOT_RANGE, RootLink, RootTerm};
use crate::store::{Store, introduction};
use crate::tasks::Tasks;
use crate::vitals::Vitals;

/// How often a node tells the root leader that it lives.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long the root range's leader waits before it tries again to begin its term.
const BEGIN_AGAIN: Duration = Duration::from_millis(20);

/// Replicas whose digest is taken at a time: each reads all of its range.
const DIGESTS_MAX: usize = 8;

/// Comparisons of all replicas that one node makes at a time.
const CHECKS_MAX: usize = 4;

/// A node as a member of its cluster.
pub(crate) struct Member {
    /// The cluster.
    pub(crate) cluster_id: Bytes,
    /// The node.
    pub(crate) node_id: u64,
    /// The store's side of replication.
    pub(crate) host: Arc<RaftHost>,
    /// The state of its ranges.
    pub(crate) machine: Arc<Machine>,
    /// The way to the root range's leader.
    pub(crate) link: Arc<RootLink>,
    /// Reaches the other nodes.
    pub(crate) network: Arc<dyn Network>,
    /// Where they are.
    pub(crate) addresses: Arc<Addresses>,
    context: Arc<Context>,
    introduction: JoinRequest,
    dead_after: Duration,
    limits: Limits,
    merge_rest: Option<Duration>,
    /// Nodes that an operator has given up.
    lost: BTreeSet<u64>,
    newest_format: u32,
    replicas: RwLock<BTreeMap<u64, Arc<Replica>>>,
    directory: RwLock<DirectoryResponse>,
    moving: Arc<Mutex<BTreeSet<u64>>>,
    heartbeat_now: Notify,
    draining: drain::Draining,
    measures: Mutex<grow::Measures>,
    digests: Semaphore,
    checks: Semaphore,
    /// What the root range's leader said last of how far history may go.
    horizon: Mutex<Horizon>,
}

impl Member {
    /// Opens replication and everything that the store holds.
    pub(crate) async fn open(
        options: &NodeOptions,
        store: &Store,
        link: Arc<RootLink>,
        tasks: Tasks,
        metrics: Metrics,
        vitals: Arc<Vitals>,
        raft_runtime: Option<tokio::runtime::Handle>,
    ) -> Result<Arc<Self>, NodeError> {
        let identity = store.identity();
        let machine = Arc::new(Machine::open(store.db().clone(), options.newest_command_format)?);
        link.set_cluster(identity.cluster_id.clone());
        let lost: BTreeSet<u64> = identity.lost_nodes.iter().copied().collect();
        let addresses = link.addresses();
        addresses.set_own(identity.node_id, identity.generation);
        let raft = RaftOptions {
            disk: options.disk.clone(),
            dir: store.raft_dir(),
            db: store.db().clone(),
            network: options.network.clone(),
            cluster_id: identity.cluster_id.clone(),
            addresses: addresses.clone(),
            timing: options.timing,
            log_bytes_max: options.raft_log_bytes_max,
            lost: lost.clone(),
            runtime: raft_runtime,
        };
        let host = RaftHost::open(raft, machine.clone()).await?;
        let asker = Arc::new(ask::Asker::default());
        let context = Context {
            db: store.db().clone(),
            cluster_id: identity.cluster_id.clone(),
            time: link.clone(),
            detector: link.clone(),
            elsewhere: asker.clone(),
            tasks,
            metrics,
            vitals,
            admission: Admission::new(store.db().clone()),
        };
        let member = Arc::new(Self {
            introduction: introduction(options, &identity),
            cluster_id: identity.cluster_id,
            node_id: identity.node_id,
            host,
            machine,
            link,
            network: options.network.clone(),
            addresses,
            context: Arc::new(context),
            dead_after: options.dead_after,
            limits: Limits {
                bytes_max: options.range_bytes_max,
                requests_per_second_max: options.range_requests_max,
            },
            merge_rest: options.merge_rest,
            lost,
            newest_format: options.newest_command_format,
            replicas: RwLock::default(),
            directory: RwLock::default(),
            moving: Arc::default(),
            heartbeat_now: Notify::new(),
            draining: drain::Draining::default(),
            measures: Mutex::default(),
            digests: Semaphore::new(DIGESTS_MAX),
            checks: Semaphore::new(CHECKS_MAX),
            horizon: Mutex::default(),
        });
        asker.serve(&member);
        // Where the others were when the root range last said so, as far as it is replicated here: a place to ask first.
        for node in member.machine.root().lock().nodes() {
            let (node_id, generation, address) = (node.node_id, node.generation, node.address.clone());
            member.addresses.hear(&Whereabouts { node_id, generation, address });
        }
        member.adopt()?;
        let tasks = &member.context.tasks;
        tasks.spawn_loop(member.clone().adopt_added());
        tasks.spawn_loop(member.clone().heartbeats());
        tasks.spawn_loop(member.clone().find());
        tasks.spawn_loop(member.clone().finish_changes());
        tasks.spawn_loop(member.clone().finish_merges());
        tasks.spawn_loop(member.clone().collect());
        tasks.spawn_loop(member.clone().divide_large());
        tasks.spawn_loop(member.clone().drain_while_told());
        Ok(member)
    }

    /// The replica of a range here.
    pub(crate) fn replica(&self, range_id: u64) -> Option<Arc<Replica>> {
        self.replicas.read().get(&range_id).cloned()
    }

    /// All replicas here, ascending by range.
    pub(crate) fn replicas(&self) -> Vec<Arc<Replica>> {
        self.replicas.read().values().cloned().collect()
    }

    /// Takes up the groups that replication has and this does not know yet.
    pub(crate) fn adopt(self: &Arc<Self>) -> Result<(), NodeError> {
        for group in self.host.groups() {
            let range_id = group.range_id();
            let mut replicas = self.replicas.write();
            if replicas.get(&range_id).is_some_and(|known| Arc::ptr_eq(&known.group, &group)) {
                continue;
            }
            let cell = self.machine.cell(range_id)?;
            let replica = Arc::new(Replica { cell, group, context: self.context.clone() });
            replicas.insert(range_id, replica.clone());
            drop(replicas);
            let tasks = &self.context.tasks;
            tasks.spawn_loop(self.clone().watch_role(replica.group.clone()));
            if range_id == ROOT_RANGE {
                tasks.spawn_loop(self.clone().lead_root(replica));
            } else {
                tasks.spawn_loop(replica.lead());
            }
        }
        Ok(())
    }

    async fn adopt_added(self: Arc<Self>) {
        loop {
            self.machine.added().await;
            if let Err(error) = self.adopt() {
                tracing::error!(%error, "a new replica cannot be served");
            }
        }
    }

    async fn watch_role(self: Arc<Self>, group: Arc<Group>) {
        let mut roles = group.watch();
        loop {
            let role = roles.borrow_and_update().clone();
            if group.range_id() == ROOT_RANGE {
                let leader = role.leader.as_ref().map(|leader| leader.store.node_id);
                if let Some(address) = leader.and_then(|leader| self.addresses.address(leader)) {
                    self.link.suggest(&address);
                }
            }
            self.heartbeat_now.notify_one();
            if roles.changed().await.is_err() {
                return;
            }
        }
    }

    async fn lead_root(self: Arc<Self>, replica: Arc<Replica>) {
        let mut roles = replica.group.watch();
        loop {
            let role = roles.borrow_and_update().clone();
            if role.is_leader {
                let over = async {
                    loop {
                        if roles.changed().await.is_err() || !leads(&roles.borrow_and_update(), &role) {
                            return;
                        }
                    }
                };
                tokio::select! {
                    biased;
                    () = over => {}
                    () = self.lead_root_term(&replica, role.term) => {}
                }
                self.link.set_local(None);
                tracing::info!(term = role.term, "no longer leading the root range");
            } else if roles.changed().await.is_err() {
                return;
            }
        }
    }

    async fn lead_root_term(&self, replica: &Replica, term: u64) {
        loop {
            let (group, cell) = (replica.group.clone(), replica.cell.clone());
            let nodes = Nodes {
                network: self.network.clone(),
                addresses: self.addresses.clone(),
                dead_after: self.dead_after,
                limits: self.limits,
                rest: self.merge_rest,
                lost: self.lost.clone(),
            };
            match RootTerm::begin(group, cell, self.machine.root(), term, nodes).await {
                Ok(root) => {
                    self.link.set_local(Some(root.clone()));
                    self.heartbeat_now.notify_one();
                    tracing::info!(term, "serving the root range");
                    let error = root.keep_window().await;
                    tracing::info!(term, %error, "the window of timestamps cannot be reserved");
                }
                Err(error) => tracing::debug!(term, %error, "the root range's term cannot begin yet"),
            }
            env::clock::sleep(BEGIN_AGAIN).await;
        }
    }

    async fn heartbeats(self: Arc<Self>) {
        let mut announced = false;
        loop {
            if !announced {
                announced = self.announce().await;
            }
            self.heartbeat().await;
            // Woken early when a role has changed, so that the directory follows at once.
            let _ = env::clock::timeout(HEARTBEAT, self.heartbeat_now.notified()).await;
        }
    }

    /// Tells the root range's leader once, after a start, what this node is by now.
    async fn announce(&self) -> bool {
        match self.link.join(self.introduction.clone()).await {
            Ok(_) => true,
            Err(status) => {
                self.is_told_to_stop(&status);
                false
            }
        }
    }

    /// The root range knows of another process of this node.
    fn is_told_to_stop(&self, status: &Status) {
        if status.code() == Code::AlreadyExists {
            self.superseded(status.message());
        } else {
            tracing::debug!(%status, "the root range's leader does not answer");
        }
    }

    async fn heartbeat(self: &Arc<Self>) {
        let own = self.addresses.own();
        let request = NodeHeartbeatRequest {
            cluster_id: self.cluster_id.clone(),
            node_id: self.node_id,
            address: own.address,
            generation: own.generation,
            led: self.led(),
            failed: self.failed(),
            loads: self.loads(),
            disk: Some(self.context.vitals.disk()),
            wall_ms: env::clock::wall_ms(),
            newest_command_format: self.newest_format,
        };
        match self.link.heartbeat(request).await {
            Ok(answer) => self.follow(answer).await,
            Err(status) => {
                self.is_told_to_stop(&status);
                self.addresses.doubt();
            }
        }
    }

    async fn follow(self: &Arc<Self>, answer: NodeHeartbeatResponse) {
        answer.nodes.iter().for_each(|node| self.addresses.take(&Whereabouts::of(node)));
        if let Some(own) = answer.nodes.iter().find(|node| node.node_id == self.node_id) {
            self.draining.told(own.state());
        }
        let others = answer.nodes.iter().filter(|node| node.node_id != self.node_id);
        self.context.vitals.learn(others.filter_map(|node| Some((node.node_id, node.disk?))));
        if let Some(horizon) = answer.horizon {
            self.follow_horizon(horizon);
        }
        for wanted in answer.moves {
            let member = self.clone();
            self.place(wanted.range_id, async move { member.carry_out(wanted).await });
        }
        for wanted in answer.transfers {
            let member = self.clone();
            self.place(wanted.range_id, async move { member.hand_to(wanted).await });
        }
        for wanted in answer.merges {
            let member = self.clone();
            drop(self.context.tasks.spawn(async move {
                let (range, key) = (wanted.range_id, wanted.key.escape_ascii().to_string());
                if let Err(status) = member.merge_small(wanted).await {
                    tracing::info!(range, key, %status, "small ranges were not merged");
                }
            }));
        }
        let request = DirectoryRequest { cluster_id: self.cluster_id.clone() };
        if let Ok(directory) = self.link.directory(request).await {
            *self.directory.write() = directory.clone();
            for range in &directory.ranges {
                if let Err(error) = self.leave_if_removed(range).await {
                    tracing::error!(range = range.range_id, %error, "a replica that was removed is still here");
                }
            }
            self.leave_if_past(&directory.ranges).await;
        }
    }

    /// The replicas here that must be replaced.
    fn failed(&self) -> Vec<ReplicaFailure> {
        let failures = self.host.failures().into_iter();
        let wire = |failed: raft::ReplicaFailure| ReplicaFailure {
            range_id: failed.range_id,
            replica_id: failed.replica_id,
            why: failed.why,
        };
        failures.map(wire).collect()
    }

    /// What the ranges that this node leads take, as far as they were measured.
    fn loads(&self) -> Vec<RangeLoad> {
        let measures = self.measures.lock();
        let load = |(range_id, bytes): (&u64, &u64)| RangeLoad {
            range_id: *range_id,
            bytes: *bytes,
            requests_per_second: measures.rate(*range_id),
        };
        measures.bytes.iter().map(load).collect()
    }

    /// Has the ranges that this node leads keep no more than they must.
    fn follow_horizon(&self, horizon: Horizon) {
        *self.horizon.lock() = horizon;
        for replica in self.replicas() {
            if replica.cell.range_id() != ROOT_RANGE && replica.cell.serving().is_some() {
                drop(self.context.tasks.spawn(async move { replica.follow_horizon(horizon).await }));
            }
        }
    }

    /// The ranges that this node serves.
    fn led(&self) -> Vec<RangeDescriptor> {
        let replicas = self.replicas();
        let led = replicas.iter().filter(|replica| self.serves(replica));
        led.map(|replica| descriptor(&replica.cell.state(), self.node_id)).collect()
    }

    fn serves(&self, replica: &Replica) -> bool {
        if replica.cell.range_id() == ROOT_RANGE {
            self.link.local().is_some()
        } else {
            replica.cell.serving().is_some()
        }
    }

    /// Where ranges and nodes are, as far as this node knows: what the root leader said last, and what its own
    /// replicas have heard since.
    pub(crate) fn directory(&self) -> DirectoryResponse {
        let mut directory = match self.link.local() {
            Some(root) => root.directory(),
            None => self.directory.read().clone(),
        };
        directory.cluster_id = self.cluster_id.clone();
        let known: BTreeSet<u64> = directory.ranges.iter().map(|range| range.range_id).collect();
        for replica in self.replicas() {
            let state = replica.cell.state();
            // The root range hears of a new range from its leader, which it may not have yet.
            if state.span.is_some() && !known.contains(&state.range_id) && !directory.ranges.is_empty() {
                directory.ranges.push(descriptor(&state, 0));
            }
        }
        directory.ranges.iter_mut().for_each(|range| self.refine(range));
        merge::retain_present(&mut directory.ranges);
        for node in &mut directory.nodes {
            // Whoever has moved is found by its peers before the root range hears of it.
            if let Some(found) = self.addresses.find(node.node_id)
                && found.generation >= node.generation
            {
                node.address = found.address;
                node.generation = found.generation;
            }
        }
        directory
    }

    fn refine(&self, range: &mut RangeDescriptor) {
        let Some(replica) = self.replica(range.range_id) else { return self.addresses.describe(range) };
        let state = replica.cell.state();
        if (state.span_epoch, state.config_epoch) >= (range.span_epoch, range.config_epoch)
            && state.span.is_some()
        {
            *range = descriptor(&state, range.leader_node_id);
        }
        if let Some(leader) = replica.group.role().leader {
            range.leader_node_id = leader.store.node_id;
        }
        self.addresses.describe(range);
    }

    /// Room for one more digest.
    pub(crate) fn permit_digest(&self) -> Result<SemaphorePermit<'_>, Status> {
        let refused = |_| Status::resource_exhausted("this node takes as many digests as it can at a time");
        self.digests.try_acquire().map_err(refused)
    }

    /// Room for one more comparison.
    pub(crate) fn permit_check(&self) -> Result<SemaphorePermit<'_>, Status> {
        let refused = |_| Status::resource_exhausted("this node compares replicas already");
        self.checks.try_acquire().map_err(refused)
    }

    /// Ranges know nodes; who is sent elsewhere wants addresses.
    pub(crate) fn say_where(&self, response: &mut BatchResponse) {
        match response.error.as_mut().and_then(|error| error.kind.as_mut()) {
            Some(Kind::NotLeader(not_leader)) => {
                let address = self.addresses.address(not_leader.leader_node_id);
                not_leader.leader_address = address.unwrap_or_default();
            }
            Some(Kind::StaleRange(stale)) => {
                self.add_heirs(stale);
                stale.current.iter_mut().for_each(|range| self.addresses.describe(range));
            }
            _ => {}
        }
    }

    /// What this node holds of a range, for another that asks.
    pub(crate) fn held(&self, range_id: u64) -> Option<RangeStatus> {
        let replica = self.replica(range_id)?;
        let leader = if self.serves(&replica) { self.node_id } else { 0 };
        let descriptor = Some(descriptor(&replica.cell.state(), leader));
        let unfinished = unfinished(&replica);
        Some(RangeStatus { descriptor, unfinished, ..self.host.held(range_id)? })
    }

    /// All ranges, and what this node knows of each.
    pub(crate) fn ranges(&self) -> Vec<RangeStatus> {
        let describe = |range: RangeDescriptor| {
            let held = self.host.held(range.range_id).unwrap_or_default();
            let unfinished = self.replica(range.range_id).and_then(|replica| unfinished(&replica));
            RangeStatus { descriptor: Some(range), unfinished, ..held }
        };
        self.directory().ranges.into_iter().map(describe).collect()
    }

    /// Stops serving.
    pub(crate) async fn stop(&self) {
        self.link.set_local(None);
        for replica in self.replicas() {
            replica.cell.stop_serving();
        }
        self.host.shutdown().await;
    }
}

fn unfinished(replica: &Replica) -> Option<Unfinished> {
    let serving = replica.cell.serving()?;
    let (intents, decisions) = serving.intents.counts();
    let lockers = serving.locks.transactions();
    Some(Unfinished { intents: intents as u64, decisions: decisions as u64, lockers: lockers as u64 })
}

fn leads(now: &Role, then: &Role) -> bool {
    now.is_leader && now.term == then.term
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("node_id", &self.node_id).finish_non_exhaustive()
    }
}
