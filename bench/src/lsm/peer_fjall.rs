//! fjall, by its crate.

use fjall::config::{BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::setting::{BACKGROUND_JOBS, FILTER_BITS, MEMTABLE_BYTES, Task};
use super::store::{Store, failed};
use crate::failure::Result;

const NAME: &str = "fjall";

/// fjall.
pub(crate) struct Fjall {
    db: Database,
    keyspace: Keyspace,
}

impl Fjall {
    pub(crate) fn open(task: &Task) -> Result<Self> {
        eprintln!(
            "options of fjall: max_memtable_size {MEMTABLE_BYTES}, worker_threads {BACKGROUND_JOBS}, lz4 in all \
             levels, cache_size {}, bloom filters of {FILTER_BITS} bits in all levels, else its defaults",
            task.cache_bytes
        );
        let db = Database::builder(&task.dir)
            .cache_size(task.cache_bytes)
            .worker_threads(BACKGROUND_JOBS)
            .open()
            .map_err(failed(NAME))?;
        let filter = BloomConstructionPolicy::BitsPerKey(f32::from(FILTER_BITS));
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES as u64)
                .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
                .filter_policy(FilterPolicy::all(FilterPolicyEntry::Bloom(filter)))
        };
        let keyspace = db.keyspace("bench", options).map_err(failed(NAME))?;
        Ok(Self { db, keyspace })
    }
}

impl Store for Fjall {
    fn put(&self, key: &[u8], value: &[u8], sync: bool) -> Result<()> {
        self.keyspace.insert(key, value).map_err(failed(NAME))?;
        if sync { self.db.persist(PersistMode::SyncData).map_err(failed(NAME)) } else { Ok(()) }
    }

    fn delete(&self, key: &[u8]) -> Result<()> {
        self.keyspace.remove(key).map_err(failed(NAME))
    }

    fn get(&self, key: &[u8]) -> Result<Option<usize>> {
        Ok(self.keyspace.get(key).map_err(failed(NAME))?.map(|value| value.len()))
    }

    fn scan(
        &self,
        from: &[u8],
        reverse: bool,
        limit: u64,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<u64> {
        let mut iterator = if reverse { self.keyspace.range(..=from) } else { self.keyspace.range(from..) };
        let mut entries = 0;
        while let Some(entry) = if reverse { iterator.next_back() } else { iterator.next() } {
            let (key, value) = entry.into_inner().map_err(failed(NAME))?;
            visit(&key, &value);
            entries += 1;
            if entries == limit {
                break;
            }
        }
        Ok(entries)
    }

    fn settle(&self) -> Result<()> {
        self.keyspace.rotate_memtable_and_wait().map_err(failed(NAME))
    }
}
