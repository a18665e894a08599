//! Indexes: ordered keys that lead to rows.

use std::sync::Arc;

use expr::{Expr, Type};
use keys::encode::Direction;

use super::{ColumnId, Oid, RowExpression};

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
    /// Whether no two rows may have equal keys; NULLs are distinct unless the options say otherwise.
    pub unique: bool,
    /// The parts of the key, in order.
    pub columns: Vec<IndexColumn>,
    /// What else was said of it.
    pub options: IndexOptions,
    /// The constraint that it enforces, if it was declared as one. None for an index over the row id.
    pub constraint: Option<IndexConstraint>,
    /// How far it is built.
    pub state: IndexState,
}

impl IndexDescriptor {
    /// Whether it has an entry for every row, and no part of its key is an expression.
    pub fn is_plain(&self) -> bool {
        self.options.predicate.is_none() && self.columns.iter().all(|key| key.column().is_some())
    }

    /// The columns of its key, in order; `None`: a part of it is an expression.
    pub fn plain_columns(&self) -> Option<Vec<ColumnId>> {
        self.columns.iter().map(IndexColumn::column).collect()
    }

    /// The expressions in its key.
    pub fn expressions(&self) -> impl Iterator<Item = &IndexExpression> {
        self.columns.iter().filter_map(|key| match &key.part {
            IndexPart::Column(_) => None,
            IndexPart::Expression(expression) => Some(expression),
        })
    }

    /// All expressions that it has: those in its key, and its predicate.
    pub fn all_expressions(&self) -> impl Iterator<Item = &IndexExpression> {
        self.expressions().chain(&self.options.predicate)
    }

    /// The same, to be changed.
    pub fn expressions_mut(&mut self) -> impl Iterator<Item = &mut IndexExpression> {
        let keys = self.columns.iter_mut().filter_map(|key| match &mut key.part {
            IndexPart::Column(_) => None,
            IndexPart::Expression(expression) => Some(expression),
        });
        keys.chain(&mut self.options.predicate)
    }

    /// Every column that it cannot do without.
    pub fn all_columns(&self) -> Vec<ColumnId> {
        let mut all: Vec<ColumnId> = Vec::new();
        for key in &self.columns {
            match &key.part {
                IndexPart::Column(column) => all.push(*column),
                IndexPart::Expression(expression) => all.extend(&expression.kept.columns),
            }
        }
        all.extend(&self.options.included);
        all.extend(self.options.predicate.iter().flat_map(|predicate| &predicate.kept.columns));
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|column| seen.insert(*column));
        all
    }
}

/// What can be said of an index beside its key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexOptions {
    /// INCLUDE: rows are read by their keys, so that nothing of these is kept in the entries.
    pub included: Vec<ColumnId>,
    /// WHERE: only rows of which this is true have entries.
    pub predicate: Option<IndexExpression>,
    /// NULLS NOT DISTINCT
    pub nulls_not_distinct: bool,
    /// USING
    pub method: IndexMethod,
}

impl IndexOptions {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What an index was declared to be. All are kept alike: in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IndexMethod {
    /// btree
    #[default]
    Btree,
    /// hash
    Hash,
}

impl IndexMethod {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Btree => "btree",
            Self::Hash => "hash",
        }
    }
}

/// An immutable expression over a row of the index's table.
#[derive(Debug, Clone)]
pub struct IndexExpression {
    /// As it is kept.
    pub kept: RowExpression,
    /// Its type.
    pub ty: Type,
    /// What it means, over all columns of the table as they are: there once the table has been settled in a catalog.
    pub bound: Option<Arc<Expr>>,
}

/// What it means follows from how it is kept.
impl PartialEq for IndexExpression {
    fn eq(&self, other: &Self) -> bool {
        self.kept == other.kept && self.ty == other.ty
    }
}

impl Eq for IndexExpression {}

/// A part of an index's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexColumn {
    /// What it holds.
    pub part: IndexPart,
    /// The operator class, if it is not the default of its type.
    pub class: Option<String>,
    /// DESC
    pub descending: bool,
    /// NULLS FIRST; PostgreSQL's default is last for ASC and first for DESC.
    pub nulls_first: bool,
}

impl IndexColumn {
    /// A column, ascending, NULLs last.
    pub const fn ascending(column: ColumnId) -> Self {
        Self { part: IndexPart::Column(column), class: None, descending: false, nulls_first: false }
    }

    /// The column that it holds, if it is one.
    pub const fn column(&self) -> Option<ColumnId> {
        match &self.part {
            IndexPart::Column(column) => Some(*column),
            IndexPart::Expression(_) => None,
        }
    }

    /// How the column is encoded in keys.
    pub const fn direction(&self) -> Direction {
        match (self.descending, self.nulls_first) {
            (false, false) => Direction::Ascending,
            (false, true) => Direction::AscendingNullsFirst,
            (true, true) => Direction::Descending,
            (true, false) => Direction::DescendingNullsLast,
        }
    }
}

/// What a part of a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexPart {
    /// A column.
    Column(ColumnId),
    /// The value of an expression.
    Expression(IndexExpression),
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
