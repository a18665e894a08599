//! What SET and the columns of INSERT give values to.

use super::{Expr, Name, Subscript};

/// What a value is given to.
#[derive(Debug, Clone)]
pub struct AssignmentTarget {
    /// The column.
    pub column: Name,
    /// What leads to the part of it that is meant, if that is not all.
    pub parts: Vec<TargetPart>,
}

/// What leads from a value into it.
#[derive(Debug, Clone)]
pub enum TargetPart {
    /// `.field`
    Field(Name),
    /// `[1]`, `['key'][2:3]`
    Subscripts(Vec<Subscript>),
}

/// `target = value`
#[derive(Debug, Clone)]
pub struct Assignment {
    /// target
    pub target: AssignmentTarget,
    /// value
    pub value: Expr,
}
