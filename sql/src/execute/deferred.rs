//! Foreign keys that are judged at the commit, or when the transaction asks for it.
//!
//! What is kept is a key alone: at the end it must be there, or no row may reference it. So rows that came and went, and
//! keys that went and came, owe nothing.

use std::collections::BTreeMap;

use expr::Datum;

use super::memory::row_bytes;
use crate::catalog::{CatalogSnapshot, ForeignKey, Oid};

/// What a key takes beside its values.
const KEY_BYTES: usize = 96;

/// What a transaction owes foreign keys.
#[derive(Debug, Default)]
pub(crate) struct Deferred {
    owed: Vec<Owed>,
    bytes: usize,
    /// SET CONSTRAINTS ALL
    all: Option<bool>,
    /// SET CONSTRAINTS of some since, the last first.
    named: BTreeMap<Oid, bool>,
}

/// How it was when a savepoint was made.
#[derive(Debug, Clone)]
pub(crate) struct DeferredMark {
    owed: usize,
    all: Option<bool>,
    named: BTreeMap<Oid, bool>,
}

/// A key of a foreign key.
#[derive(Debug, Clone)]
pub(crate) struct Owed {
    /// The referencing table.
    pub(crate) table: Oid,
    /// The foreign key.
    pub(crate) key: Oid,
    /// Of the types of the referenced columns.
    pub(crate) values: Vec<Datum>,
    /// Whether it was taken away, not referenced.
    pub(crate) gone: bool,
}

impl Owed {
    fn bytes(&self) -> usize {
        row_bytes(&self.values).saturating_add(KEY_BYTES)
    }
}

impl Deferred {
    /// Whether a foreign key is judged at the commit.
    pub(crate) fn defers(&self, key: &ForeignKey) -> bool {
        key.deferrable && self.named.get(&key.oid).copied().or(self.all).unwrap_or(key.deferred)
    }

    /// SET CONSTRAINTS: of these, or of all.
    pub(crate) fn set(&mut self, keys: Option<&[Oid]>, deferred: bool) {
        match keys {
            None => {
                self.all = Some(deferred);
                self.named.clear();
            }
            Some(keys) => self.named.extend(keys.iter().map(|key| (*key, deferred))),
        }
    }

    /// Keeps a key for later.
    pub(crate) fn owe(&mut self, owed: Owed) {
        self.bytes = self.bytes.saturating_add(owed.bytes());
        self.owed.push(owed);
    }

    /// How much it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether anything is owed.
    pub(crate) fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Forgets what is owed: the transaction begins anew.
    pub(crate) fn forget_owed(&mut self) {
        self.owed.clear();
        self.bytes = 0;
    }

    /// How it is now.
    pub(crate) fn mark(&self) -> DeferredMark {
        DeferredMark { owed: self.owed.len(), all: self.all, named: self.named.clone() }
    }

    /// Goes back to how it was.
    pub(crate) fn rollback_to(&mut self, mark: &DeferredMark) {
        self.owed.truncate(mark.owed);
        self.bytes = self.owed.iter().map(Owed::bytes).sum();
        self.all = mark.all;
        self.named.clone_from(&mark.named);
    }

    /// What is owed to foreign keys that are not deferred any more, or all of it, with its places.
    pub(crate) fn due(&self, all: bool) -> impl Iterator<Item = (usize, &Owed)> {
        self.owed.iter().enumerate().filter(move |(_, owed)| all || !self.waits(owed.key))
    }

    /// Whether anything is owed by rows of a table: keys that they reference, or that they took away.
    pub(crate) fn is_owed_by(&self, table: Oid, catalog: &CatalogSnapshot) -> bool {
        let parent = |owed: &Owed| {
            let keys = &catalog.table_by_oid(owed.table)?.constraints.foreign_keys;
            keys.iter().find(|key| key.oid == owed.key).map(|key| key.parent)
        };
        self.owed.iter().any(|owed| match owed.gone {
            true => parent(owed) == Some(table),
            false => owed.table == table,
        })
    }

    /// What is owed at a place.
    pub(crate) fn get(&self, place: usize) -> Option<&Owed> {
        self.owed.get(place)
    }

    /// What was due is judged, and nothing that makes it owed again can come: no savepoint stands.
    pub(crate) fn judged(&mut self) {
        let mut owed = std::mem::take(&mut self.owed);
        owed.retain(|owed| self.waits(owed.key));
        self.bytes = owed.iter().map(Owed::bytes).sum();
        self.owed = owed;
    }

    fn waits(&self, key: Oid) -> bool {
        self.named.get(&key).copied().or(self.all).unwrap_or(true)
    }
}
