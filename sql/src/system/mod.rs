//! System views: `pg_catalog` and `information_schema` as tables that are made up from the real catalog.
//!
//! `columns.txt` lists the views with PostgreSQL's oids, columns and types (of types that do not exist here, the nearest
//! that does). A view whose rows come from what Nunatak does not have (triggers, policies, publications, …) is truly
//! empty. Functions that answer from the catalog (`pg_table_is_visible`, `format_type`, …) are in [`functions`].

mod cluster;
mod columns;
mod constraints;
mod deparse;
mod functions;
mod information;
mod privileges;
mod record;
mod relations;
mod roles;
mod sequences;
mod sizes;
mod types;

use std::collections::BTreeMap;
use std::sync::Arc;

use expr::{Row, SessionContext};

use crate::catalog::{CatalogSnapshot, Oid, TableDescriptor};
use crate::error::Result;
use crate::settings::Settings;
use record::Records;

pub(crate) use columns::tables;
pub(crate) use functions::SessionCatalog;
pub(crate) use sizes::{Sizes, tells as tells_sizes};

/// What the views are made up from.
pub(crate) struct World<'a> {
    /// The catalog.
    pub(crate) catalog: &'a CatalogSnapshot,
    /// The session's settings.
    pub(crate) settings: &'a Settings,
    /// The session.
    pub(crate) session: &'a SessionContext,
    /// The last numbers of sequences, where they are asked for.
    pub(crate) last_values: BTreeMap<Oid, i64>,
}

/// The oid of the role that owns what nobody has made.
const OWNER_OID: u32 = crate::catalog::access::BOOTSTRAP_OID;
/// The oid of the database: there is one.
const DATABASE_OID: u32 = 5;
/// `pg_am`: tables.
const AM_HEAP_OID: u32 = 2;
/// `pg_am`: indexes.
const AM_BTREE_OID: u32 = 403;
/// `pg_language`: what is built in.
const LANGUAGE_INTERNAL_OID: u32 = 12;
/// `pg_collation`: default.
const COLLATION_DEFAULT_OID: u32 = 100;
/// `pg_collation`: C.
const COLLATION_C_OID: u32 = 950;

/// The rows of a view, all columns each.
pub(crate) fn rows(view: &TableDescriptor, world: &World<'_>) -> Result<Vec<Row>> {
    let mut records = Records::new(view);
    match (view.schema.as_str(), view.name.as_str()) {
        ("pg_catalog", "pg_class") => relations::pg_class(world, &mut records),
        ("pg_catalog", "pg_namespace") => relations::pg_namespace(world, &mut records),
        ("pg_catalog", "pg_attribute") => relations::pg_attribute(world, &mut records),
        ("pg_catalog", "pg_index") => relations::pg_index(world, &mut records),
        ("pg_catalog", "pg_constraint") => constraints::pg_constraint(world, &mut records),
        ("pg_catalog", "pg_attrdef") => relations::pg_attrdef(world, &mut records),
        ("pg_catalog", "pg_tables") => relations::pg_tables(world, &mut records),
        ("pg_catalog", "pg_indexes") => relations::pg_indexes(world, &mut records),
        ("pg_catalog", "pg_type") => types::pg_type(&mut records),
        ("pg_catalog", "pg_cast") => types::pg_cast(&mut records),
        ("pg_catalog", "pg_proc") => types::pg_proc(&mut records),
        ("pg_catalog", "pg_database") => cluster::pg_database(world, &mut records),
        ("pg_catalog", "pg_roles") => roles::pg_roles(world, &mut records),
        ("pg_catalog", "pg_authid") => roles::pg_authid(world, &mut records),
        ("pg_catalog", "pg_auth_members") => roles::pg_auth_members(world, &mut records),
        ("pg_catalog", "pg_user") => roles::pg_user(world, &mut records),
        ("pg_catalog", "pg_am") => cluster::pg_am(&mut records),
        ("pg_catalog", "pg_tablespace") => cluster::pg_tablespace(&mut records),
        ("pg_catalog", "pg_language") => cluster::pg_language(&mut records),
        ("pg_catalog", "pg_collation") => cluster::pg_collation(&mut records),
        ("pg_catalog", "pg_settings") => cluster::pg_settings(world, &mut records),
        ("pg_catalog", "pg_description") => relations::pg_description(world, &mut records),
        ("pg_catalog", "pg_shdescription") => relations::pg_shdescription(world, &mut records),
        ("pg_catalog", "pg_views") => relations::pg_views(world, &mut records),
        ("pg_catalog", "pg_rewrite") => relations::pg_rewrite(world, &mut records),
        ("information_schema", "views") => information::views(world, &mut records),
        ("pg_catalog", "pg_depend") => relations::pg_depend(world, &mut records),
        ("pg_catalog", "pg_sequence") => sequences::pg_sequence(world, &mut records),
        ("pg_catalog", "pg_sequences") => sequences::pg_sequences(world, &mut records),
        ("information_schema", "sequences") => sequences::sequences(world, &mut records),
        ("information_schema", "tables") => information::tables(world, &mut records),
        ("information_schema", "columns") => information::columns(world, &mut records),
        ("information_schema", "schemata") => information::schemata(world, &mut records),
        ("information_schema", "table_constraints") => constraints::table_constraints(world, &mut records),
        ("information_schema", "key_column_usage") => constraints::key_column_usage(world, &mut records),
        ("information_schema", "check_constraints") => constraints::check_constraints(world, &mut records),
        ("information_schema", "referential_constraints") => {
            constraints::referential_constraints(world, &mut records);
        }
        ("information_schema", "constraint_column_usage") => {
            constraints::constraint_column_usage(world, &mut records);
        }
        _ => {}
    }
    records.finish()
}

/// Whether a view shows the last numbers of sequences.
pub(crate) fn shows_last_values(view: &TableDescriptor) -> bool {
    view.name == "pg_sequences"
}

/// The tables that users and the system have, with their visible columns alone.
fn is_base(table: &Arc<TableDescriptor>) -> bool {
    table.kind == crate::catalog::TableKind::Base
}
