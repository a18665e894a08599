//! Who watches at a door: so many at once, and so many of one role, so that none has the places of all the others.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// So many clients watch at a door at once, and so many of one role.
const WATCHERS_MAX: usize = 500;
const OF_ROLE_MAX: usize = 250;

/// How many of each role watch.
#[derive(Default)]
pub(super) struct Watchers(Mutex<HashMap<Arc<str>, usize>>);

/// One of them, until dropped.
pub(super) struct Watcher {
    all: Arc<Watchers>,
    role: Arc<str>,
}

impl Watchers {
    /// One more of this role; none: there are too many.
    pub(super) fn admit(self: &Arc<Self>, role: &Arc<str>) -> Option<Watcher> {
        let mut by_role = self.0.lock();
        let of_role = by_role.get(role).copied().unwrap_or(0);
        let of_all: usize = by_role.values().sum();
        if of_role >= OF_ROLE_MAX || of_all >= WATCHERS_MAX {
            return None;
        }
        by_role.insert(role.clone(), of_role.saturating_add(1));
        drop(by_role);
        Some(Watcher { all: self.clone(), role: role.clone() })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut by_role = self.all.0.lock();
        let left = by_role.get(&self.role).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            by_role.remove(&self.role);
        } else {
            by_role.insert(self.role.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_some_places_and_leaves_others_to_others() {
        let watchers = Arc::<Watchers>::default();
        let many = |role: &str, count: usize| -> Vec<Option<Watcher>> {
            let role = Arc::from(role);
            (0..count).map(|_| watchers.admit(&role)).collect()
        };
        let ann = many("ann", OF_ROLE_MAX + 1);
        assert_eq!(ann.iter().flatten().count(), OF_ROLE_MAX);
        let bob = many("bob", 100);
        let cid = many("cid", WATCHERS_MAX);
        let free = WATCHERS_MAX - OF_ROLE_MAX - 100;
        assert_eq!((bob.iter().flatten().count(), cid.iter().flatten().count()), (100, free));
        drop(bob);
        let more = many("bob", WATCHERS_MAX);
        assert_eq!(more.iter().flatten().count(), 100);
        drop((ann, cid, more));
        assert!(watchers.0.lock().is_empty());
    }
}
