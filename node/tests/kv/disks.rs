//! Full disks: the fullest of a range's replicas counts, and what frees room is written nevertheless.

use std::time::Duration;

use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;

use crate::harness::{Client, Cluster, simulate};

async fn delete(client: &Client, name: &str) -> Result<u64, Kind> {
    let mut txn = client.begin().await;
    txn.delete(name);
    txn.commit().await
}

async fn put(client: &Client, name: &str, text: &str, frees_space: bool) -> Result<(), Kind> {
    let mut txn = client.begin().await;
    txn.put(name, text);
    let commit = proto::v1::Commit { frees_space, ..txn.commit_request() };
    client.send(txn.header(), Op::Commit(commit)).await.map(drop)
}

#[test]
fn a_follower_whose_disk_is_full_stops_what_takes_room() {
    simulate(|| async {
        let cluster = Cluster::three().await;
        let client = cluster.client().await;
        for name in ["a", "b", "c"] {
            client.put(name, "long enough to shrink").await;
        }
        let disk = &cluster.disks[&2];
        let leave = |mebibytes: u64| async move {
            disk.set_capacity(Some(disk.bytes_used() + (mebibytes << 20)));
            env::clock::sleep(Duration::from_secs(3)).await;
        };
        leave(200).await;
        assert!(matches!(put(&client, "d", "new", false).await, Err(Kind::DiskFull(_))));
        assert!(matches!(
            put(&client, "a", "even longer than it was before", false).await,
            Err(Kind::DiskFull(_))
        ));
        put(&client, "a", "short", false).await.unwrap();
        put(&client, "catalog", "says that it frees room", true).await.unwrap();
        delete(&client, "b").await.unwrap();
        assert_eq!(client.read("a").await.as_deref(), Some("short"));
        // The rest is for what must go on.
        leave(100).await;
        assert!(matches!(delete(&client, "c").await, Err(Kind::DiskFull(_))));
        assert!(matches!(put(&client, "catalog", "again", true).await, Err(Kind::DiskFull(_))));
        assert_eq!(client.read("b").await, None);
        disk.set_capacity(None);
        env::clock::sleep(Duration::from_secs(3)).await;
        put(&client, "d", "new", false).await.unwrap();
    });
}

#[test]
fn a_full_disk_lets_no_more_be_deleted_at_once_than_it_has_room_for() {
    simulate(|| async {
        let mut cluster = Cluster::empty();
        cluster.disk_reserve_bytes = Some(8 << 20);
        let node = cluster.start(1).await;
        assert!(node.init(None).await.unwrap());
        node.wait_ready(Duration::from_secs(20)).await.unwrap();
        let client = cluster.client().await;
        let disk = &cluster.disks[&1];
        disk.set_capacity(Some(disk.bytes_used() + (5 << 20)));
        env::clock::sleep(Duration::from_secs(1)).await;
        // Each byte is written to the log, put aside, and made a tombstone of; and compaction needs room.
        let delete = async |rows: usize| {
            let mut txn = client.begin().await;
            for row in 0..rows {
                txn.delete(&format!("{row:04}{}", "x".repeat(32 << 10)));
            }
            txn.commit().await
        };
        let refused = delete(64).await;
        assert!(matches!(refused, Err(Kind::DiskFull(_))), "{refused:?}");
        delete(8).await.unwrap();
    });
}
