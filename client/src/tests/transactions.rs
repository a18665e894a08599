//! Reads, locks, moving forward, and what a commit carries.

use std::time::Duration;

use env::clock;
use proto::v1::error::Kind;
use proto::v1::operation::Operation as Ask;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{
    BelowSafePoint, Check, Conflict, KeyValue, LockResult, LockedKey, NoTimestamp, ScanResult, Span,
    StaleRange, ValidateResult,
};

use super::scripted::{Asked, Cluster, committed, got, key, locked, range, with_cluster};
use crate::{Error, Isolation, ScanOptions, Strength, TransactionOptions, WaitPolicy};

fn point(start: &'static str, since: u64) -> Check {
    Check { start: key(start), end: key(""), since }
}

fn at(isolation: Isolation) -> TransactionOptions {
    TransactionOptions { isolation, ..TransactionOptions::default() }
}

/// The checks of the one commit that was asked for.
fn commit_checks(cluster: &Cluster) -> Vec<Check> {
    let commits = cluster.asked().into_iter().filter_map(|asked| match asked.ask {
        Ask::Commit(commit) => Some(commit.checks),
        _ => None,
    });
    commits.last().unwrap()
}

#[test]
fn a_serializable_commit_checks_what_was_read_and_what_was_locked() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(got("1", 50)).answer(locked("2", 60, 90)).answer(committed(200));
        let mut transaction = cluster.client.begin(at(Isolation::Serializable));
        transaction.get(key("da")).await.unwrap();
        let rows = transaction.lock(vec![key("db")], Strength::Exclusive, WaitPolicy::Block).await.unwrap();
        assert!(!rows[0].changed);
        transaction.put(key("db"), key("3"));
        assert_eq!(transaction.get(key("db")).await.unwrap(), Some(key("3")));
        transaction.commit().await.unwrap();
        assert_eq!(commit_checks(&cluster), [point("da", 101), point("db", 90)]);
    });
}

#[test]
fn who_has_begun_before_an_erasure_begins_anew_and_who_asks_for_the_past_is_told() {
    with_cluster(async |cluster: Cluster| {
        let erased = || Kind::BelowSafePoint(BelowSafePoint { safe_point: 500, erased: true });
        cluster.answer(got("1", 50));
        cluster.refuse(erased());
        let mut transaction = cluster.client.begin(at(Isolation::RepeatableRead));
        transaction.get(key("da")).await.unwrap();
        assert_eq!(transaction.get(key("db")).await.unwrap_err().sqlstate(), "40001");
        cluster.refuse(erased());
        let mut past = cluster.client.past(90);
        past.ask_leaders();
        let refused = past.get(key("db")).await;
        assert!(matches!(refused, Err(Error::HistoryErased { before: 500 })), "{refused:?}");
    });
}

#[test]
fn a_snapshot_commit_checks_its_locks_alone() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(got("1", 50)).answer(locked("2", 60, 90)).answer(committed(200));
        let mut transaction = cluster.client.begin(at(Isolation::RepeatableRead));
        transaction.get(key("da")).await.unwrap();
        transaction.lock(vec![key("db")], Strength::Exclusive, WaitPolicy::Block).await.unwrap();
        transaction.put(key("db"), key("3"));
        transaction.commit().await.unwrap();
        assert_eq!(commit_checks(&cluster), [point("db", 90)]);
    });
}

#[test]
fn a_lock_that_finds_a_newer_version_moves_the_transaction_by_validation() {
    with_cluster(async |cluster: Cluster| {
        cluster
            .answer(got("1", 50))
            .answer(locked("2", 150, 160))
            .answer(Answer::Validate(ValidateResult {}));
        let mut transaction = cluster.client.begin(at(Isolation::Serializable));
        transaction.get(key("da")).await.unwrap();
        cluster.client.timestamp().await.unwrap();
        let rows = transaction.lock(vec![key("db")], Strength::Exclusive, WaitPolicy::Block).await.unwrap();
        assert!(rows[0].changed);
        assert_eq!(transaction.read_timestamp().await.unwrap(), 103);
        let asked = cluster.asked();
        let Ask::Validate(validate) = &asked[2].ask else { panic!("{asked:?}") };
        assert_eq!((validate.at, &validate.checks[..]), (103, &[point("da", 101)][..]));
    });
}

#[test]
fn a_lock_that_finds_changed_what_was_read_fails_without_asking() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(got("1", 50)).answer(locked("2", 150, 160));
        let mut transaction = cluster.client.begin(at(Isolation::Serializable));
        transaction.get(key("da")).await.unwrap();
        let locking = transaction.lock(vec![key("da")], Strength::Exclusive, WaitPolicy::Block).await;
        assert_eq!(locking.unwrap_err().sqlstate(), "40001");
        assert!(matches!(transaction.get(key("da")).await, Err(Error::Finished)));
        assert_eq!(cluster.asked().len(), 2);
    });
}

#[test]
fn read_committed_locks_the_newest_version_and_commits_above_it() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(got("1", 50)).answer(locked("2", 150, 160)).answer(committed(200));
        let mut transaction = cluster.client.begin(at(Isolation::ReadCommitted));
        transaction.begin_statement();
        transaction.get(key("da")).await.unwrap();
        transaction.begin_statement();
        let rows = transaction.lock(vec![key("da")], Strength::Exclusive, WaitPolicy::Block).await.unwrap();
        assert!(rows[0].changed);
        assert_eq!(rows[0].value, Some(key("2")));
        transaction.put(key("da"), key("3"));
        transaction.commit().await.unwrap();
        let asked = cluster.asked();
        let starts: Vec<u64> = asked.iter().map(|asked| asked.header.start_timestamp).collect();
        // Each statement's timestamp came with its first answer; a commit says at what its transaction began.
        assert_eq!((starts, cluster.timestamps_asked()), (vec![0, 0, 103], 1));
        let Ask::Commit(commit) = &asked[2].ask else { panic!("{asked:?}") };
        assert_eq!(commit.checks, [point("da", 160)]);
    });
}

#[test]
fn the_first_request_brings_the_timestamp_along() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(got("1", 50)).answer(got("2", 50)).answer(committed(200));
        let mut transaction = cluster.client.begin(at(Isolation::Serializable));
        transaction.get(key("da")).await.unwrap();
        transaction.get(key("db")).await.unwrap();
        transaction.put(key("db"), key("3"));
        transaction.commit().await.unwrap();
        let asked = cluster.asked();
        let ats = asked.iter().map(|asked| match &asked.ask {
            Ask::Get(get) => get.at,
            _ => asked.header.start_timestamp,
        });
        assert_eq!((ats.collect::<Vec<_>>(), cluster.timestamps_asked()), (vec![0, 101, 101], 0));
    });
}

#[test]
fn a_first_request_whose_answer_is_lost_is_asked_again_without_a_timestamp() {
    with_cluster(async |cluster: Cluster| {
        cluster.lose().answer(locked("1", 50, 101)).answer(committed(200));
        let mut transaction = cluster.client.begin(at(Isolation::Serializable));
        transaction.lock(vec![key("da")], Strength::Exclusive, WaitPolicy::Block).await.unwrap();
        transaction.put(key("da"), key("2"));
        transaction.commit().await.unwrap();
        let starts: Vec<u64> = cluster.asked().iter().map(|asked| asked.header.start_timestamp).collect();
        assert_eq!((starts, cluster.timestamps_asked()), (vec![0, 0, 101], 0));
    });
}

#[test]
fn where_the_leader_gets_no_timestamp_the_client_asks_for_one() {
    with_cluster(async |cluster: Cluster| {
        let no_timestamp = || Kind::NoTimestamp(NoTimestamp {});
        cluster.refuse(no_timestamp()).answer(got("1", 50)).answer(got("2", 50));
        let mut transaction = cluster.client.begin(at(Isolation::Serializable));
        assert_eq!(transaction.get(key("da")).await.unwrap(), Some(key("1")));
        assert_eq!(transaction.read_timestamp().await.unwrap(), 101);
        let mut transaction = cluster.client.begin(at(Isolation::ReadCommitted));
        cluster.refuse(no_timestamp()).answer(locked("2", 50, 60));
        transaction.get(key("db")).await.unwrap();
        transaction.begin_statement();
        transaction.lock(vec![key("db")], Strength::Exclusive, WaitPolicy::Block).await.unwrap();
        let starts: Vec<u64> = cluster.asked().iter().map(|asked| asked.header.start_timestamp).collect();
        assert_eq!((starts, cluster.timestamps_asked()), (vec![0, 101, 0, 0, 103], 2));
    });
}

#[test]
fn requests_to_several_ranges_carry_one_timestamp() {
    with_cluster(async |cluster: Cluster| {
        cluster.set_ranges(vec![range(1, 1, "r", "s"), range(2, 1, "d", "dm"), range(3, 1, "dm", "e")]);
        cluster.answer(got("1", 50)).answer(got("2", 50));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        transaction.get_many(vec![key("da"), key("dz")]).await.unwrap();
        let asked = cluster.asked();
        let ats = asked.iter().map(|asked| match &asked.ask {
            Ask::Get(get) => get.at,
            ask => panic!("{ask:?}"),
        });
        assert_eq!((ats.collect::<Vec<_>>(), cluster.timestamps_asked()), (vec![101, 101], 1));
    });
}

#[test]
fn of_many_keys_the_first_are_read_that_fit() {
    with_cluster(async |cluster: Cluster| {
        cluster.set_ranges(vec![range(1, 1, "r", "s"), range(2, 1, "d", "dm"), range(3, 1, "dm", "e")]);
        let mut transaction = cluster.client.begin(at(Isolation::Serializable));
        let keys = || vec![key("da"), key("db"), key("dc")];
        // The range answers for one at a time.
        cluster.answer(got("12", 50)).answer(got("34", 50));
        assert_eq!(transaction.get_some(keys(), 3, true).await.unwrap(), [Some(key("12")), Some(key("34"))]);
        cluster.answer(got("12", 50)).answer(got("34", 50)).answer(got("56", 50));
        assert_eq!(transaction.get_many(keys()).await.unwrap().len(), 3);
        // What another range has answered already stands behind what is missing.
        cluster.answer(got("12", 50)).answer(got("78", 50));
        let keys = vec![key("da"), key("db"), key("dz")];
        assert_eq!(transaction.get_some(keys, 1, true).await.unwrap(), [Some(key("12"))]);
        assert_eq!(cluster.asked().len(), 7);
    });
}

#[test]
fn what_is_locked_is_read_without_asking() {
    for isolation in [Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Serializable] {
        with_cluster(async |cluster: Cluster| {
            cluster.answer(locked("1", 60, 101));
            let mut transaction = cluster.client.begin(at(isolation));
            transaction.lock(vec![key("da")], Strength::Exclusive, WaitPolicy::Block).await.unwrap();
            for _ in 0..2 {
                transaction.begin_statement();
                assert_eq!(transaction.get(key("da")).await.unwrap(), Some(key("1")));
                assert_eq!(transaction.get_many(vec![key("da")]).await.unwrap(), [Some(key("1"))]);
            }
            assert_eq!((cluster.asked().len(), cluster.timestamps_asked()), (1, 0));
        });
    }
}

#[test]
fn a_statement_does_not_read_a_locked_value_that_is_newer_than_itself() {
    with_cluster(async |cluster: Cluster| {
        cluster
            .answer(got("1", 50))
            .answer(locked("new", 150, 160))
            .answer(got("old", 60))
            .answer(got("old", 60));
        let mut transaction = cluster.client.begin(at(Isolation::ReadCommitted));
        transaction.begin_statement();
        transaction.get(key("da")).await.unwrap();
        let rows = transaction.lock(vec![key("db")], Strength::Exclusive, WaitPolicy::Block).await.unwrap();
        assert_eq!((rows[0].changed, rows[0].value.clone()), (true, Some(key("new"))));
        // Beside what else this statement has read, that is from the future.
        assert_eq!(transaction.get(key("db")).await.unwrap(), Some(key("old")));
        assert_eq!(transaction.get_many(vec![key("db")]).await.unwrap(), [Some(key("old"))]);
        // The next one sees it, whatever its timestamp will be.
        transaction.begin_statement();
        assert_eq!(transaction.get(key("db")).await.unwrap(), Some(key("new")));
        assert_eq!(cluster.asked().len(), 4);
    });
}

#[test]
fn values_of_locks_that_are_given_back_are_read_again() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(locked("1", 60, 101)).answer(got("1", 60));
        let mut transaction = cluster.client.begin(at(Isolation::Serializable));
        let savepoint = transaction.savepoint();
        transaction.lock(vec![key("da")], Strength::Exclusive, WaitPolicy::Block).await.unwrap();
        let held = transaction.memory_bytes();
        transaction.rollback_to(&savepoint).await.unwrap();
        assert!(held > 0 && transaction.memory_bytes() == 0);
        assert_eq!(transaction.get(key("da")).await.unwrap(), Some(key("1")));
        assert_eq!(cluster.asked().len(), 2);
    });
}

#[test]
fn a_conflict_on_a_key_written_blindly_only_takes_a_new_timestamp() {
    with_cluster(async |cluster: Cluster| {
        cluster.refuse(Kind::Conflict(Conflict { key: key("da"), timestamp: 150 })).answer(committed(200));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        transaction.put(key("da"), key("1"));
        transaction.commit().await.unwrap();
        let starts: Vec<u64> = cluster.asked().iter().map(|asked| asked.header.start_timestamp).collect();
        assert_eq!(starts, [101, 102]);
    });
}

#[test]
fn a_conflict_after_a_lost_answer_is_ambiguous_unless_a_check_has_failed() {
    let conflict = || Kind::Conflict(Conflict { key: key("da"), timestamp: 150 });
    with_cluster(async |cluster: Cluster| {
        cluster.lose().refuse(conflict());
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        transaction.put(key("da"), key("1"));
        assert_eq!(transaction.commit().await.unwrap_err().sqlstate(), "08007");

        cluster.answer(got("1", 50)).lose().refuse(conflict());
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        transaction.get(key("da")).await.unwrap();
        transaction.put(key("da"), key("1"));
        assert_eq!(transaction.commit().await.unwrap_err().sqlstate(), "40001");
    });
}

#[test]
fn a_transaction_that_only_reads_asks_for_nothing_at_commit() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(got("1", 50));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        assert!(transaction.is_pristine());
        transaction.get(key("da")).await.unwrap();
        assert!(!transaction.is_pristine());
        assert_eq!(transaction.commit().await.unwrap(), 101);
        assert_eq!(cluster.asked().len(), 1);
    });
}

#[test]
fn locks_alone_are_checked_by_the_message_that_gives_them_back() {
    for isolation in [Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Serializable] {
        with_cluster(async |cluster: Cluster| {
            cluster.answer(got("1", 50)).answer(locked("2", 60, 90)).answer(committed(200));
            let mut transaction = cluster.client.begin(at(isolation));
            transaction.get(key("da")).await.unwrap();
            transaction.lock(vec![key("db")], Strength::Exclusive, WaitPolicy::Block).await.unwrap();
            // What was written and taken back is not written.
            let savepoint = transaction.savepoint();
            transaction.put(key("dc"), key("3"));
            transaction.rollback_to(&savepoint).await.unwrap();
            transaction.commit().await.unwrap();
            let asked = cluster.asked_raw();
            assert!(!asked.iter().any(|asked| matches!(asked.ask, Ask::Release(_))), "{asked:?}");
            let Ask::Commit(commit) = &asked.last().unwrap().ask else { panic!("{asked:?}") };
            assert_eq!((&commit.checks[..], commit.writes.len()), (&[point("db", 90)][..], 0));
        });
    }
}

#[test]
fn a_lost_lock_over_a_changed_key_fails_a_commit_without_writes() {
    with_cluster(async |cluster: Cluster| {
        let conflict = Kind::Conflict(Conflict { key: key("da"), timestamp: 150 });
        // Nothing was written, so that an answer that is lost leaves nothing in doubt.
        cluster.answer(locked("1", 60, 90)).lose().refuse(conflict);
        let mut transaction = cluster.client.begin(at(Isolation::ReadCommitted));
        transaction.lock(vec![key("da")], Strength::Shared, WaitPolicy::Block).await.unwrap();
        assert_eq!(transaction.commit().await.unwrap_err().sqlstate(), "40001");
        assert!(transaction.is_over());
    });
}

#[test]
fn locks_in_several_ranges_are_checked_in_each_and_follow_new_bounds() {
    with_cluster(async |cluster: Cluster| {
        cluster.set_ranges(vec![range(1, 1, "r", "s"), range(2, 1, "d", "dm"), range(3, 1, "dm", "e")]);
        cluster.answer(locked("1", 60, 90)).answer(locked("2", 70, 95));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        let keys = vec![key("da"), key("dz")];
        transaction.lock(keys, Strength::Exclusive, WaitPolicy::Block).await.unwrap();
        cluster.asked();
        let current = vec![range(3, 2, "dm", "dx"), range(4, 1, "dx", "e")];
        cluster.set_ranges([vec![range(1, 1, "r", "s"), range(2, 1, "d", "dm")], current.clone()].concat());
        let moved = Kind::StaleRange(StaleRange { current });
        cluster.answer(committed(200)).refuse(moved).answer(committed(200));
        transaction.commit().await.unwrap();
        let asked: Vec<(u64, Vec<Check>)> = cluster
            .asked()
            .into_iter()
            .filter_map(|asked| match asked.ask {
                Ask::Commit(commit) => Some((asked.header.range_id, commit.checks)),
                _ => None,
            })
            .collect();
        let (a, z) = (vec![point("da", 90)], vec![point("dz", 95)]);
        assert_eq!(asked, [(2, a), (3, z.clone()), (4, z)]);
    });
}

#[test]
fn where_every_lock_was_passed_over_there_is_nothing_to_check() {
    with_cluster(async |cluster: Cluster| {
        let keys = vec![LockedKey { newest: None, skipped: true }];
        cluster.answer(Answer::Lock(LockResult { keys, locked_at: 90, ..LockResult::default() }));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        transaction.lock(vec![key("da")], Strength::Exclusive, WaitPolicy::SkipLocked).await.unwrap();
        cluster.asked_raw();
        transaction.commit().await.unwrap();
        assert!(matches!(cluster.asked_raw()[..], [Asked { ask: Ask::Release(_), .. }]));
    });
}

#[test]
fn pages_of_a_scan_show_own_writes_and_say_what_is_left() {
    with_cluster(async |cluster: Cluster| {
        let row = |k| KeyValue { key: key(k), value: key("old"), timestamp: 1 };
        let left = Span { start: key("dc"), end: key("dz") };
        cluster
            .answer(Answer::Scan(ScanResult {
                rows: vec![row("da"), row("dbb")],
                resume: Some(left),
                read_at: 0,
            }))
            .answer(Answer::Scan(ScanResult { rows: vec![row("dd")], ..ScanResult::default() }));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        transaction.delete(key("da"));
        transaction.put(key("dbc"), key("new"));
        transaction.put(key("dx"), key("new"));
        let page = transaction.scan(crate::Span::new("d", "dz"), ScanOptions::default()).await.unwrap();
        assert_eq!(page.rows, [(key("dbb"), key("old")), (key("dbc"), key("new"))]);
        let page = transaction.scan(page.resume.unwrap(), ScanOptions::default()).await.unwrap();
        assert_eq!(page.rows, [(key("dd"), key("old")), (key("dx"), key("new"))]);
        assert!(page.resume.is_none());
        cluster.answer(committed(200));
        transaction.commit().await.unwrap();
        assert_eq!(commit_checks(&cluster), [Check { start: key("d"), end: key("dz"), since: 101 }]);
    });
}

#[test]
fn locks_are_kept_alive_and_given_back() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(locked("1", 50, 60));
        let mut transaction = cluster.client.begin(TransactionOptions::default());
        transaction.lock(vec![key("da")], Strength::Exclusive, WaitPolicy::Block).await.unwrap();
        clock::sleep(Duration::from_millis(3_500)).await;
        drop(transaction);
        clock::sleep(Duration::from_millis(3_500)).await;
        let asked = cluster.asked_raw();
        let beats = asked.iter().filter(|asked| matches!(asked.ask, Ask::Heartbeat(_))).count();
        let releases = asked.iter().filter(|asked| matches!(asked.ask, Ask::Release(_))).count();
        assert_eq!((beats, releases), (3, 1));
    });
}

#[test]
fn a_read_only_transaction_neither_locks_nor_writes() {
    with_cluster(async |cluster: Cluster| {
        let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
        let mut transaction = cluster.client.begin(options.clone());
        let locking = transaction.lock(vec![key("da")], Strength::Shared, WaitPolicy::Block).await;
        assert_eq!(locking.unwrap_err().sqlstate(), "25006");
        transaction.put(key("da"), key("1"));
        assert_eq!(transaction.commit().await.unwrap_err().sqlstate(), "25006");
    });
}
