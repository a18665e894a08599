//! Who asks for a lock.

/// The id of a transaction.
pub(crate) type TxnId = [u8; 16];

/// Who asks for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The transaction.
    pub(crate) id: TxnId,
    /// The start timestamp of its first attempt: the larger is the younger.
    pub(crate) priority: u64,
}
