//! Following links: which objects a request needs, and what it answers once they are there.
//!
//! A depth of 0 follows a link that is the object itself, and no other. Each link that is followed takes one off the depth,
//! and so does each list or map that is gone into; below 0 everything stays as it is. Each key is followed once in a
//! request, where it first stands, from the front, what is followed included: a link to one that was followed before, or
//! to the object itself, stays a link. A link to nothing is null, as a GET of it is.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::object::Object;

/// No object has a longer key: a key takes 64 KiB of its row's, with what says which table it is of.
const KEY_BYTES_MAX: usize = 65_526;

/// What is left of the depth; `None`: nothing is followed any more.
type Depth = Option<u8>;

fn below(depth: Depth) -> Depth {
    depth.and_then(|depth| depth.checked_sub(1))
}

/// The keys that are to be read, those to be followed furthest first: whatever of them is reached by several ways is read
/// once, at the greatest depth that it is reached with.
///
/// # Invariants
/// - What is found in an object that was reached with a depth has less of it: no key comes up that was given out with less.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    by_depth: BTreeMap<Depth, Vec<String>>,
    seen: HashSet<String>,
}

impl Wanted {
    /// Those that the object of a key needs.
    pub(super) fn of(key: &str, object: &Object, depth: u8) -> Self {
        let mut wanted = Self { by_depth: BTreeMap::new(), seen: HashSet::from([key.to_owned()]) };
        wanted.add(object, Some(depth));
        wanted
    }

    /// Those that an object needs that was reached with this depth.
    pub(super) fn add(&mut self, object: &Object, depth: Depth) {
        if depth.is_none() {
            return;
        }
        match object {
            // What no object is called leads to nothing.
            Object::Link(key) if key.len() > KEY_BYTES_MAX => {}
            Object::Link(key) => self.by_depth.entry(below(depth)).or_default().push(key.clone()),
            Object::List(items) => items.iter().for_each(|item| self.add(item, below(depth))),
            Object::Map(members) => members.iter().for_each(|(_, value)| self.add(value, below(depth))),
            _ => {}
        }
    }

    /// The next keys, at most so many, all of one depth; each is given out once.
    pub(super) fn take(&mut self, keys_max: usize) -> Option<(Depth, Vec<String>)> {
        loop {
            let mut entry = self.by_depth.last_entry()?;
            let depth = *entry.key();
            let mut keys = Vec::new();
            while keys.len() < keys_max {
                let Some(key) = entry.get_mut().pop() else { break };
                if self.seen.insert(key.clone()) {
                    keys.push(key);
                }
            }
            if entry.get().is_empty() {
                entry.remove();
            }
            if !keys.is_empty() {
                return Some((depth, keys));
            }
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.by_depth.is_empty()
    }
}

/// The object of a key with its links followed. What is not found is not there.
pub(super) fn followed(key: &str, object: Object, depth: u8, found: &mut HashMap<String, Object>) -> Object {
    let mut visited = HashSet::from([key.to_owned()]);
    follow(object, Some(depth), found, &mut visited)
}

/// Every object that is found is moved to where it is followed to: that is one place.
fn follow(
    object: Object,
    depth: Depth,
    found: &mut HashMap<String, Object>,
    visited: &mut HashSet<String>,
) -> Object {
    if depth.is_none() {
        return object;
    }
    match object {
        Object::Link(key) if visited.contains(&key) => Object::Link(key),
        Object::Link(key) => {
            let target = found.remove(&key).unwrap_or(Object::Null);
            visited.insert(key);
            follow(target, below(depth), found, visited)
        }
        Object::List(items) => {
            let items = items.into_iter().map(|item| follow(item, below(depth), found, visited));
            Object::List(items.collect())
        }
        Object::Map(members) => {
            let members =
                members.into_iter().map(|(name, value)| (name, follow(value, below(depth), found, visited)));
            Object::Map(members.collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(key: &str) -> Object {
        Object::Link(key.to_owned())
    }

    fn list(items: &[Object]) -> Object {
        Object::List(items.to_vec())
    }

    /// What a GET answers in a world of these objects.
    fn get(world: &[(&str, Object)], key: &str, depth: u8) -> Object {
        let read =
            |key: &str| world.iter().find(|(known, _)| *known == key).map(|(_, object)| object.clone());
        let root = read(key).unwrap_or(Object::Null);
        let (mut wanted, mut found) = (Wanted::of(key, &root, depth), HashMap::new());
        while let Some((depth, keys)) = wanted.take(2) {
            assert!(keys.len() <= 2);
            for key in keys {
                if let Some(object) = read(&key) {
                    wanted.add(&object, depth);
                    assert!(found.insert(key, object).is_none(), "it is read twice");
                }
            }
        }
        assert!(wanted.is_empty());
        followed(key, root, depth, &mut found)
    }

    #[test]
    fn a_depth_of_0_follows_the_link_at_the_top_and_no_other() {
        let world = [
            ("a", link("b")),
            ("b", Object::Integer(1)),
            ("c", list(&[link("b")])),
            ("d", link("a")),
            ("e", link("c")),
        ];
        assert_eq!(get(&world, "a", 0), Object::Integer(1));
        assert_eq!(get(&world, "c", 0), list(&[link("b")]));
        assert_eq!(get(&world, "d", 0), link("b"));
        assert_eq!(get(&world, "e", 0), list(&[link("b")]));
        assert_eq!(get(&world, "missing", 0), Object::Null);
    }

    #[test]
    fn a_link_and_a_container_take_a_level_each() {
        let world = [
            ("b", Object::Integer(1)),
            ("c", list(&[link("b"), list(&[link("d")])])),
            ("d", Object::Integer(2)),
            ("e", link("c")),
            ("m", Object::Map(vec![("x".to_owned(), link("b"))])),
        ];
        assert_eq!(get(&world, "c", 1), list(&[Object::Integer(1), list(&[link("d")])]));
        assert_eq!(get(&world, "c", 2), list(&[Object::Integer(1), list(&[Object::Integer(2)])]));
        assert_eq!(get(&world, "e", 1), list(&[link("b"), list(&[link("d")])]));
        assert_eq!(get(&world, "e", 2), list(&[Object::Integer(1), list(&[link("d")])]));
        assert_eq!(get(&world, "m", 1), Object::Map(vec![("x".to_owned(), Object::Integer(1))]));
    }

    #[test]
    fn what_was_visited_stays_a_link() {
        let world = [
            ("self", link("self")),
            ("a", list(&[link("b"), link("b")])),
            ("b", list(&[link("a")])),
            ("gone", list(&[link("nowhere"), link("nowhere")])),
        ];
        assert_eq!(get(&world, "self", 255), link("self"));
        assert_eq!(get(&world, "a", 255), list(&[list(&[link("a")]), link("b")]));
        assert_eq!(get(&world, "gone", 1), list(&[Object::Null, link("nowhere")]));
    }

    #[test]
    fn a_link_that_is_longer_than_keys_leads_to_nothing() {
        let long = "k".repeat(KEY_BYTES_MAX + 1);
        let world = [("a", link(&long)), ("l", list(&[link(&long), link("b")])), ("b", Object::Integer(1))];
        assert!(Wanted::of("a", &link(&long), 0).is_empty());
        assert_eq!(get(&world, "a", 0), Object::Null);
        assert_eq!(get(&world, "l", 0), list(&[link(&long), link("b")]));
        assert_eq!(get(&world, "l", 1), list(&[Object::Null, Object::Integer(1)]));
    }

    /// The first place takes the key, however far it is followed there; the way that leads further has had it read.
    #[test]
    fn the_first_place_counts_from_the_front() {
        let world = [
            ("r", list(&[list(&[link("k")]), link("k")])),
            ("k", list(&[link("x")])),
            ("x", Object::Integer(7)),
        ];
        assert_eq!(get(&world, "r", 2), list(&[list(&[list(&[link("x")])]), link("k")]));
        assert_eq!(get(&world, "r", 4), list(&[list(&[list(&[Object::Integer(7)])]), link("k")]));
        let other = [("r", list(&[link("k"), list(&[link("k")])])), world[1].clone(), world[2].clone()];
        assert_eq!(get(&other, "r", 3), list(&[list(&[Object::Integer(7)]), list(&[link("k")])]));
    }

    #[test]
    fn a_long_chain_is_followed_as_far_as_was_asked_for() {
        let names: Vec<String> = (0..400).map(|number| number.to_string()).collect();
        let world: Vec<(&str, Object)> =
            names.iter().zip(names.iter().skip(1)).map(|(from, to)| (from.as_str(), link(to))).collect();
        assert_eq!(get(&world, "0", 255), link("257"));
    }
}
