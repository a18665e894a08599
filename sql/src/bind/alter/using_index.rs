//! ADD CONSTRAINT … USING INDEX: an index that is there becomes a constraint's.

use super::super::Binder;
use super::super::definition::duplicate_constraint;
use super::super::index::check_primary;
use super::draft::Draft;
use crate::catalog::{
    IndexColumn, IndexConstraint, IndexDescriptor, IndexMethod, IndexState, TableDescriptor,
};
use crate::error::{Error, Notice, Result};
use crate::parse::ast::{KeyDefinition, Name};
use crate::plan::{NO_OID, NewIndexKind};

impl Binder<'_> {
    pub(super) fn constraint_of_index(
        &mut self,
        draft: &mut Draft,
        key: &KeyDefinition,
        name: &Name,
    ) -> Result<()> {
        if key.primary && draft.primary_key().is_some() {
            let message = format!("multiple primary keys for table \"{}\" are not allowed", draft.to.name);
            return Err(Error::new("42P16", message));
        }
        let Some(place) = draft.to.indexes.iter().position(|index| index.name == name.value) else {
            let other = self.catalog.index(&draft.to.schema, &name.value);
            return Err(match other {
                Some((_, other)) if other.constraint.is_some() => taken(name, key.at),
                Some(_) => {
                    let message =
                        format!("index \"{}\" does not belong to table \"{}\"", name.value, draft.to.name);
                    Error::new("55000", message).at(key.at)
                }
                None => Error::new("42704", format!("index \"{}\" does not exist", name.value)).at(key.at),
            });
        };
        let Some(index) = draft.to.indexes.get(place).cloned() else { return Ok(()) };
        check_usable(&draft.to, &index, key.at)?;
        if key.primary {
            for place in draft.to.key_columns(&index) {
                let column = draft.to.columns.get(place);
                column.map_or(Ok(()), |column| check_primary(column.ty, key.at))?;
            }
        }
        let called = key.name.as_ref().map_or(&name.value, |name| &name.value).clone();
        if called != index.name {
            if draft.is_constraint(&called) {
                return Err(duplicate_constraint(&draft.to.name, &called));
            }
            if self.catalog.is_taken(&draft.to.schema, &called) {
                return Err(Error::new("42P07", format!("relation \"{called}\" already exists")));
            }
            let message = format!(
                "ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"{}\" to \"{called}\"",
                index.name
            );
            self.notices.push(Notice::notice("00000", message));
        }
        let constraint = IndexConstraint { oid: NO_OID, primary_key: key.primary };
        let made = IndexDescriptor { name: called, constraint: Some(constraint), ..index };
        match key.primary {
            // The rows move under it.
            true => {
                draft.to.indexes.retain(|own| own.oid != made.oid);
                draft.make_primary(IndexDescriptor { primary: true, ..made }, NewIndexKind::PrimaryKey);
            }
            false => {
                if let Some(own) = draft.to.indexes.get_mut(place) {
                    *own = made;
                }
            }
        }
        Ok(())
    }
}

fn taken(name: &Name, at: usize) -> Error {
    Error::new("55000", format!("index \"{}\" is already associated with a constraint", name.value)).at(at)
}

/// That an index can be a constraint's.
fn check_usable(table: &TableDescriptor, index: &IndexDescriptor, at: usize) -> Result<()> {
    let refused = |message: String| {
        Err(Error::new("42809", message)
            .detail("Cannot create a primary key or unique constraint using such an index.")
            .at(at))
    };
    let name = &index.name;
    if index.constraint.is_some() {
        return Err(taken(&Name { value: name.clone(), at }, at));
    }
    if index.state != IndexState::Public {
        return Err(Error::new("55000", format!("index \"{name}\" is not valid")).at(at));
    }
    if !index.unique {
        return refused(format!("\"{name}\" is not a unique index"));
    }
    if index.expressions().next().is_some() {
        return refused(format!("index \"{name}\" contains expressions"));
    }
    if index.options.predicate.is_some() {
        return refused(format!("\"{name}\" is a partial index"));
    }
    debug_assert_eq!(index.options.method, IndexMethod::Btree, "{} has a unique hash index", table.name);
    let is_default = |key: &IndexColumn| !key.descending && !key.nulls_first && key.class.is_none();
    match (1..).zip(&index.columns).find(|(_, key)| !is_default(key)) {
        Some((number, _)) => {
            let number: u32 = number;
            refused(format!("index \"{name}\" column number {number} does not have default sorting behavior"))
        }
        None => Ok(()),
    }
}
