//! Ranges merged with their neighbours: what stood in either of them stands, and nobody serves a key twice, or never.

use std::time::Duration;

use bytes::Bytes;
use proto::NodeService;
use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{
    Commit, Decide, DirectoryRequest, Get, Header, MergeRequest, MergeResponse, Outcome, Prewrite, Recover,
    Resolve, SplitRequest, Write,
};

use crate::harness::{Client, Cluster, Txn, key, simulate, value};

async fn merge(cluster: &Cluster, at: &str) -> Result<MergeResponse, proto::Status> {
    cluster.nodes[&1].merge(MergeRequest { key: key(at), passed_on: false }).await
}

/// Asks the leader of the range that holds a key; again as long as it begins its term.
async fn ask(cluster: &Cluster, txn: &Txn, name: &str, operation: Op) -> Result<Answer, Kind> {
    for _ in 0..100 {
        let range = cluster.range_of(name).await;
        let header = Header { range_id: range.range_id, span_epoch: range.span_epoch, ..txn.header() };
        let replica = range.replicas.iter().find(|replica| replica.node_id == range.leader_node_id);
        let data = proto::Network::connect(&cluster.network, &replica.unwrap().address);
        let leader = Client { data, ..txn.client.clone() };
        match leader.send(header, operation.clone()).await {
            Err(Kind::Unavailable(_) | Kind::NotLeader(_) | Kind::Retry(_) | Kind::StaleRange(_)) => {
                env::clock::sleep(Duration::from_millis(50)).await;
            }
            answer => return answer,
        }
    }
    panic!("the range of {name} does not answer");
}

/// A client of whoever leads the root range, however the data is divided.
async fn client_of(cluster: &Cluster) -> Client {
    for _ in 0..600 {
        let directory = cluster.nodes[&1].directory(DirectoryRequest::default()).await.unwrap();
        let root = directory.ranges.iter().find(|range| range.range_id == 1);
        let leader = root.and_then(|root| root.replicas.iter().find(|on| on.node_id == root.leader_node_id));
        if let Some(leader) = leader {
            let root = proto::Network::connect(&cluster.network, &leader.address);
            let cluster_id = directory.cluster_id.clone();
            let request =
                proto::v1::TimestampRequest { cluster_id: cluster_id.clone(), count: 1, forward: false };
            if root.timestamp(request).await.is_ok() {
                return Client { data: root.clone(), root, cluster_id, span_epoch: 1 };
            }
        }
        env::clock::sleep(Duration::from_millis(100)).await;
    }
    panic!("nobody leads the root range");
}

fn write(name: &str, text: Option<&str>) -> Write {
    Write { key: key(name), value: text.map(value), changes_key: None }
}

fn commit_of(name: &str, text: Option<&str>) -> Op {
    Op::Commit(Commit { writes: vec![write(name, text)], ..Commit::default() })
}

async fn put(cluster: &Cluster, client: &Client, name: &str, text: &str) -> u64 {
    for _ in 0..100 {
        let txn = client.begin().await;
        match ask(cluster, &txn, name, commit_of(name, Some(text))).await {
            Ok(Answer::Commit(result)) => return result.commit_timestamp,
            Ok(other) => panic!("{other:?}"),
            Err(_) => env::clock::sleep(Duration::from_millis(100)).await,
        }
    }
    panic!("{name} cannot be written");
}

async fn read_at(cluster: &Cluster, client: &Client, name: &str, at: u64) -> Option<String> {
    let txn = client.begin().await;
    match ask(cluster, &txn, name, Op::Get(Get { keys: vec![key(name)], at })).await.unwrap() {
        Answer::Get(got) => {
            got.versions[0].value.clone().map(|value| String::from_utf8(value.to_vec()).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

async fn read(cluster: &Cluster, client: &Client, name: &str) -> Option<String> {
    let now = client.timestamp().await;
    read_at(cluster, client, name, now).await
}

fn prewrite(name: &str, primary: &str, others: &[&str]) -> Op {
    Op::Prewrite(Prewrite {
        writes: vec![write(name, Some("new"))],
        primary: key(primary),
        others: others.iter().map(|other| key(other)).collect(),
        ..Prewrite::default()
    })
}

#[test]
fn one_range_holds_what_both_held() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        put(&cluster, &client, "a", "1").await;
        put(&cluster, &client, "z", "2").await;
        let old = cluster.range_of("z").await;
        let merged = merge(&cluster, "m").await.unwrap();
        assert!(!merged.already);
        let range = merged.range.unwrap();
        assert_eq!((range.range_id, range.span_epoch), (2, 3));
        assert_eq!(range.span.unwrap().end, old.span.clone().unwrap().end);
        assert!(merge(&cluster, "m").await.unwrap().already, "done again it does nothing");
        assert_eq!(read(&cluster, &client, "a").await.as_deref(), Some("1"));
        assert_eq!(read(&cluster, &client, "z").await.as_deref(), Some("2"));
        put(&cluster, &client, "z", "3").await;
        assert_eq!(read(&cluster, &client, "z").await.as_deref(), Some("3"));
        // Who knew the right one, or the left one as it was, is told.
        let txn = client.begin().await;
        for range_id in [2, 3] {
            let header = Header { range_id, span_epoch: 1, ..txn.header() };
            let answer = client.send(header, Op::Get(Get { keys: vec![key("z")], at: txn.start })).await;
            let Err(Kind::StaleRange(stale)) = answer else { panic!("{answer:?}") };
            assert!(stale.current.iter().any(|range| range.range_id == 2 && range.span_epoch == 3));
        }
        // The directory names the one, and not the other.
        env::clock::sleep(Duration::from_secs(3)).await;
        let directory = cluster.nodes[&1].directory(DirectoryRequest::default()).await.unwrap();
        let ids: Vec<u64> = directory.ranges.iter().map(|range| range.range_id).collect();
        assert_eq!(ids, [1, 2]);
    });
}

#[test]
fn nothing_commits_below_what_the_right_range_has_served() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let old = client.begin().await;
        let seen = client.timestamp().await;
        assert_eq!(read_at(&cluster, &client, "z", seen).await, None);
        assert_eq!(read_at(&cluster, &client, "a", seen).await, None);
        merge(&cluster, "m").await.unwrap();
        for name in ["a", "z"] {
            let Ok(Answer::Commit(result)) = ask(&cluster, &old, name, commit_of(name, Some("late"))).await
            else {
                panic!("{name} is not written");
            };
            assert!(result.commit_timestamp > seen, "{name}");
            assert_eq!(read_at(&cluster, &client, name, seen).await, None);
        }
    });
}

#[test]
fn a_lost_answer_is_recognised_by_the_range_that_has_taken_over() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        put(&cluster, &client, "z", "there").await;
        let txn = client.begin().await;
        let commit = |_| commit_of("z", None);
        let Ok(Answer::Commit(first)) = ask(&cluster, &txn, "z", commit(())).await else { panic!() };
        merge(&cluster, "m").await.unwrap();
        let Ok(Answer::Commit(again)) = ask(&cluster, &txn, "z", commit(())).await else { panic!() };
        assert_eq!(first.commit_timestamp, again.commit_timestamp);
    });
}

#[test]
fn intents_go_along_and_are_settled_by_whoever_holds_them() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let txn = client.begin().await;
        let mut at = 0;
        for (name, others) in [("a", &["z"][..]), ("z", &[])] {
            let written = ask(&cluster, &txn, name, prewrite(name, "a", others)).await;
            let Ok(Answer::Prewrite(written)) = written else { panic!("{written:?}") };
            at = written.commit_timestamp_min.max(at);
        }
        merge(&cluster, "m").await.unwrap();
        // It stands in the way still.
        let waiting = env::clock::timeout(Duration::from_millis(100), read(&cluster, &client, "z")).await;
        assert!(waiting.is_err(), "{waiting:?}");
        let decide = Decide {
            primary: key("a"),
            txn_id: txn.id.clone(),
            start_timestamp: txn.start,
            outcome: Outcome::Committed.into(),
            commit_timestamp: at,
            keys: vec![key("z")],
            ..Decide::default()
        };
        ask(&cluster, &txn, "a", Op::Decide(decide)).await.unwrap();
        let resolve = Resolve {
            keys: vec![key("z")],
            txn_id: txn.id.clone(),
            start_timestamp: txn.start,
            outcome: Outcome::Committed.into(),
            commit_timestamp: at,
            ..Resolve::default()
        };
        ask(&cluster, &txn, "z", Op::Resolve(resolve)).await.unwrap();
        for name in ["a", "z"] {
            assert_eq!(read(&cluster, &client, name).await.as_deref(), Some("new"), "{name}");
        }
    });
}

#[test]
fn who_was_barred_stays_so() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let txn = client.begin().await;
        let recover = Recover {
            keys: vec![key("z")],
            txn_id: txn.id.clone(),
            start_timestamp: txn.start,
            abort: true,
            ..Recover::default()
        };
        ask(&cluster, &txn, "z", Op::Recover(recover)).await.unwrap();
        merge(&cluster, "m").await.unwrap();
        let late = ask(&cluster, &txn, "z", prewrite("z", "a", &[])).await;
        assert!(late.is_err(), "{late:?}");
    });
}

#[test]
fn a_merge_that_cannot_come_about_is_undone() {
    simulate(|| async {
        let mut cluster = Cluster::three().await;
        let client = cluster.client().await;
        put(&cluster, &client, "a", "1").await;
        cluster.nodes[&1].split(SplitRequest { key: key("m"), passed_on: false }).await.unwrap();
        put(&cluster, &client, "z", "2").await;
        let away = (2..=3).find(|number| *number != 1).unwrap();
        cluster.kill(away).await;
        env::clock::sleep(Duration::from_secs(3)).await;
        let client = client_of(&cluster).await;
        let before = cluster.range_of("z").await;
        assert!(merge(&cluster, "m").await.is_err(), "one of its stores cannot say that it has frozen");
        assert_eq!(cluster.range_of("z").await.span_epoch, before.span_epoch, "it has not frozen in vain");
        // Both serve again.
        put(&cluster, &client, "a", "3").await;
        put(&cluster, &client, "z", "4").await;
        assert_ne!(cluster.range_of("a").await.range_id, cluster.range_of("z").await.range_id);
        cluster.start(away).await;
        cluster.nodes[&away].wait_ready(Duration::from_secs(20)).await.unwrap();
        env::clock::sleep(Duration::from_secs(5)).await;
        merge(&cluster, "m").await.unwrap();
        assert_eq!(cluster.range_of("a").await.range_id, cluster.range_of("z").await.range_id);
        assert_eq!(read(&cluster, &client, "a").await.as_deref(), Some("3"));
        assert_eq!(read(&cluster, &client, "z").await.as_deref(), Some("4"));
        // All of them killed at once find it so.
        for number in 1..=3 {
            cluster.kill(number).await;
        }
        for number in 1..=3 {
            cluster.start(number).await;
        }
        let client = client_of(&cluster).await;
        assert_eq!(read(&cluster, &client, "z").await.as_deref(), Some("4"));
        put(&cluster, &client, "z", "5").await;
    });
}

#[test]
fn a_border_that_there_is_not_is_gone_already() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        assert!(merge(&cluster, "k").await.unwrap().already);
        let wrong =
            cluster.nodes[&1].merge(MergeRequest { key: Bytes::from_static(b"r"), passed_on: false }).await;
        assert_eq!(wrong.unwrap_err().code(), proto::Code::InvalidArgument);
    });
}
