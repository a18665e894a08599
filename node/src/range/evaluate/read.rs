//! Reads at a timestamp.

use std::ops::Bound;

use env::canary::{self, Canary};
use proto::v1::{Get, GetResult, KeyValue, Scan, ScanResult, Span, Version};

use super::Evaluation;
use super::asked::ReadAt;
use super::pace::Pace;
use super::seen::{Seen, next};
use crate::range::intents::Look;
use crate::range::memory::Slot;
use crate::range::refusal::Refusal;

/// How many bytes of values one request for keys is answered with, its last value apart.
pub(crate) const VALUES_BYTES_MAX: usize = 8 << 20;

/// How many entries, deletions included, a scan looks at before it lets its client ask for the rest.
const SCAN_ENTRIES_MAX: u64 = 100_000;

/// How many bytes of rows a scan returns that names no bound.
const SCAN_BYTES_DEFAULT: u64 = 1 << 20;

/// How many bytes of rows a scan returns at most, its last row apart.
const SCAN_BYTES_MAX: u64 = 8 << 20;

impl Evaluation<'_> {
    /// The values of keys at a timestamp.
    pub(crate) async fn get(&self, get: Get) -> Result<GetResult, Refusal> {
        let read = self.read_at(get.at).await?;
        let mut unproven = self.is_late(read) | self.check_catalog(read.at).await?;
        let mut versions: Vec<Version> = Vec::with_capacity(get.keys.len());
        let mut bytes = 0;
        let mut pace = Pace::new();
        for key in &get.keys {
            if bytes >= VALUES_BYTES_MAX {
                break;
            }
            pace.step().await;
            self.check_key(key)?;
            let slot = Slot::of(key);
            self.remember_key(slot, read);
            unproven |= self.settle_key(slot, key, Look::Read(read.at)).await?;
            let version = self.version_at(key, read.at)?;
            bytes += version.value.as_ref().map_or(0, bytes::Bytes::len);
            versions.push(version);
        }
        self.check_safe_point(read.at)?;
        if unproven {
            self.prove(|from| get.keys.iter().any(|key| key.as_ref() >= from)).await?;
        }
        Ok(GetResult { versions, read_at: read.answered() })
    }

    /// Whether a timestamp may have been handed out after the request had arrived: the oracle is asked by the leader, or to
    /// find that what somebody has chosen is not ahead of it.
    fn is_late(&self, read: ReadAt) -> bool {
        read.asked || self.header.chosen_timestamp
    }

    /// The rows of a span at a timestamp.
    pub(crate) async fn scan(&self, scan: Scan) -> Result<ScanResult, Refusal> {
        let span = scan.span.unwrap_or_default();
        self.check_span(&span.start, &span.end)?;
        let read = self.read_at(scan.at).await?;
        let mut unproven = self.is_late(read) | self.check_catalog(read.at).await?;
        if !(read.asked && canary::sings(Canary::AskedUnremembered)) {
            self.serving.memory.raise_span(&span.start, &span.end, read.at);
        }
        unproven |= self.settle_span(&span.start, &span.end, Look::Read(read.at), None).await?;
        let rows_max = if scan.rows_max == 0 { u64::MAX } else { scan.rows_max };
        let bytes_max =
            if scan.bytes_max == 0 { SCAN_BYTES_DEFAULT } else { scan.bytes_max.min(SCAN_BYTES_MAX) };
        let mut result = self.rows(&span, read.at, scan.reverse, rows_max, bytes_max).await?;
        self.check_safe_point(read.at)?;
        if unproven {
            self.prove(|from| span.end.is_empty() || span.end.as_ref() > from).await?;
        }
        result.read_at = read.answered();
        self.replica.context.metrics.scan_rows.increment(result.rows.len() as u64);
        Ok(result)
    }

    async fn rows(
        &self,
        span: &Span,
        at: u64,
        reverse: bool,
        rows_max: u64,
        bytes_max: u64,
    ) -> Result<ScanResult, Refusal> {
        // Before the versions: one that is resolved meanwhile is seen twice, not never.
        let mut intents = self.seen_intents(span, at, reverse)?;
        // Deletions count: a span of nothing else must end somewhere too.
        let options = lsm::ScanOptions { reverse, tombstones: true, ..Default::default() };
        let versions = self.db().scan_at(bounds(&span.start, &span.end), at, options)?;
        let mut versions =
            versions.map(|entry| entry.map_err(Refusal::from).and_then(Seen::version)).peekable();
        let mut rows: Vec<KeyValue> = Vec::new();
        let mut read = 0u64;
        let mut pace = Pace::new();
        for seen in 0u64.. {
            let Some(entry) = next(&mut versions, &mut intents, reverse)? else { break };
            if seen >= SCAN_ENTRIES_MAX {
                let resume = if reverse {
                    Span { start: span.start.clone(), end: keys::span::successor(&entry.key) }
                } else {
                    Span { start: bytes::Bytes::copy_from_slice(&entry.key), end: span.end.clone() }
                };
                return Ok(ScanResult { rows, resume: Some(resume), read_at: 0 });
            }
            pace.step().await;
            let Some(value) = entry.value else { continue };
            if rows.len() as u64 >= rows_max || read >= bytes_max {
                let resume = rows.last().map(|last| rest(span, &last.key, reverse));
                return Ok(ScanResult { rows, resume, read_at: 0 });
            }
            read += (entry.key.len() + value.len()) as u64;
            rows.push(KeyValue { key: entry.key, value, timestamp: entry.timestamp });
        }
        Ok(ScanResult { rows, resume: None, read_at: 0 })
    }

    /// That the request was planned under the schema in force at `at`; whether that took a wait.
    pub(super) async fn check_catalog(&self, at: u64) -> Result<bool, Refusal> {
        let planned = self.header.catalog_version;
        if planned == 0 || !self.holds_catalog() {
            return Ok(false);
        }
        let gate = &self.serving.gate;
        self.serving.memory.raise_slot(gate.slot(), at);
        // Who is about to change the schema has reserved the version that it was planned under.
        let own = self.owner().ok().map(|owner| owner.id);
        let look = Look::Check { since: 0, at };
        let waited = self.settle_key_but(gate.slot(), gate.key(), look, own.as_ref()).await?;
        gate.check_at(planned, at, self.db())?;
        Ok(waited)
    }
}

impl Evaluation<'_> {
    fn remember_key(&self, slot: Slot, read: ReadAt) {
        if !(read.asked && canary::sings(Canary::AskedUnremembered)) {
            self.serving.memory.raise_slot(slot, read.at);
        }
    }
}

/// A span as the engine takes it; an empty end is the end of the data.
pub(crate) fn bounds<'a>(start: &'a [u8], end: &'a [u8]) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    let upper = if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(end) };
    (Bound::Included(start), upper)
}

/// What is left of a span after the row at `last`.
fn rest(span: &Span, last: &[u8], reverse: bool) -> Span {
    if reverse {
        Span { start: span.start.clone(), end: bytes::Bytes::copy_from_slice(last) }
    } else {
        Span { start: keys::span::successor(last), end: span.end.clone() }
    }
}
