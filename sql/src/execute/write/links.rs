//! How the rows of two tables are linked by a foreign key, as either side sees it.

use std::sync::Arc;

use bytes::Bytes;
use expr::tree::Domain;
use expr::{Datum, Type};
use keys::sql::SUFFIX_REFERENCE;

use super::misfit;
use crate::bind;
use crate::catalog::{CatalogSnapshot, ColumnId, ForeignKey, TableDescriptor};
use crate::error::{Error, Result};
use crate::execute::rows::{IndexFormat, TableFormat};
use crate::plan::RowRules;

/// A foreign key of a table, as its rows see it.
#[derive(Clone)]
pub(super) struct Outgoing {
    pub(super) key: ForeignKey,
    /// The places of its columns.
    pub(super) places: Vec<usize>,
    pub(super) types: Vec<Type>,
    pub(super) parent: Arc<TableDescriptor>,
    pub(super) target: Target,
}

/// A foreign key that references a table, as the rows of that see it.
#[derive(Clone)]
pub(super) struct Incoming {
    pub(super) key: ForeignKey,
    pub(super) child: Arc<TableDescriptor>,
    /// The places of the referenced columns.
    pub(super) places: Vec<usize>,
    pub(super) target: Target,
}

/// The unique index that a foreign key references.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) index: IndexFormat,
    pub(super) primary: bool,
    /// For each column of the index its place among the key's columns.
    pub(super) order: Vec<usize>,
    /// The types of the key's columns.
    pub(super) types: Vec<Type>,
}

impl Target {
    pub(super) fn new(parent: &TableDescriptor, key: &ForeignKey) -> Result<Self> {
        let lost = || Error::internal("a foreign key references an index that is not there");
        let index = parent.indexes.iter().find(|index| index.oid == key.parent_index).ok_or_else(lost)?;
        let order = index.columns.iter().map(|column| {
            key.parent_columns.iter().position(|own| column.column() == Some(*own)).ok_or_else(lost)
        });
        let types = key.parent_columns.iter().map(|id| {
            let place = parent.column_by_id(*id).ok_or_else(lost)?;
            parent.columns.get(place).map(|column| column.ty).ok_or_else(lost)
        });
        Ok(Self {
            primary: index.primary,
            order: order.collect::<Result<_>>()?,
            types: types.collect::<Result<_>>()?,
            index: IndexFormat::new(parent, index)?,
        })
    }

    /// The key of the row, or of the entry, with these values, in the order of the foreign key's columns.
    pub(super) fn key(&self, values: &[Datum]) -> Result<Bytes> {
        let ordered: Vec<Datum> = self.order.iter().filter_map(|place| values.get(*place).cloned()).collect();
        let start = self.index.first_key(&ordered)?;
        Ok(self.index.row_key(start.get(self.index.prefix.len()..).unwrap_or_default()))
    }

    /// The key by which others are kept away from it.
    pub(super) fn guard(&self, key: &Bytes) -> Bytes {
        if self.primary { reference_key(key) } else { key.clone() }
    }
}

/// The key beside a row's own that stands for its being referenced.
fn reference_key(key: &Bytes) -> Bytes {
    let mut guard = key.to_vec();
    if let Some(suffix) = guard.last_mut() {
        *suffix = SUFFIX_REFERENCE;
    }
    guard.into()
}

/// A table whose rows are written.
pub(super) struct Linked {
    pub(super) format: TableFormat,
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) incoming: Vec<Incoming>,
    pub(super) rules: Arc<RowRules>,
    /// What the values of each column have to be, where its type is a domain.
    pub(super) domains: Vec<Vec<Arc<Domain>>>,
}

impl Incoming {
    /// The same foreign key, as the rows that it references see it.
    pub(super) fn of(outgoing: &Outgoing, child: &Arc<TableDescriptor>) -> Result<Self> {
        Ok(Self {
            places: places(&outgoing.parent, &outgoing.key.parent_columns)?,
            target: outgoing.target.clone(),
            child: child.clone(),
            key: outgoing.key.clone(),
        })
    }
}

impl Linked {
    pub(super) fn new(catalog: &CatalogSnapshot, table: &Arc<TableDescriptor>) -> Result<Self> {
        let mut outgoing = Vec::new();
        for key in &table.constraints.foreign_keys {
            let Some(parent) = catalog.table_by_oid(key.parent) else { continue };
            let places = places(table, &key.columns)?;
            let types = places.iter().filter_map(|place| table.columns.get(*place)).map(|column| column.ty);
            outgoing.push(Outgoing {
                types: types.collect(),
                places,
                target: Target::new(parent, key)?,
                parent: parent.clone(),
                key: key.clone(),
            });
        }
        let mut incoming = Vec::new();
        for (child, key) in catalog.references_to(table.oid) {
            incoming.push(Incoming {
                places: places(table, &key.parent_columns)?,
                target: Target::new(table, key)?,
                child: child.clone(),
                key: key.clone(),
            });
        }
        let rules = bind::rules_of(table, catalog)?;
        let domains = bind::domains_of(table, catalog)?;
        Ok(Self { format: TableFormat::new(table)?, outgoing, incoming, rules, domains })
    }
}

pub(super) fn places(table: &TableDescriptor, columns: &[ColumnId]) -> Result<Vec<usize>> {
    let place = |id: &ColumnId| table.column_by_id(*id).ok_or_else(misfit);
    columns.iter().map(place).collect()
}

pub(super) fn values(row: &[Datum], places: &[usize]) -> Vec<Datum> {
    places.iter().map(|place| row.get(*place).cloned().unwrap_or_default()).collect()
}

pub(super) fn differ(left: &[Datum], right: &[Datum]) -> bool {
    left.iter().zip(right).any(|(left, right)| !expr::group_eq(left, right))
}
