//! The tokens of SQL/JSON paths.

use crate::datum::Numeric;
use crate::error::{Error, Result};
use crate::numeric;

/// Characters that end a word.
const SPECIAL: &str = "?%$.[]{}()|&!=<>@#,*:-+/\\\" \t\n\r\u{c}";

/// All tokens of a path.
///
/// # Errors
/// 42601: there is what is none.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.token()? {
        tokens.push(token);
    }
    Ok(tokens)
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Symbol(&'static str),
    Word(String),
    String(String),
    Variable(String),
    Number(Numeric),
}

/// A token.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// As an error shows it; empty at the end of the path.
    pub(super) shown: String,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn token(&mut self) -> Result<Option<Token>> {
        self.blanks()?;
        let from = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok(None) };
        let kind = match first {
            '"' => Kind::String(self.quoted()?),
            '$' => {
                self.at += 1;
                match self.rest().chars().next() {
                    Some('"') => Kind::Variable(self.quoted()?),
                    Some(c) if !SPECIAL.contains(c) => Kind::Variable(self.word()?),
                    _ => Kind::Symbol("$"),
                }
            }
            c if c.is_ascii_digit() => self.number()?,
            '.' if self
                .rest()
                .get(1..)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) =>
            {
                self.number()?
            }
            c if SPECIAL.contains(c) && c != '\\' => Kind::Symbol(self.symbol()?),
            _ => Kind::Word(self.word()?),
        };
        let is_word = matches!(kind, Kind::Word(_));
        let shown = match is_word && self.at == self.text.len() {
            true => String::new(),
            false => self.text.get(from..self.at).unwrap_or("").to_owned(),
        };
        Ok(Some(Token { kind, shown }))
    }

    fn blanks(&mut self) -> Result<()> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
            let skipped = rest.len() - trimmed.len();
            if let Some(comment) = trimmed.strip_prefix("/*") {
                let length = comment.find("*/").ok_or_else(|| ended("unexpected end of comment"))?;
                self.at += skipped + 4 + length;
            } else {
                self.at += skipped;
                return Ok(());
            }
        }
    }

    fn symbol(&mut self) -> Result<&'static str> {
        let symbols = [
            "**", "&&", "||", "==", "!=", "<>", "<=", ">=", "<", ">", "!", "?", "%", ".", "[", "]", "{", "}",
            "(", ")", "@", ",", "*", "-", "+", "/",
        ];
        let rest = self.rest();
        match symbols.into_iter().find(|symbol| rest.starts_with(symbol)) {
            Some(symbol) => {
                self.at += symbol.len();
                Ok(if symbol == "<>" { "!=" } else { symbol })
            }
            None => {
                let shown: String = rest.chars().take(1).collect();
                Err(Error::new("42601", format!("syntax error at or near \"{shown}\" of jsonpath input")))
            }
        }
    }

    fn number(&mut self) -> Result<Kind> {
        let rest = self.rest();
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let part = |at: usize| rest.get(at..).unwrap_or("");
        let mut length = digits(rest);
        let is_junk_integer = length > 1 && rest.starts_with('0');
        if !is_junk_integer && part(length).starts_with('.') {
            length += 1 + digits(part(length + 1));
        }
        if !is_junk_integer && part(length).starts_with(['e', 'E']) {
            let signed = usize::from(part(length + 1).starts_with(['+', '-']));
            let exponent = digits(part(length + 1 + signed));
            if exponent > 0 {
                length += 1 + signed + exponent;
            }
        }
        let next = part(length).chars().next().filter(|c| !SPECIAL.contains(*c));
        if is_junk_integer || next.is_some() {
            let until = if is_junk_integer { 2 } else { length + next.map_or(0, char::len_utf8) };
            let shown = rest.get(..until).unwrap_or(rest);
            let message =
                format!("trailing junk after numeric literal at or near \"{shown}\" of jsonpath input");
            return Err(Error::new("42601", message));
        }
        let number = numeric::parse(rest.get(..length).unwrap_or(""))?;
        self.at += length;
        Ok(Kind::Number(number))
    }

    fn word(&mut self) -> Result<String> {
        let mut word = String::new();
        while let Some(c) = self.rest().chars().next() {
            if c == '\\' {
                word.push(self.escape()?);
            } else if SPECIAL.contains(c) {
                break;
            } else {
                word.push(c);
                self.at += c.len_utf8();
            }
        }
        Ok(word)
    }

    fn quoted(&mut self) -> Result<String> {
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.rest().chars().next() {
                None => return Err(ended("unexpected end of quoted string")),
                Some('"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some('\\') => text.push(self.escape()?),
                Some(c) => {
                    text.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    /// The character that an escape stands for.
    fn escape(&mut self) -> Result<char> {
        let from = self.at;
        self.at += 1;
        let c = self.rest().chars().next().ok_or_else(|| ended("unexpected end after backslash"))?;
        self.at += c.len_utf8();
        Ok(match c {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' => {
                let code = self.hexadecimal(2);
                let c = code.and_then(char::from_u32);
                nonzero(c.ok_or_else(|| self.unreadable(from, "invalid hex character sequence", 1))?)?
            }
            'u' => {
                let first = self.code_unit();
                let digits = if self.rest().starts_with('{') { 7 } else { 3 };
                let first = first.ok_or_else(|| self.unreadable(from, "invalid unicode sequence", digits))?;
                let unpaired = || Error::new("22P02", "invalid input syntax for type jsonpath");
                let code = match first {
                    0xd800..0xdc00 if self.rest().starts_with("\\u") => {
                        self.at += 2;
                        let second = self.code_unit().and_then(|second| second.checked_sub(0xdc00));
                        let low = second.filter(|low| *low < 0x400).ok_or_else(unpaired)?;
                        0x1_0000 + ((first - 0xd800) << 10) + low
                    }
                    code => code,
                };
                nonzero(char::from_u32(code).ok_or_else(unpaired)?)?
            }
            other => other,
        })
    }

    /// The error of an escape that begins there, shown with so many of the digits that follow, a brace among them.
    fn unreadable(&self, from: usize, what: &str, digits: usize) -> Error {
        let is_digit = |(place, c): (usize, char)| c.is_ascii_hexdigit() || place == 0 && c == '{';
        let count = self.rest().chars().take(digits).enumerate().take_while(|next| is_digit(*next)).count();
        let shown = self.text.get(from..self.at.saturating_add(count)).unwrap_or_default();
        Error::new("42601", format!("{what} at or near \"{shown}\" of jsonpath input"))
    }

    fn code_unit(&mut self) -> Option<u32> {
        if self.rest().starts_with('{') {
            let (digits, _) = self.rest().get(1..)?.split_once('}')?;
            let length = digits.len();
            if !(1..=6).contains(&length) {
                return None;
            }
            let code = u32::from_str_radix(digits, 16).ok()?;
            self.at += length + 2;
            return Some(code);
        }
        self.hexadecimal(4)
    }

    fn hexadecimal(&mut self, length: usize) -> Option<u32> {
        let digits =
            self.rest().get(..length).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        let code = u32::from_str_radix(digits, 16).ok()?;
        self.at += length;
        Some(code)
    }
}

fn nonzero(c: char) -> Result<char> {
    if c == '\0' {
        let error = Error::new("22P05", "unsupported Unicode escape sequence");
        return Err(error.with_detail("\\u0000 cannot be converted to text."));
    }
    Ok(c)
}

/// An error at the end of the path.
pub(super) fn ended(what: &str) -> Error {
    Error::new("42601", format!("{what} at end of jsonpath input"))
}
