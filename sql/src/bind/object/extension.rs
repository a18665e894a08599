//! CREATE EXTENSION: functions, operators and types that are built in come in sight.

use expr::TypeKind;

use super::{Bound, change, nothing};
use crate::bind::Binder;
use crate::catalog::schema;
use crate::error::{Error, Notice, Result};
use crate::parse::ast::Name;
use crate::plan::{ObjectChange, Target};

/// What there is, and its version: that which PostgreSQL 15 brings, or that which is followed.
const EXTENSIONS: [(&str, &str); 5] =
    [("citext", "1.6"), ("pg_trgm", "1.6"), ("pgcrypto", "1.3"), ("uuid-ossp", "1.1"), ("vector", "0.8.0")];

/// Names of what PostgreSQL brings and we do not have.
const UNSUPPORTED: [&str; 43] = [
    "adminpack",
    "amcheck",
    "autoinc",
    "bloom",
    "btree_gin",
    "btree_gist",
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
        self.check_types_brought(&name.value, &schema)?;
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

    /// Whether a function is that of an extension in this schema, and there is no other of its name.
    pub(in crate::bind) fn is_of_extension(&self, schema: &str, name: &str) -> bool {
        let functions = expr::functions::by_name(name);
        let is_there = |extension: &str| {
            self.catalog.objects().extension(extension).is_some_and(|own| own.schema == schema)
        };
        !functions.is_empty()
            && functions.iter().all(|function| function.extension.is_some())
            && functions.iter().any(|function| function.extension.is_some_and(is_there))
    }

    /// Whether a function is in sight.
    pub(in crate::bind) fn is_in_sight(&self, name: &str) -> bool {
        let functions = expr::functions::by_name(name);
        functions.is_empty() || functions.iter().any(|function| self.is_brought(function.extension))
    }

    /// That an operator is in sight: there are names that only extensions have.
    ///
    /// # Errors
    /// 42883: it is not.
    pub(in crate::bind) fn check_in_sight(
        &self,
        name: &str,
        operands: (Option<TypeKind>, TypeKind),
    ) -> Result<()> {
        let operators = expr::operators::by_name(name);
        if operators.is_empty() || operators.iter().any(|own| self.is_brought(own.function.extension)) {
            return Ok(());
        }
        let (left, right) = operands;
        let left = left.map_or(String::new(), |left| format!("{} ", left.display_name()));
        let message = format!("operator does not exist: {left}{name} {}", right.display_name());
        Err(Error::new("42883", message)
            .hint("No operator matches the given name and argument types. You might need to add explicit type casts."))
    }

    /// Whether what comes with an extension, if with any, is there.
    fn is_brought(&self, extension: Option<&str>) -> bool {
        extension.is_none_or(|extension| self.catalog.objects().extension(extension).is_some())
    }
}
