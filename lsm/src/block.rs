//! Blocks of sorted entries: searched by an array of key heads, without copying and with few cache misses.
//!
//! ```text
//! payload  := data* | head u64 LE * n | timestamp u64 LE * n if present | offset of data * n | mark u8 * n
//!           | common prefix | its length u16 LE | count n and marks u32 LE
//! marks    := bit 31: entries have timestamps | bit 30: offsets are u32 LE, else u16 LE
//! mark     := suffix length << 2 | flags     length 63: the data begins with it, as a varint
//! data     := suffix bytes from the ninth on | value bytes
//! flags    := 1 the entry deletes (a note in place of a value), or in an index: no key behind it has history | 2 the key has history in
//!             this table
//! index value := offset varint | length varint | min timestamp u64 LE | max timestamp u64 LE
//! ```
//! A key is the common prefix of the block, then the suffix: the head is the suffix's first eight bytes as a big-endian
//! number, padded with zeros, so that comparing heads compares keys until two heads are equal. A search is a binary
//! search over the heads, which lie together, and looks at an entry or two in the end (prefix truncation and 'poor
//! man's normalized keys': Graefe and Larson, "B-Tree Indexes and CPU Caches", 2001). A walk reads the arrays alone, and
//! the data only of keys that differ beyond their head, and of values that are asked for. Order is key ascending, then
//! timestamp descending.

use std::cmp::Ordering;

use bytes::Bytes;

use crate::coding::{put_varint, u32_at, u64_at, varint};

const TIMESTAMPS: u32 = 1 << 31;
const WIDE: u32 = 1 << 30;
const TRAILER_BYTES: usize = 6;
const HEAD_BYTES: usize = 8;
/// Suffixes of this length and more have it in their data.
const LONG_SUFFIX: usize = 63;
/// Room for the key of a cursor, so that most never move.
const KEY_BYTES_GUESS: usize = 64;

/// The entry is a deletion.
pub(crate) const DELETES: u8 = 1;
/// In an index: no key of the block, or partition, has older versions in the table.
pub(crate) const ALONE: u8 = 1;
/// The key has older versions in the history section of the same table.
pub(crate) const HAS_HISTORY: u8 = 2;

/// Builds one block.
#[derive(Debug)]
pub(crate) struct BlockBuilder {
    /// Keys and values, in the order of the entries.
    bytes: Vec<u8>,
    entries: Vec<Added>,
    timestamps: bool,
}

#[derive(Clone, Copy, Debug)]
struct Added {
    key_at: usize,
    value_at: usize,
    end: usize,
    timestamp: u64,
    flags: u8,
}

impl BlockBuilder {
    pub(crate) fn new(timestamps: bool) -> Self {
        Self { bytes: Vec::new(), entries: Vec::new(), timestamps }
    }

    pub(crate) fn add(&mut self, key: &[u8], timestamp: u64, flags: u8, value: &[u8]) {
        let key_at = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let value_at = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.entries.push(Added { key_at, value_at, end: self.bytes.len(), timestamp, flags });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of the payload if it were finished now, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + self.each_bytes() * self.entries.len() + TRAILER_BYTES
    }

    /// The same with one more entry.
    pub(crate) fn bytes_with(&self, key: &[u8], value: &[u8]) -> usize {
        self.bytes() + key.len() + value.len() + self.each_bytes()
    }

    /// Bytes that an entry takes in arrays, roughly.
    fn each_bytes(&self) -> usize {
        HEAD_BYTES + 6 + if self.timestamps { 8 } else { 0 }
    }

    fn slice(&self, from: usize, to: usize) -> &[u8] {
        self.bytes.get(from..to).unwrap_or_default()
    }

    fn key(&self, entry: &Added) -> &[u8] {
        self.slice(entry.key_at, entry.value_at)
    }

    pub(crate) fn last_key(&self) -> &[u8] {
        self.entries.last().map_or(&[], |entry| self.key(entry))
    }

    /// The payload; the builder is empty afterwards.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let first = self.entries.first().map_or(&[][..], |entry| self.key(entry));
        let common = common_prefix(first, self.last_key()).min(usize::from(u16::MAX));
        let mut payload = Vec::with_capacity(self.bytes());
        let mut offsets = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let suffix = self.slice(entry.key_at + common, entry.value_at);
            offsets.push(payload.len() as u32);
            if suffix.len() >= LONG_SUFFIX {
                put_varint(&mut payload, suffix.len() as u64);
            }
            payload.extend_from_slice(suffix.get(HEAD_BYTES..).unwrap_or_default());
            payload.extend_from_slice(self.slice(entry.value_at, entry.end));
        }
        let wide = payload.len() > usize::from(u16::MAX);
        for entry in &self.entries {
            let head = head_of(self.slice(entry.key_at + common, entry.value_at));
            payload.extend_from_slice(&head.to_le_bytes());
        }
        if self.timestamps {
            self.entries.iter().for_each(|entry| payload.extend_from_slice(&entry.timestamp.to_le_bytes()));
        }
        for offset in offsets {
            if wide {
                payload.extend_from_slice(&offset.to_le_bytes());
            } else {
                payload.extend_from_slice(&(offset as u16).to_le_bytes());
            }
        }
        let suffix_length = |entry: &Added| entry.value_at - entry.key_at - common;
        let mark = |entry: &Added| (suffix_length(entry).min(LONG_SUFFIX) as u8) << 2 | entry.flags;
        payload.extend(self.entries.iter().map(mark));
        payload.extend_from_slice(first.get(..common).unwrap_or_default());
        payload.extend_from_slice(&(common as u16).to_le_bytes());
        let marks = if self.timestamps { TIMESTAMPS } else { 0 } | if wide { WIDE } else { 0 };
        payload.extend_from_slice(&(self.entries.len() as u32 | marks).to_le_bytes());
        self.bytes.clear();
        self.entries.clear();
        payload
    }
}

/// The first eight bytes as a number that orders as they do.
#[inline]
fn head_of(suffix: &[u8]) -> u64 {
    if let Some(head) = suffix.first_chunk::<HEAD_BYTES>() {
        return u64::from_be_bytes(*head);
    }
    let bits = 8 * (HEAD_BYTES - suffix.len()) as u32;
    suffix.iter().fold(0u64, |head, byte| head << 8 | u64::from(*byte)).checked_shl(bits).unwrap_or(0)
}

/// Length of the longest common prefix.
pub(crate) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let words = a.chunks_exact(8).zip(b.chunks_exact(8)).take_while(|(x, y)| x == y).count() * 8;
    let rest = a.iter().skip(words).zip(b.iter().skip(words)).take_while(|(x, y)| x == y).count();
    words + rest
}

/// Compares (key, timestamp) pairs: key ascending, timestamp descending.
#[cfg(test)]
pub(crate) fn compare(a: &[u8], a_timestamp: u64, b: &[u8], b_timestamp: u64) -> Ordering {
    a.cmp(b).then(b_timestamp.cmp(&a_timestamp))
}

/// A decoded block. Clones share its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    payload: Bytes,
    count: usize,
    heads_at: usize,
    timestamps_at: usize,
    offsets_at: usize,
    marks_at: usize,
    common_at: usize,
    common_end: usize,
    timestamps: bool,
    wide: bool,
}

/// An entry as it lies in the block.
#[derive(Clone, Copy, Debug)]
struct Raw {
    suffix_length: usize,
    /// The suffix from its ninth byte on.
    rest: (usize, usize),
    flags: u8,
    timestamp: u64,
    value: (usize, usize),
}

/// What a search found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) index: usize,
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
        let trailer_at = payload.len().checked_sub(TRAILER_BYTES).ok_or(Malformed)?;
        let low =
            payload.get(trailer_at..).and_then(|trailer| trailer.first_chunk::<2>()).ok_or(Malformed)?;
        let marks = u32_at(&payload, trailer_at + 2).ok_or(Malformed)?;
        let count = (marks & !(TIMESTAMPS | WIDE)) as usize;
        let wide = marks & WIDE != 0;
        let common = usize::from(u16::from_le_bytes(*low));
        let common_at = trailer_at.checked_sub(common).ok_or(Malformed)?;
        let offset_bytes = if wide { 4 } else { 2 };
        let timestamps = marks & TIMESTAMPS != 0;
        let timestamp_bytes = if timestamps { 8 } else { 0 };
        let marks_at = common_at.checked_sub(count).ok_or(Malformed)?;
        let offsets_at = marks_at.checked_sub(count * offset_bytes).ok_or(Malformed)?;
        let timestamps_at = offsets_at.checked_sub(count * timestamp_bytes).ok_or(Malformed)?;
        let heads_at = timestamps_at.checked_sub(count * HEAD_BYTES).ok_or(Malformed)?;
        if count == 0 {
            return Err(Malformed);
        }
        let common_end = trailer_at;
        Ok(Self {
            payload,
            count,
            heads_at,
            timestamps_at,
            offsets_at,
            marks_at,
            common_at,
            common_end,
            timestamps,
            wide,
        })
    }

    /// Bytes held in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// Number of entries, at least one.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    #[inline]
    fn slice(&self, range: (usize, usize)) -> &[u8] {
        self.payload.get(range.0..range.1).unwrap_or_default()
    }

    #[inline]
    fn common(&self) -> &[u8] {
        self.slice((self.common_at, self.common_end))
    }

    #[inline]
    fn head(&self, index: usize) -> u64 {
        u64_at(&self.payload, self.heads_at + HEAD_BYTES * index).unwrap_or(u64::MAX)
    }

    /// Where the data of an entry begins.
    #[inline]
    fn offset(&self, index: usize) -> Decoded<usize> {
        if self.wide {
            return Ok(u32_at(&self.payload, self.offsets_at + 4 * index).ok_or(Malformed)? as usize);
        }
        let at = self.offsets_at + 2 * index;
        let offset = self.payload.get(at..at + 2).and_then(|bytes| bytes.first_chunk::<2>());
        Ok(usize::from(u16::from_le_bytes(*offset.ok_or(Malformed)?)))
    }

    #[inline]
    fn raw(&self, index: usize) -> Decoded<Raw> {
        let mark = *self.payload.get(self.marks_at + index).ok_or(Malformed)?;
        let mut at = self.offset(index)?;
        let end = if index + 1 < self.count { self.offset(index + 1)? } else { self.heads_at };
        let mut suffix_length = usize::from(mark >> 2);
        if suffix_length == LONG_SUFFIX {
            suffix_length = varint(&self.payload, &mut at).ok_or(Malformed)? as usize;
        }
        let timestamp = if self.timestamps {
            u64_at(&self.payload, self.timestamps_at + 8 * index).ok_or(Malformed)?
        } else {
            0
        };
        let value_at = at.checked_add(suffix_length.saturating_sub(HEAD_BYTES)).ok_or(Malformed)?;
        if value_at > end || end > self.heads_at {
            return Err(Malformed);
        }
        Ok(Raw { suffix_length, rest: (at, value_at), flags: mark & 3, timestamp, value: (value_at, end) })
    }

    /// Compares an entry that has the same head with (common prefix + suffix, timestamp).
    #[inline]
    fn compare_suffix(&self, raw: &Raw, suffix: &[u8]) -> Ordering {
        if raw.suffix_length < HEAD_BYTES || suffix.len() < HEAD_BYTES {
            // Of two with equal heads, padded with zeros, the shorter is a prefix of the longer.
            return raw.suffix_length.cmp(&suffix.len());
        }
        self.slice(raw.rest).cmp(suffix.get(HEAD_BYTES..).unwrap_or_default())
    }

    /// How many entries lie before (key, timestamp), and whether the one after them has that key.
    #[inline]
    pub(crate) fn position(&self, key: &[u8], timestamp: u64) -> Decoded<(usize, bool)> {
        let common = self.common();
        let Some((start, suffix)) = key.split_at_checked(common.len()) else {
            return Ok((if key < common { 0 } else { self.count }, false));
        };
        match start.cmp(common) {
            Ordering::Less => return Ok((0, false)),
            Ordering::Greater => return Ok((self.count, false)),
            Ordering::Equal => {}
        }
        let head = head_of(suffix);
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = (low + high) / 2;
            if self.head(middle) < head { low = middle + 1 } else { high = middle }
        }
        // Entries with the same head: few, or the versions of one key.
        let mut end = low;
        let mut step = 1;
        while end < self.count && self.head(end) == head {
            end = (end + step).min(self.count);
            step *= 2;
        }
        let mut matches = false;
        while low < end {
            let middle = (low + end) / 2;
            if self.head(middle) != head {
                end = middle;
                continue;
            }
            let raw = self.raw(middle)?;
            let key_order = self.compare_suffix(&raw, suffix);
            match key_order.then(timestamp.cmp(&raw.timestamp)) {
                Ordering::Less => low = middle + 1,
                _ => {
                    matches = key_order == Ordering::Equal;
                    end = middle;
                }
            }
        }
        Ok((low, matches))
    }

    /// The first entry at or after (key, timestamp), without building any key.
    #[inline]
    pub(crate) fn find(&self, key: &[u8], timestamp: u64) -> Decoded<Option<Found>> {
        let (index, key_matches) = self.position(key, timestamp)?;
        if index >= self.count {
            return Ok(None);
        }
        let raw = self.raw(index)?;
        Ok(Some(Found { index, key_matches, timestamp: raw.timestamp, flags: raw.flags, value: raw.value }))
    }

    /// The value of a found entry, sharing the block's bytes.
    pub(crate) fn value(&self, found: &Found) -> Bytes {
        self.payload.slice(found.value.0..found.value.1)
    }

    /// Value and flags of an entry by its index.
    pub(crate) fn value_at(&self, index: usize) -> Decoded<(&[u8], u8)> {
        let raw = self.raw(index)?;
        Ok((self.slice(raw.value), raw.flags))
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
    /// The current entry; `block.count` when there is none.
    index: usize,
    /// The block's common prefix, then what the entry adds to it.
    key: Vec<u8>,
    timestamp: u64,
    flags: u8,
    value: (usize, usize),
}

impl BlockCursor {
    /// A cursor that stands on no entry yet.
    pub(crate) fn new(block: Block) -> Self {
        let mut key = Vec::with_capacity(KEY_BYTES_GUESS);
        key.extend_from_slice(block.common());
        Self { index: block.count, block, key, timestamp: 0, flags: 0, value: (0, 0) }
    }

    /// Stands on no entry of another block.
    pub(crate) fn reset(&mut self, block: Block) {
        self.key.clear();
        self.key.extend_from_slice(block.common());
        self.index = block.count;
        self.block = block;
    }

    #[inline]
    pub(crate) fn is_valid(&self) -> bool {
        self.index < self.block.count
    }

    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    #[inline]
    pub(crate) fn timestamp(&self) -> u64 {
        self.timestamp
    }

    #[inline]
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
        self.load(0)
    }

    pub(crate) fn seek_last(&mut self) -> Decoded<()> {
        self.load(self.block.count - 1)
    }

    /// The first entry at or after (key, timestamp).
    pub(crate) fn seek(&mut self, key: &[u8], timestamp: u64) -> Decoded<()> {
        let (index, _) = self.block.position(key, timestamp)?;
        self.load(index)
    }

    /// The last entry before (key, timestamp).
    pub(crate) fn seek_before(&mut self, key: &[u8], timestamp: u64) -> Decoded<()> {
        let (index, _) = self.block.position(key, timestamp)?;
        self.load(index.checked_sub(1).unwrap_or(self.block.count))
    }

    pub(crate) fn next(&mut self) -> Decoded<()> {
        self.load(self.index.saturating_add(1))
    }

    /// The entry before; none before the first.
    pub(crate) fn prev(&mut self) -> Decoded<()> {
        self.load(self.index.checked_sub(1).unwrap_or(self.block.count))
    }

    #[inline]
    fn load(&mut self, index: usize) -> Decoded<()> {
        self.index = index.min(self.block.count);
        if self.index == self.block.count {
            return Ok(());
        }
        let raw = self.block.raw(index)?;
        let common = self.block.common_end - self.block.common_at;
        self.key.truncate(common);
        self.key.extend_from_slice(&self.block.head(index).to_be_bytes());
        if raw.suffix_length <= HEAD_BYTES {
            self.key.truncate(common + raw.suffix_length);
        } else {
            self.key.extend_from_slice(self.block.slice(raw.rest));
        }
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
        assert!(payload.len() <= bytes);
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
    fn keys_that_differ_only_in_zeros_and_length_keep_their_order() {
        let mut keys: Vec<Vec<u8>> = vec![b"p".to_vec()];
        for length in 0..20 {
            keys.push([b"p".to_vec(), vec![0; length], b"\x01".to_vec()].concat());
            keys.push([b"p".to_vec(), vec![0; length]].concat());
        }
        keys.sort();
        keys.dedup();
        let mut builder = BlockBuilder::new(false);
        keys.iter().for_each(|key| builder.add(key, 0, 0, key));
        let block = Block::new(Bytes::from(builder.finish())).unwrap();
        let mut cursor = BlockCursor::new(block.clone());
        for (index, key) in keys.iter().enumerate() {
            let found = block.find(key, 0).unwrap().unwrap();
            assert_eq!((found.index, found.key_matches, block.value_bytes(&found)), (index, true, &key[..]));
            cursor.seek(key, 0).unwrap();
            assert_eq!(cursor.key(), key);
        }
    }

    #[test]
    fn long_keys_without_a_common_prefix_are_found() {
        let keys: Vec<Vec<u8>> =
            (0..40usize).map(|n| [vec![n as u8; 20 + n * 9], vec![7]].concat()).collect();
        let mut builder = BlockBuilder::new(true);
        keys.iter().for_each(|key| builder.add(key, 5, HAS_HISTORY, key));
        let block = Block::new(Bytes::from(builder.finish())).unwrap();
        let mut cursor = BlockCursor::new(block.clone());
        for key in &keys {
            let found = block.find(key, 9).unwrap().unwrap();
            assert_eq!(
                (found.key_matches, found.flags, block.value_bytes(&found)),
                (true, HAS_HISTORY, &key[..])
            );
            cursor.seek(key, 5).unwrap();
            assert_eq!((cursor.key(), cursor.value_bytes()), (&key[..], &key[..]));
            assert!(!block.find(&key[..key.len() - 1], 9).unwrap().unwrap().key_matches);
        }
    }

    #[test]
    fn a_block_with_a_large_value_has_wide_offsets() {
        let mut builder = BlockBuilder::new(false);
        builder.add(b"a", 0, 0, &[1; 70_000]);
        builder.add(b"b", 0, 0, b"small");
        let block = Block::new(Bytes::from(builder.finish())).unwrap();
        let found = block.find(b"b", 0).unwrap().unwrap();
        assert_eq!(block.value_bytes(&found), b"small");
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
