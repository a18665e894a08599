//! History that is erased: who reads it then, and what becomes of it on the disk.

use std::time::Duration;

use bytes::Bytes;
use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{
    EraseHistory, HistoryRequest, KeepHistoryRequest, KeptHistory, Measure, Scan, Span, Versions,
    VersionsResult,
};

use crate::harness::{Client, Cluster, Txn, key, simulate};

fn span(from: &str, to: &str) -> Span {
    Span { start: key(from), end: key(to) }
}

/// The one key.
fn only(name: &str) -> Span {
    Span { start: key(name), end: keys::span::successor(&key(name)) }
}

async fn erase(client: &Client, spans: Vec<Span>, before: u64) -> Result<(), Kind> {
    let header = client.begin().await.header();
    match client.send(header, Op::EraseHistory(EraseHistory { spans, before })).await? {
        Answer::EraseHistory(_) => Ok(()),
        other => panic!("{other:?}"),
    }
}

/// The values of all versions of a span, the newest of each key first.
async fn values(client: &Client, span: Span, at: u64) -> Vec<Option<Bytes>> {
    let found = page(client, Versions { span: Some(span), at, ..Versions::default() }).await;
    found.versions.into_iter().map(|version| version.value).collect()
}

async fn page(client: &Client, wanted: Versions) -> VersionsResult {
    let header = client.begin().await.header();
    match client.send(header, Op::Versions(wanted)).await.unwrap() {
        Answer::Versions(found) => found,
        other => panic!("{other:?}"),
    }
}

fn is_erased<T: std::fmt::Debug>(result: &Result<T, Kind>) -> bool {
    matches!(result, Err(Kind::BelowSafePoint(below)) if below.erased)
}

fn scan(over: Span, at: u64) -> Scan {
    Scan { span: Some(over), at, ..Scan::default() }
}

#[test]
fn what_was_erased_nobody_reads_and_what_is_beside_it_and_later_is_there() {
    simulate(|| async {
        let mut cluster = Cluster::single().await;
        let client = cluster.client().await;
        for name in ["a", "b", "c"] {
            client.put(name, "1").await;
        }
        let old = client.begin().await;
        for name in ["a", "b", "c"] {
            client.put(name, "2").await;
        }
        let later = client.begin().await;
        client.put("b", "3").await;
        assert_eq!(old.try_get("b").await.unwrap().as_deref(), Some("1"));
        erase(&client, vec![only("b")], later.read_at).await.unwrap();
        // The same again does nothing.
        erase(&client, vec![only("b")], later.read_at).await.unwrap();
        check_what_is_left(&client, old.read_at, later.read_at).await;
        cluster.kill(1).await;
        cluster.start(1).await;
        check_what_is_left(&cluster.client().await, old.read_at, later.read_at).await;
    });
}

async fn check_what_is_left(client: &Client, old: u64, later: u64) {
    let old = Txn { read_at: old, ..client.begin().await };
    let later = Txn { read_at: later, ..client.begin().await };
    assert!(is_erased(&old.try_get("b").await));
    assert_eq!(old.try_get("a").await.unwrap().as_deref(), Some("1"));
    assert!(is_erased(&old.scan_raw(scan(span("a", "d"), old.read_at)).await));
    assert_eq!(old.scan_raw(scan(span("a", "b"), old.read_at)).await.unwrap().rows.len(), 1);
    assert_eq!(later.try_get("b").await.unwrap().as_deref(), Some("2"));
    assert_eq!(client.read("b").await.as_deref(), Some("3"));
}

#[test]
fn of_all_versions_those_that_were_erased_are_none() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        for text in ["1", "2", "3"] {
            client.put("a", text).await;
            client.put("b", text).await;
        }
        let now = client.timestamp().await;
        client.put("a", "4").await;
        let end = client.timestamp().await;
        erase(&client, vec![only("a")], now).await.unwrap();
        let texts = |values: Vec<Option<Bytes>>| {
            let text = |value: Option<Bytes>| String::from_utf8(value.unwrap().to_vec()).unwrap();
            values.into_iter().map(text).collect::<String>()
        };
        assert_eq!(texts(values(&client, only("a"), end).await), "43");
        assert_eq!(texts(values(&client, span("a", "c"), end).await), "43321");
        // Up to a moment before nothing of it is left.
        assert_eq!(texts(values(&client, span("a", "c"), now - 1).await), "321");
    });
}

#[test]
fn what_was_erased_between_two_pages_is_not_on_the_second() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        for text in ["1", "2", "3"] {
            client.put("a", text).await;
        }
        let end = client.timestamp().await;
        let wanted =
            |below| Versions { span: Some(only("a")), at: end, below, bytes_max: 1, ..Versions::default() };
        let first = page(&client, wanted(0)).await;
        assert_eq!(first.versions.len(), 1);
        assert!(first.resume.is_some());
        let second = page(&client, wanted(first.below)).await;
        assert_eq!(second.versions.len(), 1);
        erase(&client, vec![only("a")], end).await.unwrap();
        let second = page(&client, wanted(first.below)).await;
        assert!(second.versions.is_empty() && second.resume.is_none(), "{second:?}");
    });
}

#[test]
fn more_than_a_range_can_remember_is_refused_before_it_is_logged() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        client.put("a", "1").await;
        let then = client.begin().await;
        client.put("a", "2").await;
        let now = client.timestamp().await;
        let long = |number: u32| only(&format!("a{number:03}{}", "x".repeat(300)));
        let mut spans = vec![only("a")];
        spans.extend((0..200).map(long));
        let refused = erase(&client, spans, now).await;
        assert!(matches!(refused, Err(Kind::TooLarge(_))), "{refused:?}");
        assert_eq!(then.try_get("a").await.unwrap().as_deref(), Some("1"), "nothing of it was done");
    });
}

#[test]
fn a_transaction_that_began_before_goes_on_with_what_was_left() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        client.put("a", "1").await;
        client.put("b", "1").await;
        let mut open = client.begin().await;
        assert_eq!(open.get("b").await.as_deref(), Some("1"));
        client.put("a", "2").await;
        erase(&client, vec![only("a")], client.timestamp().await).await.unwrap();
        assert!(is_erased(&open.try_get("a").await));
        open.put("b", "2");
        open.commit().await.unwrap();
        assert_eq!(client.read("b").await.as_deref(), Some("2"));
        // What it has not read of the key it finds changed all the same.
        let mut late = client.begin().await;
        assert_eq!(late.get("a").await.as_deref(), Some("2"));
        let mut gone = client.begin().await;
        gone.delete("a");
        gone.commit().await.unwrap();
        erase(&client, vec![only("a")], client.timestamp().await).await.unwrap();
        late.put("a", "3");
        assert!(matches!(late.commit().await, Err(Kind::Conflict(_))));
    });
}

#[test]
fn what_makes_no_sense_is_refused() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let now = client.timestamp().await;
        for wrong in [
            Vec::new(),
            vec![span("b", "b")],
            vec![span("c", "d"), span("a", "b")],
            vec![span("a", "c"), span("b", "d")],
            vec![Span { start: key("a"), end: Bytes::new() }],
        ] {
            assert!(matches!(erase(&client, wrong, now).await, Err(Kind::Invalid(_))));
        }
        assert!(matches!(erase(&client, vec![only("a")], 0).await, Err(Kind::Invalid(_))));
    });
}

#[test]
fn all_nodes_have_to_know_of_it() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        for _ in 0..20 {
            let cluster_id = client.cluster_id.clone();
            let asked = KeepHistoryRequest { cluster_id, erases: true, ..Default::default() };
            if let Ok(answer) = client.root.keep_history(asked).await {
                assert!(answer.may_erase);
                return;
            }
            env::clock::sleep(Duration::from_secs(1)).await;
        }
        panic!("the cluster does not say that it may be erased");
    });
}

#[test]
fn what_was_erased_goes_from_the_disk_though_history_is_kept_for_ever() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let set = HistoryRequest { set_ms: Some(2_000), short_history: true, passed_on: false };
        client.data.history(set).await.unwrap();
        let mut is_kept = false;
        for _ in 0..20 {
            let kept = KeptHistory { span: Some(span("b", "c")), history_ms: 0, ..KeptHistory::default() };
            let (cluster_id, version) = (client.cluster_id.clone(), client.timestamp().await);
            let request = KeepHistoryRequest { cluster_id, version, kept: vec![kept], ..Default::default() };
            if client.root.keep_history(request).await.is_ok() {
                is_kept = true;
                break;
            }
            env::clock::sleep(Duration::from_secs(1)).await;
        }
        assert!(is_kept);
        env::clock::sleep(Duration::from_secs(5)).await;
        let mut text = String::new();
        let mut digits = 1_u64;
        for _ in 0..100 {
            text.clear();
            while text.len() < 10_000 {
                digits ^= digits << 13;
                digits ^= digits >> 7;
                digits ^= digits << 17;
                text.push_str(&digits.to_string());
            }
            client.put("b", &text).await;
        }
        let bytes = || async {
            let measure = Measure { spans: vec![span("b", "c")], history: false };
            match client.send(client.begin().await.header(), Op::Measure(measure)).await.unwrap() {
                Answer::Measure(measured) => measured.bytes[0],
                other => panic!("{other:?}"),
            }
        };
        env::clock::sleep(Duration::from_secs(60)).await;
        assert!(bytes().await > 300_000, "{}", bytes().await);
        erase(&client, vec![only("b")], client.timestamp().await).await.unwrap();
        env::clock::sleep(Duration::from_secs(60)).await;
        assert!(bytes().await < 100_000, "{}", bytes().await);
        assert_eq!(client.read("b").await.as_deref(), Some(text.as_str()));
    });
}
