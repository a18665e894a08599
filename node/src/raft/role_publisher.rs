//! Publishes a replica's role as it changes, whichever instance it has. While that is closed its role stays what it was.

use std::sync::Weak;

use env::watch;
use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use openraft::metrics::RaftServerMetrics;

use super::apply::Replica;
use super::group::Group;
use super::instance::Runs;
use super::role::Role;
use super::types::Types;

/// See the module.
pub(super) struct RolePublisher {
    replica_id: u64,
    runs: Runs,
    sender: watch::Sender<Role>,
}

impl RolePublisher {
    /// What a replica's instances say of it, and whoever follows that.
    pub(super) fn new(runs: Runs, replica_id: u64) -> (Self, watch::Receiver<Role>) {
        let (sender, receiver) = watch::channel(Role::default());
        (Self { replica_id, runs, sender }, receiver)
    }

    /// Runs until the replica has stopped. Whoever sleeps on a word that its new role gives the lie to is woken.
    pub(super) async fn publish(self, group: Weak<Group>) {
        let Self { replica_id, mut runs, sender } = self;
        while let Some(mut run) = runs.next().await {
            loop {
                let now = role(replica_id, &run.server.borrow_watched());
                let has_changed = sender.send_if_modified(|role| {
                    let changed = *role != now;
                    *role = now;
                    changed
                });
                if has_changed && let Some(group) = group.upgrade() {
                    group.wake_if_in_vain(env::clock::now());
                }
                if run.server.changed().await.is_err() {
                    break;
                }
            }
            if !runs.is_closed(&run) {
                break;
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
