//! Functions of text. Case and classes of characters are those of the C locale: ASCII.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::arguments::{exactly, int4, integer, text};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::work;

fn count(text: &str) -> Datum {
    Datum::Int4(i32::try_from(text.chars().count()).unwrap_or(i32::MAX))
}

pub(super) fn length(value: &Datum) -> Result<Datum> {
    Ok(count(text(value)?))
}

pub(super) fn blank_length(value: &Datum) -> Result<Datum> {
    Ok(count(text(value)?.trim_end_matches(' ')))
}

pub(super) fn octet_length(value: &Datum) -> Result<Datum> {
    Ok(Datum::Int4(text(value)?.len() as i32))
}

pub(super) fn bit_length(value: &Datum) -> Result<Datum> {
    Ok(Datum::Int4((text(value)?.len() * 8) as i32))
}

pub(super) fn lower(value: &Datum) -> Result<Datum> {
    Ok(Datum::from(text(value)?.to_ascii_lowercase()))
}

pub(super) fn upper(value: &Datum) -> Result<Datum> {
    Ok(Datum::from(text(value)?.to_ascii_uppercase()))
}

pub(super) fn initcap(value: &Datum) -> Result<Datum> {
    let mut in_word = false;
    let capitalised: String = text(value)?
        .chars()
        .map(|c| {
            let shown = if in_word { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() };
            in_word = c.is_ascii_alphanumeric();
            shown
        })
        .collect();
    Ok(Datum::from(capitalised))
}

/// The characters from position `start` (from 1, may lie before) on, at most `length` of them.
fn slice(value: &str, start: i64, length: Option<i64>) -> Result<&str> {
    let end = match length {
        Some(length) if length < 0 => {
            return Err(Error::new("22011", "negative substring length not allowed"));
        }
        Some(length) => start.saturating_add(length),
        None => i64::MAX,
    };
    let skip = usize::try_from(start.max(1) - 1).unwrap_or(usize::MAX);
    let take = usize::try_from(end.saturating_sub(start.max(1))).unwrap_or(0);
    if value.is_ascii() {
        let from = skip.min(value.len());
        return Ok(value.get(from..from.saturating_add(take).min(value.len())).unwrap_or_default());
    }
    let place = |count: usize, text: &str| text.char_indices().nth(count).map_or(text.len(), |(at, _)| at);
    let tail = value.get(place(skip, value)..).unwrap_or_default();
    Ok(tail.get(..place(take, tail)).unwrap_or_default())
}

pub(super) fn substring(args: &[Datum]) -> Result<Datum> {
    let [value, start, length] = exactly(args)?;
    slice(text(value)?, integer(start)?, Some(integer(length)?)).map(Datum::text)
}

pub(super) fn substring_from(value: &Datum, start: &Datum) -> Result<Datum> {
    slice(text(value)?, integer(start)?, None).map(Datum::text)
}

/// How many characters from the front a count means, that of the whole if negative.
fn front(value: &str, count: i64) -> i64 {
    if count >= 0 { count } else { (value.chars().count() as i64 + count).max(0) }
}

pub(super) fn left(value: &Datum, count: &Datum) -> Result<Datum> {
    let value = text(value)?;
    slice(value, 1, Some(front(value, integer(count)?))).map(Datum::text)
}

pub(super) fn right(value: &Datum, count: &Datum) -> Result<Datum> {
    let value = text(value)?;
    let count = integer(count)?;
    let skip = match count {
        0.. => (value.chars().count() as i64 - count).max(0),
        // The least of all has no opposite in PostgreSQL, and nothing is left out.
        count if count == i64::from(i32::MIN) => 0,
        count => -count,
    };
    slice(value, skip + 1, None).map(Datum::text)
}

fn find(value: &str, part: &str) -> Datum {
    Datum::Int4(match value.find(part) {
        Some(at) => value.get(..at).unwrap_or_default().chars().count() as i32 + 1,
        None => 0,
    })
}

pub(super) fn position(value: &Datum, part: &Datum) -> Result<Datum> {
    Ok(find(text(value)?, text(part)?))
}

pub(super) fn starts_with(value: &Datum, prefix: &Datum) -> Result<Datum> {
    Ok(Datum::Bool(text(value)?.starts_with(text(prefix)?)))
}

/// The fill of a pad to `length` characters, or the value cut off to them.
fn padding(value: &str, length: i64, fill: &str) -> Result<(String, String)> {
    let length = usize::try_from(length.max(0)).unwrap_or(usize::MAX);
    work::fits(length.saturating_mul(fill.chars().map(char::len_utf8).max().unwrap_or(1)))?;
    let kept: String = value.chars().take(length).collect();
    let missing = if fill.is_empty() { 0 } else { length - kept.chars().count() };
    Ok((fill.chars().cycle().take(missing).collect(), kept))
}

pub(super) fn lpad(args: &[Datum]) -> Result<Datum> {
    let (value, length, fill) = pad_arguments(args)?;
    let (padding, kept) = padding(value, length, fill)?;
    Ok(Datum::from(padding + &kept))
}

pub(super) fn rpad(args: &[Datum]) -> Result<Datum> {
    let (value, length, fill) = pad_arguments(args)?;
    let (padding, kept) = padding(value, length, fill)?;
    Ok(Datum::from(kept + &padding))
}

fn pad_arguments(args: &[Datum]) -> Result<(&str, i64, &str)> {
    match args {
        [value, length] => Ok((text(value)?, integer(length)?, " ")),
        _ => {
            let [value, length, fill] = exactly(args)?;
            Ok((text(value)?, integer(length)?, text(fill)?))
        }
    }
}

/// Characters to trim: a few are looked through, many are hashed.
enum TrimSet<'a> {
    Few(&'a str),
    Many(HashSet<char>),
}

impl TrimSet<'_> {
    fn contains(&self, c: char) -> bool {
        match self {
            Self::Few(set) => set.contains(c),
            Self::Many(set) => set.contains(&c),
        }
    }
}

fn trim_arguments(args: &[Datum]) -> Result<(&str, TrimSet<'_>)> {
    const FEW_BYTES: usize = 32;
    let (value, set) = match args {
        [value] => (text(value)?, " "),
        _ => {
            let [value, set] = exactly(args)?;
            (text(value)?, text(set)?)
        }
    };
    let set = if set.len() <= FEW_BYTES { TrimSet::Few(set) } else { TrimSet::Many(set.chars().collect()) };
    Ok((value, set))
}

pub(super) fn btrim(args: &[Datum]) -> Result<Datum> {
    let (value, set) = trim_arguments(args)?;
    Ok(Datum::text(value.trim_matches(|c| set.contains(c))))
}

pub(super) fn ltrim(args: &[Datum]) -> Result<Datum> {
    let (value, set) = trim_arguments(args)?;
    Ok(Datum::text(value.trim_start_matches(|c| set.contains(c))))
}

pub(super) fn rtrim(args: &[Datum]) -> Result<Datum> {
    let (value, set) = trim_arguments(args)?;
    Ok(Datum::text(value.trim_end_matches(|c| set.contains(c))))
}

pub(super) fn replace(args: &[Datum]) -> Result<Datum> {
    let [value, from, to] = exactly(args)?;
    let (value, from, to) = (text(value)?, text(from)?, text(to)?);
    if from.is_empty() {
        return Ok(Datum::text(value));
    }
    let growth = value.matches(from).count().saturating_mul(to.len());
    work::fits(value.len().saturating_add(growth))?;
    Ok(Datum::from(value.replace(from, to)))
}

pub(super) fn translate(args: &[Datum]) -> Result<Datum> {
    let [value, from, to] = exactly(args)?;
    let (value, from) = (text(value)?, text(from)?);
    let mut to = text(to)?.chars();
    let mut table: HashMap<char, Option<char>> = HashMap::new();
    for from in from.chars() {
        let to = to.next();
        table.entry(from).or_insert(to);
    }
    let translated: String =
        value.chars().filter_map(|c| table.get(&c).copied().unwrap_or(Some(c))).collect();
    Ok(Datum::from(translated))
}

pub(super) fn repeat(value: &Datum, times: &Datum) -> Result<Datum> {
    let (value, times) = (text(value)?, usize::try_from(integer(times)?).unwrap_or(0));
    work::fits(value.len().saturating_mul(times))?;
    Ok(Datum::from(value.repeat(times)))
}

pub(super) fn reverse(value: &Datum) -> Result<Datum> {
    Ok(Datum::from(text(value)?.chars().rev().collect::<String>()))
}

pub(super) fn concatenate(left: &Datum, right: &Datum) -> Result<Datum> {
    let (left, right) = (text(left)?, text(right)?);
    work::fits(left.len().saturating_add(right.len()))?;
    Ok(Datum::Text(Arc::from([left, right].concat())))
}

pub(super) fn split_part(args: &[Datum]) -> Result<Datum> {
    let [value, delimiter, place] = exactly(args)?;
    let (value, delimiter, place) = (text(value)?, text(delimiter)?, int4(place)?);
    if place == 0 {
        return Err(Error::new("22023", "field position must not be zero"));
    }
    let parts = || value.split(if delimiter.is_empty() { value } else { delimiter });
    let part = match usize::try_from(i64::from(place) - 1) {
        _ if delimiter.is_empty() || value.is_empty() => (place == 1 || place == -1).then_some(value),
        Ok(index) => parts().nth(index),
        Err(_) => {
            let index = parts().count().checked_sub(place.unsigned_abs() as usize);
            index.and_then(|index| parts().nth(index))
        }
    };
    Ok(Datum::text(part.unwrap_or_default()))
}

pub(super) fn ascii(value: &Datum) -> Result<Datum> {
    Ok(Datum::Int4(text(value)?.chars().next().map_or(0, |c| c as i32)))
}

pub(super) fn chr(value: &Datum) -> Result<Datum> {
    let code = int4(value)?;
    if code == 0 {
        return Err(Error::new("54000", "null character not permitted"));
    }
    let Ok(code) = u32::try_from(code) else {
        return Err(Error::new("22023", "character number must be positive"));
    };
    match char::from_u32(code) {
        Some(c) => Ok(Datum::from(c.to_string())),
        None if code > 0x10_ffff => {
            Err(Error::new("54000", format!("requested character too large for encoding: {code}")))
        }
        None => Err(Error::new("54000", format!("requested character not valid for encoding: {code}"))),
    }
}

pub(super) fn overlay(args: &[Datum]) -> Result<Datum> {
    let (value, new, start, length) = match args {
        [value, new, start] => {
            let new = text(new)?;
            (text(value)?, new, integer(start)?, new.chars().count() as i64)
        }
        _ => {
            let [value, new, start, length] = exactly(args)?;
            (text(value)?, text(new)?, integer(start)?, integer(length)?)
        }
    };
    if start <= 0 {
        return Err(Error::new("22011", "negative substring length not allowed"));
    }
    let end = i32::try_from(start + length).map_err(|_| Error::out_of_range("integer"))?;
    let head = slice(value, 1, Some(start - 1))?;
    let tail = slice(value, end.into(), None)?;
    Ok(Datum::from([head, new, tail].concat()))
}

/// `string_to_table`: what `string_to_array` makes, one for a row.
pub(super) fn string_to_table(args: &[Datum]) -> Result<Vec<Datum>> {
    match string_to_array(args)? {
        Datum::Array(items) => Ok(items.to_vec()),
        _ => Ok(Vec::new()),
    }
}

pub(super) fn string_to_array(args: &[Datum]) -> Result<Datum> {
    // Not strict: a NULL delimiter splits into characters.
    let (Some(value), delimiter) = (args.first().and_then(Datum::as_str), args.get(1)) else {
        return Ok(Datum::Null);
    };
    let null = args.get(2).and_then(Datum::as_str);
    let item = |part: &str| if Some(part) == null { Datum::Null } else { Datum::text(part) };
    match delimiter.and_then(Datum::as_str) {
        _ if value.is_empty() => Ok(Datum::Array([].into())),
        None => work::array(value.split("").filter(|character| !character.is_empty()).map(item)),
        Some("") => work::array([item(value)].into_iter()),
        Some(delimiter) => work::array(value.split(delimiter).map(item)),
    }
}
