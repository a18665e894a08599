//! Nodes that come back elsewhere, in each other's place, or twice.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use env::disk::{Disk, MemoryDisk};
use proto::NodeService;
use proto::v1::{CheckConsistencyRequest, DirectoryRequest, HelloRequest, NodeDescriptor};

use crate::harness::{Cluster, address, simulate};

async fn is_consistent(cluster: &Cluster) -> bool {
    let node = cluster.nodes.values().next().unwrap();
    let checked = node.check_consistency(CheckConsistencyRequest {}).await.unwrap();
    checked.ranges.len() == 2
        && checked.ranges.iter().all(|range| range.consistent && range.replicas.len() == 3)
}

/// Waits until all replicas of all ranges can be compared, and are alike.
async fn settled(cluster: &Cluster) {
    for _ in 0..60 {
        if is_consistent(cluster).await {
            return;
        }
        env::clock::sleep(Duration::from_millis(500)).await;
    }
    panic!("the replicas are not alike after half a minute");
}

#[test]
fn a_node_that_comes_back_elsewhere_is_reached_by_its_peers_and_by_clients() {
    simulate(|| async {
        let mut cluster = Cluster::three().await;
        cluster.client().await.put("k", "before").await;
        for (number, place) in [(2, "elsewhere2:1"), (3, "elsewhere3:1")] {
            cluster.kill(number).await;
            cluster.start_at(number, place).await.wait_ready(Duration::from_secs(20)).await.unwrap();
            settled(&cluster).await;
        }
        // Now nobody is where the ranges once began to replicate but the first, and it goes.
        cluster.kill(1).await;
        let client = cluster.client().await;
        assert_eq!(client.read("k").await.as_deref(), Some("before"));
        client.put("k", "after").await;
        let directory = cluster.nodes[&2].directory(DirectoryRequest::default()).await.unwrap();
        for replica in directory.ranges.iter().flat_map(|range| &range.replicas) {
            assert_eq!(replica.address, cluster.places[&replica.node_id]);
        }
    });
}

#[test]
fn two_nodes_in_each_others_place_destroy_nothing() {
    simulate(|| async {
        let mut cluster = Cluster::three().await;
        cluster.client().await.put("k", "before").await;
        settled(&cluster).await;
        cluster.kill(2).await;
        cluster.kill(3).await;
        cluster.start_at(2, &address(3)).await;
        cluster.start_at(3, &address(2)).await;
        settled(&cluster).await;
        cluster.client().await.put("k", "between").await;
        cluster.kill(1).await;
        let client = cluster.client().await;
        assert_eq!(client.read("k").await.as_deref(), Some("between"));
        client.put("k", "after").await;
        cluster.start(1).await;
        settled(&cluster).await;
    });
}

#[test]
fn all_nodes_may_move_at_once_while_one_is_where_others_look() {
    simulate(|| async {
        let mut cluster = Cluster::three().await;
        cluster.client().await.put("k", "before").await;
        for number in 1..=3 {
            cluster.kill(number).await;
        }
        // Only the second is at an address that is on the lists to join.
        cluster.start_at(1, "far1:1").await;
        cluster.start_at(2, &address(1)).await;
        cluster.start_at(3, "far3:1").await;
        settled(&cluster).await;
        assert_eq!(cluster.client().await.read("k").await.as_deref(), Some("before"));
    });
}

/// Another disk with the files of a node's directory.
fn copy_of(disk: &MemoryDisk) -> MemoryDisk {
    let copy = MemoryDisk::new();
    let engine = ["/data/engine", "/data/engine/manifest", "/data/engine/tables", "/data/engine/wal"];
    for folder in ["/data", "/data/raft"].into_iter().chain(engine).map(Path::new) {
        copy.create_dir_all(folder).unwrap();
        for name in disk.list(folder).unwrap() {
            let path = folder.join(name);
            if let Ok(content) = disk.read(&path) {
                copy.replace(&path, &content).unwrap();
            }
        }
    }
    copy
}

#[test]
fn a_copy_of_a_data_directory_is_told_to_stop() {
    simulate(|| async {
        let mut cluster = Cluster::three().await;
        cluster.client().await.put("k", "v").await;
        cluster.kill(3).await;
        let copy = Arc::new(copy_of(&cluster.disks[&3]));
        // The original is started again before the copy is.
        cluster.start(3).await.wait_ready(Duration::from_secs(20)).await.unwrap();
        env::clock::sleep(Duration::from_secs(3)).await;
        cluster.disks.insert(4, copy);
        let copied = cluster.start_at(4, "copy:1").await;
        let why = env::clock::timeout(Duration::from_secs(20), copied.failed()).await.unwrap();
        assert!(why.contains("node 3") && why.contains("copy"), "{why}");
        assert!(copied.ready().is_err());
        cluster.kill(4).await;
        cluster.disks.remove(&4);
        settled(&cluster).await;
    });
}

#[test]
fn what_is_said_of_a_node_does_not_turn_its_peers_away_from_it() {
    simulate(|| async {
        let cluster = Cluster::three().await;
        let cluster_id = cluster.client().await.cluster_id;
        for (node_id, liar) in (1..=3).map(|node_id| (node_id, &cluster.nodes[&(node_id % 3 + 1)])) {
            let from = NodeDescriptor {
                node_id,
                address: "nobody:1".to_owned(),
                generation: u64::MAX,
                ..NodeDescriptor::default()
            };
            let request = HelloRequest { cluster_id: cluster_id.clone(), from: Some(from), range_id: 0 };
            liar.hello(request).await.unwrap();
        }
        env::clock::sleep(Duration::from_secs(5)).await;
        settled(&cluster).await;
        cluster.client().await.put("k", "v").await;
    });
}
