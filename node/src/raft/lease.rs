//! The leader's lease: may this replica answer reads now, without asking the others?
//!
//! A follower that has heard from a leader votes for nobody else for `election_max`; so a leader that a quorum
//! acknowledged less than that ago is the only one. We use 0.8 of it, because clocks drift. What openraft publishes
//! (state, term, membership, last acknowledgement by a quorum) is read at the moment of the question.
//!
//! # Invariants
//!
//! - A term whose leadership is handed over never has a lease again: it is revoked before the others hear of it.
//! - A leader that is to vote no more has none: once it does not, openraft hands its leadership over by itself.
//! - After a change of voters only acknowledgements later than it count.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::WatchReceiver;
use openraft::{Instant, RaftMetrics, ServerState, TokioInstant};

use super::types::Types;

/// See the module.
pub(super) struct Lease {
    replica_id: u64,
    duration: Duration,
    metrics: WatchReceiverOf<Types, RaftMetrics<Types>>,
    /// No term up to this one has a lease.
    revoked_term: AtomicU64,
    /// Acknowledgements count from here on, in nanoseconds after `base`.
    floor_ns: AtomicU64,
    base: TokioInstant,
}

impl Lease {
    /// The lease of a replica whose group publishes `metrics`.
    pub(super) fn new(
        replica_id: u64,
        duration: Duration,
        metrics: WatchReceiverOf<Types, RaftMetrics<Types>>,
    ) -> Self {
        Self {
            replica_id,
            duration,
            metrics,
            revoked_term: AtomicU64::new(0),
            floor_ns: AtomicU64::new(0),
            base: TokioInstant::now(),
        }
    }

    /// Whether this replica leads in `term` and holds the lease now.
    pub(super) fn is_valid(&self, term: u64) -> bool {
        if term <= self.revoked_term.load(Ordering::Acquire) {
            return false;
        }
        let metrics = self.metrics.borrow_watched();
        if metrics.state != ServerState::Leader
            || metrics.current_term != term
            || metrics.running_state.is_err()
        {
            return false;
        }
        if !self.stays(&metrics) {
            return false;
        }
        if self.is_sole_voter(&metrics) {
            return true;
        }
        let Some(acked) = metrics.last_quorum_acked else { return false };
        let acked = acked.into_inner();
        let floor = self.base + Duration::from_nanos(self.floor_ns.load(Ordering::Acquire));
        acked >= floor && TokioInstant::now() < acked + self.duration
    }

    /// `term` has no lease any more, and no earlier one.
    pub(super) fn revoke(&self, term: u64) {
        self.revoked_term.fetch_max(term, Ordering::AcqRel);
    }

    /// Only acknowledgements from now on count.
    pub(super) fn restart(&self) {
        let now = u64::try_from((TokioInstant::now() - self.base).as_nanos()).unwrap_or(u64::MAX);
        self.floor_ns.fetch_max(now, Ordering::AcqRel);
    }

    /// Whether it votes once a change that is under way has come to its end.
    fn stays(&self, metrics: &RaftMetrics<Types>) -> bool {
        let configs = metrics.membership_config.membership().get_joint_config();
        configs.last().is_some_and(|voters| voters.contains(&self.replica_id))
    }

    fn is_sole_voter(&self, metrics: &RaftMetrics<Types>) -> bool {
        match metrics.membership_config.membership().get_joint_config().as_slice() {
            [only] => only.len() == 1 && only.contains(&self.replica_id),
            _ => false,
        }
    }
}
