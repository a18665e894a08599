//! Doors for fuzzing: every decoder of the engine, fed with bytes that nobody wrote.
//!
//! A [`Target`] takes any bytes and must come back: no panic, no endless loop, no allocation out of proportion. Checksums
//! would turn nearly all of it away, so the targets put right ones behind what they are given. [`Target::seeds`] are
//! valid encodings to begin with. The driver is `lsm/fuzz`; the tests here only play a few thousand random changes.

use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use env::disk::{Disk, MemoryDisk};

use crate::batch::{EncodedBatch, WriteBatch};
use crate::block::{Block, BlockBuilder, BlockCursor};
use crate::cache::BlockCache;
use crate::coding::{Reader, put_prefixed, put_varint, u32_at};
use crate::encryption::{Envelope, Keys};
use crate::entry::{Note, Versioned};
use crate::error::Result;
use crate::log::{Log, LogOptions};
use crate::manifest::{Manifest, expected_tables};
use crate::options::{Compression, Keyspace};
use crate::spans::{Span, Spans};
use crate::table::builder::{TableOptions, TableWriter};
use crate::table::cursor::{RunCursor, Window};
use crate::table::file::{IndexValue, Table, block_checksum, footer};
use crate::table::filter::{self, Filter};
use crate::table::properties::{Handle, Properties, Summary};
use crate::tree::{Added, Edit, Removed};

/// A decoder, or several that read one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Blocks of entries and of indexes.
    Block,
    /// Filters.
    Filter,
    /// Properties and summaries of tables.
    Properties,
    /// Whole tables: footer, compressed blocks, index, range deletes, cursors.
    Table,
    /// Segments of logs.
    Log,
    /// Records of the manifest.
    Manifest,
    /// Write batches.
    Batch,
    /// Key stores, and the envelopes of sealed files.
    Keys,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Block,
        Self::Filter,
        Self::Properties,
        Self::Table,
        Self::Log,
        Self::Manifest,
        Self::Batch,
        Self::Keys,
    ];

    /// For the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Filter => "filter",
            Self::Properties => "properties",
            Self::Table => "table",
            Self::Log => "log",
            Self::Manifest => "manifest",
            Self::Batch => "batch",
            Self::Keys => "keys",
        }
    }

    /// Decodes, and uses what was decoded. Whether the bytes make sense does not matter.
    pub fn run(self, data: &[u8]) {
        match self {
            Self::Block => block(data),
            Self::Filter => drop(filter(data)),
            Self::Properties => properties(data),
            Self::Table => drop(table(data)),
            Self::Log => drop(log(data)),
            Self::Manifest => drop(manifest(data)),
            Self::Batch => batch(data),
            Self::Keys => keys(data),
        }
    }

    /// Valid encodings.
    pub fn seeds(self) -> Vec<Vec<u8>> {
        match self {
            Self::Block => vec![block_seed(true, 40), block_seed(false, 3), block_seed(true, 1)],
            Self::Filter => vec![filter::build(&[1, 1 << 40, u64::MAX], 10), filter::build(&[], 1)],
            Self::Properties => vec![properties_seed().encode(), properties_seed().summary.encode()],
            Self::Table => [Compression::None, Compression::Lz4, Compression::Zstd]
                .into_iter()
                .flat_map(table_seed)
                .collect(),
            Self::Log => log_seed().into_iter().collect(),
            Self::Manifest => manifest_seed().into_iter().collect(),
            Self::Batch => {
                let mut long = batch_seed();
                (0..8).for_each(|n| long.put(&[b'p'; 40], &[n; 3]));
                [batch_seed(), WriteBatch::new(), long].map(|batch| batch.encode().to_vec()).to_vec()
            }
            Self::Keys => vec![keys_seed(), Envelope { data_key: 7, salt: [3; 32] }.encode().to_vec()],
        }
    }
}

fn block(data: &[u8]) {
    let Ok(block) = Block::new(Bytes::copy_from_slice(data)) else { return };
    for (key, timestamp) in [(&b"key07"[..], 5), (b"", 0), (data, u64::MAX)] {
        if let Ok(Some(found)) = block.find(key, timestamp) {
            let _ = (block.value(&found), block.value_at(found.index).is_ok());
        }
    }
    let mut cursor = BlockCursor::new(block.clone());
    let mut going = cursor.seek_first();
    let mut forward = 0;
    while going.is_ok() && cursor.is_valid() {
        let _ = (cursor.key().len(), cursor.value(), cursor.timestamp(), cursor.flags());
        forward += 1;
        going = cursor.next();
    }
    assert!(forward <= block.count(), "more steps than entries");
    let mut going = cursor.seek_last();
    while going.is_ok() && cursor.is_valid() {
        going = cursor.prev();
    }
    let _ = (cursor.seek(data, 3).is_ok(), cursor.seek_before(data, 3).is_ok());
}

fn block_seed(timestamps: bool, entries: u64) -> Vec<u8> {
    let mut builder = BlockBuilder::new(timestamps);
    for n in 0..entries {
        let mut value = Vec::new();
        IndexValue::put(&mut value, Handle { offset: n * 100, length: 100 }, n, n + 50);
        builder.add(format!("key{:02}{}", n / 2, "z".repeat(n as usize % 11)).as_bytes(), 90 - n, 0, &value);
    }
    builder.finish()
}

fn filter(data: &[u8]) -> Option<bool> {
    let filter = Filter::new(Bytes::copy_from_slice(data))?;
    Some((0..64).all(|bit| filter.may_contain(1u64 << bit | u64::from(data.len() as u32))))
}

fn properties(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    if let Some(properties) = Properties::decode(bytes.clone()) {
        assert_eq!(Properties::decode(Bytes::from(properties.encode())), Some(properties));
    }
    if let Some(summary) = Summary::decode(bytes) {
        assert_eq!(Summary::decode(Bytes::from(summary.encode())), Some(summary));
    }
}

fn properties_seed() -> Properties {
    let handle = Handle { offset: 1 << 33, length: 300 };
    let summary = summary();
    Properties {
        summary,
        versioned: true,
        current: Some(handle),
        filter: Some(handle),
        ..Properties::default()
    }
}

fn summary() -> Summary {
    let (start, end) = (Bytes::from_static(b"va"), Bytes::from_static(b"vz"));
    Summary { keyspace: b'v', start, end, entries: 300, timestamp_max: u64::MAX, ..Summary::default() }
}

const TABLE: &str = "/t/000000000001.table";

fn disk() -> Result<Arc<dyn Disk>> {
    let disk = MemoryDisk::new();
    for dir in ["/t", "/db", "/db/manifest", "/log"] {
        disk.create_dir_all(Path::new(dir)).map_err(crate::Error::io("create", Path::new(dir)))?;
    }
    Ok(Arc::new(disk))
}

fn write(disk: &Arc<dyn Disk>, path: &str, content: &[u8]) -> Result<()> {
    let path = Path::new(path);
    let mut file = disk.create(path).map_err(crate::Error::io("create", path))?;
    file.append(content).map_err(crate::Error::io("append to", path))
}

/// `data := (block's payload and compression byte, prefixed)*`, the properties last: a file of them with checksums.
fn table(data: &[u8]) -> Result<()> {
    let disk = disk()?;
    let mut file = Vec::new();
    let mut reader = Reader::new(Bytes::copy_from_slice(data));
    let mut last = Handle::default();
    while !reader.is_empty() {
        let Some(block) = reader.prefixed() else { break };
        last = Handle { offset: file.len() as u64, length: block.len() as u64 + 4 };
        file.extend_from_slice(&block);
        file.extend_from_slice(&block_checksum(&block, last.offset).to_le_bytes());
    }
    file.extend_from_slice(&footer(last, None));
    write(&disk, TABLE, &file)?;
    let table = Arc::new(Table::open(
        &disk,
        Path::new(TABLE),
        1,
        &Arc::new(BlockCache::new(1 << 16, 1 << 10)),
        None,
    )?);
    let _ = (table.may_contain(7), table.resident_bytes());
    for (key, at) in [(&b"v0003"[..], 20), (b"v0009x", 3), (b"", 0), (data, u64::MAX)] {
        let _ = (table.get(key, at).is_ok(), table.range_deletes.covering(key).is_some());
    }
    for (window, reverse) in [
        (Window::ALL, false),
        (Window::ALL, true),
        (Window { at: 12, since: Some(3), all: false }, false),
        (Window { at: 12, since: None, all: true }, true),
    ] {
        let mut cursor = RunCursor::over(vec![table.clone()], window, reverse, window.all);
        cursor.seek(if reverse { b"w" } else { b"v" })?;
        // A block may be named by many entries of the index, so that it is walked many times.
        for _ in 0..10_000 {
            if cursor.key().is_none() {
                break;
            }
            let mut versions = Vec::new();
            cursor.collect(&mut versions)?;
            cursor.advance()?;
        }
    }
    Ok(())
}

fn table_seed(compression: Compression) -> Option<Vec<u8>> {
    let disk = disk().ok()?;
    let options =
        TableOptions { keyspace: b'v', versioned: true, filter_bits: 10, compression, block_bytes: 200 };
    let mut writer = TableWriter::create(&disk, TABLE.into(), options, None).ok()?;
    for n in 0..80u64 {
        let version = |back: u64| Versioned {
            timestamp: 20 + n % 5 - back * 4,
            value: (n % 4 > 0).then(|| Bytes::from(vec![b'a'; n as usize])),
            note: if n % 4 > 0 { Note::default() } else { Note::new(b"note").unwrap_or_default() },
        };
        let versions: Vec<_> = (0..1 + n % 4).map(version).collect();
        writer.add(format!("v{n:04}").as_bytes(), &versions).ok()?;
    }
    let span = Span { start: Bytes::from_static(b"v0002"), end: Bytes::from_static(b"v0005") };
    writer.finish(&Spans::union(vec![span])).ok()?;
    // Taken apart again: a block begins where the checksum of the one before ends, or after zeros.
    let file = disk.read(Path::new(TABLE)).ok()?;
    let mut data = Vec::new();
    let mut at = 0;
    let blocks = file.len().checked_sub(footer(Handle::default(), None).len())?;
    while at < blocks {
        let checks = |end: &usize| {
            u32_at(&file, *end) == file.get(at..*end).map(|block| block_checksum(block, at as u64))
        };
        let Some(end) = (at + 1..blocks).find(checks) else {
            at = (file.get(at) == Some(&0)).then_some(at + 1)?;
            continue;
        };
        put_prefixed(&mut data, file.get(at..end)?);
        at = end + 4;
    }
    Some(data)
}

const SEGMENT: &str = "/log/00000000000000000001.log";

/// `data := (offset u16, byte u8) * 2 | content`: a segment of records, or as it is if it begins like one, then changed.
fn log(data: &[u8]) -> Result<()> {
    let disk = disk()?;
    let (changes, content) = data.split_at_checked(6).unwrap_or((&[], data));
    if content.starts_with(b"NUNALOG") {
        write(&disk, SEGMENT, content)?;
    } else {
        let log = Log::open(disk.clone(), "/log", LogOptions::default(), |_, _| Ok(()))?;
        for record in content.chunks(40) {
            log.append(record)?;
            if record.first().is_some_and(|first| first % 4 == 0) {
                log.sync()?;
            }
        }
        log.sync()?;
        drop(log);
        let mut file = disk.read(Path::new(SEGMENT)).unwrap_or_default();
        for change in changes.chunks_exact(3) {
            if let [low, high, byte] = change
                && let Some(at) = file.get_mut(usize::from(u16::from_le_bytes([*low, *high])))
            {
                *at ^= byte;
            }
        }
        disk.remove(Path::new(SEGMENT)).map_err(crate::Error::io("remove", Path::new(SEGMENT)))?;
        write(&disk, SEGMENT, &file)?;
    }
    let mut positions = Vec::new();
    let log = Log::open(disk.clone(), "/log", LogOptions::default(), |position, _| {
        positions.push(position);
        Ok(())
    })?;
    for position in positions {
        assert!(log.read_at(position).is_ok(), "a record that was replayed can be read");
    }
    Ok(())
}

fn log_seed() -> Option<Vec<u8>> {
    let disk = disk().ok()?;
    let log = Log::open(disk.clone(), "/log", LogOptions::default(), |_, _| Ok(())).ok()?;
    for record in [&b"first"[..], &[7; 100], b"third"] {
        log.append(record).ok()?;
        log.sync().ok()?;
    }
    drop(log);
    Some([vec![0; 6], disk.read(Path::new(SEGMENT)).ok()?].concat())
}

/// `data := (record, prefixed)*`
fn manifest(data: &[u8]) -> Result<()> {
    let disk = disk()?;
    let log = Log::open(disk.clone(), "/db/manifest", LogOptions::default(), |_, _| Ok(()))?;
    let mut reader = Reader::new(Bytes::copy_from_slice(data));
    while let Some(record) = reader.prefixed() {
        log.append(&record)?;
    }
    log.sync()?;
    drop(log);
    let (_, state) = Manifest::open(&disk, Path::new("/db"), None)?;
    let _ = expected_tables(&state).len();
    Ok(())
}

fn manifest_seed() -> Option<Vec<u8>> {
    let disk = disk().ok()?;
    let (mut manifest, _) = Manifest::open(&disk, Path::new("/db"), None).ok()?;
    manifest.rewrite(&[Keyspace::versioned(b'v', "versions")], &Edit::default()).ok()?;
    let added =
        vec![Added { level: 0, id: 1, summary: summary() }, Added { level: 6, id: 2, summary: summary() }];
    manifest.append(&Edit { added, flushed: Some(9), ..Edit::default() }).ok()?;
    let removed = vec![Removed { keyspace: b'v', level: 0, id: 1 }];
    manifest.append(&Edit { removed, table_next: Some(7), log_segment: Some(2), ..Edit::default() }).ok()?;
    drop(manifest);
    let mut data = Vec::new();
    Log::open(disk, "/db/manifest", LogOptions::default(), |_, record| {
        put_varint(&mut data, record.len() as u64);
        data.extend_from_slice(&record);
        Ok(())
    })
    .ok()?;
    Some(data)
}

fn keys(data: &[u8]) {
    let _ = (Keys::can_decode(Bytes::copy_from_slice(data)), Envelope::decode(data).is_some());
}

fn keys_seed() -> Vec<u8> {
    let mut body = 5u64.to_le_bytes().to_vec();
    put_varint(&mut body, 2);
    for id in [5u64, 6] {
        body.extend_from_slice(&id.to_le_bytes());
        body.extend_from_slice(&[9; 32]);
    }
    put_varint(&mut body, 1);
    put_prefixed(&mut body, b"tables");
    body.push(2);
    body.extend_from_slice(&32u64.to_le_bytes());
    body.push(1);
    body
}

fn batch(data: &[u8]) {
    let shared = EncodedBatch::decode(Bytes::copy_from_slice(data));
    let Ok(batch) = WriteBatch::decode(data) else {
        assert!(shared.is_err(), "refused where it is copied alone");
        return;
    };
    if let Ok(shared) = shared {
        let mut appended = WriteBatch::new();
        appended.append_encoded(shared);
        assert_eq!(appended.encode(), batch.clone().encode(), "the same where it lies");
    }
    let moved = EncodedBatch::decode_at(BytesMut::from(data), 77);
    assert!(moved.is_ok_and(|moved| moved.len() == batch.len()), "the same at another time");
    let operations: Vec<_> = batch.operations().collect();
    assert_eq!(operations.len(), batch.len(), "as many operations as it says");
    let again = batch.encode();
    let again =
        WriteBatch::decode(&again).map(|batch| batch.operations().filter_map(Result::ok).collect::<Vec<_>>());
    assert_eq!(again.unwrap_or_default(), operations.into_iter().filter_map(Result::ok).collect::<Vec<_>>());
}

fn batch_seed() -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(b"pk", b"value");
    batch.delete(b"pl");
    batch.put_at(b"vk", 7, &[3; 200]);
    batch.delete_at(b"vk", 8);
    batch.delete_at_with(b"vl", 8, Note::new(b"note").unwrap_or_default());
    batch.delete_range(b"va", b"vb");
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_each_codec_is_a_seed() {
        assert_eq!(Target::Table.seeds().len(), 3);
    }

    #[test]
    fn random_changes_of_valid_encodings_are_decoded_or_refused() {
        let mut state = 88u64;
        let mut below = |bound: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % bound.max(1)
        };
        for target in Target::ALL {
            let seeds = target.seeds();
            assert!(!seeds.is_empty() && seeds.iter().any(|seed| !seed.is_empty()), "{target:?}");
            for seed in &seeds {
                target.run(seed);
                for length in 0..seed.len().min(300) {
                    target.run(&seed[..length]);
                }
                for _ in 0..1000 {
                    let mut data = seed.clone();
                    for _ in 0..1 + below(3) {
                        let (at, other) = (below(data.len()), below(data.len()));
                        match below(4) {
                            0 if !data.is_empty() => data[at] ^= 1 << below(8),
                            1 if !data.is_empty() => data[at] = [0, 1, 0x7f, 0x80, 0xff][below(5)],
                            2 => drop(data.drain(at.min(other)..at.max(other).min(at.min(other) + 9))),
                            _ => data.insert(at.min(data.len()), below(256) as u8),
                        }
                    }
                    target.run(&data);
                }
            }
        }
    }
}
