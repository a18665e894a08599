//! The anomalies that serializable isolation excludes, each tried and each refused. Names after Adya, and after Berenson
//! and others' critique of the isolation levels.

use crate::harness::{Cluster, is_conflict, simulate};

#[test]
fn anomaly_write_skew() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        client.put("x", "on call").await;
        client.put("y", "on call").await;
        let (mut a, mut b) = (client.begin().await, client.begin().await);
        for txn in [&mut a, &mut b] {
            assert_eq!(txn.get("x").await.as_deref(), Some("on call"));
            assert_eq!(txn.get("y").await.as_deref(), Some("on call"));
        }
        a.put("x", "off");
        b.put("y", "off");
        a.commit().await.unwrap();
        assert!(is_conflict(&b.commit().await));
    });
}

#[test]
fn anomaly_write_skew_at_the_same_moment() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        client.put("x", "1").await;
        client.put("y", "1").await;
        for _ in 0..20 {
            let (mut a, mut b) = (client.begin().await, client.begin().await);
            for txn in [&mut a, &mut b] {
                txn.get("x").await;
                txn.get("y").await;
            }
            a.put("x", "2");
            b.put("y", "2");
            let (a, b) = futures::join!(a.commit(), b.commit());
            assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
        }
    });
}

#[test]
fn anomaly_lost_update() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        client.put("x", "1").await;
        let (mut a, mut b) = (client.begin().await, client.begin().await);
        a.get("x").await;
        b.get("x").await;
        a.put("x", "2");
        b.put("x", "2");
        b.commit().await.unwrap();
        assert!(is_conflict(&a.commit().await));
    });
}

#[test]
fn anomaly_dirty_read() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        client.put("x", "1").await;
        let mut a = client.begin().await;
        a.lock(&["x"]).await.unwrap();
        a.put("x", "dirty");
        assert_eq!(client.read("x").await.as_deref(), Some("1"));
        a.release().await;
        assert_eq!(client.read("x").await.as_deref(), Some("1"));
    });
}

#[test]
fn anomaly_dirty_write() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let (mut a, mut b) = (client.begin().await, client.begin().await);
        for (txn, text) in [(&mut a, "a"), (&mut b, "b")] {
            txn.put("x", text);
            txn.put("y", text);
        }
        let (first, second) = futures::join!(a.commit(), b.commit());
        assert_ne!(first.unwrap(), second.unwrap());
        let mut reader = client.begin().await;
        assert_eq!(reader.get("x").await, reader.get("y").await);
    });
}

#[test]
fn anomaly_read_skew() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        client.put("x", "old").await;
        client.put("y", "old").await;
        let mut reader = client.begin().await;
        assert_eq!(reader.get("x").await.as_deref(), Some("old"));
        let mut writer = client.begin().await;
        writer.put("x", "new");
        writer.put("y", "new");
        writer.commit().await.unwrap();
        assert_eq!(reader.get("y").await.as_deref(), Some("old"));
        reader.put("z", "derived");
        assert!(is_conflict(&reader.commit().await));
    });
}

#[test]
fn anomaly_phantom() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        client.put("k/1", "a").await;
        let (mut a, mut b) = (client.begin().await, client.begin().await);
        assert_eq!(a.scan("k/", "k0").await.len(), 1);
        assert_eq!(b.scan("k/", "k0").await.len(), 1);
        a.put("k/2", "a");
        b.put("k/3", "b");
        a.commit().await.unwrap();
        assert!(is_conflict(&b.commit().await));
    });
}

#[test]
fn anomaly_phantom_of_a_deleted_row() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        client.put("k/1", "a").await;
        let mut a = client.begin().await;
        assert_eq!(a.scan("k/", "k0").await.len(), 1);
        let mut b = client.begin().await;
        b.delete("k/1");
        b.commit().await.unwrap();
        a.put("other", "x");
        assert!(is_conflict(&a.commit().await));
    });
}

#[test]
fn anomaly_read_only_transaction() {
    simulate(|| async {
        // Fekete, O'Neil and O'Neil: two updates and a report that no serial order explains.
        let client = Cluster::single().await.client().await;
        client.put("checking", "0").await;
        client.put("savings", "0").await;
        let mut withdraw = client.begin().await;
        withdraw.get("checking").await;
        withdraw.get("savings").await;
        let mut deposit = client.begin().await;
        deposit.get("savings").await;
        deposit.put("savings", "20");
        deposit.commit().await.unwrap();
        let mut report = client.begin().await;
        assert_eq!(report.get("checking").await.as_deref(), Some("0"));
        assert_eq!(report.get("savings").await.as_deref(), Some("20"));
        withdraw.put("checking", "-11");
        assert!(is_conflict(&withdraw.commit().await));
    });
}

#[test]
fn anomaly_stale_read() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        for turn in 0..50 {
            let committed = client.put("x", &turn.to_string()).await;
            let mut reader = client.begin().await;
            assert!(reader.start >= committed);
            assert_eq!(reader.get("x").await, Some(turn.to_string()));
        }
    });
}

#[test]
fn anomaly_commit_below_a_read() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut early = client.begin().await;
        let mut reader = client.begin().await;
        assert_eq!(reader.get("x").await, None);
        assert_eq!(reader.scan("k/", "k0").await, []);
        early.put("x", "1");
        early.put("k/1", "1");
        assert!(early.commit().await.unwrap() > reader.read_at);
        assert_eq!(reader.get("x").await, None);
        assert_eq!(reader.scan("k/", "k0").await, []);
    });
}

#[test]
fn anomaly_refresh_over_a_change() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        client.put("x", "1").await;
        let mut a = client.begin().await;
        a.get("x").await;
        client.put("y", "1").await;
        let later = client.timestamp().await;
        a.validate(later).await.unwrap();
        client.put("x", "2").await;
        assert!(is_conflict(&a.validate(client.timestamp().await).await));
    });
}

#[test]
fn anomaly_commit_before_what_a_refresh_has_seen() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut a = client.begin().await;
        client.put("x", "1").await;
        a.read_at = client.timestamp().await;
        a.validate(a.read_at).await.unwrap();
        assert_eq!(a.get("x").await.as_deref(), Some("1"));
        a.put("copy", "1");
        assert!(a.commit().await.unwrap() > a.read_at);
    });
}
