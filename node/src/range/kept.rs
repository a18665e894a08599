//! Spans of a range whose history is kept for longer than the range's own. Pure, and deterministic.
//!
//! ```text
//!   keys        a ───────────── d ─────────── g ──────────────── z
//!   readable    from 70 on      from 20 on    from 70 on            safe point 70, [d, g) is kept from 20 on
//! ```
//!
//! Somebody says how long each span is kept; a range knows those that lie in it, clipped to its own. One that is new to it
//! begins where the range's own history does.
//!
//! # Invariants
//!
//! - The spans ascend, none overlaps another or reaches beyond the range's, and none is empty.
//! - From which timestamp on a key is readable never goes back.

use bytes::Bytes;
use lsm::Retention;
use proto::v1::{KeptSpan, RangeState, Span};

/// What lies of spans, which ascend, within another.
pub(crate) fn clipped(kept: &[KeptSpan], own: &Span) -> Vec<KeptSpan> {
    let is_before = |kept: &KeptSpan| kept.span.as_ref().is_none_or(|span| span.end <= own.start);
    let first = kept.partition_point(is_before);
    let begins =
        |kept: &&KeptSpan| own.end.is_empty() || kept.span.as_ref().is_some_and(|span| span.start < own.end);
    let within = |kept: &KeptSpan| {
        let span = kept.span.as_ref()?;
        let start = span.start.clone().max(own.start.clone());
        let end = if own.end.is_empty() { span.end.clone() } else { span.end.clone().min(own.end.clone()) };
        let is_any = start < end;
        is_any.then_some(KeptSpan { span: Some(Span { start, end }), safe_point: kept.safe_point })
    };
    kept.get(first..).unwrap_or_default().iter().take_while(begins).filter_map(within).collect()
}

/// The least and the greatest timestamp from which on a key of a span can be read; an empty end is the end of the keys.
pub(crate) fn safe_points_over(state: &RangeState, start: &[u8], end: &[u8]) -> (u64, u64) {
    let own = state.safe_point;
    if state.kept.is_empty() {
        return (own, own);
    }
    let (mut least, mut greatest) = (u64::MAX, 0);
    let mut reached = start;
    let is_before_end = |key: &[u8]| end.is_empty() || key < end;
    let is_before = |kept: &KeptSpan| kept.span.as_ref().is_none_or(|span| span.end.as_ref() <= start);
    let first = state.kept.partition_point(is_before);
    for kept in state.kept.get(first..).unwrap_or_default() {
        let Some(span) = &kept.span else { continue };
        if !is_before_end(&span.start) {
            break;
        }
        let found = kept.safe_point.min(own);
        least = least.min(found);
        greatest = greatest.max(found);
        if span.start.as_ref() > reached {
            greatest = own;
        }
        reached = span.end.as_ref();
    }
    if is_before_end(reached) || least == u64::MAX {
        greatest = own;
    }
    (least.min(greatest), greatest)
}

/// The timestamp from which on a key can be read.
pub(crate) fn safe_point_of(state: &RangeState, key: &[u8]) -> u64 {
    let begins = |kept: &KeptSpan| kept.span.as_ref().is_some_and(|span| span.start.as_ref() <= key);
    let after = state.kept.partition_point(begins);
    let kept = after.checked_sub(1).and_then(|at| state.kept.get(at));
    match kept {
        Some(KeptSpan { span: Some(span), safe_point }) if key < span.end.as_ref() => {
            (*safe_point).min(state.safe_point)
        }
        _ => state.safe_point,
    }
}

/// What a range keeps for longer once these spans are: of none less far back than it was read so far.
pub(crate) fn replaced(state: &RangeState, wanted: &[KeptSpan]) -> Vec<KeptSpan> {
    let Some(own) = &state.span else { return Vec::new() };
    let mut kept = clipped(wanted, own);
    for one in &mut kept {
        if let Some(span) = &one.span {
            one.safe_point = one.safe_point.max(safe_points_over(state, &span.start, &span.end).1);
        }
    }
    kept
}

/// What a range should keep for longer, where that is worth an entry of its log: other spans than it does, or less of one.
pub(crate) fn due(state: &RangeState, wanted: &[KeptSpan], step: u64) -> Option<Vec<KeptSpan>> {
    let wanted = clipped(wanted, state.span.as_ref()?);
    let is_alike = |(one, other): (&KeptSpan, &KeptSpan)| {
        one.span == other.span && one.safe_point.saturating_sub(other.safe_point) < step
    };
    let stays = wanted.len() == state.kept.len() && wanted.iter().zip(&state.kept).all(is_alike);
    (!stays).then_some(wanted)
}

/// Whether a range keeps, for however long, all that somebody wants kept for longer of it. What it does not know of goes with the rest.
pub(crate) fn knows(state: &RangeState, wanted: &[KeptSpan]) -> bool {
    state.span.as_ref().is_none_or(|own| hold(&state.kept, &clipped(wanted, own)))
}

/// Whether each of the others lies within one of these spans.
pub(crate) fn hold(spans: &[KeptSpan], others: &[KeptSpan]) -> bool {
    others.iter().filter_map(|other| other.span.as_ref()).all(|other| {
        let mut spans = spans.iter().filter_map(|kept| kept.span.as_ref());
        spans.any(|span| span.start <= other.start && other.end <= span.end)
    })
}

/// What the engine may drop of a range.
pub(crate) fn retentions(state: &RangeState) -> Vec<Retention> {
    let Some(span) = state.span.as_ref().filter(|_| state.safe_point > 0) else { return Vec::new() };
    let retention = |start: &Bytes, end: &Bytes, safe_point: u64| Retention {
        start: start.clone(),
        end: end.clone(),
        safe_point,
        protected: Vec::new(),
    };
    let mut all = Vec::with_capacity(state.kept.len().saturating_mul(2).saturating_add(1));
    let mut reached = &span.start;
    for kept in &state.kept {
        let Some(of) = &kept.span else { continue };
        if *reached < of.start {
            all.push(retention(reached, &of.start, state.safe_point));
        }
        let safe_point = kept.safe_point.min(state.safe_point);
        if safe_point > 0 {
            all.push(retention(&of.start, &of.end, safe_point));
        }
        reached = &of.end;
    }
    if *reached < span.end || span.end.is_empty() {
        all.push(retention(reached, &span.end, state.safe_point));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: &'static str, end: &'static str) -> Span {
        Span { start: start.into(), end: end.into() }
    }

    fn kept(start: &'static str, end: &'static str, safe_point: u64) -> KeptSpan {
        KeptSpan { span: Some(span(start, end)), safe_point }
    }

    fn state() -> RangeState {
        RangeState {
            span: Some(span("a", "z")),
            safe_point: 70,
            forgotten: 70,
            kept: vec![kept("d", "g", 20), kept("g", "h", 0), kept("m", "n", 90)],
            ..RangeState::default()
        }
    }

    #[test]
    fn keys_are_readable_from_where_their_span_is_kept() {
        let state = state();
        let of = |key: &str| safe_point_of(&state, key.as_bytes());
        assert_eq!(
            (of("a"), of("d"), of("f"), of("g"), of("h"), of("m"), of("y")),
            (70, 20, 20, 0, 70, 70, 70)
        );
        let over = |start: &str, end: &str| safe_points_over(&state, start.as_bytes(), end.as_bytes());
        assert_eq!((over("a", "d"), over("a", "e"), over("d", "g")), ((70, 70), (20, 70), (20, 20)));
        assert_eq!((over("d", "h"), over("e", "f"), over("f", "i")), ((0, 20), (20, 20), (0, 70)));
        assert_eq!((over("h", "k"), over("a", ""), over("m", "n")), ((70, 70), (0, 70), (70, 70)));
    }

    #[test]
    fn what_is_new_begins_where_history_does_and_nothing_goes_back() {
        let mut state = state();
        let wanted = [kept("b", "c", 5), kept("d", "g", 10), kept("g", "h", 30), kept("x", "zz", 5)];
        let then = replaced(&state, &wanted);
        assert_eq!(then, [kept("b", "c", 70), kept("d", "g", 20), kept("g", "h", 30), kept("x", "z", 70)]);
        state.kept = then;
        // One that covers what was kept in part begins where the last of it does.
        assert_eq!(replaced(&state, &[kept("d", "i", 0)]), [kept("d", "i", 70)]);
        assert_eq!(replaced(&state, &[kept("d", "h", 0)]), [kept("d", "h", 30)]);
        assert!(replaced(&RangeState::default(), &wanted).is_empty());
    }

    #[test]
    fn an_entry_is_due_for_other_spans_or_a_step() {
        let state = state();
        let with = |safe_point| [kept("d", "g", safe_point), kept("g", "h", 0), kept("m", "n", 90)];
        assert_eq!(due(&state, &with(24), 5), None);
        assert_eq!(due(&state, &with(0), 5), None);
        assert_eq!(due(&state, &with(25), 5), Some(with(25).to_vec()));
        assert_eq!(due(&state, &[], 5), Some(Vec::new()));
        assert_eq!(due(&RangeState { kept: Vec::new(), ..state }, &[], 5), None);
    }

    #[test]
    fn a_range_knows_what_is_wanted_of_it_or_has_yet_to_hear() {
        let state = state();
        assert!(
            knows(&state, &[]) && knows(&state, &[kept("d", "g", 90), kept("m", "n", 0), kept("z", "zz", 0)])
        );
        for unknown in [kept("b", "c", 0), kept("c", "e", 0), kept("f", "i", 0), kept("x", "zz", 5)] {
            assert!(!knows(&state, std::slice::from_ref(&unknown)), "{unknown:?}");
        }
        assert!(knows(&RangeState::default(), &[kept("b", "c", 0)]));
    }

    #[test]
    fn the_engine_drops_less_of_what_is_kept() {
        let shown = |state: &RangeState| {
            let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
            let all = retentions(state).into_iter();
            all.map(|own| format!("{}-{} {}", text(&own.start), text(&own.end), own.safe_point))
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(&state()), ["a-d 70", "d-g 20", "h-m 70", "m-n 70", "n-z 70"]);
        let whole = RangeState { kept: vec![kept("a", "z", 0)], ..state() };
        assert!(shown(&whole).is_empty());
        assert!(shown(&RangeState { safe_point: 0, ..state() }).is_empty());
    }
}
