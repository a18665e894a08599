//! Commands that begin with a backslash.

use super::Shell;
use super::printing::print_rows;
use crate::failure::Failure;
use crate::output::{errln, outln};

const HELP: &str = "  \\d            list tables and sequences
  \\d NAME       describe a table: its columns and indexes
  \\dt           list tables
  \\l            list databases
  \\du           list roles
  \\i FILE       run the statements in a file
  \\timing       print how long each statement takes, or stop doing so
  \\conninfo     where this shell is connected
  \\q            leave (also Ctrl-D)
  \\?            this help
Statements end with a semicolon and may span lines. Ctrl-C cancels a running statement.";

/// Tables and what else has rows, outside of the system's schemas.
const RELATIONS: &str = "SELECT n.nspname AS \"Schema\", c.relname AS \"Name\", \
    CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' END AS \"Type\" \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema' AND c.relkind IN (KINDS) ORDER BY 1, 2";

/// What came of a command.
pub(super) enum Outcome {
    /// It is done.
    Done,
    /// It went wrong, and the person has been told.
    Failed,
    /// The person leaves.
    Leave,
}

impl Shell {
    /// Runs a command that begins with a backslash.
    pub(super) async fn run_meta(&mut self, command: &str) -> Outcome {
        let command = command.trim_end_matches(';');
        let (name, argument) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let argument = argument.trim();
        let outcome = match name {
            "\\q" => return Outcome::Leave,
            "\\?" | "\\h" | "\\help" => {
                outln!("{HELP}");
                Ok(())
            }
            "\\timing" => {
                self.timing = match argument {
                    "on" => true,
                    "off" => false,
                    _ => !self.timing,
                };
                outln!("Timing is {}.", if self.timing { "on" } else { "off" });
                Ok(())
            }
            "\\conninfo" => {
                outln!("{}", self.connection.prompt().trim_end_matches("=> "));
                Ok(())
            }
            "\\d" if !argument.is_empty() => self.describe(argument).await,
            "\\d" => self.list(&RELATIONS.replace("KINDS", "'r', 'v', 'S'")).await,
            "\\dt" => self.list(&RELATIONS.replace("KINDS", "'r'")).await,
            "\\l" => self.list("SELECT datname AS \"Name\" FROM pg_catalog.pg_database ORDER BY 1").await,
            "\\du" => self.list("SELECT rolname AS \"Role name\" FROM pg_catalog.pg_roles ORDER BY 1").await,
            "\\i" => return self.include(argument).await,
            _ => {
                errln!("{name} is no command of this shell; \\? lists them.");
                Err(Failure::Told)
            }
        };
        match outcome {
            Ok(()) => Outcome::Done,
            Err(failure) => {
                if let Some(line) = failure.line() {
                    errln!("{line}");
                }
                Outcome::Failed
            }
        }
    }

    async fn list(&self, sql: &str) -> Result<(), Failure> {
        let (names, rows) = self.connection.query(sql).await?;
        print_rows(&names, rows);
        Ok(())
    }

    /// Columns, then indexes.
    async fn describe(&self, name: &str) -> Result<(), Failure> {
        let (schema, table) = name.split_once('.').unwrap_or(("", name));
        let table = literal(&identifier(table));
        let mut found = format!(
            "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = {table} AND "
        );
        if schema.is_empty() {
            found.push_str("pg_catalog.pg_table_is_visible(c.oid)");
        } else {
            found.push_str(&format!("n.nspname = {}", literal(&identifier(schema))));
        }
        let (_, relations) = self.connection.query(&found).await?;
        let Some([Some(oid), Some(schema), Some(table)]) = relations.first().map(Vec::as_slice) else {
            errln!("Did not find any relation named \"{name}\".");
            return Err(Failure::Told);
        };
        outln!("Table \"{schema}.{table}\"");
        let columns = format!(
            "SELECT a.attname AS \"Column\", pg_catalog.format_type(a.atttypid, a.atttypmod) AS \"Type\", \
             CASE WHEN a.attnotnull THEN 'not null' ELSE '' END AS \"Nullable\", \
             pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) AS \"Default\" \
             FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d \
             ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
             WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
        );
        self.list(&columns).await?;
        let indexes = format!(
            "SELECT c.relname, i.indisprimary, i.indisunique, pg_catalog.pg_get_indexdef(i.indexrelid) \
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
             WHERE i.indrelid = {oid} ORDER BY i.indisprimary DESC, c.relname"
        );
        let (_, indexes) = self.connection.query(&indexes).await?;
        if !indexes.is_empty() {
            outln!("Indexes:");
        }
        for index in indexes {
            let [Some(name), Some(primary), Some(unique), definition] = index.as_slice() else { continue };
            let kind = match (primary.as_str(), unique.as_str()) {
                ("t", _) => "PRIMARY KEY, ",
                (_, "t") => "UNIQUE, ",
                _ => "",
            };
            let definition = definition.as_deref().unwrap_or_default();
            let method = definition.split_once(" USING ").map_or(definition, |(_, method)| method);
            outln!("    \"{name}\" {kind}{method}");
        }
        outln!();
        Ok(())
    }

    async fn include(&mut self, path: &str) -> Outcome {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                if Box::pin(self.run_text(&text)).await {
                    Outcome::Done
                } else {
                    Outcome::Failed
                }
            }
            Err(error) => {
                errln!("cannot read {path}: {error}");
                Outcome::Failed
            }
        }
    }
}

/// A name as the catalog has it: as quoted, or in small letters.
fn identifier(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.to_lowercase(),
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
