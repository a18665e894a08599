//! The block cache: decoded blocks of all tables under one bound, with scan resistance.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use crate::block::Block;

/// Bytes that an entry takes beside its block.
const ENTRY_BYTES: u64 = 96;

const COUNTERS: usize = 16;

/// Which block: the table's number and the block's offset.
type Key = (u64, u64);

/// Decoded blocks, by table and offset.
pub(crate) struct BlockCache {
    blocks: Cache<Key, Block, Weigh, FixedHasher>,
    /// What index blocks may still pin outside of the cache.
    pinnable: AtomicU64,
    counts: [Counts; COUNTERS],
}

/// Hits and misses on a cache line of their own, so that readers do not fight for one.
#[derive(Default)]
#[repr(align(64))]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Clone)]
struct Weigh;

impl Weighter<Key, Block> for Weigh {
    fn weight(&self, _key: &Key, block: &Block) -> u64 {
        block.bytes() as u64 + ENTRY_BYTES
    }
}

/// A hasher without randomness, so that a simulation repeats itself.
#[derive(Clone, Default)]
struct FixedHasher(u64);

impl BuildHasher for FixedHasher {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for FixedHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = u128::from(self.0 ^ value ^ 0x2d35_8dcc_aa6c_78a5) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (mixed as u64) ^ (mixed >> 64) as u64;
    }
}

impl BlockCache {
    pub(crate) fn new(bytes: u64, block_bytes: usize) -> Self {
        let pinnable = bytes / 4;
        let capacity = bytes - pinnable;
        let items = (capacity / (block_bytes as u64 + ENTRY_BYTES)).max(16) as usize;
        let options = OptionsBuilder::new()
            .estimated_items_capacity(items)
            .weight_capacity(capacity)
            .shards(16)
            .build();
        let blocks = match options {
            Ok(options) => Cache::with_options(options, Weigh, FixedHasher(0), DefaultLifecycle::default()),
            Err(_) => Cache::with(items, capacity, Weigh, FixedHasher(0), DefaultLifecycle::default()),
        };
        Self { blocks, pinnable: AtomicU64::new(pinnable), counts: Default::default() }
    }

    #[inline]
    pub(crate) fn get(&self, table: u64, offset: u64) -> Option<Block> {
        let block = self.blocks.get(&(table, offset));
        if let Some(counts) = self.counts.get((offset >> 10) as usize % COUNTERS) {
            let counter = if block.is_some() { &counts.hits } else { &counts.misses };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        block
    }

    pub(crate) fn insert(&self, table: u64, offset: u64, block: Block) {
        self.blocks.insert((table, offset), block);
    }

    /// Whether that many bytes may be pinned outside of the cache; they count until [`Self::unpin`].
    pub(crate) fn pin(&self, bytes: u64) -> bool {
        self.pinnable
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes))
            .is_ok()
    }

    /// Bytes that may still be pinned.
    pub(crate) fn pinnable(&self) -> u64 {
        self.pinnable.load(Ordering::Relaxed)
    }

    pub(crate) fn unpin(&self, bytes: u64) {
        self.pinnable.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes in the cache.
    pub(crate) fn bytes(&self) -> u64 {
        self.blocks.weight()
    }

    /// (hits, misses)
    pub(crate) fn counts(&self) -> (u64, u64) {
        let sum = |counter: fn(&Counts) -> &AtomicU64| {
            self.counts.iter().map(|counts| counter(counts).load(Ordering::Relaxed)).sum()
        };
        (sum(|counts| &counts.hits), sum(|counts| &counts.misses))
    }
}

impl std::fmt::Debug for BlockCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockCache").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}
