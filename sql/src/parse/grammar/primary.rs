//! What operators stand between: names, literals, parentheses, CASE, ARRAY, subqueries.

use super::super::ast::{Expr, ExprKind, Name, QualifiedName, Query, Subscript, TypeName};
use super::super::cursor::Cursor;
use super::super::keyword::Category;
use super::super::lexer::{Kind, Token};
use super::call;
use super::expression::{continued, expression, expressions, opens_query};
use super::query::{Opened, continued_query, query, starts_query};
use super::types::{interval_fields, interval_modifiers, is_constant_type, type_name};
use crate::error::{Error, Result};

/// What stands between parentheses.
pub(super) enum Parenthesised {
    /// A query.
    Query(Box<Query>),
    /// Expressions between commas, at least one.
    Items(Vec<Expr>),
}

/// An operand.
pub(super) fn primary(cursor: &mut Cursor<'_>) -> Result<Expr> {
    let token = *cursor.peek();
    let at = token.at;
    match token.kind {
        Kind::Number => {
            cursor.advance();
            Ok(ExprKind::Number(token.text.into()).at(at))
        }
        Kind::String => {
            let text = cursor.string()?.unwrap_or_default();
            let kind = ExprKind::String(text);
            // N'…' is of type character.
            Ok(if token.text.starts_with(['n', 'N']) {
                typed(kind, plain_type("bpchar", at), at)
            } else {
                kind.at(at)
            })
        }
        Kind::Bits => {
            cursor.advance();
            let radix = token.text.get(..1).unwrap_or_default();
            Ok(ExprKind::Bits(format!("{radix}{}", token.string()?)).at(at))
        }
        Kind::Parameter => {
            let number = parameter(cursor)?;
            indirected(cursor, ExprKind::Parameter(number).at(at))
        }
        Kind::Symbol if token.text == "(" => match parenthesised(cursor)? {
            Parenthesised::Query(query) => indirected(cursor, ExprKind::Subquery(query).at(at)),
            Parenthesised::Items(mut items) if items.len() == 1 => match items.pop() {
                Some(only) => indirected(cursor, only),
                None => Err(cursor.error()),
            },
            Parenthesised::Items(items) => Ok(ExprKind::Row(items).at(at)),
        },
        Kind::Quoted => named(cursor),
        Kind::Word => word(cursor, &token),
        _ => Err(cursor.error()),
    }
}

/// `$n`
fn parameter(cursor: &mut Cursor<'_>) -> Result<usize> {
    let token = cursor.advance();
    let digits = token.text.trim_start_matches('$');
    match digits.parse::<usize>() {
        Ok(number) if (1..=65_535).contains(&number) => Ok(number),
        _ => Err(Error::new("42P02", format!("there is no parameter ${digits}")).at(token.at)),
    }
}

/// What is between the parenthesis that is next and the one that closes it.
pub(super) fn parenthesised(cursor: &mut Cursor<'_>) -> Result<Parenthesised> {
    cursor.level(|cursor| {
        cursor.expect_symbol("(")?;
        if starts_query(cursor.peek()) {
            let query = query(cursor)?;
            cursor.expect_symbol(")")?;
            return Ok(Parenthesised::Query(Box::new(query)));
        }
        let first = if cursor.is_symbol("(") {
            let inner_at = cursor.at();
            let inner = match parenthesised(cursor)? {
                // ((select 1) union select 2), ((select 1)), or ((select 1) + 1).
                Parenthesised::Query(inner) => match continued_query(cursor, inner)? {
                    Opened::More(query) => {
                        cursor.expect_symbol(")")?;
                        return Ok(Parenthesised::Query(Box::new(query)));
                    }
                    Opened::Same(query) if cursor.is_symbol(")") => {
                        cursor.advance();
                        return Ok(Parenthesised::Query(query));
                    }
                    Opened::Same(query) => ExprKind::Subquery(query).at(inner_at),
                },
                Parenthesised::Items(mut items) => match (items.len(), items.pop()) {
                    (1, Some(only)) => only,
                    (_, Some(last)) => {
                        items.push(last);
                        ExprKind::Row(items).at(inner_at)
                    }
                    (_, None) => return Err(cursor.error()),
                },
            };
            let inner = indirected(cursor, inner)?;
            continued(cursor, inner)?
        } else {
            expression(cursor)?
        };
        let mut items = vec![first];
        while cursor.accept_symbol(",") {
            items.push(expression(cursor)?);
        }
        items.shrink_to_fit();
        cursor.expect_symbol(")")?;
        Ok(Parenthesised::Items(items))
    })
}

/// A query that has to stand between the parentheses that are next.
pub(super) fn query_between(cursor: &mut Cursor<'_>) -> Result<Box<Query>> {
    if !cursor.is_symbol("(") {
        return Err(cursor.error());
    }
    let token = *cursor.peek_at(1);
    match parenthesised(cursor)? {
        Parenthesised::Query(query) => Ok(query),
        Parenthesised::Items(_) => Err(cursor.error_at(&token)),
    }
}

/// Subscripts and fields of an operand.
fn indirected(cursor: &mut Cursor<'_>, operand: Expr) -> Result<Expr> {
    let mut operand = operand;
    loop {
        let at = operand.at;
        if cursor.is_symbol("[") {
            let mut subscripts = Vec::new();
            while cursor.is_symbol("[") {
                subscripts.push(subscript(cursor)?);
                cursor.higher()?;
            }
            operand = ExprKind::Subscript { array: Box::new(operand), subscripts }.at(at);
        } else if cursor.is_symbol(".") {
            cursor.advance();
            if cursor.accept_symbol("*") {
                return Ok(ExprKind::AllFields(Box::new(operand)).at(at));
            }
            let name = cursor.label()?;
            cursor.higher()?;
            operand = ExprKind::Field { operand: Box::new(operand), name }.at(at);
        } else {
            return Ok(operand);
        }
    }
}

/// `[1]`, `[2:3]`
pub(super) fn subscript(cursor: &mut Cursor<'_>) -> Result<Subscript> {
    cursor.expect_symbol("[")?;
    let lower = if cursor.is_symbol(":") { None } else { Some(expression(cursor)?) };
    if cursor.accept_symbol(":") {
        let upper = if cursor.is_symbol("]") { None } else { Some(expression(cursor)?) };
        cursor.expect_symbol("]")?;
        return Ok(Subscript::Slice(lower, upper));
    }
    cursor.expect_symbol("]")?;
    lower.map(Subscript::Index).ok_or_else(|| cursor.error())
}

/// What begins with a word without quotes.
fn word(cursor: &mut Cursor<'_>, token: &Token<'_>) -> Result<Expr> {
    let at = token.at;
    let kind = match token.keyword {
        "null" => ExprKind::Null,
        "true" => ExprKind::Bool(true),
        "false" => ExprKind::Bool(false),
        "default" => ExprKind::Default,
        "case" => return case(cursor),
        "array" => return array(cursor),
        "exists" if cursor.peek_at(1).is_symbol("(") => {
            cursor.advance();
            return Ok(ExprKind::Exists(query_between(cursor)?).at(at));
        }
        "row" if cursor.peek_at(1).is_symbol("(") => return row(cursor),
        "interval" if is_interval(cursor) => return interval(cursor),
        _ if call::is_special(cursor) => return call::special(cursor),
        keyword
            if is_constant_type(keyword)
                && !cursor.peek_at(1).is_symbol(".")
                && is_typed_constant(cursor) =>
        {
            return typed_constant(cursor);
        }
        _ if token.category == Category::Reserved => return Err(cursor.error()),
        _ => return named(cursor),
    };
    cursor.advance();
    Ok(kind.at(at))
}

/// Whether a type with a keyword of its own begins a literal: `double precision '1'`, `numeric(3) '1'`.
fn is_typed_constant(cursor: &Cursor<'_>) -> bool {
    let next = cursor.peek_at(1);
    // `double` alone is no type, and may be a function.
    next.kind == Kind::String
        || next.is_symbol("(") && !cursor.is("double")
        || matches!(next.keyword, "precision" | "varying" | "with" | "without" | "character" | "char")
}

fn typed_constant(cursor: &mut Cursor<'_>) -> Result<Expr> {
    let at = cursor.at();
    let has_length = cursor.peek_at(1).is_symbol("(") || cursor.peek_at(2).is_symbol("(");
    let ty = type_name(cursor)?;
    let value_at = cursor.at();
    let Some(text) = cursor.string()? else { return Err(cursor.error()) };
    // The length of a literal is the value's own: char 'abc' is not cut to one character, nor bit '101' to one bit.
    let open = matches!(ty.name.as_str(), "bpchar" | "bit") && !has_length;
    let ty = if open { TypeName { modifiers: Vec::new(), ..ty } } else { ty };
    let operand = Box::new(ExprKind::String(text).at(value_at));
    Ok(ExprKind::Cast { operator_at: at, operand, ty: Box::new(ty) }.at(at))
}

fn plain_type(name: &str, at: usize) -> TypeName {
    TypeName { schema: None, name: name.to_owned(), modifiers: Vec::new(), array: false, at }
}

fn typed(value: ExprKind, ty: TypeName, at: usize) -> Expr {
    ExprKind::Cast { operator_at: at, operand: Box::new(value.at(at)), ty: Box::new(ty) }.at(at)
}

/// A column, a call, or a literal of a type that goes by a name.
fn named(cursor: &mut Cursor<'_>) -> Result<Expr> {
    let first = *cursor.peek();
    let at = first.at;
    let behind = cursor.peek_at(1);
    let is_function = first.category == Category::FunctionName;
    if is_function && !behind.is_symbol("(") && behind.kind != Kind::String {
        return Err(cursor.error());
    }
    let mut names = vec![cursor.label()?];
    while cursor.is_symbol(".") {
        if cursor.peek_at(1).is_symbol("*") {
            cursor.advance();
            cursor.advance();
            return Ok(ExprKind::TableWildcard(Box::new(qualified(names)?)).at(at));
        }
        cursor.advance();
        names.push(cursor.label()?);
    }
    if cursor.is_symbol("(") {
        if first.category == Category::ColumnName && names.len() == 1 {
            return Err(cursor.error());
        }
        return call::call(cursor, qualified(names)?, at);
    }
    if cursor.peek().kind == Kind::String && first.category != Category::ColumnName {
        let value_at = cursor.at();
        let text = cursor.string()?.unwrap_or_default();
        let QualifiedName { schema, name } = qualified(names)?;
        let quoted_char = first.kind == Kind::Quoted && name.value == "char";
        let called = if quoted_char { "\"char\"".to_owned() } else { name.value };
        let ty = TypeName {
            schema: schema.map(|schema| schema.value),
            name: called,
            modifiers: Vec::new(),
            array: false,
            at,
        };
        let operand = Box::new(ExprKind::String(text).at(value_at));
        return Ok(ExprKind::Cast { operator_at: at, operand, ty: Box::new(ty) }.at(at));
    }
    indirected(cursor, ExprKind::Column(names).at(at))
}

fn qualified(mut names: Vec<Name>) -> Result<QualifiedName> {
    let last = names.pop().ok_or_else(|| Error::internal("a name without parts"))?;
    let schema = names.pop();
    match names.first() {
        Some(first) => Err(Error::unsupported("a name with a database").at(first.at)),
        None => Ok(QualifiedName { schema, name: last }),
    }
}

fn case(cursor: &mut Cursor<'_>) -> Result<Expr> {
    let at = cursor.advance().at;
    let operand = if cursor.is("when") { None } else { Some(Box::new(expression(cursor)?)) };
    let mut branches = Vec::new();
    while cursor.accept("when") {
        let condition = expression(cursor)?;
        cursor.expect("then")?;
        branches.push((condition, expression(cursor)?));
    }
    if branches.is_empty() {
        return Err(cursor.error());
    }
    let otherwise = if cursor.accept("else") { Some(Box::new(expression(cursor)?)) } else { None };
    cursor.expect("end")?;
    Ok(ExprKind::Case { operand, branches, otherwise }.at(at))
}

/// `ARRAY[…]`, `ARRAY(…)`
fn array(cursor: &mut Cursor<'_>) -> Result<Expr> {
    let at = cursor.at();
    if cursor.peek_at(1).is_symbol("(") {
        cursor.advance();
        return Ok(ExprKind::ArrayQuery(query_between(cursor)?).at(at));
    }
    cursor.advance();
    let items = between_brackets(cursor)?;
    Ok(ExprKind::Array(items).at(at))
}

/// `[a, b]`, or `[[a, b], [c, d]]`: arrays whose ARRAY is left out.
fn between_brackets(cursor: &mut Cursor<'_>) -> Result<Vec<Expr>> {
    cursor.expect_symbol("[")?;
    let mut items = Vec::new();
    if cursor.is_symbol("[") {
        loop {
            let at = cursor.at();
            items.push(cursor.level(|cursor| Ok(ExprKind::Array(between_brackets(cursor)?).at(at)))?);
            if !cursor.accept_symbol(",") {
                break;
            }
        }
    } else if !cursor.is_symbol("]") {
        items = expressions(cursor)?;
    }
    cursor.expect_symbol("]")?;
    Ok(items)
}

/// `ROW(…)`
fn row(cursor: &mut Cursor<'_>) -> Result<Expr> {
    let at = cursor.advance().at;
    cursor.expect_symbol("(")?;
    let items = if cursor.is_symbol(")") { Vec::new() } else { expressions(cursor)? };
    cursor.expect_symbol(")")?;
    Ok(ExprKind::Row(items).at(at))
}

fn is_interval(cursor: &Cursor<'_>) -> bool {
    let next = cursor.peek_at(1);
    next.kind == Kind::String || next.is_symbol("(") && cursor.peek_at(2).kind == Kind::Number
}

/// `INTERVAL '1 day'`, `INTERVAL (2) '1 day'`, `INTERVAL '1' DAY`, `INTERVAL '1:02' MINUTE TO SECOND`
fn interval(cursor: &mut Cursor<'_>) -> Result<Expr> {
    let at = cursor.advance().at;
    let mut modifiers = Vec::new();
    if cursor.is_symbol("(") {
        modifiers = interval_modifiers(cursor)?;
    }
    let value_at = cursor.at();
    let text = cursor.string()?.ok_or_else(|| cursor.error())?;
    if modifiers.is_empty() {
        modifiers = interval_fields(cursor)?;
    }
    let operand = Box::new(ExprKind::String(text).at(value_at));
    let ty = TypeName { modifiers, ..plain_type("interval", at) };
    Ok(ExprKind::Cast { operator_at: at, operand, ty: Box::new(ty) }.at(at))
}

/// Whether a query between parentheses is next; for FROM and INSERT.
pub(super) fn is_query_between(cursor: &Cursor<'_>) -> bool {
    opens_query(cursor)
}
