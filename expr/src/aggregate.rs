//! Aggregates: count, sum, avg, min, max, bool_and, bool_or, array_agg, string_agg, with PostgreSQL's result types;
//! each in three steps, so that a part may be computed beside the data: accumulate into a [`State`], merge states,
//! finish. DISTINCT is the caller's.

use crate::calendar::interval;
use crate::compare::compare;
use crate::datum::{Datum, Interval, Numeric};
use crate::error::{Error, Result};
use crate::functions::{Body, FunctionId};
use crate::numeric;
use crate::types::TypeKind;

/// Which aggregate, over which type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aggregate {
    function: FunctionId,
    step: Step,
}

/// What is done with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// `count(*)`
    CountRows,
    /// `count(x)`
    CountValues,
    SumIntegers,
    SumSingles,
    SumDoubles,
    SumNumerics,
    SumIntervals,
    Average,
    AverageFloats,
    AverageIntervals,
    Least,
    Greatest,
    And,
    Or,
    Collect,
    /// `string_agg`: the list holds delimiters and values by turns.
    Join,
}

/// What an aggregate has seen so far.
#[derive(Debug, Clone, Default)]
pub enum State {
    /// Nothing yet.
    #[default]
    Empty,
    /// So many.
    Count(i64),
    /// Integers.
    Integers {
        /// Their sum: 2^64 of them could not exceed it.
        sum: i128,
        /// How many.
        count: i64,
    },
    /// Floats.
    Floats {
        /// Their sum.
        sum: f64,
        /// How many.
        count: i64,
    },
    /// Numerics.
    Numerics {
        /// Their sum.
        sum: Numeric,
        /// How many.
        count: i64,
    },
    /// Intervals.
    Intervals {
        /// Their sum.
        sum: Interval,
        /// How many.
        count: i64,
    },
    /// The least or greatest, or the truth so far.
    Value(Datum),
    /// All values in order.
    List(Vec<Datum>),
}

impl Aggregate {
    /// The aggregate that this function is; 0A000 if it is none that is supported.
    pub fn from_function(function: FunctionId) -> Result<Self> {
        let argument = function.args.first().copied();
        let step = match (function.body, function.name, argument) {
            (Body::Aggregate, "count", None) => Step::CountRows,
            (Body::Aggregate, "count", Some(_)) => Step::CountValues,
            (Body::Aggregate, "sum", Some(TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8)) => {
                Step::SumIntegers
            }
            (Body::Aggregate, "sum", Some(TypeKind::Float4)) => Step::SumSingles,
            (Body::Aggregate, "sum", Some(TypeKind::Float8)) => Step::SumDoubles,
            (Body::Aggregate, "sum", Some(TypeKind::Numeric)) => Step::SumNumerics,
            (Body::Aggregate, "sum", Some(TypeKind::Interval)) => Step::SumIntervals,
            (Body::Aggregate, "avg", Some(TypeKind::Float4 | TypeKind::Float8)) => Step::AverageFloats,
            (Body::Aggregate, "avg", Some(TypeKind::Interval)) => Step::AverageIntervals,
            (Body::Aggregate, "avg", Some(_)) => Step::Average,
            (Body::Aggregate, "min", Some(_)) => Step::Least,
            (Body::Aggregate, "max", Some(_)) => Step::Greatest,
            (Body::Aggregate, "bool_and" | "every", Some(_)) => Step::And,
            (Body::Aggregate, "bool_or", Some(_)) => Step::Or,
            (Body::Aggregate, "array_agg", Some(_)) => Step::Collect,
            (Body::Aggregate, "string_agg", Some(_)) => Step::Join,
            _ => return Err(Error::unsupported(format!("aggregate {}", function.name))),
        };
        Ok(Self { function, step })
    }

    /// The function.
    pub fn function(&self) -> FunctionId {
        self.function
    }

    /// The state before the first row.
    pub fn start(&self) -> State {
        State::Empty
    }

    /// Adds a row's argument: the only one, or NULL of `count(*)`, which counts every row.
    pub fn add(&self, state: &mut State, value: &Datum) -> Result<()> {
        if value.is_null() && !matches!(self.step, Step::CountRows | Step::Collect) {
            return Ok(());
        }
        match self.step {
            Step::CountRows | Step::CountValues => self.merge(state, State::Count(1)),
            Step::SumIntegers => add_integer(state, value),
            Step::Average if value.as_i64().is_some() => add_integer(state, value),
            Step::SumNumerics | Step::Average => match value {
                Datum::Numeric(number) => {
                    self.merge(state, State::Numerics { sum: number.clone(), count: 1 })
                }
                _ => Err(mismatch()),
            },
            Step::SumSingles | Step::SumDoubles | Step::AverageFloats => {
                let value = match value {
                    Datum::Float4(v) => f64::from(*v),
                    Datum::Float8(v) => *v,
                    _ => return Err(mismatch()),
                };
                self.merge(state, State::Floats { sum: value, count: 1 })
            }
            Step::SumIntervals | Step::AverageIntervals => match value {
                Datum::Interval(interval) => self.merge(state, State::Intervals { sum: *interval, count: 1 }),
                _ => Err(mismatch()),
            },
            Step::Least | Step::Greatest => {
                if self.replaces(state, value) {
                    *state = State::Value(value.clone());
                }
                Ok(())
            }
            Step::And | Step::Or => self.merge(state, State::Value(value.clone())),
            Step::Collect => self.merge(state, State::List(vec![value.clone()])),
            Step::Join => self.add_delimited(state, value, &Datum::Null),
        }
    }

    /// Adds a row's arguments to `string_agg`: the value and what stands before it unless it is the first.
    pub fn add_delimited(&self, state: &mut State, value: &Datum, delimiter: &Datum) -> Result<()> {
        if value.is_null() {
            return Ok(());
        }
        self.merge(state, State::List(vec![delimiter.clone(), value.clone()]))
    }

    /// Whether a value is less, or greater, than the one seen.
    fn replaces(&self, state: &State, value: &Datum) -> bool {
        let State::Value(seen) = state else { return true };
        let order = match (self.function.result, value, seen) {
            (TypeKind::Bpchar, Datum::Text(value), Datum::Text(seen)) => {
                value.trim_end_matches(' ').cmp(seen.trim_end_matches(' '))
            }
            _ => compare(value, seen),
        };
        if self.step == Step::Least { order.is_lt() } else { order.is_gt() }
    }

    /// Adds what another state has seen, later rows than this one's.
    pub fn merge(&self, state: &mut State, other: State) -> Result<()> {
        match (&mut *state, other) {
            (_, State::Empty) => {}
            (State::Empty, other) => *state = other,
            (State::Count(count), State::Count(more)) => {
                *count = count.checked_add(more).ok_or_else(|| Error::out_of_range("bigint"))?;
            }
            (State::Integers { sum, count }, State::Integers { sum: more, count: others }) => {
                *sum += more;
                *count += others;
            }
            (State::Floats { sum, count }, State::Floats { sum: more, count: others }) => {
                let total = match self.step {
                    Step::SumSingles => f64::from((*sum + more) as f32),
                    _ => *sum + more,
                };
                if total.is_infinite() && !sum.is_infinite() && !more.is_infinite() {
                    return Err(Error::new("22003", "value out of range: overflow"));
                }
                *sum = total;
                *count += others;
            }
            (State::Numerics { sum, count }, State::Numerics { sum: more, count: others }) => {
                *sum = numeric::add(sum, &more)?;
                *count += others;
            }
            (State::Intervals { sum, count }, State::Intervals { sum: more, count: others }) => {
                *sum = interval::add(*sum, more)?;
                *count += others;
            }
            (State::Value(seen), State::Value(value)) => match self.step {
                Step::And => *seen = Datum::Bool(seen.is_true() && value.is_true()),
                Step::Or => *seen = Datum::Bool(seen.is_true() || value.is_true()),
                _ => {
                    if self.replaces(state, &value) {
                        *state = State::Value(value);
                    }
                }
            },
            (State::List(items), State::List(more)) => items.extend(more),
            _ => return Err(mismatch()),
        }
        Ok(())
    }

    /// The result.
    pub fn finish(&self, state: State) -> Result<Datum> {
        Ok(match (self.step, state) {
            (Step::CountRows | Step::CountValues, State::Empty) => Datum::Int8(0),
            (_, State::Empty) => Datum::Null,
            (_, State::Count(count)) => Datum::Int8(count),
            (Step::Average, State::Integers { sum, count }) => {
                Datum::Numeric(numeric::divide(&Numeric::finite(sum, 0), &Numeric::from(count))?)
            }
            (_, State::Integers { sum, .. }) if self.function.result == TypeKind::Numeric => {
                Datum::Numeric(Numeric::finite(sum, 0))
            }
            (_, State::Integers { sum, .. }) => {
                Datum::Int8(i64::try_from(sum).map_err(|_| Error::out_of_range("bigint"))?)
            }
            (Step::AverageFloats, State::Floats { sum, count }) => Datum::Float8(sum / count as f64),
            (Step::SumSingles, State::Floats { sum, .. }) => Datum::Float4(sum as f32),
            (_, State::Floats { sum, .. }) => Datum::Float8(sum),
            (Step::Average, State::Numerics { sum, count }) => {
                Datum::Numeric(numeric::divide(&sum, &Numeric::from(count))?)
            }
            (_, State::Numerics { sum, .. }) => Datum::Numeric(sum),
            (Step::AverageIntervals, State::Intervals { sum, count }) => {
                Datum::Interval(interval::divide(sum, count as f64)?)
            }
            (_, State::Intervals { sum, .. }) => Datum::Interval(sum),
            (_, State::Value(value)) => value,
            (Step::Join, State::List(items)) => {
                Datum::text(items.iter().skip(1).filter_map(Datum::as_str).collect::<String>())
            }
            (_, State::List(items)) => Datum::Array(items.into()),
        })
    }

    /// The state as values that a row can carry, to be read back by [`Aggregate::state_from_datums`].
    pub fn state_to_datums(&self, state: &State) -> Vec<Datum> {
        match state {
            State::Empty => Vec::new(),
            State::Count(count) => vec![Datum::Int8(*count)],
            State::Integers { sum, count } => {
                vec![Datum::Int8(*count), Datum::Numeric(Numeric::finite(*sum, 0))]
            }
            State::Floats { sum, count } => vec![Datum::Int8(*count), Datum::Float8(*sum)],
            State::Numerics { sum, count } => vec![Datum::Int8(*count), Datum::Numeric(sum.clone())],
            State::Intervals { sum, count } => vec![Datum::Int8(*count), Datum::Interval(*sum)],
            State::Value(value) => vec![value.clone()],
            State::List(items) => vec![Datum::Array(items.clone().into())],
        }
    }

    /// Reads what [`Aggregate::state_to_datums`] made. XX000 if these are none of this aggregate's.
    pub fn state_from_datums(&self, datums: &[Datum]) -> Result<State> {
        let integers = matches!(
            (self.step, self.function.args.first()),
            (Step::SumIntegers, _) | (Step::Average, Some(TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8))
        );
        Ok(match (self.step, datums) {
            (_, []) => State::Empty,
            (Step::CountRows | Step::CountValues, [Datum::Int8(count)]) => State::Count(*count),
            (_, [Datum::Int8(count), Datum::Numeric(Numeric::Finite(sum))]) if integers => {
                let sum = i128::try_from(sum.as_bigint_and_scale().0.into_owned()).map_err(|_| mismatch())?;
                State::Integers { sum, count: *count }
            }
            (_, [Datum::Int8(count), Datum::Numeric(sum)]) => {
                State::Numerics { sum: sum.clone(), count: *count }
            }
            (_, [Datum::Int8(count), Datum::Float8(sum)]) => State::Floats { sum: *sum, count: *count },
            (_, [Datum::Int8(count), Datum::Interval(sum)]) => State::Intervals { sum: *sum, count: *count },
            (Step::Collect | Step::Join, [Datum::Array(items)]) => State::List(items.to_vec()),
            (Step::Least | Step::Greatest | Step::And | Step::Or, [value]) => State::Value(value.clone()),
            _ => return Err(mismatch()),
        })
    }

    /// The declared type of the result; of a polymorphic one the resolution knows the real type.
    pub fn result(&self) -> TypeKind {
        self.function.result
    }
}

fn mismatch() -> Error {
    Error::internal("aggregate over values of another type")
}

fn add_integer(state: &mut State, value: &Datum) -> Result<()> {
    let value = value.as_i64().ok_or_else(mismatch)?;
    match state {
        State::Integers { sum, count } => {
            *sum += i128::from(value);
            *count += 1;
        }
        _ => *state = State::Integers { sum: i128::from(value), count: 1 },
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let text = crate::text::output(&value, TypeKind::Text.into(), &SessionContext::default());
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
    fn sums_of_bigint_size_are_checked_at_the_end() {
        let aggregate = aggregate("sum", TypeKind::Int4);
        let state = State::Integers { sum: i128::from(i64::MAX) + 1, count: 1 };
        assert_eq!(aggregate.finish(state).unwrap_err().sqlstate, "22003");
    }
}
