//! What a store knows of a replica's fitness to lead; what follows from it is in `step_down`.

use std::collections::VecDeque;
use std::time::Duration;

use env::clock::Instant;

/// So many moments are remembered of a backlog.
const MOMENTS_MAX: usize = 16;

/// For so long after the disk failed to give something others had better lead.
const UNREAD: Duration = Duration::from_secs(30);

/// A disk that fails again after this time has no mishap.
const UNREAD_MAX: Duration = Duration::from_secs(600);

/// After this time without a failure of the disk those before are forgotten.
const UNREAD_FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// What was begun and is not done, by a number that grows: when.
#[derive(Debug, Default)]
pub(super) struct Backlog(VecDeque<(u64, Instant)>);

impl Backlog {
    /// Notes how much is begun and done `now`; since when the oldest that is not done waits.
    pub(super) fn observe(&mut self, now: Instant, begun: u64, done: u64) -> Option<Instant> {
        while self.0.front().is_some_and(|(begun, _)| *begun <= done) {
            self.0.pop_front();
        }
        let known = self.0.back().is_some_and(|(known, _)| *known >= begun);
        if begun > done && !known && self.0.len() < MOMENTS_MAX {
            self.0.push_back((begun, now));
        }
        self.0.front().map(|(_, since)| *since)
    }
}

/// What a store knows of a replica's fitness.
#[derive(Debug)]
pub(super) struct Fitness {
    applying: Backlog,
    /// What was applied when it was last looked at.
    applied: u64,
    /// The end of the log that it was started with, which is applied again.
    logged: u64,
    /// When the disk first failed to give something, and when last.
    unread: Option<(Instant, Instant)>,
    /// Data that it cannot read.
    pub(super) damage: Option<String>,
    /// Why it had better not take over: what makes it unfit, from half the time on. So where all are stuck together none
    /// is taken for fit by the first who finds that it is not.
    pub(super) doubt: Option<&'static str>,
    /// Why it is unfit now.
    pub(super) unfit: Option<&'static str>,
    pub(super) handing_over: bool,
    /// Nobody else could lead: until then it does what it can.
    pub(super) needed_until: Option<Instant>,
}

impl Fitness {
    /// That of a replica that is started with a log that ends at `logged`.
    pub(super) fn new(logged: u64) -> Self {
        Self {
            applying: Backlog::default(),
            applied: 0,
            logged,
            unread: None,
            damage: None,
            doubt: None,
            unfit: None,
            handing_over: false,
            needed_until: None,
        }
    }

    /// Since when what is committed waits to be applied. While the log of before the start is applied again, each step
    /// counts; afterwards the oldest entry.
    pub(super) fn observe(&mut self, now: Instant, committed: u64, applied: u64) -> Option<Instant> {
        if applied > self.applied && applied < self.logged {
            self.applying = Backlog::default();
        }
        self.applied = applied;
        self.applying.observe(now, committed, applied)
    }

    /// Notes that the disk failed to give something; whether it has failed for so long that it is no mishap.
    pub(super) fn note_unread(&mut self, now: Instant) -> bool {
        let known = self.unread.filter(|(_, last)| now.duration_since(*last) < UNREAD_FORGOTTEN);
        let first = known.map_or(now, |(first, _)| first);
        self.unread = Some((first, now));
        now.duration_since(first) >= UNREAD_MAX
    }

    /// Whether the disk has failed to give something not long ago.
    pub(super) fn has_unread(&self, now: Instant) -> bool {
        self.unread.is_some_and(|(_, last)| now.duration_since(last) < UNREAD)
    }

    /// Whether it leads because nobody else could.
    pub(super) fn is_needed(&self, now: Instant) -> bool {
        self.needed_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_fails_for_a_while_is_a_mishap_and_one_that_fails_again_and_again_is_not() {
        let start = env::clock::now();
        let at = |s| start + Duration::from_secs(s);
        let mut fitness = Fitness::new(0);
        assert!(!fitness.has_unread(at(0)));
        assert!(!fitness.note_unread(at(0)));
        assert!(!fitness.note_unread(at(100)));
        assert!(fitness.has_unread(at(101)));
        assert!(!fitness.has_unread(at(131)));
        assert!(!fitness.note_unread(at(100_000)));
        assert!(fitness.note_unread(at(100_600)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_applied_again_after_a_start_may_take_long_while_it_goes_on() {
        let (mut fitness, start) = (Fitness::new(100), env::clock::now());
        let at = |s| start + Duration::from_secs(s);
        assert_eq!(fitness.observe(at(0), 120, 0), Some(at(0)));
        assert_eq!(fitness.observe(at(1), 120, 40), Some(at(1)));
        assert_eq!(fitness.observe(at(2), 120, 80), Some(at(2)));
        assert_eq!(fitness.observe(at(5), 120, 80), Some(at(2)), "it does not go on");
        assert_eq!(fitness.observe(at(6), 120, 99), Some(at(6)));
        assert_eq!(fitness.observe(at(7), 120, 110), Some(at(6)));
        assert_eq!(fitness.observe(at(8), 120, 119), Some(at(6)), "the oldest waits");
        assert_eq!(fitness.observe(at(9), 120, 120), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_backlog_tells_since_when_its_oldest_waits() {
        let (mut backlog, start) = (Backlog::default(), env::clock::now());
        let at = |s| start + Duration::from_secs(s);
        assert_eq!(backlog.observe(at(0), 5, 5), None);
        assert_eq!(backlog.observe(at(1), 7, 5), Some(at(1)));
        assert_eq!(backlog.observe(at(2), 9, 6), Some(at(1)));
        assert_eq!(backlog.observe(at(3), 9, 7), Some(at(2)));
        assert_eq!(backlog.observe(at(4), 9, 9), None);
        for n in 0..100 {
            backlog.observe(at(5 + n), 10 + n, 9);
        }
        assert_eq!(backlog.observe(at(200), 200, 9), Some(at(5)));
        assert!(backlog.0.len() <= MOMENTS_MAX);
    }
}
