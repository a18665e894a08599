//! Hashes of values as PostgreSQL has them (Bob Jenkins' `lookup3`), for those who take one for the key of an advisory lock or
//! divide rows by it. Nothing here is hashed by them.

use super::arguments::{boolean, date, float, integer, interval, micros, mismatch, numeric, text as text_of};
use crate::calendar::zoned_time::ZonedTime;
use crate::datum::{Datum, Numeric};
use crate::error::Result;
use crate::network::Network;
use crate::text::character_byte;

/// A hash of 64 bits by a seed. Its lower half by the seed 0 is the hash of 32 bits.
pub(super) type Hash = fn(&Datum, u64) -> Result<u64>;

/// What a state begins with, before the length is added.
const START: u32 = 0x9e37_79b9 + 3_923_095;
/// So many bytes are taken at once.
const BLOCK: usize = 12;
/// A digit of a number is four decimal ones.
const DECIMALS: usize = 4;

/// The hash of 32 bits.
pub(super) fn plain(hash: Hash, value: &Datum) -> Result<Datum> {
    Ok(Datum::Int4(hash(value, 0)? as u32 as i32))
}

/// The hash of 64 bits by a seed.
pub(super) fn seeded(hash: Hash, value: &Datum, seed: &Datum) -> Result<Datum> {
    Ok(Datum::Int8(hash(value, integer(seed)? as u64)? as i64))
}

struct State {
    a: u32,
    b: u32,
    c: u32,
}

impl State {
    fn new(length: usize, seed: u64) -> Self {
        let start = START.wrapping_add(length as u32);
        let mut state = Self { a: start, b: start, c: start };
        if seed != 0 {
            state.add([(seed >> 32) as u32, seed as u32, 0]);
            state.mix();
        }
        state
    }

    fn add(&mut self, [a, b, c]: [u32; 3]) {
        self.a = self.a.wrapping_add(a);
        self.b = self.b.wrapping_add(b);
        self.c = self.c.wrapping_add(c);
    }

    fn mix(&mut self) {
        let Self { mut a, mut b, mut c } = *self;
        a = a.wrapping_sub(c) ^ c.rotate_left(4);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(6);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(8);
        b = b.wrapping_add(a);
        a = a.wrapping_sub(c) ^ c.rotate_left(16);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(19);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(4);
        b = b.wrapping_add(a);
        *self = Self { a, b, c };
    }

    fn finish(self) -> u64 {
        let Self { mut a, mut b, mut c } = self;
        c = (c ^ b).wrapping_sub(b.rotate_left(14));
        a = (a ^ c).wrapping_sub(c.rotate_left(11));
        b = (b ^ a).wrapping_sub(a.rotate_left(25));
        c = (c ^ b).wrapping_sub(b.rotate_left(16));
        a = (a ^ c).wrapping_sub(c.rotate_left(4));
        b = (b ^ a).wrapping_sub(a.rotate_left(14));
        c = (c ^ b).wrapping_sub(b.rotate_left(24));
        u64::from(b) << 32 | u64::from(c)
    }
}

/// Up to four bytes, the lowest first.
fn word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

fn bytes(bytes: &[u8], seed: u64) -> u64 {
    let mut state = State::new(bytes.len(), seed);
    let mut blocks = bytes.chunks_exact(BLOCK);
    for block in &mut blocks {
        let (a, rest) = block.split_at(4);
        let (b, c) = rest.split_at(4);
        state.add([word(a), word(b), word(c)]);
        state.mix();
    }
    let rest = blocks.remainder();
    let (a, rest) = rest.split_at(rest.len().min(4));
    let (b, c) = rest.split_at(rest.len().min(4));
    // The lowest byte of the third is left to the length.
    state.add([word(a), word(b), word(c) << 8]);
    state.finish()
}

/// `hash_bytes_uint32`: of four bytes.
pub(super) fn number(number: u32, seed: u64) -> u64 {
    let mut state = State::new(size_of::<u32>(), seed);
    state.add([number, 0, 0]);
    state.finish()
}

/// A number of 64 bits that has 32 is hashed as that one.
fn long(long: i64, seed: u64) -> u64 {
    let high = (long >> 32) as u32;
    let high = if long < 0 { !high } else { high };
    number(long as u32 ^ high, seed)
}

/// `smallint`, `integer`, `oid`
pub(super) fn int(value: &Datum, seed: u64) -> Result<u64> {
    Ok(number(integer(value)? as u32, seed))
}

/// `boolean`
pub(super) fn truth(value: &Datum, seed: u64) -> Result<u64> {
    Ok(number(boolean(value)?.into(), seed))
}

/// `date`
pub(super) fn day(value: &Datum, seed: u64) -> Result<u64> {
    Ok(number(date(value)? as u32, seed))
}

/// `bigint`, `time`
pub(super) fn bigint(value: &Datum, seed: u64) -> Result<u64> {
    Ok(long(integer(value)?, seed))
}

/// `timestamp`
pub(super) fn timestamp(value: &Datum, seed: u64) -> Result<u64> {
    Ok(long(micros(value)?, seed))
}

/// `time with time zone`: PostgreSQL counts offsets to the west.
pub(super) fn timetz(value: &Datum, seed: u64) -> Result<u64> {
    let time = ZonedTime::of(value)?;
    Ok(long(time.local, seed) ^ number((-time.offset) as u32, seed))
}

/// `interval`: equal ones have the same length.
pub(super) fn interval_length(value: &Datum, seed: u64) -> Result<u64> {
    Ok(long(interval(value)?.span_micros() as i64, seed))
}

/// `pg_lsn`
pub(super) fn lsn(value: &Datum, seed: u64) -> Result<u64> {
    Ok(long(crate::lsn::of(value)? as i64, seed))
}

/// `real`, `double precision`
pub(super) fn real(value: &Datum, seed: u64) -> Result<u64> {
    let number = float(value)?;
    Ok(match number {
        0.0 => seed,
        _ if number.is_nan() => bytes(&f64::NAN.to_le_bytes(), seed),
        _ => bytes(&number.to_le_bytes(), seed),
    })
}

/// `numeric`: its digits of four decimals each without zeros at the ends, and where they stand.
pub(super) fn decimal(value: &Datum, seed: u64) -> Result<u64> {
    let number = numeric(value)?;
    let Some(scale) = number.scale().and_then(|scale| usize::try_from(scale).ok()) else {
        return Ok(seed);
    };
    if number.signum() == 0 {
        return Ok(seed.wrapping_sub(1));
    }
    let (digits, weight) = digits_of(number, scale);
    let digits: Vec<u8> = digits.into_iter().flat_map(i16::to_le_bytes).collect();
    Ok(bytes(&digits, seed) ^ weight as u64)
}

/// The digits of a number that is not 0, and how many of them stand before the point but the first.
fn digits_of(number: &Numeric, scale: usize) -> (Vec<i16>, i64) {
    let behind = scale.next_multiple_of(DECIMALS);
    let mut decimals = number.digits();
    decimals.extend(std::iter::repeat_n('0', behind - scale));
    let width = decimals.len().max(behind).next_multiple_of(DECIMALS);
    let decimals = format!("{decimals:0>width$}");
    let digit =
        |decimals: &[u8]| decimals.iter().fold(0, |digit, decimal| digit * 10 + i16::from(decimal - b'0'));
    let digits: Vec<i16> = decimals.as_bytes().chunks(DECIMALS).map(digit).collect();
    let before = (width - behind) / DECIMALS;
    let first = digits.iter().take_while(|digit| **digit == 0).count();
    let last = digits.iter().rposition(|digit| *digit != 0).map_or(first, |last| last + 1);
    let kept = digits.get(first..last).unwrap_or_default().to_vec();
    (kept, before as i64 - first as i64 - 1)
}

/// `text`, `name`
pub(super) fn text(value: &Datum, seed: u64) -> Result<u64> {
    Ok(bytes(text_of(value)?.as_bytes(), seed))
}

/// `char(n)`: blanks at the end do not count.
pub(super) fn bpchar(value: &Datum, seed: u64) -> Result<u64> {
    Ok(bytes(text_of(value)?.trim_end_matches(' ').as_bytes(), seed))
}

/// `"char"`: a byte that has a sign.
pub(super) fn quoted_char(value: &Datum, seed: u64) -> Result<u64> {
    let byte = character_byte(text_of(value)?);
    Ok(number(i32::from(byte as i8) as u32, seed))
}

/// `bytea`, `macaddr`, `macaddr8`
pub(super) fn octets(value: &Datum, seed: u64) -> Result<u64> {
    super::arguments::bytes(value).map(|octets| bytes(octets, seed))
}

/// `inet`: the family, the bits of the mask, the address.
pub(super) fn network(value: &Datum, seed: u64) -> Result<u64> {
    let mut sent = Vec::new();
    Network::of(value)?.send(false, &mut sent);
    match sent.as_slice() {
        [family, mask, _, _, address @ ..] => {
            let mut hashed = vec![*family, *mask];
            hashed.extend(address);
            Ok(bytes(&hashed, seed))
        }
        _ => Err(mismatch()),
    }
}

/// `uuid`
pub(super) fn uuid(value: &Datum, seed: u64) -> Result<u64> {
    match value {
        Datum::Uuid(value) => Ok(bytes(value, seed)),
        _ => Err(mismatch()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_hashed_as_by_postgresql() {
        assert_eq!(plain(text, &Datum::text("")).unwrap().as_i64(), Some(-1_477_818_771));
        assert_eq!(plain(text, &Datum::text("PostgreSQL")).unwrap().as_i64(), Some(-1_696_465_276));
        let by_one = seeded(text, &Datum::text("PostgreSQL"), &Datum::Int8(1)).unwrap();
        assert_eq!(by_one.as_i64(), Some(-1_358_846_221_981_485_480));
    }

    #[test]
    fn bytes_beyond_ascii_are_hashed_as_what_they_are() {
        let held = Datum::text("\\303");
        assert_eq!(quoted_char(&held, 3).unwrap(), number(-61_i32 as u32, 3));
    }

    #[test]
    fn numbers_are_hashed_as_by_postgresql() {
        assert_eq!(plain(bigint, &Datum::Int8(-1_099_511_627_776)).unwrap().as_i64(), Some(-1_811_739_487));
        assert_eq!(plain(real, &Datum::Float8(1.5)).unwrap().as_i64(), Some(630_860_146));
        assert_eq!(plain(real, &Datum::Float4(f32::NAN)).unwrap().as_i64(), Some(-1_275_764_840));
        assert_eq!(seeded(real, &Datum::Float8(-0.0), &Datum::Int8(7)).unwrap().as_i64(), Some(7));
        for (unscaled, scale, hash) in [
            (1_149_484_958, 9, 849_586_758),
            (20_000, 0, -158_269_221),
            (12, 5, 1_267_246_686),
            (-15, 1, 692_967_894),
            (0, 0, -1),
        ] {
            let number = Datum::Numeric(Numeric::finite(unscaled, scale));
            assert_eq!(plain(decimal, &number).unwrap().as_i64(), Some(hash), "{unscaled} {scale}");
        }
        let small = Datum::Numeric(Numeric::finite(12, 5));
        assert_eq!(seeded(decimal, &small, &Datum::Int8(9)).unwrap().as_i64(), Some(125_377_412_262_532_810));
    }
}
