//! SET, RESET and SHOW.

use sqlparser::tokenizer::Token;

use super::ast::{Body, SettingValue};
use super::cursor::Cursor;
use super::transaction::transaction_modes;
use crate::error::{Error, Result};

/// After SET.
pub(super) fn set(cursor: &mut Cursor<'_, '_>) -> Result<Body> {
    if cursor.accept_all(&["session", "characteristics", "as", "transaction"]) {
        return transaction_modes(cursor).map(Body::SetSessionCharacteristics);
    }
    if cursor.word().as_deref() == Some("transaction") && cursor.peek_at(1) != Some(&Token::Eq) {
        cursor.advance();
        if cursor.word().as_deref() == Some("snapshot") {
            return Err(Error::unsupported("SET TRANSACTION SNAPSHOT").at(cursor.at()));
        }
        return transaction_modes(cursor).map(Body::SetTransaction);
    }
    let local = cursor.accept("local");
    if !local && cursor.word().as_deref() == Some("session") && cursor.word_at(1).is_some() {
        cursor.advance();
    }
    if let Some(word) = cursor.word()
        && let "authorization" | "role" | "constraints" | "xml" = word.as_str()
        && !matches!(cursor.peek_at(1), Some(Token::Eq))
        && cursor.word_at(1).as_deref() != Some("to")
    {
        return Err(Error::unsupported(format!("SET {}", word.to_uppercase())).at(cursor.at()));
    }
    let (name, value) = if cursor.accept_all(&["time", "zone"]) {
        ("timezone".to_owned(), time_zone(cursor)?)
    } else if cursor.word().as_deref() == Some("names") && !followed_by_assignment(cursor) {
        cursor.advance();
        ("client_encoding".to_owned(), value(cursor)?)
    } else if cursor.word().as_deref() == Some("schema") && !followed_by_assignment(cursor) {
        cursor.advance();
        ("search_path".to_owned(), value(cursor)?)
    } else {
        let name = setting_name(cursor)?;
        if !cursor.accept("to") {
            cursor.expect_token(&Token::Eq)?;
        }
        (name, value(cursor)?)
    };
    Ok(Body::Set { name, value, local })
}

fn followed_by_assignment(cursor: &Cursor<'_, '_>) -> bool {
    cursor.peek_at(1) == Some(&Token::Eq) || cursor.word_at(1).as_deref() == Some("to")
}

fn time_zone(cursor: &mut Cursor<'_, '_>) -> Result<SettingValue> {
    if cursor.accept("local") {
        return Ok(SettingValue::Default);
    }
    if cursor.word().as_deref() == Some("interval") {
        return Err(Error::unsupported("SET TIME ZONE INTERVAL").at(cursor.at()));
    }
    value(cursor)
}

fn setting_name(cursor: &mut Cursor<'_, '_>) -> Result<String> {
    let mut name = cursor.name()?.value.to_lowercase();
    while cursor.accept_token(&Token::Period) {
        name.push('.');
        name.push_str(&cursor.name()?.value.to_lowercase());
    }
    Ok(name)
}

fn value(cursor: &mut Cursor<'_, '_>) -> Result<SettingValue> {
    if cursor.accept("default") {
        return Ok(SettingValue::Default);
    }
    let mut values = vec![scalar(cursor)?];
    while cursor.accept_token(&Token::Comma) {
        values.push(scalar(cursor)?);
    }
    Ok(SettingValue::Values(values))
}

fn scalar(cursor: &mut Cursor<'_, '_>) -> Result<String> {
    if let Some(text) = cursor.string() {
        return Ok(text);
    }
    let sign = if cursor.accept_token(&Token::Minus) { "-" } else { "" };
    if sign.is_empty() {
        cursor.accept_token(&Token::Plus);
    }
    match cursor.peek() {
        Some(Token::Number(number, _)) => {
            cursor.advance();
            Ok(format!("{sign}{number}"))
        }
        Some(Token::Word(_)) if sign.is_empty() => Ok(cursor.name()?.value),
        _ => Err(cursor.error()),
    }
}

/// After RESET.
pub(super) fn reset(cursor: &mut Cursor<'_, '_>) -> Result<Body> {
    if cursor.accept("all") {
        return Ok(Body::Reset(None));
    }
    if cursor.accept_all(&["time", "zone"]) {
        return Ok(Body::Reset(Some("timezone".to_owned())));
    }
    if cursor.word().as_deref() == Some("role") || cursor.word().as_deref() == Some("session") {
        return Err(Error::unsupported("RESET of roles").at(cursor.at()));
    }
    setting_name(cursor).map(|name| Body::Reset(Some(name)))
}

/// After SHOW.
pub(super) fn show(cursor: &mut Cursor<'_, '_>) -> Result<Body> {
    if cursor.accept("all") {
        return Ok(Body::ShowAll);
    }
    let name = if cursor.accept_all(&["time", "zone"]) {
        "timezone".to_owned()
    } else if cursor.accept_all(&["transaction", "isolation", "level"]) {
        "transaction_isolation".to_owned()
    } else if cursor.accept_all(&["session", "authorization"]) {
        "session_authorization".to_owned()
    } else {
        setting_name(cursor)?
    };
    Ok(Body::Show(name))
}
