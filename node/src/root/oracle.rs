//! The timestamp oracle: strictly increasing timestamps out of windows reserved through consensus.
//!
//! ```text
//!            reserved by earlier terms │ reserved by this term
//!   ───────────────────────────────────┼──────────┬──────────────┐
//!                                    floor       last           end
//! ```
//!
//! The pure part: it is told what time it is ([`super::clocks`]) and what was reserved. Who asks checks the root's lease after the
//! request arrived and before the answer goes out ([`super::term::RootTerm::timestamp`]).

use parking_lot::Mutex;

use crate::timestamp;

/// How far ahead a window reaches.
pub(crate) const WINDOW_MS: u64 = 3000;

/// How many timestamps one request may ask for.
pub(crate) const COUNT_MAX: u32 = 1 << 16;

/// The window is used up; more must be reserved first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowEnded;

/// The oracle of one term of the root range.
///
/// # Invariants
///
/// - What it hands out is larger than all it has handed out before, and than all that earlier terms reserved.
/// - What it hands out is below the end of a window that was reserved in this term.
/// - Neither depends on a clock, which may jump.
#[derive(Debug)]
pub(crate) struct Oracle {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last: u64,
    end: u64,
}

impl Oracle {
    /// An oracle with nothing reserved, in a cluster where timestamps below `floor` may have been handed out.
    pub(crate) fn new(floor: u64) -> Self {
        Self { state: Mutex::new(State { last: floor.saturating_sub(1), end: 0 }) }
    }

    /// The first of `count` timestamps.
    pub(crate) fn next(&self, now_ms: u64, count: u32) -> Result<u64, WindowEnded> {
        let mut state = self.state.lock();
        let first = timestamp::from_ms(now_ms).max(state.last + 1);
        let last = first + u64::from(count.max(1)) - 1;
        if last >= state.end {
            return Err(WindowEnded);
        }
        state.last = last;
        Ok(first)
    }

    /// The largest timestamp handed out, or certainly not above it.
    pub(crate) fn last(&self) -> u64 {
        self.state.lock().last
    }

    /// The end (exclusive) of the window to reserve next, if it is time to.
    pub(crate) fn wanted(&self, now_ms: u64) -> Option<u64> {
        let state = self.state.lock();
        let from = timestamp::from_ms(now_ms).max(state.last + 1);
        let half = from + timestamp::from_ms(WINDOW_MS / 2);
        (half >= state.end).then(|| from + timestamp::from_ms(WINDOW_MS))
    }

    /// A window up to `end` (exclusive) was reserved in this term.
    pub(crate) fn reserved(&self, end: u64) {
        let mut state = self.state.lock();
        state.end = state.end.max(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: u64 = 1_704_067_200_000;

    fn serving(floor: u64, wall_ms: u64) -> Oracle {
        let oracle = Oracle::new(floor);
        let end = oracle.wanted(wall_ms).unwrap();
        oracle.reserved(end);
        oracle
    }

    #[test]
    fn nothing_is_handed_out_before_a_window_is_reserved() {
        assert_eq!(Oracle::new(0).next(T0, 1), Err(WindowEnded));
    }

    #[test]
    fn timestamps_follow_the_clock_and_never_repeat() {
        let oracle = serving(0, T0);
        let first = oracle.next(T0, 10).unwrap();
        assert_eq!(timestamp::ms(first), T0);
        assert_eq!(oracle.next(T0, 1), Ok(first + 10));
        assert_eq!(oracle.next(T0 + 1, 1), Ok(timestamp::from_ms(T0 + 1)));
    }

    #[test]
    fn a_clock_that_jumps_back_changes_nothing() {
        let oracle = serving(0, T0);
        let first = oracle.next(T0, 1).unwrap();
        assert_eq!(oracle.next(T0 - 100_000, 1), Ok(first + 1));
    }

    #[test]
    fn a_clock_that_jumps_ahead_needs_a_window() {
        let oracle = serving(0, T0);
        assert_eq!(oracle.next(T0 + 2 * WINDOW_MS, 1), Err(WindowEnded));
        let end = oracle.wanted(T0 + 2 * WINDOW_MS).unwrap();
        oracle.reserved(end);
        assert!(oracle.next(T0 + 2 * WINDOW_MS, 1).is_ok());
    }

    #[test]
    fn a_new_leader_starts_above_all_that_was_reserved() {
        let old = serving(0, T0);
        let newest = old.next(T0 + WINDOW_MS - 1, 1000).unwrap() + 999;
        let reserved = timestamp::from_ms(T0 + WINDOW_MS);
        let new = serving(reserved, T0);
        assert!(new.next(T0, 1).unwrap() > newest);
    }

    #[test]
    fn the_next_window_is_wanted_halfway() {
        let oracle = serving(0, T0);
        assert_eq!(oracle.wanted(T0 + WINDOW_MS / 2 - 1), None);
        assert!(oracle.wanted(T0 + WINDOW_MS / 2).is_some());
    }

    #[test]
    fn a_request_never_crosses_the_end_of_its_window() {
        let oracle = serving(0, T0);
        let almost = T0 + WINDOW_MS - 1;
        let room = 1u64 << timestamp::LOGICAL_BITS;
        let mut handed = 0;
        while oracle.next(almost, COUNT_MAX).is_ok() {
            handed += u64::from(COUNT_MAX);
        }
        assert_eq!(handed, room);
    }
}
