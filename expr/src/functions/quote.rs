//! Quoting and formatting: quote_ident, quote_literal, format, concat.

use super::arguments::text;
use crate::codec;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::session::SessionContext;
use crate::types::{Type, TypeKind};
use crate::work;

/// The keywords that cannot be names without quotes (all but the unreserved of the manual's appendix C).
const KEYWORDS: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

/// An identifier, in quotes if it needs them.
pub fn identifier(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && KEYWORDS.binary_search(&name).is_err();
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A string literal.
pub fn literal(value: &str) -> String {
    let doubled = value.replace('\'', "''");
    match doubled.contains('\\') {
        true => format!("E'{}'", doubled.replace('\\', "\\\\")),
        false => format!("'{doubled}'"),
    }
}

pub(super) fn quote_ident(value: &Datum) -> Result<Datum> {
    Ok(Datum::from(identifier(text(value)?)))
}

pub(super) fn quote_literal(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    Ok(cast_to_text(args, types, session, 0)?.map_or(Datum::Null, |shown| Datum::from(literal(&shown))))
}

pub(super) fn quote_nullable(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    let shown = cast_to_text(args, types, session, 0)?;
    Ok(Datum::from(shown.map_or("NULL".to_owned(), |shown| literal(&shown))))
}

/// The text of an argument; None of NULL.
fn shown(args: &[Datum], types: &[Type], session: &SessionContext, place: usize) -> Result<Option<String>> {
    let Some(value) = args.get(place).filter(|value| !value.is_null()) else { return Ok(None) };
    let ty = types.get(place).copied().unwrap_or(Type::plain(TypeKind::Text));
    codec::output(value, ty, session).map(Some)
}

pub(super) fn concat(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    joined((0..args.len()).filter_map(|place| shown(args, types, session, place).transpose()), "")
}

pub(super) fn concat_ws(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    let Some(separator) = shown(args, types, session, 0)? else { return Ok(Datum::Null) };
    joined((1..args.len()).filter_map(|place| shown(args, types, session, place).transpose()), &separator)
}

/// The parts with a separator between them. 54000 if that is longer than a value may be.
fn joined(parts: impl Iterator<Item = Result<String>>, separator: &str) -> Result<Datum> {
    let mut out = String::new();
    for (place, part) in parts.enumerate() {
        let part = part?;
        if place > 0 {
            out.push_str(separator);
        }
        work::fits(out.len().saturating_add(part.len()).saturating_add(separator.len()))?;
        out.push_str(&part);
    }
    Ok(Datum::from(out))
}

/// text || anything, anything || text: what is no text is cast to it.
pub(super) fn concatenate_any(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    joined((0..args.len()).filter_map(|place| cast_to_text(args, types, session, place).transpose()), "")
}

/// An argument cast to text, which differs from its output for boolean, char(n) and network addresses; None of NULL.
fn cast_to_text(
    args: &[Datum],
    types: &[Type],
    session: &SessionContext,
    place: usize,
) -> Result<Option<String>> {
    match (args.get(place), types.get(place).map(|ty| ty.kind)) {
        (Some(Datum::Bool(value)), _) => Ok(Some(value.to_string())),
        (Some(Datum::Text(text)), Some(TypeKind::Bpchar)) => Ok(Some(text.trim_end_matches(' ').to_owned())),
        (Some(value), Some(kind))
            if matches!(kind.base(), TypeKind::Inet | TypeKind::Cidr) && !value.is_null() =>
        {
            let mut shown = String::new();
            Network::of(value)?.write_cidr(&mut shown);
            Ok(Some(shown))
        }
        _ => shown(args, types, session, place),
    }
}

fn invalid_format(message: impl Into<String>) -> Error {
    Error::new("22023", message)
}

/// A specifier of format(): `%[position$][-][width]type`.
struct Specifier {
    position: Option<usize>,
    left: bool,
    width: Width,
    conversion: char,
}

enum Width {
    Fixed(usize),
    /// `*`, `*n$`: an argument says.
    Argument(Option<usize>),
}

fn take_digits(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Option<usize>> {
    let mut number: Option<usize> = None;
    while let Some(digit) = characters.peek().and_then(|c| c.to_digit(10)) {
        characters.next();
        let next = number.unwrap_or(0).checked_mul(10).and_then(|n| n.checked_add(digit as usize));
        number = Some(
            next.filter(|n| *n <= i32::MAX as usize)
                .ok_or_else(|| Error::new("22003", "number is out of range"))?,
        );
    }
    Ok(number)
}

fn take_specifier(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Specifier> {
    let unterminated =
        || invalid_format("unterminated format() type specifier").with_hint("For a single \"%\" use \"%%\".");
    let mut specifier = Specifier { position: None, left: false, width: Width::Fixed(0), conversion: 's' };
    let mut width = take_digits(characters)?;
    if width.is_some() && characters.next_if_eq(&'$').is_some() {
        let position = width.take().unwrap_or(0);
        if position == 0 {
            return Err(invalid_format("format specifies argument 0, but arguments are numbered from 1"));
        }
        specifier.position = Some(position);
    }
    if width.is_none() {
        while characters.next_if_eq(&'-').is_some() {
            specifier.left = true;
        }
        if characters.next_if_eq(&'*').is_some() {
            let position = take_digits(characters)?;
            if position == Some(0) {
                return Err(invalid_format("format specifies argument 0, but arguments are numbered from 1"));
            }
            if position.is_some() && characters.next_if_eq(&'$').is_none() {
                return Err(invalid_format("width argument position must be ended by \"$\""));
            }
            specifier.width = Width::Argument(position);
        } else {
            width = take_digits(characters)?;
        }
    }
    if let Some(width) = width {
        specifier.width = Width::Fixed(width);
    }
    specifier.conversion = characters.next().ok_or_else(unterminated)?;
    Ok(specifier)
}

pub(super) fn format(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    let Some(pattern) = args.first().and_then(Datum::as_str) else { return Ok(Datum::Null) };
    let too_few = || invalid_format("too few arguments for format()");
    let mut out = String::new();
    let mut next_argument = 1;
    let mut characters = pattern.chars().peekable();
    while let Some(c) = characters.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if characters.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let specifier = take_specifier(&mut characters)?;
        let (width, left) = match specifier.width {
            Width::Fixed(width) => (width, specifier.left),
            Width::Argument(position) => {
                let place = position.unwrap_or(next_argument);
                next_argument = place + 1;
                let width = match args.get(place).ok_or_else(too_few)? {
                    Datum::Null => 0,
                    Datum::Int2(width) => i64::from(*width),
                    Datum::Int4(width) => i64::from(*width),
                    // Of any other type what it is written as.
                    _ => {
                        let text = shown(args, types, session, place)?.unwrap_or_default();
                        i64::from(crate::text::parse_i32(&text)?)
                    }
                };
                (width.unsigned_abs() as usize, specifier.left || width < 0)
            }
        };
        let place = specifier.position.unwrap_or(next_argument);
        next_argument = place + 1;
        if place >= args.len() {
            return Err(too_few());
        }
        let value = shown(args, types, session, place)?;
        let text = match (specifier.conversion, value) {
            ('s', value) => value.unwrap_or_default(),
            ('I', Some(value)) => identifier(&value),
            ('I', None) => {
                return Err(Error::new("22004", "null values cannot be formatted as an SQL identifier"));
            }
            ('L', Some(value)) => literal(&value),
            ('L', None) => "NULL".to_owned(),
            (other, _) => {
                return Err(invalid_format(format!("unrecognized format() type specifier \"{other}\""))
                    .with_hint("For a single \"%\" use \"%%\"."));
            }
        };
        let missing = width.saturating_sub(text.chars().count());
        work::fits(out.len().saturating_add(text.len()).saturating_add(missing))?;
        if !left {
            out.extend(std::iter::repeat_n(' ', missing));
        }
        out.push_str(&text);
        if left {
            out.extend(std::iter::repeat_n(' ', missing));
        }
    }
    Ok(Datum::from(out))
}
