//! Latches: commits that touch the same keys are evaluated one after the other.
//!
//! A commit latches the keys it writes exclusively and what it checks shared, all at once and in the order of
//! arrival, and keeps them until it is applied. So its checks see every commit before it, and there are no deadlocks:
//! a request only ever waits for requests that came earlier.
//!
//! Who writes few keys has each of them in a map; the list of who writes many ([`KeyList`]) is searched where it lies.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::inflight::TermEnded;
use super::key_list::KeyList;

/// What a commit touches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Footprint {
    /// Keys latched exclusively.
    pub(crate) writes: KeyList,
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
    writes: KeyList,
}

impl LatchGuard {
    /// The keys latched exclusively.
    pub(crate) fn writes(&self) -> &KeyList {
        &self.writes
    }
}

impl Latches {
    /// Waits until everything that came earlier and touches the same keys is gone.
    pub(crate) async fn acquire(self: &Arc<Self>, footprint: Footprint) -> Result<LatchGuard, TermEnded> {
        let writes = footprint.writes.clone();
        let (id, granted) = self.table.lock().insert(footprint);
        let guard = LatchGuard { latches: self.clone(), id, writes };
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
/// - The keys of a request's writes are in `writers`, or, where they are many, its list is in `long_writers`.
#[derive(Debug, Default)]
struct Table {
    next_id: u64,
    requests: BTreeMap<u64, Request>,
    writers: BTreeMap<Bytes, Ids>,
    /// Writers of many keys; few, so they are searched one by one.
    long_writers: BTreeMap<u64, KeyList>,
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
        if footprint.writes.is_long() {
            self.long_writers.insert(id, footprint.writes.clone());
        } else {
            for key in footprint.writes.iter() {
                remember(&mut self.writers, key, id);
            }
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
        let writes = &footprint.writes;
        if writes.is_long() {
            ids.extend(of_any(&self.writers, writes));
            ids.extend(of_any(&self.point_readers, writes));
        } else {
            for key in writes.iter() {
                ids.extend(self.writers.get(key).into_iter().flat_map(Ids::iter));
                ids.extend(self.point_readers.get(key).into_iter().flat_map(Ids::iter));
            }
        }
        for (id, spans) in &self.span_readers {
            if spans.iter().any(|(start, end)| writes.has_within(start, end)) {
                ids.insert(*id);
            }
        }
        let meets = |list: &KeyList| {
            let reads = |(start, end): &(Bytes, Bytes)| match end.is_empty() {
                true => list.has(start),
                false => list.has_within(start, end),
            };
            list.meets(writes) || footprint.reads.iter().any(reads)
        };
        ids.extend(self.long_writers.iter().filter(|(_, list)| meets(list)).map(|(id, _)| *id));
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
        if self.long_writers.remove(&id).is_none() {
            for key in request.footprint.writes.iter() {
                forget(&mut self.writers, key, id);
            }
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

/// The requests that touch any key of a list.
fn of_any<'a>(index: &'a BTreeMap<Bytes, Ids>, list: &'a KeyList) -> impl Iterator<Item = u64> + 'a {
    let ends = list.first().zip(list.last());
    let between =
        ends.map(|(first, last)| index.range::<Bytes, _>((Bound::Included(first), Bound::Included(last))));
    let touched = between.into_iter().flatten().filter(move |(key, _)| list.has(key));
    touched.flat_map(|(_, ids)| ids.iter())
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
            writes: KeyList::ascending(writes.iter().map(|key| Bytes::from_static(key.as_bytes()))),
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
        assert!(table.requests.is_empty() && table.writers.is_empty() && table.long_writers.is_empty());
        assert!(table.point_readers.is_empty() && table.span_readers.is_empty());
    }

    /// Every key `a000`, `a002` and so on up to this number.
    fn many(to: u32) -> KeyList {
        let even = (0..to).step_by(2);
        KeyList::ascending(even.map(|number| Bytes::from(format!("a{number:03}"))))
    }

    #[test]
    fn many_writes_are_latched_like_few() {
        let latches = Arc::new(Latches::default());
        let bulk = |to| Footprint { writes: many(to), reads: vec![(Bytes::from_static(b"r"), Bytes::new())] };
        assert!(bulk(400).writes.is_long());
        let first = held(&latches, bulk(400)).unwrap();
        let blocked = [
            footprint(&["a200"], &[]),
            footprint(&[], &[("a200", "")]),
            footprint(&[], &[("a001", "a003")]),
            footprint(&["r"], &[]),
            bulk(800),
        ];
        for footprint in blocked {
            assert!(held(&latches, footprint).is_none());
        }
        let free = [
            footprint(&["a", "a201", "a400"], &[]),
            footprint(&[], &[("a201", ""), ("r", "")]),
            footprint(&[], &[("a201", "a202"), ("b", "c")]),
        ];
        for footprint in free {
            assert!(held(&latches, footprint).is_some());
        }
        drop(first);
        for standing in
            [footprint(&["a200"], &[]), footprint(&[], &[("a200", "")]), footprint(&[], &[("a001", "a003")])]
        {
            let standing = held(&latches, standing).unwrap();
            assert!(held(&latches, bulk(400)).is_none());
            drop(standing);
        }
        let odd = footprint(&["a201"], &[("a203", ""), ("b", "c")]);
        let odd = held(&latches, odd).unwrap();
        assert!(held(&latches, bulk(400)).is_some());
        drop(odd);
        let table = latches.table.lock();
        assert!(table.requests.is_empty() && table.writers.is_empty() && table.long_writers.is_empty());
    }
}
