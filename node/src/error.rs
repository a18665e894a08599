//! Why a node cannot start or go on.

use std::io;
use std::path::PathBuf;

use crate::raft::RaftError;

/// Why a node cannot start or go on. Each is one line for an operator.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data directory cannot be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Directory {
        /// What was attempted.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// Another process works on the data directory.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The data directory was written by a newer version.
    #[error("{} has format version {found}, newer than {known}, the newest this program knows", path.display())]
    TooNew {
        /// The identity file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest known version.
        known: u32,
    },
    /// The data directory was written before what this program reads.
    #[error("{} has format version {found}, older than {known}, the oldest this program reads", path.display())]
    TooOld {
        /// The identity file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The oldest known version.
        known: u32,
    },
    /// There is no node's data where some was to be looked at.
    #[error("{} {what}", path.display())]
    NotANode {
        /// The directory.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// The data directory is damaged.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The storage engine.
    #[error("storage engine: {0}")]
    Engine(#[from] lsm::Error),
    /// Replication.
    #[error("replication: {0}")]
    Raft(#[from] RaftError),
    /// The operating system gives no runtime.
    #[error("cannot start a runtime for replication: {0}")]
    Runtime(#[source] io::Error),
    /// The node belongs to no cluster yet, or cannot do what was asked in time.
    #[error("{0}")]
    Unavailable(String),
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
