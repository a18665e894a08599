//! The row format: the value under a row's key.
//!
//! ```text
//! row       format (1 byte, = 1)  schema version (varint)  column…
//! column    head (varint): (id - previous id) × 16 + tag   value
//!
//! tag  value                                     tag  value
//!  0   NULL: none                                 8   float8: 8 bytes, little-endian
//!  1   false: none                                9   numeric: kind (1 byte), see below
//!  2   true: none                                10   text: length (varint), UTF-8
//!  3   int2: zigzag varint                       11   bytea: length (varint), bytes
//!  4   int4: zigzag varint                       12   date: 4 bytes, little-endian
//!  5   int8: zigzag varint                       13   timestamp: 8 bytes, little-endian
//!  6   oid: varint                               14   timestamptz: 8 bytes, little-endian
//!  7   float4: 4 bytes, little-endian            15   another byte says: 0 interval (months, days: zigzag
//!                                                     varints, 8 bytes), 1 uuid (16 bytes), 2 array (length of
//!                                                     the rest (varint), columns numbered from 1), 3 the same
//!                                                     behind dimensions (their number (varint), of each length
//!                                                     and lower bound (zigzag varints)), 4 document
//!                                                     (length (varint), see [`json::binary`]), 5 record (number
//!                                                     of fields (varint), of each name, OID, that of the made
//!                                                     type that it is or holds, or 0, that of what it is like,
//!                                                     and modifier (varints), then as 2): in no column,
//!                                                     6 value of a composite type (as 2), 7 what has a key
//!                                                     (length (varint), its image: see [`keyed`])
//! numeric   0 NaN, 1 Infinity, 2 -Infinity, 3 small: scale (varint), unscaled (zigzag varint),
//!           4 large: scale (varint), length (varint), unscaled (two's complement, little-endian)
//! ```
//!
//! Varints are little-endian groups of seven bits. Every value says where it ends, so columns that nobody wants
//! are stepped over.
//!
//! # Invariants
//! - Ids ascend; the first previous id is 0, and no column has id 0.
//! - A NULL that is stored is NULL; a column that is not stored is what its place held: a default, or a key's value.

mod patch;
mod values;

use std::sync::Arc;

use bigdecimal::ToPrimitive;
use bigdecimal::num_bigint::BigInt;
use bytes::Bytes;

use crate::datum::array::{Array, DIMENSIONS_MAX, Dimension};
use crate::datum::record::{Record, Shape};
use crate::datum::{Datum, Interval, Numeric};
use crate::error::{Error, Result};
use crate::json;
use crate::keyed;
use crate::types::{Type, TypeKind};

pub use patch::patch_row;
pub use values::{put_values, take_values};

/// The format that [`encode_row`] writes.
const FORMAT: u8 = 1;
/// Values in values end here: a little deeper than records nest.
const DEPTH_MAX: usize = 1010;

mod tag {
    pub(super) const NULL: u64 = 0;
    pub(super) const FALSE: u64 = 1;
    pub(super) const TRUE: u64 = 2;
    pub(super) const INT2: u64 = 3;
    pub(super) const INT4: u64 = 4;
    pub(super) const INT8: u64 = 5;
    pub(super) const OID: u64 = 6;
    pub(super) const FLOAT4: u64 = 7;
    pub(super) const FLOAT8: u64 = 8;
    pub(super) const NUMERIC: u64 = 9;
    pub(super) const TEXT: u64 = 10;
    pub(super) const BYTEA: u64 = 11;
    pub(super) const DATE: u64 = 12;
    pub(super) const TIMESTAMP: u64 = 13;
    pub(super) const TIMESTAMPTZ: u64 = 14;
    pub(super) const OTHER: u64 = 15;
    pub(super) const OTHER_INTERVAL: u8 = 0;
    pub(super) const OTHER_UUID: u8 = 1;
    pub(super) const OTHER_ARRAY: u8 = 2;
    pub(super) const OTHER_SHAPED_ARRAY: u8 = 3;
    pub(super) const OTHER_JSON: u8 = 4;
    pub(super) const OTHER_RECORD: u8 = 5;
    pub(super) const OTHER_COMPOSITE: u8 = 6;
    pub(super) const OTHER_KEYED: u8 = 7;
}

/// The bytes are no row: smaller than an [`Error`], which is made of it where nobody can go on.
struct Malformed;

impl From<Malformed> for Error {
    fn from(_: Malformed) -> Self {
        Error::new("XX001", "malformed row")
    }
}

fn malformed() -> Error {
    Malformed.into()
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_zigzag(value: i64, out: &mut Vec<u8>) {
    put_varint(((value << 1) ^ (value >> 63)) as u64, out);
}

/// Encodes the columns, whose ids must ascend from 1; NULLs may be given or left out.
pub fn encode_row(schema_version: u32, columns: &[(u32, &Datum)]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(16 + columns.len() * 10);
    put_row(schema_version, columns.iter().copied(), &mut out)?;
    Ok(out)
}

/// Appends what [`encode_row`] makes.
pub fn put_row<'a>(
    schema_version: u32,
    columns: impl IntoIterator<Item = (u32, &'a Datum)>,
    out: &mut Vec<u8>,
) -> Result<()> {
    out.push(FORMAT);
    put_varint(u64::from(schema_version), out);
    let mut previous = 0;
    for (id, value) in columns {
        let delta = id.checked_sub(previous).filter(|delta| *delta > 0);
        put_column(delta.ok_or_else(|| Error::internal("columns of a row out of order"))?, value, out);
        previous = id;
    }
    Ok(())
}

fn put_column(delta: u32, value: &Datum, out: &mut Vec<u8>) {
    let head = |tag: u64, out: &mut Vec<u8>| put_varint(u64::from(delta) << 4 | tag, out);
    match value {
        Datum::Null => head(tag::NULL, out),
        Datum::Bool(v) => head(if *v { tag::TRUE } else { tag::FALSE }, out),
        Datum::Int2(v) => {
            head(tag::INT2, out);
            put_zigzag(i64::from(*v), out);
        }
        Datum::Int4(v) => {
            head(tag::INT4, out);
            put_zigzag(i64::from(*v), out);
        }
        Datum::Int8(v) => {
            head(tag::INT8, out);
            put_zigzag(*v, out);
        }
        Datum::Oid(v) => {
            head(tag::OID, out);
            put_varint(u64::from(*v), out);
        }
        Datum::Float4(v) => {
            head(tag::FLOAT4, out);
            out.extend_from_slice(&v.to_le_bytes());
        }
        Datum::Float8(v) => {
            head(tag::FLOAT8, out);
            out.extend_from_slice(&v.to_le_bytes());
        }
        Datum::Numeric(v) => {
            head(tag::NUMERIC, out);
            put_numeric(v, out);
        }
        Datum::Text(v) => {
            head(tag::TEXT, out);
            put_bytes(v.as_bytes(), out);
        }
        Datum::Bytea(v) => {
            head(tag::BYTEA, out);
            put_bytes(v, out);
        }
        Datum::Date(v) => {
            head(tag::DATE, out);
            out.extend_from_slice(&v.to_le_bytes());
        }
        Datum::Timestamp(v) => {
            head(tag::TIMESTAMP, out);
            out.extend_from_slice(&v.to_le_bytes());
        }
        Datum::Timestamptz(v) => {
            head(tag::TIMESTAMPTZ, out);
            out.extend_from_slice(&v.to_le_bytes());
        }
        Datum::Interval(v) => {
            head(tag::OTHER, out);
            out.push(tag::OTHER_INTERVAL);
            put_zigzag(i64::from(v.months), out);
            put_zigzag(i64::from(v.days), out);
            out.extend_from_slice(&v.micros.to_le_bytes());
        }
        Datum::Uuid(v) => {
            head(tag::OTHER, out);
            out.push(tag::OTHER_UUID);
            out.extend_from_slice(v);
        }
        Datum::Keyed(v) => {
            head(tag::OTHER, out);
            out.push(tag::OTHER_KEYED);
            put_bytes(v.image(), out);
        }
        Datum::Json(json) => {
            head(tag::OTHER, out);
            out.push(tag::OTHER_JSON);
            let mut body = Vec::new();
            json::binary::put(json, &mut body);
            put_bytes(&body, out);
        }
        Datum::Record(record) => {
            head(tag::OTHER, out);
            match record.shape() {
                None => out.push(tag::OTHER_COMPOSITE),
                // No column holds one.
                Some(shape) => {
                    out.push(tag::OTHER_RECORD);
                    put_varint(shape.len() as u64, out);
                    shape.fields().for_each(|(name, ty)| put_field(name, ty, out));
                }
            }
            let mut body = Vec::new();
            for field in record.fields() {
                put_column(1, field, &mut body);
            }
            put_bytes(&body, out);
        }
        Datum::Array(items) => {
            head(tag::OTHER, out);
            if items.is_plain() {
                out.push(tag::OTHER_ARRAY);
            } else {
                out.push(tag::OTHER_SHAPED_ARRAY);
                put_varint(items.dimension_count() as u64, out);
                for dimension in items.dimensions() {
                    put_zigzag(i64::from(dimension.length), out);
                    put_zigzag(i64::from(dimension.lower), out);
                }
            }
            let mut body = Vec::new();
            for item in items.iter() {
                put_column(1, item, &mut body);
            }
            put_bytes(&body, out);
        }
    }
}

/// A record's field: its name and type.
fn put_field(name: &str, ty: Type, out: &mut Vec<u8>) {
    put_bytes(name.as_bytes(), out);
    put_varint(u64::from(ty.kind.oid()), out);
    put_varint(u64::from(ty.kind.made_oid().unwrap_or(0)), out);
    put_varint(u64::from(ty.kind.row().id.oid()), out);
    put_zigzag(i64::from(ty.modifier), out);
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_numeric(value: &Numeric, out: &mut Vec<u8>) {
    let mut small = |unscaled: i64, scale: u64| {
        out.push(3);
        put_varint(scale, out);
        put_zigzag(unscaled, out);
    };
    match value {
        Numeric::NaN => out.push(0),
        Numeric::Infinity => out.push(1),
        Numeric::NegativeInfinity => out.push(2),
        Numeric::Small { unscaled, scale } => small(*unscaled, u64::from(*scale)),
        Numeric::Large(decimal) => {
            let (unscaled, scale) = decimal.as_bigint_and_scale();
            let scale = u64::try_from(scale).unwrap_or(0);
            if let Some(unscaled) = unscaled.to_i64() {
                return small(unscaled, scale);
            }
            out.push(4);
            put_varint(scale, out);
            put_bytes(&unscaled.to_signed_bytes_le(), out);
        }
    }
}

/// A cursor over encoded bytes.
#[derive(Clone, Copy)]
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    #[inline]
    fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*first)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    /// Most are of one byte.
    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        match self.0.split_first() {
            Some((byte, rest)) if *byte < 0x80 => {
                self.0 = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    #[inline]
    fn zigzag(&mut self) -> Result<i64, Malformed> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    #[inline]
    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
        self.take(length)
    }

    /// The next column's distance from the previous and its tag.
    #[inline]
    fn head(&mut self) -> Result<(u32, u64), Malformed> {
        let head = self.varint()?;
        let delta = u32::try_from(head >> 4).ok().filter(|delta| *delta > 0).ok_or(Malformed)?;
        Ok((delta, head & 15))
    }

    #[inline]
    fn value(&mut self, tag: u64, depth: usize) -> Result<Datum> {
        Ok(match tag {
            tag::NULL => Datum::Null,
            tag::FALSE => Datum::Bool(false),
            tag::TRUE => Datum::Bool(true),
            tag::INT2 => Datum::Int2(i16::try_from(self.zigzag()?).map_err(|_| malformed())?),
            tag::INT4 => Datum::Int4(i32::try_from(self.zigzag()?).map_err(|_| malformed())?),
            tag::INT8 => Datum::Int8(self.zigzag()?),
            tag::OID => Datum::Oid(u32::try_from(self.varint()?).map_err(|_| malformed())?),
            tag::FLOAT4 => Datum::Float4(f32::from_le_bytes(self.array()?)),
            tag::FLOAT8 => Datum::Float8(f64::from_le_bytes(self.array()?)),
            tag::NUMERIC => Datum::Numeric(self.numeric()?),
            tag::TEXT => Datum::text(std::str::from_utf8(self.bytes()?).map_err(|_| malformed())?),
            tag::BYTEA => Datum::Bytea(Bytes::copy_from_slice(self.bytes()?)),
            tag::DATE => Datum::Date(i32::from_le_bytes(self.array()?)),
            tag::TIMESTAMP => Datum::Timestamp(i64::from_le_bytes(self.array()?)),
            tag::TIMESTAMPTZ => Datum::Timestamptz(i64::from_le_bytes(self.array()?)),
            _ => return self.other(depth),
        })
    }

    /// A value of the kinds of which another byte says which.
    fn other(&mut self, depth: usize) -> Result<Datum> {
        Ok(match self.byte()? {
            tag::OTHER_INTERVAL => Datum::Interval(Interval {
                months: i32::try_from(self.zigzag()?).map_err(|_| malformed())?,
                days: i32::try_from(self.zigzag()?).map_err(|_| malformed())?,
                micros: i64::from_le_bytes(self.array()?),
            }),
            tag::OTHER_UUID => Datum::Uuid(self.array()?),
            tag::OTHER_JSON => Datum::json(json::binary::take(self.bytes()?).ok_or_else(malformed)?),
            tag::OTHER_KEYED => {
                keyed::of_image(Bytes::copy_from_slice(self.bytes()?)).ok_or_else(malformed)?
            }
            tag::OTHER_ARRAY if depth < DEPTH_MAX => Datum::Array(self.items(depth)?.into()),
            tag::OTHER_SHAPED_ARRAY if depth < DEPTH_MAX => {
                let count = usize::try_from(self.varint()?).map_err(|_| malformed())?;
                if count > DIMENSIONS_MAX {
                    return Err(malformed());
                }
                let dimensions: Result<Vec<_>> = (0..count).map(|_| self.dimension()).collect();
                let items = dimensions.and_then(|dimensions| Ok((self.items(depth)?, dimensions)));
                let (items, dimensions) = items?;
                Datum::Array(Array::shaped(items, &dimensions).map_err(|_| malformed())?)
            }
            tag::OTHER_RECORD if depth < DEPTH_MAX => {
                let count = self.varint()?;
                let shape: Result<Vec<_>> = (0..count).map(|_| self.field()).collect();
                let shape = Arc::new(Shape::new(shape?));
                let fields = self.items(depth)?;
                Datum::Record(Arc::new(Record::new(shape, fields)?))
            }
            tag::OTHER_COMPOSITE if depth < DEPTH_MAX => {
                Datum::Record(Arc::new(Record::composite(self.items(depth)?)?))
            }
            _ => return Err(malformed()),
        })
    }

    /// A record's field: its name and type.
    fn field(&mut self) -> Result<(String, Type)> {
        let name = std::str::from_utf8(self.bytes()?).map_err(|_| malformed())?.to_owned();
        let mut oid = || u32::try_from(self.varint()?).map_err(|_| malformed());
        let (oid, made, like) = (oid()?, oid()?, oid()?);
        let kind = TypeKind::of_parts(oid, (made > 0).then_some(made), like).ok_or_else(malformed)?;
        let modifier = i32::try_from(self.zigzag()?).map_err(|_| malformed())?;
        Ok((name, Type { kind, modifier }))
    }

    fn dimension(&mut self) -> Result<Dimension> {
        let mut number = || i32::try_from(self.zigzag()?).map_err(|_| malformed());
        Ok(Dimension { length: number()?, lower: number()? })
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Datum>> {
        let mut body = Input(self.bytes()?);
        let mut items = Vec::new();
        while !body.0.is_empty() {
            let (_, tag) = body.head()?;
            items.push(body.value(tag, depth + 1)?);
        }
        Ok(items)
    }

    fn numeric(&mut self) -> Result<Numeric> {
        Ok(match self.byte()? {
            0 => Numeric::NaN,
            1 => Numeric::Infinity,
            2 => Numeric::NegativeInfinity,
            3 => {
                let scale = self.scale()?;
                Numeric::small(self.zigzag()?, scale)
            }
            4 => {
                let scale = self.scale()?;
                Numeric::finite(BigInt::from_signed_bytes_le(self.bytes()?), scale)
            }
            _ => return Err(malformed()),
        })
    }

    fn scale(&mut self) -> Result<i64> {
        u16::try_from(self.varint()?).map(i64::from).map_err(|_| malformed())
    }

    fn skip(&mut self, tag: u64) -> Result<()> {
        match tag {
            tag::NULL | tag::FALSE | tag::TRUE => {}
            tag::INT2 | tag::INT4 | tag::INT8 | tag::OID => drop(self.varint()?),
            tag::FLOAT4 | tag::DATE => drop(self.take(4)?),
            tag::FLOAT8 | tag::TIMESTAMP | tag::TIMESTAMPTZ => drop(self.take(8)?),
            tag::TEXT | tag::BYTEA => drop(self.bytes()?),
            tag::NUMERIC => self.skip_numeric()?,
            tag::OTHER if self.0.first() == Some(&tag::OTHER_KEYED) => {
                self.byte()?;
                self.bytes()?;
            }
            _ => drop(self.value(tag, 0)?),
        }
        Ok(())
    }

    fn skip_numeric(&mut self) -> Result<()> {
        match self.byte()? {
            0..=2 => {}
            3 => {
                self.scale()?;
                self.varint()?;
            }
            4 => {
                self.scale()?;
                self.bytes()?;
            }
            _ => return Err(malformed()),
        }
        Ok(())
    }
}

fn check_format(input: &mut Input<'_>) -> Result<()> {
    match input.byte()? {
        FORMAT => Ok(()),
        newer => Err(Error::new("XX001", format!("row format {newer} is newer than this program"))),
    }
}

/// Decodes the wanted columns of rows.
#[derive(Debug, Clone)]
pub struct RowDecoder {
    /// Ids and places, ascending.
    wanted: Vec<(u32, usize)>,
}

impl RowDecoder {
    /// Of these columns: each with the position in the row that [`RowDecoder::decode_into`] writes it to.
    pub fn new(wanted: impl IntoIterator<Item = (u32, usize)>) -> Self {
        let mut wanted: Vec<_> = wanted.into_iter().collect();
        wanted.sort_unstable();
        Self { wanted }
    }

    /// Writes each wanted column that the row holds into its place and leaves the other places alone: what is not
    /// stored is NULL, unless the place already holds a key's value or a default. Returns the schema version.
    pub fn decode_into(&self, bytes: &[u8], row: &mut [Datum]) -> Result<u32> {
        let mut input = Input(bytes);
        check_format(&mut input)?;
        let schema_version = u32::try_from(input.varint()?).map_err(|_| malformed())?;
        let mut wanted = self.wanted.iter();
        let Some((mut wanted_id, mut wanted_place)) = wanted.next().copied() else {
            return Ok(schema_version);
        };
        let mut id = 0u32;
        while !input.0.is_empty() {
            let (delta, tag) = input.head()?;
            id = id.checked_add(delta).ok_or_else(malformed)?;
            while wanted_id < id {
                match wanted.next() {
                    Some(next) => (wanted_id, wanted_place) = *next,
                    None => return Ok(schema_version),
                }
            }
            if wanted_id > id {
                input.skip(tag)?;
                continue;
            }
            let place = row.get_mut(wanted_place).ok_or_else(|| Error::internal("row has no such place"))?;
            *place = input.value(tag, 0)?;
            // Nothing is looked at behind the last that is wanted.
            match wanted.next() {
                Some(next) => (wanted_id, wanted_place) = *next,
                None => break,
            }
        }
        Ok(schema_version)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::datum::arbitrary::any_datum;

    fn same(left: &Datum, right: &Datum) -> bool {
        format!("{left:?}") == format!("{right:?}")
    }

    proptest! {
        #[test]
        fn rows_read_back_as_they_were_written(values in prop::collection::vec(any_datum(), 0..12), gap in 1u32..40) {
            let columns: Vec<_> = values.iter().enumerate().map(|(i, v)| ((i as u32 + 1) * gap, v)).collect();
            let bytes = encode_row(7, &columns).unwrap();
            let decoder = RowDecoder::new(columns.iter().enumerate().map(|(place, (id, _))| (*id, place)));
            let mut row = vec![Datum::Bool(true); values.len()];
            prop_assert_eq!(decoder.decode_into(&bytes, &mut row).unwrap(), 7);
            for (read, written) in row.iter().zip(&values) {
                prop_assert!(same(read, written), "{:?} was {:?}", read, written);
            }
        }

        #[test]
        fn one_wanted_column_is_found_among_others(values in prop::collection::vec(any_datum(), 1..12), pick: usize) {
            let columns: Vec<_> = values.iter().enumerate().map(|(i, v)| (i as u32 + 1, v)).collect();
            let bytes = encode_row(1, &columns).unwrap();
            let pick = pick % values.len();
            let mut row = vec![Datum::Null];
            RowDecoder::new([(pick as u32 + 1, 0), (1000, 5)]).decode_into(&bytes, &mut row).unwrap();
            prop_assert!(same(&row[0], &values[pick]));
        }

        #[test]
        fn garbage_is_an_error_or_a_row_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut bytes = bytes;
            bytes.insert(0, FORMAT);
            let mut row = vec![Datum::Null; 4];
            let _ = RowDecoder::new((1..5).map(|id| (id, id as usize - 1))).decode_into(&bytes, &mut row);
        }
    }

    #[test]
    fn columns_that_are_not_stored_leave_their_places_alone() {
        let bytes = encode_row(1, &[(2, &Datum::Int4(5)), (4, &Datum::Null)]).unwrap();
        let mut row = vec![Datum::Int4(1), Datum::Int4(2), Datum::Int4(3), Datum::Int4(4)];
        RowDecoder::new((1..5).map(|id| (id, id as usize - 1))).decode_into(&bytes, &mut row).unwrap();
        assert!(matches!(row[..], [Datum::Int4(1), Datum::Int4(5), Datum::Int4(3), Datum::Null]));
    }

    #[test]
    fn nothing_is_looked_at_behind_the_last_wanted_column() {
        let mut bytes = encode_row(3, &[(1, &Datum::Int4(5)), (4, &Datum::from("x"))]).unwrap();
        let whole = bytes.len();
        bytes.push(tag::NULL as u8);
        let mut row = vec![Datum::Null; 2];
        assert!(RowDecoder::new([(1, 0), (9, 1)]).decode_into(&bytes, &mut row).is_err());
        assert_eq!(RowDecoder::new([(1, 0), (4, 1)]).decode_into(&bytes, &mut row).unwrap(), 3);
        assert!(matches!(&row[..], [Datum::Int4(5), Datum::Text(text)] if &**text == "x"));
        assert_eq!(RowDecoder::new([]).decode_into(&bytes[..2], &mut []).unwrap(), 3);
        assert!(RowDecoder::new([(4, 1)]).decode_into(&bytes[..whole - 1], &mut row).is_err());
    }

    #[test]
    fn newer_formats_are_refused() {
        assert!(RowDecoder::new([]).decode_into(&[9, 0], &mut []).is_err());
    }
}
