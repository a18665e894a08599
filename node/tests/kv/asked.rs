//! Timestamps asked by the leader: requests that carry none, and what they are answered.

use std::time::Duration;

use bytes::Bytes;
use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Get, GetResult, Header, Lock, LockResult, Scan, ScanResult, Span};

use crate::harness::{Client, Cluster, Txn, key, simulate, value};

/// A transaction that has no timestamp yet.
struct Blank {
    client: Client,
    header: Header,
}

impl Blank {
    async fn begin(client: &Client) -> Self {
        let header = Header { start_timestamp: 0, ..client.begin().await.header() };
        Self { client: client.clone(), header }
    }

    fn planned_under(mut self, catalog_version: u64) -> Self {
        self.header.catalog_version = catalog_version;
        self
    }

    async fn get(&self, name: &str) -> Result<GetResult, Kind> {
        match self.client.send(self.header.clone(), Op::Get(Get { keys: vec![key(name)], at: 0 })).await? {
            Answer::Get(got) => Ok(got),
            other => panic!("{other:?}"),
        }
    }

    async fn scan(&self, from: &str, to: &str) -> Result<ScanResult, Kind> {
        let scan = Scan { span: Some(Span { start: key(from), end: key(to) }), ..Scan::default() };
        match self.client.send(self.header.clone(), Op::Scan(scan)).await? {
            Answer::Scan(scanned) => Ok(scanned),
            other => panic!("{other:?}"),
        }
    }

    async fn lock(&self, names: &[&str]) -> Result<LockResult, Kind> {
        let lock = Lock { keys: names.iter().map(|name| key(name)).collect(), ..Lock::default() };
        match self.client.send(self.header.clone(), Op::Lock(lock)).await? {
            Answer::Lock(locked) => Ok(locked),
            other => panic!("{other:?}"),
        }
    }

    /// With a timestamp from now on.
    fn at(self, start: u64) -> Txn {
        Txn {
            client: self.client,
            id: self.header.txn_id,
            start,
            read_at: start,
            catalog_version: 0,
            checks: Vec::new(),
            writes: Default::default(),
        }
    }
}

#[test]
fn a_read_without_a_timestamp_sees_all_that_was_acknowledged_and_says_at_what_it_read() {
    for three in [false, true] {
        simulate(|| async move {
            let cluster = if three { Cluster::three().await } else { Cluster::single().await };
            let client = cluster.client().await;
            let mut last = 0;
            for round in 0..3 {
                let committed = client.put("k", &round.to_string()).await;
                let got = Blank::begin(&client).await.get("k").await.unwrap();
                assert_eq!(got.versions[0].value, Some(value(&round.to_string())));
                assert_eq!(got.versions[0].timestamp, committed);
                assert!(got.read_at >= committed && got.read_at > last);
                last = got.read_at;
                let scanned = Blank::begin(&client).await.scan("a", "z").await.unwrap();
                assert_eq!((scanned.rows.len(), scanned.rows[0].timestamp), (1, committed));
                assert!(scanned.read_at > last);
                last = scanned.read_at;
            }
            // Who says at what it reads knows.
            let txn = client.begin().await;
            let get = Get { keys: vec![key("k")], at: txn.start };
            let Ok(Answer::Get(got)) = client.send(txn.header(), Op::Get(get)).await else { panic!() };
            assert_eq!(got.read_at, 0);
        });
    }
}

#[test]
fn nothing_commits_below_a_read_that_took_its_timestamp_here() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let (mut point, mut within) = (client.begin().await, client.begin().await);
        let got = Blank::begin(&client).await.get("k").await.unwrap();
        let scanned = Blank::begin(&client).await.scan("l", "z").await.unwrap();
        point.put("k", "1");
        within.put("m", "1");
        assert!(point.commit().await.unwrap() > got.read_at);
        assert!(within.commit().await.unwrap() > scanned.read_at);
    });
}

#[test]
fn a_lock_gets_its_timestamp_after_the_wait_and_none_of_its_versions_is_newer() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut holder = client.begin().await;
        holder.lock(&["k"]).await.unwrap();
        let waiter = Blank::begin(&client).await;
        let waiting = env::task::spawn(async move {
            let locked = waiter.lock(&["k", "l"]).await;
            (waiter, locked)
        });
        env::clock::sleep(Duration::from_millis(300)).await;
        holder.put("k", "1");
        let committed = holder.commit().await.unwrap();
        let (waiter, locked) = waiting.await.unwrap();
        let locked = locked.unwrap();
        assert_eq!(locked.keys[0].newest.as_ref().unwrap().timestamp, committed);
        assert!(locked.waited && locked.read_at >= committed && locked.locked_at == locked.read_at);
        // It needs no validation to read and to commit at that.
        let mut txn = waiter.at(locked.read_at);
        assert_eq!(txn.get("k").await.as_deref(), Some("1"));
        txn.put("k", "2");
        assert!(txn.commit().await.unwrap() > locked.read_at);
    });
}

#[test]
fn a_lock_that_is_asked_again_gets_another_timestamp_and_is_held_once() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let blank = Blank::begin(&client).await;
        let first = blank.lock(&["k"]).await.unwrap();
        let second = blank.lock(&["k"]).await.unwrap();
        assert!(second.read_at > first.read_at && !second.waited);
        let mut txn = blank.at(second.read_at);
        txn.put("k", "1");
        txn.commit().await.unwrap();
        let other = Blank::begin(&client).await.lock(&["k"]).await.unwrap();
        assert!(!other.waited);
    });
}

#[test]
fn the_younger_of_two_that_wait_for_each_other_goes_even_without_a_timestamp() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut old = client.begin().await;
        old.lock(&["b"]).await.unwrap();
        client.put("other", "1").await;
        let young = Blank::begin(&client).await;
        // In the order of the keys: it holds the first while it waits for the second.
        let waiting = env::task::spawn(async move { young.lock(&["a", "b"]).await });
        env::clock::sleep(Duration::from_millis(100)).await;
        old.lock(&["a"]).await.unwrap();
        assert!(matches!(waiting.await.unwrap(), Err(Kind::Deadlock(_))));
    });
}

#[test]
fn what_was_planned_under_another_catalog_than_that_of_the_timestamp_is_refused() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        for version in [1u64, 2] {
            let mut ddl = client.begin().await;
            let stored = Bytes::copy_from_slice(&version.to_be_bytes());
            ddl.writes.insert(keys::sql::catalog_version_key(), Some(stored));
            ddl.commit().await.unwrap();
            let planned = |version| {
                let client = client.clone();
                async move { Blank::begin(&client).await.planned_under(version) }
            };
            assert!(planned(version).await.get("k").await.is_ok());
            planned(version).await.lock(&[format!("l{version}").as_str()]).await.unwrap();
            let stale = planned(version + 1).await;
            assert!(
                matches!(stale.get("k").await, Err(Kind::StaleCatalog(stale)) if stale.current == version)
            );
            assert!(matches!(stale.scan("a", "z").await, Err(Kind::StaleCatalog(_))));
            assert!(matches!(stale.lock(&["m"]).await, Err(Kind::StaleCatalog(_))));
        }
    });
}

#[test]
fn a_lock_that_waited_through_a_change_of_the_catalog_is_refused() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let set_version = |version: u64| {
            let client = client.clone();
            async move {
                let mut ddl = client.begin().await;
                let stored = Bytes::copy_from_slice(&version.to_be_bytes());
                ddl.writes.insert(keys::sql::catalog_version_key(), Some(stored));
                ddl.commit().await.unwrap();
            }
        };
        set_version(1).await;
        let mut holder = client.begin().await;
        holder.lock(&["k"]).await.unwrap();
        let waiter = Blank::begin(&client).await.planned_under(1);
        let waiting = env::task::spawn(async move { waiter.lock(&["k"]).await });
        env::clock::sleep(Duration::from_millis(100)).await;
        set_version(2).await;
        holder.release().await;
        let refused = waiting.await.unwrap();
        assert!(matches!(refused, Err(Kind::StaleCatalog(stale)) if stale.current == 2));
        // And holds nothing.
        assert!(!Blank::begin(&client).await.lock(&["k"]).await.unwrap().waited);
    });
}

#[test]
fn a_lock_of_a_transaction_that_is_gone_passes_on() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let gone = Blank::begin(&client).await.lock(&["k"]).await.unwrap();
        let next = Blank::begin(&client).await.lock(&["k"]).await.unwrap();
        assert!(next.waited && next.read_at > gone.read_at);
    });
}
