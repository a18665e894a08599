//! Files of backups that a range's leader writes: which versions are in them, and what is refused.

use std::time::Duration;

use backup::data::Reader;
use backup::{DataKey, Place};
use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Export, ExportResult, HistoryRequest, Span};

use crate::harness::{Client, Cluster, key, simulate};

const URL: &str = "file:///backups";

async fn ask(client: &Client, export: Export) -> Result<ExportResult, Kind> {
    let txn = client.begin().await;
    match client.send(txn.header(), Op::Export(export)).await? {
        Answer::Export(result) => Ok(result),
        other => panic!("{other:?}"),
    }
}

fn wanted(since: u64, at: u64) -> Export {
    let span = Some(Span { start: key("a"), end: key("d") });
    Export { span, since, at, url: URL.to_owned(), chain: 7, ..Export::default() }
}

/// Values and timestamps in a file, in its order; a deletion is an empty text.
async fn versions(cluster: &Cluster, result: &ExportResult, key: Option<&DataKey>) -> Vec<(String, u64)> {
    assert_eq!(result.failure, "");
    if result.name.is_empty() {
        return Vec::new();
    }
    let place = Place::on(cluster.disks[&1].clone(), URL).unwrap();
    let file = place.get(&result.name, result.bytes).await.unwrap();
    assert_eq!((file.len() as u64, crc32c::crc32c(&file)), (result.bytes, result.crc32c));
    let mut reader = Reader::new(&result.name, file, key).unwrap();
    let mut found = Vec::new();
    while let Some(entry) = reader.entry().unwrap() {
        let value = entry.value.map(|value| String::from_utf8(value.to_vec()).unwrap());
        found.push((value.unwrap_or_default(), entry.timestamp));
    }
    assert_eq!(found.len() as u64, result.entries);
    found
}

fn own(value: &str, timestamp: u64) -> (String, u64) {
    (value.to_owned(), timestamp)
}

#[test]
fn a_file_holds_what_was_committed_since() {
    simulate(|| async {
        let cluster = Cluster::single().await;
        let client = cluster.client().await;
        let (a1, b1) = (client.put("a", "a1").await, client.put("b", "b1").await);
        let first = client.timestamp().await;
        let a2 = client.put("a", "a2").await;
        let mut txn = client.begin().await;
        txn.writes.insert(key("b"), None);
        let gone = txn.commit().await.unwrap();
        let (a3, c1) = (client.put("a", "a3").await, client.put("c", "c1").await);
        let second = client.timestamp().await;
        client.put("a", "a4").await;
        let full = ask(&client, wanted(0, first)).await.unwrap();
        assert_eq!(versions(&cluster, &full, None).await, [own("a1", a1), own("b1", b1)]);
        assert_eq!((&full.first, &full.last, full.from), (&key("a"), &key("b"), first));
        let next = ask(&client, wanted(first, second)).await.unwrap();
        assert_eq!(versions(&cluster, &next, None).await, [own("a3", a3), own("", gone), own("c1", c1)]);
        let all = ask(&client, Export { history: true, ..wanted(first, second) }).await.unwrap();
        let expected = [own("a3", a3), own("a2", a2), own("", gone), own("c1", c1)];
        assert_eq!(versions(&cluster, &all, None).await, expected);
        assert_eq!(all.from, first);
        // What is not there any more is in no full one.
        let later = ask(&client, wanted(0, second)).await.unwrap();
        assert_eq!(versions(&cluster, &later, None).await, [own("a3", a3), own("c1", c1)]);
        let key = DataKey::generate();
        let sealed = bytes::Bytes::copy_from_slice(key.bytes());
        let sealed = ask(&client, Export { key: sealed, ..wanted(0, first) }).await.unwrap();
        assert_eq!(versions(&cluster, &sealed, Some(&key)).await.len(), 2);
        let last = client.timestamp().await;
        let one = ask(&client, wanted(second, last)).await.unwrap();
        assert_eq!(versions(&cluster, &one, None).await.len(), 1);
        let now = client.timestamp().await;
        assert_eq!(ask(&client, wanted(last, now)).await.unwrap().name, "", "there is nothing to write");
        // Whoever asks has no more of the machine than what backups may lie at.
        for url in ["nowhere", "file:///data", "file:///backups2", "file:///backups/../data", "s3://backups"]
        {
            let refused = ask(&client, Export { url: url.to_owned(), ..wanted(0, first) }).await.unwrap();
            assert!(!refused.failure.is_empty() && refused.name.is_empty(), "{url}: {refused:?}");
        }
        let data = ask(&client, Export { url: "file:///data".to_owned(), ..wanted(0, first) }).await.unwrap();
        assert!(data.failure.contains("--backup-place"), "it says what to do: {data:?}");
        let below = ask(&client, Export { url: format!("{URL}/below"), ..wanted(0, first) }).await.unwrap();
        assert_eq!(below.failure, "");
    });
}

#[test]
fn what_may_have_been_forgotten_since_is_refused() {
    simulate(|| async {
        let cluster = Cluster::single().await;
        let client = cluster.client().await;
        let set = HistoryRequest { set_ms: Some(2_000), short_history: true, passed_on: false };
        client.data.history(set).await.unwrap();
        let old = client.put("a", "1").await;
        client.put("a", "2").await;
        env::clock::sleep(Duration::from_secs(10)).await;
        client.put("a", "3").await;
        let now = client.timestamp().await;
        for history in [false, true] {
            // What was committed since then is not known any more, nor what there was then.
            for forgotten in [wanted(old, now), wanted(0, old)] {
                let refused = ask(&client, Export { history, ..forgotten }).await.unwrap_err();
                assert!(matches!(refused, Kind::BelowSafePoint(_)), "{refused:?}");
            }
            let full = ask(&client, Export { history, ..wanted(0, now) }).await.unwrap();
            assert!(!versions(&cluster, &full, None).await.is_empty());
            assert!(full.from > old);
        }
    });
}
