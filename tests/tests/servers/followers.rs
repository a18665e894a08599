//! Reads of the past while nobody can lead: the replica that is left answers them, in a cluster of real processes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::{Client, ClientOptions, Error, ScanOptions, TransactionOptions};
use nunatak_tests::processes::Cluster;
use proto::grpc::GrpcNetwork;

const KEYS: u32 = 50;

/// After so long what was written before is closed: nodes let it lie three seconds behind, and clients ask anybody for what is four
/// seconds old.
const CLOSED: Duration = Duration::from_secs(7);

fn key(number: u32) -> Bytes {
    keys::sql::kv_key(1, format!("key{number:04}").as_bytes())
}

async fn write(client: &Client, value: &'static str) {
    let mut transaction = client.begin(TransactionOptions::default());
    (0..KEYS).for_each(|number| transaction.put(key(number), value.into()));
    transaction.commit().await.expect("a commit");
}

/// What all keys held at a moment, read one by one and together.
async fn values_at(client: &Client, at: u64) -> Vec<Bytes> {
    let mut past = client.past(at);
    let mut values = Vec::new();
    for number in (0..KEYS).step_by(10) {
        values.extend(past.get(key(number)).await.expect("a key"));
    }
    let mut left = Some(keys::Span::new(key(0), key(KEYS)));
    while let Some(span) = left {
        let page = past.scan(span, ScanOptions::default()).await.expect("a page");
        values.extend(page.rows.into_iter().map(|(_, value)| value));
        left = page.resume;
    }
    values
}

#[test]
fn the_past_is_read_while_nobody_can_lead() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::start(folder.path(), 3, 0);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let network = Arc::new(GrpcNetwork::new(None));
    let client = Client::new(network, cluster.addresses.clone(), ClientOptions::default());
    let at = runtime.block_on(async {
        write(&client, "before").await;
        let at = client.timestamp().await.expect("a timestamp").timestamp;
        env::clock::sleep(CLOSED).await;
        write(&client, "after").await;
        at
    });
    let expected = vec![Bytes::from_static(b"before"); KEYS as usize + 5];
    assert_eq!(runtime.block_on(values_at(&client, at)), expected, "while all live");

    let leader = cluster.leader();
    let other = (leader + 1) % cluster.nodes.len();
    for killed in [leader, other] {
        cluster.nodes[killed].kill();
    }
    let followed = client.follower_reads();
    assert_eq!(runtime.block_on(values_at(&client, at)), expected, "of one replica of three");
    assert!(client.follower_reads() > followed);
    let now = runtime.block_on(async {
        let timeout = Duration::from_secs(2);
        let options = TransactionOptions { read_only: true, timeout, ..TransactionOptions::default() };
        client.begin(options).get(key(0)).await
    });
    assert!(matches!(now, Err(Error::Unavailable { .. } | Error::Timeout { .. })), "{now:?}");

    for killed in [leader, other] {
        cluster.nodes[killed].restart();
    }
    let now = runtime.block_on(async {
        client.begin(TransactionOptions::default()).get(key(0)).await.expect("a key, once somebody leads")
    });
    assert_eq!(now, Some(Bytes::from_static(b"after")));
    cluster.check_consistency().expect("replicas that are alike");
}
