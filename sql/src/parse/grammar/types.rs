//! Names of types.

use expr::types::{ALL_FIELDS, IntervalFields};

use super::super::ast::TypeName;
use super::super::cursor::Cursor;
use super::super::keyword::Category;
use super::super::lexer::Kind;
use crate::error::{Error, Result};

/// PostgreSQL's types that are not supported, by the names that are written.
const UNSUPPORTED: [&str; 13] = [
    "box", "circle", "cstring", "hstore", "line", "lseg", "path", "point", "polygon", "tsquery", "tsvector",
    "void", "xml",
];

/// Whether a keyword names a type that its own syntax belongs to.
pub(super) fn is_constant_type(keyword: &str) -> bool {
    matches!(
        keyword,
        "bigint"
            | "bit"
            | "boolean"
            | "char"
            | "character"
            | "dec"
            | "decimal"
            | "double"
            | "float"
            | "int"
            | "integer"
            | "national"
            | "nchar"
            | "numeric"
            | "real"
            | "smallint"
            | "time"
            | "timestamp"
            | "varchar"
    )
}

/// A type by SQL's spelling, or by its name in `pg_type`.
pub(in super::super) fn type_name(cursor: &mut Cursor<'_>) -> Result<TypeName> {
    let at = cursor.at();
    if cursor.is("setof") {
        return Err(cursor.unsupported("SETOF"));
    }
    let mut ty = element(cursor, at)?;
    // PostgreSQL does not tell int4[] from int4[][] or int4[3].
    while cursor.accept_symbol("[") {
        if cursor.peek().kind == Kind::Number {
            cursor.advance();
        }
        cursor.expect_symbol("]")?;
        ty.array = true;
    }
    if !ty.array && cursor.is("array") {
        cursor.advance();
        if cursor.accept_symbol("[") {
            if cursor.peek().kind != Kind::Number {
                return Err(cursor.error());
            }
            cursor.advance();
            cursor.expect_symbol("]")?;
        }
        ty.array = true;
    }
    Ok(ty)
}

fn element(cursor: &mut Cursor<'_>, at: usize) -> Result<TypeName> {
    let plain =
        |name: &str, modifiers| TypeName { schema: None, name: name.to_owned(), modifiers, array: false, at };
    let keyword = cursor.keyword();
    let fixed = match keyword {
        "boolean" => "bool",
        "smallint" => "int2",
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "double" if cursor.peek_at(1).keyword == "precision" => {
            cursor.advance();
            "float8"
        }
        _ => "",
    };
    if !fixed.is_empty() {
        cursor.advance();
        return Ok(plain(fixed, Vec::new()));
    }
    match keyword {
        "float" => {
            cursor.advance();
            match modifiers(cursor)?.as_slice() {
                [] => Ok(plain("float8", Vec::new())),
                [..=0] => Err(Error::new("22023", "precision for type float must be at least 1 bit").at(at)),
                [1..=24] => Ok(plain("float4", Vec::new())),
                [25..=53] => Ok(plain("float8", Vec::new())),
                _ => Err(Error::new("22023", "precision for type float must be less than 54 bits").at(at)),
            }
        }
        "dec" | "decimal" | "numeric" => {
            cursor.advance();
            let modifiers = modifiers(cursor)?;
            Ok(plain("numeric", modifiers))
        }
        "character" | "char" | "national" | "nchar" | "varchar" => {
            if cursor.accept("national") && !matches!(cursor.keyword(), "character" | "char") {
                return Err(cursor.error());
            }
            let varying = cursor.advance().keyword == "varchar" || cursor.accept("varying");
            let length = modifiers(cursor)?;
            Ok(match (varying, length.is_empty()) {
                (true, _) => plain("varchar", length),
                (false, true) => plain("bpchar", vec![1]),
                (false, false) => plain("bpchar", length),
            })
        }
        "timestamp" | "time" => {
            cursor.advance();
            let precision = precision(cursor)?;
            let zoned = cursor.accept_all(&["with", "time", "zone"]);
            if !zoned {
                cursor.accept_all(&["without", "time", "zone"]);
            }
            Ok(match (keyword, zoned) {
                ("time", true) => plain("timetz", precision),
                ("time", false) => plain("time", precision),
                (_, true) => plain("timestamptz", precision),
                (_, false) => plain("timestamp", precision),
            })
        }
        "interval" => {
            cursor.advance();
            let modifiers = interval_modifiers(cursor)?;
            Ok(plain("interval", modifiers))
        }
        "bit" => {
            cursor.advance();
            let varying = cursor.accept("varying");
            let length = modifiers(cursor)?;
            Ok(match (varying, length.is_empty()) {
                (true, _) => plain("varbit", length),
                (false, true) => plain("bit", vec![1]),
                (false, false) => plain("bit", length),
            })
        }
        _ => by_name(cursor, at),
    }
}

fn by_name(cursor: &mut Cursor<'_>, at: usize) -> Result<TypeName> {
    let first = *cursor.peek();
    if matches!(first.category, Category::ColumnName | Category::Reserved) {
        return Err(cursor.error());
    }
    let mut names = vec![cursor.label()?];
    while cursor.accept_symbol(".") {
        names.push(cursor.label()?);
    }
    let Some(last) = names.pop() else { return Err(cursor.error()) };
    let schema = names.pop().map(|schema| schema.value);
    if !names.is_empty() {
        return Err(Error::unsupported("a type's name with a database").at(at));
    }
    if schema.as_deref().is_none_or(|schema| schema == "pg_catalog")
        && UNSUPPORTED.contains(&last.value.as_str())
    {
        return Err(Error::unsupported(format!("type {}", last.value)).at(at));
    }
    // "char" in quotes is a type of its own, unlike char.
    let quoted_char = first.kind == Kind::Quoted && schema.is_none() && last.value == "char";
    let name = if quoted_char || last.value == "char" { "\"char\"".to_owned() } else { last.value };
    let modifiers = modifiers(cursor)?;
    Ok(TypeName { schema, name, modifiers, array: false, at })
}

/// `(2)`, `DAY`, `DAY TO SECOND(2)` or nothing behind INTERVAL: the bits of the fields, and a precision.
pub(super) fn interval_modifiers(cursor: &mut Cursor<'_>) -> Result<Vec<i64>> {
    match precision(cursor)?.first() {
        Some(digits) => Ok(vec![ALL_FIELDS, *digits]),
        None => interval_fields(cursor),
    }
}

/// `DAY`, `DAY TO SECOND(2)` or nothing, as modifiers of an interval.
pub(super) fn interval_fields(cursor: &mut Cursor<'_>) -> Result<Vec<i64>> {
    let first = cursor.accept_one_of(&["year", "month", "day", "hour", "minute", "second"]);
    let Some(first) = first else { return Ok(Vec::new()) };
    let lasts: &[&str] = match first {
        "year" => &["month"],
        "day" => &["hour", "minute", "second"],
        "hour" => &["minute", "second"],
        "minute" => &["second"],
        _ => &[],
    };
    let mut last = first;
    if !lasts.is_empty() && cursor.accept("to") {
        last = cursor.accept_one_of(lasts).ok_or_else(|| cursor.error())?;
    }
    let name = if last == first { first.to_owned() } else { format!("{first} to {last}") };
    let bits = IntervalFields::named(&name).map_or(ALL_FIELDS, |fields| i64::from(fields.bits()));
    let digits = if last == "second" { precision(cursor)? } else { Vec::new() };
    Ok(std::iter::once(bits).chain(digits).collect())
}

/// `(3)`, or nothing.
fn precision(cursor: &mut Cursor<'_>) -> Result<Vec<i64>> {
    if !cursor.accept_symbol("(") {
        return Ok(Vec::new());
    }
    let token = *cursor.peek();
    let precision = if token.kind == Kind::Number { token.text.parse().ok() } else { None };
    let precision = precision.ok_or_else(|| cursor.error())?;
    cursor.advance();
    cursor.expect_symbol(")")?;
    Ok(vec![precision])
}

/// `(10)`, `(10, 2)`, or nothing.
fn modifiers(cursor: &mut Cursor<'_>) -> Result<Vec<i64>> {
    if !cursor.accept_symbol("(") {
        return Ok(Vec::new());
    }
    let modifiers = cursor.list(|cursor| {
        let negative = cursor.accept_symbol("-");
        let token = *cursor.peek();
        let invalid = || {
            let message = "type modifiers must be simple constants or identifiers";
            Error::new("42601", message).at(token.at)
        };
        if token.kind != Kind::Number {
            return Err(if matches!(token.kind, Kind::Word | Kind::String) {
                invalid()
            } else {
                cursor.error()
            });
        }
        cursor.advance();
        let value = token.text.parse::<i64>().map_err(|_| invalid())?;
        Ok(if negative { value.saturating_neg() } else { value })
    })?;
    cursor.expect_symbol(")")?;
    Ok(modifiers)
}
