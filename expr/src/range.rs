//! How far values are apart: whether one lies within an offset of another, for frames of windows.
//!
//! As PostgreSQL's support functions of btree (`in_range`) do it: beyond the end of a type there is nothing, so that no sum
//! overflows.

use std::cmp::Ordering;

use jiff::tz::TimeZone;

use crate::calendar::{interval, zoned_time::ZonedTime};
use crate::datum::{Datum, Interval, Numeric};
use crate::error::{Error, Result};
use crate::numeric;
use crate::session::SessionContext;
use crate::types::TypeKind;

/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// On which side of a value an end of a range lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// So far below it.
    Below,
    /// So far above it.
    Above,
}

/// The types that an offset of values of this type may have; none if there is no distance between such values.
pub fn offset_types(of: TypeKind) -> &'static [TypeKind] {
    match of {
        TypeKind::Int2 | TypeKind::Int4 => &[TypeKind::Int2, TypeKind::Int4, TypeKind::Int8],
        TypeKind::Int8 => &[TypeKind::Int8],
        TypeKind::Float4 | TypeKind::Float8 => &[TypeKind::Float8],
        TypeKind::Numeric => &[TypeKind::Numeric],
        TypeKind::Date
        | TypeKind::Time
        | TypeKind::Timetz
        | TypeKind::Timestamp
        | TypeKind::Timestamptz
        | TypeKind::Interval => &[TypeKind::Interval],
        _ => &[],
    }
}

/// How `value` stands to what lies `offset` to one side of `base`. None of them is NULL.
///
/// # Errors
/// 22013 for an offset below zero, 22008 for a time that does not exist.
pub fn compare_to_end(
    value: &Datum,
    base: &Datum,
    offset: &Datum,
    side: Side,
    session: &SessionContext,
) -> Result<Ordering> {
    if is_negative(offset) {
        return Err(Error::new("22013", "invalid preceding or following size in window function"));
    }
    match (value, base, offset) {
        (Datum::Numeric(value), Datum::Numeric(base), Datum::Numeric(offset)) => {
            numbers(value, base, offset, side)
        }
        (_, _, Datum::Float8(offset)) => match (float(value), float(base)) {
            (Some(value), Some(base)) => Ok(floats(value, base, *offset, side)),
            _ => Err(mismatch()),
        },
        (_, _, Datum::Interval(offset)) => times(value, base, *offset, side, &session.time_zone),
        _ => match (value.as_i64(), base.as_i64(), offset.as_i64()) {
            (Some(value), Some(base), Some(offset)) => {
                let (base, offset) = (i128::from(base), i128::from(offset));
                let end = if side == Side::Below { base - offset } else { base + offset };
                Ok(i128::from(value).cmp(&end))
            }
            _ => Err(mismatch()),
        },
    }
}

fn mismatch() -> Error {
    Error::internal("a range of values of another type")
}

fn is_negative(offset: &Datum) -> bool {
    match offset {
        Datum::Numeric(offset) => matches!(offset, Numeric::NaN) || offset.signum() < 0,
        Datum::Float8(offset) => offset.is_nan() || *offset < 0.0,
        Datum::Interval(offset) => offset.span_micros() < 0,
        offset => offset.as_i64().is_some_and(|offset| offset < 0),
    }
}

fn float(value: &Datum) -> Option<f64> {
    match value {
        Datum::Float4(value) => Some(f64::from(*value)),
        Datum::Float8(value) => Some(*value),
        _ => None,
    }
}

/// NaN is alike to itself alone, and above everything else.
fn floats(value: f64, base: f64, offset: f64, side: Side) -> Ordering {
    match (value.is_nan(), base.is_nan()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let below = side == Side::Below;
    // As far from an infinity as the other one: everything is within that.
    if offset.is_infinite() && base.is_infinite() && (base > 0.0) == below {
        return Ordering::Equal;
    }
    let end = if below { base - offset } else { base + offset };
    value.partial_cmp(&end).unwrap_or(Ordering::Equal)
}

fn numbers(value: &Numeric, base: &Numeric, offset: &Numeric, side: Side) -> Result<Ordering> {
    match (matches!(value, Numeric::NaN), matches!(base, Numeric::NaN)) {
        (true, true) => return Ok(Ordering::Equal),
        (true, false) => return Ok(Ordering::Greater),
        (false, true) => return Ok(Ordering::Less),
        (false, false) => {}
    }
    let below = side == Side::Below;
    if !offset.is_finite() && !base.is_finite() && (base.signum() > 0) == below {
        return Ok(Ordering::Equal);
    }
    let end = if below { numeric::subtract(base, offset)? } else { numeric::add(base, offset)? };
    Ok(numeric::cmp(value, &end))
}

fn times(value: &Datum, base: &Datum, offset: Interval, side: Side, zone: &TimeZone) -> Result<Ordering> {
    let signed = if side == Side::Below { interval::negate(offset)? } else { offset };
    match (value, base) {
        (Datum::Date(value), Datum::Date(base)) => {
            let end = interval::add_to_timestamp(midnight(*base), signed)?;
            Ok(midnight(*value).cmp(&end))
        }
        (Datum::Timestamp(value), Datum::Timestamp(base)) => {
            Ok(value.cmp(&interval::add_to_timestamp(*base, signed)?))
        }
        (Datum::Timestamptz(value), Datum::Timestamptz(base)) => {
            Ok(value.cmp(&interval::add_to_timestamptz(*base, signed, zone)?))
        }
        // A time of day: of the offset only what is no day counts, and there is no midnight to pass.
        (Datum::Int8(value), Datum::Int8(base)) => {
            Ok(i128::from(*value).cmp(&(i128::from(*base) + i128::from(signed.micros))))
        }
        // Where the times are alike the zones are compared, as they are without an offset.
        (Datum::Bytea(_), Datum::Bytea(_)) => {
            let (value, base) = (ZonedTime::of(value)?, ZonedTime::of(base)?);
            let end = i128::from(base.universal()) + i128::from(signed.micros);
            Ok(i128::from(value.universal()).cmp(&end).then(base.offset.cmp(&value.offset)))
        }
        (Datum::Interval(value), Datum::Interval(base)) => {
            Ok(value.span_micros().cmp(&interval::add(*base, signed)?.span_micros()))
        }
        _ => Err(mismatch()),
    }
}

/// The beginning of a day; the infinities stay.
fn midnight(days: i32) -> i64 {
    match days {
        i32::MIN => i64::MIN,
        i32::MAX => i64::MAX,
        days => i64::from(days).saturating_mul(DAY_MICROS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(value: Datum, base: Datum, offset: Datum, side: Side) -> Ordering {
        compare_to_end(&value, &base, &offset, side, &SessionContext::default()).unwrap()
    }

    #[test]
    fn ends_beyond_a_type_are_beyond_all_of_its_values() {
        let max = || Datum::Int8(i64::MAX);
        assert_eq!(compared(max(), max(), Datum::Int8(1), Side::Above), Ordering::Less);
        let min = || Datum::Int4(i32::MIN);
        assert_eq!(compared(min(), min(), Datum::Int4(1), Side::Below), Ordering::Greater);
    }

    #[test]
    fn offsets_are_not_negative() {
        for offset in [Datum::Int4(-1), Datum::Float8(f64::NAN), Datum::Numeric(Numeric::NaN)] {
            let base = match offset {
                Datum::Float8(_) => Datum::Float8(1.0),
                Datum::Numeric(_) => Datum::Numeric(Numeric::from(1)),
                _ => Datum::Int4(1),
            };
            let refused =
                compare_to_end(&base, &base, &offset, Side::Below, &SessionContext::default()).unwrap_err();
            assert_eq!(refused.sqlstate, "22013");
        }
    }
}
