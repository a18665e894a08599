//! What a message of replication must say before a replica looks at it.
//!
//! Pure: from the message alone to what openraft is given, or to why it makes no sense. Who sent it, and whether that is
//! somebody who may, is for `serve` to find out.

use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest};
use proto::{Status, v1};

use super::types::{LogId, SnapshotMeta, Types, Vote};
use super::wire::{entry_from_wire, log_id_from_wire, stored_membership_from_wire, vote_from_wire};

/// Replicas that a range may have, learners and those on their way out among them.
const REPLICAS_MAX: usize = 64;

pub(super) fn malformed(what: &str) -> Status {
    Status::invalid_argument(format!("malformed raft message: {what}"))
}

/// A candidate's request: for itself, not yet granted.
pub(super) fn vote_request(
    target: &v1::RaftTarget,
    request: &v1::RaftVoteRequest,
) -> Result<VoteRequest<Types>, Status> {
    let vote = vote_of(target, request.vote.as_ref())?;
    if vote.committed {
        return Err(malformed("a candidate that leads already"));
    }
    let last = request.last_log_id.as_ref().map(log_id_from_wire);
    before_or_in(last.as_ref(), &vote)?;
    let mut rpc = VoteRequest::<Types>::new(vote, last);
    rpc.leadership_transfer = request.leadership_transfer;
    Ok(rpc)
}

/// The vote of a leader, who speaks for itself.
pub(super) fn leader_vote(target: &v1::RaftTarget, vote: Option<&v1::RaftVote>) -> Result<Vote, Status> {
    let vote = vote_of(target, vote)?;
    if vote.committed { Ok(vote) } else { Err(malformed("a leader that was not elected")) }
}

/// Entries of the leader with `vote`.
pub(super) fn append_request(
    vote: Vote,
    request: v1::RaftAppendRequest,
) -> Result<AppendEntriesRequest<Types>, Status> {
    if request.vote.as_ref().map(vote_from_wire) != Some(vote) {
        return Err(malformed("a stream is of one leader in one term"));
    }
    let prev_log_id = request.prev_log_id.as_ref().map(log_id_from_wire);
    let leader_commit = request.leader_commit.as_ref().map(log_id_from_wire);
    before_or_in(prev_log_id.as_ref(), &vote)?;
    before_or_in(leader_commit.as_ref(), &vote)?;
    if request.entries.iter().any(has_no_place) {
        return Err(malformed("a membership without places for its replicas"));
    }
    let entries: Result<Vec<_>, _> = request.entries.into_iter().map(entry_from_wire).collect();
    let entries = entries.map_err(|error| Status::invalid_argument(error.to_string()))?;
    let mut before = prev_log_id;
    for entry in &entries {
        let due = before.map_or(Some(0), |before| before.index().checked_add(1));
        let term = |id: &LogId| **id.committed_leader_id();
        if due != Some(entry.log_id.index()) || before.is_some_and(|id| term(&id) > term(&entry.log_id)) {
            return Err(malformed("entries are not consecutive"));
        }
        before = Some(entry.log_id);
    }
    before_or_in(before.as_ref(), &vote)?;
    Ok(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit })
}

/// What a snapshot of the leader with `vote` says of itself. openraft takes inconsistent ones for a defect of its own.
pub(super) fn snapshot_meta(vote: &Vote, head: &v1::RaftSnapshotHead) -> Result<SnapshotMeta, Status> {
    let last_membership =
        stored_membership_from_wire(head.membership_log_id.as_ref(), head.membership.as_ref())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
    let last_log_id = head.last_log_id.as_ref().map(log_id_from_wire);
    if last_log_id.is_none() {
        return Err(malformed("a snapshot of nothing"));
    }
    before_or_in(last_log_id.as_ref(), vote)?;
    if last_membership.log_id().as_ref() > last_log_id.as_ref() {
        return Err(malformed("a snapshot of a membership that is newer than itself"));
    }
    if head.membership.as_ref().is_some_and(|membership| !has_places(membership)) {
        return Err(malformed("a membership without places for its replicas"));
    }
    Ok(SnapshotMeta { last_log_id, last_membership })
}

/// A leader's wish to hand over.
pub(super) fn transfer_request(
    target: &v1::RaftTarget,
    request: &v1::RaftTransferRequest,
) -> Result<TransferLeaderRequest<Types>, Status> {
    let from = leader_vote(target, request.from_vote.as_ref())?;
    let last = request.last_log_id.as_ref().map(log_id_from_wire);
    before_or_in(last.as_ref(), &from)?;
    Ok(TransferLeaderRequest::<Types>::new(from, request.to_replica_id, last))
}

/// A sender's own vote.
fn vote_of(target: &v1::RaftTarget, vote: Option<&v1::RaftVote>) -> Result<Vote, Status> {
    let vote = vote.ok_or_else(|| malformed("no vote"))?;
    if vote.replica_id != target.from_replica_id || vote.replica_id == target.replica_id {
        return Err(malformed("a vote that is not its sender's"));
    }
    if vote.term == 0 {
        return Err(malformed("a vote without a term"));
    }
    Ok(vote_from_wire(vote))
}

/// No entry is of a later term than the one who knows of it.
fn before_or_in(id: Option<&LogId>, vote: &Vote) -> Result<(), Status> {
    if id.is_some_and(|id| **id.committed_leader_id() > vote.leader_id.term) {
        return Err(malformed("an entry of a later term than its sender's"));
    }
    Ok(())
}

fn has_no_place(entry: &v1::RaftEntry) -> bool {
    match &entry.payload {
        Some(v1::raft_entry::Payload::Membership(membership)) => !has_places(membership),
        _ => false,
    }
}

fn has_places(membership: &v1::RaftMembership) -> bool {
    let replicas = &membership.replicas;
    replicas.len() <= REPLICAS_MAX
        && membership.configs.len() <= 2
        && replicas.iter().all(|(id, store)| *id != 0 && store.node_id != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> v1::RaftTarget {
        v1::RaftTarget { replica_id: 2, from_replica_id: 1, ..v1::RaftTarget::default() }
    }

    fn vote(term: u64, replica_id: u64, committed: bool) -> Option<v1::RaftVote> {
        Some(v1::RaftVote { term, replica_id, committed })
    }

    fn id(term: u64, index: u64) -> Option<v1::RaftLogId> {
        Some(v1::RaftLogId { term, index })
    }

    fn append(prev: Option<v1::RaftLogId>, entries: &[(u64, u64)]) -> Result<(), Status> {
        let entry = |&(term, index): &(u64, u64)| v1::RaftEntry {
            format: 1,
            id: id(term, index),
            payload: Some(v1::raft_entry::Payload::Blank(true)),
        };
        let request = v1::RaftAppendRequest {
            vote: vote(5, 1, true),
            prev_log_id: prev,
            entries: entries.iter().map(entry).collect(),
            ..v1::RaftAppendRequest::default()
        };
        append_request(leader_vote(&target(), vote(5, 1, true).as_ref())?, request).map(drop)
    }

    #[test]
    fn nobody_votes_for_another() {
        let request = |vote, last_log_id| v1::RaftVoteRequest { vote, last_log_id, ..Default::default() };
        assert!(vote_request(&target(), &request(vote(5, 1, false), id(5, 9))).is_ok());
        for wrong in [
            request(None, None),
            request(vote(5, 3, false), None),
            request(vote(5, 2, false), None),
            request(vote(5, 1, true), None),
            request(vote(0, 1, false), None),
            request(vote(5, 1, false), id(6, 1)),
        ] {
            assert!(vote_request(&target(), &wrong).is_err(), "{wrong:?}");
        }
        assert!(leader_vote(&target(), vote(5, 1, false).as_ref()).is_err());
    }

    #[test]
    fn entries_follow_each_other() {
        assert!(append(id(3, 7), &[(3, 8), (5, 9)]).is_ok());
        assert!(append(None, &[(1, 0), (1, 1)]).is_ok());
        for (prev, entries) in [
            (id(3, 7), vec![(3, 9)]),
            (id(3, 7), vec![(2, 8)]),
            (id(3, 7), vec![(6, 8)]),
            (id(3, u64::MAX), vec![(3, 0)]),
            (id(6, 1), vec![]),
            (None, vec![(1, 1)]),
        ] {
            assert!(append(prev, &entries).is_err(), "{prev:?} {entries:?}");
        }
    }

    #[test]
    fn a_snapshot_is_no_older_than_its_membership() {
        let head = |last, membership| v1::RaftSnapshotHead {
            last_log_id: last,
            membership_log_id: membership,
            ..v1::RaftSnapshotHead::default()
        };
        let vote = vote_from_wire(&vote(5, 1, true).unwrap());
        assert!(snapshot_meta(&vote, &head(id(4, 9), id(3, 2))).is_ok());
        for wrong in [head(None, None), head(id(6, 9), None), head(id(4, 9), id(4, 10))] {
            assert!(snapshot_meta(&vote, &wrong).is_err(), "{wrong:?}");
        }
    }
}
