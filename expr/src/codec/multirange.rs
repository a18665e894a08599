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
use crate::work;

const UNENDED: Flaw = "Unexpected end of input.";

/// The type of a multirange's ranges, and of their bounds.
fn parts(kind: TypeKind) -> Result<(TypeKind, TypeKind)> {
    let ranges = kind.ranges();
    let parts = ranges.and_then(|ranges| Some((ranges, ranges.subtype()?)));
    parts.ok_or_else(|| Error::internal("a multirange of no type"))
}

/// What of a literal is still to be read.
struct Rest<'a> {
    text: &'a str,
    is_behind_range: bool,
}

impl<'a> Rest<'a> {
    fn of(literal: &'a str) -> Result<Self, Flaw> {
        let text = after_blanks(literal).strip_prefix('{').ok_or("Missing left brace.")?;
        Ok(Self { text, is_behind_range: false })
    }

    /// The text of the next range, None at the end; those that say that they are empty are left out.
    fn range(&mut self) -> Result<Option<&'a str>, Flaw> {
        loop {
            let text = after_blanks(self.text);
            if let Some(behind) = text.strip_prefix('}') {
                return match after_blanks(behind) {
                    "" => Ok(None),
                    _ => Err("Junk after closing right brace."),
                };
            }
            let text = match text.strip_prefix(',') {
                _ if !self.is_behind_range => text,
                Some(behind) => after_blanks(behind),
                None if text.is_empty() => return Err(UNENDED),
                None => return Err("Expected comma or end of multirange."),
            };
            self.is_behind_range = true;
            if text.starts_with(['[', '(']) {
                let (range, behind) = text.split_at_checked(length(text)?).ok_or(UNENDED)?;
                self.text = behind;
                return Ok(Some(range));
            }
            match after_empty(text) {
                Some(behind) => self.text = behind,
                None if text.is_empty() => return Err(UNENDED),
                None => return Err("Expected range start."),
            }
        }
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

/// What a range takes while others are read.
fn held_bytes(_: &Extent) -> usize {
    size_of::<Extent>()
}

pub(super) fn parse(text: &str, kind: TypeKind, session: &SessionContext) -> Result<Datum> {
    let (ranges, subtype) = parts(kind)?;
    let malformed = |flaw: Flaw| {
        Error::new("22P02", format!("malformed multirange literal: \"{text}\"")).with_detail(flaw)
    };
    let mut rest = Rest::of(text).map_err(malformed)?;
    let texts = std::iter::from_fn(|| rest.range().map_err(malformed).transpose());
    let read = texts.map(|text| Extent::of(&extent::parse(text?, ranges, session)?));
    Ok(Spans::new(subtype, work::rows(read, held_bytes)?).to_datum())
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
    let received = (0..input.i32()?).map(|_| {
        let length = usize::try_from(input.i32()?).unwrap_or(usize::MAX);
        Extent::of(&super::receive(input.take(length)?, ranges.into(), session)?)
    });
    Ok(Spans::new(subtype, work::rows(received, held_bytes)?).to_datum())
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
    use std::sync::Arc;

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
        // What is wrong first is said.
        for (text, sqlstate) in [("{[a,1]", "22P02"), ("{[2,1],}", "22000")] {
            let refused = shown(text, TypeKind::Int4Multirange).unwrap_err();
            assert_eq!((refused.sqlstate, refused.detail), (sqlstate, None), "{text}");
        }
        assert_eq!(shown("{[1.50,2.0],(2,3)}", TypeKind::Nummultirange).unwrap(), "{[1.50,3)}");
        assert_eq!(shown("{[2,1]}", TypeKind::Int8Multirange).unwrap_err().sqlstate, "22000");
    }

    struct Unwanted;

    impl work::Interrupt for Unwanted {
        fn check(&self) -> Result<()> {
            Err(Error::new("57014", "canceling statement due to user request"))
        }
    }

    #[test]
    fn ranges_are_counted_as_they_are_read() {
        let session = SessionContext::default();
        // None has a bound.
        let count = 10_000;
        let literal = format!("{{{}}}", vec!["(,)"; count].join(","));
        let sent = [&(count as i32).to_be_bytes()[..], &[0_u8, 0, 0, 1, 24].repeat(count)].concat();
        work::under(Arc::new(Unwanted), || {
            let read = parse(&literal, TypeKind::Int4Multirange, &session);
            assert_eq!(read.unwrap_err().sqlstate, "57014");
            let received = receive(&mut Input::new(&sent), TypeKind::Int4Multirange, &session);
            assert_eq!(received.unwrap_err().sqlstate, "57014");
        });
    }
}
