//! The writes of a transaction that were not committed yet.
//!
//! Each write since the oldest savepoint or view is logged with what it replaced: a savepoint takes them back from the end,
//! and of a key that has changed since a view was opened the view sees what the first write after it has replaced.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use keys::Span;
use proto::v1::Write;

use super::sorted::SortedMap;

/// About what an entry takes beside the bytes of its key and value: handles, counts of references, its part of a node.
const ENTRY_BYTES: usize = 160;

/// A buffered write.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Buffered {
    /// `None` deletes.
    value: Option<Bytes>,
    /// Against what stood there before the transaction, the row is where it was and its unique keys are what they were.
    keeps_key: bool,
}

impl Buffered {
    fn value_bytes(&self) -> usize {
        self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// Buffered writes by key.
///
/// Invariant: `replaced` names the entries of `undo` that came while a view was open, by key, ascending.
#[derive(Debug, Default)]
pub(crate) struct WriteBuffer {
    writes: SortedMap<Buffered>,
    bytes: usize,
    /// What each write since the oldest savepoint or view replaced.
    undo: Vec<(Bytes, Option<Buffered>)>,
    /// The bytes of the values in `undo`.
    undo_bytes: usize,
    /// The length of `undo` at each open savepoint.
    savepoints: Vec<usize>,
    /// Where in `undo` stands what was replaced.
    replaced: BTreeMap<Bytes, Vec<usize>>,
    /// Every open view has a share in this.
    views: Arc<()>,
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

    /// The buffered write of `key`, if there is one: the last, or the last before a view's position.
    pub(crate) fn get(&self, key: &[u8], position: Option<usize>) -> Option<&Option<Bytes>> {
        let newest = self.writes.get(key)?;
        let seen = position.map_or(Some(newest), |position| self.seen(key, newest, position));
        seen.map(|write| &write.value)
    }

    /// What of a key a view sees.
    fn seen<'a>(&'a self, key: &[u8], newest: &'a Buffered, position: usize) -> Option<&'a Buffered> {
        match self.replaced_after(key, position) {
            None => Some(newest),
            Some(place) => self.undo.get(place).and_then(|(_, replaced)| replaced.as_ref()),
        }
    }

    /// Where the first write to the key after a view's position is logged.
    fn replaced_after(&self, key: &[u8], position: usize) -> Option<usize> {
        let places = self.replaced.get(key)?;
        places.get(places.partition_point(|place| *place < position)).copied()
    }

    /// Whether the key was written after a view's position.
    pub(crate) fn is_newer(&self, key: &[u8], position: usize) -> bool {
        self.replaced_after(key, position).is_some()
    }

    /// From now on what is written is kept apart from what was written before: the position of a view, and what it has to
    /// hold on to.
    pub(crate) fn keep_apart(&mut self) -> (usize, Arc<()>) {
        self.forget_unseen();
        (self.undo.len(), self.views.clone())
    }

    /// Whether a view is open.
    pub(crate) fn has_views(&self) -> bool {
        Arc::strong_count(&self.views) > 1
    }

    /// Forgets what only views that are closed might have asked for.
    fn forget_unseen(&mut self) {
        if self.has_views() {
            return;
        }
        self.replaced.clear();
        if self.savepoints.is_empty() {
            self.undo.clear();
            self.undo_bytes = 0;
        }
    }

    /// Buffers a write that may do anything to the row's unique keys.
    pub(crate) fn write(&mut self, key: Bytes, value: Option<Bytes>) {
        self.add(key, Buffered { value, keeps_key: false });
    }

    /// Buffers a write of a row that leaves all its unique keys as they stand there.
    pub(crate) fn write_keeping_key(&mut self, key: Bytes, value: Bytes) {
        // What an earlier write has changed stays changed.
        let keeps_key = self.writes.get(&key).is_none_or(|earlier| earlier.keeps_key);
        self.add(key, Buffered { value: Some(value), keeps_key });
    }

    fn add(&mut self, key: Bytes, write: Buffered) {
        self.forget_unseen();
        let has_views = self.has_views();
        if !has_views && self.savepoints.is_empty() {
            self.set(key, Some(write));
            return;
        }
        let replaced = self.set(key.clone(), Some(write));
        if has_views {
            self.replaced.entry(key.clone()).or_default().push(self.undo.len());
        }
        self.undo_bytes += replaced.as_ref().map_or(0, Buffered::value_bytes);
        self.undo.push((key, replaced));
    }

    fn set(&mut self, key: Bytes, write: Option<Buffered>) -> Option<Buffered> {
        let length = key.len();
        let size = |write: &Option<Buffered>| write.as_ref().map_or(0, |write| length + write.value_bytes());
        let added = size(&write);
        let replaced = match write {
            Some(write) => self.writes.insert(key, write),
            None => self.writes.remove(&key),
        };
        let removed = size(&replaced);
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
                self.forget_place(&key, self.undo.len());
                self.undo_bytes -= replaced.as_ref().map_or(0, Buffered::value_bytes);
                self.set(key, replaced);
            }
        }
    }

    /// What was logged at this place is there no more.
    fn forget_place(&mut self, key: &Bytes, place: usize) {
        let Some(places) = self.replaced.get_mut(key) else { return };
        // What is taken back is what was logged last.
        places.pop_if(|logged| *logged == place);
        if places.is_empty() {
            self.replaced.remove(key);
        }
    }

    /// Closes the savepoint and later ones; what was written since stays.
    pub(crate) fn release(&mut self, savepoint: usize) {
        self.savepoints.truncate(savepoint);
        self.forget_unseen();
    }

    /// The buffered writes of a span, in order: all, or those that a view sees.
    pub(crate) fn span(
        &self,
        span: &Span,
        position: Option<usize>,
    ) -> impl DoubleEndedIterator<Item = (&Bytes, &Option<Bytes>)> + use<'_> {
        let end = if span.is_empty() { &span.start } else { &span.end };
        self.writes.range(&span.start, end).filter_map(move |(key, newest)| {
            let seen = position.map_or(Some(newest), |position| self.seen(key, newest, position));
            seen.map(|write| (key, &write.value))
        })
    }

    /// The least and the greatest key.
    pub(crate) fn ends(&self) -> Option<(&Bytes, &Bytes)> {
        self.writes.ends()
    }

    /// All writes as the protocol has them.
    pub(crate) fn to_writes(&self) -> Vec<Write> {
        let mut writes = Vec::with_capacity(self.writes.len());
        writes.extend(self.writes.iter().map(|(key, write)| {
            let Buffered { value, keeps_key } = write.clone();
            Write { key: key.clone(), value, changes_key: keeps_key.then_some(false) }
        }));
        writes
    }

    /// Forgets the writes of these keys, all of them written and none named twice, and every savepoint.
    pub(crate) fn forget(&mut self, keys: &[Bytes]) {
        if keys.len() == self.writes.len() {
            (self.writes, self.bytes) = Default::default();
        } else {
            for key in keys {
                self.set(key.clone(), None);
            }
        }
        (self.undo, self.undo_bytes, self.savepoints) = Default::default();
        self.replaced.clear();
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
    fn a_key_is_kept_by_a_transaction_if_all_its_writes_keep_it() {
        let mut buffer = WriteBuffer::default();
        let changes = |buffer: &WriteBuffer| buffer.to_writes()[0].changes_key;
        buffer.write_keeping_key(key("a"), key("1"));
        buffer.write_keeping_key(key("a"), key("2"));
        assert_eq!(changes(&buffer), Some(false));
        let savepoint = buffer.savepoint();
        buffer.write(key("a"), Some(key("3")));
        buffer.write_keeping_key(key("a"), key("4"));
        assert_eq!(changes(&buffer), None);
        buffer.rollback_to(savepoint);
        assert_eq!(changes(&buffer), Some(false));
        buffer.write(key("a"), None);
        buffer.write_keeping_key(key("a"), key("5"));
        assert_eq!(changes(&buffer), None, "it was gone in between");
    }

    #[test]
    fn a_view_sees_what_was_written_before_it() {
        let mut buffer = WriteBuffer::default();
        let seen = |buffer: &WriteBuffer, position| {
            let all = Span { start: key(""), end: key("z") };
            let writes = buffer.span(&all, position).map(|(key, value)| {
                format!(
                    "{}={}",
                    key.escape_ascii(),
                    value.as_ref().map_or("-".into(), |v| v.escape_ascii().to_string())
                )
            });
            writes.collect::<Vec<_>>().join(" ")
        };
        buffer.write(key("a"), Some(key("1")));
        let (first, held_first) = buffer.keep_apart();
        buffer.write(key("a"), Some(key("2")));
        buffer.write(key("b"), Some(key("2")));
        let savepoint = buffer.savepoint();
        let (second, held_second) = buffer.keep_apart();
        buffer.write(key("a"), None);
        buffer.write(key("c"), Some(key("3")));
        assert_eq!(seen(&buffer, Some(first)), "a=1");
        assert_eq!(seen(&buffer, Some(second)), "a=2 b=2");
        assert_eq!(seen(&buffer, None), "a=- b=2 c=3");
        assert!(buffer.is_newer(b"b", first) && !buffer.is_newer(b"b", second));
        drop(held_second);
        buffer.rollback_to(savepoint);
        buffer.write(key("b"), None);
        assert_eq!(seen(&buffer, Some(first)), "a=1");
        assert_eq!(seen(&buffer, None), "a=2 b=-");
        drop(held_first);
        buffer.release(savepoint);
        assert_eq!(buffer.memory_bytes(), buffer.bytes() + 2 * ENTRY_BYTES);
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
        assert_eq!(buffer.get(b"a", None), Some(&Some(key("22"))));
        assert_eq!(buffer.get(b"b", None), None);
        buffer.write(key("c"), None);
        buffer.release(inner);
        buffer.rollback_to(outer);
        assert_eq!(buffer.to_writes(), [Write { key: key("a"), value: Some(key("1")), changes_key: None }]);
        assert_eq!(buffer.bytes(), 2);
        buffer.release(outer);
        assert_eq!(buffer.memory_bytes(), 2 + ENTRY_BYTES);
    }
}
