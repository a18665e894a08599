//! Arithmetic and mathematics of float4 and float8.

use super::arguments::{float, mismatch};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::session::SessionContext;

fn overflow() -> Error {
    Error::new("22003", "value out of range: overflow")
}

fn underflow() -> Error {
    Error::new("22003", "value out of range: underflow")
}

/// A result that may be infinite, or zero, only where its operands say so.
fn checked(result: f64, infinite_ok: bool, zero_ok: bool) -> Result<f64> {
    if result.is_infinite() && !infinite_ok {
        return Err(overflow());
    }
    if result == 0.0 && !zero_ok {
        return Err(underflow());
    }
    Ok(result)
}

fn single(result: f64, infinite_ok: bool, zero_ok: bool) -> Result<Datum> {
    checked(f64::from(result as f32), infinite_ok, zero_ok).map(|v| Datum::Float4(v as f32))
}

fn double(result: f64, infinite_ok: bool, zero_ok: bool) -> Result<Datum> {
    checked(result, infinite_ok, zero_ok).map(Datum::Float8)
}

fn either_infinite(left: f64, right: f64) -> bool {
    left.is_infinite() || right.is_infinite()
}

pub(super) fn add_f32(left: &Datum, right: &Datum) -> Result<Datum> {
    let (l, r) = (float(left)?, float(right)?);
    single(l + r, either_infinite(l, r), true)
}

pub(super) fn add_f64(left: &Datum, right: &Datum) -> Result<Datum> {
    let (l, r) = (float(left)?, float(right)?);
    double(l + r, either_infinite(l, r), true)
}

pub(super) fn subtract_f32(left: &Datum, right: &Datum) -> Result<Datum> {
    let (l, r) = (float(left)?, float(right)?);
    single(l - r, either_infinite(l, r), true)
}

pub(super) fn subtract_f64(left: &Datum, right: &Datum) -> Result<Datum> {
    let (l, r) = (float(left)?, float(right)?);
    double(l - r, either_infinite(l, r), true)
}

pub(super) fn multiply_f32(left: &Datum, right: &Datum) -> Result<Datum> {
    let (l, r) = (float(left)?, float(right)?);
    single(l * r, either_infinite(l, r), l == 0.0 || r == 0.0)
}

pub(super) fn multiply_f64(left: &Datum, right: &Datum) -> Result<Datum> {
    let (l, r) = (float(left)?, float(right)?);
    double(l * r, either_infinite(l, r), l == 0.0 || r == 0.0)
}

fn quotient(left: &Datum, right: &Datum) -> Result<(f64, bool, bool)> {
    let (l, r) = (float(left)?, float(right)?);
    if r == 0.0 && !l.is_nan() {
        return Err(Error::division_by_zero());
    }
    Ok((l / r, l.is_infinite(), l == 0.0 || r.is_infinite()))
}

pub(super) fn divide_f32(left: &Datum, right: &Datum) -> Result<Datum> {
    let (result, infinite_ok, zero_ok) = quotient(left, right)?;
    single(result, infinite_ok, zero_ok)
}

pub(super) fn divide_f64(left: &Datum, right: &Datum) -> Result<Datum> {
    let (result, infinite_ok, zero_ok) = quotient(left, right)?;
    double(result, infinite_ok, zero_ok)
}

/// Applies to either width.
fn map(value: &Datum, of_single: fn(f32) -> f32, of_double: fn(f64) -> f64) -> Result<Datum> {
    match value {
        Datum::Float4(v) => Ok(Datum::Float4(of_single(*v))),
        Datum::Float8(v) => Ok(Datum::Float8(of_double(*v))),
        _ => Err(mismatch()),
    }
}

pub(super) fn negate(value: &Datum) -> Result<Datum> {
    map(value, |v| -v, |v| -v)
}

pub(super) fn abs(value: &Datum) -> Result<Datum> {
    map(value, f32::abs, f64::abs)
}

macro_rules! simple {
    ($($name:ident: $function:expr;)*) => {$(
        pub(super) fn $name(value: &Datum) -> Result<Datum> {
            let function: fn(f64) -> f64 = $function;
            Ok(Datum::Float8(function(float(value)?)))
        }
    )*};
}

simple! {
    round: f64::round_ties_even;
    truncate: f64::trunc;
    ceil: f64::ceil;
    floor: f64::floor;
    sign: |v| if v > 0.0 { 1.0 } else if v < 0.0 { -1.0 } else { 0.0 };
    cbrt: f64::cbrt;
    atan: f64::atan;
    tanh: f64::tanh;
    asinh: f64::asinh;
    radians: f64::to_radians;
}

macro_rules! finite_argument {
    ($($name:ident: $function:expr;)*) => {$(
        pub(super) fn $name(value: &Datum) -> Result<Datum> {
            let v = float(value)?;
            if v.is_infinite() {
                return Err(Error::new("22003", "input is out of range"));
            }
            let function: fn(f64) -> f64 = $function;
            Ok(Datum::Float8(function(v)))
        }
    )*};
}

finite_argument! {
    sin: f64::sin;
    cos: f64::cos;
    tan: f64::tan;
    cot: |v| 1.0 / v.tan();
}

/// Applies a function whose argument must lie in an interval; NaN goes through.
fn within(value: &Datum, least: f64, greatest: f64, function: fn(f64) -> f64) -> Result<Datum> {
    let v = float(value)?;
    if v < least || v > greatest {
        return Err(Error::new("22003", "input is out of range"));
    }
    Ok(Datum::Float8(function(v)))
}

pub(super) fn asin(value: &Datum) -> Result<Datum> {
    within(value, -1.0, 1.0, f64::asin)
}

pub(super) fn acos(value: &Datum) -> Result<Datum> {
    within(value, -1.0, 1.0, f64::acos)
}

pub(super) fn acosh(value: &Datum) -> Result<Datum> {
    // Beyond the root of what doubles hold twice the value is under the logarithm.
    within(value, 1.0, f64::INFINITY, |v| if v > 1e150 { v.ln() + std::f64::consts::LN_2 } else { v.acosh() })
}

pub(super) fn atanh(value: &Datum) -> Result<Datum> {
    within(value, -1.0, 1.0, f64::atanh)
}

pub(super) fn sinh(value: &Datum) -> Result<Datum> {
    Ok(Datum::Float8(float(value)?.sinh()))
}

pub(super) fn cosh(value: &Datum) -> Result<Datum> {
    Ok(Datum::Float8(float(value)?.cosh()))
}

pub(super) fn degrees(value: &Datum) -> Result<Datum> {
    let v = float(value)?;
    double(v.to_degrees(), v.is_infinite(), v == 0.0)
}

pub(super) fn atan2(y: &Datum, x: &Datum) -> Result<Datum> {
    Ok(Datum::Float8(float(y)?.atan2(float(x)?)))
}

pub(super) fn sqrt(value: &Datum) -> Result<Datum> {
    let v = float(value)?;
    match v < 0.0 {
        true => Err(Error::new("2201F", "cannot take square root of a negative number")),
        false => Ok(Datum::Float8(v.sqrt())),
    }
}

pub(super) fn exp(value: &Datum) -> Result<Datum> {
    let v = float(value)?;
    double(v.exp(), v.is_infinite(), v == f64::NEG_INFINITY)
}

fn logarithm(value: &Datum, function: fn(f64) -> f64) -> Result<Datum> {
    let v = float(value)?;
    if v == 0.0 {
        return Err(Error::new("2201E", "cannot take logarithm of zero"));
    }
    if v < 0.0 {
        return Err(Error::new("2201E", "cannot take logarithm of a negative number"));
    }
    Ok(Datum::Float8(function(v)))
}

pub(super) fn ln(value: &Datum) -> Result<Datum> {
    logarithm(value, f64::ln)
}

pub(super) fn log10(value: &Datum) -> Result<Datum> {
    logarithm(value, f64::log10)
}

pub(super) fn power(base: &Datum, exponent: &Datum) -> Result<Datum> {
    let (base, exponent) = (float(base)?, float(exponent)?);
    if base == 0.0 && exponent < 0.0 {
        return Err(Error::new("2201F", "zero raised to a negative power is undefined"));
    }
    if base < 0.0 && exponent.is_finite() && exponent.fract() != 0.0 {
        return Err(Error::new(
            "2201F",
            "a negative number raised to a non-integer power yields a complex result",
        ));
    }
    let result = base.powf(exponent);
    double(result, either_infinite(base, exponent), base == 0.0 || either_infinite(base, exponent))
}

pub(super) fn pi(_: &[Datum]) -> Result<Datum> {
    Ok(Datum::Float8(std::f64::consts::PI))
}

pub(super) fn random(_: &[Datum], session: &SessionContext) -> Result<Datum> {
    Ok(Datum::Float8(session.random.next()))
}

/// Answers nothing: the numbers of `random` follow from the seed.
pub(super) fn setseed(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    let seed = args.first().map(float).transpose()?.unwrap_or_default();
    if !(-1.0..=1.0).contains(&seed) {
        // Six digits, as C's %g has.
        let mut shown = String::new();
        crate::text::write_f64(seed, -9, &mut shown);
        let message = format!("setseed parameter {shown} is out of allowed range [-1,1]");
        return Err(Error::new("22023", message));
    }
    session.random.seed(seed);
    Ok(Datum::text(""))
}
