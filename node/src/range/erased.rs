//! Spans of a range whose history was erased, whatever is kept for longer. Pure, and deterministic.
//!
//! ```text
//!   keys        a ───────────── d ─────────── g ──────────────── z
//!   kept        from 20 on      from 20 on    from 20 on
//!   erased                      before 50
//!   readable    from 20 on      from 50 on    from 20 on
//! ```
//!
//! From the moment on that this is applied nobody reads what was before. What only such reads would see the engine drops as it
//! compacts, as far as the range has forgotten the transactions of then: one that is older than a deletion has to find it.
//!
//! # Invariants
//!
//! - The spans ascend, none overlaps another or reaches beyond the range's, and none is empty. Those beside each other differ in their
//!   timestamps, unless they were of two ranges.
//! - From which timestamp on a key is readable never goes back: one is left out once the range itself keeps no more.

use bytes::Bytes;
use lsm::Retention;
use proto::v1::{EraseHistoryCommand, KeptSpan, RangeState, Span};

use super::kept;
use super::state::covers;

/// What a range remembers of its erased spans takes so many bytes at most; where two become one while somebody erases, a little more.
pub(crate) const BYTES_MAX: usize = 64 << 10;

/// What a span takes beside its keys, about.
const SPAN_BYTES: usize = 32;

/// What came of a command.
#[derive(Debug, PartialEq)]
pub(crate) enum Erased {
    /// This is what is erased now.
    Spans(Vec<KeptSpan>),
    /// The command makes no sense for this range.
    Senseless,
    /// There is no room to remember it.
    Full,
}

/// What is erased of a range after a command.
pub(crate) fn erase(state: &RangeState, command: &EraseHistoryCommand) -> Erased {
    let Some(own) = &state.span else { return Erased::Senseless };
    let mut erased = state.erased.clone();
    for span in &command.spans {
        let is_within = !span.end.is_empty() && span.start < span.end && covers(own, &span.start, &span.end);
        if !is_within || command.before == 0 {
            return Erased::Senseless;
        }
        erased = overlaid(erased, span, command.before);
    }
    let erased = outlasting(&RangeState { erased, ..state.clone() });
    let known = bytes_of(erased.iter().filter_map(|piece| piece.span.as_ref()));
    if known > BYTES_MAX { Erased::Full } else { Erased::Spans(erased) }
}

/// Those of a range's erased spans that say more than what the range keeps anyway.
pub(crate) fn outlasting(state: &RangeState) -> Vec<KeptSpan> {
    let outlasts = |erased: &&KeptSpan| {
        let span = erased.span.as_ref();
        span.is_some_and(|span| kept::safe_points_over(state, &span.start, &span.end).0 < erased.safe_point)
    };
    state.erased.iter().filter(outlasts).cloned().collect()
}

/// The timestamp from which on all of a span can be read; an empty end is the end of the keys.
pub(crate) fn readable_over(state: &RangeState, start: &[u8], end: &[u8]) -> u64 {
    kept::safe_points_over(state, start, end).1.max(erased_over(state, start, end))
}

/// The timestamp from which on a key can be read.
pub(crate) fn readable_of(state: &RangeState, key: &[u8]) -> u64 {
    kept::safe_point_of(state, key).max(erased_of(state, key))
}

/// Before when the history of a key was erased; 0: it was not.
pub(crate) fn erased_of(state: &RangeState, key: &[u8]) -> u64 {
    let begins = |erased: &KeptSpan| erased.span.as_ref().is_some_and(|span| span.start.as_ref() <= key);
    let after = state.erased.partition_point(begins);
    let erased = after.checked_sub(1).and_then(|at| state.erased.get(at));
    match erased {
        Some(KeptSpan { span: Some(span), safe_point }) if key < span.end.as_ref() => *safe_point,
        _ => 0,
    }
}

/// Before when the history of some key of a span was erased, the latest; 0: of none.
fn erased_over(state: &RangeState, start: &[u8], end: &[u8]) -> u64 {
    let is_before = |erased: &KeptSpan| erased.span.as_ref().is_none_or(|span| span.end.as_ref() <= start);
    let first = state.erased.partition_point(is_before);
    let begins = |erased: &&KeptSpan| {
        end.is_empty() || erased.span.as_ref().is_some_and(|span| span.start.as_ref() < end)
    };
    let within = state.erased.get(first..).unwrap_or_default().iter().take_while(begins);
    within.map(|erased| erased.safe_point).max().unwrap_or(0)
}

/// Whether a read of a span at a timestamp is refused because somebody has erased what was there, and not because it is kept no more.
pub(crate) fn is_why(state: &RangeState, readable: u64) -> bool {
    state.erased.iter().any(|erased| erased.safe_point == readable)
}

/// Up to when deletions may be missing in some part of the range, because it keeps no more or because somebody has erased it.
pub(crate) fn deletions_gone(state: &RangeState) -> u64 {
    state.erased.iter().map(|erased| erased.safe_point).max().unwrap_or(0).max(state.safe_point)
}

/// Up to when the engine may have dropped deletions of the range by now.
pub(crate) fn dropped(state: &RangeState) -> u64 {
    let dropped = state.erased.iter().map(|erased| erased.safe_point.min(state.forgotten));
    dropped.max().unwrap_or(0).max(state.safe_point)
}

/// The erased spans of which the engine may drop all that nobody reads.
pub(crate) fn due(state: &RangeState) -> impl Iterator<Item = &KeptSpan> {
    state.erased.iter().filter(|erased| erased.safe_point <= state.forgotten)
}

/// What the engine may drop of a range.
pub(crate) fn retentions(state: &RangeState) -> Vec<Retention> {
    let kept = kept::retentions(state);
    if state.erased.is_empty() {
        return kept;
    }
    let to_piece = |own: Retention| {
        let Retention { start, end, safe_point, .. } = own;
        KeptSpan { span: Some(Span { start, end }), safe_point }
    };
    let mut pieces: Vec<KeptSpan> = kept.into_iter().map(to_piece).collect();
    for erased in &state.erased {
        let safe_point = erased.safe_point.min(state.forgotten);
        if let Some(span) = erased.span.as_ref().filter(|_| safe_point > 0) {
            pieces = overlaid(pieces, span, safe_point);
        }
    }
    let to_retention = |piece: KeptSpan| {
        let Span { start, end } = piece.span?;
        Some(Retention { start, end, safe_point: piece.safe_point, protected: Vec::new() })
    };
    pieces.into_iter().filter_map(to_retention).collect()
}

/// Whether one range can remember what was erased of two.
pub(crate) fn fit(left: &RangeState, right: &RangeState) -> bool {
    let both = left.erased.iter().chain(&right.erased);
    bytes_of(both.filter_map(|piece| piece.span.as_ref())) <= BYTES_MAX
}

/// How many bytes it takes to remember spans.
pub(crate) fn bytes_of<'s>(spans: impl IntoIterator<Item = &'s Span>) -> usize {
    spans.into_iter().map(|span| SPAN_BYTES + span.start.len() + span.end.len()).sum()
}

/// Pieces, which ascend and may leave gaps, once a span has this safe point wherever theirs is not above it. The span has an end; the last piece
/// may have none.
fn overlaid(pieces: Vec<KeptSpan>, over: &Span, safe_point: u64) -> Vec<KeptSpan> {
    let mut all: Vec<KeptSpan> = Vec::with_capacity(pieces.len() + 2);
    let mut put = |start: &Bytes, end: &Bytes, safe_point: u64| {
        if !end.is_empty() && start >= end {
            return;
        }
        if let Some(KeptSpan { span: Some(last), safe_point: its }) = all.last_mut()
            && last.end == *start
            && *its == safe_point
        {
            last.end = end.clone();
            return;
        }
        all.push(KeptSpan { span: Some(Span { start: start.clone(), end: end.clone() }), safe_point });
    };
    // Up to where the span is laid.
    let mut reached = over.start.clone();
    for piece in pieces {
        let KeptSpan { span: Some(own), safe_point: its } = piece else { continue };
        let is_before = !own.end.is_empty() && own.end <= over.start;
        if is_before || own.start >= over.end {
            if !is_before {
                put(&reached, &over.end, safe_point);
                reached = over.end.clone();
            }
            put(&own.start, &own.end, its);
            continue;
        }
        let ends_within = !own.end.is_empty() && own.end <= over.end;
        let until = if ends_within { own.end.clone() } else { over.end.clone() };
        if own.start < over.start {
            put(&own.start, &over.start, its);
        } else {
            put(&reached, &own.start, safe_point);
        }
        put(&own.start.max(over.start.clone()), &until, its.max(safe_point));
        reached = until;
        if !ends_within {
            put(&over.end, &own.end, its);
        }
    }
    put(&reached, &over.end, safe_point);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: &'static str, end: &'static str) -> Span {
        Span { start: start.into(), end: end.into() }
    }

    fn piece(start: &'static str, end: &'static str, safe_point: u64) -> KeptSpan {
        KeptSpan { span: Some(span(start, end)), safe_point }
    }

    fn state() -> RangeState {
        RangeState {
            span: Some(span("a", "z")),
            safe_point: 20,
            forgotten: 60,
            kept: vec![piece("d", "n", 0)],
            erased: vec![piece("c", "e", 50), piece("m", "p", 90)],
            ..RangeState::default()
        }
    }

    fn erased(state: &RangeState, spans: &[Span], before: u64) -> Erased {
        erase(state, &EraseHistoryCommand { spans: spans.to_vec(), before })
    }

    #[test]
    fn a_span_is_laid_over_pieces() {
        let laid = |pieces: &[KeptSpan], over: Span, safe_point| {
            let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
            let laid = overlaid(pieces.to_vec(), &over, safe_point).into_iter();
            let shown = laid.map(|piece| {
                let span = piece.span.unwrap();
                format!("{}-{} {}", text(&span.start), text(&span.end), piece.safe_point)
            });
            shown.collect::<Vec<_>>().join(", ")
        };
        let two = [piece("c", "e", 50), piece("m", "p", 90)];
        assert_eq!(laid(&[], span("b", "c"), 5), "b-c 5");
        assert_eq!(laid(&two, span("a", "b"), 5), "a-b 5, c-e 50, m-p 90");
        assert_eq!(laid(&two, span("f", "g"), 5), "c-e 50, f-g 5, m-p 90");
        assert_eq!(laid(&two, span("q", "r"), 5), "c-e 50, m-p 90, q-r 5");
        assert_eq!(laid(&two, span("d", "n"), 70), "c-d 50, d-m 70, m-p 90");
        assert_eq!(laid(&two, span("a", "z"), 70), "a-m 70, m-p 90, p-z 70");
        assert_eq!(laid(&two, span("c", "e"), 40), "c-e 50, m-p 90");
        assert_eq!(laid(&two, span("n", "o"), 95), "c-e 50, m-n 90, n-o 95, o-p 90");
        assert_eq!(laid(&two, span("e", "m"), 50), "c-m 50, m-p 90");
        assert_eq!(laid(&[piece("k", "", 20)], span("m", "n"), 30), "k-m 20, m-n 30, n- 20");
    }

    #[test]
    fn what_was_erased_is_not_read_and_what_is_beside_it_is() {
        let state = state();
        let of = |key: &str| readable_of(&state, key.as_bytes());
        assert_eq!((of("b"), of("c"), of("d"), of("e"), of("m"), of("p")), (20, 50, 50, 0, 90, 20));
        let over = |start: &str, end: &str| readable_over(&state, start.as_bytes(), end.as_bytes());
        assert_eq!((over("a", "c"), over("a", "d"), over("e", "m"), over("e", "n")), (20, 50, 0, 90));
        assert_eq!((over("p", ""), over("a", ""), over("b", "c")), (20, 90, 20));
        assert!(is_why(&state, 50) && !is_why(&state, 20));
    }

    #[test]
    fn the_engine_drops_what_was_erased_as_far_as_transactions_are_forgotten() {
        let shown = |state: &RangeState| {
            let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
            let all = retentions(state).into_iter();
            all.map(|own| format!("{}-{} {}", text(&own.start), text(&own.end), own.safe_point))
                .collect::<Vec<_>>()
                .join(", ")
        };
        assert_eq!(shown(&state()), "a-c 20, c-e 50, m-p 60, p-z 20");
        assert_eq!(shown(&RangeState { forgotten: 0, safe_point: 0, ..state() }), "");
        // Where history is kept for ever transactions are forgotten all the same.
        assert_eq!(shown(&RangeState { safe_point: 0, ..state() }), "c-e 50, m-p 60");
        assert_eq!((deletions_gone(&state()), dropped(&state())), (90, 60));
        assert_eq!(due(&state()).count(), 1);
    }

    #[test]
    fn what_the_range_keeps_no_more_need_not_be_remembered() {
        assert_eq!(outlasting(&state()).len(), 2);
        let later = RangeState { safe_point: 95, kept: Vec::new(), ..state() };
        assert!(outlasting(&later).is_empty());
        // A part of it is kept from the beginning on.
        assert_eq!(outlasting(&RangeState { safe_point: 95, ..state() }).len(), 2);
        assert_eq!(erased(&state(), &[span("p", "q")], 20), Erased::Spans(state().erased));
    }

    #[test]
    fn a_command_is_carried_out_whole_or_not_at_all() {
        let found = erased(&state(), &[span("b", "c"), span("o", "q")], 70);
        let expected =
            vec![piece("b", "c", 70), piece("c", "e", 50), piece("m", "p", 90), piece("p", "q", 70)];
        assert_eq!(found, Erased::Spans(expected));
        for wrong in [span("b", "b"), span("c", "b"), span("b", ""), span("x", "zz")] {
            assert_eq!(erased(&state(), &[span("b", "c"), wrong], 70), Erased::Senseless);
        }
        assert_eq!(erased(&state(), &[span("b", "c")], 0), Erased::Senseless);
        assert_eq!(erased(&RangeState::default(), &[span("b", "c")], 7), Erased::Senseless);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut state = state();
        let refused = (0..10_000_u32).find(|number| {
            let start = Bytes::from(format!("b{number:08}"));
            let end = Bytes::from(format!("b{number:08}\0"));
            match erased(&state, &[Span { start, end }], 70) {
                Erased::Spans(spans) => {
                    state.erased = spans;
                    false
                }
                other => other == Erased::Full,
            }
        });
        assert!((1_000..2_000).contains(&refused.unwrap()), "{refused:?}");
        assert!(fit(&state, &RangeState::default()) && !fit(&state, &state));
        // All of them as one span is little.
        assert!(matches!(erased(&state, &[span("b", "c")], 80), Erased::Spans(spans) if spans.len() == 3));
    }
}
