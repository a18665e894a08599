//! Segments and records as bytes.

use bytes::Bytes;

use crate::coding::{put_varint, u32_at, u64_at, varint, varint_of};
use crate::encryption::{ENVELOPE_BYTES, Envelope, FileCipher, Part, Placement, TAG_BYTES};
use crate::error::Result;

const MAGIC: &[u8; 8] = b"NUNALOG\0";
const VERSION_PLAIN: u32 = 3;
const VERSION_SEALED: u32 = 4;
/// The newest format that this program writes and reads.
pub(super) const VERSION: u32 = VERSION_SEALED;
const HEADER_CRC_AT: usize = 28;
/// Bytes of the header, which in a sealed segment an envelope follows.
const HEADER_BYTES: usize = 32;
/// Where sealed segments have their envelope.
pub(crate) const PLACEMENT: Placement = Placement::Head(HEADER_BYTES as u64);
const CRC_BYTES: usize = 4;
/// A record is at most this long.
pub const RECORD_BYTES_MAX: usize = 1 << 30;
const PAYLOAD_BYTES_MAX: usize = RECORD_BYTES_MAX + TAG_BYTES;
/// Bytes before the payload of a record that tells of a sync: two checksums and two varints.
pub(super) const RECORD_HEADER_BYTES_MAX: usize = CRC_BYTES + 5 + 5 + CRC_BYTES;

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
    /// Of a version that this program does not read.
    Unknown(u32),
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
            found => Some(Self::Unknown(found)),
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

fn checksum(number: u64, offset: u64, covered: &[u8]) -> u32 {
    let mut place = [0; 16];
    let (first, second) = place.split_at_mut(8);
    first.copy_from_slice(&number.to_le_bytes());
    second.copy_from_slice(&offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&place), covered)
}

/// Appends the record that will stand at `offset` of segment `number`. Unless it is 0, `synced` is told. After an error the
/// buffer is as before.
pub(super) fn put_record(
    buffer: &mut Vec<u8>,
    number: u64,
    offset: u64,
    synced: u32,
    payload: [&[u8]; 2],
    cipher: Option<&FileCipher>,
) -> Result<()> {
    let start = buffer.len();
    let [first, rest] = payload;
    let length = (first.len() + rest.len() + if cipher.is_some() { TAG_BYTES } else { 0 }) as u64;
    buffer.extend_from_slice(&[0; CRC_BYTES]);
    put_varint(buffer, length << 1 | u64::from(synced > 0));
    if synced > 0 {
        put_varint(buffer, offset - u64::from(synced));
        let check = checksum(number, offset, buffer.get(start + CRC_BYTES..).unwrap_or_default());
        buffer.extend_from_slice(&check.to_le_bytes());
    }
    let payload_at = buffer.len();
    buffer.extend_from_slice(first);
    buffer.extend_from_slice(rest);
    if let Some(cipher) = cipher
        && let Err(error) = cipher.seal(Part::Record, offset, synced, buffer, payload_at)
    {
        buffer.truncate(start);
        return Err(error);
    }
    let crc = checksum(number, offset, buffer.get(start + CRC_BYTES..).unwrap_or_default());
    let place = buffer.iter_mut().skip(start);
    place.zip(crc.to_le_bytes()).for_each(|(to, from)| *to = from);
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
    /// What it tells of the last sync; 0 if nothing.
    pub(super) synced: u32,
    /// As it stands in the file: sealed, if the segment is.
    pub(super) payload: Bytes,
    /// Offset behind the record.
    pub(super) end: usize,
}

/// What stands before the payload of a record. Checked only if it tells of a sync.
pub(super) struct Frame {
    pub(super) synced: u32,
    header: usize,
    payload: usize,
}

impl Frame {
    /// Of what begins with a record, which stands at `offset` of segment `number`.
    pub(super) fn parse(bytes: &[u8], number: u64, offset: u64) -> Option<Self> {
        let mut at = CRC_BYTES;
        // Zeros are room, and no record of nothing.
        let length = shortest_varint(bytes, &mut at).filter(|length| *length > 0)?;
        let mut synced = 0;
        if length & 1 == 1 {
            let distance = shortest_varint(bytes, &mut at)?;
            synced = offset.checked_sub(distance).and_then(|synced| u32::try_from(synced).ok())?;
            if synced == 0 || u32_at(bytes, at)? != checksum(number, offset, bytes.get(CRC_BYTES..at)?) {
                return None;
            }
            at += CRC_BYTES;
        }
        let payload = usize::try_from(length >> 1).ok().filter(|length| *length <= PAYLOAD_BYTES_MAX)?;
        Some(Self { synced, header: at, payload })
    }

    /// Bytes of the whole record.
    pub(super) fn record_bytes(&self) -> usize {
        self.header + self.payload
    }

    /// The record that these are the bytes of, if they check.
    pub(super) fn check(&self, record: &Bytes, number: u64, offset: u64) -> Option<Record> {
        let record = record.get(..self.record_bytes()).map(|whole| record.slice_ref(whole))?;
        if u32_at(&record, 0)? != checksum(number, offset, record.get(CRC_BYTES..)?) {
            return None;
        }
        let end = offset as usize + record.len();
        Some(Record { synced: self.synced, payload: record.slice(self.header..), end })
    }
}

/// A varint as it is written: a longer one of the same value would make a record longer that is sealed anew.
fn shortest_varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let start = *at;
    varint(bytes, at).filter(|value| varint_of(*value).1 == *at - start)
}

/// The record at `offset` of the content of segment `number`, if one is there.
pub(super) fn record_at(content: &Bytes, number: u64, offset: usize) -> Option<Record> {
    let rest = content.get(offset..)?;
    Frame::parse(rest, number, offset as u64)?.check(&content.slice_ref(rest), number, offset as u64)
}
