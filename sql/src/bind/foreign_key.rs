//! FOREIGN KEY: what a definition refers to.

use std::collections::BTreeSet;
use std::sync::Arc;

use expr::{TypeKind, resolve};

use super::Binder;
use super::definition::unplaced;
use super::new_names::NewNames;
use crate::catalog::{
    Action, Column, ColumnId, ForeignKey, IndexColumn, IndexDescriptor, IndexState, Oid, TableDescriptor,
    TableKind, schema,
};
use crate::error::{Error, Result};
use crate::parse::ast::{ForeignKeyDefinition, Name, QualifiedName, TableConstraints};
use crate::plan::{NO_OID, NewIndex, NewIndexKind};

/// The most columns of a foreign key.
const COLUMNS_MAX: usize = 32;

/// A table that declares a foreign key, as far as it is known.
pub(super) struct Declaring<'a> {
    /// Its oid, if it has one.
    pub(super) oid: Oid,
    pub(super) schema: &'a str,
    pub(super) name: &'a str,
    pub(super) columns: &'a [Column],
    /// The keys that it can be referenced by: their columns, and whether it is the primary one.
    pub(super) keys: Vec<(Vec<ColumnId>, bool, Oid)>,
}

/// The keys that a table can be referenced by.
pub(super) fn keys_of(indexes: &[IndexDescriptor]) -> Vec<(Vec<ColumnId>, bool, Oid)> {
    // One that is being built may lack keys of rows that are there.
    let is_whole = |index: &&IndexDescriptor| index.is_plain() && index.state == IndexState::Public;
    let unique = indexes.iter().filter(|index| index.unique && !index.name.is_empty());
    unique
        .filter(is_whole)
        .filter_map(|index| {
            let primary = index.constraint.is_some_and(|constraint| constraint.primary_key);
            Some((index.plain_columns()?, primary, index.oid))
        })
        .collect()
}

impl Binder<'_> {
    /// A foreign key without an oid. One that refers to its own table has no parent's oid where that has none yet, and no
    /// index's.
    pub(super) fn new_foreign_key(
        &mut self,
        own: &Declaring<'_>,
        definition: &ForeignKeyDefinition,
        choose: impl FnOnce(&Self, &[String]) -> String,
    ) -> Result<ForeignKey> {
        if definition.columns.len() > COLUMNS_MAX {
            let message = format!("cannot have more than {COLUMNS_MAX} keys in a foreign key");
            return Err(Error::new("54011", message));
        }
        let parent = match self.is_itself(own, &definition.parent) {
            true => None,
            false => Some(self.table(&definition.parent).map_err(unplaced)?),
        };
        if let Some(parent) = &parent {
            match parent.kind {
                TableKind::Base => {}
                TableKind::Virtual => {
                    let message = format!("permission denied: \"{}\" is a system catalog", parent.name);
                    return Err(Error::new("42501", message));
                }
                TableKind::Sequence | TableKind::View | TableKind::Materialised => {
                    let message = format!("referenced relation \"{}\" is not a table", parent.name);
                    return Err(Error::new("42809", message));
                }
            }
        }
        if let Some(parent) = &parent {
            let message = match (own.schema == schema::TEMPORARY, parent.is_temporary()) {
                (true, false) => "constraints on temporary tables may reference only temporary tables",
                (false, true) => "constraints on permanent tables may reference only permanent tables",
                _ => "",
            };
            if !message.is_empty() {
                return Err(Error::new("42P16", message));
            }
        }
        let (parent_name, parent_columns, parent_keys) = match &parent {
            Some(parent) => (parent.name.as_str(), parent.columns.as_slice(), keys_of(&parent.indexes)),
            None => (own.name, own.columns, own.keys.clone()),
        };
        let columns = column_ids(own.columns, &definition.columns)?;
        let (referenced, index) = if definition.parent_columns.is_empty() {
            let primary = parent_keys.iter().find(|(_, primary, _)| *primary);
            let Some((referenced, _, index)) = primary else {
                let message = format!("there is no primary key for referenced table \"{parent_name}\"");
                return Err(Error::new("42704", message));
            };
            (referenced.clone(), *index)
        } else {
            let referenced = column_ids(parent_columns, &definition.parent_columns)?;
            let index = matching_key(&parent_keys, &referenced, parent_name);
            if referenced.len() == columns.len() { (referenced, index?) } else { (referenced, NO_OID) }
        };
        if referenced.len() != columns.len() {
            let message = "number of referencing and referenced columns for foreign key disagree";
            return Err(Error::new("42830", message));
        }
        check_actions(definition, own.columns, &columns)?;
        if let Some(parent) = &parent {
            self.needs.refer(parent, &referenced);
        }
        let mut set_columns = column_ids(own.columns, &definition.set_columns)?;
        for (column, name) in set_columns.iter().zip(&definition.set_columns) {
            if !columns.contains(column) {
                let message = format!(
                    "column \"{}\" referenced in ON DELETE SET action must be part of foreign key",
                    name.value
                );
                return Err(Error::new("42P10", message));
            }
        }
        // Named twice they count once.
        let mut named = BTreeSet::new();
        set_columns.retain(|column| named.insert(*column));
        let names: Vec<String> = definition.columns.iter().map(|name| name.value.clone()).collect();
        let name = match &definition.name {
            Some(name) => name.value.clone(),
            None => choose(self, &names),
        };
        check_types(&name, own.columns, &columns, parent_columns, &referenced)?;
        Ok(ForeignKey {
            oid: NO_OID,
            name,
            columns,
            parent: parent.as_ref().map_or(own.oid, |parent| parent.oid),
            parent_columns: referenced,
            parent_index: index,
            match_full: definition.match_full,
            on_update: definition.on_update,
            on_delete: definition.on_delete,
            set_columns,
            deferrable: definition.deferrable,
            deferred: definition.deferred,
            validated: !definition.not_valid,
        })
    }

    /// Whether a name means the table that declares: without a schema the first of its name along the search path, which it may
    /// not be.
    fn is_itself(&self, own: &Declaring<'_>, named: &QualifiedName) -> bool {
        if named.name.value != own.name {
            return false;
        }
        let objects = self.catalog.objects();
        match &named.schema {
            Some(schema) => schema.value == own.schema,
            None => {
                let mut along =
                    self.settings.search_path.lookup(objects).map(|name| objects.kept_schema(name));
                let meant = along
                    .find(|schema| *schema == own.schema || self.catalog.table(schema, own.name).is_some());
                meant == Some(own.schema)
            }
        }
    }

    /// The foreign keys of these names; 42809 if one cannot be deferred.
    pub(super) fn deferrable_keys(&self, names: &[QualifiedName]) -> Result<Vec<Oid>> {
        let mut oids = Vec::new();
        for name in names {
            let schemas: Vec<&str> = match &name.schema {
                Some(schema) => vec![schema.value.as_str()],
                None => self.settings.search_path.lookup(self.catalog.objects()).collect(),
            };
            let value = &name.name.value;
            let mut found = false;
            for schema in schemas {
                for table in self.catalog.tables().filter(|table| table.schema == schema) {
                    let keys = table.constraints.foreign_keys.iter().filter(|key| key.name == *value);
                    let (deferrable, others): (Vec<_>, Vec<_>) = keys.partition(|key| key.deferrable);
                    let is_other = !others.is_empty()
                        || table.constraints.checks.iter().any(|check| check.name == *value)
                        || table
                            .indexes
                            .iter()
                            .any(|index| index.constraint.is_some() && index.name == *value);
                    if is_other {
                        let message = format!("constraint \"{value}\" is not deferrable");
                        return Err(Error::new("42809", message));
                    }
                    found |= !deferrable.is_empty();
                    oids.extend(deferrable.into_iter().map(|key| key.oid));
                }
                if found {
                    break;
                }
            }
            if !found {
                return Err(Error::new("42704", format!("constraint \"{value}\" does not exist")));
            }
        }
        Ok(oids)
    }

    /// The foreign keys of a new table.
    pub(super) fn new_foreign_keys(
        &mut self,
        schema: &str,
        name: &str,
        columns: &[Column],
        indexes: &[NewIndex],
        constraints: &TableConstraints,
        mut chosen: Vec<String>,
    ) -> Result<Vec<ForeignKey>> {
        let unique = indexes.iter().filter(|index| index.kind.is_unique());
        let unique = unique.filter(|index| index.options.predicate.is_none());
        let keys = unique.filter_map(|index| {
            let columns = index.columns.iter().map(IndexColumn::column).collect::<Option<Vec<_>>>()?;
            Some((columns, index.kind == NewIndexKind::PrimaryKey, NO_OID))
        });
        let own = Declaring { oid: NO_OID, schema, name, columns, keys: keys.collect() };
        let mut foreign_keys = Vec::with_capacity(constraints.foreign_keys.len());
        for definition in &constraints.foreign_keys {
            let key = self.new_foreign_key(&own, definition, |binder, columns| {
                let mut names = NewNames::new(binder, schema);
                names.chosen.clone_from(&chosen);
                names.foreign_key(name, columns)
            })?;
            chosen.push(key.name.clone());
            // There are no rows yet that it could be wrong of.
            foreign_keys.push(ForeignKey { validated: true, ..key });
        }
        Ok(foreign_keys)
    }

    /// TRUNCATE takes all that reference a table with it, or none of them.
    pub(super) fn check_truncate(&self, tables: &mut Vec<Arc<TableDescriptor>>, cascade: bool) -> Result<()> {
        let mut place = 0_usize;
        while let Some(table) = tables.get(place).cloned() {
            place = place.saturating_add(1);
            for (child, _) in self.catalog.references_to(table.oid) {
                if tables.iter().any(|other| other.oid == child.oid) {
                    continue;
                }
                if !cascade {
                    let message = "cannot truncate a table referenced in a foreign key constraint";
                    return Err(Error::new("0A000", message)
                        .detail(format!("Table \"{}\" references \"{}\".", child.name, table.name))
                        .hint(format!(
                            "Truncate table \"{}\" at the same time, or use TRUNCATE ... CASCADE.",
                            child.name
                        )));
                }
                tables.push(child.clone());
            }
        }
        Ok(())
    }
}

impl NewNames<'_, '_> {
    /// The name of a foreign key that was given none.
    pub(super) fn foreign_key(&mut self, table: &str, columns: &[String]) -> String {
        self.choose_constraint(table, columns, "fkey")
    }
}

fn column_ids(columns: &[Column], names: &[Name]) -> Result<Vec<ColumnId>> {
    let find = |name: &Name| {
        let found = columns.iter().find(|column| !column.hidden && column.name == name.value);
        found.map(|column| column.id).ok_or_else(|| {
            let message =
                format!("column \"{}\" referenced in foreign key constraint does not exist", name.value);
            Error::new("42703", message)
        })
    };
    names.iter().map(find).collect()
}

fn matching_key(keys: &[(Vec<ColumnId>, bool, Oid)], columns: &[ColumnId], table: &str) -> Result<Oid> {
    for (place, column) in columns.iter().enumerate() {
        if columns.iter().take(place).any(|earlier| earlier == column) {
            let message = "foreign key referenced-columns list must not contain duplicates";
            return Err(Error::new("42830", message));
        }
    }
    let fits = |key: &&(Vec<ColumnId>, bool, Oid)| {
        key.0.len() == columns.len() && columns.iter().all(|column| key.0.contains(column))
    };
    keys.iter().find(fits).map(|(.., oid)| *oid).ok_or_else(|| {
        let message =
            format!("there is no unique constraint matching given keys for referenced table \"{table}\"");
        Error::new("42830", message)
    })
}

/// 42804 where values of one side cannot be compared with those of the other.
pub(super) fn check_types(
    name: &str,
    columns: &[Column],
    referencing: &[ColumnId],
    parent_columns: &[Column],
    referenced: &[ColumnId],
) -> Result<()> {
    let find = |columns: &[Column], id: ColumnId| columns.iter().find(|column| column.id == id).cloned();
    for (own, other) in referencing.iter().zip(referenced) {
        let (Some(own), Some(other)) = (find(columns, *own), find(parent_columns, *other)) else { continue };
        let (from, to) = (own.ty.kind, other.ty.kind);
        let is_integer = |kind| matches!(kind, TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8);
        let is_text = |kind| matches!(kind, TypeKind::Text | TypeKind::Varchar);
        if from == to || is_integer(from) && is_integer(to) || is_text(from) && is_text(to) {
            continue;
        }
        let detail = format!(
            "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
            own.name,
            other.name,
            own.ty.display_name(),
            other.ty.display_name()
        );
        if resolve::operator("=", Some(to), from).is_ok() {
            return Err(Error::unsupported(format!(
                "a foreign key from {} to {}",
                own.ty.display_name(),
                other.ty.display_name()
            )));
        }
        let message = format!("foreign key constraint \"{name}\" cannot be implemented");
        return Err(Error::new("42804", message).detail(detail));
    }
    Ok(())
}

/// 42601 if an action would have to assign a generated column.
fn check_actions(definition: &ForeignKeyDefinition, columns: &[Column], key: &[ColumnId]) -> Result<()> {
    let mut generated = columns.iter().filter(|column| column.generated.is_some());
    if !generated.any(|column| key.contains(&column.id)) {
        return Ok(());
    }
    let refused = |event: &str| {
        let message =
            format!("invalid {event} action for foreign key constraint containing generated column");
        Err(Error::new("42601", message))
    };
    match (definition.on_update, definition.on_delete) {
        (Action::SetNull | Action::SetDefault | Action::Cascade, _) => refused("ON UPDATE"),
        (_, Action::SetNull | Action::SetDefault) => refused("ON DELETE"),
        _ => Ok(()),
    }
}
