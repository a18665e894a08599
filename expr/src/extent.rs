//! Ranges: the values of `int4range` and its like, what lies between two bounds.
//!
//! A value is held as bytes that order as PostgreSQL orders ranges, those that are empty before all others, then by the
//! lower bound, then by the upper, so that it is compared, hashed, stored and put into keys as any other bytes:
//!
//! ```text
//! range   type of the bounds, its place in SUBTYPES (1 byte)   0: empty | 1  lower  upper
//! lower   0: there is none | 1  value  0: inclusive | 1: exclusive
//! upper   1  value  0: exclusive | 1: inclusive | 2: there is none
//! value   8 bytes, big-endian, its sign flipped | of a numrange a number as keys hold it
//! ```
//!
//! Numbers are equal whatever zeros they show behind, so these bytes are the key alone of a numrange ([`Keyed`]). What it
//! looks like is the key, and behind it of each bound that there is the number of digits behind the point (u16, big-endian).

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;
use keys::encode::decimal;

use crate::calendar;
use crate::datum::keyed::Keyed;
use crate::datum::{Datum, Numeric, number_bytes};
use crate::error::{Error, Result};
use crate::numeric;
use crate::types::TypeKind;

/// What bounds may be: types whose values are whole numbers, and equal only if they look alike; and numbers.
const SUBTYPES: [TypeKind; 6] = [
    TypeKind::Int4,
    TypeKind::Int8,
    TypeKind::Date,
    TypeKind::Timestamp,
    TypeKind::Timestamptz,
    TypeKind::Numeric,
];

/// What a numrange begins with: the place of its bounds' type.
pub(crate) const OF_NUMBERS: u8 = 5;

/// The value of a bound.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Point {
    Whole(i64),
    Number(Numeric),
}

impl Point {
    fn of(value: &Datum) -> Result<Self> {
        match value {
            Datum::Int4(number) | Datum::Date(number) => Ok(Self::Whole(i64::from(*number))),
            Datum::Int8(number) | Datum::Timestamp(number) | Datum::Timestamptz(number) => {
                Ok(Self::Whole(*number))
            }
            Datum::Numeric(number) => Ok(Self::Number(number.clone())),
            _ => Err(mismatch()),
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Whole(number) => out.extend_from_slice(&(number ^ i64::MIN).to_be_bytes()),
            Self::Number(number) => decimal::put(&numeric::to_decimal(number), out),
        }
    }

    fn take(input: &mut &[u8], subtype: TypeKind) -> Result<Self> {
        if subtype == TypeKind::Numeric {
            let number = decimal::take(input, false).map_err(|_| mismatch())?;
            return Ok(Self::Number(numeric::from_decimal(number, 0)));
        }
        let (head, rest) = input.split_first_chunk().ok_or_else(mismatch)?;
        *input = rest;
        Ok(Self::Whole(i64::from_be_bytes(*head) ^ i64::MIN))
    }

    /// Appends how many digits it shows behind the point.
    fn put_scale(&self, out: &mut Vec<u8>) {
        if let Self::Number(number) = self {
            let scale = u16::try_from(number.scale().unwrap_or(0)).unwrap_or(u16::MAX);
            out.extend_from_slice(&scale.to_be_bytes());
        }
    }

    /// Shows as many digits behind the point as are said next, if anything is.
    fn take_scale(&mut self, input: &mut &[u8]) -> Result<()> {
        let Self::Number(number) = self else { return Ok(()) };
        if input.is_empty() {
            return Ok(());
        }
        let (head, rest) = input.split_first_chunk().ok_or_else(mismatch)?;
        *input = rest;
        *number = numeric::from_decimal(numeric::to_decimal(number), u16::from_be_bytes(*head).into());
        Ok(())
    }
}

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
/// - Of integers and dates the lower bound is inclusive and the upper exclusive, but for infinite dates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extent {
    subtype: TypeKind,
    /// None = empty.
    bounds: Option<Bounds>,
}

fn mismatch() -> Error {
    Error::internal("a range that is none")
}

/// The value of a bound that is exclusive below and inclusive above moved to the next one, if the type has a next one at
/// all. 22003, 22008 if it is beyond the type.
fn next(at: &Point, subtype: TypeKind) -> Result<Option<Point>> {
    let Point::Whole(at) = *at else { return Ok(None) };
    let next = match subtype {
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
fn moved(edge: Option<Edge>, is_inclusive: bool, subtype: TypeKind) -> Result<Option<Edge>> {
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
    pub(crate) fn empty(subtype: TypeKind) -> Self {
        Self { subtype, bounds: None }
    }

    /// What lies between two bounds, in the one form that PostgreSQL gives it. 22000 if the lower is above the upper, 22003
    /// and 22008 if the value behind a bound is beyond the type.
    pub(crate) fn new(subtype: TypeKind, lower: Option<Edge>, upper: Option<Edge>) -> Result<Self> {
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
    fn between(subtype: TypeKind, lower: Option<Edge>, upper: Option<Edge>) -> Self {
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
        let subtype = SUBTYPES.get(usize::from(take_byte(&mut rest)?)).copied().ok_or_else(mismatch)?;
        if take_byte(&mut rest)? == 0 {
            return Ok((Self::empty(subtype), held.len().saturating_sub(rest.len())));
        }
        let mut lower = match take_byte(&mut rest)? {
            0 => None,
            _ => {
                let at = Point::take(&mut rest, subtype)?;
                Some(Edge { at, is_inclusive: take_byte(&mut rest)? == 0 })
            }
        };
        let mut upper = match take_byte(&mut rest)? {
            2 => None,
            _ => {
                let at = Point::take(&mut rest, subtype)?;
                Some(Edge { at, is_inclusive: take_byte(&mut rest)? == 1 })
            }
        };
        let key = held.len().saturating_sub(rest.len());
        for edge in [&mut lower, &mut upper].into_iter().flatten() {
            edge.at.take_scale(&mut rest)?;
        }
        Ok((Self { subtype, bounds: Some((lower, upper)) }, key))
    }

    /// The numrange of this image, or of this key, which then shows no zeros behind. None if it is of none.
    pub(crate) fn of_numbers(held: Bytes) -> Option<Datum> {
        let (range, length) = Self::read(&held).ok()?;
        if range.subtype != TypeKind::Numeric {
            return None;
        }
        let has_scales = held.len() > length || range.edges().next().is_none();
        match has_scales {
            true => {
                let key = held.slice(..length);
                Some(Datum::Keyed(Arc::new(Keyed::new(held, key, range.text_bytes()))))
            }
            false => Some(range.to_datum()),
        }
    }

    /// The value that holds it.
    pub(crate) fn to_datum(&self) -> Datum {
        let of_type = SUBTYPES.iter().position(|subtype| *subtype == self.subtype).unwrap_or(SUBTYPES.len());
        let mut held = vec![of_type as u8];
        self.put(&mut held);
        if self.subtype != TypeKind::Numeric {
            return Datum::Bytea(held.into());
        }
        let length = held.len();
        self.edges().for_each(|edge| edge.at.put_scale(&mut held));
        let image = Bytes::from(held);
        let key = image.slice(..length);
        Datum::Keyed(Arc::new(Keyed::new(image, key, self.text_bytes())))
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
        let bytes = |edge: &Edge| match &edge.at {
            Point::Whole(_) => 24,
            Point::Number(number) => number_bytes(number),
        };
        self.edges().map(bytes).fold(8, usize::saturating_add)
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

    /// The value of a bound; NULL if there is none.
    pub(crate) fn value_of(&self, edge: Option<&Edge>) -> Datum {
        let at = match edge.map(|edge| &edge.at) {
            None => return Datum::Null,
            Some(Point::Number(number)) => return Datum::Numeric(number.clone()),
            Some(Point::Whole(at)) => *at,
        };
        match self.subtype {
            TypeKind::Int4 => Datum::Int4(at as i32),
            TypeKind::Date => Datum::Date(at as i32),
            TypeKind::Timestamp => Datum::Timestamp(at),
            TypeKind::Timestamptz => Datum::Timestamptz(at),
            _ => Datum::Int8(at),
        }
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

    /// What is in either. 22000 if that is no range.
    pub(crate) fn union(&self, other: &Self) -> Result<Self> {
        let is_one = self.is_empty() || other.is_empty() || self.overlaps(other) || self.is_adjacent(other);
        match is_one {
            true => Ok(self.around(other)),
            false => Err(Error::new("22000", "result of range union would not be contiguous")),
        }
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
        let (Some((from, to)), Some((others_from, others_to))) = (&self.bounds, &other.bounds) else {
            return Ok(self.clone());
        };
        if !self.overlaps(other) {
            return Ok(self.clone());
        }
        let begins = lower_place(from.as_ref()).cmp(&lower_place(others_from.as_ref()));
        let ends = upper_place(to.as_ref()).cmp(&upper_place(others_to.as_ref()));
        let turned = |edge: &Option<Edge>| edge.as_ref().map(Edge::turned);
        match (begins, ends) {
            (Ordering::Less, Ordering::Greater) => {
                Err(Error::new("22000", "result of range difference would not be contiguous"))
            }
            (Ordering::Less, _) => Ok(Self::between(self.subtype, from.clone(), turned(others_from))),
            (_, Ordering::Greater) => Ok(Self::between(self.subtype, turned(others_to), to.clone())),
            _ => Ok(Self::empty(self.subtype)),
        }
    }
}

fn take_byte(input: &mut &[u8]) -> Result<u8> {
    let (first, rest) = input.split_first().ok_or_else(mismatch)?;
    *input = rest;
    Ok(*first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::compare::compare;

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
            let _ = Extent::of_numbers(Bytes::from([&[OF_NUMBERS][..], &bytes].concat()));
            let _ = Extent::of(&Datum::Bytea(bytes.into()));
        }

        #[test]
        fn numbers_are_the_same_behind_image_and_key(range in extent(TypeKind::Numeric)) {
            let Datum::Keyed(held) = range.to_datum() else { return Err(TestCaseError::fail("it has no key")) };
            for bytes in [held.image(), held.key()] {
                let Some(Datum::Keyed(read)) = Extent::of_numbers(bytes.clone()) else {
                    return Err(TestCaseError::fail("it is no range"));
                };
                prop_assert_eq!(read.key(), held.key());
                prop_assert!(bytes == held.key() || read.image() == held.image());
            }
        }
    }

    #[test]
    fn integers_and_dates_have_one_form() {
        let edge = |at, is_inclusive| Some(Edge { at: Point::Whole(at), is_inclusive });
        let new = |subtype, lower, upper| Extent::new(subtype, lower, upper);
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
