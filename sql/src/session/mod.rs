//! A client's session: its settings, its transaction, its prepared statements' plans and its portals.
//!
//! The gateway drives it: [`Session::split`] a query string, [`Session::prepare`] each statement,
//! [`Session::execute`] it into a [`Portal`], [`Session::fetch`] until [`Fetched::Done`].

mod auditing;
mod backup;
mod build_beside;
mod cluster;
mod commands;
mod copy;
mod cursor;
mod declare;
mod engine;
mod erase;
mod explain;
mod flashback;
mod format;
mod history;
mod lock_table;
mod maintain;
mod named;
mod names;
mod notify;
mod own;
mod paging;
mod planning;
mod point;
mod portal;
mod prepared;
mod registry;
mod role;
mod run;
mod schedules;
mod sending;
mod steps;
mod table_sizes;
mod tell;
mod texts;
mod transact;
mod transaction;
mod watched_table;

pub use crate::bind::TablesThen;
pub use crate::execute::cancel::CancelHandle;
pub use crate::execute::temporary::TemporaryOptions;
pub use crate::settings::SessionParameters;
pub use auditing::RunOutcome;
pub use engine::{DatabaseMeant, Engine, EngineOptions, Login};
pub use format::{ColumnFormats, Format};
pub use portal::{CommandTag, CopyFormat, CopyHeader, Fetched, Portal, Sending};
pub use prepared::{OutputColumn, Prepared, Statement, StatementKind};
pub use registry::{BoundPortal, PortalState, Source};
pub use watched_table::WatchedTable;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use client::ShownId;
use env::task::boxed;
use expr::session::{SessionContext, now_micros};
use expr::{Datum, TypeKind};
use futures::FutureExt as _;

use crate::activity::Enlisted;
use crate::activity::usage::Used;
use crate::catalog::{CatalogSnapshot, FIRST_DATABASE_OID, Oid};
use crate::error::{Error, Notice, Result, Severity};
use crate::execute::advisory::AdvisoryLocks;
use crate::execute::memory::Memory;
use crate::notify::Listening;
use crate::parse::{self, Dialect};
use crate::questions::Questions;
use crate::sequence::SessionSequences;
use crate::settings::{SERVER_VERSION, SessionLimits, Settings};
use crate::system::{Shown, Sizes};
use auditing::Auditing;
use engine::SeenCatalog;
use own::OwnObjects;
use portal::State;
use registry::Registry;
use role::Acting;
use texts::Texts;
use transaction::{Block, TransactionState};

/// How long a session may idle in a transaction that holds the catalog's lock.
const CATALOG_IDLE_MAX: Duration = Duration::from_secs(60);

/// What ReadyForQuery says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// No transaction block: 'I'.
    Idle,
    /// In a transaction block: 'T'.
    InBlock,
    /// In a failed transaction block: 'E'.
    Failed,
}

/// One client's session. Everything a gateway knows of a client stands here; dropping it rolls back.
///
/// Invariants:
/// - outside of blocks nothing is open in the cluster but for the portal that is being fetched;
/// - in a failed block nothing runs but what ends the block or goes back to a savepoint;
/// - every statement runs under the catalog that its transaction has pinned, with the session's temporary objects beside it.
pub struct Session {
    engine: Arc<Engine>,
    settings: Settings,
    /// The oid of the database that it is in.
    database: Oid,
    /// The newest catalog, as far as this session knows.
    newest: SeenCatalog,
    /// Its temporary objects.
    own: OwnObjects,
    context: SessionContext,
    /// The catalog and the search path's generation that `context.catalog` answers for.
    context_of: Option<(Arc<CatalogSnapshot>, u64)>,
    /// What tables were, as far as a statement that is being planned asks for it.
    tables_then: TablesThen,
    /// What the catalog's functions say of sizes.
    sizes: Arc<Sizes>,
    /// What functions leave to be answered.
    questions: Arc<Questions>,
    /// The advisory locks that it holds.
    advisory: AdvisoryLocks,
    /// What it listens to, and what its transaction is to tell others.
    listening: Listening,
    /// What views show of the session.
    shown: Shown,
    /// What its statements have done to tables.
    used: Used,
    /// What the client is to be warned of.
    warnings: Vec<Notice>,
    /// Where it takes numbers of sequences from.
    sequences: Arc<SessionSequences>,
    cancel: CancelHandle,
    notices: Vec<Notice>,
    /// The characters that were added to the query string at hand, so that all read its strings alike.
    added: Vec<usize>,
    transaction: TransactionState,
    registry: Registry,
    texts: Texts,
    /// The role that logged in, whatever SET SESSION AUTHORIZATION says since.
    authenticated: Arc<str>,
    /// Who acts, and under which roles that was found out.
    acting: Option<Acting>,
    /// What the audit log has to know of it.
    auditing: Auditing,
    /// What others see of it, once it is known by a number.
    activity: Option<Enlisted>,
    /// Where its transactions show their ids.
    shown_id: ShownId,
    /// `now()` has been read for the string or series of messages under way.
    clock_stands: bool,
    /// Since when the statement that comes next has waited for its turn.
    queued: Option<env::clock::Instant>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.audit_dropped();
    }
}

impl Session {
    pub(crate) fn new(engine: Arc<Engine>, parameters: SessionParameters) -> Result<Self> {
        let mut context = SessionContext::default();
        let database = if parameters.database.is_empty() { &parameters.user } else { &parameters.database };
        context.current_user = parameters.user.as_str().into();
        context.session_user = context.current_user.clone();
        context.database = database.as_str().into();
        context.version =
            format!("PostgreSQL {SERVER_VERSION} (Nunatak {})", env!("CARGO_PKG_VERSION")).into();
        let mut settings = Settings::new(&parameters, &mut context)?;
        let warn = |error: Error| Notice::warning(error.sqlstate, error.message.clone());
        let notices = settings.take_left_out().into_iter().map(warn).collect();
        let registry = Registry::new(engine.options().session_bytes_max);
        let texts = Texts::new(engine.options());
        let questions = Arc::<Questions>::default();
        let sequences = Arc::new(SessionSequences::new(engine.sequences().clone(), questions.clone()));
        let database = parameters.database_oid.unwrap_or(FIRST_DATABASE_OID);
        let (names, held) = (engine.client().name_locks(), engine.held_locks().clone());
        let advisory = AdvisoryLocks::new(names, held, database);
        let listening = Listening::new(engine.bulletin().clone(), database);
        let used = Used::new(engine.roster().usage().clone(), database);
        let cancel = CancelHandle::bounded(engine.options().work_max);
        Ok(Self {
            engine,
            database,
            settings,
            newest: SeenCatalog::default(),
            own: OwnObjects::default(),
            context,
            context_of: None,
            tables_then: TablesThen::default(),
            sizes: Arc::default(),
            questions,
            advisory,
            listening,
            shown: Shown::default(),
            used,
            warnings: Vec::new(),
            sequences,
            cancel,
            notices,
            added: Vec::new(),
            transaction: TransactionState::default(),
            registry,
            texts,
            authenticated: parameters.user.as_str().into(),
            acting: None,
            auditing: Auditing::new(&parameters),
            activity: None,
            shown_id: ShownId::default(),
            clock_stands: false,
            queued: None,
        })
    }

    /// The statements of a query string. Empty for a string without any (EmptyQueryResponse).
    pub async fn split(&mut self, sql: &str) -> Result<Vec<Statement>> {
        let (dialect, rules) = (self.settings.hot().dialect, self.settings.hot().strings);
        self.added.clear();
        let mut text = Cow::Borrowed(sql);
        if dialect == Dialect::Sql && !rules.are_usual() {
            match parse::conformed(sql, rules) {
                Ok(conformed) => {
                    text = conformed.text;
                    self.added = conformed.added;
                    conformed.warnings.into_iter().for_each(|warning| self.notify(warning));
                }
                Err(error) => return Err(self.audit_unparsed(sql, error).await),
            }
        }
        let parsed = {
            let _parsing = env::trace::child("parse");
            parse::parse_in(&text, dialect)
        };
        match parsed {
            Ok(parsed) => Ok(parsed.into_iter().map(|statement| Statement(Arc::new(statement))).collect()),
            Err(error) => {
                let error = self.placed(error);
                Err(self.audit_unparsed(&text, error).await)
            }
        }
    }

    /// The error with its place in the query string as the client wrote it.
    fn placed(&self, mut error: Error) -> Error {
        error.position = error.position.map(|place| parse::place_as_written(place, &self.added));
        error
    }

    /// Binds and plans one statement. Types that are `None` are inferred.
    pub async fn prepare(
        &mut self,
        statement: Statement,
        parameter_types: &[Option<TypeKind>],
    ) -> Result<Arc<Prepared>> {
        self.prepare_as(statement, Some(parameter_types.to_vec()), true).await
    }

    /// The same for a statement that is run once, now, and described only then: if the catalog changes in between, so
    /// may its columns ([`Portal::columns`]). It has no parameters.
    pub async fn prepare_once(&mut self, statement: Statement) -> Result<Arc<Prepared>> {
        self.prepare_as(statement, None, false).await
    }

    async fn prepare_as(
        &mut self,
        statement: Statement,
        declared: Option<Vec<Option<TypeKind>>>,
        is_described: bool,
    ) -> Result<Arc<Prepared>> {
        let may_run = self.cancel.check_request().and_then(|()| self.check_not_failed(&statement));
        let prepared = match may_run {
            Ok(()) => self.plan_first(statement.clone(), declared, is_described).boxed().await,
            Err(error) => Err(error),
        };
        match prepared {
            Ok(prepared) => Ok(prepared),
            Err(error) => {
                let error = self.placed(error);
                Err(self.audit_unbound(&statement, error).await)
            }
        }
    }

    /// Starts to run a prepared statement: the work is done by [`Session::fetch`].
    pub async fn execute(&mut self, prepared: &Arc<Prepared>, parameters: Vec<Datum>) -> Result<Portal> {
        let portal = self.portal_over(prepared, parameters);
        self.queued = None;
        match portal {
            Ok(portal) => Ok(portal),
            Err(error) => Err(self.audit_refused(prepared, error).await),
        }
    }

    /// A portal over a prepared statement, with these values of its parameters.
    fn portal_over(&self, prepared: &Arc<Prepared>, parameters: Vec<Datum>) -> Result<Portal> {
        if parameters.len() != prepared.parameters.len() {
            return Err(Error::new(
                "08P01",
                format!(
                    "bind message supplies {} parameters, but prepared statement requires {}",
                    parameters.len(),
                    prepared.parameters.len()
                ),
            ));
        }
        self.check_runnable(prepared)?;
        self.cancel.check_request()?;
        let deadline = self.statement_deadline();
        Ok(Portal {
            prepared: Arc::clone(prepared),
            parameters,
            deadline,
            state: State::Pending,
            undescribed: None,
            is_binary: false,
            text: None,
            answered: 0,
            sending: None,
        })
    }

    /// Goes on with a portal that was left in the middle of its rows: `statement_timeout` counts anew.
    pub async fn resume(&mut self, portal: &mut Portal) -> Result<()> {
        let may_run = self.check_runnable(&portal.prepared).and_then(|()| self.cancel.check_request());
        if let Err(error) = may_run {
            return Err(self.audit_refused(&portal.prepared, error).await);
        }
        portal.deadline = self.statement_deadline();
        self.queued = None;
        self.audit_resumed(portal).await
    }

    /// An empty account for a statement, within what the session's settings say.
    fn statement_memory(&self) -> Memory {
        let hot = self.settings.hot();
        self.engine.statement_memory().bounded(hot.work_bytes, hot.temporary_bytes_max)
    }

    /// Until when a statement may run that begins now, or has waited for its turn; no longer than its transaction.
    fn statement_deadline(&self) -> Option<env::clock::Instant> {
        let begun = || self.queued.unwrap_or_else(env::clock::now);
        let own = self.settings.hot().statement_timeout.map(|timeout| begun() + timeout);
        let transaction = self.transaction_left().map(|left| env::clock::now() + left);
        self.cancel.set_transaction_deadline(transaction);
        own.into_iter().chain(transaction).min()
    }

    /// 25P02 if this may not run because the transaction block has failed.
    pub fn check_runnable(&self, prepared: &Prepared) -> Result<()> {
        self.check_not_failed(&prepared.statement)
    }

    /// A message that begins work has arrived: the clock of `statement_timestamp()`, and of `now()` if no transaction
    /// is under way, stands still at this moment. A request to cancel that came before a string or series of messages
    /// began is forgotten; one that comes later ends whichever of its statements runs, or begins, then.
    pub fn message_arrived(&mut self) {
        self.context.statement_timestamp = now_micros();
        if !self.clock_stands {
            self.queued = None;
            self.cancel.clear();
            if !self.transaction.in_block() {
                self.context.transaction_timestamp = self.context.statement_timestamp;
            }
        }
        self.clock_stands = true;
    }

    /// The next rows, at most `rows_max` (0: a batch of the session's choosing); called until
    /// [`Fetched::Done`]. A portal that is left early is simply dropped.
    pub async fn fetch(&mut self, portal: &mut Portal, rows_max: usize) -> Result<Fetched> {
        let fetched = self.advance(portal, rows_max).await.and_then(|fetched| self.counted(portal, fetched));
        if let Ok(fetched) = &fetched {
            self.auditing.note(fetched, &portal.state);
        }
        self.audit_refused_settings();
        let warnings = std::mem::take(&mut self.warnings);
        for warning in self.advisory.take_warnings().into_iter().chain(warnings) {
            self.notify(warning);
        }
        if fetched.is_err() {
            self.settings.forget_requests();
            portal.state = State::Finished;
            self.fail().await;
            return fetched;
        }
        for request in self.settings.shared().take_requests() {
            self.apply_request(&request)?;
        }
        fetched
    }

    /// 53400 if these are more rows than the statement may answer.
    fn counted(&self, portal: &mut Portal, fetched: Fetched) -> Result<Fetched> {
        if let Fetched::Rows(rows) = &fetched {
            portal.answered = portal.answered.saturating_add(rows.len() as u64);
            self.settings.hot().limits.check_rows(portal.answered)?;
            if let Some(context) = self.foreseen()? {
                // What it asked for is about to be done.
                portal.try_rows(&context, rows)?;
            }
        }
        Ok(fetched)
    }

    /// What the session's role may do in a second, and what its statements may.
    pub fn limits(&self) -> &SessionLimits {
        &self.settings.hot().limits
    }

    /// From here on statements share one implicit transaction, until [`Session::finish_implicit`]: a query string
    /// of several statements, or what the extended protocol sends up to a Sync. Outside of it, every statement
    /// commits by itself before its [`Fetched::Done`].
    #[expect(clippy::unused_async, reason = "pairs with finish_implicit")]
    pub async fn begin_implicit(&mut self) {
        self.transaction.in_series = true;
        if self.transaction.block == Block::Idle {
            self.transaction.block = Block::Implicit;
        }
    }

    /// Ends a query string or a series, and what [`Session::begin_implicit`] began: commits, or rolls back if there was
    /// an error. Does nothing to a transaction block that the client opened (but an error fails it). An error here is
    /// the commit's.
    pub async fn finish_implicit(&mut self, error: bool) -> Result<()> {
        self.transaction.in_series = false;
        self.clock_stands = false;
        if error {
            self.fail().await;
            if self.transaction.block == Block::Implicit {
                self.transaction.block = Block::Idle;
                self.audit_implicit_end("ROLLBACK", &Ok(()));
            }
            return Ok(());
        }
        match self.transaction.block {
            Block::Implicit | Block::Idle => {
                let committed = self.commit(Block::Idle).await;
                self.audit_implicit_end("COMMIT", &committed);
                committed
            }
            Block::Explicit | Block::Failed => Ok(()),
        }
    }

    /// Tells the session that an error arose while a statement was under way, in the session or outside of it (a wrong
    /// parameter format, say): a transaction block becomes failed, anything else is rolled back.
    #[boxed]
    pub async fn fail(&mut self) {
        match self.transaction.block {
            Block::Failed => {}
            // What stands before a savepoint may still be wanted.
            Block::Explicit if !self.transaction.savepoints.is_empty() => self.fail_to_savepoint().await,
            Block::Explicit => self.rollback(Block::Failed).await,
            Block::Implicit => self.rollback(Block::Implicit).await,
            Block::Idle => self.rollback(Block::Idle).await,
        }
    }

    /// What the text of values depends on: time zone, bytea_output and the like.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// The transaction status for ReadyForQuery.
    pub fn status(&self) -> TransactionStatus {
        match self.transaction.block {
            Block::Idle | Block::Implicit => TransactionStatus::Idle,
            Block::Explicit => TransactionStatus::InBlock,
            Block::Failed => TransactionStatus::Failed,
        }
    }

    /// The notices since the last call, to be sent before the statement's result.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// The reported settings that changed since the last call (ParameterStatus). After connecting: all of them.
    pub fn take_parameter_changes(&mut self) -> Vec<(&'static str, String)> {
        let changes = self.settings.take_changes();
        self.tell_application(&changes);
        changes
    }

    /// What a CancelRequest calls, from any task.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// How long the session may idle inside of a transaction block, if bounded
    /// (`idle_in_transaction_session_timeout`): the gateway ends it then with 25P03. A transaction that keeps others from
    /// changing the catalog, as any role can, may idle for a minute, whatever the setting says.
    pub fn idle_in_transaction_timeout(&self) -> Option<Duration> {
        let wanted = self.settings.hot().idle_in_transaction_timeout;
        match self.transaction.open.as_ref().is_some_and(|open| open.holds_catalog) {
            true => Some(wanted.map_or(CATALOG_IDLE_MAX, |wanted| wanted.min(CATALOG_IDLE_MAX))),
            false => wanted,
        }
    }

    /// How much longer the transaction may last that is open, or begins now, if that is bounded (`transaction_timeout`): the
    /// session ends then with 25P04.
    pub fn transaction_left(&self) -> Option<Duration> {
        let timeout = self.settings.hot().transaction_timeout?;
        let lasted_us = now_micros().saturating_sub(self.context.transaction_timestamp);
        Some(timeout.saturating_sub(Duration::from_micros(u64::try_from(lasted_us).unwrap_or(0))))
    }

    /// How long the session may idle outside of transactions, if bounded (`idle_session_timeout`): the gateway ends it
    /// then with 57P05.
    pub fn idle_session_timeout(&self) -> Option<Duration> {
        self.settings.hot().idle_session_timeout
    }

    /// Whether a transaction is open in the cluster, whatever [`Session::status`] says of blocks.
    pub fn has_transaction(&self) -> bool {
        self.transaction.in_block() || self.transaction.open.is_some()
    }

    /// Rolls back what is open and waits for it.
    #[boxed]
    pub async fn close(mut self) {
        self.rollback(Block::Idle).await;
        self.advisory.give_all_back().await;
    }

    fn check_not_failed(&self, statement: &Statement) -> Result<()> {
        if self.transaction.block == Block::Failed && !statement.ends_block() {
            return Err(aborted());
        }
        Ok(())
    }

    fn notify(&mut self, notice: Notice) {
        let hot = self.settings.hot();
        let sent = match notice.severity {
            Severity::Notice => hot.sends_notices,
            Severity::Warning => hot.sends_warnings,
            _ => true,
        };
        if sent {
            self.notices.push(notice);
        }
    }
}

fn aborted() -> Error {
    Error::new("25P02", "current transaction is aborted, commands ignored until end of transaction block")
}
