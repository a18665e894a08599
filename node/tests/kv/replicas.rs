//! Several nodes: joining, replication, failover, consistency.

use std::time::Duration;

use proto::v1::{CheckConsistencyRequest, InitRequest, NodesRequest, RangesRequest};
use proto::{Code, NodeService};

use crate::harness::{Cluster, simulate};

#[test]
fn replication_rises_to_three_as_nodes_join() {
    simulate(|| async {
        let mut cluster = Cluster::single().await;
        let client = cluster.client().await;
        for number in 0..50 {
            client.put(&format!("k/{number:02}"), "before").await;
        }
        let second = cluster.start(2).await;
        second.wait_ready(Duration::from_secs(20)).await.unwrap();
        env::clock::sleep(Duration::from_secs(5)).await;
        let ranges = second.ranges(RangesRequest::default()).await.unwrap().ranges;
        assert!(ranges.iter().all(|range| range.descriptor.as_ref().unwrap().replicas.len() == 1));
        cluster.start(3).await.wait_ready(Duration::from_secs(20)).await.unwrap();
        cluster.replicated().await;
        let client = cluster.client().await;
        client.put("k/99", "after").await;
        let checked = second.check_consistency(CheckConsistencyRequest {}).await.unwrap();
        assert_eq!(checked.ranges.len(), 2);
        for range in checked.ranges {
            assert!(range.consistent, "{range:?}");
            assert_eq!(range.replicas.len(), 3);
        }
        let nodes = second.nodes(NodesRequest {}).await.unwrap().nodes;
        assert_eq!(
            nodes.iter().map(|node| (node.node_id, node.live)).collect::<Vec<_>>(),
            [(1, true), (2, true), (3, true)]
        );
    });
}

#[test]
fn what_was_acknowledged_survives_the_loss_of_the_leader() {
    simulate(|| async {
        let mut cluster = Cluster::three().await;
        let client = cluster.client().await;
        let mut newest = 0;
        for number in 0..20 {
            newest = client.put("x", &number.to_string()).await;
        }
        cluster.kill(1).await;
        let client = cluster.client().await;
        assert!(client.timestamp().await > newest);
        assert_eq!(client.read("x").await.as_deref(), Some("19"));
        assert!(client.put("x", "after").await > newest);
    });
}

#[test]
fn a_dead_nodes_replicas_are_replaced_and_do_not_come_back() {
    simulate(|| async {
        let mut cluster = Cluster::three().await;
        cluster.start(4).await.wait_ready(Duration::from_secs(20)).await.unwrap();
        let client = cluster.client().await;
        client.put("x", "1").await;
        let own = |range: &proto::v1::RangeStatus| {
            let range_id = range.descriptor.as_ref().map(|descriptor| descriptor.range_id);
            (range_id, range.replica_id)
        };
        let before: Vec<_> = {
            let ranges = cluster.nodes[&3].ranges(RangesRequest::default()).await.unwrap().ranges;
            ranges.iter().map(own).collect()
        };
        cluster.kill(3).await;
        let on = |node: u64, directory: &proto::v1::DirectoryResponse| {
            let of_node = |range: &&proto::v1::RangeDescriptor| {
                range.replicas.iter().any(|replica| replica.node_id == node && !replica.learner)
            };
            directory.ranges.iter().filter(of_node).count()
        };
        env::clock::sleep(Duration::from_secs(40)).await;
        let directory = cluster.nodes[&1].directory(Default::default()).await.unwrap();
        assert_eq!((on(3, &directory), on(4, &directory)), (0, 2), "{directory:?}");
        // What it holds is given up, and it is there for new replicas.
        let third = cluster.start(3).await;
        env::clock::sleep(Duration::from_secs(10)).await;
        third.wait_ready(Duration::from_secs(20)).await.unwrap();
        let ranges = third.ranges(RangesRequest::default()).await.unwrap().ranges;
        assert!(before.len() == 2 && ranges.iter().all(|range| !before.contains(&own(range))), "{ranges:?}");
        cluster.kill(2).await;
        env::clock::sleep(Duration::from_secs(40)).await;
        let client = cluster.client().await;
        assert_eq!(client.read("x").await.as_deref(), Some("1"));
        let directory = third.directory(Default::default()).await.unwrap();
        assert_eq!((on(2, &directory), on(3, &directory)), (0, 2), "{directory:?}");
        let checked = third.check_consistency(CheckConsistencyRequest {}).await.unwrap();
        assert!(checked.ranges.iter().all(|range| range.consistent), "{checked:?}");
    });
}

#[test]
fn leadership_is_handed_over_when_a_node_stops_in_order() {
    simulate(|| async {
        let mut cluster = Cluster::three().await;
        let client = cluster.client().await;
        client.put("x", "1").await;
        cluster.stop(1).await;
        let stopped = env::clock::now();
        let client = cluster.client().await;
        assert_eq!(client.read("x").await.as_deref(), Some("1"));
        assert!(env::clock::now() - stopped < Duration::from_secs(5));
    });
}

#[test]
fn a_cluster_is_initialised_once() {
    simulate(|| async {
        let mut cluster = Cluster::single().await;
        let again = cluster.nodes[&1].init_by_request().await;
        assert!(again.already_initialised);
        let second = cluster.start(2).await;
        let from_second = second.init_by_request().await;
        assert!(from_second.already_initialised);
        assert_eq!(from_second.cluster_id, again.cluster_id);
    });
}

#[test]
fn a_node_without_a_cluster_says_so() {
    simulate(|| async {
        let mut cluster = Cluster::empty();
        let node = cluster.start(1).await;
        assert!(node.ready().is_err());
        assert_eq!(node.nodes(NodesRequest {}).await.unwrap_err().code(), Code::Unavailable);
    });
}

#[test]
fn only_the_root_leader_gives_timestamps_and_the_others_name_it() {
    simulate(|| async {
        let cluster = Cluster::three().await;
        let refused = cluster.nodes[&2].timestamp(Default::default()).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (Code::FailedPrecondition, "node1:1"));
    });
}

trait InitByRequest {
    async fn init_by_request(&self) -> proto::v1::InitResponse;
}

impl InitByRequest for nunatak_node::Node {
    async fn init_by_request(&self) -> proto::v1::InitResponse {
        NodeService::init(self, InitRequest::default()).await.unwrap()
    }
}
