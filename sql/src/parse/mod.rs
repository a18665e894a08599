//! From SQL text to the syntax tree.
//!
//! 1. The [`lexer`] finds one token after the other; nothing is kept of the text but the text.
//! 2. A [`cursor`] reads them, and bounds how high and how large the tree may become.
//! 3. [`command`] tells statements by their first words; [`grammar`] reads queries, statements that write and
//!    definitions, the others are read beside it ([`copy`], [`setting`], [`transaction`], [`fetch`], [`access`]).
//!
//! The tree ([`ast`]) holds exactly what is understood: every clause that PostgreSQL has and we do not is an error
//! (0A000) that names it and its place, never dropped.

mod access;
pub mod ast;
mod command;
mod copy;
mod cursor;
mod database;
mod fetch;
mod grammar;
mod keyword;
mod lexer;
mod normalise;
mod option;
mod rewrite;
mod setting;
mod show;
mod template;
#[cfg(test)]
mod tests;
mod transaction;

pub use ast::Statement;
pub(crate) use normalise::{Literal, Normalised};
pub(crate) use rewrite::{Edit, Instead, edited, relations_in, with_names};
pub(crate) use template::{Template, first_words, keywords_alone, redacted, template};

use std::sync::Arc;

use crate::error::Result;
use cursor::Cursor;

/// The statements of a query string; none for a string that holds only white space, comments and semicolons.
/// 42601 where it is no SQL, 0A000 for SQL that is not supported, 54001 for what is nested too deeply, 54000 for what
/// is too large.
pub fn parse(sql: &str) -> Result<Vec<Statement>> {
    let mut cursor = Cursor::new(sql);
    let mut statements = Vec::new();
    loop {
        while cursor.accept_symbol(";") {}
        if cursor.is_at_end() {
            return Ok(statements);
        }
        let start = cursor.start();
        cursor.begin_statement()?;
        let body = command::body(&mut cursor)?;
        cursor.finish()?;
        let text = Arc::from(cursor.text_from(start));
        statements.push(Statement { body, text });
    }
}

/// A query by itself, such as a view's.
pub fn parse_query(sql: &str) -> Result<ast::Query> {
    let mut cursor = Cursor::new(sql);
    let query = grammar::query(&mut cursor)?;
    cursor.finish()?;
    Ok(query)
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
    let mut cursor = Cursor::new(sql);
    let expression = grammar::expression(&mut cursor)?;
    if cursor.is_symbol(";") {
        return Err(cursor.error());
    }
    cursor.finish()?;
    Ok(expression)
}
