//! What the tabulator key offers: keywords, commands, and names of what the statement may mean.

use super::lexer::{Token, is_word, token};
use super::names::Names;

/// Keywords that are offered.
const KEYWORDS: &[&str] = &[
    "ADD",
    "ALL",
    "ALTER",
    "ANALYZE",
    "AND",
    "ANY",
    "AS",
    "ASC",
    "BEGIN",
    "BETWEEN",
    "BIGINT",
    "BOOLEAN",
    "BY",
    "CASCADE",
    "CASE",
    "CAST",
    "CHECK",
    "COLUMN",
    "COMMENT",
    "COMMIT",
    "CONFLICT",
    "CONSTRAINT",
    "COPY",
    "CREATE",
    "CROSS",
    "CURRENT_DATE",
    "CURRENT_TIMESTAMP",
    "DATABASE",
    "DATE",
    "DEALLOCATE",
    "DEFAULT",
    "DELETE",
    "DESC",
    "DISTINCT",
    "DO",
    "DROP",
    "ELSE",
    "END",
    "EXCEPT",
    "EXECUTE",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FETCH",
    "FIRST",
    "FOREIGN KEY",
    "FROM",
    "FULL",
    "FUNCTION",
    "GRANT",
    "GROUP BY",
    "HAVING",
    "IF EXISTS",
    "IF NOT EXISTS",
    "ILIKE",
    "IN",
    "INDEX",
    "INNER",
    "INSERT INTO",
    "INTEGER",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "ISOLATION LEVEL",
    "JOIN",
    "JSONB",
    "KEY",
    "LAST",
    "LATERAL",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LISTEN",
    "LOCK",
    "MERGE INTO",
    "NATURAL",
    "NOT",
    "NOTIFY",
    "NULL",
    "NULLS",
    "NUMERIC",
    "OFFSET",
    "ON",
    "OR",
    "ORDER BY",
    "OUTER",
    "OVER",
    "PARTITION BY",
    "PRIMARY KEY",
    "PREPARE",
    "REFERENCES",
    "RELEASE",
    "RENAME",
    "REPEATABLE READ",
    "RESET",
    "RESTRICT",
    "RETURNING",
    "REVOKE",
    "RIGHT",
    "ROLE",
    "ROLLBACK",
    "ROW",
    "SAVEPOINT",
    "SCHEMA",
    "SELECT",
    "SEQUENCE",
    "SERIALIZABLE",
    "SET",
    "SHOW",
    "SKIP LOCKED",
    "START TRANSACTION",
    "TABLE",
    "TEXT",
    "THEN",
    "TIMESTAMPTZ",
    "TO",
    "TRANSACTION",
    "TRUE",
    "TRUNCATE",
    "UNION",
    "UNIQUE",
    "UPDATE",
    "USER",
    "USING",
    "UUID",
    "VACUUM",
    "VALUES",
    "VARCHAR",
    "VIEW",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
];

/// Words that a relation follows.
const BEFORE_RELATION: &[&str] =
    &["from", "join", "into", "update", "table", "truncate", "copy", "only", "analyze"];

/// Candidates that are offered at once.
const OFFERED_MAX: usize = 200;

/// What a line may go on with at `position`, and where the word to be replaced begins. `commands` are those that begin
/// with a backslash.
pub(super) fn complete(
    names: &Names,
    commands: &[&str],
    line: &str,
    position: usize,
) -> (usize, Vec<String>) {
    let before = line.get(..position).unwrap_or(line);
    if is_within_quotes(before) {
        return (position, Vec::new());
    }
    let start = before
        .rfind(|c: char| !is_word(c) && c != '\\')
        .map_or(0, |at| at + before.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8));
    let typed = before.get(start..).unwrap_or("");
    if typed.starts_with('\\') {
        let fit = commands.iter().filter(|name| name.starts_with(typed)).map(|name| format!("{name} "));
        return (start, fit.collect());
    }
    let head = before.get(..start).unwrap_or("");
    let mut offered = Vec::new();
    if let Some(owner) = head.strip_suffix('.') {
        members(names, line, last_word(owner), typed, &mut offered);
    } else if let Some(command) = head.split_whitespace().next().filter(|word| word.starts_with('\\')) {
        match command {
            "\\c" | "\\connect" => add(&mut offered, typed, names.databases.iter()),
            "\\h" | "\\help" => keywords(&mut offered, typed),
            "\\df" => add(&mut offered, typed, names.functions.iter()),
            "\\du" => add(&mut offered, typed, names.roles.iter()),
            "\\dn" => add(&mut offered, typed, names.schemas.keys()),
            _ => relations(names, typed, &mut offered),
        }
    } else {
        let previous = last_word(head.trim_end()).to_lowercase();
        if BEFORE_RELATION.contains(&previous.as_str()) {
            relations(names, typed, &mut offered);
        } else if matches!(previous.as_str(), "role" | "user" | "owner" | "to" | "database") {
            add(&mut offered, typed, names.roles.iter().chain(&names.databases));
        }
        if offered.is_empty() && !typed.is_empty() {
            keywords(&mut offered, typed);
            let columns = names.columns.values().flatten();
            add(&mut offered, typed, columns.chain(&names.relations).chain(names.schemas.keys()));
            let functions = names.functions.iter().map(|name| format!("{name}("));
            add(&mut offered, typed, functions.collect::<Vec<_>>().iter());
        }
    }
    offered.truncate(OFFERED_MAX);
    (start, offered)
}

/// Columns of a table or of what an alias names; relations of a schema.
fn members(names: &Names, line: &str, owner: &str, typed: &str, offered: &mut Vec<String>) {
    let table = aliased(names, line, owner).unwrap_or_else(|| owner.to_owned());
    if let Some(columns) = names.columns.get(&table) {
        add(offered, typed, columns.iter());
    }
    if let Some(relations) = names.schemas.get(owner) {
        add(offered, typed, relations.iter());
    }
}

/// The table that a statement calls `alias`: `table alias`, `table AS alias`.
fn aliased(names: &Names, line: &str, alias: &str) -> Option<String> {
    let words: Vec<&str> = line.split(|c: char| !is_word(c)).filter(|word| !word.is_empty()).collect();
    let named = words.windows(3).find_map(|words| match words {
        [table, middle, last] if *last == alias && middle.eq_ignore_ascii_case("as") => Some(*table),
        _ => None,
    });
    let beside = || {
        let is_table = |pair: &&[&str]| matches!(pair, [table, name] if *name == alias && names.columns.contains_key(*table));
        words.windows(2).find(is_table).and_then(|pair| pair.first().copied())
    };
    named.or_else(beside).map(str::to_owned)
}

fn relations(names: &Names, typed: &str, offered: &mut Vec<String>) {
    let schemas = names.schemas.keys().map(|schema| format!("{schema}.")).collect::<Vec<_>>();
    add(offered, typed, names.relations.iter().chain(&schemas));
}

/// Keywords in the letters of what is typed.
fn keywords(offered: &mut Vec<String>, typed: &str) {
    let small = typed.chars().next().is_some_and(char::is_lowercase);
    let upper = typed.to_uppercase();
    for keyword in KEYWORDS.iter().filter(|keyword| keyword.starts_with(&upper)) {
        offered.push(format!("{} ", if small { keyword.to_lowercase() } else { (*keyword).to_owned() }));
    }
}

fn add<'a>(offered: &mut Vec<String>, typed: &str, names: impl Iterator<Item = &'a String>) {
    let typed = typed.to_lowercase();
    for name in names.filter(|name| name.to_lowercase().starts_with(&typed)) {
        let name = if is_plain(name) { name.clone() } else { format!("\"{}\"", name.replace('"', "\"\"")) };
        if offered.len() < OFFERED_MAX && !offered.contains(&name) {
            offered.push(name);
        }
    }
}

/// Whether a name needs no quotes; `.` and `(` are those that this module appends.
fn is_plain(name: &str) -> bool {
    let name = name.trim_end_matches(['.', '(']);
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_lowercase() || c.is_ascii_digit() || c == '_')
}

fn last_word(text: &str) -> &str {
    text.rsplit(|c: char| !is_word(c)).next().unwrap_or("")
}

/// Whether a text ends within a quote or a comment.
fn is_within_quotes(text: &str) -> bool {
    let mut at = 0;
    while let Some((kind, length, ended)) = token(text, at) {
        if !ended && kind != Token::Sign {
            return true;
        }
        at += length;
    }
    false
}

/// Whether a word is a keyword that is offered, for its colour.
pub(super) fn is_keyword(word: &str) -> bool {
    let word = word.to_uppercase();
    KEYWORDS.iter().any(|keyword| keyword.split(' ').any(|part| part == word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(line: &str) -> Vec<String> {
        let mut names = Names::default();
        for (kind, name, place) in [
            ("r", "accounts", "public"),
            ("r", "Orders", "public"),
            ("r", "pg_class", "pg_catalog"),
            ("c", "balance", "accounts"),
            ("c", "owner", "accounts"),
            ("c", "note", "Orders"),
            ("f", "bit_length", ""),
            ("d", "postgres", ""),
            ("n", "public", ""),
        ] {
            names.add(kind, name, place);
        }
        complete(&names, &["\\d", "\\dt", "\\copy"], line, line.len()).1
    }

    #[test]
    fn what_is_offered_fits_its_place() {
        assert_eq!(offered("sel"), ["select "]);
        assert_eq!(offered("SELECT 1 FR"), ["FROM "]);
        assert_eq!(offered("select * from a"), ["accounts"]);
        assert_eq!(offered("select * from o"), ["\"Orders\""]);
        assert_eq!(
            offered("select b"),
            ["begin ", "between ", "bigint ", "boolean ", "by ", "balance", "bit_length("]
        );
        assert_eq!(offered("select a.b from accounts a where a."), ["balance", "owner"]);
        assert_eq!(offered("select 1 from accounts as x where x.o"), ["owner"]);
        assert_eq!(offered("select * from pg_catalog.pg_c"), ["pg_class"]);
        assert_eq!(offered("\\d"), ["\\d ", "\\dt "]);
        assert_eq!(offered("\\d acc"), ["accounts"]);
        assert_eq!(offered("\\c p"), ["postgres"]);
        assert_eq!(offered("select 'sel"), Vec::<String>::new());
    }
}
