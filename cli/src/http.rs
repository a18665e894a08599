//! `/health`, `/ready` and `/metrics`, on every process, and beside them `/graphql` where SQL is served.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use gateway::{Gateway, HttpPort, Page, Pages};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

use crate::address::{Address, listen};
use crate::failure::Failure;
use crate::security::{AccessArguments, SecurityArguments, SqlSecurity};

/// Where HTTP is served unless told otherwise.
const DEFAULT: &str = "127.0.0.1:8080";

/// How often recorded histograms are folded.
const UPKEEP: Duration = Duration::from_secs(5);

/// How often the work of disks is taken over into the metrics.
const DISK_TICK: Duration = Duration::from_millis(250);

/// How long a check of readiness may take.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// Bounds of the buckets of durations, in seconds.
const SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    30.0,
];

/// The flag of every serving command.
#[derive(Debug, Args)]
pub(crate) struct HttpArguments {
    /// Serve /health, /ready and /metrics here, and GraphQL at /graphql where SQL is served [default: 127.0.0.1:8080, or any
    /// free port if that is taken]
    #[arg(long, env = "NUNATAK_HTTP", value_name = "ADDR")]
    pub(crate) http: Option<Address>,
}

/// Says why the process cannot serve, or that it can.
pub(crate) type Readiness =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// What texts are that people read.
const WORDS: &str = "text/plain; charset=utf-8";

/// Starts to record metrics. Before anything else, so that nothing goes unrecorded.
pub(crate) fn record_metrics() -> Result<PrometheusHandle, Failure> {
    let failed = |error| Failure::failed(format!("cannot record metrics: {error}"));
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
        .map_err(failed)?
        .install_recorder()
        .map_err(failed)?;
    metrics::describe_gauge!("nunatak_build_info", "Always 1; the label says the version");
    metrics::gauge!("nunatak_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

/// Shows what a node does to its disk among the metrics, for as long as the process lives.
pub(crate) fn record_disk(disk: Arc<dyn env::disk::Disk>, node: String) {
    metrics::describe_counter!("nunatak_disk_syncs_total", "Syncs of files and directories");
    metrics::describe_counter!("nunatak_disk_written_bytes_total", "Bytes written to files");
    let syncs = metrics::counter!("nunatak_disk_syncs_total", "node" => node.clone());
    let written = metrics::counter!("nunatak_disk_written_bytes_total", "node" => node);
    env::task::spawn(async move {
        let mut tick = env::clock::interval(DISK_TICK);
        loop {
            tick.tick().await;
            let counters = disk.counters();
            syncs.absolute(counters.syncs);
            written.absolute(counters.bytes_written);
        }
    });
}

/// Listens where told, or at the default.
pub(crate) async fn bind(
    arguments: &HttpArguments,
    security: &SecurityArguments,
) -> Result<TcpListener, Failure> {
    if let Some(address) = &arguments.http {
        let listener = listen("--http", address).await?;
        security.check_http(listener.local_addr().map_err(Failure::failed)?)?;
        return Ok(listener);
    }
    if let Ok(listener) = TcpListener::bind(DEFAULT).await {
        return Ok(listener);
    }
    let free = "127.0.0.1:0".parse::<Address>().map_err(Failure::failed)?;
    listen("--http", &free).await
}

/// The same of a process that serves SQL, whose rules then have to do for this listener, too.
pub(crate) async fn bind_beside_sql(
    arguments: &HttpArguments,
    security: &SecurityArguments,
    access: &AccessArguments,
    sql: &mut SqlSecurity,
) -> Result<TcpListener, Failure> {
    let listener = bind(arguments, security).await?;
    let local = listener.local_addr().map_err(Failure::failed)?;
    let own = security.for_sql("--http", local, access)?;
    // Rules that nobody gave are those of SQL's own listener: whoever shows metrics to others has not opened more than those.
    if access.hba.is_some() {
        sql.extend(own);
    }
    Ok(listener)
}

/// Serves on the current runtime for as long as the process lives. Returns the address.
pub(crate) fn serve(
    listener: TcpListener,
    metrics: PrometheusHandle,
    readiness: Readiness,
    gateway: Option<&Gateway>,
) -> Result<SocketAddr, Failure> {
    let upkeep = metrics.clone();
    env::task::spawn(async move {
        let mut tick = env::clock::interval(UPKEEP);
        loop {
            tick.tick().await;
            upkeep.run_upkeep();
        }
    });
    let pages = pages(metrics, readiness);
    let port = match gateway {
        Some(gateway) => gateway.http_port(pages),
        None => HttpPort::new(pages),
    };
    port.serve(listener).map_err(|error| Failure::failed(format!("HTTP: {error}")))
}

/// What a process says of itself.
fn pages(metrics: PrometheusHandle, readiness: Readiness) -> Pages {
    Arc::new(move |path: &str| -> Option<BoxFuture<'static, Page>> {
        match path {
            "/health" => Some(std::future::ready(words(200, "ok\n".to_owned())).boxed()),
            "/ready" => Some(ready(readiness.clone()).boxed()),
            "/metrics" => Some(render(metrics.clone()).boxed()),
            _ => None,
        }
    })
}

fn words(status: u16, text: String) -> Page {
    Page { status, content: WORDS, text }
}

async fn ready(readiness: Readiness) -> Page {
    match env::clock::timeout(READY_TIMEOUT, readiness()).await {
        Ok(Ok(())) => words(200, "ready\n".to_owned()),
        Ok(Err(reason)) => words(503, format!("not ready: {reason}\n")),
        Err(_) => {
            words(503, "not ready: the cluster does not answer (not initialised, or no quorum)\n".to_owned())
        }
    }
}

async fn render(metrics: PrometheusHandle) -> Page {
    Page { status: 200, content: "text/plain; version=0.0.4; charset=utf-8", text: metrics.render() }
}
