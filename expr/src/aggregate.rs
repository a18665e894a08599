//! Aggregates: functions whose row names an [`Accumulator`]. DISTINCT is the caller's.

use crate::accumulate::Accumulator;
use crate::accumulate::statistics::Moments;
use crate::datum::{Datum, Numeric};
use crate::error::{Error, Result};
use crate::functions::{Body, FunctionId};
use crate::types::TypeKind;

pub use crate::accumulate::{Prepared, State};

/// Which aggregate, over which type.
#[derive(Debug, Clone, Copy)]
pub struct Aggregate {
    function: FunctionId,
    accumulator: &'static Accumulator,
}

impl PartialEq for Aggregate {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function
    }
}

impl Eq for Aggregate {}

impl Aggregate {
    /// The aggregate that this function is; 0A000 if it is none that is supported.
    pub fn from_function(function: FunctionId) -> Result<Self> {
        match function.body {
            Body::Aggregate(accumulator) => Ok(Self { function, accumulator }),
            _ => Err(Error::unsupported(format!("aggregate {}", function.name))),
        }
    }

    /// The function.
    pub fn function(&self) -> FunctionId {
        self.function
    }

    /// What is to be made of its arguments before they are added, in their order; of further ones nothing.
    pub fn prepared(&self) -> &'static [Prepared] {
        self.accumulator.prepared
    }

    /// The state before the first row.
    pub fn start(&self) -> State {
        State::Empty
    }

    /// Adds a row's argument: the only one, or NULL of `count(*)`, which counts every row.
    pub fn add(&self, state: &mut State, value: &Datum) -> Result<()> {
        self.add_pair(state, value, &Datum::Null)
    }

    /// Adds a row's two arguments: to `string_agg` the value and what stands before it unless it is the first.
    pub fn add_pair(&self, state: &mut State, value: &Datum, second: &Datum) -> Result<()> {
        if value.is_null() && self.accumulator.is_strict {
            return Ok(());
        }
        (self.accumulator.add)(state, value, second)
    }

    /// Adds what another state has seen, later rows than this one's.
    pub fn merge(&self, state: &mut State, other: State) -> Result<()> {
        match (&*state, other) {
            (_, State::Empty) => Ok(()),
            (State::Empty, other) => {
                *state = other;
                Ok(())
            }
            (_, other) => (self.accumulator.merge)(state, other),
        }
    }

    /// The result.
    pub fn finish(&self, state: State) -> Result<Datum> {
        match state {
            State::Empty if self.accumulator.counts => Ok(Datum::Int8(0)),
            State::Empty => Ok(Datum::Null),
            state => (self.accumulator.finish)(state),
        }
    }

    /// The state as values that a row can carry, to be read back by [`Aggregate::state_from_datums`]: the number of its
    /// shape and what it holds.
    pub fn state_to_datums(&self, state: &State) -> Vec<Datum> {
        match state {
            State::Empty => Vec::new(),
            State::Count(count) => vec![Datum::Int2(1), Datum::Int8(*count)],
            State::Integers { sum, count } => {
                vec![Datum::Int2(2), Datum::Int8(*count), Datum::Numeric(Numeric::finite(*sum, 0))]
            }
            State::Floats { sum, count } => vec![Datum::Int2(3), Datum::Int8(*count), Datum::Float8(*sum)],
            State::Numerics { sum, count } => {
                vec![Datum::Int2(4), Datum::Int8(*count), Datum::Numeric(sum.clone())]
            }
            State::Intervals { sum, count } => {
                vec![Datum::Int2(5), Datum::Int8(*count), Datum::Interval(*sum)]
            }
            State::Value(value) => vec![Datum::Int2(6), value.clone()],
            State::Moments(moments) => {
                let values = [moments.count, moments.x, moments.xx, moments.y, moments.yy, moments.xy];
                std::iter::once(Datum::Int2(8)).chain(values.map(Datum::Float8)).collect()
            }
            State::Squares { sum, squares, count } => {
                let (sum, squares) = (Datum::Numeric(sum.clone()), Datum::Numeric(squares.clone()));
                vec![Datum::Int2(9), Datum::Int8(*count), sum, squares]
            }
            State::Vectors { sums, count } => {
                let head = [Datum::Int2(10), Datum::Int8(*count)];
                head.into_iter().chain(sums.iter().copied().map(Datum::Float8)).collect()
            }
            State::List(items) => std::iter::once(Datum::Int2(7)).chain(items.iter().cloned()).collect(),
        }
    }

    /// Reads what [`Aggregate::state_to_datums`] made. XX000 if these are none of this aggregate's.
    pub fn state_from_datums(&self, datums: &[Datum]) -> Result<State> {
        let mismatch = || Error::internal("no state of an aggregate");
        let Some((Datum::Int2(shape), held)) = datums.split_first() else {
            return if datums.is_empty() { Ok(State::Empty) } else { Err(mismatch()) };
        };
        Ok(match (shape, held) {
            (1, [Datum::Int8(count)]) => State::Count(*count),
            (2, [Datum::Int8(count), Datum::Numeric(sum)]) => {
                let sum = sum.unscaled().and_then(|sum| i128::try_from(sum).ok()).ok_or_else(mismatch)?;
                State::Integers { sum, count: *count }
            }
            (3, [Datum::Int8(count), Datum::Float8(sum)]) => State::Floats { sum: *sum, count: *count },
            (4, [Datum::Int8(count), Datum::Numeric(sum)]) => {
                State::Numerics { sum: sum.clone(), count: *count }
            }
            (5, [Datum::Int8(count), Datum::Interval(sum)]) => State::Intervals { sum: *sum, count: *count },
            (6, [value]) => State::Value(value.clone()),
            (
                8,
                [
                    Datum::Float8(count),
                    Datum::Float8(x),
                    Datum::Float8(xx),
                    Datum::Float8(y),
                    Datum::Float8(yy),
                    Datum::Float8(xy),
                ],
            ) => State::Moments(Moments { count: *count, x: *x, xx: *xx, y: *y, yy: *yy, xy: *xy }),
            (9, [Datum::Int8(count), Datum::Numeric(sum), Datum::Numeric(squares)]) => {
                State::Squares { sum: sum.clone(), squares: squares.clone(), count: *count }
            }
            (10, [Datum::Int8(count), sums @ ..]) => {
                let sum = |value: &Datum| match value {
                    Datum::Float8(sum) => Ok(*sum),
                    _ => Err(mismatch()),
                };
                State::Vectors { sums: sums.iter().map(sum).collect::<Result<_>>()?, count: *count }
            }
            (7, items) => State::List(items.to_vec()),
            _ => return Err(mismatch()),
        })
    }

    /// The declared type of the result; of a polymorphic one the resolution knows the real type.
    pub fn result(&self) -> TypeKind {
        self.function.result
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::datum::arbitrary::datum_of;
    use crate::resolve::{Callee, function};
    use crate::session::SessionContext;

    fn aggregate(name: &str, kind: TypeKind) -> Aggregate {
        match function(name, &[kind]).unwrap() {
            Callee::Function(resolved) => Aggregate::from_function(resolved.function).unwrap(),
            Callee::Cast(_) => panic!("a cast"),
        }
    }

    /// The result over values, whole and split at every place, by way of datums.
    fn over(name: &str, kind: TypeKind, values: &[Datum]) -> String {
        let aggregate = aggregate(name, kind);
        let part = |values: &[Datum]| {
            let mut state = aggregate.start();
            for value in values {
                aggregate.add(&mut state, value).unwrap();
            }
            aggregate.state_from_datums(&aggregate.state_to_datums(&state)).unwrap()
        };
        let shown = |state| {
            let value = aggregate.finish(state).unwrap();
            let text =
                crate::codec::output(&value, TypeKind::Text.into(), &SessionContext::default()).unwrap();
            if value.is_null() { "NULL".to_owned() } else { text }
        };
        let whole = shown(part(values));
        for split in 0..=values.len() {
            let mut state = part(&values[..split]);
            aggregate.merge(&mut state, part(&values[split..])).unwrap();
            assert_eq!(shown(state), whole, "split at {split}");
        }
        whole
    }

    proptest! {
        #[test]
        fn a_value_is_added_as_a_state_of_it_alone_is_merged(
            (name, kind, values) in prop::sample::select(vec![
                ("count", TypeKind::Text), ("sum", TypeKind::Int2), ("sum", TypeKind::Int4), ("sum", TypeKind::Int8),
                ("avg", TypeKind::Int4), ("sum", TypeKind::Numeric), ("avg", TypeKind::Numeric),
                ("sum", TypeKind::Float4), ("sum", TypeKind::Float8), ("avg", TypeKind::Float4),
                ("avg", TypeKind::Float8), ("sum", TypeKind::Interval), ("max", TypeKind::Text),
            ])
            .prop_flat_map(|(name, kind)| {
                let value = prop_oneof![1 => Just(Datum::Null), 6 => datum_of(kind)];
                (Just(name), Just(kind), prop::collection::vec(value, 0..16))
            })
        ) {
            let aggregate = aggregate(name, kind);
            let (mut added, mut merged) = (aggregate.start(), aggregate.start());
            for value in &values {
                let mut alone = aggregate.start();
                aggregate.add(&mut alone, value).unwrap();
                let by_itself = aggregate.add(&mut added, value).map_err(|error| error.sqlstate);
                let as_state = aggregate.merge(&mut merged, alone).map_err(|error| error.sqlstate);
                prop_assert_eq!(by_itself, as_state);
                prop_assert_eq!(format!("{added:?}"), format!("{merged:?}"));
            }
        }
    }

    #[test]
    fn results_are_postgresqls() {
        let ints = [Datum::Int4(1), Datum::Null, Datum::Int4(2), Datum::Int4(i32::MAX)];
        assert_eq!(over("count", TypeKind::Int4, &ints), "3");
        assert_eq!(over("sum", TypeKind::Int4, &ints), "2147483650");
        assert_eq!(over("avg", TypeKind::Int4, &ints), "715827883.33333333");
        assert_eq!(over("min", TypeKind::Int4, &ints), "1");
        assert_eq!(over("max", TypeKind::Int4, &ints), "2147483647");
        assert_eq!(
            over("sum", TypeKind::Int8, &[Datum::Int8(i64::MAX), Datum::Int8(1)]),
            "9223372036854775808"
        );
        assert_eq!(over("avg", TypeKind::Float8, &[Datum::Float8(1.0), Datum::Float8(2.0)]), "1.5");
        assert_eq!(over("sum", TypeKind::Int4, &[]), "NULL");
        assert_eq!(over("count", TypeKind::Int4, &[]), "0");
        assert_eq!(over("max", TypeKind::Text, &["a".into(), "b".into(), "B".into()]), "b");
        assert_eq!(over("bool_and", TypeKind::Bool, &[true.into(), false.into(), Datum::Null]), "f");
    }

    #[test]
    fn ranges_share_what_is_in_all() {
        let session = SessionContext::default();
        let range = |text: &str| crate::codec::input(text, TypeKind::Int4Range.into(), &session).unwrap();
        let ranges = [range("[1,9)"), Datum::Null, range("[3,)"), range("(,7)"), range("[1,5)")];
        for (count, shared) in [(1, "[1,9)"), (2, "[1,9)"), (3, "[3,9)"), (4, "[3,7)"), (5, "[3,5)")] {
            // As what holds it, as `over` shows it.
            let expected = crate::codec::output(&range(shared), TypeKind::Text.into(), &session).unwrap();
            assert_eq!(over("range_intersect_agg", TypeKind::Int4Range, &ranges[..count]), expected);
        }
        assert_eq!(over("range_intersect_agg", TypeKind::Int4Range, &[]), "NULL");
    }

    #[test]
    fn spreads_are_postgresqls() {
        let ints = [Datum::Int4(1), Datum::Null, Datum::Int4(2), Datum::Int4(4)];
        assert_eq!(over("var_pop", TypeKind::Int4, &ints), "1.5555555555555556");
        assert_eq!(over("stddev", TypeKind::Int4, &ints), "1.5275252316519467");
        assert_eq!(over("var_samp", TypeKind::Int4, &ints[..1]), "NULL");
        assert_eq!(over("bit_xor", TypeKind::Int4, &ints), "7");
        let doubles = [Datum::Float8(0.0), Datum::Float8(8.0)];
        assert_eq!(over("variance", TypeKind::Float8, &doubles), "32");
    }

    #[test]
    fn sums_of_bigint_size_are_checked_at_the_end() {
        let aggregate = aggregate("sum", TypeKind::Int4);
        let state = State::Integers { sum: i128::from(i64::MAX) + 1, count: 1 };
        assert_eq!(aggregate.finish(state).unwrap_err().sqlstate, "22003");
    }
}
