//! What a bracket expression matches: a set of characters. Named classes are those of the C locale.

use std::iter::Peekable;
use std::str::Chars;

use super::code::{self, Escaped};
use super::{Flags, invalid, wrong_escape};
use crate::error::{Error, Result};

/// A set of characters.
#[derive(Debug, Clone, Default)]
pub(super) struct Class {
    /// From one to another, both among them.
    pub(super) ranges: Vec<(char, char)>,
    /// All others are meant.
    pub(super) negated: bool,
}

impl Class {
    /// Of a class escape's letter in lower case: `d`, `s`, `w`.
    pub(super) fn of_escape(letter: char) -> Self {
        let name = match letter {
            'd' => "digit",
            's' => "space",
            _ => "word",
        };
        Self { ranges: named(name).unwrap_or_default().to_vec(), negated: false }
    }

    /// Whether a character is in it; `fold`: in either case.
    pub(super) fn has(&self, c: char, fold: bool) -> bool {
        let within = |c: char| self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&c));
        let found = within(c) || fold && (c.to_lowercase().any(within) || c.to_uppercase().any(within));
        found != self.negated
    }

    /// Adds all characters but those of a set.
    fn add_others(&mut self, ranges: &[(char, char)]) {
        let mut sorted = ranges.to_vec();
        sorted.sort_unstable();
        let mut next = Some('\0');
        for (first, last) in sorted {
            if let Some(from) = next
                && let Some(before) = previous(first)
                && from <= before
            {
                self.ranges.push((from, before));
            }
            next = following(last);
        }
        self.ranges.extend(next.map(|from| (from, char::MAX)));
    }
}

fn previous(c: char) -> Option<char> {
    ('\0'..c).next_back()
}

fn following(c: char) -> Option<char> {
    (c..=char::MAX).nth(1)
}

/// The characters of a named class.
fn named(name: &str) -> Option<&'static [(char, char)]> {
    let ranges: &'static [(char, char)] = match name {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "ascii" => &[('\0', '\x7f')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
        "digit" => &[('0', '9')],
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        "word" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        _ => return None,
    };
    Some(ranges)
}

/// Collating elements by their names.
const ELEMENTS: &[(&str, char)] = &[
    ("NUL", '\0'),
    ("SOH", '\x01'),
    ("STX", '\x02'),
    ("ETX", '\x03'),
    ("EOT", '\x04'),
    ("ENQ", '\x05'),
    ("ACK", '\x06'),
    ("BEL", '\x07'),
    ("alert", '\x07'),
    ("BS", '\x08'),
    ("backspace", '\x08'),
    ("HT", '\t'),
    ("tab", '\t'),
    ("LF", '\n'),
    ("newline", '\n'),
    ("VT", '\x0b'),
    ("vertical-tab", '\x0b'),
    ("FF", '\x0c'),
    ("form-feed", '\x0c'),
    ("CR", '\r'),
    ("carriage-return", '\r'),
    ("SO", '\x0e'),
    ("SI", '\x0f'),
    ("DLE", '\x10'),
    ("DC1", '\x11'),
    ("DC2", '\x12'),
    ("DC3", '\x13'),
    ("DC4", '\x14'),
    ("NAK", '\x15'),
    ("SYN", '\x16'),
    ("ETB", '\x17'),
    ("CAN", '\x18'),
    ("EM", '\x19'),
    ("SUB", '\x1a'),
    ("ESC", '\x1b'),
    ("IS4", '\x1c'),
    ("FS", '\x1c'),
    ("IS3", '\x1d'),
    ("GS", '\x1d'),
    ("IS2", '\x1e'),
    ("RS", '\x1e'),
    ("IS1", '\x1f'),
    ("US", '\x1f'),
    ("space", ' '),
    ("exclamation-mark", '!'),
    ("quotation-mark", '"'),
    ("number-sign", '#'),
    ("dollar-sign", '$'),
    ("percent-sign", '%'),
    ("ampersand", '&'),
    ("apostrophe", '\''),
    ("left-parenthesis", '('),
    ("right-parenthesis", ')'),
    ("asterisk", '*'),
    ("plus-sign", '+'),
    ("comma", ','),
    ("hyphen", '-'),
    ("hyphen-minus", '-'),
    ("period", '.'),
    ("full-stop", '.'),
    ("slash", '/'),
    ("solidus", '/'),
    ("zero", '0'),
    ("one", '1'),
    ("two", '2'),
    ("three", '3'),
    ("four", '4'),
    ("five", '5'),
    ("six", '6'),
    ("seven", '7'),
    ("eight", '8'),
    ("nine", '9'),
    ("colon", ':'),
    ("semicolon", ';'),
    ("less-than-sign", '<'),
    ("equals-sign", '='),
    ("greater-than-sign", '>'),
    ("question-mark", '?'),
    ("commercial-at", '@'),
    ("left-square-bracket", '['),
    ("backslash", '\\'),
    ("reverse-solidus", '\\'),
    ("right-square-bracket", ']'),
    ("circumflex", '^'),
    ("circumflex-accent", '^'),
    ("underscore", '_'),
    ("low-line", '_'),
    ("grave-accent", '`'),
    ("left-brace", '{'),
    ("left-curly-bracket", '{'),
    ("vertical-line", '|'),
    ("right-brace", '}'),
    ("right-curly-bracket", '}'),
    ("tilde", '~'),
    ("DEL", '\x7f'),
];

fn element(name: &str) -> Result<char> {
    let mut characters = name.chars();
    if let (Some(only), None) = (characters.next(), characters.next()) {
        return Ok(only);
    }
    let found = ELEMENTS.iter().find(|(known, _)| *known == name);
    found.map(|(_, c)| *c).ok_or_else(|| invalid("invalid collating element"))
}

/// A part of a bracket expression.
enum Part {
    Character(char),
    /// `[.a.]`, which like a character may be the end of a range.
    Element(char),
    /// `-` between others.
    Hyphen,
    Set(Vec<(char, char)>),
    /// All but these.
    Others(Vec<(char, char)>),
    End,
}

struct Reader<'r, 'p> {
    rest: &'r mut Peekable<Chars<'p>>,
    flags: Flags,
    groups: usize,
}

/// What follows `[`, its `]` included, where so many groups have begun.
///
/// # Errors
/// 2201B
pub(super) fn read(rest: &mut Peekable<Chars<'_>>, flags: Flags, groups: usize) -> Result<Class> {
    let mut class = Class { negated: rest.next_if_eq(&'^').is_some(), ..Class::default() };
    let mut reader = Reader { rest, flags, groups };
    let mut is_first = true;
    loop {
        let part = reader.part(is_first)?;
        is_first = false;
        match part {
            Part::End => break,
            Part::Hyphen => return Err(wrong_range()),
            Part::Set(ranges) => class.ranges.extend(ranges),
            Part::Others(ranges) => class.add_others(&ranges),
            Part::Character(first) | Part::Element(first) => {
                let last = if reader.begins_range() { reader.range_end()? } else { first };
                if last < first {
                    return Err(wrong_range());
                }
                class.ranges.push((first, last));
            }
        }
    }
    if class.negated && flags.stops {
        class.ranges.push(('\n', '\n'));
    }
    Ok(class)
}

fn wrong_range() -> Error {
    invalid("invalid character range")
}

fn unbalanced() -> Error {
    invalid("brackets [] not balanced")
}

impl Reader<'_, '_> {
    /// Whether a `-` stands here that is no end. It is read then.
    fn begins_range(&mut self) -> bool {
        let mut ahead = self.rest.clone();
        let begins = ahead.next() == Some('-') && ahead.peek() != Some(&']');
        if begins {
            self.rest.next();
        }
        begins
    }

    fn range_end(&mut self) -> Result<char> {
        match self.part(false)? {
            Part::Character(c) | Part::Element(c) => Ok(c),
            Part::Hyphen => Ok('-'),
            Part::Set(_) | Part::Others(_) | Part::End => Err(wrong_range()),
        }
    }

    fn part(&mut self, is_first: bool) -> Result<Part> {
        Ok(match self.rest.next().ok_or_else(unbalanced)? {
            ']' if !is_first => Part::End,
            '-' if !is_first && self.rest.peek() != Some(&']') => Part::Hyphen,
            '\\' => match code::escape(self.rest)? {
                Escaped::Character(c) => Part::Character(c),
                Escaped::Class { letter, negated } => {
                    let ranges = Class::of_escape(letter).ranges;
                    if negated { Part::Others(ranges) } else { Part::Set(ranges) }
                }
                Escaped::Digit(digit) if code::back_reference(digit, self.rest, self.groups).is_none() => {
                    Part::Character(code::character(code::octal(digit, self.rest)?)?)
                }
                Escaped::Edge(_) | Escaped::Digit(_) => return Err(wrong_escape()),
            },
            '[' => match self.rest.peek() {
                Some('.') => Part::Element(element(&self.name('.')?)?),
                Some('=') => {
                    let c = element(&self.name('=')?)?;
                    Part::Set(vec![(c, c)])
                }
                Some(':') => Part::Set(self.named()?),
                Some(_) => Part::Character('['),
                None => return Err(unbalanced()),
            },
            c => Part::Character(c),
        })
    }

    fn named(&mut self) -> Result<Vec<(char, char)>> {
        let name = self.name(':')?;
        let name = match name.as_str() {
            "lower" | "upper" if self.flags.fold => "alpha",
            name => name,
        };
        named(name).map(<[_]>::to_vec).ok_or_else(|| invalid("invalid character class"))
    }

    /// A name between two marks, the first of which comes next; the `]` behind the second is read, too.
    fn name(&mut self, mark: char) -> Result<String> {
        self.rest.next();
        let mut name = String::new();
        loop {
            let c = self.rest.next().ok_or_else(unbalanced)?;
            if c == mark && self.rest.next_if_eq(&']').is_some() {
                return Ok(name);
            }
            name.push(c);
        }
    }
}
