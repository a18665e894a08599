//! Large transactions, their coordinator's part played by hand: keys below `m` lie in one range, all others in another.

use std::time::Duration;

use bytes::Bytes;
use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{
    Check, Decide, DecideResult, Get, Header, Heartbeat, Lock, LockedKey, Outcome, Prewrite, Resolve, Scan,
    Span, Validate, WaitPolicy, Write,
};

use crate::harness::{Client, Cluster, Txn, key, simulate, value};
use crate::intents::{SETTLED, ask, decide, header, nothing_is_left, read, read_at, waits};

/// Writes intents on keys of one range.
async fn flush(txn: &Txn, names: &[&str], text: &str, number: u64) -> Result<u64, Kind> {
    let write = |name: &&str| Write { key: key(name), value: Some(value(text)), changes_key: None };
    let writes = names.iter().map(write).collect();
    let prewrite = Prewrite { writes, primary: key("a"), flush: number, ..Prewrite::default() };
    match ask(txn, names[0], Op::Prewrite(prewrite)).await? {
        Answer::Prewrite(written) => Ok(written.commit_timestamp_min),
        other => panic!("{other:?}"),
    }
}

fn span(start: &str, end: &str) -> Span {
    Span { start: key(start), end: key(end) }
}

async fn commit(txn: &Txn, at: u64) -> Result<DecideResult, Kind> {
    let decide = Decide {
        primary: key("a"),
        txn_id: txn.id.clone(),
        start_timestamp: txn.start,
        outcome: Outcome::Committed.into(),
        commit_timestamp: at,
        spans: vec![span("a", "zz")],
        ..Decide::default()
    };
    match ask(txn, "a", Op::Decide(decide)).await? {
        Answer::Decide(decided) => Ok(decided),
        other => panic!("{other:?}"),
    }
}

/// Resolves from `name` on; what is left.
async fn resolve(txn: &Txn, name: &str, outcome: Outcome, at: u64) -> Option<Span> {
    let resolve = Resolve {
        txn_id: txn.id.clone(),
        start_timestamp: txn.start,
        outcome: outcome.into(),
        commit_timestamp: at,
        span: Some(span(name, "zz")),
        ..Resolve::default()
    };
    match ask(txn, name, Op::Resolve(resolve)).await.unwrap() {
        Answer::Resolve(resolved) => resolved.resume,
        other => panic!("{other:?}"),
    }
}

async fn forget(txn: &Txn, at: u64) {
    let resolve = Resolve {
        txn_id: txn.id.clone(),
        start_timestamp: txn.start,
        outcome: Outcome::Committed.into(),
        commit_timestamp: at,
        forget: key("a"),
        ..Resolve::default()
    };
    ask(txn, "a", Op::Resolve(resolve)).await.unwrap();
}

/// What the transaction itself reads.
async fn own(txn: &Txn, name: &str, at: u64) -> Option<String> {
    let header = Header { sees_intents: true, ..header(txn, name) };
    let get = Get { keys: vec![key(name)], at };
    match txn.client.send(header, Op::Get(get)).await.unwrap() {
        Answer::Get(got) => text(got.versions[0].value.clone()),
        other => panic!("{other:?}"),
    }
}

fn text(value: Option<Bytes>) -> Option<String> {
    value.map(|value| String::from_utf8(value.to_vec()).unwrap())
}

/// The texts of the keys from `a` to `m`.
async fn scanned(txn: &Txn, at: u64, sees_intents: bool, reverse: bool, rows_max: u64) -> Vec<String> {
    let mut texts = Vec::new();
    let mut left = Some(span("a", "m"));
    while let Some(span) = left {
        let header = Header { sees_intents, ..header(txn, "a") };
        let scan = Scan { span: Some(span), at, rows_max, reverse, ..Scan::default() };
        let Answer::Scan(page) = txn.client.send(header, Op::Scan(scan)).await.unwrap() else { panic!() };
        texts.extend(page.rows.into_iter().filter_map(|row| text(Some(row.value))));
        left = page.resume;
    }
    texts
}

async fn put(client: &Client, name: &str, text: &str) {
    let mut txn = client.begin().await;
    txn.put(name, text);
    txn.commit().await.unwrap();
}

#[test]
fn what_is_flushed_again_in_other_company_is_there_as_a_whole() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let large = client.begin().await;
        flush(&large, &["a", "c", "e"], "one", 1).await.unwrap();
        // Of which of them nobody has heard: their ranges were another, and are asked anew, for more and for less.
        let least = flush(&large, &["a", "b", "c"], "one", 1).await.unwrap();
        flush(&large, &["d", "e", "f"], "one", 1).await.unwrap();
        flush(&large, &["e"], "one", 1).await.unwrap();
        // What comes late of an earlier flush changes nothing of a later one.
        flush(&large, &["c", "g"], "two", 2).await.unwrap();
        flush(&large, &["b", "c", "d"], "one", 1).await.unwrap();
        let at = client.timestamp().await.max(least);
        commit(&large, at).await.unwrap();
        resolve(&large, "a", Outcome::Committed, at).await;
        let texts = scanned(&large, at, false, false, 100).await;
        assert_eq!(texts, ["one", "one", "two", "one", "one", "one", "two"]);
    });
}

#[test]
fn a_repeated_commit_is_no_conflict_with_what_a_large_one_has_committed_since() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut first = client.begin().await;
        assert!(first.scan("a", "l").await.is_empty());
        first.put("b", "mine");
        let at = first.commit().await.unwrap();
        let large = client.begin().await;
        flush(&large, &["a", "k"], "large", 1).await.unwrap();
        let later = client.timestamp().await;
        commit(&large, later).await.unwrap();
        // Of the second key nobody has made a version yet.
        assert_eq!(first.commit().await.unwrap(), at);
        let mut other = client.begin().await;
        other.checks.push(Check { start: key("a"), end: key("l"), since: at });
        other.put("b", "yours");
        assert!(matches!(other.commit().await, Err(Kind::Conflict(_))));
    });
}

#[test]
fn a_reader_has_it_commit_later_and_reads_what_is_decided_before_it_is_resolved() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        put(&client, "b", "old").await;
        let txn = client.begin().await;
        flush(&txn, &["a", "b", "c"], "new", 1).await.unwrap();
        flush(&txn, &["z"], "new", 1).await.unwrap();
        // Both ranges answer at once, and at what they were asked.
        let seen_at = client.timestamp().await;
        assert!(!waits(&client, "a").await && !waits(&client, "z").await);
        assert_eq!(read_at(&client, "b", seen_at).await.as_deref(), Some("old"));
        assert_eq!(scanned(&client.begin().await, client.timestamp().await, false, false, 0).await, ["old"]);
        assert!(matches!(commit(&txn, seen_at).await, Err(Kind::Pushed(_))));
        let at = client.timestamp().await;
        let committed = DecideResult { outcome: Outcome::Committed.into(), commit_timestamp: at };
        assert_eq!(commit(&txn, at).await, Ok(committed));
        for name in ["a", "b", "c", "z"] {
            assert_eq!(read(&client, name).await.as_deref(), Some("new"));
        }
        assert_eq!(read_at(&client, "b", at - 1).await.as_deref(), Some("old"));
        for (reverse, rows_max) in [(false, 0), (true, 0), (false, 1), (true, 2)] {
            let now = client.timestamp().await;
            assert_eq!(
                scanned(&client.begin().await, now, false, reverse, rows_max).await,
                ["new", "new", "new"]
            );
        }
        let rest = resolve(&txn, "a", Outcome::Committed, at).await.unwrap();
        assert_eq!(rest, span("m", "zz"));
        assert_eq!(resolve(&txn, "m", Outcome::Committed, at).await, None);
        forget(&txn, at).await;
        nothing_is_left(&cluster).await;
        assert_eq!(read_at(&client, "b", at).await.as_deref(), Some("new"));
        assert_eq!(read_at(&client, "b", at - 1).await.as_deref(), Some("old"));
    });
}

#[test]
fn a_proof_fails_at_once_on_what_is_committed_and_not_resolved() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let txn = client.begin().await;
        flush(&txn, &["a", "b"], "new", 1).await.unwrap();
        let since = client.timestamp().await;
        let at = client.timestamp().await;
        assert!(commit(&txn, at).await.is_ok());
        let later = client.timestamp().await;
        let prover = client.begin().await;
        for (end, since) in [("", since), ("c", since)] {
            let end = if end.is_empty() { Bytes::new() } else { key(end) };
            let check = Check { start: key("b"), end, since };
            let validate = Validate { checks: vec![check.clone()], at: later, ..Validate::default() };
            let proven = ask(&prover, "b", Op::Validate(validate)).await;
            assert!(matches!(proven, Err(Kind::Conflict(_))), "{proven:?}");
            let before = Validate { checks: vec![check], at: at - 1, ..Validate::default() };
            ask(&prover, "b", Op::Validate(before)).await.unwrap();
        }
    });
}

#[test]
fn it_reads_what_it_has_flushed_last() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        put(&client, "b", "old").await;
        let txn = client.begin().await;
        flush(&txn, &["a", "c"], "first", 1).await.unwrap();
        flush(&txn, &["c", "d"], "second", 2).await.unwrap();
        // An earlier flush that arrives once more changes nothing.
        flush(&txn, &["a", "c"], "first", 1).await.unwrap();
        let at = txn.start;
        assert_eq!(own(&txn, "a", at).await.as_deref(), Some("first"));
        assert_eq!(own(&txn, "b", at).await.as_deref(), Some("old"));
        assert_eq!(own(&txn, "c", at).await.as_deref(), Some("second"));
        assert_eq!(scanned(&txn, at, true, false, 0).await, ["first", "old", "second", "second"]);
        assert_eq!(scanned(&txn, at, true, true, 3).await, ["second", "second", "old", "first"]);
        let header = Header { sees_intents: true, ..header(&txn, "c") };
        let lock = Lock { keys: vec![key("c"), key("b")], ..Lock::default() };
        let Answer::Lock(locked) = txn.client.send(header, Op::Lock(lock)).await.unwrap() else { panic!() };
        let value = |locked: &LockedKey| text(locked.newest.clone().unwrap().value);
        assert_eq!(
            locked.keys.iter().map(value).collect::<Vec<_>>(),
            [Some("second".to_owned()), Some("old".to_owned())]
        );
        let at = client.timestamp().await;
        commit(&txn, at).await.unwrap();
        assert_eq!(read(&client, "c").await.as_deref(), Some("second"));
    });
}

#[test]
fn one_whose_coordinator_dies_is_rolled_back_however_much_of_it_stands() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let txn = client.begin().await;
        flush(&txn, &["a", "b"], "new", 1).await.unwrap();
        flush(&txn, &["y", "z"], "new", 1).await.unwrap();
        env::clock::sleep(SETTLED).await;
        nothing_is_left(&cluster).await;
        assert_eq!(read(&client, "a").await, None);
        assert_eq!(read(&client, "z").await, None);
        // What comes late is refused, or goes again.
        assert_eq!(
            commit(&txn, client.timestamp().await).await.unwrap().outcome,
            i32::from(Outcome::Aborted)
        );
        assert!(matches!(flush(&txn, &["a", "b"], "new", 1).await, Err(Kind::Aborted(_))));
        flush(&txn, &["y"], "new", 1).await.unwrap();
        env::clock::sleep(SETTLED).await;
        nothing_is_left(&cluster).await;
        assert_eq!(read(&client, "y").await, None);
    });
}

#[test]
fn one_that_is_decided_is_resolved_by_others_when_its_coordinator_dies() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let txn = client.begin().await;
        flush(&txn, &["a", "b"], "new", 1).await.unwrap();
        flush(&txn, &["y", "z"], "new", 1).await.unwrap();
        let at = client.timestamp().await;
        commit(&txn, at).await.unwrap();
        env::clock::sleep(SETTLED).await;
        nothing_is_left(&cluster).await;
        assert_eq!(read_at(&client, "z", at).await.as_deref(), Some("new"));
        assert_eq!(read_at(&client, "z", at - 1).await, None);
    });
}

#[test]
fn signs_of_life_keep_it_alive_and_writers_wait_for_it_or_are_told() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let txn = client.begin().await;
        flush(&txn, &["a", "b"], "new", 1).await.unwrap();
        for _ in 0..12 {
            env::clock::sleep(Duration::from_secs(1)).await;
            let heartbeat = Heartbeat { txn_ids: vec![txn.id.clone()] };
            ask(&txn, "a", Op::Heartbeat(heartbeat)).await.unwrap();
        }
        let mut other = client.begin().await;
        let nowait = Lock { keys: vec![key("b")], wait: WaitPolicy::Nowait.into(), ..Lock::default() };
        assert!(matches!(ask(&other, "b", Op::Lock(nowait)).await, Err(Kind::LockNotAvailable(_))));
        let skips = Lock { keys: vec![key("b")], wait: WaitPolicy::SkipLocked.into(), ..Lock::default() };
        let Answer::Lock(skipped) = ask(&other, "b", Op::Lock(skips)).await.unwrap() else { panic!() };
        assert!(skipped.keys[0].skipped);
        let patience = Duration::from_millis(300);
        let lock = Lock { keys: vec![key("b")], ..Lock::default() };
        assert!(env::clock::timeout(patience, ask(&other, "b", Op::Lock(lock.clone()))).await.is_err());
        let at = client.timestamp().await;
        commit(&txn, at).await.unwrap();
        // Its intent is made a version for the writer's sake.
        let Answer::Lock(locked) = ask(&other, "b", Op::Lock(lock)).await.unwrap() else { panic!() };
        assert_eq!(locked.keys[0].newest.as_ref().unwrap().timestamp, at);
        other.put("b", "newer");
        other.start = client.timestamp().await;
        other.commit().await.unwrap();
        assert_eq!(read(&client, "b").await.as_deref(), Some("newer"));
        assert_eq!(read_at(&client, "b", at).await.as_deref(), Some("new"));
    });
}

#[test]
fn what_was_flushed_is_known_to_the_next_leader_and_to_both_parts_of_a_range() {
    simulate(|| async {
        let mut cluster = Cluster::single_cut(&["m"]).await;
        let txn = {
            let client = cluster.client().await;
            let txn = client.begin().await;
            flush(&txn, &["a", "b"], "new", 1).await.unwrap();
            flush(&txn, &["z"], "new", 1).await.unwrap();
            txn
        };
        cluster.kill(1).await;
        cluster.start(1).await;
        let client = cluster.client().await;
        let txn = Txn { client: client.clone(), ..txn };
        assert!(!waits(&client, "b").await);
        assert_eq!(own(&txn, "b", client.timestamp().await).await.as_deref(), Some("new"));
        let early = txn.start + 1;
        // The reader before the crash is not forgotten.
        assert!(commit(&txn, early).await.is_err());
        let at = client.timestamp().await;
        commit(&txn, at).await.unwrap();
        assert_eq!(read_at(&client, "z", at).await.as_deref(), Some("new"));
        assert_eq!(decide(&txn, "a", Outcome::Aborted, 0).await, (Outcome::Committed, at));
    });
}

#[test]
fn a_commit_that_relies_on_what_is_flushed_waits_and_hinders_no_reader() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let mut other = client.begin().await;
        assert_eq!(other.get("b").await, None);
        other.put("c", "newer");
        let txn = client.begin().await;
        flush(&txn, &["a", "b"], "new", 1).await.unwrap();
        let patience = Duration::from_millis(500);
        assert!(env::clock::timeout(patience, other.commit()).await.is_err());
        // It was promised nothing that could not be kept.
        assert!(!waits(&client, "a").await && !waits(&client, "b").await);
        let at = client.timestamp().await;
        commit(&txn, at).await.unwrap();
        // What it has read has changed.
        assert!(matches!(other.commit().await, Err(Kind::Conflict(_))));
    });
}

#[test]
fn one_that_wants_a_key_again_does_not_wait_for_who_waits_for_it() {
    simulate(|| async {
        let cluster = Cluster::single_cut(&["m"]).await;
        let client = cluster.client().await;
        let txn = client.begin().await;
        flush(&txn, &["a", "b"], "new", 1).await.unwrap();
        let other = client.begin().await;
        let wants = Lock { keys: vec![key("b")], wait_ms_max: 300, ..Lock::default() };
        let waiting = ask(&other, "b", Op::Lock(wants));
        let again = async {
            env::clock::sleep(Duration::from_millis(100)).await;
            let header = Header { sees_intents: true, ..header(&txn, "b") };
            let lock = Lock { keys: vec![key("b")], ..Lock::default() };
            env::clock::timeout(Duration::from_millis(50), txn.client.send(header, Op::Lock(lock))).await
        };
        let (waited, locked) = futures::join!(waiting, again);
        assert!(matches!(locked, Ok(Ok(Answer::Lock(_)))), "{locked:?}");
        assert!(matches!(waited, Err(Kind::LockNotAvailable(_))), "{waited:?}");
    });
}
