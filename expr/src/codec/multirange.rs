//! Multiranges as text and in binary: their ranges as the type of those has them.
//!
//! ```text
//! text     { range , range … }
//! binary   how many ranges (i32), of each its length (i32) and its value
//! ```

use super::extent::{self, Flaw, after_blanks, after_empty, is_blank};
use crate::binary::Input;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::extent::{Extent, Spans};
use crate::session::SessionContext;
use crate::types::TypeKind;

const UNENDED: Flaw = "Unexpected end of input.";

/// The type of a multirange's ranges, and of their bounds.
fn parts(kind: TypeKind) -> Result<(TypeKind, TypeKind)> {
    let ranges = kind.ranges();
    let parts = ranges.and_then(|ranges| Some((ranges, ranges.subtype()?)));
    parts.ok_or_else(|| Error::internal("a multirange of no type"))
}

/// The texts of a literal's ranges; those that say that they are empty are left out.
fn taken_apart(text: &str) -> Result<Vec<&str>, Flaw> {
    let mut rest = after_blanks(text).strip_prefix('{').ok_or("Missing left brace.")?;
    let mut ranges = Vec::new();
    if let Some(behind) = after_blanks(rest).strip_prefix('}') {
        return ended(ranges, behind);
    }
    loop {
        rest = after_blanks(rest);
        if rest.starts_with(['[', '(']) {
            let (range, behind) = rest.split_at_checked(length(rest)?).ok_or(UNENDED)?;
            ranges.push(range);
            rest = behind;
        } else if let Some(behind) = after_empty(rest) {
            rest = behind;
        } else {
            return Err(if rest.is_empty() { UNENDED } else { "Expected range start." });
        }
        rest = after_blanks(rest);
        if let Some(behind) = rest.strip_prefix('}') {
            return ended(ranges, behind);
        }
        rest = match rest.strip_prefix(',') {
            Some(behind) => behind,
            None if rest.is_empty() => return Err(UNENDED),
            None => return Err("Expected comma or end of multirange."),
        };
    }
}

/// The ranges, unless there is something behind their end.
fn ended<'a>(ranges: Vec<&'a str>, behind: &str) -> Result<Vec<&'a str>, Flaw> {
    match after_blanks(behind) {
        "" => Ok(ranges),
        _ => Err("Junk after closing right brace."),
    }
}

/// How long the range is that a text begins with: up to a bracket that is neither in quotes nor behind a backslash.
fn length(text: &str) -> Result<usize, Flaw> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (place, c) in text.char_indices().filter(|(_, c)| !is_blank(*c)) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ']' | ')' if !is_quoted => return Ok(place.saturating_add(1)),
            _ => {}
        }
    }
    Err(UNENDED)
}

pub(super) fn parse(text: &str, kind: TypeKind, session: &SessionContext) -> Result<Datum> {
    let (ranges, subtype) = parts(kind)?;
    let malformed = |flaw: Flaw| {
        Error::new("22P02", format!("malformed multirange literal: \"{text}\"")).with_detail(flaw)
    };
    let texts = taken_apart(text).map_err(malformed)?;
    let read = texts.into_iter().map(|text| Extent::of(&extent::parse(text, ranges, session)?));
    Ok(Spans::new(subtype, read.collect::<Result<Vec<_>>>()?).to_datum())
}

pub(super) fn write(value: &Datum, kind: TypeKind, session: &SessionContext, out: &mut String) {
    let (Ok(spans), Some(ranges)) = (Spans::of(value), kind.ranges()) else { return };
    out.push('{');
    for (place, range) in spans.ranges().iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        extent::write(&range.to_datum(), ranges, session, out);
    }
    out.push('}');
}

pub(super) fn receive(input: &mut Input<'_>, kind: TypeKind, session: &SessionContext) -> Result<Datum> {
    let (ranges, subtype) = parts(kind)?;
    let mut received = Vec::new();
    for _ in 0..input.i32()? {
        let length = usize::try_from(input.i32()?).unwrap_or(usize::MAX);
        received.push(Extent::of(&super::receive(input.take(length)?, ranges.into(), session)?)?);
    }
    Ok(Spans::new(subtype, received).to_datum())
}

pub(super) fn send(value: &Datum, kind: TypeKind, session: &SessionContext, out: &mut Vec<u8>) {
    let (Ok(spans), Some(ranges)) = (Spans::of(value), kind.ranges()) else { return };
    out.extend_from_slice(&(spans.ranges().len() as i32).to_be_bytes());
    for range in spans.ranges() {
        let mut bytes = Vec::new();
        extent::send(&range.to_datum(), ranges, session, &mut bytes);
        out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
        out.extend_from_slice(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, kind: TypeKind) -> Result<String> {
        let session = SessionContext::default();
        crate::codec::output(&parse(text, kind, &session)?, kind.into(), &session)
    }

    #[test]
    fn literals_are_read_as_postgresql_does() {
        for (text, read) in [
            ("{}", "{}"),
            (" { } ", "{}"),
            ("{empty}", "{}"),
            ("{[1,5],Empty , (7,9)}", "{[1,6),[8,9)}"),
            ("{[5,7),[1,3),[3,4]}", "{[1,7)}"),
            ("{[1,2),(,)}", "{(,)}"),
            ("{[\"1\",\"\\2\"]}", "{[1,3)}"),
        ] {
            assert_eq!(shown(text, TypeKind::Int4Multirange).unwrap(), read, "{text}");
        }
        for (text, flaw) in [
            ("", "Missing left brace."),
            ("[1,2)", "Missing left brace."),
            ("{", UNENDED),
            ("{[1,2)", UNENDED),
            ("{[\"1,2)}", UNENDED),
            ("{,}", "Expected range start."),
            ("{[1,2),}", "Expected range start."),
            ("{[1,2) [3,4)}", "Expected comma or end of multirange."),
            ("{[1,2)} x", "Junk after closing right brace."),
            ("{[1]}", "Missing comma after lower bound."),
        ] {
            let refused = shown(text, TypeKind::Int4Multirange).unwrap_err();
            assert_eq!((refused.sqlstate, refused.detail.as_deref()), ("22P02", Some(flaw)), "{text}");
        }
        assert_eq!(shown("{[1.50,2.0],(2,3)}", TypeKind::Nummultirange).unwrap(), "{[1.50,3)}");
        assert_eq!(shown("{[2,1]}", TypeKind::Int8Multirange).unwrap_err().sqlstate, "22000");
    }
}
