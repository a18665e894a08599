//! Draining: a node hands over what it leads, and leads nothing new.
//!
//! Because an operator has said so, or because the process is to end. What it leads it goes on serving until somebody has
//! taken over; where nobody else can lead, it goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proto::v1::NodeState;
use tokio::sync::Notify;

use super::Member;
use crate::range::Replica;
use crate::root::ROOT_RANGE;

/// How often a node that drains looks whether it leads something.
const TICK: Duration = Duration::from_millis(200);

/// How often one does that is to end.
const ENDING_TICK: Duration = Duration::from_millis(20);

/// How long a node that is to end hands over what it leads.
const ENDING: Duration = Duration::from_secs(5);

/// How long a leadership may take to be handed over.
const HAND_OVER: Duration = Duration::from_secs(3);

/// Whether a node drains.
#[derive(Debug, Default)]
pub(super) struct Draining {
    /// An operator wants it to, as far as the root range's leader has said.
    wanted: AtomicBool,
    /// Its process is to end.
    ending: AtomicBool,
    /// Replicas have been told so.
    was_on: AtomicBool,
    news: Notify,
}

impl Draining {
    /// What the root range's leader says that this node is.
    pub(super) fn told(&self, state: NodeState) {
        let drains = match state {
            NodeState::Draining | NodeState::Decommissioning | NodeState::Decommissioned => true,
            // Who counts as dead hears of it when it is not any more.
            NodeState::Serving | NodeState::Dead => false,
        };
        if self.wanted.swap(drains, Ordering::Relaxed) != drains {
            tracing::info!(drains, "an operator has changed what this node leads");
            self.news.notify_one();
        }
    }

    fn is_on(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) || self.ending.load(Ordering::Relaxed)
    }
}

impl Member {
    /// Drains whenever that is wanted, as long as the node runs.
    pub(super) async fn drain_while_told(self: Arc<Self>) {
        loop {
            self.drain_step().await;
            // With or without news: ranges may have come.
            let _ = env::clock::timeout(TICK, self.draining.news.notified()).await;
        }
    }

    /// Drains before the process ends, for as long as [`ENDING`] at most.
    pub(crate) async fn drain(&self) {
        self.draining.ending.store(true, Ordering::Relaxed);
        let draining = async {
            loop {
                self.drain_step().await;
                if self.leading().is_empty() {
                    return;
                }
                env::clock::sleep(ENDING_TICK).await;
            }
        };
        if env::clock::timeout(ENDING, draining).await.is_err() {
            tracing::warn!(
                left = self.leading().len(),
                "ending although nobody has taken over what it leads"
            );
        }
    }

    /// Hands over what this node leads, if it is to: the root range at last, because the next terms of the others need its
    /// timestamps.
    async fn drain_step(&self) {
        if !self.draining.is_on() {
            if self.draining.was_on.swap(false, Ordering::Relaxed) {
                self.replicas().iter().for_each(|replica| replica.group.set_draining(false));
            }
            return;
        }
        self.draining.was_on.store(true, Ordering::Relaxed);
        let leads_data = self.leading().iter().any(|replica| replica.cell.range_id() != ROOT_RANGE);
        for replica in self.replicas() {
            let is_root = replica.cell.range_id() == ROOT_RANGE;
            replica.group.set_draining(!(is_root && leads_data));
        }
        let (root, others): (Vec<_>, Vec<_>) =
            self.leading().into_iter().partition(|replica| replica.cell.range_id() == ROOT_RANGE);
        let others_led = !others.is_empty();
        futures::future::join_all(others.iter().map(|replica| hand_over(replica))).await;
        if !others_led || self.draining.ending.load(Ordering::Relaxed) {
            futures::future::join_all(root.iter().map(|replica| hand_over(replica))).await;
        }
    }

    /// What this node leads, and others that live vote on.
    fn leading(&self) -> Vec<Arc<Replica>> {
        let mut replicas = self.replicas();
        replicas.retain(|replica| {
            let group = &replica.group;
            let has_others = || group.membership().configs.iter().any(|voters| voters.len() > 1);
            group.role().is_leader && has_others() && group.near().len() > 1
        });
        replicas
    }
}

async fn hand_over(replica: &Replica) {
    let range = replica.cell.range_id();
    match env::clock::timeout(HAND_OVER, replica.group.hand_over()).await {
        Ok(Ok(to)) => tracing::info!(range, to, "handed over the leadership"),
        Ok(Err(error)) => tracing::info!(range, %error, "leadership was not handed over"),
        Err(_) => tracing::info!(range, "leadership was not handed over in time"),
    }
}
