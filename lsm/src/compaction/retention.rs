//! Which versions may go: the safe points of key spans, and what they let compaction drop.

use bytes::Bytes;

use crate::entry::Versioned;
use crate::error::{Error, Result};

/// Which versions compaction may drop in a span of a versioned keyspace: of every key those older than its newest
/// version at or below the safe point, and that one, too, if it is a deletion with nothing under it. Spans without
/// retention keep everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// First key of the span.
    pub start: Bytes,
    /// First key after the span.
    pub end: Bytes,
    /// Reads at or above this timestamp stay exact. No version at or below it may be written any more.
    pub safe_point: u64,
}

/// Retentions in key order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Retentions(Vec<Retention>);

impl Retentions {
    /// Of spans that must not overlap.
    pub(crate) fn new(mut all: Vec<Retention>) -> Result<Self> {
        all.retain(|retention| retention.start < retention.end);
        all.sort_by(|a, b| a.start.cmp(&b.start));
        let overlap = all.windows(2).any(|pair| matches!(pair, [a, b] if a.end > b.start));
        if overlap { Err(Error::Invalid("overlapping retention spans".to_owned())) } else { Ok(Self(all)) }
    }

    /// The safe point for a key; None keeps everything.
    pub(crate) fn safe_point(&self, key: &[u8]) -> Option<u64> {
        let after = self.0.partition_point(|retention| *retention.start <= *key);
        let retention = self.0.get(after.checked_sub(1)?)?;
        if *key < *retention.end { Some(retention.safe_point) } else { None }
    }

    /// The safe point of all keys of a span, if one retention covers it whole.
    pub(crate) fn safe_point_over(&self, start: &[u8], end: &[u8]) -> Option<u64> {
        let after = self.0.partition_point(|retention| *retention.start <= *start);
        let retention = self.0.get(after.checked_sub(1)?)?;
        if *end <= *retention.end { Some(retention.safe_point) } else { None }
    }
}

/// Drops the versions (newest first) that a safe point lets go. `nothing_under(t)` says whether no version below
/// timestamp t of this key can exist outside of `versions`.
pub(crate) fn retain(
    versions: &mut Vec<Versioned>,
    safe_point: Option<u64>,
    nothing_under: impl FnOnce(u64) -> bool,
) {
    let Some(safe_point) = safe_point else { return };
    let Some(newest) = versions.iter().position(|version| version.timestamp <= safe_point) else { return };
    versions.truncate(newest + 1);
    if versions.last().is_some_and(|version| version.value.is_none() && nothing_under(version.timestamp)) {
        versions.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "9 7x 5" is versions at 9 and 5 and a deletion at 7.
    fn retained(versions: &str, safe_point: Option<u64>, nothing_under: bool) -> String {
        let mut list: Vec<Versioned> = versions
            .split(' ')
            .map(|version| Versioned {
                timestamp: version.trim_end_matches('x').parse().unwrap(),
                value: (!version.ends_with('x')).then(Bytes::new),
            })
            .collect();
        retain(&mut list, safe_point, |_| nothing_under);
        let shown: Vec<String> = list
            .iter()
            .map(|version| format!("{}{}", version.timestamp, if version.value.is_none() { "x" } else { "" }))
            .collect();
        shown.join(" ")
    }

    #[test]
    fn without_a_safe_point_everything_stays() {
        assert_eq!(retained("9 7x 5 3", None, true), "9 7x 5 3");
    }

    #[test]
    fn the_newest_at_or_below_the_safe_point_stays() {
        assert_eq!(retained("9 7 5 3", Some(8), true), "9 7");
        assert_eq!(retained("9 7 5 3", Some(7), true), "9 7");
        assert_eq!(retained("9 7 5 3", Some(2), true), "9 7 5 3");
        assert_eq!(retained("9 7 5 3", Some(100), true), "9");
    }

    #[test]
    fn a_deletion_goes_only_when_nothing_is_under_it() {
        assert_eq!(retained("9 7x 5", Some(8), true), "9");
        assert_eq!(retained("9 7x 5", Some(8), false), "9 7x");
        assert_eq!(retained("9x", Some(9), true), "");
        assert_eq!(retained("9x 5", Some(8), true), "9x 5");
    }

    #[test]
    fn a_key_finds_the_safe_point_of_its_span() {
        let span = |start: &'static str, end: &'static str, safe_point| Retention {
            start: Bytes::from_static(start.as_bytes()),
            end: Bytes::from_static(end.as_bytes()),
            safe_point,
        };
        let all = Retentions::new(vec![span("m", "p", 2), span("a", "c", 1)]).unwrap();
        let found: Vec<_> =
            ["a", "b", "c", "m", "p", "z"].iter().map(|key| all.safe_point(key.as_bytes())).collect();
        assert_eq!(found, [Some(1), Some(1), None, Some(2), None, None]);
        assert!(Retentions::new(vec![span("a", "c", 1), span("b", "d", 1)]).is_err());
    }
}
