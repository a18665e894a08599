//! Long work gives way: after about a millisecond others on the same thread have their turn.

use std::time::Duration;

use env::clock::{self, Instant};

/// How long work goes on without a break.
const WORK: Duration = Duration::from_millis(1);

/// After so many steps the clock is looked at.
const STEPS: u32 = 16;

/// The pace of one piece of work.
pub(crate) struct Pace {
    since: Instant,
    steps: u32,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { since: clock::now(), steps: 0 }
    }

    /// One more step of work, a read of one key for example.
    #[inline]
    pub(crate) async fn step(&mut self) {
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS) && clock::now().duration_since(self.since) >= WORK {
            tokio::task::yield_now().await;
            self.since = clock::now();
        }
    }
}
