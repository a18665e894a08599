//! Scans that begin behind what is known to be deleted: they answer as if they had walked over all of it.

use std::collections::BTreeMap;

use proto::v1::operation::Operation as Op;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Header, Scan, Span};

use crate::harness::{Client, Cluster, key, simulate, texts};

const SLOTS: u64 = 24;

fn name(slot: u64) -> String {
    format!("q{slot:02}")
}

/// A scan of some slots; at a timestamp that the leader takes, if `at` is 0.
async fn scan(client: &Client, (from, to): (u64, u64), scan: Scan) -> Vec<(String, String)> {
    let span = Some(Span { start: key(&name(from)), end: key(&name(to)) });
    let header = Header { start_timestamp: scan.at, ..client.begin().await.header() };
    match client.send(header, Op::Scan(Scan { span, ..scan })).await.unwrap() {
        Answer::Scan(result) => texts(result),
        other => panic!("{other:?}"),
    }
}

#[test]
fn whatever_is_put_and_deleted_scans_find_what_stands() {
    simulate(|| async {
        let cluster = Cluster::single().await;
        let client = cluster.client().await;
        let mut model: BTreeMap<u64, String> = BTreeMap::new();
        for step in 0..1500 {
            let slot = env::random::below(SLOTS);
            match env::random::below(8) {
                // The first ones go, again and again.
                0..3 => {
                    let count = 1 + env::random::below(3) as usize;
                    let firsts: Vec<u64> = match env::random::below(2) {
                        0 => model.keys().take(count).copied().collect(),
                        _ => model.keys().rev().take(count).copied().collect(),
                    };
                    let mut txn = client.begin().await;
                    firsts.iter().for_each(|slot| txn.delete(&name(*slot)));
                    if !firsts.is_empty() {
                        txn.commit().await.unwrap();
                    }
                    firsts.iter().for_each(|slot| drop(model.remove(slot)));
                }
                3 => {
                    client.put(&name(slot), &step.to_string()).await;
                    model.insert(slot, step.to_string());
                }
                kind => {
                    let reverse = env::random::below(2) == 0;
                    let rows_max = env::random::below(4);
                    let at = if kind == 4 { client.timestamp().await } else { 0 };
                    let span =
                        if env::random::below(3) > 0 { (0, SLOTS) } else { (slot.min(10), slot.max(11)) };
                    let found = scan(&client, span, Scan { rows_max, reverse, at, ..Scan::default() }).await;
                    let standing =
                        model.range(span.0..span.1).map(|(slot, text)| (name(*slot), text.clone()));
                    let mut expected: Vec<_> = standing.collect();
                    if reverse {
                        expected.reverse();
                    }
                    expected.truncate(if rows_max == 0 { usize::MAX } else { rows_max as usize });
                    assert_eq!(found, expected, "step {step}, slots {span:?}, reverse {reverse}");
                }
            }
        }
    });
}

#[test]
fn the_past_keeps_what_was_deleted_since() {
    simulate(|| async {
        let cluster = Cluster::single().await;
        let client = cluster.client().await;
        for slot in 0..SLOTS {
            client.put(&name(slot), "here").await;
        }
        let then = client.timestamp().await;
        for slot in 0..SLOTS - 1 {
            let mut txn = client.begin().await;
            txn.delete(&name(slot));
            txn.commit().await.unwrap();
        }
        let first = |at| Scan { rows_max: 1, at, ..Scan::default() };
        for _ in 0..5 {
            let found = scan(&client, (0, SLOTS), first(0)).await;
            assert_eq!(found, [(name(SLOTS - 1), "here".to_owned())]);
        }
        assert_eq!(scan(&client, (0, SLOTS), first(then)).await, [(name(0), "here".to_owned())]);
    });
}
