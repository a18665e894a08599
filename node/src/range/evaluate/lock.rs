//! Locking keys and reading their newest versions.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::clock::Instant;
use env::trace;
use proto::v1::{Lock, LockResult, LockedKey, Strength, Version, WaitPolicy, WaitRequest};

use super::Evaluation;
use super::newest::Newest;
use super::pace::Pace;
use super::read::VALUES_BYTES_MAX;
use super::seen::to_version;
use crate::range::intents::{Look, Standing};
use crate::range::locks::{Asked, LOCKS_BYTES_MAX, Locks, Owner, Requested, Ticket, TxnId, WaitEnd};
use crate::range::memory::Slot;
use crate::range::refusal::Refusal;

/// So many keys are settled before their versions are read.
const KEYS_AT_ONCE: usize = 512;

/// So many keys are asked for one by one before more of them are asked for together again.
const KEYS_APART: u32 = 32;

/// How long a wait lasts before the deadlock detector is told.
const REPORT_AFTER: Duration = Duration::from_millis(20);

/// For so long at most those who do not wait for locks wait to hear that who has written a key is over.
const SETTLED_WITHIN: Duration = Duration::from_secs(1);

/// How often it is told again.
const REPORT_AGAIN: Duration = Duration::from_secs(1);

/// What became of one key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Locked,
    Skipped,
}

/// What a request that does not wait for locks has learned of those who have written its keys.
#[derive(Default)]
struct Met {
    /// When the one began that was found last to go on.
    goes_on: Option<u64>,
    /// Of one it was not learned in time: nor is it waited for of others.
    is_spent: bool,
}

impl Evaluation<'_> {
    /// Locks keys for the transaction and reads their newest versions. A transaction that has no timestamp gets one once it
    /// holds the locks, so that no version that it finds is newer.
    ///
    /// Such a request may be sent again when its answer was lost, or arrive twice: the locks are the transaction's, which
    /// gets them again at once, and each answer is right by itself. The one that its client takes gives it its timestamp; the
    /// others have left but entries in the read memory, which only make commits come later.
    pub(crate) async fn lock(&self, lock: Lock) -> Result<LockResult, Refusal> {
        let owner = self.owner()?;
        if self.header.start_timestamp != 0 {
            self.admit(self.header.start_timestamp).await?;
        }
        self.check_newest_catalog()?;
        self.check_keys(lock.keys.iter())?;
        let mut acquired = Acquired { locks: &self.serving.locks, owner, keys: Vec::new(), keep: false };
        let (mut taken, waited) = self.take(&lock, owner, &mut acquired).await?;
        let result = self.read_newest(&lock, &mut taken, waited, &mut acquired).await?;
        // What was promised up to `locked_at` holds only if no other leader has begun meanwhile.
        self.prove(|from| lock.keys.iter().any(|key| key.as_ref() >= from)).await?;
        acquired.keep = true;
        Ok(result)
    }

    /// Takes the locks in the order of their keys, so that requests for the same keys do not deadlock. Those of many keys in
    /// a row that nobody else has or wants are taken together.
    async fn take<'a>(
        &self,
        lock: &'a Lock,
        owner: Owner,
        acquired: &mut Acquired<'a>,
    ) -> Result<(Vec<Taken>, bool), Refusal> {
        let strength = Strength::try_from(lock.strength)
            .map_err(|_| Refusal::Invalid("unknown strength of a lock".to_owned()))?;
        let policy = WaitPolicy::try_from(lock.wait)
            .map_err(|_| Refusal::Invalid("unknown policy of waiting for a lock".to_owned()))?;
        let mut taken = vec![Taken::Locked; lock.keys.len()];
        let mut waited = false;
        let ascends = lock.keys.is_sorted_by(|a, b| a < b);
        let mut order: Vec<(usize, &'a Bytes)> = Vec::new();
        if !ascends {
            order.extend(lock.keys.iter().enumerate());
            order.sort_by_key(|(_, key)| *key);
        }
        // What a transaction has flushed is looked at one by one.
        let runs = ascends && strength == Strength::Exclusive && !self.header.sees_intents;
        let key_at = |next: usize| match ascends {
            true => lock.keys.get(next).map(|key| (next, key)),
            false => order.get(next).copied(),
        };
        let (mut next, mut apart) = (0, 0);
        let mut met = Met::default();
        while let Some((place, key)) = key_at(next) {
            let locks = &self.serving.locks;
            if runs && apart == 0 && (policy == WaitPolicy::Block || self.serving.intents.is_empty()) {
                let rest = lock.keys.get(next..).unwrap_or_default();
                let count = locks.request_run(owner, rest);
                if count > 0 {
                    acquired.extend(rest.iter().take(count));
                    next += count;
                    continue;
                }
                apart = KEYS_APART;
            }
            apart = apart.saturating_sub(1);
            next += 1;
            // A transaction that has left an intent may have lost its lock with another leader.
            let is_written = policy != WaitPolicy::Block && self.is_written(key, &mut met).await?;
            if self.has_flushed(key)? {
                // Its intent keeps others away already; a lock is not to be had behind those who wait for that.
                continue;
            }
            match policy {
                WaitPolicy::Nowait if is_written => {
                    return Err(Refusal::LockNotAvailable { key: key.clone() });
                }
                WaitPolicy::SkipLocked if is_written => {
                    if let Some(taken) = taken.get_mut(place) {
                        *taken = Taken::Skipped;
                    }
                    continue;
                }
                WaitPolicy::Block => match locks.request_or_queue(owner, key, strength) {
                    Asked::Granted => {}
                    Asked::Full => return Err(full()),
                    Asked::Queued(ticket) => {
                        waited = true;
                        self.wait(ticket, owner, key, lock.wait_ms_max).await?;
                    }
                },
                WaitPolicy::Nowait | WaitPolicy::SkipLocked => match locks.request(owner, key, strength) {
                    Requested::Granted { .. } => {}
                    Requested::Full => return Err(full()),
                    Requested::Blocked if policy == WaitPolicy::Nowait => {
                        return Err(Refusal::LockNotAvailable { key: key.clone() });
                    }
                    Requested::Blocked => {
                        if let Some(taken) = taken.get_mut(place) {
                            *taken = Taken::Skipped;
                        }
                        continue;
                    }
                },
            }
            acquired.extend([key]);
        }
        Ok((taken, waited))
    }

    /// Whether somebody who goes on has written the key, as far as that can be known within [`SETTLED_WITHIN`]. What one has
    /// written who is over is resolved first: his rows are nobody's any more, and who was told of a commit finds them.
    async fn is_written(&self, key: &[u8], met: &mut Met) -> Result<bool, Refusal> {
        let own = self.header.start_timestamp;
        let patience = if met.is_spent { Duration::ZERO } else { SETTLED_WITHIN };
        let until = env::clock::now() + patience;
        while let Some(standing) = self.serving.intents.in_the_way(key, Look::Write, own)? {
            if met.goes_on == Some(standing.start_timestamp) {
                return Ok(true);
            }
            let left = until.saturating_duration_since(env::clock::now());
            let ended = env::clock::timeout(left, self.outlast_ended(&standing)).await;
            met.is_spent |= ended.is_err();
            if !ended.unwrap_or(Ok(false))? {
                met.goes_on = Some(standing.start_timestamp);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits until an intent is in the way no more, or is another, unless its transaction goes on, or its primary's range does not
    /// say. A small one that has left any is committing, or has: that does not last.
    async fn outlast_ended(&self, standing: &Arc<Standing>) -> Result<bool, Refusal> {
        if let Some(met) = &standing.met
            && met.large.outcome().is_none()
        {
            match self.replica.is_decided(&met.large, standing).await {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(refusal) => {
                    tracing::debug!(%refusal, "a primary's range does not say what became of a transaction");
                    return Ok(false);
                }
            }
        }
        self.outlast(standing, Look::Write).await?;
        Ok(true)
    }

    /// Waits for a lock that others hold.
    async fn wait(&self, ticket: Ticket, owner: Owner, key: &Bytes, wait_ms_max: u64) -> Result<(), Refusal> {
        let metrics = &self.replica.context.metrics;
        metrics.lock_waits.increment(1);
        let started = env::clock::now();
        let lock_timeout = (wait_ms_max > 0).then(|| started + Duration::from_millis(wait_ms_max));
        let until = match (lock_timeout, self.deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let mut reported = Reported { evaluation: self, owner, ticket, sent: false };
        let ended = trace::within(trace::child("lock wait"), pin!(reported.wait(until))).await;
        metrics.lock_wait_seconds.record(env::clock::now().duration_since(started).as_secs_f64());
        match ended {
            Ok(()) => Ok(()),
            Err(Some(WaitEnd::Deadlock { cycle })) => Err(Refusal::Deadlock { cycle }),
            Err(Some(WaitEnd::TermEnded)) => Err(Refusal::NotLeader(None)),
            Err(Some(WaitEnd::Released)) => {
                Err(Refusal::Unavailable("the transaction has given up its locks".to_owned()))
            }
            Err(None) if lock_timeout.is_some_and(|timeout| env::clock::now() >= timeout) => {
                Err(Refusal::LockNotAvailable { key: key.clone() })
            }
            // No end of the transaction's wait, only of this request's.
            Err(None) => Err(Refusal::Retry("others hold the lock still".to_owned())),
        }
    }

    /// Reads the newest versions, and finds a timestamp up to which they are that: a fresh one for a transaction that has
    /// none, else the newest that is known here if it will do.
    async fn read_newest(
        &self,
        lock: &Lock,
        taken: &mut [Taken],
        waited: bool,
        acquired: &mut Acquired<'_>,
    ) -> Result<LockResult, Refusal> {
        let policy = WaitPolicy::try_from(lock.wait).unwrap_or(WaitPolicy::Block);
        let patience = (lock.wait_ms_max > 0).then(|| Duration::from_millis(lock.wait_ms_max));
        let time = &self.replica.context.time;
        let asked = self.header.start_timestamp == 0;
        let mut locked_at = match self.header.start_timestamp {
            0 => self.ask_oracle().await?,
            start => time.observed().max(start),
        };
        loop {
            if asked {
                self.check_catalog(locked_at).await?;
            }
            let mut newest = 0;
            let mut bytes = 0;
            let mut pace = Pace::new();
            let mut locked = Vec::with_capacity(lock.keys.len());
            for (keys, taken) in lock.keys.chunks(KEYS_AT_ONCE).zip(taken.chunks_mut(KEYS_AT_ONCE)) {
                // All are locked; of what does not fit into the answer the value is asked for again.
                if bytes >= VALUES_BYTES_MAX {
                    break;
                }
                self.settle_locked(keys, taken, locked_at, (policy, patience), acquired, &mut pace).await?;
                // From here on what is read of them is the newest up to `locked_at`, and stays it.
                let mut versions = Newest::of(self.db(), keys.iter());
                for (key, taken) in keys.iter().zip(taken.iter()) {
                    if bytes >= VALUES_BYTES_MAX {
                        break;
                    }
                    pace.step().await;
                    if *taken == Taken::Skipped {
                        locked.push(LockedKey { newest: None, skipped: true });
                        continue;
                    }
                    let version = self.newest_version(key, &mut versions)?;
                    newest = newest.max(version.timestamp);
                    bytes += version.value.as_ref().map_or(0, Bytes::len);
                    locked.push(LockedKey { newest: Some(version), skipped: false });
                }
            }
            if newest <= locked_at {
                let read_at = if asked { locked_at } else { 0 };
                return Ok(LockResult { keys: locked, locked_at, waited, read_at });
            }
            locked_at = if asked { self.ask_oracle().await? } else { time.fresh().await? };
        }
    }

    /// Remembers that locked keys are read at `locked_at`, and waits for what is under way on them at or below. What others
    /// have written provisionally meanwhile is skipped, or waited for, as the request wants it.
    async fn settle_locked(
        &self,
        keys: &[Bytes],
        taken: &mut [Taken],
        locked_at: u64,
        (policy, patience): (WaitPolicy, Option<Duration>),
        acquired: &mut Acquired<'_>,
        pace: &mut Pace,
    ) -> Result<(), Refusal> {
        let mut met = Met::default();
        for (key, taken) in keys.iter().zip(taken) {
            pace.step().await;
            if *taken == Taken::Skipped {
                continue;
            }
            let slot = Slot::of(key);
            self.serving.memory.raise_slot(slot, locked_at);
            // Mostly there is no commit under way, and no intent: looked for in this order.
            if self.serving.inflight.is_quiet(slot) && self.serving.intents.is_empty() {
                continue;
            }
            // One that has flushed the key has let go of its lock.
            if policy != WaitPolicy::Block && self.is_written(key, &mut met).await? {
                if policy == WaitPolicy::Nowait {
                    return Err(Refusal::LockNotAvailable { key: key.clone() });
                }
                acquired.give_back(key);
                *taken = Taken::Skipped;
                continue;
            }
            let settled = self.settle_key(slot, key, Look::Write);
            match patience {
                None => settled.await?,
                Some(patience) => env::clock::timeout(patience, settled)
                    .await
                    .map_err(|_| Refusal::LockNotAvailable { key: key.clone() })??,
            };
        }
        Ok(())
    }
}

impl Evaluation<'_> {
    /// A wait as the deadlock detector is told of it; without holders: its end.
    fn wait_request(&self, owner: Owner, wait_number: u64, holders: Vec<Bytes>) -> WaitRequest {
        WaitRequest {
            cluster_id: self.replica.context.cluster_id.clone(),
            waiter: Bytes::copy_from_slice(&owner.id),
            waiter_priority: owner.priority,
            wait_number,
            range_id: self.replica.cell.range_id(),
            term: self.serving.term,
            holders,
        }
    }

    /// Waits for another transaction, none of whose locks was asked for, as the deadlock detector is told.
    pub(super) async fn reported(
        &self,
        owner: Owner,
        holder: TxnId,
        wait: impl Future<Output = Result<(), Refusal>>,
    ) -> Result<(), Refusal> {
        let (mut wait, mut patience) = (pin!(wait), REPORT_AFTER);
        let mut withdrawn =
            Withdrawn { evaluation: self, owner, number: self.serving.locks.number_wait(), sent: false };
        loop {
            if let Ok(ended) = env::clock::timeout(patience, &mut wait).await {
                return ended;
            }
            patience = REPORT_AGAIN;
            self.serving.locks.heartbeat(&owner.id);
            withdrawn.sent = true;
            let request = self.wait_request(owner, withdrawn.number, vec![Bytes::copy_from_slice(&holder)]);
            let term = request.term;
            let answer = tokio::select! {
                biased;
                ended = &mut wait => return ended,
                answer = env::clock::timeout(patience, self.replica.context.detector.report(request)) => answer,
            };
            if let Ok(Some(answer)) = answer
                && *answer.victim == owner.id
                && (answer.range_id, answer.term) == (self.replica.cell.range_id(), term)
                && answer.wait_number == withdrawn.number
            {
                return Err(Refusal::Deadlock { cycle: answer.cycle });
            }
        }
    }

    /// Whether the transaction itself has flushed the key.
    fn has_flushed(&self, key: &Bytes) -> Result<bool, Refusal> {
        Ok(self.header.sees_intents && self.seen_intent(key, 0)?.is_some())
    }

    /// The newest version of a key that no other transaction has an intent on. What the transaction itself has flushed there
    /// is its value, of which nobody else knows.
    fn newest_version(&self, key: &Bytes, versions: &mut Newest<'_>) -> Result<Version, Refusal> {
        let flushed = self.seen_intent(key, 0)?;
        let version = versions.next(key)?.map_or_else(|| Ok(Version::default()), to_version)?;
        Ok(match flushed {
            Some((_, intent)) => Version { value: intent.value, ..version },
            None => version,
        })
    }
}

fn full() -> Refusal {
    Refusal::TooManyLocks { bytes_max: LOCKS_BYTES_MAX as u64 }
}

/// Locks that a request has got, given back if it fails, but for those that were before. What the transaction held before it keeps, and
/// so it does what a second sending of the request has got meanwhile.
struct Acquired<'a> {
    locks: &'a Arc<Locks>,
    owner: Owner,
    /// In the order of keys.
    keys: Vec<Got<'a>>,
    keep: bool,
}

/// A key that a request has got, as often as it stands there.
struct Got<'a> {
    key: &'a Bytes,
    /// Whether it was not given back since.
    is_held: bool,
}

impl<'a> Acquired<'a> {
    /// Notes what the request has got, behind all that it has.
    fn extend(&mut self, keys: impl IntoIterator<Item = &'a Bytes>) {
        self.keys.extend(keys.into_iter().map(|key| Got { key, is_held: true }));
    }

    /// Gives one of them back at once.
    fn give_back(&mut self, key: &Bytes) {
        let first = self.keys.partition_point(|got| got.key < key);
        let mut same = self.keys.iter_mut().skip(first).take_while(|got| got.key == key);
        if let Some(got) = same.find(|got| got.is_held) {
            got.is_held = false;
            self.locks.give_back(&self.owner.id, [got.key]);
        }
    }
}

impl Drop for Acquired<'_> {
    fn drop(&mut self) {
        if !self.keep {
            let held = self.keys.iter().filter(|got| got.is_held).map(|got| got.key);
            self.locks.give_back(&self.owner.id, held);
        }
    }
}

/// A wait that the deadlock detector is told of while it lasts, and when it ends.
struct Reported<'a> {
    evaluation: &'a Evaluation<'a>,
    owner: Owner,
    ticket: Ticket,
    sent: bool,
}

impl Reported<'_> {
    async fn wait(&mut self, until: Option<Instant>) -> Result<(), Option<WaitEnd>> {
        let mut report_at = env::clock::now() + REPORT_AFTER;
        loop {
            let wake = until.map_or(report_at, |until| until.min(report_at));
            let remaining = wake.saturating_duration_since(env::clock::now());
            if let Ok(ended) = env::clock::timeout(remaining, self.ticket.granted()).await {
                return ended.map_err(Some);
            }
            let now = env::clock::now();
            if until.is_some_and(|until| now >= until) {
                return self.ticket.give_up();
            }
            report_at = now + REPORT_AGAIN;
            // A request that waits is a sign of life: what its transaction holds does not expire meanwhile.
            self.evaluation.serving.locks.heartbeat(&self.owner.id);
            if self.report(until).await? {
                return Ok(());
            }
        }
    }

    /// Reports, and if that finds a deadlock sends its victim away, be it this transaction or another that waits here.
    /// Whether the lock was granted meanwhile.
    async fn report(&mut self, until: Option<Instant>) -> Result<bool, Option<WaitEnd>> {
        let holders = self.ticket.blockers();
        if holders.is_empty() {
            return Ok(false);
        }
        self.sent = true;
        let request = self.request(holders.iter().map(|holder| Bytes::copy_from_slice(holder)).collect());
        let detector = self.evaluation.replica.context.detector.clone();
        let patience = until.map_or(REPORT_AGAIN, |until| {
            until.saturating_duration_since(env::clock::now()).min(REPORT_AGAIN)
        });
        let answer = tokio::select! {
            biased;
            ended = self.ticket.granted() => return ended.map(|()| true).map_err(Some),
            answer = env::clock::timeout(patience, detector.report(request)) => answer,
        };
        // Where the victim waits elsewhere, its own next report ends its wait.
        if let Ok(Some(answer)) = answer
            && let Ok(victim) = answer.victim.as_ref().try_into()
            && answer.range_id == self.evaluation.replica.cell.range_id()
            && answer.term == self.evaluation.serving.term
        {
            let end = WaitEnd::Deadlock { cycle: answer.cycle };
            self.evaluation.serving.locks.end_wait(&victim, answer.wait_number, end);
        }
        Ok(false)
    }

    fn request(&self, holders: Vec<Bytes>) -> WaitRequest {
        self.evaluation.wait_request(self.owner, self.ticket.number(), holders)
    }
}

/// A wait of which the deadlock detector is told that it has ended.
struct Withdrawn<'a> {
    evaluation: &'a Evaluation<'a>,
    owner: Owner,
    number: u64,
    sent: bool,
}

impl Drop for Withdrawn<'_> {
    fn drop(&mut self) {
        if self.sent {
            let context = &self.evaluation.replica.context;
            let detector = context.detector.clone();
            let request = self.evaluation.wait_request(self.owner, self.number, Vec::new());
            context.tasks.spawn(async move { detector.report(request).await });
        }
    }
}

impl Drop for Reported<'_> {
    fn drop(&mut self) {
        if self.sent {
            let context = &self.evaluation.replica.context;
            let (detector, request) = (context.detector.clone(), self.request(Vec::new()));
            context.tasks.spawn(async move { detector.report(request).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_has_given_back_it_does_not_give_back_again() {
        let locks = Arc::new(Locks::default());
        let (owner, other) = (Owner { id: [1; 16], priority: 1 }, Owner { id: [2; 16], priority: 2 });
        let keys: Vec<Bytes> = ["a", "b", "b", "c"].map(|key| Bytes::from_static(key.as_bytes())).to_vec();
        let request = || {
            keys.iter().for_each(|key| {
                locks.request(owner, key, Strength::Exclusive);
            });
        };
        let is_held = |key: &Bytes| locks.request(other, key, Strength::Exclusive) == Requested::Blocked;
        // An earlier request of the transaction has got them all.
        request();
        for given_back in 0..keys.len() {
            request();
            let mut acquired = Acquired { locks: &locks, owner, keys: Vec::new(), keep: false };
            acquired.extend(&keys);
            keys.iter().take(given_back).for_each(|key| acquired.give_back(key));
            drop(acquired);
            assert!(keys.iter().all(is_held), "{given_back}");
        }
        let mut acquired = Acquired { locks: &locks, owner, keys: Vec::new(), keep: false };
        acquired.extend(&keys);
        acquired.give_back(&keys[1]);
        assert!(is_held(&keys[1]), "it was asked for twice");
        acquired.give_back(&keys[1]);
        assert!(!is_held(&keys[1]));
        acquired.give_back(&Bytes::from_static(b"d"));
        drop(acquired);
        assert!(!is_held(&keys[0]) && !is_held(&keys[3]));
    }
}
