//! Sets of columns.

use super::ColumnId;

const BITS: usize = u64::BITS as usize;

/// A set of columns, a bit for each.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColumnSet {
    words: Vec<u64>,
}

impl ColumnSet {
    /// Adds a column; false if it was there.
    pub(crate) fn insert(&mut self, column: ColumnId) -> bool {
        let word = column / BITS;
        if word >= self.words.len() {
            self.words.resize(word.saturating_add(1), 0);
        }
        let Some(word) = self.words.get_mut(word) else { return false };
        let bit = 1 << (column % BITS);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Takes a column out.
    pub(crate) fn remove(&mut self, column: ColumnId) {
        if let Some(word) = self.words.get_mut(column / BITS) {
            *word &= !(1 << (column % BITS));
        }
    }

    /// Whether a column is in it.
    pub(crate) fn contains(&self, column: ColumnId) -> bool {
        self.words.get(column / BITS).is_some_and(|word| word & (1 << (column % BITS)) != 0)
    }

    /// Its columns, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ColumnId> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let bits = (0..BITS).filter(move |bit| word & (1 << bit) != 0);
            bits.map(move |bit| at.saturating_mul(BITS).saturating_add(bit))
        })
    }

    /// Takes out what another holds.
    pub(crate) fn subtract(&mut self, other: &Self) {
        for (word, taken) in self.words.iter_mut().zip(&other.words) {
            *word &= !taken;
        }
    }
}

impl Extend<ColumnId> for ColumnSet {
    fn extend<I: IntoIterator<Item = ColumnId>>(&mut self, columns: I) {
        for column in columns {
            self.insert(column);
        }
    }
}

impl FromIterator<ColumnId> for ColumnSet {
    fn from_iter<I: IntoIterator<Item = ColumnId>>(columns: I) -> Self {
        let mut set = Self::default();
        set.extend(columns);
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let mut set: ColumnSet = [3, 64, 200, 3].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [3, 64, 200]);
        assert!(!set.insert(64) && set.insert(0));
        set.remove(200);
        set.subtract(&[3].into_iter().collect());
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 64]);
        assert!(set.contains(64) && !set.contains(1000));
    }
}
