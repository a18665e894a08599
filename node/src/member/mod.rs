//! A node as a member of its cluster: the replicas it holds, and its life with the root range's leader.

mod ask;
mod collect;
mod data_keys;
mod directory;
mod drain;
mod erase;
mod find;
mod forward;
mod grow;
mod listing;
mod merging;
mod moves;
mod relevant;
mod replicas;
mod split;
pub(crate) mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use proto::v1::error::Kind;
use proto::v1::{
    BatchResponse, DataKeys, Horizon, JoinRequest, NodeHeartbeatRequest, NodeHeartbeatResponse, RangeLoad,
    RangeStatus, ReplicaFailure, Unfinished,
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
use crate::range::{Admission, Context, Exports, Replica, WOKEN_AT_ONCE, in_turn};
use crate::root::{Limits, Nodes, ROOT_RANGE, RootLink, RootTerm};
use crate::store::{Store, introduction};
use crate::tasks::Tasks;
use crate::vitals::Vitals;
use directory::Known;
use told::{Led, News, Told};

/// At so many replicas it is looked with each heartbeat whether those asleep follow the horizon.
const LOOKED_AT_ONCE: usize = 128;

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
    known: RwLock<Known>,
    /// When it was last looked for replicas of ranges that are no more.
    looked_for_past: Mutex<Option<env::clock::Instant>>,
    /// What the root range's leader was told.
    told: Mutex<Told>,
    moving: Arc<Mutex<BTreeSet<u64>>>,
    heartbeat_now: Notify,
    /// The data keys that its files were last found under.
    data_keys: Mutex<Option<DataKeys>>,
    draining: drain::Draining,
    measures: Mutex<grow::Measures>,
    digests: Semaphore,
    checks: Semaphore,
    /// What the root range's leader said last of how far history may go, if this process has heard it, and when.
    horizon: Mutex<Option<(env::clock::Instant, Arc<Horizon>)>>,
    /// Up to which range it was last looked whether those asleep follow it.
    looked_until: Mutex<u64>,
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
            sleep_after: options.sleep_after,
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
            closed_lag_ms: options.closed_lag.as_millis() as u64,
            exports: Exports::new(options.disk.clone(), options.backup_places.clone()),
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
            known: RwLock::default(),
            looked_for_past: Mutex::default(),
            told: Mutex::default(),
            moving: Arc::default(),
            heartbeat_now: Notify::new(),
            data_keys: Mutex::default(),
            draining: drain::Draining::default(),
            measures: Mutex::default(),
            digests: Semaphore::new(DIGESTS_MAX),
            checks: Semaphore::new(CHECKS_MAX),
            horizon: Mutex::default(),
            looked_until: Mutex::default(),
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
        tasks.spawn_loop(member.clone().drop_erased());
        tasks.spawn_loop(member.clone().divide_large());
        tasks.spawn_loop(member.clone().drain_while_told());
        tasks.spawn_loop(member.clone().watch_data_keys());
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

    /// The replicas here that do not sleep, ascending by range. The others are not touched.
    pub(crate) fn awake(&self) -> Vec<Arc<Replica>> {
        let awake = self.host.awake();
        let replicas = self.replicas.read();
        awake.iter().filter_map(|group| replicas.get(&group.range_id()).cloned()).collect()
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
        let (all_led, all_loads) = (self.led(), self.loads());
        let News { heard_by, led, loads, more } = self.told.lock().news(&all_led, &all_loads);
        let request = NodeHeartbeatRequest {
            cluster_id: self.cluster_id.clone(),
            node_id: self.node_id,
            address: own.address,
            generation: own.generation,
            led,
            failed: self.failed(),
            loads,
            disk: Some(self.context.vitals.disk()),
            wall_ms: env::clock::wall_ms(),
            newest_command_format: self.newest_format,
            data_keys: self.data_keys(),
            heard_by,
        };
        match self.link.heartbeat(request).await {
            Ok(answer) => {
                // Another one may lead by now, who is to know all at once; and so is who has heard the beginning of all.
                if (answer.heard_by == 0 && heard_by != 0) || (more && answer.again.is_empty()) {
                    self.heartbeat_now.notify_one();
                }
                self.told.lock().heard(&answer, all_led, all_loads);
                self.follow(answer).await;
            }
            Err(status) => {
                self.is_told_to_stop(&status);
                self.addresses.doubt();
            }
        }
    }

    async fn follow(self: &Arc<Self>, answer: NodeHeartbeatResponse) {
        answer.nodes.iter().for_each(|node| self.addresses.take(&Whereabouts::of(node)));
        // Where nobody asks for timestamps, what is closed follows all the same.
        self.link.observe(answer.newest);
        self.show_closed_lag();
        if let Some(own) = answer.nodes.iter().find(|node| node.node_id == self.node_id) {
            self.draining.told(own.state());
        }
        let others = answer.nodes.iter().filter(|node| node.node_id != self.node_id);
        self.context
            .vitals
            .learn(others.filter_map(|node| Some((node.node_id, node.disk?))), answer.some_nodes);
        self.know_nodes(&answer);
        let told = answer.nodes.iter().map(|node| (node.node_id, node.live));
        self.host.note_living(told, answer.some_nodes);
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
        self.follow_directory().await;
    }

    /// Shows how far what is closed of one of the ranges that this node leads lies behind at most.
    fn show_closed_lag(&self) {
        let lags = self.awake().into_iter().filter_map(|replica| replica.closed_lag_ms());
        self.context.metrics.closed_lag_seconds.set(lags.max().unwrap_or(0) as f64 / 1000.0);
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

    /// Those asleep among the next few replicas: it takes turns among them all.
    fn next_asleep(&self) -> Vec<Arc<Replica>> {
        let replicas = self.replicas.read();
        let mut from = self.looked_until.lock();
        let after = replicas.range((Bound::Excluded(*from), Bound::Unbounded));
        let next: Vec<_> = after.chain(replicas.range(..=*from)).take(LOOKED_AT_ONCE).collect();
        *from = next.last().map_or(0, |(range_id, _)| **range_id);
        next.into_iter()
            .map(|(_, replica)| replica)
            .filter(|replica| replica.group.is_asleep())
            .cloned()
            .collect()
    }

    /// Has the ranges that this node leads keep no more than they must.
    fn follow_horizon(&self, horizon: Horizon) {
        let all = Arc::new(horizon);
        *self.horizon.lock() = Some((env::clock::now(), all.clone()));
        let sleeps = |replica: &Arc<Replica>| replica.group.is_asleep();
        let follows =
            |replica: &Arc<Replica>| replica.cell.range_id() != ROOT_RANGE && replica.may_follow(&all);
        let mut replicas = self.awake();
        replicas.extend(self.next_asleep());
        for replica in in_turn(replicas, WOKEN_AT_ONCE, sleeps, follows) {
            let horizon = all.clone();
            drop(self.context.tasks.spawn(async move { replica.follow_horizon(&horizon).await }));
        }
    }

    /// The ranges that this node serves, ascending.
    fn led(&self) -> Vec<Led> {
        let replicas = self.replicas();
        let led = replicas.iter().filter(|replica| self.serves(replica));
        let told = |replica: &Arc<Replica>| Led {
            term: replica.group.role().term,
            range: descriptor(&replica.cell.state(), self.node_id),
        };
        led.map(told).collect()
    }

    fn serves(&self, replica: &Replica) -> bool {
        if replica.cell.range_id() == ROOT_RANGE {
            self.link.local().is_some()
        } else {
            replica.cell.serving().is_some()
        }
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
