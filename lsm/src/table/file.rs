//! An open table: its footer, filter and top index in memory, its blocks through the cache.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use env::disk::{Disk, ReadFile};
use env::trace;

use super::ahead::Ahead;
use super::codec::{self, BLOCK_BYTES_MAX};
use super::filter::Filter;
use super::properties::{Handle, Properties, Summary};
use crate::block::{ALONE, Block, BlockCursor, DELETES, Found, HAS_HISTORY, Malformed};
use crate::cache::BlockCache;
use crate::coding::{Reader, u32_at, u64_at};
use crate::encryption::{ENVELOPE_BYTES, Envelope, FileCipher, Keys, Part, Placement};
use crate::entry::Versioned;
use crate::error::{Error, Result};
use crate::spans::{Span, Spans};

const VERSION_PLAIN: u32 = 1;
const VERSION_SEALED: u32 = 2;
/// The newest format that this program writes and reads.
pub(crate) const VERSION: u32 = VERSION_SEALED;
pub(crate) const MAGIC: &[u8; 8] = b"NUNATAB\0";
pub(crate) const FOOTER_BYTES: usize = 32;
/// The kind of file, as file keys are derived for it.
pub(crate) const FILE_KIND: &str = "table";
/// Where sealed tables have their envelope.
pub(crate) const PLACEMENT: Placement = Placement::Tail(FOOTER_BYTES as u64);
/// Compression byte and checksum; in a sealed table there is a tag between them.
pub(crate) const TRAILER_BYTES: usize = 5;

/// One of the two sorted sequences of entries in a table: its index, the partitions' level in memory.
#[derive(Debug, Default)]
pub(crate) struct Section {
    /// None: the section is empty.
    top: Option<Block>,
    pinned: Vec<OnceLock<Block>>,
    /// Where the top index stands, the partitions right before it.
    top_offset: u64,
}

/// A value of an index block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexValue {
    pub(crate) handle: Handle,
    timestamp_min: u64,
    timestamp_max: u64,
    /// No key behind it has history.
    alone: bool,
}

impl IndexValue {
    pub(crate) fn put(buffer: &mut Vec<u8>, handle: Handle, timestamp_min: u64, timestamp_max: u64) {
        handle.put(buffer);
        buffer.extend_from_slice(&timestamp_min.to_le_bytes());
        buffer.extend_from_slice(&timestamp_max.to_le_bytes());
    }

    fn read(bytes: &[u8], flags: u8) -> Option<Self> {
        let mut at = 0;
        let offset = crate::coding::varint(bytes, &mut at)?;
        let length = crate::coding::varint(bytes, &mut at)?;
        let (timestamp_min, timestamp_max) = (u64_at(bytes, at)?, u64_at(bytes, at + 8)?);
        let (handle, alone) = (Handle { offset, length }, flags & ALONE != 0);
        Some(Self { handle, timestamp_min, timestamp_max, alone })
    }

    /// Whether nothing behind it can lie at or below `at` and above `since`.
    pub(crate) fn is_outside(&self, at: u64, since: Option<u64>) -> bool {
        since.is_some_and(|since| self.timestamp_max <= since) || (self.timestamp_min > at && self.alone)
    }
}

/// An open table. Removes its file when it is dropped after [`Table::mark_obsolete`].
pub(crate) struct Table {
    pub(crate) id: u64,
    pub(crate) summary: Summary,
    pub(crate) current: Section,
    pub(crate) history: Section,
    pub(crate) range_deletes: Spans,
    filter: Option<Filter>,
    path: PathBuf,
    file: Arc<dyn ReadFile>,
    cipher: Option<FileCipher>,
    disk: Arc<dyn Disk>,
    cache: Arc<BlockCache>,
    obsolete: AtomicBool,
}

impl Table {
    /// Opens the file of a table and checks its footer, properties, filter, range deletes and top index.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        path: &Path,
        id: u64,
        cache: &Arc<BlockCache>,
        keys: Option<&Keys>,
    ) -> Result<Self> {
        let file = disk.open(path).map_err(Error::io("open", path))?;
        let length = file.length().map_err(Error::io("read the length of", path))?;
        let footer_at = length
            .checked_sub(FOOTER_BYTES as u64)
            .ok_or_else(|| Error::corrupt(path, 0, "too short for a table"))?;
        let mut footer = [0; FOOTER_BYTES];
        file.read_exact_at(footer_at, &mut footer).map_err(Error::io("read", path))?;
        let damaged = |what: &str| Error::corrupt(path, footer_at, what);
        let (properties_handle, version) =
            parse_footer(&footer).ok_or_else(|| damaged("the footer does not check"))?;
        let cipher = match version {
            VERSION_PLAIN => None,
            VERSION_SEALED => Some(cipher_of(disk.as_ref(), path, id, keys)?),
            found => return Err(Error::TooNew { path: path.to_owned(), found, known: VERSION }),
        };
        let read_part = |part, handle| read_block(file.as_ref(), path, length, cipher.as_ref(), part, handle);
        let read = |handle| read_part(Part::Block, handle);
        let properties = Properties::decode(read_part(Part::Properties, properties_handle)?)
            .ok_or_else(|| damaged("the properties cannot be read"))?;
        let filter = match properties.filter {
            None => None,
            Some(handle) => {
                let filter = Filter::new(read(handle)?);
                Some(filter.ok_or_else(|| Error::corrupt(path, handle.offset, "not a filter"))?)
            }
        };
        let range_deletes = match properties.range_deletes {
            None => Spans::default(),
            Some(handle) => decode_spans(read(handle)?)
                .ok_or_else(|| Error::corrupt(path, handle.offset, "not a list of range deletes"))?,
        };
        let section = |handle: Option<Handle>| match handle {
            None => Ok(Section::default()),
            Some(handle) => {
                let top = Block::new(read(handle)?)
                    .map_err(|_| Error::corrupt(path, handle.offset, "not an index"))?;
                Ok(Section {
                    pinned: (0..top.count()).map(|_| OnceLock::new()).collect(),
                    top: Some(top),
                    top_offset: handle.offset,
                })
            }
        };
        let (current, history) = (section(properties.current)?, section(properties.history)?);
        file.at_random();
        Ok(Self {
            id,
            summary: Summary {
                bytes: length,
                envelope: cipher.as_ref().map(FileCipher::envelope),
                ..properties.summary
            },
            current,
            history,
            range_deletes,
            filter,
            path: path.to_owned(),
            disk: disk.clone(),
            cache: cache.clone(),
            obsolete: AtomicBool::new(false),
            file,
            cipher,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file will be removed when nobody uses it any more.
    pub(crate) fn mark_obsolete(&self) {
        self.obsolete.store(true, Ordering::Release);
    }

    /// The file will stay: the table has become part of the database.
    pub(crate) fn mark_installed(&self) {
        self.obsolete.store(false, Ordering::Release);
    }

    /// Keys between which lies about as much of it, each: the last of every partition of its index.
    pub(crate) fn sample_keys(&self) -> Result<Vec<Bytes>> {
        let Some(top) = &self.current.top else { return Ok(Vec::new()) };
        let mut keys = Vec::with_capacity(top.count());
        let mut cursor = BlockCursor::new(top.clone());
        cursor.seek_first().map_err(|_| self.malformed())?;
        while cursor.is_valid() {
            keys.push(Bytes::copy_from_slice(cursor.key()));
            cursor.next().map_err(|_| self.malformed())?;
        }
        Ok(keys)
    }

    /// Bytes held in memory all the time.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let tops = self.current.top.iter().chain(&self.history.top).map(|top| top.bytes() as u64);
        self.filter.as_ref().map_or(0, |filter| filter.bytes() as u64) + tops.sum::<u64>()
    }

    /// False if the filter knows that no key has this hash.
    #[inline]
    pub(crate) fn may_contain(&self, hash: u64) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.may_contain(hash))
    }

    /// The newest version of `key` at or below `at` in this table. The filter has been asked by the caller.
    pub(crate) fn get(&self, key: &[u8], at: u64) -> Result<Option<Versioned>> {
        let Some((block, found)) = self.find(&self.current, key, u64::MAX, at)? else { return Ok(None) };
        if found.timestamp <= at {
            return Ok(Some(versioned(&block, &found)));
        }
        if found.flags & HAS_HISTORY == 0 {
            return Ok(None);
        }
        let found = self.find(&self.history, key, at, at)?;
        Ok(found.map(|(block, found)| versioned(&block, &found)))
    }

    /// The first entry of `key` at or below `timestamp`, unless none of its versions can lie at or below `at`.
    fn find(&self, section: &Section, key: &[u8], timestamp: u64, at: u64) -> Result<Option<(Block, Found)>> {
        let malformed = |_| self.malformed();
        let Some(partition) = self.partition_of(section, key, timestamp)? else { return Ok(None) };
        let index = self.index_block(section, partition)?;
        let Some(found) = index.find(key, timestamp).map_err(malformed)? else { return Ok(None) };
        let value =
            IndexValue::read(index.value_bytes(&found), found.flags).ok_or_else(|| self.malformed())?;
        if value.is_outside(at, None) {
            return Ok(None);
        }
        let block = self.block(value.handle)?;
        let found = block.find(key, timestamp).map_err(malformed)?;
        Ok(found.filter(|found| found.key_matches).map(|found| (block, found)))
    }

    /// The partition of a section's index that holds the first entry at or after (key, timestamp), if any does.
    #[inline]
    pub(crate) fn partition_of(
        &self,
        section: &Section,
        key: &[u8],
        timestamp: u64,
    ) -> Result<Option<usize>> {
        section.partition_of(key, timestamp).map_err(|_| self.malformed())
    }

    /// The error for a block that checks but makes no sense.
    pub(crate) fn malformed(&self) -> Error {
        Error::corrupt(&self.path, 0, "a block of the table is malformed")
    }

    pub(crate) fn index_value(&self, index: &Block, at: usize) -> Result<IndexValue> {
        let (value, flags) = index.value_at(at).map_err(|_| self.malformed())?;
        IndexValue::read(value, flags).ok_or_else(|| self.malformed())
    }

    /// Whether nothing of a partition can lie at or below `at` and above `since`.
    pub(crate) fn partition_is_outside(
        &self,
        section: &Section,
        partition: usize,
        at: u64,
        since: Option<u64>,
    ) -> Result<bool> {
        let Some(top) = &section.top else { return Ok(true) };
        Ok(partition < top.count() && self.index_value(top, partition)?.is_outside(at, since))
    }

    /// A partition of a section's index.
    #[inline]
    pub(crate) fn index_block(&self, section: &Section, partition: usize) -> Result<Block> {
        let cell = section.pinned.get(partition);
        if let Some(block) = cell.and_then(OnceLock::get) {
            return Ok(block.clone());
        }
        let block = self.block(self.partition_handle(section, partition)?)?;
        if let Some(cell) = cell
            && self.cache.pin(block.bytes() as u64)
            && cell.set(block.clone()).is_err()
        {
            self.cache.unpin(block.bytes() as u64);
        }
        Ok(block)
    }

    /// A block, from the cache or the disk.
    #[inline]
    pub(crate) fn block(&self, handle: Handle) -> Result<Block> {
        if let Some(block) = self.cache.get(self.id, handle.offset) {
            return Ok(block);
        }
        let block = self.read(handle)?;
        self.cache.insert(self.id, handle.offset, block.clone());
        Ok(block)
    }

    /// The same for a walk, which may read ahead.
    pub(crate) fn block_ahead(&self, handle: Handle, ahead: &mut Ahead) -> Result<Block> {
        if let Some(block) = self.cache.get(self.id, handle.offset) {
            return Ok(block);
        }
        let block = self.block_uncached(handle, ahead)?;
        self.cache.insert(self.id, handle.offset, block.clone());
        Ok(block)
    }

    /// A block from the disk, for a walk that would only wash out the cache.
    pub(crate) fn block_uncached(&self, handle: Handle, ahead: &mut Ahead) -> Result<Block> {
        if let Some((offset, length)) = ahead.read(handle.offset, handle.length) {
            self.file.will_need(offset, length);
        }
        self.read(handle)
    }

    /// A partition of a section's index for the same: one that is in memory, or from the disk, which is asked for all of them
    /// with the first.
    pub(crate) fn index_block_uncached(&self, section: &Section, partition: usize) -> Result<Block> {
        if let Some(block) = section.pinned.get(partition).and_then(OnceLock::get) {
            return Ok(block.clone());
        }
        if partition == 0 {
            self.ask_for_index(section, u64::MAX);
        }
        self.read(self.partition_handle(section, partition)?)
    }

    fn partition_handle(&self, section: &Section, partition: usize) -> Result<Handle> {
        let Some(top) = &section.top else { return Err(self.malformed()) };
        Ok(self.index_value(top, partition)?.handle)
    }

    /// Asks the disk for the partitions of a section's index, if they take no more than so many bytes. Returns how many
    /// were asked for.
    pub(crate) fn ask_for_index(&self, section: &Section, bytes_max: u64) -> u64 {
        // Who reads a malformed index is told so.
        let Ok(first) = self.partition_handle(section, 0) else { return 0 };
        let bytes = section.top_offset.saturating_sub(first.offset);
        if bytes == 0 || bytes > bytes_max {
            return 0;
        }
        self.file.will_need(first.offset, bytes);
        bytes
    }

    fn read(&self, handle: Handle) -> Result<Block> {
        let (file, cipher) = (self.file.as_ref(), self.cipher.as_ref());
        let since = trace::reading();
        let payload = read_block(file, &self.path, self.summary.bytes, cipher, Part::Block, handle)?;
        trace::has_read(since);
        Block::new(payload).map_err(|_| Error::corrupt(&self.path, handle.offset, "not a block of entries"))
    }
}

fn versioned(block: &Block, found: &Found) -> Versioned {
    let content = block.value(found);
    if found.flags & DELETES != 0 {
        return Versioned::deletion(found.timestamp, &content);
    }
    Versioned::value(found.timestamp, content)
}

impl Section {
    /// Partitions of its index.
    pub(crate) fn partitions(&self) -> usize {
        self.pinned.len()
    }

    /// The partition that holds the first entry at or after (key, timestamp), if any does.
    #[inline]
    fn partition_of(&self, key: &[u8], timestamp: u64) -> std::result::Result<Option<usize>, Malformed> {
        match &self.top {
            None => Ok(None),
            Some(top) => Ok(top.find(key, timestamp)?.map(|found| found.index)),
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        let blocks = self.current.pinned.iter().chain(&self.history.pinned).filter_map(OnceLock::get);
        self.cache.unpin(blocks.map(|block| block.bytes() as u64).sum());
        if self.obsolete.load(Ordering::Acquire)
            && let Err(error) = self.disk.remove(&self.path)
        {
            // It is removed when the database is opened next.
            tracing::debug!(path = %self.path.display(), %error, "cannot remove an obsolete table");
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("id", &self.id).field("summary", &self.summary).finish_non_exhaustive()
    }
}

/// The properties' handle and the format's version; None if it is no footer.
fn parse_footer(footer: &[u8; FOOTER_BYTES]) -> Option<(Handle, u32)> {
    let covered = footer.get(..20)?;
    if footer.get(24..)? != MAGIC || u32_at(footer, 20)? != crc32c::crc32c(covered) {
        return None;
    }
    let handle = Handle { offset: u64_at(footer, 0)?, length: u64::from(u32_at(footer, 8)?) };
    Some((handle, u32_at(footer, 12)?))
}

/// The cipher that the envelope of a sealed table asks for.
fn cipher_of(disk: &dyn Disk, path: &Path, id: u64, keys: Option<&Keys>) -> Result<FileCipher> {
    let envelope = Envelope::peek(disk, path, PLACEMENT)?
        .ok_or_else(|| Error::corrupt(path, 0, "the envelope does not check"))?;
    let keys = keys.ok_or_else(|| {
        Error::key(path, "encrypted: give the master key, and keep the key store beside it")
    })?;
    keys.file(path, envelope, FILE_KIND, id)
}

/// What stands at the end of a table: an envelope, if it is sealed, and the footer.
pub(crate) fn footer(properties: Handle, envelope: Option<Envelope>) -> Vec<u8> {
    let mut footer = Vec::with_capacity(FOOTER_BYTES + ENVELOPE_BYTES);
    footer.extend_from_slice(&properties.offset.to_le_bytes());
    footer.extend_from_slice(&(properties.length as u32).to_le_bytes());
    let version = if envelope.is_some() { VERSION_SEALED } else { VERSION_PLAIN };
    footer.extend_from_slice(&version.to_le_bytes());
    footer.extend_from_slice(&[0; 4]);
    footer.extend_from_slice(&crc32c::crc32c(&footer).to_le_bytes());
    footer.extend_from_slice(MAGIC);
    match envelope {
        None => footer,
        Some(envelope) => [&envelope.encode()[..], &footer].concat(),
    }
}

/// The checksum of a block at `offset`.
pub(crate) fn block_checksum(covered: &[u8], offset: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&offset.to_le_bytes()), covered)
}

/// Reads, checks, opens and decompresses a block of a file of `file_bytes`.
fn read_block(
    file: &dyn ReadFile,
    path: &Path,
    file_bytes: u64,
    cipher: Option<&FileCipher>,
    part: Part,
    handle: Handle,
) -> Result<Bytes> {
    let corrupt = |what: &str| Error::corrupt(path, handle.offset, what);
    let inside = handle.offset.checked_add(handle.length).is_some_and(|end| end <= file_bytes);
    if handle.length < TRAILER_BYTES as u64 || handle.length > BLOCK_BYTES_MAX || !inside {
        return Err(corrupt("a block of impossible length"));
    }
    let mut buffer = vec![0; handle.length as usize];
    file.read_exact_at(handle.offset, &mut buffer).map_err(Error::io("read", path))?;
    let crc_at = buffer.len() - 4;
    let covered = buffer.get(..crc_at).unwrap_or_default();
    if u32_at(&buffer, crc_at) != Some(block_checksum(covered, handle.offset)) {
        return Err(corrupt("the block does not check"));
    }
    buffer.truncate(crc_at);
    if let Some(cipher) = cipher {
        let opened = cipher.open(part, handle.offset, 0, &mut buffer);
        let length = opened.ok_or_else(|| corrupt("the block is not what was sealed here"))?.len();
        buffer.truncate(length);
    }
    codec::decompress(buffer).map_err(corrupt)
}

pub(crate) fn encode_spans(spans: &Spans) -> Vec<u8> {
    let mut buffer = Vec::new();
    for span in spans.iter() {
        crate::coding::put_prefixed(&mut buffer, &span.start);
        crate::coding::put_prefixed(&mut buffer, &span.end);
    }
    buffer
}

fn decode_spans(payload: Bytes) -> Option<Spans> {
    let mut reader = Reader::new(payload);
    let mut spans = Vec::new();
    while !reader.is_empty() {
        spans.push(Span { start: reader.prefixed()?, end: reader.prefixed()? });
    }
    Some(Spans::union(spans))
}
