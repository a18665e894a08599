//! When what a transaction sees was written.

use proto::v1::GetResult;
use proto::v1::operation::Operation as Ask;
use proto::v1::operation_result::Result as Answer;

use super::scripted::{Cluster, committed, got, key, locked, version, with_cluster};
use crate::{Isolation, Strength, TransactionOptions, WaitPolicy, Written};

fn at(isolation: Isolation) -> TransactionOptions {
    TransactionOptions { isolation, ..TransactionOptions::default() }
}

#[test]
fn what_was_read_is_asked_about_at_the_same_timestamp_and_is_relied_on_once() {
    with_cluster(async |cluster: Cluster| {
        let both = Answer::Get(GetResult { versions: vec![version("1", 50), version("2", 60)], read_at: 0 });
        cluster.answer(got("1", 50)).answer(both).answer(locked("3", 70, 101)).answer(committed(200));
        let mut transaction = cluster.client.begin(at(Isolation::Serializable));
        transaction.get(key("da")).await.unwrap();
        let written = transaction.written(&[key("da"), key("db")]).await.unwrap();
        assert_eq!(written, [Written::At(50), Written::At(60)]);
        transaction.lock(vec![key("dc")], Strength::Exclusive, WaitPolicy::Block).await.unwrap();
        transaction.put(key("dc"), key("4"));
        transaction.commit().await.unwrap();
        let asked = cluster.asked();
        let Ask::Get(get) = &asked[1].ask else { panic!("{asked:?}") };
        assert_eq!(get.at, 101);
        let Ask::Commit(commit) = &asked[3].ask else { panic!("{asked:?}") };
        let relied: Vec<_> = commit.checks.iter().map(|check| check.start.clone()).collect();
        assert_eq!(relied, [key("da"), key("dc")]);
    });
}

#[test]
fn of_what_is_locked_or_written_here_nobody_is_asked() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(locked("1", 50, 101));
        let mut transaction = cluster.client.begin(at(Isolation::RepeatableRead));
        transaction.lock(vec![key("da")], Strength::Exclusive, WaitPolicy::Block).await.unwrap();
        assert_eq!(transaction.written_locked(b"da"), Written::At(50));
        transaction.put(key("db"), key("2"));
        let keys = [key("da"), key("db")];
        assert_eq!(transaction.written(&keys).await.unwrap(), [Written::At(50), Written::Here]);
        transaction.put(key("da"), key("3"));
        assert_eq!(transaction.written_locked(b"da"), Written::Here);
        assert_eq!(transaction.written(&keys).await.unwrap(), [Written::Here, Written::Here]);
        assert_eq!(cluster.asked().len(), 1);
    });
}

#[test]
fn of_a_locked_key_the_newest_version_is_told_and_the_one_that_reads_see() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(got("1", 50)).answer(locked("new", 150, 160)).answer(got("old", 60));
        let mut transaction = cluster.client.begin(at(Isolation::ReadCommitted));
        transaction.begin_statement();
        transaction.get(key("da")).await.unwrap();
        transaction.lock(vec![key("db")], Strength::Exclusive, WaitPolicy::Block).await.unwrap();
        assert_eq!(transaction.written_locked(b"db"), Written::At(150));
        assert_eq!(transaction.written(&[key("db")]).await.unwrap(), [Written::At(60)]);
    });
}

#[test]
fn transactions_have_numbers_of_their_own() {
    with_cluster(async |cluster: Cluster| {
        let mut one = cluster.client.begin(TransactionOptions::default());
        let mut other = cluster.client.begin(TransactionOptions::default());
        let number = one.number();
        assert_ne!(number, other.number());
        assert_eq!(number, one.number());
    });
}
