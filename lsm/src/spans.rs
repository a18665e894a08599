//! Sets of key spans: the range deletes of tables and memtables.

use bytes::Bytes;

use crate::options::Sequence;

/// A span of keys: from `start` up to and without `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Bytes,
    pub(crate) end: Bytes,
}

impl Span {
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        *self.start <= *key && *key < *self.end
    }
}

/// Sorted spans that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spans(Vec<Span>);

impl Spans {
    /// The union of any spans; empty ones are dropped.
    pub(crate) fn union(mut spans: Vec<Span>) -> Self {
        spans.retain(|span| span.start < span.end);
        spans.sort_by(|a, b| a.start.cmp(&b.start));
        let mut union: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match union.last_mut() {
                Some(last) if span.start <= last.end => {
                    if span.end > last.end {
                        last.end = span.end;
                    }
                }
                _ => union.push(span),
            }
        }
        Self(union)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Span> {
        self.0.iter()
    }

    /// The span that contains `key`.
    pub(crate) fn covering(&self, key: &[u8]) -> Option<&Span> {
        let after = self.0.partition_point(|span| *span.start <= *key);
        self.0.get(after.checked_sub(1)?).filter(|span| span.contains(key))
    }

    /// What of it lies from `start` (None: any) up to and without `end` (None: any).
    pub(crate) fn clip(&self, start: Option<&Bytes>, end: Option<&Bytes>) -> Self {
        let clipped = self.0.iter().map(|span| Span {
            start: start.map_or(&span.start, |start| start.max(&span.start)).clone(),
            end: end.map_or(&span.end, |end| end.min(&span.end)).clone(),
        });
        Self(clipped.filter(|span| span.start < span.end).collect())
    }
}

/// The range deletes of a memtable: disjoint fragments, each with the sequences of the deletes over it, newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct SequencedSpans {
    fragments: Vec<(Span, Vec<Sequence>)>,
}

impl SequencedSpans {
    /// With one more delete, newer than all others.
    pub(crate) fn with(&self, span: Span, sequence: Sequence) -> Self {
        let mut fragments = Vec::with_capacity(self.fragments.len() + 2);
        let mut rest = span.start.clone();
        for (old, sequences) in &self.fragments {
            if old.end <= span.start || old.start >= span.end {
                if rest < old.start && old.start >= span.end {
                    push(&mut fragments, &rest, &span.end, &[], Some(sequence));
                    rest = span.end.clone();
                }
                fragments.push((old.clone(), sequences.clone()));
                continue;
            }
            push(&mut fragments, &rest, &old.start, &[], Some(sequence));
            push(&mut fragments, &old.start, &span.start, sequences, None);
            let from = (&old.start).max(&span.start);
            let to = (&old.end).min(&span.end);
            push(&mut fragments, from, to, sequences, Some(sequence));
            push(&mut fragments, &span.end, &old.end, sequences, None);
            rest = to.clone();
        }
        push(&mut fragments, &rest, &span.end, &[], Some(sequence));
        Self { fragments }
    }

    /// The newest delete at or before `sequence` that covers `key`; 0 if none does.
    pub(crate) fn covering(&self, key: &[u8], sequence: Sequence) -> Sequence {
        let after = self.fragments.partition_point(|(span, _)| *span.start <= *key);
        let Some((span, sequences)) = after.checked_sub(1).and_then(|at| self.fragments.get(at)) else {
            return 0;
        };
        if !span.contains(key) {
            return 0;
        }
        // Not in their order: writers come to the memtable in any.
        sequences.iter().copied().filter(|s| *s <= sequence).max().unwrap_or(0)
    }

    /// What is deleted as of `sequence`.
    pub(crate) fn spans(&self, sequence: Sequence) -> Spans {
        let visible = self.fragments.iter().filter(|(_, all)| all.iter().any(|s| *s <= sequence));
        Spans::union(visible.map(|(span, _)| span.clone()).collect())
    }
}

fn push(
    fragments: &mut Vec<(Span, Vec<Sequence>)>,
    start: &Bytes,
    end: &Bytes,
    older: &[Sequence],
    newest: Option<Sequence>,
) {
    if start < end {
        let sequences = newest.into_iter().chain(older.iter().copied()).collect();
        fragments.push((Span { start: start.clone(), end: end.clone() }, sequences));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u8, end: u8) -> Span {
        Span { start: Bytes::copy_from_slice(&[start]), end: Bytes::copy_from_slice(&[end]) }
    }

    #[test]
    fn unions_merge_what_overlaps_or_touches() {
        let union = Spans::union(vec![span(5, 7), span(1, 3), span(3, 4), span(6, 9), span(8, 8)]);
        assert_eq!(union, Spans(vec![span(1, 4), span(5, 9)]));
        assert_eq!(union.covering(&[4]), None);
        assert_eq!(union.covering(&[8]), Some(&span(5, 9)));
        let clipped = union.clip(Some(&Bytes::from_static(&[2])), Some(&Bytes::from_static(&[6])));
        assert_eq!(clipped, Spans(vec![span(2, 4), span(5, 6)]));
    }

    #[test]
    fn sequenced_spans_agree_with_a_list_of_deletes() {
        let mut state = 7u64;
        for _ in 0..200 {
            let mut deletes = Vec::new();
            let mut spans = SequencedSpans::default();
            for sequence in (1..12).map(|n| n * 5 % 12 + n / 12) {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let start = (state >> 33) as u8 % 20;
                let end = start + 1 + (state >> 43) as u8 % 8;
                deletes.push((start, end, sequence));
                spans = spans.with(span(start, end), sequence);
            }
            for key in 0..30u8 {
                for at in 0..12 {
                    let expected =
                        deletes.iter().filter(|d| d.0 <= key && key < d.1 && d.2 <= at).map(|d| d.2).max();
                    assert_eq!(spans.covering(&[key], at), expected.unwrap_or(0));
                    assert_eq!(spans.spans(at).covering(&[key]).is_some(), expected.is_some());
                }
            }
        }
    }
}
