//! A table as it becomes, step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use expr::{Datum, Expr};

use super::super::system_column;
use crate::catalog::depend::Address;
use crate::catalog::{
    Column, ColumnId, IndexColumn, IndexConstraint, IndexDescriptor, IndexState, TableDescriptor,
};
use crate::error::{Error, Result};
use crate::parse::ast::{Name, RoleReference};
use crate::plan::sequence::NewSequence;
use crate::plan::{IdentityChange, NO_OID, NewIndex, NewIndexKind};

/// A table that is being changed.
pub(super) struct Draft {
    pub(super) from: Arc<TableDescriptor>,
    /// As it is so far.
    pub(super) to: TableDescriptor,
    /// The defaults of new columns.
    pub(super) added: BTreeMap<ColumnId, Expr>,
    /// The values of columns that change their types, over the old row.
    pub(super) converted: BTreeMap<ColumnId, Expr>,
    /// Whether rows are written anew.
    pub(super) rewrites: bool,
    /// New generated columns.
    pub(super) generated: BTreeSet<ColumnId>,
    pub(super) not_null: BTreeSet<ColumnId>,
    /// The names of checks that are to be verified.
    pub(super) checks: BTreeSet<String>,
    pub(super) chosen: Vec<String>,
    pub(super) freed: Vec<String>,
    /// The names of foreign keys that are to be verified.
    pub(super) verified: Vec<String>,
    /// What goes with what goes and is no part of the table.
    pub(super) removed: Vec<Address>,
    pub(super) sequences: Vec<NewSequence>,
    pub(super) identities: Vec<IdentityChange>,
    pub(super) owner: Option<RoleReference>,
}

impl Draft {
    pub(super) fn no_column(&self, name: &Name) -> Error {
        self.of_column("42703", name, "does not exist")
    }

    pub(super) fn of_column(&self, sqlstate: &'static str, name: &Name, what: &str) -> Error {
        let message = format!("column \"{}\" of relation \"{}\" {what}", name.value, self.to.name);
        Error::new(sqlstate, message)
    }

    pub(super) fn is_identity(&self, name: &Name, what: &str) -> Error {
        self.of_column("42601", name, what)
    }

    pub(super) fn not_now(&self, name: &Name, what: &str) -> Error {
        self.of_column("55000", name, what)
    }

    pub(super) fn no_constraint(&self, name: &Name) -> Error {
        let message =
            format!("constraint \"{}\" of relation \"{}\" does not exist", name.value, self.to.name);
        Error::new("42704", message)
    }

    pub(super) fn column(&self, name: &Name) -> Result<usize> {
        let Some(place) = self.to.column_by_name(&name.value) else {
            system_column::check_altered(name, "alter")?;
            return Err(self.no_column(name));
        };
        Ok(place)
    }

    /// The primary key that it has so far.
    pub(super) fn primary_key(&self) -> Option<&IndexDescriptor> {
        self.to.indexes.iter().find(|index| index.constraint.is_some_and(|own| own.primary_key))
    }

    pub(super) fn change_column(&mut self, place: usize, change: impl FnOnce(&mut Column)) {
        if let Some(column) = self.to.columns.get_mut(place) {
            change(column);
        }
    }

    pub(super) fn check_new_column(&self, name: &Name) -> Result<()> {
        if self.to.column_by_name(&name.value).is_some() {
            let message =
                format!("column \"{}\" of relation \"{}\" already exists", name.value, self.to.name);
            return Err(Error::new("42701", message));
        }
        Ok(())
    }

    pub(super) fn is_constraint(&self, name: &str) -> bool {
        let is_key = |index: &IndexDescriptor| index.constraint.is_some() && index.name == name;
        !name.is_empty() && (self.to.indexes.iter().any(is_key) || self.to.constraints.is_named(name))
    }

    /// That a column, and an index, of these names are there.
    pub(super) fn check_parts(&self, column: Option<Name>, index: Option<Name>) -> Result<()> {
        if let Some(name) = column {
            self.column(&name)?;
        }
        match index {
            Some(name) if !self.to.indexes.iter().any(|own| own.name == name.value) => {
                let message =
                    format!("index \"{}\" for table \"{}\" does not exist", name.value, self.to.name);
                Err(Error::new("42704", message))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn set_not_null(&mut self, name: &Name, not_null: bool) -> Result<()> {
        let place = self.column(name)?;
        let Some((id, was)) = self.to.columns.get(place).map(|column| (column.id, column.not_null)) else {
            return Ok(());
        };
        let in_key = self.primary_key().is_some_and(|key| key.columns.iter().any(|k| k.column() == Some(id)));
        if !not_null && in_key {
            let message = format!("column \"{}\" is in a primary key", name.value);
            return Err(Error::new("42P16", message));
        }
        if not_null && !was {
            self.not_null.insert(id);
        } else if !not_null {
            self.not_null.remove(&id);
        }
        self.change_column(place, |column| column.not_null = not_null);
        Ok(())
    }

    pub(super) fn validate(&mut self, name: &Name) -> Result<()> {
        if let Some(check) = self.to.constraints.checks.iter_mut().find(|check| check.name == name.value) {
            if !check.validated {
                check.validated = true;
                self.checks.insert(name.value.clone());
            }
            return Ok(());
        }
        if let Some(key) = self.to.constraints.foreign_keys.iter_mut().find(|key| key.name == name.value) {
            if !key.validated {
                key.validated = true;
                self.verified.push(name.value.clone());
            }
            return Ok(());
        }
        if !self.is_constraint(&name.value) {
            return Err(self.no_constraint(name));
        }
        let message = format!(
            "constraint \"{}\" of relation \"{}\" is not a foreign key or check constraint",
            name.value, self.to.name
        );
        Err(Error::new("42809", message))
    }

    pub(super) fn alter_constraint(&mut self, name: &Name, deferrable: bool, deferred: bool) -> Result<()> {
        if !self.is_constraint(&name.value) {
            return Err(self.no_constraint(name));
        }
        if let Some(key) = self.to.constraints.foreign_keys.iter_mut().find(|key| key.name == name.value) {
            (key.deferrable, key.deferred) = (deferrable, deferred);
            return Ok(());
        }
        let message = format!(
            "constraint \"{}\" of relation \"{}\" is not a foreign key constraint",
            name.value, self.to.name
        );
        Err(Error::new("42809", message))
    }

    /// Adds an index without ids. One that holds the rows has them written anew.
    pub(super) fn add_index(&mut self, index: &NewIndex) {
        let descriptor = IndexDescriptor {
            oid: NO_OID,
            id: 0,
            name: index.name.clone(),
            primary: index.kind.is_primary(),
            unique: index.kind.is_unique(),
            columns: index.columns.clone(),
            options: index.options.clone(),
            constraint: index
                .kind
                .is_constraint()
                .then(|| IndexConstraint { oid: NO_OID, primary_key: index.kind.is_primary() }),
            state: IndexState::Public,
        };
        if !descriptor.primary {
            self.to.indexes.push(descriptor);
            return;
        }
        self.make_primary(descriptor, index.kind);
    }

    /// Has an index hold the rows.
    pub(super) fn make_primary(&mut self, descriptor: IndexDescriptor, kind: NewIndexKind) {
        let keys: Vec<ColumnId> = descriptor.columns.iter().filter_map(IndexColumn::column).collect();
        self.rewrites = true;
        self.to.indexes.retain(|index| !index.primary);
        self.to.indexes.insert(0, descriptor);
        if kind == NewIndexKind::PrimaryKey {
            self.to.columns.retain(|column| !column.hidden);
            for column in self.to.columns.iter_mut().filter(|column| keys.contains(&column.id)) {
                if !column.not_null {
                    self.not_null.insert(column.id);
                }
                column.not_null = true;
            }
        }
    }

    /// Takes a part of the table away.
    pub(super) fn remove(&mut self, part: Address) {
        match part {
            Address::Column(_, id) => {
                self.to.columns.retain(|column| column.hidden || column.id != id);
                self.added.remove(&id);
                self.converted.remove(&id);
                self.not_null.remove(&id);
            }
            Address::Default(_, id) => {
                for column in self.to.columns.iter_mut().filter(|column| column.id == id) {
                    column.default = None;
                }
            }
            // Without an index that holds the rows there is none, for now.
            Address::Index(_, oid) => {
                let gone = self.to.indexes.iter().filter(|index| index.oid == oid);
                self.freed.extend(gone.map(|index| index.name.clone()));
                self.to.indexes.retain(|index| index.oid != oid);
            }
            Address::Constraint(_, oid) => {
                let Some(name) = self.to.constraint_name(oid).map(str::to_owned) else { return };
                self.to.constraints.checks.retain(|check| check.oid != oid);
                self.to.constraints.foreign_keys.retain(|key| key.oid != oid);
                self.checks.remove(&name);
                self.verified.retain(|verified| *verified != name);
                self.freed.push(name);
            }
            Address::Policy(_, oid) => self.to.row_security.policies.retain(|policy| policy.oid != oid),
            Address::Type(_)
            | Address::Attribute(..)
            | Address::Extension(_)
            | Address::Function(_)
            | Address::Schema(_)
            | Address::Relation(_) => {}
        }
    }

    /// The value of a column in rows that are written anew, over the old row.
    pub(super) fn value(&self, column: &Column) -> Expr {
        if let Some(converted) = self.converted.get(&column.id) {
            return converted.clone();
        }
        if let Some(added) = self.added.get(&column.id) {
            return added.clone();
        }
        match self.from.column_by_id(column.id) {
            Some(index) => Expr::Column { index, ty: column.ty },
            None => Expr::Literal { value: Datum::Null, ty: column.ty },
        }
    }
}
