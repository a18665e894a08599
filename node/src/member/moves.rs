//! Where a node's replicas come and go: moves that placement wants, replicas that were removed, leadership handed over.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use env::canary::Canary;
use proto::v1::{AllocateIdsRequest, LeaderMove, RangeDescriptor, ReplicaMove};

use super::Member;
use crate::addresses::Whereabouts;
use crate::error::NodeError;
use crate::raft::{ChangeError, Store};
use crate::range::Replica;
use crate::range::state::is_still;
use crate::root::COUNTER_REPLICA;

/// How often a leader looks for changes of voters that somebody has left half done.
const FINISH_TICK: Duration = Duration::from_millis(500);

/// How long that may take for one range before the others have their turn.
const FINISHING: Duration = Duration::from_secs(5);

impl Member {
    /// Drops the replica of a range whose committed configuration does not have it, if that is newer than one that has
    /// it: its leader will not tell it any more.
    pub(super) async fn leave_if_removed(&self, range: &RangeDescriptor) -> Result<(), NodeError> {
        let Some(replica) = self.replica(range.range_id) else { return Ok(()) };
        let replica_id = replica.group.replica_id();
        let known = replica.group.membership_index();
        let was_member = replica.group.membership().replicas.contains_key(&replica_id);
        let is_member = range.replicas.iter().any(|other| other.replica_id == replica_id);
        // One that has never heard of being a member may be about to: only if a later one is there, it was too late.
        let too_late = range.replicas.iter().any(|other| other.replica_id > replica_id);
        if is_member || !(was_member || too_late) || range.replicas.is_empty() || range.config_epoch <= known
        {
            return Ok(());
        }
        tracing::info!(
            range = range.range_id,
            replica = replica_id,
            "the replica was removed from its range"
        );
        self.drop_replica(&replica).await
    }

    /// Drops a replica for good.
    pub(super) async fn drop_replica(&self, replica: &Arc<Replica>) -> Result<(), NodeError> {
        let range_id = replica.cell.range_id();
        replica.cell.stop_serving();
        {
            // Another task may have done so already, and its successor be here.
            let mut replicas = self.replicas.write();
            if replicas.get(&range_id).is_some_and(|here| Arc::ptr_eq(here, replica)) {
                replicas.remove(&range_id);
            }
        }
        Ok(self.host.remove(range_id, replica.group.replica_id()).await?)
    }

    /// Does in the background what placement wants of a range, unless its replicas are changing already.
    pub(super) fn place(
        self: &Arc<Self>,
        range_id: u64,
        placing: impl Future<Output = Result<(), ChangeError>> + Send + 'static,
    ) {
        if !self.moving.lock().insert(range_id) {
            return;
        }
        let member = self.clone();
        self.context.tasks.spawn(async move {
            let placed = placing.await;
            member.moving.lock().remove(&range_id);
            match placed {
                Ok(()) => member.heartbeat_now.notify_one(),
                // It is wanted again with the next heartbeat, which comes in its time.
                Err(error) => tracing::info!(range = range_id, %error, "a move has not come about"),
            }
        });
    }

    /// Hands a range over to the node where placement wants it to be led.
    pub(super) async fn hand_to(&self, wanted: LeaderMove) -> Result<(), ChangeError> {
        let refused = |what: &str| ChangeError::Refused(what.to_owned());
        let replica = self.replica(wanted.range_id);
        let replica = replica.ok_or_else(|| refused("this node has no such replica"))?;
        let state = replica.cell.state();
        let target = state.replicas.iter().find(|other| other.node_id == wanted.to_node_id);
        match target {
            Some(target) if state.config_epoch == wanted.config_epoch => {
                replica.group.transfer_leader(target.replica_id).await?;
                tracing::info!(range = wanted.range_id, to = wanted.to_node_id, "handed over for balance");
                Ok(())
            }
            _ => Err(refused("the range's replicas have changed since")),
        }
    }

    /// Carries out a move of replicas as the range's leader: learners first, then the voters in one change.
    pub(super) async fn carry_out(&self, wanted: ReplicaMove) -> Result<(), ChangeError> {
        let refused = |what: &str| ChangeError::Refused(what.to_owned());
        let replica =
            self.replica(wanted.range_id).ok_or_else(|| refused("this node has no such replica"))?;
        let term = replica.group.role().term;
        may_change(&replica, term).await?;
        let state = replica.cell.state();
        if state.config_epoch != wanted.config_epoch {
            return Err(refused("the range's replicas have changed since"));
        }
        // All steps are made on condition that nobody else has changed the range's replicas in the meantime.
        let mut known = replica.group.membership_point();
        if known.map_or(0, |point| point.index) != state.config_epoch || state.joint {
            return Err(refused("a change of the range's replicas is under way"));
        }
        let (learners, voters): (Vec<_>, Vec<_>) = state.replicas.iter().partition(|replica| replica.learner);
        let before: BTreeSet<u64> = voters.iter().map(|replica| replica.replica_id).collect();
        let mut voters = before.clone();
        // A leader does not remove itself: it hands over first, and whoever leads then goes on.
        let own = replica.group.replica_id();
        let goes = wanted.remove.contains(&own);
        if goes && voters.iter().any(|other| !wanted.remove.contains(other)) {
            replica.group.hand_over().await?;
            return Err(refused("its leader, which is to go, has handed over first"));
        }
        for node in wanted.add {
            self.addresses.take(&Whereabouts::of(&node));
            let node_id = node.node_id;
            let learner = learners.iter().find(|replica| replica.node_id == node_id);
            let replica_id = match learner {
                Some(learner) => learner.replica_id,
                None => {
                    let replica_id = self.new_replica_id().await?;
                    tracing::info!(
                        range = wanted.range_id,
                        replica = replica_id,
                        node = node_id,
                        "adding a replica"
                    );
                    may_change(&replica, term).await?;
                    known = Some(replica.group.add_learner(replica_id, Store { node_id }, known).await?);
                    replica_id
                }
            };
            replica.group.wait_caught_up(replica_id).await?;
            voters.insert(replica_id);
        }
        for removed in wanted.remove.iter().filter(|removed| **removed != own) {
            voters.remove(removed);
        }
        if voters != before {
            may_change(&replica, term).await?;
            known = Some(replica.group.change_voters(voters.iter().copied().collect(), known).await?);
            tracing::info!(range = wanted.range_id, voters = ?voters, "the range's replicas have changed");
        }
        for learner in learners.iter().filter(|learner| wanted.remove.contains(&learner.replica_id)) {
            may_change(&replica, term).await?;
            known = Some(replica.group.remove_learner(learner.replica_id, known).await?);
            tracing::info!(
                range = wanted.range_id,
                replica = learner.replica_id,
                "removed a replica that only learnt"
            );
        }
        if goes {
            replica.group.hand_over().await?;
            return Err(refused("its leader, which is to go, has handed over to the one that was added"));
        }
        Ok(())
    }

    /// Brings to their end the changes of voters that others have left half done in ranges that this node leads.
    pub(super) async fn finish_changes(self: Arc<Self>) {
        loop {
            // No range sleeps in which a change is under way.
            for replica in self.awake() {
                let range_id = replica.cell.range_id();
                let is_stuck = replica.group.role().is_leader && replica.group.membership().is_joint();
                if !is_stuck
                    || env::canary::sings(Canary::JointForEver)
                    || !self.moving.lock().insert(range_id)
                {
                    continue;
                }
                match env::clock::timeout(FINISHING, finish_change(&replica)).await {
                    Ok(Ok(())) => tracing::info!(range = range_id, "finished a change of replicas"),
                    Ok(Err(error)) => {
                        tracing::info!(range = range_id, %error, "a change of replicas goes on")
                    }
                    Err(_) => tracing::info!(range = range_id, "a change of replicas finds no quorum"),
                }
                self.moving.lock().remove(&range_id);
                self.heartbeat_now.notify_one();
            }
            env::clock::sleep(FINISH_TICK).await;
        }
    }

    async fn new_replica_id(&self) -> Result<u64, ChangeError> {
        let request = AllocateIdsRequest {
            cluster_id: self.cluster_id.clone(),
            counter: COUNTER_REPLICA.to_owned(),
            count: 1,
            forward: false,
        };
        let answer = self.link.allocate_ids(request).await;
        answer.map(|answer| answer.first).map_err(|status| ChangeError::Refused(status.message().to_owned()))
    }
}

/// Whether the range's replicas may change, as far as the leader of this term knows. Whatever an earlier one has left in the log must
/// be known: a range that is frozen stays what it is. Asked before each step: meanwhile another may have led, and frozen it.
async fn may_change(replica: &Replica, term: u64) -> Result<(), ChangeError> {
    let leads = || {
        let role = replica.group.role();
        let leads = role.is_leader && role.term == term;
        leads.then_some(()).ok_or(ChangeError::NotLeader { leader: role.leader })
    };
    leads()?;
    let applied = replica.group.wait_term_applied(term).await;
    applied.map_err(|error| ChangeError::Refused(error.to_string()))?;
    leads()?;
    if is_still(&replica.cell.state()) {
        return Err(ChangeError::Refused("the range is being taken over by its neighbour".to_owned()));
    }
    Ok(())
}

/// Brings a change of voters to its end, unless the range is frozen.
async fn finish_change(replica: &Replica) -> Result<(), ChangeError> {
    may_change(replica, replica.group.role().term).await?;
    replica.group.finish_change().await
}
