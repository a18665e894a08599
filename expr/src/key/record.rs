//! Values of composite types in keys: field by field, each behind a byte that says what kind of value it is, for the key's
//! type does not say it. Of one type's values all fields in one place are of one kind, so that the byte orders nothing, but
//! that NULL comes last, and where all are NULL from there on, that comes behind it: these are not said one by one, so that
//! a value that lacks them has the same key.
//!
//! ```text
//! record   part… 255
//! part     254 of a NULL | kind, and the value as a column of its own | 100 array | 101 record
//! array    part… 0   dimensions
//! ```

use std::sync::Arc;

use keys::encode::{self, Direction, Malformed};

use super::{decode_datum, encode_datum, put_dimensions, take_dimensions};
use crate::datum::Datum;
use crate::datum::array::Array;
use crate::datum::record::Record;
use crate::error::{Error, Result};
use crate::types::TypeKind;

const END_OF_ARRAY: u8 = 0;
const ARRAY: u8 = 100;
const RECORD: u8 = 101;
const NULL: u8 = 254;
const END_OF_RECORD: u8 = 255;

/// Types whose values are of a kind each; the byte of the first is 1.
const KINDS: [TypeKind; 16] = [
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
    // Any that has a key: which, that says.
    TypeKind::Numrange,
];

/// Records nest no deeper in keys: a little deeper than types do.
const DEPTH_MAX: usize = 100;

/// The type of a value that is neither NULL nor made of others.
fn kind_of(value: &Datum) -> Option<TypeKind> {
    Some(match value {
        Datum::Bool(_) => TypeKind::Bool,
        Datum::Int2(_) => TypeKind::Int2,
        Datum::Int4(_) => TypeKind::Int4,
        Datum::Int8(_) => TypeKind::Int8,
        Datum::Oid(_) => TypeKind::Oid,
        Datum::Float4(_) => TypeKind::Float4,
        Datum::Float8(_) => TypeKind::Float8,
        Datum::Numeric(_) => TypeKind::Numeric,
        Datum::Text(_) => TypeKind::Text,
        Datum::Bytea(_) => TypeKind::Bytea,
        Datum::Date(_) => TypeKind::Date,
        Datum::Timestamp(_) => TypeKind::Timestamp,
        Datum::Timestamptz(_) => TypeKind::Timestamptz,
        Datum::Interval(_) => TypeKind::Interval,
        Datum::Uuid(_) => TypeKind::Uuid,
        Datum::Keyed(_) => TypeKind::Numrange,
        Datum::Null | Datum::Json(_) | Datum::Array(_) | Datum::Record(_) => return None,
    })
}

/// Appends a record in ascending form. 0A000 if it holds what cannot stand in a key.
pub(super) fn put(record: &Record, out: &mut Vec<u8>) -> Result<()> {
    record.given().iter().try_for_each(|field| put_part(field, out))?;
    out.push(END_OF_RECORD);
    Ok(())
}

fn put_part(value: &Datum, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Datum::Null => out.push(NULL),
        Datum::Array(items) => {
            out.push(ARRAY);
            items.iter().try_for_each(|item| put_part(item, out))?;
            out.push(END_OF_ARRAY);
            put_dimensions(items, out);
        }
        Datum::Record(record) => {
            out.push(RECORD);
            put(record, out)?;
        }
        value => {
            let kind = kind_of(value).ok_or_else(|| Error::unsupported("keys with documents in them"))?;
            let place = KINDS.iter().zip(1..).find(|(own, _)| **own == kind);
            out.push(place.map_or(NULL, |(_, place)| place));
            encode_datum(value, kind.into(), Direction::Ascending, out)?;
        }
    }
    Ok(())
}

/// Reads what [`put`] wrote. A descending one is its complement.
pub(super) fn take(input: &mut &[u8], descending: bool) -> Result<Record> {
    take_record(input, descending, 0)
}

fn take_record(input: &mut &[u8], descending: bool, depth: usize) -> Result<Record> {
    Record::composite(take_parts(input, descending, depth, END_OF_RECORD)?)
}

fn take_parts(input: &mut &[u8], descending: bool, depth: usize, end: u8) -> Result<Vec<Datum>> {
    let mut parts = Vec::new();
    loop {
        let [kind] = encode::take_array(input, descending)?;
        if kind == end {
            return Ok(parts);
        }
        parts.push(take_part(kind, input, descending, depth)?);
    }
}

fn take_part(kind: u8, input: &mut &[u8], descending: bool, depth: usize) -> Result<Datum> {
    let direction = if descending { Direction::Descending } else { Direction::Ascending };
    Ok(match kind {
        NULL => Datum::Null,
        ARRAY | RECORD if depth >= DEPTH_MAX => return Err(Malformed("record").into()),
        ARRAY => {
            let items = take_parts(input, descending, depth.saturating_add(1), END_OF_ARRAY)?;
            let dimensions = take_dimensions(input, descending)?;
            Datum::Array(Array::shaped(items, &dimensions).map_err(|_| Error::from(Malformed("array")))?)
        }
        RECORD => Datum::Record(Arc::new(take_record(input, descending, depth.saturating_add(1))?)),
        kind => {
            let place = usize::from(kind).checked_sub(1);
            let kind = place.and_then(|place| KINDS.get(place)).ok_or(Malformed("record"))?;
            decode_datum(input, (*kind).into(), direction)?
        }
    })
}

/// Whether [`take`] gives back exactly this value, but for what is NULL at its end.
pub(super) fn restores(value: &Datum) -> bool {
    match value {
        Datum::Null => true,
        Datum::Array(items) => items.iter().all(restores),
        Datum::Record(record) => record.fields().iter().all(restores),
        value => kind_of(value).is_some_and(|kind| super::restores(value, kind.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;
    use std::hash::{DefaultHasher, Hasher};

    use proptest::prelude::*;

    use super::*;
    use crate::compare::{compare, group_hash};
    use crate::datum::arbitrary::datum_of;

    /// Two fields' values each, those in one place of one type; enough of them alike that the second counts.
    fn pairs() -> impl Strategy<Value = (Vec<Datum>, Vec<Datum>)> {
        let kind =
            || prop::sample::select(vec![TypeKind::Int4, TypeKind::Text, TypeKind::Numeric, TypeKind::Bool]);
        let field = |kind| prop_oneof![1 => Just(Datum::Null), 4 => datum_of(kind)];
        (kind(), kind()).prop_flat_map(move |(one, two)| {
            (field(one), field(two), field(one), field(two), any::<bool>()).prop_map(|(a, b, c, d, alike)| {
                let c = if alike { a.clone() } else { c };
                (vec![a, b], vec![c, d])
            })
        })
    }

    fn record(fields: Vec<Datum>) -> Datum {
        Datum::Record(Arc::new(Record::composite(fields).unwrap()))
    }

    fn encoded(value: &Datum, direction: Direction) -> Vec<u8> {
        let mut out = Vec::new();
        encode_datum(value, TypeKind::Record.into(), direction, &mut out).unwrap();
        out
    }

    proptest! {
        #[test]
        fn keys_order_as_records_do((left, right) in pairs()) {
            let (left, right) = (record(left), record(right));
            let order = compare(&left, &right);
            let keys = |direction| encoded(&left, direction).cmp(&encoded(&right, direction));
            prop_assert_eq!(keys(Direction::Ascending), order);
            prop_assert_eq!(keys(Direction::Descending), order.reverse());
        }

        #[test]
        fn what_is_lacking_at_the_end_is_null((mut left, right) in pairs(), lacking in 0_usize..3) {
            let whole = record(left.clone());
            left.truncate(left.len().saturating_sub(lacking));
            let short = record(left.clone());
            left.resize(2, Datum::Null);
            let (left, right) = (record(left), record(right));
            prop_assert_eq!(compare(&short, &left), Ordering::Equal);
            prop_assert_eq!(compare(&short, &right), compare(&left, &right));
            prop_assert_eq!(compare(&whole, &short), compare(&whole, &left));
            prop_assert_eq!(encoded(&short, Direction::Ascending), encoded(&left, Direction::Ascending));
            let hash = |value: &Datum| {
                let mut hasher = DefaultHasher::new();
                group_hash(value, &mut hasher);
                hasher.finish()
            };
            prop_assert_eq!(hash(&short), hash(&left));
        }

        #[test]
        fn what_is_restored_reads_back((fields, _) in pairs(), descending in any::<bool>()) {
            let direction = if descending { Direction::Descending } else { Direction::Ascending };
            let array = Datum::Array(vec![Datum::Int4(1), Datum::Null].into());
            let inner = record([fields.clone(), vec![Datum::Bool(true)]].concat());
            let value = record([fields, vec![array, inner]].concat());
            let key = encoded(&value, direction);
            let mut rest = key.as_slice();
            let read = decode_datum(&mut rest, TypeKind::Record.into(), direction).unwrap();
            prop_assert!(rest.is_empty());
            prop_assert!(compare(&read, &value).is_eq());
            if restores(&value) {
                prop_assert_eq!(format!("{read:?}"), format!("{value:?}"));
            }
        }

        #[test]
        fn garbage_is_an_error_or_a_record_but_never_a_panic(bytes in prop::collection::vec(prop_oneof![0u8..20, 100u8..102, any::<u8>()], 0..64)) {
            let _ = decode_datum(&mut bytes.as_slice(), TypeKind::Record.into(), Direction::Ascending);
        }
    }
}
