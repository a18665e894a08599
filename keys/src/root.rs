//! The root range's own rows.
//!
//! ```text
//! 'r' 'c'               cluster id, 16 bytes
//! 'r' 'n' node id       a node's registration
//! 'r' 'd' range id      the directory's entry of a range
//! 'r' 'i' name          an id counter: the next id to hand out, u64
//! 'r' 'o'               the oracle's reserved window: an upper bound of timestamps, u64
//! 'r' 'h'               how long history is kept
//! ```
//!
//! Ids are 8 bytes, big-endian.

use bytes::Bytes;

use crate::keyspace::ROOT;
use crate::span::Span;

fn key(kind: u8, rest: &[u8]) -> Bytes {
    [&[ROOT, kind], rest].concat().into()
}

/// All of the root range's rows.
pub fn span() -> Span {
    Span::prefix(vec![ROOT])
}

/// The cluster id.
pub fn cluster_id() -> Bytes {
    key(b'c', &[])
}

/// A node's registration.
pub fn node(node_id: u64) -> Bytes {
    key(b'n', &node_id.to_be_bytes())
}

/// All nodes' registrations.
pub fn nodes() -> Span {
    Span::prefix(key(b'n', &[]))
}

/// The directory's entry of a range.
pub fn directory(range_id: u64) -> Bytes {
    key(b'd', &range_id.to_be_bytes())
}

/// The whole directory.
pub fn directories() -> Span {
    Span::prefix(key(b'd', &[]))
}

/// An id counter.
pub fn counter(name: &str) -> Bytes {
    key(b'i', name.as_bytes())
}

/// How long history is kept.
pub fn history() -> Bytes {
    key(b'h', &[])
}

/// The oracle's reserved window.
pub fn oracle_window() -> Bytes {
    key(b'o', &[])
}
