//! When the others were last heard of: by what they acknowledged, as of when it was sent.
//!
//! openraft dates a request when it makes it, and takes a request that asks for nothing new as acknowledged with an earlier
//! one. Between the making and the sending may lie as much as a process can be stopped for, and a request may never be sent
//! at all; whoever answered the earlier one has promised nothing since. So what a lease and a proof of leadership stand on
//! is counted here, where requests leave:
//!
//! ```text
//! Requests: a request leaves ─▶ sent(): when, and its number
//!                                 │
//! Peer: its answer has come ──▶ note(who, sent)
//!                                 │
//!        Lease: when did a quorum, and Group::read_index: has a quorum acknowledged what left after this moment?
//! ```
//!
//! # Invariants
//!
//! - A moment is noted for a replica only once it has acknowledged a request of the term that left no earlier.
//! - Numbers order what leaves and what is asked, also where the clock does not move in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use env::clock::Instant;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Replicas of which something is kept. A range has fewer; who is gone is forgotten at some time.
const REPLICAS_MAX: usize = 64;

/// When a request left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    term: u64,
    pub(super) at: Instant,
    number: u64,
}

/// A moment: what leaves after it has a larger number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(u64);

/// Of what one replica has acknowledged, the latest that left.
#[derive(Debug, Clone, Copy)]
struct Heard {
    at: Instant,
    number: u64,
}

/// What the others have acknowledged to one replica, in the newest term in which they did.
#[derive(Default)]
pub(super) struct Acks {
    left: AtomicU64,
    state: Mutex<State>,
    noted: Notify,
}

#[derive(Default)]
struct State {
    term: u64,
    heard: BTreeMap<u64, Heard>,
}

impl Acks {
    /// A request of `term` leaves now.
    pub(super) fn sent(&self, term: u64) -> Sent {
        // The clock first: the request is not older than it says.
        let at = env::clock::now();
        Sent { term, at, number: self.left.fetch_add(1, Ordering::SeqCst) + 1 }
    }

    /// Now, among the requests that leave.
    pub(super) fn now(&self) -> Moment {
        Moment(self.left.load(Ordering::SeqCst))
    }

    /// `replica_id` has acknowledged a request: it took its sender for the leader of the term, after it was sent.
    pub(super) fn note(&self, replica_id: u64, sent: Sent) {
        {
            let mut state = self.state.lock();
            if sent.term < state.term {
                return;
            }
            if sent.term > state.term {
                *state = State { term: sent.term, heard: BTreeMap::new() };
            }
            let new = Heard { at: sent.at, number: sent.number };
            let heard = state.heard.entry(replica_id).or_insert(new);
            heard.at = heard.at.max(new.at);
            heard.number = heard.number.max(new.number);
            if state.heard.len() > REPLICAS_MAX {
                let oldest = state.heard.iter().min_by_key(|(_, heard)| heard.number);
                if let Some(id) = oldest.map(|(id, _)| *id) {
                    state.heard.remove(&id);
                }
            }
        }
        self.noted.notify_waiters();
    }

    /// Completes at the next [`Acks::note`] after the call, polled or not.
    pub(super) fn noted(&self) -> impl Future<Output = ()> + '_ {
        self.noted.notified()
    }

    /// The latest time since which a quorum of each of `configs` has acknowledged that `own` leads in `term`; it needs nobody's
    /// word for itself. None if they have not, or if nobody else is needed.
    pub(super) fn quorum_at(&self, term: u64, own: u64, configs: &[BTreeSet<u64>]) -> Option<Instant> {
        match self.quorum(term, own, configs, |heard| heard.at)? {
            Word::Of(at) => Some(at),
            Word::Own => None,
        }
    }

    /// Whether a quorum of each of `configs` has acknowledged that `own` leads in `term`, by what left after `moment`.
    pub(super) fn is_proven(
        &self,
        term: u64,
        own: u64,
        configs: &[BTreeSet<u64>],
        Moment(moment): Moment,
    ) -> bool {
        let quorum = self.quorum(term, own, configs, |heard| heard.number);
        quorum.is_some_and(|word| word > Word::Of(moment))
    }

    fn quorum<T: Ord + Copy>(
        &self,
        term: u64,
        own: u64,
        configs: &[BTreeSet<u64>],
        value: impl Fn(&Heard) -> T,
    ) -> Option<Word<T>> {
        let state = self.state.lock();
        let word = |voter: &u64| match state.heard.get(voter) {
            _ if *voter == own => Some(Word::Own),
            Some(heard) if state.term == term => Some(Word::Of(value(heard))),
            _ => None,
        };
        let of_config = |voters: &BTreeSet<u64>| {
            let mut words: Vec<Option<Word<T>>> = voters.iter().map(word).collect();
            words.sort_unstable_by(|a, b| b.cmp(a));
            // A majority has this or better.
            words.get(words.len() / 2).copied().flatten()
        };
        configs.iter().map(of_config).min().flatten()
    }
}

/// What is known of a voter; its own word is as good as new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Word<T> {
    Of(T),
    Own,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TERM: u64 = 5;

    fn config(voters: &[u64]) -> BTreeSet<u64> {
        voters.iter().copied().collect()
    }

    async fn pass(ms: u64) {
        tokio::time::advance(Duration::from_millis(ms)).await;
    }

    /// So many requests as there are replicas named, one after the other, each a millisecond after the one before.
    async fn leave<const N: usize>(acks: &Acks) -> [Sent; N] {
        let mut sent = Vec::new();
        for _ in 0..N {
            pass(1).await;
            sent.push(acks.sent(TERM));
        }
        sent.try_into().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_quorum_is_as_old_as_the_oldest_request_that_it_needs() {
        let acks = Acks::default();
        let three = [config(&[1, 2, 3])];
        let [first, second, third] = leave(&acks).await;
        assert_eq!(acks.quorum_at(TERM, 1, &three), None);
        acks.note(2, second);
        assert_eq!(acks.quorum_at(TERM, 1, &three), Some(second.at));
        acks.note(3, first);
        assert_eq!(acks.quorum_at(TERM, 1, &three), Some(second.at), "one of the two is enough");
        acks.note(3, third);
        assert_eq!(acks.quorum_at(TERM, 1, &three), Some(third.at));
        acks.note(3, first);
        assert_eq!(acks.quorum_at(TERM, 1, &three), Some(third.at), "what was promised stays so");
        let five = [config(&[1, 2, 3, 4, 5])];
        assert_eq!(acks.quorum_at(TERM, 1, &five), Some(second.at));
        assert_eq!(acks.quorum_at(TERM, 9, &three), Some(second.at), "its own word does not count");
    }

    #[tokio::test(start_paused = true)]
    async fn both_sets_of_voters_must_have_acknowledged() {
        let acks = Acks::default();
        let joint = [config(&[1, 2, 3]), config(&[3, 4, 5])];
        let [first, second, third] = leave(&acks).await;
        acks.note(2, third);
        assert_eq!(acks.quorum_at(TERM, 1, &joint), None);
        acks.note(3, second);
        acks.note(4, first);
        assert_eq!(acks.quorum_at(TERM, 1, &joint), Some(first.at));
        let alone = [config(&[1]), config(&[1, 2])];
        assert_eq!(acks.quorum_at(TERM, 1, &alone), Some(third.at));
    }

    #[tokio::test(start_paused = true)]
    async fn acknowledgements_of_another_term_count_for_nothing() {
        let acks = Acks::default();
        let three = [config(&[1, 2, 3])];
        let before = acks.now();
        acks.note(2, acks.sent(TERM));
        assert!(acks.is_proven(TERM, 1, &three, before));
        assert!(!acks.is_proven(TERM + 1, 1, &three, before) && !acks.is_proven(TERM - 1, 1, &three, before));
        acks.note(3, acks.sent(TERM + 1));
        assert!(!acks.is_proven(TERM, 1, &three, before), "it has led again since");
        acks.note(2, acks.sent(TERM));
        assert!(acks.is_proven(TERM + 1, 1, &three, before));
    }

    #[tokio::test(start_paused = true)]
    async fn what_left_before_it_was_asked_proves_nothing_though_the_clock_stands_still() {
        let acks = Acks::default();
        let three = [config(&[1, 2, 3])];
        let early = acks.sent(TERM);
        let asked = acks.now();
        acks.note(2, early);
        acks.note(3, early);
        assert!(!acks.is_proven(TERM, 1, &three, asked));
        acks.note(2, acks.sent(TERM));
        assert!(acks.is_proven(TERM, 1, &three, asked));
        assert!(acks.is_proven(TERM, 1, &[config(&[1])], acks.now()), "nobody else is needed");
    }

    #[tokio::test(start_paused = true)]
    async fn replicas_that_are_gone_are_forgotten() {
        let acks = Acks::default();
        for replica in 0..1_000 {
            acks.note(replica, acks.sent(TERM));
        }
        assert_eq!(acks.state.lock().heard.len(), REPLICAS_MAX);
        assert!(acks.quorum_at(TERM, 1, &[config(&[998, 999])]).is_some());
    }
}
