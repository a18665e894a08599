//! Workloads and their faults, as data: one TOML file each in `tests/simulation/`.

use std::path::Path;

use proto::simulated::Faults as Network;
use serde::Deserialize;

/// A workload, and what goes wrong meanwhile.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name in reports.
    pub name: String,
    /// What the workers speak.
    #[serde(default)]
    pub interface: Interface,
    /// How many nodes there are; each range has three replicas.
    #[serde(default = "three")]
    pub nodes: usize,
    /// After how long without a sign of life a node's replicas are replaced.
    #[serde(default = "for_ever")]
    pub dead_after_s: u64,
    /// How long faults come and go.
    pub seconds: u64,
    /// Whether the data is many ranges from the start, so that most transactions go over several.
    #[serde(default)]
    pub cut: bool,
    /// And beside them are so many ranges that nobody asks anything.
    #[serde(default)]
    pub pieces: u64,
    /// Accounts of the bank.
    pub accounts: u32,
    /// Lists that are appended to.
    pub lists: u32,
    /// Workers of each gateway that transfer money.
    pub tellers: u32,
    /// Workers of each gateway that check sums and acknowledged transfers while it goes on.
    pub auditors: u32,
    /// Workers of each gateway that build an index on the accounts and drop it again and again, through sessions only.
    #[serde(default)]
    pub builders: u32,
    /// Workers of each gateway that clone what the accounts were, change that and flash it back, through sessions only.
    #[serde(default)]
    pub branchers: u32,
    /// Workers of each gateway that read and append to lists.
    pub appenders: u32,
    /// Workers of each gateway that read the same snapshot again and again.
    #[serde(default)]
    pub historians: u32,
    /// Workers of each gateway that erase the history of lists, by keys and values only.
    #[serde(default)]
    pub erasers: u32,
    /// Workers of each gateway that watch what is committed to the lists, by keys and values only.
    #[serde(default)]
    pub watchers: u32,
    /// Workers of each gateway that put jobs into a queue, take them and look at it, by keys and values only.
    #[serde(default)]
    pub queuers: u32,
    /// Workers of each gateway that count by the key-value service, and as many that put objects in a chain, through sessions only.
    #[serde(default)]
    pub doors: u32,
    /// How long history is kept; an hour if nothing is said.
    #[serde(default)]
    pub history_ms: Option<u64>,
    /// The longest pause of a worker between two transactions.
    pub pause_ms_max: u64,
    /// The memtable's bound: small ones flush and compact, and purge the log behind them.
    pub memtable_bytes_max: usize,
    /// The shared raft log's bound: with a small one those who fell behind are sent snapshots.
    pub raft_log_bytes_max: u64,
    /// A range that takes more bytes is divided; none is if nothing is said.
    #[serde(default)]
    pub range_bytes_max: u64,
    /// A range that is asked so much in a second is divided; none is if nothing is said.
    #[serde(default)]
    pub range_requests_max: u64,
    /// How long small ranges have been what they are before they are merged; none are if nothing is said.
    #[serde(default)]
    pub merge_rest_s: Option<u64>,
    /// Transactions that have written more leave intents before they commit; the client's own bound if nothing is said.
    #[serde(default)]
    pub flush_bytes: Option<usize>,
    /// How far a node's wall clock may be from that of the others, ahead or behind.
    #[serde(default)]
    pub clock_ms_max: u64,
    /// How far the timestamps that are closed lie behind, and from what age on the past is read from any replica; the defaults
    /// of nodes and clients if nothing is said.
    #[serde(default)]
    pub closed_lag_ms: Option<u64>,
    /// How long a range has had nothing to do before it sleeps; the node's own default if nothing is said.
    #[serde(default)]
    pub sleep_after_ms: Option<u64>,
    /// Rows of megabytes.
    #[serde(default)]
    pub large: Large,
    /// The wire.
    pub network: NetworkOdds,
    /// How often each fault is drawn, in proportion to the others.
    pub faults: Odds,
    /// What a run must have reached.
    pub floors: Floors,
}

fn three() -> usize {
    3
}

fn for_ever() -> u64 {
    1_000_000
}

/// What workers speak.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// The client's transactions over keys and values.
    #[default]
    Keys,
    /// SQL, by a driver that is connected to a gateway's session.
    Sql,
}

/// Rows of megabytes, by keys and values only.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Large {
    /// Workers of each gateway that write them.
    pub haulers: u32,
    /// The smallest row.
    pub bytes_min: u64,
    /// The largest row.
    pub bytes_max: u64,
}

/// The wire; see [`Network`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkOdds {
    pub delay_us_max: u64,
    pub slow_per_mille: u64,
    pub slow_us_max: u64,
    #[serde(default)]
    pub slow_oracle_per_mille: u64,
    #[serde(default)]
    pub slow_oracle_us_max: u64,
    pub loss_per_10_000: u64,
    pub duplicates_per_mille: u64,
    pub notice_ms_max: u64,
    /// 0: no bound.
    #[serde(default)]
    pub bytes_per_second: u64,
}

/// Weights of the faults.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Odds {
    /// A node crashes, and comes back after a while.
    pub crash: u64,
    /// A node is asked to end, does so in order, and comes back after a while.
    pub stop: u64,
    /// A node crashes and comes back at once.
    pub bounce: u64,
    /// All nodes crash together.
    pub blackout: u64,
    /// A node is cut off from the others, and maybe from a gateway.
    pub isolate: u64,
    /// One direction between two endpoints is cut.
    pub one_way: u64,
    /// A leader is cut off while a follower that granted its lease restarts and another one can be elected.
    pub lease_trap: u64,
    /// A leader, mostly one that sleeps, is cut off from the other replicas of its range, and from nobody else where that can be.
    pub sever: u64,
    /// The node of a leader that sleeps dies, and all others live until another leads.
    pub bereave: u64,
    /// A gateway and one node are cut off from the rest.
    pub split: u64,
    /// A node comes back at another address.
    pub move_away: u64,
    /// Two nodes come back with each other's address.
    pub swap: u64,
    /// A node is away for so long that its replicas are replaced, and who leads dies while it changes the voters.
    pub replace: u64,
    /// A node's wall clock jumps, at most so far as `clock_ms_max` says from what it is elsewhere.
    pub clock: u64,
    /// A node's disk answers nothing for a while.
    pub hang: u64,
    /// A node crashes, and comes back for a while as an older program that cannot read what is committed.
    pub outdate: u64,
    /// A node stops for seconds and goes on.
    pub freeze: u64,
    /// A leader is cut off from the gateways, and from no other node.
    pub unreachable: u64,
    /// A range is divided in two.
    pub divide: u64,
    /// A range takes over its right neighbour.
    pub merge: u64,
    /// An operator has another node lead a range.
    pub transfer: u64,
    /// An operator has a replica move to another node.
    pub shift: u64,
    /// An operator has a range hold one replica more, or one less.
    pub resize: u64,
    /// An operator has a node lead nothing for a while; sometimes it crashes meanwhile.
    pub drain: u64,
    /// An operator has a node emptied, and takes it back, or another one in its place.
    pub decommission: u64,
    /// A gateway stops for a while, with what it has begun, and goes on.
    pub pause: u64,
    /// A gateway of its own works for a while and dies with what it has begun.
    pub perish: u64,
}

/// What a run must have reached, or the scenario tests nothing.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floors {
    /// Transactions committed.
    pub commits: u64,
    /// Transactions with rows of megabytes committed.
    #[serde(default)]
    pub large_commits: u64,
    /// Faults of the nemesis.
    pub faults: u64,
    /// Of these, what an operator did.
    #[serde(default)]
    pub operations: u64,
    /// And merges.
    #[serde(default)]
    pub merges: u64,
    /// Requests that replicas have answered that did not lead.
    #[serde(default)]
    pub follower_reads: u64,
    /// Faults that have struck while ranges slept.
    #[serde(default)]
    pub asleep: u64,
    /// Changes that watchers were told of, and found to be committed.
    #[serde(default)]
    pub watched: u64,
    /// Erasures of history that were acknowledged.
    #[serde(default)]
    pub erased: u64,
    /// Jobs of the queue that were taken.
    #[serde(default)]
    pub taken: u64,
    /// Branches that were made, changed, and flashed back.
    #[serde(default)]
    pub branched: u64,
}

impl Odds {
    /// Whether an operator moves the cluster about.
    pub(super) fn operates(&self) -> bool {
        self.transfer + self.shift + self.resize + self.drain + self.decommission > 0
    }
}

impl Scenario {
    /// All scenarios.
    pub fn all() -> Vec<Self> {
        let files = [
            include_str!("../../simulation/calm.toml"),
            include_str!("../../simulation/crashes.toml"),
            include_str!("../../simulation/partitions.toml"),
            include_str!("../../simulation/leases.toml"),
            include_str!("../../simulation/history.toml"),
            include_str!("../../simulation/sessions.toml"),
            include_str!("../../simulation/large.toml"),
            include_str!("../../simulation/moves.toml"),
            include_str!("../../simulation/disks.toml"),
            include_str!("../../simulation/routes.toml"),
            include_str!("../../simulation/contention.toml"),
            include_str!("../../simulation/stops.toml"),
            include_str!("../../simulation/oracle.toml"),
            include_str!("../../simulation/freezes.toml"),
            include_str!("../../simulation/divisions.toml"),
            include_str!("../../simulation/growth.toml"),
            include_str!("../../simulation/borders.toml"),
            include_str!("../../simulation/coordinators.toml"),
            include_str!("../../simulation/tables.toml"),
            include_str!("../../simulation/flushes.toml"),
            include_str!("../../simulation/loads.toml"),
            include_str!("../../simulation/members.toml"),
            include_str!("../../simulation/merges.toml"),
            include_str!("../../simulation/churn.toml"),
            include_str!("../../simulation/followers.toml"),
            include_str!("../../simulation/sleepers.toml"),
            include_str!("../../simulation/watchers.toml"),
            include_str!("../../simulation/queue.toml"),
            include_str!("../../simulation/branches.toml"),
            include_str!("../../simulation/doors.toml"),
        ];
        files.iter().map(|file| toml::from_str(file).expect("a scenario's file")).collect()
    }

    /// One that stands in a file.
    pub fn read(file: &Path) -> Self {
        let text =
            std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// The one that a seed plays: they take turns.
    pub fn of_seed(seed: u64) -> Self {
        let mut all = Self::all();
        let place = (seed % all.len() as u64) as usize;
        all.swap_remove(place)
    }

    pub(super) fn wire(&self) -> Network {
        Network {
            delay_us_max: self.network.delay_us_max,
            slow_per_mille: self.network.slow_per_mille,
            slow_us_max: self.network.slow_us_max,
            slow_oracle_per_mille: self.network.slow_oracle_per_mille,
            slow_oracle_us_max: self.network.slow_oracle_us_max,
            loss_per_10_000: self.network.loss_per_10_000,
            duplicates_per_mille: self.network.duplicates_per_mille,
            notice_ms_max: self.network.notice_ms_max,
            bytes_per_second: self.network.bytes_per_second,
            ..Network::some()
        }
    }
}
