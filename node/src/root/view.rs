//! What the root range's leader keeps in memory of the nodes for one term: how to reach them, and what they have told it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use env::clock::Instant;
use proto::Network;
use proto::v1::{DiskRoom, RangeDescriptor};

use super::placement::{RangeView, ReplicaView};
use crate::addresses::Addresses;

/// How the root range's leader reaches the nodes.
pub(crate) struct Nodes {
    /// Reaches them.
    pub(crate) network: Arc<dyn Network>,
    /// Where they are, as far as this process knows.
    pub(crate) addresses: Arc<Addresses>,
    /// After how long without a sign of life a node's replicas count as lost.
    pub(crate) dead_after: Duration,
}

/// What nodes have told this leader.
#[derive(Default)]
pub(super) struct View {
    pub(super) seen: BTreeMap<u64, Seen>,
    pub(super) led: BTreeMap<u64, RangeDescriptor>,
    /// By node, the (range, replica) that it cannot run any more, confirmed by itself.
    pub(super) failed: BTreeMap<u64, BTreeSet<(u64, u64)>>,
}

/// A node's newest heartbeat.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) wall_ms: u64,
    pub(super) disk: Option<DiskRoom>,
}

impl View {
    /// A range as placement sees it.
    pub(super) fn range(&self, range: &RangeDescriptor) -> RangeView {
        let replicas = range.replicas.iter().map(|replica| ReplicaView {
            replica_id: replica.replica_id,
            node_id: replica.node_id,
            learner: replica.learner,
            stopped: self
                .failed
                .get(&replica.node_id)
                .is_some_and(|failed| failed.contains(&(range.range_id, replica.replica_id))),
        });
        RangeView {
            range_id: range.range_id,
            config_epoch: range.config_epoch,
            joint: range.joint,
            replicas: replicas.collect(),
        }
    }
}
