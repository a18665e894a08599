//! Values as PostgreSQL's clients see them: the input, output, receive and send functions of every type.
//!
//! What a type takes stands in its row of [`table`]; a type that is written as all values of its form are needs to say
//! only how it is read. Arrays, of whatever type, are read and written by [`mod@array`] and [`array_binary`].

mod array;
mod array_binary;
mod enumerated;
mod extent;
mod multirange;
mod record;
mod reg;
mod table;

use crate::binary::{self, Input};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::json;
use crate::length;
use crate::numeric;
use crate::session::{ByteaOutput, SessionContext};
use crate::text::{self, Dates};
use crate::types::{Form, Type, TypeKind};
use crate::volatility::Volatility;
use crate::work;

pub(crate) use array::write_bounds;
pub(crate) use record::{attributes, shape_of};

/// Reads a value of the type, its modifier applied as an assignment would (22001 if too long).
/// Errors: 22P02, 22003, 22007, 22008 in PostgreSQL's words; 23502 and 23514 of what a domain refuses.
pub fn input(text: &str, ty: Type, session: &SessionContext) -> Result<Datum> {
    if let Some(over) = over(ty.kind, session) {
        return judged(input(text, over, session)?, ty.kind, session);
    }
    // A number alone is of the last field that there is.
    if let Some(fields) = ty.interval_fields() {
        let read = crate::text::parse_interval(text, session.interval_style, Some(fields))?;
        return length::coerce(Datum::Interval(read), ty, false);
    }
    match table::find(ty.kind) {
        Some(codec) => length::coerce((codec.input)(text, ty.kind, session)?, ty, false),
        None if ty.kind.form() == Form::Array => array::parse(text, ty, session),
        None => Err(refused(ty.kind)),
    }
}

/// What a domain is over at last, as far as the session knows it.
pub(crate) fn over(kind: TypeKind, session: &SessionContext) -> Option<Type> {
    if kind.is_domain() { session.catalog.over(kind) } else { None }
}

/// The value, which is one of what `kind` is over, as one of `kind`, if that is a domain.
pub(crate) fn judged(value: Datum, kind: TypeKind, session: &SessionContext) -> Result<Datum> {
    if kind.is_domain() {
        session.catalog.judge(kind, &value, session)?;
    }
    Ok(value)
}

fn refused(kind: TypeKind) -> Error {
    Error::unsupported(format!("cannot accept a value of type {}", kind.display_name()))
}

/// The text of a value; the empty string of NULL (whose caller looks first).
///
/// # Errors
/// 54000: it is longer than any value may be. The statement is to end.
pub fn output(value: &Datum, ty: Type, session: &SessionContext) -> Result<String> {
    let mut text = String::new();
    write(value, ty.kind, session, &mut text)?;
    Ok(text)
}

/// The text of a value for a message or a plan: one that is too long to be shown says so.
pub fn shown(value: &Datum, ty: Type, session: &SessionContext) -> String {
    output(value, ty, session).unwrap_or_else(|error| error.message)
}

/// Appends the text of a value, and nothing for NULL.
///
/// # Errors
/// 54000: it is longer than any value may be. The statement is to end.
pub fn write(value: &Datum, kind: TypeKind, session: &SessionContext, out: &mut String) -> Result<()> {
    match value {
        Datum::Null => {}
        Datum::Array(items) => array::write(items, kind, session, out)?,
        Datum::Record(fields) => record::write(fields, kind, session, out)?,
        value => write_one(value, kind, session, out),
    }
    Ok(())
}

/// Appends the text of a value that is not made of others.
fn write_one(value: &Datum, kind: TypeKind, session: &SessionContext, out: &mut String) {
    match table::find(kind).and_then(|codec| codec.output) {
        Some(output) => output(value, kind, session, out),
        None => write_form(value, session, out),
    }
}

/// Appends a part's text between quotes, each quote and backslash within behind an `escape`, or behind itself.
fn quote(text: &str, escape: Option<char>, out: &mut String) -> Result<()> {
    let is_special = |c: char| matches!(c, '"' | '\\');
    let doubled = text.bytes().filter(|byte| is_special(char::from(*byte))).count();
    // What stands in quotes at every level doubles at every level.
    let added = text.len().saturating_add(doubled).saturating_add(2);
    work::fits(out.len().saturating_add(added))?;
    work::step(added)?;
    out.push('"');
    for c in text.chars() {
        if is_special(c) {
            out.push(escape.unwrap_or(c));
        }
        out.push(c);
    }
    out.push('"');
    Ok(())
}

/// Appends a part's text as it is.
fn plain(text: &str, out: &mut String) -> Result<()> {
    work::fits(out.len().saturating_add(text.len()))?;
    work::step(text.len())?;
    out.push_str(text);
    Ok(())
}

/// A value as all of its form are written.
fn write_form(value: &Datum, session: &SessionContext, out: &mut String) {
    match value {
        Datum::Null | Datum::Array(_) | Datum::Record(_) | Datum::Keyed(_) => {}
        Datum::Text(text) => out.push_str(text),
        Datum::Bool(v) => out.push(if *v { 't' } else { 'f' }),
        Datum::Int2(v) => text::write_integer(i64::from(*v), out),
        Datum::Int4(v) => text::write_integer(i64::from(*v), out),
        Datum::Int8(v) => text::write_integer(*v, out),
        Datum::Oid(v) => text::write_integer(i64::from(*v), out),
        Datum::Float4(v) => text::write_f32(*v, session.extra_float_digits, out),
        Datum::Float8(v) => text::write_f64(*v, session.extra_float_digits, out),
        Datum::Numeric(v) => numeric::write(v, out),
        Datum::Bytea(v) => match session.bytea_output {
            ByteaOutput::Hex => {
                out.push_str("\\x");
                text::write_hex(v, out);
            }
            ByteaOutput::Escape => text::write_escape(v, out),
        },
        Datum::Date(v) => text::write_date(*v, Dates::of(session), out),
        Datum::Timestamp(v) => text::write_timestamp(*v, Dates::of(session), out),
        Datum::Timestamptz(v) => {
            text::write_timestamptz(*v, &session.time_zone, Dates::of(session), out);
        }
        Datum::Interval(v) => text::write_interval(*v, session.interval_style, out),
        Datum::Uuid(v) => text::write_uuid(*v, out),
        Datum::Json(v) => json::write::compact(v, out),
    }
}

/// How much what a text means depends on the session.
pub fn input_volatility(kind: TypeKind) -> Volatility {
    volatility(kind, |codec| codec.input_depends)
}

/// How much the text of a value depends on the session.
pub fn output_volatility(kind: TypeKind) -> Volatility {
    volatility(kind, |codec| codec.output_depends)
}

fn volatility(kind: TypeKind, depends: impl Fn(&table::Codec) -> bool) -> Volatility {
    match table::find(kind.element().unwrap_or(kind)).is_some_and(depends) {
        true => Volatility::Stable,
        false => Volatility::Immutable,
    }
}

/// Reads a value of the type from its binary format, its modifier applied as an assignment would. Errors: 22P03, 08P01,
/// 22021; 23502 and 23514 of what a domain refuses.
pub fn receive(bytes: &[u8], ty: Type, session: &SessionContext) -> Result<Datum> {
    if let Some(over) = over(ty.kind, session) {
        return judged(receive(bytes, over, session)?, ty.kind, session);
    }
    let mut input = Input::new(bytes);
    let value = match table::find(ty.kind) {
        Some(codec) => match codec.receive {
            Some(receive) => receive(&mut input, ty.kind, session)?,
            None => binary::receive(&mut input, ty.kind.form())?,
        },
        None if ty.kind.form() == Form::Array => array_binary::receive(&mut input, ty.kind, session)?,
        None => return Err(refused(ty.kind)),
    };
    input.end()?;
    length::coerce(value, ty, false)
}

/// Appends the value's binary format, and nothing for NULL.
pub fn send(value: &Datum, ty: Type, session: &SessionContext, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Datum::Null => {}
        Datum::Array(items) => array_binary::send(items, ty.kind, session, out)?,
        Datum::Record(fields) => record::send(fields, ty.kind, session, out)?,
        value => send_one(value, ty.kind, session, out),
    }
    Ok(())
}

/// Appends the binary format of a value that is not made of others.
fn send_one(value: &Datum, kind: TypeKind, session: &SessionContext, out: &mut Vec<u8>) {
    match table::find(kind).and_then(|codec| codec.send) {
        Some(send) => send(value, kind, session, out),
        None => binary::send(value, out),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::calendar;
    use crate::compare::compare;
    use crate::datum::arbitrary::{KINDS, datum_of};

    /// Values that their types hold.
    fn value() -> impl Strategy<Value = (TypeKind, Datum)> {
        prop::sample::select(KINDS).prop_flat_map(|kind| (Just(kind), datum_of(kind))).prop_filter(
            "beyond the type's range",
            |(_, value)| match value {
                Datum::Date(days) => calendar::checked_date(i64::from(*days)).is_ok(),
                Datum::Timestamp(micros) | Datum::Timestamptz(micros) => {
                    (-200_000_000_000_000_000..9_000_000_000_000_000_000).contains(micros)
                }
                _ => true,
            },
        )
    }

    proptest! {
        #[test]
        fn text_reads_back((kind, value) in value(), zone in prop::sample::select(vec!["UTC", "America/New_York", "Asia/Kolkata"])) {
            let mut session = SessionContext::default();
            session.set_time_zone(zone).unwrap();
            let text = output(&value, kind.into(), &session).unwrap();
            let read = input(&text, kind.into(), &session).unwrap();
            prop_assert!(compare(&read, &value).is_eq(), "{} gave {:?}, not {:?}", text, read, value);
        }

        #[test]
        fn the_binary_format_reads_back((kind, value) in value()) {
            let session = SessionContext::default();
            let mut bytes = Vec::new();
            send(&value, kind.into(), &session, &mut bytes).unwrap();
            let read = receive(&bytes, kind.into(), &session).unwrap();
            prop_assert!(compare(&read, &value).is_eq(), "{:?} gave {:?}", value, read);
        }

        #[test]
        fn binary_garbage_is_an_error_or_a_value_but_never_a_panic(
            kind in prop::sample::select(TypeKind::all().collect::<Vec<_>>()),
            bytes in prop::collection::vec(prop_oneof![0u8..5, any::<u8>()], 0..24),
        ) {
            let _ = receive(&bytes, kind.into(), &SessionContext::default());
        }

        #[test]
        fn garbage_is_an_error_or_a_value_but_never_a_panic(
            kind in prop::sample::select(TypeKind::all().collect::<Vec<_>>()),
            text in "[-0-9a-zA-Z:+./ TZ{}\\\\\",\u{e9}]{0,24}",
        ) {
            let _ = input(&text, kind.into(), &SessionContext::default());
        }

        #[test]
        fn almost_times_are_an_error_or_a_time_but_never_a_panic(
            kind in prop::sample::select(vec![TypeKind::Date, TypeKind::Timestamp, TypeKind::Timestamptz, TypeKind::Interval]),
            words in prop::collection::vec(prop::sample::select(vec![
                "2020-01-15", "1/2/3", "10:30", "10:30:45.5", "Jan", "15", "2020", "BC", "AM", "+05:30", "-08", "UTC",
                "99999999999", "1", "day", "mons", "P1Y", "T04", "J", "2451187", "infinity", "-", "1-2", ".5", "ago",
                "America/New_York", "20200115T103045", "epoch", "tomorrow", "Mon", "é",
            ]), 0..5),
        ) {
            let _ = input(&words.join(" "), kind.into(), &SessionContext::default());
        }
    }

    #[test]
    fn zones_are_found_by_all_kinds_of_names() {
        let mut session = SessionContext::default();
        for name in
            ["UTC", "utc", "Europe/Berlin", "europe/berlin", "-7", "+2", "EST5EDT", "GMT-02:00", "<+02>-02"]
        {
            assert!(session.set_time_zone(name).is_ok(), "{name}");
        }
        for name in ["", "Nowhere", "Europe/Nowhere"] {
            assert_eq!(session.set_time_zone(name).unwrap_err().sqlstate, "22023", "{name}");
        }
    }
}
