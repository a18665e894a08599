//! Regular expressions: PostgreSQL's advanced ones rewritten for the regex crate, which matches in linear time and so has no
//! back references and no lookaround. Expressions with those are read into a tree ([`read`]), become steps ([`program`]), and are
//! matched one way after the other ([`walk`]). Where alternatives of unlike length match, the first wins and not the longest.

mod code;
mod found;
mod program;
mod read;
mod walk;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use crate::error::{Error, Result};
use program::Program;
use walk::Walk;

pub(crate) use found::{Found, Groups};

/// A compiled expression.
#[derive(Debug)]
pub(crate) enum Regular {
    /// In linear time.
    Linear(Regex),
    /// One way after the other.
    Walked(Box<WalkedProgram>),
}

/// An expression with back references or lookaround.
#[derive(Debug)]
pub(crate) struct WalkedProgram {
    program: Program,
    flags: Flags,
}

impl Regular {
    /// Whether it matches anywhere.
    ///
    /// # Errors
    /// The statement is to end, or takes too much.
    pub(crate) fn is_match(&self, text: &str) -> Result<bool> {
        match self {
            Self::Linear(regex) => Ok(regex.is_match(text)),
            Self::Walked(_) => Ok(self.groups(text, 0)?.is_some()),
        }
    }

    /// The first match that begins at a byte or behind it.
    ///
    /// # Errors
    /// As [`Self::is_match`].
    pub(crate) fn groups<'t>(&self, text: &'t str, from: usize) -> Result<Option<Groups<'t>>> {
        Ok(match self {
            Self::Linear(regex) => regex.captures_at(text, from).map(|captures| {
                let span = |group: Option<regex::Match<'_>>| group.map(|group| (group.start(), group.end()));
                Groups::new(text, captures.iter().map(span).collect())
            }),
            Self::Walked(walked) => {
                let spans = Walk::new(&walked.program, walked.flags, text).find(from)?;
                spans.map(|spans| Groups::new(text, spans))
            }
        })
    }
}

/// 2201B
fn invalid(reason: &str) -> Error {
    Error::new("2201B", format!("invalid regular expression: {reason}"))
}

fn too_complex() -> Error {
    invalid("regular expression is too complex")
}

/// How a regular expression is to be read and applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Flags {
    pub(crate) fold: bool,
    /// `n`, `w`: lines have a beginning and an end of their own.
    pub(crate) anchors: bool,
    /// `n`, `p`: what stands for any character does not for the end of a line.
    pub(crate) stops: bool,
    pub(crate) extended: bool,
    pub(crate) global: bool,
    /// `q`: no special characters.
    pub(crate) literal: bool,
}

impl Flags {
    /// From the letters that functions take.
    pub(crate) fn parse(letters: &str) -> Result<Self> {
        let mut flags = Flags::default();
        for letter in letters.chars() {
            match letter {
                'i' => flags.fold = true,
                'c' => flags.fold = false,
                'n' | 'm' => (flags.anchors, flags.stops) = (true, true),
                'p' => (flags.anchors, flags.stops) = (false, true),
                'w' => (flags.anchors, flags.stops) = (true, false),
                's' => (flags.anchors, flags.stops) = (false, false),
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

/// Compiled expressions that a thread keeps.
const CACHED_MAX: usize = 64;

/// The longest expression, in bytes: its tree takes a thousand times as much where a few characters name many.
const PATTERN_BYTES_MAX: usize = 64 << 10;

thread_local! {
    static CACHE: RefCell<HashMap<(String, Flags), Arc<Regular>>> = RefCell::new(HashMap::new());
}

/// The expression, made for this thread at its first use.
///
/// # Errors
/// 2201B: it is none, or too complex.
pub(crate) fn compile(pattern: &str, flags: Flags) -> Result<Arc<Regular>> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(too_complex());
    }
    CACHE.with_borrow_mut(|cache| {
        let key = (pattern.to_owned(), flags);
        if let Some(regex) = cache.get(&key) {
            return Ok(regex.clone());
        }
        let (rewritten, flags) = rewrite(pattern, flags)?;
        let built = RegexBuilder::new(&rewritten)
            .case_insensitive(flags.fold)
            .multi_line(flags.anchors)
            .dot_matches_new_line(!flags.stops)
            .ignore_whitespace(flags.extended)
            .size_limit(4 << 20)
            .build();
        let regular = match built {
            Ok(regex) => Regular::Linear(regex),
            Err(error) if looks_around_or_back(&error) => {
                let program = Program::of(read::read(&rewritten, flags)?)?;
                Regular::Walked(Box::new(WalkedProgram { program, flags }))
            }
            Err(error) => return Err(refused(pattern, &error)),
        };
        if cache.len() >= CACHED_MAX {
            cache.clear();
        }
        let regular = Arc::new(regular);
        cache.insert(key, regular.clone());
        Ok(regular)
    })
}

/// Whether an expression was refused for what takes more than linear time.
fn looks_around_or_back(error: &regex::Error) -> bool {
    let message = error.to_string();
    message.contains("look-around") || message.contains("backreferences")
}

fn refused(pattern: &str, error: &regex::Error) -> Error {
    let message = error.to_string();
    if matches!(error, regex::Error::CompiledTooBig(_)) {
        return too_complex();
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
        flags.anchors |= embedded.anchors;
        flags.stops |= embedded.stops;
        flags.extended |= embedded.extended;
        pattern = rest;
    }
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut in_brackets = false;
    let mut groups = 0;
    let mut characters = pattern.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\\' => {
                let escaped = characters.next().ok_or_else(wrong_escape)?;
                match escaped {
                    'x' => code::push(code::digits(&mut characters, 16, 1..=255)?, &mut out)?,
                    'u' => code::push(code::digits(&mut characters, 16, 4..=4)?, &mut out)?,
                    'U' => code::push(code::digits(&mut characters, 16, 8..=8)?, &mut out)?,
                    '0'..='9' => match code::back_reference(escaped, &mut characters, groups) {
                        Some(_) if in_brackets => return Err(wrong_escape()),
                        Some(number) => {
                            out.push('\\');
                            out.push_str(&number);
                        }
                        None => code::push(code::octal(escaped, &mut characters)?, &mut out)?,
                    },
                    escaped => push_escape(escaped, in_brackets, &mut out),
                }
            }
            '(' if !in_brackets => {
                groups += usize::from(characters.peek() != Some(&'?'));
                out.push(c);
            }
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

fn wrong_escape() -> Error {
    invalid("invalid escape \\ sequence")
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
        'b' => out.push_str("\\x08"),
        'B' => out.push_str("\\\\"),
        c if c.is_ascii_alphanumeric() => {
            out.push('\\');
            out.push(c);
        }
        c if c.is_ascii() => out.push_str(&regex::escape(&c.to_string())),
        c => out.push(c),
    }
}

/// The expression of `like_regex` in a jsonpath, with the letters of its flags.
///
/// # Errors
/// 2201B: it is none. 0A000: `x` is among the flags.
pub(crate) fn like_regex(pattern: &str, letters: &str) -> Result<Arc<Regular>> {
    let has = |letter| letters.contains(letter);
    if has('q') {
        return compile(pattern, Flags { fold: has('i'), literal: true, ..Flags::default() });
    }
    if has('x') {
        return Err(Error::new(
            "0A000",
            "XQuery \"x\" flag (expanded regular expressions) is not implemented",
        ));
    }
    compile(pattern, Flags { fold: has('i'), anchors: has('m'), stops: !has('s'), ..Flags::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(pattern: &str) -> Result<Arc<Regular>> {
        compile(pattern, Flags::default())
    }

    #[test]
    fn what_would_take_too_much_to_read_is_refused() {
        // Nothing, so many times that nobody could wait for it.
        let nothing = (0..12).fold(String::new(), |inner, _| format!("(?:{inner}){{255}}"));
        let classes: String = (0..200).map(|c| format!("[a\\x{c:x}]")).collect();
        let long = "a".repeat(PATTERN_BYTES_MAX + 1);
        for pattern in [format!("(?=a){nothing}"), format!("(?=a){classes}"), long] {
            assert_eq!(compiled(&pattern).unwrap_err().sqlstate, "2201B", "{}", pattern.len());
        }
    }

    #[test]
    fn bracket_expressions_that_are_alike_are_one() {
        let digits = "0".repeat(2000);
        let regular = compiled(&format!("^(?=0){}$", "\\d".repeat(digits.len()))).unwrap();
        assert!(regular.is_match(&digits).unwrap());
        assert!(matches!(&*regular, Regular::Walked(walked) if walked.program.classes.len() == 1));
    }

    #[test]
    fn ways_back_around_a_look_count_with_those_in_it() {
        let text = format!("{}b", "a".repeat(800_000)).repeat(3);
        assert!(compiled("^(?=a*b)").unwrap().is_match(&text).unwrap());
        let nested = compiled("^(?=a*b(?=a*b(?=a*b)))").unwrap();
        assert_eq!(nested.is_match(&text).unwrap_err().sqlstate, "54000");
    }
}
