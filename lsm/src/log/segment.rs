//! Segments and records as bytes.

use bytes::Bytes;

use crate::coding::{u32_at, u64_at};

const MAGIC: &[u8; 8] = b"NUNALOG\0";
/// The newest format that this program writes and reads.
pub(super) const VERSION: u32 = 1;
const HEADER_CRC_AT: usize = 28;
/// Bytes before the first record of a segment.
pub(super) const HEADER_BYTES: usize = 32;
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

/// The header of segment `number`.
pub(super) fn header(number: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&[0; 8]);
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// The format version in a header, if it is whole and of segment `number`.
pub(super) fn parse_header(content: &[u8], number: u64) -> Option<u32> {
    let covered = content.get(..HEADER_CRC_AT)?;
    let whole = u32_at(content, HEADER_CRC_AT)? == crc32c::crc32c(covered)
        && covered.starts_with(MAGIC)
        && u64_at(content, 12)? == number;
    if whole { u32_at(content, 8) } else { None }
}

fn checksum(number: u64, offset: u64, covered: &[&[u8]]) -> u32 {
    let mut place = [0; 16];
    let (first, second) = place.split_at_mut(8);
    first.copy_from_slice(&number.to_le_bytes());
    second.copy_from_slice(&offset.to_le_bytes());
    covered.iter().fold(crc32c::crc32c(&place), |crc, bytes| crc32c::crc32c_append(crc, bytes))
}

/// Appends the record that will stand at `offset` of segment `number`.
pub(super) fn put_record(buffer: &mut Vec<u8>, number: u64, offset: u64, synced: u32, payload: &[u8]) {
    let length = (payload.len() as u32).to_le_bytes();
    let synced = synced.to_le_bytes();
    let crc = checksum(number, offset, &[&length, &synced, payload]);
    buffer.extend_from_slice(&crc.to_le_bytes());
    buffer.extend_from_slice(&length);
    buffer.extend_from_slice(&synced);
    buffer.extend_from_slice(payload);
}

/// A record found in a segment.
pub(super) struct Record {
    pub(super) synced: u32,
    pub(super) payload: Bytes,
    /// Offset behind the record.
    pub(super) end: usize,
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

/// The payload of one record read by itself, if it checks.
pub(super) fn check_record(record: &Bytes, number: u64, offset: u64) -> Option<Bytes> {
    let covered = record.get(4..)?;
    if u32_at(record, 0)? != checksum(number, offset, &[covered]) {
        return None;
    }
    Some(record.slice(RECORD_HEADER_BYTES..))
}
