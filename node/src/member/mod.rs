//! A node as a member of its cluster: the replicas it holds, and its life with the root range's leader.

mod moves;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use proto::v1::{
    DirectoryRequest, DirectoryResponse, JoinRequest, NodeHeartbeatRequest, NodeHeartbeatResponse,
    RangeDescriptor, RangeStatus,
};
use proto::{Network, Status};
use tokio::sync::Notify;

use crate::error::NodeError;
use crate::machine::Machine;
use crate::metrics::Metrics;
use crate::options::NodeOptions;
use crate::raft::{Group, RaftHost, RaftOptions, Role};
use crate::range::state::descriptor;
use crate::range::{Context, Replica};
use crate::root::{ROOT_RANGE, RootLink, RootTerm};
use crate::store::{Store, introduction};
use crate::tasks::Tasks;
use crate::vitals::Vitals;

/// How often a node tells the root leader that it lives.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long the root range's leader waits before it tries again to begin its term.
const BEGIN_AGAIN: Duration = Duration::from_millis(20);

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
    context: Arc<Context>,
    address: String,
    introduction: JoinRequest,
    dead_after: Duration,
    replicas: RwLock<BTreeMap<u64, Arc<Replica>>>,
    directory: RwLock<DirectoryResponse>,
    moving: Mutex<BTreeSet<u64>>,
    heartbeat_now: Notify,
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
        let machine = Arc::new(Machine::open(store.db().clone())?);
        link.set_cluster(identity.cluster_id.clone());
        let raft = RaftOptions {
            disk: options.disk.clone(),
            dir: store.raft_dir(),
            db: store.db().clone(),
            network: options.network.clone(),
            cluster_id: identity.cluster_id.clone(),
            node_id: identity.node_id,
            address: options.address.clone(),
            timing: options.timing,
            log_bytes_max: options.raft_log_bytes_max,
            runtime: raft_runtime,
        };
        let host = RaftHost::open(raft, machine.clone()).await?;
        let context = Context {
            db: store.db().clone(),
            cluster_id: identity.cluster_id.clone(),
            time: link.clone(),
            detector: link.clone(),
            tasks,
            metrics,
            vitals,
        };
        let member = Arc::new(Self {
            cluster_id: identity.cluster_id,
            node_id: identity.node_id,
            host,
            machine,
            link,
            network: options.network.clone(),
            context: Arc::new(context),
            address: options.address.clone(),
            introduction: introduction(options, identity.store_id),
            dead_after: options.dead_after,
            replicas: RwLock::default(),
            directory: RwLock::default(),
            moving: Mutex::default(),
            heartbeat_now: Notify::new(),
        });
        member.adopt()?;
        let tasks = &member.context.tasks;
        tasks.spawn_loop(member.clone().adopt_added());
        tasks.spawn_loop(member.clone().heartbeats());
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
                // A node that starts again may know of no other but by what it has replicated.
                let stores = group.membership().replicas;
                self.link.learn(stores.values().map(|store| store.address.as_str()));
                if let Some(leader) = &role.leader {
                    self.link.suggest(&leader.store.address);
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
            match RootTerm::begin(group, cell, self.machine.root(), term, self.dead_after).await {
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
        let request = self.introduction.clone();
        let answered = match self.link.local() {
            Some(root) => {
                let answer = env::clock::timeout(HEARTBEAT, root.join(request)).await;
                answer.unwrap_or_else(|_| Err(Status::unavailable("no quorum")))
            }
            None => {
                self.link
                    .ask(|leader| {
                        let request = request.clone();
                        async move { leader.join(request).await }
                    })
                    .await
            }
        };
        answered.is_ok()
    }

    async fn heartbeat(self: &Arc<Self>) {
        let request = NodeHeartbeatRequest {
            cluster_id: self.cluster_id.clone(),
            node_id: self.node_id,
            address: self.address.clone(),
            led: self.led(),
        };
        let answered = match self.link.local() {
            Some(root) => {
                let answer = env::clock::timeout(HEARTBEAT, root.heartbeat(request)).await;
                answer.unwrap_or_else(|_| Err(Status::unavailable("no quorum")))
            }
            None => {
                self.link
                    .ask(|leader| {
                        let request = request.clone();
                        async move { leader.node_heartbeat(request).await }
                    })
                    .await
            }
        };
        match answered {
            Ok(answer) => self.follow(answer).await,
            Err(status) => tracing::debug!(%status, "the root range's leader does not answer"),
        }
    }

    async fn follow(self: &Arc<Self>, answer: NodeHeartbeatResponse) {
        self.link.learn(answer.nodes.iter().map(|node| node.address.as_str()));
        for wanted in answer.moves {
            if self.moving.lock().insert(wanted.range_id) {
                let member = self.clone();
                self.context.tasks.spawn(async move {
                    let range_id = wanted.range_id;
                    if let Err(error) = member.carry_out(wanted).await {
                        tracing::info!(range = range_id, %error, "a move of replicas has not come about");
                    }
                    member.moving.lock().remove(&range_id);
                    member.heartbeat_now.notify_one();
                });
            }
        }
        let request = DirectoryRequest { cluster_id: self.cluster_id.clone() };
        let asked = match self.link.local() {
            Some(root) => Ok(root.directory()),
            None => {
                self.link
                    .ask(|leader| {
                        let request = request.clone();
                        async move { leader.directory(request).await }
                    })
                    .await
            }
        };
        if let Ok(directory) = asked {
            *self.directory.write() = directory.clone();
            for range in &directory.ranges {
                if let Err(error) = self.leave_if_removed(range).await {
                    tracing::error!(range = range.range_id, %error, "a replica that was removed is still here");
                }
            }
        }
    }

    /// The ranges that this node serves.
    fn led(&self) -> Vec<RangeDescriptor> {
        let serves = |replica: &Replica| {
            if replica.cell.range_id() == ROOT_RANGE {
                self.link.local().is_some()
            } else {
                replica.cell.serving().is_some()
            }
        };
        let replicas = self.replicas();
        let led = replicas.iter().filter(|replica| serves(replica));
        led.map(|replica| descriptor(&replica.cell.state(), self.node_id)).collect()
    }

    /// Where ranges and nodes are, as far as this node knows: what the root leader said last, and what its own
    /// replicas have heard since.
    pub(crate) fn directory(&self) -> DirectoryResponse {
        if let Some(root) = self.link.local() {
            let mut directory = root.directory();
            directory.ranges.iter_mut().for_each(|range| self.refine(range));
            return directory;
        }
        let mut directory = self.directory.read().clone();
        directory.cluster_id = self.cluster_id.clone();
        directory.ranges.iter_mut().for_each(|range| self.refine(range));
        directory
    }

    fn refine(&self, range: &mut RangeDescriptor) {
        let Some(replica) = self.replica(range.range_id) else { return };
        let state = replica.cell.state();
        if (state.span_epoch, state.config_epoch) >= (range.span_epoch, range.config_epoch)
            && state.span.is_some()
        {
            *range = descriptor(&state, range.leader_node_id);
        }
        if let Some(leader) = replica.group.role().leader {
            range.leader_node_id = leader.store.node_id;
        }
    }

    /// All ranges, and what this node knows of each.
    pub(crate) fn ranges(&self) -> Vec<RangeStatus> {
        let describe = |range: RangeDescriptor| {
            let group = self.replica(range.range_id).map(|replica| replica.group.clone());
            RangeStatus {
                term: group.as_ref().map_or(0, |group| group.role().term),
                applied_index: group.as_ref().map_or(0, |group| group.applied_index()),
                log_bytes: group.as_ref().map_or(0, |group| group.log_bytes()),
                descriptor: Some(range),
            }
        };
        self.directory().ranges.into_iter().map(describe).collect()
    }

    /// Stops serving.
    pub(crate) async fn stop(&self) {
        self.link.set_local(None);
        for replica in self.replicas() {
            replica.cell.serve(None);
        }
        self.host.shutdown().await;
    }
}

fn leads(now: &Role, then: &Role) -> bool {
    now.is_leader && now.term == then.term
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("node_id", &self.node_id).finish_non_exhaustive()
    }
}
