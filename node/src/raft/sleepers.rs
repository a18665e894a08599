//! Which groups of a store sleep, and on whose word. Whoever looks at all groups every now and then touches those that are awake, and
//! finds out by a glance at the words that nothing can have become of the others: one that sleeps costs a look an entry of a map.
//!
//! # Invariants
//!
//! - A group is here as its [`Slumber`](super::sleep::Slumber) has it: its place is changed under the lock of what it says.
//! - A place is one group's for ever. Two groups of a range, one started after the other, have two.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

/// On whose word a group sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
    /// It leads.
    Own,
    /// Its leader's store.
    Of {
        /// The node.
        node_id: u64,
        /// Of which life of it; see [`rounds`](super::rounds).
        epoch: u64,
    },
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Sleepers(Mutex<All>);

#[derive(Debug, Default)]
struct All {
    /// The last place given.
    last: u64,
    /// Who sleeps, by place.
    asleep: BTreeMap<u64, Word>,
    /// So many sleep on each word; none: it is not there.
    words: BTreeMap<Word, usize>,
    /// Whose instance is closed, by place.
    closed: BTreeSet<u64>,
}

impl All {
    fn set(&mut self, place: u64, word: Option<Word>) {
        let before = match word {
            Some(word) => self.asleep.insert(place, word),
            None => self.asleep.remove(&place),
        };
        if let Some(word) = word {
            *self.words.entry(word).or_default() += 1;
        }
        if let Some(before) = before
            && let Some(count) = self.words.get_mut(&before)
        {
            *count -= 1;
            if *count == 0 {
                self.words.remove(&before);
            }
        }
    }
}

impl Sleepers {
    /// The place of a group that is awake.
    pub(super) fn enter(self: &Arc<Self>) -> Arc<Place> {
        let mut all = self.0.lock();
        all.last += 1;
        Arc::new(Place { number: all.last, sleepers: Arc::clone(self) })
    }

    /// Those of these groups that are awake, each named with its place.
    pub(super) fn awake<T>(&self, groups: impl Iterator<Item = (u64, T)>) -> Vec<T> {
        let all = self.0.lock();
        groups.filter(|(place, _)| !all.asleep.contains_key(place)).map(|(_, group)| group).collect()
    }

    /// Those of these groups that sleep and whose instance is not closed, each named with its place.
    pub(super) fn unclosed<T>(&self, groups: impl Iterator<Item = (u64, T)>) -> Vec<T> {
        let all = self.0.lock();
        let is_unclosed = |place: &u64| all.asleep.contains_key(place) && !all.closed.contains(place);
        groups.filter(|(place, _)| is_unclosed(place)).map(|(_, group)| group).collect()
    }

    /// How many sleep.
    pub(super) fn count(&self) -> usize {
        self.0.lock().asleep.len()
    }

    /// Of how many the instance is closed.
    pub(super) fn closed(&self) -> usize {
        self.0.lock().closed.len()
    }

    /// On whose word any of them does.
    pub(super) fn words(&self) -> Vec<Word> {
        self.0.lock().words.keys().copied().collect()
    }
}

/// A group's; given up when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    sleepers: Arc<Sleepers>,
}

impl Place {
    /// No other place of the store has it, nor ever had.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// On whose word the group sleeps from now on, if it does.
    pub(super) fn set(&self, word: Option<Word>) {
        self.sleepers.0.lock().set(self.number, word);
    }

    /// Whether the group's instance is closed from now on.
    pub(super) fn set_closed(&self, closed: bool) {
        let mut all = self.sleepers.0.lock();
        if closed {
            all.closed.insert(self.number);
        } else {
            all.closed.remove(&self.number);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.set(None);
        self.set_closed(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sleeps_is_known_by_place_and_by_word() {
        let sleepers = Arc::<Sleepers>::default();
        let places: Vec<Arc<Place>> = (0..4).map(|_| sleepers.enter()).collect();
        let awake = || sleepers.awake(places.iter().map(|place| (place.number(), place.number())));
        assert_eq!((awake(), sleepers.count(), sleepers.words()), (vec![1, 2, 3, 4], 0, vec![]));
        let other = |epoch| Word::Of { node_id: 7, epoch };
        for (place, word) in places.iter().zip([Word::Own, other(1), other(1)]) {
            place.set(Some(word));
            place.set(Some(word));
        }
        assert_eq!((awake(), sleepers.count(), sleepers.words()), (vec![4], 3, vec![Word::Own, other(1)]));
        places[1].set(Some(other(2)));
        assert_eq!(sleepers.words(), [Word::Own, other(1), other(2)]);
        places[2].set(None);
        assert_eq!((awake(), sleepers.words()), (vec![3, 4], vec![Word::Own, other(2)]));
    }

    #[test]
    fn whose_instance_is_closed_is_known_too() {
        let sleepers = Arc::<Sleepers>::default();
        let places: Vec<Arc<Place>> = (0..3).map(|_| sleepers.enter()).collect();
        let unclosed = || sleepers.unclosed(places.iter().map(|place| (place.number(), place.number())));
        assert_eq!((unclosed(), sleepers.closed()), (vec![], 0));
        places[..2].iter().for_each(|place| place.set(Some(Word::Own)));
        assert_eq!(unclosed(), [1, 2]);
        places[0].set_closed(true);
        places[0].set_closed(true);
        assert_eq!((unclosed(), sleepers.closed(), sleepers.count()), (vec![2], 1, 2));
        places[0].set_closed(false);
        assert_eq!((unclosed(), sleepers.closed()), (vec![1, 2], 0));
        places[2].set_closed(true);
        drop(places);
        assert_eq!((sleepers.count(), sleepers.closed()), (0, 0));
    }

    #[test]
    fn who_is_gone_sleeps_no_more() {
        let sleepers = Arc::<Sleepers>::default();
        let (first, second) = (sleepers.enter(), sleepers.enter());
        first.set(Some(Word::Own));
        second.set(Some(Word::Own));
        drop(first);
        assert_eq!((sleepers.count(), sleepers.words()), (1, vec![Word::Own]));
        drop(second);
        assert_eq!((sleepers.count(), sleepers.words()), (0, vec![]));
        assert_eq!(sleepers.enter().number(), 3);
    }
}
