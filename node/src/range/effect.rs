//! What a commit does to a range, as the engine takes it: encoded once by the leader, and from then on the same bytes in the
//! log, on the way to the others, and in memory.
//!
//! ```text
//! entry  := RangeCommand, its field `batch` last
//! batch  := an engine's batch: for each key written, ascending, one version at the commit's timestamp ([`version`])
//!           of intents: rows of the intents' keyspace, and versions of the transaction they are of
//! ```
//! Whoever applies it checks it first: what is in no commit is in none that this program has made, and the replica stops.
//!
//! [`version`]: super::version

use bytes::Bytes;
use lsm::{EncodedBatch, Note, OperationRef, WriteBatch};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use proto::v1::{IntentsCommand, RangeCommand, Span, Write};

use super::state::contains;
use super::version::{HEADER_BYTES, Header, KEY_BYTES_MAX};

/// The number of the field `batch` of a [`RangeCommand`].
const BATCH_FIELD: u32 = 50;

/// What a command takes beside its batch, at most, about.
const COMMAND_BYTES: usize = 96;

/// What the engine's batch takes for a write beside the lengths of key and value, and them: its kind and its timestamp.
const OPERATION_BYTES: usize = 1 + 8;

/// From this length on a key's length stands for itself.
const LONG_KEY: usize = 31;

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

/// What a commit's entry takes in the log, at most: its writes as they are encoded, and the command around them.
pub(crate) fn bytes(writes: &[Write]) -> usize {
    COMMAND_BYTES + writes.iter().map(write_bytes).sum::<usize>()
}

/// What a write takes in the batch.
fn write_bytes(write: &Write) -> usize {
    let length_bytes = |length: usize| encoded_len_varint(length as u64);
    let key = write.key.len();
    let key = key + if key < LONG_KEY { 0 } else { length_bytes(key) };
    let stored = HEADER_BYTES + write.value.as_ref().map_or(0, Bytes::len);
    OPERATION_BYTES + key + length_bytes(stored) + stored
}

/// The versions of a transaction that began at `start_timestamp`, at the time of its commit.
pub(crate) fn of_writes(writes: &[Write], start_timestamp: u64, commit_timestamp: u64) -> WriteBatch {
    let bytes = writes.iter().map(write_bytes).sum();
    let mut batch = WriteBatch::with_room(COMMAND_BYTES, bytes);
    for write in writes {
        let header = Header { start_timestamp, changes_key: changes_key(write) };
        add_version(&mut batch, &write.key, write.value.as_ref(), header, commit_timestamp);
    }
    batch
}

/// Whether a write may have changed a unique key. Who does not say may have.
pub(crate) fn changes_key(write: &Write) -> bool {
    write.value.is_none() || write.changes_key.unwrap_or(true)
}

/// Adds a version to a batch.
pub(crate) fn add_version(
    batch: &mut WriteBatch,
    key: &[u8],
    value: Option<&Bytes>,
    header: Header,
    commit_timestamp: u64,
) {
    let header = header.encode();
    match value {
        Some(value) => batch.put_at_with(key, commit_timestamp, &header, value),
        None => {
            let note = Note::new(&header).unwrap_or_default();
            batch.delete_at_with(key, commit_timestamp, note);
        }
    }
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
        if key.len() > KEY_BYTES_MAX {
            return Err(NoEffect::Wrong("reaches out of the range"));
        }
        match before.replace(key) {
            Some(before) if key <= before => Err(NoEffect::Wrong("is not in the order of its keys")),
            // Keys that ascend are inside where the first and the last are.
            None if !contains(span, key) => Err(NoEffect::Wrong("reaches out of the range")),
            _ => Ok(()),
        }
    })?;
    match before {
        Some(last) if !contains(span, last) => Err(NoEffect::Wrong("reaches out of the range")),
        _ => Ok(()),
    }
}

/// Checks that a batch is what a command about intents within `span` does.
pub(crate) fn check_intents(
    batch: &EncodedBatch,
    command: &IntentsCommand,
    span: &Span,
) -> Result<(), NoEffect> {
    let start = command.start_timestamp;
    let inside = |key: &[u8]| key.len() <= KEY_BYTES_MAX && contains(span, key);
    let row =
        |key: &[u8]| keys::range::intent_row(key).ok_or(NoEffect::Wrong("writes a row of another kind"));
    batch.for_each(|operation| {
        let (key, stored, timestamp) = match operation {
            OperationRef::Put { key, .. } => {
                let (key, kind) = row(key)?;
                let of = match kind {
                    keys::range::IntentRow::Intent => start,
                    keys::range::IntentRow::Decision(of) | keys::range::IntentRow::Rollback(of) => of,
                };
                if of != start {
                    return Err(NoEffect::Wrong("is of another transaction than its command"));
                }
                return if inside(&key) { Ok(()) } else { Err(NoEffect::Wrong("reaches out of the range")) };
            }
            OperationRef::Delete { key } => {
                let (key, _) = row(key)?;
                return if inside(&key) { Ok(()) } else { Err(NoEffect::Wrong("reaches out of the range")) };
            }
            OperationRef::PutAt { key, timestamp, value } => (key, value, timestamp),
            OperationRef::DeleteAt { key, timestamp, note } if note.len() == HEADER_BYTES => {
                (key, note, timestamp)
            }
            _ => return Err(NoEffect::Wrong("does what no intent does")),
        };
        if timestamp != command.commit_timestamp || timestamp == 0 {
            return Err(NoEffect::Wrong("is of another time than its command"));
        }
        if Header::decode(stored).is_none_or(|header| header.start_timestamp != start) {
            return Err(NoEffect::Wrong("is of another transaction than its command"));
        }
        if inside(key) { Ok(()) } else { Err(NoEffect::Wrong("reaches out of the range")) }
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
    fn an_entry_takes_no_more_than_was_said_and_not_much_less() {
        let kind = Kind::Commit(CommitCommand {
            commit_timestamp: u64::MAX,
            start_timestamp: u64::MAX,
            txn_id: vec![7; 16].into(),
            staged: None,
        });
        let head = RangeCommand {
            format: u32::MAX,
            span_epoch: u64::MAX,
            proposer_term: u64::MAX,
            sequence: u64::MAX,
            kind: Some(kind),
            ..Default::default()
        };
        let lengths = [1, 30, 31, 32, 127, 128, 200, 20_000];
        for count in [0, 1, 2, 100, 10_000] {
            for (key, value) in lengths.iter().flat_map(|key| lengths.iter().map(move |value| (*key, *value)))
            {
                if (key + value) * count > 1 << 20 {
                    continue;
                }
                let write = |number: usize| Write {
                    key: vec![b'd'; key].into(),
                    value: (!number.is_multiple_of(3)).then(|| vec![b'v'; value].into()),
                    changes_key: None,
                };
                let writes: Vec<Write> = (0..count).map(write).collect();
                let (said, takes) = (bytes(&writes), entry(&head, of_writes(&writes, 1, u64::MAX)).len());
                assert!(
                    (takes..=takes + COMMAND_BYTES).contains(&said),
                    "{said} of {takes}: {count} {key} {value}"
                );
            }
        }
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
        refused(of_writes(&[write("c", None), write("da", None)], 10, 20), "out of the range");
        refused(of_writes(&[write("da", None), write("e", None)], 10, 20), "out of the range");
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
