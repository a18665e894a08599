//! What is in all ranges.

use super::{Accumulator, State, mismatch, the_value};
use crate::datum::Datum;
use crate::error::Result;
use crate::extent::Extent;

/// `range_intersect_agg`
pub static SHARED: Accumulator = Accumulator::new(
    |state, value, _| share(state, value),
    |state, other| match other {
        State::Value(value) => share(state, &value),
        _ => Err(mismatch()),
    },
    the_value,
);

fn share(state: &mut State, value: &Datum) -> Result<()> {
    let shared = match state {
        State::Empty => value.clone(),
        State::Value(seen) => Extent::of(seen)?.intersection(&Extent::of(value)?).to_datum(),
        _ => return Err(mismatch()),
    };
    *state = State::Value(shared);
    Ok(())
}
