//! Ranges: the values of `int4range` and its like, and of those that were made, what lies between two bounds.
//!
//! A value is held as bytes that order as PostgreSQL orders ranges, those that are empty before all others, then by the
//! lower bound, then by the upper, so that it is compared, hashed, stored and put into keys as any other bytes:
//!
//! ```text
//! range   type of the bounds: its place in SUBTYPES (1 byte), or 16 and the OID that it is like (u32, big-endian) of a range
//!         that was made   0: empty | 1  lower  upper
//! lower   0: there is none | 1  value  0: inclusive | 1: exclusive
//! upper   1  value  0: exclusive | 1: inclusive | 2: there is none
//! value   see [`mod@point`]
//! ```
//!
//! Numbers are equal whatever zeros they show behind, so these bytes are the key alone of a numrange ([`Keyed`]), and of all that
//! were made. What it looks like is the key, and behind it of each bound that there is what the key does not say.

mod point;
mod spans;

use std::sync::Arc;

use bytes::Bytes;

use crate::calendar;
use crate::datum::Datum;
use crate::datum::keyed::Keyed;
use crate::error::{Error, Result};
use crate::types::TypeKind;

use point::Point;
pub use point::can_bound;
pub(crate) use point::{OF_MADE, Subtype};
pub(crate) use spans::{OF_MANY, Spans};

/// What the binary format says of a range's bounds, and PostgreSQL keeps with them.
pub(crate) mod flag {
    pub(crate) const EMPTY: u8 = 1;
    pub(crate) const LOWER_INCLUSIVE: u8 = 2;
    pub(crate) const UPPER_INCLUSIVE: u8 = 4;
    pub(crate) const LOWER_MISSING: u8 = 8;
    pub(crate) const UPPER_MISSING: u8 = 16;
}

/// What a numrange begins with: the place of its bounds' type.
pub(crate) const OF_NUMBERS: u8 = 5;

/// A bound that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edge {
    at: Point,
    is_inclusive: bool,
}

impl Edge {
    /// A bound at a value of one of the types that bounds may be of. XX000 if it is of none.
    pub(crate) fn new(value: &Datum, is_inclusive: bool) -> Result<Self> {
        Ok(Self { at: Point::of(value)?, is_inclusive })
    }

    /// Where what is on this side of it ends, and on the other begins.
    fn turned(&self) -> Self {
        Self { is_inclusive: !self.is_inclusive, at: self.at.clone() }
    }
}

/// Where a bound lies: before all values, or behind, or at one of them; and there before it, on it, or behind it.
type Place<'a> = (i8, Option<&'a Point>, i8);

/// The lower and the upper bound, of which either may be missing.
type Bounds = (Option<Edge>, Option<Edge>);

/// A range.
///
/// # Invariants
/// - The lower bound is not above the upper; both are inclusive if they are one.
/// - Of integers and dates the lower bound is inclusive and the upper exclusive, but for infinite dates, and ranges that were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extent {
    subtype: Subtype,
    /// None = empty.
    bounds: Option<Bounds>,
}

fn mismatch() -> Error {
    Error::internal("a range that is none")
}

/// The value of a bound that is exclusive below and inclusive above moved to the next one, if the type has a next one at
/// all. 22003, 22008 if it is beyond the type.
fn next(at: &Point, subtype: Subtype) -> Result<Option<Point>> {
    let (&Point::Whole(at), Some(discrete)) = (at, subtype.discrete()) else { return Ok(None) };
    let next = match discrete {
        TypeKind::Int4 if at >= i64::from(i32::MAX) => return Err(Error::out_of_range("integer")),
        TypeKind::Int4 => at.saturating_add(1),
        TypeKind::Int8 => at.checked_add(1).ok_or_else(|| Error::out_of_range("bigint"))?,
        TypeKind::Date if i32::try_from(at).is_ok_and(calendar::date_is_finite) => {
            calendar::checked_date(at.saturating_add(1)).map(i64::from)?
        }
        _ => return Ok(None),
    };
    Ok(Some(Point::Whole(next)))
}

/// A bound as that side of a range has it: at the next value if only that is as inclusive as it should be.
fn moved(edge: Option<Edge>, is_inclusive: bool, subtype: Subtype) -> Result<Option<Edge>> {
    match edge {
        Some(edge) if edge.is_inclusive != is_inclusive => match next(&edge.at, subtype)? {
            Some(at) => Ok(Some(Edge { at, is_inclusive })),
            None => Ok(Some(edge)),
        },
        edge => Ok(edge),
    }
}

fn lower_place(lower: Option<&Edge>) -> Place<'_> {
    lower.map_or((-1, None, 0), |edge| (0, Some(&edge.at), i8::from(!edge.is_inclusive)))
}

fn upper_place(upper: Option<&Edge>) -> Place<'_> {
    upper.map_or((1, None, 0), |edge| (0, Some(&edge.at), -i8::from(!edge.is_inclusive)))
}

impl Extent {
    /// The range that holds nothing.
    pub(crate) fn empty(subtype: impl Into<Subtype>) -> Self {
        Self { subtype: subtype.into(), bounds: None }
    }

    /// What lies between two bounds, in the one form that PostgreSQL gives it. 22000 if the lower is above the upper, 22003
    /// and 22008 if the value behind a bound is beyond the type.
    pub(crate) fn new(subtype: impl Into<Subtype>, lower: Option<Edge>, upper: Option<Edge>) -> Result<Self> {
        let subtype = subtype.into();
        if let (Some(lower), Some(upper)) = (&lower, &upper)
            && lower.at > upper.at
        {
            let message = "range lower bound must be less than or equal to range upper bound";
            return Err(Error::new("22000", message));
        }
        let Some((lower, upper)) = Self::between(subtype, lower, upper).bounds else {
            return Ok(Self::empty(subtype));
        };
        Ok(Self::between(subtype, moved(lower, true, subtype)?, moved(upper, false, subtype)?))
    }

    /// What lies between two bounds that are as they should be; nothing if the lower is above the upper.
    fn between(subtype: Subtype, lower: Option<Edge>, upper: Option<Edge>) -> Self {
        let is_empty = lower_place(lower.as_ref()) > upper_place(upper.as_ref());
        Self { subtype, bounds: (!is_empty).then_some((lower, upper)) }
    }

    /// The range that a value holds. XX000 if it holds none.
    pub(crate) fn of(value: &Datum) -> Result<Self> {
        match value {
            Datum::Bytea(held) => Ok(Self::read(held)?.0),
            Datum::Keyed(held) => Ok(Self::read(held.image())?.0),
            _ => Err(mismatch()),
        }
    }

    /// The range that bytes hold, and how many of them are its key. XX000 if they hold none.
    fn read(held: &[u8]) -> Result<(Self, usize)> {
        let mut rest = held;
        let subtype = Subtype::take(&mut rest)?;
        let mut range = Self::take(&mut rest, subtype)?;
        let key = held.len().saturating_sub(rest.len());
        range.take_looks(&mut rest)?;
        Ok((range, key))
    }

    /// Reads what [`Self::put`] wrote.
    fn take(input: &mut &[u8], subtype: Subtype) -> Result<Self> {
        if take_byte(input)? == 0 {
            return Ok(Self::empty(subtype));
        }
        let form = subtype.like().form();
        let lower = match take_byte(input)? {
            0 => None,
            _ => {
                let at = Point::take(input, form)?;
                Some(Edge { at, is_inclusive: take_byte(input)? == 0 })
            }
        };
        let upper = match take_byte(input)? {
            2 => None,
            _ => {
                let at = Point::take(input, form)?;
                Some(Edge { at, is_inclusive: take_byte(input)? == 1 })
            }
        };
        Ok(Self { subtype, bounds: Some((lower, upper)) })
    }

    /// Its bounds look as is said next, if anything is.
    fn take_looks(&mut self, input: &mut &[u8]) -> Result<()> {
        let Some((lower, upper)) = &mut self.bounds else { return Ok(()) };
        for edge in [lower, upper].into_iter().flatten() {
            edge.at.take_look(input)?;
        }
        Ok(())
    }

    /// The range of this image, or of this key, which then looks as plain as may be. None if it is of none that has a key beside
    /// what it looks like.
    pub(crate) fn of_held(held: Bytes) -> Option<Datum> {
        let (range, length) = Self::read(&held).ok()?;
        if !range.subtype.is_keyed() {
            return None;
        }
        let is_image = held.len() > length || range.edges().next().is_none();
        value_of_held(held, length, is_image, range.text_bytes(), || range.to_datum())
    }

    /// The value that holds it.
    pub(crate) fn to_datum(&self) -> Datum {
        let mut held = Vec::new();
        self.subtype.put(&mut held);
        self.put(&mut held);
        value_of_key(self.subtype, held, self.edges(), self.text_bytes())
    }

    /// Appends what it is made of.
    fn put(&self, held: &mut Vec<u8>) {
        let Some((lower, upper)) = &self.bounds else { return held.push(0) };
        held.push(1);
        match lower {
            None => held.push(0),
            Some(edge) => {
                held.push(1);
                edge.at.put(held);
                held.push(u8::from(!edge.is_inclusive));
            }
        }
        match upper {
            None => held.push(2),
            Some(edge) => {
                held.push(1);
                edge.at.put(held);
                held.push(u8::from(edge.is_inclusive));
            }
        }
    }

    /// The bounds that there are.
    fn edges(&self) -> impl Iterator<Item = &Edge> {
        self.lower().into_iter().chain(self.upper())
    }

    /// About how many bytes its text takes.
    fn text_bytes(&self) -> usize {
        self.edges().map(|edge| edge.at.text_bytes()).fold(8, usize::saturating_add)
    }

    /// Whether it holds nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.bounds.is_none()
    }

    /// The lower bound, unless it is empty or has none.
    pub(crate) fn lower(&self) -> Option<&Edge> {
        self.bounds.as_ref().and_then(|(lower, _)| lower.as_ref())
    }

    /// The upper bound, unless it is empty or has none.
    pub(crate) fn upper(&self) -> Option<&Edge> {
        self.bounds.as_ref().and_then(|(_, upper)| upper.as_ref())
    }

    /// Whether a bound belongs to it.
    pub(crate) fn holds(edge: Option<&Edge>) -> bool {
        edge.is_some_and(|edge| edge.is_inclusive)
    }

    /// What [`flag`] says of it.
    pub(crate) fn flags(&self) -> u8 {
        let Some((lower, upper)) = &self.bounds else { return flag::EMPTY };
        let said = |is_so: bool, flag: u8| if is_so { flag } else { 0 };
        said(Self::holds(lower.as_ref()), flag::LOWER_INCLUSIVE)
            | said(Self::holds(upper.as_ref()), flag::UPPER_INCLUSIVE)
            | said(lower.is_none(), flag::LOWER_MISSING)
            | said(upper.is_none(), flag::UPPER_MISSING)
    }

    /// The value of a bound; NULL if there is none.
    pub(crate) fn value_of(&self, edge: Option<&Edge>) -> Datum {
        edge.map_or(Datum::Null, |edge| edge.at.value(self.subtype.like().form()))
    }

    /// What its bounds are of.
    pub(crate) fn subtype(&self) -> Subtype {
        self.subtype
    }

    /// Where the bounds lie of one that is not empty.
    fn places(&self) -> Option<(Place<'_>, Place<'_>)> {
        self.bounds.as_ref().map(|(lower, upper)| (lower_place(lower.as_ref()), upper_place(upper.as_ref())))
    }

    /// Whether a value is in it.
    pub(crate) fn contains_value(&self, value: &Datum) -> Result<bool> {
        let point = Point::of(value)?;
        let place = (0, Some(&point), 0);
        Ok(self.places().is_some_and(|(lower, upper)| lower <= place && place <= upper))
    }

    /// Whether all of another range is in it.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        match (self.places(), other.places()) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(other)) => own.0 <= other.0 && other.1 <= own.1,
        }
    }

    /// Whether something of two ranges that are not empty holds of their places.
    fn both(
        &self,
        other: &Self,
        test: impl Fn((Place<'_>, Place<'_>), (Place<'_>, Place<'_>)) -> bool,
    ) -> bool {
        self.places().zip(other.places()).is_some_and(|(own, other)| test(own, other))
    }

    /// Whether anything is in both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.both(other, |own, other| own.0 <= other.1 && other.0 <= own.1)
    }

    /// Whether all of it is before all of another.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        self.both(other, |own, other| own.1 < other.0)
    }

    /// Whether nothing of it is behind another's end.
    pub(crate) fn ends_within(&self, other: &Self) -> bool {
        self.both(other, |own, other| own.1 <= other.1)
    }

    /// Whether nothing of it is before another's beginning.
    pub(crate) fn begins_within(&self, other: &Self) -> bool {
        self.both(other, |own, other| own.0 >= other.0)
    }

    /// Whether one begins where the other ends, with nothing between them or in both.
    pub(crate) fn is_adjacent(&self, other: &Self) -> bool {
        let meet = |upper: Option<&Edge>, lower: Option<&Edge>| {
            upper.zip(lower).is_some_and(|(upper, lower)| {
                upper.at == lower.at && upper.is_inclusive != lower.is_inclusive
            })
        };
        meet(self.upper(), other.lower()) || meet(other.upper(), self.lower())
    }

    /// The least range that holds both; of bounds that are one it has the other's.
    pub(crate) fn around(&self, other: &Self) -> Self {
        let (Some((from, to)), Some((others_from, others_to))) = (&self.bounds, &other.bounds) else {
            return if self.is_empty() { other.clone() } else { self.clone() };
        };
        let begins_first = lower_place(from.as_ref()) < lower_place(others_from.as_ref());
        let ends_last = upper_place(to.as_ref()) > upper_place(others_to.as_ref());
        let lower = if begins_first { from } else { others_from };
        let upper = if ends_last { to } else { others_to };
        Self { bounds: Some((lower.clone(), upper.clone())), subtype: self.subtype }
    }

    /// Becomes what is in either, if that is a range; whether it has.
    fn takes_in(&mut self, other: &Self) -> bool {
        let Some(joined) = self.joined(other) else { return false };
        *self = joined;
        true
    }

    /// What is in either, if that is a range.
    pub(crate) fn joined(&self, other: &Self) -> Option<Self> {
        let is_one = self.is_empty() || other.is_empty() || self.overlaps(other) || self.is_adjacent(other);
        is_one.then(|| self.around(other))
    }

    /// What is in either. 22000 if that is no range.
    pub(crate) fn union(&self, other: &Self) -> Result<Self> {
        let apart = || Error::new("22000", "result of range union would not be contiguous");
        self.joined(other).ok_or_else(apart)
    }

    /// What is in both.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let (Some((from, to)), Some((others_from, others_to))) = (&self.bounds, &other.bounds) else {
            return Self::empty(self.subtype);
        };
        let begins_last = lower_place(from.as_ref()) >= lower_place(others_from.as_ref());
        let ends_first = upper_place(to.as_ref()) <= upper_place(others_to.as_ref());
        let lower = if begins_last { from } else { others_from };
        let upper = if ends_first { to } else { others_to };
        Self::between(self.subtype, lower.clone(), upper.clone())
    }

    /// What of it is not in another. 22000 if that is no range.
    pub(crate) fn difference(&self, other: &Self) -> Result<Self> {
        if !self.overlaps(other) {
            return Ok(self.clone());
        }
        match self.without(other) {
            (before, behind) if behind.is_empty() => Ok(before),
            (before, behind) if before.is_empty() => Ok(behind),
            _ => Err(Error::new("22000", "result of range difference would not be contiguous")),
        }
    }

    /// What of it is before another that overlaps it, and what is behind.
    fn without(&self, other: &Self) -> (Self, Self) {
        let (Some((from, to)), Some((others_from, others_to))) = (&self.bounds, &other.bounds) else {
            return (self.clone(), Self::empty(self.subtype));
        };
        let begins_first = lower_place(from.as_ref()) < lower_place(others_from.as_ref());
        let ends_last = upper_place(to.as_ref()) > upper_place(others_to.as_ref());
        let turned = |edge: &Option<Edge>| edge.as_ref().map(Edge::turned);
        let before = begins_first.then(|| Self::between(self.subtype, from.clone(), turned(others_from)));
        let behind = ends_last.then(|| Self::between(self.subtype, turned(others_to), to.clone()));
        let nothing = || Self::empty(self.subtype);
        (before.unwrap_or_else(nothing), behind.unwrap_or_else(nothing))
    }
}

/// The value that has this key, and of which the bounds say what it looks like.
fn value_of_key<'a>(
    subtype: Subtype,
    mut held: Vec<u8>,
    edges: impl Iterator<Item = &'a Edge>,
    text_bytes: usize,
) -> Datum {
    if !subtype.is_keyed() {
        return Datum::Bytea(held.into());
    }
    let length = held.len();
    edges.for_each(|edge| edge.at.put_look(&mut held));
    let image = Bytes::from(held);
    let key = image.slice(..length);
    Datum::Keyed(Arc::new(Keyed::new(image, key, text_bytes)))
}

/// The value of an image whose key is so long, or of a key, which then looks as the one does that is made anew of it.
fn value_of_held(
    held: Bytes,
    key: usize,
    is_image: bool,
    text_bytes: usize,
    plain: impl FnOnce() -> Datum,
) -> Option<Datum> {
    let (image, key) = match is_image {
        true => (held.clone(), held.slice(..key)),
        false => match plain() {
            Datum::Keyed(plain) => (plain.image().clone(), held),
            _ => return None,
        },
    };
    Some(Datum::Keyed(Arc::new(Keyed::new(image, key, text_bytes))))
}

fn take_byte(input: &mut &[u8]) -> Result<u8> {
    let (first, rest) = input.split_first().ok_or_else(mismatch)?;
    *input = rest;
    Ok(*first)
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;
    use crate::compare::compare;
    use crate::datum::Numeric;
    use crate::numeric;

    fn edge(subtype: TypeKind) -> impl Strategy<Value = Option<Edge>> {
        let of_type = move |at: i64, scale: i64| match subtype {
            TypeKind::Numeric => Point::Number(Numeric::finite(at * 10_i64.pow(scale as u32), scale)),
            _ => Point::Whole(at),
        };
        let some = (-4i64..5, 0i64..3, any::<bool>())
            .prop_map(move |(at, scale, is_inclusive)| Some(Edge { at: of_type(at, scale), is_inclusive }));
        prop_oneof![1 => Just(None), 5 => some]
    }

    /// Of integers, or of moments or numbers, which are not discrete.
    fn extent(subtype: TypeKind) -> impl Strategy<Value = Extent> {
        let empty = Just(Extent::empty(subtype));
        let made = (edge(subtype), edge(subtype))
            .prop_filter_map("the lower is above", move |(lower, upper)| {
                Extent::new(subtype, lower, upper).ok()
            });
        prop_oneof![1 => empty, 9 => made]
    }

    fn pair() -> impl Strategy<Value = (Extent, Extent)> {
        prop::sample::select(vec![TypeKind::Int4, TypeKind::Timestamp, TypeKind::Numeric])
            .prop_flat_map(|subtype| (extent(subtype), extent(subtype)))
    }

    /// PostgreSQL's order, in its own steps.
    fn expected(left: &Extent, right: &Extent) -> Ordering {
        match (left.places(), right.places()) {
            (None, None) => Ordering::Equal,
            (None, _) => Ordering::Less,
            (_, None) => Ordering::Greater,
            (Some(left), Some(right)) => left.cmp(&right),
        }
    }

    /// Which of the values from -6 to 6, and of those half way between them, are in a range.
    fn members(range: &Extent) -> Vec<bool> {
        let whole = |edge: &Edge| match &edge.at {
            Point::Whole(at) => *at,
            Point::Number(number) => numeric::to_i64_rounded(number, "bigint").unwrap(),
            Point::Other(other) => panic!("{other:?} is no number"),
        };
        let halves = (-12i64..13).map(|half| {
            // Half way it is behind a value: within an exclusive bound there if that is the lower.
            let place = (half.div_euclid(2), half.rem_euclid(2) as i8);
            range.bounds.as_ref().is_some_and(|(lower, upper)| {
                lower.as_ref().is_none_or(|edge| (whole(edge), i8::from(!edge.is_inclusive)) <= place)
                    && upper.as_ref().is_none_or(|edge| place < (whole(edge), i8::from(edge.is_inclusive)))
            })
        });
        halves.collect()
    }

    fn all(left: &[bool], right: &[bool], test: fn(bool, bool) -> bool) -> Vec<bool> {
        left.iter().zip(right).map(|(left, right)| test(*left, *right)).collect()
    }

    proptest! {
        #[test]
        fn ranges_read_back_and_order_by_their_bounds((left, right) in pair()) {
            let read = Extent::of(&left.to_datum()).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{left:?}"));
            prop_assert_eq!(compare(&left.to_datum(), &right.to_datum()), expected(&left, &right));
        }

        #[test]
        fn ranges_are_sets_of_values((left, right) in pair()) {
            let (own, other) = (members(&left), members(&right));
            let shared = all(&own, &other, |own, other| own && other);
            prop_assert_eq!(members(&left.intersection(&right)), shared.clone());
            prop_assert_eq!(left.overlaps(&right), shared.contains(&true));
            prop_assert_eq!(left.contains(&right), shared == other);
            if let Ok(union) = left.union(&right) {
                prop_assert_eq!(members(&union), all(&own, &other, |own, other| own || other));
            }
            if let Ok(rest) = left.difference(&right) {
                prop_assert_eq!(members(&rest), all(&own, &other, |own, other| own && !other));
            }
            prop_assert!(left.around(&right).contains(&left) && left.around(&right).contains(&right));
        }

        #[test]
        fn garbage_is_an_error_or_a_range_but_never_a_panic(bytes in prop::collection::vec(0u8..6, 0..24)) {
            let _ = Extent::of_held(Bytes::from([&[OF_NUMBERS][..], &bytes].concat()));
            let _ = Extent::of(&Datum::Bytea(bytes.into()));
        }

        #[test]
        fn numbers_are_the_same_behind_image_and_key(range in extent(TypeKind::Numeric)) {
            let Datum::Keyed(held) = range.to_datum() else { return Err(TestCaseError::fail("it has no key")) };
            for bytes in [held.image(), held.key()] {
                let Some(Datum::Keyed(read)) = Extent::of_held(bytes.clone()) else {
                    return Err(TestCaseError::fail("it is no range"));
                };
                prop_assert_eq!(read.key(), held.key());
                prop_assert!(bytes == held.key() || read.image() == held.image());
            }
        }
    }

    /// Bounds of the types that only ranges that were made can have.
    fn made() -> impl Strategy<Value = (Extent, Extent)> {
        let kinds = vec![
            TypeKind::Bool,
            TypeKind::Int2,
            TypeKind::Int4,
            TypeKind::Oid,
            TypeKind::Float4,
            TypeKind::Float8,
            TypeKind::Text,
            TypeKind::Bytea,
            TypeKind::Interval,
            TypeKind::Uuid,
            TypeKind::Timestamptz,
        ];
        prop::sample::select(kinds).prop_flat_map(|kind| {
            let edge = move || {
                let value = (crate::datum::arbitrary::datum_of(kind), any::<bool>());
                let some = value.prop_map(|(value, is_inclusive)| Edge::new(&value, is_inclusive).ok());
                prop_oneof![1 => Just(None), 5 => some]
            };
            let subtype = Subtype::of_made(kind);
            let range = move || {
                (edge(), edge()).prop_map(move |(lower, upper)| {
                    let turned = (upper.clone(), lower.clone());
                    let made = Extent::new(subtype, lower, upper);
                    let made = made.or_else(|_| Extent::new(subtype, turned.0, turned.1));
                    made.unwrap_or(Extent::empty(subtype))
                })
            };
            (range(), range())
        })
    }

    proptest! {
        #[test]
        fn those_that_were_made_read_back_and_order_by_their_bounds((left, right) in made()) {
            let Datum::Keyed(held) = left.to_datum() else { return Err(TestCaseError::fail("it has no key")) };
            let read = Extent::of(&Extent::of_held(held.image().clone()).unwrap()).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{left:?}"));
            let Some(Datum::Keyed(found)) = Extent::of_held(held.key().clone()) else {
                return Err(TestCaseError::fail("it is no range"));
            };
            prop_assert_eq!(found.key(), held.key());
            prop_assert_eq!(compare(&left.to_datum(), &right.to_datum()), expected(&left, &right));
        }

        #[test]
        fn made_garbage_is_an_error_or_a_range_but_never_a_panic(
            kind in 0u8..30, bytes in prop::collection::vec(0u8..6, 0..40),
        ) {
            let _ = Extent::of_held(Bytes::from([&[OF_MADE, 0, 0, 0, kind][..], &bytes].concat()));
        }
    }

    #[test]
    fn whole_numbers_of_a_range_that_was_made_stay_where_they_are() {
        let edge = |at| Some(Edge { at: Point::Whole(at), is_inclusive: true });
        let range = Extent::new(Subtype::of_made(TypeKind::Int4), edge(1), edge(5)).unwrap();
        assert_eq!(range.bounds, Some((edge(1), edge(5))));
    }

    #[test]
    fn integers_and_dates_have_one_form() {
        let edge = |at, is_inclusive| Some(Edge { at: Point::Whole(at), is_inclusive });
        let new = |subtype: TypeKind, lower, upper| Extent::new(subtype, lower, upper);
        assert_eq!(
            new(TypeKind::Int4, edge(1, false), edge(5, true)).unwrap().bounds,
            Some((edge(2, true), edge(6, false)))
        );
        assert!(new(TypeKind::Int8, edge(1, false), edge(2, false)).unwrap().is_empty());
        assert!(!new(TypeKind::Timestamp, edge(1, false), edge(2, false)).unwrap().is_empty());
        let infinite = i64::from(i32::MAX);
        assert_eq!(
            new(TypeKind::Date, edge(0, true), edge(infinite, true)).unwrap().upper(),
            edge(infinite, true).as_ref()
        );
        assert_eq!(new(TypeKind::Int4, None, edge(infinite, true)).unwrap_err().sqlstate, "22003");
        assert_eq!(new(TypeKind::Int8, edge(i64::MAX, false), None).unwrap_err().sqlstate, "22003");
        assert_eq!(new(TypeKind::Int4, edge(2, true), edge(1, true)).unwrap_err().sqlstate, "22000");
    }
}
