//! Scans: page by page at the transaction's timestamp, through its own writes.
//!
//! Where a span lies in several ranges, those that the scan will come to are asked for their first pages along with the one
//! that it is at. What they have answered is kept until the scan gets there; at one timestamp it stays what it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use env::task::boxed;
use futures::FutureExt as _;
use futures::future::{join, join_all};
use keys::sql::branch_of;
use keys::{Span, span::successor};
use proto::v1::operation_result::Result as Answer;
use proto::v1::{KeyValue, Operation, Scan, operation};

use super::merge::merge;
use super::read::mismatch;
use super::{REROUTES_MAX, Transaction, to_wire};
use crate::router::Route;
use crate::sender::{Call, Failure};
use crate::{Result, ScanOptions, ScanPage};

/// So many ranges are asked at a time.
const RANGES_AHEAD: usize = 8;

/// With more bytes of pages than this kept, no range is asked ahead.
const AHEAD_BYTES_MAX: usize = 4 << 20;

/// A scan for fewer rows than this will hardly come to the next range.
const ROWS_AHEAD: usize = 256;

/// Pages that a scan will come to.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// What they were read at.
    at: u64,
    /// By the first key of the part of a span that each covers.
    pages: BTreeMap<Bytes, (Vec<KeyValue>, Span)>,
    bytes: usize,
}

impl Ahead {
    /// The page that begins where `span` does and does not reach beyond it.
    fn take(&mut self, span: &Span, at: u64) -> Option<(Vec<KeyValue>, Span)> {
        if at == 0 || self.at != at {
            return None;
        }
        let (rows, covered) = self.pages.remove(&span.start)?;
        self.bytes = self.bytes.saturating_sub(bytes(&rows));
        span.covers(&covered).then_some((rows, covered))
    }

    fn has(&self, start: &Bytes, at: u64) -> bool {
        self.at == at && self.pages.contains_key(start)
    }

    fn put(&mut self, at: u64, rows: Vec<KeyValue>, covered: Span) {
        if self.at != at {
            *self = Self { at, ..Self::default() };
        }
        self.bytes += bytes(&rows);
        if let Some((replaced, _)) = self.pages.insert(covered.start.clone(), (rows, covered)) {
            self.bytes = self.bytes.saturating_sub(bytes(&replaced));
        }
    }
}

fn bytes(rows: &[KeyValue]) -> usize {
    rows.iter().map(|row| row.key.len() + row.value.len()).sum()
}

impl Transaction {
    /// One page of the rows of `span`, own writes included.
    #[boxed]
    pub async fn scan(&mut self, span: Span, options: ScanOptions) -> Result<ScanPage> {
        let tracks = self.tracks_reads();
        self.scan_page(span, options, tracks).await
    }

    /// The same, and the transaction does not rely on what it reads, as [`Transaction::get_unrelied`].
    #[boxed]
    pub async fn scan_unrelied(&mut self, span: Span, options: ScanOptions) -> Result<ScanPage> {
        self.scan_page(span, options, false).await
    }

    async fn scan_page(&mut self, span: Span, options: ScanOptions, tracks: bool) -> Result<ScanPage> {
        match branch_of(&span.start) {
            None => self.scan_own(span, options, tracks).await,
            // Boxed: few spans are of a branch.
            Some(branch) => self.scan_branch(branch, span, options, tracks).boxed().await,
        }
    }

    /// The same of what stands in the span itself, whatever lies below it.
    pub(super) async fn scan_own(
        &mut self,
        span: Span,
        options: ScanOptions,
        tracks: bool,
    ) -> Result<ScanPage> {
        self.open()?;
        self.pristine = false;
        if span.is_empty() {
            return Ok(ScanPage::default());
        }
        let at = self.timestamp_or_ask();
        let (rows, covered) = self.scan_committed(&span, at, options).await?;
        Ok(self.page(span, (rows, covered), options, tracks))
    }

    /// The first pages of the first of these spans, none of which is empty, asked for in one request: of one span at least,
    /// and of as many as lie in its range. All of them together have `options.bytes_max` bytes, about, and each has one row
    /// at least. `relies` as for [`Transaction::get_some`].
    #[boxed]
    pub async fn scan_some(
        &mut self,
        spans: &[Span],
        options: ScanOptions,
        relies: bool,
    ) -> Result<Vec<ScanPage>> {
        let tracks = relies && self.tracks_reads();
        let Some(first) = spans.first() else { return Ok(Vec::new()) };
        if spans.iter().any(|span| branch_of(&span.start).is_some()) {
            return self.scan_page(first.clone(), options, tracks).await.map(|page| vec![page]);
        }
        self.open()?;
        self.pristine = false;
        let mut at = self.timestamp_or_ask();
        for _ in 0..REROUTES_MAX {
            if at == 0 {
                // All of them are read at one.
                at = self.take_timestamp().await?;
            }
            let sender = self.client.sender.clone();
            let route = sender.route(&first.start, self.options.timeout).await?;
            at = self.gated(&route, at).await?;
            let within = spans.iter().take_while(|span| lies_in(span, &route)).count();
            let asked = spans.get(..within).unwrap_or_default();
            if asked.len() < 2 || options.reverse {
                break;
            }
            let share = ScanOptions { bytes_max: (options.bytes_max / asked.len()).max(1), ..options };
            let build =
                || asked.iter().map(|span| Operation { operation: Some(page_of(span, at, share)) }).collect();
            let answers = match sender.send_all(&route, &self.call(), build).await {
                Ok(answers) => answers,
                Err(Failure::Rerouted) => continue,
                Err(failure) => return Err(self.fail(failure)),
            };
            let mut pages = Vec::with_capacity(asked.len());
            for (span, answer) in asked.iter().zip(answers) {
                let Answer::Scan(scanned) = answer.map_err(|failure| self.fail(failure))? else {
                    return Err(mismatch());
                };
                let end = scanned.resume.map_or_else(|| span.end.clone(), |left| left.start);
                let covered = Span { start: span.start.clone(), end };
                pages.push(self.page(span.clone(), (scanned.rows, covered), options, tracks));
            }
            return if pages.len() == asked.len() { Ok(pages) } else { Err(mismatch()) };
        }
        self.scan_page(first.clone(), options, tracks).await.map(|page| vec![page])
    }

    /// The page that committed rows of a part of `span` are with the transaction's own writes.
    fn page(
        &mut self,
        span: Span,
        (rows, covered): (Vec<KeyValue>, Span),
        options: ScanOptions,
        tracks: bool,
    ) -> ScanPage {
        let writes = self.buffer.span(&covered, self.position());
        let merged = if options.reverse {
            merge(rows, writes.rev(), options.rows_max, true)
        } else {
            merge(rows, writes, options.rows_max, false)
        };
        let seen = match merged.full_at {
            None => covered,
            Some(last) if options.reverse => Span { start: last, end: covered.end },
            Some(last) => Span { start: covered.start, end: successor(&last) },
        };
        let rest = if options.reverse {
            Span { start: span.start, end: seen.start.clone() }
        } else {
            Span { start: seen.end.clone(), end: span.end }
        };
        if tracks {
            self.reads.add_span(seen);
        }
        ScanPage { rows: merged.rows, resume: (!rest.is_empty()).then_some(rest) }
    }

    /// Committed rows from one end of `span`, and the part of it that they are all rows of. `at` as for
    /// [`Transaction::get_committed`].
    pub(super) async fn scan_committed(
        &mut self,
        span: &Span,
        mut at: u64,
        options: ScanOptions,
    ) -> Result<(Vec<KeyValue>, Span)> {
        if !options.reverse
            && let Some(page) = self.ahead.take(span, at)
        {
            return Ok(page);
        }
        for _ in 0..REROUTES_MAX {
            let sender = self.client.sender.clone();
            let route = if options.reverse {
                sender.route_below(&span.end, self.options.timeout).await?
            } else {
                sender.route(&span.start, self.options.timeout).await?
            };
            at = self.gated(&route, at).await?;
            let mut clipped = clip(span, &route);
            let later = self.ranges_ahead(span, &clipped, at, options).await?;
            let call = self.call();
            let asked = self.ask_page(&route, &clipped, &call, at, options);
            let asked_ahead =
                later.iter().map(|(route, part)| self.ask_page(route, part, &call, at, options));
            let (answer, ahead) = join(asked, join_all(asked_ahead)).await;
            for ((_, mut part), answer) in later.into_iter().zip(ahead) {
                // What was not answered is asked for when the scan comes to it.
                if let Ok(Answer::Scan(scanned)) = answer {
                    if let Some(left) = scanned.resume {
                        part.end = left.start;
                    }
                    if !part.is_empty() {
                        self.ahead.put(at, scanned.rows, part);
                    }
                }
            }
            match answer {
                Ok(Answer::Scan(scanned)) => {
                    self.took(at, scanned.read_at)?;
                    match scanned.resume {
                        Some(left) if options.reverse => clipped.start = left.end,
                        Some(left) => clipped.end = left.start,
                        None => {}
                    }
                    return Ok((scanned.rows, clipped));
                }
                Ok(_) => return Err(mismatch()),
                Err(Failure::Rerouted) => {}
                Err(Failure::NoTimestamp) => at = self.take_timestamp().await?,
                Err(failure) => return Err(self.fail(failure)),
            }
        }
        Err(self.fail(Failure::Rerouted))
    }

    async fn ask_page(
        &self,
        route: &Arc<Route>,
        part: &Span,
        call: &Call,
        at: u64,
        options: ScanOptions,
    ) -> Result<Answer, Failure> {
        self.client.sender.send(route, call, || page_of(part, at, options)).await
    }

    /// The ranges that a scan will come to after `current` whose first pages are not there yet. A first request without a
    /// timestamp goes to one range alone.
    async fn ranges_ahead(
        &self,
        span: &Span,
        current: &Span,
        at: u64,
        options: ScanOptions,
    ) -> Result<Vec<(Arc<Route>, Span)>> {
        let few = options.rows_max != 0 && options.rows_max < ROWS_AHEAD;
        let full = self.ahead.at == at && self.ahead.bytes > AHEAD_BYTES_MAX;
        if at == 0 || options.reverse || few || full || current.end >= span.end {
            return Ok(Vec::new());
        }
        let left = Span { start: current.end.clone(), end: span.end.clone() };
        let mut ranges = self.ranges_of(&left, RANGES_AHEAD - 1).await?;
        ranges.retain(|(_, part)| !self.ahead.has(&part.start, at));
        Ok(ranges)
    }
}

/// The request for a page of a span.
fn page_of(span: &Span, at: u64, options: ScanOptions) -> operation::Operation {
    operation::Operation::Scan(Scan {
        span: Some(to_wire(span)),
        at,
        rows_max: options.rows_max as u64,
        bytes_max: options.bytes_max as u64,
        reverse: options.reverse,
    })
}

/// Whether all of `span` lies in the range.
fn lies_in(span: &Span, route: &Route) -> bool {
    span.start.as_ref() >= route.start() && (route.end().is_empty() || span.end.as_ref() <= route.end())
}

/// What of `span` lies in the range.
fn clip(span: &Span, route: &Route) -> Span {
    let start = if route.start() > span.start.as_ref() {
        Bytes::copy_from_slice(route.start())
    } else {
        span.start.clone()
    };
    let end = if !route.end().is_empty() && route.end() < span.end.as_ref() {
        Bytes::copy_from_slice(route.end())
    } else {
        span.end.clone()
    };
    Span { start, end }
}
