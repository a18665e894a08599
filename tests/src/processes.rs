//! The real binary as processes on loopback: one node, or nodes with gateways, killed and restarted at will.
//!
//! Everything is ended when its handle is dropped. What the processes print goes to files in the cluster's directory,
//! and is shown when something does not come up.

use std::fs::File;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::throttle::{SlowLink, Speed};

/// How long a process may take to come up.
const READY_SECONDS: u64 = 60;

/// The binary that `cargo test --workspace` has built beside the tests, or `NUNATAK_BINARY`.
pub fn binary() -> PathBuf {
    if let Some(given) = std::env::var_os("NUNATAK_BINARY") {
        return given.into();
    }
    let this = std::env::current_exe().expect("the test's own path");
    let folder = this.parent().and_then(Path::parent).expect("target/PROFILE");
    let path = folder.join("nunatak");
    assert!(path.exists(), "{} is missing: cargo build -p nunatak", path.display());
    path
}

/// A loopback address that nobody listens on, and that nobody else is given while this process lives.
///
/// It is told before its process listens, and kept while that is killed and started again. So it lies below the ports
/// that the kernel gives to connections and to who binds port 0 (32768 and above: `ip_local_port_range` in ip(7)).
pub fn free_address() -> String {
    const PORTS: std::ops::Range<u32> = 12_000..24_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Test binaries that run at the same time begin at different places.
    let first = std::process::id().wrapping_mul(97);
    for _ in PORTS {
        let next = first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start);
        let address = format!("127.0.0.1:{}", PORTS.start + next);
        // Asked, not bound: what another thread starts at this moment would hold on to the port for a while.
        if TcpStream::connect(&address).is_err() {
            return address;
        }
    }
    panic!("no port of {PORTS:?} is free");
}

/// Whether a program of PostgreSQL is installed; says 'skipped' aloud if not.
pub fn installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

/// A running process of the binary.
pub struct Process {
    launcher: Vec<String>,
    arguments: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Starts `nunatak` with these arguments; its output is appended to `log`.
    pub fn start(arguments: &[&str], log: &Path) -> Self {
        Self::start_within(&[], arguments, log)
    }

    /// The same by way of another program, which replaces itself by it: `nsenter` and its arguments.
    pub fn start_within(launcher: &[String], arguments: &[&str], log: &Path) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let launcher = launcher.to_vec();
        let mut process = Self { launcher, arguments, log: log.to_path_buf(), child: None };
        process.restart();
        process
    }

    /// Starts the process again, with the same arguments.
    pub fn restart(&mut self) {
        let out = File::options().create(true).append(true).open(&self.log).expect("a log file");
        let err = out.try_clone().expect("a log file");
        let mut command = match self.launcher.split_first() {
            None => Command::new(binary()),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary());
                command
            }
        };
        let child = command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .expect("the binary starts");
        self.child = Some(child);
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the process can be killed");
            child.wait().expect("the process can be waited for");
        }
    }

    /// SIGTERM, and the exit status.
    pub fn terminate(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("a running process");
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        child.wait().expect("the process can be waited for").code()
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("a running process").id()
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().is_ok_and(|status| status.is_some()))
    }

    /// What the process has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks `ready` until it says yes; fails with `what` and the log otherwise.
pub fn await_ready(what: &str, process: &Process, ready: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(READY_SECONDS);
    while !ready() {
        assert!(Instant::now() < deadline, "{what} did not come up:\n{}", process.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A node or gateway with PostgreSQL's port.
pub struct Listener {
    /// Its process.
    pub process: Process,
    /// PostgreSQL's address.
    pub address: String,
    /// The address of /health, /ready and /metrics.
    pub http: String,
}

impl Listener {
    /// Waits until a statement is answered.
    pub fn await_sql(&self) {
        await_ready(&format!("SQL on {}", self.address), &self.process, || {
            psql(&self.address, "select 1").is_ok_and(|answer| answer == "1")
        });
    }
}

/// `nunatak start-single` on a directory.
pub fn start_single(folder: &Path) -> Listener {
    start_single_with(folder, &[])
}

/// The same with more arguments.
pub fn start_single_with(folder: &Path, arguments: &[&str]) -> Listener {
    let (address, http) = (free_address(), free_address());
    let data = folder.join("data");
    let data = data.to_str().expect("a UTF-8 path");
    let command = ["start-single", "--data", data, "--listen", &address, "--http", &http];
    let process = Process::start(&[&command, arguments].concat(), &folder.join("single.log"));
    let listener = Listener { process, address, http };
    listener.await_sql();
    listener
}

/// Where a cluster serves SQL.
enum Gateways {
    /// In so many processes of their own.
    Apart(usize),
    /// In every node.
    Inside,
}

/// Node processes and gateway processes.
pub struct Cluster {
    /// The storage nodes.
    pub nodes: Vec<Process>,
    /// The nodes' addresses.
    pub addresses: Vec<String>,
    /// Where the nodes answer /health, /ready and /metrics.
    pub http: Vec<String>,
    /// The gateways.
    pub gateways: Vec<Listener>,
    /// Where the nodes serve SQL themselves, if they do.
    pub sql: Vec<String>,
    /// The links to the nodes, where they are slow.
    _links: Vec<SlowLink>,
}

impl Cluster {
    /// Starts and initialises a cluster below `folder`, and waits until it is fully replicated and answers SQL.
    pub fn start(folder: &Path, nodes: usize, gateways: usize) -> Self {
        let addresses: Vec<_> = (0..nodes).map(|_| free_address()).collect();
        Self::start_at(&[], folder, &addresses, addresses.clone(), Gateways::Apart(gateways), Vec::new())
    }

    /// The same by way of another program, as [`Process::start_within`].
    pub fn start_by(launcher: &[String], folder: &Path, nodes: usize, gateways: usize) -> Self {
        let addresses: Vec<_> = (0..nodes).map(|_| free_address()).collect();
        Self::start_at(launcher, folder, &addresses, addresses.clone(), Gateways::Apart(gateways), Vec::new())
    }

    /// The same with a gateway inside each node and no other.
    pub fn start_with_sql(folder: &Path, nodes: usize) -> Self {
        let addresses: Vec<_> = (0..nodes).map(|_| free_address()).collect();
        Self::start_at(&[], folder, &addresses, addresses.clone(), Gateways::Inside, Vec::new())
    }

    /// The same, where each node is reached over a link of this speed, by the others and by the gateways.
    pub fn start_over(speed: Speed, folder: &Path, nodes: usize, gateways: usize) -> Self {
        let listens: Vec<_> = (0..nodes).map(|_| free_address()).collect();
        let links: Vec<_> = listens.iter().map(|listen| SlowLink::start(listen, speed)).collect();
        let addresses = links.iter().map(|link| link.address.clone()).collect();
        Self::start_at(&[], folder, &listens, addresses, Gateways::Apart(gateways), links)
    }

    fn start_at(
        launcher: &[String],
        folder: &Path,
        listens: &[String],
        addresses: Vec<String>,
        gateways: Gateways,
        links: Vec<SlowLink>,
    ) -> Self {
        let nodes = listens.len();
        let join = addresses.join(",");
        let mut cluster = Self {
            nodes: Vec::new(),
            addresses: addresses.clone(),
            http: Vec::new(),
            gateways: Vec::new(),
            sql: Vec::new(),
            _links: links,
        };
        let backups = format!("file://{},s3://backups", folder.display());
        for (number, (listen, address)) in listens.iter().zip(&addresses).enumerate() {
            let data = folder.join(format!("node{number}"));
            let data = data.to_str().expect("a UTF-8 path");
            let (http, sql) = (free_address(), free_address());
            let mut arguments = vec!["node", "--data", data, "--listen", listen, "--advertise", address];
            arguments.extend(["--join", &join, "--http", &http, "--backup-place", &backups]);
            if matches!(gateways, Gateways::Inside) {
                arguments.extend(["--sql", &sql]);
                cluster.sql.push(sql.clone());
            }
            cluster.http.push(http.clone());
            let log = folder.join(format!("node{number}.log"));
            cluster.nodes.push(Process::start_within(launcher, &arguments, &log));
        }
        let (first, process) = (addresses.first().expect("a node"), cluster.nodes.first().expect("a node"));
        await_ready("init", process, || run(&["init", "--host", first]).is_ok());
        let apart = match gateways {
            Gateways::Apart(count) => count,
            Gateways::Inside => 0,
        };
        for number in 0..apart {
            let (address, http) = (free_address(), free_address());
            let process = Process::start_within(
                launcher,
                &[
                    "gateway",
                    "--listen",
                    &address,
                    "--join",
                    &join,
                    "--http",
                    &http,
                    "--backup-place",
                    &backups,
                ],
                &folder.join(format!("gateway{number}.log")),
            );
            cluster.gateways.push(Listener { process, address, http });
        }
        for gateway in &cluster.gateways {
            gateway.await_sql();
        }
        for (address, process) in cluster.sql.iter().zip(&cluster.nodes) {
            await_ready("SQL inside a node", process, || psql(address, "select 1").is_ok());
        }
        await_ready("full replication", process_of(&cluster), || {
            let ranges = cluster.ranges();
            !ranges.is_empty() && ranges.iter().all(|range| range.voters == nodes.min(3))
        });
        cluster
    }

    /// The ranges as the operator sees them; none while the cluster does not answer.
    pub fn ranges(&self) -> Vec<Range> {
        for address in &self.addresses {
            if let Ok(answer) = run(&["admin", "ranges", "--host", address, "--format", "json"])
                && let Ok(serde_json::Value::Array(ranges)) = serde_json::from_str(&answer)
            {
                return ranges.iter().map(Range::read).collect();
            }
        }
        Vec::new()
    }

    /// The place in `nodes` of the node that leads the range with SQL data.
    pub fn leader(&self) -> usize {
        let deadline = Instant::now() + Duration::from_secs(READY_SECONDS);
        loop {
            let ranges = self.ranges();
            let leader =
                ranges.iter().max_by_key(|range| range.id).and_then(|range| range.leader_address.clone());
            let place =
                leader.and_then(|leader| self.addresses.iter().position(|address| *address == leader));
            if let Some(place) = place {
                return place;
            }
            assert!(Instant::now() < deadline, "no leader is known: {ranges:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// `nunatak admin check-consistency`, through the first node that answers.
    pub fn check_consistency(&self) -> Result<String, String> {
        let mut complaint = String::new();
        for _ in 0..READY_SECONDS {
            for address in &self.addresses {
                match run(&["admin", "check-consistency", "--host", address]) {
                    Ok(answer) => return Ok(answer),
                    Err(error) => complaint = error,
                }
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        Err(complaint)
    }
}

fn process_of(cluster: &Cluster) -> &Process {
    cluster.nodes.first().expect("a node")
}

/// A range, from `nunatak admin ranges --format json`.
#[derive(Debug)]
pub struct Range {
    /// Its id.
    pub id: u64,
    /// Replicas that vote.
    pub voters: usize,
    /// The address of the leader's node, if known.
    pub leader_address: Option<String>,
}

impl Range {
    fn read(range: &serde_json::Value) -> Self {
        let number =
            |value: &serde_json::Value, key: &str| value.get(key).and_then(serde_json::Value::as_u64);
        let no_replicas = Vec::new();
        let replicas = range.get("replicas").and_then(serde_json::Value::as_array).unwrap_or(&no_replicas);
        let leader = number(range, "leader_node_id");
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        Self {
            id: number(range, "range_id").unwrap_or(0),
            voters: replicas
                .iter()
                .filter(|replica| replica.get("learner").and_then(serde_json::Value::as_bool) != Some(true))
                .count(),
            leader_address: replicas
                .iter()
                .find(|replica| number(replica, "node_id") == leader)
                .and_then(|replica| replica.get("address").and_then(text)),
        }
    }
}

/// Runs `nunatak` to its end: its output, or its complaint.
pub fn run(arguments: &[&str]) -> Result<String, String> {
    output(Command::new(binary()).args(arguments))
}

/// The answer to a statement, unaligned and without headers.
pub fn psql(address: &str, sql: &str) -> Result<String, String> {
    let (host, port) = address.rsplit_once(':').expect("host:port");
    output(
        Command::new("psql")
            .args(["-X", "-q", "-A", "-t", "-h", host, "-p", port, "-U", "postgres", "-d", "postgres"])
            .args(["-v", "ON_ERROR_STOP=1", "-c", sql])
            .env("PGCONNECT_TIMEOUT", "5"),
    )
}

/// A session of the driver.
pub async fn connect(address: &str) -> tokio_postgres::Client {
    let (host, port) = address.rsplit_once(':').expect("host:port");
    let parameters = format!("host={host} port={port} user=postgres dbname=postgres");
    let connecting = tokio_postgres::connect(&parameters, tokio_postgres::NoTls);
    let (client, connection) = connecting.await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// Runs pgbench: what it printed, or its complaint.
pub fn pgbench(address: &str, arguments: &[&str]) -> Result<String, String> {
    let (host, port) = address.rsplit_once(':').expect("host:port");
    output(
        Command::new("pgbench")
            .args(["-h", host, "-p", port, "-U", "postgres"])
            .args(arguments)
            .arg("postgres"),
    )
}

/// Runs a command: what it printed, or its complaint.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{} {}", text(&output.stdout), text(&output.stderr)))
    }
}
