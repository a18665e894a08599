//! Windows whose calls need nothing of what follows, but for rows that are alike in order: what has gone by is a number or a
//! state, and no partition is held.
//!
//! ```text
//! what all calls see            what is held
//! up to the row itself          nothing
//! up to the last of its group   the group, in memory and beyond it
//! ```

use async_trait::async_trait;
use expr::aggregate::{Aggregate, State};
use expr::functions::WindowFunction;
use expr::{Datum, Expr, Row};

use super::super::group::GroupKey;
use super::super::order::compare_keys;
use super::super::{Batch, BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::spill::{Cursor, StoredRows};
use crate::plan::{Exclude, FrameBound, FrameMode, SortKey, Window, WindowCall, WindowKind};

/// How far a call sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Row,
    Group,
}

/// Adds columns that are computed of what has gone by.
pub(in super::super) struct RunningOperator {
    input: BoxOperator,
    partition_by: Vec<Expr>,
    order_by: Vec<SortKey>,
    order: Vec<Expr>,
    calls: Vec<Running>,
    holds_groups: bool,
    /// Rows of the input that were not looked at.
    ahead: std::vec::IntoIter<Row>,
    input_ended: bool,
    /// The partition and the group of the last row.
    last: Option<(GroupKey, Row)>,
    rows: i64,
    rank: i64,
    group: i64,
    /// The group at hand, and how far it was handed out, if it is whole.
    held: StoredRows,
    giving: Option<Cursor>,
    /// Rows of it that were read and not handed out, and whether the next is its first.
    page: std::vec::IntoIter<Row>,
    begins_group: bool,
    /// The first row of the next group.
    first: Option<(GroupKey, Row, Row)>,
}

/// A call and what it has seen of the partition.
struct Running {
    call: WindowCall,
    reach: Reach,
    state: State,
    /// What a list in it takes.
    bytes: usize,
    /// The first row's value.
    first: Option<Datum>,
    /// The value for the whole group.
    value: Datum,
}

/// How far a call sees; `None`: further than this operator does.
fn reach(call: &WindowCall) -> Option<Reach> {
    let frame = &call.frame;
    let is_running = matches!((&frame.start, &frame.end), (FrameBound::First, FrameBound::Current))
        && frame.exclude == Exclude::Nothing;
    // An offset has to make sense even where nobody looks at it.
    if frame.start.offset().is_some() || frame.end.offset().is_some() {
        return None;
    }
    let of_frame = match frame.mode {
        FrameMode::Rows => Reach::Row,
        FrameMode::Range | FrameMode::Groups => Reach::Group,
    };
    match call.function {
        WindowKind::Aggregate(_) => is_running.then_some(of_frame),
        WindowKind::Function(_, function) => match function {
            WindowFunction::RowNumber | WindowFunction::Rank | WindowFunction::DenseRank => Some(Reach::Row),
            WindowFunction::FirstValue => is_running.then_some(Reach::Row),
            _ => None,
        },
    }
}

impl RunningOperator {
    /// Whether it can compute a window.
    pub(in super::super) fn suits(window: &Window) -> bool {
        window.calls.iter().all(|call| reach(call).is_some())
    }

    pub(in super::super) fn new(input: BoxOperator, window: &Window) -> Self {
        let running = |call: &WindowCall| {
            let state = match call.function {
                WindowKind::Aggregate(function) => function.start(),
                WindowKind::Function(..) => State::default(),
            };
            let reach = reach(call).unwrap_or(Reach::Group);
            Running { call: call.clone(), reach, state, bytes: 0, first: None, value: Datum::Null }
        };
        let calls: Vec<Running> = window.calls.iter().map(running).collect();
        Self {
            input,
            partition_by: window.partition_by.clone(),
            order_by: window.order_by.clone(),
            order: window.order_by.iter().map(|key| key.expression.clone()).collect(),
            holds_groups: calls.iter().any(|call| call.reach == Reach::Group),
            calls,
            ahead: Vec::new().into_iter(),
            input_ended: false,
            last: None,
            rows: 0,
            rank: 0,
            group: 0,
            held: StoredRows::default(),
            giving: None,
            page: Vec::new().into_iter(),
            begins_group: false,
            first: None,
        }
    }

    /// The next row with its partition and its values in order.
    async fn row(&mut self, cx: &mut Context<'_>) -> Result<Option<(GroupKey, Row, Row)>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        loop {
            if let Some(row) = self.ahead.next() {
                let key = GroupKey::of(&self.partition_by, cx.evaluate_all(&self.partition_by, &row)?);
                let order = cx.evaluate_all(&self.order, &row)?;
                return Ok(Some((key, order, row)));
            }
            if self.input_ended {
                return Ok(None);
            }
            match self.input.next(cx).await? {
                Some(rows) => self.ahead = rows.into_iter(),
                None => self.input_ended = true,
            }
        }
    }

    /// Where a row begins something new: a partition, or a group of rows that are alike in order.
    fn begins(&self, key: &GroupKey, order: &Row) -> (bool, bool) {
        let Some((last, before)) = &self.last else { return (true, true) };
        let partition = last != key;
        (partition, partition || compare_keys(&self.order_by, before, order).is_ne())
    }

    /// Forgets the partition.
    fn begin_partition(&mut self, cx: &mut Context<'_>) {
        (self.rows, self.rank, self.group) = (0, 0, 0);
        for running in &mut self.calls {
            cx.memory.release(std::mem::take(&mut running.bytes));
            running.first = None;
            running.state = match running.call.function {
                WindowKind::Aggregate(function) => function.start(),
                WindowKind::Function(..) => State::default(),
            };
        }
    }

    /// Adds the columns of a row that is next in its partition.
    async fn complete(&mut self, cx: &mut Context<'_>, row: &mut Row, begins_group: bool) -> Result<()> {
        self.rows = self.rows.saturating_add(1);
        if begins_group {
            self.rank = self.rows;
            self.group = self.group.saturating_add(1);
        }
        let width = row.len();
        for running in &mut self.calls {
            let seen = row.get(..width).unwrap_or_default();
            let value = match running.call.function {
                WindowKind::Aggregate(function) => {
                    if running.reach == Reach::Row {
                        running.add(cx, function, seen)?;
                        running.value(cx, function).await?
                    } else {
                        running.value.clone()
                    }
                }
                WindowKind::Function(_, WindowFunction::RowNumber) => Datum::Int8(self.rows),
                WindowKind::Function(_, WindowFunction::Rank) => Datum::Int8(self.rank),
                WindowKind::Function(_, WindowFunction::DenseRank) => Datum::Int8(self.group),
                WindowKind::Function(..) => match &running.first {
                    Some(first) => first.clone(),
                    None => {
                        let argument = running.call.arguments.first();
                        let first = match argument {
                            Some(argument) => cx.evaluate(argument, seen)?,
                            None => Datum::Null,
                        };
                        running.first.insert(first).clone()
                    }
                },
            };
            row.push(value);
        }
        Ok(())
    }

    /// Holds the next group and computes what its rows have in common; false if there is none.
    async fn next_group(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        self.held.clear(cx.memory);
        let Some((key, order, row)) = self.row(cx).await? else { return Ok(false) };
        if self.begins(&key, &order).0 {
            self.begin_partition(cx);
        }
        self.last = Some((key, order));
        self.hold(cx, row).await?;
        while let Some((key, order, row)) = self.row(cx).await? {
            if self.begins(&key, &order).1 {
                self.first = Some((key, order, row));
                break;
            }
            self.hold(cx, row).await?;
            cx.tick(1).await?;
        }
        for running in &mut self.calls {
            if let (WindowKind::Aggregate(function), Reach::Group) = (running.call.function, running.reach) {
                running.value = running.value(cx, function).await?;
            }
        }
        Ok(true)
    }

    async fn hold(&mut self, cx: &mut Context<'_>, row: Row) -> Result<()> {
        for running in &mut self.calls {
            if let (WindowKind::Aggregate(function), Reach::Group) = (running.call.function, running.reach) {
                running.add(cx, function, &row)?;
            }
        }
        self.held.push(cx.memory, row).await
    }

    /// Rows as they come.
    async fn row_by_row(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let mut batch = Batch::default();
        while !batch.is_full()
            && let Some((key, order, mut row)) = self.row(cx).await?
        {
            let (begins_partition, begins_group) = self.begins(&key, &order);
            if begins_partition {
                self.begin_partition(cx);
            }
            self.last = Some((key, order));
            self.complete(cx, &mut row, begins_group).await?;
            batch.push(row);
            cx.tick(1).await?;
        }
        Ok(batch.into_rows())
    }

    /// Rows group by group.
    async fn group_by_group(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let mut batch = Batch::default();
        while !batch.is_full()
            && let Some((mut row, begins_group)) = self.held_row(cx).await?
        {
            self.complete(cx, &mut row, begins_group).await?;
            batch.push(row);
            cx.tick(1).await?;
        }
        Ok(batch.into_rows())
    }

    /// The next row of the group at hand, or the first of the next group, and which of both it is.
    async fn held_row(&mut self, cx: &mut Context<'_>) -> Result<Option<(Row, bool)>> {
        loop {
            if let Some(row) = self.page.next() {
                return Ok(Some((row, std::mem::take(&mut self.begins_group))));
            }
            let mut at = match self.giving {
                Some(at) => at,
                None => {
                    if !self.next_group(cx).await? {
                        return Ok(None);
                    }
                    self.begins_group = true;
                    Cursor::default()
                }
            };
            self.giving = match self.held.read(cx.memory, &mut at).await? {
                Some(rows) => {
                    self.page = rows.into_iter();
                    Some(at)
                }
                None => None,
            };
        }
    }
}

impl Running {
    /// Adds a row to the state of an aggregate.
    fn add(&mut self, cx: &mut Context<'_>, function: Aggregate, row: &[Datum]) -> Result<()> {
        if !cx.holds_if_any(self.call.filter.as_ref(), row)? {
            return Ok(());
        }
        let mut values = cx.evaluate_all(&self.call.arguments, row)?.into_iter();
        let (value, second) = (values.next().unwrap_or_default(), values.next().unwrap_or_default());
        let kept = self.state.kept();
        function.add_pair(&mut self.state, &value, &second)?;
        let bytes = self.state.kept_bytes(kept);
        if bytes > 0 {
            cx.memory.reserve(bytes)?;
            self.bytes = self.bytes.saturating_add(bytes);
        }
        Ok(())
    }

    /// What the state of an aggregate comes to.
    async fn value(&self, cx: &mut Context<'_>, function: Aggregate) -> Result<Datum> {
        super::aggregate::copied(cx, &self.state).await?;
        Ok(function.finish(self.state.clone())?)
    }
}

#[async_trait]
impl Operator for RunningOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        if self.holds_groups { self.group_by_group(cx).await } else { self.row_by_row(cx).await }
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.begin_partition(cx);
        self.held.clear(cx.memory);
        self.ahead = Vec::new().into_iter();
        self.input_ended = false;
        self.last = None;
        self.giving = None;
        self.page = Vec::new().into_iter();
        self.begins_group = false;
        self.first = None;
        self.input.rewind(cx);
    }
}
