//! The parts that serving processes are made of: a storage node, and an SQL gateway over a cluster.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use audit::AuditLog;
use backup::Places;
use clap::Args;
use client::{Client, ClientOptions};
use env::disk::RealDisk;
use env::pool::PoolHandle;
use gateway::{Gateway, GatewayOptions, Sessions};
use proto::v1::HistoryRequest;
use proto::{Network, NodeService};
use sql::{Engine, EngineOptions, TemporaryOptions};
use tokio::io::DuplexStream;
use tokio::net::TcpListener;

use crate::doors::Doors;
use crate::failure::{Failure, chain};
use crate::history::History;
use crate::http::Readiness;
use crate::security::SqlSecurity;
use crate::sizes::SizeArguments;

/// How long sessions may take to finish their transaction blocks when the process is to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// How long a new cluster in this process may take until it answers.
const READY: Duration = Duration::from_secs(60);

/// How long it may be silent until that is told.
const PATIENCE: Duration = Duration::from_secs(2);

/// Pause between attempts to reach it.
const RETRY: Duration = Duration::from_millis(50);

/// The memory of an SQL gateway unless told otherwise, in MiB.
const MEMORY_MIB: u64 = 2048;

/// The room of its temporary files unless told otherwise, in MiB.
const TEMP_MAX_MIB: u64 = 16 << 10;

/// Bytes that a client in this process and its session may have under way to each other.
const PIPE_BYTES: usize = 64 << 10;

/// How far what other replicas than the leading one answer lies behind the newest unless told otherwise, in ms.
pub(crate) const CLOSED_LAG_MS: u64 = 3000;

/// What a storage node needs.
pub(crate) struct StorageOptions {
    /// Its directory.
    pub(crate) data: PathBuf,
    /// How it reaches others.
    pub(crate) network: Arc<dyn Network>,
    /// How others reach it.
    pub(crate) address: String,
    /// Some nodes of the cluster.
    pub(crate) join: Vec<String>,
    /// Where it stands.
    pub(crate) locality: BTreeMap<String, String>,
    /// How far what other replicas than the leading one answer lies behind the newest.
    pub(crate) closed_lag: Duration,
    /// Where the master key is that encrypts its directory.
    pub(crate) encryption: Option<lsm::KeySource>,
    /// Bounds that are not the defaults.
    pub(crate) sizes: SizeArguments,
    /// Where backups may lie.
    pub(crate) backup_places: Places,
}

/// Why a data directory was not taken: what was asked wrongly, or what went wrong.
pub(crate) fn refused(error: &node::NodeError) -> Failure {
    match error {
        node::NodeError::Directory { .. }
        | node::NodeError::Locked { .. }
        | node::NodeError::TooNew { .. }
        | node::NodeError::NotANode { .. }
        | node::NodeError::Damaged { .. }
        | node::NodeError::Engine(lsm::Error::Key { .. } | lsm::Error::Locked { .. }) => {
            Failure::usage(chain(error))
        }
        _ => Failure::failed(chain(error)),
    }
}

/// A storage node of this process.
pub(crate) struct Storage {
    node: Arc<node::Node>,
}

impl Storage {
    /// Opens the directory and starts the node.
    pub(crate) async fn start(options: StorageOptions) -> Result<Self, Failure> {
        let disk: Arc<dyn env::disk::Disk> = Arc::new(env::disk::RealDisk::new());
        crate::http::record_disk(Arc::clone(&disk), options.address.clone());
        let mut node = node::NodeOptions::new(disk, options.data, options.network, options.address);
        node.join = options.join;
        node.locality = options.locality;
        node.closed_lag = options.closed_lag;
        node.encryption = options.encryption;
        node.backup_places = options.backup_places;
        options.sizes.apply(&mut node);
        let node = node::Node::start(node).await.map_err(|error| refused(&error))?;
        Ok(Self { node })
    }

    /// What answers at the node's address.
    pub(crate) fn service(&self) -> Arc<dyn NodeService> {
        Arc::clone(&self.node) as Arc<dyn NodeService>
    }

    /// The threads that its replication runs on.
    pub(crate) fn replication(&self) -> Option<tokio::runtime::Handle> {
        self.node.replication()
    }

    /// Makes a cluster of the node, unless it belongs to one.
    pub(crate) async fn init(&self) -> Result<(), Failure> {
        self.node.init(None).await.map(drop).map_err(|error| Failure::failed(chain(&error)))
    }

    /// Sets how long the cluster keeps history, once the node leads.
    pub(crate) async fn set_history(&self, history: History, short_history: bool) -> Result<(), Failure> {
        self.node.wait_ready(READY).await.map_err(|error| Failure::failed(chain(&error)))?;
        let request = HistoryRequest { set_ms: Some(history.0), short_history, passed_on: false };
        let set = self.node.history(request).await;
        set.map(drop).map_err(|status| Failure::usage(format!("--history {history}: {}", status.message())))
    }

    /// Completes when a failure of the disk has stopped the node; never otherwise.
    pub(crate) async fn failed(&self) -> Failure {
        Failure::failed(self.node.failed().await)
    }

    /// Hands over what it leads, flushes and stops.
    pub(crate) async fn shutdown(self) -> Result<(), Failure> {
        let ended = self.node.shutdown().await;
        ended.map_err(|error| Failure::failed(format!("the node did not end in order: {}", chain(&error))))
    }
}

/// The flag of every command that serves SQL.
#[derive(Debug, Clone, Args)]
pub(crate) struct MemoryArguments {
    /// Memory for rows that statements hold and for writes that are not committed, of all clients together, in MiB
    #[arg(long = "sql-memory", env = "NUNATAK_SQL_MEMORY", value_name = "MIB", default_value_t = MEMORY_MIB,
          value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    pub(crate) mebibytes: u64,

    /// Put rows of statements that do not fit into memory into files here [default: below --data, else the system's
    /// temporary directory]
    #[arg(long = "temp", env = "NUNATAK_TEMP", value_name = "DIR")]
    pub(crate) temp: Option<PathBuf>,

    /// Room for such files, of all clients together, in MiB; 0: none
    #[arg(long = "temp-max", env = "NUNATAK_TEMP_MAX", value_name = "MIB", default_value_t = TEMP_MAX_MIB,
          value_parser = clap::value_parser!(u64).range(0..=1 << 30))]
    pub(crate) temp_max: u64,
}

impl Default for MemoryArguments {
    fn default() -> Self {
        Self { mebibytes: MEMORY_MIB, temp: None, temp_max: TEMP_MAX_MIB }
    }
}

impl MemoryArguments {
    /// What an engine works with.
    fn engine_options(
        &self,
        data: Option<&Path>,
        audit: Arc<AuditLog>,
        backup_places: Places,
    ) -> EngineOptions {
        let memory_bytes_max = usize::try_from(self.mebibytes << 20).unwrap_or(usize::MAX);
        let temporary = self.temporary(data);
        EngineOptions { memory_bytes_max, temporary, audit, backup_places, ..EngineOptions::default() }
    }

    /// Where rows go that do not fit, if they may go anywhere; `data` is the directory of the data of this process.
    fn temporary(&self, data: Option<&Path>) -> Option<TemporaryOptions> {
        let below = |data: &Path| data.join("temporary");
        let folder = self.temp.clone().or_else(|| data.map(below)).unwrap_or_else(std::env::temp_dir);
        let bytes_max = self.temp_max << 20;
        let disk = Arc::new(RealDisk::new());
        (bytes_max > 0).then_some(TemporaryOptions { disk, folder, bytes_max, forced: None })
    }
}

/// What an SQL gateway may use.
pub(crate) struct SqlOptions {
    /// Its memory.
    pub(crate) memory: MemoryArguments,
    /// The directory of the data of this process, if it has any.
    pub(crate) data: Option<PathBuf>,
    /// Where statements go on that take long.
    pub(crate) pool: PoolHandle,
    /// How it is kept safe.
    pub(crate) security: SqlSecurity,
    /// Where records of what is audited go.
    pub(crate) audit: Arc<AuditLog>,
    /// Where it serves besides.
    pub(crate) doors: Doors,
    /// Where it stands: the widest place first.
    pub(crate) locality: Vec<(String, String)>,
    /// Where backups may lie.
    pub(crate) backup_places: Places,
}

/// An SQL gateway of this process.
pub(crate) struct SqlServer {
    gateway: Gateway,
    client: Client,
    audit: Arc<AuditLog>,
}

impl SqlServer {
    /// Serves SQL over the cluster that `seeds` belong to.
    pub(crate) fn start(
        listener: TcpListener,
        network: Arc<dyn Network>,
        seeds: Vec<String>,
        options: SqlOptions,
    ) -> Result<Self, Failure> {
        let locality = options.locality;
        let client = Client::new(network, seeds, ClientOptions { locality, ..ClientOptions::default() });
        let (memory, data, audit) = (options.memory, options.data, options.audit);
        let engine_options = memory.engine_options(data.as_deref(), audit.clone(), options.backup_places);
        let engine = Engine::new(client.clone(), engine_options);
        let SqlSecurity { tls, access, .. } = options.security.clone();
        env::task::spawn(options.security.reload_on_hangup(audit.clone()));
        let gateway =
            GatewayOptions { pool: options.pool, tls, access: Some(access), ..GatewayOptions::default() };
        let gateway = Gateway::start(listener, engine, gateway)
            .map_err(|error| Failure::failed(format!("cannot serve SQL: {error}")))?;
        let opened = options.doors.open(&gateway);
        opened.map_err(|error| Failure::failed(format!("cannot serve at another door: {error}")))?;
        audit.name_gateway(gateway.address().to_string());
        Ok(Self { gateway, client, audit })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// The gateway itself.
    pub(crate) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Logs what is waited for until the cluster answers; completes never.
    pub(crate) async fn tell_when_ready(&self) -> std::convert::Infallible {
        let mut told = String::new();
        loop {
            let why = match env::clock::timeout(PATIENCE, self.client.ready()).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => chain(&error),
                Err(_) => "none of the nodes in --join answers for a cluster yet".to_owned(),
            };
            if why != told {
                tracing::info!(%why, "waiting for the cluster");
                told = why;
            }
            env::clock::sleep(RETRY).await;
        }
        tracing::info!("the cluster answers");
        std::future::pending().await
    }

    /// Waits until the cluster answers.
    pub(crate) async fn wait_until_ready(&self) -> Result<(), Failure> {
        until_ready(&self.client).await
    }

    /// Lets clients finish, then ends their sessions.
    pub(crate) async fn shutdown(&self) {
        self.gateway.shutdown(DRAIN).await;
        self.audit.settle().await;
    }
}

/// SQL for this process alone: nothing listens.
pub(crate) struct OwnSql {
    sessions: Sessions,
    client: Client,
    audit: Arc<AuditLog>,
}

impl OwnSql {
    /// Over the node of this name, which runs in this process and has its data there.
    pub(crate) fn start(
        network: Arc<dyn Network>,
        node: &str,
        data: &Path,
        pool: PoolHandle,
        audit: Arc<AuditLog>,
        backup_places: Places,
    ) -> Self {
        let client = Client::new(network, vec![node.to_owned()], ClientOptions::default());
        let memory = MemoryArguments::default();
        let engine_options = memory.engine_options(Some(data), audit.clone(), backup_places);
        let engine = Engine::new(client.clone(), engine_options);
        let sessions = Sessions::new(engine, GatewayOptions { pool, ..GatewayOptions::default() });
        audit.name_gateway(node.to_owned());
        Self { sessions, client, audit }
    }

    /// A client's end of a new session.
    pub(crate) fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        self.sessions.serve(theirs, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        ours
    }

    /// Waits until the node answers.
    pub(crate) async fn wait_until_ready(&self) -> Result<(), Failure> {
        until_ready(&self.client).await
    }

    /// Lets clients finish, then ends their sessions.
    pub(crate) async fn shutdown(&self) {
        self.sessions.shutdown(DRAIN).await;
        self.audit.settle().await;
    }
}

async fn until_ready(client: &Client) -> Result<(), Failure> {
    let deadline = env::clock::now() + READY;
    loop {
        let left = deadline.saturating_duration_since(env::clock::now());
        match env::clock::timeout(left, client.ready()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if left.is_zero() => {
                return Err(Failure::failed(format!("the cluster is not ready: {}", chain(&error))));
            }
            Ok(Err(_)) => env::clock::sleep(RETRY).await,
            Err(_) => return Err(Failure::failed("the cluster is not ready in time")),
        }
    }
}

/// Ready when every node and the gateway's way to the cluster are.
pub(crate) fn all_ready(storages: &[Storage], sql: Option<&SqlServer>) -> Readiness {
    let nodes: Vec<Arc<node::Node>> = storages.iter().map(|storage| Arc::clone(&storage.node)).collect();
    let client = sql.map(|sql| sql.client.clone());
    Arc::new(move || {
        let (nodes, client) = (nodes.clone(), client.clone());
        Box::pin(async move {
            for node in &nodes {
                node.ready()?;
            }
            match client {
                Some(client) => client.ready().await.map_err(|error| chain(&error)),
                None => Ok(()),
            }
        })
    })
}
