//! Three `nunatak node` processes on loopback, and what they tell about themselves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::link::Links;
use crate::process::{Process, free_port, output, pause};

/// How long a cluster may take until it is there.
const SECONDS: u64 = 60;

/// The binary to measure.
pub(crate) fn binary(given: Option<&Path>) -> Result<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|this| Some(this.parent()?.join("nunatak")));
    given.map(Path::to_path_buf).or(beside).filter(|path| path.exists()).ok_or(Failure::NotInstalled(
        "the nunatak binary (cargo build --release -p nunatak, or --binary FILE)",
    ))
}

pub(crate) fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// What a server has done to its disk since it started.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DiskWork {
    pub(crate) fsyncs: f64,
    pub(crate) bytes_written: f64,
}

/// Sums the disk counters of the metrics pages, which lag a little.
pub(crate) fn disk_work(http_ports: &[u16]) -> Result<DiskWork> {
    pause(Duration::from_millis(300));
    let mut work = DiskWork::default();
    for port in http_ports {
        work.fsyncs += counter(*port, "nunatak_disk_syncs_total")?;
        work.bytes_written += counter(*port, "nunatak_disk_written_bytes_total")?;
    }
    Ok(work)
}

/// The sum over all labels of a counter on a metrics page; 0 if there is none.
pub(crate) fn counter(http_port: u16, name: &str) -> Result<f64> {
    let page = output(Command::new("curl").args(["-sf", &format!("http://{}/metrics", address(http_port))]))?;
    let lines = page.lines().filter_map(|line| line.rsplit_once(' '));
    let wanted = lines.filter(|(series, _)| series.split('{').next() == Some(name));
    Ok(wanted.filter_map(|(_, value)| value.parse::<f64>().ok()).sum())
}

/// Three nodes of one cluster.
pub(crate) struct Nodes {
    binary: PathBuf,
    addresses: Vec<String>,
    http: Vec<u16>,
    processes: Vec<Process>,
    /// The links over which they are reached, if these are long.
    _links: Option<Links>,
}

impl Nodes {
    /// Starts and initialises them below `folder`, each with SQL on one of `sql`, if there is any.
    pub(crate) fn start(binary: &Path, folder: &Path, sql: &[u16]) -> Result<Self> {
        Self::start_over(None, binary, folder, sql)
    }

    /// The same, where each of them is reached over a link of its own, by the others as by clients.
    pub(crate) fn start_over(
        links: Option<Links>,
        binary: &Path,
        folder: &Path,
        sql: &[u16],
    ) -> Result<Self> {
        fs::create_dir(folder).map_err(|source| Failure::File { path: folder.to_path_buf(), source })?;
        let listens = [free_port()?, free_port()?, free_port()?].map(address).to_vec();
        let addresses = match &links {
            Some(links) => listens.iter().map(|listen| links.to(listen)).collect::<Result<Vec<String>>>()?,
            None => listens.clone(),
        };
        let mut nodes = Self {
            binary: binary.to_path_buf(),
            addresses,
            http: Vec::new(),
            processes: Vec::new(),
            _links: links,
        };
        for (number, (listen, advertised)) in listens.iter().zip(&nodes.addresses).enumerate() {
            let http = free_port()?;
            let mut command = Command::new(binary);
            command
                .args(["node", "--listen", listen, "--advertise", advertised])
                .args(["--http", &address(http), "--join", &nodes.join(), "--data"])
                .arg(folder.join(format!("node{number}")));
            if let Some(port) = sql.get(number) {
                command.args(["--sql", &address(*port)]);
            }
            nodes.processes.push(Process::start(&mut command, &folder.join(format!("node{number}.log")))?);
            nodes.http.push(http);
        }
        output(Command::new(binary).args(["init", "--host", nodes.first()]))?;
        Ok(nodes)
    }

    fn first(&self) -> &str {
        self.addresses.first().map(String::as_str).unwrap_or_default()
    }

    /// What `--join` is told.
    pub(crate) fn join(&self) -> String {
        self.addresses.join(",")
    }

    pub(crate) fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Their processes' numbers.
    pub(crate) fn ids(&self) -> Vec<u32> {
        self.processes.iter().map(Process::id).collect()
    }

    pub(crate) fn disk_work(&self) -> Result<DiskWork> {
        disk_work(&self.http)
    }

    /// The sum over all nodes of a counter of their metrics.
    pub(crate) fn counter(&self, name: &str) -> Result<f64> {
        self.http.iter().map(|port| counter(*port, name)).sum()
    }

    fn ranges(&self) -> Result<Vec<Value>> {
        let mut command = Command::new(&self.binary);
        let printed = output(command.args(["admin", "ranges", "--format", "json", "--host", self.first()]))?;
        serde_json::from_str(&printed)
            .map_err(|_| Failure::Missing { program: "nunatak admin ranges".to_owned(), what: "JSON" })
    }

    /// Has a range begin at a key, as `admin ranges` shows keys.
    pub(crate) fn split(&self, key: &str) -> Result<()> {
        output(Command::new(&self.binary).args(["admin", "split", key, "--host", self.first()])).map(drop)
    }

    /// How many ranges there are.
    pub(crate) fn range_count(&self) -> Result<usize> {
        self.ranges().map(|ranges| ranges.len())
    }

    /// Waits until every range has three replicas: before that a commit costs less than it will.
    pub(crate) fn await_replicas(&self) -> Result<()> {
        for _ in 0..SECONDS {
            // A cluster that has only begun has nobody yet who answers.
            let ranges = self.ranges().unwrap_or_default();
            if !ranges.is_empty() && ranges.iter().all(|range| voters(range) >= 3) {
                return Ok(());
            }
            pause(Duration::from_secs(1));
        }
        Err(Failure::NotReady { what: "replication to three nodes".to_owned(), seconds: SECONDS })
    }

    /// Which of them leads the range with the data: the newest one.
    pub(crate) fn leader(&self) -> Result<usize> {
        for _ in 0..SECONDS {
            let ranges = self.ranges().unwrap_or_default();
            let newest = ranges.iter().max_by_key(|range| range.get("range_id").and_then(Value::as_u64));
            let leader = newest.and_then(leader_address);
            if let Some(at) = leader.and_then(|leader| self.addresses.iter().position(|own| *own == leader)) {
                return Ok(at);
            }
            pause(Duration::from_secs(1));
        }
        Err(Failure::NotReady { what: "a leader of the data".to_owned(), seconds: SECONDS })
    }
}

fn replicas(range: &Value) -> impl Iterator<Item = &Value> {
    range.get("replicas").and_then(Value::as_array).into_iter().flatten()
}

fn voters(range: &Value) -> usize {
    replicas(range).filter(|replica| replica.get("learner").and_then(Value::as_bool) != Some(true)).count()
}

fn leader_address(range: &Value) -> Option<String> {
    let leader = range.get("leader_node_id")?.as_u64()?;
    let leads = |replica: &&Value| replica.get("node_id").and_then(Value::as_u64) == Some(leader);
    replicas(range).find(leads)?.get("address")?.as_str().map(str::to_owned)
}
