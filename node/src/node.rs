//! A storage node: what it holds, how it starts and stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use env::task::boxed;
use parking_lot::{Mutex, RwLock};
use proto::v1::{HelloRequest, HelloResponse, NodeDescriptor, StoreIdentity};
use tokio::runtime::{Handle, Runtime};

use crate::addresses::{Addresses, Whereabouts};
use crate::bootstrap::{found, founder, try_join};
use crate::error::{NodeError, chain};
use crate::member::Member;
use crate::metrics::Metrics;
use crate::options::NodeOptions;
use crate::root::{ROOT_RANGE, RootLink};
use crate::store::Store;
use crate::tasks::Tasks;
use crate::vitals::Vitals;

/// How long a node waits before it asks again to be let into a cluster.
const JOIN_AGAIN: Duration = Duration::from_millis(500);

/// How often readiness is looked at while waiting for it.
const READY_TICK: Duration = Duration::from_millis(20);

/// How long a node that is to end waits for its replicas and their log.
const STOPPING: Duration = Duration::from_secs(5);

/// And then for its engine, which may have much to write.
const CLOSING: Duration = Duration::from_secs(30);

/// How often the engine's background work is done where it has no threads.
const STEP: Duration = Duration::from_millis(20);

/// A storage node. Implements [`proto::NodeService`], behind whatever transport it is registered with.
///
/// It stops when it is dropped; [`Node::shutdown`] stops it in order.
pub struct Node {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    options: NodeOptions,
    store: Store,
    link: Arc<RootLink>,
    tasks: Tasks,
    pub(crate) metrics: Metrics,
    vitals: Arc<Vitals>,
    member: RwLock<Option<Arc<Member>>>,
    /// Held while the node becomes a member, so that it does so once.
    becoming: tokio::sync::Mutex<()>,
    raft_runtime: Mutex<Option<Runtime>>,
    draining: AtomicBool,
}

impl Node {
    /// Opens the data directory and starts what it holds. A node without a cluster tries to join one in the
    /// background, or waits for [`Node::init`]. Returns before the node can serve: see [`Node::wait_ready`].
    #[boxed]
    pub async fn start(options: NodeOptions) -> Result<Arc<Self>, NodeError> {
        let opening = options.clone();
        let opened = env::task::blocking(move || Store::open(&opening)).await;
        let store = opened.map_err(|_| NodeError::Unavailable("the runtime is stopping".to_owned()))??;
        let addresses = Arc::new(Addresses::new(options.address.clone()));
        let link = RootLink::new(options.network.clone(), addresses, &options.join);
        let raft_runtime = raft_runtime(&options)?;
        let vitals = Vitals::new(options.disk.clone(), store.dir().to_owned(), options.disk_reserve_bytes);
        let inner = Arc::new(Inner {
            options,
            store,
            link: Arc::new(link),
            tasks: Tasks::here(),
            metrics: Metrics::new(),
            vitals: Arc::new(vitals),
            member: RwLock::default(),
            becoming: tokio::sync::Mutex::default(),
            raft_runtime: Mutex::new(raft_runtime),
            draining: AtomicBool::new(false),
        });
        let node = Arc::new(Self { inner: inner.clone() });
        if env::simulation::is_active() {
            inner.tasks.spawn_loop(step_engine(inner.store.db().clone()));
        }
        let watched = inner.clone();
        inner.tasks.spawn_loop(inner.vitals.clone().watch(move || watched.store_failure()));
        let identity = inner.store.identity();
        if identity.cluster_id.is_empty() {
            inner.tasks.spawn_loop(join(inner.clone()));
        } else {
            let _becoming = inner.becoming.lock().await;
            inner.become_member(identity).await?;
        }
        Ok(node)
    }

    /// The threads that replication runs on, where it has its own: the place for connections that carry nothing else.
    pub fn replication(&self) -> Option<Handle> {
        self.inner.replication()
    }

    /// Makes a cluster of this node alone; `false` if it belongs to one already. `history_ms`: how long it keeps history
    /// (0 = for ever), an hour if nothing is said.
    #[boxed]
    pub async fn init(&self, history_ms: Option<u64>) -> Result<bool, NodeError> {
        self.inner.init(history_ms).await
    }

    /// Whether the node can serve now, or why not.
    pub fn ready(&self) -> Result<(), String> {
        self.inner.ready()
    }

    /// Waits until the node can serve.
    #[boxed]
    pub async fn wait_ready(&self, timeout: Duration) -> Result<(), NodeError> {
        let until = env::clock::now() + timeout;
        loop {
            match self.ready() {
                Ok(()) => return Ok(()),
                Err(why) if env::clock::now() >= until => return Err(NodeError::Unavailable(why)),
                Err(_) => env::clock::sleep(READY_TICK).await,
            }
        }
    }

    /// Completes when a failure of its disk has stopped the node's store, with what it was; never otherwise. A node that
    /// has failed serves nothing more: it has to be started again.
    #[boxed]
    pub async fn failed(&self) -> String {
        self.inner.vitals.failed().await
    }

    /// Hands leaderships over, flushes and stops. The data directory is free when the last handle is dropped. An error if
    /// the disk did not let it end in order; what it has acknowledged is in its log nevertheless.
    #[boxed]
    pub async fn shutdown(&self) -> Result<(), NodeError> {
        self.inner.draining.store(true, Ordering::Release);
        let member = self.inner.member();
        if let Some(member) = &member {
            member.drain().await;
        }
        self.inner.tasks.stop();
        let ended = self.end(member).await;
        self.inner.stop_runtime();
        ended
    }

    /// Ends what writes to the disk, as long as that answers.
    async fn end(&self, member: Option<Arc<Member>>) -> Result<(), NodeError> {
        let hangs = |what: &str| NodeError::Unavailable(format!("{what}: the disk does not answer"));
        if let Some(member) = member {
            let stopped = env::clock::timeout(STOPPING, member.stop()).await;
            stopped.map_err(|_| hangs("replication was not stopped"))?;
        }
        let db = self.inner.store.db().clone();
        let closing = env::task::blocking(move || db.flush().and_then(|()| db.close()));
        match env::clock::timeout(CLOSING, closing).await {
            Err(_) => Err(hangs("the storage engine was not closed")),
            Ok(Ok(closed)) => closed.map_err(NodeError::Engine),
            Ok(Err(_)) => Err(NodeError::Unavailable("the runtime is stopping".to_owned())),
        }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }
}

impl Inner {
    /// The node as a member, once it is one.
    pub(crate) fn member(&self) -> Option<Arc<Member>> {
        self.member.read().clone()
    }

    #[boxed]
    pub(crate) async fn init(&self, history_ms: Option<u64>) -> Result<bool, NodeError> {
        let _becoming = self.becoming.lock().await;
        let known = self.store.identity();
        if !known.cluster_id.is_empty() {
            return Ok(false);
        }
        // A cluster that is there already is not split in two by a repeated command.
        if let Ok(joined) = try_join(&self.options, &known).await {
            let identity = StoreIdentity { cluster_id: joined.cluster_id, node_id: joined.node_id, ..known };
            self.become_member(identity).await?;
            return Ok(false);
        }
        self.become_member(founder(known, history_ms)).await?;
        Ok(true)
    }

    /// Writes down what the node is, then starts as that. `becoming` is held. A node that has written it down and does not
    /// start has failed: started again it goes on from there.
    async fn become_member(&self, identity: StoreIdentity) -> Result<(), NodeError> {
        let became = self.start_member(identity).await;
        became.inspect_err(|error| {
            self.vitals.fail(format!("the node cannot start as a member of its cluster: {}", chain(error)));
        })
    }

    async fn start_member(&self, identity: StoreIdentity) -> Result<(), NodeError> {
        if identity != self.store.identity() {
            self.store.set_identity(identity.clone())?;
        }
        let raft_runtime = self.replication();
        let (link, tasks, metrics) = (self.link.clone(), self.tasks.clone(), self.metrics.clone());
        let vitals = self.vitals.clone();
        let member =
            Member::open(&self.options, &self.store, link, tasks, metrics, vitals, raft_runtime).await?;
        if identity.bootstrapping {
            found(&member, &self.options, &identity).await?;
            self.store.set_identity(StoreIdentity { bootstrapping: false, ..identity.clone() })?;
        }
        tracing::info!(node = identity.node_id, address = self.options.address, "member of the cluster");
        *self.member.write() = Some(member);
        Ok(())
    }

    pub(crate) fn ready(&self) -> Result<(), String> {
        if self.draining.load(Ordering::Acquire) {
            return Err("shutting down".to_owned());
        }
        if let Some(why) = self.vitals.failure() {
            return Err(why);
        }
        let Some(member) = self.member() else {
            return Err(match self.options.join.is_empty() {
                true => "the cluster is not initialised".to_owned(),
                false => "waiting to join a cluster".to_owned(),
            });
        };
        if !member.knows_ranges() {
            return Err("the root range's leader has not answered yet".to_owned());
        }
        if let Some(failed) = member.host.failures().first() {
            return Err(format!("the replica of range {} must be replaced: {}", failed.range_id, failed.why));
        }
        for replica in member.replicas() {
            let range_id = replica.cell.range_id();
            let role = replica.group.role();
            let serves = if range_id == ROOT_RANGE {
                member.link.local().is_some()
            } else {
                replica.cell.serving().is_some()
            };
            if role.leader.is_none() {
                return Err(format!("range {range_id} has no leader"));
            }
            if let Some(why) = replica.group.unfit() {
                return Err(format!("the replica of range {range_id} does not keep up: {why}"));
            }
            if role.is_leader && !serves {
                return Err(format!("range {range_id} is starting"));
            }
        }
        Ok(())
    }

    /// What has stopped the engine or the raft log, if something has.
    fn store_failure(&self) -> Option<lsm::Error> {
        self.store.db().failure().or_else(|| self.member()?.host.log_failure())
    }

    /// The root range's leader's address, as far as this node knows.
    pub(crate) fn root_leader(&self) -> String {
        let member = self.member();
        let replica = member.and_then(|member| member.replica(ROOT_RANGE));
        let leader = replica.and_then(|replica| replica.group.role().leader);
        let address = leader.and_then(|leader| self.link.addresses().address(leader.store.node_id));
        address.unwrap_or_else(|| self.link.leader_address())
    }

    /// Who this is, what it knows of others, and what it holds of a range.
    pub(crate) fn hello(&self, request: &HelloRequest) -> HelloResponse {
        let StoreIdentity { cluster_id, store_id, node_id, generation, .. } = self.store.identity();
        let addresses = self.link.addresses();
        let is_own = !cluster_id.is_empty() && request.cluster_id == cluster_id;
        let mut answer = HelloResponse {
            cluster_id,
            store_id,
            node_id,
            generation,
            address: addresses.own().address,
            ..HelloResponse::default()
        };
        if is_own {
            if let Some(from) = &request.from {
                addresses.hear(&Whereabouts::of(from));
            }
            let others = addresses.others().into_iter();
            answer.nodes = others
                .map(|Whereabouts { node_id, generation, address }| NodeDescriptor {
                    node_id,
                    generation,
                    address,
                    ..NodeDescriptor::default()
                })
                .collect();
            answer.held = self.member().and_then(|member| member.held(request.range_id));
        }
        answer
    }

    fn replication(&self) -> Option<Handle> {
        self.raft_runtime.lock().as_ref().map(|runtime| runtime.handle().clone())
    }

    fn stop_runtime(&self) {
        if let Some(runtime) = self.raft_runtime.lock().take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.inner.tasks.stop();
        self.inner.stop_runtime();
        *self.inner.member.write() = None;
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("address", &self.inner.options.address).finish_non_exhaustive()
    }
}

/// Asks to be let into a cluster until the node belongs to one.
async fn join(inner: Arc<Inner>) {
    let mut told = String::new();
    loop {
        {
            let _becoming = inner.becoming.lock().await;
            let known = inner.store.identity();
            if !known.cluster_id.is_empty() {
                return;
            }
            match try_join(&inner.options, &known).await {
                Err(why) if why != told => {
                    tracing::info!(%why, "waiting to be let into a cluster");
                    told = why;
                }
                Err(_) => {}
                Ok(joined) => {
                    let addresses = inner.link.addresses();
                    for node in &joined.nodes {
                        addresses.take(&Whereabouts::of(node));
                    }
                    let identity =
                        StoreIdentity { cluster_id: joined.cluster_id, node_id: joined.node_id, ..known };
                    // If that fails, the node has.
                    let _ = inner.become_member(identity).await;
                    return;
                }
            }
        }
        env::clock::sleep(JOIN_AGAIN).await;
    }
}

/// Does the engine's background work where it has no threads for it.
async fn step_engine(db: lsm::Db) {
    loop {
        let stepping = db.clone();
        match env::task::blocking(move || stepping.step()).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => env::clock::sleep(STEP).await,
            Ok(Err(error)) => {
                tracing::error!(%error, "the storage engine has stopped");
                return;
            }
            Err(_) => return,
        }
    }
}

/// Replication runs apart from everything else, so that a heavy query cannot cost a leader its lease.
fn raft_runtime(options: &NodeOptions) -> Result<Option<Runtime>, NodeError> {
    if options.raft_threads == 0 || env::simulation::is_active() {
        return Ok(None);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.raft_threads)
        .thread_name("raft")
        .enable_all()
        .build();
    runtime.map(Some).map_err(NodeError::Runtime)
}
