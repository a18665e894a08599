//! Characters that regular expressions give by their numbers.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::ops::RangeInclusive;
use std::str::Chars;

use super::wrong_escape;
use crate::error::Result;

/// No character has a number above.
const CODE_MAX: u32 = 0x7fff_fffe;

/// The number that so many digits make.
pub(super) fn digits(
    characters: &mut Peekable<Chars<'_>>,
    base: u32,
    count: RangeInclusive<usize>,
) -> Result<u32> {
    let (mut code, mut read) = (0_u32, 0);
    while read < *count.end()
        && let Some(digit) = characters.peek().and_then(|c| c.to_digit(base))
    {
        characters.next();
        code = code.wrapping_mul(base).wrapping_add(digit);
        read += 1;
    }
    if read < *count.start() { Err(wrong_escape()) } else { Ok(code) }
}

/// The number that up to three octal digits make.
pub(super) fn octal(first: char, characters: &mut Peekable<Chars<'_>>) -> Result<u32> {
    let mut code = first.to_digit(8).ok_or_else(wrong_escape)?;
    for _ in 0..2 {
        let Some(digit) = characters.peek().and_then(|c| c.to_digit(8)) else { break };
        characters.next();
        code = code * 8 + digit;
    }
    Ok(code)
}

/// The number of a group that digits mean, of which so many have begun: one digit always does. They are read then.
pub(super) fn back_reference(
    first: char,
    characters: &mut Peekable<Chars<'_>>,
    groups: usize,
) -> Option<String> {
    let mut number = String::from(first);
    let mut ahead = characters.clone();
    while let Some(digit) = ahead.next_if(char::is_ascii_digit) {
        number.push(digit);
    }
    let is_group = number.len() == 1 || number.parse().is_ok_and(|number: usize| number <= groups);
    if first == '0' || !is_group {
        return None;
    }
    *characters = ahead;
    Some(number)
}

/// Appends the character of this number. Where there is none, one that no text has.
pub(super) fn push(code: u32, out: &mut String) -> Result<()> {
    if code > CODE_MAX {
        return Err(wrong_escape());
    }
    let character = char::from_u32(code).unwrap_or(char::MAX);
    write!(out, "\\U{:08X}", u32::from(character)).map_err(|_| wrong_escape())
}
