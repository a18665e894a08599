//! Commit of a transaction whose writes and checks all lie in one range.
//!
//! The commit timestamp is one more than the largest of: the transaction's start, the timestamps its checks start
//! from, the newest versions of the keys it writes, and what those keys were read at. Were that larger than one more
//! than a timestamp the oracle has handed out, a transaction that begins after the answer could get a smaller
//! timestamp and not see the commit; then a fresh timestamp takes part in the comparison.
//!
//! A retry is recognised by its start timestamp, which every version carries: it is answered with the commit timestamp
//! of the attempt that was applied, whether its checks would hold now or not.

use std::sync::Arc;

use bytes::Bytes;
use env::canary::{self, Canary};
use env::task::JoinHandle;
use prost::Message;
use proto::v1::range_command::Kind;
use proto::v1::{Check, Commit, CommitCommand, CommitResult, RangeCommand};

use super::Evaluation;
use crate::range::apply::{APPLIED, STALE_EPOCH};
use crate::range::latches::{Footprint, LatchGuard};
use crate::range::locks::TxnId;
use crate::range::memory::Slot;
use crate::range::refusal::Refusal;
use crate::range::serving::{Proposal, ProposalGuard};
use crate::range::state::{FORMAT, transaction_key};
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
        self.check_writes(&mut commit)?;
        self.check_checks(&commit.checks)?;
        self.serving.locks.heartbeat(&owner.id);
        let latch = self.latch(&commit).await?;
        let newest = self.newest(&commit)?;
        if let Some(commit_timestamp) = self.recognise(&commit, &newest)? {
            self.serving.locks.release_all(&owner.id);
            self.replica.context.metrics.commits_repeated.increment(1);
            return Ok(CommitResult { commit_timestamp });
        }
        self.serving.gate.check_newest(self.header.catalog_version, self.db())?;
        if !canary::sings(Canary::SkipValidation) {
            self.validate_commit(&commit, &newest)?;
        }
        let known = self.known_timestamp(&commit, &newest);
        if commit.writes.is_empty() {
            return self.commit_reads(&commit, known, &owner.id).await;
        }
        self.replica.context.vitals.check_room()?;
        let standing = self.stand(&commit, latch, owner.id)?;
        let memory =
            commit.writes.iter().map(|write| self.serving.memory.newest(&write.key)).max().unwrap_or(0);
        let base = self.handed_out(known.max(memory)).await?;
        self.remember(&commit.checks, base);
        let commit_timestamp = base + 1;
        standing.mark.decide(commit_timestamp);
        let reply = self.propose(commit, commit_timestamp, standing.guard).await?;
        if reply != APPLIED {
            return Err(refused(&reply));
        }
        let metrics = &self.replica.context.metrics;
        metrics.commits.increment(1);
        metrics.commit_seconds.record(env::clock::now().duration_since(arrived).as_secs_f64());
        Ok(CommitResult { commit_timestamp })
    }

    /// Sorts the writes and refuses what cannot be written.
    fn check_writes(&self, commit: &mut Commit) -> Result<(), Refusal> {
        let mut total = 0u64;
        for write in &commit.writes {
            self.check_key(&write.key)?;
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
        Ok(())
    }

    /// Latches what is written and what is relied on, the catalog version included.
    async fn latch(&self, commit: &Commit) -> Result<LatchGuard, Refusal> {
        let writes: Vec<Bytes> = commit.writes.iter().map(|write| write.key.clone()).collect();
        let is_written = |key: &Bytes| writes.binary_search(key).is_ok();
        let mut reads: Vec<(Bytes, Bytes)> = Vec::with_capacity(commit.checks.len() + 1);
        for check in &commit.checks {
            if !check.end.is_empty() || !is_written(&check.start) {
                reads.push((check.start.clone(), check.end.clone()));
            }
        }
        let catalog = self.serving.gate.key();
        if self.header.catalog_version != 0 && !is_written(catalog) {
            reads.push((catalog.clone(), Bytes::new()));
        }
        Ok(self.serving.latches.acquire(Footprint { writes, reads }).await?)
    }

    /// The newest version of each key written.
    fn newest(&self, commit: &Commit) -> Result<Vec<Option<lsm::Versioned>>, Refusal> {
        commit.writes.iter().map(|write| Ok(self.db().get_at(&write.key, u64::MAX)?)).collect()
    }

    /// The commit timestamp of this very transaction, if an earlier attempt was applied.
    fn recognise(&self, commit: &Commit, newest: &[Option<lsm::Versioned>]) -> Result<Option<u64>, Refusal> {
        let start = self.header.start_timestamp;
        let later = newest.iter().flatten().any(|newest| newest.timestamp > start);
        let safe_point = self.replica.cell.state().safe_point;
        if start <= safe_point && safe_point > 0 {
            return Err(Refusal::Ambiguous(
                "the transaction is older than the history that is kept".to_owned(),
            ));
        }
        if !later {
            return Ok(None);
        }
        // One key is enough: a transaction's versions come together.
        let put = commit.writes.iter().position(|write| write.value.is_some());
        let Some((write, newest)) = put.and_then(|put| Some((commit.writes.get(put)?, newest.get(put)?)))
        else {
            let remembered = self.db().get(&transaction_key(self.replica.cell.range_id(), start))?;
            return Ok(remembered.and_then(|row| Some(u64::from_be_bytes(row.as_ref().try_into().ok()?))));
        };
        if newest.as_ref().is_none_or(|newest| newest.timestamp <= start) {
            return Ok(None);
        }
        let options = lsm::ScanOptions { since: Some(start), all_versions: true, ..Default::default() };
        let next = keys::span::successor(&write.key);
        for version in self.db().scan_at(super::read::bounds(&write.key, &next), u64::MAX, options)? {
            let version = version?;
            let Some(stored) = version.value else { continue };
            if version::decode(stored)?.0 == start {
                return Ok(Some(version.timestamp));
            }
        }
        Ok(None)
    }

    /// That everything the transaction relied on is unchanged; what is in flight is kept out by the latches.
    fn validate_commit(&self, commit: &Commit, newest: &[Option<lsm::Versioned>]) -> Result<(), Refusal> {
        for check in &commit.checks {
            let written = if check.end.is_empty() {
                commit.writes.binary_search_by(|write| write.key.cmp(&check.start)).ok()
            } else {
                None
            };
            let Some(known) = written.and_then(|place| newest.get(place)) else {
                self.check_unchanged(check, u64::MAX)?;
                continue;
            };
            self.check_safe_point(check.since)?;
            if let Some(newest) = known
                && newest.timestamp > check.since
            {
                return Err(Refusal::Conflict { key: check.start.clone(), timestamp: newest.timestamp });
            }
        }
        Ok(())
    }

    /// What the commit must come after, as far as the request and the engine know.
    fn known_timestamp(&self, commit: &Commit, newest: &[Option<lsm::Versioned>]) -> u64 {
        let since = commit.checks.iter().map(|check| check.since);
        let versions = newest.iter().flatten().map(|newest| newest.timestamp);
        since.chain(versions).max().unwrap_or(0).max(self.header.start_timestamp)
    }

    /// A timestamp that was handed out and is at least `timestamp`.
    async fn handed_out(&self, timestamp: u64) -> Result<u64, Refusal> {
        let time = &self.replica.context.time;
        if timestamp <= time.observed() {
            return Ok(timestamp);
        }
        let fresh = time.fresh().await?;
        if timestamp <= fresh {
            return Ok(fresh);
        }
        // A check from the future; no transaction that the oracle's time orders can have read there.
        Err(Refusal::Invalid("a check starts above every timestamp that was handed out".to_owned()))
    }

    /// What was checked counts as read at `at`.
    fn remember(&self, checks: &[Check], at: u64) {
        for check in checks {
            if check.end.is_empty() {
                self.serving.memory.raise_slot(Slot::of(&check.start), at);
            } else {
                self.serving.memory.raise_span(&check.start, &check.end, at);
            }
        }
        if self.header.catalog_version != 0 {
            self.serving.memory.raise_slot(Slot::of(self.serving.gate.key()), at);
        }
    }

    /// A transaction without writes here: its checks hold now.
    async fn commit_reads(&self, commit: &Commit, known: u64, txn: &TxnId) -> Result<CommitResult, Refusal> {
        let commit_timestamp = self.handed_out(known).await?;
        self.remember(&commit.checks, commit_timestamp);
        self.replica.prove_leadership(self.serving.term).await?;
        self.serving.locks.release_all(txn);
        Ok(CommitResult { commit_timestamp })
    }

    /// Marks the keys; from now on reads of them wait for the commit's timestamp.
    fn stand(&self, commit: &Commit, latch: LatchGuard, txn: TxnId) -> Result<Standing, Refusal> {
        let keys: Vec<Bytes> = commit.writes.iter().map(|write| write.key.clone()).collect();
        let changes_catalog = keys.binary_search(self.serving.gate.key()).is_ok();
        let mark = self.serving.inflight.enter(keys.iter());
        let proposal = Proposal { keys, mark: mark.clone(), _latch: latch, txn, changes_catalog };
        let guard = self.serving.stand(proposal)?;
        Ok(Standing { mark, guard })
    }

    /// Proposes the effect and waits until it is applied here. It goes on if the caller goes away.
    async fn propose(
        &self,
        commit: Commit,
        commit_timestamp: u64,
        guard: ProposalGuard,
    ) -> Result<Bytes, Refusal> {
        let term = self.serving.term;
        let command = RangeCommand {
            format: FORMAT,
            span_epoch: self.state.span_epoch,
            proposer_term: term,
            sequence: guard.sequence(),
            kind: Some(Kind::Commit(CommitCommand {
                commit_timestamp,
                start_timestamp: self.header.start_timestamp,
                txn_id: self.header.txn_id.clone(),
                writes: commit.writes,
            })),
        };
        let command = Bytes::from(command.encode_to_vec());
        let (group, serving) = (self.replica.group.clone(), self.serving.clone());
        let task = self.replica.context.tasks.spawn(async move {
            let sequence = guard.disarm();
            let proposed = group.propose_in(term, command).await;
            if let Err(crate::raft::ProposeError::NotLeader { .. }) = proposed {
                serving.abandon(sequence);
            }
            proposed
        });
        let outcome = match self.deadline {
            Some(deadline) => {
                let patience = deadline.saturating_duration_since(env::clock::now());
                let timeout =
                    |_| Refusal::Ambiguous("the deadline passed before the commit was applied".to_owned());
                env::clock::timeout(patience, joined(task)).await.map_err(timeout)?
            }
            None => joined(task).await,
        };
        Ok(outcome??.reply)
    }
}

/// A commit whose keys are marked.
struct Standing {
    mark: Arc<crate::range::inflight::Mark>,
    guard: ProposalGuard,
}

/// The task's output, where only its end can be lost.
async fn joined<T>(task: JoinHandle<T>) -> Result<T, Refusal> {
    task.await.map_err(|_| Refusal::Ambiguous("the node is stopping".to_owned()))
}

fn refused(reply: &[u8]) -> Refusal {
    if reply == STALE_EPOCH {
        Refusal::Retry("the range's span has changed; nothing was done".to_owned())
    } else {
        Refusal::Unavailable("the range could not read its own command; nothing was done".to_owned())
    }
}
