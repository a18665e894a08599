//! Calls: functions and aggregates, and what the SQL standard writes otherwise.

use super::super::ast::{Expr, ExprKind, Function, Name, QualifiedName, TypeName};
use super::super::cursor::Cursor;
use super::super::lexer::Kind;
use super::expression::{expression, expressions, normal_form, restricted, up_to_similar};
use super::query::order_by;
use super::types::type_name;
use super::window::over;
use crate::error::{Error, Result};

/// A call whose name is read.
pub(super) fn call(cursor: &mut Cursor<'_>, name: QualifiedName, at: usize) -> Result<Expr> {
    let mut call = Function::plain(name, Vec::new());
    cursor.expect_symbol("(")?;
    if cursor.accept_symbol("*") {
        call.star = true;
    } else if !cursor.is_symbol(")") {
        call.distinct = cursor.accept("distinct");
        let has_word = call.distinct || cursor.accept("all");
        if has_word && cursor.is("variadic") {
            return Err(cursor.error());
        }
        call.arguments = cursor.list(|cursor| {
            let argument = argument(cursor, &mut call)?;
            // Nothing stands behind VARIADIC.
            match call.variadic.is_some() && cursor.is_symbol(",") {
                true => Err(cursor.error()),
                false => Ok(argument),
            }
        })?;
        if cursor.is("order") {
            call.order_by = order_by(cursor)?;
        }
    }
    cursor.expect_symbol(")")?;
    if cursor.peek().kind == Kind::String {
        return typed_literal(cursor, call, at);
    }
    after_call(cursor, &mut call)?;
    Ok(ExprKind::Function(Box::new(call)).at(at))
}

/// `timetz(2) '12:00'`: what looks like a call is a type with modifiers.
fn typed_literal(cursor: &mut Cursor<'_>, call: Function, at: usize) -> Result<Expr> {
    let modifier = |argument: &Expr| match &argument.kind {
        ExprKind::Number(digits) => digits.parse().ok(),
        _ => None,
    };
    let modifiers: Option<Vec<i64>> = call.arguments.iter().map(modifier).collect();
    let has_names = call.variadic.is_some() || !call.named.is_empty();
    let is_plain = !call.star && !call.distinct && call.order_by.is_empty() && !has_names;
    let modifiers = modifiers.filter(|_| is_plain).ok_or_else(|| cursor.error())?;
    let value_at = cursor.at();
    let operand = Box::new(ExprKind::String(cursor.string()?.unwrap_or_default()).at(value_at));
    let QualifiedName { schema, name } = call.name;
    let ty =
        TypeName { schema: schema.map(|schema| schema.value), name: name.value, modifiers, array: false, at };
    Ok(ExprKind::Cast { operator_at: at, operand, ty: Box::new(ty) }.at(at))
}

/// `x`, `b => x`, `b := x`, `VARIADIC x`: those with names come last.
fn argument(cursor: &mut Cursor<'_>, call: &mut Function) -> Result<Expr> {
    if cursor.is("variadic") {
        call.variadic = Some(cursor.advance().at);
    }
    let named = &mut call.named;
    let is_named = matches!(cursor.peek().kind, Kind::Word | Kind::Quoted)
        && (cursor.peek_at(1).is_symbol(":=") || cursor.peek_at(1).is_symbol("=>"));
    if !is_named {
        let at = cursor.at();
        let argument = expression(cursor)?;
        return match named.is_empty() {
            true => Ok(argument),
            false => Err(Error::new("42601", "positional argument cannot follow named argument").at(at)),
        };
    }
    let name = cursor.label()?;
    cursor.advance();
    if named.iter().any(|other| other.value == name.value) {
        let message = format!("argument name \"{}\" used more than once", name.value);
        return Err(Error::new("42601", message).at(name.at));
    }
    named.push(name);
    expression(cursor)
}

/// What may follow the arguments.
fn after_call(cursor: &mut Cursor<'_>, call: &mut Function) -> Result<()> {
    if cursor.is("within") && cursor.peek_at(1).keyword == "group" {
        within_group(cursor, call)?;
    }
    if cursor.is("filter") && cursor.peek_at(1).is_symbol("(") {
        cursor.advance();
        cursor.advance();
        cursor.expect("where")?;
        call.filter = Some(Box::new(expression(cursor)?));
        cursor.expect_symbol(")")?;
    }
    call.over = over(cursor)?.map(Box::new);
    Ok(())
}

/// `WITHIN GROUP (ORDER BY x)`
fn within_group(cursor: &mut Cursor<'_>, call: &mut Function) -> Result<()> {
    let at = cursor.advance().at;
    cursor.advance();
    for (there, message) in [
        (!call.order_by.is_empty(), "cannot use multiple ORDER BY clauses with WITHIN GROUP"),
        (call.distinct, "cannot use DISTINCT with WITHIN GROUP"),
    ] {
        if there {
            return Err(Error::new("42601", message).at(at));
        }
    }
    cursor.expect_symbol("(")?;
    call.order_by = order_by(cursor)?;
    call.within_group = Some(at);
    cursor.expect_symbol(")")
}

/// Whether a call with syntax of its own is next.
pub(super) fn is_special(cursor: &Cursor<'_>) -> bool {
    let opens = cursor.peek_at(1).is_symbol("(");
    match cursor.keyword() {
        "current_catalog" | "current_date" | "current_role" | "current_time" | "current_timestamp"
        | "current_user" | "localtime" | "localtimestamp" | "session_user" | "user" | "cast" => true,
        "current_schema" => !opens,
        "collation" => cursor.peek_at(1).keyword == "for",
        "coalesce" | "extract" | "greatest" | "grouping" | "least" | "normalize" | "nullif" | "overlay"
        | "position" | "substring" | "treat" | "trim" | "xmlconcat" | "xmlelement" | "xmlexists"
        | "xmlforest" | "xmlparse" | "xmlpi" | "xmlroot" | "xmlserialize" => opens,
        _ => false,
    }
}

/// A call with syntax of its own.
pub(super) fn special(cursor: &mut Cursor<'_>) -> Result<Expr> {
    let token = cursor.advance();
    let at = token.at;
    let word = token.keyword;
    let unqualified = |arguments| {
        let name = QualifiedName { schema: None, name: Name { value: word.to_owned(), at } };
        let in_words = !matches!(word, "coalesce" | "greatest" | "grouping" | "least" | "nullif");
        ExprKind::Function(Box::new(Function { in_words, ..Function::plain(name, arguments) })).at(at)
    };
    match word {
        "cast" => return cast(cursor, at),
        "nullif" => {
            cursor.expect_symbol("(")?;
            let left = expression(cursor)?;
            cursor.expect_symbol(",")?;
            let right = expression(cursor)?;
            cursor.expect_symbol(")")?;
            return Ok(unqualified(vec![left, right]));
        }
        "coalesce" | "greatest" | "grouping" | "least" => {
            cursor.expect_symbol("(")?;
            let arguments = expressions(cursor)?;
            cursor.expect_symbol(")")?;
            return Ok(unqualified(arguments));
        }
        "current_time" | "current_timestamp" | "localtime" | "localtimestamp" if cursor.is_symbol("(") => {
            cursor.advance();
            if cursor.peek().kind != Kind::Number {
                return Err(cursor.error());
            }
            let arguments = expressions(cursor)?;
            cursor.expect_symbol(")")?;
            return Ok(unqualified(arguments));
        }
        "extract" | "normalize" | "overlay" | "position" | "substring" | "trim" => {}
        "collation" => return Err(Error::unsupported("COLLATION FOR").at(at)),
        "current_catalog" | "current_date" | "current_role" | "current_schema" | "current_user"
        | "session_user" | "user" => return Ok(unqualified(Vec::new())),
        _ if cursor.is_symbol("(") => return Err(Error::unsupported(word.to_uppercase()).at(at)),
        _ => return Ok(unqualified(Vec::new())),
    }
    cursor.expect_symbol("(")?;
    let mut in_words = true;
    let (name, arguments) = match word {
        "extract" => ("extract", extract(cursor)?),
        "normalize" => {
            let mut arguments = vec![expression(cursor)?];
            if cursor.accept_symbol(",") {
                arguments.push(normal_form(cursor)?.ok_or_else(|| cursor.error())?);
            }
            ("normalize", arguments)
        }
        "overlay" => ("overlay", overlay(cursor, &mut in_words)?),
        "position" => {
            let part = restricted(cursor)?;
            cursor.expect("in")?;
            ("position", vec![restricted(cursor)?, part])
        }
        "substring" => ("substring", substring(cursor, &mut in_words)?),
        _ => trim(cursor)?,
    };
    cursor.expect_symbol(")")?;
    let label = if matches!(word, "extract" | "normalize" | "position") { Some(name) } else { None };
    let call = Function::system(name, at, arguments, label);
    Ok(ExprKind::Function(Box::new(Function { in_words, ..call })).at(at))
}

fn cast(cursor: &mut Cursor<'_>, at: usize) -> Result<Expr> {
    cursor.expect_symbol("(")?;
    let operand = Box::new(expression(cursor)?);
    cursor.expect("as")?;
    let ty = type_name(cursor)?;
    cursor.expect_symbol(")")?;
    Ok(ExprKind::Cast { operator_at: at, operand, ty: Box::new(ty) }.at(at))
}

/// `EXTRACT(field FROM x)`
fn extract(cursor: &mut Cursor<'_>) -> Result<Vec<Expr>> {
    let at = cursor.at();
    let field = match cursor.string()? {
        Some(text) => text,
        None => cursor.label()?.value,
    };
    cursor.expect("from")?;
    Ok(vec![ExprKind::String(field).at(at), expression(cursor)?])
}

/// `OVERLAY(x PLACING y FROM a FOR b)`
fn overlay(cursor: &mut Cursor<'_>, in_words: &mut bool) -> Result<Vec<Expr>> {
    let mut arguments = vec![expression(cursor)?];
    *in_words = cursor.is("placing");
    if cursor.accept("placing") {
        arguments.push(expression(cursor)?);
        cursor.expect("from")?;
        arguments.push(expression(cursor)?);
        if cursor.accept("for") {
            arguments.push(expression(cursor)?);
        }
    } else if cursor.accept_symbol(",") {
        arguments.extend(expressions(cursor)?);
    }
    Ok(arguments)
}

/// `SUBSTRING(x FROM a FOR b)`, in either order, or with commas.
fn substring(cursor: &mut Cursor<'_>, in_words: &mut bool) -> Result<Vec<Expr>> {
    let mut arguments = vec![up_to_similar(cursor)?];
    if cursor.accept("similar") {
        arguments.push(expression(cursor)?);
        cursor.expect("escape")?;
        arguments.push(expression(cursor)?);
        return Ok(arguments);
    }
    *in_words = cursor.is("from") || cursor.is("for");
    if cursor.accept_symbol(",") {
        arguments.extend(expressions(cursor)?);
        return Ok(arguments);
    }
    let at = cursor.at();
    let mut from = if cursor.accept("from") { Some(expression(cursor)?) } else { None };
    let length = if cursor.accept("for") { Some(expression(cursor)?) } else { None };
    if from.is_none() && cursor.accept("from") {
        from = Some(expression(cursor)?);
    }
    match (from, length) {
        (None, None) => {}
        (None, Some(length)) => arguments.extend([ExprKind::Number("1".into()).at(at), length]),
        (Some(from), length) => arguments.extend(std::iter::once(from).chain(length)),
    }
    Ok(arguments)
}

/// `TRIM(BOTH x FROM y)`, `TRIM(FROM y)`, `TRIM(y, x)`
fn trim(cursor: &mut Cursor<'_>) -> Result<(&'static str, Vec<Expr>)> {
    let name = match cursor.accept_one_of(&["both", "leading", "trailing"]) {
        Some("leading") => "ltrim",
        Some("trailing") => "rtrim",
        _ => "btrim",
    };
    if cursor.accept("from") {
        return Ok((name, expressions(cursor)?));
    }
    let first = expression(cursor)?;
    if cursor.accept("from") {
        let mut arguments = expressions(cursor)?;
        arguments.push(first);
        return Ok((name, arguments));
    }
    let mut arguments = vec![first];
    if cursor.accept_symbol(",") {
        arguments.extend(expressions(cursor)?);
    }
    Ok((name, arguments))
}
