//! The names that the database knows, for completion.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::connection::Connection;

/// Names of one kind that are asked for.
const NAMES_MAX: usize = 5_000;

/// A person waits no longer for the prompt.
const PATIENCE: Duration = Duration::from_secs(2);

/// Kind, name and, of a column, its table.
const QUERY: &str = "SELECT * FROM (SELECT 'r', c.relname::text, n.nspname::text FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'S', 'm', 'p') LIMIT MAX) r \
    UNION ALL SELECT * FROM (SELECT 'c', a.attname::text, c.relname::text FROM pg_catalog.pg_attribute a \
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'm', 'p') \
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') LIMIT MAX) c \
    UNION ALL SELECT * FROM (SELECT DISTINCT 'f', p.proname::text, '' FROM pg_catalog.pg_proc p LIMIT MAX) f \
    UNION ALL SELECT 'n', n.nspname::text, '' FROM pg_catalog.pg_namespace n \
    UNION ALL SELECT 'd', d.datname::text, '' FROM pg_catalog.pg_database d \
    UNION ALL SELECT 'u', r.rolname::text, '' FROM pg_catalog.pg_roles r";

/// The names.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    /// Tables, views and sequences.
    pub(super) relations: BTreeSet<String>,
    /// Columns by table.
    pub(super) columns: BTreeMap<String, BTreeSet<String>>,
    pub(super) functions: BTreeSet<String>,
    /// Relations by schema.
    pub(super) schemas: BTreeMap<String, BTreeSet<String>>,
    pub(super) databases: BTreeSet<String>,
    pub(super) roles: BTreeSet<String>,
}

impl Names {
    /// Asks the server; None if it does not answer soon, or not this.
    pub(super) async fn of(connection: &Connection) -> Option<Self> {
        let query = QUERY.replace("MAX", &NAMES_MAX.to_string());
        let Ok(answer) = env::clock::timeout(PATIENCE, connection.query(&query)).await else {
            connection.cancel().await;
            return None;
        };
        let rows = match answer {
            Ok((_, rows)) => rows,
            Err(error) => {
                tracing::debug!(%error, "no names to complete");
                return None;
            }
        };
        let mut names = Self::default();
        for row in rows {
            if let [Some(kind), Some(name), Some(place)] = row.as_slice() {
                names.add(kind, name, place);
            }
        }
        Some(names)
    }

    /// Adds a name of a kind: `r`elation, `c`olumn, `f`unction, `n`amespace, `d`atabase, `u`ser.
    pub(super) fn add(&mut self, kind: &str, name: &str, place: &str) {
        let name = name.to_owned();
        match kind {
            "r" => {
                if place != "pg_catalog" && place != "information_schema" {
                    self.relations.insert(name.clone());
                }
                self.schemas.entry(place.to_owned()).or_default().insert(name);
            }
            "c" => drop(self.columns.entry(place.to_owned()).or_default().insert(name)),
            "f" => drop(self.functions.insert(name)),
            "n" => drop(self.schemas.entry(name).or_default()),
            "d" => drop(self.databases.insert(name)),
            "u" => drop(self.roles.insert(name)),
            _ => {}
        }
    }
}
