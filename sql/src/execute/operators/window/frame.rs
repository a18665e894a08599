//! Frames: which rows of a partition count for each of its rows.
//!
//! From one row to the next in order, neither end of a frame ever moves back.

use std::cmp::Ordering;

use expr::range::{Side, compare_to_end};
use expr::{Datum, Row};

use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::plan::{Exclude, Frame, FrameBound, FrameMode, SortKey};

/// The rows of a partition, in order.
pub(super) struct Partition<'p> {
    pub(super) rows: &'p [Row],
    pub(super) order_by: &'p [SortKey],
    /// Where the groups of rows begin that are alike in order.
    pub(super) groups: Vec<usize>,
}

impl Partition<'_> {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Where a group begins; beyond the last, where they end.
    fn group(&self, number: usize) -> usize {
        self.groups.get(number).copied().unwrap_or(self.rows.len())
    }
}

/// A row and the group that it is in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) row: usize,
    /// The number of its group.
    pub(super) group: usize,
    /// The group's first row.
    pub(super) first: usize,
    /// The row behind its last.
    pub(super) end: usize,
}

impl Place {
    /// The places of all rows.
    pub(super) fn all<'p>(partition: &'p Partition<'_>) -> impl Iterator<Item = Place> + 'p {
        let mut group = 0_usize;
        (0..partition.len()).map(move |row| {
            if row >= partition.group(group.saturating_add(1)) {
                group = group.saturating_add(1);
            }
            Place { row, group, first: partition.group(group), end: partition.group(group.saturating_add(1)) }
        })
    }
}

/// The ends of a call's frames, their offsets known.
pub(super) struct Ends {
    start: End,
    end: End,
}

impl Ends {
    /// Computes the offsets, once for all rows.
    pub(super) fn of(cx: &Context<'_>, frame: &Frame) -> Result<Self> {
        Ok(Self {
            start: end(cx, &frame.start, frame.mode, "starting")?,
            end: end(cx, &frame.end, frame.mode, "ending")?,
        })
    }
}

/// An end of a frame with its offset known.
enum End {
    First,
    Before(Datum),
    Current,
    After(Datum),
    Last,
}

/// Follows a frame from row to row.
pub(super) struct Frames<'p> {
    partition: &'p Partition<'p>,
    mode: FrameMode,
    start: &'p End,
    end: &'p End,
    exclude: Exclude,
    /// The frame of the row that was asked for last.
    pub(super) from: usize,
    pub(super) to: usize,
}

impl<'p> Frames<'p> {
    pub(super) fn new(frame: &Frame, ends: &'p Ends, partition: &'p Partition<'p>) -> Self {
        let Ends { start, end } = ends;
        Self { partition, mode: frame.mode, start, end, exclude: frame.exclude, from: 0, to: 0 }
    }

    /// Whether all frames begin with the partition and leave nothing out.
    pub(super) fn only_grow(&self) -> bool {
        matches!(self.start, End::First) && self.exclude == Exclude::Nothing
    }

    /// Whether frames are whole.
    pub(super) fn are_whole(&self) -> bool {
        self.exclude == Exclude::Nothing
    }

    /// Moves on to the frame of a row.
    pub(super) async fn advance(&mut self, cx: &mut Context<'_>, place: Place) -> Result<()> {
        let last = self.partition.len();
        match self.mode {
            FrameMode::Rows => {
                self.from = match self.start {
                    End::First | End::Last => 0,
                    End::Before(by) => place.row.saturating_sub(count(by)),
                    End::Current => place.row,
                    End::After(by) => place.row.saturating_add(count(by)).min(last),
                };
                self.to = match self.end {
                    End::Last | End::First => last,
                    End::Before(by) => place.row.saturating_add(1).saturating_sub(count(by)),
                    End::Current => place.row.saturating_add(1),
                    End::After(by) => place.row.saturating_add(count(by)).saturating_add(1).min(last),
                };
            }
            FrameMode::Groups => {
                self.from = match self.start {
                    End::First | End::Last => 0,
                    End::Before(by) => self.partition.group(place.group.saturating_sub(count(by))),
                    End::Current => place.first,
                    End::After(by) => self.partition.group(place.group.saturating_add(count(by))),
                };
                self.to = match self.end {
                    End::Last | End::First => last,
                    End::Before(by) => match place.group.checked_sub(count(by)) {
                        Some(group) => self.partition.group(group.saturating_add(1)),
                        None => 0,
                    },
                    End::Current => place.end,
                    End::After(by) => {
                        self.partition.group(place.group.saturating_add(count(by)).saturating_add(1))
                    }
                };
            }
            FrameMode::Range => {
                self.from = match self.start {
                    End::First | End::Last => 0,
                    End::Current => place.first,
                    End::Before(offset) => self.first_within(cx, place, offset, true).await?,
                    End::After(offset) => self.first_within(cx, place, offset, false).await?,
                };
                self.to = match self.end {
                    End::Last | End::First => last,
                    End::Current => place.end,
                    End::Before(offset) => self.first_beyond(cx, place, offset, true).await?,
                    End::After(offset) => self.first_beyond(cx, place, offset, false).await?,
                };
            }
        }
        Ok(())
    }

    /// The pieces of the frame of a row, without what is left out.
    pub(super) fn pieces(&self, place: Place) -> [std::ops::Range<usize>; 3] {
        let (from, to) = (self.from, self.to);
        let before = |row: usize| from..to.min(row);
        let behind = |row: usize| from.max(row)..to;
        let own = if (from..to).contains(&place.row) { place.row..place.row.saturating_add(1) } else { 0..0 };
        match self.exclude {
            Exclude::Nothing => [from..to, 0..0, 0..0],
            Exclude::Row => [before(place.row), 0..0, behind(place.row.saturating_add(1))],
            Exclude::Group => [before(place.first), 0..0, behind(place.end)],
            Exclude::Ties => [before(place.first), own, behind(place.end)],
        }
    }

    /// The key of a row.
    fn key(&self, cx: &Context<'_>, row: usize) -> Result<Datum> {
        match (self.partition.order_by, self.partition.rows.get(row)) {
            ([key, ..], Some(row)) => cx.evaluate(&key.expression, row),
            _ => Err(Error::internal("a range without an order")),
        }
    }

    fn order(&self) -> (bool, bool) {
        self.partition.order_by.first().map_or((false, false), |key| (key.descending, key.nulls_first))
    }

    /// The first row that is not before what lies so far from a row's key.
    async fn first_within(
        &self,
        cx: &mut Context<'_>,
        place: Place,
        offset: &Datum,
        before: bool,
    ) -> Result<usize> {
        let (descending, nulls_first) = self.order();
        let own = self.key(cx, place.row)?;
        let mut row = self.from;
        while row < self.partition.len() {
            let key = self.key(cx, row)?;
            let is_before = match (key.is_null(), own.is_null()) {
                (false, false) => {
                    let order = compare_to_end(&key, &own, offset, side(before, descending), cx.session)?;
                    order == if descending { Ordering::Greater } else { Ordering::Less }
                }
                (true, false) => nulls_first,
                (false, true) => !nulls_first,
                (true, true) => false,
            };
            if !is_before {
                break;
            }
            row = row.saturating_add(1);
            cx.tick(1).await?;
        }
        Ok(row)
    }

    /// The first row that is behind what lies so far from a row's key.
    async fn first_beyond(
        &self,
        cx: &mut Context<'_>,
        place: Place,
        offset: &Datum,
        before: bool,
    ) -> Result<usize> {
        let (descending, nulls_first) = self.order();
        let own = self.key(cx, place.row)?;
        let mut row = self.to;
        while row < self.partition.len() {
            let key = self.key(cx, row)?;
            let is_beyond = match (key.is_null(), own.is_null()) {
                (false, false) => {
                    let order = compare_to_end(&key, &own, offset, side(before, descending), cx.session)?;
                    order == if descending { Ordering::Less } else { Ordering::Greater }
                }
                (true, false) => !nulls_first,
                (false, true) => nulls_first,
                (true, true) => false,
            };
            if is_beyond {
                break;
            }
            row = row.saturating_add(1);
            cx.tick(1).await?;
        }
        Ok(row)
    }
}

/// On which side of a row's key something lies that comes before or after it in order.
fn side(before: bool, descending: bool) -> Side {
    if before == descending { Side::Above } else { Side::Below }
}

fn count(offset: &Datum) -> usize {
    offset.as_i64().and_then(|offset| usize::try_from(offset).ok()).unwrap_or(usize::MAX)
}

fn end(cx: &Context<'_>, bound: &FrameBound, mode: FrameMode, which: &str) -> Result<End> {
    let known = |offset| {
        let value = cx.evaluate(offset, &[])?;
        if value.is_null() {
            return Err(Error::new("22004", format!("frame {which} offset must not be null")));
        }
        if mode != FrameMode::Range && value.as_i64().is_some_and(|offset| offset < 0) {
            return Err(Error::new("22013", format!("frame {which} offset must not be negative")));
        }
        Ok(value)
    };
    Ok(match bound {
        FrameBound::First => End::First,
        FrameBound::Current => End::Current,
        FrameBound::Last => End::Last,
        FrameBound::Before(offset) => End::Before(known(offset)?),
        FrameBound::After(offset) => End::After(known(offset)?),
    })
}
