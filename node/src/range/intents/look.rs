//! Who comes upon an intent, and why.

/// For what intents of others may be in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// A read at this timestamp: those that may be committed at or below it.
    Read(u64),
    /// A proof that nothing is committed in `(since, at]`: the same, and what is committed then and not resolved yet.
    Check {
        /// Nothing was committed after this. 0: what was has to stand as a version.
        since: u64,
        /// Up to this.
        at: u64,
    },
    /// A write: all.
    Write,
}

impl Look {
    /// Up to which timestamp it looks.
    pub(crate) fn until(self) -> u64 {
        match self {
            Self::Read(at) | Self::Check { at, .. } => at,
            Self::Write => u64::MAX,
        }
    }

    /// Whether an intent whose transaction is not decided is in the way.
    pub(super) fn minds(self, minimum: u64) -> bool {
        match self {
            Self::Read(at) | Self::Check { at, .. } => minimum <= at,
            Self::Write => true,
        }
    }
}
