//! The writes of a transaction that were not committed yet.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use keys::Span;
use proto::v1::Write;

/// About what an entry takes beside the bytes of its key and value: handles, counts of references, its part of a node.
const ENTRY_BYTES: usize = 160;

fn value_bytes(write: &Option<Option<Bytes>>) -> usize {
    write.as_ref().and_then(Option::as_ref).map_or(0, Bytes::len)
}

/// Buffered writes by key; `None` deletes. With a log that takes them back to a savepoint.
#[derive(Debug, Default)]
pub(crate) struct WriteBuffer {
    writes: BTreeMap<Bytes, Option<Bytes>>,
    bytes: usize,
    /// What each write since the oldest savepoint replaced.
    undo: Vec<(Bytes, Option<Option<Bytes>>)>,
    /// The bytes of the values in `undo`.
    undo_bytes: usize,
    /// The length of `undo` at each open savepoint.
    savepoints: Vec<usize>,
}

impl WriteBuffer {
    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// The bytes of all keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// About how many bytes of memory the buffer takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        let entries = self.writes.len().saturating_add(self.undo.len());
        self.bytes.saturating_add(self.undo_bytes).saturating_add(entries.saturating_mul(ENTRY_BYTES))
    }

    /// The buffered write of `key`, if there is one.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Option<Bytes>> {
        self.writes.get(key)
    }

    pub(crate) fn write(&mut self, key: Bytes, value: Option<Bytes>) {
        let replaced = self.set(key.clone(), Some(value));
        if !self.savepoints.is_empty() {
            self.undo_bytes += value_bytes(&replaced);
            self.undo.push((key, replaced));
        }
    }

    fn set(&mut self, key: Bytes, write: Option<Option<Bytes>>) -> Option<Option<Bytes>> {
        let size = |write: &Option<Bytes>| key.len() + write.as_ref().map_or(0, Bytes::len);
        let added = write.as_ref().map_or(0, size);
        let length = key.len();
        let replaced = match write {
            Some(value) => self.writes.insert(key, value),
            None => self.writes.remove(&key),
        };
        let removed = replaced.as_ref().map_or(0, |value| length + value.as_ref().map_or(0, Bytes::len));
        self.bytes = self.bytes + added - removed;
        replaced
    }

    /// Marks this point; the number of savepoints that were open before.
    pub(crate) fn savepoint(&mut self) -> usize {
        self.savepoints.push(self.undo.len());
        self.savepoints.len() - 1
    }

    /// Takes back what was written since the savepoint, which stays open. Later ones are closed.
    pub(crate) fn rollback_to(&mut self, savepoint: usize) {
        let Some(length) = self.savepoints.get(savepoint).copied() else { return };
        self.savepoints.truncate(savepoint + 1);
        while self.undo.len() > length {
            if let Some((key, replaced)) = self.undo.pop() {
                self.undo_bytes -= value_bytes(&replaced);
                self.set(key, replaced);
            }
        }
    }

    /// Closes the savepoint and later ones; what was written since stays.
    pub(crate) fn release(&mut self, savepoint: usize) {
        self.savepoints.truncate(savepoint);
        if self.savepoints.is_empty() {
            self.undo.clear();
            self.undo_bytes = 0;
        }
    }

    /// The buffered writes of a span, in order.
    pub(crate) fn span(
        &self,
        span: &Span,
    ) -> impl DoubleEndedIterator<Item = (&Bytes, &Option<Bytes>)> + use<'_> {
        let bounds = if span.is_empty() {
            (Bound::Excluded(span.start.clone()), Bound::Included(span.start.clone()))
        } else {
            (Bound::Included(span.start.clone()), Bound::Excluded(span.end.clone()))
        };
        self.writes.range(bounds)
    }

    /// The least and the greatest key.
    pub(crate) fn ends(&self) -> Option<(&Bytes, &Bytes)> {
        Some((self.writes.first_key_value()?.0, self.writes.last_key_value()?.0))
    }

    /// All writes as the protocol has them.
    pub(crate) fn to_writes(&self) -> Vec<Write> {
        self.writes
            .iter()
            .map(|(key, value)| Write { key: key.clone(), value: value.clone(), changes_key: None })
            .collect()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn savepoints_take_writes_back_in_the_reverse_order() {
        let mut buffer = WriteBuffer::default();
        buffer.write(key("a"), Some(key("1")));
        let outer = buffer.savepoint();
        buffer.write(key("a"), Some(key("22")));
        let inner = buffer.savepoint();
        buffer.write(key("a"), None);
        buffer.write(key("b"), Some(key("3")));
        assert_eq!(buffer.bytes(), 3);
        assert_eq!(buffer.memory_bytes(), 3 + 3 + 5 * ENTRY_BYTES);
        buffer.rollback_to(inner);
        assert_eq!(buffer.get(b"a"), Some(&Some(key("22"))));
        assert_eq!(buffer.get(b"b"), None);
        buffer.write(key("c"), None);
        buffer.release(inner);
        buffer.rollback_to(outer);
        assert_eq!(buffer.to_writes(), [Write { key: key("a"), value: Some(key("1")), changes_key: None }]);
        assert_eq!(buffer.bytes(), 2);
        buffer.release(outer);
        assert_eq!(buffer.memory_bytes(), 2 + ENTRY_BYTES);
    }
}
