//! Statements by their first words. What is a command of its own is parsed here; the rest goes to [`adapt`].

use sqlparser::tokenizer::Token;

use super::adapt;
use super::ast::{Body, Discard, Expr, QualifiedName, TypeName};
use super::cursor::Cursor;
use super::option::{boolean, option_value};
use super::source::Source;
use super::{copy, setting, transaction};
use crate::error::{Error, Result};

/// First words of PostgreSQL's commands that are not supported.
const UNSUPPORTED: [&str; 22] = [
    "call", "cluster", "comment", "declare", "do", "fetch", "grant", "import", "listen", "load", "lock",
    "merge", "move", "notify", "reassign", "refresh", "reindex", "revoke", "security", "create", "drop",
    "alter",
];

/// The statement between two tokens.
pub(super) fn body(source: &Source<'_>, start: usize, end: usize) -> Result<Body> {
    let mut cursor = Cursor::new(source, start, end);
    let Some(word) = cursor.word() else {
        // A query between parentheses.
        return adapt::statement(source, start, end);
    };
    let parse = match word.as_str() {
        "select" | "with" | "values" | "table" | "insert" | "update" | "delete" | "truncate" => {
            return adapt::statement(source, start, end);
        }
        "create" | "drop" | "alter" if is_known_ddl(&cursor) => return adapt::statement(source, start, end),
        "begin" => transaction::begin,
        "start" => transaction::start_transaction,
        "commit" | "end" => transaction::commit,
        "rollback" | "abort" => transaction::rollback,
        "savepoint" => transaction::savepoint,
        "release" => transaction::release,
        "set" => setting::set,
        "reset" => setting::reset,
        "show" => setting::show,
        "copy" => copy::copy,
        "explain" => explain,
        "prepare" => prepare,
        "execute" => execute,
        "deallocate" => deallocate,
        "close" => close,
        "unlisten" => unlisten,
        "discard" => discard,
        "vacuum" => vacuum,
        "analyze" | "analyse" => analyze,
        "checkpoint" => checkpoint,
        word if UNSUPPORTED.contains(&word) => return Err(unsupported(&cursor, word)),
        _ => return Err(cursor.error()),
    };
    cursor.advance();
    let body = parse(&mut cursor)?;
    cursor.finish()?;
    Ok(body)
}

fn is_known_ddl(cursor: &Cursor<'_, '_>) -> bool {
    // CREATE UNLOGGED TABLE, CREATE UNIQUE INDEX, and what the adapter refuses by name (CREATE TEMPORARY TABLE).
    const BETWEEN: [&str; 6] = ["unlogged", "unique", "temporary", "temp", "global", "local"];
    let words = (1..4).filter_map(|ahead| cursor.word_at(ahead));
    words
        .take_while(|word| BETWEEN.contains(&word.as_str()) || matches!(word.as_str(), "table" | "index"))
        .any(|word| word == "table" || word == "index" && cursor.word().as_deref() != Some("alter"))
}

fn unsupported(cursor: &Cursor<'_, '_>, word: &str) -> Error {
    let what = match cursor.word_at(1) {
        Some(second) if matches!(word, "create" | "drop" | "alter") => format!("{word} {second}"),
        _ => word.to_owned(),
    };
    Error::unsupported(what.to_uppercase()).at(cursor.at())
}

fn explain(cursor: &mut Cursor<'_, '_>) -> Result<Body> {
    let mut analyze = false;
    if cursor.peek() == Some(&Token::LParen) && !starts_query(cursor.word_at(1).as_deref()) {
        analyze = explain_options(cursor)?;
    } else {
        analyze |= cursor.accept("analyze") || cursor.accept("analyse");
        cursor.accept("verbose");
    }
    let at = cursor.at();
    let explained = body(cursor.source, cursor.next, cursor.end)?;
    cursor.next = cursor.end;
    match explained {
        Body::Query(_) | Body::Insert(_) | Body::Update(_) | Body::Delete(_) => {
            Ok(Body::Explain { body: Box::new(explained), analyze })
        }
        Body::Execute { .. } => Err(Error::unsupported("EXPLAIN EXECUTE").at(at)),
        _ => Err(cursor.source.syntax_error(cursor.source.tokens.partition_point(|token| token.at < at))),
    }
}

fn starts_query(word: Option<&str>) -> bool {
    matches!(word, Some("select" | "with" | "values" | "table"))
}

/// Reads `(ANALYZE, COSTS off, …)`; whether to analyze.
fn explain_options(cursor: &mut Cursor<'_, '_>) -> Result<bool> {
    let mut analyze = false;
    cursor.expect_token(&Token::LParen)?;
    loop {
        let at = cursor.at();
        let option = cursor.name()?.value;
        let value = option_value(cursor);
        match option.as_str() {
            "analyze" | "analyse" => analyze = boolean(&option, value.as_deref(), at)?,
            "verbose" | "costs" | "settings" | "buffers" | "wal" | "timing" | "summary" => {
                boolean(&option, value.as_deref(), at)?;
            }
            "format" => match value.as_deref().map(str::to_ascii_lowercase).as_deref() {
                Some("text") => {}
                _ => return Err(Error::unsupported("EXPLAIN in a format other than TEXT").at(at)),
            },
            _ => {
                return Err(Error::new("42601", format!("unrecognized EXPLAIN option \"{option}\"")).at(at));
            }
        }
        if !cursor.accept_token(&Token::Comma) {
            break;
        }
    }
    cursor.expect_token(&Token::RParen)?;
    Ok(analyze)
}

fn prepare(cursor: &mut Cursor<'_, '_>) -> Result<Body> {
    if cursor.word().as_deref() == Some("transaction") && cursor.peek_at(1).is_some_and(is_string) {
        return Err(Error::unsupported("PREPARE TRANSACTION").at(cursor.at()));
    }
    let name = cursor.name()?.value;
    let mut types: Vec<TypeName> = Vec::new();
    if cursor.peek() == Some(&Token::LParen) {
        let closing = cursor.closing()?;
        for (from, to) in items(cursor, closing) {
            types.push(adapt::type_name(cursor.source, from, to)?);
        }
        cursor.next = closing.saturating_add(1);
    }
    cursor.expect("as")?;
    let statement = super::statement(cursor.source, cursor.next, cursor.end)?;
    match statement.body {
        Body::Query(_) | Body::Insert(_) | Body::Update(_) | Body::Delete(_) => {}
        _ => return Err(cursor.error()),
    }
    cursor.next = cursor.end;
    Ok(Body::Prepare { name, types, statement: Box::new(statement) })
}

fn is_string(token: &Token) -> bool {
    matches!(token, Token::SingleQuotedString(_))
}

fn execute(cursor: &mut Cursor<'_, '_>) -> Result<Body> {
    let name = cursor.name()?.value;
    let mut arguments: Vec<Expr> = Vec::new();
    if cursor.peek() == Some(&Token::LParen) {
        let closing = cursor.closing()?;
        for (from, to) in items(cursor, closing) {
            arguments.push(adapt::expression(cursor.source, from, to)?);
        }
        cursor.next = closing.saturating_add(1);
    }
    Ok(Body::Execute { name, arguments })
}

/// The stretches of tokens between the commas of a list whose opening parenthesis is next.
fn items(cursor: &Cursor<'_, '_>, closing: usize) -> Vec<(usize, usize)> {
    let first = cursor.next.saturating_add(1);
    let mut items = Vec::new();
    let mut depth = 0_usize;
    let mut start = first;
    for place in first..=closing {
        match cursor.source.tokens.get(place).map(|placed| &placed.token.token) {
            Some(Token::LParen | Token::LBracket) => depth = depth.saturating_add(1),
            Some(Token::RParen | Token::RBracket) if depth > 0 => depth = depth.saturating_sub(1),
            Some(Token::Comma | Token::RParen) if depth == 0 => {
                if place > start || place < closing {
                    items.push((start, place));
                }
                start = place.saturating_add(1);
            }
            _ => {}
        }
    }
    items
}

fn deallocate(cursor: &mut Cursor<'_, '_>) -> Result<Body> {
    if cursor.peek_at(1).is_some() {
        cursor.expect("prepare")?;
    }
    let all = cursor.word().as_deref() == Some("all");
    let name = cursor.name()?.value;
    Ok(Body::Deallocate(if all { None } else { Some(name) }))
}

fn close(cursor: &mut Cursor<'_, '_>) -> Result<Body> {
    let all = cursor.word().as_deref() == Some("all");
    let name = cursor.name()?.value;
    Ok(Body::Close(if all { None } else { Some(name) }))
}

fn unlisten(cursor: &mut Cursor<'_, '_>) -> Result<Body> {
    if !cursor.accept_token(&Token::Mul) {
        cursor.name()?;
    }
    Ok(Body::Unlisten)
}

fn discard(cursor: &mut Cursor<'_, '_>) -> Result<Body> {
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

fn checkpoint(_cursor: &mut Cursor<'_, '_>) -> Result<Body> {
    Ok(Body::Checkpoint)
}

fn vacuum(cursor: &mut Cursor<'_, '_>) -> Result<Body> {
    if cursor.peek() == Some(&Token::LParen) {
        const OPTIONS: [&str; 12] = [
            "full",
            "freeze",
            "verbose",
            "analyze",
            "disable_page_skipping",
            "skip_locked",
            "index_cleanup",
            "process_toast",
            "truncate",
            "parallel",
            "analyse",
            "buffer_usage_limit",
        ];
        maintenance_options(cursor, "VACUUM", &OPTIONS)?;
    } else {
        for option in ["full", "freeze", "verbose"] {
            cursor.accept(option);
        }
        let _ = cursor.accept("analyze") || cursor.accept("analyse");
    }
    maintained_tables(cursor).map(Body::Vacuum)
}

fn analyze(cursor: &mut Cursor<'_, '_>) -> Result<Body> {
    if cursor.peek() == Some(&Token::LParen) {
        maintenance_options(cursor, "ANALYZE", &["verbose", "skip_locked", "buffer_usage_limit"])?;
    } else {
        cursor.accept("verbose");
    }
    maintained_tables(cursor).map(Body::Analyze)
}

fn maintenance_options(cursor: &mut Cursor<'_, '_>, command: &str, options: &[&str]) -> Result<()> {
    cursor.expect_token(&Token::LParen)?;
    loop {
        let option = cursor.name()?;
        if !options.contains(&option.value.as_str()) {
            let message = format!("unrecognized {command} option \"{}\"", option.value);
            return Err(Error::new("42601", message).at(option.at));
        }
        option_value(cursor);
        if !cursor.accept_token(&Token::Comma) {
            return cursor.expect_token(&Token::RParen);
        }
    }
}

fn maintained_tables(cursor: &mut Cursor<'_, '_>) -> Result<Vec<QualifiedName>> {
    let mut tables = Vec::new();
    if cursor.is_at_end() {
        return Ok(tables);
    }
    loop {
        tables.push(cursor.qualified_name()?);
        if cursor.peek() == Some(&Token::LParen) {
            cursor.name_list()?;
        }
        if !cursor.accept_token(&Token::Comma) {
            return Ok(tables);
        }
    }
}
