//! Length coercion: what varchar(n), char(n), numeric(p, s), timestamp(p) do to a value of their type.

use crate::calendar;
use crate::datum::{Datum, Interval};
use crate::error::{Error, Result};
use crate::numeric;
use crate::types::{Type, TypeKind};

/// The most bytes of a name.
const NAME_BYTES_MAX: usize = 63;

/// Checks or fits a value of the type's kind to its modifier. Explicit casts cut text off where others refuse it
/// (22001), except that blanks beyond the length always go.
pub fn coerce(value: Datum, ty: Type, explicit: bool) -> Result<Datum> {
    if ty.modifier < 0 && ty.kind != TypeKind::Name {
        return Ok(value);
    }
    match (ty.kind, value) {
        (TypeKind::Varchar, Datum::Text(text)) => match ty.length() {
            Some(length) if exceeds(&text, length) => cut(&text, length, explicit, "character varying"),
            _ => Ok(Datum::Text(text)),
        },
        (TypeKind::Bpchar, Datum::Text(text)) => match ty.length() {
            Some(length) if exceeds(&text, length) => cut(&text, length, explicit, "character"),
            Some(length) => Ok(pad(text, length)),
            None => Ok(Datum::Text(text)),
        },
        (TypeKind::Name, Datum::Text(text)) if text.len() > NAME_BYTES_MAX => {
            Ok(Datum::text(text.get(..text.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or_default()))
        }
        (TypeKind::Numeric, Datum::Numeric(number)) => match ty.precision_and_scale() {
            Some((precision, scale)) => numeric::fit(number, precision, scale).map(Datum::Numeric),
            None => Ok(Datum::Numeric(number)),
        },
        (TypeKind::Timestamp, Datum::Timestamp(micros)) => {
            Ok(Datum::Timestamp(calendar::round_micros(micros, ty.modifier)))
        }
        (TypeKind::Timestamptz, Datum::Timestamptz(micros)) => {
            Ok(Datum::Timestamptz(calendar::round_micros(micros, ty.modifier)))
        }
        (TypeKind::Interval, Datum::Interval(interval)) => {
            let micros = match ty.modifier & 0xffff {
                precision @ 0..=6 => calendar::round_micros(interval.micros, precision),
                _ => interval.micros,
            };
            Ok(Datum::Interval(Interval { micros, ..interval }))
        }
        (_, value) => Ok(value),
    }
}

fn exceeds(text: &str, length: usize) -> bool {
    text.len() > length && text.chars().nth(length).is_some()
}

fn cut(text: &str, length: usize, explicit: bool, name: &str) -> Result<Datum> {
    let end = text.char_indices().nth(length).map_or(text.len(), |(at, _)| at);
    let (head, tail) = text.split_at(end);
    match explicit || tail.bytes().all(|byte| byte == b' ') {
        true => Ok(Datum::text(head)),
        false => Err(Error::new("22001", format!("value too long for type {name}({length})"))),
    }
}

fn pad(text: std::sync::Arc<str>, length: usize) -> Datum {
    match length.saturating_sub(text.chars().count()) {
        0 => Datum::Text(text),
        missing => {
            let mut padded = String::with_capacity(text.len() + missing);
            padded.push_str(&text);
            padded.extend(std::iter::repeat_n(' ', missing));
            Datum::from(padded)
        }
    }
}
