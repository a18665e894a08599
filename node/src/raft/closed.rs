//! Closed timestamps, as the replicas of a range hear of them: with whatever its leader sends them, entries or heartbeats.
//!
//! ```text
//! leader:    close() ─▶ own, of a term ──┬──▶ RaftAppendRequest.closed
//!                                        └──▶ heard
//! follower:  RaftAppendRequest.closed ──▶ heard: waiting, until its index is applied here ──▶ ready
//! ```
//!
//! A message of its own is not needed, nor an entry of the log: a promise that is lost is followed by the next one. What it
//! rests on is proven by who makes it (`range::closing`), so that it holds for ever, whoever leads when it is heard.
//!
//! # Invariants
//!
//! - A promise is told only by messages of the term that it was made in, and taken only from the leader of the term that the
//!   replica is in.
//! - It is of use only once all up to its index is applied here.
//! - Of what waits the oldest stays: a replica that applies slowly comes to it.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// So many promises wait until what they speak of is applied.
const WAITING_MAX: usize = 8;

/// A leader's promise: whatever is committed at or below the timestamp, now or ever, and each lock of what may be, is the doing
/// of entries up to the index, as long as the range has this span epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// The timestamp.
    pub timestamp: u64,
    /// An index of the range's log.
    pub index: u64,
    /// The range's span epoch.
    pub span_epoch: u64,
}

impl Closed {
    /// Whether it says more than another one, or of another span.
    fn follows(&self, other: &Self) -> bool {
        (self.span_epoch, self.timestamp) > (other.span_epoch, other.timestamp)
    }
}

/// What one replica of a range knows to be closed.
#[derive(Default)]
pub(super) struct Closings {
    /// What it has closed itself, in the term that it leads or has led.
    own: Mutex<Option<(u64, Closed)>>,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    ready: Option<Closed>,
    /// Each follows the one before, and the first the one that is ready.
    waiting: VecDeque<Closed>,
}

impl Closings {
    /// This replica has closed a timestamp as the leader of `term`.
    pub(super) fn close(&self, term: u64, closed: Closed) {
        *self.own.lock() = Some((term, closed));
        self.hear(closed);
    }

    /// What it has closed as the leader of `term`.
    pub(super) fn told(&self, term: u64) -> Option<Closed> {
        self.own.lock().filter(|(of, _)| *of == term).map(|(_, closed)| closed)
    }

    /// A leader has closed a timestamp.
    pub(super) fn hear(&self, closed: Closed) {
        let mut heard = self.heard.lock();
        let newest = heard.waiting.back().copied().or(heard.ready);
        if newest.is_some_and(|newest| !closed.follows(&newest)) {
            return;
        }
        if heard.waiting.len() >= WAITING_MAX {
            heard.waiting.pop_back();
        }
        heard.waiting.push_back(closed);
    }

    /// What is closed where all up to the index `applied` is applied.
    pub(super) fn usable(&self, applied: u64) -> Option<Closed> {
        let mut heard = self.heard.lock();
        while let Some(next) = heard.waiting.front().copied().filter(|next| next.index <= applied) {
            heard.ready = Some(next);
            heard.waiting.pop_front();
        }
        heard.ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(timestamp: u64, index: u64) -> Closed {
        Closed { timestamp, index, span_epoch: 1 }
    }

    #[test]
    fn a_promise_is_of_use_once_all_that_it_speaks_of_is_applied() {
        let closings = Closings::default();
        assert_eq!(closings.usable(100), None);
        closings.hear(closed(10, 5));
        closings.hear(closed(20, 7));
        assert_eq!(closings.usable(4), None);
        assert_eq!(closings.usable(6), Some(closed(10, 5)));
        assert_eq!(closings.usable(7), Some(closed(20, 7)));
        assert_eq!(closings.usable(3), Some(closed(20, 7)), "what was applied stays so");
        closings.hear(closed(15, 8));
        assert_eq!(closings.usable(9), Some(closed(20, 7)), "it says less");
        let after_a_split = Closed { span_epoch: 2, ..closed(12, 9) };
        closings.hear(after_a_split);
        assert_eq!(closings.usable(9), Some(after_a_split));
    }

    #[test]
    fn a_replica_that_applies_slowly_comes_to_the_oldest_of_what_waits() {
        let closings = Closings::default();
        (1..1000).for_each(|n| closings.hear(closed(n, n * 10)));
        assert!(closings.heard.lock().waiting.len() <= WAITING_MAX);
        assert_eq!(closings.usable(10), Some(closed(1, 10)));
        assert_eq!(closings.usable(9990), Some(closed(999, 9990)), "the newest is there, too");
    }

    #[test]
    fn what_is_told_is_of_the_term_of_who_tells_it() {
        let closings = Closings::default();
        closings.close(3, closed(10, 5));
        assert_eq!((closings.told(3), closings.told(4)), (Some(closed(10, 5)), None));
        closings.close(5, closed(30, 9));
        assert_eq!((closings.told(3), closings.told(5)), (None, Some(closed(30, 9))));
        assert_eq!(closings.usable(9), Some(closed(30, 9)), "a leader knows it like any other replica");
    }
}
