//! Functions of strings of bits.

use super::arguments::{boolean, exactly, int4, integer};
use super::bytea::new_bit;
use crate::bits::Bits;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::length;
use crate::types::{Type, TypeKind};
use crate::work;

fn negative_length() -> Error {
    Error::new("22011", "negative substring length not allowed")
}

fn count(count: usize) -> Datum {
    Datum::Int4(i32::try_from(count).unwrap_or(i32::MAX))
}

pub(super) fn bit_length(value: &Datum) -> Result<Datum> {
    Ok(count(Bits::of(value)?.len()))
}

pub(super) fn octet_length(value: &Datum) -> Result<Datum> {
    Ok(count(Bits::of(value)?.byte_count()))
}

pub(super) fn ones(value: &Datum) -> Result<Datum> {
    Ok(Datum::Int8(i64::try_from(Bits::of(value)?.ones()).unwrap_or(i64::MAX)))
}

pub(super) fn and(left: &Datum, right: &Datum) -> Result<Datum> {
    Bits::of(left)?.joined(&Bits::of(right)?, "AND", |left, right| left & right)?.into_datum()
}

pub(super) fn or(left: &Datum, right: &Datum) -> Result<Datum> {
    Bits::of(left)?.joined(&Bits::of(right)?, "OR", |left, right| left | right)?.into_datum()
}

pub(super) fn xor(left: &Datum, right: &Datum) -> Result<Datum> {
    Bits::of(left)?.joined(&Bits::of(right)?, "XOR", |left, right| left ^ right)?.into_datum()
}

pub(super) fn not(value: &Datum) -> Result<Datum> {
    Bits::of(value)?.inverted().into_datum()
}

pub(super) fn shift_left(value: &Datum, by: &Datum) -> Result<Datum> {
    shifted(&Bits::of(value)?, i64::from(int4(by)?))
}

pub(super) fn shift_right(value: &Datum, by: &Datum) -> Result<Datum> {
    shifted(&Bits::of(value)?, -i64::from(int4(by)?))
}

/// To the left, or by a negative number to the right.
fn shifted(bits: &Bits, by: i64) -> Result<Datum> {
    let places = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
    if by < 0 { bits.shifted_right(places) } else { bits.shifted_left(places) }.into_datum()
}

pub(super) fn concatenate(left: &Datum, right: &Datum) -> Result<Datum> {
    Bits::of(left)?.concatenated(&Bits::of(right)?).into_datum()
}

/// The bits from one place on up to another, both counted from 1, the second not included.
fn between(bits: &Bits, start: i64, end: i64) -> Bits {
    let place = |at: i64| usize::try_from(at.max(1) - 1).unwrap_or(usize::MAX).min(bits.len());
    let from = place(start);
    bits.window(from, place(end).saturating_sub(from))
}

pub(super) fn substring(args: &[Datum]) -> Result<Datum> {
    let (value, start, end) = match args {
        [value, start] => (value, integer(start)?, i64::MAX),
        _ => {
            let [value, start, length] = exactly(args)?;
            let (start, length) = (integer(start)?, integer(length)?);
            if length < 0 {
                return Err(negative_length());
            }
            (value, start, start + length)
        }
    };
    between(&Bits::of(value)?, start, end).into_datum()
}

pub(super) fn overlay(args: &[Datum]) -> Result<Datum> {
    let (value, part, start, length) = match args {
        [value, part, start] => (value, part, start, None),
        _ => {
            let [value, part, start, length] = exactly(args)?;
            (value, part, start, Some(i64::from(int4(length)?)))
        }
    };
    let (bits, part, start) = (Bits::of(value)?, Bits::of(part)?, int4(start)?);
    if start <= 0 {
        return Err(negative_length());
    }
    let length = length.unwrap_or(part.len() as i64);
    let end = i32::try_from(i64::from(start) + length).map_err(|_| Error::out_of_range("integer"))?;
    let tail = between(&bits, i64::from(end), i64::MAX);
    between(&bits, 1, i64::from(start)).concatenated(&part).concatenated(&tail).into_datum()
}

pub(super) fn position(value: &Datum, part: &Datum) -> Result<Datum> {
    Ok(count(Bits::of(value)?.position(&Bits::of(part)?)?.map_or(0, |place| place + 1)))
}

/// The place that an index names. 2202E if there is none.
fn place(bits: &Bits, index: i32) -> Result<usize> {
    usize::try_from(index).ok().filter(|place| *place < bits.len()).ok_or_else(|| {
        let last = bits.len() as i64 - 1;
        Error::new("2202E", format!("bit index {index} out of valid range (0..{last})"))
    })
}

pub(super) fn get_bit(value: &Datum, index: &Datum) -> Result<Datum> {
    let bits = Bits::of(value)?;
    let place = place(&bits, int4(index)?)?;
    Ok(Datum::Int4(i32::from(bits.bit(place))))
}

pub(super) fn set_bit(args: &[Datum]) -> Result<Datum> {
    let [value, index, new] = exactly(args)?;
    let bits = Bits::of(value)?;
    let place = place(&bits, int4(index)?)?;
    bits.with_bit(place, new_bit(new)?).into_datum()
}

/// `bit(n, length)`: the last so many bits of an integer; one if none is asked for.
pub(super) fn of_integer(value: &Datum, length: &Datum) -> Result<Datum> {
    let length = usize::try_from(int4(length)?).unwrap_or(0).max(1);
    work::fits(length)?;
    Bits::of_integer(integer(value)?, length).into_datum()
}

/// `bit(b, length, is_explicit)`
pub(super) fn fit_bit(args: &[Datum]) -> Result<Datum> {
    fit(args, TypeKind::Bit)
}

/// `varbit(b, length, is_explicit)`
pub(super) fn fit_varbit(args: &[Datum]) -> Result<Datum> {
    fit(args, TypeKind::Varbit)
}

fn fit(args: &[Datum], kind: TypeKind) -> Result<Datum> {
    let [value, length, explicit] = exactly(args)?;
    let modifier = int4(length)?;
    work::fits(usize::try_from(modifier).unwrap_or(0))?;
    length::coerce(value.clone(), Type { kind, modifier }, boolean(explicit)?)
}
