//! Writes that happen together or not at all.
//!
//! ```text
//! batch     := head u8 | sequence varint, if the head says so | count varint, if the head says 7 | operation*
//! head      := version (4) << 4 | whether a sequence follows << 3 | number of operations, 7 if it follows
//! operation := kind << 5 | key length, 31 if it follows: u8 | key length varint, if the byte says 31 | key | rest
//!   1 put          rest := value length varint | value
//!   2 delete       rest :=
//!   3 put_at       rest := timestamp u64 LE | value length varint | value
//!   4 delete_at    rest := timestamp u64 LE | note length u8, at most 15 | note
//!   5 delete_range rest := end length varint | end        the key is the first one deleted, the end is not deleted
//! ```
//! `sequence` is that of the first operation, each later one has the next. Only records of the write-ahead log say one, and
//! of those only they that do not follow the record before.
//!
//! A batch that somebody else has encoded ([`EncodedBatch`]) becomes a part of another without being taken apart.

mod encoded;

use bytes::{Bytes, BytesMut};

use crate::coding::{put_varint, varint_of};
use crate::entry::Note;
use crate::error::Result;
use crate::options::Sequence;

pub(crate) use encoded::head;
pub use encoded::{EncodedBatch, OperationRef, Operations};

const VERSION: u8 = 5;
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
/// What somebody else has encoded is copied up to this size: a copy costs less than a place of its own.
const COPIED_BYTES_MAX: usize = if cfg!(test) { 64 } else { 4 << 10 };

const PUT: u8 = 1;
const DELETE: u8 = 2;
const PUT_AT: u8 = 3;
const DELETE_AT: u8 = 4;
const DELETE_RANGE: u8 = 5;

/// Writes that happen together or not at all, over any keyspaces. Of two operations on one key the later one holds.
#[derive(Clone, Debug)]
pub struct WriteBatch {
    /// The first operations, where they were encoded elsewhere, or much of them was.
    parts: Vec<EncodedBatch>,
    /// Room for the header, and for what the caller puts before it, which end where the last operations begin; then those.
    buffer: Vec<u8>,
    room: usize,
    /// Of the last operations.
    count: u32,
}

/// All operations of a batch, where they lie.
#[derive(Debug)]
pub(crate) struct Laid {
    parts: Vec<EncodedBatch>,
    last: EncodedBatch,
}

impl Laid {
    /// They in order.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &EncodedBatch> {
        self.parts.iter().chain(std::iter::once(&self.last))
    }
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
        /// What is kept with it.
        note: Note,
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
        Self::with_room(0, bytes)
    }

    /// The same with room for so many bytes before the encoded batch ([`Self::encode_behind`]).
    pub fn with_room(before: usize, bytes: usize) -> Self {
        let room = before + HEADER_BYTES;
        let mut buffer = Vec::with_capacity(room + bytes);
        buffer.resize(room, 0);
        Self { parts: Vec::new(), buffer, room, count: 0 }
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
        self.put_at_with(key, timestamp, &[], value);
    }

    /// The same for a value that lies in two places.
    pub fn put_at_with(&mut self, key: &[u8], timestamp: u64, start: &[u8], rest: &[u8]) {
        self.begin(PUT_AT, key);
        self.buffer.extend_from_slice(&timestamp.to_le_bytes());
        put_varint(&mut self.buffer, (start.len() + rest.len()) as u64);
        self.buffer.extend_from_slice(start);
        self.buffer.extend_from_slice(rest);
    }

    /// Adds a version that says 'deleted' to a key of a versioned keyspace.
    pub fn delete_at(&mut self, key: &[u8], timestamp: u64) {
        self.delete_at_with(key, timestamp, Note::default());
    }

    /// The same with a note, which is kept as long as the deletion is.
    pub fn delete_at_with(&mut self, key: &[u8], timestamp: u64, note: Note) {
        self.begin(DELETE_AT, key);
        self.buffer.extend_from_slice(&timestamp.to_le_bytes());
        self.bytes(note.as_bytes());
    }

    /// Removes every key from `start` up to and without `end`, in a versioned keyspace with all versions. Both lie in
    /// one keyspace (`end` may be the first key after it). What the batch writes there later stays.
    pub fn delete_range(&mut self, start: &[u8], end: &[u8]) {
        self.begin(DELETE_RANGE, start);
        self.bytes(end);
    }

    /// Adds all operations of `other` after those of this batch.
    pub fn append(&mut self, other: &WriteBatch) {
        for part in &other.parts {
            self.append_encoded(part.clone());
        }
        self.buffer.extend_from_slice(other.last_operations());
        self.count += other.count;
    }

    /// Adds all operations of an encoded batch after those of this batch. Unless they are few, they stay where they lie.
    pub fn append_encoded(&mut self, encoded: EncodedBatch) {
        if encoded.operations.len() <= COPIED_BYTES_MAX {
            self.buffer.extend_from_slice(&encoded.operations);
            self.count += encoded.count;
            return;
        }
        if self.count > 0 {
            let before = std::mem::take(self);
            self.parts = before.into_parts();
        }
        self.parts.push(encoded);
    }

    /// Number of operations.
    pub fn len(&self) -> usize {
        self.parts.iter().map(EncodedBatch::len).sum::<usize>() + self.count as usize
    }

    /// Whether there are no operations.
    pub fn is_empty(&self) -> bool {
        self.count == 0 && self.parts.iter().all(EncodedBatch::is_empty)
    }

    /// Bytes of the operations, encoded, and of a header.
    pub fn byte_len(&self) -> usize {
        let parts: usize = self.parts.iter().map(|part| part.operations.len()).sum();
        parts + self.last_operations().len() + HEADER_BYTES
    }

    /// Removes all operations and keeps the memory.
    pub fn clear(&mut self) {
        self.parts.clear();
        self.buffer.truncate(self.room);
        self.count = 0;
    }

    /// The batch as bytes that [`Self::decode`] reads.
    pub fn encode(self) -> Bytes {
        self.into_bytes(None)
    }

    /// The batch as bytes, with `before` in front of it: without a copy, where there is room.
    pub fn encode_behind(self, before: &[u8]) -> Bytes {
        let mut batch = self.flat();
        let header_at = batch.put_header(None);
        let Some(start) = header_at.checked_sub(before.len()) else {
            let encoded = batch.buffer.get(header_at..).unwrap_or_default();
            return [before, encoded].concat().into();
        };
        let room = batch.buffer.iter_mut().take(header_at).skip(start);
        room.zip(before).for_each(|(to, from)| *to = *from);
        Bytes::from(batch.buffer).slice(start..)
    }

    /// How many bytes [`Self::encode`] makes.
    pub fn encoded_len(&self) -> usize {
        let count = self.len() as u64;
        let header = if count < u64::from(MANY) { 1 } else { 1 + varint_of(count).1 };
        self.byte_len() - HEADER_BYTES + header
    }

    /// A batch from what [`Self::encode`] has made; what is cut off, too long or says what no batch says is an error.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let encoded = EncodedBatch::decode(Bytes::copy_from_slice(bytes))?;
        let mut batch = Self::with_capacity(encoded.operations.len());
        batch.buffer.extend_from_slice(&encoded.operations);
        batch.count = encoded.count;
        Ok(batch)
    }

    /// The operations in order. Copies the batch once; its keys and values are slices of that copy.
    pub fn operations(&self) -> Operations {
        let mut all = BytesMut::with_capacity(self.byte_len());
        self.parts.iter().for_each(|part| all.extend_from_slice(&part.operations));
        all.extend_from_slice(self.last_operations());
        Operations::of(all.freeze())
    }

    /// Calls `check` with each operation, without copying or counting references.
    pub(crate) fn for_each(&self, mut check: impl FnMut(OperationRef<'_>) -> Result<()>) -> Result<()> {
        for part in &self.parts {
            part.for_each(&mut check)?;
        }
        encoded::each(self.last_operations(), self.count, |_, operation| check(operation))
    }

    /// The encoded batch, which says its sequence if one is given.
    pub(crate) fn into_bytes(self, sequence: Option<Sequence>) -> Bytes {
        let mut batch = self.flat();
        let start = batch.put_header(sequence);
        Bytes::from(batch.buffer).slice(start..)
    }

    /// The operations as they lie. Few go into `chunk`, side by side with those of other batches.
    pub(crate) fn lay(mut self, chunk: &mut BytesMut, chunk_bytes: usize) -> Laid {
        let (parts, room, count) = (std::mem::take(&mut self.parts), self.room, self.count);
        Laid { parts, last: EncodedBatch { operations: self.keep(room, chunk, chunk_bytes), count } }
    }

    /// The batch as a record of the write-ahead log, and its operations as they lie there; the same of `chunk`.
    pub(crate) fn into_record(
        self,
        sequence: Option<Sequence>,
        chunk: &mut BytesMut,
        chunk_bytes: usize,
    ) -> (Bytes, Laid) {
        let mut batch = self.flat();
        let start = batch.put_header(sequence);
        let (header, count) = (batch.room - start, batch.count);
        let record = batch.keep(start, chunk, chunk_bytes);
        let last = EncodedBatch { operations: record.slice(header..), count };
        (record, Laid { parts: Vec::new(), last })
    }

    fn keep(self, from: usize, chunk: &mut BytesMut, chunk_bytes: usize) -> Bytes {
        let bytes = self.buffer.get(from..).unwrap_or_default();
        if bytes.len() > COPIED_BYTES_MAX {
            return Bytes::from(self.buffer).slice(from..);
        }
        if chunk.capacity() < bytes.len() {
            *chunk = BytesMut::with_capacity(chunk_bytes);
        }
        chunk.extend_from_slice(bytes);
        chunk.split().freeze()
    }

    /// The operations as they lie, in order.
    fn into_parts(mut self) -> Vec<EncodedBatch> {
        if self.count > 0 {
            let operations = Bytes::from(self.buffer).slice(self.room..);
            self.parts.push(EncodedBatch { operations, count: self.count });
        }
        self.parts
    }

    /// The same batch, all of it in the buffer.
    fn flat(self) -> Self {
        if self.parts.is_empty() {
            return self;
        }
        let mut flat = Self::with_room(self.room - HEADER_BYTES, self.byte_len());
        for part in &self.parts {
            flat.buffer.extend_from_slice(&part.operations);
            flat.count += part.count;
        }
        flat.buffer.extend_from_slice(self.last_operations());
        flat.count += self.count;
        flat
    }

    /// The operations in the buffer.
    fn last_operations(&self) -> &[u8] {
        self.buffer.get(self.room..).unwrap_or_default()
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
        let start = self.room - 1 - sequence_bytes - count_bytes;
        let header = std::iter::once(VERSION << 4 | says | few.unwrap_or(MANY))
            .chain(sequence.into_iter().take(sequence_bytes))
            .chain(count.into_iter().take(count_bytes));
        let room = self.buffer.iter_mut().take(self.room).skip(start);
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

#[cfg(test)]
mod tests {
    use super::encoded::Head;
    use super::*;

    fn sample() -> WriteBatch {
        let mut batch = WriteBatch::new();
        batch.put(b"ak", b"v");
        batch.delete(b"al");
        batch.put_at(b"dk", 7, &[3; 300]);
        batch.delete_at(b"dk", 8);
        batch.delete_at_with(b"dl", 8, Note::new(b"note").unwrap());
        batch.delete_range(b"da", b"db");
        batch
    }

    #[test]
    fn a_batch_survives_encoding() {
        let bytes = sample().encode();
        let decoded = WriteBatch::decode(&bytes).unwrap();
        let expected: Vec<_> = sample().operations().map(|o| o.unwrap()).collect();
        assert_eq!(decoded.operations().map(|o| o.unwrap()).collect::<Vec<_>>(), expected);
        assert_eq!(expected.len(), 6);
    }

    #[test]
    fn batches_of_any_count_survive_encoding() {
        for count in [0, 1, 6, 7, 127, 128, 20_000] {
            let mut batch = WriteBatch::new();
            (0..count).for_each(|_| batch.delete(b"k"));
            let bytes = batch.encode();
            assert_eq!(head(&bytes).unwrap(), Head { sequence: None, count });
            assert_eq!(WriteBatch::decode(&bytes).unwrap().encode(), bytes);
            for sequence in [0, 127, 128, u64::MAX].map(Some) {
                let written = WriteBatch::decode(&bytes).unwrap().into_bytes(sequence);
                assert_eq!(head(&written).unwrap(), Head { sequence, count });
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
        assert_eq!((batch.len(), batch.operations().count()), (12, 12));
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
        refused(&[(VERSION - 1) << 4], "unknown version 4");
        assert!(WriteBatch::decode(&[VERSION << 4 | 1, DELETE << KIND_SHIFT | 1, b'k']).is_ok());
    }

    #[test]
    fn every_truncated_batch_is_refused() {
        let bytes = sample().encode();
        for length in 0..bytes.len() {
            assert!(WriteBatch::decode(&bytes[..length]).is_err(), "{length}");
        }
    }

    /// What a batch does, one operation after the other.
    fn all(batch: &WriteBatch) -> Vec<Operation> {
        batch.operations().map(|operation| operation.unwrap()).collect()
    }

    #[test]
    fn an_encoded_batch_becomes_a_part_of_another_and_stays_where_it_lies() {
        let mut large = WriteBatch::new();
        large.put_at(b"large", 3, &[7; 2 * COPIED_BYTES_MAX]);
        large.delete_at(b"large", 4);
        let large = large.encode();
        let mut expected = WriteBatch::new();
        let mut batch = WriteBatch::new();
        for bytes in [sample().encode(), large.clone(), large.clone(), sample().encode()] {
            expected.append(&WriteBatch::decode(&bytes).unwrap());
            batch.append_encoded(EncodedBatch::decode(bytes).unwrap());
            expected.put(b"own", b"value");
            batch.put(b"own", b"value");
        }
        assert_eq!((batch.len(), batch.encoded_len()), (expected.len(), expected.clone().encode().len()));
        assert_eq!(all(&batch), all(&expected));
        assert_eq!(batch.clone().encode(), expected.clone().encode());
        let mut checked = 0;
        batch
            .for_each(|_| {
                checked += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(checked, expected.len());
        let mut twice = batch.clone();
        twice.append(&batch);
        assert_eq!(twice.len(), 2 * batch.len());
        let within = |part: &EncodedBatch| large.as_ptr_range().contains(&part.operations.as_ptr());
        let laid = batch.clone().lay(&mut BytesMut::new(), 64 << 10);
        assert_eq!(laid.parts().filter(|part| within(part)).count(), 2, "the large ones are not copied");
        assert_eq!(laid.parts().map(EncodedBatch::len).sum::<usize>(), expected.len());
        let (record, laid) = batch.into_record(Some(7), &mut BytesMut::new(), 64 << 10);
        assert_eq!(head(&record).unwrap(), Head { sequence: Some(7), count: expected.len() as u32 });
        assert_eq!(laid.parts().map(EncodedBatch::len).sum::<usize>(), expected.len());
    }

    #[test]
    fn what_stands_before_a_batch_needs_no_copy_where_there_is_room() {
        for (room, before) in [(0, &b""[..]), (5, b"12345"), (9, b"12345"), (2, b"12345"), (0, &[1; 99])] {
            for count in [1, 7, 300] {
                let mut batch = WriteBatch::with_room(room, 0);
                (0..count).for_each(|n| batch.put_at(b"key", n, b"value"));
                let bytes = batch.clone().encode_behind(before);
                let (start, encoded) = bytes.split_at(before.len());
                assert_eq!((start, encoded.len()), (before, batch.encoded_len()));
                assert_eq!(all(&WriteBatch::decode(encoded).unwrap()), all(&batch));
            }
        }
    }

    #[test]
    fn versions_move_to_another_time_where_they_lie() {
        let mut batch = sample();
        batch.append(&sample());
        let moved = EncodedBatch::decode_at(BytesMut::from(&batch.encode()[..]), 99).unwrap();
        let mut timestamps = Vec::new();
        let note = |operation: OperationRef<'_>| {
            if let OperationRef::PutAt { timestamp, .. } | OperationRef::DeleteAt { timestamp, .. } =
                operation
            {
                timestamps.push(timestamp);
            }
            Ok::<_, crate::Error>(())
        };
        moved.for_each(note).unwrap();
        assert_eq!((timestamps, moved.len()), (vec![99; 6], 12));
    }

    #[test]
    fn a_note_that_is_too_long_is_refused() {
        let bytes = |length: u8| {
            let mut bytes = vec![VERSION << 4 | 1, DELETE_AT << KIND_SHIFT | 1, b'k'];
            bytes.extend([0; 8]);
            bytes.push(length);
            bytes.resize(bytes.len() + usize::from(length), 1);
            bytes
        };
        assert!(WriteBatch::decode(&bytes(15)).is_ok());
        assert!(WriteBatch::decode(&bytes(16)).is_err());
    }
}
