//! The list of indexes that are out of use, whose keys are still there.
//!
//! ```text
//! dropped index     index 2, index id (u64), suffix 0     nothing
//! ```
//!
//! The transaction that gives an index up puts it on the list; once nobody can read its keys any more, somebody deletes them
//! and takes it off.

use bytes::Bytes;
use keys::Span;
use keys::sql::{SUFFIX_ROW, TENANT_DEFAULT};

use super::IndexId;

/// The index of dropped indexes.
const DROPPED: u64 = 2;

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
    }
}
