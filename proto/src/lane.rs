//! Which connection a message takes: between two processes there are several, so that what is small and urgent never
//! waits behind the bytes of what is large. TCP keeps the order within a connection; between connections the network
//! shares itself out.

/// One of the connections from one process to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// The cluster's services and the operator's calls: timestamps, signs of life, the directory.
    Control,
    /// Key-value requests and their answers.
    Requests,
    /// Key-value requests of more than [`BULK_BYTES`].
    Bulk,
    /// Appended entries.
    Replication,
    /// Votes, transfers of leadership, and over [`connect_urgent`] appended entries, which are heartbeats, and what asks a
    /// store about them.
    ///
    /// [`connect_urgent`]: crate::Network::connect_urgent
    Urgent,
    /// Snapshots.
    Snapshots,
}

/// A key-value request that is larger than this takes [`Lane::Bulk`].
pub(crate) const BULK_BYTES: usize = 64 << 10;

impl Lane {
    /// The lane of a call that takes `self`, over a handle whose appended entries take `appends`: whoever cannot wait
    /// with those waits with nothing.
    pub(crate) fn beside(self, appends: Self) -> Self {
        if self == Self::Control && appends == Self::Urgent { appends } else { self }
    }

    /// The lane of a request of so many bytes, where a small one takes `self`.
    pub(crate) fn for_bytes(self, bytes: usize) -> Self {
        if self == Self::Requests && bytes > BULK_BYTES { Self::Bulk } else { self }
    }
}
