//! A bound on what background work writes per second: a bucket that fills with time and that writing empties.

use std::time::Duration;

use env::clock::{self, Instant};

use crate::sync::{Condvar, Mutex};

/// The bucket holds what may be written in this time, so that a pause is not made up for at once.
const BURST: Duration = Duration::from_millis(100);

/// Slows down compactions to a rate. Flushes count, too, but do not wait: writers would wait for them.
#[derive(Debug)]
pub(crate) struct Pace {
    /// None: as fast as it goes.
    bytes_per_second: Option<u64>,
    state: Mutex<State>,
    stopped: Condvar,
}

#[derive(Debug)]
struct State {
    bucket: Bucket,
    stopped: bool,
}

/// # Invariants
/// - `bytes` is at most what fits; below zero it is owed.
#[derive(Debug)]
struct Bucket {
    bytes: f64,
    filled: Instant,
}

impl Bucket {
    /// Takes so many bytes at `now`, and returns how long to wait before the next are taken.
    fn take(&mut self, bytes: u64, now: Instant, bytes_per_second: u64) -> Duration {
        let rate = bytes_per_second.max(1) as f64;
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        self.bytes = (self.bytes + since * rate).min(BURST.as_secs_f64() * rate) - bytes as f64;
        Duration::from_secs_f64((-self.bytes / rate).max(0.0))
    }
}

impl Pace {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        let bucket = Bucket { bytes: 0.0, filled: clock::now() };
        Self {
            bytes_per_second,
            state: Mutex::new(State { bucket, stopped: false }),
            stopped: Condvar::new(),
        }
    }

    /// Counts bytes that could not wait.
    pub(crate) fn spend(&self, bytes: u64) {
        if let Some(rate) = self.bytes_per_second {
            self.state.lock().bucket.take(bytes, clock::now(), rate);
        }
    }

    /// Counts bytes and waits until they are paid for.
    pub(crate) fn wait(&self, bytes: u64) {
        let Some(rate) = self.bytes_per_second else { return };
        let mut state = self.state.lock();
        let until = clock::now() + state.bucket.take(bytes, clock::now(), rate);
        while !state.stopped {
            let left = until.saturating_duration_since(clock::now());
            if left.is_zero() {
                return;
            }
            self.stopped.wait_for(&mut state, left);
        }
    }

    /// Nobody waits any more.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.stopped.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_rate_and_no_more_than_it_holds() {
        let begun = clock::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let mut bucket = Bucket { bytes: 0.0, filled: begun };
        let mut take = |bytes, ms| bucket.take(bytes, at(ms), 1000).as_millis();
        assert_eq!(take(100, 0), 100);
        assert_eq!(take(100, 100), 100);
        assert_eq!(take(50, 100), 150);
        // It was owed 150 and got 200 since.
        assert_eq!(take(50, 300), 0);
        // A long pause fills it, to the brim of a tenth of a second.
        assert_eq!(take(0, 90_000), 0);
        assert_eq!(take(300, 90_000), 200);
    }

    #[test]
    fn without_a_rate_and_after_a_stop_nobody_waits() {
        Pace::new(None).wait(u64::MAX);
        let pace = Pace::new(Some(1));
        pace.stop();
        pace.wait(1 << 40);
    }
}
