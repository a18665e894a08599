//! Functions that ask for one of the matches of a regular expression, counted from a place in a text.

use std::sync::Arc;

use super::arguments::{integer, mismatch, text};
use super::pattern::{MATCH_BYTES, Matches, no_global, replace};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::regular::{Flags, Found, Groups, Regular, compile};
use crate::work;

/// What is asked for.
struct Asked<'t> {
    value: &'t str,
    regex: Arc<Regular>,
    /// Where the first match may begin, in bytes; `None`: behind the end.
    from: Option<usize>,
}

fn invalid(parameter: &str, value: i64) -> Error {
    Error::new("22023", format!("invalid value for parameter \"{parameter}\": {value}"))
}

/// A number that is given, or not; not below `least`.
fn number(value: Option<&Datum>, parameter: &str, least: i64, otherwise: i64) -> Result<usize> {
    let number = value.map_or(Ok(otherwise), integer)?;
    usize::try_from(number).ok().filter(|_| number >= least).ok_or_else(|| invalid(parameter, number))
}

/// The byte at which the character of this number begins, counted from 1.
fn place(value: &str, start: usize) -> Option<usize> {
    let ends = value.char_indices().map(|(at, _)| at).chain([value.len()]);
    ends.into_iter().nth(start - 1)
}

impl<'t> Asked<'t> {
    fn new(
        value: &'t Datum,
        pattern: &Datum,
        start: usize,
        flags: Option<&Datum>,
        function: &str,
    ) -> Result<Self> {
        let flags = flags.map_or(Ok(Flags::default()), |letters| Flags::parse(text(letters)?))?;
        no_global(flags, function)?;
        let value = text(value)?;
        Ok(Self { value, regex: compile(text(pattern)?, flags)?, from: place(value, start) })
    }

    fn matches(&self) -> impl Iterator<Item = Result<Groups<'t>>> {
        self.from.into_iter().flat_map(|from| Matches::of(&self.regex, self.value, from))
    }

    /// A group of the `number`th match; 0 is the whole of it.
    fn group(&self, number: usize, group: usize) -> Result<Option<Found<'t>>> {
        for (found, captures) in self.matches().enumerate() {
            let captures = captures?;
            work::step(MATCH_BYTES)?;
            if found + 1 == number {
                return Ok(captures.get(group));
            }
        }
        Ok(None)
    }
}

/// regexp_count(string, pattern [, start [, flags]])
pub(super) fn regexp_count(args: &[Datum]) -> Result<Datum> {
    let [value, pattern, rest @ ..] = args else { return Err(mismatch()) };
    let start = number(rest.first(), "start", 1, 1)?;
    let asked = Asked::new(value, pattern, start, rest.get(1), "regexp_count()")?;
    let mut count = 0;
    for found in asked.matches() {
        found?;
        work::step(MATCH_BYTES)?;
        count += 1;
    }
    Ok(Datum::Int4(count))
}

/// regexp_instr(string, pattern [, start [, N [, endoption [, flags [, subexpr]]]]])
pub(super) fn regexp_instr(args: &[Datum]) -> Result<Datum> {
    let [value, pattern, rest @ ..] = args else { return Err(mismatch()) };
    let start = number(rest.first(), "start", 1, 1)?;
    let wanted = number(rest.get(1), "n", 1, 1)?;
    let behind = match number(rest.get(2), "endoption", 0, 0)? {
        0 => false,
        1 => true,
        other => return Err(invalid("endoption", i64::try_from(other).unwrap_or(i64::MAX))),
    };
    let group = number(rest.get(4), "subexpr", 0, 0)?;
    let asked = Asked::new(value, pattern, start, rest.get(3), "regexp_instr()")?;
    let Some(found) = asked.group(wanted, group)? else { return Ok(Datum::Int4(0)) };
    let at = if behind { found.end() } else { found.start() };
    let before = asked.value.get(..at).unwrap_or_default().chars().count();
    Ok(Datum::Int4(i32::try_from(before + 1).unwrap_or(i32::MAX)))
}

/// regexp_substr(string, pattern [, start [, N [, flags [, subexpr]]]])
pub(super) fn regexp_substr(args: &[Datum]) -> Result<Datum> {
    let [value, pattern, rest @ ..] = args else { return Err(mismatch()) };
    let start = number(rest.first(), "start", 1, 1)?;
    let wanted = number(rest.get(1), "n", 1, 1)?;
    let group = number(rest.get(3), "subexpr", 0, 0)?;
    let asked = Asked::new(value, pattern, start, rest.get(2), "regexp_substr()")?;
    Ok(asked.group(wanted, group)?.map_or(Datum::Null, |found| Datum::text(found.as_str())))
}

/// regexp_replace(string, pattern, replacement, start [, N [, flags]])
pub(super) fn regexp_replace_from(args: &[Datum]) -> Result<Datum> {
    let [value, pattern, replacement, rest @ ..] = args else { return Err(mismatch()) };
    let start = number(rest.first(), "start", 1, 1)?;
    let wanted = number(rest.get(1), "n", 0, 1)?;
    let flags = rest.get(2).map_or(Ok(Flags::default()), |letters| Flags::parse(text(letters)?))?;
    let (value, replacement) = (text(value)?, text(replacement)?);
    // N says how many, whatever g says.
    let regex = compile(text(pattern)?, Flags { global: false, ..flags })?;
    match place(value, start) {
        Some(from) => replace(value, &regex, replacement, from, (wanted > 0).then_some(wanted)),
        None => Ok(Datum::text(value)),
    }
}
