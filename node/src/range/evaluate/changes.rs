//! What has changed in a span after a timestamp, for who watches it: every version that came since, the oldest of each key first.
//!
//! ```text
//!                         since                    until     at
//!   versions of a key  ○────┼───○────────○───────────○───┼────┼───▶ timestamps
//!                             answered  answered  answered
//! ```
//!
//! It reads as any read at `at` does: the keys count as read at it, and what is under way at or below it is waited for. So nothing is
//! committed there later, and who asks again asks from there on. The engine leaves out what has not changed since, by the timestamps that it knows of memtables,
//! tables and blocks: where nothing has, it looks at those and no more.
//!
//! A key is answered with all that it has, or not at all, so that who watches need not remember where in a key it was. Where one key has
//! more than an answer has room for, all are answered up to an earlier timestamp, until which it has less (`until`).
//!
//! Who watches reads the same keys again and again, close behind what is new. A transaction that validates for longer than that, and
//! commits at exactly the timestamp that it has validated at or not at all, would never commit: as it is with what is closed, its refusal holds up who watches for
//! a while ([`give_time`](crate::range::closing::give_time)), but not for longer than [`HELD_MS_MAX`].

use bytes::Bytes;
use env::canary::{Canary, sings};
use proto::v1::{Changes, ChangesResult, KeyVersion, Span};

use super::Evaluation;
use super::pace::Pace;
use super::read::bounds;
use super::seen::{Found, Seen, next};
use super::versions::Own;
use crate::range::erased;
use crate::range::intents::Look;
use crate::range::refusal::Refusal;
use crate::timestamp;

/// How many versions, deletions included, one request looks at before it lets its client ask for the rest.
const VERSIONS_MAX: u64 = 100_000;

/// How many versions of one key are answered at most.
const OF_KEY_MAX: usize = 10_000;

/// How many bytes of versions are answered to who names no bound.
const BYTES_DEFAULT: u64 = 256 << 10;

/// How many bytes of versions are answered at most, the last key's apart; and how many of one key, its last version's apart.
const BYTES_MAX: u64 = 8 << 20;

/// Who watches is not held up once what it was told last lies so far back.
const HELD_MS_MAX: u64 = 10_000;

impl Evaluation<'_> {
    /// What has changed in a span.
    pub(crate) async fn changes(&self, changes: Changes) -> Result<ChangesResult, Refusal> {
        let Changes { span, since, at, bytes_max } = changes;
        let span = span.unwrap_or_default();
        self.check_span(&span.start, &span.end)?;
        if since == 0 || at <= since {
            let message = "what has changed is asked for after a timestamp and up to a later one";
            return Err(Refusal::Invalid(message.to_owned()));
        }
        self.serving.note_watched();
        let newest = timestamp::ms(self.replica.context.time.observed());
        let is_near = newest.saturating_sub(timestamp::ms(since)) < HELD_MS_MAX;
        if is_near && self.serving.holds_watching() {
            return Ok(ChangesResult { versions: Vec::new(), resume: Some(span), at });
        }
        let read = self.read_at(at).await?;
        let mut unproven = self.is_late(read) | self.check_catalog(read.at).await?;
        if !sings(Canary::ResolvedEarly) {
            self.serving.memory.raise_span(&span.start, &span.end, read.at);
            unproven |= self.settle_span(&span.start, &span.end, Look::Read(read.at), None).await?;
        }
        let bytes_max = if bytes_max == 0 { BYTES_DEFAULT } else { bytes_max.min(BYTES_MAX) };
        let mut until = read.at;
        let result = loop {
            if let Some(result) = self.changed_until(&span, since, until, bytes_max).await? {
                break result;
            }
            until = since + (until - since) / 2;
        };
        self.check_readable(since, |state| erased::readable_over(state, &span.start, &span.end))?;
        if unproven {
            let end = &span.end;
            self.prove(|from| end.is_empty() || end.as_ref() > from).await?;
        }
        self.replica.context.metrics.scan_rows.increment(result.versions.len() as u64);
        Ok(result)
    }

    /// What has changed up to a timestamp; none if a key has changed more often than an answer has room for, which none has of which the
    /// timestamps differ by one.
    async fn changed_until(
        &self,
        span: &Span,
        since: u64,
        until: u64,
        bytes_max: u64,
    ) -> Result<Option<ChangesResult>, Refusal> {
        // Before the versions: one that is resolved meanwhile is seen either way.
        let mut intents = self.seen_intents(span, until, false)?;
        let options = lsm::ScanOptions { since: Some(since), tombstones: true, ..Default::default() };
        let newest = self.db().scan_at(bounds(&span.start, &span.end), until, options)?;
        let mut newest = newest.map(|entry| entry.map_err(Refusal::from).and_then(Seen::version)).peekable();
        let mut result = ChangesResult { at: until, ..ChangesResult::default() };
        let (mut bytes, mut looked) = (0_u64, 0_u64);
        let mut pace = Pace::new();
        while let Some(seen) = next(&mut newest, &mut intents, false)? {
            if bytes >= bytes_max || looked >= VERSIONS_MAX {
                return Ok(Some(left(result, seen.key, span)));
            }
            looked += 1;
            pace.step().await;
            // An intent that is committed and not resolved yet may have been answered before.
            if seen.is_foreign || seen.timestamp <= since {
                continue;
            }
            let (key, mut version) = (seen.key.clone(), Some(Own::newest(seen)));
            let (mut own, mut own_bytes) = (Vec::new(), 0_u64);
            while let Some(Own { timestamp, found }) = version.filter(|version| version.timestamp > since) {
                if own.len() >= OF_KEY_MAX || own_bytes >= BYTES_MAX {
                    let is_first = result.versions.is_empty();
                    return Ok((!is_first).then(|| left(result, key, span)));
                }
                pace.step().await;
                looked += 1;
                let Found { start_timestamp, value } = found;
                own_bytes += (key.len() + value.as_ref().map_or(0, Bytes::len)) as u64;
                own.push(KeyVersion { key: key.clone(), value, timestamp, start_timestamp });
                version = self.older(&key, timestamp)?;
            }
            bytes += own_bytes;
            result.versions.extend(own.into_iter().rev());
        }
        Ok(Some(result))
    }
}

/// An answer that leaves a key, and what lies behind it.
fn left(result: ChangesResult, key: Bytes, span: &Span) -> ChangesResult {
    ChangesResult { resume: Some(Span { start: key, end: span.end.clone() }), ..result }
}
