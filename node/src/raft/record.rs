//! The records of a store's shared log, and what their replay rebuilds.
//!
//! All groups of a store write into one log: entries, votes, truncations, purges, removals, each a [`v1::RaftRecord`]
//! that names its range and replica. Their order in the log is the order in which they took effect, but for records
//! marked `rewritten`: those were copied from an old segment to the end, so that the segment could go.
//!
//! # Invariants
//!
//! - A record that a group still needs is in the log at least once; a segment goes only after what it held alone was
//!   rewritten and synced.
//! - After replay a group's entries are without a hole, and begin right after what was purged.

use std::collections::BTreeMap;

use bytes::Bytes;
use lsm::log::{LogRecord, Position};
use openraft::EntryPayload;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use proto::v1;
use proto::v1::raft_record::Record;

use super::role::RaftError;
use super::types::{Entry, LogId, Vote};
use super::wire::{FORMAT, entry_to_wire, log_id_from_wire, log_id_to_wire, vote_from_wire};

/// The number of the field `entry` of a [`v1::RaftRecord`].
const ENTRY_FIELD: u32 = 5;

/// The number of the field `command` of a [`v1::RaftEntry`].
const COMMAND_FIELD: u32 = 4;

/// Room for a key and a length.
const START_BYTES: usize = 8;

/// Encodes one record.
pub(super) fn encode(range_id: u64, replica_id: u64, rewritten: bool, record: Record) -> Vec<u8> {
    v1::RaftRecord { format: FORMAT, range_id, replica_id, rewritten, record: Some(record) }.encode_to_vec()
}

/// An encoded entry: its command lies where the entry has it.
pub(super) struct EncodedEntry {
    start: Vec<u8>,
    command: Bytes,
}

impl EncodedEntry {
    /// The same bytes as [`encode`] makes, but for one copy less of the command.
    pub(super) fn new(range_id: u64, replica_id: u64, entry: &Entry) -> Self {
        let EntryPayload::Normal(command) = &entry.payload else {
            let record = Record::Entry(entry_to_wire(entry));
            return Self { start: encode(range_id, replica_id, false, record), command: Bytes::new() };
        };
        let command = command.0.clone();
        let entry = v1::RaftEntry { format: FORMAT, id: Some(log_id_to_wire(&entry.log_id)), payload: None };
        let length = command.len() as u64;
        let entry_bytes = entry.encoded_len() + key_len(COMMAND_FIELD) + encoded_len_varint(length);
        let record = v1::RaftRecord { format: FORMAT, range_id, replica_id, rewritten: false, record: None };
        let mut start = record.encode_to_vec();
        start.reserve_exact(entry_bytes + 2 * START_BYTES);
        encode_key(ENTRY_FIELD, WireType::LengthDelimited, &mut start);
        encode_varint(entry_bytes as u64 + length, &mut start);
        start.extend_from_slice(&entry.encode_to_vec());
        encode_key(COMMAND_FIELD, WireType::LengthDelimited, &mut start);
        encode_varint(length, &mut start);
        Self { start, command }
    }

    /// Bytes of the record.
    pub(super) fn len(&self) -> usize {
        self.start.len() + self.command.len()
    }
}

impl LogRecord for EncodedEntry {
    fn parts(&self) -> [&[u8]; 2] {
        [&self.start, &self.command]
    }
}

/// Decodes one record.
pub(super) fn decode(bytes: &[u8]) -> Result<v1::RaftRecord, String> {
    let record =
        v1::RaftRecord::decode(bytes).map_err(|error| format!("a record does not decode: {error}"))?;
    if record.format > FORMAT {
        return Err(format!("a record has format {}, the newest known here is {FORMAT}", record.format));
    }
    Ok(record)
}

/// Where an entry lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) term: u64,
    pub(super) bytes: u32,
    pub(super) position: Position,
}

/// What is known of one replica after replay.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) replica_id: u64,
    pub(super) vote: Option<(Vote, Position)>,
    pub(super) purged: Option<(LogId, Position)>,
    pub(super) entries: BTreeMap<u64, Placed>,
}

impl Replayed {
    fn new(replica_id: u64) -> Self {
        Self { replica_id, vote: None, purged: None, entries: BTreeMap::new() }
    }
}

/// Rebuilds the groups record by record.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) groups: BTreeMap<u64, Replayed>,
    /// By range the newest replica id that is gone.
    pub(super) removed: BTreeMap<u64, u64>,
}

impl Replay {
    /// Takes the next record.
    pub(super) fn take(&mut self, position: Position, bytes: &[u8]) -> Result<(), String> {
        let v1::RaftRecord { range_id, replica_id, rewritten, record, .. } = decode(bytes)?;
        let Some(record) = record else { return Err("a record is empty".to_owned()) };
        if matches!(record, Record::Removed(_)) {
            let removed = self.removed.entry(range_id).or_insert(replica_id);
            *removed = replica_id.max(*removed);
            if self.groups.get(&range_id).is_some_and(|group| group.replica_id <= replica_id) {
                self.groups.remove(&range_id);
            }
            return Ok(());
        }
        if self.removed.get(&range_id).is_some_and(|removed| replica_id <= *removed) {
            return Ok(());
        }
        let group = self.groups.entry(range_id).or_insert_with(|| Replayed::new(replica_id));
        if replica_id < group.replica_id {
            return Ok(());
        }
        if replica_id > group.replica_id {
            *group = Replayed::new(replica_id);
        }
        match record {
            Record::Entry(entry) => {
                let Some(id) = entry.id else { return Err("an entry has no id".to_owned()) };
                if group.purged.as_ref().is_some_and(|(purged, _)| id.index <= purged.index()) {
                    return Ok(());
                }
                if !rewritten {
                    group.entries.split_off(&id.index);
                }
                group.entries.insert(id.index, Placed { term: id.term, bytes: bytes.len() as u32, position });
            }
            Record::Vote(vote) => group.vote = Some((vote_from_wire(&vote), position)),
            Record::TruncateFrom(index) => {
                group.entries.split_off(&index);
            }
            Record::Purged(id) => {
                let id = log_id_from_wire(&id);
                group.entries = group.entries.split_off(&(id.index() + 1));
                group.purged = Some((id, position));
            }
            Record::Removed(_) => {}
        }
        Ok(())
    }

    /// Checks the invariants.
    pub(super) fn check(&self) -> Result<(), RaftError> {
        for (range_id, group) in &self.groups {
            let first = match &group.purged {
                Some((purged, _)) => purged.index() + 1,
                None => group.entries.keys().next().copied().unwrap_or(0),
            };
            for (due, index) in (first..).zip(group.entries.keys()) {
                if *index != due {
                    return Err(RaftError::Corrupt(format!(
                        "range {range_id}, replica {}: entry {due} is missing before entry {index}",
                        group.replica_id
                    )));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::{Command, log_id};
    use super::super::wire::entry_from_wire;
    use super::*;
    use crate::raft::LogPoint;

    #[test]
    fn an_entry_is_encoded_as_its_message_says() {
        for bytes in [0, 1, 127, 128, 16_384, 300_000] {
            let command = Command(Bytes::from(vec![7; bytes]));
            for payload in [EntryPayload::Normal(command), EntryPayload::Blank] {
                let entry = Entry { log_id: log_id(LogPoint { term: 3, index: 1 << 40 }), payload };
                let encoded = EncodedEntry::new(7, 300, &entry);
                let expected = encode(7, 300, false, Record::Entry(entry_to_wire(&entry)));
                assert_eq!(encoded.parts().concat(), expected);
                assert_eq!(encoded.len(), expected.len());
                let Some(Record::Entry(read)) = decode(&expected).unwrap().record else { panic!("an entry") };
                assert_eq!(entry_from_wire(read).unwrap(), entry);
            }
        }
    }
}
