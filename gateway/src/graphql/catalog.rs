//! The schemas that roles see, made from the catalog and kept for as long as that is what it was.
//!
//! A schema is made by statements that the role itself runs, so that it sees what the role may: tables and views, outside of those of the
//! system, of whose columns the role may read one, and of these the columns that it may read or write.

use std::collections::HashMap;
use std::sync::Arc;

use expr::{Datum, TypeKind};
use parking_lot::Mutex;

use super::build::schema_of;
use super::model::{self, Column, Key, Table};
use super::refusal::Refused;
use super::schema::Schema;
use crate::door::Work;

/// Schemas that are kept, and columns of one.
const KEPT_MAX: usize = 64;
const COLUMNS_MAX: usize = 20_000;

const COLUMNS: &str = "SELECT c.oid, n.nspname, c.relname, c.relkind, a.attnum, a.attname, a.atttypid, a.attnotnull, \
     a.attgenerated, a.attidentity, has_column_privilege(c.oid, a.attnum, 'SELECT'), \
     has_column_privilege(c.oid, a.attnum, 'INSERT'), has_column_privilege(c.oid, a.attnum, 'UPDATE'), \
     has_table_privilege(c.oid, 'DELETE') \
     FROM pg_catalog.pg_class c \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     WHERE c.relkind IN ('r', 'm', 'v') AND n.nspname NOT IN ('information_schema', 'nunatak') AND n.nspname NOT LIKE 'pg\\_%' \
     AND has_schema_privilege(n.oid, 'USAGE') ORDER BY c.oid, a.attnum";

const KEYS: &str = "SELECT conrelid, contype, conkey, confrelid, confkey FROM pg_catalog.pg_constraint \
     WHERE contype IN ('p', 'f') ORDER BY conrelid, oid";

/// The schemas that are kept, by the roles that see them.
#[derive(Default)]
pub(super) struct Schemas(Mutex<HashMap<String, (u64, Arc<Schema>)>>);

impl Schemas {
    /// The schema that a role sees by now.
    pub(super) async fn of(&self, work: &mut Work, role: &str) -> Result<Arc<Schema>, Refused> {
        let version = work.catalog_version().await?;
        let kept = self.0.lock().get(role).filter(|(of, _)| *of == version).map(|(_, schema)| schema.clone());
        if let Some(schema) = kept {
            return Ok(schema);
        }
        work.begin(&[]).await?;
        let outcome = read(work).await;
        let tables = work.end(outcome).await?;
        env::pool::go_to_pool().await;
        let schema = Arc::new(schema_of(tables));
        // Whatever has changed meanwhile is a version after this one.
        let mut kept = self.0.lock();
        kept.retain(|_, (of, _)| *of >= version);
        if kept.len() >= KEPT_MAX
            && let Some(any) = kept.keys().next().cloned()
        {
            kept.remove(&any);
        }
        kept.insert(role.to_owned(), (version, schema.clone()));
        Ok(schema)
    }
}

/// The tables that the role of the session sees.
async fn read(work: &mut Work) -> Result<Vec<Table>, Refused> {
    let columns = work.run_once(COLUMNS).await?;
    if columns.len() > COLUMNS_MAX {
        let message = format!("the role sees {} columns: a schema has at most {COLUMNS_MAX}", columns.len());
        return Err(sql::Error::new("54000", message).into());
    }
    let keys = work.run_once(KEYS).await?;
    let kind = |oid: u32| work.context().catalog.type_of_oid(oid);
    let mut tables: Vec<Table> = Vec::new();
    for row in columns {
        let (oid, table) = table_of(&row)?;
        if tables.last().is_none_or(|last| last.oid != oid) {
            tables.push(table);
        }
        let column = column_of(&row, kind)?;
        if let Some(table) = tables.last_mut() {
            table.columns.extend(column);
        }
    }
    tables.retain(Table::reads);
    let keys: Vec<Key> = keys.iter().filter_map(|row| key_of(row)).collect();
    model::settle(&mut tables, &keys);
    Ok(tables)
}

fn number(row: &[Datum], place: usize) -> Result<i64, Refused> {
    row.get(place).and_then(Datum::as_i64).ok_or_else(unlike)
}

fn text(row: &[Datum], place: usize) -> Result<&str, Refused> {
    row.get(place).and_then(Datum::as_str).ok_or_else(unlike)
}

fn is(row: &[Datum], place: usize) -> bool {
    row.get(place).is_some_and(Datum::is_true)
}

fn unlike() -> Refused {
    sql::Error::internal("the catalog is not what it was taken for").into()
}

fn table_of(row: &[Datum]) -> Result<(i64, Table), Refused> {
    let oid = number(row, 0)?;
    let mut table = Table::new(oid, text(row, 1)?, text(row, 2)?);
    table.deletes = text(row, 3)? == "r" && is(row, 13);
    Ok((oid, table))
}

/// A column, if there is anything that the role may do with it.
fn column_of(row: &[Datum], kind: impl Fn(u32) -> Option<TypeKind>) -> Result<Option<Column>, Refused> {
    let oid = u32::try_from(number(row, 6)?).map_err(|_| unlike())?;
    let Some(kind) = kind(oid) else { return Ok(None) };
    let mut column = Column::new(number(row, 4)?, text(row, 5)?, kind);
    let is_written = text(row, 3)? == "r" && text(row, 8)?.is_empty();
    column.is_nullable = !is(row, 7);
    column.reads = is(row, 10);
    column.inserts = is_written && text(row, 9)? != "a" && is(row, 11);
    column.updates = is_written && text(row, 9)? != "a" && is(row, 12);
    Ok(Some(column).filter(|column| column.reads || column.inserts || column.updates))
}

fn key_of(row: &[Datum]) -> Option<Key> {
    let numbers = |place: usize| match row.get(place)? {
        Datum::Array(items) => items.items().iter().map(Datum::as_i64).collect::<Option<Vec<i64>>>(),
        _ => None,
    };
    let (table, columns) = (row.first()?.as_i64()?, numbers(2)?);
    match row.get(1)?.as_str()? {
        "p" => Some(Key::Primary { table, columns }),
        _ => {
            Some(Key::Foreign { table, columns, parent: row.get(3)?.as_i64()?, parent_columns: numbers(4)? })
        }
    }
}
