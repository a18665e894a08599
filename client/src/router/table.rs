//! The ranges known, in the order of their keys. What is learned costs what is new, however many ranges are known.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use proto::v1::RangeDescriptor;

use super::peer::Peer;
use super::route::{Candidate, Route};

/// The ranges known.
///
/// Invariants: no two overlap; of two descriptors that overlapped, the one with the larger span epoch was kept.
#[derive(Default)]
pub(super) struct Table {
    /// By the least key.
    routes: BTreeMap<Bytes, Arc<Route>>,
    /// By range, its least key.
    starts: BTreeMap<u64, Bytes>,
}

impl Table {
    /// The range that holds `key`.
    pub(super) fn holding(&self, key: &[u8]) -> Option<Arc<Route>> {
        let route = self.before(Bound::Included(key)).next()?;
        route.holds(key).then(|| route.clone())
    }

    /// The range that holds the greatest keys below `end`.
    pub(super) fn below(&self, end: &[u8]) -> Option<Arc<Route>> {
        let route = self.before(Bound::Excluded(end)).next()?;
        (route.end().is_empty() || end <= route.end()).then(|| route.clone())
    }

    pub(super) fn by_id(&self, range_id: u64) -> Option<Arc<Route>> {
        self.known(range_id).cloned()
    }

    /// The addresses of all replicas, each once.
    pub(super) fn addresses(&self) -> Vec<String> {
        let candidates = self.routes.values().flat_map(|route| route.candidates());
        let addresses: BTreeSet<&str> = candidates.map(|candidate| &*candidate.peer.address).collect();
        addresses.into_iter().map(str::to_owned).collect()
    }

    /// Takes in what `descriptors` say. Ranges whose descriptor did not change keep what is known of their leader.
    pub(super) fn take_in(&mut self, descriptors: &[RangeDescriptor], peer: impl Fn(&str) -> Arc<Peer>) {
        let mut newest: BTreeMap<u64, Arc<Route>> = BTreeMap::new();
        for descriptor in descriptors {
            let range_id = descriptor.range_id;
            let known = newest.get(&range_id).or_else(|| self.known(range_id));
            let descriptor = &completed(descriptor, known.map(|known| known.descriptor()));
            if known.is_none_or(|known| is_newer(descriptor, known.descriptor())) {
                let route = route(descriptor, known, &peer);
                newest.insert(range_id, Arc::new(route));
            }
        }
        newest.keys().for_each(|range_id| self.remove(*range_id));
        let mut newest: Vec<Arc<Route>> = newest.into_values().collect();
        newest.sort_by_key(|route| Reverse(rank(route)));
        for route in newest {
            let overlapping: Vec<(u64, bool)> = self
                .overlapping(&route)
                .map(|known| (known.range_id(), rank(known) > rank(&route)))
                .collect();
            if overlapping.iter().any(|(_, stays)| *stays) {
                continue;
            }
            overlapping.iter().for_each(|(range_id, _)| self.remove(*range_id));
            let start = Bytes::copy_from_slice(route.start());
            self.starts.insert(route.range_id(), start.clone());
            self.routes.insert(start, route);
        }
    }

    fn known(&self, range_id: u64) -> Option<&Arc<Route>> {
        self.routes.get(self.starts.get(&range_id)?)
    }

    fn remove(&mut self, range_id: u64) {
        if let Some(start) = self.starts.remove(&range_id) {
            self.routes.remove(&start);
        }
    }

    /// Those that begin before, the last first.
    fn before(&self, end: Bound<&[u8]>) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.range::<[u8], _>((Bound::Unbounded, end)).rev().map(|(_, route)| route)
    }

    fn overlapping<'a>(&'a self, route: &'a Route) -> impl Iterator<Item = &'a Arc<Route>> {
        let end = if route.end().is_empty() { Bound::Unbounded } else { Bound::Excluded(route.end()) };
        // They overlap each other nowhere: what comes before one that does not reach so far does not either.
        self.before(end).take_while(|known| overlap(known, route))
    }
}

/// Of two that overlap the larger one stays.
fn rank(route: &Route) -> (u64, Reverse<u64>) {
    (route.descriptor().span_epoch, Reverse(route.range_id()))
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

#[cfg(test)]
mod tests {
    use env::random;
    use proto::inprocess::InProcess;
    use proto::v1::Span;

    use super::*;

    fn take_in(table: &mut Table, ranges: &[RangeDescriptor]) {
        table.take_in(ranges, |address| Arc::new(Peer::new(address, &InProcess::new())));
    }

    fn range(range_id: u64, span_epoch: u64, start: u8, end: u8) -> RangeDescriptor {
        let key = |byte: u8| Bytes::from(vec![byte]);
        let span = Some(Span { start: key(start), end: key(end) });
        RangeDescriptor { range_id, span_epoch, span, ..RangeDescriptor::default() }
    }

    fn known(table: &Table) -> Vec<RangeDescriptor> {
        let mut known: Vec<_> = table.routes.values().map(|route| route.descriptor().clone()).collect();
        known.sort_by_key(|range| range.range_id);
        assert_eq!(known.len(), table.starts.len());
        known
    }

    /// What is known of all together: the newest of each range, and of those the ones that no newer one overlaps.
    fn of_all(known: &[RangeDescriptor], learned: &[RangeDescriptor]) -> Vec<RangeDescriptor> {
        let mut newest: BTreeMap<u64, RangeDescriptor> = BTreeMap::new();
        for range in known.iter().chain(learned) {
            if newest.get(&range.range_id).is_none_or(|known| is_newer(range, known)) {
                newest.insert(range.range_id, range.clone());
            }
        }
        let mut newest: Vec<RangeDescriptor> = newest.into_values().collect();
        newest.sort_by_key(|range| Reverse(range.span_epoch));
        let mut kept: Vec<RangeDescriptor> = Vec::new();
        for range in newest {
            let span = |range: &RangeDescriptor| range.span.clone().unwrap();
            let overlaps = |other: &RangeDescriptor| {
                span(other).start < span(&range).end && span(&range).start < span(other).end
            };
            if !kept.iter().any(overlaps) {
                kept.push(range);
            }
        }
        kept.sort_by_key(|range| range.range_id);
        kept
    }

    #[test]
    fn what_is_learned_bit_by_bit_is_what_all_of_it_says() {
        for _ in 0..500 {
            let (mut table, mut expected) = (Table::default(), Vec::new());
            for _ in 0..8 {
                let learned: Vec<RangeDescriptor> = (0..random::below(4))
                    .map(|_| {
                        let start = random::below(30) as u8;
                        let end = start + 1 + random::below(8) as u8;
                        range(1 + random::below(8), random::below(6), start, end)
                    })
                    .collect();
                take_in(&mut table, &learned);
                expected = of_all(&expected, &learned);
                assert_eq!(known(&table), expected);
            }
        }
    }

    #[test]
    fn keys_lead_to_the_range_that_holds_them() {
        let mut table = Table::default();
        take_in(&mut table, &[range(2, 1, 10, 20), range(3, 1, 20, 30)]);
        let id = |route: Option<Arc<Route>>| route.map(|route| route.range_id());
        assert_eq!(
            [&[9_u8], &[10], &[19], &[20], &[30]].map(|key| id(table.holding(key))),
            [None, Some(2), Some(2), Some(3), None]
        );
        assert_eq!(
            [&[10_u8], &[20], &[30], &[31]].map(|end| id(table.below(end))),
            [None, Some(2), Some(3), None]
        );
        assert_eq!((id(table.by_id(3)), id(table.by_id(4))), (Some(3), None));
    }
}
