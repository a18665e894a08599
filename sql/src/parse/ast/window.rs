//! OVER and WINDOW.

use super::{Expr, Name, OrderBy};

/// What stands behind OVER.
#[derive(Debug, Clone)]
pub enum Over {
    /// `OVER w`
    Name(Name),
    /// `OVER (…)`
    Definition(Window),
}

/// `w AS (…)` of WINDOW.
#[derive(Debug, Clone)]
pub struct NamedWindow {
    /// w
    pub name: Name,
    /// What it is.
    pub window: Window,
}

/// Which rows a window function sees.
#[derive(Debug, Clone)]
pub struct Window {
    /// The window that this one goes on from.
    pub base: Option<Name>,
    /// PARTITION BY
    pub partition_by: Vec<Expr>,
    /// ORDER BY
    pub order_by: Vec<OrderBy>,
    /// The frame, if one is given.
    pub frame: Option<Frame>,
    /// Where.
    pub at: usize,
}

/// Which of a partition's rows count for each of them.
#[derive(Debug, Clone)]
pub struct Frame {
    /// What offsets count.
    pub mode: FrameMode,
    /// The first row.
    pub start: FrameBound,
    /// The last row.
    pub end: FrameBound,
    /// Both ends are said: BETWEEN.
    pub between: bool,
    /// What of it is left out.
    pub exclude: Exclude,
    /// Where.
    pub at: usize,
}

/// What the offsets of a frame count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameMode {
    /// Rows.
    Rows,
    /// The distance of values.
    Range,
    /// Groups of rows that are alike in order.
    Groups,
}

/// An end of a frame.
#[derive(Debug, Clone)]
pub enum FrameBound {
    /// UNBOUNDED PRECEDING
    First,
    /// `n PRECEDING`
    Before(Box<Expr>),
    /// CURRENT ROW
    Current,
    /// `n FOLLOWING`
    After(Box<Expr>),
    /// UNBOUNDED FOLLOWING
    Last,
}

/// EXCLUDE
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclude {
    /// NO OTHERS
    Nothing,
    /// CURRENT ROW
    Row,
    /// GROUP: the rows that are alike in order, the current one included.
    Group,
    /// TIES: those, without the current one.
    Ties,
}
