//! SIMILAR TO and regular expressions.
//!
//! Regular expressions are PostgreSQL's advanced ones rewritten for the regex crate, which matches in linear time and
//! so has no back references and no lookaround: those are refused (0A000). Where alternatives of unlike length match,
//! the first wins and not the longest.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::arguments::{exactly, text};
use super::like::escape_character;
use crate::datum::Datum;
use crate::error::{Error, Result};
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

/// How a regular expression is to be read and applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Flags {
    fold: bool,
    /// `n`: newlines end lines.
    lines: bool,
    extended: bool,
    global: bool,
    /// `q`: no special characters.
    literal: bool,
}

impl Flags {
    fn parse(letters: &str) -> Result<Self> {
        let mut flags = Flags::default();
        for letter in letters.chars() {
            match letter {
                'i' => flags.fold = true,
                'c' => flags.fold = false,
                'n' | 'm' => flags.lines = true,
                's' => flags.lines = false,
                'x' => flags.extended = true,
                't' => flags.extended = false,
                'g' => flags.global = true,
                'q' => flags.literal = true,
                'e' | 'b' => {}
                other => {
                    return Err(Error::new(
                        "22023",
                        format!("invalid regular expression option: \"{other}\""),
                    ));
                }
            }
        }
        Ok(flags)
    }
}

/// What a replacement writes is counted in portions of this.
const COUNTED_BYTES: usize = 4096;

/// What one match costs beside its length, in bytes' worth.
const MATCH_BYTES: usize = 512;

/// Compiled expressions that a thread keeps.
const CACHED_MAX: usize = 64;

thread_local! {
    static CACHE: RefCell<HashMap<(String, Flags), Arc<Regex>>> = RefCell::new(HashMap::new());
}

fn compile(pattern: &str, flags: Flags) -> Result<Arc<Regex>> {
    CACHE.with_borrow_mut(|cache| {
        let key = (pattern.to_owned(), flags);
        if let Some(regex) = cache.get(&key) {
            return Ok(regex.clone());
        }
        let (rewritten, flags) = rewrite(pattern, flags)?;
        let regex = RegexBuilder::new(&rewritten)
            .case_insensitive(flags.fold)
            .multi_line(flags.lines)
            .dot_matches_new_line(!flags.lines)
            .ignore_whitespace(flags.extended)
            .size_limit(4 << 20)
            .build()
            .map_err(|error| refused(pattern, &error))?;
        if cache.len() >= CACHED_MAX {
            cache.clear();
        }
        let regex = Arc::new(regex);
        cache.insert(key, regex.clone());
        Ok(regex)
    })
}

fn refused(pattern: &str, error: &regex::Error) -> Error {
    let message = error.to_string();
    if message.contains("look-around") || message.contains("backreferences") {
        return Error::unsupported("back references and lookaround in regular expressions");
    }
    if matches!(error, regex::Error::CompiledTooBig(_)) {
        return Error::new("2201B", "invalid regular expression: regular expression is too complex");
    }
    let last = message.lines().last().unwrap_or_default();
    let reason = last.strip_prefix("error: ").unwrap_or(last).to_owned();
    let reason =
        match pattern.matches('(').count() != pattern.matches(')').count() && reason.contains("group") {
            true => "parentheses () not balanced".to_owned(),
            false if reason.contains("character class") => "brackets [] not balanced".to_owned(),
            false if reason.contains("repetition") => "quantifier operand invalid".to_owned(),
            false => reason,
        };
    Error::new("2201B", format!("invalid regular expression: {reason}"))
}

/// PostgreSQL's escapes and embedded options in the crate's spelling.
fn rewrite(pattern: &str, mut flags: Flags) -> Result<(String, Flags)> {
    let mut pattern = pattern;
    if let Some(literal) = pattern.strip_prefix("***=") {
        return Ok((regex::escape(literal), flags));
    }
    if flags.literal {
        return Ok((regex::escape(pattern), flags));
    }
    pattern = pattern.strip_prefix("***:").unwrap_or(pattern);
    if let Some((letters, rest)) = pattern.strip_prefix("(?").and_then(|rest| rest.split_once(')'))
        && !letters.is_empty()
        && letters.bytes().all(|byte| byte.is_ascii_lowercase())
    {
        let embedded = Flags::parse(letters)?;
        flags.fold |= embedded.fold;
        flags.lines |= embedded.lines;
        flags.extended |= embedded.extended;
        pattern = rest;
    }
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut in_brackets = false;
    let mut characters = pattern.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(escaped) => push_escape(escaped, in_brackets, &mut out),
                None => {
                    return Err(Error::new(
                        "2201B",
                        "invalid regular expression: invalid escape \\ sequence",
                    ));
                }
            },
            '[' if in_brackets => match characters.peek() {
                Some(':') => {
                    // A class by name, up to its `:]`.
                    out.push('[');
                    while let Some(c) = characters.next() {
                        out.push(c);
                        if c == ':' && characters.peek() == Some(&']') {
                            out.extend(characters.next());
                            break;
                        }
                    }
                }
                _ => out.push_str("\\["),
            },
            '[' => {
                in_brackets = true;
                out.push('[');
                out.extend(characters.next_if_eq(&'^'));
                // A bracket right at the front is meant literally.
                if characters.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            ']' if in_brackets => {
                in_brackets = false;
                out.push(']');
            }
            '&' | '~' if in_brackets => {
                out.push('\\');
                out.push(c);
            }
            '-' if in_brackets && characters.peek() == Some(&'-') => out.push_str("\\-"),
            '{' if !in_brackets && !characters.peek().is_some_and(char::is_ascii_digit) => {
                out.push_str("\\{")
            }
            c => out.push(c),
        }
    }
    Ok((out, flags))
}

fn push_escape(escaped: char, in_brackets: bool, out: &mut String) {
    let class = match escaped {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        's' => " \\t\\n\\r\\f\\v",
        _ => "",
    };
    match escaped {
        'd' | 'w' | 's' if in_brackets => out.push_str(class),
        'd' | 'w' | 's' => {
            out.push('[');
            out.push_str(class);
            out.push(']');
        }
        'D' => out.push_str("[^0-9]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        'S' => out.push_str("[^ \\t\\n\\r\\f\\v]"),
        'y' => out.push_str("\\b"),
        'Y' => out.push_str("\\B"),
        'm' => out.push_str("\\b{start}"),
        'M' => out.push_str("\\b{end}"),
        'Z' => out.push_str("\\z"),
        'e' => out.push_str("\\x1b"),
        'B' => out.push_str("\\\\"),
        c if c.is_ascii_alphanumeric() => {
            out.push('\\');
            out.push(c);
        }
        c if c.is_ascii() => out.push_str(&regex::escape(&c.to_string())),
        c => out.push(c),
    }
}

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
