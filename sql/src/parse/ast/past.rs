//! Tables as they were (FOR SYSTEM_TIME, AS OF SYSTEM TIME), and how long that is kept.

use super::{Expr, Name, QualifiedName};

/// FOR SYSTEM_TIME
#[derive(Debug, Clone)]
pub struct SystemTime {
    /// Of when.
    pub period: SystemPeriod,
    /// Where.
    pub at: usize,
}

/// Of when rows are wanted.
#[derive(Debug, Clone)]
pub enum SystemPeriod {
    /// AS OF: as they were at that moment.
    AsOf(Expr),
    /// BETWEEN … AND …: all versions that were current at one of these moments, the last included.
    Between(Expr, Expr),
    /// FROM … TO …: the same without the last.
    FromTo(Expr, Expr),
    /// CONTAINED IN (…, …): the versions that came and went between these moments.
    ContainedIn(Expr, Expr),
    /// ALL: all versions.
    All,
}

/// What is said of history, and asked.
#[derive(Debug, Clone)]
pub enum HistoryStatement {
    /// `ALTER TABLE | DATABASE … SET (history = …)`, `RESET (history)`, `SET | RESET CLUSTER SETTING history`
    Keep {
        /// Whose.
        of: HistoryOf,
        /// The options with their values; None: as if nothing had been said.
        options: Vec<(Name, Option<String>)>,
    },
    /// ERASE HISTORY
    Erase(EraseHistory),
    /// SHOW HISTORY
    Show,
    /// FLASHBACK TABLE … TO: its rows become what they were.
    Flashback {
        /// The table.
        table: QualifiedName,
        /// The moment, as it is written.
        to: String,
    },
    /// UNDROP TABLE
    Undrop(QualifiedName),
    /// CREATE TABLE … CLONE: a table that lies over what another one was.
    Clone {
        /// The new table.
        name: QualifiedName,
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// The other.
        of: QualifiedName,
        /// AS OF SYSTEM TIME; None: now.
        moment: Option<Expr>,
    },
    /// SHOW CLONES
    Clones,
    /// DIFF TABLE … BETWEEN … AND …: the rows that are not the same.
    Diff {
        /// The table.
        table: QualifiedName,
        /// The moments, as they are written.
        between: [String; 2],
    },
    /// SHOW CHANGES FOR ROW (…) OF …
    Changes {
        /// The table.
        table: QualifiedName,
        /// The values of its primary key, as they are written.
        key: Vec<String>,
        /// Where they are.
        at: usize,
    },
}

impl HistoryStatement {
    /// Whether it is a command of the session, and no statement about rows.
    pub const fn is_for_session(&self) -> bool {
        matches!(self, Self::Keep { .. } | Self::Erase(_) | Self::Show | Self::Clones)
    }
}

/// ERASE HISTORY OF … [BEFORE …]
#[derive(Debug, Clone)]
pub struct EraseHistory {
    /// The table.
    pub table: QualifiedName,
    /// ROW, ROWS: of these; None: of the whole table.
    pub rows: Option<ErasedRows>,
    /// What was before this moment; None: before now.
    pub before: Option<Expr>,
}

/// Rows by the values of their primary keys.
#[derive(Debug, Clone)]
pub struct ErasedRows {
    /// The first.
    pub from: Vec<Expr>,
    /// The last; None: it is the first.
    pub to: Option<Vec<Expr>>,
    /// Where they are said.
    pub at: usize,
}

/// Whose history.
#[derive(Debug, Clone)]
pub enum HistoryOf {
    /// All that nobody wants to be kept for longer.
    Cluster,
    /// A table's.
    Table(QualifiedName),
    /// That of all tables of a database that say nothing themselves.
    Database(Name),
}
