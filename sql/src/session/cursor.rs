//! Cursors: a query whose rows are asked for bit by bit, in either direction.
//!
//! ```text
//! position   0          1 … n                        n + 1
//!            before     on a row                     after the last one, once it has been read past
//! kept       rows that were read, up to n: all of them where the cursor may go back, those it has not come to where it is held
//! run        where the rows after n come from; gone once there are none
//! ```
//!
//! A cursor sees what its DECLARE saw. One that is held beyond its transaction reads all its rows when that commits.

use std::collections::VecDeque;
use std::sync::Arc;

use client::ReadView;
use env::clock::Instant;
use expr::Row;

use super::Session;
use super::portal::{Running, Wanted};
use super::prepared::Prepared;
use super::run::guard;
use crate::error::{Error, Result};
use crate::execute::memory::{Memory, row_bytes};
use crate::plan::{CursorOptions, Motion};
use crate::system::ShownCursor;

/// A cursor that was not declared with SCROLL keeps the rows that it has read up to so many bytes, to go back over them.
const KEPT_UNASKED_BYTES_MAX: usize = 4 << 20;

/// Whether a cursor may go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backward {
    /// No.
    Never,
    /// As long as the rows that were read take little room.
    WhileItFits,
    /// Yes.
    Always,
}

/// A query under way, and where in its rows one is.
pub struct Cursor {
    pub(super) prepared: Arc<Prepared>,
    pub(super) options: CursorOptions,
    /// The text of its DECLARE.
    pub(super) statement: Arc<str>,
    /// When it was declared, in microseconds since 2000.
    pub(super) created: i64,
    backward: Backward,
    run: Option<Box<Running>>,
    view: Option<ReadView>,
    /// Whether what is read is kept.
    keeps: bool,
    kept: VecDeque<Row>,
    /// The number of the first row that is kept.
    kept_from: u64,
    memory: Memory,
    read: u64,
    position: u64,
    /// The row that it is on, where that is not kept.
    current: Option<Row>,
    /// Its transaction has committed.
    is_held: bool,
    /// Until when it may run now.
    pub(super) deadline: Option<Instant>,
}

impl Cursor {
    pub(super) fn new(
        prepared: Arc<Prepared>,
        options: CursorOptions,
        statement: Arc<str>,
        created: i64,
        backward: Backward,
        memory: Memory,
        run: (Box<Running>, ReadView),
    ) -> Self {
        let (run, view) = run;
        Self {
            prepared,
            options,
            statement,
            created,
            backward,
            run: Some(run),
            view: Some(view),
            keeps: backward != Backward::Never,
            kept: VecDeque::new(),
            kept_from: 1,
            memory,
            read: 0,
            position: 0,
            current: None,
            is_held: false,
            deadline: None,
        }
    }

    /// Whether it goes on after its transaction.
    pub(super) fn is_held(&self) -> bool {
        self.is_held
    }

    /// `pg_cursors.is_scrollable`
    pub(super) fn is_scrollable(&self) -> bool {
        self.backward != Backward::Never
    }

    /// Its row of `pg_cursors`.
    pub(super) fn shown(&self, name: &str) -> ShownCursor {
        ShownCursor {
            name: name.to_owned(),
            statement: self.statement.clone(),
            is_holdable: self.options.hold,
            is_binary: self.options.binary,
            is_scrollable: self.is_scrollable(),
            created: self.created,
        }
    }

    fn check_backward(&self) -> Result<()> {
        if self.is_scrollable() {
            return Ok(());
        }
        Err(Error::new("55000", "cursor can only scan forward")
            .hint("Declare it with SCROLL option to enable backward scan."))
    }

    fn is_on_row(&self) -> bool {
        (1..=self.read).contains(&self.position)
    }

    fn kept_row(&self) -> Option<&Row> {
        let place = usize::try_from(self.position.checked_sub(self.kept_from)?).ok()?;
        self.kept.get(place)
    }

    /// The row that it is on.
    pub(super) fn current(&self) -> Option<&Row> {
        if !self.is_on_row() {
            return None;
        }
        self.kept_row().or(self.current.as_ref())
    }

    /// Takes in the next row that was read.
    fn take(&mut self, row: &Row) -> Result<()> {
        self.read = self.read.saturating_add(1);
        self.position = self.read;
        if !self.keeps {
            self.current = Some(row.clone());
            self.kept_from = self.read.saturating_add(1);
            return Ok(());
        }
        self.memory.reserve(row_bytes(row))?;
        self.kept.push_back(row.clone());
        if self.backward == Backward::WhileItFits && self.memory.used() > KEPT_UNASKED_BYTES_MAX {
            self.backward = Backward::Never;
            self.keeps = false;
            self.current = self.kept.pop_back();
            self.kept = VecDeque::new();
            self.kept_from = self.read.saturating_add(1);
            self.memory.hold(0)?;
        }
        Ok(())
    }

    /// One row back; `None`: it is before the first.
    fn step_back(&mut self) -> Option<Row> {
        self.position = self.position.saturating_sub(1);
        self.kept_row().cloned()
    }
}

impl Session {
    /// Brings a cursor to where the rows begin that are wanted.
    pub(super) async fn go_to(&mut self, cursor: &mut Cursor, motion: Motion) -> Result<Wanted> {
        let magnitude = i64::unsigned_abs;
        Ok(match motion {
            Motion::Forward(None) => Wanted::Forward(u64::MAX),
            Motion::Backward(None) => Wanted::Backward(u64::MAX),
            Motion::Forward(Some(0)) | Motion::Backward(Some(0)) | Motion::Relative(0) => Wanted::Same,
            Motion::Forward(Some(count)) if count > 0 => Wanted::Forward(magnitude(count)),
            Motion::Backward(Some(count)) if count < 0 => Wanted::Forward(magnitude(count)),
            Motion::Forward(Some(count)) | Motion::Backward(Some(count)) => {
                Wanted::Backward(magnitude(count))
            }
            Motion::Relative(count) => {
                let between = magnitude(count).saturating_sub(1);
                if count > 0 {
                    self.skip(cursor, Wanted::Forward(between)).await?;
                    Wanted::Forward(1)
                } else {
                    self.skip(cursor, Wanted::Backward(between)).await?;
                    Wanted::Backward(1)
                }
            }
            Motion::Absolute(number) if number >= 0 => {
                let before = magnitude(number).saturating_sub(1);
                let position = cursor.position;
                if number == 0 || before <= position / 2 {
                    // From the start, as long as that is no way back.
                    if position > 0 {
                        cursor.check_backward()?;
                    }
                    cursor.position = 0;
                    self.skip(cursor, Wanted::Forward(before)).await?;
                } else if before < position {
                    self.skip(cursor, Wanted::Backward(position.saturating_sub(before))).await?;
                } else {
                    self.skip(cursor, Wanted::Forward(before.saturating_sub(position))).await?;
                }
                Wanted::Forward(u64::from(number != 0))
            }
            Motion::Absolute(number) => {
                self.skip(cursor, Wanted::Forward(u64::MAX)).await?;
                self.skip(cursor, Wanted::Backward(magnitude(number).saturating_sub(1))).await?;
                Wanted::Backward(1)
            }
        })
    }

    /// Moves a cursor without answering rows.
    async fn skip(&mut self, cursor: &mut Cursor, over: Wanted) -> Result<()> {
        self.travel(cursor, over, |_| Ok(true)).await.map(|_| ())
    }

    /// Moves a cursor over the rows that are wanted, until `see` says that it has had enough or there are no more; over how
    /// many.
    pub(super) async fn travel(
        &mut self,
        cursor: &mut Cursor,
        wanted: Wanted,
        mut see: impl FnMut(Row) -> Result<bool>,
    ) -> Result<u64> {
        let mut count = 0_u64;
        match wanted {
            Wanted::Same => {
                if cursor.is_on_row() {
                    cursor.check_backward()?;
                }
                if let Some(row) = cursor.current().cloned() {
                    see(row)?;
                    count = 1;
                }
            }
            Wanted::Backward(most) => {
                if most > 0 {
                    cursor.check_backward()?;
                }
                while count < most
                    && let Some(row) = cursor.step_back()
                {
                    count = count.saturating_add(1);
                    if !see(row)? {
                        break;
                    }
                }
            }
            Wanted::Forward(most) => {
                while count < most
                    && let Some(row) = self.step_forward(cursor).await?
                {
                    count = count.saturating_add(1);
                    if !see(row)? {
                        break;
                    }
                }
            }
        }
        Ok(count)
    }

    /// One row on; `None`: it is after the last.
    async fn step_forward(&mut self, cursor: &mut Cursor) -> Result<Option<Row>> {
        if cursor.position < cursor.read {
            cursor.position = cursor.position.saturating_add(1);
            return Ok(cursor.kept_row().cloned());
        }
        let Some(row) = self.next_row(cursor).await? else {
            cursor.position = cursor.read.saturating_add(1);
            return Ok(None);
        };
        cursor.take(&row)?;
        Ok(Some(row))
    }

    /// The next row of a cursor's query.
    async fn next_row(&mut self, cursor: &mut Cursor) -> Result<Option<Row>> {
        let Some(run) = &mut cursor.run else { return Ok(None) };
        if let Some(row) = run.ready.pop_front() {
            return Ok(Some(row));
        }
        if let (Some(open), Some(view)) = (&mut self.transaction.open, &cursor.view) {
            open.kv.look_through(view);
            open.answered = true;
            open.suspended = true;
        }
        let deadline = cursor.deadline;
        let (execution, mut cx) = self.context_for(run)?;
        let cancel = cx.cancel.clone();
        let rows = guard(&cancel, deadline, execution.next(&mut cx)).await;
        if let Some(open) = &mut self.transaction.open {
            open.kv.look_at_all();
        }
        match rows? {
            Some(rows) => run.ready.extend(rows),
            None => (cursor.run, cursor.view) = (None, None),
        }
        Ok(cursor.run.as_mut().and_then(|run| run.ready.pop_front()))
    }

    /// Reads all rows of these cursors, which are held beyond the transaction that is about to commit.
    pub(super) async fn hold_cursors(&mut self, names: Vec<String>) -> Result<()> {
        for name in names {
            let mut cursor = self.registry.take_cursor(&name)?;
            cursor.deadline = self.statement_deadline();
            let (position, current) = (cursor.position, cursor.current.take());
            cursor.keeps = true;
            if cursor.backward == Backward::WhileItFits {
                // Whether it fits is asked no more.
                cursor.backward = Backward::Always;
            }
            self.skip(&mut cursor, Wanted::Forward(u64::MAX)).await?;
            (cursor.position, cursor.current, cursor.is_held) = (position, current, true);
            self.registry.put_cursor(&name, cursor);
        }
        Ok(())
    }
}
