//! One door each for clock, randomness, tasks and disk, real and simulated; and what all crates say of [traces](trace).
//!
//! Product code asks these modules and never the standard library or tokio (clippy's disallowed methods hold that).
//! In production they pass straight through. Inside a [`simulation`] (one thread, paused tokio clock, one seed)
//! the same calls are answered deterministically, so that a failing run replays exactly.

pub mod canary;
pub mod clock;
pub mod disk;
pub mod pool;
pub mod process;
pub mod random;
mod scope;
pub mod simulation;
pub mod task;
pub mod trace;
pub mod watch;
