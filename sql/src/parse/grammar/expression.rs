//! Expressions: operators by precedence, as PostgreSQL has it.
//!
//! | from the loosest | |
//! | --- | --- |
//! | OR, AND | left; lists in the tree, however long |
//! | NOT | prefix |
//! | IS, ISNULL, NOTNULL | |
//! | `< > = <= >= <>` | not associative |
//! | BETWEEN IN LIKE ILIKE SIMILAR | not associative |
//! | other operators, also as prefix | left |
//! | `+ -`, then `* / %`, then `^` | left |
//! | AT TIME ZONE, then COLLATE | left |
//! | `+ -` as prefix | |
//! | `::` | left |

use std::borrow::Cow;

use super::super::ast::{Expr, ExprKind, Function, Name, Operator, PatternForm, QualifiedName};
use super::super::cursor::Cursor;
use super::super::lexer::Kind;
use super::primary::{Parenthesised, parenthesised, primary};
use super::query::starts_query;
use super::types::type_name;
use crate::error::{Error, Result};

/// How tightly an operator binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Or,
    And,
    Not,
    Is,
    Comparison,
    Pattern,
    Escape,
    Other,
    Sum,
    Product,
    Power,
    Zone,
    Collation,
    Sign,
    Cast,
}

/// What may stand at the top of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Everything.
    Whole,
    /// The same up to SIMILAR without TO.
    UpToSimilar,
    /// No AND, OR, NOT, IS NULL, IN, LIKE, BETWEEN, AT TIME ZONE, COLLATE: where a keyword would not be told from a
    /// clause that follows.
    Restricted,
}

/// An expression.
pub(in super::super) fn expression(cursor: &mut Cursor<'_>) -> Result<Expr> {
    climb(cursor, Level::Or, Form::Whole)
}

/// Expressions between commas.
pub(in super::super) fn expressions(cursor: &mut Cursor<'_>) -> Result<Vec<Expr>> {
    cursor.list(expression)
}

/// An expression as DEFAULT, BETWEEN and POSITION take it.
pub(super) fn restricted(cursor: &mut Cursor<'_>) -> Result<Expr> {
    climb(cursor, Level::Or, Form::Restricted)
}

/// The expression that SIMILAR may follow in SUBSTRING.
pub(super) fn up_to_similar(cursor: &mut Cursor<'_>) -> Result<Expr> {
    climb(cursor, Level::Or, Form::UpToSimilar)
}

/// Goes on with an expression whose first operand is read.
pub(super) fn continued(cursor: &mut Cursor<'_>, first: Expr) -> Result<Expr> {
    infixes(cursor, first, Level::Or, Form::Whole)
}

fn climb(cursor: &mut Cursor<'_>, lowest: Level, form: Form) -> Result<Expr> {
    cursor.level(|cursor| {
        let first = prefixed(cursor, form)?;
        infixes(cursor, first, lowest, form)
    })
}

/// An operand that binds more tightly than `level`.
fn operand(cursor: &mut Cursor<'_>, level: Level, form: Form) -> Result<Expr> {
    let above = match level {
        Level::Or => Level::And,
        Level::And => Level::Not,
        Level::Not => Level::Is,
        Level::Is => Level::Comparison,
        Level::Comparison => Level::Pattern,
        Level::Pattern => Level::Escape,
        Level::Escape => Level::Other,
        Level::Other => Level::Sum,
        Level::Sum => Level::Product,
        Level::Product => Level::Power,
        Level::Power => Level::Zone,
        Level::Zone => Level::Collation,
        Level::Collation => Level::Sign,
        Level::Sign | Level::Cast => Level::Cast,
    };
    climb(cursor, above, form)
}

/// A prefix operator with its operand, or an operand.
fn prefixed(cursor: &mut Cursor<'_>, form: Form) -> Result<Expr> {
    let token = *cursor.peek();
    let at = token.at;
    if token.keyword == "not" && form != Form::Restricted {
        cursor.advance();
        let inner = operand(cursor, Level::Not, form)?;
        return Ok(ExprKind::Not(Box::new(inner)).at(at));
    }
    let is_operator =
        token.kind == Kind::Operator || token.keyword == "operator" && cursor.peek_at(1).is_symbol("(");
    if !is_operator {
        return primary(cursor);
    }
    let (operator, level) = match token.text {
        "-" | "+" => {
            cursor.advance();
            (Operator { name: known(token.text), at }, Level::Sign)
        }
        "=>" => return Err(cursor.error()),
        _ => match infix_operator(cursor)? {
            (operator, Level::Other) => (operator, Level::Other),
            _ => return Err(cursor.error_at(&token)),
        },
    };
    let inner = operand(cursor, level, form)?;
    Ok(match inner.kind {
        // The sign belongs to the number: -9223372036854775808 is an int8. A second one takes it away.
        ExprKind::Number(number) if operator.name == "-" => {
            let turned = number.strip_prefix('-').map_or_else(|| format!("-{number}"), str::to_owned);
            ExprKind::Number(turned.into()).at(at)
        }
        kind => {
            let operand = Box::new(Expr { kind, at: inner.at });
            ExprKind::Unary { operator, operand }.at(at)
        }
    })
}

/// Reads an operator; `OPERATOR(pg_catalog.+)` binds as loosely as those without a level of their own.
fn infix_operator(cursor: &mut Cursor<'_>) -> Result<(Operator, Level)> {
    let token = cursor.advance();
    if token.keyword != "operator" {
        let name = if token.text == "!=" { "<>" } else { token.text };
        return Ok((Operator { name: known(name), at: token.at }, level_of(name)));
    }
    cursor.expect_symbol("(")?;
    if cursor.peek().kind != Kind::Operator {
        let schema = cursor.name()?;
        if schema.value != "pg_catalog" {
            return Err(Error::unsupported("an operator of another schema than pg_catalog").at(schema.at));
        }
        cursor.expect_symbol(".")?;
    }
    if cursor.peek().kind != Kind::Operator {
        return Err(cursor.error());
    }
    let name = cursor.advance().text;
    let name = if name == "!=" { "<>" } else { name };
    cursor.expect_symbol(")")?;
    Ok((Operator { name: known(name), at: token.at }, Level::Other))
}

/// An operator's name, without a copy of it for those that are everywhere.
fn known(name: &str) -> Cow<'static, str> {
    const KNOWN: [&str; 13] = ["=", "<>", "<", ">", "<=", ">=", "+", "-", "*", "/", "%", "||", "~"];
    match KNOWN.iter().find(|known| **known == name) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(name.to_owned()),
    }
}

fn level_of(operator: &str) -> Level {
    match operator {
        "<" | ">" | "=" | "<=" | ">=" | "<>" | "!=" => Level::Comparison,
        "+" | "-" => Level::Sum,
        "*" | "/" | "%" => Level::Product,
        "^" => Level::Power,
        _ => Level::Other,
    }
}

/// The level of what stands behind an operand, if that goes on with the expression.
fn level_of_next(cursor: &Cursor<'_>, form: Form) -> Option<Level> {
    let token = cursor.peek();
    let level = match token.kind {
        Kind::Operator if token.text == "=>" => return None,
        Kind::Operator => level_of(token.text),
        Kind::Symbol if token.text == "::" => Level::Cast,
        Kind::Word => match token.keyword {
            "operator" if cursor.peek_at(1).is_symbol("(") => Level::Other,
            "is" if form != Form::Restricted => Level::Is,
            "is" => {
                let ahead = usize::from(cursor.peek_at(1).keyword == "not").saturating_add(1);
                if cursor.peek_at(ahead).keyword != "distinct" {
                    return None;
                }
                Level::Is
            }
            _ if form == Form::Restricted => return None,
            "at" if cursor.peek_at(1).keyword == "time" => Level::Zone,
            "collate" => Level::Collation,
            "similar" if form == Form::UpToSimilar && cursor.peek_at(1).keyword != "to" => return None,
            "or" => Level::Or,
            "and" => Level::And,
            "isnull" | "notnull" => Level::Is,
            "between" | "in" | "like" | "ilike" | "similar" | "overlaps" => Level::Pattern,
            "not" if matches!(cursor.peek_at(1).keyword, "between" | "in" | "like" | "ilike" | "similar") => {
                Level::Pattern
            }
            _ => return None,
        },
        _ => return None,
    };
    Some(level)
}

/// Reads operators and their right operands as long as they bind at least as tightly as `lowest`.
fn infixes(cursor: &mut Cursor<'_>, first: Expr, lowest: Level, form: Form) -> Result<Expr> {
    let mut left = first;
    // The level of an operator whose right operand was the last to be read and that cannot be chained.
    let mut closed = None;
    while let Some(level) = level_of_next(cursor, form).filter(|level| *level >= lowest) {
        if closed == Some(level) {
            return Err(cursor.error());
        }
        let at = left.at;
        let (kind, open) = match level {
            Level::And | Level::Or => (junction(cursor, left, level, form)?, false),
            Level::Is => is(cursor, left, form)?,
            Level::Pattern => pattern(cursor, left, form)?,
            Level::Zone => {
                let zone_at = cursor.advance().at;
                cursor.expect("time")?;
                cursor.expect("zone")?;
                let zone = operand(cursor, Level::Zone, form)?;
                let call = Function::system("timezone", zone_at, vec![zone, left], Some("timezone"));
                (ExprKind::Function(Box::new(Function { in_words: true, ..call })), false)
            }
            Level::Collation => {
                let operator_at = cursor.advance().at;
                let collation = Box::new(any_name(cursor)?);
                (ExprKind::Collate { operator_at, operand: Box::new(left), collation }, false)
            }
            Level::Cast => {
                let operator_at = cursor.advance().at;
                let ty = type_name(cursor)?;
                (ExprKind::Cast { operator_at, operand: Box::new(left), ty: Box::new(ty) }, false)
            }
            _ => binary(cursor, left, form)?,
        };
        cursor.higher()?;
        closed = open.then_some(level);
        left = kind.at(at);
    }
    Ok(left)
}

/// `a AND b AND c`: one list, read in a loop.
fn junction(cursor: &mut Cursor<'_>, left: Expr, level: Level, form: Form) -> Result<ExprKind> {
    let (keyword, mut items) = if level == Level::And { ("and", vec![left]) } else { ("or", vec![left]) };
    while cursor.accept(keyword) {
        items.push(operand(cursor, level, form)?);
    }
    Ok(if level == Level::And { ExprKind::And(items) } else { ExprKind::Or(items) })
}

/// An operator and its right operand, or `op ANY (…)`; whether another of its level may not follow.
fn binary(cursor: &mut Cursor<'_>, left: Expr, form: Form) -> Result<(ExprKind, bool)> {
    let (operator, level) = infix_operator(cursor)?;
    if matches!(cursor.keyword(), "any" | "some" | "all") && cursor.peek_at(1).is_symbol("(") {
        return Ok((quantified(cursor, left, operator)?, false));
    }
    let right = Box::new(operand(cursor, level, form)?);
    Ok((ExprKind::Binary { operator, left: Box::new(left), right }, level == Level::Comparison))
}

/// `ANY (…)`, `SOME (…)`, `ALL (…)`
fn quantified(cursor: &mut Cursor<'_>, left: Expr, operator: Operator) -> Result<ExprKind> {
    let all = cursor.advance().keyword == "all";
    let left = Box::new(left);
    match parenthesised(cursor)? {
        Parenthesised::Query(query) => {
            Ok(ExprKind::QuantifiedQuery { left, operator, query, all, negated: false })
        }
        Parenthesised::Items(mut items) if items.len() == 1 => match items.pop() {
            Some(right) => Ok(ExprKind::QuantifiedArray { left, operator, right: Box::new(right), all }),
            None => Err(cursor.error()),
        },
        Parenthesised::Items(_) => Err(cursor.error()),
    }
}

/// What begins with IS.
fn is(cursor: &mut Cursor<'_>, left: Expr, form: Form) -> Result<(ExprKind, bool)> {
    let operand_of = Box::new(left);
    let operator_at = cursor.at();
    let word = cursor.advance().keyword;
    if word != "is" {
        return Ok((ExprKind::IsNull { operand: operand_of, negated: word == "notnull" }, false));
    }
    let negated = cursor.accept("not");
    let kind = match cursor.keyword() {
        "null" => ExprKind::IsNull { operand: operand_of, negated },
        "true" => ExprKind::IsBool { operand: operand_of, value: Some(true), negated },
        "false" => ExprKind::IsBool { operand: operand_of, value: Some(false), negated },
        "unknown" => ExprKind::IsBool { operand: operand_of, value: None, negated },
        "distinct" => {
            cursor.advance();
            cursor.expect("from")?;
            let right = Box::new(operand(cursor, Level::Is, form)?);
            return Ok((ExprKind::IsDistinct { operator_at, left: operand_of, right, negated }, true));
        }
        "document" => return Err(cursor.unsupported("IS DOCUMENT")),
        "normalized" | "nfc" | "nfd" | "nfkc" | "nfkd" => {
            let at = cursor.at();
            let form = normal_form(cursor)?;
            cursor.expect("normalized")?;
            let arguments = std::iter::once(*operand_of).chain(form).collect();
            let call = Function::system("is_normalized", at, arguments, Some("is_normalized"));
            let call = ExprKind::Function(Box::new(Function { in_words: true, ..call }));
            return Ok((if negated { ExprKind::Not(Box::new(call.at(at))) } else { call }, false));
        }
        _ => return Err(cursor.error()),
    };
    cursor.advance();
    Ok((kind, false))
}

/// BETWEEN, IN, LIKE and their like; whether another of them may not follow.
fn pattern(cursor: &mut Cursor<'_>, left: Expr, form: Form) -> Result<(ExprKind, bool)> {
    let operator_at = cursor.at();
    let negated = cursor.accept("not");
    let left = Box::new(left);
    match cursor.advance().keyword {
        "between" => {
            let symmetric = cursor.accept("symmetric");
            if !symmetric {
                cursor.accept("asymmetric");
            }
            let low = Box::new(restricted(cursor)?);
            cursor.expect("and")?;
            let high = Box::new(operand(cursor, Level::Pattern, form)?);
            Ok((ExprKind::Between { operator_at, operand: left, low, high, symmetric, negated }, true))
        }
        "in" => {
            if !cursor.is_symbol("(") {
                return Err(cursor.error());
            }
            Ok((member(cursor, left, operator_at, negated)?, false))
        }
        word @ ("like" | "ilike") => {
            let form_of = if word == "like" { PatternForm::Like } else { PatternForm::Insensitive };
            if matches!(cursor.keyword(), "any" | "some" | "all") && cursor.peek_at(1).is_symbol("(") {
                let name = match (word, negated) {
                    ("like", false) => "~~",
                    ("like", true) => "!~~",
                    (_, false) => "~~*",
                    (_, true) => "!~~*",
                };
                let operator = Operator { name: name.into(), at: operator_at };
                return Ok((quantified(cursor, *left, operator)?, false));
            }
            Ok((like(cursor, left, (operator_at, form_of, negated), form)?, true))
        }
        "similar" => {
            cursor.expect("to")?;
            Ok((like(cursor, left, (operator_at, PatternForm::Similar, negated), form)?, true))
        }
        _ => Ok((overlaps(*left, operand(cursor, Level::Pattern, form)?, operator_at)?, true)),
    }
}

/// The name of a normal form of Unicode, as a text, if one is next.
pub(super) fn normal_form(cursor: &mut Cursor<'_>) -> Result<Option<Expr>> {
    let at = cursor.at();
    let form = cursor.accept_one_of(&["nfc", "nfd", "nfkc", "nfkd"]);
    Ok(form.map(|form| ExprKind::String(form.to_uppercase()).at(at)))
}

/// `(a, b) OVERLAPS (c, d)`
fn overlaps(left: Expr, right: Expr, operator_at: usize) -> Result<ExprKind> {
    let mut arguments = Vec::with_capacity(4);
    for (side, period) in [("left", left), ("right", right)] {
        match period.kind {
            ExprKind::Row(pair) if pair.len() == 2 => arguments.extend(pair),
            _ => {
                let message = format!("wrong number of parameters on {side} side of OVERLAPS expression");
                return Err(Error::new("42601", message).at(period.at));
            }
        }
    }
    let call = Function::system("overlaps", operator_at, arguments, Some("overlaps"));
    let call = Function { in_words: true, ..call };
    Ok(ExprKind::Function(Box::new(call)))
}

fn like(
    cursor: &mut Cursor<'_>,
    left: Box<Expr>,
    (operator_at, kind, negated): (usize, PatternForm, bool),
    form: Form,
) -> Result<ExprKind> {
    let pattern = Box::new(operand(cursor, Level::Pattern, form)?);
    let escape = match cursor.accept("escape") {
        true => Some(Box::new(operand(cursor, Level::Pattern, form)?)),
        false => None,
    };
    Ok(ExprKind::Like { operator_at, operand: left, pattern, escape, form: kind, negated })
}

/// `IN (…)`
fn member(cursor: &mut Cursor<'_>, left: Box<Expr>, at: usize, negated: bool) -> Result<ExprKind> {
    Ok(match parenthesised(cursor)? {
        Parenthesised::Query(query) => {
            let operator = Operator { name: "=".into(), at };
            ExprKind::QuantifiedQuery { left, operator, query, all: false, negated }
        }
        Parenthesised::Items(list) => ExprKind::InList { operator_at: at, operand: left, list, negated },
    })
}

/// The name of a collation or an operator class.
pub(super) fn any_name(cursor: &mut Cursor<'_>) -> Result<QualifiedName> {
    cursor.qualified_name()
}

/// Whether a query begins behind the parenthesis that is next.
pub(super) fn opens_query(cursor: &Cursor<'_>) -> bool {
    cursor.is_symbol("(") && starts_query(cursor.peek_at(1))
}

impl ExprKind {
    /// In its place.
    pub(super) fn at(self, at: usize) -> Expr {
        Expr { kind: self, at }
    }
}

impl Function {
    /// A call with nothing but arguments.
    pub(super) fn plain(name: QualifiedName, arguments: Vec<Expr>) -> Self {
        Self {
            name,
            arguments,
            named: Vec::new(),
            variadic: None,
            star: false,
            distinct: false,
            order_by: Vec::new(),
            within_group: None,
            filter: None,
            over: None,
            label: None,
            in_words: false,
        }
    }

    /// A call of one of PostgreSQL's own functions, whatever the search path.
    pub(super) fn system(name: &str, at: usize, arguments: Vec<Expr>, label: Option<&'static str>) -> Self {
        let part = |value: &str| Name { value: value.to_owned(), at };
        let name = QualifiedName { schema: Some(part("pg_catalog")), name: part(name) };
        Self { label, ..Self::plain(name, arguments) }
    }
}
