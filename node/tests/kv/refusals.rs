//! What makes no sense is refused to its sender, and harms nobody else.

use std::time::Duration;

use bytes::Bytes;
use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;
use proto::v1::{
    AllocateIdsRequest, BatchRequest, Check, Commit, Decide, DigestRequest, DirectoryRequest, Get, Header,
    Heartbeat, JoinRequest, Lock, NodeHeartbeatRequest, Operation, Prewrite, RangeDescriptor, Recover,
    ReplicaFailure, Resolve, Scan, Span, TimestampRequest, Validate, WaitRequest, Write,
};
use proto::{Code, NodeService};

use crate::harness::{Cluster, key, simulate};

#[test]
fn nonsense_is_refused_with_a_clear_error() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let txn = client.begin().await;
        let at = txn.start;
        let span = |start: &str, end: &str| Some(Span { start: key(start), end: key(end) });
        let write = |key: Bytes| Write { key, value: Some(Bytes::new()), changes_key: None };
        let elsewhere = Bytes::from_static(b"r-root");
        let get = |keys, at| Op::Get(Get { keys, at });
        let scan = |span| Op::Scan(Scan { span, at, ..Scan::default() });
        let lock = |strength, wait| Op::Lock(Lock { keys: vec![key("x")], strength, wait, wait_ms_max: 0 });
        let commit = |writes| Op::Commit(Commit { writes, ..Commit::default() });
        let decide = || Decide {
            primary: key("x"),
            txn_id: txn.id.clone(),
            start_timestamp: txn.start,
            ..Decide::default()
        };
        let invalid: Vec<Op> = vec![
            get(vec![key("x")], u64::MAX),
            scan(span("b", "a")),
            lock(7, 0),
            lock(0, 9),
            commit(vec![write(key("x")), write(key("x"))]),
            Op::Commit(Commit {
                checks: vec![Check { start: key("x"), end: Bytes::new(), since: u64::MAX }],
                writes: vec![write(key("y"))],
                ..Commit::default()
            }),
            Op::Validate(Validate { checks: vec![], at: u64::MAX, ..Validate::default() }),
            Op::Validate(Validate { checks: vec![], at: 0, ..Validate::default() }),
            Op::Prewrite(Prewrite::default()),
            Op::Prewrite(Prewrite { writes: vec![write(key("x"))], ..Prewrite::default() }),
            Op::Decide(Decide { outcome: 1, commit_timestamp: at, ..decide() }),
            Op::Decide(Decide { outcome: 1, commit_timestamp: u64::MAX, ..decide() }),
            Op::Decide(Decide { outcome: 3, ..decide() }),
            Op::Decide(Decide { txn_id: Bytes::new(), ..decide() }),
            Op::Resolve(Resolve { keys: vec![key("x")], ..Resolve::default() }),
            Op::Recover(Recover { keys: vec![key("x")], ..Recover::default() }),
        ];
        for operation in invalid {
            let answer = client.send(txn.header(), operation.clone()).await;
            assert!(matches!(answer, Err(Kind::Invalid(_))), "{operation:?}: {answer:?}");
        }
        // Reads and locks may leave their timestamp to the leader, a commit may not.
        let blank = Header { start_timestamp: 0, ..txn.header() };
        let answer = client.send(blank, commit(vec![write(key("x"))])).await;
        assert!(matches!(answer, Err(Kind::Invalid(_))), "{answer:?}");
        let stale: Vec<Op> = vec![
            get(vec![elsewhere.clone()], at),
            get(vec![Bytes::new()], at),
            scan(Some(Span { start: Bytes::new(), end: Bytes::new() })),
            scan(Some(Span { start: key("a"), end: Bytes::new() })),
            commit(vec![write(elsewhere)]),
        ];
        for operation in stale {
            let answer = client.send(txn.header(), operation.clone()).await;
            assert!(matches!(answer, Err(Kind::StaleRange(_))), "{operation:?}: {answer:?}");
        }
        let heartbeat = Op::Heartbeat(Heartbeat { txn_ids: vec![Bytes::from_static(b"short")] });
        assert!(client.send(txn.header(), heartbeat).await.is_ok());
        client.put("x", "still here").await;
    });
}

#[test]
fn what_is_too_large_is_refused() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let mut txn = client.begin().await;
        txn.put("x", &"v".repeat(9 << 20));
        assert!(matches!(txn.commit().await, Err(Kind::TooLarge(_))));
        let mut txn = client.begin().await;
        for number in 0..9 {
            txn.put(&format!("x{number}"), &"v".repeat(8 << 20));
        }
        assert!(matches!(txn.commit().await, Err(Kind::TooLarge(_))));
        let mut txn = client.begin().await;
        txn.put(&"k".repeat(70_000), "v");
        assert!(matches!(txn.commit().await, Err(Kind::TooLarge(_))));
        assert_eq!(client.read("x").await, None);
    });
}

#[test]
fn headers_must_name_the_cluster_the_range_and_its_epoch() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let txn = client.begin().await;
        let get = || Op::Get(Get { keys: vec![key("x")], at: txn.start });
        let send = |header: Header| client.send(header, get());
        assert!(matches!(send(Header { range_id: 9, ..txn.header() }).await, Err(Kind::StaleRange(_))));
        assert!(matches!(send(Header { range_id: 1, ..txn.header() }).await, Err(Kind::StaleRange(_))));
        let stale = send(Header { span_epoch: 9, ..txn.header() }).await;
        assert!(matches!(stale, Err(Kind::StaleRange(stale)) if stale.current[0].span_epoch == 1));
        let nameless = Header { cluster_id: Bytes::new(), ..txn.header() };
        assert!(matches!(send(nameless).await, Err(Kind::Invalid(_))));
        let headless = BatchRequest::default();
        assert!(client.data.batch(headless).await.unwrap().error.is_some());
        let foreign = BatchRequest {
            header: Some(Header { cluster_id: Bytes::from(vec![1; 16]), ..txn.header() }),
            operations: vec![Operation { operation: None }],
        };
        assert_eq!(client.data.batch(foreign).await.unwrap_err().code(), Code::PermissionDenied);
        let lock = Op::Lock(Lock { keys: vec![key("x")], ..Lock::default() });
        let nobody = Header { txn_id: Bytes::from_static(b"short"), ..txn.header() };
        assert!(matches!(client.send(nobody, lock).await, Err(Kind::Invalid(_))));
    });
}

#[test]
fn the_clusters_services_refuse_nonsense_too() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let cluster_id = client.cluster_id.clone();
        let timestamps = |count| {
            client.root.timestamp(TimestampRequest { cluster_id: cluster_id.clone(), count, forward: false })
        };
        for count in [0, u32::MAX] {
            assert_eq!(timestamps(count).await.unwrap_err().code(), Code::InvalidArgument);
        }
        let ids = AllocateIdsRequest {
            cluster_id: cluster_id.clone(),
            counter: String::new(),
            count: 1,
            forward: false,
        };
        assert_eq!(client.root.allocate_ids(ids).await.unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(client.root.join(JoinRequest::default()).await.unwrap_err().code(), Code::InvalidArgument);
        let wait = WaitRequest { waiter: Bytes::from_static(b"short"), ..WaitRequest::default() };
        assert_eq!(client.root.wait(wait).await.unwrap_err().code(), Code::InvalidArgument);
        let digest = DigestRequest { range_id: 77, ..DigestRequest::default() };
        assert_eq!(client.root.digest(digest).await.unwrap_err().code(), Code::NotFound);
        assert!(client.timestamp().await > 0);
    });
}

#[test]
fn what_a_message_claims_is_not_believed_by_itself() {
    simulate(|| async {
        let cluster = Cluster::three().await;
        let client = cluster.client().await;
        let cluster_id = client.cluster_id.clone();
        let before = cluster.nodes[&1].directory(DirectoryRequest::default()).await.unwrap();
        // A store that is not there, and one that is nowhere.
        for address in ["node", "", "nobody:1", "node2:1"] {
            let store_id = Bytes::from(vec![9; 16]);
            let join = JoinRequest {
                store_id,
                address: address.to_owned(),
                generation: 1,
                ..JoinRequest::default()
            };
            assert!(client.root.join(join).await.is_err(), "{address:?}");
        }
        // A registered node, as far as the message says, that leads a range nobody has, and one whose replicas are gone.
        let mut gone = before.ranges[1].clone();
        gone.config_epoch = u64::MAX;
        gone.replicas.truncate(1);
        let unknown = RangeDescriptor { range_id: 99, ..gone.clone() };
        for node in &before.nodes {
            let heartbeat = NodeHeartbeatRequest {
                cluster_id: cluster_id.clone(),
                node_id: node.node_id,
                address: node.address.clone(),
                generation: node.generation,
                led: vec![gone.clone(), unknown.clone()],
                failed: vec![ReplicaFailure { range_id: 2, replica_id: 1, why: "it is said".to_owned() }],
                ..NodeHeartbeatRequest::default()
            };
            client.root.node_heartbeat(heartbeat.clone()).await.unwrap();
            let elsewhere = NodeHeartbeatRequest { generation: u64::MAX, ..heartbeat };
            assert!(client.root.node_heartbeat(elsewhere).await.is_err());
        }
        let ids = |counter: &str, count| {
            let counter = counter.to_owned();
            client.root.allocate_ids(AllocateIdsRequest {
                cluster_id: cluster_id.clone(),
                counter,
                count,
                forward: false,
            })
        };
        for (counter, count) in [("oid", 1 << 63), ("oid", u64::MAX), ("oid", 0), ("nonsense", 1)] {
            assert_eq!(ids(counter, count).await.unwrap_err().code(), Code::InvalidArgument);
        }
        assert_eq!(ids("oid", 1).await.unwrap().first, 16384);
        env::clock::sleep(Duration::from_secs(5)).await;
        let after = cluster.nodes[&1].directory(DirectoryRequest::default()).await.unwrap();
        assert_eq!(after.nodes.len(), 3);
        let epochs = |ranges: &[RangeDescriptor]| {
            ranges
                .iter()
                .map(|range| (range.range_id, range.config_epoch, range.replicas.len()))
                .collect::<Vec<_>>()
        };
        assert_eq!(epochs(&after.ranges), epochs(&before.ranges));
        client.put("k", "v").await;
    });
}

#[test]
fn a_chosen_timestamp_is_taken_only_if_it_was_handed_out() {
    simulate(|| async {
        let client = Cluster::three().await.client().await;
        client.put("k", "old").await;
        let txn = client.begin().await;
        let soon = txn.start + (500 << 18);
        let get = |at, chosen_timestamp| {
            let header = Header { chosen_timestamp, ..txn.header() };
            let get = Op::Get(Get { keys: vec![key("k")], at });
            let client = &client;
            async move { client.send(header, get).await }
        };
        assert!(matches!(get(soon, true).await, Err(Kind::Invalid(_))));
        assert!(get(txn.start, true).await.is_ok());
        client.put("k", "new").await;
        assert_eq!(client.read("k").await.as_deref(), Some("new"));
    });
}
