//! Booleans, integers and floats as text.

use std::fmt::Write;
use std::num::IntErrorKind;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Blanks as C's isspace has them.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b')
}

fn parse_integer<T: FromStr<Err = std::num::ParseIntError>>(text: &str, type_name: &str) -> Result<T> {
    trim(text).parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => {
            Error::new("22003", format!("value \"{text}\" is out of range for type {type_name}"))
        }
        _ => Error::invalid_text(type_name, text),
    })
}

/// Reads an int2.
pub fn parse_i16(text: &str) -> Result<i16> {
    parse_integer(text, "smallint")
}

/// Reads an int4.
pub fn parse_i32(text: &str) -> Result<i32> {
    parse_integer(text, "integer")
}

/// Reads an int8.
pub fn parse_i64(text: &str) -> Result<i64> {
    parse_integer(text, "bigint")
}

/// Reads an oid; negative numbers count down from 2^32.
pub fn parse_oid(text: &str) -> Result<u32> {
    let value: i64 = parse_integer(text, "oid")?;
    match value < 0 {
        true => i32::try_from(value).map(|negative| negative as u32).ok(),
        false => u32::try_from(value).ok(),
    }
    .ok_or_else(|| Error::new("22003", format!("value \"{text}\" is out of range for type oid")))
}

/// Appends an integer.
pub fn write_integer(value: i64, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{value}");
}

/// Reads a bool: an unambiguous beginning of true, false, yes, no, on, off, or 1 or 0.
pub fn parse_bool(text: &str) -> Result<bool> {
    let word = trim(text).to_ascii_lowercase();
    let begins = |full: &str, least: usize| word.len() >= least && full.starts_with(&word);
    if begins("true", 1) || begins("yes", 1) || begins("on", 2) || word == "1" {
        Ok(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(Error::invalid_text("boolean", text))
    }
}

/// Reads a float8.
pub fn parse_f64(text: &str) -> Result<f64> {
    let trimmed = trim(text);
    let value: f64 = trimmed.parse().map_err(|_| Error::invalid_text("double precision", text))?;
    check_float(value.is_infinite(), value == 0.0, trimmed, "double precision")?;
    Ok(value)
}

/// Reads a float4.
pub fn parse_f32(text: &str) -> Result<f32> {
    let trimmed = trim(text);
    let value: f32 = trimmed.parse().map_err(|_| Error::invalid_text("real", text))?;
    check_float(value.is_infinite(), value == 0.0, trimmed, "real")?;
    Ok(value)
}

/// Refuses what digits made infinite, and what digits other than zero made zero.
fn check_float(infinite: bool, zero: bool, text: &str, type_name: &str) -> Result<()> {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let overflow = infinite && mantissa.bytes().any(|byte| byte.is_ascii_digit());
    let underflow = zero && mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    match overflow || underflow {
        true => Err(Error::new("22003", format!("\"{text}\" is out of range for type {type_name}"))),
        false => Ok(()),
    }
}

/// Appends a float8: the shortest text that reads back, or `%.*g` with 15 + `extra_digits` digits.
pub fn write_f64(value: f64, extra_digits: i32, out: &mut String) {
    if write_special(value, out) {
        return;
    }
    match extra_digits > 0 {
        true => write_scientific(&format!("{value:e}"), 15, out),
        false => {
            let digits = (15 + extra_digits).max(1);
            write_scientific(&format!("{value:.*e}", digits as usize - 1), digits, out);
        }
    }
}

/// Appends a float4: the shortest text that reads back, or `%.*g` with 6 + `extra_digits` digits.
pub fn write_f32(value: f32, extra_digits: i32, out: &mut String) {
    if write_special(f64::from(value), out) {
        return;
    }
    match extra_digits > 0 {
        true => write_scientific(&format!("{value:e}"), 6, out),
        false => {
            let digits = (6 + extra_digits).max(1);
            write_scientific(&format!("{value:.*e}", digits as usize - 1), digits, out);
        }
    }
}

fn write_special(value: f64, out: &mut String) -> bool {
    let text = match value {
        value if value.is_nan() => "NaN",
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => return false,
    };
    out.push_str(text);
    true
}

/// Lays out `d.ddde±x` as C's `%g` does: with an exponent if that is below -4 or not below `digits_max`.
fn write_scientific(text: &str, digits_max: i32, out: &mut String) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let mut digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    digits.truncate(digits.trim_end_matches('0').len().max(1));
    out.push_str(sign);
    if exponent < -4 || exponent >= digits_max {
        let (first, rest) = digits.split_at(1);
        out.push_str(first);
        if !rest.is_empty() {
            out.push('.');
            out.push_str(rest);
        }
        out.push_str(if exponent < 0 { "e-" } else { "e+" });
        out.push_str(&format!("{:02}", exponent.abs()));
    } else if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        out.push_str(&digits);
    } else {
        let integral = exponent as usize + 1;
        match digits.split_at_checked(integral).filter(|(_, fraction)| !fraction.is_empty()) {
            Some((whole, fraction)) => {
                out.push_str(whole);
                out.push('.');
                out.push_str(fraction);
            }
            None => {
                out.push_str(&digits);
                out.extend(std::iter::repeat_n('0', integral - digits.len()));
            }
        }
    }
}
