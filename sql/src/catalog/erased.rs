//! What was erased of the history of indexes: rows of the catalog, one for each index.
//!
//! ```text
//! key   = index 42, index id (u64), suffix 0
//! value = protobuf ErasedRecord
//!         version = 1            a reader refuses what is newer than it knows
//!         before (timestamp)     of all rows nothing is known any more of what was before; 0: not of all
//!         rows before            of some rows the same; 0: of none
//!         who erased last
//! ```
//!
//! The row is written before anything is erased, by a transaction that has found no branch over what is to go; whoever makes a branch
//! relies on it that none says more than its moment allows. It goes with the index.

use bytes::Bytes;
use keys::Span;
use keys::sql::{SUFFIX_ROW, TENANT_DEFAULT};
use prost::Message;

use super::IndexId;
use crate::error::{Error, Result};

/// The index of these rows.
const ERASED: u64 = 42;

/// The newest version of a row that this code reads, and the one it writes.
const VERSION: u32 = 1;

/// What was erased of an index's history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Erased {
    /// What all of it was before this timestamp; 0: not of all.
    pub before: u64,
    /// What some of its rows were before this one; 0: of none.
    pub rows_before: u64,
    /// Who erased last.
    pub role: String,
}

impl Erased {
    /// From when on all of the index can be read, as far as that was erased.
    pub fn until(&self) -> u64 {
        self.before.max(self.rows_before)
    }

    /// The same after more was erased.
    #[must_use]
    pub fn and(&self, more: &Self) -> Self {
        Self {
            before: self.before.max(more.before),
            rows_before: self.rows_before.max(more.rows_before),
            role: more.role.clone(),
        }
    }
}

/// The row that stands for an index.
pub fn key(index: IndexId) -> Bytes {
    let mut key = keys::sql::index_prefix(TENANT_DEFAULT, ERASED).to_vec();
    key.extend_from_slice(&index.to_be_bytes());
    key.push(SUFFIX_ROW);
    key.into()
}

/// The index that a row stands for.
pub fn index_of(key: &[u8]) -> Option<IndexId> {
    let prefix = keys::sql::index_prefix(TENANT_DEFAULT, ERASED);
    let id = key.strip_prefix(prefix.as_ref())?.strip_suffix(&[SUFFIX_ROW])?;
    Some(u64::from_be_bytes(id.try_into().ok()?))
}

/// Where the rows are.
pub fn span() -> Span {
    keys::sql::index_span(TENANT_DEFAULT, ERASED)
}

#[derive(Clone, PartialEq, Message)]
struct ErasedRecord {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(uint64, tag = "2")]
    before: u64,
    #[prost(uint64, tag = "3")]
    rows_before: u64,
    #[prost(string, tag = "4")]
    role: String,
}

/// The value of an index's row.
pub fn encode(erased: &Erased) -> Bytes {
    let Erased { before, rows_before, role } = erased.clone();
    ErasedRecord { version: VERSION, before, rows_before, role }.encode_to_vec().into()
}

/// What the row of an index says. XX001 if it is damaged, 0A000 if it is newer than this code.
pub fn decode(value: &[u8]) -> Result<Erased> {
    let record = ErasedRecord::decode(value).map_err(|why| {
        Error::new("XX001", format!("the catalog's row of what was erased is damaged: {why}"))
    })?;
    let ErasedRecord { version, before, rows_before, role } = record;
    if version > VERSION {
        let message = format!("the row of what was erased was written by a newer version (format {version})");
        return Err(Error::new("0A000", message));
    }
    Ok(Erased { before, rows_before, role })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_back_and_a_newer_one_refused() {
        let some = Erased { before: 0, rows_before: 7, role: "a".to_owned() };
        let all = Erased { before: 5, rows_before: 0, role: "b".to_owned() };
        assert_eq!(decode(&encode(&some)).unwrap(), some);
        let both = some.and(&all);
        assert_eq!((both.until(), both.before, both.role.as_str()), (7, 5, "b"));
        assert_eq!(index_of(&key(7_000)), Some(7_000));
        assert!(span().contains(&key(7_000)));
        let newer = ErasedRecord { version: VERSION + 1, ..ErasedRecord::default() }.encode_to_vec();
        assert_eq!(decode(&newer).unwrap_err().sqlstate, "0A000");
        assert!(decode(b"\xff").is_err());
    }
}
