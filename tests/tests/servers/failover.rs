//! How long nobody can write when the leader's process is killed, stopped, or asked to end.
//!
//! Each figure is printed beside its bound: the time from the signal until the longest gap between two acknowledged
//! writes of eight sessions is over. `NUNATAK_FAILOVERS=N` plays N rounds of each.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nunatak_tests::processes::{Cluster, Process, installed, psql};
use tokio_postgres::NoTls;

const SESSIONS_PER_GATEWAY: usize = 4;

/// How long a fault lasts.
const FAULT: Duration = Duration::from_millis(4500);

/// What lies between two of them.
const QUIET: Duration = Duration::from_millis(2500);

/// What happens to the leader, the gap that we want, and the one that fails the test: this machine may be busy with
/// other tests.
const FAULTS: [(&str, Duration, Duration); 3] = [
    ("SIGTERM", Duration::from_millis(500), Duration::from_millis(1000)),
    ("SIGKILL", Duration::from_millis(3500), Duration::from_millis(4300)),
    ("SIGSTOP", Duration::from_millis(3500), Duration::from_millis(4300)),
];

fn signal(process: &Process, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

#[derive(Default)]
struct Writes {
    stop: AtomicBool,
    next: AtomicU64,
    acknowledged: Mutex<Vec<Instant>>,
    failed: Mutex<Vec<String>>,
}

impl Writes {
    /// The longest time without an acknowledged write between the two moments.
    fn longest_gap(&self, from: Instant, to: Instant) -> Duration {
        let mut moments: Vec<Instant> = self.acknowledged.lock().unwrap().clone();
        moments.retain(|at| *at > from && *at < to);
        moments.push(to);
        moments.sort();
        let starts = std::iter::once(&from).chain(&moments);
        starts.zip(&moments).map(|(start, end)| *end - *start).max().unwrap_or_default()
    }

    async fn write_for_ever(self: Arc<Self>, parameters: String) {
        while !self.stop.load(Ordering::SeqCst) {
            let Ok((client, connection)) = tokio_postgres::connect(&parameters, NoTls).await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            tokio::spawn(connection);
            while !self.stop.load(Ordering::SeqCst) {
                let number = self.next.fetch_add(1, Ordering::SeqCst);
                match client.batch_execute(&format!("insert into t values ({number})")).await {
                    Ok(()) => self.acknowledged.lock().unwrap().push(Instant::now()),
                    Err(error) => {
                        self.failed.lock().unwrap().push(format!("{error:?}"));
                        break;
                    }
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }
}

/// Shows what the processes have printed last.
fn tell(cluster: &Cluster) {
    let gateways = cluster.gateways.iter().map(|gateway| ("gateway", &gateway.process));
    for (what, process) in cluster.nodes.iter().map(|node| ("node", node)).chain(gateways) {
        let log = process.log();
        let lines: Vec<_> = log.lines().collect();
        println!("--- {what}:");
        lines[lines.len().saturating_sub(30)..].iter().for_each(|line| println!("{line}"));
    }
}

#[test]
fn writes_go_on_soon_after_the_leader_is_killed_stopped_or_ended() {
    if !installed("psql") {
        return;
    }
    let rounds: Option<usize> =
        std::env::var("NUNATAK_FAILOVERS").ok().and_then(|rounds| rounds.parse().ok());
    let folder = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::start(folder.path(), 3, 2);
    psql(&cluster.gateways[0].address, "create table t (n bigint primary key)").expect("a table");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let writes = Arc::new(Writes::default());
    for gateway in &cluster.gateways {
        let (host, port) = gateway.address.rsplit_once(':').expect("host:port");
        for _ in 0..SESSIONS_PER_GATEWAY {
            let parameters =
                format!("host={host} port={port} user=postgres dbname=postgres connect_timeout=2");
            runtime.spawn(writes.clone().write_for_ever(parameters));
        }
    }
    std::thread::sleep(QUIET);
    let mut broken = Vec::new();
    for (name, wanted, bound) in FAULTS {
        let mut gaps = Vec::new();
        for _ in 0..rounds.unwrap_or(1) {
            let leader = cluster.leader();
            let began = Instant::now();
            match name {
                "SIGTERM" => assert_eq!(cluster.nodes[leader].terminate(), Some(0)),
                "SIGKILL" => cluster.nodes[leader].kill(),
                _ => signal(&cluster.nodes[leader], "STOP"),
            }
            std::thread::sleep(FAULT);
            let over = Instant::now();
            match name {
                "SIGSTOP" => signal(&cluster.nodes[leader], "CONT"),
                _ => cluster.nodes[leader].restart(),
            }
            std::thread::sleep(QUIET);
            let (gap, after) = (writes.longest_gap(began, over), writes.longest_gap(over, Instant::now()));
            println!("{name}: {gap:.2?} without a write (wanted: {wanted:.2?}), {after:.2?} at its return");
            if gap > bound || after > bound {
                tell(&cluster);
                broken.push(format!("{name}: {gap:.2?}, {after:.2?} at its return, at most {bound:.2?}"));
            }
            gaps.push(gap);
        }
        gaps.sort();
        println!("{name}: median {:.2?} of {} rounds", gaps[gaps.len() / 2], gaps.len());
    }
    writes.stop.store(true, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(500));
    let failed = writes.failed.lock().unwrap().clone();
    let acknowledged = writes.acknowledged.lock().unwrap().len();
    println!("{acknowledged} acknowledged, {} failed: {:?}", failed.len(), failed.first());
    let stored = psql(&cluster.gateways[1].address, "select count(*) from t").expect("the table can be read");
    assert!(stored.parse::<usize>().expect("a count") >= acknowledged, "{stored} stored");
    assert!(broken.is_empty(), "too long without a write:\n  {}", broken.join("\n  "));
}
