//! Waiting for what is under way: commits that are being proposed, and transactions over several ranges that have left
//! intents.
//!
//! A read raises the read memory first, then waits for marks, then for intents, and then reads. A prewrite goes from a mark to
//! an intent without a moment between, so that whoever finds no mark finds the intent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::v1::Resolve;

use super::Evaluation;
use crate::range::intents::{Look, Outcome, Standing};
use crate::range::locks::TxnId;
use crate::range::memory::Slot;
use crate::range::recovery;
use crate::range::refusal::Refusal;
use crate::range::replica::Replica;
use crate::range::serving::Serving;

/// For so long an intent is waited for before anybody asks its primary.
const ASK_AFTER: Duration = Duration::from_millis(20);

impl Evaluation<'_> {
    /// Waits until nothing is in the way of a look at a key, whose slot is `slot`: commits under way, and intents; whether it
    /// had to.
    pub(super) async fn settle_key(&self, slot: Slot, key: &[u8], look: Look) -> Result<bool, Refusal> {
        self.settle_key_but(slot, key, look, None).await
    }

    /// The same, unless the transaction itself has reserved the key.
    pub(super) async fn settle_key_but(
        &self,
        slot: Slot,
        key: &[u8],
        look: Look,
        reserver: Option<&TxnId>,
    ) -> Result<bool, Refusal> {
        let mut waited = self.serving.inflight.settle_key_but(slot, key, look.until(), reserver).await?;
        let own = self.header.start_timestamp;
        while let Some(standing) = self.serving.intents.in_the_way(key, look, own)? {
            self.outlast(&standing, look).await?;
            waited = true;
        }
        Ok(waited)
    }

    /// The same within a span.
    pub(super) async fn settle_span(
        &self,
        start: &[u8],
        end: &[u8],
        look: Look,
        reserver: Option<&TxnId>,
    ) -> Result<bool, Refusal> {
        let mut waited = self.serving.inflight.settle_span_but(start, end, look.until(), reserver).await?;
        let own = self.header.start_timestamp;
        while let Some(standing) = self.serving.intents.in_the_way_within(start, end, look, own)? {
            self.outlast(&standing, look).await?;
            waited = true;
        }
        Ok(waited)
    }

    /// Waits until an intent is in the way no more, or is another. A writer that waits for a large transaction may be the
    /// victim of a deadlock.
    pub(super) async fn outlast(&self, standing: &Arc<Standing>, look: Look) -> Result<(), Refusal> {
        let Some(met) = &standing.met else {
            return self.replica.outlast(&self.serving, standing, look).await;
        };
        match met.large.outcome() {
            Some(outcome) => self.outlast_decided(standing, outcome, look).await,
            // Nor does a commit, whose timestamp is not chosen yet, know above what it would have to commit.
            None if look.until() == u64::MAX => self.outlast_large(standing).await,
            None => self.replica.outlast(&self.serving, standing, look).await,
        }
    }

    /// What is committed and not resolved yet ends a proof that nothing is; who needs it as a version has it resolved, as it may
    /// take long until all of it is; reads see it as it stands.
    async fn outlast_decided(
        &self,
        standing: &Arc<Standing>,
        outcome: Outcome,
        look: Look,
    ) -> Result<(), Refusal> {
        match (look, outcome) {
            (Look::Check { since, at }, Outcome::Committed(timestamp))
                if since > 0 && since < timestamp && timestamp <= at =>
            {
                Err(Refusal::Conflict { key: standing.key.clone(), timestamp })
            }
            _ if standing.key.is_empty() => self.replica.outlast(&self.serving, standing, look).await,
            _ => self.resolve_one(standing, outcome).await,
        }
    }

    /// Has a decided large transaction's intent resolved at once: not all of them can be waited for.
    async fn resolve_one(&self, standing: &Standing, outcome: Outcome) -> Result<(), Refusal> {
        let (outcome, commit_timestamp) = match outcome {
            Outcome::Committed(timestamp) => (proto::v1::Outcome::Committed, timestamp),
            Outcome::Aborted => (proto::v1::Outcome::Aborted, 0),
        };
        let resolve = Resolve {
            keys: vec![standing.key.clone()],
            txn_id: Bytes::copy_from_slice(&standing.txn),
            start_timestamp: standing.start_timestamp,
            outcome: outcome.into(),
            commit_timestamp,
            ..Resolve::default()
        };
        self.resolve(resolve).await.map(drop)
    }

    /// Waits for a large transaction to be decided, as for a lock of it. It is one wait, whatever else happens to the
    /// transaction meanwhile: the deadlock detector has to hear of it again and again.
    async fn outlast_large(&self, standing: &Arc<Standing>) -> Result<(), Refusal> {
        let wait = async {
            let mut standing = standing.clone();
            loop {
                self.replica.outlast(&self.serving, &standing, Look::Write).await?;
                let own = self.header.start_timestamp;
                let found = self.serving.intents.in_the_way(&standing.key, Look::Write, own)?;
                let is_undecided = |found: &Arc<Standing>| {
                    let met = found.met.as_ref();
                    found.start_timestamp == standing.start_timestamp
                        && met.is_some_and(|met| met.large.outcome().is_none())
                };
                match found.filter(is_undecided) {
                    Some(found) => standing = found,
                    None => return Ok(()),
                }
            }
        };
        match self.owner() {
            Ok(owner) => self.reported(owner, standing.txn, wait).await,
            Err(_) => wait.await,
        }
    }
}

impl Replica {
    /// Waits until an intent stands no more, or anything about its large transaction has changed. After a while its primary is
    /// asked what becomes of it, if nobody does already; one that is large is asked at once to commit above a reader.
    pub(crate) async fn outlast(
        &self,
        serving: &Arc<Serving>,
        standing: &Arc<Standing>,
        look: Look,
    ) -> Result<(), Refusal> {
        let intents = &serving.intents;
        match &standing.met {
            Some(met) if look.until() != u64::MAX && met.large.outcome().is_none() => {
                // Those who come next shall not have to ask again.
                met.large.want(look.until().max(self.context.time.observed()));
            }
            _ => {
                if let Ok(gone) = env::clock::timeout(ASK_AFTER, intents.outlast(standing)).await {
                    return Ok(gone?);
                }
            }
        }
        recovery::chase(self, serving, standing);
        Ok(intents.outlast(standing).await?)
    }
}
