//! The hash table of a join: right rows by their keys, and left rows that go past them.
//!
//! ```text
//! key ─▶ the last of its rows ─▶ the first ─▶ the second ─▶ … ─▶ the last      each row knows the next of its key
//! ```

use expr::Row;

use super::group::GroupKey;
use super::join::{Attempt, Shape, note_removed};
use super::join_keys::SideKeys;
use super::key_table::{KeyTable, SLOT_BYTES};
use super::{BATCH_ROWS, Batch};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::{HeldRows, Memory, row_bytes};
use crate::questions::Question;

/// Right rows by their keys.
///
/// Invariants: `next` is as long as the rows, and so is `beside` where keys do not stand in the rows; the rows of a key form a
/// ring in the order in which they came, whose last is the key's place.
pub(super) struct Table {
    held: HeldRows,
    keys: SideKeys,
    /// The keys of the rows in which they do not stand.
    beside: Vec<Row>,
    places: KeyTable,
    next: Vec<usize>,
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
    /// Its key, where that does not stand in it.
    beside: Row,
    rest: Rest,
    /// Whether it has found a partner.
    pub(super) found: bool,
}

/// What a left row has still to be paired with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// It was not looked for yet.
    Unknown,
    /// The rows of its key from `next` to `last`.
    Rows {
        next: usize,
        last: usize,
    },
    Nothing,
}

/// Why a left row does not go on.
pub(super) enum Pause {
    /// It has gone past the table.
    Done,
    /// The batch is full.
    Full,
    /// It is time to rest.
    Tired,
    /// The condition asks this about its pair with the row at a place.
    Asks { question: Question, pair: Row, place: usize },
}

impl Probe {
    /// A left row that has not been compared yet, with its key if that does not stand in it.
    pub(super) fn new(left: Row, beside: Row) -> Self {
        Self { left, beside, rest: Rest::Unknown, found: false }
    }

    /// The same row, which has found a partner elsewhere.
    pub(super) fn found_before(mut self, found: bool) -> Self {
        self.found = found;
        self
    }

    /// What is answered of it once it has gone past the table, beside its pairs.
    pub(super) fn answer(self, shape: &Shape, out: &mut Batch) {
        if let Some(row) = shape.left_done(self.left, self.found) {
            out.push(row);
        }
    }
}

impl Table {
    /// Without rows, whose keys are these.
    pub(super) fn new(shape: &Shape, keys: SideKeys, share: Option<usize>) -> Self {
        let keeps_keys_only = shape.asks_left() && shape.condition.is_none();
        Self {
            held: HeldRows::default(),
            keys: if keeps_keys_only { keys.without_rows() } else { keys },
            beside: Vec::new(),
            places: KeyTable::new(),
            next: Vec::new(),
            key_bytes: 0,
            share,
            keeps_keys_only,
            marks: shape.marks_right(),
            matched: Vec::new(),
            given_alone: 0,
        }
    }

    /// How the keys of its rows are told.
    pub(super) fn keys(&self) -> &SideKeys {
        &self.keys
    }

    /// Adds a right row, with its key if that does not stand in it; handed back if there is no room for it.
    pub(super) fn insert(
        &mut self,
        memory: &mut Memory,
        mut beside: Row,
        row: Row,
    ) -> Result<Option<(Row, Row)>> {
        let hash = self.keys.hash(&self.places, &beside, &row);
        let last = hash.and_then(|hash| {
            let is_same =
                |place| is_at(&self.keys, &self.beside, &self.held.rows, place, &self.keys, &beside, &row);
            self.places.find_mut(hash, is_same)
        });
        if self.keeps_keys_only && (hash.is_none() || last.is_some()) || hash.is_none() && !self.marks {
            return Ok(None);
        }
        let slot = if hash.is_some() && last.is_none() { SLOT_BYTES } else { 0 };
        let key = if self.keys.stand_beside() { row_bytes(&beside) } else { 0 };
        let bytes = slot.saturating_add(key).saturating_add(2 * size_of::<usize>() + usize::from(self.marks));
        let held = self.held.bytes().saturating_add(self.key_bytes);
        let row_bytes = if self.keeps_keys_only { size_of::<Row>() } else { row_bytes(&row) };
        if !memory.reserve_within(bytes.saturating_add(row_bytes), held, self.share)? {
            return Ok(Some((beside, row)));
        }
        self.key_bytes = self.key_bytes.saturating_add(bytes);
        let place = self.held.rows.len();
        match (last, hash) {
            (Some(last), _) => {
                let first = self.next.get_mut(*last).map(|next| std::mem::replace(next, place));
                self.next.push(first.unwrap_or(place));
                *last = place;
            }
            (None, hash) => {
                self.next.push(place);
                if let Some(hash) = hash {
                    self.places.insert(hash, place);
                }
            }
        }
        self.held.push_reserved(if self.keeps_keys_only { Row::new() } else { row }, row_bytes);
        if self.keys.stand_beside() {
            // A key that was split off a stored row has the room of all of that.
            beside.shrink_to_fit();
            self.beside.push(beside);
        }
        Ok(None)
    }

    /// There are no more right rows.
    pub(super) fn complete(&mut self) {
        if self.marks {
            self.matched = vec![false; self.held.rows.len()];
        }
    }

    /// What it takes.
    pub(super) fn bytes(&self) -> usize {
        self.held.bytes().saturating_add(self.key_bytes)
    }

    /// Whether no left row can have a partner.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Takes all rows out, with their keys.
    pub(super) fn take<'a>(
        &'a mut self,
        memory: &mut Memory,
    ) -> impl Iterator<Item = (GroupKey, Row)> + use<'a> {
        memory.release(std::mem::take(&mut self.key_bytes));
        self.places.clear();
        self.next = Vec::new();
        let mut beside = std::mem::take(&mut self.beside).into_iter();
        let rows = self.held.take(memory).into_iter();
        let keys = &self.keys;
        rows.map(move |row| (keys.key(beside.next().unwrap_or_default(), &row), row))
    }

    /// The right rows with a left row's key.
    fn partners(&self, left_keys: &SideKeys, probe: &Probe) -> Rest {
        let Some(hash) = left_keys.hash(&self.places, &probe.beside, &probe.left) else {
            return Rest::Nothing;
        };
        let last = self.places.find(hash, |place| {
            is_at(&self.keys, &self.beside, &self.held.rows, place, left_keys, &probe.beside, &probe.left)
        });
        let rest = last.and_then(|last| Some(Rest::Rows { next: *self.next.get(last)?, last }));
        rest.unwrap_or(Rest::Nothing)
    }

    /// What follows a row among those up to the last.
    fn behind(&self, place: usize, last: usize) -> Rest {
        match self.next.get(place) {
            Some(next) if place != last => Rest::Rows { next: *next, last },
            _ => Rest::Nothing,
        }
    }

    /// Makes pairs of a left row until it is done, or has to wait for something.
    pub(super) fn pairs_at_once(
        &mut self,
        cx: &mut Context<'_>,
        shape: &Shape,
        left_keys: &SideKeys,
        probe: &mut Probe,
        out: &mut Batch,
    ) -> Result<Pause> {
        if probe.rest == Rest::Unknown {
            probe.rest = self.partners(left_keys, probe);
        }
        while let Rest::Rows { next: place, last } = probe.rest {
            if out.is_full() {
                return Ok(Pause::Full);
            }
            if shape.asks_left() && probe.found {
                break;
            }
            probe.rest = self.behind(place, last);
            let is_settled = shape.asks_right() && self.matched.get(place).copied().unwrap_or(true);
            if let Some(right) = self.held.rows.get(place)
                && !is_settled
            {
                match shape.attempt(cx, &probe.left, right)? {
                    Attempt::Holds(pair) => self.holds(shape, probe, place, pair, out),
                    Attempt::Fails => {}
                    Attempt::Asks(question, pair) => return Ok(Pause::Asks { question, pair, place }),
                }
            }
            if cx.spend(1) {
                return Ok(Pause::Tired);
            }
        }
        Ok(Pause::Done)
    }

    /// Goes on with a left row that had to wait; false if the batch is full.
    pub(super) async fn pairs(
        &mut self,
        cx: &mut Context<'_>,
        shape: &Shape,
        left_keys: &SideKeys,
        probe: &mut Probe,
        mut pause: Pause,
        out: &mut Batch,
    ) -> Result<bool> {
        loop {
            match pause {
                Pause::Done => return Ok(true),
                Pause::Full => return Ok(false),
                Pause::Tired => cx.rest().await?,
                Pause::Asks { question, pair, place } => {
                    if cx.answered(question, |cx| cx.holds_if_any(shape.condition.as_ref(), &pair)).await? {
                        self.holds(shape, probe, place, pair, out);
                    } else {
                        note_removed(cx);
                    }
                    cx.tick(1).await?;
                }
            }
            pause = self.pairs_at_once(cx, shape, left_keys, probe, out)?;
        }
    }

    /// The condition holds of a left row and the row at a place.
    fn holds(&mut self, shape: &Shape, probe: &mut Probe, place: usize, pair: Row, out: &mut Batch) {
        if let Some(matched) = self.matched.get_mut(place) {
            *matched = true;
        }
        if shape.asks_right() {
            return;
        }
        probe.found = true;
        if !shape.asks_left() {
            out.push(pair);
        }
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
        self.next = Vec::new();
        self.beside = Vec::new();
        self.held.clear(memory);
        memory.release(std::mem::take(&mut self.key_bytes));
        self.matched.clear();
        self.given_alone = 0;
    }
}

/// Whether the row at a place, of rows with such keys, has the key of another.
fn is_at(
    keys: &SideKeys,
    beside: &[Row],
    rows: &[Row],
    place: usize,
    other: &SideKeys,
    other_beside: &Row,
    other_row: &Row,
) -> bool {
    let nothing = Row::new();
    let Some(row) = rows.get(place) else { return false };
    let beside = beside.get(place).unwrap_or(&nothing);
    keys.is_same(keys.values(beside, row), other, other.values(other_beside, other_row))
}

#[cfg(test)]
mod tests {
    use expr::{Datum, Expr, TypeKind};

    use super::*;
    use crate::execute::memory::MemoryPool;
    use crate::plan::JoinKind;

    fn shape(kind: JoinKind) -> Shape {
        Shape { kind, left_width: 2, right_width: 2, condition: None }
    }

    fn row(key: Option<i32>, number: i32) -> Row {
        vec![Datum::from(key), Datum::Int4(number)]
    }

    /// The numbers of the right rows with a left row's key, in their order.
    fn partners(table: &Table, left_keys: &SideKeys, left: Row) -> Vec<i64> {
        let beside = if left_keys.stand_beside() { vec![left[0].clone()] } else { Row::new() };
        let mut rest = table.partners(left_keys, &Probe::new(left, beside));
        let mut numbers = Vec::new();
        while let Rest::Rows { next, last } = rest {
            numbers.push(table.held.rows[next][1].as_i64().unwrap());
            rest = table.behind(next, last);
        }
        numbers
    }

    #[test]
    fn rows_of_a_key_come_in_their_order_wherever_keys_stand() {
        let key = [Expr::column(0, TypeKind::Int4)];
        for right_keys in [SideKeys::of(&key), SideKeys::of(&key).without_rows()] {
            let mut memory = Memory::new(usize::MAX, &MemoryPool::new(usize::MAX, None));
            let mut table = Table::new(&shape(JoinKind::Right), right_keys, None);
            for number in 0..3000 {
                let key = (number % 7 != 0).then_some(number % 100);
                let row = row(key, number);
                let beside = if table.keys().stand_beside() { vec![row[0].clone()] } else { Row::new() };
                assert!(table.insert(&mut memory, beside, row).unwrap().is_none());
            }
            table.complete();
            for left_keys in [SideKeys::of(&key), SideKeys::made(1)] {
                for key in 0..110 {
                    let expected: Vec<i64> = (0..3000)
                        .filter(|number| number % 7 != 0 && number % 100 == i64::from(key))
                        .collect();
                    assert_eq!(partners(&table, &left_keys, row(Some(key), 0)), expected, "{key}");
                }
                assert_eq!(partners(&table, &left_keys, row(None, 0)), Vec::<i64>::new());
            }
            let taken: Vec<_> = table.take(&mut memory).collect();
            assert_eq!(taken.len(), 3000);
            for (number, (key, row)) in taken.iter().enumerate() {
                assert_eq!(row[1].as_i64(), Some(number as i64));
                assert_eq!(*key, GroupKey(vec![row[0].clone()]));
            }
            drop(taken);
            table.clear(&mut memory);
            assert_eq!(memory.used(), 0);
        }
    }

    #[test]
    fn of_rows_that_only_have_to_be_there_the_first_of_each_key_is_kept() {
        let key = [Expr::column(0, TypeKind::Int4)];
        let mut memory = Memory::new(usize::MAX, &MemoryPool::new(usize::MAX, None));
        let mut table = Table::new(&shape(JoinKind::Semi), SideKeys::of(&key), None);
        assert!(table.keys().stand_beside());
        for number in 0..100 {
            let key = (number % 2 == 0).then_some(number % 10);
            assert!(table.insert(&mut memory, vec![Datum::from(key)], row(key, number)).unwrap().is_none());
        }
        assert_eq!(table.held.rows.len(), 5);
        assert!(table.held.rows.iter().all(Vec::is_empty));
        table.clear(&mut memory);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn a_row_for_which_there_is_no_room_is_handed_back_whole() {
        let key = [Expr::column(0, TypeKind::Int4)];
        let mut memory = Memory::new(usize::MAX, &MemoryPool::new(usize::MAX, None));
        let mut table = Table::new(&shape(JoinKind::Inner), SideKeys::of(&key), Some(1));
        assert!(table.insert(&mut memory, Row::new(), row(Some(1), 1)).unwrap().is_none());
        let (beside, back) = table.insert(&mut memory, Row::new(), row(Some(1), 2)).unwrap().unwrap();
        assert!(beside.is_empty());
        assert_eq!(back[1].as_i64(), Some(2));
        let left = SideKeys::of(&key);
        assert_eq!(partners(&table, &left, row(Some(1), 0)), [1]);
    }

    #[test]
    fn keys_beside_their_rows_keep_no_room_that_is_not_accounted_for() {
        let mut memory = Memory::new(usize::MAX, &MemoryPool::new(usize::MAX, None));
        let mut table = Table::new(&shape(JoinKind::Inner), SideKeys::made(1), None);
        let mut key = row(Some(1), 1);
        key.reserve(100);
        let rest = key.split_off(1);
        assert!(table.insert(&mut memory, key, rest).unwrap().is_none());
        assert!(table.beside[0].capacity() < 100);
        table.clear(&mut memory);
        assert_eq!(memory.used(), 0);
    }
}
