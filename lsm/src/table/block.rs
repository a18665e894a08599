//! Blocks of sorted entries: prefix-compressed, with restart points, searched without copying.
//!
//! ```text
//! payload  := entry* | restart offset u32 * | restart count u32      the count's high bit: entries have timestamps
//! entry    := shared varint | unshared varint | value length << 2 | flags  varint | timestamp u64 LE if present
//!           | unshared key bytes | value bytes
//! flags    := 1 the entry deletes (no value) | 2 the key has history in this table
//! index value := offset varint | length varint | min timestamp u64 LE | max timestamp u64 LE
//! ```
//! An entry takes its first `shared` bytes from the key before it; at a restart point it shares nothing. Order is key
//! ascending, then timestamp descending.

use std::cmp::Ordering;

use bytes::Bytes;

use crate::coding::{put_varint, u32_at, u64_at, varint};

/// Entries between restart points.
const RESTART_INTERVAL: usize = 16;
const TIMESTAMPS: u32 = 1 << 31;

/// The entry is a deletion.
pub(crate) const DELETES: u8 = 1;
/// The key has older versions in the history section of the same table.
pub(crate) const HAS_HISTORY: u8 = 2;

/// Builds one block.
#[derive(Debug)]
pub(crate) struct BlockBuilder {
    buffer: Vec<u8>,
    restarts: Vec<u32>,
    since_restart: usize,
    last_key: Vec<u8>,
    timestamps: bool,
    entries: usize,
}

impl BlockBuilder {
    pub(crate) fn new(timestamps: bool) -> Self {
        Self {
            buffer: Vec::new(),
            restarts: Vec::new(),
            since_restart: 0,
            last_key: Vec::new(),
            timestamps,
            entries: 0,
        }
    }

    pub(crate) fn add(&mut self, key: &[u8], timestamp: u64, flags: u8, value: &[u8]) {
        let mut shared = 0;
        if self.restarts.is_empty() || self.since_restart == RESTART_INTERVAL {
            self.restarts.push(self.buffer.len() as u32);
            self.since_restart = 0;
        } else {
            shared = common_prefix(&self.last_key, key);
        }
        let delta = key.get(shared..).unwrap_or_default();
        put_varint(&mut self.buffer, shared as u64);
        put_varint(&mut self.buffer, delta.len() as u64);
        put_varint(&mut self.buffer, (value.len() as u64) << 2 | u64::from(flags));
        if self.timestamps {
            self.buffer.extend_from_slice(&timestamp.to_le_bytes());
        }
        self.buffer.extend_from_slice(delta);
        self.buffer.extend_from_slice(value);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(delta);
        self.since_restart += 1;
        self.entries += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Bytes of the payload if it were finished now.
    pub(crate) fn bytes(&self) -> usize {
        self.buffer.len() + 4 * self.restarts.len() + 4
    }

    pub(crate) fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// The payload; the builder is empty afterwards.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let mut payload = std::mem::take(&mut self.buffer);
        for restart in &self.restarts {
            payload.extend_from_slice(&restart.to_le_bytes());
        }
        let flag = if self.timestamps { TIMESTAMPS } else { 0 };
        payload.extend_from_slice(&(self.restarts.len() as u32 | flag).to_le_bytes());
        self.restarts.clear();
        self.last_key.clear();
        self.since_restart = 0;
        self.entries = 0;
        payload
    }
}

/// Length of the longest common prefix.
pub(crate) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let words = a.chunks_exact(8).zip(b.chunks_exact(8)).take_while(|(x, y)| x == y).count() * 8;
    let rest = a.iter().skip(words).zip(b.iter().skip(words)).take_while(|(x, y)| x == y).count();
    words + rest
}

/// Compares (key, timestamp) pairs: key ascending, timestamp descending.
pub(crate) fn compare(a: &[u8], a_timestamp: u64, b: &[u8], b_timestamp: u64) -> Ordering {
    a.cmp(b).then(b_timestamp.cmp(&a_timestamp))
}

/// A decoded block. Clones share its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    payload: Bytes,
    restarts_at: usize,
    restarts: usize,
    timestamps: bool,
}

/// An entry as it lies in the block.
#[derive(Clone, Copy, Debug)]
struct Raw {
    shared: usize,
    delta: (usize, usize),
    flags: u8,
    timestamp: u64,
    value: (usize, usize),
}

/// What a search found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) key_matches: bool,
    pub(crate) timestamp: u64,
    pub(crate) flags: u8,
    value: (usize, usize),
}

/// The payload is not a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Malformed;

type Decoded<T> = std::result::Result<T, Malformed>;

impl Block {
    pub(crate) fn new(payload: Bytes) -> Decoded<Self> {
        let count_at = payload.len().checked_sub(4).ok_or(Malformed)?;
        let count = u32_at(&payload, count_at).ok_or(Malformed)?;
        let restarts = (count & !TIMESTAMPS) as usize;
        let restarts_at = count_at.checked_sub(restarts.checked_mul(4).ok_or(Malformed)?).ok_or(Malformed)?;
        if restarts == 0 {
            return Err(Malformed);
        }
        Ok(Self { payload, restarts_at, restarts, timestamps: count & TIMESTAMPS != 0 })
    }

    /// Bytes held in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.payload.len()
    }

    fn restart(&self, index: usize) -> Decoded<usize> {
        let offset = u32_at(&self.payload, self.restarts_at + 4 * index).ok_or(Malformed)? as usize;
        if offset < self.restarts_at { Ok(offset) } else { Err(Malformed) }
    }

    #[inline]
    fn raw(&self, offset: usize) -> Decoded<Raw> {
        let entries = self.payload.get(..self.restarts_at).ok_or(Malformed)?;
        let mut at = offset;
        let shared = varint(entries, &mut at).ok_or(Malformed)? as usize;
        let unshared = varint(entries, &mut at).ok_or(Malformed)? as usize;
        let length = varint(entries, &mut at).ok_or(Malformed)?;
        let mut timestamp = 0;
        if self.timestamps {
            timestamp = u64_at(entries, at).ok_or(Malformed)?;
            at += 8;
        }
        let value_at = at.checked_add(unshared).ok_or(Malformed)?;
        let end = value_at.checked_add((length >> 2) as usize).ok_or(Malformed)?;
        if end > entries.len() {
            return Err(Malformed);
        }
        Ok(Raw {
            shared,
            delta: (at, value_at),
            flags: (length & 3) as u8,
            timestamp,
            value: (value_at, end),
        })
    }

    fn slice(&self, range: (usize, usize)) -> &[u8] {
        self.payload.get(range.0..range.1).unwrap_or_default()
    }

    /// The last restart point whose key is below (key, timestamp), or the first one.
    fn restart_before(&self, key: &[u8], timestamp: u64) -> Decoded<usize> {
        let (mut low, mut high) = (0, self.restarts);
        while high - low > 1 {
            let middle = (low + high) / 2;
            let raw = self.raw(self.restart(middle)?)?;
            if compare(self.slice(raw.delta), raw.timestamp, key, timestamp) == Ordering::Less {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The first entry at or after (key, timestamp), without building any key.
    pub(crate) fn find(&self, key: &[u8], timestamp: u64) -> Decoded<Option<Found>> {
        let mut offset = self.restart(self.restart_before(key, timestamp)?)?;
        // How many bytes of `key` the entry before has in common with it; that entry is below (key, timestamp).
        let mut matched = 0;
        while offset < self.restarts_at {
            let raw = self.raw(offset)?;
            offset = raw.value.1;
            if raw.shared > matched {
                continue;
            }
            let found = |key_matches| {
                Some(Found { key_matches, timestamp: raw.timestamp, flags: raw.flags, value: raw.value })
            };
            let delta = self.slice(raw.delta);
            if raw.shared < matched {
                // Above the key; or the next restart point, which the search above found not to be below.
                return Ok(found(raw.shared == 0 && delta == key));
            }
            let rest = key.get(matched..).unwrap_or_default();
            match delta.cmp(rest) {
                Ordering::Less => matched += common_prefix(delta, rest),
                Ordering::Greater => return Ok(found(false)),
                Ordering::Equal if raw.timestamp <= timestamp => return Ok(found(true)),
                Ordering::Equal => matched = key.len(),
            }
        }
        Ok(None)
    }

    /// The value of a found entry, sharing the block's bytes.
    pub(crate) fn value(&self, found: &Found) -> Bytes {
        self.payload.slice(found.value.0..found.value.1)
    }

    /// The value of a found entry.
    pub(crate) fn value_bytes(&self, found: &Found) -> &[u8] {
        self.slice(found.value)
    }
}

/// Walks the entries of a block in both directions.
#[derive(Debug)]
pub(crate) struct BlockCursor {
    block: Block,
    /// Where the current entry begins; `restarts_at` when there is none.
    offset: usize,
    next: usize,
    key: Vec<u8>,
    timestamp: u64,
    flags: u8,
    value: (usize, usize),
    /// Entries before the current one down to a restart point, newest last; filled when walking back.
    back: Vec<BackEntry>,
    back_keys: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct BackEntry {
    offset: usize,
    next: usize,
    key: (usize, usize),
    timestamp: u64,
    flags: u8,
    value: (usize, usize),
}

impl BlockCursor {
    /// A cursor that stands on no entry yet.
    pub(crate) fn new(block: Block) -> Self {
        let end = block.restarts_at;
        Self {
            block,
            offset: end,
            next: end,
            key: Vec::new(),
            timestamp: 0,
            flags: 0,
            value: (0, 0),
            back: Vec::new(),
            back_keys: Vec::new(),
        }
    }

    /// Stands on no entry of another block.
    pub(crate) fn reset(&mut self, block: Block) {
        self.offset = block.restarts_at;
        self.next = block.restarts_at;
        self.block = block;
        self.back.clear();
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.offset < self.block.restarts_at
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(crate) fn timestamp(&self) -> u64 {
        self.timestamp
    }

    pub(crate) fn flags(&self) -> u8 {
        self.flags
    }

    pub(crate) fn value(&self) -> Bytes {
        self.block.payload.slice(self.value.0..self.value.1)
    }

    pub(crate) fn value_bytes(&self) -> &[u8] {
        self.block.slice(self.value)
    }

    pub(crate) fn seek_first(&mut self) -> Decoded<()> {
        self.load(0, true)
    }

    pub(crate) fn seek_last(&mut self) -> Decoded<()> {
        self.load(self.block.restart(self.block.restarts - 1)?, true)?;
        while self.next < self.block.restarts_at {
            self.load(self.next, false)?;
        }
        Ok(())
    }

    /// The first entry at or after (key, timestamp).
    pub(crate) fn seek(&mut self, key: &[u8], timestamp: u64) -> Decoded<()> {
        let restart = self.block.restart(self.block.restart_before(key, timestamp)?)?;
        self.load(restart, true)?;
        while self.is_valid() && compare(&self.key, self.timestamp, key, timestamp) == Ordering::Less {
            self.next()?;
        }
        Ok(())
    }

    /// The last entry before (key, timestamp).
    pub(crate) fn seek_before(&mut self, key: &[u8], timestamp: u64) -> Decoded<()> {
        self.seek(key, timestamp)?;
        if self.is_valid() { self.prev() } else { self.seek_last() }
    }

    pub(crate) fn next(&mut self) -> Decoded<()> {
        if self.next >= self.block.restarts_at {
            self.offset = self.block.restarts_at;
            self.next = self.offset;
            return Ok(());
        }
        self.load(self.next, false)
    }

    /// The entry before; none before the first.
    pub(crate) fn prev(&mut self) -> Decoded<()> {
        if self.back.last().is_none_or(|entry| entry.next != self.offset) {
            self.fill_back()?;
        }
        let Some(entry) = self.back.pop() else {
            self.offset = self.block.restarts_at;
            self.next = self.offset;
            return Ok(());
        };
        self.key.clear();
        self.key.extend_from_slice(self.back_keys.get(entry.key.0..entry.key.1).unwrap_or_default());
        self.offset = entry.offset;
        self.next = entry.next;
        self.timestamp = entry.timestamp;
        self.flags = entry.flags;
        self.value = entry.value;
        Ok(())
    }

    /// Decodes the entries from the last restart point before the current entry up to it.
    fn fill_back(&mut self) -> Decoded<()> {
        self.back.clear();
        self.back_keys.clear();
        let target = self.offset;
        if target == 0 {
            return Ok(());
        }
        let (mut low, mut high) = (0, self.block.restarts);
        while high - low > 1 {
            let middle = (low + high) / 2;
            if self.block.restart(middle)? < target { low = middle } else { high = middle }
        }
        let mut offset = self.block.restart(low)?;
        let mut previous = (0, 0);
        while offset < target {
            let raw = self.block.raw(offset)?;
            let start = self.back_keys.len();
            let shared_end = previous.0 + raw.shared;
            if shared_end > previous.1 {
                return Err(Malformed);
            }
            self.back_keys.extend_from_within(previous.0..shared_end);
            self.back_keys.extend_from_slice(self.block.slice(raw.delta));
            previous = (start, self.back_keys.len());
            self.back.push(BackEntry {
                offset,
                next: raw.value.1,
                key: previous,
                timestamp: raw.timestamp,
                flags: raw.flags,
                value: raw.value,
            });
            offset = raw.value.1;
        }
        Ok(())
    }

    fn load(&mut self, offset: usize, restart: bool) -> Decoded<()> {
        let raw = self.block.raw(offset)?;
        let shared = if restart { 0 } else { raw.shared };
        if shared > self.key.len() || (restart && raw.shared != 0) {
            return Err(Malformed);
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(self.block.slice(raw.delta));
        self.offset = offset;
        self.next = raw.value.1;
        self.timestamp = raw.timestamp;
        self.flags = raw.flags;
        self.value = raw.value;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<(Vec<u8>, u64, Vec<u8>)> {
        let mut entries = Vec::new();
        for n in 0..100u32 {
            let key = format!("key{:03}{}", n * 2, "x".repeat((n % 5) as usize)).into_bytes();
            for version in 0..=n % 3 {
                entries.push((key.clone(), 100 - u64::from(version) * 10, vec![n as u8; (n % 7) as usize]));
            }
        }
        entries
    }

    fn block() -> Block {
        let mut builder = BlockBuilder::new(true);
        for (key, timestamp, value) in entries() {
            builder.add(&key, timestamp, 0, &value);
        }
        let bytes = builder.bytes();
        let payload = builder.finish();
        assert_eq!(payload.len(), bytes);
        Block::new(Bytes::from(payload)).unwrap()
    }

    #[test]
    fn a_cursor_walks_both_ways() {
        let mut cursor = BlockCursor::new(block());
        cursor.seek_first().unwrap();
        for (key, timestamp, value) in entries() {
            assert_eq!(
                (cursor.key(), cursor.timestamp(), cursor.value_bytes()),
                (&key[..], timestamp, &value[..])
            );
            cursor.next().unwrap();
        }
        assert!(!cursor.is_valid());
        cursor.seek_last().unwrap();
        for (key, timestamp, value) in entries().into_iter().rev() {
            assert_eq!(
                (cursor.key(), cursor.timestamp(), cursor.value_bytes()),
                (&key[..], timestamp, &value[..])
            );
            cursor.prev().unwrap();
        }
        assert!(!cursor.is_valid());
    }

    #[test]
    fn a_cursor_turns_around_anywhere() {
        let all = entries();
        for at in 1..all.len() - 1 {
            let mut cursor = BlockCursor::new(block());
            cursor.seek(&all[at].0, all[at].1).unwrap();
            cursor.prev().unwrap();
            assert_eq!((cursor.key(), cursor.timestamp()), (&all[at - 1].0[..], all[at - 1].1));
            cursor.next().unwrap();
            cursor.next().unwrap();
            assert_eq!((cursor.key(), cursor.timestamp()), (&all[at + 1].0[..], all[at + 1].1));
            cursor.prev().unwrap();
            assert_eq!((cursor.key(), cursor.timestamp()), (&all[at].0[..], all[at].1));
        }
    }

    #[test]
    fn find_and_seek_agree_with_a_sorted_list() {
        let all = entries();
        let block = block();
        let mut keys: Vec<Vec<u8>> = all.iter().map(|e| e.0.clone()).collect();
        keys.extend((0..205).map(|n| format!("key{n:03}").into_bytes()));
        keys.extend([b"".to_vec(), b"a".to_vec(), b"z".to_vec(), b"key".to_vec()]);
        for key in keys {
            for timestamp in [0, 80, 85, 90, 100, 101, u64::MAX] {
                let expected = all.iter().find(|e| compare(&e.0, e.1, &key, timestamp) != Ordering::Less);
                let found = block.find(&key, timestamp).unwrap();
                assert_eq!(
                    found.as_ref().map(|f| (f.key_matches, f.timestamp, block.value_bytes(f).to_vec())),
                    expected.map(|e| (e.0 == key, e.1, e.2.clone())),
                );
                let mut cursor = BlockCursor::new(block.clone());
                cursor.seek(&key, timestamp).unwrap();
                assert_eq!(cursor.is_valid().then(|| cursor.key().to_vec()), expected.map(|e| e.0.clone()));
                let before = all.iter().rev().find(|e| compare(&e.0, e.1, &key, timestamp) == Ordering::Less);
                cursor.seek_before(&key, timestamp).unwrap();
                assert_eq!(
                    cursor.is_valid().then(|| (cursor.key().to_vec(), cursor.timestamp())),
                    before.map(|e| (e.0.clone(), e.1))
                );
            }
        }
    }

    #[test]
    fn no_garbage_makes_it_panic() {
        let payload = {
            let mut builder = BlockBuilder::new(true);
            for (key, timestamp, value) in entries().into_iter().take(40) {
                builder.add(&key, timestamp, 0, &value);
            }
            builder.finish()
        };
        for bit in 0..payload.len() * 8 {
            let mut garbled = payload.clone();
            garbled[bit / 8] ^= 1 << (bit % 8);
            let Ok(block) = Block::new(Bytes::from(garbled)) else { continue };
            let _ = block.find(b"key010", 90);
            let mut cursor = BlockCursor::new(block);
            let mut steps = 0;
            let mut going = cursor.seek_first();
            while going.is_ok() && cursor.is_valid() && steps < 1000 {
                going = cursor.next();
                steps += 1;
            }
            going = cursor.seek_last();
            while going.is_ok() && cursor.is_valid() && steps < 2000 {
                going = cursor.prev();
                steps += 1;
            }
        }
    }
}
