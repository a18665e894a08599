//! CREATE EXTENSION: functions that are built in come in sight.

use super::{Bound, change, nothing};
use crate::bind::Binder;
use crate::catalog::object::ObjectDescriptor;
use crate::catalog::schema;
use crate::error::{Error, Notice, Result};
use crate::parse::ast::Name;
use crate::plan::{ObjectChange, Target};

/// What there is, and its version, as PostgreSQL 15 brings it.
const EXTENSIONS: [(&str, &str); 3] = [("pg_trgm", "1.6"), ("pgcrypto", "1.3"), ("uuid-ossp", "1.1")];

/// Names of what PostgreSQL brings and we do not have.
const UNSUPPORTED: [&str; 45] = [
    "adminpack",
    "amcheck",
    "autoinc",
    "bloom",
    "btree_gin",
    "btree_gist",
    "citext",
    "cube",
    "dblink",
    "dict_int",
    "dict_xsyn",
    "earthdistance",
    "file_fdw",
    "fuzzystrmatch",
    "hstore",
    "hstore_plperl",
    "hstore_plpython3u",
    "insert_username",
    "intagg",
    "intarray",
    "isn",
    "lo",
    "ltree",
    "moddatetime",
    "old_snapshot",
    "pageinspect",
    "pg_buffercache",
    "pg_freespacemap",
    "pg_prewarm",
    "pg_stat_statements",
    "pg_surgery",
    "pg_visibility",
    "pg_walinspect",
    "pgrowlocks",
    "pgstattuple",
    "plpgsql",
    "postgis",
    "postgres_fdw",
    "refint",
    "seg",
    "sslinfo",
    "tablefunc",
    "timescaledb",
    "unaccent",
    "vector",
];

impl Binder<'_> {
    pub(super) fn create_extension(
        &mut self,
        name: &Name,
        if_not_exists: bool,
        schema: Option<&Name>,
    ) -> Result<Bound> {
        if self.catalog.objects().extension(&name.value).is_some() {
            let message = format!("extension \"{}\" already exists", name.value);
            if !if_not_exists {
                return Err(Error::new("42710", message));
            }
            self.notices.push(Notice::notice("42710", format!("{message}, skipping")));
            return nothing("CREATE EXTENSION");
        }
        if UNSUPPORTED.contains(&name.value.as_str()) {
            return Err(Error::unsupported(format!("extension {}", name.value)).at(name.at));
        }
        let Some((_, version)) = EXTENSIONS.iter().find(|(own, _)| *own == name.value) else {
            let message = format!("extension \"{}\" is not available", name.value);
            return Err(Error::new("0A000", message)
                .hint("The extension must first be installed on the system where PostgreSQL is running."));
        };
        let schema = match schema {
            Some(schema) => {
                self.schema(schema)?;
                schema.value.clone()
            }
            None => {
                let first = self.settings.search_path.creation(self.catalog.objects());
                first
                    .ok_or_else(|| Error::new("3F000", "no schema has been selected to create in"))?
                    .to_owned()
            }
        };
        if self.catalog.objects().kept_schema(&schema) == schema::TEMPORARY {
            return Err(Error::unsupported("an extension in a temporary schema"));
        }
        let (name, version) = (name.value.clone(), (*version).to_owned());
        change(ObjectChange::CreateExtension { schema, name, version })
    }

    /// The extension of this name.
    pub(super) fn extension(&self, name: &Name) -> Result<Target> {
        match self.catalog.objects().extension(&name.value) {
            Some(found) => Ok(Target::Extension { oid: found.oid, name: found.name.clone() }),
            None => Err(Error::new("42704", format!("extension \"{}\" does not exist", name.value))),
        }
    }

    /// Whether a function is that of an extension in this schema.
    pub(in crate::bind) fn is_of_extension(&self, schema: &str, name: &str) -> bool {
        let mut extensions = expr::functions::by_name(name).iter().filter_map(|function| function.extension);
        let is_there = |object: &ObjectDescriptor| object.schema == schema;
        extensions
            .any(|extension| self.catalog.objects().extension(extension).is_some_and(|own| is_there(own)))
    }

    /// Whether a function is in sight.
    pub(in crate::bind) fn is_in_sight(&self, name: &str) -> bool {
        let functions = expr::functions::by_name(name);
        let is_there = |extension: &str| self.catalog.objects().extension(extension).is_some();
        functions.is_empty() || functions.iter().any(|function| function.extension.is_none_or(is_there))
    }
}
