//! Reads at a timestamp.

use std::ops::Bound;

use proto::v1::{Get, GetResult, KeyValue, Scan, ScanResult, Span, Version};

use super::Evaluation;
use super::pace::Pace;
use crate::range::memory::Slot;
use crate::range::refusal::Refusal;
use crate::range::version;

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
        self.admit(get.at).await?;
        self.check_catalog(get.at).await?;
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
            self.serving.memory.raise_slot(slot, get.at);
            self.serving.inflight.settle_key(slot, key, get.at).await?;
            let found = self.db().get_at(key, get.at)?;
            let version = found.map_or_else(|| Ok(Version::default()), to_version)?;
            bytes += version.value.as_ref().map_or(0, bytes::Bytes::len);
            versions.push(version);
        }
        self.check_safe_point(get.at)?;
        Ok(GetResult { versions })
    }

    /// The rows of a span at a timestamp.
    pub(crate) async fn scan(&self, scan: Scan) -> Result<ScanResult, Refusal> {
        self.admit(scan.at).await?;
        self.check_catalog(scan.at).await?;
        let span = scan.span.unwrap_or_default();
        self.check_span(&span.start, &span.end)?;
        self.serving.memory.raise_span(&span.start, &span.end, scan.at);
        self.serving.inflight.settle_span(&span.start, &span.end, scan.at).await?;
        let rows_max = if scan.rows_max == 0 { u64::MAX } else { scan.rows_max };
        let bytes_max =
            if scan.bytes_max == 0 { SCAN_BYTES_DEFAULT } else { scan.bytes_max.min(SCAN_BYTES_MAX) };
        let result = self.rows(&span, scan.at, scan.reverse, rows_max, bytes_max).await?;
        self.check_safe_point(scan.at)?;
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
        // Deletions count: a span of nothing else must end somewhere too.
        let options = lsm::ScanOptions { reverse, tombstones: true, ..Default::default() };
        let entries = self.db().scan_at(bounds(&span.start, &span.end), at, options)?;
        let mut rows: Vec<KeyValue> = Vec::new();
        let mut read = 0u64;
        let mut pace = Pace::new();
        for (seen, entry) in (0u64..).zip(entries) {
            let entry = entry?;
            if seen >= SCAN_ENTRIES_MAX {
                let resume = if reverse {
                    Span { start: span.start.clone(), end: keys::span::successor(&entry.key) }
                } else {
                    Span { start: bytes::Bytes::copy_from_slice(&entry.key), end: span.end.clone() }
                };
                return Ok(ScanResult { rows, resume: Some(resume) });
            }
            pace.step().await;
            let Some(stored) = entry.value else { continue };
            if rows.len() as u64 >= rows_max || read >= bytes_max {
                let resume = rows.last().map(|last| rest(span, &last.key, reverse));
                return Ok(ScanResult { rows, resume });
            }
            let (_, value) = version::decode(stored)?;
            read += (entry.key.len() + value.len()) as u64;
            rows.push(KeyValue { key: entry.key, value, timestamp: entry.timestamp });
        }
        Ok(ScanResult { rows, resume: None })
    }

    async fn check_catalog(&self, at: u64) -> Result<(), Refusal> {
        let serving = &self.serving;
        let planned = self.header.catalog_version;
        serving.gate.check_at(planned, at, &serving.memory, &serving.inflight, self.db()).await
    }
}

/// A version as it travels.
pub(crate) fn to_version(found: lsm::Versioned) -> Result<Version, Refusal> {
    let value = match found.value {
        Some(stored) => Some(version::decode(stored)?.1),
        None => None,
    };
    Ok(Version { value, timestamp: found.timestamp })
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
