//! Hash join: the right side in a hash table, the left side streamed past it. If the right side does not fit, both go to partitions
//! by their keys, which are joined one after the other ([`super::partitioned_join`]).

use async_trait::async_trait;
use expr::{Expr, Row};

use super::group::GroupKey;
use super::join::Shape;
use super::join_table::{Probe, Table};
use super::partitioned_join::PartitionedJoin;
use super::{Batch, BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;

/// Pairs with equal keys.
pub(super) struct HashJoinOperator {
    left: BoxOperator,
    right: BoxOperator,
    left_keys: Vec<Expr>,
    right_keys: Vec<Expr>,
    shape: Shape,
    /// Whether somebody counts on the left rows' order, which partitions would lose: then the right side has to fit.
    keeps_order: bool,
    state: State,
    /// Left rows still to probe with.
    batch: std::vec::IntoIter<Row>,
    probe: Option<Probe>,
}

enum State {
    Fresh,
    /// The right side fits.
    Memory(Table),
    Partitioned(Box<PartitionedJoin>),
}

impl HashJoinOperator {
    pub(super) fn new(
        left: BoxOperator,
        right: BoxOperator,
        left_keys: Vec<Expr>,
        right_keys: Vec<Expr>,
        shape: Shape,
        keeps_order: bool,
    ) -> Self {
        Self {
            left,
            right,
            left_keys,
            right_keys,
            shape,
            keeps_order,
            state: State::Fresh,
            batch: Vec::new().into_iter(),
            probe: None,
        }
    }

    async fn build(&mut self, cx: &mut Context<'_>) -> Result<State> {
        let share = if self.keeps_order { None } else { cx.memory.share() };
        let mut table = Table::new(&self.shape, share);
        let mut partitioned: Option<PartitionedJoin> = None;
        while let Some(rows) = self.right.next(cx).await? {
            for row in rows {
                let values = cx.settled(|cx| cx.evaluate_all(&self.right_keys, &row)).await?;
                let key = GroupKey::of(&self.right_keys, values);
                cx.tick(1).await?;
                if let Some(partitioned) = &mut partitioned {
                    partitioned.push_right(cx, &self.shape, key, row).await?;
                } else if let Some((key, row)) = table.insert(cx.memory, key, row)? {
                    let mut started = PartitionedJoin::start(cx, self.right_keys.len()).await?;
                    started.take_over(cx, &self.shape, &mut table).await?;
                    started.push_right(cx, &self.shape, key, row).await?;
                    partitioned = Some(started);
                }
            }
        }
        // What it holds is of no use any more.
        self.right.rewind(cx);
        let Some(mut partitioned) = partitioned else {
            table.complete();
            return Ok(State::Memory(table));
        };
        partitioned.right_is_whole(cx).await?;
        while let Some(rows) = self.left.next(cx).await? {
            for row in rows {
                let values = cx.settled(|cx| cx.evaluate_all(&self.left_keys, &row)).await?;
                partitioned.push_left(cx, &self.shape, GroupKey::of(&self.left_keys, values), row).await?;
                cx.tick(1).await?;
            }
        }
        self.left.rewind(cx);
        partitioned.left_is_whole(cx).await?;
        Ok(State::Partitioned(Box::new(partitioned)))
    }

    /// The next left row on its way past a table.
    async fn next_probe(&mut self, cx: &mut Context<'_>, is_empty: bool) -> Result<Option<Probe>> {
        if is_empty && !self.shape.keeps_left() {
            return Ok(None);
        }
        loop {
            if let Some(left) = self.batch.next() {
                // What is compared with nothing is not computed.
                let key = if is_empty {
                    GroupKey(Row::new())
                } else {
                    let values = cx.settled(|cx| cx.evaluate_all(&self.left_keys, &left)).await?;
                    GroupKey::of(&self.left_keys, values)
                };
                return Ok(Some(Probe::new(left, key)));
            }
            match self.left.next(cx).await? {
                Some(rows) => self.batch = rows.into_iter(),
                None => return Ok(None),
            }
        }
    }

    async fn in_memory(&mut self, cx: &mut Context<'_>, table: &mut Table) -> Result<Option<Vec<Row>>> {
        let mut out = Batch::default();
        while !out.is_full() {
            let probe = match self.probe.take() {
                Some(probe) => probe,
                None => match self.next_probe(cx, table.is_empty()).await? {
                    Some(probe) => probe,
                    None => break,
                },
            };
            match table.pairs(cx, &self.shape, probe, &mut out).await? {
                Ok(done) => done.answer(&self.shape, &mut out),
                Err(under_way) => self.probe = Some(under_way),
            }
            cx.tick(1).await?;
        }
        if let Some(rows) = out.into_rows() {
            return Ok(Some(rows));
        }
        table.right_alone(cx, &self.shape).await
    }
}

#[async_trait]
impl Operator for HashJoinOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let mut state = match std::mem::replace(&mut self.state, State::Fresh) {
            State::Fresh => self.build(cx).await?,
            state => state,
        };
        let rows = match &mut state {
            State::Memory(table) => self.in_memory(cx, table).await,
            State::Partitioned(join) => join.next(cx, &self.shape).await,
            State::Fresh => Ok(None),
        };
        self.state = state;
        rows
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        match std::mem::replace(&mut self.state, State::Fresh) {
            State::Fresh => {}
            State::Memory(mut table) => table.clear(cx.memory),
            State::Partitioned(join) => join.release(cx.memory),
        }
        self.batch = Vec::new().into_iter();
        self.probe = None;
        self.left.rewind(cx);
        self.right.rewind(cx);
    }
}
