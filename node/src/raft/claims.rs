//! Which replica a store holds of each range, or is about to: whoever brings one claims it first.
//!
//! Replicas come from their leader's messages, and from splits, whose effect is written where entries are applied. The two
//! meet here: a range has one replica on a store, and one that was given up never comes back.

use std::collections::BTreeMap;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::mpsc;

use super::role::RaftError;

/// A replica that a split has written into the engine, and that is to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Born {
    pub(super) range_id: u64,
    pub(super) replica_id: u64,
    /// The range that was divided.
    pub(super) beside: u64,
}

/// What a store's replicas are.
///
/// # Invariants
///
/// - At most one replica of a range is here, or on its way; its id is above all that were given up.
/// - What a range has in the engine is replaced by one at a time ([`Claims::replacing`]).
pub(super) struct Claims {
    held: Mutex<Held>,
    born: mpsc::UnboundedSender<Born>,
    replacing: Mutex<()>,
}

#[derive(Default)]
struct Held {
    /// By range the newest replica id that was given up.
    removed: BTreeMap<u64, u64>,
    /// By range the replica that is here.
    here: BTreeMap<u64, u64>,
}

impl Claims {
    /// Nobody is here yet; these were, by range. And where replicas come out that splits have made: no more than ranges are
    /// divided.
    pub(super) fn new(removed: BTreeMap<u64, u64>) -> (Self, mpsc::UnboundedReceiver<Born>) {
        let (born, births) = mpsc::unbounded_channel();
        let held = Mutex::new(Held { removed, here: BTreeMap::new() });
        (Self { held, born, replacing: Mutex::default() }, births)
    }

    /// While the answer lives, nobody else replaces the state of a range on this store: a split the one of its new range, an
    /// installed snapshot or a removal their own range's. What the engine says of that range then, and whether it may be
    /// here, stays so until it is written. Blocks, as long as a snapshot is installed.
    pub(super) fn replacing(&self) -> MutexGuard<'_, ()> {
        self.replacing.lock()
    }

    /// The store is to hold this replica; whether it did not yet.
    pub(super) fn claim(&self, range_id: u64, replica_id: u64) -> Result<bool, RaftError> {
        let mut held = self.held.lock();
        if held.removed.get(&range_id).is_some_and(|removed| replica_id <= *removed) {
            return Err(RaftError::Removed { range_id, replica_id });
        }
        match held.here.get(&range_id) {
            Some(here) if *here == replica_id => Ok(false),
            Some(here) => Err(RaftError::Exists { range_id, replica_id: *here }),
            None => {
                held.here.insert(range_id, replica_id);
                Ok(true)
            }
        }
    }

    /// The replica has not come after all.
    pub(super) fn give_up(&self, range_id: u64, replica_id: u64) {
        let mut held = self.held.lock();
        if held.here.get(&range_id) == Some(&replica_id) {
            held.here.remove(&range_id);
        }
    }

    /// The replica is gone for good.
    pub(super) fn remove(&self, range_id: u64, replica_id: u64) {
        let mut held = self.held.lock();
        if held.here.get(&range_id) == Some(&replica_id) {
            held.here.remove(&range_id);
        }
        let removed = held.removed.entry(range_id).or_insert(replica_id);
        *removed = replica_id.max(*removed);
    }

    /// The replicas that are gone, newest replica id by range.
    pub(super) fn removed(&self) -> Vec<(u64, u64)> {
        self.held.lock().removed.iter().map(|(range, replica)| (*range, *replica)).collect()
    }

    /// A replica that was claimed can be read in the engine.
    pub(super) fn born(&self, born: Born) {
        // Nobody listens where the store ends: it is found in the engine when that is opened again.
        let _ = self.born.send(born);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_one_replica_here_and_none_comes_back() {
        let (claims, _births) = Claims::new(BTreeMap::from([(7, 3)]));
        assert!(matches!(claims.claim(7, 3), Err(RaftError::Removed { .. })));
        assert!(claims.claim(7, 4).unwrap());
        assert!(!claims.claim(7, 4).unwrap());
        assert!(matches!(claims.claim(7, 5), Err(RaftError::Exists { replica_id: 4, .. })));
        claims.give_up(7, 4);
        assert!(claims.claim(7, 4).unwrap());
        claims.remove(7, 4);
        assert!(claims.claim(7, 4).is_err() && claims.claim(7, 5).unwrap());
        assert_eq!(claims.removed(), [(7, 4)]);
    }
}
