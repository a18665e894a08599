//! The functions of casts.

use crate::bits::Bits;
use crate::calendar::zoned_time::ZonedTime;
use crate::calendar::{self, zone};
use crate::citext;
use crate::datum::json::Json;
use crate::datum::{Datum, Interval, Numeric};
use crate::error::{Error, Result};
use crate::extent::Spans;
use crate::lsn;
use crate::mac;
use crate::money;
use crate::network::Network;
use crate::numeric;
use crate::session::SessionContext;
use crate::types::Type;
use crate::vector;

fn mismatch() -> Error {
    Error::internal("cast of a value of another type")
}

pub(super) fn citext_to_text(value: &Datum, _: &SessionContext) -> Result<Datum> {
    value.as_str().map(Datum::text).ok_or_else(mismatch)
}

pub(super) fn text_to_citext(value: &Datum, _: &SessionContext) -> Result<Datum> {
    value.as_str().map(citext::of_text).ok_or_else(mismatch)
}

pub(super) fn padded_to_citext(value: &Datum, session: &SessionContext) -> Result<Datum> {
    text_to_citext(&without_blanks(value, session)?, session)
}

pub(super) fn bool_to_citext(value: &Datum, session: &SessionContext) -> Result<Datum> {
    text_to_citext(&truth_word(value, session)?, session)
}

pub(super) fn network_to_citext(value: &Datum, session: &SessionContext) -> Result<Datum> {
    text_to_citext(&network_to_text(value, session)?, session)
}

pub(super) fn array_to_vector(value: &Datum, _: &SessionContext) -> Result<Datum> {
    vector::of_array(value)
}

pub(super) fn vector_to_array(value: &Datum, _: &SessionContext) -> Result<Datum> {
    vector::to_array(value)
}

pub(super) fn to_int2(value: &Datum, _: &SessionContext) -> Result<Datum> {
    Ok(Datum::Int2(narrow(integer(value, "smallint")?, "smallint")?))
}

pub(super) fn to_int4(value: &Datum, _: &SessionContext) -> Result<Datum> {
    Ok(Datum::Int4(narrow(integer(value, "integer")?, "integer")?))
}

pub(super) fn to_int8(value: &Datum, _: &SessionContext) -> Result<Datum> {
    integer(value, "bigint").map(Datum::Int8)
}

pub(super) fn to_float4(value: &Datum, _: &SessionContext) -> Result<Datum> {
    single(value).map(Datum::Float4)
}

pub(super) fn to_float8(value: &Datum, _: &SessionContext) -> Result<Datum> {
    float(value).map(Datum::Float8)
}

pub(super) fn to_numeric(value: &Datum, _: &SessionContext) -> Result<Datum> {
    number(value).map(Datum::Numeric)
}

pub(super) fn to_bool(value: &Datum, _: &SessionContext) -> Result<Datum> {
    Ok(Datum::Bool(value.as_i64().ok_or_else(mismatch)? != 0))
}

/// int4 and int2 are taken bit by bit.
pub(super) fn to_oid(value: &Datum, _: &SessionContext) -> Result<Datum> {
    Ok(Datum::Oid(match value {
        Datum::Oid(oid) => *oid,
        Datum::Int4(v) => *v as u32,
        Datum::Int2(v) => i32::from(*v) as u32,
        Datum::Int8(v) => u32::try_from(*v).map_err(|_| Error::new("22003", "OID out of range"))?,
        _ => return Err(mismatch()),
    }))
}

/// An OID's bits as an int4.
pub(super) fn oid_bits(value: &Datum, _: &SessionContext) -> Result<Datum> {
    match value {
        Datum::Oid(oid) => Ok(Datum::Int4(*oid as i32)),
        _ => Err(mismatch()),
    }
}

pub(super) fn truth_word(value: &Datum, _: &SessionContext) -> Result<Datum> {
    match value {
        Datum::Bool(v) => Ok(Datum::text(if *v { "true" } else { "false" })),
        _ => Err(mismatch()),
    }
}

/// char(n) as text: blanks at its end mean nothing.
pub(super) fn without_blanks(value: &Datum, _: &SessionContext) -> Result<Datum> {
    Ok(Datum::text(value.as_str().ok_or_else(mismatch)?.trim_end_matches(' ')))
}

/// "char" as the number of its byte.
pub(super) fn character_code(value: &Datum, _: &SessionContext) -> Result<Datum> {
    let text = value.as_str().ok_or_else(mismatch)?;
    Ok(Datum::Int4(i32::from(crate::text::character_byte(text) as i8)))
}

pub(super) fn character(value: &Datum, _: &SessionContext) -> Result<Datum> {
    let code = value.as_i64().and_then(|code| i8::try_from(code).ok());
    let code = code.ok_or_else(|| Error::out_of_range("\"char\""))?;
    Ok(Datum::from(crate::text::character_of(code as u8)))
}

pub(super) fn to_date(value: &Datum, session: &SessionContext) -> Result<Datum> {
    Ok(Datum::Date(calendar::timestamp_to_date(match value {
        Datum::Timestamp(micros) => *micros,
        Datum::Timestamptz(micros) => zone::to_local(*micros, &session.time_zone),
        _ => return Err(mismatch()),
    })))
}

/// The time of day.
pub(super) fn to_time(value: &Datum, session: &SessionContext) -> Result<Datum> {
    let micros = match value {
        Datum::Interval(interval) => interval.micros,
        Datum::Timestamp(micros) => *micros,
        Datum::Timestamptz(micros) => zone::to_local(*micros, &session.time_zone),
        zoned => return Ok(Datum::Int8(ZonedTime::of(zoned)?.local)),
    };
    let is_infinite = !matches!(value, Datum::Interval(_)) && !calendar::timestamp_is_finite(micros);
    Ok(if is_infinite { Datum::Null } else { Datum::Int8(micros.rem_euclid(calendar::MICROS_PER_DAY)) })
}

/// The time of day in the session's zone.
pub(super) fn to_timetz(value: &Datum, session: &SessionContext) -> Result<Datum> {
    let time = match value {
        Datum::Timestamptz(micros) if !calendar::timestamp_is_finite(*micros) => return Ok(Datum::Null),
        Datum::Timestamptz(micros) => ZonedTime::at(*micros, &session.time_zone),
        time => {
            let local = time.as_i64().ok_or_else(mismatch)?;
            ZonedTime::today(local, session.transaction_timestamp, &session.time_zone)
        }
    };
    Ok(time.to_datum())
}

pub(super) fn time_to_interval(value: &Datum, _: &SessionContext) -> Result<Datum> {
    let micros = value.as_i64().ok_or_else(mismatch)?;
    Ok(Datum::Interval(Interval { months: 0, days: 0, micros }))
}

pub(super) fn to_timestamp(value: &Datum, session: &SessionContext) -> Result<Datum> {
    Ok(Datum::Timestamp(match value {
        Datum::Date(days) => calendar::date_to_timestamp(*days)?,
        Datum::Timestamptz(micros) => zone::to_local(*micros, &session.time_zone),
        _ => return Err(mismatch()),
    }))
}

pub(super) fn to_timestamptz(value: &Datum, session: &SessionContext) -> Result<Datum> {
    Ok(Datum::Timestamptz(match value {
        Datum::Date(days) => {
            let midnight = calendar::date_to_timestamp(*days)?;
            let beyond = |_| Error::new("22008", "date out of range for timestamp");
            zone::to_instant(midnight, &session.time_zone).map_err(beyond)?
        }
        Datum::Timestamp(micros) => zone::to_instant(*micros, &session.time_zone)?,
        _ => return Err(mismatch()),
    }))
}

/// The text with the bits of the mask, also where the type's output leaves them out.
pub(super) fn network_to_text(value: &Datum, _: &SessionContext) -> Result<Datum> {
    let mut out = String::new();
    Network::of(value)?.write_cidr(&mut out);
    Ok(Datum::from(out))
}

/// The lower half.
pub(super) fn to_xid(value: &Datum, _: &SessionContext) -> Result<Datum> {
    Ok(Datum::Oid(lsn::of(value)? as u32))
}

/// The multirange of a range alone.
pub(super) fn to_multirange(value: &Datum, _: &SessionContext) -> Result<Datum> {
    Spans::of_range(value).map(|spans| spans.to_datum())
}

/// The network of an address.
pub(super) fn to_cidr(value: &Datum, _: &SessionContext) -> Result<Datum> {
    Ok(Network::of(value)?.network().to_datum())
}

pub(super) fn to_macaddr(value: &Datum, _: &SessionContext) -> Result<Datum> {
    mac::narrowed(mac::octets(value)?).map(mac::datum)
}

pub(super) fn to_macaddr8(value: &Datum, _: &SessionContext) -> Result<Datum> {
    Ok(mac::datum(mac::widened(mac::octets(value)?)))
}

pub(super) fn money_to_numeric(value: &Datum, _: &SessionContext) -> Result<Datum> {
    Ok(Datum::Numeric(Numeric::finite(value.as_i64().ok_or_else(mismatch)?, money::DIGITS)))
}

/// A number of whole units, and a fraction that is rounded.
pub(super) fn numeric_to_money(value: &Datum, _: &SessionContext) -> Result<Datum> {
    let Datum::Numeric(number) = value else { return Err(mismatch()) };
    let scaled = numeric::multiply(number, &Numeric::from(money::UNIT))?;
    numeric::to_i64_rounded(&scaled, "bigint").map(Datum::Int8)
}

pub(super) fn integer_to_money(value: &Datum, _: &SessionContext) -> Result<Datum> {
    let amount = value.as_i64().ok_or_else(mismatch)?.checked_mul(money::UNIT);
    amount.map(Datum::Int8).ok_or_else(|| Error::out_of_range("bigint"))
}

/// The last bits of an integer, as many as the type has.
pub(super) fn bits_of_integer(value: &Datum, to: Type) -> Result<Datum> {
    Bits::of_integer(value.as_i64().ok_or_else(mismatch)?, to.length().unwrap_or(1)).into_datum()
}

pub(super) fn bits_to_int8(value: &Datum, _: &SessionContext) -> Result<Datum> {
    let bits = Bits::of(value)?.to_integer().ok_or_else(|| Error::out_of_range("bigint"))?;
    Ok(Datum::Int8(bits as i64))
}

pub(super) fn bits_to_int4(value: &Datum, _: &SessionContext) -> Result<Datum> {
    let bits = Bits::of(value)?;
    let integer = bits.to_integer().filter(|_| bits.len() <= 32);
    Ok(Datum::Int4(integer.ok_or_else(|| Error::out_of_range("integer"))? as u32 as i32))
}

/// The number that a document is, or its refusal.
fn json_number(value: &Datum, type_name: &str) -> Result<Datum> {
    match json(value)? {
        Json::Number(number) => Ok(Datum::Numeric(number.clone())),
        other => Err(uncastable(other, type_name)),
    }
}

fn json(value: &Datum) -> Result<&Json> {
    match value {
        Datum::Json(json) => Ok(json),
        _ => Err(mismatch()),
    }
}

fn uncastable(json: &Json, type_name: &str) -> Error {
    let shown = match json.type_name() {
        "number" => "numeric",
        name => name,
    };
    Error::new("22023", format!("cannot cast jsonb {shown} to type {type_name}"))
}

pub(super) fn json_to_bool(value: &Datum, _: &SessionContext) -> Result<Datum> {
    match json(value)? {
        Json::Bool(value) => Ok(Datum::Bool(*value)),
        other => Err(uncastable(other, "boolean")),
    }
}

pub(super) fn json_to_numeric(value: &Datum, _: &SessionContext) -> Result<Datum> {
    json_number(value, "numeric")
}

pub(super) fn json_to_int2(value: &Datum, session: &SessionContext) -> Result<Datum> {
    to_int2(&json_number(value, "smallint")?, session)
}

pub(super) fn json_to_int4(value: &Datum, session: &SessionContext) -> Result<Datum> {
    to_int4(&json_number(value, "integer")?, session)
}

pub(super) fn json_to_int8(value: &Datum, session: &SessionContext) -> Result<Datum> {
    to_int8(&json_number(value, "bigint")?, session)
}

pub(super) fn json_to_float4(value: &Datum, session: &SessionContext) -> Result<Datum> {
    to_float4(&json_number(value, "real")?, session)
}

pub(super) fn json_to_float8(value: &Datum, session: &SessionContext) -> Result<Datum> {
    to_float8(&json_number(value, "double precision")?, session)
}

fn narrow<T: TryFrom<i64>>(value: i64, type_name: &str) -> Result<T> {
    T::try_from(value).map_err(|_| Error::out_of_range(type_name))
}

/// A number as an integer: floats to the nearest, ties to even; numeric half away from zero.
fn integer(value: &Datum, type_name: &str) -> Result<i64> {
    let from_float = |v: f64| {
        let rounded = v.round_ties_even();
        match rounded >= i64::MIN as f64 && rounded < i64::MAX as f64 {
            true => Ok(rounded as i64),
            false => Err(Error::out_of_range(type_name)),
        }
    };
    match value {
        Datum::Float4(v) => from_float(f64::from(*v)),
        Datum::Float8(v) => from_float(*v),
        Datum::Numeric(v) => numeric::to_i64_rounded(v, type_name),
        Datum::Bool(v) => Ok(i64::from(*v)),
        other => other.as_i64().ok_or_else(|| Error::internal("cast of what is no number")),
    }
}

fn float(value: &Datum) -> Result<f64> {
    match value {
        Datum::Float4(v) => Ok(f64::from(*v)),
        Datum::Float8(v) => Ok(*v),
        Datum::Numeric(v) => checked_float(numeric::to_f64(v), v, "double precision"),
        other => other.as_i64().map(|v| v as f64).ok_or_else(|| Error::internal("cast of what is no number")),
    }
}

fn checked_float(converted: f64, from: &Numeric, type_name: &str) -> Result<f64> {
    let overflow = converted.is_infinite() && from.is_finite();
    let underflow = converted == 0.0 && from.signum() != 0;
    if overflow || underflow {
        let mut text = String::new();
        numeric::write(from, &mut text);
        return Err(Error::new("22003", format!("\"{text}\" is out of range for type {type_name}")));
    }
    Ok(converted)
}

fn single(value: &Datum) -> Result<f32> {
    match value {
        Datum::Float4(v) => Ok(*v),
        Datum::Float8(v) => {
            let converted = *v as f32;
            if converted.is_infinite() && !v.is_infinite() {
                return Err(Error::new("22003", "value out of range: overflow"));
            }
            if converted == 0.0 && *v != 0.0 {
                return Err(Error::new("22003", "value out of range: underflow"));
            }
            Ok(converted)
        }
        Datum::Numeric(v) => {
            let wide = checked_float(numeric::to_f64(v), v, "real")?;
            checked_float(f64::from(wide as f32), v, "real").map(|v| v as f32)
        }
        other => other.as_i64().map(|v| v as f32).ok_or_else(|| Error::internal("cast of what is no number")),
    }
}

fn number(value: &Datum) -> Result<Numeric> {
    match value {
        Datum::Float4(v) => numeric::from_f32(*v),
        Datum::Float8(v) => numeric::from_f64(*v),
        Datum::Numeric(v) => Ok(v.clone()),
        other => {
            other.as_i64().map(Numeric::from).ok_or_else(|| Error::internal("cast of what is no number"))
        }
    }
}
