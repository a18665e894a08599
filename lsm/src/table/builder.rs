//! Writing a table: keys in order, each with all its versions, newest first.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use env::disk::{AppendFile, Disk};

use super::codec::{Compressor, PLAIN};
use super::file::{IndexValue, block_checksum, encode_spans, footer};
use super::filter;
use super::fit::{self, Fit};
use super::properties::{Handle, Properties, Summary};
use crate::block::{ALONE, BlockBuilder, DELETES, HAS_HISTORY, common_prefix};
use crate::encryption::{FileCipher, Part};
use crate::entry::{Content, Versioned, successor};
use crate::error::{Error, Result};
use crate::options::Compression;
use crate::spans::Spans;

/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 256 << 10;
/// An index partition is closed past this size.
const PARTITION_BYTES: usize = 4 << 10;

/// How tables of a keyspace are written.
#[derive(Clone, Debug)]
pub(crate) struct TableOptions {
    pub(crate) keyspace: u8,
    pub(crate) versioned: bool,
    pub(crate) filter_bits: u8,
    pub(crate) compression: Compression,
    pub(crate) block_bytes: usize,
}

/// Writes one table.
#[derive(Debug)]
pub(crate) struct TableWriter {
    output: Output,
    options: TableOptions,
    current: SectionWriter,
    history: SectionWriter,
    hashes: Vec<u64>,
    first_key: Option<Bytes>,
    last_key: Vec<u8>,
    /// Of each history entry the timestamp of the next newer version.
    superseded: Vec<u64>,
    /// The timestamps of deletions.
    deleted: Vec<u64>,
    summary: Summary,
}

impl TableWriter {
    /// A new file at `path`, sealed if there is a cipher.
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        path: PathBuf,
        options: TableOptions,
        cipher: Option<FileCipher>,
    ) -> Result<Self> {
        let file = disk.create(&path).map_err(Error::io("create", &path))?;
        Ok(Self {
            output: Output {
                file,
                path,
                buffer: Vec::new(),
                written: 0,
                compressor: Compressor::new(options.compression),
                cipher,
            },
            current: SectionWriter::new(options.versioned),
            history: SectionWriter::new(options.versioned),
            hashes: Vec::new(),
            first_key: None,
            last_key: Vec::new(),
            superseded: Vec::new(),
            deleted: Vec::new(),
            summary: Summary { keyspace: options.keyspace, timestamp_min: u64::MAX, ..Summary::default() },
            options,
        })
    }

    /// Adds a key above all before it, with its versions from the newest to the oldest.
    pub(crate) fn add(&mut self, key: &[u8], versions: &[Versioned]) -> Result<()> {
        let Some((newest, older)) = versions.split_first() else { return Ok(()) };
        self.check_order(key)?;
        let history = if older.is_empty() { 0 } else { HAS_HISTORY };
        self.add_entry(key, newest.timestamp, newest.content(), history, false)?;
        for (newer, version) in versions.iter().zip(older) {
            self.add_entry(key, version.timestamp, version.content(), 0, true)?;
            self.superseded.push(newer.timestamp);
        }
        self.note_key(key);
        Ok(())
    }

    /// Adds a key without versions above all before it, or its deletion.
    pub(crate) fn add_plain(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        self.check_order(key)?;
        self.add_entry(key, 0, value.map_or(Content::Deletion(&[]), Content::Value), 0, false)?;
        self.note_key(key);
        Ok(())
    }

    fn check_order(&self, key: &[u8]) -> Result<()> {
        if self.first_key.is_some() && *key <= *self.last_key {
            return Err(Error::Invalid("keys of a table must ascend".to_owned()));
        }
        Ok(())
    }

    fn note_key(&mut self, key: &[u8]) {
        self.hashes.push(filter::hash(key));
        if self.first_key.is_none() {
            self.first_key = Some(Bytes::copy_from_slice(key));
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
    }

    fn add_entry(
        &mut self,
        key: &[u8],
        timestamp: u64,
        content: Content<'_>,
        flag: u8,
        history: bool,
    ) -> Result<()> {
        let (bytes, deletes) = match content {
            Content::Value(value) => (value, false),
            Content::Deletion(note) => (note, true),
        };
        let flags = flag | if deletes { DELETES } else { 0 };
        let section = if history { &mut self.history } else { &mut self.current };
        let block_bytes = self.options.block_bytes;
        section.add(&mut self.output, key, timestamp, flags, bytes, block_bytes)?;
        self.summary.entries += 1;
        self.summary.history += u64::from(history);
        if deletes {
            self.summary.deletes += 1;
            self.deleted.push(timestamp);
        }
        self.summary.timestamp_min = self.summary.timestamp_min.min(timestamp);
        self.summary.timestamp_max = self.summary.timestamp_max.max(timestamp);
        Ok(())
    }

    /// Bytes of the file if it were finished now, roughly.
    pub(crate) fn bytes(&self) -> u64 {
        let open = self.current.open_bytes() + self.history.open_bytes();
        self.output.offset()
            + open as u64
            + self.hashes.len() as u64 * u64::from(self.options.filter_bits) / 8
    }

    pub(crate) fn last_key(&self) -> Option<&[u8]> {
        self.first_key.as_ref().map(|_| &*self.last_key)
    }

    /// Writes what remains and syncs the file. The table has at least one key or range delete.
    pub(crate) fn finish(mut self, range_deletes: &Spans) -> Result<Summary> {
        let mut properties = Properties { versioned: self.options.versioned, ..Properties::default() };
        properties.current = self.current.finish(&mut self.output)?;
        properties.history = self.history.finish(&mut self.output)?;
        if self.options.filter_bits > 0 && !self.hashes.is_empty() {
            let payload = filter::build(&self.hashes, self.options.filter_bits);
            properties.filter = Some(self.output.write_block(payload, Part::Block, false)?);
        }
        if !range_deletes.is_empty() {
            let payload = encode_spans(range_deletes);
            properties.range_deletes = Some(self.output.write_block(payload, Part::Block, true)?);
        }
        let starts = self.first_key.iter().chain(range_deletes.iter().map(|span| &span.start));
        self.summary.start = starts.min().cloned().unwrap_or_default();
        let last = self.first_key.as_ref().map(|_| successor(&self.last_key));
        self.summary.end =
            last.iter().chain(range_deletes.iter().map(|span| &span.end)).max().cloned().unwrap_or_default();
        self.summary.range_deletes = range_deletes.iter().count() as u64;
        self.summary.superseded_median = median(&mut self.superseded);
        self.summary.deletes_median = median(&mut self.deleted);
        properties.summary = self.summary.clone();
        let handle = self.output.write_block(properties.encode(), Part::Properties, false)?;
        let envelope = self.output.cipher.as_ref().map(FileCipher::envelope);
        self.output.buffer.extend_from_slice(&footer(handle, envelope));
        self.output.sync()?;
        self.summary.bytes = self.output.offset();
        self.summary.envelope = envelope;
        Ok(self.summary)
    }
}

/// The upper median; `u64::MAX` of nothing.
fn median(all: &mut [u64]) -> u64 {
    let middle = all.len() / 2;
    if all.is_empty() { u64::MAX } else { *all.select_nth_unstable(middle).1 }
}

/// The file being written.
#[derive(Debug)]
struct Output {
    file: Box<dyn AppendFile>,
    path: PathBuf,
    buffer: Vec<u8>,
    written: u64,
    compressor: Compressor,
    cipher: Option<FileCipher>,
}

impl Output {
    fn offset(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn write_block(&mut self, mut payload: Vec<u8>, part: Part, compress: bool) -> Result<Handle> {
        let offset = self.offset();
        if compress {
            self.compressor.compress(&mut payload);
        } else {
            payload.push(PLAIN);
        }
        if let Some(cipher) = &self.cipher {
            cipher.seal(part, offset, 0, &mut payload, 0)?;
        }
        let crc = block_checksum(&payload, offset);
        let length = payload.len() + 4;
        self.buffer.extend_from_slice(&payload);
        self.buffer.extend_from_slice(&crc.to_le_bytes());
        if self.buffer.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(Handle { offset, length: length as u64 })
    }

    /// Leaves what little may be left of a page empty, behind a block of so many bytes.
    fn end_page(&mut self, written: u64) {
        let empty = fit::empty_after(self.offset(), written);
        self.buffer.resize(self.buffer.len() + empty as usize, 0);
    }

    fn flush(&mut self) -> Result<()> {
        self.file.append(&self.buffer).map_err(Error::io("append to", &self.path))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.flush()?;
        self.file.sync_data().map_err(Error::io("sync", &self.path))
    }
}

/// Blocks of one section and their index.
#[derive(Debug)]
struct SectionWriter {
    data: BlockBuilder,
    fit: Fit,
    index: BlockBuilder,
    top: BlockBuilder,
    last_timestamp: u64,
    timestamps: (u64, u64),
    /// A block that is written but not in the index yet: its separator depends on the next key.
    pending: Option<Pending>,
    partition_timestamps: (u64, u64),
    /// They are written behind all data, side by side.
    partitions: Vec<Partition>,
    partition_bytes: usize,
    /// Whether a key of the open block has older versions.
    any_history: bool,
    partition_alone: bool,
    value: Vec<u8>,
}

#[derive(Debug)]
struct Pending {
    key: Vec<u8>,
    timestamp: u64,
    handle: Handle,
    timestamps: (u64, u64),
    alone: bool,
}

/// A part of the index that is not written yet, and what the top index will say of it.
#[derive(Debug)]
struct Partition {
    payload: Vec<u8>,
    key: Vec<u8>,
    timestamp: u64,
    timestamps: (u64, u64),
    alone: bool,
}

const NO_TIMESTAMPS: (u64, u64) = (u64::MAX, 0);

impl SectionWriter {
    fn new(versioned: bool) -> Self {
        Self {
            data: BlockBuilder::new(versioned),
            fit: Fit::new(),
            index: BlockBuilder::new(versioned),
            top: BlockBuilder::new(versioned),
            last_timestamp: 0,
            timestamps: NO_TIMESTAMPS,
            pending: None,
            partition_timestamps: NO_TIMESTAMPS,
            partitions: Vec::new(),
            partition_bytes: 0,
            any_history: false,
            partition_alone: true,
            value: Vec::new(),
        }
    }

    fn add(
        &mut self,
        output: &mut Output,
        key: &[u8],
        timestamp: u64,
        flags: u8,
        value: &[u8],
        block_bytes: usize,
    ) -> Result<()> {
        let (bytes, with_next) = (self.data.bytes(), self.data.bytes_with(key, value));
        if !self.data.is_empty() && self.fit.is_full(output.offset(), bytes, with_next, block_bytes) {
            self.close_block(output)?;
        }
        if let Some(pending) = self.pending.take() {
            self.index_block(pending, Some(key));
        }
        self.data.add(key, timestamp, flags, value);
        self.any_history |= flags & HAS_HISTORY != 0;
        self.last_timestamp = timestamp;
        self.timestamps = (self.timestamps.0.min(timestamp), self.timestamps.1.max(timestamp));
        Ok(())
    }

    /// Bytes that are not written yet, uncompressed.
    fn open_bytes(&self) -> usize {
        self.data.bytes() + self.partition_bytes
    }

    fn close_block(&mut self, output: &mut Output) -> Result<()> {
        let key = self.data.last_key().to_vec();
        let bytes = self.data.bytes();
        let handle = output.write_block(self.data.finish(), Part::Block, true)?;
        self.fit.note(bytes, handle.length);
        output.end_page(handle.length);
        let timestamps = std::mem::replace(&mut self.timestamps, NO_TIMESTAMPS);
        let alone = !std::mem::take(&mut self.any_history);
        self.pending = Some(Pending { key, timestamp: self.last_timestamp, handle, timestamps, alone });
        Ok(())
    }

    fn index_block(&mut self, pending: Pending, next: Option<&[u8]>) {
        let (key, timestamp) = match next.and_then(|next| separator(&pending.key, next)) {
            Some(shorter) => (shorter, 0),
            None => (pending.key, pending.timestamp),
        };
        self.value.clear();
        IndexValue::put(&mut self.value, pending.handle, pending.timestamps.0, pending.timestamps.1);
        self.index.add(&key, timestamp, if pending.alone { ALONE } else { 0 }, &self.value);
        self.partition_alone &= pending.alone;
        let (min, max) = self.partition_timestamps;
        self.partition_timestamps = (min.min(pending.timestamps.0), max.max(pending.timestamps.1));
        if self.index.bytes() > PARTITION_BYTES || next.is_none() {
            let payload = self.index.finish();
            self.partition_bytes += payload.len();
            self.partitions.push(Partition {
                payload,
                key,
                timestamp,
                timestamps: std::mem::replace(&mut self.partition_timestamps, NO_TIMESTAMPS),
                alone: std::mem::replace(&mut self.partition_alone, true),
            });
        }
    }

    /// Handle of the top index; None if the section is empty.
    fn finish(&mut self, output: &mut Output) -> Result<Option<Handle>> {
        if !self.data.is_empty() {
            self.close_block(output)?;
        }
        if let Some(pending) = self.pending.take() {
            self.index_block(pending, None);
        }
        if self.partitions.is_empty() {
            return Ok(None);
        }
        for Partition { payload, key, timestamp, timestamps: (min, max), alone } in self.partitions.drain(..)
        {
            let handle = output.write_block(payload, Part::Block, true)?;
            self.value.clear();
            IndexValue::put(&mut self.value, handle, min, max);
            self.top.add(&key, timestamp, if alone { ALONE } else { 0 }, &self.value);
        }
        output.write_block(self.top.finish(), Part::Block, true).map(Some)
    }
}

/// A key shorter than `before` that lies above it and below `after`, if there is one.
fn separator(before: &[u8], after: &[u8]) -> Option<Vec<u8>> {
    let shared = common_prefix(before, after);
    let next = before.get(shared)?.checked_add(1)?;
    if shared + 1 >= before.len() || next >= *after.get(shared)? {
        return None;
    }
    let mut key = before.get(..shared)?.to_vec();
    key.push(next);
    Some(key)
}

/// The path of a table's file.
pub(crate) fn table_path(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:012}.table"))
}

/// The number of a table from its file name.
pub(crate) fn parse_table_name(name: &str) -> Option<u64> {
    name.strip_suffix(".table")?.parse().ok()
}
