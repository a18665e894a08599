//! Cuts between real processes on hosts of their own: how long nobody can write.
//!
//! Each cut leaves a majority of the nodes that the gateways can reach, in one way or another. Measured is the longest
//! time without an acknowledged write, from just before the cut until it heals, and after that until writes go on.
//! `NUNATAK_PARTITIONS=all` plays all cuts, not only the ones that tell most; `NUNATAK_PARTITIONS=NAME` one of them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nunatak_tests::lan::{Host, Lan, OUTSIDE};
use nunatak_tests::processes::{Process, binary};
use tokio_postgres::NoTls;

/// The longest gap that a cut may cause.
const GAP_MAX: Duration = Duration::from_millis(3500);

/// How long a cut lasts.
const CUT: Duration = Duration::from_secs(8);

/// What lies between two cuts.
const QUIET: Duration = Duration::from_secs(4);

const NODES: usize = 3;
const GATEWAYS: usize = 2;
const SESSIONS_PER_GATEWAY: usize = 4;

/// A cut, as the directions that are silent: (who does not hear, whom).
type Cut = Vec<(Place, Place)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Leader,
    /// The one follower.
    First,
    /// The other one.
    Second,
    /// Both gateways.
    Gateways,
}

use Place::{First, Gateways, Leader, Second};

fn both(a: Place, b: Place) -> Cut {
    vec![(a, b), (b, a)]
}

/// The cuts, and whether the short form plays them.
fn cuts() -> Vec<(&'static str, bool, Cut)> {
    let everybody = [First, Second, Gateways];
    let followers = [First, Second];
    vec![
        ("leader-from-nodes", true, followers.iter().flat_map(|other| both(Leader, *other)).collect()),
        ("leader-hears-nobody", false, everybody.iter().map(|other| (Leader, *other)).collect()),
        ("nobody-hears-leader", true, everybody.iter().map(|other| (*other, Leader)).collect()),
        ("leader-from-gateways", true, both(Leader, Gateways)),
        ("leader-wholly", true, everybody.iter().flat_map(|other| both(Leader, *other)).collect()),
        (
            "follower-wholly",
            false,
            [Leader, Second, Gateways].iter().flat_map(|other| both(First, *other)).collect(),
        ),
        ("leader-from-one-follower", false, both(Leader, First)),
        ("followers-from-each-other", false, both(First, Second)),
        ("gateways-reach-one-follower", false, [both(Leader, Gateways), both(Second, Gateways)].concat()),
    ]
}

struct Member {
    host: Host,
    process: Process,
}

struct Cluster {
    nodes: Vec<Member>,
    gateways: Vec<Member>,
    lan: Lan,
}

impl Cluster {
    fn start(lan: Lan, folder: &std::path::Path) -> Self {
        let hosts: Vec<Host> = (1..=NODES).map(|number| lan.host(number as u8)).collect();
        let join = hosts.iter().map(|host| format!("{}:26257", host.address)).collect::<Vec<_>>().join(",");
        let member = |host: Host, kind: &str, port: u16| {
            let listen = format!("{}:{port}", host.address);
            let name = format!("{kind}-{}", host.address);
            let data = folder.join(&name).to_str().expect("a UTF-8 path").to_owned();
            let mut arguments = vec![kind, "--listen", &listen, "--join", &join, "--http", "127.0.0.1:8080"];
            // The network is the test's own.
            arguments.push("--insecure");
            if kind == "node" {
                arguments.extend(["--data", &data]);
            }
            let process =
                Process::start_within(&host.enter(), &arguments, &folder.join(format!("{name}.log")));
            Member { host, process }
        };
        let nodes: Vec<Member> = hosts.into_iter().map(|host| member(host, "node", 26257)).collect();
        let gateways: Vec<Member> =
            (0..GATEWAYS).map(|place| member(lan.host(11 + place as u8), "gateway", 5433)).collect();
        let cluster = Self { nodes, gateways, lan };
        cluster.await_some("init", |cluster| cluster.admin(&["init", "--host", "10.66.0.1:26257"]));
        cluster.await_some("three replicas of each range", |cluster| {
            cluster.ranges().filter(|ranges| {
                ranges.len() >= 2 && ranges.iter().all(|range| replicas(range).count() == NODES)
            })
        });
        cluster
    }

    fn await_some<T>(&self, what: &str, ask: impl Fn(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(answer) = ask(self) {
                return answer;
            }
            let log = || self.nodes.iter().map(|node| node.process.log()).collect::<String>();
            assert!(Instant::now() < deadline, "no {what}:\n{}", log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Runs `nunatak` at the bridge.
    fn admin(&self, arguments: &[&str]) -> Option<String> {
        let enter = self.lan.enter();
        let ran = std::process::Command::new(&enter[0])
            .args(&enter[1..])
            .arg(binary())
            .args(arguments)
            .output()
            .expect("the binary runs");
        ran.status.success().then(|| String::from_utf8_lossy(&ran.stdout).into_owned())
    }

    fn ranges(&self) -> Option<Vec<serde_json::Value>> {
        let asked = |node: &Member| {
            let host = format!("{}:26257", node.host.address);
            let answer = self.admin(&["admin", "ranges", "--host", &host, "--format", "json"])?;
            serde_json::from_str(&answer).ok()
        };
        self.nodes.iter().find_map(asked)
    }

    /// The place of the node that leads the range with SQL data.
    fn leader(&self) -> usize {
        self.await_some("leader", |cluster| {
            let ranges = cluster.ranges()?;
            let range = ranges.iter().max_by_key(|range| range["range_id"].as_u64())?;
            let leader = replicas(range).find(|replica| replica["node_id"] == range["leader_node_id"])?;
            let address = leader["address"].as_str()?.split(':').next()?;
            cluster.nodes.iter().position(|node| node.host.address == address)
        })
    }

    fn silence(&self, cut: &Cut, leader: usize) {
        let members = |place: Place| -> Vec<&Member> {
            match place {
                Leader => vec![&self.nodes[leader]],
                First => vec![&self.nodes[(leader + 1) % NODES]],
                Second => vec![&self.nodes[(leader + 2) % NODES]],
                Gateways => self.gateways.iter().collect(),
            }
        };
        for (deaf, whom) in cut {
            for (deaf, whom) in members(*deaf)
                .iter()
                .flat_map(|deaf| members(*whom).into_iter().map(move |whom| (deaf, whom)))
            {
                deaf.host.refuse(&whom.host.address);
            }
        }
    }

    fn heal(&self) {
        self.nodes.iter().chain(&self.gateways).for_each(|member| member.host.heal());
    }
}

fn replicas(range: &serde_json::Value) -> impl Iterator<Item = &serde_json::Value> {
    let replicas = range["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
    replicas.iter().filter(|replica| replica["learner"].as_bool() != Some(true))
}

/// Sessions that insert one row after the other, and when each was acknowledged.
struct Writers {
    shared: Arc<Shared>,
    runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    next: AtomicU64,
    acknowledged: Mutex<Vec<(u64, Instant)>>,
    refused: Mutex<Vec<String>>,
    slowest: Mutex<Duration>,
}

impl Shared {
    fn note(&self, took: Duration) {
        let mut slowest = self.slowest.lock().unwrap();
        *slowest = took.max(*slowest);
    }
}

impl Writers {
    fn start(lan: &Lan, addresses: &[String]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .on_thread_start(lan.door())
            .enable_all()
            .build()
            .expect("a runtime");
        let shared = Arc::new(Shared::default());
        for address in addresses {
            for _ in 0..SESSIONS_PER_GATEWAY {
                runtime.spawn(write_for_ever(shared.clone(), address.clone()));
            }
        }
        Self { shared, runtime }
    }

    /// One statement's first column, asked at any of the addresses.
    fn ask(&self, address: &str, sql: &str) -> Result<Vec<String>, String> {
        let (address, sql) = (address.to_owned(), sql.to_owned());
        let asked = self.runtime.spawn(async move {
            let client = connect(&address).await.map_err(|error| error.to_string())?;
            let rows = client.simple_query(&sql).await.map_err(|error| format!("{error:?}"))?;
            Ok(rows
                .iter()
                .filter_map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                    _ => None,
                })
                .collect())
        });
        self.runtime.block_on(asked).expect("no panic")
    }

    /// The longest time without an acknowledged write between the two moments.
    fn longest_gap(&self, from: Instant, to: Instant) -> Duration {
        let acknowledged = self.shared.acknowledged.lock().unwrap();
        let mut moments: Vec<Instant> =
            acknowledged.iter().map(|(_, at)| *at).filter(|at| *at > from && *at < to).collect();
        moments.sort();
        let starts = std::iter::once(from).chain(moments.iter().copied());
        let ends = moments.iter().copied().chain(std::iter::once(to));
        starts.zip(ends).map(|(start, end)| end - start).max().unwrap_or_default()
    }

    /// The slowest statement since this was asked last.
    fn slowest(&self) -> Duration {
        std::mem::take(&mut self.shared.slowest.lock().unwrap())
    }
}

async fn connect(address: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (host, port) = address.split_once(':').expect("host:port");
    let parameters = format!("host={host} port={port} user=postgres dbname=postgres connect_timeout=2");
    let (client, connection) = tokio_postgres::connect(&parameters, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn write_for_ever(shared: Arc<Shared>, address: String) {
    while !shared.stop.load(Ordering::SeqCst) {
        let Ok(client) = connect(&address).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        while !shared.stop.load(Ordering::SeqCst) {
            let number = shared.next.fetch_add(1, Ordering::SeqCst);
            let began = Instant::now();
            let written = client.batch_execute(&format!("insert into t values ({number})")).await;
            let took = began.elapsed();
            shared.note(took);
            match written {
                Ok(()) => shared.acknowledged.lock().unwrap().push((number, Instant::now())),
                Err(error) => {
                    shared.refused.lock().unwrap().push(format!("after {took:.2?}: {error:?}"));
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[test]
fn writes_go_on_through_every_cut_that_leaves_a_majority() {
    let asked = std::env::var("NUNATAK_PARTITIONS").ok();
    let Some(lan) = Lan::new() else { return };
    let folder = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::start(lan, folder.path());
    let addresses: Vec<String> =
        cluster.gateways.iter().map(|gateway| format!("{}:5433", gateway.host.address)).collect();
    let writers = Writers::start(&cluster.lan, &addresses);
    cluster.await_some("table", |_| {
        writers.ask(&addresses[0], "create table if not exists t (n bigint primary key)").ok()
    });
    std::thread::sleep(QUIET);
    let mut broken = Vec::new();
    for (name, short, cut) in cuts() {
        match asked.as_deref() {
            None if !short => continue,
            Some(one) if one != "all" && one != name => continue,
            _ => {}
        }
        let leader = cluster.leader();
        writers.slowest();
        let began = Instant::now();
        cluster.silence(&cut, leader);
        std::thread::sleep(CUT);
        let healed = Instant::now();
        cluster.heal();
        std::thread::sleep(QUIET);
        let gap = writers.longest_gap(began, healed);
        let after = writers.longest_gap(healed, Instant::now());
        println!(
            "{name}: longest gap {:.2} s, after healing {:.2} s, slowest statement {:.2} s",
            gap.as_secs_f64(),
            after.as_secs_f64(),
            writers.slowest().as_secs_f64()
        );
        if gap > GAP_MAX || after > GAP_MAX {
            broken.push(format!("{name}: {gap:.2?} without a write, {after:.2?} after it healed"));
        }
    }
    writers.shared.stop.store(true, Ordering::SeqCst);
    std::thread::sleep(Duration::from_secs(1));
    let refused = writers.shared.refused.lock().unwrap().clone();
    println!("{} refused: {:?}", refused.len(), refused.iter().take(5).collect::<Vec<_>>());
    let stored: BTreeSet<u64> = writers
        .ask(&addresses[0], "select n from t")
        .expect("the table can be read")
        .iter()
        .filter_map(|number| number.parse().ok())
        .collect();
    let acknowledged = writers.shared.acknowledged.lock().unwrap();
    let lost: Vec<u64> = acknowledged.iter().map(|(n, _)| *n).filter(|n| !stored.contains(n)).collect();
    println!("{} acknowledged from {OUTSIDE}", acknowledged.len());
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    assert!(broken.is_empty(), "too long without a write:\n  {}", broken.join("\n  "));
}
