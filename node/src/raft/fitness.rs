//! What a store knows of a replica's fitness to lead; what follows from it is in `step_down`.

use std::collections::VecDeque;

use env::clock::Instant;

/// So many moments are remembered of a backlog.
const MOMENTS_MAX: usize = 16;

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
#[derive(Debug, Default)]
pub(super) struct Fitness {
    pub(super) applying: Backlog,
    /// Data that it cannot read.
    pub(super) damage: Option<String>,
    /// Why it is unfit now.
    pub(super) unfit: Option<&'static str>,
    pub(super) handing_over: bool,
    /// Nobody else could lead: until then it does what it can.
    pub(super) needed_until: Option<Instant>,
    /// Since when nobody is known to lead.
    pub(super) alone: Option<Instant>,
}

impl Fitness {
    /// Whether it leads because nobody else could.
    pub(super) fn is_needed(&self, now: Instant) -> bool {
        self.needed_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
