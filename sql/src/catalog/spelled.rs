//! Made types within kept texts, and the labels of enums before them: `'sad'::mood`, `'{sad,ok}'::mood[]`.
//!
//! Defaults and conditions are kept as they are printed, so that a type is always named in the one way that is its own; what is
//! renamed is renamed there too. Who reads them along another path gets names that are found there ([`by_name`]).

use std::collections::BTreeSet;

use expr::TypeKind;
use expr::functions::quote::identifier;

use super::{CatalogSnapshot, SearchPath, called, schema};

/// A cast in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spelled<'a> {
    /// The content of the literal that is cast, if it is one.
    pub literal: Option<&'a str>,
    /// The type's name, as it is printed.
    pub name: &'a str,
    /// Whether it is to arrays of it.
    pub is_array: bool,
}

/// Where in the text what stands: the literal between its quotes, and the name.
struct Found {
    literal: Option<(usize, usize)>,
    name: (usize, usize),
    is_array: bool,
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii()
}

/// Where the quoted thing that begins there ends, behind its last quote.
fn quoted_end(text: &[u8], start: usize) -> Option<usize> {
    let quote = *text.get(start)?;
    let mut at = start.checked_add(1)?;
    loop {
        if *text.get(at)? == quote {
            if text.get(at.checked_add(1)?) != Some(&quote) {
                return at.checked_add(1);
            }
            at = at.checked_add(1)?;
        }
        at = at.checked_add(1)?;
    }
}

/// Where the name that begins there ends: words or quoted ones, between dots.
fn name_end(text: &[u8], start: usize) -> usize {
    let mut at = start;
    loop {
        match text.get(at) {
            Some(b'"') => match quoted_end(text, at) {
                Some(end) => at = end,
                None => return at,
            },
            _ => {
                while text.get(at).copied().is_some_and(is_of_name) {
                    at = at.saturating_add(1);
                }
            }
        }
        if text.get(at) != Some(&b'.') {
            return at;
        }
        at = at.saturating_add(1);
    }
}

fn find(text: &str) -> Vec<Found> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut literal: Option<(usize, usize)> = None;
    let mut at = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\'' | b'"' => {
                let Some(end) = quoted_end(bytes, at) else { break };
                literal = (*byte == b'\'').then_some((at.saturating_add(1), end.saturating_sub(1)));
                at = end;
            }
            b':' if bytes.get(at.saturating_add(1)) == Some(&b':') => {
                let start = at.saturating_add(2);
                let end = name_end(bytes, start);
                let own = literal.filter(|(_, end)| end.saturating_add(1) == at);
                let is_array = text.get(end..).is_some_and(|rest| rest.starts_with("[]"));
                found.push(Found { literal: own, name: (start, end), is_array });
                at = end;
            }
            _ => at = at.saturating_add(1),
        }
    }
    found
}

/// Whether a text names the type.
pub fn names(text: &str, name: &str) -> bool {
    find(text).iter().any(|found| text.get(found.name.0..found.name.1) == Some(name))
}

/// Whether a text calls the function.
pub fn calls(text: &str, name: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b'\'' | b'"') {
            match quoted_end(bytes, at) {
                Some(end) => at = end,
                None => return false,
            }
        } else if is_of_name(*byte) {
            let end = name_end(bytes, at).max(at.saturating_add(1));
            if text.get(at..end) == Some(name) && bytes.get(end) == Some(&b'(') {
                return true;
            }
            at = end;
        } else {
            at = at.saturating_add(1);
        }
    }
    false
}

/// A text that was printed, with the names of functions and of types along a path: behind their schemas where they are not found
/// without.
pub fn by_name(catalog: &CatalogSnapshot, path: &SearchPath, text: &str) -> String {
    let mut text = called::by_name(catalog, path, text);
    let found = find(&text).into_iter().filter_map(|found| text.get(found.name.0..found.name.1));
    let cast: BTreeSet<String> = found.map(str::to_owned).collect();
    if cast.is_empty() {
        return text;
    }
    for (object, _) in catalog.objects().types() {
        let Some(kind) = object.kind().filter(|kind| cast.contains(kind.display_name())) else { continue };
        if !is_found(catalog, path, &object.name, kind) {
            let full = format!("{}.{}", identifier(&object.schema), identifier(&object.name));
            text = changed(&text, kind.display_name(), |_| (None, full.clone()));
        }
    }
    text
}

/// Whether a name without a schema means this type along a path.
pub fn is_found(catalog: &CatalogSnapshot, path: &SearchPath, name: &str, kind: TypeKind) -> bool {
    let objects = catalog.objects();
    let within = |schema: &str| match schema {
        schema::PG_CATALOG => TypeKind::from_name(name),
        schema => objects.type_named(schema, name),
    };
    path.lookup(objects).find_map(within).is_some_and(|found| found.is_same(kind))
}

/// The text with what `change` makes of each cast to the type: another content of the literal, and another name.
pub fn changed(text: &str, name: &str, change: impl Fn(Spelled<'_>) -> (Option<String>, String)) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    let slice = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    for Found { literal, name: (start, end), is_array } in find(text) {
        if slice(start, end) != name {
            continue;
        }
        let content = literal.map(|(from, to)| slice(from, to).replace("''", "'"));
        let (content, renamed) = change(Spelled { literal: content.as_deref(), name, is_array });
        if let (Some(content), Some((from, to))) = (content, literal) {
            out.push_str(slice(done, from));
            out.push_str(&content.replace('\'', "''"));
            done = to;
        }
        out.push_str(slice(done, start));
        out.push_str(&renamed);
        done = end;
    }
    out.push_str(slice(done, text.len()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_type_that_is_meant_is_renamed() {
        let text = "COALESCE('it''s'::s.\"M\", ('{a,b}'::s.\"M\"[])[1], 'x'::s.m, 'y::s.\"M\"', z::s.\"M\")";
        let upper = |spelled: Spelled<'_>| {
            let content = spelled.literal.map(|literal| format!("<{literal}>{}", spelled.is_array));
            (content, "t.n".to_owned())
        };
        assert_eq!(
            changed(text, "s.\"M\"", upper),
            "COALESCE('<it''s>false'::t.n, ('<{a,b}>true'::t.n[])[1], 'x'::s.m, 'y::s.\"M\"', z::t.n)"
        );
        assert!(calls("a(b(1))", "b") && calls("b()", "b") && !calls("'b()' || ab(1)", "b"));
        assert!(names(text, "s.m") && !names(text, "M") && !names("'open::m", "m"));
    }
}
