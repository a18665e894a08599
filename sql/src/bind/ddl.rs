//! CREATE TABLE, CREATE INDEX, ALTER TABLE, TRUNCATE, DROP.

use std::sync::Arc;

use expr::types::Order;
use expr::{Type, TypeKind};

use super::Binder;
use super::from::shown;
use crate::catalog::{Column, ColumnId, IndexColumn, ROW_ID_COLUMN, TableDescriptor, TableKind, schema};
use crate::error::{Error, Notice, Result};
use crate::parse::ast::{self, KeyDefinition, Name, QualifiedName};
use crate::plan::{
    AddPrimaryKey, CreateIndex, CreateTable, Ddl, DropIndexes, DropTables, NewIndex, NewIndexKind,
    OutputColumn, Plan, Truncate,
};

/// A plan and the columns that it returns.
type Bound = (Plan, Option<Vec<OutputColumn>>);

/// The most columns that a table may have.
const COLUMNS_MAX: usize = 1600;
/// How many keys CREATE TABLE may declare.
const KEYS_MAX: usize = 256;
/// The longest name in bytes.
const NAME_BYTES_MAX: usize = 63;
/// Names that PostgreSQL keeps for columns of its own.
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

/// PostgreSQL names no place in errors about what DDL is done to.
fn unplaced(mut error: Error) -> Error {
    error.position = None;
    error
}

fn ddl(ddl: Ddl) -> Result<Bound> {
    Ok((Plan::Ddl(Box::new(ddl)), None))
}

impl Binder<'_> {
    /// The schema that a new table goes to.
    fn creation_schema(&self, name: &QualifiedName) -> Result<String> {
        let given = match &name.schema {
            Some(given) => given.value.as_str(),
            None => self.settings.search_path.creation().ok_or_else(|| {
                Error::new("3F000", "no schema has been selected to create in").at(name.name.at)
            })?,
        };
        match given {
            schema::PUBLIC => Ok(given.to_owned()),
            schema::PG_CATALOG => {
                let message = format!("permission denied to create \"pg_catalog.{}\"", name.name.value);
                Err(Error::new("42501", message)
                    .detail("System catalog modifications are currently disallowed."))
            }
            schema::INFORMATION_SCHEMA => {
                Err(Error::new("42501", "permission denied for schema information_schema"))
            }
            other => {
                let at = name.schema.as_ref().unwrap_or(&name.name).at;
                Err(Error::new("3F000", format!("schema \"{other}\" does not exist")).at(at))
            }
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
        let mut columns = self.new_columns(&create.columns)?;
        if create.keys.len() > KEYS_MAX {
            return Err(Error::new("54000", format!("tables can have at most {KEYS_MAX} keys")));
        }
        let mut names = NewNames { binder: self, schema: schema.clone(), chosen: vec![name.clone()] };
        let mut indexes = Vec::new();
        for key in &create.keys {
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
        if indexes.first().is_none_or(|index| index.kind != NewIndexKind::PrimaryKey) {
            columns.push(Column {
                id: ROW_ID_COLUMN,
                name: String::new(),
                ty: TypeKind::Int8.into(),
                not_null: true,
                default: None,
                hidden: true,
            });
            let columns = vec![IndexColumn::ascending(ROW_ID_COLUMN)];
            indexes.insert(0, NewIndex { name: String::new(), kind: NewIndexKind::RowId, columns });
        }
        let at = create.name.schema.as_ref().unwrap_or(&create.name.name).at;
        ddl(Ddl::CreateTable(CreateTable { schema, name, columns, indexes, at }))
    }

    fn new_columns(&mut self, definitions: &[ast::ColumnDefinition]) -> Result<Vec<Column>> {
        if definitions.len() > COLUMNS_MAX {
            return Err(Error::new("54011", format!("tables can have at most {COLUMNS_MAX} columns")));
        }
        let mut columns: Vec<Column> = Vec::with_capacity(definitions.len());
        for definition in definitions {
            let name = &definition.name;
            if SYSTEM_COLUMNS.contains(&name.value.as_str()) {
                let message = format!("column name \"{}\" conflicts with a system column name", name.value);
                return Err(Error::new("42701", message));
            }
            if columns.iter().any(|other| other.name == name.value) {
                let message = format!("column \"{}\" specified more than once", name.value);
                return Err(Error::new("42701", message));
            }
            let ty = self.column_type(&definition.ty, &name.value)?;
            let default = match &definition.default {
                None => None,
                Some(default) => {
                    self.default_expression(&default.expr, ty, &name.value)?;
                    self.kept_default(default, ty, &name.value)
                }
            };
            columns.push(Column {
                id: ColumnId::try_from(columns.len().saturating_add(1)).unwrap_or(ColumnId::MAX),
                name: name.value.clone(),
                ty,
                not_null: definition.not_null,
                default,
                hidden: false,
            });
        }
        Ok(columns)
    }

    /// DROP TABLE.
    pub(super) fn drop_table(&mut self, drop: &ast::Drop) -> Result<Bound> {
        let mut tables: Vec<Arc<TableDescriptor>> = Vec::new();
        for name in &drop.names {
            match self.table(name) {
                Ok(table) if table.kind == TableKind::Virtual => {
                    let message = format!("permission denied: \"{}\" is a system catalog", table.name);
                    return Err(Error::new("42501", message));
                }
                Ok(table) => {
                    if !tables.iter().any(|other| other.oid == table.oid) {
                        tables.push(table);
                    }
                }
                Err(error) if error.sqlstate == "42P01" => self.missing(drop, "table", "42P01", name)?,
                Err(error) if error.sqlstate == "42809" => {
                    return Err(Error::new("42809", format!("\"{}\" is not a table", name.name.value))
                        .hint("Use DROP INDEX to remove an index."));
                }
                Err(error) => return Err(error),
            }
        }
        if tables.is_empty() {
            return ddl(Ddl::Nothing { tag: "DROP TABLE" });
        }
        ddl(Ddl::DropTables(DropTables { tables }))
    }

    fn missing(
        &mut self,
        drop: &ast::Drop,
        what: &str,
        sqlstate: &'static str,
        name: &QualifiedName,
    ) -> Result<()> {
        let message = format!("{what} \"{}\" does not exist", shown(name));
        if !drop.if_exists {
            return Err(Error::new(sqlstate, message));
        }
        self.notices.push(Notice::notice("00000", format!("{message}, skipping")));
        Ok(())
    }

    /// DROP INDEX.
    pub(super) fn drop_index(&mut self, drop: &ast::Drop) -> Result<Bound> {
        let mut indexes = Vec::new();
        for name in &drop.names {
            let schemas: Vec<&str> = match &name.schema {
                Some(schema) => vec![schema.value.as_str()],
                None => self.settings.search_path.lookup().collect(),
            };
            let found = schemas.iter().find_map(|schema| self.catalog.index(schema, &name.name.value));
            match found {
                Some((table, index)) if index.constraint.is_some() => {
                    let message = format!(
                        "cannot drop index {0} because constraint {0} on table {1} requires it",
                        index.name, table.name
                    );
                    let hint =
                        format!("You can drop constraint {} on table {} instead.", index.name, table.name);
                    return Err(Error::new("2BP01", message).hint(hint));
                }
                Some((table, index)) => {
                    if !indexes.iter().any(|(_, oid)| *oid == index.oid) {
                        indexes.push((table.clone(), index.oid));
                    }
                }
                None if self.table(name).is_ok() => {
                    return Err(Error::new("42809", format!("\"{}\" is not an index", name.name.value))
                        .hint("Use DROP TABLE to remove a table."));
                }
                None => self.missing(drop, "index", "42704", name)?,
            }
        }
        if indexes.is_empty() {
            return ddl(Ddl::Nothing { tag: "DROP INDEX" });
        }
        ddl(Ddl::DropIndexes(DropIndexes { indexes }))
    }

    /// TRUNCATE.
    pub(super) fn truncate(&mut self, names: &[QualifiedName]) -> Result<Bound> {
        let mut tables: Vec<Arc<TableDescriptor>> = Vec::new();
        for name in names {
            let table = self.writable_table(name).map_err(unplaced)?;
            if !tables.iter().any(|other| other.oid == table.oid) {
                tables.push(table);
            }
        }
        ddl(Ddl::Truncate(Truncate { tables }))
    }

    /// CREATE INDEX.
    pub(super) fn create_index(&mut self, create: &ast::CreateIndex) -> Result<Bound> {
        let table = self.writable_table(&create.table).map_err(unplaced)?;
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
        let mut names = NewNames { binder: self, schema: table.schema.clone(), chosen: Vec::new() };
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

    /// ALTER TABLE … ADD PRIMARY KEY, ADD UNIQUE.
    pub(super) fn add_key(&mut self, add: &ast::AddKey) -> Result<Bound> {
        let table = match self.writable_table(&add.table) {
            Ok(table) => table,
            Err(error) if add.if_exists && error.sqlstate == "42P01" => {
                let message = format!("relation \"{}\" does not exist, skipping", shown(&add.table));
                self.notices.push(Notice::notice("00000", message));
                return ddl(Ddl::Nothing { tag: "ALTER TABLE" });
            }
            Err(error) => return Err(unplaced(error)),
        };
        let mut names = NewNames { binder: self, schema: table.schema.clone(), chosen: Vec::new() };
        let index = names.key_index(&table.name, &table.columns, &add.key).map_err(unplaced)?;
        if index.kind != NewIndexKind::PrimaryKey {
            return ddl(Ddl::CreateIndex(CreateIndex { table, index }));
        }
        if table.primary_key().is_some() {
            let message = format!("multiple primary keys for table \"{}\" are not allowed", table.name);
            return Err(Error::new("42P16", message));
        }
        ddl(Ddl::AddPrimaryKey(AddPrimaryKey { table, index }))
    }
}

/// Whether a column of the type may be part of an index.
fn check_key(ty: Type, at: usize) -> Result<()> {
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

/// Chooses names that are free.
struct NewNames<'b, 'a> {
    binder: &'b Binder<'a>,
    schema: String,
    chosen: Vec<String>,
}

impl NewNames<'_, '_> {
    fn is_taken(&self, name: &str) -> bool {
        self.chosen.iter().any(|chosen| chosen == name) || self.binder.catalog.is_taken(&self.schema, name)
    }

    /// `table_column_suffix`, with a number if need be (`ChooseRelationName`).
    fn choose(&mut self, table: &str, columns: &[String], suffix: &str) -> String {
        let columns = columns.join("_");
        let mut attempt = 0_u32;
        loop {
            let number = if attempt == 0 { String::new() } else { attempt.to_string() };
            let name = object_name(table, &columns, &format!("{suffix}{number}"));
            if !self.is_taken(&name) {
                self.chosen.push(name.clone());
                return name;
            }
            attempt = attempt.saturating_add(1);
        }
    }

    /// The index of PRIMARY KEY or UNIQUE.
    fn key_index(&mut self, table: &str, columns: &[Column], key: &KeyDefinition) -> Result<NewIndex> {
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
            None if key.primary => self.choose(table, &[], "pkey"),
            None => {
                let names: Vec<String> = key.columns.iter().map(|name| name.value.clone()).collect();
                self.choose(table, &names, "key")
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

/// `table_columns_suffix` within the bound of names; the longer of the first two is cut (`makeObjectName`).
fn object_name(table: &str, columns: &str, suffix: &str) -> String {
    let overhead = suffix.len().saturating_add(if columns.is_empty() { 1 } else { 2 });
    let room = NAME_BYTES_MAX.saturating_sub(overhead);
    let (mut first, mut second) = (table.len(), columns.len());
    while first.saturating_add(second) > room {
        if first > second {
            first = first.saturating_sub(1);
        } else {
            second = second.saturating_sub(1);
        }
    }
    let cut = |text: &str, mut end: usize| {
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        text.get(..end).unwrap_or_default().to_owned()
    };
    let table = cut(table, first);
    if columns.is_empty() {
        format!("{table}_{suffix}")
    } else {
        format!("{table}_{}_{suffix}", cut(columns, second))
    }
}
