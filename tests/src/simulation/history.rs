//! The history of the lists: what each transaction saw and appended, as `cycles` judges it in the end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use env::clock::{self, Instant};
use parking_lot::Mutex;

use super::cycles::{self, Event, Fate, Operation};
use super::report::{Failure, Tally};

/// See the module.
pub(super) struct History {
    tally: Tally,
    elements: AtomicU64,
    began: Instant,
    events: Mutex<Vec<Event>>,
}

impl History {
    /// Nothing has happened yet.
    pub(super) fn new(tally: Tally) -> Self {
        Self { tally, elements: AtomicU64::new(1), began: clock::now(), events: Mutex::default() }
    }

    /// An element that nobody has appended yet.
    pub(super) fn element(&self) -> u64 {
        self.elements.fetch_add(1, Ordering::Relaxed)
    }

    /// The moment, in microseconds.
    pub(super) fn now(&self) -> u64 {
        clock::now().duration_since(self.began).as_micros() as u64
    }

    /// A transaction that was begun at `invoked` has ended now.
    pub(super) fn record(&self, invoked: u64, operations: Vec<Operation>, failure: Option<Failure>) {
        let fate = match &failure {
            None => Fate::Committed(self.now()),
            Some(Failure::Ambiguous) => Fate::Unknown,
            Some(_) => Fate::Failed,
        };
        let wrote = operations.iter().any(|operation| operation.appended.is_some());
        self.events.lock().push(Event { invoked, fate, operations });
        match failure {
            None if wrote => self.tally.committed(),
            None => self.tally.read(),
            Some(failure) => self.tally.failed(failure),
        }
    }

    /// Something was looked at as it was.
    pub(super) fn looked(&self, failure: Option<Failure>) {
        match failure {
            None => self.tally.read(),
            Some(failure) => self.tally.failed(failure),
        }
    }

    /// Something that must not happen.
    pub(super) fn violation(&self, violation: String) {
        self.tally.violation(violation);
    }

    /// What is wrong with it, given the lists as they are in the end.
    pub(super) fn judge(&self, finals: &BTreeMap<u32, Vec<u64>>) -> Vec<String> {
        cycles::judge(&self.events.lock(), finals)
    }
}
