//! Names of types.

use sqlparser::ast as sp;
use sqlparser::ast::{ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, TimezoneInfo};

use super::super::ast::TypeName;
use super::super::cursor::fold;
use super::refuse;
use crate::error::{Error, Result};

/// A type by SQL's spelling.
pub(super) fn type_name(ty: DataType, at: usize) -> Result<TypeName> {
    named(ty, at).map_err(|error| if error.position.is_none() { error.at(at) } else { error })
}

fn plain(name: &str, modifiers: Vec<i64>, at: usize) -> Result<TypeName> {
    Ok(TypeName { schema: None, name: name.to_owned(), modifiers, array: false, at })
}

fn named(ty: DataType, at: usize) -> Result<TypeName> {
    let shown = ty.to_string();
    match ty {
        DataType::Boolean | DataType::Bool => plain("bool", Vec::new(), at),
        DataType::SmallInt(None) | DataType::Int2(None) => plain("int2", Vec::new(), at),
        DataType::Int(None) | DataType::Integer(None) | DataType::Int4(None) => plain("int4", Vec::new(), at),
        DataType::BigInt(None) | DataType::Int8(None) => plain("int8", Vec::new(), at),
        DataType::Real | DataType::Float4 => plain("float4", Vec::new(), at),
        DataType::Float8 | DataType::DoublePrecision => plain("float8", Vec::new(), at),
        DataType::Float(ExactNumberInfo::None) => plain("float8", Vec::new(), at),
        DataType::Float(ExactNumberInfo::Precision(bits)) => match bits {
            0 => Err(Error::new("22023", "precision for type float must be at least 1 bit")),
            1..=24 => plain("float4", Vec::new(), at),
            25..=53 => plain("float8", Vec::new(), at),
            _ => Err(Error::new("22023", "precision for type float must be less than 54 bits")),
        },
        DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => {
            let modifiers = match info {
                ExactNumberInfo::None => Vec::new(),
                ExactNumberInfo::Precision(precision) => vec![number(precision)],
                ExactNumberInfo::PrecisionAndScale(precision, scale) => vec![number(precision), scale],
            };
            plain("numeric", modifiers, at)
        }
        DataType::Text => plain("text", Vec::new(), at),
        DataType::Varchar(length) | DataType::CharacterVarying(length) | DataType::CharVarying(length) => {
            plain("varchar", characters(length)?, at)
        }
        DataType::Char(None) | DataType::Character(None) => plain("bpchar", vec![1], at),
        DataType::Char(length) | DataType::Character(length) => plain("bpchar", characters(length)?, at),
        DataType::Bytea => plain("bytea", Vec::new(), at),
        DataType::Uuid => plain("uuid", Vec::new(), at),
        DataType::Date => plain("date", Vec::new(), at),
        DataType::Timestamp(precision, zone) => {
            let name = match zone {
                TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => "timestamp",
                TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => "timestamptz",
            };
            plain(name, precision.map(number).into_iter().collect(), at)
        }
        DataType::Interval { fields: None, precision } => {
            plain("interval", precision.map(number).into_iter().collect(), at)
        }
        DataType::Regclass => plain("regclass", Vec::new(), at),
        DataType::Custom(name, modifiers) => custom(name, modifiers, at),
        DataType::Array(
            ArrayElemTypeDef::SquareBracket(element, _) | ArrayElemTypeDef::Qualified(element, _),
        ) => {
            let element = named(*element, at)?;
            // PostgreSQL does not tell int4[] from int4[][].
            Ok(TypeName { array: true, ..element })
        }
        _ => refuse(format!("type {shown}")),
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn characters(length: Option<CharacterLength>) -> Result<Vec<i64>> {
    match length {
        None => Ok(Vec::new()),
        Some(CharacterLength::IntegerLength { length, unit: None }) => Ok(vec![number(length)]),
        Some(CharacterLength::IntegerLength { unit: Some(_), .. }) => refuse("a unit of length"),
        Some(CharacterLength::Max) => refuse("length MAX"),
    }
}

fn custom(name: sp::ObjectName, modifiers: Vec<String>, at: usize) -> Result<TypeName> {
    let sp::ObjectName(parts) = name;
    let mut names = Vec::new();
    for part in parts {
        match part {
            sp::ObjectNamePart::Identifier(sp::Ident { value, quote_style, span: _ }) => {
                let folded = fold(&value, quote_style.is_some());
                // "char" in quotes is a type of its own, unlike char.
                let quoted = quote_style.is_some() && folded == "char";
                names.push(if quoted { "\"char\"".to_owned() } else { folded });
            }
            sp::ObjectNamePart::Function(_) => return refuse("a function as a type's name"),
        }
    }
    let Some(name) = names.pop() else { return refuse("a type without a name") };
    let schema = names.pop();
    if !names.is_empty() {
        return refuse("a type's name with a database");
    }
    let modifiers = modifiers.into_iter().map(|modifier| {
        modifier
            .trim()
            .parse::<i64>()
            .map_err(|_| Error::new("42601", "type modifiers must be simple constants or identifiers"))
    });
    Ok(TypeName { schema, name, modifiers: modifiers.collect::<Result<_>>()?, array: false, at })
}
