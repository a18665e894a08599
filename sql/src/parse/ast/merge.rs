//! MERGE.

use super::{Assignment, CommonTable, Expr, Insert, Name, QualifiedName, TableExpr};

/// MERGE
#[derive(Debug, Clone)]
pub struct Merge {
    /// WITH
    pub with: Vec<CommonTable>,
    /// The table that is changed.
    pub table: QualifiedName,
    /// AS
    pub alias: Option<Name>,
    /// USING
    pub source: TableExpr,
    /// ON
    pub on: Expr,
    /// WHEN …, at least one.
    pub whens: Vec<MergeWhen>,
}

/// `WHEN [NOT] MATCHED AND condition THEN action`
#[derive(Debug, Clone)]
pub struct MergeWhen {
    /// MATCHED rather than NOT MATCHED.
    pub matched: bool,
    /// AND
    pub condition: Option<Expr>,
    /// What is done.
    pub action: MergeAction,
}

/// What MERGE does with a row.
#[derive(Debug, Clone)]
pub enum MergeAction {
    /// DO NOTHING
    Nothing,
    /// UPDATE SET
    Update(Vec<Assignment>),
    /// DELETE
    Delete,
    /// INSERT: of one row of VALUES, or of DEFAULT VALUES.
    Insert(Box<Insert>),
}
