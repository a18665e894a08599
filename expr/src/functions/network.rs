//! Functions of network addresses.

use super::arguments::{int4, integer};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::network::Network;

fn invalid(message: impl Into<String>) -> Error {
    Error::new("22023", message)
}

fn out_of_range() -> Error {
    Error::new("22003", "result is out of range")
}

fn written(value: &Datum, write: fn(Network, &mut String)) -> Result<Datum> {
    let mut out = String::new();
    write(Network::of(value)?, &mut out);
    Ok(Datum::from(out))
}

pub(super) fn abbreviate_inet(value: &Datum) -> Result<Datum> {
    written(value, Network::write_inet)
}

pub(super) fn abbreviate_cidr(value: &Datum) -> Result<Datum> {
    written(value, Network::write_abbreviated)
}

/// The text with the bits of the mask, also where they are all.
pub(super) fn text(value: &Datum) -> Result<Datum> {
    written(value, Network::write_cidr)
}

pub(super) fn host(value: &Datum) -> Result<Datum> {
    Ok(Datum::from(Network::of(value)?.host()))
}

pub(super) fn family(value: &Datum) -> Result<Datum> {
    Ok(Datum::Int4(i32::from(Network::of(value)?.family())))
}

pub(super) fn mask_length(value: &Datum) -> Result<Datum> {
    Ok(Datum::Int4(i32::from(Network::of(value)?.bits())))
}

pub(super) fn broadcast(value: &Datum) -> Result<Datum> {
    let network = Network::of(value)?;
    Ok(network.with_number(network.number() | network.host_mask()).to_datum())
}

pub(super) fn network(value: &Datum) -> Result<Datum> {
    Ok(Network::of(value)?.network().to_datum())
}

pub(super) fn net_mask(value: &Datum) -> Result<Datum> {
    let network = Network::of(value)?;
    Ok(network.with_number(!network.host_mask()).alone().to_datum())
}

pub(super) fn host_mask(value: &Datum) -> Result<Datum> {
    let network = Network::of(value)?;
    Ok(network.with_number(network.host_mask()).alone().to_datum())
}

/// With another mask; -1 is the longest.
fn masked(value: &Datum, bits: &Datum) -> Result<Network> {
    let network = Network::of(value)?;
    let bits = int4(bits)?;
    let masked = match bits {
        -1 => Some(network.alone()),
        bits => u8::try_from(bits).ok().and_then(|bits| network.with_bits(bits)),
    };
    masked.ok_or_else(|| invalid(format!("invalid mask length: {bits}")))
}

pub(super) fn set_mask_of_inet(value: &Datum, bits: &Datum) -> Result<Datum> {
    Ok(masked(value, bits)?.to_datum())
}

pub(super) fn set_mask_of_cidr(value: &Datum, bits: &Datum) -> Result<Datum> {
    Ok(masked(value, bits)?.network().to_datum())
}

pub(super) fn is_same_family(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(Datum::Bool(Network::of(left)?.is_alike(Network::of(right)?)))
}

/// The smallest network that holds both.
pub(super) fn merge(left: &Datum, right: &Datum) -> Result<Datum> {
    let (left, right) = (Network::of(left)?, Network::of(right)?);
    let bits = left.common_bits(right).min(left.bits()).min(right.bits());
    let merged = if left.is_alike(right) { left.with_bits(bits) } else { None };
    let merged = merged.ok_or_else(|| invalid("cannot merge addresses from different families"))?;
    Ok(merged.network().to_datum())
}

pub(super) fn is_within(left: &Datum, right: &Datum) -> Result<Datum> {
    let (inner, outer) = (Network::of(left)?, Network::of(right)?);
    Ok(Datum::Bool(outer.contains(inner) && outer.bits() < inner.bits()))
}

pub(super) fn is_within_or_same(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(Datum::Bool(Network::of(right)?.contains(Network::of(left)?)))
}

pub(super) fn contains(left: &Datum, right: &Datum) -> Result<Datum> {
    is_within(right, left)
}

pub(super) fn contains_or_same(left: &Datum, right: &Datum) -> Result<Datum> {
    is_within_or_same(right, left)
}

pub(super) fn overlaps(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(Datum::Bool(Network::of(left)?.overlaps(Network::of(right)?)))
}

pub(super) fn not(value: &Datum) -> Result<Datum> {
    let network = Network::of(value)?;
    Ok(network.with_number(!network.number()).to_datum())
}

/// Both addresses joined bit by bit, in the longer of the masks.
fn joined(left: &Datum, right: &Datum, name: &str, join: fn(u128, u128) -> u128) -> Result<Datum> {
    let (left, right) = (Network::of(left)?, Network::of(right)?);
    let masked = if left.is_alike(right) { left.with_bits(left.bits().max(right.bits())) } else { None };
    let masked = masked.ok_or_else(|| invalid(format!("cannot {name} inet values of different sizes")))?;
    Ok(masked.with_number(join(left.number(), right.number())).to_datum())
}

pub(super) fn and(left: &Datum, right: &Datum) -> Result<Datum> {
    joined(left, right, "AND", |left, right| left & right)
}

pub(super) fn or(left: &Datum, right: &Datum) -> Result<Datum> {
    joined(left, right, "OR", |left, right| left | right)
}

fn moved(network: Network, by: i128) -> Result<Datum> {
    let number = network.number().checked_add_signed(by).filter(|number| *number <= network.all_ones());
    Ok(network.with_number(number.ok_or_else(out_of_range)?).to_datum())
}

pub(super) fn plus(network: &Datum, by: &Datum) -> Result<Datum> {
    moved(Network::of(network)?, i128::from(integer(by)?))
}

pub(super) fn plus_to(by: &Datum, network: &Datum) -> Result<Datum> {
    plus(network, by)
}

pub(super) fn minus(network: &Datum, by: &Datum) -> Result<Datum> {
    moved(Network::of(network)?, -i128::from(integer(by)?))
}

/// How far addresses are apart.
pub(super) fn between(left: &Datum, right: &Datum) -> Result<Datum> {
    let (left, right) = (Network::of(left)?, Network::of(right)?);
    if !left.is_alike(right) {
        return Err(invalid("cannot subtract inet values of different sizes"));
    }
    let distance = left.number().checked_signed_diff(right.number());
    distance.and_then(|distance| i64::try_from(distance).ok()).map(Datum::Int8).ok_or_else(out_of_range)
}
