//! The simulation's context: one seed and one clock for all that runs on this thread.
//!
//! [`enter`] installs it; the doors ([`crate::clock`], [`crate::random`], [`crate::task`]) look here first. The
//! caller runs everything on one current-thread tokio runtime with a paused clock.

use std::cell::RefCell;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::Instant;

/// Wall time at which every simulation starts: 2024-01-01T00:00:00Z.
const WALL_START_MS: u64 = 1_704_067_200_000;

struct Context {
    rng: StdRng,
    start: Instant,
}

thread_local! {
    static CONTEXT: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// Leaves the simulation when dropped.
#[derive(Debug)]
pub struct Guard(());

impl Drop for Guard {
    fn drop(&mut self) {
        CONTEXT.with(|c| *c.borrow_mut() = None);
    }
}

/// Makes this thread a simulation with `seed`. Must be called inside the simulation's runtime.
pub fn enter(seed: u64) -> Guard {
    CONTEXT.with(|c| {
        *c.borrow_mut() = Some(Context { rng: StdRng::seed_from_u64(seed), start: Instant::now() })
    });
    Guard(())
}

/// Whether this thread is a simulation.
pub fn is_active() -> bool {
    CONTEXT.with(|c| c.borrow().is_some())
}

pub(crate) fn with_rng<T>(f: impl FnOnce(&mut StdRng) -> T) -> Option<T> {
    CONTEXT.with(|c| c.borrow_mut().as_mut().map(|context| f(&mut context.rng)))
}

pub(crate) fn wall_ms() -> Option<u64> {
    CONTEXT.with(|c| {
        c.borrow()
            .as_ref()
            .map(|context| WALL_START_MS + Instant::now().duration_since(context.start).as_millis() as u64)
    })
}
