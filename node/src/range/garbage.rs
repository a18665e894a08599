//! What a range keeps no more: its safe point, spans that were given up, and history that was erased. Deterministic.
//!
//! # Invariants
//!
//! - A safe point never goes back, not that of a span that is kept for longer either, and `forgotten` is never below that of all.
//! - Nothing is committed at or below the safe point after it is applied: a transaction that began at or below
//!   `forgotten` is refused when its commit is applied, whenever it was evaluated.
//! - A span is deleted only when no read can see it any more: it was given up at or below the safe point.

use lsm::WriteBatch;
use proto::v1::{EraseHistoryCommand, RaiseSafePointCommand, RangeState, ReclaimCommand};

use super::erased::{self, Erased};
use super::kept;
use super::state::covers;

/// Raises the safe point, and forgets transactions.
pub(crate) fn raise(state: &mut RangeState, command: &RaiseSafePointCommand) {
    // Of what was not kept for longer before, nothing is left below the safe point of all.
    if let Some(wanted) = &command.kept {
        state.kept = kept::replaced(state, &wanted.spans);
    }
    state.safe_point = state.safe_point.max(command.safe_point);
    state.forgotten = state.forgotten.max(command.forgotten).max(state.safe_point);
    state.erased = erased::outlasting(state);
}

/// Erases what spans were before a timestamp; whether there is room to remember it. None: the command makes no sense here.
pub(crate) fn erase(state: &mut RangeState, command: &EraseHistoryCommand) -> Option<bool> {
    match erased::erase(state, command) {
        Erased::Spans(spans) => {
            state.erased = spans;
            Some(true)
        }
        Erased::Full => Some(false),
        Erased::Senseless => None,
    }
}

/// Deletes a span that was given up; whether that was allowed.
pub(crate) fn reclaim(state: &RangeState, command: &ReclaimCommand, batch: &mut WriteBatch) -> bool {
    let (Some(own), Some(span)) = (&state.span, &command.span) else { return false };
    let bounded = !span.end.is_empty() && span.start < span.end;
    let is_early = || command.given_up > kept::safe_points_over(state, &span.start, &span.end).0;
    if !bounded || !covers(own, &span.start, &span.end) || is_early() {
        return false;
    }
    batch.delete_range(&span.start, &span.end);
    true
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proto::v1::Span;

    use super::*;

    fn span(start: &'static [u8], end: &'static [u8]) -> Option<Span> {
        Some(Span { start: Bytes::from_static(start), end: Bytes::from_static(end) })
    }

    fn state(safe_point: u64) -> RangeState {
        RangeState {
            range_id: 2,
            span: span(b"d", b"e"),
            safe_point,
            forgotten: safe_point,
            ..RangeState::default()
        }
    }

    #[test]
    fn a_safe_point_never_goes_back() {
        let mut state = state(10);
        for (safe_point, forgotten) in [(5, 7), (10, 10), (20, 15), (12, 30)] {
            raise(&mut state, &RaiseSafePointCommand { safe_point, forgotten, kept: None });
            assert!(state.forgotten >= state.safe_point);
        }
        assert_eq!((state.safe_point, state.forgotten), (20, 30));
    }

    #[test]
    fn what_was_erased_is_remembered_until_the_range_keeps_no_more() {
        let mut state = state(10);
        let spans = vec![span(b"da", b"db").unwrap_or_default()];
        assert_eq!(erase(&mut state, &EraseHistoryCommand { spans: spans.clone(), before: 50 }), Some(true));
        raise(&mut state, &RaiseSafePointCommand { safe_point: 49, forgotten: 70, kept: None });
        assert_eq!(state.erased.len(), 1);
        // That a span was given up is judged by what the range keeps itself.
        let mut batch = WriteBatch::new();
        let reclaimed = ReclaimCommand { span: spans.first().cloned(), given_up: 50 };
        assert!(!reclaim(&state, &reclaimed, &mut batch));
        raise(&mut state, &RaiseSafePointCommand { safe_point: 50, forgotten: 70, kept: None });
        assert!(state.erased.is_empty());
        let beyond = EraseHistoryCommand { spans: vec![Span::default()], before: 90 };
        assert_eq!(erase(&mut state, &beyond), None);
    }

    #[test]
    fn a_span_goes_once_the_safe_point_has_passed_its_end() {
        let reclaimed = |span, given_up| {
            let mut batch = WriteBatch::new();
            let done = reclaim(&state(10), &ReclaimCommand { span, given_up }, &mut batch);
            assert_eq!(batch.len(), usize::from(done));
            done
        };
        assert!(reclaimed(span(b"da", b"db"), 10));
        assert!(!reclaimed(span(b"da", b"db"), 11));
        assert!(!reclaimed(span(b"da", b"ea"), 10) && !reclaimed(span(b"c", b"db"), 10));
        assert!(!reclaimed(span(b"db", b"da"), 10) && !reclaimed(span(b"da", b""), 10));
        assert!(!reclaimed(None, 10));
    }
}
