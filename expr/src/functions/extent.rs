//! Functions of ranges.

use super::arguments::{mismatch, text};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::extent::{Edge, Extent, Subtype};

/// `int4range(lower, upper)`, and with `[)` or its like behind; NULL is a bound that is missing. 42601, 22000 for flags that
/// are none.
pub(super) fn made(args: &[Datum], subtype: impl Into<Subtype>) -> Result<Datum> {
    let (lower, upper, flags) = match args {
        [lower, upper] => (lower, upper, "[)"),
        [_, _, Datum::Null] => {
            return Err(Error::new("22000", "range constructor flags argument must not be null"));
        }
        [lower, upper, flags] => (lower, upper, text(flags)?),
        _ => return Err(mismatch()),
    };
    let (is_lower_inclusive, is_upper_inclusive) = match flags {
        "[]" => (true, true),
        "[)" => (true, false),
        "(]" => (false, true),
        "()" => (false, false),
        _ => {
            return Err(Error::new("42601", "invalid range bound flags")
                .with_hint("Valid values are \"[]\", \"[)\", \"(]\", and \"()\"."));
        }
    };
    let edge = |value: &Datum, is_inclusive: bool| match value {
        Datum::Null => Ok(None),
        value => Edge::new(value, is_inclusive).map(Some),
    };
    let (lower, upper) = (edge(lower, is_lower_inclusive)?, edge(upper, is_upper_inclusive)?);
    Ok(Extent::new(subtype, lower, upper)?.to_datum())
}

pub(super) fn lower(value: &Datum) -> Result<Datum> {
    let range = Extent::of(value)?;
    Ok(range.value_of(range.lower()))
}

pub(super) fn upper(value: &Datum) -> Result<Datum> {
    let range = Extent::of(value)?;
    Ok(range.value_of(range.upper()))
}

/// Whether something holds of a range.
fn is(value: &Datum, test: fn(&Extent) -> bool) -> Result<Datum> {
    Ok(Datum::Bool(test(&Extent::of(value)?)))
}

pub(super) fn is_empty(value: &Datum) -> Result<Datum> {
    is(value, Extent::is_empty)
}

pub(super) fn holds_lower(value: &Datum) -> Result<Datum> {
    is(value, |range| Extent::holds(range.lower()))
}

pub(super) fn holds_upper(value: &Datum) -> Result<Datum> {
    is(value, |range| Extent::holds(range.upper()))
}

pub(super) fn lacks_lower(value: &Datum) -> Result<Datum> {
    is(value, |range| !range.is_empty() && range.lower().is_none())
}

pub(super) fn lacks_upper(value: &Datum) -> Result<Datum> {
    is(value, |range| !range.is_empty() && range.upper().is_none())
}

/// Whether something holds of two ranges.
fn are(left: &Datum, right: &Datum, test: fn(&Extent, &Extent) -> bool) -> Result<Datum> {
    Ok(Datum::Bool(test(&Extent::of(left)?, &Extent::of(right)?)))
}

pub(super) fn overlaps(left: &Datum, right: &Datum) -> Result<Datum> {
    are(left, right, Extent::overlaps)
}

pub(super) fn contains(left: &Datum, right: &Datum) -> Result<Datum> {
    are(left, right, Extent::contains)
}

pub(super) fn is_within(left: &Datum, right: &Datum) -> Result<Datum> {
    contains(right, left)
}

pub(super) fn is_adjacent(left: &Datum, right: &Datum) -> Result<Datum> {
    are(left, right, Extent::is_adjacent)
}

pub(super) fn is_before(left: &Datum, right: &Datum) -> Result<Datum> {
    are(left, right, Extent::is_before)
}

pub(super) fn is_behind(left: &Datum, right: &Datum) -> Result<Datum> {
    is_before(right, left)
}

pub(super) fn ends_within(left: &Datum, right: &Datum) -> Result<Datum> {
    are(left, right, Extent::ends_within)
}

pub(super) fn begins_within(left: &Datum, right: &Datum) -> Result<Datum> {
    are(left, right, Extent::begins_within)
}

pub(super) fn contains_value(range: &Datum, value: &Datum) -> Result<Datum> {
    Extent::of(range)?.contains_value(value).map(Datum::Bool)
}

pub(super) fn is_value_within(value: &Datum, range: &Datum) -> Result<Datum> {
    contains_value(range, value)
}

pub(super) fn union(left: &Datum, right: &Datum) -> Result<Datum> {
    Extent::of(left)?.union(&Extent::of(right)?).map(|range| range.to_datum())
}

pub(super) fn intersection(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(Extent::of(left)?.intersection(&Extent::of(right)?).to_datum())
}

pub(super) fn difference(left: &Datum, right: &Datum) -> Result<Datum> {
    Extent::of(left)?.difference(&Extent::of(right)?).map(|range| range.to_datum())
}

pub(super) fn around(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(Extent::of(left)?.around(&Extent::of(right)?).to_datum())
}
