//! Made functions by their names: what messages call them, and how kept texts do, by oid.
//!
//! `f(1)` is kept as `pg_proc."16400 f"(1)`, which means the same function whatever becomes of its name, of others of that name, or
//! of the search path. The name behind the oid is what it was called then: columns that are called after it stay so.

use expr::functions;
use expr::functions::quote::identifier;
use expr::{Type, TypeKind};

use super::object::{FunctionDescriptor, ObjectDescriptor};
use super::{CatalogSnapshot, Oid, SearchPath, schema};

/// What stands before the name of a function that is meant by its oid. No schema is called so.
pub const SCHEMA: &str = "pg_proc";

/// The function as a kept text names it.
pub fn kept(oid: Oid, name: &str) -> String {
    format!("{SCHEMA}.{}", identifier(&format!("{oid} {name}")))
}

/// The oid and the name in what stands behind [`SCHEMA`].
pub fn parts(name: &str) -> Option<(Oid, &str)> {
    let (oid, name) = name.split_once(' ')?;
    Some((oid.parse().ok()?, name))
}

/// What a call is written as by its name alone.
pub fn plain<'a>(schema: Option<&str>, name: &'a str) -> &'a str {
    match (schema, parts(name)) {
        (Some(SCHEMA), Some((_, plain))) => plain,
        _ => name,
    }
}

/// Where a kept text names functions, and which. It may be as somebody wrote it, with comments and strings of all kinds.
fn find(text: &str) -> Vec<(usize, usize, Oid)> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0_usize;
    while let Some(byte) = bytes.get(at) {
        let next = at.saturating_add(1);
        at = match byte {
            b'\'' | b'"' => {
                let Some(end) = quoted_end(bytes, at, is_escape_string(bytes, at)) else { return found };
                if *byte == b'"'
                    && let Some((start, oid)) = named(text, at, end)
                {
                    found.push((start, end, oid));
                }
                end
            }
            b'$' => dollar_end(text, at).unwrap_or(next),
            byte if is_of_name(*byte) => word_end(bytes, at),
            _ => comment_end(bytes, at).unwrap_or(next),
        };
    }
    found
}

/// The function whose quoted name stands there, if it is called, and where what stands before the name begins.
fn named(text: &str, quote: usize, end: usize) -> Option<(usize, Oid)> {
    let bytes = text.as_bytes();
    let start = quote.checked_sub(SCHEMA.len().saturating_add(1))?;
    let is_ours = text.get(start..quote)?.strip_suffix('.') == Some(SCHEMA);
    let before = start.checked_sub(1).and_then(|before| bytes.get(before));
    let is_longer = before.is_some_and(|before| is_of_name(*before));
    let is_called = bytes.get(behind_space(bytes, end)) == Some(&b'(');
    let inner = text.get(quote.saturating_add(1)..end.saturating_sub(1))?;
    let (oid, _) = parts(inner)?;
    (is_ours && !is_longer && is_called).then_some((start, oid))
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// Where the word that begins there ends.
fn word_end(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while text.get(at).is_some_and(|byte| is_of_name(*byte) || *byte == b'$') {
        at = at.saturating_add(1);
    }
    at
}

/// Whether the quote there begins `E'…'`.
fn is_escape_string(text: &[u8], quote: usize) -> bool {
    let before = |count: usize| quote.checked_sub(count).and_then(|at| text.get(at)).copied();
    text.get(quote) == Some(&b'\'')
        && matches!(before(1), Some(b'e' | b'E'))
        && !before(2).is_some_and(|byte| is_of_name(byte) || byte == b'$')
}

/// Where the quoted thing that begins there ends, behind its last quote; `escapes`: what stands behind a backslash is no quote.
fn quoted_end(text: &[u8], start: usize, escapes: bool) -> Option<usize> {
    let quote = *text.get(start)?;
    let mut at = start.checked_add(1)?;
    loop {
        let byte = *text.get(at)?;
        let behind = at.checked_add(1)?;
        at = match byte {
            b'\\' if escapes => behind.checked_add(1)?,
            byte if byte != quote => behind,
            _ if text.get(behind) == Some(&quote) => behind.checked_add(1)?,
            _ => return Some(behind),
        };
    }
}

/// Where the string ends that begins there with `$$` or `$tag$`, if one does.
fn dollar_end(text: &str, start: usize) -> Option<usize> {
    let rest = text.get(start..)?;
    let tag = rest.get(1..)?.find('$')?;
    let delimiter = rest.get(..tag.checked_add(2)?)?;
    let name = delimiter.get(1..tag.checked_add(1)?)?.as_bytes();
    let is_tag = name.iter().all(|byte| is_of_name(*byte)) && !name.first().is_some_and(u8::is_ascii_digit);
    if !is_tag {
        return None;
    }
    let inner = rest.get(delimiter.len()..)?;
    let length = inner.find(delimiter)?.checked_add(delimiter.len().checked_mul(2)?)?;
    start.checked_add(length)
}

/// Where the comment ends that begins there, if one does.
fn comment_end(text: &[u8], start: usize) -> Option<usize> {
    let rest = text.get(start..)?;
    if rest.starts_with(b"--") {
        let line = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        return start.checked_add(line);
    }
    if !rest.starts_with(b"/*") {
        return None;
    }
    let (mut open, mut at) = (0_usize, start);
    while let Some(pair) = text.get(at..at.checked_add(2)?) {
        match pair {
            b"/*" => open = open.saturating_add(1),
            b"*/" => open = open.saturating_sub(1),
            _ => {
                at = at.saturating_add(1);
                continue;
            }
        }
        at = at.saturating_add(2);
        if open == 0 {
            return Some(at);
        }
    }
    Some(text.len())
}

/// Where white space and comments that begin there end.
fn behind_space(text: &[u8], start: usize) -> usize {
    let mut at = start;
    loop {
        match text.get(at) {
            Some(byte) if byte.is_ascii_whitespace() || *byte == 0x0B => at = at.saturating_add(1),
            _ => match comment_end(text, at) {
                Some(end) => at = end,
                None => return at,
            },
        }
    }
}

/// The functions that a kept text calls.
pub fn functions_in(text: &str) -> Vec<Oid> {
    let mut oids: Vec<Oid> = find(text).into_iter().map(|(_, _, oid)| oid).collect();
    oids.sort_unstable();
    oids.dedup();
    oids
}

/// The text as it is shown: oids become names.
pub fn shown(text: &str, name: impl Fn(Oid) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (start, end, oid) in find(text) {
        if let Some(name) = name(oid) {
            out.push_str(text.get(done..start).unwrap_or_default());
            out.push_str(&name);
            done = end;
        }
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// The types of what a function is called with, as they are called now.
pub fn argument_types(catalog: &CatalogSnapshot, object: &ObjectDescriptor) -> Vec<TypeKind> {
    let inputs = object.function().into_iter().flat_map(|function| function.inputs());
    inputs.map(|parameter| now(catalog, parameter.ty)).collect()
}

/// The columns of each row that a function returns; `None`: it is one value.
pub fn columns(catalog: &CatalogSnapshot, function: &FunctionDescriptor) -> Option<Vec<(String, Type)>> {
    let now = |ty: Type| Type { kind: now(catalog, ty.kind), ..ty };
    if let Some(columns) = function.columns() {
        return Some(columns.into_iter().map(|(name, ty)| (name, now(ty))).collect());
    }
    if let Some(relation) = function.row_of {
        let columns = catalog.table_by_oid(relation).into_iter().flat_map(|table| table.visible());
        return Some(columns.map(|(_, column)| (column.name.clone(), column.ty)).collect());
    }
    let attributes = &catalog.objects().composite(function.returns)?.attributes;
    Some(attributes.fields().map(|(name, ty)| (name.to_owned(), now(ty))).collect())
}

/// A type as it is called now.
pub fn now(catalog: &CatalogSnapshot, kind: TypeKind) -> TypeKind {
    catalog.objects().kind(kind.oid()).unwrap_or(kind)
}

/// Whether a function is found along a path: no other of its name and arguments stands before it.
pub fn is_visible(catalog: &CatalogSnapshot, path: &SearchPath, object: &ObjectDescriptor) -> bool {
    let objects = catalog.objects();
    let own = argument_types(catalog, object);
    for schema in path.lookup(objects) {
        if schema == object.schema {
            return true;
        }
        let mut others = objects.functions_named(&object.name).filter(|other| other.schema == schema);
        let mut built_in = functions::by_name(&object.name).iter();
        if others.any(|other| argument_types(catalog, other) == own)
            || schema == schema::PG_CATALOG && built_in.any(|function| function.args == own.as_slice())
        {
            return false;
        }
    }
    false
}

/// A kept text with the names of functions, those of now.
pub fn by_name(catalog: &CatalogSnapshot, path: &SearchPath, text: &str) -> String {
    shown(text, |oid| catalog.objects().get(oid).map(|object| name(catalog, path, object)))
}

/// A function's name, with its schema where it is not found without.
pub fn name(catalog: &CatalogSnapshot, path: &SearchPath, object: &ObjectDescriptor) -> String {
    let name = identifier(&object.name);
    match is_visible(catalog, path, object) {
        true => name,
        false => format!("{}.{name}", identifier(&object.schema)),
    }
}

/// `s.f(integer,text)`: a function as messages name it.
pub fn signature(catalog: &CatalogSnapshot, path: &SearchPath, object: &ObjectDescriptor) -> String {
    let types = argument_types(catalog, object);
    let types: Vec<&str> = types.iter().map(|kind| kind.display_name()).collect();
    format!("{}({})", name(catalog, path, object), types.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_kept_by_oid() {
        let call = kept(16400, "a\"b");
        assert_eq!(call, "pg_proc.\"16400 a\"\"b\"");
        let text = format!("({call}(x, {}(1)) + 'pg_proc.\"7 f\"('::text)", kept(9, "g"));
        assert_eq!(functions_in(&text), [9, 16400]);
        let name = |oid: Oid| (oid == 9).then(|| "s.g".to_owned());
        assert_eq!(shown(&text, name), format!("({call}(x, s.g(1)) + 'pg_proc.\"7 f\"('::text)"));
        assert_eq!(functions_in("pg_proc.\"8 f\" pg_proc.\"f\"( xpg_proc.f( 'open"), [0_u32; 0]);
        assert_eq!(plain(Some(SCHEMA), "16400 f"), "f");
        assert_eq!(plain(None, "16400 f"), "16400 f");
    }

    #[test]
    fn calls_are_found_whatever_stands_around_them() {
        let call = kept(7, "f");
        for before in [
            "/* it's */",
            "/* /* ' */ \" */",
            "-- it's\n",
            "E'it\\'s',",
            "$$it's$$,",
            "$x$ ' $y$ $x$,",
            "a$b$'$',",
        ] {
            for behind in ["", " ", "\t/* ( */ ", "-- (\n"] {
                let text = format!("SELECT {before} {call}{behind}(1), 'x'");
                assert_eq!(functions_in(&text), [7], "{text}");
                let name = |oid: Oid| (oid == 7).then(|| "g".to_owned());
                assert_eq!(shown(&text, name), format!("SELECT {before} g{behind}(1), 'x'"));
            }
        }
        for text in [
            format!("x{call}(1)"),
            format!("{call} + (1)"),
            format!("'{call}(1)'"),
            format!("/* {call}(1) */"),
            format!("-- {call}(1)"),
            format!("$${call}(1)$$"),
            format!("E'\\'{call}(1)'"),
            "$1 $ 'open /*".to_owned(),
            "/* open".to_owned(),
            "$x$ open".to_owned(),
        ] {
            assert_eq!(functions_in(&text), [0_u32; 0], "{text}");
        }
    }
}
