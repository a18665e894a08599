//! Writing a batch: order, log, memtable, publication, sync.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::engine::Engine;
use crate::batch::{EncodedBatch, Laid, OperationRef, WriteBatch};
use crate::entry::Content;
use crate::error::{Error, Result};
use crate::keyspaces::Keyspaces;
use crate::log::RECORD_BYTES_MAX;
use crate::memtable::Memtable;
use crate::options::{Background, Sequence, WriteOptions};
use crate::skiplist::Entry;
use crate::spans::Span;
use crate::tree::View;

/// Sealed memtables at which writers begin to be slowed down, and where they are slowed to [`SLOWEST_US_PER_MIB`].
const SEALED: (usize, usize) = (2, 6);
/// The same for level-0 tables, in multiples of `level0_tables`.
const LEVEL0: (usize, usize) = (5, 9);
const SLOWEST_US_PER_MIB: f64 = 1_000_000.0;
/// Delays are saved up to this before a writer sleeps.
const DELAY_US_MIN: u64 = 1_000;
const DELAY_US_MAX: u64 = 200_000;
/// Bytes of a chunk that small batches share.
const CHUNK_BYTES: usize = 64 << 10;

impl Engine {
    /// Writes a batch and returns the sequence of its last operation; it is readable then, and durable if that was asked.
    /// Readable first, so that nobody waits for the sync of another.
    pub(crate) fn write(&self, batch: WriteBatch, options: WriteOptions) -> Result<Sequence> {
        self.check()?;
        validate(&self.keyspaces, &batch)?;
        if batch.is_empty() {
            return Ok(self.visible.load(Ordering::Acquire));
        }
        self.slow_down(batch.byte_len(), options.paced);
        let (count, bytes) = (batch.len() as u64, batch.encoded_len() as u64);
        let logged = options.wal || options.sync;
        if logged && batch.byte_len() > RECORD_BYTES_MAX {
            return Err(Error::Invalid(format!("a logged batch of {} bytes", batch.byte_len())));
        }
        let (laid, first, position, memtable) = {
            let mut writing = self.write.lock();
            self.check()?;
            self.make_room(&mut writing);
            let first = writing.next;
            let (record, laid) = writing.keep(batch, logged);
            let position = match record {
                Some(record) => Some(self.wal.append(&record).map_err(|error| self.poison(error))?),
                None => None,
            };
            let memtable = self.view.load().active.clone();
            if !logged {
                memtable.note_unlogged(first);
            }
            (laid, first, position, memtable)
        };
        let last = first + count - 1;
        self.counters.written_bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Err(error) = insert(&self.keyspaces, &memtable, &laid, first) {
            return Err(self.poison(error));
        }
        self.publish(first, last)?;
        if let Some(position) = position {
            let durable = if options.sync { self.wal.sync_to(position) } else { self.wal.write_out_excess() };
            durable.map_err(|error| self.poison(error))?;
            if options.sync {
                self.wal_synced.fetch_max(last, Ordering::AcqRel);
            }
        }
        Ok(last)
    }

    /// Makes writes readable, after all that were given earlier sequences.
    pub(crate) fn publish(&self, first: Sequence, last: Sequence) -> Result<()> {
        let mut published = self.published.lock();
        if published.last + 1 != first {
            published.ready.insert(first, last);
            while published.last < last {
                self.check()?;
                self.published_changed.wait(&mut published);
            }
            return Ok(());
        }
        published.last = last;
        // Whoever waits for its turn behind this one is published with it, and woken once.
        while let Some((_, last)) = published.next_ready() {
            published.last = last;
        }
        self.visible.store(published.last, Ordering::Release);
        drop(published);
        self.published_changed.notify_all();
        Ok(())
    }

    /// Returns when all writes up to `sequence` are published.
    pub(crate) fn wait_published(&self, sequence: Sequence) -> Result<()> {
        let mut published = self.published.lock();
        while published.last < sequence {
            self.check()?;
            self.published_changed.wait(&mut published);
        }
        Ok(())
    }

    /// Seals the active memtable if it is full.
    fn make_room(&self, writing: &mut Writing) {
        let full = self.view.load().active.bytes() >= self.options.memtable_bytes_max;
        if full {
            self.seal(writing);
        }
    }

    /// Seals the active memtable, unless nothing was written to it, and begins another.
    pub(crate) fn seal(&self, writing: &mut Writing) {
        let next = writing.next;
        let view = self.view();
        let covered =
            view.sealed.first().map_or(self.flushed.load(Ordering::Acquire), |newest| newest.last_sequence());
        if next == covered + 1 {
            return;
        }
        view.active.seal(next - 1);
        writing.logged = None;
        let fresh = Arc::new(Memtable::new(self.keyspaces.all().len(), self.wal.rotate()));
        self.update_view(|view| {
            let sealed = std::mem::replace(&mut view.active, fresh);
            view.sealed.insert(0, sealed);
        });
        self.signal();
    }

    /// How far background work is behind.
    pub(crate) fn pressure_of(&self, view: &View) -> f32 {
        let level0 =
            view.version.trees.iter().filter_map(|tree| tree.levels.first().map(|level| level.len())).max();
        let unit = self.options.level0_tables.max(1);
        let level0 = pressure(level0.unwrap_or(0), LEVEL0.0 * unit, LEVEL0.1 * unit);
        pressure(view.sealed.len(), SEALED.0, SEALED.1).max(level0).max(0.0) as f32
    }

    /// Slows a writer the more the further background work is behind; never stops it. One that paces itself is slowed only
    /// where it should have been at its slowest.
    fn slow_down(&self, bytes: usize, paced: bool) {
        let pressure = self.pressure();
        if pressure <= 0.0 {
            return;
        }
        if self.options.background == Background::Manual {
            // No thread will do it: the writer does. An error shows at its next call.
            let _ = self.step();
            return;
        }
        if !paced && pressure < 1.0 {
            return;
        }
        let delay = self.write_delay(bytes);
        if !delay.is_zero() {
            let mut signal = self.signal.lock();
            self.progress.wait_for(&mut signal, delay);
        }
    }

    /// How long a writer of so many bytes should wait first. Small delays are saved up, for one writer to wait for all.
    pub(crate) fn write_delay(&self, bytes: usize) -> Duration {
        let pressure = self.pressure();
        if pressure <= 0.0 || self.options.background == Background::Manual {
            return Duration::ZERO;
        }
        let us = bytes as f64 / f64::from(1 << 20) * SLOWEST_US_PER_MIB * pressure * pressure;
        let owed = self.delay_us.fetch_add(us as u64 + 1, Ordering::Relaxed) + us as u64;
        if owed < DELAY_US_MIN {
            return Duration::ZERO;
        }
        self.delay_us.store(0, Ordering::Relaxed);
        let owed = owed.min(DELAY_US_MAX);
        self.counters.delayed_us.fetch_add(owed, Ordering::Relaxed);
        metrics::counter!("lsm_write_delay_us_total").increment(owed);
        Duration::from_micros(owed)
    }

    /// Whether background work is behind nowhere, and nobody writes to the disk while others wait to write.
    pub(crate) fn keeps_up(&self) -> bool {
        self.pressure() <= 0.0 && self.ingesting.load(Ordering::Acquire) == 0
    }

    fn pressure(&self) -> f64 {
        f64::from(f32::from_bits(self.pressure.load(Ordering::Relaxed)))
    }
}

/// What is readable, and what waits for its turn.
#[derive(Debug)]
pub(crate) struct Published {
    /// Every write up to here is readable.
    last: Sequence,
    /// Batches whose writers wait for an earlier one: the last sequence by the first.
    ready: BTreeMap<Sequence, Sequence>,
}

impl Published {
    pub(crate) fn new(last: Sequence) -> Self {
        Self { last, ready: BTreeMap::new() }
    }

    /// Takes the batch whose turn it is, if it is ready.
    fn next_ready(&mut self) -> Option<(Sequence, Sequence)> {
        self.ready.remove_entry(&(self.last + 1))
    }
}

/// What the write lock guards.
#[derive(Debug)]
pub(crate) struct Writing {
    /// The next sequence to give out.
    pub(crate) next: Sequence,
    /// What follows the last batch in the log, which then need not say it; None: nothing was logged since the memtable began, or
    /// the database was opened. So whatever segments of the log have gone, the first batch that is needed says its sequence.
    logged: Option<Sequence>,
    /// Small batches are kept side by side in chunks, so that they cost no allocation each.
    chunk: BytesMut,
}

impl Writing {
    pub(crate) fn new(next: Sequence) -> Self {
        Self { next, logged: None, chunk: BytesMut::new() }
    }

    /// The next batch as the log has it, if it is logged, and as the memtable has it.
    fn keep(&mut self, batch: WriteBatch, logged: bool) -> (Option<Bytes>, Laid) {
        let says = self.logged != Some(self.next);
        let sequence = says.then_some(self.next);
        self.next += batch.len() as u64;
        if !logged {
            return (None, batch.lay(&mut self.chunk, CHUNK_BYTES));
        }
        self.logged = Some(self.next);
        let (record, laid) = batch.into_record(sequence, &mut self.chunk, CHUNK_BYTES);
        (Some(record), laid)
    }
}

/// 0 at `from` and below, 1 at `to`, more above.
fn pressure(value: usize, from: usize, to: usize) -> f64 {
    (value as f64 - from as f64) / (to as f64 - from as f64)
}

/// Checks that every operation fits its keyspace.
pub(crate) fn validate(keyspaces: &Keyspaces, batch: &WriteBatch) -> Result<()> {
    batch.for_each(|operation| {
        match operation {
            OperationRef::Put { key, value } => keyspaces.check(key, false, value.len())?,
            OperationRef::Delete { key } => keyspaces.check(key, false, 0)?,
            OperationRef::PutAt { key, value, .. } => keyspaces.check(key, true, value.len())?,
            OperationRef::DeleteAt { key, .. } => keyspaces.check(key, true, 0)?,
            OperationRef::DeleteRange { start, end } => keyspaces.check_span(start, end)?,
        };
        Ok(())
    })
}

/// Puts the operations of a batch into a memtable, with sequences from `first`; its keys and values share their bytes.
pub(crate) fn insert(
    keyspaces: &Keyspaces,
    memtable: &Memtable,
    laid: &Laid,
    mut first: Sequence,
) -> Result<()> {
    for part in laid.parts() {
        insert_part(keyspaces, memtable, part, first)?;
        first += part.len() as u64;
    }
    Ok(())
}

/// The same for a part of one.
pub(crate) fn insert_part(
    keyspaces: &Keyspaces,
    memtable: &Memtable,
    part: &EncodedBatch,
    first: Sequence,
) -> Result<()> {
    part.for_each_in(|bytes, number, operation| {
        let sequence = first + u64::from(number);
        let (versioned, key, content, timestamp) = match operation {
            OperationRef::Put { key, value } => (false, key, Content::Value(value), 0),
            OperationRef::Delete { key } => {
                (false, key, Content::Deletion(key.get(key.len()..).unwrap_or_default()), 0)
            }
            OperationRef::PutAt { key, timestamp, value } => (true, key, Content::Value(value), timestamp),
            OperationRef::DeleteAt { key, timestamp, note } => {
                (true, key, Content::Deletion(note), timestamp)
            }
            OperationRef::DeleteRange { start, end } => {
                let keyspace = keyspaces.check_span(start, end)?;
                let span = Span { start: bytes.slice_ref(start), end: bytes.slice_ref(end) };
                memtable.delete_range(keyspace, span, sequence);
                return Ok(());
            }
        };
        let keyspace = keyspaces.of_key(key, versioned)?;
        memtable.put(keyspace, Entry::new(bytes, key, content, timestamp, sequence));
        Ok(())
    })
}
