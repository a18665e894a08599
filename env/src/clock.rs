//! The clock's door: monotonic instants, wall time, sleeping and deadlines.
//!
//! Everything runs on tokio's clock, which a simulation pauses and advances by itself.
#![expect(clippy::disallowed_methods, reason = "this module is the door")]

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use tokio::time::Instant;
pub use tokio::time::error::Elapsed;

/// The monotonic clock.
pub fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since the Unix epoch. May jump, back as well as ahead: an operator can set the clock, and in a simulation
/// each machine has one of its own.
pub fn wall_ms() -> u64 {
    match simulated_wall_ms() {
        Some(ms) => ms,
        None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64),
    }
}

/// Microseconds since the Unix epoch.
pub fn wall_us() -> u64 {
    match simulated_wall_ms() {
        Some(ms) => ms * 1000,
        None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64),
    }
}

/// The wall clock of the running task's machine, in a simulation.
fn simulated_wall_ms() -> Option<u64> {
    let ms = crate::simulation::wall_ms()?;
    Some(ms.saturating_add_signed(crate::task::Scope::current_clock_ahead_ms()))
}

/// Completes after `duration`.
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Completes at `deadline`.
pub async fn sleep_until(deadline: Instant) {
    tokio::time::sleep_until(deadline).await;
}

/// The future's output, or [`Elapsed`] once `duration` has passed; the future is dropped then.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    tokio::time::timeout(duration, future).await
}

/// Ticks every `period`, the first time at once; a tick that was missed is not made up for.
pub fn interval(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}
