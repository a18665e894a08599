//! What becomes of a transaction over several ranges: written down on its primary first, then done to its other keys.

use std::time::Duration;

use bytes::Bytes;
use lsm::WriteBatch;
use proto::v1::{Decide, DecideResult, IntentsCommand, Outcome, Resolve, ResolveResult, Span};

use super::Evaluation;
use super::pace::Pace;
use super::propose::{Latched, Proposer};
use crate::range::effect;
use crate::range::intents::{
    self, Change, Decided, Intent, decision_row, has_room, read_decision, rollback_row,
};
use crate::range::key_list::KeyList;
use crate::range::latches::{Footprint, LatchGuard};
use crate::range::locks::TxnId;
use crate::range::refusal::Refusal;
use crate::range::version::{Header, KEY_BYTES_MAX};

/// So many bytes of keys and values of a large transaction's intents are resolved by one entry of the log.
const RESOLVED_BYTES: usize = 256 << 10;

/// And so many intents.
const RESOLVED_KEYS: usize = 4096;

/// For so long one request resolves what lies in a span.
const RESOLVING_SPAN: Duration = Duration::from_secs(1);

/// What is done to intents of one transaction, under their latches.
struct Resolution {
    start: u64,
    /// 0: aborted.
    commit_timestamp: u64,
    batch: WriteBatch,
    changes: Vec<Change>,
    changes_catalog: bool,
}

impl Evaluation<'_> {
    /// Writes down what becomes of a transaction, unless that stands; what stands.
    pub(crate) async fn decide(&self, decide: Decide) -> Result<DecideResult, Refusal> {
        let Decide { primary, keys, start_timestamp: start, commit_timestamp, .. } = &decide;
        let txn = txn_id(&decide.txn_id)?;
        let commits = match (Outcome::try_from(decide.outcome), *commit_timestamp) {
            (Ok(Outcome::Committed), 1..) => true,
            (Ok(Outcome::Aborted), _) => false,
            _ => return Err(Refusal::Invalid("no outcome of a transaction".to_owned())),
        };
        if commits {
            self.admit_commit(*commit_timestamp).await?;
        }
        if commits && !decide.spans.is_empty() {
            // The latch of the primary alone: it may have been reserved.
            return self.decide_large(decide).await;
        }
        // Under a key that is too long no intent was ever written.
        let others = keys.iter().filter(|key| has_room(key));
        let mut touched: Vec<Bytes> = others.chain([primary]).cloned().collect();
        let latch = self.latch_all(&mut touched).await?;
        if let Some(stands) = self.outcome_on(primary, *start)? {
            // Whoever has decided may not have come to the others, and who asks counts on them.
            let resolution = self.resolution(&touched, *start, stands.commit_timestamp)?;
            if resolution.batch.is_empty() {
                self.prove(|from| reach(&touched, from)).await?;
            } else {
                self.settle_intents(resolution, txn, latch).await?;
            }
            return Ok(stands);
        }
        let intent = self.intent_of(primary, *start)?;
        let mut resolution =
            self.resolution(&touched, *start, if commits { *commit_timestamp } else { 0 })?;
        match (commits, intent) {
            (true, Some(intent)) if intent.minimum > *commit_timestamp => {
                return Err(Refusal::Invalid("it commits above that timestamp".to_owned()));
            }
            (true, Some(intent)) => {
                let others = intent.others.into_iter().filter(|key| touched.binary_search(key).is_err());
                let others: Vec<Bytes> = others.collect();
                if !others.is_empty() {
                    let row = decision_row(&txn, *commit_timestamp, others.clone(), Vec::new());
                    resolution.batch.put(&keys::range::decision(primary, *start), &row);
                    let decided = Decided::new(primary.clone(), txn, *commit_timestamp, others);
                    // Before its intent goes, for one of the two holds the safe point back.
                    resolution.changes.insert(0, Change::Decided(*start, decided));
                }
            }
            // Nobody knows that it is committed, for its intent was never there.
            (true, None) => return Err(Refusal::Invalid("no intent stands on the primary".to_owned())),
            (false, _) => {
                resolution.batch.put(&keys::range::rollback(primary, *start), &rollback_row());
            }
        }
        self.settle_intents(resolution, txn, latch).await?;
        if !commits && let Some(large) = self.serving.intents.large.get(*start) {
            large.decided(intents::Outcome::Aborted);
        }
        let outcome = if commits { Outcome::Committed } else { Outcome::Aborted };
        let commit_timestamp = if commits { *commit_timestamp } else { 0 };
        Ok(DecideResult { outcome: outcome.into(), commit_timestamp })
    }

    /// Commits a large transaction, unless something else stands or it was promised to commit later; what stands.
    async fn decide_large(&self, decide: Decide) -> Result<DecideResult, Refusal> {
        let Decide { primary, start_timestamp: start, commit_timestamp, spans, .. } = decide;
        let txn = txn_id(&decide.txn_id)?;
        self.check_key(&primary)?;
        check_room(&primary)?;
        let reserved = self.serving.reservations.take(txn, commit_timestamp, &primary);
        let latched = match reserved.filter(|reserved| *reserved.keys() == [primary.clone()]) {
            Some(reserved) => Latched::Reserved(reserved),
            None => Latched::Anew(self.latch_all(&mut vec![primary.clone()]).await?),
        };
        if let Some(stands) = self.outcome_on(&primary, start)? {
            self.prove(|from| primary.as_ref() >= from).await?;
            return Ok(stands);
        }
        let intent = self.intent_of(&primary, start)?.filter(|intent| intent.flush != 0);
        let Some(intent) = intent else {
            return Err(Refusal::Invalid("no flushed intent stands on the primary".to_owned()));
        };
        if intent.minimum > commit_timestamp {
            return Err(Refusal::Pushed(intent.minimum));
        }
        let mut resolution = Resolution::new(start, commit_timestamp);
        let row = decision_row(&txn, commit_timestamp, Vec::new(), spans.clone());
        resolution.batch.put(&keys::range::decision(&primary, start), &row);
        let decided = Decided::large(primary.clone(), txn, commit_timestamp, spans);
        resolution.changes.push(Change::Decided(start, decided));
        resolution.resolve(&primary, intent, self.serving.gate.key());
        let Resolution { batch, changes, changes_catalog, .. } = resolution;
        let command = IntentsCommand { start_timestamp: start, commit_timestamp, begins: false };
        let proposer = Proposer::new(self, txn);
        proposer.commit_large(&primary, command, batch, changes, changes_catalog, latched).await?;
        Ok(DecideResult { outcome: Outcome::Committed.into(), commit_timestamp })
    }

    /// Takes a commit's timestamp only if whoever begins from now on gets none below it.
    async fn admit_commit(&self, commit_timestamp: u64) -> Result<(), Refusal> {
        match commit_timestamp.saturating_sub(1) {
            0 => Err(Refusal::Invalid("nothing is committed so early".to_owned())),
            before => self.admit(before).await,
        }
    }

    /// What stands of a transaction on its primary, whose latch is held; nothing if its intent or nothing at all stands.
    pub(super) fn outcome_on(&self, primary: &Bytes, start: u64) -> Result<Option<DecideResult>, Refusal> {
        self.check_key(primary)?;
        let committed =
            |commit_timestamp| Some(DecideResult { outcome: Outcome::Committed.into(), commit_timestamp });
        let aborted = Some(DecideResult { outcome: Outcome::Aborted.into(), commit_timestamp: 0 });
        if let Some(row) = self.db().get(&keys::range::decision(primary, start))? {
            return Ok(committed(read_decision(row)?.1));
        }
        if let Some(commit_timestamp) = self.find_version(primary, start)? {
            return Ok(committed(commit_timestamp));
        }
        if self.db().get(&keys::range::rollback(primary, start))?.is_some() {
            return Ok(aborted);
        }
        if self.intent_of(primary, start)?.is_some() {
            return Ok(None);
        }
        // Had it been committed, its decision would have held the safe point back.
        Ok(if start <= self.replica.cell.state().forgotten { aborted } else { None })
    }

    /// Makes versions of the intents of a decided transaction, or takes them away.
    pub(crate) async fn resolve(&self, resolve: Resolve) -> Result<ResolveResult, Refusal> {
        let (txn, start) = (txn_id(&resolve.txn_id)?, resolve.start_timestamp);
        let commit_timestamp = match (Outcome::try_from(resolve.outcome), resolve.commit_timestamp) {
            (Ok(Outcome::Committed), timestamp @ 1..) => timestamp,
            (Ok(Outcome::Aborted), _) => 0,
            _ => return Err(Refusal::Invalid("no outcome of a transaction".to_owned())),
        };
        if commit_timestamp != 0 {
            self.admit_commit(commit_timestamp).await?;
        }
        let mut touched = resolve.keys;
        if let Some(span) = resolve.span {
            return self.resolve_span(txn, start, commit_timestamp, span).await;
        }
        touched.retain(|key| has_room(key));
        if !resolve.forget.is_empty() {
            touched.push(resolve.forget.clone());
        }
        let latch = self.latch_all(&mut touched).await?;
        let resolved: Vec<Bytes> = touched.iter().filter(|key| **key != resolve.forget).cloned().collect();
        let mut resolution = self.resolution(&resolved, start, commit_timestamp)?;
        if !resolve.forget.is_empty() {
            let row = keys::range::decision(&resolve.forget, start);
            if self.db().get(&row)?.is_some() {
                resolution.batch.delete(&row);
                resolution.changes.push(Change::Forgotten(start));
            }
        }
        if !resolution.changes.is_empty() && self.serving.intents.large.get(start).is_some() {
            resolution.changes.push(Change::Resolved(start));
        }
        if resolution.batch.is_empty() {
            // Done before: what is there now was read while this replica led.
            self.prove(|from| reach(&touched, from)).await?;
            self.serving.locks.release_all(&txn);
        } else {
            self.settle_intents(resolution, txn, latch).await?;
        }
        Ok(ResolveResult::default())
    }

    /// Resolves what a large transaction has flushed in a span, as far as that lies in this range, and for as long as others may
    /// be kept waiting for the answer; what is left.
    async fn resolve_span(
        &self,
        txn: TxnId,
        start: u64,
        commit_timestamp: u64,
        span: Span,
    ) -> Result<ResolveResult, Refusal> {
        let until = env::clock::now() + RESOLVING_SPAN;
        let range_end = &self.span()?.end;
        let is_whole = range_end.is_empty() || (!span.end.is_empty() && span.end <= *range_end);
        let end = if is_whole { span.end.clone() } else { range_end.clone() };
        self.check_span(&span.start, &end)?;
        self.check_key(&span.start)?;
        if let Some(large) = self.serving.intents.large.get(start) {
            // Who reads need not wait for what follows.
            large.decided(match commit_timestamp {
                0 => intents::Outcome::Aborted,
                timestamp => intents::Outcome::Committed(timestamp),
            });
        }
        let mut left = keys::Span { start: span.start, end };
        while let Some((mut keys, last)) = self.flushed_keys(&left, start).await? {
            let latch = self.latch_all(&mut keys).await?;
            let mut resolution = self.resolution(&keys, start, commit_timestamp)?;
            if !resolution.batch.is_empty() {
                resolution.changes = vec![Change::Resolved(start)];
                self.settle_intents(resolution, txn, latch).await?;
            }
            left.start = keys::span::successor(&last);
            if env::clock::now() >= until {
                return Ok(ResolveResult { resume: Some(Span { start: left.start, end: span.end }) });
            }
        }
        self.prove(|_| true).await?;
        self.serving.locks.release_all(&txn);
        self.forget_large(start).await?;
        let resume = (!is_whole).then(|| Span { start: left.end, end: span.end });
        Ok(ResolveResult { resume })
    }

    /// Some keys that the transaction has flushed on within a span, and the last that was looked at; None: there are no more.
    async fn flushed_keys(
        &self,
        span: &keys::Span,
        start: u64,
    ) -> Result<Option<(Vec<Bytes>, Bytes)>, Refusal> {
        let (mut keys, mut bytes, mut last) = (Vec::new(), 0, None);
        let mut pace = Pace::new();
        let mut rows = self.serving.intents.rows(span, false)?;
        while let Some((key, intent)) = rows.next().transpose()? {
            pace.step().await;
            if intent.start_timestamp == start {
                bytes += key.len() + intent.value.as_ref().map_or(0, Bytes::len);
                keys.push(key.clone());
            }
            last = Some(key);
            if bytes >= RESOLVED_BYTES || keys.len() >= RESOLVED_KEYS {
                break;
            }
        }
        Ok(last.map(|last| (keys, last)))
    }

    /// Forgets a decided large transaction once nothing that it has flushed is left in the range.
    pub(super) async fn forget_large(&self, start: u64) -> Result<(), Refusal> {
        let Some(large) = self.serving.intents.large.get(start) else { return Ok(()) };
        let (mut span, flushes) = large.keys();
        while let Some((keys, last)) = self.flushed_keys(&span, start).await? {
            if !keys.is_empty() {
                return Ok(());
            }
            span.start = keys::span::successor(&last);
        }
        self.serving.intents.large.done(start, flushes);
        Ok(())
    }

    async fn settle_intents(
        &self,
        resolution: Resolution,
        txn: TxnId,
        latch: LatchGuard,
    ) -> Result<(), Refusal> {
        let Resolution { start, commit_timestamp, batch, changes, changes_catalog } = resolution;
        let command = IntentsCommand { start_timestamp: start, commit_timestamp, begins: false };
        Proposer::new(self, txn).settle(command, batch, changes, changes_catalog, latch).await
    }

    /// What is done to the intents of a transaction on latched keys; `commit_timestamp` is 0 if it is aborted.
    fn resolution(&self, keys: &[Bytes], start: u64, commit_timestamp: u64) -> Result<Resolution, Refusal> {
        let mut resolution = Resolution::new(start, commit_timestamp);
        for key in keys {
            if let Some(intent) = self.intent_of(key, start)? {
                resolution.resolve(key, intent, self.serving.gate.key());
            }
        }
        Ok(resolution)
    }

    /// Latches keys of this range; sorts them.
    pub(super) async fn latch_all(&self, keys: &mut Vec<Bytes>) -> Result<LatchGuard, Refusal> {
        keys.sort_unstable();
        keys.dedup();
        for key in keys.iter() {
            self.check_key(key)?;
            check_room(key)?;
        }
        let footprint = Footprint { writes: KeyList::ascending(keys.iter().cloned()), reads: Vec::new() };
        Ok(self.serving.latches.acquire(footprint).await?)
    }

    /// The intent of that transaction on a key.
    pub(super) fn intent_of(&self, key: &[u8], start: u64) -> Result<Option<Intent>, Refusal> {
        if !self.serving.intents.stands(start) {
            return Ok(None);
        }
        Ok(self.serving.intents.row(key)?.filter(|intent| intent.start_timestamp == start))
    }
}

impl Resolution {
    fn new(start: u64, commit_timestamp: u64) -> Self {
        let (batch, changes) = (WriteBatch::new(), Vec::new());
        Self { start, commit_timestamp, batch, changes, changes_catalog: false }
    }

    fn resolve(&mut self, key: &Bytes, intent: Intent, catalog: &Bytes) {
        if self.commit_timestamp != 0 {
            let header = Header { start_timestamp: self.start, changes_key: intent.changes_key };
            effect::add_version(&mut self.batch, key, intent.value.as_ref(), header, self.commit_timestamp);
            self.changes_catalog |= key == catalog;
        }
        self.batch.delete(&keys::range::intent(key));
        self.changes.push(Change::Gone(key.clone(), self.start));
    }
}

/// That rows of intents can stand under a key.
pub(super) fn check_room(key: &[u8]) -> Result<(), Refusal> {
    if has_room(key) {
        return Ok(());
    }
    let (what, bytes) = ("a key of a transaction over several ranges", key.len() as u64);
    Err(Refusal::TooLarge { what, bytes, bytes_max: KEY_BYTES_MAX as u64 / 2 })
}

/// Whether one of the keys, ascending, is at or behind `from`.
pub(super) fn reach(keys: &[Bytes], from: &[u8]) -> bool {
    keys.last().is_some_and(|last| last.as_ref() >= from)
}

/// The id of a transaction that a request is about, not of.
pub(super) fn txn_id(id: &[u8]) -> Result<TxnId, Refusal> {
    id.try_into().map_err(|_| Refusal::Invalid("a transaction id has 16 bytes".to_owned()))
}
