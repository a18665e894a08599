//! LIKE and ILIKE.

use super::arguments::{bytes, text};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::work;

/// After so many steps of a match they are counted.
const STEPS_COUNTED: usize = 4096;

/// Whether bytes match a LIKE pattern. 22025 if the pattern ends with its escape.
fn like_matches(value: &[u8], pattern: &[u8], fold: bool, characters: bool) -> Result<bool> {
    let same = |a: u8, b: u8| a == b || fold && a.eq_ignore_ascii_case(&b);
    let (mut value, mut pattern) = (value, pattern);
    // Where to go on when the part behind the last % did not match: one character further.
    let mut retry: Option<(&[u8], &[u8])> = None;
    let mut steps = 0usize;
    loop {
        steps += 1;
        if steps == STEPS_COUNTED {
            steps = 0;
            work::spend(STEPS_COUNTED)?;
        }
        let step = match (pattern, value) {
            ([b'%', rest @ ..], _) => {
                if rest.is_empty() {
                    return Ok(true);
                }
                pattern = rest;
                retry = Some((rest, value));
                true
            }
            ([b'_', rest @ ..], [_, ..]) => {
                pattern = rest;
                value = skip_character(value, characters);
                true
            }
            ([b'\\'], [_, ..]) => {
                return Err(Error::new("22025", "LIKE pattern must not end with escape character"));
            }
            ([b'\\', literal, rest @ ..], [first, tail @ ..]) if same(*literal, *first) => {
                (pattern, value) = (rest, tail);
                true
            }
            ([b'\\', ..], _) => false,
            ([literal, rest @ ..], [first, tail @ ..]) if same(*literal, *first) => {
                (pattern, value) = (rest, tail);
                true
            }
            ([], []) => return Ok(true),
            _ => false,
        };
        if step {
            continue;
        }
        match retry {
            Some((after, from)) if !from.is_empty() => {
                let from = skip_character(from, characters);
                retry = Some((after, from));
                (pattern, value) = (after, from);
            }
            _ => return Ok(false),
        }
    }
}

/// Past one character of UTF-8, or one byte.
fn skip_character(value: &[u8], characters: bool) -> &[u8] {
    let continuation = |byte: &&u8| characters && **byte & 0xc0 == 0x80;
    let rest = value.get(1..).unwrap_or_default();
    rest.get(rest.iter().take_while(continuation).count()..).unwrap_or_default()
}

fn like_text(value: &Datum, pattern: &Datum, fold: bool) -> Result<bool> {
    like_matches(text(value)?.as_bytes(), text(pattern)?.as_bytes(), fold, true)
}

pub(super) fn like(value: &Datum, pattern: &Datum) -> Result<Datum> {
    like_text(value, pattern, false).map(Datum::Bool)
}

pub(super) fn not_like(value: &Datum, pattern: &Datum) -> Result<Datum> {
    like_text(value, pattern, false).map(|matches| Datum::Bool(!matches))
}

pub(super) fn ilike(value: &Datum, pattern: &Datum) -> Result<Datum> {
    like_text(value, pattern, true).map(Datum::Bool)
}

pub(super) fn not_ilike(value: &Datum, pattern: &Datum) -> Result<Datum> {
    like_text(value, pattern, true).map(|matches| Datum::Bool(!matches))
}

pub(super) fn like_bytes(value: &Datum, pattern: &Datum) -> Result<Datum> {
    like_matches(bytes(value)?, bytes(pattern)?, false, false).map(Datum::Bool)
}

pub(super) fn not_like_bytes(value: &Datum, pattern: &Datum) -> Result<Datum> {
    like_matches(bytes(value)?, bytes(pattern)?, false, false).map(|matches| Datum::Bool(!matches))
}

/// A LIKE pattern with another escape character, rewritten for the usual one.
pub(super) fn like_escape(pattern: &Datum, escape: &Datum) -> Result<Datum> {
    let escape = escape_character(text(escape)?)?;
    let rewritten: String = with_backslashes(text(pattern)?.chars(), escape, '\\').into_iter().collect();
    Ok(Datum::from(rewritten))
}

/// The same of bytes.
pub(super) fn like_escape_bytes(pattern: &Datum, escape: &Datum) -> Result<Datum> {
    let escape = match bytes(escape)? {
        [] => None,
        [escape] => Some(*escape),
        _ => return Err(not_an_escape()),
    };
    let rewritten = with_backslashes(bytes(pattern)?.iter().copied(), escape, b'\\');
    Ok(Datum::Bytea(rewritten.into()))
}

/// A pattern whose escapes are backslashes, and whose backslashes mean themselves.
fn with_backslashes<C: Copy + PartialEq>(
    pattern: impl Iterator<Item = C>,
    escape: Option<C>,
    backslash: C,
) -> Vec<C> {
    let mut rewritten = Vec::new();
    let mut after_escape = false;
    for c in pattern {
        let is_escape = !after_escape && Some(c) == escape;
        if !after_escape && c == backslash && escape != Some(backslash) {
            rewritten.push(backslash);
        }
        rewritten.push(if is_escape { backslash } else { c });
        after_escape = is_escape;
    }
    rewritten
}

/// The character of an ESCAPE clause; None if it is empty, which means that there is none.
pub(super) fn escape_character(escape: &str) -> Result<Option<char>> {
    let mut characters = escape.chars();
    match (characters.next(), characters.next()) {
        (first, None) => Ok(first),
        _ => Err(not_an_escape()),
    }
}

fn not_an_escape() -> Error {
    Error::new("22025", "invalid escape string").with_hint("Escape string must be empty or one character.")
}
