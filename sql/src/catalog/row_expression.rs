//! Expressions over a row of a table, as they are kept.

use super::ColumnId;

/// An expression over a row of a table: it depends on nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowExpression {
    /// As SQL text, bound anew by each statement that needs it. It names columns by their names of now.
    pub text: String,
    /// The columns that it names.
    pub columns: Vec<ColumnId>,
}
