//! Rows that a query locks.

use super::Name;

/// FOR UPDATE and its like.
#[derive(Debug, Clone)]
pub struct Locking {
    /// How strongly.
    pub strength: LockStrength,
    /// The table meant; `None`: all.
    pub of: Option<Name>,
    /// What if another holds it.
    pub wait: LockWait,
}

/// FOR UPDATE and FOR NO KEY UPDATE are exclusive, FOR SHARE and FOR KEY SHARE shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockStrength {
    /// With others that share.
    Shared,
    /// Alone.
    Exclusive,
}

/// What to do about a lock that another transaction holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockWait {
    /// Wait.
    Block,
    /// NOWAIT: 55P03.
    Error,
    /// SKIP LOCKED: leave the row out.
    Skip,
}
