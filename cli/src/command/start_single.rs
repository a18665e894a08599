//! `nunatak start-single`: one durable node with its gateway.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use audit::AuditLog;
use clap::Args;
use env::pool::PoolHandle;
use metrics_exporter_prometheus::PrometheusHandle;
use proto::inprocess::InProcess;

use super::SQL_ADDRESS;
use crate::address::{Address, listen};
use crate::backups::BackupArguments;
use crate::doors::DoorArguments;
use crate::encryption::EncryptionArguments;
use crate::failure::Failure;
use crate::history::History;
use crate::http::{self, HttpArguments};
use crate::process::{
    CLOSED_LAG_MS, MemoryArguments, SqlOptions, SqlServer, Storage, StorageOptions, all_ready,
};
use crate::security::{AccessArguments, SecurityArguments};
use crate::shutdown::Shutdown;
use crate::sizes::SizeArguments;

/// The node's name on the in-process network.
pub(super) const NODE: &str = "single:26257";

/// Run one durable node with its SQL gateway in this process.
///
/// The directory is made if it does not exist. Stop it with SIGTERM or SIGINT: clients are let finish, nothing is lost.
#[derive(Debug, Args)]
pub(crate) struct StartSingle {
    /// Keep the data in this directory
    #[arg(long, env = "NUNATAK_DATA", value_name = "DIR")]
    pub(crate) data: PathBuf,

    /// Serve SQL here
    #[arg(long, env = "NUNATAK_LISTEN", value_name = "ADDR", default_value = SQL_ADDRESS)]
    pub(crate) listen: Address,

    /// From this start on keep history for so long: 90s, 10min, 1h, 7d, forever [default: as before, 1h at first]
    #[arg(long, env = "NUNATAK_HISTORY", value_name = "TIME")]
    pub(crate) history: Option<History>,

    /// Take a history of less than a minute, too
    #[arg(long, env = "NUNATAK_SHORT_HISTORY", hide = true)]
    pub(crate) short_history: bool,

    #[command(flatten)]
    pub(crate) encryption: EncryptionArguments,

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

    #[command(flatten)]
    pub(crate) sizes: SizeArguments,
}

impl StartSingle {
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
        let sql_listener = listen("--listen", &self.listen).await?;
        let local = sql_listener.local_addr().map_err(Failure::failed)?;
        let mut security = self.security.for_sql("--listen", local, &self.access)?;
        let doors = self.doors.listen(&self.security, &self.access, &mut security).await?;
        let http_listener =
            http::bind_beside_sql(&self.http, &self.security, &self.access, &mut security).await?;
        let network = Arc::new(InProcess::new());
        let storage = Storage::start(StorageOptions {
            data: data.clone(),
            network: network.clone(),
            address: NODE.to_owned(),
            join: Vec::new(),
            locality: Default::default(),
            closed_lag: Duration::from_millis(CLOSED_LAG_MS),
            encryption,
            sizes: self.sizes,
            backup_places: backup_places.clone(),
        })
        .await?;
        network.register(NODE, storage.service());
        storage.init().await?;
        if let Some(history) = self.history {
            storage.set_history(history, self.short_history).await?;
        }
        let sql = SqlServer::start(
            sql_listener,
            network,
            vec![NODE.to_owned()],
            SqlOptions {
                memory: self.memory,
                data: Some(data),
                pool,
                security,
                audit,
                doors,
                locality: Default::default(),
                backup_places,
            },
        )?;
        let storages = [storage];
        let ready = all_ready(&storages, Some(&sql));
        let http = http::serve(http_listener, metrics, ready, Some(sql.gateway()))?;
        tracing::info!(sql = %sql.address(), %http, "serving");
        let [storage] = &storages;
        let signal = tokio::select! {
            signal = shutdown.requested() => signal,
            // Nothing can be finished in order any more.
            failure = storage.failed() => return Err(failure),
        };
        tracing::info!(signal, "stopping");
        sql.shutdown().await;
        for storage in storages {
            storage.shutdown().await?;
        }
        tracing::info!("stopped");
        Ok(())
    }
}
