//! CREATE INDEX by itself, or a unique constraint, on a table of some size: a series of transactions, beside which others read and
//! write the table.
//!
//! 1. The index gets its record: from then on all writes maintain it, and nothing reads it.
//! 2. What the table holds becomes its entries.
//! 3. Of a unique one it is found out whether that were all keys, and each once.
//! 4. It is public.
//!
//! Why that is right: [`online`](crate::execute::ddl). What fails on the way, or is cancelled, takes the record away again; where
//! that cannot be done at once, or nobody is left to do it, another gateway does so after a while.

use std::sync::Arc;
use std::time::Duration;

use client::{Isolation, ScanOptions, Transaction, TransactionOptions};
use env::clock;
use keys::sql::TENANT_DEFAULT;

use super::Session;
use super::portal::{CommandTag, Portal};
use super::run::guard;
use super::transaction::{Block, Modes};
use crate::catalog::building::Build;
use crate::catalog::{CatalogSnapshot, TableDescriptor};
use crate::error::{Cause, Error, Result};
use crate::execute::ddl::{self, Record, SignsOfLife};
use crate::plan::CreateIndex;

/// So often the rows are read anew because the schema has changed before the first was.
const ATTEMPTS_MAX: u32 = 10;

/// How long whoever has given up waits until the record is taken away.
const ABANDON_PATIENCE: Duration = Duration::from_secs(10);

/// How an index that is being built is read for, or compared.
#[derive(Clone, Copy)]
enum Work {
    /// Rows become entries at this timestamp.
    Fill(u64),
    /// Rows are compared with entries.
    Compare,
}

impl Session {
    /// Whether an index is built beside others' statements: by a statement by itself, on a table that everybody sees, unless
    /// little is to be read.
    pub(super) async fn builds_beside(&mut self, portal: &Portal, create: &CreateIndex) -> Result<bool> {
        if self.transaction.block != Block::Idle || create.table.is_temporary() {
            return Ok(false);
        }
        let bytes = self.engine.options().ingest_bytes_min;
        if bytes == 0 {
            return Ok(true);
        }
        let (Some(primary), Some(open)) = (create.table.primary(), &mut self.transaction.open) else {
            return Ok(false);
        };
        let span = keys::sql::index_span(TENANT_DEFAULT, primary.id);
        let page = ScanOptions { rows_max: 0, bytes_max: bytes, reverse: false };
        let kv = &mut open.kv;
        let look = async {
            let page = kv.scan_unrelied(span, page).await?;
            Ok::<_, Error>(page.resume.is_some())
        };
        guard(&self.cancel.clone(), portal.deadline, look).await
    }

    /// Builds it.
    pub(super) async fn build_beside(
        &mut self,
        portal: &Portal,
        create: &CreateIndex,
        tag: &'static str,
    ) -> Result<CommandTag> {
        let (mut holder, at) = self.hold_history(portal).await?;
        let begun = self.begin_build(portal, create).await;
        let build = match begun {
            Ok(build) => build,
            Err(error) => {
                holder.rollback().await;
                return Err(error);
            }
        };
        let signs = SignsOfLife::of(self.engine.client().clone(), build.clone());
        // From here on the statement is not run again: what failed for good fails, whatever others do.
        let finished = self.finish_build(portal, create, &build, at).await;
        let finished = finished.map_err(|error| error.cause_is(Cause::Statement));
        drop(signs);
        let ended = match finished {
            Ok(Record::Public) => Ok(()),
            Ok(Record::Gone) => Err(ddl::gone(&create.index.name)),
            Err(error) => self.give_up_build(&build, error).await,
        };
        holder.rollback().await;
        // Where it cannot be read now, the next statement reads it.
        let _ = self.engine.refresh_catalog(self.database).await;
        ended.map(|()| CommandTag::Plain(tag))
    }

    /// A transaction that has history kept from a timestamp on as long as it is open. The statement's transaction begins
    /// after that.
    async fn hold_history(&mut self, portal: &Portal) -> Result<(Transaction, u64)> {
        let (cancel, deadline, engine) = (self.cancel.clone(), portal.deadline, self.engine.clone());
        let planned = self.transaction.open.as_ref().map(|open| open.catalog.version());
        let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
        let mut holder = engine.client().begin(options);
        let at = guard(&cancel, deadline, async { Ok::<_, Error>(holder.read_timestamp().await?) }).await?;
        guard(&cancel, deadline, self.reopen()).await?;
        let begun = self.transaction.open.as_mut().map(|open| {
            open.kv.begin_statement();
            open.catalog.version()
        });
        if begun != planned {
            return Err(Error::new("40001", "the catalog has changed").cause_is(Cause::StaleCatalog));
        }
        Ok((holder, at))
    }

    /// Makes the record.
    async fn begin_build(&mut self, portal: &Portal, create: &CreateIndex) -> Result<Build> {
        if let Some(open) = &mut self.transaction.open {
            open.holds_catalog = true;
        }
        let (cancel, deadline) = (self.cancel.clone(), portal.deadline);
        let (mut values, mut memory) = (Vec::new(), self.statement_memory());
        let mut cx = self.make_context(&mut values, &mut memory)?;
        let (outcome, build) = guard(&cancel, deadline, ddl::begin_index(&mut cx, create)).await?;
        self.take_ddl(outcome);
        self.complete_statement().await?;
        Ok(build)
    }

    /// Fills the index, and makes it public.
    async fn finish_build(
        &mut self,
        portal: &Portal,
        create: &CreateIndex,
        build: &Build,
        at: u64,
    ) -> Result<Record> {
        let (cancel, deadline, engine) = (self.cancel.clone(), portal.deadline, self.engine.clone());
        let client = engine.client();
        self.work_on(portal, build, Work::Fill(at)).await?;
        if create.index.kind.is_unique() {
            guard(&cancel, deadline, ddl::fence(client, build)).await?;
            let span = keys::sql::index_span(TENANT_DEFAULT, build.index);
            let is_unchanged = async {
                let now = client.timestamp().await?.timestamp;
                Ok::<_, Error>(client.is_unchanged(&span, at, now).await?)
            };
            if !guard(&cancel, deadline, is_unchanged).await? {
                self.work_on(portal, build, Work::Compare).await?;
            }
        }
        guard(&cancel, deadline, ddl::publish(client, build)).await
    }

    /// Does work over the table as it is by now; nothing, where the index is no more the one that is being filled.
    async fn work_on(&mut self, portal: &Portal, build: &Build, work: Work) -> Result<()> {
        let (cancel, deadline, engine) = (self.cancel.clone(), portal.deadline, self.engine.clone());
        let mut attempt = 0;
        loop {
            let catalog = guard(&cancel, deadline, engine.refresh_catalog(self.database)).await?;
            let Some(table) = catalog.table_by_oid(build.table).cloned() else { return Ok(()) };
            if !table.indexes.iter().any(|index| index.id == build.index) {
                return Ok(());
            }
            let done = self.work_under(portal, catalog, &table, build, work).await;
            self.rollback(Block::Idle).await;
            attempt += 1;
            match done {
                Err(error) if error.cause() == Cause::StaleCatalog && attempt < ATTEMPTS_MAX => {}
                done => return done,
            }
        }
    }

    async fn work_under(
        &mut self,
        portal: &Portal,
        catalog: Arc<CatalogSnapshot>,
        table: &Arc<TableDescriptor>,
        build: &Build,
        work: Work,
    ) -> Result<()> {
        let (cancel, deadline) = (self.cancel.clone(), portal.deadline);
        let isolation = Isolation::RepeatableRead;
        self.open_under(
            catalog,
            Modes { isolation, uncommitted: false, read_only: true, deferrable: false, only_reads: true },
            0,
        );
        let (mut values, mut memory) = (Vec::new(), self.statement_memory());
        let mut cx = self.make_context(&mut values, &mut memory)?;
        match work {
            Work::Fill(at) => guard(&cancel, deadline, ddl::fill_beside(&mut cx, table, build, at)).await,
            Work::Compare => guard(&cancel, deadline, ddl::compare_beside(&mut cx, table, build)).await,
        }
    }

    /// Takes the record away. Where the index has become public before it was noticed that it should not, it stays.
    async fn give_up_build(&mut self, build: &Build, error: Error) -> Result<()> {
        let engine = self.engine.clone();
        match clock::timeout(ABANDON_PATIENCE, ddl::abandon(engine.client(), build)).await {
            Ok(Ok(Record::Public)) => Ok(()),
            Ok(Ok(Record::Gone)) => Err(error),
            Ok(Err(failure)) => {
                tracing::warn!(index = build.index, %failure, "an index is left to be taken away later");
                Err(error)
            }
            Err(_) => {
                tracing::warn!(
                    index = build.index,
                    "an index is left to be taken away later: no answer in time"
                );
                Err(error)
            }
        }
    }
}
