//! Timestamps asked by the leader, and what has to be proven once one has come.
//!
//! ```text
//!   request ──▶ no timestamp? ask the oracle ──▶ enter it into the read memory ──▶ wait for commits at or below it
//!                                                                                            │
//!   answer  ◀── prove: term, span epoch, keys, lease ◀── read ◀──────────────────────────────┘
//! ```
//!
//! A transaction that has no timestamp yet has its first range's leader take one, after the request has arrived: it is at or
//! above every commit that was acknowledged before. A leader may not simply read its newest versions: a commit elsewhere may
//! have a timestamp below them and have been acknowledged later.
//!
//! A request that says at what it reads carries a timestamp that was handed out before it arrived, and that the proof at
//! its arrival covers: who leads next begins above it. One that came later, or a wait, needs another proof. It stands at the
//! end, after all that was waited for and read. Who serves the same term, the same span and the same keys then has done so
//! all the time since the request arrived, so that it held while the memory was raised, while commits under way were looked
//! at, and while the engine was read; and its lease lies after the timestamp was handed out.

use std::sync::Arc;
use std::time::Duration;

use env::canary::{Canary, sings};

use super::Evaluation;
use crate::range::refusal::Refusal;

/// How long the oracle is waited for on behalf of a client that could ask it, too.
const ORACLE_PATIENCE: Duration = Duration::from_millis(500);

/// What a request reads at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadAt {
    /// The timestamp.
    pub(super) at: u64,
    /// It was asked for here.
    pub(super) asked: bool,
}

impl ReadAt {
    /// What the answer says: the timestamp, if the request did not.
    pub(super) fn answered(self) -> u64 {
        if self.asked { self.at } else { 0 }
    }
}

impl Evaluation<'_> {
    /// The timestamp of a request that names `at`; a fresh one if that is 0.
    pub(super) async fn read_at(&self, at: u64) -> Result<ReadAt, Refusal> {
        if at != 0 {
            self.admit(at).await?;
            return Ok(ReadAt { at, asked: false });
        }
        if sings(Canary::OracleUnasked) {
            return Ok(ReadAt { at: self.replica.context.time.observed(), asked: true });
        }
        Ok(ReadAt { at: self.ask_oracle().await?, asked: true })
    }

    /// A timestamp that nobody else gets: the client's transaction will be recognised by it.
    pub(super) async fn ask_oracle(&self) -> Result<u64, Refusal> {
        let time = &self.replica.context.time;
        match env::clock::timeout(ORACLE_PATIENCE, time.fresh()).await {
            Ok(Ok(fresh)) => Ok(fresh),
            Ok(Err(refusal)) => Err(Refusal::NoTimestamp(refusal.to_string())),
            Err(_) => Err(Refusal::NoTimestamp("the timestamp oracle did not answer in time".to_owned())),
        }
    }

    /// Proves, at some moment after the call began, all that an answer rests on: that this replica serves the same term of
    /// the same span still, and that nobody else serves any of its keys: `reaches` says whether one of them is at or behind
    /// the key that it is given.
    pub(super) async fn prove(&self, reaches: impl FnOnce(&[u8]) -> bool) -> Result<(), Refusal> {
        // This may wait for a quorum. The rest does not, and what has not changed after it had not changed before.
        self.replica.prove_leadership(self.serving.term).await?;
        if !self.replica.cell.serving().is_some_and(|serving| Arc::ptr_eq(&serving, &self.serving)) {
            return Err(Refusal::NotLeader(self.replica.group.role().leader));
        }
        if sings(Canary::AskedUnproven) {
            return Ok(());
        }
        // In this order: what is given away is so until the epoch says it, too.
        self.check_kept(reaches)?;
        if self.replica.cell.state().span_epoch != self.state.span_epoch {
            return Err(self.stale_range());
        }
        Ok(())
    }
}
