//! From a statement to a plan, under the right catalog.
//!
//! The catalog that a gateway has cached may be out of date. What was planned under it is refused by the ranges
//! (StaleCatalog) and planned again; what could not even be bound, because a table is not there, is bound again after
//! the catalog was read anew.

use std::sync::Arc;
use std::time::Duration;

use env::clock::{self, Instant};
use env::task::boxed;
use env::trace;
use expr::TypeKind;
use futures::FutureExt as _;
use parking_lot::Mutex;

use super::portal::Portal;
use super::prepared::{Planned, Prepared, Statement, StatementKind, changed_columns, kind_of, same_columns};
use super::run::guard;
use super::{Session, prepared};
use crate::bind;
use crate::catalog::{CatalogSnapshot, IndexId};
use crate::error::{Cause, Error, Result};
use crate::execute::{PointExecution, table_then, traits_of};
use crate::moment;
use crate::optimise::{self, TableSizes};
use crate::plan::audited::Audited;
use crate::plan::budget::PlanSize;
use crate::plan::{Plan, SessionCommand};
use crate::system;

/// What the syntax tree of a statement takes for each byte of its text, about.
const TREE_BYTES_PER_BYTE: usize = 8;

/// So often is looked whether the tables of a plan have grown.
const WEIGHED_EVERY: Duration = Duration::from_secs(60);

/// Whether the statement was cancelled or its time is up.
fn is_over(error: &Error) -> bool {
    error.sqlstate == "57014"
}

impl Session {
    /// The catalog that the next statement is planned under: the one that the transaction has pinned, else the newest
    /// that was seen.
    async fn planning_catalog(&mut self) -> Result<Arc<CatalogSnapshot>> {
        match &self.transaction.open {
            Some(open) => Ok(open.catalog.clone()),
            None => {
                let shared = self.engine.catalog(&mut self.newest, self.database).await?;
                Ok(self.own.beside(&shared, None))
            }
        }
    }

    /// Binds a statement for the first time, with parameters of these types or without any. `is_described`: the client is told its columns before it runs.
    pub(super) async fn plan_first(
        &mut self,
        statement: Statement,
        declared: Option<Vec<Option<TypeKind>>>,
        is_described: bool,
    ) -> Result<Arc<Prepared>> {
        let (cancel, deadline) = (self.cancel.clone(), self.statement_deadline());
        self.choose_moment();
        let catalog = guard(&cancel, deadline, self.planning_catalog()).await?;
        let planned = match self.plan(&statement, declared.as_deref(), &catalog, deadline).await {
            Ok(planned) => planned,
            Err(error) if is_over(&error) => return Err(error),
            Err(error) => match guard(&cancel, deadline, self.newer_catalog(&catalog)).await {
                Ok(Some(newest)) => self.plan(&statement, declared.as_deref(), &newest, deadline).await?,
                Err(over) if is_over(&over) => return Err(over),
                // What is wrong with the statement says more than that nothing newer can be read just now.
                Ok(None) | Err(_) => return Err(error),
            },
        };
        let mut columns = planned.bound.columns.clone();
        let mut kind = kind_of(&planned.bound);
        if let Plan::Session(command) = &planned.bound.plan
            && let SessionCommand::Execute { name, .. } = command.as_ref()
            && let Ok(Some(named)) = self.registry.statement(name)
        {
            columns.clone_from(&named.columns);
            kind = named.kind;
        }
        if let Plan::Session(command) = &planned.bound.plan
            && let SessionCommand::Fetch(fetch) = command.as_ref()
            && !fetch.is_move
            && let Ok(cursor) = self.registry.cursor(&fetch.name)
        {
            columns.clone_from(&cursor.prepared.columns);
            kind = StatementKind::Query;
        }
        Ok(Arc::new(Prepared {
            counted: Mutex::default(),
            statement,
            declared,
            parameters: planned.bound.parameters.clone(),
            columns,
            kind,
            is_command: matches!(planned.bound.plan, Plan::Session(_) | Plan::Empty),
            is_described,
            plan_bytes: planned.plan_bytes,
            planned: Mutex::new(Arc::new(planned)),
        }))
    }

    /// The version of the catalog as of now, which takes one read where nothing has changed. What was made from a catalog of
    /// another version is out of date.
    #[boxed]
    pub async fn catalog_version(&mut self) -> Result<u64> {
        let (cancel, deadline) = (self.cancel.clone(), self.statement_deadline());
        let newest = self.engine.refresh_catalog(self.database);
        Ok(guard(&cancel, deadline, newest).await?.version())
    }

    /// The catalog of now, if it is not this one, and if the transaction may still change over to it.
    async fn newer_catalog(&mut self, seen: &Arc<CatalogSnapshot>) -> Result<Option<Arc<CatalogSnapshot>>> {
        if let Some(open) = &self.transaction.open
            && (open.raised || open.answered)
        {
            return Ok(None);
        }
        let newest = self.engine.refresh_catalog(self.database).await?;
        if newest.version() == seen.version() {
            return Ok(None);
        }
        Ok(Some(self.pin(newest)))
    }

    /// Makes the open transaction, if there is one, run under this catalog of everybody from now on; what the session sees
    /// of it.
    fn pin(&mut self, shared: Arc<CatalogSnapshot>) -> Arc<CatalogSnapshot> {
        let Some(open) = &mut self.transaction.open else { return self.own.beside(&shared, None) };
        if !Arc::ptr_eq(&open.shared, &shared) {
            open.catalog = self.own.beside(&shared, Some(&*open));
            open.kv.set_catalog_version(shared.version());
            open.shared = shared;
        }
        open.catalog.clone()
    }

    /// Reads the catalog anew and pins it, unless the transaction has changed it itself; or has written or locked rows
    /// under the one that it has: its commit is to prove that this is in force still, for it may lack entries of newer indexes.
    pub(super) async fn refresh_pinned(&mut self) -> Result<()> {
        if self.transaction.open.as_ref().is_some_and(|open| open.raised || open.kv.has_keys()) {
            return Ok(());
        }
        let newest = self.engine.refresh_catalog(self.database).await?;
        self.pin(newest);
        Ok(())
    }

    /// The plan under the open transaction's catalog, if the statement may be run: under that of now if it may not be under
    /// the one that there was, for others may have given rights, or made what it names, through another gateway.
    pub(super) async fn permitted(
        &mut self,
        portal: &mut Portal,
        planned: Arc<Planned>,
    ) -> Result<Arc<Planned>> {
        let error = match self.permitted_now(portal, planned).await {
            Ok(permitted) => return Ok(permitted),
            Err(error) => error,
        };
        let seen = self.transaction.open.as_ref().map(|open| open.shared.clone());
        let Some(seen) = seen.filter(|_| !is_over(&error) && error.cause() == Cause::Statement) else {
            return Err(error);
        };
        match guard(&self.cancel.clone(), portal.deadline, self.newer_catalog(&seen).boxed()).await {
            Ok(Some(_)) => {
                let planned = portal.prepared.planned.lock().clone();
                self.permitted_now(portal, planned).await
            }
            Err(over) if is_over(&over) => Err(over),
            Ok(None) | Err(_) => Err(error),
        }
    }

    async fn permitted_now(&mut self, portal: &mut Portal, planned: Arc<Planned>) -> Result<Arc<Planned>> {
        let planned = self.planned(&portal.prepared, planned, portal.deadline).await?;
        self.audit_seen(&planned);
        self.check_writable(&planned)?;
        let Err(error) = self.check_rights(&planned) else { return Ok(planned) };
        if portal.text.is_none() {
            return Err(error);
        }
        // The text that was planned may have had other literals, and the name another place.
        let planned = self.bind_text(portal).boxed().await?;
        let planned = self.planned(&portal.prepared, planned, portal.deadline).await?;
        self.audit_seen(&planned);
        self.check_writable(&planned)?;
        self.check_rights(&planned)?;
        Ok(planned)
    }

    /// The plan of a prepared statement under the open transaction's catalog: the one that it has, or another if that
    /// was made under another catalog or search path.
    pub(super) async fn planned(
        &mut self,
        prepared: &Prepared,
        planned: Arc<Planned>,
        deadline: Option<Instant>,
    ) -> Result<Arc<Planned>> {
        if self.is_current(&planned) && !self.is_outgrown(&planned, deadline).await? {
            self.enter_catalog(&planned.catalog);
            return Ok(planned);
        }
        let catalog = match &self.transaction.open {
            Some(open) => open.catalog.clone(),
            None => planned.catalog.clone(),
        };
        // What its parameters were found to be they stay.
        let kinds = || prepared.parameters.iter().map(|ty| Some(ty.kind)).collect::<Vec<_>>();
        let declared = prepared.declared.as_ref().map(|_| kinds());
        let anew =
            Arc::new(self.plan(&prepared.statement, declared.as_deref(), &catalog, deadline).boxed().await?);
        let told = prepared.is_described;
        if told && !same_columns(prepared.columns(), anew.bound.columns.as_deref())
            || !prepared::same_types(&anew.bound.parameters, &prepared.parameters)
        {
            return Err(changed_columns());
        }
        *prepared.planned.lock() = anew.clone();
        Ok(anew)
    }

    /// Whether a plan was made under the open transaction's catalog, the search path of now and the moment that the
    /// transaction is about.
    pub(super) fn is_current(&self, planned: &Planned) -> bool {
        let open = self.transaction.open.as_ref();
        open.is_none_or(|open| Arc::ptr_eq(&planned.catalog, &open.catalog))
            && planned.search_path_generation == self.settings.search_path_generation()
            && planned.as_of == self.transaction.as_of
    }

    /// Whether tables have become so much larger or smaller since a plan was made that another may be better. It is looked at
    /// now and then.
    async fn is_outgrown(&self, planned: &Planned, deadline: Option<Instant>) -> Result<bool> {
        if planned.sizes.is_empty() {
            return Ok(false);
        }
        let now = clock::now();
        if now.saturating_duration_since(*planned.weighed.lock()) < WEIGHED_EVERY {
            return Ok(false);
        }
        *planned.weighed.lock() = now;
        let sizes = self.sizes_of(&planned.sizes.tables(), deadline).boxed().await?;
        Ok(planned.sizes.have_shifted(&sizes))
    }

    /// Plans a statement: here and now if that is short, else in the pool. Its deadline and a request to cancel it are
    /// heard meanwhile.
    pub(super) async fn plan(
        &mut self,
        statement: &Statement,
        declared: Option<&[Option<TypeKind>]>,
        catalog: &Arc<CatalogSnapshot>,
        deadline: Option<Instant>,
    ) -> Result<Planned> {
        let begun = clock::now();
        self.enter_catalog(catalog);
        self.cancel.set_deadline(deadline);
        let rules = self.engine.options().rules;
        let mut memory = self.engine.plan_memory();
        memory.reserve(statement.0.text.len().saturating_mul(TREE_BYTES_PER_BYTE))?;
        let binding = trace::child("bind");
        self.tables_then.forget();
        let (mut bound, is_short) = loop {
            let short = self
                .under_interrupt(|settings| bind::bind_if_short(&statement.0, catalog, settings, declared));
            let bound = match short {
                Ok(Some(bound)) => Ok((bound, true)),
                Ok(None) => {
                    env::pool::go_to_pool().await;
                    let bound = self
                        .under_interrupt(|settings| bind::bind(&statement.0, catalog, settings, declared));
                    bound.map(|bound| (bound, false))
                }
                Err(error) => Err(error),
            };
            match (bound, self.tables_then.take_asked()) {
                (Err(_), Some(asked)) => self.read_then(asked, catalog, deadline).await?,
                (bound, _) => break bound?,
            }
        };
        self.tables_then.forget();
        drop(binding);
        let planning = trace::child("plan");
        let mut held = 0;
        if !is_short {
            held = PlanSize::of_plan(&mut bound.plan).bytes();
            memory.reserve(held)?;
        }
        let sizes = self.sizes_of(&optimise::tables_to_weigh(&mut bound.plan), deadline).await?;
        let weighed = clock::now();
        self.under_interrupt(|_| optimise::optimise(&mut bound, &sizes, rules))?;
        // What was copied while conditions were pushed down.
        let plan_bytes = PlanSize::of_plan(&mut bound.plan).bytes();
        memory.reserve(plan_bytes.saturating_sub(held))?;
        drop(planning);
        let traits = traits_of(&mut bound.plan);
        let is_plain = bound.current_of.is_none()
            && !(traits.reads_catalog || traits.makes_long_values || traits.tells_sizes);
        let bypasses = is_plain && self.engine.options().bypasses_operators;
        Ok(prepared::Planned {
            traits,
            audited: Audited::of(&bound),
            point: if bypasses { PointExecution::new(&bound)? } else { None },
            plan_bytes,
            sizes: sizes.without_values(),
            weighed: Mutex::new(weighed),
            took: begun.elapsed(),
            _memory: memory,
            bound,
            catalog: catalog.clone(),
            search_path_generation: self.settings.search_path_generation(),
            as_of: self.transaction.as_of,
            idle: Mutex::new(None),
        })
    }

    /// Reads what a table was, for a statement that asks for its columns of then.
    async fn read_then(
        &mut self,
        (oid, at): bind::TableThen,
        catalog: &Arc<CatalogSnapshot>,
        deadline: Option<Instant>,
    ) -> Result<()> {
        let (engine, cancel) = (self.engine.clone(), self.cancel.clone());
        let table = catalog.table_by_oid(oid).cloned();
        let table = table.ok_or_else(|| Error::internal("a table that is named is not there"))?;
        let missing =
            || Error::new("42P01", format!("relation \"{}\" did not exist at that moment", table.name));
        let reading = async {
            let at = moment::reached(engine.client(), at).await?;
            let mut past = engine.client().past(at);
            let then = table_then(&mut past, catalog, &table).await;
            past.rollback().await;
            then?.ok_or_else(missing)
        };
        let then = guard(&cancel, deadline, reading).await?;
        self.tables_then.put((oid, at), then, &table);
        Ok(())
    }

    /// About how large tables are.
    pub(super) async fn sizes_of(&self, tables: &[IndexId], deadline: Option<Instant>) -> Result<TableSizes> {
        if tables.is_empty() {
            return Ok(TableSizes::default());
        }
        let sizes = async { Ok(self.engine.table_sizes(tables).await) };
        guard(&self.cancel, deadline, sizes).await
    }

    /// Runs a step of planning that asks now and then whether the statement is still wanted.
    fn under_interrupt<T>(&self, step: impl FnOnce(&bind::SessionSettings<'_>) -> Result<T>) -> Result<T> {
        let hot = self.settings.hot();
        let settings = bind::SessionSettings {
            search_path: &hot.search_path,
            context: &self.context,
            row_security: hot.row_security,
            as_of: self.transaction.as_of,
            tables_then: hot.has_columns_then.then_some(&self.tables_then),
        };
        expr::work::take();
        let outcome = expr::work::under(self.cancel.interrupt(), || step(&settings));
        // Whatever came of it then.
        self.cancel.check()?;
        outcome
    }

    /// Lets the functions of the catalog answer for this one.
    fn enter_catalog(&mut self, catalog: &Arc<CatalogSnapshot>) {
        let generation = self.settings.search_path_generation();
        if let Some((of, at)) = &self.context_of
            && Arc::ptr_eq(of, catalog)
            && *at == generation
        {
            return;
        }
        self.context.catalog = Arc::new(system::SessionCatalog::new(
            catalog.clone(),
            self.settings.hot().search_path.clone(),
            self.context.current_user.clone(),
            self.settings.shared().clone(),
            system::Beside {
                sizes: self.sizes.clone(),
                sequences: self.sequences.clone(),
                questions: self.questions.clone(),
                pending: self.listening.pending().clone(),
            },
        ));
        let (path, objects) = (&self.settings.hot().search_path, catalog.objects());
        self.context.schema = path.creation(objects).map(|name| objects.shown_schema(name).into());
        self.context_of = Some((catalog.clone(), generation));
    }
}
