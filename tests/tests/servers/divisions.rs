//! Ranges divided by an operator, in a cluster of real processes: what was written stays, and goes on being written.

use bytes::Bytes;
use client::{Client, ClientOptions, ScanOptions, TransactionOptions};
use nunatak_tests::processes::{Cluster, run};
use proto::Network;
use proto::grpc::GrpcNetwork;
use proto::v1::{MergeRequest, SplitRequest};

const KEYS: u32 = 200;

fn key(number: u32) -> Bytes {
    keys::sql::kv_key(1, format!("key{number:04}").as_bytes())
}

async fn write(client: &Client, number: u32, value: &'static str) {
    let mut transaction = client.begin(TransactionOptions::default());
    transaction.put(key(number), value.into());
    transaction.commit().await.expect("a commit");
}

/// All values, read in pages at one timestamp.
async fn values(client: &Client) -> Vec<Bytes> {
    let mut transaction = client.begin(TransactionOptions { read_only: true, ..Default::default() });
    let mut left = Some(keys::Span::new(key(0), key(KEYS)));
    let mut values = Vec::new();
    while let Some(span) = left {
        let options = ScanOptions { rows_max: 30, ..ScanOptions::default() };
        let page = transaction.scan(span, options).await.expect("a page");
        values.extend(page.rows.into_iter().map(|(_, value)| value));
        left = page.resume;
    }
    values
}

async fn divide_and_use(addresses: &[String]) {
    let network = std::sync::Arc::new(GrpcNetwork::new(None));
    let client = Client::new(network.clone(), addresses.to_vec(), ClientOptions::default());
    for number in 0..KEYS {
        write(&client, number, "before").await;
    }
    // By an operator's command, at a node that may or may not lead; twice, which does nothing.
    for (time, said) in [(0, "now"), (1, "before")] {
        let key = "d\\x01kkey0100";
        let host = &addresses[time % addresses.len()];
        let answer = run(&["admin", "split", key, "--host", host]).expect("a range divided");
        assert!(answer.contains("key0100") && answer.contains(said), "{answer}");
    }
    // By a plain call, and what cannot be divided.
    let node = network.connect(&addresses[2]);
    let split = |key: Bytes| node.split(SplitRequest { key, passed_on: false });
    assert!(!split(key(50)).await.expect("a range divided").already);
    assert!(split(key(50)).await.expect("a range divided before").already);
    assert_eq!(split(Bytes::from_static(b"r")).await.unwrap_err().code(), proto::Code::InvalidArgument);
    // A border comes and goes, by an operator's command and by a plain call.
    assert!(!split(key(20)).await.expect("a range divided").already);
    assert!(!split(key(30)).await.expect("a range divided").already);
    for (time, said) in [(0, "now"), (1, "before")] {
        let host = &addresses[time % addresses.len()];
        let answer = run(&["admin", "merge", "d\\x01kkey0020", "--host", host]).expect("a border taken away");
        assert!(answer.contains("key0030") && answer.contains(said), "{answer}");
    }
    let merge = |key: Bytes| node.merge(MergeRequest { key, passed_on: false });
    assert!(!merge(key(30)).await.expect("a border taken away").already);
    assert!(merge(key(30)).await.expect("a border taken away before").already);
    assert_eq!(merge(Bytes::from_static(b"r")).await.unwrap_err().code(), proto::Code::InvalidArgument);
    // Who knew the range as it was goes on; so does who comes now.
    let newcomer = Client::new(network, addresses[..1].to_vec(), ClientOptions::default());
    for client in [&client, &newcomer] {
        assert_eq!(values(client).await.len(), KEYS as usize);
        for number in (0..KEYS).step_by(7) {
            write(client, number, "after").await;
        }
        let after = values(client).await.into_iter().filter(|value| *value == "after").count();
        assert_eq!(after, (0..KEYS).step_by(7).count());
        let mut transaction = client.begin(TransactionOptions::default());
        let read = transaction.get_many(vec![key(7), key(60), key(140)]).await.expect("keys of three ranges");
        assert!(read.iter().all(Option::is_some));
    }
}

#[test]
fn divided_ranges_are_read_and_written_and_survive_their_nodes() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::start(folder.path(), 3, 0);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(divide_and_use(&cluster.addresses));
    for node in &mut cluster.nodes {
        node.kill();
    }
    for node in &mut cluster.nodes {
        node.restart();
    }
    let network = std::sync::Arc::new(GrpcNetwork::new(None));
    let client = Client::new(network, cluster.addresses.clone(), ClientOptions::default());
    let read = runtime.block_on(values(&client));
    assert_eq!(read.len(), KEYS as usize);
    let ranges = run(&["admin", "ranges", "--host", &cluster.addresses[0]]).expect("the ranges");
    assert_eq!(ranges.lines().filter(|line| line.contains("key0")).count(), 3, "{ranges}");
    cluster.check_consistency().expect("replicas that are alike");
}
