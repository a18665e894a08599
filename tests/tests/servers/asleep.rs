//! What ranges cost that nobody asks anything, in a cluster of real processes: processor time and memory.
//!
//! `NUNATAK_SLEEPERS` says how many there are; with 1000 of them the bounds are those that the database promises.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::{Client, ClientOptions, TransactionOptions};
use nunatak_tests::processes::{Cluster, Process};
use proto::grpc::GrpcNetwork;
use proto::v1::{RangeStatus, RangesRequest, SplitRequest};
use proto::{Network, NodeService};

/// So long they are watched.
const WATCHED: Duration = Duration::from_secs(20);

/// How long they may take to fall asleep.
const FALLING: Duration = Duration::from_secs(150);

fn key(number: u32) -> Bytes {
    keys::sql::kv_key(1, format!("sleeper{number:05}").as_bytes())
}

fn proc(process: &Process, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{}/{file}", process.id())).expect("the process lives")
}

fn resident_kib(cluster: &Cluster) -> u64 {
    let of = |process: &Process| {
        let status = proc(process, "status");
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory").to_owned();
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number")
    };
    cluster.nodes.iter().map(of).sum()
}

/// What all nodes have used of processors, in hundredths of a second.
fn ticks(cluster: &Cluster) -> u64 {
    let of = |process: &Process| {
        let stat = proc(process, "stat");
        let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
        let fields: Vec<u64> = fields.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        // User and system time, which come 14th and 15th; the state is the third.
        fields[11] + fields[12]
    };
    cluster.nodes.iter().map(of).sum()
}

/// How many replicas of ranges of data sleep, on all nodes.
async fn asleep(nodes: &[Arc<dyn NodeService>]) -> usize {
    let mut asleep = 0;
    for node in nodes {
        let ranges = node.ranges(RangesRequest::default()).await.expect("the ranges").ranges;
        let sleeps = |range: &&RangeStatus| range.replica_id != 0 && range.asleep;
        asleep += ranges.iter().filter(sleeps).count();
    }
    asleep
}

async fn wait_asleep(nodes: &[Arc<dyn NodeService>], replicas: usize) {
    let until = Instant::now() + FALLING;
    while asleep(nodes).await < replicas {
        assert!(Instant::now() < until, "{} of {replicas} replicas sleep", asleep(nodes).await);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// How many replicas have given back what it takes to be awake, on all nodes, by what they say of themselves.
fn closed(cluster: &Cluster) -> usize {
    let of = |address: &String| {
        let mut stream = TcpStream::connect(address).expect("the node listens");
        let request = "GET /metrics HTTP/1.0\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("a request");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("an answer");
        let value = page.lines().find_map(|line| line.strip_prefix("nunatak_groups_closed "));
        value.and_then(|value| value.trim().parse::<f64>().ok()).unwrap_or(0.0) as usize
    };
    cluster.http.iter().map(of).sum()
}

fn wait_closed(cluster: &Cluster, replicas: usize) {
    let until = Instant::now() + FALLING;
    while closed(cluster) < replicas {
        assert!(Instant::now() < until, "{} of {replicas} replicas are closed", closed(cluster));
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// How much of one core the nodes use, in hundredths.
fn used(cluster: &Cluster) -> f64 {
    let (began, before) = (Instant::now(), ticks(cluster));
    std::thread::sleep(WATCHED);
    (ticks(cluster) - before) as f64 / began.elapsed().as_secs_f64()
}

#[test]
fn ranges_that_nobody_asks_cost_next_to_nothing() {
    let count: u32 = std::env::var("NUNATAK_SLEEPERS").map_or(100, |count| count.parse().expect("a number"));
    let is_many = count >= 1000;
    let folder = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::start(folder.path(), 3, 0);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let network = Arc::new(GrpcNetwork::new(None));
    let nodes: Vec<_> = cluster.addresses.iter().map(|address| network.connect(address)).collect();
    let client = Client::new(network, cluster.addresses.clone(), ClientOptions::default());
    runtime.block_on(wait_asleep(&nodes, 3));
    let before_kib = resident_kib(&cluster);
    let nodes_alone = used(&cluster);
    runtime.block_on(async {
        for number in 0..count {
            nodes[0].split(SplitRequest { key: key(number), passed_on: false }).await.expect("a division");
        }
        wait_asleep(&nodes, 3 * count as usize).await;
    });
    wait_closed(&cluster, 3 * count as usize);
    let used = used(&cluster);
    let grown_kib = resident_kib(&cluster).saturating_sub(before_kib);
    let each_kib = grown_kib as f64 / f64::from(3 * count);
    println!(
        "{count} ranges asleep: {used:.1} % of one core in all, {nodes_alone:.1} % without, {each_kib:.0} KiB a replica"
    );
    // Other tests share the machine, and a program for tests is slow; where there are few ranges, nodes cost more than they do.
    let of_ranges = used - nodes_alone;
    assert!(
        if is_many { used < 5.0 } else { of_ranges < 40.0 },
        "{used:.1} % of one core, {nodes_alone:.1} % without"
    );
    assert!(each_kib < if is_many { 256.0 } else { 400.0 }, "{each_kib:.0} KiB a replica");
    // Whoever asks finds them awake.
    runtime.block_on(async {
        for number in (0..count).step_by(1 + count as usize / 20) {
            let mut transaction = client.begin(TransactionOptions::default());
            transaction.put(key(number), "awake".into());
            transaction.commit().await.expect("a commit");
        }
    });
    cluster.check_consistency().expect("replicas that are alike");
}
