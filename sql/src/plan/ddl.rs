//! Plans that change the catalog. Descriptors of what is new carry no ids yet: the executor allocates them.

use std::sync::Arc;

use crate::catalog::{Column, IndexColumn, Oid, TableDescriptor};

/// Changes the catalog.
#[derive(Debug, Clone)]
pub enum Ddl {
    /// CREATE TABLE
    CreateTable(CreateTable),
    /// DROP TABLE
    DropTables(DropTables),
    /// TRUNCATE
    Truncate(Truncate),
    /// CREATE INDEX
    CreateIndex(CreateIndex),
    /// DROP INDEX
    DropIndexes(DropIndexes),
    /// ALTER TABLE … ADD PRIMARY KEY
    AddPrimaryKey(AddPrimaryKey),
    /// The object is already as wished (IF EXISTS, IF NOT EXISTS); only the statement's notices are due.
    Nothing {
        /// The command tag.
        tag: &'static str,
    },
}

/// A new table.
#[derive(Debug, Clone)]
pub struct CreateTable {
    /// Its schema.
    pub schema: String,
    /// Its name: free in the catalog that the statement was bound under.
    pub name: String,
    /// Its columns with ids from 1; the hidden row id, last, if there is no primary key.
    pub columns: Vec<Column>,
    /// Its indexes: the primary first. An index over the hidden row id has an empty name.
    pub indexes: Vec<NewIndex>,
}

/// A new index.
#[derive(Debug, Clone)]
pub struct NewIndex {
    /// Its name: chosen, and free.
    pub name: String,
    /// What it is for.
    pub kind: NewIndexKind,
    /// Its key.
    pub columns: Vec<IndexColumn>,
}

/// What an index is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewIndexKind {
    /// Over the hidden row id.
    RowId,
    /// PRIMARY KEY
    PrimaryKey,
    /// UNIQUE as a constraint
    UniqueConstraint,
    /// CREATE UNIQUE INDEX
    Unique,
    /// CREATE INDEX
    Plain,
}

impl NewIndexKind {
    /// Whether the index holds the rows.
    pub const fn is_primary(self) -> bool {
        matches!(self, Self::RowId | Self::PrimaryKey)
    }

    /// Whether no two rows may have equal keys.
    pub const fn is_unique(self) -> bool {
        !matches!(self, Self::Plain)
    }

    /// Whether it enforces a constraint that the catalog lists.
    pub const fn is_constraint(self) -> bool {
        matches!(self, Self::PrimaryKey | Self::UniqueConstraint)
    }
}

/// Tables to drop, all or none.
#[derive(Debug, Clone)]
pub struct DropTables {
    /// Which.
    pub tables: Vec<Arc<TableDescriptor>>,
}

/// Tables to empty: each of their indexes gets a new id.
#[derive(Debug, Clone)]
pub struct Truncate {
    /// Which.
    pub tables: Vec<Arc<TableDescriptor>>,
}

/// An index to build.
#[derive(Debug, Clone)]
pub struct CreateIndex {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// The index.
    pub index: NewIndex,
}

impl CreateIndex {
    /// The command that asked for it, as its tag and errors name it.
    pub fn command(&self) -> &'static str {
        match self.index.kind {
            NewIndexKind::UniqueConstraint => "ALTER TABLE",
            _ => "CREATE INDEX",
        }
    }
}

/// Indexes to drop; none enforces a constraint.
#[derive(Debug, Clone)]
pub struct DropIndexes {
    /// The tables and the oids of their indexes.
    pub indexes: Vec<(Arc<TableDescriptor>, Oid)>,
}

/// A primary key for a table that has none: its rows move from under the row id to under the key. The key's columns
/// become NOT NULL (23502 if a row has NULL there), the hidden column goes; 23505 if keys are not distinct.
#[derive(Debug, Clone)]
pub struct AddPrimaryKey {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// The index.
    pub index: NewIndex,
}
