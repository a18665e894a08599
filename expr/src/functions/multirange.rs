//! Functions of multiranges. Before, behind and next to what a multirange lies, its bounds tell, as those of the least range
//! around it.

use crate::datum::Datum;
use crate::datum::array::Array;
use crate::error::{Error, Result};
use crate::extent::{Extent, Spans};
use crate::types::TypeKind;
use crate::work;

/// `int4multirange(range, …)`. NULL of NULL alone, 22004 if it is one of several.
pub(super) fn made(ranges: &[Datum], subtype: TypeKind) -> Result<Datum> {
    if matches!(ranges, [Datum::Null]) {
        return Ok(Datum::Null);
    }
    let range = |value: &Datum| match value {
        Datum::Null => Err(of_null()),
        value => Extent::of(value),
    };
    let ranges: Result<Vec<Extent>> = ranges.iter().map(range).collect();
    Ok(Spans::new(subtype, ranges?).to_datum())
}

fn of_null() -> Error {
    Error::new("22004", "multirange values cannot contain null members")
}

/// That an array is a list of ranges. 21000 if it has more dimensions, 22004 if NULL is in it.
pub(super) fn check_list(ranges: &Array) -> Result<()> {
    if ranges.dimension_count() > 1 {
        return Err(Error::new("21000", "multiranges cannot be constructed from multidimensional arrays"));
    }
    if ranges.iter().any(Datum::is_null) { Err(of_null()) } else { Ok(()) }
}

/// `multirange(range)`
pub(super) fn of_range(range: &Datum) -> Result<Datum> {
    Spans::of_range(range).map(|spans| spans.to_datum())
}

/// The least range around one.
pub(super) fn around(value: &Datum) -> Result<Datum> {
    Ok(Spans::of(value)?.around().to_datum())
}

/// The same function of the least ranges around two.
pub(super) fn by_bounds(
    left: &Datum,
    right: &Datum,
    function: fn(&Datum, &Datum) -> Result<Datum>,
) -> Result<Datum> {
    function(&around(left)?, &around(right)?)
}

/// `unnest`
pub(super) fn ranges(args: &[Datum]) -> Result<Vec<Datum>> {
    let spans = args.first().map(Spans::of).transpose()?;
    work::items(spans.iter().flat_map(Spans::ranges).map(Extent::to_datum))
}

pub(super) fn contains_value(spans: &Datum, value: &Datum) -> Result<Datum> {
    Spans::of(spans)?.contains_value(value).map(Datum::Bool)
}

pub(super) fn is_value_within(value: &Datum, spans: &Datum) -> Result<Datum> {
    contains_value(spans, value)
}

/// Whether something holds of a multirange and a range.
fn are(spans: &Datum, range: &Datum, test: fn(&Spans, &Extent) -> bool) -> Result<Datum> {
    Ok(Datum::Bool(test(&Spans::of(spans)?, &Extent::of(range)?)))
}

/// Whether something holds of two multiranges.
fn both_are(left: &Datum, right: &Datum, test: fn(&Spans, &Spans) -> bool) -> Result<Datum> {
    Ok(Datum::Bool(test(&Spans::of(left)?, &Spans::of(right)?)))
}

pub(super) fn contains_range(spans: &Datum, range: &Datum) -> Result<Datum> {
    are(spans, range, Spans::contains)
}

pub(super) fn is_range_within(range: &Datum, spans: &Datum) -> Result<Datum> {
    contains_range(spans, range)
}

pub(super) fn contains(left: &Datum, right: &Datum) -> Result<Datum> {
    both_are(left, right, Spans::contains_all)
}

pub(super) fn is_within(left: &Datum, right: &Datum) -> Result<Datum> {
    contains(right, left)
}

pub(super) fn overlaps_range(spans: &Datum, range: &Datum) -> Result<Datum> {
    are(spans, range, Spans::overlaps)
}

pub(super) fn is_overlapped(range: &Datum, spans: &Datum) -> Result<Datum> {
    overlaps_range(spans, range)
}

pub(super) fn overlaps(left: &Datum, right: &Datum) -> Result<Datum> {
    both_are(left, right, Spans::overlaps_any)
}

/// What two multiranges make.
fn joined(left: &Datum, right: &Datum, join: fn(&Spans, &Spans) -> Spans) -> Result<Datum> {
    Ok(join(&Spans::of(left)?, &Spans::of(right)?).to_datum())
}

pub(super) fn union(left: &Datum, right: &Datum) -> Result<Datum> {
    joined(left, right, Spans::union)
}

pub(super) fn intersection(left: &Datum, right: &Datum) -> Result<Datum> {
    joined(left, right, Spans::intersection)
}

pub(super) fn difference(left: &Datum, right: &Datum) -> Result<Datum> {
    joined(left, right, Spans::difference)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::session::SessionContext;

    struct Unwanted;

    impl work::Interrupt for Unwanted {
        fn check(&self) -> Result<()> {
            Err(Error::new("57014", "canceling statement due to user request"))
        }
    }

    #[test]
    fn ranges_are_counted_as_they_are_made_rows_of() {
        let text: Vec<String> = (0..10_000).map(|number| format!("[{0},{0}]", 2 * number)).collect();
        let text = format!("{{{}}}", text.join(","));
        let session = SessionContext::default();
        let many = crate::codec::input(&text, TypeKind::Int4Multirange.into(), &session).unwrap();
        assert_eq!(ranges(std::slice::from_ref(&many)).unwrap().len(), 10_000);
        work::under(Arc::new(Unwanted), || {
            assert_eq!(ranges(std::slice::from_ref(&many)).unwrap_err().sqlstate, "57014");
        });
    }
}
