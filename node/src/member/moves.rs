//! Where a node's replicas come and go: moves that placement wants, replicas that were removed, leadership handed over.

use std::collections::BTreeSet;
use std::time::Duration;

use proto::v1::{AllocateIdsRequest, RangeDescriptor, ReplicaMove};

use super::Member;
use crate::error::NodeError;
use crate::raft::{ChangeError, Group};
use crate::root::COUNTER_REPLICA;

/// How long a new replica may take to catch up, once replication has found it close.
const CATCH_UP: Duration = Duration::from_secs(30);

/// How often that is looked at.
const CATCH_UP_TICK: Duration = Duration::from_millis(50);

/// How long a leadership may take to be handed over.
const HAND_OVER: Duration = Duration::from_secs(1);

impl Member {
    /// Drops the replica of a range whose configuration does not have it, if that is newer than one that has it: its
    /// leader will not tell it any more.
    pub(super) async fn leave_if_removed(&self, range: &RangeDescriptor) -> Result<(), NodeError> {
        let Some(replica) = self.replica(range.range_id) else { return Ok(()) };
        let group = &replica.group;
        let replica_id = group.replica_id();
        let known = group.membership_index();
        let was_member = group.membership().replicas.contains_key(&replica_id);
        let is_member = range.replicas.iter().any(|other| other.replica_id == replica_id);
        if !was_member || is_member || range.replicas.is_empty() || range.config_epoch <= known {
            return Ok(());
        }
        tracing::info!(
            range = range.range_id,
            replica = replica_id,
            "the replica was removed from its range"
        );
        replica.cell.serve(None);
        self.replicas.write().remove(&range.range_id);
        Ok(self.host.remove(range.range_id).await?)
    }

    /// Carries out a move of replicas as the range's leader: learners first, then the voters in one change.
    pub(super) async fn carry_out(&self, wanted: ReplicaMove) -> Result<(), ChangeError> {
        let refused = |what: &str| ChangeError::Refused(what.to_owned());
        let replica =
            self.replica(wanted.range_id).ok_or_else(|| refused("this node has no such replica"))?;
        let state = replica.cell.state();
        if state.config_epoch != wanted.config_epoch {
            return Err(refused("the range's replicas have changed since"));
        }
        let mut voters: BTreeSet<u64> =
            state.replicas.iter().filter(|r| !r.learner).map(|r| r.replica_id).collect();
        for node in wanted.add {
            let learner = state.replicas.iter().find(|replica| replica.node_id == node.node_id);
            let replica_id = match learner {
                Some(learner) => learner.replica_id,
                None => self.new_replica_id().await?,
            };
            let (node_id, address) = (node.node_id, node.address);
            tracing::info!(range = wanted.range_id, replica = replica_id, node = node_id, "adding a replica");
            replica.group.add_learner(replica_id, crate::raft::Store { node_id, address }).await?;
            caught_up(&replica.group, replica_id).await?;
            voters.insert(replica_id);
        }
        for removed in &wanted.remove {
            voters.remove(removed);
        }
        replica.group.change_voters(voters.iter().copied().collect(), false).await?;
        tracing::info!(range = wanted.range_id, voters = ?voters, "the range's replicas have changed");
        Ok(())
    }

    async fn new_replica_id(&self) -> Result<u64, ChangeError> {
        let request = AllocateIdsRequest {
            cluster_id: self.cluster_id.clone(),
            counter: COUNTER_REPLICA.to_owned(),
            count: 1,
        };
        let answer = match self.link.local() {
            Some(root) => root.allocate_ids(request).await,
            None => {
                self.link
                    .ask(|leader| {
                        let request = request.clone();
                        async move { leader.allocate_ids(request).await }
                    })
                    .await
            }
        };
        answer.map(|answer| answer.first).map_err(|status| ChangeError::Refused(status.message().to_owned()))
    }

    /// Hands over what this node leads, where another replica can lead it.
    pub(crate) async fn hand_over(&self) {
        for replica in self.replicas() {
            let role = replica.group.role();
            if !role.is_leader {
                continue;
            }
            let state = replica.cell.state();
            let votes = |id: u64| state.replicas.iter().any(|other| other.replica_id == id && !other.learner);
            let others = replica.group.progress().into_iter().filter(|(other, _)| votes(*other));
            let best = others.filter_map(|(other, matched)| Some((matched?, other))).max();
            if let Some((_, target)) = best {
                let handed = env::clock::timeout(HAND_OVER, replica.group.transfer_leader(target)).await;
                if !matches!(handed, Ok(Ok(()))) {
                    tracing::info!(range = replica.cell.range_id(), "leadership was not handed over");
                }
            }
        }
    }
}

/// Waits until a learner holds what the range has applied by now: replication's own notion of a learner that lags
/// little is met by one that was never reached, while the log is short.
async fn caught_up(group: &Group, replica_id: u64) -> Result<(), ChangeError> {
    let index = group.applied_index();
    let matched = async {
        let holds =
            |(id, matched): (u64, Option<u64>)| id == replica_id && matched.is_some_and(|m| m >= index);
        while !group.progress().into_iter().any(holds) {
            env::clock::sleep(CATCH_UP_TICK).await;
        }
    };
    let refused = |_| ChangeError::Refused(format!("replica {replica_id} does not catch up"));
    env::clock::timeout(CATCH_UP, matched).await.map_err(refused)
}
