//! Arrays in PostgreSQL's binary format.
//!
//! ```text
//! i32 dimensions, i32 whether there are NULLs, u32 element type, per dimension i32 length and i32 lower bound, then per
//! element i32 length (-1 = NULL) and its bytes
//! ```

use crate::binary::{Input, malformed};
use crate::datum::Datum;
use crate::datum::array::{self, Array, DIMENSIONS_MAX, Dimension, ELEMENTS_MAX};
use crate::error::{Error, Result};
use crate::session::SessionContext;
use crate::types::TypeKind;
use crate::work;

pub(super) fn receive(input: &mut Input<'_>, kind: TypeKind, session: &SessionContext) -> Result<Datum> {
    let element = kind.element().ok_or_else(|| malformed("wrong element type"))?;
    let (dimensions, _has_nulls) = (input.i32()?, input.i32()?);
    let oid = u32::from_be_bytes(input.array()?);
    if oid != element.oid() {
        return Err(Error::new("42804", "wrong element type"));
    }
    let dimensions = usize::try_from(dimensions).map_err(|_| malformed("invalid number of dimensions"))?;
    if dimensions > DIMENSIONS_MAX {
        return Err(array::too_many_dimensions(dimensions));
    }
    let mut shape = Vec::with_capacity(dimensions);
    let mut count = usize::from(dimensions > 0);
    for _ in 0..dimensions {
        let (length, lower) = (input.i32()?, input.i32()?);
        shape.push(Dimension { length, lower });
        let length = usize::try_from(length).map_err(|_| malformed("invalid array size"))?;
        count =
            count.checked_mul(length).filter(|count| *count <= ELEMENTS_MAX).ok_or_else(array::too_large)?;
    }
    let mut items = Vec::with_capacity(count.min(input.len() / 4));
    let mut bytes = 0_usize;
    for _ in 0..count {
        let length = input.i32()?;
        let item = match usize::try_from(length) {
            Ok(length) => super::receive(input.take(length)?, element.into(), session)?,
            Err(_) => super::judged(Datum::Null, element, session)?,
        };
        bytes = work::fits(bytes.saturating_add(item.size_bytes()))?;
        work::step(1)?;
        items.push(item);
    }
    Array::shaped(items, &shape).map(Datum::Array)
}

pub(super) fn send(items: &Array, kind: TypeKind, session: &SessionContext, out: &mut Vec<u8>) -> Result<()> {
    let element = kind.element().ok_or_else(|| Error::internal("array of a type that is none"))?;
    let has_nulls = items.iter().any(Datum::is_null);
    out.extend_from_slice(&(items.dimension_count() as i32).to_be_bytes());
    out.extend_from_slice(&i32::from(has_nulls).to_be_bytes());
    out.extend_from_slice(&element.oid().to_be_bytes());
    for dimension in items.dimensions() {
        out.extend_from_slice(&dimension.length.to_be_bytes());
        out.extend_from_slice(&dimension.lower.to_be_bytes());
    }
    for item in items.iter() {
        if item.is_null() {
            out.extend_from_slice(&(-1i32).to_be_bytes());
            continue;
        }
        let mut bytes = Vec::new();
        super::send(item, element.into(), session, &mut bytes)?;
        out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
        out.extend_from_slice(&bytes);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::codec::{receive, send};
    use crate::datum::Datum;
    use crate::datum::arbitrary::datum_of;
    use crate::session::SessionContext;
    use crate::types::TypeKind;

    fn value() -> impl Strategy<Value = (TypeKind, Datum)> {
        prop::sample::select(vec![
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
            TypeKind::Interval,
            TypeKind::Uuid,
        ])
        .prop_flat_map(|kind| (Just(kind), datum_of(kind)))
    }

    proptest! {
        #[test]
        fn binary_values_read_back((kind, value) in value()) {
            let mut bytes = Vec::new();
            send(&value, kind.into(), &SessionContext::default(), &mut bytes).unwrap();
            let read = receive(&bytes, kind.into(), &SessionContext::default()).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{value:?}"));
        }

        #[test]
        fn garbage_is_an_error_or_a_value_but_never_a_panic(
            kind in prop::sample::select(TypeKind::all().collect::<Vec<_>>()), bytes in prop::collection::vec(any::<u8>(), 0..32)
        ) {
            let _ = receive(&bytes, kind.into(), &SessionContext::default());
        }
    }

    #[test]
    fn numeric_is_sent_as_postgresql_sends_it() {
        let mut bytes = Vec::new();
        send(
            &Datum::Numeric(crate::numeric::parse("-12345.678").unwrap()),
            TypeKind::Numeric.into(),
            &SessionContext::default(),
            &mut bytes,
        )
        .unwrap();
        assert_eq!(bytes, [0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c]);
    }

    #[test]
    fn arrays_read_back() {
        let array = Datum::Array([Datum::Int4(1), Datum::Null, Datum::Int4(3)].into());
        let mut bytes = Vec::new();
        send(&array, TypeKind::Int4Array.into(), &SessionContext::default(), &mut bytes).unwrap();
        let read = receive(&bytes, TypeKind::Int4Array.into(), &SessionContext::default()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{array:?}"));
    }
}
