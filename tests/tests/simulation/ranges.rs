//! Transactions and statements whose data lies in several ranges, on a cluster to which nothing happens.

use std::time::Duration;

use bytes::Bytes;
use client::{Error, Isolation, ScanOptions, Span, Strength, Transaction, TransactionOptions, WaitPolicy};
use env::clock;
use nunatak_tests::simulation::{Quiet, quiet_over};

/// A key of each of three ranges, in their order.
fn keys_of_ranges() -> [Bytes; 3] {
    [&b"account/"[..], b"list/a", b"transfer/"].map(|name| keys::sql::kv_key(1, name))
}

fn key(number: u32) -> Bytes {
    // The numbers go round the ranges.
    let [a, b, c] = keys_of_ranges();
    let prefix = [a, b, c][number as usize % 3].clone();
    [&prefix[..], b"x", &number.to_be_bytes()].concat().into()
}

fn all() -> Span {
    let prefix = keys::sql::kv_key(1, b"");
    Span { end: keys::span::prefix_end(&prefix), start: prefix }
}

fn begin(cluster: &Quiet, isolation: Isolation) -> Transaction {
    let options = TransactionOptions { isolation, timeout: Duration::from_secs(5), ..Default::default() };
    cluster.client.begin(options)
}

async fn fill(cluster: &Quiet, count: u32) {
    let mut transaction = begin(cluster, Isolation::Serializable);
    (0..count).for_each(|number| transaction.put(key(number), number.to_be_bytes().to_vec().into()));
    transaction.commit().await.unwrap();
}

async fn scan(transaction: &mut Transaction, options: ScanOptions) -> Vec<Bytes> {
    let (mut rows, mut left) = (Vec::new(), Some(all()));
    while let Some(span) = left {
        let page = transaction.scan(span, options).await.unwrap();
        rows.extend(page.rows.into_iter().map(|(key, _)| key));
        left = page.resume;
    }
    rows.retain(|key| !key.ends_with(b"probe"));
    rows
}

#[test]
fn rows_come_in_their_order_whatever_ranges_they_lie_in() {
    quiet_over("borders", async |cluster| {
        fill(cluster, 300).await;
        let mut expected: Vec<Bytes> = (0..300).map(key).collect();
        expected.push(key(1000));
        expected.sort();
        for (rows_max, bytes_max) in [(0, 0), (7, 0), (300, 0), (0, 500)] {
            for reverse in [false, true] {
                let mut transaction = begin(cluster, Isolation::Serializable);
                transaction.put(key(1000), Bytes::new());
                let mut rows = scan(&mut transaction, ScanOptions { rows_max, bytes_max, reverse }).await;
                if reverse {
                    rows.reverse();
                }
                assert_eq!(rows, expected, "{rows_max} rows, {bytes_max} bytes, reverse: {reverse}");
            }
        }
        let mut transaction = begin(cluster, Isolation::Serializable);
        let numbers: Vec<u32> = (0..50).rev().chain([999]).collect();
        let values = transaction.get_many(numbers.iter().map(|number| key(*number)).collect()).await.unwrap();
        for (number, value) in numbers.iter().zip(values) {
            let expected = (*number < 300).then(|| number.to_be_bytes().to_vec().into());
            assert_eq!(value, expected, "{number}");
        }
    });
}

#[test]
fn a_scan_asks_the_ranges_that_it_comes_to_at_once() {
    quiet_over("borders", async |cluster| {
        fill(cluster, 30).await;
        clock::sleep(Duration::from_secs(1)).await;
        let mut transaction = begin(cluster, Isolation::Serializable);
        // As a range's first page is asked for without a timestamp, it is asked for alone.
        transaction.read_timestamp().await.unwrap();
        let began = clock::now();
        let (rows, cost) = cluster.count(scan(&mut transaction, ScanOptions::default())).await;
        assert_eq!((rows.len(), cost.ranges), (30, 7));
        // A round trip takes 6 ms at most: one after the other they would take about 21.
        assert!(clock::now() - began <= Duration::from_millis(8), "{:?}", clock::now() - began);
    });
}

#[test]
fn a_deadlock_over_ranges_is_found() {
    quiet_over("borders", async |cluster| {
        let [a, b, _] = keys_of_ranges();
        for isolation in [Isolation::Serializable, Isolation::ReadCommitted] {
            let (mut one, mut other) = (begin(cluster, isolation), begin(cluster, isolation));
            let exclusive = (Strength::Exclusive, WaitPolicy::Block);
            one.lock(vec![a.clone()], exclusive.0, exclusive.1).await.unwrap();
            other.lock(vec![b.clone()], exclusive.0, exclusive.1).await.unwrap();
            let began = clock::now();
            let waits = one.lock(vec![b.clone()], exclusive.0, exclusive.1);
            let closes = async {
                let closed = other.lock(vec![a.clone()], exclusive.0, exclusive.1).await;
                other.rollback().await;
                closed
            };
            let (first, second) = futures::future::join(waits, closes).await;
            first.unwrap();
            assert!(matches!(second, Err(Error::Deadlock { .. })), "{second:?}");
            assert!(clock::now() - began < Duration::from_secs(2));
            one.rollback().await;
        }
    });
}

#[test]
fn of_two_that_write_what_the_other_has_read_one_fails() {
    quiet_over("borders", async |cluster| {
        let [a, b, c] = keys_of_ranges();
        // Each writes in one range, or in two.
        for writes_third in [false, true] {
            let (mut one, mut other) =
                (begin(cluster, Isolation::Serializable), begin(cluster, Isolation::Serializable));
            one.get(a.clone()).await.unwrap();
            other.get(b.clone()).await.unwrap();
            one.put(b.clone(), Bytes::from_static(b"one"));
            other.put(a.clone(), Bytes::from_static(b"other"));
            if writes_third {
                one.put([&c[..], b"1"].concat().into(), Bytes::new());
                other.put([&c[..], b"2"].concat().into(), Bytes::new());
            }
            let (one, other) = futures::future::join(one.commit(), other.commit()).await;
            assert!(one.is_ok() || other.is_ok(), "{one:?}, {other:?}");
            assert!(one.is_err() || other.is_err(), "{one:?}, {other:?}");
        }
    });
}

#[test]
fn locks_of_several_ranges_are_given_back_when_their_transaction_ends() {
    quiet_over("borders", async |cluster| {
        let [a, b, c] = keys_of_ranges();
        let lock = async |transaction: &mut Transaction, keys: Vec<Bytes>| {
            transaction.lock(keys, Strength::Exclusive, WaitPolicy::Nowait).await
        };
        let mut first = begin(cluster, Isolation::Serializable);
        lock(&mut first, vec![a.clone(), b.clone(), c.clone()]).await.unwrap();
        let mut second = begin(cluster, Isolation::Serializable);
        let refused = lock(&mut second, vec![b.clone()]).await;
        assert!(matches!(refused, Err(Error::LockNotAvailable { .. })), "{refused:?}");
        // What was locked and not written has to be as it was, too.
        first.put(a.clone(), Bytes::from_static(b"first"));
        first.put(b.clone(), Bytes::from_static(b"first"));
        first.commit().await.unwrap();
        clock::sleep(Duration::from_millis(200)).await;
        lock(&mut second, vec![a.clone(), b.clone(), c.clone()]).await.unwrap();
        assert_eq!(second.get(a.clone()).await.unwrap(), Some(Bytes::from_static(b"first")));
        second.rollback().await;
    });
}

#[test]
fn many_writes_over_ranges_are_seen_as_one() {
    quiet_over("borders", async |cluster| {
        let mut transaction = begin(cluster, Isolation::Serializable);
        // More than one request to each range.
        for number in 0..300 {
            transaction.put(key(number), Bytes::from(vec![7; 4000]));
        }
        let at = transaction.commit().await.unwrap();
        let mut reader = begin(cluster, Isolation::Serializable);
        let values = reader.get_many((0..300).map(key).collect()).await.unwrap();
        assert!(reader.read_timestamp().await.unwrap() >= at);
        assert!(values.iter().all(|value| value.as_ref().is_some_and(|value| value.len() == 4000)));
    });
}
