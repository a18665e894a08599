//! Transactions over several ranges, their coordinator's part played by hand: keys below `m` lie in one range, all others in
//! another.

use std::time::Duration;

use bytes::Bytes;
use proto::NodeService;
use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{
    Check, Decide, DecideResult, Get, Header, Heartbeat, HistoryRequest, Lock, Outcome, Prewrite,
    RangesRequest, Recover, Resolve, Unfinished, Validate, WaitPolicy, Write,
};

use crate::harness::{Client, Cluster, Txn, key, simulate, value};

/// How long after a coordinator's last sign of life its transaction is settled, at most.
pub(crate) const SETTLED: Duration = Duration::from_secs(10);

fn range_of(name: &str) -> u64 {
    if name < "m" { 2 } else { 3 }
}

pub(crate) fn header(txn: &Txn, name: &str) -> Header {
    Header { range_id: range_of(name), ..txn.header() }
}

pub(crate) async fn ask(txn: &Txn, name: &str, operation: Op) -> Result<Answer, Kind> {
    txn.client.send(header(txn, name), operation).await
}

/// Writes the intent of `name`, whose transaction's other keys are `others` if it is the primary.
pub(crate) async fn prewrite_at(
    txn: &Txn,
    name: &str,
    primary: &str,
    others: &[&str],
    at: u64,
) -> Result<u64, Kind> {
    let prewrite = Prewrite {
        writes: vec![Write { key: key(name), value: Some(value("new")), changes_key: None }],
        checks: Vec::new(),
        primary: key(primary),
        others: others.iter().map(|other| key(other)).collect(),
        commit_at: at,
        flush: 0,
    };
    match ask(txn, name, Op::Prewrite(prewrite)).await? {
        Answer::Prewrite(written) => Ok(written.commit_timestamp_min),
        other => panic!("{other:?}"),
    }
}

async fn prewrite(txn: &Txn, name: &str, primary: &str, others: &[&str]) -> Result<u64, Kind> {
    prewrite_at(txn, name, primary, others, 0).await
}

pub(crate) async fn decide(txn: &Txn, primary: &str, outcome: Outcome, at: u64) -> (Outcome, u64) {
    let decide = Decide {
        primary: key(primary),
        keys: Vec::new(),
        txn_id: txn.id.clone(),
        start_timestamp: txn.start,
        outcome: outcome.into(),
        commit_timestamp: at,
        spans: Vec::new(),
    };
    match ask(txn, primary, Op::Decide(decide)).await.unwrap() {
        Answer::Decide(DecideResult { outcome, commit_timestamp }) => {
            (Outcome::try_from(outcome).unwrap(), commit_timestamp)
        }
        other => panic!("{other:?}"),
    }
}

async fn resolve(txn: &Txn, name: &str, outcome: Outcome, at: u64, forget: Bytes) {
    let keys = if forget.is_empty() { vec![key(name)] } else { Vec::new() };
    let resolve = Resolve {
        keys,
        txn_id: txn.id.clone(),
        start_timestamp: txn.start,
        outcome: outcome.into(),
        commit_timestamp: at,
        forget,
        span: None,
    };
    ask(txn, name, Op::Resolve(resolve)).await.unwrap();
}

pub(crate) async fn read_at(client: &Client, name: &str, at: u64) -> Option<String> {
    let get = Get { keys: vec![key(name)], at };
    let txn = client.begin().await;
    match ask(&txn, name, Op::Get(get)).await.unwrap() {
        Answer::Get(got) => {
            got.versions[0].value.clone().map(|value| String::from_utf8(value.to_vec()).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn read(client: &Client, name: &str) -> Option<String> {
    let now = client.timestamp().await;
    read_at(client, name, now).await
}

/// Whether a read now is not answered within a moment.
pub(crate) async fn waits(client: &Client, name: &str) -> bool {
    env::clock::timeout(Duration::from_millis(200), read(client, name)).await.is_err()
}

/// What transactions that are not over have in the two ranges.
async fn unfinished(cluster: &Cluster) -> Vec<Unfinished> {
    let ranges = cluster.nodes[&1].ranges(RangesRequest::default()).await.unwrap().ranges;
    ranges.into_iter().filter_map(|range| range.unfinished).collect()
}

pub(crate) async fn nothing_is_left(cluster: &Cluster) {
    let left = unfinished(cluster).await;
    assert!(left.iter().all(|left| *left == Unfinished::default()), "{left:?}");
}

pub(crate) async fn new() -> Option<String> {
    Some("new".to_owned())
}

#[test]
fn it_is_seen_as_a_whole_once_it_is_decided() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let before = client.timestamp().await;
        let txn = client.begin().await;
        let first = prewrite(&txn, "a", "a", &["z"]).await.unwrap();
        let second = prewrite(&txn, "z", "a", &[]).await.unwrap();
        let at = first.max(second);
        assert!(before < txn.start && txn.start < at);
        assert_eq!(read_at(&client, "a", before).await, None);
        assert!(waits(&client, "a").await && waits(&client, "z").await);
        // The range that does not hold the primary finds the outcome there.
        assert_eq!(decide(&txn, "a", Outcome::Committed, at).await, (Outcome::Committed, at));
        assert_eq!(read(&client, "a").await, new().await);
        assert_eq!(read(&client, "z").await, new().await);
        assert_eq!(read_at(&client, "z", at - 1).await, None);
        assert_eq!(read_at(&client, "z", at).await, new().await);
        resolve(&txn, "z", Outcome::Committed, at, Bytes::new()).await;
        assert_eq!(unfinished(&cluster).await.iter().map(|left| left.decisions).sum::<u64>(), 1);
        resolve(&txn, "a", Outcome::Committed, at, key("a")).await;
        nothing_is_left(&cluster).await;
        // Asked again it is what it was.
        assert_eq!(decide(&txn, "a", Outcome::Aborted, 0).await, (Outcome::Committed, at));
        assert_eq!(prewrite(&txn, "z", "a", &[]).await, Ok(at));
        nothing_is_left(&cluster).await;
    });
}

#[test]
fn who_decides_what_another_has_decided_resolves_what_is_along() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let txn = client.begin().await;
        let first = prewrite(&txn, "a", "a", &["b"]).await.unwrap();
        let at = first.max(prewrite(&txn, "b", "a", &[]).await.unwrap());
        assert_eq!(decide(&txn, "a", Outcome::Committed, at).await, (Outcome::Committed, at));
        let intents = async || unfinished(&cluster).await.iter().map(|left| left.intents).sum::<u64>();
        assert_eq!(intents().await, 1);
        let along = Decide {
            primary: key("a"),
            keys: vec![key("b")],
            txn_id: txn.id.clone(),
            start_timestamp: txn.start,
            outcome: Outcome::Committed.into(),
            commit_timestamp: at,
            spans: Vec::new(),
        };
        ask(&txn, "a", Op::Decide(along)).await.unwrap();
        assert_eq!(intents().await, 0);
        assert_eq!(read_at(&client, "b", at).await, new().await);
    });
}

#[test]
fn a_coordinator_that_dies_with_all_intents_written_has_committed() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let txn = client.begin().await;
        let first = prewrite(&txn, "a", "a", &["y", "z"]).await.unwrap();
        let second =
            prewrite(&txn, "y", "a", &[]).await.unwrap().max(prewrite(&txn, "z", "a", &[]).await.unwrap());
        env::clock::sleep(SETTLED).await;
        nothing_is_left(&cluster).await;
        for name in ["a", "y", "z"] {
            assert_eq!(read_at(&client, name, first.max(second)).await, new().await);
            assert_eq!(read_at(&client, name, first.max(second) - 1).await, None);
        }
    });
}

#[test]
fn one_that_dies_before_has_not_and_what_arrives_late_is_refused() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let (primary, other) = (client.begin().await, client.begin().await);
        prewrite(&primary, "a", "a", &["z"]).await.unwrap();
        prewrite(&other, "y", "b", &[]).await.unwrap();
        env::clock::sleep(SETTLED).await;
        nothing_is_left(&cluster).await;
        assert_eq!((read(&client, "a").await, read(&client, "y").await), (None, None));
        for late in [
            prewrite(&primary, "z", "a", &[]).await,
            prewrite(&primary, "a", "a", &["z"]).await,
            prewrite(&other, "b", "b", &["y"]).await,
        ] {
            assert!(matches!(late, Err(Kind::Aborted(_))), "{late:?}");
        }
        assert_eq!(decide(&primary, "a", Outcome::Aborted, 0).await, (Outcome::Aborted, 0));
    });
}

#[test]
fn a_sign_of_life_keeps_it() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let txn = client.begin().await;
        let first = prewrite(&txn, "a", "a", &["z"]).await.unwrap();
        for _ in 0..20 {
            env::clock::sleep(Duration::from_secs(1)).await;
            let heartbeat = Heartbeat { txn_ids: vec![txn.id.clone()] };
            let Answer::Heartbeat(heard) = ask(&txn, "a", Op::Heartbeat(heartbeat)).await.unwrap() else {
                panic!()
            };
            assert!(heard.unknown.is_empty());
        }
        let second = prewrite(&txn, "z", "a", &[]).await.unwrap();
        let at = first.max(second);
        assert_eq!(decide(&txn, "a", Outcome::Committed, at).await, (Outcome::Committed, at));
        env::clock::sleep(SETTLED).await;
        nothing_is_left(&cluster).await;
        assert_eq!(read(&client, "z").await, new().await);
    });
}

#[test]
fn an_attempt_that_was_given_up_is_barred_on_its_primary() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let txn = client.begin().await;
        prewrite(&txn, "z", "a", &[]).await.unwrap();
        assert_eq!(decide(&txn, "a", Outcome::Aborted, 0).await, (Outcome::Aborted, 0));
        assert!(matches!(prewrite(&txn, "a", "a", &["z"]).await, Err(Kind::Aborted(_))));
        // Whoever is in its way finds out.
        assert_eq!(read(&client, "z").await, None);
        nothing_is_left(&cluster).await;
    });
}

#[test]
fn intents_outlive_the_process_that_has_written_them() {
    simulate(|| async {
        let mut cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let (whole, half) = (client.begin().await, client.begin().await);
        prewrite(&whole, "a", "a", &["z"]).await.unwrap();
        prewrite(&whole, "z", "a", &[]).await.unwrap();
        prewrite(&half, "y", "b", &[]).await.unwrap();
        cluster.kill(1).await;
        cluster.start(1).await.wait_ready(Duration::from_secs(20)).await.unwrap();
        let client = cluster.client().await;
        assert!(waits(&client, "a").await && waits(&client, "z").await && waits(&client, "y").await);
        env::clock::sleep(SETTLED).await;
        nothing_is_left(&cluster).await;
        assert_eq!(read(&client, "a").await, new().await);
        assert_eq!(read(&client, "z").await, new().await);
        assert_eq!(read(&client, "y").await, None);
    });
}

#[test]
fn of_two_that_stand_in_each_others_way_the_younger_gives_way() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let (older, younger) = (client.begin().await, client.begin().await);
        prewrite(&older, "a", "a", &["z"]).await.unwrap();
        prewrite(&younger, "z", "z", &["a"]).await.unwrap();
        let refused = prewrite(&younger, "a", "z", &[]).await;
        assert!(matches!(refused, Err(Kind::Conflict(_))), "{refused:?}");
        let waiting = prewrite(&older, "z", "a", &[]);
        let giving_way = async {
            env::clock::sleep(Duration::from_millis(100)).await;
            decide(&younger, "z", Outcome::Aborted, 0).await
        };
        let (written, _) = futures::future::join(waiting, giving_way).await;
        written.unwrap();
        env::clock::sleep(SETTLED).await;
        assert_eq!(read(&client, "z").await, new().await);
    });
}

#[test]
fn a_commit_waits_for_the_intent_on_its_key() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let txn = client.begin().await;
        let at = prewrite(&txn, "a", "a", &[]).await.unwrap();
        let mut other = client.begin().await;
        other.checks.push(Check { start: key("a"), end: Bytes::new(), since: other.start });
        other.put("a", "other");
        let committing = other.commit();
        let deciding = async {
            env::clock::sleep(Duration::from_millis(300)).await;
            decide(&txn, "a", Outcome::Committed, at).await
        };
        let (refused, _) = futures::future::join(committing, deciding).await;
        // It relies on nothing newer than its start.
        assert_eq!(refused.is_err(), at > other.start, "{refused:?}");
        assert!(read(&client, "a").await.is_some());
    });
}

#[test]
fn what_is_reserved_can_be_written_at_the_timestamp_that_was_validated() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        client.put("a", "old").await;
        let txn = client.begin().await;
        let at = client.timestamp().await;
        let validate = |reserve: &[&str]| Validate {
            checks: vec![Check { start: key("a"), end: key("c"), since: txn.start }],
            at,
            reserve: reserve.iter().map(|name| key(name)).collect(),
            reserve_ms: 50,
        };
        ask(&txn, "a", Op::Validate(validate(&["b"]))).await.unwrap();
        // Another's read above it waits, though not for long.
        let reading = read(&client, "b");
        let writing = prewrite_at(&txn, "b", "b", &[], at);
        let (read_before, written) =
            futures::future::join(env::clock::timeout(Duration::from_millis(20), reading), writing).await;
        assert!(read_before.is_err());
        assert_eq!(written, Ok(at));
        assert_eq!(decide(&txn, "b", Outcome::Committed, at).await, (Outcome::Committed, at));
        assert_eq!(read(&client, "b").await, new().await);
    });
}

#[test]
fn what_was_read_meanwhile_cannot() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let txn = client.begin().await;
        let at = client.timestamp().await;
        let validate = Validate {
            checks: vec![Check { start: key("a"), end: key("c"), since: txn.start }],
            at,
            reserve: vec![key("b")],
            reserve_ms: 50,
        };
        ask(&txn, "a", Op::Validate(validate.clone())).await.unwrap();
        // Once nothing is reserved any more, it is read.
        assert_eq!(read(&client, "b").await, None);
        let pushed = prewrite_at(&txn, "b", "b", &[], at).await;
        assert!(matches!(pushed, Err(Kind::Pushed(_))), "{pushed:?}");
        let pushed = ask(&txn, "a", Op::Validate(validate)).await;
        assert!(matches!(pushed, Err(Kind::Pushed(_))), "{pushed:?}");
    });
}

#[test]
fn whoever_asks_about_a_missing_prewrite_may_bar_it() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let txn = client.begin().await;
        let recover = |abort| {
            Op::Recover(Recover {
                keys: vec![key("z")],
                txn_id: txn.id.clone(),
                start_timestamp: txn.start,
                abort,
                push_to: 0,
            })
        };
        let outcome = |answer| match answer {
            Ok(Answer::Recover(found)) => Outcome::try_from(found.outcome).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(outcome(ask(&txn, "z", recover(false)).await), Outcome::Pending);
        assert_eq!(outcome(ask(&txn, "z", recover(true)).await), Outcome::Aborted);
        assert!(matches!(prewrite(&txn, "z", "a", &[]).await, Err(Kind::Aborted(_))));
        assert_eq!(outcome(ask(&txn, "z", recover(false)).await), Outcome::Aborted);
    });
}

#[test]
fn history_stays_for_whoever_is_not_resolved_yet() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let short = HistoryRequest { set_ms: Some(2_000), short_history: true, passed_on: false };
        client.data.history(short).await.unwrap();
        let (txn, barred) = (client.begin().await, client.begin().await);
        assert_eq!(decide(&barred, "b", Outcome::Aborted, 0).await, (Outcome::Aborted, 0));
        let first = prewrite(&txn, "a", "a", &["z"]).await.unwrap();
        for _ in 0..15 {
            env::clock::sleep(Duration::from_secs(1)).await;
            let heartbeat = Heartbeat { txn_ids: vec![txn.id.clone()] };
            ask(&txn, "a", Op::Heartbeat(heartbeat)).await.unwrap();
        }
        let get = |name: &str| Op::Get(Get { keys: vec![key(name)], at: txn.start });
        ask(&txn, "b", get("b")).await.unwrap();
        // The other range knows nothing of it, and has forgotten whoever began so early.
        assert!(matches!(ask(&txn, "y", get("y")).await, Err(Kind::BelowSafePoint(_))));
        let late = prewrite(&txn, "z", "a", &[]).await;
        assert!(matches!(late, Err(Kind::Ambiguous(unknown)) if unknown.settled), "{late:?}");
        // So it is aborted, and both go on.
        assert!(first > txn.start);
        assert_eq!(decide(&txn, "a", Outcome::Aborted, 0).await, (Outcome::Aborted, 0));
        env::clock::sleep(SETTLED).await;
        nothing_is_left(&cluster).await;
        assert!(matches!(ask(&txn, "b", get("b")).await, Err(Kind::BelowSafePoint(_))));
        // What bars is gone, and needed no more.
        for forgotten in [&txn, &barred] {
            assert_eq!(decide(forgotten, "b", Outcome::Aborted, 0).await, (Outcome::Aborted, 0));
            let late = prewrite(forgotten, "b", "b", &[]).await;
            assert!(matches!(late, Err(Kind::Ambiguous(_))), "{late:?}");
        }
    });
}

#[test]
fn who_skips_what_is_locked_waits_once_for_those_of_whom_nothing_is_heard() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        // Their primaries lie in the other range, where nobody has written them.
        let mut gone = Vec::new();
        for (name, primary) in [("n", "a"), ("o", "b"), ("p", "c"), ("q", "d")] {
            let txn = client.begin().await;
            prewrite(&txn, name, primary, &[]).await.unwrap();
            gone.push(txn);
        }
        let (other, begun) = (client.begin().await, env::clock::now());
        let keys = ["n", "o", "p", "q", "r"].map(key).to_vec();
        let skips = Lock { keys, wait: WaitPolicy::SkipLocked.into(), ..Lock::default() };
        let Answer::Lock(locked) = ask(&other, "n", Op::Lock(skips)).await.unwrap() else { panic!() };
        assert_eq!(
            locked.keys.iter().map(|key| key.skipped).collect::<Vec<_>>(),
            [true, true, true, true, false]
        );
        let waited = env::clock::now().duration_since(begun);
        assert!(waited < Duration::from_millis(1500), "{waited:?}");
    });
}
