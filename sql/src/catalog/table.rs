//! Tables and their columns.

use audit::Classes;
use bytes::Bytes;
use expr::{Datum, Type};

use super::{
    ColumnId, Constraints, IndexColumn, IndexDescriptor, IndexExpression, IndexId, IndexPart, Oid,
    RowExpression, RowSecurity, ViewDescriptor,
};

/// The id of the hidden column that is the key of a table without primary key.
pub const ROW_ID_COLUMN: ColumnId = 0;

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its identity.
    pub id: ColumnId,
    /// Its name.
    pub name: String,
    /// Its type with modifier.
    pub ty: Type,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// Its default as SQL text, bound anew by each statement that needs it.
    pub default: Option<String>,
    /// What it is made of, if it is GENERATED ALWAYS AS … STORED. It has no default then.
    pub generated: Option<RowExpression>,
    /// Not named by `*`, not found by name: of what is kept the row id only.
    pub hidden: bool,
    /// What rows hold that lack the column, because they were written before there was one: a row of the row format
    /// whose column 1 it is. Where there is such a value, NULLs are stored. `None`: they hold NULL.
    pub missing: Option<Bytes>,
}

impl Column {
    /// The value of rows that lack the column.
    ///
    /// # Errors
    /// XX001: what is kept of it is damaged.
    pub fn missing_value(&self) -> expr::Result<Option<Datum>> {
        let Some(kept) = &self.missing else { return Ok(None) };
        let mut row = [Datum::Null];
        expr::row::RowDecoder::new([(1, 0)]).decode_into(kept, &mut row)?;
        let [value] = row;
        Ok(Some(value))
    }

    /// How that value is kept.
    ///
    /// # Errors
    /// XX000: it cannot be.
    pub fn keep_missing(value: &Datum) -> expr::Result<Option<Bytes>> {
        if value.is_null() {
            return Ok(None);
        }
        Ok(Some(expr::row::encode_row(0, &[(1, value)])?.into()))
    }
}

/// Where the rows of a table come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// Stored under its indexes.
    Base,
    /// Made up by `system` from the catalog and the session; has no indexes, cannot be written.
    Virtual,
    /// A sequence, read like a table of one row; has no indexes, cannot be written.
    Sequence,
    /// A view: a query; has no indexes and no rows of its own. What is written through it another table stores.
    View,
    /// A materialised view: stored under its indexes, written by REFRESH alone.
    Materialised,
}

impl TableKind {
    /// Whether its rows are stored under its indexes.
    pub const fn is_stored(self) -> bool {
        matches!(self, Self::Base | Self::Materialised)
    }

    /// What messages call it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Base | Self::Virtual => "table",
            Self::Sequence => "sequence",
            Self::View => "view",
            Self::Materialised => "materialized view",
        }
    }
}

/// Where the rows of a materialised view come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Materialised {
    /// The query.
    pub view: ViewDescriptor,
    /// Whether it has been run.
    pub is_populated: bool,
}

/// A table or system view.
///
/// Invariants, checked by [`TableDescriptor::check`] whenever one is read or written:
/// - a base table has exactly one primary index, the first of `indexes`, and it is public and unique;
/// - every column that an index names exists, and a primary index names only columns that are NOT NULL;
/// - column ids are distinct and below `next_column_id`; at most one column is hidden, it is last, has the id
///   [`ROW_ID_COLUMN`] and is the whole key of the primary index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDescriptor {
    /// Its identity. Survives TRUNCATE and renaming.
    pub oid: Oid,
    /// The schema's name.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Stored or made up.
    pub kind: TableKind,
    /// The columns in order; a hidden row id is last. Plans name columns by their place in this list.
    pub columns: Vec<Column>,
    /// The primary index first, then the others.
    pub indexes: Vec<IndexDescriptor>,
    /// The constraints that no index enforces.
    pub constraints: Constraints,
    /// Who sees and writes which of its rows.
    pub row_security: RowSecurity,
    /// What the rows of a materialised view come from; of nothing else.
    pub materialised: Option<Materialised>,
    /// The classes of statements over it that are recorded in the audit log, whoever runs them.
    pub audit: Classes,
    /// The id of the next column that is added.
    pub next_column_id: ColumnId,
    /// Counts the changes of this descriptor; rows record which one wrote them.
    pub schema_version: u32,
}

impl TableDescriptor {
    /// Whether it is of one session alone.
    pub fn is_temporary(&self) -> bool {
        self.schema == super::schema::TEMPORARY
    }

    /// The index that holds the rows. `None` for virtual tables only.
    pub fn primary(&self) -> Option<&IndexDescriptor> {
        self.indexes.first()
    }

    /// The primary key that the user declared: the primary index unless that is over the row id.
    pub fn primary_key(&self) -> Option<&IndexDescriptor> {
        if self.row_id().is_some() { None } else { self.primary() }
    }

    /// All indexes but the primary.
    pub fn secondary(&self) -> &[IndexDescriptor] {
        self.indexes.get(1..).unwrap_or(&[])
    }

    /// The index of this id.
    pub fn index(&self, id: IndexId) -> Option<&IndexDescriptor> {
        self.indexes.iter().find(|index| index.id == id)
    }

    /// The place of the hidden row id among the columns, if the table has one.
    pub fn row_id(&self) -> Option<usize> {
        self.columns.iter().position(|column| column.hidden && column.id == ROW_ID_COLUMN)
    }

    /// The oid of the constraint of this name.
    pub fn constraint_named(&self, name: &str) -> Option<Oid> {
        self.constraint_names().find(|(_, own)| *own == name).map(|(oid, _)| oid)
    }

    /// The name of a constraint.
    pub fn constraint_name(&self, oid: Oid) -> Option<&str> {
        self.constraint_names().find(|(own, _)| *own == oid).map(|(_, name)| name)
    }

    /// All constraints, whatever enforces them: their oids and names.
    pub fn constraint_names(&self) -> impl Iterator<Item = (Oid, &str)> {
        let keys = self.indexes.iter().filter_map(|index| Some((index.constraint?.oid, index.name.as_str())));
        let checks = self.constraints.checks.iter().map(|check| (check.oid, check.name.as_str()));
        let foreign = self.constraints.foreign_keys.iter().map(|key| (key.oid, key.name.as_str()));
        keys.chain(checks).chain(foreign)
    }

    /// The columns that users see.
    pub fn visible(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate().filter(|(_, column)| !column.hidden)
    }

    /// The place of the visible column of this name.
    pub fn column_by_name(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| !column.hidden && column.name == name)
    }

    /// The place of the column of this id.
    pub fn column_by_id(&self, id: ColumnId) -> Option<usize> {
        self.columns.iter().position(|column| column.id == id)
    }

    /// The places of the parts of an index's key, in key order. Expressions have places of their own, behind those of all
    /// columns; the same expression has the same place in every index.
    pub fn key_columns<'a>(&'a self, index: &'a IndexDescriptor) -> impl Iterator<Item = usize> + 'a {
        index.columns.iter().filter_map(move |key| match &key.part {
            IndexPart::Column(column) => self.column_by_id(*column),
            IndexPart::Expression(expression) => {
                let place = self.key_expressions().find(|(_, own)| *own == expression);
                place.map(|(place, _)| place)
            }
        })
    }

    /// The expressions in the keys of its indexes, with their places.
    pub fn key_expressions(&self) -> impl Iterator<Item = (usize, &IndexExpression)> {
        (self.columns.len()..).zip(self.indexes.iter().flat_map(IndexDescriptor::expressions))
    }

    /// Whether what its indexes are made of has to be settled.
    pub fn has_index_expressions(&self) -> bool {
        self.indexes
            .iter()
            .any(|index| index.options.predicate.is_some() || index.expressions().next().is_some())
    }

    /// The type of a part of an index's key.
    pub fn key_type(&self, key: &IndexColumn) -> Option<Type> {
        match &key.part {
            IndexPart::Column(column) => Some(self.columns.get(self.column_by_id(*column)?)?.ty),
            IndexPart::Expression(expression) => Some(expression.ty),
        }
    }

    /// The types of all columns, in order.
    pub fn types(&self) -> Vec<Type> {
        self.columns.iter().map(|column| column.ty).collect()
    }

    /// What is wrong with the descriptor, if anything is.
    pub fn check(&self) -> Result<(), String> {
        let complain =
            |what: &str| Err(format!("table {}.{} ({}): {what}", self.schema, self.name, self.oid));
        for (place, column) in self.columns.iter().enumerate() {
            if self.columns.iter().take(place).any(|earlier| earlier.id == column.id) {
                return complain("two columns have one id");
            }
            if column.id >= self.next_column_id {
                return complain("a column's id is not below the next");
            }
            let is_last = place.saturating_add(1) == self.columns.len();
            if column.hidden != (column.id == ROW_ID_COLUMN) || column.hidden && !is_last {
                return complain("the row id is not where it belongs");
            }
        }
        if self.kind != TableKind::Base && !self.row_security.is_empty() {
            return complain("what is no table has row-level security");
        }
        if self.materialised.is_some() != (self.kind == TableKind::Materialised) {
            return complain("it is and is not materialised");
        }
        if !self.kind.is_stored() {
            return if self.indexes.is_empty() {
                Ok(())
            } else {
                complain("what stores no rows has an index")
            };
        }
        for (place, index) in self.indexes.iter().enumerate() {
            if index.primary != (place == 0) {
                return complain("the primary index is not the first");
            }
            if index.primary && !index.is_plain() {
                return complain("the primary index is not over all rows by columns alone");
            }
            if index.all_columns().iter().any(|id| self.column_by_id(*id).is_none()) {
                return complain("an index names a column that does not exist");
            }
            for id in index.columns.iter().filter_map(IndexColumn::column) {
                let Some(column) = self.columns.iter().find(|column| column.id == id) else { continue };
                if index.primary && !column.not_null {
                    return complain("a column of the primary index accepts NULL");
                }
                if column.hidden && (!index.primary || index.columns.len() != 1) {
                    return complain("the row id is part of a key");
                }
            }
        }
        match self.primary() {
            None => complain("it has no primary index"),
            Some(primary) if !primary.unique || primary.state != super::IndexState::Public => {
                complain("its primary index is not unique and public")
            }
            Some(primary) => {
                let over_row_id = primary.columns.iter().any(|key| key.column() == Some(ROW_ID_COLUMN));
                if over_row_id == self.row_id().is_some() {
                    Ok(())
                } else {
                    complain("its row id is not its key")
                }
            }
        }
    }
}
