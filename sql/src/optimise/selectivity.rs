//! The part of rows for which conditions hold: by statistics where a table has some, else by rules of thumb, PostgreSQL's
//! where it has any.

use expr::compare::compare_of;
use expr::operators::{Comparison, comparison};
use expr::{Datum, Expr, TypeKind};

use crate::logical::ColumnId;
use crate::statistics::ColumnStatistics;

/// How many values a column has of which nothing is known.
pub(super) const VALUES: f64 = 200.0;
/// The part of rows for which a condition holds of which nothing is known.
pub(super) const SOME: f64 = 1.0 / 3.0;
/// The part that lies in one end of an order.
const RANGE: f64 = 1.0 / 3.0;
/// How many elements an array has of which nothing is known.
const ELEMENTS: f64 = 10.0;
/// The part that a pattern finds.
const PATTERN: f64 = 0.05;
/// A day in microseconds: dates and timestamps are compared.
const DAY_MICROS: f64 = 86_400e6;
/// The least part that is believed in.
const PART_MIN: f64 = 1e-7;

/// What is known of a column.
#[derive(Clone, Copy)]
pub(super) struct Known<'s> {
    /// How many values it has.
    pub(super) values: f64,
    /// Of which type those are.
    pub(super) kind: TypeKind,
    /// What ANALYZE has found.
    pub(super) statistics: Option<&'s ColumnStatistics>,
}

impl Known<'_> {
    /// The part of the rows where it is not NULL.
    pub(super) fn there(&self) -> f64 {
        1.0 - self.statistics.map_or(0.0, |own| f64::from(own.null_fraction))
    }

    /// The part that equals a value, which may not be known.
    fn equal(&self, value: Option<&Datum>) -> f64 {
        let Some(own) = self.statistics else { return 1.0 / self.values };
        let Some(value) = value else { return self.there() / self.values };
        let found = own.common.iter().find(|(common, _)| compare_of(self.kind, common, value).is_eq());
        if let Some((_, part)) = found {
            return f64::from(*part);
        }
        let common: f64 = own.common.iter().map(|(_, part)| f64::from(*part)).sum();
        let others = (self.values - own.common.len() as f64).max(1.0);
        let least = own.common.last().map_or(1.0, |(_, part)| f64::from(*part));
        ((self.there() - common) / others).clamp(PART_MIN, least.max(PART_MIN))
    }

    /// The part that is less than a value, or greater.
    fn beyond(&self, value: &Datum, less: bool) -> Option<f64> {
        let own = self.statistics?;
        if own.common.is_empty() && own.histogram.len() < 2 {
            return None;
        }
        let met = |other: &Datum| {
            let order = compare_of(self.kind, other, value);
            if less { order.is_lt() } else { order.is_gt() }
        };
        let common: f64 = own.common.iter().map(|(_, part)| f64::from(*part)).sum();
        let found: f64 =
            own.common.iter().filter(|(value, _)| met(value)).map(|(_, part)| f64::from(*part)).sum();
        let below = below(self.kind, &own.histogram, value).unwrap_or(0.5);
        let others = if less { below } else { 1.0 - below };
        Some(found + others * (self.there() - common).max(0.0))
    }
}

/// The part of a histogram's rows below a value.
fn below(kind: TypeKind, histogram: &[Datum], value: &Datum) -> Option<f64> {
    let parts = histogram.len().checked_sub(1).filter(|parts| *parts > 0)?;
    let at = histogram.partition_point(|bound| compare_of(kind, bound, value).is_lt());
    let Some(last) = at.checked_sub(1) else { return Some(0.0) };
    let (Some(low), Some(high)) = (histogram.get(last), histogram.get(at)) else { return Some(1.0) };
    let within = match (number(low), number(high), number(value)) {
        // Between infinite ones nothing can be told.
        (Some(low), Some(high), Some(value))
            if high > low && (high - low).is_finite() && value.is_finite() =>
        {
            ((value - low) / (high - low)).clamp(0.0, 1.0)
        }
        _ => 0.5,
    };
    Some((last as f64 + within) / parts as f64)
}

/// A value as a number in its order.
fn number(value: &Datum) -> Option<f64> {
    match value {
        Datum::Float4(value) => Some(f64::from(*value)),
        Datum::Float8(value) => Some(*value),
        Datum::Date(days) => Some(f64::from(*days) * DAY_MICROS),
        Datum::Timestamp(micros) | Datum::Timestamptz(micros) => Some(*micros as f64),
        value => value.as_i64().map(|value| value as f64),
    }
}

/// The part of rows of which all conditions hold. `known`: what is known of a column.
pub(super) fn part<'s, 'c>(
    conditions: impl IntoIterator<Item = &'c Expr>,
    known: &dyn Fn(ColumnId) -> Option<Known<'s>>,
) -> f64 {
    let (mut part, mut ranges) = (1.0, 0_usize);
    // Of a column both ends of a range, as far as they are known.
    let mut ends: Vec<(ColumnId, [Option<f64>; 2], f64)> = Vec::new();
    for condition in conditions {
        if let Some((column, upper, own, there)) = end_of_range(condition, known) {
            let place = ends.iter().position(|(of, ..)| *of == column).unwrap_or_else(|| {
                ends.push((column, [None, None], there));
                ends.len().saturating_sub(1)
            });
            if let Some(end) = ends.get_mut(place).and_then(|(_, ends, _)| ends.get_mut(usize::from(upper))) {
                *end = Some(end.map_or(own, |before| before.min(own)));
            }
            continue;
        }
        part *= part_of(condition, known);
        ranges = ranges.saturating_add(usize::from(is_range(condition)));
    }
    for (_, ends, there) in ends {
        part *= match ends {
            [Some(lower), Some(upper)] => (lower + upper - there).max(PART_MIN),
            [one, other] => one.or(other).unwrap_or(1.0),
        };
    }
    if !part.is_finite() {
        return SOME;
    }
    // Two ends of one range leave less than each by itself.
    if ranges >= 2 { part * 0.5 } else { part }
}

/// The column that a condition bounds by a constant, whether from above, the part that it leaves, and the part that is there.
fn end_of_range<'s>(
    condition: &Expr,
    known: &dyn Fn(ColumnId) -> Option<Known<'s>>,
) -> Option<(ColumnId, bool, f64, f64)> {
    let Expr::Call { function, args, .. } = condition else { return None };
    let [left, right] = args.as_slice() else { return None };
    let (is_less, with_equal) = match comparison(*function)? {
        Comparison::Less => (true, false),
        Comparison::LessOrEqual => (true, true),
        Comparison::Greater => (false, false),
        Comparison::GreaterOrEqual => (false, true),
        Comparison::Equal | Comparison::NotEqual => return None,
    };
    let (column, value, upper) = match (column_of(left), right, left, column_of(right)) {
        (Some(column), Expr::Literal { value, .. }, ..) => (column, value, is_less),
        (.., Expr::Literal { value, .. }, Some(column)) => (column, value, !is_less),
        _ => return None,
    };
    let own = known(column)?;
    let beyond = own.beyond(value, upper)?;
    let equal = if with_equal { own.equal(Some(value)) } else { 0.0 };
    Some((column, upper, (beyond + equal).clamp(PART_MIN, 1.0), own.there()))
}

/// The column that an operand is, or is made of by a cast that keeps its values and their order.
fn column_of(operand: &Expr) -> Option<ColumnId> {
    match operand {
        Expr::Column { index, .. } => Some(*index),
        Expr::Cast { operand, to, .. } => match operand.as_ref() {
            Expr::Column { index, ty } if is_kept(ty.kind, to.kind) => Some(*index),
            _ => None,
        },
        _ => None,
    }
}

fn is_kept(from: TypeKind, to: TypeKind) -> bool {
    let is_integer = |kind| matches!(kind, TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8);
    let is_text = |kind| matches!(kind, TypeKind::Text | TypeKind::Varchar);
    is_integer(from) && is_integer(to) || is_text(from) && is_text(to)
}

fn literal(operand: &Expr) -> Option<&Datum> {
    match operand {
        Expr::Literal { value, .. } => Some(value),
        _ => None,
    }
}

/// The part of rows of which a condition holds.
pub(super) fn part_of<'s>(condition: &Expr, known: &dyn Fn(ColumnId) -> Option<Known<'s>>) -> f64 {
    let values = |operand: &Expr| -> f64 {
        if column_of(operand).is_none() && operand.columns().is_empty() {
            return 1.0;
        }
        column_of(operand).and_then(known).map_or(VALUES, |own| own.values)
    };
    // An operand that equals one of some values, if they are known.
    let equal = |operand: &Expr, value: Option<&Datum>| match column_of(operand).and_then(known) {
        Some(own) => own.equal(value),
        None => 1.0 / values(operand),
    };
    match condition {
        Expr::And(parts) => parts.iter().map(|part| part_of(part, known)).product(),
        Expr::Or(parts) => parts.iter().map(|part| part_of(part, known)).sum::<f64>().min(1.0),
        Expr::Not(operand) => (1.0 - part_of(operand, known)).max(0.1),
        Expr::IsNull { operand, negated } => {
            let statistics = column_of(operand).and_then(known).and_then(|own| own.statistics);
            let null = statistics.map_or(0.01, |own| f64::from(own.null_fraction));
            if *negated { 1.0 - null } else { null }
        }
        Expr::In { operand, items, negated, .. } => {
            let part: f64 = items.iter().map(|item| equal(operand, literal(item))).sum();
            let part = part.min(1.0);
            if *negated { 1.0 - part } else { part }
        }
        Expr::AnyAll { operand, array, operator, all: false }
            if comparison(*operator) == Some(Comparison::Equal) =>
        {
            let part: f64 = match array.as_ref() {
                Expr::Array { items, .. } => items.iter().map(|item| equal(operand, literal(item))).sum(),
                Expr::Literal { value: Datum::Array(items), .. } => {
                    items.iter().map(|item| equal(operand, Some(item))).sum()
                }
                _ => ELEMENTS / values(operand),
            };
            part.min(1.0)
        }
        Expr::Column { index, .. } => match known(*index) {
            Some(own) if own.statistics.is_some() => own.equal(Some(&Datum::Bool(true))),
            _ => SOME,
        },
        Expr::Call { function, args, .. } => match (comparison(*function), args.as_slice()) {
            (Some(Comparison::Equal), [left, right]) => match (literal(left), literal(right)) {
                (None, Some(value)) => equal(left, Some(value)),
                (Some(value), None) => equal(right, Some(value)),
                _ => 1.0 / values(left).max(values(right)),
            },
            (Some(Comparison::NotEqual), [left, right]) => {
                let (operand, value) = match literal(left) {
                    Some(value) => (right, value),
                    None => match literal(right) {
                        Some(value) => (left, value),
                        None => return 0.99,
                    },
                };
                match column_of(operand).and_then(known) {
                    Some(own) if own.statistics.is_some() => (own.there() - own.equal(Some(value))).max(0.0),
                    _ => 0.99,
                }
            }
            (Some(Comparison::NotEqual), _) => 0.99,
            (Some(_), _) => end_of_range(condition, known).map_or(RANGE, |(.., part, _)| part),
            (None, _) if function.name.contains("like") => {
                if function.name.contains("nlike") {
                    1.0 - PATTERN
                } else {
                    PATTERN
                }
            }
            (None, _) => SOME,
        },
        _ => SOME,
    }
}

fn is_range(condition: &Expr) -> bool {
    let Expr::Call { function, .. } = condition else { return false };
    matches!(
        comparison(*function),
        Some(Comparison::Less | Comparison::LessOrEqual | Comparison::Greater | Comparison::GreaterOrEqual)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics() -> ColumnStatistics {
        ColumnStatistics {
            null_fraction: 0.1,
            distinct: 102.0,
            common: vec![(Datum::Int4(7), 0.3), (Datum::Int4(500), 0.1)],
            histogram: (0..=10).map(|part| Datum::Int4(part * 100)).collect(),
            ..ColumnStatistics::default()
        }
    }

    #[test]
    fn common_values_and_the_histogram_tell_parts() {
        let own = statistics();
        let known = Known { values: 102.0, kind: TypeKind::Int4, statistics: Some(&own) };
        let is = |part: f64, wanted: f64| assert!((part - wanted).abs() < 1e-6, "{part} is not {wanted}");
        is(known.equal(Some(&Datum::Int4(7))), 0.3);
        is(known.equal(Some(&Datum::Int4(8))), 0.005);
        is(known.equal(None), 0.9 / 102.0);
        is(known.beyond(&Datum::Int4(250), true).unwrap(), 0.3 + 0.5 * 0.25);
        is(known.beyond(&Datum::Int4(250), false).unwrap(), 0.1 + 0.5 * 0.75);
        is(known.beyond(&Datum::Int8(-5), true).unwrap(), 0.0);
        is(known.beyond(&Datum::Int4(5000), true).unwrap(), 0.9);
    }

    #[test]
    fn blanks_at_the_end_of_char_do_not_count() {
        let own = ColumnStatistics { common: vec![(Datum::text("a  "), 0.5)], ..ColumnStatistics::default() };
        let known = |kind| Known { values: 10.0, kind, statistics: Some(&own) };
        assert_eq!(known(TypeKind::Bpchar).equal(Some(&Datum::text("a"))), 0.5);
        assert!(known(TypeKind::Text).equal(Some(&Datum::text("a"))) < 0.1);
    }

    #[test]
    fn infinite_values_leave_a_part() {
        let bounds = [f64::NEG_INFINITY, f64::INFINITY, f64::NAN].map(Datum::Float8);
        for value in [f64::NEG_INFINITY, 0.0, f64::INFINITY, f64::NAN].map(Datum::Float8) {
            let part = below(TypeKind::Float8, &bounds, &value).unwrap();
            assert!((0.0..=1.0).contains(&part), "{part} below {value:?}");
        }
    }

    #[test]
    fn a_cast_that_changes_values_says_nothing_of_the_column() {
        let cast = |from: TypeKind, to: TypeKind| Expr::Cast {
            operand: Box::new(Expr::Column { index: 3, ty: from.into() }),
            to: to.into(),
            explicit: true,
        };
        assert_eq!(column_of(&cast(TypeKind::Int4, TypeKind::Int8)), Some(3));
        assert_eq!(column_of(&cast(TypeKind::Varchar, TypeKind::Text)), Some(3));
        assert_eq!(column_of(&cast(TypeKind::Timestamp, TypeKind::Date)), None);
        assert_eq!(column_of(&cast(TypeKind::Text, TypeKind::Int4)), None);
    }
}
