//! Locks, and moving the transaction past what they have found.

use std::sync::Arc;

use bytes::Bytes;
use env::clock;
use env::task::boxed;
use futures::FutureExt as _;
use keys::sql::branch_of;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Check, Lock, LockResult, LockedKey, Validate, operation};

use super::read::mismatch;
use super::{REROUTES_MAX, Transaction};
use crate::router::Route;
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

    /// Whether it is locked at least so.
    fn suffices(&self, strength: Strength) -> bool {
        self.strength == Strength::Exclusive || strength == Strength::Shared
    }

    /// How many of those are the value that was kept.
    pub(super) fn value_bytes(&self) -> usize {
        self.value.as_ref().and_then(Option::as_ref).map_or(0, Bytes::len)
    }
}

/// What a request for a lock has come to.
#[derive(Debug)]
enum Known {
    /// No range was asked: it is held.
    Held,
    /// Others hold it, and were not waited for.
    Skipped,
    /// A range has answered.
    Found(Found),
}

/// What a lock has found.
#[derive(Debug)]
struct Found {
    /// The newest value.
    value: Option<Bytes>,
    /// When it was committed, or, of a key that was held before, when that one was.
    newest: u64,
}

impl Transaction {
    /// Locks `keys` until the end of the transaction and reads their newest values.
    ///
    /// Under SERIALIZABLE and REPEATABLE READ a value newer than the read timestamp moves that timestamp forward, or
    /// fails with [`Error::Serialization`] if something that was read has changed.
    #[boxed]
    pub async fn lock(
        &mut self,
        keys: Vec<Bytes>,
        strength: Strength,
        wait: WaitPolicy,
    ) -> Result<Vec<Locked>> {
        if !keys.iter().any(|key| branch_of(key).is_some()) {
            return self.lock_all(keys, strength, wait).await;
        }
        let mut locked = self.lock_all(keys.clone(), strength, wait).await?;
        // Boxed: few keys are of a branch.
        self.look_below_locked(&keys, &mut locked).boxed().await?;
        Ok(locked)
    }

    /// As [`Transaction::lock`], one key.
    pub async fn lock_key(&mut self, key: &Bytes, strength: Strength, wait: WaitPolicy) -> Result<Locked> {
        if branch_of(key).is_none() {
            return self.lock_one(key, strength, wait).await;
        }
        let mut locked = vec![self.lock_one(key, strength, wait).await?];
        self.look_below_locked(std::slice::from_ref(key), &mut locked).boxed().await?;
        locked.pop().ok_or_else(mismatch)
    }

    /// The same with the newest values of the keys themselves, whatever lies below them.
    async fn lock_all(
        &mut self,
        keys: Vec<Bytes>,
        strength: Strength,
        wait: WaitPolicy,
    ) -> Result<Vec<Locked>> {
        if keys.len() == 1
            && let Some(key) = keys.first()
        {
            return Ok(vec![self.lock_one(key, strength, wait).await?]);
        }
        self.may_lock()?;
        let mut at = self.lock_timestamp().await?;
        let mut missing: Vec<usize> = Vec::new();
        let mut newest: Option<u64> = None;
        for (place, key) in keys.iter().enumerate() {
            match self.held.get(key).filter(|held| held.suffices(strength)) {
                Some(held) => newest = newest.max(Some(held.newest)),
                None => missing.push(place),
            }
        }
        let mut found: Vec<(usize, Known)> = Vec::with_capacity(missing.len());
        let mut reroutes = 0;
        while !missing.is_empty() {
            let mut left = Vec::new();
            let mut rerouted = false;
            let ranges = self.by_range(&keys, &missing).await?;
            if at == 0 && ranges.len() > 1 {
                at = self.take_timestamp().await?;
            }
            let wanted = |places: &[usize]| -> Vec<Bytes> {
                places.iter().filter_map(|place| keys.get(*place)).cloned().collect()
            };
            for (route, _) in &ranges {
                at = self.gated(route, at).await?;
            }
            let mut requests = Vec::with_capacity(ranges.len());
            for (route, places) in ranges {
                let wanted = wanted(&places);
                self.expect_all(&route, &wanted);
                requests.push((route, places, wanted));
            }
            let (this, until) = (&*self, self.lock_deadline());
            let asked = requests
                .iter()
                .map(|(route, _, wanted)| this.ask_locks(route, wanted, strength, wait, at, until));
            let answers = futures::future::join_all(asked).await;
            let mut failed = None;
            for ((_, places, wanted), answer) in requests.into_iter().zip(answers) {
                match answer {
                    Ok(answer) => {
                        at = self.took(at, answer.read_at)?;
                        // The range may have answered for the first of them only.
                        let (answered, rest) = places.split_at(answer.keys.len().min(places.len()));
                        left.extend_from_slice(rest);
                        let taken = wanted.into_iter().zip(answer.keys);
                        for (place, (key, locked)) in answered.iter().zip(taken) {
                            let taken = self.take(key, locked, answer.locked_at, strength)?;
                            if let Known::Found(found) = &taken {
                                newest = newest.max(Some(found.newest));
                            }
                            found.push((*place, taken));
                        }
                    }
                    Err(Failure::Rerouted) => {
                        rerouted = true;
                        left.extend(places);
                    }
                    Err(Failure::NoTimestamp) => {
                        at = self.take_timestamp().await?;
                        left.extend(places);
                    }
                    // What the others have locked is known first: a savepoint may give it back.
                    Err(failure) => failed = failed.or(Some(failure)),
                }
            }
            if let Some(failure) = failed {
                return Err(self.fail(failure));
            }
            reroutes += u32::from(rerouted);
            if reroutes > REROUTES_MAX {
                return Err(self.fail(Failure::Rerouted));
            }
            missing = left;
        }
        self.move_past(newest).await?;
        let mut locked = Vec::with_capacity(keys.len());
        // Where one range has answered for all they are in order.
        found.sort_unstable_by_key(|(place, _)| *place);
        let mut found = found.into_iter().peekable();
        for (place, key) in keys.iter().enumerate() {
            let asked = found.next_if(|(of, _)| *of == place);
            let known = asked.map_or(Known::Held, |(_, known)| known);
            // Most need not wait for anything.
            let (answer, is_unread) = self.locked(key, known, at);
            locked.push(if is_unread { self.locked_key(key, Known::Held, at).await? } else { answer });
        }
        Ok(locked)
    }

    /// The same, one key.
    async fn lock_one(&mut self, key: &Bytes, strength: Strength, wait: WaitPolicy) -> Result<Locked> {
        self.may_lock()?;
        let mut at = self.lock_timestamp().await?;
        if self.holds(key, strength) {
            return self.locked_key(key, Known::Held, at).await;
        }
        for _ in 0..REROUTES_MAX {
            let route = self.client.sender.route(key, self.options.timeout).await?;
            at = self.gated(&route, at).await?;
            let (wanted, until) = (std::slice::from_ref(key), self.lock_deadline());
            self.expect_all(&route, wanted);
            match self.ask_locks(&route, wanted, strength, wait, at, until).await {
                Ok(answer) => {
                    at = self.took(at, answer.read_at)?;
                    let Some(locked) = answer.keys.into_iter().next() else { return Err(mismatch()) };
                    let taken = self.take(key.clone(), locked, answer.locked_at, strength)?;
                    let newest = match &taken {
                        Known::Found(found) => Some(found.newest),
                        Known::Held | Known::Skipped => self.held.get(key).map(|held| held.newest),
                    };
                    self.move_past(newest).await?;
                    return self.locked_key(key, taken, at).await;
                }
                Err(Failure::Rerouted) => {}
                Err(Failure::NoTimestamp) => at = self.take_timestamp().await?,
                Err(failure) => return Err(self.fail(failure)),
            }
        }
        Err(self.fail(Failure::Rerouted))
    }

    /// Locks a name until the end of the transaction: a key under which nothing is ever written, so that nothing is read and
    /// nothing is relied on. A transaction that only reads may do so, too. What it holds already (`is_held`), less strongly,
    /// no savepoint gives back.
    ///
    /// # Errors
    /// As [`Transaction::lock`]; [`Error::LockNotAvailable`] where nobody is to wait leaves the transaction as it was.
    #[boxed]
    pub async fn lock_name(
        &mut self,
        key: &Bytes,
        strength: Strength,
        wait: WaitPolicy,
        is_held: bool,
    ) -> Result<()> {
        self.open()?;
        self.pristine = false;
        if self.options.priority == 0 {
            self.options.priority = crate::moment::about_now();
        }
        for _ in 0..REROUTES_MAX {
            let route = self.client.sender.route(key, self.options.timeout).await?;
            let (wanted, until) = (std::slice::from_ref(key), self.lock_deadline());
            if is_held {
                self.expect_locks(route.range_id(), key);
            } else {
                self.expect_all(&route, wanted);
            }
            // Whatever schema is in force by now, names are the same.
            let start_timestamp = self.flushed.as_ref().map_or(0, |flushed| flushed.start_timestamp);
            let call = Call { kind: Kind::Wait, start_timestamp, catalog_version: 0, ..self.call() };
            match self.ask_locks_by(&call, &route, wanted, strength, wait, until).await {
                Ok(_) => return Ok(()),
                Err(Failure::Rerouted) => {}
                Err(failure) => return Err(self.fail(failure)),
            }
        }
        Err(self.fail(Failure::Rerouted))
    }

    fn may_lock(&mut self) -> Result<()> {
        self.open()?;
        if self.options.read_only {
            return Err(Error::ReadOnly);
        }
        self.pristine = false;
        Ok(())
    }

    /// What a request for locks is made at; 0: whoever leads the range takes a timestamp. Requests of a transaction that has
    /// flushed carry the one that it is known by, and are answered none.
    async fn lock_timestamp(&mut self) -> Result<u64> {
        match self.timestamp_or_ask() {
            0 if self.flushed.is_some() => self.take_timestamp().await,
            at => Ok(at),
        }
    }

    /// Whether the key is locked at least so.
    fn holds(&self, key: &Bytes, strength: Strength) -> bool {
        self.held.get(key).is_some_and(|held| held.suffices(strength))
    }

    /// Until when a lock may be waited for that is asked for now.
    fn lock_deadline(&self) -> Option<clock::Instant> {
        self.options.lock_timeout.map(|limit| clock::now() + limit)
    }

    /// Before a range is asked for locks on keys of it.
    fn expect_all(&mut self, route: &Route, wanted: &[Bytes]) {
        if let Some(key) = wanted.first() {
            self.expect_locks(route.range_id(), key);
        }
        if self.asked.is_watching() {
            for key in wanted.iter().filter(|key| !self.held.contains_key(key)) {
                self.asked.add(key.clone());
            }
        }
    }

    /// Asks a range for locks on keys of it, of which it answers for one at least. They were expected.
    async fn ask_locks(
        &self,
        route: &Arc<Route>,
        wanted: &[Bytes],
        strength: Strength,
        wait: WaitPolicy,
        at: u64,
        until: Option<clock::Instant>,
    ) -> Result<LockResult, Failure> {
        let start_timestamp = self.flushed.as_ref().map_or(at, |flushed| flushed.start_timestamp);
        let call = Call { kind: Kind::Wait, start_timestamp, ..self.call() };
        self.ask_locks_by(&call, route, wanted, strength, wait, until).await
    }

    async fn ask_locks_by(
        &self,
        call: &Call,
        route: &Arc<Route>,
        wanted: &[Bytes],
        strength: Strength,
        wait: WaitPolicy,
        until: Option<clock::Instant>,
    ) -> Result<LockResult, Failure> {
        let build = || {
            let wait_ms = |until: clock::Instant| {
                (until.saturating_duration_since(clock::now()).as_millis() as u64).max(1)
            };
            operation::Operation::Lock(Lock {
                keys: wanted.to_vec(),
                strength: strength.into(),
                wait: wait.into(),
                wait_ms_max: until.map_or(0, wait_ms),
            })
        };
        match self.client.sender.send(route, call, build).await? {
            Answer::Lock(answer) if (1..=wanted.len()).contains(&answer.keys.len()) => Ok(answer),
            _ => Err(mismatch().into()),
        }
    }

    /// Before the range is asked for locks: from now on they may exist.
    pub(super) fn expect_locks(&mut self, range_id: u64, key: &Bytes) {
        let id = self.id();
        let Self { client, holding, .. } = self;
        let holding = holding.get_or_insert_with(|| client.heartbeats.begin(&client.sender, id));
        holding.expect(range_id, key);
    }

    /// Takes a range's answer in.
    fn take(&mut self, key: Bytes, locked: LockedKey, locked_at: u64, strength: Strength) -> Result<Known> {
        if locked.skipped {
            return Ok(Known::Skipped);
        }
        let found = locked.newest.unwrap_or_default();
        if let Some(held) = self.held.get_mut(&key) {
            if found.timestamp > held.locked_at {
                // The lock was lost meanwhile, and the key changed: no savepoint brings it back.
                self.end();
                return Err(Error::Serialization { key });
            }
            held.strength = strength;
            return Ok(Known::Found(Found { value: found.value, newest: held.newest }));
        }
        let bytes = found.value.as_ref().map_or(0, Bytes::len);
        let keeps = self.held_values_bytes + bytes <= VALUES_BYTES_MAX;
        let held = Held {
            value: keeps.then(|| found.value.clone()),
            newest: found.timestamp,
            locked_at: locked_at.max(found.timestamp),
            strength,
        };
        self.held_values_bytes += held.value_bytes();
        self.held_bytes += held.bytes(&key);
        self.held.insert(key, held);
        if self.held_bytes > LOCKS_BYTES_MAX {
            return Err(Error::TooManyLocks { bytes_max: LOCKS_BYTES_MAX as u64 });
        }
        Ok(Known::Found(Found { value: found.value, newest: found.timestamp }))
    }

    /// Moves the transaction past the newest version that its locks have found.
    async fn move_past(&mut self, newest: Option<u64>) -> Result<()> {
        if newest.is_some_and(|newest| newest > self.timestamp)
            && self.options.isolation != Isolation::ReadCommitted
        {
            self.refresh().boxed().await?;
        }
        Ok(())
    }

    /// The answer to the caller about a key, and whether the value in it is yet to be read. The statement read at `at` until
    /// then; 0: no range was asked, and whatever timestamp is yet to come is above all that is held.
    fn locked(&self, key: &Bytes, known: Known, at: u64) -> (Locked, bool) {
        let newest = match &known {
            Known::Found(found) => found.newest,
            Known::Held | Known::Skipped => self.held.get(key).map_or(0, |held| held.newest),
        };
        let changed = at != 0 && newest > at;
        // What the view that the statement reads through has not seen is not its row any more.
        let is_newer = self.position().is_some_and(|position| self.buffer.is_newer(key, position));
        let skipped = is_newer || matches!(known, Known::Skipped);
        let (value, is_unread) = match (self.buffer.get(key, None), known) {
            (Some(written), _) => (written.clone(), false),
            (None, Known::Found(found)) => (found.value, false),
            (None, Known::Skipped) => (None, false),
            (None, Known::Held) => (None, true),
        };
        (Locked { value, skipped, changed, newest }, is_unread)
    }

    async fn locked_key(&mut self, key: &Bytes, known: Known, at: u64) -> Result<Locked> {
        let (mut answer, is_unread) = self.locked(key, known, at);
        if is_unread {
            answer.value = self.held_value(key).boxed().await?;
        }
        Ok(answer)
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
        let changed = self.held.iter().find_map(changed);
        if let Some(key) = changed {
            return Err(self.fail(Error::Serialization { key }.into()));
        }
        if !checks.is_empty() {
            self.validate(checks, fresh.timestamp).await?;
        }
        self.start_at(fresh);
        Ok(())
    }

    /// Proves that `checks` hold up to `at`, in all ranges at once.
    async fn validate(&mut self, mut checks: Vec<Check>, at: u64) -> Result<()> {
        for _ in 0..REROUTES_MAX {
            let ranges = self.checks_by_range(checks).await?;
            let call = self.call();
            let asked = ranges.iter().map(|(route, checks)| {
                let build = move || {
                    operation::Operation::Validate(Validate {
                        checks: checks.clone(),
                        at,
                        ..Validate::default()
                    })
                };
                self.client.sender.send(route, &call, build)
            });
            let answers = futures::future::join_all(asked).await;
            checks = Vec::new();
            for ((_, here), answer) in ranges.into_iter().zip(answers) {
                match answer {
                    Ok(Answer::Validate(_)) => {}
                    Ok(_) => return Err(mismatch()),
                    Err(Failure::Rerouted) => checks.extend(here),
                    Err(failure) => return Err(self.fail(failure)),
                }
            }
            if checks.is_empty() {
                return Ok(());
            }
        }
        Err(self.fail(Failure::Rerouted))
    }
}
