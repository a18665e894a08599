//! CREATE TABLE, CREATE INDEX, TRUNCATE.

use std::sync::Arc;

use expr::{Expr, TypeKind};

use super::Binder;
use super::column::{COLUMNS_MAX, NewColumns, row_id_column};
use super::definition::{Bound, ddl, duplicate_constraint, not_temporary, unplaced};
use super::like::{liked_constraints, liked_indexes};
use super::new_names::{NewNames, check_column_name, check_distinct_name};
use crate::catalog::{Check, Column, ColumnId, OnCommit, TableDescriptor, schema};
use crate::error::{Error, Notice, Result};
use crate::parse::ast::{self, Name, Persistence, QualifiedName};
use crate::plan::{CreateTable, CreateTableAs, Ddl, NewIndex, NewIndexKind, Node, Project, Truncate};

/// How many keys CREATE TABLE may declare.
pub(super) const KEYS_MAX: usize = 256;

impl Binder<'_> {
    /// The schema that a new relation goes to.
    pub(super) fn creation_schema(
        &mut self,
        name: &QualifiedName,
        persistence: Persistence,
    ) -> Result<String> {
        if let Persistence::Global(at) = persistence {
            let message = "GLOBAL is deprecated in temporary table creation";
            self.notices.push(Notice { position: Some(at), ..Notice::warning("01000", message) });
        }
        let given = match &name.schema {
            Some(given) => given.clone(),
            None if persistence.is_temporary() => return Ok(schema::TEMPORARY.to_owned()),
            None => {
                let first = self.settings.search_path.creation(self.catalog.objects());
                let value = first.ok_or_else(|| {
                    Error::new("3F000", "no schema has been selected to create in").at(name.name.at)
                })?;
                Name { value: value.to_owned(), at: name.name.at }
            }
        };
        if self.catalog.objects().kept_schema(&given.value) == schema::TEMPORARY {
            if persistence == Persistence::Unlogged {
                let message = "only temporary relations may be created in temporary schemas";
                return Err(Error::new("42P16", message).at(given.at));
            }
            return Ok(schema::TEMPORARY.to_owned());
        }
        if persistence.is_temporary() {
            let is_there = self.catalog.objects().schema_oid(&given.value).is_some();
            let error = if is_there { not_temporary() } else { no_schema(&given.value) };
            return Err(error.at(given.at));
        }
        if given.value == schema::PG_CATALOG {
            let message = format!("permission denied to create \"pg_catalog.{}\"", name.name.value);
            return Err(
                Error::new("42501", message).detail("System catalog modifications are currently disallowed.")
            );
        }
        self.check_creation_schema(&given).map_err(|error| error.at(given.at))?;
        Ok(given.value)
    }

    /// The schema that a new type goes to.
    pub(super) fn type_schema(&mut self, name: &QualifiedName) -> Result<String> {
        let schema = self.creation_schema(name, Persistence::Permanent)?;
        match schema == schema::TEMPORARY {
            true => Err(Error::unsupported("a temporary type")),
            false => Ok(schema),
        }
    }

    /// That relations can be put into a schema.
    pub(super) fn check_creation_schema(&self, name: &Name) -> Result<()> {
        match self.catalog.objects().kept_schema(&name.value) {
            schema::TEMPORARY => {
                Err(Error::new("0A000", "cannot move objects into or out of temporary schemas"))
            }
            system if schema::is_system(system) => {
                Err(Error::new("42501", format!("permission denied for schema {}", name.value)))
            }
            given if self.catalog.objects().schema_oid(given).is_none() => Err(no_schema(given)),
            _ => Ok(()),
        }
    }

    /// CREATE TABLE.
    pub(super) fn create_table(&mut self, create: &ast::CreateTable) -> Result<Bound> {
        let schema = self.creation_schema(&create.name, create.persistence)?;
        let on_commit = on_commit(&schema, create.on_commit)?;
        let name = create.name.name.value.clone();
        if self.catalog.is_taken(&schema, &name) {
            let message = format!("relation \"{name}\" already exists");
            if !create.if_not_exists {
                return Err(Error::new("42P07", message));
            }
            self.notices.push(Notice::notice("42P07", format!("{message}, skipping")));
            return ddl(Ddl::Nothing { tag: "CREATE TABLE" });
        }
        self.check_row_type_name(&schema, &name)?;
        let NewColumns { mut columns, sequences, liked } = self.new_columns(&schema, &name, create)?;
        let mut constraints = create.constraints.clone();
        constraints.append(liked_constraints(&liked)?);
        let constraints = &constraints;
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
                        .filter(|column| key.column() == Some(column.id))
                        .for_each(|c| c.not_null = true);
                }
                indexes.insert(0, index);
            } else {
                indexes.push(index);
            }
        }
        indexes.extend(liked_indexes(&mut names, &name, &liked));
        let chosen = std::mem::take(&mut names.chosen);
        let comments = self.liked_comments(&liked);
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
            materialised: None,
            audit: create.audit,
            comments,
            on_commit,
            at,
        }))
    }

    /// CREATE TABLE … AS.
    pub(super) fn create_table_as(&mut self, create: &ast::CreateTableAs) -> Result<Bound> {
        let schema = self.creation_schema(&create.name, create.persistence).map_err(unplaced)?;
        let on_commit = on_commit(&schema, create.on_commit)?;
        if create.view.is_some() && schema == schema::TEMPORARY {
            return Err(Error::unsupported("a temporary materialized view"));
        }
        let name = create.name.name.value.clone();
        if self.catalog.is_taken(&schema, &name) {
            let message = format!("relation \"{name}\" already exists");
            if !create.if_not_exists {
                return Err(Error::new("42P07", message));
            }
            self.notices.push(Notice::notice("42P07", format!("{message}, skipping")));
            let tag = if create.view.is_some() { "CREATE MATERIALIZED VIEW" } else { "CREATE TABLE AS" };
            return ddl(Ddl::Nothing { tag });
        }
        self.check_row_type_name(&schema, &name)?;
        let (bound, materialised) = self.query_of_table(create)?;
        if !create.with_data {
            self.needs.only_names();
        }
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
                generated: None,
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
            materialised,
            audit: audit::Classes::NONE,
            comments: Vec::new(),
            on_commit,
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
        let named = tables.len();
        self.check_truncate(&mut tables, truncate.cascade)?;
        ddl(Ddl::Truncate(Truncate { tables, named, restart: truncate.restart }))
    }
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

fn no_schema(name: &str) -> Error {
    Error::new("3F000", format!("schema \"{name}\" does not exist"))
}

/// What is to become of the rows of a table in this schema at each commit.
fn on_commit(schema: &str, wanted: Option<OnCommit>) -> Result<OnCommit> {
    match wanted {
        Some(_) if schema != schema::TEMPORARY => {
            Err(Error::new("42P16", "ON COMMIT can only be used on temporary tables"))
        }
        wanted => Ok(wanted.unwrap_or_default()),
    }
}
