//! Views of tables, columns, indexes and constraints.

use std::sync::Arc;

use super::record::{Records, Value};
use super::{AM_BTREE_OID, AM_HEAP_OID, World, columns, deparse, is_base, roles};
use crate::catalog::access::Object;
use crate::catalog::{IndexDescriptor, TableDescriptor, schema};

/// The indexes that users can know of: those with a name.
fn named_indexes(table: &TableDescriptor) -> impl Iterator<Item = &IndexDescriptor> {
    table.indexes.iter().filter(|index| !index.name.is_empty())
}

fn schema_oid(table: &TableDescriptor) -> u32 {
    schema::oid(&table.schema).unwrap_or(0)
}

fn all_indexes<'a>(
    world: &'a World<'_>,
) -> impl Iterator<Item = (&'a Arc<TableDescriptor>, &'a IndexDescriptor)> {
    world.catalog.tables().flat_map(|table| named_indexes(table).map(move |index| (table, index)))
}

pub(super) fn pg_namespace(world: &World<'_>, records: &mut Records<'_>) {
    for name in [schema::PG_CATALOG, schema::PUBLIC, schema::INFORMATION_SCHEMA] {
        let oid = schema::oid(name).unwrap_or_default();
        let object = Object::Schema(oid);
        records.push(&[
            ("oid", oid.into()),
            ("nspname", name.into()),
            ("nspowner", world.catalog.access().object(object).owner.into()),
            ("nspacl", roles::acl(world.catalog, object)),
        ]);
    }
}

pub(super) fn pg_class(world: &World<'_>, records: &mut Records<'_>) {
    for table in world.catalog.tables() {
        let kind = if columns::is_view(table) { "v" } else { "r" };
        let access = if kind == "r" { AM_HEAP_OID } else { 0 };
        records.push(&[
            ("oid", table.oid.into()),
            ("relname", (&table.name).into()),
            ("relnamespace", schema_oid(table).into()),
            ("relowner", roles::owner(world.catalog, table.oid).into()),
            ("relam", access.into()),
            ("relfilenode", table.oid.into()),
            ("reltuples", Value::Real(-1.0)),
            ("relhasindex", named_indexes(table).next().is_some().into()),
            ("relpersistence", "p".into()),
            ("relkind", kind.into()),
            ("relnatts", table.visible().count().into()),
            ("relispopulated", true.into()),
            ("relreplident", "d".into()),
            ("relacl", roles::acl(world.catalog, Object::Table(table.oid))),
        ]);
    }
    for (table, index) in all_indexes(world) {
        records.push(&[
            ("oid", index.oid.into()),
            ("relname", (&index.name).into()),
            ("relnamespace", schema_oid(table).into()),
            ("relowner", roles::owner(world.catalog, table.oid).into()),
            ("relam", AM_BTREE_OID.into()),
            ("relfilenode", index.oid.into()),
            ("relpersistence", "p".into()),
            ("relkind", "i".into()),
            ("relnatts", index.columns.len().into()),
            ("relispopulated", true.into()),
            ("relreplident", "n".into()),
        ]);
    }
}

pub(super) fn pg_attribute(world: &World<'_>, records: &mut Records<'_>) {
    for table in world.catalog.tables() {
        for (_, column) in table.visible() {
            let acl = roles::column_acl(world.catalog, table.oid, column.id);
            push_attribute(records, table.oid, column.id, column, column.not_null, acl);
        }
    }
    for (table, index) in all_indexes(world) {
        for (number, key) in (1u32..).zip(&index.columns) {
            if let Some(column) = table.column_by_id(key.column).and_then(|place| table.columns.get(place)) {
                push_attribute(records, index.oid, number, column, false, Value::Null);
            }
        }
    }
}

fn push_attribute(
    records: &mut Records<'_>,
    relation: u32,
    number: u32,
    column: &crate::catalog::Column,
    not_null: bool,
    acl: Value,
) {
    let kind = column.ty.kind;
    let length = kind.length();
    records.push(&[
        ("attrelid", relation.into()),
        ("attname", (&column.name).into()),
        ("atttypid", kind.oid().into()),
        ("attstattarget", (-1).into()),
        ("attlen", i32::from(length).into()),
        ("attnum", number.into()),
        ("attcacheoff", (-1).into()),
        ("atttypmod", column.ty.modifier.into()),
        ("attbyval", matches!(length, 1 | 2 | 4 | 8).into()),
        ("attalign", super::types::alignment(kind).into()),
        ("attstorage", super::types::storage(kind).into()),
        ("attnotnull", not_null.into()),
        ("atthasdef", column.default.is_some().into()),
        ("attislocal", true.into()),
        ("attcollation", super::types::collation(kind).into()),
        ("attacl", acl),
    ]);
}

pub(super) fn pg_attrdef(world: &World<'_>, records: &mut Records<'_>) {
    for table in world.catalog.tables() {
        for (_, column) in table.visible() {
            let Some(text) = &column.default else { continue };
            records.push(&[
                ("oid", default_oid(table.oid, column.id).into()),
                ("adrelid", table.oid.into()),
                ("adnum", column.id.into()),
                ("adbin", text.into()),
            ]);
        }
    }
}

/// Defaults have no oid of their own; this one is distinct enough for clients that join by it.
fn default_oid(table: u32, column: u32) -> u32 {
    table.rotate_left(12) ^ column ^ 0x8000_0000
}

pub(super) fn pg_index(world: &World<'_>, records: &mut Records<'_>) {
    for (table, index) in all_indexes(world) {
        let numbers = index.columns.iter().map(|key| i64::from(key.column)).collect();
        let options = index
            .columns
            .iter()
            .map(|key| i64::from(key.descending) | i64::from(key.nulls_first) << 1)
            .collect();
        let zeros = vec![0; index.columns.len()];
        let is_primary = index.constraint.is_some_and(|constraint| constraint.primary_key);
        records.push(&[
            ("indexrelid", index.oid.into()),
            ("indrelid", table.oid.into()),
            ("indnatts", index.columns.len().into()),
            ("indnkeyatts", index.columns.len().into()),
            ("indisunique", index.unique.into()),
            ("indisprimary", is_primary.into()),
            ("indimmediate", true.into()),
            ("indisvalid", (index.state == crate::catalog::IndexState::Public).into()),
            ("indisready", true.into()),
            ("indislive", true.into()),
            ("indkey", Value::Ints(numbers)),
            ("indcollation", Value::Ints(zeros.clone())),
            ("indclass", Value::Ints(zeros)),
            ("indoption", Value::Ints(options)),
        ]);
    }
}

pub(super) fn pg_constraint(world: &World<'_>, records: &mut Records<'_>) {
    for (table, index) in all_indexes(world) {
        let Some(constraint) = index.constraint else { continue };
        let numbers = index.columns.iter().map(|key| i64::from(key.column)).collect();
        records.push(&[
            ("oid", constraint.oid.into()),
            ("conname", (&index.name).into()),
            ("connamespace", schema_oid(table).into()),
            ("contype", if constraint.primary_key { "p" } else { "u" }.into()),
            ("convalidated", true.into()),
            ("conrelid", table.oid.into()),
            ("conindid", index.oid.into()),
            ("confupdtype", " ".into()),
            ("confdeltype", " ".into()),
            ("confmatchtype", " ".into()),
            ("conislocal", true.into()),
            ("connoinherit", true.into()),
            ("conkey", Value::Ints(numbers)),
        ]);
    }
}

pub(super) fn pg_tables(world: &World<'_>, records: &mut Records<'_>) {
    for table in world.catalog.tables().filter(|table| !columns::is_view(table)) {
        let access = world.catalog.access();
        let owner = access.role(roles::owner(world.catalog, table.oid));
        records.push(&[
            ("schemaname", (&table.schema).into()),
            ("tablename", (&table.name).into()),
            ("tableowner", owner.map(|owner| &owner.name).into()),
            ("hasindexes", named_indexes(table).next().is_some().into()),
            ("hasrules", false.into()),
            ("hastriggers", false.into()),
            ("rowsecurity", false.into()),
        ]);
    }
}

pub(super) fn pg_indexes(world: &World<'_>, records: &mut Records<'_>) {
    for (table, index) in all_indexes(world).filter(|(table, _)| is_base(table)) {
        records.push(&[
            ("schemaname", (&table.schema).into()),
            ("tablename", (&table.name).into()),
            ("indexname", (&index.name).into()),
            ("indexdef", deparse::index(table, index, false).into()),
        ]);
    }
}
