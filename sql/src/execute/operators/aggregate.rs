//! Aggregates over groups, in one hash table; groups come out in the order in which they were first met. Of several
//! grouping sets each has groups of its own: a row is fed to one of each. Rows of groups for which there is no room go to
//! partitions by their keys, which are grouped one after the other; so do values that DISTINCT cannot keep in mind.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use expr::aggregate::State;
use expr::{Datum, Expr, Row, TypeKind};

use super::group::{ENTRY_BYTES, GroupKey};
use super::order::sort;
use super::overflow::Overflow;
use super::{Batch, BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::row_bytes;
use crate::plan::{AggregateCall, GroupingSet};

/// About what a state takes beside its group's key.
const STATE_BYTES: usize = size_of::<CallState>();

/// One row per group.
pub(super) struct AggregateOperator {
    input: BoxOperator,
    keys: Vec<Expr>,
    sets: Vec<GroupingSet>,
    calls: Vec<AggregateCall>,
    /// The groups of each set.
    places: HashMap<(usize, GroupKey), usize>,
    groups: Vec<Group>,
    bytes: usize,
    share: Option<usize>,
    overflow: Overflow,
    /// For each call: values of DISTINCT that are aside, each behind the place of its group.
    values: Vec<Overflow>,
    given: Option<usize>,
}

struct Group {
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
            keys,
            sets,
            values: calls.iter().map(|_| Overflow::default()).collect(),
            calls,
            places: HashMap::new(),
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
                let key = self.key_of(set, vec![Datum::Null; self.keys.len()]);
                self.places.insert(key, self.groups.len());
                self.new_group(set, vec![Datum::Null; self.keys.len()]);
            }
        }
        while let Some(rows) = self.input.next(cx).await? {
            for row in rows {
                if self.keys.is_empty() && self.sets.is_empty() {
                    self.feed(cx, 0, &row).await?;
                } else {
                    let values = cx.settled(|cx| cx.evaluate_all(&self.keys, &row)).await?;
                    for set in 0..sets {
                        match self.sets.get(set) {
                            None => self.take(cx, set, &values, &row).await?,
                            Some(own) => self.take(cx, set, &of_set(own, &values), &row).await?,
                        }
                        cx.tick(1).await?;
                    }
                }
                cx.tick(1).await?;
            }
        }
        // What it holds is of no use any more.
        self.input.rewind(cx);
        self.feed_values(cx).await
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
            self.take(cx, set.unwrap_or_default(), &row, &rest).await?;
            cx.tick(1).await?;
        }
        self.feed_values(cx).await?;
        Ok(true)
    }

    /// Whether a set has one group, of all rows.
    fn is_whole(&self, set: usize) -> bool {
        self.sets.get(set).map_or(self.keys.is_empty(), |set| set.keys.is_empty())
    }

    fn key_of(&self, set: usize, values: Row) -> (usize, GroupKey) {
        (set, GroupKey::of(&self.keys, values))
    }

    /// Feeds a row to its group of a set, or puts it aside.
    async fn take(&mut self, cx: &mut Context<'_>, set: usize, values: &Row, row: &Row) -> Result<()> {
        let key = self.key_of(set, values.clone());
        if let Some(place) = self.places.get(&key) {
            return self.feed(cx, *place, row).await;
        }
        let bytes = row_bytes(&key.1.0)
            .saturating_mul(2)
            .saturating_add(ENTRY_BYTES)
            .saturating_add(self.calls.len().saturating_mul(STATE_BYTES));
        // What has gone aside stays with those of its group.
        if self.overflow.has_begun() || !cx.memory.reserve_within(bytes, self.bytes, self.share)? {
            let mut keyed = values.clone();
            keyed.push(Datum::Int8(i64::try_from(set).unwrap_or(i64::MAX)));
            keyed.extend(row.iter().cloned());
            return self.overflow.push(cx, &key.1, &keyed).await;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let place = self.groups.len();
        self.new_group(set, values.clone());
        self.places.insert(key, place);
        self.feed(cx, place, row).await
    }

    /// Feeds a row to the group at this place.
    async fn feed(&mut self, cx: &mut Context<'_>, place: usize, row: &Row) -> Result<()> {
        let Some(group) = self.groups.get_mut(place) else { return Ok(()) };
        for ((call, state), aside) in self.calls.iter().zip(&mut group.calls).zip(&mut self.values) {
            let Some(input) = Input::of(cx, call, row).await? else { continue };
            if call.distinct {
                let key = input.key(call);
                if state.seen.contains(&key) {
                    continue;
                }
                let bytes = row_bytes(&key.0).saturating_add(ENTRY_BYTES);
                // What has gone aside stays with those that are alike.
                if aside.has_begun() || !cx.memory.reserve_within(bytes, self.bytes, self.share)? {
                    input.put_aside(cx, call, aside, place).await?;
                    continue;
                }
                self.bytes = self.bytes.saturating_add(bytes);
                state.seen.insert(key);
            }
            input.feed(cx, call, state, &mut self.bytes)?;
        }
        Ok(())
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

    fn new_group(&mut self, set: usize, key: Row) {
        let start = |call: &AggregateCall| CallState { state: call.function.start(), ..CallState::default() };
        let mut row = key;
        row.extend(self.sets.get(set).into_iter().flat_map(|set| &set.marks).copied().map(Datum::Int4));
        self.groups.push(Group { row, calls: self.calls.iter().map(start).collect() });
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
            let before = single_bytes(&state.state);
            add(call, &mut state.state, &value, delimiter.as_ref())?;
            let after = single_bytes(&state.state);
            let grown = growth(&state.state, &value, delimiter.as_ref());
            (grown.saturating_add(after.saturating_sub(before)), before.saturating_sub(after))
        } else {
            let mut keyed = keys;
            keyed.push(value);
            keyed.extend(delimiter);
            let grown = row_bytes(&keyed);
            state.ordered.push(keyed);
            (grown, 0)
        };
        if grown > 0 {
            cx.memory.reserve(grown)?;
        }
        if shrunk > 0 {
            cx.memory.release(shrunk);
        }
        *held = held.saturating_add(grown).saturating_sub(shrunk);
        Ok(())
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

/// About how many bytes a value adds to a state that keeps all values.
fn growth(state: &State, value: &Datum, delimiter: Option<&Datum>) -> usize {
    // The list, and the array or text that is made of it.
    let held = |value: &Datum| value.size_bytes().saturating_mul(2);
    match state {
        State::List(_) => held(value).saturating_add(delimiter.map_or(0, held)),
        _ => 0,
    }
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
                    row.push(finish(cx, call, state).await?);
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
