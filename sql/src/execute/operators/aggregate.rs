//! Aggregates over groups, in one hash table; groups come out in the order in which they were first met. Of several
//! grouping sets each has groups of its own: a row is fed to one of each. Rows of groups for which there is no room go to
//! partitions by their keys, which are grouped one after the other; so do values that DISTINCT cannot keep in mind.
//!
//! A group's keys stand in its row alone. Where a row's keys are columns they are looked for as they stand in it, and calls
//! that take a value of each row take it from there: such a row costs neither a copy nor a wait.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::Hasher;

use async_trait::async_trait;
use expr::aggregate::State;
use expr::{Datum, Expr, Row, TypeKind};

use super::group::{ENTRY_BYTES, GroupKey};
use super::key_table::{KeyKinds, KeyTable, SLOT_BYTES, columns_of};
use super::order::sort;
use super::overflow::Overflow;
use super::{Batch, BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::{Memory, row_bytes};
use crate::plan::{AggregateCall, GroupingSet};
use crate::questions::Question;

/// About what a call takes in a group: its state, and the place of its result.
const CALL_BYTES: usize = size_of::<CallState>() + size_of::<Datum>();

/// About what a group takes beside its keys and calls.
const GROUP_BYTES: usize = 2 * size_of::<Group>() + SLOT_BYTES;

/// One row per group.
pub(super) struct AggregateOperator {
    input: BoxOperator,
    keys: Vec<Expr>,
    sets: Vec<GroupingSet>,
    calls: Vec<AggregateCall>,
    /// For each call, whether it takes one value of every row in the order in which they come.
    plain: Vec<bool>,
    kinds: KeyKinds,
    /// Where the values of all keys stand in the rows, if they do.
    columns: Option<Vec<usize>>,
    /// The places of the groups by sets and keys.
    places: KeyTable,
    groups: Vec<Group>,
    bytes: usize,
    share: Option<usize>,
    overflow: Overflow,
    /// For each call: values of DISTINCT that are aside, each behind the place of its group.
    values: Vec<Overflow>,
    given: Option<usize>,
}

struct Group {
    /// Of which set.
    set: usize,
    /// Its keys and marks.
    row: Row,
    calls: Vec<CallState>,
}

/// What one call has seen of one group.
#[derive(Default)]
struct CallState {
    state: State,
    /// DISTINCT: the values seen.
    seen: HashSet<GroupKey>,
    /// ORDER BY: sort keys followed by the argument, fed at the end.
    ordered: Vec<Row>,
}

impl AggregateOperator {
    pub(super) fn new(
        input: BoxOperator,
        keys: Vec<Expr>,
        sets: Vec<GroupingSet>,
        calls: Vec<AggregateCall>,
    ) -> Self {
        Self {
            input,
            kinds: KeyKinds::of(&keys),
            columns: columns_of(&keys),
            keys,
            sets,
            values: calls.iter().map(|_| Overflow::default()).collect(),
            plain: calls.iter().map(is_plain).collect(),
            calls,
            places: KeyTable::new(),
            groups: Vec::new(),
            bytes: 0,
            share: None,
            overflow: Overflow::default(),
            given: None,
        }
    }

    async fn fill(&mut self, cx: &mut Context<'_>) -> Result<()> {
        self.share = cx.memory.share();
        let sets = self.sets.len().max(1);
        // There is a group of all rows even if there is none.
        for set in 0..sets {
            if self.is_whole(set) {
                let values = vec![Datum::Null; self.keys.len()];
                self.new_group(self.hash(set, values.iter()), set, values);
            }
        }
        while let Some(rows) = self.input.next(cx).await? {
            for row in rows {
                match self.known(&row) {
                    Some(place) => {
                        let mut next = 0;
                        let asked = self.feed_plain(cx, place, &mut next, &row)?;
                        if next < self.calls.len() {
                            self.feed_rest(cx, place, next, asked, &row).await?;
                        }
                    }
                    None => self.group(cx, &row).await?,
                }
                if cx.spend(1) {
                    cx.rest().await?;
                }
            }
        }
        // What it holds is of no use any more.
        self.input.rewind(cx);
        self.feed_values(cx).await?;
        self.note_held(cx);
        Ok(())
    }

    fn note_held(&self, cx: &Context<'_>) {
        cx.tally(|truth| truth.note_held(self.bytes));
    }

    /// Groups the next partition of those rows for which there was no room; false if there is none.
    async fn refill(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        self.forget(cx);
        if !self.overflow.next_partition(cx).await? {
            return Ok(false);
        }
        self.share = cx.memory.share();
        while let Some(mut row) = self.overflow.next_row(cx).await? {
            let rest = row.split_off(self.keys.len().saturating_add(1).min(row.len()));
            let set = row.pop().and_then(|set| set.as_i64()).and_then(|set| usize::try_from(set).ok());
            self.take(cx, set.unwrap_or_default(), row, &rest).await?;
            cx.tick(1).await?;
        }
        self.feed_values(cx).await?;
        self.note_held(cx);
        Ok(true)
    }

    /// Whether a set has one group, of all rows.
    fn is_whole(&self, set: usize) -> bool {
        self.sets.get(set).map_or(self.keys.is_empty(), |set| set.keys.is_empty())
    }

    fn hash<'a>(&self, set: usize, values: impl Iterator<Item = &'a Datum>) -> u64 {
        let mut hasher = self.places.hasher();
        if !self.sets.is_empty() {
            hasher.write_usize(set);
        }
        self.kinds.hash(values, &mut hasher);
        hasher.finish()
    }

    /// The place of the group of a set that has these keys.
    fn find<'a>(
        &self,
        hash: u64,
        set: usize,
        values: impl Iterator<Item = &'a Datum> + Clone,
    ) -> Option<usize> {
        let is_it = |group: &Group| {
            group.set == set && self.kinds.is_same(group.row.iter(), &self.kinds, values.clone())
        };
        self.places.find(hash, |place| self.groups.get(place).is_some_and(is_it))
    }

    /// The place of a row's only group, if that is there and told by the row as it stands.
    fn known(&self, row: &Row) -> Option<usize> {
        if !self.sets.is_empty() {
            return None;
        }
        if self.keys.is_empty() {
            return Some(0);
        }
        let columns = self.columns.as_ref()?;
        if columns.iter().any(|column| *column >= row.len()) {
            return None;
        }
        let values = columns.iter().filter_map(|column| row.get(*column));
        self.find(self.hash(0, values.clone()), 0, values)
    }

    /// Feeds a row to its group of each set.
    async fn group(&mut self, cx: &mut Context<'_>, row: &Row) -> Result<()> {
        let values = cx.settled_all(&self.keys, row).await?;
        if self.sets.is_empty() {
            return self.take(cx, 0, values, row).await;
        }
        let mut set = 0;
        while let Some(own) = self.sets.get(set) {
            let values = of_set(own, &values);
            self.take(cx, set, values, row).await?;
            cx.tick(1).await?;
            set += 1;
        }
        Ok(())
    }

    /// Feeds a row to its group of a set, or puts it aside.
    async fn take(&mut self, cx: &mut Context<'_>, set: usize, values: Row, row: &Row) -> Result<()> {
        let hash = self.hash(set, values.iter());
        if let Some(place) = self.find(hash, set, values.iter()) {
            return self.feed(cx, place, row).await;
        }
        let marks = self.sets.get(set).map_or(0, |set| set.marks.len());
        let bytes = row_bytes(&values)
            .saturating_add(GROUP_BYTES)
            .saturating_add(marks.saturating_mul(size_of::<Datum>()))
            .saturating_add(self.calls.len().saturating_mul(CALL_BYTES));
        // What has gone aside stays with those of its group.
        if self.overflow.has_begun() || !cx.memory.reserve_within(bytes, self.bytes, self.share)? {
            let key = GroupKey::of(&self.keys, values.clone());
            let mut keyed = values;
            keyed.push(Datum::Int8(i64::try_from(set).unwrap_or(i64::MAX)));
            keyed.extend(row.iter().cloned());
            return self.overflow.push(cx, &key, &keyed).await;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let place = self.groups.len();
        self.new_group(hash, set, values);
        self.feed(cx, place, row).await
    }

    /// Feeds a row to the group at this place.
    async fn feed(&mut self, cx: &mut Context<'_>, place: usize, row: &Row) -> Result<()> {
        let mut next = 0;
        let asked = self.feed_plain(cx, place, &mut next, row)?;
        self.feed_rest(cx, place, next, asked, row).await
    }

    /// Feeds a row to the calls of a group from the next one on, as far as they are plain; what one of them asks about the
    /// row, if one does.
    fn feed_plain(
        &mut self,
        cx: &mut Context<'_>,
        place: usize,
        next: &mut usize,
        row: &Row,
    ) -> Result<Option<Question>> {
        let Some(group) = self.groups.get_mut(place) else {
            *next = self.calls.len();
            return Ok(None);
        };
        for ((call, is_plain), state) in self.calls.iter().zip(&self.plain).zip(&mut group.calls).skip(*next)
        {
            if !is_plain {
                break;
            }
            let attempt = match call.arguments.first() {
                Some(argument) => cx.attempt(|cx| cx.evaluate_ref(argument, row)),
                None => Ok(Ok(Cow::Borrowed(&Datum::Null))),
            };
            let value = match attempt {
                Ok(value) => value?,
                Err(question) => return Ok(Some(question)),
            };
            let (grown, shrunk) = added(call, &mut state.state, &value, None)?;
            drop(value);
            account(cx.memory, grown, shrunk, &mut self.bytes)?;
            *next += 1;
        }
        Ok(None)
    }

    /// Feeds a row to the calls of a group from the next one on, which is not plain or has asked about the row.
    async fn feed_rest(
        &mut self,
        cx: &mut Context<'_>,
        place: usize,
        mut next: usize,
        mut asked: Option<Question>,
        row: &Row,
    ) -> Result<()> {
        while let Some(call) = self.calls.get(next) {
            let input = match (asked, call.arguments.first()) {
                (Some(question), Some(argument)) => {
                    let value = cx.answered(question, |cx| cx.evaluate(argument, row)).await?;
                    Some(Input { value, delimiter: None, keys: Row::new() })
                }
                _ => Input::of(cx, call, row).await?,
            };
            if let Some(input) = input {
                self.feed_input(cx, place, next, input).await?;
            }
            next += 1;
            asked = self.feed_plain(cx, place, &mut next, row)?;
        }
        Ok(())
    }

    /// Feeds what a row is to a call to the group at this place, or puts it aside.
    async fn feed_input(
        &mut self,
        cx: &mut Context<'_>,
        place: usize,
        number: usize,
        input: Input,
    ) -> Result<()> {
        let (Some(call), Some(aside)) = (self.calls.get(number), self.values.get_mut(number)) else {
            return Ok(());
        };
        let group = self.groups.get_mut(place);
        let Some(state) = group.and_then(|group| group.calls.get_mut(number)) else { return Ok(()) };
        if call.distinct {
            let key = input.key(call);
            if state.seen.contains(&key) {
                return Ok(());
            }
            let bytes = row_bytes(&key.0).saturating_add(ENTRY_BYTES);
            // What has gone aside stays with those that are alike.
            if aside.has_begun() || !cx.memory.reserve_within(bytes, self.bytes, self.share)? {
                return input.put_aside(cx, call, aside, place).await;
            }
            self.bytes = self.bytes.saturating_add(bytes);
            state.seen.insert(key);
        }
        input.feed(cx, call, state, &mut self.bytes)
    }

    /// Feeds the values of DISTINCT that went aside, each once.
    async fn feed_values(&mut self, cx: &mut Context<'_>) -> Result<()> {
        for (number, (call, aside)) in self.calls.iter().zip(&mut self.values).enumerate() {
            while !aside.is_empty() && aside.next_partition(cx).await? {
                let (mut seen, mut bytes, share) = (HashSet::new(), 0_usize, cx.memory.share());
                while let Some(row) = aside.next_row(cx).await? {
                    cx.tick(1).await?;
                    let (place, input) = Input::from_aside(call, row);
                    let key = input.key_at(call, place);
                    if seen.contains(&key) {
                        continue;
                    }
                    let held = row_bytes(&key.0).saturating_add(ENTRY_BYTES);
                    if aside.has_begun() || !cx.memory.reserve_within(held, bytes, share)? {
                        aside.push(cx, &key, &input.into_aside(place)).await?;
                        continue;
                    }
                    bytes = bytes.saturating_add(held);
                    seen.insert(key);
                    let group = usize::try_from(place).ok().and_then(|place| self.groups.get_mut(place));
                    if let Some(state) = group.and_then(|group| group.calls.get_mut(number)) {
                        input.feed(cx, call, state, &mut self.bytes)?;
                    }
                }
                cx.memory.release(bytes);
            }
            aside.clear(cx);
        }
        Ok(())
    }

    fn forget(&mut self, cx: &mut Context<'_>) {
        self.places.clear();
        self.groups.clear();
        cx.memory.release(std::mem::take(&mut self.bytes));
        self.given = None;
    }

    fn new_group(&mut self, hash: u64, set: usize, key: Row) {
        let start = |call: &AggregateCall| CallState { state: call.function.start(), ..CallState::default() };
        let marks = self.sets.get(set).map(|set| set.marks.as_slice()).unwrap_or_default();
        // The results follow. A key that was split off a stored row has the room of all of that, which is not accounted for.
        let width = key.len().saturating_add(marks.len()).saturating_add(self.calls.len());
        let mut row = Row::with_capacity(width);
        row.extend(key);
        row.extend(marks.iter().copied().map(Datum::Int4));
        self.places.insert(hash, self.groups.len());
        self.groups.push(Group { set, row, calls: self.calls.iter().map(start).collect() });
    }
}

/// The values of the keys that a set has, NULL for the others.
fn of_set(set: &GroupingSet, values: &Row) -> Row {
    let value = |(place, value): (usize, &Datum)| {
        if set.keys.contains(&place) { value.clone() } else { Datum::Null }
    };
    values.iter().enumerate().map(value).collect()
}

/// What a row is to a call.
struct Input {
    value: Datum,
    delimiter: Option<Datum>,
    /// Of ORDER BY.
    keys: Row,
}

impl Input {
    /// The values of a row; `None` where FILTER leaves it out.
    async fn of(cx: &mut Context<'_>, call: &AggregateCall, row: &Row) -> Result<Option<Self>> {
        if !cx.settled(|cx| cx.holds_if_any(call.filter.as_ref(), row)).await? {
            return Ok(None);
        }
        let value = match call.arguments.first() {
            Some(argument) => cx.settled(|cx| cx.evaluate(argument, row)).await?,
            None => Datum::Null,
        };
        let delimiter = match call.arguments.get(1) {
            Some(argument) => Some(cx.settled(|cx| cx.evaluate(argument, row)).await?),
            None => None,
        };
        let mut keys = Vec::with_capacity(call.order_by.len());
        for key in &call.order_by {
            keys.push(cx.settled(|cx| cx.evaluate(&key.expression, row)).await?);
        }
        Ok(Some(Self { value, delimiter, keys }))
    }

    /// What DISTINCT compares: the arguments, or what texts of json were made of, which is what they are ordered by.
    fn key(&self, call: &AggregateCall) -> GroupKey {
        let is_made = call.arguments.iter().any(|argument| argument.ty().kind == TypeKind::Json);
        if is_made && !call.order_by.is_empty() {
            let given: Vec<Expr> = call.order_by.iter().map(|key| key.expression.clone()).collect();
            return GroupKey::of(&given, self.keys.clone());
        }
        GroupKey::of(&call.arguments, std::iter::once(&self.value).chain(&self.delimiter).cloned().collect())
    }

    /// The same of all groups, by their places.
    fn key_at(&self, call: &AggregateCall, place: i64) -> GroupKey {
        GroupKey(std::iter::once(Datum::Int8(place)).chain(self.key(call).0).collect())
    }

    /// Feeds it to the call's state; what that takes more or less by then, `held` does.
    fn feed(
        self,
        cx: &mut Context<'_>,
        call: &AggregateCall,
        state: &mut CallState,
        held: &mut usize,
    ) -> Result<()> {
        let Self { value, delimiter, keys } = self;
        let (grown, shrunk) = if call.order_by.is_empty() {
            added(call, &mut state.state, &value, delimiter.as_ref())?
        } else {
            let mut keyed = keys;
            keyed.push(value);
            keyed.extend(delimiter);
            let grown = row_bytes(&keyed);
            state.ordered.push(keyed);
            (grown, 0)
        };
        account(cx.memory, grown, shrunk, held)
    }

    /// Puts it aside, to be fed once to the group at this place.
    async fn put_aside(
        self,
        cx: &mut Context<'_>,
        call: &AggregateCall,
        aside: &mut Overflow,
        place: usize,
    ) -> Result<()> {
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        aside.push(cx, &self.key_at(call, place), &self.into_aside(place)).await
    }

    fn into_aside(self, place: i64) -> Row {
        let mut row = vec![Datum::Int8(place), self.value];
        row.extend(self.delimiter);
        row.extend(self.keys);
        row
    }

    fn from_aside(call: &AggregateCall, row: Row) -> (i64, Self) {
        let mut values = row.into_iter();
        let place = values.next().and_then(|place| place.as_i64()).unwrap_or(i64::MAX);
        let value = values.next().unwrap_or_default();
        let delimiter = if call.arguments.len() > 1 { values.next() } else { None };
        (place, Self { value, delimiter, keys: values.collect() })
    }
}

/// Whether a call takes one value of every row in the order in which they come.
fn is_plain(call: &AggregateCall) -> bool {
    !call.distinct && call.filter.is_none() && call.order_by.is_empty() && call.arguments.len() < 2
}

/// Adds a row's arguments to a state; how many bytes more, or fewer, that takes by then.
fn added(
    call: &AggregateCall,
    state: &mut State,
    value: &Datum,
    delimiter: Option<&Datum>,
) -> Result<(usize, usize)> {
    let (before, kept) = (single_bytes(state), state.kept());
    add(call, state, value, delimiter)?;
    let after = single_bytes(state);
    // The list, and the array or text that is made of it.
    let grown = state.kept_bytes(kept).saturating_mul(2);
    Ok((grown.saturating_add(after.saturating_sub(before)), before.saturating_sub(after)))
}

/// Accounts for what a state takes more or less, and with it what is held.
fn account(memory: &mut Memory, grown: usize, shrunk: usize, held: &mut usize) -> Result<()> {
    if grown > 0 {
        memory.reserve(grown)?;
    }
    if shrunk > 0 {
        memory.release(shrunk);
    }
    *held = held.saturating_add(grown).saturating_sub(shrunk);
    Ok(())
}

/// Adds a row's arguments: of one argument, or the value and the delimiter of two.
fn add(call: &AggregateCall, state: &mut State, value: &Datum, delimiter: Option<&Datum>) -> Result<()> {
    match delimiter {
        Some(delimiter) => call.function.add_pair(state, value, delimiter)?,
        None => call.function.add(state, value)?,
    }
    Ok(())
}

/// What a state takes beside itself that keeps one value or sum, not all of them.
fn single_bytes(state: &State) -> usize {
    if matches!(state, State::List(_)) { 0 } else { state.size_bytes() }
}

async fn finish(cx: &mut Context<'_>, call: &AggregateCall, mut state: CallState) -> Result<Datum> {
    sort(cx, &call.order_by, &mut state.ordered).await?;
    for keyed in state.ordered {
        cx.tick(1).await?;
        let mut arguments = keyed.get(call.order_by.len()..).unwrap_or_default().iter();
        let value = arguments.next().unwrap_or(&Datum::Null);
        add(call, &mut state.state, value, arguments.next())?;
    }
    Ok(call.function.finish(state.state)?)
}

#[async_trait]
impl Operator for AggregateOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        if self.given.is_none() {
            self.fill(cx).await?;
        }
        loop {
            let given = self.given.unwrap_or(0);
            let mut batch = Batch::default();
            for group in self.groups.iter_mut().skip(given) {
                let mut row = std::mem::take(&mut group.row);
                for (call, state) in self.calls.iter().zip(std::mem::take(&mut group.calls)) {
                    row.push(match state.ordered.is_empty() {
                        true => call.function.finish(state.state)?,
                        false => finish(cx, call, state).await?,
                    });
                }
                batch.push(row);
                cx.tick(1).await?;
                if batch.is_full() {
                    break;
                }
            }
            self.given = Some(given.saturating_add(batch.rows.len()));
            if let Some(rows) = batch.into_rows() {
                return Ok(Some(rows));
            }
            if self.overflow.is_empty() || !self.refill(cx).await? {
                self.given = Some(self.groups.len());
                return Ok(None);
            }
        }
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.forget(cx);
        self.overflow.clear(cx);
        self.values.iter_mut().for_each(|values| values.clear(cx));
        self.input.rewind(cx);
    }
}
