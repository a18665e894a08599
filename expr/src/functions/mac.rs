//! Functions of hardware addresses.

use crate::datum::Datum;
use crate::error::Result;
use crate::mac::{datum, octets};

fn not<const N: usize>(value: &Datum) -> Result<Datum> {
    Ok(datum(octets::<N>(value)?.map(|octet| !octet)))
}

fn joined<const N: usize>(left: &Datum, right: &Datum, join: fn(u8, u8) -> u8) -> Result<Datum> {
    let (mut joined, right) = (octets::<N>(left)?, octets::<N>(right)?);
    joined.iter_mut().zip(right).for_each(|(left, right)| *left = join(*left, right));
    Ok(datum(joined))
}

/// The maker's three bytes, and 0.
fn truncated<const N: usize>(value: &Datum) -> Result<Datum> {
    let mut truncated = octets::<N>(value)?;
    truncated.iter_mut().skip(3).for_each(|octet| *octet = 0);
    Ok(datum(truncated))
}

pub(super) fn not_six(value: &Datum) -> Result<Datum> {
    not::<6>(value)
}

pub(super) fn not_eight(value: &Datum) -> Result<Datum> {
    not::<8>(value)
}

pub(super) fn and_six(left: &Datum, right: &Datum) -> Result<Datum> {
    joined::<6>(left, right, |left, right| left & right)
}

pub(super) fn and_eight(left: &Datum, right: &Datum) -> Result<Datum> {
    joined::<8>(left, right, |left, right| left & right)
}

pub(super) fn or_six(left: &Datum, right: &Datum) -> Result<Datum> {
    joined::<6>(left, right, |left, right| left | right)
}

pub(super) fn or_eight(left: &Datum, right: &Datum) -> Result<Datum> {
    joined::<8>(left, right, |left, right| left | right)
}

pub(super) fn truncate_six(value: &Datum) -> Result<Datum> {
    truncated::<6>(value)
}

pub(super) fn truncate_eight(value: &Datum) -> Result<Datum> {
    truncated::<8>(value)
}

/// With the seventh bit set, as IPv6 addresses are made of such an address.
pub(super) fn set_seventh_bit(value: &Datum) -> Result<Datum> {
    let [first, rest @ ..] = octets::<8>(value)?;
    let [b, c, d, e, f, g, h] = rest;
    Ok(datum([first | 2, b, c, d, e, f, g, h]))
}
