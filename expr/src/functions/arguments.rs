//! Arguments taken out of their datums. The type rules make a mismatch impossible; if one happens nevertheless it is
//! an error (XX000) and not a panic.

use crate::datum::array::Array;
use crate::datum::json::Json;
use crate::datum::{Datum, Interval, Numeric};
use crate::error::{Error, Result};

pub(super) fn mismatch() -> Error {
    Error::internal("argument is not of the type that its function was chosen for")
}

pub(super) fn text(value: &Datum) -> Result<&str> {
    value.as_str().ok_or_else(mismatch)
}

pub(super) fn integer(value: &Datum) -> Result<i64> {
    value.as_i64().ok_or_else(mismatch)
}

pub(super) fn int4(value: &Datum) -> Result<i32> {
    match value {
        Datum::Int4(v) => Ok(*v),
        _ => Err(mismatch()),
    }
}

pub(super) fn float(value: &Datum) -> Result<f64> {
    match value {
        Datum::Float8(v) => Ok(*v),
        Datum::Float4(v) => Ok(f64::from(*v)),
        _ => Err(mismatch()),
    }
}

pub(super) fn numeric(value: &Datum) -> Result<&Numeric> {
    match value {
        Datum::Numeric(v) => Ok(v),
        _ => Err(mismatch()),
    }
}

pub(super) fn bytes(value: &Datum) -> Result<&[u8]> {
    match value {
        Datum::Bytea(v) => Ok(v),
        _ => Err(mismatch()),
    }
}

pub(super) fn date(value: &Datum) -> Result<i32> {
    match value {
        Datum::Date(v) => Ok(*v),
        _ => Err(mismatch()),
    }
}

/// The microseconds of a timestamp or timestamptz.
pub(super) fn micros(value: &Datum) -> Result<i64> {
    match value {
        Datum::Timestamp(v) | Datum::Timestamptz(v) => Ok(*v),
        _ => Err(mismatch()),
    }
}

pub(super) fn interval(value: &Datum) -> Result<Interval> {
    match value {
        Datum::Interval(v) => Ok(*v),
        _ => Err(mismatch()),
    }
}

pub(super) fn array(value: &Datum) -> Result<&Array> {
    match value {
        Datum::Array(v) => Ok(v),
        _ => Err(mismatch()),
    }
}

pub(super) fn json(value: &Datum) -> Result<&Json> {
    match value {
        Datum::Json(v) => Ok(v),
        _ => Err(mismatch()),
    }
}

pub(super) fn boolean(value: &Datum) -> Result<bool> {
    match value {
        Datum::Bool(v) => Ok(*v),
        _ => Err(mismatch()),
    }
}

/// The arguments as an array of so many.
pub(super) fn exactly<const N: usize>(args: &[Datum]) -> Result<&[Datum; N]> {
    args.try_into().map_err(|_| mismatch())
}
