//! Branches: what of a layer below is seen through one, and what is written in it.

use bytes::Bytes;
use keys::sql::{TENANT_DEFAULT, index_prefix, index_span, to_branch};
use proto::v1::operation::Operation as Ask;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{
    GetResult, KeyValue, KeyVersion, LockResult, LockedKey, ScanResult, Version, VersionsResult,
};

use super::scripted::{Asked, Cluster, committed, key, with_cluster};
use crate::branch::{BranchRow, Layer, mark};
use crate::{ScanOptions, Strength, TransactionOptions, VersionsLeft, WaitPolicy};

const BELOW: u64 = 2000;
const MOMENT: u64 = 50;

fn branch() -> u64 {
    to_branch(3000)
}

fn of(index: u64, rest: &str) -> Bytes {
    [index_prefix(TENANT_DEFAULT, index).as_ref(), rest.as_bytes()].concat().into()
}

fn got(value: Option<Bytes>) -> Answer {
    Answer::Get(GetResult { versions: vec![Version { value, timestamp: 7 }], read_at: 0 })
}

/// The row that says over what the branch lies.
fn known() -> Answer {
    let layers = vec![Layer { index: BELOW, at: MOMENT }];
    got(Some(BranchRow { layers, note: Bytes::new() }.encode()))
}

fn page(rows: &[(Bytes, Bytes)]) -> Answer {
    let row =
        |(key, value): &(Bytes, Bytes)| KeyValue { key: key.clone(), value: value.clone(), timestamp: 1 };
    Answer::Scan(ScanResult { rows: rows.iter().map(row).collect(), ..ScanResult::default() })
}

/// What was read of which key, at which timestamp.
fn gets(asked: &[Asked]) -> Vec<(Bytes, u64)> {
    let get = |asked: &Asked| match &asked.ask {
        Ask::Get(get) => Some((get.keys[0].clone(), get.at)),
        _ => None,
    };
    asked.iter().filter_map(get).collect()
}

#[test]
fn a_key_that_a_branch_does_not_hold_is_read_below_it_as_of_its_moment() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(got(None)).answer(known()).answer(got(Some(key("below"))));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        assert_eq!(transaction.get(of(branch(), "a")).await.unwrap(), Some(key("below")));
        let asked = gets(&cluster.asked());
        assert_eq!(asked[0].0, of(branch(), "a"));
        assert_eq!(asked[1].0, BranchRow::key(branch()));
        assert_eq!(asked[2], (of(BELOW, "a"), MOMENT));
        // What it holds is read nowhere else, and neither is what is gone.
        cluster.answer(got(Some(key("own")))).answer(got(Some(mark())));
        assert_eq!(transaction.get(of(branch(), "b")).await.unwrap(), Some(key("own")));
        assert_eq!(transaction.get(of(branch(), "c")).await.unwrap(), None);
        assert_eq!(cluster.asked().len(), 2);
    });
}

#[test]
fn what_is_deleted_leaves_a_mark_and_is_not_seen_any_more() {
    with_cluster(async |cluster: Cluster| {
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        transaction.delete(of(branch(), "a"));
        assert_eq!(transaction.get(of(branch(), "a")).await.unwrap(), None);
        transaction.put(of(branch(), "b"), key("own"));
        cluster.answer(committed(200));
        transaction.commit().await.unwrap();
        let writes: Vec<_> = cluster
            .asked()
            .into_iter()
            .filter_map(|asked| match asked.ask {
                Ask::Commit(commit) => Some(commit.writes),
                _ => None,
            })
            .flatten()
            .map(|write| write.value)
            .collect();
        assert_eq!(writes, [Some(mark()), Some(key("own"))]);
    });
}

#[test]
fn a_scan_lays_a_branch_over_what_is_below_in_both_orders() {
    let all = || index_span(TENANT_DEFAULT, branch());
    let below = ["a", "b", "c"].map(|rest| (of(BELOW, rest), key("below")));
    let own = [(of(branch(), "b"), mark()), (of(branch(), "c"), key("own")), (of(branch(), "d"), key("own"))];
    let expected =
        [(of(branch(), "a"), key("below")), (of(branch(), "c"), key("own")), (of(branch(), "d"), key("own"))];
    with_cluster(async |cluster: Cluster| {
        cluster.answer(known()).answer(page(&below)).answer(page(&own));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        let read = transaction.scan(all(), ScanOptions::default()).await.unwrap();
        assert_eq!((read.rows.as_slice(), read.resume), (&expected[..], None));
        let backwards = |rows: &[(Bytes, Bytes)]| rows.iter().rev().cloned().collect::<Vec<_>>();
        cluster.answer(page(&backwards(&below))).answer(page(&backwards(&own)));
        let options = ScanOptions { rows_max: 2, reverse: true, ..ScanOptions::default() };
        let read = transaction.scan(all(), options).await.unwrap();
        assert_eq!(read.rows, backwards(&expected)[..2]);
        let left = read.resume.unwrap();
        assert_eq!((left.start, left.end), (all().start, of(branch(), "c")));
    });
}

#[test]
fn a_scan_goes_on_where_the_shorter_page_has_ended() {
    let span = |rest: &str, end: Bytes| proto::v1::Span { start: of(branch(), rest), end };
    with_cluster(async |cluster: Cluster| {
        let below = ["a", "b", "c"].map(|rest| (of(BELOW, rest), key("below")));
        let end = index_span(TENANT_DEFAULT, branch()).end;
        let own = Answer::Scan(ScanResult {
            rows: vec![KeyValue { key: of(branch(), "aa"), value: key("own"), timestamp: 1 }],
            resume: Some(span("b", end.clone())),
            read_at: 0,
        });
        cluster.answer(known()).answer(page(&below)).answer(own);
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        let all = index_span(TENANT_DEFAULT, branch());
        let read = transaction.scan(all, ScanOptions::default()).await.unwrap();
        assert_eq!(read.rows, [(of(branch(), "a"), key("below")), (of(branch(), "aa"), key("own"))]);
        let left = read.resume.unwrap();
        assert_eq!((left.start.clone(), left.end.clone()), (of(branch(), "b"), end));
        cluster.answer(page(&below[1..])).answer(page(&[]));
        let read = transaction.scan(left, ScanOptions::default()).await.unwrap();
        assert_eq!(read.rows.len(), 2);
        assert!(read.resume.is_none());
    });
}

#[test]
fn versions_of_what_lies_below_come_behind_those_of_the_branch() {
    let version = |rest: &str, value: Bytes, timestamp: u64| KeyVersion {
        key: of(branch(), rest),
        value: Some(value),
        timestamp,
        start_timestamp: timestamp - 1,
    };
    let own = || {
        let versions =
            vec![version("b", key("own"), 90), version("b", key("own"), 70), version("c", mark(), 80)];
        Answer::Versions(VersionsResult { versions, ..VersionsResult::default() })
    };
    let at = |rest: &str, is_there: bool, timestamp: u64| (of(branch(), rest), is_there, timestamp);
    let all = || VersionsLeft::all(index_span(TENANT_DEFAULT, branch()));
    let below = ["a", "b", "c"].map(|rest| (of(BELOW, rest), key("below")));
    let expected = [
        at("a", true, MOMENT),
        at("b", true, 90),
        at("b", true, 70),
        at("b", true, MOMENT),
        at("c", false, 80),
        at("c", true, MOMENT),
    ];
    with_cluster(async |cluster: Cluster| {
        cluster.answer(own()).answer(known()).answer(page(&below));
        let read = cluster.client.versions_and_below(all(), 0, 100, 1 << 20).await.unwrap();
        let told = |versions: &[crate::RowVersion]| -> Vec<(Bytes, bool, u64)> {
            let one = |own: &crate::RowVersion| (own.key.clone(), own.value.is_some(), own.timestamp);
            versions.iter().map(one).collect()
        };
        assert_eq!(told(&read.versions), expected);
        assert_eq!(read.versions[0].start_timestamp, MOMENT);
        assert!(read.left.is_none());
        // What is below ends earlier than the branch's own: so does the page.
        let resume = proto::v1::Span { start: of(BELOW, "c"), end: index_span(TENANT_DEFAULT, BELOW).end };
        let row = |rest: &str| KeyValue { key: of(BELOW, rest), value: key("below"), timestamp: 1 };
        let cut = ScanResult { rows: vec![row("a"), row("b")], resume: Some(resume), read_at: 0 };
        cluster.answer(own()).answer(Answer::Scan(cut));
        let read = cluster.client.versions_and_below(all(), 0, 100, 1 << 20).await.unwrap();
        assert_eq!(told(&read.versions), expected[..4]);
        let left = keys::Span { start: of(branch(), "c"), end: index_span(TENANT_DEFAULT, branch()).end };
        assert_eq!(read.left, Some(VersionsLeft::all(left)));
    });
}

#[test]
fn of_a_branch_that_nobody_can_read_any_more_nothing_is_looked_for_below() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(got(None)).answer(got(None));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        let error = transaction.get(of(branch(), "a")).await.unwrap_err();
        assert_eq!(error.sqlstate(), "72000");
        cluster.asked();
        cluster.answer(Answer::Versions(VersionsResult { from: 101, ..VersionsResult::default() }));
        let all = VersionsLeft::all(index_span(TENANT_DEFAULT, branch()));
        let read = cluster.client.versions_and_below(all, 0, 100, 1 << 20).await.unwrap();
        assert_eq!((read.versions, read.left, read.kept), (Vec::new(), None, 101));
        assert_eq!(cluster.asked().len(), 1);
    });
}

#[test]
fn rows_that_are_gone_are_passed_many_at_a_time() {
    let all = || index_span(TENANT_DEFAULT, branch());
    let rows_max = |asked: &[Asked]| -> Vec<u64> {
        let scan = |asked: &Asked| match &asked.ask {
            Ask::Scan(scan) => Some(scan.rows_max),
            _ => None,
        };
        asked.iter().filter_map(scan).collect()
    };
    with_cluster(async |cluster: Cluster| {
        // Of the first page the only row is gone; the next ones are larger, and what is asked for comes with the second.
        let cut = Answer::Scan(ScanResult {
            rows: vec![KeyValue { key: of(BELOW, "a"), value: key("below"), timestamp: 1 }],
            resume: Some(proto::v1::Span {
                start: of(BELOW, "b"),
                end: index_span(TENANT_DEFAULT, BELOW).end,
            }),
            read_at: 0,
        });
        cluster.answer(known()).answer(cut).answer(page(&[(of(branch(), "a"), mark())]));
        cluster.answer(page(&["b", "c"].map(|rest| (of(BELOW, rest), key("below"))))).answer(page(&[]));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        let options = ScanOptions { rows_max: 1, ..ScanOptions::default() };
        let read = transaction.scan(all(), options).await.unwrap();
        assert_eq!(read.rows, [(of(branch(), "b"), key("below"))]);
        let asked = rows_max(&cluster.asked());
        assert_eq!((asked.len(), asked[0], asked[1]), (4, 1, 1));
        assert!(asked[2] > 1 && asked[3] > 1, "{asked:?}");
        // No more rows than were asked for; the scan goes on behind them.
        let left = read.resume.unwrap();
        assert!(left.start > of(branch(), "b") && left.start < of(branch(), "c"));
        assert_eq!(left.end, all().end);
    });
}

#[test]
fn a_lock_finds_what_is_below() {
    with_cluster(async |cluster: Cluster| {
        let keys = vec![LockedKey { newest: None, skipped: false }];
        let locked = Answer::Lock(LockResult { keys, locked_at: 90, ..LockResult::default() });
        cluster.answer(locked).answer(known()).answer(got(Some(key("below"))));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        let wanted = of(branch(), "a");
        let locked = transaction.lock_key(&wanted, Strength::Exclusive, WaitPolicy::Block).await.unwrap();
        assert_eq!((locked.value, locked.newest, locked.changed), (Some(key("below")), 0, false));
        assert_eq!(gets(&cluster.asked())[1], (of(BELOW, "a"), MOMENT));
    });
}
