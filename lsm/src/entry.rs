//! Keys, versions and ranges as they are given out.

use std::fmt;
use std::ops::Bound;

use bytes::Bytes;

use crate::error::{Error, Result};

/// A range of keys inside one keyspace; at least one side must be bounded. An unbounded side reaches to the end of
/// the keyspace.
pub type KeyRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// What is kept with a deletion: a few bytes of whoever deletes, into which the engine does not look.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Note {
    length: u8,
    bytes: [u8; Self::BYTES_MAX],
}

impl Note {
    /// It is at most this long.
    pub const BYTES_MAX: usize = 15;

    /// A note of these bytes, unless they are too many.
    pub fn new(note: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::BYTES_MAX];
        bytes.get_mut(..note.len())?.copy_from_slice(note);
        Some(Self { length: note.len() as u8, bytes })
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().fmt(f)
    }
}

/// What a version says, where it lies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content<'a> {
    Value(&'a [u8]),
    /// Deleted, with a note.
    Deletion(&'a [u8]),
}

/// A version of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// When it was written; 0 in a keyspace without versions.
    pub timestamp: u64,
    /// Its value; `None` says 'deleted'.
    pub value: Option<Bytes>,
    /// What is kept with a deletion; empty with a value.
    pub note: Note,
}

impl Versioned {
    pub(crate) fn value(timestamp: u64, value: Bytes) -> Self {
        Self { timestamp, value: Some(value), note: Note::default() }
    }

    /// A deletion with a note; nobody writes one that is too long.
    pub(crate) fn deletion(timestamp: u64, note: &[u8]) -> Self {
        Self { timestamp, value: None, note: Note::new(note).unwrap_or_default() }
    }

    pub(crate) fn content(&self) -> Content<'_> {
        match &self.value {
            Some(value) => Content::Value(value),
            None => Content::Deletion(self.note.as_bytes()),
        }
    }
}

/// A version of a key, with the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionedEntry {
    /// The key.
    pub key: Bytes,
    /// When the version was written.
    pub timestamp: u64,
    /// Its value; `None` says 'deleted'.
    pub value: Option<Bytes>,
    /// What is kept with a deletion; empty with a value.
    pub note: Note,
}

/// The first key after `key`.
pub(crate) fn successor(key: &[u8]) -> Bytes {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    Bytes::from(next)
}

/// The first key after a keyspace.
pub(crate) fn keyspace_end(prefix: u8) -> Bytes {
    match prefix.checked_add(1) {
        Some(next) => Bytes::copy_from_slice(&[next]),
        // Keys are shorter than this.
        None => Bytes::from(vec![0xff; KEY_BYTES_MAX + 1]),
    }
}

/// Keys are at most this long.
pub(crate) const KEY_BYTES_MAX: usize = 64 << 10;
/// Values are at most this long.
pub(crate) const VALUE_BYTES_MAX: usize = 512 << 20;

/// A range as prefix of its keyspace, first key, and first key after it.
pub(crate) fn normalize(range: KeyRange<'_>) -> Result<(u8, Bytes, Bytes)> {
    let first = |key: &[u8]| key.first().copied();
    let prefix = match range {
        (Bound::Included(key) | Bound::Excluded(key), _) => first(key),
        (Bound::Unbounded, Bound::Included(key)) => first(key),
        (Bound::Unbounded, Bound::Excluded([prefix])) => prefix.checked_sub(1),
        (Bound::Unbounded, Bound::Excluded(key)) => first(key),
        (Bound::Unbounded, Bound::Unbounded) => None,
    };
    let prefix = prefix.ok_or_else(|| Error::Invalid("a range that names no keyspace".to_owned()))?;
    let start = match range.0 {
        Bound::Included(key) => Bytes::copy_from_slice(key),
        Bound::Excluded(key) => successor(key),
        Bound::Unbounded => Bytes::copy_from_slice(&[prefix]),
    };
    let end = match range.1 {
        Bound::Included(key) => successor(key),
        Bound::Excluded(key) => Bytes::copy_from_slice(key),
        Bound::Unbounded => keyspace_end(prefix),
    };
    if end > keyspace_end(prefix) {
        return Err(Error::Invalid("a range over more than one keyspace".to_owned()));
    }
    Ok((prefix, start, end))
}
