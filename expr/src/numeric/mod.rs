//! Arithmetic of numeric, with PostgreSQL's rules for the scale of results (`src/backend/utils/adt/numeric.c`).
//!
//! A finite number is an integer `unscaled` and a scale: unscaled / 10^scale. PostgreSQL decides the scale of
//! quotients by the position of the first base-10000 digit; `Shape` recovers it from decimal digits.

mod convert;
mod ordered;
mod small;
mod text;
mod transcendental;

use std::borrow::Cow;
use std::cmp::Ordering;

use bigdecimal::num_bigint::{BigInt, Sign};
use bigdecimal::{BigDecimal, Signed, ToPrimitive, Zero};

pub use crate::datum::Numeric;
use crate::error::{Error, Result};
use crate::work;

pub use convert::{from_f32, from_f64, to_f64, to_i64_rounded};
pub(crate) use ordered::{from_decimal, to_decimal};
pub use text::{parse, write};
pub use transcendental::{exp, ln, log, power, sqrt, sqrt_to_scale};

/// Results show at least so many significant digits.
const SIGNIFICANT_DIGITS_MIN: i64 = 16;
/// The greatest scale of a result that is not exact.
const SCALE_DISPLAY_MAX: i64 = 1000;
/// The greatest scale that is stored.
const SCALE_MAX: i64 = 16383;
/// The most digits before the decimal point.
const DIGITS_INTEGRAL_MAX: i64 = 131_072;

impl Numeric {
    /// A finite number.
    pub fn finite(unscaled: impl Into<BigInt>, scale: i64) -> Self {
        let unscaled = unscaled.into();
        match (unscaled.to_i64(), u16::try_from(scale)) {
            (Some(unscaled), Ok(scale)) => Numeric::Small { unscaled, scale },
            _ => Numeric::Large(Box::new(BigDecimal::new(unscaled, scale))),
        }
    }

    /// A finite number of few digits.
    pub fn small(unscaled: i64, scale: i64) -> Self {
        match u16::try_from(scale) {
            Ok(scale) => Numeric::Small { unscaled, scale },
            Err(_) => Numeric::finite(unscaled, scale),
        }
    }

    /// What its digits are as an integer, its sign included; None if it is not finite.
    pub fn unscaled(&self) -> Option<BigInt> {
        Parts::of(self).map(|parts| parts.unscaled)
    }

    /// Its digits, without sign or point; none if it is not finite.
    pub(crate) fn digits(&self) -> String {
        match self {
            Numeric::Small { unscaled, .. } => unscaled.unsigned_abs().to_string(),
            Numeric::Large(decimal) => decimal.as_bigint_and_scale().0.magnitude().to_string(),
            Numeric::NaN | Numeric::Infinity | Numeric::NegativeInfinity => String::new(),
        }
    }

    /// Its sign as -1, 0, 1; of NaN 0.
    pub fn signum(&self) -> i32 {
        match self {
            Numeric::NaN => 0,
            Numeric::Infinity => 1,
            Numeric::NegativeInfinity => -1,
            Numeric::Small { unscaled, .. } => unscaled.signum() as i32,
            Numeric::Large(decimal) => match decimal.sign() {
                Sign::Minus => -1,
                Sign::NoSign => 0,
                Sign::Plus => 1,
            },
        }
    }

    /// Whether it is neither NaN nor infinite.
    pub fn is_finite(&self) -> bool {
        matches!(self, Numeric::Small { .. } | Numeric::Large(_))
    }

    /// How many bits its digits take; 0 if it is not finite.
    pub(crate) fn bits(&self) -> u64 {
        match self {
            Numeric::Small { unscaled, .. } => u64::from(u64::BITS - unscaled.unsigned_abs().leading_zeros()),
            Numeric::Large(decimal) => decimal.as_bigint_and_scale().0.bits(),
            _ => 0,
        }
    }

    /// The number of digits behind the point that it shows; None if it is not finite.
    pub fn scale(&self) -> Option<i64> {
        match self {
            Numeric::Small { scale, .. } => Some(i64::from(*scale)),
            Numeric::Large(decimal) => Some(decimal.fractional_digit_count()),
            _ => None,
        }
    }
}

impl From<i64> for Numeric {
    fn from(value: i64) -> Self {
        Numeric::Small { unscaled: value, scale: 0 }
    }
}

impl PartialEq for Numeric {
    fn eq(&self, other: &Self) -> bool {
        cmp(self, other) == Ordering::Equal
    }
}

impl Eq for Numeric {}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Numeric {
    fn cmp(&self, other: &Self) -> Ordering {
        cmp(self, other)
    }
}

/// A finite number taken apart.
#[derive(Debug, Clone)]
struct Parts {
    unscaled: BigInt,
    scale: i64,
}

impl Parts {
    /// Those of a number; None if it is not finite.
    fn of(number: &Numeric) -> Option<Self> {
        match number {
            Numeric::Small { unscaled, scale } => {
                Some(Self { unscaled: BigInt::from(*unscaled), scale: i64::from(*scale) })
            }
            Numeric::Large(decimal) => {
                let (unscaled, scale) = decimal.as_bigint_and_exponent();
                Some(Self { unscaled, scale })
            }
            Numeric::NaN | Numeric::Infinity | Numeric::NegativeInfinity => None,
        }
    }

    /// The value with another scale, rounded half away from zero.
    fn rescaled(&self, scale: i64) -> Self {
        let unscaled = match scale.cmp(&self.scale) {
            Ordering::Equal => self.unscaled.clone(),
            Ordering::Greater => &self.unscaled * power_of_ten(scale - self.scale),
            Ordering::Less if self.is_below(scale) => BigInt::zero(),
            Ordering::Less => divide_rounded(&self.unscaled, &power_of_ten(self.scale - scale)),
        };
        Self { unscaled, scale }
    }

    /// Whether it is surely less than half of the last place of a scale.
    fn is_below(&self, scale: i64) -> bool {
        let digits = (self.unscaled.bits() as f64 * std::f64::consts::LOG10_2) as i64 + 1;
        digits < self.scale - scale
    }

    /// The value with another scale, cut off towards zero.
    fn truncated(&self, scale: i64) -> Self {
        match scale < self.scale {
            true if self.is_below(scale) => Self { unscaled: BigInt::zero(), scale },
            true => Self { unscaled: &self.unscaled / power_of_ten(self.scale - scale), scale },
            false => self.rescaled(scale),
        }
    }

    /// A result, checked against the limits of the format.
    fn finish(self) -> Result<Numeric> {
        let parts = if self.scale > SCALE_MAX { self.rescaled(SCALE_MAX) } else { self };
        // Bits bound digits: look closer only at what may be too long.
        let digits_max = (parts.unscaled.bits() as f64 * std::f64::consts::LOG10_2) as i64 + 1 - parts.scale;
        if digits_max > DIGITS_INTEGRAL_MAX
            && parts.unscaled.magnitude().to_string().len() as i64 - parts.scale > DIGITS_INTEGRAL_MAX
        {
            return Err(overflow());
        }
        Ok(Numeric::finite(parts.unscaled, parts.scale))
    }

    fn shape(&self) -> Shape {
        if self.unscaled.is_zero() {
            return Shape { weight: 0, first: 0 };
        }
        let digits = self.unscaled.magnitude().to_string();
        let exponent = digits.len() as i64 - 1 - self.scale;
        let take = (exponent.rem_euclid(4) + 1) as usize;
        let first = digits
            .bytes()
            .chain(std::iter::repeat(b'0'))
            .take(take)
            .fold(0, |value, digit| value * 10 + i32::from(digit - b'0'));
        Shape { weight: exponent.div_euclid(4), first }
    }
}

/// Where PostgreSQL's base-10000 form of a number begins.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// The first digit counts 10000^weight.
    weight: i64,
    /// The first digit, 1..=9999; 0 of zero.
    first: i32,
}

/// 10^exponent; 1 if the exponent is negative.
pub(crate) fn power_of_ten(exponent: i64) -> BigInt {
    match u32::try_from(exponent).unwrap_or(0) {
        small @ 0..=18 => BigInt::from(10_i64.pow(small)),
        large => BigInt::from(10).pow(large),
    }
}

/// The quotient rounded half away from zero; the divisor is not zero.
fn divide_rounded(dividend: &BigInt, divisor: &BigInt) -> BigInt {
    let quotient = dividend / divisor;
    let remainder = dividend - &quotient * divisor;
    if remainder.magnitude() * 2u32 < *divisor.magnitude() {
        return quotient;
    }
    match dividend.is_negative() == divisor.is_negative() {
        true => quotient + 1,
        false => quotient - 1,
    }
}

fn overflow() -> Error {
    Error::new("22003", "value overflows numeric format")
}

/// PostgreSQL's order: -Infinity, numbers, Infinity, NaN.
pub fn cmp(left: &Numeric, right: &Numeric) -> Ordering {
    fn class(value: &Numeric) -> u8 {
        match value {
            Numeric::NegativeInfinity => 0,
            Numeric::Small { .. } | Numeric::Large(_) => 1,
            Numeric::Infinity => 2,
            Numeric::NaN => 3,
        }
    }
    if let Some((left, right, _)) = small::aligned(left, right) {
        return left.cmp(&right);
    }
    match (decimal(left), decimal(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => class(left).cmp(&class(right)),
    }
}

/// A finite number as a `BigDecimal`.
fn decimal(value: &Numeric) -> Option<Cow<'_, BigDecimal>> {
    match value {
        Numeric::Small { unscaled, scale } => {
            Some(Cow::Owned(BigDecimal::new(BigInt::from(*unscaled), i64::from(*scale))))
        }
        Numeric::Large(decimal) => Some(Cow::Borrowed(decimal.as_ref())),
        Numeric::NaN | Numeric::Infinity | Numeric::NegativeInfinity => None,
    }
}

/// -value
pub fn negate(value: &Numeric) -> Numeric {
    match value {
        Numeric::NaN => Numeric::NaN,
        Numeric::Infinity => Numeric::NegativeInfinity,
        Numeric::NegativeInfinity => Numeric::Infinity,
        Numeric::Small { unscaled, scale } => match unscaled.checked_neg() {
            Some(unscaled) => Numeric::Small { unscaled, scale: *scale },
            None => Numeric::finite(-BigInt::from(*unscaled), i64::from(*scale)),
        },
        Numeric::Large(decimal) => {
            let (unscaled, scale) = decimal.as_bigint_and_exponent();
            Numeric::finite(-unscaled, scale)
        }
    }
}

/// |value|
pub fn abs(value: &Numeric) -> Numeric {
    if value.signum() < 0 { negate(value) } else { value.clone() }
}

/// left + right
pub fn add(left: &Numeric, right: &Numeric) -> Result<Numeric> {
    use Numeric::{Infinity, NaN, NegativeInfinity};
    if let Some(sum) = small::add(left, right) {
        return Ok(sum);
    }
    if let Some((left, right)) = both_finite(left, right) {
        let scale = left.scale.max(right.scale);
        let unscaled = left.rescaled(scale).unscaled + right.rescaled(scale).unscaled;
        return Parts { unscaled, scale }.finish();
    }
    Ok(match (left, right) {
        (NaN, _) | (_, NaN) | (Infinity, NegativeInfinity) | (NegativeInfinity, Infinity) => NaN,
        (Infinity, _) | (_, Infinity) => Infinity,
        _ => NegativeInfinity,
    })
}

/// left - right
pub fn subtract(left: &Numeric, right: &Numeric) -> Result<Numeric> {
    add(left, &negate(right))
}

/// left × right
pub fn multiply(left: &Numeric, right: &Numeric) -> Result<Numeric> {
    if let Some(product) = small::multiply(left, right) {
        return Ok(product);
    }
    if let Some((left, right)) = both_finite(left, right) {
        return Parts { unscaled: left.unscaled * right.unscaled, scale: left.scale + right.scale }.finish();
    }
    match (left, right) {
        (Numeric::NaN, _) | (_, Numeric::NaN) => Ok(Numeric::NaN),
        _ => Ok(infinity_of_sign(left.signum() * right.signum())),
    }
}

fn infinity_of_sign(sign: i32) -> Numeric {
    match sign {
        0 => Numeric::NaN,
        1 => Numeric::Infinity,
        _ => Numeric::NegativeInfinity,
    }
}

/// What a quotient with a part that is not finite is; None if both are finite. 22012 for a divisor of zero.
fn quotient_special(left: &Numeric, right: &Numeric) -> Result<Option<Numeric>> {
    if matches!(left, Numeric::NaN) || matches!(right, Numeric::NaN) {
        return Ok(Some(Numeric::NaN));
    }
    if right.signum() == 0 {
        return Err(Error::division_by_zero());
    }
    Ok(match (left.is_finite(), right.is_finite()) {
        (true, true) => None,
        (false, false) => Some(Numeric::NaN),
        (false, true) => Some(infinity_of_sign(left.signum() * right.signum())),
        (true, false) => Some(Numeric::from(0)),
    })
}

fn both_finite(left: &Numeric, right: &Numeric) -> Option<(Parts, Parts)> {
    Parts::of(left).zip(Parts::of(right))
}

/// The scale that a quotient gets: at least sixteen significant digits, at least the operands' scales.
fn quotient_scale(left: &Parts, right: &Parts) -> i64 {
    let (dividend, divisor) = (left.shape(), right.shape());
    let mut weight = dividend.weight - divisor.weight;
    if dividend.first <= divisor.first {
        weight -= 1;
    }
    (SIGNIFICANT_DIGITS_MIN - weight * 4).max(left.scale).max(right.scale).clamp(0, SCALE_DISPLAY_MAX)
}

/// left / right
pub fn divide(left: &Numeric, right: &Numeric) -> Result<Numeric> {
    if let Some(special) = quotient_special(left, right)? {
        return Ok(special);
    }
    let Some((left, right)) = both_finite(left, right) else { return Ok(Numeric::NaN) };
    let scale = quotient_scale(&left, &right);
    quotient(&left, &right, scale).finish()
}

/// The quotient rounded to a scale.
fn quotient(left: &Parts, right: &Parts, scale: i64) -> Parts {
    let shift = scale - left.scale + right.scale;
    let unscaled = match shift >= 0 {
        true => divide_rounded(&(&left.unscaled * power_of_ten(shift)), &right.unscaled),
        false => divide_rounded(&left.unscaled, &(&right.unscaled * power_of_ten(-shift))),
    };
    Parts { unscaled, scale }
}

/// left / right without what is behind the point.
pub fn divide_truncated(left: &Numeric, right: &Numeric) -> Result<Numeric> {
    if let Some(special) = quotient_special(left, right)? {
        return Ok(special);
    }
    let Some((left, right)) = both_finite(left, right) else { return Ok(Numeric::NaN) };
    let scale = left.scale.max(right.scale);
    let unscaled = left.rescaled(scale).unscaled / right.rescaled(scale).unscaled;
    Parts { unscaled, scale: 0 }.finish()
}

/// The remainder, with the dividend's sign.
pub fn remainder(left: &Numeric, right: &Numeric) -> Result<Numeric> {
    if matches!(left, Numeric::NaN) || matches!(right, Numeric::NaN) {
        return Ok(Numeric::NaN);
    }
    if right.signum() == 0 {
        return Err(Error::division_by_zero());
    }
    match both_finite(left, right) {
        Some((left, right)) => {
            let scale = left.scale.max(right.scale);
            let unscaled = left.rescaled(scale).unscaled % right.rescaled(scale).unscaled;
            Parts { unscaled, scale }.finish()
        }
        None if left.is_finite() => Ok(left.clone()),
        None => Ok(Numeric::NaN),
    }
}

/// Applies a function of finite numbers; the others stay as they are.
fn map_finite(value: &Numeric, map: impl FnOnce(Parts) -> Parts) -> Result<Numeric> {
    match Parts::of(value) {
        Some(parts) => map(parts).finish(),
        None => Ok(value.clone()),
    }
}

/// Rounded half away from zero to so many digits behind the point; negative counts digits before it.
pub fn round(value: &Numeric, scale: i32) -> Result<Numeric> {
    // To one digit more than there may be nothing is left.
    let scale = i64::from(scale).clamp(-DIGITS_INTEGRAL_MAX - 1, SCALE_MAX);
    map_finite(value, |parts| {
        let rounded = parts.rescaled(scale);
        if scale < 0 { rounded.rescaled(0) } else { rounded }
    })
}

/// Cut off towards zero behind so many digits behind the point; negative counts digits before it.
pub fn truncate(value: &Numeric, scale: i32) -> Result<Numeric> {
    let scale = i64::from(scale).clamp(-DIGITS_INTEGRAL_MAX, SCALE_MAX);
    map_finite(value, |parts| {
        let cut = parts.truncated(scale);
        if scale < 0 { cut.rescaled(0) } else { cut }
    })
}

/// The least integer that is not below.
pub fn ceil(value: &Numeric) -> Result<Numeric> {
    map_finite(value, |parts| {
        let cut = parts.truncated(0);
        match parts.unscaled.is_positive() && cut.rescaled(parts.scale).unscaled != parts.unscaled {
            true => Parts { unscaled: cut.unscaled + 1, scale: 0 },
            false => cut,
        }
    })
}

/// The greatest integer that is not above.
pub fn floor(value: &Numeric) -> Result<Numeric> {
    Ok(negate(&ceil(&negate(value))?))
}

/// The number without trailing zeros behind the point.
pub fn trim_scale(value: &Numeric) -> Result<Numeric> {
    map_finite(value, |parts| parts.rescaled(min_scale_of(&parts)))
}

/// The least scale that holds the number exactly; None if it is not finite.
pub fn min_scale(value: &Numeric) -> Option<i64> {
    Parts::of(value).map(|parts| min_scale_of(&parts))
}

fn min_scale_of(parts: &Parts) -> i64 {
    if parts.unscaled.is_zero() {
        return 0;
    }
    let digits = parts.unscaled.magnitude().to_string();
    let zeros = digits.len() - digits.trim_end_matches('0').len();
    (parts.scale - zeros as i64).max(0)
}

/// n!; 22003 below zero and where the result would be beyond the format.
pub fn factorial(n: i64) -> Result<Numeric> {
    if n < 0 {
        return Err(Error::new("22003", "factorial of a negative number is undefined"));
    }
    if n > 32_177 {
        return Err(overflow());
    }
    let mut product = BigInt::from(1);
    for factor in 1..=n {
        work::pass(product.bits())?;
        product *= factor;
    }
    Parts { unscaled: product, scale: 0 }.finish()
}

/// The greatest common divisor, or the least common multiple.
pub fn gcd_lcm(left: &Numeric, right: &Numeric, multiple: bool) -> Result<Numeric> {
    let Some((left, right)) = both_finite(left, right) else { return Ok(Numeric::NaN) };
    let scale = left.scale.max(right.scale);
    let (left, right) = (left.rescaled(scale).unscaled, right.rescaled(scale).unscaled);
    let (mut a, mut b) = (left.abs(), right.abs());
    while !b.is_zero() {
        work::pass(a.bits().saturating_add(b.bits()))?;
        let rest = &a % &b;
        a = std::mem::replace(&mut b, rest);
    }
    if multiple {
        a = if a.is_zero() { a } else { (left.abs() / a) * right.abs() };
    }
    Parts { unscaled: a, scale }.finish()
}

/// Fits a number to numeric(precision, scale). 22003 with PostgreSQL's detail if it does not.
pub fn fit(value: Numeric, precision: i32, scale: i32) -> Result<Numeric> {
    let unrepresentable = |limit: String| {
        Error::new("22003", "numeric field overflow")
            .with_detail(format!("A field with precision {precision}, scale {scale} {limit}."))
    };
    if matches!(value, Numeric::NaN) || small::fits(&value, precision, scale) {
        return Ok(value);
    }
    let Some(parts) = Parts::of(&value) else {
        return Err(unrepresentable("cannot hold an infinite value".to_owned()));
    };
    let parts = parts.rescaled(i64::from(scale));
    let digits = if parts.unscaled.is_zero() { 0 } else { parts.unscaled.magnitude().to_string().len() };
    if digits as i64 > i64::from(precision) {
        let exponent = precision - scale;
        let limit = if exponent == 0 { "1".to_owned() } else { format!("10^{exponent}") };
        return Err(unrepresentable(format!("must round to an absolute value less than {limit}")));
    }
    if scale < 0 { parts.rescaled(0).finish() } else { parts.finish() }
}
