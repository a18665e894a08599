//! SIMILAR TO and functions of regular expressions.

use std::sync::Arc;

use super::arguments::{exactly, text};
use super::like::escape_character;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::regular::{Flags, Groups, Regular, compile};
use crate::work;

/// A SIMILAR TO pattern as a regular expression.
pub(super) fn similar_to_escape(args: &[Datum]) -> Result<Datum> {
    match args {
        [pattern] => similar(text(pattern)?, Some('\\')),
        _ => {
            let [pattern, escape] = exactly(args)?;
            similar(text(pattern)?, escape_character(text(escape)?)?)
        }
    }
    .map(Datum::from)
}

/// The same; NULL stands for the usual escape.
pub(super) fn similar_escape(pattern: &Datum, escape: &Datum) -> Result<Datum> {
    match (pattern, escape) {
        (Datum::Null, _) => Ok(Datum::Null),
        (pattern, Datum::Null) => similar(text(pattern)?, Some('\\')).map(Datum::from),
        (pattern, escape) => similar(text(pattern)?, escape_character(text(escape)?)?).map(Datum::from),
    }
}

/// The part of a text between the separators of a SIMILAR TO pattern, where that is all of the text.
pub(super) fn substring_similar(args: &[Datum]) -> Result<Datum> {
    let [value, pattern, escape] = exactly(args)?;
    let expression = similar(text(pattern)?, escape_character(text(escape)?)?)?;
    substring_matching(value, &Datum::from(expression))
}

/// `A#"B#"C` asks for the shortest A, and B is what is wanted: each is a part that is there once, and prefers few or many.
fn similar(pattern: &str, escape: Option<char>) -> Result<String> {
    let mut expression = String::from("^(?:");
    let (mut in_brackets, mut after_escape, mut separators) = (false, false, 0);
    for c in pattern.chars() {
        if after_escape {
            after_escape = false;
            match (c, separators) {
                ('"', 0) if !in_brackets => expression.push_str("){1,1}?("),
                ('"', 1) if !in_brackets => expression.push_str("){1,1}(?:"),
                ('"', _) if !in_brackets => {
                    let message =
                        "SQL regular expression may not contain more than two escape-double-quote separators";
                    return Err(Error::new("2200C", message));
                }
                (c, _) => {
                    expression.push('\\');
                    expression.push(c);
                    continue;
                }
            }
            separators += 1;
        } else if Some(c) == escape {
            after_escape = true;
        } else if in_brackets {
            if c == '\\' {
                expression.push('\\');
            }
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
    Ok(expression)
}

/// What a replacement writes is counted in portions of this.
const COUNTED_BYTES: usize = 4096;

/// What one match costs beside its length, in bytes' worth.
pub(super) const MATCH_BYTES: usize = 512;

fn matches(value: &Datum, pattern: &Datum, fold: bool) -> Result<bool> {
    let regex = compile(text(pattern)?, Flags { fold, ..Flags::default() })?;
    regex.is_match(text(value)?)
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
fn with_flags(args: &[Datum]) -> Result<(&str, Arc<Regular>, Flags)> {
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

pub(super) fn no_global(flags: Flags, function: &str) -> Result<()> {
    match flags.global {
        true => Err(Error::new("22023", format!("{function} does not support the \"global\" option"))),
        false => Ok(()),
    }
}

pub(super) fn regexp_like(args: &[Datum]) -> Result<Datum> {
    let (value, regex, flags) = with_flags(args)?;
    no_global(flags, "regexp_like()")?;
    regex.is_match(value).map(Datum::Bool)
}

/// The groups of a match, or the whole of it if there are none.
pub(super) fn regexp_match(args: &[Datum]) -> Result<Datum> {
    let (value, regex, flags) = with_flags(args)?;
    if flags.global {
        return Err(Error::new("22023", "regexp_match() does not support the \"global\" option")
            .with_hint("Use the regexp_matches function instead."));
    }
    let Some(captures) = regex.groups(value, 0)? else { return Ok(Datum::Null) };
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
    let captures = regex.groups(text(value)?, 0)?;
    let group = captures.as_ref().and_then(|captures| captures.get(usize::from(captures.len() > 1)));
    Ok(group.map_or(Datum::Null, |group| Datum::text(group.as_str())))
}

/// The matches of an expression in a text, one behind the other. An empty one may stand right behind another.
pub(super) struct Matches<'r, 't> {
    regex: &'r Regular,
    value: &'t str,
    /// Where the next is looked for; none: behind the end.
    from: Option<usize>,
}

impl<'r, 't> Matches<'r, 't> {
    /// Those that begin at this byte or behind it.
    pub(super) fn of(regex: &'r Regular, value: &'t str, from: usize) -> Self {
        Self { regex, value, from: Some(from) }
    }
}

impl<'t> Iterator for Matches<'_, 't> {
    type Item = Result<Groups<'t>>;

    fn next(&mut self) -> Option<Self::Item> {
        let from = self.from.take()?;
        let captures = match self.regex.groups(self.value, from) {
            Ok(captures) => captures?,
            Err(error) => return Some(Err(error)),
        };
        let whole = captures.get(0)?;
        self.from = match whole.is_empty() {
            false => Some(whole.end()),
            true => {
                let rest = self.value.get(whole.end()..).unwrap_or_default();
                rest.chars().next().map(|c| whole.end() + c.len_utf8())
            }
        };
        Some(Ok(captures))
    }
}

/// The groups of each match, or the whole of it if there are none; without the flag g of the first alone.
pub(super) fn regexp_matches(args: &[Datum]) -> Result<Vec<Datum>> {
    let (value, regex, flags) = with_flags(args)?;
    let found = Matches::of(&regex, value, 0).take(if flags.global { usize::MAX } else { 1 });
    let rows = found.map(|captures| {
        let captures = captures?;
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
    let (mut start, mut last_end) = (0, 0);
    for captures in Matches::of(&regex, value, 0) {
        let Some(found) = captures?.get(0) else { continue };
        // An empty match at either end, or right behind the last, splits nothing.
        let splits = found.start() < value.len() && found.end() > last_end;
        last_end = found.end();
        if splits {
            work::step(MATCH_BYTES + found.end() - start)?;
            ends.push((start, found.start()));
            start = found.end();
        }
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
    let flags = Flags::parse(letters).map_err(|error| match letters.starts_with(|c: char| c.is_ascii_digit()) {
        true => error.with_hint(
            "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.",
        ),
        false => error,
    })?;
    let regex = compile(pattern, Flags { global: false, ..flags })?;
    replace(value, &regex, replacement, 0, (!flags.global).then_some(1))
}

/// The text with a replacement for the `number`th match from a byte on, or for each of them.
pub(super) fn replace(
    value: &str,
    regex: &Regular,
    replacement: &str,
    from: usize,
    number: Option<usize>,
) -> Result<Datum> {
    let mut out = String::with_capacity(value.len());
    let mut start = 0;
    let (skip, take) = number.map_or((0, usize::MAX), |number| (number - 1, 1));
    for captures in Matches::of(regex, value, from).skip(skip).take(take) {
        let captures = captures?;
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
fn expand(replacement: &str, captures: &Groups<'_>, out: &mut String) -> Result<()> {
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
