//! ON CONFLICT: whose conflicts are meant, and what becomes of the row that is there.

use super::Binder;
use super::destination::Destination;
use super::level::{Clause, Level};
use super::scope::Scope;
use crate::catalog::{IndexId, TableDescriptor};
use crate::error::{Error, Result};
use crate::parse::ast::{self, ConflictTarget, Name};
use crate::plan::{Command, ConflictAction, OnConflict};

impl Binder<'_> {
    /// ON CONFLICT.
    pub(super) fn on_conflict(
        &mut self,
        destination: &Destination,
        alias: Option<&Name>,
        conflict: &ast::OnConflict,
    ) -> Result<OnConflict> {
        let arbiters = match &conflict.target {
            ConflictTarget::Any => None,
            ConflictTarget::Key { parts, filter } => {
                Some(self.arbiters_of_key(destination, parts, filter.as_ref(), conflict.at)?)
            }
            ConflictTarget::Constraint(name) => {
                // A view has none.
                let table = &destination.named;
                if let Some(index) = table.indexes.iter().find(|index| index.name == name.value) {
                    let places: Vec<usize> = table.key_columns(index).collect();
                    self.needs.read_places(table, &places);
                }
                Some(vec![arbiter_of_constraint(table, name)?])
            }
        };
        let action = match &conflict.update {
            None => ConflictAction::Nothing,
            Some(update) => {
                let scope = conflict_scope(destination, alias)?;
                let level = Level::query(scope, Clause::plain("ON CONFLICT"), false);
                let ((assignments, filter), level) = self.at_level(level, |binder| {
                    let assigned = &update.assignments;
                    let assignments = binder.assignments(destination, assigned, 0, Command::Insert)?;
                    let filter = match &update.filter {
                        None => None,
                        Some(filter) => {
                            let bound = binder.expression(filter)?;
                            Some(binder.condition(bound, "WHERE", filter.at)?)
                        }
                    };
                    Ok((assignments, filter))
                })?;
                self.without_subqueries(&level, "ON CONFLICT")?;
                ConflictAction::Update { assignments, filter, guards: Vec::new() }
            }
        };
        Ok(OnConflict { arbiters, action })
    }
}

/// The existing row under the table's name, then the new one under `excluded`.
fn conflict_scope(destination: &Destination, alias: Option<&Name>) -> Result<Scope> {
    let existing = destination.scope(alias)?;
    let mut excluded = destination.scope(Some(&Name { value: "excluded".to_owned(), at: 0 }))?;
    // A row that is no table's yet has no system columns.
    for relation in &mut excluded.relations {
        relation.beside.clear();
        relation.table = None;
    }
    existing.join(excluded, destination.table.columns.len())
}

fn arbiter_of_constraint(table: &TableDescriptor, name: &Name) -> Result<IndexId> {
    let found = table.indexes.iter().find(|index| index.constraint.is_some() && index.name == name.value);
    found.map(|index| index.id).ok_or_else(|| {
        let message = format!("constraint \"{}\" for table \"{}\" does not exist", name.value, table.name);
        Error::new("42704", message)
    })
}
