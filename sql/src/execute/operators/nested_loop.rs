//! Joins that look at pairs one by one: the plain nested loop, and the one whose right side depends on the left row.

use async_trait::async_trait;
use expr::Row;

use super::apply::bind;
use super::join::Shape;
use super::{BATCH_ROWS, Batch, BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::HeldRows;
use crate::plan::Binding;

/// Every left row with every right row; the right side is read once and kept.
pub(super) struct NestedLoopOperator {
    left: BoxOperator,
    right: BoxOperator,
    shape: Shape,
    held: Option<HeldRows>,
    matched: Vec<bool>,
    /// The left batch under way: rows still to pair, and how far the first is.
    batch: std::vec::IntoIter<Row>,
    current: Option<Current>,
    left_done: bool,
    given_alone: usize,
}

struct Current {
    row: Row,
    next: usize,
    matched: bool,
}

impl NestedLoopOperator {
    pub(super) fn new(left: BoxOperator, right: BoxOperator, shape: Shape) -> Self {
        Self {
            left,
            right,
            shape,
            held: None,
            matched: Vec::new(),
            batch: Vec::new().into_iter(),
            current: None,
            left_done: false,
            given_alone: 0,
        }
    }

    async fn hold_right(&mut self, cx: &mut Context<'_>) -> Result<()> {
        if self.held.is_none() {
            let mut held = HeldRows::default();
            while let Some(rows) = self.right.next(cx).await? {
                for row in rows {
                    held.push(row, cx.memory)?;
                    cx.tick(1).await?;
                }
            }
            if self.shape.marks_right() {
                self.matched = vec![false; held.rows.len()];
            }
            self.held = Some(held);
        }
        Ok(())
    }

    async fn next_left(&mut self, cx: &mut Context<'_>) -> Result<Option<Current>> {
        loop {
            if let Some(row) = self.batch.next() {
                return Ok(Some(Current { row, next: 0, matched: false }));
            }
            if self.left_done {
                return Ok(None);
            }
            match self.left.next(cx).await? {
                Some(rows) => self.batch = rows.into_iter(),
                None => self.left_done = true,
            }
        }
    }

    async fn right_alone(&mut self, cx: &mut Context<'_>) -> Result<Vec<Row>> {
        let Some(held) = &self.held else { return Ok(Vec::new()) };
        let mut batch = Vec::new();
        while batch.len() < BATCH_ROWS
            && let (Some(matched), Some(row)) =
                (self.matched.get(self.given_alone), held.rows.get(self.given_alone))
        {
            self.given_alone += 1;
            batch.extend(self.shape.right_done(row, *matched));
            cx.tick(1).await?;
        }
        Ok(batch)
    }
}

#[async_trait]
impl Operator for NestedLoopOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        self.hold_right(cx).await?;
        // Nothing is asked of rows that can have no partner and are not answered without one.
        self.left_done |=
            self.held.as_ref().is_none_or(|held| held.rows.is_empty()) && !self.shape.keeps_left();
        let mut out = Batch::default();
        while !out.is_full() {
            let mut current = match self.current.take() {
                Some(current) => current,
                None => match self.next_left(cx).await? {
                    Some(current) => current,
                    None => break,
                },
            };
            let held = self.held.as_ref().map_or(&[][..], |held| &held.rows);
            for right in held.iter().skip(current.next) {
                if self.shape.asks_left() && current.matched {
                    current.next = held.len();
                    break;
                }
                if let Some(pair) = self.shape.pair(cx, &current.row, right).await? {
                    current.matched = true;
                    if let Some(matched) = self.matched.get_mut(current.next) {
                        *matched = true;
                    }
                    if !self.shape.asks_left() && !self.shape.asks_right() {
                        out.push(pair);
                    }
                }
                current.next += 1;
                cx.tick(1).await?;
                if out.is_full() {
                    break;
                }
            }
            if current.next < held.len() {
                self.current = Some(current);
                break;
            }
            if let Some(row) = self.shape.left_done(current.row, current.matched) {
                out.push(row);
            }
            cx.tick(1).await?;
        }
        if let Some(rows) = out.into_rows() {
            return Ok(Some(rows));
        }
        let alone = self.right_alone(cx).await?;
        Ok((!alone.is_empty()).then_some(alone))
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        if let Some(mut held) = self.held.take() {
            held.clear(cx.memory);
        }
        self.matched.clear();
        self.batch = Vec::new().into_iter();
        self.current = None;
        self.left_done = false;
        self.given_alone = 0;
        self.left.rewind(cx);
        self.right.rewind(cx);
    }
}

/// The right side is run for each left row, with slots set from it.
pub(super) struct DependentOperator {
    pub(super) left: BoxOperator,
    pub(super) right: BoxOperator,
    pub(super) bindings: Vec<Binding>,
    pub(super) shape: Shape,
    /// Left rows still to pair.
    pub(super) batch: std::vec::IntoIter<Row>,
    /// The left row whose partners are being read, and whether it found any.
    pub(super) current: Option<(Row, bool)>,
}

#[async_trait]
impl Operator for DependentOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let mut out = Batch::default();
        if let Some((left, _)) = &self.current {
            // Another run of the same plan may have set the slots meanwhile.
            bind(cx, &self.bindings, left).await?;
        }
        while !out.is_full() {
            cx.tick(1).await?;
            let (left, mut matched) = match self.current.take() {
                Some(current) => current,
                None => {
                    let row = match self.batch.next() {
                        Some(row) => row,
                        None => match self.left.next(cx).await? {
                            Some(rows) => {
                                self.batch = rows.into_iter();
                                continue;
                            }
                            None => break,
                        },
                    };
                    bind(cx, &self.bindings, &row).await?;
                    self.right.rewind(cx);
                    (row, false)
                }
            };
            match self.right.next(cx).await? {
                Some(rows) => {
                    for right in &rows {
                        if let Some(pair) = self.shape.pair(cx, &left, right).await? {
                            matched = true;
                            if self.shape.asks_left() {
                                break;
                            }
                            out.push(pair);
                        }
                        cx.tick(1).await?;
                    }
                    if matched && self.shape.asks_left() {
                        // No other partner is asked for.
                        self.shape.left_done(left, matched).into_iter().for_each(|row| out.push(row));
                        continue;
                    }
                    self.current = Some((left, matched));
                }
                None => self.shape.left_done(left, matched).into_iter().for_each(|row| out.push(row)),
            }
        }
        Ok(out.into_rows())
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.batch = Vec::new().into_iter();
        self.current = None;
        self.left.rewind(cx);
        // It begins anew for each left row; what it holds is given back to the account that it came from.
        self.right.rewind(cx);
    }
}
