//! Which keyspaces there are, by the first byte of a key.

use crate::entry::{KEY_BYTES_MAX, VALUE_BYTES_MAX, keyspace_end};
use crate::error::{Error, Result};
use crate::options::Keyspace;

/// All keyspaces of a database.
#[derive(Clone, Debug)]
pub(crate) struct Keyspaces {
    all: Vec<Keyspace>,
    /// Index by prefix; `u8::MAX` is none.
    by_prefix: [u8; 256],
}

impl Keyspaces {
    pub(crate) fn new(all: Vec<Keyspace>) -> Result<Self> {
        let mut by_prefix = [u8::MAX; 256];
        if all.is_empty() || all.len() >= usize::from(u8::MAX) {
            return Err(Error::Invalid(format!("{} keyspaces", all.len())));
        }
        for (index, keyspace) in all.iter().enumerate() {
            if let Some(slot) = by_prefix.get_mut(usize::from(keyspace.prefix)) {
                if *slot != u8::MAX {
                    return Err(Error::Invalid(format!("two keyspaces with prefix {}", keyspace.prefix)));
                }
                *slot = index as u8;
            }
        }
        Ok(Self { all, by_prefix })
    }

    pub(crate) fn all(&self) -> &[Keyspace] {
        &self.all
    }

    #[inline]
    pub(crate) fn index(&self, prefix: u8) -> Option<usize> {
        match self.by_prefix.get(usize::from(prefix)) {
            Some(&index) if index != u8::MAX => Some(usize::from(index)),
            _ => None,
        }
    }

    fn checked(&self, prefix: Option<u8>, versioned: bool) -> Result<usize> {
        let prefix = prefix.ok_or_else(|| Error::Invalid("an empty key".to_owned()))?;
        let index =
            self.index(prefix).ok_or_else(|| Error::Invalid(format!("no keyspace has prefix {prefix}")))?;
        match self.all.get(index) {
            Some(keyspace) if keyspace.versioned == versioned => Ok(index),
            Some(keyspace) => {
                let kind = if versioned { "no versions" } else { "versions" };
                Err(Error::Invalid(format!("keyspace {} has {kind}", keyspace.name)))
            }
            None => Err(Error::Invalid(format!("no keyspace has prefix {prefix}"))),
        }
    }

    /// The index of a keyspace that must have no versions.
    pub(crate) fn plain(&self, prefix: u8) -> Result<usize> {
        self.checked(Some(prefix), false)
    }

    /// The index of a keyspace that must have versions.
    pub(crate) fn versioned(&self, prefix: u8) -> Result<usize> {
        self.checked(Some(prefix), true)
    }

    /// The index of the keyspace of a key, which must have versions or not.
    #[inline]
    pub(crate) fn of_key(&self, key: &[u8], versioned: bool) -> Result<usize> {
        self.checked(key.first().copied(), versioned)
    }

    /// Checks a key and value to be written.
    pub(crate) fn check(&self, key: &[u8], versioned: bool, value_bytes: usize) -> Result<usize> {
        if key.len() > KEY_BYTES_MAX || value_bytes > VALUE_BYTES_MAX {
            return Err(Error::Invalid(format!("a key of {} bytes with {value_bytes} of value", key.len())));
        }
        self.of_key(key, versioned)
    }

    /// Checks a span to be deleted: within one keyspace.
    pub(crate) fn check_span(&self, start: &[u8], end: &[u8]) -> Result<usize> {
        let prefix =
            start.first().copied().ok_or_else(|| Error::Invalid("a span from the empty key".to_owned()))?;
        let index =
            self.index(prefix).ok_or_else(|| Error::Invalid(format!("no keyspace has prefix {prefix}")))?;
        if *end > *keyspace_end(prefix) || start.len() > KEY_BYTES_MAX || end.len() > KEY_BYTES_MAX + 1 {
            return Err(Error::Invalid("a span over more than one keyspace".to_owned()));
        }
        Ok(index)
    }
}
