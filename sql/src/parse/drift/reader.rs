//! A place in a script of DriftQL: words, names, and values as JSON writes them.
//!
//! Values are cut out of the text by their brackets and quotes alone; whether what is between them is JSON is asked where
//! they get their type.

use super::super::ast::{DriftValue, Name, QualifiedName};
use super::super::lexer::fold;
use crate::error::{Error, Result};

/// What a statement begins with, of DriftQL or of SQL. A line that begins with anything else goes on with the statement before.
const FIRST_WORDS: [&str; 54] = [
    "abort",
    "alter",
    "analyse",
    "analyze",
    "backup",
    "begin",
    "checkpoint",
    "close",
    "comment",
    "commit",
    "compact",
    "copy",
    "create",
    "deallocate",
    "declare",
    "delete",
    "diff",
    "discard",
    "drop",
    "end",
    "erase",
    "execute",
    "explain",
    "flashback",
    "grant",
    "insert",
    "listen",
    "lock",
    "merge",
    "move",
    "notify",
    "patch",
    "prepare",
    "refresh",
    "reindex",
    "release",
    "reset",
    "restore",
    "revoke",
    "rollback",
    "savepoint",
    "select",
    "set",
    "show",
    "snapshot",
    "soft",
    "start",
    "truncate",
    "undrop",
    "unlisten",
    "update",
    "vacuum",
    "values",
    "with",
];

/// Reads a script.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    sql: &'a str,
    /// The byte to read next, and its character's number from 1.
    byte: usize,
    at: usize,
    /// Whether a line ended before what is next.
    on_new_line: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(sql: &'a str, byte: usize, at: usize) -> Self {
        let mut reader = Self { sql, byte, at, on_new_line: false };
        reader.skip_blank();
        reader
    }

    /// Where it is: byte from 0, character from 1.
    pub(super) fn place(&self) -> (usize, usize) {
        (self.byte, self.at)
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a str {
        self.sql.get(self.byte..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Moves on by so many bytes, and over what is blank behind them.
    fn advance(&mut self, bytes: usize) {
        self.step(bytes);
        self.on_new_line = false;
        self.skip_blank();
    }

    fn step(&mut self, bytes: usize) {
        let skipped = self.rest().get(..bytes).unwrap_or_default();
        self.byte = self.byte.saturating_add(skipped.len());
        self.at = self.at.saturating_add(skipped.chars().count());
    }

    /// White space and comments: `-- …`, `/* … */`, the latter within each other. One that does not end is left to be refused.
    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let blank = if rest.starts_with("--") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                match comment_bytes(rest) {
                    Some(bytes) => bytes,
                    None => return,
                }
            } else {
                rest.len().saturating_sub(rest.trim_start().len())
            };
            if blank == 0 {
                return;
            }
            self.on_new_line |= rest.get(..blank).is_some_and(|blank| blank.contains('\n'));
            self.step(blank);
        }
    }

    /// The word that is next, as it is written; empty if there is none.
    fn peek_word(&self) -> &'a str {
        let rest = self.rest();
        if !rest.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return "";
        }
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// Whether this word is next, in whatever case.
    pub(super) fn is(&self, word: &str) -> bool {
        self.peek_word().eq_ignore_ascii_case(word)
    }

    /// Reads the word if it is next.
    pub(super) fn accept(&mut self, word: &str) -> bool {
        let accepted = self.is(word);
        if accepted {
            self.advance(word.len());
        }
        accepted
    }

    /// Reads the words if they are next, all of them.
    pub(super) fn accept_all(&mut self, words: &[&str]) -> bool {
        let mut ahead = *self;
        let accepted = words.iter().all(|word| ahead.accept(word));
        if accepted {
            *self = ahead;
        }
        accepted
    }

    pub(super) fn expect(&mut self, word: &str) -> Result<()> {
        if self.accept(word) { Ok(()) } else { Err(self.error()) }
    }

    pub(super) fn is_symbol(&self, symbol: char) -> bool {
        self.peek() == Some(symbol)
    }

    pub(super) fn accept_symbol(&mut self, symbol: char) -> bool {
        let accepted = self.is_symbol(symbol);
        if accepted {
            self.advance(symbol.len_utf8());
        }
        accepted
    }

    pub(super) fn expect_symbol(&mut self, symbol: char) -> Result<()> {
        if self.accept_symbol(symbol) { Ok(()) } else { Err(self.error()) }
    }

    /// Whether a statement ends here: at a semicolon, at the end of the script, or where a line begins another.
    pub(super) fn is_at_end(&self) -> bool {
        let begins = || FIRST_WORDS.iter().any(|word| self.is(word));
        matches!(self.peek(), None | Some(';')) || self.on_new_line && begins()
    }

    /// A syntax error at what is next.
    pub(super) fn error(&self) -> Error {
        let word = self.peek_word();
        let shown = match self.peek() {
            None => return Error::new("42601", "syntax error at end of input").at(self.at),
            Some(_) if !word.is_empty() => word.to_owned(),
            Some(sign) => sign.to_string(),
        };
        Error::new("42601", format!("syntax error at or near \"{shown}\"")).at(self.at)
    }

    /// A name as it is written: a word, or anything between `"` or backquotes, where a doubled one is one.
    fn raw_name(&mut self) -> Result<(Name, bool)> {
        let at = self.at;
        let quote = self.peek().filter(|c| matches!(c, '"' | '`'));
        let Some(quote) = quote else {
            let word = self.peek_word();
            if word.is_empty() {
                return Err(self.error());
            }
            self.advance(word.len());
            return Ok((Name { value: word.to_owned(), at }, false));
        };
        let value = self.between(quote, "quoted identifier")?;
        if value.is_empty() {
            return Err(Error::new("42601", "a name is empty").at(at));
        }
        Ok((Name { value, at }, true))
    }

    /// The name of a field.
    pub(super) fn field(&mut self) -> Result<Name> {
        self.raw_name().map(|(name, _)| name)
    }

    /// The name of a table, folded as SQL's are.
    pub(super) fn table(&mut self) -> Result<QualifiedName> {
        let first = self.folded()?;
        if !self.accept_symbol('.') {
            return Ok(QualifiedName { schema: None, name: first });
        }
        Ok(QualifiedName { schema: Some(first), name: self.folded()? })
    }

    fn folded(&mut self) -> Result<Name> {
        let (name, quoted) = self.raw_name()?;
        Ok(Name { value: fold(&name.value, quoted), at: name.at })
    }

    /// A list of fields between parentheses.
    pub(super) fn fields(&mut self) -> Result<Vec<Name>> {
        self.expect_symbol('(')?;
        let mut fields = Vec::new();
        if self.accept_symbol(')') {
            return Ok(fields);
        }
        loop {
            fields.push(self.field()?);
            if !self.accept_symbol(',') {
                self.expect_symbol(')')?;
                return Ok(fields);
            }
        }
    }

    /// Digits as a number.
    pub(super) fn number(&mut self) -> Result<i64> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let digits = rest.get(..end).filter(|digits| !digits.is_empty()).ok_or_else(|| self.error())?;
        let out_of_range =
            || Error::new("22003", format!("\"{digits}\" is out of range for type bigint")).at(self.at);
        let number = digits.parse().map_err(|_| out_of_range())?;
        self.advance(end);
        Ok(number)
    }

    /// A text between double or single quotes: JSON's escapes hold in the first, `''` is one in the second. `None` if there
    /// is none.
    pub(super) fn text(&mut self) -> Result<Option<String>> {
        let at = self.at;
        match self.peek() {
            Some('"') => {
                let json = self.json_string()?;
                match expr::json::parse(json) {
                    Ok(expr::datum::json::Json::String(text)) => Ok(Some(text.into_string())),
                    Ok(_) => Err(Error::internal("a string between quotes that is none").at(at)),
                    Err(error) => Err(Error::from(error).at(at)),
                }
            }
            Some('\'') => self.sql_string().map(Some),
            _ => Ok(None),
        }
    }

    /// Whether an `@` is next, or a text that begins so.
    pub(super) fn is_marked(&self) -> bool {
        let mut ahead = *self;
        ahead.is_symbol('@')
            || ahead.text().is_ok_and(|text| text.is_some_and(|text| text.trim_start().starts_with('@')))
    }

    /// A document: an object, or one between single quotes.
    pub(super) fn document(&mut self) -> Result<DriftValue> {
        let at = self.at;
        let json = match self.peek() {
            Some('{') => self.bracketed()?.to_owned(),
            Some('\'') => self.sql_string()?,
            _ => return Err(self.error()),
        };
        Ok(DriftValue { json, at })
    }

    /// A value: whatever JSON has, a text between single quotes, or a word, which is a text, too.
    pub(super) fn value(&mut self) -> Result<DriftValue> {
        let at = self.at;
        let json = match self.peek() {
            Some('{' | '[') => self.bracketed()?.to_owned(),
            Some('"') => self.json_string()?.to_owned(),
            Some('\'') => expr::json::quoted(&self.sql_string()?),
            Some('-' | '0'..='9') => {
                let rest = self.rest();
                let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '_');
                let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
                let number = rest.get(..end).unwrap_or_default().to_owned();
                self.advance(end);
                number
            }
            _ => {
                let word = self.peek_word();
                if word.is_empty() {
                    return Err(self.error());
                }
                self.advance(word.len());
                match word.to_ascii_lowercase().as_str() {
                    constant @ ("true" | "false" | "null") => constant.to_owned(),
                    _ => expr::json::quoted(word),
                }
            }
        };
        Ok(DriftValue { json, at })
    }

    /// What stands between brackets of JSON, with them.
    fn bracketed(&mut self) -> Result<&'a str> {
        let rest = self.rest();
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        for (byte, sign) in rest.bytes().enumerate() {
            match sign {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => depth = depth.saturating_add(1),
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        let json = rest.get(..=byte).unwrap_or_default();
                        self.advance(json.len());
                        return Ok(json);
                    }
                }
                _ => {}
            }
        }
        Err(self.unterminated("JSON document"))
    }

    /// A string of JSON, with its quotes.
    fn json_string(&mut self) -> Result<&'a str> {
        let rest = self.rest();
        let mut escaped = false;
        for (byte, sign) in rest.bytes().enumerate().skip(1) {
            match sign {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    let json = rest.get(..=byte).unwrap_or_default();
                    self.advance(json.len());
                    return Ok(json);
                }
                _ => {}
            }
        }
        Err(self.unterminated("quoted string"))
    }

    /// A string as SQL writes it, without its quotes.
    fn sql_string(&mut self) -> Result<String> {
        self.between('\'', "quoted string")
    }

    /// What stands between two of these quotes, the first of which is next; a doubled one is one.
    fn between(&mut self, quote: char, what: &str) -> Result<String> {
        let inner = self.rest().get(quote.len_utf8()..).unwrap_or_default();
        let doubled = String::from_iter([quote, quote]);
        let mut from = 0_usize;
        loop {
            let found = inner.get(from..).and_then(|rest| rest.find(quote));
            let close = from.saturating_add(found.ok_or_else(|| self.unterminated(what))?);
            if inner.get(close..).is_some_and(|rest| rest.starts_with(&doubled)) {
                from = close.saturating_add(doubled.len());
                continue;
            }
            let text = inner.get(..close).unwrap_or_default();
            let text = text.replace(&doubled, quote.encode_utf8(&mut [0; 4]));
            self.advance(close.saturating_add(doubled.len()));
            return Ok(text);
        }
    }

    fn unterminated(&self, what: &str) -> Error {
        Error::new("42601", format!("unterminated {what}")).at(self.at)
    }
}

/// The bytes of the comment that a text begins with, and of those within it; `None`: it does not end.
fn comment_bytes(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0_usize);
    loop {
        let behind = at.saturating_add(2);
        match text.as_bytes().get(at..behind)? {
            b"/*" => depth = depth.saturating_add(1),
            b"*/" => depth = depth.saturating_sub(1),
            _ => {
                at = at.saturating_add(1);
                continue;
            }
        }
        at = behind;
        if depth == 0 {
            return Some(at);
        }
    }
}
