//! Versions of rows: which are answered, in which order, in how many pages; what is refused below the safe point.

use std::time::Duration;

use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{HistoryRequest, Span, Versions, VersionsResult};

use crate::harness::{Client, Cluster, key, simulate};

/// A version as the tests write it: key, value, commit timestamp.
type Shown = (String, Option<String>, u64);

async fn ask(client: &Client, versions: Versions) -> Result<VersionsResult, Kind> {
    let txn = client.begin().await;
    match client.send(txn.header(), Op::Versions(versions)).await? {
        Answer::Versions(result) => Ok(result),
        other => panic!("{other:?}"),
    }
}

fn shown(result: &VersionsResult) -> Vec<Shown> {
    let text = |bytes: &bytes::Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let name = |stored: &bytes::Bytes| {
        let name = ["a", "b", "c"].into_iter().find(|name| key(name) == *stored);
        name.unwrap_or("another").to_owned()
    };
    let versions = result.versions.iter();
    versions.map(|own| (name(&own.key), own.value.as_ref().map(text), own.timestamp)).collect()
}

async fn delete(client: &Client, name: &str) -> u64 {
    let mut txn = client.begin().await;
    txn.writes.insert(key(name), None);
    txn.commit().await.unwrap()
}

fn wanted(from: u64, at: u64) -> Versions {
    Versions { span: Some(Span { start: key("a"), end: key("d") }), from, at, ..Versions::default() }
}

fn own(name: &str, value: Option<&str>, timestamp: u64) -> Shown {
    (name.to_owned(), value.map(str::to_owned), timestamp)
}

#[test]
fn versions_come_in_the_order_of_keys_the_newest_of_each_first() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let (a1, b1) = (client.put("a", "1").await, client.put("b", "1").await);
        let a2 = client.put("a", "2").await;
        let gone = delete(&client, "a").await;
        let (a3, c1) = (client.put("a", "3").await, client.put("c", "1").await);
        let now = client.timestamp().await;
        let later = client.put("a", "4").await;
        assert!(later > now);
        let a =
            [own("a", Some("3"), a3), own("a", None, gone), own("a", Some("2"), a2), own("a", Some("1"), a1)];
        let rest = [own("b", Some("1"), b1), own("c", Some("1"), c1)];
        let all = ask(&client, wanted(0, now)).await.unwrap();
        assert_eq!(shown(&all), [a.as_slice(), rest.as_slice()].concat());
        assert!(all.versions.iter().all(|own| (1..own.timestamp).contains(&own.start_timestamp)));
        // What was current at `from` is among them; a deletion that came before it is not.
        let some = ask(&client, wanted(a2, now)).await.unwrap();
        assert_eq!(shown(&some), [&a[..3], &rest[..]].concat());
        let some = ask(&client, wanted(gone, now)).await.unwrap();
        assert_eq!(shown(&some), [&a[..1], &rest[..]].concat());
        let some = ask(&client, wanted(a2, gone)).await.unwrap();
        assert_eq!(shown(&some), [&a[1..3], &rest[..1]].concat());
    });
}

#[test]
fn a_page_may_end_within_a_key() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut written = Vec::new();
        for number in 0..5 {
            written.push(own("a", Some(&format!("{number}")), client.put("a", &format!("{number}")).await));
        }
        written.reverse();
        written.push(own("b", Some("x"), client.put("b", "x").await));
        let at = client.timestamp().await;
        let (mut pages, mut found) = (0, Vec::new());
        let mut asked = Versions { bytes_max: 1, ..wanted(0, at) };
        loop {
            let page = ask(&client, asked.clone()).await.unwrap();
            found.extend(shown(&page));
            pages += 1;
            let Some(resume) = page.resume else { break };
            asked = Versions { span: Some(resume), below: page.below, ..asked };
        }
        assert_eq!(found, written);
        assert!(pages >= written.len(), "{pages}");
    });
}

#[test]
fn versions_that_are_kept_no_more_are_refused_unless_all_that_are_kept_are_wanted() {
    simulate(|| async {
        let cluster = Cluster::single().await;
        let client = cluster.client().await;
        let set = HistoryRequest { set_ms: Some(2_000), short_history: true, passed_on: false };
        client.data.history(set).await.unwrap();
        let old = client.put("a", "1").await;
        client.put("a", "2").await;
        env::clock::sleep(Duration::from_secs(10)).await;
        let a3 = client.put("a", "3").await;
        let now = client.timestamp().await;
        assert!(matches!(ask(&client, wanted(old, now)).await, Err(Kind::BelowSafePoint(_))));
        let kept = ask(&client, wanted(0, now)).await.unwrap();
        assert!(kept.from > old);
        let values: Vec<_> = shown(&kept).into_iter().map(|(_, value, _)| value.unwrap()).collect();
        assert_eq!(values, ["3", "2"]);
        assert_eq!(kept.versions[0].timestamp, a3);
        assert!(matches!(ask(&client, wanted(0, 0)).await, Err(Kind::Invalid(_))));
    });
}
