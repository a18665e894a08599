//! Entries of indexes that are written in bulk, below what was read before.

use std::time::Duration;

use bytes::Bytes;
use proto::NodeService;
use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{CheckConsistencyRequest, HistoryRequest, Ingest, KeyValue, Reclaim, Scan, Span, Write};

use crate::harness::{Client, Cluster, Txn, simulate};

/// An index of a table.
const INDEX: u64 = 5_000;

fn entry(name: &str) -> Bytes {
    entry_of(INDEX, name)
}

fn entry_of(index: u64, name: &str) -> Bytes {
    let mut key = keys::sql::index_prefix(keys::sql::TENANT_DEFAULT, index).to_vec();
    key.extend_from_slice(name.as_bytes());
    key.push(keys::sql::SUFFIX_ROW);
    key.into()
}

fn write(key: Bytes, text: &str) -> Write {
    Write { key, value: Some(Bytes::copy_from_slice(text.as_bytes())), changes_key: None }
}

async fn ingest(client: &Client, at: u64, writes: Vec<Write>) -> Result<(), Kind> {
    // A request of no transaction.
    let header =
        proto::v1::Header { txn_id: Bytes::new(), start_timestamp: 0, ..client.begin().await.header() };
    match client.send(header, Op::Ingest(Ingest { at, writes })).await? {
        Answer::Ingest(_) => Ok(()),
        other => panic!("{other:?}"),
    }
}

/// What a transaction reads of the index.
async fn entries(txn: &Txn) -> Vec<(Bytes, Bytes)> {
    let span = keys::sql::index_span(keys::sql::TENANT_DEFAULT, INDEX);
    let span = Some(Span { start: span.start, end: span.end });
    let found = txn.scan_raw(Scan { span, at: txn.read_at, ..Scan::default() }).await.unwrap();
    found.rows.into_iter().map(|KeyValue { key, value, .. }| (key, value)).collect()
}

fn expected(names: &[(&str, &str)]) -> Vec<(Bytes, Bytes)> {
    names.iter().map(|(name, text)| (entry(name), Bytes::copy_from_slice(text.as_bytes()))).collect()
}

#[test]
fn what_is_ingested_stands_below_what_was_written_since() {
    simulate(|| async {
        let mut cluster = Cluster::three().await;
        let client = cluster.client().await;
        let at = client.timestamp().await;
        // Writers know of the index before it is filled: one has written an entry anew, one has deleted one.
        let mut writer = client.begin().await;
        writer.writes.insert(entry("b"), Some(Bytes::from_static(b"new")));
        writer.writes.insert(entry("c"), None);
        writer.commit().await.unwrap();
        let read_before = client.begin().await;
        assert_eq!(entries(&read_before).await, expected(&[("b", "new")]));
        let writes: Vec<Write> = ["a", "b", "c", "d"].map(|name| write(entry(name), "old")).to_vec();
        // Twice, as a request that was sent again.
        ingest(&client, at, writes.clone()).await.unwrap();
        ingest(&client, at, writes).await.unwrap();
        let all = expected(&[("a", "old"), ("b", "new"), ("d", "old")]);
        assert_eq!(entries(&client.begin().await).await, all);
        // Whoever reads before the index is public sees this: nobody does.
        assert_eq!(entries(&read_before).await, all);
        let mut writer = client.begin().await;
        writer.writes.insert(entry("d"), None);
        writer.commit().await.unwrap();
        let left = expected(&[("a", "old"), ("b", "new")]);
        for node in 1..=3 {
            cluster.kill(node).await;
            cluster.start(node).await.wait_ready(Duration::from_secs(30)).await.unwrap();
        }
        let client = cluster.client().await;
        assert_eq!(entries(&client.begin().await).await, left);
    });
}

#[test]
fn what_is_ingested_among_deletions_is_found() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let at = client.timestamp().await;
        let mut writer = client.begin().await;
        for name in ["a", "b", "y", "z"] {
            writer.writes.insert(entry(name), None);
        }
        writer.commit().await.unwrap();
        // The leader takes the timestamps, and knows in the end that there is nothing.
        for _ in 0..3 {
            let asking = Txn { start: 0, read_at: 0, ..client.begin().await };
            assert!(entries(&asking).await.is_empty());
        }
        ingest(&client, at, vec![write(entry("k"), "old")]).await.unwrap();
        assert_eq!(entries(&client.begin().await).await, expected(&[("k", "old")]));
    });
}

#[test]
fn what_is_no_new_index_is_not_ingested() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut writer = client.begin().await;
        writer.writes.insert(entry("m"), Some(Bytes::from_static(b"1")));
        writer.commit().await.unwrap();
        let at = client.timestamp().await;
        let refused = |writes: Vec<Write>| {
            let client = client.clone();
            async move { ingest(&client, at, writes).await.unwrap_err() }
        };
        let wrong = [
            Vec::new(),
            // Not in order, or twice.
            vec![write(entry("b"), "1"), write(entry("a"), "1")],
            vec![write(entry("a"), "1"), write(entry("a"), "1")],
            // A deletion.
            vec![Write { value: None, ..write(entry("a"), "1") }],
            // Of two indexes, of the catalog, of none.
            vec![write(entry("a"), "1"), write(entry_of(INDEX + 1, "a"), "1")],
            vec![write(entry_of(7, "a"), "1")],
            vec![write(crate::harness::key("a"), "1")],
            // Somebody has written between them before.
            vec![write(entry("a"), "1"), write(entry("z"), "1")],
        ];
        for writes in wrong {
            let refusal = refused(writes.clone()).await;
            assert!(matches!(refusal, Kind::Invalid(_)), "{refusal:?} to {writes:?}");
        }
        assert!(matches!(refused(vec![write(entry("a"), &"x".repeat(300 << 10))]).await, Kind::TooLarge(_)));
        let future = at + (1 << 40);
        assert!(matches!(ingest(&client, future, vec![write(entry("a"), "1")]).await, Err(Kind::Invalid(_))));
        assert!(matches!(ingest(&client, 0, vec![write(entry("a"), "1")]).await, Err(Kind::Invalid(_))));
        assert_eq!(entries(&client.begin().await).await, expected(&[("m", "1")]));
        ingest(&client, at, vec![write(entry("n"), "2"), write(entry("o"), "3")]).await.unwrap();
    });
}

#[test]
fn nothing_is_ingested_below_the_safe_point() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let history = HistoryRequest { set_ms: Some(2_000), short_history: true, passed_on: false };
        client.data.history(history).await.unwrap();
        let at = client.timestamp().await;
        ingest(&client, at, vec![write(entry("a"), "1")]).await.unwrap();
        let given_up = client.timestamp().await;
        env::clock::sleep(Duration::from_secs(20)).await;
        let span = keys::sql::index_span(keys::sql::TENANT_DEFAULT, INDEX);
        let reclaim = Reclaim { span: Some(Span { start: span.start, end: span.end }), given_up };
        let reclaimed = client.send(client.begin().await.header(), Op::Reclaim(reclaim)).await.unwrap();
        assert!(matches!(reclaimed, Answer::Reclaim(result) if result.done));
        // Who was taken for dead goes on: what is reclaimed stays empty.
        let refused = ingest(&client, at, vec![write(entry("a"), "1"), write(entry("b"), "1")]).await;
        assert!(matches!(refused, Err(Kind::BelowSafePoint(_))), "{refused:?}");
        assert_eq!(entries(&client.begin().await).await, expected(&[]));
    });
}

#[test]
fn replicas_are_alike_while_something_is_ingested() {
    simulate(|| async {
        let cluster = Cluster::three().await;
        let client = cluster.client().await;
        let at = client.timestamp().await;
        let filling = async {
            for number in 0..200 {
                let name = format!("{number:05}");
                ingest(&client, at, vec![write(entry(&name), "value")]).await.unwrap();
            }
        };
        let checking = async {
            for _ in 0..10 {
                let checked = cluster.nodes[&1].check_consistency(CheckConsistencyRequest::default()).await;
                let ranges = checked.unwrap().ranges;
                assert!(ranges.iter().all(|range| range.consistent), "{ranges:?}");
            }
        };
        futures::join!(filling, checking);
        assert_eq!(entries(&client.begin().await).await.len(), 200);
    });
}
