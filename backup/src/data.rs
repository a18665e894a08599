//! Data files: versions of rows, in the order of their keys, the newest of each key first.
//!
//! ```text
//! file    "NUNADATA" | format u32 = 1 | block*
//! block   plain length u32 | stored length u32 | crc32c u32 of both and what is stored | stored
//! stored  lz4 of entries; where the link has a key: sealed, as the part with the block's number
//! entry   key length u32 | key | timestamp u64 | 0, or 1 + length of the value u32 | value
//! ```
//! Numbers are little-endian. The second 0 of an entry says that the row was deleted. What a reader may assume of a file whose
//! checksum in the manifest is right is all of this; nothing of any other.

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::key::{Cipher, DataKey};

const MAGIC: &[u8; 8] = b"NUNADATA";

/// The newest format that this code reads, and the one it writes.
const FORMAT: u32 = 1;

/// A block ends with the entry that passes so many bytes.
const BLOCK_BYTES: usize = 64 << 10;

/// A block that says that it is longer is damaged: an entry is a key and a row.
const BLOCK_BYTES_MAX: usize = 64 << 20;

/// A file is no longer: what it is asked for is bounded far below that, but for its last row.
pub(crate) const FILE_BYTES_MAX: u64 = 64 << 20;

const HEAD_BYTES: usize = 12;

/// So many bytes one that is compressed stands for at most, and so many more all of them: a block that says more is damaged.
const EXPANSION_MAX: usize = 255;
const EXPANSION_BASE: usize = 64;

/// A version of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: Bytes,
    /// When it was committed.
    pub timestamp: u64,
    /// Its value; `None`: it was deleted.
    pub value: Option<Bytes>,
}

/// Makes a file.
#[derive(Debug)]
pub struct Writer {
    file: Vec<u8>,
    block: Vec<u8>,
    blocks: u64,
    entries: u64,
    cipher: Option<Cipher>,
}

/// A file that is made.
#[derive(Debug)]
pub struct Written {
    /// All of it.
    pub content: Vec<u8>,
    /// Of all of it.
    pub crc32c: u32,
    /// How many versions it holds.
    pub entries: u64,
}

impl Writer {
    /// An empty file of that name, sealed where there is a key.
    pub fn new(name: &str, key: Option<&DataKey>) -> Result<Self> {
        let mut file = MAGIC.to_vec();
        file.extend_from_slice(&FORMAT.to_le_bytes());
        let cipher = key.map(|key| key.cipher(name)).transpose()?;
        Ok(Self { file, block: Vec::new(), blocks: 0, entries: 0, cipher })
    }

    /// Takes the next version.
    pub fn put(&mut self, key: &[u8], timestamp: u64, value: Option<&[u8]>) -> Result<()> {
        put_length(&mut self.block, key.len(), 0)?;
        self.block.extend_from_slice(key);
        self.block.extend_from_slice(&timestamp.to_le_bytes());
        match value {
            None => self.block.extend_from_slice(&0_u32.to_le_bytes()),
            Some(value) => {
                put_length(&mut self.block, value.len(), 1)?;
                self.block.extend_from_slice(value);
            }
        }
        self.entries = self.entries.saturating_add(1);
        if self.block.len() >= BLOCK_BYTES {
            self.end_block()?;
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<()> {
        let mut stored = lz4_flex::block::compress(&self.block);
        if let Some(cipher) = &self.cipher {
            cipher.seal(self.blocks, &mut stored, 0)?;
        }
        let mut head = Vec::with_capacity(HEAD_BYTES);
        put_length(&mut head, self.block.len(), 0)?;
        put_length(&mut head, stored.len(), 0)?;
        let sum = crc32c::crc32c_append(crc32c::crc32c(&head), &stored);
        head.extend_from_slice(&sum.to_le_bytes());
        self.file.extend_from_slice(&head);
        self.file.extend_from_slice(&stored);
        self.block.clear();
        self.blocks = self.blocks.saturating_add(1);
        Ok(())
    }

    /// The file.
    pub fn finish(mut self) -> Result<Written> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        let crc32c = crc32c::crc32c(&self.file);
        Ok(Written { content: self.file, crc32c, entries: self.entries })
    }
}

fn put_length(to: &mut Vec<u8>, length: usize, more: u32) -> Result<()> {
    let length = u32::try_from(length).ok().and_then(|length| length.checked_add(more));
    let length = length.filter(|length| (*length as usize) < BLOCK_BYTES_MAX);
    let length = length.ok_or_else(|| Error::Unsupported("a row that is so large".to_owned()))?;
    to.extend_from_slice(&length.to_le_bytes());
    Ok(())
}

/// Reads a file.
#[derive(Debug)]
pub struct Reader {
    name: String,
    file: Bytes,
    block: Bytes,
    blocks: u64,
    cipher: Option<Cipher>,
}

impl Reader {
    /// Of a file of that name.
    pub fn new(name: &str, file: Bytes, key: Option<&DataKey>) -> Result<Self> {
        let cipher = key.map(|key| key.cipher(name)).transpose()?;
        let mut reader = Self { name: name.to_owned(), file, block: Bytes::new(), blocks: 0, cipher };
        let magic = take(&mut reader.file, MAGIC.len());
        if magic.is_none_or(|magic| magic.as_ref() != MAGIC) {
            return Err(reader.damaged("it is no data file"));
        }
        match take_u32(&mut reader.file) {
            Some(FORMAT) => Ok(reader),
            Some(version) if version > FORMAT => Err(Error::Newer { name: reader.name, version }),
            _ => Err(reader.damaged("it says no format")),
        }
    }

    /// The next version; `None`: that were all.
    pub fn entry(&mut self) -> Result<Option<Entry>> {
        if self.block.is_empty() {
            if self.file.is_empty() {
                return Ok(None);
            }
            self.block = self.next_block()?;
        }
        let entry = take_entry(&mut self.block);
        entry.map(Some).ok_or_else(|| self.damaged("an entry ends too early"))
    }

    fn next_block(&mut self) -> Result<Bytes> {
        let short = "a block ends too early";
        let head = self.file.get(..8).map(<[u8]>::to_vec).ok_or_else(|| self.damaged(short))?;
        let plain = take_u32(&mut self.file).ok_or_else(|| self.damaged(short))? as usize;
        let length = take_u32(&mut self.file).ok_or_else(|| self.damaged(short))? as usize;
        let sum = take_u32(&mut self.file).ok_or_else(|| self.damaged(short))?;
        let stored = take(&mut self.file, length).ok_or_else(|| self.damaged(short))?;
        let number = self.blocks;
        self.blocks = self.blocks.saturating_add(1);
        if crc32c::crc32c_append(crc32c::crc32c(&head), &stored) != sum {
            return Err(self.damaged(&format!("the checksum of block {number} is wrong")));
        }
        let plain_max = length.saturating_mul(EXPANSION_MAX).saturating_add(EXPANSION_BASE);
        if plain == 0 || plain > plain_max.min(BLOCK_BYTES_MAX) {
            return Err(self.damaged(&format!("block {number} cannot be of {plain} bytes")));
        }
        let block = match &self.cipher {
            None => lz4_flex::block::decompress(&stored, plain).ok(),
            Some(cipher) => {
                let mut sealed = stored.to_vec();
                let opened = cipher.open(number, &mut sealed);
                let opened = opened.ok_or_else(|| {
                    self.damaged(&format!("block {number} was sealed by another key, or has changed"))
                })?;
                lz4_flex::block::decompress(opened, plain).ok()
            }
        };
        match block {
            Some(block) if block.len() == plain => Ok(block.into()),
            _ => Err(self.damaged(&format!("block {number} cannot be decompressed"))),
        }
    }

    fn damaged(&self, what: &str) -> Error {
        Error::damaged(&self.name, what)
    }
}

fn take(from: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= from.len()).then(|| from.split_to(length))
}

fn take_u32(from: &mut Bytes) -> Option<u32> {
    let taken = take(from, 4)?;
    Some(u32::from_le_bytes(taken.as_ref().try_into().ok()?))
}

fn take_entry(block: &mut Bytes) -> Option<Entry> {
    let length = take_u32(block)? as usize;
    let key = take(block, length)?;
    let timestamp = u64::from_le_bytes(take(block, 8)?.as_ref().try_into().ok()?);
    let value = match take_u32(block)? {
        0 => None,
        length => Some(take(block, (length - 1) as usize)?),
    };
    Some(Entry { key, timestamp, value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(number: u64) -> Entry {
        let value =
            (!number.is_multiple_of(3)).then(|| Bytes::from(vec![number as u8; (number % 500) as usize]));
        Entry { key: Bytes::from(format!("key {number:06}")), timestamp: number << 18, value }
    }

    fn file(key: Option<&DataKey>) -> Written {
        let mut writer = Writer::new("one", key).unwrap();
        for entry in (0..2_000).map(entry) {
            writer.put(&entry.key, entry.timestamp, entry.value.as_deref()).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read(content: Vec<u8>, name: &str, key: Option<&DataKey>) -> Result<Vec<Entry>> {
        let mut reader = Reader::new(name, content.into(), key)?;
        let mut found = Vec::new();
        while let Some(entry) = reader.entry()? {
            found.push(entry);
        }
        Ok(found)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let expected: Vec<_> = (0..2_000).map(entry).collect();
        let key = DataKey::generate();
        for key in [None, Some(&key)] {
            let written = file(key);
            assert_eq!(written.entries, 2_000);
            assert_eq!(read(written.content, "one", key).unwrap(), expected);
        }
        let empty = Writer::new("one", None).unwrap().finish().unwrap();
        assert_eq!(read(empty.content, "one", None).unwrap(), Vec::new());
    }

    #[test]
    fn a_changed_byte_is_found() {
        let content = file(None).content;
        for place in (0..content.len()).step_by(37) {
            let mut changed = content.clone();
            changed[place] ^= 1;
            assert!(read(changed, "one", None).is_err(), "byte {place}");
        }
        let cut = content[..content.len() - 1].to_vec();
        assert!(read(cut, "one", None).is_err());
    }

    #[test]
    fn a_sealed_file_is_read_under_its_name_with_its_key() {
        let key = DataKey::generate();
        let content = file(Some(&key)).content;
        assert!(read(content.clone(), "other", Some(&key)).is_err());
        assert!(read(content.clone(), "one", Some(&DataKey::generate())).is_err());
        assert!(read(content, "one", None).is_err());
    }

    #[test]
    fn what_compresses_best_is_read_back() {
        let value = vec![7; 8 << 20];
        let mut writer = Writer::new("one", None).unwrap();
        writer.put(b"key", 1, Some(&value)).unwrap();
        let found = read(writer.finish().unwrap().content, "one", None).unwrap();
        assert_eq!(found.first().and_then(|entry| entry.value.as_deref()), Some(value.as_slice()));
    }

    #[test]
    fn what_a_block_claims_is_not_believed() {
        // Sixteen bytes do not stand for 64 MiB, and no room is made for them.
        let content = block(BLOCK_BYTES_MAX as u32, &[0; 16]);
        let damaged = read(content, "one", None).unwrap_err();
        assert!(damaged.to_string().contains("cannot be of"), "{damaged}");
    }

    /// A file of one block, with the checksum that belongs to it, whatever is in it.
    fn block(plain: u32, stored: &[u8]) -> Vec<u8> {
        let mut content = [MAGIC.as_slice(), &FORMAT.to_le_bytes()].concat();
        let head = [plain.to_le_bytes(), (stored.len() as u32).to_le_bytes()].concat();
        let sum = crc32c::crc32c_append(crc32c::crc32c(&head), stored);
        content.extend_from_slice(&head);
        content.extend_from_slice(&sum.to_le_bytes());
        content.extend_from_slice(stored);
        content
    }

    proptest! {
        #[test]
        fn whatever_a_file_holds_it_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(bytes.clone(), "one", None);
            let _ = read([MAGIC.as_slice(), &FORMAT.to_le_bytes(), bytes.as_slice()].concat(), "one", None);
            let _ = read(bytes, "one", Some(&DataKey::generate()));
        }

        #[test]
        fn whatever_a_block_holds_it_is_read_or_refused(
            entries in prop::collection::vec(any::<u8>(), 1..200),
            stored in prop::collection::vec(any::<u8>(), 0..200),
            plain: u32,
        ) {
            let packed = lz4_flex::block::compress(&entries);
            let _ = read(block(entries.len() as u32, &packed), "one", None);
            let _ = read(block(plain % 4096, &stored), "one", None);
            let _ = read(block(plain, &stored), "one", None);
        }
    }
}
