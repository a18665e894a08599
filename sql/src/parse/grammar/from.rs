//! FROM.

use super::super::ast::{
    Alias, ExprKind, JoinCondition, JoinKind, Name, Sample, TableCall, TableExpr, TypeName,
};
use super::super::cursor::Cursor;
use super::super::keyword::Category;
use super::call;
use super::expression::expression;
use super::past::{is_as_of, system_time};
use super::primary::{Parenthesised, parenthesised};
use super::query::{Opened, continued_query, is_alias, starts_query};
use super::types::type_name;
use crate::error::{Error, Result};

/// An item of FROM, joins included.
pub(super) fn table_expr(cursor: &mut Cursor<'_>) -> Result<TableExpr> {
    cursor.level(|cursor| {
        let first = table(cursor)?;
        joins(cursor, first)
    })
}

/// Reads joins as long as there are any.
fn joins(cursor: &mut Cursor<'_>, first: TableExpr) -> Result<TableExpr> {
    let mut left = first;
    loop {
        let natural = cursor.is("natural");
        let ahead = usize::from(natural);
        let kind = match cursor.peek_at(ahead).keyword {
            "join" | "inner" | "cross" => JoinKind::Inner,
            "left" => JoinKind::Left,
            "right" => JoinKind::Right,
            "full" => JoinKind::Full,
            _ if natural => {
                cursor.advance();
                return Err(cursor.error());
            }
            _ => return Ok(left),
        };
        cursor.accept("natural");
        let cross = cursor.is("cross");
        if natural && cross {
            return Err(cursor.error());
        }
        if cursor.advance().keyword != "join" {
            if matches!(kind, JoinKind::Left | JoinKind::Right | JoinKind::Full) {
                cursor.accept("outer");
            }
            cursor.expect("join")?;
        }
        let mut right = table(cursor)?;
        let condition = if natural {
            JoinCondition::Natural
        } else if cross {
            JoinCondition::None
        } else {
            // a JOIN b JOIN c ON … ON …: the inner join is the right side of the outer.
            if !cursor.is("on") && !cursor.is("using") {
                right = cursor.level(|cursor| joins(cursor, right))?;
            }
            join_condition(cursor)?
        };
        cursor.higher()?;
        let at = right.at();
        left = TableExpr::Join { left: Box::new(left), right: Box::new(right), kind, condition, at };
    }
}

fn join_condition(cursor: &mut Cursor<'_>) -> Result<JoinCondition> {
    if cursor.accept("on") {
        return expression(cursor).map(JoinCondition::On);
    }
    cursor.expect("using")?;
    let names = cursor.name_list()?;
    if cursor.is("as") {
        return Err(cursor.unsupported("an alias of USING"));
    }
    Ok(JoinCondition::Using(names))
}

/// An item of FROM without joins.
fn table(cursor: &mut Cursor<'_>) -> Result<TableExpr> {
    let lateral = cursor.accept("lateral");
    if cursor.is_symbol("(") {
        return between(cursor, lateral);
    }
    if cursor.keyword() == "rows" && cursor.peek_at(1).keyword == "from" && cursor.peek_at(2).is_symbol("(") {
        return rows_from(cursor);
    }
    if cursor.is("xmltable") && cursor.peek_at(1).is_symbol("(") {
        return Err(cursor.unsupported("XMLTABLE"));
    }
    if let Some(function) = value_function(cursor)? {
        return Ok(function);
    }
    let only = cursor.accept("only");
    let between = only && cursor.accept_symbol("(");
    let token = *cursor.peek();
    let may_be_called = matches!(token.category, Category::Unreserved | Category::FunctionName);
    let is_function = may_be_called && cursor.peek_at(1).is_symbol("(");
    let name = if is_function {
        super::super::ast::QualifiedName { schema: None, name: cursor.label()? }
    } else {
        cursor.qualified_name()?
    };
    if between {
        cursor.expect_symbol(")")?;
    }
    if !only && (may_be_called || name.schema.is_some()) && cursor.is_symbol("(") {
        let name_at = name.schema.as_ref().unwrap_or(&name.name).at;
        let call = call::call(cursor, name, name_at)?;
        return function(cursor, call.kind, name_at);
    }
    if lateral {
        return Err(cursor.error());
    }
    if !only {
        cursor.accept_symbol("*");
    }
    let system_time = system_time(cursor)?;
    let alias = alias(cursor)?;
    let sample = if cursor.accept("tablesample") { Some(Box::new(sample(cursor)?)) } else { None };
    Ok(TableExpr::Table { name, system_time, alias, sample })
}

/// `BERNOULLI (10) REPEATABLE (5)`
fn sample(cursor: &mut Cursor<'_>) -> Result<Sample> {
    let method = cursor.qualified_function()?;
    cursor.expect_symbol("(")?;
    let arguments = cursor.list(expression)?;
    cursor.expect_symbol(")")?;
    let mut seed = None;
    if cursor.accept("repeatable") {
        cursor.expect_symbol("(")?;
        seed = Some(expression(cursor)?);
        cursor.expect_symbol(")")?;
    }
    Ok(Sample { method, arguments, seed })
}

/// CURRENT_DATE and its like, which are functions in FROM, too.
fn value_function(cursor: &mut Cursor<'_>) -> Result<Option<TableExpr>> {
    if !call::is_special(cursor) {
        return Ok(None);
    }
    let at = cursor.at();
    let call = call::special(cursor)?;
    function(cursor, call.kind, at).map(Some)
}

/// `ROWS FROM (f(…), g(…) AS (…))`
fn rows_from(cursor: &mut Cursor<'_>) -> Result<TableExpr> {
    let at = cursor.at();
    cursor.advance();
    cursor.advance();
    cursor.expect_symbol("(")?;
    let calls = cursor.list(|cursor| {
        let at = cursor.at();
        let call = if call::is_special(cursor) {
            call::special(cursor)?
        } else {
            let name = cursor.qualified_function()?;
            call::call(cursor, name, at)?
        };
        let mut call = table_call(call.kind, at)?;
        if cursor.accept("as") {
            call.definition = Some(definition(cursor)?);
        }
        Ok(call)
    })?;
    cursor.expect_symbol(")")?;
    let ordinality = cursor.accept_all(&["with", "ordinality"]);
    let alias = alias(cursor)?;
    Ok(TableExpr::Function { calls, ordinality, alias, at })
}

/// `(a integer, b text)`
fn definition(cursor: &mut Cursor<'_>) -> Result<Vec<(Name, TypeName)>> {
    cursor.expect_symbol("(")?;
    let columns = cursor.list(|cursor| Ok((cursor.name()?, type_name(cursor)?)))?;
    cursor.expect_symbol(")")?;
    Ok(columns)
}

/// What a function may be called, and of what columns its records are.
#[expect(clippy::type_complexity, reason = "an alias and what may stand in its place")]
fn function_alias(cursor: &mut Cursor<'_>) -> Result<(Option<Alias>, Option<Vec<(Name, TypeName)>>)> {
    if is_as_of(cursor) {
        return Ok((None, None));
    }
    let explicit = cursor.accept("as");
    if explicit && cursor.is_symbol("(") {
        return Ok((None, Some(definition(cursor)?)));
    }
    if !explicit && !is_alias(cursor.peek()) {
        return Ok((None, None));
    }
    let name = cursor.name()?;
    if !cursor.is_symbol("(") {
        return Ok((Some(Alias { name, columns: Vec::new() }), None));
    }
    let is_plain = cursor.peek_at(2).is_symbol(",") || cursor.peek_at(2).is_symbol(")");
    if is_plain {
        return Ok((Some(Alias { name, columns: cursor.name_list()? }), None));
    }
    Ok((Some(Alias { name, columns: Vec::new() }), Some(definition(cursor)?)))
}

fn table_call(call: ExprKind, at: usize) -> Result<TableCall> {
    let ExprKind::Function(call) = call else {
        return Err(Error::unsupported("this expression as a function in FROM").at(at));
    };
    if call.star || call.distinct || !call.order_by.is_empty() || call.filter.is_some() || call.over.is_some()
    {
        return Err(Error::unsupported("an aggregate as a function in FROM").at(at));
    }
    Ok(TableCall { call: *call, definition: None, at })
}

fn function(cursor: &mut Cursor<'_>, call: ExprKind, at: usize) -> Result<TableExpr> {
    let mut call = table_call(call, at)?;
    let ordinality = cursor.accept_all(&["with", "ordinality"]);
    let (alias, definition) = function_alias(cursor)?;
    if ordinality && definition.is_some() {
        let message = "WITH ORDINALITY cannot be used with a column definition list";
        return Err(Error::new("42601", message)
            .hint("Put the column definition list inside ROWS FROM().")
            .at(at));
    }
    call.definition = definition;
    Ok(TableExpr::Function { calls: vec![call], ordinality, alias, at })
}

/// What stands between parentheses: a query, or a join.
fn between(cursor: &mut Cursor<'_>, lateral: bool) -> Result<TableExpr> {
    let at = cursor.at();
    match contents(cursor)? {
        Contents::Query(query) => {
            let alias = alias(cursor)?;
            Ok(TableExpr::Subquery { query, alias, lateral, at })
        }
        Contents::Join(_) if lateral => Err(Error::new("42601", "syntax error at or near \"(\"").at(at)),
        Contents::Join(join) => {
            if is_alias(cursor.peek()) || cursor.is("as") && !is_as_of(cursor) {
                return Err(cursor.unsupported("an alias of a join between parentheses"));
            }
            Ok(*join)
        }
    }
}

enum Contents {
    Query(Box<super::super::ast::Query>),
    Join(Box<TableExpr>),
}

/// Reads the parenthesis that is next up to the one that closes it.
fn contents(cursor: &mut Cursor<'_>) -> Result<Contents> {
    if starts_query(cursor.peek_at(1)) {
        return match parenthesised(cursor)? {
            Parenthesised::Query(query) => Ok(Contents::Query(query)),
            Parenthesised::Items(_) => Err(cursor.error()),
        };
    }
    cursor.level(|cursor| {
        cursor.expect_symbol("(")?;
        if !cursor.is_symbol("(") {
            let join = table_expr(cursor)?;
            cursor.expect_symbol(")")?;
            return Ok(Contents::Join(Box::new(join)));
        }
        // ((select 1) union select 2), ((select 1)), or ((select 1) a join b …).
        let at = cursor.at();
        let first = match contents(cursor)? {
            Contents::Join(join) => *join,
            Contents::Query(query) => match continued_query(cursor, query)? {
                Opened::More(query) => {
                    cursor.expect_symbol(")")?;
                    return Ok(Contents::Query(Box::new(query)));
                }
                Opened::Same(query) if cursor.is_symbol(")") => {
                    cursor.advance();
                    return Ok(Contents::Query(query));
                }
                Opened::Same(query) => {
                    let alias = alias(cursor)?;
                    TableExpr::Subquery { query, alias, lateral: false, at }
                }
            },
        };
        let join = joins(cursor, first)?;
        cursor.expect_symbol(")")?;
        Ok(Contents::Join(Box::new(join)))
    })
}

/// `AS t (a, b)`, or nothing.
pub(super) fn alias(cursor: &mut Cursor<'_>) -> Result<Option<Alias>> {
    if is_as_of(cursor) {
        return Ok(None);
    }
    let explicit = cursor.accept("as");
    if explicit && cursor.is_symbol("(") {
        return Err(cursor.unsupported("a column definition list"));
    }
    if !explicit && !is_alias(cursor.peek()) {
        return Ok(None);
    }
    let name = cursor.name()?;
    if !cursor.accept_symbol("(") {
        return Ok(Some(Alias { name, columns: Vec::new() }));
    }
    let columns = cursor.list(|cursor| {
        let column = cursor.name()?;
        if cursor.is_symbol(",") || cursor.is_symbol(")") {
            return Ok(column);
        }
        Err(cursor.unsupported("types in a column definition list"))
    })?;
    cursor.expect_symbol(")")?;
    Ok(Some(Alias { name, columns }))
}
