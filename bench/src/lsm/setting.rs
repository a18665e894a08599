//! What is measured: engines, workloads, and the one task that a child process is given.

use std::path::PathBuf;

use clap::ValueEnum;

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 16;
/// Bytes of a value.
pub(crate) const VALUE_BYTES: usize = 256;
/// Bytes of the memtable of every engine.
pub(crate) const MEMTABLE_BYTES: usize = 64 << 20;
/// Bytes of the block cache of every engine.
pub(crate) const CACHE_BYTES: u64 = 256 << 20;
/// Memory of engine and page cache together where 'cold' is said, at [`KEYS_FULL`] keys; fewer get less in proportion.
pub(crate) const COLD_MEMORY_BYTES: u64 = 2 << 30;
/// Keys of the full form.
pub(crate) const KEYS_FULL: u64 = 20_000_000;
/// Flushes and compactions at a time.
pub(crate) const BACKGROUND_JOBS: usize = 2;
/// Filter bits per key.
pub(crate) const FILTER_BITS: u8 = 10;
/// Entries read after a seek.
pub(crate) const NEXTS: u64 = 50;

/// An engine under measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Engine {
    Nunatak,
    Rocksdb,
    Fjall,
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nunatak => "nunatak",
            Self::Rocksdb => "rocksdb",
            Self::Fjall => "fjall",
        }
    }

    /// Whether this program was built with it.
    pub(crate) fn is_built(self) -> bool {
        self == Self::Nunatak || cfg!(feature = "peers")
    }
}

/// What is done to an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Workload {
    /// Every key once, ascending.
    Fillseq,
    /// Random keys into an empty tree, three times as many as there are keys.
    Fillrandom,
    /// The same into a settled tree that holds them all.
    Overwrite,
    /// Random keys, every write synced.
    Fillsync1,
    /// The same from sixteen threads.
    Fillsync16,
    /// Random keys of a range that fits the block cache.
    Readrandom,
    /// Random keys of all, with memory for engine and page cache bounded, and nothing cached at first.
    ReadrandomCold,
    /// Random keys that do not exist, between those that do.
    Readmissing,
    /// A random key and the 50 after it.
    Seekrandom,
    /// A random key and the 50 before it.
    SeekrandomReverse,
    /// Everything in order.
    Scan,
    /// Half reads, half updates, Zipf 0.99.
    YcsbA,
    /// 95 % reads, 5 % updates, Zipf 0.99.
    YcsbB,
    /// Reads, Zipf 0.99.
    YcsbC,
    /// 95 % scans of 1 to 100 entries, 5 % inserts, Zipf 0.99.
    YcsbE,
    /// Half reads, half read-modify-writes, Zipf 0.99.
    YcsbF,
    /// Pushes at the end; every hundredth also takes the first hundred, found from the start, and deletes them.
    Queue,
    /// Reads at 'now' of keys without history (Nunatak alone).
    Versions0,
    /// Reads at 'now' over 10 old versions under each key (Nunatak alone).
    Versions10,
    /// Reads at 'now' over 100 old versions under each key (Nunatak alone).
    Versions100,
    /// Makes the settled tree that others start from.
    #[value(hide = true)]
    Load,
}

/// What an engine holds before a workload begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Nothing.
    Empty,
    /// All keys, settled; the workload only reads.
    Settled,
    /// All keys, settled, in a copy of its own.
    Copy,
}

impl Workload {
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    pub(crate) fn start(self) -> Start {
        match self {
            Self::Fillseq | Self::Fillrandom | Self::Fillsync1 | Self::Fillsync16 | Self::Load => {
                Start::Empty
            }
            Self::Queue | Self::Versions0 | Self::Versions10 | Self::Versions100 => Start::Empty,
            Self::Overwrite | Self::YcsbA | Self::YcsbB | Self::YcsbE | Self::YcsbF => Start::Copy,
            Self::Readrandom
            | Self::ReadrandomCold
            | Self::Readmissing
            | Self::Seekrandom
            | Self::SeekrandomReverse
            | Self::Scan
            | Self::YcsbC => Start::Settled,
        }
    }

    /// Old versions under each key, where a workload is about them.
    pub(crate) fn old_versions(self) -> Option<u64> {
        match self {
            Self::Versions0 => Some(0),
            Self::Versions10 => Some(10),
            Self::Versions100 => Some(100),
            _ => None,
        }
    }

    pub(crate) fn is_for(self, engine: Engine) -> bool {
        engine == Engine::Nunatak || self.old_versions().is_none()
    }

    /// The ratio to the better peer that the engine is built for.
    pub(crate) fn mark(self) -> Option<f64> {
        match self {
            Self::Fillseq | Self::Fillrandom | Self::Overwrite | Self::Fillsync16 => Some(1.2),
            Self::Readrandom | Self::Readmissing => Some(1.5),
            Self::ReadrandomCold => Some(1.1),
            Self::Seekrandom | Self::SeekrandomReverse | Self::Scan => Some(1.3),
            Self::YcsbA | Self::YcsbB | Self::YcsbC | Self::YcsbE | Self::YcsbF => Some(1.2),
            _ => None,
        }
    }
}

/// One measurement, as a child process is told of it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Task {
    #[arg(long, value_enum)]
    pub(crate) engine: Engine,
    #[arg(long, value_enum)]
    pub(crate) workload: Workload,
    /// Where the engine keeps its files.
    #[arg(long)]
    pub(crate) dir: PathBuf,
    #[arg(long)]
    pub(crate) keys: u64,
    /// How long workloads run that are not over after a number of operations.
    #[arg(long)]
    pub(crate) seconds: f64,
    #[arg(long)]
    pub(crate) cache_bytes: u64,
    #[arg(long)]
    pub(crate) threads: usize,
    #[arg(long)]
    pub(crate) seed: u64,
    /// The memory cgroup to enter.
    #[arg(long)]
    pub(crate) cgroup: Option<PathBuf>,
}
