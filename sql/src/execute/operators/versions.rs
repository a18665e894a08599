//! Versions of a table's rows, with when each was current.
//!
//! ```text
//!   the table          ──created────truncated───────new key───────▶
//!   holds its rows       index 7     index 12        index 19
//!   read                 up to       from here       from here on
//!                        here        up to here
//! ```
//!
//! The versions of the catalog's row of the table tell which index held its rows when. Each is walked over in turn, page by page, key
//! by key, the newest version of each first: the one before it in the walk is where a version ends. The last one of an index
//! that holds the rows no more ended with that. Where a branch holds them ([`client::BranchRow`]) what lies below it has been there from the
//! moment on that it came to.

use async_trait::async_trait;
use bytes::Bytes;
use client::{RowVersion, Span, VersionsLeft};
use expr::{EvalContext, Row};
use keys::sql::TENANT_DEFAULT;

use super::Operator;
use super::group::ENTRY_BYTES;
use super::past::{meant_by, proven_now};
use super::scan::PAGE_BYTES;
use crate::catalog::{TableDescriptor, stored};
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::past::{Lifetime, Then, decoded};
use crate::execute::rows::RowReader;
use crate::moment::Meant;
use crate::plan::{Scan, Versions};

/// Versions of a stored table's rows.
pub(super) struct VersionsOperator {
    scan: Scan,
    versions: Versions,
    reading: Option<Box<Reading>>,
    /// What is accounted for.
    held: usize,
}

/// Which versions are wanted, once their moments are known.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Between { from: Meant, to: Meant, inclusive: bool },
    Contained { from: Meant, to: Meant },
    All,
}

/// A walk over all that held the table's rows.
struct Reading {
    wanted: Wanted,
    /// Nothing that was committed later is read.
    at: u64,
    /// What is still to come, the next last.
    epochs: Vec<Epoch>,
    walk: Option<Walk>,
}

/// A time through which one index held the rows.
struct Epoch {
    table: TableDescriptor,
    start: u64,
    /// As far as is known this is when it came to hold them.
    is_begun: bool,
    /// It holds them still if there is none.
    end: Option<u64>,
}

/// A walk over one index.
struct Walk {
    then: Then,
    reader: RowReader,
    /// Versions that were current at this timestamp, or later, and no later than the other; 0: all that are kept.
    from: u64,
    at: u64,
    /// When the index came to hold the rows; 0: that is not known.
    start: u64,
    /// When what is current at the end ended.
    end: Option<u64>,
    /// What is left of the index, the next last.
    spans: Vec<Span>,
    left: Option<VersionsLeft>,
    /// The version before: its key, and when it began.
    newer: Option<(Bytes, u64)>,
}

impl Wanted {
    async fn of(cx: &mut Context<'_>, versions: &Versions) -> Result<Self> {
        Ok(match versions {
            Versions::Between { from, to, inclusive } => Self::Between {
                from: meant_by(cx, from).await?,
                to: meant_by(cx, to).await?,
                inclusive: *inclusive,
            },
            Versions::Contained { from, to } => {
                Self::Contained { from: meant_by(cx, from).await?, to: meant_by(cx, to).await? }
            }
            Versions::All => Self::All,
        })
    }

    /// No version that was current before this timestamp alone is wanted; 0: it may be.
    fn from(self) -> u64 {
        match self {
            Self::Between { from, .. } => from.last,
            Self::Contained { from, .. } => from.first,
            Self::All => 0,
        }
    }

    /// Whether a version is wanted that was current from `start` to before `end`, where history begins at `kept`. Between a
    /// moment and an earlier one there is none.
    fn has(self, start: u64, end: Option<u64>, kept: u64) -> bool {
        match self {
            Self::Between { from, to, inclusive } => {
                let begins = match inclusive {
                    true => from.last <= to.last && start <= to.last,
                    false => from.last < to.first && start < to.first,
                };
                begins && end.is_none_or(|end| end > from.last)
            }
            Self::Contained { from, to } => start >= from.first && end.is_some_and(|end| end <= to.last),
            Self::All => end.is_none_or(|end| end > kept),
        }
    }
}

impl VersionsOperator {
    pub(super) fn new(scan: &Scan, versions: &Versions) -> Self {
        Self { scan: scan.clone(), versions: versions.clone(), reading: None, held: 0 }
    }

    fn hold(&mut self, cx: &mut Context<'_>, bytes: usize) -> Result<()> {
        cx.memory.reserve(bytes)?;
        self.held = self.held.saturating_add(bytes);
        Ok(())
    }

    async fn start(&mut self, cx: &mut Context<'_>) -> Result<Box<Reading>> {
        let wanted = Wanted::of(cx, &self.versions).await?;
        let at = proven_now(cx, &self.scan.table).await?;
        let key = stored::table_key(cx.catalog.home(), self.scan.table.oid);
        let end = keys::span::successor(&key);
        let mut left = Some(VersionsLeft::all(Span { start: key, end }));
        let mut known = Vec::new();
        while let Some(next) = left.take() {
            let page = cx.client.versions(next, wanted.from(), at, PAGE_BYTES).await?;
            for version in &page.versions {
                let bytes = version.value.as_ref().map_or(0, Bytes::len);
                // As it stands there, and as it is read.
                self.hold(cx, bytes.saturating_mul(2).saturating_add(ENTRY_BYTES))?;
            }
            // From when on it is that what was not overwritten before is readable.
            let readable = wanted.from().max(page.kept).min(at);
            known.extend(page.versions.into_iter().map(|version| (version, readable)));
            left = page.left;
        }
        let mut epochs: Vec<Epoch> = Vec::new();
        for (version, readable) in known.into_iter().rev() {
            cx.tick(1).await?;
            let Some(row) = &version.value else {
                if let Some(last) = epochs.last_mut() {
                    last.end.get_or_insert(version.timestamp);
                }
                continue;
            };
            let mut past = cx.client.past(version.timestamp.max(readable));
            let table = decoded(&mut past, cx.catalog, row).await?;
            let index = |table: &TableDescriptor| table.primary().map(|primary| primary.id);
            match epochs.last_mut() {
                // What was dropped and brought back was there all the time.
                Some(last) if index(&last.table) == index(&table) => {
                    last.table = table;
                    last.end = None;
                }
                last => {
                    if let Some(last) = last {
                        last.end.get_or_insert(version.timestamp);
                    }
                    // The moment that a branch lies over says nothing of when it came to.
                    let is_branch = index(&table).is_some_and(keys::sql::is_branch);
                    let is_begun = !epochs.is_empty() || is_branch;
                    epochs.push(Epoch { table, start: version.timestamp, is_begun, end: None });
                }
            }
        }
        epochs.reverse();
        Ok(Box::new(Reading { wanted, at, epochs, walk: None }))
    }

    /// A walk over what held the rows through an epoch.
    fn walk(&mut self, cx: &mut Context<'_>, reading: &Reading, epoch: Epoch) -> Result<Walk> {
        let at = epoch.end.map_or(reading.at, |end| end.saturating_sub(1)).min(reading.at);
        let from = match reading.wanted.from() {
            0 => 0,
            from => from.max(epoch.start),
        };
        let start = if epoch.is_begun { epoch.start } else { 0 };
        let then = Then::versions(epoch.table, &self.scan)?;
        let spans = spans(cx, then.scan())?;
        let bytes: usize = spans.iter().map(|span| span.start.len() + span.end.len() + ENTRY_BYTES).sum();
        self.hold(cx, bytes)?;
        let reader = then.reader()?;
        Ok(Walk { then, reader, from, at, start, end: epoch.end, spans, left: None, newer: None })
    }

    /// The next versions of which the condition is true; none if nothing is left.
    async fn step(&mut self, cx: &mut Context<'_>, reading: &mut Reading) -> Result<Option<Vec<Row>>> {
        loop {
            let Some(walk) = &mut reading.walk else {
                let Some(epoch) = reading.epochs.pop() else { return Ok(None) };
                reading.walk = Some(self.walk(cx, reading, epoch)?);
                continue;
            };
            let next = walk.left.take().or_else(|| walk.spans.pop().map(VersionsLeft::all));
            let Some(next) = next else {
                reading.walk = None;
                continue;
            };
            let page = cx.client.versions_and_below(next, walk.from, walk.at, PAGE_BYTES).await?;
            cx.tally(|truth| truth.note_read(page.versions.iter().map(size)));
            walk.left = page.left;
            let mut kept = Vec::new();
            let mut removed = 0_u64;
            for version in page.versions {
                cx.tick(1).await?;
                let end = match &walk.newer {
                    Some((key, start)) if *key == version.key => Some(*start),
                    _ => walk.end,
                };
                // A row that was written anew for the index, by no transaction, stands there from before it held the rows.
                let is_ingested = version.start_timestamp == version.timestamp;
                let (start, transaction) = match is_ingested {
                    // Unless it had ended by then, and nobody knows any more when the index came to hold the rows.
                    true if end.is_none_or(|end| end > walk.start) => (version.timestamp.max(walk.start), 0),
                    true => (version.timestamp, 0),
                    false => (version.timestamp, version.start_timestamp),
                };
                walk.newer = Some((version.key.clone(), start));
                let Some(value) = &version.value else { continue };
                if !reading.wanted.has(start, end, page.kept) {
                    continue;
                }
                let life = Lifetime { start, end, transaction };
                let read = walk.reader.read(&version.key, value)?;
                let row = walk.then.version(&read, life, cx.session)?;
                if cx.settled(|cx| cx.holds_if_any(self.scan.filter.as_ref(), &row)).await? {
                    kept.push(row);
                } else {
                    removed = removed.saturating_add(1);
                }
            }
            cx.tally(|truth| truth.removed = truth.removed.saturating_add(removed));
            if !kept.is_empty() {
                return Ok(Some(kept));
            }
        }
    }
}

/// What a version takes on its way.
fn size(version: &RowVersion) -> usize {
    version.key.len().saturating_add(version.value.as_ref().map_or(0, Bytes::len))
}

/// The parts of the index of then that are read, the first last. None overlaps another.
fn spans(cx: &Context<'_>, scan: &Scan) -> Result<Vec<Span>> {
    let index = scan.table.primary().ok_or_else(|| Error::internal("a table without a primary index"))?;
    let Some(spans) = &scan.spans else {
        let whole = keys::sql::index_span(TENANT_DEFAULT, index.id);
        return Ok(vec![Span { start: whole.start, end: whole.end }]);
    };
    let context = EvalContext::new(&[], cx.values, cx.session);
    let mut all = Vec::new();
    for span in spans {
        all.extend(span.keys(TENANT_DEFAULT, &scan.table, index, &context)?);
    }
    all.sort_unstable_by(|one, other| one.start.cmp(&other.start));
    let mut merged: Vec<Span> = Vec::with_capacity(all.len());
    for span in all {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = span.end.max(last.end.clone()),
            _ => merged.push(span),
        }
    }
    merged.reverse();
    Ok(merged)
}

#[async_trait]
impl Operator for VersionsOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => self.start(cx).await?,
        };
        let answer = self.step(cx, &mut reading).await;
        self.reading = Some(reading);
        answer
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.reading = None;
        cx.memory.release(std::mem::take(&mut self.held));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_wanted_by_when_they_were_current() {
        let at = |first, last| Meant { first, last };
        let between = |inclusive| Wanted::Between { from: at(10, 19), to: at(40, 49), inclusive };
        // Over before, or with, the first moment; through it; within; at the last; after it; current still.
        let lives =
            [(1, Some(19)), (1, Some(20)), (25, Some(30)), (40, Some(60)), (50, Some(60)), (30, None)];
        let found = |wanted: Wanted| lives.map(|(start, end)| wanted.has(start, end, 25));
        assert_eq!(found(between(true)), [false, true, true, true, false, true]);
        assert_eq!(found(between(false)), [false, true, true, false, false, true]);
        let contained = Wanted::Contained { from: at(10, 19), to: at(40, 49) };
        assert_eq!(found(contained), [false, false, true, false, false, false]);
        assert_eq!(found(Wanted::All), [false, false, true, true, true, true]);
        // From a moment to an earlier one, or from one up to itself, there is nothing.
        let back = |inclusive| Wanted::Between { from: at(40, 49), to: at(10, 19), inclusive };
        let still = Wanted::Between { from: at(40, 49), to: at(40, 49), inclusive: false };
        assert_eq!(
            (found(back(true)), found(back(false)), found(still)),
            ([false; 6], [false; 6], [false; 6])
        );
    }
}
