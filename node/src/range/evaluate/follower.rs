//! Reads by a replica that does not lead: at or below what its leader has closed (`range::closing`).
//!
//! ```text
//!   request ──▶ closed at `at`, and applied here? ──▶ the engine as it is now:  same span? kept from `at` on?
//!                                                                               no intent that may be committed at or below `at`?
//!   answer  ◀────────────────────────────────────────────────────────────────── versions
//! ```
//!
//! It remembers nothing and waits for nobody: where it cannot answer it says so ([`Refusal::NotClosed`]), and the leader can.
//!
//! # Invariants
//!
//! - What is closed is looked at before the engine is: what the promise speaks of is applied by then.
//! - All else is looked at in one snapshot of the engine: versions, intents, and the range's state, which says whose keys these are and
//!   since when on their history is kept. Whatever replaces or removes the replica replaces all three at one moment; so an answer is of one
//!   replica, whatever becomes of it meanwhile, and an intent that is resolved is seen as that or as the version.
//! - No intent comes at or below a closed timestamp. One on a key that is not answered for is in nobody's way.

use bytes::Bytes;
use env::canary::{Canary, sings};
use proto::v1::operation::Operation;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{self, Get, GetResult, Header, RangeState, Scan, ScanResult, Span, Version};

use super::pace::Pace;
use super::read::{Page, VALUES_BYTES_MAX, answered, bounds};
use super::refusal_below;
use super::seen::to_version;
use crate::range::erased;
use crate::range::intents::{has_room, is_in_the_way};
use crate::range::refusal::Refusal;
use crate::range::replica::Replica;
use crate::range::state::{contains, covers, descriptor, is_still, load_state_of};
use crate::range::version::KEY_BYTES_MAX;

/// Where more rows than this stand in the intents of what a scan answers for, its leader knows better what they are.
const INTENT_ROWS_MAX: usize = 16 << 10;

impl Replica {
    /// Answers what a replica that does not lead can.
    pub(crate) async fn read_closed(
        &self,
        header: &Header,
        operations: Vec<v1::Operation>,
        results: &mut Vec<v1::OperationResult>,
    ) -> Result<(), Refusal> {
        for operation in operations {
            let result = match operation.operation {
                Some(Operation::Get(get)) => Answer::Get(self.get_closed(header, get).await?),
                Some(Operation::Scan(scan)) => Answer::Scan(self.scan_closed(header, scan).await?),
                _ => return Err(self.not_closed()),
            };
            results.push(v1::OperationResult { result: Some(result) });
        }
        Ok(())
    }

    async fn get_closed(&self, header: &Header, get: Get) -> Result<GetResult, Refusal> {
        let held = self.held(header, get.at)?;
        let mut versions: Vec<Version> = Vec::with_capacity(get.keys.len());
        let mut bytes = 0;
        let mut pace = Pace::new();
        for key in &get.keys {
            if bytes >= VALUES_BYTES_MAX {
                break;
            }
            pace.step().await;
            if !held.state.span.as_ref().is_some_and(|span| contains(span, key)) {
                return Err(self.stale(&held.state));
            }
            if key.len() > KEY_BYTES_MAX || held.is_locked(key, get.at)? {
                return Err(self.not_closed());
            }
            let found = held.snapshot.get_at(key, get.at)?;
            let version = found.map_or_else(|| Ok(Version::default()), to_version)?;
            bytes += version.value.as_ref().map_or(0, Bytes::len);
            versions.push(version);
        }
        let told = get.keys.iter().take(versions.len());
        let readable = told.map(|key| erased::readable_of(&held.state, key)).max();
        check_readable(&held.state, get.at, readable.unwrap_or(held.state.safe_point))?;
        self.context.metrics.gets.increment(versions.len() as u64);
        Ok(GetResult { versions, read_at: 0 })
    }

    async fn scan_closed(&self, header: &Header, scan: Scan) -> Result<ScanResult, Refusal> {
        let held = self.held(header, scan.at)?;
        let span = scan.span.clone().unwrap_or_default();
        if !span.end.is_empty() && span.start > span.end {
            return Err(Refusal::Invalid("a span ends before it starts".to_owned()));
        }
        if !held.state.span.as_ref().is_some_and(|own| covers(own, &span.start, &span.end)) {
            return Err(self.stale(&held.state));
        }
        let readable = erased::readable_over(&held.state, &span.start, &span.end);
        check_readable(&held.state, scan.at, readable)?;
        let page = Page::new(&span, &scan);
        let versions = held.snapshot.scan_at(bounds(&span.start, &span.end), scan.at, page.options())?;
        let (result, _) = page.read(versions, None).await?;
        if held.is_locked_within(answered(&span, &result, scan.reverse), scan.at).await? {
            return Err(self.not_closed());
        }
        self.context.metrics.scans.increment(1);
        self.context.metrics.scan_rows.increment(result.rows.len() as u64);
        Ok(result)
    }

    /// What this replica holds, if it may answer such a request at `at`.
    fn held(&self, header: &Header, at: u64) -> Result<Held, Refusal> {
        let is_closed = at != 0 && at <= self.closed_timestamp(header.span_epoch);
        let snapshot = self.context.db.snapshot()?;
        let state = load_state_of(self.cell.range_id(), &snapshot)?;
        if state.span.is_none() || header.span_epoch != state.span_epoch || is_still(&state) {
            return Err(self.stale(&state));
        }
        // Its own intents only the leader shows to a transaction, and only it tells which schema is in force.
        let asks_the_leader = header.sees_intents || header.catalog_version != 0 && holds_catalog(&state);
        if asks_the_leader || !(is_closed || sings(Canary::FollowerReadsAhead) && at != 0) {
            return Err(self.not_closed());
        }
        Ok(Held { snapshot, state })
    }

    /// Up to when this replica may answer for the range with this span epoch; 0: it does not know.
    fn closed_timestamp(&self, span_epoch: u64) -> u64 {
        let closed = self.group.closed().filter(|closed| closed.span_epoch == span_epoch);
        closed.map_or(0, |closed| closed.timestamp)
    }

    fn not_closed(&self) -> Refusal {
        let closed = self.closed_timestamp(self.cell.state().span_epoch);
        Refusal::NotClosed { closed, leader: self.group.role().leader }
    }

    fn stale(&self, state: &RangeState) -> Refusal {
        let leader = self.group.role().leader.map_or(0, |leader| leader.store.node_id);
        Refusal::StaleRange(vec![descriptor(state, leader)])
    }
}

/// A replica as the engine has it at one moment.
struct Held {
    snapshot: lsm::Snapshot,
    state: RangeState,
}

impl Held {
    /// Whether an intent stands on a key that may be committed at or below `at`.
    fn is_locked(&self, key: &[u8], at: u64) -> Result<bool, Refusal> {
        // Under a key that is too long none was ever written.
        if !has_room(key) {
            return Ok(false);
        }
        let key = keys::range::intent(key);
        match self.snapshot.get(&key)? {
            Some(row) => Ok(is_in_the_way(&key, row, at)?),
            None => Ok(false),
        }
    }

    /// The same of all keys of a span; true as well if it holds too many rows to look at.
    async fn is_locked_within(&self, span: Span, at: u64) -> Result<bool, Refusal> {
        let rows = keys::range::intents(&keys::Span::new(span.start, span.end));
        let mut pace = Pace::new();
        for (count, row) in self.snapshot.scan(bounds(&rows.start, &rows.end), false)?.enumerate() {
            pace.step().await;
            let (key, row) = row?;
            if count >= INTENT_ROWS_MAX || is_in_the_way(&key, row, at)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// That what was read at `at` is kept from there on.
fn check_readable(state: &RangeState, at: u64, readable: u64) -> Result<(), Refusal> {
    if at >= readable { Ok(()) } else { Err(refusal_below(state, readable)) }
}

/// Whether the catalog version is kept in the range.
fn holds_catalog(state: &RangeState) -> bool {
    state.span.as_ref().is_some_and(|span| contains(span, &keys::sql::catalog_version_key()))
}
