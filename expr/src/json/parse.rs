//! JSON as text: RFC 8259, with PostgreSQL's errors.

use crate::datum::json::{DEPTH_MAX, Json, too_deep};
use crate::error::{Error, Result};
use crate::numeric;
use crate::work;

/// Reads a document. 22P02 if it is none, 22P05 for characters that text cannot hold, 54001 if it nests too deep.
pub fn parse(text: &str) -> Result<Json> {
    let mut reader = Reader::new(text, true);
    let json = reader.value()?;
    reader.end()?;
    Ok(json)
}

/// The same of a text that somebody has sent, whose numbers are to take no more than so many bytes: a few characters may stand for very
/// many digits.
///
/// # Errors
/// 54000: they take more.
pub fn parse_within(text: &str, digits_bytes_max: usize) -> Result<Json> {
    let mut reader = Reader { made_max: digits_bytes_max, ..Reader::new(text, true) };
    let json = reader.value()?;
    reader.end()?;
    Ok(json)
}

/// Checks that a text is a document.
pub(crate) fn check(text: &str) -> Result<()> {
    let mut reader = Reader::new(text, false);
    reader.value()?;
    reader.end()
}

/// A member of an object with its name, or an element of an array.
pub(crate) type Member<'a> = (Option<String>, &'a str);

/// The members of an object, or the elements of an array, whose text this is: each with its own text. None of a scalar.
pub(crate) fn members(text: &str) -> Result<Option<Vec<Member<'_>>>> {
    let mut reader = Reader::new(text, false);
    reader.blanks();
    let is_object = match reader.peek() {
        Some(b'{') => true,
        Some(b'[') => false,
        _ => return Ok(None),
    };
    let mut members = Vec::new();
    reader.container(&mut |reader| {
        let key = match is_object {
            true => {
                reader.builds = true;
                let key = reader.key();
                reader.builds = false;
                Some(key?)
            }
            false => None,
        };
        reader.blanks();
        let from = reader.at;
        reader.value()?;
        work::step(reader.at - from)?;
        members.push((key, text.get(from..reader.at).unwrap_or_default()));
        Ok(())
    })?;
    reader.end()?;
    Ok(Some(members))
}

/// The text of a string, whose document this is; None if it is no string.
pub(crate) fn string(text: &str) -> Result<Option<String>> {
    let mut reader = Reader::new(text, true);
    reader.blanks();
    if reader.peek() == Some(b'"') { reader.string().map(Some) } else { Ok(None) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// Whether values are made, or only looked at.
    builds: bool,
    /// The bytes of numbers that were made: few characters may stand for many digits.
    made: usize,
    /// They are no more than these.
    made_max: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, builds: bool) -> Self {
        Self { text, at: 0, depth: 0, builds, made: 0, made_max: work::VALUE_BYTES_MAX }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn invalid(&self, detail: String) -> Error {
        Error::new("22P02", "invalid input syntax for type json").with_detail(detail)
    }

    /// What stands here is not what is expected.
    fn unexpected(&self, expected: &str) -> Error {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let Some(first) = rest.chars().next() else {
            return self.invalid("The input string ended unexpectedly.".to_owned());
        };
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '.');
        let (token, known) = match first {
            '{' | '}' | '[' | ']' | ',' | ':' => (first.to_string(), true),
            '"' => {
                let mut ahead = Reader { at: self.at, ..Reader::new(self.text, false) };
                let read = ahead.string().is_ok();
                (self.text.get(self.at..ahead.at).unwrap_or_default().to_owned(), read)
            }
            c if is_word(c) => {
                let word: String = rest.chars().take_while(|c| is_word(*c)).collect();
                let known = matches!(word.as_str(), "true" | "false" | "null") || is_number(&word);
                (word, known)
            }
            c => (c.to_string(), false),
        };
        match known {
            true => self.invalid(format!("{expected}, but found \"{token}\".")),
            false => self.invalid(format!("Token \"{token}\" is invalid.")),
        }
    }

    fn end(&mut self) -> Result<()> {
        self.blanks();
        if self.at < self.text.len() { Err(self.unexpected("Expected end of input")) } else { Ok(()) }
    }

    fn value(&mut self) -> Result<Json> {
        self.blanks();
        match self.peek() {
            Some(b'{') => {
                let mut members = Vec::new();
                self.container(&mut |reader| {
                    let key = reader.key()?;
                    let value = reader.value()?;
                    if reader.builds {
                        members.push((key.into_boxed_str(), value));
                    }
                    Ok(())
                })?;
                Ok(Json::object(members))
            }
            Some(b'[') => {
                let mut items = Vec::new();
                self.container(&mut |reader| {
                    let value = reader.value()?;
                    if reader.builds {
                        items.push(value);
                    }
                    Ok(())
                })?;
                Ok(Json::Array(items))
            }
            Some(b'"') => Ok(Json::String(self.string()?.into())),
            _ => self.word(),
        }
    }

    /// Reads `{…}` or `[…]`, each member by `member`.
    fn container(&mut self, member: &mut dyn FnMut(&mut Self) -> Result<()>) -> Result<()> {
        let (close, first, next) = match self.peek() {
            Some(b'{') => (b'}', "Expected string or \"}\"", "Expected \",\" or \"}\""),
            _ => (b']', "Expected array element or \"]\"", "Expected \",\" or \"]\""),
        };
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(too_deep());
        }
        self.at += 1;
        self.blanks();
        if self.peek() == Some(close) {
            self.at += 1;
            self.depth -= 1;
            return Ok(());
        }
        if matches!(self.peek(), Some(b'}' | b']' | b',' | b':'))
            || close == b'}' && self.peek() != Some(b'"')
        {
            return Err(self.unexpected(first));
        }
        loop {
            work::step(1)?;
            member(self)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(found) if found == close => {
                    self.at += 1;
                    self.depth -= 1;
                    return Ok(());
                }
                _ => return Err(self.unexpected(next)),
            }
            self.blanks();
        }
    }

    /// Reads a member's key and the colon behind it.
    fn key(&mut self) -> Result<String> {
        self.blanks();
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("Expected string"));
        }
        let key = self.string()?;
        self.blanks();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("Expected \":\""));
        }
        self.at += 1;
        Ok(key)
    }

    /// Reads true, false, null or a number.
    fn word(&mut self) -> Result<Json> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '.');
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        let json = match word {
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            "null" => Json::Null,
            number if is_number(number) => match self.builds {
                true => {
                    let number = numeric::parse(number)?;
                    self.made = work::fits(self.made.saturating_add((number.bits() / 8) as usize))?;
                    if self.made > self.made_max {
                        return Err(Error::new("54000", "the numbers of a document have too many digits"));
                    }
                    work::step(1)?;
                    Json::Number(number)
                }
                false => Json::Null,
            },
            _ => return Err(self.unexpected("Expected JSON value")),
        };
        self.at += length;
        Ok(json)
    }

    /// Reads a string; its text is empty if nothing is made.
    fn string(&mut self) -> Result<String> {
        let mut made = String::new();
        self.at += 1;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = rest.find(|c: char| matches!(c, '"' | '\\') || c < ' ').unwrap_or(rest.len());
            if self.builds {
                made.push_str(rest.get(..plain).unwrap_or_default());
            }
            work::step(plain)?;
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(made);
                }
                Some(b'\\') => self.escape(&mut made)?,
                None => {
                    let from = self.text.rfind('"').unwrap_or(0);
                    return Err(self.invalid(format!(
                        "Token \"{}\" is invalid.",
                        self.text.get(from..).unwrap_or_default()
                    )));
                }
                Some(byte) => {
                    return Err(self.invalid(format!("Character with value 0x{byte:02x} must be escaped.")));
                }
            }
        }
    }

    /// Reads an escape.
    fn escape(&mut self, made: &mut String) -> Result<()> {
        self.at += 1;
        let Some(c) = self.text.get(self.at..).and_then(|rest| rest.chars().next()) else {
            return Err(self.invalid("The input string ended unexpectedly.".to_owned()));
        };
        self.at += c.len_utf8();
        let escaped = match c {
            '"' | '\\' | '/' => c,
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.unicode(made),
            other => return Err(self.invalid(format!("Escape sequence \"\\{other}\" is invalid."))),
        };
        made.push(escaped);
        Ok(())
    }

    fn unicode(&mut self, made: &mut String) -> Result<()> {
        let first = self.four_digits()?;
        if !self.builds {
            return Ok(());
        }
        let surrogate = |detail: &str| self.invalid(detail.to_owned());
        let code = match first {
            0 => {
                return Err(Error::new("22P05", "unsupported Unicode escape sequence")
                    .with_detail("\\u0000 cannot be converted to text."));
            }
            0xd800..=0xdbff => {
                if !self.text.get(self.at..).unwrap_or_default().starts_with("\\u") {
                    return Err(surrogate("Unicode low surrogate must follow a high surrogate."));
                }
                self.at += 2;
                match self.four_digits()? {
                    second @ 0xdc00..=0xdfff => 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                    _ => {
                        return Err(
                            self.invalid("Unicode low surrogate must follow a high surrogate.".to_owned())
                        );
                    }
                }
            }
            0xdc00..=0xdfff => {
                return Err(surrogate("Unicode low surrogate must follow a high surrogate."));
            }
            code => code,
        };
        made.extend(char::from_u32(code));
        Ok(())
    }

    fn four_digits(&mut self) -> Result<u32> {
        let digits = self.text.get(self.at..self.at.saturating_add(4)).unwrap_or_default();
        if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(self.invalid("\"\\u\" must be followed by four hexadecimal digits.".to_owned()));
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| self.invalid("Escape sequence is invalid.".to_owned()))
    }
}

/// Whether a word is a number of JSON: no plus, no leading zeros, digits on both sides of the point.
fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match word.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (word, None),
    };
    let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_document_is_refused() {
        let detail = |text: &str| parse(text).unwrap_err().detail.unwrap_or_default();
        assert_eq!(detail(""), "The input string ended unexpectedly.");
        assert_eq!(detail("{\"a\":1,}"), "Expected string, but found \"}\".");
        assert_eq!(detail("[1,]"), "Expected JSON value, but found \"]\".");
        assert_eq!(detail("{1:2}"), "Expected string or \"}\", but found \"1\".");
        assert_eq!(detail("abc"), "Token \"abc\" is invalid.");
        assert_eq!(detail("01"), "Token \"01\" is invalid.");
        assert_eq!(detail("1 2"), "Expected end of input, but found \"2\".");
        assert_eq!(parse("\"\\u0000\"").unwrap_err().sqlstate, "22P05");
        assert!(check("\"\\u0000\"").is_ok());
        assert_eq!(parse(&"[".repeat(2000)).unwrap_err().sqlstate, "54001");
    }

    #[test]
    fn few_characters_stand_for_no_more_digits_than_there_is_room_for() {
        let numbers = format!("[{}]", vec!["1e100000"; 20].join(","));
        assert!(parse(&numbers).is_ok() && parse_within(&numbers, 1 << 20).is_ok());
        assert_eq!(parse_within(&numbers, 1 << 19).unwrap_err().sqlstate, "54000");
        assert!(parse_within("[1, -2.5e3, \"1e100000\"]", 16).is_ok());
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_or_a_document_but_never_a_panic(text in "[\\[\\]{}\",:\\\\u0-9ae.\\- é]{0,24}") {
            let _ = parse(&text);
            let _ = members(&text);
            let _ = string(&text);
        }
    }
}
