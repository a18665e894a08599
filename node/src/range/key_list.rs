//! The keys that one request writes, ascending: one list, which all share that keep an eye on them while it is under way.
//!
//! A list of many keys stays what it is. To put each key of it into a map, and to take it out again, costs more than all that
//! the map is asked meanwhile: of such lists there are few at a time, and most who ask find by its ends that they have nothing
//! to do with it.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

/// A list of so many keys is kept as a list.
const MANY: usize = 64;

/// Keys, ascending, none of them twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyList(Arc<[Bytes]>);

impl KeyList {
    /// Of keys that ascend.
    pub(crate) fn ascending(keys: impl IntoIterator<Item = Bytes>) -> Self {
        let keys = Self(keys.into_iter().collect());
        debug_assert!(keys.is_sorted_by(|a, b| a < b), "what is searched ascends");
        keys
    }

    /// Whether they are kept as a list.
    pub(crate) fn is_long(&self) -> bool {
        self.len() >= MANY
    }

    /// Whether the key is one of them.
    pub(crate) fn has(&self, key: &[u8]) -> bool {
        let (Some(first), Some(last)) = (self.first(), self.last()) else { return false };
        first.as_ref() <= key
            && key <= last.as_ref()
            && self.binary_search_by(|other| Ord::cmp(&**other, key)).is_ok()
    }

    /// Whether one of them is within `start <= key < end` (an empty end: without end).
    pub(crate) fn has_within(&self, start: &[u8], end: &[u8]) -> bool {
        let place = self.partition_point(|key| key.as_ref() < start);
        self.get(place).is_some_and(|key| end.is_empty() || key.as_ref() < end)
    }

    /// Whether the two have a key in common.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let (few, many) = if self.len() <= other.len() { (self, other) } else { (other, self) };
        let (Some(first), Some(last)) = (many.first(), many.last()) else { return false };
        let start = few.partition_point(|key| key < first);
        let mut rest: &[Bytes] = many;
        for key in few.iter().skip(start).take_while(|key| *key <= last) {
            // Twice as far each time: the next is near where the lists lie close together.
            let mut reach = 1;
            while rest.get(reach - 1).is_some_and(|other| other < key) {
                reach *= 2;
            }
            let near = rest.get(..reach).unwrap_or(rest);
            let skipped = near.partition_point(|other| other < key);
            rest = rest.get(skipped..).unwrap_or_default();
            if rest.first() == Some(key) {
                return true;
            }
        }
        false
    }
}

impl Deref for KeyList {
    type Target = [Bytes];

    fn deref(&self) -> &[Bytes] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(numbers: impl IntoIterator<Item = u32>) -> KeyList {
        KeyList::ascending(numbers.into_iter().map(|number| Bytes::copy_from_slice(&number.to_be_bytes())))
    }

    #[test]
    fn a_list_has_its_keys_and_no_others() {
        let even = list((0..200).map(|number| number * 2));
        assert!(even.is_long() && !list(0..3).is_long());
        for number in 0..500_u32 {
            let key = number.to_be_bytes();
            let is_one = number < 400 && number.is_multiple_of(2);
            assert_eq!(even.has(&key), is_one, "{number}");
            assert_eq!(even.has_within(&key, &(number + 1).to_be_bytes()), is_one, "{number}");
            assert_eq!(even.has_within(&key, &[]), number <= 398, "{number}");
            assert!(!even.has_within(&key, &key));
        }
        assert!(!KeyList::default().has(b"") && !KeyList::default().has_within(b"", b""));
    }

    /// Against the plainest way to find it.
    #[test]
    fn two_lists_meet_where_they_have_a_key_in_common() {
        let mut random = 12345_u64;
        let mut below = |bound: u32| {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (random >> 33) as u32 % bound
        };
        let mut met = 0;
        for _ in 0..2000 {
            let mut lists = [Vec::new(), Vec::new()];
            for numbers in &mut lists {
                let (from, wide) = (below(300), 1 + below(300));
                numbers.extend((0..below(40)).map(|_| from + below(wide)));
                numbers.sort_unstable();
                numbers.dedup();
            }
            let [a, b] = lists;
            let expected = a.iter().any(|number| b.contains(number));
            let (a, b) = (list(a), list(b));
            assert_eq!((a.meets(&b), b.meets(&a)), (expected, expected), "{a:?} {b:?}");
            met += u32::from(expected);
        }
        assert!((200..1800).contains(&met), "{met} of 2000 met");
    }
}
