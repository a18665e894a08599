//! Whether a message is for this store, and whether its sender is who it says.
//!
//! Until certificates prove it, a sender is known by its node and generation, and what it claims beyond that is asked for
//! at the address on record of its node. So one message that somebody made up, or that an older process still sends,
//! changes nothing that lasts.

use std::sync::Arc;

use futures::FutureExt;
use openraft::async_runtime::WatchReceiver;
use proto::{Status, v1};

use super::group::Group;
use super::host::RaftHost;
use super::neighbours::Held;
use super::sending::on_its_way;
use super::sense::malformed;
use super::types::{LogId, Vote, point};

/// How many terms a candidate may be ahead before its store is asked. Elections are won before terms rise, so only who
/// was away for long is farther behind.
const TERMS_AHEAD_MAX: u64 = 16;

impl RaftHost {
    /// Refuses what is for another store, and what comes from none that is known.
    pub(super) fn check_store(&self, target: &v1::RaftTarget) -> Result<(), Status> {
        if target.cluster_id != self.cluster_id {
            return Err(Status::permission_denied("this store belongs to another cluster"));
        }
        let own = self.addresses.own();
        let another = target.node_id != own.node_id || target.generation > own.generation;
        if another {
            return Err(Status::failed_precondition(format!(
                "this is node {} in its generation {}, not node {} in its generation {}",
                own.node_id, own.generation, target.node_id, target.generation
            )));
        }
        if self.lost.contains(&target.from_node_id) {
            return Err(Status::failed_precondition(format!(
                "node {} was given up: ranges have been recovered without it",
                target.from_node_id
            )));
        }
        let sender = self.addresses.find(target.from_node_id);
        let newest = sender.as_ref().map_or(0, |sender| sender.generation);
        if target.from_generation > newest {
            self.addresses.doubt();
        }
        match sender {
            _ if target.from_node_id == own.node_id => Err(malformed("a message of this very store")),
            None => Err(Status::unavailable(format!("node {} is not known here yet", target.from_node_id))),
            Some(_) if target.from_generation < newest => Err(Status::failed_precondition(format!(
                "node {} has a newer process than the one of generation {}",
                target.from_node_id, target.from_generation
            ))),
            Some(_) => Ok(()),
        }
    }

    /// A candidate is among the range's replicas and not far ahead, or its store confirms it.
    pub(super) async fn check_candidate(
        &self,
        group: &Group,
        target: &v1::RaftTarget,
        term: u64,
    ) -> Result<(), Status> {
        let is_near = term <= group.role().term.saturating_add(TERMS_AHEAD_MAX);
        if is_near && group.knows(target.from_replica_id, target.from_node_id) {
            return Ok(());
        }
        // It asks for the term that follows its own.
        self.confirm(target, term.saturating_sub(1)).await
    }

    /// A leader is the one that the replica has, or has voted for; or its store confirms it.
    pub(super) async fn check_leader(
        &self,
        group: Option<&Group>,
        target: &v1::RaftTarget,
        vote: &Vote,
    ) -> Result<(), Status> {
        if let Some(group) = group {
            let own = group.metrics().borrow_watched().vote;
            let voted =
                own.leader_id == vote.leader_id && group.knows(target.from_replica_id, target.from_node_id);
            if own == *vote || voted {
                return Ok(());
            }
        }
        self.confirm(target, vote.leader_id.term).await
    }

    /// Its sender's store is sending this snapshot to this replica: it says so itself. A snapshot takes the place of all that a
    /// replica holds, so it is never believed on the word of whoever sends it.
    pub(super) async fn check_on_its_way(
        &self,
        target: &v1::RaftTarget,
        last: Option<&LogId>,
    ) -> Result<(), Status> {
        let last = last.map(point).unwrap_or_default();
        let expected = on_its_way(target.replica_id, last);
        let held = self.neighbours.ask(target.range_id, target.from_node_id).await?;
        if held
            .is_some_and(|held| held.replica_id == target.from_replica_id && held.sending.contains(&expected))
        {
            return Ok(());
        }
        Err(Status::permission_denied(format!(
            "node {} says that it is sending no such snapshot of range {}",
            target.from_node_id, target.range_id
        )))
    }

    /// Asks the store of a node what it holds of the range, once for all who want to know at the same time. That goes on when
    /// they lose patience: whoever comes next finds what was learnt.
    async fn ask_once(&self, range_id: u64, node_id: u64) -> Held {
        let ask = || {
            let (neighbours, confirmations) = (Arc::clone(&self.neighbours), Arc::clone(&self.confirmations));
            let asked = self.spawn(async move {
                let held = neighbours.ask(range_id, node_id).await;
                confirmations.note(range_id, node_id, &held);
                held
            });
            let asked = async move { asked.await.map_err(|_| Status::unavailable("the store is stopping"))? };
            asked.boxed()
        };
        let asking = self.confirmations.join(range_id, node_id, ask);
        asking.await
    }

    /// Asks the sender's store whether it holds the replica that a message is said to come from, in that term.
    async fn confirm(&self, target: &v1::RaftTarget, term: u64) -> Result<(), Status> {
        let (range_id, node_id, replica_id) = (target.range_id, target.from_node_id, target.from_replica_id);
        if self.confirmations.has(range_id, node_id, replica_id, term) {
            return Ok(());
        }
        match self.ask_once(range_id, node_id).await? {
            Some(held) if held.replica_id == replica_id && held.term >= term => Ok(()),
            _ => Err(Status::permission_denied(format!(
                "node {node_id} says that it does not hold replica {replica_id} of range {range_id} in term {term}",
            ))),
        }
    }
}
