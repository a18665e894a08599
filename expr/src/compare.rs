//! Order and equality of values, as PostgreSQL's btree operator classes and grouping have them. Text compares by its
//! bytes, as in the C locale.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use bigdecimal::ToPrimitive;

use crate::calendar;
use crate::datum::array::Array;
use crate::datum::record::Record;
use crate::datum::{Datum, Numeric};
use crate::numeric;
use crate::types::{Order, TypeKind};

/// What a comparison operator means, whatever its types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// What holds of the operands in the other order.
    #[must_use]
    pub fn commuted(self) -> Self {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            same => same,
        }
    }

    /// Whether it holds of two values that are in this order.
    #[inline]
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// The order of two values of comparable types (numbers with numbers, dates with timestamps of the same kind).
/// NULL counts as greater than everything and equal to itself, which is NULLS LAST. char(n) values of unequal length
/// compare with their blanks; their operators cut those off first.
pub fn compare(left: &Datum, right: &Datum) -> Ordering {
    use Datum::*;
    match (left, right) {
        (Int4(l), Int4(r)) => l.cmp(r),
        (Int8(l), Int8(r)) => l.cmp(r),
        (Text(l), Text(r)) => l.as_bytes().cmp(r.as_bytes()),
        (Null, Null) => Ordering::Equal,
        (Null, _) => Ordering::Greater,
        (_, Null) => Ordering::Less,
        (Bool(l), Bool(r)) => l.cmp(r),
        (Int2(_) | Int4(_) | Int8(_) | Oid(_), Int2(_) | Int4(_) | Int8(_) | Oid(_)) => {
            left.as_i64().cmp(&right.as_i64())
        }
        (Numeric(l), Numeric(r)) => numeric::cmp(l, r),
        (Float4(_) | Float8(_), Float4(_) | Float8(_)) => compare_floats(float(left), float(right)),
        (Bytea(l), Bytea(r)) => l.cmp(r),
        (Date(l), Date(r)) => l.cmp(r),
        (Timestamp(l), Timestamp(r)) | (Timestamptz(l), Timestamptz(r)) => l.cmp(r),
        (Date(l), Timestamp(r)) => compare_date(*l, *r),
        (Timestamp(l), Date(r)) => compare_date(*r, *l).reverse(),
        (Interval(l), Interval(r)) => l.span_micros().cmp(&r.span_micros()),
        (Uuid(l), Uuid(r)) => l.cmp(r),
        (Array(l), Array(r)) => compare_all(l, r),
        (Json(l), Json(r)) => l.compare(r),
        (Record(l), Record(r)) => compare_records(l, r),
        (Keyed(l), Keyed(r)) => l.key().cmp(r.key()),
        _ => compare_mixed(left, right),
    }
}

/// The order of two values of one type: that of its default operator class.
#[inline]
pub fn compare_of(kind: TypeKind, left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        (Datum::Text(_), Datum::Text(_)) if kind.order() == Order::BlankPadded => compare_padded(left, right),
        _ => compare(left, right),
    }
}

/// The order of two char(n) values: blanks at the end do not count.
pub fn compare_padded(left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        (Datum::Text(l), Datum::Text(r)) => l.trim_end_matches(' ').cmp(r.trim_end_matches(' ')),
        _ => compare(left, right),
    }
}

/// By the fields, and then by their number. What a value of a composite type lacks at its end is NULL.
fn compare_records(left: &Record, right: &Record) -> Ordering {
    let (one, other) = (left.fields(), right.fields());
    let pairs = one.iter().zip(other);
    let unlike = pairs.map(|(left, right)| compare(left, right)).find(|order| order.is_ne());
    unlike.unwrap_or_else(|| match left.shape().is_some() && right.shape().is_some() {
        true => one.len().cmp(&other.len()),
        // Whichever has a value there is less.
        false if left.given().len() > other.len() => Ordering::Less,
        false if right.given().len() > one.len() => Ordering::Greater,
        false => Ordering::Equal,
    })
}

/// By the elements, and then by their number, that of the dimensions, their lengths, their bounds.
fn compare_all(left: &Array, right: &Array) -> Ordering {
    let shape = |array: &Array| {
        let lengths = array.dimensions().map(|dimension| dimension.length).collect::<Vec<_>>();
        (lengths.len(), lengths, array.dimensions().map(|dimension| dimension.lower).collect::<Vec<_>>())
    };
    left.iter()
        .zip(right.iter())
        .map(|(left, right)| compare(left, right))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| left.len().cmp(&right.len()))
        .then_with(|| match left.is_plain() && right.is_plain() {
            true => Ordering::Equal,
            false => shape(left).cmp(&shape(right)),
        })
}

/// A number as a double, if it is one of the kinds that convert to one without an operator.
fn float(value: &Datum) -> f64 {
    match value {
        Datum::Float4(v) => f64::from(*v),
        Datum::Float8(v) => *v,
        Datum::Numeric(v) => numeric::to_f64(v),
        other => other.as_i64().map_or(f64::NAN, |v| v as f64),
    }
}

/// PostgreSQL's order of floats: NaN equals NaN and is above everything, -0 equals 0.
pub fn compare_floats(left: f64, right: f64) -> Ordering {
    left.partial_cmp(&right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
}

fn compare_date(days: i32, micros: i64) -> Ordering {
    match calendar::date_to_timestamp(days) {
        Ok(date) => date.cmp(&micros),
        // Beyond every timestamp but infinity.
        Err(_) if micros == i64::MAX => Ordering::Less,
        Err(_) => Ordering::Greater,
    }
}

/// Numbers of unlike kinds. Everything else was excluded by the type rules; by kind, so that the order is total.
fn compare_mixed(left: &Datum, right: &Datum) -> Ordering {
    let integer = |value: &Datum| value.as_i64().map(Numeric::from);
    match (left, right) {
        (Datum::Numeric(l), r) if r.as_i64().is_some() => {
            integer(r).map_or(Ordering::Less, |r| numeric::cmp(l, &r))
        }
        (l, Datum::Numeric(r)) if l.as_i64().is_some() => {
            integer(l).map_or(Ordering::Less, |l| numeric::cmp(&l, r))
        }
        (Datum::Float4(_) | Datum::Float8(_), r) if number(r) => compare_floats(float(left), float(right)),
        (l, Datum::Float4(_) | Datum::Float8(_)) if number(l) => compare_floats(float(left), float(right)),
        _ => kind(left).cmp(&kind(right)),
    }
}

fn number(value: &Datum) -> bool {
    matches!(value, Datum::Numeric(_)) || value.as_i64().is_some()
}

fn kind(value: &Datum) -> u8 {
    match value {
        Datum::Bool(_) => 0,
        Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_) | Datum::Oid(_) => 1,
        Datum::Float4(_) | Datum::Float8(_) => 2,
        Datum::Numeric(_) => 3,
        Datum::Text(_) => 4,
        Datum::Bytea(_) => 5,
        Datum::Date(_) | Datum::Timestamp(_) => 6,
        Datum::Timestamptz(_) => 7,
        Datum::Interval(_) => 8,
        Datum::Uuid(_) => 9,
        Datum::Array(_) => 10,
        Datum::Json(_) => 11,
        Datum::Record(_) => 12,
        Datum::Keyed(_) => 13,
        Datum::Null => 14,
    }
}

/// Whether two values fall into one group: NULLs are alike, `1.0` and `1.00` are, so are `-0` and `0`.
#[inline]
pub fn group_eq(left: &Datum, right: &Datum) -> bool {
    match (left, right) {
        (Datum::Int4(left), Datum::Int4(right)) => left == right,
        (Datum::Int8(left), Datum::Int8(right)) => left == right,
        (Datum::Text(left), Datum::Text(right)) => left == right,
        _ => compare(left, right) == Ordering::Equal,
    }
}

/// Feeds the hasher so that values that are [`group_eq`] hash alike.
pub fn group_hash(value: &Datum, hasher: &mut impl Hasher) {
    match value {
        Datum::Null => 0u8.hash(hasher),
        Datum::Bool(v) => v.hash(hasher),
        Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_) | Datum::Oid(_) => {
            hasher.write_i64(value.as_i64().unwrap_or_default());
        }
        Datum::Float4(_) | Datum::Float8(_) => {
            let v = float(value);
            let v = if v.is_nan() { f64::NAN } else { v + 0.0 };
            hasher.write_u64(v.to_bits());
        }
        Datum::Numeric(v) => hash_numeric(v, hasher),
        Datum::Text(v) => v.hash(hasher),
        Datum::Bytea(v) => v.hash(hasher),
        Datum::Date(v) => hasher.write_i64(calendar::date_to_timestamp(*v).unwrap_or(i64::from(*v))),
        Datum::Timestamp(v) | Datum::Timestamptz(v) => hasher.write_i64(*v),
        Datum::Interval(v) => v.span_micros().hash(hasher),
        Datum::Uuid(v) => v.hash(hasher),
        Datum::Json(json) => json.hash_with(hasher, &|number: &Numeric, mut hasher: &mut dyn Hasher| {
            hash_numeric(number, &mut hasher);
        }),
        Datum::Keyed(v) => v.key().hash(hasher),
        Datum::Record(record) => {
            for field in record.given() {
                group_hash(field, hasher);
            }
        }
        Datum::Array(items) => {
            for item in items.iter() {
                group_hash(item, hasher);
            }
            hasher.write_usize(items.len());
        }
    }
}

/// Hashes a number without zeros behind; zero has the scale 0.
fn hash_normal(unscaled: Option<i64>, scale: i64, hasher: &mut impl Hasher) {
    hasher.write_i64(unscaled.unwrap_or_default());
    hasher.write_i64(scale);
}

fn hash_numeric(value: &Numeric, hasher: &mut impl Hasher) {
    match value {
        Numeric::Small { unscaled, scale } => {
            let (mut unscaled, mut scale) = (*unscaled, i64::from(*scale));
            while unscaled != 0 && unscaled % 10 == 0 {
                (unscaled, scale) = (unscaled / 10, scale - 1);
            }
            hash_normal(Some(unscaled), if unscaled == 0 { 0 } else { scale }, hasher);
        }
        Numeric::Large(decimal) => {
            let (unscaled, scale) = decimal.normalized().into_bigint_and_scale();
            match unscaled.to_i64() {
                Some(small) => hash_normal(Some(small), scale, hasher),
                None => {
                    hash_normal(None, scale, hasher);
                    unscaled.hash(hasher);
                }
            }
        }
        Numeric::NaN => hasher.write_u8(1),
        Numeric::Infinity => hasher.write_u8(2),
        Numeric::NegativeInfinity => hasher.write_u8(3),
    }
}
