//! Nodes in a simulation, and a small client that speaks the key-value protocol by hand.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use backup::Places;
use bytes::Bytes;
use env::disk::{CrashMode, Disk, MemoryDisk};
use env::task::Scope;
use nunatak_node::{Node, NodeOptions};
use proto::inprocess::InProcess;
use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{
    BatchRequest, Check, Commit, DirectoryRequest, Get, Header, Lock, LockResult, Operation, RangeDescriptor,
    Release, Scan, ScanResult, Span, Strength, TimestampRequest, Validate, WaitPolicy, Write,
};
use proto::{Network, NodeService};

/// Runs a test as a simulation: one thread, a clock that jumps, one seed.
pub(crate) fn simulate<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    // Logs of a single test: RUST_LOG=nunatak_node=debug cargo test … -- --nocapture
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .try_init();
    runtime.block_on(async {
        let _simulation = env::simulation::enter(7);
        test().await;
    });
}

pub(crate) fn key(name: &str) -> Bytes {
    keys::sql::kv_key(keys::sql::TENANT_DEFAULT, name.as_bytes())
}

pub(crate) fn value(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Nodes that reach each other by function calls.
pub(crate) struct Cluster {
    pub(crate) network: InProcess,
    pub(crate) nodes: BTreeMap<u64, Arc<Node>>,
    pub(crate) scopes: BTreeMap<u64, Scope>,
    pub(crate) disks: BTreeMap<u64, Arc<MemoryDisk>>,
    /// Where each node is now.
    pub(crate) places: BTreeMap<u64, String>,
    /// What nodes that are started from now on keep free on their disks, if not as much as usual.
    pub(crate) disk_reserve_bytes: Option<u64>,
    /// Where the data is cut.
    pub(crate) borders: Vec<Bytes>,
    /// How far what is closed lies behind, if not as far as usual.
    pub(crate) closed_lag: Option<Duration>,
    /// How long a range has had nothing to do before it sleeps, if not as long as usual.
    pub(crate) sleep_after: Option<Duration>,
}

pub(crate) fn address(number: u64) -> String {
    format!("node{number}:1")
}

impl Cluster {
    /// Nothing yet.
    pub(crate) fn empty() -> Self {
        Self {
            network: InProcess::new(),
            nodes: BTreeMap::new(),
            scopes: BTreeMap::new(),
            disks: BTreeMap::new(),
            places: BTreeMap::new(),
            disk_reserve_bytes: None,
            borders: Vec::new(),
            closed_lag: None,
            sleep_after: None,
        }
    }

    /// One node that is a cluster.
    pub(crate) async fn single() -> Self {
        Self::single_cut(&[]).await
    }

    /// One node, its data cut into ranges at these keys.
    pub(crate) async fn single_cut(borders: &[&str]) -> Self {
        let mut cluster = Self::empty();
        cluster.borders = borders.iter().map(|border| key(border)).collect();
        let node = cluster.start(1).await;
        assert!(node.init(None).await.unwrap());
        node.wait_ready(Duration::from_secs(20)).await.unwrap();
        cluster
    }

    /// Three nodes, every range replicated to all of them.
    pub(crate) async fn three() -> Self {
        let mut cluster = Self::single().await;
        for number in 2..=3 {
            let node = cluster.start(number).await;
            node.wait_ready(Duration::from_secs(20)).await.unwrap();
        }
        cluster.replicated().await;
        cluster
    }

    /// Starts a node on its disk, the one it had if it ran before.
    pub(crate) async fn start(&mut self, number: u64) -> Arc<Node> {
        self.start_at(number, &address(number)).await
    }

    /// As [`Cluster::start`], at another address than the others expect.
    pub(crate) async fn start_at(&mut self, number: u64, place: &str) -> Arc<Node> {
        self.places.insert(number, place.to_owned());
        let disk = self.disks.entry(number).or_insert_with(|| Arc::new(MemoryDisk::new())).clone();
        let disk: Arc<dyn Disk> = disk;
        let network: Arc<dyn Network> = Arc::new(self.network.clone());
        let mut options = NodeOptions::new(disk, PathBuf::from("/data"), network, place.to_owned());
        options.join = (1..=3).map(address).collect();
        options.borders = self.borders.clone();
        options.cache_bytes = 4 << 20;
        options.disk_reserve_bytes = self.disk_reserve_bytes.unwrap_or(options.disk_reserve_bytes);
        options.dead_after = Duration::from_secs(10);
        options.closed_lag = self.closed_lag.unwrap_or(options.closed_lag);
        options.backup_places = Places::of(["file:///backups"]).unwrap();
        options.sleep_after = self.sleep_after.or(options.sleep_after);
        if self.sleep_after.is_some() {
            // Of pauses between two requests some are longer.
            options.timing.close_after = Duration::from_secs(3);
        }
        let scope = Scope::new();
        let started = scope.spawn_on(&tokio::runtime::Handle::current(), Node::start(options));
        let node = started.await.unwrap().unwrap();
        self.scopes.insert(number, scope);
        self.network.register(place, node.clone());
        self.nodes.insert(number, node.clone());
        node
    }

    /// Stops a node in order.
    pub(crate) async fn stop(&mut self, number: u64) {
        let node = self.nodes.remove(&number).unwrap();
        node.shutdown().await.unwrap();
        drop(node);
        self.network.unregister(&self.places[&number]);
        // As the end of its process would: what others still ask of it ends, and what works on its disk.
        self.scopes[&number].end();
        env::clock::sleep(Duration::from_millis(100)).await;
    }

    /// Kills a node: its tasks end, and what its disk had not synced is gone.
    pub(crate) async fn kill(&mut self, number: u64) {
        self.network.unregister(&self.places[&number]);
        self.scopes[&number].end();
        drop(self.nodes.remove(&number));
        tokio::task::yield_now().await;
        let disk = self.disks[&number].crash(CrashMode::Strict);
        self.disks.insert(number, Arc::new(disk));
    }

    /// Waits until every range has three voters, and no change of its replicas is under way.
    pub(crate) async fn replicated(&self) {
        let enough = |range: &RangeDescriptor| {
            !range.joint && range.replicas.iter().filter(|r| !r.learner).count() == 3
        };
        for _ in 0..600 {
            let directory = self.nodes[&1].directory(DirectoryRequest::default()).await.unwrap();
            if directory.ranges.len() == 2 && directory.ranges.iter().all(enough) {
                return;
            }
            env::clock::sleep(Duration::from_millis(100)).await;
        }
        panic!("not replicated in a minute");
    }

    /// The number of the node that leads the range with data, as the first node knows it.
    pub(crate) async fn leader_of_data(&self) -> u64 {
        let directory = self.nodes[&1].directory(DirectoryRequest::default()).await.unwrap();
        let range = directory.ranges.iter().find(|range| range.range_id == 2).unwrap();
        let replica = range.replicas.iter().find(|r| r.node_id == range.leader_node_id).unwrap();
        (1..=3).find(|number| address(*number) == replica.address).unwrap()
    }

    /// The range that holds a key, as the first node knows it, once somebody leads it.
    pub(crate) async fn range_of(&self, name: &str) -> RangeDescriptor {
        let key = key(name);
        let holds = |range: &RangeDescriptor| {
            range.span.as_ref().is_some_and(|span| span.start <= key && key < span.end)
        };
        for _ in 0..100 {
            let directory = self.nodes[&1].directory(DirectoryRequest::default()).await.unwrap();
            let holding = directory.ranges.into_iter().filter(holds).max_by_key(|range| range.span_epoch);
            if let Some(range) = holding.filter(|range| range.leader_node_id != 0) {
                return range;
            }
            env::clock::sleep(Duration::from_millis(100)).await;
        }
        panic!("nobody leads the range of {name}");
    }

    /// A client of whichever node leads.
    pub(crate) async fn client(&self) -> Client {
        for _ in 0..600 {
            for node in self.nodes.values() {
                let Ok(directory) = node.directory(DirectoryRequest::default()).await else { continue };
                let leads = |id: u64| {
                    let range = directory.ranges.iter().find(|range| range.range_id == id)?;
                    let replica = range.replicas.iter().find(|r| r.node_id == range.leader_node_id)?;
                    Some(replica.address.clone())
                };
                let (Some(root), Some(data)) = (leads(1), leads(2)) else { continue };
                let client = Client {
                    root: self.network.connect(&root),
                    data: self.network.connect(&data),
                    cluster_id: directory.cluster_id.clone(),
                    span_epoch: directory
                        .ranges
                        .iter()
                        .find(|range| range.range_id == 2)
                        .map_or(0, |r| r.span_epoch),
                };
                // The first key there is: it lies in the first range with data, however that was cut.
                let probe = client.begin_opt().await;
                if let Some(probe) = probe
                    // A leader whose range was divided or merged says so.
                    && matches!(probe.try_get("0").await, Ok(_) | Err(Kind::StaleRange(_)))
                {
                    return client;
                }
            }
            env::clock::sleep(Duration::from_millis(100)).await;
        }
        let states = self.nodes.iter().map(|(number, node)| (number, node.ready()));
        panic!("no leader in a minute: {:?}", states.collect::<Vec<_>>());
    }
}

/// Speaks to the leaders.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) root: Arc<dyn NodeService>,
    pub(crate) data: Arc<dyn NodeService>,
    pub(crate) cluster_id: Bytes,
    /// Of the range with data.
    pub(crate) span_epoch: u64,
}

impl Client {
    pub(crate) async fn timestamp(&self) -> u64 {
        self.try_timestamp().await.unwrap()
    }

    async fn try_timestamp(&self) -> Result<u64, proto::Status> {
        let request = TimestampRequest { cluster_id: self.cluster_id.clone(), count: 1, forward: false };
        Ok(self.root.timestamp(request).await?.first)
    }

    pub(crate) async fn begin(&self) -> Txn {
        self.begin_opt().await.unwrap()
    }

    async fn begin_opt(&self) -> Option<Txn> {
        let start = self.try_timestamp().await.ok()?;
        Some(Txn {
            client: self.clone(),
            id: Bytes::copy_from_slice(&env::random::id()),
            start,
            read_at: start,
            catalog_version: 0,
            checks: Vec::new(),
            writes: BTreeMap::new(),
        })
    }

    /// One transaction of its own.
    pub(crate) async fn put(&self, name: &str, text: &str) -> u64 {
        let mut txn = self.begin().await;
        txn.put(name, text);
        txn.commit().await.unwrap()
    }

    /// What a new transaction reads.
    pub(crate) async fn read(&self, name: &str) -> Option<String> {
        self.begin().await.get(name).await
    }

    pub(crate) async fn send(&self, header: Header, operation: Op) -> Result<Answer, Kind> {
        let request =
            BatchRequest { header: Some(header), operations: vec![Operation { operation: Some(operation) }] };
        let mut response = match self.data.batch(request).await {
            Ok(response) => response,
            Err(_) => return Err(Kind::Unavailable(proto::v1::Unavailable {})),
        };
        match response.error {
            Some(error) => Err(error.kind.unwrap()),
            None => Ok(response.results.remove(0).result.unwrap()),
        }
    }
}

/// A serializable transaction as its coordinator keeps it: reads are remembered as checks, writes are buffered.
pub(crate) struct Txn {
    pub(crate) client: Client,
    pub(crate) id: Bytes,
    pub(crate) start: u64,
    pub(crate) read_at: u64,
    pub(crate) catalog_version: u64,
    pub(crate) checks: Vec<Check>,
    pub(crate) writes: BTreeMap<Bytes, Option<Bytes>>,
}

impl Txn {
    pub(crate) fn header(&self) -> Header {
        Header {
            cluster_id: self.client.cluster_id.clone(),
            range_id: 2,
            span_epoch: self.client.span_epoch,
            txn_id: self.id.clone(),
            start_timestamp: self.start,
            timeout_ms: 10_000,
            catalog_version: self.catalog_version,
            ..Header::default()
        }
    }

    pub(crate) async fn try_get(&self, name: &str) -> Result<Option<String>, Kind> {
        let get = Get { keys: vec![key(name)], at: self.read_at };
        match self.client.send(self.header(), Op::Get(get)).await? {
            Answer::Get(result) => {
                let found = result.versions[0].value.clone();
                Ok(found.map(|value| String::from_utf8(value.to_vec()).unwrap()))
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn get(&mut self, name: &str) -> Option<String> {
        self.checks.push(Check { start: key(name), end: Bytes::new(), since: self.read_at });
        self.try_get(name).await.unwrap()
    }

    pub(crate) async fn scan(&mut self, from: &str, to: &str) -> Vec<(String, String)> {
        let span = Span { start: key(from), end: key(to) };
        self.checks.push(Check { start: key(from), end: key(to), since: self.read_at });
        let scan = Scan { span: Some(span), at: self.read_at, ..Scan::default() };
        texts(self.scan_raw(scan).await.unwrap())
    }

    pub(crate) async fn scan_raw(&self, scan: Scan) -> Result<ScanResult, Kind> {
        match self.client.send(self.header(), Op::Scan(scan)).await? {
            Answer::Scan(result) => Ok(result),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn lock(&mut self, names: &[&str]) -> Result<LockResult, Kind> {
        self.lock_with(names, Strength::Exclusive, WaitPolicy::Block, 0).await
    }

    pub(crate) async fn lock_with(
        &mut self,
        names: &[&str],
        strength: Strength,
        wait: WaitPolicy,
        wait_ms_max: u64,
    ) -> Result<LockResult, Kind> {
        let lock = Lock {
            keys: names.iter().map(|name| key(name)).collect(),
            strength: strength.into(),
            wait: wait.into(),
            wait_ms_max,
        };
        match self.client.send(self.header(), Op::Lock(lock)).await? {
            Answer::Lock(result) => {
                for (name, locked) in names.iter().zip(&result.keys) {
                    if !locked.skipped {
                        self.checks.push(Check {
                            start: key(name),
                            end: Bytes::new(),
                            since: result.locked_at,
                        });
                    }
                }
                Ok(result)
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn put(&mut self, name: &str, text: &str) {
        self.writes.insert(key(name), Some(value(text)));
    }

    pub(crate) fn delete(&mut self, name: &str) {
        self.writes.insert(key(name), None);
    }

    pub(crate) async fn validate(&self, at: u64) -> Result<(), Kind> {
        let validate = Validate { checks: self.checks.clone(), at, ..Validate::default() };
        self.client.send(self.header(), Op::Validate(validate)).await.map(|_| ())
    }

    pub(crate) fn commit_request(&self) -> Commit {
        let writes = self
            .writes
            .iter()
            .map(|(key, value)| Write { key: key.clone(), value: value.clone(), changes_key: None })
            .collect();
        Commit { checks: self.checks.clone(), writes, frees_space: false, commit_at: 0 }
    }

    pub(crate) async fn commit(&self) -> Result<u64, Kind> {
        match self.client.send(self.header(), Op::Commit(self.commit_request())).await? {
            Answer::Commit(result) => Ok(result.commit_timestamp),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn release(&self) {
        self.client.send(self.header(), Op::Release(Release::default())).await.unwrap();
    }
}

pub(crate) fn texts(result: ScanResult) -> Vec<(String, String)> {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let prefix = key("").len();
    result.rows.iter().map(|row| (text(&row.key.slice(prefix..)), text(&row.value))).collect()
}

pub(crate) fn is_conflict<T: std::fmt::Debug>(result: &Result<T, Kind>) -> bool {
    matches!(result, Err(Kind::Conflict(_)))
}
