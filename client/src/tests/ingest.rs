//! Entries of indexes that are written in bulk.

use proto::v1::error::Kind;
use proto::v1::operation::Operation as Ask;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Conflict, IngestResult, StaleRange, ValidateResult};

use super::scripted::{Cluster, committed, got, key, range, with_cluster};
use crate::{Error, Ingest, Isolation, Span, TransactionOptions};

/// The keys of each request that was sent to ingest something, and the range that it went to.
fn ingested(cluster: &Cluster) -> Vec<(u64, Vec<String>)> {
    let asked = cluster.asked().into_iter().map(|asked| {
        let Ask::Ingest(ingest) = asked.ask else { panic!("{asked:?}") };
        assert_eq!(ingest.at, 77);
        let key = |write: proto::v1::Write| String::from_utf8(write.key.to_vec()).unwrap();
        (asked.header.range_id, ingest.writes.into_iter().map(key).collect())
    });
    asked.collect()
}

#[test]
fn entries_go_to_the_ranges_that_hold_them_and_again_where_those_move() {
    with_cluster(async |cluster: Cluster| {
        cluster.answer(got("v", 5));
        cluster.client.begin(TransactionOptions::default()).get(key("da")).await.unwrap();
        cluster.asked();
        let halves = vec![range(1, 1, "r", "s"), range(2, 2, "d", "dm"), range(3, 2, "dm", "e")];
        cluster.refuse(Kind::StaleRange(StaleRange { current: halves[1..].to_vec() }));
        cluster.set_ranges(halves.clone());
        cluster.answer(Answer::Ingest(IngestResult {})).answer(Answer::Ingest(IngestResult {}));
        let mut ingest = cluster.client.ingest(77);
        for key in ["da", "db", "dn"] {
            ingest.put(key.as_bytes(), b"value").await.unwrap();
        }
        assert_eq!(ingest.finish().await.unwrap(), 3);
        let expected = [(2, vec!["da", "db", "dn"]), (2, vec!["da", "db"]), (3, vec!["dn"])];
        let expected: [(u64, Vec<String>); 3] =
            expected.map(|(range, keys)| (range, keys.into_iter().map(str::to_owned).collect()));
        assert_eq!(ingested(&cluster), expected);
    });
}

#[test]
fn an_entry_whose_answer_was_lost_is_sent_again_and_a_refusal_is_told() {
    with_cluster(async |cluster: Cluster| {
        cluster.lose().answer(Answer::Ingest(IngestResult {}));
        let mut ingest = cluster.client.ingest(77);
        ingest.put(b"da", b"value").await.unwrap();
        ingest.finish().await.unwrap();
        assert_eq!(ingested(&cluster).len(), 2);
        cluster.refuse(Kind::Invalid(proto::v1::Invalid {}));
        let mut ingest = cluster.client.ingest(77);
        ingest.put(b"da", b"value").await.unwrap();
        assert!(matches!(ingest.finish().await, Err(Error::Invalid { .. })));
    });
}

#[test]
fn requests_are_bounded_and_so_is_an_entry() {
    with_cluster(async |cluster: Cluster| {
        let mut ingest = cluster.client.ingest(77);
        for number in 0..100_u8 {
            cluster.answer(Answer::Ingest(IngestResult {}));
            let key = [b'd', b'a', number];
            ingest.put(&key, &[7; 10_000]).await.unwrap();
        }
        let refused = ingest.put(b"dz", &vec![7; 1 << 20]).await;
        assert!(matches!(refused, Err(Error::TooLarge { .. })) && !Ingest::takes(2, 1 << 20));
        assert_eq!(ingest.finish().await.unwrap(), 100);
        let asked = cluster.asked();
        assert!((10..=12).contains(&asked.len()), "{}", asked.len());
    });
}

#[test]
fn a_span_is_unchanged_if_all_its_ranges_say_so() {
    with_cluster(async |cluster: Cluster| {
        cluster.set_ranges(vec![range(1, 1, "r", "s"), range(2, 1, "d", "dm"), range(3, 1, "dm", "e")]);
        let span = Span::new("da", "dz");
        cluster.answer(Answer::Validate(ValidateResult {})).answer(Answer::Validate(ValidateResult {}));
        assert!(cluster.client.is_unchanged(&span, 5, 90).await.unwrap());
        let checked = cluster.asked().into_iter().map(|asked| match asked.ask {
            Ask::Validate(validate) => (validate.checks[0].start.clone(), validate.checks[0].end.clone()),
            other => panic!("{other:?}"),
        });
        assert_eq!(checked.collect::<Vec<_>>(), [(key("da"), key("dm")), (key("dm"), key("dz"))]);
        cluster.answer(Answer::Validate(ValidateResult {}));
        cluster.refuse(Kind::Conflict(Conflict { key: key("dn"), timestamp: 50 }));
        assert!(!cluster.client.is_unchanged(&span, 5, 90).await.unwrap());
    });
}

#[test]
fn a_span_that_is_relied_on_is_checked_whether_it_was_read_or_not() {
    with_cluster(async |cluster: Cluster| {
        for isolation in [Isolation::Serializable, Isolation::RepeatableRead, Isolation::ReadCommitted] {
            cluster.answer(got("v", 5)).answer(committed(900));
            let options = TransactionOptions { isolation, ..TransactionOptions::default() };
            let mut transaction = cluster.client.begin(options);
            transaction.get(key("da")).await.unwrap();
            let at = transaction.read_timestamp().await.unwrap();
            transaction.rely_on_all(Span::new("db", "dc"));
            transaction.put(key("dd"), key("w"));
            transaction.commit().await.unwrap();
            let commit = cluster.asked().into_iter().find_map(|asked| match asked.ask {
                Ask::Commit(commit) => Some(commit),
                _ => None,
            });
            let checks = commit.unwrap().checks;
            let relied = checks.iter().find(|check| check.start == "db" && check.end == "dc");
            assert_eq!(relied.map(|check| check.since), Some(at), "{isolation:?}: {checks:?}");
        }
    });
}
