//! All versions of rows that were current at some timestamp from one on up to another.
//!
//! ```text
//!   versions of a key      ──○──────────○────────○───────●────▶ timestamps
//!                            │    from  │        │   at  │
//!                          answered  answered answered  not yet
//! ```
//!
//! Keys are walked over by their newest versions, as by a scan; from each its older versions are looked up one by one, each by the
//! timestamp of the one before. So no more than one version is held beside the answer, however many a key has.

use std::sync::Arc;

use bytes::Bytes;
use proto::v1::{KeyVersion, RangeState, Span, Versions, VersionsResult};

use super::Evaluation;
use super::pace::Pace;
use super::read::bounds;
use super::seen::{Found, Seen, next};
use crate::range::erased;
use crate::range::intents::Look;
use crate::range::kept;
use crate::range::refusal::Refusal;

/// How many versions, deletions included, one request looks at before it lets its client ask for the rest.
const VERSIONS_MAX: u64 = 100_000;

/// How many bytes of versions are answered to who names no bound.
const BYTES_DEFAULT: u64 = 1 << 20;

/// How many bytes of versions are answered at most, the last one apart.
const BYTES_MAX: u64 = 8 << 20;

/// What is asked for, once it is settled from when on.
struct Wanted {
    span: Span,
    from: u64,
    at: u64,
    below: u64,
    bytes_max: u64,
    /// What of the range was erased, to who asks for all that is kept: of each key that is what came after.
    erased: Option<Arc<RangeState>>,
}

impl Wanted {
    /// From when on the versions of a key are wanted.
    fn begin_of(&self, key: &[u8]) -> u64 {
        let erased = self.erased.as_ref().map_or(0, |state| erased::erased_of(state, key));
        self.from.max(erased)
    }
}

/// A version of a key.
pub(super) struct Own {
    pub(super) timestamp: u64,
    pub(super) found: Found,
}

impl Evaluation<'_> {
    /// The versions of a span.
    pub(crate) async fn versions(&self, versions: Versions) -> Result<VersionsResult, Refusal> {
        let span = versions.span.unwrap_or_default();
        self.check_span(&span.start, &span.end)?;
        if versions.at == 0 {
            return Err(Refusal::Invalid("versions are asked for up to no timestamp".to_owned()));
        }
        let read = self.read_at(versions.at).await?;
        let mut unproven = self.is_late(read) | self.check_catalog(read.at).await?;
        self.serving.memory.raise_span(&span.start, &span.end, read.at);
        unproven |= self.settle_span(&span.start, &span.end, Look::Read(read.at), None).await?;
        let state = self.replica.cell.state();
        let kept = kept::safe_points_over(&state, &span.start, &span.end).1;
        let wanted = Wanted {
            erased: (versions.from == 0).then(|| state.clone()),
            from: if versions.from == 0 { kept } else { versions.from },
            at: read.at,
            below: versions.below,
            bytes_max: if versions.bytes_max == 0 {
                BYTES_DEFAULT
            } else {
                versions.bytes_max.min(BYTES_MAX)
            },
            span,
        };
        let mut result = self.walk(&wanted).await?;
        self.check_from(versions.from, kept, &wanted.span, &state)?;
        if unproven {
            let end = &wanted.span.end;
            self.prove(|from| end.is_empty() || end.as_ref() > from).await?;
        }
        if versions.from == 0 {
            result.from = kept;
        }
        self.replica.context.metrics.scan_rows.increment(result.versions.len() as u64);
        Ok(result)
    }

    /// That what was read is kept still. Who asked for all that is kept gets what is kept now.
    fn check_from(&self, from: u64, kept: u64, span: &Span, before: &RangeState) -> Result<(), Refusal> {
        if from != 0 {
            return self.check_readable(from, |state| erased::readable_over(state, &span.start, &span.end));
        }
        let again = || Refusal::Retry("history is being forgotten".to_owned());
        if self.replica.cell.state().erased != before.erased {
            return Err(again());
        }
        match self.check_readable(kept, |state| kept::safe_points_over(state, &span.start, &span.end).1) {
            Err(Refusal::BelowSafePoint(_) | Refusal::Erased(_)) => Err(again()),
            checked => checked,
        }
    }

    async fn walk(&self, wanted: &Wanted) -> Result<VersionsResult, Refusal> {
        let span = &wanted.span;
        // Before the versions: one that is resolved meanwhile is seen either way.
        let mut intents = self.seen_intents(span, wanted.at, false)?;
        let options = lsm::ScanOptions { tombstones: true, ..Default::default() };
        let newest = self.db().scan_at(bounds(&span.start, &span.end), wanted.at, options)?;
        let mut newest = newest.map(|entry| entry.map_err(Refusal::from).and_then(Seen::version)).peekable();
        let mut result = VersionsResult::default();
        let (mut bytes, mut looked) = (0_u64, 0_u64);
        let mut pace = Pace::new();
        while let Some(seen) = next(&mut newest, &mut intents, false)? {
            let (key, mut below) = (seen.key.clone(), 0);
            if looked >= VERSIONS_MAX {
                return Ok(left(result, key, span, below));
            }
            let from = wanted.begin_of(&key);
            let goes_on = wanted.below != 0 && key == span.start;
            // What was there up to `at` was erased, all of it; or, since the page before, all that it has left of the key.
            if from > wanted.from.max(wanted.at) || (goes_on && wanted.below <= from) {
                looked += 1;
                pace.step().await;
                continue;
            }
            let mut version = if goes_on {
                below = wanted.below;
                self.older(&key, wanted.below)?
            } else if seen.is_foreign {
                None
            } else {
                Some(Own::newest(seen))
            };
            looked += 1;
            while let Some(Own { timestamp, found }) = version {
                pace.step().await;
                if timestamp > from || found.value.is_some() {
                    if bytes >= wanted.bytes_max || looked > VERSIONS_MAX {
                        return Ok(left(result, key, span, below));
                    }
                    bytes += (key.len() + found.value.as_ref().map_or(0, Bytes::len)) as u64;
                    let (value, start_timestamp) = (found.value, found.start_timestamp);
                    result.versions.push(KeyVersion { key: key.clone(), value, timestamp, start_timestamp });
                    below = timestamp;
                }
                if timestamp <= from {
                    break;
                }
                looked += 1;
                version = self.older(&key, timestamp)?;
            }
        }
        Ok(result)
    }

    /// The newest version of a key below a timestamp.
    pub(super) fn older(&self, key: &[u8], below: u64) -> Result<Option<Own>, Refusal> {
        let Some(found) = self.db().get_at(key, below.saturating_sub(1))? else { return Ok(None) };
        Ok(Some(Own { timestamp: found.timestamp, found: Found::of(found.value, &found.note)? }))
    }
}

impl Own {
    pub(super) fn newest(seen: Seen) -> Self {
        let found = Found { start_timestamp: seen.start_timestamp, value: seen.value };
        Self { timestamp: seen.timestamp, found }
    }
}

/// An answer that leaves the versions of a key below a timestamp, and what lies behind that key.
pub(super) fn left(result: VersionsResult, key: Bytes, span: &Span, below: u64) -> VersionsResult {
    let resume = Some(Span { start: key, end: span.end.clone() });
    VersionsResult { resume, below, ..result }
}
