//! A store, and a cluster of stores, in a simulation: what the tests of this module run on.

mod addresses;
mod changes;
mod closing;
mod cluster;
mod confirming;
mod crashes;
mod failures;
mod fitness;
mod lease;
mod log;
mod sleeps;
mod snapshots;
mod splits;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use env::disk::{CrashMode, MemoryDisk};
use env::task::Scope;
use lsm::{Background, Db, Keyspace, Options, ScanOptions, WriteBatch};
use parking_lot::RwLock;
use proto::simulated::{Faults, SimulatedNetwork};
use proto::{NodeService, RequestStream, ResponseStream, Status, v1};
use tokio::runtime::Handle;

use super::*;
use crate::addresses::{Addresses, Whereabouts};

/// Runs `work` on one thread with a paused clock and a seed.
fn simulate<F: Future>(seed: u64, work: impl FnOnce() -> F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let _simulation = env::simulation::enter(seed);
        work().await
    })
}

/// A state machine whose commands are `key=value`, kept as versions by log index, and `split>range:id:id…`, which divides
/// the range in two: the new one's replicas stand beside the first ones, in this order, and inherit one key. The reply is the
/// command.
#[derive(Default)]
struct KeyValue {
    installed: AtomicU64,
    added: AtomicU64,
    /// Commands that begin with `new` are unknown here, as to an older program.
    old: AtomicBool,
    /// What stands above it has something to do.
    busy: AtomicBool,
}

impl Apply for KeyValue {
    fn apply(
        &self,
        range_id: u64,
        entries: &[ApplyEntry],
        batch: &mut WriteBatch,
    ) -> Result<Outcome, ApplyError> {
        if self.old.load(Ordering::Relaxed) {
            let is_new = |entry: &&ApplyEntry| entry.command.as_ref().is_some_and(|c| c.starts_with(b"new"));
            if let Some(entry) = entries.iter().find(is_new) {
                return Err(ApplyError::Command { index: entry.index, what: "it is new".to_owned() });
            }
        }
        let mut children = Vec::new();
        let apply = |entry: &ApplyEntry| {
            let Some(command) = &entry.command else { return Bytes::new() };
            let text = std::str::from_utf8(command).unwrap();
            if let Some(split) = text.strip_prefix("split>") {
                children.push(splits::child(split));
                let range_id = splits::child(split).range_id;
                batch.put_at(&data_key(range_id, "inherited"), entry.index, b"yes");
                return command.clone();
            }
            let (key, value) = text.split_once('=').unwrap();
            batch.put_at(&data_key(range_id, key), entry.index, value.as_bytes());
            command.clone()
        };
        let replies = entries.iter().map(apply).collect();
        Ok(Outcome { replies, children })
    }

    fn first_rows(&self, _range_id: u64, _membership: &Membership, _index: u64) -> Vec<(Bytes, Bytes)> {
        Vec::new()
    }

    fn is_prompt(&self, command: &Bytes) -> bool {
        !self.reshapes(command)
    }

    fn reshapes(&self, command: &Bytes) -> bool {
        command.starts_with(b"split>")
    }

    fn applied(&self, _range_id: u64, _entries: &[ApplyEntry]) {}

    fn snapshot_spans(&self, range_id: u64) -> Vec<SnapshotSpan> {
        vec![SnapshotSpan {
            start: data_key(range_id, "").into(),
            end: data_key(range_id + 1, "").into(),
            versioned: true,
        }]
    }

    fn check_snapshot(&self, range_id: u64, spans: &[SnapshotSpan]) -> Result<(), String> {
        if spans == self.snapshot_spans(range_id) { Ok(()) } else { Err("other spans".to_owned()) }
    }

    fn swallowed_by_snapshot(
        &self,
        _range_id: u64,
        _spans: &[SnapshotSpan],
    ) -> Result<Vec<(u64, Bytes, Bytes)>, String> {
        Ok(Vec::new())
    }

    fn check_snapshot_row(&self, _range_id: u64, _key: &[u8], _value: &[u8]) -> Result<(), String> {
        Ok(())
    }

    fn state_replaced(&self, _range_id: u64) -> Result<(), ApplyError> {
        self.installed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn removed(&self, _range_id: u64) {}

    fn may_sleep(&self, _range_id: u64) -> bool {
        !self.busy.load(Ordering::Relaxed)
    }

    fn replica_added(&self, _range_id: u64, _replica_id: u64) {
        self.added.fetch_add(1, Ordering::Relaxed);
    }
}

fn data_key(range_id: u64, key: &str) -> Vec<u8> {
    let mut full = vec![b'd'];
    full.extend(range_id.to_be_bytes());
    full.extend(key.as_bytes());
    full
}

fn open_db(disk: &MemoryDisk) -> Db {
    let keyspaces = vec![Keyspace::versioned(b'd', "data"), Keyspace::plain(b's', "state")];
    let options =
        Options { background: Background::Manual, ..Options::new(Arc::new(disk.clone()), "/db", keyspaces) };
    Db::open(options).unwrap()
}

/// Passes the raft calls to whichever host stands here.
#[derive(Default)]
struct Service {
    host: RwLock<Option<Arc<RaftHost>>>,
    /// How long it takes to say who it is.
    hello_ms: AtomicU64,
    /// Its replica meets data that it cannot read when leadership is handed to it.
    damaged_by_transfer: AtomicBool,
}

impl Service {
    fn host(&self) -> Result<Arc<RaftHost>, Status> {
        self.host.read().clone().ok_or_else(|| Status::unavailable("starting"))
    }
}

#[async_trait]
impl NodeService for Service {
    async fn hello(&self, request: v1::HelloRequest) -> Result<v1::HelloResponse, Status> {
        let host = self.host()?;
        env::clock::sleep(Duration::from_millis(self.hello_ms.load(Ordering::Relaxed))).await;
        let own = host.addresses.own();
        Ok(v1::HelloResponse {
            cluster_id: host.cluster_id.clone(),
            node_id: own.node_id,
            generation: own.generation,
            address: own.address,
            held: host.held(request.range_id),
            ..v1::HelloResponse::default()
        })
    }

    async fn raft_vote(&self, request: v1::RaftVoteRequest) -> Result<v1::RaftVoteResponse, Status> {
        self.host()?.on_vote(request).await
    }

    async fn raft_append(
        &self,
        requests: RequestStream<v1::RaftAppendRequest>,
    ) -> Result<ResponseStream<v1::RaftAppendResponse>, Status> {
        self.host()?.on_append(requests).await
    }

    async fn raft_snapshot(
        &self,
        chunks: RequestStream<v1::RaftSnapshotChunk>,
    ) -> Result<v1::RaftSnapshotResponse, Status> {
        self.host()?.on_snapshot(chunks).await
    }

    async fn raft_transfer(
        &self,
        request: v1::RaftTransferRequest,
    ) -> Result<v1::RaftTransferResponse, Status> {
        let host = self.host()?;
        if self.damaged_by_transfer.load(Ordering::Relaxed) {
            for group in host.groups() {
                group.report_damage("a block does not check");
            }
        }
        host.on_transfer(request).await
    }

    async fn raft_sleep(&self, request: v1::RaftSleepRequest) -> Result<v1::RaftSleepResponse, Status> {
        self.host()?.on_sleep(&request)
    }
}

/// One store in a simulation.
struct TestStore {
    id: u64,
    disk: MemoryDisk,
    db: Db,
    scope: Scope,
    host: Arc<RaftHost>,
    apply: Arc<KeyValue>,
    service: Arc<Service>,
}

impl TestStore {
    fn group(&self) -> Arc<Group> {
        self.host.group(RANGE).unwrap()
    }

    /// The newest value of every key.
    fn content(&self) -> BTreeMap<String, String> {
        self.content_of(RANGE)
    }

    fn content_of(&self, range_id: u64) -> BTreeMap<String, String> {
        let (start, end) = (data_key(range_id, ""), data_key(range_id + 1, ""));
        let range = (std::ops::Bound::Included(start.as_slice()), std::ops::Bound::Excluded(end.as_slice()));
        let rows = self.db.scan_at(range, u64::MAX, ScanOptions::default()).unwrap().map(|row| row.unwrap());
        let mut content = BTreeMap::new();
        for row in rows {
            let key = String::from_utf8(row.key[9..].to_vec()).unwrap();
            content.entry(key).or_insert_with(|| String::from_utf8(row.value.unwrap().to_vec()).unwrap());
        }
        content
    }
}

/// The one range of the tests; the replica on store n has id n.
const RANGE: u64 = 7;

/// How long a replica has slept before its instance is closed.
const CLOSE_AFTER: Duration = Duration::from_secs(3);

struct TestCluster {
    network: SimulatedNetwork,
    stores: BTreeMap<u64, TestStore>,
    log_bytes_max: u64,
    sleep_after: Option<Duration>,
}

fn address(id: u64) -> String {
    format!("store-{id}:1")
}

/// What store `id` knows of where the others are.
fn addresses_at(id: u64, generation: u64, own: &str) -> Arc<Addresses> {
    let addresses = Addresses::new(own.to_owned());
    addresses.set_own(id, generation);
    (1..=9).for_each(|other| addresses.take(&at(other, 1, &address(other))));
    Arc::new(addresses)
}

fn at(node_id: u64, generation: u64, address: &str) -> Whereabouts {
    Whereabouts { node_id, generation, address: address.to_owned() }
}

impl TestCluster {
    /// `count` stores, and a range on the first.
    async fn start(count: u64) -> Self {
        Self::start_with(count, Faults::none(), 64 << 20).await
    }

    async fn start_with(count: u64, faults: Faults, log_bytes_max: u64) -> Self {
        let network = SimulatedNetwork::new(faults);
        Self::start_sleeping(count, network, log_bytes_max, None).await
    }

    async fn start_sleeping(
        count: u64,
        network: SimulatedNetwork,
        log_bytes_max: u64,
        sleep_after: Option<Duration>,
    ) -> Self {
        let mut cluster = Self { network, stores: BTreeMap::new(), log_bytes_max, sleep_after };
        for id in 1..=count {
            cluster.open(id, MemoryDisk::new()).await;
        }
        cluster.stores[&1].host.create(GroupSeed { range_id: RANGE, replica_id: 1 }).await.unwrap();
        cluster
    }

    /// As [`TestCluster::start`], with a voter on every store.
    async fn replicated(count: u64) -> Self {
        let cluster = Self::start(count).await;
        cluster.replicate().await;
        cluster
    }

    async fn replicate(&self) {
        let leader = self.stores[&1].group();
        for id in self.stores.keys().copied().filter(|id| *id != 1) {
            let known = leader.membership_point();
            leader.add_learner(id, Store { node_id: id }, known).await.unwrap();
            leader.wait_caught_up(id).await.unwrap();
        }
        let known = leader.membership_point();
        leader.change_voters(self.stores.keys().copied().collect(), known).await.unwrap();
    }

    async fn open(&mut self, id: u64, disk: MemoryDisk) {
        self.open_at(id, 1, &address(id), disk).await;
    }

    async fn open_at(&mut self, id: u64, generation: u64, address: &str, disk: MemoryDisk) {
        let addresses = addresses_at(id, generation, address);
        let (scope, service) = (Scope::new(), Arc::new(Service::default()));
        let (db, apply) = (open_db(&disk), Arc::new(KeyValue::default()));
        let options = RaftOptions {
            lost: std::collections::BTreeSet::new(),
            disk: Arc::new(disk.clone()),
            dir: PathBuf::from("/raft"),
            db: db.clone(),
            network: self.network.for_endpoint(address),
            cluster_id: Bytes::from_static(b"cluster of tests"),
            addresses,
            timing: RaftTiming { close_after: CLOSE_AFTER, ..RaftTiming::default() },
            log_bytes_max: self.log_bytes_max,
            sleep_after: self.sleep_after,
            runtime: None,
        };
        let opening = RaftHost::open(options, apply.clone());
        let host = scope.spawn_on(&Handle::current(), opening).await.unwrap().unwrap();
        *service.host.write() = Some(host.clone());
        self.network.register(address, service.clone(), scope.clone());
        self.stores.insert(id, TestStore { id, disk, db, scope, host, apply, service });
    }

    /// Ends a store as `kill -9` and a power cut at once would: returns what its disk has kept.
    fn crash(&mut self, id: u64) -> MemoryDisk {
        let store = self.stores.remove(&id).unwrap();
        self.network.unregister(&address(id));
        let disk = store.disk.crash(CrashMode::Random(env::random::next_u64()));
        store.scope.end();
        disk
    }

    async fn restart(&mut self, id: u64) {
        let disk = self.crash(id);
        self.open(id, disk).await;
    }

    /// The store that leads, once one does and serves.
    async fn leader(&self) -> &TestStore {
        for _ in 0..5000 {
            for store in self.stores.values() {
                let Some(group) = store.host.group(RANGE) else { continue };
                let role = group.role();
                if role.is_leader {
                    group.rouse().await;
                }
                if role.is_leader
                    && group.lease_valid(role.term)
                    && group.wait_term_applied(role.term).await.is_ok()
                {
                    return store;
                }
            }
            env::clock::sleep(Duration::from_millis(20)).await;
        }
        panic!("no leader for 100 seconds");
    }

    /// Proposes wherever the leader is until it is acknowledged.
    async fn put(&self, key: &str, value: &str) -> Proposed {
        loop {
            let group = self.leader().await.group();
            match group.propose(Bytes::from(format!("{key}={value}"))).await {
                Ok(proposed) => return proposed,
                Err(_) => env::clock::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Waits until all stores have applied what the leader has, and returns the content they agree on.
    async fn settle(&self) -> BTreeMap<String, String> {
        let leader = self.leader().await;
        let index = leader.group().applied_index();
        for store in self.stores.values() {
            let group = store.group();
            env::clock::timeout(Duration::from_secs(60), group.wait_applied(index)).await.unwrap().unwrap();
        }
        let content = leader.content();
        for store in self.stores.values() {
            assert_eq!(store.content(), content, "store {} differs from store {}", store.id, leader.id);
        }
        content
    }
}
