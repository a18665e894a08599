//! RocksDB, by its crate.

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Options, ReadOptions, WaitForCompactOptions,
    WriteOptions,
};

use super::setting::{BACKGROUND_JOBS, FILTER_BITS, MEMTABLE_BYTES, Task};
use super::store::{Store, failed};
use crate::failure::Result;

const NAME: &str = "rocksdb";
/// As many memtables in all as our engine takes before it slows writers down to the last.
const MEMTABLES_MAX: i32 = 6;
/// What RocksDB's own benchmark scripts take.
const BLOCK_BYTES: usize = 8 << 10;

/// RocksDB.
pub(crate) struct RocksDb {
    db: DB,
    logged: WriteOptions,
    synced: WriteOptions,
    read: ReadOptions,
}

impl RocksDb {
    pub(crate) fn open(task: &Task) -> Result<Self> {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&Cache::new_hyper_clock_cache(task.cache_bytes as usize, 0));
        table.set_bloom_filter(f64::from(FILTER_BITS), false);
        table.set_block_size(BLOCK_BYTES);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&table);
        options.set_write_buffer_size(MEMTABLE_BYTES);
        options.set_max_write_buffer_number(MEMTABLES_MAX);
        options.set_max_background_jobs(BACKGROUND_JOBS as i32);
        options.set_level_compaction_dynamic_level_bytes(true);
        options.set_compression_type(DBCompressionType::Lz4);
        eprintln!(
            "options of rocksdb: write_buffer_size {MEMTABLE_BYTES}, max_write_buffer_number {MEMTABLES_MAX}, \
             max_background_jobs {BACKGROUND_JOBS}, level_compaction_dynamic_level_bytes, lz4, \
             HyperClockCache of {}, bloom filter of {FILTER_BITS} bits, block_size {BLOCK_BYTES}, else its defaults",
            task.cache_bytes
        );
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        let db = DB::open(&options, &task.dir).map_err(failed(NAME))?;
        Ok(Self { db, logged: WriteOptions::default(), synced, read: ReadOptions::default() })
    }
}

impl Store for RocksDb {
    fn put(&self, key: &[u8], value: &[u8], sync: bool) -> Result<()> {
        let options = if sync { &self.synced } else { &self.logged };
        self.db.put_opt(key, value, options).map_err(failed(NAME))
    }

    fn delete(&self, key: &[u8]) -> Result<()> {
        self.db.delete_opt(key, &self.logged).map_err(failed(NAME))
    }

    fn get(&self, key: &[u8]) -> Result<Option<usize>> {
        let value = self.db.get_pinned_opt(key, &self.read).map_err(failed(NAME))?;
        Ok(value.map(|value| value.len()))
    }

    fn scan(
        &self,
        from: &[u8],
        reverse: bool,
        limit: u64,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<u64> {
        let mut iterator = self.db.raw_iterator();
        if reverse {
            iterator.seek_for_prev(from)
        } else {
            iterator.seek(from)
        }
        let mut entries = 0;
        while let Some((key, value)) = iterator.item() {
            visit(key, value);
            entries += 1;
            if entries == limit {
                break;
            }
            if reverse { iterator.prev() } else { iterator.next() }
        }
        iterator.status().map_err(failed(NAME))?;
        Ok(entries)
    }

    fn settle(&self) -> Result<()> {
        let mut options = WaitForCompactOptions::default();
        options.set_flush(true);
        self.db.wait_for_compact(&options).map_err(failed(NAME))
    }
}
