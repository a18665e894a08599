//! Who hears what became of a write: a function, called once, on whatever thread knows it first.
//!
//! So what a proposal leaves behind is settled without a task that waits for it: at the end of apply on a thread that may
//! block, or where it is refused on one of replication's own, which nothing here may hold up.
//!
//! # Invariants
//!
//! - It is called exactly once: with the outcome, or with nothing if the group ends before it knows one.

use openraft::raft::responder::Responder;
use openraft::{OptionalSend, RaftTypeConfig};

/// What is to be done with an outcome.
type Settle<T> = Box<dyn FnOnce(Option<T>) + Send>;

/// See the module.
pub(super) struct Settler<T>(Option<Settle<T>>);

impl<T> Settler<T> {
    /// Calls `settle`.
    pub(super) fn new(settle: impl FnOnce(Option<T>) + Send + 'static) -> Self {
        Self(Some(Box::new(settle)))
    }
}

impl<C: RaftTypeConfig, T: OptionalSend + 'static> Responder<C, T> for Settler<T> {
    fn on_complete(mut self, outcome: T) {
        if let Some(settle) = self.0.take() {
            settle(Some(outcome));
        }
    }
}

impl<T> Drop for Settler<T> {
    fn drop(&mut self) {
        if let Some(settle) = self.0.take() {
            settle(None);
        }
    }
}
