//! What a session does by itself: transactions, settings, prepared statements, and what is accepted without effect.

use std::sync::Arc;

use expr::{Expr, Type};

use super::{Declare, Discard, Fetch, Notifying, SettingValue, TransactionModes};
use crate::catalog::{ColumnId, TableDescriptor};
use crate::parse::Statement;
use crate::parse::ast::TableLock;

/// A statement that reads and writes no rows.
#[derive(Debug, Clone)]
pub enum SessionCommand {
    /// BEGIN, START TRANSACTION
    Begin(TransactionModes),
    /// COMMIT, END
    Commit {
        /// AND CHAIN
        chain: bool,
    },
    /// ROLLBACK, ABORT
    Rollback {
        /// AND CHAIN
        chain: bool,
    },
    /// SAVEPOINT
    Savepoint(String),
    /// RELEASE SAVEPOINT
    Release(String),
    /// ROLLBACK TO SAVEPOINT
    RollbackTo(String),
    /// SET CONSTRAINTS: of these foreign keys, or of all.
    SetConstraints {
        /// Their oids.
        keys: Option<Vec<crate::catalog::Oid>>,
        /// DEFERRED rather than IMMEDIATE.
        deferred: bool,
    },
    /// SET TRANSACTION: of the current transaction.
    SetTransaction(TransactionModes),
    /// SET SESSION CHARACTERISTICS AS TRANSACTION: defaults of those to come.
    SetSessionCharacteristics(TransactionModes),
    /// SET; the name is in lower case.
    Set {
        /// The setting.
        name: String,
        /// Its value.
        value: SettingValue,
        /// SET LOCAL: until the transaction ends.
        local: bool,
    },
    /// SET ROLE; NONE is `None`.
    SetRole {
        /// The role.
        role: Option<String>,
        /// SET LOCAL
        local: bool,
    },
    /// SET SESSION AUTHORIZATION; DEFAULT is `None`.
    SetSessionAuthorization {
        /// The role.
        role: Option<String>,
        /// SET LOCAL
        local: bool,
    },
    /// RESET name; RESET ALL is `None`.
    Reset(Option<String>),
    /// SHOW name: one row, one column of that name, text. The name is in lower case.
    Show(String),
    /// SHOW ALL: rows (name, setting, description), text.
    ShowAll,
    /// SHOW NODES
    ShowNodes,
    /// SHOW RANGES: those of a table, or all.
    ShowRanges(Option<Arc<TableDescriptor>>),
    /// ALTER TABLE … SPLIT AT VALUES: the first columns of primary keys, of the columns' types.
    SplitAt {
        /// The table.
        table: Arc<TableDescriptor>,
        /// The rows; they name no columns and no parameters.
        rows: Vec<Vec<Expr>>,
    },
    /// PREPARE
    Prepare {
        /// The statement's name.
        name: String,
        /// The types that were declared.
        types: Vec<Type>,
        /// The statement.
        statement: Box<Statement>,
    },
    /// EXECUTE. The arguments name no columns and no parameters.
    Execute {
        /// The statement's name.
        name: String,
        /// Its arguments, not yet cast to the parameters' types, and where they stand in the query string.
        arguments: Vec<(Expr, usize)>,
    },
    /// DEALLOCATE name; DEALLOCATE ALL is `None`.
    Deallocate(Option<String>),
    /// DECLARE … CURSOR
    Declare(Box<Declare>),
    /// FETCH, MOVE
    Fetch(Fetch),
    /// CLOSE name; CLOSE ALL is `None`.
    Close(Option<String>),
    /// LISTEN, NOTIFY, UNLISTEN
    Notifying(Notifying),
    /// DISCARD
    Discard(Discard),
    /// VACUUM, ANALYZE
    Maintain(Maintain),
    /// LOCK TABLE in a mode that keeps nobody out who reads or writes rows: what locks there are, rows have.
    LockTable {
        /// The tables.
        tables: Vec<Arc<TableDescriptor>>,
        /// The mode.
        mode: TableLock,
    },
    /// Accepted without effect, anywhere.
    NoEffect {
        /// The command tag.
        tag: &'static str,
    },
}

/// VACUUM, which has nothing to do here but to gather statistics if it is asked to, or ANALYZE.
#[derive(Debug, Clone)]
pub struct Maintain {
    /// VACUUM: refused in a transaction block (25001).
    pub vacuum: bool,
    /// Whether statistics are gathered.
    pub analyze: bool,
    /// The tables, each with the ids of the columns to look at. `None`: all tables of the database.
    pub tables: Option<Vec<(Arc<TableDescriptor>, Vec<ColumnId>)>>,
}
