//! Joins.

use super::{Expr, Name};

/// Which pairs a join answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    /// Those that match.
    Inner,
    /// And each left row without match, with NULLs for the right.
    Left,
    /// And each right row without match, with NULLs for the left.
    Right,
    /// Both.
    Full,
}

/// What makes a pair.
#[derive(Debug, Clone)]
pub enum JoinCondition {
    /// ON
    On(Expr),
    /// USING
    Using(Vec<Name>),
    /// NATURAL
    Natural,
    /// CROSS JOIN
    None,
}
