//! Leaders that die, freeze, move, or cannot be reached: how long it takes to get around them, and what it costs.

use std::time::Duration;

use env::clock;
use proto::v1::error::Kind;
use proto::v1::operation::Operation as Ask;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{GetResult, Retry, StaleRange};

use super::scripted::{Cluster, committed, got, key, locked, range, version, with_cluster};
use crate::{Error, Strength, TransactionOptions, WaitPolicy};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_commit_under_way_leaves_a_route_that_has_become_stale() {
    with_cluster(async |cluster: Cluster| {
        let mut alone = range(2, 1, "d", "e");
        alone.replicas.truncate(1);
        cluster.set_ranges(vec![range(1, 1, "r", "s"), alone]);
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        cluster.answer(got("v", 5));
        transaction.get(key("da")).await.unwrap();
        transaction.put(key("da"), key("1"));
        // The range has got another replica meanwhile, and that one leads when the first dies.
        let mut grown = range(2, 1, "d", "e");
        grown.config_epoch = 2;
        grown.leader_node_id = 2;
        cluster.set_ranges(vec![range(1, 1, "r", "s"), grown]);
        cluster.lead(2);
        cluster.lose().answer(committed(200));
        cluster.later(Duration::ZERO, |cluster| cluster.freeze(1));
        let began = clock::now();
        assert_eq!(transaction.commit().await.unwrap(), 200);
        assert!(clock::now().duration_since(began) < ms(1500), "{:?}", clock::now().duration_since(began));
        let asked = cluster.asked();
        let last = asked.last().unwrap();
        assert_eq!((last.node, last.header.start_timestamp), (2, 101));
        assert!(last.header.attempt > 1);
    });
}

#[test]
fn a_frozen_leader_is_left_as_soon_as_another_one_serves() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(got("v", 5));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        transaction.get(key("da")).await.unwrap();
        cluster.freeze(1);
        cluster.later(ms(2000), |cluster| cluster.lead(2));
        cluster.answer(got("w", 5));
        let began = clock::now();
        assert_eq!(transaction.get(key("db")).await.unwrap(), Some(key("w")));
        let took = clock::now().duration_since(began);
        assert!((ms(2000)..ms(2600)).contains(&took), "{took:?}");
        // Nobody waits for it again.
        cluster.answer(got("x", 5));
        let began = clock::now();
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        transaction.get(key("da")).await.unwrap();
        assert!(clock::now().duration_since(began) < ms(100));
    });
}

#[test]
fn one_frozen_node_does_not_hold_up_the_timestamps_of_another() {
    with_cluster(async |cluster: Cluster| {
        cluster.client.timestamp().await.unwrap();
        cluster.freeze(1);
        cluster.lead(2);
        let began = clock::now();
        let all = (0..10).map(|_| cluster.client.timestamp());
        assert!(futures::future::join_all(all).await.iter().all(Result::is_ok));
        let took = clock::now().duration_since(began);
        assert!(took < ms(1500), "{took:?}");
        let began = clock::now();
        cluster.client.timestamp().await.unwrap();
        assert!(clock::now().duration_since(began) < ms(50));
    });
}

#[test]
fn a_leader_that_only_the_client_cannot_reach_is_asked_through_another_node() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(got("v", 5));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        transaction.get(key("da")).await.unwrap();
        cluster.asked();
        // The other node takes it for the leader still, and reaches it.
        cluster.freeze(1);
        cluster.pass_on();
        cluster.answer(got("w", 5)).answer(committed(300));
        let began = clock::now();
        transaction.get(key("db")).await.unwrap();
        transaction.put(key("db"), key("1"));
        assert_eq!(transaction.commit().await.unwrap(), 300);
        cluster.client.timestamp().await.unwrap();
        let took = clock::now().duration_since(began);
        assert!(took < ms(3000), "{took:?}");
        assert!(cluster.asked().iter().all(|asked| asked.node == 2 && asked.header.forward));
        // Once it can be reached again it is asked itself.
        cluster.thaw(1);
        for _ in 0..4 {
            cluster.answer(got("x", 5));
            cluster.client.begin(TransactionOptions::default()).get(key("da")).await.unwrap();
            clock::sleep(ms(600)).await;
        }
        let last = cluster.asked().pop().unwrap();
        assert_eq!((last.node, last.header.forward), (1, false));
    });
}

#[test]
fn a_transaction_has_one_priority_though_its_gateway_has_heard_of_no_timestamp_yet() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(locked("v", 5, 110)).answer(locked("w", 5, 110));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        for row in ["da", "db"] {
            transaction.lock(vec![key(row)], Strength::Exclusive, WaitPolicy::Block).await.unwrap();
        }
        let said: Vec<u64> = cluster.asked().iter().map(|asked| asked.header.txn_priority).collect();
        assert_eq!(said, [transaction.priority(); 2]);
        assert_ne!(said, [0, 0]);
    });
}

#[test]
fn a_wait_for_a_lock_lasts_as_long_as_its_leader_lives() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(locked("v", 5, 110)).after(Duration::from_secs(300));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        let waited = transaction.lock(vec![key("da")], Strength::Exclusive, WaitPolicy::Block).await.unwrap();
        assert_eq!(waited[0].value, Some(key("v")));
        let asked = cluster.asked();
        assert_eq!((asked.len(), asked[0].header.timeout_ms), (1, 0));
    });
}

#[test]
fn a_range_that_lets_a_lock_wait_on_is_asked_again_and_again() {
    with_cluster(async |cluster: Cluster| {
        for _ in 0..5 {
            cluster.refuse(Kind::Retry(Retry { after_ms: 1 })).after(Duration::from_secs(20));
        }
        cluster.answer(locked("v", 5, 110));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        transaction.lock(vec![key("da")], Strength::Exclusive, WaitPolicy::Block).await.unwrap();
        assert_eq!(cluster.asked().len(), 6);
    });
}

#[test]
fn many_who_wait_for_one_leader_ask_once_whether_it_lives() {
    with_cluster(async |cluster: Cluster| {
        let mut waits = Vec::new();
        for _ in 0..50 {
            cluster.answer(locked("v", 5, 110)).after(Duration::from_secs(10));
            let mut transaction = cluster.client.begin(TransactionOptions::default());
            waits.push(async move {
                transaction.lock(vec![key("da")], Strength::Exclusive, WaitPolicy::Block).await.map(drop)
            });
        }
        assert!(futures::future::join_all(waits).await.iter().all(Result::is_ok));
        assert!(cluster.probes() <= 25, "{} probes in ten seconds", cluster.probes());
    });
}

#[test]
fn a_node_that_knows_nothing_newer_is_not_asked_at_full_speed() {
    with_cluster(async |cluster: Cluster| {
        for _ in 0..1000 {
            cluster.refuse(Kind::StaleRange(StaleRange { current: vec![range(2, 1, "d", "e")] }));
        }
        let options = TransactionOptions { timeout: Duration::from_secs(5), ..TransactionOptions::default() };
        let error = cluster.client.begin(options).get(key("da")).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        let asked = cluster.asked().len();
        assert!(asked < 120, "asked {asked} times in 5 s");
    });
}

#[test]
fn a_range_may_answer_for_the_first_of_many_keys_only() {
    with_cluster(async |cluster: Cluster| {
        let answers = |values: &[&'static str]| {
            let versions = values.iter().map(|value| version(value, 5)).collect();
            Answer::Get(GetResult { versions, ..GetResult::default() })
        };
        cluster.answer(answers(&["1", "2"])).answer(answers(&["3"]));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        let values = transaction.get_many(vec![key("da"), key("db"), key("dc")]).await.unwrap();
        assert_eq!(values, [Some(key("1")), Some(key("2")), Some(key("3"))]);
        let asked: Vec<usize> = cluster
            .asked()
            .iter()
            .map(|asked| match &asked.ask {
                Ask::Get(get) => get.keys.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(asked, [3, 1]);
    });
}
