//! Ranges that sleep: whoever asks wakes them, and nothing that was promised is lost by it.

use std::time::Duration;

use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{
    Changes, DirectoryRequest, Get, Header, MergeRequest, RangeStatus, RangesRequest, Span, SplitRequest,
};
use proto::{Network, NodeService};

use crate::harness::{Client, Cluster, is_conflict, key, simulate};

/// How long nobody has asked a range anything before it sleeps in these tests.
const AFTER: Duration = Duration::from_secs(2);

/// How far what is closed lies behind.
const LAG: Duration = Duration::from_millis(500);

/// Long after all that was on its way as they fell asleep: what it takes to be awake is given back by then.
const LONG: Duration = Duration::from_secs(100);

/// Three nodes whose ranges sleep soon.
async fn three() -> Cluster {
    let mut cluster = Cluster::empty();
    (cluster.closed_lag, cluster.sleep_after) = (Some(LAG), Some(AFTER));
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

/// What the nodes say of their replicas of the range with data.
async fn held(cluster: &Cluster) -> Vec<RangeStatus> {
    let mut held = Vec::new();
    for node in cluster.nodes.values() {
        let ranges = node.ranges(RangesRequest::default()).await.unwrap().ranges;
        let is_data =
            |range: &RangeStatus| range.descriptor.as_ref().is_some_and(|range| range.range_id == 2);
        held.extend(ranges.into_iter().filter(is_data).filter(|range| range.replica_id != 0));
    }
    held
}

/// Waits until all of its replicas sleep; its term then.
async fn asleep(cluster: &Cluster) -> u64 {
    for _ in 0..600 {
        let held = held(cluster).await;
        if held.len() == cluster.nodes.len() && held.iter().all(|range| range.asleep) {
            return held.iter().map(|range| range.term).max().unwrap();
        }
        env::clock::sleep(Duration::from_millis(100)).await;
    }
    panic!("not asleep in a minute: {:?}", held(cluster).await);
}

/// What openraft does with a leader that nobody has answered for long depends on how long that is, in seconds: it must not show.
#[test]
fn whoever_asks_after_whatever_time_is_answered_at_once_by_who_led_before_and_the_range_sleeps_again() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        client.put("x", "0").await;
        let term = asleep(&cluster).await;
        let pauses =
            [0, 500, 1_200, 1_500, 2_000, 3_000, 4_300, 5_000, 6_500, 8_000, 11_000, 13_000, 60_000, 89_500];
        for (round, pause) in pauses.map(Duration::from_millis).into_iter().enumerate() {
            for writes in [false, true] {
                env::clock::sleep(pause).await;
                let asked = env::clock::now();
                if writes {
                    client.put("x", &(round + 1).to_string()).await;
                } else {
                    assert_eq!(client.read("x").await, Some(round.to_string()));
                }
                assert!(asked.elapsed() < Duration::from_millis(200), "{pause:?}: {:?}", asked.elapsed());
                // Though its leader may have its lease still.
                assert!(held(&cluster).await.iter().any(|range| !range.asleep), "{pause:?}");
                // Long enough for an election.
                env::clock::sleep(AFTER).await;
                assert_eq!(asleep(&cluster).await, term, "{pause:?}: its leader stays");
            }
        }
    });
}

#[test]
fn whoever_asks_a_follower_that_sleeps_for_what_a_leader_does_is_told_who_leads() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        client.put("x", "1").await;
        asleep(&cluster).await;
        env::clock::sleep(LONG).await;
        let (follower, header) = follower(&cluster, &client).await;
        let header = Header { from_follower: false, ..header };
        let get = Get { keys: vec![key("x")], at: client.timestamp().await };
        let Err(Kind::NotLeader(told)) = follower.send(header, Op::Get(get)).await else { panic!() };
        assert_eq!(told.leader_node_id, cluster.range_of("x").await.leader_node_id);
        assert!(held(&cluster).await.iter().all(|range| range.asleep), "which wakes nobody");
    });
}

#[test]
fn what_a_transaction_has_read_is_remembered_while_its_range_sleeps() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        client.put("x", "1").await;
        let mut txn = client.begin().await;
        assert_eq!(txn.get("x").await, Some("1".to_owned()));
        asleep(&cluster).await;
        let committed = client.put("x", "2").await;
        assert!(committed > txn.read_at);
        asleep(&cluster).await;
        assert_eq!(txn.get("x").await, Some("1".to_owned()), "at its own moment");
        txn.put("y", "1");
        let result = txn.commit().await;
        assert!(is_conflict(&result), "{result:?}");
    });
}

#[test]
fn a_lock_keeps_its_range_awake() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        // Before it has slept, as it has fallen asleep, while it has its lease still, and afterwards.
        for pause in [0, 300, 1_000, 3_000] {
            let mut txn = client.begin().await;
            txn.lock(&["x"]).await.unwrap();
            env::clock::sleep(AFTER * 2).await;
            assert!(held(&cluster).await.iter().all(|range| !range.asleep), "{pause}");
            txn.release().await;
            asleep(&cluster).await;
            env::clock::sleep(Duration::from_millis(pause)).await;
        }
    });
}

#[test]
fn who_watches_a_range_keeps_it_awake() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        client.put("x", "1").await;
        asleep(&cluster).await;
        for _ in 0..5 {
            let at = client.timestamp().await;
            let span = Some(Span { start: key("a"), end: key("z") });
            let changes = Changes { span, since: at - (100 << 18), at, bytes_max: 0 };
            client.send(client.begin().await.header(), Op::Changes(changes)).await.unwrap();
            // Whoever watches asks again before five seconds are over.
            env::clock::sleep(AFTER * 2).await;
            assert!(held(&cluster).await.iter().any(|range| !range.asleep));
        }
        asleep(&cluster).await;
    });
}

/// A lock that was taken out of sleep goes with its transaction, as any other.
#[test]
fn who_waits_for_a_lock_of_one_who_is_gone_does_not_wait_in_a_range_asleep() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        client.put("x", "1").await;
        asleep(&cluster).await;
        client.begin().await.lock(&["x"]).await.unwrap();
        let began = env::clock::now();
        // Of the first one nothing is heard any more.
        while client.begin().await.lock(&["x"]).await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(20));
        }
    });
}

/// A replica of the range with data that does not lead, and a request's header for it.
async fn follower(cluster: &Cluster, client: &Client) -> (Client, Header) {
    let directory = cluster.nodes[&1].directory(DirectoryRequest::default()).await.unwrap();
    let range = directory.ranges.into_iter().find(|range| range.range_id == 2).unwrap();
    let follows = range.replicas.iter().find(|replica| replica.node_id != range.leader_node_id).unwrap();
    let header = Header {
        cluster_id: client.cluster_id.clone(),
        range_id: range.range_id,
        span_epoch: range.span_epoch,
        timeout_ms: 2_000,
        from_follower: true,
        ..Header::default()
    };
    (Client { data: cluster.network.connect(&follows.address), ..client.clone() }, header)
}

#[test]
fn a_follower_asleep_answers_what_was_closed_and_who_reads_later_wakes_its_range() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        let committed = client.put("x", "1").await;
        asleep(&cluster).await;
        env::clock::sleep(LONG).await;
        let (follower, header) = follower(&cluster, &client).await;
        let get = |at| follower.send(header.clone(), Op::Get(Get { keys: vec![key("x")], at }));
        let Answer::Get(got) = get(committed).await.unwrap() else { panic!("an answer to a get") };
        assert_eq!(got.versions[0].value.as_deref(), Some(b"1".as_slice()));
        let now = client.timestamp().await;
        assert!(
            matches!(get(now).await, Err(Kind::NotClosed(closed)) if closed.closed_timestamp >= committed)
        );
        // Nobody asks the leader: the follower itself has it wake, and hears of what it closes.
        for _ in 0..20 {
            env::clock::sleep(LAG).await;
            if get(now).await.is_ok() {
                return;
            }
        }
        panic!("awake it closes what it did before");
    });
}

/// The leader does not hear of what its followers answer: they do not agree to sleep.
#[test]
fn who_reads_the_past_of_a_follower_all_the_time_keeps_its_range_awake_and_afterwards_it_rests() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        client.put("x", "1").await;
        let term = asleep(&cluster).await;
        env::clock::sleep(LONG).await;
        let (follower, header) = follower(&cluster, &client).await;
        let mut handed_out = std::collections::VecDeque::new();
        for round in 0..120 {
            env::clock::sleep(LAG).await;
            handed_out.push_back(client.timestamp().await);
            // Far enough behind that it is closed, and that the followers have heard of it.
            let Some(at) = (handed_out.len() > 8).then(|| handed_out.pop_front()).flatten() else { continue };
            match follower.send(header.clone(), Op::Get(Get { keys: vec![key("x")], at })).await {
                Ok(_) => {}
                Err(Kind::NotClosed(_)) if round < 20 => {}
                Err(error) => panic!("{round}: {error:?}"),
            }
            assert!(round < 20 || held(&cluster).await.iter().any(|range| !range.asleep), "{round}");
        }
        assert_eq!(asleep(&cluster).await, term, "nobody was elected for it");
    });
}

#[test]
fn the_data_of_a_leader_that_dies_asleep_is_served_by_another() {
    for number in [1, 2, 3] {
        simulate(|| async {
            let mut cluster = three().await;
            cluster.client().await.put("x", "1").await;
            asleep(&cluster).await;
            env::clock::sleep(Duration::from_secs(1) * number).await;
            let leader = cluster.leader_of_data().await;
            cluster.kill(leader).await;
            let client = cluster.client().await;
            assert_eq!(client.read("x").await, Some("1".to_owned()));
            client.put("x", "2").await;
            cluster.start(leader).await;
            assert_eq!(cluster.client().await.read("x").await, Some("2".to_owned()));
            asleep(&cluster).await;
        });
    }
}

#[test]
fn a_range_asleep_is_divided_and_both_parts_sleep() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        client.put("a", "1").await;
        client.put("x", "1").await;
        asleep(&cluster).await;
        env::clock::sleep(LONG).await;
        cluster.nodes[&1].split(SplitRequest { key: key("m"), passed_on: false }).await.unwrap();
        let client = cluster.client().await;
        client.put("a", "2").await;
        asleep(&cluster).await;
        assert_eq!(client.read("a").await, Some("2".to_owned()));
    });
}

#[test]
fn ranges_that_have_slept_for_long_are_merged() {
    simulate(|| async {
        let cluster = three().await;
        let client = cluster.client().await;
        client.put("a", "1").await;
        client.put("x", "2").await;
        cluster.nodes[&1].split(SplitRequest { key: key("m"), passed_on: false }).await.unwrap();
        asleep(&cluster).await;
        env::clock::sleep(LONG).await;
        let mut tries = 0;
        while let Err(error) = cluster.nodes[&1].merge(MergeRequest { key: key("m"), passed_on: false }).await
        {
            tries += 1;
            assert!(tries < 20, "{error}");
            env::clock::sleep(Duration::from_secs(1)).await;
        }
        asleep(&cluster).await;
        env::clock::sleep(LONG).await;
        let client = cluster.client().await;
        assert_eq!(client.read("a").await, Some("1".to_owned()));
        assert_eq!(client.read("x").await, Some("2".to_owned()));
    });
}
