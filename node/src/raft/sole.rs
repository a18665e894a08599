//! The log of a store that has stopped, in which a replica can be made the only voter of its range.
//!
//! ```text
//!   what the log holds          what is appended, in a term above all that it knows
//!   … │ last │                  │ commands of the range layer │ the voters: this replica alone │
//! ```
//! The newest configuration in a log counts, committed or not. So the replica leads when the store starts, takes all that its log holds
//! for committed, and applies it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use env::disk::Disk;
use lsm::Db;
use lsm::log::{Log, Position, Writer};
use openraft::EntryPayload;
use proto::v1::raft_record::Record;

use super::apply::{LogPoint, Membership, Store};
use super::host::range_of;
use super::progress::Applied;
use super::record::{Replay, Replayed, decode, encode};
use super::role::RaftError;
use super::shared_log::raft_log_options;
use super::types::{Command, Entry, RaftMembership, Vote, log_id, membership, point, raft_membership};
use super::wire::{entry_from_wire, entry_to_wire, log_id_to_wire, vote_to_wire};

/// The size of the segments that are begun here.
const SEGMENT_BYTES: u64 = 1 << 20;

/// A replica of a store that has stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoppedReplica {
    /// Its range.
    pub(crate) range_id: u64,
    /// The replica.
    pub(crate) replica_id: u64,
    /// The newest configuration that it knows.
    pub(crate) membership: Membership,
    /// The index of the entry that brought it.
    pub(crate) configured: u64,
    /// What it has applied.
    pub(crate) applied: LogPoint,
    /// Where its log ends.
    pub(crate) last: LogPoint,
    /// The commands of its log behind what it has applied, as far as they were asked for.
    pub(crate) commands: Vec<Bytes>,
    /// The log does not reach to what is applied: it begins anew behind that.
    begins_anew: bool,
    /// The newest term that it knows.
    term: u64,
}

/// The shared log of a store that has stopped, and what its replay has found.
pub(crate) struct StoppedLog {
    log: Log,
    replicas: Vec<StoppedReplica>,
}

impl StoppedLog {
    /// Opens the log in `dir`, beside the engine of the same store. Of its commands those are told that are `wanted`.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        db: &Db,
        wanted: impl Fn(&Bytes) -> bool,
    ) -> Result<Self, RaftError> {
        let mut replay = Replay::default();
        let mut noted = Noted::default();
        let mut malformed = None;
        let options = raft_log_options(SEGMENT_BYTES, Writer::Caller, db.keys());
        let opened = Log::open(disk, dir, options, |position, bytes| {
            let taken = replay.take(position, &bytes).and_then(|()| noted.take(position, &bytes, &wanted));
            taken.map_err(|message| {
                malformed = Some(message.clone());
                lsm::Error::Invalid(message)
            })
        });
        let log = match (opened, malformed) {
            (_, Some(message)) => return Err(RaftError::Corrupt(message)),
            (opened, None) => opened?,
        };
        replay.check()?;
        let mut replicas = Vec::new();
        for (range_id, replica_id, applied) in stored(db)? {
            if replay.removed.get(&range_id).is_some_and(|removed| replica_id <= *removed) {
                continue;
            }
            let logged = replay.groups.get(&range_id).filter(|group| group.replica_id == replica_id);
            replicas.push(stopped(range_id, replica_id, &applied, logged, &noted)?);
        }
        Ok(Self { log, replicas })
    }

    /// The replicas that have applied anything, ascending by range.
    pub(crate) fn replicas(&self) -> &[StoppedReplica] {
        &self.replicas
    }

    /// Makes a replica the only voter of its range, once this and all before it is synced; the range layer's commands come first.
    pub(crate) fn make_sole(
        &self,
        replica: &StoppedReplica,
        store: Store,
        commands: Vec<Bytes>,
    ) -> Result<(), RaftError> {
        let StoppedReplica { range_id, replica_id, applied, last, .. } = *replica;
        let term = replica.term.max(last.term) + 1;
        let mut records = Vec::new();
        if replica.begins_anew {
            records.push(Record::Purged(log_id_to_wire(&log_id(applied))));
        }
        records.push(Record::Vote(vote_to_wire(&Vote::new(term, replica_id))));
        let sole = Membership {
            configs: vec![BTreeSet::from([replica_id])],
            replicas: BTreeMap::from([(replica_id, store)]),
        };
        let sole = raft_membership(&sole).map_err(RaftError::Corrupt)?;
        let commands = commands.into_iter().map(|command| EntryPayload::Normal(Command(command)));
        let payloads = commands.chain([EntryPayload::Membership(sole)]);
        for (index, payload) in (last.index + 1..).zip(payloads) {
            let entry = Entry { log_id: log_id(LogPoint { term, index }), payload };
            records.push(Record::Entry(entry_to_wire(&entry)));
        }
        for record in records {
            self.log.append(&encode(range_id, replica_id, false, record))?;
        }
        Ok(())
    }

    /// Returns once all that was appended is durable.
    pub(crate) fn sync(&self) -> Result<(), RaftError> {
        Ok(self.log.sync()?)
    }
}

/// Where entries of the log lie, by range and index, and what they bring: configurations, and commands that are wanted.
#[derive(Default)]
struct Noted {
    configurations: BTreeMap<(u64, u64), (Position, RaftMembership)>,
    commands: BTreeMap<(u64, u64), (Position, Bytes)>,
}

impl Noted {
    fn take(
        &mut self,
        position: Position,
        bytes: &[u8],
        wanted: &impl Fn(&Bytes) -> bool,
    ) -> Result<(), String> {
        let record = decode(bytes)?;
        let Some(Record::Entry(entry)) = record.record else { return Ok(()) };
        let entry = entry_from_wire(entry).map_err(|error| error.to_string())?;
        let place = (record.range_id, entry.log_id.index());
        match entry.payload {
            EntryPayload::Membership(found) => {
                self.configurations.insert(place, (position, found));
            }
            EntryPayload::Normal(Command(command)) if wanted(&command) => {
                self.commands.insert(place, (position, command));
            }
            EntryPayload::Normal(_) | EntryPayload::Blank => {}
        }
        Ok(())
    }
}

/// What was noted of a range's entries behind `index`, in their order, each with its own, as far as they still stand in its log.
fn standing<'a, T>(
    noted: &'a BTreeMap<(u64, u64), (Position, T)>,
    range_id: u64,
    index: u64,
    logged: &'a Replayed,
) -> impl Iterator<Item = (u64, &'a T)> {
    let behind = noted.range((range_id, index + 1)..=(range_id, u64::MAX));
    behind.filter_map(move |((_, index), (position, found))| {
        let stands = logged.entries.get(index).is_some_and(|placed| placed.position == *position);
        stands.then_some((*index, found))
    })
}

/// What the engine holds: range, replica, what is applied.
fn stored(db: &Db) -> Result<Vec<(u64, u64, Applied)>, RaftError> {
    let all = (Bound::Included([b's'].as_slice()), Bound::Excluded([b's' + 1].as_slice()));
    let mut stored = Vec::new();
    for row in db.scan(all, false)? {
        let (key, _) = row?;
        let Some(range_id) = range_of(&key) else { continue };
        if let Some((replica_id, applied)) = Applied::load(range_id, db)? {
            stored.push((range_id, replica_id, applied));
        }
    }
    Ok(stored)
}

fn stopped(
    range_id: u64,
    replica_id: u64,
    applied: &Applied,
    logged: Option<&Replayed>,
    noted: &Noted,
) -> Result<StoppedReplica, RaftError> {
    let known = applied.id.as_ref().map(point).unwrap_or_default();
    let purged = logged.and_then(|logged| logged.purged.as_ref()).map_or(0, |(purged, _)| purged.index());
    // What lies between the two was acknowledged, and is nowhere here: a log that began anew would hide that.
    if purged > known.index {
        return Err(RaftError::Corrupt(format!(
            "the log of range {range_id} is purged up to entry {purged}, but only entry {} is in the engine",
            known.index
        )));
    }
    let newest = logged.and_then(|logged| {
        let purged = logged.purged.as_ref().map(|(purged, _)| point(purged));
        let last = logged.entries.last_key_value();
        last.map(|(index, placed)| LogPoint { term: placed.term, index: *index }).or(purged)
    });
    // As a start does, which makes the log fit the engine.
    let term_at = |index: u64| {
        let logged = logged?;
        let purged = logged.purged.as_ref().map(|(purged, _)| point(purged));
        let entry = logged.entries.get(&index).map(|placed| placed.term);
        entry.or(purged.filter(|purged| purged.index == index).map(|purged| purged.term))
    };
    let reaches =
        newest.is_some_and(|newest| newest.index >= known.index) && term_at(known.index) == Some(known.term);
    let behind = logged.filter(|_| reaches);
    let found =
        behind.and_then(|logged| standing(&noted.configurations, range_id, known.index, logged).last());
    let (configured, voters) = found.unwrap_or_else(|| {
        let index = applied.membership.log_id().as_ref().map_or(0, |id| id.index());
        (index, applied.membership.membership())
    });
    let commands = behind.map(|logged| standing(&noted.commands, range_id, known.index, logged));
    let commands =
        commands.map(|commands| commands.map(|(_, command)| command.clone()).collect::<Vec<Bytes>>());
    let voted = logged.and_then(|logged| logged.vote.as_ref()).map_or(0, |(vote, _)| vote.leader_id.term);
    Ok(StoppedReplica {
        range_id,
        replica_id,
        membership: membership(voters),
        configured,
        applied: known,
        last: newest.filter(|_| reaches).unwrap_or(known),
        commands: commands.unwrap_or_default(),
        begins_anew: !reaches,
        term: voted.max(newest.map_or(0, |newest| newest.term)),
    })
}
