//! One range as a router knows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proto::NodeService;
use proto::v1::{NotLeader, RangeDescriptor};

/// A node that may lead a range.
#[derive(Clone)]
pub(crate) struct Candidate {
    /// 0 = unknown.
    pub(crate) node_id: u64,
    pub(crate) address: Arc<str>,
    pub(crate) handle: Arc<dyn NodeService>,
}

/// A range: its descriptor, its replicas, and which of them is asked next.
pub(crate) struct Route {
    descriptor: RangeDescriptor,
    candidates: Vec<Candidate>,
    current: AtomicUsize,
}

impl Route {
    pub(super) fn new(descriptor: RangeDescriptor, candidates: Vec<Candidate>, current: usize) -> Self {
        Self { descriptor, candidates, current: AtomicUsize::new(current) }
    }

    pub(crate) fn descriptor(&self) -> &RangeDescriptor {
        &self.descriptor
    }

    pub(crate) fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    pub(crate) fn range_id(&self) -> u64 {
        self.descriptor.range_id
    }

    /// Whether the range holds `key`.
    pub(crate) fn holds(&self, key: &[u8]) -> bool {
        key >= self.start() && (self.end().is_empty() || key < self.end())
    }

    /// Whether the range holds every key from `start` to `end`.
    pub(crate) fn holds_span(&self, start: &[u8], end: &[u8]) -> bool {
        start >= self.start() && (self.end().is_empty() || end <= self.end())
    }

    /// The least key.
    pub(crate) fn start(&self) -> &[u8] {
        self.descriptor.span.as_ref().map_or(&[], |span| &span.start)
    }

    /// Above the greatest key; empty: there is none above.
    pub(crate) fn end(&self) -> &[u8] {
        self.descriptor.span.as_ref().map_or(&[], |span| &span.end)
    }

    /// The candidate to ask, with its place among them.
    pub(crate) fn leader(&self) -> Option<(usize, &Candidate)> {
        let place = self.current.load(Ordering::Relaxed) % self.candidates.len().max(1);
        self.candidates.get(place).map(|candidate| (place, candidate))
    }

    /// The candidate at `place` was of no use: the next one is asked, unless somebody has moved on already.
    pub(crate) fn move_on(&self, place: usize) {
        let next = (place + 1) % self.candidates.len().max(1);
        // Losing the race means that another caller has moved on.
        let _ = self.current.compare_exchange(place, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// A node names the leader. False: it is none of the candidates.
    pub(crate) fn take_hint(&self, hint: &NotLeader) -> bool {
        let named = self.candidates.iter().position(|candidate| {
            (hint.leader_node_id != 0 && candidate.node_id == hint.leader_node_id)
                || *candidate.address == *hint.leader_address
        });
        if let Some(place) = named {
            self.current.store(place, Ordering::Relaxed);
        }
        named.is_some()
    }
}
