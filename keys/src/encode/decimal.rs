//! numeric, ordered.
//!
//! ```text
//! 0x10                        -Infinity
//! 0x20 !exponent !digits !0   a negative number: all of it complemented but the class
//! 0x30                        zero
//! 0x40 exponent digits 0      a positive number
//! 0x50                        Infinity
//! 0x60                        NaN
//! ```
//!
//! A number is 0.d₁d₂d₃… × 100^exponent, d₁ ≠ 0, each dᵢ one of 0..=99 stored as dᵢ + 1; the exponent as an i32
//! in four bytes. Trailing zero digits are not stored, so numbers that are equal have one form.

use super::{Malformed, put_i32, take_array, take_i32};

/// A number's value without its display form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decimal {
    /// -Infinity
    NegativeInfinity,
    /// A finite number.
    Finite {
        /// Below zero.
        negative: bool,
        /// Decimal digits 0..=9, the first and the last not 0; none of zero.
        digits: Vec<u8>,
        /// The number is 0.digits × 10^exponent.
        exponent: i32,
    },
    /// Infinity
    Infinity,
    /// NaN
    NaN,
}

const NEGATIVE_INFINITY: u8 = 0x10;
const NEGATIVE: u8 = 0x20;
const ZERO: u8 = 0x30;
const POSITIVE: u8 = 0x40;
const INFINITY: u8 = 0x50;
const NAN: u8 = 0x60;

/// Exponents of 100 beyond this are none of a number that SQL knows; whoever expands one would run out of memory.
const EXPONENT_MAX: u32 = 1 << 17;

/// Appends a number. Leading and trailing zero digits do not matter.
pub fn put(value: &Decimal, out: &mut Vec<u8>) {
    match value {
        Decimal::NegativeInfinity => out.push(NEGATIVE_INFINITY),
        Decimal::Infinity => out.push(INFINITY),
        Decimal::NaN => out.push(NAN),
        Decimal::Finite { negative, digits, exponent } => put_finite(*negative, digits, *exponent, out),
    }
}

fn put_finite(negative: bool, digits: &[u8], exponent: i32, out: &mut Vec<u8>) {
    let Some(first) = digits.iter().position(|digit| *digit != 0) else {
        out.push(ZERO);
        return;
    };
    let last = digits.iter().rposition(|digit| *digit != 0).unwrap_or(first);
    let digits = digits.get(first..=last).unwrap_or_default();
    let exponent = exponent.saturating_sub(first as i32);
    // An odd exponent takes a zero in front, so that pairs of digits line up with powers of 100.
    let odd = exponent.rem_euclid(2) == 1;
    let start = out.len();
    put_i32(exponent.div_euclid(2) + i32::from(odd), out);
    let mut pending = odd.then_some(0);
    for digit in digits {
        match pending.take() {
            Some(tens) => out.push(tens * 10 + digit + 1),
            None => pending = Some(*digit),
        }
    }
    out.extend(pending.map(|tens| tens * 10 + 1));
    out.push(0);
    if negative {
        super::complement(out.get_mut(start..).unwrap_or_default());
    }
    out.insert(start, if negative { NEGATIVE } else { POSITIVE });
}

/// Reads a number.
pub fn take(input: &mut &[u8], descending: bool) -> Result<Decimal, Malformed> {
    let [class] = take_array(input, descending)?;
    let negative = match class {
        NEGATIVE_INFINITY => return Ok(Decimal::NegativeInfinity),
        ZERO => return Ok(Decimal::Finite { negative: false, digits: Vec::new(), exponent: 0 }),
        INFINITY => return Ok(Decimal::Infinity),
        NAN => return Ok(Decimal::NaN),
        NEGATIVE => true,
        POSITIVE => false,
        _ => return Err(Malformed("class of a number")),
    };
    let complemented = negative != descending;
    let hundreds = take_i32(input, complemented)?;
    if hundreds.abs_diff(0) > EXPONENT_MAX {
        return Err(Malformed("exponent"));
    }
    let mut exponent = hundreds * 2;
    let mut digits = Vec::new();
    loop {
        match take_array(input, complemented)? {
            [0] => break,
            [pair @ 1..=100] => digits.extend_from_slice(&[(pair - 1) / 10, (pair - 1) % 10]),
            _ => return Err(Malformed("digits")),
        }
    }
    if digits.first() == Some(&0) {
        digits.remove(0);
        exponent -= 1;
    }
    if digits.last() == Some(&0) {
        digits.pop();
    }
    if digits.is_empty() {
        return Err(Malformed("digits"));
    }
    Ok(Decimal::Finite { negative, digits, exponent })
}
