//! What the shell prints of results and errors.

use tokio_postgres::error::{DbError, ErrorPosition};

use crate::failure::chain;
use crate::output::{errln, out, outln};
use crate::table::Table;

/// Prints rows as a table.
pub(super) fn print_rows(names: &[String], rows: Vec<Vec<Option<String>>>) {
    let count = rows.len();
    out!("{}", Table::of_values(names, rows));
    outln!("({count} {})\n", if count == 1 { "row" } else { "rows" });
}

/// Prints the tag of a statement that returned no rows. The client library keeps only its count.
pub(super) fn print_tag(statement: &str, count: u64) {
    outln!("{}", tag(statement, count));
}

fn tag(statement: &str, count: u64) -> String {
    let mut words =
        statement.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or("").to_ascii_uppercase();
    match first.as_str() {
        "INSERT" => format!("INSERT 0 {count}"),
        "UPDATE" | "DELETE" | "COPY" | "SELECT" | "MERGE" | "FETCH" | "MOVE" | "WITH" => {
            format!("{first} {count}")
        }
        "CREATE" | "DROP" | "ALTER" => {
            let object = words.map(str::to_ascii_uppercase).find(|word| {
                !matches!(word.as_str(), "UNIQUE" | "OR" | "REPLACE" | "TEMP" | "TEMPORARY" | "UNLOGGED")
            });
            format!("{first} {}", object.unwrap_or_default())
        }
        "TRUNCATE" => "TRUNCATE TABLE".to_owned(),
        "END" => "COMMIT".to_owned(),
        "ABORT" => "ROLLBACK".to_owned(),
        "START" => "START TRANSACTION".to_owned(),
        _ => first,
    }
}

/// Prints an error as psql does, pointing into the statement.
pub(super) fn print_error(statement: &str, error: &tokio_postgres::Error) {
    match error.as_db_error() {
        Some(error) => errln!("{}", describe(statement, error)),
        None => errln!("{}", chain(error)),
    }
}

/// Prints a notice.
pub(super) fn print_notice(notice: &DbError) {
    errln!("{}", describe("", notice));
}

fn describe(statement: &str, error: &DbError) -> String {
    let mut text = format!("{}:  {}", error.severity(), error.message());
    if let Some(ErrorPosition::Original(position)) = error.position()
        && let Some(pointer) = pointer(statement, *position as usize)
    {
        text.push_str(&pointer);
    }
    if let Some(detail) = error.detail() {
        text.push_str(&format!("\nDETAIL:  {detail}"));
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("\nHINT:  {hint}"));
    }
    if let Some(context) = error.where_() {
        text.push_str(&format!("\nCONTEXT:  {context}"));
    }
    if !matches!(error.code().code(), "" | "00000") {
        text.push_str(&format!("\nSQLSTATE: {}", error.code().code()));
    }
    text
}

/// The line that an error is in, with a caret below its place. `position` counts characters from 1.
fn pointer(statement: &str, position: usize) -> Option<String> {
    let mut start = 0;
    for (number, line) in statement.split('\n').enumerate() {
        let length = line.chars().count() + 1;
        if position >= 1 && position - 1 < start + length {
            let prefix = format!("LINE {}: ", number + 1);
            let column = position - 1 - start;
            let indent = " ".repeat(prefix.chars().count() + column);
            return Some(format!("\n{prefix}{line}\n{indent}^"));
        }
        start += length;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_told_from_the_statement() {
        for (statement, count, expected) in [
            ("insert into t values (1)", 1, "INSERT 0 1"),
            ("create unique index i on t (a)", 0, "CREATE INDEX"),
            ("drop table t", 0, "DROP TABLE"),
            ("begin", 0, "BEGIN"),
            ("end", 0, "COMMIT"),
        ] {
            assert_eq!(tag(statement, count), expected);
        }
    }

    #[test]
    fn an_error_points_at_its_place() {
        assert_eq!(pointer("SELECT 1,\n  x;", 13).unwrap(), "\nLINE 2:   x;\n          ^");
        assert_eq!(pointer("x", 9), None);
    }
}
