//! Defects on purpose: what the checkers of the tests must find, or they are asleep.
//!
//! Product code asks [`sings`] at the place where a promise could be broken. Without the cargo feature `canaries` the
//! answer is a constant no, and the question costs nothing. With it one canary at a time is picked, by `pick` or by
//! the variable `NUNATAK_CANARY`, so that one build serves them all.

/// A promise that can be broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canary {
    /// A log is not synced.
    NoFsync,
    /// A commit ignores its checks.
    SkipValidation,
    /// Reads below a range's safe point are answered.
    SkipSafePoint,
    /// A replica votes as soon as its process has started, and so breaks leases that it granted.
    LeaseWithoutFence,
    /// A leader's lease ends neither with time nor with its leadership.
    LeaseForEver,
    /// Nobody ends a change of voters that was left half done.
    JointForEver,
    /// A transaction that goes back to a savepoint forgets what it has read.
    ForgetReadsOnRollbackTo,
    /// A replica goes on without what it cannot read.
    SkipUnreadable,
    /// A leader that is to take a timestamp takes the newest that it knows, without asking the oracle.
    OracleUnasked,
    /// What a leader reads at a timestamp that it has asked for does not get into its read memory.
    AskedUnremembered,
    /// What waited for a timestamp proves its lease and not its span.
    AskedUnproven,
    /// A range that gives keys away goes on serving them.
    ServesGivenAway,
    /// The value of a locked key is what every read sees, even one at an earlier timestamp.
    HeldFromTheFuture,
    /// A commit ignores up to when the keys that it writes were read.
    CommitBelowRead,
    /// Where a prewrite is missing its transaction is said to be aborted, and nothing bars it.
    NoRollbackMarker,
    /// A range that has taken another one over has forgotten what both have served.
    MergeForgetsReads,
    /// A replica that does not lead answers reads whatever its leader has closed.
    FollowerReadsAhead,
    /// A timestamp is closed, and does not count as read.
    CommitBelowClosed,
    /// A leader that has slept answers as if its lease held still.
    SleepsWithLease,
    /// A follower asleep is not woken by the silence of its leader's store.
    SleepsThroughDeath,
    /// A leader that wakes sends no heartbeats, as one that nobody answers.
    WakesMute,
    /// Who watches is told that all is there up to a timestamp, while more is under way below it and may come.
    ResolvedEarly,
    /// A write does not end that a stretch of keys is taken for empty.
    BarrenForEver,
}

impl Canary {
    /// All of them.
    pub const ALL: &[Canary] = &[
        Canary::NoFsync,
        Canary::SkipValidation,
        Canary::SkipSafePoint,
        Canary::LeaseWithoutFence,
        Canary::LeaseForEver,
        Canary::JointForEver,
        Canary::ForgetReadsOnRollbackTo,
        Canary::SkipUnreadable,
        Canary::OracleUnasked,
        Canary::AskedUnremembered,
        Canary::AskedUnproven,
        Canary::ServesGivenAway,
        Canary::HeldFromTheFuture,
        Canary::CommitBelowRead,
        Canary::NoRollbackMarker,
        Canary::MergeForgetsReads,
        Canary::FollowerReadsAhead,
        Canary::CommitBelowClosed,
        Canary::SleepsWithLease,
        Canary::SleepsThroughDeath,
        Canary::WakesMute,
        Canary::ResolvedEarly,
        Canary::BarrenForEver,
    ];

    /// Its name, as `NUNATAK_CANARY` has it.
    pub fn name(self) -> &'static str {
        match self {
            Canary::NoFsync => "no-fsync",
            Canary::SkipValidation => "skip-validation",
            Canary::SkipSafePoint => "skip-safe-point",
            Canary::LeaseWithoutFence => "lease-without-fence",
            Canary::LeaseForEver => "lease-for-ever",
            Canary::JointForEver => "joint-for-ever",
            Canary::ForgetReadsOnRollbackTo => "forget-reads-on-rollback-to",
            Canary::SkipUnreadable => "skip-unreadable",
            Canary::OracleUnasked => "oracle-unasked",
            Canary::AskedUnremembered => "asked-unremembered",
            Canary::AskedUnproven => "asked-unproven",
            Canary::ServesGivenAway => "serves-given-away",
            Canary::HeldFromTheFuture => "held-from-the-future",
            Canary::CommitBelowRead => "commit-below-read",
            Canary::NoRollbackMarker => "no-rollback-marker",
            Canary::MergeForgetsReads => "merge-forgets-reads",
            Canary::FollowerReadsAhead => "follower-reads-ahead",
            Canary::CommitBelowClosed => "commit-below-closed",
            Canary::SleepsWithLease => "sleeps-with-lease",
            Canary::SleepsThroughDeath => "sleeps-through-death",
            Canary::WakesMute => "wakes-mute",
            Canary::ResolvedEarly => "resolved-early",
            Canary::BarrenForEver => "barren-for-ever",
        }
    }

    /// The canary of that name.
    pub fn named(name: &str) -> Option<Canary> {
        Self::ALL.iter().copied().find(|canary| canary.name() == name)
    }
}

#[cfg(not(feature = "canaries"))]
mod picked {
    use super::Canary;

    /// Whether this promise is broken: never, in this build.
    #[inline(always)]
    pub const fn sings(_canary: Canary) -> bool {
        false
    }
}

#[cfg(feature = "canaries")]
mod picked {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Canary;

    /// The place of the canary that is picked in [`Canary::ALL`], or its length.
    static PICKED: LazyLock<AtomicUsize> = LazyLock::new(|| {
        let name = std::env::var("NUNATAK_CANARY").ok();
        AtomicUsize::new(place(name.as_deref().and_then(Canary::named)))
    });

    fn place(canary: Option<Canary>) -> usize {
        let is_picked = |known: &Canary| Some(*known) == canary;
        Canary::ALL.iter().position(is_picked).unwrap_or(Canary::ALL.len())
    }

    /// Whether this promise is broken.
    pub fn sings(canary: Canary) -> bool {
        Canary::ALL.get(PICKED.load(Ordering::Relaxed)) == Some(&canary)
    }

    /// Breaks this promise from now on, in the whole process, or none.
    pub fn pick(canary: Option<Canary>) {
        PICKED.store(place(canary), Ordering::Relaxed);
    }
}

pub use picked::*;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for canary in Canary::ALL {
            assert_eq!(Canary::named(canary.name()), Some(*canary));
        }
    }
}
