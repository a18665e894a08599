//! Watching what is committed.

use proto::v1::error::Kind;
use proto::v1::operation::Operation as Ask;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{BelowSafePoint, ChangesResult, KeyVersion, Span as Told, StaleRange};

use super::scripted::{Cluster, key, range, with_cluster};
use crate::{Error, Span};

/// A timestamp of years, so that what lies a moment before it is one, too.
const NEWEST: u64 = 1 << 40;

fn version(name: &'static str, timestamp: u64) -> KeyVersion {
    KeyVersion { key: key(name), value: Some(key("v")), timestamp, start_timestamp: timestamp - 1 }
}

fn answered(versions: Vec<KeyVersion>, resume: Option<(&'static str, &'static str)>, at: u64) -> Answer {
    let resume = resume.map(|(start, end)| Told { start: key(start), end: key(end) });
    Answer::Changes(ChangesResult { versions, resume, at })
}

/// What ranges were asked: the range, the first key, after when.
fn asked(cluster: &Cluster) -> Vec<(u64, String, u64)> {
    let asked = cluster.asked().into_iter().map(|asked| {
        let Ask::Changes(changes) = asked.ask else { panic!("{asked:?}") };
        let start = changes.span.unwrap().start.to_vec();
        (asked.header.range_id, String::from_utf8(start).unwrap(), changes.since)
    });
    asked.collect()
}

#[test]
fn what_was_told_of_some_keys_is_not_asked_again_and_resolved_is_what_was_told_of_all() {
    with_cluster(async |cluster: Cluster| {
        cluster.set_timestamp(NEWEST);
        let mut watch = cluster.client.watch(vec![Span::new("d", "e")], 50);
        assert_eq!(watch.resolved(), 50);
        cluster.answer(answered(vec![version("da", 60)], Some(("dm", "e")), 70));
        let first = watch.next().await.unwrap();
        let keys: Vec<_> = first.parts.concat().into_iter().map(|version| version.key).collect();
        assert_eq!((keys, first.resolved), (vec![key("da")], 50));
        assert_eq!(asked(&cluster), [(2, "d".to_owned(), 50)]);
        cluster.answer(answered(Vec::new(), None, NEWEST)).answer(answered(Vec::new(), None, NEWEST));
        let second = watch.next().await.unwrap();
        assert_eq!((second.parts.len(), second.resolved), (0, NEWEST));
        assert_eq!(asked(&cluster), [(2, "d".to_owned(), 70), (2, "dm".to_owned(), 50)]);
    });
}

#[test]
fn who_lies_far_behind_is_told_in_steps_that_grow_where_nothing_is_found() {
    const MINUTE: u64 = 60_000 << 18;
    with_cluster(async |cluster: Cluster| {
        let began = 1 << 40;
        cluster.set_timestamp(began + 10 * MINUTE);
        let mut watch = cluster.client.watch(vec![Span::new("d", "e")], began);
        let mut resolved = began;
        // How far each goes on, and whether it finds something; at last a little behind what is new.
        for (minutes, finds) in [(1, true), (1, false), (2, false), (4, true), (1, true)] {
            resolved += minutes * MINUTE;
            let found = if finds { vec![version("da", resolved)] } else { Vec::new() };
            cluster.answer(answered(found, None, resolved));
            let changed = watch.next().await.unwrap();
            assert_eq!((changed.resolved, changed.parts.len()), (resolved, usize::from(finds)));
            let asked = cluster.asked();
            let [asked] = asked.as_slice() else { panic!("{asked:?}") };
            let Ask::Changes(changes) = &asked.ask else { panic!("{asked:?}") };
            assert_eq!(changes.at, resolved);
        }
        let newest = began + 10 * MINUTE - (200 << 18);
        cluster.answer(answered(Vec::new(), None, newest));
        assert_eq!(watch.next().await.unwrap().resolved, newest);
    });
}

#[test]
fn a_range_that_was_divided_is_watched_in_its_parts() {
    with_cluster(async |cluster: Cluster| {
        cluster.set_timestamp(NEWEST);
        let current = vec![range(2, 2, "d", "dm"), range(3, 2, "dm", "e")];
        cluster.refuse(Kind::StaleRange(StaleRange { current: current.clone() }));
        cluster.set_ranges([vec![range(1, 1, "r", "s")], current].concat());
        cluster.answer(answered(Vec::new(), None, NEWEST)).answer(answered(Vec::new(), None, NEWEST));
        let mut watch = cluster.client.watch(vec![Span::new("d", "e")], 50);
        assert_eq!(watch.next().await.unwrap().resolved, NEWEST);
        let parts = [(2, "d".to_owned(), 50), (2, "d".to_owned(), 50), (3, "dm".to_owned(), 50)];
        let mut asked = asked(&cluster);
        // The parts are asked side by side.
        asked.sort();
        assert_eq!(asked, parts);
    });
}

#[test]
fn who_falls_behind_what_is_kept_is_told_so_and_what_else_was_answered_is_not_lost() {
    with_cluster(async |cluster: Cluster| {
        cluster.set_timestamp(NEWEST);
        cluster.set_ranges(vec![range(1, 1, "r", "s"), range(2, 1, "d", "dm"), range(3, 1, "dm", "e")]);
        let mut watch = cluster.client.watch(vec![Span::new("d", "e")], 50);
        cluster.answer(answered(vec![version("da", 60)], None, NEWEST));
        cluster.refuse(Kind::BelowSafePoint(BelowSafePoint { safe_point: 55, erased: false }));
        assert_eq!(watch.next().await.unwrap().parts.concat().len(), 1);
        cluster.refuse(Kind::BelowSafePoint(BelowSafePoint { safe_point: 56, erased: false }));
        let refused = watch.next().await.unwrap_err();
        assert!(matches!(refused, Error::SnapshotTooOld { safe_point: 56 }), "{refused:?}");
        assert_eq!(watch.resolved(), 50);
    });
}
