//! Plans that write rows, and COPY.

use std::sync::Arc;

use expr::Expr;

use super::{CopyOptions, Node};
use crate::catalog::{IndexId, TableDescriptor};

/// Writes rows.
#[derive(Debug, Clone)]
pub enum Modify {
    /// INSERT
    Insert(Insert),
    /// UPDATE
    Update(Update),
    /// DELETE
    Delete(Delete),
    /// COPY … FROM STDIN
    CopyFrom(CopyFrom),
    /// COPY … TO STDOUT
    CopyTo(CopyTo),
}

/// A condition that must not be false of any new row.
#[derive(Debug, Clone)]
pub struct RowCheck {
    /// The constraint's name.
    pub name: String,
    /// Over the row: all columns of the table.
    pub condition: Expr,
}

/// Adds rows. Values are already of their columns' types, modifiers applied; NOT NULL is for the executor to check.
#[derive(Debug, Clone)]
pub struct Insert {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// One column per column of the table, in order; NULL for a hidden row id, which the executor makes up.
    pub source: Node,
    /// The table's checks, in the order in which they are judged.
    pub checks: Arc<[RowCheck]>,
    /// Whether the table has a part in foreign keys.
    pub linked: bool,
    /// ON CONFLICT
    pub on_conflict: Option<OnConflict>,
    /// RETURNING, over the new row (all columns of the table).
    pub returning: Option<Vec<Expr>>,
}

/// What to do about a row whose key is taken.
#[derive(Debug, Clone)]
pub struct OnConflict {
    /// The unique indexes whose conflicts are meant; the others' are errors (23505). `None`: any.
    pub arbiters: Option<Vec<IndexId>>,
    /// What to do.
    pub action: ConflictAction,
}

/// DO NOTHING or DO UPDATE.
#[derive(Debug, Clone)]
pub enum ConflictAction {
    /// Leave the new row out.
    Nothing,
    /// Change the row that is there; 21000 if this statement inserted or changed it before.
    Update {
        /// Over the existing row (all columns of the table) followed by `excluded`, the new one.
        assignments: Vec<Assignment>,
        /// WHERE, over the same pair: where it is not true the row is locked and left as it is.
        filter: Option<Expr>,
    },
}

/// A new value for a column.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// Its place in the table's columns.
    pub column: usize,
    /// Of the column's type, modifier applied.
    pub value: Expr,
}

/// Changes rows.
#[derive(Debug, Clone)]
pub struct Update {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// The old row (all columns of the table, locked by its scan), then the columns of FROM's tables.
    /// A row of the table that comes more than once is changed once.
    pub source: Node,
    /// Over the source's row.
    pub assignments: Vec<Assignment>,
    /// The table's checks, in the order in which they are judged.
    pub checks: Arc<[RowCheck]>,
    /// Whether the table has a part in foreign keys.
    pub linked: bool,
    /// RETURNING, over the new row followed by the source's columns after the old row.
    pub returning: Option<Vec<Expr>>,
}

/// Removes rows.
#[derive(Debug, Clone)]
pub struct Delete {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// The row (all columns of the table, locked by its scan), then the columns of USING's tables.
    pub source: Node,
    /// Whether the table has a part in foreign keys.
    pub linked: bool,
    /// RETURNING, over the source's row.
    pub returning: Option<Vec<Expr>>,
}

/// Rows from the client.
#[derive(Debug, Clone)]
pub struct CopyFrom {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// The columns that the data has: places in the table's columns.
    pub columns: Vec<usize>,
    /// Defaults of the other columns, by place; those not named here become NULL. They name no columns.
    pub defaults: Vec<Assignment>,
    /// The table's checks, in the order in which they are judged.
    pub checks: Arc<[RowCheck]>,
    /// The data's form.
    pub options: CopyOptions,
}

/// Rows to the client.
#[derive(Debug, Clone)]
pub struct CopyTo {
    /// The rows.
    pub source: Node,
    /// The columns' names, for HEADER.
    pub names: Vec<String>,
    /// The data's form.
    pub options: CopyOptions,
}
