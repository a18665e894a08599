//! EXPLAIN.

use super::ast::{Body, ExplainOption, Name, OptionValue};
use super::cursor::Cursor;
use super::keyword::Category;
use super::lexer::Kind;
use super::option::option_value;
use super::{execute, fetch, grammar};
use crate::error::Result;

/// After EXPLAIN.
pub(super) fn explain(cursor: &mut Cursor<'_>) -> Result<Body> {
    let has_options = cursor.is_symbol("(")
        && !matches!(cursor.peek_at(1).keyword, "select" | "with" | "values" | "table")
        && !cursor.peek_at(1).is_symbol("(");
    let mut options = Vec::new();
    if has_options {
        cursor.advance();
        options = cursor.list(option)?;
        cursor.expect_symbol(")")?;
    } else {
        for (spellings, name) in [(["analyze", "analyse"], "analyze"), (["verbose", "verbose"], "verbose")] {
            let at = cursor.at();
            if cursor.accept_one_of(&spellings).is_some() {
                options.push(ExplainOption { name: Name { value: name.to_owned(), at }, value: None });
            }
        }
    }
    Ok(Body::Explain { body: Box::new(explained(cursor)?), options })
}

/// The statement that is explained.
fn explained(cursor: &mut Cursor<'_>) -> Result<Body> {
    match cursor.keyword() {
        "select" | "with" => grammar::query_or_into(cursor),
        "create" => {
            let makes = cursor.peek_at(1);
            let may_ask = ["table", "temporary", "temp", "local", "global", "unlogged", "materialized"];
            if !may_ask.contains(&makes.keyword) {
                return Err(cursor.error_at(makes));
            }
            let first = *cursor.peek();
            match grammar::create(cursor)? {
                made @ Body::CreateTableAs(_) => Ok(made),
                _ => Err(cursor.error_at(&first)),
            }
        }
        "refresh" => grammar::refresh(cursor),
        "declare" => {
            cursor.advance();
            fetch::declare(cursor)
        }
        "execute" => {
            cursor.advance();
            execute::execute(cursor)
        }
        _ => grammar::preparable(cursor),
    }
}

/// `COSTS off`
fn option(cursor: &mut Cursor<'_>) -> Result<ExplainOption> {
    let is_analyze = matches!(cursor.keyword(), "analyze" | "analyse");
    if cursor.peek().category == Category::Reserved && !is_analyze {
        return Err(cursor.error());
    }
    let mut name = cursor.label()?;
    if is_analyze {
        "analyze".clone_into(&mut name.value);
    }
    let value = *cursor.peek();
    let is_word = value.category != Category::Reserved || matches!(value.keyword, "true" | "false" | "on");
    let value = match value.kind {
        // What no value may be ends the list, or is wrong there.
        Kind::Word if !is_word => None,
        Kind::Word | Kind::Quoted | Kind::String => option_value(cursor)?.map(OptionValue::Text),
        _ => option_value(cursor)?.map(OptionValue::Number),
    };
    Ok(ExplainOption { name, value })
}
