//! A client's session: its settings, its transaction, its prepared statements' plans and its portals.
//!
//! The gateway drives it: [`Session::split`] a query string, [`Session::prepare`] each statement,
//! [`Session::execute`] it into a [`Portal`], [`Session::fetch`] until [`Fetched::Done`].

mod commands;
mod copy;
mod engine;
mod planning;
mod portal;
mod prepared;
mod run;
mod transact;
mod transaction;

pub use crate::execute::cancel::CancelHandle;
pub use crate::settings::SessionParameters;
pub use engine::{Engine, EngineOptions};
pub use portal::{CommandTag, CopyFormat, CopyHeader, Fetched, Portal};
pub use prepared::{OutputColumn, Prepared, Statement, StatementKind};

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use expr::session::{SessionContext, now_micros};
use expr::{Datum, TypeKind};

use crate::catalog::CatalogSnapshot;
use crate::error::{Error, Notice, Result, Severity};
use crate::parse;
use crate::settings::{SERVER_VERSION, Settings};
use portal::State;
use transaction::{Block, TransactionState};

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
/// - every statement runs under the catalog that its transaction has pinned.
pub struct Session {
    engine: Arc<Engine>,
    settings: Settings,
    context: SessionContext,
    /// The catalog and the search path's generation that `context.catalog` answers for.
    context_of: Option<(Arc<CatalogSnapshot>, u64)>,
    cancel: CancelHandle,
    notices: Vec<Notice>,
    transaction: TransactionState,
    /// PREPARE's statements.
    named: HashMap<String, Arc<Prepared>>,
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
        let settings = Settings::new(&parameters, &mut context)?;
        Ok(Self {
            engine,
            settings,
            context,
            context_of: None,
            cancel: CancelHandle::default(),
            notices: Vec::new(),
            transaction: TransactionState::default(),
            named: HashMap::new(),
        })
    }

    /// The statements of a query string. Empty for a string without any (EmptyQueryResponse).
    #[expect(clippy::unused_async, reason = "a long string may be parsed elsewhere one day")]
    pub async fn split(&self, sql: &str) -> Result<Vec<Statement>> {
        Ok(parse::parse(sql)?.into_iter().map(|statement| Statement(Arc::new(statement))).collect())
    }

    /// Binds and plans one statement. Types that are `None` are inferred.
    pub async fn prepare(
        &mut self,
        statement: Statement,
        parameter_types: &[Option<TypeKind>],
    ) -> Result<Arc<Prepared>> {
        self.cancel.clear();
        self.check_not_failed(&statement)?;
        self.plan_first(statement, parameter_types.to_vec()).await
    }

    /// Starts to run a prepared statement: the work is done by [`Session::fetch`].
    #[expect(clippy::unused_async, reason = "work may move here from the first fetch")]
    pub async fn execute(&mut self, prepared: &Arc<Prepared>, parameters: Vec<Datum>) -> Result<Portal> {
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
        self.check_not_failed(&prepared.statement)?;
        self.cancel.clear();
        self.context.statement_timestamp = now_micros();
        if self.transaction.open.is_none() && !self.transaction.in_block() {
            self.context.transaction_timestamp = self.context.statement_timestamp;
        }
        let deadline = self.settings.hot().statement_timeout.map(|timeout| env::clock::now() + timeout);
        Ok(Portal { prepared: Arc::clone(prepared), parameters, deadline, state: State::Pending })
    }

    /// The next rows, at most `rows_max` (0: a batch of the session's choosing); called until
    /// [`Fetched::Done`]. A portal that is left early is simply dropped.
    pub async fn fetch(&mut self, portal: &mut Portal, rows_max: usize) -> Result<Fetched> {
        let fetched = self.advance(portal, rows_max).await;
        let requests = self.settings.shared().take_requests();
        if fetched.is_err() {
            portal.state = State::Finished;
            self.fail().await;
            return fetched;
        }
        for request in requests {
            self.apply_request(&request)?;
        }
        fetched
    }

    /// From here on statements share one implicit transaction, until [`Session::finish_implicit`]: a query string
    /// of several statements, or what the extended protocol sends up to a Sync. Outside of it, every statement
    /// commits by itself before its [`Fetched::Done`].
    #[expect(clippy::unused_async, reason = "pairs with finish_implicit")]
    pub async fn begin_implicit(&mut self) {
        if self.transaction.block == Block::Idle {
            self.transaction.block = Block::Implicit;
        }
    }

    /// Ends what [`Session::begin_implicit`] began: commits, or rolls back if there was an error. Does nothing to a
    /// transaction block that the client opened (but an error fails it). An error here is the commit's.
    pub async fn finish_implicit(&mut self, error: bool) -> Result<()> {
        if error {
            self.fail().await;
            if self.transaction.block == Block::Implicit {
                self.transaction.block = Block::Idle;
            }
            return Ok(());
        }
        match self.transaction.block {
            Block::Implicit | Block::Idle => self.commit(Block::Idle).await,
            Block::Explicit | Block::Failed => Ok(()),
        }
    }

    /// Tells the session that an error arose while a statement was under way, in the session or outside of it (a wrong
    /// parameter format, say): a transaction block becomes failed, anything else is rolled back.
    pub async fn fail(&mut self) {
        match self.transaction.block {
            Block::Failed => {}
            // What stands before a savepoint may still be wanted.
            Block::Explicit if !self.transaction.savepoints.is_empty() => {
                self.transaction.block = Block::Failed
            }
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
        self.settings.take_changes()
    }

    /// What a CancelRequest calls, from any task.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// How long the session may idle inside of a transaction block, if bounded
    /// (`idle_in_transaction_session_timeout`): the gateway ends it then with 25P03.
    pub fn idle_in_transaction_timeout(&self) -> Option<Duration> {
        self.settings.hot().idle_in_transaction_timeout
    }

    /// The backend process id that the session reports (`pg_backend_pid()`), also the cancel key's first half.
    pub fn set_backend_pid(&mut self, pid: i32) {
        self.context.backend_pid = pid;
    }

    /// Rolls back what is open and waits for it.
    pub async fn close(mut self) {
        self.rollback(Block::Idle).await;
    }

    fn check_not_failed(&self, statement: &Statement) -> Result<()> {
        if self.transaction.block == Block::Failed && !ends_failed_block(&statement.0.body) {
            return Err(Error::new(
                "25P02",
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
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

/// Whether a statement may run in a failed block.
fn ends_failed_block(body: &parse::ast::Body) -> bool {
    use parse::ast::Body;
    matches!(body, Body::Commit { .. } | Body::Rollback { .. } | Body::RollbackTo(_))
}
