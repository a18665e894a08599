//! Commits that go into the log in pieces.

use std::time::Duration;

use proto::v1::Header;
use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;

use crate::harness::{Cluster, Txn, simulate};

/// Two rows of 2 MiB.
fn large(txn: &mut Txn, letter: &str) {
    txn.put("large/1", &letter.repeat(2 << 20));
    txn.put("large/2", &letter.repeat(2 << 20));
}

#[test]
fn a_large_commit_is_whole_and_its_retry_is_recognised() {
    simulate(|| async {
        let mut cluster = Cluster::three().await;
        let client = cluster.client().await;
        let mut txn = client.begin().await;
        txn.get("large/1").await;
        large(&mut txn, "a");
        let small = client.put("small", "1");
        let (first, _) = futures::join!(txn.commit(), small);
        let first = first.unwrap();
        assert_eq!(txn.commit().await.unwrap(), first);
        let mut second = client.begin().await;
        large(&mut second, "b");
        assert!(second.commit().await.unwrap() > first);
        // What the first relied on has changed.
        let mut late = client.begin().await;
        late.start = txn.start + 1;
        late.checks = txn.checks.clone();
        large(&mut late, "c");
        assert!(matches!(late.commit().await, Err(Kind::Conflict(_))));
        cluster.kill(1).await;
        let client = cluster.client().await;
        for name in ["large/1", "large/2"] {
            assert_eq!(client.read(name).await.unwrap(), "b".repeat(2 << 20));
        }
    });
}

#[test]
fn a_large_commit_that_reaches_no_quorum_in_its_time_is_taken_back() {
    simulate(|| async {
        let mut cluster = Cluster::three().await;
        let client = cluster.client().await;
        client.put("large/1", "before").await;
        let leader = cluster.leader_of_data().await;
        let others: Vec<u64> = (1..=3).filter(|number| *number != leader).collect();
        let mut txn = client.begin().await;
        large(&mut txn, "a");
        for number in &others {
            cluster.kill(*number).await;
        }
        // Nothing of it was decided: a definite answer, and the keys can be read.
        let header = Header { timeout_ms: 600, ..txn.header() };
        let answer = client.send(header, Op::Commit(txn.commit_request())).await;
        assert!(matches!(answer, Err(Kind::Unavailable(_))), "{answer:?}");
        for number in &others {
            cluster.start(*number).await.wait_ready(Duration::from_secs(30)).await.unwrap();
        }
        let client = cluster.client().await;
        assert_eq!(client.read("large/1").await.as_deref(), Some("before"));
        txn.client = client.clone();
        txn.commit().await.unwrap();
        assert_eq!(client.read("large/2").await.unwrap(), "a".repeat(2 << 20));
    });
}
