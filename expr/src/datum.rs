//! A value of a PostgreSQL type, or NULL.

pub mod array;
pub mod json;
pub mod keyed;
pub mod record;

use std::sync::Arc;

use bigdecimal::BigDecimal;
use bytes::Bytes;

use array::Array;
use json::Json;
use keyed::Keyed;
use record::Record;

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
    /// An array; what its elements are is known from its type.
    Array(Array),
    /// jsonb
    Json(Arc<Json>),
    /// A record.
    Record(Arc<Record>),
    /// What is compared by something else than it looks like: a range of numbers, a vector, a text without case.
    Keyed(Arc<Keyed>),
}

impl Datum {
    /// A text value.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Datum::Text(text.into())
    }

    /// A jsonb value.
    pub fn json(json: Json) -> Self {
        Datum::Json(Arc::new(json))
    }

    /// Whether this is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    /// A condition's truth: false for false and for NULL.
    pub fn is_true(&self) -> bool {
        matches!(self, Datum::Bool(true))
    }

    /// The text of a string type, citext included.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Datum::Text(text) => Some(text),
            Datum::Keyed(value) => value.text(),
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

    /// About how many bytes its text takes.
    pub(crate) fn text_bytes(&self) -> usize {
        match self {
            Datum::Record(_) | Datum::Array(_) => self.quoted().0,
            Datum::Text(text) => text.len(),
            Datum::Bytea(bytes) => 2 + bytes.len().saturating_mul(2),
            Datum::Numeric(number) => number_bytes(number),
            Datum::Json(json) => json.text_bytes(),
            Datum::Keyed(value) => value.text_bytes(),
            _ => 24,
        }
    }

    /// About how many bytes its text takes, and how many of them double where it stands in quotes.
    fn quoted(&self) -> (usize, usize) {
        let parts = match self {
            Datum::Record(record) => record.fields(),
            Datum::Array(items) => items,
            value => return (value.text_bytes(), 0),
        };
        parts.iter().map(Datum::quoted).zip(parts).fold((2, 0), |(bytes, special), (part, value)| {
            let (grown, marks) = match value {
                Datum::Record(_) | Datum::Array(_) => (part.1.saturating_add(2), part.1.saturating_add(2)),
                _ => (0, 0),
            };
            let bytes = bytes.saturating_add(part.0).saturating_add(grown).saturating_add(1);
            (bytes, special.saturating_add(part.1).saturating_add(marks))
        })
    }

    /// About how many bytes of memory it holds, for accounting.
    pub fn size_bytes(&self) -> usize {
        let heap = match self {
            Datum::Text(text) => text.len() + 16,
            Datum::Bytea(bytes) => bytes.len() + 32,
            Datum::Numeric(Numeric::Large(decimal)) => {
                (decimal.as_bigint_and_scale().0.bits() / 8) as usize + 48
            }
            Datum::Json(json) => json.size_bytes(),
            Datum::Record(record) => record.fields().iter().map(Datum::size_bytes).sum::<usize>() + 48,
            Datum::Array(items) => items.iter().map(Datum::size_bytes).sum::<usize>() + 16,
            Datum::Keyed(value) => value.size_bytes(),
            _ => 0,
        };
        size_of::<Datum>() + heap
    }
}

/// About how many bytes a number's text takes: its digits, and zeros as far as its scale.
pub(crate) fn number_bytes(number: &Numeric) -> usize {
    let scale = number.scale().map_or(0, i64::unsigned_abs);
    usize::try_from((number.bits() / 3).saturating_add(scale)).unwrap_or(usize::MAX).saturating_add(4)
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
    /// A finite number whose digits fit, the way that most are: `unscaled` / 10^`scale`. The scale is PostgreSQL's display
    /// scale.
    Small {
        /// The digits.
        unscaled: i64,
        /// How many of them stand behind the point.
        scale: u16,
    },
    /// Any finite number; the scale of the `BigDecimal` is the display scale (never negative).
    Large(Box<BigDecimal>),
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

/// Random values for property tests.
#[cfg(test)]
pub(crate) mod arbitrary {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::array::Dimension;
    use super::*;
    use crate::bits::Bits;
    use crate::calendar::zoned_time::ZonedTime;
    use crate::citext;
    use crate::extent::{Edge, Extent, Spans};
    use crate::lsn;
    use crate::mac;
    use crate::network::Network;
    use crate::types::TypeKind;
    use crate::vector;

    fn numeric() -> impl Strategy<Value = Numeric> {
        prop_oneof![
            8 => (any::<i64>(), 0i64..20).prop_map(|(unscaled, scale)| Numeric::finite(unscaled, scale)),
            4 => (-1000i64..1000, 0i64..4).prop_map(|(unscaled, scale)| Numeric::finite(unscaled, scale)),
            4 => (any::<i128>(), 0i64..60).prop_map(|(unscaled, scale)| Numeric::finite(unscaled, scale)),
            2 => (-9i64..10, 0u32..40).prop_map(|(digit, zeros)| {
                Numeric::finite(bigdecimal::num_bigint::BigInt::from(digit) * bigdecimal::num_bigint::BigInt::from(10).pow(zeros), 0)
            }),
            1 => Just(Numeric::NaN),
            1 => Just(Numeric::Infinity),
            1 => Just(Numeric::NegativeInfinity),
        ]
    }

    /// The types that have values of their own in [`datum_of`], but for arrays and what is held as text.
    pub(crate) const KINDS: &[TypeKind] = &[
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
        TypeKind::Time,
        TypeKind::Bit,
        TypeKind::Varbit,
        TypeKind::Timetz,
        TypeKind::Inet,
        TypeKind::Cidr,
        TypeKind::Macaddr,
        TypeKind::Macaddr8,
        TypeKind::Money,
        TypeKind::PgLsn,
        TypeKind::Xid8,
        TypeKind::Int4Range,
        TypeKind::Int8Range,
        TypeKind::Daterange,
        TypeKind::Tsrange,
        TypeKind::Tstzrange,
        TypeKind::Numrange,
        TypeKind::Int4Multirange,
        TypeKind::Int8Multirange,
        TypeKind::Datemultirange,
        TypeKind::Tsmultirange,
        TypeKind::Tstzmultirange,
        TypeKind::Nummultirange,
        TypeKind::Vector,
        TypeKind::Citext,
    ];

    /// Ranges whose bounds are near each other, so that they meet.
    fn range_between(subtype: TypeKind) -> BoxedStrategy<Datum> {
        let value = move |number: i32| match subtype {
            TypeKind::Int4 => Datum::Int4(number),
            TypeKind::Date => Datum::Date(number),
            TypeKind::Timestamp => Datum::Timestamp(number.into()),
            TypeKind::Timestamptz => Datum::Timestamptz(number.into()),
            TypeKind::Numeric => Datum::Numeric(Numeric::finite(number * 10, 1)),
            _ => Datum::Int8(number.into()),
        };
        let bound = move || {
            let some = (-6i32..7, any::<bool>())
                .prop_map(move |(number, is_inclusive)| Edge::new(&value(number), is_inclusive).ok());
            prop_oneof![1 => Just(None), 5 => some]
        };
        (bound(), bound())
            .prop_map(move |(lower, upper)| {
                Extent::new(subtype, lower, upper).unwrap_or(Extent::empty(subtype)).to_datum()
            })
            .boxed()
    }

    /// A value of a type, never NULL.
    pub(crate) fn datum_of(kind: TypeKind) -> BoxedStrategy<Datum> {
        match kind {
            TypeKind::Bool => any::<bool>().prop_map(Datum::Bool).boxed(),
            TypeKind::Int2 => any::<i16>().prop_map(Datum::Int2).boxed(),
            TypeKind::Int4 => prop_oneof![any::<i32>(), -3i32..4].prop_map(Datum::Int4).boxed(),
            TypeKind::Int8 => prop_oneof![any::<i64>(), -3i64..4].prop_map(Datum::Int8).boxed(),
            TypeKind::Oid => any::<u32>().prop_map(Datum::Oid).boxed(),
            TypeKind::Float4 => any::<f32>().prop_map(Datum::Float4).boxed(),
            TypeKind::Float8 => {
                prop_oneof![any::<f64>(), Just(0.0), Just(-0.0), Just(f64::NAN), Just(f64::INFINITY)]
                    .prop_map(Datum::Float8)
                    .boxed()
            }
            TypeKind::Numeric => numeric().prop_map(Datum::Numeric).boxed(),
            TypeKind::Bytea => {
                prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0xff), any::<u8>()], 0..12)
                    .prop_map(|bytes| Datum::Bytea(bytes.into()))
                    .boxed()
            }
            TypeKind::Date => any::<i32>().prop_map(Datum::Date).boxed(),
            TypeKind::Timestamp => any::<i64>().prop_map(Datum::Timestamp).boxed(),
            TypeKind::Timestamptz => any::<i64>().prop_map(Datum::Timestamptz).boxed(),
            TypeKind::Interval => (-50i32..50, -50i32..50, any::<i32>())
                .prop_map(|(months, days, micros)| {
                    Datum::Interval(Interval { months, days, micros: i64::from(micros) * 100_000 })
                })
                .boxed(),
            TypeKind::Uuid => any::<[u8; 16]>().prop_map(Datum::Uuid).boxed(),
            TypeKind::Bit | TypeKind::Varbit => "[01]{0,20}|0{0,20}"
                .prop_map(|digits| Bits::parse(&digits).unwrap().into_datum().unwrap())
                .boxed(),
            TypeKind::Timetz => (0i64..=24, -15i64..16)
                .prop_map(|(hour, east)| {
                    ZonedTime { local: hour * 3_600_000_000, offset: east * 3600 }.to_datum()
                })
                .boxed(),
            TypeKind::Inet | TypeKind::Cidr => {
                let four = (any::<[u8; 4]>().prop_map(IpAddr::from), 0u8..33);
                let six = (any::<[u8; 16]>().prop_map(IpAddr::from), 0u8..129);
                prop_oneof![four, six]
                    .prop_map(move |(address, bits)| {
                        let network = Network::new(address, bits).unwrap();
                        if kind == TypeKind::Cidr { network.network() } else { network }.to_datum()
                    })
                    .boxed()
            }
            TypeKind::Macaddr => any::<[u8; 6]>().prop_map(mac::datum).boxed(),
            TypeKind::Macaddr8 => any::<[u8; 8]>().prop_map(mac::datum).boxed(),
            TypeKind::Int4Range => range_between(TypeKind::Int4),
            TypeKind::Int8Range => range_between(TypeKind::Int8),
            TypeKind::Daterange => range_between(TypeKind::Date),
            TypeKind::Tsrange => range_between(TypeKind::Timestamp),
            TypeKind::Tstzrange => range_between(TypeKind::Timestamptz),
            TypeKind::Numrange => range_between(TypeKind::Numeric),
            kind if kind.ranges().is_some() => {
                let range = kind.ranges().unwrap();
                let subtype = range.subtype().unwrap();
                prop::collection::vec(datum_of(range), 0..4)
                    .prop_map(move |ranges| {
                        Spans::new(subtype, ranges.iter().map(|range| Extent::of(range).unwrap())).to_datum()
                    })
                    .boxed()
            }
            TypeKind::Citext => "[aAbB]{0,4}".prop_map(|text| citext::of_text(&text)).boxed(),
            TypeKind::Vector => {
                let real = prop_oneof![Just(0.0_f32), Just(-0.0), -2.0_f32..2.0, Just(f32::MAX)];
                prop::collection::vec(real, 1..4).prop_map(|reals| vector::of_reals(reals).unwrap()).boxed()
            }
            TypeKind::Xid => any::<u32>().prop_map(Datum::Oid).boxed(),
            TypeKind::TxidSnapshot | TypeKind::PgSnapshot => (1u32..50, 1u32..9)
                .prop_map(|(xmin, more)| Datum::from(format!("{xmin}:{}:{xmin}", xmin + more)))
                .boxed(),
            TypeKind::PgLsn | TypeKind::Xid8 => any::<u64>().prop_map(lsn::datum).boxed(),
            TypeKind::Money => prop_oneof![any::<i64>(), -3i64..4].prop_map(Datum::Int8).boxed(),
            TypeKind::Time => (0i64..=86_400_000_000).prop_map(Datum::Int8).boxed(),
            TypeKind::Jsonb => (any::<bool>(), "[a-c]{0,3}", -3i64..4)
                .prop_map(|(truth, text, number)| {
                    let items = vec![Json::Bool(truth), Json::Number(Numeric::finite(number, 0))];
                    let members =
                        vec![("b".into(), Json::Array(items)), ("a".into(), Json::String(text.into()))];
                    Datum::json(Json::object(members))
                })
                .boxed(),
            TypeKind::Int4Array | TypeKind::TextArray => {
                let element = kind.element().unwrap_or(TypeKind::Text);
                let item = prop_oneof![1 => Just(Datum::Null), 4 => datum_of(element)];
                (prop::collection::vec(item, 0..3), prop_oneof![3 => Just(1), 1 => -1i32..3])
                    .prop_map(|(items, lower)| Datum::Array(Array::from_lower(items, lower)))
                    .boxed()
            }
            _ => prop_oneof!["[a-c]{0,4}", "[\\x01-\\u{2ff}]{0,8}"].prop_map(Datum::from).boxed(),
        }
    }

    /// A value of any type, or NULL.
    pub(crate) fn any_datum() -> impl Strategy<Value = Datum> {
        prop_oneof![
            1 => Just(Datum::Null),
            15 => prop::sample::select(vec![
                TypeKind::Bool, TypeKind::Int2, TypeKind::Int4, TypeKind::Int8, TypeKind::Oid, TypeKind::Float4,
                TypeKind::Float8, TypeKind::Numeric, TypeKind::Text, TypeKind::Bytea, TypeKind::Date,
                TypeKind::Timestamp, TypeKind::Timestamptz, TypeKind::Interval, TypeKind::Uuid, TypeKind::Numrange,
                TypeKind::Vector, TypeKind::Citext,
            ])
            .prop_flat_map(datum_of),
            1 => prop::collection::vec(prop_oneof![Just(Datum::Null), datum_of(TypeKind::Int4)], 0..4)
                .prop_map(|items| Datum::Array(items.into())),
            1 => (datum_of(TypeKind::Text), 1i32..3, 1i32..3, -2i32..3).prop_map(|(item, rows, columns, lower)| {
                let dimensions = [Dimension { length: rows, lower: 1 }, Dimension { length: columns, lower }];
                Datum::Array(Array::shaped(vec![item; (rows * columns) as usize], &dimensions).unwrap())
            }),
            1 => (any::<bool>(), "[a-c]{0,3}", numeric()).prop_map(|(truth, text, number)| {
                let number = if number.is_finite() { Json::Number(number) } else { Json::Null };
                let members = vec![("b".into(), number), (text.into(), Json::Array(vec![Json::Bool(truth)]))];
                Datum::json(Json::object(members))
            }),
        ]
    }
}
