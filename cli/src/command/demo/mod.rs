//! `nunatak demo`: a cluster in this process, gone when it ends.

mod history;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use audit::AuditLog;
use backup::Places;
use clap::{Args, ValueEnum};
use env::pool::PoolHandle;
use metrics_exporter_prometheus::PrometheusHandle;
use proto::inprocess::InProcess;

use super::SQL_ADDRESS;
use crate::address::{Address, listen};
use crate::backups::BackupArguments;
use crate::doors::Doors;
use crate::failure::Failure;
use crate::http::{self, HttpArguments};
use crate::output::outln;
use crate::process::{
    CLOSED_LAG_MS, MemoryArguments, SqlOptions, SqlServer, Storage, StorageOptions, all_ready,
};
use crate::security::{AccessArguments, SecurityArguments};
use crate::shell::{self, Options, Script, Server};
use crate::shutdown::Shutdown;

/// Try Nunatak: a cluster in this process, on a temporary directory.
///
/// Storage nodes and an SQL gateway run in this one process, joined as they would be over the network, and everything
/// is deleted at the end. On a terminal it opens an SQL shell; with -e it runs the statements and exits. --with shows what there is
/// to be seen of something, in less than a minute, and then does the same; without a terminal it exits.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How many storage nodes
    #[arg(long, env = "NUNATAK_NODES", value_name = "N", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=9))]
    pub(crate) nodes: u8,

    /// Serve SQL here
    #[arg(long, env = "NUNATAK_LISTEN", value_name = "ADDR", default_value = SQL_ADDRESS)]
    pub(crate) listen: Address,

    #[command(flatten)]
    pub(crate) security: SecurityArguments,

    #[command(flatten)]
    pub(crate) access: AccessArguments,

    #[command(flatten)]
    pub(crate) memory: MemoryArguments,

    #[command(flatten)]
    pub(crate) backups: BackupArguments,

    #[command(flatten)]
    pub(crate) http: HttpArguments,

    /// Run these statements, print their results and exit; may be given many times
    #[arg(short = 'e', long, env = "NUNATAK_EXECUTE", value_name = "SQL")]
    pub(crate) execute: Vec<String>,

    /// Serve until interrupted instead of opening a shell
    #[arg(long, env = "NUNATAK_NO_SHELL")]
    pub(crate) no_shell: bool,

    /// Show this first
    #[arg(long, env = "NUNATAK_WITH", value_name = "WHAT")]
    pub(crate) with: Option<Tour>,
}

/// What there is a tour of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tour {
    /// Time travel, flashback, branches, backups, DriftQL
    History,
}

impl Demo {
    /// Runs the cluster and what was asked for on it.
    pub(crate) async fn run(
        self,
        metrics: PrometheusHandle,
        pool: PoolHandle,
        audit: Arc<AuditLog>,
    ) -> Result<(), Failure> {
        let mut backup_places = self.backups.places()?;
        let mut shutdown = Shutdown::listen()?;
        let directory = tempfile::Builder::new()
            .prefix("nunatak-demo-")
            .tempdir()
            .map_err(|error| Failure::usage(format!("cannot make a temporary directory: {error}")))?;
        let own_backups = format!("file://{}", directory.path().join("backups").display());
        if self.with.is_some() {
            let urls = self.backups.urls.iter().map(String::as_str).chain([own_backups.as_str()]);
            backup_places = Places::of(urls).map_err(Failure::failed)?;
        }
        let sql_listener = listen("--listen", &self.listen).await?;
        let local = sql_listener.local_addr().map_err(Failure::failed)?;
        let mut security = self.security.for_sql("--listen", local, &self.access)?;
        let http_listener =
            http::bind_beside_sql(&self.http, &self.security, &self.access, &mut security).await?;

        let network = Arc::new(InProcess::new());
        let addresses: Vec<String> = (1..=self.nodes).map(|number| format!("demo-{number}:26257")).collect();
        let mut storages = Vec::new();
        for address in &addresses {
            let data = directory.path().join(address.split(':').next().unwrap_or(address));
            let storage = Storage::start(StorageOptions {
                data,
                network: network.clone(),
                address: address.clone(),
                join: if storages.is_empty() { Vec::new() } else { addresses.clone() },
                locality: Default::default(),
                closed_lag: Duration::from_millis(CLOSED_LAG_MS),
                encryption: None,
                sizes: Default::default(),
                backup_places: backup_places.clone(),
            })
            .await?;
            network.register(address, storage.service());
            if storages.is_empty() {
                storage.init().await?;
            }
            storages.push(storage);
        }
        let sql = SqlServer::start(
            sql_listener,
            network,
            addresses,
            SqlOptions {
                memory: self.memory.clone(),
                data: Some(directory.path().to_owned()),
                pool,
                security,
                audit,
                doors: Doors::default(),
                locality: Default::default(),
                backup_places,
            },
        )?;
        let http_address =
            http::serve(http_listener, metrics, all_ready(&storages, Some(&sql)), Some(sql.gateway()))?;
        let outcome = tokio::select! {
            ready = sql.wait_until_ready() => match ready {
                Ok(()) => self.use_cluster(&sql, http_address, own_backups, &mut shutdown).await,
                Err(failure) => Err(failure),
            },
            _ = shutdown.requested() => Ok(()),
        };
        sql.shutdown().await;
        let ended = futures::future::join_all(storages.into_iter().map(Storage::shutdown)).await;
        outcome.and(ended.into_iter().collect())
    }

    async fn use_cluster(
        &self,
        sql: &SqlServer,
        http: std::net::SocketAddr,
        own_backups: String,
        shutdown: &mut Shutdown,
    ) -> Result<(), Failure> {
        let url = format!("postgresql://nunatak@{}/nunatak", sql.address());
        let server = Server { url: url.clone(), ..Server::default() };
        let options = Options::default();
        if let Some(Tour::History) = self.with {
            let variables = vec![format!("{}={own_backups}", history::BACKUPS)];
            let options = Options { variables, ..Options::default() };
            shell::run_script(&server, vec![Script::Text(history::script())], &options).await?;
        }
        if !self.execute.is_empty() {
            let scripts = self.execute.iter().cloned().map(Script::Text).collect();
            return shell::run_script(&server, scripts, &options).await;
        }
        outln!(
            "Nunatak {} with {} nodes in this process, on a temporary directory.",
            env!("CARGO_PKG_VERSION"),
            self.nodes
        );
        outln!("  connect:  psql \"{url}\"");
        outln!("  health:   http://{http}/health  /ready  /metrics");
        outln!("  graphql:  http://{http}/graphql");
        if self.with.is_some() && !self.no_shell && !std::io::stdin().is_terminal() {
            return Ok(());
        }
        if self.no_shell || !std::io::stdin().is_terminal() {
            outln!("Serving until interrupted.");
            shutdown.requested().await;
            return Ok(());
        }
        shell::run_interactive(&server, &options).await
    }
}
