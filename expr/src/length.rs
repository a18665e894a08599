//! Length coercion: what varchar(n), char(n), bit(n), numeric(p, s), timestamp(p) do to a value of their type.

use crate::bits::Bits;
use crate::calendar::{self, zoned_time::ZonedTime};
use crate::datum::{Datum, Interval};
use crate::error::{Error, Result};
use crate::numeric;
use crate::types::{IntervalFields, Modifiers, Order, Type, TypeKind};
use crate::vector;
use crate::work;

/// The most bytes of a name.
const NAME_BYTES_MAX: usize = 63;

/// Checks or fits a value of the type's kind to its modifier. Explicit casts cut text off where others refuse it
/// (22001), except that blanks beyond the length always go.
pub fn coerce(value: Datum, ty: Type, explicit: bool) -> Result<Datum> {
    if ty.modifier < 0 && ty.kind != TypeKind::Name {
        return Ok(value);
    }
    let modifiers = ty.kind.row().modifiers;
    match (modifiers, value) {
        (_, Datum::Array(array)) => match ty.element() {
            Some(element) => {
                let mut bytes = 0;
                let mut fit =
                    |item: &Datum| work::grown(&mut bytes, coerce(item.clone(), element, explicit)?);
                array.map(&mut fit).map(Datum::Array)
            }
            None => Ok(Datum::Array(array)),
        },
        (Modifiers::Length(_), Datum::Text(text)) => {
            let padded = ty.kind.order() == Order::BlankPadded;
            match ty.length() {
                Some(length) if exceeds(&text, length) => {
                    cut(&text, length, explicit, ty.kind.display_name())
                }
                Some(length) if padded => Ok(pad(text, length)),
                _ => Ok(Datum::Text(text)),
            }
        }
        (Modifiers::Bits(_), Datum::Bytea(held)) => fit_bits(Datum::Bytea(held), ty, explicit),
        (Modifiers::Dimensions, value @ Datum::Keyed(_)) => vector::fit(value, ty.modifier),
        (Modifiers::Decimal, Datum::Numeric(number)) => match ty.precision_and_scale() {
            Some((precision, scale)) => numeric::fit(number, precision, scale).map(Datum::Numeric),
            None => Ok(Datum::Numeric(number)),
        },
        (Modifiers::Precision(..), Datum::Int8(micros)) => {
            Ok(Datum::Int8(calendar::round_micros(micros, ty.modifier)))
        }
        (Modifiers::Precision(..), Datum::Bytea(held)) => {
            Ok(ZonedTime::of(&Datum::Bytea(held))?.rounded(ty.modifier).to_datum())
        }
        (Modifiers::Precision(..), Datum::Timestamp(micros)) => {
            Ok(Datum::Timestamp(calendar::round_micros(micros, ty.modifier)))
        }
        (Modifiers::Precision(..), Datum::Timestamptz(micros)) => {
            Ok(Datum::Timestamptz(calendar::round_micros(micros, ty.modifier)))
        }
        (Modifiers::Interval, Datum::Interval(interval)) => {
            let Interval { months, days, micros } = restricted(interval, ty.interval_fields());
            let micros = match ty.precision() {
                Some(precision) => calendar::round_micros(micros, precision),
                None => micros,
            };
            Ok(Datum::Interval(Interval { months, days, micros }))
        }
        (_, Datum::Text(text)) if ty.kind == TypeKind::Name && text.len() > NAME_BYTES_MAX => {
            Ok(Datum::text(text.get(..text.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or_default()))
        }
        (_, value) => Ok(value),
    }
}

/// What is left of an interval whose last field is one of these: what is less than that is cut off.
fn restricted(interval: Interval, fields: Option<IntervalFields>) -> Interval {
    use IntervalFields as Fields;
    let Interval { months, days, micros } = interval;
    let whole = |unit: i64| Interval { micros: micros / unit * unit, ..interval };
    match fields {
        Some(Fields::Year) => Interval { months: months / 12 * 12, days: 0, micros: 0 },
        Some(Fields::Month | Fields::YearToMonth) => Interval { months, days: 0, micros: 0 },
        Some(Fields::Day) => Interval { months, days, micros: 0 },
        Some(Fields::Hour | Fields::DayToHour) => whole(calendar::MICROS_PER_HOUR),
        Some(Fields::Minute | Fields::DayToMinute | Fields::HourToMinute) => {
            whole(calendar::MICROS_PER_MINUTE)
        }
        Some(Fields::Second | Fields::DayToSecond | Fields::HourToSecond | Fields::MinuteToSecond) | None => {
            interval
        }
    }
}

/// Explicit casts cut bits off, and fill bit(n) up with 0; others refuse it (22026, or 22001 of bit varying).
fn fit_bits(value: Datum, ty: Type, explicit: bool) -> Result<Datum> {
    let Some(length) = ty.length() else { return Ok(value) };
    let bits = Bits::of(&value)?;
    let varying = ty.kind.base() == TypeKind::Varbit;
    if bits.len() == length || varying && bits.len() < length {
        return Ok(value);
    }
    if explicit {
        return bits.window(0, length).into_datum();
    }
    Err(match varying {
        true => Error::new("22001", format!("bit string too long for type bit varying({length})")),
        false => {
            let message = format!("bit string length {} does not match type bit({length})", bits.len());
            Error::new("22026", message)
        }
    })
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
