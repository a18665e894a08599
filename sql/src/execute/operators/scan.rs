//! Scan: rows of a stored table through one of its indexes, with or without locks.
//!
//! Points of the primary index are fetched by their keys, many at once; ranges are read page by page; entries of a
//! secondary index are turned into keys of rows, which are then fetched. A locking scan of points sends the lock at
//! once, which reads the newest version too; any other locks the rows that the filter let through.
//!
//! A scan that passes over rows that others hold (SKIP LOCKED) relies on those alone that it has locked: neither what it
//! passes over nor the gaps between count as read, so that workers on one queue do not end each other.

use std::collections::HashSet;

use async_trait::async_trait;
use bytes::Bytes;
use client::{ScanOptions, Span};
use expr::{Datum, EvalContext, Expr, Row};
use keys::sql::{SUFFIX_ROW, TENANT_DEFAULT};

use super::Operator;
use super::basic::count;
use super::group::ENTRY_BYTES;
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::key_block::KeyBlock;
use crate::execute::lock::lock_rows;
use crate::execute::rows::{IndexFormat, RowReader, TableFormat};
use crate::execute::writers::{Writers, unknown};
use crate::plan::{LockWait, RowLock, Scan};

/// Rows of the first page of a scan of which nothing is known.
const PAGE_ROWS_FIRST: usize = 128;
/// Rows of a later page, at most.
pub(super) const PAGE_ROWS_MAX: usize = 4096;
/// Bytes of a page, about.
pub(super) const PAGE_BYTES: usize = 1 << 20;
/// Keys of one request for points or locks.
const KEYS_MAX: usize = 1024;

/// Rows of a stored table.
pub(super) struct ScanOperator {
    scan: Scan,
    format: TableFormat,
    /// The secondary index that is read, if one is.
    secondary: Option<IndexFormat>,
    reader: RowReader,
    /// Who has written the rows, if that is asked for.
    writers: Option<Writers>,
    /// Keys of rows that were answered, where spans may overlap.
    seen: Option<HashSet<Bytes>>,
    /// What those take, and the spans where there are many.
    seen_bytes: usize,
    state: State,
}

enum State {
    /// Spans are not computed yet.
    Fresh,
    Running(Running),
}

struct Running {
    /// What is left to read, the next last.
    pieces: Vec<Piece>,
    page_rows: usize,
    /// How many more rows will be asked for.
    wanted: Option<usize>,
}

enum Piece {
    Range(Span),
    /// Keys of the index.
    Points(Vec<Bytes>),
    /// Keys of rows, none of which was answered yet.
    Rows(Vec<Bytes>),
}

/// Rows that were read.
#[derive(Default)]
struct Found {
    /// Of each row its key, where rows are to be locked; else none.
    keys: Vec<Bytes>,
    rows: Vec<Row>,
}

impl ScanOperator {
    pub(super) fn new(scan: &Scan) -> Result<Self> {
        let format = TableFormat::new(&scan.table)?;
        let secondary = if scan.index == format.primary.id {
            None
        } else {
            let index = scan
                .table
                .index(scan.index)
                .ok_or_else(|| Error::internal("a plan names an index that its table does not have"))?;
            Some(IndexFormat::new(&scan.table, index)?)
        };
        let reader = RowReader::new(&format.primary, &scan.table, &scan.columns)?;
        let writers = Writers::new(&format, &scan.columns)?;
        Ok(Self {
            scan: scan.clone(),
            format,
            secondary,
            reader,
            writers,
            seen: None,
            seen_bytes: 0,
            state: State::Fresh,
        })
    }

    fn start(&mut self, cx: &mut Context<'_>) -> Result<Running> {
        let index = self
            .scan
            .table
            .index(self.scan.index)
            .ok_or_else(|| Error::internal("a plan names an index that its table does not have"))?;
        let mut pieces: Vec<Piece> = Vec::new();
        match &self.scan.spans {
            None => {
                let span = keys::sql::index_span(TENANT_DEFAULT, index.id);
                pieces.push(Piece::Range(Span { start: span.start, end: span.end }));
            }
            Some(spans) => {
                let mut count = 0_usize;
                for span in spans {
                    let is_of_points = span.is_of_points(index);
                    let context = EvalContext::new(&[], cx.values, cx.session);
                    let spans = span.keys(TENANT_DEFAULT, &self.scan.table, index, &context)?;
                    if spans.len() > 1 {
                        let bytes =
                            spans.iter().map(|keys| keys.start.len() + keys.end.len() + ENTRY_BYTES).sum();
                        cx.memory.reserve(bytes)?;
                        self.seen_bytes = self.seen_bytes.saturating_add(bytes);
                    }
                    for keys in spans {
                        count = count.saturating_add(1);
                        if !is_of_points {
                            pieces.push(Piece::Range(Span { start: keys.start, end: keys.end }));
                            continue;
                        }
                        let key = point_key(&keys.start);
                        match pieces.last_mut() {
                            Some(Piece::Points(points)) if points.len() < KEYS_MAX => points.push(key),
                            _ => pieces.push(Piece::Points(vec![key])),
                        }
                    }
                }
                self.seen = (count > 1).then(HashSet::new);
            }
        }
        if self.is_whole() {
            cx.used.of(self.scan.table.oid).scans += 1;
        } else {
            cx.used.of(index.oid).scans += 1;
        }
        pieces.reverse();
        let limit = count(cx, self.scan.limit.as_ref(), "2201W", "LIMIT")?;
        let wanted = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let page_rows = match wanted {
            Some(wanted) if self.scan.filter.is_none() => wanted.clamp(1, PAGE_ROWS_MAX),
            _ => PAGE_ROWS_FIRST,
        };
        Ok(Running { pieces, page_rows, wanted })
    }

    /// The rows of one request, or `None` once nothing is left.
    async fn step(&mut self, cx: &mut Context<'_>, running: &mut Running) -> Result<Option<Vec<Row>>> {
        let Some(piece) = running.pieces.pop() else { return Ok(None) };
        let found = match (piece, &self.secondary, self.scan.lock) {
            (Piece::Points(points), None, Some(lock)) if !self.scan.shielded => {
                let points = self.unseen(cx, points)?;
                let locked = self.lock(cx, lock, points.clone()).await?;
                note_skipped(cx, &locked);
                let present = points
                    .into_iter()
                    .zip(locked)
                    .map(|(key, locked)| (key, locked.value.filter(|_| !locked.skipped)));
                return Ok(Some(self.read_locked(cx, present).await?.rows));
            }
            (Piece::Points(points), None, _) => {
                let keys = self.unseen(cx, points)?;
                self.rows_of_keys(cx, running, keys).await?
            }
            (Piece::Points(mut points), Some(_), _) => {
                let values = self.get_some(cx, points.clone()).await?;
                let rest = points.split_off(values.len());
                if !rest.is_empty() {
                    running.pieces.push(Piece::Points(rest));
                }
                let entries = points.into_iter().zip(values).filter_map(|(key, value)| Some((key, value?)));
                self.rows_of_entries(cx, running, entries.collect()).await?
            }
            (Piece::Rows(keys), ..) => self.rows_of_keys(cx, running, keys).await?,
            (Piece::Range(span), secondary, _) => {
                let options = ScanOptions {
                    rows_max: running.page_rows,
                    bytes_max: PAGE_BYTES,
                    reverse: self.scan.reverse,
                };
                cx.note_request(1);
                running.page_rows = running.page_rows.saturating_mul(4).min(PAGE_ROWS_MAX);
                let page = match self.passes_over() {
                    true => cx.transaction.scan_unrelied(span, options).await?,
                    false => cx.transaction.scan(span, options).await?,
                };
                cx.tally(|truth| {
                    truth.note_read(
                        page.rows.iter().map(|(key, value)| key.len().saturating_add(value.len())),
                    );
                });
                if let Some(resume) = page.resume {
                    running.pieces.push(Piece::Range(resume));
                }
                if secondary.is_some() {
                    self.rows_of_entries(cx, running, page.rows).await?
                } else {
                    let mut rows = page.rows;
                    if let Some(seen) = &mut self.seen {
                        let bytes = note_seen(cx, seen, &mut rows, |(key, _)| key)?;
                        self.seen_bytes = self.seen_bytes.saturating_add(bytes);
                    }
                    self.read_present(cx, rows.into_iter().map(|(key, value)| (key, Some(value)))).await?
                }
            }
        };
        match self.scan.lock {
            None => Ok(Some(found.rows)),
            Some(lock) => self.lock_rows(cx, running, lock, found).await.map(Some),
        }
    }

    /// Whether it reads all of the table, in the order in which that lies.
    fn is_whole(&self) -> bool {
        self.scan.spans.is_none() && self.secondary.is_none()
    }

    /// Rows were read.
    fn note_read(&self, cx: &mut Context<'_>, rows: u64) {
        if self.is_whole() {
            cx.used.of(self.scan.table.oid).read += rows;
        } else if let Some(index) = self.scan.table.index(self.scan.index) {
            let used = cx.used.of(index.oid);
            used.fetched += rows;
            if self.secondary.is_none() {
                used.read += rows;
            }
        }
    }

    /// Whether rows are left out that others hold.
    fn passes_over(&self) -> bool {
        self.scan.passing || self.scan.lock.is_some_and(|lock| lock.wait == LockWait::Skip)
    }

    /// The values of the first of these keys, a page at most.
    async fn get_some(&self, cx: &mut Context<'_>, keys: Vec<Bytes>) -> Result<Vec<Option<Bytes>>> {
        cx.note_request(1);
        let values = cx.transaction.get_some(keys, PAGE_BYTES, !self.passes_over()).await?;
        cx.tally(|truth| truth.note_read(values.iter().flatten().map(Bytes::len)));
        Ok(values)
    }

    /// The rows of the first of these keys; the others are read later.
    async fn rows_of_keys(
        &self,
        cx: &mut Context<'_>,
        running: &mut Running,
        mut keys: Vec<Bytes>,
    ) -> Result<Found> {
        if keys.is_empty() {
            return Ok(Found::default());
        }
        let values = self.get_some(cx, keys.clone()).await?;
        let rest = keys.split_off(values.len());
        if !rest.is_empty() {
            running.pieces.push(Piece::Rows(rest));
        }
        self.read_present(cx, keys.into_iter().zip(values)).await
    }

    /// The rows that index entries lead to.
    async fn rows_of_entries(
        &mut self,
        cx: &mut Context<'_>,
        running: &mut Running,
        entries: Vec<(Bytes, Bytes)>,
    ) -> Result<Found> {
        let Some(index) = &self.secondary else { return Ok(Found::default()) };
        if let Some(read) = self.scan.table.index(self.scan.index) {
            cx.used.of(read.oid).read += entries.len() as u64;
        }
        let mut block = KeyBlock::for_pieces(entries.len());
        let row_key = |(key, value): &(Bytes, Bytes)| -> Result<Bytes> {
            Ok(block.key_of(&self.format.primary, index.primary_columns(key, value)?))
        };
        let keys = entries.iter().map(row_key).collect::<Result<Vec<_>>>()?;
        let keys = self.unseen(cx, keys)?;
        self.rows_of_keys(cx, running, keys).await
    }

    fn unseen(&mut self, cx: &mut Context<'_>, mut keys: Vec<Bytes>) -> Result<Vec<Bytes>> {
        if let Some(seen) = &mut self.seen {
            let bytes = note_seen(cx, seen, &mut keys, |key| key)?;
            self.seen_bytes = self.seen_bytes.saturating_add(bytes);
        }
        Ok(keys)
    }

    /// Decodes the rows that exist and keeps those of which the filter holds.
    async fn read_present(
        &self,
        cx: &mut Context<'_>,
        rows: impl Iterator<Item = (Bytes, Option<Bytes>)> + Send,
    ) -> Result<Found> {
        let Some(writers) = &self.writers else {
            return self.decode(cx, rows.map(|(key, value)| (key, value, None))).await;
        };
        let rows: Vec<(Bytes, Bytes)> = rows.filter_map(|(key, value)| Some((key, value?))).collect();
        let told = writers.of_read(cx, &rows).await?;
        let rows = rows.into_iter().zip(told).map(|((key, value), writer)| (key, Some(value), writer));
        self.decode(cx, rows).await
    }

    /// The same of rows whose newest versions were read, with the locks on them.
    async fn read_locked(
        &self,
        cx: &mut Context<'_>,
        rows: impl Iterator<Item = (Bytes, Option<Bytes>)> + Send,
    ) -> Result<Found> {
        let Some(writers) = &self.writers else {
            return self.decode(cx, rows.map(|(key, value)| (key, value, None))).await;
        };
        let mut told = Vec::with_capacity(rows.size_hint().0);
        for (key, value) in rows {
            let Some(value) = value else { continue };
            let writer = writers.of_locked(cx, &key, &value)?;
            told.push((key, Some(value), writer));
        }
        self.decode(cx, told.into_iter()).await
    }

    /// Each row comes with who has written it, if that is asked for and known.
    async fn decode(
        &self,
        cx: &mut Context<'_>,
        rows: impl Iterator<Item = (Bytes, Option<Bytes>, Option<Datum>)> + Send,
    ) -> Result<Found> {
        let keeps_keys = self.scan.lock.is_some();
        let mut found = Found { keys: Vec::new(), rows: Vec::with_capacity(rows.size_hint().0) };
        let (mut read, mut removed) = (0_u64, 0_u64);
        for (key, value, writer) in rows {
            if cx.spend(1) {
                cx.rest().await?;
            }
            let Some(value) = value else { continue };
            read += 1;
            let mut row = self.reader.read(&key, &value)?;
            let is_unknown = self.writers.is_some() && writer.is_none();
            if let (Some(writers), Some(writer)) = (&self.writers, writer) {
                writers.put(&mut row, writer);
            }
            if let Some(filter) = &self.scan.filter {
                if is_unknown && self.asks_writer(filter) {
                    return Err(unknown());
                }
                let attempt = cx.attempt(|cx| cx.holds(filter, &row));
                let holds = match attempt {
                    Ok(holds) => holds?,
                    Err(question) => cx.answered(question, |cx| cx.holds(filter, &row)).await?,
                };
                if !holds {
                    removed = removed.saturating_add(1);
                    continue;
                }
            }
            if is_unknown {
                return Err(unknown());
            }
            if keeps_keys {
                found.keys.push(key);
            }
            found.rows.push(row);
        }
        self.note_read(cx, read);
        cx.tally(|truth| truth.removed = truth.removed.saturating_add(removed));
        Ok(found)
    }

    /// Whether a condition is about who has written a row.
    fn asks_writer(&self, condition: &Expr) -> bool {
        self.writers.as_ref().is_some_and(|writers| condition.columns().contains(&writers.place()))
    }

    /// Locks rows that were read, and evaluates those again that had changed meanwhile.
    async fn lock_rows(
        &mut self,
        cx: &mut Context<'_>,
        running: &mut Running,
        lock: RowLock,
        found: Found,
    ) -> Result<Vec<Row>> {
        let mut answered = Vec::with_capacity(found.rows.len());
        // Each lock may move the transaction forward, past changes of rows that were read and are not relied on.
        let read_at = if self.passes_over() { cx.transaction.read_timestamp().await? } else { u64::MAX };
        let mut rows = found.keys.into_iter().zip(found.rows).peekable();
        while rows.peek().is_some() {
            let wanted = running.wanted.map_or(KEYS_MAX, |wanted| wanted.saturating_sub(answered.len()));
            if wanted == 0 {
                running.pieces.clear();
                break;
            }
            let (keys, candidates): (Vec<_>, Vec<_>) = rows.by_ref().take(wanted.min(KEYS_MAX)).unzip();
            let locked = self.lock(cx, lock, keys.clone()).await?;
            note_skipped(cx, &locked);
            cx.account_writes().await?;
            for ((key, row), locked) in keys.into_iter().zip(candidates).zip(locked) {
                if locked.skipped {
                    continue;
                }
                if !locked.changed && locked.newest <= read_at {
                    answered.push(row);
                } else if let Some(value) = locked.value {
                    let mut newest = self.reader.read(&key, &value)?;
                    if let Some(writers) = &self.writers {
                        writers.put_locked(cx, &key, &value, &mut newest)?;
                    }
                    let condition = self.scan.recheck.as_ref().or(self.scan.filter.as_ref());
                    if cx.settled(|cx| cx.holds_if_any(condition, &newest)).await? {
                        answered.push(newest);
                    } else {
                        cx.tally(|truth| truth.outdated = truth.outdated.saturating_add(1));
                    }
                }
            }
        }
        if let Some(wanted) = &mut running.wanted {
            *wanted = wanted.saturating_sub(answered.len());
        }
        Ok(answered)
    }

    async fn lock(
        &self,
        cx: &mut Context<'_>,
        lock: RowLock,
        keys: Vec<Bytes>,
    ) -> Result<Vec<client::Locked>> {
        lock_rows(cx, lock, &self.scan.table.name, keys).await
    }
}

/// Notes how many rows others hold.
fn note_skipped(cx: &Context<'_>, locked: &[client::Locked]) {
    cx.tally(|truth| {
        let skipped = locked.iter().filter(|locked| locked.skipped).count();
        truth.skipped = truth.skipped.saturating_add(skipped as u64);
    });
}

/// Keeps what was not seen before, and accounts for it; how many bytes that takes.
fn note_seen<T>(
    cx: &mut Context<'_>,
    seen: &mut HashSet<Bytes>,
    items: &mut Vec<T>,
    key: impl Fn(&T) -> &Bytes,
) -> Result<usize> {
    let mut bytes = 0usize;
    items.retain(|item| {
        let key = key(item);
        let new = seen.insert(key.clone());
        if new {
            bytes = bytes.saturating_add(key.len()).saturating_add(ENTRY_BYTES);
        }
        new
    });
    cx.memory.reserve(bytes)?;
    Ok(bytes)
}

/// The key of the row or entry whose columns these are.
pub(super) fn point_key(columns: &[u8]) -> Bytes {
    let mut key = Vec::with_capacity(columns.len() + 1);
    key.extend_from_slice(columns);
    key.push(SUFFIX_ROW);
    key.into()
}

#[async_trait]
impl Operator for ScanOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let mut running = match std::mem::replace(&mut self.state, State::Fresh) {
            State::Fresh => self.start(cx)?,
            State::Running(running) => running,
        };
        let answer = loop {
            match self.step(cx, &mut running).await {
                Ok(Some(rows)) if rows.is_empty() => {}
                answer => break answer,
            }
        };
        self.state = State::Running(running);
        answer
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.state = State::Fresh;
        self.seen = None;
        cx.memory.release(std::mem::take(&mut self.seen_bytes));
    }
}

/// Whether a scan asks for its rows in the primary index's order and in one piece, so that rows may be written while
/// it reads: what was written lies behind it.
pub(crate) fn is_behind_its_writes(scan: &Scan) -> bool {
    scan.table.primary().is_some_and(|primary| primary.id == scan.index)
        && scan.spans.as_ref().is_none_or(|spans| match spans.as_slice() {
            [] => true,
            [span] => span.is_one_piece(),
            _ => false,
        })
}
