//! A store that goes on alone where the majority of its ranges' replicas is lost for good.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use env::disk::Disk;
use nunatak_node::{Prospect, Salvage};

use crate::harness::{Cluster, simulate};

/// The directory of a node that does not run, where the others are lost.
fn open(cluster: &Cluster, number: u64, lost: &[u64]) -> Salvage {
    let disk: Arc<dyn Disk> = cluster.disks[&number].clone();
    Salvage::open(disk, "/data", None, lost.iter().copied().collect::<BTreeSet<u64>>()).unwrap()
}

fn prospects(salvage: &Salvage) -> Vec<(u64, Prospect)> {
    salvage.ranges().into_iter().map(|range| (range.range_id, range.prospect)).collect()
}

#[test]
fn what_one_store_of_three_has_is_served_again_and_replicated() {
    simulate(|| async {
        let mut cluster = Cluster::three().await;
        let client = cluster.client().await;
        for number in 0..20 {
            client.put(&format!("k/{number:02}"), &number.to_string()).await;
        }
        env::clock::sleep(Duration::from_secs(2)).await;
        for number in 1..=3 {
            cluster.kill(number).await;
        }
        assert_eq!(
            prospects(&open(&cluster, 1, &[3])),
            [(1, Prospect::Whole), (2, Prospect::Whole)],
            "two of three are a majority"
        );
        let mut salvage = open(&cluster, 1, &[2, 3]);
        assert_eq!(prospects(&salvage), [(1, Prospect::Sole), (2, Prospect::Sole)]);
        assert_eq!(salvage.apply().unwrap(), 2);
        drop(salvage);
        let mut again = open(&cluster, 1, &[2, 3]);
        assert_eq!(prospects(&again), [(1, Prospect::Whole), (2, Prospect::Whole)]);
        assert_eq!(again.apply().unwrap(), 0);
        drop(again);
        cluster.start(1).await.wait_ready(Duration::from_secs(20)).await.unwrap();
        let client = cluster.client().await;
        assert_eq!(client.read("k/07").await.as_deref(), Some("7"));
        client.put("k/20", "after").await;
        for number in 4..=5 {
            cluster.start(number).await.wait_ready(Duration::from_secs(20)).await.unwrap();
        }
        cluster.replicated().await;
        assert_eq!(cluster.client().await.read("k/20").await.as_deref(), Some("after"));
    });
}
