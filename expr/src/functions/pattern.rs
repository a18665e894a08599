//! SIMILAR TO and functions of regular expressions.

use std::sync::Arc;

use regex::Regex;

use super::arguments::{exactly, text};
use super::like::escape_character;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::regular::{Flags, compile};
use crate::work;

/// A SIMILAR TO pattern as a regular expression.
pub(super) fn similar_to_escape(args: &[Datum]) -> Result<Datum> {
    let (pattern, escape) = match args {
        [pattern] => (text(pattern)?, Some('\\')),
        _ => {
            let [pattern, escape] = exactly(args)?;
            (text(pattern)?, escape_character(text(escape)?)?)
        }
    };
    let mut expression = String::from("^(?:");
    let mut in_brackets = false;
    let mut after_escape = false;
    for c in pattern.chars() {
        if after_escape {
            if !c.is_ascii_alphanumeric() {
                expression.push('\\');
            }
            expression.push(c);
            after_escape = false;
        } else if Some(c) == escape {
            after_escape = true;
        } else if in_brackets {
            expression.push(c);
            in_brackets = c != ']';
        } else {
            match c {
                '[' => {
                    expression.push('[');
                    in_brackets = true;
                }
                '%' => expression.push_str(".*"),
                '_' => expression.push('.'),
                '(' => expression.push_str("(?:"),
                '\\' | '.' | '^' | '$' => {
                    expression.push('\\');
                    expression.push(c);
                }
                c => expression.push(c),
            }
        }
    }
    expression.push_str(")$");
    Ok(Datum::from(expression))
}

/// What a replacement writes is counted in portions of this.
const COUNTED_BYTES: usize = 4096;

/// What one match costs beside its length, in bytes' worth.
const MATCH_BYTES: usize = 512;

fn matches(value: &Datum, pattern: &Datum, fold: bool) -> Result<bool> {
    let regex = compile(text(pattern)?, Flags { fold, ..Flags::default() })?;
    Ok(regex.is_match(text(value)?))
}

pub(super) fn regex_match(value: &Datum, pattern: &Datum) -> Result<Datum> {
    matches(value, pattern, false).map(Datum::Bool)
}

pub(super) fn regex_not_match(value: &Datum, pattern: &Datum) -> Result<Datum> {
    matches(value, pattern, false).map(|matches| Datum::Bool(!matches))
}

pub(super) fn regex_match_fold(value: &Datum, pattern: &Datum) -> Result<Datum> {
    matches(value, pattern, true).map(Datum::Bool)
}

pub(super) fn regex_not_match_fold(value: &Datum, pattern: &Datum) -> Result<Datum> {
    matches(value, pattern, true).map(|matches| Datum::Bool(!matches))
}

/// The value, pattern and flags of a function with optional flags.
fn with_flags(args: &[Datum]) -> Result<(&str, Arc<Regex>, Flags)> {
    match args {
        [value, pattern] => {
            let flags = Flags::default();
            Ok((text(value)?, compile(text(pattern)?, flags)?, flags))
        }
        _ => {
            let [value, pattern, letters] = exactly(args)?;
            let flags = Flags::parse(text(letters)?)?;
            Ok((text(value)?, compile(text(pattern)?, Flags { global: false, ..flags })?, flags))
        }
    }
}

fn no_global(flags: Flags, function: &str) -> Result<()> {
    match flags.global {
        true => Err(Error::new("22023", format!("{function} does not support the \"global\" option"))),
        false => Ok(()),
    }
}

pub(super) fn regexp_like(args: &[Datum]) -> Result<Datum> {
    let (value, regex, flags) = with_flags(args)?;
    no_global(flags, "regexp_like()")?;
    Ok(Datum::Bool(regex.is_match(value)))
}

/// The groups of a match, or the whole of it if there are none.
pub(super) fn regexp_match(args: &[Datum]) -> Result<Datum> {
    let (value, regex, flags) = with_flags(args)?;
    if flags.global {
        return Err(Error::new("22023", "regexp_match() does not support the \"global\" option")
            .with_hint("Use the regexp_matches function instead."));
    }
    let Some(captures) = regex.captures(value) else { return Ok(Datum::Null) };
    let skip = usize::from(captures.len() > 1);
    let groups = captures
        .iter()
        .skip(skip)
        .map(|group| group.map_or(Datum::Null, |group| Datum::text(group.as_str())));
    Ok(Datum::Array(groups.collect()))
}

/// The first group of a match, or the whole of it if there are none.
pub(super) fn substring_matching(value: &Datum, pattern: &Datum) -> Result<Datum> {
    let regex = compile(text(pattern)?, Flags::default())?;
    let captures = regex.captures(text(value)?);
    let group = captures.as_ref().and_then(|captures| captures.get(usize::from(captures.len() > 1)));
    Ok(group.map_or(Datum::Null, |group| Datum::text(group.as_str())))
}

/// The groups of each match, or the whole of it if there are none; without the flag g of the first alone.
pub(super) fn regexp_matches(args: &[Datum]) -> Result<Vec<Datum>> {
    let (value, regex, flags) = with_flags(args)?;
    let found = regex.captures_iter(value).take(if flags.global { usize::MAX } else { 1 });
    let rows = found.map(|captures| {
        work::step(MATCH_BYTES + captures.get(0).map_or(0, |whole| whole.len()))?;
        let groups = captures
            .iter()
            .skip(usize::from(captures.len() > 1))
            .map(|group| group.map_or(Datum::Null, |group| Datum::text(group.as_str())));
        Ok(Datum::Array(groups.collect()))
    });
    work::rows(rows, Datum::size_bytes)
}

pub(super) fn regexp_split_to_array(args: &[Datum]) -> Result<Datum> {
    split(args, "regexp_split_to_array()")
}

pub(super) fn regexp_split_to_table(args: &[Datum]) -> Result<Vec<Datum>> {
    match split(args, "regexp_split_to_table()")? {
        Datum::Array(items) => Ok(items.to_vec()),
        _ => Ok(Vec::new()),
    }
}

fn split(args: &[Datum], name: &str) -> Result<Datum> {
    let (value, regex, flags) = with_flags(args)?;
    no_global(flags, name)?;
    let mut ends = Vec::new();
    let mut start = 0;
    for found in regex.find_iter(value) {
        // An empty match at either end, or right behind the last, splits nothing.
        if found.is_empty() && (found.start() == start || found.start() == value.len()) && found.start() == 0
            || found.is_empty() && found.start() == value.len()
        {
            continue;
        }
        work::step(MATCH_BYTES + found.end() - start)?;
        ends.push((start, found.start()));
        start = found.end();
    }
    ends.push((start, value.len()));
    work::array(ends.into_iter().map(|(from, to)| Datum::text(value.get(from..to).unwrap_or_default())))
}

pub(super) fn regexp_replace(args: &[Datum]) -> Result<Datum> {
    let (value, pattern, replacement, letters) = match args {
        [value, pattern, replacement] => (text(value)?, text(pattern)?, text(replacement)?, ""),
        _ => {
            let [value, pattern, replacement, letters] = exactly(args)?;
            (text(value)?, text(pattern)?, text(replacement)?, text(letters)?)
        }
    };
    let flags = Flags::parse(letters)?;
    let regex = compile(pattern, Flags { global: false, ..flags })?;
    let mut out = String::with_capacity(value.len());
    let mut start = 0;
    for captures in regex.captures_iter(value).take(if flags.global { usize::MAX } else { 1 }) {
        let Some(whole) = captures.get(0) else { continue };
        work::step(MATCH_BYTES + whole.end() - start)?;
        out.push_str(value.get(start..whole.start()).unwrap_or_default());
        expand(replacement, &captures, &mut out)?;
        start = whole.end();
    }
    work::fits(out.len().saturating_add(value.len().saturating_sub(start)))?;
    out.push_str(value.get(start..).unwrap_or_default());
    Ok(Datum::from(out))
}

/// Appends a replacement: `\1` to `\9` and `\&` stand for groups and the whole.
fn expand(replacement: &str, captures: &regex::Captures<'_>, out: &mut String) -> Result<()> {
    let mut characters = replacement.chars();
    let mut counted = out.len();
    while let Some(c) = characters.next() {
        if out.len() - counted >= COUNTED_BYTES {
            work::spend(work::fits(out.len())? - counted)?;
            counted = out.len();
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        match characters.next() {
            Some('&') => out.push_str(captures.get(0).map_or("", |group| group.as_str())),
            Some(digit @ '1'..='9') => {
                let place = digit.to_digit(10).unwrap_or(0) as usize;
                out.push_str(captures.get(place).map_or("", |group| group.as_str()));
            }
            Some('\\') => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    work::fits(out.len()).map(drop)
}
