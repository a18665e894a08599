//! Wall clocks that are wrong: what one of them can do to timestamps and to history.

use std::time::Duration;

use bytes::Bytes;
use proto::NodeService;
use proto::v1::{DirectoryRequest, GatewayHeartbeatRequest};

use crate::harness::{Client, Cluster, address, simulate};

const HOUR_MS: i64 = 3600 * 1000;

/// How far the oracle is ahead of the time that it really is, in ms.
async fn ahead_ms(client: &Client) -> i64 {
    let timestamp = client.timestamp().await;
    (timestamp >> 18) as i64 - env::clock::wall_ms() as i64
}

/// A gateway holds history from `oldest` on for so many seconds.
async fn hold(client: &Client, oldest: u64, seconds: u64) {
    for _ in 0..seconds {
        let gateway_id = Bytes::from_static(&[7; 16]);
        let cluster_id = client.cluster_id.clone();
        let request = GatewayHeartbeatRequest { cluster_id, gateway_id, oldest, forward: false };
        client.root.gateway_heartbeat(request).await.unwrap();
        env::clock::sleep(Duration::from_secs(1)).await;
    }
}

/// The number of the node that leads the root range.
async fn root_leader(cluster: &Cluster) -> u64 {
    let directory = cluster.nodes[&1].directory(DirectoryRequest::default()).await.unwrap();
    let root = directory.ranges.iter().find(|range| range.range_id == 1).unwrap();
    let leader = root.replicas.iter().find(|replica| replica.node_id == root.leader_node_id).unwrap();
    (1..=3).find(|number| address(*number) == leader.address).unwrap()
}

/// The root leader's clock is 25 hours ahead for a minute.
async fn jumps(cluster: &Cluster) {
    let client = cluster.client().await;
    client.put("x", "1").await;
    let mut open = client.begin().await;
    client.put("x", "2").await;
    // The term is old enough for history to be deleted.
    hold(&client, open.start, 40).await;
    let leader = &cluster.scopes[&root_leader(cluster).await];
    leader.set_clock_ahead_ms(25 * HOUR_MS);
    hold(&client, open.start, 60).await;
    let ahead = ahead_ms(&client).await;
    assert!(ahead < 10_000, "{ahead} ms");
    assert_eq!(open.get("x").await.as_deref(), Some("1"));
    leader.set_clock_ahead_ms(0);
    hold(&client, open.start, 10).await;
    // Time goes on.
    let before = client.timestamp().await >> 18;
    hold(&client, open.start, 5).await;
    let passed = (client.timestamp().await >> 18) - before;
    assert!((4_000..7_000).contains(&passed), "{passed} ms");
    assert_eq!(open.get("x").await.as_deref(), Some("1"));
}

#[test]
fn a_clock_that_jumps_ahead_and_back_takes_neither_timestamps_nor_history_along() {
    simulate(|| async { jumps(&Cluster::three().await).await });
}

#[test]
fn a_lonely_clock_that_jumps_ahead_and_back_takes_neither_timestamps_nor_history_along() {
    simulate(|| async { jumps(&Cluster::single().await).await });
}

#[test]
fn a_new_leader_whose_clock_is_far_ahead_does_not_take_timestamps_along() {
    simulate(|| async {
        let mut cluster = Cluster::three().await;
        let leader = root_leader(&cluster).await;
        for number in (1..=3).filter(|number| *number != leader) {
            cluster.scopes[&number].set_clock_ahead_ms(if number == 3 { 25 * HOUR_MS } else { 0 });
        }
        if leader == 3 {
            cluster.scopes[&3].set_clock_ahead_ms(25 * HOUR_MS);
        }
        for _ in 0..2 {
            let leader = root_leader(&cluster).await;
            cluster.stop(leader).await;
            let others: Vec<u64> = cluster.nodes.keys().copied().collect();
            assert_eq!(others.len(), 2);
            env::clock::sleep(Duration::from_secs(5)).await;
            let client = cluster.client().await;
            let ahead = ahead_ms(&client).await;
            assert!(ahead < 15_000, "{ahead} ms");
            cluster.start(leader).await.wait_ready(Duration::from_secs(30)).await.unwrap();
            env::clock::sleep(Duration::from_secs(5)).await;
        }
    });
}

#[test]
fn a_cluster_that_was_down_for_long_knows_what_time_it_is() {
    simulate(|| async {
        for size in [1, 3] {
            let mut cluster = if size == 1 { Cluster::single().await } else { Cluster::three().await };
            for number in 1..=size {
                cluster.stop(number).await;
            }
            env::clock::sleep(Duration::from_secs(600)).await;
            for number in 1..=size {
                cluster.start(number).await;
            }
            let client = cluster.client().await;
            env::clock::sleep(Duration::from_secs(5)).await;
            let ahead = ahead_ms(&client).await;
            assert!(ahead.abs() < 5_000, "{size}: {ahead} ms");
        }
    });
}
