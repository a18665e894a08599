//! Stops, crashes, and starts again.

use std::sync::Arc;
use std::time::Duration;

use env::disk::RealDisk;
use nunatak_node::{Node, NodeError, NodeOptions};
use proto::inprocess::InProcess;
use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;
use proto::v1::{BatchRequest, Operation};

use crate::harness::{Client, Cluster, simulate};

#[test]
fn what_was_committed_is_there_after_a_restart() {
    simulate(|| async {
        let mut cluster = Cluster::single().await;
        let client = cluster.client().await;
        let mut txn = client.begin().await;
        txn.get("x").await;
        txn.put("x", "1");
        let first = txn.commit().await.unwrap();
        drop(client);
        cluster.stop(1).await;
        cluster.start(1).await.wait_ready(Duration::from_secs(20)).await.unwrap();
        let client = cluster.client().await;
        assert_eq!(client.read("x").await.as_deref(), Some("1"));
        assert!(client.timestamp().await > first);
        // The transaction is recognised, though all memory of it is gone.
        txn.client = client;
        assert_eq!(txn.commit().await.unwrap(), first);
    });
}

#[test]
fn what_was_acknowledged_is_there_after_a_crash() {
    simulate(|| async {
        let mut cluster = Cluster::single().await;
        for round in 0..5 {
            let client = cluster.client().await;
            for number in 0..10 {
                client.put(&format!("k/{round}/{number}"), "v").await;
            }
            drop(client);
            cluster.kill(1).await;
            cluster.start(1).await.wait_ready(Duration::from_secs(20)).await.unwrap();
            let client = cluster.client().await;
            let mut reader = client.begin().await;
            assert_eq!(reader.scan("k/", "k0").await.len(), (round + 1) * 10);
        }
    });
}

#[test]
fn a_full_disk_is_a_clear_error_and_loses_nothing() {
    simulate(|| async {
        let mut cluster = Cluster::single().await;
        cluster.disk_reserve_bytes = Some(0);
        cluster.stop(1).await;
        cluster.start(1).await.wait_ready(Duration::from_secs(20)).await.unwrap();
        let client = cluster.client().await;
        client.put("before", "1").await;
        let disk = cluster.disks[&1].clone();
        disk.set_capacity(Some(disk.bytes_used() + (64 << 10)));
        let mut acknowledged = 0;
        let refused = loop {
            let mut txn = client.begin().await;
            txn.put(&format!("k/{acknowledged:03}"), &"v".repeat(4096));
            let sent = BatchRequest {
                header: Some(txn.header()),
                operations: vec![Operation { operation: Some(Op::Commit(txn.commit_request())) }],
            };
            match client.data.batch(sent).await.unwrap().error {
                None => acknowledged += 1,
                Some(error) => break error,
            }
            assert!(acknowledged < 1000);
        };
        assert!(matches!(refused.kind, Some(Kind::Ambiguous(_) | Kind::Unavailable(_))), "{refused:?}");
        assert!(acknowledged > 0 && !refused.message.is_empty());
        let probe = client
            .send(proto::v1::Header { timeout_ms: 1000, ..Default::default() }, Op::Get(Default::default()));
        assert!(probe.await.is_err());
        disk.set_capacity(None);
        cluster.kill(1).await;
        cluster.start(1).await.wait_ready(Duration::from_secs(20)).await.unwrap();
        let client = cluster.client().await;
        assert_eq!(client.read("before").await.as_deref(), Some("1"));
        let found = client.begin().await.scan("k/", "k0").await.len();
        assert!(found == acknowledged || found == acknowledged + 1, "{found} of {acknowledged}");
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_node_on_a_real_disk_serves_stops_and_serves_again() {
    let dir = tempfile::tempdir().unwrap();
    let network = InProcess::new();
    let options = || {
        let disk = Arc::new(RealDisk::new());
        let mut options = NodeOptions::new(disk, dir.path(), Arc::new(network.clone()), "node1:1");
        options.cache_bytes = 4 << 20;
        options
    };
    for round in 0..3 {
        let node = Node::start(options()).await.unwrap();
        network.register("node1:1", node.clone());
        assert_eq!(node.init(None).await.unwrap(), round == 0);
        node.wait_ready(Duration::from_secs(20)).await.unwrap();
        let locked = Node::start(options()).await;
        assert!(matches!(locked, Err(NodeError::Locked { .. })), "{locked:?}");
        let cluster = Cluster {
            network: network.clone(),
            nodes: [(1, node.clone())].into(),
            places: [(1, "node1:1".to_owned())].into(),
            disk_reserve_bytes: None,
            borders: Vec::new(),
            closed_lag: None,
            sleep_after: None,
            scopes: [].into(),
            disks: [].into(),
        };
        let client: Client = cluster.client().await;
        for number in 0..20 {
            client.put(&format!("k/{round}/{number}"), "v").await;
        }
        let writers = (0..8).map(|writer| {
            let client = client.clone();
            env::task::spawn(async move {
                for _ in 0..10 {
                    loop {
                        let mut txn = client.begin().await;
                        txn.lock(&["counter"]).await.unwrap();
                        txn.read_at = client.timestamp().await;
                        let count: u64 =
                            txn.try_get("counter").await.unwrap().map_or(0, |text| text.parse().unwrap());
                        txn.put("counter", &(count + 1).to_string());
                        txn.put(&format!("w/{round}/{writer}/{count}"), "");
                        if txn.commit().await.is_ok() {
                            break;
                        }
                    }
                }
            })
        });
        for writer in futures::future::join_all(writers).await {
            writer.unwrap();
        }
        let mut reader = client.begin().await;
        assert_eq!(reader.scan("k/", "k0").await.len(), (round + 1) * 20);
        assert_eq!(reader.get("counter").await, Some(((round + 1) * 80).to_string()));
        node.shutdown().await.unwrap();
        network.unregister("node1:1");
    }
}

#[test]
fn a_node_whose_disk_answers_nothing_ends_all_the_same() {
    simulate(|| async {
        let cluster = Cluster::three().await;
        let client = cluster.client().await;
        client.put("a", "1").await;
        cluster.scopes[&2].hold_blocking(true);
        env::clock::sleep(Duration::from_secs(3)).await;
        let (node, scope) = (cluster.nodes[&2].clone(), &cluster.scopes[&2]);
        let ending = scope.spawn_on(&tokio::runtime::Handle::current(), async move { node.shutdown().await });
        let ended = env::clock::timeout(Duration::from_secs(120), ending).await;
        assert!(ended.expect("it ends").unwrap().is_err(), "and says that this was not in order");
    });
}
