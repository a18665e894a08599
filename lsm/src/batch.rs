//! Writes that happen together or not at all.
//!
//! ```text
//! batch     := head u8 | sequence varint, if the head says so | count varint, if the head says 7 | operation*
//! head      := version (4) << 4 | whether a sequence follows << 3 | number of operations, 7 if it follows
//! operation := kind << 5 | key length, 31 if it follows: u8 | key length varint, if the byte says 31 | key | rest
//!   1 put          rest := value length varint | value
//!   2 delete       rest :=
//!   3 put_at       rest := timestamp u64 LE | value length varint | value
//!   4 delete_at    rest := timestamp u64 LE
//!   5 delete_range rest := end length varint | end        the key is the first one deleted, the end is not deleted
//! ```
//! `sequence` is that of the first operation, each later one has the next. Only records of the write-ahead log say one, and
//! of those only they that do not follow the record before.

use bytes::{Bytes, BytesMut};

use crate::coding::{put_varint, u64_at, varint, varint_of};
use crate::error::{Error, Result};
use crate::options::Sequence;

const VERSION: u8 = 4;
/// The bit of the head that says that a sequence follows.
const SEQUENCE: u8 = 1 << 3;
/// A number of operations that is not in the head.
const MANY: u8 = 7;
/// The length of a key that is not in the byte of its kind.
const LONG: u8 = 31;
/// Where the kind stands in its byte.
const KIND_SHIFT: u32 = 5;
/// Room for the longest header.
const HEADER_BYTES: usize = 1 + 10 + 5;

const PUT: u8 = 1;
const DELETE: u8 = 2;
const PUT_AT: u8 = 3;
const DELETE_AT: u8 = 4;
const DELETE_RANGE: u8 = 5;

/// Writes that happen together or not at all, over any keyspaces. Of two operations on one key the later one holds.
#[derive(Clone, Debug)]
pub struct WriteBatch {
    /// Room for the header, which ends where the operations begin, then those.
    buffer: Vec<u8>,
    count: u32,
}

/// One operation of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Sets the value of a key without versions.
    Put {
        /// The key.
        key: Bytes,
        /// Its new value.
        value: Bytes,
    },
    /// Deletes a key without versions.
    Delete {
        /// The key.
        key: Bytes,
    },
    /// Adds a version.
    PutAt {
        /// The key.
        key: Bytes,
        /// The version's timestamp.
        timestamp: u64,
        /// The version's value.
        value: Bytes,
    },
    /// Adds a version that says 'deleted'.
    DeleteAt {
        /// The key.
        key: Bytes,
        /// The version's timestamp.
        timestamp: u64,
    },
    /// Removes all keys from `start` up to and without `end`, with all versions.
    DeleteRange {
        /// The first key removed.
        start: Bytes,
        /// The first key not removed.
        end: Bytes,
    },
}

impl Default for WriteBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty batch with room for that many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut buffer = Vec::with_capacity(HEADER_BYTES + bytes);
        buffer.resize(HEADER_BYTES, 0);
        Self { buffer, count: 0 }
    }

    /// Sets a key of an unversioned keyspace.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.begin(PUT, key);
        self.bytes(value);
    }

    /// Deletes a key of an unversioned keyspace.
    pub fn delete(&mut self, key: &[u8]) {
        self.begin(DELETE, key);
    }

    /// Adds a version to a key of a versioned keyspace; one of the same timestamp is replaced.
    pub fn put_at(&mut self, key: &[u8], timestamp: u64, value: &[u8]) {
        self.begin(PUT_AT, key);
        self.buffer.extend_from_slice(&timestamp.to_le_bytes());
        self.bytes(value);
    }

    /// Adds a version that says 'deleted' to a key of a versioned keyspace.
    pub fn delete_at(&mut self, key: &[u8], timestamp: u64) {
        self.begin(DELETE_AT, key);
        self.buffer.extend_from_slice(&timestamp.to_le_bytes());
    }

    /// Removes every key from `start` up to and without `end`, in a versioned keyspace with all versions. Both lie in
    /// one keyspace (`end` may be the first key after it). What the batch writes there later stays.
    pub fn delete_range(&mut self, start: &[u8], end: &[u8]) {
        self.begin(DELETE_RANGE, start);
        self.bytes(end);
    }

    /// Adds all operations of `other` after those of this batch.
    pub fn append(&mut self, other: &WriteBatch) {
        self.buffer.extend_from_slice(other.buffer.get(HEADER_BYTES..).unwrap_or_default());
        self.count += other.count;
    }

    /// Number of operations.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are no operations.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the encoded batch.
    pub fn byte_len(&self) -> usize {
        self.buffer.len()
    }

    /// Removes all operations and keeps the memory.
    pub fn clear(&mut self) {
        self.buffer.truncate(HEADER_BYTES);
        self.count = 0;
    }

    /// The batch as bytes that [`Self::decode`] reads.
    pub fn encode(self) -> Bytes {
        self.into_bytes(None)
    }

    /// A batch from what [`Self::encode`] has made; what is cut off, too long or says what no batch says is an error.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let (Head { sequence, count }, operations) = decode(bytes)?;
        if sequence.is_some() {
            return Err(malformed("a sequence outside of the log"));
        }
        let mut batch = Self::with_capacity(operations.len());
        batch.buffer.extend_from_slice(operations);
        batch.count = count;
        batch.for_each(|_| Ok(()))?;
        Ok(batch)
    }

    /// The operations in order. Copies the batch once; its keys and values are slices of that copy.
    pub fn operations(&self) -> Operations {
        let mut buffer = Bytes::copy_from_slice(&self.buffer);
        bytes::Buf::advance(&mut buffer, HEADER_BYTES);
        Operations { rest: buffer }
    }

    /// Calls `check` with each operation, without copying or counting references.
    pub(crate) fn for_each(&self, mut check: impl FnMut(Borrowed<'_>) -> Result<()>) -> Result<()> {
        let operations = self.buffer.get(HEADER_BYTES..).unwrap_or_default();
        each(operations, self.count, |_, operation| check(operation))
    }

    /// The encoded batch, which says its sequence if one is given.
    pub(crate) fn into_bytes(mut self, sequence: Option<Sequence>) -> Bytes {
        let start = self.put_header(sequence);
        Bytes::from(self.buffer).slice(start..)
    }

    /// Appends the same to a buffer.
    pub(crate) fn put_into(mut self, sequence: Option<Sequence>, buffer: &mut BytesMut) {
        let start = self.put_header(sequence);
        buffer.extend_from_slice(self.buffer.get(start..).unwrap_or_default());
    }

    /// Writes the header into the end of its room; returns where it begins.
    fn put_header(&mut self, sequence: Option<Sequence>) -> usize {
        let says = if sequence.is_some() { SEQUENCE } else { 0 };
        let (sequence, sequence_bytes) = sequence.map(varint_of).unwrap_or_default();
        let few = u8::try_from(self.count).ok().filter(|count| *count < MANY);
        let (count, count_bytes) = match few {
            Some(_) => Default::default(),
            None => varint_of(u64::from(self.count)),
        };
        let start = HEADER_BYTES - 1 - sequence_bytes - count_bytes;
        let header = std::iter::once(VERSION << 4 | says | few.unwrap_or(MANY))
            .chain(sequence.into_iter().take(sequence_bytes))
            .chain(count.into_iter().take(count_bytes));
        let room = self.buffer.iter_mut().take(HEADER_BYTES).skip(start);
        room.zip(header).for_each(|(to, from)| *to = from);
        start
    }

    fn begin(&mut self, kind: u8, key: &[u8]) {
        match u8::try_from(key.len()).ok().filter(|length| *length < LONG) {
            Some(length) => {
                self.buffer.push(kind << KIND_SHIFT | length);
                self.buffer.extend_from_slice(key);
            }
            None => {
                self.buffer.push(kind << KIND_SHIFT | LONG);
                self.bytes(key);
            }
        }
        self.count += 1;
    }

    fn bytes(&mut self, bytes: &[u8]) {
        put_varint(&mut self.buffer, bytes.len() as u64);
        self.buffer.extend_from_slice(bytes);
    }
}

/// One operation, where it lies.
pub(crate) enum Borrowed<'a> {
    Put { key: &'a [u8], value: &'a [u8] },
    Delete { key: &'a [u8] },
    PutAt { key: &'a [u8], timestamp: u64, value: &'a [u8] },
    DeleteAt { key: &'a [u8], timestamp: u64 },
    DeleteRange { start: &'a [u8], end: &'a [u8] },
}

impl Borrowed<'_> {
    /// The same as slices of the bytes that it lies in.
    fn share(&self, bytes: &Bytes) -> Operation {
        let part = |part: &[u8]| bytes.slice_ref(part);
        match *self {
            Self::Put { key, value } => Operation::Put { key: part(key), value: part(value) },
            Self::Delete { key } => Operation::Delete { key: part(key) },
            Self::PutAt { key, timestamp, value } => {
                Operation::PutAt { key: part(key), timestamp, value: part(value) }
            }
            Self::DeleteAt { key, timestamp } => Operation::DeleteAt { key: part(key), timestamp },
            Self::DeleteRange { start, end } => Operation::DeleteRange { start: part(start), end: part(end) },
        }
    }
}

/// Calls `take` with each operation of an encoded batch, and its sequence; `first` is that of the first one.
pub(crate) fn for_each_in(
    bytes: &Bytes,
    first: Sequence,
    mut take: impl FnMut(Sequence, Borrowed<'_>) -> Result<()>,
) -> Result<()> {
    let (head, operations) = decode(bytes)?;
    each(operations, head.count, |number, operation| take(first + u64::from(number), operation))
}

/// Calls `take` with each of so many operations, which must be all, and its number.
fn each<'a>(
    mut rest: &'a [u8],
    count: u32,
    mut take: impl FnMut(u32, Borrowed<'a>) -> Result<()>,
) -> Result<()> {
    for number in 0..count {
        take(number, next(&mut rest)?)?;
    }
    if rest.is_empty() { Ok(()) } else { Err(malformed("more operations than it says")) }
}

/// The next operation of an encoded batch; `rest` moves past it.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Borrowed<'a>> {
    borrow(rest).ok_or_else(|| malformed("an operation is cut off or unknown"))
}

fn borrow<'a>(rest: &mut &'a [u8]) -> Option<Borrowed<'a>> {
    fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
        let (taken, left) = rest.split_at_checked(length)?;
        *rest = left;
        Some(taken)
    }
    fn prefixed<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
        let length = usize::try_from(take_varint(rest)?).ok()?;
        take(rest, length)
    }
    let head = *take(rest, 1)?.first()?;
    let key = match head & LONG {
        LONG => prefixed(rest).filter(|key| key.len() >= usize::from(LONG))?,
        length => take(rest, usize::from(length))?,
    };
    Some(match head >> KIND_SHIFT {
        PUT => Borrowed::Put { key, value: prefixed(rest)? },
        DELETE => Borrowed::Delete { key },
        PUT_AT => {
            let timestamp = u64_at(take(rest, 8)?, 0)?;
            Borrowed::PutAt { key, timestamp, value: prefixed(rest)? }
        }
        DELETE_AT => {
            let timestamp = u64_at(take(rest, 8)?, 0)?;
            Borrowed::DeleteAt { key, timestamp }
        }
        DELETE_RANGE => Borrowed::DeleteRange { start: key, end: prefixed(rest)? },
        _ => return None,
    })
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut at = 0;
    let value = varint(rest, &mut at)?;
    *rest = rest.get(at..)?;
    Some(value)
}

/// What an encoded batch says before its operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Of its first operation; None: it follows that of the record before, if it is one of a log.
    pub(crate) sequence: Option<Sequence>,
    pub(crate) count: u32,
}

/// The head of an encoded batch.
pub(crate) fn head(bytes: &[u8]) -> Result<Head> {
    decode(bytes).map(|(head, _)| head)
}

/// The head of an encoded batch, and its operations.
fn decode(bytes: &[u8]) -> Result<(Head, &[u8])> {
    let short = || malformed("shorter than its header");
    let (&head, mut rest) = bytes.split_first().ok_or_else(short)?;
    if head >> 4 != VERSION {
        return Err(Error::Invalid(format!("write batch of unknown version {}", head >> 4)));
    }
    let sequence = match head & SEQUENCE {
        0 => None,
        _ => Some(take_varint(&mut rest).ok_or_else(short)?),
    };
    let count = match head & MANY {
        MANY => {
            let count = take_varint(&mut rest).and_then(|count| u32::try_from(count).ok());
            count.filter(|count| *count >= u32::from(MANY)).ok_or_else(short)?
        }
        few => u32::from(few),
    };
    Ok((Head { sequence, count }, rest))
}

/// Iterator over the operations of a batch.
#[derive(Clone, Debug)]
pub struct Operations {
    rest: Bytes,
}

impl Iterator for Operations {
    type Item = Result<Operation>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.rest);
        let mut rest = &bytes[..];
        // After an error there is nothing more.
        let operation = next(&mut rest).map(|operation| operation.share(&bytes));
        if operation.is_ok() {
            self.rest = bytes.slice_ref(rest);
        }
        Some(operation)
    }
}

fn malformed(what: &str) -> Error {
    Error::Invalid(format!("malformed write batch: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> WriteBatch {
        let mut batch = WriteBatch::new();
        batch.put(b"ak", b"v");
        batch.delete(b"al");
        batch.put_at(b"dk", 7, &[3; 300]);
        batch.delete_at(b"dk", 8);
        batch.delete_range(b"da", b"db");
        batch
    }

    #[test]
    fn a_batch_survives_encoding() {
        let bytes = sample().encode();
        let decoded = WriteBatch::decode(&bytes).unwrap();
        let expected: Vec<_> = sample().operations().map(|o| o.unwrap()).collect();
        assert_eq!(decoded.operations().map(|o| o.unwrap()).collect::<Vec<_>>(), expected);
        assert_eq!(expected.len(), 5);
    }

    #[test]
    fn batches_of_any_count_survive_encoding() {
        for count in [0, 1, 6, 7, 127, 128, 20_000] {
            let mut batch = WriteBatch::new();
            (0..count).for_each(|_| batch.delete(b"k"));
            let bytes = batch.encode();
            assert_eq!(decode(&bytes).unwrap().0, Head { sequence: None, count });
            assert_eq!(WriteBatch::decode(&bytes).unwrap().encode(), bytes);
            for sequence in [0, 127, 128, u64::MAX].map(Some) {
                let written = WriteBatch::decode(&bytes).unwrap().into_bytes(sequence);
                assert_eq!(decode(&written).unwrap().0, Head { sequence, count });
            }
        }
    }

    #[test]
    fn keys_of_any_length_survive_encoding() {
        for length in [0, 1, 30, 31, 32, 127, 128, 5000] {
            let mut batch = WriteBatch::new();
            batch.put(&vec![7; length], b"value");
            let decoded = WriteBatch::decode(&batch.encode()).unwrap();
            let expected =
                Operation::Put { key: vec![7; length].into(), value: Bytes::from_static(b"value") };
            assert_eq!(decoded.operations().map(|o| o.unwrap()).collect::<Vec<_>>(), [expected]);
        }
    }

    #[test]
    fn appended_batches_count_as_one() {
        let mut batch = sample();
        batch.append(&sample());
        assert_eq!((batch.len(), batch.operations().count()), (10, 10));
        assert!(WriteBatch::decode(&batch.encode()).is_ok());
    }

    #[test]
    fn what_encode_cannot_have_made_is_refused() {
        let bytes = sample().encode();
        let refused = |bytes: &[u8], why: &str| {
            let error = WriteBatch::decode(bytes).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        refused(&sample().into_bytes(Some(7)), "a sequence outside of the log");
        refused(&[&bytes[..], &bytes[1..]].concat(), "more operations than it says");
        refused(&[VERSION << 4 | 1, DELETE << KIND_SHIFT | LONG, 1, b'k'], "cut off or unknown");
        refused(&[VERSION << 4 | MANY, 1, DELETE << KIND_SHIFT | 1, b'k'], "shorter than its header");
        refused(&[(VERSION - 1) << 4], "unknown version 3");
        assert!(WriteBatch::decode(&[VERSION << 4 | 1, DELETE << KIND_SHIFT | 1, b'k']).is_ok());
    }

    #[test]
    fn every_truncated_batch_is_refused() {
        let bytes = sample().encode();
        for length in 0..bytes.len() {
            assert!(WriteBatch::decode(&bytes[..length]).is_err(), "{length}");
        }
    }
}
