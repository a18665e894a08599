//! Which borders between ranges are to go: those between neighbours that are small together.
//!
//! A range is divided at a size, or at a rate of requests, of which what two take together has to be a small part before they are
//! merged: two halves take all of it. And each of both has to have been what it is for a while. So the one does not undo
//! the other. A border that somebody has set by hand stays, until somebody takes it away by hand.

use bytes::Bytes;

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
    /// It has been like this for a while, and its replicas do not change.
    pub(crate) rests: bool,
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

/// The borders that are to go, no two of them of one range.
pub(crate) fn shrink(mut ranges: Vec<Extent>, limits: Limits) -> Vec<Vanishing> {
    ranges.sort_by(|a, b| a.start.cmp(&b.start));
    let mut found = Vec::new();
    let mut taken = None;
    for pair in ranges.windows(2) {
        let [left, right] = pair else { continue };
        if taken == Some(left.range_id) || found.len() >= MERGES_MAX || !are_small(left, right, limits) {
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
    left.end == right.start && left.rests && right.rests && !right.by_hand && small && quiet
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bytes_max: 400, requests_per_second_max: 1000 };

    fn extents() -> Vec<Extent> {
        let extent = |range_id, start: &'static str, end: &'static str| Extent {
            range_id,
            start: start.into(),
            end: end.into(),
            span_epoch: 3,
            bytes: Some(40),
            requests_per_second: 100,
            rests: true,
            by_hand: false,
        };
        vec![extent(2, "d", "dm"), extent(3, "dm", "dp"), extent(4, "dp", "e"), extent(1, "r", "s")]
    }

    /// The range on the left of each border that is to go, with one of them changed.
    fn shrunk(change: impl Fn(&mut Vec<Extent>), limits: Limits) -> Vec<u64> {
        let mut extents = extents();
        change(&mut extents);
        shrink(extents, limits).iter().map(|border| border.range_id).collect()
    }

    #[test]
    fn small_neighbours_are_merged_in_pairs() {
        assert_eq!(shrunk(|_| {}, LIMITS), [2]);
        assert_eq!(shrunk(|ranges| ranges[0].rests = false, LIMITS), [3]);
        assert_eq!(shrunk(|ranges| ranges[1].rests = false, LIMITS), [0; 0]);
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
}
