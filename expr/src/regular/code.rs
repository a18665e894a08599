//! What stands behind a backslash: characters, those that are given by their numbers among them, classes and places.

use std::iter::Peekable;
use std::ops::RangeInclusive;
use std::str::Chars;

use super::wrong_escape;
use crate::error::Result;

/// No character has a number above.
const CODE_MAX: u32 = 0x7fff_fffe;

/// A place between characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// `^`
    Start,
    /// `$`
    End,
    /// `\A`
    TextStart,
    /// `\Z`
    TextEnd,
    /// `\y`
    Word,
    /// `\Y`
    NoWord,
    /// `\m`, `[[:<:]]`
    WordStart,
    /// `\M`, `[[:>:]]`
    WordEnd,
}

/// What an escape means.
pub(super) enum Escaped {
    Character(char),
    /// `\d`, `\s`, `\w`; negated: in upper case.
    Class {
        letter: char,
        negated: bool,
    },
    Edge(Edge),
    /// A digit but 0: a back reference, or a character in octal.
    Digit(char),
}

/// What follows a backslash.
///
/// # Errors
/// 2201B
pub(super) fn escape(characters: &mut Peekable<Chars<'_>>) -> Result<Escaped> {
    let c = characters.next().ok_or_else(wrong_escape)?;
    Ok(match c {
        'A' => Escaped::Edge(Edge::TextStart),
        'Z' => Escaped::Edge(Edge::TextEnd),
        'y' => Escaped::Edge(Edge::Word),
        'Y' => Escaped::Edge(Edge::NoWord),
        'm' => Escaped::Edge(Edge::WordStart),
        'M' => Escaped::Edge(Edge::WordEnd),
        'd' | 's' | 'w' => Escaped::Class { letter: c, negated: false },
        'D' | 'S' | 'W' => Escaped::Class { letter: c.to_ascii_lowercase(), negated: true },
        'a' => Escaped::Character('\x07'),
        'b' => Escaped::Character('\x08'),
        'B' => Escaped::Character('\\'),
        'c' => {
            let control = characters.next().ok_or_else(wrong_escape)?;
            Escaped::Character(character(u32::from(control) & 0x1f)?)
        }
        'e' => Escaped::Character('\x1b'),
        'f' => Escaped::Character('\x0c'),
        'n' => Escaped::Character('\n'),
        'r' => Escaped::Character('\r'),
        't' => Escaped::Character('\t'),
        'v' => Escaped::Character('\x0b'),
        'x' => Escaped::Character(character(digits(characters, 16, 1..=255)?)?),
        'u' => Escaped::Character(character(digits(characters, 16, 4..=4)?)?),
        'U' => Escaped::Character(character(digits(characters, 16, 8..=8)?)?),
        '0' => Escaped::Character(character(octal('0', characters)?)?),
        '1'..='9' => Escaped::Digit(c),
        c if c.is_ascii_alphanumeric() => return Err(wrong_escape()),
        c => Escaped::Character(c),
    })
}

/// The number that so many digits make.
fn digits(characters: &mut Peekable<Chars<'_>>, base: u32, count: RangeInclusive<usize>) -> Result<u32> {
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
) -> Option<usize> {
    let mut number = String::from(first);
    let mut ahead = characters.clone();
    while let Some(digit) = ahead.next_if(char::is_ascii_digit) {
        number.push(digit);
    }
    let group = number.parse().ok().filter(|group: &usize| number.len() == 1 || *group <= groups)?;
    *characters = ahead;
    Some(group)
}

/// The character of this number. Where there is none, one that no text has.
pub(super) fn character(code: u32) -> Result<char> {
    if code > CODE_MAX {
        return Err(wrong_escape());
    }
    Ok(char::from_u32(code).unwrap_or(char::MAX))
}
