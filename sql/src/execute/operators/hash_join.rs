//! Hash join: the right side in a hash table, the left side streamed past it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use async_trait::async_trait;
use expr::{Expr, Row};

use super::group::{ENTRY_BYTES, GroupKey};
use super::join::Shape;
use super::{BATCH_ROWS, Batch, BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::{HeldRows, row_bytes};

/// Pairs with equal keys.
pub(super) struct HashJoinOperator {
    left: BoxOperator,
    right: BoxOperator,
    left_keys: Vec<Expr>,
    right_keys: Vec<Expr>,
    shape: Shape,
    table: Option<Table>,
    /// Left rows still to probe with.
    batch: std::vec::IntoIter<Row>,
    probe: Option<Probe>,
    given_alone: usize,
}

#[derive(Default)]
struct Table {
    held: HeldRows,
    places: HashMap<GroupKey, Vec<usize>>,
    key_bytes: usize,
    matched: Vec<bool>,
}

/// A left row on its way past the table: it may have more partners than a batch has room.
struct Probe {
    left: Row,
    key: GroupKey,
    /// How many of the rows under the key were looked at.
    next: usize,
    found: bool,
}

impl HashJoinOperator {
    pub(super) fn new(
        left: BoxOperator,
        right: BoxOperator,
        left_keys: Vec<Expr>,
        right_keys: Vec<Expr>,
        shape: Shape,
    ) -> Self {
        Self {
            left,
            right,
            left_keys,
            right_keys,
            shape,
            table: None,
            batch: Vec::new().into_iter(),
            probe: None,
            given_alone: 0,
        }
    }

    async fn build(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let mut table = Table::default();
        while let Some(rows) = self.right.next(cx).await? {
            for row in rows {
                let values = cx.settled(|cx| cx.evaluate_all(&self.right_keys, &row)).await?;
                let key = GroupKey::of(&self.right_keys, values);
                cx.tick(1).await?;
                // Where only one partner is asked for, and any will do, the first is enough.
                let is_enough = self.shape.asks_left() && self.shape.condition.is_none();
                if is_enough && (key.has_null() || table.places.contains_key(&key)) {
                    continue;
                }
                let place = table.held.rows.len();
                table.held.push(if is_enough { Row::new() } else { row }, cx.memory)?;
                if key.has_null() {
                    continue;
                }
                let mut bytes = 2 * size_of::<usize>();
                let places = match table.places.entry(key) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => {
                        bytes = bytes.saturating_add(row_bytes(&entry.key().0)).saturating_add(ENTRY_BYTES);
                        entry.insert(Vec::new())
                    }
                };
                cx.memory.reserve(bytes)?;
                table.key_bytes = table.key_bytes.saturating_add(bytes);
                places.push(place);
            }
        }
        if self.shape.marks_right() {
            table.matched = vec![false; table.held.rows.len()];
        }
        self.table = Some(table);
        Ok(())
    }

    /// Whether no left row can have a partner.
    fn is_empty(&self) -> bool {
        self.table.as_ref().is_none_or(|table| table.places.is_empty())
    }

    async fn next_probe(&mut self, cx: &mut Context<'_>) -> Result<Option<Probe>> {
        if self.is_empty() && !self.shape.keeps_left() {
            return Ok(None);
        }
        loop {
            if let Some(left) = self.batch.next() {
                // What is compared with nothing is not computed.
                let key = if self.is_empty() {
                    GroupKey(Row::new())
                } else {
                    let values = cx.settled(|cx| cx.evaluate_all(&self.left_keys, &left)).await?;
                    GroupKey::of(&self.left_keys, values)
                };
                return Ok(Some(Probe { left, key, next: 0, found: false }));
            }
            match self.left.next(cx).await? {
                Some(rows) => self.batch = rows.into_iter(),
                None => return Ok(None),
            }
        }
    }

    /// Pairs of one left row, until there are no more or the batch is full.
    async fn probe(&mut self, cx: &mut Context<'_>, mut probe: Probe, out: &mut Batch) -> Result<()> {
        let Some(table) = &mut self.table else { return Ok(()) };
        let places = if probe.key.has_null() { None } else { table.places.get(&probe.key) };
        let places = places.map_or(&[][..], Vec::as_slice);
        while let Some(place) = places.get(probe.next) {
            if out.is_full() {
                self.probe = Some(probe);
                return Ok(());
            }
            probe.next += 1;
            cx.tick(1).await?;
            let Some(right) = table.held.rows.get(*place) else { continue };
            if self.shape.asks_left() {
                probe.found = self.shape.fits(cx, &probe.left, right).await?;
                if probe.found {
                    break;
                }
                continue;
            }
            if self.shape.asks_right() {
                if let Some(matched) = table.matched.get_mut(*place)
                    && !*matched
                {
                    *matched = self.shape.fits(cx, &probe.left, right).await?;
                }
                continue;
            }
            if let Some(pair) = self.shape.pair(cx, &probe.left, right).await? {
                probe.found = true;
                if let Some(matched) = table.matched.get_mut(*place) {
                    *matched = true;
                }
                out.push(pair);
            }
        }
        if let Some(row) = self.shape.left_done(probe.left, probe.found) {
            out.push(row);
        }
        Ok(())
    }

    async fn right_alone(&mut self, cx: &mut Context<'_>) -> Result<Vec<Row>> {
        let Some(table) = &self.table else { return Ok(Vec::new()) };
        let mut batch = Vec::new();
        while batch.len() < BATCH_ROWS
            && let (Some(matched), Some(row)) =
                (table.matched.get(self.given_alone), table.held.rows.get(self.given_alone))
        {
            self.given_alone += 1;
            batch.extend(self.shape.right_done(row, *matched));
            cx.tick(1).await?;
        }
        Ok(batch)
    }
}

#[async_trait]
impl Operator for HashJoinOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        if self.table.is_none() {
            self.build(cx).await?;
        }
        let mut out = Batch::default();
        while !out.is_full() {
            let probe = match self.probe.take() {
                Some(probe) => probe,
                None => match self.next_probe(cx).await? {
                    Some(probe) => probe,
                    None => break,
                },
            };
            self.probe(cx, probe, &mut out).await?;
            cx.tick(1).await?;
        }
        if let Some(rows) = out.into_rows() {
            return Ok(Some(rows));
        }
        let alone = self.right_alone(cx).await?;
        Ok((!alone.is_empty()).then_some(alone))
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        if let Some(mut table) = self.table.take() {
            table.held.clear(cx.memory);
            cx.memory.release(table.key_bytes);
        }
        self.batch = Vec::new().into_iter();
        self.probe = None;
        self.given_alone = 0;
        self.left.rewind(cx);
        self.right.rewind(cx);
    }
}
