//! Ranges by their ids and by their least keys: who holds a key is found without looking at the others.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;
use proto::v1::{RangeDescriptor, Span};

use super::state::contains;

/// So many ranges that begin at a key or before it are looked at for the one that ends with it.
const NEAR: usize = 8;

/// Ranges as somebody knows them. Some may overlap: those that have not told yet what they gave away, or that they are no more.
///
/// # Invariants
///
/// - Whatever has a span stands in `starts`, and nothing else does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RangeMap {
    by_id: BTreeMap<u64, RangeDescriptor>,
    /// Least keys, each with its range.
    starts: BTreeSet<(Bytes, u64)>,
}

impl RangeMap {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// All of them, ascending by id.
    pub(crate) fn values(&self) -> impl Iterator<Item = &RangeDescriptor> {
        self.by_id.values()
    }

    /// One of them.
    pub(crate) fn get(&self, range_id: u64) -> Option<&RangeDescriptor> {
        self.by_id.get(&range_id)
    }

    /// A range is this now.
    pub(crate) fn insert(&mut self, range: RangeDescriptor) {
        self.remove(range.range_id);
        if let Some(span) = &range.span {
            self.starts.insert((span.start.clone(), range.range_id));
        }
        self.by_id.insert(range.range_id, range);
    }

    /// A range is no more.
    pub(crate) fn remove(&mut self, range_id: u64) {
        if let Some(span) = self.by_id.remove(&range_id).and_then(|range| range.span) {
            self.starts.remove(&(span.start, range_id));
        }
    }

    /// Those that begin at the key or before it, the last first.
    pub(crate) fn down_from<'a>(&'a self, key: &[u8]) -> impl Iterator<Item = &'a RangeDescriptor> + use<'a> {
        let starts = self.starts.range(..=(Bytes::copy_from_slice(key), u64::MAX));
        starts.rev().filter_map(|(_, range_id)| self.by_id.get(range_id))
    }

    /// Those that begin within a span, ascending.
    pub(crate) fn beginning_in<'a>(
        &'a self,
        span: &Span,
    ) -> impl Iterator<Item = &'a RangeDescriptor> + use<'a> {
        let end = match span.end.is_empty() {
            true => Bound::Unbounded,
            // Somebody may ask for a span that ends before it begins.
            false => Bound::Excluded((span.end.clone().max(span.start.clone()), 0)),
        };
        let starts = self.starts.range((Bound::Included((span.start.clone(), 0)), end));
        starts.filter_map(|(_, range_id)| self.by_id.get(range_id))
    }

    /// The range that holds a key: of several the one that begins last, which has it of those that began before.
    pub(crate) fn holding(&self, key: &[u8]) -> Option<&RangeDescriptor> {
        self.down_from(key).find(|range| holds(range, key))
    }

    /// Those that reach into a span: the one that holds its first key, and those that begin in it.
    pub(crate) fn reaching_into<'a>(
        &'a self,
        span: &Span,
    ) -> impl Iterator<Item = &'a RangeDescriptor> + use<'a> {
        let first = self.holding(&span.start);
        let first_id = first.map(|range| range.range_id);
        let others = self.beginning_in(span).filter(move |range| Some(range.range_id) != first_id);
        first.into_iter().chain(others)
    }

    /// Those that hold a key, or end with it.
    pub(crate) fn touching(&self, key: &[u8]) -> Vec<&RangeDescriptor> {
        let is_near = |range: &&RangeDescriptor| range.span.as_ref().is_some_and(|span| touches(span, key));
        let near = self.down_from(key).take(NEAR).filter(is_near);
        let mut touching: Vec<&RangeDescriptor> = near.collect();
        if !touching.iter().any(|range| holds(range, key)) {
            touching.extend(self.holding(key));
        }
        touching
    }
}

/// Whether a range holds a key.
pub(crate) fn holds(range: &RangeDescriptor, key: &[u8]) -> bool {
    range.span.as_ref().is_some_and(|span| contains(span, key))
}

/// Whether a span holds a key, or ends with it.
pub(crate) fn touches(span: &Span, key: &[u8]) -> bool {
    contains(span, key) || span.end == key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(range_id: u64, start: &'static str, end: &'static str) -> RangeDescriptor {
        let span = Some(Span { start: start.into(), end: end.into() });
        RangeDescriptor { range_id, span, ..RangeDescriptor::default() }
    }

    fn ids<'a>(ranges: impl IntoIterator<Item = &'a RangeDescriptor>) -> Vec<u64> {
        ranges.into_iter().map(|range| range.range_id).collect()
    }

    #[test]
    fn keys_and_spans_lead_to_those_who_hold_them() {
        let mut map = RangeMap::default();
        // The third has not told yet that it gave "m" away.
        for range in [range(2, "d", "f"), range(3, "f", "z"), range(4, "m", "r"), range(5, "z", "")] {
            map.insert(range);
        }
        let holder = |key: &str| map.holding(key.as_bytes()).map(|range| range.range_id);
        assert_eq!(
            ["c", "d", "f", "m", "r", "zz"].map(holder),
            [None, Some(2), Some(3), Some(4), Some(3), Some(5)]
        );
        let into = |start: &'static str, end: &'static str| {
            ids(map.reaching_into(&Span { start: start.into(), end: end.into() }))
        };
        assert_eq!((into("e", "n"), into("m", "m"), into("s", "")), (vec![2, 3, 4], vec![4], vec![3, 5]));
        assert_eq!((into("z", "d"), into("a", "c")), (vec![5], vec![]));
        assert_eq!(ids(map.touching(b"f")), [3, 2]);
        assert_eq!(ids(map.touching(b"s")), [3]);
    }

    #[test]
    fn what_is_replaced_leaves_nothing() {
        let mut map = RangeMap::default();
        map.insert(range(2, "d", "z"));
        map.insert(range(2, "f", "g"));
        assert!(map.holding(b"d").is_none() && map.holding(b"f").is_some());
        map.insert(RangeDescriptor { range_id: 2, ..RangeDescriptor::default() });
        assert!(map.holding(b"f").is_none() && map.get(2).is_some());
        map.remove(2);
        assert_eq!(map, RangeMap::default());
    }
}
