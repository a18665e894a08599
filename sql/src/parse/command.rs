//! Statements by their first words. What is a command of its own is parsed here; the rest goes to [`grammar`].

use std::sync::Arc;

use super::ast::{self, Body, Discard, Notifying, Statement, TableLock, TypeName};
use super::cursor::Cursor;
use super::lexer::Kind;
use super::option::{boolean, option_value};
use super::{access, begin, copy, database, execute, explain, fetch, grammar, setting, show, transaction};
use crate::error::{Error, Result};

/// First words of PostgreSQL's commands that are not supported.
const UNSUPPORTED: [&str; 7] = ["call", "cluster", "do", "import", "load", "reassign", "security"];

/// The statement that is next.
pub(super) fn body(cursor: &mut Cursor<'_>) -> Result<Body> {
    let Some(word) = cursor.word() else { return grammar::preparable(cursor) };
    let parse = match word.as_str() {
        "select" | "with" => return grammar::query_or_into(cursor),
        "values" | "table" | "insert" | "update" | "delete" | "merge" => return grammar::preparable(cursor),
        "truncate" => return grammar::truncate(cursor),
        "reindex" => return grammar::reindex(cursor),
        "refresh" => return grammar::refresh(cursor),
        "create" if access::is_about_roles(cursor) => access::create,
        "alter" if access::is_about_roles(cursor) => access::alter,
        "drop" if access::is_about_roles(cursor) => access::drop,
        "create" if database::is_about_databases(cursor) => database::create,
        "alter" if database::is_about_databases(cursor) => database::alter,
        "drop" if database::is_about_databases(cursor) => database::drop,
        "create" if grammar::is_about_schedules(cursor) => grammar::create_schedule,
        "drop" if grammar::is_about_schedules(cursor) => grammar::drop_schedule,
        "grant" => grant,
        "revoke" => revoke,
        "create" => return grammar::create(cursor),
        "drop" => return grammar::drop(cursor),
        "alter" => return grammar::alter(cursor),
        "comment" => return grammar::comment(cursor),
        "begin" => begin::begin,
        "start" => begin::start_transaction,
        "commit" | "end" => transaction::commit,
        "rollback" | "abort" => transaction::rollback,
        "savepoint" => transaction::savepoint,
        "release" => transaction::release,
        "set" => setting::set,
        "reset" => setting::reset,
        "show" => show::show,
        "copy" => copy::copy,
        "explain" => explain::explain,
        "prepare" => prepare,
        "execute" => execute::execute,
        "deallocate" => deallocate,
        "declare" => fetch::declare,
        "fetch" => fetch::fetch,
        "move" => fetch::move_,
        "close" => fetch::close,
        "listen" => listen,
        "notify" => notify,
        "unlisten" => unlisten,
        "discard" => discard,
        "vacuum" => vacuum,
        "analyze" | "analyse" => analyze,
        "checkpoint" => checkpoint,
        "lock" => lock_table,
        "backup" => grammar::backup,
        "restore" => grammar::restore,
        "flashback" if database::is_about_databases(cursor) => database::flashback,
        "flashback" => grammar::flashback,
        "undrop" => grammar::undrop,
        "diff" => grammar::diff,
        "erase" => grammar::erase,
        word if UNSUPPORTED.contains(&word) => return Err(cursor.unsupported(word.to_uppercase())),
        _ => return Err(cursor.error()),
    };
    cursor.advance();
    parse(cursor)
}

fn grant(cursor: &mut Cursor<'_>) -> Result<Body> {
    access::grant(cursor, grammar::function_name)
}

fn revoke(cursor: &mut Cursor<'_>) -> Result<Body> {
    access::revoke(cursor, grammar::function_name)
}

fn prepare(cursor: &mut Cursor<'_>) -> Result<Body> {
    if cursor.is("transaction") && cursor.peek_at(1).kind == Kind::String {
        return Err(cursor.unsupported("PREPARE TRANSACTION"));
    }
    let name = cursor.name()?.value;
    let mut types: Vec<TypeName> = Vec::new();
    if cursor.accept_symbol("(") {
        types = cursor.list(grammar::type_name)?;
        cursor.expect_symbol(")")?;
    }
    cursor.expect("as")?;
    let start = cursor.start();
    let body = grammar::preparable(cursor)?;
    let text = Arc::from(cursor.text_from(start));
    let statement = Box::new(Statement { body, text });
    Ok(Body::Prepare { name, types, statement })
}

fn deallocate(cursor: &mut Cursor<'_>) -> Result<Body> {
    let alone = cursor.peek_at(1).kind == Kind::End || cursor.peek_at(1).is_symbol(";");
    if cursor.is("prepare") && !alone {
        cursor.advance();
    }
    if cursor.accept("all") {
        return Ok(Body::Deallocate(None));
    }
    let name = cursor.name()?.value;
    Ok(Body::Deallocate(Some(name)))
}

fn listen(cursor: &mut Cursor<'_>) -> Result<Body> {
    Ok(Body::Notifying(Notifying::Listen(cursor.name()?.value)))
}

fn notify(cursor: &mut Cursor<'_>) -> Result<Body> {
    let channel = cursor.name()?.value;
    let mut payload = String::new();
    if cursor.accept_symbol(",") {
        payload = cursor.string()?.ok_or_else(|| cursor.error())?;
    }
    Ok(Body::Notifying(Notifying::Notify { channel, payload }))
}

fn unlisten(cursor: &mut Cursor<'_>) -> Result<Body> {
    if cursor.accept_symbol("*") {
        return Ok(Body::Notifying(Notifying::Unlisten(None)));
    }
    Ok(Body::Notifying(Notifying::Unlisten(Some(cursor.name()?.value))))
}

fn discard(cursor: &mut Cursor<'_>) -> Result<Body> {
    let what = match cursor.word().as_deref() {
        Some("all") => Discard::All,
        Some("plans") => Discard::Plans,
        Some("sequences") => Discard::Sequences,
        Some("temp" | "temporary") => Discard::Temp,
        _ => return Err(cursor.error()),
    };
    cursor.advance();
    Ok(Body::Discard(what))
}

fn checkpoint(_cursor: &mut Cursor<'_>) -> Result<Body> {
    Ok(Body::Checkpoint)
}

fn lock_table(cursor: &mut Cursor<'_>) -> Result<Body> {
    cursor.accept("table");
    let tables = cursor.list(|cursor| {
        cursor.accept("only");
        let name = cursor.qualified_name()?;
        cursor.accept_symbol("*");
        Ok(name)
    })?;
    let mut mode = TableLock::AccessExclusive;
    if cursor.accept("in") {
        let modes = TableLock::ALL.into_iter();
        let longest = modes.filter(|mode| cursor.are(mode.words())).max_by_key(|mode| mode.words().len());
        mode = longest.ok_or_else(|| cursor.error())?;
        cursor.accept_all(mode.words());
        cursor.expect("mode")?;
    }
    // Nobody is waited for.
    cursor.accept("nowait");
    Ok(Body::LockTable { tables, mode })
}

fn vacuum(cursor: &mut Cursor<'_>) -> Result<Body> {
    let options = if cursor.is_symbol("(") {
        maintenance_options(cursor, "VACUUM", vacuum_option)?
    } else {
        let mut options = Maintenance::default();
        for option in ["full", "freeze", "verbose"] {
            cursor.accept(option);
        }
        options.analyze = cursor.accept("analyze") || cursor.accept("analyse");
        options
    };
    let tables = maintained_tables(cursor)?;
    options.check(tables.iter().any(|table| table.columns.is_some()))?;
    Ok(Body::Maintain(ast::Maintain { vacuum: true, analyze: options.analyze, tables }))
}

fn analyze(cursor: &mut Cursor<'_>) -> Result<Body> {
    if cursor.is_symbol("(") {
        maintenance_options(cursor, "ANALYZE", |name, value, _, _| match name {
            "verbose" | "skip_locked" => boolean(name, value).map(|_| true),
            _ => Ok(false),
        })?;
    } else {
        cursor.accept("verbose");
    }
    let tables = maintained_tables(cursor)?;
    Ok(Body::Maintain(ast::Maintain { vacuum: false, analyze: true, tables }))
}

/// What of VACUUM's options others depend on.
#[derive(Default)]
struct Maintenance {
    full: bool,
    analyze: bool,
    parallel: bool,
    every_page: bool,
    without_toast: bool,
}

impl Maintenance {
    /// What does not go together.
    fn check(&self, has_columns: bool) -> Result<()> {
        let message = if self.full && self.parallel {
            "VACUUM FULL cannot be performed in parallel"
        } else if has_columns && !self.analyze {
            "ANALYZE option must be specified when a column list is provided"
        } else if self.full && self.every_page {
            "VACUUM option DISABLE_PAGE_SKIPPING cannot be used with FULL"
        } else if self.full && self.without_toast {
            "PROCESS_TOAST required with VACUUM FULL"
        } else {
            return Ok(());
        };
        Err(Error::new("0A000", message))
    }
}

/// An option of VACUUM: whether there is one of this name.
fn vacuum_option(name: &str, value: Option<&str>, at: usize, options: &mut Maintenance) -> Result<bool> {
    match name {
        "full" => options.full = boolean(name, value)?,
        "analyze" => options.analyze = boolean(name, value)?,
        "disable_page_skipping" => options.every_page = boolean(name, value)?,
        "process_toast" => options.without_toast = !boolean(name, value)?,
        "freeze" | "verbose" | "skip_locked" | "truncate" => {
            boolean(name, value)?;
        }
        "index_cleanup" if value.is_some_and(|value| value.eq_ignore_ascii_case("auto")) => {}
        "index_cleanup" => {
            boolean(name, value)?;
        }
        "parallel" => {
            let Some(value) = value else {
                let message = "parallel option requires a value between 0 and 1024";
                return Err(Error::new("42601", message).at(at));
            };
            let workers: i64 =
                value.parse().map_err(|_| Error::new("42601", "parallel requires an integer value"))?;
            if !(0..=1024).contains(&workers) {
                let message = "parallel workers for vacuum must be between 0 and 1024";
                return Err(Error::new("42601", message).at(at));
            }
            options.parallel = workers > 0;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn maintenance_options(
    cursor: &mut Cursor<'_>,
    command: &str,
    known: impl Fn(&str, Option<&str>, usize, &mut Maintenance) -> Result<bool>,
) -> Result<Maintenance> {
    let mut options = Maintenance::default();
    cursor.expect_symbol("(")?;
    loop {
        let option = cursor.label()?;
        let name = if option.value == "analyse" { "analyze" } else { option.value.as_str() };
        let value = option_value(cursor)?;
        if !known(name, value.as_deref(), option.at, &mut options)? {
            let message = format!("unrecognized {command} option \"{}\"", option.value);
            return Err(Error::new("42601", message).at(option.at));
        }
        if !cursor.accept_symbol(",") {
            cursor.expect_symbol(")")?;
            return Ok(options);
        }
    }
}

/// The tables, each with its columns if those are named.
fn maintained_tables(cursor: &mut Cursor<'_>) -> Result<Vec<ast::MaintainedTable>> {
    if cursor.is_at_end() {
        return Ok(Vec::new());
    }
    cursor.list(|cursor| {
        let name = cursor.qualified_name()?;
        let columns = if cursor.is_symbol("(") { Some(cursor.name_list()?) } else { None };
        Ok(ast::MaintainedTable { name, columns })
    })
}
