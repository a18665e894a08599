//! A gateway's blocks of numbers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use client::{Client, Isolation, Strength, Transaction, TransactionOptions, WaitPolicy};
use env::clock::{self, Instant};
use parking_lot::Mutex;

use super::state::{self, Stored};
use crate::catalog::IndexId;
use crate::catalog::object::{SequenceDescriptor, SequenceState};
use crate::error::{Cause, Error, Result};

/// How many numbers are drawn beside those that are asked for, as in PostgreSQL.
const AHEAD_MIN: u64 = 32;
/// The most of them: each draw soon after the one before takes twice as many.
const AHEAD_MAX: u64 = 4096;
/// What is soon.
const SOON: Duration = Duration::from_secs(1);
/// So long a block is good without a look whether somebody has set the sequence meanwhile.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// So many sequences' blocks are kept.
const BLOCKS_MAX: usize = 16_384;
/// How often a draw is tried that others get in the way of.
const ATTEMPTS_MAX: u32 = 20;

/// The blocks of all sequences that this gateway's sessions draw from.
///
/// # Invariants
/// - What a block has left was drawn by a committed transaction, and nobody else was given it.
/// - Of one sequence blocks are drawn one after the other, and given out in the order in which they were drawn.
#[derive(Debug, Default)]
pub(crate) struct SequenceStore(Mutex<HashMap<IndexId, Block>>);

#[derive(Debug)]
struct Block {
    /// The next number, if any is left.
    next: i64,
    left: u64,
    /// The last that was given.
    given: Option<i64>,
    /// What was stored when it was drawn.
    stored: Stored,
    /// When it was last known to be good.
    looked: Instant,
    /// When it was drawn.
    drawn: Instant,
    ahead: u64,
    /// Held while somebody draws.
    drawing: Arc<futures::lock::Mutex<()>>,
}

impl Block {
    /// Nothing of it is given any more.
    fn forget(&mut self) {
        self.left = 0;
        self.given = None;
    }

    fn empty(sequence: &SequenceDescriptor) -> Self {
        let now = clock::now();
        Self {
            next: sequence.start,
            left: 0,
            given: None,
            stored: Stored { state: sequence.initial, generation: 0 },
            looked: now,
            drawn: now,
            ahead: AHEAD_MIN,
            drawing: Arc::default(),
        }
    }
}

/// How far a sequence was when a transaction of the past, which this is, could see it.
pub(crate) async fn state_then(
    past: &mut Transaction,
    sequence: &SequenceDescriptor,
) -> Result<SequenceState> {
    let row = past.get(state::key(sequence.state)).await?;
    Ok(state::decode(row.as_ref(), sequence)?.state)
}

impl SequenceStore {
    /// The next `count` numbers, or fewer, that are there: the first, and how many.
    pub(super) fn take(&self, sequence: &SequenceDescriptor, count: u64) -> Option<(i64, u64)> {
        let mut blocks = self.0.lock();
        let block = blocks.get_mut(&sequence.state).filter(|block| block.left > 0)?;
        if clock::now().saturating_duration_since(block.looked) > GOOD_FOR {
            return None;
        }
        let taken = count.clamp(1, block.left);
        let first = block.next;
        block.left = block.left.saturating_sub(taken);
        block.given = Some(sequence.step(first, taken.saturating_sub(1)));
        if block.left > 0 {
            block.next = sequence.step(first, taken);
        }
        Some((first, taken))
    }

    /// The next `count` numbers, or fewer, drawn if need be under this version of the catalog. `None`: the sequence has come
    /// to its end.
    pub(super) async fn draw(
        &self,
        client: &Client,
        sequence: &SequenceDescriptor,
        count: u64,
        version: u64,
    ) -> Result<Option<(i64, u64)>> {
        let drawing = self.drawing(sequence);
        let _alone = drawing.lock().await;
        if let Some(taken) = self.take(sequence, count) {
            return Ok(Some(taken));
        }
        if self.has_left(sequence) {
            let stored = read(client, sequence, version).await?;
            if self.look(sequence, stored)
                && let Some(taken) = self.take(sequence, count)
            {
                return Ok(Some(taken));
            }
        }
        let wanted = count.saturating_add(self.ahead(sequence));
        let mut drawn = None;
        let stored = change(client, sequence, version, |stored| {
            drawn = sequence.after(stored.state, wanted);
            drawn.map(|(first, count)| {
                let last = sequence.step(first, count.saturating_sub(1));
                Stored { state: SequenceState { last, is_called: true }, ..stored }
            })
        })
        .await?;
        let Some((stored, (first, there))) = stored.zip(drawn) else { return Ok(None) };
        self.put(sequence, stored, first, there);
        Ok(self.take(sequence, count))
    }

    /// Sets the state; the numbers that were drawn before are void.
    pub(super) async fn set(
        &self,
        client: &Client,
        sequence: &SequenceDescriptor,
        to: SequenceState,
        version: u64,
    ) -> Result<()> {
        let drawing = self.drawing(sequence);
        let _alone = drawing.lock().await;
        self.forget(sequence.state);
        change(client, sequence, version, |stored| {
            Some(Stored { state: to, generation: stored.generation.saturating_add(1) })
        })
        .await?;
        self.forget(sequence.state);
        Ok(())
    }

    /// How far the sequence is, and how many numbers this gateway has left.
    pub(super) async fn look_at(
        &self,
        client: &Client,
        sequence: &SequenceDescriptor,
        version: u64,
    ) -> Result<(SequenceState, u64)> {
        let stored = read(client, sequence, version).await?;
        Ok(self.position(sequence.state, stored))
    }

    /// How far the sequence is, for a transaction that puts it elsewhere: nobody draws from it until that ends, and what this
    /// gateway has left is given to nobody.
    pub(crate) async fn settle(
        &self,
        transaction: &mut Transaction,
        sequence: &SequenceDescriptor,
    ) -> Result<SequenceState> {
        let key = state::key(sequence.state);
        let locked = transaction.lock(vec![key], Strength::Exclusive, WaitPolicy::Block).await?;
        let stored = state::decode(locked.first().and_then(|locked| locked.value.as_ref()), sequence)?;
        // At once: nobody takes a number in between.
        let mut blocks = self.0.lock();
        let (position, _) = position(&blocks, sequence.state, stored);
        if let Some(block) = blocks.get_mut(&sequence.state) {
            block.forget();
        }
        Ok(position)
    }

    /// What is stored, unless this gateway has drawn last: then what it has given last.
    fn position(&self, index: IndexId, stored: Stored) -> (SequenceState, u64) {
        position(&self.0.lock(), index, stored)
    }

    fn drawing(&self, sequence: &SequenceDescriptor) -> Arc<futures::lock::Mutex<()>> {
        let mut blocks = self.0.lock();
        if blocks.len() >= BLOCKS_MAX && !blocks.contains_key(&sequence.state) {
            let oldest = blocks.iter().min_by_key(|(_, block)| block.looked).map(|(index, _)| *index);
            oldest.and_then(|oldest| blocks.remove(&oldest));
        }
        blocks.entry(sequence.state).or_insert_with(|| Block::empty(sequence)).drawing.clone()
    }

    fn has_left(&self, sequence: &SequenceDescriptor) -> bool {
        self.0.lock().get(&sequence.state).is_some_and(|block| block.left > 0)
    }

    /// Whether a block is still good, by what is stored now.
    fn look(&self, sequence: &SequenceDescriptor, stored: Stored) -> bool {
        let mut blocks = self.0.lock();
        let Some(block) = blocks.get_mut(&sequence.state) else { return false };
        let good = block.stored.generation == stored.generation;
        if good {
            block.looked = clock::now();
        } else {
            block.left = 0;
        }
        good
    }

    /// How many numbers to draw ahead this time.
    fn ahead(&self, sequence: &SequenceDescriptor) -> u64 {
        let mut blocks = self.0.lock();
        let Some(block) = blocks.get_mut(&sequence.state) else { return AHEAD_MIN };
        let now = clock::now();
        let is_first = block.given.is_none();
        let soon = now.saturating_duration_since(block.drawn) < SOON;
        block.ahead =
            if soon && !is_first { block.ahead.saturating_mul(2).min(AHEAD_MAX) } else { AHEAD_MIN };
        block.drawn = now;
        block.ahead
    }

    fn put(&self, sequence: &SequenceDescriptor, stored: Stored, first: i64, count: u64) {
        let mut blocks = self.0.lock();
        let block = blocks.entry(sequence.state).or_insert_with(|| Block::empty(sequence));
        block.next = first;
        block.left = count;
        block.given = None;
        block.stored = stored;
        block.looked = clock::now();
    }

    fn forget(&self, index: IndexId) {
        if let Some(block) = self.0.lock().get_mut(&index) {
            block.forget();
        }
    }
}

fn position(blocks: &HashMap<IndexId, Block>, index: IndexId, stored: Stored) -> (SequenceState, u64) {
    let own = blocks.get(&index).filter(|block| block.stored == stored);
    match own.and_then(|block| Some((block.given?, block.left))) {
        Some((last, left)) => (SequenceState { last, is_called: true }, left),
        None => (stored.state, 0),
    }
}

fn options(version: u64, read_only: bool) -> TransactionOptions {
    let isolation = if read_only { Isolation::Serializable } else { Isolation::ReadCommitted };
    TransactionOptions { isolation, read_only, catalog_version: version, ..TransactionOptions::default() }
}

async fn read(client: &Client, sequence: &SequenceDescriptor, version: u64) -> Result<Stored> {
    let mut transaction = client.begin(options(version, true));
    let value = transaction.get(state::key(sequence.state)).await?;
    transaction.rollback().await;
    state::decode(value.as_ref(), sequence)
}

/// Puts what `to` makes of the state in its place, by a transaction of its own; `None`: it makes nothing.
async fn change(
    client: &Client,
    sequence: &SequenceDescriptor,
    version: u64,
    mut to: impl FnMut(Stored) -> Option<Stored>,
) -> Result<Option<Stored>> {
    let mut attempt = 0;
    loop {
        let error = match change_once(client, sequence, version, &mut to).await {
            Ok(changed) => return Ok(changed),
            Err(error) => error,
        };
        attempt += 1;
        if error.cause() != Cause::Conflict || attempt >= ATTEMPTS_MAX {
            return Err(error);
        }
        let bound = 1_u64 << attempt.min(6);
        clock::sleep(Duration::from_millis(env::random::below(bound))).await;
    }
}

async fn change_once(
    client: &Client,
    sequence: &SequenceDescriptor,
    version: u64,
    to: &mut impl FnMut(Stored) -> Option<Stored>,
) -> Result<Option<Stored>> {
    let mut transaction = client.begin(options(version, false));
    let key = state::key(sequence.state);
    let locked = transaction.lock(vec![key.clone()], Strength::Exclusive, WaitPolicy::Block).await?;
    let stored = state::decode(locked.first().and_then(|locked| locked.value.as_ref()), sequence)?;
    let Some(changed) = to(stored) else {
        transaction.rollback().await;
        return Ok(None);
    };
    transaction.put(key, state::encode(changed));
    transaction.commit().await.map_err(Error::from)?;
    Ok(Some(changed))
}
