//! TABLESAMPLE.

use super::{Expr, QualifiedName};

/// Some rows of a table.
#[derive(Debug, Clone)]
pub struct Sample {
    /// How rows are chosen.
    pub method: QualifiedName,
    /// How many.
    pub arguments: Vec<Expr>,
    /// REPEATABLE
    pub seed: Option<Expr>,
}
