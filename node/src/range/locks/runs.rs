//! Locks that one request has got on many keys in a row: a statement over a stretch of a table asks for such.
//!
//! ```text
//! run := who holds it | its keys, ascending, one behind the other in one block | where each ends
//! ```
//! A run costs a key its bytes and an offset; to have it costs one search, and to give it up another, however many keys it
//! has. Everything that is more than being held by one transaction alone (a second request, a wait) the table keeps in an
//! entry of the key: then the key is taken out of its run.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::owner::TxnId;

/// The keys that one request of a transaction has got, and that it alone holds, exclusively.
#[derive(Debug)]
struct Run {
    holder: TxnId,
    block: Vec<u8>,
    /// Where in `block` each key ends; the next begins there.
    ends: Vec<u32>,
    /// Which of the keys were taken out, fewer than half of them; empty: none was.
    gone: Vec<bool>,
    /// How many were not.
    left: usize,
}

impl Run {
    fn new(holder: TxnId, keys: &[Bytes]) -> Self {
        let mut block = Vec::with_capacity(keys.iter().map(Bytes::len).sum());
        let mut ends = Vec::with_capacity(keys.len());
        for key in keys {
            block.extend_from_slice(key);
            ends.push(block.len() as u32);
        }
        Self { holder, block, ends, gone: Vec::new(), left: keys.len() }
    }

    /// The key at a place, taken out or not.
    fn key(&self, place: usize) -> &[u8] {
        let start =
            place.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end as usize);
        let end = self.ends.get(place).map_or(start, |end| *end as usize);
        self.block.get(start..end).unwrap_or_default()
    }

    fn last(&self) -> &[u8] {
        self.key(self.ends.len().saturating_sub(1))
    }

    /// The first place whose key is at or above this one.
    fn place(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0_usize, self.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.key(middle) < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn is_gone(&self, place: usize) -> bool {
        self.gone.get(place).is_some_and(|gone| *gone)
    }

    /// The place of a key that was not taken out.
    fn find(&self, key: &[u8]) -> Option<usize> {
        let place = self.place(key);
        (place < self.ends.len() && self.key(place) == key && !self.is_gone(place)).then_some(place)
    }

    fn take(&mut self, place: usize) {
        if self.gone.is_empty() {
            self.gone.resize(self.ends.len(), false);
        }
        if let Some(gone) = self.gone.get_mut(place)
            && !std::mem::replace(gone, true)
        {
            self.left = self.left.saturating_sub(1);
        }
        // What is left counts as so many locks: it must not hold on to what the others have taken.
        if self.left > 0 && self.left.saturating_mul(2) <= self.ends.len() {
            self.close_up();
        }
    }

    /// Forgets the keys that were taken out.
    fn close_up(&mut self) {
        let places = (0..self.ends.len()).filter(|place| !self.is_gone(*place));
        let bytes: usize = places.clone().map(|place| self.key(place).len()).sum();
        let mut block = Vec::with_capacity(bytes);
        let mut ends = Vec::with_capacity(self.left);
        for place in places {
            block.extend_from_slice(self.key(place));
            ends.push(block.len() as u32);
        }
        (self.block, self.ends, self.gone) = (block, ends, Vec::new());
    }

    /// The keys at or above `from` that were not taken out.
    fn keys_from(&self, from: &[u8]) -> impl Iterator<Item = &[u8]> {
        let places = self.place(from)..self.ends.len();
        places.filter(move |place| !self.is_gone(*place)).map(move |place| self.key(place))
    }
}

/// A key that was taken out of its run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TakenOut {
    /// Who holds it.
    pub(super) holder: TxnId,
    /// The name of the run, if that was its last key: the run is no more.
    pub(super) ended: Option<Bytes>,
}

/// Runs by the first key that each had, which is its name.
///
/// # Invariants
///
/// - No run begins before the one below it ends, so that a key lies in one at most.
/// - A run has a key that was not taken out.
#[derive(Debug, Default)]
pub(super) struct Runs {
    by_first: BTreeMap<Bytes, Run>,
}

impl Runs {
    pub(super) fn is_empty(&self) -> bool {
        self.by_first.is_empty()
    }

    /// The run that a key would be in.
    fn around(&self, key: &[u8]) -> Option<&Run> {
        let (_, run) =
            self.by_first.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back()?;
        Some(run).filter(|run| key <= run.last())
    }

    /// Whether a key lies between the first that a run had and the last that it has noted: none can begin there.
    pub(super) fn reach_over(&self, key: &[u8]) -> bool {
        self.around(key).is_some()
    }

    /// Where the next run begins, at or above a key.
    pub(super) fn next_start(&self, key: &[u8]) -> Option<&[u8]> {
        let next = self.by_first.range::<[u8], _>((Bound::Included(key), Bound::Unbounded)).next();
        next.map(|(first, _)| first.as_ref())
    }

    /// Adds a run of keys, ascending, that no run reaches over and none begins between; its name.
    pub(super) fn add(&mut self, holder: TxnId, keys: &[Bytes]) -> Bytes {
        // It must not keep alive the whole message that the key came in.
        let name = Bytes::copy_from_slice(&keys.first().cloned().unwrap_or_default());
        self.by_first.insert(name.clone(), Run::new(holder, keys));
        name
    }

    /// Takes a key out of its run, if it is in one, and, where `of` names a transaction, if that one holds it.
    pub(super) fn take_out(&mut self, key: &[u8], of: Option<&TxnId>) -> Option<TakenOut> {
        let mut below = self.by_first.range_mut::<[u8], _>((Bound::Unbounded, Bound::Included(key)));
        let (name, run) = below.next_back().filter(|(_, run)| of.is_none_or(|of| *of == run.holder))?;
        let place = run.find(key)?;
        run.take(place);
        let (holder, ended) = (run.holder, (run.left == 0).then(|| name.clone()));
        if let Some(name) = &ended {
            self.by_first.remove(name);
        }
        Some(TakenOut { holder, ended })
    }

    /// Gives up what is left of a run.
    pub(super) fn remove(&mut self, name: &Bytes) {
        self.by_first.remove(name);
    }

    /// The keys at or above `from`, and who holds each.
    pub(super) fn held_from(&self, from: &[u8]) -> impl Iterator<Item = (TxnId, Bytes)> {
        let first = self.by_first.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(from))).next_back();
        let others = self.by_first.range::<[u8], _>((Bound::Included(from), Bound::Unbounded));
        let runs = first.into_iter().chain(others).map(|(_, run)| run);
        runs.flat_map(move |run| {
            run.keys_from(from).map(|key| (run.holder, Bytes::copy_from_slice(key))).collect::<Vec<_>>()
        })
    }

    /// How many keys are held by runs.
    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        self.by_first.values().map(|run| run.left).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_which_little_is_left_takes_little() {
        let key = |number: u32| Bytes::copy_from_slice(&number.to_be_bytes());
        let keys: Vec<Bytes> = (0..1000).map(key).collect();
        let stays = |key: &Bytes| key.ends_with(&[200]);
        let mut runs = Runs::default();
        let name = runs.add([1; 16], &keys);
        for key in keys.iter().filter(|key| !stays(key)) {
            let taken_out = runs.take_out(key, Some(&[1; 16]));
            assert_eq!(taken_out, Some(TakenOut { holder: [1; 16], ended: None }));
            assert_eq!(runs.take_out(key, None), None);
        }
        let run = runs.by_first.get(&name).unwrap();
        assert!(run.left == 4 && run.ends.len() < 8 && run.block.capacity() < 64, "{run:?}");
        assert!(runs.reach_over(&key(0)) && runs.reach_over(&key(968)) && !runs.reach_over(&key(1000)));
        let held: Vec<Bytes> = runs.held_from(&key(201)).map(|(_, key)| key).collect();
        assert_eq!(held, [key(456), key(712), key(968)]);
        let ended: Vec<Option<Bytes>> =
            keys.iter().filter_map(|key| Some(runs.take_out(key, None)?.ended)).collect();
        assert_eq!(ended, [None, None, None, Some(name)]);
        assert!(runs.is_empty());
    }
}
