//! The ranges known, in the order of their keys.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use proto::v1::RangeDescriptor;

use super::peer::Peer;
use super::route::{Candidate, Route};

/// The ranges known.
///
/// Invariants: sorted by start; no two overlap; of two descriptors that overlapped, the one with the larger span epoch
/// was kept.
#[derive(Default)]
pub(super) struct Table {
    routes: Vec<Arc<Route>>,
}

impl Table {
    /// The range that holds `key`.
    pub(super) fn holding(&self, key: &[u8]) -> Option<Arc<Route>> {
        let after = self.routes.partition_point(|route| route.start() <= key);
        let route = self.routes.get(after.checked_sub(1)?)?;
        route.holds(key).then(|| route.clone())
    }

    /// The range that holds the greatest keys below `end`.
    pub(super) fn below(&self, end: &[u8]) -> Option<Arc<Route>> {
        let after = self.routes.partition_point(|route| route.start() < end);
        let route = self.routes.get(after.checked_sub(1)?)?;
        (route.end().is_empty() || end <= route.end()).then(|| route.clone())
    }

    pub(super) fn by_id(&self, range_id: u64) -> Option<Arc<Route>> {
        self.routes.iter().find(|route| route.range_id() == range_id).cloned()
    }

    /// The addresses of all replicas, each once.
    pub(super) fn addresses(&self) -> Vec<String> {
        let mut addresses: Vec<String> = Vec::new();
        for candidate in self.routes.iter().flat_map(|route| route.candidates()) {
            if !addresses.iter().any(|known| **known == *candidate.peer.address) {
                addresses.push(candidate.peer.address.to_string());
            }
        }
        addresses
    }

    /// This table with what `descriptors` say taken in. Ranges whose descriptor did not change keep what is known of
    /// their leader.
    pub(super) fn with(&self, descriptors: &[RangeDescriptor], peer: impl Fn(&str) -> Arc<Peer>) -> Self {
        let mut newest: BTreeMap<u64, Arc<Route>> =
            self.routes.iter().map(|route| (route.range_id(), route.clone())).collect();
        for descriptor in descriptors {
            let known = newest.get(&descriptor.range_id);
            let descriptor = &completed(descriptor, known.map(|known| known.descriptor()));
            if known.is_none_or(|known| is_newer(descriptor, known.descriptor())) {
                let route = route(descriptor, known, &peer);
                newest.insert(descriptor.range_id, Arc::new(route));
            }
        }
        let mut by_epoch: Vec<Arc<Route>> = newest.into_values().collect();
        by_epoch.sort_by_key(|route| std::cmp::Reverse(route.descriptor().span_epoch));
        let mut routes: Vec<Arc<Route>> = Vec::new();
        for route in by_epoch {
            if !routes.iter().any(|kept| overlap(kept, &route)) {
                routes.push(route);
            }
        }
        routes.sort_by(|a, b| a.start().cmp(b.start()));
        Self { routes }
    }
}

/// A node that has just started does not know where all the others are: what is known outlives its answer.
fn completed<'a>(new: &'a RangeDescriptor, known: Option<&RangeDescriptor>) -> Cow<'a, RangeDescriptor> {
    let mut new = Cow::Borrowed(new);
    let Some(known) = known.filter(|_| new.replicas.iter().any(|replica| replica.address.is_empty())) else {
        return new;
    };
    for replica in new.to_mut().replicas.iter_mut().filter(|replica| replica.address.is_empty()) {
        if let Some(same) = known.replicas.iter().find(|known| known.node_id == replica.node_id) {
            replica.address = same.address.clone();
        }
    }
    new
}

fn is_newer(new: &RangeDescriptor, known: &RangeDescriptor) -> bool {
    let epochs = |descriptor: &RangeDescriptor| (descriptor.span_epoch, descriptor.config_epoch);
    epochs(new) > epochs(known)
        || (epochs(new) == epochs(known) && (new.replicas != known.replicas || new.span != known.span))
}

fn overlap(a: &Route, b: &Route) -> bool {
    let below = |start: &[u8], end: &[u8]| end.is_empty() || start < end;
    below(a.start(), b.end()) && below(b.start(), a.end())
}

fn route(
    descriptor: &RangeDescriptor,
    known: Option<&Arc<Route>>,
    peer: &impl Fn(&str) -> Arc<Peer>,
) -> Route {
    let candidates: Vec<Candidate> = descriptor
        .replicas
        .iter()
        .filter(|replica| !replica.learner && !replica.address.is_empty())
        .map(|replica| Candidate { node_id: replica.node_id, peer: peer(&replica.address) })
        .collect();
    let asked = known.and_then(|known| known.lead()).map(|(_, candidate)| candidate.peer.address.clone());
    let place = candidates
        .iter()
        .position(|candidate| {
            descriptor.leader_node_id != 0 && candidate.node_id == descriptor.leader_node_id
        })
        .or_else(|| candidates.iter().position(|candidate| Some(&candidate.peer.address) == asked.as_ref()));
    Route::new(descriptor.clone(), candidates, place.unwrap_or(0))
}
