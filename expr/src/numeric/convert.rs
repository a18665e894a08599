//! numeric from and to binary numbers.

use bigdecimal::ToPrimitive;

use super::{Numeric, Parts};
use crate::error::{Error, Result};

/// The nearest integer, half away from zero. 22003 in the words of the target's type, 0A000 for NaN and infinities.
pub fn to_i64_rounded(value: &Numeric, type_name: &str) -> Result<i64> {
    match value {
        Numeric::NaN => Err(Error::unsupported(format!("cannot convert NaN to {type_name}"))),
        Numeric::Infinity | Numeric::NegativeInfinity => {
            Err(Error::unsupported(format!("cannot convert infinity to {type_name}")))
        }
        Numeric::Small { unscaled, scale: 0 } => Ok(*unscaled),
        Numeric::Small { .. } | Numeric::Large(_) => {
            let rounded = Parts::of(value).and_then(|parts| parts.rescaled(0).unscaled.to_i64());
            rounded.ok_or_else(|| Error::out_of_range(type_name))
        }
    }
}

/// The nearest double; infinite beyond their range.
pub fn to_f64(value: &Numeric) -> f64 {
    match value {
        Numeric::NaN => f64::NAN,
        Numeric::Infinity => f64::INFINITY,
        Numeric::NegativeInfinity => f64::NEG_INFINITY,
        Numeric::Small { .. } | Numeric::Large(_) => {
            let mut text = String::new();
            super::write(value, &mut text);
            text.parse().unwrap_or(f64::NAN)
        }
    }
}

/// A double with its 15 decimal digits that surely survive.
pub fn from_f64(value: f64) -> Result<Numeric> {
    from_float(value, 15)
}

/// A real with its 6 decimal digits that surely survive.
pub fn from_f32(value: f32) -> Result<Numeric> {
    from_float(f64::from(value), 6)
}

fn from_float(value: f64, digits: usize) -> Result<Numeric> {
    if value.is_nan() {
        return Ok(Numeric::NaN);
    }
    if value.is_infinite() {
        return Ok(if value > 0.0 { Numeric::Infinity } else { Numeric::NegativeInfinity });
    }
    let text = format!("{value:.*e}", digits - 1);
    // As printf's %g: no trailing zeros.
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = match mantissa.contains('.') {
        true => mantissa.trim_end_matches('0').trim_end_matches('.'),
        false => mantissa,
    };
    super::parse(&format!("{mantissa}e{exponent}"))
}
