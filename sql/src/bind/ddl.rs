//! CREATE TABLE, CREATE INDEX, TRUNCATE.

use std::sync::Arc;

use expr::types::Order;
use expr::{Expr, Type, TypeKind};

use super::Binder;
use super::column::{COLUMNS_MAX, check_column_name, check_distinct_name, row_id_column};
use super::new_names::NewNames;
use crate::catalog::{Check, Column, ColumnId, IndexColumn, TableDescriptor, schema};
use crate::error::{Error, Notice, Result};
use crate::parse::ast::{self, KeyDefinition, Name, QualifiedName};
use crate::plan::{
    CreateIndex, CreateTable, CreateTableAs, Ddl, NewIndex, NewIndexKind, Node, OutputColumn, Plan, Project,
    Truncate,
};

/// A plan and the columns that it returns.
pub(super) type Bound = (Plan, Option<Vec<OutputColumn>>);

/// How many keys CREATE TABLE may declare.
pub(super) const KEYS_MAX: usize = 256;
/// PostgreSQL names no place in errors about what DDL is done to.
pub(super) fn unplaced(mut error: Error) -> Error {
    error.position = None;
    error
}

pub(super) fn ddl(ddl: Ddl) -> Result<Bound> {
    Ok((Plan::Ddl(Box::new(ddl)), None))
}

impl Binder<'_> {
    /// The schema that a new relation goes to.
    pub(super) fn creation_schema(&self, name: &QualifiedName) -> Result<String> {
        let given = match &name.schema {
            Some(given) => given.clone(),
            None => {
                let first = self.settings.search_path.creation(self.catalog.objects());
                let value = first.ok_or_else(|| {
                    Error::new("3F000", "no schema has been selected to create in").at(name.name.at)
                })?;
                Name { value: value.to_owned(), at: name.name.at }
            }
        };
        if given.value == schema::PG_CATALOG {
            let message = format!("permission denied to create \"pg_catalog.{}\"", name.name.value);
            return Err(
                Error::new("42501", message).detail("System catalog modifications are currently disallowed.")
            );
        }
        self.check_creation_schema(&given).map_err(|error| error.at(given.at))?;
        Ok(given.value)
    }

    /// That relations can be put into a schema.
    pub(super) fn check_creation_schema(&self, name: &Name) -> Result<()> {
        match name.value.as_str() {
            schema::PG_CATALOG | schema::INFORMATION_SCHEMA => {
                Err(Error::new("42501", format!("permission denied for schema {}", name.value)))
            }
            given if self.catalog.objects().schema_oid(given).is_none() => {
                Err(Error::new("3F000", format!("schema \"{given}\" does not exist")))
            }
            _ => Ok(()),
        }
    }

    /// CREATE TABLE.
    pub(super) fn create_table(&mut self, create: &ast::CreateTable) -> Result<Bound> {
        let schema = self.creation_schema(&create.name)?;
        let name = create.name.name.value.clone();
        if self.catalog.is_taken(&schema, &name) {
            let message = format!("relation \"{name}\" already exists");
            if !create.if_not_exists {
                return Err(Error::new("42P07", message));
            }
            self.notices.push(Notice::notice("42P07", format!("{message}, skipping")));
            return ddl(Ddl::Nothing { tag: "CREATE TABLE" });
        }
        let (mut columns, sequences) = self.new_columns(&schema, &name, &create.columns)?;
        let constraints = &create.constraints;
        if constraints.keys.len() > KEYS_MAX {
            return Err(Error::new("54000", format!("tables can have at most {KEYS_MAX} keys")));
        }
        let mut checks = Vec::with_capacity(constraints.checks.len());
        for check in &constraints.checks {
            // A new table has no rows that it could be wrong of.
            checks.push(Check { validated: true, ..self.new_check(&name, &columns, check)? });
        }
        let mut names = NewNames::new(self, &schema);
        names.chosen.push(name.clone());
        names.chosen.extend(sequences.iter().map(|sequence| sequence.name.clone()));
        for check in &mut checks {
            names.name_check(&name, &columns, check);
        }
        check_distinct(&checks)?;
        let mut indexes = Vec::new();
        for key in &constraints.keys {
            if let Some(own) = &key.name
                && checks.iter().any(|check| check.name == own.value)
            {
                return Err(duplicate_constraint(&name, &own.value));
            }
            let index = names.key_index(&name, &columns, key)?;
            if index.kind == NewIndexKind::PrimaryKey {
                if indexes.iter().any(|other: &NewIndex| other.kind == NewIndexKind::PrimaryKey) {
                    let message = format!("multiple primary keys for table \"{name}\" are not allowed");
                    return Err(Error::new("42P16", message).at(key.at));
                }
                for key in &index.columns {
                    columns
                        .iter_mut()
                        .filter(|column| column.id == key.column)
                        .for_each(|c| c.not_null = true);
                }
                indexes.insert(0, index);
            } else {
                indexes.push(index);
            }
        }
        let chosen = std::mem::take(&mut names.chosen);
        let foreign_keys = self.new_foreign_keys(&schema, &name, &columns, &indexes, constraints, chosen)?;
        for (place, key) in foreign_keys.iter().enumerate() {
            let taken = indexes.iter().any(|index| index.name == key.name)
                || checks.iter().any(|check| check.name == key.name)
                || foreign_keys.iter().take(place).any(|earlier| earlier.name == key.name);
            if taken {
                return Err(duplicate_constraint(&name, &key.name));
            }
        }
        if indexes.first().is_none_or(|index| index.kind != NewIndexKind::PrimaryKey) {
            columns.push(row_id_column());
            indexes.insert(0, NewIndex::over_row_id());
        }
        let at = create.name.schema.as_ref().unwrap_or(&create.name.name).at;
        ddl(Ddl::CreateTable(CreateTable {
            schema,
            name,
            columns,
            indexes,
            checks,
            foreign_keys,
            sequences,
            at,
        }))
    }

    /// CREATE TABLE … AS.
    pub(super) fn create_table_as(&mut self, create: &ast::CreateTableAs) -> Result<Bound> {
        let schema = self.creation_schema(&create.name).map_err(unplaced)?;
        let name = create.name.name.value.clone();
        if self.catalog.is_taken(&schema, &name) {
            let message = format!("relation \"{name}\" already exists");
            if !create.if_not_exists {
                return Err(Error::new("42P07", message));
            }
            self.notices.push(Notice::notice("42P07", format!("{message}, skipping")));
            return ddl(Ddl::Nothing { tag: "CREATE TABLE AS" });
        }
        let bound = self.query(&create.query)?;
        let bound = self.settle_outputs(bound)?;
        if create.columns.len() > bound.columns.len() {
            return Err(Error::new("42601", "too many column names were specified"));
        }
        let types = bound.node.types();
        let mut columns: Vec<Column> = Vec::with_capacity(types.len().saturating_add(1));
        for (place, (column, ty)) in bound.columns.iter().zip(&types).enumerate() {
            let name = create.columns.get(place).map_or(&column.name, |name| &name.value);
            check_column_name(name)?;
            check_distinct_name(name, &columns)?;
            if !ty.kind.is_storable() {
                let message = format!("column \"{name}\" has pseudo-type {}", ty.display_name());
                return Err(Error::new("42P16", message));
            }
            columns.push(Column {
                id: ColumnId::try_from(place.saturating_add(1)).unwrap_or(ColumnId::MAX),
                name: name.clone(),
                ty: *ty,
                not_null: false,
                default: None,
                hidden: false,
                missing: None,
            });
        }
        if columns.len() > COLUMNS_MAX {
            return Err(Error::new("54011", format!("tables can have at most {COLUMNS_MAX} columns")));
        }
        columns.push(row_id_column());
        let source = create.with_data.then(|| {
            let own = types.iter().enumerate().map(|(index, ty)| Expr::Column { index, ty: *ty });
            let expressions = own.chain([Expr::null(TypeKind::Int8)]).collect();
            Box::new(Node::Project(Project { input: Box::new(bound.node), expressions }))
        });
        let at = create.name.schema.as_ref().unwrap_or(&create.name.name).at;
        let create = CreateTable {
            schema,
            name,
            columns,
            indexes: vec![NewIndex::over_row_id()],
            checks: Vec::new(),
            foreign_keys: Vec::new(),
            sequences: Vec::new(),
            at,
        };
        ddl(Ddl::CreateTableAs(CreateTableAs { create, source }))
    }

    /// TRUNCATE.
    pub(super) fn truncate(&mut self, truncate: &ast::Truncate) -> Result<Bound> {
        let mut tables: Vec<Arc<TableDescriptor>> = Vec::new();
        for name in &truncate.names {
            let not_a_table =
                |table: &TableDescriptor| Error::new("42809", format!("\"{}\" is not a table", table.name));
            let table = self.stored_table(name, not_a_table).map_err(unplaced)?;
            if !tables.iter().any(|other| other.oid == table.oid) {
                tables.push(table);
            }
        }
        self.check_truncate(&mut tables, truncate.cascade)?;
        ddl(Ddl::Truncate(Truncate { tables, restart: truncate.restart }))
    }

    /// CREATE INDEX.
    pub(super) fn create_index(&mut self, create: &ast::CreateIndex) -> Result<Bound> {
        let no_index = |table: &TableDescriptor| {
            let message = format!("cannot create index on relation \"{}\"", table.name);
            let detail = format!("This operation is not supported for {}s.", table.kind.word());
            Error::new("42809", message).detail(detail)
        };
        let table = self.stored_table(&create.table, no_index).map_err(unplaced)?;
        let mut columns = Vec::with_capacity(create.columns.len());
        for column in &create.columns {
            let Some(found) = table.visible().find(|(_, own)| own.name == column.name.value) else {
                let message = format!("column \"{}\" does not exist", column.name.value);
                return Err(Error::new("42703", message));
            };
            check_key(found.1.ty, create.table.name.at)?;
            columns.push(IndexColumn {
                column: found.1.id,
                descending: column.descending,
                nulls_first: column.nulls_first.unwrap_or(column.descending),
            });
        }
        let mut names = NewNames::new(self, &table.schema);
        let name = match &create.name {
            None => names.choose(&table.name, &index_columns(&create.columns), "idx"),
            Some(name) if names.is_taken(&name.value) => {
                let message = format!("relation \"{}\" already exists", name.value);
                if !create.if_not_exists {
                    return Err(Error::new("42P07", message));
                }
                self.notices.push(Notice::notice("42P07", format!("{message}, skipping")));
                return ddl(Ddl::Nothing { tag: "CREATE INDEX" });
            }
            Some(name) => name.value.clone(),
        };
        let kind = if create.unique { NewIndexKind::Unique } else { NewIndexKind::Plain };
        ddl(Ddl::CreateIndex(CreateIndex { table, index: NewIndex { name, kind, columns } }))
    }
}

pub(super) fn duplicate_constraint(table: &str, name: &str) -> Error {
    Error::new("42710", format!("constraint \"{name}\" for relation \"{table}\" already exists"))
}

/// 42710 if two have one name.
fn check_distinct(checks: &[Check]) -> Result<()> {
    for (place, check) in checks.iter().enumerate() {
        if checks.iter().take(place).any(|earlier| earlier.name == check.name) {
            let message = format!("check constraint \"{}\" already exists", check.name);
            return Err(Error::new("42710", message));
        }
    }
    Ok(())
}

/// Whether a column of the type may be part of an index.
pub(super) fn check_key(ty: Type, at: usize) -> Result<()> {
    let shown = ty.kind.display_name();
    if ty.kind.order() == Order::None {
        let message = format!("data type {shown} has no default operator class for access method \"btree\"");
        return Err(Error::new("42704", message)
            .hint("You must specify an operator class for the index or define a default operator class for the data type."));
    }
    if expr::key::is_possible(ty.kind) {
        return Ok(());
    }
    Err(Error::unsupported(format!("an index over a column of type {shown}")).at(at))
}

fn index_columns(columns: &[ast::IndexColumn]) -> Vec<String> {
    columns.iter().map(|column| column.name.value.clone()).collect()
}

impl NewNames<'_, '_> {
    /// The index of PRIMARY KEY or UNIQUE.
    pub(super) fn key_index(
        &mut self,
        table: &str,
        columns: &[Column],
        key: &KeyDefinition,
    ) -> Result<NewIndex> {
        let mut own: Vec<IndexColumn> = Vec::with_capacity(key.columns.len());
        for name in &key.columns {
            let column = key_column(columns, name, key.at)?;
            if own.iter().any(|other| other.column == column.id) {
                let what = if key.primary { "primary key" } else { "unique" };
                let message = format!("column \"{}\" appears twice in {what} constraint", name.value);
                return Err(Error::new("42701", message).at(key.at));
            }
            check_key(column.ty, key.at)?;
            own.push(IndexColumn::ascending(column.id));
        }
        let name = match &key.name {
            Some(name) if self.is_taken(&name.value) => {
                return Err(Error::new("42P07", format!("relation \"{}\" already exists", name.value)));
            }
            Some(name) => {
                self.chosen.push(name.value.clone());
                name.value.clone()
            }
            None if key.primary => self.choose_key(table, &[], "pkey"),
            None => {
                let names: Vec<String> = key.columns.iter().map(|name| name.value.clone()).collect();
                self.choose_key(table, &names, "key")
            }
        };
        let kind = if key.primary { NewIndexKind::PrimaryKey } else { NewIndexKind::UniqueConstraint };
        Ok(NewIndex { name, kind, columns: own })
    }
}

fn key_column<'c>(columns: &'c [Column], name: &Name, at: usize) -> Result<&'c Column> {
    columns.iter().find(|column| !column.hidden && column.name == name.value).ok_or_else(|| {
        let message = format!("column \"{}\" named in key does not exist", name.value);
        Error::new("42703", message).at(at)
    })
}
