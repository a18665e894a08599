//! Statements that change the catalog, in the transaction that they stand in.
//!
//! The first of them in a transaction locks the catalog version and raises it, so that all DDL is serial and every
//! statement that was planned before is refused by the ranges and plans again. Descriptors are rows under `/sys`
//! (see [`crate::catalog::stored`]). What is dropped, truncated or rebuilt only loses its index id: its keys stay
//! behind for those who still read them, and the id is listed; once nobody can read them any more, they are deleted
//! ([`reclaim`]).
//!
//! A change of a session's temporary objects writes no row of the catalog and raises no version ([`own`]).

mod access;
mod alter;
mod backup;
mod build;
mod clones;
mod erase;
mod fill;
mod kept;
mod object;
mod online;
mod own;
mod pages;
mod reclaim;
mod sorted_pairs;
mod store;
mod undrop;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use client::{Isolation, TransactionOptions};
use expr::SessionContext;

use super::context::{Context, FreshIndexes};
use super::operators::build_counted;
use super::rows::TableFormat;
use super::write::{InsertSink, Outcome};
use crate::bind;
use crate::catalog::access::Object;
use crate::catalog::building::Build;
use crate::catalog::comment::Commented;
use crate::catalog::{
    CatalogSnapshot, Constraints, FIRST_TEMPORARY_OID, ForeignKey, IndexConstraint, IndexDescriptor,
    IndexState, Oid, OnCommit, RowSecurity, TableDescriptor, TableKind, stored,
};
use crate::error::{Error, Notice, Result};
use crate::plan::{
    CreateIndex, CreateTable, CreateTableAs, Ddl, NO_OID, NewComment, NewIndex, Node, ObjectChange, Refresh,
    Reindex,
};

pub(crate) use self::backup::{
    How, Restore, Restored, Take, Taken, all_schedules, read_key, restore_backup, run_schedules,
    scheduled_of, take_backup,
};
pub(crate) use clones::way_back;
pub(crate) use erase::{Erasure, erase_history, erased_indexes};
pub(crate) use kept::{check_said, check_told, said, tell_kept};
pub(crate) use online::{Record, SignsOfLife, abandon, fence, gone, publish, watch_builds};
pub(crate) use own::{drop_own, end_at_commit};
pub(crate) use reclaim::reclaim_dropped;
pub(crate) use store::load_catalog;

/// What a DDL statement did.
pub(crate) struct DdlOutcome {
    /// The catalog that the transaction sees from now on.
    pub(crate) catalog: CatalogSnapshot,
    /// Indexes that it created.
    pub(crate) fresh: FreshIndexes,
    /// Whether the catalog that everybody sees has changed with it.
    pub(crate) raised: bool,
    /// The command tag.
    pub(crate) tag: &'static str,
    /// How many rows a new table was given, where the tag tells that instead.
    pub(crate) rows: Option<u64>,
    /// What to tell the client.
    pub(crate) notices: Vec<Notice>,
}

/// Whether a statement changes the catalog that everybody sees.
pub(crate) fn raises(ddl: &Ddl) -> bool {
    !matches!(ddl, Ddl::Nothing { .. }) && !own::is_of_own(ddl)
}

/// Runs a DDL statement. `raised`: whether this transaction has raised the catalog version already.
pub(crate) async fn run(cx: &mut Context<'_>, ddl: &Ddl, raised: bool) -> Result<DdlOutcome> {
    if let Ddl::Nothing { tag } = ddl {
        let catalog = CatalogSnapshot::clone(cx.catalog);
        return Ok(DdlOutcome {
            catalog,
            fresh: cx.fresh_indexes.clone(),
            raised,
            tag,
            rows: None,
            notices: Vec::new(),
        });
    }
    let raises = raises(ddl);
    if raises && !raised {
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
    let raised = raised || raises;
    let mut change = Change::new(cx, raised);
    let tag = match ddl {
        Ddl::Nothing { tag } => tag,
        Ddl::CreateTable(create) => change.create_table(create).await?,
        Ddl::CreateTableAs(create) => change.create_table_as(create).await?,
        Ddl::Truncate(truncate) => {
            for (place, table) in truncate.tables.iter().enumerate() {
                if place >= truncate.named {
                    let message = format!("truncate cascades to table \"{}\"", table.name);
                    change.notices.push(Notice::notice("00000", message));
                }
                change.check_settled(table, "TRUNCATE")?;
            }
            for table in &truncate.tables {
                change.truncate(table).await?;
                if truncate.restart {
                    change.restart_sequences(table.oid).await?;
                }
            }
            "TRUNCATE TABLE"
        }
        Ddl::CreateIndex(create) => change.create_index(create).await?,
        Ddl::Reindex(reindex) => change.reindex(reindex).await?,
        Ddl::Refresh(refresh) => change.refresh(refresh).await?,
        Ddl::AlterTable(alter) => change.alter_table(alter).await?,
        Ddl::Object(object) => change.object(object).await?,
        Ddl::Access(access) => change.access(access).await?,
    };
    change.finish(tag)
}

/// Makes the record of an index that is to be built beside others' statements: from the commit on all writes maintain it, and
/// nothing reads it. The catalog version is not raised yet.
pub(crate) async fn begin_index(cx: &mut Context<'_>, create: &CreateIndex) -> Result<(DdlOutcome, Build)> {
    store::raise_version(cx).await?;
    let mut change = Change::new(cx, true);
    let build = change.begin_index(create).await?;
    Ok((change.finish("CREATE INDEX")?, build))
}

/// Fills such an index, of a table as it is now, with entries at `at`, a timestamp from before its record.
pub(crate) async fn fill_beside(
    cx: &mut Context<'_>,
    table: &Arc<TableDescriptor>,
    build: &Build,
    at: u64,
) -> Result<()> {
    let format = TableFormat::new(table)?;
    let reader = cx.client.begin(TransactionOptions {
        isolation: Isolation::RepeatableRead,
        read_only: true,
        catalog_version: cx.catalog.version(),
        ..TransactionOptions::default()
    });
    let pages = pages::Pages::read_by(reader, format.primary.id);
    fill::fill_maintained(cx, &format, build.index, pages, at).await
}

/// Finds out whether such an index, of a table as it is now, has an entry for each row.
///
/// # Errors
/// 23505: two rows have, or have had, one key.
pub(crate) async fn compare_beside(
    cx: &mut Context<'_>,
    table: &Arc<TableDescriptor>,
    build: &Build,
) -> Result<()> {
    fill::compare(cx, &TableFormat::new(table)?, build.index).await
}

/// A change of the catalog under way.
struct Change<'a, 'b> {
    catalog: CatalogSnapshot,
    fresh: FreshIndexes,
    notices: Vec<Notice>,
    rows: Option<u64>,
    /// Whether the catalog version is raised: rows of the catalog may be written.
    raised: bool,
    /// The temporary objects and their parts: nothing about them is written.
    temporary: BTreeSet<Oid>,
    /// Whether rows of the catalog were to be written before that.
    astray: bool,
    /// The transaction is about to commit, and what it owes is settled.
    ends: bool,
    cx: &'a mut Context<'b>,
}

impl<'a, 'b> Change<'a, 'b> {
    fn new(cx: &'a mut Context<'b>, raised: bool) -> Self {
        Self {
            catalog: CatalogSnapshot::clone(cx.catalog),
            fresh: cx.fresh_indexes.clone(),
            notices: Vec::new(),
            rows: None,
            raised,
            temporary: own::parts(cx.catalog),
            astray: false,
            ends: false,
            cx,
        }
    }

    fn finish(self, tag: &'static str) -> Result<DdlOutcome> {
        let Change { catalog, fresh, notices, rows, raised, astray, .. } = self;
        if astray {
            return Err(Error::internal("a change of temporary objects would change those of all"));
        }
        Ok(DdlOutcome { catalog, fresh, raised, tag, rows, notices })
    }

    /// Writes a row of the catalog.
    fn put(&mut self, key: Bytes, value: Bytes) {
        match self.raised {
            true => self.cx.transaction.put(key, value),
            false => self.astray = true,
        }
    }

    /// Deletes a row of the catalog.
    fn delete(&mut self, key: Bytes) {
        match self.raised {
            true => self.cx.transaction.delete(key),
            false => self.astray = true,
        }
    }
}

impl Change<'_, '_> {
    async fn create_table(&mut self, create: &CreateTable) -> Result<&'static str> {
        self.make_own_schema(&create.schema).await?;
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
            kind: if create.materialised.is_some() { TableKind::Materialised } else { TableKind::Base },
            columns: create.columns.clone(),
            indexes,
            constraints: Constraints { checks, foreign_keys },
            row_security: RowSecurity::default(),
            materialised: create.materialised.clone(),
            audit: create.audit,
            next_column_id,
            schema_version: 1,
        };
        self.note_own(&table);
        self.create_column_sequences(&mut table, &create.sequences).await?;
        for (on, text) in &create.comments {
            let on = match on {
                NewComment::Column(column) => {
                    Some(Commented { class: Commented::RELATION, oid, column: *column })
                }
                NewComment::Constraint(name) => table.constraint_named(name).map(|oid| Commented {
                    class: Commented::CONSTRAINT,
                    oid,
                    column: 0,
                }),
            };
            if let Some(on) = on {
                self.put_comment(on, Some(text));
            }
        }
        self.put_table(table)?;
        self.own(Object::Table(oid), None)?;
        self.catalog = self.catalog.with_on_commit(oid, create.on_commit);
        Ok("CREATE TABLE")
    }

    async fn create_table_as(&mut self, create: &CreateTableAs) -> Result<&'static str> {
        self.create_table(&create.create).await?;
        let tag = match create.create.materialised {
            Some(_) => "CREATE MATERIALIZED VIEW",
            None => "CREATE TABLE AS",
        };
        let Some(source) = &create.source else { return Ok(tag) };
        let made = self.catalog.table(&create.create.schema, &create.create.name).cloned();
        let made = made.ok_or_else(|| Error::internal("a table that was made is not there"))?;
        self.rows = Some(write_rows(self.cx, &made, source).await?);
        Ok(tag)
    }

    /// Gives a materialised view new rows, under new index ids; its indexes are filled from them.
    async fn refresh(&mut self, refresh: &Refresh) -> Result<&'static str> {
        let mut table = TableDescriptor::clone(&refresh.table);
        for index in &mut table.indexes {
            self.give_up_of(false, table.oid, index.id);
            self.renew(index).await?;
        }
        if let Some(materialised) = &mut table.materialised {
            materialised.is_populated = refresh.source.is_some();
        }
        let table = self.settled(changed(table));
        if let Some(source) = &refresh.source {
            let mut bare = table.clone();
            bare.indexes.retain(|index| index.primary);
            // As its owner's: whatever whoever refreshes it may see.
            let owner = self.session_of_owner(&table);
            write_rows(&mut self.cx.within(&owner), &Arc::new(bare), source).await?;
            let format = TableFormat::new(&Arc::new(table.clone()))?;
            for index in table.secondary() {
                fill::fill_index(self.cx, &format, index.id).await?;
            }
        }
        self.put_table(table)?;
        Ok("REFRESH MATERIALIZED VIEW")
    }

    /// The session, as if the owner of a relation was the user.
    fn session_of_owner(&self, relation: &TableDescriptor) -> SessionContext {
        let access = self.catalog.access();
        let owner = access.role(access.object(Object::of(relation)).owner);
        let mut session = self.cx.session.clone();
        session.current_user = owner.map_or(session.current_user, |owner| owner.name.as_str().into());
        session
    }

    /// 55006 if rows of a table owe foreign keys something that is judged at the commit.
    fn check_settled(&mut self, table: &TableDescriptor, statement: &str) -> Result<()> {
        if self.ends {
            return Ok(());
        }
        // As it was before the statement: a key that goes with the table has what is owed to it until then.
        if !self.cx.deferred.is_owed_by(table.oid, self.cx.catalog) {
            return Ok(());
        }
        // The statement fails, but the client is told what it had come to.
        self.cx.warnings.append(&mut self.notices);
        let message = format!("cannot {statement} \"{}\" because it has pending trigger events", table.name);
        Err(Error::new("55006", message))
    }

    fn drop_table(&mut self, table: &TableDescriptor) -> Result<()> {
        self.check_settled(table, "DROP TABLE")?;
        for index in &table.indexes {
            self.give_up_index(table.is_temporary(), table.oid, index.id);
            self.forget_comments(Commented::RELATION, index.oid);
        }
        for (constraint, _) in table.constraint_names() {
            self.forget_comments(Commented::CONSTRAINT, constraint);
        }
        self.forget_comments(Commented::RELATION, table.oid);
        if !table.is_temporary() {
            self.delete(stored::table_key(self.catalog.home(), table.oid));
        }
        self.catalog =
            self.catalog.with_on_commit(table.oid, OnCommit::PreserveRows).without_table(table.oid);
        self.disown(Object::Table(table.oid));
        Ok(())
    }

    async fn truncate(&mut self, table: &TableDescriptor) -> Result<()> {
        let mut table = table.clone();
        let is_temporary = table.is_temporary();
        for index in &mut table.indexes {
            self.give_up_index(is_temporary, table.oid, index.id);
            self.renew(index).await?;
        }
        self.put_table(changed(table))
    }

    /// Gives an index that is to be filled anew another id, under which it holds whatever rows there are once the
    /// transaction commits: be it being built at this moment or not.
    pub(super) async fn renew(&mut self, index: &mut IndexDescriptor) -> Result<()> {
        index.id = self.index_id().await?;
        index.state = IndexState::Public;
        Ok(())
    }

    async fn create_index(&mut self, create: &CreateIndex) -> Result<&'static str> {
        self.check_settled(&create.table, "CREATE INDEX")?;
        self.check_isolation(&create.table, "CREATE INDEX")?;
        let index = self.index_descriptor(&create.index).await?;
        let mut table = TableDescriptor::clone(&create.table);
        table.indexes.push(index.clone());
        let table = self.settled(changed(table));
        fill::fill_index(self.cx, &TableFormat::new(&Arc::new(table.clone()))?, index.id).await?;
        self.put_table(table)?;
        Ok("CREATE INDEX")
    }

    async fn begin_index(&mut self, create: &CreateIndex) -> Result<Build> {
        self.check_settled(&create.table, "CREATE INDEX")?;
        let index = self.index_descriptor(&create.index).await?;
        let build = Build {
            index: index.id,
            database: self.catalog.database_oid(),
            table: create.table.oid,
            oid: index.oid,
            signs: 0,
        };
        let mut table = TableDescriptor::clone(&create.table);
        table.indexes.push(IndexDescriptor { state: IndexState::WriteOnly, ..index });
        let table = self.settled(changed(table));
        self.put(build.key(), build.encode());
        self.put_table(table)?;
        Ok(build)
    }

    /// Fills indexes anew, under new ids. An index that holds rows holds nothing that could be wrong but them.
    async fn reindex(&mut self, reindex: &Reindex) -> Result<&'static str> {
        for (table, oids) in &reindex.indexes {
            self.check_settled(table, "REINDEX TABLE")?;
            self.check_isolation(table, "REINDEX")?;
            let mut table = TableDescriptor::clone(table);
            let (mut filled, is_temporary) = (Vec::new(), table.is_temporary());
            for index in table.indexes.iter_mut().filter(|index| !index.primary && oids.contains(&index.oid))
            {
                self.give_up_of(is_temporary, table.oid, index.id);
                self.renew(index).await?;
                filled.push(index.id);
            }
            if filled.is_empty() {
                continue;
            }
            let table = self.settled(changed(table));
            let format = TableFormat::new(&Arc::new(table.clone()))?;
            for index in filled {
                fill::fill_index(self.cx, &format, index).await?;
            }
            self.put_table(table)?;
        }
        Ok("REINDEX")
    }

    /// Reading all rows of a table that others write needs a transaction that proves at its end that it missed none.
    fn check_isolation(&self, table: &TableDescriptor, statement: &str) -> Result<()> {
        let is_fresh = table.primary().is_some_and(|primary| self.fresh.contains(primary.id));
        // Nobody else writes rows of what is temporary.
        if is_fresh || table.is_temporary() || self.cx.isolation == Isolation::Serializable {
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
            options: index.options.clone(),
            constraint,
            state: IndexState::Public,
        })
    }

    async fn oid(&mut self) -> Result<Oid> {
        if !self.raised {
            return self.holder()?.oid();
        }
        let id = self.cx.client.allocate_ids("oid", 1).await?;
        let oid = u32::try_from(id).ok().filter(|oid| *oid < FIRST_TEMPORARY_OID);
        oid.ok_or_else(|| Error::new("54000", "oids are exhausted"))
    }

    async fn index_id(&mut self) -> Result<u64> {
        let id = match self.raised {
            true => {
                let new = self.fresh.len().saturating_add(1);
                kept::check_new(self.cx.client, self.catalog.home(), new).await?;
                self.cx.client.allocate_ids("index", 1).await?
            }
            false => self.holder()?.index_id(self.cx.client).await?,
        };
        let id = id.saturating_add(keys::sql::SYSTEM_INDEX_IDS);
        self.fresh.insert(id);
        Ok(id)
    }

    /// What the indexes of a table are made of means what it means for the columns as they are.
    fn settled(&self, table: TableDescriptor) -> TableDescriptor {
        bind::settle_indexes(table, &self.catalog)
    }

    fn put_table(&mut self, table: TableDescriptor) -> Result<()> {
        if table.is_temporary() {
            self.keep_table(&table)?;
        } else {
            self.check_lasting(&table)?;
            self.put(stored::table_key(self.catalog.home(), table.oid), stored::encode_table(&table)?);
        }
        let table = self.settled(table);
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
            let is_whole = index.is_plain() && index.state == IndexState::Public;
            let own = index.plain_columns().filter(|_| index.unique && is_whole);
            own.is_some_and(|own| own.len() == columns.len() && own.iter().all(|own| columns.contains(own)))
        };
        let index = indexes.iter().find(fits);
        key.parent_index = index.ok_or_else(|| Error::internal("a foreign key references no key"))?.oid;
    }
    Ok(())
}

/// Writes the rows of a new table; how many there are.
async fn write_rows(cx: &mut Context<'_>, table: &Arc<TableDescriptor>, source: &Node) -> Result<u64> {
    let mut sink = InsertSink::plain(TableFormat::new(table)?, Arc::default());
    let mut rows = build_counted(source, cx.analysis.truths.as_ref())?;
    let mut outcome = Outcome::default();
    while let Some(batch) = rows.next(cx).await? {
        sink.write(cx, batch, &mut outcome).await?;
    }
    Ok(outcome.count)
}

fn changed(mut table: TableDescriptor) -> TableDescriptor {
    table.schema_version = table.schema_version.saturating_add(1);
    table
}
