//! What is in all ranges, and in any of them.

use super::{Accumulator, State, extend, list, merge_lists, mismatch, the_value};
use crate::datum::Datum;
use crate::error::Result;
use crate::extent::{Extent, Spans, Subtype};

/// `range_intersect_agg` of ranges.
pub static SHARED: Accumulator = Accumulator::new(
    |state, value, _| share(state, value, of_ranges),
    |state, other| share(state, &the_value(other)?, of_ranges),
    the_value,
);
/// `range_intersect_agg` of multiranges.
pub static SHARED_BY_MANY: Accumulator = Accumulator::new(
    |state, value, _| share(state, value, of_multiranges),
    |state, other| share(state, &the_value(other)?, of_multiranges),
    the_value,
);
/// `range_agg` of ranges.
pub static GATHERED: Accumulator = Accumulator::new(
    |state, value, _| extend(state, [value.clone()]),
    merge_lists,
    |state| {
        let ranges = list(state)?.iter().map(Extent::of).collect::<Result<Vec<_>>>()?;
        gathered(ranges.first().map(Extent::subtype), ranges)
    },
);
/// `range_agg` of multiranges.
pub static GATHERED_OF_MANY: Accumulator = Accumulator::new(
    |state, value, _| extend(state, [value.clone()]),
    merge_lists,
    |state| {
        let spans = list(state)?.iter().map(Spans::of).collect::<Result<Vec<_>>>()?;
        gathered(spans.first().map(Spans::subtype), spans.into_iter().flat_map(Spans::into_ranges))
    },
);

fn gathered(subtype: Option<Subtype>, ranges: impl IntoIterator<Item = Extent>) -> Result<Datum> {
    Ok(Spans::new(subtype.ok_or_else(mismatch)?, ranges).to_datum())
}

fn of_ranges(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(Extent::of(left)?.intersection(&Extent::of(right)?).to_datum())
}

fn of_multiranges(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(Spans::of(left)?.intersection(&Spans::of(right)?).to_datum())
}

fn share(state: &mut State, value: &Datum, both: fn(&Datum, &Datum) -> Result<Datum>) -> Result<()> {
    let shared = match state {
        State::Empty => value.clone(),
        State::Value(seen) => both(seen, value)?,
        _ => return Err(mismatch()),
    };
    *state = State::Value(shared);
    Ok(())
}
