//! What the workers of a gateway are told while a run lasts: not to write for a moment, and that it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use env::{clock, random};

/// How often a worker that is to be quiet looks whether it still is.
const QUIET: Duration = Duration::from_millis(5);

/// The signals. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Signals(Arc<Raised>);

#[derive(Default)]
struct Raised {
    stop: AtomicBool,
    quiet: AtomicBool,
}

impl Signals {
    /// Every worker stops after what it is doing.
    pub(super) fn stop(&self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }

    /// From now on nobody begins to write, or everybody may again.
    pub(super) fn set_quiet(&self, quiet: bool) {
        self.0.quiet.store(quiet, Ordering::Relaxed);
    }

    /// Lets a worker pause before it reads; false if it is to stop.
    pub(super) async fn may_read(&self, pause_ms_max: u64) -> bool {
        if self.stopped() {
            return false;
        }
        clock::sleep(Duration::from_millis(random::below(pause_ms_max))).await;
        true
    }

    /// Lets a worker pause before it writes; false if it is to stop.
    pub(super) async fn may_write(&self, pause_ms_max: u64) -> bool {
        let goes_on = self.may_read(pause_ms_max).await;
        while goes_on && self.0.quiet.load(Ordering::Relaxed) && !self.stopped() {
            clock::sleep(QUIET).await;
        }
        goes_on
    }

    fn stopped(&self) -> bool {
        self.0.stop.load(Ordering::Relaxed)
    }
}
