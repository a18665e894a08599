//! Functions that return rows: generate_series, generate_subscripts, unnest.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::calendar::interval;
use crate::compare::compare;
use crate::datum::{Datum, Interval, Numeric};
use crate::error::{Error, Result};
use crate::functions::{Body, FunctionId};
use crate::numeric;
use crate::session::SessionContext;
use crate::types::{Type, TypeKind};

/// The rows of a set-returning function, one value each, computed as they are asked for.
#[derive(Debug)]
pub struct Series {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Items {
        items: Arc<[Datum]>,
        next: usize,
    },
    Subscripts {
        left: std::ops::Range<i32>,
        reverse: bool,
    },
    Steps {
        /// None once the last has been returned.
        next: Option<Datum>,
        last: Datum,
        step: Step,
    },
}

#[derive(Debug)]
enum Step {
    Integer(i64),
    Number(Numeric),
    Time(Interval, TimeZone),
}

impl Step {
    fn is_descending(&self) -> bool {
        match self {
            Step::Integer(step) => *step < 0,
            Step::Number(step) => step.signum() < 0,
            Step::Time(step, _) => step.span_micros() < 0,
        }
    }

    fn is_zero(&self) -> bool {
        match self {
            Step::Integer(step) => *step == 0,
            Step::Number(step) => step.signum() == 0,
            Step::Time(step, _) => step.span_micros() == 0,
        }
    }

    /// The value after this; None beyond what the type holds.
    fn after(&self, value: &Datum) -> Result<Option<Datum>> {
        Ok(match (self, value) {
            (Step::Integer(step), Datum::Int4(v)) => {
                i64::from(*v).checked_add(*step).and_then(|next| i32::try_from(next).ok()).map(Datum::Int4)
            }
            (Step::Integer(step), Datum::Int8(v)) => v.checked_add(*step).map(Datum::Int8),
            (Step::Number(step), Datum::Numeric(v)) => Some(Datum::Numeric(numeric::add(v, step)?)),
            (Step::Time(step, _), Datum::Timestamp(v)) => {
                Some(Datum::Timestamp(interval::add_to_timestamp(*v, *step)?))
            }
            (Step::Time(step, zone), Datum::Timestamptz(v)) => {
                Some(Datum::Timestamptz(interval::add_to_timestamptz(*v, *step, zone)?))
            }
            _ => return Err(Error::internal("series of values of another type")),
        })
    }
}

impl Series {
    /// Starts the function over arguments of these types; 22023 if the step is zero, 0A000 if it is no such function.
    /// NULL arguments give no rows.
    pub fn start(function: FunctionId, args: &[Datum], _: &[Type], session: &SessionContext) -> Result<Self> {
        let empty = || Self { source: Source::Items { items: Arc::from([]), next: 0 } };
        if args.iter().any(Datum::is_null) {
            return Ok(empty());
        }
        if let Body::Rows(rows) = function.body {
            return Ok(Self { source: Source::Items { items: rows(args)?.into(), next: 0 } });
        }
        match (function.name, args) {
            ("unnest", [Datum::Array(items)]) => {
                Ok(Self { source: Source::Items { items: items.items().clone(), next: 0 } })
            }
            ("generate_subscripts", [Datum::Array(items), Datum::Int4(number), rest @ ..]) => {
                let number = usize::try_from(*number).ok().and_then(|number| number.checked_sub(1));
                let Some(dimension) = number.and_then(|number| items.dimension(number)) else {
                    return Ok(empty());
                };
                let left = dimension.lower..dimension.lower.saturating_add(dimension.length);
                let reverse = rest.first().is_some_and(Datum::is_true);
                Ok(Self { source: Source::Subscripts { left, reverse } })
            }
            ("generate_subscripts", _) => Ok(empty()),
            ("generate_series", [first, last, step @ ..]) => {
                let step = match (step.first(), function.result) {
                    (None, TypeKind::Numeric) => Step::Number(Numeric::from(1)),
                    (None, _) => Step::Integer(1),
                    (Some(Datum::Numeric(step)), _) => Step::Number(step.clone()),
                    (Some(Datum::Interval(step)), _) => Step::Time(*step, session.time_zone.clone()),
                    (Some(step), _) => {
                        Step::Integer(step.as_i64().ok_or_else(|| Error::internal("step of another type"))?)
                    }
                };
                check_finite(first, last, &step)?;
                if step.is_zero() {
                    return Err(Error::new("22023", "step size cannot equal zero"));
                }
                Ok(Self { source: Source::Steps { next: Some(first.clone()), last: last.clone(), step } })
            }
            _ => Err(Error::unsupported(format!("function {} in FROM", function.name))),
        }
    }
}

fn check_finite(first: &Datum, last: &Datum, step: &Step) -> Result<()> {
    let refuse = |what: &str, value: &Numeric| {
        let not = if matches!(value, Numeric::NaN) { "NaN" } else { "infinity" };
        Err(Error::new("22023", format!("{what} cannot be {not}")))
    };
    match (first, last, step) {
        (Datum::Numeric(value), ..) if !value.is_finite() => refuse("start value", value),
        (_, Datum::Numeric(value), _) if !value.is_finite() => refuse("stop value", value),
        (_, _, Step::Number(value)) if !value.is_finite() => refuse("step size", value),
        _ => Ok(()),
    }
}

impl Iterator for Series {
    type Item = Result<Datum>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.source {
            Source::Items { items, next } => {
                let item = items.get(*next)?;
                *next += 1;
                Some(Ok(item.clone()))
            }
            Source::Subscripts { left, reverse } => {
                let subscript = if *reverse { left.next_back() } else { left.next() };
                subscript.map(|subscript| Ok(Datum::Int4(subscript)))
            }
            Source::Steps { next, last, step } => {
                let value = next.take()?;
                let order = compare(&value, last);
                let beyond = if step.is_descending() { order.is_lt() } else { order.is_gt() };
                if beyond {
                    return None;
                }
                if order.is_ne() {
                    match step.after(&value) {
                        Ok(after) => *next = after,
                        Err(error) => return Some(Err(error)),
                    }
                }
                Some(Ok(value))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datum::array::Array;
    use crate::resolve::{Callee, function};

    fn rows(args: &[(TypeKind, Datum)]) -> Result<Vec<String>> {
        let kinds: Vec<_> = args.iter().map(|(kind, _)| *kind).collect();
        let values: Vec<_> = args.iter().map(|(_, value)| value.clone()).collect();
        let Callee::Function(resolved) = function("generate_series", &kinds)? else { panic!("a cast") };
        let session = SessionContext::default();
        let shown = |value: Datum| crate::codec::output(&value, resolved.result.into(), &session);
        let types: Vec<_> = kinds.iter().copied().map(Type::plain).collect();
        Series::start(resolved.function, &values, &types, &session)?.map(|value| value.map(shown)).collect()
    }

    fn int(value: i32) -> (TypeKind, Datum) {
        (TypeKind::Int4, Datum::Int4(value))
    }

    #[test]
    fn subscripts_begin_where_the_type_does() {
        let subscripts = |kind: TypeKind, reverse: bool| {
            let Callee::Function(resolved) =
                function("generate_subscripts", &[kind, TypeKind::Int4, TypeKind::Bool]).unwrap()
            else {
                panic!("a cast")
            };
            let items = Array::from_lower([Datum::Int2(7), Datum::Int2(9)], i32::from(!kind.is_vector()));
            let types = [kind, TypeKind::Int4, TypeKind::Bool].map(Type::plain);
            let values = [Datum::Array(items), Datum::Int4(1), Datum::Bool(reverse)];
            let series =
                Series::start(resolved.function, &values, &types, &SessionContext::default()).unwrap();
            series.map(|value| value.unwrap().as_i64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(subscripts(TypeKind::Int2Array, false), [1, 2]);
        assert_eq!(subscripts(TypeKind::Int2Vector, false), [0, 1]);
        assert_eq!(subscripts(TypeKind::Int2Vector, true), [1, 0]);
    }

    #[test]
    fn series_go_up_and_down() {
        assert_eq!(rows(&[int(1), int(3)]).unwrap(), ["1", "2", "3"]);
        assert_eq!(rows(&[int(5), int(1), int(-2)]).unwrap(), ["5", "3", "1"]);
        assert!(rows(&[int(3), int(1)]).unwrap().is_empty());
        assert_eq!(rows(&[int(i32::MAX - 1), int(i32::MAX)]).unwrap().len(), 2);
        assert_eq!(rows(&[int(1), int(3), int(0)]).unwrap_err().sqlstate, "22023");
    }
}
