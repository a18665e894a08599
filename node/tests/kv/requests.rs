//! Reads, scans, retries, and the catalog gate.

use std::time::Duration;

use bytes::Bytes;
use proto::v1::error::Kind;
use proto::v1::{AllocateIdsRequest, Scan, Span};

use crate::harness::{Cluster, Txn, is_conflict, key, simulate, texts};

#[test]
fn what_was_committed_is_read_and_what_was_deleted_is_not() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        assert_eq!(client.read("x").await, None);
        client.put("x", "1").await;
        let mut before = client.begin().await;
        client.put("x", "2").await;
        assert_eq!(client.read("x").await.as_deref(), Some("2"));
        let mut txn = client.begin().await;
        txn.delete("x");
        txn.commit().await.unwrap();
        assert_eq!(client.read("x").await, None);
        assert_eq!(before.get("x").await.as_deref(), Some("1"));
    });
}

#[test]
fn a_scan_is_cut_and_resumed_in_both_directions() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut txn = client.begin().await;
        for number in 0..10 {
            txn.put(&format!("k/{number}"), &number.to_string());
        }
        txn.commit().await.unwrap();
        let txn = client.begin().await;
        for reverse in [false, true] {
            let mut span = Some(Span { start: key("k/"), end: key("k0") });
            let mut found = Vec::new();
            let mut pages = 0;
            while let Some(left) = span {
                let scan =
                    Scan { span: Some(left), at: txn.read_at, rows_max: 3, reverse, ..Scan::default() };
                let page = txn.scan_raw(scan).await.unwrap();
                span = page.resume.clone();
                found.extend(texts(page).into_iter().map(|(_, text)| text));
                pages += 1;
            }
            let mut expected: Vec<String> = (0..10).map(|number| number.to_string()).collect();
            if reverse {
                expected.reverse();
            }
            assert_eq!((found, pages), (expected, 4));
        }
    });
}

#[test]
fn a_scan_stops_after_the_row_that_passes_its_bytes() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut txn = client.begin().await;
        for number in 0..10 {
            txn.put(&format!("k/{number}"), &"v".repeat(100));
        }
        txn.commit().await.unwrap();
        let txn = client.begin().await;
        let span = Some(Span { start: key("k/"), end: key("k0") });
        let scan = Scan { span, at: txn.read_at, bytes_max: 250, ..Scan::default() };
        let page = txn.scan_raw(scan).await.unwrap();
        assert_eq!(page.rows.len(), 3);
        assert!(page.resume.is_some());
    });
}

#[test]
fn a_repeated_commit_is_answered_like_the_first() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        client.put("x", "0").await;
        let mut txn = client.begin().await;
        txn.get("x").await;
        txn.put("x", "1");
        txn.delete("y");
        let first = txn.commit().await.unwrap();
        assert_eq!(txn.commit().await.unwrap(), first);
        client.put("x", "2").await;
        assert_eq!(txn.commit().await.unwrap(), first);
        assert_eq!(client.read("x").await.as_deref(), Some("2"));
    });
}

#[test]
fn a_repeated_commit_that_only_deletes_is_recognised_too() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        client.put("x", "0").await;
        let mut txn = client.begin().await;
        txn.get("x").await;
        txn.delete("x");
        let first = txn.commit().await.unwrap();
        assert_eq!(txn.commit().await.unwrap(), first);
        client.put("x", "1").await;
        assert_eq!(txn.commit().await.unwrap(), first);
        assert_eq!(client.read("x").await.as_deref(), Some("1"));
        let mut other = client.begin().await;
        other.get("x").await;
        other.delete("x");
        assert!(other.commit().await.unwrap() > first);
        assert_eq!(txn.commit().await.unwrap(), first, "another's deletion is not its own");
    });
}

#[test]
fn two_sendings_of_one_commit_at_once_take_effect_once() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut txn = client.begin().await;
        txn.get("x").await;
        txn.put("x", "1");
        let (first, second) = futures::join!(txn.commit(), txn.commit());
        assert_eq!(first.unwrap(), second.unwrap());
    });
}

#[test]
fn a_commit_goes_on_when_its_sender_goes_away() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut txn = client.begin().await;
        txn.lock(&["x"]).await.unwrap();
        txn.put("x", "1");
        {
            let commit = std::pin::pin!(txn.commit());
            assert!(futures::poll!(commit).is_pending());
        }
        env::clock::sleep(Duration::from_millis(200)).await;
        assert_eq!(client.read("x").await.as_deref(), Some("1"));
        assert!(txn.commit().await.is_ok());
        let mut next = client.begin().await;
        next.lock(&["x"]).await.unwrap();
    });
}

#[test]
fn commits_that_only_check_say_whether_the_checks_hold() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut txn = client.begin().await;
        txn.get("x").await;
        assert!(txn.commit().await.unwrap() >= txn.start);
        client.put("x", "1").await;
        assert!(is_conflict(&txn.commit().await));
    });
}

#[test]
fn blind_writes_of_one_key_all_succeed_in_some_order() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut txns = Vec::new();
        for number in 0..10 {
            let mut txn = client.begin().await;
            txn.put("x", &number.to_string());
            txns.push(txn);
        }
        let ended = futures::future::join_all(txns.iter().map(Txn::commit)).await;
        let mut timestamps: Vec<u64> = ended.into_iter().map(|ended| ended.unwrap()).collect();
        let now = client.timestamp().await;
        assert!(timestamps.iter().all(|timestamp| *timestamp <= now));
        timestamps.sort_unstable();
        timestamps.dedup();
        assert_eq!(timestamps.len(), 10);
    });
}

#[test]
fn requests_planned_under_another_catalog_are_refused() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let set_version = |version: u64, planned: u64| {
            let client = client.clone();
            async move {
                let mut ddl = client.begin().await;
                ddl.catalog_version = planned;
                let stored = Bytes::copy_from_slice(&version.to_be_bytes());
                ddl.writes.insert(keys::sql::catalog_version_key(), Some(stored));
                ddl.commit().await
            }
        };
        set_version(1, 0).await.unwrap();
        let mut old = client.begin().await;
        old.catalog_version = 1;
        assert_eq!(old.get("x").await, None);
        set_version(2, 1).await.unwrap();
        assert!(matches!(set_version(3, 1).await, Err(Kind::StaleCatalog(stale)) if stale.current == 2));
        // At its own timestamp the old version is the one in force; for the newest state it is not.
        assert_eq!(old.get("x").await, None);
        old.put("x", "1");
        assert!(matches!(old.commit().await, Err(Kind::StaleCatalog(stale)) if stale.current == 2));
        assert!(matches!(old.lock(&["x"]).await, Err(Kind::StaleCatalog(_))));
        let mut new = client.begin().await;
        new.catalog_version = 1;
        assert!(matches!(new.try_get("x").await, Err(Kind::StaleCatalog(stale)) if stale.current == 2));
        new.catalog_version = 2;
        new.put("x", "2");
        new.commit().await.unwrap();
    });
}

#[test]
fn timestamps_and_ids_are_never_given_twice() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut last = 0;
        for _ in 0..100 {
            let timestamp = client.timestamp().await;
            assert!(timestamp > last);
            last = timestamp;
        }
        let allocate = |count| {
            let request = AllocateIdsRequest {
                cluster_id: client.cluster_id.clone(),
                counter: "oid".to_owned(),
                count,
                forward: false,
            };
            client.root.allocate_ids(request)
        };
        let first = allocate(5).await.unwrap().first;
        assert_eq!(allocate(1).await.unwrap().first, first + 5);
        // Longer than a window of timestamps.
        env::clock::sleep(Duration::from_secs(20)).await;
        assert!(client.timestamp().await > last);
    });
}
