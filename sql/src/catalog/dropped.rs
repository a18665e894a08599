//! The list of indexes that are out of use, whose keys are still there.
//!
//! ```text
//! dropped index     index 2, index id (u64), suffix 0     nothing; of a table: format 1 (u8), oids of its database and itself (u32);
//!                                                         settled: format 2 (u8), when it was given up (u64), and what it said before
//! ```
//!
//! The transaction that gives an index up puts it on the list. Until it is settled UNDROP TABLE may take it off again. Once
//! nobody can read its keys any more, somebody settles it, deletes them and takes it off.

use bytes::Bytes;
use keys::Span;
use keys::sql::{SUFFIX_ROW, TENANT_DEFAULT};

use super::{IndexId, Oid};

/// The index of dropped indexes.
const DROPPED: u64 = 2;

/// The format of what a row says.
const FORMAT: u8 = 1;

/// The format of what it says once nobody has the index back any more.
const FORMAT_SETTLED: u8 = 2;

/// The row that stands for an index.
pub fn key(index: IndexId) -> Bytes {
    let mut key = keys::sql::index_prefix(TENANT_DEFAULT, DROPPED).to_vec();
    key.extend_from_slice(&index.to_be_bytes());
    key.push(SUFFIX_ROW);
    key.into()
}

/// The index that a row stands for.
pub fn index_of(key: &[u8]) -> Option<IndexId> {
    let prefix = keys::sql::index_prefix(TENANT_DEFAULT, DROPPED);
    let id = key.strip_prefix(prefix.as_ref())?.strip_suffix(&[SUFFIX_ROW])?;
    Some(u64::from_be_bytes(id.try_into().ok()?))
}

/// What the row of a table's index says.
pub fn value(database: Oid, table: Oid) -> Bytes {
    [&[FORMAT][..], &database.to_be_bytes(), &table.to_be_bytes()].concat().into()
}

/// The oids of the database and the table whose index it was; `None`: the row does not say, or in a way that this code does
/// not know.
pub fn table_of(value: &[u8]) -> Option<(Oid, Oid)> {
    let value = match settled(value) {
        Some((_, before)) => before,
        None => value,
    };
    let (database, table) = value.strip_prefix(&[FORMAT])?.split_at_checked(4)?;
    Some((u32::from_be_bytes(database.try_into().ok()?), u32::from_be_bytes(table.try_into().ok()?)))
}

/// What a row says from now on: its index was given up at this timestamp, and nobody has it back.
pub fn settle(value: &[u8], given_up: u64) -> Bytes {
    [&[FORMAT_SETTLED][..], &given_up.to_be_bytes(), value].concat().into()
}

/// When an index was given up that nobody has back, and what its row said before; `None`: somebody may.
pub fn settled(value: &[u8]) -> Option<(u64, &[u8])> {
    let (given_up, before) = value.strip_prefix(&[FORMAT_SETTLED])?.split_first_chunk()?;
    Some((u64::from_be_bytes(*given_up), before))
}

/// Where the rows are.
pub fn span() -> Span {
    keys::sql::index_span(TENANT_DEFAULT, DROPPED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_stands_for_its_index() {
        assert_eq!(index_of(&key(7_000)), Some(7_000));
        assert!(span().contains(&key(7_000)));
        assert_eq!(index_of(b"else"), None);
        assert_eq!(table_of(&value(5, 20_000)), Some((5, 20_000)));
        assert_eq!((table_of(b""), table_of(b"\x03abcdefgh")), (None, None));
        assert_eq!((settled(b""), settled(&value(5, 20_000))), (None, None));
        let given_up = settle(&value(5, 20_000), 7);
        assert_eq!(settled(&given_up), Some((7, value(5, 20_000).as_ref())));
        assert_eq!(table_of(&given_up), Some((5, 20_000)));
        assert_eq!((settled(&settle(b"", 8)), table_of(&settle(b"", 8))), (Some((8, &b""[..])), None));
    }
}
