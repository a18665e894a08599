//! A leader whose disk holds something else than was written to it.

use std::time::Duration;

use proto::NodeService;
use proto::v1::DirectoryRequest;

use crate::harness::{Cluster, simulate};

/// The node that leads the data.
async fn leader(cluster: &Cluster) -> u64 {
    cluster.client().await;
    for node in cluster.nodes.values() {
        let Ok(directory) = node.directory(DirectoryRequest::default()).await else { continue };
        let range = directory.ranges.iter().find(|range| range.range_id == 2).unwrap();
        let leader = range.replicas.iter().find(|replica| replica.node_id == range.leader_node_id);
        if let Some(leader) = leader {
            return leader.node_id;
        }
    }
    panic!("nobody leads");
}

#[test]
fn what_a_leader_cannot_read_another_answers() {
    simulate(|| async {
        let mut cluster = Cluster::three().await;
        let client = cluster.client().await;
        for number in 0..100 {
            let value: String = (0..125).map(|_| format!("{:016x}", env::random::next_u64())).collect();
            client.put(&format!("k/{number:03}"), &value).await;
        }
        // Stopping in order flushes: all of it is in tables, and nothing of it in memory.
        for number in 1..=3 {
            cluster.stop(number).await;
            cluster.start(number).await.wait_ready(Duration::from_secs(30)).await.unwrap();
        }
        let damaged = leader(&cluster).await;
        let disk = &cluster.disks[&damaged];
        let mut flipped = 0;
        for path in disk.files() {
            let is_table = path.parent().is_some_and(|dir| dir.ends_with("tables"));
            let flip = |bytes: &mut Vec<u8>| {
                if is_table && bytes.len() > 50_000 {
                    flipped += 1;
                    (0..bytes.len() - 20_000).step_by(1000).for_each(|at| bytes[at] ^= 1);
                }
            };
            disk.corrupt(&path, flip).unwrap();
        }
        assert!(flipped > 0, "no tables among {:?}", disk.files());
        let begun = env::clock::now();
        for number in 0..100 {
            loop {
                let client = cluster.client().await;
                let read = client.begin().await.try_get(&format!("k/{number:03}")).await;
                if read.is_ok_and(|read| read.is_some_and(|value| value.len() == 2000)) {
                    break;
                }
                env::clock::sleep(Duration::from_millis(100)).await;
            }
        }
        let took = env::clock::now() - begun;
        assert!(took < Duration::from_secs(8), "{took:?} until everything was answered");
        assert_ne!(leader(&cluster).await, damaged);
        let why = cluster.nodes[&damaged].ready().unwrap_err();
        assert!(why.contains("must be replaced"), "{why}");
    });
}
