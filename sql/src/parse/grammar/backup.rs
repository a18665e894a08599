//! BACKUP, RESTORE, SHOW BACKUPS; CREATE SCHEDULE, DROP SCHEDULE, SHOW SCHEDULES.

use super::super::ast::{BackupCommand, BackupOf, BackupStatement, Body, Name};
use super::super::cursor::Cursor;
use super::super::lexer::Kind;
use super::super::option::option_value;
use super::past::as_of_moment;
use crate::error::Result;

/// The first place where backups may lie.
const FIRST_PLACE: &str = "./";

/// `BACKUP TABLE t INTO 'file:///…' AS OF SYSTEM TIME '-1min' INCREMENTAL WITH (history)`, after its first word.
pub(in super::super) fn backup(cursor: &mut Cursor<'_>) -> Result<Body> {
    let of = backup_of(cursor)?;
    cursor.expect("into")?;
    let url = url(cursor)?;
    let resume = cursor.accept_word("resume");
    // What is begun goes on as it was begun. Else both may stand there, in whichever order.
    let before = !resume && cursor.accept_word("incremental");
    let as_of = if resume { None } else { as_of_moment(cursor)? };
    let incremental = before || !resume && cursor.accept_word("incremental");
    let (command, options) = (BackupCommand::Take { of, incremental, resume }, options(cursor)?);
    Ok(Body::Backup(Box::new(BackupStatement { command, url, as_of, options })))
}

/// `RESTORE DATABASE d AS other FROM 'file:///…' AS OF SYSTEM TIME '-1min'`, after its first word.
pub(in super::super) fn restore(cursor: &mut Cursor<'_>) -> Result<Body> {
    let of = backup_of(cursor)?;
    let mut name = None;
    if matches!(of, BackupOf::Database(_)) && cursor.accept("as") {
        name = Some(cursor.name()?);
    }
    cursor.expect("from")?;
    let url = url(cursor)?;
    let as_of = as_of_moment(cursor)?;
    let (command, options) = (BackupCommand::Restore { of, name }, options(cursor)?);
    Ok(Body::Backup(Box::new(BackupStatement { command, url, as_of, options })))
}

/// After SHOW BACKUPS: IN a place, or, without one, at the first where backups may lie.
pub(in super::super) fn show_backups(cursor: &mut Cursor<'_>) -> Result<Body> {
    let url = if cursor.accept("in") { url(cursor)? } else { FIRST_PLACE.to_owned() };
    let (command, options) = (BackupCommand::Show, options(cursor)?);
    Ok(Body::Backup(Box::new(BackupStatement { command, url, as_of: None, options })))
}

/// Whether CREATE or DROP is next, and of a schedule.
pub(in super::super) fn is_about_schedules(cursor: &Cursor<'_>) -> bool {
    let named = cursor.peek_at(1);
    named.kind == Kind::Word && named.text.eq_ignore_ascii_case("schedule")
}

/// `CREATE SCHEDULE s FOR BACKUP DATABASE d INTO 'file:///…' WITH (history) EVERY '1 hour' FULL EVERY '1 day'`, after CREATE.
pub(in super::super) fn create_schedule(cursor: &mut Cursor<'_>) -> Result<Body> {
    cursor.advance();
    let if_not_exists = cursor.accept_all(&["if", "not", "exists"]);
    let name = cursor.name()?;
    cursor.expect("for")?;
    expect_word(cursor, "backup")?;
    let of = backup_of(cursor)?;
    cursor.expect("into")?;
    let (url, options) = (url(cursor)?, options(cursor)?);
    let every = every(cursor)?;
    let full_every = if cursor.accept("full") { Some(self::every(cursor)?) } else { None };
    let command = BackupCommand::Schedule { name, if_not_exists, of, every, full_every };
    Ok(Body::Backup(Box::new(BackupStatement { command, url, as_of: None, options })))
}

/// After DROP, where SCHEDULE is next.
pub(in super::super) fn drop_schedule(cursor: &mut Cursor<'_>) -> Result<Body> {
    cursor.advance();
    let if_exists = cursor.accept_all(&["if", "exists"]);
    Ok(about_no_place(BackupCommand::Unschedule { name: cursor.name()?, if_exists }))
}

/// SHOW SCHEDULES
pub(in super::super) fn show_schedules() -> Body {
    about_no_place(BackupCommand::ShowSchedules)
}

fn about_no_place(command: BackupCommand) -> Body {
    Body::Backup(Box::new(BackupStatement { command, url: String::new(), as_of: None, options: Vec::new() }))
}

/// `EVERY '1 day'`
fn every(cursor: &mut Cursor<'_>) -> Result<Name> {
    expect_word(cursor, "every")?;
    let (at, error) = (cursor.at(), cursor.error());
    Ok(Name { value: cursor.string()?.ok_or(error)?, at })
}

fn expect_word(cursor: &mut Cursor<'_>, word: &str) -> Result<()> {
    if cursor.accept_word(word) { Ok(()) } else { Err(cursor.error()) }
}

fn backup_of(cursor: &mut Cursor<'_>) -> Result<BackupOf> {
    if cursor.accept("cluster") {
        return Ok(BackupOf::Cluster);
    }
    let of = if cursor.accept("database") {
        BackupOf::Database(cursor.name()?)
    } else {
        cursor.expect("table")?;
        BackupOf::Table(cursor.qualified_name()?)
    };
    if cursor.is_symbol(",") {
        return Err(cursor.unsupported("a backup of several tables or databases that are named"));
    }
    Ok(of)
}

fn url(cursor: &mut Cursor<'_>) -> Result<String> {
    let error = cursor.error();
    cursor.string()?.ok_or(error)
}

/// `WITH (encryption_key_file = '…', history)`
fn options(cursor: &mut Cursor<'_>) -> Result<Vec<(Name, Option<String>)>> {
    if !cursor.accept("with") {
        return Ok(Vec::new());
    }
    cursor.expect_symbol("(")?;
    let options = cursor.list(|cursor| {
        let name = cursor.label()?;
        if !cursor.accept_symbol("=") {
            return Ok((name, None));
        }
        let error = cursor.error();
        Ok((name, Some(option_value(cursor)?.ok_or(error)?)))
    })?;
    cursor.expect_symbol(")")?;
    Ok(options)
}
