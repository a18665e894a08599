//! Hash tables whose keys stand elsewhere, in rows that are kept anyway: an entry is a hash and a place, and who keeps the rows
//! compares them.
//!
//! ```text
//! key ─ hash, seeded ─▶ (hash, place) … ─ is it the same there? ─▶ place
//! ```
//!
//! The hash is one that is made for speed, under seeds of the table's own that nobody outside is told, so that nobody can choose
//! keys that fall together beforehand. Nothing is ever read in the order of the hashes.

use std::hash::{Hash, Hasher};

use expr::{Datum, Expr, Row, Type};
use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;
use hashbrown::HashTable;

use super::group::{GroupKey, is_padded, unpad};

/// About what an entry takes in a table that has just grown.
pub(super) const SLOT_BYTES: usize = 40;

/// Places by the hashes of their keys.
pub(super) struct KeyTable {
    seed: u64,
    shared: SharedSeed,
    slots: HashTable<Slot>,
}

struct Slot {
    hash: u64,
    place: usize,
}

impl KeyTable {
    /// Without entries.
    pub(super) fn new() -> Self {
        let (seed, shared) = (env::random::next_u64(), env::random::next_u64());
        Self { seed, shared: SharedSeed::from_u64(shared), slots: HashTable::new() }
    }

    /// What hashes this table's keys.
    pub(super) fn hasher(&self) -> FoldHasher<'_> {
        FoldHasher::with_seed(self.seed, &self.shared)
    }

    /// The place of the key with this hash, if it is there; `is_same` compares it with the one at a place.
    pub(super) fn find(&self, hash: u64, is_same: impl Fn(usize) -> bool) -> Option<usize> {
        self.slots.find(hash, |slot| slot.hash == hash && is_same(slot.place)).map(|slot| slot.place)
    }

    /// The same, to be set to another place where the same key stands.
    pub(super) fn find_mut(&mut self, hash: u64, is_same: impl Fn(usize) -> bool) -> Option<&mut usize> {
        let is_slot = |slot: &Slot| slot.hash == hash && is_same(slot.place);
        self.slots.find_mut(hash, is_slot).map(|slot| &mut slot.place)
    }

    /// Adds a key that is not there.
    pub(super) fn insert(&mut self, hash: u64, place: usize) {
        self.slots.insert_unique(hash, Slot { hash, place }, |slot| slot.hash);
    }

    /// Whether there are no entries.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Forgets all entries, and gives back what they took.
    pub(super) fn clear(&mut self) {
        self.slots = HashTable::new();
    }
}

/// Which values of a key are of char(n), in which blanks at the end do not count.
#[derive(Debug, Clone)]
pub(super) struct KeyKinds(Vec<bool>);

impl KeyKinds {
    /// Of the values of these expressions.
    pub(super) fn of(keys: &[Expr]) -> Self {
        Self(keys.iter().map(|key| is_padded(key.ty())).collect())
    }

    /// Of values of these types.
    pub(super) fn of_types(types: &[Type]) -> Self {
        Self(types.iter().map(|ty| is_padded(*ty)).collect())
    }

    /// Of so many values of keys that were made by [`KeyKinds::key`].
    pub(super) fn made(count: usize) -> Self {
        Self(vec![false; count])
    }

    /// The values as a key that stands by itself.
    pub(super) fn key(&self, mut values: Row) -> GroupKey {
        for (is_padded, value) in self.0.iter().zip(&mut values) {
            if *is_padded {
                unpad(value);
            }
        }
        GroupKey(values)
    }

    /// Feeds the hasher with the values of a key, so that keys that are alike hash alike.
    pub(super) fn hash<'a>(&self, values: impl Iterator<Item = &'a Datum>, hasher: &mut impl Hasher) {
        for (is_padded, value) in self.0.iter().zip(values) {
            match value {
                Datum::Text(text) if *is_padded => trimmed(text).hash(hasher),
                value => expr::group_hash(value, hasher),
            }
        }
    }

    /// Whether the values of two keys are alike, each in the sense of GROUP BY; the other's are of `kinds`.
    pub(super) fn is_same<'a, 'b>(
        &self,
        values: impl Iterator<Item = &'a Datum>,
        kinds: &Self,
        others: impl Iterator<Item = &'b Datum>,
    ) -> bool {
        let (own, other) = (self.0.iter().zip(values), kinds.0.iter().zip(others));
        own.zip(other).all(|((left_padded, left), (right_padded, right))| match (left, right) {
            (Datum::Text(left), Datum::Text(right)) => match (left_padded, right_padded) {
                (true, true) => left == right || trimmed(left) == trimmed(right),
                (true, false) => trimmed(left) == &**right,
                (false, true) => &**left == trimmed(right),
                (false, false) => left == right,
            },
            (left, right) => expr::group_eq(left, right),
        })
    }
}

/// A text without the blanks at its end, which few have.
fn trimmed(text: &str) -> &str {
    if text.as_bytes().last() == Some(&b' ') { text.trim_end_matches(' ') } else { text }
}

/// The places of columns, where the values of all of these expressions stand in columns.
pub(super) fn columns_of<'a>(keys: impl IntoIterator<Item = &'a Expr>) -> Option<Vec<usize>> {
    let column = |key: &Expr| match key {
        Expr::Column { index, .. } => Some(*index),
        _ => None,
    };
    keys.into_iter().map(column).collect()
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    use expr::{Numeric, TypeKind};

    use super::*;

    /// Values among which many are alike, and look different, and types that they may be of.
    fn values() -> Vec<(Datum, TypeKind)> {
        let numeric = |unscaled: i64, scale| Datum::Numeric(Numeric::finite(unscaled, scale));
        vec![
            (Datum::Null, TypeKind::Int4),
            (Datum::Int2(1), TypeKind::Int2),
            (Datum::Int4(1), TypeKind::Int4),
            (Datum::Int4(-1), TypeKind::Int4),
            (Datum::Int8(1), TypeKind::Int8),
            (numeric(10, 1), TypeKind::Numeric),
            (numeric(100, 2), TypeKind::Numeric),
            (Datum::Float8(0.0), TypeKind::Float8),
            (Datum::Float8(-0.0), TypeKind::Float8),
            (Datum::Float8(f64::NAN), TypeKind::Float8),
            (Datum::from("a"), TypeKind::Text),
            (Datum::from("a "), TypeKind::Text),
            (Datum::from("a"), TypeKind::Bpchar),
            (Datum::from("a  "), TypeKind::Bpchar),
            (Datum::from(" "), TypeKind::Bpchar),
            (Datum::from(""), TypeKind::Bpchar),
            (Datum::Null, TypeKind::Bpchar),
            (Datum::Date(0), TypeKind::Date),
            (Datum::Array(vec![Datum::Int4(1), Datum::Null].into()), TypeKind::Int4Array),
        ]
    }

    fn key(value: &(Datum, TypeKind)) -> (KeyKinds, GroupKey, u64, Datum) {
        let expressions = [Expr::column(0, value.1)];
        let kinds = KeyKinds::of(&expressions);
        let mut hasher = FoldHasher::with_seed(7, SharedSeed::global_fixed());
        kinds.hash(std::iter::once(&value.0), &mut hasher);
        let key = GroupKey::of(&expressions, vec![value.0.clone()]);
        assert_eq!(key, kinds.key(vec![value.0.clone()]));
        (kinds, key, hasher.finish(), value.0.clone())
    }

    #[test]
    fn keys_are_alike_where_they_stand_as_they_are_when_copied() {
        let state = BuildHasherDefault::<DefaultHasher>::default();
        let values = values();
        for left in &values {
            for right in &values {
                let (left_kinds, left_key, left_hash, left_value) = key(left);
                let (right_kinds, right_key, right_hash, right_value) = key(right);
                let same = left_kinds.is_same(
                    std::iter::once(&left_value),
                    &right_kinds,
                    std::iter::once(&right_value),
                );
                assert_eq!(same, left_key == right_key, "{left:?} and {right:?}");
                if state.hash_one(&left_key) == state.hash_one(&right_key) {
                    assert_eq!(left_hash, right_hash, "{left:?} and {right:?}");
                }
            }
        }
    }

    #[test]
    fn a_table_finds_the_places_of_its_keys() {
        let mut table = KeyTable::new();
        let rows: Vec<u64> = (0..10_000).map(|number| number * 7).collect();
        let hash = |table: &KeyTable, row: u64| {
            let mut hasher = table.hasher();
            hasher.write_u64(row);
            hasher.finish()
        };
        for (place, row) in rows.iter().enumerate() {
            let hash = hash(&table, *row);
            assert_eq!(table.find(hash, |place| rows[place] == *row), None);
            table.insert(hash, place);
        }
        for (place, row) in rows.iter().enumerate() {
            let hash = hash(&table, *row);
            assert_eq!(table.find(hash, |place| rows[place] == *row), Some(place));
            *table.find_mut(hash, |place| rows[place] == *row).unwrap() = place;
        }
        // Keys of one hash are told apart.
        table.insert(1, 20_000);
        table.insert(1, 20_001);
        assert_eq!(table.find(1, |place| place == 20_001), Some(20_001));
        assert_eq!(table.find(1, |_| false), None);
        table.clear();
        assert!(table.is_empty());
    }
}
