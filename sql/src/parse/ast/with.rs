//! Queries of WITH, and SEARCH and CYCLE of those that read themselves.

use super::{Expr, Name, Query};

/// One query of WITH.
#[derive(Debug, Clone)]
pub struct CommonTable {
    /// Its name.
    pub name: Name,
    /// Names for its columns, from the left.
    pub columns: Vec<Name>,
    /// MATERIALIZED, NOT MATERIALIZED.
    pub materialized: Option<bool>,
    /// The query.
    pub query: Query,
    /// RECURSIVE
    pub recursive: bool,
    /// SEARCH
    pub search: Option<Search>,
    /// CYCLE
    pub cycle: Option<Cycle>,
}

/// `SEARCH DEPTH FIRST BY a, b SET s`
#[derive(Debug, Clone)]
pub struct Search {
    /// Where it stands.
    pub at: usize,
    /// BREADTH
    pub breadth_first: bool,
    /// BY
    pub by: Vec<Name>,
    /// SET: the column that rows are in that order by.
    pub sequence: Name,
}

/// `CYCLE a, b SET m TO 'Y' DEFAULT 'N' USING p`
#[derive(Debug, Clone)]
pub struct Cycle {
    /// Where it stands.
    pub at: usize,
    /// What rows are told apart by.
    pub by: Vec<Name>,
    /// SET: the column that says whether the row was there before.
    pub mark: Name,
    /// TO and DEFAULT: what it says then, and else.
    pub values: Option<(Expr, Expr)>,
    /// USING: the column of the rows on the way.
    pub path: Name,
}
