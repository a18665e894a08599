//! The newest versions of many keys that come in order: found by a walk over what lies from the first to the last, as long as
//! little lies between them; else looked up one by one.
//!
//! A walk sees the engine as it was when it began. So nothing may be committed to its keys from then on until they are
//! read: they are latched, or their reads are remembered and what was under way is applied.

use bytes::Bytes;

use crate::range::version::HEADER_BYTES;

/// Fewer keys are looked up one by one.
const KEYS_MIN: usize = 16;

/// So many entries are passed on the way from one key to the next.
const STEPS_MAX: u32 = 8;

/// Where more lies between two keys, keys are looked up one by one before another walk begins: twice as many each time, so
/// many at most.
const APART_MAX: u32 = 256;

/// What a commit has to know of a key's newest version: of many keys all of them are kept, without their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// When it was committed.
    pub(super) timestamp: u64,
    /// How many bytes its value has; `None`: it says 'deleted'.
    pub(super) value_bytes: Option<usize>,
}

impl Known {
    pub(super) fn of(timestamp: u64, stored: Option<&Bytes>) -> Self {
        Self { timestamp, value_bytes: stored.map(|stored| stored.len().saturating_sub(HEADER_BYTES)) }
    }
}

/// Reads the newest versions of keys.
pub(super) struct Newest<'a> {
    db: &'a lsm::Db,
    /// Above the last key; empty: there is no walk.
    end: Bytes,
    walk: Option<Walk>,
    /// So many keys are looked up before the next walk.
    apart: u32,
    apart_next: u32,
}

impl<'a> Newest<'a> {
    /// Of these keys, which will be asked for in this order.
    pub(super) fn of<'k>(db: &'a lsm::Db, keys: impl ExactSizeIterator<Item = &'k Bytes> + Clone) -> Self {
        let is_walked = keys.len() >= KEYS_MIN && keys.clone().is_sorted();
        let last = if is_walked { keys.last() } else { None };
        let end = last.map(|last| keys::span::successor(last)).unwrap_or_default();
        Self { db, end, walk: None, apart: 0, apart_next: 1 }
    }

    /// The newest version of the next key.
    pub(super) fn next(&mut self, key: &[u8]) -> lsm::Result<Option<lsm::Versioned>> {
        let Some(stands) = self.come_to(key)? else { return self.db.get_at(key, u64::MAX) };
        let at = self.at().filter(|_| stands);
        Ok(at.map(|at| lsm::Versioned { timestamp: at.timestamp, value: at.value.clone(), note: at.note }))
    }

    /// The same, without its value.
    pub(super) fn next_known(&mut self, key: &[u8]) -> lsm::Result<Option<Known>> {
        let Some(stands) = self.come_to(key)? else {
            let found = self.db.get_at(key, u64::MAX)?;
            return Ok(found.map(|found| Known::of(found.timestamp, found.value.as_ref())));
        };
        let at = self.at().filter(|_| stands);
        Ok(at.map(|at| Known::of(at.timestamp, at.value.as_ref())))
    }

    /// Where the walk is.
    fn at(&self) -> Option<&lsm::VersionedEntry> {
        self.walk.as_ref()?.at.as_ref()
    }

    /// Walks to the next key: whether there is one; `None`: it is to be looked up.
    fn come_to(&mut self, key: &[u8]) -> lsm::Result<Option<bool>> {
        if self.end.is_empty() {
            return Ok(None);
        }
        if self.apart > 0 {
            self.apart -= 1;
            return Ok(None);
        }
        let mut walk = match self.walk.take() {
            Some(walk) => walk,
            None => Walk::begin(self.db, key, &self.end)?,
        };
        if let Some(stands) = walk.come_to(key)? {
            self.walk = Some(walk);
            self.apart_next = 1;
            return Ok(Some(stands));
        }
        self.apart = self.apart_next;
        self.apart_next = (self.apart_next * 2).min(APART_MAX);
        Ok(None)
    }
}

/// A walk over the newest versions of all keys.
struct Walk {
    entries: lsm::ScanAt,
    at: Option<lsm::VersionedEntry>,
}

impl Walk {
    fn begin(db: &lsm::Db, start: &[u8], end: &[u8]) -> lsm::Result<Self> {
        let options = lsm::ScanOptions { tombstones: true, ..Default::default() };
        let mut entries = db.scan_at(super::read::bounds(start, end), u64::MAX, options)?;
        let at = entries.next().transpose()?;
        Ok(Self { entries, at })
    }

    /// Whether a key has a version, which the walk is at then; `None`: too much lies before it.
    fn come_to(&mut self, key: &[u8]) -> lsm::Result<Option<bool>> {
        for _ in 0..STEPS_MAX {
            match &self.at {
                Some(at) if at.key.as_ref() < key => {}
                Some(at) => return Ok(Some(at.key.as_ref() == key)),
                None => return Ok(Some(false)),
            }
            self.at = self.entries.next().transpose()?;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use env::disk::MemoryDisk;
    use lsm::{Db, Keyspace, Note, WriteBatch, WriteOptions};

    use super::*;

    fn key(number: u32) -> Bytes {
        [&b"d"[..], &number.to_be_bytes()].concat().into()
    }

    /// Keys with one version, with two, deleted, and missing.
    fn filled() -> Db {
        let disk = Arc::new(MemoryDisk::new());
        let options = lsm::Options::new(disk, "/db", vec![Keyspace::versioned(b'd', "data")]);
        let db = Db::open(lsm::Options { background: lsm::Background::Manual, ..options }).unwrap();
        let mut batch = WriteBatch::new();
        for number in 0..2_000_u32 {
            match number % 4 {
                0 => batch.put_at(&key(number), 10, b"one"),
                1 => {
                    batch.put_at(&key(number), 10, b"one");
                    batch.put_at(&key(number), 20, b"two");
                }
                2 => batch.delete_at_with(&key(number), 30, Note::new(b"gone").unwrap()),
                _ => {}
            }
        }
        db.write(batch, WriteOptions::UNLOGGED).unwrap();
        db
    }

    #[test]
    fn what_a_walk_finds_is_what_a_look_finds() {
        let db = filled();
        for step in [1, 2, 3, 7, 50, 400] {
            let mut keys: Vec<Bytes> = (0..2_100).step_by(step).map(key).collect();
            // Twice the same, and one that is far from the others.
            keys.extend([key(2_099), key(2_099), key(u32::MAX)]);
            let (mut newest, mut known) = (Newest::of(&db, keys.iter()), Newest::of(&db, keys.iter()));
            for key in &keys {
                let looked_up = db.get_at(key, u64::MAX).unwrap();
                let of = looked_up.as_ref().map(|found| Known::of(found.timestamp, found.value.as_ref()));
                assert_eq!(known.next_known(key).unwrap(), of, "{key:?} of {step}");
                assert_eq!(newest.next(key).unwrap(), looked_up, "{key:?} of {step}");
            }
        }
    }

    #[test]
    fn keys_out_of_order_are_looked_up() {
        let db = filled();
        let keys: Vec<Bytes> = (0..100).rev().map(key).collect();
        let mut newest = Newest::of(&db, keys.iter());
        for key in &keys {
            assert_eq!(newest.next(key).unwrap(), db.get_at(key, u64::MAX).unwrap());
        }
    }
}
