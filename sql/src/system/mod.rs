//! System views: `pg_catalog` and `information_schema` as tables that are made up from the real catalog.
//!
//! `columns.txt` lists the views with PostgreSQL's oids, columns and types (of types that do not exist here, the nearest
//! that does). A view whose rows come from what Nunatak does not have (triggers, policies, publications, …) is truly
//! empty. Functions that answer from the catalog (`pg_table_is_visible`, `format_type`, …) are in [`functions`].

mod activity;
mod advisory;
mod built_in;
mod cluster;
mod columns;
mod constraints;
mod create;
mod deparse;
mod domains;
mod functions;
mod gathered;
mod information;
mod inner;
mod made;
mod notifications;
mod operator_classes;
mod operators;
mod policies;
mod privileges;
mod record;
mod regproc;
mod relations;
mod roles;
mod sequences;
mod sessions;
mod sizes;
mod sleep;
mod statistics;
mod types;
mod updatable;
mod usage;
mod whole;
mod zones;

use std::sync::Arc;

use expr::{Row, SessionContext};

use crate::catalog::{CatalogSnapshot, PG_CATALOG_OID, TableDescriptor};
use crate::error::Result;
use crate::settings::Settings;
use record::Records;

pub(crate) use columns::tables;
pub(crate) use functions::{Beside, SessionCatalog};
pub(crate) use gathered::{Gathered, Informants};
pub(crate) use sessions::{Shown, ShownCursor, ShownLock, ShownStatement};
pub(crate) use sizes::{Sizes, tells as tells_sizes, tells_history};

/// What the views are made up from.
pub(crate) struct World<'a> {
    /// The catalog.
    pub(crate) catalog: &'a CatalogSnapshot,
    /// The session's settings.
    pub(crate) settings: &'a Settings,
    /// The session.
    pub(crate) session: &'a SessionContext,
    /// What the session shows of itself.
    pub(crate) shown: &'a Shown,
    /// What only the cluster can tell.
    pub(crate) gathered: Gathered,
}

impl World<'_> {
    /// What the schema that something is in is called.
    fn schema<'a>(&'a self, kept: &'a str) -> &'a str {
        self.catalog.objects().shown_schema(kept)
    }

    /// The schema that something built in is in: that of the extension that it comes with, if with any. None while that is
    /// not there.
    fn namespace(&self, extension: Option<&str>) -> Option<u32> {
        let Some(name) = extension else { return Some(PG_CATALOG_OID) };
        let objects = self.catalog.objects();
        objects.schema_oid(&objects.extension(name)?.schema)
    }
}
pub(crate) use whole::shown_key;

/// The oid of the role that owns what nobody has made.
const OWNER_OID: u32 = crate::catalog::access::BOOTSTRAP_OID;
/// `pg_am`: tables.
const AM_HEAP_OID: u32 = 2;
/// `pg_am`: indexes.
const AM_BTREE_OID: u32 = 403;
const AM_HASH_OID: u32 = 405;
/// `pg_language`: what is built in.
const LANGUAGE_INTERNAL_OID: u32 = 12;
/// `pg_language`: SQL.
const LANGUAGE_SQL_OID: u32 = 14;
/// `pg_collation`: default.
const COLLATION_DEFAULT_OID: u32 = 100;
/// `pg_collation`: C.
const COLLATION_C_OID: u32 = 950;
/// `pg_collation`: POSIX.
const COLLATION_POSIX_OID: u32 = 951;

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
        ("pg_catalog", "pg_stats") => statistics::pg_stats(world, &mut records),
        ("pg_catalog", "pg_tables") => relations::pg_tables(world, &mut records),
        ("pg_catalog", "pg_indexes") => relations::pg_indexes(world, &mut records),
        ("pg_catalog", "pg_type") => types::pg_type(world, &mut records),
        ("pg_catalog", "pg_extension") => cluster::pg_extension(world, &mut records),
        ("pg_catalog", "pg_enum") => types::pg_enum(world, &mut records),
        ("pg_catalog", "pg_range") => types::pg_range(world, &mut records),
        ("pg_catalog", "pg_cast") => types::pg_cast(world, &mut records),
        ("pg_catalog", "pg_proc") => {
            types::pg_proc(world, &mut records);
            inner::pg_proc(world, &mut records);
            made::pg_proc(world, &mut records);
        }
        ("pg_catalog", "pg_database") => cluster::pg_database(world, &mut records),
        ("pg_catalog", "pg_policy") => policies::pg_policy(world, &mut records),
        ("pg_catalog", "pg_policies") => policies::pg_policies(world, &mut records),
        ("pg_catalog", "pg_roles") => roles::pg_roles(world, &mut records),
        ("pg_catalog", "pg_authid") => roles::pg_authid(world, &mut records),
        ("pg_catalog", "pg_default_acl") => roles::pg_default_acl(world, &mut records),
        ("pg_catalog", "pg_auth_members") => roles::pg_auth_members(world, &mut records),
        ("pg_catalog", "pg_db_role_setting") => roles::pg_db_role_setting(world, &mut records),
        ("pg_catalog", "pg_user") => roles::pg_user(world, &mut records),
        ("pg_catalog", "pg_timezone_names") => zones::pg_timezone_names(world, &mut records),
        ("pg_catalog", "pg_opclass") => operator_classes::pg_opclass(world, &mut records),
        ("pg_catalog", "pg_opfamily") => operator_classes::pg_opfamily(world, &mut records),
        ("pg_catalog", "pg_group") => roles::pg_group(world, &mut records),
        ("pg_catalog", "pg_operator") => operators::pg_operator(world, &mut records),
        ("pg_catalog", "pg_am") => cluster::pg_am(&mut records),
        ("pg_catalog", "pg_tablespace") => cluster::pg_tablespace(&mut records),
        ("pg_catalog", "pg_language") => cluster::pg_language(&mut records),
        ("pg_catalog", "pg_collation") => cluster::pg_collation(&mut records),
        ("pg_catalog", "pg_settings") => cluster::pg_settings(world, &mut records),
        ("pg_catalog", "pg_description") => relations::pg_description(world, &mut records),
        ("pg_catalog", "pg_shdescription") => relations::pg_shdescription(world, &mut records),
        ("pg_catalog", "pg_matviews") => relations::pg_matviews(world, &mut records),
        ("pg_catalog", "pg_views") => relations::pg_views(world, &mut records),
        ("pg_catalog", "pg_rewrite") => relations::pg_rewrite(world, &mut records),
        ("information_schema", "views") => information::views(world, &mut records),
        ("pg_catalog", "pg_depend") => relations::pg_depend(world, &mut records),
        ("pg_catalog", "pg_sequence") => sequences::pg_sequence(world, &mut records),
        ("pg_catalog", "pg_sequences") => sequences::pg_sequences(world, &mut records),
        ("information_schema", "sequences") => sequences::sequences(world, &mut records),
        ("pg_catalog", "pg_stat_activity") => activity::pg_stat_activity(world, &mut records),
        ("pg_catalog", "pg_locks") => {
            activity::pg_locks(world, &mut records);
            advisory::pg_locks(world, &mut records);
        }
        ("pg_catalog", "pg_stat_database") => usage::pg_stat_database(world, &mut records),
        ("pg_catalog", name) if usage::shows(name) => usage::show(name, world, &mut records),
        ("pg_catalog", "pg_stat_statements") => activity::pg_stat_statements(world, &mut records),
        ("nunatak", "sessions") => activity::sessions(world, &mut records),
        ("nunatak", "transactions") => activity::transactions(world, &mut records),
        ("nunatak", "jobs") => activity::jobs(world, &mut records),
        ("nunatak", "nodes") => whole::nodes(world, &mut records),
        ("nunatak", "ranges") => whole::ranges(world, &mut records),
        ("nunatak", "cluster_settings") => whole::cluster_settings(world, &mut records),
        ("nunatak", "settings") => whole::settings(world, &mut records),
        ("pg_catalog", "pg_prepared_statements") => sessions::pg_prepared_statements(world, &mut records),
        ("pg_catalog", "pg_cursors") => sessions::pg_cursors(world, &mut records),
        ("information_schema", "information_schema_catalog_name") => {
            information::information_schema_catalog_name(world, &mut records);
        }
        ("information_schema", "collations") => information::collations(world, &mut records),
        ("information_schema", "tables") => information::tables(world, &mut records),
        ("information_schema", "columns") => information::columns(world, &mut records),
        ("information_schema", "column_column_usage") => {
            information::column_column_usage(world, &mut records);
        }
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

/// The tables that users and the system have, with their visible columns alone.
fn is_base(table: &Arc<TableDescriptor>) -> bool {
    table.kind == crate::catalog::TableKind::Base
}
