//! Columns of new tables and new columns of tables, with the sequences that make values for them.

use expr::{Type, TypeKind};

use super::Binder;
use super::new_names::NewNames;
use super::object::serial;
use crate::catalog::{Column, ColumnId, ROW_ID_COLUMN};
use crate::error::{Error, Result};
use crate::parse::ast;
use crate::plan::sequence::NewSequence;

/// The most columns that a table may have.
pub(super) const COLUMNS_MAX: usize = 1600;
/// Names that PostgreSQL keeps for columns of its own.
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

impl Binder<'_> {
    /// The columns, and the sequences that make values for them.
    pub(super) fn new_columns(
        &mut self,
        schema: &str,
        table: &str,
        definitions: &[ast::ColumnDefinition],
    ) -> Result<(Vec<Column>, Vec<NewSequence>)> {
        if definitions.len() > COLUMNS_MAX {
            return Err(Error::new("54011", format!("tables can have at most {COLUMNS_MAX} columns")));
        }
        let mut columns: Vec<Column> = Vec::with_capacity(definitions.len());
        let mut sequences: Vec<NewSequence> = Vec::new();
        for definition in definitions {
            check_column_name(&definition.name.value)?;
            check_distinct_name(&definition.name.value, &columns)?;
            let id = ColumnId::try_from(columns.len().saturating_add(1)).unwrap_or(ColumnId::MAX);
            let column = self.new_column(table, definition, id)?;
            let chosen = sequences.iter().map(|sequence| sequence.name.clone()).collect();
            sequences.extend(self.sequence_of(schema, &column, definition, |binder| {
                let mut names = NewNames::new(binder, schema);
                names.chosen = chosen;
                names.choose(table, std::slice::from_ref(&column.name), "seq")
            })?);
            columns.push(column);
        }
        Ok((columns, sequences))
    }

    /// A column of this id.
    pub(super) fn new_column(
        &mut self,
        table: &str,
        definition: &ast::ColumnDefinition,
        id: ColumnId,
    ) -> Result<Column> {
        let name = &definition.name.value;
        let serial = serial(&definition.ty);
        if let Some(again) = definition.identities.get(1) {
            let message =
                format!("multiple identity specifications for column \"{name}\" of table \"{table}\"");
            return Err(Error::new("42601", message).at(again.at));
        }
        if serial.is_some() && definition.ty.array {
            return Err(Error::new("0A000", "array of serial is not implemented").at(definition.ty.at));
        }
        let ty = match serial {
            Some(kind) => Type::plain(kind),
            None => self.column_type(&definition.ty, name)?,
        };
        let identity = definition.identities.first();
        let makes_values = serial.is_some() || identity.is_some();
        if makes_values && definition.default.is_some() || serial.is_some() && identity.is_some() {
            let what = match (serial, &definition.default) {
                (Some(_), Some(_)) => "multiple default values",
                _ => "both default and identity",
            };
            let message = format!("{what} specified for column \"{name}\" of table \"{table}\"");
            let error = Error::new("42601", message);
            return Err(match (identity, serial) {
                (Some(identity), None) => error.at(identity.at),
                _ => error,
            });
        }
        let default = match &definition.default {
            None => None,
            Some(default) => {
                self.default_expression(&default.expr, ty, name)?;
                self.kept_default(default, ty, name)
            }
        };
        Ok(Column {
            id,
            name: name.clone(),
            ty,
            not_null: definition.not_null || makes_values,
            default,
            hidden: false,
            missing: None,
        })
    }

    /// The sequence that makes values for a new column, if one does; `choose` finds a name for it.
    pub(super) fn sequence_of(
        &self,
        schema: &str,
        column: &Column,
        definition: &ast::ColumnDefinition,
        choose: impl FnOnce(&Self) -> String,
    ) -> Result<Option<NewSequence>> {
        let identity = definition.identities.first();
        if serial(&definition.ty).is_none() && identity.is_none() {
            return Ok(None);
        }
        self.column_sequence(schema, column, identity, || choose(self)).map(Some)
    }
}

/// The hidden column that is the key of a table without primary key.
pub(super) fn row_id_column() -> Column {
    Column {
        id: ROW_ID_COLUMN,
        name: String::new(),
        ty: TypeKind::Int8.into(),
        not_null: true,
        default: None,
        hidden: true,
        missing: None,
    }
}

/// 42701 for a name that PostgreSQL keeps for a column of its own.
pub(super) fn check_column_name(name: &str) -> Result<()> {
    if SYSTEM_COLUMNS.contains(&name) {
        let message = format!("column name \"{name}\" conflicts with a system column name");
        return Err(Error::new("42701", message));
    }
    Ok(())
}

/// That no column of a new table has the name yet.
pub(super) fn check_distinct_name(name: &str, others: &[Column]) -> Result<()> {
    if others.iter().any(|other| other.name == name) {
        return Err(Error::new("42701", format!("column \"{name}\" specified more than once")));
    }
    Ok(())
}
