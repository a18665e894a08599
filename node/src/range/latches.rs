//! Latches: commits that touch the same keys are evaluated one after the other.
//!
//! A commit latches the keys it writes exclusively and what it checks shared, all at once and in the order of
//! arrival, and keeps them until it is applied. So its checks see every commit before it, and there are no deadlocks:
//! a request only ever waits for requests that came earlier.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::inflight::TermEnded;

/// What a commit touches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Footprint {
    /// Keys latched exclusively.
    pub(crate) writes: Vec<Bytes>,
    /// Spans latched shared; an empty end means the one key `start`.
    pub(crate) reads: Vec<(Bytes, Bytes)>,
}

/// The latches of one term of a range.
#[derive(Debug, Default)]
pub(crate) struct Latches {
    table: Mutex<Table>,
}

/// Holds a commit's latches until dropped.
#[derive(Debug)]
pub(crate) struct LatchGuard {
    latches: Arc<Latches>,
    id: u64,
}

impl Latches {
    /// Waits until everything that came earlier and touches the same keys is gone.
    pub(crate) async fn acquire(self: &Arc<Self>, footprint: Footprint) -> Result<LatchGuard, TermEnded> {
        let (id, granted) = self.table.lock().insert(footprint);
        let guard = LatchGuard { latches: self.clone(), id };
        if let Some(granted) = granted {
            granted.await.map_err(|_| TermEnded)?;
        }
        Ok(guard)
    }

    /// Ends the term: whoever waits is told.
    pub(crate) fn end(&self) {
        for request in self.table.lock().requests.values_mut() {
            request.grant = None;
        }
    }
}

impl Drop for LatchGuard {
    fn drop(&mut self) {
        self.latches.table.lock().remove(self.id);
    }
}

#[derive(Debug)]
struct Request {
    footprint: Footprint,
    /// How many earlier requests it waits for.
    blockers: usize,
    /// Later requests that wait for it.
    dependents: Vec<u64>,
    grant: Option<oneshot::Sender<()>>,
}

/// Requests in order of arrival, each knowing who waits for it.
///
/// # Invariants
///
/// - A request with no blockers is granted; every blocker came earlier, so the waits have no cycle.
#[derive(Debug, Default)]
struct Table {
    next_id: u64,
    requests: BTreeMap<u64, Request>,
    writers: BTreeMap<Bytes, Ids>,
    point_readers: BTreeMap<Bytes, Ids>,
    /// Readers of true spans; few, so they are searched one by one.
    span_readers: BTreeMap<u64, Vec<(Bytes, Bytes)>>,
}

impl Table {
    fn insert(&mut self, footprint: Footprint) -> (u64, Option<oneshot::Receiver<()>>) {
        let id = self.next_id;
        self.next_id += 1;
        let blockers = self.conflicting(&footprint);
        for blocker in &blockers {
            if let Some(blocker) = self.requests.get_mut(blocker) {
                blocker.dependents.push(id);
            }
        }
        for key in &footprint.writes {
            remember(&mut self.writers, key, id);
        }
        for (start, end) in &footprint.reads {
            if end.is_empty() {
                remember(&mut self.point_readers, start, id);
            } else {
                self.span_readers.entry(id).or_default().push((start.clone(), end.clone()));
            }
        }
        let (grant, granted) = if blockers.is_empty() {
            (None, None)
        } else {
            let (grant, granted) = oneshot::channel();
            (Some(grant), Some(granted))
        };
        self.requests
            .insert(id, Request { footprint, blockers: blockers.len(), dependents: Vec::new(), grant });
        (id, granted)
    }

    fn conflicting(&self, footprint: &Footprint) -> BTreeSet<u64> {
        let mut ids = BTreeSet::new();
        for key in &footprint.writes {
            ids.extend(self.writers.get(key).into_iter().flat_map(Ids::iter));
            ids.extend(self.point_readers.get(key).into_iter().flat_map(Ids::iter));
            for (id, spans) in &self.span_readers {
                if spans.iter().any(|(start, end)| start <= key && key < end) {
                    ids.insert(*id);
                }
            }
        }
        for (start, end) in &footprint.reads {
            if end.is_empty() {
                ids.extend(self.writers.get(start).into_iter().flat_map(Ids::iter));
            } else if start < end {
                let within = (Bound::Included(start), Bound::Excluded(end));
                ids.extend(self.writers.range::<Bytes, _>(within).flat_map(|(_, ids)| ids.iter()));
            }
        }
        ids
    }

    fn remove(&mut self, id: u64) {
        let Some(request) = self.requests.remove(&id) else { return };
        for key in &request.footprint.writes {
            forget(&mut self.writers, key, id);
        }
        for (start, end) in &request.footprint.reads {
            if end.is_empty() {
                forget(&mut self.point_readers, start, id);
            }
        }
        self.span_readers.remove(&id);
        for dependent in request.dependents {
            if let Some(dependent) = self.requests.get_mut(&dependent) {
                dependent.blockers -= 1;
                if dependent.blockers == 0
                    && let Some(grant) = dependent.grant.take()
                {
                    // Whoever gave up waiting removes its request by dropping its guard.
                    let _ = grant.send(());
                }
            }
        }
    }
}

/// Requests that touch one key: mostly one, which takes no memory of its own.
#[derive(Debug)]
struct Ids {
    one: u64,
    others: Vec<u64>,
}

impl Ids {
    fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::once(self.one).chain(self.others.iter().copied())
    }
}

fn remember(index: &mut BTreeMap<Bytes, Ids>, key: &Bytes, id: u64) {
    match index.entry(key.clone()) {
        Entry::Vacant(entry) => {
            entry.insert(Ids { one: id, others: Vec::new() });
        }
        Entry::Occupied(mut entry) => entry.get_mut().others.push(id),
    }
}

fn forget(index: &mut BTreeMap<Bytes, Ids>, key: &Bytes, id: u64) {
    let Entry::Occupied(mut entry) = index.entry(key.clone()) else { return };
    let ids = entry.get_mut();
    if let Some(place) = ids.others.iter().position(|other| *other == id) {
        ids.others.swap_remove(place);
    } else if ids.one == id {
        match ids.others.pop() {
            Some(other) => ids.one = other,
            None => drop(entry.remove()),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn footprint(writes: &[&'static str], reads: &[(&'static str, &'static str)]) -> Footprint {
        Footprint {
            writes: writes.iter().map(|key| Bytes::from_static(key.as_bytes())).collect(),
            reads: reads
                .iter()
                .map(|(start, end)| {
                    (Bytes::from_static(start.as_bytes()), Bytes::from_static(end.as_bytes()))
                })
                .collect(),
        }
    }

    fn held(latches: &Arc<Latches>, footprint: Footprint) -> Option<LatchGuard> {
        latches.acquire(footprint).now_or_never().map(|granted| granted.unwrap())
    }

    #[test]
    fn readers_share_and_writers_do_not() {
        let latches = Arc::new(Latches::default());
        let first = held(&latches, footprint(&[], &[("a", "")])).unwrap();
        let _second = held(&latches, footprint(&["b"], &[("a", "")])).unwrap();
        assert!(held(&latches, footprint(&["a"], &[])).is_none());
        assert!(held(&latches, footprint(&[], &[("b", "")])).is_none());
        assert!(held(&latches, footprint(&[], &[("a", "c")])).is_none());
        assert!(held(&latches, footprint(&["c"], &[("c", "d")])).is_some());
        drop(first);
    }

    #[test]
    fn a_span_of_reads_blocks_writes_within() {
        let latches = Arc::new(Latches::default());
        let _scan = held(&latches, footprint(&[], &[("b", "d")])).unwrap();
        assert!(held(&latches, footprint(&["c"], &[])).is_none());
        assert!(held(&latches, footprint(&["d"], &[])).is_some());
        assert!(held(&latches, footprint(&["a"], &[])).is_some());
    }

    #[tokio::test]
    async fn requests_are_granted_in_the_order_of_arrival() {
        let latches = Arc::new(Latches::default());
        let order = Arc::new(Mutex::new(Vec::new()));
        let first = latches.acquire(footprint(&["a", "b"], &[])).await.unwrap();
        let mut waiting = Vec::new();
        for name in ["one", "two", "three"] {
            let (latches, order) = (latches.clone(), order.clone());
            waiting.push(env::task::spawn(async move {
                let guard = latches.acquire(footprint(&["a"], &[])).await.unwrap();
                order.lock().push(name);
                drop(guard);
            }));
            tokio::task::yield_now().await;
        }
        drop(first);
        for task in waiting {
            task.await.unwrap();
        }
        assert_eq!(*order.lock(), ["one", "two", "three"]);
    }

    #[test]
    fn giving_up_a_wait_leaves_nothing_behind() {
        let latches = Arc::new(Latches::default());
        let first = held(&latches, footprint(&["a"], &[])).unwrap();
        assert!(held(&latches, footprint(&["a"], &[("b", "c"), ("d", "")])).is_none());
        drop(first);
        let table = latches.table.lock();
        assert!(table.requests.is_empty() && table.writers.is_empty());
        assert!(table.point_readers.is_empty() && table.span_readers.is_empty());
    }
}
