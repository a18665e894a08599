//! A leader whose disk holds something else than was written to it.

use std::collections::BTreeSet;
use std::time::Duration;

use proto::NodeService;
use proto::v1::{CheckConsistencyRequest, DirectoryRequest};

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
fn what_a_leader_cannot_read_another_answers_and_its_replica_is_made_anew() {
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
        let replaced = cluster.replica_is_made_anew(damaged).await;
        assert!(replaced < Duration::from_secs(60), "{replaced:?} until it was replaced");
        // Whatever it holds now came from the others.
        let compared = cluster.nodes[&damaged].check_consistency(CheckConsistencyRequest::default()).await;
        for range in compared.unwrap().ranges {
            assert!(range.consistent && range.replicas.len() == 3, "{range:?}");
        }
    });
}

impl Cluster {
    /// How long it takes until the node's replica of the data is another one than it was, and votes.
    async fn replica_is_made_anew(&self, node_id: u64) -> Duration {
        let begun = env::clock::now();
        let mut seen = BTreeSet::new();
        loop {
            for node in self.nodes.values() {
                let Ok(directory) = node.directory(DirectoryRequest::default()).await else { continue };
                let range = directory.ranges.iter().find(|range| range.range_id == 2).unwrap();
                let here = range.replicas.iter().find(|replica| replica.node_id == node_id);
                seen.extend(here.map(|replica| replica.replica_id));
                let voters = range.replicas.iter().filter(|replica| !replica.learner).count();
                if seen.len() > 1 && voters == 3 && self.nodes[&node_id].ready().is_ok() {
                    return begun.elapsed();
                }
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "replicas {seen:?} were seen there");
            env::clock::sleep(Duration::from_millis(100)).await;
        }
    }
}
