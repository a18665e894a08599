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

use lsm::log::Position;
use prost::Message;
use proto::v1;
use proto::v1::raft_record::Record;

use super::role::RaftError;
use super::types::{LogId, Vote};
use super::wire::{FORMAT, log_id_from_wire, vote_from_wire};

/// Encodes one record.
pub(super) fn encode(range_id: u64, replica_id: u64, rewritten: bool, record: Record) -> Vec<u8> {
    v1::RaftRecord { format: FORMAT, range_id, replica_id, rewritten, record: Some(record) }.encode_to_vec()
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
