//! SHOW TABLES and its like: queries of the system views, whose columns have CockroachDB's names.

use expr::functions::quote::{identifier, literal};

use super::{Binder, Plan};
use crate::catalog::{TableDescriptor, TableKind};
use crate::error::{Error, Result};
use crate::parse;
use crate::parse::ast::{Body, Name, ObjectKind, ShowObjects};
use crate::plan::OutputColumn;
use crate::settings::find_cluster;

const DATABASES: &str = "SELECT d.datname AS database_name, pg_catalog.pg_get_userbyid(d.datdba) AS owner \
    FROM pg_catalog.pg_database d ORDER BY 1";

const CLUSTER_SETTINGS: &str =
    "SELECT s.name AS variable, s.value, s.type, s.description FROM nunatak.cluster_settings s ORDER BY 1";

const SCHEMAS: &str = "SELECT n.nspname AS schema_name, pg_catalog.pg_get_userbyid(n.nspowner) AS owner \
    FROM pg_catalog.pg_namespace n ORDER BY 1";

/// Both go on with a condition.
const TABLES: &str = "SELECT n.nspname AS schema_name, c.relname AS table_name, CASE c.relkind WHEN 'v' THEN 'view' \
    WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' ELSE 'table' END AS type, pg_catalog.pg_get_userbyid(c.relowner) AS owner \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'v', 'm', 'S') AND ";

const SEQUENCES: &str = "SELECT n.nspname AS sequence_schema, c.relname AS sequence_name \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = 'S' AND ";

const COLUMNS: &str = "SELECT a.attname AS column_name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS data_type, \
    NOT a.attnotnull AS is_nullable, pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS column_default, \
    ARRAY(SELECT x.relname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid \
    WHERE i.indrelid = a.attrelid AND a.attnum = ANY (i.indkey) ORDER BY 1) AS indices \
    FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
    WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = ";

const INDEXES: &str = "SELECT t.relname AS table_name, x.relname AS index_name, NOT i.indisunique AS non_unique, \
    a.attnum AS seq_in_index, pg_catalog.pg_get_indexdef(i.indexrelid, a.attnum, true) AS column_name, \
    CASE WHEN (i.indoption[a.attnum - 1] & 1) = 1 THEN 'DESC' ELSE 'ASC' END AS direction, \
    a.attnum > i.indnkeyatts AS storing \
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class t ON t.oid = i.indrelid \
    JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indexrelid \
    WHERE i.indrelid = ";

impl Binder<'_> {
    /// SHOW of what the catalog holds.
    pub(super) fn show_objects(&mut self, show: &ShowObjects) -> Result<(Plan, Option<Vec<OutputColumn>>)> {
        let text = match show {
            ShowObjects::Databases => DATABASES.to_owned(),
            ShowObjects::ClusterSettings => CLUSTER_SETTINGS.to_owned(),
            ShowObjects::ClusterSetting(name) => {
                let setting = find_cluster(&name.value).map_err(|error| error.at(name.at))?;
                format!(
                    "SELECT s.value AS {} FROM nunatak.cluster_settings s WHERE s.name = {}",
                    identifier(setting.name),
                    literal(setting.name)
                )
            }
            ShowObjects::Schemas => SCHEMAS.to_owned(),
            ShowObjects::Tables(schema) => {
                format!("{TABLES}{} ORDER BY 1, 2", self.schema_condition(schema.as_ref())?)
            }
            ShowObjects::Sequences(schema) => {
                format!("{SEQUENCES}{} ORDER BY 1, 2", self.schema_condition(schema.as_ref())?)
            }
            ShowObjects::Columns(name) => format!("{COLUMNS}{} ORDER BY a.attnum", self.table(name)?.oid),
            ShowObjects::Indexes(name) => format!("{INDEXES}{} ORDER BY 2, 4", self.table(name)?.oid),
            ShowObjects::Create(kind, name) => {
                let table = self.table(name)?;
                check_kind(*kind, &table).map_err(|error| error.at(name.name.at))?;
                format!(
                    "SELECT {} AS table_name, pg_catalog.pg_get_tabledef({}) AS create_statement",
                    literal(&table.name),
                    table.oid
                )
            }
        };
        self.statement(&Body::Query(Box::new(parse::parse_query(&text)?)))
    }

    /// The condition for the schema, or for all but the system's.
    fn schema_condition(&self, schema: Option<&Name>) -> Result<String> {
        let Some(schema) = schema else {
            return Ok("n.nspname NOT IN ('pg_catalog', 'information_schema', 'nunatak')".to_owned());
        };
        self.schema(schema)?;
        Ok(format!("n.nspname = {}", literal(&schema.value)))
    }
}

fn check_kind(kind: Option<ObjectKind>, table: &TableDescriptor) -> Result<()> {
    let (fits, word) = match kind {
        Some(ObjectKind::Table) => (table.kind == TableKind::Base, "table"),
        Some(ObjectKind::View) => (table.kind == TableKind::View, "view"),
        Some(ObjectKind::MaterialisedView) => (table.kind == TableKind::Materialised, "materialized view"),
        Some(ObjectKind::Sequence) => (table.kind == TableKind::Sequence, "sequence"),
        _ => (true, ""),
    };
    if table.kind == TableKind::Virtual {
        return Err(Error::unsupported("SHOW CREATE of what the system makes"));
    }
    if fits { Ok(()) } else { Err(Error::new("42809", format!("\"{}\" is not a {word}", table.name))) }
}
