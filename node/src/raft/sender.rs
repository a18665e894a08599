//! Whether a message is for this store, and whether its sender is who it says.
//!
//! Until certificates prove it, a sender is known by its node and generation, and what it claims beyond that is asked for
//! at the address on record of its node. So one message that somebody made up, or that an older process still sends,
//! changes nothing that lasts.

use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use proto::{Status, v1};

use super::group::Group;
use super::host::RaftHost;
use super::sending::on_its_way;
use super::sense::malformed;
use super::types::{LogId, Vote, point};

/// How many terms a candidate may be ahead before its store is asked. Elections are won before terms rise, so only who
/// was away for long is farther behind.
const TERMS_AHEAD_MAX: u64 = 16;

/// How long a sender's store may take to confirm a message.
const CONFIRMING: Duration = Duration::from_secs(1);

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
        self.confirm(Some(group), target, term.saturating_sub(1)).await
    }

    /// A leader is the one that the replica has, or its store confirms it.
    pub(super) async fn check_leader(
        &self,
        group: Option<&Group>,
        target: &v1::RaftTarget,
        vote: &Vote,
    ) -> Result<(), Status> {
        if group.is_some_and(|group| group.metrics().borrow_watched().vote == *vote) {
            return Ok(());
        }
        self.confirm(group, target, vote.leader_id.term).await
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
        let held = self.ask_sender(target).await?;
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

    /// What the sender's store says, at the address on record, that it holds of the range.
    async fn ask_sender(&self, target: &v1::RaftTarget) -> Result<Option<v1::RangeStatus>, Status> {
        let node_id = target.from_node_id;
        let unknown = || Status::unavailable(format!("node {node_id} is not known here yet"));
        let store = self.addresses.find(node_id).ok_or_else(unknown)?;
        let request =
            v1::HelloRequest { cluster_id: self.cluster_id.clone(), from: None, range_id: target.range_id };
        let node = self.network.connect(&store.address);
        let answer = env::clock::timeout(CONFIRMING, node.hello(request)).await;
        let answer = answer.map_err(|_| {
            Status::unavailable(format!("node {node_id} did not confirm in time what it has sent"))
        })??;
        Ok(answer.held.filter(|_| answer.node_id == node_id && answer.cluster_id == self.cluster_id))
    }

    /// Asks the sender's store whether it holds the replica that a message is said to come from, in that term.
    async fn confirm(&self, group: Option<&Group>, target: &v1::RaftTarget, term: u64) -> Result<(), Status> {
        let (node_id, replica_id) = (target.from_node_id, target.from_replica_id);
        if group.is_some_and(|group| {
            group.confirmed.lock().is_some_and(|(node, replica, newest)| {
                (node, replica) == (node_id, replica_id) && term <= newest
            })
        }) {
            return Ok(());
        }
        match self.ask_sender(target).await? {
            Some(held) if held.replica_id == replica_id && held.term >= term => {
                if let Some(group) = group {
                    *group.confirmed.lock() = Some((node_id, replica_id, held.term));
                }
                Ok(())
            }
            _ => Err(Status::permission_denied(format!(
                "node {node_id} says that it does not hold replica {replica_id} of range {} in term {term}",
                target.range_id
            ))),
        }
    }
}
