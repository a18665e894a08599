//! DriftQL's statements. Each is told by its first words; what is none of them is left to SQL's grammar.
//!
//! ```text
//! CREATE TABLE t (pk=c [, INDEX(a, b)])     INSERT INTO t {…}            SELECT * FROM t [WHERE c = v [AND …]]
//! CREATE INDEX ON t(c)                      PATCH t KEY v SET {…}            [AS OF @seq:N | @now | "time"] [LIMIT n]
//! ALTER TABLE t ADD COLUMN c [DEFAULT v]    SOFT DELETE FROM t KEY v     SHOW DRIFT t KEY v
//! ALTER TABLE t DROP COLUMN c               SNAPSHOT t                   BEGIN …, COMMIT, ROLLBACK
//! DROP TABLE t     ANALYZE TABLE t          COMPACT t                    BACKUP TO 'dir'
//! ```
//!
//! A statement ends at a semicolon, or where a line begins with a word that statements begin with. `EXPLAIN` stands before `SELECT` and
//! `SHOW DRIFT`.

mod reader;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::ast::{
    AccessMode, Body, DriftMoment, DriftStatement, ExplainOption, Isolation, Name, OptionValue, Statement,
    TransactionModes,
};
use crate::error::{Error, Result};
use reader::Reader;

/// Where something stands: its byte from 0, its character from 1.
pub(super) type Place = (usize, usize);

/// The statement that stands there, and where it ends. `None`: it is SQL.
pub(super) fn statement(sql: &str, (byte, at): Place) -> Result<Option<(Statement, Place)>> {
    let mut reader = Reader::new(sql, byte, at);
    let (start, _) = reader.place();
    let Some(body) = body(&mut reader)? else { return Ok(None) };
    if !reader.is_at_end() {
        return Err(reader.error());
    }
    let behind = reader.place();
    let text =
        told(&body).unwrap_or_else(|| sql.get(start..behind.0).unwrap_or_default().trim_end().to_owned());
    Ok(Some((Statement { body, text: Arc::from(text) }, behind)))
}

/// The text that a statement with values is known by.
fn told(body: &Body) -> Option<String> {
    match body {
        Body::Drift(statement) => Some(statement.to_string()),
        Body::Explain { body, .. } => Some(format!("EXPLAIN {}", told(body)?)),
        _ => None,
    }
}

fn body(reader: &mut Reader<'_>) -> Result<Option<Body>> {
    if let Some(body) = transaction(reader) {
        return Ok(Some(body));
    }
    let mut ahead = *reader;
    if ahead.accept("explain") {
        let Some(options) = explain_options(&mut ahead) else { return Ok(None) };
        let explained = match select(&mut ahead)? {
            Some(select) => Some(select),
            None => show(&mut ahead)?,
        };
        let Some(explained) = explained else { return Ok(None) };
        *reader = ahead;
        return Ok(Some(Body::Explain { body: Box::new(drift(explained)), options }));
    }
    Ok(drift_statement(reader)?.map(drift))
}

fn drift(statement: DriftStatement) -> Body {
    Body::Drift(Box::new(statement))
}

fn drift_statement(reader: &mut Reader<'_>) -> Result<Option<DriftStatement>> {
    for read in [select, show, insert, create_table, create_index, alter, drop_table, backup] {
        if let Some(statement) = read(reader)? {
            return Ok(Some(statement));
        }
    }
    if reader.accept("patch") {
        let table = reader.table()?;
        reader.expect("key")?;
        let key = reader.value()?;
        reader.expect("set")?;
        return Ok(Some(DriftStatement::Patch { table, key, patch: reader.document()? }));
    }
    if reader.accept_all(&["soft", "delete"]) {
        reader.expect("from")?;
        let table = reader.table()?;
        reader.expect("key")?;
        return Ok(Some(DriftStatement::SoftDelete { table, key: reader.value()? }));
    }
    if reader.accept("snapshot") {
        return Ok(Some(DriftStatement::Snapshot(reader.table()?)));
    }
    if reader.accept("compact") {
        return Ok(Some(DriftStatement::Compact(reader.table()?)));
    }
    if reader.accept_all(&["analyze", "table"]) {
        return Ok(Some(DriftStatement::Analyze(reader.table()?)));
    }
    Ok(None)
}

/// BEGIN, COMMIT, ROLLBACK with nothing that SQL alone knows.
fn transaction(reader: &mut Reader<'_>) -> Option<Body> {
    let mut ahead = *reader;
    let word = ["begin", "commit", "rollback"].into_iter().find(|word| ahead.accept(word))?;
    if !ahead.is_at_end() {
        let _ = ahead.accept("transaction") || ahead.accept("work");
    }
    let body = match word {
        "begin" => Body::Begin(modes(&mut ahead)?, None, "BEGIN"),
        "commit" => Body::Commit { chain: false },
        _ => Body::Rollback { chain: false },
    };
    if !ahead.is_at_end() {
        return None;
    }
    *reader = ahead;
    Some(body)
}

/// What BEGIN says. SNAPSHOT isolation is REPEATABLE READ.
fn modes(reader: &mut Reader<'_>) -> Option<TransactionModes> {
    let mut modes = TransactionModes::default();
    loop {
        if reader.is_at_end() {
            return Some(modes);
        }
        if reader.accept_all(&["isolation", "level"]) {
            let levels: [(&[&str], Isolation); 5] = [
                (&["read", "uncommitted"], Isolation::ReadUncommitted),
                (&["read", "committed"], Isolation::ReadCommitted),
                (&["repeatable", "read"], Isolation::RepeatableRead),
                (&["snapshot"], Isolation::RepeatableRead),
                (&["serializable"], Isolation::Serializable),
            ];
            modes.isolation = Some(levels.into_iter().find(|(words, _)| reader.accept_all(words))?.1);
        } else if reader.accept_all(&["read", "only"]) {
            modes.access = Some(AccessMode::ReadOnly);
        } else if reader.accept_all(&["read", "write"]) {
            modes.access = Some(AccessMode::ReadWrite);
        } else {
            return None;
        }
        reader.accept_symbol(',');
    }
}

/// What stands between EXPLAIN and the statement; `None`: SQL may know it.
fn explain_options(reader: &mut Reader<'_>) -> Option<Vec<ExplainOption>> {
    let mut options = Vec::new();
    if reader.accept_symbol('(') {
        loop {
            let name = reader.field().ok()?;
            let name = Name { value: name.value.to_ascii_lowercase(), at: name.at };
            let value = match reader.is_symbol(',') || reader.is_symbol(')') {
                true => None,
                false => Some(OptionValue::Text(reader.field().ok()?.value.to_ascii_lowercase())),
            };
            options.push(ExplainOption { name, value });
            if !reader.accept_symbol(',') {
                return reader.accept_symbol(')').then_some(options);
            }
        }
    }
    for word in ["analyze", "verbose"] {
        let at = reader.at();
        if reader.accept(word) {
            options.push(ExplainOption { name: Name { value: word.to_owned(), at }, value: None });
        }
    }
    Some(options)
}

/// `SELECT * FROM t`, if nothing follows that SQL alone has.
fn select(reader: &mut Reader<'_>) -> Result<Option<DriftStatement>> {
    let mut ahead = *reader;
    if !(ahead.accept("select") && ahead.accept_symbol('*') && ahead.accept("from")) {
        return Ok(None);
    }
    let Ok(table) = ahead.table() else { return Ok(None) };
    let (mut conditions, mut as_of, mut limit) = (Vec::new(), None, None);
    loop {
        if conditions.is_empty() && ahead.accept("where") {
            loop {
                let field = ahead.field()?;
                if !ahead.is_symbol('=') {
                    let what = "a condition of DriftQL that is not \"field = value\"";
                    return Err(Error::unsupported(what)
                        .hint("SET dialect = sql knows others.")
                        .at(ahead.at()));
                }
                ahead.accept_symbol('=');
                // Some write two.
                ahead.accept_symbol('=');
                conditions.push((field, ahead.value()?));
                if !ahead.accept("and") {
                    break;
                }
            }
        } else if as_of.is_none() && ahead.accept_all(&["as", "of"]) {
            if ahead.is("system") {
                return Ok(None);
            }
            as_of = Some(moment(&mut ahead)?);
        } else if as_of.is_none() && ahead.accept_all(&["for", "system_time", "as", "of"]) {
            // Moments without a mark are SQL's there.
            if !ahead.is_marked() {
                return Ok(None);
            }
            as_of = Some(moment(&mut ahead)?);
        } else if limit.is_none() && ahead.accept("limit") {
            limit = Some(ahead.number()?);
        } else {
            break;
        }
    }
    let is_begun = !conditions.is_empty() || as_of.is_some();
    if !ahead.is_at_end() {
        return if is_begun { Err(ahead.error()) } else { Ok(None) };
    }
    *reader = ahead;
    let as_of = as_of.unwrap_or(DriftMoment::Now);
    Ok(Some(DriftStatement::Select { table, conditions, as_of, limit }))
}

/// After AS OF: `@seq:N`, `@now`, or a time; all of them may stand between quotes.
fn moment(reader: &mut Reader<'_>) -> Result<DriftMoment> {
    let at = reader.at();
    if let Some(text) = reader.text()? {
        return Ok(match marked_moment(&text, at)? {
            Some(moment) => moment,
            None => DriftMoment::Time(text, at),
        });
    }
    reader.expect_symbol('@')?;
    if reader.accept("now") {
        return Ok(DriftMoment::Now);
    }
    reader.expect("seq")?;
    reader.expect_symbol(':')?;
    Ok(DriftMoment::Sequence(reader.number()?, at))
}

/// What a text with a mark means; `None`: it is to be a time.
pub(crate) fn marked_moment(text: &str, at: usize) -> Result<Option<DriftMoment>> {
    let Some(mark) = text.trim().strip_prefix('@') else { return Ok(None) };
    if mark.eq_ignore_ascii_case("now") {
        return Ok(Some(DriftMoment::Now));
    }
    let number = mark.split_once(':').filter(|(word, _)| word.eq_ignore_ascii_case("seq"));
    let number =
        number.and_then(|(_, digits)| digits.trim().parse::<i64>().ok()).filter(|number| *number >= 0);
    let number = number.ok_or_else(|| {
        Error::new("22023", format!("\"{text}\" is no moment"))
            .hint("It is @now, @seq:N, or a time such as \"2026-05-01T12:00:00Z\".")
            .at(at)
    })?;
    Ok(Some(DriftMoment::Sequence(number, at)))
}

fn show(reader: &mut Reader<'_>) -> Result<Option<DriftStatement>> {
    if !reader.accept_all(&["show", "drift"]) {
        return Ok(None);
    }
    let table = reader.table()?;
    reader.expect("key")?;
    Ok(Some(DriftStatement::Show { table, key: reader.value()? }))
}

/// `INSERT INTO t {`
fn insert(reader: &mut Reader<'_>) -> Result<Option<DriftStatement>> {
    let mut ahead = *reader;
    if !ahead.accept_all(&["insert", "into"]) {
        return Ok(None);
    }
    let Ok(table) = ahead.table() else { return Ok(None) };
    if !ahead.is_symbol('{') && !ahead.is_symbol('\'') {
        return Ok(None);
    }
    let document = ahead.document()?;
    *reader = ahead;
    Ok(Some(DriftStatement::Insert { table, document }))
}

/// `CREATE TABLE [IF NOT EXISTS] t (pk=`
fn create_table(reader: &mut Reader<'_>) -> Result<Option<DriftStatement>> {
    let mut ahead = *reader;
    if !ahead.accept_all(&["create", "table"]) {
        return Ok(None);
    }
    let if_not_exists = ahead.accept_all(&["if", "not", "exists"]);
    let Ok(table) = ahead.table() else { return Ok(None) };
    if !(ahead.accept_symbol('(') && ahead.accept("pk") && ahead.accept_symbol('=')) {
        return Ok(None);
    }
    let key = ahead.field()?;
    let mut indexed = Vec::new();
    while ahead.accept_symbol(',') {
        ahead.expect("index")?;
        indexed.extend(ahead.fields()?);
    }
    ahead.expect_symbol(')')?;
    *reader = ahead;
    Ok(Some(DriftStatement::CreateTable { table, if_not_exists, key, indexed }))
}

/// `CREATE INDEX ON t(c)`
fn create_index(reader: &mut Reader<'_>) -> Result<Option<DriftStatement>> {
    let mut ahead = *reader;
    if !ahead.accept_all(&["create", "index", "on"]) {
        return Ok(None);
    }
    let (Ok(table), Ok(fields)) = (ahead.table(), ahead.fields()) else { return Ok(None) };
    if fields.is_empty() || !ahead.is_at_end() {
        return Ok(None);
    }
    *reader = ahead;
    Ok(Some(DriftStatement::CreateIndex { table, fields }))
}

/// `ALTER TABLE t ADD COLUMN c [DEFAULT v]`, `DROP COLUMN c`
fn alter(reader: &mut Reader<'_>) -> Result<Option<DriftStatement>> {
    let mut ahead = *reader;
    if !ahead.accept_all(&["alter", "table"]) {
        return Ok(None);
    }
    let Ok(table) = ahead.table() else { return Ok(None) };
    let adds = ahead.accept_all(&["add", "column"]);
    if !adds && !ahead.accept_all(&["drop", "column"]) {
        return Ok(None);
    }
    let Ok(field) = ahead.field() else { return Ok(None) };
    let statement = match adds {
        false => DriftStatement::DropColumn { table, field },
        true => {
            let default = if ahead.accept("default") { Some(ahead.value()?) } else { None };
            DriftStatement::AddColumn { table, field, default }
        }
    };
    // A type, or IF EXISTS: SQL's.
    if !ahead.is_at_end() {
        return Ok(None);
    }
    *reader = ahead;
    Ok(Some(statement))
}

/// `DROP TABLE [IF EXISTS] t [CASCADE | RESTRICT]`; of several tables it is SQL's.
fn drop_table(reader: &mut Reader<'_>) -> Result<Option<DriftStatement>> {
    let mut ahead = *reader;
    if !ahead.accept_all(&["drop", "table"]) {
        return Ok(None);
    }
    let if_exists = ahead.accept_all(&["if", "exists"]);
    let Ok(table) = ahead.table() else { return Ok(None) };
    let cascade = ahead.accept("cascade");
    if !(cascade || ahead.accept("restrict") || ahead.is_at_end()) {
        return Ok(None);
    }
    *reader = ahead;
    Ok(Some(DriftStatement::DropTable { table, if_exists, cascade }))
}

/// `BACKUP [DATABASE] TO 'dir'`
fn backup(reader: &mut Reader<'_>) -> Result<Option<DriftStatement>> {
    let mut ahead = *reader;
    if !ahead.accept("backup") {
        return Ok(None);
    }
    ahead.accept("database");
    if !ahead.accept("to") {
        return Ok(None);
    }
    let place = ahead.text()?.ok_or_else(|| ahead.error())?;
    *reader = ahead;
    Ok(Some(DriftStatement::Backup(place)))
}
