//! Arithmetic of int2, int4 and int8. Operands may be of different widths; the result's width is the function's.

use super::arguments::{integer, mismatch};
use crate::datum::Datum;
use crate::error::{Error, Result};

fn to_i16(value: Option<i64>) -> Result<Datum> {
    let narrow = value.and_then(|value| i16::try_from(value).ok());
    narrow.map(Datum::Int2).ok_or_else(|| Error::out_of_range("smallint"))
}

fn to_i32(value: Option<i64>) -> Result<Datum> {
    let narrow = value.and_then(|value| i32::try_from(value).ok());
    narrow.map(Datum::Int4).ok_or_else(|| Error::out_of_range("integer"))
}

fn to_i64(value: Option<i64>) -> Result<Datum> {
    value.map(Datum::Int8).ok_or_else(|| Error::out_of_range("bigint"))
}

macro_rules! arithmetic {
    ($($name_i16:ident, $name_i32:ident, $name_i64:ident: $operation:ident;)*) => {$(
        pub(super) fn $name_i16(left: &Datum, right: &Datum) -> Result<Datum> {
            to_i16(integer(left)?.$operation(integer(right)?))
        }

        pub(super) fn $name_i32(left: &Datum, right: &Datum) -> Result<Datum> {
            to_i32(integer(left)?.$operation(integer(right)?))
        }

        pub(super) fn $name_i64(left: &Datum, right: &Datum) -> Result<Datum> {
            to_i64(integer(left)?.$operation(integer(right)?))
        }
    )*};
}

arithmetic! {
    add_i16, add_i32, add_i64: checked_add;
    subtract_i16, subtract_i32, subtract_i64: checked_sub;
    multiply_i16, multiply_i32, multiply_i64: checked_mul;
}

fn divisor(value: &Datum) -> Result<i64> {
    match integer(value)? {
        0 => Err(Error::division_by_zero()),
        divisor => Ok(divisor),
    }
}

pub(super) fn divide_i16(left: &Datum, right: &Datum) -> Result<Datum> {
    to_i16(integer(left)?.checked_div(divisor(right)?))
}

pub(super) fn divide_i32(left: &Datum, right: &Datum) -> Result<Datum> {
    to_i32(integer(left)?.checked_div(divisor(right)?))
}

pub(super) fn divide_i64(left: &Datum, right: &Datum) -> Result<Datum> {
    to_i64(integer(left)?.checked_div(divisor(right)?))
}

/// An integer of the same width as `like`.
fn as_wide_as(like: &Datum, value: Option<i64>) -> Result<Datum> {
    match like {
        Datum::Int2(_) => to_i16(value),
        Datum::Int4(_) => to_i32(value),
        Datum::Int8(_) => to_i64(value),
        _ => Err(mismatch()),
    }
}

pub(super) fn remainder(left: &Datum, right: &Datum) -> Result<Datum> {
    as_wide_as(left, Some(integer(left)?.wrapping_rem(divisor(right)?)))
}

pub(super) fn negate(value: &Datum) -> Result<Datum> {
    as_wide_as(value, integer(value)?.checked_neg())
}

pub(super) fn identity(value: &Datum) -> Result<Datum> {
    Ok(value.clone())
}

pub(super) fn abs(value: &Datum) -> Result<Datum> {
    as_wide_as(value, integer(value)?.checked_abs())
}

pub(super) fn and(left: &Datum, right: &Datum) -> Result<Datum> {
    as_wide_as(left, Some(integer(left)? & integer(right)?))
}

pub(super) fn or(left: &Datum, right: &Datum) -> Result<Datum> {
    as_wide_as(left, Some(integer(left)? | integer(right)?))
}

pub(super) fn xor(left: &Datum, right: &Datum) -> Result<Datum> {
    as_wide_as(left, Some(integer(left)? ^ integer(right)?))
}

pub(super) fn not(value: &Datum) -> Result<Datum> {
    as_wide_as(value, Some(!integer(value)?))
}

/// Shifts by the count modulo the width, as the machine does (of int2 in 32 bits).
pub(super) fn shift_left(value: &Datum, count: &Datum) -> Result<Datum> {
    let count = integer(count)? as u32;
    match value {
        Datum::Int2(v) => Ok(Datum::Int2(i32::from(*v).wrapping_shl(count) as i16)),
        Datum::Int4(v) => Ok(Datum::Int4(v.wrapping_shl(count))),
        Datum::Int8(v) => Ok(Datum::Int8(v.wrapping_shl(count))),
        _ => Err(mismatch()),
    }
}

pub(super) fn shift_right(value: &Datum, count: &Datum) -> Result<Datum> {
    let count = integer(count)? as u32;
    match value {
        Datum::Int2(v) => Ok(Datum::Int2(i32::from(*v).wrapping_shr(count) as i16)),
        Datum::Int4(v) => Ok(Datum::Int4(v.wrapping_shr(count))),
        Datum::Int8(v) => Ok(Datum::Int8(v.wrapping_shr(count))),
        _ => Err(mismatch()),
    }
}

fn gcd_of(left: i64, right: i64) -> u64 {
    let (mut a, mut b) = (left.unsigned_abs(), right.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

pub(super) fn gcd(left: &Datum, right: &Datum) -> Result<Datum> {
    as_wide_as(left, i64::try_from(gcd_of(integer(left)?, integer(right)?)).ok())
}

pub(super) fn lcm(left: &Datum, right: &Datum) -> Result<Datum> {
    let (a, b) = (integer(left)?, integer(right)?);
    let multiple = match gcd_of(a, b) {
        0 => Some(0),
        gcd => (a.unsigned_abs() / gcd).checked_mul(b.unsigned_abs()).and_then(|lcm| i64::try_from(lcm).ok()),
    };
    as_wide_as(left, multiple)
}

pub(super) fn to_hex(value: &Datum) -> Result<Datum> {
    match value {
        Datum::Int4(v) => Ok(Datum::from(format!("{v:x}"))),
        Datum::Int8(v) => Ok(Datum::from(format!("{v:x}"))),
        _ => Err(mismatch()),
    }
}
