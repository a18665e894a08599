//! Makes the engine's room come back: flushes, so that what the safe points let go may go, and keeps the raft log short
//! while the disk is full.
//!
//! The engine drops history only once the record of the safe point is flushed. A store that is written to much flushes by
//! itself; one that is not is flushed here, seldom.

use std::sync::Arc;
use std::time::Duration;

use super::Member;

/// How often it is looked whether there is something to do.
const TICK: Duration = Duration::from_secs(1);

/// A safe point that has moved waits at most so long for its record to be flushed: so many of its steps, within these.
const STEPS: u32 = 8;
const WAIT_MIN: Duration = Duration::from_secs(10);
const WAIT_MAX: Duration = Duration::from_secs(600);

/// While the disk is full, what is in memory waits so long: the raft log is freed behind it.
const WAIT_FULL: Duration = Duration::from_secs(3);

impl Member {
    /// Runs as long as the node does.
    pub(super) async fn collect(self: Arc<Self>) {
        let mut flushed = env::clock::now();
        loop {
            env::clock::sleep(TICK).await;
            let full = self.context.vitals.is_full();
            self.host.keep_log_short(full);
            let step_ms = self.horizon.lock().as_ref().map_or(0, |(_, horizon)| horizon.step_ms);
            let step = Duration::from_millis(step_ms);
            let wait = if full { WAIT_FULL } else { (step * STEPS).clamp(WAIT_MIN, WAIT_MAX) };
            let due = full || self.machine.waits_for_flush();
            if !due || flushed.elapsed() < wait {
                continue;
            }
            let db = self.context.db.clone();
            match env::task::blocking(move || db.flush()).await {
                Ok(Ok(())) => flushed = env::clock::now(),
                // The engine is poisoned, which the store's watch tells.
                Ok(Err(error)) => tracing::debug!(%error, "could not flush"),
                Err(_) => return,
            }
        }
    }
}
