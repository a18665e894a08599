//! Roots, exponentials and logarithms of numeric: computed in fixed point with digits to spare, then rounded to the
//! scale that PostgreSQL shows.

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{One, Signed, ToPrimitive, Zero};

use super::{
    Numeric, Parts, SCALE_DISPLAY_MAX, SIGNIFICANT_DIGITS_MIN, convert, divide_rounded, overflow,
    power_of_ten, quotient,
};
use crate::error::{Error, Result};

/// Digits computed beyond those shown.
const GUARD_DIGITS: i64 = 12;
/// Beyond this |ln(result)| a result cannot be represented, or is zero.
const LN_RESULT_MAX: f64 = 6000.0;
const LOG10_E: f64 = std::f64::consts::LOG10_E;

fn display_scale(significant: i64, at_least: i64) -> i64 {
    significant.max(at_least).clamp(0, SCALE_DISPLAY_MAX)
}

/// The square root; 2201F below zero.
pub fn sqrt(value: &Numeric) -> Result<Numeric> {
    let negative = || Error::new("2201F", "cannot take square root of a negative number");
    let decimal = match value {
        Numeric::Finite(decimal) => decimal,
        Numeric::NegativeInfinity => return Err(negative()),
        other => return Ok(other.clone()),
    };
    let parts = Parts::of(decimal);
    if parts.unscaled.is_negative() {
        return Err(negative());
    }
    let weight = parts.shape().weight;
    let weight_of_root = if weight >= 0 { weight * 4 / 2 + 1 } else { 1 - (1 - weight * 4) / 2 };
    let scale = display_scale(SIGNIFICANT_DIGITS_MIN - weight_of_root, parts.scale);
    let square = &parts.unscaled * power_of_ten(2 * scale - parts.scale);
    let root = square.sqrt();
    let rounded = if &square - &root * &root > root { root + 1 } else { root };
    Parts { unscaled: rounded, scale }.finish()
}

/// e to this power.
pub fn exp(value: &Numeric) -> Result<Numeric> {
    let decimal = match value {
        Numeric::Finite(decimal) => decimal,
        Numeric::NegativeInfinity => return Ok(Numeric::from(0)),
        other => return Ok(other.clone()),
    };
    let parts = Parts::of(decimal);
    let approximate = convert::to_f64(value);
    if approximate.abs() >= LN_RESULT_MAX {
        return if approximate > 0.0 {
            Err(overflow())
        } else {
            Parts { unscaled: BigInt::zero(), scale: SCALE_DISPLAY_MAX }.finish()
        };
    }
    let weight = approximate * LOG10_E;
    let scale = display_scale(SIGNIFICANT_DIGITS_MIN - weight as i64, parts.scale);
    let digits = scale + weight.max(0.0) as i64 + GUARD_DIGITS;
    let fixed = fixed_exp(&parts.rescaled(digits).unscaled, digits);
    Parts { unscaled: fixed, scale: digits }.rescaled(scale).finish()
}

/// Checks a logarithm's argument: 2201E unless it is positive.
fn check_logarithm(value: &Numeric) -> Result<()> {
    match value.signum() {
        0 if matches!(value, Numeric::NaN) => Ok(()),
        0 => Err(Error::new("2201E", "cannot take logarithm of zero")),
        -1 => Err(Error::new("2201E", "cannot take logarithm of a negative number")),
        _ => Ok(()),
    }
}

/// The natural logarithm; 2201E unless positive.
pub fn ln(value: &Numeric) -> Result<Numeric> {
    check_logarithm(value)?;
    let Numeric::Finite(decimal) = value else { return Ok(value.clone()) };
    let parts = Parts::of(decimal);
    let scale = display_scale(SIGNIFICANT_DIGITS_MIN - ln_weight(&parts), parts.scale);
    let digits = scale + GUARD_DIGITS;
    Parts { unscaled: fixed_ln(&parts, digits), scale: digits }.rescaled(scale).finish()
}

/// The logarithm of a number to a base; 2201E unless both are positive, 22012 for the base 1.
pub fn log(base: &Numeric, value: &Numeric) -> Result<Numeric> {
    if matches!(base, Numeric::NaN) || matches!(value, Numeric::NaN) {
        return Ok(Numeric::NaN);
    }
    check_logarithm(base)?;
    check_logarithm(value)?;
    let (Numeric::Finite(base), Numeric::Finite(number)) = (base, value) else {
        return Ok(match (base.is_finite(), value.is_finite()) {
            (false, false) => Numeric::NaN,
            (false, true) => Numeric::from(0),
            _ => value.clone(),
        });
    };
    let (base, number) = (Parts::of(base), Parts::of(number));
    let weight = ln_weight(&number) - ln_weight(&base);
    let scale = display_scale(SIGNIFICANT_DIGITS_MIN - weight, base.scale.max(number.scale));
    let digits = scale + GUARD_DIGITS + ln_weight(&base).abs();
    let (ln_base, ln_number) = (fixed_ln(&base, digits), fixed_ln(&number, digits));
    if ln_base.is_zero() {
        return Err(Error::division_by_zero());
    }
    let divisor = Parts { unscaled: ln_base, scale: digits };
    quotient(&Parts { unscaled: ln_number, scale: digits }, &divisor, scale).finish()
}

/// base to an exponent; 2201F where there is no real result.
pub fn power(base: &Numeric, exponent: &Numeric) -> Result<Numeric> {
    let (base_parts, exponent_parts) = match (base, exponent) {
        (Numeric::Finite(base), Numeric::Finite(exponent)) => (Parts::of(base), Parts::of(exponent)),
        _ => return power_special(base, exponent),
    };
    if base_parts.unscaled.is_zero() && exponent_parts.unscaled.is_negative() {
        return Err(Error::new("2201F", "zero raised to a negative power is undefined"));
    }
    let truncated = exponent_parts.truncated(0);
    let integral = truncated.rescaled(exponent_parts.scale).unscaled == exponent_parts.unscaled;
    if base_parts.unscaled.is_negative() && !integral {
        return Err(Error::new(
            "2201F",
            "a negative number raised to a non-integer power yields a complex result",
        ));
    }
    if integral && let Some(small) = truncated.unscaled.to_i32() {
        return power_integral(&base_parts, small);
    }
    if base_parts.unscaled.is_zero() {
        return Parts { unscaled: BigInt::zero(), scale: SIGNIFICANT_DIGITS_MIN }.finish();
    }
    let odd = integral && (&truncated.unscaled % 2i32) != BigInt::zero();
    let positive = Parts { unscaled: base_parts.unscaled.abs(), scale: base_parts.scale };
    let ln_base = fixed_ln(&positive, 40);
    let product = Parts { unscaled: ln_base * &exponent_parts.unscaled, scale: 40 + exponent_parts.scale };
    let approximate = convert::to_f64(&Numeric::finite(product.unscaled.clone(), product.scale));
    if approximate.abs() > LN_RESULT_MAX * 1.003 {
        return match approximate > 0.0 {
            true => Err(overflow()),
            false => Parts { unscaled: BigInt::zero(), scale: SCALE_DISPLAY_MAX }.finish(),
        };
    }
    let weight = approximate * LOG10_E;
    let scale =
        display_scale(SIGNIFICANT_DIGITS_MIN - weight as i64, base_parts.scale.max(exponent_parts.scale));
    let digits = scale + weight.abs() as i64 + GUARD_DIGITS;
    let exponent_digits = exponent_parts.unscaled.magnitude().to_string().len() as i64;
    let ln_base =
        Parts { unscaled: fixed_ln(&positive, digits + exponent_digits), scale: digits + exponent_digits };
    let product = Parts {
        unscaled: ln_base.unscaled * &exponent_parts.unscaled,
        scale: ln_base.scale + exponent_parts.scale,
    };
    let result = Parts { unscaled: fixed_exp(&product.rescaled(digits).unscaled, digits), scale: digits };
    let signed = if odd && base_parts.unscaled.is_negative() { -result.unscaled } else { result.unscaled };
    Parts { unscaled: signed, scale: digits }.rescaled(scale).finish()
}

fn power_integral(base: &Parts, exponent: i32) -> Result<Numeric> {
    let scale = display_scale(SIGNIFICANT_DIGITS_MIN, base.scale);
    if exponent == 0 {
        return Parts { unscaled: BigInt::one(), scale: 0 }.rescaled(scale).finish();
    }
    if base.unscaled.is_zero() {
        return Parts { unscaled: BigInt::zero(), scale }.finish();
    }
    // How long the result would be, before it is computed.
    let base_log10 = convert::to_f64(&Numeric::finite(base.unscaled.abs(), base.scale)).log10();
    let weight = base_log10 * f64::from(exponent);
    if weight > super::DIGITS_INTEGRAL_MAX as f64 {
        return Err(overflow());
    }
    if weight + 1.0 < -(scale as f64) {
        return Parts { unscaled: BigInt::zero(), scale }.finish();
    }
    let times = exponent.unsigned_abs();
    let exact_digits = base.unscaled.bits() as f64 * f64::from(times) * std::f64::consts::LOG10_2;
    if exact_digits < 20_000.0 || (exponent > 0 && base.scale == 0) {
        let raised = Parts { unscaled: base.unscaled.pow(times), scale: base.scale * i64::from(times) };
        let result = match exponent > 0 {
            true => raised.rescaled(scale),
            false => quotient(&Parts { unscaled: BigInt::one(), scale: 0 }, &raised, scale),
        };
        return result.finish();
    }
    let digits = scale + weight.abs() as i64 + GUARD_DIGITS + 12;
    let positive = Parts { unscaled: base.unscaled.abs(), scale: base.scale };
    let product = fixed_ln(&positive, digits) * exponent;
    let result = fixed_exp(&product, digits);
    let signed = if base.unscaled.is_negative() && exponent % 2 != 0 { -result } else { result };
    Parts { unscaled: signed, scale: digits }.rescaled(scale).finish()
}

fn power_special(base: &Numeric, exponent: &Numeric) -> Result<Numeric> {
    let one = Numeric::from(1);
    let is_one = |value: &Numeric| super::cmp(value, &one).is_eq();
    if exponent.is_finite() && exponent.signum() == 0 || is_one(base) {
        return Ok(one);
    }
    if matches!(base, Numeric::NaN) || matches!(exponent, Numeric::NaN) {
        return Ok(Numeric::NaN);
    }
    if base.is_finite() && base.signum() == 0 {
        return match exponent.signum() < 0 {
            true => Err(Error::new("2201F", "zero raised to a negative power is undefined")),
            false => Ok(Numeric::from(0)),
        };
    }
    if !exponent.is_finite() {
        let magnitude = super::abs(base);
        if is_one(&magnitude) {
            return Ok(one);
        }
        let grows = super::cmp(&magnitude, &one).is_gt() == (exponent.signum() > 0);
        return Ok(if grows { Numeric::Infinity } else { Numeric::from(0) });
    }
    // The base is infinite and the exponent is not.
    if exponent.signum() < 0 {
        return Ok(Numeric::from(0));
    }
    if matches!(base, Numeric::Infinity) {
        return Ok(Numeric::Infinity);
    }
    let two = Numeric::from(2);
    if super::truncate(exponent, 0)? != *exponent {
        return Err(Error::new(
            "2201F",
            "a negative number raised to a non-integer power yields a complex result",
        ));
    }
    let odd = super::remainder(exponent, &two)?.signum() != 0;
    Ok(if odd { Numeric::NegativeInfinity } else { Numeric::Infinity })
}

/// About log10 |ln value|, as PostgreSQL estimates it.
fn ln_weight(value: &Parts) -> i64 {
    let approximate = convert::to_f64(&Numeric::finite(value.unscaled.clone(), value.scale));
    if (0.9..=1.1).contains(&approximate) {
        let distance = Parts { unscaled: &value.unscaled - power_of_ten(value.scale), scale: value.scale };
        if distance.unscaled.is_zero() {
            return 0;
        }
        let shape = distance.shape();
        return shape.weight * 4 + f64::from(shape.first).log10() as i64;
    }
    let digits = value.unscaled.magnitude().to_string();
    let leading: f64 = digits.get(..digits.len().min(17)).unwrap_or_default().parse().unwrap_or(1.0);
    let exponent = digits.len().saturating_sub(17) as f64 - value.scale as f64;
    let ln = leading.ln() + exponent * std::f64::consts::LN_10;
    if ln == 0.0 { 0 } else { ln.abs().log10() as i64 }
}

/// e to a fixed-point number with so many digits behind the point.
fn fixed_exp(value: &BigInt, digits: i64) -> BigInt {
    // Halve until small, sum the series, square back. Each squaring loses a bit: more digits meanwhile.
    let halvings = value.bits().saturating_sub(power_of_ten(digits).bits()) + 8;
    let extra = (halvings as f64 * std::f64::consts::LOG10_2) as i64 + 4;
    let one = power_of_ten(digits + extra);
    let small: BigInt = (value * power_of_ten(extra)) >> halvings;
    let mut sum = one.clone();
    let mut term = one.clone();
    let mut n = 1u32;
    loop {
        term = &term * &small / &one / n;
        if term.is_zero() || (term.is_negative() && term == BigInt::from(-1)) {
            break;
        }
        sum += &term;
        n += 1;
    }
    for _ in 0..halvings {
        sum = &sum * &sum / &one;
    }
    divide_rounded(&sum, &power_of_ten(extra))
}

/// The natural logarithm of a positive number in fixed point with so many digits behind the point.
fn fixed_ln(value: &Parts, digits: i64) -> BigInt {
    // value = m × 2^k with m near 1; ln m = 2 artanh((m - 1) / (m + 1)); ln 2 likewise.
    let digits_inner = digits + 8;
    let one = power_of_ten(digits_inner);
    let shift = value.unscaled.bits() as i64 - power_of_ten(value.scale).bits() as i64;
    let numerator = &value.unscaled * &one;
    let denominator = power_of_ten(value.scale);
    let mantissa = match shift >= 0 {
        true => numerator / (denominator << shift.unsigned_abs()),
        false => (numerator << shift.unsigned_abs()) / denominator,
    };
    let ln_mantissa = fixed_artanh_twice(&((&mantissa - &one) * &one / (&mantissa + &one)), &one);
    let ln_two = fixed_artanh_twice(&(&one / 3), &one);
    divide_rounded(&(ln_mantissa + ln_two * shift), &power_of_ten(8))
}

/// 2 artanh x in fixed point, for |x| well below 1.
fn fixed_artanh_twice(x: &BigInt, one: &BigInt) -> BigInt {
    let square = x * x / one;
    let mut power = x.clone();
    let mut sum = x.clone();
    let mut n = 3u32;
    while !power.is_zero() {
        power = &power * &square / one;
        sum += &power / n;
        n += 2;
    }
    sum * 2
}
