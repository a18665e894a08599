//! Multiranges: the values of `int4multirange` and its like, ranges between bounds of one type that are apart, in their order.
//!
//! A value is held as bytes that order as PostgreSQL orders multiranges, by their ranges one after the other:
//!
//! ```text
//! multirange   17   type of the bounds, as of a range   of each range what it is made of   0
//! ```
//!
//! Of numbers these are the key alone, as of a range.

use bytes::Bytes;

use super::{Edge, Extent, Subtype, mismatch, take_byte, value_of_held, value_of_key};
use crate::datum::Datum;
use crate::error::Result;
use crate::work;

/// What a multirange begins with.
pub(crate) const OF_MANY: u8 = 17;

/// A multirange.
///
/// # Invariants
/// - None of the ranges is empty, none begins before, within or at the end of the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spans {
    subtype: Subtype,
    ranges: Vec<Extent>,
}

impl Spans {
    /// What is in any of the ranges.
    pub(crate) fn new(subtype: impl Into<Subtype>, ranges: impl IntoIterator<Item = Extent>) -> Self {
        let mut given: Vec<Extent> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        given.sort_by(|left, right| left.places().cmp(&right.places()));
        given.dedup_by(|range, last| last.takes_in(range));
        Self { subtype: subtype.into(), ranges: given }
    }

    /// What is in any of the ranges that these values hold, which are in their order; each is forgotten as it is looked at. XX000
    /// if there are none.
    pub(crate) fn of_ordered(values: Vec<Datum>) -> Result<Self> {
        let mut ranges: Vec<Extent> = Vec::new();
        let mut subtype = None;
        for value in values {
            work::part()?;
            let range = Extent::of(&value)?;
            subtype = Some(range.subtype());
            if !range.is_empty() && !ranges.last_mut().is_some_and(|last| last.takes_in(&range)) {
                ranges.push(range);
            }
        }
        Ok(Self { subtype: subtype.ok_or_else(mismatch)?, ranges })
    }

    /// What is in a range that a value holds. XX000 if it holds none.
    pub(crate) fn of_range(value: &Datum) -> Result<Self> {
        let range = Extent::of(value)?;
        Ok(Self::new(range.subtype(), [range]))
    }

    /// The multirange that a value holds. XX000 if it holds none.
    pub(crate) fn of(value: &Datum) -> Result<Self> {
        match value {
            Datum::Bytea(held) => Ok(Self::read(held)?.0),
            Datum::Keyed(held) => Ok(Self::read(held.image())?.0),
            _ => Err(mismatch()),
        }
    }

    /// The multirange that bytes hold, and how many of them are its key. XX000 if they hold none.
    fn read(held: &[u8]) -> Result<(Self, usize)> {
        let mut rest = held;
        if take_byte(&mut rest)? != OF_MANY {
            return Err(mismatch());
        }
        let subtype = Subtype::take(&mut rest)?;
        let mut ranges = Vec::new();
        loop {
            let range = Extent::take(&mut rest, subtype)?;
            // What stands behind the last reads as one that is empty.
            if range.is_empty() {
                break;
            }
            ranges.push(range);
        }
        let key = held.len().saturating_sub(rest.len());
        for range in &mut ranges {
            range.take_looks(&mut rest)?;
        }
        Ok((Self { subtype, ranges }, key))
    }

    /// The multirange of this image, or of this key, which then looks as plain as may be. None if it is of none that has a key
    /// beside what it looks like.
    pub(crate) fn of_held(held: Bytes) -> Option<Datum> {
        let (spans, length) = Self::read(&held).ok()?;
        if !spans.subtype.is_keyed() {
            return None;
        }
        let is_image = held.len() > length || spans.edges().next().is_none();
        value_of_held(held, length, is_image, spans.text_bytes(), || spans.to_datum())
    }

    /// The value that holds it.
    pub(crate) fn to_datum(&self) -> Datum {
        let mut held = vec![OF_MANY];
        self.subtype.put(&mut held);
        self.ranges.iter().for_each(|range| range.put(&mut held));
        held.push(0);
        value_of_key(self.subtype, held, self.edges(), self.text_bytes())
    }

    /// The bounds that there are.
    fn edges(&self) -> impl Iterator<Item = &Edge> {
        self.ranges.iter().flat_map(Extent::edges)
    }

    /// About how many bytes its text takes.
    fn text_bytes(&self) -> usize {
        self.ranges.iter().map(Extent::text_bytes).fold(8, usize::saturating_add)
    }

    /// Its ranges.
    pub(crate) fn ranges(&self) -> &[Extent] {
        &self.ranges
    }

    /// The same, for whoever keeps them.
    pub(crate) fn into_ranges(self) -> Vec<Extent> {
        self.ranges
    }

    /// What the bounds of its ranges are of.
    pub(crate) fn subtype(&self) -> Subtype {
        self.subtype
    }

    /// The least range that holds all of it.
    pub(crate) fn around(&self) -> Extent {
        match (self.ranges.first(), self.ranges.last()) {
            (Some(first), Some(last)) => first.around(last),
            _ => Extent::empty(self.subtype),
        }
    }

    /// The first of its ranges that is not all before another: if any has something of that which is not in one behind, it is this.
    fn near(&self, range: &Extent) -> Option<&Extent> {
        self.ranges.get(self.ranges.partition_point(|own| own.is_before(range)))
    }

    /// Whether a value is in it.
    pub(crate) fn contains_value(&self, value: &Datum) -> Result<bool> {
        let at = Edge::new(value, true)?;
        Ok(self.contains(&Extent::between(self.subtype, Some(at.clone()), Some(at))))
    }

    /// Whether all of a range is in it.
    pub(crate) fn contains(&self, range: &Extent) -> bool {
        range.is_empty() || self.near(range).is_some_and(|own| own.contains(range))
    }

    /// Whether all of another is in it.
    pub(crate) fn contains_all(&self, other: &Self) -> bool {
        other.ranges.iter().all(|range| self.contains(range))
    }

    /// Whether anything is in it and in a range.
    pub(crate) fn overlaps(&self, range: &Extent) -> bool {
        self.near(range).is_some_and(|own| own.overlaps(range))
    }

    /// Whether anything is in both.
    pub(crate) fn overlaps_any(&self, other: &Self) -> bool {
        other.ranges.iter().any(|range| self.overlaps(range))
    }

    /// What is in either.
    pub(crate) fn union(&self, other: &Self) -> Self {
        Self::new(self.subtype, self.ranges.iter().chain(&other.ranges).cloned())
    }

    /// What is in both.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let mut shared = Vec::new();
        let (mut own, mut others) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        while let (Some(left), Some(right)) = (own.peek().copied(), others.peek().copied()) {
            shared.push(left.intersection(right));
            if left.ends_within(right) {
                own.next();
            } else {
                others.next();
            }
        }
        Self::new(self.subtype, shared)
    }

    /// What of it is not in another.
    pub(crate) fn difference(&self, other: &Self) -> Self {
        let mut kept = Vec::new();
        let mut others = other.ranges.iter().peekable();
        for range in &self.ranges {
            let mut rest = range.clone();
            while let Some(taken) = others.peek().copied() {
                if taken.is_before(&rest) {
                    others.next();
                    continue;
                }
                if !taken.overlaps(&rest) {
                    break;
                }
                let (before, behind) = rest.without(taken);
                kept.push(before);
                rest = behind;
            }
            kept.push(rest);
        }
        Self::new(self.subtype, kept)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::compare::compare;
    use crate::datum::arbitrary::datum_of;
    use crate::types::TypeKind;

    fn spans() -> impl Strategy<Value = Spans> {
        datum_of(TypeKind::Int4Multirange).prop_map(|value| Spans::of(&value).unwrap())
    }

    /// Which of the values there are that arbitrary ranges may hold, and of those around them.
    fn held(spans: &Spans) -> Vec<i32> {
        (-9..10).filter(|number| spans.contains_value(&Datum::Int4(*number)).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn multiranges_are_sets_of_values(left in spans(), right in spans()) {
            let (own, others) = (held(&left), held(&right));
            let is_in = |numbers: &[i32], number: &i32| numbers.contains(number);
            let with = |test: &dyn Fn(bool, bool) -> bool| -> Vec<i32> {
                (-9..10).filter(|number| test(is_in(&own, number), is_in(&others, number))).collect()
            };
            prop_assert_eq!(held(&left.union(&right)), with(&|own, other| own || other));
            prop_assert_eq!(held(&left.intersection(&right)), with(&|own, other| own && other));
            prop_assert_eq!(held(&left.difference(&right)), with(&|own, other| own && !other));
            prop_assert_eq!(left.overlaps_any(&right), !left.intersection(&right).ranges().is_empty());
            prop_assert_eq!(left.contains_all(&right), left.union(&right) == left);
        }

        #[test]
        fn what_is_held_is_read_back(
            value in datum_of(TypeKind::Nummultirange),
            other in datum_of(TypeKind::Nummultirange),
        ) {
            let (own, others) = (Spans::of(&value).unwrap(), Spans::of(&other).unwrap());
            prop_assert!(compare(&own.to_datum(), &value).is_eq());
            let (own, others) = (own.ranges().iter(), others.ranges().iter());
            let order = own.map(Extent::places).cmp(others.map(Extent::places));
            prop_assert_eq!(compare(&value, &other), order);
        }
    }
}
