//! What a session holds of sequences.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use client::Client;
use expr::Datum;
use parking_lot::Mutex;

use super::store::SequenceStore;
use crate::catalog::object::{ObjectDescriptor, SequenceDescriptor, SequenceState};
use crate::catalog::{CatalogSnapshot, IndexId, Oid};
use crate::error::{Error, Result};
use crate::questions::{Question, Questions};

/// What is asked of a sequence.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asked {
    /// nextval
    Next,
    /// setval
    Set(SequenceState),
    /// pg_sequence_last_value
    Last,
}

/// What a session holds of sequences.
#[derive(Debug)]
pub(crate) struct SessionSequences {
    store: Arc<SequenceStore>,
    questions: Arc<Questions>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// `currval` by sequence.
    current: HashMap<Oid, i64>,
    /// Whose `lastval` is.
    last: Option<Oid>,
    /// What was taken with CACHE, by where states are kept.
    held: HashMap<IndexId, Held>,
}

#[derive(Debug)]
struct Held {
    next: i64,
    left: u64,
}

impl Inner {
    fn give(&mut self, oid: Oid, value: i64) {
        self.current.insert(oid, value);
        self.last = Some(oid);
    }

    /// Keeps what of a CACHE is not given yet.
    fn hold(&mut self, sequence: &SequenceDescriptor, first: i64, count: u64) -> i64 {
        if count > 1 {
            let left = count.saturating_sub(1);
            self.held.insert(sequence.state, Held { next: sequence.step(first, 1), left });
        }
        first
    }

    fn take_held(&mut self, sequence: &SequenceDescriptor) -> Option<i64> {
        let held = self.held.get_mut(&sequence.state)?;
        let next = held.next;
        held.left = held.left.saturating_sub(1);
        if held.left == 0 {
            self.held.remove(&sequence.state);
        } else {
            held.next = sequence.step(next, 1);
        }
        Some(next)
    }
}

fn cache(sequence: &SequenceDescriptor) -> u64 {
    u64::try_from(sequence.cache).unwrap_or(1)
}

impl SessionSequences {
    pub(crate) fn new(store: Arc<SequenceStore>, questions: Arc<Questions>) -> Self {
        Self { store, questions, inner: Mutex::default() }
    }

    /// The gateway's blocks.
    pub(crate) fn store(&self) -> &SequenceStore {
        &self.store
    }

    /// DISCARD SEQUENCES
    pub(crate) fn discard(&self) {
        *self.inner.lock() = Inner::default();
    }

    /// The next number.
    pub(crate) fn next(&self, oid: Oid, sequence: &SequenceDescriptor) -> expr::Result<Datum> {
        if let Some(answer) = self.questions.repeat() {
            return Ok(answer);
        }
        let mut inner = self.inner.lock();
        let value = inner.take_held(sequence).or_else(|| {
            let (first, count) = self.store.take(sequence, cache(sequence))?;
            Some(inner.hold(sequence, first, count))
        });
        match value {
            Some(value) => {
                inner.give(oid, value);
                self.questions.tell(Datum::Int8(value));
                Ok(Datum::Int8(value))
            }
            None => Err(self.questions.leave("nextval", Question::NextValue(oid))),
        }
    }

    /// The last number that the session was given of a sequence.
    pub(crate) fn current(&self, oid: Oid) -> Option<i64> {
        self.inner.lock().current.get(&oid).copied()
    }

    /// The sequence that the session was last given a number of, and the number.
    pub(crate) fn last(&self) -> Option<(Oid, i64)> {
        let inner = self.inner.lock();
        inner.last.and_then(|oid| Some((oid, *inner.current.get(&oid)?)))
    }

    /// The answer to a question about the sequence of this oid. `version`: that of the catalog which is in force, 0 if that
    /// is this transaction's own.
    pub(crate) async fn answer(
        &self,
        oid: Oid,
        asked: Asked,
        client: &Client,
        catalog: &CatalogSnapshot,
        version: u64,
    ) -> Result<Datum> {
        let object = catalog.objects().get(oid).ok_or_else(gone)?;
        let sequence = object.sequence().ok_or_else(gone)?;
        match asked {
            Asked::Next => {
                let drawn = self.store.draw(client, sequence, cache(sequence), version).await?;
                let (first, count) = drawn.ok_or_else(|| at_end(&object.name, sequence))?;
                let mut inner = self.inner.lock();
                let value = inner.hold(sequence, first, count);
                inner.give(oid, value);
                Ok(Datum::Int8(value))
            }
            Asked::Set(state) => {
                self.store.set(client, sequence, state, version).await?;
                let mut inner = self.inner.lock();
                inner.held.remove(&sequence.state);
                if state.is_called {
                    inner.current.insert(oid, state.last);
                }
                Ok(Datum::Int8(state.last))
            }
            Asked::Last => {
                let (state, _) = self.store.look_at(client, sequence, version).await?;
                Ok(if state.is_called { Datum::Int8(state.last) } else { Datum::Null })
            }
        }
    }

    /// So many numbers of a sequence that nobody else knows of yet.
    pub(crate) async fn draw(
        &self,
        client: &Client,
        object: &ObjectDescriptor,
        count: usize,
    ) -> Result<Vec<i64>> {
        let sequence = object.sequence().ok_or_else(gone)?;
        let mut numbers = Vec::with_capacity(count);
        while numbers.len() < count {
            let wanted = count.saturating_sub(numbers.len()) as u64;
            let drawn = self.store.draw(client, sequence, wanted, 0).await?;
            let (first, drawn) = drawn.ok_or_else(|| at_end(&object.name, sequence))?;
            numbers.extend((0..drawn).map(|steps| sequence.step(first, steps)));
        }
        Ok(numbers)
    }

    /// The last numbers of all sequences that have given any.
    pub(crate) async fn last_values(
        &self,
        client: &Client,
        catalog: &CatalogSnapshot,
        version: u64,
    ) -> Result<BTreeMap<Oid, i64>> {
        let mut found = BTreeMap::new();
        for object in catalog.objects().iter() {
            let Some(sequence) = object.sequence() else { continue };
            let (state, _) = self.store.look_at(client, sequence, version).await?;
            if state.is_called {
                found.insert(object.oid, state.last);
            }
        }
        Ok(found)
    }

    /// The row that a sequence is read as.
    pub(crate) async fn row(
        &self,
        client: &Client,
        sequence: &SequenceDescriptor,
        version: u64,
    ) -> Result<Vec<Datum>> {
        let (state, left) = self.store.look_at(client, sequence, version).await?;
        let left = Datum::Int8(i64::try_from(left).unwrap_or(i64::MAX));
        Ok(vec![Datum::Int8(state.last), left, Datum::Bool(state.is_called)])
    }
}

fn gone() -> Error {
    Error::internal("a sequence has gone under a statement")
}

fn at_end(name: &str, sequence: &SequenceDescriptor) -> Error {
    let (bound, what) =
        if sequence.increment > 0 { (sequence.max, "maximum") } else { (sequence.min, "minimum") };
    Error::new("2200H", format!("nextval: reached {what} value of sequence \"{name}\" ({bound})"))
}
