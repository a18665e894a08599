//! Writes that come to be at the end of their statement.
//!
//! The parts of one statement all see what was there before it: what one of them writes is kept here, out of the
//! transaction's sight, until all of them have read what they read. Only who is about to write a key asks here what it is
//! by now.

use std::collections::HashMap;

use bytes::Bytes;
use client::Transaction;

/// About what an entry takes beside the bytes of its key and value.
const ENTRY_BYTES: usize = 160;

/// What is done to a key.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    /// This value stands there.
    Put(Bytes),
    /// The same, of a row that stays where it is, with its unique keys as they are.
    PutKeepingKey(Bytes),
    /// Nothing stands there.
    Delete,
}

impl Write {
    /// Writes it.
    pub(crate) fn to(self, transaction: &mut Transaction, key: Bytes) {
        match self {
            Self::Put(value) => transaction.put(key, value),
            Self::PutKeepingKey(value) => transaction.put_keeping_key(key, value),
            Self::Delete => transaction.delete(key),
        }
    }

    fn value(&self) -> Option<&Bytes> {
        match self {
            Self::Put(value) | Self::PutKeepingKey(value) => Some(value),
            Self::Delete => None,
        }
    }
}

/// The writes of a statement, in their order.
///
/// Invariant: `newest` has the place of the last write of each key.
#[derive(Debug, Default)]
pub(crate) struct HeldBack {
    writes: Vec<(Bytes, Write)>,
    newest: HashMap<Bytes, usize>,
    bytes: usize,
}

impl HeldBack {
    /// Adds a write.
    pub(crate) fn push(&mut self, key: Bytes, write: Write) {
        let size = key.len().saturating_add(write.value().map_or(0, Bytes::len));
        self.bytes = self.bytes.saturating_add(size).saturating_add(ENTRY_BYTES);
        self.newest.insert(key.clone(), self.writes.len());
        self.writes.push((key, write));
    }

    /// Whether the statement has written a key.
    pub(crate) fn contains(&self, key: &Bytes) -> bool {
        self.newest.contains_key(key)
    }

    /// What stands under a key, if the statement has written it.
    pub(crate) fn newest(&self, key: &Bytes) -> Option<Option<&Bytes>> {
        let (_, write) = self.writes.get(*self.newest.get(key)?)?;
        Some(write.value())
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The writes.
    pub(crate) fn into_writes(self) -> Vec<(Bytes, Write)> {
        self.writes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_write_of_a_key_counts() {
        let key = |text: &'static str| Bytes::from_static(text.as_bytes());
        let mut held = HeldBack::default();
        held.push(key("a"), Write::Put(key("1")));
        held.push(key("b"), Write::Put(key("2")));
        held.push(key("a"), Write::Delete);
        assert_eq!(held.newest(&key("a")), Some(None));
        assert_eq!(held.newest(&key("b")), Some(Some(&key("2"))));
        assert_eq!(held.newest(&key("c")), None);
        assert!(held.contains(&key("a")) && !held.contains(&key("c")));
        assert_eq!(held.into_writes().len(), 3);
    }
}
