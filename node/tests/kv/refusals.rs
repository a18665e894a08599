//! What makes no sense is refused to its sender, and harms nobody else.

use bytes::Bytes;
use proto::Code;
use proto::v1::error::Kind;
use proto::v1::operation::Operation as Op;
use proto::v1::{
    AllocateIdsRequest, BatchRequest, Check, Commit, DigestRequest, Get, Header, Heartbeat, JoinRequest,
    Lock, Operation, Prewrite, Scan, Span, TimestampRequest, Validate, WaitRequest, Write,
};

use crate::harness::{Cluster, key, simulate};

#[test]
fn nonsense_is_refused_with_a_clear_error() {
    simulate(|| async {
        let client = Cluster::single().await.client().await;
        let txn = client.begin().await;
        let at = txn.start;
        let span = |start: &str, end: &str| Some(Span { start: key(start), end: key(end) });
        let write = |key: Bytes| Write { key, value: Some(Bytes::new()) };
        let elsewhere = Bytes::from_static(b"r-root");
        let get = |keys, at| Op::Get(Get { keys, at });
        let scan = |span| Op::Scan(Scan { span, at, ..Scan::default() });
        let lock = |strength, wait| Op::Lock(Lock { keys: vec![key("x")], strength, wait, wait_ms_max: 0 });
        let commit = |writes| Op::Commit(Commit { checks: vec![], writes });
        let invalid: Vec<Op> = vec![
            get(vec![key("x")], 0),
            get(vec![key("x")], u64::MAX),
            scan(span("b", "a")),
            lock(7, 0),
            lock(0, 9),
            commit(vec![write(key("x")), write(key("x"))]),
            Op::Commit(Commit {
                checks: vec![Check { start: key("x"), end: Bytes::new(), since: u64::MAX }],
                writes: vec![write(key("y"))],
            }),
            Op::Validate(Validate { checks: vec![], at: u64::MAX, reserve: vec![] }),
        ];
        for operation in invalid {
            let answer = client.send(txn.header(), operation.clone()).await;
            assert!(matches!(answer, Err(Kind::Invalid(_))), "{operation:?}: {answer:?}");
        }
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
        let unsupported = client.send(txn.header(), Op::Prewrite(Prewrite::default())).await;
        assert!(matches!(unsupported, Err(Kind::Unsupported(_))));
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
        let timestamps =
            |count| client.root.timestamp(TimestampRequest { cluster_id: cluster_id.clone(), count });
        for count in [0, u32::MAX] {
            assert_eq!(timestamps(count).await.unwrap_err().code(), Code::InvalidArgument);
        }
        let ids = AllocateIdsRequest { cluster_id: cluster_id.clone(), counter: String::new(), count: 1 };
        assert_eq!(client.root.allocate_ids(ids).await.unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(client.root.join(JoinRequest::default()).await.unwrap_err().code(), Code::InvalidArgument);
        let wait = WaitRequest { waiter: Bytes::from_static(b"short"), ..WaitRequest::default() };
        assert_eq!(client.root.wait(wait).await.unwrap_err().code(), Code::InvalidArgument);
        let digest = DigestRequest { range_id: 77, ..DigestRequest::default() };
        assert_eq!(client.root.digest(digest).await.unwrap_err().code(), Code::NotFound);
        assert!(client.timestamp().await > 0);
    });
}
