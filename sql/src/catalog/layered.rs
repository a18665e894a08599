//! A map in two layers: what everybody sees, and what a session has beside it.
//!
//! Clones share both; a change copies the layer that it is in, if that is shared. So what a session has of its own costs a copy of
//! that alone, however large the catalog is, and whenever somebody else has changed it.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A map in two layers.
///
/// # Invariants
/// - A key is in one layer at most.
#[derive(Debug, Clone)]
pub(super) struct Layered<K, V> {
    shared: Arc<BTreeMap<K, V>>,
    own: Arc<BTreeMap<K, V>>,
}

impl<K, V> Default for Layered<K, V> {
    fn default() -> Self {
        Self { shared: Arc::default(), own: Arc::default() }
    }
}

impl<K: Ord + Clone, V: Clone> Layered<K, V> {
    /// What is there under a key.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.own.get(key).or_else(|| self.shared.get(key))
    }

    /// Puts something where everybody sees it.
    pub(super) fn insert(&mut self, key: K, value: V) {
        Arc::make_mut(&mut self.shared).insert(key, value);
    }

    /// Puts something where the session alone sees it.
    pub(super) fn insert_own(&mut self, key: K, value: V) {
        Arc::make_mut(&mut self.own).insert(key, value);
    }

    /// Takes away what is there under a key, in whichever layer.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let layer = [&mut self.own, &mut self.shared].into_iter().find(|layer| layer.contains_key(key));
        layer.and_then(|layer| Arc::make_mut(layer).remove(key))
    }

    /// All of it, in the order of the keys.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        let (mut shared, mut own) = (self.shared.iter().peekable(), self.own.iter().peekable());
        std::iter::from_fn(move || {
            let next = match (shared.peek(), own.peek()) {
                (Some((left, _)), Some((right, _))) if right < left => own.next(),
                (None, _) => own.next(),
                (Some(_), _) => shared.next(),
            };
            next.map(|(_, value)| value)
        })
    }

    /// The same, to be changed, in no order.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        let shared = Arc::make_mut(&mut self.shared).values_mut();
        shared.chain(Arc::make_mut(&mut self.own).values_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(map: &Layered<u32, &'static str>) -> Vec<&'static str> {
        map.values().copied().collect()
    }

    #[test]
    fn both_layers_are_one_map() {
        let mut map = Layered::default();
        map.insert(1, "a");
        map.insert(3, "c");
        let shared = map.clone();
        map.insert_own(2, "b");
        map.insert_own(4, "d");
        assert_eq!(all(&map), ["a", "b", "c", "d"]);
        assert_eq!(all(&shared), ["a", "c"]);
        assert!(Arc::ptr_eq(&map.shared, &shared.shared));
        assert_eq!((map.get(&2), map.get(&3), map.get(&5)), (Some(&"b"), Some(&"c"), None));
        assert_eq!((map.remove(&2), map.remove(&2), map.remove(&1)), (Some("b"), None, Some("a")));
        map.values_mut().for_each(|value| *value = "x");
        assert_eq!(all(&map), ["x", "x"]);
        assert_eq!(all(&shared), ["a", "c"]);
    }
}
