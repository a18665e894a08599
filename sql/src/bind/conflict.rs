//! ON CONFLICT: whose conflicts are meant, and what becomes of the row that is there.

use std::sync::Arc;

use super::Binder;
use super::level::{Clause, Level};
use super::scope::Scope;
use crate::catalog::{IndexId, TableDescriptor};
use crate::error::{Error, Result};
use crate::parse::ast::{self, ConflictTarget, Name};
use crate::plan::{ConflictAction, OnConflict};

impl Binder<'_> {
    /// ON CONFLICT.
    pub(super) fn on_conflict(
        &mut self,
        table: &Arc<TableDescriptor>,
        alias: &str,
        is_aliased: bool,
        conflict: &ast::OnConflict,
    ) -> Result<OnConflict> {
        let arbiters = match &conflict.target {
            ConflictTarget::Any => None,
            ConflictTarget::Key { parts, filter } => {
                Some(self.arbiters_of_key(table, parts, filter.as_ref(), conflict.at)?)
            }
            ConflictTarget::Constraint(name) => {
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
                let scope = conflict_scope(self, table, alias, is_aliased)?;
                let level = Level::query(scope, Clause::plain("ON CONFLICT"), false);
                let ((assignments, filter), level) = self.at_level(level, |binder| {
                    let assignments = binder.assignments(table, &update.assignments, 0)?;
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
fn conflict_scope(
    binder: &mut Binder<'_>,
    table: &Arc<TableDescriptor>,
    alias: &str,
    is_aliased: bool,
) -> Result<Scope> {
    let named = |name: &str| Name { value: name.to_owned(), at: 0 };
    let own = if is_aliased { Some(named(alias)) } else { None };
    let existing = binder.row_scope(table, own.as_ref())?;
    let mut excluded = binder.row_scope(table, Some(&named("excluded")))?;
    // A row that is no table's yet has no system columns.
    for relation in &mut excluded.relations {
        relation.beside.clear();
        relation.table = None;
    }
    existing.join(excluded, table.columns.len())
}

fn arbiter_of_constraint(table: &TableDescriptor, name: &Name) -> Result<IndexId> {
    let found = table.indexes.iter().find(|index| index.constraint.is_some() && index.name == name.value);
    found.map(|index| index.id).ok_or_else(|| {
        let message = format!("constraint \"{}\" for table \"{}\" does not exist", name.value, table.name);
        Error::new("42704", message)
    })
}
