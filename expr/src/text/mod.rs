//! Values as text: PostgreSQL's input and output functions of every type.

mod array;
mod bytes;
mod interval;
mod number;
mod time;
mod time_input;
mod time_token;

use std::fmt::Write;

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::length;
use crate::numeric;
use crate::session::{ByteaOutput, SessionContext};
use crate::types::{Category, Type, TypeKind};

pub use bytes::{parse_bytea, parse_escape, parse_hex, parse_uuid, write_escape, write_hex};
pub use number::{parse_bool, parse_f32, parse_f64, parse_i16, parse_i32, parse_i64, write_f32, write_f64};
pub use time::{write_date, write_interval, write_timestamp, write_timestamptz};

/// Reads a value of the type, its modifier applied as an assignment would (22001 if too long).
/// Errors: 22P02, 22003, 22007, 22008 in PostgreSQL's words.
pub fn input(text: &str, ty: Type, session: &SessionContext) -> Result<Datum> {
    let value = match ty.kind {
        TypeKind::Text | TypeKind::Varchar | TypeKind::Bpchar | TypeKind::Name | TypeKind::Unknown => {
            Datum::from(text)
        }
        TypeKind::Int4 => Datum::Int4(parse_i32(text)?),
        TypeKind::Int8 => Datum::Int8(parse_i64(text)?),
        TypeKind::Int2 => Datum::Int2(parse_i16(text)?),
        TypeKind::Bool => Datum::Bool(parse_bool(text)?),
        TypeKind::Numeric => Datum::Numeric(numeric::parse(text)?),
        TypeKind::Float8 => Datum::Float8(parse_f64(text)?),
        TypeKind::Float4 => Datum::Float4(parse_f32(text)?),
        TypeKind::Bytea => Datum::Bytea(parse_bytea(text)?.into()),
        TypeKind::Date => Datum::Date(time_input::parse_date(text, session)?),
        TypeKind::Timestamp => Datum::Timestamp(time_input::parse_timestamp(text, session)?),
        TypeKind::Timestamptz => Datum::Timestamptz(time_input::parse_timestamptz(text, session)?),
        TypeKind::Interval => Datum::Interval(interval::parse(text)?),
        TypeKind::Uuid => Datum::Uuid(parse_uuid(text)?),
        TypeKind::Oid => Datum::Oid(number::parse_oid(text)?),
        TypeKind::QuotedChar => Datum::text(text.get(..text.ceil_char_boundary(1)).unwrap_or_default()),
        TypeKind::Void => Datum::text(""),
        kind if kind.is_reg() => Datum::Oid(parse_reg(text, kind, session)?),
        kind if kind.category() == Category::Array => return array::parse(text, ty, session),
        kind => {
            return Err(Error::unsupported(format!("cannot accept a value of type {}", kind.display_name())));
        }
    };
    length::coerce(value, ty, false)
}

fn parse_reg(text: &str, kind: TypeKind, session: &SessionContext) -> Result<u32> {
    if text == "-" {
        return Ok(0);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return number::parse_oid(text);
    }
    match TypeKind::from_name(text).filter(|_| kind == TypeKind::Regtype) {
        Some(of_type) => Ok(of_type.oid()),
        None => session.catalog.reg_oid(kind, text),
    }
}

/// The text of a value; the empty string of NULL (whose caller looks first).
pub fn output(value: &Datum, ty: Type, session: &SessionContext) -> String {
    let mut text = String::new();
    write(value, ty.kind, session, &mut text);
    text
}

/// Appends the text of a value, and nothing for NULL.
pub fn write(value: &Datum, kind: TypeKind, session: &SessionContext, out: &mut String) {
    match value {
        Datum::Null => {}
        Datum::Text(text) => out.push_str(text),
        Datum::Bool(v) => out.push(if *v { 't' } else { 'f' }),
        Datum::Int2(v) => write_integer(i64::from(*v), out),
        Datum::Int4(v) => write_integer(i64::from(*v), out),
        Datum::Int8(v) => write_integer(*v, out),
        Datum::Oid(v) => write_oid(*v, kind, session, out),
        Datum::Float4(v) => write_f32(*v, session.extra_float_digits, out),
        Datum::Float8(v) => write_f64(*v, session.extra_float_digits, out),
        Datum::Numeric(v) => numeric::write(v, out),
        Datum::Bytea(v) => match session.bytea_output {
            ByteaOutput::Hex => {
                out.push_str("\\x");
                write_hex(v, out);
            }
            ByteaOutput::Escape => write_escape(v, out),
        },
        Datum::Date(v) => write_date(*v, out),
        Datum::Timestamp(v) => write_timestamp(*v, out),
        Datum::Timestamptz(v) => write_timestamptz(*v, &session.time_zone, out),
        Datum::Interval(v) => write_interval(*v, session.interval_style, out),
        Datum::Uuid(v) => {
            // Writing to a string cannot fail.
            let _ = write!(out, "{}", uuid::Uuid::from_bytes(*v).hyphenated());
        }
        Datum::Array(items) => array::write(items, kind, session, out),
    }
}

fn write_integer(value: i64, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{value}");
}

fn write_oid(oid: u32, kind: TypeKind, session: &SessionContext, out: &mut String) {
    if !kind.is_reg() {
        return write_integer(i64::from(oid), out);
    }
    if oid == 0 {
        return out.push('-');
    }
    match session.catalog.reg_name(kind, oid) {
        Some(name) => out.push_str(&name),
        None => match TypeKind::from_oid(oid).filter(|_| kind == TypeKind::Regtype) {
            Some(of_type) => out.push_str(of_type.display_name()),
            None => write_integer(i64::from(oid), out),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::calendar;
    use crate::compare::compare;
    use crate::datum::arbitrary::datum_of;

    /// Values that their types hold.
    fn value() -> impl Strategy<Value = (TypeKind, Datum)> {
        prop::sample::select(vec![
            TypeKind::Bool,
            TypeKind::Int2,
            TypeKind::Int4,
            TypeKind::Int8,
            TypeKind::Oid,
            TypeKind::Float4,
            TypeKind::Float8,
            TypeKind::Numeric,
            TypeKind::Text,
            TypeKind::Bytea,
            TypeKind::Date,
            TypeKind::Timestamp,
            TypeKind::Timestamptz,
            TypeKind::Interval,
            TypeKind::Uuid,
        ])
        .prop_flat_map(|kind| (Just(kind), datum_of(kind)))
        .prop_filter("beyond the type's range", |(_, value)| match value {
            Datum::Date(days) => calendar::checked_date(i64::from(*days)).is_ok(),
            Datum::Timestamp(micros) | Datum::Timestamptz(micros) => {
                (-200_000_000_000_000_000..9_000_000_000_000_000_000).contains(micros)
            }
            _ => true,
        })
    }

    proptest! {
        #[test]
        fn text_reads_back((kind, value) in value(), zone in prop::sample::select(vec!["UTC", "America/New_York", "Asia/Kolkata"])) {
            let mut session = SessionContext::default();
            session.set_time_zone(zone).unwrap();
            let text = output(&value, kind.into(), &session);
            let read = input(&text, kind.into(), &session).unwrap();
            prop_assert!(compare(&read, &value).is_eq(), "{} gave {:?}, not {:?}", text, read, value);
        }

        #[test]
        fn garbage_is_an_error_or_a_value_but_never_a_panic(
            kind in prop::sample::select(TypeKind::ALL.to_vec()),
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
