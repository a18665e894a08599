//! Reads of the past: whoever is nearest is asked, and the leader where that is of no use.

use std::time::Duration;

use proto::v1::error::Kind;
use proto::v1::{NotClosed, NotLeader, ReplicaDescriptor, StaleRange};

use super::scripted::{Cluster, got, key, range, with_cluster};
use crate::TransactionOptions;

/// Whom the last requests went to, and whether as to somebody who need not lead.
fn asked(cluster: &Cluster) -> Vec<(u64, bool)> {
    cluster.asked().iter().map(|asked| (asked.node, asked.header.from_follower)).collect()
}

#[test]
fn what_is_read_of_the_past_any_replica_may_answer() {
    with_cluster(async |cluster: Cluster| {
        let mut nodes = Vec::new();
        for _ in 0..32 {
            cluster.answer(got("v", 5));
            let mut past = cluster.client.past(50);
            assert_eq!(past.get(key("da")).await.unwrap(), Some(key("v")));
            let asked = asked(&cluster);
            assert!(matches!(asked[..], [(_, true)]), "{asked:?}");
            nodes.push(asked[0].0);
        }
        assert!(nodes.contains(&1) && nodes.contains(&2), "none is nearer: {nodes:?}");
        let elsewhere = nodes.iter().filter(|node| **node == 2).count() as u64;
        assert_eq!(cluster.client.follower_reads(), elsewhere);
    });
}

#[test]
fn the_leader_is_asked_for_what_another_replica_cannot_answer() {
    with_cluster(async |cluster: Cluster| {
        let not_closed = NotClosed { closed_timestamp: 49, leader_node_id: 1 };
        cluster.refuse(Kind::NotClosed(not_closed)).answer(got("v", 5));
        assert_eq!(cluster.client.past(50).get(key("da")).await.unwrap(), Some(key("v")));
        let asked = asked(&cluster);
        assert!(matches!(asked[..], [(_, true), (1, false)]), "{asked:?}");
    });
}

#[test]
fn a_replica_that_does_not_answer_is_passed_over() {
    with_cluster(async |cluster: Cluster| {
        let hint = NotLeader { leader_node_id: 1, leader_address: "n1:1".to_owned() };
        cluster.refuse(Kind::NotLeader(hint)).answer(got("v", 5));
        assert_eq!(cluster.client.past(50).get(key("da")).await.unwrap(), Some(key("v")));
        let first = asked(&cluster);
        assert!(matches!(first[..], [(a, true), (b, true)] if a != b), "of an older program: {first:?}");
        cluster.lose().answer(got("v", 5));
        assert_eq!(cluster.client.past(50).get(key("da")).await.unwrap(), Some(key("v")));
        let second = asked(&cluster);
        assert!(matches!(second[..], [(a, true), (b, true)] if a != b), "{second:?}");
    });
}

#[test]
fn a_replica_that_has_the_range_no_more_says_who_has_it() {
    with_cluster(async |cluster: Cluster| {
        let mut moved = range(2, 1, "d", "e");
        moved.config_epoch = 2;
        moved.replicas.truncate(1);
        cluster.refuse(Kind::StaleRange(StaleRange { current: vec![moved] }));
        cluster.answer(got("v", 5)).answer(got("v", 5));
        for _ in 0..2 {
            assert_eq!(cluster.client.past(50).get(key("da")).await.unwrap(), Some(key("v")));
        }
        let asked = asked(&cluster);
        assert!(matches!(asked[..], [(a, true), (b, true), (1, true)] if a != b), "{asked:?}");
    });
}

#[test]
fn a_range_that_was_divided_no_other_replica_is_asked_for() {
    with_cluster(async |cluster: Cluster| {
        let current = vec![range(2, 2, "d", "dm"), range(3, 2, "dm", "e")];
        cluster.refuse(Kind::StaleRange(StaleRange { current })).answer(got("v", 5));
        assert_eq!(cluster.client.past(50).get(key("da")).await.unwrap(), Some(key("v")));
        let asked = asked(&cluster);
        assert!(matches!(asked[..], [(_, true), (1, false)]), "{asked:?}");
    });
}

#[test]
fn where_the_leader_is_silent_a_replica_that_is_behind_is_not_the_last_that_is_asked() {
    with_cluster(async |cluster: Cluster| {
        // Nobody is at n3:1, who is said to lead.
        let mut led = range(2, 1, "d", "e");
        let gone = ReplicaDescriptor {
            replica_id: 3,
            node_id: 3,
            address: "n3:1".to_owned(),
            ..led.replicas[0].clone()
        };
        led.replicas.push(gone);
        led.leader_node_id = 3;
        cluster.set_ranges(vec![range(1, 1, "r", "s"), led]);
        for _ in 0..32 {
            cluster.answer(got("v", 5));
            assert_eq!(cluster.client.past(50).get(key("da")).await.unwrap(), Some(key("v")));
        }
        drop(asked(&cluster));
        let not_closed = NotClosed { closed_timestamp: 49, leader_node_id: 3 };
        cluster.refuse(Kind::NotClosed(not_closed)).answer(got("v", 5));
        assert_eq!(cluster.client.past(50).get(key("da")).await.unwrap(), Some(key("v")));
        let asked = asked(&cluster);
        assert!(matches!(asked[..], [(a, true), (b, true)] if a != b), "{asked:?}");
    });
}

#[test]
fn what_others_have_taken_of_the_time_the_leader_has_no_more() {
    with_cluster(async |cluster: Cluster| {
        let not_closed = NotClosed { closed_timestamp: 49, leader_node_id: 1 };
        cluster.refuse(Kind::NotClosed(not_closed)).after(Duration::from_millis(900)).answer(got("v", 5));
        assert_eq!(cluster.client.past(50).get(key("da")).await.unwrap(), Some(key("v")));
        let left: Vec<u64> = cluster.asked().iter().map(|asked| asked.header.timeout_ms).collect();
        assert!(matches!(left[..], [1_000, 29_000..=29_100]), "{left:?}");
    });
}

#[test]
fn what_is_new_the_leader_is_asked_for() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(got("v", 5)).answer(got("v", 5)).answer(got("v", 5));
        let mut now = cluster.client.begin(TransactionOptions::default());
        now.get(key("da")).await.unwrap();
        let soon = crate::moment::about_now();
        cluster.client.past(soon).get(key("da")).await.unwrap();
        let mut past = cluster.client.past(50);
        past.ask_leaders();
        past.get(key("da")).await.unwrap();
        assert_eq!(asked(&cluster), [(1, false); 3]);
    });
}
