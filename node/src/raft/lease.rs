//! The leader's lease: may this replica answer reads now, without asking the others?
//!
//! A follower that has heard from a leader votes for nobody else for `election_max`; so a leader that a quorum
//! acknowledged less than that ago, by what was [sent](super::acks) since, is the only one. We use 0.8 of it, because clocks drift. What openraft publishes
//! (state, term, membership, last acknowledgement by a quorum) is boiled down to two numbers where it is sent, so that who
//! asks takes no lock that replication's threads want, and they wait for nobody who asks:
//!
//! ```text
//! published: 1 the acknowledgement is cleared    asked: 1 the term is the one asked for
//!            2 the term, if it is another               2 the acknowledgement is recent
//!            3 the acknowledgement                      3 the term is still that one
//! ```
//! Published by one at a time, asked by many; each store releases and each load acquires what came before it. Who finds the
//! term at 1 finds at 2 what was published for it, or nothing, or what a later term published: then 3 finds that term.
//!
//! # Invariants
//!
//! - A term whose leadership is handed over never has a lease again: it is revoked before the others hear of it.
//! - A leader that is to vote no more has none: once it does not, openraft hands its leadership over by itself.
//! - After a change of voters only acknowledgements later than it count.
//! - What was published for one term is never taken for another's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use env::canary::{self, Canary};
use env::clock::Instant;
use openraft::{Instant as _, RaftMetrics, ServerState, TokioInstant};

use super::acks::Acks;
use super::runtime::EnvReceiver;
use super::types::Types;

/// Nobody has acknowledged.
const NEVER: u64 = 0;

/// Nobody needs to.
const ALWAYS: u64 = u64::MAX;

/// See the module.
pub(super) struct Lease {
    replica_id: u64,
    acks: Arc<Acks>,
    duration: Duration,
    published: Arc<Published>,
    /// No term up to this one has a lease.
    revoked_term: AtomicU64,
    /// Acknowledgements count from here on, in nanoseconds after `base`.
    floor_ns: AtomicU64,
    base: Base,
}

/// When the counting of nanoseconds begins: one moment, by the two clocks' types.
#[derive(Debug, Clone, Copy)]
struct Base {
    own: Instant,
    openraft: TokioInstant,
}

/// What replication says.
#[derive(Default)]
struct Published {
    term: AtomicU64,
    /// When a quorum last acknowledged this replica's leadership in the term: nanoseconds after `base`, [`NEVER`], or
    /// [`ALWAYS`].
    acked_ns: AtomicU64,
}

impl Published {
    fn publish(&self, term: u64, acked_ns: u64) {
        if self.term.load(Ordering::Relaxed) != term {
            self.acked_ns.store(NEVER, Ordering::Release);
            self.term.store(term, Ordering::Release);
        }
        self.acked_ns.store(acked_ns, Ordering::Release);
    }

    /// When a quorum last acknowledged this replica as the leader of `term`.
    fn acked_ns(&self, term: u64) -> u64 {
        if self.term.load(Ordering::Acquire) != term {
            return NEVER;
        }
        let acked_ns = self.acked_ns.load(Ordering::Acquire);
        if self.term.load(Ordering::Relaxed) == term { acked_ns } else { NEVER }
    }
}

impl Lease {
    /// The lease of a replica of which nothing is published yet.
    pub(super) fn new(replica_id: u64, duration: Duration, acks: Arc<Acks>) -> Self {
        Self {
            replica_id,
            acks,
            duration,
            published: Arc::default(),
            revoked_term: AtomicU64::new(0),
            floor_ns: AtomicU64::new(0),
            base: Base { own: env::clock::now(), openraft: TokioInstant::now() },
        }
    }

    /// From now on what counts is what the replica's instance publishes as its `metrics`. The one before has ended: its last word was
    /// that it leads no more.
    pub(super) fn follow(&self, metrics: &EnvReceiver<RaftMetrics<Types>>) -> Result<(), String> {
        let (replica_id, base) = (self.replica_id, self.base);
        let (acks, published) = (Arc::clone(&self.acks), Arc::clone(&self.published));
        let publish = move |metrics: &RaftMetrics<Types>| {
            let acked_ns = acked_ns(replica_id, base, &acks, metrics);
            if acked_ns != NEVER || !canary::sings(Canary::LeaseForEver) {
                published.publish(metrics.current_term, acked_ns);
            }
        };
        let is_let_in = metrics.let_witness(publish);
        if is_let_in { Ok(()) } else { Err("somebody else follows its lease".to_owned()) }
    }

    /// Whether this replica leads in `term` and holds the lease now.
    pub(super) fn is_valid(&self, term: u64) -> bool {
        if term <= self.revoked_term.load(Ordering::Acquire) {
            return false;
        }
        match self.published.acked_ns(term) {
            NEVER => false,
            ALWAYS => true,
            acked_ns => {
                let is_recent = self.now_ns() < acked_ns.saturating_add(nanoseconds(self.duration));
                acked_ns >= self.floor_ns.load(Ordering::Acquire)
                    && (is_recent || canary::sings(Canary::LeaseForEver))
            }
        }
    }

    /// `term` has no lease any more, and no earlier one.
    pub(super) fn revoke(&self, term: u64) {
        self.revoked_term.fetch_max(term, Ordering::AcqRel);
    }

    /// Only acknowledgements from now on count.
    pub(super) fn restart(&self) {
        self.floor_ns.fetch_max(self.now_ns(), Ordering::AcqRel);
    }

    fn now_ns(&self) -> u64 {
        nanoseconds(env::clock::now().saturating_duration_since(self.base.own))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// When a quorum last acknowledged `replica_id` as the leader of the current term, in nanoseconds after `base`.
fn acked_ns(replica_id: u64, base: Base, acks: &Acks, metrics: &RaftMetrics<Types>) -> u64 {
    let configs = metrics.membership_config.membership().get_joint_config();
    // Whether it votes once a change that is under way has come to its end.
    let stays = configs.last().is_some_and(|voters| voters.contains(&replica_id));
    if metrics.state != ServerState::Leader || metrics.running_state.is_err() || !stays {
        return NEVER;
    }
    match configs.as_slice() {
        [only] if only.len() == 1 => return ALWAYS,
        _ => {}
    }
    let Some(acked) = metrics.last_quorum_acked else { return NEVER };
    let made = acked.into_inner();
    let made_ns = if made > base.openraft { nanoseconds(made - base.openraft) } else { NEVER };
    let sent = acks.quorum_at(metrics.current_term, replica_id, configs);
    let sent_ns = sent.map(|sent| nanoseconds(sent.saturating_duration_since(base.own)));
    sent_ns.map_or(NEVER, |sent_ns| sent_ns.min(made_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pass(ms: u64) {
        tokio::time::advance(Duration::from_millis(ms)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_lasts_from_the_last_acknowledgement_and_belongs_to_its_term() {
        let lease = Lease::new(1, Duration::from_millis(100), Arc::default());
        pass(10).await;
        assert!(!lease.is_valid(0) && !lease.is_valid(1));
        lease.published.publish(5, lease.now_ns());
        pass(99).await;
        assert!(lease.is_valid(5) && !lease.is_valid(4) && !lease.is_valid(6));
        pass(1).await;
        assert!(!lease.is_valid(5));
        lease.published.publish(5, ALWAYS);
        assert!(lease.is_valid(5));
    }

    #[tokio::test(start_paused = true)]
    async fn every_change_takes_the_lease_away() {
        let lease = Lease::new(1, Duration::from_millis(100), Arc::default());
        let lead = |term| {
            lease.published.publish(term, lease.now_ns());
            lease.is_valid(term)
        };
        pass(1).await;
        assert!(lead(5));
        lease.published.publish(5, NEVER);
        assert!(!lease.is_valid(5), "it leads no more");
        assert!(lead(5));
        lease.published.publish(6, NEVER);
        assert!(!lease.is_valid(5) && !lease.is_valid(6), "another leads");
        assert!(lead(7));
        let acked_ns = lease.now_ns();
        pass(1).await;
        lease.restart();
        assert!(!lease.is_valid(7), "the voters change");
        lease.published.publish(7, acked_ns);
        assert!(!lease.is_valid(7), "an acknowledgement of before");
        assert!(lead(7));
        lease.revoke(7);
        assert!(!lead(7), "it is handed over");
        assert!(lead(8));
    }

    /// Terms follow each other; the acknowledgement that is published with a term is a multiple of it.
    #[test]
    fn what_was_published_for_a_term_is_never_taken_for_anothers() {
        let published = Published::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for term in 1..100_000 {
                    for n in 1..4 {
                        published.publish(term, term * n);
                    }
                }
                published.publish(u64::MAX, NEVER);
            });
            let mut asked = 0;
            while asked != u64::MAX {
                asked = published.term.load(Ordering::Relaxed);
                let acked_ns = published.acked_ns(asked);
                assert!(
                    acked_ns == NEVER || acked_ns % asked == 0 && acked_ns / asked < 4,
                    "{asked} {acked_ns}"
                );
            }
        });
    }
}
