//! Statements: parsed, and prepared with types and a plan.

use expr::Type;

/// One parsed statement of a query string.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(crate) kind: StatementKind,
}

impl Statement {
    /// What sort of statement it is.
    pub fn kind(&self) -> StatementKind {
        self.kind
    }
}

/// What the protocol has to know of a statement before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementKind {
    /// BEGIN, COMMIT, ROLLBACK, SAVEPOINT …: the only ones that a failed transaction block takes are those that
    /// end it.
    Transaction,
    /// COPY FROM STDIN or TO STDOUT: the simple protocol switches to the copy sub-protocol.
    Copy,
    /// Returns rows.
    Query,
    /// Anything else.
    Command,
}

/// A statement that is bound: the types of its parameters and of its rows are settled.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) parameters: Vec<Type>,
    pub(crate) columns: Option<Vec<OutputColumn>>,
    pub(crate) kind: StatementKind,
}

impl Prepared {
    /// The types of the parameters, in order (ParameterDescription).
    pub fn parameters(&self) -> &[Type] {
        &self.parameters
    }

    /// The columns of the rows that it returns (RowDescription), or `None` if it returns none (NoData).
    pub fn columns(&self) -> Option<&[OutputColumn]> {
        self.columns.as_deref()
    }

    /// What sort of statement it is.
    pub fn kind(&self) -> StatementKind {
        self.kind
    }
}

/// One column of RowDescription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// The table it comes from; 0 if it is computed.
    pub table_oid: u32,
    /// Its number in that table, from 1; 0 if it is computed.
    pub column_number: i16,
}
