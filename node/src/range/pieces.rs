//! Large commits, piece by piece: what is too large for one entry of the log goes into several.
//!
//! The leader cuts a transaction's encoded batch into pieces and proposes them one after the other. Every replica puts
//! them aside in the engine, beside the range's state, so that restarts, replay and snapshots have them. The last entry, a
//! commit like any other but for naming the pieces in place of a batch, makes versions of them all at once: it says when they
//! were committed, which nobody knew when they were cut.
//!
//! ```text
//! key   := range state, kind | term u64 BE | number u64 BE | piece u32 BE      number: of the commit within the term
//! value := the piece: consecutive ones make an encoded batch, all of it at timestamp 0
//! ```
//!
//! # Invariants
//!
//! - The pieces aside are of one term, the state's `staged_term`: the first entry of a later term to be applied forgets
//!   them, whatever it is, for who staged them leads no more and will never propose their last entry.
//! - Pieces go with the entry that takes them, applied or refused.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::{Bytes, BytesMut};
use lsm::{EncodedBatch, WriteBatch};
use proto::v1::{Staged, Write};

use super::effect;
use super::state::{staged_key, staged_span};

/// What of one command goes into one entry of the log, at most; whatever is larger is cut into pieces of this size. Small
/// enough that what is proposed meanwhile goes between two pieces soon: on 50 Mbit/s after 42 ms.
pub(crate) const PIECE_BYTES: usize = 256 << 10;

/// A transaction's writes in pieces.
pub(crate) struct Pieces {
    encoded: Bytes,
}

impl Pieces {
    /// Cuts the writes of a transaction that began at `start_timestamp`.
    pub(crate) fn cut(writes: &[Write], start_timestamp: u64) -> Self {
        Self { encoded: effect::of_writes(writes, start_timestamp, 0).encode() }
    }

    /// The pieces in their order, with their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, Bytes)> + '_ {
        let starts = (0..self.encoded.len()).step_by(PIECE_BYTES);
        let piece = |start: usize| self.encoded.slice(start..self.encoded.len().min(start + PIECE_BYTES));
        (0..).zip(starts.map(piece))
    }

    /// What the last entry says of them.
    pub(crate) fn staged(&self, number: u64) -> Staged {
        Staged {
            number,
            pieces: self.encoded.len().div_ceil(PIECE_BYTES) as u32,
            bytes: self.encoded.len() as u64,
            crc32c: crc32c::crc32c(&self.encoded),
        }
    }
}

/// Why a commit's pieces are not what the commit says. The replicas are not alike, or this one's disk is bad: it must not
/// go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PiecesError {
    /// They cannot be read.
    #[error("the pieces of a commit cannot be read: {0}")]
    Engine(#[from] lsm::Error),
    /// Some are missing, or have changed.
    #[error("the pieces of a commit are not what was put aside: {0}")]
    Damaged(String),
}

/// The pieces that are aside while one batch of entries is applied: those in the engine, and those that the batch adds.
pub(crate) struct Aside<'a> {
    range_id: u64,
    db: &'a lsm::Db,
    added: BTreeMap<(u64, u64, u32), Bytes>,
}

impl<'a> Aside<'a> {
    /// What the engine holds.
    pub(crate) fn new(range_id: u64, db: &'a lsm::Db) -> Self {
        Self { range_id, db, added: BTreeMap::new() }
    }

    /// Puts one aside.
    pub(crate) fn put(&mut self, term: u64, number: u64, piece: u32, bytes: Bytes) {
        self.added.insert((term, number, piece), bytes);
    }

    /// What a commit of `term` has put aside, at the time of the commit.
    pub(crate) fn take(
        &mut self,
        term: u64,
        staged: &Staged,
        commit_timestamp: u64,
        batch: &mut WriteBatch,
    ) -> Result<EncodedBatch, PiecesError> {
        let mut found = BTreeMap::new();
        let (start, end) = staged_span(self.range_id, term, staged.number);
        let within = (Bound::Included(start.as_ref()), Bound::Excluded(end.as_ref()));
        for row in self.db.scan(within, false)? {
            let (key, piece) = row?;
            found.insert(key, piece);
        }
        let added = (term, staged.number, 0)..=(term, staged.number, u32::MAX);
        for (&(term, number, piece), bytes) in self.added.range(added) {
            found.insert(staged_key(self.range_id, term, number, piece), bytes.clone());
        }
        self.forget(term, staged.number, batch);
        let damaged = |what: String| Err(PiecesError::Damaged(what));
        if found.len() as u64 != u64::from(staged.pieces) {
            return damaged(format!("{} pieces in place of {}", found.len(), staged.pieces));
        }
        let bytes: usize = found.values().map(Bytes::len).sum();
        let mut encoded = BytesMut::with_capacity(bytes);
        found.into_values().for_each(|piece| encoded.extend_from_slice(&piece));
        if bytes as u64 != staged.bytes || crc32c::crc32c(&encoded) != staged.crc32c {
            return damaged(format!("{bytes} bytes in place of {}, or others", staged.bytes));
        }
        EncodedBatch::decode_at(encoded, commit_timestamp).or_else(|error| damaged(error.to_string()))
    }

    /// Forgets a commit's pieces.
    pub(crate) fn forget(&mut self, term: u64, number: u64, batch: &mut WriteBatch) {
        self.added.retain(|(of, commit, _), _| (*of, *commit) != (term, number));
        let (start, end) = staged_span(self.range_id, term, number);
        batch.delete_range(&start, &end);
    }

    /// Forgets all pieces of terms before `term`.
    pub(crate) fn forget_before(&mut self, term: u64, batch: &mut WriteBatch) {
        self.added.retain(|(of, ..), _| *of >= term);
        let (start, end) = (staged_key(self.range_id, 0, 0, 0), staged_key(self.range_id, term, 0, 0));
        batch.delete_range(&start, &end);
    }

    /// Adds to the batch what is still aside. Comes after everything that forgets.
    pub(crate) fn finish(self, batch: &mut WriteBatch) {
        for ((term, number, piece), bytes) in self.added {
            batch.put(&staged_key(self.range_id, term, number, piece), &bytes);
        }
    }
}
