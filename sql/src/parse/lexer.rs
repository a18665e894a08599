//! Tokens, one at a time: PostgreSQL's lexical rules.
//!
//! Nothing is kept of a query string but the text itself; a token is a piece of it and its place. What a token means
//! (a string without its escapes, a name in lower case) is read from its text when somebody asks: [`Token::string`],
//! [`Token::name`].

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
        let inner = unquoted(quoted, '"');
        let name = if unicode { unicode_escapes(&inner, '\\', self.at)? } else { inner };
        if name.is_empty() {
            return Err(
                Error::new("42601", "zero-length delimited identifier at or near \"\"\"\"").at(self.at)
            );
        }
        Ok(fold(&name, true))
    }

    /// The value of a string; of a `U&'…'` with this escape character.
    pub(super) fn string(&self, escape: char) -> Result<String> {
        if self.text.starts_with('$') {
            let delimiter =
                self.text.get(1..).and_then(|rest| rest.find('$')).map_or(2, |at| at.saturating_add(2));
            let inner = self.text.get(delimiter..self.text.len().saturating_sub(delimiter));
            return Ok(inner.unwrap_or_default().to_owned());
        }
        let prefix = self.text.find('\'').unwrap_or(0);
        let quoted = self.text.get(prefix..).unwrap_or_default();
        match self.text.get(..prefix) {
            Some("e" | "E") => backslash_escapes(quoted, self.at),
            Some("U&" | "u&") => unicode_escapes(&unquoted(quoted, '\''), escape, self.at),
            _ => Ok(unquoted(quoted, '\'')),
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

/// What stands between quotes, doubled ones single; of several pieces the white space between them left out.
fn unquoted(text: &str, quote: char) -> String {
    let mut value = String::with_capacity(text.len().saturating_sub(2));
    let mut inside = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != quote {
            if inside {
                value.push(letter);
            }
        } else if inside && letters.peek() == Some(&quote) {
            letters.next();
            value.push(quote);
        } else {
            inside = !inside;
        }
    }
    value
}

/// The value of `E'…'` without its prefix.
fn backslash_escapes(text: &str, at: usize) -> Result<String> {
    let invalid = || Error::new("22021", "invalid byte sequence for encoding \"UTF8\"").at(at);
    let mut bytes: Vec<u8> = Vec::with_capacity(text.len());
    let mut inside = false;
    let mut high = None;
    let mut letters = text.chars().peekable();
    let push = |bytes: &mut Vec<u8>, letter: char| {
        bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    };
    while let Some(letter) = letters.next() {
        match letter {
            '\'' if inside && letters.peek() == Some(&'\'') => {
                letters.next();
                bytes.push(b'\'');
            }
            '\'' => inside = !inside,
            _ if !inside => {}
            '\\' => match letters.next().unwrap_or('\\') {
                'b' => bytes.push(8),
                'f' => bytes.push(12),
                'n' => bytes.push(b'\n'),
                'r' => bytes.push(b'\r'),
                't' => bytes.push(b'\t'),
                first @ '0'..='7' => {
                    let mut value = first.to_digit(8).unwrap_or(0);
                    for _ in 0..2 {
                        let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(8)) else { break };
                        letters.next();
                        value = value.saturating_mul(8).saturating_add(digit);
                    }
                    bytes.push(u8::try_from(value & 0xFF).unwrap_or(0));
                }
                'x' if letters.peek().is_some_and(char::is_ascii_hexdigit) => {
                    let mut value = 0_u32;
                    for _ in 0..2 {
                        let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(16)) else {
                            break;
                        };
                        letters.next();
                        value = value.saturating_mul(16).saturating_add(digit);
                    }
                    bytes.push(u8::try_from(value).unwrap_or(0));
                }
                size @ ('u' | 'U') => {
                    let digits = if size == 'u' { 4 } else { 8 };
                    let unit = hexadecimal(&mut letters, digits).ok_or_else(|| {
                        Error::new("22025", "invalid Unicode escape")
                            .hint("Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
                            .at(at)
                    })?;
                    if let Some(letter) = code_point(unit, &mut high, at)? {
                        push(&mut bytes, letter);
                    }
                }
                other => push(&mut bytes, other),
            },
            other => push(&mut bytes, other),
        }
    }
    if high.is_some() {
        return Err(Error::new("42601", "invalid Unicode surrogate pair").at(at));
    }
    if bytes.contains(&0) {
        return Err(invalid());
    }
    String::from_utf8(bytes).map_err(|_| invalid())
}

/// `\XXXX` and `\+XXXXXX` as `U&'…'` has them, behind this escape character.
fn unicode_escapes(text: &str, escape: char, at: usize) -> Result<String> {
    let mut value = String::with_capacity(text.len());
    let mut high = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != escape {
            value.push(letter);
            continue;
        }
        if letters.peek() == Some(&escape) {
            letters.next();
            value.push(escape);
            continue;
        }
        let digits = if letters.peek() == Some(&'+') { 6 } else { 4 };
        if digits == 6 {
            letters.next();
        }
        let unit = hexadecimal(&mut letters, digits).ok_or_else(|| {
            Error::new("42601", "invalid Unicode escape")
                .hint("Unicode escapes must be \\XXXX or \\+XXXXXX.")
                .at(at)
        })?;
        value.extend(code_point(unit, &mut high, at)?);
    }
    if high.is_some() {
        return Err(Error::new("42601", "invalid Unicode surrogate pair").at(at));
    }
    Ok(value)
}

fn hexadecimal(letters: &mut impl Iterator<Item = char>, digits: usize) -> Option<u32> {
    let mut value = 0_u32;
    for _ in 0..digits {
        value = value.checked_mul(16)?.checked_add(letters.next()?.to_digit(16)?)?;
    }
    Some(value)
}

/// The character of an escape; the first of a surrogate pair is kept in `high` until the second comes.
fn code_point(unit: u32, high: &mut Option<u32>, at: usize) -> Result<Option<char>> {
    let value = match (high.take(), unit) {
        (None, 0xD800..=0xDBFF) => {
            *high = Some(unit);
            return Ok(None);
        }
        (Some(first), 0xDC00..=0xDFFF) => 0x10000 + ((first & 0x3FF) << 10) + (unit & 0x3FF),
        (Some(_), _) => return Err(Error::new("42601", "invalid Unicode surrogate pair").at(at)),
        (None, unit) => unit,
    };
    match char::from_u32(value) {
        Some(letter) if letter != '\0' => Ok(Some(letter)),
        _ => Err(Error::new("42601", "invalid Unicode escape value").at(at)),
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
        Self { sql, next: 0, at: 1, error: None }
    }

    /// The next token; [`Kind::End`] over and over once there is none.
    pub(super) fn token(&mut self) -> Token<'a> {
        let blank = self.blank();
        let (start, at) = (self.next, self.at);
        let mut token =
            Token { kind: Kind::End, text: "", keyword: "", category: Category::Unreserved, at, start };
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

fn is_word(byte: u8) -> bool {
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

/// The length of a string whose quote stands at `prefix`, its continuations on later lines included.
fn quoted_string(rest: &str, prefix: usize, backslashes: bool) -> Result<usize> {
    let bytes = rest.as_bytes();
    let mut place = prefix.saturating_add(1);
    loop {
        match bytes.get(place) {
            None => return Err(unterminated("quoted string", rest)),
            Some(b'\\') if backslashes => place = place.saturating_add(2),
            Some(b'\'') if bytes.get(place.saturating_add(1)) == Some(&b'\'') => {
                place = place.saturating_add(2)
            }
            Some(b'\'') => {
                let end = place.saturating_add(1);
                match continuation(rest.get(end..).unwrap_or_default()) {
                    Some(gap) => place = end.saturating_add(gap).saturating_add(1),
                    None => return Ok(end),
                }
            }
            Some(_) => place = place.saturating_add(1),
        }
    }
}

/// How far behind a string's end the quote stands that goes on with it: after white space with a newline.
fn continuation(rest: &str) -> Option<usize> {
    let mut newline = false;
    let mut letters = rest.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\n' | '\r' => newline = true,
            letter if is_space(letter) => {}
            '-' if newline && letters.peek().is_some_and(|(_, next)| *next == '-') => {
                letters.by_ref().find(|(_, letter)| matches!(letter, '\n' | '\r'))?;
            }
            '\'' if newline => return Some(at),
            _ => return None,
        }
    }
    None
}

fn quoted_name(rest: &str, prefix: usize) -> Result<(Kind, usize)> {
    let bytes = rest.as_bytes();
    let mut place = prefix.saturating_add(1);
    loop {
        match bytes.get(place) {
            None => return Err(unterminated("quoted identifier", rest)),
            Some(b'"') if bytes.get(place.saturating_add(1)) == Some(&b'"') => {
                place = place.saturating_add(2)
            }
            Some(b'"') => return Ok((Kind::Quoted, place.saturating_add(1))),
            Some(_) => place = place.saturating_add(1),
        }
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
        }
    }
    junk(rest, length, "trailing junk after numeric literal")?;
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
