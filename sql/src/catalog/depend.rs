//! What depends on what, and what therefore goes with what is dropped.
//!
//! Dependencies stand in the descriptors themselves (a sequence says which column it goes with, a default which sequence it
//! draws from, a foreign key what it references, everything its schema), and are gathered from there: they cannot disagree
//! with what they are about. `DROP … RESTRICT` and `CASCADE` of whole objects and of parts of tables ([`super::removal`]), and
//! `pg_depend`, look at the same list.

use super::{CatalogSnapshot, ColumnId, Oid, TableDescriptor, TableKind};

/// Something that others may depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// A schema.
    Schema(Oid),
    /// A table, sequence or view.
    Relation(Oid),
    /// A column of a table.
    Column(Oid, ColumnId),
    /// The default of a column.
    Default(Oid, ColumnId),
    /// An index of a table: the table's oid and its own.
    Index(Oid, Oid),
    /// A constraint of a table: the table's oid and its own.
    Constraint(Oid, Oid),
}

impl Address {
    /// What tells the older from the younger.
    pub(super) fn age(self) -> (Oid, ColumnId) {
        match self {
            Self::Schema(oid) | Self::Relation(oid) | Self::Index(_, oid) | Self::Constraint(_, oid) => {
                (oid, 0)
            }
            Self::Column(oid, column) | Self::Default(oid, column) => (oid, column),
        }
    }

    /// The table whose descriptor it stands in, if it is not all of that.
    pub fn table(self) -> Option<Oid> {
        match self {
            Self::Schema(_) | Self::Relation(_) => None,
            Self::Column(table, _)
            | Self::Default(table, _)
            | Self::Index(table, _)
            | Self::Constraint(table, _) => Some(table),
        }
    }

    /// What it is a part of.
    pub(super) fn whole(self) -> Option<Self> {
        match self {
            Self::Column(table, _) => Some(Self::Relation(table)),
            _ => None,
        }
    }
}

/// How a dependent goes when what it depends on does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// With CASCADE alone, and it is said.
    Normal,
    /// Always, in silence.
    Auto,
    /// As Auto; and it cannot be dropped by itself.
    Internal,
}

/// That something depends on something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependency {
    /// What depends.
    pub of: Address,
    /// On what.
    pub on: Address,
    /// How.
    pub tie: Tie,
}

/// All dependencies of a catalog, but for those of the system's own objects.
pub fn dependencies(catalog: &CatalogSnapshot) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut note = |of, on, tie| found.push(Dependency { of, on, tie });
    for table in catalog.tables().filter(|table| table.kind != TableKind::Virtual) {
        let relation = Address::Relation(table.oid);
        if let Some(schema) = catalog.objects().schema_oid(&table.schema) {
            note(relation, Address::Schema(schema), Tie::Normal);
        }
        for column in &table.columns {
            let Some(text) = &column.default else { continue };
            let default = Address::Default(table.oid, column.id);
            note(default, Address::Column(table.oid, column.id), Tie::Auto);
            for oid in super::named::relations_in(text) {
                note(default, Address::Relation(oid), Tie::Normal);
            }
        }
        of_keys(table, &mut note);
        of_constraints(table, &mut note);
    }
    for object in catalog.objects().iter() {
        if let Some(owner) = object.sequence().and_then(|sequence| sequence.owner) {
            let tie = if owner.identity.is_some() { Tie::Internal } else { Tie::Auto };
            note(Address::Relation(object.oid), Address::Column(owner.table, owner.column), tie);
        }
        for relation in object.view().into_iter().flat_map(|view| &view.relations) {
            note(Address::Relation(object.oid), Address::Relation(relation.oid), Tie::Normal);
            for column in &relation.read {
                note(Address::Relation(object.oid), Address::Column(relation.oid, *column), Tie::Normal);
            }
        }
    }
    found
}

/// Of indexes, and of the constraints that they enforce.
fn of_keys(table: &TableDescriptor, note: &mut impl FnMut(Address, Address, Tie)) {
    for index in table.indexes.iter().filter(|index| !index.name.is_empty()) {
        let own = Address::Index(table.oid, index.oid);
        let on_columns = match index.constraint {
            Some(constraint) => {
                let constraint = Address::Constraint(table.oid, constraint.oid);
                note(own, constraint, Tie::Internal);
                constraint
            }
            None => own,
        };
        for key in &index.columns {
            note(on_columns, Address::Column(table.oid, key.column), Tie::Auto);
        }
    }
}

/// Of checks and foreign keys.
fn of_constraints(table: &TableDescriptor, note: &mut impl FnMut(Address, Address, Tie)) {
    for check in &table.constraints.checks {
        let own = Address::Constraint(table.oid, check.oid);
        if check.columns.is_empty() {
            note(own, Address::Relation(table.oid), Tie::Auto);
        }
        for column in &check.columns {
            note(own, Address::Column(table.oid, *column), Tie::Auto);
        }
    }
    for key in &table.constraints.foreign_keys {
        let own = Address::Constraint(table.oid, key.oid);
        for column in &key.columns {
            note(own, Address::Column(table.oid, *column), Tie::Auto);
        }
        for column in &key.parent_columns {
            note(own, Address::Column(key.parent, *column), Tie::Normal);
        }
        note(own, Address::Index(key.parent, key.parent_index), Tie::Normal);
    }
}
