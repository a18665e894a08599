//! `nunatak gateway`: SQL for a cluster of nodes.

use std::sync::Arc;

use audit::AuditLog;
use clap::Args;
use env::pool::PoolHandle;
use metrics_exporter_prometheus::PrometheusHandle;

use super::SQL_ADDRESS;
use crate::address::{Address, Locality, listen};
use crate::backups::BackupArguments;
use crate::doors::DoorArguments;
use crate::failure::Failure;
use crate::http::{self, HttpArguments};
use crate::process::{MemoryArguments, SqlOptions, SqlServer, all_ready};
use crate::security::{AccessArguments, PeerTls, SecurityArguments};
use crate::shutdown::Shutdown;

/// Run an SQL gateway of a cluster.
///
/// Gateways keep nothing: start as many as you like, and connect to any of them with psql or a PostgreSQL driver.
/// On loopback whoever connects is believed; an address that others reach takes TLS and proof (--tls-cert, --hba).
#[derive(Debug, Args)]
pub(crate) struct Gateway {
    /// Serve SQL here
    #[arg(long, env = "NUNATAK_LISTEN", value_name = "ADDR", default_value = SQL_ADDRESS)]
    pub(crate) listen: Address,

    /// Some of the cluster's nodes
    #[arg(long, env = "NUNATAK_JOIN", value_name = "ADDR,…", value_delimiter = ',', required = true)]
    pub(crate) join: Vec<Address>,

    #[command(flatten)]
    pub(crate) security: SecurityArguments,

    #[command(flatten)]
    pub(crate) access: AccessArguments,

    #[command(flatten)]
    pub(crate) doors: DoorArguments,

    #[command(flatten)]
    pub(crate) memory: MemoryArguments,

    #[command(flatten)]
    pub(crate) backups: BackupArguments,

    #[command(flatten)]
    pub(crate) http: HttpArguments,

    /// Where the gateway stands, from the widest place to the narrowest, such as region=eu,zone=a: of the replicas that can
    /// answer the nearest is asked
    #[arg(
        long,
        env = "NUNATAK_LOCALITY",
        value_name = "KEY=VALUE,…",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) locality: Locality,
}

impl Gateway {
    /// Serves until asked to stop.
    pub(crate) async fn run(
        self,
        metrics: PrometheusHandle,
        pool: PoolHandle,
        audit: Arc<AuditLog>,
    ) -> Result<(), Failure> {
        let backup_places = self.backups.places()?;
        let mut shutdown = Shutdown::listen()?;
        let sql_listener = listen("--listen", &self.listen).await?;
        let local = sql_listener.local_addr().map_err(Failure::failed)?;
        let mut security = self.security.for_sql("--listen", local, &self.access)?;
        let doors = self.doors.listen(&self.security, &self.access, &mut security).await?;
        let http_listener =
            http::bind_beside_sql(&self.http, &self.security, &self.access, &mut security).await?;
        let peers = self.security.for_nodes()?;
        let network = Arc::new(proto::grpc::GrpcNetwork::new(peers.as_ref().map(PeerTls::in_force)));
        if let Some(peers) = peers {
            env::task::spawn(peers.keep_current());
        }
        let sql = SqlServer::start(
            sql_listener,
            network,
            self.join.iter().map(Address::to_string).collect(),
            SqlOptions {
                memory: self.memory,
                data: None,
                pool,
                security,
                audit,
                doors,
                locality: self.locality.0,
                backup_places,
            },
        )?;
        let http = http::serve(http_listener, metrics, all_ready(&[], Some(&sql)), Some(sql.gateway()))?;
        tracing::info!(sql = %sql.address(), %http, "serving");
        let signal = tokio::select! {
            signal = shutdown.requested() => signal,
            never = sql.tell_when_ready() => match never {},
        };
        tracing::info!(signal, "stopping");
        sql.shutdown().await;
        tracing::info!("stopped");
        Ok(())
    }
}
