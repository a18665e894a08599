//! UUIDs that are made (RFC 9562): by time, by name, by chance.

use std::sync::atomic::{AtomicU16, Ordering};

use super::arguments::{mismatch, text};
use super::digest::{Algorithm, digest_of};
use crate::datum::Datum;
use crate::error::Result;

/// Hundreds of nanoseconds from 1582-10-15 to 1970-01-01.
const EPOCH_TICKS: u64 = 0x01b2_1dd2_1381_4000;
/// Of the name spaces of the RFC, which differ in the fourth byte.
const NAME_SPACE: u128 = 0x6ba7_b810_9dad_11d1_80b4_00c0_4fd4_30c8;

fn name_space(number: u128) -> Datum {
    Datum::Uuid((NAME_SPACE | number << 96).to_be_bytes())
}

/// The bits that say how it was made, and by which rules it is laid out.
fn marked(mut bytes: [u8; 16], version: u8) -> Datum {
    let [_, _, _, _, _, _, high, _, variant, ..] = &mut bytes;
    *high = *high & 0x0f | version << 4;
    *variant = *variant & 0x3f | 0x80;
    Datum::Uuid(bytes)
}

pub(super) fn nil(_: &[Datum]) -> Result<Datum> {
    Ok(Datum::Uuid([0; 16]))
}

pub(super) fn dns(_: &[Datum]) -> Result<Datum> {
    Ok(name_space(0))
}

pub(super) fn url(_: &[Datum]) -> Result<Datum> {
    Ok(name_space(1))
}

pub(super) fn oid(_: &[Datum]) -> Result<Datum> {
    Ok(name_space(2))
}

pub(super) fn x500(_: &[Datum]) -> Result<Datum> {
    Ok(name_space(4))
}

pub(super) fn by_chance(_: &[Datum]) -> Result<Datum> {
    let mut bytes = [0; 16];
    env::random::fill(&mut bytes);
    Ok(marked(bytes, 4))
}

/// By the clock, and by a node that is made up anew each time: no machine tells its address.
pub(super) fn by_time(_: &[Datum]) -> Result<Datum> {
    /// Tells apart what one process makes within a microsecond.
    static TURN: AtomicU16 = AtomicU16::new(0);
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let ticks =
        env::clock::wall_us().wrapping_mul(10).wrapping_add(EPOCH_TICKS).wrapping_add(u64::from(turn % 10));
    let mut node = [0; 8];
    env::random::fill(&mut node);
    // A node that is no machine's has the bit of groups set.
    let node = u64::from_be_bytes(node) >> 16 | 0x0100_0000_0000;
    let bits = u128::from(ticks & 0xffff_ffff) << 96
        | u128::from(ticks >> 32 & 0xffff) << 80
        | u128::from(ticks >> 48 & 0x0fff) << 64
        | u128::from(turn & 0x3fff) << 48
        | u128::from(node);
    Ok(marked(bits.to_be_bytes(), 1))
}

fn by_name(space: &Datum, name: &Datum, algorithm: Algorithm, version: u8) -> Result<Datum> {
    let Datum::Uuid(space) = space else { return Err(mismatch()) };
    let digest = digest_of(algorithm, &[space.as_slice(), text(name)?.as_bytes()].concat());
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, own)| *byte = own);
    Ok(marked(bytes, version))
}

pub(super) fn by_md5(space: &Datum, name: &Datum) -> Result<Datum> {
    by_name(space, name, Algorithm::Md5, 3)
}

pub(super) fn by_sha1(space: &Datum, name: &Datum) -> Result<Datum> {
    by_name(space, name, Algorithm::Sha1, 5)
}
