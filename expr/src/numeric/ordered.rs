//! Numbers as keys hold them: without the zeros that they show behind.

use bigdecimal::num_bigint::{BigInt, Sign};
use keys::encode::decimal::Decimal;

use super::Numeric;

/// What of a number its equals have, too.
pub(crate) fn to_decimal(value: &Numeric) -> Decimal {
    match value {
        Numeric::NaN => Decimal::NaN,
        Numeric::Infinity => Decimal::Infinity,
        Numeric::NegativeInfinity => Decimal::NegativeInfinity,
        number => {
            let text = number.digits();
            let trimmed = text.trim_end_matches('0');
            Decimal::Finite {
                negative: number.signum() < 0,
                digits: trimmed.bytes().map(|digit| digit - b'0').collect(),
                exponent: i32::try_from(text.len() as i64 - number.scale().unwrap_or(0)).unwrap_or(i32::MAX),
            }
        }
    }
}

/// The number with so many digits behind the point, or else with the least that holds it.
pub(crate) fn from_decimal(value: Decimal, declared: i64) -> Numeric {
    match value {
        Decimal::NaN => Numeric::NaN,
        Decimal::Infinity => Numeric::Infinity,
        Decimal::NegativeInfinity => Numeric::NegativeInfinity,
        Decimal::Finite { negative, digits, exponent } => {
            let unscaled =
                BigInt::from_radix_be(if negative { Sign::Minus } else { Sign::Plus }, &digits, 10)
                    .unwrap_or_default();
            let least = digits.len() as i64 - i64::from(exponent);
            let scale = if digits.is_empty() { declared.max(0) } else { least.max(declared).max(0) };
            let shift = if digits.is_empty() { 0 } else { u32::try_from(scale - least).unwrap_or(0) };
            Numeric::finite(unscaled * BigInt::from(10).pow(shift), scale)
        }
    }
}
