//! One replica of one range: what the range layer holds of its consensus group.

use bytes::Bytes;
use tokio::sync::watch;

use super::apply::{Membership, Replica, Store};
use super::role::{ChangeError, ProposeError, Proposed, Role};

/// One replica of one range.
pub struct Group {
    range_id: u64,
    replica_id: u64,
    role: watch::Receiver<Role>,
    applied: watch::Receiver<u64>,
}

impl Group {
    /// The range.
    pub fn range_id(&self) -> u64 {
        self.range_id
    }

    /// This replica's id within the range.
    pub fn replica_id(&self) -> u64 {
        self.replica_id
    }

    /// Has `command` logged by a quorum and applied here. Refused unless this replica leads in `term`, so that what
    /// was evaluated under one term is never proposed in another.
    pub async fn propose_in(&self, term: u64, command: Bytes) -> Result<Proposed, ProposeError> {
        let _ = (term, command);
        Err(ProposeError::NotLeader { leader: None })
    }

    /// As [`Group::propose_in`], in whatever term this replica leads.
    pub async fn propose(&self, command: Bytes) -> Result<Proposed, ProposeError> {
        let _ = command;
        Err(ProposeError::NotLeader { leader: None })
    }

    /// The replica's place in the group now.
    pub fn role(&self) -> Role {
        self.role.borrow().clone()
    }

    /// Follows [`Group::role`].
    pub fn watch(&self) -> watch::Receiver<Role> {
        self.role.clone()
    }

    /// Whether this replica leads in `term` and may answer reads now without asking the others. Never waits.
    pub fn lease_valid(&self, term: u64) -> bool {
        let _ = term;
        false
    }

    /// Proves by a round to a quorum that this replica leads still, and waits until all that was committed before the
    /// call is applied here.
    pub async fn read_index(&self) -> Result<(), ProposeError> {
        Err(ProposeError::NotLeader { leader: None })
    }

    /// Waits until an entry of `term` is applied here, its blank at first: all earlier terms' entries are then too.
    pub async fn wait_term_applied(&self, term: u64) -> Result<(), ProposeError> {
        let _ = term;
        Err(ProposeError::NotLeader { leader: None })
    }

    /// The index of the newest entry whose effects can be read here; 0 when there is none.
    pub fn applied_index(&self) -> u64 {
        *self.applied.borrow()
    }

    /// Waits until the entry at `index` is applied here.
    pub async fn wait_applied(&self, index: u64) -> Result<(), ProposeError> {
        let _ = index;
        Err(ProposeError::NotLeader { leader: None })
    }

    /// Who replicates the range, by the newest entry in the log here, committed or not.
    pub fn membership(&self) -> Membership {
        Membership::default()
    }

    /// Adds a replica that does not vote and returns once it has caught up. `replica_id` was never used in the range.
    pub async fn add_learner(&self, replica_id: u64, store: Store) -> Result<(), ChangeError> {
        let _ = (replica_id, store);
        Err(ChangeError::NotLeader { leader: None })
    }

    /// Makes exactly `voters` the voters, through joint consensus. All of them are learners or voters already; who
    /// votes no more becomes a learner with `retain`, else leaves the range.
    pub async fn change_voters(&self, voters: Vec<u64>, retain: bool) -> Result<(), ChangeError> {
        let _ = (voters, retain);
        Err(ChangeError::NotLeader { leader: None })
    }

    /// Removes a learner from the range.
    pub async fn remove_learner(&self, replica_id: u64) -> Result<(), ChangeError> {
        let _ = replica_id;
        Err(ChangeError::NotLeader { leader: None })
    }

    /// Hands leadership to the voter `replica_id` and returns once this replica has stepped down.
    pub async fn transfer_leader(&self, replica_id: u64) -> Result<(), ChangeError> {
        let _ = replica_id;
        Err(ChangeError::NotLeader { leader: None })
    }

    /// For each other replica the index up to which it is known to hold the log, while this replica leads.
    pub fn progress(&self) -> Vec<(Replica, Option<u64>)> {
        Vec::new()
    }

    /// How many bytes of log the range has in the shared log.
    pub fn log_bytes(&self) -> u64 {
        0
    }
}
