//! Locks, and moving the transaction past what they have found.

use std::collections::btree_map::Entry;
use std::time::Duration;

use bytes::Bytes;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Lock, LockResult, Validate, operation};

use super::read::mismatch;
use super::{REROUTES_MAX, Transaction};
use crate::sender::{Call, Failure};
use crate::{Error, Isolation, Locked, Result, Strength, WaitPolicy};

/// How long one request for locks waits before it is sent again.
const PATIENCE: Duration = Duration::from_secs(60);

/// About what a held key takes beside its bytes and those of its value.
const HELD_ENTRY_BYTES: usize = 192;

/// A key that the transaction has locked.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// The newest committed value when it was locked.
    pub(super) value: Option<Bytes>,
    /// That value's timestamp; 0 = there never was one.
    pub(super) newest: u64,
    /// Nothing was committed to the key after `newest` and up to this timestamp.
    pub(super) locked_at: u64,
    strength: Strength,
}

impl Held {
    /// About how many bytes of memory it takes under `key`.
    pub(super) fn bytes(&self, key: &Bytes) -> usize {
        key.len() + self.value.as_ref().map_or(0, Bytes::len) + HELD_ENTRY_BYTES
    }
}

impl Transaction {
    /// Locks `keys` until the end of the transaction and reads their newest values.
    ///
    /// Under SERIALIZABLE and REPEATABLE READ a value newer than the read timestamp moves that timestamp forward, or
    /// fails with [`Error::Serialization`] if something that was read has changed.
    pub async fn lock(
        &mut self,
        keys: Vec<Bytes>,
        strength: Strength,
        wait: WaitPolicy,
    ) -> Result<Vec<Locked>> {
        self.open()?;
        if self.options.read_only {
            return Err(Error::ReadOnly);
        }
        self.pristine = false;
        let read_at = self.read_timestamp().await?;
        let mut skipped = vec![false; keys.len()];
        let mut missing: Vec<usize> = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            let suffices = |held: &Held| held.strength == Strength::Exclusive || strength == Strength::Shared;
            if !self.held.get(key).is_some_and(suffices) {
                missing.push(place);
            }
        }
        for _ in 0..REROUTES_MAX {
            if missing.is_empty() {
                return self.locked(&keys, &skipped, read_at).await;
            }
            let mut left = Vec::new();
            for (route, places) in self.by_range(&keys, &missing).await? {
                let wanted: Vec<Bytes> =
                    places.iter().filter_map(|place| keys.get(*place)).cloned().collect();
                if let Some(key) = wanted.first() {
                    self.expect_locks(route.range_id(), key);
                }
                if self.asked.is_watching() {
                    for key in wanted.iter().filter(|key| !self.held.contains_key(*key)) {
                        self.asked.add(key.clone());
                    }
                }
                let limit = self.options.lock_timeout;
                let build = || {
                    operation::Operation::Lock(Lock {
                        keys: wanted.clone(),
                        strength: strength.into(),
                        wait: wait.into(),
                        wait_ms_max: limit.map_or(0, |limit| (limit.as_millis() as u64).max(1)),
                    })
                };
                let patience = Some(limit.map_or(PATIENCE, |limit| limit + Duration::from_secs(1)));
                let call = Call { patience, ..self.call() };
                match self.client.sender.send(&route, &call, build).await {
                    Ok(Answer::Lock(answer)) if answer.keys.len() == wanted.len() => {
                        let passed_over = self.take(wanted, answer, strength)?;
                        for (place, passed_over) in places.iter().zip(passed_over) {
                            if let Some(skipped) = skipped.get_mut(*place) {
                                *skipped = passed_over;
                            }
                        }
                    }
                    Ok(_) => return Err(mismatch()),
                    Err(Failure::Rerouted) => left.extend(places),
                    Err(failure) => return Err(self.fail(failure)),
                }
            }
            missing = left;
        }
        Err(self.fail(Failure::Rerouted))
    }

    /// Before the range is asked for locks: from now on they may exist.
    fn expect_locks(&mut self, range_id: u64, key: &Bytes) {
        let id = self.id();
        if let Entry::Vacant(entry) = self.locked.entry(range_id) {
            entry.insert(key.clone());
            self.client.heartbeats.add(&self.client.sender, &id, key);
        }
    }

    /// Takes a range's answer in; which of the keys were skipped.
    fn take(&mut self, keys: Vec<Bytes>, answer: LockResult, strength: Strength) -> Result<Vec<bool>> {
        let mut skipped = Vec::with_capacity(keys.len());
        for (key, locked) in keys.into_iter().zip(answer.keys) {
            skipped.push(locked.skipped);
            if locked.skipped {
                continue;
            }
            let newest = locked.newest.unwrap_or_default();
            if let Some(held) = self.held.get_mut(&key) {
                if newest.timestamp > held.locked_at {
                    // The lock was lost meanwhile, and the key changed: no savepoint brings it back.
                    let _in_background = self.end();
                    return Err(Error::Serialization { key });
                }
                held.strength = strength;
                continue;
            }
            let held = Held {
                value: newest.value,
                newest: newest.timestamp,
                locked_at: answer.locked_at.max(newest.timestamp),
                strength,
            };
            self.held_bytes += held.bytes(&key);
            self.held.insert(key, held);
        }
        Ok(skipped)
    }

    /// The answer to the caller, after the transaction has moved past what the locks have found.
    async fn locked(&mut self, keys: &[Bytes], skipped: &[bool], read_at: u64) -> Result<Vec<Locked>> {
        let newest = keys.iter().filter_map(|key| self.held.get(key)).map(|held| held.newest).max();
        if newest.is_some_and(|newest| newest > self.timestamp)
            && self.options.isolation != Isolation::ReadCommitted
        {
            self.refresh().await?;
        }
        let locked = keys.iter().zip(skipped).map(|(key, skipped)| {
            let held = self.held.get(key);
            let value = match self.buffer.get(key) {
                Some(written) => written.clone(),
                None => held.and_then(|held| held.value.clone()),
            };
            Locked { value, skipped: *skipped, changed: held.is_some_and(|held| held.newest > read_at) }
        });
        Ok(locked.collect())
    }

    /// Moves the transaction to a fresh timestamp, if nothing that it has read has changed since its own.
    async fn refresh(&mut self) -> Result<()> {
        let fresh = self.client.timestamp_within(self.options.timeout).await?;
        let checks = self.reads.checks(self.timestamp, |key| self.held.contains_key(key));
        // What is both read and held was read before it was locked: the lock's newest version tells.
        let changed = |(key, held): (&Bytes, &Held)| {
            (held.newest > self.timestamp && self.reads.covers(key)).then(|| key.clone())
        };
        if let Some(key) = self.held.iter().find_map(changed) {
            return Err(self.fail(Error::Serialization { key }.into()));
        }
        if !checks.is_empty() {
            self.validate(checks, fresh.timestamp).await?;
        }
        self.timestamp = fresh.timestamp;
        self.oracle_catalog_version = fresh.catalog_version;
        Ok(())
    }

    /// Proves that `checks` hold up to `at`.
    async fn validate(&mut self, mut checks: Vec<proto::v1::Check>, at: u64) -> Result<()> {
        for _ in 0..REROUTES_MAX {
            let Some(first) = checks.first() else { return Ok(()) };
            let route = self.client.sender.route(&first.start, self.options.timeout).await?;
            let (here, elsewhere): (Vec<_>, Vec<_>) = checks
                .iter()
                .cloned()
                .partition(|check| route.holds(&check.start) && route.holds_span(&check.start, &check.end));
            if here.is_empty() {
                return Err(Error::Unsupported { message: "reads across the bounds of ranges".to_owned() });
            }
            let build =
                || operation::Operation::Validate(Validate { checks: here.clone(), at, reserve: Vec::new() });
            match self.client.sender.send(&route, &self.call(), build).await {
                Ok(Answer::Validate(_)) => checks = elsewhere,
                Ok(_) => return Err(mismatch()),
                Err(Failure::Rerouted) => {}
                Err(failure) => return Err(self.fail(failure)),
            }
        }
        Err(self.fail(Failure::Rerouted))
    }
}
