//! Takes over what `sqlparser` parsed, clause by clause: the allow list.
//!
//! Its structs are taken apart in full (no `..`), so that a clause that a newer version adds does not compile until
//! somebody decides about it. A clause that we do not implement is 0A000 and named.

mod ddl;
mod expr;
mod from;
mod literal;
mod modify;
mod query;
mod types;

use sqlparser::ast as sp;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::ast::{Body, Expr, Name, QualifiedName, TypeName};
use super::cursor::fold;
use super::source::{Source, too_deep};
use crate::error::{Error, Result};

/// How deep `sqlparser` may recurse. One level between parentheses takes it several.
const RECURSION_MAX: usize = 100;
/// How deep our tree may become.
const DEPTH_MAX: usize = 250;

/// The statement that these tokens say.
pub(super) fn statement(source: &Source<'_>, start: usize, end: usize) -> Result<Body> {
    let adapter = Adapter::new(source);
    let first = source.tokens.get(start).map(|placed| &placed.token.token);
    let is_table = matches!(first, Some(Token::Word(word)) if word.value.eq_ignore_ascii_case("table"));
    if is_table {
        // The parser knows TABLE t as a query, but not as a statement.
        let query = run(source, start, end, |parser| parser.parse_query())?;
        return adapter.query_statement(*query);
    }
    let statement = run(source, start, end, |parser| parser.parse_statement())?;
    adapter.body(statement)
}

/// The expression that these tokens say.
pub(super) fn expression(source: &Source<'_>, start: usize, end: usize) -> Result<Expr> {
    let expression = run(source, start, end, |parser| parser.parse_expr())?;
    Adapter::new(source).expr(expression)
}

/// The type that these tokens name.
pub(super) fn type_name(source: &Source<'_>, start: usize, end: usize) -> Result<TypeName> {
    let at = source.tokens.get(start).map_or(0, |token| token.at);
    let ty = run(source, start, end, |parser| parser.parse_data_type())?;
    types::type_name(ty, at)
}

/// Parses all of these tokens as one thing.
fn run<T>(
    source: &Source<'_>,
    start: usize,
    end: usize,
    parse: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError>,
) -> Result<T> {
    let placed = source.tokens.get(start..end).unwrap_or_default();
    let tokens: Vec<TokenWithSpan> = placed.iter().map(|placed| placed.token.clone()).collect();
    let mut parser = Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(RECURSION_MAX)
        .with_tokens_with_locations(tokens);
    let parsed = parse(&mut parser).map_err(|error| match error {
        ParserError::RecursionLimitExceeded => too_deep(),
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            source.parser_error(&message)
        }
    })?;
    let rest = parser.peek_token();
    if rest.token == Token::EOF {
        return Ok(parsed);
    }
    let at = source.at(rest.span.start);
    Err(source.syntax_error(source.tokens.partition_point(|token| token.at < at)))
}

/// Takes over a tree. Every method consumes its part.
struct Adapter<'s, 'a> {
    source: &'s Source<'a>,
    depth: std::cell::Cell<usize>,
}

/// 0A000 for a clause.
fn refuse<T>(clause: impl std::fmt::Display) -> Result<T> {
    Err(Error::unsupported(clause))
}

/// 0A000 if the clause is there.
fn refuse_if(there: bool, clause: &str) -> Result<()> {
    if there { refuse(clause) } else { Ok(()) }
}

impl<'s, 'a> Adapter<'s, 'a> {
    fn new(source: &'s Source<'a>) -> Self {
        Self { source, depth: std::cell::Cell::new(0) }
    }

    /// Runs one level deeper.
    fn deeper<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let depth = self.depth.get();
        if depth >= DEPTH_MAX {
            return Err(too_deep());
        }
        self.depth.set(depth.saturating_add(1));
        let result = run();
        self.depth.set(depth);
        result
    }

    fn body(&self, statement: sp::Statement) -> Result<Body> {
        match statement {
            sp::Statement::Query(query) => self.query_statement(*query),
            sp::Statement::Insert(insert) => {
                self.insert(insert, Vec::new()).map(|i| Body::Insert(Box::new(i)))
            }
            sp::Statement::Update(update) => {
                self.update(update, Vec::new()).map(|u| Body::Update(Box::new(u)))
            }
            sp::Statement::Delete(delete) => {
                self.delete(delete, Vec::new()).map(|d| Body::Delete(Box::new(d)))
            }
            sp::Statement::CreateTable(create) => self.create_table(create),
            sp::Statement::CreateIndex(create) => self.create_index(create),
            sp::Statement::AlterTable(alter) => self.alter_table(alter),
            sp::Statement::Truncate(truncate) => self.truncate(truncate),
            sp::Statement::Drop {
                object_type,
                if_exists,
                names,
                cascade,
                restrict,
                purge,
                temporary,
                table,
            } => {
                // Nothing can depend on a table or an index, so CASCADE and RESTRICT say the same.
                let _ = (cascade, restrict);
                refuse_if(purge, "DROP … PURGE")?;
                refuse_if(temporary, "DROP TEMPORARY")?;
                refuse_if(table.is_some(), "DROP … ON")?;
                self.drop(&object_type, names, if_exists)
            }
            _ => refuse("this statement"),
        }
    }

    fn name(&self, ident: sp::Ident) -> Name {
        let sp::Ident { value, quote_style, span } = ident;
        Name { value: fold(&value, quote_style.is_some()), at: self.source.at(span.start) }
    }

    /// The parts of a name.
    fn names(&self, name: sp::ObjectName) -> Result<Vec<Name>> {
        let sp::ObjectName(parts) = name;
        parts
            .into_iter()
            .map(|part| match part {
                sp::ObjectNamePart::Identifier(ident) => Ok(self.name(ident)),
                sp::ObjectNamePart::Function(_) => refuse("a function as a name"),
            })
            .collect()
    }

    fn qualified(&self, name: sp::ObjectName) -> Result<QualifiedName> {
        let mut parts = self.names(name)?;
        let last = parts.pop().ok_or_else(|| Error::internal("a name without parts"))?;
        let schema = parts.pop();
        match parts.first() {
            Some(first) => Err(Error::unsupported("a name with a database").at(first.at)),
            None => Ok(QualifiedName { schema, name: last }),
        }
    }

    /// A name that nothing qualifies: a column in a list of columns.
    fn simple(&self, name: sp::ObjectName, what: &str) -> Result<Name> {
        let mut parts = self.names(name)?;
        match (parts.pop(), parts.is_empty()) {
            (Some(name), true) => Ok(name),
            _ => refuse(format!("a qualified name as {what}")),
        }
    }

    fn simple_names(&self, idents: Vec<sp::Ident>) -> Vec<Name> {
        idents.into_iter().map(|ident| self.name(ident)).collect()
    }
}
