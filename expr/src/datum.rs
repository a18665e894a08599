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
    /// oid, regclass, regtype and their like
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
    /// An array of one dimension; what its elements are is known from its type.
    Array(Arc<[Datum]>),
}

impl Datum {
    /// A text value.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Datum::Text(text.into())
    }

    /// Whether this is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    /// A condition's truth: false for false and for NULL.
    pub fn is_true(&self) -> bool {
        matches!(self, Datum::Bool(true))
    }

    /// The text of a string type.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Datum::Text(text) => Some(text),
            _ => None,
        }
    }

    /// int2, int4, int8 and oid as i64.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Datum::Int2(v) => Some(i64::from(*v)),
            Datum::Int4(v) => Some(i64::from(*v)),
            Datum::Int8(v) => Some(*v),
            Datum::Oid(v) => Some(i64::from(*v)),
            _ => None,
        }
    }

    /// About how many bytes of memory it holds, for accounting.
    pub fn size_bytes(&self) -> usize {
        let heap = match self {
            Datum::Text(text) => text.len() + 16,
            Datum::Bytea(bytes) => bytes.len() + 32,
            Datum::Numeric(Numeric::Finite(decimal)) => {
                (decimal.as_bigint_and_scale().0.bits() / 8) as usize + 48
            }
            Datum::Array(items) => items.iter().map(Datum::size_bytes).sum::<usize>() + 16,
            _ => 0,
        };
        size_of::<Datum>() + heap
    }
}

impl From<bool> for Datum {
    fn from(value: bool) -> Self {
        Datum::Bool(value)
    }
}

impl From<i16> for Datum {
    fn from(value: i16) -> Self {
        Datum::Int2(value)
    }
}

impl From<i32> for Datum {
    fn from(value: i32) -> Self {
        Datum::Int4(value)
    }
}

impl From<i64> for Datum {
    fn from(value: i64) -> Self {
        Datum::Int8(value)
    }
}

impl From<f64> for Datum {
    fn from(value: f64) -> Self {
        Datum::Float8(value)
    }
}

impl From<&str> for Datum {
    fn from(value: &str) -> Self {
        Datum::Text(value.into())
    }
}

impl From<String> for Datum {
    fn from(value: String) -> Self {
        Datum::Text(value.into())
    }
}

impl<T: Into<Datum>> From<Option<T>> for Datum {
    fn from(value: Option<T>) -> Self {
        value.map_or(Datum::Null, Into::into)
    }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
