//! What a store's side of replication is opened with.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::disk::Disk;
use proto::Network;
use tokio::runtime::Handle;

use crate::addresses::Addresses;

/// What [`super::RaftHost::open`] needs.
pub struct RaftOptions {
    /// Where the shared log lives.
    pub disk: Arc<dyn Disk>,
    /// The shared log's directory.
    pub dir: PathBuf,
    /// The engine that entries are applied to.
    pub db: lsm::Db,
    /// Reaches the other stores.
    pub network: Arc<dyn Network>,
    /// Messages of another cluster are refused.
    pub cluster_id: Bytes,
    /// Who this store is, and where the others are.
    pub addresses: Arc<Addresses>,
    /// Heartbeats, elections, leases.
    pub timing: RaftTiming,
    /// Nodes that were given up, and ranges recovered without them: nothing is taken from them.
    pub lost: BTreeSet<u64>,
    /// How long a group has had nothing to do before it sleeps; none: never.
    pub sleep_after: Option<Duration>,
    /// The shared log's bound: segments past it are freed by rewriting what still lives in them.
    pub log_bytes_max: u64,
    /// The runtime for replication's own tasks, apart from SQL's; the caller's when absent.
    pub runtime: Option<Handle>,
}

/// Heartbeats, elections, leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RaftTiming {
    /// A leader's sign of life.
    pub heartbeat: Duration,
    /// A follower that hears of no leader campaigns after at least this long.
    pub election_min: Duration,
    /// And after at most this long, which is also the leader's lease.
    pub election_max: Duration,
    /// What is added to `election_max` after a start before this store votes or campaigns: it has forgotten which
    /// lease it granted.
    pub restart_margin: Duration,
    /// How long a replica has slept before it gives back what it takes to be awake; and until it has heard of no leader for as long
    /// as after a start.
    pub close_after: Duration,
}

impl Default for RaftTiming {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(300),
            election_min: Duration::from_millis(800),
            election_max: Duration::from_millis(1400),
            restart_margin: Duration::from_millis(200),
            close_after: Duration::from_secs(60),
        }
    }
}

impl RaftTiming {
    /// How long after the last acknowledgement of a quorum a leader may answer reads: 0.8 of the lease, so that clocks
    /// may drift apart.
    pub fn lease(&self) -> Duration {
        self.election_max * 4 / 5
    }

    /// How long after the last sign of a leader nothing that a replica has granted holds any more.
    pub(super) fn fence(&self) -> Duration {
        self.election_max + self.restart_margin
    }

    /// How long a store may not say that it lives, before who sleeps on its word takes it for gone: so long that one message may be
    /// lost.
    pub fn silence(&self) -> Duration {
        self.election_min + self.heartbeat
    }
}

/// The first replica of a brand-new range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupSeed {
    /// The range.
    pub range_id: u64,
    /// Its only replica, here.
    pub replica_id: u64,
}
