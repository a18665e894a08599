//! Aggregates of frames.
//!
//! A frame that only grows adds its new rows to one state. One that moves keeps its rows in two stacks: of those in front,
//! what each of them and all behind it come to; of those behind, what they come to together. Each row is added, and merged,
//! once for all frames. Sums of floats depend on their order, and lists are as long as the frame anyway: such an aggregate, and
//! one of a frame with something left out, is computed anew for each frame.

use expr::Datum;
use expr::aggregate::{Aggregate, State};

use super::Column;
use super::frame::{Ends, Frames, Partition, Place};
use crate::error::Result;
use crate::execute::context::Context;
use crate::plan::WindowCall;

/// What a row adds: nothing where FILTER leaves it out.
type Input = Option<(Datum, Datum)>;

/// So many values of a list are copied in the time of a row.
const COPIES_PER_ROW: usize = 16;

/// The values for all rows of a partition, and what they take.
pub(super) async fn column(
    cx: &mut Context<'_>,
    call: &WindowCall,
    function: Aggregate,
    ends: &Ends,
    partition: &Partition<'_>,
) -> Result<(Vec<Datum>, usize)> {
    let (inputs, held) = inputs(cx, call, partition).await?;
    let column = over(cx, call, function, ends, partition, &inputs).await?;
    cx.memory.release(held);
    Ok(column.into_parts())
}

async fn inputs(
    cx: &mut Context<'_>,
    call: &WindowCall,
    partition: &Partition<'_>,
) -> Result<(Vec<Input>, usize)> {
    let mut held = 0_usize;
    let mut inputs = Vec::with_capacity(partition.len());
    for row in partition.rows {
        let input = if cx.holds_if_any(call.filter.as_ref(), row)? {
            let mut values = cx.evaluate_all(&call.arguments, row)?.into_iter();
            Some((values.next().unwrap_or_default(), values.next().unwrap_or_default()))
        } else {
            None
        };
        let bytes = input.as_ref().map_or(size_of::<Input>(), |(value, second)| {
            value.size_bytes().saturating_add(second.size_bytes())
        });
        cx.memory.reserve(bytes)?;
        held = held.saturating_add(bytes);
        inputs.push(input);
        cx.tick(1).await?;
    }
    Ok((inputs, held))
}

async fn over(
    cx: &mut Context<'_>,
    call: &WindowCall,
    function: Aggregate,
    ends: &Ends,
    partition: &Partition<'_>,
    inputs: &[Input],
) -> Result<Column> {
    let mut frames = Frames::new(&call.frame, ends, partition);
    let mut column = Column::default();
    let mut before: Option<(usize, usize, Datum)> = None;
    let mut growing = function.start();
    let mut added = 0;
    let mut stacks = Stacks::new(function);
    let has_stacks = merges_exactly(function, inputs);
    for place in Place::all(partition) {
        frames.advance(cx, place).await?;
        let (from, to) = (frames.from, frames.to.max(frames.from));
        if let Some((first, last, value)) = &before
            && frames.are_whole()
            && (*first, *last) == (from, to)
        {
            let value = value.clone();
            column.push_again(cx, value)?;
            cx.tick(1).await?;
            continue;
        }
        let value = match () {
            _ if frames.only_grow() => {
                while added < to {
                    add(function, &mut growing, inputs.get(added))?;
                    added = added.saturating_add(1);
                    cx.tick(1).await?;
                }
                copied(cx, &growing).await?;
                function.finish(growing.clone())?
            }
            _ if frames.are_whole() && has_stacks => stacks.value(cx, inputs, from, to).await?,
            _ => {
                let mut state = function.start();
                for row in frames.pieces(place).into_iter().flatten() {
                    add(function, &mut state, inputs.get(row))?;
                    cx.tick(1).await?;
                }
                function.finish(state)?
            }
        };
        before = Some((from, to, value.clone()));
        column.push(cx, value)?;
        cx.tick(1).await?;
    }
    stacks.forget(cx);
    Ok(column)
}

fn add(function: Aggregate, state: &mut State, input: Option<&Input>) -> Result<()> {
    if let Some(Some((value, second))) = input {
        function.add_pair(state, value, second)?;
    }
    Ok(())
}

/// Whether states may be merged in any grouping, and do not grow with their rows.
fn merges_exactly(function: Aggregate, inputs: &[Input]) -> bool {
    let mut state = function.start();
    let first = inputs.iter().find(|input| matches!(input, Some((value, _)) if !value.is_null()));
    add(function, &mut state, first).is_ok() && state.merges_exactly()
}

/// Counts that a state is copied.
pub(super) async fn copied(cx: &mut Context<'_>, state: &State) -> Result<()> {
    if let State::List(items) = state {
        cx.tick(items.len() / COPIES_PER_ROW).await?;
    }
    Ok(())
}

/// The rows of a frame that moves: `from..middle` in front, `middle..to` behind.
struct Stacks {
    function: Aggregate,
    from: usize,
    middle: usize,
    to: usize,
    /// What the rows in front come to, each with those between it and the middle; the first row's is the last.
    front: Vec<State>,
    behind: State,
    /// What the front takes.
    bytes: usize,
}

impl Stacks {
    fn new(function: Aggregate) -> Self {
        let behind = function.start();
        Self { function, from: 0, middle: 0, to: 0, front: Vec::new(), behind, bytes: 0 }
    }

    fn forget(&mut self, cx: &mut Context<'_>) {
        self.front.clear();
        cx.memory.release(std::mem::take(&mut self.bytes));
    }

    /// What the rows of a frame come to, neither end of which is before that of the last one.
    async fn value(
        &mut self,
        cx: &mut Context<'_>,
        inputs: &[Input],
        from: usize,
        to: usize,
    ) -> Result<Datum> {
        while self.to < to {
            if self.to >= from {
                add(self.function, &mut self.behind, inputs.get(self.to))?;
            }
            self.to = self.to.saturating_add(1);
            cx.tick(1).await?;
        }
        if from >= self.middle {
            self.turn(cx, inputs, from).await?;
        } else {
            self.front.truncate(self.middle.saturating_sub(from));
        }
        self.from = from;
        let mut state = self.front.last().cloned().unwrap_or_else(|| self.function.start());
        self.function.merge(&mut state, self.behind.clone())?;
        Ok(self.function.finish(state)?)
    }

    /// What is behind becomes the front.
    async fn turn(&mut self, cx: &mut Context<'_>, inputs: &[Input], from: usize) -> Result<()> {
        self.forget(cx);
        self.behind = self.function.start();
        self.middle = self.to.max(from);
        let mut below = self.function.start();
        for row in (from..self.middle).rev() {
            let mut state = self.function.start();
            add(self.function, &mut state, inputs.get(row))?;
            self.function.merge(&mut state, below)?;
            let bytes = size_of::<State>().saturating_add(state.size_bytes());
            cx.memory.reserve(bytes)?;
            self.bytes = self.bytes.saturating_add(bytes);
            below = state.clone();
            self.front.push(state);
            cx.tick(1).await?;
        }
        Ok(())
    }
}
