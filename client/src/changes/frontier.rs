//! Up to when the changes of each key of some spans were told. Pure.

use keys::Span;

use crate::CommitTimestamp;

/// Keys of which changes were told up to one timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) span: Span,
    pub(super) told: CommitTimestamp,
}

/// All keys that are watched.
///
/// # Invariants
///
/// - The parts ascend, none is empty or overlaps another, and neighbours that touch each other differ in what was told.
/// - Of no key it goes back.
#[derive(Debug)]
pub(super) struct Frontier {
    parts: Vec<Part>,
    /// What is resolved where nothing is watched.
    begun: CommitTimestamp,
}

impl Frontier {
    /// Nothing of these spans was told but what came up to a timestamp.
    pub(super) fn new(mut spans: Vec<Span>, begun: CommitTimestamp) -> Self {
        spans.retain(|span| !span.is_empty());
        spans.sort_unstable_by(|one, other| one.start.cmp(&other.start));
        let mut parts: Vec<Part> = Vec::with_capacity(spans.len());
        for span in spans {
            match parts.last_mut() {
                Some(last) if span.start <= last.span.end => {
                    last.span.end = last.span.end.clone().max(span.end);
                }
                _ => parts.push(Part { span, told: begun }),
            }
        }
        Self { parts, begun }
    }

    /// Up to when all was told.
    pub(super) fn resolved(&self) -> CommitTimestamp {
        self.parts.iter().map(|part| part.told).min().unwrap_or(self.begun)
    }

    /// Whether all was told up to there.
    pub(super) fn is_at(&self, target: CommitTimestamp) -> bool {
        self.parts.iter().all(|part| part.told >= target)
    }

    /// What was not told up to there, by keys.
    pub(super) fn behind(&self, target: CommitTimestamp) -> impl Iterator<Item = Part> + '_ {
        self.parts.iter().filter(move |part| part.told < target).cloned()
    }

    /// All of a span was told up to there.
    pub(super) fn advance(&mut self, span: &Span, told: CommitTimestamp) {
        let mut parts: Vec<Part> = Vec::with_capacity(self.parts.len().saturating_add(2));
        for part in self.parts.drain(..) {
            let Some(within) = part.span.intersection(span) else {
                add(&mut parts, part);
                continue;
            };
            let before = Span { start: part.span.start, end: within.start.clone() };
            let behind = Span { start: within.end.clone(), end: part.span.end };
            add(&mut parts, Part { span: before, told: part.told });
            add(&mut parts, Part { span: within, told: part.told.max(told) });
            add(&mut parts, Part { span: behind, told: part.told });
        }
        self.parts = parts;
    }
}

/// Adds a part behind the others, if it has keys.
fn add(parts: &mut Vec<Part>, part: Part) {
    match parts.last_mut() {
        _ if part.span.is_empty() => {}
        Some(last) if last.told == part.told && last.span.end == part.span.start => {
            last.span.end = part.span.end;
        }
        _ => parts.push(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: &'static str, end: &'static str) -> Span {
        Span::new(start, end)
    }

    fn parts(frontier: &Frontier) -> Vec<(Span, u64)> {
        frontier.parts.iter().map(|part| (part.span.clone(), part.told)).collect()
    }

    #[test]
    fn what_was_told_moves_on_key_by_key_and_comes_together_again() {
        let mut frontier = Frontier::new(vec![span("x", "z"), span("a", "f"), span("e", "m")], 5);
        assert_eq!(parts(&frontier), [(span("a", "m"), 5), (span("x", "z"), 5)]);
        frontier.advance(&span("c", "y"), 9);
        let four = [(span("a", "c"), 5), (span("c", "m"), 9), (span("x", "y"), 9), (span("y", "z"), 5)];
        assert_eq!(parts(&frontier), four);
        assert_eq!((frontier.resolved(), frontier.is_at(9), frontier.is_at(5)), (5, false, true));
        let behind: Vec<_> = frontier.behind(9).map(|part| part.span).collect();
        assert_eq!(behind, [span("a", "c"), span("y", "z")]);
        frontier.advance(&span("a", "d"), 9);
        frontier.advance(&span("y", "z"), 9);
        assert_eq!(parts(&frontier), [(span("a", "m"), 9), (span("x", "z"), 9)]);
        assert_eq!(frontier.resolved(), 9);
    }

    #[test]
    fn it_never_goes_back() {
        let mut frontier = Frontier::new(vec![span("a", "m")], 5);
        frontier.advance(&span("a", "c"), 9);
        frontier.advance(&span("a", "m"), 7);
        assert_eq!(parts(&frontier), [(span("a", "c"), 9), (span("c", "m"), 7)]);
        assert_eq!(Frontier::new(vec![span("b", "a")], 4).resolved(), 4);
    }
}
