//! From SQL text to the syntax tree.
//!
//! 1. The [`lexer`] finds one token after the other; nothing is kept of the text but the text.
//! 2. A [`cursor`] reads them, and bounds how high and how large the tree may become.
//! 3. [`command`] tells statements by their first words; [`grammar`] reads queries, statements that write and
//!    definitions, the others are read beside it ([`begin`], [`copy`], [`setting`], [`transaction`], [`fetch`], [`access`],
//!    [`explain`]). In the dialect DriftQL its own statements are read by [`drift`] before.
//!
//! The tree ([`ast`]) holds exactly what is understood: every clause that PostgreSQL has and we do not is an error
//! (0A000) that names it and its place, never dropped.

mod access;
pub mod ast;
mod begin;
mod command;
mod copy;
mod cursor;
mod database;
mod drift;
mod execute;
mod explain;
mod fetch;
mod grammar;
mod keyword;
mod lexer;
mod normalise;
mod option;
mod rewrite;
mod setting;
mod show;
mod strings;
mod template;
#[cfg(test)]
mod tests;
mod transaction;

pub use ast::{Dialect, Statement};
pub(crate) use drift::marked_moment;
pub(crate) use normalise::{Literal, Normalised};
pub(crate) use rewrite::{Edit, Instead, called_in, edited, names_in, relations_in, with_names};
pub use strings::StringRules;
pub(crate) use strings::{conformed, place_as_written};
pub(crate) use template::{Template, first_words, keywords_alone, redacted, template};

use std::sync::Arc;

use crate::error::Result;
use cursor::Cursor;

/// The statements of a query string; none for a string that holds only white space, comments and semicolons.
/// 42601 where it is no SQL, 0A000 for SQL that is not supported, 54001 for what is nested too deeply, 54000 for what
/// is too large.
pub fn parse(sql: &str) -> Result<Vec<Statement>> {
    parse_in(sql, Dialect::Sql)
}

/// The same of a string that begins in a dialect; `SET dialect` in it holds for what follows.
pub fn parse_in(sql: &str, dialect: Dialect) -> Result<Vec<Statement>> {
    let mut statements = Vec::new();
    each(sql, dialect, |_, statement| statements.push(statement))?;
    Ok(statements)
}

/// The statements of a query string, and how high the highest of their trees is.
pub(crate) fn parse_measured(sql: &str) -> Result<(Vec<Statement>, usize)> {
    let mut statements = Vec::new();
    let height = each(sql, Dialect::Sql, |_, statement| statements.push(statement))?;
    Ok((statements, height))
}

/// The texts of the statements of a string, as they are written.
pub fn pieces(sql: &str, dialect: Dialect) -> Result<Vec<&str>> {
    let mut pieces = Vec::new();
    each(sql, dialect, |text, _| pieces.push(text))?;
    Ok(pieces)
}

/// Tells of each statement with the text that it was read from; how high the highest tree is.
fn each<'a>(sql: &'a str, mut dialect: Dialect, mut tell: impl FnMut(&'a str, Statement)) -> Result<usize> {
    let mut cursor = Cursor::new(sql);
    loop {
        while cursor.accept_symbol(";") {}
        if dialect == Dialect::DriftQl
            && let Some((statement, behind)) = drift::statement(sql, cursor.place())?
        {
            let (start, (end, _)) = (cursor.start(), behind);
            cursor.begin_statement()?;
            cursor.go_on_at(behind);
            tell(sql.get(start..end).unwrap_or_default().trim_end(), statement);
            continue;
        }
        if cursor.is_at_end() {
            return Ok(cursor.height());
        }
        let start = cursor.start();
        cursor.begin_statement()?;
        let body = command::body(&mut cursor)?;
        cursor.finish()?;
        let text = cursor.text_from(start);
        dialect = dialect_behind(&body).unwrap_or(dialect);
        tell(text, Statement { body, text: Arc::from(text) });
    }
}

/// The dialect that a statement sets.
fn dialect_behind(body: &ast::Body) -> Option<Dialect> {
    match body {
        ast::Body::Set { name, value: ast::SettingValue::Values(values), .. } if name == "dialect" => {
            values.first().map(|word| Dialect::of_word(word))
        }
        _ => None,
    }
}

/// A query by itself, such as a view's.
pub fn parse_query(sql: &str) -> Result<ast::Query> {
    parse_measured_query(sql).map(|(query, _)| query)
}

/// A query by itself, and how high its tree is.
pub(crate) fn parse_measured_query(sql: &str) -> Result<(ast::Query, usize)> {
    let mut cursor = Cursor::new(sql);
    let query = grammar::query(&mut cursor)?;
    cursor.finish()?;
    Ok((query, cursor.height()))
}

/// All keywords: the word, `catcode`, `catdesc` of `pg_get_keywords()`, and whether a result column may be called so without AS.
pub(crate) fn keywords() -> impl Iterator<Item = (&'static str, &'static str, &'static str, bool)> {
    keyword::all().map(|(word, category, is_bare)| {
        let (code, description) = match category {
            keyword::Category::Unreserved => ("U", "unreserved"),
            keyword::Category::ColumnName => ("C", "unreserved (cannot be function or type name)"),
            keyword::Category::FunctionName => ("T", "reserved (can be function or type name)"),
            keyword::Category::Reserved => ("R", "reserved"),
        };
        (word, code, description, is_bare)
    })
}

/// A single expression, such as a column's default.
pub fn parse_expression(sql: &str) -> Result<ast::Expr> {
    parse_measured_expression(sql).map(|(expression, _)| expression)
}

/// A single expression, and how high its tree is.
pub(crate) fn parse_measured_expression(sql: &str) -> Result<(ast::Expr, usize)> {
    let mut cursor = Cursor::new(sql);
    let expression = grammar::expression(&mut cursor)?;
    if cursor.is_symbol(";") {
        return Err(cursor.error());
    }
    cursor.finish()?;
    Ok((expression, cursor.height()))
}
