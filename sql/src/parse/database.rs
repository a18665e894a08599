//! CREATE, ALTER, DROP and FLASHBACK DATABASE.

use super::ast::{AccessStatement, Body, DatabaseOption, DatabaseStatement, DefaultsStatement, HistoryOf};
use super::cursor::Cursor;
use super::grammar::{accept_as_of, keep_history, keeps_history};
use super::option::{boolean, option_value};
use crate::error::{Error, Result};

fn body(statement: DatabaseStatement) -> Result<Body> {
    Ok(Body::Access(Box::new(AccessStatement::Database(statement))))
}

/// Whether CREATE, ALTER, DROP or FLASHBACK is next, and of a database.
pub(super) fn is_about_databases(cursor: &Cursor<'_>) -> bool {
    cursor.peek_at(1).keyword == "database"
}

/// After CREATE.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Result<Body> {
    cursor.advance();
    let name = cursor.name()?;
    let clone = if cursor.accept_word("clone") { Some(clone(cursor)?) } else { None };
    cursor.accept("with");
    let at = cursor.at();
    let mut options = options(cursor, true)?;
    if let Some(clone) = clone {
        if options.iter().any(|option| matches!(option, DatabaseOption::Template(_))) {
            return Err(Error::new("42601", "conflicting or redundant options").at(at));
        }
        options.push(clone);
    }
    body(DatabaseStatement::Create { name, options })
}

/// After CLONE. A moment is a string or a number here.
fn clone(cursor: &mut Cursor<'_>) -> Result<DatabaseOption> {
    let of = cursor.name()?.value;
    let moment = if accept_as_of(cursor) { Some(value(cursor)?) } else { None };
    Ok(DatabaseOption::Clone { of, moment })
}

/// After ALTER.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Result<Body> {
    cursor.advance();
    let name = cursor.name()?;
    if cursor.accept_all(&["rename", "to"]) {
        let to = cursor.name()?;
        return body(DatabaseStatement::Rename { name, to });
    }
    if cursor.accept_all(&["owner", "to"]) {
        let owner = super::access::reference(cursor)?;
        return body(DatabaseStatement::Owner { name, owner });
    }
    if cursor.are(&["set", "tablespace"]) {
        return Err(cursor.unsupported("ALTER DATABASE … SET TABLESPACE"));
    }
    if keeps_history(cursor) {
        return keep_history(cursor, HistoryOf::Database(name));
    }
    if cursor.is("set") || cursor.is("reset") {
        let change = super::setting::change_of_default(cursor)?;
        let defaults = DefaultsStatement { is_of_role: false, role: None, database: Some(name), change };
        return Ok(Body::Access(Box::new(AccessStatement::Defaults(defaults))));
    }
    if cursor.is("refresh") {
        return Err(cursor.unsupported("ALTER DATABASE … REFRESH COLLATION VERSION"));
    }
    cursor.accept("with");
    let options = options(cursor, false)?;
    body(DatabaseStatement::Alter { name, options })
}

/// After DROP.
pub(super) fn drop(cursor: &mut Cursor<'_>) -> Result<Body> {
    cursor.advance();
    let if_exists = cursor.accept_all(&["if", "exists"]);
    let name = cursor.name()?;
    let mut force = false;
    let has_with = cursor.accept("with");
    if has_with || cursor.is_symbol("(") {
        cursor.expect_symbol("(")?;
        cursor.list(|cursor| cursor.expect("force"))?;
        cursor.expect_symbol(")")?;
        force = true;
    }
    body(DatabaseStatement::Drop { name, if_exists, force })
}

/// After FLASHBACK, where DATABASE is next.
pub(super) fn flashback(cursor: &mut Cursor<'_>) -> Result<Body> {
    cursor.advance();
    let name = cursor.name()?;
    cursor.expect("to")?;
    let to = value(cursor)?;
    body(DatabaseStatement::Flashback { name, to })
}

/// Options up to the statement's end, each at most once.
fn options(cursor: &mut Cursor<'_>, creates: bool) -> Result<Vec<DatabaseOption>> {
    let mut options: Vec<DatabaseOption> = Vec::new();
    let mut named: Vec<String> = Vec::new();
    while !cursor.is_at_end() {
        let at = cursor.at();
        let mut name = cursor.label()?.value;
        if name == "connection" {
            cursor.expect("limit")?;
            name = "connection_limit".to_owned();
        }
        if named.contains(&name) {
            return Err(Error::new("42601", "conflicting or redundant options").at(at));
        }
        cursor.accept_symbol("=");
        if name == "owner" && creates {
            options.push(DatabaseOption::Owner(super::access::reference(cursor)?));
        } else {
            let value = if cursor.accept("default") { None } else { Some(value(cursor)?) };
            options.extend(option(&name, value.as_deref(), creates, at)?);
        }
        named.push(name);
    }
    Ok(options)
}

fn value(cursor: &mut Cursor<'_>) -> Result<String> {
    let error = cursor.error();
    option_value(cursor)?.ok_or(error)
}

/// An option; `None`: it is as it is anyway.
fn option(name: &str, value: Option<&str>, creates: bool, at: usize) -> Result<Option<DatabaseOption>> {
    let unsupported = |what: &str| Err(Error::unsupported(what).at(at));
    let is_one_of = |known: &[&str]| {
        value.is_none_or(|value| known.iter().any(|known| known.eq_ignore_ascii_case(value)))
    };
    Ok(match name {
        "is_template" => Some(DatabaseOption::IsTemplate(value.is_some() && boolean(name, value)?)),
        "allow_connections" => {
            Some(DatabaseOption::AllowConnections(value.is_none() || boolean(name, value)?))
        }
        "connection_limit" => {
            let wrong = || Error::new("42601", "connection_limit requires an integer value").at(at);
            let limit: i32 = value.unwrap_or("-1").parse().map_err(|_| wrong())?;
            if limit < -1 {
                return Err(Error::new("22023", format!("invalid connection limit: {limit}")));
            }
            Some(DatabaseOption::ConnectionLimit(limit))
        }
        "template" if creates => value.map(|value| DatabaseOption::Template(value.to_owned())),
        "encoding" if creates && is_one_of(&["utf8", "utf-8", "unicode", "6"]) => None,
        "encoding" if creates => return unsupported("a database in another encoding than UTF8"),
        "locale" | "lc_collate" | "lc_ctype" if creates && is_one_of(&["c", "posix"]) => None,
        "locale" | "lc_collate" | "lc_ctype" | "icu_locale" if creates => {
            return unsupported("a database with another locale than C");
        }
        "locale_provider" if creates && is_one_of(&["libc"]) => None,
        "locale_provider" if creates => return unsupported("a database with another locale than C"),
        "strategy" if creates && is_one_of(&["wal_log", "file_copy"]) => None,
        "tablespace" if is_one_of(&["pg_default"]) => None,
        "tablespace" => return unsupported("a database in a tablespace"),
        "oid" | "collation_version" if creates => {
            return unsupported(&format!("CREATE DATABASE … {}", name.to_uppercase()));
        }
        _ if creates => {
            return Err(Error::new("42601", format!("option \"{name}\" not recognized")).at(at));
        }
        _ => return Err(Error::new("42601", format!("option \"{name}\" not recognized")).at(at)),
    })
}
