//! What became of another transaction, as far as some of its keys tell.

use std::sync::Arc;

use bytes::Bytes;
use env::canary::{self, Canary};
use lsm::WriteBatch;
use proto::v1::{DecideResult, IntentsCommand, Outcome, Recover, RecoverResult};

use super::Evaluation;
use super::decide::{reach, txn_id};
use super::propose::Proposer;
use crate::range::intents::{Standing, rollback_row};
use crate::range::memory::Slot;
use crate::range::recovery;
use crate::range::refusal::Refusal;

impl Evaluation<'_> {
    /// Looks at the keys; with `abort`, bars the transaction from one where its prewrite is missing.
    ///
    /// Asked about a primary whose intent stands this sees to it that its outcome is found out, once the transaction has
    /// shown no sign of life for long.
    pub(crate) async fn recover(&self, recover: Recover) -> Result<RecoverResult, Refusal> {
        let (txn, start) = (txn_id(&recover.txn_id)?, recover.start_timestamp);
        let mut keys = recover.keys;
        if recover.push_to != 0 && !recover.abort {
            let [primary] = keys.as_slice() else {
                return Err(Refusal::Invalid("a transaction has one primary".to_owned()));
            };
            return self.push(primary, start, recover.push_to).await;
        }
        let latch = self.latch_all(&mut keys).await?;
        let mut minimum = 0;
        let mut missing: Option<Bytes> = None;
        for key in &keys {
            if let Some(DecideResult { outcome, commit_timestamp }) = self.outcome_on(key, start)? {
                self.prove(|from| reach(&keys, from)).await?;
                return Ok(RecoverResult { outcome, commit_timestamp });
            }
            match self.serving.intents.on(key)?.filter(|standing| standing.start_timestamp == start) {
                Some(standing) if standing.met.is_some() => {
                    self.see_to_primary(&standing);
                    self.prove(|from| reach(&keys, from)).await?;
                    let (outcome, commit_timestamp) = (Outcome::Pending.into(), standing.minimum);
                    return Ok(RecoverResult { outcome, commit_timestamp });
                }
                Some(standing) => {
                    minimum = minimum.max(standing.minimum);
                    self.see_to_primary(&standing);
                }
                None => missing = Some(key.clone()),
            }
        }
        let outcome = match missing {
            None => Outcome::Prewritten,
            Some(_) if !recover.abort => Outcome::Pending,
            Some(_) if canary::sings(Canary::NoRollbackMarker) => Outcome::Aborted,
            Some(key) => {
                let mut batch = WriteBatch::new();
                batch.put(&keys::range::rollback(&key, start), &rollback_row());
                let command = IntentsCommand { start_timestamp: start, commit_timestamp: 0, begins: false };
                Proposer::new(self, txn).settle(command, batch, Vec::new(), false, latch).await?;
                return Ok(RecoverResult { outcome: Outcome::Aborted.into(), commit_timestamp: 0 });
            }
        };
        self.prove(|from| reach(&keys, from)).await?;
        Ok(RecoverResult { outcome: outcome.into(), commit_timestamp: minimum })
    }

    /// Has a large transaction commit above `push_to`, unless it is decided.
    ///
    /// Without the primary's latch, which whoever is about to decide at a timestamp holds until then: a reader below that
    /// need not wait. Two that read what the other writes, and push each other, would wait for each other.
    async fn push(&self, primary: &Bytes, start: u64, push_to: u64) -> Result<RecoverResult, Refusal> {
        self.check_key(primary)?;
        self.admit(push_to).await?;
        let slot = Slot::of(primary);
        self.serving.memory.raise_slot(slot, push_to);
        self.serving.inflight.settle_key_but(slot, primary, push_to, None).await?;
        let known = self.outcome_on(primary, start)?;
        if let Some(standing) = self.serving.intents.on(primary)?
            && standing.start_timestamp == start
        {
            self.see_to_primary(&standing);
        }
        self.prove(|from| primary.as_ref() >= from).await?;
        Ok(match known {
            Some(DecideResult { outcome, commit_timestamp }) => RecoverResult { outcome, commit_timestamp },
            // Who decides from now on finds what it was read at; who is deciding does so above that.
            None => {
                let commit_timestamp = push_to.saturating_add(1);
                RecoverResult { outcome: Outcome::Pending.into(), commit_timestamp }
            }
        })
    }

    fn see_to_primary(&self, standing: &Arc<Standing>) {
        let is_primary = standing.key == standing.primary;
        if is_primary && self.serving.intents.is_expired(standing.start_timestamp) {
            recovery::chase(self.replica, &self.serving, standing);
        }
    }
}
