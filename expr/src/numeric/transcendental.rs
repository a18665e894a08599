//! Roots, exponentials and logarithms of numeric: computed in fixed point with digits to spare, then rounded to the
//! scale that PostgreSQL shows.

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{One, Signed, ToPrimitive, Zero};

use super::{
    Numeric, Parts, SCALE_DISPLAY_MAX, SIGNIFICANT_DIGITS_MIN, both_finite, convert, divide_rounded,
    overflow, power_of_ten, quotient,
};
use crate::error::{Error, Result};
use crate::work;

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
    let Some(parts) = Parts::of(value) else {
        return if matches!(value, Numeric::NegativeInfinity) { Err(negative()) } else { Ok(value.clone()) };
    };
    if parts.unscaled.is_negative() {
        return Err(negative());
    }
    let weight = parts.shape().weight;
    let weight_of_root = if weight >= 0 { weight * 4 / 2 + 1 } else { 1 - (1 - weight * 4) / 2 };
    let scale = display_scale(SIGNIFICANT_DIGITS_MIN - weight_of_root, parts.scale);
    root(&parts, scale).finish()
}

/// The square root of a number that is not negative, with so many digits behind the point, at least half as many as the
/// number has.
pub fn sqrt_to_scale(value: &Numeric, scale: i64) -> Result<Numeric> {
    match Parts::of(value) {
        Some(parts) => root(&parts, scale).finish(),
        None => Ok(value.clone()),
    }
}

fn root(parts: &Parts, scale: i64) -> Parts {
    let square = &parts.unscaled * power_of_ten(2 * scale - parts.scale);
    let root = square.sqrt();
    let rounded = if &square - &root * &root > root { root + 1 } else { root };
    Parts { unscaled: rounded, scale }
}

/// e to this power.
pub fn exp(value: &Numeric) -> Result<Numeric> {
    let Some(parts) = Parts::of(value) else {
        let is_nothing = matches!(value, Numeric::NegativeInfinity);
        return Ok(if is_nothing { Numeric::from(0) } else { value.clone() });
    };
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
    let bits = bits_of(scale + weight.max(0.0) as i64 + GUARD_DIGITS);
    from_fixed(&fixed_exp(&to_fixed(&parts, bits), bits)?, bits, scale).finish()
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
    let Some(parts) = Parts::of(value) else { return Ok(value.clone()) };
    let scale = display_scale(SIGNIFICANT_DIGITS_MIN - ln_weight(&parts), parts.scale);
    let bits = bits_of(scale + GUARD_DIGITS);
    from_fixed(&fixed_ln(&parts, bits)?, bits, scale).finish()
}

/// The logarithm of a number to a base; 2201E unless both are positive, 22012 for the base 1.
pub fn log(base: &Numeric, value: &Numeric) -> Result<Numeric> {
    if matches!(base, Numeric::NaN) || matches!(value, Numeric::NaN) {
        return Ok(Numeric::NaN);
    }
    check_logarithm(base)?;
    check_logarithm(value)?;
    let Some((base, number)) = both_finite(base, value) else {
        return Ok(match (base.is_finite(), value.is_finite()) {
            (false, false) => Numeric::NaN,
            (false, true) => Numeric::from(0),
            _ => value.clone(),
        });
    };
    let weight = ln_weight(&number) - ln_weight(&base);
    let scale = display_scale(SIGNIFICANT_DIGITS_MIN - weight, base.scale.max(number.scale));
    let bits = bits_of(scale + GUARD_DIGITS + 2 * ln_weight(&base).abs());
    let (ln_base, ln_number) = (fixed_ln(&base, bits)?, fixed_ln(&number, bits)?);
    if ln_base.is_zero() {
        return Err(Error::division_by_zero());
    }
    quotient(&Parts { unscaled: ln_number, scale: 0 }, &Parts { unscaled: ln_base, scale: 0 }, scale).finish()
}

/// base to an exponent; 2201F where there is no real result.
pub fn power(base: &Numeric, exponent: &Numeric) -> Result<Numeric> {
    let Some((base_parts, exponent_parts)) = both_finite(base, exponent) else {
        return power_special(base, exponent);
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
    // ln(result) to a few digits tells how many are needed.
    let bits = bits_of(40) + exponent_parts.unscaled.bits();
    let product =
        (fixed_ln(&positive, bits)? * &exponent_parts.unscaled) / power_of_ten(exponent_parts.scale);
    let approximate = convert::to_f64(&Numeric::finite(from_fixed(&product, bits, 20).unscaled, 20));
    if approximate.abs() > LN_RESULT_MAX * 1.003 {
        return match approximate > 0.0 {
            true => Err(overflow()),
            false => Parts { unscaled: BigInt::zero(), scale: SCALE_DISPLAY_MAX }.finish(),
        };
    }
    let weight = approximate * LOG10_E;
    let scale =
        display_scale(SIGNIFICANT_DIGITS_MIN - weight as i64, base_parts.scale.max(exponent_parts.scale));
    let bits = bits_of(scale + weight.max(0.0) as i64 + GUARD_DIGITS);
    let finer = bits + exponent_parts.unscaled.bits();
    let product =
        (fixed_ln(&positive, finer)? * &exponent_parts.unscaled) / power_of_ten(exponent_parts.scale);
    let result = fixed_exp(&(product >> exponent_parts.unscaled.bits()), bits)?;
    let signed = if odd && base_parts.unscaled.is_negative() { -result } else { result };
    from_fixed(&signed, bits, scale).finish()
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
    // Square and multiply, with no more digits than the result shows and some to spare.
    let digits = (weight.abs() as i64 + scale + GUARD_DIGITS + 10).max(40);
    let mut result = Parts { unscaled: BigInt::one(), scale: 0 };
    let mut square = Parts { unscaled: base.unscaled.clone(), scale: base.scale };
    let mut times = exponent.unsigned_abs();
    loop {
        if times & 1 == 1 {
            result = product_to_digits(&result, &square, digits)?;
        }
        times >>= 1;
        if times == 0 {
            break;
        }
        square = product_to_digits(&square, &square, digits)?;
    }
    match exponent > 0 {
        true => result.rescaled(scale).finish(),
        false => quotient(&Parts { unscaled: BigInt::one(), scale: 0 }, &result, scale).finish(),
    }
}

/// A product without the digits behind the first so many.
fn product_to_digits(left: &Parts, right: &Parts, digits: i64) -> Result<Parts> {
    work::product(left.unscaled.bits().max(right.unscaled.bits()))?;
    let product = Parts { unscaled: &left.unscaled * &right.unscaled, scale: left.scale + right.scale };
    let surplus = (product.unscaled.bits() as f64 * std::f64::consts::LOG10_2) as i64 - digits;
    Ok(match surplus > 0 {
        // The scale may become negative: the last digits of a large number.
        true => Parts { unscaled: product.unscaled / power_of_ten(surplus), scale: product.scale - surplus },
        false => product,
    })
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

/// Bits that hold so many decimal digits.
fn bits_of(digits: i64) -> u64 {
    (digits.max(0) as f64 * std::f64::consts::LOG2_10) as u64 + 4
}

/// A number in binary fixed point.
fn to_fixed(value: &Parts, bits: u64) -> BigInt {
    (&value.unscaled << bits) / power_of_ten(value.scale)
}

/// A number in binary fixed point as a decimal of so many digits behind the point.
fn from_fixed(fixed: &BigInt, bits: u64, scale: i64) -> Parts {
    let one = BigInt::one() << bits;
    Parts { unscaled: divide_rounded(&(fixed * power_of_ten(scale)), &one), scale }
}

/// e to a number in binary fixed point. The result's last bits are right if `bits` covers its integral part too.
fn fixed_exp(value: &BigInt, bits: u64) -> Result<BigInt> {
    // Halve until small, sum the series, square back. Each squaring loses a bit: more bits meanwhile.
    let halvings = bits.isqrt() + 8 + value.bits().saturating_sub(bits);
    let extra = 2 * halvings + 16;
    let working = bits + extra;
    let small: BigInt = (value << extra) >> halvings;
    let mut sum = BigInt::one() << working;
    let mut term = sum.clone();
    let mut n = 1u32;
    loop {
        work::product(working)?;
        term = ((&term * &small) >> working) / n;
        if term.magnitude().bits() <= 1 {
            break;
        }
        sum += &term;
        n += 1;
    }
    for _ in 0..halvings {
        work::product(sum.bits())?;
        sum = (&sum * &sum) >> working;
    }
    Ok(sum >> extra)
}

/// The natural logarithm of a positive number in binary fixed point.
fn fixed_ln(value: &Parts, bits: u64) -> Result<BigInt> {
    // value = m × 2^k with m near 1; ln m = 2 artanh((m - 1) / (m + 1)), and ln 2 likewise.
    let working = bits + 32;
    let one = BigInt::one() << working;
    let denominator = power_of_ten(value.scale);
    let power = value.unscaled.bits() as i64 - denominator.bits() as i64;
    let shift = working as i64 - power;
    let mantissa = match shift >= 0 {
        true => (&value.unscaled << shift.unsigned_abs()) / denominator,
        false => (&value.unscaled >> shift.unsigned_abs()) / denominator,
    };
    let ln_mantissa = twice_artanh(&(((&mantissa - &one) << working) / (&mantissa + &one)), working)?;
    let ln_two = twice_artanh(&(&one / 3), working)?;
    Ok((ln_mantissa + ln_two * power) >> 32)
}

/// 2 artanh x in binary fixed point, for |x| well below 1.
fn twice_artanh(x: &BigInt, bits: u64) -> Result<BigInt> {
    let square = (x * x) >> bits;
    let mut power = x.clone();
    let mut sum = x.clone();
    let mut n = 3u32;
    while power.magnitude().bits() > 1 {
        work::product(bits)?;
        power = (&power * &square) >> bits;
        sum += &power / n;
        n += 2;
    }
    Ok(sum * 2)
}
