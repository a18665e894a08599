//! Statements that change the catalog, in the transaction that they stand in.
//!
//! The first of them in a transaction locks the catalog version and raises it, so that all DDL is serial and every
//! statement that was planned before is refused by the ranges and plans again. Descriptors are rows under `/sys`
//! (see [`crate::catalog::stored`]). What is dropped, truncated or rebuilt only loses its index id: its keys stay
//! behind for those who still read them, and the id is listed; once nobody can read them any more, they are deleted
//! ([`reclaim`]).

mod access;
mod alter;
mod build;
mod object;
mod reclaim;
mod store;

use std::sync::Arc;

use super::context::{Context, FreshIndexes};
use super::operators::build;
use super::rows::TableFormat;
use super::write::{InsertSink, Outcome};
use crate::catalog::access::Object;
use crate::catalog::comment::Commented;
use crate::catalog::{
    CatalogSnapshot, Constraints, ForeignKey, IndexConstraint, IndexDescriptor, IndexState, Oid,
    TableDescriptor, TableKind,
};
use crate::error::{Error, Notice, Result};
use crate::plan::{CreateIndex, CreateTable, CreateTableAs, Ddl, NO_OID, NewIndex, ObjectChange};

pub(crate) use reclaim::reclaim_dropped;
pub(crate) use store::load_catalog;

/// What a DDL statement did.
pub(crate) struct DdlOutcome {
    /// The catalog that the transaction sees from now on.
    pub(crate) catalog: CatalogSnapshot,
    /// Indexes that it created.
    pub(crate) fresh: FreshIndexes,
    /// The command tag.
    pub(crate) tag: &'static str,
    /// How many rows a new table was given, where the tag tells that instead.
    pub(crate) rows: Option<u64>,
    /// What to tell the client.
    pub(crate) notices: Vec<Notice>,
}

/// Runs a DDL statement. `raised`: whether this transaction has raised the catalog version already.
pub(crate) async fn run(cx: &mut Context<'_>, ddl: &Ddl, raised: bool) -> Result<DdlOutcome> {
    if let Ddl::Nothing { tag } = ddl {
        let catalog = CatalogSnapshot::clone(cx.catalog);
        return Ok(DdlOutcome {
            catalog,
            fresh: cx.fresh_indexes.clone(),
            tag,
            rows: None,
            notices: Vec::new(),
        });
    }
    if !raised {
        store::raise_version(cx).await?;
    }
    let frees = match ddl {
        Ddl::Object(change) => matches!(change, ObjectChange::Drop { .. }),
        Ddl::Truncate(_) => true,
        // What goes is not written anew.
        Ddl::AlterTable(alter) => !alter.reads_rows() && alter.to.indexes.len() < alter.from.indexes.len(),
        _ => false,
    };
    if frees {
        cx.transaction.frees_space();
    }
    let mut change = Change {
        catalog: CatalogSnapshot::clone(cx.catalog),
        fresh: cx.fresh_indexes.clone(),
        notices: Vec::new(),
        rows: None,
        cx,
    };
    let tag = match ddl {
        Ddl::Nothing { tag } => tag,
        Ddl::CreateTable(create) => change.create_table(create).await?,
        Ddl::CreateTableAs(create) => change.create_table_as(create).await?,
        Ddl::Truncate(truncate) => {
            for table in &truncate.tables {
                change.truncate(table).await?;
                if truncate.restart {
                    change.restart_sequences(table.oid).await?;
                }
            }
            "TRUNCATE TABLE"
        }
        Ddl::CreateIndex(create) => change.create_index(create).await?,
        Ddl::AlterTable(alter) => change.alter_table(alter).await?,
        Ddl::Object(object) => change.object(object).await?,
        Ddl::Access(access) => change.access(access).await?,
    };
    let Change { catalog, fresh, notices, rows, .. } = change;
    Ok(DdlOutcome { catalog, fresh, tag, rows, notices })
}

/// A change of the catalog under way.
struct Change<'a, 'b> {
    catalog: CatalogSnapshot,
    fresh: FreshIndexes,
    notices: Vec<Notice>,
    rows: Option<u64>,
    cx: &'a mut Context<'b>,
}

impl Change<'_, '_> {
    async fn create_table(&mut self, create: &CreateTable) -> Result<&'static str> {
        let mut indexes = Vec::with_capacity(create.indexes.len());
        let oid = self.oid().await?;
        for index in &create.indexes {
            indexes.push(self.index_descriptor(index).await?);
        }
        let mut checks = create.checks.clone();
        for check in &mut checks {
            check.oid = self.oid().await?;
        }
        let mut foreign_keys = create.foreign_keys.clone();
        for key in &mut foreign_keys {
            key.oid = self.oid().await?;
            refer_to_own(key, oid, &indexes)?;
        }
        let next_column_id =
            create.columns.iter().map(|column| column.id).max().unwrap_or(0).saturating_add(1);
        let mut table = TableDescriptor {
            oid,
            schema: create.schema.clone(),
            name: create.name.clone(),
            kind: TableKind::Base,
            columns: create.columns.clone(),
            indexes,
            constraints: Constraints { checks, foreign_keys },
            next_column_id,
            schema_version: 1,
        };
        self.create_column_sequences(&mut table, &create.sequences).await?;
        self.put_table(table)?;
        self.own(Object::Table(oid), None)?;
        Ok("CREATE TABLE")
    }

    async fn create_table_as(&mut self, create: &CreateTableAs) -> Result<&'static str> {
        self.create_table(&create.create).await?;
        let Some(source) = &create.source else { return Ok("CREATE TABLE AS") };
        let made = self.catalog.table(&create.create.schema, &create.create.name).cloned();
        let made = made.ok_or_else(|| Error::internal("a table that was made is not there"))?;
        let mut sink = InsertSink::plain(TableFormat::new(&made)?, Arc::default());
        let mut rows = build(source)?;
        let mut outcome = Outcome::default();
        while let Some(batch) = rows.next(self.cx).await? {
            sink.write(self.cx, batch, &mut outcome).await?;
        }
        self.rows = Some(outcome.count);
        Ok("CREATE TABLE AS")
    }

    fn drop_table(&mut self, table: &TableDescriptor) -> Result<()> {
        for index in &table.indexes {
            store::note_dropped(self.cx, index.id);
            self.forget_comments(Commented::RELATION, index.oid);
        }
        for (constraint, _) in table.constraint_names() {
            self.forget_comments(Commented::CONSTRAINT, constraint);
        }
        self.forget_comments(Commented::RELATION, table.oid);
        store::delete_table(self.cx, table.oid);
        self.catalog = self.catalog.without_table(table.oid);
        self.disown(Object::Table(table.oid));
        Ok(())
    }

    async fn truncate(&mut self, table: &TableDescriptor) -> Result<()> {
        let mut table = table.clone();
        for index in &mut table.indexes {
            store::note_dropped(self.cx, index.id);
            index.id = self.index_id().await?;
        }
        self.put_table(changed(table))
    }

    async fn create_index(&mut self, create: &CreateIndex) -> Result<&'static str> {
        self.check_isolation(&create.table, "CREATE INDEX")?;
        let index = self.index_descriptor(&create.index).await?;
        let mut table = TableDescriptor::clone(&create.table);
        table.indexes.push(index.clone());
        let table = changed(table);
        build::fill_index(self.cx, &TableFormat::new(&Arc::new(table.clone()))?, index.id).await?;
        self.put_table(table)?;
        Ok("CREATE INDEX")
    }

    /// Reading all rows of a table that others write needs a transaction that proves at its end that it missed none.
    fn check_isolation(&self, table: &TableDescriptor, statement: &str) -> Result<()> {
        let is_fresh = table.primary().is_some_and(|primary| self.fresh.contains(primary.id));
        if is_fresh || self.cx.isolation == client::Isolation::Serializable {
            return Ok(());
        }
        Err(Error::unsupported(format!(
            "{statement} on an existing table in a transaction block that is not SERIALIZABLE"
        ))
        .hint("Run it outside of a transaction block, or begin with ISOLATION LEVEL SERIALIZABLE."))
    }

    async fn index_descriptor(&mut self, index: &NewIndex) -> Result<IndexDescriptor> {
        let oid = self.oid().await?;
        let id = self.index_id().await?;
        let constraint = if index.kind.is_constraint() {
            let primary_key = index.kind.is_primary();
            Some(IndexConstraint { oid: self.oid().await?, primary_key })
        } else {
            None
        };
        Ok(IndexDescriptor {
            oid,
            id,
            name: index.name.clone(),
            primary: index.kind.is_primary(),
            unique: index.kind.is_unique(),
            columns: index.columns.clone(),
            constraint,
            state: IndexState::Public,
        })
    }

    async fn oid(&mut self) -> Result<Oid> {
        let id = self.cx.client.allocate_ids("oid", 1).await?;
        u32::try_from(id).map_err(|_| Error::new("54000", "oids are exhausted"))
    }

    async fn index_id(&mut self) -> Result<u64> {
        let id = self.cx.client.allocate_ids("index", 1).await?;
        let id = id.saturating_add(keys::sql::SYSTEM_INDEX_IDS);
        self.fresh.insert(id);
        Ok(id)
    }

    fn put_table(&mut self, table: TableDescriptor) -> Result<()> {
        store::put_table(self.cx, &table)?;
        self.catalog = self.catalog.with_table(Arc::new(table));
        Ok(())
    }
}

/// Gives a foreign key that references its own table the oids that it lacks.
fn refer_to_own(key: &mut ForeignKey, own: Oid, indexes: &[IndexDescriptor]) -> Result<()> {
    if key.parent == NO_OID {
        key.parent = own;
    }
    if key.parent_index == NO_OID {
        let fits = |index: &&IndexDescriptor| {
            let columns = &key.parent_columns;
            index.unique
                && index.columns.len() == columns.len()
                && index.columns.iter().all(|own| columns.contains(&own.column))
        };
        let index = indexes.iter().find(fits);
        key.parent_index = index.ok_or_else(|| Error::internal("a foreign key references no key"))?.oid;
    }
    Ok(())
}

fn changed(mut table: TableDescriptor) -> TableDescriptor {
    table.schema_version = table.schema_version.saturating_add(1);
    table
}
