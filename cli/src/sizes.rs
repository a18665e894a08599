//! The bounds of a store, where the defaults are not meant: in tests and on small machines.

use std::time::Duration;

use clap::Args;

/// Bounds of a store, in bytes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SizeArguments {
    /// Write what is in memory to tables past so many bytes
    #[arg(long, env = "NUNATAK_MEMTABLE_BYTES", value_name = "BYTES", hide = true)]
    pub(crate) memtable_bytes: Option<usize>,

    /// Keep the raft log below so many bytes
    #[arg(long, env = "NUNATAK_RAFT_LOG_BYTES", value_name = "BYTES", hide = true)]
    pub(crate) raft_log_bytes: Option<u64>,

    /// Divide a range that takes more than so many bytes; 0: none, and none are merged either
    #[arg(long, env = "NUNATAK_RANGE_BYTES", value_name = "BYTES", hide = true)]
    pub(crate) range_bytes: Option<u64>,

    /// Divide a range that is asked so much in a second, about one key or another; 0: none
    #[arg(long, env = "NUNATAK_RANGE_REQUESTS", value_name = "COUNT", hide = true)]
    pub(crate) range_requests: Option<u64>,

    /// Merge neighbours that have been small together for so many seconds; 0: that is done by hand alone
    #[arg(long, env = "NUNATAK_MERGE_REST", value_name = "SECONDS", hide = true)]
    pub(crate) merge_rest: Option<u64>,

    /// Have a range sleep that nobody has asked anything for so many seconds; 0: never
    #[arg(long, env = "NUNATAK_SLEEP_AFTER", value_name = "SECONDS", hide = true)]
    pub(crate) sleep_after: Option<u64>,

    /// Have a replica give back what it takes to be awake once it has slept for so many seconds
    #[arg(long, env = "NUNATAK_CLOSE_AFTER", value_name = "SECONDS", hide = true)]
    pub(crate) close_after: Option<u64>,

    /// With less than so many bytes left on the disk, write only what frees room
    #[arg(long, env = "NUNATAK_DISK_RESERVE_BYTES", value_name = "BYTES", hide = true)]
    pub(crate) disk_reserve_bytes: Option<u64>,
}

impl SizeArguments {
    /// Replaces what was given.
    pub(crate) fn apply(&self, options: &mut node::NodeOptions) {
        if let Some(bytes) = self.memtable_bytes {
            options.memtable_bytes_max = bytes;
        }
        if let Some(bytes) = self.raft_log_bytes {
            options.raft_log_bytes_max = bytes;
        }
        if let Some(bytes) = self.range_bytes {
            options.range_bytes_max = bytes;
        }
        if let Some(count) = self.range_requests {
            options.range_requests_max = count;
        }
        if let Some(seconds) = self.merge_rest {
            options.merge_rest = (seconds > 0).then(|| Duration::from_secs(seconds));
        }
        if let Some(seconds) = self.sleep_after {
            options.sleep_after = (seconds > 0).then(|| Duration::from_secs(seconds));
        }
        if let Some(seconds) = self.close_after {
            options.timing.close_after = Duration::from_secs(seconds);
        }
        if let Some(bytes) = self.disk_reserve_bytes {
            options.disk_reserve_bytes = bytes;
        }
    }
}
