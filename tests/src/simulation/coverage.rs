//! Whether every key is held by one range, and by one replica of a store.

use proto::v1::{RangeDescriptor, Span};

/// What is wrong with the ranges of data that a directory names.
pub(super) fn judge(ranges: &[RangeDescriptor], root_range: u64) -> Vec<String> {
    let mut spans = spans(ranges.iter().filter(|range| range.range_id != root_range));
    spans.sort_by(|a, b| a.1.start.cmp(&b.1.start));
    let whole = keys::sql::data_span();
    let mut violations = Vec::new();
    let mut covered = whole.start;
    for (range_id, span) in &spans {
        if span.start != covered {
            let (due, start) = (covered.escape_ascii(), span.start.escape_ascii());
            violations.push(format!("range {range_id} begins at {start}, where {due} is due"));
        }
        covered = span.end.clone();
    }
    if covered != whole.end {
        violations.push(format!("the ranges end at {}", covered.escape_ascii()));
    }
    violations
}

/// What is wrong with the replicas that one store holds.
pub(super) fn judge_store(held: &[RangeDescriptor]) -> Vec<String> {
    let mut spans = spans(held.iter());
    spans.sort_by(|a, b| a.1.start.cmp(&b.1.start));
    let overlap = |pair: &[(u64, Span)]| match pair {
        [(a, first), (b, second)] if second.start < first.end => {
            Some(format!("a store holds ranges {a} and {b}, which overlap"))
        }
        _ => None,
    };
    spans.windows(2).filter_map(overlap).collect()
}

fn spans<'a>(ranges: impl Iterator<Item = &'a RangeDescriptor>) -> Vec<(u64, Span)> {
    ranges.filter_map(|range| Some((range.range_id, range.span.clone()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(range_id: u64, start: &'static str, end: &'static str) -> RangeDescriptor {
        let span = Some(Span { start: start.into(), end: end.into() });
        RangeDescriptor { range_id, span, ..RangeDescriptor::default() }
    }

    #[test]
    fn gaps_and_overlaps_are_seen() {
        let whole = [range(1, "r", "s"), range(3, "dm", "e"), range(2, "d", "dm")];
        assert_eq!(judge(&whole, 1), [""; 0]);
        assert_eq!(judge(&[range(2, "d", "dm"), range(3, "dn", "e")], 1).len(), 1);
        assert_eq!(judge(&[range(2, "d", "dn"), range(3, "dm", "e")], 1).len(), 1);
        assert_eq!(judge(&[range(2, "d", "dn")], 1).len(), 1);
        assert_eq!(judge_store(&whole), [""; 0]);
        assert_eq!(judge_store(&[range(2, "d", "dn"), range(3, "dm", "e")]).len(), 1);
    }
}
