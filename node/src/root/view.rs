//! What the root range's leader keeps in memory of the nodes for one term: how to reach them, and what they have told it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use env::clock::Instant;
use proto::Network;
use proto::v1::{DataKeys, DiskRoom, RangeDescriptor, RangeMerge};

use super::placement::{Limits, Move, Plan, ReplicaView, Small};
use super::state::epochs;
use crate::addresses::Addresses;

/// How the root range's leader reaches the nodes.
pub(crate) struct Nodes {
    /// Reaches them.
    pub(crate) network: Arc<dyn Network>,
    /// Where they are, as far as this process knows.
    pub(crate) addresses: Arc<Addresses>,
    /// After how long without a sign of life a node's replicas count as lost.
    pub(crate) dead_after: Duration,
    /// At what ranges are divided.
    pub(crate) limits: Limits,
    /// How long ranges have been what they are before they are merged; none: nobody merges them.
    pub(crate) rest: Option<Duration>,
    /// Those that an operator has given up: their stores must not be used any more.
    pub(crate) lost: BTreeSet<u64>,
}

/// What nodes have told this leader.
#[derive(Default)]
pub(super) struct View {
    pub(super) seen: BTreeMap<u64, Seen>,
    pub(super) led: BTreeMap<u64, RangeDescriptor>,
    /// By node, the (range, replica) that it cannot run any more, confirmed by itself.
    pub(super) failed: BTreeMap<u64, BTreeSet<(u64, u64)>>,
    /// By range, what each of its replicas takes, as its leader has measured.
    pub(super) bytes: BTreeMap<u64, u64>,
    /// By range, what each is asked in a second.
    pub(super) requests: BTreeMap<u64, u64>,
    /// Since when neighbours are small together.
    pub(super) small: Small,
    /// What placement has found, and until when that holds.
    pub(super) planned: Option<(Instant, Arc<Planned>)>,
    /// What nodes hold, and until when that counts where it need not be exact.
    pub(super) held: Option<(Instant, Arc<BTreeMap<u64, Holding>>)>,
    /// The nodes whose disks have little room left, or had so not long ago, and when that was.
    pub(super) low: BTreeMap<u64, Instant>,
    /// By range, what its leader was told to do for balance, and when.
    pub(super) sent: BTreeMap<u64, (Instant, Move)>,
    /// When it is to be looked next for borders that are to go, and those that are to be told to a node, each with the range on its right.
    pub(super) shrinking: Option<Instant>,
    pub(super) vanishing: BTreeMap<u64, Vec<(u64, RangeMerge)>>,
    /// By range, when it was last to take over its right neighbour, or to be taken over.
    pub(super) merging: BTreeMap<u64, Instant>,
    /// By range, its configuration's number, and since when this leader knows of that.
    pub(super) configured: BTreeMap<u64, (u64, Instant)>,
    /// By range, when it was last to be led elsewhere for balance.
    pub(super) handed_over: BTreeMap<u64, Instant>,
}

/// What placement wants.
#[derive(Debug, Default)]
pub(super) struct Planned {
    /// All of it.
    pub(super) plan: Plan,
    /// By node, what of it is for the ranges that it leads.
    pub(super) by_leader: BTreeMap<u64, Plan>,
}

/// What a node holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Holding {
    pub(super) replicas: u64,
    pub(super) leaders: u64,
    pub(super) bytes: u64,
}

/// A node's newest heartbeat.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) wall_ms: u64,
    /// When that was in the oracle's time, which goes on from leader to leader, whatever their clocks show.
    pub(super) oracle_ms: u64,
    pub(super) disk: Option<DiskRoom>,
    pub(super) newest_format: u32,
    pub(super) data_keys: Option<DataKeys>,
}

impl View {
    /// A range as its leader has told it, where that is not older than its row.
    pub(super) fn told<'a>(&'a self, row: &'a RangeDescriptor) -> &'a RangeDescriptor {
        self.led.get(&row.range_id).filter(|led| epochs(led) >= epochs(row)).unwrap_or(row)
    }

    /// The replicas of a range as placement sees them.
    pub(super) fn replicas(&self, range: &RangeDescriptor) -> Vec<ReplicaView> {
        let replicas = range.replicas.iter().map(|replica| ReplicaView {
            replica_id: replica.replica_id,
            node_id: replica.node_id,
            learner: replica.learner,
            stopped: self
                .failed
                .get(&replica.node_id)
                .is_some_and(|failed| failed.contains(&(range.range_id, replica.replica_id))),
        });
        replicas.collect()
    }
}
