//! How a range is divided in two: pure, and deterministic.
//!
//! ```text
//!             span [a, z), epoch e, replicas 1 2 3
//!                    │  split at m, the new range 9 with replicas 11 12 13
//!      ┌─────────────┴──────────────┐
//! span [a, m), epoch e + 1,    span [m, z), epoch e + 1,
//! the same range               range 9, replica 11 beside 1, …
//! ```
//!
//! # Invariants
//!
//! - The halves are not empty, and together they are what the range was.
//! - Each replica has an heir beside it, on the same store: that is judged by the replicas as they are at the entry, and not
//!   while two sets of voters decide.
//! - What the range does not keep any more, or has erased, the new one does not keep either: neither history nor transactions.
//! - Nothing that recognises a transaction has to be handed over: it stands in the versions under the keys themselves.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message;
use proto::v1::{RangeState, ReplicaDescriptor, Span, SplitCommand};

use super::kept::clipped;
use super::state::{contains, format_of, is_held, is_still, state_key};
use crate::raft::{Child, FIRST_INDEX, Membership, Store};

/// Both halves of the range; nothing if it is not what the split was decided for.
pub(crate) fn halves(state: &RangeState, split: &SplitCommand) -> Option<(RangeState, RangeState)> {
    let span = state.span.as_ref()?;
    let known: BTreeSet<u64> = state.replicas.iter().map(|replica| replica.replica_id).collect();
    let is_divisible = contains(span, &split.key)
        && span.start < split.key
        && split.range_id != state.range_id
        && state.config_epoch == split.config_epoch
        && !state.joint
        && !is_held(state)
        && !known.is_empty()
        && known.iter().eq(split.replicas.keys().collect::<BTreeSet<_>>());
    if !is_divisible {
        return None;
    }
    let heir = |replica: &ReplicaDescriptor| {
        let replica_id = *split.replicas.get(&replica.replica_id)?;
        Some(ReplicaDescriptor { replica_id, ..replica.clone() })
    };
    let halves = (
        Span { start: span.start.clone(), end: split.key.clone() },
        Span { start: split.key.clone(), end: span.end.clone() },
    );
    let left = RangeState {
        kept: clipped(&state.kept, &halves.0),
        erased: clipped(&state.erased, &halves.0),
        span: Some(halves.0),
        span_epoch: state.span_epoch + 1,
        ..state.clone()
    };
    let right = RangeState {
        range_id: split.range_id,
        kept: clipped(&state.kept, &halves.1),
        erased: clipped(&state.erased, &halves.1),
        span: Some(halves.1),
        span_epoch: state.span_epoch + 1,
        config_epoch: FIRST_INDEX,
        replicas: state.replicas.iter().filter_map(heir).collect(),
        safe_point: state.safe_point,
        forgotten: state.forgotten,
        by_hand: split.by_hand,
        ..RangeState::default()
    };
    let right = RangeState { format: format_of(&right), ..right };
    Some((left, right))
}

/// The range, the border at which it begins wanted by somebody from now on; nothing if the command divides, or the range stays as
/// it is for the one that takes it over.
pub(crate) fn kept(state: &RangeState, split: &SplitCommand) -> Option<RangeState> {
    let begins = state.span.as_ref().is_some_and(|span| span.start == split.key);
    (begins && split.by_hand && !is_still(state)).then(|| RangeState { by_hand: true, ..state.clone() })
}

/// The new range as replication makes it.
pub(crate) fn child(right: &RangeState, split: &SplitCommand) -> Child {
    let voters = right.replicas.iter().filter(|replica| !replica.learner);
    let place = |replica: &ReplicaDescriptor| (replica.replica_id, Store { node_id: replica.node_id });
    let Span { start, end } = right.span.clone().unwrap_or_default();
    let intents = keys::range::intents(&keys::Span::new(start.clone(), end.clone()));
    Child {
        range_id: right.range_id,
        membership: Membership {
            configs: vec![voters.map(|replica| replica.replica_id).collect()],
            replicas: right.replicas.iter().map(place).collect(),
        },
        heirs: split.replicas.iter().map(|(of, heir)| (*of, *heir)).collect::<BTreeMap<_, _>>(),
        rows: vec![(state_key(right.range_id), Bytes::from(right.encode_to_vec()))],
        spans: vec![(start, end), (intents.start, intents.end)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::range::state::FORMAT;

    fn state() -> RangeState {
        let replica = |replica_id, node_id, learner| ReplicaDescriptor {
            replica_id,
            node_id,
            learner,
            ..ReplicaDescriptor::default()
        };
        RangeState {
            format: FORMAT,
            range_id: 2,
            span: Some(Span { start: "d".into(), end: "e".into() }),
            span_epoch: 4,
            config_epoch: 77,
            replicas: vec![replica(5, 1, false), replica(6, 2, false), replica(9, 3, true)],
            safe_point: 100,
            forgotten: 120,
            staged_term: 3,
            ..RangeState::default()
        }
    }

    fn split(key: &'static str) -> SplitCommand {
        let replicas = [(5, 21), (6, 22), (9, 23)].into_iter().collect();
        SplitCommand { key: key.into(), range_id: 8, config_epoch: 77, replicas, by_hand: true }
    }

    #[test]
    fn the_halves_are_the_whole() {
        let before = state();
        let (left, right) = halves(&before, &split("dm")).unwrap();
        let span = |state: &RangeState| state.span.clone().unwrap();
        assert_eq!((span(&left).start, span(&left).end), ("d".into(), "dm".into()));
        assert_eq!((span(&right).start, span(&right).end), ("dm".into(), "e".into()));
        assert_eq!((left.span_epoch, right.span_epoch), (5, 5));
        assert_eq!(RangeState { span: before.span.clone(), span_epoch: 4, ..left }, before);
        assert_eq!((right.safe_point, right.forgotten, right.staged_term), (100, 120, 0));
    }

    #[test]
    fn what_was_erased_is_so_in_both_halves() {
        let piece = |start: &'static str, end: &'static str| proto::v1::KeptSpan {
            span: Some(Span { start: start.into(), end: end.into() }),
            safe_point: 500,
        };
        let before = RangeState { erased: vec![piece("da", "dp"), piece("dx", "dz")], ..state() };
        let (left, right) = halves(&before, &split("dm")).unwrap();
        assert_eq!(left.erased, [piece("da", "dm")]);
        assert_eq!(right.erased, [piece("dm", "dp"), piece("dx", "dz")]);
        assert_eq!(right.format, crate::range::state::FORMAT_ERASED);
    }

    #[test]
    fn a_border_that_there_is_stays_once_somebody_wants_it() {
        assert_eq!(kept(&state(), &split("d")), Some(RangeState { by_hand: true, ..state() }));
        assert_eq!(kept(&state(), &split("dm")), None);
        assert_eq!(kept(&state(), &SplitCommand { by_hand: false, ..split("d") }), None);
        let frozen = Some(proto::v1::Frozen::default());
        assert_eq!(kept(&RangeState { frozen, ..state() }, &split("d")), None);
    }

    #[test]
    fn each_replica_has_an_heir_on_its_store() {
        let (_, right) = halves(&state(), &split("dm")).unwrap();
        let child = child(&right, &split("dm"));
        assert_eq!(child.membership.configs, [BTreeSet::from([21, 22])]);
        let stores: Vec<(u64, u64)> =
            child.membership.replicas.iter().map(|(id, store)| (*id, store.node_id)).collect();
        assert_eq!(stores, [(21, 1), (22, 2), (23, 3)]);
        assert_eq!(child.heirs, BTreeMap::from([(5, 21), (6, 22), (9, 23)]));
        assert_eq!(right.config_epoch, FIRST_INDEX);
    }

    #[test]
    fn a_range_that_is_another_by_now_is_not_divided() {
        let refused = |state: RangeState, split: SplitCommand| halves(&state, &split).is_none();
        for key in ["d", "e", "c", ""] {
            assert!(refused(state(), split(key)), "{key}");
        }
        assert!(refused(RangeState { joint: true, ..state() }, split("dm")));
        assert!(refused(RangeState { config_epoch: 78, ..state() }, split("dm")));
        let merging = Some(proto::v1::Merging::default());
        assert!(refused(RangeState { merging, ..state() }, split("dm")));
        assert!(refused(RangeState { span: None, ..state() }, split("dm")));
        assert!(refused(state(), SplitCommand { range_id: 2, ..split("dm") }));
        let replicas = [(5, 21), (6, 22)].into_iter().collect();
        assert!(refused(state(), SplitCommand { replicas, ..split("dm") }));
    }
}
