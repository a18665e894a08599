//! Indexes: ordered keys that lead to rows.

use keys::encode::Direction;

use super::{ColumnId, Oid};

/// Where an index's entries are stored: `/t/<index id>/…`. Swapped by TRUNCATE, while the index's oid stays.
pub type IndexId = u64;

/// An index. The primary index of a table holds its rows; all others hold their key columns and lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexDescriptor {
    /// Its identity.
    pub oid: Oid,
    /// Where its entries are.
    pub id: IndexId,
    /// Its name, in the schema of its table.
    pub name: String,
    /// Whether it holds the rows.
    pub primary: bool,
    /// Whether no two rows may have equal keys (NULLs are distinct).
    pub unique: bool,
    /// The key columns, in order.
    pub columns: Vec<IndexColumn>,
    /// The constraint that it enforces, if it was declared as one. None for an index over the row id.
    pub constraint: Option<IndexConstraint>,
    /// How far it is built.
    pub state: IndexState,
}

/// A key column of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexColumn {
    /// Which column.
    pub column: ColumnId,
    /// DESC
    pub descending: bool,
    /// NULLS FIRST; PostgreSQL's default is last for ASC and first for DESC.
    pub nulls_first: bool,
}

impl IndexColumn {
    /// Ascending, NULLs last.
    pub const fn ascending(column: ColumnId) -> Self {
        Self { column, descending: false, nulls_first: false }
    }

    /// How the column is encoded in keys.
    pub const fn direction(self) -> Direction {
        match (self.descending, self.nulls_first) {
            (false, false) => Direction::Ascending,
            (false, true) => Direction::AscendingNullsFirst,
            (true, true) => Direction::Descending,
            (true, false) => Direction::DescendingNullsLast,
        }
    }
}

/// The constraint that a unique index enforces. It has the index's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexConstraint {
    /// The constraint's own oid.
    pub oid: Oid,
    /// Whether it was declared PRIMARY KEY rather than UNIQUE.
    pub primary_key: bool,
}

/// How far an index is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexState {
    /// Reads use it.
    Public,
    /// Writes maintain it, reads must not use it: it is being filled.
    WriteOnly,
}
