//! Locking keys and reading their newest versions.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::clock::Instant;
use proto::v1::{Lock, LockResult, LockedKey, Strength, Version, WaitPolicy, WaitRequest};

use super::Evaluation;
use super::newest::Newest;
use super::pace::Pace;
use super::read::VALUES_BYTES_MAX;
use super::seen::to_version;
use crate::range::intents::Look;
use crate::range::locks::{Asked, LOCKS_BYTES_MAX, Locks, Owner, Requested, Ticket, TxnId, WaitEnd};
use crate::range::memory::Slot;
use crate::range::refusal::Refusal;

/// So many keys are settled before their versions are read.
const KEYS_AT_ONCE: usize = 512;

/// How long a wait lasts before the deadlock detector is told.
const REPORT_AFTER: Duration = Duration::from_millis(20);

/// How often it is told again.
const REPORT_AGAIN: Duration = Duration::from_secs(1);

/// What became of one key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Locked,
    Skipped,
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
        for key in &lock.keys {
            self.check_key(key)?;
        }
        let mut acquired = Acquired { locks: &self.serving.locks, owner, keys: Vec::new(), keep: false };
        let (mut taken, waited) = self.take(&lock, owner, &mut acquired).await?;
        let result = self.read_newest(&lock, &mut taken, waited).await?;
        // What was promised up to `locked_at` holds only if no other leader has begun meanwhile.
        self.prove(|from| lock.keys.iter().any(|key| key.as_ref() >= from)).await?;
        acquired.keep = true;
        Ok(result)
    }

    /// Takes the locks in the order of their keys, so that requests for the same keys do not deadlock.
    async fn take(
        &self,
        lock: &Lock,
        owner: Owner,
        acquired: &mut Acquired<'_>,
    ) -> Result<(Vec<Taken>, bool), Refusal> {
        let strength = Strength::try_from(lock.strength)
            .map_err(|_| Refusal::Invalid("unknown strength of a lock".to_owned()))?;
        let policy = WaitPolicy::try_from(lock.wait)
            .map_err(|_| Refusal::Invalid("unknown policy of waiting for a lock".to_owned()))?;
        let mut order: Vec<(usize, &Bytes)> = lock.keys.iter().enumerate().collect();
        order.sort_by_key(|(_, key)| *key);
        let mut taken = vec![Taken::Locked; lock.keys.len()];
        let mut waited = false;
        for (place, key) in order {
            let locks = &self.serving.locks;
            // A transaction that has left an intent may have lost its lock with another leader.
            let own = self.header.start_timestamp;
            let is_written = policy != WaitPolicy::Block
                && self.serving.intents.in_the_way(key, Look::Write, own)?.is_some();
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
            acquired.keys.push(key.clone());
        }
        Ok((taken, waited))
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
        let ended = reported.wait(until).await;
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
                self.settle_locked(keys, taken, locked_at, policy, patience, &mut pace).await?;
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
        policy: WaitPolicy,
        patience: Option<Duration>,
        pace: &mut Pace,
    ) -> Result<(), Refusal> {
        let own = self.header.start_timestamp;
        for (key, taken) in keys.iter().zip(taken) {
            pace.step().await;
            if *taken == Taken::Skipped {
                continue;
            }
            let slot = Slot::of(key);
            self.serving.memory.raise_slot(slot, locked_at);
            // One that has flushed the key has let go of its lock.
            match self.serving.intents.in_the_way(key, Look::Write, own)? {
                Some(_) if policy == WaitPolicy::Nowait => {
                    return Err(Refusal::LockNotAvailable { key: key.clone() });
                }
                Some(_) if policy == WaitPolicy::SkipLocked => {
                    self.serving.locks.give_back(&self.owner()?.id, std::slice::from_ref(key));
                    *taken = Taken::Skipped;
                    continue;
                }
                _ => {}
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

/// Locks that a request has got, given back if it fails. What the transaction held before it keeps, and so it does what a
/// second sending of the request has got meanwhile.
struct Acquired<'a> {
    locks: &'a Arc<Locks>,
    owner: Owner,
    keys: Vec<Bytes>,
    keep: bool,
}

impl Drop for Acquired<'_> {
    fn drop(&mut self) {
        if !self.keep {
            self.locks.give_back(&self.owner.id, &self.keys);
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
