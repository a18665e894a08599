//! Constraints that no index enforces: CHECK and FOREIGN KEY.

use super::{ColumnId, Oid};

/// The constraints of a table that no index enforces, each list in the order of declaration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Constraints {
    /// CHECK
    pub checks: Vec<Check>,
    /// FOREIGN KEY
    pub foreign_keys: Vec<ForeignKey>,
}

impl Constraints {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty() && self.foreign_keys.is_empty()
    }

    /// Whether one of them has this name.
    pub fn is_named(&self, name: &str) -> bool {
        self.checks.iter().any(|check| check.name == name)
            || self.foreign_keys.iter().any(|key| key.name == name)
    }
}

/// CHECK: a condition that must not be false of any row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its identity.
    pub oid: Oid,
    /// Its name.
    pub name: String,
    /// The condition as SQL text, bound anew by each statement that needs it. It names columns by their names of now.
    pub expression: String,
    /// The columns that it names.
    pub columns: Vec<ColumnId>,
    /// Whether all rows are known to keep it; those written since it was declared do.
    pub validated: bool,
    /// NO INHERIT: kept, without effect.
    pub no_inherit: bool,
}

/// FOREIGN KEY: the columns' values stand in a row of another table, its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Its identity.
    pub oid: Oid,
    /// Its name.
    pub name: String,
    /// The referencing columns.
    pub columns: Vec<ColumnId>,
    /// The table referenced.
    pub parent: Oid,
    /// Its columns, in the order of those that reference them.
    pub parent_columns: Vec<ColumnId>,
    /// The unique index of the parent over exactly these columns.
    pub parent_index: Oid,
    /// MATCH FULL: either all columns are NULL or none is.
    pub match_full: bool,
    /// ON UPDATE
    pub on_update: Action,
    /// ON DELETE
    pub on_delete: Action,
    /// The columns that ON DELETE SET NULL and SET DEFAULT set; none: all.
    pub set_columns: Vec<ColumnId>,
    /// Whether it can be judged at the commit.
    pub deferrable: bool,
    /// Whether it is unless a transaction says otherwise.
    pub deferred: bool,
    /// Whether all rows are known to keep it; those written since it was declared do.
    pub validated: bool,
}

/// What becomes of rows that reference one that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Action {
    /// It may not go, unless they are gone by the end of the statement.
    #[default]
    NoAction,
    /// It may not go.
    Restrict,
    /// They go, or change, with it.
    Cascade,
    /// Their columns become NULL.
    SetNull,
    /// Their columns get their defaults.
    SetDefault,
}

impl Action {
    /// The letter in `pg_constraint`.
    pub const fn letter(self) -> &'static str {
        match self {
            Self::NoAction => "a",
            Self::Restrict => "r",
            Self::Cascade => "c",
            Self::SetNull => "n",
            Self::SetDefault => "d",
        }
    }

    /// The words of SQL.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoAction => "NO ACTION",
            Self::Restrict => "RESTRICT",
            Self::Cascade => "CASCADE",
            Self::SetNull => "SET NULL",
            Self::SetDefault => "SET DEFAULT",
        }
    }
}
