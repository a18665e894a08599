//! Which versions may go: the safe points of key spans, and what they let compaction drop.
//!
//! To keep history for a time is to move the safe point on as time passes; to keep it for ever is to give no retention for
//! the span. Which of these it is, the caller knows: the engine has no notion of what a timestamp's distance means.

use bytes::Bytes;

use crate::entry::Versioned;
use crate::error::{Error, Result};
use crate::options::Sequence;

/// Which versions compaction may drop in a span of a versioned keyspace: of every key those older than its newest
/// version at or below the safe point, but for those that a read at a protected timestamp sees; and deletions at or
/// below the safe point with nothing under them. Spans without retention keep everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// First key of the span.
    pub start: Bytes,
    /// First key after the span.
    pub end: Bytes,
    /// Reads at or above this timestamp stay exact. No version at or below it may be written any more.
    pub safe_point: u64,
    /// Timestamps below the safe point at which reads stay exact, too, in any order: backups, feeds that lag behind. A
    /// timestamp that is protected only after a safe point has passed it may have lost its history already.
    pub protected: Vec<u64>,
}

/// Retentions in key order, protected timestamps ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retentions(Vec<Retention>);

impl Retentions {
    /// Of spans that must not overlap.
    pub(crate) fn new(mut all: Vec<Retention>) -> Result<Self> {
        all.retain(|retention| retention.start < retention.end);
        all.sort_by(|a, b| a.start.cmp(&b.start));
        let overlap = all.windows(2).any(|pair| matches!(pair, [a, b] if a.end > b.start));
        if overlap {
            return Err(Error::Invalid("overlapping retention spans".to_owned()));
        }
        all.iter_mut().for_each(|retention| retention.protected.sort_unstable());
        Ok(Self(all))
    }

    /// The retention for a key; None keeps everything.
    pub(crate) fn of(&self, key: &[u8]) -> Option<&Retention> {
        let after = self.0.partition_point(|retention| *retention.start <= *key);
        let retention = self.0.get(after.checked_sub(1)?)?;
        if *key < *retention.end { Some(retention) } else { None }
    }

    /// The least safe point of the keys of a span; None if a part of it has none.
    pub(crate) fn safe_point_over(&self, start: &[u8], end: &[u8]) -> Option<u64> {
        let mut at = self.0.partition_point(|retention| *retention.start <= *start).checked_sub(1)?;
        let mut least = u64::MAX;
        let mut from = start;
        while let Some(retention) = self.0.get(at).filter(|retention| *retention.start <= *from) {
            least = least.min(retention.safe_point);
            if *end <= *retention.end {
                return Some(least);
            }
            from = &retention.end;
            at += 1;
        }
        None
    }

    /// Lets go only what both let go.
    fn stricter(&self, other: &Self) -> Self {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut both = Vec::new();
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            let (start, end) = ((&a.start).max(&b.start).clone(), (&a.end).min(&b.end).clone());
            if start < end {
                let mut protected = [&a.protected[..], &b.protected].concat();
                protected.sort_unstable();
                protected.dedup();
                let safe_point = a.safe_point.min(b.safe_point);
                both.push(Retention { start, end, safe_point, protected });
            }
            if a.end <= b.end {
                left.next()
            } else {
                right.next()
            };
        }
        Self(both)
    }

    /// Whether another has the same spans and protected timestamps.
    fn protects_as(&self, other: &Self) -> bool {
        let protected = |all: &Self| {
            let all = all.0.iter().filter(|retention| !retention.protected.is_empty());
            all.map(|r| (r.start.clone(), r.end.clone(), r.protected.clone())).collect::<Vec<_>>()
        };
        protected(self) == protected(other)
    }
}

/// What was given, and what of it may be used: a retention lets history go only once all that was written before it
/// was given is durable, since the record of the safe point, which turns readers away, is among that.
#[derive(Debug, Default)]
pub(crate) struct GivenRetentions {
    usable: Retentions,
    /// Wait for their sequence to become durable; the newest replaces all but the first.
    waiting: Vec<(Sequence, Retentions)>,
}

impl GivenRetentions {
    /// Takes what was given when `sequence` was the newest write. True if the protected timestamps are others than before.
    pub(crate) fn give(&mut self, retentions: Retentions, sequence: Sequence) -> bool {
        let before = self.waiting.last().map_or(&self.usable, |(_, newest)| newest);
        let other = !before.protects_as(&retentions);
        self.waiting.truncate(1);
        self.waiting.push((sequence, retentions));
        other
    }

    /// What may be used when all up to `durable` is: never lets go what the newest would keep.
    pub(crate) fn usable(&mut self, durable: Sequence) -> Retentions {
        while self.waiting.first().is_some_and(|(sequence, _)| *sequence <= durable) {
            self.usable = self.waiting.remove(0).1;
        }
        match self.waiting.last() {
            Some((_, newest)) => self.usable.stricter(newest),
            None => self.usable.clone(),
        }
    }
}

/// Drops the versions (newest first) that a retention lets go. `nothing_under(t)` says whether no version below
/// timestamp t of this key can exist outside of `versions`.
pub(crate) fn retain(
    versions: &mut Vec<Versioned>,
    retention: Option<&Retention>,
    nothing_under: impl Fn(u64) -> bool,
) {
    let Some(Retention { safe_point, protected, .. }) = retention else { return };
    // The next newer version of the one that is looked at; None: all up to here are above the safe point.
    let mut newer = None;
    versions.retain(|version| {
        let timestamp = version.timestamp;
        if timestamp > *safe_point {
            return true;
        }
        // Versions at or below it: the first, and any that a protected timestamp sees.
        let at = protected.partition_point(|protected| *protected < timestamp);
        let keep = match newer {
            None => true,
            Some(newer) => protected.get(at).is_some_and(|protected| *protected < newer),
        };
        newer = Some(timestamp);
        keep
    });
    let goes = |version: &Versioned| {
        version.value.is_none() && version.timestamp <= *safe_point && nothing_under(version.timestamp)
    };
    while versions.last().is_some_and(goes) {
        versions.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "9 7x 5" is versions at 9 and 5 and a deletion at 7.
    fn kept(versions: &str, retention: Option<&Retention>, nothing_under: bool) -> String {
        let mut list: Vec<Versioned> = versions
            .split(' ')
            .map(|version| Versioned {
                timestamp: version.trim_end_matches('x').parse().unwrap(),
                value: (!version.ends_with('x')).then(Bytes::new),
                note: Default::default(),
            })
            .collect();
        retain(&mut list, retention, |_| nothing_under);
        let shown: Vec<String> = list
            .iter()
            .map(|version| format!("{}{}", version.timestamp, if version.value.is_none() { "x" } else { "" }))
            .collect();
        shown.join(" ")
    }

    fn retained(versions: &str, safe_point: Option<u64>, nothing_under: bool) -> String {
        let retention = safe_point.map(|safe_point| Retention { safe_point, ..Retention::default() });
        kept(versions, retention.as_ref(), nothing_under)
    }

    fn protecting(versions: &str, safe_point: u64, protected: &[u64]) -> String {
        let retention = Retention { safe_point, protected: protected.to_vec(), ..Retention::default() };
        kept(versions, Some(&retention), true)
    }

    fn span(start: &'static str, end: &'static str, safe_point: u64, protected: &[u64]) -> Retention {
        let (start, end) = (Bytes::from_static(start.as_bytes()), Bytes::from_static(end.as_bytes()));
        Retention { start, end, safe_point, protected: protected.to_vec() }
    }

    #[test]
    fn what_a_protected_timestamp_sees_stays() {
        assert_eq!(protecting("9 7 5 3 1", 8, &[4]), "9 7 3");
        assert_eq!(protecting("9 7 5 3 1", 8, &[1, 5, 6]), "9 7 5 1");
        assert_eq!(protecting("9 7 5 3 1", 8, &[0, 7, 8, 20]), "9 7");
        assert_eq!(protecting("9 7x 5 3x", 8, &[4, 6]), "9 7x 5");
        assert_eq!(protecting("7x 5x 3", 8, &[6]), "");
        assert_eq!(protecting("7x 5x 3", 8, &[3]), "7x 3");
    }

    #[test]
    fn two_retentions_let_go_what_both_do() {
        let a = Retentions::new(vec![span("a", "m", 10, &[3]), span("m", "p", 20, &[])]).unwrap();
        let b = Retentions::new(vec![span("c", "n", 15, &[2, 3]), span("x", "z", 1, &[])]).unwrap();
        let both = vec![span("c", "m", 10, &[2, 3]), span("m", "n", 15, &[2, 3])];
        assert_eq!(a.stricter(&b), Retentions(both.clone()));
        assert_eq!(b.stricter(&a), Retentions(both));
    }

    #[test]
    fn a_retention_is_used_once_what_was_written_before_it_is_durable() {
        let with = |safe_point| Retentions::new(vec![span("a", "z", safe_point, &[])]).unwrap();
        let mut given = GivenRetentions::default();
        let point =
            |given: &mut GivenRetentions, durable| given.usable(durable).of(b"k").map(|r| r.safe_point);
        assert!(!given.give(with(5), 100));
        assert_eq!(point(&mut given, 99), None);
        assert_eq!(point(&mut given, 100), Some(5));
        // A stream of new ones does not hold up the first for ever.
        given.give(with(6), 200);
        given.give(with(7), 300);
        given.give(with(8), 400);
        assert_eq!(point(&mut given, 100), Some(5));
        assert_eq!(point(&mut given, 200), Some(6));
        assert_eq!(point(&mut given, 400), Some(8));
        // What the newest keeps is kept at once.
        assert!(given.give(Retentions::new(vec![span("a", "z", 9, &[2])]).unwrap(), 500));
        assert_eq!(given.usable(400), Retentions(vec![span("a", "z", 8, &[2])]));
        given.give(Retentions::default(), 600);
        assert_eq!(point(&mut given, 500), None);
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
        let all = vec![span("m", "p", 2, &[]), span("a", "c", 1, &[]), span("p", "q", 5, &[])];
        let all = Retentions::new(all).unwrap();
        let point = |key: &str| all.of(key.as_bytes()).map(|retention| retention.safe_point);
        let found: Vec<_> = ["a", "b", "c", "m", "p", "z"].iter().map(|key| point(key)).collect();
        assert_eq!(found, [Some(1), Some(1), None, Some(2), Some(5), None]);
        assert_eq!(all.safe_point_over(b"m", b"n"), Some(2));
        assert_eq!(all.safe_point_over(b"n", b"q"), Some(2));
        assert_eq!(all.safe_point_over(b"p", b"q"), Some(5));
        assert_eq!(all.safe_point_over(b"b", b"n"), None);
        assert_eq!(all.safe_point_over(b"n", b"qq"), None);
        assert!(Retentions::new(vec![span("a", "c", 1, &[]), span("b", "d", 1, &[])]).is_err());
    }
}
