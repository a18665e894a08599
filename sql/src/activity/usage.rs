//! What statements have read and written of tables and indexes, and transactions of databases (`pg_stat_user_tables` and its
//! like).
//!
//! ```text
//! operators, writers ─▶ Used (session) ──after each statement──▶ Usage (gateway) ──asked for──▶ views, at any gateway
//! ```
//!
//! As in PostgreSQL what was read and written counts whatever became of its transaction. A gateway counts since it was started,
//! or since it was asked to begin anew.
//!
//! # Invariants
//! - A gateway knows so many objects and no more: of those of which least was done one in twenty goes when there are more.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use client::gateways::UsageCounts;
use parking_lot::Mutex;

use crate::catalog::Oid;

/// So many tables, indexes and databases are known at a time.
const OBJECTS_MAX: usize = 20_000;

/// So many are kept at hand while a statement runs.
const AT_HAND_MAX: usize = 64;

/// What is counted: a database and a table or an index in it, or 0 for the database itself. Oids are a database's own.
pub(crate) type UsedObject = (Oid, Oid);

/// What was done to one object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Scans: of a table those of all of it in order, of an index those that look something up.
    pub(crate) scans: u64,
    /// Rows that a table's scans have read, entries that an index's have.
    pub(crate) read: u64,
    /// Rows that an index has led to.
    pub(crate) fetched: u64,
    /// Rows that were inserted.
    pub(crate) inserted: u64,
    /// Rows that were changed.
    pub(crate) updated: u64,
    /// Rows that were deleted.
    pub(crate) deleted: u64,
    /// Of a database: transactions that were committed.
    pub(crate) commits: u64,
    /// Of a database: transactions that were rolled back.
    pub(crate) rollbacks: u64,
    /// Of a database: deadlocks that were ended at the cost of one of its transactions.
    pub(crate) deadlocks: u64,
}

impl Counts {
    fn each(&mut self) -> [&mut u64; 9] {
        [
            &mut self.scans,
            &mut self.read,
            &mut self.fetched,
            &mut self.inserted,
            &mut self.updated,
            &mut self.deleted,
            &mut self.commits,
            &mut self.rollbacks,
            &mut self.deadlocks,
        ]
    }

    /// Adds others to them.
    pub(crate) fn add(&mut self, mut others: Self) {
        for (own, other) in self.each().into_iter().zip(others.each()) {
            *own = own.saturating_add(*other);
        }
    }

    fn sum(mut self) -> u64 {
        self.each().into_iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    fn message(self, (database, oid): UsedObject) -> UsageCounts {
        UsageCounts {
            database,
            oid,
            scans: self.scans,
            read: self.read,
            fetched: self.fetched,
            inserted: self.inserted,
            updated: self.updated,
            deleted: self.deleted,
            commits: self.commits,
            rollbacks: self.rollbacks,
            deadlocks: self.deadlocks,
        }
    }

    fn of(message: &UsageCounts) -> Self {
        Self {
            scans: message.scans,
            read: message.read,
            fetched: message.fetched,
            inserted: message.inserted,
            updated: message.updated,
            deleted: message.deleted,
            commits: message.commits,
            rollbacks: message.rollbacks,
            deadlocks: message.deadlocks,
        }
    }
}

/// What a gateway's sessions have done.
#[derive(Debug, Default)]
pub(crate) struct Usage(Mutex<HashMap<UsedObject, Counts>>);

impl Usage {
    /// Takes in what was done in a database.
    fn take(&self, database: Oid, done: &[(Oid, Counts)], of_database: Counts) {
        let mut known = self.0.lock();
        let mut all = of_database;
        for (oid, counts) in done {
            known.entry((database, *oid)).or_default().add(*counts);
            all.add(Counts { scans: 0, ..*counts });
        }
        known.entry((database, 0)).or_default().add(all);
        if known.len() > OBJECTS_MAX {
            make_room(&mut known);
        }
    }

    /// Begins anew to count what is done to an object of a database; 0: to all of it.
    pub(super) fn reset(&self, database: Oid, oid: Oid) {
        let mut known = self.0.lock();
        match oid {
            0 => known.retain(|(counted, _), _| *counted != database),
            oid => {
                known.remove(&(database, oid));
            }
        }
    }

    /// What was counted.
    pub(super) fn counts(&self) -> Vec<UsageCounts> {
        self.0.lock().iter().map(|(counted, counts)| counts.message(*counted)).collect()
    }
}

fn make_room(known: &mut HashMap<UsedObject, Counts>) {
    let mut sums: Vec<u64> = known.values().map(|counts| counts.sum()).collect();
    sums.sort_unstable();
    let border = sums.get(sums.len() / 20).copied().unwrap_or(u64::MAX);
    let mut left = sums.len() / 20 + 1;
    known.retain(|_, counts| {
        let goes = left > 0 && counts.sum() <= border;
        left -= usize::from(goes);
        !goes
    });
}

/// What several gateways have counted, taken together.
pub(super) fn merge(counts: impl Iterator<Item = UsageCounts>) -> BTreeMap<UsedObject, Counts> {
    let mut merged: BTreeMap<UsedObject, Counts> = BTreeMap::new();
    for one in counts {
        merged.entry((one.database, one.oid)).or_default().add(Counts::of(&one));
    }
    merged
}

/// What a session has done since that was last taken in.
#[derive(Debug)]
pub(crate) struct Used {
    usage: Arc<Usage>,
    database: Oid,
    objects: Vec<(Oid, Counts)>,
    /// Of the database itself.
    own: Counts,
}

impl Used {
    /// Nothing yet, in a database.
    pub(crate) fn new(usage: Arc<Usage>, database: Oid) -> Self {
        Self { usage, database, objects: Vec::new(), own: Counts::default() }
    }

    /// Where it is counted what is done to a table or an index.
    pub(crate) fn of(&mut self, oid: Oid) -> &mut Counts {
        if self.objects.len() >= AT_HAND_MAX && !self.objects.iter().any(|(known, _)| *known == oid) {
            self.settle();
        }
        let found = self.objects.iter().position(|(known, _)| *known == oid);
        let place = found.unwrap_or_else(|| {
            self.objects.push((oid, Counts::default()));
            self.objects.len().saturating_sub(1)
        });
        match self.objects.get_mut(place) {
            Some((_, counts)) => counts,
            None => &mut self.own,
        }
    }

    /// Where it is counted what becomes of transactions.
    pub(crate) fn of_database(&mut self) -> &mut Counts {
        &mut self.own
    }

    /// A statement is run again: what it had done to tables is none of what it does.
    pub(crate) fn forget(&mut self) {
        self.objects.clear();
    }

    /// Has all of it seen by others.
    pub(crate) fn settle(&mut self) {
        if self.objects.is_empty() && self.own == Counts::default() {
            return;
        }
        self.usage.take(self.database, &self.objects, std::mem::take(&mut self.own));
        self.objects.clear();
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sessions_have_done_is_taken_together() {
        let usage = Arc::<Usage>::default();
        for rows in [3, 4] {
            let mut used = Used::new(usage.clone(), 5);
            used.of(7).inserted += rows;
            used.of(8).fetched += 1;
            used.of(7).inserted += 1;
            used.of_database().commits += 1;
            drop(used);
        }
        let mut copy = Used::new(usage.clone(), 6);
        copy.of(7).deleted += 1;
        drop(copy);
        let merged = merge(usage.counts().into_iter().chain(usage.counts()));
        // Another database has the same oids, for one was made of the other.
        assert_eq!(merged[&(6, 7)], Counts { deleted: 2, ..Counts::default() });
        assert_eq!(merged[&(5, 7)], Counts { inserted: 18, ..Counts::default() });
        assert_eq!(merged[&(5, 8)].fetched, 4);
        assert_eq!(merged[&(5, 0)], Counts { inserted: 18, fetched: 4, commits: 4, ..Counts::default() });
        // One object, and then a whole database, begin anew; others do not.
        usage.reset(5, 7);
        let kept = |usage: &Usage| merge(usage.counts().into_iter()).into_keys().collect::<Vec<_>>();
        assert_eq!(kept(&usage), [(5, 0), (5, 8), (6, 0), (6, 7)]);
        usage.reset(5, 0);
        assert_eq!(kept(&usage), [(6, 0), (6, 7)]);
    }

    #[test]
    fn objects_of_which_least_was_done_make_room() {
        let usage = Arc::<Usage>::default();
        let mut used = Used::new(usage.clone(), 1);
        used.of(2).read = 1_000_000;
        for oid in 10..10 + 2 * OBJECTS_MAX as Oid {
            used.of(oid).scans += 1;
        }
        used.settle();
        let counts = usage.counts();
        assert!(counts.len() <= OBJECTS_MAX);
        assert!(counts.iter().any(|counts| counts.oid == 2));
    }
}
