//! What is in all ranges, and in any of them.

use super::{Accumulator, State, extend, list, merge_lists, mismatch, the_value};
use crate::compare::compare;
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
    |state, value, _| gather(state, value),
    merge_lists,
    |state| {
        let mut ranges = list(state)?;
        // Their values are in the order of ranges, so nothing is taken apart to be sorted.
        ranges.sort_unstable_by(compare);
        Ok(Spans::of_ordered(ranges)?.to_datum())
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

/// Keeps a range, with the last one if they make one: what comes in order stays small. Not of those that have looks beside their
/// keys: which look a bound has depends on the order of all.
fn gather(state: &mut State, value: &Datum) -> Result<()> {
    if let (State::List(ranges), Datum::Bytea(_)) = (&mut *state, value)
        && let Some(last) = ranges.last_mut()
        && let Some(joined) = Extent::of(last)?.joined(&Extent::of(value)?)
    {
        *last = joined.to_datum();
        return Ok(());
    }
    extend(state, [value.clone()])
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extent::Edge;
    use crate::types::TypeKind;

    fn range(from: i32, to: i32) -> Datum {
        let edge = |at: i32, is_inclusive| Some(Edge::new(&Datum::Int4(at), is_inclusive).unwrap());
        Extent::new(TypeKind::Int4, edge(from, true), edge(to, false)).unwrap().to_datum()
    }

    #[test]
    fn ranges_that_come_in_order_are_kept_as_one() {
        let mut state = State::Empty;
        let add = |state: &mut State, value| (GATHERED.add)(state, &value, &Datum::Null).unwrap();
        for from in 0..100 {
            add(&mut state, range(from, from + 1));
        }
        assert_eq!(state.kept(), 1);
        add(&mut state, range(200, 201));
        add(&mut state, Extent::empty(TypeKind::Int4).to_datum());
        add(&mut state, range(-5, 0));
        assert_eq!(state.kept(), 3);
        assert!(state.kept_bytes(1) < state.kept_bytes(0));
        let expected = [range(-5, 100), range(200, 201)];
        let expected = expected.iter().map(|range| Extent::of(range).unwrap());
        let made = (GATHERED.finish)(state).unwrap();
        assert_eq!(Spans::of(&made).unwrap(), Spans::new(TypeKind::Int4, expected));
    }

    #[test]
    fn of_nothing_but_empty_ranges_there_is_an_empty_multirange() {
        let mut state = State::Empty;
        for _ in 0..3 {
            (GATHERED.add)(&mut state, &Extent::empty(TypeKind::Int4).to_datum(), &Datum::Null).unwrap();
        }
        assert_eq!(state.kept(), 1);
        let made = (GATHERED.finish)(state).unwrap();
        assert!(Spans::of(&made).unwrap().ranges().is_empty());
    }
}
