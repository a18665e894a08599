//! Hash join: the right side in a hash table, the left side streamed past it.

use std::collections::HashMap;

use async_trait::async_trait;
use expr::{Expr, Row};

use super::group::GroupKey;
use super::join::Shape;
use super::{BATCH_ROWS, BoxOperator, Operator};
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
    given_alone: usize,
}

#[derive(Default)]
struct Table {
    held: HeldRows,
    places: HashMap<GroupKey, Vec<usize>>,
    key_bytes: usize,
    matched: Vec<bool>,
}

impl HashJoinOperator {
    pub(super) fn new(
        left: BoxOperator,
        right: BoxOperator,
        left_keys: Vec<Expr>,
        right_keys: Vec<Expr>,
        shape: Shape,
    ) -> Self {
        Self { left, right, left_keys, right_keys, shape, table: None, given_alone: 0 }
    }

    async fn build(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let mut table = Table::default();
        while let Some(rows) = self.right.next(cx).await? {
            for row in rows {
                let key = GroupKey::of(&self.right_keys, cx.evaluate_all(&self.right_keys, &row)?);
                let place = table.held.rows.len();
                table.held.push(row, cx.memory)?;
                if key.has_null() {
                    continue;
                }
                let bytes = row_bytes(&key.0).saturating_add(size_of::<usize>());
                cx.memory.reserve(bytes)?;
                table.key_bytes = table.key_bytes.saturating_add(bytes);
                table.places.entry(key).or_default().push(place);
            }
        }
        if self.shape.keeps_right() {
            table.matched = vec![false; table.held.rows.len()];
        }
        self.table = Some(table);
        Ok(())
    }

    fn probe(&mut self, cx: &Context<'_>, left: Row, out: &mut Vec<Row>) -> Result<()> {
        let Some(table) = &mut self.table else { return Ok(()) };
        let key = GroupKey::of(&self.left_keys, cx.evaluate_all(&self.left_keys, &left)?);
        let places = if key.has_null() { None } else { table.places.get(&key) };
        let mut found = false;
        for place in places.into_iter().flatten() {
            let Some(right) = table.held.rows.get(*place) else { continue };
            if let Some(pair) = self.shape.pair(cx, &left, right)? {
                found = true;
                if let Some(matched) = table.matched.get_mut(*place) {
                    *matched = true;
                }
                out.push(pair);
            }
        }
        if !found && self.shape.keeps_left() {
            out.push(self.shape.left_alone(left));
        }
        Ok(())
    }

    fn right_alone(&mut self) -> Vec<Row> {
        let Some(table) = &self.table else { return Vec::new() };
        let mut batch = Vec::new();
        while batch.len() < BATCH_ROWS
            && let (Some(matched), Some(row)) =
                (table.matched.get(self.given_alone), table.held.rows.get(self.given_alone))
        {
            self.given_alone += 1;
            if !matched {
                batch.push(self.shape.right_alone(row));
            }
        }
        batch
    }
}

#[async_trait]
impl Operator for HashJoinOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        if self.table.is_none() {
            self.build(cx).await?;
        }
        while let Some(rows) = self.left.next(cx).await? {
            let mut out = Vec::with_capacity(rows.len());
            for left in rows {
                self.probe(cx, left, &mut out)?;
            }
            if !out.is_empty() {
                return Ok(Some(out));
            }
        }
        let alone = self.right_alone();
        Ok((!alone.is_empty()).then_some(alone))
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        if let Some(mut table) = self.table.take() {
            table.held.clear(cx.memory);
            cx.memory.release(table.key_bytes);
        }
        self.given_alone = 0;
        self.left.rewind(cx);
        self.right.rewind(cx);
    }
}
