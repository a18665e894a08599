//! What a session holds of sequences, and the questions that functions leave for the statement to answer.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use client::Client;
use expr::Datum;
use parking_lot::Mutex;

use super::store::SequenceStore;
use crate::catalog::object::{ObjectDescriptor, SequenceDescriptor, SequenceState};
use crate::catalog::{CatalogSnapshot, IndexId, Oid};
use crate::error::{Error, Result};

/// The answers of one row's evaluation are remembered up to so many; beyond, an evaluation that is run again draws anew.
const ANSWERS_MAX: usize = 65_536;

/// A question that only the cluster can answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asked {
    /// nextval
    Next(Oid),
    /// setval
    Set(Oid, SequenceState),
    /// pg_sequence_last_value
    Last(Oid),
}

/// What a session holds of sequences.
///
/// A row's evaluation that meets a question ends with an error; the question is answered, and the row evaluated again: what it
/// was told before it is told again, in order.
#[derive(Debug)]
pub(crate) struct SessionSequences {
    store: Arc<SequenceStore>,
    /// Whether the evaluation under way has been told anything, or asked.
    used: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// What the evaluation was told, and how much of it it has been told again.
    answers: Vec<Datum>,
    repeated: usize,
    asked: Option<Asked>,
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
    fn told(&mut self, answer: Datum) {
        if self.answers.len() >= ANSWERS_MAX {
            self.answers.clear();
        }
        self.answers.push(answer);
        self.repeated = self.answers.len();
    }

    fn give(&mut self, oid: Oid, value: i64) {
        self.current.insert(oid, value);
        self.last = Some(oid);
        self.told(Datum::Int8(value));
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

/// What ends an evaluation that has asked. Nobody sees it but where no statement waits for the answer.
fn waits(what: &str) -> expr::Error {
    expr::Error::new("0A000", format!("{what} is not supported where it stands"))
}

fn cache(sequence: &SequenceDescriptor) -> u64 {
    u64::try_from(sequence.cache).unwrap_or(1)
}

impl SessionSequences {
    pub(crate) fn new(store: Arc<SequenceStore>) -> Self {
        Self { store, used: AtomicBool::new(false), inner: Mutex::default() }
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
        let mut inner = self.inner.lock();
        if let Some(answer) = self.repeat(&mut inner) {
            return Ok(answer);
        }
        let value = inner.take_held(sequence).or_else(|| {
            let (first, count) = self.store.take(sequence, cache(sequence))?;
            Some(inner.hold(sequence, first, count))
        });
        match value {
            Some(value) => {
                inner.give(oid, value);
                Ok(Datum::Int8(value))
            }
            None => {
                inner.asked = Some(Asked::Next(oid));
                Err(waits("nextval"))
            }
        }
    }

    /// What only the cluster can tell.
    pub(crate) fn ask(&self, what: &str, asked: Asked) -> expr::Result<Datum> {
        let mut inner = self.inner.lock();
        if let Some(answer) = self.repeat(&mut inner) {
            return Ok(answer);
        }
        inner.asked = Some(asked);
        Err(waits(what))
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

    /// An answer that was given before the evaluation was run again.
    fn repeat(&self, inner: &mut Inner) -> Option<Datum> {
        self.used.store(true, Ordering::Relaxed);
        let answer = inner.answers.get(inner.repeated).cloned()?;
        inner.repeated = inner.repeated.saturating_add(1);
        Some(answer)
    }

    /// Whether the evaluation under way has been told anything, or asked.
    #[inline]
    pub(crate) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// An evaluation is over.
    pub(crate) fn settle(&self) {
        let mut inner = self.inner.lock();
        inner.answers.clear();
        inner.repeated = 0;
        inner.asked = None;
        self.used.store(false, Ordering::Relaxed);
    }

    /// Answers what was asked; false if nothing was. `version`: that of the catalog which is in force, 0 if that is this
    /// transaction's own.
    pub(crate) async fn answer(
        &self,
        client: &Client,
        catalog: &CatalogSnapshot,
        version: u64,
    ) -> Result<bool> {
        let Some(asked) = self.inner.lock().asked.take() else { return Ok(false) };
        let (Asked::Next(oid) | Asked::Set(oid, _) | Asked::Last(oid)) = asked;
        let object = catalog.objects().get(oid).ok_or_else(gone)?;
        let sequence = object.sequence().ok_or_else(gone)?;
        match asked {
            Asked::Next(_) => {
                let drawn = self.store.draw(client, sequence, cache(sequence), version).await?;
                let (first, count) = drawn.ok_or_else(|| at_end(&object.name, sequence))?;
                let mut inner = self.inner.lock();
                let value = inner.hold(sequence, first, count);
                inner.give(oid, value);
            }
            Asked::Set(_, state) => {
                self.store.set(client, sequence, state, version).await?;
                let mut inner = self.inner.lock();
                inner.held.remove(&sequence.state);
                if state.is_called {
                    inner.current.insert(oid, state.last);
                }
                inner.told(Datum::Int8(state.last));
            }
            Asked::Last(_) => {
                let (state, _) = self.store.look_at(client, sequence, version).await?;
                let last = if state.is_called { Datum::Int8(state.last) } else { Datum::Null };
                self.inner.lock().told(last);
            }
        }
        self.inner.lock().repeated = 0;
        Ok(true)
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
