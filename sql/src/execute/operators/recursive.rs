//! WITH RECURSIVE: what the last round has made goes into the next, until a round makes nothing.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use expr::Row;
use parking_lot::Mutex;

use super::group::{ENTRY_BYTES, GroupKey, Padded};
use super::{Batch, BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::{HeldRows, row_bytes};

/// The rows that a round works on.
pub(super) type WorkingRows = Arc<Mutex<HeldRows>>;

/// The rows of the first query, then those that rounds of the second make.
pub(super) struct RecursiveOperator {
    first: BoxOperator,
    round: BoxOperator,
    working: WorkingRows,
    /// What this round has made.
    made: HeldRows,
    /// UNION: the rows that there were already.
    seen: Option<HashSet<GroupKey>>,
    /// Of the rows.
    padded: Padded,
    bytes: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    First,
    Rounds,
    Done,
}

impl RecursiveOperator {
    pub(super) fn new(
        first: BoxOperator,
        round: BoxOperator,
        working: WorkingRows,
        padded: Padded,
        all: bool,
    ) -> Self {
        let seen = if all { None } else { Some(HashSet::new()) };
        Self { first, round, working, made: HeldRows::default(), seen, padded, bytes: 0, state: State::First }
    }

    /// What there was not yet of these rows, kept for the next round.
    async fn keep(&mut self, cx: &mut Context<'_>, rows: Vec<Row>) -> Result<Vec<Row>> {
        let mut kept = Vec::with_capacity(rows.len());
        for row in rows {
            cx.tick(1).await?;
            if let Some(seen) = &mut self.seen {
                let bytes = row_bytes(&row).saturating_add(ENTRY_BYTES);
                if !seen.insert(self.padded.key(row.clone())) {
                    continue;
                }
                cx.memory.reserve(bytes)?;
                self.bytes = self.bytes.saturating_add(bytes);
            }
            self.made.push(row.clone(), cx.memory)?;
            kept.push(row);
        }
        Ok(kept)
    }

    /// Begins a round with what the last one has made; false if that is nothing.
    fn begin(&mut self, cx: &mut Context<'_>) -> bool {
        let mut working = self.working.lock();
        working.clear(cx.memory);
        std::mem::swap(&mut *working, &mut self.made);
        let has_rows = !working.rows.is_empty();
        drop(working);
        if has_rows {
            self.round.rewind(cx);
        }
        has_rows
    }

    fn forget(&mut self, cx: &mut Context<'_>) {
        self.made.clear(cx.memory);
        self.working.lock().clear(cx.memory);
        if let Some(seen) = &mut self.seen {
            seen.clear();
        }
        cx.memory.release(std::mem::take(&mut self.bytes));
    }
}

#[async_trait]
impl Operator for RecursiveOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        loop {
            let rows = match self.state {
                State::First => self.first.next(cx).await?,
                State::Rounds => self.round.next(cx).await?,
                State::Done => return Ok(None),
            };
            match rows {
                Some(rows) => {
                    let kept = self.keep(cx, rows).await?;
                    if !kept.is_empty() {
                        return Ok(Some(kept));
                    }
                }
                None if self.begin(cx) => self.state = State::Rounds,
                None => {
                    self.state = State::Done;
                    self.forget(cx);
                }
            }
            cx.tick(1).await?;
        }
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.forget(cx);
        self.state = State::First;
        self.first.rewind(cx);
        self.round.rewind(cx);
    }
}

/// The rows that a round works on.
pub(super) struct WorkingOperator {
    pub(super) working: WorkingRows,
    /// How many of them were handed out.
    pub(super) given: usize,
}

#[async_trait]
impl Operator for WorkingOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let mut batch = Batch::default();
        {
            let working = self.working.lock();
            for row in working.rows.iter().skip(self.given) {
                batch.push(row.clone());
                if batch.is_full() {
                    break;
                }
            }
        }
        self.given = self.given.saturating_add(batch.rows.len());
        cx.tick(batch.rows.len()).await?;
        Ok(batch.into_rows())
    }

    fn rewind(&mut self, _cx: &mut Context<'_>) {
        self.given = 0;
    }
}
