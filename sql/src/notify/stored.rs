//! The queue as rows.
//!
//! ```text
//! key = the prefix of index QUEUE, a kind, and        value = protobuf, each with the version of its format
//!   1                      suffix 0                   Mark: the head, the newest row
//!   2  id of a gateway     suffix 0                   Reader: up to where that gateway has read, and when it last said so
//!   3                      suffix 0                   Mark: the tail, the last row that was deleted
//!   4  number, big-endian  suffix 0                   Row: some notifications of one transaction
//! ```
//!
//! # Invariants
//! - Numbers are given by transactions that hold the head's lock, without gaps, and in the order of their commits: who sees a
//!   row sees all before it, or the tail that is past them.
//! - `bytes` of a row, of the head and of the tail count all rows from the first ever to that one.
//! - The tail is not past the head, nor past any reader that is heard of.

use bytes::Bytes;
use keys::Span;
use keys::sql::{SUFFIX_ROW, TENANT_DEFAULT};
use prost::Message;

use super::notification::Speaker;
use crate::error::{Error, Result};

/// The index id of the keys.
const QUEUE: u64 = 21;

/// The newest version of the rows that this code reads, and the one it writes.
const VERSION: u32 = 1;

const HEAD: u8 = 1;
const READER: u8 = 2;
const TAIL: u8 = 3;
const ROW: u8 = 4;

/// Where in the queue something is.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Mark {
    #[prost(uint32, tag = "1")]
    version: u32,
    /// The number of a row; 0: before the first.
    #[prost(uint64, tag = "2")]
    pub(super) number: u64,
    /// The bytes of all rows up to it.
    #[prost(uint64, tag = "3")]
    pub(super) bytes: u64,
}

/// A gateway that reads.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Reader {
    #[prost(uint32, tag = "1")]
    version: u32,
    /// The last row that it has read.
    #[prost(uint64, tag = "2")]
    pub(super) number: u64,
    /// When it said so, by the cluster's clock.
    #[prost(uint64, tag = "3")]
    pub(super) at_ms: u64,
}

/// Some notifications of one transaction.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Row {
    #[prost(uint32, tag = "1")]
    version: u32,
    /// The bytes of all rows up to this one.
    #[prost(uint64, tag = "2")]
    pub(super) bytes: u64,
    /// The session that sent them.
    #[prost(int32, tag = "3")]
    pub(super) pid: i32,
    #[prost(message, repeated, tag = "4")]
    pub(super) notes: Vec<Note>,
    /// The database whose sessions they are for.
    #[prost(uint32, tag = "5")]
    pub(super) database: u32,
}

/// One of them.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Note {
    #[prost(string, tag = "1")]
    pub(super) channel: String,
    #[prost(string, tag = "2")]
    pub(super) payload: String,
}

impl Mark {
    pub(super) fn new(number: u64, bytes: u64) -> Self {
        Self { version: VERSION, number, bytes }
    }
}

impl Reader {
    pub(super) fn new(number: u64, at_ms: u64) -> Self {
        Self { version: VERSION, number, at_ms }
    }
}

impl Row {
    pub(super) fn new(bytes: u64, from: Speaker, notes: Vec<Note>) -> Self {
        Self { version: VERSION, bytes, pid: from.pid, notes, database: from.database }
    }
}

/// A record that says which version of its format it has.
pub(super) trait Versioned: Message + Default {
    fn version(&self) -> u32;
}

impl Versioned for Mark {
    fn version(&self) -> u32 {
        self.version
    }
}

impl Versioned for Reader {
    fn version(&self) -> u32 {
        self.version
    }
}

impl Versioned for Row {
    fn version(&self) -> u32 {
        self.version
    }
}

fn key(kind: u8, rest: &[u8]) -> Bytes {
    let mut key = keys::sql::index_prefix(TENANT_DEFAULT, QUEUE).to_vec();
    key.push(kind);
    key.extend_from_slice(rest);
    key.push(SUFFIX_ROW);
    key.into()
}

pub(super) fn head_key() -> Bytes {
    key(HEAD, &[])
}

pub(super) fn tail_key() -> Bytes {
    key(TAIL, &[])
}

pub(super) fn reader_key(gateway: &[u8]) -> Bytes {
    key(READER, gateway)
}

pub(super) fn row_key(number: u64) -> Bytes {
    key(ROW, &number.to_be_bytes())
}

/// The keys of all readers.
pub(super) fn readers() -> Span {
    Span { start: key(READER, &[]), end: tail_key() }
}

/// The keys of the rows from one number to another, both among them.
pub(super) fn rows(first: u64, last: u64) -> Span {
    Span { start: row_key(first), end: keys::span::successor(&row_key(last)) }
}

/// What a row says. XX001 if it is damaged, 0A000 if it is newer than this code.
pub(super) fn decode<T: Versioned>(value: &[u8]) -> Result<T> {
    let record = T::decode(value).map_err(|error| damaged(error.to_string()))?;
    if record.version() > VERSION {
        let message = format!(
            "the queue of notifications was written by a newer version (format {})",
            record.version()
        );
        return Err(Error::new("0A000", message));
    }
    Ok(record)
}

/// The same of a mark; without a row it is before the first.
pub(super) fn decode_mark(value: Option<&Bytes>) -> Result<Mark> {
    value.map_or_else(|| Ok(Mark::new(0, 0)), |value| decode(value))
}

pub(super) fn damaged(why: impl std::fmt::Display) -> Error {
    Error::new("XX001", format!("the queue of notifications is damaged: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_in_the_order_of_the_drawing() {
        let reader = reader_key(&[255; 16]);
        assert!(head_key() < reader_key(&[0; 16]) && reader < tail_key() && tail_key() < row_key(0));
        assert!(readers().contains(&reader) && readers().contains(&reader_key(&[0; 16])));
        assert!(!readers().contains(&tail_key()) && !readers().contains(&head_key()));
        assert!(rows(2, 300).contains(&row_key(2)) && rows(2, 300).contains(&row_key(300)));
        assert!(!rows(2, 300).contains(&row_key(1)) && !rows(2, 300).contains(&row_key(301)));
    }

    #[test]
    fn what_is_newer_than_the_code_is_refused() {
        let newer = Mark { version: VERSION + 1, number: 1, bytes: 2 }.encode_to_vec();
        assert_eq!(decode::<Mark>(&newer).unwrap_err().sqlstate, "0A000");
        assert_eq!(decode::<Mark>(&[255, 255]).unwrap_err().sqlstate, "XX001");
        let mark = Mark::new(7, 8);
        assert_eq!(decode_mark(Some(&mark.encode_to_vec().into())).unwrap(), mark);
        assert_eq!(decode_mark(None).unwrap().number, 0);
    }
}
