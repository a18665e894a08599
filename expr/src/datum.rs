//! A value of a PostgreSQL type, or NULL.

use std::sync::Arc;

use bigdecimal::BigDecimal;
use bytes::Bytes;

/// A value. Its [`crate::Type`] is known from its place (column, expression, parameter) and not stored.
#[derive(Debug, Clone, Default)]
pub enum Datum {
    /// NULL of any type.
    #[default]
    Null,
    /// bool
    Bool(bool),
    /// int2
    Int2(i16),
    /// int4
    Int4(i32),
    /// int8
    Int8(i64),
    /// oid
    Oid(u32),
    /// float4
    Float4(f32),
    /// float8
    Float8(f64),
    /// numeric
    Numeric(Numeric),
    /// text, varchar, bpchar (padded with blanks), name, "char", and unknown literals
    Text(Arc<str>),
    /// bytea
    Bytea(Bytes),
    /// date: days since 2000-01-01; `i32::MIN` and `i32::MAX` are -infinity and infinity
    Date(i32),
    /// timestamp: microseconds since 2000-01-01 00:00:00; `i64::MIN` and `i64::MAX` are the infinities
    Timestamp(i64),
    /// timestamptz: microseconds since 2000-01-01 00:00:00 UTC; the infinities as for timestamp
    Timestamptz(i64),
    /// interval
    Interval(Interval),
    /// uuid
    Uuid([u8; 16]),
}

/// numeric: a decimal with its display scale, or one of the values that are no number.
#[derive(Debug, Clone)]
pub enum Numeric {
    /// A finite number; the scale of the `BigDecimal` is PostgreSQL's display scale (never negative).
    Finite(Box<BigDecimal>),
    /// NaN: equal to itself, greater than every number.
    NaN,
    /// Infinity
    Infinity,
    /// -Infinity
    NegativeInfinity,
}

/// interval: three counts that are kept apart, as in PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

/// One row of values.
pub type Row = Vec<Datum>;
