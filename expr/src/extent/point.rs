//! The bounds of ranges: of which types they are, and how their values stand in what a range is held as.
//!
//! ```text
//! in the key   whole numbers, days, moments, truths: 8 bytes, big-endian, the sign flipped
//!              all others: as keys hold them (an interval by its length)
//! behind it    what a value looks like, if its key does not say it:
//!              of a number the digits that it shows behind the point (u16, big-endian)
//!              of a real 1 if it is -0, else 0
//!              of an interval its months, days (i32) and microseconds (i64), big-endian
//! ```

use std::cmp::Ordering;

use bytes::Bytes;
use keys::encode::{self, decimal};

use super::mismatch;
use crate::datum::{Datum, Interval, Numeric};
use crate::error::Result;
use crate::numeric;
use crate::types::{Form, Order, TypeKind};

/// The bounds of types that are built in: whole numbers, and equal only if they look alike; and numbers.
const SUBTYPES: [TypeKind; 6] = [
    TypeKind::Int4,
    TypeKind::Int8,
    TypeKind::Date,
    TypeKind::Timestamp,
    TypeKind::Timestamptz,
    TypeKind::Numeric,
];

/// What a range that was made begins with, where others have the place of their bounds' type.
pub(crate) const OF_MADE: u8 = 16;

/// What the bounds of a range are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subtype {
    /// The built-in type that they are held like.
    like: TypeKind,
    /// Whether the range was made: there is nothing that is next to a value then, be it a whole number.
    is_of_made: bool,
}

impl From<TypeKind> for Subtype {
    /// That of a range that is built in.
    fn from(like: TypeKind) -> Self {
        Self { like, is_of_made: false }
    }
}

impl Subtype {
    /// That of a range that was made, between values of this type.
    pub(crate) fn of_made(kind: TypeKind) -> Self {
        Self { like: kind.row().id, is_of_made: true }
    }

    /// The built-in type that the bounds are held like.
    pub(crate) fn like(self) -> TypeKind {
        self.like
    }

    /// The same if a bound may have to be moved to the value next to it, as those of built-in ranges are.
    pub(super) fn discrete(self) -> Option<TypeKind> {
        (!self.is_of_made).then_some(self.like)
    }

    /// Whether ranges are held as what they look like, and the key of that.
    pub(super) fn is_keyed(self) -> bool {
        self.is_of_made || self.like == TypeKind::Numeric
    }

    pub(super) fn put(self, out: &mut Vec<u8>) {
        if self.is_of_made {
            out.push(OF_MADE);
            return out.extend_from_slice(&self.like.oid().to_be_bytes());
        }
        let place = SUBTYPES.iter().position(|subtype| *subtype == self.like);
        out.push(place.unwrap_or(SUBTYPES.len()) as u8);
    }

    pub(super) fn take(input: &mut &[u8]) -> Result<Self> {
        match super::take_byte(input)? {
            OF_MADE => {
                let (head, rest) = input.split_first_chunk().ok_or_else(mismatch)?;
                *input = rest;
                let like = TypeKind::of_row(u32::from_be_bytes(*head)).filter(|kind| can_bound(*kind));
                Ok(Self::of_made(like.ok_or_else(mismatch)?))
            }
            place => SUBTYPES.get(usize::from(place)).map(|like| Self::from(*like)).ok_or_else(mismatch),
        }
    }
}

/// Whether values of a type can be bounds of a range that is made: each is of one piece, and equals what has its key.
pub fn can_bound(kind: TypeKind) -> bool {
    let is_of_one_piece =
        !matches!(kind.form(), Form::None | Form::Array | Form::Record | Form::Json | Form::Keyed);
    is_of_one_piece && kind.order() == Order::Natural
}

/// The value of a bound.
#[derive(Debug, Clone)]
pub(super) enum Point {
    Whole(i64),
    Number(Numeric),
    /// A real, a text, bytes, an interval or a uuid.
    Other(Datum),
}

impl Ord for Point {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Whole(own), Self::Whole(other)) => own.cmp(other),
            (Self::Number(own), Self::Number(other)) => numeric::cmp(own, other),
            // Keys order as values do.
            _ => self.key().cmp(&other.key()),
        }
    }
}

impl PartialOrd for Point {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Point {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Point {}

impl Point {
    pub(super) fn of(value: &Datum) -> Result<Self> {
        match value {
            Datum::Bool(truth) => Ok(Self::Whole(i64::from(*truth))),
            Datum::Int2(number) => Ok(Self::Whole(i64::from(*number))),
            Datum::Int4(number) | Datum::Date(number) => Ok(Self::Whole(i64::from(*number))),
            Datum::Int8(number) | Datum::Timestamp(number) | Datum::Timestamptz(number) => {
                Ok(Self::Whole(*number))
            }
            Datum::Oid(oid) => Ok(Self::Whole(i64::from(*oid))),
            Datum::Numeric(number) => Ok(Self::Number(number.clone())),
            Datum::Float4(_)
            | Datum::Float8(_)
            | Datum::Text(_)
            | Datum::Bytea(_)
            | Datum::Interval(_)
            | Datum::Uuid(_) => Ok(Self::Other(value.clone())),
            _ => Err(mismatch()),
        }
    }

    /// The value, of a type that is held in this form.
    pub(super) fn value(&self, form: Form) -> Datum {
        let at = match self {
            Self::Number(number) => return Datum::Numeric(number.clone()),
            Self::Other(value) => return value.clone(),
            Self::Whole(at) => *at,
        };
        match form {
            Form::Bool => Datum::Bool(at != 0),
            Form::Int2 => Datum::Int2(at as i16),
            Form::Int4 => Datum::Int4(at as i32),
            Form::Oid => Datum::Oid(at as u32),
            Form::Date => Datum::Date(at as i32),
            Form::Timestamp => Datum::Timestamp(at),
            Form::Timestamptz => Datum::Timestamptz(at),
            _ => Datum::Int8(at),
        }
    }

    fn key(&self) -> Vec<u8> {
        let mut key = Vec::new();
        self.put(&mut key);
        key
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Whole(number) => encode::put_i64(*number, out),
            Self::Number(number) => decimal::put(&numeric::to_decimal(number), out),
            Self::Other(Datum::Float4(real)) => encode::put_f32(*real, out),
            Self::Other(Datum::Float8(real)) => encode::put_f64(*real, out),
            Self::Other(Datum::Text(text)) => encode::put_bytes(text.as_bytes(), out),
            Self::Other(Datum::Bytea(bytes)) => encode::put_bytes(bytes, out),
            Self::Other(Datum::Interval(interval)) => encode::put_i128(interval.span_micros(), out),
            Self::Other(Datum::Uuid(uuid)) => out.extend_from_slice(uuid),
            Self::Other(_) => {}
        }
    }

    /// Reads a value of a type that is held in this form.
    pub(super) fn take(input: &mut &[u8], form: Form) -> Result<Self> {
        let other = match form {
            Form::Numeric => {
                let number = decimal::take(input, false).map_err(|_| mismatch())?;
                return Ok(Self::Number(numeric::from_decimal(number, 0)));
            }
            Form::Float4 => encode::take_f32(input, false).map(Datum::Float4),
            Form::Float8 => encode::take_f64(input, false).map(Datum::Float8),
            Form::Text => {
                let bytes = encode::take_bytes(input, false).map_err(|_| mismatch())?;
                return Ok(Self::Other(Datum::from(String::from_utf8(bytes).map_err(|_| mismatch())?)));
            }
            Form::Bytea => encode::take_bytes(input, false).map(|bytes| Datum::Bytea(Bytes::from(bytes))),
            // As long as it: what it looks like stands behind the key.
            Form::Interval => encode::take_i128(input, false).map(|span| {
                let micros = i64::try_from(span).unwrap_or(i64::MAX);
                Datum::Interval(Interval { months: 0, days: 0, micros })
            }),
            Form::Uuid => encode::take_array(input, false).map(Datum::Uuid),
            _ => return encode::take_i64(input, false).map(Self::Whole).map_err(|_| mismatch()),
        };
        other.map(Self::Other).map_err(|_| mismatch())
    }

    /// Appends what the key does not say of it.
    pub(super) fn put_look(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => {
                let scale = u16::try_from(number.scale().unwrap_or(0)).unwrap_or(u16::MAX);
                out.extend_from_slice(&scale.to_be_bytes());
            }
            Self::Other(Datum::Float4(real)) => out.push(u8::from(*real == 0.0 && real.is_sign_negative())),
            Self::Other(Datum::Float8(real)) => out.push(u8::from(*real == 0.0 && real.is_sign_negative())),
            Self::Other(Datum::Interval(interval)) => {
                out.extend_from_slice(&interval.months.to_be_bytes());
                out.extend_from_slice(&interval.days.to_be_bytes());
                out.extend_from_slice(&interval.micros.to_be_bytes());
            }
            Self::Whole(_) | Self::Other(_) => {}
        }
    }

    /// Looks as is said next, if anything is.
    pub(super) fn take_look(&mut self, input: &mut &[u8]) -> Result<()> {
        if input.is_empty() {
            return Ok(());
        }
        match self {
            Self::Number(number) => {
                let scale = u16::from_be_bytes(take(input)?);
                *number = numeric::from_decimal(numeric::to_decimal(number), scale.into());
            }
            Self::Other(Datum::Float4(real)) => {
                let [is_negative] = take(input)?;
                if is_negative == 1 {
                    *real = -0.0;
                }
            }
            Self::Other(Datum::Float8(real)) => {
                let [is_negative] = take(input)?;
                if is_negative == 1 {
                    *real = -0.0;
                }
            }
            Self::Other(Datum::Interval(interval)) => {
                *interval = Interval {
                    months: i32::from_be_bytes(take(input)?),
                    days: i32::from_be_bytes(take(input)?),
                    micros: i64::from_be_bytes(take(input)?),
                };
            }
            Self::Whole(_) | Self::Other(_) => {}
        }
        Ok(())
    }

    /// About how many bytes its text takes.
    pub(super) fn text_bytes(&self) -> usize {
        match self {
            Self::Whole(_) => 24,
            Self::Number(number) => crate::datum::number_bytes(number),
            Self::Other(value) => value.text_bytes().saturating_mul(2).saturating_add(2),
        }
    }
}

fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N]> {
    let (head, rest) = input.split_first_chunk().ok_or_else(mismatch)?;
    *input = rest;
    Ok(*head)
}
