//! Gives back the openraft instances of those who have slept for long: what such a replica keeps is a log without entries in memory, what
//! it has promised, and what was last [known](super::instance) of it.
//!
//! # Invariants
//!
//! Each with the tests that would miss it (`tests::closing`, `sleeping` in `node/tests/kv`, scenario `sleepers`):
//!
//! - Whose instance is closed has applied its whole log, and all of that and its vote are durable: it begins again with what it had. Its
//!   state need not be on the disk for that: the engine's memory stays, how much is flushed is remembered, and after a crash all starts
//!   from the log as ever.
//! - A follower's is closed only once no lease that it has granted can hold: openraft forgets that, and would vote. So no fence is
//!   needed when it is opened. A leader's own lease has run out long before, and ends for sure with its instance.
//! - A leader is closed only if it can [begin again](super::making) as the leader of its term. It proves that it leads as any that wakes.
//! - Nobody uses an instance that is closed: who uses one holds it, a leader that may send more to a follower among them. So a follower's
//!   is closed after its leader's, or it would be called, and woken. What was handed over without a wait was done before: that
//!   is asked for, as long as it sleeps, since whoever hands something over wakes it first.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use env::clock::Instant;
use openraft::async_runtime::WatchReceiver;

use super::group::Group;
use super::host::RaftHost;
use super::sleep::Asleep;
use super::sleepers::Word;
use super::types::point;

/// So many are closed at a time, one after the other.
const CLOSED_MAX: usize = 256;

impl Group {
    /// Whether its instance could be closed now, if nobody uses it.
    fn is_due(&self, now: Instant) -> bool {
        let asleep = self.slumber.look(|sleep| sleep.asleep());
        asleep.is_some_and(|asleep| self.is_at_rest(asleep, now) && self.is_well(asleep))
    }

    /// Whether it is as it was when it fell asleep, stands by the vote that is in its log, and nothing is wrong with it or on its way.
    fn is_well(&self, asleep: Asleep) -> bool {
        let (role, vote) = (self.role(), self.metrics().borrow_watched().vote);
        let as_it_was = role.term == asleep.term && role.is_leader == (asleep.word == Word::Own);
        as_it_was
            && vote.committed
            && self.log.vote() == Some(vote)
            && self.failure().is_none()
            && self.damage().is_none()
            && self.sending.is_empty()
            && !self.receiving.load(Ordering::Acquire)
            && !(role.is_leader && self.is_giving_way(role.term))
    }

    /// Whether it has slept for long, has granted nothing that holds still, and has nothing to write or to apply.
    fn is_at_rest(&self, asleep: Asleep, now: Instant) -> bool {
        let (timing, heard) = (&self.timing, *self.heard.lock());
        let slept = now.saturating_duration_since(asleep.since);
        let unheard = now.saturating_duration_since(heard);
        if slept < timing.close_after.max(timing.fence()) || unheard < timing.fence() {
            return false;
        }
        let (purged, last) = self.log.bounds();
        let Some(last) = last else { return false };
        let leads_again = purged != Some(last) && point(&last).term == asleep.term;
        self.applied_point() == Some(point(&last))
            && (asleep.word != Word::Own || leads_again)
            && self.log.is_durable()
    }

    /// Closes its instance, unless somebody uses it or it is not due any more.
    async fn give_instance_back(&self) {
        let answers = async {
            let raft = self.instance.if_open()?;
            // What was handed to it before is done then.
            raft.with_raft_state(|_| ()).await.ok()
        };
        if !matches!(env::clock::timeout(self.timing.heartbeat, answers).await, Ok(Some(()))) {
            return;
        }
        let closing = self.slumber.look(|sleep| {
            // Whoever wakes it from now on finds that it is being closed.
            let asleep = sleep.asleep().filter(|asleep| self.is_well(*asleep))?;
            self.instance.begin_closing(|| self.is_at_rest(asleep, env::clock::now()))
        });
        if let Some(closing) = closing {
            closing.finish().await;
        }
    }
}

impl RaftHost {
    /// Has those closed that have slept for long.
    pub(super) fn close_who_slept(self: &Arc<Self>, now: Instant) {
        // Of those that were found the last time some may be left.
        if self.shutting.load(Ordering::SeqCst) {
            return;
        }
        let unclosed = self.unclosed().into_iter();
        let due: Vec<Arc<Group>> = unclosed.filter(|group| group.is_due(now)).take(CLOSED_MAX).collect();
        if due.is_empty() {
            return;
        }
        self.shutting.store(true, Ordering::SeqCst);
        let host = Arc::clone(self);
        drop(self.spawn(async move {
            for group in due {
                group.give_instance_back().await;
            }
            host.shutting.store(false, Ordering::SeqCst);
        }));
    }
}
