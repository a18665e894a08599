//! The transaction as its coordinator sees it: write buffer, routing, commit.
//!
//! A [`Client`] knows the cluster. It gathers requests for timestamps into batches ([`proto::oracle`]), keeps the range
//! directory and a handle on each range's leader (`router`), sends requests to ranges and tries again until the
//! deadline (`sender`), and keeps open transactions' locks (`heartbeat`) and history (`horizon`) alive. Some indexes lie over others (`branch`). A [`Transaction`] reads at one
//! timestamp, buffers its writes, locks what it is about to change, remembers what it relied on, and hands all of it
//! to the range at commit.
//!
//! Nothing here speaks SQL; keys and values are bytes.

mod erase;
mod error;
mod moment;
mod types;

mod router;

mod sender;
mod sizes;

mod heartbeat;
mod horizon;

mod branch;
mod changes;
mod client;
mod cluster;
mod export;
pub mod gateways;
mod ingest;
mod kept;
mod names;
mod reclaim;
mod transaction;
mod unchanged;
mod versions;

pub use branch::{BranchRow, LAYERS_MAX, Layer};
pub use changes::{Changed, Watch};
pub use client::{Client, ClientOptions};
pub use cluster::{NodeInfo, RangeInfo, RangeLoad};
pub use error::Error;
pub use export::{ExportLeft, ExportOrder, Exported, ExportedFile};
pub use ingest::Ingest;
pub use kept::{History, KeptHistory};
pub use keys::Span;
pub use moment::Moment;
pub use names::NameLocks;
pub use reclaim::Reclaimed;
pub use transaction::{ReadView, Savepoint, Transaction, Written};
pub use types::{
    CommitTimestamp, Isolation, Locked, ScanOptions, ScanPage, ShownId, Strength, Timestamp,
    TransactionOptions, WaitPolicy,
};
pub use versions::{RowVersion, VersionsLeft, VersionsPage};

/// The result of everything that asks the cluster.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests;
