//! The catalog: what tables, columns and indexes there are, as of one catalog version.
//!
//! A [`CatalogSnapshot`] is immutable and cheap to share. Base tables are read from rows under `/sys`
//! ([`stored`] draws their keys and values); they are ordinary transactional data, written by DDL together with
//! the catalog version. System views (`pg_catalog`, `information_schema`) are descriptors without storage: the
//! snapshot is told of them when it is made and finds them by name and oid like any other table. Roles and rights
//! ([`access`]) are kept in the same way, and so are objects that are no tables ([`object`]).

pub mod access;
pub mod comment;
mod constraint;
pub mod depend;
mod index;
pub mod named;
pub mod object;
pub mod removal;
mod snapshot;
pub mod stored;
mod table;

pub use constraint::{Action, Check, Constraints, ForeignKey};
pub use index::{IndexColumn, IndexConstraint, IndexDescriptor, IndexId, IndexState};
pub use snapshot::{CatalogSnapshot, SearchPath};
pub use table::{Column, ROW_ID_COLUMN, TableDescriptor, TableKind};

/// The oid of a table, an index, a constraint, a schema.
pub type Oid = u32;

/// A column's identity within its table, never reused: `pg_attribute.attnum`, from 1. Rows store values by it.
pub type ColumnId = u32;

/// The first oid handed out to what users create, as in PostgreSQL.
pub const FIRST_USER_OID: Oid = 16384;

/// The oid of schema `pg_catalog`.
pub const PG_CATALOG_OID: Oid = 11;
/// The oid of schema `public`.
pub const PUBLIC_OID: Oid = 2200;
/// The oid of schema `information_schema`.
pub const INFORMATION_SCHEMA_OID: Oid = 13400;

/// What the one database is called: as PostgreSQL's tools expect it, and as `nunatak` connects. Another does not exist.
pub const DATABASE_NAMES: [&str; 2] = ["postgres", "nunatak"];

/// Names of the schemas that there are from the beginning.
pub mod schema {
    /// The system catalog.
    pub const PG_CATALOG: &str = "pg_catalog";
    /// Where users' tables are.
    pub const PUBLIC: &str = "public";
    /// The SQL standard's view of the catalog.
    pub const INFORMATION_SCHEMA: &str = "information_schema";
}
