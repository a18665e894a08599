//! Entries of an index that nobody reads yet, in bulk: versions at one timestamp, in an entry of the log like any commit's,
//! but without locks, latches, marks and checks.
//!
//! ```text
//!  record of the index        `at`              first writer that knows of the index            first reader
//!  ─────────────────────────────┼─────────────────────────────┼─────────────────────────────────────┼────▶ time
//!                               └──── what is ingested        └──── versions above `at` ────▶       └─ reads what stands
//! ```
//!
//! # Invariants
//!
//! A version below a timestamp that was served is a lie unless nobody can have asked for it. So:
//!
//! - Nobody reads the index before its builder has heard that all of it is applied: whoever plans a read of it does so under a
//!   catalog that says so, and reads above that catalog. *Kept by the builder; the range cannot know it.*
//! - Who writes to the index meanwhile does so above `at`, whatever it has found there: so a key's ingested version is its
//!   oldest. *Checked: nothing older than `at` stands between the keys of a request.*
//! - Nothing is ingested at or below the safe point: what was deleted above `at` is still there and hides it, and a span that
//!   was reclaimed stays empty. *Checked when it is applied, as of a commit that began at `at`, whenever it was evaluated.*
//! - The catalog, and keys of more than one index, are not ingested. *Checked.*
//!
//! A request that comes again, late or twice, writes the same versions at the same timestamp.

use bytes::Bytes;
use keys::sql::SYSTEM_INDEX_IDS;
use proto::v1::range_command::Kind;
use proto::v1::{CommitCommand, Ingest, IngestResult, RangeCommand, Write};

use super::Evaluation;
use super::propose::{refused, taken_back, within};
use super::read::bounds;
use crate::range::apply::{APPLIED, FORGOTTEN};
use crate::range::effect;
use crate::range::pieces::PIECE_BYTES;
use crate::range::refusal::Refusal;
use crate::range::state::FORMAT;
use crate::range::version::KEY_BYTES_MAX;

impl Evaluation<'_> {
    /// Writes the versions, once the disk keeps up.
    pub(crate) async fn ingest(&self, ingest: Ingest) -> Result<IngestResult, Refusal> {
        let Ingest { at, writes } = ingest;
        let (first, last) = self.check_ingested(&writes)?;
        self.admit(at).await?;
        self.check_unforgotten(at)?;
        let bytes = effect::bytes(&writes);
        if bytes > PIECE_BYTES {
            let (bytes, bytes_max) = (bytes as u64, PIECE_BYTES as u64);
            return Err(Refusal::TooLarge { what: "what is ingested at once", bytes, bytes_max });
        }
        let nodes = self.state.replicas.iter().map(|replica| replica.node_id);
        if let Some(full) = self.replica.context.vitals.full(nodes) {
            return Err(full.into());
        }
        let _admitted = self.replica.context.admission.admit(bytes as u64, self.deadline).await?;
        let _room = within(self.deadline, self.serving.room.take(bytes), taken_back).await??;
        self.check_new(&first, &last, at)?;
        let command = RangeCommand {
            format: FORMAT,
            span_epoch: self.state.span_epoch,
            // No commit stands for it.
            sequence: u64::MAX,
            kind: Some(Kind::Commit(CommitCommand {
                commit_timestamp: at,
                start_timestamp: at,
                txn_id: Bytes::new(),
                staged: None,
            })),
            ..RangeCommand::default()
        };
        let entry = effect::entry(&command, effect::of_writes(&writes, at, at));
        let proposed = self.replica.group.propose_in(self.serving.term, entry).await?;
        if proposed.reply == FORGOTTEN {
            return Err(Refusal::BelowSafePoint(self.replica.cell.state().forgotten));
        }
        if proposed.reply != APPLIED {
            return Err(refused(&proposed.reply));
        }
        self.replica.context.metrics.ingested.increment(writes.len() as u64);
        Ok(IngestResult {})
    }

    /// That these are entries of one index of a table, in order, all of this range; the first and the last key.
    fn check_ingested(&self, writes: &[Write]) -> Result<(Bytes, Bytes), Refusal> {
        let (Some(first), Some(last)) = (writes.first(), writes.last()) else {
            return Err(Refusal::Invalid("nothing is ingested".to_owned()));
        };
        self.check_key(&first.key)?;
        self.check_key(&last.key)?;
        for write in writes {
            let bytes = write.key.len();
            if bytes > KEY_BYTES_MAX {
                let (bytes, bytes_max) = (bytes as u64, KEY_BYTES_MAX as u64);
                return Err(Refusal::TooLarge { what: "a key", bytes, bytes_max });
            }
            if write.value.is_none() {
                return Err(Refusal::Invalid("what is ingested has a value".to_owned()));
            }
        }
        if !writes.is_sorted_by(|a, b| a.key < b.key) {
            return Err(Refusal::Invalid("what is ingested is in the order of its keys".to_owned()));
        }
        let index =
            |key: &[u8]| keys::sql::split_index_key(key).map(|(tenant, index, _)| (tenant, index)).ok();
        match (index(&first.key), index(&last.key)) {
            (Some(first), Some(last)) if first == last && first.1 >= SYSTEM_INDEX_IDS => {}
            _ => return Err(Refusal::Invalid("what is ingested is of one index of a table".to_owned())),
        }
        Ok((first.key.clone(), last.key.clone()))
    }

    fn check_unforgotten(&self, at: u64) -> Result<(), Refusal> {
        let forgotten = self.replica.cell.state().forgotten;
        if at > forgotten { Ok(()) } else { Err(Refusal::BelowSafePoint(forgotten)) }
    }

    /// That nobody has written to the keys from `first` to `last`, or between them, before `at`.
    fn check_new(&self, first: &[u8], last: &[u8], at: u64) -> Result<(), Refusal> {
        let end = keys::span::successor(last);
        let options = lsm::ScanOptions { tombstones: true, ..Default::default() };
        match self.db().scan_at(bounds(first, &end), at.saturating_sub(1), options)?.next().transpose()? {
            None => Ok(()),
            Some(_) => Err(Refusal::Invalid("the index was written to before what is ingested".to_owned())),
        }
    }
}
