//! Hash join: the right side in a hash table, the left side streamed past it. If the right side does not fit, both go to partitions
//! by their keys, which are joined one after the other ([`super::partitioned_join`]).

use async_trait::async_trait;
use expr::{Expr, Row};

use super::join::Shape;
use super::join_keys::SideKeys;
use super::join_table::{Pause, Probe, Table};
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
    /// How the left keys are told.
    left_side: SideKeys,
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
    Memory(Box<Table>),
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
            left_side: SideKeys::of(&left_keys),
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
        let mut table = Table::new(&self.shape, SideKeys::of(&self.right_keys), share);
        let mut partitioned: Option<PartitionedJoin> = None;
        while let Some(rows) = self.right.next(cx).await? {
            for row in rows {
                let beside = match table.keys().stand_in(&row) {
                    true => Row::new(),
                    false => cx.settled_all(&self.right_keys, &row).await?,
                };
                if cx.spend(1) {
                    cx.rest().await?;
                }
                if let Some(partitioned) = &mut partitioned {
                    let key = table.keys().key(beside, &row);
                    partitioned.push_right(cx, &self.shape, key, row).await?;
                } else if let Some((beside, row)) = table.insert(cx.memory, beside, row)? {
                    cx.tally(|truth| truth.note_held(table.bytes()));
                    let mut started = PartitionedJoin::start(cx, self.right_keys.len()).await?;
                    started.take_over(cx, &self.shape, &mut table).await?;
                    let key = table.keys().key(beside, &row);
                    started.push_right(cx, &self.shape, key, row).await?;
                    partitioned = Some(started);
                }
            }
        }
        // What it holds is of no use any more.
        self.right.rewind(cx);
        let Some(mut partitioned) = partitioned else {
            table.complete();
            cx.tally(|truth| truth.note_held(table.bytes()));
            return Ok(State::Memory(Box::new(table)));
        };
        partitioned.right_is_whole(cx).await?;
        while let Some(rows) = self.left.next(cx).await? {
            for row in rows {
                let beside = match self.left_side.stand_in(&row) {
                    true => Row::new(),
                    false => cx.settled_all(&self.left_keys, &row).await?,
                };
                partitioned.push_left(cx, &self.shape, self.left_side.key(beside, &row), row).await?;
                cx.tick(1).await?;
            }
        }
        self.left.rewind(cx);
        partitioned.left_is_whole(cx).await?;
        Ok(State::Partitioned(Box::new(partitioned)))
    }

    /// The next left row of the batch, if its key stands in it or is compared with nothing.
    fn ready_probe(&mut self, is_empty: bool) -> Option<Probe> {
        let is_ready = is_empty || self.left_side.stand_in(self.batch.as_slice().first()?);
        if is_ready { self.batch.next().map(|left| Probe::new(left, Row::new())) } else { None }
    }

    /// The next left row on its way past a table.
    async fn next_probe(&mut self, cx: &mut Context<'_>, is_empty: bool) -> Result<Option<Probe>> {
        if is_empty && !self.shape.keeps_left() {
            return Ok(None);
        }
        loop {
            // What is compared with nothing is not computed.
            if let Some(probe) = self.ready_probe(is_empty) {
                return Ok(Some(probe));
            }
            if let Some(left) = self.batch.next() {
                let beside = cx.settled_all(&self.left_keys, &left).await?;
                return Ok(Some(Probe::new(left, beside)));
            }
            match self.left.next(cx).await? {
                Some(rows) => self.batch = rows.into_iter(),
                None => return Ok(None),
            }
        }
    }

    async fn in_memory(&mut self, cx: &mut Context<'_>, table: &mut Table) -> Result<Option<Vec<Row>>> {
        let mut out = Batch::default();
        let is_empty = table.is_empty();
        let asks_all = !is_empty || self.shape.keeps_left();
        while !out.is_full() {
            let ready =
                self.probe.take().or_else(|| if asks_all { self.ready_probe(is_empty) } else { None });
            let mut probe = match ready {
                Some(probe) => probe,
                None => match self.next_probe(cx, is_empty).await? {
                    Some(probe) => probe,
                    None => break,
                },
            };
            let pause = table.pairs_at_once(cx, &self.shape, &self.left_side, &mut probe, &mut out)?;
            let is_done = match pause {
                Pause::Done => true,
                pause => table.pairs(cx, &self.shape, &self.left_side, &mut probe, pause, &mut out).await?,
            };
            if is_done {
                probe.answer(&self.shape, &mut out);
            } else {
                self.probe = Some(probe);
            }
            if cx.spend(1) {
                cx.rest().await?;
            }
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
