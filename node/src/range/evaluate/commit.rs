//! Commit of a transaction whose writes and checks all lie in one range.
//!
//! The commit timestamp is one more than the largest of: the transaction's start, the timestamps its checks start
//! from, the newest versions of the keys it writes, and what those keys were read at. Were that larger than one more
//! than a timestamp the oracle has handed out, a transaction that begins after the answer could get a smaller
//! timestamp and not see the commit; then a fresh timestamp takes part in the comparison.
//!
//! One that has validated elsewhere what it has read commits at exactly the timestamp that it has validated at.
//!
//! A retry is recognised by its start timestamp, which every version carries, be it a deletion: it is answered with the commit timestamp
//! of the attempt that was applied, whether its checks would hold now or not.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use env::canary::{self, Canary};
use env::trace;
use proto::v1::{Check, Commit, CommitResult, Write};

use super::Evaluation;
use super::newest::{Known, Newest};
use super::pace::Pace;
use super::propose::{Latched, Proposer, taken_back, within};
use crate::range::admission::Admitted;
use crate::range::effect;
use crate::range::intents::{Look, Standing};
use crate::range::key_list::KeyList;
use crate::range::latches::{Footprint, LatchGuard};
use crate::range::locks::TxnId;
use crate::range::refusal::Refusal;
use crate::range::reservations::Reserved;
use crate::range::version;

/// The largest transaction: keys and values written.
pub(crate) const TRANSACTION_BYTES_MAX: u64 = 64 << 20;

/// The largest row: 8 MiB, and room for its encoding.
pub(crate) const VALUE_BYTES_MAX: u64 = (8 << 20) + (64 << 10);

impl Evaluation<'_> {
    /// Commits, or refuses because a check fails.
    pub(crate) async fn commit(&self, mut commit: Commit) -> Result<CommitResult, Refusal> {
        let arrived = env::clock::now();
        let owner = self.owner()?;
        self.admit(self.header.start_timestamp).await?;
        if commit.commit_at != 0 {
            self.admit(commit.commit_at).await?;
        }
        let bytes = self.check_writes(&mut commit)?;
        self.check_checks(&commit.checks)?;
        self.serving.locks.heartbeat(&owner.id);
        let (latch, admitted) = match self.enter(&commit, bytes).await {
            Ok(entered) => entered,
            Err(refusal) => return self.refuse_unless_applied(&commit, refusal).await,
        };
        let newest = self.newest(&commit).await?;
        // What has written nothing cannot have been applied, and may be asked again.
        if !commit.writes.is_empty()
            && let Some(commit_timestamp) = self.recognise(&commit, &newest)?
        {
            self.serving.locks.release_all(&owner.id);
            self.replica.context.metrics.commits_repeated.increment(1);
            return Ok(CommitResult { commit_timestamp });
        }
        self.check_newest_catalog()?;
        if !canary::sings(Canary::SkipValidation) {
            self.validate_commit(&commit, &newest).await?;
        }
        let known = self.known_timestamp(&commit, &newest);
        if commit.writes.is_empty() {
            return self.commit_reads(&commit, known, &owner.id).await;
        }
        self.check_disk(&commit, bytes, &newest)?;
        let proposer = Proposer::new(self, owner.id);
        let commit_timestamp = proposer.commit(commit, bytes, known, latch, admitted, self.deadline).await?;
        let metrics = &self.replica.context.metrics;
        metrics.commits.increment(1);
        metrics.commit_seconds.record(env::clock::now().duration_since(arrived).as_secs_f64());
        Ok(CommitResult { commit_timestamp })
    }

    /// A commit that is not let in may be the repetition of one that was, and is no conflict then: which it is shows once nobody
    /// is at work on its keys. Of those the first is enough, however many there are: who is refused for want of room costs little.
    async fn refuse_unless_applied(
        &self,
        commit: &Commit,
        refusal: Refusal,
    ) -> Result<CommitResult, Refusal> {
        let Some(first) = commit.writes.first() else { return Err(refusal) };
        let footprint = Footprint { writes: KeyList::ascending([first.key.clone()]), reads: Vec::new() };
        let _latch = self.serving.latches.acquire(footprint).await?;
        let applied = self.find_version(&first.key, self.header.start_timestamp)?;
        let applied = self.unless_forgotten(applied)?;
        applied.map(|commit_timestamp| CommitResult { commit_timestamp }).ok_or(refusal)
    }

    /// Sorts the writes and refuses what cannot be written; how many bytes they are in the log.
    pub(super) fn check_writes(&self, commit: &mut Commit) -> Result<u64, Refusal> {
        let mut total = 0u64;
        self.check_keys(commit.writes.iter().map(|write| &write.key))?;
        for write in &commit.writes {
            let bytes = write.value.as_ref().map_or(0, |value| value.len() as u64);
            if bytes > VALUE_BYTES_MAX {
                return Err(Refusal::TooLarge { what: "a row", bytes, bytes_max: VALUE_BYTES_MAX });
            }
            total += bytes + write.key.len() as u64;
        }
        if total > TRANSACTION_BYTES_MAX {
            let bytes_max = TRANSACTION_BYTES_MAX;
            return Err(Refusal::TooLarge { what: "a transaction's writes", bytes: total, bytes_max });
        }
        if !commit.writes.is_sorted_by(|a, b| a.key < b.key) {
            commit.writes.sort_by(|a, b| a.key.cmp(&b.key));
            if !commit.writes.is_sorted_by(|a, b| a.key < b.key) {
                return Err(Refusal::Invalid("a transaction writes a key twice".to_owned()));
            }
        }
        Ok(effect::bytes(&commit.writes) as u64)
    }

    /// Lets the commit in and latches what it touches, once no other transaction's intents stand there. Those are waited for
    /// while it holds neither, for what takes them away may need both.
    async fn enter(&self, commit: &Commit, bytes: u64) -> Result<(Latched, Admitted), Refusal> {
        loop {
            // Nothing is proposed yet.
            within(self.deadline, self.outlast_all(commit), taken_back).await??;
            let admitted = self.replica.context.admission.admit(bytes, self.deadline).await?;
            let latched = match self.reserved(commit) {
                Some(reserved) => Latched::Reserved(reserved),
                None => {
                    let latch = trace::within(trace::child("latches"), pin!(self.latch(commit))).await?;
                    Latched::Anew(latch)
                }
            };
            if self.in_the_way(commit, u64::MAX)?.is_none() {
                return Ok((latched, admitted));
            }
        }
    }

    async fn outlast_all(&self, commit: &Commit) -> Result<(), Refusal> {
        while let Some((standing, look)) = self.in_the_way(commit, u64::MAX)? {
            self.outlast(&standing, look).await?;
        }
        Ok(())
    }

    /// An intent of another transaction on what is written, or, if it may be committed at or below `at`, on what is relied
    /// on; and for what it is in the way.
    pub(super) fn in_the_way(
        &self,
        commit: &Commit,
        at: u64,
    ) -> Result<Option<(Arc<Standing>, Look)>, Refusal> {
        let (intents, own) = (&self.serving.intents, self.header.start_timestamp);
        if intents.is_empty() {
            return Ok(None);
        }
        for write in &commit.writes {
            if let Some(found) = intents.in_the_way(&write.key, Look::Write, own)? {
                return Ok(Some((found, Look::Write)));
            }
        }
        for check in &commit.checks {
            let look = Look::Check { since: check.since, at };
            let found = match check.end.is_empty() {
                true => intents.in_the_way(&check.start, look, own)?,
                false => intents.in_the_way_within(&check.start, &check.end, look, own)?,
            };
            if let Some(found) = found {
                return Ok(Some((found, look)));
            }
        }
        if self.header.catalog_version == 0 || !self.holds_catalog() {
            return Ok(None);
        }
        let look = Look::Check { since: 0, at };
        Ok(intents.in_the_way(self.serving.gate.key(), look, own)?.map(|found| (found, look)))
    }

    /// What is reserved for this commit, if that is all that it writes.
    pub(super) fn reserved(&self, commit: &Commit) -> Option<Reserved> {
        let owner = self.owner().ok().filter(|_| commit.commit_at != 0)?;
        let first = &commit.writes.first()?.key;
        let reserved = self.serving.reservations.take(owner.id, commit.commit_at, first)?;
        let is_reserved = |write: &Write| reserved.keys().binary_search(&write.key).is_ok();
        commit.writes.iter().all(is_reserved).then_some(reserved)
    }

    /// Latches what is written and what is relied on, the catalog version included.
    pub(super) async fn latch(&self, commit: &Commit) -> Result<LatchGuard, Refusal> {
        let writes = KeyList::ascending(commit.writes.iter().map(|write| write.key.clone()));
        let mut places = Places::of(&commit.writes);
        let mut reads: Vec<(Bytes, Bytes)> = Vec::new();
        for check in &commit.checks {
            if !check.end.is_empty() || places.find(&check.start).is_none() {
                reads.push((check.start.clone(), check.end.clone()));
            }
        }
        let catalog = self.serving.gate.key();
        if self.header.catalog_version != 0 && self.holds_catalog() && places.find(catalog).is_none() {
            reads.push((catalog.clone(), Bytes::new()));
        }
        Ok(self.serving.latches.acquire(Footprint { writes, reads }).await?)
    }

    /// What is known of the newest version of each key written.
    pub(super) async fn newest(&self, commit: &Commit) -> Result<Vec<Option<Known>>, Refusal> {
        let mut pace = Pace::new();
        let mut versions = Newest::of(self.db(), commit.writes.iter().map(|write| &write.key));
        let mut newest = Vec::with_capacity(commit.writes.len());
        for write in &commit.writes {
            pace.step().await;
            newest.push(versions.next_known(&write.key)?);
        }
        Ok(newest)
    }

    /// The commit timestamp of this very transaction, if an earlier attempt was applied.
    pub(super) fn recognise(
        &self,
        commit: &Commit,
        newest: &[Option<Known>],
    ) -> Result<Option<u64>, Refusal> {
        self.unless_forgotten(self.find_commit(commit, newest, self.header.start_timestamp)?)
    }

    /// What was found of this very transaction, or not. After it was looked for: the range may have forgotten transactions
    /// meanwhile.
    fn unless_forgotten(&self, found: Option<u64>) -> Result<Option<u64>, Refusal> {
        if self.header.start_timestamp <= self.replica.cell.state().forgotten {
            return Err(Refusal::Forgotten);
        }
        Ok(found)
    }

    fn find_commit(
        &self,
        commit: &Commit,
        newest: &[Option<Known>],
        start: u64,
    ) -> Result<Option<u64>, Refusal> {
        // One key is enough: a transaction's versions, deletions among them, come together.
        match (commit.writes.first(), newest.first()) {
            (Some(write), Some(Some(newest))) if newest.timestamp > start => {
                self.find_version(&write.key, start)
            }
            _ => Ok(None),
        }
    }

    /// When the transaction that began at `start` was committed, if it has a version of the key.
    pub(super) fn find_version(&self, key: &[u8], start: u64) -> Result<Option<u64>, Refusal> {
        let options = lsm::ScanOptions {
            since: Some(start),
            all_versions: true,
            tombstones: true,
            ..Default::default()
        };
        let next = keys::span::successor(key);
        for version in self.db().scan_at(super::read::bounds(key, &next), u64::MAX, options)? {
            let version = version?;
            if version::header(version.value.as_deref(), &version.note)?.start_timestamp == start {
                return Ok(Some(version.timestamp));
            }
        }
        Ok(None)
    }

    /// That everything the transaction relied on is unchanged; what is in flight is kept out by the latches.
    pub(super) async fn validate_commit(
        &self,
        commit: &Commit,
        newest: &[Option<Known>],
    ) -> Result<(), Refusal> {
        let mut pace = Pace::new();
        let mut places = Places::of(&commit.writes);
        let mut least: Option<u64> = None;
        for check in &commit.checks {
            pace.step().await;
            let written = if check.end.is_empty() { places.find(&check.start) } else { None };
            let Some(known) = written.and_then(|place| newest.get(place)) else {
                self.check_unchanged(check, u64::MAX)?;
                continue;
            };
            if let Some(newest) = known
                && newest.timestamp > check.since
            {
                self.check_safe_point(check.since)?;
                return Err(Refusal::Conflict { key: check.start.clone(), timestamp: newest.timestamp });
            }
            least = Some(least.map_or(check.since, |least| least.min(check.since)));
        }
        // What is known was read before.
        least.map_or(Ok(()), |least| self.check_safe_point(least))
    }

    /// What the commit must come after, as far as the request and the engine know.
    pub(super) fn known_timestamp(&self, commit: &Commit, newest: &[Option<Known>]) -> u64 {
        let since = commit.checks.iter().map(|check| check.since);
        let versions = newest.iter().flatten().map(|newest| newest.timestamp);
        since.chain(versions).max().unwrap_or(0).max(self.header.start_timestamp)
    }

    /// A transaction without writes here: its checks hold now.
    async fn commit_reads(&self, commit: &Commit, known: u64, txn: &TxnId) -> Result<CommitResult, Refusal> {
        let proposer = Proposer::new(self, *txn);
        let commit_timestamp = proposer.handed_out(known).await?;
        proposer.remember(&commit.checks, commit_timestamp);
        let reaches = |check: &Check, from: &[u8]| {
            if check.end.is_empty() { check.start.as_ref() >= from } else { check.end.as_ref() > from }
        };
        self.prove(|from| commit.checks.iter().any(|check| reaches(check, from))).await?;
        self.serving.locks.release_all(txn);
        Ok(CommitResult { commit_timestamp })
    }
}

/// Finds keys among what is written, in order: what is asked for in that order, too, costs no search.
struct Places<'a> {
    writes: &'a [Write],
    next: usize,
}

impl<'a> Places<'a> {
    fn of(writes: &'a [Write]) -> Self {
        Self { writes, next: 0 }
    }

    fn find(&mut self, key: &Bytes) -> Option<usize> {
        let place = match self.writes.get(self.next) {
            Some(write) if write.key == *key => self.next,
            _ => self.writes.binary_search_by(|write| write.key.cmp(key)).ok()?,
        };
        self.next = place + 1;
        Some(place)
    }
}
