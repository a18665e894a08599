//! From SQL text to the syntax tree.
//!
//! The query string is split into tokens and statements ([`source`]). Queries, INSERT, UPDATE, DELETE and DDL are
//! parsed by `sqlparser` and then taken over piece by piece ([`adapt`]): every clause of its tree is named there,
//! and one that we do not implement is an error (0A000), never dropped. The other commands (transactions, settings,
//! COPY, EXPLAIN …) are parsed by hand ([`command`], [`copy`], [`setting`], [`transaction`]). This directory alone names `sqlparser`.

mod adapt;
pub mod ast;
mod command;
mod copy;
mod cursor;
mod option;
mod setting;
mod source;
#[cfg(test)]
mod tests;
mod transaction;

pub use ast::Statement;

use std::sync::Arc;

use sqlparser::tokenizer::Token;

use crate::error::Result;
use source::Source;

/// The statements of a query string; none for a string that holds only white space, comments and semicolons.
/// 42601 where it is no SQL, 0A000 for SQL that is not supported, 54001 for what is nested too deeply.
pub fn parse(sql: &str) -> Result<Vec<Statement>> {
    let source = Source::new(sql)?;
    let mut statements = Vec::new();
    let mut start = 0;
    for place in 0..=source.tokens.len() {
        let ends = source.tokens.get(place).is_none_or(|placed| placed.token.token == Token::SemiColon);
        if ends {
            if place > start {
                statements.push(statement(&source, start, place)?);
            }
            start = place.saturating_add(1);
        }
    }
    Ok(statements)
}

/// A single expression, such as a column's default.
pub fn parse_expression(sql: &str) -> Result<ast::Expr> {
    let source = Source::new(sql)?;
    adapt::expression(&source, 0, source.tokens.len())
}

fn statement(source: &Source<'_>, start: usize, end: usize) -> Result<Statement> {
    let body = command::body(source, start, end)?;
    let numbers = source.tokens.get(start..end).unwrap_or_default().iter().filter_map(|placed| match &placed
        .token
        .token
    {
        Token::Placeholder(name) => name.strip_prefix('$')?.parse::<usize>().ok(),
        _ => None,
    });
    Ok(Statement { body, text: Arc::from(source.text(start, end)), parameters: numbers.max().unwrap_or(0) })
}
