//! Arrays of one dimension, and the vectors of the catalogs, as text.

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::session::SessionContext;
use crate::types::{Type, TypeKind};
use crate::work;

fn is_vector(kind: TypeKind) -> bool {
    matches!(kind, TypeKind::Int2Vector | TypeKind::OidVector)
}

/// Appends `{a,"b c",NULL}`, or `1 2 3` of a vector.
pub(super) fn write(items: &[Datum], kind: TypeKind, session: &SessionContext, out: &mut String) {
    let element = kind.element().unwrap_or(TypeKind::Text);
    let vector = is_vector(kind);
    if !vector {
        out.push('{');
    }
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.push(if vector { ' ' } else { ',' });
        }
        if item.is_null() {
            out.push_str("NULL");
            continue;
        }
        let mut text = String::new();
        super::write(item, element, session, &mut text);
        if vector || !needs_quotes(&text) {
            out.push_str(&text);
            continue;
        }
        out.push('"');
        for c in text.chars() {
            if matches!(c, '"' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('"');
    }
    if !vector {
        out.push('}');
    }
}

/// What stands between the elements of an array and means nothing: blanks of ASCII, no others of Unicode.
fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty()
        || text.eq_ignore_ascii_case("null")
        || text.contains(|c: char| matches!(c, '{' | '}' | '"' | '\\' | ',') || is_blank(c))
}

/// Reads an array. 22P02 if malformed, 0A000 if it has more than one dimension.
pub(super) fn parse(text: &str, ty: Type, session: &SessionContext) -> Result<Datum> {
    let element =
        ty.kind.element().ok_or_else(|| Error::unsupported("cannot accept a value of a pseudo-type"))?;
    let element = Type { kind: element, modifier: ty.modifier };
    let malformed = |detail: &str| {
        Error::new("22P02", format!("malformed array literal: \"{text}\"")).with_detail(detail.to_owned())
    };
    if is_vector(ty.kind) {
        let items: Result<Vec<_>> =
            text.split_ascii_whitespace().map(|word| super::input(word, element, session)).collect();
        return Ok(Datum::Array(items?.into()));
    }
    let body = text
        .trim_matches(is_blank)
        .strip_prefix('{')
        .ok_or_else(|| malformed("Array value must start with \"{\" or dimension information."))?
        .strip_suffix('}')
        .ok_or_else(|| malformed("Unexpected end of input."))?;
    let mut items = Vec::new();
    let mut rest = body.trim_start_matches(is_blank);
    if rest.is_empty() {
        return Ok(Datum::Array(items.into()));
    }
    loop {
        let (item, quoted, tail) = take_item(rest).ok_or_else(|| malformed("Unexpected end of input."))?;
        if !quoted && item.starts_with('{') {
            return Err(Error::unsupported("arrays of more than one dimension"));
        }
        if !quoted && item.is_empty() {
            return Err(malformed("Unexpected \",\" character."));
        }
        items.push(match !quoted && item.eq_ignore_ascii_case("null") {
            true => Datum::Null,
            false => super::input(&item, element, session)?,
        });
        work::fits(items.len().saturating_mul(size_of::<Datum>()))?;
        match tail.trim_start_matches(is_blank) {
            "" => return Ok(Datum::Array(items.into())),
            tail => {
                let tail = tail.strip_prefix(',').ok_or_else(|| malformed("Unexpected array element."))?;
                rest = tail.trim_start_matches(is_blank);
            }
        }
    }
}

/// The item at the front, whether it was quoted, and what follows it.
fn take_item(input: &str) -> Option<(String, bool, &str)> {
    let mut item = String::new();
    let quoted = input.starts_with('"');
    let body = if quoted { input.get(1..)? } else { input };
    let mut characters = body.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => item.push(characters.next()?.1),
            '"' if quoted => return Some((item, true, body.get(at + 1..)?)),
            ',' if !quoted => {
                return Some((item.trim_end_matches(is_blank).to_owned(), false, body.get(at..)?));
            }
            c => item.push(c),
        }
    }
    if quoted { None } else { Some((item.trim_end_matches(is_blank).to_owned(), false, "")) }
}
