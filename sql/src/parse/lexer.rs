//! Tokens, one at a time: PostgreSQL's lexical rules.
//!
//! Nothing is kept of a query string but the text itself; a token is a piece of it and its place. What a token means
//! (a string without its escapes, a name in lower case) is read from its text when somebody asks: [`Token::string`],
//! [`Token::name`].

use std::iter::Peekable;
use std::str::CharIndices;

use super::keyword::{self, Category};
use crate::error::{Error, Result};

/// Longest name in bytes; what is longer is cut off, as PostgreSQL does.
const NAME_BYTES_MAX: usize = 63;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word without quotes: a name or a keyword.
    Word,
    /// A name in quotes.
    Quoted,
    /// A string: `'…'`, `E'…'`, `U&'…'`, `N'…'`, `$$…$$`; pieces that only white space with a newline separates are one.
    String,
    /// `B'…'`, `X'…'`
    Bits,
    /// A number without sign.
    Number,
    /// `$1`
    Parameter,
    /// Punctuation, one of `( ) [ ] , ; . : :: := ..`
    Symbol,
    /// An operator.
    Operator,
    /// The end of the input.
    End,
    /// What is no token. The lexer knows the error and goes no further.
    Broken,
}

/// A token and its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// As it was written.
    pub(super) text: &'a str,
    /// In lower case, if it is a word without quotes and a keyword; else empty.
    pub(super) keyword: &'static str,
    /// Of the keyword.
    pub(super) category: Category,
    /// Characters from 1.
    pub(super) at: usize,
    /// The first byte, from 0.
    pub(super) start: usize,
    /// What begins an escape of `U&'…'` and `U&"…"`: a backslash, or what UESCAPE behind it says.
    escape: char,
}

impl Token<'_> {
    /// The byte behind its last.
    pub(super) fn end(&self) -> usize {
        self.start.saturating_add(self.text.len())
    }

    /// Whether it is this punctuation or operator.
    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.kind, Kind::Symbol | Kind::Operator) && self.text == symbol
    }

    /// A word or a name in quotes as it is stored.
    pub(super) fn name(&self) -> Result<String> {
        if self.kind == Kind::Word {
            return Ok(fold(self.text, false));
        }
        let (unicode, quoted) = match self.text.get(..2) {
            Some("U&" | "u&") => (true, self.text.get(2..).unwrap_or_default()),
            _ => (false, self.text),
        };
        let inner = quoted.get(1..closing(quoted, 1, b'"', false).unwrap_or(1)).unwrap_or_default();
        let inner = inner.replace("\"\"", "\"");
        let name = if unicode { unicode_escapes(&inner, self.escape, self.at)? } else { inner };
        if name.is_empty() {
            return Err(
                Error::new("42601", "zero-length delimited identifier at or near \"\"\"\"").at(self.at)
            );
        }
        Ok(fold(&name, true))
    }

    /// The value of a string.
    pub(super) fn string(&self) -> Result<String> {
        if self.text.starts_with('$') {
            let delimiter =
                self.text.get(1..).and_then(|rest| rest.find('$')).map_or(2, |at| at.saturating_add(2));
            let inner = self.text.get(delimiter..self.text.len().saturating_sub(delimiter));
            return Ok(inner.unwrap_or_default().to_owned());
        }
        let prefix = self.text.find('\'').unwrap_or(0);
        match self.text.get(..prefix) {
            Some("e" | "E") => backslash_escapes(self.text, self.at),
            Some("U&" | "u&") => unicode_escapes(&unquoted(self.text, prefix), self.escape, self.at),
            _ => Ok(unquoted(self.text, prefix)),
        }
    }
}

/// A name as it is stored: its ASCII letters in lower case unless it was quoted, at most 63 bytes.
pub(super) fn fold(name: &str, quoted: bool) -> String {
    let mut folded = if quoted { name.to_owned() } else { name.to_ascii_lowercase() };
    let mut end = folded.len().min(NAME_BYTES_MAX);
    while !folded.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    folded.truncate(end);
    folded
}

/// What stands between the quotes of a string whose first is at `prefix`, doubled ones single; of several pieces what
/// stands between them left out.
fn unquoted(text: &str, prefix: usize) -> String {
    let mut value = String::with_capacity(text.len().saturating_sub(2));
    for (_, piece) in pieces(text, prefix, false) {
        value.push_str(&piece.replace("''", "'"));
    }
    value
}

/// The value of `E'…'`.
fn backslash_escapes(text: &str, at: usize) -> Result<String> {
    let mut bytes: Vec<u8> = Vec::with_capacity(text.len());
    for (start, piece) in pieces(text, 1, true) {
        let place = |offset: usize| {
            let before = text.get(..start.saturating_add(offset)).unwrap_or_default();
            at.saturating_add(before.chars().count())
        };
        escaped_piece(piece, &mut bytes, &place)?;
    }
    let invalid = || Error::new("22021", "invalid byte sequence for encoding \"UTF8\"").at(at);
    if bytes.contains(&0) {
        return Err(invalid());
    }
    String::from_utf8(bytes).map_err(|_| invalid())
}

/// The value of what stands between two quotes. `place` says where a byte of it stands.
fn escaped_piece(piece: &str, bytes: &mut Vec<u8>, place: &dyn Fn(usize) -> usize) -> Result<()> {
    let mut high = None;
    let mut letters = piece.char_indices().peekable();
    let lone = |start: usize, token: &str| {
        let message = format!("invalid Unicode surrogate pair at or near \"{token}\"");
        Error::new("42601", message).at(place(start))
    };
    while let Some((start, letter)) = letters.next() {
        let second = letters.peek().map(|(_, letter)| *letter);
        if high.is_some() && !(letter == '\\' && matches!(second, Some('u' | 'U'))) {
            return Err(lone(start, &letter.to_string()));
        }
        if letter != '\\' {
            if letter == '\'' {
                // The other of a pair.
                letters.next();
            }
            bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match letters.next().map_or('\\', |(_, letter)| letter) {
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            first @ '0'..='7' => {
                let first = first.to_digit(8).unwrap_or(0);
                bytes.push(u8::try_from(digits(first, &mut letters, 8) & 0xFF).unwrap_or(0));
            }
            'x' if letters.peek().is_some_and(|(_, letter)| letter.is_ascii_hexdigit()) => {
                bytes.push(u8::try_from(digits(0, &mut letters, 16)).unwrap_or(0));
            }
            size @ ('u' | 'U') => {
                let digits = if size == 'u' { 4 } else { 8 };
                let unit = hexadecimal(&mut letters.by_ref().map(|(_, letter)| letter), digits);
                let unit = unit.ok_or_else(|| {
                    Error::new("22025", "invalid Unicode escape")
                        .hint("Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
                        .at(place(start))
                })?;
                let end = start.saturating_add(2).saturating_add(digits);
                let token = piece.get(start..end).unwrap_or_default();
                match code_point(unit, &mut high) {
                    Ok(letter) => bytes.extend(letter.into_iter().collect::<String>().bytes()),
                    Err(Escape::Lone) => return Err(lone(start, token)),
                    Err(Escape::Value) => {
                        let message = format!("invalid Unicode escape value at or near \"{token}\"");
                        return Err(Error::new("42601", message).at(place(start)));
                    }
                }
            }
            other => bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if high.is_some() { Err(lone(piece.len(), "'")) } else { Ok(()) }
}

/// `value` with the next two digits behind it, as far as there are any.
fn digits(value: u32, letters: &mut Peekable<CharIndices<'_>>, radix: u32) -> u32 {
    let mut value = value;
    for _ in 0..2 {
        let Some(digit) = letters.peek().and_then(|(_, letter)| letter.to_digit(radix)) else { break };
        letters.next();
        value = value.saturating_mul(radix).saturating_add(digit);
    }
    value
}

/// `\XXXX` and `\+XXXXXX` as `U&'…'` has them, behind this escape character.
fn unicode_escapes(text: &str, escape: char, at: usize) -> Result<String> {
    let mut value = String::with_capacity(text.len());
    let mut high = None;
    // Behind the prefix and the quote.
    let mut place = at.saturating_add(3);
    let mut letters = text.chars().peekable();
    let mut read = 0;
    let failed = |reason, place: usize| {
        let message = match reason {
            Escape::Lone => "invalid Unicode surrogate pair",
            Escape::Value => "invalid Unicode escape value",
        };
        Error::new("42601", message).at(place)
    };
    while let Some(letter) = letters.next() {
        place = place.saturating_add(std::mem::replace(&mut read, 1));
        let plain = letter != escape || letters.peek() == Some(&escape);
        if plain && high.is_some() {
            return Err(failed(Escape::Lone, place));
        }
        if plain {
            if letter == escape {
                letters.next();
                read = 2;
            }
            value.push(letter);
            continue;
        }
        let digits = if letters.peek() == Some(&'+') { 6 } else { 4 };
        read = if digits == 6 { 8 } else { 5 };
        if digits == 6 {
            letters.next();
        }
        let unit = hexadecimal(&mut letters, digits).ok_or_else(|| {
            Error::new("42601", "invalid Unicode escape")
                .hint("Unicode escapes must be \\XXXX or \\+XXXXXX.")
                .at(place)
        })?;
        value.extend(code_point(unit, &mut high).map_err(|reason| failed(reason, place))?);
    }
    if high.is_some() { Err(failed(Escape::Lone, place.saturating_add(read))) } else { Ok(value) }
}

fn hexadecimal(letters: &mut impl Iterator<Item = char>, digits: usize) -> Option<u32> {
    let mut value = 0_u32;
    for _ in 0..digits {
        value = value.checked_mul(16)?.checked_add(letters.next()?.to_digit(16)?)?;
    }
    Some(value)
}

/// Why an escape is none.
#[derive(Debug, Clone, Copy)]
enum Escape {
    /// Half of a surrogate pair without the other.
    Lone,
    /// No character.
    Value,
}

/// The character of an escape; the first of a surrogate pair is kept in `high` until the second comes.
fn code_point(unit: u32, high: &mut Option<u32>) -> Result<Option<char>, Escape> {
    let value = match (high.take(), unit) {
        (None, 0xD800..=0xDBFF) => {
            *high = Some(unit);
            return Ok(None);
        }
        (Some(first), 0xDC00..=0xDFFF) => 0x10000 + ((first & 0x3FF) << 10) + (unit & 0x3FF),
        (None, 0xDC00..=0xDFFF) | (Some(_), _) => return Err(Escape::Lone),
        (None, unit) => unit,
    };
    match char::from_u32(value) {
        Some(letter) if letter != '\0' => Ok(Some(letter)),
        _ => Err(Escape::Value),
    }
}

/// Reads a query string from one token to the next.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    sql: &'a str,
    /// The byte to read next, and its character's number from 1.
    next: usize,
    at: usize,
    /// What broke it.
    pub(super) error: Option<Box<Error>>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(sql: &'a str) -> Self {
        Self::starting_at(sql, 0, 1)
    }

    /// From a byte on, whose character has this number.
    pub(super) fn starting_at(sql: &'a str, byte: usize, at: usize) -> Self {
        Self { sql, next: byte, at, error: None }
    }

    /// The next token; [`Kind::End`] over and over once there is none.
    pub(super) fn token(&mut self) -> Token<'a> {
        let mut token = self.plain_token();
        if matches!(token.text.get(..3), Some("U&'" | "u&'" | "U&\"" | "u&\"")) {
            self.escape_of(&mut token);
        }
        token
    }

    /// The same without what UESCAPE says of it.
    fn plain_token(&mut self) -> Token<'a> {
        let blank = self.blank();
        let (start, at) = (self.next, self.at);
        let mut token = Token {
            kind: Kind::End,
            text: "",
            keyword: "",
            category: Category::Unreserved,
            at,
            start,
            escape: '\\',
        };
        let scanned = match blank {
            Err(error) => Err(error),
            Ok(()) => self.scan(),
        };
        match scanned {
            Ok((kind, length)) => {
                token.kind = kind;
                token.text = self.sql.get(start..start.saturating_add(length)).unwrap_or_default();
                if kind == Kind::Word
                    && let Some((keyword, category)) = keyword::find(token.text)
                {
                    (token.keyword, token.category) = (keyword, category);
                }
                self.skip(length);
            }
            Err(error) => {
                token.kind = Kind::Broken;
                self.error = Some(Box::new(error.at(at)));
                self.next = self.sql.len();
            }
        }
        token
    }

    /// Reads the UESCAPE that may stand behind `U&'…'` and `U&"…"`: it belongs to the token.
    fn escape_of(&mut self, token: &mut Token<'a>) {
        let mut ahead = self.clone();
        if ahead.plain_token().keyword != "uescape" {
            return;
        }
        let given = ahead.plain_token();
        let is_plain = given.kind == Kind::String && !given.text.starts_with(['U', 'u']);
        let failed = |message: &str| match given.kind {
            Kind::End => Error::new("42601", format!("{message} at end of input")).at(given.at),
            _ => Error::new("42601", format!("{message} at or near \"{}\"", given.text)).at(given.at),
        };
        let escape = match given.kind {
            _ if is_plain => given.string().and_then(|text| {
                let mut letters = text.chars();
                match (letters.next(), letters.next()) {
                    (Some(letter), None)
                        if letter.is_ascii()
                            && !letter.is_ascii_hexdigit()
                            && !matches!(letter, '+' | '\'' | '"')
                            && !is_space(letter) =>
                    {
                        Ok(letter)
                    }
                    _ => Err(failed("invalid Unicode escape character")),
                }
            }),
            Kind::Broken => Err(ahead.error.take().map_or_else(|| failed("syntax error"), |error| *error)),
            _ => Err(failed("UESCAPE must be followed by a simple string literal")),
        };
        *self = ahead;
        match escape {
            Ok(escape) => {
                token.escape = escape;
                token.text = self.sql.get(token.start..self.next).unwrap_or_default();
            }
            Err(error) => {
                token.kind = Kind::Broken;
                self.error = Some(Box::new(error));
                self.next = self.sql.len();
            }
        }
    }

    fn rest(&self) -> &'a str {
        self.sql.get(self.next..).unwrap_or_default()
    }

    fn skip(&mut self, bytes: usize) {
        let end = self.next.saturating_add(bytes);
        let skipped = self.sql.get(self.next..end).unwrap_or_default();
        self.at = self.at.saturating_add(if skipped.is_ascii() { bytes } else { skipped.chars().count() });
        self.next = end;
    }

    /// White space and comments.
    fn blank(&mut self) -> Result<()> {
        loop {
            let rest = self.rest();
            let spaces = rest.len().saturating_sub(rest.trim_start_matches(is_space).len());
            self.skip(spaces);
            let rest = self.rest();
            if rest.starts_with("--") {
                self.skip(rest.find(['\n', '\r']).unwrap_or(rest.len()));
            } else if rest.starts_with("/*") {
                let length = comment(rest).ok_or_else(|| unterminated("/* comment", rest))?;
                self.skip(length);
            } else {
                return Ok(());
            }
        }
    }

    /// The kind and length of the token that begins here.
    fn scan(&self) -> Result<(Kind, usize)> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let Some(first) = bytes.first().copied() else { return Ok((Kind::End, 0)) };
        let second = bytes.get(1).copied().unwrap_or(0);
        match first {
            b'\'' => quoted_string(rest, 0, false).map(|length| (Kind::String, length)),
            b'e' | b'E' if second == b'\'' => {
                quoted_string(rest, 1, true).map(|length| (Kind::String, length))
            }
            b'n' | b'N' if second == b'\'' => {
                quoted_string(rest, 1, false).map(|length| (Kind::String, length))
            }
            b'b' | b'B' | b'x' | b'X' if second == b'\'' => {
                quoted_string(rest, 1, false).map(|length| (Kind::Bits, length))
            }
            b'u' | b'U' if second == b'&' && bytes.get(2) == Some(&b'\'') => {
                quoted_string(rest, 2, false).map(|length| (Kind::String, length))
            }
            b'u' | b'U' if second == b'&' && bytes.get(2) == Some(&b'"') => quoted_name(rest, 2),
            b'"' => quoted_name(rest, 0),
            b'$' if second.is_ascii_digit() => {
                let digits = bytes.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
                let length = digits.saturating_add(1);
                junk(rest, length, "trailing junk after parameter")?;
                Ok((Kind::Parameter, length))
            }
            b'$' => dollar_string(rest),
            b'0'..=b'9' => number(rest).map(|length| (Kind::Number, length)),
            b'.' if second.is_ascii_digit() => number(rest).map(|length| (Kind::Number, length)),
            b'.' if second == b'.' => Ok((Kind::Symbol, 2)),
            b':' if second == b':' || second == b'=' => Ok((Kind::Symbol, 2)),
            b'(' | b')' | b'[' | b']' | b',' | b';' | b'.' | b':' => Ok((Kind::Symbol, 1)),
            _ if is_word_start(first) => {
                let length = bytes.iter().take_while(|byte| is_word(**byte)).count();
                Ok((Kind::Word, length))
            }
            _ if is_operator(first) => Ok((Kind::Operator, operator(bytes))),
            _ => {
                let shown = rest.chars().next().unwrap_or(' ');
                Err(Error::new("42601", format!("syntax error at or near \"{shown}\"")))
            }
        }
    }
}

fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n' | '\r' | '\x0B' | '\x0C')
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

pub(super) fn is_word(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_operator(byte: u8) -> bool {
    b"~!@#^&|`?+-*/%<>=".contains(&byte)
}

fn unterminated(what: &str, rest: &str) -> Error {
    Error::new("42601", format!("unterminated {what} at or near \"{rest}\""))
}

fn junk(rest: &str, length: usize, message: &str) -> Result<()> {
    let more = rest.bytes().skip(length).take_while(|byte| is_word(*byte)).count();
    if more == 0 {
        return Ok(());
    }
    let shown = rest.get(..length.saturating_add(more)).unwrap_or(rest);
    Err(Error::new("42601", format!("{message} at or near \"{shown}\"")))
}

/// The length of a comment, which may hold others.
fn comment(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut depth = 0_usize;
    let mut place = 0_usize;
    loop {
        match bytes.get(place..place.saturating_add(2))? {
            b"/*" => {
                depth = depth.saturating_add(1);
                place = place.saturating_add(2);
            }
            b"*/" => {
                depth = depth.saturating_sub(1);
                place = place.saturating_add(2);
                if depth == 0 {
                    return Some(place);
                }
            }
            _ => place = place.saturating_add(1),
        }
    }
}

/// Where the quote stands that closes what was opened before `place`.
fn closing(text: &str, place: usize, quote: u8, backslashes: bool) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut place = place;
    loop {
        match *bytes.get(place)? {
            b'\\' if backslashes => place = place.saturating_add(2),
            byte if byte != quote => place = place.saturating_add(1),
            _ if bytes.get(place.saturating_add(1)) == Some(&quote) => place = place.saturating_add(2),
            _ => return Some(place),
        }
    }
}

/// The length of a string whose quote stands at `prefix`, its continuations on later lines included.
pub(super) fn quoted_string(rest: &str, prefix: usize, backslashes: bool) -> Result<usize> {
    let mut place = prefix;
    loop {
        let close = closing(rest, place.saturating_add(1), b'\'', backslashes)
            .ok_or_else(|| unterminated("quoted string", rest))?;
        let end = close.saturating_add(1);
        match continuation(rest.get(end..).unwrap_or_default()) {
            Some(gap) => place = end.saturating_add(gap),
            None => return Ok(end),
        }
    }
}

/// What stands between the quotes of each piece of a string whose first quote is at `prefix`, and where.
pub(super) fn pieces(text: &str, prefix: usize, backslashes: bool) -> impl Iterator<Item = (usize, &str)> {
    let mut opening = Some(prefix);
    std::iter::from_fn(move || {
        let start = opening?.saturating_add(1);
        let close = closing(text, start, b'\'', backslashes)?;
        let end = close.saturating_add(1);
        opening = continuation(text.get(end..)?).map(|gap| end.saturating_add(gap));
        Some((start, text.get(start..close)?))
    })
}

/// How far behind a string's end the quote stands that goes on with it: after white space and comments with a newline.
fn continuation(rest: &str) -> Option<usize> {
    let mut newline = false;
    let mut letters = rest.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\n' | '\r' => newline = true,
            letter if is_space(letter) => {}
            '-' if letters.peek().is_some_and(|(_, next)| *next == '-') => {
                letters.by_ref().find(|(_, letter)| matches!(letter, '\n' | '\r'))?;
                newline = true;
            }
            '\'' if newline => return Some(at),
            _ => return None,
        }
    }
    None
}

fn quoted_name(rest: &str, prefix: usize) -> Result<(Kind, usize)> {
    match closing(rest, prefix.saturating_add(1), b'"', false) {
        Some(close) => Ok((Kind::Quoted, close.saturating_add(1))),
        None => Err(unterminated("quoted identifier", rest)),
    }
}

/// `$tag$…$tag$`
fn dollar_string(rest: &str) -> Result<(Kind, usize)> {
    let tag = rest.bytes().skip(1).take_while(|byte| is_word(*byte) && *byte != b'$').count();
    let opening = rest.get(..tag.saturating_add(2)).filter(|opening| opening.ends_with('$'));
    let Some(opening) = opening else {
        return Err(Error::new("42601", "syntax error at or near \"$\""));
    };
    let inner = rest.get(opening.len()..).unwrap_or_default();
    let end = inner.find(opening).ok_or_else(|| unterminated("dollar-quoted string", rest))?;
    Ok((Kind::String, end.saturating_add(opening.len().saturating_mul(2))))
}

/// What a number may not end in.
const JUNK: &str = "trailing junk after numeric literal";

fn number(rest: &str) -> Result<usize> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = digits(0);
    // Two dots are a range, not a decimal point.
    let dot = bytes.get(length) == Some(&b'.') && bytes.get(length.saturating_add(1)) != Some(&b'.');
    if dot {
        length = length.saturating_add(1);
        length = length.saturating_add(digits(length));
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length.saturating_add(1)), Some(b'+' | b'-')));
        let exponent = length.saturating_add(1).saturating_add(sign);
        if digits(exponent) > 0 {
            length = exponent.saturating_add(digits(exponent));
        } else if sign > 0 {
            let shown = rest.get(..exponent).unwrap_or(rest);
            return Err(Error::new("42601", format!("{JUNK} at or near \"{shown}\"")));
        }
    }
    junk(rest, length, JUNK)?;
    Ok(length)
}

/// The length of an operator: up to a comment, and without signs at its end unless it could not be anything else.
fn operator(bytes: &[u8]) -> usize {
    let run = bytes.iter().take_while(|byte| is_operator(**byte)).count();
    let run = bytes.get(..run).unwrap_or_default();
    let comment = run.windows(2).position(|pair| pair == b"--" || pair == b"/*");
    let mut operator = comment.map_or(run, |end| run.get(..end).unwrap_or_default());
    let special = operator.iter().any(|byte| b"~!@#^&|`?%".contains(byte));
    while operator.len() > 1 && !special && matches!(operator.last(), Some(b'+' | b'-')) {
        operator = operator.get(..operator.len().saturating_sub(1)).unwrap_or_default();
    }
    operator.len().max(1)
}
