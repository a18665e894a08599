//! Columns of new tables and new columns of tables, with the sequences that make values for them.

use expr::{Type, TypeKind};

use super::Binder;
use super::like::Liked;
use super::new_names::{NewNames, check_column_name, check_distinct_name};
use super::object::serial;
use super::types::collatable;
use crate::catalog::{Column, ColumnId, ROW_ID_COLUMN, RowExpression};
use crate::error::{Error, Result};
use crate::parse::ast;
use crate::plan::sequence::NewSequence;

/// The most columns that a table may have.
pub(super) const COLUMNS_MAX: usize = 1600;
/// The columns of a new table.
pub(super) struct NewColumns {
    pub(super) columns: Vec<Column>,
    /// The sequences that make values for them.
    pub(super) sequences: Vec<NewSequence>,
    /// The tables that some of them are from.
    pub(super) liked: Vec<Liked>,
}

impl Binder<'_> {
    /// The columns, and the sequences that make values for them.
    pub(super) fn new_columns(
        &mut self,
        schema: &str,
        table: &str,
        create: &ast::CreateTable,
    ) -> Result<NewColumns> {
        let too_many = || Error::new("54011", format!("tables can have at most {COLUMNS_MAX} columns"));
        if create.columns.len() > COLUMNS_MAX {
            return Err(too_many());
        }
        let mut columns: Vec<Column> = Vec::with_capacity(create.columns.len());
        let mut sequences: Vec<NewSequence> = Vec::new();
        let mut liked = Vec::with_capacity(create.likes.len());
        let mut likes = create.likes.iter().peekable();
        for (before, definition) in create.columns.iter().map(Some).chain([None]).enumerate() {
            while let Some(like) = likes.next_if(|like| like.before == before) {
                liked.push(self.liked_columns(schema, table, like, &mut columns, &mut sequences)?);
            }
            let Some(definition) = definition else { break };
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
        if columns.len() > COLUMNS_MAX {
            return Err(too_many());
        }
        self.generate(table, &mut columns, &create.columns)?;
        self.generate_liked(table, &liked, &mut columns)?;
        Ok(NewColumns { columns, sequences, liked })
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
        if definition.conflict_at.is_some() || serial.is_some() && definition.nullable {
            let message =
                format!("conflicting NULL/NOT NULL declarations for column \"{name}\" of table \"{table}\"");
            let error = Error::new("42601", message);
            return Err(match definition.conflict_at {
                Some(at) => error.at(at),
                None => error,
            });
        }
        if serial.is_some() && definition.ty.array {
            return Err(Error::new("0A000", "array of serial is not implemented").at(definition.ty.at));
        }
        let ty = match serial {
            Some(kind) => Type::plain(kind),
            None => self.column_type(&definition.ty, name)?,
        };
        if let Some(at) = definition.collated_at {
            collatable(ty, at)?;
        }
        let identity = definition.identities.first();
        self.check_generation(table, definition)?;
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
                self.kept_default(default, ty, name)?
            }
        };
        Ok(Column {
            id,
            name: name.clone(),
            ty,
            not_null: definition.not_null || makes_values,
            default,
            // What it is made of is found out when all columns are known.
            generated: definition.generations.first().map(|_| RowExpression::default()),
            hidden: false,
            missing: None,
        })
    }

    /// That a column has no other source of values if it is generated.
    fn check_generation(&self, table: &str, definition: &ast::ColumnDefinition) -> Result<()> {
        let Some(generation) = definition.generations.first() else { return Ok(()) };
        let name = &definition.name.value;
        let what = match (definition.generations.get(1), definition.identities.first()) {
            (Some(again), _) => Some(("multiple generation clauses", Some(again.at))),
            (None, Some(identity)) => {
                Some(("both identity and generation expression", Some(generation.at.max(identity.at))))
            }
            _ if definition.default.is_some() => {
                Some(("both default and generation expression", Some(generation.at)))
            }
            _ if serial(&definition.ty).is_some() => Some(("both default and generation expression", None)),
            _ => None,
        };
        let Some((what, at)) = what else { return Ok(()) };
        let error =
            Error::new("42601", format!("{what} specified for column \"{name}\" of table \"{table}\""));
        Err(match at {
            Some(at) => error.at(at),
            None => error,
        })
    }

    /// Finds out what the generated ones among new columns are made of.
    pub(super) fn generate(
        &mut self,
        table: &str,
        columns: &mut [Column],
        definitions: &[ast::ColumnDefinition],
    ) -> Result<()> {
        for definition in definitions {
            let Some(generation) = definition.generations.first() else { continue };
            let name = &definition.name.value;
            let Some(place) = columns.iter().position(|column| !column.hidden && column.name == *name) else {
                continue;
            };
            let Some(ty) = columns.get(place).map(|column| column.ty) else { continue };
            let row: &[Column] = columns;
            let made = self.kept_generation(table, (row, row), (ty, name), &generation.expression)?;
            if let Some(column) = columns.get_mut(place) {
                column.generated = Some(made);
            }
        }
        Ok(())
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
        generated: None,
        hidden: true,
        missing: None,
    }
}
