//! Which borders between ranges are to go: those between neighbours that are small together.
//!
//! A range is divided at a size, or at a rate of requests, of which what two take together has to be a small part before they are
//! merged: two halves take all of it. And they have to have been small whenever they were looked at, for a while: a range that is hot
//! every few minutes, and cut for that, stays cut. So the one does not undo the other. A border that somebody has set by hand stays,
//! until somebody takes it away by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use env::clock::Instant;

/// What two ranges take together must be less than this part of what one is divided at.
const PART: u64 = 4;

/// How many merges are wanted at a time.
const MERGES_MAX: usize = 4;

/// A range, as far as its borders are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The range.
    pub(crate) range_id: u64,
    /// Its first key.
    pub(crate) start: Bytes,
    /// Where it ends.
    pub(crate) end: Bytes,
    /// The epoch of its span.
    pub(crate) span_epoch: u64,
    /// What it takes; none: nobody has measured it as it is.
    pub(crate) bytes: Option<u64>,
    /// What it is asked in a second.
    pub(crate) requests_per_second: u64,
    /// All of its replicas are where they should be and live, and no merge of it was tried not long ago.
    pub(crate) may_merge: bool,
    /// Somebody wants a range to begin where it does.
    pub(crate) by_hand: bool,
}

/// At what ranges are divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// At how many bytes; 0: never.
    pub(crate) bytes_max: u64,
    /// At how many requests a second; 0: never.
    pub(crate) requests_per_second_max: u64,
}

/// A border that is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vanishing {
    /// The range on its left.
    pub(crate) range_id: u64,
    /// The range on its right.
    pub(crate) right_id: u64,
    /// The epoch of the left one's span.
    pub(crate) span_epoch: u64,
    /// The border.
    pub(crate) key: Bytes,
}

/// Two neighbours as they are: each range, and the epoch of its span.
type Pair = [(u64, u64); 2];

/// Since when neighbours have been small together, at every look.
#[derive(Debug, Default)]
pub(crate) struct Small(BTreeMap<Pair, Instant>);

/// The borders that are to go, no two of them of one range: of neighbours that have been small for as long as `rest`. It is to be
/// called again and again, much more often than that.
pub(crate) fn shrink(
    mut ranges: Vec<Extent>,
    limits: Limits,
    small: &mut Small,
    now: Instant,
    rest: Duration,
) -> Vec<Vanishing> {
    ranges.sort_by(|a, b| a.start.cmp(&b.start));
    let before = std::mem::take(&mut small.0);
    let mut found = Vec::new();
    let mut taken = None;
    for pair in ranges.windows(2) {
        let [left, right] = pair else { continue };
        if !are_small(left, right, limits) {
            continue;
        }
        let pair = [left, right].map(|range| (range.range_id, range.span_epoch));
        let since = before.get(&pair).copied().unwrap_or(now);
        small.0.insert(pair, since);
        let rests = now.saturating_duration_since(since) >= rest && left.may_merge && right.may_merge;
        if !rests || taken == Some(left.range_id) || found.len() >= MERGES_MAX {
            continue;
        }
        taken = Some(right.range_id);
        let key = right.start.clone();
        let (range_id, right_id) = (left.range_id, right.range_id);
        found.push(Vanishing { range_id, right_id, span_epoch: left.span_epoch, key });
    }
    found
}

fn are_small(left: &Extent, right: &Extent, limits: Limits) -> bool {
    let (Some(here), Some(there)) = (left.bytes, right.bytes) else { return false };
    let requests = left.requests_per_second.saturating_add(right.requests_per_second);
    let quiet = limits.requests_per_second_max == 0 || requests < limits.requests_per_second_max / PART;
    let small = here.saturating_add(there) < limits.bytes_max / PART;
    left.end == right.start && !right.by_hand && small && quiet
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bytes_max: 400, requests_per_second_max: 1000 };
    const REST: Duration = Duration::from_secs(600);

    fn extents() -> Vec<Extent> {
        let extent = |range_id, start: &'static str, end: &'static str| Extent {
            range_id,
            start: start.into(),
            end: end.into(),
            span_epoch: 3,
            bytes: Some(40),
            requests_per_second: 100,
            may_merge: true,
            by_hand: false,
        };
        vec![extent(2, "d", "dm"), extent(3, "dm", "dp"), extent(4, "dp", "e"), extent(1, "r", "s")]
    }

    fn changed(change: impl Fn(&mut Vec<Extent>)) -> Vec<Extent> {
        let mut extents = extents();
        change(&mut extents);
        extents
    }

    /// The range on the left of each border that is to go.
    fn left(found: &[Vanishing]) -> Vec<u64> {
        found.iter().map(|border| border.range_id).collect()
    }

    /// The same, with one of them changed for as long as it takes.
    fn shrunk(change: impl Fn(&mut Vec<Extent>), limits: Limits) -> Vec<u64> {
        let (mut small, now) = (Small::default(), env::clock::now());
        assert_eq!(shrink(changed(&change), limits, &mut small, now, REST), []);
        left(&shrink(changed(&change), limits, &mut small, now + REST, REST))
    }

    #[test]
    fn small_neighbours_are_merged_in_pairs() {
        assert_eq!(shrunk(|_| {}, LIMITS), [2]);
        assert_eq!(shrunk(|ranges| ranges[0].may_merge = false, LIMITS), [3]);
        assert_eq!(shrunk(|ranges| ranges[1].may_merge = false, LIMITS), [0; 0]);
    }

    #[test]
    fn halves_stay_apart() {
        assert_eq!(shrunk(|ranges| ranges[1].bytes = Some(60), LIMITS), [0; 0]);
        assert_eq!(shrunk(|ranges| ranges[0].bytes = None, LIMITS), [3]);
        assert_eq!(shrunk(|ranges| ranges[1].requests_per_second = 150, LIMITS), [0; 0]);
        let any_rate = Limits { requests_per_second_max: 0, ..LIMITS };
        assert_eq!(shrunk(|ranges| ranges[1].requests_per_second = 150_000, any_rate), [2]);
        assert_eq!(shrunk(|_| {}, Limits { bytes_max: 0, ..LIMITS }), [0; 0]);
    }

    #[test]
    fn a_border_made_by_hand_stays() {
        assert_eq!(shrunk(|ranges| ranges[1].by_hand = true, LIMITS), [3]);
        assert_eq!(shrunk(|ranges| ranges[0].by_hand = true, LIMITS), [2]);
    }

    #[test]
    fn who_was_hot_or_another_meanwhile_begins_to_rest_anew() {
        let at = |start: Instant, part: u32| start + REST * part / 4;
        let hot = |ranges: &mut Vec<Extent>| ranges[1].requests_per_second = 900;
        let large = |ranges: &mut Vec<Extent>| ranges[1].bytes = Some(200);
        let merged = |ranges: &mut Vec<Extent>| ranges[1].span_epoch = 4;
        type Change<'a> = &'a dyn Fn(&mut Vec<Extent>);
        let changes: [Change<'_>; 3] = [&hot, &large, &merged];
        for change in changes {
            let (mut small, start) = (Small::default(), env::clock::now());
            let mut look = |extents, part| left(&shrink(extents, LIMITS, &mut small, at(start, part), REST));
            assert_eq!(look(extents(), 0), [0; 0]);
            assert_eq!(look(changed(change), 3), [0; 0]);
            assert_eq!(look(extents(), 4), [0; 0], "it was small at both ends of the time alone");
            assert_eq!(look(extents(), 7), [0; 0]);
            assert_eq!(look(extents(), 8), [2]);
        }
    }

    #[test]
    fn what_no_more_stands_is_forgotten() {
        let (mut small, now) = (Small::default(), env::clock::now());
        shrink(extents(), LIMITS, &mut small, now, REST);
        assert_eq!(small.0.len(), 2);
        shrink(Vec::new(), LIMITS, &mut small, now, REST);
        assert!(small.0.is_empty());
    }
}
