//! How openraft's type parameters are chosen, and short names for what follows from them.

use std::fmt;

use bytes::Bytes;
use openraft::RaftTypeConfig;
use openraft::alias::{EntryOf, LogIdOf, SnapshotMetaOf, StoredMembershipOf};

use super::apply::{LogPoint, Membership, Store};
use super::responder::Settler;
use super::runtime::EnvRuntime;

/// The type parameters of every group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Types;

impl RaftTypeConfig for Types {
    type D = Command;
    type R = Bytes;
    type NodeId = u64;
    type Node = Store;
    type Term = u64;
    // One leader per term: a log id is (term, index), the same on every replica.
    type LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>;
    type Vote = openraft::impls::Vote<Self::LeaderId>;
    type Payload = openraft::EntryPayload<Command, u64, Store>;
    type Entry = openraft::Entry<openraft::alias::CommittedLeaderIdOf<Self>, Self::Payload>;
    type AsyncRuntime = EnvRuntime;
    type Responder<T>
        = Settler<T>
    where
        T: openraft::OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: openraft::OptionalSend + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

pub(super) type Vote = openraft::alias::VoteOf<Types>;
pub(super) type LogId = LogIdOf<Types>;
pub(super) type Entry = EntryOf<Types>;
pub(super) type RaftMembership = openraft::Membership<u64, Store>;
pub(super) type StoredMembership = StoredMembershipOf<Types>;
pub(super) type SnapshotMeta = SnapshotMetaOf<Types>;

/// What the range layer proposes: bytes that replication does not look into.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Command(pub(super) Bytes);

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}", self.node_id)
    }
}

/// The log id as the range layer knows it.
pub(super) fn point(id: &LogId) -> LogPoint {
    LogPoint { term: **id.committed_leader_id(), index: id.index() }
}

/// The log id that `point` names.
pub(super) fn log_id(point: LogPoint) -> LogId {
    LogId::new_term_index(point.term, point.index)
}

/// The membership that the range layer names.
pub(super) fn raft_membership(of: &Membership) -> Result<RaftMembership, String> {
    let membership = RaftMembership::new(of.configs.clone(), of.replicas.clone());
    membership.map_err(|error| error.to_string())
}

/// The membership as the range layer knows it.
pub(super) fn membership(of: &RaftMembership) -> Membership {
    Membership {
        configs: of.get_joint_config().clone(),
        replicas: of.nodes().map(|(id, store)| (*id, *store)).collect(),
    }
}
