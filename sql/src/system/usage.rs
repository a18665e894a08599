//! What was done to tables, indexes and databases: `pg_stat_user_tables` and its like.
//!
//! Each gateway counts since it was started, and all of them are asked. What nobody counts is NULL, so that it is not taken for
//! nothing: rows that are dead (they are nobody's business to clean up), blocks, rows that have changed since ANALYZE. What
//! never happens here is zero: HOT updates, VACUUM, conflicts of a standby.
//!
//! The catalog's own tables are made up when they are read, and are not among those that are counted: the views of the system's
//! are empty, and `all` is what users have.

use std::sync::Arc;

use super::World;
use super::record::{Records, Value};
use super::relations::named_indexes;
use super::sequences;
use crate::activity::usage::Counts;
use crate::catalog::{IndexDescriptor, TableDescriptor};

/// Whether this is a view of what was done to tables, indexes or sequences.
pub(super) fn shows(view: &str) -> bool {
    let rest = view.strip_prefix("pg_statio_").or_else(|| view.strip_prefix("pg_stat_"));
    let rest = rest.and_then(|rest| rest.split_once('_'));
    rest.is_some_and(|(whose, what)| {
        matches!(whose, "all" | "sys" | "user") && matches!(what, "tables" | "indexes" | "sequences")
    })
}

/// Whether it shows what is counted.
pub(super) fn shows_counts(view: &str) -> bool {
    shows(view) && !view.starts_with("pg_statio_")
}

/// The rows of such a view.
pub(super) fn show(view: &str, world: &World<'_>, records: &mut Records<'_>) {
    if view.contains("_sys_") {
        return;
    }
    let is_io = !shows_counts(view);
    match view.rsplit_once('_').map(|(_, what)| what) {
        Some("tables") if is_io => tables(world).for_each(|table| records.push(&of_table(world, table))),
        Some("tables") => tables(world).for_each(|table| counts_of_table(world, table, records)),
        Some("indexes") => {
            for (table, index) in
                tables(world).flat_map(|table| named_indexes(table).map(move |index| (table, index)))
            {
                counts_of_index(world, (&**table, index), is_io, records);
            }
        }
        _ => {
            for (object, _) in sequences::all(world) {
                records.push(&[
                    ("relid", object.oid.into()),
                    ("schemaname", world.schema(&object.schema).into()),
                    ("relname", (&object.name).into()),
                ]);
            }
        }
    }
}

fn tables<'a>(world: &'a World<'_>) -> impl Iterator<Item = &'a Arc<TableDescriptor>> {
    world.catalog.tables().filter(|table| table.kind.is_stored())
}

fn of_table(world: &World<'_>, table: &TableDescriptor) -> [(&'static str, Value); 3] {
    [
        ("relid", table.oid.into()),
        ("schemaname", world.schema(&table.schema).into()),
        ("relname", (&table.name).into()),
    ]
}

/// What was done to an object of this database.
fn counts(world: &World<'_>, oid: u32) -> Counts {
    counts_in(world, world.catalog.database_oid(), oid)
}

fn counts_in(world: &World<'_>, database: u32, oid: u32) -> Counts {
    world.gathered.usage.get(&(database, oid)).copied().unwrap_or_default()
}

fn counts_of_table(world: &World<'_>, table: &TableDescriptor, records: &mut Records<'_>) {
    let own = counts(world, table.oid);
    let mut of_indexes = Counts::default();
    table.indexes.iter().for_each(|index| of_indexes.add(counts(world, index.oid)));
    let has_indexes = named_indexes(table).next().is_some();
    let by_index = |count: u64| if has_indexes { Value::count(count) } else { Value::Null };
    let primary = table.primary().map(|primary| primary.id);
    let rows = primary.and_then(|primary| world.gathered.rows.get(&primary)).copied().unwrap_or(0.0);
    let analyzed = primary.and_then(|primary| world.gathered.analyzed.get(&primary)).copied();
    records.push(&of_table(world, table));
    records.amend(&[
        ("seq_scan", Value::count(own.scans)),
        ("seq_tup_read", Value::count(own.read)),
        ("idx_scan", by_index(of_indexes.scans)),
        ("idx_tup_fetch", by_index(of_indexes.fetched)),
        ("n_tup_ins", Value::count(own.inserted)),
        ("n_tup_upd", Value::count(own.updated)),
        ("n_tup_del", Value::count(own.deleted)),
        ("n_tup_hot_upd", Value::Int(0)),
        ("n_live_tup", Value::Int(rows as i64)),
        ("last_analyze", analyzed.map_or(Value::Null, Value::Moment)),
        ("vacuum_count", Value::Int(0)),
        ("autovacuum_count", Value::Int(0)),
        ("autoanalyze_count", Value::Int(0)),
    ]);
}

fn counts_of_index(
    world: &World<'_>,
    (table, index): (&TableDescriptor, &IndexDescriptor),
    is_io: bool,
    records: &mut Records<'_>,
) {
    records.push(&of_table(world, table));
    records.amend(&[("indexrelid", index.oid.into()), ("indexrelname", (&index.name).into())]);
    if is_io {
        return;
    }
    let own = counts(world, index.oid);
    records.amend(&[
        ("idx_scan", Value::count(own.scans)),
        ("idx_tup_read", Value::count(own.read)),
        ("idx_tup_fetch", Value::count(own.fetched)),
    ]);
}

pub(super) fn pg_stat_database(world: &World<'_>, records: &mut Records<'_>) {
    for database in world.catalog.databases().iter() {
        let own = counts_in(world, database.oid, 0);
        let connected = world.gathered.everyone.of_database(&database.name).len();
        records.push(&[
            ("datid", database.oid.into()),
            ("datname", (&database.name).into()),
            ("numbackends", connected.into()),
            ("xact_commit", Value::count(own.commits)),
            ("xact_rollback", Value::count(own.rollbacks)),
            ("tup_returned", Value::count(own.read)),
            ("tup_fetched", Value::count(own.fetched)),
            ("tup_inserted", Value::count(own.inserted)),
            ("tup_updated", Value::count(own.updated)),
            ("tup_deleted", Value::count(own.deleted)),
            ("conflicts", Value::Int(0)),
            ("deadlocks", Value::count(own.deadlocks)),
        ]);
    }
}
