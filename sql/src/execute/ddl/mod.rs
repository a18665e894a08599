//! Statements that change the catalog, in the transaction that they stand in.
//!
//! The first of them in a transaction locks the catalog version and raises it, so that all DDL is serial and every
//! statement that was planned before is refused by the ranges and plans again. Descriptors are rows under `/sys`
//! (see [`crate::catalog::stored`]). What is dropped, truncated or rebuilt only loses its index id: its keys stay
//! behind for those who still read them, and the id is listed; once nobody can read them any more, they are deleted
//! ([`reclaim`]).

mod access;
mod build;
mod reclaim;
mod store;

use std::sync::Arc;

use super::context::{Context, FreshIndexes};
use super::rows::TableFormat;
use crate::catalog::{
    CatalogSnapshot, Column, IndexConstraint, IndexDescriptor, IndexState, Oid, TableDescriptor, TableKind,
};
use crate::error::{Error, Notice, Result};
use crate::plan::{AddPrimaryKey, CreateIndex, CreateTable, Ddl, DropIndexes, NewIndex};

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
    /// What to tell the client.
    pub(crate) notices: Vec<Notice>,
}

/// Runs a DDL statement. `raised`: whether this transaction has raised the catalog version already.
pub(crate) async fn run(cx: &mut Context<'_>, ddl: &Ddl, raised: bool) -> Result<DdlOutcome> {
    if let Ddl::Nothing { tag } = ddl {
        let catalog = CatalogSnapshot::clone(cx.catalog);
        return Ok(DdlOutcome { catalog, fresh: cx.fresh_indexes.clone(), tag, notices: Vec::new() });
    }
    if !raised {
        store::raise_version(cx).await?;
    }
    if matches!(ddl, Ddl::DropTables(_) | Ddl::Truncate(_) | Ddl::DropIndexes(_)) {
        cx.transaction.frees_space();
    }
    let mut change = Change {
        catalog: CatalogSnapshot::clone(cx.catalog),
        fresh: cx.fresh_indexes.clone(),
        notices: Vec::new(),
        cx,
    };
    let tag = match ddl {
        Ddl::Nothing { tag } => tag,
        Ddl::CreateTable(create) => change.create_table(create).await?,
        Ddl::DropTables(drop) => drop.tables.iter().try_fold("DROP TABLE", |tag, table| {
            change.drop_table(table)?;
            Ok::<_, Error>(tag)
        })?,
        Ddl::Truncate(truncate) => {
            for table in &truncate.tables {
                change.truncate(table).await?;
            }
            "TRUNCATE TABLE"
        }
        Ddl::CreateIndex(create) => change.create_index(create).await?,
        Ddl::DropIndexes(drop) => change.drop_indexes(drop)?,
        Ddl::AddPrimaryKey(add) => change.add_primary_key(add).await?,
        Ddl::Access(access) => change.access(access).await?,
    };
    Ok(DdlOutcome { catalog: change.catalog, fresh: change.fresh, tag, notices: change.notices })
}

/// A change of the catalog under way.
struct Change<'a, 'b> {
    catalog: CatalogSnapshot,
    fresh: FreshIndexes,
    notices: Vec<Notice>,
    cx: &'a mut Context<'b>,
}

impl Change<'_, '_> {
    async fn create_table(&mut self, create: &CreateTable) -> Result<&'static str> {
        let mut indexes = Vec::with_capacity(create.indexes.len());
        let oid = self.oid().await?;
        for index in &create.indexes {
            indexes.push(self.index_descriptor(index).await?);
        }
        let next_column_id =
            create.columns.iter().map(|column| column.id).max().unwrap_or(0).saturating_add(1);
        let table = TableDescriptor {
            oid,
            schema: create.schema.clone(),
            name: create.name.clone(),
            kind: TableKind::Base,
            columns: create.columns.clone(),
            indexes,
            next_column_id,
            schema_version: 1,
        };
        self.put_table(table)?;
        self.own_table(oid)?;
        Ok("CREATE TABLE")
    }

    fn drop_table(&mut self, table: &TableDescriptor) -> Result<()> {
        for index in &table.indexes {
            store::note_dropped(self.cx, index.id);
        }
        store::delete_table(self.cx, table.oid);
        self.catalog = self.catalog.without_table(table.oid);
        self.disown_table(table.oid);
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
        self.check_isolation(&create.table, create.command())?;
        let index = self.index_descriptor(&create.index).await?;
        let mut table = TableDescriptor::clone(&create.table);
        table.indexes.push(index.clone());
        let table = changed(table);
        build::fill_index(self.cx, &TableFormat::new(&Arc::new(table.clone()))?, index.id).await?;
        self.put_table(table)?;
        Ok(create.command())
    }

    fn drop_indexes(&mut self, drop: &DropIndexes) -> Result<&'static str> {
        for (table, oid) in &drop.indexes {
            // An index dropped before in this statement has changed the table meanwhile.
            let current = self.catalog.table_by_oid(table.oid).unwrap_or(table);
            let mut table = TableDescriptor::clone(current);
            if let Some(index) = table.indexes.iter().find(|index| index.oid == *oid) {
                store::note_dropped(self.cx, index.id);
            }
            table.indexes.retain(|index| index.oid != *oid);
            self.put_table(changed(table))?;
        }
        Ok("DROP INDEX")
    }

    async fn add_primary_key(&mut self, add: &AddPrimaryKey) -> Result<&'static str> {
        self.check_isolation(&add.table, "ALTER TABLE ... ADD PRIMARY KEY")?;
        let mut table = TableDescriptor::clone(&add.table);
        let primary = self.index_descriptor(&add.index).await?;
        let mut indexes = vec![primary];
        for index in table.secondary() {
            // Entries hold the primary key, so all of them are written anew.
            indexes.push(IndexDescriptor { id: self.index_id().await?, ..index.clone() });
        }
        for index in std::mem::replace(&mut table.indexes, indexes) {
            store::note_dropped(self.cx, index.id);
        }
        let keys: Vec<_> = add.index.columns.iter().map(|key| key.column).collect();
        table.columns.retain(|column| !column.hidden);
        for column in &mut table.columns {
            column.not_null |= keys.contains(&column.id);
        }
        let table = Arc::new(changed(table));
        build::move_rows(self.cx, &add.table, &table).await?;
        self.put_table(TableDescriptor::clone(&table))?;
        Ok("ALTER TABLE")
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

fn changed(mut table: TableDescriptor) -> TableDescriptor {
    table.schema_version = table.schema_version.saturating_add(1);
    table
}

/// The columns of a table as DDL left them; for checks of rows that move.
fn not_null_columns(table: &TableDescriptor) -> impl Iterator<Item = (usize, &Column)> {
    table.columns.iter().enumerate().filter(|(_, column)| column.not_null)
}
