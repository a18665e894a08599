//! A file of a backup: versions of a span's keys, read by the range's leader and written to where backups lie.
//!
//! ```text
//!  range ── newest above `since`, by time ──┐
//!        └─ all versions above `since` ─────┴──▶ page ──▶ file (compressed, sealed) ──▶ place ──▶ who makes the backup
//! ```
//!
//! A request writes one file, of one page. It changes nothing of the range, and may be sent again: a file that nobody was told of lies
//! beside the others, and no manifest names it. What was committed above `since` and is gone would be missed, and so would be what
//! was deleted: `since` has to be readable still, after all was read; of a file of all that is kept it is `at`. And as it has waited
//! for its turn, who leads has to be proven again. Where its turn does not come it is answered so, and asked for anew.

use backup::data::{Writer, Written};
use backup::{DataKey, Manifest};
use bytes::Bytes;
use proto::v1::{Export, ExportResult, KeyVersion, Span, Versions, VersionsResult};

use super::Evaluation;
use super::pace::Pace;
use super::read::bounds;
use super::seen::{Seen, next};
use super::versions::left;
use crate::range::erased;
use crate::range::intents::Look;
use crate::range::refusal::Refusal;

/// A file ends with the version that passes so many bytes.
const FILE_BYTES: u64 = 8 << 20;

/// So many keys, deletions included, are looked at for a file.
const ENTRIES_MAX: u64 = 200_000;

impl Evaluation<'_> {
    /// Writes a file.
    pub(crate) async fn export(&self, export: Export) -> Result<ExportResult, Refusal> {
        let Export { span, since, at, history, below, url, chain, key, bytes_per_second } = export;
        let span = span.unwrap_or_default();
        let exports = &self.replica.context.exports;
        let place = match exports.place(&url) {
            Ok(place) => place,
            Err(error) => return Ok(failed(&error)),
        };
        let Some(turn) = exports.turn(self.deadline).await? else {
            let turns = exports.turns_ended();
            return Ok(ExportResult {
                resume: Some(span),
                below,
                waits: true,
                turns,
                ..ExportResult::default()
            });
        };
        let mut found = if history {
            let span = Some(span.clone());
            self.versions(Versions { span, from: since, at, below, bytes_max: FILE_BYTES }).await?
        } else {
            let found = self.changed(&span, since, at).await?;
            self.replica.context.metrics.scan_rows.increment(found.versions.len() as u64);
            found
        };
        let Span { start, end } = &span;
        let readable = if since == 0 { at } else { since };
        self.check_readable(readable, |state| erased::readable_over(state, start, end))?;
        self.prove(|from| end.is_empty() || end.as_ref() > from).await?;
        found.versions.retain(|version| version.timestamp > since);
        let VersionsResult { versions, resume, below, from } = found;
        let from = match (history, since) {
            (false, _) => at,
            // Of what was erased before a moment nobody knows what it was then.
            (true, 0) => from.max(erased::readable_over(&self.replica.cell.state(), start, end)),
            (true, since) => since,
        };
        let mut result = ExportResult { resume, below, from, ..ExportResult::default() };
        let (Some(first), Some(last)) = (versions.first(), versions.last()) else { return Ok(result) };
        (result.first, result.last) = (first.key.clone(), last.key.clone());
        result.name = Manifest::new_file_name(chain, at);
        let name = result.name.clone();
        let stopping = |_| Refusal::Unavailable("the node is stopping".to_owned());
        let made = env::task::blocking(move || make(&name, &key, &versions)).await.map_err(stopping)?;
        let Written { content, crc32c, entries } = match made {
            Ok(made) => made,
            Err(error) => return Ok(failed(&error)),
        };
        (result.bytes, result.crc32c, result.entries) = (content.len() as u64, crc32c, entries);
        let name = result.name.clone();
        let written = env::task::spawn(async move {
            let written = place.put(&name, content).await;
            drop(turn);
            written
        });
        if let Err(error) = written.await.map_err(stopping)? {
            return Ok(failed(&error));
        }
        exports.pay(result.bytes, bytes_per_second);
        Ok(result)
    }

    /// The newest version of each key of a span that was committed above `since`; 0: the newest of all that are there. Whether they
    /// are kept still, and who leads, is for the caller to prove.
    async fn changed(&self, span: &Span, since: u64, at: u64) -> Result<VersionsResult, Refusal> {
        self.check_span(&span.start, &span.end)?;
        if at == 0 {
            return Err(Refusal::Invalid("a backup is of no timestamp".to_owned()));
        }
        let read = self.read_at(at).await?;
        self.check_catalog(read.at).await?;
        self.serving.memory.raise_span(&span.start, &span.end, read.at);
        self.settle_span(&span.start, &span.end, Look::Read(read.at), None).await?;
        self.newest_above(span, since, at).await
    }

    async fn newest_above(&self, span: &Span, since: u64, at: u64) -> Result<VersionsResult, Refusal> {
        // Before the versions: one that is resolved meanwhile is seen either way.
        let mut intents = self.seen_intents(span, at, false)?;
        let options = lsm::ScanOptions {
            since: Some(since).filter(|since| *since > 0),
            tombstones: true,
            ..Default::default()
        };
        let newest = self.db().scan_at(bounds(&span.start, &span.end), at, options)?;
        let mut newest = newest.map(|entry| entry.map_err(Refusal::from).and_then(Seen::version)).peekable();
        let mut result = VersionsResult::default();
        let (mut bytes, mut looked) = (0_u64, 0_u64);
        let mut pace = Pace::new();
        while let Some(seen) = next(&mut newest, &mut intents, false)? {
            if bytes >= FILE_BYTES || looked >= ENTRIES_MAX {
                return Ok(left(result, seen.key, span, 0));
            }
            looked += 1;
            pace.step().await;
            let Seen { key, value, timestamp, start_timestamp, is_foreign } = seen;
            if is_foreign || (since == 0 && value.is_none()) {
                continue;
            }
            bytes += (key.len() + value.as_ref().map_or(0, Bytes::len)) as u64;
            result.versions.push(KeyVersion { key, value, timestamp, start_timestamp });
        }
        Ok(result)
    }
}

/// The place has not taken the file.
fn failed(error: &backup::Error) -> ExportResult {
    ExportResult { failure: error.to_string(), ..ExportResult::default() }
}

fn make(name: &str, key: &[u8], versions: &[KeyVersion]) -> backup::Result<Written> {
    let key = match key {
        [] => None,
        key => {
            let wrong = || backup::Error::Key("a data key of another length".to_owned());
            Some(DataKey::of(key).ok_or_else(wrong)?)
        }
    };
    let mut writer = Writer::new(name, key.as_ref())?;
    for version in versions {
        writer.put(&version.key, version.timestamp, version.value.as_deref())?;
    }
    writer.finish()
}
