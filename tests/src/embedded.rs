//! A whole cluster in this process: one node on a temporary directory, and a gateway that listens on loopback.

use std::sync::Arc;
use std::time::Duration;

use env::disk::RealDisk;
use node::{Node, NodeOptions};
use proto::inprocess::InProcess;
use tokio::net::TcpListener;

const ADDRESS: &str = "node-1:1";

/// The cluster. Everything is gone when it is dropped.
pub struct Embedded {
    client: client::Client,
    gateway: gateway::Gateway,
    node: Arc<Node>,
    _directory: tempfile::TempDir,
}

impl Embedded {
    /// Starts the cluster and waits until it serves.
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let network = Arc::new(InProcess::new());
        let disk = Arc::new(RealDisk::new());
        let options = NodeOptions::new(disk, directory.path().join("data"), network.clone(), ADDRESS);
        let node = Node::start(options).await.expect("the node starts");
        network.register(ADDRESS, node.clone());
        node.init().await.expect("the cluster is initialised");
        node.wait_ready(Duration::from_secs(30)).await.expect("the node serves");
        let client =
            client::Client::new(network.clone(), vec![ADDRESS.to_owned()], client::ClientOptions::default());
        client.ready().await.expect("the client finds the cluster");
        let engine = sql::Engine::new(client.clone(), sql::EngineOptions::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let gateway = gateway::Gateway::start(listener, engine, gateway::GatewayOptions::default())
            .expect("the gateway starts");
        Self { client, gateway, node, _directory: directory }
    }

    /// How `tokio_postgres` connects.
    pub fn url(&self) -> String {
        let address = self.gateway.address();
        format!("host={} port={} user=postgres dbname=postgres", address.ip(), address.port())
    }

    /// A client of the cluster, beside the gateway's sessions.
    pub fn client(&self) -> client::Client {
        self.client.clone()
    }

    /// Stops in order.
    pub async fn stop(self) {
        self.node.shutdown().await;
    }
}
