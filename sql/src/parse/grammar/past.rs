//! FOR SYSTEM_TIME, AS OF SYSTEM TIME: tables as they were; FLASHBACK, DIFF, SHOW CHANGES, CLONE; how long history is kept.

use super::super::ast::{
    Body, EraseHistory, ErasedRows, Expr, HistoryOf, HistoryStatement, Persistence, QualifiedName,
    SystemPeriod, SystemTime,
};
use super::super::cursor::Cursor;
use super::super::lexer::Kind;
use super::super::option::option_value;
use super::expression::{expression, expressions, restricted};
use crate::error::Result;

/// What a statement, or a transaction, says of the moment that all of it is about.
const AS_OF: [&str; 4] = ["as", "of", "system", "time"];

/// FOR SYSTEM_TIME, or nothing. FOR may begin something else behind FROM.
pub(super) fn system_time(cursor: &mut Cursor<'_>) -> Result<Option<Box<SystemTime>>> {
    let named = cursor.peek_at(1);
    let is_named = named.kind == Kind::Word && named.text.eq_ignore_ascii_case("system_time");
    if !cursor.is("for") || !is_named {
        return Ok(None);
    }
    let at = cursor.at();
    cursor.advance();
    cursor.advance();
    let period = if cursor.accept_all(&["as", "of"]) {
        SystemPeriod::AsOf(restricted(cursor)?)
    } else if cursor.accept("between") {
        let from = restricted(cursor)?;
        cursor.expect("and")?;
        SystemPeriod::Between(from, restricted(cursor)?)
    } else if cursor.accept("from") {
        let from = restricted(cursor)?;
        cursor.expect("to")?;
        SystemPeriod::FromTo(from, restricted(cursor)?)
    } else if cursor.accept_word("contained") {
        cursor.expect("in")?;
        cursor.expect_symbol("(")?;
        let from = expression(cursor)?;
        cursor.expect_symbol(",")?;
        let to = expression(cursor)?;
        cursor.expect_symbol(")")?;
        SystemPeriod::ContainedIn(from, to)
    } else {
        cursor.expect("all")?;
        SystemPeriod::All
    };
    Ok(Some(Box::new(SystemTime { period, at })))
}

/// Whether AS OF SYSTEM TIME is next, and no alias.
pub(super) fn is_as_of(cursor: &Cursor<'_>) -> bool {
    cursor.are(&AS_OF)
}

/// AS OF SYSTEM TIME, or nothing.
pub(in super::super) fn as_of(cursor: &mut Cursor<'_>) -> Result<Option<Expr>> {
    if cursor.accept_all(&AS_OF) { restricted(cursor).map(Some) } else { Ok(None) }
}

/// AS OF, with SYSTEM TIME or without, or nothing: where no alias can stand.
pub(super) fn as_of_moment(cursor: &mut Cursor<'_>) -> Result<Option<Expr>> {
    if accept_as_of(cursor) { restricted(cursor).map(Some) } else { Ok(None) }
}

/// Reads `AS OF [SYSTEM TIME]` if it is next.
pub(in super::super) fn accept_as_of(cursor: &mut Cursor<'_>) -> bool {
    cursor.accept_all(&AS_OF) || cursor.accept_all(&["as", "of"])
}

/// The text of a moment.
fn moment(cursor: &mut Cursor<'_>) -> Result<String> {
    let start = cursor.start();
    restricted(cursor)?;
    Ok(cursor.text_from(start).to_owned())
}

fn history(statement: HistoryStatement) -> Body {
    Body::History(Box::new(statement))
}

/// After FLASHBACK.
pub(in super::super) fn flashback(cursor: &mut Cursor<'_>) -> Result<Body> {
    cursor.expect("table")?;
    let table = cursor.qualified_name()?;
    cursor.expect("to")?;
    Ok(history(HistoryStatement::Flashback { table, to: moment(cursor)? }))
}

/// After UNDROP.
pub(in super::super) fn undrop(cursor: &mut Cursor<'_>) -> Result<Body> {
    cursor.expect("table")?;
    Ok(history(HistoryStatement::Undrop(cursor.qualified_name()?)))
}

/// After `CREATE TABLE name CLONE`.
pub(super) fn clone_table(
    cursor: &mut Cursor<'_>,
    name: QualifiedName,
    if_not_exists: bool,
    persistence: Persistence,
) -> Result<Body> {
    if persistence != Persistence::Permanent {
        return Err(cursor.unsupported("CLONE of a table as a temporary or unlogged one"));
    }
    let of = cursor.qualified_name()?;
    Ok(history(HistoryStatement::Clone { name, if_not_exists, of, moment: as_of_moment(cursor)? }))
}

/// After DIFF.
pub(in super::super) fn diff(cursor: &mut Cursor<'_>) -> Result<Body> {
    cursor.expect("table")?;
    let table = cursor.qualified_name()?;
    cursor.expect("between")?;
    let from = moment(cursor)?;
    cursor.expect("and")?;
    Ok(history(HistoryStatement::Diff { table, between: [from, moment(cursor)?] }))
}

/// After SHOW CHANGES.
pub(in super::super) fn changes(cursor: &mut Cursor<'_>) -> Result<Body> {
    cursor.expect("for")?;
    cursor.expect("row")?;
    let at = cursor.at();
    cursor.expect_symbol("(")?;
    let key = cursor.list(|cursor| {
        let start = cursor.start();
        expression(cursor)?;
        Ok(cursor.text_from(start).to_owned())
    })?;
    cursor.expect_symbol(")")?;
    cursor.expect("of")?;
    Ok(history(HistoryStatement::Changes { table: cursor.qualified_name()?, key, at }))
}

/// After ERASE.
pub(in super::super) fn erase(cursor: &mut Cursor<'_>) -> Result<Body> {
    if !cursor.accept_word("history") {
        return Err(cursor.error());
    }
    cursor.expect("of")?;
    let rows = if cursor.accept("table") {
        None
    } else {
        let is_span = cursor.accept("rows");
        if !is_span {
            cursor.expect("row")?;
        }
        let at = cursor.at();
        let from = key(cursor)?;
        let to = match is_span {
            false => None,
            true => {
                cursor.expect("to")?;
                Some(key(cursor)?)
            }
        };
        cursor.expect("of")?;
        Some(ErasedRows { from, to, at })
    };
    let table = cursor.qualified_name()?;
    let before = if cursor.accept("before") { Some(restricted(cursor)?) } else { None };
    Ok(history(HistoryStatement::Erase(EraseHistory { table, rows, before })))
}

/// The values of a key.
fn key(cursor: &mut Cursor<'_>) -> Result<Vec<Expr>> {
    cursor.expect_symbol("(")?;
    let key = expressions(cursor)?;
    cursor.expect_symbol(")")?;
    Ok(key)
}

/// What can be said of a table's history.
const OPTIONS: [&str; 2] = ["history", "history_hold_until"];

/// Whether SET or RESET of how long history is kept is next.
pub(in super::super) fn keeps_history(cursor: &Cursor<'_>) -> bool {
    let named = cursor.peek_at(2);
    (cursor.is("set") || cursor.is("reset"))
        && cursor.peek_at(1).is_symbol("(")
        && named.kind == Kind::Word
        && OPTIONS.iter().any(|option| named.text.eq_ignore_ascii_case(option))
}

/// `SET (history = '30 days', history_hold_until = '2030-01-01')`, `RESET (history)`
pub(in super::super) fn keep_history(cursor: &mut Cursor<'_>, of: HistoryOf) -> Result<Body> {
    let sets = cursor.advance().keyword == "set";
    cursor.expect_symbol("(")?;
    let options = cursor.list(|cursor| {
        let error = cursor.error();
        let name = cursor.label()?;
        if !OPTIONS.contains(&name.value.as_str()) {
            return Err(error);
        }
        if !sets {
            return Ok((name, None));
        }
        cursor.expect_symbol("=")?;
        let error = cursor.error();
        Ok((name, Some(option_value(cursor)?.ok_or(error)?)))
    })?;
    cursor.expect_symbol(")")?;
    Ok(history(HistoryStatement::Keep { of, options }))
}
