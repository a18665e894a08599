//! Keys of a store's own metadata, which is not replicated.
//!
//! ```text
//! 'l' name              a row of this store: its identity, format version, …
//! 'l' name 0 range id   a row of this store about a range; the range id is 8 bytes, big-endian
//! ```

use bytes::Bytes;

use crate::keyspace::STORE;
use crate::span::Span;

/// A row of this store. Names have no zero byte.
pub fn named(name: &str) -> Bytes {
    [&[STORE], name.as_bytes()].concat().into()
}

/// A row of this store about a range.
pub fn of_range(name: &str, range_id: u64) -> Bytes {
    [&[STORE], name.as_bytes(), &[0], &range_id.to_be_bytes()].concat().into()
}

/// All rows of this store of one name about ranges.
pub fn of_ranges(name: &str) -> Span {
    Span::prefix([&[STORE], name.as_bytes(), &[0]].concat())
}
