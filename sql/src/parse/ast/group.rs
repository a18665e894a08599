//! GROUP BY.

use super::Expr;

/// GROUP BY
#[derive(Debug, Clone)]
pub struct GroupBy {
    /// DISTINCT: sets of keys that there are several times count once.
    pub distinct: bool,
    /// What is grouped by: the sets of each with those of every other.
    pub items: Vec<GroupItem>,
}

/// An item of GROUP BY: one set of keys, or several.
#[derive(Debug, Clone)]
pub enum GroupItem {
    /// A key.
    Key(Expr),
    /// `(a, b)`: one set; `()` is the one without keys.
    Keys(Vec<Expr>),
    /// `ROLLUP (a, (b, c))`: all keys, then fewer and fewer, from the right.
    Rollup(Vec<Vec<Expr>>, usize),
    /// `CUBE (a, (b, c))`: every choice of them.
    Cube(Vec<Vec<Expr>>, usize),
    /// `GROUPING SETS (…)`
    Sets(Vec<GroupItem>),
}
