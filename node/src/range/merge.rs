//! How a range takes over its right neighbour: pure, and deterministic.
//!
//! ```text
//!           left [a, m), epoch 4                          right [m, z), epoch 7
//! begin  ─▶ merging = right at 7
//!                                               freeze ─▶ frozen, epoch 8: serves nothing, changes nothing
//!                                                         … and that is on the disk of each of its stores
//! merge  ─▶ [a, z), epoch 9            in the same batch ─▶ swallowed: no span
//!
//! or, if it does not come so far:
//! abort  ─▶ aborting
//!                                                 thaw ─▶ epoch 9: serves again
//! end    ─▶ not merging
//! ```
//! What has become of a merge stands in the left range's log alone. It does not forget that it has begun one before it is merged
//! or the right range has thawed. So the right range decides nothing: it serves again when it is told to, by a left range that
//! has written down that it will not take it over, and as long as nobody says so it stays frozen.
//!
//! # Invariants
//!
//! - The merge and the end that aborts it exclude each other: both are entries of one log, and each needs what the other takes
//!   away.
//! - A merge is named by the right range and the epoch that it had. Freezing and thawing raise that epoch, so that no two
//!   merges have one name, and nothing that arrives late freezes a range for a merge that is over.
//! - While a range is frozen its state changes by thawing alone, or with the entry of its left neighbour's log that takes it over.
//!   Replicas that it gets meanwhile are written down beside it, and are its own once it has thawed.
//! - A merge is decided for the replicas that both have, on the same stores, none of them a learner; it has no effect on others.
//! - Of each key the range that holds it has a larger epoch than each one that has held it before. A range keeps its first key
//!   until it is swallowed, so one whose first key another range holds under a larger epoch is no more.
//! - The safe point and what is forgotten are those of the one that has moved further. Before it merges, the leader of each makes
//!   sure that nothing stands in it that this must not pass.

use std::collections::BTreeSet;

use proto::v1::{FreezeCommand, Frozen, MergeCommand, Merging, Neighbour, RangeDescriptor, RangeState, Span};

use super::state::{contains, is_held};

/// The left range, a merge begun; nothing if none may begin.
pub(crate) fn begin(state: &RangeState, right: Option<Neighbour>) -> Option<RangeState> {
    let ends = state.span.as_ref().is_some_and(|span| !span.end.is_empty());
    let may = ends && right.is_some() && !is_held(state) && !state.joint;
    may.then(|| RangeState { merging: Some(Merging { right, aborting: false }), ..state.clone() })
}

/// The left range, the merge given up; nothing if it is over.
pub(crate) fn abort(state: &RangeState, right: Option<&Neighbour>) -> Option<RangeState> {
    let merging = state.merging.as_ref().filter(|merging| merging.right.as_ref() == right)?;
    Some(RangeState { merging: Some(Merging { aborting: true, ..*merging }), ..state.clone() })
}

/// The left range, the merge that was given up forgotten; nothing if it was not given up.
pub(crate) fn end(state: &RangeState, right: Option<&Neighbour>) -> Option<RangeState> {
    let merging = state.merging.as_ref().filter(|merging| merging.right.as_ref() == right)?;
    merging.aborting.then(|| RangeState { merging: None, ..state.clone() })
}

/// The right range, frozen; nothing if it is not what the merge was decided for. Its epoch is judged already.
pub(crate) fn freeze(state: &RangeState, command: &FreezeCommand) -> Option<RangeState> {
    let may = state.span.is_some()
        && !is_held(state)
        && !state.joint
        && command.into != state.range_id
        && state.config_epoch == command.config_epoch;
    may.then(|| RangeState {
        frozen: Some(Frozen {
            into: command.into,
            span_epoch: state.span_epoch,
            left_span_epoch: command.left_span_epoch,
        }),
        span_epoch: state.span_epoch + 1,
        staged_term: 0,
        ..state.clone()
    })
}

/// The right range, thawed, or such that it freezes no more for the merge that began with this epoch; nothing if that is so.
pub(crate) fn thaw(state: &RangeState, span_epoch: u64) -> Option<RangeState> {
    let is_frozen = state.frozen.as_ref().is_some_and(|frozen| frozen.span_epoch == span_epoch);
    let may_freeze = state.frozen.is_none() && state.swallowed_by == 0 && state.span_epoch <= span_epoch;
    let span_epoch = state.span_epoch.max(span_epoch) + 1;
    (is_frozen || may_freeze).then(|| RangeState { frozen: None, span_epoch, ..state.clone() })
}

/// The range once the left one has taken the right one over, and the right one as it is taken over; nothing if the merge is over,
/// or the left range's replicas are others. The epoch that it was decided under is judged already.
pub(crate) fn merge<'a>(
    state: &RangeState,
    command: &'a MergeCommand,
) -> Option<(RangeState, &'a RangeState)> {
    let (span, right) = (state.span.as_ref()?, command.frozen.as_ref()?);
    let taken = right.span.as_ref()?;
    let merging = state.merging.as_ref()?;
    let named = command.right.as_ref()?;
    let may = !merging.aborting
        && merging.right.as_ref() == Some(named)
        && is_frozen_for(right, state.range_id, named)
        && state.config_epoch == command.config_epoch
        && !state.joint
        && span.end == taken.start
        && are_beside(state, right);
    if !may {
        return None;
    }
    let whole = RangeState {
        span: Some(Span { start: span.start.clone(), end: taken.end.clone() }),
        span_epoch: state.span_epoch.max(right.span_epoch) + 1,
        safe_point: state.safe_point.max(right.safe_point),
        forgotten: state.forgotten.max(right.forgotten),
        kept: [state.kept.as_slice(), &right.kept].concat(),
        erased: [state.erased.as_slice(), &right.erased].concat(),
        merging: None,
        ..state.clone()
    };
    Some((whole, right))
}

/// The merge that a range is frozen for: who takes it over, and the epoch that it had.
fn frozen_for(state: &RangeState) -> Option<(u64, u64)> {
    state.frozen.as_ref().map(|frozen| (frozen.into, frozen.span_epoch))
}

/// Whether a store's replica of a frozen range waits to be taken over there: by the log of the left one's replica or by a snapshot.
/// One that is past the merge without it has come by a snapshot that does not reach so far any more; a store that is to have one
/// (`is_listed`) gets it yet.
pub(crate) fn awaits_left(frozen: &Frozen, left: Option<&RangeState>, is_listed: bool) -> bool {
    left.map_or(is_listed, |left| frozen.left_span_epoch == 0 || left.span_epoch <= frozen.left_span_epoch)
}

/// Whether two replicas of a frozen range hold the same: what its data depends on. Its replicas may be others yet, where a change
/// of them was logged late.
pub(crate) fn keeps_the_same(state: &RangeState, frozen: &RangeState) -> bool {
    let what = |of: &RangeState| {
        (of.range_id, frozen_for(of), of.span.clone(), of.span_epoch, of.safe_point, of.forgotten)
    };
    state.frozen.is_some() && what(state) == what(frozen)
}

/// Whether a range is frozen for this merge.
pub(crate) fn is_frozen_for(state: &RangeState, into: u64, right: &Neighbour) -> bool {
    state.range_id == right.range_id
        && frozen_for(state) == Some((into, right.span_epoch))
        && state.span.is_some()
}

/// Whether the replicas of two ranges stand on the same stores, all of them voters.
pub(crate) fn are_beside(left: &RangeState, right: &RangeState) -> bool {
    let stores = |state: &RangeState| -> Option<BTreeSet<u64>> {
        let mut replicas = state.replicas.iter();
        replicas.all(|replica| !replica.learner).then(|| state.replicas.iter().map(|on| on.node_id).collect())
    };
    let left = stores(left);
    left.is_some() && left == stores(right)
}

/// Whether a range is no more, because another one holds its first key under a larger epoch.
pub(crate) fn is_past(start: &[u8], range_id: u64, span_epoch: u64, other: &RangeDescriptor) -> bool {
    let holds = |span: &Span| contains(span, start);
    other.range_id != range_id && other.span_epoch > span_epoch && other.span.as_ref().is_some_and(holds)
}

/// Leaves out the ranges that are no more, as far as the others show it.
pub(crate) fn retain_present(ranges: &mut Vec<RangeDescriptor>) {
    ranges.sort_by(|a, b| {
        let start = |range: &RangeDescriptor| range.span.clone().unwrap_or_default().start;
        start(a).cmp(&start(b)).then(b.span_epoch.cmp(&a.span_epoch))
    });
    let mut before: Option<RangeDescriptor> = None;
    ranges.retain(|range| {
        let start = range.span.as_ref().map(|span| span.start.clone());
        let is_past = start
            .zip(before.as_ref())
            .is_some_and(|(start, before)| self::is_past(&start, range.range_id, range.span_epoch, before));
        if !is_past && range.span.is_some() {
            before = Some(range.clone());
        }
        !is_past
    });
    ranges.sort_by_key(|range| range.range_id);
}

#[cfg(test)]
mod tests {
    use proto::v1::ReplicaDescriptor;

    use super::super::state::{FORMAT, is_still, swallowed};
    use super::*;

    fn state(range_id: u64, start: &'static str, end: &'static str, span_epoch: u64) -> RangeState {
        let replica = |place| ReplicaDescriptor {
            replica_id: range_id * 10 + place,
            node_id: place,
            ..ReplicaDescriptor::default()
        };
        RangeState {
            format: FORMAT,
            range_id,
            span: Some(Span { start: start.into(), end: end.into() }),
            span_epoch,
            config_epoch: 77,
            replicas: (1..=3).map(replica).collect(),
            safe_point: 100 * range_id,
            forgotten: 110 * range_id,
            ..RangeState::default()
        }
    }

    fn left() -> RangeState {
        state(2, "d", "dm", 4)
    }

    fn right() -> RangeState {
        state(3, "dm", "e", 7)
    }

    fn named() -> Neighbour {
        Neighbour { range_id: 3, span_epoch: 7 }
    }

    fn freezing() -> FreezeCommand {
        FreezeCommand { into: 2, config_epoch: 77, left_span_epoch: 4 }
    }

    fn merging() -> MergeCommand {
        MergeCommand { right: Some(named()), frozen: freeze(&right(), &freezing()), config_epoch: 77 }
    }

    #[test]
    fn the_whole_is_both() {
        let begun = begin(&left(), Some(named())).unwrap();
        let command = merging();
        let (whole, taken) = merge(&begun, &command).unwrap();
        assert_eq!(whole.span, Some(Span { start: "d".into(), end: "e".into() }));
        assert_eq!((whole.span_epoch, whole.safe_point, whole.forgotten), (9, 300, 330));
        assert!(whole.merging.is_none());
        assert_eq!(
            RangeState { span: left().span, span_epoch: 4, safe_point: 200, forgotten: 220, ..whole },
            left()
        );
        let gone = swallowed(taken, 2);
        assert_eq!((gone.range_id, gone.span, gone.swallowed_by), (3, None, 2));
    }

    #[test]
    fn what_was_erased_of_either_is_erased_of_the_whole() {
        let piece = |start: &'static str, end: &'static str| proto::v1::KeptSpan {
            span: Some(Span { start: start.into(), end: end.into() }),
            safe_point: 500,
        };
        let own = RangeState { erased: vec![piece("da", "db")], ..left() };
        let taken = RangeState { erased: vec![piece("dx", "dy")], ..right() };
        let begun = begin(&own, Some(named())).unwrap();
        let frozen = freeze(&taken, &freezing());
        assert_eq!(frozen.as_ref().unwrap().erased, taken.erased);
        let command = MergeCommand { frozen, ..merging() };
        let (whole, _) = merge(&begun, &command).unwrap();
        assert_eq!(whole.erased, [piece("da", "db"), piece("dx", "dy")]);
    }

    #[test]
    fn a_merge_that_was_given_up_has_no_effect() {
        let begun = begin(&left(), Some(named())).unwrap();
        assert!(end(&begun, Some(&named())).is_none(), "it is under way");
        let given_up = abort(&begun, Some(&named())).unwrap();
        let command = merging();
        assert!(merge(&given_up, &merging()).is_none());
        let over = end(&given_up, Some(&named())).unwrap();
        assert_eq!(over, left());
        assert!(merge(&over, &merging()).is_none());
        let (whole, _) = merge(&begun, &command).unwrap();
        assert!(abort(&whole, Some(&named())).is_none() && end(&whole, Some(&named())).is_none());
        let another = Neighbour { span_epoch: 9, ..named() };
        assert!(abort(&begun, Some(&another)).is_none() && end(&given_up, Some(&another)).is_none());
    }

    #[test]
    fn a_merge_is_of_those_that_it_was_decided_for() {
        let begun = begin(&left(), Some(named())).unwrap();
        let refused = |state: &RangeState, command: MergeCommand| merge(state, &command).is_none();
        assert!(refused(&begun, MergeCommand { config_epoch: 78, ..merging() }));
        assert!(refused(&begun, MergeCommand { frozen: Some(right()), ..merging() }), "it serves still");
        assert!(refused(&begun, MergeCommand { frozen: None, ..merging() }));
        assert!(refused(&RangeState { joint: true, ..begun.clone() }, merging()));
        let mut elsewhere = begun.clone();
        elsewhere.replicas[0].node_id = 9;
        assert!(refused(&elsewhere, merging()));
        let mut learns = begun;
        learns.replicas[0].learner = true;
        assert!(refused(&learns, merging()));
    }

    #[test]
    fn a_frozen_range_is_the_same_whoever_holds_it() {
        let frozen = freeze(&right(), &freezing()).unwrap();
        let elsewhere = RangeState { config_epoch: 99, joint: true, replicas: Vec::new(), ..frozen.clone() };
        assert!(keeps_the_same(&frozen, &frozen) && keeps_the_same(&elsewhere, &frozen));
        for other in [
            right(),
            swallowed(&frozen, 2),
            RangeState { span: left().span, ..frozen.clone() },
            RangeState { span_epoch: 9, ..frozen.clone() },
            RangeState { safe_point: 301, ..frozen.clone() },
            RangeState { forgotten: 331, ..frozen.clone() },
            RangeState {
                frozen: Some(Frozen { into: 1, span_epoch: 7, left_span_epoch: 4 }),
                ..frozen.clone()
            },
        ] {
            assert!(!keeps_the_same(&other, &frozen));
        }
    }

    #[test]
    fn who_was_left_behind_is_not_waited_for() {
        let frozen = freeze(&right(), &freezing()).unwrap().frozen.unwrap();
        let begun = begin(&left(), Some(named())).unwrap();
        let command = merging();
        let (whole, _) = merge(&begun, &command).unwrap();
        let blank = RangeState::default();
        assert!(awaits_left(&frozen, Some(&begun), false) && awaits_left(&frozen, Some(&blank), false));
        assert!(!awaits_left(&frozen, Some(&whole), true));
        assert!(awaits_left(&frozen, None, true) && !awaits_left(&frozen, None, false));
        let unknown = Frozen { left_span_epoch: 0, ..frozen };
        assert!(awaits_left(&unknown, Some(&whole), false));
    }

    #[test]
    fn one_merge_at_a_time() {
        let begun = begin(&left(), Some(named())).unwrap();
        assert!(begin(&begun, Some(named())).is_none());
        assert!(freeze(&begun, &FreezeCommand { into: 1, ..freezing() }).is_none());
        let frozen = freeze(&right(), &freezing()).unwrap();
        assert!(begin(&frozen, Some(named())).is_none() && freeze(&frozen, &freezing()).is_none());
        let last = RangeState { span: Some(Span { start: "d".into(), end: "".into() }), ..left() };
        assert!(begin(&last, Some(named())).is_none());
        for wrong in [
            RangeState { joint: true, ..right() },
            RangeState { span: None, ..right() },
            RangeState { config_epoch: 78, ..right() },
        ] {
            assert!(freeze(&wrong, &freezing()).is_none());
        }
    }

    #[test]
    fn who_has_thawed_does_not_freeze_for_the_same_merge() {
        let frozen = freeze(&right(), &freezing()).unwrap();
        assert_eq!((frozen.span_epoch, is_still(&frozen)), (8, true));
        let thawed = thaw(&frozen, 7).unwrap();
        assert_eq!((thawed.span_epoch, is_still(&thawed)), (9, false));
        assert_eq!(thaw(&thawed, 7), None);
        // It was not frozen: what is on its way to freeze it was decided under the epoch that it had.
        assert_eq!(thaw(&right(), 7).unwrap().span_epoch, 8);
        assert_eq!(thaw(&frozen, 5), None, "that is another merge");
        assert_eq!(thaw(&swallowed(&frozen, 2), 7), None);
    }

    #[test]
    fn ranges_that_are_no_more_are_left_out() {
        let range = |range_id, start: &'static str, end: &'static str, span_epoch| RangeDescriptor {
            range_id,
            span: Some(Span { start: start.into(), end: end.into() }),
            span_epoch,
            ..RangeDescriptor::default()
        };
        let kept = |mut ranges: Vec<RangeDescriptor>| {
            retain_present(&mut ranges);
            ranges.into_iter().map(|range| range.range_id).collect::<Vec<_>>()
        };
        assert_eq!(kept(vec![range(3, "dm", "e", 7), range(2, "d", "e", 9)]), [2]);
        assert_eq!(kept(vec![range(2, "d", "e", 9), range(3, "dm", "dn", 7), range(4, "dn", "e", 8)]), [2]);
        // Of two halves one is heard of first.
        assert_eq!(kept(vec![range(2, "d", "e", 4), range(3, "dm", "e", 5)]), [2, 3]);
        assert_eq!(
            kept(vec![range(1, "r", "s", 1), range(2, "d", "dm", 4), range(3, "dm", "e", 7)]),
            [1, 2, 3]
        );
    }
}
