//! Replication: every range is one consensus group; a store keeps the log of all its groups in one shared log.
//!
//! This is the only module that names openraft. What the range layer sees of it:
//!
//! 1. [`RaftHost`] is one store's side of replication: the shared log, all groups, the handlers of the `raft_*` calls.
//! 2. A [`Group`] is one replica of one range. A leader proposes a command with [`Group::propose_with`]; it is logged
//!    on a quorum, then handed to [`Apply`] on every replica in the order of the log.
//! 3. Reads are served by the leader while [`Group::lease_valid`]; [`Group::read_index`] is the way round by a quorum.
//!
//! A group that nobody asks anything [sleeps](waking): it has no heartbeats and no timers, and whoever wants something of it wakes it.
//! Of one that has slept for long even its openraft [`instance`] is [closed](shutting), and opened again for whoever wants it.
//!
//! ```text
//! propose ─▶ openraft core ─┬▶ group_log ─▶ shared_log ─▶ lsm::log  (one write, one fdatasync for all groups)
//!                           ├▶ peer ─▶ NodeService::raft_append ─▶ followers (serve)
//!                           └▶ machine ─▶ Apply ─▶ lsm::Db    (one batch without WAL: effects + applied state; small ones here, others on threads that may block)
//! ```
//!
//! After a crash the engine is a consistent prefix of what was applied; each group replays its log from the applied
//! id found there. So the log is purged only behind what the engine has flushed.

mod acks;
mod apply;
mod births;
mod calling;
mod claims;
mod closed;
mod fitness;
mod followed;
mod group;
mod group_log;
mod host;
mod instance;
mod lease;
mod machine;
mod making;
mod neighbours;
mod options;
mod peer;
mod progress;
mod record;
mod requests;
mod reserved;
mod responder;
mod role;
mod role_publisher;
mod rounds;
mod runtime;
mod send_snapshot;
mod sender;
mod sending;
mod sense;
mod serve;
mod shared_log;
mod shutting;
mod sleep;
mod sleepers;
mod snapshot;
mod sole;
mod step_down;
mod supervise;
mod telling;
mod tidy;
mod types;
mod waking;
mod wire;

pub use apply::{
    Apply, ApplyEntry, ApplyError, Child, LogPoint, Membership, Outcome, Replica, SnapshotSpan, Store,
    state_key,
};
pub use closed::Closed;
pub use group::Group;
pub use host::RaftHost;
pub use options::{GroupSeed, RaftOptions, RaftTiming};
pub(crate) use progress::FIRST_INDEX;
pub use role::{ChangeError, ProposeError, Proposed, RaftError, Role};
pub(crate) use shared_log::raft_log_options;
pub(crate) use sole::{StoppedLog, StoppedReplica};
pub use supervise::ReplicaFailure;

#[cfg(test)]
mod tests;
