//! Values in PostgreSQL's binary format: its send and receive functions of every type.
//!
//! ```text
//! bool 1 byte; int2, int4, int8, oid, float4, float8: big-endian; text and its like: UTF-8; bytea: the bytes
//! date: i32 days; timestamp, timestamptz: i64 microseconds; both since 2000-01-01
//! interval: i64 microseconds, i32 days, i32 months; uuid: 16 bytes
//! numeric: u16 number of digits, i16 weight of the first, u16 sign (0, 0x4000 minus, 0xc000 NaN, 0xd000 Infinity,
//!          0xf000 -Infinity), u16 display scale, then the digits, base 10000, as u16
//! array:   i32 dimensions, i32 whether there are NULLs, u32 element type, per dimension i32 length and i32 lower
//!          bound, then per element i32 length (-1 = NULL) and its bytes
//! ```

use bigdecimal::num_bigint::{BigInt, Sign};
use bytes::Bytes;

use crate::datum::{Datum, Interval, Numeric};
use crate::error::{Error, Result};
use crate::length;
use crate::types::{Category, Type, TypeKind};

/// Bytes yet to be read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or_else(too_short)?;
        self.0 = tail;
        Ok(*head)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length).ok_or_else(too_short)?;
        self.0 = tail;
        Ok(head)
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn i16(&mut self) -> Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn text(&mut self) -> Result<Datum> {
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

fn malformed(message: &str) -> Error {
    Error::new("22P03", message)
}

fn invalid_utf8(bytes: &[u8], at: usize) -> Error {
    let shown: Vec<String> = bytes.iter().skip(at).take(2).map(|byte| format!("0x{byte:02x}")).collect();
    Error::new("22021", format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")))
}

/// Reads a value of the type, its modifier applied as an assignment would. Errors: 22P03, 08P01, 22021.
pub fn recv(bytes: &[u8], ty: Type) -> Result<Datum> {
    let mut input = Input(bytes);
    let value = recv_kind(&mut input, ty.kind)?;
    if !input.0.is_empty() {
        return Err(malformed("incorrect binary data format"));
    }
    length::coerce(value, ty, false)
}

fn recv_kind(input: &mut Input<'_>, kind: TypeKind) -> Result<Datum> {
    Ok(match kind {
        TypeKind::Bool => Datum::Bool(input.array::<1>()? != [0]),
        TypeKind::Int2 => Datum::Int2(input.i16()?),
        TypeKind::Int4 => Datum::Int4(input.i32()?),
        TypeKind::Int8 => Datum::Int8(input.i64()?),
        TypeKind::Float4 => Datum::Float4(input.array().map(f32::from_be_bytes)?),
        TypeKind::Float8 => Datum::Float8(input.array().map(f64::from_be_bytes)?),
        TypeKind::Numeric => Datum::Numeric(recv_numeric(input)?),
        TypeKind::Bytea => Datum::Bytea(Bytes::copy_from_slice(input.rest())),
        TypeKind::Date => {
            let days = input.i32()?;
            if crate::calendar::date_is_finite(days) {
                crate::calendar::checked_date(i64::from(days))?;
            }
            Datum::Date(days)
        }
        TypeKind::Timestamp => Datum::Timestamp(recv_timestamp(input)?),
        TypeKind::Timestamptz => Datum::Timestamptz(recv_timestamp(input)?),
        TypeKind::Interval => {
            let (micros, days, months) = (input.i64()?, input.i32()?, input.i32()?);
            Datum::Interval(Interval { months, days, micros })
        }
        TypeKind::Uuid => Datum::Uuid(input.array()?),
        TypeKind::Void => {
            input.rest();
            Datum::text("")
        }
        kind if kind == TypeKind::Oid || kind.is_reg() => Datum::Oid(input.array().map(u32::from_be_bytes)?),
        kind if kind.category() == Category::Array => recv_array(input, kind)?,
        kind if kind.is_string() || matches!(kind, TypeKind::QuotedChar | TypeKind::Unknown) => {
            input.text()?
        }
        kind => {
            return Err(Error::unsupported(format!("cannot accept a value of type {}", kind.display_name())));
        }
    })
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

fn recv_array(input: &mut Input<'_>, kind: TypeKind) -> Result<Datum> {
    let element = kind.element().ok_or_else(|| malformed("wrong element type"))?;
    let (dimensions, _has_nulls) = (input.i32()?, input.i32()?);
    let oid = u32::from_be_bytes(input.array()?);
    if oid != element.oid() {
        return Err(Error::new("42804", "wrong element type"));
    }
    match dimensions {
        0 => return Ok(Datum::Array([].into())),
        1 => {}
        2..=6 => return Err(Error::unsupported("arrays of more than one dimension")),
        _ => return Err(malformed("invalid number of dimensions")),
    }
    let (count, _lower_bound) = (input.i32()?, input.i32()?);
    let count = usize::try_from(count).map_err(|_| malformed("invalid array size"))?;
    let mut items = Vec::with_capacity(count.min(input.0.len() / 4));
    for _ in 0..count {
        let length = input.i32()?;
        items.push(match usize::try_from(length) {
            Ok(length) => recv(input.take(length)?, element.into())?,
            Err(_) => Datum::Null,
        });
    }
    Ok(Datum::Array(items.into()))
}

/// Appends the value's binary form, and nothing for NULL. 0A000 for types that have none.
pub fn send(value: &Datum, ty: Type, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Datum::Null => {}
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
        Datum::Text(v) => match ty.kind {
            TypeKind::QuotedChar => out.push(v.bytes().next().unwrap_or(0)),
            _ => out.extend_from_slice(v.as_bytes()),
        },
        Datum::Bytea(v) => out.extend_from_slice(v),
        Datum::Interval(v) => {
            out.extend_from_slice(&v.micros.to_be_bytes());
            out.extend_from_slice(&v.days.to_be_bytes());
            out.extend_from_slice(&v.months.to_be_bytes());
        }
        Datum::Uuid(v) => out.extend_from_slice(v),
        Datum::Array(items) => send_array(items, ty, out)?,
    }
    Ok(())
}

fn send_numeric(value: &Numeric, out: &mut Vec<u8>) {
    let special = |sign: u16, out: &mut Vec<u8>| {
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&sign.to_be_bytes());
        out.extend_from_slice(&[0; 2]);
    };
    let decimal = match value {
        Numeric::NaN => return special(0xc000, out),
        Numeric::Infinity => return special(0xd000, out),
        Numeric::NegativeInfinity => return special(0xf000, out),
        Numeric::Finite(decimal) => decimal,
    };
    let (unscaled, scale) = decimal.as_bigint_and_scale();
    let text = unscaled.magnitude().to_string();
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
    let sign: u16 = if unscaled.sign() == Sign::Minus { 0x4000 } else { 0 };
    out.extend_from_slice(&(groups.len() as u16).to_be_bytes());
    out.extend_from_slice(&(weight as i16).to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&(scale as u16).to_be_bytes());
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

fn send_array(items: &[Datum], ty: Type, out: &mut Vec<u8>) -> Result<()> {
    let element = ty.kind.element().ok_or_else(|| Error::internal("array of a type that is none"))?;
    let has_nulls = items.iter().any(Datum::is_null);
    out.extend_from_slice(&i32::from(!items.is_empty()).to_be_bytes());
    out.extend_from_slice(&i32::from(has_nulls).to_be_bytes());
    out.extend_from_slice(&element.oid().to_be_bytes());
    if items.is_empty() {
        return Ok(());
    }
    out.extend_from_slice(&(items.len() as i32).to_be_bytes());
    out.extend_from_slice(&ty.kind.first_subscript().to_be_bytes());
    for item in items {
        if item.is_null() {
            out.extend_from_slice(&(-1i32).to_be_bytes());
            continue;
        }
        let mut bytes = Vec::new();
        send(item, element.into(), &mut bytes)?;
        out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
        out.extend_from_slice(&bytes);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::datum::arbitrary::datum_of;

    fn value() -> impl Strategy<Value = (TypeKind, Datum)> {
        prop::sample::select(vec![
            TypeKind::Bool,
            TypeKind::Int2,
            TypeKind::Int4,
            TypeKind::Int8,
            TypeKind::Oid,
            TypeKind::Float4,
            TypeKind::Float8,
            TypeKind::Numeric,
            TypeKind::Text,
            TypeKind::Bytea,
            TypeKind::Interval,
            TypeKind::Uuid,
        ])
        .prop_flat_map(|kind| (Just(kind), datum_of(kind)))
    }

    proptest! {
        #[test]
        fn binary_values_read_back((kind, value) in value()) {
            let mut bytes = Vec::new();
            send(&value, kind.into(), &mut bytes).unwrap();
            let read = recv(&bytes, kind.into()).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{value:?}"));
        }

        #[test]
        fn garbage_is_an_error_or_a_value_but_never_a_panic(
            kind in prop::sample::select(TypeKind::ALL.to_vec()), bytes in prop::collection::vec(any::<u8>(), 0..32)
        ) {
            let _ = recv(&bytes, kind.into());
        }
    }

    #[test]
    fn numeric_is_sent_as_postgresql_sends_it() {
        let mut bytes = Vec::new();
        send(
            &Datum::Numeric(crate::numeric::parse("-12345.678").unwrap()),
            TypeKind::Numeric.into(),
            &mut bytes,
        )
        .unwrap();
        assert_eq!(bytes, [0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c]);
    }

    #[test]
    fn arrays_read_back() {
        let array = Datum::Array([Datum::Int4(1), Datum::Null, Datum::Int4(3)].into());
        let mut bytes = Vec::new();
        send(&array, TypeKind::Int4Array.into(), &mut bytes).unwrap();
        let read = recv(&bytes, TypeKind::Int4Array.into()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{array:?}"));
    }
}
