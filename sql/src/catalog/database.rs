//! The databases of a cluster, as of one catalog version.
//!
//! ```text
//! key   = index key of the catalog's index of databases: column oid, suffix 0
//! value = protobuf DatabaseRecord
//!         version = 1            a reader refuses what is newer than it knows
//!         oid, name, flags, connection limit
//! ```
//!
//! The three of the beginning have no row until they are changed.

use std::collections::BTreeMap;

use bytes::Bytes;
use keys::Span;
use prost::Message;

use super::home::Home;
use super::{FIRST_DATABASE_OID, Oid};
use crate::error::{Error, Result};

/// The index id under which the rows of databases stand.
const DATABASES: u64 = 33;

/// The newest version of a row that this code reads, and the one it writes.
const VERSION: u32 = 1;

/// `template1`: what CREATE DATABASE copies if nothing else is said.
pub const TEMPLATE1_OID: Oid = 1;

/// The name by which the first database is known as well, unless a database is called so.
pub const FIRST_DATABASE_ALIAS: &str = "nunatak";

/// A database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Its identity.
    pub oid: Oid,
    /// Its name.
    pub name: String,
    /// Whoever may make databases may copy it.
    pub is_template: bool,
    /// One can connect to it.
    pub allows_connections: bool,
    /// So many connections at once; -1: as many as there may be.
    pub connection_limit: i32,
}

impl Database {
    /// A new one.
    pub fn new(oid: Oid, name: &str) -> Self {
        let name = name.to_owned();
        Self { oid, name, is_template: false, allows_connections: true, connection_limit: -1 }
    }
}

/// All databases.
#[derive(Debug, Clone)]
pub struct Databases(BTreeMap<Oid, Database>);

impl Default for Databases {
    fn default() -> Self {
        let template1 = Database { is_template: true, ..Database::new(TEMPLATE1_OID, "template1") };
        let template0 =
            Database { is_template: true, allows_connections: false, ..Database::new(4, "template0") };
        let first = Database::new(FIRST_DATABASE_OID, "postgres");
        Self([template1, template0, first].into_iter().map(|database| (database.oid, database)).collect())
    }
}

impl Databases {
    /// All of them, by oid.
    pub fn iter(&self) -> impl Iterator<Item = &Database> {
        self.0.values()
    }

    /// The one of this oid.
    pub fn get(&self, oid: Oid) -> Option<&Database> {
        self.0.get(&oid)
    }

    /// The one of this name.
    pub fn named(&self, name: &str) -> Option<&Database> {
        self.0.values().find(|database| database.name == name)
    }

    /// The one that a client means by this name.
    pub fn meant(&self, name: &str) -> Option<&Database> {
        let first = || (name == FIRST_DATABASE_ALIAS).then(|| self.get(FIRST_DATABASE_OID)).flatten();
        self.named(name).or_else(first)
    }

    /// Adds one, or puts it in place of the one with its oid.
    pub fn put(&mut self, database: Database) {
        self.0.insert(database.oid, database);
    }

    /// Removes one.
    pub fn remove(&mut self, oid: Oid) {
        self.0.remove(&oid);
    }

    /// Takes a row. XX001 if it is damaged, 0A000 if it is newer than this code.
    pub fn take(&mut self, value: &[u8]) -> Result<()> {
        let record = DatabaseRecord::decode(value).map_err(|why| {
            Error::new("XX001", format!("the catalog's row of a database is damaged: {why}"))
        })?;
        if record.version > VERSION {
            let version = record.version;
            let message = format!("a row of a database was written by a newer version (format {version})");
            return Err(Error::new("0A000", message));
        }
        self.put(Database {
            oid: record.oid,
            name: record.name,
            is_template: record.is_template,
            allows_connections: record.allows_connections,
            connection_limit: record.connection_limit,
        });
        Ok(())
    }
}

/// The key of a database's row.
pub fn key(oid: Oid) -> Bytes {
    Home::FIRST.key(DATABASES, &[oid])
}

/// The keys of all rows of databases.
pub fn span() -> Span {
    Home::FIRST.span(DATABASES)
}

/// The value of a database's row.
pub fn encode(database: &Database) -> Bytes {
    let Database { oid, name, is_template, allows_connections, connection_limit } = database.clone();
    let record =
        DatabaseRecord { version: VERSION, oid, name, is_template, allows_connections, connection_limit };
    record.encode_to_vec().into()
}

#[derive(Clone, PartialEq, Message)]
struct DatabaseRecord {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(uint32, tag = "2")]
    oid: u32,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(bool, tag = "4")]
    is_template: bool,
    #[prost(bool, tag = "5")]
    allows_connections: bool,
    #[prost(sint32, tag = "6")]
    connection_limit: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_change_what_was_there_from_the_beginning() {
        let mut databases = Databases::default();
        assert_eq!(databases.meant("nunatak").map(|database| database.oid), Some(FIRST_DATABASE_OID));
        let renamed = Database { connection_limit: 3, ..Database::new(FIRST_DATABASE_OID, "main") };
        databases.take(&encode(&renamed)).unwrap();
        databases.take(&encode(&Database::new(20_000, "nunatak"))).unwrap();
        assert_eq!(databases.named("main"), Some(&renamed));
        assert_eq!(databases.named("postgres"), None);
        assert_eq!(databases.meant("nunatak").map(|database| database.oid), Some(20_000));
        assert!(databases.take(b"\xff").is_err());
    }
}
