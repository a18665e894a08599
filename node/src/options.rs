//! What a node is started with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use backup::Places;
use bytes::Bytes;
use env::disk::Disk;
use proto::Network;

use crate::raft::RaftTiming;

/// What [`crate::Node::start`] needs.
#[derive(Clone)]
pub struct NodeOptions {
    /// Where the data directory lives.
    pub disk: Arc<dyn Disk>,
    /// The data directory; made if it does not exist, locked while the node runs.
    pub dir: PathBuf,
    /// Reaches the other nodes.
    pub network: Arc<dyn Network>,
    /// Where the others reach this node: host:port.
    pub address: String,
    /// Nodes to ask for membership (this one may be among them). Empty: the node waits to be initialised.
    pub join: Vec<String>,
    /// Where the node is: tiers such as region and zone.
    pub locality: BTreeMap<String, String>,
    /// The memtable's bound.
    pub memtable_bytes_max: usize,
    /// The block cache's bound.
    pub cache_bytes: u64,
    /// Encrypts everything in the directory but who the node is.
    pub encryption: Option<lsm::KeySource>,
    /// The raft log's bound: past it followers that lag are sent snapshots.
    pub raft_log_bytes_max: u64,
    /// A range that takes more than so many bytes is divided; 0: none is.
    pub range_bytes_max: u64,
    /// How long nobody has asked a range anything before its replicas sleep: without heartbeats and timers, until somebody does or its
    /// leader's node dies; none: never.
    pub sleep_after: Option<Duration>,
    /// What the disk shall keep free: with less, a leader takes no more writes.
    pub disk_reserve_bytes: u64,
    /// Heartbeats, elections, leases.
    pub timing: RaftTiming,
    /// Threads of the runtime that replication runs on, by default one for every two cores: what it does is short, and a
    /// group's tasks that are all on one thread need not wake another. 0 = the caller's runtime. A simulation always runs on
    /// its own.
    pub raft_threads: usize,
    /// Where the data of a cluster that this node makes is cut into ranges from the start, ascending; none: it is one range.
    /// Meant for tests, and for who knows beforehand how much will come.
    pub borders: Vec<Bytes>,
    /// Commands of a newer format than this stop a replica: with less than what this program knows it is as an older one.
    pub newest_command_format: u32,
    /// After how long without a sign of life a node's replicas are replaced, where a spare node lives.
    pub dead_after: Duration,
    /// A range that is asked so much in a second, about one key or another, is divided; 0: never.
    pub range_requests_max: u64,
    /// For how long neighbours have been small together, at every look, before they are merged, where ranges are divided for their
    /// size; none: that is done by hand alone. Much longer than it takes to find out how large a new range is.
    pub merge_rest: Option<Duration>,
    /// How far the timestamps up to which any replica may answer reads lie behind the newest: a transaction that takes longer
    /// than this until it writes commits later than it would have.
    pub closed_lag: Duration,
    /// Where the ranges that this node leads may write files of backups; at first, nowhere.
    pub backup_places: Places,
}

impl NodeOptions {
    /// Defaults for a server.
    pub fn new(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        network: Arc<dyn Network>,
        address: impl Into<String>,
    ) -> Self {
        Self {
            disk,
            dir: dir.into(),
            network,
            address: address.into(),
            join: Vec::new(),
            locality: BTreeMap::new(),
            memtable_bytes_max: 64 << 20,
            cache_bytes: 256 << 20,
            encryption: None,
            raft_log_bytes_max: 256 << 20,
            range_bytes_max: 512 << 20,
            range_requests_max: 0,
            merge_rest: Some(Duration::from_secs(600)),
            closed_lag: Duration::from_secs(3),
            backup_places: Places::default(),
            sleep_after: Some(Duration::from_secs(10)),
            disk_reserve_bytes: 256 << 20,
            timing: RaftTiming::default(),
            raft_threads: std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)),
            borders: Vec::new(),
            newest_command_format: crate::range::state::FORMAT_NEWEST,
            dead_after: Duration::from_secs(300),
        }
    }
}

impl std::fmt::Debug for NodeOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeOptions")
            .field("dir", &self.dir)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
