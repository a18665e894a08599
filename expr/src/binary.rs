//! Values in PostgreSQL's binary format, by their form: what most types' send and receive functions do.
//!
//! ```text
//! bool 1 byte; int2, int4, int8, oid, float4, float8: big-endian; text and its like: UTF-8; bytea: the bytes
//! date: i32 days; timestamp, timestamptz: i64 microseconds; both since 2000-01-01
//! jsonb: the version (1), and its text
//! interval: i64 microseconds, i32 days, i32 months; uuid: 16 bytes
//! numeric: u16 number of digits, i16 weight of the first, u16 sign (0, 0x4000 minus, 0xc000 NaN, 0xd000 Infinity,
//!          0xf000 -Infinity), u16 display scale, then the digits, base 10000, as u16
//! ```

use bigdecimal::num_bigint::BigInt;
use bytes::Bytes;

use crate::datum::{Datum, Interval, Numeric};
use crate::error::{Error, Result};
use crate::json;
use crate::types::Form;

/// What stands before the text of a jsonb.
const JSON_VERSION: u8 = 1;

/// Bytes yet to be read.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// 22P03 if anything is left.
    pub(crate) fn end(&self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(malformed("incorrect binary data format")) }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or_else(too_short)?;
        self.0 = tail;
        Ok(*head)
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length).ok_or_else(too_short)?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn i16(&mut self) -> Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn text(&mut self) -> Result<Datum> {
        let bytes = self.rest();
        let text = std::str::from_utf8(bytes).map_err(|error| invalid_utf8(bytes, error.valid_up_to()))?;
        match text.bytes().any(|byte| byte == 0) {
            true => Err(Error::new("22021", "invalid byte sequence for encoding \"UTF8\": 0x00")),
            false => Ok(Datum::text(text)),
        }
    }
}

fn too_short() -> Error {
    Error::new("08P01", "insufficient data left in message")
}

pub(crate) fn malformed(message: &str) -> Error {
    Error::new("22P03", message)
}

fn invalid_utf8(bytes: &[u8], at: usize) -> Error {
    let shown: Vec<String> = bytes.iter().skip(at).take(2).map(|byte| format!("0x{byte:02x}")).collect();
    Error::new("22021", format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")))
}

/// Reads a value of this form.
pub(crate) fn receive(input: &mut Input<'_>, form: Form) -> Result<Datum> {
    Ok(match form {
        Form::Bool => Datum::Bool(input.array::<1>()? != [0]),
        Form::Int2 => Datum::Int2(input.i16()?),
        Form::Int4 => Datum::Int4(input.i32()?),
        Form::Int8 => Datum::Int8(input.i64()?),
        Form::Oid => Datum::Oid(input.array().map(u32::from_be_bytes)?),
        Form::Float4 => Datum::Float4(input.array().map(f32::from_be_bytes)?),
        Form::Float8 => Datum::Float8(input.array().map(f64::from_be_bytes)?),
        Form::Numeric => Datum::Numeric(recv_numeric(input)?),
        Form::Text => return receive_text(input),
        Form::Bytea => Datum::Bytea(Bytes::copy_from_slice(input.rest())),
        Form::Date => {
            let days = input.i32()?;
            if crate::calendar::date_is_finite(days) {
                crate::calendar::checked_date(i64::from(days))?;
            }
            Datum::Date(days)
        }
        Form::Timestamp => Datum::Timestamp(recv_timestamp(input)?),
        Form::Timestamptz => Datum::Timestamptz(recv_timestamp(input)?),
        Form::Interval => {
            let (micros, days, months) = (input.i64()?, input.i32()?, input.i32()?);
            Datum::Interval(Interval { months, days, micros })
        }
        Form::Uuid => Datum::Uuid(input.array()?),
        Form::Json => {
            if input.array()? != [JSON_VERSION] {
                return Err(Error::new("XX000", "unsupported jsonb version number"));
            }
            let text = input.text()?;
            Datum::json(json::parse(text.as_str().unwrap_or_default())?)
        }
        Form::Array | Form::Record | Form::Keyed | Form::None => {
            return Err(Error::internal("a value of no form of its own"));
        }
    })
}

/// Reads text.
pub(crate) fn receive_text(input: &mut Input<'_>) -> Result<Datum> {
    input.text()
}

/// Reads "char": of a zero, nothing.
pub(crate) fn receive_byte(input: &mut Input<'_>) -> Result<Datum> {
    match input.0 {
        [0] => {
            input.rest();
            Ok(Datum::text(""))
        }
        _ => input.text(),
    }
}

/// Writes "char".
pub(crate) fn send_first_byte(value: &Datum, out: &mut Vec<u8>) {
    out.push(value.as_str().map_or(0, crate::text::character_byte));
}

fn recv_timestamp(input: &mut Input<'_>) -> Result<i64> {
    let micros = input.i64()?;
    match crate::calendar::timestamp_is_finite(micros) {
        true => crate::calendar::checked_timestamp(Some(micros)),
        false => Ok(micros),
    }
}

fn recv_numeric(input: &mut Input<'_>) -> Result<Numeric> {
    let count = u16::from_be_bytes(input.array()?);
    let weight = i64::from(input.i16()?);
    let sign = u16::from_be_bytes(input.array()?);
    let scale = i64::from(u16::from_be_bytes(input.array()?));
    let mut digits = BigInt::default();
    for _ in 0..count {
        let digit = u16::from_be_bytes(input.array()?);
        if digit > 9999 {
            return Err(malformed("invalid digit in external \"numeric\" value"));
        }
        digits = digits * 10_000u32 + digit;
    }
    let negative = match sign {
        0 => false,
        0x4000 => true,
        0xc000 => return Ok(Numeric::NaN),
        0xd000 => return Ok(Numeric::Infinity),
        0xf000 => return Ok(Numeric::NegativeInfinity),
        _ => return Err(malformed("invalid sign in external \"numeric\" value")),
    };
    if scale > 0x3fff {
        return Err(malformed("invalid scale in external \"numeric\" value"));
    }
    // The digits count 10000^(weight - count + 1); cut off or filled up to the scale.
    let exponent = (weight - i64::from(count) + 1) * 4;
    let shift = exponent + scale;
    let unscaled = match u32::try_from(shift) {
        Ok(shift) => digits * BigInt::from(10).pow(shift),
        Err(_) => digits / BigInt::from(10).pow(u32::try_from(-shift).unwrap_or(0)),
    };
    Ok(Numeric::finite(if negative { -unscaled } else { unscaled }, scale))
}

/// Appends a value as all of its form are written.
pub(crate) fn send(value: &Datum, out: &mut Vec<u8>) {
    match value {
        Datum::Null | Datum::Array(_) | Datum::Record(_) | Datum::Keyed(_) => {}
        Datum::Bool(v) => out.push(u8::from(*v)),
        Datum::Int2(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Int4(v) | Datum::Date(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Int8(v) | Datum::Timestamp(v) | Datum::Timestamptz(v) => {
            out.extend_from_slice(&v.to_be_bytes())
        }
        Datum::Oid(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Float4(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Float8(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Numeric(v) => send_numeric(v, out),
        Datum::Text(v) => out.extend_from_slice(v.as_bytes()),
        Datum::Bytea(v) => out.extend_from_slice(v),
        Datum::Interval(v) => {
            out.extend_from_slice(&v.micros.to_be_bytes());
            out.extend_from_slice(&v.days.to_be_bytes());
            out.extend_from_slice(&v.months.to_be_bytes());
        }
        Datum::Uuid(v) => out.extend_from_slice(v),
        Datum::Json(v) => {
            out.push(JSON_VERSION);
            let mut text = String::new();
            json::write::compact(v, &mut text);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

fn send_numeric(value: &Numeric, out: &mut Vec<u8>) {
    let special = |sign: u16, out: &mut Vec<u8>| {
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&sign.to_be_bytes());
        out.extend_from_slice(&[0; 2]);
    };
    match value {
        Numeric::NaN => return special(0xc000, out),
        Numeric::Infinity => return special(0xd000, out),
        Numeric::NegativeInfinity => return special(0xf000, out),
        Numeric::Small { .. } | Numeric::Large(_) => {}
    }
    let (text, scale) = (value.digits(), value.scale().unwrap_or(0));
    // Zeros in front and behind, so that groups of four digits begin at the decimal point.
    let behind = (4 - scale.rem_euclid(4)) % 4;
    let mut digits: Vec<u8> = text.bytes().map(|digit| digit - b'0').collect();
    digits.extend(std::iter::repeat_n(0, behind as usize));
    let front = (4 - digits.len() % 4) % 4;
    let mut groups: Vec<u16> = Vec::with_capacity(digits.len() / 4 + 1);
    let padded: Vec<u8> = std::iter::repeat_n(0, front).chain(digits).collect();
    groups.extend(
        padded.chunks(4).map(|four| four.iter().fold(0u16, |value, digit| value * 10 + u16::from(*digit))),
    );
    let mut weight = groups.len() as i64 - (scale + behind) / 4 - 1;
    let zeros = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..zeros);
    weight -= zeros as i64;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    let sign: u16 = if value.signum() < 0 { 0x4000 } else { 0 };
    out.extend_from_slice(&(groups.len() as u16).to_be_bytes());
    out.extend_from_slice(&(weight as i16).to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&(scale as u16).to_be_bytes());
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
}
