//! A join that looks each left row's partner up by its key: the keys of many left rows go out in one request.
//!
//! It is the form of a dependent join whose right side reads one point of the primary index, without locks. What is asked for
//! grows batch by batch, so that a LIMIT above reads little that nobody wants.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use expr::{EvalContext, Expr, Row};
use keys::sql::TENANT_DEFAULT;

use super::apply::bind;
use super::join::Shape;
use super::scan::{PAGE_BYTES, point_key};
use super::{Batch, BoxOperator, Operator};
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::rows::{RowReader, TableFormat};
use crate::plan::{Binding, Node, Scan};

/// Left rows of the first request.
const ROWS_FIRST: usize = 8;
/// Left rows of a later one, at most.
const ROWS_MAX: usize = 512;

/// Looks rows of a table up by their keys.
pub(super) struct LookUpOperator {
    left: BoxOperator,
    bindings: Vec<Binding>,
    shape: Shape,
    scan: Scan,
    /// What is made of a row that was found, if not the row itself.
    project: Option<Vec<Expr>>,
    reader: RowReader,
    /// Whether more than the key depends on the left row.
    rebinds: bool,
    /// Left rows that have not been looked up.
    batch: std::vec::IntoIter<Row>,
    /// Left rows with what was found.
    found: std::vec::IntoIter<(Row, Option<(Bytes, Bytes)>)>,
    /// What the values found take.
    found_bytes: usize,
    rows: usize,
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
    let index = scan.table.primary()?;
    let [span] = scan.spans.as_deref()? else { return None };
    let is_plain = scan.lock.is_none() && scan.limit.is_none() && scan.index == index.id;
    (is_plain && span.point(index).is_some()).then_some((scan, project))
}

impl LookUpOperator {
    pub(super) fn new(
        left: BoxOperator,
        (scan, project): (&Scan, Option<&[Expr]>),
        bindings: &[Binding],
        shape: Shape,
    ) -> Result<Self> {
        let format = TableFormat::new(&scan.table)?;
        let reader = RowReader::new(&format.primary, &scan.table, &scan.columns)?;
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
            reader,
            rebinds,
            batch: Vec::new().into_iter(),
            found: Vec::new().into_iter(),
            found_bytes: 0,
            rows: ROWS_FIRST,
        })
    }

    /// The key that a left row leads to; `None` where a part of it is NULL.
    async fn key(&self, cx: &mut Context<'_>, left: &Row) -> Result<Option<Bytes>> {
        bind(cx, &self.bindings, left).await?;
        let index = self.scan.table.primary();
        let span = self.scan.spans.as_deref().and_then(<[_]>::first);
        let (Some(index), Some(span)) = (index, span) else {
            return Err(Error::internal("a look-up without its key"));
        };
        let context = EvalContext::new(&[], cx.values, cx.session);
        let keys = span.keys(TENANT_DEFAULT, &self.scan.table, index, &context)?;
        Ok(keys.first().map(|keys| point_key(&keys.start)))
    }

    /// Looks the next left rows up; whether there were any.
    async fn look_up(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        cx.memory.release(std::mem::take(&mut self.found_bytes));
        // Each key is asked for once, in the order of the rows.
        let mut keys: Vec<Bytes> = Vec::new();
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
            let key = match self.key(cx, row).await {
                // An error belongs to its row: those before it come first.
                Err(_) if !asked.is_empty() => break,
                key => key?,
            };
            let place = key.map(|key| {
                *places.entry(key.clone()).or_insert_with(|| {
                    keys.push(key);
                    keys.len().saturating_sub(1)
                })
            });
            asked.extend(self.batch.next().map(|row| (row, place)));
            cx.tick(1).await?;
        }
        self.rows = self.rows.saturating_mul(4).min(ROWS_MAX);
        let values = match keys.is_empty() {
            true => Vec::new(),
            false => cx.transaction.get_some(keys.clone(), PAGE_BYTES, !self.scan.passing).await?,
        };
        // What did not fit is looked up again, in its order.
        let is_missing = |(_, place): &(Row, Option<usize>)| place.is_some_and(|place| place >= values.len());
        if let Some(first) = asked.iter().position(is_missing) {
            let rest = asked.split_off(first).into_iter().map(|(row, _)| row);
            self.batch = rest.chain(self.batch.by_ref()).collect::<Vec<_>>().into_iter();
        }
        let bytes = values.iter().flatten().map(Bytes::len).sum();
        cx.memory.reserve(bytes)?;
        self.found_bytes = bytes;
        let value = |place: usize| Some((keys.get(place)?.clone(), values.get(place)?.clone()?));
        let found: Vec<_> = asked.into_iter().map(|(row, place)| (row, place.and_then(value))).collect();
        self.found = found.into_iter();
        Ok(true)
    }

    /// The right row that was found for a left one, if the scan answers it.
    async fn right(&self, cx: &mut Context<'_>, left: &Row, key: &[u8], value: &[u8]) -> Result<Option<Row>> {
        if self.rebinds {
            bind(cx, &self.bindings, left).await?;
        }
        let row = self.reader.read(key, value)?;
        if !cx.settled(|cx| cx.holds_if_any(self.scan.filter.as_ref(), &row)).await? {
            return Ok(None);
        }
        match &self.project {
            None => Ok(Some(row)),
            Some(expressions) => cx.settled(|cx| cx.evaluate_all(expressions, &row)).await.map(Some),
        }
    }
}

#[async_trait]
impl Operator for LookUpOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let mut out = Batch::default();
        while !out.is_full() {
            let Some((left, found)) = self.found.next() else {
                // What was found so far is worth more than another request.
                if !out.rows.is_empty() || !self.look_up(cx).await? {
                    break;
                }
                continue;
            };
            cx.tick(1).await?;
            let mut matched = false;
            if let Some((key, value)) = found
                && let Some(right) = self.right(cx, &left, &key, &value).await?
                && let Some(pair) = self.shape.pair(cx, &left, &right).await?
            {
                matched = true;
                if !self.shape.asks_left() {
                    out.push(pair);
                }
            }
            self.shape.left_done(left, matched).into_iter().for_each(|row| out.push(row));
        }
        Ok(out.into_rows())
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.batch = Vec::new().into_iter();
        self.found = Vec::new().into_iter();
        cx.memory.release(std::mem::take(&mut self.found_bytes));
        self.rows = ROWS_FIRST;
        self.left.rewind(cx);
    }
}
