//! What a replica is at a moment, and how proposals end.

use bytes::Bytes;

use super::apply::Replica;

/// A replica's place in its group at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Role {
    /// The newest term that the replica has heard of.
    pub term: u64,
    /// Who leads in that term, as far as is known.
    pub leader: Option<Replica>,
    /// Whether this replica was elected leader of `term` and has not heard of a newer one. What it serves must
    /// moreover wait for [`super::Group::wait_term_applied`] and hold a lease.
    pub is_leader: bool,
}

/// A command that was committed and applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// Its index in the range's log.
    pub index: u64,
    /// The term it was proposed in.
    pub term: u64,
    /// What [`super::Apply::apply`] answered.
    pub reply: Bytes,
}

/// Why there is no [`Proposed`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProposeError {
    /// Nothing was proposed: this replica does not lead (in the term asked for).
    #[error("not the leader")]
    NotLeader {
        /// Who does, as far as is known.
        leader: Option<Replica>,
    },
    /// Leadership was lost with the command on its way: it may or may not be committed.
    #[error("leadership was lost before the outcome was known")]
    Ambiguous,
    /// The replica has stopped, or its disk failed. A command on its way may or may not be committed.
    #[error("replica stopped: {0}")]
    Fatal(String),
}

/// Why a change of replicas or of leadership did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ChangeError {
    /// This replica does not lead.
    #[error("not the leader")]
    NotLeader {
        /// Who does, as far as is known.
        leader: Option<Replica>,
    },
    /// Another change is under way, or the target is not fit for it (yet); nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// The change may or may not have taken place.
    #[error("the change's outcome is unknown: {0}")]
    Ambiguous(String),
    /// The replica has stopped.
    #[error("replica stopped: {0}")]
    Fatal(String),
}

/// Why the store's side of replication cannot work.
#[derive(Debug, thiserror::Error)]
pub enum RaftError {
    /// The shared log.
    #[error("raft log: {0}")]
    Log(#[source] std::io::Error),
    /// The engine.
    #[error("engine: {0}")]
    Engine(#[from] lsm::Error),
    /// A stored record that cannot be read.
    #[error("raft log: {0}")]
    Corrupt(String),
    /// The range's group is there already, under another replica id.
    #[error("range {range_id} is held as replica {replica_id} already")]
    Exists {
        /// The range.
        range_id: u64,
        /// The replica that is there.
        replica_id: u64,
    },
    /// The replica id was given up before.
    #[error("replica {replica_id} of range {range_id} was removed from this store")]
    Removed {
        /// The range.
        range_id: u64,
        /// The replica id asked for.
        replica_id: u64,
    },
    /// A group could not be started or has stopped.
    #[error("group of range {range_id}: {message}")]
    Group {
        /// The range.
        range_id: u64,
        /// Why.
        message: String,
    },
}
