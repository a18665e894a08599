//! Rows that a query locks, and tables.

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

/// How LOCK TABLE locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableLock {
    /// As SELECT does.
    AccessShare,
    /// As SELECT FOR UPDATE does.
    RowShare,
    /// As INSERT, UPDATE and DELETE do.
    RowExclusive,
    /// As VACUUM does.
    ShareUpdateExclusive,
    /// As CREATE INDEX does.
    Share,
    /// As CREATE TRIGGER does.
    ShareRowExclusive,
    /// Beside reading alone.
    Exclusive,
    /// Beside nothing.
    AccessExclusive,
}

impl TableLock {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::AccessShare,
        Self::RowShare,
        Self::RowExclusive,
        Self::ShareUpdateExclusive,
        Self::Share,
        Self::ShareRowExclusive,
        Self::Exclusive,
        Self::AccessExclusive,
    ];

    /// Its words in the grammar.
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Self::AccessShare => &["access", "share"],
            Self::RowShare => &["row", "share"],
            Self::RowExclusive => &["row", "exclusive"],
            Self::ShareUpdateExclusive => &["share", "update", "exclusive"],
            Self::Share => &["share"],
            Self::ShareRowExclusive => &["share", "row", "exclusive"],
            Self::Exclusive => &["exclusive"],
            Self::AccessExclusive => &["access", "exclusive"],
        }
    }
}
