//! Publishes a replica's role as it changes.

use std::sync::Weak;

use env::watch;
use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use openraft::{Raft, ServerState};

use super::apply::Replica;
use super::group::Group;
use super::machine::Machine;
use super::role::Role;
use super::types::Types;

/// See the module.
pub(super) struct RolePublisher {
    replica_id: u64,
    metrics: WatchReceiverOf<Types, RaftServerMetrics<Types>>,
    sender: watch::Sender<Role>,
}

impl RolePublisher {
    /// What `raft` says of its replica, and whoever follows it.
    pub(super) fn new(raft: &Raft<Types, Machine>, replica_id: u64) -> (Self, watch::Receiver<Role>) {
        let metrics = raft.server_metrics();
        let (sender, receiver) = watch::channel(role(replica_id, &metrics.borrow_watched()));
        (Self { replica_id, metrics, sender }, receiver)
    }

    /// Runs until the replica has stopped. Whoever sleeps on a word that its new role gives the lie to is woken.
    pub(super) async fn publish(self, group: Weak<Group>) {
        let Self { replica_id, mut metrics, sender } = self;
        while metrics.changed().await.is_ok() {
            let now = role(replica_id, &metrics.borrow_watched());
            let has_changed = sender.send_if_modified(|role| {
                let changed = *role != now;
                *role = now;
                changed
            });
            if has_changed && let Some(group) = group.upgrade() {
                group.wake_if_in_vain(env::clock::now());
            }
        }
        sender.send_modify(|role| {
            role.is_leader = false;
            role.leader = None;
        });
    }
}

fn role(replica_id: u64, metrics: &RaftServerMetrics<Types>) -> Role {
    let members = &metrics.membership_config;
    let leader = metrics.current_leader.and_then(|id| {
        let store = *members.get_node(&id)?;
        Some(Replica { replica_id: id, store, voter: members.voter_ids().any(|voter| voter == id) })
    });
    Role {
        term: metrics.vote.leader_id.term,
        leader,
        is_leader: metrics.state == ServerState::Leader && metrics.current_leader == Some(replica_id),
    }
}
