//! Patching: an encoded row of which some columns change. The others are copied as they stand, without being decoded.

use super::{FORMAT, Input, check_format, malformed, put_column, put_varint};
use crate::datum::Datum;
use crate::error::{Error, Result};

/// The row with these columns changed, whose ids must ascend from 1: what [`super::encode_row`] would make of all of
/// its columns. `None`: the column is not stored from now on. A NULL that is stored stays.
///
/// # Errors
/// XX001: the bytes are no row, or one of a newer format.
pub fn patch_row(bytes: &[u8], schema_version: u32, changes: &[(u32, Option<&Datum>)]) -> Result<Vec<u8>> {
    let mut input = Input(bytes);
    check_format(&mut input)?;
    input.varint()?;
    let mut patched = Patched { out: Vec::with_capacity(bytes.len() + 8 + changes.len() * 10), last: 0 };
    patched.out.push(FORMAT);
    put_varint(u64::from(schema_version), &mut patched.out);
    let mut changes = changes.iter().peekable();
    let mut id = 0u32;
    while !input.0.is_empty() {
        let (delta, tag) = input.head()?;
        id = id.checked_add(delta).ok_or_else(malformed)?;
        while let Some((changed, value)) = changes.next_if(|(changed, _)| *changed < id) {
            patched.put(*changed, *value)?;
        }
        let stored = input.0;
        input.skip(tag)?;
        if let Some((changed, value)) = changes.next_if(|(changed, _)| *changed == id) {
            patched.put(*changed, *value)?;
            continue;
        }
        let length = stored.len() - input.0.len();
        patched.copy(id, tag, stored.get(..length).ok_or_else(malformed)?)?;
    }
    for (changed, value) in changes {
        patched.put(*changed, *value)?;
    }
    Ok(patched.out)
}

/// The new row as far as it is written.
struct Patched {
    out: Vec<u8>,
    /// The id of the last column that was stored.
    last: u32,
}

impl Patched {
    fn step(&mut self, id: u32) -> Result<u32> {
        let delta = id.checked_sub(self.last).filter(|delta| *delta > 0);
        self.last = id;
        delta.ok_or_else(|| Error::internal("columns of a row out of order"))
    }

    fn put(&mut self, id: u32, value: Option<&Datum>) -> Result<()> {
        if let Some(value) = value {
            let delta = self.step(id)?;
            put_column(delta, value, &mut self.out);
        }
        Ok(())
    }

    fn copy(&mut self, id: u32, tag: u64, value: &[u8]) -> Result<()> {
        let delta = self.step(id)?;
        put_varint(u64::from(delta) << 4 | tag, &mut self.out);
        self.out.extend_from_slice(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::encode_row;
    use super::*;
    use crate::datum::arbitrary::any_datum;

    fn encoded(version: u32, columns: &BTreeMap<u32, Datum>) -> Vec<u8> {
        let stored: Vec<_> = columns.iter().map(|(id, value)| (*id, value)).collect();
        encode_row(version, &stored).unwrap()
    }

    fn columns() -> impl Strategy<Value = BTreeMap<u32, Datum>> {
        prop::collection::btree_map(1u32..40, any_datum(), 0..8)
    }

    proptest! {
        #[test]
        fn a_patched_row_is_the_one_that_would_have_been_encoded(
            old in columns(), changes in columns(), gone in prop::collection::btree_set(1u32..40, 0..4),
            version in any::<u32>()
        ) {
            let row = encoded(1, &old);
            let mut changed: BTreeMap<u32, Option<&Datum>> =
                changes.iter().map(|(id, value)| (*id, Some(value))).collect();
            changed.extend(gone.iter().map(|id| (*id, None)));
            let changed: Vec<_> = changed.into_iter().collect();
            let patched = patch_row(&row, version, &changed).unwrap();
            let mut new = old.clone();
            new.extend(changes.clone());
            new.retain(|id, _| !gone.contains(id));
            prop_assert_eq!(patched, encoded(version, &new));
        }

        #[test]
        fn garbage_is_an_error_or_a_row_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut bytes = bytes;
            bytes.insert(0, FORMAT);
            let _ = patch_row(&bytes, 1, &[(2, Some(&Datum::Int4(7))), (9, None)]);
        }
    }

    #[test]
    fn newer_formats_are_refused() {
        assert!(patch_row(&[9, 0], 1, &[]).is_err());
    }
}
