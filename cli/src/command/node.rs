//! `nunatak node`: a storage node of a cluster, with an SQL gateway inside if it is told to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use audit::AuditLog;
use clap::Args;
use env::pool::PoolHandle;
use metrics_exporter_prometheus::PrometheusHandle;
use proto::grpc::{GrpcNetwork, ServeOptions};
use proto::inprocess::Colocated;

use super::NODE_ADDRESS;
use crate::address::{Address, Locality, listen};
use crate::backups::BackupArguments;
use crate::doors::DoorArguments;
use crate::encryption::EncryptionArguments;
use crate::failure::{Failure, chain};
use crate::http::{self, HttpArguments};
use crate::process::{
    CLOSED_LAG_MS, MemoryArguments, SqlOptions, SqlServer, Storage, StorageOptions, all_ready,
};
use crate::security::{AccessArguments, PeerTls, SecurityArguments};
use crate::shutdown::Shutdown;
use crate::sizes::SizeArguments;

/// Run a storage node of a cluster.
///
/// Nodes find each other by the addresses in --join, their own may be among them. A new cluster waits for
/// `nunatak init`; after that nodes come and go as they like. With --sql the process is a gateway, too: what it asks of
/// this node is a function call, what it asks of others goes to them as from any other gateway.
#[derive(Debug, Args)]
pub(crate) struct Node {
    /// Keep the data in this directory
    #[arg(long, env = "NUNATAK_DATA", value_name = "DIR")]
    pub(crate) data: PathBuf,

    /// Serve other nodes and gateways (gRPC) here
    #[arg(long, env = "NUNATAK_LISTEN", value_name = "ADDR", default_value = NODE_ADDRESS)]
    pub(crate) listen: Address,

    /// The address that others reach this node at [default: that of --listen]
    #[arg(long, env = "NUNATAK_ADVERTISE", value_name = "ADDR")]
    pub(crate) advertise: Option<Address>,

    /// Some of the cluster's nodes
    #[arg(long, env = "NUNATAK_JOIN", value_name = "ADDR,…", value_delimiter = ',', required = true)]
    pub(crate) join: Vec<Address>,

    /// Serve SQL here, too, as `nunatak gateway` does
    #[arg(long, env = "NUNATAK_SQL", value_name = "ADDR")]
    pub(crate) sql: Option<Address>,

    #[command(flatten)]
    pub(crate) security: SecurityArguments,

    #[command(flatten)]
    pub(crate) access: AccessArguments,

    #[command(flatten)]
    pub(crate) doors: DoorArguments,

    #[command(flatten)]
    pub(crate) memory: MemoryArguments,

    #[command(flatten)]
    pub(crate) encryption: EncryptionArguments,

    #[command(flatten)]
    pub(crate) backups: BackupArguments,

    #[command(flatten)]
    pub(crate) http: HttpArguments,

    #[command(flatten)]
    pub(crate) sizes: SizeArguments,

    /// Where the node stands, from the widest place to the narrowest, such as region=eu,zone=a
    #[arg(
        long,
        env = "NUNATAK_LOCALITY",
        value_name = "KEY=VALUE,…",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) locality: Locality,

    /// How far behind the newest timestamp lies what the ranges that this node leads let any of their replicas answer, in ms
    #[arg(long, env = "NUNATAK_CLOSED_LAG", value_name = "MS", default_value_t = CLOSED_LAG_MS,
          value_parser = clap::value_parser!(u64).range(100..=60_000))]
    pub(crate) closed_lag: u64,
}

impl Node {
    /// The address that others are told.
    pub(crate) fn advertised(&self) -> Result<&Address, Failure> {
        match &self.advertise {
            Some(address) => Ok(address),
            None if self.listen.is_unspecified() => Err(Failure::usage(format!(
                "--advertise is missing: others cannot connect to {}, which names every interface",
                self.listen
            ))),
            None => Ok(&self.listen),
        }
    }

    /// Refuses doors where there is no gateway that has them.
    pub(crate) fn check_doors(&self) -> Result<(), Failure> {
        match self.doors.given().first() {
            Some((flag, _)) if self.sql.is_none() => {
                Err(Failure::usage(format!("{flag} is a door of a gateway: give --sql, too")))
            }
            _ => Ok(()),
        }
    }

    /// Serves until asked to stop.
    pub(crate) async fn run(
        self,
        metrics: PrometheusHandle,
        pool: PoolHandle,
        audit: Arc<AuditLog>,
    ) -> Result<(), Failure> {
        let encryption = self.encryption.source()?;
        let backup_places = self.backups.places()?;
        let data = self.data.clone();
        let mut shutdown = Shutdown::listen()?;
        let listener = listen("--listen", &self.listen).await?;
        let (sql_listener, http_listener) = match &self.sql {
            Some(address) => {
                let listener = listen("--sql", address).await?;
                let local = listener.local_addr().map_err(Failure::failed)?;
                let mut security = self.security.for_sql("--sql", local, &self.access)?;
                let doors = self.doors.listen(&self.security, &self.access, &mut security).await?;
                let http_listener =
                    http::bind_beside_sql(&self.http, &self.security, &self.access, &mut security).await?;
                (Some((listener, security, doors)), http_listener)
            }
            None => {
                self.check_doors()?;
                (None, http::bind(&self.http, &self.security).await?)
            }
        };
        let local = listener.local_addr().map_err(Failure::failed)?;
        self.security.check_node("--listen", local)?;
        let peers = self.security.for_nodes()?;
        let tls = peers.as_ref().map(PeerTls::in_force);
        let advertise = match self.advertised()? {
            address if address.port() == 0 && self.advertise.is_none() => local.to_string(),
            address => address.to_string(),
        };
        let network = Arc::new(GrpcNetwork::new(tls.clone()));
        let join: Vec<String> = self.join.iter().map(Address::to_string).collect();
        let locality = self.locality;
        let storage = Storage::start(StorageOptions {
            data: data.clone(),
            network: network.clone(),
            address: advertise.clone(),
            join: join.clone(),
            locality: locality.clone().into_map(),
            closed_lag: Duration::from_millis(self.closed_lag),
            encryption,
            sizes: self.sizes,
            backup_places: backup_places.clone(),
        })
        .await?;
        if let Some(peers) = peers {
            env::task::spawn(peers.keep_current());
        }
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let service = storage.service();
        let served = env::task::spawn(proto::grpc::serve_apart(
            service,
            listener,
            ServeOptions { tls, replication: storage.replication(), ..ServeOptions::default() },
            async move {
                let _ = stopped.await;
            },
        ));
        let sql = match sql_listener {
            Some((sql_listener, security, doors)) => {
                let network = Colocated::new(&advertise, network);
                network.register(storage.service());
                let seeds = [vec![advertise.clone()], join].concat();
                let (memory, data, locality) = (self.memory, Some(data), locality.0);
                let options =
                    SqlOptions { memory, data, pool, security, audit, doors, locality, backup_places };
                Some(SqlServer::start(sql_listener, Arc::new(network), seeds, options)?)
            }
            None => None,
        };
        let ready = all_ready(std::slice::from_ref(&storage), sql.as_ref());
        let http = http::serve(http_listener, metrics, ready, sql.as_ref().map(SqlServer::gateway))?;
        match &sql {
            Some(sql) => {
                tracing::info!(listen = %local, %advertise, sql = %sql.address(), %http, "serving")
            }
            None => tracing::info!(listen = %local, %advertise, %http, "serving"),
        }
        tokio::pin!(served);
        let outcome = tokio::select! {
            signal = shutdown.requested() => {
                tracing::info!(signal, "stopping");
                Ok(())
            }
            // Nothing can be handed over or finished in order any more.
            failure = storage.failed() => return Err(failure),
            ended = &mut served => Err(match ended {
                Ok(Err(error)) => Failure::failed(format!("the gRPC listener failed: {}", chain(&error))),
                _ => Failure::failed("the gRPC listener ended"),
            }),
        };
        // Clients first: what they finish is asked of this node, and of those that it hands over to.
        if let Some(sql) = sql {
            sql.shutdown().await;
        }
        let ended = storage.shutdown().await;
        let _ = stop.send(());
        tracing::info!("stopped");
        outcome.and(ended)
    }
}
