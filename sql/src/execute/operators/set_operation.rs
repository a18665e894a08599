//! INTERSECT and EXCEPT, each with and without ALL: how often each right row is there, in a hash table, and the left rows
//! streamed past it. What the table has no room for goes, with all that is in it and all left rows, to partitions, which are
//! looked at pair by pair, and divided again where they do not fit either.

use std::collections::HashMap;

use async_trait::async_trait;
use expr::{Datum, Row};

use super::group::{ENTRY_BYTES, GroupKey, Padded};
use super::{Batch, BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::{Memory, row_bytes};
use crate::execute::spill::{Partitions, Stream, StreamReader};

/// Combines the rows of two inputs.
pub(super) struct SetOperator {
    left: BoxOperator,
    right: BoxOperator,
    table: Table,
    /// Rows of the left input that were not looked at yet.
    batch: std::vec::IntoIter<Row>,
    right_read: bool,
    left_read: bool,
    /// The left rows that are looked at now, if they are from a partition.
    reader: Option<StreamReader>,
    /// What is still to be looked at, the next last: counted right rows, left rows, how often they were divided.
    pairs: Vec<(Stream, Stream, u32)>,
    /// How often what is looked at was divided.
    level: u32,
}

/// How often each row is on the right.
struct Table {
    padded: Padded,
    intersect: bool,
    all: bool,
    /// The rows; 0: used up, or given.
    counts: HashMap<GroupKey, i64>,
    bytes: usize,
    share: Option<usize>,
}

/// What becomes of a left row.
enum Taken {
    Given(Row),
    LeftOut,
    /// It cannot be kept in mind that it was given.
    NoRoom(Row),
}

impl Table {
    /// Counts a row so often more; handed back if there is no room for it.
    fn count(&mut self, memory: &mut Memory, key: GroupKey, more: i64) -> Result<Option<GroupKey>> {
        if let Some(count) = self.counts.get_mut(&key) {
            *count = count.saturating_add(more);
            return Ok(None);
        }
        let bytes = row_bytes(&key.0).saturating_add(ENTRY_BYTES);
        if !memory.reserve_within(bytes, self.bytes, self.share)? {
            return Ok(Some(key));
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.counts.insert(key, more);
        Ok(None)
    }

    fn take(&mut self, memory: &mut Memory, row: Row) -> Result<Taken> {
        let key = self.padded.key(row.clone());
        let taken = match (self.intersect, self.all, self.counts.get_mut(&key)) {
            // A row on both sides is given as often as it is on the side where it is rarer.
            (true, true, Some(count)) if *count > 0 => {
                *count -= 1;
                true
            }
            // Given once, then used up.
            (true, false, Some(count)) if *count > 0 => {
                *count = 0;
                true
            }
            (true, _, _) => false,
            // Each row on the right takes one on the left away.
            (false, true, Some(count)) if *count > 0 => {
                *count -= 1;
                false
            }
            (false, true, _) => true,
            (false, false, Some(_)) => false,
            (false, false, None) => match self.count(memory, key, 0)? {
                None => true,
                Some(_) => return Ok(Taken::NoRoom(row)),
            },
        };
        Ok(if taken { Taken::Given(row) } else { Taken::LeftOut })
    }

    fn clear(&mut self, memory: &mut Memory) {
        self.counts.clear();
        memory.release(std::mem::take(&mut self.bytes));
    }

    /// Moves everything to partitions, each row with its count behind it.
    async fn move_to(&mut self, cx: &mut Context<'_>, partitions: &mut Partitions, level: u32) -> Result<()> {
        cx.tally(|truth| truth.note_held(self.bytes));
        let counts = std::mem::take(&mut self.counts);
        self.clear(cx.memory);
        for (key, count) in counts {
            push_counted(cx, partitions, key, count, level).await?;
            cx.tick(1).await?;
        }
        Ok(())
    }
}

async fn push_counted(
    cx: &mut Context<'_>,
    partitions: &mut Partitions,
    key: GroupKey,
    count: i64,
    level: u32,
) -> Result<()> {
    let hash = key.hash_at(level);
    let mut row = key.0;
    row.push(Datum::Int8(count));
    partitions.push(cx.memory, hash, &row).await
}

impl SetOperator {
    pub(super) fn new(
        left: BoxOperator,
        right: BoxOperator,
        padded: Padded,
        intersect: bool,
        all: bool,
    ) -> Self {
        let table = Table { padded, intersect, all, counts: HashMap::new(), bytes: 0, share: None };
        Self {
            left,
            right,
            table,
            batch: Vec::new().into_iter(),
            right_read: false,
            left_read: false,
            reader: None,
            pairs: Vec::new(),
            level: 0,
        }
    }

    async fn read_right(&mut self, cx: &mut Context<'_>) -> Result<()> {
        self.table.share = cx.memory.share();
        let mut aside: Option<Partitions> = None;
        while let Some(rows) = self.right.next(cx).await? {
            for row in rows {
                cx.tick(1).await?;
                let key = self.table.padded.key(row);
                self.count(cx, &mut aside, key, 1).await?;
            }
        }
        self.right.rewind(cx);
        self.right_read = true;
        match aside {
            Some(right) => self.divide_left(cx, right, None).await,
            None => Ok(()),
        }
    }

    /// Counts a right row, in the table or, once that has overflown, aside.
    async fn count(
        &mut self,
        cx: &mut Context<'_>,
        aside: &mut Option<Partitions>,
        key: GroupKey,
        count: i64,
    ) -> Result<()> {
        if let Some(aside) = aside {
            return push_counted(cx, aside, key, count, self.level).await;
        }
        if let Some(key) = self.table.count(cx.memory, key, count)? {
            let mut started = Partitions::create(cx.memory).await?;
            self.table.move_to(cx, &mut started, self.level).await?;
            push_counted(cx, &mut started, key, count, self.level).await?;
            *aside = Some(started);
        }
        Ok(())
    }

    /// Puts what is left of the left rows aside, too.
    async fn divide_left(
        &mut self,
        cx: &mut Context<'_>,
        right: Partitions,
        first: Option<Row>,
    ) -> Result<()> {
        let right = right.finish(cx.memory).await?;
        let mut left = Partitions::create(cx.memory).await?;
        let mut next = first;
        loop {
            let row = match next.take() {
                Some(row) => row,
                None => match self.next_left(cx).await? {
                    Some(row) => row,
                    None => break,
                },
            };
            let hash = self.table.padded.key(row.clone()).hash_at(self.level);
            left.push(cx.memory, hash, &row).await?;
            cx.tick(1).await?;
        }
        let left = left.finish(cx.memory).await?;
        let level = self.level.saturating_add(1);
        self.pairs.extend(right.into_iter().zip(left).map(|(right, left)| (right, left, level)));
        Ok(())
    }

    /// The next left row of the input or the partition that is looked at.
    async fn next_left(&mut self, cx: &mut Context<'_>) -> Result<Option<Row>> {
        loop {
            if let Some(row) = self.batch.next() {
                return Ok(Some(row));
            }
            let rows = match &mut self.reader {
                Some(reader) => reader.next(cx.memory).await?,
                None if self.left_read => None,
                None => {
                    let rows = self.left.next(cx).await?;
                    self.left_read = rows.is_none();
                    rows
                }
            };
            let Some(rows) = rows else { return Ok(None) };
            self.batch = rows.into_iter();
        }
    }

    /// Begins with the next pair of partitions; false if there is none.
    async fn next_pair(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        self.table.clear(cx.memory);
        let Some((right, left, level)) = self.pairs.pop() else { return Ok(false) };
        self.level = level;
        self.table.share = cx.memory.share();
        self.reader = Some(left.reader());
        let mut counted = right.reader();
        let mut aside: Option<Partitions> = None;
        while let Some(rows) = counted.next(cx.memory).await? {
            for mut row in rows {
                cx.tick(1).await?;
                let count = row.pop().and_then(|count| count.as_i64()).unwrap_or(0);
                self.count(cx, &mut aside, GroupKey(row), count).await?;
            }
        }
        if let Some(right) = aside {
            self.divide_left(cx, right, None).await?;
        }
        Ok(true)
    }
}

#[async_trait]
impl Operator for SetOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        if !self.right_read {
            self.read_right(cx).await?;
        }
        let mut batch = Batch::default();
        loop {
            while !batch.is_full()
                && let Some(row) = self.next_left(cx).await?
            {
                cx.tick(1).await?;
                match self.table.take(cx.memory, row)? {
                    Taken::Given(row) => batch.push(row),
                    Taken::LeftOut => {}
                    Taken::NoRoom(row) => {
                        let mut right = Partitions::create(cx.memory).await?;
                        self.table.move_to(cx, &mut right, self.level).await?;
                        self.divide_left(cx, right, Some(row)).await?;
                    }
                }
            }
            cx.tally(|truth| truth.note_held(self.table.bytes));
            if let Some(rows) = batch.into_rows() {
                return Ok(Some(rows));
            }
            if !self.next_pair(cx).await? {
                return Ok(None);
            }
            batch = Batch::default();
        }
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.table.clear(cx.memory);
        self.batch = Vec::new().into_iter();
        self.right_read = false;
        self.left_read = false;
        if let Some(mut reader) = self.reader.take() {
            reader.release(cx.memory);
        }
        self.pairs.clear();
        self.level = 0;
        self.left.rewind(cx);
        self.right.rewind(cx);
    }
}
