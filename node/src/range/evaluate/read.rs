//! Reads at a timestamp.

use std::ops::Bound;

use env::canary::{self, Canary};
use proto::v1::{Get, GetResult, KeyValue, Scan, ScanResult, Span, Version};

use super::Evaluation;
use super::asked::ReadAt;
use super::pace::Pace;
use super::seen::{Seen, SeenIntents, next};
use crate::range::barren::{Dead, Watched};
use crate::range::erased;
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
        let answered = get.keys.iter().take(versions.len());
        self.check_readable(read.at, |state| {
            answered.map(|key| erased::readable_of(state, key)).max().unwrap_or(state.safe_point)
        })?;
        if unproven {
            self.prove(|from| get.keys.iter().any(|key| key.as_ref() >= from)).await?;
        }
        Ok(GetResult { versions, read_at: read.answered() })
    }

    /// Whether a timestamp may have been handed out after the request had arrived: the oracle is asked by the leader, or to
    /// find that what somebody has chosen is not ahead of it.
    pub(super) fn is_late(&self, read: ReadAt) -> bool {
        read.asked || self.header.chosen_timestamp
    }

    /// The rows of a span at a timestamp.
    pub(crate) async fn scan(&self, scan: Scan) -> Result<ScanResult, Refusal> {
        let span = scan.span.clone().unwrap_or_default();
        self.check_span(&span.start, &span.end)?;
        let from = if scan.reverse { &span.end } else { &span.start };
        let watched = self.serving.barren.watched(from, scan.reverse);
        let read = self.read_at(scan.at).await?;
        let mut unproven = self.is_late(read) | self.check_catalog(read.at).await?;
        if !(read.asked && canary::sings(Canary::AskedUnremembered)) {
            self.serving.memory.raise_span(&span.start, &span.end, read.at);
        }
        unproven |= self.settle_span(&span.start, &span.end, Look::Read(read.at), None).await?;
        // Before the versions: one that is resolved meanwhile is seen twice, not never.
        let intents = self.seen_intents(&span, read.at, scan.reverse)?;
        let mut result = match intents {
            Some(_) => {
                let page = Page::new(&span, &scan);
                let versions = self.db().scan_at(bounds(&span.start, &span.end), read.at, page.options())?;
                page.read(versions, intents).await?.0
            }
            None => self.scan_past_barren(&span, &scan, read, watched).await?,
        };
        self.check_readable(read.at, |state| erased::readable_over(state, &span.start, &span.end))?;
        if unproven {
            self.prove(|from| span.end.is_empty() || span.end.as_ref() > from).await?;
        }
        result.read_at = read.answered();
        self.replica.context.metrics.scan_rows.increment(result.rows.len() as u64);
        Ok(result)
    }

    /// The rows of a span that no intents are seen in, from where its leading deletions are known to end; what else of those
    /// there is is remembered.
    async fn scan_past_barren(
        &self,
        span: &Span,
        scan: &Scan,
        read: ReadAt,
        watched: Option<Watched>,
    ) -> Result<ScanResult, Refusal> {
        let from = if scan.reverse { &span.end } else { &span.start };
        let left = match self.serving.barren.past(from, scan.reverse, read.at) {
            None => span.clone(),
            Some(end) if scan.reverse => Span { start: span.start.clone(), end },
            Some(start) => Span { start, end: span.end.clone() },
        };
        if !left.end.is_empty() && left.start >= left.end {
            return Ok(ScanResult::default());
        }
        let page = Page::new(&left, scan);
        let versions = self.db().scan_at(bounds(&left.start, &left.end), read.at, page.options())?;
        let (result, keys) = page.read(versions, None).await?;
        let (first, rest) = (result.rows.first(), result.resume.as_ref());
        let asked = read.asked.then_some(read.at);
        if scan.reverse {
            let start = first.map(|row| keys::span::successor(&row.key));
            let start = start.or_else(|| rest.map(|rest| rest.end.clone())).unwrap_or(left.start);
            self.serving.barren.found(Dead { keys, start: &start, end: &left.end }, watched, asked);
        } else {
            let end = first.map(|row| &row.key).or_else(|| rest.map(|rest| &rest.start)).unwrap_or(&left.end);
            self.serving.barren.found(Dead { keys, start: &left.start, end }, watched, asked);
        }
        Ok(result)
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

/// What a scan is answered with: the rows of a span at a timestamp, within bounds.
pub(super) struct Page<'a> {
    span: &'a Span,
    reverse: bool,
    rows_max: u64,
    bytes_max: u64,
}

impl<'a> Page<'a> {
    /// Of `span`, with the bounds of a scan.
    pub(super) fn new(span: &'a Span, scan: &Scan) -> Self {
        let rows_max = if scan.rows_max == 0 { u64::MAX } else { scan.rows_max };
        let bytes_max =
            if scan.bytes_max == 0 { SCAN_BYTES_DEFAULT } else { scan.bytes_max.min(SCAN_BYTES_MAX) };
        Self { span, reverse: scan.reverse, rows_max, bytes_max }
    }

    /// How the engine is scanned for it. Deletions count: a span of nothing else must end somewhere too.
    pub(super) fn options(&self) -> lsm::ScanOptions {
        lsm::ScanOptions { reverse: self.reverse, tombstones: true, ..Default::default() }
    }

    /// Makes it of the span's versions, with the intents that count as such; and how many deletions lie before its first row.
    pub(super) async fn read(
        &self,
        versions: lsm::ScanAt,
        mut intents: Option<SeenIntents>,
    ) -> Result<(ScanResult, u64), Refusal> {
        let Self { span, reverse, rows_max, bytes_max } = *self;
        let mut versions =
            versions.map(|entry| entry.map_err(Refusal::from).and_then(Seen::version)).peekable();
        let mut rows: Vec<KeyValue> = Vec::new();
        let (mut read, mut dead) = (0u64, 0u64);
        let mut pace = Pace::new();
        for seen in 0u64.. {
            let Some(entry) = next(&mut versions, &mut intents, reverse)? else { break };
            if seen >= SCAN_ENTRIES_MAX {
                let resume = if reverse {
                    Span { start: span.start.clone(), end: keys::span::successor(&entry.key) }
                } else {
                    Span { start: bytes::Bytes::copy_from_slice(&entry.key), end: span.end.clone() }
                };
                return Ok((ScanResult { rows, resume: Some(resume), read_at: 0 }, dead));
            }
            pace.step().await;
            let Some(value) = entry.value else {
                dead += u64::from(rows.is_empty());
                continue;
            };
            if rows.len() as u64 >= rows_max || read >= bytes_max {
                let resume = rows.last().map(|last| rest(span, &last.key, reverse));
                return Ok((ScanResult { rows, resume, read_at: 0 }, dead));
            }
            read += (entry.key.len() + value.len()) as u64;
            rows.push(KeyValue { key: entry.key, value, timestamp: entry.timestamp });
        }
        Ok((ScanResult { rows, resume: None, read_at: 0 }, dead))
    }
}

/// A span as the engine takes it; an empty end is the end of the data.
pub(crate) fn bounds<'a>(start: &'a [u8], end: &'a [u8]) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    let upper = if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(end) };
    (Bound::Included(start), upper)
}

/// What of a span its page tells about: all but what is left.
pub(super) fn answered(span: &Span, page: &ScanResult, reverse: bool) -> Span {
    let Span { start, end } = span.clone();
    match &page.resume {
        None => Span { start, end },
        Some(left) if reverse => Span { start: left.end.clone(), end },
        Some(left) => Span { start, end: left.start.clone() },
    }
}

/// What is left of a span after the row at `last`.
fn rest(span: &Span, last: &[u8], reverse: bool) -> Span {
    if reverse {
        Span { start: span.start.clone(), end: bytes::Bytes::copy_from_slice(last) }
    } else {
        Span { start: keys::span::successor(last), end: span.end.clone() }
    }
}
