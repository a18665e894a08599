//! Functions that return rows: of one column (generate_series, unnest), or of several (json_each).

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::calendar::interval;
use crate::compare::compare;
use crate::datum::record::Shape;
use crate::datum::{Datum, Interval, Numeric, Row};
use crate::error::{Error, Result};
use crate::functions::{Body, FunctionId};
use crate::numeric;
use crate::session::SessionContext;
use crate::types::TypeKind;

/// The rows of a set-returning function, computed as they are asked for.
#[derive(Debug)]
pub struct Series {
    source: Source,
    /// What the rows take that were made at once.
    bytes: usize,
}

#[derive(Debug)]
enum Source {
    Items {
        items: Arc<[Datum]>,
        next: usize,
        /// Whether each comes with its number.
        numbered: bool,
    },
    Rows(std::vec::IntoIter<Row>),
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
    fn of(source: Source) -> Self {
        Self { source, bytes: 0 }
    }

    /// How many bytes of memory it holds, for accounting.
    pub fn size_bytes(&self) -> usize {
        self.bytes
    }

    /// Starts the function; 22023 if the step is zero, 0A000 if it is no such function. NULL arguments give no rows.
    /// `shape`: of the rows, if they are records.
    pub fn start(
        function: FunctionId,
        args: &[Datum],
        shape: &Shape,
        session: &SessionContext,
    ) -> Result<Self> {
        let items = |items: Arc<[Datum]>, numbered| Self::of(Source::Items { items, next: 0, numbered });
        let empty = || items(Arc::from([]), false);
        let made_at_once = |made: Vec<Datum>| {
            let bytes = made.iter().map(Datum::size_bytes).sum();
            Self { bytes, ..items(made.into(), false) }
        };
        let rows = |rows: Vec<Row>| {
            let bytes = rows.iter().flatten().map(Datum::size_bytes).sum::<usize>();
            let bytes = bytes.saturating_add(rows.len().saturating_mul(size_of::<Row>()));
            Ok(Self { source: Source::Rows(rows.into_iter()), bytes })
        };
        if function.strict && args.iter().any(Datum::is_null) {
            // Of those that return no set there is always a row.
            return match function.name {
                "json_to_record" | "jsonb_to_record" => rows(vec![vec![Datum::Null; shape.len()]]),
                _ => Ok(empty()),
            };
        }
        match function.body {
            Body::Rows(made) => return Ok(made_at_once(made(args)?)),
            Body::SessionRows(made) => return Ok(made_at_once(made(args, session)?)),
            Body::Table(table) => return rows(table(args, shape, session)?),
            Body::Catalog => {
                let Datum::Array(records) = session.catalog.call(function.name, args)? else {
                    return Err(Error::internal("rows of the catalog that are none"));
                };
                let row = |record: &Datum| match record {
                    Datum::Record(record) => record.fields().to_vec(),
                    value => vec![value.clone()],
                };
                return rows(records.iter().map(row).collect());
            }
            _ => {}
        }
        match (function.name, args) {
            ("unnest", [Datum::Array(array)]) => Ok(items(array.items().clone(), false)),
            ("generate_subscripts", [Datum::Array(array), Datum::Int4(number), rest @ ..]) => {
                let number = usize::try_from(*number).ok().and_then(|number| number.checked_sub(1));
                let Some(dimension) = number.and_then(|number| array.dimension(number)) else {
                    return Ok(empty());
                };
                let left = dimension.lower..dimension.lower.saturating_add(dimension.length);
                let reverse = rest.first().is_some_and(Datum::is_true);
                Ok(Self::of(Source::Subscripts { left, reverse }))
            }
            ("generate_subscripts", _) => Ok(empty()),
            // Every element and its number.
            ("_pg_expandarray", [Datum::Array(array)]) => Ok(items(array.items().clone(), true)),
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
                Ok(Self::of(Source::Steps { next: Some(first.clone()), last: last.clone(), step }))
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
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.source {
            Source::Items { items, next, numbered } => {
                let mut row = vec![items.get(*next)?.clone()];
                *next += 1;
                if *numbered {
                    row.push(Datum::Int4(i32::try_from(*next).unwrap_or(i32::MAX)));
                }
                Some(Ok(row))
            }
            Source::Rows(rows) => rows.next().map(Ok),
            Source::Subscripts { left, reverse } => {
                let subscript = if *reverse { left.next_back() } else { left.next() };
                subscript.map(|subscript| Ok(vec![Datum::Int4(subscript)]))
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
                Some(Ok(vec![value]))
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
        let shown = |row: Row| crate::codec::output(&row[0], resolved.result.into(), &session).unwrap();
        let series = Series::start(resolved.function, &values, &Shape::default(), &session)?;
        series.map(|row| row.map(shown)).collect()
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
            let values = [Datum::Array(items), Datum::Int4(1), Datum::Bool(reverse)];
            let session = SessionContext::default();
            let series = Series::start(resolved.function, &values, &Shape::default(), &session).unwrap();
            series.map(|row| row.unwrap()[0].as_i64().unwrap()).collect::<Vec<_>>()
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
