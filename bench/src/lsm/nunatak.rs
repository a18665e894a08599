//! Our engine, as its users use it.

use std::ops::Bound;
use std::sync::Arc;

use env::disk::RealDisk;
use lsm::{Background, Db, Keyspace, Options, WriteBatch, WriteOptions};

use super::data::PREFIX;
use super::setting::{BACKGROUND_JOBS, FILTER_BITS, KEY_BYTES, MEMTABLE_BYTES, Task, VALUE_BYTES};
use super::store::{Store, failed};
use crate::failure::Result;

/// The keyspace with versions.
pub(crate) const VERSIONED_PREFIX: u8 = b'v';

const NAME: &str = "nunatak";

/// Our engine.
pub(crate) struct Nunatak {
    db: Db,
}

impl Nunatak {
    pub(crate) fn open(task: &Task) -> Result<Self> {
        let keyspaces =
            [Keyspace::plain(PREFIX, "plain"), Keyspace::versioned(VERSIONED_PREFIX, "versioned")];
        let keyspaces = keyspaces.map(|keyspace| Keyspace { filter_bits: FILTER_BITS, ..keyspace }).to_vec();
        let options = Options {
            memtable_bytes_max: MEMTABLE_BYTES,
            cache_bytes: task.cache_bytes,
            background: Background::Threads(BACKGROUND_JOBS),
            ..Options::new(Arc::new(RealDisk::new()), &task.dir, keyspaces)
        };
        eprintln!("options of nunatak: {options:?}");
        Ok(Self { db: Db::open(options).map_err(failed(NAME))? })
    }

    /// Adds a version to the key of the same number in the versioned keyspace.
    pub(crate) fn put_at(&self, key: &[u8], timestamp: u64, value: &[u8]) -> Result<()> {
        let mut batch = WriteBatch::with_capacity(KEY_BYTES + VALUE_BYTES + 16);
        batch.put_at(key, timestamp, value);
        self.db.write(batch, WriteOptions::LOGGED).map_err(failed(NAME))?;
        Ok(())
    }

    /// Reads the newest version of a key.
    pub(crate) fn get_now(&self, key: &[u8]) -> Result<Option<usize>> {
        let version = self.db.get_at(key, u64::MAX).map_err(failed(NAME))?;
        Ok(version.and_then(|version| version.value).map(|value| value.len()))
    }
}

impl Store for Nunatak {
    fn put(&self, key: &[u8], value: &[u8], sync: bool) -> Result<()> {
        let mut batch = WriteBatch::with_capacity(KEY_BYTES + VALUE_BYTES + 8);
        batch.put(key, value);
        let options = if sync { WriteOptions::SYNCED } else { WriteOptions::LOGGED };
        self.db.write(batch, options).map_err(failed(NAME))?;
        Ok(())
    }

    fn delete(&self, key: &[u8]) -> Result<()> {
        let mut batch = WriteBatch::with_capacity(KEY_BYTES + 8);
        batch.delete(key);
        self.db.write(batch, WriteOptions::LOGGED).map_err(failed(NAME))?;
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<usize>> {
        Ok(self.db.get(key).map_err(failed(NAME))?.map(|value| value.len()))
    }

    fn scan(
        &self,
        from: &[u8],
        reverse: bool,
        limit: u64,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<u64> {
        let range = if reverse {
            (Bound::Unbounded, Bound::Included(from))
        } else {
            (Bound::Included(from), Bound::Unbounded)
        };
        let mut entries = 0;
        let mut scan = self.db.scan(range, reverse).map_err(failed(NAME))?;
        while scan.advance().map_err(failed(NAME))? {
            visit(scan.key(), scan.value());
            entries += 1;
            if entries == limit {
                break;
            }
        }
        Ok(entries)
    }

    fn settle(&self) -> Result<()> {
        self.db.flush().map_err(failed(NAME))
    }
}
