//! What a table says about itself, and where its parts are.
//!
//! ```text
//! properties := (tag varint | value length varint | value)*     unknown tags are skipped; integers are varints
//! ```

use bytes::Bytes;

use crate::coding::{Reader, put_prefixed, put_varint, u64_at};
use crate::encryption::Envelope;

/// Where a block lies: offset and length, compression byte and checksum included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Handle {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl Handle {
    pub(crate) fn put(self, buffer: &mut Vec<u8>) {
        put_varint(buffer, self.offset);
        put_varint(buffer, self.length);
    }

    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        Some(Self { offset: reader.varint()?, length: reader.varint()? })
    }
}

/// What the manifest and the picker know of a table without opening it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Length of the file.
    pub(crate) bytes: u64,
    /// First byte of all its keys.
    pub(crate) keyspace: u8,
    /// No key or range delete lies before.
    pub(crate) start: Bytes,
    /// No key or range delete lies at or after.
    pub(crate) end: Bytes,
    /// Entries of both sections.
    pub(crate) entries: u64,
    /// Entries of the history section.
    pub(crate) history: u64,
    /// Entries that delete.
    pub(crate) deletes: u64,
    /// Range deletes.
    pub(crate) range_deletes: u64,
    /// The smallest timestamp; `u64::MAX` without entries.
    pub(crate) timestamp_min: u64,
    /// The largest timestamp.
    pub(crate) timestamp_max: u64,
    /// Half of the history entries have a newer version in this table with at most this timestamp: a safe point there
    /// lets them go. `u64::MAX` without history.
    pub(crate) superseded_median: u64,
    /// Half of the entries that delete have at most this timestamp. `u64::MAX` without any, and in tables that do not
    /// tell.
    pub(crate) deletes_median: u64,
    /// What the file is sealed with. Not known inside of the file; in the manifest it tells this file from any other.
    pub(crate) envelope: Option<Envelope>,
}

impl Summary {
    pub(crate) fn overlaps(&self, start: &[u8], end: &[u8]) -> bool {
        *self.start < *end && *start < *self.end
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut buffer = Vec::new();
        for (tag, value) in [
            (1, self.bytes),
            (2, u64::from(self.keyspace)),
            (5, self.entries),
            (6, self.history),
            (7, self.deletes),
            (8, self.range_deletes),
            (9, self.timestamp_min),
            (10, self.timestamp_max),
            (11, self.superseded_median),
            (13, self.deletes_median),
        ] {
            put_integer(&mut buffer, tag, value);
        }
        put_field(&mut buffer, 3, &self.start);
        put_field(&mut buffer, 4, &self.end);
        if let Some(envelope) = self.envelope {
            let mut value = envelope.data_key.to_le_bytes().to_vec();
            value.extend_from_slice(&envelope.salt);
            put_field(&mut buffer, 12, &value);
        }
        buffer
    }

    pub(crate) fn decode(bytes: Bytes) -> Option<Self> {
        let mut summary = Self { deletes_median: u64::MAX, ..Self::default() };
        for_each_field(bytes, |tag, mut value, raw| {
            match tag {
                1 => summary.bytes = value.varint()?,
                2 => summary.keyspace = u8::try_from(value.varint()?).ok()?,
                3 => summary.start = raw,
                4 => summary.end = raw,
                5 => summary.entries = value.varint()?,
                6 => summary.history = value.varint()?,
                7 => summary.deletes = value.varint()?,
                8 => summary.range_deletes = value.varint()?,
                9 => summary.timestamp_min = value.varint()?,
                10 => summary.timestamp_max = value.varint()?,
                11 => summary.superseded_median = value.varint()?,
                13 => summary.deletes_median = value.varint()?,
                12 => {
                    let (data_key, salt) = (u64_at(&raw, 0)?, raw.get(8..)?.try_into().ok()?);
                    summary.envelope = Some(Envelope { data_key, salt });
                }
                _ => {}
            }
            Some(())
        })?;
        Some(summary)
    }
}

/// The properties block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Properties {
    /// Without length and envelope, which are not known inside the file.
    pub(crate) summary: Summary,
    /// Whether entries have timestamps.
    pub(crate) versioned: bool,
    /// Top index of the current section.
    pub(crate) current: Option<Handle>,
    /// Top index of the history section.
    pub(crate) history: Option<Handle>,
    pub(crate) filter: Option<Handle>,
    pub(crate) range_deletes: Option<Handle>,
}

impl Properties {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut buffer = Vec::new();
        put_field(&mut buffer, 1, &self.summary.encode());
        put_integer(&mut buffer, 2, u64::from(self.versioned));
        for (tag, handle) in [(3, self.current), (4, self.history), (5, self.filter), (6, self.range_deletes)]
        {
            if let Some(handle) = handle {
                let mut value = Vec::new();
                handle.put(&mut value);
                put_field(&mut buffer, tag, &value);
            }
        }
        buffer
    }

    pub(crate) fn decode(bytes: Bytes) -> Option<Self> {
        let mut properties = Self::default();
        for_each_field(bytes, |tag, mut value, raw| {
            match tag {
                1 => properties.summary = Summary::decode(raw)?,
                2 => properties.versioned = value.varint()? != 0,
                3 => properties.current = Some(Handle::read(&mut value)?),
                4 => properties.history = Some(Handle::read(&mut value)?),
                5 => properties.filter = Some(Handle::read(&mut value)?),
                6 => properties.range_deletes = Some(Handle::read(&mut value)?),
                _ => {}
            }
            Some(())
        })?;
        Some(properties)
    }
}

pub(crate) fn put_integer(buffer: &mut Vec<u8>, tag: u64, value: u64) {
    let mut bytes = Vec::with_capacity(10);
    put_varint(&mut bytes, value);
    put_field(buffer, tag, &bytes);
}

pub(crate) fn put_field(buffer: &mut Vec<u8>, tag: u64, value: &[u8]) {
    put_varint(buffer, tag);
    put_prefixed(buffer, value);
}

/// Calls `field` with each tag, a reader of its value, and the value.
pub(crate) fn for_each_field(
    bytes: Bytes,
    mut field: impl FnMut(u64, Reader, Bytes) -> Option<()>,
) -> Option<()> {
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        let tag = reader.varint()?;
        let value = reader.prefixed()?;
        field(tag, Reader::new(value.clone()), value)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_survive_encoding_and_every_cut_is_refused_or_shorter() {
        let properties = Properties {
            summary: Summary {
                bytes: 0,
                keyspace: b'd',
                start: Bytes::from_static(b"da"),
                end: Bytes::from_static(b"dz"),
                entries: 1 << 40,
                history: 3,
                deletes: 4,
                range_deletes: 5,
                timestamp_min: 0,
                timestamp_max: u64::MAX,
                superseded_median: 17,
                deletes_median: 18,
                envelope: Some(Envelope { data_key: 7, salt: [9; 32] }),
            },
            versioned: true,
            current: Some(Handle { offset: 1, length: 2 }),
            history: None,
            filter: Some(Handle { offset: 1 << 33, length: 300 }),
            range_deletes: None,
        };
        let bytes = Bytes::from(properties.encode());
        assert_eq!(Properties::decode(bytes.clone()), Some(properties.clone()));
        for cut in 0..bytes.len() {
            assert_ne!(Properties::decode(bytes.slice(..cut)), Some(properties.clone()));
        }
    }
}
