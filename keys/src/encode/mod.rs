//! Order-preserving encodings: bytes that compare as the values do.
//!
//! A column of a key is a marker and, unless it is NULL, a value:
//!
//! ```text
//! 0x04          NULL, before everything
//! 0x10 value    not NULL
//! 0xf4          NULL, after everything
//! ```
//!
//! Descending columns are the complement, byte for byte, of ascending ones, so a descending column's NULLs come first
//! where the ascending column's come last, as PostgreSQL's do by default. Values:
//!
//! ```text
//! bool          1 byte
//! integers      big-endian, sign bit flipped
//! floats        IEEE bits, all flipped of negative numbers, sign bit flipped of others; -0 is 0, there is one NaN
//!               and it is the greatest
//! text, bytes   each 0x00 as 0x00 0xff, then 0x00 0x01
//! numeric       see [`decimal`]
//! varint        see [`put_varint`]; index ids, not columns
//! ```
//!
//! # Invariants
//! - For values a, b of one type: a < b exactly if encode(a) < encode(b), equal exactly if equal.
//! - No encoding of a type is a proper prefix of another of that type, so columns may be put one after another.

pub mod decimal;

/// Bytes that are no encoding of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed key: {0}")]
pub struct Malformed(pub &'static str);

/// The order of a column in an index, and where its NULLs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// ASC, NULLs last.
    #[default]
    Ascending,
    /// DESC, NULLs first.
    Descending,
    /// ASC NULLS FIRST
    AscendingNullsFirst,
    /// DESC NULLS LAST
    DescendingNullsLast,
}

impl Direction {
    /// Whether greater values come first.
    pub fn is_descending(self) -> bool {
        matches!(self, Direction::Descending | Direction::DescendingNullsLast)
    }

    /// Whether NULLs come first.
    pub fn nulls_first(self) -> bool {
        matches!(self, Direction::Descending | Direction::AscendingNullsFirst)
    }
}

/// Before a value that is not NULL, in ascending form.
const MARKER_VALUE: u8 = 0x10;
/// NULL where it sorts before values.
const MARKER_NULL_FIRST: u8 = 0x04;
/// NULL where it sorts after values.
const MARKER_NULL_LAST: u8 = 0xf4;

/// Appends NULL.
pub fn put_null(direction: Direction, out: &mut Vec<u8>) {
    out.push(if direction.nulls_first() { MARKER_NULL_FIRST } else { MARKER_NULL_LAST });
}

/// Appends a column that is not NULL, whose ascending value `put` appends.
pub fn put_column(direction: Direction, out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.push(MARKER_VALUE);
    put(out);
    if direction.is_descending() {
        complement(out.get_mut(start..).unwrap_or_default());
    }
}

fn complement(bytes: &mut [u8]) {
    for byte in bytes {
        *byte = !*byte;
    }
}

/// Reads the marker of a column: false if it is NULL.
pub fn take_marker(direction: Direction, input: &mut &[u8]) -> Result<bool, Malformed> {
    let [marker] = take_array(input, false)?;
    let value = if direction.is_descending() { !MARKER_VALUE } else { MARKER_VALUE };
    match marker {
        marker if marker == value => Ok(true),
        MARKER_NULL_FIRST | MARKER_NULL_LAST => Ok(false),
        _ => Err(Malformed("marker of a column")),
    }
}

/// Takes `N` bytes, complemented if descending.
pub fn take_array<const N: usize>(input: &mut &[u8], descending: bool) -> Result<[u8; N], Malformed> {
    let (head, tail) = input.split_first_chunk::<N>().ok_or(Malformed("too short"))?;
    *input = tail;
    let mut bytes = *head;
    if descending {
        complement(&mut bytes);
    }
    Ok(bytes)
}

/// Appends a bool.
pub fn put_bool(value: bool, out: &mut Vec<u8>) {
    out.push(u8::from(value));
}

/// Reads a bool.
pub fn take_bool(input: &mut &[u8], descending: bool) -> Result<bool, Malformed> {
    match take_array(input, descending)? {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(Malformed("bool")),
    }
}

/// Appends an i16.
pub fn put_i16(value: i16, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value as u16 ^ 1 << 15).to_be_bytes());
}

/// Reads an i16.
pub fn take_i16(input: &mut &[u8], descending: bool) -> Result<i16, Malformed> {
    Ok((u16::from_be_bytes(take_array(input, descending)?) ^ 1 << 15) as i16)
}

/// Appends an i32.
pub fn put_i32(value: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value as u32 ^ 1 << 31).to_be_bytes());
}

/// Reads an i32.
pub fn take_i32(input: &mut &[u8], descending: bool) -> Result<i32, Malformed> {
    Ok((u32::from_be_bytes(take_array(input, descending)?) ^ 1 << 31) as i32)
}

/// Appends an i64.
pub fn put_i64(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value as u64 ^ 1 << 63).to_be_bytes());
}

/// Reads an i64.
pub fn take_i64(input: &mut &[u8], descending: bool) -> Result<i64, Malformed> {
    Ok((u64::from_be_bytes(take_array(input, descending)?) ^ 1 << 63) as i64)
}

/// Appends an i128.
pub fn put_i128(value: i128, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value as u128 ^ 1 << 127).to_be_bytes());
}

/// Reads an i128.
pub fn take_i128(input: &mut &[u8], descending: bool) -> Result<i128, Malformed> {
    Ok((u128::from_be_bytes(take_array(input, descending)?) ^ 1 << 127) as i128)
}

/// Appends a u32.
pub fn put_u32(value: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Reads a u32.
pub fn take_u32(input: &mut &[u8], descending: bool) -> Result<u32, Malformed> {
    Ok(u32::from_be_bytes(take_array(input, descending)?))
}

/// Appends an f32; -0 as 0, every NaN as the one.
pub fn put_f32(value: f32, out: &mut Vec<u8>) {
    let value = if value.is_nan() { f32::NAN } else { value + 0.0 };
    let bits = value.to_bits();
    let bits = if value.is_sign_negative() && !value.is_nan() { !bits } else { bits | 1 << 31 };
    out.extend_from_slice(&bits.to_be_bytes());
}

/// Reads an f32.
pub fn take_f32(input: &mut &[u8], descending: bool) -> Result<f32, Malformed> {
    let bits = u32::from_be_bytes(take_array(input, descending)?);
    Ok(f32::from_bits(if bits & 1 << 31 == 0 { !bits } else { bits & !(1 << 31) }))
}

/// Appends an f64; -0 as 0, every NaN as the one.
pub fn put_f64(value: f64, out: &mut Vec<u8>) {
    let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
    let bits = value.to_bits();
    let bits = if value.is_sign_negative() && !value.is_nan() { !bits } else { bits | 1 << 63 };
    out.extend_from_slice(&bits.to_be_bytes());
}

/// Reads an f64.
pub fn take_f64(input: &mut &[u8], descending: bool) -> Result<f64, Malformed> {
    let bits = u64::from_be_bytes(take_array(input, descending)?);
    Ok(f64::from_bits(if bits & 1 << 63 == 0 { !bits } else { bits & !(1 << 63) }))
}

const ESCAPE: u8 = 0x00;
const ESCAPED_ZERO: u8 = 0xff;
const TERMINATOR: u8 = 0x01;

/// Appends a byte string.
pub fn put_bytes(value: &[u8], out: &mut Vec<u8>) {
    out.reserve(value.len() + 2);
    for part in value.split_inclusive(|byte| *byte == ESCAPE) {
        out.extend_from_slice(part);
        if part.last() == Some(&ESCAPE) {
            out.push(ESCAPED_ZERO);
        }
    }
    out.extend_from_slice(&[ESCAPE, TERMINATOR]);
}

/// Reads a byte string.
pub fn take_bytes(input: &mut &[u8], descending: bool) -> Result<Vec<u8>, Malformed> {
    let mask = if descending { 0xff } else { 0 };
    let mut value = Vec::new();
    loop {
        let zero = input.iter().position(|byte| byte ^ mask == ESCAPE).ok_or(Malformed("unterminated"))?;
        let (head, tail) = input.split_at(zero);
        value.extend(head.iter().map(|byte| byte ^ mask));
        match tail {
            [_, code, rest @ ..] if code ^ mask == TERMINATOR => {
                *input = rest;
                return Ok(value);
            }
            [_, code, rest @ ..] if code ^ mask == ESCAPED_ZERO => {
                value.push(0);
                *input = rest;
            }
            _ => return Err(Malformed("escape in a byte string")),
        }
    }
}

/// Moves past a byte string.
pub fn skip_bytes(input: &mut &[u8], descending: bool) -> Result<(), Malformed> {
    let mask = if descending { 0xff } else { 0 };
    loop {
        let zero = input.iter().position(|byte| byte ^ mask == ESCAPE).ok_or(Malformed("unterminated"))?;
        match input.get(zero + 1..).unwrap_or_default() {
            [code, rest @ ..] if code ^ mask == TERMINATOR => {
                *input = rest;
                return Ok(());
            }
            [code, rest @ ..] if code ^ mask == ESCAPED_ZERO => *input = rest,
            _ => return Err(Malformed("escape in a byte string")),
        }
    }
}

/// Appends a u64 in as few bytes as it needs: values up to 240 as one byte, greater ones as 0xf0 + the number of
/// bytes that follow, big-endian, without leading zeros.
pub fn put_varint(value: u64, out: &mut Vec<u8>) {
    match value {
        0..=0xf0 => out.push(value as u8),
        _ => {
            let bytes = value.to_be_bytes();
            let zeros = (value.leading_zeros() / 8) as usize;
            out.push(0xf0 + (8 - zeros) as u8);
            out.extend_from_slice(bytes.get(zeros..).unwrap_or_default());
        }
    }
}

/// Reads a u64 of [`put_varint`].
pub fn take_varint(input: &mut &[u8]) -> Result<u64, Malformed> {
    let [first] = take_array(input, false)?;
    match first {
        0..=0xf0 => Ok(u64::from(first)),
        0xf1..=0xf8 => {
            let length = usize::from(first - 0xf0);
            let (head, tail) = input.split_at_checked(length).ok_or(Malformed("varint"))?;
            *input = tail;
            Ok(head.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
        }
        _ => Err(Malformed("varint")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0xff), any::<u8>()], 0..10)
    }

    fn encoded(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out);
        out
    }

    proptest! {
        #[test]
        fn varints_order_and_read_back(a: u64, b: u64, shift_a in 0u32..64, shift_b in 0u32..64) {
            let (a, b) = (a >> shift_a, b >> shift_b);
            let (x, y) = (encoded(|out| put_varint(a, out)), encoded(|out| put_varint(b, out)));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            let mut input = x.as_slice();
            prop_assert_eq!(take_varint(&mut input).unwrap(), a);
            prop_assert!(input.is_empty());
        }

        #[test]
        fn byte_strings_order_even_when_more_follows(a in bytes(), b in bytes(), tail_a in bytes(), tail_b in bytes()) {
            let mut x = encoded(|out| put_bytes(&a, out));
            let mut y = encoded(|out| put_bytes(&b, out));
            x.extend(&tail_a);
            y.extend(&tail_b);
            let expected = a.cmp(&b).then(tail_a.cmp(&tail_b));
            prop_assert_eq!(x.cmp(&y), expected);
            let mut input = x.as_slice();
            prop_assert_eq!(take_bytes(&mut input, false).unwrap(), a);
            prop_assert_eq!(input, tail_a.as_slice());
        }

        #[test]
        fn integers_order_and_read_back(a: i64, b: i64) {
            let (x, y) = (encoded(|out| put_i64(a, out)), encoded(|out| put_i64(b, out)));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(take_i64(&mut x.as_slice(), false).unwrap(), a);
        }
    }

    #[test]
    fn nulls_stand_where_the_direction_says() {
        for direction in [
            Direction::Ascending,
            Direction::Descending,
            Direction::AscendingNullsFirst,
            Direction::DescendingNullsLast,
        ] {
            let null = encoded(|out| put_null(direction, out));
            let least = encoded(|out| put_column(direction, out, |out| put_i64(i64::MIN, out)));
            let greatest = encoded(|out| put_column(direction, out, |out| put_i64(i64::MAX, out)));
            assert_eq!(null < least, direction.nulls_first());
            assert_eq!(null < greatest, direction.nulls_first());
            assert_eq!(greatest < least, direction.is_descending());
        }
    }

    #[test]
    fn the_greatest_float_is_not_a_number() {
        let order = [f64::NEG_INFINITY, -1.5, -0.0, 1e-300, 2.0, f64::INFINITY, f64::NAN];
        let keys: Vec<_> = order.iter().map(|value| encoded(|out| put_f64(*value, out))).collect();
        assert!(keys.is_sorted_by(|a, b| a < b));
        assert_eq!(encoded(|out| put_f64(-0.0, out)), encoded(|out| put_f64(0.0, out)));
    }
}
