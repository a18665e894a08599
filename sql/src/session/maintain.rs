//! VACUUM and ANALYZE.
//!
//! There is nothing to vacuum: old versions are given back by themselves. ANALYZE looks through tables by transactions of its own:
//! it sees what is committed, and what it has found holds at once.

use std::sync::Arc;

use env::clock::Instant;

use super::Session;
use super::run::guard;
use super::transaction::Block;
use crate::catalog::access::Object;
use crate::catalog::{CatalogSnapshot, ColumnId, TableDescriptor, TableKind};
use crate::error::{Cause, Error, Notice, Result};
use crate::execute::analyze::analyze;
use crate::plan::Maintain;

/// So often a table is looked through anew because the schema has changed meanwhile.
const ATTEMPTS_MAX: usize = 10;

impl Session {
    /// Runs it; its tag.
    pub(super) async fn maintain(
        &mut self,
        maintain: &Maintain,
        catalog: &Arc<CatalogSnapshot>,
        deadline: Option<Instant>,
    ) -> Result<&'static str> {
        let (tag, verb) = if maintain.vacuum { ("VACUUM", "vacuum") } else { ("ANALYZE", "analyze") };
        if maintain.vacuum && self.transaction.block != Block::Idle {
            return Err(Error::new("25001", "VACUUM cannot run inside a transaction block"));
        }
        let mut permitted = Vec::new();
        for (table, columns) in tables(maintain, catalog) {
            let name = &table.name;
            if !self.may_maintain(catalog, &table)? {
                let who = match table.schema.as_str() {
                    "pg_catalog" => "superuser or database owner",
                    _ => "table or database owner",
                };
                let message = format!("skipping \"{name}\" --- only {who} can {verb} it");
                self.notify(Notice::warning("01000", message));
            } else if !table.kind.is_stored() && table.kind != TableKind::Virtual {
                let message =
                    format!("skipping \"{name}\" --- cannot {verb} non-tables or special system tables");
                self.notify(Notice::warning("01000", message));
            } else if table.kind.is_stored() {
                permitted.push((table, columns));
            }
        }
        if !maintain.analyze {
            return Ok(tag);
        }
        // Of what its own transaction has made of the catalog nobody else knows.
        if self.transaction.open.as_ref().is_some_and(|open| open.raised) {
            for (table, _) in permitted {
                let message = format!(
                    "skipping \"{}\" --- this transaction has changed the schema, and is not committed yet",
                    table.name
                );
                self.notify(Notice::warning("01000", message));
            }
            return Ok(tag);
        }
        for (table, columns) in permitted {
            self.analyze(table, &columns, catalog.clone(), deadline).await?;
        }
        Ok(tag)
    }

    /// Looks through a table. Where the schema changes meanwhile, of whatever, it begins anew, if there still is the table and it is
    /// still its to look after.
    async fn analyze(
        &mut self,
        mut table: Arc<TableDescriptor>,
        columns: &[ColumnId],
        mut catalog: Arc<CatalogSnapshot>,
        deadline: Option<Instant>,
    ) -> Result<()> {
        let (engine, cancel) = (self.engine.clone(), self.cancel.clone());
        for _ in 0..ATTEMPTS_MAX {
            let mut memory = engine.statement_memory();
            let analyzed = analyze(engine.client(), &table, columns, catalog.version(), &mut memory);
            match guard(&cancel, deadline, analyzed).await {
                Err(error) if error.cause() == Cause::StaleCatalog => {}
                done => {
                    if let Some(primary) = table.primary() {
                        engine.forget_size(primary.id);
                    }
                    return done;
                }
            }
            catalog = guard(&cancel, deadline, engine.refresh_catalog(self.database)).await?;
            let Some(found) = catalog.table_by_oid(table.oid).cloned() else { return Ok(()) };
            if !found.kind.is_stored() || !self.may_maintain(&catalog, &found)? {
                return Ok(());
            }
            table = found;
        }
        let message = format!("could not analyze \"{}\": the schema keeps changing", table.name);
        Err(Error::new("40001", message))
    }

    /// Whether a table, or the database, is of who acts.
    pub(super) fn may_maintain(&self, catalog: &CatalogSnapshot, table: &TableDescriptor) -> Result<bool> {
        let access = catalog.access();
        let Some(role) = access.role_named(&self.context.current_user) else {
            return Err(Error::internal("nobody acts"));
        };
        let powers = access.powers(role.oid);
        let database = Object::Database(self.database);
        Ok(access.owns(&powers, Object::of(table)) || access.owns(&powers, database))
    }
}

/// The tables that are looked after, each with the columns that are looked at.
fn tables(maintain: &Maintain, catalog: &CatalogSnapshot) -> Vec<(Arc<TableDescriptor>, Vec<ColumnId>)> {
    if let Some(tables) = &maintain.tables {
        return tables.clone();
    }
    let stored = catalog.tables().filter(|table| table.kind.is_stored());
    let whole = |table: &Arc<TableDescriptor>| {
        (table.clone(), table.visible().map(|(_, column)| column.id).collect())
    };
    stored.map(whole).collect()
}
