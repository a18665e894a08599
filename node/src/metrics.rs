//! What a node counts. Handles are made once, so that counting costs an atomic operation.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// The node's counters.
#[derive(Clone)]
pub(crate) struct Metrics {
    /// Batches answered.
    pub(crate) batches: Counter,
    /// How long they took.
    pub(crate) batch_seconds: Histogram,
    /// Keys read.
    pub(crate) gets: Counter,
    /// Scans.
    pub(crate) scans: Counter,
    /// Rows that scans returned.
    pub(crate) scan_rows: Counter,
    /// Batches that a replica has answered that does not lead.
    pub(crate) follower_reads: Counter,
    /// Batches that one was asked for and left to the leader.
    pub(crate) follower_refusals: Counter,
    /// How far what is closed lies behind.
    pub(crate) closed_lag_seconds: Gauge,
    /// Ranges that the node leads and has measured, what the largest of them takes, and how much the one is asked that is asked
    /// most.
    pub(crate) ranges_led: Gauge,
    pub(crate) range_bytes_max: Gauge,
    pub(crate) range_requests_max: Gauge,
    /// Keys asked to be locked.
    pub(crate) locks: Counter,
    /// Waits for locks.
    pub(crate) lock_waits: Counter,
    /// How long they took.
    pub(crate) lock_wait_seconds: Histogram,
    /// Transactions whose locks expired.
    pub(crate) locks_expired: Counter,
    /// Commits applied.
    pub(crate) commits: Counter,
    /// From a commit's arrival to its being applied.
    pub(crate) commit_seconds: Histogram,
    /// From a proposal to its being applied.
    pub(crate) proposal_seconds: Histogram,
    /// Commits that took no effect because they were retries of an applied one.
    pub(crate) commits_repeated: Counter,
    /// Entries of indexes that were ingested.
    pub(crate) ingested: Counter,
    /// Requests of transactions over several ranges that wrote intents.
    pub(crate) prewrites: Counter,
    /// Transactions that others than their coordinators settled, or tried to.
    pub(crate) intents_chased: Counter,
    /// Timestamps handed out.
    pub(crate) timestamps: Counter,
    /// Requests refused because a check failed.
    pub(crate) conflicts: Counter,
    /// Victims of deadlocks.
    pub(crate) deadlocks: Counter,
    /// Requests whose outcome is unknown.
    pub(crate) ambiguous: Counter,
    /// Requests refused for any other reason.
    pub(crate) refusals: Counter,
}

impl Metrics {
    /// Handles with the recorder that is installed.
    pub(crate) fn new() -> Self {
        // Where they were not there before their first event, nobody would see that as a change.
        for rare in [
            "nunatak_replicas_stopped_total",
            "nunatak_replicas_damaged_total",
            "nunatak_groups_slept_total",
            "nunatak_groups_woken_total",
        ] {
            counter!(rare).increment(0);
        }
        Self {
            batches: counter!("nunatak_kv_batches_total"),
            batch_seconds: histogram!("nunatak_kv_batch_seconds"),
            gets: counter!("nunatak_kv_keys_read_total"),
            scans: counter!("nunatak_kv_scans_total"),
            scan_rows: counter!("nunatak_kv_rows_scanned_total"),
            follower_reads: counter!("nunatak_kv_follower_reads_total"),
            follower_refusals: counter!("nunatak_kv_follower_refusals_total"),
            closed_lag_seconds: gauge!("nunatak_closed_lag_seconds"),
            ranges_led: gauge!("nunatak_ranges_led"),
            range_bytes_max: gauge!("nunatak_range_bytes_max"),
            range_requests_max: gauge!("nunatak_range_requests_per_second_max"),
            locks: counter!("nunatak_kv_locks_total"),
            lock_waits: counter!("nunatak_kv_lock_waits_total"),
            lock_wait_seconds: histogram!("nunatak_kv_lock_wait_seconds"),
            locks_expired: counter!("nunatak_kv_locks_expired_total"),
            commits: counter!("nunatak_kv_commits_total"),
            commit_seconds: histogram!("nunatak_kv_commit_seconds"),
            proposal_seconds: histogram!("nunatak_raft_proposal_seconds"),
            commits_repeated: counter!("nunatak_kv_commits_repeated_total"),
            ingested: counter!("nunatak_kv_entries_ingested_total"),
            prewrites: counter!("nunatak_kv_prewrites_total"),
            intents_chased: counter!("nunatak_kv_intents_chased_total"),
            timestamps: counter!("nunatak_timestamps_total"),
            conflicts: counter!("nunatak_kv_conflicts_total"),
            deadlocks: counter!("nunatak_kv_deadlocks_total"),
            ambiguous: counter!("nunatak_kv_ambiguous_total"),
            refusals: counter!("nunatak_kv_refusals_total"),
        }
    }
}
