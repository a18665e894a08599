//! Proves that what was read has not changed up to a later timestamp: to go on reading there, or to commit there.

use std::time::Duration;

use bytes::Bytes;
use proto::v1::{Check, Validate, ValidateResult};

use super::decide::reach;
use super::pace::Pace;
use super::{Evaluation, reaches};
use crate::range::closing::give_time;
use crate::range::intents::Look;
use crate::range::key_list::KeyList;
use crate::range::latches::Footprint;
use crate::range::memory::Slot;
use crate::range::refusal::Refusal;
use crate::range::reservations::Reserved;

/// For how long keys are reserved at most.
const RESERVED_MS_MAX: u64 = 2_000;

impl Evaluation<'_> {
    /// Checks that nothing was committed in `(since, at]`, and counts as a read at `at`.
    pub(crate) async fn validate(&self, validate: Validate) -> Result<ValidateResult, Refusal> {
        let at = validate.at;
        self.admit(at).await?;
        self.check_checks(&validate.checks)?;
        let reserved = self.reserve(validate.reserve, at).await?;
        let settled = self.settle(&validate.checks, at);
        let unproven = match &reserved {
            None => settled.await?,
            // Whoever is waited for may wait for what is reserved.
            Some(_) => {
                let patience = Duration::from_millis(RESERVED_MS_MAX);
                env::clock::timeout(patience, settled).await.map_err(|_| Refusal::Pushed(at))??
            }
        };
        let mut pace = Pace::new();
        for check in &validate.checks {
            pace.step().await;
            self.check_unchanged(check, at)?;
        }
        if unproven || reserved.is_some() {
            let is_reserved = |from: &[u8]| reserved.as_ref().is_some_and(|kept| reach(kept.keys(), from));
            let relies = |from: &[u8]| validate.checks.iter().any(|check| reaches(check, from));
            self.prove(|from| is_reserved(from) || relies(from)).await?;
        }
        if let Some(reserved) = reserved {
            self.keep(reserved, at, validate.reserve_ms)?;
        }
        Ok(ValidateResult {})
    }

    /// Remembers that all of it was read at `at`, and waits for what is under way at or below; whether it had to.
    async fn settle(&self, checks: &[Check], at: u64) -> Result<bool, Refusal> {
        let own = self.owner().ok().map(|owner| owner.id);
        let mut unproven = self.check_catalog(at).await?;
        let serving = &self.serving;
        for check in checks {
            if check.end.is_empty() {
                let slot = Slot::of(&check.start);
                serving.memory.raise_slot(slot, at);
                let look = Look::Check { since: check.since, at };
                unproven |= self.settle_key_but(slot, &check.start, look, own.as_ref()).await?;
            } else {
                serving.memory.raise_span(&check.start, &check.end, at);
                let look = Look::Check { since: check.since, at };
                unproven |= self.settle_span(&check.start, &check.end, look, own.as_ref()).await?;
            }
        }
        Ok(unproven)
    }

    /// Latches keys and marks them as about to be written at `at`; an error if one was read or written there or above.
    async fn reserve(&self, mut keys: Vec<Bytes>, at: u64) -> Result<Option<Reserved>, Refusal> {
        if keys.is_empty() {
            return Ok(None);
        }
        keys.sort_unstable();
        keys.dedup();
        self.check_keys(keys.iter())?;
        let keys = KeyList::ascending(keys);
        let (own, owner) = (self.header.start_timestamp, self.owner()?.id);
        loop {
            for key in keys.iter() {
                while let Some(standing) = self.serving.intents.in_the_way(key, Look::Write, own)? {
                    self.outlast(&standing, Look::Write).await?;
                }
            }
            let footprint = Footprint { writes: keys.clone(), reads: Vec::new() };
            let latch = self.serving.latches.acquire(footprint).await?;
            if self.is_in_the_way_of_any(&keys)? {
                continue;
            }
            let reserved = Reserved::new(owner, keys, latch, self.serving.inflight.clone());
            reserved.mark().decide(at);
            for key in reserved.keys() {
                let newest = self.db().get_at(key, u64::MAX)?.map_or(0, |newest| newest.timestamp);
                let pushed = newest.max(self.serving.memory.newest(key));
                if pushed >= at {
                    give_time(&self.replica.context, &self.serving, at);
                    return Err(Refusal::Pushed(pushed));
                }
            }
            return Ok(Some(reserved));
        }
    }

    fn is_in_the_way_of_any(&self, keys: &[Bytes]) -> Result<bool, Refusal> {
        for key in keys {
            if self.serving.intents.in_the_way(key, Look::Write, self.header.start_timestamp)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn keep(&self, reserved: Reserved, at: u64, reserve_ms: u64) -> Result<(), Refusal> {
        let (serving, txn) = (self.serving.clone(), self.owner()?.id);
        let number = serving.reservations.put(txn, at, reserved);
        let patience = Duration::from_millis(reserve_ms.min(RESERVED_MS_MAX));
        drop(self.replica.context.tasks.spawn(async move {
            env::clock::sleep(patience).await;
            serving.reservations.drop_late(txn, at, number);
        }));
        Ok(())
    }
}
