//! Things by name, of which the unnamed one is asked for with every statement.

use std::collections::HashMap;

/// Things by name; the name "" costs no look-up.
pub(super) struct Named<T> {
    unnamed: Option<T>,
    others: HashMap<String, T>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self { unnamed: None, others: HashMap::new() }
    }
}

impl<T> Named<T> {
    pub(super) fn get(&self, name: &str) -> Option<&T> {
        if name.is_empty() { self.unnamed.as_ref() } else { self.others.get(name) }
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        if name.is_empty() { self.unnamed.as_mut() } else { self.others.get_mut(name) }
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Gives the name to this thing; the one that had it is gone.
    pub(super) fn insert(&mut self, name: &str, thing: T) {
        if name.is_empty() {
            self.unnamed = Some(thing);
        } else {
            self.others.insert(name.to_owned(), thing);
        }
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<T> {
        if name.is_empty() { self.unnamed.take() } else { self.others.remove(name) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unnamed.is_none() && self.others.is_empty()
    }

    /// Forgets all but the unnamed one.
    pub(super) fn clear_named(&mut self) {
        self.others.clear();
    }

    pub(super) fn clear(&mut self) {
        self.unnamed = None;
        self.others.clear();
    }

    /// Keeps those of which `keeps` is true.
    pub(super) fn retain(&mut self, keeps: impl Fn(&T) -> bool) {
        self.unnamed.take_if(|thing| !keeps(thing));
        self.others.retain(|_, thing| keeps(thing));
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.unnamed.iter_mut().chain(self.others.values_mut())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        let unnamed = self.unnamed.as_ref().map(|thing| ("", thing));
        unnamed.into_iter().chain(self.others.iter().map(|(name, thing)| (name.as_str(), thing)))
    }
}
