//! Whether a leader calls: sends heartbeats and entries, and asks the others whether it leads still. A state machine without IO and clocks.
//!
//! Where messages go one way only, followers hear a leader whom no quorum answers: it commits nothing, and they elect nobody while they
//! hear it. So a leader that nobody answers falls silent for as long as an election may take, and then calls again for as long, for
//! it may be back:
//!
//! ```text
//!  the last answer ── patience ──▶ silent ── turn ──▶ calls ── turn ──▶ silent …
//! ```
//! openraft would do the same by itself (`quorum_loss_probe_interval`), but it counts from the last answer, whatever came in between: a
//! leader that has slept for a minute would find itself in the midst of a silent turn, and could neither prove that it leads nor, since
//! openraft takes no entries of a leader whose lease has run out, change anything. So that is switched off there, and done
//! here, where it is known who has slept: whoever wakes begins as if it had just been answered.
//!
//! Silent is who sends nothing at all: an entry that is not acknowledged would be sent again and again, and be heard as heartbeats are.
//!
//! # Invariants
//!
//! - Who has begun a term, or has woken, calls for as long as `patience` at least.
//! - Who is not answered for longer calls no longer than a turn at a stretch.

use env::clock::Instant;

use super::options::RaftTiming;

/// See the module.
#[derive(Debug)]
pub(super) struct Calling {
    term: u64,
    /// When it was last answered, as far as is known, or else began.
    since: Instant,
    /// Whether it called when it was last looked at.
    called: bool,
}

impl Calling {
    /// Of a replica that was started `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self { term: 0, since: now, called: true }
    }

    /// It begins, in its term, as if it had just been answered.
    pub(super) fn begin(&mut self, now: Instant) {
        (self.since, self.called) = (now, true);
    }

    /// It leads in `term`, and was last answered in it at a time, if it was. Whether it calls from now on, and did not before.
    pub(super) fn observe(
        &mut self,
        now: Instant,
        term: u64,
        answered: Option<Instant>,
        timing: &RaftTiming,
    ) -> bool {
        if term != self.term {
            (self.term, self.since) = (term, now);
        }
        self.since = answered.map_or(self.since, |answered| answered.max(self.since));
        let calls = self.calls(now, timing);
        let called = std::mem::replace(&mut self.called, calls);
        calls && !called
    }

    /// Whether it calls.
    pub(super) fn calls(&self, now: Instant, timing: &RaftTiming) -> bool {
        let (patience, turn) = (timing.election_max, timing.election_max * 2);
        let alone = now.saturating_duration_since(self.since);
        // Long enough for the others' leases and for an election after that.
        alone < patience || alone.saturating_sub(patience).as_millis() / turn.as_millis().max(1) % 2 == 1
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_is_not_answered_is_silent_every_other_turn() {
        let (began, timing) = (env::clock::now(), RaftTiming::default());
        let at = |ms| began + Duration::from_millis(ms);
        let mut calling = Calling::new(began);
        assert!(!calling.observe(began, 3, Some(began), &timing), "it did before");
        let moments = [0, 1_399, 1_400, 4_199, 4_200, 6_999, 7_000, 9_799, 9_800];
        let calls = moments.map(|moment| calling.calls(at(moment), &timing));
        assert_eq!(calls, [true, true, false, false, true, true, false, false, true]);
        let begins = moments.map(|moment| calling.observe(at(moment), 3, Some(began), &timing));
        assert_eq!(begins, [false, false, false, false, true, false, false, false, true]);
        assert!(!calling.observe(at(12_700), 3, None, &timing) && !calling.calls(at(12_700), &timing));
        assert!(calling.observe(at(12_700), 3, Some(at(12_600)), &timing), "somebody has answered");
        assert!(calling.calls(at(13_999), &timing) && !calling.calls(at(14_000), &timing));
    }

    #[test]
    fn who_begins_a_term_or_wakes_calls() {
        let (began, timing) = (env::clock::now(), RaftTiming::default());
        let at = |ms| began + Duration::from_millis(ms);
        let mut calling = Calling::new(began);
        calling.observe(at(2_000), 4, None, &timing);
        assert!(calling.calls(at(3_399), &timing) && !calling.calls(at(3_400), &timing));
        calling.observe(at(3_400), 4, None, &timing);
        calling.begin(at(60_000));
        assert!(!calling.observe(at(61_000), 4, Some(at(100)), &timing), "an answer of long ago is none");
        assert!(calling.calls(at(61_399), &timing) && !calling.calls(at(61_400), &timing));
    }
}
