//! A gateway: an endpoint of the network with a client, SQL sessions over it, and the scope of its workers.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use api::kv::kv_client::KvClient;
use client::{Client, ClientOptions};
use env::task::{JoinHandle, Scope};
use gateway::{GatewayOptions, KvService, Sessions};
use sql::{Engine, EngineOptions};
use tokio::io::DuplexStream;
use tokio::runtime::Handle;

use super::cluster::Cluster;

/// Bytes that a client and its session may have under way to each other.
const PIPE_BYTES: usize = 64 << 10;

/// A gateway. Clones are the same one.
#[derive(Clone)]
pub(super) struct Gateway {
    client: Client,
    sessions: Arc<Sessions>,
    scope: Scope,
}

impl Gateway {
    pub(super) fn new(number: u32, cluster: &Cluster) -> Self {
        let network = cluster.network().for_endpoint(&name(number));
        let mut options = ClientOptions::default();
        options.flush_bytes = cluster.scenario().flush_bytes.unwrap_or(options.flush_bytes);
        if cluster.scenario().closed_lag_ms.is_some() {
            // However recent: whoever has not come so far says so.
            options.follower_age = Duration::ZERO;
        }
        let client = Client::new(network, cluster.addresses(), options);
        let engine = Engine::new(client.clone(), options_of_engine());
        let sessions = Arc::new(Sessions::new(engine, GatewayOptions::default()));
        Self { client, sessions, scope: Scope::new() }
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// A driver's connection to a new session.
    pub(super) async fn connect(&self) -> tokio_postgres::Client {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        self.sessions.serve(theirs, SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        let mut config = tokio_postgres::Config::new();
        config.user("postgres").dbname("postgres");
        let connected = config.connect_raw(ours, tokio_postgres::NoTls).await;
        let (client, connection) = connected.expect("a session, which needs nothing from the cluster");
        // Its error is the client's, too.
        drop(self.spawn(async move { drop(connection.await) }));
        client
    }

    /// A client's connection to the object protocol.
    pub(super) fn objects(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        self.sessions.serve_objects(theirs, SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        ours
    }

    /// A client of the key-value service.
    pub(super) fn kv(&self) -> KvClient<KvService> {
        KvClient::new(self.sessions.kv(SocketAddr::from((Ipv4Addr::LOCALHOST, 1))))
    }

    /// It does nothing until it is thawed.
    pub(super) fn freeze(&self) {
        self.scope.freeze();
    }

    /// It goes on.
    pub(super) fn thaw(&self) {
        self.scope.thaw();
    }

    /// It ends with whatever it does.
    pub(super) fn end(&self) {
        self.scope.end();
    }

    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.scope.spawn_on(&Handle::current(), work)
    }
}

/// However small a table is, an index on it is built as on a large one.
fn options_of_engine() -> EngineOptions {
    EngineOptions { ingest_bytes_min: 0, ..EngineOptions::default() }
}

/// The name of a gateway's endpoint.
pub(super) fn name(number: u32) -> String {
    format!("gateway-{number}")
}
