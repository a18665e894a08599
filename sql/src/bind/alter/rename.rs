//! RENAME of columns and constraints.

use super::super::Binder;
use super::super::definition::duplicate_constraint;
use super::super::new_names::check_column_name;
use super::super::row_expression::quoted_names;
use super::super::system_column;
use super::draft::Draft;
use crate::catalog::{Column, ColumnId};
use crate::error::{Error, Result};
use crate::parse;
use crate::parse::ast::{self, Name};

impl Binder<'_> {
    pub(super) fn rename_column(&mut self, draft: &mut Draft, from: &Name, to: &Name) -> Result<()> {
        let Some(place) = draft.to.column_by_name(&from.value) else {
            system_column::check_altered(from, "rename")?;
            return Err(Error::new("42703", format!("column \"{}\" does not exist", from.value)));
        };
        check_column_name(&to.value)?;
        draft.check_new_column(to)?;
        let before = draft.to.columns.clone();
        draft.change_column(place, |column| column.name.clone_from(&to.value));
        let (table, after) = (draft.to.name.clone(), draft.to.columns.clone());
        debug_assert_ne!(quoted_names(&before), quoted_names(&after));
        let Some(id) = after.get(place).map(|column| column.id) else { return Ok(()) };
        for check in draft.to.constraints.checks.iter_mut().filter(|check| check.columns.contains(&id)) {
            let parsed = parse::parse_expression(&check.expression)?;
            let text = ast::DefaultDefinition { expr: parsed, text: check.expression.clone() };
            check.expression =
                self.of_kept(|binder| binder.kept_condition(&table, &before, &after, &text))?.text;
        }
        self.rename_in_indexes(&mut draft.to, id, (&before, &after))?;
        self.rename_in_generated(draft, id, (&before, &after))
    }

    /// Generated columns name a renamed one by its new name.
    fn rename_in_generated(
        &mut self,
        draft: &mut Draft,
        renamed: ColumnId,
        (before, after): (&[Column], &[Column]),
    ) -> Result<()> {
        let table = draft.to.name.clone();
        for column in &mut draft.to.columns {
            let Some(generated) = column.generated.as_mut().filter(|own| own.columns.contains(&renamed))
            else {
                continue;
            };
            let expr = parse::parse_expression(&generated.text)?;
            let written = ast::DefaultDefinition { expr, text: generated.text.clone() };
            let own = (column.ty, column.name.as_str());
            generated.text =
                self.of_kept(|binder| binder.kept_generation(&table, (before, after), own, &written))?.text;
        }
        Ok(())
    }

    pub(super) fn rename_constraint(&mut self, draft: &mut Draft, from: &Name, to: &Name) -> Result<()> {
        if !draft.is_constraint(&from.value) {
            let message =
                format!("constraint \"{}\" for table \"{}\" does not exist", from.value, draft.to.name);
            return Err(Error::new("42704", message));
        }
        if draft.is_constraint(&to.value) {
            return Err(duplicate_constraint(&draft.to.name, &to.value));
        }
        for index in &mut draft.to.indexes {
            if index.constraint.is_some() && index.name == from.value {
                if self.catalog.is_taken(&draft.to.schema, &to.value) {
                    return Err(Error::new("42P07", format!("relation \"{}\" already exists", to.value)));
                }
                index.name.clone_from(&to.value);
            }
        }
        let constraints = &mut draft.to.constraints;
        let checks = constraints.checks.iter_mut().map(|check| &mut check.name);
        let keys = constraints.foreign_keys.iter_mut().map(|key| &mut key.name);
        for name in checks.chain(keys).filter(|name| **name == from.value) {
            name.clone_from(&to.value);
        }
        Ok(())
    }
}
