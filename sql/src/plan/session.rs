//! What a session does by itself: transactions, settings, prepared statements, and what is accepted without effect.

use std::sync::Arc;

use expr::{Expr, Type};

use super::{BackupOrder, Declare, Discard, Fetch, Moment, Notifying, SettingValue, TransactionModes};
use crate::catalog::{ColumnId, Oid, TableDescriptor};
use crate::parse::Statement;
use crate::parse::ast::TableLock;

/// A statement that reads and writes no rows.
#[derive(Debug, Clone)]
pub enum SessionCommand {
    /// BEGIN, START TRANSACTION, with its tag; with AS OF SYSTEM TIME it is about that moment.
    Begin(TransactionModes, Option<Box<Moment>>, &'static str),
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
    /// How long history is to be kept.
    KeepHistory(Box<KeepHistory>),
    /// ERASE HISTORY
    EraseHistory(Box<EraseHistory>),
    /// SHOW HISTORY
    ShowHistory,
    /// SHOW CLONES
    ShowClones,
    /// BACKUP, RESTORE, SHOW BACKUPS
    Backup(Box<BackupOrder>),
    /// ALTER TABLE … SPLIT AT VALUES: the first columns of primary keys, of the columns' types.
    SplitAt {
        /// The table.
        table: Arc<TableDescriptor>,
        /// The rows; they name no columns and no parameters.
        rows: Vec<Vec<Expr>>,
    },
    /// Statements one after the other, in one transaction.
    Steps {
        /// The statements.
        statements: Vec<Statement>,
        /// The command tag.
        tag: &'static str,
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

/// How long history is to be kept.
#[derive(Debug, Clone)]
pub struct KeepHistory {
    /// Whose.
    pub of: KeepOf,
    /// For how long, in ms; 0: for ever, `None` within: as if nothing had been said. `None`: as it is.
    pub history_ms: Option<Option<u64>>,
    /// Until which Unix time, in ms, nothing is forgotten; as before.
    pub held_until_ms: Option<Option<u64>>,
}

/// What of a table's history is to be erased.
#[derive(Debug, Clone)]
pub struct EraseHistory {
    /// The table's database.
    pub database: Oid,
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// Of which rows; none: of all.
    pub rows: Option<ErasedRows>,
    /// What was before this moment; none: before now.
    pub before: Option<Moment>,
}

/// Rows by their primary keys: values that name no columns and no parameters, of the columns' types.
#[derive(Debug, Clone)]
pub struct ErasedRows {
    /// The first.
    pub from: Vec<Expr>,
    /// The last.
    pub to: Vec<Expr>,
}

/// Whose history is kept.
#[derive(Debug, Clone)]
pub enum KeepOf {
    /// All that nobody wants to be kept for longer.
    Cluster,
    /// That of all tables of a database that say nothing themselves.
    Database(Oid),
    /// That of a table; its database.
    Table(Oid, Arc<TableDescriptor>),
}

impl KeepHistory {
    /// The command, as its tag names it.
    pub const fn command(&self) -> &'static str {
        match self.of {
            KeepOf::Cluster => "SET",
            KeepOf::Database(_) => "ALTER DATABASE",
            KeepOf::Table(..) => "ALTER TABLE",
        }
    }
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
