//! The catalog: what tables, columns and indexes there are, as of one catalog version.
//!
//! A [`CatalogSnapshot`] is immutable and cheap to share. Base tables are read from rows under `/sys`
//! ([`stored`] draws their keys and values); they are ordinary transactional data, written by DDL together with
//! the catalog version. System views (`pg_catalog`, `information_schema`) are descriptors without storage: the
//! snapshot is told of them when it is made and finds them by name and oid like any other table. Roles and rights
//! ([`access`]) are kept in the same way, and so are objects that are no tables ([`object`]). What is temporary stands in
//! no row: a session puts it beside the catalog that everybody sees ([`Temporary`]).

pub mod access;
pub mod building;
pub mod called;
pub mod cluster_settings;
pub mod comment;
mod constraint;
pub mod database;
pub mod defaults;
pub mod depend;
pub mod dropped;
pub mod erased;
pub mod home;
mod index;
pub mod kept;
mod layered;
pub mod named;
pub mod object;
mod overlay;
mod policy;
pub mod removal;
mod row_expression;
pub mod schedule;
mod snapshot;
pub mod spelled;
pub mod stored;
mod table;
mod temporary;
pub mod versioned;
mod view;
pub mod writer;

pub use constraint::{Action, Check, Constraints, ForeignKey};
pub use index::{
    IndexColumn, IndexConstraint, IndexDescriptor, IndexExpression, IndexId, IndexMethod, IndexOptions,
    IndexPart, IndexState,
};
pub use policy::{Policy, PolicyCommand, PolicyCondition, RowSecurity};
pub use row_expression::RowExpression;
pub use snapshot::{CatalogSnapshot, SearchPath};
pub use table::{Column, Materialised, ROW_ID_COLUMN, TableDescriptor, TableKind};
pub use temporary::{OnCommit, Temporary};
pub use view::{CheckOption, ViewColumn, ViewDescriptor, ViewOptions, ViewRelation};

/// The oid of a table, an index, a constraint, a schema.
pub type Oid = u32;

/// A column's identity within its table, never reused: `pg_attribute.attnum`, from 1. Rows store values by it.
pub type ColumnId = u32;

/// The first oid handed out to what users create, as in PostgreSQL.
pub const FIRST_USER_OID: Oid = 16384;

/// The first oid of temporary objects, which no others have: each session counts its own from here, and nobody runs out of
/// oids because sessions make temporary tables all the time.
pub const FIRST_TEMPORARY_OID: Oid = 3 << 30;

/// The oid of schema `pg_catalog`.
pub const PG_CATALOG_OID: Oid = 11;
/// The oid of schema `public`.
pub const PUBLIC_OID: Oid = 2200;
/// The oid of schema `information_schema`.
pub const INFORMATION_SCHEMA_OID: Oid = 13400;

/// The oid of schema `nunatak`.
pub const NUNATAK_OID: Oid = 13910;

/// The oid of the database that there is from the beginning for people to use: `postgres`.
pub const FIRST_DATABASE_OID: Oid = 5;

/// Names of the schemas that there are from the beginning.
pub mod schema {
    /// The system catalog.
    pub const PG_CATALOG: &str = "pg_catalog";
    /// Where users' tables are.
    pub const PUBLIC: &str = "public";
    /// The SQL standard's view of the catalog.
    pub const INFORMATION_SCHEMA: &str = "information_schema";
    /// What the cluster tells of itself.
    pub const NUNATAK: &str = "nunatak";
    /// Where a session's temporary objects are: what its own schema is called within the catalog, and may be called in
    /// statements. It is shown with a number behind it.
    pub const TEMPORARY: &str = "pg_temp";

    /// Whether a schema of this name is that of some session's temporary objects, by whichever of its names: nobody else's is
    /// called so.
    pub fn is_temporary(name: &str) -> bool {
        name.strip_prefix(TEMPORARY).is_some_and(|number| number.is_empty() || number.starts_with('_'))
    }

    /// Whether the schema is the system's, in which nobody makes anything.
    pub fn is_system(name: &str) -> bool {
        matches!(name, PG_CATALOG | INFORMATION_SCHEMA | NUNATAK)
    }
}
