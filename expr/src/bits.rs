//! Strings of bits: the values of `bit(n)` and `bit varying(n)`.
//!
//! A value is held as bytes that order as the bits do (a string before all that begin with it), so that it is compared,
//! hashed, stored and put into keys as any other bytes:
//!
//! ```text
//! eight bits a byte, 00 as 00 ff     00     how many bits of the last byte count: 1 to 8, or 0 of no bits
//! ```

use crate::binary::{Input, malformed};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::work;

/// What stands behind a byte 00 of bits.
const ESCAPE: u8 = 0xff;

/// A string of bits, the first in the highest place of the first byte.
///
/// # Invariants
/// - There are as many bytes as the length asks for.
/// - The bits of the last byte that do not count are 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bits {
    bytes: Vec<u8>,
    length: usize,
}

impl Bits {
    /// So many bits of the bytes, and 0 beyond them.
    fn new(mut bytes: Vec<u8>, length: usize) -> Self {
        bytes.resize(length.div_ceil(8), 0);
        if let Some(last) = bytes.last_mut()
            && !length.is_multiple_of(8)
        {
            *last &= !(0xff >> (length % 8));
        }
        Self { bytes, length }
    }

    /// So many bits that are all alike.
    fn filled(byte: u8, length: usize) -> Self {
        Self::new(vec![byte; length.div_ceil(8)], length)
    }

    /// The bits that a value holds. XX000 if it holds none.
    pub(crate) fn of(value: &Datum) -> Result<Self> {
        let mismatch = || Error::internal("a string of bits that is none");
        let Datum::Bytea(held) = value else { return Err(mismatch()) };
        let mut bytes = Vec::with_capacity(held.len());
        let mut rest: &[u8] = held;
        loop {
            rest = match rest {
                [0, ESCAPE, rest @ ..] => {
                    bytes.push(0);
                    rest
                }
                [0, last @ 0..=8] => {
                    let length = (bytes.len() * 8 + usize::from(*last)).saturating_sub(8);
                    return Ok(Self { bytes, length });
                }
                [0, ..] | [] => return Err(mismatch()),
                [byte, rest @ ..] => {
                    bytes.push(*byte);
                    rest
                }
            };
        }
    }

    /// The value that holds them. 54000 if its text would be longer than any value.
    pub(crate) fn into_datum(self) -> Result<Datum> {
        work::fits(self.length)?;
        let mut held = Vec::with_capacity(self.bytes.len() + 2);
        for byte in &self.bytes {
            held.push(*byte);
            if *byte == 0 {
                held.push(ESCAPE);
            }
        }
        let last = if self.length == 0 { 0 } else { (self.length - 1) % 8 + 1 };
        held.extend([0, last as u8]);
        Ok(Datum::Bytea(held.into()))
    }

    /// Reads binary digits, which a `b` may stand before, or hexadecimal ones behind an `x`. 22P02 for anything else.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (radix, digits) = match text.split_at_checked(1) {
            Some(("b" | "B", digits)) => (2, digits),
            Some(("x" | "X", digits)) => (16, digits),
            _ => (2, text),
        };
        let (name, width) = if radix == 2 { ("binary", 1) } else { ("hexadecimal", 4) };
        let mut bytes = Vec::with_capacity(digits.len().div_ceil(2));
        let (mut byte, mut length) = (0, 0);
        for c in digits.chars() {
            let digit = c
                .to_digit(radix)
                .ok_or_else(|| Error::new("22P02", format!("\"{c}\" is not a valid {name} digit")))?;
            byte = byte << width | digit as u8;
            length += width;
            if length % 8 == 0 {
                bytes.push(std::mem::take(&mut byte));
            }
        }
        if length % 8 != 0 {
            bytes.push(byte << (8 - length % 8));
        }
        Ok(Self::new(bytes, length))
    }

    /// Appends binary digits.
    pub(crate) fn write(&self, out: &mut String) {
        out.reserve(self.length);
        out.extend((0..self.length).map(|place| if self.bit(place) { '1' } else { '0' }));
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// How many bytes they take.
    pub(crate) fn byte_count(&self) -> usize {
        self.bytes.len()
    }

    /// How many of them are 1.
    pub(crate) fn ones(&self) -> usize {
        self.bytes.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// Whether the bit at this place, from 0, is 1; beyond the last it is not.
    pub(crate) fn bit(&self, place: usize) -> bool {
        self.byte(place / 8) & (0x80 >> (place % 8)) != 0
    }

    /// With the bit at this place, which there is, replaced.
    pub(crate) fn with_bit(mut self, place: usize, bit: bool) -> Self {
        let mask = 0x80 >> (place % 8);
        if let Some(byte) = self.bytes.get_mut(place / 8) {
            *byte = if bit { *byte | mask } else { *byte & !mask };
        }
        self
    }

    fn byte(&self, place: usize) -> u8 {
        self.bytes.get(place).copied().unwrap_or(0)
    }

    /// The eight bits from this place on.
    fn byte_from(&self, place: usize) -> u8 {
        let pair = u16::from_be_bytes([self.byte(place / 8), self.byte(place / 8 + 1)]);
        (pair << (place % 8) >> 8) as u8
    }

    /// So many bits from this place on; beyond the last they are 0.
    pub(crate) fn window(&self, from: usize, length: usize) -> Self {
        let bytes = (0..length.div_ceil(8)).map(|byte| self.byte_from(from.saturating_add(byte * 8)));
        Self::new(bytes.collect(), length)
    }

    /// These and then those.
    pub(crate) fn concatenated(mut self, other: &Self) -> Self {
        let filled = self.length % 8;
        if filled == 0 {
            self.bytes.extend_from_slice(&other.bytes);
        } else {
            for byte in &other.bytes {
                if let Some(last) = self.bytes.last_mut() {
                    *last |= byte >> filled;
                }
                self.bytes.push(byte << (8 - filled));
            }
        }
        Self::new(self.bytes, self.length.saturating_add(other.length))
    }

    /// Moved to the left, as many as before.
    pub(crate) fn shifted_left(&self, by: usize) -> Self {
        self.window(by.min(self.length), self.length)
    }

    /// Moved to the right, as many as before.
    pub(crate) fn shifted_right(&self, by: usize) -> Self {
        Self::filled(0, by.min(self.length)).concatenated(self).window(0, self.length)
    }

    /// Each bit the other way.
    pub(crate) fn inverted(&self) -> Self {
        Self::new(self.bytes.iter().map(|byte| !byte).collect(), self.length)
    }

    /// Both, joined bit by bit; `name` says how. 22026 unless they are equally long.
    pub(crate) fn joined(&self, other: &Self, name: &str, join: fn(u8, u8) -> u8) -> Result<Self> {
        if self.length != other.length {
            return Err(Error::new("22026", format!("cannot {name} bit strings of different sizes")));
        }
        let bytes = self.bytes.iter().zip(&other.bytes).map(|(left, right)| join(*left, *right));
        Ok(Self::new(bytes.collect(), self.length))
    }

    /// Where a part begins, from 0; None where it is nowhere, and in no bits at all.
    pub(crate) fn position(&self, part: &Self) -> Result<Option<usize>> {
        if self.length == 0 || part.length > self.length {
            return Ok(None);
        }
        let mask = if part.length.is_multiple_of(8) { 0xff } else { !(0xff >> (part.length % 8)) };
        let last = part.bytes.len().saturating_sub(1);
        for at in 0..=self.length - part.length {
            work::step(part.bytes.len())?;
            let is_like = |(place, byte): (usize, &u8)| {
                let found = self.byte_from(at + place * 8);
                if place == last { found & mask == *byte } else { found == *byte }
            };
            if part.bytes.iter().enumerate().all(is_like) {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// The last so many bits of an integer, whose sign goes on to the left.
    pub(crate) fn of_integer(value: i64, length: usize) -> Self {
        let sign = if value < 0 { 0xff } else { 0 };
        let wide = Self::filled(sign, length).concatenated(&Self::new(value.to_be_bytes().into(), 64));
        wide.window(64, length)
    }

    /// The integer without sign that they are; None of more than 64.
    pub(crate) fn to_integer(&self) -> Option<u64> {
        let wide = Self::filled(0, 64_usize.checked_sub(self.length)?).concatenated(self);
        wide.bytes.try_into().ok().map(u64::from_be_bytes)
    }

    /// Reads the binary format: how many there are, and the bytes. 22P03 if those are too few.
    pub(crate) fn receive(input: &mut Input<'_>) -> Result<Self> {
        let length =
            usize::try_from(input.i32()?).map_err(|_| malformed("invalid length in external bit string"))?;
        Ok(Self::new(input.take(length.div_ceil(8))?.to_vec(), length))
    }

    /// Appends the binary format.
    pub(crate) fn send(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.length as i32).to_be_bytes());
        out.extend_from_slice(&self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::compare::compare;

    fn bits(text: &str) -> Bits {
        Bits::parse(text).unwrap()
    }

    fn text(bits: &Bits) -> String {
        let mut out = String::new();
        bits.write(&mut out);
        out
    }

    proptest! {
        #[test]
        fn bits_order_as_their_digits_do(left in "[01]{0,40}|0{0,30}", right in "[01]{0,40}|0{0,30}") {
            let held = |digits: &str| bits(digits).into_datum().unwrap();
            prop_assert_eq!(compare(&held(&left), &held(&right)), left.cmp(&right));
            prop_assert_eq!(text(&Bits::of(&held(&left)).unwrap()), left);
        }

        #[test]
        fn operations_are_those_of_the_digits(left in "[01]{0,30}", right in "[01]{0,12}", from in 0usize..40, count in 0usize..40) {
            let (a, b) = (bits(&left), bits(&right));
            prop_assert_eq!(text(&a.clone().concatenated(&b)), left.clone() + &right);
            let endless = left.clone() + &"0".repeat(80);
            prop_assert_eq!(text(&a.window(from, count)), &endless[from..from + count]);
            prop_assert_eq!(text(&a.shifted_left(from)), &endless[from.min(left.len())..][..left.len()]);
            prop_assert_eq!(text(&a.shifted_right(from)), &("0".repeat(from) + &left)[..left.len()]);
            let found = if left.is_empty() { None } else { left.find(&right) };
            prop_assert_eq!(a.position(&b).unwrap(), found);
            prop_assert_eq!(a.ones(), left.matches('1').count());
        }

        #[test]
        fn the_binary_format_reads_back(digits in "[01]{0,40}") {
            let mut bytes = Vec::new();
            bits(&digits).send(&mut bytes);
            prop_assert_eq!(Bits::receive(&mut Input::new(&bytes)).unwrap(), bits(&digits));
        }
    }

    #[test]
    fn integers_are_cut_off_at_the_left_and_keep_their_sign() {
        assert_eq!(text(&Bits::of_integer(5, 3)), "101");
        assert_eq!(text(&Bits::of_integer(-5, 10)), "1111111011");
        assert_eq!(text(&Bits::of_integer(-1, 70)), "1".repeat(70));
        assert_eq!(text(&Bits::of_integer(5, 70)), "0".repeat(67) + "101");
        assert_eq!(bits("101").to_integer(), Some(5));
        assert_eq!(bits(&"1".repeat(64)).to_integer(), Some(u64::MAX));
        assert_eq!(bits(&"1".repeat(65)).to_integer(), None);
    }

    #[test]
    fn digits_are_binary_or_hexadecimal() {
        assert_eq!(text(&bits("x1F")), "00011111");
        assert_eq!(text(&bits("XaBc")), "101010111100");
        assert_eq!(text(&bits("b10")), "10");
        assert_eq!(text(&bits("")), "");
        assert_eq!(Bits::parse("12").unwrap_err().message, "\"2\" is not a valid binary digit");
        assert_eq!(
            Bits::parse("x\u{e9}").unwrap_err().message,
            "\"\u{e9}\" is not a valid hexadecimal digit"
        );
    }
}
