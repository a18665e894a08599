//! The hash table of a join: right rows by their keys, and left rows that go past them.

use std::collections::HashMap;

use expr::Row;

use super::group::{ENTRY_BYTES, GroupKey};
use super::join::Shape;
use super::{BATCH_ROWS, Batch};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::{HeldRows, Memory, row_bytes};

/// Right rows by their keys.
pub(super) struct Table {
    held: HeldRows,
    places: HashMap<GroupKey, Vec<usize>>,
    /// What the keys take, and the marks.
    key_bytes: usize,
    share: Option<usize>,
    /// Where only one partner is asked for, and any will do: the first of each key is enough, and of it only that it is there.
    keeps_keys_only: bool,
    marks: bool,
    /// Which rows have found a partner.
    matched: Vec<bool>,
    given_alone: usize,
}

/// A left row on its way past the table: it may have more partners than a batch has room.
pub(super) struct Probe {
    left: Row,
    key: GroupKey,
    /// How many of the rows under the key were looked at.
    next: usize,
    found: bool,
}

/// A left row that has gone past the table.
pub(super) struct Done {
    left: Row,
    pub(super) found: bool,
}

impl Done {
    /// What is answered of it, beside its pairs.
    pub(super) fn answer(self, shape: &Shape, out: &mut Batch) {
        if let Some(row) = shape.left_done(self.left, self.found) {
            out.push(row);
        }
    }
}

impl Probe {
    /// A left row that has not been compared yet.
    pub(super) fn new(left: Row, key: GroupKey) -> Self {
        Self { left, key, next: 0, found: false }
    }

    /// The same row, which has found a partner elsewhere.
    pub(super) fn found_before(mut self, found: bool) -> Self {
        self.found = found;
        self
    }
}

impl Table {
    /// Without rows.
    pub(super) fn new(shape: &Shape, share: Option<usize>) -> Self {
        Self {
            held: HeldRows::default(),
            places: HashMap::new(),
            key_bytes: 0,
            share,
            keeps_keys_only: shape.asks_left() && shape.condition.is_none(),
            marks: shape.marks_right(),
            matched: Vec::new(),
            given_alone: 0,
        }
    }

    /// Adds a right row; handed back if there is no room for it.
    pub(super) fn insert(
        &mut self,
        memory: &mut Memory,
        key: GroupKey,
        row: Row,
    ) -> Result<Option<(GroupKey, Row)>> {
        let is_null = key.has_null();
        if self.keeps_keys_only && (is_null || self.places.contains_key(&key)) || is_null && !self.marks {
            return Ok(None);
        }
        let bytes = match (is_null, self.places.contains_key(&key)) {
            (true, _) => 0,
            (false, true) => 2 * size_of::<usize>(),
            (false, false) => row_bytes(&key.0).saturating_add(ENTRY_BYTES + 2 * size_of::<usize>()),
        };
        let bytes = bytes.saturating_add(usize::from(self.marks));
        let held = self.held.bytes().saturating_add(self.key_bytes);
        let row_bytes = if self.keeps_keys_only { size_of::<Row>() } else { row_bytes(&row) };
        if !memory.reserve_within(bytes.saturating_add(row_bytes), held, self.share)? {
            return Ok(Some((key, row)));
        }
        self.key_bytes = self.key_bytes.saturating_add(bytes);
        let place = self.held.rows.len();
        self.held.push_reserved(if self.keeps_keys_only { Row::new() } else { row }, row_bytes);
        if !is_null {
            self.places.entry(key).or_default().push(place);
        }
        Ok(None)
    }

    /// There are no more right rows.
    pub(super) fn complete(&mut self) {
        if self.marks {
            self.matched = vec![false; self.held.rows.len()];
        }
    }

    /// Whether no left row can have a partner.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Takes all rows out, with their keys; those that equal nothing with a key of NULL.
    pub(super) fn take(&mut self, memory: &mut Memory) -> Vec<(Option<GroupKey>, Row)> {
        memory.release(std::mem::take(&mut self.key_bytes));
        let mut rows = self.held.take(memory).into_iter().map(Some).collect::<Vec<_>>();
        let mut taken = Vec::with_capacity(rows.len());
        for (key, places) in self.places.drain() {
            for place in places {
                if let Some(row) = rows.get_mut(place).and_then(Option::take) {
                    taken.push((Some(key.clone()), row));
                }
            }
        }
        taken.extend(rows.into_iter().flatten().map(|row| (None, row)));
        taken
    }

    /// Pairs of one left row; the row itself if the batch was full before.
    pub(super) async fn pairs(
        &mut self,
        cx: &mut Context<'_>,
        shape: &Shape,
        mut probe: Probe,
        out: &mut Batch,
    ) -> Result<std::result::Result<Done, Probe>> {
        let places = if probe.key.has_null() { None } else { self.places.get(&probe.key) };
        let places = places.map_or(&[][..], Vec::as_slice);
        while let Some(place) = places.get(probe.next) {
            if out.is_full() {
                return Ok(Err(probe));
            }
            if shape.asks_left() && probe.found {
                break;
            }
            probe.next += 1;
            cx.tick(1).await?;
            let Some(right) = self.held.rows.get(*place) else { continue };
            if shape.asks_left() {
                probe.found = shape.fits(cx, &probe.left, right).await?;
                continue;
            }
            if shape.asks_right() {
                if let Some(matched) = self.matched.get_mut(*place)
                    && !*matched
                {
                    *matched = shape.fits(cx, &probe.left, right).await?;
                }
                continue;
            }
            if let Some(pair) = shape.pair(cx, &probe.left, right).await? {
                probe.found = true;
                if let Some(matched) = self.matched.get_mut(*place) {
                    *matched = true;
                }
                out.push(pair);
            }
        }
        Ok(Ok(Done { left: probe.left, found: probe.found }))
    }

    /// The next of what is answered of right rows once all left rows have gone past; `None` at the end.
    pub(super) async fn right_alone(
        &mut self,
        cx: &mut Context<'_>,
        shape: &Shape,
    ) -> Result<Option<Vec<Row>>> {
        let mut batch = Vec::new();
        while batch.len() < BATCH_ROWS
            && let (Some(matched), Some(row)) =
                (self.matched.get(self.given_alone), self.held.rows.get(self.given_alone))
        {
            self.given_alone += 1;
            batch.extend(shape.right_done(row, *matched));
            cx.tick(1).await?;
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    /// Forgets all rows.
    pub(super) fn clear(&mut self, memory: &mut Memory) {
        self.places.clear();
        self.held.clear(memory);
        memory.release(std::mem::take(&mut self.key_bytes));
        self.matched.clear();
        self.given_alone = 0;
    }
}
