//! Functions by the texts of `regproc`, their names, and of `regprocedure`, their signatures.

use expr::TypeKind;
use expr::functions::{self, FunctionId};

use super::deparse::quote_name;
use super::inner;
use super::types::arguments;
use crate::catalog::{named, schema};

/// A function's name, with its schema where the name alone would not say which is meant.
pub(super) fn text(oid: u32) -> Option<String> {
    let (name, count) = match FunctionId::from_oid(oid) {
        Some(function) => (function.name, functions::by_name(function.name).len()),
        None => inner::name(oid)?,
    };
    let name = quote_name(name);
    Some(if count == 1 { name } else { format!("{}.{name}", schema::PG_CATALOG) })
}

/// `abs(integer)`
pub(super) fn signature(oid: u32) -> Option<String> {
    let function = FunctionId::from_oid(oid)?;
    let types: Vec<&str> = arguments(function).map(TypeKind::display_name).collect();
    Some(format!("{}({})", quote_name(function.name), types.join(",")))
}

/// The functions of a name.
fn called(text: &str) -> &'static [FunctionId] {
    match named::parts(text).as_slice() {
        [name] => functions::by_name(name),
        [within, name] if within == schema::PG_CATALOG => functions::by_name(name),
        _ => &[],
    }
}

fn missing(text: &str) -> expr::Error {
    expr::Error::new("42883", format!("function \"{text}\" does not exist"))
}

/// The only function of this name of those that are `found`. 42883 if there is none, 42725 if there are several.
pub(super) fn oid(text: &str, found: &[u32]) -> expr::Result<u32> {
    match found {
        [only] => Ok(*only),
        [] => Err(missing(text)),
        _ => Err(expr::Error::new("42725", format!("more than one function named \"{text}\""))),
    }
}

/// The function of this name and these types of arguments, which `find` finds by their names, as `made` does functions that were
/// made. 22P02 if that is no signature,
/// 42704 if there is no such type, 42883 if there is no such function.
pub(super) fn oid_of_signature(
    text: &str,
    find: impl Fn(&str) -> expr::Result<Option<TypeKind>>,
    made: impl Fn(&str, &[TypeKind]) -> Option<u32>,
) -> expr::Result<u32> {
    let malformed = |what: &str| expr::Error::new("22P02", format!("expected a {what}"));
    let (name, rest) = split(text, '(').ok_or_else(|| malformed("left parenthesis"))?;
    let list = rest.trim_end().strip_suffix(')').ok_or_else(|| malformed("right parenthesis"))?;
    let mut types = Vec::new();
    let mut rest = (!list.trim().is_empty()).then_some(list);
    while let Some(list) = rest {
        let (first, behind) = split(list, ',').map_or((list, None), |(first, rest)| (first, Some(rest)));
        if first.trim().is_empty() {
            return Err(malformed("type name"));
        }
        let shown = first.trim();
        let missing = || expr::Error::new("42704", format!("type \"{shown}\" does not exist"));
        types.push(find(shown)?.ok_or_else(missing)?);
        rest = behind;
    }
    let is_meant = |function: &&FunctionId| arguments(**function).eq(types.iter().copied());
    let found = called(name).iter().find(is_meant).map(|found| found.oid());
    found.or_else(|| made(name, &types)).ok_or_else(|| missing(text))
}

/// What stands before the first such sign that is not quoted, and behind it.
fn split(text: &str, sign: char) -> Option<(&str, &str)> {
    let mut is_quoted = false;
    let place = text.find(|c: char| {
        is_quoted ^= c == '"';
        c == sign && !is_quoted
    })?;
    text.split_at_checked(place).map(|(before, rest)| (before, rest.strip_prefix(sign).unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, &'static str> {
        oid_of_signature(text, |name| Ok(TypeKind::from_name(name)), |_, _| None)
            .map(|oid| signature(oid).unwrap())
            .map_err(|error| error.sqlstate)
    }

    #[test]
    fn signatures_are_read_and_written() {
        for (text, shown) in [
            ("abs(int)", "abs(integer)"),
            (" pg_catalog.abs ( float8 ) ", "abs(double precision)"),
            ("now()", "now()"),
            ("\"now\"( )", "now()"),
            ("round(numeric,int4)", "round(numeric,integer)"),
            ("concat(\"any\")", "concat(\"any\")"),
            ("json_extract_path(json,text[])", "json_extract_path(json,text[])"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(shown), "{text}");
        }
        for (text, sqlstate) in [
            ("", "22P02"),
            ("abs", "22P02"),
            ("abs(int", "22P02"),
            ("abs(int)x", "22P02"),
            ("abs(int,)", "22P02"),
            ("abs(,int)", "22P02"),
            ("abs(nosuch)", "42704"),
            ("abs(text)", "42883"),
            ("nosuch(int)", "42883"),
            ("elsewhere.abs(int)", "42883"),
        ] {
            assert_eq!(read(text), Err(sqlstate), "{text}");
        }
    }
}
