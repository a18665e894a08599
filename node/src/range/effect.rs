//! What a commit does to a range, as the engine takes it: encoded once by the leader, and from then on the same bytes in the
//! log, on the way to the others, and in memory.
//!
//! ```text
//! entry  := RangeCommand, its field `batch` last
//! batch  := an engine's batch: for each key written, ascending, one version at the commit's timestamp ([`version`])
//! ```
//! Whoever applies it checks it first: what is in no commit is in none that this program has made, and the replica stops.
//!
//! [`version`]: super::version

use bytes::Bytes;
use lsm::{EncodedBatch, Note, OperationRef, WriteBatch};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use proto::v1::{RangeCommand, Span, Write};

use super::state::contains;
use super::version::{HEADER_BYTES, Header};

/// The longest key.
pub(crate) const KEY_BYTES_MAX: usize = 64 << 10;

/// The number of the field `batch` of a [`RangeCommand`].
const BATCH_FIELD: u32 = 50;

/// What a command takes beside its batch, at most, about.
const COMMAND_BYTES: usize = 96;

/// What a write takes beside key and value, at most, about.
const WRITE_BYTES: usize = 32;

/// Why a batch is none that a commit makes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoEffect {
    /// It cannot be read.
    #[error("its batch cannot be read: {0}")]
    Unreadable(#[from] lsm::Error),
    /// It does something else.
    #[error("its batch {0}")]
    Wrong(&'static str),
}

/// The versions of a transaction that began at `start_timestamp`, at the time of its commit.
pub(crate) fn of_writes(writes: &[Write], start_timestamp: u64, commit_timestamp: u64) -> WriteBatch {
    let value_bytes = |write: &Write| write.value.as_ref().map_or(0, Bytes::len);
    let bytes = writes.iter().map(|write| write.key.len() + value_bytes(write) + WRITE_BYTES).sum();
    let mut batch = WriteBatch::with_room(COMMAND_BYTES, bytes);
    for write in writes {
        // Who does not say may have.
        let changes_key = write.value.is_none() || write.changes_key.unwrap_or(true);
        let header = Header { start_timestamp, changes_key }.encode();
        match &write.value {
            Some(value) => batch.put_at_with(&write.key, commit_timestamp, &header, value),
            None => {
                let note = Note::new(&header).unwrap_or_default();
                batch.delete_at_with(&write.key, commit_timestamp, note);
            }
        }
    }
    batch
}

/// A command as it is logged, with its batch.
pub(crate) fn entry(command: &RangeCommand, batch: WriteBatch) -> Bytes {
    let mut start = command.encode_to_vec();
    encode_key(BATCH_FIELD, WireType::LengthDelimited, &mut start);
    encode_varint(batch.encoded_len() as u64, &mut start);
    batch.encode_behind(&start)
}

/// Checks that a batch is the effect of such a commit within `span`.
pub(crate) fn check(
    batch: &EncodedBatch,
    start_timestamp: u64,
    commit_timestamp: u64,
    span: &Span,
) -> Result<(), NoEffect> {
    let mut before: Option<&[u8]> = None;
    batch.for_each(|operation| {
        let (key, timestamp, stored) = match operation {
            OperationRef::PutAt { key, timestamp, value } => (key, timestamp, value),
            OperationRef::DeleteAt { key, timestamp, note } if note.len() == HEADER_BYTES => {
                (key, timestamp, note)
            }
            _ => return Err(NoEffect::Wrong("does what no commit does")),
        };
        if timestamp != commit_timestamp {
            return Err(NoEffect::Wrong("is of another time than its commit"));
        }
        if Header::decode(stored).is_none_or(|header| header.start_timestamp != start_timestamp) {
            return Err(NoEffect::Wrong("is of another transaction than its commit"));
        }
        if key.len() > KEY_BYTES_MAX || !contains(span, key) {
            return Err(NoEffect::Wrong("reaches out of the range"));
        }
        match before.replace(key) {
            Some(before) if key <= before => Err(NoEffect::Wrong("is not in the order of its keys")),
            _ => Ok(()),
        }
    })
}

#[cfg(test)]
mod tests {
    use proto::v1::CommitCommand;
    use proto::v1::range_command::Kind;

    use super::*;

    fn write(key: &'static str, value: Option<&'static str>) -> Write {
        Write { key: key.into(), value: value.map(Bytes::from), changes_key: None }
    }

    fn span() -> Span {
        Span { start: Bytes::from_static(b"d"), end: Bytes::from_static(b"e") }
    }

    fn encoded(batch: WriteBatch) -> EncodedBatch {
        EncodedBatch::decode(batch.encode()).unwrap()
    }

    #[test]
    fn an_entry_is_what_its_message_says() {
        let writes: Vec<Write> = vec![write("da", Some("value")), write("db", None)];
        let kind =
            Kind::Commit(CommitCommand { commit_timestamp: 20, start_timestamp: 10, ..Default::default() });
        let head = RangeCommand { format: 2, sequence: 7, kind: Some(kind), ..Default::default() };
        let batch = of_writes(&writes, 10, 20).encode();
        let whole = RangeCommand { batch: batch.clone(), ..head.clone() };
        assert_eq!(entry(&head, of_writes(&writes, 10, 20)), whole.encode_to_vec());
        let read = RangeCommand::decode(entry(&head, of_writes(&writes, 10, 20))).unwrap();
        assert_eq!(read.batch, batch);
        check(&EncodedBatch::decode(read.batch).unwrap(), 10, 20, &span()).unwrap();
    }

    #[test]
    fn what_an_entry_carries_is_where_the_entry_lies() {
        let value: &'static str = Box::leak("v".repeat(100_000).into_boxed_str());
        let entry = entry(&RangeCommand::default(), of_writes(&[write("da", Some(value))], 10, 20));
        let within = |part: &[u8]| entry.as_ptr_range().contains(&part.as_ptr());
        let read = RangeCommand::decode(entry.clone()).unwrap();
        assert!(within(&read.batch));
        let mut operations = 0;
        let look = |operation: OperationRef<'_>| {
            operations += 1;
            assert!(matches!(operation, OperationRef::PutAt { value, .. } if within(value)));
            Ok::<_, lsm::Error>(())
        };
        EncodedBatch::decode(read.batch).unwrap().for_each(look).unwrap();
        assert_eq!(operations, 1);
    }

    #[test]
    fn a_batch_that_no_commit_makes_is_refused() {
        let two = [write("da", Some("value")), write("db", None)];
        let refused = |batch: WriteBatch, why: &str| {
            let error = check(&encoded(batch), 10, 20, &span()).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        check(&encoded(of_writes(&two, 10, 20)), 10, 20, &span()).unwrap();
        refused(of_writes(&two, 10, 21), "another time");
        refused(of_writes(&two, 11, 20), "another transaction");
        let [a, b] = two.clone();
        refused(of_writes(&[b, a.clone()], 10, 20), "order");
        refused(of_writes(&[a.clone(), a], 10, 20), "order");
        refused(of_writes(&[write("e", None)], 10, 20), "out of the range");
        refused(of_writes(&[write("c", Some("value"))], 10, 20), "out of the range");
        let mut batch = WriteBatch::new();
        batch.put_at(b"da", 20, b"short");
        refused(batch.clone(), "another transaction");
        batch.clear();
        batch.delete_at(b"da", 20);
        refused(batch.clone(), "no commit does");
        batch.clear();
        batch.put(b"da", b"value");
        refused(batch.clone(), "no commit does");
        batch.clear();
        batch.delete_range(b"da", b"db");
        refused(batch, "no commit does");
    }

    #[test]
    fn a_version_says_whether_it_may_have_changed_a_key() {
        let says = |value: Option<&'static str>, changes_key| {
            let batch = of_writes(&[Write { changes_key, ..write("da", value) }], 10, 20);
            let mut said = None;
            let look = |operation: OperationRef<'_>| {
                said = match operation {
                    OperationRef::PutAt { value, .. } => Header::decode(value),
                    OperationRef::DeleteAt { note, .. } => Header::decode(note),
                    _ => None,
                };
                Ok::<_, lsm::Error>(())
            };
            encoded(batch).for_each(look).unwrap();
            said.unwrap().changes_key
        };
        assert!(says(Some("value"), None) && says(Some("value"), Some(true)));
        assert!(!says(Some("value"), Some(false)));
        assert!(says(None, None) && says(None, Some(false)));
    }
}
