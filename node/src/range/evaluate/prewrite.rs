//! Prewrite: the part of a transaction over several ranges that lies in this one becomes intents, all or none.
//!
//! What it relies on here must be unchanged, as at a commit; the least timestamp that it can be committed at is found as a
//! commit's is. A retry is recognised by its start timestamp, in the intents, in versions that were made of them, and in the
//! markers that bar it. What a large transaction flushes may come again in other company, where ranges were divided or united
//! meanwhile: of that each key is recognised by itself.
//!
//! It may meet the intents of another such transaction. Were both to wait they could wait for each other, for each may have
//! intents elsewhere. So the older one waits, and the younger one is refused.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::canary::{self, Canary};
use lsm::WriteBatch;
use proto::v1::{Commit, Prewrite, PrewriteResult};

use super::Evaluation;
use super::decide::check_room;
use super::newest::Known;
use super::propose::{Latched, Proposer};
use crate::range::admission::Admitted;
use crate::range::effect;
use crate::range::intents::{Change, Flushed, Intent, Look, Standing, intent_row};
use crate::range::locks::TxnId;
use crate::range::refusal::Refusal;

/// What the primary's intent may list: keys of the transaction in all.
const OTHERS_BYTES_MAX: u64 = 4 << 20;

/// For so long a younger transaction waits for the intent of an older one.
const YIELD_AFTER: Duration = Duration::from_millis(50);

impl Evaluation<'_> {
    /// Writes intents, or refuses because a check fails.
    pub(crate) async fn prewrite(&self, prewrite: Prewrite) -> Result<PrewriteResult, Refusal> {
        let owner = self.owner()?;
        let start = self.header.start_timestamp;
        self.admit(start).await?;
        let Prewrite { writes, checks, primary, others, commit_at, flush } = prewrite;
        if commit_at != 0 {
            self.admit(commit_at).await?;
        }
        let mut commit = Commit { checks, writes, commit_at, frees_space: false };
        let bytes = self.check_writes(&mut commit)?;
        self.check_checks(&commit.checks)?;
        check_others(&others)?;
        // All of them, for whoever settles the transaction writes markers under those that are missing.
        let named = commit.writes.iter().map(|write| &write.key).chain(&others).chain([&primary]);
        named.into_iter().try_for_each(|key| check_room(key))?;
        if commit.writes.is_empty() || primary.is_empty() {
            return Err(Refusal::Invalid("a prewrite has a primary and writes something".to_owned()));
        }
        self.serving.locks.heartbeat(&owner.id);
        let (latch, admitted) = self.enter_prewrite(&commit, bytes).await?;
        let before = if flush == 0 { BTreeMap::new() } else { self.flushed_before(&commit)? };
        self.check_barred(&commit, &primary, flush)?;
        let recognised = match flush {
            0 => self.recognise_prewrite(&commit)?,
            _ => take_flushed(&mut commit, flush, &before),
        };
        if let Some(minimum) = recognised.filter(|_| flush == 0 || commit.writes.is_empty()) {
            return Ok(PrewriteResult { commit_timestamp_min: minimum });
        }
        let newest = self.newest(&commit).await?;
        if let Some(commit_timestamp) = self.recognise(&commit, &newest)? {
            return Ok(PrewriteResult { commit_timestamp_min: commit_timestamp });
        }
        self.check_prewrite(&commit, bytes, &newest).await?;
        let known = self.known_timestamp(&commit, &newest);
        let proposer = Proposer::new(self, owner.id);
        let minimum = if flush == 0 {
            let rows = |minimum| intents(&commit, owner.id, start, minimum, &primary, others);
            proposer.prewrite(&commit, known, latch, admitted, rows).await?
        } else {
            let rows = |minimum| flushed(&commit, owner.id, start, minimum, &primary, flush, &before);
            let minimum = proposer.prewrite(&commit, known, latch, admitted, rows).await?;
            // From now on the intents keep others away, and take no memory.
            let keys: Vec<Bytes> = commit.writes.iter().map(|write| write.key.clone()).collect();
            self.serving.locks.release(&owner.id, &keys);
            recognised.map_or(minimum, |recognised| recognised.max(minimum))
        };
        self.replica.context.metrics.prewrites.increment(1);
        Ok(PrewriteResult { commit_timestamp_min: minimum })
    }

    async fn check_prewrite(
        &self,
        commit: &Commit,
        bytes: u64,
        newest: &[Option<Known>],
    ) -> Result<(), Refusal> {
        // What has validated has had the schema checked along with it.
        if commit.commit_at == 0 {
            self.check_newest_catalog()?;
        }
        if !canary::sings(Canary::SkipValidation) {
            self.validate_commit(commit, newest).await?;
        }
        self.check_disk(commit, bytes, newest)
    }

    /// Lets the prewrite in and latches what it touches, once no other transaction's intents stand there.
    async fn enter_prewrite(&self, commit: &Commit, bytes: u64) -> Result<(Latched, Admitted), Refusal> {
        let relied_on_until = if commit.commit_at == 0 { u64::MAX } else { commit.commit_at };
        loop {
            while let Some((standing, look)) = self.in_the_way(commit, relied_on_until)? {
                self.yield_to(&standing, look).await?;
            }
            let admitted = self.replica.context.admission.admit(bytes, self.deadline).await?;
            let latched = match self.reserved(commit) {
                Some(reserved) => Latched::Reserved(reserved),
                None => Latched::Anew(self.latch(commit).await?),
            };
            if self.in_the_way(commit, relied_on_until)?.is_none() {
                return Ok((latched, admitted));
            }
        }
    }

    async fn yield_to(&self, standing: &Arc<Standing>, look: Look) -> Result<(), Refusal> {
        if self.header.start_timestamp < standing.start_timestamp {
            return self.outlast(standing, look).await;
        }
        match env::clock::timeout(YIELD_AFTER, self.outlast(standing, look)).await {
            Ok(outlasted) => outlasted,
            Err(_) => Err(Refusal::Conflict { key: standing.key.clone(), timestamp: standing.minimum }),
        }
    }

    /// An error if somebody has taken the transaction for dead and barred it.
    fn check_barred(&self, commit: &Commit, primary: &Bytes, flush: u64) -> Result<(), Refusal> {
        let start = self.header.start_timestamp;
        // Who bars a large transaction does so on its primary.
        let may_be_barred = |write: &&proto::v1::Write| flush == 0 || write.key == *primary;
        for write in commit.writes.iter().filter(may_be_barred) {
            if self.db().get(&keys::range::rollback(&write.key, start))?.is_some() {
                return Err(Refusal::Aborted);
            }
        }
        Ok(())
    }

    /// The minimum of the intents that an earlier sending of the same writes has left. All or none of them stand.
    fn recognise_prewrite(&self, commit: &Commit) -> Result<Option<u64>, Refusal> {
        let start = self.header.start_timestamp;
        let Some(first) = commit.writes.first() else { return Ok(None) };
        let standing = self.serving.intents.on(&first.key)?;
        Ok(standing.filter(|standing| standing.start_timestamp == start).map(|standing| standing.minimum))
    }

    /// The intents that the transaction has flushed on these keys before.
    fn flushed_before(&self, commit: &Commit) -> Result<BTreeMap<Bytes, Intent>, Refusal> {
        let start = self.header.start_timestamp;
        let mut before = BTreeMap::new();
        let Some(large) = self.serving.intents.large.get(start) else { return Ok(before) };
        let (keys, _) = large.keys();
        for write in commit.writes.iter().filter(|write| keys.contains(&write.key)) {
            if let Some(intent) = self.serving.intents.row(&write.key)?
                && intent.start_timestamp == start
            {
                before.insert(write.key.clone(), intent);
            }
        }
        Ok(before)
    }
}

/// Takes out what an earlier sending of the same flush has written; the largest of its minimums, if there is any.
fn take_flushed(commit: &mut Commit, flush: u64, before: &BTreeMap<Bytes, Intent>) -> Option<u64> {
    let mut minimum = None;
    commit.writes.retain(|write| {
        let earlier = before.get(&write.key).filter(|intent| intent.flush >= flush);
        minimum = minimum.max(earlier.map(|intent| intent.minimum));
        earlier.is_none()
    });
    minimum
}

fn check_others(others: &[Bytes]) -> Result<(), Refusal> {
    let bytes: u64 = others.iter().map(|key| key.len() as u64 + 4).sum();
    if bytes > OTHERS_BYTES_MAX {
        let (what, bytes_max) = ("the keys of a transaction over several ranges", OTHERS_BYTES_MAX);
        return Err(Refusal::TooLarge { what, bytes, bytes_max });
    }
    Ok(())
}

fn intents(
    commit: &Commit,
    txn: TxnId,
    start_timestamp: u64,
    minimum: u64,
    primary: &Bytes,
    others: Vec<Bytes>,
) -> (WriteBatch, Vec<Change>) {
    let mut batch = WriteBatch::new();
    let mut changes = Vec::with_capacity(commit.writes.len());
    for write in &commit.writes {
        let others = if write.key == *primary { others.clone() } else { Vec::new() };
        let intent = Intent {
            txn,
            start_timestamp,
            minimum,
            primary: primary.clone(),
            others: others.clone(),
            value: write.value.clone(),
            changes_key: effect::changes_key(write),
            flush: 0,
        };
        batch.put(&keys::range::intent(&write.key), &intent_row(intent));
        // What is kept must not keep alive the whole message that it came in.
        let own = Bytes::copy_from_slice;
        changes.push(Change::Intent(Standing::new(
            own(&write.key),
            txn,
            start_timestamp,
            minimum,
            own(primary),
            others.iter().map(|key| own(key)).collect(),
        )));
    }
    (batch, changes)
}

/// What a large transaction has flushed.
fn flushed(
    commit: &Commit,
    txn: TxnId,
    start_timestamp: u64,
    minimum: u64,
    primary: &Bytes,
    flush: u64,
    before: &BTreeMap<Bytes, Intent>,
) -> (WriteBatch, Vec<Change>) {
    let mut batch = WriteBatch::new();
    for write in &commit.writes {
        let earlier = before.get(&write.key);
        let intent = Intent {
            txn,
            start_timestamp,
            minimum: earlier.map_or(minimum, |earlier| earlier.minimum.max(minimum)),
            primary: primary.clone(),
            others: Vec::new(),
            value: write.value.clone(),
            // What an earlier write has changed stays changed.
            changes_key: effect::changes_key(write) || earlier.is_some_and(|earlier| earlier.changes_key),
            flush,
        };
        batch.put(&keys::range::intent(&write.key), &intent_row(intent));
    }
    let end = |write: Option<&proto::v1::Write>| write.map(|write| write.key.clone()).unwrap_or_default();
    let start = Bytes::copy_from_slice(&end(commit.writes.first()));
    let keys = keys::Span { start, end: keys::span::successor(&end(commit.writes.last())) };
    let primary = Bytes::copy_from_slice(primary);
    let flushed = Flushed { txn, start_timestamp, primary, keys, minimum };
    (batch, vec![Change::Flushed(flushed)])
}
