//! Segments and records as bytes.

use bytes::Bytes;

use crate::coding::{u32_at, u64_at};
use crate::encryption::{ENVELOPE_BYTES, Envelope, FileCipher, Part, Placement, TAG_BYTES};
use crate::error::Result;

const MAGIC: &[u8; 8] = b"NUNALOG\0";
const VERSION_PLAIN: u32 = 1;
const VERSION_SEALED: u32 = 2;
/// The newest format that this program writes and reads.
pub(super) const VERSION: u32 = VERSION_SEALED;
const HEADER_CRC_AT: usize = 28;
/// Bytes of the header, which in a sealed segment an envelope follows.
const HEADER_BYTES: usize = 32;
/// Where sealed segments have their envelope.
pub(crate) const PLACEMENT: Placement = Placement::Head(HEADER_BYTES as u64);
/// Bytes before the payload of a record.
pub(super) const RECORD_HEADER_BYTES: usize = 12;
/// A record is at most this long.
pub const RECORD_BYTES_MAX: usize = 1 << 30;

/// The file name of a segment.
pub(super) fn file_name(number: u64) -> String {
    format!("{number:020}.log")
}

/// The number of a segment from its file name.
pub(super) fn parse_file_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    if digits.len() != 20 { None } else { digits.parse().ok() }
}

/// What stands before the first record.
pub(super) enum Header {
    Plain,
    Sealed(Envelope),
    /// Of a version that this program does not know.
    TooNew(u32),
}

impl Header {
    /// The header of segment `number` at the start of its content, if it is whole.
    pub(super) fn parse(content: &[u8], number: u64) -> Option<Self> {
        let covered = content.get(..HEADER_CRC_AT)?;
        let whole = u32_at(content, HEADER_CRC_AT)? == crc32c::crc32c(covered)
            && covered.starts_with(MAGIC)
            && u64_at(content, 12)? == number;
        match u32_at(content, 8)? {
            _ if !whole => None,
            VERSION_PLAIN => Some(Self::Plain),
            VERSION_SEALED => Some(Self::Sealed(Envelope::decode(content.get(HEADER_BYTES..)?)?)),
            found => Some(Self::TooNew(found)),
        }
    }
}

/// Bytes before the first record of a segment.
pub(super) fn header_bytes(sealed: bool) -> usize {
    if sealed { HEADER_BYTES + ENVELOPE_BYTES } else { HEADER_BYTES }
}

/// Bytes of the longest header.
pub(super) const HEADER_BYTES_MAX: usize = HEADER_BYTES + ENVELOPE_BYTES;

/// Appends the header of segment `number`, and its envelope if it is sealed.
pub(super) fn put_header(buffer: &mut Vec<u8>, number: u64, cipher: Option<&FileCipher>) {
    let start = buffer.len();
    let version = if cipher.is_some() { VERSION_SEALED } else { VERSION_PLAIN };
    buffer.extend_from_slice(MAGIC);
    buffer.extend_from_slice(&version.to_le_bytes());
    buffer.extend_from_slice(&number.to_le_bytes());
    buffer.extend_from_slice(&[0; 8]);
    let crc = crc32c::crc32c(buffer.get(start..).unwrap_or_default());
    buffer.extend_from_slice(&crc.to_le_bytes());
    if let Some(cipher) = cipher {
        buffer.extend_from_slice(&cipher.envelope().encode());
    }
}

fn checksum(number: u64, offset: u64, covered: &[&[u8]]) -> u32 {
    let mut place = [0; 16];
    let (first, second) = place.split_at_mut(8);
    first.copy_from_slice(&number.to_le_bytes());
    second.copy_from_slice(&offset.to_le_bytes());
    covered.iter().fold(crc32c::crc32c(&place), |crc, bytes| crc32c::crc32c_append(crc, bytes))
}

/// Bytes of a record with so long a payload.
pub(super) fn record_bytes(payload: usize, sealed: bool) -> usize {
    RECORD_HEADER_BYTES + payload + if sealed { TAG_BYTES } else { 0 }
}

/// Appends the record that will stand at `offset` of segment `number`. After an error the buffer is as before.
pub(super) fn put_record(
    buffer: &mut Vec<u8>,
    number: u64,
    offset: u64,
    synced: u32,
    payload: &[u8],
    cipher: Option<&FileCipher>,
) -> Result<()> {
    let start = buffer.len();
    let length = record_bytes(payload.len(), cipher.is_some()) - RECORD_HEADER_BYTES;
    let [length, synced_bytes] = [(length as u32).to_le_bytes(), synced.to_le_bytes()];
    match cipher {
        None => {
            let crc = checksum(number, offset, &[&length, &synced_bytes, payload]);
            buffer.extend_from_slice(&crc.to_le_bytes());
            buffer.extend_from_slice(&length);
            buffer.extend_from_slice(&synced_bytes);
            buffer.extend_from_slice(payload);
        }
        Some(cipher) => {
            buffer.extend_from_slice(&[0; 4]);
            buffer.extend_from_slice(&length);
            buffer.extend_from_slice(&synced_bytes);
            buffer.extend_from_slice(payload);
            if let Err(error) = cipher.seal(Part::Record, offset, synced, buffer, start + RECORD_HEADER_BYTES)
            {
                buffer.truncate(start);
                return Err(error);
            }
            let crc = checksum(number, offset, &[buffer.get(start + 4..).unwrap_or_default()]);
            if let Some(place) = buffer.get_mut(start..start + 4) {
                place.copy_from_slice(&crc.to_le_bytes());
            }
        }
    }
    Ok(())
}

/// The payload as it was appended. None: a record that checks and was not sealed here.
pub(super) fn open_payload(record: &Record, offset: u64, cipher: Option<&FileCipher>) -> Option<Bytes> {
    let Some(cipher) = cipher else { return Some(record.payload.clone()) };
    let mut sealed = record.payload.to_vec();
    let length = cipher.open(Part::Record, offset, record.synced, &mut sealed)?.len();
    sealed.truncate(length);
    Some(Bytes::from(sealed))
}

/// A record found in a segment.
pub(super) struct Record {
    pub(super) synced: u32,
    /// As it stands in the file: sealed, if the segment is.
    pub(super) payload: Bytes,
    /// Offset behind the record.
    pub(super) end: usize,
}

/// The length of its payload and the synced offset, as a record at `offset` would claim them.
pub(super) fn claims(content: &[u8], offset: usize) -> Option<(usize, u32)> {
    Some((u32_at(content, offset.checked_add(4)?)? as usize, u32_at(content, offset.checked_add(8)?)?))
}

/// The record at `offset` of the content of segment `number`, if one is there.
pub(super) fn record_at(content: &Bytes, number: u64, offset: usize) -> Option<Record> {
    let header = content.get(offset..offset.checked_add(RECORD_HEADER_BYTES)?)?;
    let length = u32_at(header, 4)? as usize;
    let synced = u32_at(header, 8)?;
    let start = offset + RECORD_HEADER_BYTES;
    let end = start.checked_add(length)?;
    if synced as usize > offset || end > content.len() {
        return None;
    }
    let payload = content.get(start..end)?;
    let crc = checksum(number, offset as u64, &[header.get(4..)?, payload]);
    if crc != u32_at(header, 0)? {
        return None;
    }
    Some(Record { synced, payload: content.slice(start..end), end })
}

/// The payload's length from the header of a record.
pub(super) fn record_length(header: &[u8]) -> Option<usize> {
    Some(u32_at(header, 4)? as usize)
}

/// A record read by itself, if it checks.
pub(super) fn check_record(record: &Bytes, number: u64, offset: u64) -> Option<Record> {
    let covered = record.get(4..)?;
    if u32_at(record, 0)? != checksum(number, offset, &[covered]) {
        return None;
    }
    Some(Record {
        synced: u32_at(record, 8)?,
        payload: record.slice(RECORD_HEADER_BYTES..),
        end: offset as usize + record.len(),
    })
}
