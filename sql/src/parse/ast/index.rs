//! Indexes.

use super::{DefaultDefinition, Name, QualifiedName};
use crate::catalog::IndexMethod;

/// CREATE INDEX
#[derive(Debug, Clone)]
pub struct CreateIndex {
    /// Its name, if given.
    pub name: Option<Name>,
    /// The table.
    pub table: QualifiedName,
    /// UNIQUE
    pub unique: bool,
    /// CONCURRENTLY
    pub concurrently: bool,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// USING
    pub method: IndexMethod,
    /// The key.
    pub columns: Vec<IndexColumn>,
    /// INCLUDE
    pub included: Vec<Name>,
    /// NULLS NOT DISTINCT
    pub nulls_not_distinct: bool,
    /// WHERE
    pub predicate: Option<DefaultDefinition>,
}

/// A part of an index's key.
#[derive(Debug, Clone)]
pub struct IndexColumn {
    /// What it holds.
    pub part: IndexPart,
    /// The operator class.
    pub class: Option<QualifiedName>,
    /// DESC
    pub descending: bool,
    /// NULLS FIRST, NULLS LAST
    pub nulls_first: Option<bool>,
    /// Whether anything was said of its order.
    pub is_ordered: bool,
    /// Whether it stands in parentheses of its own, as expressions do.
    pub is_enclosed: bool,
}

/// What a part of a key holds.
#[derive(Debug, Clone)]
pub enum IndexPart {
    /// A column.
    Column(Name),
    /// The value of an expression.
    Expression(DefaultDefinition),
}

/// REINDEX
#[derive(Debug, Clone)]
pub struct Reindex {
    /// What.
    pub what: Reindexed,
    /// CONCURRENTLY
    pub concurrently: bool,
}

/// What REINDEX is of.
#[derive(Debug, Clone)]
pub enum Reindexed {
    /// INDEX
    Index(QualifiedName),
    /// TABLE
    Table(QualifiedName),
    /// SCHEMA
    Schema(Name),
    /// DATABASE, SYSTEM
    Database(Option<Name>),
}
