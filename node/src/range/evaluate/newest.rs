//! The newest versions of many keys that come in order: found by a walk over what lies from the first to the last, as long as
//! little lies between them; else looked up one by one.
//!
//! A walk sees the engine as it was when it began. So nothing may be committed to its keys from then on until they are
//! read: they are latched, or their reads are remembered and what was under way is applied.

use bytes::Bytes;

/// Fewer keys are looked up one by one.
const KEYS_MIN: usize = 16;

/// So many entries are passed on the way from one key to the next.
const STEPS_MAX: u32 = 8;

/// Where more lies between two keys, keys are looked up one by one before another walk begins: twice as many each time, so
/// many at most.
const APART_MAX: u32 = 256;

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
        if self.end.is_empty() {
            return self.db.get_at(key, u64::MAX);
        }
        if self.apart > 0 {
            self.apart -= 1;
            return self.db.get_at(key, u64::MAX);
        }
        let mut walk = match self.walk.take() {
            Some(walk) => walk,
            None => Walk::begin(self.db, key, &self.end)?,
        };
        if let Some(found) = walk.come_to(key)? {
            self.walk = Some(walk);
            self.apart_next = 1;
            return Ok(found);
        }
        self.apart = self.apart_next;
        self.apart_next = (self.apart_next * 2).min(APART_MAX);
        self.db.get_at(key, u64::MAX)
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

    /// The newest version of a key, if it has any; `None`: too much lies before it.
    fn come_to(&mut self, key: &[u8]) -> lsm::Result<Option<Option<lsm::Versioned>>> {
        for _ in 0..STEPS_MAX {
            match &self.at {
                Some(at) if at.key.as_ref() < key => {}
                Some(at) if at.key.as_ref() == key => {
                    let (timestamp, value, note) = (at.timestamp, at.value.clone(), at.note);
                    return Ok(Some(Some(lsm::Versioned { timestamp, value, note })));
                }
                _ => return Ok(Some(None)),
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
            let mut newest = Newest::of(&db, keys.iter());
            for key in &keys {
                assert_eq!(newest.next(key).unwrap(), db.get_at(key, u64::MAX).unwrap(), "{key:?} of {step}");
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
