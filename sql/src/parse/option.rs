//! Options between parentheses, as COPY, EXPLAIN and VACUUM take them.

use super::cursor::Cursor;
use super::lexer::Kind;
use crate::error::{Error, Result};

/// The value of an option: a word (in lower case), a string or a number, if there is one.
pub(super) fn option_value(cursor: &mut Cursor<'_>) -> Result<Option<String>> {
    let sign = match cursor.peek().text {
        "-" if cursor.peek_at(1).kind == Kind::Number => "-",
        "+" if cursor.peek_at(1).kind == Kind::Number => "",
        _ => return unsigned_value(cursor),
    };
    cursor.advance();
    Ok(Some(format!("{sign}{}", cursor.advance().text)))
}

fn unsigned_value(cursor: &mut Cursor<'_>) -> Result<Option<String>> {
    let token = *cursor.peek();
    let value = match token.kind {
        Kind::String => return cursor.string(),
        Kind::Word | Kind::Quoted => token.name()?,
        Kind::Number => token.text.to_owned(),
        _ => return Ok(None),
    };
    cursor.advance();
    Ok(Some(value))
}

/// An option's value as a boolean; true if it has none.
pub(super) fn boolean(option: &str, value: Option<&str>) -> Result<bool> {
    match value.map(str::to_ascii_lowercase).as_deref() {
        None | Some("true" | "on" | "1") => Ok(true),
        Some("false" | "off" | "0") => Ok(false),
        Some(_) => Err(Error::new("42601", format!("{option} requires a Boolean value"))),
    }
}
