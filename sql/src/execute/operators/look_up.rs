//! A join that looks each left row's partners up in an index: what many left rows lead to goes out in one request.
//!
//! It is the form of a dependent join whose right side reads one piece of an index, without locks: a point of the primary
//! index, or rows or entries that lie beside each other. What is asked for grows batch by batch, so that a LIMIT above reads
//! little that nobody wants.

use std::collections::{HashMap, VecDeque};

use async_trait::async_trait;
use bytes::Bytes;
use client::{ScanOptions, ScanPage, Span};
use env::clock;
use expr::{EvalContext, Expr, Row};
use keys::sql::TENANT_DEFAULT;

use super::apply::bind;
use super::join::Shape;
use super::scan::{PAGE_BYTES, PAGE_ROWS_MAX, point_key};
use super::{Batch, BoxOperator, Operator};
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::rows::{IndexFormat, RowReader, TableFormat};
use crate::execute::truth::{Counted, Truths};
use crate::plan::{Binding, Node, Scan};

/// Left rows of the first request.
const ROWS_FIRST: usize = 8;
/// Left rows of a later one, at most.
const ROWS_MAX: usize = 512;
/// The same where each leads to a span.
const SPANS_MAX: usize = 128;
/// Rows of the first page of each span.
const PAGE_ROWS_FIRST: usize = 128;

/// Looks rows of a table up.
pub(super) struct LookUpOperator {
    left: BoxOperator,
    bindings: Vec<Binding>,
    shape: Shape,
    scan: Scan,
    /// What is made of a row that was found, if not the row itself.
    project: Option<Vec<Expr>>,
    format: TableFormat,
    /// The secondary index whose entries lead to the rows, if one is.
    secondary: Option<IndexFormat>,
    /// Whether each left row leads to the key of a row.
    is_point: bool,
    reader: RowReader,
    /// Whether more than the keys depends on the left row.
    rebinds: bool,
    /// Left rows that have not been looked up.
    batch: std::vec::IntoIter<Row>,
    /// Left rows with what they lead to: the one at hand, and those after it.
    current: Option<LeftRow>,
    found: VecDeque<LeftRow>,
    /// The values of the next keys of which none is known yet.
    values: VecDeque<Option<Bytes>>,
    /// What was found takes so much, and the values so much beside it.
    found_bytes: usize,
    values_bytes: usize,
    rows: usize,
    /// Who counts what is found, if anybody does.
    finding: Option<Finding>,
}

/// Counts what is found on the right side, which no operator of its own reads.
///
/// Each left row that is gone through is a run of it, whatever else was asked for in the same request.
pub(super) struct Finding {
    counted: Counted,
    has_times: bool,
}

impl Finding {
    /// Of the right side of a join: a scan, or what is made of its rows.
    pub(super) fn new(right: &Node, truths: &Truths) -> Self {
        let counted = truths.counted(right);
        if let Node::Project(project) = right {
            truths.count_there(&project.input, &counted);
        }
        Self { counted, has_times: truths.has_times }
    }

    /// A request that was begun then was answered by values of so many bytes.
    fn note_answer(&self, values: impl Iterator<Item = usize>, started: Option<clock::Instant>) {
        let took = started.map(|started| started.elapsed()).unwrap_or_default();
        let mut truth = self.counted.lock();
        truth.note_read(values);
        // All that it finds is there at once.
        truth.first = truth.first.saturating_add(took);
        truth.total = truth.total.saturating_add(took);
    }

    /// Another left row is gone through.
    fn note_begun(&self) {
        self.counted.lock().note(0, true, None);
    }

    /// It has led to a row.
    fn note_row(&self) {
        self.counted.lock().note(1, false, None);
    }

    /// It has led to a row that a condition left out.
    fn note_removed(&self) {
        let mut truth = self.counted.lock();
        truth.removed = truth.removed.saturating_add(1);
    }
}

/// A left row on its way.
struct LeftRow {
    row: Row,
    /// The rows that may be its partners: their keys, with their values where those are known.
    partners: std::vec::IntoIter<(Bytes, Option<Bytes>)>,
    /// Where there are more of them.
    rest: Option<Span>,
    has_matched: bool,
}

/// What a dependent join needs so that it can look up: the scan of its right side, and what is made of its rows.
pub(super) fn looked_up(right: &Node) -> Option<(&Scan, Option<&[Expr]>)> {
    let (scan, project) = match right {
        Node::Scan(scan) => (scan.as_ref(), None),
        Node::Project(project) => match project.input.as_ref() {
            Node::Scan(scan) => (scan.as_ref(), Some(project.expressions.as_slice())),
            _ => return None,
        },
        _ => return None,
    };
    let [span] = scan.spans.as_deref()? else { return None };
    // Who has written rows is asked about many at once.
    let is_plain = scan.lock.is_none() && scan.limit.is_none() && !scan.reverse && !scan.tells_writer();
    (is_plain && span.is_one_piece()).then_some((scan, project))
}

impl LookUpOperator {
    pub(super) fn new(
        left: BoxOperator,
        (scan, project): (&Scan, Option<&[Expr]>),
        bindings: &[Binding],
        shape: Shape,
        finding: Option<Finding>,
    ) -> Result<Self> {
        let format = TableFormat::new(&scan.table)?;
        let reader = RowReader::new(&format.primary, &scan.table, &scan.columns)?;
        let index = scan.table.index(scan.index).ok_or_else(without_index)?;
        let secondary = match index.id == format.primary.id {
            true => None,
            false => Some(IndexFormat::new(&scan.table, index)?),
        };
        let span = scan.spans.as_deref().and_then(<[_]>::first);
        let is_point = secondary.is_none() && span.is_some_and(|span| span.point(index).is_some());
        let mut rebinds = false;
        for expression in scan.filter.iter().chain(project.into_iter().flatten()) {
            expression.walk(&mut |part| {
                rebinds |= matches!(part, Expr::Parameter { index, .. }
                    if bindings.iter().any(|binding| binding.slot == *index));
            });
        }
        Ok(Self {
            left,
            bindings: bindings.to_vec(),
            shape,
            scan: scan.clone(),
            project: project.map(<[Expr]>::to_vec),
            format,
            secondary,
            is_point,
            reader,
            rebinds,
            batch: Vec::new().into_iter(),
            current: None,
            found: VecDeque::new(),
            values: VecDeque::new(),
            found_bytes: 0,
            values_bytes: 0,
            rows: ROWS_FIRST,
            finding,
        })
    }

    /// When a request is begun, if somebody counts how long it takes.
    fn started(&self) -> Option<clock::Instant> {
        self.finding.as_ref().filter(|finding| finding.has_times).map(|_| clock::now())
    }

    /// The piece of the index that a left row leads to; `None` where it leads nowhere.
    async fn span(&self, cx: &mut Context<'_>, left: &Row) -> Result<Option<Span>> {
        bind(cx, &self.bindings, left).await?;
        let index = self.scan.table.index(self.scan.index).ok_or_else(without_index)?;
        let span = self.scan.spans.as_deref().and_then(<[_]>::first).ok_or_else(without_index)?;
        let context = EvalContext::new(&[], cx.values, cx.session);
        let keys = span.keys(TENANT_DEFAULT, &self.scan.table, index, &context)?;
        let span = keys.into_iter().next().map(|keys| Span { start: keys.start, end: keys.end });
        Ok(span.filter(|span| !span.is_empty()))
    }

    /// The next left row that has been looked up.
    fn begun(&mut self) -> Option<LeftRow> {
        let left = self.found.pop_front()?;
        self.finding.iter().for_each(Finding::note_begun);
        Some(left)
    }

    /// Looks up where the next left rows lead; whether there were any.
    async fn look_up(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        cx.memory.release(std::mem::take(&mut self.found_bytes));
        // Each span is asked for once, in the order of the rows.
        let mut spans: Vec<Span> = Vec::new();
        let mut places: HashMap<Bytes, usize> = HashMap::new();
        let mut asked: Vec<(Row, Option<usize>)> = Vec::new();
        while asked.len() < self.rows {
            let Some(row) = self.batch.as_slice().first() else {
                // What is there is answered before more is waited for.
                if !asked.is_empty() {
                    break;
                }
                match self.left.next(cx).await? {
                    Some(rows) => self.batch = rows.into_iter(),
                    None => return Ok(false),
                }
                continue;
            };
            let span = match self.span(cx, row).await {
                // An error belongs to its row: those before it come first.
                Err(_) if !asked.is_empty() => break,
                span => span?,
            };
            let place = span.map(|span| {
                *places.entry(span.start.clone()).or_insert_with(|| {
                    spans.push(span);
                    spans.len().saturating_sub(1)
                })
            });
            asked.extend(self.batch.next().map(|row| (row, place)));
            cx.tick(1).await?;
        }
        let most = if self.is_point { ROWS_MAX } else { SPANS_MAX };
        self.rows = self.rows.saturating_mul(4).min(most);
        let pages = self.pages(cx, &spans).await?;
        // What did not fit is looked up again, in its order.
        let is_missing = |(_, place): &(Row, Option<usize>)| place.is_some_and(|place| place >= pages.len());
        if let Some(first) = asked.iter().position(is_missing) {
            let rest = asked.split_off(first).into_iter().map(|(row, _)| row);
            self.batch = rest.chain(self.batch.by_ref()).collect::<Vec<_>>().into_iter();
        }
        let mut bytes = 0_usize;
        for (row, place) in asked {
            let (partners, rest) = place.and_then(|place| pages.get(place)).cloned().unwrap_or_default();
            bytes = bytes.saturating_add(partners.iter().map(size).sum());
            self.found.push_back(LeftRow { row, partners: partners.into_iter(), rest, has_matched: false });
        }
        cx.memory.reserve(bytes)?;
        self.found_bytes = bytes;
        Ok(true)
    }

    /// What the first of these spans lead to, and where there is more of it.
    async fn pages(&self, cx: &mut Context<'_>, spans: &[Span]) -> Result<Vec<(Partners, Option<Span>)>> {
        if self.is_point {
            return Ok(spans.iter().map(|span| (vec![(point_key(&span.start), None)], None)).collect());
        }
        let options = ScanOptions { rows_max: PAGE_ROWS_FIRST, bytes_max: PAGE_BYTES, reverse: false };
        let started = self.started();
        cx.note_request(spans.len());
        let pages = cx.transaction.scan_some(spans, options, !self.scan.passing).await?;
        if let Some(finding) = self.finding.as_ref().filter(|_| !spans.is_empty()) {
            finding.note_answer(pages.iter().flat_map(|page| &page.rows).map(entry_size), started);
        }
        let entries = pages.iter().map(|page| page.rows.len() as u64).sum();
        self.note_scans(cx, pages.len() as u64, entries);
        pages.into_iter().map(|page| self.partners(page)).collect()
    }

    fn partners(&self, page: ScanPage) -> Result<(Partners, Option<Span>)> {
        let partners = page.rows.into_iter().map(|(key, value)| match &self.secondary {
            None => Ok((key, Some(value))),
            Some(index) => Ok((self.format.primary.row_key(index.primary_columns(&key, &value)?), None)),
        });
        Ok((partners.collect::<Result<_>>()?, page.resume))
    }

    /// The next row that may be a partner of a left row.
    async fn partner(&mut self, cx: &mut Context<'_>, left: &mut LeftRow) -> Result<Option<(Bytes, Bytes)>> {
        loop {
            match left.partners.next() {
                Some((key, Some(value))) => return Ok(Some((key, value))),
                Some((key, None)) => {
                    if self.values.is_empty() {
                        self.fetch(cx, &key, left).await?;
                    }
                    if let Some(value) = self.values.pop_front().flatten() {
                        return Ok(Some((key, value)));
                    }
                }
                None => {
                    let Some(rest) = left.rest.take() else { return Ok(None) };
                    let options =
                        ScanOptions { rows_max: PAGE_ROWS_MAX, bytes_max: PAGE_BYTES, reverse: false };
                    let started = self.started();
                    cx.note_request(1);
                    let page = match self.scan.passing {
                        true => cx.transaction.scan_unrelied(rest, options).await?,
                        false => cx.transaction.scan(rest, options).await?,
                    };
                    if let Some(finding) = &self.finding {
                        finding.note_answer(page.rows.iter().map(entry_size), started);
                    }
                    self.note_scans(cx, 0, page.rows.len() as u64);
                    let (partners, rest) = self.partners(page)?;
                    let bytes = partners.iter().map(size).sum();
                    cx.memory.reserve(bytes)?;
                    self.found_bytes = self.found_bytes.saturating_add(bytes);
                    (left.partners, left.rest) = (partners.into_iter(), rest);
                }
            }
            cx.tick(1).await?;
        }
    }

    /// Fetches the values of `key` and of those after it, a page at most.
    async fn fetch(&mut self, cx: &mut Context<'_>, key: &Bytes, left: &LeftRow) -> Result<()> {
        cx.memory.release(std::mem::take(&mut self.values_bytes));
        // No further than to a row that leads to more than is known.
        let known = self.found.iter().position(|row| row.rest.is_some());
        let others = match left.rest {
            Some(_) => 0,
            None => known.map_or(self.found.len(), |place| place.saturating_add(1)),
        };
        let others = self.found.iter().take(others);
        let after = std::iter::once(left).chain(others).flat_map(|row| row.partners.as_slice());
        let next = std::iter::once(key).chain(after.map(|(key, _)| key)).take(ROWS_MAX);
        let (mut keys, mut places, mut asked) = (Vec::new(), HashMap::new(), Vec::new());
        for key in next {
            asked.push(*places.entry(key).or_insert_with(|| {
                keys.push(key.clone());
                keys.len().saturating_sub(1)
            }));
        }
        let started = self.started();
        cx.note_request(1);
        let values = cx.transaction.get_some(keys, PAGE_BYTES, !self.scan.passing).await?;
        if let Some(finding) = &self.finding {
            finding.note_answer(values.iter().flatten().map(Bytes::len), started);
        }
        let bytes = values.iter().flatten().map(Bytes::len).sum();
        cx.memory.reserve(bytes)?;
        self.values_bytes = bytes;
        self.note_values(cx, &values);
        self.values = asked.into_iter().map_while(|place| values.get(place).cloned()).collect();
        Ok(())
    }

    /// So many spans were looked up, which led to so many entries: those of the primary index are the rows themselves.
    fn note_scans(&self, cx: &mut Context<'_>, spans: u64, entries: u64) {
        let Some(index) = self.scan.table.index(self.scan.index) else { return };
        let used = cx.used.of(index.oid);
        used.scans += spans;
        used.read += entries;
        if self.secondary.is_none() {
            used.fetched += entries;
        }
    }

    /// These values were looked for, each by the key of its row.
    fn note_values(&self, cx: &mut Context<'_>, values: &[Option<Bytes>]) {
        let Some(index) = self.scan.table.index(self.scan.index) else { return };
        let (used, found) = (cx.used.of(index.oid), values.iter().flatten().count() as u64);
        used.fetched += found;
        if self.is_point {
            used.scans += values.len() as u64;
            used.read += found;
        }
    }

    /// The right row that was found for a left one, if the scan answers it.
    async fn right(&self, cx: &mut Context<'_>, left: &Row, key: &[u8], value: &[u8]) -> Result<Option<Row>> {
        if self.rebinds {
            bind(cx, &self.bindings, left).await?;
        }
        let row = self.reader.read(key, value)?;
        if !cx.settled(|cx| cx.holds_if_any(self.scan.filter.as_ref(), &row)).await? {
            self.finding.iter().for_each(Finding::note_removed);
            return Ok(None);
        }
        match &self.project {
            None => Ok(Some(row)),
            Some(expressions) => cx.settled_all(expressions, &row).await.map(Some),
        }
    }

    /// Goes on with a left row until there is something to answer: a pair of it, or that it has been looked up.
    async fn go_on(&mut self, cx: &mut Context<'_>, mut left: LeftRow, out: &mut Batch) -> Result<()> {
        while let Some((key, value)) = self.partner(cx, &mut left).await? {
            cx.tick(1).await?;
            let Some(right) = self.right(cx, &left.row, &key, &value).await? else { continue };
            self.finding.iter().for_each(Finding::note_row);
            let Some(pair) = self.shape.pair(cx, &left.row, &right).await? else { continue };
            left.has_matched = true;
            if self.shape.asks_left() {
                // The values that were fetched of its other partners are of no use.
                let unused = left.partners.len().min(self.values.len());
                self.values.drain(..unused);
                break;
            }
            out.push(pair);
            if out.is_full() {
                self.current = Some(left);
                return Ok(());
            }
        }
        self.shape.left_done(left.row, left.has_matched).into_iter().for_each(|row| out.push(row));
        Ok(())
    }
}

/// Keys of rows, with their values where those are known.
type Partners = Vec<(Bytes, Option<Bytes>)>;

fn size((key, value): &(Bytes, Option<Bytes>)) -> usize {
    key.len().saturating_add(value.as_ref().map_or(0, Bytes::len))
}

fn entry_size((key, value): &(Bytes, Bytes)) -> usize {
    key.len().saturating_add(value.len())
}

fn without_index() -> Error {
    Error::internal("a look-up without its index")
}

#[async_trait]
impl Operator for LookUpOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let mut out = Batch::default();
        while !out.is_full() {
            let Some(left) = self.current.take().or_else(|| self.begun()) else {
                // What was found so far is worth more than another request.
                if !out.rows.is_empty() || !self.look_up(cx).await? {
                    break;
                }
                continue;
            };
            cx.tick(1).await?;
            self.go_on(cx, left, &mut out).await?;
        }
        Ok(out.into_rows())
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.batch = Vec::new().into_iter();
        self.current = None;
        self.found.clear();
        self.values.clear();
        cx.memory.release(std::mem::take(&mut self.found_bytes));
        cx.memory.release(std::mem::take(&mut self.values_bytes));
        self.rows = ROWS_FIRST;
        self.left.rewind(cx);
    }
}
