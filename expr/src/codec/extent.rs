//! Ranges as text and in binary: their bounds as the type of those has them.
//!
//! ```text
//! text     empty | ( or [   lower   ,   upper   ) or ]      a bound that is missing is nothing, others may stand in quotes
//! binary   flags (1 byte: 1 empty, 2 the lower is inclusive, 4 the upper is, 8 there is no lower, 16 there is no upper),
//!          of each bound that there is its length (i32) and its value
//! ```

use crate::binary::Input;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::extent::flag::{EMPTY, LOWER_INCLUSIVE, LOWER_MISSING, UPPER_INCLUSIVE, UPPER_MISSING};
use crate::extent::{Edge, Extent, Subtype};
use crate::session::SessionContext;
use crate::types::TypeKind;

/// The type of a range's bounds. That of one which was made is asked for if only its OID is known.
fn subtype_of(kind: TypeKind, session: &SessionContext) -> Option<TypeKind> {
    kind.subtype().or_else(|| session.catalog.type_of_oid(kind.base().oid())?.subtype())
}

/// The same, with how it is held.
fn bounded(kind: TypeKind, session: &SessionContext) -> Result<(TypeKind, Subtype)> {
    let subtype = subtype_of(kind, session).ok_or_else(|| Error::internal("a range of no type"))?;
    match kind.base().is_made_range() {
        true => Ok((subtype, Subtype::of_made(subtype))),
        false => Ok((subtype, subtype.into())),
    }
}

pub(super) fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

pub(super) fn after_blanks(text: &str) -> &str {
    text.trim_start_matches(is_blank)
}

/// The rest behind `empty`, whatever its case.
pub(super) fn after_empty(text: &str) -> Option<&str> {
    let (word, rest) = text.split_at_checked("empty".len())?;
    word.eq_ignore_ascii_case("empty").then_some(rest)
}

/// What of a literal cannot be read.
pub(super) type Flaw = &'static str;

/// A literal: None if it is empty, else the texts of its bounds, and whether they are inclusive.
type Written = Option<((Option<String>, bool), (Option<String>, bool))>;

/// Takes a literal apart.
fn taken_apart(text: &str) -> Result<Written, Flaw> {
    let text = after_blanks(text);
    if let Some(rest) = after_empty(text) {
        return match after_blanks(rest) {
            "" => Ok(None),
            _ => Err("Junk after \"empty\" key word."),
        };
    }
    let is_lower_inclusive = text.starts_with('[');
    let rest = text.strip_prefix(['[', '(']).ok_or("Missing left parenthesis or bracket.")?;
    let (lower, rest) = bound(rest)?;
    let rest = rest.strip_prefix(',').ok_or("Missing comma after lower bound.")?;
    let (upper, rest) = bound(rest)?;
    let is_upper_inclusive = rest.starts_with(']');
    let rest = rest.strip_prefix([']', ')']).ok_or("Too many commas.")?;
    match after_blanks(rest) {
        "" => Ok(Some(((lower, is_lower_inclusive), (upper, is_upper_inclusive)))),
        _ => Err("Junk after right parenthesis or bracket."),
    }
}

/// A bound's text without its quotes, and what is behind it.
fn bound(text: &str) -> Result<(Option<String>, &str), Flaw> {
    let is_end = |c: char| matches!(c, ',' | ')' | ']');
    if text.starts_with(is_end) {
        return Ok((None, text));
    }
    let mut bound = String::new();
    let mut is_quoted = false;
    let mut rest = text.chars();
    loop {
        let behind = rest.as_str();
        match rest.next().ok_or("Unexpected end of input.")? {
            c if !is_quoted && is_end(c) => return Ok((Some(bound), behind)),
            '\\' => bound.push(rest.next().ok_or("Unexpected end of input.")?),
            '"' if is_quoted && rest.as_str().starts_with('"') => {
                rest.next();
                bound.push('"');
            }
            '"' => is_quoted = !is_quoted,
            c => bound.push(c),
        }
    }
}

pub(super) fn parse(text: &str, kind: TypeKind, session: &SessionContext) -> Result<Datum> {
    let (subtype, held) = bounded(kind, session)?;
    let malformed =
        |flaw: Flaw| Error::new("22P02", format!("malformed range literal: \"{text}\"")).with_detail(flaw);
    let Some((lower, upper)) = taken_apart(text).map_err(malformed)? else {
        return Ok(Extent::empty(held).to_datum());
    };
    let edge = |(text, is_inclusive): (Option<String>, bool)| -> Result<Option<Edge>> {
        let Some(text) = text else { return Ok(None) };
        Edge::new(&super::input(&text, subtype.into(), session)?, is_inclusive).map(Some)
    };
    Ok(Extent::new(held, edge(lower)?, edge(upper)?)?.to_datum())
}

/// Appends a bound, in quotes if it needs them.
fn write_bound(value: &Datum, subtype: TypeKind, session: &SessionContext, out: &mut String) {
    if value.is_null() {
        return;
    }
    let mut text = String::new();
    super::write_one(value, subtype, session, &mut text);
    let is_special = |c: char| matches!(c, '"' | '\\' | '(' | ')' | '[' | ']' | ',') || is_blank(c);
    if !text.is_empty() && !text.contains(is_special) {
        return out.push_str(&text);
    }
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('"');
}

pub(super) fn write(value: &Datum, kind: TypeKind, session: &SessionContext, out: &mut String) {
    let Ok(range) = Extent::of(value) else { return };
    if range.is_empty() {
        return out.push_str("empty");
    }
    let subtype = subtype_of(kind, session).unwrap_or(range.subtype().like());
    let (lower, upper) = (range.lower(), range.upper());
    out.push(if Extent::holds(lower) { '[' } else { '(' });
    write_bound(&range.value_of(lower), subtype, session, out);
    out.push(',');
    write_bound(&range.value_of(upper), subtype, session, out);
    out.push(if Extent::holds(upper) { ']' } else { ')' });
}

pub(super) fn receive(input: &mut Input<'_>, kind: TypeKind, session: &SessionContext) -> Result<Datum> {
    let (subtype, held) = bounded(kind, session)?;
    let [flags] = input.array()?;
    let is_empty = flags & EMPTY != 0;
    let mut edge = |missing: u8, inclusive: u8| -> Result<Option<Edge>> {
        if is_empty || flags & missing != 0 {
            return Ok(None);
        }
        let length = usize::try_from(input.i32()?).unwrap_or(usize::MAX);
        let value = super::receive(input.take(length)?, subtype.into(), session)?;
        Edge::new(&value, flags & inclusive != 0).map(Some)
    };
    let (lower, upper) = (edge(LOWER_MISSING, LOWER_INCLUSIVE)?, edge(UPPER_MISSING, UPPER_INCLUSIVE)?);
    let range = if is_empty { Extent::empty(held) } else { Extent::new(held, lower, upper)? };
    Ok(range.to_datum())
}

pub(super) fn send(value: &Datum, kind: TypeKind, session: &SessionContext, out: &mut Vec<u8>) {
    let Ok(range) = Extent::of(value) else { return };
    let subtype = subtype_of(kind, session).unwrap_or(range.subtype().like());
    out.push(range.flags());
    for edge in [range.lower(), range.upper()].into_iter().flatten() {
        let mut bytes = Vec::new();
        super::send_one(&range.value_of(Some(edge)), subtype, session, &mut bytes);
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
            ("empty", "empty"),
            (" EMPTY ", "empty"),
            ("[1,5]", "[1,6)"),
            ("(1,2)", "empty"),
            (" ( 1 , \"5\" ) ", "[2,5)"),
            ("(,)", "(,)"),
            ("[,5]", "(,6)"),
            ("[\\1,\"\"5)", "[1,5)"),
        ] {
            assert_eq!(shown(text, TypeKind::Int4Range).unwrap(), read, "{text}");
        }
        for text in ["", "1,2", "[1", "[1,2", "[1 2]", "[1,2,3]", "[1,2] x", "emptyx", "[\"1,2]", "[1,2\\"] {
            assert_eq!(shown(text, TypeKind::Int4Range).unwrap_err().sqlstate, "22P02", "{text}");
        }
        assert_eq!(
            shown("[2020-01-01 10:00,2020-01-02)", TypeKind::Tsrange).unwrap(),
            "[\"2020-01-01 10:00:00\",\"2020-01-02 00:00:00\")"
        );
    }

    #[test]
    fn bounds_of_ranges_that_were_made_are_as_their_type_has_them() {
        let session = SessionContext::default();
        let range = |subtype: TypeKind| TypeKind::range(20_000, subtype, "made");
        for (subtype, text, read) in [
            (TypeKind::Time, "[8:00,09:30]", "[08:00:00,09:30:00]"),
            (TypeKind::Time, "(10:00,10:00)", "empty"),
            (TypeKind::Int4, "(1,2)", "(1,2)"),
            (TypeKind::Float8, "[-0,1.50)", "[-0,1.5)"),
            (TypeKind::Numeric, "[1.0,1.00]", "[1.0,1.00]"),
            (TypeKind::Interval, "[24:00,1 day]", "[24:00:00,\"1 day\"]"),
            (TypeKind::Text, "[\"\",\"a,b\"]", "[\"\",\"a,b\"]"),
            (TypeKind::Inet, "(,10.0.0.1]", "(,10.0.0.1]"),
        ] {
            let kind = range(subtype);
            assert_eq!(shown(text, kind).unwrap(), read);
            let value = parse(text, kind, &session).unwrap();
            let mut bytes = Vec::new();
            crate::codec::send(&value, kind.into(), &session, &mut bytes).unwrap();
            let again = crate::codec::receive(&bytes, kind.into(), &session).unwrap();
            assert_eq!(crate::codec::output(&again, kind.into(), &session).unwrap(), read);
        }
        assert_eq!(shown("[b,a]", range(TypeKind::Text)).unwrap_err().sqlstate, "22000");
        assert_eq!(shown("[x,1]", range(TypeKind::Float8)).unwrap_err().sqlstate, "22P02");
    }
}
