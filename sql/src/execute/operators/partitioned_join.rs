//! A hash join whose right side does not fit into memory: rows of both sides go to partitions by their keys, and each pair of
//! partitions is joined by itself.
//!
//! ```text
//! right ─▶ 16 partitions ─┐
//! left  ─▶ 16 partitions ─┴▶ pair by pair: the right one fits ────────────────▶ hash table, left rows past it
//!                             it does not ─▶ 16 by 16 by another hash, again
//!                             nor would that help (one key, or too deep) ─────▶ piece by piece, the left one past each
//! ```
//!
//! Rows are written behind their keys, which are thus evaluated once.

use expr::Row;

use super::Batch;
use super::group::GroupKey;
use super::join::Shape;
use super::join_keys::SideKeys;
use super::join_table::{Probe, Table};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::Memory;
use crate::execute::spill::{Partitions, Stream, StreamReader};

/// So often partitions are divided again.
const LEVELS: u32 = 6;

/// The join.
pub(super) struct PartitionedJoin {
    /// How many values stand in front of each row.
    keys: usize,
    right: Side,
    left: Side,
    /// What is still to be joined, the next last.
    pairs: Vec<Pair>,
    active: Option<Active>,
}

/// A side that is being divided.
enum Side {
    Open(Partitions),
    Whole(Vec<Stream>),
}

/// Partitions of the same hash.
struct Pair {
    right: Stream,
    left: Stream,
    /// How often they were divided; beyond [`LEVELS`] they are not any more.
    level: u32,
}

/// A pair that is being joined.
struct Active {
    table: Table,
    /// How keys are told: they stand in front of both sides' rows.
    keys: SideKeys,
    /// What is left of the right side, for later pieces, its first rows read already.
    right: Rows,
    /// The left side, from its start and as far as it is read.
    whole_left: Stream,
    left: Rows,
    /// Which left rows have found a partner in earlier pieces, if there are any.
    found: Vec<bool>,
    /// The next left row's place.
    place: usize,
    /// No piece follows.
    is_last: bool,
    probe: Option<Probe>,
}

/// Rows of a stream one by one.
struct Rows {
    reader: StreamReader,
    page: std::vec::IntoIter<Row>,
    /// A row that was read and is to be read again.
    again: Option<Row>,
}

impl Rows {
    fn of(stream: &Stream) -> Self {
        Self { reader: stream.reader(), page: Vec::new().into_iter(), again: None }
    }

    async fn next(&mut self, memory: &mut Memory) -> Result<Option<Row>> {
        loop {
            if let Some(row) = self.again.take().or_else(|| self.page.next()) {
                return Ok(Some(row));
            }
            match self.reader.next(memory).await? {
                Some(rows) => self.page = rows.into_iter(),
                None => return Ok(None),
            }
        }
    }
}

impl PartitionedJoin {
    /// Without rows.
    pub(super) async fn start(cx: &mut Context<'_>, keys: usize) -> Result<Self> {
        let right = Side::Open(Partitions::create(cx.memory).await?);
        Ok(Self { keys, right, left: Side::Whole(Vec::new()), pairs: Vec::new(), active: None })
    }

    /// Takes what a table holds.
    pub(super) async fn take_over(
        &mut self,
        cx: &mut Context<'_>,
        shape: &Shape,
        table: &mut Table,
    ) -> Result<()> {
        for (key, row) in table.take(cx.memory) {
            self.push_right(cx, shape, key, row).await?;
            cx.tick(1).await?;
        }
        Ok(())
    }

    /// Adds a right row.
    pub(super) async fn push_right(
        &mut self,
        cx: &mut Context<'_>,
        shape: &Shape,
        key: GroupKey,
        row: Row,
    ) -> Result<()> {
        if key.has_null() && !shape.marks_right() {
            return Ok(());
        }
        let row = if shape.asks_left() && shape.condition.is_none() { Row::new() } else { row };
        push(cx, &mut self.right, key, row).await
    }

    /// There are no more right rows.
    pub(super) async fn right_is_whole(&mut self, cx: &mut Context<'_>) -> Result<()> {
        finish(cx, &mut self.right).await?;
        self.left = Side::Open(Partitions::create(cx.memory).await?);
        Ok(())
    }

    /// Adds a left row.
    pub(super) async fn push_left(
        &mut self,
        cx: &mut Context<'_>,
        shape: &Shape,
        key: GroupKey,
        row: Row,
    ) -> Result<()> {
        if key.has_null() && !shape.keeps_left() {
            return Ok(());
        }
        push(cx, &mut self.left, key, row).await
    }

    /// There are no more left rows.
    pub(super) async fn left_is_whole(&mut self, cx: &mut Context<'_>) -> Result<()> {
        finish(cx, &mut self.left).await?;
        let whole = |side: &mut Side| match std::mem::replace(side, Side::Whole(Vec::new())) {
            Side::Whole(streams) => streams,
            Side::Open(_) => Vec::new(),
        };
        let (right, left) = (whole(&mut self.right), whole(&mut self.left));
        self.pairs.extend(right.into_iter().zip(left).map(|(right, left)| Pair { right, left, level: 1 }));
        Ok(())
    }

    /// The next rows; `None` at the end.
    pub(super) async fn next(&mut self, cx: &mut Context<'_>, shape: &Shape) -> Result<Option<Vec<Row>>> {
        loop {
            if self.active.is_none() && !self.activate(cx, shape).await? {
                return Ok(None);
            }
            if let Some(active) = &mut self.active {
                if let Some(rows) = active.next(cx, shape, self.keys).await? {
                    return Ok(Some(rows));
                }
                if !active.is_last {
                    active.next_piece(cx, self.keys).await?;
                    continue;
                }
                active.release(cx.memory);
            }
            self.active = None;
        }
    }

    /// Begins with the next pair that answers anything; false if there is none.
    async fn activate(&mut self, cx: &mut Context<'_>, shape: &Shape) -> Result<bool> {
        while let Some(pair) = self.pairs.pop() {
            cx.tick(1).await?;
            let answers_nothing = pair.right.rows() == 0 && !shape.keeps_left()
                || pair.left.rows() == 0 && !shape.marks_right();
            if answers_nothing {
                continue;
            }
            let mut active = Active {
                table: Table::new(shape, SideKeys::made(self.keys), cx.memory.share()),
                keys: SideKeys::made(self.keys),
                right: Rows::of(&pair.right),
                left: Rows::of(&pair.left),
                whole_left: pair.left.clone(),
                found: Vec::new(),
                place: 0,
                is_last: false,
                probe: None,
            };
            active.next_piece(cx, self.keys).await?;
            if active.is_last || pair.level > LEVELS {
                self.active = Some(active);
                return Ok(true);
            }
            active.release(cx.memory);
            self.divide(cx, pair).await?;
        }
        Ok(false)
    }

    /// Divides a pair by another hash.
    async fn divide(&mut self, cx: &mut Context<'_>, pair: Pair) -> Result<()> {
        let right = divide(cx, &pair.right, self.keys, pair.level).await?;
        // What lies together however it is divided is of one key.
        let is_of_one_key = right.iter().any(|part| part.rows() == pair.right.rows());
        let level = if is_of_one_key { LEVELS } else { pair.level }.saturating_add(1);
        let left = divide(cx, &pair.left, self.keys, pair.level).await?;
        self.pairs.extend(right.into_iter().zip(left).map(|(right, left)| Pair { right, left, level }));
        Ok(())
    }

    /// Gives its memory back.
    pub(super) fn release(self, memory: &mut Memory) {
        for side in [self.right, self.left] {
            if let Side::Open(partitions) = side {
                partitions.release(memory);
            }
        }
        if let Some(mut active) = self.active {
            active.release(memory);
        }
    }
}

async fn push(cx: &mut Context<'_>, side: &mut Side, key: GroupKey, row: Row) -> Result<()> {
    let hash = key.hash_at(0);
    let mut keyed = key.0;
    keyed.extend(row);
    match side {
        Side::Open(partitions) => partitions.push(cx.memory, hash, &keyed).await,
        Side::Whole(_) => Ok(()),
    }
}

async fn finish(cx: &mut Context<'_>, side: &mut Side) -> Result<()> {
    if let Side::Open(partitions) = std::mem::replace(side, Side::Whole(Vec::new())) {
        *side = Side::Whole(partitions.finish(cx.memory).await?);
    }
    Ok(())
}

async fn divide(cx: &mut Context<'_>, stream: &Stream, keys: usize, level: u32) -> Result<Vec<Stream>> {
    let mut partitions = Partitions::create(cx.memory).await?;
    let mut rows = Rows::of(stream);
    while let Some(row) = rows.next(cx.memory).await? {
        let key = GroupKey(row.iter().take(keys).cloned().collect());
        partitions.push(cx.memory, key.hash_at(level), &row).await?;
        cx.tick(1).await?;
    }
    partitions.finish(cx.memory).await
}

impl Active {
    /// Puts as many right rows as fit into the table and begins with the left side anew.
    async fn next_piece(&mut self, cx: &mut Context<'_>, keys: usize) -> Result<()> {
        self.table.clear(cx.memory);
        self.is_last = true;
        while let Some(mut row) = self.right.next(cx.memory).await? {
            cx.tick(1).await?;
            let rest = row.split_off(keys.min(row.len()));
            if let Some((key, rest)) = self.table.insert(cx.memory, row, rest)? {
                let mut row = key;
                row.extend(rest);
                self.right.again = Some(row);
                self.is_last = false;
                break;
            }
        }
        self.table.complete();
        cx.tally(|truth| truth.note_held(self.table.bytes()));
        self.left.reader.release(cx.memory);
        self.left = Rows::of(&self.whole_left);
        if !self.is_last && self.found.is_empty() {
            let rows = usize::try_from(self.whole_left.rows()).unwrap_or(usize::MAX);
            cx.memory.reserve(rows)?;
            self.found = vec![false; rows];
        }
        self.place = 0;
        Ok(())
    }

    /// The next rows of this piece; `None` at its end.
    async fn next(&mut self, cx: &mut Context<'_>, shape: &Shape, keys: usize) -> Result<Option<Vec<Row>>> {
        let mut out = Batch::default();
        while !out.is_full() {
            let mut probe = match self.probe.take() {
                Some(probe) => probe,
                None => match self.left.next(cx.memory).await? {
                    Some(mut row) => {
                        let left = row.split_off(keys.min(row.len()));
                        let found = self.found.get(self.place).copied().unwrap_or(false);
                        Probe::new(left, row).found_before(found)
                    }
                    None => break,
                },
            };
            let pause = self.table.pairs_at_once(cx, shape, &self.keys, &mut probe, &mut out)?;
            if !self.table.pairs(cx, shape, &self.keys, &mut probe, pause, &mut out).await? {
                self.probe = Some(probe);
                continue;
            }
            if let Some(found) = self.found.get_mut(self.place) {
                *found = probe.found;
            }
            self.place = self.place.saturating_add(1);
            if self.is_last {
                probe.answer(shape, &mut out);
            }
            cx.tick(1).await?;
        }
        match out.into_rows() {
            Some(rows) => Ok(Some(rows)),
            None => self.table.right_alone(cx, shape).await,
        }
    }

    fn release(&mut self, memory: &mut Memory) {
        self.table.clear(memory);
        self.right.reader.release(memory);
        self.left.reader.release(memory);
        memory.release(self.found.len());
        self.found.clear();
    }
}
