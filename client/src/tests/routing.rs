//! Finding the leader, and what becomes of requests that nobody answers.

use std::time::Duration;

use proto::v1::error::Kind;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{
    DecideResult, MeasureResult, NotLeader, Outcome, PrewriteResult, RangeDescriptor, ResolveResult,
    StaleRange, Unavailable, operation,
};

use super::scripted::{Cluster, committed, got, key, range, with_cluster};
use crate::{Error, TransactionOptions};

#[test]
fn a_leader_named_by_another_node_is_asked_and_remembered() {
    with_cluster(async |cluster: Cluster| {
        let hint = NotLeader { leader_node_id: 2, leader_address: "n2:1".to_owned() };
        cluster.refuse(Kind::NotLeader(hint)).answer(got("v", 5)).answer(got("w", 5));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        assert_eq!(transaction.get(key("da")).await.unwrap(), Some(key("v")));
        assert_eq!(transaction.get(key("db")).await.unwrap(), Some(key("w")));
        let nodes: Vec<u64> = cluster.asked().iter().map(|asked| asked.node).collect();
        assert_eq!(nodes, [1, 2, 2]);
    });
}

#[test]
fn a_range_that_was_split_is_asked_in_its_parts() {
    with_cluster(async |cluster: Cluster| {
        let current = vec![range(2, 2, "d", "dm"), range(3, 2, "dm", "e")];
        cluster.refuse(Kind::StaleRange(StaleRange { current })).answer(got("v", 5)).answer(got("w", 5));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        let values = transaction.get_many(vec![key("dz"), key("da")]).await.unwrap();
        assert_eq!(values, [Some(key("w")), Some(key("v"))]);
        let ranges: Vec<(u64, u64)> =
            cluster.asked().iter().map(|asked| (asked.header.range_id, asked.header.span_epoch)).collect();
        assert_eq!(ranges, [(2, 1), (2, 2), (3, 2)]);
    });
}

#[test]
fn writes_to_several_ranges_are_committed_once_all_stand_and_settled_afterwards() {
    with_cluster(async |cluster: Cluster| {
        cluster.set_ranges(vec![range(1, 1, "r", "s"), range(2, 2, "d", "dm"), range(3, 2, "dm", "e")]);
        let prewritten = |commit_timestamp_min| Answer::Prewrite(PrewriteResult { commit_timestamp_min });
        let resolved = || Answer::Resolve(ResolveResult::default());
        let decided = DecideResult { outcome: Outcome::Committed.into(), commit_timestamp: 205 };
        cluster.answer(prewritten(205)).answer(prewritten(203));
        cluster.answer(Answer::Decide(decided)).answer(resolved()).answer(resolved());
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        transaction.put(key("da"), key("1"));
        transaction.put(key("dz"), key("1"));
        assert_eq!(transaction.commit().await.unwrap(), 205);
        env::clock::sleep(Duration::from_secs(1)).await;
        let seen: Vec<(&str, u64)> =
            cluster.asked().iter().map(|asked| (name(&asked.ask), asked.header.range_id)).collect();
        // The primary's record goes last.
        let settled = [("decide", 2), ("resolve", 3), ("resolve", 2)];
        assert_eq!(seen.get(2..), Some(&settled[..]));
        let mut prewrites = seen[..2].to_vec();
        prewrites.sort_unstable();
        assert_eq!(prewrites, [("prewrite", 2), ("prewrite", 3)]);
    });
}

fn name(ask: &operation::Operation) -> &'static str {
    match ask {
        operation::Operation::Prewrite(_) => "prewrite",
        operation::Operation::Decide(_) => "decide",
        operation::Operation::Resolve(_) => "resolve",
        _ => "another",
    }
}

#[test]
fn a_commit_whose_answer_was_lost_is_sent_again_as_the_same_one() {
    with_cluster(async |cluster: Cluster| {
        cluster.lose().refuse(Kind::Unavailable(Unavailable {})).answer(committed(200));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        transaction.put(key("da"), key("1"));
        assert_eq!(transaction.commit().await.unwrap(), 200);
        let asked = cluster.asked();
        let headers: Vec<_> =
            asked.iter().map(|asked| (asked.header.start_timestamp, asked.header.attempt)).collect();
        assert_eq!(headers, [(101, 1), (101, 2), (101, 3)]);
        assert!(asked.iter().all(|asked| asked.header.txn_id.len() == 16));
    });
}

#[test]
fn a_commit_that_nobody_ever_answers_is_ambiguous_and_a_read_is_unavailable() {
    with_cluster(async |cluster: Cluster| {
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        transaction.put(key("da"), key("1"));
        assert!(matches!(transaction.commit().await, Err(Error::Ambiguous { .. })));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        let error = transaction.get(key("da")).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { source: Some(_), .. }), "{error:?}");
    });
}

#[test]
fn sizes_are_asked_of_each_range_once_and_added_up() {
    with_cluster(async |cluster: Cluster| {
        cluster.set_ranges(vec![range(1, 1, "r", "s"), range(2, 1, "d", "dm"), range(3, 1, "dm", "e")]);
        let measured =
            |bytes: &[u64]| Answer::Measure(MeasureResult { bytes: bytes.to_vec(), history: Vec::new() });
        cluster.answer(measured(&[10, 20, 5])).answer(measured(&[100, 7]));
        let spans = [("da", "db"), ("db", "dz"), ("dz", "dz"), ("dn", "do"), ("dc", "dd")]
            .map(|(start, end)| crate::Span::new(start, end));
        assert_eq!(cluster.client.sizes(&spans).await.unwrap(), [10, 120, 0, 7, 5]);
    });
}

#[test]
fn a_commit_whose_answer_was_lost_is_ambiguous_when_nobody_can_be_asked_any_more() {
    with_cluster(async |cluster: Cluster| {
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        transaction.put(key("da"), key("1"));
        cluster.lose().after(Duration::from_millis(5));
        // The range is on other nodes by now, and nobody knows where those are.
        let mut elsewhere = range(2, 1, "d", "e");
        elsewhere.config_epoch = 2;
        for replica in &mut elsewhere.replicas {
            replica.node_id += 10;
            replica.address.clear();
        }
        cluster.later(Duration::from_millis(1), move |cluster| {
            cluster.lead(0);
            cluster.set_ranges(vec![range(1, 1, "r", "s"), elsewhere]);
        });
        let error = transaction.commit().await.unwrap_err();
        assert!(matches!(error, Error::Ambiguous { .. }), "{error:?}");
        assert_eq!(cluster.asked().len(), 1);
    });
}

#[test]
fn addresses_that_are_known_outlive_an_answer_of_a_node_that_does_not_know_them() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(got("v", 5));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        assert_eq!(transaction.get(key("da")).await.unwrap(), Some(key("v")));
        let mut vague = range(2, 1, "d", "e");
        vague.replicas.iter_mut().for_each(|replica| replica.address.clear());
        let newer = RangeDescriptor { config_epoch: 2, ..vague.clone() };
        for current in [vague, newer] {
            cluster.set_ranges(vec![range(1, 1, "r", "s"), current.clone()]);
            cluster.refuse(Kind::StaleRange(StaleRange { current: vec![current] })).answer(got("w", 5));
            let mut transaction = cluster.client.begin(TransactionOptions::default());
            assert_eq!(transaction.get(key("db")).await.unwrap(), Some(key("w")));
        }
    });
}
