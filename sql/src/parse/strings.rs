//! Strings as they are read where `standard_conforming_strings` is off: `'…'` has the escapes of `E'…'` then.
//!
//! A query string is made one that says the same where it is on, before anything else looks at it: texts of it are kept and
//! written to logs, and are to be read alike by everybody. Only strings with a backslash change: an E comes before them.

use std::borrow::Cow;

use super::lexer::{Kind, Lexer, is_word, pieces, quoted_string};
use crate::error::{Error, Notice, Result};

/// How strings are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StringRules {
    /// `standard_conforming_strings`: a backslash in `'…'` means itself.
    pub conforming: bool,
    /// `escape_string_warning`: who writes one that does not is warned.
    pub warns: bool,
    /// `backslash_quote`: `\'` is a quote in a string.
    pub quotes: bool,
}

impl StringRules {
    /// Those that hold unless others are set.
    pub const USUAL: Self = Self { conforming: true, warns: true, quotes: true };

    /// Whether query strings mean what they say without being looked at.
    pub fn are_usual(self) -> bool {
        self.conforming && self.quotes
    }
}

/// A query string that says the same by the usual rules.
#[derive(Debug)]
pub(crate) struct Conformed<'a> {
    pub(crate) text: Cow<'a, str>,
    /// The characters, from 1, that it has and the other has not.
    pub(crate) added: Vec<usize>,
    pub(crate) warnings: Vec<Notice>,
}

/// A query string by the usual rules.
///
/// # Errors
/// 0A000, 22P06: it has strings that the rules forbid; 42601: one does not end.
pub(crate) fn conformed(sql: &str, rules: StringRules) -> Result<Conformed<'_>> {
    let (mut text, mut copied) = (String::new(), 0);
    let (mut added, mut warnings) = (Vec::new(), Vec::new());
    let mut lexer = Lexer::new(sql);
    loop {
        let token = lexer.token();
        let rest = sql.get(token.start..).unwrap_or_default();
        // What stands before the first quote says of what kind a string is.
        let is_string = matches!(token.kind, Kind::String | Kind::Broken);
        let prefix = rest.bytes().take(3).position(|byte| byte == b'\'').filter(|_| is_string);
        let letters = prefix.and_then(|prefix| rest.get(..prefix)).map(str::to_ascii_lowercase);
        match (token.kind, letters.as_deref(), prefix) {
            (_, Some("e"), Some(prefix)) if token.kind == Kind::String => {
                check_quotes(token.text, prefix, token.at, rules)?;
            }
            (_, Some("u&"), _) if !rules.conforming => return Err(unsafe_unicode(token.at)),
            (_, Some("" | "n"), Some(prefix)) if !rules.conforming => {
                let length = quoted_string(rest, prefix, true).map_err(|error| error.at(token.at))?;
                let string = rest.get(..length).unwrap_or(rest);
                check_quotes(string, prefix, token.at, rules)?;
                let escape = pieces(string, prefix, true).find_map(|(_, piece)| first_escape(piece));
                if let Some(escape) = escape {
                    text.push_str(sql.get(copied..token.start).unwrap_or_default());
                    let before = sql.as_bytes().get(..token.start).and_then(<[u8]>::last);
                    let inserted = match before.is_some_and(|byte| is_word(*byte)) {
                        _ if prefix == 1 => "",
                        true => " ",
                        false => "",
                    };
                    text.push_str(inserted);
                    text.push('E');
                    // Of N'…' the E takes the place.
                    let count = inserted.len().saturating_add(1).saturating_sub(prefix);
                    let first = token.at.saturating_add(added.len());
                    added.extend((0..count).map(|place| first.saturating_add(place)));
                    copied = token.start.saturating_add(prefix);
                    if rules.warns {
                        warnings.push(warning(escape, token.at));
                    }
                }
                let at = token.at.saturating_add(string.chars().count());
                lexer = Lexer::starting_at(sql, token.start.saturating_add(length), at);
            }
            (Kind::End | Kind::Broken, ..) => break,
            _ => {}
        }
    }
    if text.is_empty() {
        return Ok(Conformed { text: Cow::Borrowed(sql), added, warnings });
    }
    text.push_str(sql.get(copied..).unwrap_or_default());
    Ok(Conformed { text: Cow::Owned(text), added, warnings })
}

/// Where a character, from 1, of a string that was made to conform stands in what was written.
pub(crate) fn place_as_written(place: usize, added: &[usize]) -> usize {
    place.saturating_sub(added.iter().take_while(|added| **added < place).count())
}

/// The character behind the first backslash.
fn first_escape(piece: &str) -> Option<char> {
    let (_, behind) = piece.split_once('\\')?;
    Some(behind.chars().next().unwrap_or('\\'))
}

fn escapes_quote(piece: &str) -> bool {
    let mut letters = piece.chars();
    while let Some(letter) = letters.next() {
        if letter == '\\' && letters.next() == Some('\'') {
            return true;
        }
    }
    false
}

/// 22P06: `\'` stands in a string and must not.
fn check_quotes(string: &str, prefix: usize, at: usize, rules: StringRules) -> Result<()> {
    if rules.quotes || !pieces(string, prefix, true).any(|(_, piece)| escapes_quote(piece)) {
        return Ok(());
    }
    Err(Error::new("22P06", "unsafe use of \\' in a string literal")
        .hint("Use '' to write quotes in strings. \\' is insecure in client-only encodings.")
        .at(at))
}

fn unsafe_unicode(at: usize) -> Error {
    Error::new("0A000", "unsafe use of string constant with Unicode escapes")
        .detail(
            "String constants with Unicode escapes cannot be used when standard_conforming_strings is off.",
        )
        .at(at)
}

fn warning(escape: char, at: usize) -> Notice {
    let (what, hint) = match escape {
        '\'' => ("\\'", "Use '' to write quotes in strings, or use the escape string syntax (E'...')."),
        '\\' => ("\\\\", "Use the escape string syntax for backslashes, e.g., E'\\\\'."),
        _ => ("escape", "Use the escape string syntax for escapes, e.g., E'\\r\\n'."),
    };
    let message = format!("nonstandard use of {what} in a string literal");
    let mut notice = Notice::warning("22P06", message);
    notice.hint = Some(hint.to_owned());
    notice.position = Some(at);
    notice
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESCAPES: StringRules = StringRules { conforming: false, warns: true, quotes: true };

    fn made(sql: &str) -> (String, Vec<usize>) {
        let conformed = conformed(sql, ESCAPES).unwrap();
        (conformed.text.into_owned(), conformed.added)
    }

    #[test]
    fn strings_with_backslashes_get_an_e() {
        assert_eq!(made("select 'a', 'é\\'b', 1"), ("select 'a', E'é\\'b', 1".to_owned(), vec![13]));
        assert_eq!(made("select'\\n'"), ("select E'\\n'".to_owned(), vec![7, 8]));
        assert_eq!(made("select N'\\n', 'x'\n'\\t'"), ("select E'\\n', E'x'\n'\\t'".to_owned(), vec![15]));
        assert_eq!(
            made("select '\\\\', $$'\\$$, \"'\\\" -- '\\\n, '\\a' /* ' */"),
            ("select E'\\\\', $$'\\$$, \"'\\\" -- '\\\n, E'\\a' /* ' */".to_owned(), vec![8, 36])
        );
        assert_eq!(made("select E'\\'', b'1'"), ("select E'\\'', b'1'".to_owned(), vec![]));
    }

    #[test]
    fn places_are_those_of_what_was_written() {
        let added = [7, 8, 20];
        let places: Vec<usize> = [1, 7, 8, 9, 20, 21].map(|place| place_as_written(place, &added)).to_vec();
        assert_eq!(places, [1, 7, 7, 7, 18, 18]);
    }

    #[test]
    fn what_is_forbidden_is_said() {
        let refused = |sql: &str, rules| {
            let error = conformed(sql, rules).unwrap_err();
            (error.sqlstate, error.position)
        };
        let careful = StringRules { quotes: false, ..StringRules::USUAL };
        assert_eq!(refused("select E'a\\'b'", careful), ("22P06", Some(8)));
        assert!(conformed("select E'a\\\\', 'a\\', E'a''b'", careful).is_ok());
        assert_eq!(refused("select U&'a'", ESCAPES), ("0A000", Some(8)));
        assert_eq!(refused("select 'a\\'", ESCAPES), ("42601", Some(8)));
        assert!(conformed("select U&\"a\"", ESCAPES).is_ok());
    }
}
