//! SET, RESET and SHOW.

use super::ast::{
    AccessStatement, Body, HistoryOf, HistoryStatement, Name, SettingChange, SettingValue, TransactionModes,
};
use super::cursor::Cursor;
use super::lexer::Kind;
use super::transaction::transaction_modes;
use crate::error::{Error, Result};

/// After SET.
pub(super) fn set(cursor: &mut Cursor<'_>) -> Result<Body> {
    if accept_cluster_setting(cursor) {
        let name = cluster_setting(cursor)?;
        if !cursor.accept("to") {
            cursor.expect_symbol("=")?;
        }
        let value = if cursor.accept("default") { None } else { Some(scalar(cursor)?) };
        return cluster_body(name, value);
    }
    if cursor.accept_all(&["session", "characteristics", "as", "transaction"]) {
        return some_modes(cursor).map(Body::SetSessionCharacteristics);
    }
    if cursor.is("transaction") && !followed_by_assignment(cursor) {
        cursor.advance();
        if cursor.is("snapshot") {
            return Err(Error::unsupported("SET TRANSACTION SNAPSHOT").at(cursor.at()));
        }
        return some_modes(cursor).map(Body::SetTransaction);
    }
    let local = cursor.accept("local");
    if !local
        && cursor.is("session")
        && cursor.peek_at(1).kind == Kind::Word
        && !followed_by_assignment(cursor)
    {
        cursor.advance();
    }
    if let Some(word) = cursor.word()
        && let "authorization" | "role" | "constraints" | "xml" | "session" = word.as_str()
        && !followed_by_assignment(cursor)
    {
        match word.as_str() {
            "role" => {
                cursor.advance();
                let role = role_or(cursor, "none")?;
                return Ok(Body::SetRole { role, local });
            }
            "authorization" => {
                cursor.advance();
                let role = role_or(cursor, "default")?;
                return Ok(Body::SetSessionAuthorization { role, local });
            }
            // SET LOCAL SESSION AUTHORIZATION
            "session" if cursor.accept_all(&["session", "authorization"]) => {
                let role = role_or(cursor, "default")?;
                return Ok(Body::SetSessionAuthorization { role, local });
            }
            "constraints" => {
                cursor.advance();
                let names = match cursor.accept("all") {
                    true => None,
                    false => Some(cursor.list(|cursor| cursor.qualified_name())?),
                };
                let deferred = match cursor.accept_one_of(&["deferred", "immediate"]) {
                    Some(word) => word == "deferred",
                    None => return Err(cursor.error()),
                };
                return Ok(Body::SetConstraints { names, deferred });
            }
            "session" => {}
            _ => return Err(cursor.unsupported(format!("SET {}", word.to_uppercase()))),
        }
    }
    let (name, value) = if cursor.accept_all(&["time", "zone"]) {
        ("timezone".to_owned(), time_zone(cursor)?)
    } else if cursor.is("names") && !followed_by_assignment(cursor) {
        cursor.advance();
        ("client_encoding".to_owned(), value(cursor)?)
    } else if cursor.is("schema") && !followed_by_assignment(cursor) {
        cursor.advance();
        ("search_path".to_owned(), value(cursor)?)
    } else {
        let name = setting_name(cursor)?;
        if !cursor.accept("to") {
            cursor.expect_symbol("=")?;
        }
        (name, value(cursor)?)
    };
    Ok(Body::Set { name, value, local })
}

/// A role by a name or a string; `None` for the keyword that says none.
fn role_or(cursor: &mut Cursor<'_>, none: &str) -> Result<Option<String>> {
    if let Some(text) = cursor.string()? {
        return Ok(Some(text));
    }
    if cursor.accept(none) {
        return Ok(None);
    }
    Ok(Some(cursor.name()?.value))
}

/// The modes of a transaction, at least one.
fn some_modes(cursor: &mut Cursor<'_>) -> Result<TransactionModes> {
    if cursor.is_at_end() { Err(cursor.error()) } else { transaction_modes(cursor) }
}

fn followed_by_assignment(cursor: &Cursor<'_>) -> bool {
    cursor.peek_at(1).is_symbol("=") || cursor.peek_at(1).keyword == "to"
}

fn time_zone(cursor: &mut Cursor<'_>) -> Result<SettingValue> {
    if cursor.accept("local") {
        return Ok(SettingValue::Default);
    }
    if cursor.is("interval") {
        return Err(Error::unsupported("SET TIME ZONE INTERVAL").at(cursor.at()));
    }
    value(cursor)
}

/// A setting's name, in lower case.
pub(super) fn setting_name(cursor: &mut Cursor<'_>) -> Result<String> {
    let mut name = cursor.label()?.value.to_lowercase();
    while cursor.accept_symbol(".") {
        name.push('.');
        name.push_str(&cursor.label()?.value.to_lowercase());
    }
    Ok(name)
}

fn value(cursor: &mut Cursor<'_>) -> Result<SettingValue> {
    if cursor.accept("default") {
        return Ok(SettingValue::Default);
    }
    let mut values = vec![scalar(cursor)?];
    while cursor.accept_symbol(",") {
        values.push(scalar(cursor)?);
    }
    Ok(SettingValue::Values(values))
}

fn scalar(cursor: &mut Cursor<'_>) -> Result<String> {
    if let Some(text) = cursor.string()? {
        return Ok(text);
    }
    let sign = if cursor.accept_symbol("-") { "-" } else { "" };
    if sign.is_empty() {
        cursor.accept_symbol("+");
    }
    match cursor.peek().kind {
        Kind::Number => Ok(format!("{sign}{}", cursor.advance().text)),
        Kind::Word | Kind::Quoted if sign.is_empty() => Ok(cursor.label()?.value),
        _ => Err(cursor.error()),
    }
}

/// SET or RESET of what settings are at first.
pub(super) fn change_of_default(cursor: &mut Cursor<'_>) -> Result<SettingChange> {
    let verb = cursor.accept_one_of(&["set", "reset"]).ok_or_else(|| cursor.error())?;
    let at = cursor.at();
    if verb == "set" && cursor.peek_at(1).keyword == "from" && cursor.peek_at(2).keyword == "current" {
        let name = setting_name(cursor)?;
        cursor.advance();
        cursor.advance();
        return Ok(SettingChange::SetFromCurrent(name));
    }
    let body = if verb == "set" { set(cursor)? } else { reset(cursor)? };
    match body {
        Body::Set { name, value, local: false } => Ok(SettingChange::Set(name, value)),
        Body::Reset(name) => Ok(SettingChange::Reset(name)),
        _ => Err(Error::unsupported("this SET for sessions to come").at(at)),
    }
}

/// CLUSTER SETTING, of which the first word alone may be a setting's name.
fn accept_cluster_setting(cursor: &mut Cursor<'_>) -> bool {
    let is_next =
        cursor.word().as_deref() == Some("cluster") && cursor.peek_at(1).text.eq_ignore_ascii_case("setting");
    if is_next {
        cursor.advance();
        cursor.advance();
    }
    is_next
}

/// The name of a setting of the cluster.
pub(super) fn cluster_setting(cursor: &mut Cursor<'_>) -> Result<Name> {
    let at = cursor.at();
    Ok(Name { value: setting_name(cursor)?, at })
}

/// How long history is kept is told to the nodes, and no row of the catalog.
pub(super) fn is_history(name: &Name) -> bool {
    name.value.eq_ignore_ascii_case("history")
}

fn cluster_body(name: Name, value: Option<String>) -> Result<Body> {
    if is_history(&name) {
        let name = Name { value: "history".to_owned(), ..name };
        let statement = HistoryStatement::Keep { of: HistoryOf::Cluster, options: vec![(name, value)] };
        return Ok(Body::History(Box::new(statement)));
    }
    Ok(Body::Access(Box::new(AccessStatement::ClusterSetting { name, value })))
}

/// After RESET.
pub(super) fn reset(cursor: &mut Cursor<'_>) -> Result<Body> {
    if accept_cluster_setting(cursor) {
        let name = cluster_setting(cursor)?;
        return cluster_body(name, None);
    }
    if cursor.accept("all") {
        return Ok(Body::Reset(None));
    }
    if cursor.accept_all(&["time", "zone"]) {
        return Ok(Body::Reset(Some("timezone".to_owned())));
    }
    if cursor.accept("role") {
        return Ok(Body::Reset(Some("role".to_owned())));
    }
    if cursor.accept_all(&["session", "authorization"]) {
        return Ok(Body::Reset(Some("session_authorization".to_owned())));
    }
    setting_name(cursor).map(|name| Body::Reset(Some(name)))
}
