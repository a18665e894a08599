//! What SET and the columns of INSERT give values to.

use super::{Expr, Name, Subscript};

/// What a value is given to.
#[derive(Debug, Clone)]
pub struct AssignmentTarget {
    /// The column.
    pub column: Name,
    /// `column.field`
    pub field: Option<Name>,
    /// `column[1]`, `column['key'][2:3]`
    pub subscripts: Vec<Subscript>,
}

/// `target = value`
#[derive(Debug, Clone)]
pub struct Assignment {
    /// target
    pub target: AssignmentTarget,
    /// value
    pub value: Expr,
}
