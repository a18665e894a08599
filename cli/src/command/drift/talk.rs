//! Statements of DriftQL, one after the other, and what they answer: JSON.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::pin::pin;

use expr::datum::json::Json;
use expr::functions::quote::literal;
use futures::TryStreamExt;
use sql::parse::ast::{Body, DriftStatement};
use sql::parse::{Dialect, Statement, parse_in, pieces};
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::place::{Place, url};
use crate::failure::{Failure, chain};
use crate::output::{out, outln};

/// So many documents are inserted by one transaction, or so many bytes of them.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 1 << 20;

/// No row has room for a longer document.
const LINE_BYTES_MAX: u64 = 8 << 20;

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// One a line.
    Lines,
    /// As one array.
    Array,
}

/// A script, whose statements are understood.
pub(super) struct Script<'a> {
    statements: Vec<Cow<'a, str>>,
    places: Vec<String>,
}

impl<'a> Script<'a> {
    /// Reads all of it. Over a directory the paths of backups begin where this process is, which is who reads them.
    pub(super) fn read(text: &'a str, place: &Place) -> Result<Self, Failure> {
        let wrong = |error: sql::Error| refused(&error);
        let pieces = pieces(text, Dialect::DriftQl).map_err(wrong)?;
        let parsed = parse_in(text, Dialect::DriftQl).map_err(wrong)?;
        let (mut statements, mut places) = (Vec::with_capacity(pieces.len()), Vec::new());
        for (piece, statement) in pieces.into_iter().zip(parsed) {
            let (sent, backup) = sent(piece, statement, place)?;
            statements.push(sent);
            places.extend(backup);
        }
        Ok(Self { statements, places })
    }

    /// Where it has backups lie.
    pub(super) fn places(&self) -> &[String] {
        &self.places
    }

    /// Runs its statements, up to the first that fails.
    pub(super) async fn run(&self, client: &Client) -> Result<(), Failure> {
        // Another may have ended in SQL.
        client.batch_execute("SET dialect = driftql").await.map_err(|error| failed(&error))?;
        for text in &self.statements {
            statement(client, text, Shown::Lines).await?;
        }
        Ok(())
    }
}

/// A statement as it is sent, and the URL of the backup that it is about.
fn sent<'a>(
    piece: &'a str,
    statement: Statement,
    place: &Place,
) -> Result<(Cow<'a, str>, Option<String>), Failure> {
    match statement.body {
        // SHOW BACKUPS of the first of these places names none, and neither do schedules.
        Body::Backup(backup) => {
            let named = Some(backup.url).filter(|url| !url.is_empty() && url != "./");
            Ok((Cow::Borrowed(piece), named))
        }
        Body::Drift(drift) if place.data.is_some() => match *drift {
            DriftStatement::Backup(to) => {
                let url = url(&to)?;
                Ok((Cow::Owned(format!("BACKUP TO {}", literal(&url))), Some(url)))
            }
            _ => Ok((Cow::Borrowed(piece), None)),
        },
        _ => Ok((Cow::Borrowed(piece), None)),
    }
}

/// That a text is one statement and no more.
pub(super) fn check_single(text: &str) -> Result<(), Failure> {
    match pieces(text, Dialect::DriftQl).map_err(|error| refused(&error))?.len() {
        1 => Ok(()),
        _ => Err(Failure::usage("that is not one statement")),
    }
}

fn refused(error: &sql::Error) -> Failure {
    Failure::failed(format!("{} ({})", error.message, error.sqlstate))
}

/// Runs a statement and prints its rows, or that it was done.
pub(super) async fn statement(client: &Client, text: &str, shown: Shown) -> Result<(), Failure> {
    let stream = client.simple_query_raw(text).await.map_err(|error| failed(&error))?;
    let mut stream = pin!(stream);
    let (mut has_rows, mut printed) = (false, 0_u64);
    while let Some(message) = stream.try_next().await.map_err(|error| failed(&error))? {
        match message {
            SimpleQueryMessage::RowDescription(_) => has_rows = true,
            SimpleQueryMessage::Row(row) => {
                match (shown, printed) {
                    (Shown::Lines, _) => outln!("{}", shown_row(&row)),
                    (Shown::Array, 0) => out!("[{}", shown_row(&row)),
                    (Shown::Array, _) => out!(",\n {}", shown_row(&row)),
                }
                printed = printed.saturating_add(1);
            }
            SimpleQueryMessage::CommandComplete(0) if !has_rows => outln!("OK"),
            SimpleQueryMessage::CommandComplete(count) if !has_rows => outln!("OK {count}"),
            _ => {}
        }
    }
    if shown == Shown::Array {
        outln!("{}", if printed == 0 { "[]" } else { "]" });
    }
    Ok(())
}

/// What went wrong, in one line.
pub(super) fn failed(error: &tokio_postgres::Error) -> Failure {
    let Some(error) = error.as_db_error() else { return Failure::failed(chain(error)) };
    let mut text = format!("{} ({})", error.message(), error.code().code());
    for more in [error.detail(), error.hint()].into_iter().flatten() {
        text.push_str(&format!("; {more}"));
    }
    Failure::failed(text)
}

/// A row as JSON: a document alone is itself, else an object of the columns.
fn shown_row(row: &SimpleQueryRow) -> String {
    let columns = row.columns();
    if let [column] = columns
        && column.name() == "document"
    {
        return shown_value("document", row.get(0));
    }
    let member = |(place, column): (usize, &tokio_postgres::SimpleColumn)| {
        format!("{}: {}", expr::json::quoted(column.name()), shown_value(column.name(), row.get(place)))
    };
    let members: Vec<String> = columns.iter().enumerate().map(member).collect();
    format!("{{{}}}", members.join(", "))
}

/// What DriftQL's columns are is known by their names; others are texts.
fn shown_value(column: &str, value: Option<&str>) -> String {
    let Some(value) = value else { return "null".to_owned() };
    match column {
        "document" | "content" | "seq" if expr::json::parse(value).is_ok() => value.to_owned(),
        "time" => expr::json::quoted(&as_rfc3339(value)),
        _ => expr::json::quoted(value),
    }
}

/// `2026-05-01 12:00:00+00` as RFC 3339 writes it.
fn as_rfc3339(time: &str) -> String {
    match time.strip_suffix("+00") {
        Some(time) => format!("{}Z", time.replacen(' ', "T", 1)),
        None => time.to_owned(),
    }
}

/// Inserts the documents of a file, one a line, several in a transaction.
pub(super) async fn ingest(client: &Client, table: &str, file: &Path) -> Result<(), Failure> {
    let wrong = |what: String| Failure::usage(format!("{}: {what}", file.display()));
    let opened = OpenOptions::new().read(true).open(file).map_err(|error| wrong(error.to_string()))?;
    let mut file_read = BufReader::new(opened);
    let (mut batch, mut waiting, mut inserted) = (String::new(), 0_usize, 0_usize);
    for number in 1_u64.. {
        let mut line = String::new();
        let read = file_read.by_ref().take(LINE_BYTES_MAX).read_line(&mut line);
        if read.map_err(|error| wrong(format!("line {number}: {error}")))? == 0 {
            break;
        }
        // Some editors put a mark before the first that says nothing.
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() {
            continue;
        }
        if !matches!(expr::json::parse(line), Ok(Json::Object(_))) {
            return Err(wrong(format!("line {number} is no document; {inserted} were inserted before")));
        }
        batch.push_str(&format!("INSERT INTO {table} {line};\n"));
        waiting = waiting.saturating_add(1);
        if waiting >= BATCH || batch.len() >= BATCH_BYTES {
            insert(client, &batch, inserted).await?;
            inserted = inserted.saturating_add(waiting);
            (batch, waiting) = (String::new(), 0);
        }
    }
    if waiting > 0 {
        insert(client, &batch, inserted).await?;
        inserted = inserted.saturating_add(waiting);
    }
    outln!("OK {inserted}");
    Ok(())
}

/// One query string is one transaction.
async fn insert(client: &Client, batch: &str, before: usize) -> Result<(), Failure> {
    client.batch_execute(batch).await.map_err(|error| match failed(&error) {
        Failure::Failed(why) => Failure::failed(format!("{why}; {before} documents were inserted before")),
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::{as_rfc3339, check_single, shown_value};

    #[test]
    fn values_are_shown_as_json() {
        assert_eq!(shown_value("document", Some("{\"a\": 1}")), "{\"a\": 1}");
        assert_eq!(shown_value("name", Some("{\"a\": 1}")), "\"{\\\"a\\\": 1}\"");
        assert_eq!(shown_value("content", None), "null");
        assert_eq!(as_rfc3339("2026-05-01 12:00:00.5+00"), "2026-05-01T12:00:00.5Z");
    }

    #[test]
    fn a_condition_is_no_way_to_another_statement() {
        assert!(check_single("SELECT * FROM t WHERE a = 1").is_ok());
        assert!(check_single("SELECT * FROM t WHERE a = 1; COMPACT t").is_err());
    }
}
