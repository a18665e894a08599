//! What the session and the server say of themselves.

use super::arguments::{exactly, integer, text};
use super::decimal;
use crate::bits::Bits;
use crate::calendar;
use crate::casts;
use crate::codec;
use crate::datum::{Datum, Numeric};
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::numeric;
use crate::session::{SessionContext, now_micros};
use crate::types::{Type, TypeKind};

pub(super) fn version(_: &[Datum], session: &SessionContext) -> Result<Datum> {
    Ok(Datum::Text(session.version.clone()))
}

pub(super) fn current_database(_: &[Datum], session: &SessionContext) -> Result<Datum> {
    Ok(Datum::Text(session.database.clone()))
}

pub(super) fn current_schema(_: &[Datum], session: &SessionContext) -> Result<Datum> {
    Ok(session.schema.clone().map_or(Datum::Null, Datum::Text))
}

pub(super) fn current_user(_: &[Datum], session: &SessionContext) -> Result<Datum> {
    Ok(Datum::Text(session.current_user.clone()))
}

pub(super) fn session_user(_: &[Datum], session: &SessionContext) -> Result<Datum> {
    Ok(Datum::Text(session.session_user.clone()))
}

pub(super) fn backend_pid(_: &[Datum], session: &SessionContext) -> Result<Datum> {
    Ok(Datum::Int4(session.backend_pid))
}

pub(super) fn client_encoding(_: &[Datum], session: &SessionContext) -> Result<Datum> {
    Ok(Datum::from(session.client_encoding.name()))
}

pub(super) fn encoding(_: &[Datum], _: &SessionContext) -> Result<Datum> {
    Ok(Datum::from(Encoding::UTF8.name()))
}

pub(super) fn encoding_to_char(value: &Datum) -> Result<Datum> {
    Ok(Datum::from(Encoding::of_number(integer(value)? as i32).map_or("", Encoding::name)))
}

pub(super) fn char_to_encoding(value: &Datum) -> Result<Datum> {
    Ok(Datum::Int4(Encoding::find(text(value)?).map_or(-1, Encoding::number)))
}

pub(super) fn encoding_max_length(value: &Datum) -> Result<Datum> {
    Ok(Encoding::of_number(integer(value)? as i32).map(Encoding::bytes_max).into())
}

pub(super) fn type_of(_: &[Datum], types: &[Type], _: &SessionContext) -> Result<Datum> {
    Ok(Datum::Oid(types.first().map_or(0, |ty| ty.kind.oid())))
}

pub(super) fn no(_: &[Datum], _: &SessionContext) -> Result<Datum> {
    Ok(Datum::Bool(false))
}

/// For an interval, by the calendar from now on.
pub(super) fn sleep_for(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    let [interval] = exactly(args)?;
    let now = now_micros();
    let until = match interval {
        Datum::Interval(interval) => {
            calendar::interval::add_to_timestamptz(now, *interval, &session.time_zone)?
        }
        _ => now,
    };
    sleep(until.saturating_sub(now), session)
}

pub(super) fn sleep_until(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    let [moment] = exactly(args)?;
    let until = if let Datum::Timestamptz(until) = moment { *until } else { 0 };
    sleep(until.saturating_sub(now_micros()), session)
}

fn sleep(micros: i64, session: &SessionContext) -> Result<Datum> {
    session.catalog.call("pg_sleep", &[Datum::Float8(micros as f64 / 1e6)])
}

pub(super) fn random_uuid(_: &[Datum]) -> Result<Datum> {
    let mut bytes = env::random::id();
    if let Some(byte) = bytes.get_mut(6) {
        *byte = *byte & 0x0f | 0x40;
    }
    if let Some(byte) = bytes.get_mut(8) {
        *byte = *byte & 0x3f | 0x80;
    }
    Ok(Datum::Uuid(bytes))
}

pub(super) fn count_nulls(args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int4(args.iter().filter(|arg| arg.is_null()).count() as i32))
}

pub(super) fn count_non_nulls(args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int4(args.iter().filter(|arg| !arg.is_null()).count() as i32))
}

/// About what a value takes in a row, without compression.
pub(super) fn column_size(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    let [value] = exactly(args)?;
    let ty = types.first().copied().unwrap_or(Type::plain(TypeKind::Text));
    Ok(Datum::Int4(match (value, ty.kind.length()) {
        (_, length @ 1..) => i32::from(length),
        (bits, _) if matches!(ty.kind.base(), TypeKind::Bit | TypeKind::Varbit) => {
            Bits::of(bits)?.byte_count() as i32 + 8
        }
        (network, _) if matches!(ty.kind.base(), TypeKind::Inet | TypeKind::Cidr) => {
            i32::from(Network::of(network)?.width() / 8) + 6
        }
        (Datum::Bytea(bytes), _) => bytes.len() as i32 + 4,
        (value, _) => codec::output(value, ty, session)?.len() as i32 + 4,
    }))
}

/// `pg_size_pretty`: in the least unit in which it is below about 10240, whole but for bytes.
pub(super) fn size_pretty(value: &Datum) -> Result<Datum> {
    let number = |number: i64| Numeric::finite(number, 0);
    let is_below = |size: &Numeric, limit: i64| numeric::cmp(&numeric::abs(size), &number(limit)).is_lt();
    let shown = |size: &Numeric, unit: &str| {
        let mut text = String::new();
        numeric::write(size, &mut text);
        Datum::from(format!("{text} {unit}"))
    };
    let mut size = match value {
        Datum::Numeric(size) => size.clone(),
        value => number(integer(value)?),
    };
    if is_below(&size, 10 * 1024) {
        return Ok(shown(&size, "bytes"));
    }
    // Each unit keeps one more bit, by which it rounds half away from zero.
    size = numeric::divide_truncated(&size, &number(512))?;
    for unit in ["kB", "MB", "GB", "TB"] {
        if is_below(&size, 20 * 1024 - 1) {
            return Ok(shown(&halved(&size)?, unit));
        }
        size = numeric::divide_truncated(&size, &number(1024))?;
    }
    Ok(shown(&halved(&size)?, "PB"))
}

/// Half of a number, rounded away from zero.
fn halved(number: &Numeric) -> Result<Numeric> {
    let away = if number.signum() < 0 { -1 } else { 1 };
    let further = numeric::add(number, &Numeric::finite(away, 0))?;
    numeric::divide_truncated(&further, &Numeric::finite(2, 0))
}

/// `1.5 GB` in bytes.
pub(super) fn size_bytes(value: &Datum) -> Result<Datum> {
    let value = text(value)?;
    let invalid = || Error::new("22023", format!("invalid size: \"{value}\""));
    let trimmed = value.trim();
    let mut length = 0;
    for (at, c) in trimmed.char_indices() {
        let is_number = match c {
            '+' | '-' => at == 0 || trimmed.get(..at).is_some_and(|before| before.ends_with(['e', 'E'])),
            '0'..='9' | '.' => true,
            // An exponent, if a number follows.
            'e' | 'E' => trimmed
                .get(at + 1..)
                .unwrap_or_default()
                .trim_start_matches(['+', '-'])
                .starts_with(|c: char| c.is_ascii_digit()),
            _ => false,
        };
        if !is_number {
            break;
        }
        length = at + c.len_utf8();
    }
    let (number, unit) = trimmed.split_at(length);
    if !number.bytes().any(|byte| byte.is_ascii_digit()) {
        return Err(invalid());
    }
    let cast = |value, from: TypeKind, to: TypeKind| {
        casts::apply(value, from.into(), to.into(), true, &SessionContext::default())
    };
    let number = cast(Datum::text(number), TypeKind::Text, TypeKind::Numeric).map_err(|_| invalid())?;
    let unit = unit.trim();
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "bytes" => 0,
        "kb" => 10,
        "mb" => 20,
        "gb" => 30,
        "tb" => 40,
        "pb" => 50,
        _ => {
            return Err(invalid()
                .with_detail(format!("Invalid size unit: \"{unit}\"."))
                .with_hint("Valid units are \"bytes\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\"."));
        }
    };
    let factor = cast(Datum::Int8(1 << shift), TypeKind::Int8, TypeKind::Numeric)?;
    cast(decimal::multiply(&number, &factor)?, TypeKind::Numeric, TypeKind::Int8)
}

pub(super) fn to_regtype(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    named(args, TypeKind::Regtype, session)
}

pub(super) fn to_regproc(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    named(args, TypeKind::Regproc, session)
}

/// NULL if there is no function of this name and these types; what says neither is an error.
pub(super) fn to_regprocedure(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    let [signature] = exactly(args)?;
    match session.catalog.reg_oid(TypeKind::Regprocedure, text(signature)?) {
        Ok(oid) => Ok(Datum::Oid(oid)),
        Err(error) if matches!(error.sqlstate, "42883" | "3F000") => Ok(Datum::Null),
        Err(error) => Err(error),
    }
}

pub(super) fn to_regnamespace(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    named(args, TypeKind::Regnamespace, session)
}

pub(super) fn to_regrole(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    named(args, TypeKind::Regrole, session)
}

/// What is called so, or NULL: a number is no name.
fn named(args: &[Datum], kind: TypeKind, session: &SessionContext) -> Result<Datum> {
    let [name] = exactly(args)?;
    let name = text(name)?;
    let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    if is_number || name == "-" {
        return Ok(Datum::Null);
    }
    match codec::input(name, kind.into(), session) {
        Ok(found) => Ok(found),
        Err(error) if matches!(error.sqlstate, "42704" | "42883" | "42725" | "3F000" | "42P01") => {
            Ok(Datum::Null)
        }
        Err(error) => Err(error),
    }
}
