//! Aggregates over groups, in one hash table; groups come out in the order in which they were first met.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use expr::aggregate::State;
use expr::{Datum, Expr, Row};

use super::group::{ENTRY_BYTES, GroupKey};
use super::sort::sort;
use super::{Batch, BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::row_bytes;
use crate::plan::AggregateCall;

/// About what a state takes beside its group's key.
const STATE_BYTES: usize = size_of::<CallState>();

/// One row per group.
pub(super) struct AggregateOperator {
    input: BoxOperator,
    keys: Vec<Expr>,
    calls: Vec<AggregateCall>,
    places: HashMap<GroupKey, usize>,
    groups: Vec<Group>,
    bytes: usize,
    given: Option<usize>,
}

struct Group {
    key: Row,
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
    pub(super) fn new(input: BoxOperator, keys: Vec<Expr>, calls: Vec<AggregateCall>) -> Self {
        Self { input, keys, calls, places: HashMap::new(), groups: Vec::new(), bytes: 0, given: None }
    }

    async fn fill(&mut self, cx: &mut Context<'_>) -> Result<()> {
        if self.keys.is_empty() {
            self.new_group(Vec::new());
        }
        while let Some(rows) = self.input.next(cx).await? {
            for row in &rows {
                let mut bytes = 0usize;
                let place = if self.keys.is_empty() {
                    0
                } else {
                    let values = cx.settled(|cx| cx.evaluate_all(&self.keys, row)).await?;
                    let key = GroupKey::of(&self.keys, values.clone());
                    match self.places.get(&key) {
                        Some(place) => *place,
                        None => {
                            bytes = bytes
                                .saturating_add(row_bytes(&key.0).saturating_mul(2))
                                .saturating_add(ENTRY_BYTES)
                                .saturating_add(self.calls.len().saturating_mul(STATE_BYTES));
                            let place = self.groups.len();
                            self.new_group(values);
                            self.places.insert(key, place);
                            place
                        }
                    }
                };
                if let Some(group) = self.groups.get_mut(place) {
                    for (call, state) in self.calls.iter().zip(&mut group.calls) {
                        bytes = bytes.saturating_add(feed(cx, call, state, row).await?);
                    }
                }
                if bytes > 0 {
                    cx.memory.reserve(bytes)?;
                    self.bytes = self.bytes.saturating_add(bytes);
                }
                cx.tick(1).await?;
            }
        }
        Ok(())
    }

    fn new_group(&mut self, key: Row) {
        let start = |call: &AggregateCall| CallState { state: call.function.start(), ..CallState::default() };
        self.groups.push(Group { key, calls: self.calls.iter().map(start).collect() });
    }
}

/// Feeds a row to a call; answers how many bytes it now holds more.
async fn feed(cx: &mut Context<'_>, call: &AggregateCall, state: &mut CallState, row: &Row) -> Result<usize> {
    if !cx.settled(|cx| cx.holds_if_any(call.filter.as_ref(), row)).await? {
        return Ok(0);
    }
    let value = match call.arguments.first() {
        Some(argument) => cx.settled(|cx| cx.evaluate(argument, row)).await?,
        None => Datum::Null,
    };
    let mut bytes = 0;
    if call.distinct {
        let key = GroupKey::of(&call.arguments, vec![value.clone()]);
        let held = row_bytes(&key.0);
        if !state.seen.insert(key) {
            return Ok(0);
        }
        bytes = held.saturating_add(ENTRY_BYTES);
    }
    let delimiter = match call.arguments.get(1) {
        Some(argument) => Some(cx.settled(|cx| cx.evaluate(argument, row)).await?),
        None => None,
    };
    if call.order_by.is_empty() {
        add(call, &mut state.state, &value, delimiter.as_ref())?;
        let grown = growth(&state.state, &value, delimiter.as_ref());
        return Ok(bytes.saturating_add(grown));
    }
    let mut keyed = Vec::with_capacity(call.order_by.len().saturating_add(2));
    for key in &call.order_by {
        keyed.push(cx.settled(|cx| cx.evaluate(&key.expression, row)).await?);
    }
    keyed.push(value);
    keyed.extend(delimiter);
    bytes = bytes.saturating_add(row_bytes(&keyed));
    state.ordered.push(keyed);
    Ok(bytes)
}

/// Adds a row's arguments: of one argument, or the value and the delimiter of two.
fn add(call: &AggregateCall, state: &mut State, value: &Datum, delimiter: Option<&Datum>) -> Result<()> {
    match delimiter {
        Some(delimiter) => call.function.add_pair(state, value, delimiter)?,
        None => call.function.add(state, value)?,
    }
    Ok(())
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
        let given = match self.given {
            Some(given) => given,
            None => {
                self.fill(cx).await?;
                0
            }
        };
        let mut batch = Batch::default();
        for group in self.groups.iter_mut().skip(given) {
            let mut row = std::mem::take(&mut group.key);
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
        Ok(batch.into_rows())
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.places.clear();
        self.groups.clear();
        cx.memory.release(std::mem::take(&mut self.bytes));
        self.given = None;
        self.input.rewind(cx);
    }
}
