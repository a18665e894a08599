//! Evaluation of operations on the range's leader, within one term.

mod asked;
mod changes;
mod commit;
mod decide;
mod disk;
mod erase;
mod export;
mod follower;
mod ingest;
mod lock;
mod measure;
mod newest;
mod pace;
mod prewrite;
mod propose;
mod read;
mod reclaim;
mod recover;
mod seen;
mod settle;
mod validate;
mod versions;

pub(crate) use read::bounds;

use std::sync::Arc;

use bytes::Bytes;
use env::canary::{Canary, sings};
use env::clock::Instant;
use proto::v1::{Check, Header, HeartbeatResult, RangeState, Release, ReleaseResult, Span};

use super::erased;
use super::locks::{Owner, TxnId};
use super::refusal::Refusal;
use super::replica::Replica;
use super::serving::Serving;
use super::state::{contains, covers, descriptor};
use super::version::KEY_BYTES_MAX;

/// A request being evaluated.
pub(crate) struct Evaluation<'a> {
    /// Where.
    pub(crate) replica: &'a Replica,
    /// In which term.
    pub(crate) serving: Arc<Serving>,
    /// Under which state of the range.
    pub(crate) state: Arc<RangeState>,
    /// For whom.
    pub(crate) header: Header,
    /// When the client stops waiting.
    pub(crate) deadline: Option<Instant>,
}

impl Evaluation<'_> {
    /// The transaction of the request.
    fn owner(&self) -> Result<Owner, Refusal> {
        let id = self.header.txn_id.as_ref().try_into();
        let id = id.map_err(|_| Refusal::Invalid("a transaction id has 16 bytes".to_owned()))?;
        // A transaction that has no timestamp yet is about as young as the newest that is known here.
        let known = [self.header.txn_priority, self.header.start_timestamp];
        let priority = known.into_iter().find(|known| *known != 0);
        let priority = priority.unwrap_or_else(|| self.replica.context.time.observed());
        Ok(Owner { id, priority })
    }

    /// Gives up locks.
    pub(crate) fn release(&self, release: &Release) -> Result<ReleaseResult, Refusal> {
        let owner = self.owner()?;
        if release.keys.is_empty() {
            self.serving.locks.release_all(&owner.id);
        } else {
            self.serving.locks.release(&owner.id, &release.keys);
        }
        Ok(ReleaseResult {})
    }

    /// Keeps locks alive.
    pub(crate) fn heartbeat(&self, heartbeat: proto::v1::Heartbeat) -> HeartbeatResult {
        let unknown = heartbeat.txn_ids.into_iter().filter(|txn| {
            let id = TxnId::try_from(txn.as_ref());
            !id.is_ok_and(|id| self.serving.locks.heartbeat(&id) | self.serving.intents.heartbeat(&id))
        });
        HeartbeatResult { unknown: unknown.collect() }
    }

    fn db(&self) -> &lsm::Db {
        &self.replica.context.db
    }

    fn span(&self) -> Result<&Span, Refusal> {
        let starting = || Refusal::Unavailable("the range is not initialised".to_owned());
        self.state.span.as_ref().ok_or_else(starting)
    }

    /// Whether the catalog version is kept in this range. Where it is not, whoever plans has it checked where it is.
    fn holds_catalog(&self) -> bool {
        self.state.span.as_ref().is_some_and(|span| contains(span, self.serving.gate.key()))
    }

    /// That the request was planned under the newest schema, as far as this range knows.
    fn check_newest_catalog(&self) -> Result<(), Refusal> {
        if self.holds_catalog() {
            self.serving.gate.check_newest(self.header.catalog_version, self.db())?;
        }
        Ok(())
    }

    fn check_key(&self, key: &[u8]) -> Result<(), Refusal> {
        if key.len() > KEY_BYTES_MAX {
            let bytes = key.len() as u64;
            return Err(Refusal::TooLarge { what: "a key", bytes, bytes_max: KEY_BYTES_MAX as u64 });
        }
        if !contains(self.span()?, key) {
            return Err(self.stale_range());
        }
        self.check_kept(|from| key >= from)
    }

    /// The same of many keys. Of those that ascend the first and the last tell where they lie.
    fn check_keys<'k>(
        &self,
        mut keys: impl DoubleEndedIterator<Item = &'k Bytes> + Clone,
    ) -> Result<(), Refusal> {
        if !keys.clone().is_sorted() {
            return keys.try_for_each(|key| self.check_key(key));
        }
        let longest = keys.clone().max_by_key(|key| key.len());
        let ends = [longest, keys.clone().next(), keys.next_back()];
        ends.into_iter().flatten().try_for_each(|key| self.check_key(key))
    }

    fn check_span(&self, start: &[u8], end: &[u8]) -> Result<(), Refusal> {
        if !end.is_empty() && start > end {
            return Err(Refusal::Invalid("a span ends before it starts".to_owned()));
        }
        if !covers(self.span()?, start, end) {
            return Err(self.stale_range());
        }
        self.check_kept(|from| end.is_empty() || end > from)
    }

    /// That what `reaches` speaks of is not being given away to a new range.
    fn check_kept(&self, reaches: impl FnOnce(&[u8]) -> bool) -> Result<(), Refusal> {
        if self.serving.gives_away(reaches) && !sings(Canary::ServesGivenAway) {
            return Err(Refusal::Retry("the range is being divided".to_owned()));
        }
        Ok(())
    }

    fn stale_range(&self) -> Refusal {
        let leader = self.replica.group.role().leader.map_or(0, |leader| leader.store.node_id);
        Refusal::StaleRange(vec![descriptor(&self.replica.cell.state(), leader)])
    }

    /// Takes a request's timestamp only if the oracle has handed it out.
    async fn admit(&self, at: u64) -> Result<(), Refusal> {
        if at == 0 {
            return Err(Refusal::Invalid("a timestamp is missing".to_owned()));
        }
        let time = &self.replica.context.time;
        if at <= time.observed() {
            Ok(())
        } else if self.header.chosen_timestamp {
            time.admit_chosen(at).await
        } else {
            time.admit(at).await
        }
    }

    fn check_safe_point(&self, at: u64) -> Result<(), Refusal> {
        self.check_readable(at, erased::dropped)
    }

    /// That what was read at `at` is readable there still; `from` says from when on it is.
    fn check_readable(&self, at: u64, from: impl FnOnce(&RangeState) -> u64) -> Result<(), Refusal> {
        // Read anew, after what was read: the safe point may have moved since the request came, and compaction with it. Where
        // the span is another by now, others decide what is kept of the rest.
        let state = self.replica.cell.state();
        if state.span_epoch != self.state.span_epoch && !sings(Canary::AskedUnproven) {
            return Err(self.stale_range());
        }
        let safe_point = from(state.as_ref());
        if at >= safe_point || sings(Canary::SkipSafePoint) {
            return Ok(());
        }
        Err(refusal_below(&state, safe_point))
    }

    /// That nothing in the check's span was committed after its `since`, as far as it is applied here, and up to `at`.
    fn check_unchanged(&self, check: &Check, at: u64) -> Result<(), Refusal> {
        if check.end.is_empty() {
            let newest = self.db().get_at(&check.start, at)?;
            self.check_safe_point(check.since)?;
            return match newest {
                Some(newest) if newest.timestamp > check.since => {
                    Err(Refusal::Conflict { key: check.start.clone(), timestamp: newest.timestamp })
                }
                _ => Ok(()),
            };
        }
        let options = lsm::ScanOptions { since: Some(check.since), tombstones: true, ..Default::default() };
        let range = read::bounds(&check.start, &check.end);
        let changed = self.db().scan_at(range, at, options)?.next();
        self.check_safe_point(check.since)?;
        match changed {
            Some(changed) => {
                let changed = changed?;
                Err(Refusal::Conflict { key: changed.key, timestamp: changed.timestamp })
            }
            None => Ok(()),
        }
    }

    fn check_checks(&self, checks: &[Check]) -> Result<(), Refusal> {
        for check in checks {
            if check.end.is_empty() {
                self.check_key(&check.start)?;
            } else {
                self.check_span(&check.start, &check.end)?;
            }
        }
        Ok(())
    }
}

/// Why what was before a timestamp cannot be read.
fn refusal_below(state: &RangeState, readable: u64) -> Refusal {
    if erased::is_why(state, readable) {
        Refusal::Erased(readable)
    } else {
        Refusal::BelowSafePoint(readable)
    }
}

/// Whether a check is about a key at or behind `from`.
fn reaches(check: &Check, from: &[u8]) -> bool {
    if check.end.is_empty() { check.start.as_ref() >= from } else { check.end.as_ref() > from }
}
