//! A map of keys that mostly come in their order, as those of a statement over a stretch of a table do.
//!
//! ```text
//! map   := chunk …      the keys of each above all those of the one before
//! chunk := (key, value) …      ascending, at most so many
//! ```
//! Where the last key was, and where the one was that was elsewhere, the next is looked for first: rows and their entries
//! come in turns. One that follows there is compared with a few keys and found to be missing, however large the map is. Any
//! other is searched for among the first keys of chunks, and within one. A chunk that is full and grows at its end is left full.

use std::mem;

use bytes::Bytes;

/// So many entries a chunk has at most.
const CHUNK: usize = 128;

/// A chunk with fewer takes what does not fit into the one before.
const CHUNK_SMALL: usize = CHUNK / 2;

type Chunk<V> = Vec<(Bytes, V)>;

/// A map of keys.
///
/// Invariants: keys ascend within a chunk and from chunk to chunk; no chunk in `rest` is empty; `len` counts them all.
#[derive(Debug)]
pub(super) struct SortedMap<V> {
    /// The first chunk, which small maps make do with.
    head: Chunk<V>,
    rest: Vec<Chunk<V>>,
    len: usize,
    /// The chunk that was changed last, if it is there still.
    last: usize,
    /// The one before that.
    other: usize,
}

impl<V> Default for SortedMap<V> {
    fn default() -> Self {
        Self { head: Vec::new(), rest: Vec::new(), len: 0, last: 0, other: 0 }
    }
}

impl<V> SortedMap<V> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn contains_key(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&V> {
        let chunk = self.chunk(self.chunk_of(key));
        let place = place(chunk, key).ok()?;
        chunk.get(place).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        let of = self.chunk_of(key);
        let chunk = self.chunk_mut(of);
        let place = place(chunk, key).ok()?;
        chunk.get_mut(place).map(|(_, value)| value)
    }

    /// Puts a value under a key; the one that was there.
    pub(super) fn insert(&mut self, key: Bytes, value: V) -> Option<V> {
        let of = self.chunk_of(&key);
        let chunk = self.chunk_mut(of);
        let place = match place(chunk, &key) {
            Ok(place) => return chunk.get_mut(place).map(|(_, known)| mem::replace(known, value)),
            Err(place) => place,
        };
        if chunk.len() < CHUNK {
            chunk.insert(place, (key, value));
            self.turn_to(of);
        } else if place == chunk.len() {
            self.add_behind(of, key, value);
        } else {
            let mut upper = chunk.split_off(CHUNK / 2);
            let is_upper = place > CHUNK / 2;
            if is_upper {
                upper.insert(place - CHUNK / 2, (key, value));
            } else {
                chunk.insert(place, (key, value));
            }
            self.put_behind(of, upper);
            self.last = of + usize::from(is_upper);
        }
        self.len += 1;
        None
    }

    /// Takes a key out; its value.
    pub(super) fn remove(&mut self, key: &[u8]) -> Option<V> {
        let of = self.chunk_of(key);
        let chunk = self.chunk_mut(of);
        let place = place(chunk, key).ok()?;
        let (_, value) = chunk.remove(place);
        let is_left = !chunk.is_empty();
        // What stays must not hold on to the room of what goes.
        if chunk.capacity() > chunk.len().max(4).saturating_mul(4) {
            chunk.shrink_to(chunk.len().saturating_mul(2));
        }
        self.len -= 1;
        self.turn_to(of);
        if let Some(of_rest) = of.checked_sub(1).filter(|_| !is_left) {
            self.rest.remove(of_rest);
        }
        Some(value)
    }

    /// Keeps those entries alone of which `keeps` says so, asked in the order of their keys.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&Bytes, &V) -> bool) {
        let all = mem::take(self);
        for (key, value) in all.head.into_iter().chain(all.rest.into_iter().flatten()) {
            if keeps(&key, &value) {
                self.insert(key, value);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Bytes, &V)> {
        self.head.iter().chain(self.rest.iter().flatten()).map(|entry| (&entry.0, &entry.1))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Bytes> {
        self.iter().map(|(key, _)| key)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The least and the greatest key.
    pub(super) fn ends(&self) -> Option<(&Bytes, &Bytes)> {
        let first = self.head.first().or_else(|| self.rest.first()?.first());
        let last = self.rest.last().unwrap_or(&self.head).last();
        Some((&first?.0, &last?.0))
    }

    /// The entries with `start <= key < end`, where `end` is not below `start`.
    pub(super) fn range<'a>(
        &'a self,
        start: &[u8],
        end: &[u8],
    ) -> impl DoubleEndedIterator<Item = (&'a Bytes, &'a V)> + use<'a, V> {
        let (first, from) = self.lower(start);
        let (last, to) = self.lower(end);
        let entries = (first..=last).flat_map(move |of| {
            let chunk = self.chunk(of);
            let low = if of == first { from } else { 0 };
            let high = if of == last { to } else { chunk.len() };
            chunk.get(low..high).unwrap_or_default()
        });
        entries.map(|entry| (&entry.0, &entry.1))
    }

    /// The first place at or above a key: its chunk, and where in that.
    fn lower(&self, key: &[u8]) -> (usize, usize) {
        let of = self.chunk_of(key);
        match place(self.chunk(of), key) {
            Ok(place) | Err(place) => (of, place),
        }
    }

    /// The chunk that a key is in, or belongs into.
    fn chunk_of(&self, key: &[u8]) -> usize {
        for of in [self.last, self.other] {
            if self.begins_below(of, key) && !self.begins_below(of + 1, key) {
                return of;
            }
        }
        self.rest.partition_point(|chunk| chunk.first().is_some_and(|(first, _)| first.as_ref() <= key))
    }

    /// A chunk is changed.
    fn turn_to(&mut self, of: usize) {
        if of != self.last {
            self.other = mem::replace(&mut self.last, of);
        }
    }

    /// Adds an entry that belongs behind all those of a full chunk, and before the next: into that one while it is small, or
    /// keys that descend would get a chunk each.
    fn add_behind(&mut self, of: usize, key: Bytes, value: V) {
        // The one behind the first is the first of the rest, and so on.
        let next = self.rest.get_mut(of);
        // What ascends at the end fills its chunk, and has room for that at once.
        let room = if next.is_none() { CHUNK } else { 1 };
        if let Some(next) = next.filter(|next| next.len() < CHUNK_SMALL) {
            next.insert(0, (key, value));
            self.turn_to(of + 1);
        } else {
            let mut chunk = Vec::with_capacity(room);
            chunk.push((key, value));
            self.put_behind(of, chunk);
            self.last = of + 1;
        }
    }

    /// Adds a chunk behind one, which is changed.
    fn put_behind(&mut self, of: usize, chunk: Chunk<V>) {
        self.turn_to(of);
        // The one behind the first is the first of the rest, and so on.
        self.rest.insert(of, chunk);
        self.other += usize::from(self.other > of);
    }

    /// Whether there is a chunk at a place, and it begins at or below a key: the head reaches down to the least.
    fn begins_below(&self, of: usize, key: &[u8]) -> bool {
        let Some(of_rest) = of.checked_sub(1) else { return true };
        let first = self.rest.get(of_rest).and_then(|chunk| chunk.first());
        first.is_some_and(|(first, _)| first.as_ref() <= key)
    }

    fn chunk(&self, of: usize) -> &[(Bytes, V)] {
        match of.checked_sub(1) {
            None => &self.head,
            Some(of_rest) => self.rest.get(of_rest).map(Vec::as_slice).unwrap_or_default(),
        }
    }

    /// As [`SortedMap::chunk`], of a chunk that is there.
    fn chunk_mut(&mut self, of: usize) -> &mut Chunk<V> {
        match of.checked_sub(1).and_then(|of_rest| self.rest.get_mut(of_rest)) {
            Some(chunk) => chunk,
            None => &mut self.head,
        }
    }
}

/// Where in a chunk a key is, or belongs.
fn place<V>(chunk: &[(Bytes, V)], key: &[u8]) -> Result<usize, usize> {
    match chunk.last() {
        Some((last, _)) if last.as_ref() < key => Err(chunk.len()),
        _ => chunk.binary_search_by(|(other, _)| Ord::cmp(&**other, key)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn key(number: u32) -> Bytes {
        Bytes::copy_from_slice(&number.to_be_bytes())
    }

    fn check(map: &SortedMap<u64>, model: &BTreeMap<Bytes, u64>, from: u32, to: u32) {
        assert_eq!(map.len(), model.len());
        assert!(map.iter().eq(model.iter()));
        assert_eq!(
            map.ends(),
            model.first_key_value().map(|(key, _)| key).zip(model.last_key_value().map(|(key, _)| key))
        );
        let (from, to) = (key(from.min(to)), key(from.max(to)));
        assert!(map.range(&from, &to).eq(model.range(from.clone()..to.clone())));
        assert!(map.range(&from, &to).rev().eq(model.range(from..to).rev()));
        assert!(map.rest.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK));
    }

    /// Against the map that everybody knows, with keys that ascend at several places, others in between, and such as go.
    #[test]
    fn it_is_a_map() {
        let mut random = 12345_u64;
        let mut below = |bound: u32| {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (random >> 33) as u32 % bound
        };
        for round in 0..20 {
            let (mut map, mut model) = (SortedMap::default(), BTreeMap::new());
            let mut next = [0, 100_000, 50_000];
            for step in 0..3000_u64 {
                let number = match below(8) {
                    7 => below(150_000),
                    which => {
                        let which = which as usize % next.len();
                        next[which] += 1 + below(2);
                        next[which]
                    }
                };
                let goes = below(10) < round % 4;
                let key = key(number);
                if goes {
                    let gone = model.keys().nth(below(model.len() as u32 + 1) as usize).cloned();
                    let gone = gone.unwrap_or(key);
                    assert_eq!(map.remove(&gone), model.remove(&gone));
                    assert_eq!(map.get(&gone), None);
                } else {
                    assert_eq!(map.insert(key.clone(), step), model.insert(key.clone(), step));
                    assert_eq!(map.get(&key), Some(&step));
                    if let Some(value) = map.get_mut(&key) {
                        *value += 1;
                    }
                    if let Some(value) = model.get_mut(&key) {
                        *value += 1;
                    }
                }
                if step.is_multiple_of(100) {
                    check(&map, &model, below(150_000), below(150_000));
                }
            }
            check(&map, &model, 0, 50_000);
            map.retain(|key, value| key[3].is_multiple_of(3) && value.is_multiple_of(2));
            model.retain(|key, value| key[3].is_multiple_of(3) && value.is_multiple_of(2));
            check(&map, &model, 0, 50_000);
            map.clear();
            check(&map, &BTreeMap::new(), 0, 1);
        }
    }

    #[test]
    fn what_ascends_fills_its_chunks() {
        let mut map = SortedMap::default();
        for number in 0..10_000 {
            map.insert(key(number), ());
        }
        assert_eq!(map.rest.len(), 10_000_usize.div_ceil(CHUNK) - 1);
        for number in 0..10_000 {
            assert_eq!(map.remove(&key(number)), Some(()));
        }
        assert!(map.is_empty() && map.rest.is_empty() && map.ends().is_none());
    }

    #[test]
    fn chunks_take_no_more_room_than_what_is_in_them() {
        let mut map = SortedMap::default();
        for number in (0..CHUNK as u32).chain((1_000..10_000_u32).rev()) {
            map.insert(key(number), ());
        }
        assert!(map.keys().is_sorted());
        assert!(map.rest.len() <= 9_000_usize.div_ceil(CHUNK_SMALL), "{} chunks", map.rest.len());
        for number in (1_000..10_000_u32).filter(|number| !number.is_multiple_of(50)) {
            assert_eq!(map.remove(&key(number)), Some(()));
        }
        assert_eq!(map.len(), CHUNK + 180);
        assert!(map.rest.iter().all(|chunk| chunk.capacity() <= 16));
    }
}
