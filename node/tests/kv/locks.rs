//! Locks through the protocol: waiting, policies, deadlocks, expiry.

use std::time::Duration;

use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Heartbeat, Strength, WaitPolicy};

use crate::harness::{Cluster, is_conflict, simulate};

#[test]
fn a_lock_returns_the_newest_version_and_holds_it() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut a = client.begin().await;
        let committed = client.put("x", "1").await;
        let locked = a.lock(&["x", "missing"]).await.unwrap();
        let newest = locked.keys[0].newest.clone().unwrap();
        assert_eq!(newest.timestamp, committed);
        assert_eq!(newest.value.as_deref(), Some(b"1".as_ref()));
        assert_eq!(locked.keys[1].newest.clone().unwrap(), proto::v1::Version::default());
        assert!(locked.locked_at >= committed && !locked.waited);
        a.put("x", "2");
        assert!(a.commit().await.unwrap() > locked.locked_at);
        assert_eq!(client.read("x").await.as_deref(), Some("2"));
    });
}

#[test]
fn a_waiter_sees_what_the_holder_committed() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        client.put("x", "1").await;
        let mut a = client.begin().await;
        let mut b = client.begin().await;
        a.lock(&["x"]).await.unwrap();
        a.put("x", "2");
        let (committed, locked) = futures::join!(
            async {
                env::clock::sleep(Duration::from_millis(300)).await;
                a.commit().await.unwrap()
            },
            b.lock(&["x"])
        );
        let locked = locked.unwrap();
        assert!(locked.waited && locked.locked_at >= committed);
        assert_eq!(locked.keys[0].newest.clone().unwrap().value.as_deref(), Some(b"2".as_ref()));
        b.put("x", "3");
        b.commit().await.unwrap();
    });
}

#[test]
fn nowait_and_skip_locked_do_not_wait() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut a = client.begin().await;
        a.lock(&["x"]).await.unwrap();
        let mut b = client.begin().await;
        let refused = b.lock_with(&["w", "x"], Strength::Exclusive, WaitPolicy::Nowait, 0).await;
        assert!(matches!(refused, Err(Kind::LockNotAvailable(_))));
        // Nothing is kept of a request that failed.
        let mut c = client.begin().await;
        c.lock_with(&["w"], Strength::Exclusive, WaitPolicy::Nowait, 0).await.unwrap();
        let skipped = b.lock_with(&["x", "y"], Strength::Exclusive, WaitPolicy::SkipLocked, 0).await.unwrap();
        assert!(skipped.keys[0].skipped && !skipped.keys[1].skipped);
    });
}

#[test]
fn a_lock_timeout_ends_the_wait() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut a = client.begin().await;
        a.lock(&["x"]).await.unwrap();
        let mut b = client.begin().await;
        let started = env::clock::now();
        let refused = b.lock_with(&["x"], Strength::Exclusive, WaitPolicy::Block, 250).await;
        assert!(matches!(refused, Err(Kind::LockNotAvailable(_))));
        let waited = env::clock::now() - started;
        assert!(waited >= Duration::from_millis(250) && waited < Duration::from_millis(400));
    });
}

#[test]
fn shared_locks_stand_together() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let (mut a, mut b, mut c) = (client.begin().await, client.begin().await, client.begin().await);
        a.lock_with(&["x"], Strength::Shared, WaitPolicy::Nowait, 0).await.unwrap();
        b.lock_with(&["x"], Strength::Shared, WaitPolicy::Nowait, 0).await.unwrap();
        assert!(c.lock_with(&["x"], Strength::Exclusive, WaitPolicy::Nowait, 0).await.is_err());
    });
}

#[test]
fn the_youngest_of_a_deadlock_goes_and_the_other_goes_on() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let (mut old, mut young) = (client.begin().await, client.begin().await);
        old.lock(&["x"]).await.unwrap();
        young.lock(&["y"]).await.unwrap();
        let started = env::clock::now();
        let (old, young) = futures::join!(old.lock(&["y"]), async {
            let refused = young.lock(&["x"]).await;
            young.release().await;
            refused
        });
        assert!(old.is_ok(), "{old:?}");
        assert!(matches!(young, Err(Kind::Deadlock(_))), "{young:?}");
        assert!(env::clock::now() - started < Duration::from_secs(2));
    });
}

#[test]
fn a_deadlock_of_three_is_found() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut txns = Vec::new();
        for name in ["x", "y", "z"] {
            let mut txn = client.begin().await;
            txn.lock(&[name]).await.unwrap();
            txns.push(txn);
        }
        let waits = txns.into_iter().zip(["y", "z", "x"]).map(|(mut txn, name)| async move {
            let locked = txn.lock(&[name]).await;
            if locked.is_err() {
                txn.release().await;
            } else {
                txn.put(name, "done");
                txn.commit().await.unwrap();
            }
            locked.is_ok()
        });
        let ended = futures::future::join_all(waits).await;
        assert_eq!(ended, [true, true, false]);
    });
}

#[test]
fn two_upgrades_are_a_deadlock() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let (mut a, mut b) = (client.begin().await, client.begin().await);
        for txn in [&mut a, &mut b] {
            txn.lock_with(&["x"], Strength::Shared, WaitPolicy::Block, 0).await.unwrap();
        }
        let (a, b) = futures::join!(a.lock(&["x"]), async {
            let refused = b.lock(&["x"]).await;
            b.release().await;
            refused
        });
        assert!(a.is_ok() && matches!(b, Err(Kind::Deadlock(_))));
    });
}

#[test]
fn locks_last_while_heartbeats_come_and_expire_without() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut a = client.begin().await;
        a.lock(&["x"]).await.unwrap();
        let unknown = bytes::Bytes::from(vec![9; 16]);
        for _ in 0..8 {
            env::clock::sleep(Duration::from_secs(1)).await;
            let heartbeat = Heartbeat { txn_ids: vec![a.id.clone(), unknown.clone()] };
            match client.send(a.header(), Op::Heartbeat(heartbeat)).await.unwrap() {
                Answer::Heartbeat(answer) => assert_eq!(answer.unknown, std::slice::from_ref(&unknown)),
                other => panic!("{other:?}"),
            }
        }
        let mut b = client.begin().await;
        assert!(b.lock_with(&["x"], Strength::Exclusive, WaitPolicy::Nowait, 0).await.is_err());
        env::clock::sleep(Duration::from_secs(6)).await;
        b.lock_with(&["x"], Strength::Exclusive, WaitPolicy::Nowait, 0).await.unwrap();
        b.put("x", "b");
        b.commit().await.unwrap();
        // What its lock protected has changed meanwhile.
        a.put("x", "a");
        assert!(is_conflict(&a.commit().await));
    });
}

#[test]
fn a_lock_without_a_write_is_checked_even_where_it_still_stands() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let (mut a, mut b) = (client.begin().await, client.begin().await);
        a.lock(&["x"]).await.unwrap();
        env::clock::sleep(Duration::from_secs(6)).await;
        // The first lock has expired and the second stands, but the first transaction relies on nothing that has changed.
        b.lock_with(&["x"], Strength::Exclusive, WaitPolicy::Nowait, 0).await.unwrap();
        a.put("x", "a");
        a.commit().await.unwrap();
        assert!(is_conflict(&b.commit().await));
    });
}

#[test]
fn a_commit_without_writes_gives_the_locks_back_and_may_be_asked_again() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let (mut a, mut b) = (client.begin().await, client.begin().await);
        a.lock(&["x"]).await.unwrap();
        a.commit().await.unwrap();
        b.lock_with(&["x"], Strength::Exclusive, WaitPolicy::Nowait, 0).await.unwrap();
        a.commit().await.unwrap();
        b.put("x", "b");
        b.commit().await.unwrap();
        assert!(is_conflict(&a.commit().await));
    });
}

#[test]
fn a_waiter_that_goes_away_leaves_the_queue() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let (mut a, mut b, mut c) = (client.begin().await, client.begin().await, client.begin().await);
        a.lock(&["x"]).await.unwrap();
        assert!(env::clock::timeout(Duration::from_millis(100), b.lock(&["x"])).await.is_err());
        a.release().await;
        c.lock_with(&["x"], Strength::Exclusive, WaitPolicy::Nowait, 0).await.unwrap();
    });
}

#[test]
fn a_request_that_fails_takes_nothing_away_that_was_held_before() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut a = client.begin().await;
        let mut b = client.begin().await;
        let mut c = client.begin().await;
        a.lock_with(&["x"], Strength::Shared, WaitPolicy::Block, 0).await.unwrap();
        b.lock(&["y"]).await.unwrap();
        let refused = a.lock_with(&["x", "y"], Strength::Exclusive, WaitPolicy::Nowait, 0).await;
        assert!(matches!(refused, Err(Kind::LockNotAvailable(_))), "{refused:?}");
        let refused = c.lock_with(&["x"], Strength::Exclusive, WaitPolicy::Nowait, 0).await;
        assert!(matches!(refused, Err(Kind::LockNotAvailable(_))), "{refused:?}");
        a.release().await;
        c.lock_with(&["x"], Strength::Exclusive, WaitPolicy::Nowait, 0).await.unwrap();
    });
}

#[test]
fn keys_in_a_row_are_locked_together_and_each_is_had_by_itself() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let names: Vec<String> = (0..200).map(|number| format!("k{number:03}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        client.put("k050", "old").await;
        let (mut a, mut b, mut c) = (client.begin().await, client.begin().await, client.begin().await);
        b.lock(&["k150"]).await.unwrap();
        // What a request has got is given back when it fails, whatever it has got it with.
        let refused = a.lock_with(&all, Strength::Exclusive, WaitPolicy::Nowait, 0).await;
        assert!(matches!(refused, Err(Kind::LockNotAvailable(_))), "{refused:?}");
        let got = c.lock_with(&all[..40], Strength::Exclusive, WaitPolicy::Nowait, 0).await.unwrap();
        assert_eq!(got.keys.len(), 40);
        c.release().await;
        let got = a.lock_with(&all, Strength::Exclusive, WaitPolicy::SkipLocked, 0).await.unwrap();
        let skipped: Vec<usize> = (0..200).filter(|place| got.keys[*place].skipped).collect();
        assert_eq!(skipped, [150]);
        assert_eq!(got.keys[50].newest.clone().unwrap().value.as_deref(), Some(b"old".as_ref()));
        // One of many is waited for as any other, and had once all are committed.
        for name in &all[50..100] {
            a.put(name, "new");
        }
        let (committed, locked) = futures::join!(
            async {
                env::clock::sleep(Duration::from_millis(100)).await;
                a.commit().await.unwrap()
            },
            c.lock(&["k010", "k070"])
        );
        let locked = locked.unwrap();
        assert!(locked.waited && locked.locked_at >= committed);
        assert_eq!(locked.keys[1].newest.clone().unwrap().value.as_deref(), Some(b"new".as_ref()));
        let refused = b.lock_with(&all, Strength::Exclusive, WaitPolicy::Nowait, 0).await;
        assert!(matches!(refused, Err(Kind::LockNotAvailable(_))), "{refused:?}");
        c.release().await;
        b.lock_with(&all, Strength::Exclusive, WaitPolicy::Nowait, 0).await.unwrap();
    });
}
