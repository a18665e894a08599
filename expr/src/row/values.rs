//! Values that leave memory for a while: any values, records included, one after the other, without ids.
//!
//! ```text
//! values   number (varint)  column…      each column as in a row, one further than the one before
//! ```

use super::{Input, malformed, put_column, put_varint};
use crate::datum::Datum;
use crate::error::Result;

/// Appends the values.
pub fn put_values(values: &[Datum], out: &mut Vec<u8>) {
    put_varint(values.len() as u64, out);
    for value in values {
        put_column(1, value, out);
    }
}

/// Reads what [`put_values`] has appended, and leaves `bytes` behind it.
///
/// # Errors
/// XX001: the bytes are nothing of that kind.
pub fn take_values(bytes: &mut &[u8]) -> Result<Vec<Datum>> {
    let mut input = Input(bytes);
    let count = usize::try_from(input.varint()?).map_err(|_| malformed())?;
    let mut values = Vec::with_capacity(count.min(input.0.len()));
    for _ in 0..count {
        let (_, tag) = input.head()?;
        values.push(input.value(tag, 0)?);
    }
    *bytes = input.0;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::datum::arbitrary::any_datum;
    use crate::datum::record::{Record, Shape};
    use crate::types::{Symbol, Type, TypeKind};

    fn record(fields: Vec<Datum>) -> Datum {
        let names = (0..fields.len()).map(|place| (format!("f{place}"), Type::numeric(10, 2)));
        Datum::Record(Arc::new(Record::new(Arc::new(Shape::new(names)), fields).unwrap()))
    }

    proptest! {
        #[test]
        fn values_read_back_as_they_were_written(rows in prop::collection::vec(prop::collection::vec(any_datum(), 0..6), 0..6)) {
            let mut out = Vec::new();
            let rows: Vec<Vec<Datum>> = rows
                .into_iter()
                .map(|mut row| {
                    row.push(record(row.clone()));
                    row
                })
                .collect();
            rows.iter().for_each(|row| put_values(row, &mut out));
            let mut rest = out.as_slice();
            for row in &rows {
                prop_assert_eq!(format!("{:?}", take_values(&mut rest).unwrap()), format!("{row:?}"));
            }
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn garbage_is_an_error_or_values_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = take_values(&mut bytes.as_slice());
        }
    }

    #[test]
    fn values_of_made_types_read_back() {
        let made = |oid, like| TypeKind::made(oid, like, Symbol::NONE);
        let (pair, mood) = (made(20_000, TypeKind::Record), made(20_010, TypeKind::Enum));
        let kinds =
            [pair, mood, pair.array().unwrap(), mood.array().unwrap(), made(20_020, TypeKind::Int4Array)];
        let names = kinds.iter().map(|kind| ("f".to_owned(), Type::plain(*kind)));
        let composite = Record::composite(vec![Datum::Int4(1), Datum::Null]).unwrap();
        let fields = vec![Datum::Record(Arc::new(composite)), Datum::Bytea(vec![0, 1].into())];
        let value = Datum::Record(Arc::new(Record::new(Arc::new(Shape::new(names)), fields).unwrap()));
        let mut out = Vec::new();
        put_values(std::slice::from_ref(&value), &mut out);
        let read = take_values(&mut out.as_slice()).unwrap();
        let [Datum::Record(record)] = read.as_slice() else { panic!("one record: {read:?}") };
        assert!(record.shape().unwrap().types().iter().zip(kinds).all(|(ty, kind)| ty.kind == kind));
        assert_eq!(format!("{read:?}"), format!("{:?}", [value]));
    }

    #[test]
    fn records_as_deep_as_they_may_nest_read_back() {
        let mut value = Datum::Int4(1);
        for _ in 0..1000 {
            let shape = Arc::new(Shape::new([("f1".to_owned(), Type::plain(TypeKind::Record))]));
            value = Datum::Record(Arc::new(Record::new(shape, vec![value]).unwrap()));
        }
        let mut out = Vec::new();
        put_values(std::slice::from_ref(&value), &mut out);
        assert_eq!(format!("{:?}", take_values(&mut out.as_slice()).unwrap()), format!("{:?}", [value]));
    }
}
