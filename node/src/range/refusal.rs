//! Why a range does not do what a request asks, and how that is said on the wire.

use bytes::Bytes;
use proto::v1;
use proto::v1::error::Kind;

use super::inflight::TermEnded;
use crate::error::chain;
use crate::raft::{ProposeError, Replica};
use crate::vitals::DiskFull;

/// Why a range does not do what a request asks. Unless it says otherwise, nothing was done.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Sent to the wrong range, or under a descriptor that has changed.
    #[error("the range is not what the request takes it for")]
    StaleRange(Vec<v1::RangeDescriptor>),
    /// Another replica leads.
    #[error("this replica does not lead the range")]
    NotLeader(Option<Replica>),
    /// A replica that does not lead cannot answer that: what is read above this may not all be here yet, or a lock is in the
    /// way.
    #[error("this replica does not lead, and answers reads up to timestamp {closed} where nothing is locked")]
    NotClosed {
        /// Up to when it may answer; 0: it does not know.
        closed: u64,
        /// Who leads.
        leader: Option<Replica>,
    },
    /// Planned under another schema.
    #[error("the catalog has changed")]
    StaleCatalog {
        /// The version in force.
        current: u64,
    },
    /// A check failed.
    #[error("a key was changed by another transaction")]
    Conflict {
        /// The key.
        key: Bytes,
        /// When it was changed.
        timestamp: u64,
    },
    /// A lock is held by another transaction.
    #[error("a lock is held by another transaction")]
    LockNotAvailable {
        /// The key.
        key: Bytes,
    },
    /// The transaction has as many locks as fit into their bound.
    #[error("the locks of a transaction may take up {bytes_max} bytes of memory")]
    TooManyLocks {
        /// The bound.
        bytes_max: u64,
    },
    /// The transaction is the victim of a deadlock.
    #[error("deadlock: {cycle}")]
    Deadlock {
        /// The cycle, for a person.
        cycle: String,
    },
    /// It is not known whether the effect took place.
    #[error("the outcome is unknown: {0}")]
    Ambiguous(String),
    /// The transaction is older than what is remembered of transactions: nothing tells whether an earlier sending of its
    /// commit was carried out.
    #[error("the transaction is older than the history that is kept")]
    Forgotten,
    /// A rollback marker bars the transaction.
    #[error("the transaction was rolled back")]
    Aborted,
    /// The transaction cannot be committed at the timestamp that it asks for.
    #[error("the transaction would have to be committed above {0}")]
    Pushed(u64),
    /// History is not kept that far back.
    #[error("history is kept from timestamp {0} on")]
    BelowSafePoint(u64),
    /// Somebody has erased what was there.
    #[error("what these keys were before timestamp {0} was erased")]
    Erased(u64),
    /// The same request may be sent again.
    #[error("{0}")]
    Retry(String),
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The request asks for what does not exist yet.
    #[error("{0}")]
    Unsupported(String),
    /// A row or a transaction is too large.
    #[error("{what}: {bytes} bytes, at most {bytes_max} are allowed")]
    TooLarge {
        /// What is.
        what: &'static str,
        /// How large.
        bytes: u64,
        /// The bound.
        bytes_max: u64,
    },
    /// The range cannot serve now.
    #[error("{0}")]
    Unavailable(String),
    /// The oracle did not answer this leader; the request may come with a timestamp of its own.
    #[error("{0}")]
    NoTimestamp(String),
    /// This replica's data cannot be read.
    #[error("{0}")]
    Damaged(String),
    /// The disk did not give this replica's data this time.
    #[error("{0}")]
    Unread(String),
    /// The store's disk has no more room than what is kept in reserve.
    #[error(transparent)]
    DiskFull(#[from] DiskFull),
}

impl Refusal {
    /// The refusal as it travels.
    pub(crate) fn into_wire(self) -> v1::Error {
        let message = self.to_string();
        let kind = match self {
            Self::StaleRange(current) => Kind::StaleRange(v1::StaleRange { current }),
            Self::NotLeader(leader) => {
                let store = leader.map(|leader| leader.store).unwrap_or_default();
                Kind::NotLeader(v1::NotLeader {
                    leader_node_id: store.node_id,
                    leader_address: String::new(),
                })
            }
            Self::NotClosed { closed, leader } => Kind::NotClosed(v1::NotClosed {
                closed_timestamp: closed,
                leader_node_id: leader.map_or(0, |leader| leader.store.node_id),
            }),
            Self::StaleCatalog { current } => Kind::StaleCatalog(v1::StaleCatalog { current }),
            Self::Conflict { key, timestamp } => Kind::Conflict(v1::Conflict { key, timestamp }),
            Self::LockNotAvailable { key } => Kind::LockNotAvailable(v1::LockNotAvailable { key }),
            Self::TooManyLocks { bytes_max } => Kind::TooManyLocks(v1::TooManyLocks { bytes_max }),
            Self::Deadlock { cycle } => Kind::Deadlock(v1::Deadlock { cycle }),
            Self::Ambiguous(_) => Kind::Ambiguous(v1::Ambiguous { settled: false }),
            Self::Forgotten => Kind::Ambiguous(v1::Ambiguous { settled: true }),
            Self::Aborted => Kind::Aborted(v1::Aborted {}),
            Self::Pushed(timestamp) => Kind::Pushed(v1::Pushed { timestamp }),
            Self::BelowSafePoint(safe_point) => {
                Kind::BelowSafePoint(v1::BelowSafePoint { safe_point, erased: false })
            }
            Self::Erased(safe_point) => Kind::BelowSafePoint(v1::BelowSafePoint { safe_point, erased: true }),
            Self::Retry(_) => Kind::Retry(v1::Retry { after_ms: 1 }),
            Self::Invalid(_) => Kind::Invalid(v1::Invalid {}),
            Self::Unsupported(_) => Kind::Unsupported(v1::Unsupported {}),
            Self::TooLarge { bytes, bytes_max, .. } => Kind::TooLarge(v1::TooLarge { bytes, bytes_max }),
            Self::NoTimestamp(_) => Kind::NoTimestamp(v1::NoTimestamp {}),
            Self::Damaged(_) => Kind::Damaged(v1::Damaged {}),
            Self::Unavailable(_) | Self::Unread(_) => Kind::Unavailable(v1::Unavailable {}),
            Self::DiskFull(full) => Kind::DiskFull(v1::DiskFull {
                bytes_available: full.available,
                bytes_reserved: full.reserved,
            }),
        };
        v1::Error { message, kind: Some(kind) }
    }
}

impl From<lsm::Error> for Refusal {
    fn from(error: lsm::Error) -> Self {
        let message = format!("storage engine: {}", chain(&error));
        // Whoever serves the replica says so, once.
        match error {
            lsm::Error::Corrupt { .. } => Self::Damaged(message),
            lsm::Error::Io { .. } => Self::Unread(message),
            _ => {
                tracing::error!(%message, "a request could not be served");
                Self::Unavailable(message)
            }
        }
    }
}

impl From<TermEnded> for Refusal {
    fn from(TermEnded: TermEnded) -> Self {
        Self::NotLeader(None)
    }
}

impl From<ProposeError> for Refusal {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::NotLeader { leader } => Self::NotLeader(leader),
            ProposeError::Ambiguous | ProposeError::Fatal(_) => Self::Ambiguous(error.to_string()),
        }
    }
}
