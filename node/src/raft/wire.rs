//! Between openraft's types and the protocol's messages, which are also what the shared log holds.

use std::collections::{BTreeMap, BTreeSet};

use openraft::EntryPayload;
use proto::v1;

use super::apply::Store;
use super::closed::Closed;
use super::types::{Command, Entry, LogId, RaftMembership, StoredMembership, Vote};

/// The version of entries, records, applied states and snapshots that this code writes, and the newest it reads.
pub(super) const FORMAT: u32 = 2;

/// A message that does not say what it must, or says what this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) &'static str);

pub(super) fn vote_to_wire(vote: &Vote) -> v1::RaftVote {
    v1::RaftVote {
        term: vote.leader_id.term,
        replica_id: vote.leader_id.voted_for,
        committed: vote.committed,
    }
}

pub(super) fn vote_from_wire(vote: &v1::RaftVote) -> Vote {
    if vote.committed {
        Vote::new_committed(vote.term, vote.replica_id)
    } else {
        Vote::new(vote.term, vote.replica_id)
    }
}

pub(super) fn log_id_to_wire(id: &LogId) -> v1::RaftLogId {
    v1::RaftLogId { term: **id.committed_leader_id(), index: id.index() }
}

pub(super) fn log_id_from_wire(id: &v1::RaftLogId) -> LogId {
    LogId::new_term_index(id.term, id.index)
}

pub(super) fn closed_to_wire(closed: Closed) -> v1::RaftClosed {
    let Closed { timestamp, index, span_epoch } = closed;
    v1::RaftClosed { timestamp, index, span_epoch }
}

pub(super) fn closed_from_wire(closed: &v1::RaftClosed) -> Closed {
    Closed { timestamp: closed.timestamp, index: closed.index, span_epoch: closed.span_epoch }
}

pub(super) fn membership_to_wire(membership: &RaftMembership) -> v1::RaftMembership {
    v1::RaftMembership {
        configs: membership
            .get_joint_config()
            .iter()
            .map(|config| v1::raft_membership::Config { voters: config.iter().copied().collect() })
            .collect(),
        replicas: membership
            .nodes()
            .map(|(id, store)| (*id, v1::RaftStore { node_id: store.node_id }))
            .collect(),
    }
}

pub(super) fn membership_from_wire(membership: &v1::RaftMembership) -> Result<RaftMembership, Malformed> {
    let configs: Vec<BTreeSet<u64>> =
        membership.configs.iter().map(|config| config.voters.iter().copied().collect()).collect();
    let replicas: BTreeMap<u64, Store> =
        membership.replicas.iter().map(|(&id, store)| (id, Store { node_id: store.node_id })).collect();
    if configs.is_empty() && replicas.is_empty() {
        return Ok(RaftMembership::default());
    }
    RaftMembership::new(configs, replicas)
        .map_err(|_| Malformed("membership without quorum or with unknown voters"))
}

pub(super) fn stored_membership_from_wire(
    log_id: Option<&v1::RaftLogId>,
    membership: Option<&v1::RaftMembership>,
) -> Result<StoredMembership, Malformed> {
    let membership = membership.map(membership_from_wire).transpose()?.unwrap_or_default();
    Ok(StoredMembership::new(log_id.map(log_id_from_wire), membership))
}

pub(super) fn entry_to_wire(entry: &Entry) -> v1::RaftEntry {
    use v1::raft_entry::Payload;
    v1::RaftEntry {
        format: FORMAT,
        id: Some(log_id_to_wire(&entry.log_id)),
        payload: Some(match &entry.payload {
            EntryPayload::Blank => Payload::Blank(true),
            EntryPayload::Normal(command) => Payload::Command(command.0.clone()),
            EntryPayload::Membership(membership) => Payload::Membership(membership_to_wire(membership)),
        }),
    }
}

pub(super) fn entry_from_wire(entry: v1::RaftEntry) -> Result<Entry, Malformed> {
    use v1::raft_entry::Payload;
    if entry.format > FORMAT {
        return Err(Malformed("entry of a newer version"));
    }
    let log_id = entry.id.as_ref().map(log_id_from_wire).ok_or(Malformed("entry without id"))?;
    let payload = match entry.payload.ok_or(Malformed("entry without payload"))? {
        Payload::Blank(_) => EntryPayload::Blank,
        Payload::Command(command) => EntryPayload::Normal(Command(command)),
        Payload::Membership(membership) => EntryPayload::Membership(membership_from_wire(&membership)?),
    };
    Ok(Entry { log_id, payload })
}
