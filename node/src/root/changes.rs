//! Which ranges have changed since when, so that whoever knows the directory as it was need only be told what came after.
//!
//! Each change has a number; of a range the newest is kept. Pure, and of this process's memory alone: what numbers count is known
//! by whoever has counted them.

use std::collections::BTreeMap;

/// So many ranges at most that have changed are remembered: who has missed more is told all.
const KEPT_MAX: usize = 1 << 16;

/// The changes of ranges, newest last.
///
/// # Invariants
///
/// - Whoever has seen change `n`, `forgotten` or a later one, and is told all that [`Changes::since`] names, knows all.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Changes {
    newest: u64,
    /// What came up to here is not remembered.
    forgotten: u64,
    /// By number, the range.
    ranges: BTreeMap<u64, u64>,
    /// By range, its newest number.
    numbers: BTreeMap<u64, u64>,
}

impl Changes {
    /// A range has changed, has come, or is no more.
    pub(super) fn note(&mut self, range_id: u64) {
        self.newest += 1;
        if let Some(before) = self.numbers.insert(range_id, self.newest) {
            self.ranges.remove(&before);
        }
        self.ranges.insert(self.newest, range_id);
        if self.ranges.len() > KEPT_MAX
            && let Some((oldest, range_id)) = self.ranges.pop_first()
        {
            self.numbers.remove(&range_id);
            self.forgotten = oldest;
        }
    }

    /// How many there were.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// The ranges that have changed after so many changes; none if that is not known any more.
    pub(super) fn since(&self, seen: u64) -> Option<Vec<u64>> {
        let known = (self.forgotten..=self.newest).contains(&seen);
        known.then(|| self.ranges.range(seen.saturating_add(1)..).map(|(_, range_id)| *range_id).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_after_is_told_once_for_each_range() {
        let mut changes = Changes::default();
        for range_id in [7, 8, 7, 9] {
            changes.note(range_id);
        }
        assert_eq!(changes.newest(), 4);
        assert_eq!(changes.since(0), Some(vec![8, 7, 9]));
        assert_eq!(changes.since(2), Some(vec![7, 9]));
        assert_eq!(changes.since(4), Some(Vec::new()));
        assert_eq!(changes.since(5), None, "nobody has counted so far");
    }

    #[test]
    fn what_is_forgotten_is_not_taken_for_nothing() {
        let mut changes = Changes::default();
        (0..KEPT_MAX as u64 + 2).for_each(|range_id| changes.note(range_id));
        assert_eq!(changes.since(1), None);
        assert_eq!(changes.since(2).map(|ranges| ranges.len()), Some(KEPT_MAX));
    }
}
