//! numeric as text.

use bigdecimal::num_bigint::BigInt;

use super::{DIGITS_INTEGRAL_MAX, Numeric, Parts, SCALE_MAX, overflow};
use crate::error::{Error, Result};

/// Reads a number as `numeric_in` does: `12.50`, `1e-5`, `NaN`, `-Infinity`, blanks around. Errors: 22P02, 22003.
pub fn parse(text: &str) -> Result<Numeric> {
    let invalid = || Error::invalid_text("numeric", text);
    let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let (negative, unsigned) = match trimmed.as_bytes().first() {
        Some(b'-') => (true, trimmed.get(1..).unwrap_or_default()),
        Some(b'+') => (false, trimmed.get(1..).unwrap_or_default()),
        _ => (false, trimmed),
    };
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return special(trimmed, negative, unsigned).ok_or_else(invalid);
    }
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => {
            let digits = unsigned.get(at + 1..).unwrap_or_default();
            (unsigned.get(..at).unwrap_or_default(), parse_exponent(digits).ok_or_else(invalid)??)
        }
        None => (unsigned, 0),
    };
    let (integral, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if integral.len() + fraction.len() == 0 || !all_digits(integral) || !all_digits(fraction) {
        return Err(invalid());
    }
    let mut digits = String::with_capacity(1 + integral.len() + fraction.len());
    digits.push_str(integral);
    digits.push_str(fraction);
    let scale = fraction.len() as i64 - exponent;
    if integral.trim_start_matches('0').len() as i64 + exponent > DIGITS_INTEGRAL_MAX
        || scale > SCALE_MAX + 1000
    {
        return Err(overflow());
    }
    let unscaled = match digits.parse::<i64>() {
        Ok(small) => BigInt::from(small),
        Err(_) => digits.parse::<BigInt>().map_err(|_| invalid())?,
    };
    let parts = Parts { unscaled: if negative { -unscaled } else { unscaled }, scale };
    if scale < 0 { parts.rescaled(0).finish() } else { parts.finish() }
}

fn special(trimmed: &str, negative: bool, unsigned: &str) -> Option<Numeric> {
    if trimmed.eq_ignore_ascii_case("nan") {
        return Some(Numeric::NaN);
    }
    let infinite = unsigned.eq_ignore_ascii_case("infinity") || unsigned.eq_ignore_ascii_case("inf");
    infinite.then_some(if negative { Numeric::NegativeInfinity } else { Numeric::Infinity })
}

/// The exponent behind `e`; None if it is none, an error if it is beyond the format.
fn parse_exponent(text: &str) -> Option<Result<i64>> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let exponent: i64 = text.parse().unwrap_or(i64::MAX);
    Some(if exponent.abs() >= i64::from(i32::MAX) / 2 { Err(overflow()) } else { Ok(exponent) })
}

/// Appends a number with all digits of its scale.
pub fn write(value: &Numeric, out: &mut String) {
    match value {
        Numeric::NaN => return out.push_str("NaN"),
        Numeric::Infinity => return out.push_str("Infinity"),
        Numeric::NegativeInfinity => return out.push_str("-Infinity"),
        Numeric::Small { .. } | Numeric::Large(_) => {}
    }
    let digits = value.digits();
    if value.signum() < 0 {
        out.push('-');
    }
    let scale = value.scale().and_then(|scale| usize::try_from(scale).ok()).unwrap_or(0);
    if scale == 0 {
        return out.push_str(&digits);
    }
    match digits.len().checked_sub(scale) {
        Some(integral) if integral > 0 => {
            out.push_str(digits.get(..integral).unwrap_or_default());
            out.push('.');
            out.push_str(digits.get(integral..).unwrap_or_default());
        }
        _ => {
            out.push_str("0.");
            out.extend(std::iter::repeat_n('0', scale - digits.len()));
            out.push_str(&digits);
        }
    }
}
