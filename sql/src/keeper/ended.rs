//! Sessions that are gone, and what they kept is not yet given back: whose turn it is.
//!
//! The first to go comes first. Whoever was cut off while its commit was under way is looked at once more after a while: the
//! commit may come through after what there was has been given back.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use env::clock::Instant;

/// What so many sessions have kept is given back at once.
const AT_ONCE: usize = 64;

/// A commit that has not come through after so long never will.
const LATE_MAX: Duration = Duration::from_secs(60);

/// A session that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gone {
    /// The tenure under which it kept something.
    pub(super) tenure: Bytes,
    /// Its number.
    pub(super) session: u64,
    /// Whether the outcome of a commit was not known to it.
    pub(super) commits: bool,
}

/// All of them.
#[derive(Default)]
pub(super) struct Ended {
    due: VecDeque<Gone>,
    later: VecDeque<(Instant, Gone)>,
}

impl Ended {
    /// One has gone.
    pub(super) fn push(&mut self, gone: Gone) {
        self.due.push_back(gone);
    }

    /// Whose turn it is at this time.
    pub(super) fn turn(&mut self, now: Instant) -> Vec<Gone> {
        while self.later.front().is_some_and(|(due, _)| *due <= now) {
            self.due.extend(self.later.pop_front().map(|(_, gone)| gone));
        }
        self.due.iter().take(AT_ONCE).cloned().collect()
    }

    /// When the next turn is, if nobody else goes before.
    pub(super) fn next(&self) -> Option<Instant> {
        self.later.front().map(|(due, _)| *due)
    }

    /// What so many of the last turn have kept is given back.
    pub(super) fn done(&mut self, count: usize, now: Instant) {
        let count = count.min(self.due.len());
        for gone in self.due.drain(..count).filter(|gone| gone.commits) {
            self.later.push_back((now + LATE_MAX, Gone { commits: false, ..gone }));
        }
    }
}

#[cfg(test)]
mod tests {
    use env::clock;

    use super::*;

    #[test]
    fn who_was_cut_off_has_two_turns_and_the_others_one() {
        let gone = |session, commits| Gone { tenure: Bytes::from_static(b"here"), session, commits };
        let now = clock::now();
        let mut ended = Ended::default();
        assert_eq!((ended.turn(now), ended.next()), (Vec::new(), None));
        ended.push(gone(1, true));
        ended.push(gone(2, false));
        let both = [gone(1, true), gone(2, false)];
        assert_eq!(ended.turn(now), both);
        // It could not be given back: it is tried again.
        assert_eq!(ended.turn(now), both);
        ended.push(gone(3, false));
        ended.done(2, now);
        assert_eq!((ended.turn(now), ended.next()), (vec![gone(3, false)], Some(now + LATE_MAX)));
        ended.done(1, now);
        assert!(ended.turn(now).is_empty());
        assert_eq!((ended.turn(now + LATE_MAX), ended.next()), (vec![gone(1, false)], None));
        ended.done(1, now + LATE_MAX);
        assert!(ended.turn(now + LATE_MAX * 2).is_empty());
    }

    #[test]
    fn a_turn_is_bounded() {
        let mut ended = Ended::default();
        for session in 0..100 {
            ended.push(Gone { tenure: Bytes::new(), session, commits: false });
        }
        let now = clock::now();
        let turn = ended.turn(now);
        assert_eq!((turn.len(), turn.first().map(|gone| gone.session)), (AT_ONCE, Some(0)));
        ended.done(10, now);
        assert_eq!(ended.turn(now).first().map(|gone| gone.session), Some(10));
    }
}
