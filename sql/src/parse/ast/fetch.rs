//! Cursors: DECLARE, FETCH, MOVE.

use super::Statement;

/// DECLARE … CURSOR
#[derive(Debug, Clone)]
pub struct Declare {
    /// Its name.
    pub name: String,
    /// How it is to behave.
    pub options: CursorOptions,
    /// The query.
    pub query: Box<Statement>,
}

/// What DECLARE says of a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CursorOptions {
    /// BINARY
    pub binary: bool,
    /// INSENSITIVE: as every cursor is.
    pub insensitive: bool,
    /// SCROLL, NO SCROLL
    pub scroll: Option<bool>,
    /// WITH HOLD
    pub hold: bool,
}

/// FETCH, MOVE
#[derive(Debug, Clone)]
pub struct Fetch {
    /// The cursor.
    pub name: String,
    /// Where to.
    pub motion: Motion,
    /// MOVE: no rows are wanted.
    pub is_move: bool,
}

/// Where a cursor goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// So many rows on, or back if negative; 0: the same row again. `None`: all.
    Forward(Option<i64>),
    /// So many rows back, or on if negative. `None`: all.
    Backward(Option<i64>),
    /// To the row of this number, from 1; from the end if negative; 0: before the first.
    Absolute(i64),
    /// To the row so many further on.
    Relative(i64),
}
