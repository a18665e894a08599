//! Reads by replicas that do not lead: what they answer, what they leave to the leader, and that nothing is committed below what they
//! have answered.

use std::time::Duration;

use bytes::Bytes;
use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{
    Changes, Decide, Get, Header, Lock, NotClosed, Outcome, Prewrite, RangeStatus, RangesRequest, Scan, Span,
    SplitRequest, Write,
};
use proto::{Network, NodeService};

use crate::harness::{Client, Cluster, key, simulate, texts, value};

/// How far what is closed lies behind in these tests.
const LAG: Duration = Duration::from_millis(500);

/// After so long what was committed before is closed, and every follower knows.
const CLOSED: Duration = Duration::from_secs(3);

/// Three nodes that close timestamps soon. What is closed of ranges that sleep: [`crate::sleeping`].
async fn three() -> Cluster {
    let mut cluster = Cluster::empty();
    (cluster.closed_lag, cluster.sleep_after) = (Some(LAG), Some(Duration::from_secs(3600)));
    let node = cluster.start(1).await;
    assert!(node.init(None).await.unwrap());
    node.wait_ready(Duration::from_secs(20)).await.unwrap();
    for number in 2..=3 {
        let node = cluster.start(number).await;
        node.wait_ready(Duration::from_secs(20)).await.unwrap();
    }
    cluster.replicated().await;
    cluster
}

/// A replica of a range that does not lead it, and how it is asked.
struct Follower {
    client: Client,
    header: Header,
}

impl Follower {
    async fn of(cluster: &Cluster, client: &Client, name: &str) -> Self {
        let range = cluster.range_of(name).await;
        let follows = range.replicas.iter().find(|replica| replica.node_id != range.leader_node_id).unwrap();
        let data = cluster.network.connect(&follows.address);
        let header = Header {
            cluster_id: client.cluster_id.clone(),
            range_id: range.range_id,
            span_epoch: range.span_epoch,
            txn_id: Bytes::copy_from_slice(&env::random::id()),
            timeout_ms: 2_000,
            from_follower: true,
            ..Header::default()
        };
        Self { client: Client { data, ..client.clone() }, header }
    }

    async fn ask(&self, operation: Op) -> Result<Answer, Kind> {
        self.client.send(self.header.clone(), operation).await
    }

    async fn get(&self, name: &str, at: u64) -> Result<Option<String>, Kind> {
        match self.ask(Op::Get(Get { keys: vec![key(name)], at })).await? {
            Answer::Get(got) => {
                let found = got.versions[0].value.clone();
                Ok(found.map(|value| String::from_utf8(value.to_vec()).unwrap()))
            }
            other => panic!("{other:?}"),
        }
    }

    async fn scan(&self, from: &str, to: &str, at: u64) -> Result<Vec<(String, String)>, Kind> {
        let span = Span { start: key(from), end: key(to) };
        match self.ask(Op::Scan(Scan { span: Some(span), at, ..Scan::default() })).await? {
            Answer::Scan(scanned) => Ok(texts(scanned)),
            other => panic!("{other:?}"),
        }
    }

    /// Up to when it says that it may answer.
    async fn closed(&self) -> NotClosed {
        match self.get("x", u64::MAX).await {
            Err(Kind::NotClosed(not_closed)) => not_closed,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_follower_answers_what_its_leader_has_closed_and_leaves_the_rest_to_it() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        let first = client.put("x", "1").await;
        env::clock::sleep(CLOSED).await;
        let second = client.put("x", "2").await;
        let follower = Follower::of(&cluster, &client, "x").await;
        assert_eq!(follower.get("x", first).await.unwrap().as_deref(), Some("1"));
        assert_eq!(follower.get("x", first - 1).await.unwrap(), None);
        assert_eq!(follower.scan("a", "z", first).await.unwrap(), [("x".to_owned(), "1".to_owned())]);
        let Err(Kind::NotClosed(refused)) = follower.get("x", second).await else { panic!() };
        assert!(first <= refused.closed_timestamp && refused.closed_timestamp < second, "{refused:?}");
        assert_ne!(refused.leader_node_id, 0);
        // What only a leader does, and what was not asked of a follower.
        let lock = Lock { keys: vec![key("x")], ..Lock::default() };
        assert!(matches!(follower.ask(Op::Lock(lock)).await, Err(Kind::NotClosed(_))));
        assert!(matches!(follower.get("x", 0).await, Err(Kind::NotClosed(_))));
        let get = || Op::Get(Get { keys: vec![key("x")], at: first });
        let asked = |header: Header| follower.client.send(header, get());
        let of_leader = Header { from_follower: false, ..follower.header.clone() };
        assert!(matches!(asked(of_leader).await, Err(Kind::NotLeader(_))));
        let planned = Header { catalog_version: 1, ..follower.header.clone() };
        assert!(matches!(asked(planned).await, Err(Kind::NotClosed(_))), "it keeps the catalog version");
        let stale = Header { span_epoch: follower.header.span_epoch + 1, ..follower.header.clone() };
        assert!(matches!(asked(stale).await, Err(Kind::StaleRange(_))));
        // A leader answers whatever it is asked, up to what was handed out.
        let leads = Follower { client: client.clone(), header: follower.header.clone() };
        assert_eq!(leads.get("x", client.timestamp().await).await.unwrap().as_deref(), Some("2"));
        env::clock::sleep(CLOSED).await;
        assert_eq!(follower.get("x", second).await.unwrap().as_deref(), Some("2"));
    });
}

#[test]
fn a_follower_answers_while_nobody_leads() {
    simulate(|| async {
        let mut cluster = three().await;
        let client = cluster.client().await;
        let first = client.put("x", "1").await;
        env::clock::sleep(CLOSED).await;
        let follower = Follower::of(&cluster, &client, "x").await;
        let leader = cluster.leader_of_data().await;
        cluster.kill(leader).await;
        assert_eq!(follower.get("x", first).await.unwrap().as_deref(), Some("1"));
    });
}

#[test]
fn a_range_that_is_awake_and_that_nobody_asks_anything_closes_timestamps_without_entries() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        client.put("x", "1").await;
        env::clock::sleep(CLOSED).await;
        let follower = Follower::of(&cluster, &client, "x").await;
        let applied = async || {
            let ranges = cluster.nodes[&1].ranges(RangesRequest::default()).await.unwrap().ranges;
            let is_asked = |range: &&RangeStatus| range.descriptor.as_ref().unwrap().range_id == 2;
            ranges.iter().find(is_asked).unwrap().applied_index
        };
        let (before, entries) = (follower.closed().await.closed_timestamp, applied().await);
        env::clock::sleep(Duration::from_secs(30)).await;
        let after = follower.closed().await.closed_timestamp;
        assert!(applied().await <= entries + 1, "but for the safe point, perhaps");
        let seconds = (after - before) / (1000 << 18);
        assert!((27..=33).contains(&seconds), "{seconds} s");
    });
}

#[test]
fn nothing_is_committed_below_what_a_follower_may_answer() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        let mut long = client.begin().await;
        long.put("x", "late");
        env::clock::sleep(CLOSED).await;
        let follower = Follower::of(&cluster, &client, "x").await;
        let closed = follower.closed().await.closed_timestamp;
        assert!(closed > long.start);
        assert_eq!(follower.get("x", closed).await.unwrap(), None);
        let committed = long.commit().await.unwrap();
        assert!(committed > closed, "{committed} {closed}");
        assert_eq!(follower.get("x", closed).await.unwrap(), None);
    });
}

#[test]
fn a_transaction_that_takes_long_to_validate_commits_with_the_next_attempt() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        let txn = client.begin().await;
        // It validates at a timestamp, and is ready to commit there only after what is closed has come by.
        let prewrite = async |commit_at| {
            env::clock::sleep(CLOSED).await;
            let prewrite = Prewrite {
                writes: vec![Write { key: key("b"), value: Some(value("new")), changes_key: None }],
                primary: key("b"),
                commit_at,
                ..Prewrite::default()
            };
            client.send(txn.header(), Op::Prewrite(prewrite)).await
        };
        let first = client.timestamp().await;
        assert!(matches!(prewrite(first).await, Err(Kind::Pushed(_))));
        let second = client.timestamp().await;
        let Ok(Answer::Prewrite(written)) = prewrite(second).await else { panic!("it is refused again") };
        assert_eq!(written.commit_timestamp_min, second);
    });
}

#[test]
fn who_comes_late_for_those_who_watch_holds_them_up_and_not_what_is_closed() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        client.put("b", "old").await;
        env::clock::sleep(CLOSED).await;
        let follower = Follower::of(&cluster, &client, "b").await;
        // Whether who watches is told anything.
        let watch = async || {
            let at = client.timestamp().await;
            let span = Some(Span { start: key("a"), end: key("c") });
            let changes = Changes { span, since: at - (100 << 18), at, bytes_max: 0 };
            let txn = client.begin().await;
            match client.send(txn.header(), Op::Changes(changes)).await.unwrap() {
                Answer::Changes(answer) => answer.resume.is_none(),
                other => panic!("{other:?}"),
            }
        };
        assert!(watch().await);
        let before = follower.closed().await.closed_timestamp;
        for _ in 0..30 {
            let txn = client.begin().await;
            let commit_at = client.timestamp().await;
            env::clock::sleep(Duration::from_millis(300)).await;
            let read = Get { keys: vec![key("b")], at: client.timestamp().await };
            client.send(client.begin().await.header(), Op::Get(read)).await.unwrap();
            let prewrite = Prewrite {
                writes: vec![Write { key: key("b"), value: Some(value("new")), changes_key: None }],
                primary: key("b"),
                commit_at,
                ..Prewrite::default()
            };
            let refused = client.send(txn.header(), Op::Prewrite(prewrite)).await;
            assert!(matches!(refused, Err(Kind::Pushed(_))), "{refused:?}");
            assert!(!watch().await, "there is time for another attempt");
        }
        let seconds = (follower.closed().await.closed_timestamp - before) / (1000 << 18);
        assert!(seconds >= 6, "what is closed went on for {seconds} of 9 s");
    });
}

#[test]
fn a_lock_that_may_be_committed_below_is_left_to_the_leader() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        let before = client.put("b", "old").await;
        let txn = client.begin().await;
        let prewrite = Prewrite {
            writes: vec![Write { key: key("b"), value: Some(value("new")), changes_key: None }],
            primary: key("b"),
            ..Prewrite::default()
        };
        let Answer::Prewrite(written) = client.send(txn.header(), Op::Prewrite(prewrite)).await.unwrap()
        else {
            panic!()
        };
        let minimum = written.commit_timestamp_min;
        env::clock::sleep(CLOSED).await;
        let follower = Follower::of(&cluster, &client, "b").await;
        let Err(Kind::NotClosed(refused)) = follower.get("b", minimum).await else { panic!() };
        assert!(refused.closed_timestamp >= minimum, "it has come so far: {refused:?}");
        assert!(matches!(follower.scan("a", "c", minimum).await, Err(Kind::NotClosed(_))));
        assert_eq!(follower.get("b", before).await.unwrap().as_deref(), Some("old"), "below its minimum");
        assert_eq!(follower.scan("a", "c", before).await.unwrap(), [("b".to_owned(), "old".to_owned())]);
        assert_eq!(follower.get("c", minimum).await.unwrap(), None, "another key");
        let decide = Decide {
            primary: key("b"),
            txn_id: txn.id.clone(),
            start_timestamp: txn.start,
            outcome: Outcome::Committed.into(),
            commit_timestamp: minimum,
            ..Decide::default()
        };
        client.send(txn.header(), Op::Decide(decide)).await.unwrap();
        env::clock::sleep(CLOSED).await;
        assert_eq!(follower.get("b", minimum).await.unwrap().as_deref(), Some("new"));
        assert_eq!(follower.get("b", before).await.unwrap().as_deref(), Some("old"));
    });
}

#[test]
fn a_lock_behind_what_a_page_answers_for_is_in_nobodys_way() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        client.put("a", "1").await;
        client.put("b", "2").await;
        let txn = client.begin().await;
        let prewrite = Prewrite {
            writes: vec![Write { key: key("x"), value: Some(value("new")), changes_key: None }],
            primary: key("x"),
            ..Prewrite::default()
        };
        let Answer::Prewrite(written) = client.send(txn.header(), Op::Prewrite(prewrite)).await.unwrap()
        else {
            panic!()
        };
        let at = written.commit_timestamp_min;
        env::clock::sleep(CLOSED).await;
        let follower = Follower::of(&cluster, &client, "x").await;
        let page = |rows_max, reverse| {
            let span = Some(Span { start: key("a"), end: key("z") });
            Op::Scan(Scan { span, at, rows_max, reverse, ..Scan::default() })
        };
        let Answer::Scan(first) = follower.ask(page(1, false)).await.unwrap() else { panic!() };
        assert!(first.resume.is_some());
        assert_eq!(texts(first), [("a".to_owned(), "1".to_owned())]);
        assert!(matches!(follower.ask(page(2, false)).await, Err(Kind::NotClosed(_))), "there are no more");
        assert!(matches!(follower.ask(page(1, true)).await, Err(Kind::NotClosed(_))), "it lies on the way");
        let long = Get { keys: vec![[&key("x")[..], &[1; 64 << 10]].concat().into()], at };
        assert!(matches!(follower.ask(Op::Get(long)).await, Err(Kind::NotClosed(_))), "no key is so long");
    });
}

#[test]
fn a_range_that_was_divided_is_closed_anew_in_both_parts() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        client.put("a", "1").await;
        let at = client.put("x", "2").await;
        env::clock::sleep(CLOSED).await;
        let whole = Follower::of(&cluster, &client, "x").await;
        assert_eq!(whole.get("x", at).await.unwrap().as_deref(), Some("2"));
        cluster.nodes[&1].split(SplitRequest { key: key("m"), passed_on: false }).await.unwrap();
        env::clock::sleep(CLOSED * 2).await;
        assert!(matches!(whole.get("x", at).await, Err(Kind::StaleRange(_))));
        for (name, text) in [("a", "1"), ("x", "2")] {
            let part = Follower::of(&cluster, &client, name).await;
            assert!(part.header.span_epoch > whole.header.span_epoch);
            assert_eq!(part.get(name, at).await.unwrap().as_deref(), Some(text));
            let other = if name == "a" { "x" } else { "a" };
            assert!(matches!(part.get(other, at).await, Err(Kind::StaleRange(_))));
        }
    });
}

#[test]
fn a_follower_that_was_started_again_waits_until_it_is_told() {
    simulate(|| async {
        let mut cluster = three().await;
        let client = cluster.client().await;
        let at = client.put("x", "1").await;
        env::clock::sleep(CLOSED).await;
        let leader = cluster.leader_of_data().await;
        // Not the first, whose directory the tests ask for.
        let number = (2..=3).find(|number| *number != leader).unwrap();
        cluster.kill(number).await;
        cluster.start(number).await;
        let data = cluster.network.connect(&crate::harness::address(number));
        let told = Follower::of(&cluster, &client, "x").await;
        let follower = Follower { client: Client { data, ..client.clone() }, header: told.header };
        let mut refused = 0;
        loop {
            match follower.get("x", at).await {
                Ok(found) => break assert_eq!(found.as_deref(), Some("1")),
                Err(Kind::NotClosed(_) | Kind::Unavailable(_) | Kind::StaleRange(_)) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
            assert!(refused < 200, "it is told within ten seconds");
            env::clock::sleep(Duration::from_millis(50)).await;
        }
    });
}

#[test]
fn a_span_of_nothing_is_answered_and_one_beyond_the_range_is_not() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        let at = client.put("x", "1").await;
        env::clock::sleep(CLOSED).await;
        let follower = Follower::of(&cluster, &client, "x").await;
        assert_eq!(follower.scan("b", "c", at).await.unwrap(), []);
        let inverted = Span { start: key("c"), end: key("b") };
        let scan = Scan { span: Some(inverted), at, ..Scan::default() };
        assert!(matches!(follower.ask(Op::Scan(scan)).await, Err(Kind::Invalid(_))));
        let beyond = Span { start: key("c"), end: Bytes::new() };
        let scan = Scan { span: Some(beyond), at, ..Scan::default() };
        assert!(matches!(follower.ask(Op::Scan(scan)).await, Err(Kind::StaleRange(_))));
    });
}
