//! What has changed after a timestamp: which versions, in which order, in how many answers; what comes later is above it.

use std::time::Duration;

use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Changes, ChangesResult, HistoryRequest, Span};

use crate::harness::{Client, Cluster, key, simulate};

/// A version as the tests write it: value, commit timestamp.
type Shown = (Option<String>, u64);

async fn ask(client: &Client, changes: Changes) -> Result<ChangesResult, Kind> {
    let txn = client.begin().await;
    match client.send(txn.header(), Op::Changes(changes)).await? {
        Answer::Changes(result) => Ok(result),
        other => panic!("{other:?}"),
    }
}

fn shown(result: &ChangesResult) -> Vec<Shown> {
    let text = |bytes: &bytes::Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    result.versions.iter().map(|own| (own.value.as_ref().map(text), own.timestamp)).collect()
}

fn wanted(since: u64, at: u64) -> Changes {
    Changes { span: Some(Span { start: key("a"), end: key("d") }), since, at, bytes_max: 0 }
}

fn own(value: &str, timestamp: u64) -> Shown {
    (Some(value.to_owned()), timestamp)
}

#[test]
fn what_came_since_is_answered_the_oldest_of_each_key_first() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        client.put("a", "a1").await;
        let b1 = client.put("b", "b1").await;
        let (a2, c1) = (client.put("a", "a2").await, client.put("c", "c1").await);
        let mut txn = client.begin().await;
        txn.writes.insert(key("a"), None);
        let gone = txn.commit().await.unwrap();
        let a3 = client.put("a", "a3").await;
        let now = client.timestamp().await;
        let all = ask(&client, wanted(b1, now)).await.unwrap();
        assert_eq!(shown(&all), [own("a2", a2), (None, gone), own("a3", a3), own("c1", c1)]);
        assert_eq!((all.resume, all.at), (None, now));
        // What comes now comes later, whenever its transaction has begun.
        let later = client.put("b", "b2").await;
        assert!(later > now);
        let then = client.timestamp().await;
        let next = ask(&client, wanted(now, then)).await.unwrap();
        assert_eq!(shown(&next), [own("b2", later)]);
        let after = client.timestamp().await;
        assert!(ask(&client, wanted(then, after)).await.unwrap().versions.is_empty());
        for (since, at) in [(0, after), (after, after)] {
            assert!(matches!(ask(&client, wanted(since, at)).await, Err(Kind::Invalid(_))));
        }
    });
}

#[test]
fn a_key_is_answered_whole_or_not_at_all() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let began = client.put("b", "0").await;
        let mut written = Vec::new();
        for number in 0..3 {
            let value = format!("a{number}");
            written.push(own(&value, client.put("a", &value).await));
        }
        written.push(own("b", client.put("b", "b").await));
        let now = client.timestamp().await;
        let first = ask(&client, Changes { bytes_max: 1, ..wanted(began, now) }).await.unwrap();
        assert_eq!(shown(&first), written[..3]);
        let rest = ask(&client, Changes { span: first.resume, ..wanted(began, now) }).await.unwrap();
        assert_eq!((shown(&rest), rest.resume), (written[3..].to_vec(), None));
    });
}

#[test]
fn a_key_that_has_changed_too_often_is_answered_up_to_an_earlier_timestamp() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let began = client.put("b", "0").await;
        let (mut written, value) = (Vec::new(), "x".repeat(3 << 20));
        for _ in 0..6 {
            written.push(client.put("a", &value).await);
        }
        let now = client.timestamp().await;
        let (mut since, mut found, mut answers) = (began, Vec::new(), 0);
        while since < now {
            let page = ask(&client, wanted(since, now)).await.unwrap();
            assert!(since < page.at && page.at <= now && page.resume.is_none(), "{}", page.at);
            assert!(page.versions.iter().all(|own| own.timestamp > since && own.timestamp <= page.at));
            found.extend(page.versions.iter().map(|own| own.timestamp));
            (since, answers) = (page.at, answers + 1);
        }
        assert_eq!(found, written);
        assert!(answers > 1, "{answers}");
    });
}

#[test]
fn who_asks_after_what_is_kept_no_more_is_refused() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let set = HistoryRequest { set_ms: Some(2_000), short_history: true, passed_on: false };
        client.data.history(set).await.unwrap();
        let old = client.put("a", "1").await;
        env::clock::sleep(Duration::from_secs(10)).await;
        client.put("a", "2").await;
        let now = client.timestamp().await;
        assert!(matches!(ask(&client, wanted(old, now)).await, Err(Kind::BelowSafePoint(_))));
    });
}
