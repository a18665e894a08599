//! Nunatak under measurement: one durable node, or three node processes behind a gateway process.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Process, await_sql, free_port, output, query};
use super::{DiskWork, Server};
use crate::failure::{Failure, Result};

/// The binary to measure.
pub(crate) fn binary(given: Option<&Path>) -> Result<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|this| Some(this.parent()?.join("nunatak")));
    given.map(Path::to_path_buf).or(beside).filter(|path| path.exists()).ok_or(Failure::NotInstalled(
        "the nunatak binary (cargo build --release -p nunatak, or --binary FILE)",
    ))
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// Sums the disk counters of the metrics pages, which lag a little.
fn disk_work(http_ports: &[u16]) -> Result<DiskWork> {
    super::process::pause(std::time::Duration::from_millis(300));
    let mut work = DiskWork::default();
    for port in http_ports {
        let page = output(Command::new("curl").args(["-sf", &format!("http://{}/metrics", address(*port))]))?;
        for line in page.lines() {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let value: f64 = value.parse().unwrap_or(0.0);
            match name.split('{').next() {
                Some("nunatak_disk_syncs_total") => work.fsyncs += value,
                Some("nunatak_disk_written_bytes_total") => work.bytes_written += value,
                _ => {}
            }
        }
    }
    Ok(work)
}

/// `nunatak start-single`.
pub(crate) struct Single {
    port: u16,
    http: u16,
    _process: Process,
}

impl Single {
    pub(crate) fn start(binary: &Path, folder: &Path) -> Result<Self> {
        let (port, http) = (free_port()?, free_port()?);
        let process = Process::start(
            Command::new(binary)
                .args(["start-single", "--listen", &address(port), "--http", &address(http), "--data"])
                .arg(folder.join("single")),
            &folder.join("single.log"),
        )?;
        await_sql("nunatak start-single", port)?;
        Ok(Self { port, http, _process: process })
    }
}

impl Server for Single {
    fn name(&self) -> &'static str {
        "nunatak-1"
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn disk_work(&self) -> Result<DiskWork> {
        disk_work(&[self.http])
    }
}

/// Three `nunatak node` processes and a `nunatak gateway`.
pub(crate) struct Cluster {
    port: u16,
    http: Vec<u16>,
    _processes: Vec<Process>,
}

impl Cluster {
    pub(crate) fn start(binary: &Path, folder: &Path) -> Result<Self> {
        let ports = [free_port()?, free_port()?, free_port()?];
        let join = ports.map(address).join(",");
        let mut processes = Vec::new();
        let mut http = Vec::new();
        for (number, port) in ports.iter().enumerate() {
            let http_port = free_port()?;
            processes.push(Process::start(
                Command::new(binary)
                    .args(["node", "--listen", &address(*port), "--http", &address(http_port)])
                    .args(["--join", &join, "--data"])
                    .arg(folder.join(format!("node{number}"))),
                &folder.join(format!("node{number}.log")),
            )?);
            http.push(http_port);
        }
        let first = ports.first().copied().map(address).unwrap_or_default();
        output(Command::new(binary).args(["init", "--host", &first]))?;
        let port = free_port()?;
        processes.push(Process::start(
            Command::new(binary)
                .args(["gateway", "--listen", &address(port), "--http", &address(free_port()?)])
                .args(["--join", &join]),
            &folder.join("gateway.log"),
        )?);
        await_sql("the gateway", port)?;
        await_replicas(binary, &first)?;
        query(port, "select 1")?;
        Ok(Self { port, http, _processes: processes })
    }
}

/// Waits until every range has three replicas: before that a commit costs less than it will.
fn await_replicas(binary: &Path, host: &str) -> Result<()> {
    const SECONDS: u64 = 60;
    for _ in 0..SECONDS {
        let ranges =
            output(Command::new(binary).args(["admin", "ranges", "--format", "json", "--host", host]))?;
        let count = |needle: &str| ranges.matches(needle).count();
        if count("\"range_id\"") > 0
            && count("\"replica_id\"") >= 3 * count("\"range_id\"")
            && !ranges.replace(' ', "").contains("\"learner\":true")
        {
            return Ok(());
        }
        super::process::pause(std::time::Duration::from_secs(1));
    }
    Err(Failure::NotReady { what: "replication to three nodes".to_owned(), seconds: SECONDS })
}

impl Server for Cluster {
    fn name(&self) -> &'static str {
        "nunatak-3"
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn disk_work(&self) -> Result<DiskWork> {
        disk_work(&self.http)
    }
}
