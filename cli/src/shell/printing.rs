//! What the shell says of statements that return no rows, and of errors.

use tokio_postgres::error::{DbError, ErrorPosition};

use super::splitter::words;
use crate::failure::chain;
use crate::output::errln;

/// How much is told of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Verbosity {
    /// The message alone.
    Terse,
    /// Where it is and what may be done.
    #[default]
    Default,
    /// Its code and objects, too.
    Verbose,
}

impl Verbosity {
    /// As the variable VERBOSITY names it.
    pub(super) fn named(name: Option<&str>) -> Self {
        match name {
            Some("terse") => Self::Terse,
            Some("verbose") => Self::Verbose,
            _ => Self::Default,
        }
    }
}

/// The tag of a statement that returned no rows. The client library keeps only its count.
pub(super) fn tag(statement: &str, count: u64) -> String {
    let mut words = words(statement).into_iter().map(|word| word.to_ascii_uppercase());
    let first = words.next().unwrap_or_default();
    match first.as_str() {
        "INSERT" => format!("INSERT 0 {count}"),
        "UPDATE" | "DELETE" | "COPY" | "SELECT" | "MERGE" | "FETCH" | "MOVE" | "WITH" => {
            format!("{first} {count}")
        }
        "CREATE" | "DROP" | "ALTER" => {
            let object = words.find(|word| {
                !matches!(word.as_str(), "UNIQUE" | "OR" | "REPLACE" | "TEMP" | "TEMPORARY" | "UNLOGGED")
            });
            match object.unwrap_or_default() {
                object if object == "MATERIALIZED" => format!("{first} MATERIALIZED VIEW"),
                object => format!("{first} {object}"),
            }
        }
        "REFRESH" => "REFRESH MATERIALIZED VIEW".to_owned(),
        "UNDROP" => "UNDROP TABLE".to_owned(),
        "ERASE" => "ERASE HISTORY".to_owned(),
        "FLASHBACK" => match words.next().unwrap_or_default() {
            // By MERGE, or, of a table without a primary key, by INSERT: that is not in the words, the number is. Without one it may
            // have been by the catalog alone.
            object if object == "TABLE" && count > 0 => format!("FLASHBACK TABLE {count}"),
            object => format!("FLASHBACK {object}"),
        },
        // DriftQL's, which are answered as the statements that they are made of.
        "PATCH" | "SOFT" => format!("UPDATE {count}"),
        "SNAPSHOT" | "COMPACT" => format!("INSERT 0 {count}"),
        "LOCK" => "LOCK TABLE".to_owned(),
        "DECLARE" | "CLOSE" => format!("{first} CURSOR"),
        "TRUNCATE" => "TRUNCATE TABLE".to_owned(),
        "END" => "COMMIT".to_owned(),
        "ABORT" => "ROLLBACK".to_owned(),
        "START" => "START TRANSACTION".to_owned(),
        _ => first,
    }
}

/// Prints an error as psql does, pointing into the statement.
pub(super) fn print_error(
    statement: &str,
    error: &tokio_postgres::Error,
    verbosity: Verbosity,
    colours: bool,
) {
    match error.as_db_error() {
        Some(error) => errln!("{}", describe(statement, error, verbosity, colours)),
        None => errln!("{}", chain(error)),
    }
}

/// Prints a notice.
pub(super) fn print_notice(notice: &DbError) {
    errln!("{}", describe("", notice, Verbosity::Default, false));
}

/// An error in full, without its place.
pub(super) fn describe_in_full(error: &DbError) -> String {
    describe("", error, Verbosity::Verbose, false)
}

fn describe(statement: &str, error: &DbError, verbosity: Verbosity, colours: bool) -> String {
    let severity = error.severity();
    let mut text = if colours { format!("\x1b[1;31m{severity}:\x1b[0m  ") } else { format!("{severity}:  ") };
    if verbosity == Verbosity::Verbose {
        text.push_str(&format!("{}: ", error.code().code()));
    }
    text.push_str(error.message());
    if verbosity == Verbosity::Terse {
        return text;
    }
    if let Some(ErrorPosition::Original(position)) = error.position()
        && let Some(pointer) = pointer(statement, *position as usize)
    {
        text.push_str(&pointer);
    }
    let parts = [("DETAIL", error.detail()), ("HINT", error.hint()), ("CONTEXT", error.where_())];
    for (name, part) in parts {
        if let Some(part) = part {
            text.push_str(&format!("\n{name}:  {part}"));
        }
    }
    if verbosity == Verbosity::Verbose {
        let objects = [
            ("SCHEMA NAME", error.schema()),
            ("TABLE NAME", error.table()),
            ("COLUMN NAME", error.column()),
            ("DATATYPE NAME", error.datatype()),
            ("CONSTRAINT NAME", error.constraint()),
        ];
        for (name, object) in objects {
            if let Some(object) = object {
                text.push_str(&format!("\n{name}:  {object}"));
            }
        }
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
            ("undrop table t", 0, "UNDROP TABLE"),
            ("erase history of table t", 0, "ERASE HISTORY"),
            ("flashback table t to '-1h'", 3, "FLASHBACK TABLE 3"),
            ("flashback table t to '-1h'", 0, "FLASHBACK TABLE"),
            ("flashback database d to '-1h'", 0, "FLASHBACK DATABASE"),
            ("patch t key 1 set {\"a\": 1}", 1, "UPDATE 1"),
            ("soft delete from t key 1", 1, "UPDATE 1"),
            ("snapshot t", 2, "INSERT 0 2"),
            ("compact t", 0, "INSERT 0 0"),
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
