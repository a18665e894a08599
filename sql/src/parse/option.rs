//! Options between parentheses, as COPY, EXPLAIN and VACUUM take them.

use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use crate::error::{Error, Result};

/// The value of an option between parentheses: a word, a string or a number, if there is one.
pub(super) fn option_value(cursor: &mut Cursor<'_, '_>) -> Option<String> {
    if let Some(text) = cursor.string() {
        return Some(text);
    }
    let value = match cursor.peek()? {
        Token::Word(word) => word.value.clone(),
        Token::Number(number, _) => number.clone(),
        _ => return None,
    };
    cursor.advance();
    Some(value)
}

/// An option's value as a boolean; true if it has none.
pub(super) fn boolean(option: &str, value: Option<&str>, at: usize) -> Result<bool> {
    match value.map(str::to_ascii_lowercase).as_deref() {
        None | Some("true" | "on" | "1") => Ok(true),
        Some("false" | "off" | "0") => Ok(false),
        Some(_) => Err(Error::new("42601", format!("{option} requires a Boolean value")).at(at)),
    }
}
