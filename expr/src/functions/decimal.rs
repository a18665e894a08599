//! The functions and operators of numeric, over [`crate::numeric`].

use super::arguments::{exactly, int4, integer, mismatch, numeric as number};
use crate::datum::{Datum, Numeric};
use crate::error::Result;
use crate::numeric;

macro_rules! unary {
    ($($name:ident: $function:expr;)*) => {$(
        pub(super) fn $name(value: &Datum) -> Result<Datum> {
            let function: fn(&Numeric) -> Result<Numeric> = $function;
            function(number(value)?).map(Datum::Numeric)
        }
    )*};
}

unary! {
    negate: |v| Ok(numeric::negate(v));
    abs: |v| Ok(numeric::abs(v));
    ceil: numeric::ceil;
    floor: numeric::floor;
    round: |v| numeric::round(v, 0);
    truncate: |v| numeric::truncate(v, 0);
    sqrt: numeric::sqrt;
    exp: numeric::exp;
    ln: numeric::ln;
    log10: |v| numeric::log(&Numeric::from(10), v);
    trim_scale: numeric::trim_scale;
    sign: |v| Ok(if matches!(v, Numeric::NaN) { Numeric::NaN } else { Numeric::from(i64::from(v.signum())) });
}

macro_rules! binary {
    ($($name:ident: $function:expr;)*) => {$(
        pub(super) fn $name(left: &Datum, right: &Datum) -> Result<Datum> {
            let function: fn(&Numeric, &Numeric) -> Result<Numeric> = $function;
            function(number(left)?, number(right)?).map(Datum::Numeric)
        }
    )*};
}

binary! {
    add: numeric::add;
    subtract: numeric::subtract;
    multiply: numeric::multiply;
    divide: numeric::divide;
    divide_truncated: numeric::divide_truncated;
    remainder: numeric::remainder;
    power: numeric::power;
    log: numeric::log;
    gcd: |a, b| numeric::gcd_lcm(a, b, false);
    lcm: |a, b| numeric::gcd_lcm(a, b, true);
}

pub(super) fn round_to(value: &Datum, scale: &Datum) -> Result<Datum> {
    numeric::round(number(value)?, int4(scale)?).map(Datum::Numeric)
}

pub(super) fn truncate_to(value: &Datum, scale: &Datum) -> Result<Datum> {
    numeric::truncate(number(value)?, int4(scale)?).map(Datum::Numeric)
}

pub(super) fn scale(value: &Datum) -> Result<Datum> {
    Ok(number(value)?.scale().map(|scale| scale as i32).into())
}

pub(super) fn min_scale(value: &Datum) -> Result<Datum> {
    Ok(numeric::min_scale(number(value)?).map(|scale| scale as i32).into())
}

pub(super) fn factorial(value: &Datum) -> Result<Datum> {
    numeric::factorial(integer(value)?).map(Datum::Numeric)
}

/// The bucket, of so many of equal width between two bounds, that a number falls into.
pub(super) fn width_bucket(args: &[Datum]) -> Result<Datum> {
    let invalid = |message: &str| Err(crate::error::Error::new("2201G", message));
    let [value, low, high, count] = exactly(args)?;
    let count = i64::from(int4(count)?);
    if count <= 0 {
        return invalid("count must be greater than zero");
    }
    let as_number = |value: &Datum| match value {
        Datum::Float8(v) => numeric::parse(&format!("{v}")),
        Datum::Numeric(v) => Ok(v.clone()),
        _ => Err(mismatch()),
    };
    let (value, low, high) = (as_number(value)?, as_number(low)?, as_number(high)?);
    if matches!(value, Numeric::NaN) || matches!(low, Numeric::NaN) || matches!(high, Numeric::NaN) {
        return invalid("operand, lower bound, and upper bound cannot be NaN");
    }
    if !low.is_finite() || !high.is_finite() {
        return invalid("lower and upper bounds must be finite");
    }
    let (order, below, above) = (low.cmp(&high), value.cmp(&low), value.cmp(&high));
    let (before, after) = match order {
        std::cmp::Ordering::Equal => return invalid("lower bound cannot equal upper bound"),
        std::cmp::Ordering::Less => (below.is_lt(), above.is_ge()),
        std::cmp::Ordering::Greater => (below.is_gt(), above.is_le()),
    };
    if before || after {
        let bucket = if before { 0 } else { count + 1 };
        return i32::try_from(bucket)
            .map(Datum::Int4)
            .map_err(|_| crate::error::Error::out_of_range("integer"));
    }
    let offset = numeric::multiply(&numeric::subtract(&value, &low)?, &Numeric::from(count))?;
    let place = numeric::divide_truncated(&offset, &numeric::subtract(&high, &low)?)?;
    Ok(Datum::Int4(numeric::to_i64_rounded(&place, "integer")? as i32 + 1))
}
