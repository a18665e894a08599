//! Attempts at one thing: until when, how far apart, and what is known of those that failed.

use std::time::Duration;

use env::clock::{self, Instant};
use env::random;
use proto::Status;

use super::call::Failure;
use crate::{Error, Result};

/// The first pause between attempts.
const PAUSE_MIN: Duration = Duration::from_millis(2);

/// The longest pause between attempts.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// So many hints are followed at once; then nodes send us in circles.
const HINTS_MAX: u32 = 3;

/// Attempts at one thing.
pub(super) struct Attempts {
    /// When they end.
    pub(super) deadline: Instant,
    timeout: Duration,
    /// How many were made.
    pub(super) made: u32,
    hints: u32,
    silences: u32,
    pause: Duration,
    /// One of them may have been carried out though nobody said so.
    pub(super) ambiguous: bool,
    last: Option<Status>,
    /// What was said last, for a person.
    pub(super) message: String,
}

impl Attempts {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            deadline: clock::now() + timeout,
            timeout,
            made: 0,
            hints: 0,
            silences: 0,
            pause: PAUSE_MIN,
            ambiguous: false,
            last: None,
            message: String::new(),
        }
    }

    pub(super) fn failed(&mut self, status: Status) {
        self.message = status.message().to_owned();
        self.last = Some(status);
    }

    /// What is left until the deadline.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(clock::now())
    }

    /// The range can be reached, but has to let us wait on.
    pub(super) fn waited(&mut self) {
        self.deadline = clock::now() + self.timeout;
        self.pause = PAUSE_MIN;
        self.hints = 0;
    }

    /// Whom we asked has shown no sign of life.
    pub(super) fn was_silent(&mut self) {
        self.silences += 1;
    }

    /// So many times as long as at first is waited for signs of life: nodes that are merely overloaded must not get the
    /// same requests again and again.
    pub(super) fn patience(&self) -> u32 {
        1 << self.silences.min(3)
    }

    /// A node has named another one. Whether to go there at once.
    pub(super) fn follows_hint(&mut self) -> bool {
        self.hints += 1;
        self.hints <= HINTS_MAX
    }

    /// Lets a while pass; the error to give up with once the deadline has passed.
    pub(super) async fn pause(&mut self, least: Duration) -> Result<()> {
        let left = self.left();
        if left.is_zero() {
            return Err(self.give_up());
        }
        let spread = self.pause.as_micros() as u64;
        let pause = least.max(Duration::from_micros(spread / 2 + random::below(spread / 2 + 1)));
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        clock::sleep(pause.min(left)).await;
        Ok(())
    }

    /// The request must find its way anew. Not one whose fate is unknown: as a new one it could be carried out twice.
    pub(super) fn rerouted(&mut self) -> Failure {
        if self.ambiguous { self.give_up().into() } else { Failure::Rerouted }
    }

    pub(super) fn give_up(&mut self) -> Error {
        if self.ambiguous {
            return Error::Ambiguous { message: std::mem::take(&mut self.message) };
        }
        Error::Unavailable {
            message: std::mem::take(&mut self.message),
            source: self.last.take().map(Box::new),
        }
    }
}
