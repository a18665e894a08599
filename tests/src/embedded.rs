//! A whole cluster in this process: one node on a temporary directory, and gateways that listen on loopback.

use std::sync::Arc;
use std::time::Duration;

use backup::Places;
use client::ClientOptions;
use env::disk::RealDisk;
use gateway::{Gateway, GatewayOptions};
use node::{Node, NodeOptions, OfflineStore};
use proto::inprocess::InProcess;
use sql::{EngineOptions, TemporaryOptions};
use tokio::net::TcpListener;

const ADDRESS: &str = "node-1:1";

/// The cluster. Everything is gone when it is dropped.
pub struct Embedded {
    client_options: ClientOptions,
    gateways: Vec<Gateway>,
    network: Arc<InProcess>,
    node: Arc<Node>,
    directory: tempfile::TempDir,
}

impl Embedded {
    /// Starts a node and a gateway and waits until they serve.
    pub async fn start() -> Self {
        Self::start_with(EngineOptions::default()).await
    }

    /// The same, its transactions leaving memory once they have written so many bytes.
    pub async fn start_flushing(flush_bytes: usize) -> Self {
        let client_options = ClientOptions { flush_bytes, ..ClientOptions::default() };
        Self::start_as(EngineOptions::default(), client_options, |_| {}).await
    }

    /// The same with other bounds.
    pub async fn start_with(options: EngineOptions) -> Self {
        Self::start_as(options, ClientOptions::default(), |_| {}).await
    }

    /// The same, its node as one of a program that reads commands of this format at most.
    pub async fn start_older(options: EngineOptions, newest_command_format: u32) -> Self {
        let client_options = ClientOptions { timeout: Duration::from_secs(5), ..ClientOptions::default() };
        let older = |options: &mut NodeOptions| options.newest_command_format = newest_command_format;
        Self::start_as(options, client_options, older).await
    }

    async fn start_as(
        options: EngineOptions,
        client_options: ClientOptions,
        change: impl FnOnce(&mut NodeOptions),
    ) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let network = Arc::new(InProcess::new());
        let disk = Arc::new(RealDisk::new());
        let mut node_options =
            NodeOptions::new(disk, directory.path().join("data"), network.clone(), ADDRESS);
        node_options.backup_places = anywhere();
        change(&mut node_options);
        let node = Node::start(node_options).await.expect("the node starts");
        network.register(ADDRESS, node.clone());
        node.init(None).await.expect("the cluster is initialised");
        node.wait_ready(Duration::from_secs(60)).await.expect("the node serves");
        let mut cluster = Self { client_options, gateways: Vec::new(), network, node, directory };
        cluster.add_gateway(options).await;
        cluster
    }

    /// A client of the cluster, beside the gateways' sessions.
    pub async fn client(&self) -> client::Client {
        let network = self.network.clone();
        let client = client::Client::new(network, vec![ADDRESS.to_owned()], self.client_options.clone());
        client.ready().await.expect("the client finds the cluster");
        client
    }

    /// Where a gateway of this machine puts rows that do not fit into memory, at most so many bytes of them; `forced`
    /// makes it do so as early as that number says.
    pub fn temporary(&self, bytes_max: u64, forced: Option<u64>) -> TemporaryOptions {
        let folder = self.directory.path().join("temporary");
        TemporaryOptions { disk: Arc::new(RealDisk::new()), folder, bytes_max, forced }
    }

    /// Adds a gateway that shares nothing with the others but the cluster; answers how to connect to it. Backups may lie anywhere,
    /// if nothing else is said.
    pub async fn add_gateway(&mut self, mut options: EngineOptions) -> String {
        if options.backup_places == Places::default() {
            options.backup_places = anywhere();
        }
        let engine = sql::Engine::new(self.client().await, options);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let gateway =
            Gateway::start(listener, engine, GatewayOptions::default()).expect("the gateway starts");
        let url = url(&gateway);
        self.gateways.push(gateway);
        url
    }

    /// The gateway that was added last is no more, with whatever its sessions were about to do.
    pub fn kill_gateway(&mut self) {
        drop(self.gateways.pop());
    }

    /// How `tokio_postgres` connects to the first gateway.
    pub fn url(&self) -> String {
        self.gateways.first().map(url).expect("a gateway")
    }

    /// `host:port` of the first gateway.
    pub fn address(&self) -> String {
        self.gateways.first().map(|gateway| gateway.address().to_string()).expect("a gateway")
    }

    /// Stops in order.
    pub async fn stop(self) {
        self.node.shutdown().await.expect("the node ends in order");
    }

    /// Stops in order and hands `look` what the node has left behind.
    pub async fn look_behind<T>(self, look: impl FnOnce(&OfflineStore) -> T) -> T {
        let Self { gateways, network, node, directory, .. } = self;
        node.shutdown().await.expect("the node ends in order");
        network.unregister(ADDRESS);
        drop((gateways, network, node));
        let disk = Arc::new(RealDisk::new());
        let store = OfflineStore::open(disk, directory.path().join("data"), None);
        look(&store.expect("the directory of a node"))
    }
}

/// All directories.
fn anywhere() -> Places {
    Places::of(["file:///"]).expect("a place")
}

fn url(gateway: &Gateway) -> String {
    let address = gateway.address();
    format!("host={} port={} user=postgres dbname=postgres", address.ip(), address.port())
}
