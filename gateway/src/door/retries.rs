//! What met a conflict with other transactions is run again, a few times.

use std::time::Duration;

use sql::Error;

/// How often a request is run again, and the pause before that.
const RETRIES_MAX: u32 = 10;
const PAUSE: Duration = Duration::from_millis(2);

/// How often a request has been run again.
#[derive(Debug, Default)]
pub(crate) struct Retries(u32);

impl Retries {
    /// Whether the same may succeed as a new transaction.
    pub(crate) fn help(error: &Error) -> bool {
        matches!(error.sqlstate, "40001" | "40P01")
    }

    /// Whether it may be run once more.
    pub(crate) fn are_left(&self) -> bool {
        self.0 < RETRIES_MAX
    }

    /// The pause before it is.
    pub(crate) async fn pause(&mut self) {
        self.0 += 1;
        let spread = Duration::from_micros(env::random::below(1000));
        env::clock::sleep(PAUSE.saturating_mul(self.0).saturating_add(spread)).await;
    }
}
