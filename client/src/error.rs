//! What can go wrong, as the caller has to treat it.

use bytes::Bytes;
use proto::oracle::Dropped;

/// An error of the client. [`Error::sqlstate`] is its one translation for PostgreSQL's clients.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Another transaction changed what this one relies on. The transaction is over; it may be run again.
    #[error("could not serialize access due to concurrent update")]
    Serialization {
        /// The key that changed; empty if not known.
        key: Bytes,
    },
    /// The transaction was chosen as the victim of a deadlock. It is over; it may be run again.
    #[error("deadlock detected")]
    Deadlock {
        /// The transactions of the cycle, for a person.
        cycle: String,
    },
    /// A lock is held by another transaction, and the caller did not want to wait (longer).
    #[error("could not obtain lock on row")]
    LockNotAvailable {
        /// The key that is locked.
        key: Bytes,
    },
    /// It is not known whether the transaction was committed, and will not become known to this client.
    #[error("the outcome of the transaction is unknown: {message}")]
    Ambiguous {
        /// What was tried.
        message: String,
    },
    /// The schema that the transaction was planned under is not the one in force. Nothing was done.
    #[error("the catalog has changed (version {current} is in force)")]
    StaleCatalog {
        /// The version in force.
        current: u64,
    },
    /// The transaction holds as many locks as one may.
    #[error("too many locks: those of one transaction may take up {bytes_max} bytes of memory")]
    TooManyLocks {
        /// The bound.
        bytes_max: u64,
    },
    /// The transaction, or one row, has more bytes than can be committed.
    #[error("too large: {bytes} bytes, at most {bytes_max} are allowed")]
    TooLarge {
        /// What was asked for.
        bytes: u64,
        /// The bound.
        bytes_max: u64,
    },
    /// The cluster could not be reached in time. Nothing was done.
    #[error("the cluster is unavailable: {message}")]
    Unavailable {
        /// What was tried last.
        message: String,
        /// The transport's last word, if it had one.
        #[source]
        source: Option<Box<proto::Status>>,
    },
    /// A node's disk has no room for more. Nothing was written.
    #[error("could not write: {message}")]
    DiskFull {
        /// Which disk, and how much is left.
        message: String,
    },
    /// The deadline passed while waiting. Nothing was done.
    #[error("timeout: {message}")]
    Timeout {
        /// What was waited for.
        message: String,
    },
    /// The snapshot is older than what the cluster keeps.
    #[error(
        "the snapshot is older than the history that is kept, which begins at {}",
        crate::moment::Moment(*safe_point)
    )]
    SnapshotTooOld {
        /// The oldest timestamp that can still be read.
        safe_point: u64,
    },
    /// Somebody has erased what the keys that are read were then.
    #[error("the history that is read was erased, up to {}", crate::moment::Moment(*before))]
    HistoryErased {
        /// What was before this timestamp is gone.
        before: u64,
    },
    /// A write or a lock in a read-only transaction.
    #[error("cannot write or lock in a read-only transaction")]
    ReadOnly,
    /// The transaction was committed, rolled back, or ended by an error before.
    #[error("the transaction has ended")]
    Finished,
    /// Something that does not exist yet.
    #[error("not supported: {message}")]
    Unsupported {
        /// What.
        message: String,
    },
    /// What is stored cannot be read, and no other replica holds it.
    #[error("stored data is damaged: {message}")]
    Damaged {
        /// Where, and how.
        message: String,
    },
    /// The cluster refused the request as senseless: a defect of one of the two sides.
    #[error("refused by the cluster: {message}")]
    Invalid {
        /// Its reason.
        message: String,
    },
}

impl From<Dropped> for Error {
    fn from(dropped: Dropped) -> Self {
        Self::Unavailable { message: dropped.to_string(), source: None }
    }
}

impl Error {
    /// The five-character code of PostgreSQL's appendix A.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Serialization { .. } | Self::StaleCatalog { .. } => "40001",
            Self::Deadlock { .. } => "40P01",
            Self::LockNotAvailable { .. } => "55P03",
            Self::Ambiguous { .. } => "08007",
            Self::TooManyLocks { .. } => "53200",
            Self::TooLarge { .. } => "54000",
            Self::Unavailable { .. } => "57P03",
            Self::DiskFull { .. } => "53100",
            Self::Damaged { .. } => "XX001",
            Self::Timeout { .. } => "57014",
            Self::SnapshotTooOld { .. } | Self::HistoryErased { .. } => "72000",
            Self::ReadOnly => "25006",
            Self::Finished => "25P02",
            Self::Unsupported { .. } => "0A000",
            Self::Invalid { .. } => "XX000",
        }
    }

    /// Whether the same work may succeed as a new transaction.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Serialization { .. } | Self::Deadlock { .. } | Self::StaleCatalog { .. })
    }
}
