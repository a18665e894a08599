//! History: how long it is kept, who holds it, what is refused below it, and what is deleted behind it.

use std::time::Duration;

use bytes::Bytes;
use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{
    GatewayHeartbeatRequest, HistoryRequest, HistoryResponse, KeepHistoryRequest, KeptHistory, Reclaim, Scan,
    Span,
};
use proto::{Code, Status};

use crate::harness::{Client, Cluster, Txn, key, simulate};

async fn seconds(seconds: u64) {
    env::clock::sleep(Duration::from_secs(seconds)).await;
}

async fn history(
    client: &Client,
    set_ms: Option<u64>,
    short_history: bool,
) -> Result<HistoryResponse, Status> {
    client.data.history(HistoryRequest { set_ms, short_history, passed_on: false }).await
}

async fn report(client: &Client, oldest: u64) -> Result<u64, Status> {
    let gateway_id = Bytes::from_static(&[7; 16]);
    let cluster_id = client.cluster_id.clone();
    let request = GatewayHeartbeatRequest { cluster_id, gateway_id, oldest, forward: false };
    client.root.gateway_heartbeat(request).await.map(|answer| answer.safe_point)
}

/// A cluster of one that keeps history for two seconds.
async fn forgetful() -> (Cluster, Client) {
    let cluster = Cluster::single().await;
    let client = cluster.client().await;
    history(&client, Some(2_000), true).await.unwrap();
    (cluster, client)
}

#[test]
fn what_lies_below_the_safe_point_is_refused_and_the_rest_is_there() {
    simulate(|| async {
        let (_cluster, client) = forgetful().await;
        client.put("x", "1").await;
        let mut old = client.begin().await;
        client.put("x", "2").await;
        assert_eq!(old.get("x").await.as_deref(), Some("1"));
        seconds(10).await;
        let refused = old.try_get("x").await;
        assert!(matches!(refused, Err(Kind::BelowSafePoint(ref below)) if below.safe_point > old.read_at));
        assert!(matches!(old.validate(client.timestamp().await).await, Err(Kind::BelowSafePoint(_))));
        old.put("x", "3");
        assert!(matches!(old.commit().await, Err(Kind::Ambiguous(unknown)) if unknown.settled));
        assert_eq!(client.read("x").await.as_deref(), Some("2"));
    });
}

/// Has history of some spans kept for longer, once all nodes have said that they can.
async fn keep(client: &Client, version: u64, kept: Vec<KeptHistory>) {
    for _ in 0..20 {
        let (cluster_id, kept) = (client.cluster_id.clone(), kept.clone());
        let request = KeepHistoryRequest { cluster_id, version, kept, ..Default::default() };
        match client.root.keep_history(request).await {
            Ok(_) => return,
            Err(status) => assert_eq!(status.code(), Code::Unavailable),
        }
        seconds(1).await;
    }
    panic!("history is not kept for longer");
}

fn kept(start: &str, end: &str, history_ms: u64) -> KeptHistory {
    let span = Some(Span { start: key(start), end: key(end) });
    KeptHistory { span, history_ms, held_until_ms: 0 }
}

#[test]
fn what_is_kept_for_longer_is_read_below_the_safe_point() {
    simulate(|| async {
        let (_cluster, client) = forgetful().await;
        let version = client.timestamp().await;
        keep(&client, version, vec![kept("b", "c", 0), kept("m", "n", 60_000)]).await;
        for name in ["a", "b", "m"] {
            client.put(name, "1").await;
        }
        let old = client.begin().await;
        for name in ["a", "b", "m"] {
            client.put(name, "2").await;
        }
        seconds(15).await;
        assert!(matches!(old.try_get("a").await, Err(Kind::BelowSafePoint(_))));
        assert_eq!(old.try_get("b").await.unwrap().as_deref(), Some("1"));
        assert_eq!(old.try_get("m").await.unwrap().as_deref(), Some("1"));
        let over_all =
            Scan { span: Some(Span { start: key("a"), end: key("z") }), at: old.read_at, ..Scan::default() };
        assert!(matches!(old.scan_raw(over_all).await, Err(Kind::BelowSafePoint(_))));
        seconds(60).await;
        assert_eq!(old.try_get("b").await.unwrap().as_deref(), Some("1"));
        assert!(matches!(old.try_get("m").await, Err(Kind::BelowSafePoint(_))));
        // What was said before does not come back; what is not kept any more is gone, and stays so.
        keep(&client, version - 1, Vec::new()).await;
        seconds(5).await;
        assert_eq!(old.try_get("b").await.unwrap().as_deref(), Some("1"));
        keep(&client, client.timestamp().await, Vec::new()).await;
        seconds(5).await;
        keep(&client, client.timestamp().await, vec![kept("b", "c", 0)]).await;
        seconds(5).await;
        assert!(matches!(old.try_get("b").await, Err(Kind::BelowSafePoint(_))));
    });
}

#[test]
fn what_is_said_late_does_not_take_the_place_of_what_was_said_again() {
    simulate(|| async {
        let (_cluster, client) = forgetful().await;
        let wanted = || vec![kept("b", "c", 0)];
        keep(&client, client.timestamp().await, wanted()).await;
        client.put("b", "1").await;
        let old = client.begin().await;
        client.put("b", "2").await;
        // Somebody finds that nothing is wanted, and says so only when the same is wanted again, and was said.
        let late = client.timestamp().await;
        keep(&client, client.timestamp().await, wanted()).await;
        keep(&client, late, Vec::new()).await;
        seconds(15).await;
        assert_eq!(old.try_get("b").await.unwrap().as_deref(), Some("1"));
    });
}

#[test]
fn what_is_said_late_does_not_take_the_place_of_what_another_leader_was_told_again() {
    simulate(|| async {
        let (mut cluster, client) = forgetful().await;
        let wanted = || vec![kept("b", "c", 0)];
        keep(&client, client.timestamp().await, wanted()).await;
        client.put("b", "1").await;
        let read_at = client.begin().await.read_at;
        client.put("b", "2").await;
        let late = client.timestamp().await;
        keep(&client, client.timestamp().await, wanted()).await;
        cluster.stop(1).await;
        cluster.start(1).await.wait_ready(Duration::from_secs(20)).await.unwrap();
        let client = cluster.client().await;
        keep(&client, late, Vec::new()).await;
        seconds(15).await;
        let old = Txn { read_at, ..client.begin().await };
        assert_eq!(old.try_get("b").await.unwrap().as_deref(), Some("1"));
    });
}

#[test]
fn who_knows_no_branches_has_nothing_forgotten_that_lies_below_them() {
    simulate(|| async {
        let (_cluster, client) = forgetful().await;
        keep(&client, client.timestamp().await, vec![kept("m", "n", 0)]).await;
        let cluster_id = client.cluster_id.clone();
        let told = |version, kept, branches, heeds_branches| {
            let cluster_id = cluster_id.clone();
            let request = KeepHistoryRequest {
                cluster_id,
                version,
                kept,
                branches,
                heeds_branches,
                ..Default::default()
            };
            client.root.keep_history(request)
        };
        let below = || vec![kept("b", "c", 0)];
        let answer = told(client.timestamp().await, below(), true, true).await.unwrap();
        assert!(answer.heeds_branches);
        client.put("b", "1").await;
        let old = client.begin().await;
        client.put("b", "2").await;
        let refused = told(client.timestamp().await, Vec::new(), false, false).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        seconds(15).await;
        assert_eq!(old.try_get("b").await.unwrap().as_deref(), Some("1"));
        // Whoever knows of them says that there are none any more, and then others may speak again.
        told(client.timestamp().await, Vec::new(), false, true).await.unwrap();
        told(client.timestamp().await, Vec::new(), false, false).await.unwrap();
        seconds(10).await;
        assert!(matches!(old.try_get("b").await, Err(Kind::BelowSafePoint(_))));
        // What was said later by such a one is in force: whoever makes a branch has to say it anew.
        let late = client.timestamp().await;
        told(client.timestamp().await, vec![kept("m", "n", 0)], false, false).await.unwrap();
        let refused = told(late, below(), true, true).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        told(client.timestamp().await, below(), true, true).await.unwrap();
    });
}

#[test]
fn spans_that_make_no_sense_are_not_kept() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        for wrong in [
            vec![kept("b", "b", 0)],
            vec![kept("b", "d", 0), kept("c", "e", 0)],
            vec![KeptHistory::default()],
        ] {
            let (cluster_id, version) = (client.cluster_id.clone(), client.timestamp().await);
            let request = KeepHistoryRequest { cluster_id, version, kept: wrong, ..Default::default() };
            let refused = client.root.keep_history(request).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument);
        }
    });
}

#[test]
fn a_check_below_the_safe_point_fails() {
    simulate(|| async {
        let (_cluster, client) = forgetful().await;
        let mut old = client.begin().await;
        assert_eq!(old.get("x").await, None);
        seconds(10).await;
        // A transaction that began lately and relies on something that was read long ago.
        let mut young = client.begin().await;
        young.checks = old.checks.clone();
        young.put("y", "1");
        assert!(matches!(young.commit().await, Err(Kind::BelowSafePoint(_))));
    });
}

#[test]
fn history_is_held_for_the_open_transactions_of_a_gateway() {
    simulate(|| async {
        let (_cluster, client) = forgetful().await;
        client.put("x", "1").await;
        let mut open = client.begin().await;
        report(&client, open.start).await.unwrap();
        client.put("x", "2").await;
        for _ in 0..10 {
            seconds(1).await;
            report(&client, open.start).await.unwrap();
        }
        assert!(history(&client, None, false).await.unwrap().held_by_gateways_ms > 5_000);
        assert_eq!(open.get("x").await.as_deref(), Some("1"));
        open.put("x", "3");
        assert!(matches!(open.commit().await, Err(Kind::Conflict(_))));
        // Silent for a lease, the gateway loses its hold.
        seconds(10).await;
        assert!(matches!(open.try_get("x").await, Err(Kind::BelowSafePoint(_))));
    });
}

#[test]
fn a_senseless_report_is_refused() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let request = GatewayHeartbeatRequest { cluster_id: client.cluster_id.clone(), ..Default::default() };
        let refused = client.root.gateway_heartbeat(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        // One that lies in the future holds as little as one that says nothing.
        report(&client, u64::MAX).await.unwrap();
    });
}

#[test]
fn a_gateway_that_reaches_one_node_only_is_heard_through_it() {
    simulate(|| async {
        let cluster = Cluster::three().await;
        let client = cluster.client().await;
        for node in cluster.nodes.values() {
            let request = |forward| {
                let (cluster_id, gateway_id) = (client.cluster_id.clone(), Bytes::from_static(&[7; 16]));
                let request = GatewayHeartbeatRequest { cluster_id, gateway_id, oldest: 1, forward };
                proto::NodeService::gateway_heartbeat(&**node, request)
            };
            assert!(request(true).await.unwrap().newest > 0);
            // Who is not asked to pass it on names the leader.
            if let Err(named) = request(false).await {
                assert_eq!(named.code(), Code::FailedPrecondition);
                assert!(named.message().starts_with("node"), "{}", named.message());
            }
        }
    });
}

#[test]
fn how_long_history_is_kept_can_be_asked_and_changed_at_any_node() {
    simulate(|| async {
        let cluster = Cluster::three().await;
        for node in cluster.nodes.values() {
            let ask = |set_ms, short_history| {
                let request = HistoryRequest { set_ms, short_history, passed_on: false };
                proto::NodeService::history(&**node, request)
            };
            ask(Some(3_600_000), false).await.unwrap();
            assert_eq!(ask(None, false).await.unwrap().history_ms, 3_600_000);
            assert_eq!(ask(Some(59_999), false).await.unwrap_err().code(), Code::InvalidArgument);
            assert_eq!(ask(Some(0), false).await.unwrap().history_ms, 0);
            assert_eq!(ask(Some(10), true).await.unwrap().history_ms, 10);
            assert_eq!(ask(None, false).await.unwrap().history_ms, 10);
        }
    });
}

#[test]
fn history_is_kept_for_as_long_as_was_said_and_for_an_hour_without_a_word() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        assert_eq!(history(&client, None, false).await.unwrap().history_ms, 3_600_000);
        history(&client, Some(60_000), false).await.unwrap();
        client.put("x", "1").await;
        let mut old = client.begin().await;
        client.put("x", "2").await;
        seconds(50).await;
        assert_eq!(old.get("x").await.as_deref(), Some("1"));
        seconds(30).await;
        assert!(matches!(old.try_get("x").await, Err(Kind::BelowSafePoint(_))));
    });
}

#[test]
fn a_span_that_was_given_up_is_deleted_once_nobody_can_read_it() {
    simulate(|| async {
        let (mut cluster, client) = forgetful().await;
        let mut txn = client.begin().await;
        for number in 0..100 {
            txn.put(&format!("k/{number}"), "x");
        }
        txn.commit().await.unwrap();
        let given_up = client.put("given up", "k/").await;
        let reclaim = |span: Span| {
            let client = client.clone();
            async move {
                let header = client.begin().await.header();
                let reclaim = Reclaim { span: Some(span), given_up };
                match client.send(header, Op::Reclaim(reclaim)).await {
                    Ok(Answer::Reclaim(answer)) => Ok(answer.done),
                    Ok(other) => panic!("{other:?}"),
                    Err(refused) => Err(refused),
                }
            }
        };
        let span = Span { start: key("k/"), end: key("k0") };
        assert_eq!(reclaim(span.clone()).await, Ok(false));
        seconds(10).await;
        let senseless = Span { start: key("k0"), end: key("k/") };
        assert!(matches!(reclaim(senseless).await, Err(Kind::Invalid(_))));
        for _ in 0..2 {
            assert_eq!(reclaim(span.clone()).await, Ok(true));
            let txn = client.begin().await;
            let scan = Scan { span: Some(span.clone()), at: txn.read_at, ..Scan::default() };
            assert_eq!(txn.scan_raw(scan).await.unwrap().rows.len(), 0);
        }
        client.put("k/7", "new").await;
        cluster.kill(1).await;
        cluster.start(1).await;
        let client = cluster.client().await;
        assert_eq!(client.read("k/7").await.as_deref(), Some("new"));
        assert_eq!(client.read("k/8").await, None);
    });
}

#[test]
fn the_safe_point_survives_the_node() {
    simulate(|| async {
        let (mut cluster, client) = forgetful().await;
        let old = client.begin().await;
        seconds(10).await;
        cluster.kill(1).await;
        cluster.start(1).await;
        let client = cluster.client().await;
        let read_at = old.read_at;
        let again = client.begin().await;
        let old = crate::harness::Txn { read_at, ..again };
        assert!(matches!(old.try_get("x").await, Err(Kind::BelowSafePoint(_))));
    });
}
