//! Locks, and moving the transaction past what they have found.

use std::collections::btree_map::Entry;

use bytes::Bytes;
use env::clock;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Lock, LockResult, Validate, operation};

use super::read::mismatch;
use super::{REROUTES_MAX, Transaction};
use crate::sender::{Call, Failure, Kind};
use crate::{Error, Isolation, Locked, Result, Strength, WaitPolicy};

/// The most bytes of values of locked keys that a transaction keeps; others are read again when they are asked for.
const VALUES_BYTES_MAX: usize = 16 << 20;

/// The most bytes that what a transaction knows of its locks may take up.
const LOCKS_BYTES_MAX: usize = 256 << 20;

/// About what a held key takes beside its bytes and those of its value.
const HELD_ENTRY_BYTES: usize = 192;

/// A key that the transaction has locked.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// The newest committed value when it was locked; `None`: it was not kept, see [`VALUES_BYTES_MAX`].
    pub(super) value: Option<Option<Bytes>>,
    /// That value's timestamp; 0 = there never was one.
    pub(super) newest: u64,
    /// Nothing was committed to the key after `newest` and up to this timestamp.
    pub(super) locked_at: u64,
    strength: Strength,
}

impl Held {
    /// About how many bytes of memory it takes under `key`.
    pub(super) fn bytes(&self, key: &Bytes) -> usize {
        key.len() + self.value_bytes() + HELD_ENTRY_BYTES
    }

    /// How many of those are the value that was kept.
    pub(super) fn value_bytes(&self) -> usize {
        self.value.as_ref().and_then(Option::as_ref).map_or(0, Bytes::len)
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
        let mut values: Vec<Option<Option<Bytes>>> = vec![None; keys.len()];
        let mut reroutes = 0;
        while !missing.is_empty() {
            let mut left = Vec::new();
            let mut rerouted = false;
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
                let until = self.options.lock_timeout.map(|limit| clock::now() + limit);
                let build = || {
                    let wait_ms = |until: clock::Instant| {
                        (until.saturating_duration_since(clock::now()).as_millis() as u64).max(1)
                    };
                    operation::Operation::Lock(Lock {
                        keys: wanted.clone(),
                        strength: strength.into(),
                        wait: wait.into(),
                        wait_ms_max: until.map_or(0, wait_ms),
                    })
                };
                let call = Call { kind: Kind::Wait, ..self.call() };
                match self.client.sender.send(&route, &call, build).await {
                    Ok(Answer::Lock(answer)) if (1..=wanted.len()).contains(&answer.keys.len()) => {
                        // The range may have answered for the first of them only.
                        let (answered, rest) = places.split_at(answer.keys.len());
                        left.extend_from_slice(rest);
                        let taken = self.take(wanted, answer, strength)?;
                        for (place, (passed_over, value)) in answered.iter().zip(taken) {
                            if let (Some(skipped), Some(known)) =
                                (skipped.get_mut(*place), values.get_mut(*place))
                            {
                                *skipped = passed_over;
                                *known = Some(value);
                            }
                        }
                    }
                    Ok(_) => return Err(mismatch()),
                    Err(Failure::Rerouted) => {
                        rerouted = true;
                        left.extend(places);
                    }
                    Err(failure) => return Err(self.fail(failure)),
                }
            }
            reroutes += u32::from(rerouted);
            if reroutes > REROUTES_MAX {
                return Err(self.fail(Failure::Rerouted));
            }
            missing = left;
        }
        self.locked(&keys, &skipped, values, read_at).await
    }

    /// Before the range is asked for locks: from now on they may exist.
    fn expect_locks(&mut self, range_id: u64, key: &Bytes) {
        let id = self.id();
        if let Entry::Vacant(entry) = self.locked.entry(range_id) {
            entry.insert(key.clone());
            self.client.heartbeats.add(&self.client.sender, &id, key);
        }
    }

    /// Takes a range's answer in; which of the keys were skipped, and the others' values.
    fn take(
        &mut self,
        keys: Vec<Bytes>,
        answer: LockResult,
        strength: Strength,
    ) -> Result<Vec<(bool, Option<Bytes>)>> {
        let mut taken = Vec::with_capacity(keys.len());
        for (key, locked) in keys.into_iter().zip(answer.keys) {
            let newest = locked.newest.unwrap_or_default();
            taken.push((locked.skipped, newest.value.clone()));
            if locked.skipped {
                continue;
            }
            if let Some(held) = self.held.get_mut(&key) {
                if newest.timestamp > held.locked_at {
                    // The lock was lost meanwhile, and the key changed: no savepoint brings it back.
                    let _in_background = self.end();
                    return Err(Error::Serialization { key });
                }
                held.strength = strength;
                continue;
            }
            let bytes = newest.value.as_ref().map_or(0, Bytes::len);
            let keeps = self.held_values_bytes + bytes <= VALUES_BYTES_MAX;
            let held = Held {
                value: keeps.then_some(newest.value),
                newest: newest.timestamp,
                locked_at: answer.locked_at.max(newest.timestamp),
                strength,
            };
            self.held_values_bytes += held.value_bytes();
            self.held_bytes += held.bytes(&key);
            self.held.insert(key, held);
            if self.held_bytes > LOCKS_BYTES_MAX {
                return Err(Error::TooManyLocks { bytes_max: LOCKS_BYTES_MAX as u64 });
            }
        }
        Ok(taken)
    }

    /// The answer to the caller, after the transaction has moved past what the locks have found.
    async fn locked(
        &mut self,
        keys: &[Bytes],
        skipped: &[bool],
        values: Vec<Option<Option<Bytes>>>,
        read_at: u64,
    ) -> Result<Vec<Locked>> {
        let newest = keys.iter().filter_map(|key| self.held.get(key)).map(|held| held.newest).max();
        if newest.is_some_and(|newest| newest > self.timestamp)
            && self.options.isolation != Isolation::ReadCommitted
        {
            self.refresh().await?;
        }
        let mut locked = Vec::with_capacity(keys.len());
        for ((key, skipped), known) in keys.iter().zip(skipped).zip(values) {
            let changed = self.held.get(key).is_some_and(|held| held.newest > read_at);
            let value = match (self.buffer.get(key), known) {
                (Some(written), _) => written.clone(),
                (None, Some(known)) => known,
                (None, None) => self.held_value(key).await?,
            };
            locked.push(Locked { value, skipped: *skipped, changed });
        }
        Ok(locked)
    }

    /// The value that `key` had when it was locked.
    pub(super) async fn held_value(&mut self, key: &Bytes) -> Result<Option<Bytes>> {
        match self.held.get(key) {
            Some(Held { value: Some(value), .. }) => Ok(value.clone()),
            Some(Held { locked_at, .. }) => {
                let at = *locked_at;
                self.get_committed(key, at).await
            }
            None => Ok(None),
        }
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
